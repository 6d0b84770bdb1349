"""Solvers: the steps of a fit, the stopping rule, the report.

The stopping rule is the same for every solver. The gap to the optimum is estimated by the Newton
decrement

    gap = g' H^-1 g / 2

(`decrement`). H^-1 g comes from conjugate gradients on Hessian products, which find the Newton
step at the same time. Far from the optimum they end early; where the decrement is small
enough to stop they are solved out, and the step is taken all the same.

The variables of the steps decide how many products they take (`variables`). They are
changed between iterations, whenever a step took more products than a better change would cost:

    rows, parameters                       variables                    curvature
    ---------------------------------------------------------------------------------------
    few of both                            `Jointly`, at every point    all rows
    rows >= 3 * 40 per parameter           `Whitened`, `ClassWhitened`  a sample, copied once
    many, sparse                           `Whitened`                   all rows, in float32
    anything else                          `Whitened`, `ClassWhitened`  all rows
    conjugate gradients take long          `Jointly`, if it fits        all rows

Where rows are plenty the fit starts at the optimum of the sample, which it finds in the same way.
Sparse rows, and all vectors of conjugate gradients on them, are rounded to float32 until a gap is
small enough; then the Newton step is taken, and what is left estimated in full precision.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from .._callbacks import OnIteration
from .._problem.objective import Objective
from .._threads import threads
from .decrement import Decrement
from .fit import FAR_BELOW, FAST, Fit, is_far_off, relative
from .methods import SOLVERS, Method, ScipyMethod, method_of, newton_cg, proximal_newton, search
from .stop import Report, Stop
from .variables import (
    Whitening,
    class_scaling_cost,
    class_whitening_cost,
    columns_whitening_cost,
    joint_whitening_cost,
    precondition_classes,
    rounding_without_intercept,
    scale_classes,
    take_sample,
    whiten_many_columns,
)

#: A fit ends after this many line searches in a row that found nothing lower. One may be due to a
#: bad L-BFGS memory, which a restart drops; a second one is due to rounding.
_FAILURES = 2
#: A line search counts as failed if this many iterations gained less than the gap that matters.
_PATIENCE = 30
#: Rows per parameter of a sample whose optimum is a good start and whose Hessian makes good steps.
_ROWS_PER_PARAMETER = 40
#: A last step that changes no logit by more than this is no sign of separation.
_STILL = 0.1
#: A direction proves separation if no row loses more than this, per unit of the farthest logit.
_LOSES_NOTHING = 1e-5
#: Times that `tol` is divided by ten to tell separation from slow convergence.
_ROUNDS = 12
#: Coefficients are named as growing if they move more than this share of the largest move.
_MUCH = 0.3
#: The temperature is divided by this. With 100, half of the problems tried lost their way.
_COOLING = 10
#: Gap to which the optimum at one temperature is found, as a share of what the temperature adds to
#: F, at most.
_COOL = 0.1
#: Iterations at one temperature, at most.
_COOL_ITERATIONS = 30
#: Hessian products for the last estimate of the gap of a fit that did not converge, at least.
_LAST_PRODUCTS = 20
#: A last step must gain what it promised, but for this share: else the quadratic model, on which
#: the estimate of the gap rests, does not hold.
_TRUSTED = 0.1
#: If losses decay exponentially it gains 1.26 times its promise, and about 1.5 times at most, and
#: the decrement does not fall fast. If the promise is far below `limit` other errors are rounding.
_DECAYS = 0.5
#: Newton steps, at most, after F is flat to rounding while its gradient is not (float32).
_REFINEMENTS = 5
#: Rounding may hide a gap of this many times eps F: a logit has several terms, and each is rounded.
_HIDES = 100


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
    variables: Whitening | None = None,
    whole: bool = True,
) -> Report:
    """Minimise the objective from theta until the relative gap is at most tol.

    Parameters
    ----------
    objective : Objective
    theta : ndarray
        Start, in the user's units.
    solver : {"auto", "newton-cg", "lbfgs"} or callable
        A callable is a `method` as `scipy.optimize.minimize` takes it.
    tol : float
        Relative gap to the optimal objective to reach.
    max_iter : int
        Iterations at most.
    verbose : int, default=0
        Whether to print a line per iteration.
    label : str, default=""
        What each line begins with.
    on_iteration : callable, default=None
        Takes theta after each iteration, and returns whether to stop.
    variables : Whitening, default=None
        Those of a similar objective, to begin with.
    whole : bool, default=True
        Whether the objective is that of all rows, so that coefficients that grow without bound
        matter.

    Returns
    -------
    Report
    """
    with threads:
        fit = _start(objective, theta, solver=solver, tol=tol, max_iter=max_iter, verbose=verbose)
        fit.on_iteration, fit.thorough, fit.label = on_iteration, whole, label
        if variables is not None and fit.jointly is None and objective.nonsmooth is None:
            fit.variables = variables
        method = method_of(solver, objective)
        at_least = _cool(fit, max_iter) if method is proximal_newton else 0.0
        stop = Stop.CALLBACK if fit.stopped else _iterate(fit, method, max_iter)
        if stop is Stop.ROUNDING and method is SOLVERS["lbfgs"]:
            method = newton_cg  # whose line search needs fewer digits
            stop = _iterate(fit, method, max_iter)
        if fit.converged and whole:
            stop = _look_for_separation(fit, method, max_iter)
        elif stop is Stop.ROUNDING and whole:
            _farthest_move(fit)
            stop = Stop.ROUNDING if fit.runaway is None else Stop.QUASI_SEPARABLE
        if fit.separable or fit.runaway is not None:
            fit.gap = np.inf if fit.separable else fit.gap
            if fit.runaway is None and fit.moves:
                fit.runaway = _growing(fit, fit.moves[-1])
        elif fit.stopped:
            pass
        elif not fit.converged and objective.nonsmooth is None:
            fit.estimate_gap(max_products=max(_LAST_PRODUCTS, fit.nhev // 2))
            _refine(fit, max_iter)
        if stop is Stop.ROUNDING and callable(solver):
            stop = Stop.NOWHERE
        if fit.point.value - at_least <= fit.limit and not fit.objective.free.any():
            fit.gap = min(fit.gap, relative(fit.point.value - at_least, fit.point.value))
            fit.converged = fit.complete = True
        if fit.converged and not _is_in_range(fit):
            stop = Stop.RANGE
        if fit.converged and not _is_storable(fit):
            stop = Stop.STORED
        if fit.converged and not _is_above_rounding(fit):
            stop = Stop.FAR
        if verbose and fit.n_iter > fit.printed:
            fit.print()
    stop = Stop.GAP if fit.converged else stop
    message = stop.reason
    if fit.converged:
        message = f"The estimated relative gap, {fit.gap:.1e}, is at most tol={tol:g}."
    result = OptimizeResult(
        x=objective.stored(objective.to_user(fit.point.theta), np.float64),
        fun=fit.point.value * objective.scale,
        jac=objective.gradient_to_user(fit.point.gradient) * objective.scale,
        nit=fit.n_iter,
        nfev=fit.nfev,
        njev=fit.nfev,
        nhev=fit.nhev,
        passes=fit.passes,
        gap=fit.gap,
        seconds=np.array(fit.seconds[1:] or fit.seconds),
        success=fit.converged,
        status=int(not fit.converged),
        message=message,
    )
    loss_curve = [value * objective.scale for value in fit.values[1:] or fit.values]
    return Report(stop, fit.gap, fit.complete, result, loss_curve, fit.variables, fit.runaway)


def _start(
    objective: Objective,
    theta: NDArray,
    *,
    solver: str | ScipyMethod,
    tol: float,
    max_iter: int,
    verbose: int,
) -> Fit:
    """Begin a fit, with curvature from a sample and at its optimum where rows are plenty."""
    if objective.nonsmooth is not None:
        return Fit(objective, theta, tol, verbose, jointly=False)
    sample = take_sample(objective, _ROWS_PER_PARAMETER * objective.layout.size)
    small = (
        method_of(solver, objective) is newton_cg
        and joint_whitening_cost(objective, objective.layout.size) == 0
    )
    # Without a penalty nothing but whitening finds the directions that change no logit.
    fit = Fit(objective, theta, tol, verbose, jointly=small and objective.ridge > 0)
    if sample is objective:
        return fit
    # The optimum of m rows is about size / (2 m) above that of all rows: more digits are wasted.
    rough = objective.layout.size / (20 * sample.data.n_rows)
    found = minimize(
        sample, theta, solver=solver, tol=max(tol, rough), max_iter=min(max_iter, 30), whole=False
    ).result
    start = fit.evaluate(objective.from_user(found.x))
    fit.passes += found.passes * sample.data.n_rows / objective.data.n_rows
    if start.value < fit.point.value:
        fit.point, fit.values = start, [start.value]
        fit.seconds = [time.perf_counter() - fit.started]
    fit.curvature = sample
    return fit


def _cool(fit: Fit, max_iter: int) -> float:
    """Lead a fit that starts far off to the optimum by a loss that grows less smooth step by step.

    Bounds can keep logits so large that no loss has curvature: a step from there sees nothing of
    where the others are, and the optimum is that of a linear program in all but name. At a
    temperature of the size of the logits it is a smooth problem, whose optimum is a start for the
    next lower temperature. Every optimum bounds F from below.

    Returns
    -------
    float
        What F is at least.
    """
    objective, at_least = fit.objective, 0.0
    if not is_far_off(objective, fit.point.value):
        return at_least
    at_zero, _ = objective.value_gradient(np.zeros(objective.layout.size))
    temperature = fit.point.value / at_zero
    while temperature > 1 and fit.point.value > 0 and fit.n_iter < max_iter:
        if fit.stopped or fit.is_slow:
            break
        smoother = objective.at_temperature(temperature)
        above = (temperature - 1) * at_zero
        tol = _COOL * min(1.0, above / fit.point.value)
        tol = min(tol, fit.tol / 4) if above <= fit.limit / 2 else tol
        stage = Fit(smoother, objective.to_user(fit.point.theta), tol, 0, jointly=False)
        stage.active.work = fit.active.work
        _iterate(stage, proximal_newton, _COOL_ITERATIONS)
        if stage.converged and stage.complete:
            gap = stage.gap / (1 + stage.gap) * stage.point.value
            at_least = max(at_least, stage.point.value - gap - above)
        fit.active.work = stage.active.work
        fit.nhev += stage.nhev
        fit.passes += stage.passes
        fit.point = fit.evaluate(stage.point.theta)
        fit.accept()
        temperature /= _COOLING
    return at_least


def _iterate(fit: Fit, method: Method, max_iter: int) -> Stop:
    """Run a method until the fit is content or nothing more is gained; say why it ended."""
    if not fit.base.size:  # X is zero, and there is no intercept
        fit.take(Decrement(0.0, True, np.zeros(0)))
        return Stop.GAP
    failures = spent = 0
    while failures < _FAILURES:
        n_iter, work = fit.n_iter, fit.nfev + fit.nhev
        method(fit, max_iter)
        if fit.converged and fit.rounded:
            _confirm(fit, max_iter)
        if fit.converged and fit.n_iter < max_iter:
            before = fit.point
            kept = _take_newton_step(fit) and fit.left_out_nothing
            fit.converged = kept or fit.is_certain
            if not fit.converged and fit.point is before and method is not proximal_newton:
                search(fit)
        again = fit.converged and not fit.looking_again and fit.needs_second_look
        if fit.converged and not (again and fit.n_iter < max_iter):
            return Stop.GAP
        fit.looking_again = again
        fit.converged = False
        if fit.is_slow:
            return Stop.SLOW
        if fit.stopped:
            return Stop.CALLBACK
        if fit.separable:
            return Stop.SEPARABLE
        if fit.n_iter >= max_iter:
            return Stop.MAX_ITER
        stalled = fit.n_iter > _PATIENCE and fit.values[-_PATIENCE] - fit.values[-1] <= fit.limit
        failures = 0 if fit.n_iter > n_iter and not stalled else failures + 1
        if failures and fit.rounded:
            fit.be_exact()
            failures = 0
        work = fit.nfev + fit.nhev - work
        if method is proximal_newton or fit.jointly is not None:
            continue
        if work > columns_whitening_cost(fit.base, fit.objective):
            fit.base = fit.variables = whiten_many_columns(fit.objective)
        elif class_whitening_cost(fit.base, fit.curvature) == np.inf:
            spent += work
            if spent > class_scaling_cost(fit.base, fit.curvature):
                fit.base, fit.variables = scale_classes(fit.base, fit.objective, fit.point.theta)
        elif work > class_whitening_cost(fit.base, fit.curvature):
            fit.variables = precondition_classes(fit.base, fit.curvature, fit.point.theta)
    return Stop.ROUNDING


def _look_for_separation(fit: Fit, method: Method, max_iter: int) -> Stop:
    """Find out whether coefficients without a penalty grow without bound; say why a fit has failed.

    Near an optimum the last steps are small. Where features separate some rows of a class from the
    others each step adds about 1 to the logits of these rows, however little is gained by that.
    (The very last step may not: rounding hides such a direction in the end.) A move by which no row
    loses, at however many times its length, proves it. As long as it is not clear which of the two
    it is, the fit goes on.

    Source: Albert and Anderson, *On the existence of maximum likelihood estimates in logistic
    regression models*, 1984.
    """
    tol, stop = fit.tol, Stop.GAP
    for _ in range(_ROUNDS):
        farthest = _farthest_move(fit)
        if fit.runaway is not None:
            fit.converged, stop = False, Stop.QUASI_SEPARABLE
        if not fit.converged or farthest < _STILL:
            break
        fit.tol, fit.moves, fit.converged = fit.tol / 10, [], False
        stop = _iterate(fit, method, max_iter)
        if not fit.converged:  # rounding, or max_iter; it may be good enough all the same
            fit.converged = fit.gap <= tol and not fit.separable
            break
    fit.tol = tol
    return stop


def _farthest_move(fit: Fit) -> float:
    """How far the last moves go at most; note what grows, if no row loses by one that goes far."""
    most = 0.0
    for move in fit.moves:
        with np.errstate(over="ignore", invalid="ignore"):
            farthest, lost = fit.objective.recession(move)
        most = max(most, farthest)
        if farthest >= _STILL and lost <= _LOSES_NOTHING * farthest:
            fit.runaway = _growing(fit, move)
            break
    return most


def _growing(fit: Fit, move: NDArray) -> tuple[NDArray, NDArray]:
    """Return the outputs and the features without a penalty that a step moved most."""
    objective = fit.objective
    mean, square = objective.moments()
    D, d = objective.layout.unpack(move)
    moved = np.abs(D) * np.sqrt(np.maximum(square - mean**2, 0)) * objective.free
    if objective.layout.fit_intercept:
        moved = np.column_stack([moved, np.abs(d + D @ mean)])
    most = moved >= _MUCH * moved.max()
    return np.flatnonzero(most.any(axis=1)), np.flatnonzero(most[:, : D.shape[1]].any(axis=0))


def _take_newton_step(fit: Fit) -> bool:
    """Go where the last estimate points, if that is lower: its products are paid for.

    Where F is flat to rounding the gradient decides, and the iteration counts as the last one.
    Return whether the step gained what the estimate had promised.
    """
    before, square = fit.point, fit.square
    fit.point = fit.evaluate(before.theta + fit.variables.to_user(fit.step))
    gain = before.value - fit.point.value
    if gain > 0:
        fit.accept()
    elif fit.is_flat(gain) and fit.square < square:
        fit.values[-1] = fit.point.value
    else:
        fit.point = before
    error = gain - fit.decrement
    if abs(error) <= _TRUSTED * fit.decrement or fit.is_flat(error):
        return True
    if fit.decrement > FAR_BELOW * fit.limit or abs(error) > 0.5 * fit.limit:
        return False
    decays = 0 < error <= _DECAYS * fit.decrement
    return not decays or fit.decrement <= FAST * fit.decrement_before


def _confirm(fit: Fit, max_iter: int) -> None:
    """Take the Newton step and estimate the gap again, with the Hessian of rows as they are.

    After that step little is left, and few products tell.
    """
    if fit.n_iter < max_iter:
        _take_newton_step(fit)
    fit.be_exact()
    fit.estimate_gap()


def _refine(fit: Fit, max_iter: int) -> None:
    """Take Newton steps as long as they shrink the gap, where F is flat to rounding."""
    for _ in range(_REFINEMENTS):
        if fit.converged or fit.n_iter >= max_iter or not fit.gap < 1:
            return
        before, gap = fit.point, fit.gap
        fit.point = fit.evaluate(before.theta + fit.variables.to_user(fit.step))
        # A gap that rounding cannot hide is no gap if the step goes up.
        hidden = fit.is_flat(gap * before.value / _HIDES)
        if hidden or fit.point.value <= before.value:
            fit.estimate_gap()
            if fit.converged or fit.gap < gap:
                fit.accept()
                continue
        fit.point, fit.gap, fit.converged = before, gap, False
        return


def _is_in_range(fit: Fit) -> bool:
    """Whether the coefficients are numbers in the dtype of X."""
    user = fit.objective.to_user(fit.point.theta)
    fit.converged = bool(np.abs(user).max() <= np.finfo(fit.objective.data.stored_dtype).max)
    return fit.converged


def _is_storable(fit: Fit) -> bool:
    """Whether the gap is still small once the coefficients are rounded to the dtype of X.

    Intercepts of columns far from zero have few digits left for what matters.
    """
    objective = fit.objective
    if objective.data.centre is not None:
        user = objective.to_user(fit.point.theta)
        dtype = objective.data.stored_dtype
        stored = objective.stored(user, dtype).astype(np.float64)
        lost = fit.evaluate(objective.from_user(stored)).value - fit.point.value
        if abs(lost) > np.finfo(dtype).eps * fit.point.value:
            fit.gap += relative(max(lost, 0.0), fit.point.value)
            fit.converged = fit.gap <= fit.tol
    return fit.converged


def _is_above_rounding(fit: Fit) -> bool:
    """Whether columns far from zero, without an intercept, leave digits for a small gap."""
    hidden = rounding_without_intercept(fit.objective, fit.point.theta, fit.point.value)
    if hidden > fit.tol:
        fit.gap += hidden
        fit.converged = False
    return fit.converged
