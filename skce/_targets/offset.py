"""Validation of offsets: parts of the logits of each row that are known before the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_numbers, naming
from .meaning import column_names, columns_of_classes, in_order

#: The largest offset. Sums with it are in the range of float32.
_LARGEST_OFFSET = 1e30


def check_offset(offset: Any, n_rows: int, form: str, classes: NDArray) -> NDArray | None:
    """Check the offsets of all rows, and return them as part of the logits.

    Parameters
    ----------
    offset : array-like of shape (n_samples,) or (n_samples, n_classes), or None
        Log-odds of the second of two classes, or one number for each class. For one-vs-rest and
        multilabel targets, one number for each output, or one for all outputs.
    n_rows : int
    form : {"softmax", "sigmoid", "one-vs-rest", "multilabel"}
        How logits become probabilities.
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of float, shape (n_samples, n_outputs), or None

    Raises
    ------
    ValueError
        If the shape does not fit, or if a number is not finite. The message names the first row.
    """
    if offset is None:
        return None
    K = len(classes)
    names = column_names(offset)
    values: Any = check_numbers(offset, "offset")
    if values.shape not in ((n_rows,), (n_rows, 1), (n_rows, K)):
        raise ValueError(
            f"offset must have shape ({n_rows},) or ({n_rows}, {K}), one row for each row of X, "
            f"but has shape {values.shape}."
        )
    bad = ~(np.abs(values) <= _LARGEST_OFFSET).reshape(n_rows, -1).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"offset must hold finite numbers of a size below {_LARGEST_OFFSET:g}, but row {row} "
            f"of offset holds {values[row].tolist()}."
        )
    if values.ndim == 2 and values.shape[1] == K > 1:
        with naming("offset", None):
            values = in_order(values, columns_of_classes(names, classes, y="offset"))
        return values[:, 1:] - values[:, :1] if form == "sigmoid" else values
    return _of_one_column(values.reshape(-1, 1), form, K)


def _of_one_column(values: NDArray, form: str, n_classes: int) -> NDArray:
    """Return the offsets of all outputs, from a single column of offsets."""
    if form == "sigmoid":
        return values
    if form != "softmax":
        return np.broadcast_to(values, (len(values), n_classes))
    if n_classes == 2:
        return np.hstack([np.zeros_like(values), values])
    raise ValueError(
        f"offset has one column, but there are {n_classes} classes: the same number added to the "
        "logits of all classes changes no probability. Pass one column for each class, in the "
        "order of classes_, with zeros for a reference class."
    )
