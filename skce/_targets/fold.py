"""Class weights and label smoothing, folded into target mass: for fits and metrics alike.

With s the weight of a row, w the class weights and eps the label smoothing, for K classes

    categorical    t_k = s * w_k * ((1 - eps) * y_k + eps / K)     m = sum_k t_k
    one-vs-rest    t_k = m * ((1 - eps) * y_k + eps / 2)           m = s * w_c in a row of class c
    binary         t_k = s * w_1k * y'_k                           m_k = t_k + u_k
                   u_k = s * w_0k * (1 - y'_k)                     y'_k = (1 - eps) * y_k + eps / 2

An output that is missing (NaN) in a row has no mass there: t = u = 0.

A fold is what does not depend on the row, in float64; rows bring their own dtype. Fits fold sample
weights in. In a metric a row weighs 1, and its sample weight counts in the mean.
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

#: Class weights at most; sums of their products with other weights are in range.
_LARGEST_WEIGHT = 1e100


@dataclass(frozen=True)
class ClassFold:
    """Fold of classes that exclude each other: t_k = s * (on_k * y_k + background_k).

    Attributes
    ----------
    weights : ndarray of shape (K,)
        Class weights w, ones without any.
    on : ndarray of shape (K,)
        What a class gets of its own target, w_k * (1 - eps).
    background : ndarray of shape (K,)
        What it gets of every row, w_k * eps / K.
    """

    weights: NDArray
    on: NDArray
    background: NDArray

    def of_distributions(
        self, y: NDArray, s: NDArray | float = 1.0, row_scale: NDArray | None = None
    ) -> NDArray:
        """Return t, shape (K, r), in place of the distributions y.

        Parameters
        ----------
        y : ndarray of shape (K, r)
        s : float or ndarray of shape (r,), default=1.0
            Weights of the rows.
        row_scale : ndarray of shape (r,), default=None
            The same over what y sums to; None where s is 1 and rows sum to 1.
        """
        y *= _matching(self.on, y)
        if row_scale is not None:
            y *= row_scale
        if self.background.any():
            y += _matching(self.background, y) * s
        return y


@dataclass(frozen=True)
class OutputFold:
    """Fold of outputs that do not see each other.

    Attributes
    ----------
    smoothing : float
        eps above.
    factors : pair of ndarray of shape (K,), or None
        Class weights w_0 and w_1; None for ones.
    """

    smoothing: float
    factors: tuple[NDArray, NDArray] | None = None

    def smooth(self, y: NDArray) -> NDArray:
        """Return y', in place of y."""
        y *= 1 - self.smoothing
        y += self.smoothing / 2
        return y

    def of_outputs(self, y: NDArray, s: NDArray | float) -> tuple[NDArray, NDArray]:
        """Return t and u, in place of probabilities y, shape (K, r); s weighs rows or elements."""
        self.smooth(y)
        if self.factors is None:
            return y * s, (1 - y) * s
        w_0, w_1 = (_matching(w, y) for w in self.factors)
        u = s * w_0 * (1 - y)
        y *= s * w_1
        return y, u


def _matching(of_classes: NDArray, y: NDArray) -> NDArray:
    """Return numbers of the classes to go with y, shape (K, r)."""
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
    """Fold of classes that exclude each other.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    smoothing : float
    classes : ndarray of shape (K,)
    mass : callable
        Returns the target mass of each class, of weighted rows.
    total : float, default=None
        Sum of the weights of all rows. By default that of the mass, which is less or more where
        rows of an indicator matrix do not sum to 1.
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
    """Fold of outputs that do not see each other.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    smoothing : float
    classes : ndarray of shape (K,), or of shape (2,) if `of_two`
    masses : callable
        Returns the mass of 0 and that of 1 of each output. Neither is to be a difference, which
        would round to more than nothing.
    total : float, or None
        Sum of the weights of all rows; None where some outputs are missing: then each has its own.
    of_two : bool, default=False
        Whether there is one output, the second of two classes, so that both have a weight.
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
    """Return y with 0 in place of NaN, and the weight of each output of each row, 0 there.

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
    """Return probabilities with 0 in place of NaN: themselves if there is none."""
    if not y.shape[0] or not np.isnan(float(smallest(y))):
        return y
    xp = namespace(y)
    known: NDArray = xp.where(xp.isnan(y), 0.0, y)
    return known


def mass_of_labels(codes: NDArray, weights: NDArray | None, n_classes: int) -> NDArray:
    """Mass of each class of labels, when rows weigh `weights`, or 1."""
    return np.bincount(codes, weights, n_classes).astype(np.float64, copy=False)


def mass_of_columns(y: NDArray, weights: NDArray | None) -> NDArray:
    """Mass of each column of probabilities, shape (r, K), when rows weigh `weights`, or 1."""
    return sums(y, axis=0) if weights is None else beside(weights.astype(np.float64), y) @ y


def _balanced_weights(mass: NDArray, total: NDArray | float, n_classes: int) -> NDArray:
    """Weights total / (n_classes * mass_k); 1 for a class without mass, which weighs nothing."""
    with np.errstate(over="ignore"):
        weights = np.divide(total / n_classes, mass, out=np.ones_like(mass), where=mass > 0)
    if weights.max() > _LARGEST_WEIGHT:
        raise ValueError(
            f"class_weight='balanced' gives the class at position {int(weights.argmax())} the "
            f"weight {weights.max():g}: its rows weigh next to nothing. Give them weight zero."
        )
    return weights


def _weights_from_dict(class_weight: dict, classes: NDArray) -> NDArray:
    """Weights in the order of `classes`; 1 for a class that the dictionary leaves out."""
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
            "their maximum, and multiply C by it."
        )
    return weights
