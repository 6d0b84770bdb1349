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
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.exceptions import ConvergenceWarning

from ._objective import Objective
from ._preconditioner import (
    Whitening,
    class_whitening_cost,
    precondition,
    precondition_classes,
    take_sample,
)
from ._threads import threads


@dataclass(frozen=True)
class Method:
    """A method of `scipy.optimize.minimize`, and how it is told never to stop by itself.

    Attributes
    ----------
    name : str
    options : dict
    uses_hessian : bool
    iterations : int
        Iterations in one call, after which the variables may be changed. Newton-CG has no memory
        to lose, and its tolerances are absolute (it gives up where g' H g < 7e-16, and solves to
        sqrt(|g|)): called for one iteration at a time on a suitable multiple of F, it solves to
        the accuracy that is asked for, however small F is.
    """

    name: str
    options: dict[str, float]
    uses_hessian: bool
    iterations: int


#: A tolerance on the step that is never met; SciPy 1.12 needs it above zero.
_NEVER = 1e-300

LBFGS = Method(
    "L-BFGS-B",
    {"maxcor": 20, "maxfun": np.iinfo(np.int32).max, "maxls": 50, "ftol": 0, "gtol": 0},
    uses_hessian=False,
    iterations=100,
)
NEWTON_CG = Method("Newton-CG", {"xtol": _NEVER}, uses_hessian=True, iterations=1)

#: What each solver is.
SOLVERS = {"auto": NEWTON_CG, "lbfgs": LBFGS, "newton-cg": NEWTON_CG}

#: A line search that fails has run into rounding, or L-BFGS into a bad memory; starting again from
#: there drops the memory. This many failures in a row end the fit.
_FAILURES = 2
#: Newton systems are solved to a residual of the square root of what is left of the gradient or of
#: the gap, the larger, within these bounds. SciPy takes the upper one whenever |g| > 1/4, so that
#: there F can be scaled far away from its absolute tolerance on the curvature.
_FORCING = (0.01, 0.3)
_LOOSEST = 1e4
#: The same where products are on a sample, and cheap.
_FORCING_ON_SAMPLE = (0.01, 0.1)
#: Rows per parameter whose optimum is a good start, and whose Hessian is good enough for steps.
_ROWS_PER_PARAMETER = 40
#: A step on a sampled Hessian that leaves more than this of the gap asks for a larger sample.
_LITTLE = 0.3
#: Without a penalty a mean loss as small as this has no optimum but zero, at infinity.
_SEPARABLE = 1e-12
#: Hessian products that checks may take beyond as many as the solver took, and a last estimate.
_FREE_PRODUCTS = 100
#: The gap may be up to twice the decrement, which it is where the loss decays exponentially.
_MARGIN = 2
#: The part of the gap that a sum may still miss once it counts as settled. The Newton step taken at
#: the end is as exact, which decides how many digits of the coefficients agree.
_MISSING = 1e-4
#: Newton steps at most where the objective is flat to rounding but its gradient is not (float32).
_REFINEMENTS = 5
#: No eigenvalue of the Hessian is far above this in variables that were whitened near the point.
_LARGEST_EIGENVALUE = 2


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
    hessian: Callable[[NDArray], NDArray],
    *,
    limit: float,
    early: bool,
    max_products: int,
) -> Decrement:
    """Sum g' H^-1 g / 2 by conjugate gradients, until it has settled.

    From a zero start the iterate x of conjugate gradients has x' H x = -g' x, so that -g' x / 2 is
    what the quadratic model gains, and grows to the decrement. What is missing is r' H^-1 r / 2, r
    being the residual of H x = -g. The sum counts as settled when |r|^2 / (2 lambda) is small
    beside it, or beside `limit`, with lambda the smallest Ritz value so far, an estimate of the
    smallest eigenvalue that g excites (see Meurant and Tichy, *On computing quadrature-based bounds
    for the A-norm of the error in conjugate gradients*, 2013), and its last terms are small too.

    Parameters
    ----------
    gradient : ndarray
        The gradient g.
    hessian : callable
        Takes v and returns H v.
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
    found = Decrement(0.0, True, np.zeros_like(gradient))
    if not gradient.any():
        return found
    sums, lengths, norms = [0.0], [], [float(gradient @ gradient)]
    residual = -gradient
    product = gradient, gradient

    def matvec(v: NDArray) -> NDArray:
        nonlocal product
        product = v.copy(), hessian(v)
        return product[1]

    def callback(x: NDArray) -> None:
        nonlocal residual
        direction, curved = product
        length = float(direction @ (x - found.step) / (direction @ direction))
        residual = residual - length * curved
        gap = -float(gradient @ x) / 2
        if not 0 < gap < np.inf:  # curvature lost in rounding, or zero
            found.gap, found.complete = np.inf, False
            raise _EndOfSumError
        sums.append(gap)
        lengths.append(length)
        norms.append(float(residual @ residual))
        found.gap, found.step = gap, x.copy()
        small = _MISSING * max(gap, limit)
        window = max(3, len(sums) // 4)
        found.complete = (
            len(sums) > window
            and gap - sums[-1 - window] <= small
            and norms[-1] <= 2 * small * _smallest_ritz_value(lengths, norms)
        )
        if found.complete or (early and gap > limit):
            raise _EndOfSumError

    size = len(gradient)
    operator = LinearOperator((size, size), matvec=matvec, dtype=np.float64)
    # A singular Hessian makes conjugate gradients divide by zero, which the callback sees.
    with np.errstate(all="ignore"):
        try:
            _, failed = cg(
                operator, -gradient, rtol=1e-10, atol=0, maxiter=max_products, callback=callback
            )
        except _EndOfSumError:
            return found
    found.complete = not failed
    return found


def _smallest_ritz_value(lengths: list[float], norms: list[float]) -> float:
    """Smallest eigenvalue of the Lanczos matrix that conjugate gradients build."""
    alpha, squares = np.array(lengths), np.array(norms)
    beta = squares[1:-1] / squares[:-2]
    diagonal = 1 / alpha
    diagonal[1:] += beta / alpha[:-1]
    off = np.sqrt(beta) / alpha[:-1]
    return float(eigh_tridiagonal(diagonal, off, eigvals_only=True, select="i", select_range=(0, 0))[0])


@dataclass
class Report:
    """How a fit ended; `gap` is relative to the optimal objective."""

    gap: float
    result: OptimizeResult
    loss_curve: list[float]


class _Fit:
    """A fit in progress: the point, what is known there, and what it has cost.

    Parameters
    ----------
    objective : Objective
    theta : ndarray
        Start, in the user's variables.
    tol : float
    verbose : int
    """

    def __init__(self, objective: Objective, theta: NDArray, tol: float, verbose: int):
        self.objective = objective
        self.curvature = objective
        self.tol = tol
        self.verbose = verbose
        self.started = time.perf_counter()
        self.nfev = self.nhev = self.checking = 0
        self.passes = 0.0
        self.gap = np.inf
        self.converged = False
        self.step: NDArray | None = None
        self.scale = 1.0
        self._first_gradient: float | None = None
        self.rare_checks = False
        self._wait = self._waited = 0
        self.base = precondition(objective)
        self.variables: Whitening = self.base
        self.origin = self.theta = theta
        self.evaluate(theta)
        self.values = [self.value]

    def evaluate(self, theta: NDArray) -> None:
        """Go to theta."""
        self.nfev += 1
        self.passes += 1
        self.value, self.gradient = self.objective.value_gradient(theta)
        self.theta = theta
        self._hessian: Callable[[NDArray], NDArray] | None = None

    def product(self, v: NDArray) -> NDArray:
        """Hessian at theta times v, in the solver's variables."""
        if self._hessian is None:
            self._hessian = self.curvature.hessian(self.theta)
        self.nhev += 1
        self.passes += self.curvature.rows.n_rows / self.objective.rows.n_rows
        return self.variables.gradient(self._hessian(self.variables.to_user(v)))

    def fun(self, v: NDArray) -> tuple[float, NDArray]:
        """F and its gradient in the solver's variables and scale, v away from the origin."""
        theta = self.origin + self.variables.to_user(v)
        if not np.array_equal(theta, self.theta):
            self.evaluate(theta)
        return self.scale * self.value, self.scale * self.variables.gradient(self.gradient)

    def hessp(self, v: NDArray, direction: NDArray) -> NDArray:
        """Hessian product for Newton-CG, which asks at the origin only."""
        return self.scale * self.product(direction)

    def set_scale(self, *, loosest: bool) -> None:
        """Scale F so that Newton-CG, which solves to sqrt(|g|), solves to the forcing term."""
        size = np.abs(self.variables.gradient(self.gradient)).sum()
        if self._first_gradient is None:
            self._first_gradient = size
        tightest, most = _FORCING if self.curvature is self.objective else _FORCING_ON_SAMPLE
        progress = max(size / self._first_gradient, self.gap)
        if loosest or progress >= 0.25 <= most**2:
            self.scale = _LOOSEST / size
        else:
            self.scale = min(max(progress, tightest**2), most**2) / size

    def __call__(self, intermediate_result: OptimizeResult) -> None:
        """Take note of an iteration; raise StopIteration when the gap is small enough."""
        self.fun(intermediate_result.x)
        if self.value == self.values[-1]:
            return
        self.values.append(self.value)
        self.check()
        if self.verbose:
            self._print()
        if self.converged or self.separable:
            raise StopIteration

    @property
    def n_iter(self) -> int:
        """Iterations made."""
        return len(self.values) - 1

    @property
    def separable(self) -> bool:
        """Whether there is no optimum, because the loss alone goes to zero."""
        return self.objective.ridge == 0 and self.value <= _SEPARABLE

    @property
    def rough_gap(self) -> float:
        """The decrement if every eigenvalue of the Hessian were the largest: a lower bound."""
        gradient = self.variables.gradient(self.gradient)
        return float(gradient @ gradient) / (2 * _LARGEST_EIGENVALUE)

    def start_from(self, theta: NDArray) -> None:
        """Start from theta instead, if it is lower."""
        before = self.theta, self.value, self.gradient
        self.evaluate(theta)
        if self.value > before[1]:
            self.theta, self.value, self.gradient = before
        self.origin, self.values = self.theta, [self.value]

    @property
    def limit(self) -> float:
        """The gap, by the decrement, that keeps the promise of tol.

        F - gap estimates F*, and gap <= tol * (F - gap) is the promise.
        """
        return self.tol * self.value / (1 + self.tol) / _MARGIN

    def check(self) -> None:
        """Estimate the gap at theta, roughly by the gradient unless it may be small enough.

        Failed checks of L-BFGS grow rarer, so that they stay a fraction of its work.
        """
        rough = self.rough_gap
        self.gap = _relative(rough, self.value)
        if rough > self.limit:
            return
        self._waited += 1
        if self._waited > self._wait:
            self.settle(early=True)
            self._waited = 0
            if self.rare_checks:
                self._wait = min(2 * self._wait + 1, 15)

    def settle(self, *, early: bool) -> None:
        """Estimate the gap at theta by the decrement, as well as a bounded number of products tells."""
        before = self.nhev
        # Checks may take as many products as the solver has, and some for a start.
        allowed = self.nfev + self.nhev - 2 * self.checking + _FREE_PRODUCTS
        found = newton_decrement(
            self.variables.gradient(self.gradient),
            self.product,
            limit=self.limit,
            early=early,
            max_products=max(allowed, _FREE_PRODUCTS),
        )
        self.checking += self.nhev - before
        self.gap = _relative(found.gap, self.value)
        self.converged = found.complete and found.gap <= self.limit and not self.separable
        self.step = found.step

    def take_newton_step(self) -> bool:
        """Go where the last check points, if that is lower: its products are paid for."""
        assert self.step is not None
        before = self.theta, self.value, self.gradient
        self.evaluate(self.theta + self.variables.to_user(self.step))
        if self.value < before[1]:
            self.values.append(self.value)
            return True
        self.theta, self.value, self.gradient = before
        return False

    def refine(self, max_iter: int) -> None:
        """Take Newton steps as long as they shrink the gap, where F is flat to rounding."""
        for _ in range(_REFINEMENTS):
            if self.converged or self.n_iter >= max_iter or not self.gap < 1:
                return
            before, gap = (self.theta, self.value, self.gradient), self.gap
            assert self.step is not None
            self.evaluate(self.theta + self.variables.to_user(self.step))
            self.settle(early=False)
            if not (self.converged or self.gap < gap):
                self.theta, self.value, self.gradient = before
                self.gap = gap
                return
            self.values.append(self.value)

    def _print(self) -> None:
        print(
            f"iteration {self.n_iter:4d}  objective {self.value * self.objective.scale:.10e}"
            f"  gap {self.gap:.1e}  passes {self.passes:7.1f}"
            f"  {time.perf_counter() - self.started:8.3f} s"
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
        Iterations at most.
    verbose : int
        Whether to print a line per iteration.

    Returns
    -------
    Report
    """
    message = ""
    with threads:
        fit = _start(objective, theta, solver=solver, tol=tol, max_iter=max_iter, verbose=verbose)
        fit.check()
        if not fit.converged:
            message = _iterate(fit, SOLVERS[solver], max_iter)
        if fit.separable:
            fit.gap = np.inf
        elif not fit.converged:
            fit.settle(early=False)
            fit.refine(max_iter)
        elif fit.n_iter < max_iter:
            fit.take_newton_step()
    if fit.converged:
        message = f"The estimated relative gap, {fit.gap:.1e}, is at most tol={tol:g}."
    result = OptimizeResult(
        x=fit.theta,
        fun=fit.value * objective.scale,
        jac=fit.gradient * objective.scale,
        nit=fit.n_iter,
        nfev=fit.nfev,
        njev=fit.nfev,
        nhev=fit.nhev,
        passes=fit.passes,
        success=fit.converged,
        status=int(not fit.converged),
        message=message,
    )
    loss_curve = [value * objective.scale for value in fit.values[1:] or fit.values]
    return Report(fit.gap, result, loss_curve)


def _start(
    objective: Objective, theta: NDArray, *, solver: str, tol: float, max_iter: int, verbose: int
) -> _Fit:
    """Begin a fit, with curvature from a sample and at its optimum where rows are plenty."""
    sample = take_sample(objective, times=_ROWS_PER_PARAMETER)
    if sample is objective:
        return _Fit(objective, theta, tol, verbose)
    # The optimum of a sample is off by about size / (2 m): what is closer to it is not closer.
    rough = objective.size / (20 * sample.rows.n_rows)
    found = minimize(
        sample, theta, solver=solver, tol=max(tol, rough), max_iter=min(max_iter, 30), verbose=0
    )
    fit = _Fit(objective, theta, tol, verbose)
    fit.passes += found.result.passes * sample.rows.n_rows / objective.rows.n_rows
    fit.start_from(found.result.x)
    fit.curvature = sample
    return fit


def _iterate(fit: _Fit, method: Method, max_iter: int) -> str:
    """Run a method until the fit is content or nothing more is gained; say why it ended."""
    fit.rare_checks = not method.uses_hessian
    times = _ROWS_PER_PARAMETER
    failures = 0
    while failures < _FAILURES:
        if fit.n_iter >= max_iter:
            return MAX_ITER
        fit.origin, before, work = fit.theta, fit.value, fit.nfev + fit.nhev
        distance = fit.rough_gap
        fit.set_scale(loosest=failures > 0)
        found = scipy_minimize(
            fit.fun,
            np.zeros(len(fit.theta)),
            jac=True,
            hessp=fit.hessp if method.uses_hessian else None,
            method=method.name,
            callback=fit,
            options={**method.options, "maxiter": min(max_iter - fit.n_iter, method.iterations)},
        )
        fit.fun(found.x)
        if fit.converged:
            return ""
        if fit.separable:
            return SEPARABLE
        failures = 0 if fit.value < before else failures + 1
        if fit.curvature is not fit.objective and fit.rough_gap > _LITTLE * distance:
            times *= 4
            fit.curvature = take_sample(fit.objective, times=times)
            fit._hessian = None
        if fit.nfev + fit.nhev - work > class_whitening_cost(fit.curvature):
            fit.variables = precondition_classes(fit.base, fit.curvature, fit.theta)
    return PRECISION


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
