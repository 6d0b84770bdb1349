"""Maximum of the likelihood, or of Firth's penalised likelihood, with some coefficients held.

The penalised log-likelihood is l + log det(I) / 2. I is the Fisher information of the free
coefficients. For a categorical loss these are the coefficients of all classes but one, whose
logits are zero. Each step is a step of Fisher scoring, I^-1 times the gradient. It is halved until
the objective falls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from ._fit import Fit
from ._sums import firth_gradient, value_gradient

#: Largest number of halvings of a step.
_HALVINGS = 30
#: If this many steps in a row are no shorter than an earlier one, and shorter than _SHORT standard
#: errors, only rounding is left.
_STALLED, _SHORT = 3, 1e-3
#: Relative amount that rounding may add to the objective.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Problem:
    """A likelihood to maximise.

    Attributes
    ----------
    fit : Fit
        The fit whose rows are used.
    is_firth : bool
        Whether there is Firth's penalty.
    reference : int or None
        The class whose logits are zero, for a categorical loss.
    """

    fit: Fit
    is_firth: bool
    reference: int | None

    @property
    def free(self) -> NDArray:
        """Whether each coefficient belongs to a free class, shape (K d,)."""
        K, d = self.fit.theta.shape
        return np.repeat(np.arange(K) != (-1 if self.reference is None else self.reference), d)

    def at(self, theta: NDArray) -> Point:
        """Return what is minimised at coefficients of shape (K, d), and its derivatives."""
        fit = replace(self.fit, theta=theta)
        (K, d), free = theta.shape, self.free
        H = fit.information()
        if self.is_firth:
            inverse, log_determinant = _inverse(H[np.ix_(free, free)])
            whole = np.zeros((K * d, K * d))
            whole[np.ix_(free, free)] = inverse
            value, G = fit.sum(firth_gradient, fit.in_variables, whole.reshape(K, d, K, d))
            value -= log_determinant / 2
        else:
            value, RX, R1 = fit.sum(value_gradient)
            G = RX if d == RX.shape[1] else np.column_stack([RX, R1])
        return Point(theta, float(value), G.ravel(), H)


@dataclass(frozen=True, eq=False)
class Point:
    """Coefficients, and minus the penalised log-likelihood there.

    Attributes
    ----------
    theta : ndarray of shape (K, d)
    value : float
    gradient : ndarray of shape (K d,)
    H : ndarray of shape (K d, K d)
        Fisher information.
    """

    theta: NDArray
    value: float
    gradient: NDArray
    H: NDArray


@dataclass(frozen=True, eq=False)
class Optimum:
    """The last point, with the size of the last step in standard errors, and iterations.

    Attributes
    ----------
    point : Point
    distance : float
    n_iter : int
    is_stopped : bool, default=False
        Whether it was told to stop.
    """

    point: Point
    distance: float
    n_iter: int
    is_stopped: bool = False


def maximise(
    problem: Problem,
    theta: NDArray,
    free: NDArray,
    tol: float,
    max_iter: int,
    hold: NDArray | None = None,
    stops: Callable[[NDArray], bool] | None = None,
    verbose: int = 0,
) -> Optimum:
    """Find the coefficients of the largest penalised likelihood.

    Parameters
    ----------
    problem : Problem
    theta : ndarray of shape (K, d)
        Start. Coefficients that are not free keep these values.
    free : ndarray of bool, shape (K d,)
    tol : float
        Size of a step that ends the search, in standard errors.
    max_iter : int
    hold : ndarray of shape (K d,), default=None
        Combination of the coefficients that is held.
    stops : callable, default=None
        Takes the coefficients after each step, and returns whether to stop.
    verbose : int, default=0
        Whether to print a line for each iteration.

    Returns
    -------
    Optimum
    """
    point, distance, shortest, stalled = problem.at(theta), np.inf, np.inf, 0
    for n_iter in range(1, max_iter + 1):
        step, distance = _scoring_step(point, free, hold)
        stalled = 0 if distance < shortest else stalled + 1
        shortest = min(shortest, distance)
        if verbose:
            print(f"{n_iter:4d}  {-point.value:.10g}  {distance:.1e}", flush=True)
        nearer = _search(problem, point, step)
        if nearer is None:
            return Optimum(point, distance, n_iter)
        point = nearer
        is_stopped = stops is not None and stops(point.theta)
        if is_stopped or distance <= tol or (stalled >= _STALLED and distance < _SHORT):
            return Optimum(point, distance, n_iter, is_stopped)
    return Optimum(point, distance, max_iter)


def _scoring_step(point: Point, free: NDArray, hold: NDArray | None) -> tuple[NDArray, float]:
    """Return the step of Fisher scoring, and its size in standard errors."""
    step = -_solve(point, free, point.gradient)
    if hold is not None:
        along = _solve(point, free, hold)
        step -= along * (hold @ step) / (hold @ along)
    return step.reshape(point.theta.shape), float(np.sqrt(max(-step @ point.gradient, 0.0)))


def followed(point: Point, free: NDArray, hold: NDArray) -> NDArray:
    """Return how coefficients move, to first order, if a combination of them moves by 1."""
    along = _solve(point, free, hold)
    return np.asarray(along / (hold @ along)).reshape(point.theta.shape)


def _solve(point: Point, free: NDArray, b: NDArray) -> NDArray:
    """Return the inverse of the information times b for free coefficients, and zeros elsewhere."""
    found = np.zeros(len(free))
    if free.any():
        H = point.H[np.ix_(free, free)]
        root = np.sqrt(np.maximum(np.diag(H), np.finfo(float).tiny))
        factor = scipy.linalg.cho_factor(H / root / root[:, None])
        found[free] = scipy.linalg.cho_solve(factor, b[free] / root) / root
    return found


def _search(problem: Problem, point: Point, step: NDArray) -> Point | None:
    """Return the first point along a step, halved until it is no higher; None if there is none."""
    most = point.value + _ROUNDING * max(1.0, abs(point.value))
    for _ in range(_HALVINGS):
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                farther = problem.at(point.theta + step)
        except np.linalg.LinAlgError:  # so far that the information is singular
            farther = None
        if farther is not None and farther.value <= most:
            return farther
        step = step / 2
    return None


def _inverse(H: NDArray) -> tuple[NDArray, float]:
    """Return the inverse of a positive matrix, and the logarithm of its determinant."""
    root = np.sqrt(np.maximum(np.diag(H), np.finfo(float).tiny))
    lower = scipy.linalg.cholesky(H / root / root[:, None], lower=True)
    inverse = scipy.linalg.cho_solve((lower, True), np.eye(len(H))) / root / root[:, None]
    return inverse, float(2 * (np.log(np.diag(lower)) + np.log(root)).sum())


def problem_of(fit: Fit, reference: int = 0) -> Problem:
    """Return the problem of a fit, with the logits of one class of a categorical loss at zero."""
    at_zero: Any = reference if fit.objective.loss.shift_invariant else None
    return Problem(fit, fit.is_firth, at_zero)


def relative_to(theta: NDArray, reference: int | None) -> NDArray:
    """Return coefficients minus those of a class."""
    return theta if reference is None else theta - theta[reference]
