"""A fit, from its start to its report.

A fit is a `State`: a point, a method, and the last look at the gap. A method looks at a point and
searches along the step that it finds (`method`, `newton`, `proximal`). A loop goes from state to
state (`iterate`), inside `scipy.optimize.minimize` (`methods`). The log records what happened.

The stopping rule is the same for every solver. The gap to the optimum is estimated by the Newton
decrement

    gap = g' H^-1 g / 2

(`decrement`). H^-1 g comes from conjugate gradients on Hessian products, which find the Newton
step at the same time. Far from the optimum conjugate gradients end early. If the decrement is small
enough to stop, they run until the linear system is solved, and the step is still taken.

The variables of the steps decide how many products a step takes (`variables`). They are changed
between iterations, whenever a step took more products than better variables would cost:

    rows, parameters                       variables                    curvature
    ---------------------------------------------------------------------------------------
    few of both                            `Jointly`, at every point    all rows
    rows >= 3 * 40 per parameter           `Whitened`, `ClassWhitened`  a sample, copied once
    many, sparse                           `Whitened`                   all rows, in float32
    anything else                          `Whitened`, `ClassWhitened`  all rows
    conjugate gradients take long          `Jointly`, if it fits        all rows

L-BFGS goes first, or in between, if a Newton step takes many products (`quasi_newton`).

With many rows the fit starts at the optimum of the sample, which it finds in the same way. Sparse
rows, and the vectors of conjugate gradients on them, are rounded to float32 until a gap is small
enough. Then the Newton step is taken, and the remaining gap is estimated in full precision.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from .._callbacks import OnIteration
from .._losses import AtTemperature, without_offset
from .._problem.objective import Objective
from .._threads import threads
from .iterate import State
from .method import Learnt
from .methods import SOLVERS, ScipyMethod, Solver, by_descent, solver_of
from .newton import HessianProducts, Preconditioned
from .proximal import ProximalNewton, least_loss
from .quasi_newton import ClassScaled, ColumnScaled
from .run import Fit, Log, Point, evolve, is_far_off
from .stop import Report, Stop
from .variables import (
    Jointly,
    has_large_classes,
    joint_whitening_cost,
    only_centre,
    precondition,
    rounding_without_intercept,
    scaled,
    take_sample,
    variance_of,
    whiten_along_penalty,
)
from .working_set import WorkingSet


class Known(NamedTuple):
    """A point whose value is known.

    Attributes
    ----------
    theta : ndarray
        In the user's units.
    value : float
        Value there of the objective as solvers see it.
    """

    theta: NDArray
    value: float


def minimize(
    objective: Objective,
    theta: NDArray,
    *,
    solver: str | ScipyMethod,
    tol: float,
    max_iter: int,
    verbose: int = 0,
    label: str = "",
    on_iteration: OnIteration | None = None,
    earlier: Learnt | None = None,
    known: Known | None = None,
    whole: bool = True,
) -> Report:
    """Minimise the objective from theta until the relative gap is at most tol.

    Parameters
    ----------
    objective : Objective
    theta : ndarray
        Start, in the user's units.
    solver : {"auto", "newton-cg", "lbfgs"} or callable
        A callable is a `method` as `scipy.optimize.minimize` accepts it.
    tol : float
        Relative gap to the optimal objective to reach.
    max_iter : int
        Iterations at most.
    verbose : int, default=0
        Whether to print a line per iteration. With 2, also print the progress of a pass over a
        file.
    label : str, default=""
        Text at the start of each line.
    on_iteration : callable, default=None
        Takes theta after each iteration, and returns whether to stop.
    earlier : Learnt, default=None
        What the fit of a similar objective has learnt.
    known : Known, default=None
        Another start. It is used if the objective is lower there.
    whole : bool, default=True
        Whether the result of the fit matters by itself. It does not if the fit is only scored, or
        only a start for another. If it does, coefficients that grow without bound are looked for,
        and a small gap is looked at twice.

    Returns
    -------
    Report
    """
    solve = solver_of(solver, objective)
    with threads:
        log = Log(verbose=verbose, label=label, scale=objective.scale)
        if verbose > 1:
            objective = objective.telling(log.tell)
        log.kept_moves = objective.costs.moves if objective.penalty.free.any() else 0
        run = Fit(
            fun=objective.value_gradient,
            log=log,
            tol=tol,
            max_iter=max_iter,
            thorough=whole,
            leads_on=earlier is not None or known is not None,
            costs=objective.costs,
            objective=objective,
        )
        if whole and log.kept_moves and _is_out_of_sight(run, theta):
            theta = np.zeros_like(theta)
        if objective.nonsmooth is None:
            theta = _within_reach(run, theta)
            state, at_least = _start(run, theta, solver, earlier, known), 0.0
            log.on_iteration = on_iteration
        else:
            active = WorkingSet(objective)
            state = _nonsmooth_state(run, theta, active)
            log.on_iteration = on_iteration
            run = _with_least(run, 0.0)
            state, at_least = _cool(state, run, active)
            state = _relax(state, run, active)
        state, stop = (state, Stop.CALLBACK) if log.stopped else solve(state, run)
        if stop is Stop.ROUNDING and solve is SOLVERS["lbfgs"]:
            solve = by_descent  # whose line search needs fewer digits
            state = State(state.point, _smooth_method(run, "newton-cg"))
            state, stop = solve(state, run)
        runaway = None
        if whole and state.look.converged:
            state, stop, runaway = _look_for_separation(state, run, solve)
        elif whole and stop is Stop.ROUNDING:
            _, runaway = _farthest_move(run)
            stop = Stop.ROUNDING if runaway is None else Stop.QUASI_SEPARABLE
        if run.is_separable(state.point) or runaway is not None:
            if run.is_separable(state.point):
                state = evolve(state, look=evolve(state.look, gap=np.inf))
            if runaway is None and log.moves:
                runaway = _growing(objective, log.moves[-1])
        elif not (log.stopped or state.look.converged):
            state = _refine(state, run) if objective.nonsmooth is None else _bounded(state, run)
        if stop is Stop.ROUNDING and callable(solver):
            stop = Stop.NOWHERE
        if not state.look.converged:
            refuted = at_least >= state.point.value
            run = _with_least(run, 0.0 if refuted else at_least)
            state = evolve(state, look=run.prove_by_value(state.look, state.point))
        for why, check in _LAST_CHECKS.items():
            if state.look.converged:
                state = check(state, run)
                stop = stop if state.look.converged else why
        point, look = state.point, state.look
        log.gap = look.gap
        log.print_last()
    stop = Stop.GAP if look.converged else stop
    message = stop.reason
    if look.converged:
        message = f"The estimated relative gap, {look.gap:.1e}, is at most tol={tol:g}."
    result = OptimizeResult(
        x=objective.stored(objective.to_user(point.theta), np.float64),
        fun=point.value * objective.scale,
        jac=objective.gradient_to_user(point.gradient) * objective.scale,
        nit=log.n_iter,
        nfev=log.nfev,
        njev=log.nfev,
        nhev=log.nhev,
        passes=log.passes,
        gap=look.gap,
        seconds=np.array(log.seconds[1:] or log.seconds),
        success=look.converged,
        status=int(not look.converged),
        message=message,
    )
    loss_curve = [value * objective.scale for value in log.values[1:] or log.values]
    ahead, learnt = result.x, state.method.learnt
    if look.proven and learnt is not None and learnt.variables.white:
        ahead = objective.stored(objective.to_user(point.theta + look.step), np.float64)
    return Report(stop, look.gap, look.complete, result, loss_curve, learnt, ahead, runaway)


def _start(
    run: Fit,
    theta: NDArray,
    solver: str | ScipyMethod,
    earlier: Learnt | None,
    known: Known | None,
) -> State:
    """Begin a smooth fit. With many rows, use a sample's curvature and start at its optimum.

    What an earlier fit has learnt is used if possible. If a path leads to a `known` point, the
    optimum of the sample is not needed.
    """
    objective, log = run.objective, run.log
    sample = take_sample(objective, run.costs.rows_per_parameter * objective.layout.size)
    method = _smooth_method(run, solver, earlier, is_whole=sample is objective)
    evaluate = partial(method.evaluate_start, run=run) if sample is objective else run.evaluate
    point = _first_point(run, theta, evaluate)
    if known is not None and known.value < point.value:
        point = run.evaluate(objective.from_user(known.theta))
    log.start(point)
    if sample is objective:
        return State(point, method.beginning_at(point, run, earlier))
    if known is not None:  # the path has led nearer than the optimum of a sample is
        return State(point, method.with_curvature_of(sample))
    # F at the optimum of m rows is about size / (2 m) above its minimum: more digits are wasted.
    rough = objective.layout.size / (20 * sample.data.n_rows)
    found = minimize(
        sample,
        theta,
        solver=solver,
        tol=max(run.tol, rough),
        max_iter=min(run.max_iter, 30),
        whole=False,
    ).result
    start = run.evaluate(objective.from_user(found.x))
    log.passes += found.passes * sample.data.n_rows / objective.data.n_rows
    if start.value < point.value:
        log.start(start)
        point = start
    return State(point, method.with_curvature_of(sample))


def _smooth_method(
    run: Fit,
    solver: str | ScipyMethod,
    earlier: Learnt | None = None,
    *,
    is_whole: bool = False,
) -> Preconditioned:
    """Return Newton's method for a smooth fit, in the variables of an earlier one if they fit.

    Without a sample, it begins with L-BFGS if a matrix for each class is not worth its cost.
    """
    objective = run.objective
    products, truncation = HessianProducts(objective), objective.costs.truncation
    penalised = not objective.penalty.unpenalised
    if solver == "auto" and is_whole and penalised and has_large_classes(objective):
        base, K = whiten_along_penalty(objective), objective.layout.n_outputs
        equal = np.full(K, objective.loss.curvature_bound(K))
        return ClassScaled(
            hessp=products,
            truncation=truncation,
            objective=objective,
            base=base,
            variables=scaled(base, equal),
        )
    small = solver_of(solver, objective) is by_descent
    small = small and joint_whitening_cost(objective, objective.layout.size) == 0
    # Without a penalty only whitening finds the directions that change no logit.
    jointly = small and objective.penalty.ridge > 0
    base = only_centre(objective) if jointly else precondition(objective)
    kind = ColumnScaled if solver == "auto" and np.ndim(base.Q) == 1 else Preconditioned
    method = kind(
        hessp=products,
        truncation=truncation,
        objective=objective,
        base=base,
        variables=base if earlier is None or jointly else earlier.variables.of(objective),
        jointly=Jointly(base, objective) if jointly else None,
    )
    return method.with_curvature_of(objective.rounded())


def _nonsmooth_state(run: Fit, theta: NDArray, active: WorkingSet) -> State:
    """Begin a fit with an L1 penalty or bounds."""
    point = _first_point(run, theta, run.evaluate)
    run.log.start(point)
    return State(point, ProximalNewton(objective=run.objective, active=active))


def _first_point(run: Fit, theta: NDArray, evaluate: Callable[[NDArray], Point]) -> Point:
    """Evaluate the start, given in the user's units; or zeros, if the start is far off."""
    theta = run.objective.from_user(theta)
    if np.abs(theta).max(initial=0) > np.sqrt(np.finfo(run.objective.data.dtype).max):
        return evaluate(np.zeros_like(theta))
    point = evaluate(theta)
    if is_far_off(run.objective, point.value):
        zeros = evaluate(np.zeros_like(theta))
        if not point.value <= zeros.value:
            return zeros
    return point


def _with_least(run: Fit, at_least: float) -> Fit:
    """Return a run with a lower bound of F, the given one or that of the loss.

    It has none if features without a penalty may separate the classes. F then goes to its lower
    bound, but there is no optimum.
    """
    if run.objective.penalty.free.any():
        return run
    return evolve(run, at_least=max(at_least, least_loss(run.objective)))


def _cool(state: State, run: Fit, active: WorkingSet) -> tuple[State, float]:
    """Lead a fit that starts far off to the optimum, by losses that are less smooth step by step.

    Bounds can keep logits so large that the loss has no curvature at any row. A step then does not
    see where the loss of a row bends, and the problem is nearly a linear program. At a temperature
    of the size of the logits it is a smooth problem, and its optimum is the start for the next
    lower temperature. Every such optimum gives a lower bound of F.

    Returns
    -------
    state : State
    at_least : float
        Lower bound of F. It contains estimated gaps, and so it is no proof.
    """
    objective, log, point, at_least = run.objective, run.log, state.point, 0.0
    if not is_far_off(objective, point.value):
        return state, at_least
    at_zero = _at_zero_logits(objective)
    temperature = point.value / at_zero
    while temperature > 1 and point.value > 0 and not run.has_ended:
        if log.stopped or state.method.has_spent_its_work or run.is_slow(point):
            break
        above = (temperature - 1) * at_zero
        tol = run.costs.cool_gap * min(1.0, above / point.value)
        tol = min(tol, run.tol / 4) if above <= run.limit(point) / 2 else tol
        easier = objective.at_temperature(temperature)
        found = _stage(easier, point, run, active, tol, is_bound=True)
        if found.look.converged and found.look.complete:
            gap = found.look.gap / (1 + found.look.gap) * found.point.value
            at_least = max(at_least, found.point.value - gap - above)
        point = run.evaluate(found.point.theta)
        log.accept(point)
        temperature /= run.costs.cooling
    return evolve(state, point=point), at_least


def _stage(
    easier: Objective, point: Point, run: Fit, active: WorkingSet, tol: float, *, is_bound: bool
) -> State:
    """Minimise an easier objective, with L1 or bounds, from a point, to get a start for the run.

    If its gap is part of a bound, it is looked at twice.
    """
    stage = Fit(
        fun=easier.value_gradient,
        log=Log(),
        tol=tol,
        max_iter=run.costs.cool_iterations,
        thorough=is_bound,
        objective=easier,
        costs=run.costs,
    )
    models = WorkingSet(easier)
    models.work = active.work
    start = _nonsmooth_state(stage, easier.to_user(point.theta), models)
    found, _ = by_descent(start, stage)
    active.work = models.work
    run.log.nhev += stage.log.nhev
    run.log.passes += stage.log.passes
    return found


def _relax(state: State, run: Fit, active: WorkingSet) -> State:
    """Lead a fit with L1 from a start far off to the optimum, by penalties from strong to weak.

    If there are few rows for the columns, and the penalty is so weak that nearly all coefficients
    would move, the minimum of a model far from the optimum has many times as many coefficients as
    the optimum. To find out which of them stay takes most of the work. The optimum of a stronger
    penalty has fewer coefficients, and is near the next one.
    """
    objective, log, point, costs = run.objective, run.log, state.point, run.costs
    penalised = (active.nonsmooth.weights > 0) & (active.scales.curvature > 0)
    few = objective.data.n_rows < costs.relaxing_rows * objective.layout.n_columns
    if log.stopped or not few or not penalised.any():
        return state
    slopes = np.abs(active.scales.centred.gradient(point.gradient)[penalised])
    shares = slopes / active.nonsmooth.weights[penalised]
    strongest = float(np.max(shares))
    if not costs.relaxing < strongest < np.inf or np.mean(shares > 1) < costs.relaxing_share:
        return state
    n_stages = int(np.ceil(np.log(strongest) / np.log(costs.relaxing)))
    for stronger in np.geomspace(strongest, 1, n_stages + 1)[1:-1]:
        C, l1_ratio = objective.penalty.C / stronger, objective.penalty.l1_ratio
        easier = objective.penalised(C, l1_ratio)
        stage = _stage(easier, point, run, active, costs.cool_gap, is_bound=False)
        nearer = run.evaluate(stage.point.theta)
        if not nearer.value <= point.value:
            break
        point = nearer
        log.accept(point)
        if log.stopped or run.has_ended or state.method.has_spent_its_work:
            break
        if run.prove_by_value(state.look, point).proven:
            break
    return evolve(state, point=point)


def _is_out_of_sight(run: Fit, theta: NDArray) -> bool:
    """Whether coefficients without a penalty start so far off that separation cannot be seen.

    If such coefficients separate rows, each step moves the logits of these rows by 1, as long as
    F falls by more than `tol` for that. Rows that begin farther off do not move at all.
    """
    W, b = run.objective.layout.unpack(run.objective.from_user(theta))
    free = run.objective.layout.pack(W * run.objective.penalty.free, b)
    if not free.any():
        return False
    run.log.passes += 1
    farthest, _ = run.objective.recession(free)
    return farthest > max(run.costs.in_sight, -np.log(run.tol) - run.costs.in_sight)


def _within_reach(run: Fit, theta: NDArray) -> NDArray:
    """Return a start at which the loss has curvature, so that steps lead towards the optimum.

    At zeros there is curvature, unless offsets make logits large. Then the optimum of a loss that
    is smooth at the size of the offsets is a start for a loss that is less smooth.
    """
    objective, costs, log = run.objective, run.costs, run.log
    plain = without_offset(objective.loss)
    if plain is objective.loss or isinstance(plain, AtTemperature):
        return theta
    value, _ = objective.value_gradient(objective.from_user(theta))
    log.passes += 1
    if not is_far_off(objective, value):
        return theta
    temperature = value / _at_zero_logits(objective)
    log.passes += 1
    while 1 < temperature < np.inf:
        found = minimize(
            objective.at_temperature(temperature),
            theta,
            solver="newton-cg",
            tol=costs.cool_gap,
            max_iter=costs.cool_iterations,
            whole=False,
        ).result
        theta = found.x
        log.passes += found.passes
        temperature /= costs.cooling
    return theta


def _at_zero_logits(objective: Objective) -> float:
    """Return F if all logits are zero."""
    other = copy(objective)
    other.loss = without_offset(objective.loss)
    return other.value_gradient(np.zeros(objective.layout.size))[0]


def _look_for_separation(
    state: State, run: Fit, solve: Solver
) -> tuple[State, Stop, tuple[NDArray, NDArray] | None]:
    """Find out whether coefficients without a penalty grow without bound, and why a fit stopped.

    Near an optimum the last steps are small. If features separate some rows of a class from the
    others, each step adds about 1 to the logits of these rows, however little F falls. (The very
    last step may not, because rounding hides such a direction in the end.) A move proves separation
    if no row's loss grows along it, however far it goes. The fit continues until it is clear
    whether it is near an optimum or separated.

    Source: Albert and Anderson, *On the existence of maximum likelihood estimates in logistic
    regression models*, 1984.
    """
    log, tol, stop = run.log, run.tol, Stop.GAP
    for _ in range(run.costs.separation_rounds):
        farthest, runaway = _farthest_move(run)
        if runaway is not None:
            look = evolve(state.look, converged=False)
            return evolve(state, look=look), Stop.QUASI_SEPARABLE, runaway
        if farthest < run.costs.still:
            break
        run = evolve(run, tol=run.tol / 10)
        log.moves = []
        state, stop = solve(evolve(state, look=evolve(state.look, converged=False)), run)
        if not state.look.converged:  # rounding, or max_iter; the first tol may still be met
            good = state.look.gap <= tol and not run.is_separable(state.point)
            state = evolve(state, look=evolve(state.look, converged=good))
            break
    return state, stop, None


def _farthest_move(run: Fit) -> tuple[float, tuple[NDArray, NDArray] | None]:
    """Return how far the last two moves go, and what grows if one of them proves separation.

    L-BFGS may go so far along such a direction that the next moves are small. If the last two are,
    the way from earlier points to the end is looked at, too.
    """
    most, latest = 0.0, run.log.moves[::-1]
    for i, direction in enumerate([*latest[:2], *np.cumsum(latest, axis=0)[2:]]):
        if i >= 2 and most >= run.costs.still:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            farthest, lost = run.objective.recession(direction)
        most = max(most, farthest) if i < 2 else most
        if farthest >= run.costs.still and lost <= run.costs.loses_nothing * farthest:
            return most, _growing(run.objective, direction)
    return most, None


def _growing(objective: Objective, move: NDArray) -> tuple[NDArray, NDArray]:
    """Return the outputs, and the features without a penalty, that a step moved most."""
    mean, square = objective.moments()
    D, d = objective.layout.unpack(move)
    moved = np.abs(D) * np.sqrt(variance_of(objective, mean, square)) * objective.penalty.free
    if objective.layout.fit_intercept:
        moved = np.column_stack([moved, np.abs(d + D @ mean)])
    most = moved >= objective.costs.growing * moved.max()
    return np.flatnonzero(most.any(axis=1)), np.flatnonzero(most[:, : D.shape[1]].any(axis=0))


def _refine(state: State, run: Fit) -> State:
    """Take Newton steps as long as the gap shrinks, while F changes only by rounding."""
    method, point, before = state.method, state.point, state.before
    products = max(run.costs.last_products, run.log.nhev // 2)
    look = method.estimate(point, run, before, max_products=products)
    for _ in range(run.costs.refinements):
        if look.converged or run.has_ended or not look.gap < 1:
            break
        farther = run.evaluate(point.theta + look.step)
        # If rounding cannot hide the gap, but F is higher after the step, the estimate is wrong.
        hidden = run.is_flat(look.gap * point.value / run.costs.hides, farther)
        if not (hidden or farther.value <= point.value):
            break
        closer = method.estimate(farther, run, before)
        if not (closer.converged or closer.gap < look.gap):
            look = evolve(closer, gap=look.gap, converged=False)
            break
        point, look = farther, closer
        run.log.accept(point)
    return evolve(state, point=point, look=look)


def _bounded(state: State, run: Fit) -> State:
    """Bound the gap by duality, if no model gave an estimate."""
    if np.isfinite(state.look.gap):
        return state
    most = run.relative(state.method.missed(state.point, np.inf), state.point)
    look = evolve(state.look, gap=most, complete=True, converged=most <= run.tol)
    return evolve(state, look=look)


def _in_range(state: State, run: Fit) -> State:
    """Check that the coefficients are in the range of the dtype of X."""
    user = run.objective.to_user(state.point.theta)
    largest = np.finfo(run.objective.data.stored_dtype).max
    fits = bool(np.abs(user).max() <= largest)
    return evolve(state, look=evolve(state.look, converged=fits))


def _storable(state: State, run: Fit) -> State:
    """Check that the gap is still small after the coefficients are rounded to the dtype of X.

    If columns are far from zero, the intercepts are large and lose digits.
    """
    objective, point, look = run.objective, state.point, state.look
    if objective.data.centre is None:
        return state
    user = objective.to_user(point.theta)
    dtype = objective.data.stored_dtype
    stored = objective.stored(user, dtype).astype(np.float64)
    lost = run.evaluate(objective.from_user(stored)).value - point.value
    if not abs(lost) > np.finfo(dtype).eps * point.value:
        return state
    gap = look.gap + run.relative(max(lost, 0.0), point)
    return evolve(state, look=evolve(look, gap=gap, converged=gap <= run.tol))


def _above_rounding(state: State, run: Fit) -> State:
    """Check that columns far from zero, without an intercept, leave enough digits for a small gap.

    If they do not, and X is small, the gradient is computed in the longest floats, and Newton steps
    are taken with it.
    """
    objective, theta, look = run.objective, state.point.theta, state.look
    hidden = rounding_without_intercept(objective, theta, state.point.value)
    if not hidden > run.tol:
        return state
    # Rounding errors have both signs. So their sum is less than the sum of their sizes.
    longest = float(np.finfo(np.longdouble).eps) / run.costs.slope_terms
    is_longer = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps
    is_longer &= objective.data.nbytes < run.costs.few_bytes
    for _ in range(run.costs.refinements if is_longer else 0):
        exact = _slowly(objective, theta)
        seen = state.method.estimate(exact, run, look.decrement)
        left = rounding_without_intercept(objective, theta, exact.value, longest)
        if seen.converged and seen.gap + left <= run.tol:
            return evolve(state, point=exact, look=evolve(seen, gap=seen.gap + left))
        if not seen.gap < 1:
            break
        theta = run.without_shift(theta + seen.step)
    return evolve(state, look=evolve(look, gap=look.gap + hidden, converged=False))


def _slowly(objective: Objective, theta: NDArray) -> Point:
    """Evaluate F in the longest floats."""
    value, gradient = objective.slowly(theta)
    if objective.nonsmooth is not None:
        value += objective.nonsmooth.value(theta)
    return Point(theta, value, gradient)


#: The checks that a small gap must pass, and why a fit ended if it fails one.
_LAST_CHECKS = {
    Stop.RANGE: _in_range,
    Stop.STORED: _storable,
    Stop.FAR: _above_rounding,
}
