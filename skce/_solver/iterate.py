"""The loop of a run (look, stop or search, learn) and the checks before it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from .._costs import Costs
from .method import Method
from .run import Look, Point, Run, evolve
from .stop import Stop


@dataclass(frozen=True, eq=False)
class State:
    """The state of a run.

    Attributes
    ----------
    point : Point
    method : Method
    look : Look
        The last look.
    before : float
        The decrement one iteration earlier.
    looks_again : bool
        Whether this is the second look at a gap that was small enough at the first.
    """

    point: Point
    method: Method
    look: Look = field(default_factory=Look)
    before: float = np.inf
    looks_again: bool = False


#: A function that makes some iterations.
Advance = Callable[[State, Run], State]


def step(state: State, run: Run) -> State:
    """Make one iteration: a look, and a search along its step unless the look ends the run."""
    point, before = state.point, state.look.decrement
    if state.look.own is not None:  # an estimate of L-BFGS, not a Newton decrement
        before = np.inf
    method, made = state.method.at(point, run), run.log.nhev
    look = method.look(point, run, before)
    certain = partial(is_certain, method, point, run)
    if look.converged:
        settled = run.is_settled(look, point, before, certain)
        look = evolve(look, converged=settled and not run.is_misled(look, point))
    method = method.made(run.log.nhev - made if np.isfinite(look.decrement) else np.inf)
    if run.log.verbose and run.log.n_iter:
        run.log.print()
    if not (look.converged or run.is_separable(point) or run.has_ended):
        origin = point
        point, method = method.search(origin, look, run)
        method = method.learn(origin, point)
    return State(point, method, look, before, state.looks_again)


def iterate(state: State, run: Run, advance: Advance = step) -> tuple[State, Stop]:
    """Advance until the gap is small enough or F no longer falls; also return why it stopped."""
    log = run.log
    state = evolve(state, method=state.method.afresh())
    if not state.method.size:  # X is zero, and there is no intercept
        look = Look(decrement=0.0, complete=True, step=np.zeros_like(state.point.theta))
        return evolve(state, look=run.judge(look, state.point, state.before)), Stop.GAP
    failures = 0
    while failures < run.costs.failures:
        look = run.prove_by_value(state.look, state.point)
        if look is not state.look:
            return evolve(state, look=look), Stop.GAP
        n_iter, work = log.n_iter, log.nfev + log.nhev
        state = advance(state, run)
        if state.look.converged and state.method.is_rounded:
            state = _confirm(state, run)
        if state.look.converged and not run.has_ended:
            state = _end(state, run)
        converged, point = state.look.converged, state.point
        again = converged and not state.looks_again
        again = again and run.needs_second_look(state.look, point, state.before)
        again = again and (run.leads_on or not is_certain(state.method, point, run))
        if converged and not (again and not run.has_ended):
            return state, Stop.GAP
        if converged or again is not state.looks_again:
            look = evolve(state.look, converged=False)
            state = evolve(state, looks_again=again, look=look)
        if state.method.has_spent_its_work or run.is_slow(point):
            return state, Stop.SLOW
        if log.stopped:
            return state, Stop.CALLBACK
        if run.is_separable(point):
            return state, Stop.SEPARABLE
        if run.has_ended:
            return state, Stop.MAX_ITER
        stalled = log.n_iter > run.costs.patience
        stalled = stalled and log.values[-run.costs.patience] - log.values[-1] <= run.limit(point)
        failures = 0 if log.n_iter > n_iter and not stalled else failures + 1
        method = state.method
        if failures and method.is_rounded:
            method, failures = method.exact(), 0
        method = method.adapted(point, run, log.nfev + log.nhev - work)
        if method is not state.method:
            state = evolve(state, method=method)
    return state, Stop.ROUNDING


def is_certain(method: Method, point: Point, run: Run) -> bool:
    """Whether the gradient alone proves that the gap is small enough."""
    return method.missed(point, run.allowed(point)) <= run.allowed(point)


def _end(state: State, run: Run) -> State:
    """Take the last step. If F falls by as much as the look predicted, the run has converged.

    No step is needed if the gradient alone proves that the gap is small.
    """
    if state.look.proven:
        return state
    before, method = state.point, state.method
    point, kept, hidden = take_step(state, run)
    small = run.costs.far_below * run.limit(point)
    kept = kept and method.left_out(point, small) <= small
    converged = kept or is_certain(method, point, run)
    if not converged and point is before:
        point, method = method.search_again(point, state.look, run)
    look = evolve(state.look, converged=converged, hidden=hidden)
    return evolve(state, point=point, method=method, look=look)


def take_step(state: State, run: Run) -> tuple[Point, bool, bool]:
    """Take the step of the last look, if F is lower there: its products are already computed.

    If the values differ only by rounding, the gradient decides, and the step is not counted as an
    iteration of its own.

    Returns
    -------
    point : Point
    kept : bool
        Whether F fell by as much as the look predicted, or rounding hides that it did not.
    hidden : bool
        Whether rounding hides it. Then another look must decide.
    """
    before, method, look = state.point, state.method, state.look
    point = run.evaluate(before.theta + look.step)
    gain = before.value - point.value
    error = gain - look.decrement
    kept = abs(error) <= run.costs.trusted * look.decrement or run.is_flat(error, point)
    kept = kept or _is_close(error, state, run.limit(point), run.costs)
    hidden = not kept and run.hides(error, np.inf, point)
    if gain > 0:
        run.log.accept(point)
    elif hidden or (run.is_flat(gain, point) and method.square(point) < method.square(before)):
        run.log.values[-1] = point.value
    else:
        point = before
    return point, kept or hidden, hidden


def _is_close(error: float, state: State, limit: float, costs: Costs) -> bool:
    """Whether the gain of a step is near enough to what was predicted, if that is little."""
    decrement = state.look.decrement
    if decrement > costs.far_below * limit or abs(error) > 0.5 * limit:
        return False
    decays = 0 < error <= costs.decays * decrement
    return not decays or decrement <= max(costs.fast * state.before, costs.negligible * limit)


def _confirm(state: State, run: Run) -> State:
    """Take the step and estimate the gap again, with the Hessian of all rows in full precision.

    The gap is small after that step, so a few products are enough. None is needed if the gradient
    alone proves that the gap is small.
    """
    method = state.method.exact()
    if state.look.proven and is_certain(method, state.point, run):
        return evolve(state, method=method)
    point = state.point if run.has_ended else take_step(state, run)[0]
    return evolve(state, point=point, method=method, look=method.estimate(point, run, state.before))
