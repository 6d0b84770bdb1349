"""Log-loss for any target that the estimator takes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from scipy.special import xlogy
from sklearn.metrics import log_loss as _sklearn_log_loss
from sklearn.utils import check_array

from ._targets import check_probabilities, check_sample_weight, check_y

__all__ = ["log_loss"]


def log_loss(
    y_true: Any,
    y_proba: ArrayLike,
    *,
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> float:
    r"""Log-loss, also called cross-entropy, of probabilities against labels or probabilities.

    The loss of a row with target probabilities t and predicted probabilities p is ::

        -sum_k t_k * log(p_k)

    which for a label is the negative logarithm of the probability of that label.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels, or target probabilities, one column per class. Rows of probabilities must sum to 1
        within 1e-4 and are renormalised.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted probabilities, as `predict_proba` returns them. For target probabilities the
        columns are in the same order as those of `y_true`; for labels in that of the sorted
        labels. Zeros are clipped to the epsilon of the dtype, as scikit-learn does, except where
        the target mass is zero too: zero times log of zero is zero.
    normalize : bool, default=True
        Return the (weighted) mean over rows; otherwise their (weighted) sum.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    labels : array-like, default=None
        For labels in `y_true`: all labels, if some may be missing from it.

    Returns
    -------
    float
        The loss in nats.

    Raises
    ------
    ValueError
        If shapes do not match, or a row of targets or of probabilities is none.

    See Also
    --------
    sklearn.metrics.log_loss : For labels, where the result is the same.

    Examples
    --------
    >>> from skce import log_loss
    >>> log_loss(["spam", "ham", "ham"], [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2]])
    0.1446215275...

    Three annotators of four saw spam:

    >>> round(log_loss([[0.25, 0.75]], [[0.2, 0.8]]), 4)
    0.5697
    """
    if not _is_distribution(y_true):
        return float(
            _sklearn_log_loss(
                y_true, y_proba, normalize=normalize, sample_weight=sample_weight, labels=labels
            )
        )
    t, total = check_probabilities(check_y(y_true, "y_true"), distributions=True, name="y_true")
    p = check_array(y_proba, dtype=[np.float64, np.float32, np.float16], input_name="y_proba")
    if p.shape != t.shape:
        raise ValueError(
            f"y_true holds probabilities and has shape {t.shape}, so that y_proba must have the "
            f"same shape, but it has {p.shape}."
        )
    check_probabilities(p, distributions=False, name="y_proba")
    if not np.allclose(p.sum(axis=1), 1, rtol=np.sqrt(np.finfo(p.dtype).eps)):
        warnings.warn(
            "The rows of y_proba do not sum to one. Make sure to pass probabilities.",
            UserWarning,
            stacklevel=2,
        )
    eps = np.finfo(p.dtype).eps
    loss = -xlogy(t, np.clip(p, eps, 1 - eps)).sum(axis=1, dtype=np.float64)
    loss /= total
    weights = check_sample_weight(sample_weight, len(loss))
    if normalize:
        return float(np.average(loss, weights=weights))
    return float(loss.sum() if weights is None else weights @ loss)


def _is_distribution(y_true: Any) -> bool:
    """Whether y_true holds probabilities rather than labels or their indicator matrix."""
    if sp.issparse(y_true) or len(np.shape(y_true)) != 2 or np.shape(y_true)[1] < 2:
        return False
    values = np.asarray(y_true)
    return not ((values == 0) | (values == 1)).all()
