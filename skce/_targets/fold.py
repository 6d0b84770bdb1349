"""Class weights and label smoothing, folded into target mass, for fits and for metrics.

Let s be the weight of a row, w the class weights, eps the label smoothing and K the number of
classes. The target mass t, the mass u of what does not hold, and the total mass m are

    categorical    t_k = s * w_k * ((1 - eps) * y_k + eps / K)     m = sum_k t_k
    one-vs-rest    t_k = m * ((1 - eps) * y_k + eps / 2)           m = s * w_c for a row of class c
    binary         t_k = s * w_1k * y'_k                           m_k = t_k + u_k
                   u_k = s * w_0k * (1 - y'_k)                     y'_k = (1 - eps) * y_k + eps / 2

An output that is missing (NaN) in a row has no mass in this row: t = u = 0.

A fold holds the numbers that do not depend on the row, in float64. Blocks of rows keep their own
dtype. In a fit, s is the sample weight. In a metric, s is 1, and the sample weight counts in the
mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import compute_class_weight

from .._arrays import as_type_of, beside, namespace, smallest, sums
from .._checks import check_number, naming

ClassWeight = dict | str | None

#: The largest class weight. Sums of its products with sample weights are in the range of float64.
_LARGEST_WEIGHT = 1e100


@dataclass(frozen=True)
class ClassFold:
    """Fold of classes that exclude each other: t_k = s * (on_k * y_k + background_k).

    Attributes
    ----------
    weights : ndarray of shape (K,)
        Class weights w; ones if no class weights were given.
    on : ndarray of shape (K,)
        The factor of the target of each class, w_k * (1 - eps).
    background : ndarray of shape (K,)
        The mass that each class gets in every row, w_k * eps / K.
    """

    weights: NDArray
    on: NDArray
    background: NDArray

    def of_distributions(
        self, y: NDArray, s: NDArray | float = 1.0, row_scale: NDArray | None = None
    ) -> NDArray:
        """Return t, shape (K, r). It overwrites the distributions y.

        Parameters
        ----------
        y : ndarray of shape (K, r)
        s : float or ndarray of shape (r,), default=1.0
            Weights of the rows.
        row_scale : ndarray of shape (r,), default=None
            s divided by the sums of the rows of y. None if s is 1 and rows sum to 1.
        """
        y *= _matching(self.on, y)
        if row_scale is not None:
            y *= row_scale
        if self.background.any():
            y += _matching(self.background, y) * s
        return y


@dataclass(frozen=True)
class OutputFold:
    """Fold of independent outputs, each a probability of its own.

    Attributes
    ----------
    smoothing : float
        Label smoothing eps.
    factors : pair of ndarray of shape (K,), or None
        Class weights w_0 and w_1. None if all are 1.
    """

    smoothing: float
    factors: tuple[NDArray, NDArray] | None = None

    def smooth(self, y: NDArray) -> NDArray:
        """Return y'. It overwrites y."""
        y *= 1 - self.smoothing
        y += self.smoothing / 2
        return y

    def of_outputs(self, y: NDArray, s: NDArray | float) -> tuple[NDArray, NDArray]:
        """Return t and u for probabilities y, shape (K, r), with weights s of rows or elements.

        y is overwritten.
        """
        self.smooth(y)
        if self.factors is None:
            return y * s, (1 - y) * s
        w_0, w_1 = (_matching(w, y) for w in self.factors)
        u = s * w_0 * (1 - y)
        y *= s * w_1
        return y, u


def _matching(of_classes: NDArray, y: NDArray) -> NDArray:
    """Return numbers of the classes as a column that broadcasts to y, shape (K, r)."""
    if isinstance(y, np.ndarray):
        return of_classes.astype(y.dtype)[:, None]
    return as_type_of(beside(of_classes, y), y)[:, None]


def fold_classes(
    class_weight: ClassWeight,
    smoothing: float,
    classes: NDArray,
    mass: Callable[[], NDArray],
    total: float | None = None,
) -> ClassFold:
    """Return the fold of classes that exclude each other.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    smoothing : float
    classes : ndarray of shape (K,)
    mass : callable
        Returns the target mass of each class, with the weights of the rows.
    total : float, default=None
        Sum of the weights of all rows. The default is the sum of the mass. The two differ if rows
        of an indicator matrix do not sum to 1.
    """
    K = len(classes)
    w = np.ones(K)
    if isinstance(class_weight, dict):
        w = _weights_from_dict(class_weight, classes)
    elif class_weight is not None:
        of_class = mass()
        w = _balanced_weights(of_class, float(of_class.sum()) if total is None else total, K)
    return ClassFold(w, w * (1 - smoothing), w * (smoothing / K))


def fold_outputs(
    class_weight: ClassWeight,
    smoothing: float,
    classes: NDArray,
    masses: Callable[[], tuple[NDArray, NDArray]],
    total: float | None,
    *,
    of_two: bool = False,
) -> OutputFold:
    """Return the fold of independent outputs.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    smoothing : float
    classes : ndarray of shape (K,), or of shape (2,) if `of_two`
    masses : callable
        Returns the mass of 0 and the mass of 1 of each output. Neither may be computed as a
        difference, which could be a small number instead of zero because of rounding.
    total : float, or None
        Sum of the weights of all rows. None if some outputs are missing: each output then has its
        own sum.
    of_two : bool, default=False
        Whether the single output is the second of two classes. Both classes then have a weight.
    """
    if class_weight is None:
        return OutputFold(smoothing)
    if isinstance(class_weight, str):
        both = masses()
        known = sum(both) if total is None else total
        mass_0, mass_1 = (_balanced_weights(mass, known, 2) for mass in both)
        return OutputFold(smoothing, (mass_0, mass_1))
    w = _weights_from_dict(class_weight, classes)
    return OutputFold(smoothing, (w[:1], w[1:]) if of_two else (np.ones(len(w)), w))


def known_only(y: NDArray, s: NDArray | float) -> tuple[NDArray, NDArray]:
    """Return y with 0 in place of NaN, and the weight of each output of each row: 0 if it is NaN.

    Parameters
    ----------
    y : ndarray of shape (K, r)
    s : float or ndarray of shape (r,)
        Weights of the rows.
    """
    xp = namespace(y)
    missing = xp.isnan(y)
    weights = as_type_of(~missing, y) * s
    return xp.where(missing, 0.0, y), as_type_of(weights, y)


def without_missing(y: NDArray) -> NDArray:
    """Return probabilities with 0 in place of NaN. Without NaN they are not copied."""
    if not y.shape[0] or not np.isnan(float(smallest(y))):
        return y
    xp = namespace(y)
    known: NDArray = xp.where(xp.isnan(y), 0.0, y)
    return known


def mass_of_labels(codes: NDArray, weights: NDArray | None, n_classes: int) -> NDArray:
    """Mass of each class of labels. Rows have the given weights, or 1."""
    return np.bincount(codes, weights, n_classes).astype(np.float64, copy=False)


def mass_of_columns(y: NDArray, weights: NDArray | None) -> NDArray:
    """Mass of each column of probabilities, shape (r, K). Rows have the given weights, or 1."""
    return sums(y, axis=0) if weights is None else beside(weights.astype(np.float64), y) @ y


def _balanced_weights(mass: NDArray, total: NDArray | float, n_classes: int) -> NDArray:
    """Weights total / (n_classes * mass_k). They are 1 for a class without mass."""
    with np.errstate(over="ignore"):
        weights = np.divide(total / n_classes, mass, out=np.ones_like(mass), where=mass > 0)
    if weights.max() > _LARGEST_WEIGHT:
        raise ValueError(
            f"class_weight='balanced' gives the class at position {int(weights.argmax())} the "
            f"weight {weights.max():g}, because the sample weights of its rows are nearly zero. "
            "Give these rows weight zero."
        )
    return weights


def _weights_from_dict(class_weight: dict, classes: NDArray) -> NDArray:
    """Weights in the order of `classes`. They are 1 for a class that is not in the dictionary."""
    numbers = {
        label: check_number(weight, f"class_weight[{label!r}]")
        for label, weight in class_weight.items()
    }
    with naming("class_weight", None):
        weights = compute_class_weight(numbers, classes=classes, y=classes)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        k = int(bad.argmax())
        raise ValueError(
            f"class_weight[{classes.tolist()[k]!r}] is {weights[k]:g}: class weights must be "
            "finite and not negative."
        )
    if not weights.any():
        raise ValueError("class_weight must give at least one class a weight above zero.")
    if not 1 / _LARGEST_WEIGHT < weights.max() < _LARGEST_WEIGHT:
        k = int(weights.argmax())
        raise ValueError(
            f"class_weight[{classes.tolist()[k]!r}] is {weights[k]:g}: divide class weights by "
            "their maximum, and multiply C by this maximum."
        )
    return weights
