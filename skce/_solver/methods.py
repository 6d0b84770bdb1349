"""Methods: what makes the iterations of a fit, and the searches along their steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize

from .._checks import check_numbers
from .._problem.objective import Objective
from .decrement import SOLVED, Decrement
from .fit import TRUNCATION, Fit, Point, relative
from .variables import Jointly, joint_whitening_cost, take_sample

#: Options with which SciPy's L-BFGS-B does not stop by itself.
_LBFGS = {"maxcor": 20, "maxfun": np.iinfo(np.int32).max, "maxls": 50, "ftol": 0, "gtol": 0}
#: Iterations of a method of SciPy before the variables may change, which makes it forget its past
#: gradients.
_SCIPY_ITERATIONS = 100
#: Conjugate gradients end at most at this many times the relative error of the quadratic model in
#: the last step, as a share of their average gain: an exact model is worth solving further. Text
#: with C = 1 took 13 products and 6 iterations less.
_TRUNCATION_PER_ERROR = 3
#: A step must gain at least this share of what the slope promises (the Armijo condition).
_ENOUGH = 1e-4
#: Lengths that a line search tries at most.
_BACKTRACKS = 20
#: A step that gains more than this share of what the slope promises is lengthened.
_STRAIGHT = 0.75
#: If a step with the Hessian of a sample leaves more than this share of the gap, the next sample is
#: larger.
_LITTLE = 0.3
#: Share of the gap that an estimate during a method of SciPy may miss; its last point is farther
#: away.
_MISSING_SCIPY = 1e-6


#: A `method` as `scipy.optimize.minimize` takes it.
ScipyMethod = Callable[..., OptimizeResult]

#: Makes some iterations of a fit, up to a number of them in all.
Method = Callable[[Fit, int], None]


def newton_cg(fit: Fit, max_iter: int) -> None:
    """One iteration: a Newton step by conjugate gradients, and a search along it.

    SciPy's `minimize(method="Newton-CG")` ends its conjugate gradients by the sum of absolute
    gradients, where the gain of the quadratic model tells how far is enough (on text with C = 100
    that took four times the passes), and keeps to itself what is also the estimate of the gap.
    """
    joint_cost = joint_whitening_cost(fit.objective, fit.base.size)
    if fit.jointly is None and fit.last_products >= joint_cost < np.inf:
        fit.jointly = Jointly(fit.base, fit.objective)
    before, fit.decrement_before = fit.nhev, fit.decrement
    if fit.jointly is not None:
        fit.variables = fit.jointly.at(fit.point.theta)
        fit.work += fit.base.size**2 * (2 * fit.objective.data.n_rows + fit.base.size / 3)
        _look_at_gradient(fit)
    else:
        fit.estimate_gap(fit.truncation)
    fit.converged = fit.converged and fit.settled
    fit.last_products = fit.nhev - before if np.isfinite(fit.decrement) else np.inf
    if fit.verbose and fit.n_iter:
        fit.print()
    if fit.converged or fit.separable or fit.n_iter >= max_iter:
        return
    distance = fit.rough_gap if fit.sampled else 0.0
    search(fit)
    if fit.sampled and fit.rough_gap > _LITTLE * distance:
        fit.curvature = take_sample(fit.objective, 4 * fit.curvature.data.n_rows)


def _look_at_gradient(fit: Fit) -> None:
    """Estimate the gap where the Hessian is the identity, which is checked if it is small."""
    fit.step = -fit.gradient
    square = float(fit.step @ fit.step)
    fit.decrement = square / 2
    fit.gap = relative(fit.decrement, fit.point.value)
    if not fit.decrement > fit.limit:
        curved, user_curved = fit.product(fit.step)
        residual = fit.step - curved
        solved = residual @ residual <= SOLVED * square
        missed = fit.variables.missed(fit.point.gradient + user_curved)
        if solved and (missed <= fit.limit - fit.decrement or missed == np.inf):
            fit.take(Decrement(fit.decrement, True, fit.step))
        else:
            fit.estimate_gap()


def search(fit: Fit) -> None:
    """Backtrack along the Newton step until F is low enough, by a parabola through what is known.

    Where rounding takes the difference of F, a gradient of half the square is as good.

    Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 3.5.
    """
    origin, square = fit.point, fit.square
    slope, direction = float(fit.gradient @ fit.step), fit.variables.to_user(fit.step)
    length = 1.0
    for _ in range(_BACKTRACKS):
        fit.point = fit.evaluate(origin.theta + length * direction)
        gain = origin.value - fit.point.value
        lower = gain >= -_ENOUGH * length * slope and gain > 0
        if lower or (length == 1 and fit.is_flat(gain) and fit.square <= square / 2):
            if not fit.is_flat(gain):
                _lengthen(fit, origin, direction, slope, length)
            fit.accept()
            error = abs(gain / fit.decrement - 1) if length == 1 else 1
            error = 0 if fit.is_flat(gain) else error
            fit.truncation = min(TRUNCATION, _TRUNCATION_PER_ERROR * error)
            return
        curvature = -(gain + length * slope) / length**2
        length = float(np.clip(-slope / (2 * curvature), length / 10, length / 2))
    fit.point = origin


def _lengthen(fit: Fit, origin: Point, direction: NDArray, slope: float, length: float) -> None:
    """Go farther along a step that gained nearly all that its slope promises.

    There is next to no curvature along it, as where logits are so far off that every probability is
    zero or one, or it was cut too short. A whole step of Newton's method gains a half of it.
    """
    factor = 1.0
    while origin.value - fit.point.value >= _STRAIGHT * length * -slope > 0:
        before, factor = fit.point, 2 * factor if length >= 1 else 2
        length *= factor
        fit.point = fit.evaluate(origin.theta + length * direction)
        if not fit.point.value < before.value:
            fit.point = before
            return


def proximal_newton(fit: Fit, max_iter: int) -> None:
    """One iteration with L1 or bounds: a step to the minimum of a model on some coefficients."""
    fit.decrement_before = fit.decrement
    origin, nonsmooth = fit.point, fit.active.nonsmooth
    some, complete = fit.active.choose(origin.theta, fit.gradient)
    least, made = fit.active.minimum(
        origin.theta, origin.gradient, some, limit=fit.limit, most=origin.value
    )
    target, gain = least.x, least.gain
    fit.nhev += made
    fit.passes += made
    complete = complete and least.solved and not fit.active.damping
    fit.take(Decrement(gain, complete, target - origin.theta), least.left if complete else 0.0)
    fit.converged = fit.converged and fit.settled
    if fit.verbose and fit.n_iter:
        fit.print()
    if fit.converged or fit.separable or fit.n_iter >= max_iter:
        return
    slope = float(origin.gradient @ fit.step)
    slope += nonsmooth.value(target) - nonsmooth.value(origin.theta)
    gained, share = 0.0, 0.0
    for length in 0.5 ** np.arange(_BACKTRACKS):
        # In full, so that zeros and bounds are exact.
        fit.point = fit.evaluate(target if length == 1 else origin.theta + length * fit.step)
        gained = origin.value - fit.point.value
        if gained > 0 and gained >= -_ENOUGH * length * slope:
            share = gained / gain if gain > 0 else 0.0
            if not fit.is_flat(gained):
                _lengthen(fit, origin, fit.step, slope, length)
            fit.accept()
            break
    else:
        fit.point = origin
    fit.active.judge(np.inf if fit.is_flat(gain) else share)


def by_scipy(
    fit: Fit, max_iter: int, *, method: str | ScipyMethod, options: dict[str, Any]
) -> None:
    """Make some iterations of a method of `scipy.optimize.minimize`.

    The gap is estimated where the gradient may be small enough. Estimates that fail grow rarer, so
    that they stay a fraction of the work. A method that does not call back makes one iteration.
    """
    wait = waited = 0
    raised: list[StopIteration] = []
    best = fit.point

    def callback(intermediate_result: OptimizeResult) -> None:
        nonlocal wait, waited, best
        fit.fun(getattr(intermediate_result, "x", intermediate_result))
        if fit.point.value == fit.values[-1]:
            return
        try:
            fit.accept()
        except StopIteration as error:  # by a user's callback: SciPy takes it for its own signal
            raised.append(error)
            raise
        best = fit.point if fit.point.value <= best.value else best
        fit.gap = relative(fit.rough_gap, fit.point.value)
        waited += fit.rough_gap <= fit.limit
        if waited > wait:
            fit.estimate_gap(np.inf, missing=_MISSING_SCIPY)
            wait, waited = min(2 * wait + 1, 15), 0
        if fit.verbose:
            fit.print()
        if fit.converged or fit.separable or fit.stopped:
            raise StopIteration

    fit.origin, fit._last_v = fit.point, None
    iterations = min(max_iter - fit.n_iter, _SCIPY_ITERATIONS)
    start = np.zeros(fit.variables.size)
    arguments = {"jac": True, "callback": callback, "options": {**options, "maxiter": iterations}}
    if callable(method):
        arguments["hessp"] = fit.hessp
    try:
        found = _checked(scipy_minimize(fit.fun, start, method=method, **arguments), len(start))
    except StopIteration:  # SciPy's own methods take it for the end, others may not
        found = None
    if raised:
        raise raised[0]
    if found is not None:
        fit.fun(found)
    if callable(method):
        if fit.point.value < best.value:
            best = fit.point
            fit.accept()
        fit.point = best
        if fit.converged and best is not fit._accepted:
            fit.converged = False


def _checked(result: Any, size: int) -> NDArray:
    """Return what a method found, if that is a point."""
    x = check_numbers(getattr(result, "x", ()), "x of what solver returned").astype(np.float64)
    if x.shape != (size,) or not np.isfinite(x).all():
        raise ValueError(
            f"solver must return an OptimizeResult whose x is finite and of shape ({size},), as x0 "
            f"is, but that of {result!r:.60} has shape {x.shape}"
            f"{'' if x.shape != (size,) else ' and is not finite'}."
        )
    return x


#: What each solver is.
SOLVERS: dict[str, Method] = {
    "auto": newton_cg,
    "lbfgs": partial(by_scipy, method="L-BFGS-B", options=_LBFGS),
    "newton-cg": newton_cg,
}


def method_of(solver: str | ScipyMethod, objective: Objective) -> Method:
    """Return what makes the iterations."""
    if callable(solver):
        if objective.nonsmooth is not None:
            raise ValueError(
                "solver is a callable, which minimises smooth functions: with l1_ratio above 0 or "
                'coef_bounds use solver="auto".'
            )
        return partial(by_scipy, method=solver, options={})
    return SOLVERS[solver] if objective.nonsmooth is None else proximal_newton
