"""The penalty and the bounds of the coefficients, and checks of the parameters that set them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._threads import cached_property
from .layout import Layout

#: Range of C times the sum of the weights, in which squares do not overflow.
_SMALLEST, _LARGEST = 1e-150, 1e300

Bounds = tuple[NDArray | float, NDArray | float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Penalty:
    """L2 and L1 penalties, with a factor for each feature, and bounds.

        ridge / 2 * sum_kj f_j W_kj^2 + lasso * sum_kj f_j |W_kj|   over   low <= W <= high

        ridge = (1 - rho) / (C * S),    lasso = rho / (C * S)

    The first term is the smooth part. It has a value, a gradient and Hessian products. The L1
    penalty and the bounds are the nonsmooth term. Intercepts have no penalty.

    Attributes
    ----------
    n_columns : int
        Columns of W.
    total_weight : float
        S above, the sum of the sample weights.
    C : float
        Inverse strength, in (0, inf].
    l1_ratio : float
        rho above.
    penalty_weights : ndarray of shape (n_columns,), or None
        f above, ones if None.
    bounds : pair of ndarray or float, or None
        Lowest and highest coefficients, of shapes that broadcast to that of W.
    """

    n_columns: int
    total_weight: float
    C: float
    l1_ratio: float = 0.0
    penalty_weights: NDArray | None = None
    bounds: Bounds | None = None

    def __post_init__(self) -> None:
        """Check that C is in range."""
        strongest = max(1.0, float(self.factors.max(initial=0)))
        if not _SMALLEST * strongest < self.scale < _LARGEST:
            raise ValueError(
                f"C={self.C:g} is out of range: with a sum of sample weights of "
                f"{self.total_weight:g}, and penalty_weights of up to {strongest:g}, the objective "
                "leaves the range of float64. Use C=np.inf for no penalty, or weights and factors "
                "of the order of 1."
            )

    def at(self, C: float, l1_ratio: float, bounds: Bounds | None = None) -> Self:
        """Return the penalty with another strength and, if given, other bounds."""
        bounds = self.bounds if bounds is None else bounds
        return replace(self, C=C, l1_ratio=l1_ratio, bounds=bounds)

    def columns(self, columns: NDArray) -> Self:
        """Return the penalty of some columns, without bounds."""
        weights = None if self.penalty_weights is None else self.penalty_weights[columns]
        return replace(self, n_columns=len(columns), penalty_weights=weights, bounds=None)

    @cached_property
    def scale(self) -> float:
        """Factor that turns F into the user's objective, which is the sum of losses if C = inf."""
        return self.total_weight * (self.C if np.isfinite(self.C) else 1)

    @cached_property
    def ridge(self) -> float:
        """Strength of the L2 penalty, which is the least curvature of the smooth part.

        If the curvature depended on W, there could be no nonsmooth term.
        """
        return (1 - self.l1_ratio) * self._strength

    @cached_property
    def lasso(self) -> float:
        """Strength of the L1 penalty."""
        return self.l1_ratio * self._strength

    @property
    def _strength(self) -> float:
        return 0.0 if np.isinf(self.C) else 1 / self.scale

    @cached_property
    def factors(self) -> NDArray:
        """Factor of each column, shape (n_columns,)."""
        return np.broadcast_to(
            1.0 if self.penalty_weights is None else self.penalty_weights, self.n_columns
        )

    @cached_property
    def curvature(self) -> NDArray:
        """Least curvature of the smooth part along a coefficient of each column."""
        return self.ridge * self.factors

    @cached_property
    def unpenalised(self) -> bool:
        """Whether some coefficients have no L2 penalty."""
        return self.ridge == 0 or not (self.penalty_weights is None or self.factors.all())

    @cached_property
    def free(self) -> NDArray:
        """Whether each column has neither an L2 nor an L1 penalty."""
        return np.equal(max(self.ridge, self.lasso) * self.factors, 0)

    def value(self, W: NDArray) -> float:
        """Value of the smooth part."""
        square = float(np.vdot(W, W if self.penalty_weights is None else self.factors * W))
        return self.ridge / 2 * square

    def gradient(self, W: NDArray, some: slice) -> NDArray:
        """Gradient of the smooth part in some columns of W."""
        return self.curvature[some].astype(W.dtype) * W[:, some]

    def product(self, W: NDArray, V: NDArray, some: slice) -> NDArray:
        """Hessian of the smooth part at W times V, in some columns."""
        del W  # the Hessian of a square does not depend on W
        return self.curvature[some].astype(V.dtype) * V[:, some]

    def without_shift(self, W: NDArray) -> NDArray:
        """Return W with the shift of all its rows that minimises the smooth part."""
        return np.asarray(W - mean_of_classes(W))

    def nonsmooth(self, layout: Layout) -> Nonsmooth | None:
        """Return the nonsmooth term, if there is one."""
        if not self.lasso and self.bounds is None:
            return None
        K, p = layout.n_outputs, layout.n_columns
        low, high = (-np.inf, np.inf) if self.bounds is None else self.bounds

        def of_theta(W: NDArray | float, b: float) -> NDArray:
            return layout.pack(np.broadcast_to(W, (K, p)).astype(np.float64), np.full(K, b))

        return Nonsmooth(
            of_theta(self.lasso * self.factors, 0), of_theta(low, -np.inf), of_theta(high, np.inf)
        )


def mean_of_classes(A: NDArray) -> NDArray:
    """Mean over the first axis. On small arrays `ndarray.mean` takes three times as long."""
    return np.add.reduce(A, axis=0) / len(A)


@dataclass(frozen=True)
class Nonsmooth:
    """The nonsmooth term sum lambda |theta|, and bounds.

    Attributes
    ----------
    weights : ndarray of shape (size,)
        lambda of each coefficient, 0 for intercepts.
    low, high : ndarray of shape (size,)
        Bounds, infinite for intercepts.
    """

    weights: NDArray
    low: NDArray
    high: NDArray

    def value(self, theta: NDArray) -> float:
        """Return sum lambda |theta|."""
        return float(self.weights @ np.abs(theta))

    def shrinkage(self, theta: NDArray, other: NDArray) -> float:
        """Return by how much sum lambda |theta| exceeds that of another point.

        Near a minimum, the difference of the two sums is rounding.
        """
        return float(self.weights @ (np.abs(theta) - np.abs(other)))

    def slope(self, theta: NDArray, step: NDArray) -> float:
        """Return the slope of sum lambda |theta| along a step."""
        return float(self.weights @ np.where(theta == 0, np.abs(step), np.sign(theta) * step))

    def subgradient(self, theta: NDArray, gradient: NDArray) -> NDArray:
        """Smallest subgradient: the slope of the steepest descent along each coefficient."""
        up = gradient + np.where(theta >= 0, self.weights, -self.weights)
        down = gradient + np.where(theta > 0, self.weights, -self.weights)
        up[(up > 0) | (theta >= self.high)] = 0
        down[(down < 0) | (theta <= self.low)] = 0
        return np.where(-up > down, up, down)

    def least(self, slopes: NDArray, ridge: NDArray | float) -> NDArray:
        """Return the least value of slope * x + ridge / 2 * x^2 + lambda |x| within the bounds.

        It is minus infinity for a coefficient that can go on downhill for ever.
        """
        beyond = np.maximum(np.abs(slopes) - self.weights, 0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = self.clip(-np.sign(slopes) * np.where(beyond > 0, beyond / ridge, 0))
            least = slopes * x + ridge / 2 * x**2 + self.weights * np.abs(x)
        return np.where(np.isfinite(x), least, -np.inf)

    def orthant(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """Bounds of the orthant of theta. Within it, sum lambda |theta| is linear.

        A coefficient that is zero and has an L1 penalty stays zero.
        """
        penalised = self.weights > 0
        low = np.where(penalised & (theta >= 0), np.maximum(self.low, 0), self.low)
        high = np.where(penalised & (theta <= 0), np.minimum(self.high, 0), self.high)
        return low, high

    def clip(self, theta: NDArray) -> NDArray:
        """Return the nearest theta within the bounds."""
        return np.clip(theta, self.low, self.high)

    def prox_along(self, x: float, slope: float, j: np.intp) -> float:
        """Minimise a quadratic of unit curvature plus the nonsmooth term along coefficient j."""
        free = x - slope
        shrunk = np.sign(free) * max(abs(free) - self.weights[j], 0)
        return min(max(shrunk, self.low[j]), self.high[j])

    def take(self, some: NDArray | slice) -> Nonsmooth:
        """Return the nonsmooth term of some coefficients."""
        return Nonsmooth(self.weights[some], self.low[some], self.high[some])


def check_penalty_weights(penalty_weights: ArrayLike | None, n_features: int) -> NDArray | None:
    """Check the factors of the penalty, one for each feature.

    Parameters
    ----------
    penalty_weights : array-like of shape (n_features,) or None
    n_features : int

    Returns
    -------
    ndarray of float64, shape (n_features,), or None
    """
    if penalty_weights is None:
        return None
    weights = _numbers("penalty_weights", penalty_weights)
    if weights.shape != (n_features,):
        raise ValueError(
            f"penalty_weights must have shape ({n_features},), one factor for each feature, but "
            f"has shape {weights.shape}."
        )
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        j = int(bad.argmax())
        raise ValueError(
            f"penalty_weights must be finite and not negative, but the weight of feature {j} is "
            f"{weights[j]:g}. Use 0 for a feature without a penalty."
        )
    return weights


def check_bounds(bounds: Any, shape: tuple[int, int]) -> tuple[NDArray, NDArray] | None:
    """Check the bounds of the coefficients.

    Parameters
    ----------
    bounds : tuple (low, high) or None
        Each a number, an array that broadcasts to `shape`, or None for no bound.
    shape : tuple
        Shape of `coef_`.

    Returns
    -------
    low, high : ndarray of float64, or None
    """
    if bounds is None:
        return None
    if len(bounds) != 2:
        raise ValueError(f"coef_bounds must be a pair (low, high), got {len(bounds)} elements.")
    pair = []
    for name, value, absent in zip(("low", "high"), bounds, (-np.inf, np.inf), strict=True):
        array = np.asarray(absent) if value is None else _numbers(f"coef_bounds: {name}", value)
        try:
            pair.append(np.broadcast_to(array, shape))
        except ValueError:
            raise ValueError(
                f"coef_bounds: {name} has shape {array.shape}, which does not broadcast to the "
                f"shape of coef_, {shape}."
            ) from None
        if np.isnan(array).any():
            raise ValueError(
                f"coef_bounds: {name} holds NaN. Use None or an infinity for no bound."
            )
    low, high = pair
    empty = ~((low <= high) & (low < np.inf) & (high > -np.inf))
    if empty.any():
        k, j = np.unravel_index(int(empty.argmax()), shape)
        raise ValueError(
            f"coef_bounds leave no value for the coefficient of row {k} and feature {j}: low is "
            f"{low[k, j]:g} and high is {high[k, j]:g}."
        )
    return low, high


def _numbers(name: str, values: Any) -> NDArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold numbers, got {values!r}.") from None
