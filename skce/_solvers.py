"""Solvers: which `scipy.optimize.minimize` method, its options, the stopping rule, the report.

The stopping rule is the same for every method. After an iteration the gap to the optimum is
estimated by the Newton decrement

    gap = g' H^-1 g / 2

which does not depend on the units of the features (Boyd and Vandenberghe, *Convex Optimization*,
2004, section 9.5.1). H^-1 g comes from SciPy's conjugate gradients on Hessian products. Their
iterates bound the decrement from below, so a check far from the optimum ends after a product or
two; only the last one is solved out, and the Newton step that it finds is then taken as well.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.exceptions import ConvergenceWarning

from ._objective import Objective
from ._preconditioner import Whitened, precondition
from ._threads import scipy_on_one_thread


@dataclass(frozen=True)
class Method:
    """A method of `scipy.optimize.minimize`, and how it is told never to stop by itself.

    Attributes
    ----------
    name : str
    options : dict
    uses_hessian : bool
    iterations : int
        Iterations in one call. Newton-CG has no memory, and its tolerances are absolute (it gives
        up where g' H g < 7e-16, and solves to sqrt(|g|)): called for one iteration at a time on a
        suitable multiple of F, it solves to the accuracy that is asked for, however small F is.
    wait_for_small_gain : bool
        Estimate the gap only once an iteration gains less than tol: while it gains more, the gap is
        larger than tol, and a Hessian product costs as much as an iteration of L-BFGS.
    """

    name: str
    options: dict[str, float]
    uses_hessian: bool
    iterations: int
    wait_for_small_gain: bool


#: A tolerance on the step that is never met; SciPy 1.12 needs it above zero.
_NEVER = 1e-300

_UNLIMITED = np.iinfo(np.int32).max

LBFGS = Method(
    "L-BFGS-B",
    {"maxcor": 20, "maxfun": _UNLIMITED, "maxls": 50, "ftol": 0, "gtol": 0},
    uses_hessian=False,
    iterations=_UNLIMITED,
    wait_for_small_gain=True,
)
NEWTON_CG = Method(
    "Newton-CG", {"xtol": _NEVER}, uses_hessian=True, iterations=1, wait_for_small_gain=False
)

#: What each solver is: methods, and the iterations after which the next one goes on from there.
#: L-BFGS is the faster one where it needs few iterations, which is on most data; where it needs
#: many, because the classes are nearly separable, it is curvature that helps.
SOLVERS = {
    "auto": ((LBFGS, 100), (NEWTON_CG, _UNLIMITED)),
    "lbfgs": ((LBFGS, _UNLIMITED),),
    "newton-cg": ((NEWTON_CG, _UNLIMITED),),
}

#: A line search that fails has run into rounding, or L-BFGS into a bad memory; starting again from
#: there drops the memory. This many failures in a row end the fit.
_FAILURES = 2
#: Newton systems are solved to a residual of the square root of what is left of the gradient or of
#: the gap, the larger, within these bounds. SciPy takes the upper one whenever |g| > 1/4, so that
#: there F can be scaled far away from its absolute tolerance on the curvature.
_FORCING = (0.01, 0.5)
_LOOSEST = 1e4
#: Without a penalty a mean loss as small as this has no optimum but zero, at infinity.
_SEPARABLE = 1e-12
#: Hessian products that checks may take beyond as many as the solver took, and a last estimate.
_FREE_PRODUCTS = 100
#: The last few terms of the decrement, in proportion, once it counts as summed. The Newton step
#: taken at the end is as exact, which decides how many digits of the coefficients agree.
_SUMMED = 1e-7
#: The part of the gap that a settled sum may still miss, by the bound of the penalty.
_MISSING = 0.1
#: Newton steps at most where the objective is flat to rounding but its gradient is not (float32).
_REFINEMENTS = 5


class _EndOfSumError(Exception):
    """Ends conjugate gradients from their callback."""


@dataclass
class Decrement:
    """The Newton decrement at a point.

    Attributes
    ----------
    gap : float
        Estimate of F - F*; a lower bound where `complete` is False.
    complete : bool
        Whether the sum has settled.
    step : ndarray
        The Newton step, as far as it was solved.
    """

    gap: float
    complete: bool
    step: NDArray


def newton_decrement(
    gradient: NDArray,
    hessian_product: Callable[[NDArray], NDArray],
    missing: Callable[[NDArray], float],
    *,
    limit: float,
    early: bool,
    max_products: int,
) -> Decrement:
    """Sum g' H^-1 g / 2 by conjugate gradients, until it has settled.

    From a zero start the iterate x of conjugate gradients has x' H x = -g' x, so that -g' x / 2 is
    what the quadratic model gains, and grows to the decrement. The sum counts as settled when its
    last terms are small beside it, or beside `limit`, and what is missing is small too: r being the
    residual of H x = -g, that is r' H^-1 r / 2, which the curvature of the penalty bounds. Where
    that bound is out of reach (no penalty, or next to none) the last terms must be small for longer
    (see Strakos and Tichy, *On error estimation in the conjugate gradient method*, 2002).

    Parameters
    ----------
    gradient : ndarray
        The gradient g.
    hessian_product : callable
        Takes v and returns H v.
    missing : callable
        Takes r and returns a bound of r' H^-1 r / 2.
    limit : float
        The gap that matters.
    early : bool
        Whether to stop as soon as the sum exceeds `limit`.
    max_products : int
        Hessian products at most.

    Returns
    -------
    Decrement
    """
    sums = [0.0]
    found = Decrement(0.0, True, np.zeros_like(gradient))
    if not gradient.any():
        return found
    residual = -gradient
    product = gradient, gradient

    def matvec(v: NDArray) -> NDArray:
        nonlocal product
        product = v.copy(), hessian_product(v)
        return product[1]

    def callback(x: NDArray) -> None:
        nonlocal residual
        direction, curved = product
        length = direction @ (x - found.step) / (direction @ direction)
        residual = residual - length * curved
        gap = -float(gradient @ x) / 2
        sums.append(gap)
        if not 0 < gap < np.inf:  # curvature lost in rounding, or zero
            found.gap, found.complete = np.inf, False
            raise _EndOfSumError
        found.gap, found.step = gap, x.copy()
        bounded = missing(residual) <= _MISSING * limit
        window = max(5, len(sums) // 4) if bounded else max(30, len(sums) // 2)
        small = _SUMMED * max(gap, limit)
        found.complete = len(sums) > window and gap - sums[-1 - window] <= small
        if found.complete or (early and gap > limit):
            raise _EndOfSumError

    size = len(gradient)
    hessian = LinearOperator((size, size), matvec=matvec, dtype=np.float64)
    # A singular Hessian makes conjugate gradients divide by zero, which the callback sees.
    with np.errstate(all="ignore"):
        try:
            _, failed = cg(
                hessian, -gradient, rtol=1e-10, atol=0, maxiter=max_products, callback=callback
            )
        except _EndOfSumError:
            return found
    found.complete = not failed
    return found


@dataclass
class Report:
    """How a fit ended; `gap` is relative to the optimal objective."""

    gap: float
    result: OptimizeResult
    loss_curve: list[float]


@dataclass
class _Monitor:
    """SciPy's callback: records the objective, estimates the gap, ends the fit."""

    problem: Whitened
    tol: float
    verbose: int
    values: list[float] = field(default_factory=list)
    nfev: int = 0
    nhev: int = 0
    converged: bool = False
    gap: float = np.inf
    scale: float = 1.0
    step: NDArray | None = None
    _last: tuple[NDArray, float, NDArray] | None = None
    _first_gradient: float | None = None
    rare_checks: bool = False
    _checking: int = 0
    _wait: int = 0
    _waited: int = 0
    _started: float = field(default_factory=time.perf_counter)

    def value_gradient(self, theta: NDArray) -> tuple[float, NDArray]:
        """Evaluate F, and remember the last point."""
        if self._last is None or not np.array_equal(self._last[0], theta):
            self.nfev += 1
            self._last = (theta.copy(), *self.problem.value_gradient(theta))
        return self._last[1:]

    @property
    def last(self) -> tuple[NDArray, float, NDArray]:
        """The last point, its F and gradient."""
        assert self._last is not None
        return self._last

    def hessian_product(self, theta: NDArray, v: NDArray) -> NDArray:
        """Hessian product, counted."""
        self.nhev += 1
        return self.problem.hessian_product(theta, v)

    def set_scale(self, gradient: NDArray, *, loosest: bool) -> None:
        """Scale F so that Newton-CG, which solves to sqrt(|g|), solves to the forcing term."""
        size = np.abs(gradient).sum()
        if self._first_gradient is None:
            self._first_gradient = size
        tightest, most = _FORCING
        progress = max(size / self._first_gradient, self.gap)
        if loosest or progress >= most**2:
            self.scale = _LOOSEST / size
        else:
            self.scale = max(progress, tightest**2) / size

    def scaled(self, theta: NDArray) -> tuple[float, NDArray]:
        """F and its gradient in SciPy's scale."""
        value, gradient = self.value_gradient(theta)
        return self.scale * value, self.scale * gradient

    def scaled_product(self, theta: NDArray, v: NDArray) -> NDArray:
        """Hessian product in SciPy's scale."""
        return self.scale * self.hessian_product(theta, v)

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        """Take note of an iteration; raise StopIteration when the gap is small enough."""
        theta = intermediate_result.x
        value, _ = self.value_gradient(theta)
        gain = self.values[-1] - value
        if gain == 0:
            return
        self.values.append(value)
        checking = self._is_time_to_check(gain, value)
        if checking:
            self.check(theta)
        if self.verbose:
            self._print(value, f">= {self.gap:.1e}" if checking else "not checked")
        if self.converged or self.separable:
            raise StopIteration

    @property
    def n_iter(self) -> int:
        """Iterations made."""
        return len(self.values) - 1

    @property
    def separable(self) -> bool:
        """Whether there is no optimum, because the loss alone goes to zero."""
        return self.problem.objective.ridge == 0 and self.last[1] <= _SEPARABLE

    def start(self, theta: NDArray) -> None:
        """Take note of the start, which may be good enough."""
        self.values.append(self.value_gradient(theta)[0])
        self.check(theta)

    def check(self, theta: NDArray) -> None:
        """Estimate the gap at theta and note whether it is at most tol."""
        self.value_gradient(theta)
        self._settle(early=True)

    def report(self) -> None:
        """Estimate the gap at the last point as well as a bounded number of products tells."""
        if self.separable:
            self.gap = np.inf
        else:
            self._settle(early=False)

    def refine(self, max_iter: int) -> None:
        """Take Newton steps as long as they shrink the gap, where F is flat to rounding."""
        for _ in range(_REFINEMENTS):
            if self.converged or self.n_iter >= max_iter or not self.gap < 1:
                return
            before, gap, step = self.last, self.gap, self.step
            assert step is not None
            value, _ = self.value_gradient(before[0] + step)
            self._settle(early=False)
            if not (self.converged or self.gap < gap):
                self._last, self.gap = before, gap
                return
            self.values.append(value)

    def _settle(self, *, early: bool) -> None:
        """Estimate the gap at the last point."""
        theta, value, gradient = self.last
        before = self.nhev
        # Checks may take as many products as the solver has, and some for a start.
        allowed = self.nfev + self.nhev - 2 * self._checking + _FREE_PRODUCTS
        found = newton_decrement(
            gradient,
            lambda v: self.hessian_product(theta, v),
            self.problem.missing,
            # F - gap estimates F*, and gap <= tol * (F - gap) is the promise.
            limit=self.tol * value / (1 + self.tol),
            early=early,
            max_products=max(allowed, _FREE_PRODUCTS),
        )
        self._checking += self.nhev - before
        self.gap = _relative(found.gap, value)
        self.converged = found.complete and self.gap <= self.tol and not self.separable
        self.step = found.step

    def take_newton_step(self) -> None:
        """Go where the last check points, if that is lower: its products are paid for."""
        before = self.last
        assert self.step is not None
        value, _ = self.value_gradient(before[0] + self.step)
        if value < before[1]:
            self.values.append(value)
        else:
            self._last = before

    def _is_time_to_check(self, gain: float, value: float) -> bool:
        if not self.rare_checks:
            return True
        if gain > self.tol * value:
            return False
        self._waited += 1
        if self._waited <= self._wait:
            return False
        # Failed checks grow rarer, so that they stay a fraction of the work.
        self._wait, self._waited = min(2 * self._wait + 1, 15), 0
        return True

    def _print(self, value: float, gap: str) -> None:
        objective = value * self.problem.objective.scale
        print(
            f"iteration {self.n_iter:4d}  objective {objective:.10e}"
            f"  gap {gap:11}  passes {self.nfev + self.nhev:5d}"
            f"  {time.perf_counter() - self._started:8.3f} s"
        )


def _relative(gap: float, value: float) -> float:
    """Gap relative to the estimated optimum value - gap."""
    if gap == 0:
        return 0.0
    return gap / (value - gap) if gap < value else np.inf


def minimize(
    objective: Objective, theta: NDArray, *, solver: str, tol: float, max_iter: int, verbose: int
) -> Report:
    """Minimise the objective from theta until the relative gap is at most tol.

    Parameters
    ----------
    objective : Objective
    theta : ndarray
        Start, in the user's units.
    solver : {"auto", "newton-cg", "lbfgs"}
    tol : float
        Relative gap to the optimal objective to reach.
    max_iter : int
        Outer iterations at most.
    verbose : int
        Whether to print a line per iteration.

    Returns
    -------
    Report
    """
    problem = precondition(objective)
    monitor = _Monitor(problem, tol, verbose)
    x = problem.from_user(theta)
    monitor.start(x)
    message = ""
    with scipy_on_one_thread:
        for method, iterations in SOLVERS[solver]:
            if not monitor.converged and message != SEPARABLE:
                until = min(max_iter, monitor.n_iter + iterations)
                x, message = _iterate(monitor, method, x, until)
        if not monitor.converged:
            monitor.report()
            monitor.refine(max_iter)
        elif monitor.n_iter < max_iter:
            monitor.take_newton_step()
    if monitor.converged:
        message = f"The estimated relative gap, {monitor.gap:.1e}, is at most tol={tol:g}."
    point, value, gradient = monitor.last
    result = OptimizeResult(
        x=problem.to_user(point),
        fun=value * objective.scale,
        jac=problem.user_gradient(gradient) * objective.scale,
        nit=monitor.n_iter,
        nfev=monitor.nfev,
        njev=monitor.nfev,
        nhev=monitor.nhev,
        success=monitor.converged,
        status=int(not monitor.converged),
        message=message,
    )
    loss_curve = [value * objective.scale for value in monitor.values[1:] or monitor.values]
    return Report(monitor.gap, result, loss_curve)


def _iterate(monitor: _Monitor, method: Method, x: NDArray, max_iter: int) -> tuple[NDArray, str]:
    """Run a method until the monitor is content or nothing more is gained; say why it ended."""
    monitor.rare_checks = method.wait_for_small_gain
    failures = 0
    while failures < _FAILURES:
        if monitor.n_iter >= max_iter:
            return x, MAX_ITER
        before, gradient = monitor.value_gradient(x)
        left = max_iter - monitor.n_iter
        monitor.set_scale(gradient, loosest=failures > 0)
        result = scipy_minimize(
            monitor.scaled,
            x,
            jac=True,
            hessp=monitor.scaled_product if method.uses_hessian else None,
            method=method.name,
            callback=monitor,
            options={**method.options, "maxiter": min(left, method.iterations)},
        )
        x = result.x
        if monitor.converged:
            return x, ""
        if monitor.separable:
            return x, SEPARABLE
        value, _ = monitor.value_gradient(x)
        failures = 0 if value < before else failures + 1
    return x, PRECISION


MAX_ITER = "max_iter was reached"
PRECISION = "the line search found nothing lower in the precision of X"
SEPARABLE = "the classes are separable and the loss goes to zero as the coefficients grow"


def warn_if_not_converged(
    report: Report, *, tol: float, unpenalised: bool, dtype: DTypeLike
) -> None:
    """Issue a ConvergenceWarning that says how close the fit is, why it stopped and what to do."""
    if report.result.success:
        return
    reached = (
        f"within an estimated relative gap of {report.gap:.1e} of the optimum"
        if np.isfinite(report.gap)
        else "at an unknown distance from the optimum"
    )
    remedies = {
        MAX_ITER: "Increase max_iter, or increase tol.",
        PRECISION: "Increase tol, or pass X as float64."
        if np.dtype(dtype) == np.float32
        else "Increase tol.",
        SEPARABLE: "There is no optimum with C=inf: set a finite C.",
    }
    reason = report.result.message
    remedy = remedies[reason]
    if unpenalised and reason != SEPARABLE:
        remedy += " With C=inf there may be no optimum at all: a finite C makes it exist."
    warnings.warn(
        f"SoftmaxClassifier stopped {reached} after {report.result.nit} iterations, because "
        f"{reason}; tol={tol:g} was asked for. {remedy}",
        ConvergenceWarning,
        stacklevel=4,
    )
