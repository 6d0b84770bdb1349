"""The change of the intercepts if classes have other shares than in the training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._checks import check_numbers

#: The largest difference from 1 of the sum of shares of classes that exclude each other.
_SUM_TOLERANCE = 1e-4


def prior_shift(form: str, class_prior: Any, training_prior: Any, classes: NDArray) -> NDArray:
    """Return the change of the intercepts: log(pi_k / tau_k) for classes of a softmax.

    Parameters
    ----------
    form : {"softmax", "sigmoid", "one-vs-rest", "multilabel"}
        How logits become probabilities.
    class_prior, training_prior : array-like of shape (n_classes,)
        Shares pi of the classes in the rows to predict, and tau in training.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of float64, shape (n_outputs,)
    """
    if form == "one-vs-rest":
        raise ValueError(
            "Probabilities of one-vs-rest are normalised sigmoids. No change of the intercepts "
            "adapts them to other shares of the classes. Fit with loss='categorical'."
        )
    exclusive = form != "multilabel"
    pi, tau = (
        _check_shares(name, values, classes, exclusive=exclusive)
        for name, values in (("class_prior", class_prior), ("training_prior", training_prior))
    )
    shift = np.log(pi) - np.log(tau)
    if form == "multilabel":
        return np.asarray(shift - np.log1p(-pi) + np.log1p(-tau))
    return shift[1:] - shift[:1] if form == "sigmoid" else np.asarray(shift - shift.mean())


def _check_shares(name: str, values: Any, classes: NDArray, *, exclusive: bool) -> NDArray:
    """Check shares of classes, which sum to 1 if they are exclusive, or of multilabel targets."""
    shares = check_numbers(values, name).astype(np.float64)
    if shares.shape != classes.shape:
        raise ValueError(
            f"{name} must have shape {classes.shape}, one share for each of classes_, but it has "
            f"shape {shares.shape}."
        )
    bad = ~((shares > 0) & (shares < 1))
    if bad.any():
        k = int(bad.argmax())
        raise ValueError(
            f"{name} must be above 0 and below 1, but that of class {classes.tolist()[k]!r} is "
            f"{shares[k]:g}."
        )
    if exclusive and abs(shares.sum() - 1) > _SUM_TOLERANCE:
        raise ValueError(
            f"{name} must sum to 1, but sums to {shares.sum():g}. Divide it by its sum."
        )
    return shares
