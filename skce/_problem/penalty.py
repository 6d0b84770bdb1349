"""What of the objective is not smooth, and what the user says of it.

The smooth part of the penalty belongs to `Objective`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


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

    def subgradient(self, theta: NDArray, gradient: NDArray) -> NDArray:
        """Subgradient of least size: the slope of the steepest way down along each coefficient."""
        up = gradient + np.where(theta >= 0, self.weights, -self.weights)
        down = gradient + np.where(theta > 0, self.weights, -self.weights)
        up[(up > 0) | (theta >= self.high)] = 0
        down[(down < 0) | (theta <= self.low)] = 0
        return np.where(-up > down, up, down)

    def orthant(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """Bounds of the orthant of theta, within which sum lambda |theta| is linear.

        A coefficient that is zero and has an L1 penalty stays zero.
        """
        penalised = self.weights > 0
        low = np.where(penalised & (theta >= 0), np.maximum(self.low, 0), self.low)
        high = np.where(penalised & (theta <= 0), np.minimum(self.high, 0), self.high)
        return low, high

    def clip(self, theta: NDArray) -> NDArray:
        """Nearest theta within the bounds."""
        return np.clip(theta, self.low, self.high)

    def prox_along(self, x: float, slope: float, j: np.intp) -> float:
        """Return where a quadratic of unit curvature plus this is least along coefficient j."""
        free = x - slope
        shrunk = np.sign(free) * max(abs(free) - self.weights[j], 0)
        return min(max(shrunk, self.low[j]), self.high[j])

    def take(self, some: NDArray) -> Nonsmooth:
        """Return those of some coefficients."""
        return Nonsmooth(self.weights[some], self.low[some], self.high[some])


def check_penalty_weights(penalty_weights: ArrayLike | None, n_features: int) -> NDArray | None:
    """Check factors of the penalty, one for each feature.

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
            f"penalty_weights must be finite and not negative, but that of feature {j} is "
            f"{weights[j]:g}. Use 0 for a feature without a penalty."
        )
    return weights


def check_bounds(bounds: Any, shape: tuple[int, int]) -> tuple[NDArray, NDArray] | None:
    """Check the lowest and highest coefficients.

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
        raise ValueError(f"coef_bounds must be a pair (low, high), but has {len(bounds)} elements.")
    pair = []
    for name, value, absent in zip(("low", "high"), bounds, (-np.inf, np.inf), strict=True):
        array = np.asarray(absent) if value is None else _numbers(f"coef_bounds: {name}", value)
        try:
            pair.append(np.broadcast_to(array, shape))
        except ValueError:
            raise ValueError(
                f"coef_bounds: {name} has shape {array.shape}, which does not broadcast to that of "
                f"coef_, {shape}."
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
            f"coef_bounds leave nothing for the coefficient of row {k} and feature {j}: low is "
            f"{low[k, j]:g} and high is {high[k, j]:g}."
        )
    return low, high


def _numbers(name: str, values: Any) -> NDArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold numbers, got {values!r}.") from None
