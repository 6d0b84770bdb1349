"""Meaning and validation of the targets y, and of the weights that are passed with y.

`read_targets` decides between the rows of the table in the user guide. Smoothing and weights are
applied in `fold.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from .._checks import (
    check_numbers,
    is_missing,
    naming,
    numbered_from,
    raise_missing,
    refuse_misread,
    refuse_sparse,
    to_numpy,
    unmasked,
)
from .._rows import Rows, as_rows, check_finite, opened

#: The largest difference from 1 of the sum of a row of probabilities, unless the epsilon of the
#: dtype is larger. Real data have four to six digits.
SUM_TOLERANCE = 1e-4

#: The message of metrics about targets that may be logits.
LOGITS_SECOND = "If these are logits, they come second: log_loss_from_logits(y_true, logits)."

#: The largest error of a sum over a few classes, if they are rounded to one or two digits.
_ROUNDED = 0.05

#: Bytes of targets that are read at a time from a file or a store.
_READ_AT_ONCE = 2**25

#: The largest sum of sample weights. Its products with class weights are in the range of float64.
_LARGEST_TOTAL = 1e200


@dataclass(frozen=True)
class RawTargets:
    """What y means, before any weight is applied.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
    form : {"softmax", "sigmoid", "one-vs-rest", "multilabel"}
        How logits become probabilities.
    kind : {"codes", "distributions", "outputs"}
        The kind of `values`.
    values : ndarray
        Hard labels as positions in `classes`, shape (n_samples,), in the smallest integer type; or
        a distribution per row, or a probability per output (K = 1 for "sigmoid"), shape
        (n_samples, K). An array of numbers is not copied.
    row_sum : ndarray of shape (n_samples,), or None
        Sums of the rows of distributions, by which rows are divided. None if all rows sum to 1
        within rounding.
    columns : ndarray of int, shape (n_classes,), or None
        The column of `values` for each class. None if the columns are in order. `values` is not
        copied to put them in order.
    has_missing : bool
        Whether some of the outputs are NaN, that is, not known.
    offset : ndarray of shape (n_samples, n_outputs), or None
        Known parts of the logits of each row.
    """

    classes: NDArray
    form: str
    kind: str
    values: Any
    row_sum: NDArray | None = None
    columns: NDArray | None = None
    has_missing: bool = False
    offset: NDArray | None = None

    @property
    def has_offset(self) -> bool:
        """Whether parts of the logits are known."""
        return self.offset is not None

    @property
    def largest_offset(self) -> float:
        """Size of the largest offset."""
        return 0.0 if self.offset is None else float(np.abs(self.offset).max())

    @property
    def loss(self) -> str:
        """Name of the loss that goes with the form."""
        return "categorical" if self.form == "softmax" else "binary"

    def take(self, indices: NDArray) -> RawTargets:
        """Return the targets of the given rows."""
        row_sum, offset = (
            None if own is None else own[indices] for own in (self.row_sum, self.offset)
        )
        return replace(self, values=self.values[indices], row_sum=row_sum, offset=offset)


def column_names(y: Any) -> NDArray | None:
    """Return the column names of a data frame with two or more columns; None without names.

    Names that are not all different are refused.
    """
    # A table of Arrow has its names in column_names, and data in columns.
    names = getattr(y, "column_names", None)
    names = list(getattr(y, "columns", ()) if names is None else names)
    if len(names) < 2:
        return None
    if len({*map(_hashable, names)}) < len(names):
        raise ValueError(f"The columns of y must have different names, but they are {names}.")
    return as_names(names)


def as_names(names: list) -> NDArray:
    """Return names as an array: of strings or integers if all are, and otherwise of objects."""
    if len({type(name) for name in names}) == 1 and isinstance(names[0], (str, int)):
        return np.asarray(names)
    classes = np.empty(len(names), dtype=object)
    classes[:] = names
    return classes


def sorting(names: NDArray) -> NDArray | None:
    """Return positions that sort names; None if these are sorted or cannot be (1 and "a", NaN)."""
    values = names.tolist()
    try:
        order = sorted(range(len(values)), key=values.__getitem__)
        ordered = all(values[i] < values[j] for i, j in pairwise(order))
    except TypeError:
        return None
    return None if not ordered or order == [*range(len(order))] else np.array(order)


def _hashable(name: Any) -> Any:
    """Return a name, or its representation if it cannot be the key of a dictionary."""
    try:
        hash(name)
    except TypeError:
        return repr(name)
    return name


def check_y(y: ArrayLike, name: str = "y", *, missing: bool = False) -> NDArray:
    """Turn y into an array of one or two dimensions; a single column becomes 1-D.

    Parameters
    ----------
    y : array-like
        Labels or target probabilities in any container.
    name : str
        The name of y in messages.
    missing : bool, default=False
        Whether elements of a matrix may be missing or masked. They become NaN, and the other
        elements are not checked.

    Returns
    -------
    ndarray of shape (n_samples,) or (n_samples, n_columns)
    """
    refuse_sparse(y, name)
    y = unmasked(y) if missing else y
    with _telling_what_may_be_missing(y):
        refuse_misread(y, name)
        if y is None:
            raise ValueError(f"{name} must hold labels or target probabilities, but is None.")
        with naming(name, y):
            array = _read_y(y, name, missing)
    if array.dtype.kind == "V":
        raise ValueError(
            f"{name} holds records of dtype {array.dtype}, but must hold labels or probabilities."
        )
    if array.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} must hold labels or real probabilities."
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = column_or_1d(array, warn=True)
    if array.ndim == 1 and array.dtype.kind == "O":
        _check_labels_are_keys(array, name)
    return array


def _read_y(y: Any, name: str, missing: bool) -> NDArray:
    """Return y as an array of NumPy. It is finite unless elements may be missing."""
    rows = as_rows(y)
    array = to_numpy(y if rows is None else np.asarray(rows), name, missing=missing)
    missing = missing and _has_columns(array)
    if not isinstance(array, np.ndarray) and not hasattr(array, "__array__"):
        array = _array_of(array, name, missing)
    kind = getattr(getattr(array, "dtype", None), "kind", None)
    if missing and kind == "O":
        array = np.asarray(array)
        array = np.where(_which_are_missing(array), np.nan, array)
    elif kind in ("O", "m", "M"):
        _check_no_label_is_missing(np.asarray(array), name)
    dtype = getattr(array, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype == np.longdouble:
        array = np.asarray(array, dtype=np.float64)
    # If elements may be missing, infinities are refused later, because they are no probabilities.
    return check_array(
        array, ensure_2d=False, dtype=None, input_name=name, ensure_all_finite=not missing
    )


@contextmanager
def _telling_what_may_be_missing(y: Any) -> Iterator[None]:
    """Add to errors about missing elements of a matrix that loss='binary' accepts them."""
    try:
        yield
    except ValueError as error:
        if not (re.search("NaN|no label|masked", str(error)) and _has_columns(y)):
            raise
        raise ValueError(
            f"{error} If a row can have several of these labels, set loss='binary': then NaN "
            "stands for a label that is not known."
        ) from None


def _has_columns(y: Any) -> bool:
    """Whether y is a matrix, in any container."""
    shape: tuple = getattr(y, "shape", ())
    if isinstance(y, (list, tuple)):
        try:
            shape = np.shape(y)
        except ValueError:  # rows of different lengths
            return False
    return len(shape) == 2 and shape[1] > 1


def _check_labels_are_keys(y: NDArray, name: str) -> None:
    """Refuse lists, dicts and arrays as labels."""
    for row, label in enumerate(y):
        try:
            hash(label)
        except TypeError:
            raise ValueError(
                f"Unknown label type: row {row} of {name} holds {label!r:.100}, which cannot be a "
                "label."
            ) from None


def _array_of(values: Any, name: str, missing: bool = False) -> NDArray:
    """Return a sequence of labels as an array. Missing labels are refused unless `missing`."""
    array = np.asarray(values)
    if array.dtype.kind in "US" and not missing:  # NumPy turns NaN among strings into a string
        _check_no_label_is_missing(np.asarray(values, dtype=object), name)
    return array


def read_targets(y: ArrayLike, loss: str) -> RawTargets:
    """Check y, and decide what it means with `loss`.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
    loss : {"auto", "categorical", "binary"}

    Returns
    -------
    RawTargets

    Raises
    ------
    ValueError
        If y is not as described. The message names the first bad row and the way out.
    """
    rows = as_rows(y)
    if rows is not None and rows.shape[1] > 1:
        refuse_misread(y, "y")
        return _read_matrix(rows, loss, None)
    names = column_names(y)
    array = check_y(y, missing=loss == "binary")
    if array.ndim == 1:
        return _read_labels(array, loss)
    return _read_matrix(array, loss, names)


def _read_labels(y: NDArray, loss: str) -> RawTargets:
    if y.dtype.kind not in "biu":  # integers are labels
        kind = kind_of_labels(y)
        if kind == "continuous":
            return _read_probabilities(y, loss)
        if kind not in ("binary", "multiclass"):
            check_classification_targets(y)  # raises scikit-learn's error
    if y.dtype.kind in "biuf":
        classes, codes = np.unique(y, return_inverse=True)
    else:
        encoder = LabelEncoder()
        with naming("y", None):  # labels that cannot be sorted
            codes = encoder.fit_transform(y)
        classes = encoder.classes_
    n_classes = len(classes)
    if n_classes < 2:
        raise_one_class(classes[0])
    codes = codes.astype(np.min_scalar_type(n_classes - 1), copy=False)
    if n_classes == 2 and loss != "categorical":
        return RawTargets(classes, "sigmoid", "outputs", codes.reshape(-1, 1))
    return RawTargets(classes, "one-vs-rest" if loss == "binary" else "softmax", "codes", codes)


def kind_of_labels(y: NDArray, name: str = "y") -> str:
    """Return the type of target of a checked array, as scikit-learn names it."""
    with naming(name, None):
        return type_of_target(y, input_name=name)


def _check_no_label_is_missing(y: NDArray, name: str) -> None:
    """Refuse None, NaN, NaT and pandas.NA."""
    missing = np.isnat(y) if y.dtype.kind in "mM" else _which_are_missing(y)
    if missing.any():
        raise_missing(name, int(missing.argmax()) // max(y[0:1].size, 1))


def _which_are_missing(y: NDArray) -> NDArray:
    """Whether each object is None, NaN, NaT or pandas.NA."""
    return np.fromiter(map(is_missing, y.flat), dtype=bool, count=y.size).reshape(y.shape)


def _read_probabilities(y: NDArray, loss: str) -> RawTargets:
    y = probabilities_of_one(y, loss)
    return RawTargets(np.array([0, 1]), "sigmoid", "outputs", y)


def probabilities_of_one(y: NDArray, loss: str) -> NDArray:
    """Check floats that are not labels, and return them as a column: probabilities of class 1."""
    if loss != "binary":
        row = int((y != np.floor(y)).argmax())
        raise ValueError(
            "Unknown label type: continuous. With loss="
            f"{loss!r} a 1-D y must hold class labels, but row {row} of y is {y[row]:g}. If y is "
            "the probability of class 1, set loss='binary'. If y is a quantity, use a regressor."
        )
    return check_unit_interval(y).reshape(-1, 1)


def check_unit_interval(y: NDArray) -> NDArray:
    outside = (y < 0) | (y > 1)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(
            f"Unknown label type: continuous. With loss='binary' a 1-D y of floats is the "
            f"probability of class 1 and must lie in [0, 1], but row {row} of y is {y[row]:g}. "
            "Pass class labels or probabilities. If these are logits, pass scipy.special.expit(y)."
        )
    return y


def _read_matrix(y: NDArray | Rows, loss: str, names: NDArray | None) -> RawTargets:
    y = opened(y, _READ_AT_ONCE)
    matrix: Any = y
    missing = loss == "binary"
    totals, present = [], np.zeros(y.shape[1], dtype=bool)
    for start, stop in y.spans(_READ_AT_ONCE) if isinstance(y, Rows) else [(0, len(y))]:
        part: NDArray = np.asarray(y[start:stop])
        with numbered_from(start):
            if isinstance(y, Rows) and not missing:
                with _telling_what_may_be_missing(part):
                    check_finite(part, "y", None, part.nbytes)
            found, total = check_probabilities(
                part, distributions=loss != "binary", loss=loss, missing=missing
            )
        matrix = matrix if isinstance(y, Rows) else found
        totals.append(total)
        present |= found.max(axis=0) > 0
    total, raw = np.concatenate(totals), meaning_of_matrix(matrix, present, loss, names)
    if missing:
        return replace(raw, has_missing=bool(np.isnan(total).any()))
    is_off = raw.kind == "distributions" and is_off_one(total, y.shape[1]).any()
    return replace(raw, row_sum=total) if is_off else raw


def meaning_of_matrix(y: Any, present: NDArray, loss: str, names: NDArray | None) -> RawTargets:
    """Return the meaning of a checked matrix of probabilities.

    Parameters
    ----------
    y : ndarray or Rows of shape (n_samples, K)
    present : ndarray of bool, shape (K,)
        Whether each column has mass.
    loss : {"auto", "categorical", "binary"}
    names : ndarray of shape (K,), or None
    """
    classes = np.arange(y.shape[1]) if names is None else names
    if loss == "binary":  # columns of an indicator matrix are not sorted, as in scikit-learn
        return RawTargets(classes, "multilabel", "outputs", y)
    if present.sum() < 2:
        raise_one_class(classes[present.argmax()])
    columns = sorting(classes)
    if columns is not None:
        classes = classes[columns]
    return RawTargets(classes, "softmax", "distributions", y, None, columns)


def raise_one_class(label: Any) -> NoReturn:
    """Refuse targets with all mass on one class."""
    raise ValueError(
        "SoftmaxClassifier needs target mass on at least 2 classes, but y has one class: "
        f"{getattr(label, 'item', lambda: label)()!r}. Check how y was made, or how rows were "
        "split."
    )


def check_probabilities(
    y: NDArray,
    *,
    distributions: bool,
    loss: str | None = None,
    name: str = "y",
    missing: bool = False,
) -> tuple[NDArray, NDArray]:
    """Check a matrix of probabilities, and return it as numbers, with the sums of its rows.

    Parameters
    ----------
    y : ndarray of shape (n_samples, K)
    distributions : bool
        Whether each row must sum to 1. If not, each element is a probability of its own.
    loss : str or None
        The value of the parameter `loss`, if the message should name it.
    name : str
        The name of the matrix in the message.
    missing : bool, default=False
        Whether elements may be NaN.

    Returns
    -------
    y : ndarray of shape (n_samples, K)
        `y` itself, without a copy, if it holds numbers or bools. Rows are not renormalised here.
    total : ndarray of float64, shape (n_samples,)
        Sums of the rows. NaN if an element of the row is missing.
    """
    if y.dtype.kind not in "biuf":
        try:
            y = check_numbers(y, name)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"A 2-D {name} must hold target probabilities, one column per class, but it has "
                f"dtype {y.dtype}. Pass labels as a 1-D array. ({error})"
            ) from None
        bad = ~np.isfinite(y) & ~(missing & np.isnan(y))
        if bad.any():
            row = int(bad.any(axis=1).argmax())
            raise ValueError(f"Input {name} contains NaN or infinity in row {row}.")
    if y.dtype.kind == "b":
        y = y.view(np.uint8)
    with np.errstate(over="ignore"):  # sums of rows that are refused below
        total = y.sum(axis=1, dtype=np.float64)
    least, most = (np.fmin, np.fmax) if missing else (np.minimum, np.maximum)
    bad = least.reduce(y, axis=1) < 0
    if distributions:
        bad |= np.abs(total - 1) > sum_tolerance(y.dtype)
    else:
        bad |= most.reduce(y, axis=1) > 1
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(_explain_row(y, row, total[row], distributions, loss, name))
    return y, total


def sum_tolerance(dtype: np.dtype) -> float:
    """Return the largest difference from 1 of the sum of a row of probabilities of a dtype."""
    return max(SUM_TOLERANCE, np.finfo(dtype).eps if dtype.kind == "f" else 0)


def is_off_one(total: NDArray, n_classes: int) -> NDArray:
    """Whether sums of distributions differ from 1 by more than rounding. Such rows are divided."""
    return abs(total - 1) > n_classes * float(np.finfo(np.float64).eps)


def _explain_row(
    y: NDArray, row: int, total: float, distributions: bool, loss: str | None, name: str
) -> str:
    """Return what is wrong with the first bad row of a matrix of probabilities, and the way out."""
    low, high = np.fmin.reduce(y[row]), np.fmax.reduce(y[row])
    under = "" if loss is None else f"with loss={loss!r} "
    lines = []
    if low < 0:
        lines.append(
            f"Row {row} of {name} holds {low:g}: {under}target probabilities must be in [0, 1]."
        )
    elif not distributions:
        lines.append(
            f"Row {row} of {name} holds {high:g}: {under}each column of a 2-D {name} is the "
            "probability of a label and must be in [0, 1]."
        )
    else:
        lines.append(
            f"Row {row} of {name} sums to {total:g}: {under}each row of a 2-D {name} is a "
            f"distribution over the classes and must sum to 1 (within {SUM_TOLERANCE:g})."
        )
        lines.append(_way_to_sum_to_one(total, high, name))
        if loss is not None and y.min() >= 0 and y.max() <= 1:
            lines.append(
                "If a row can have several of these labels, set loss='binary' for a probability "
                "per label."
            )
    if (low < 0 or high > 1) and not (y[row] == np.floor(y[row])).all():
        lines.append(_way_from_logits(y[row], distributions, name))
    if loss is not None and y.dtype.kind in "iu" and y.max() > 1:
        lines.append(
            "If this call came from cross_val_predict(method='predict_proba'), which re-encodes a "
            "2-D y column by column as integer codes before it calls fit, use "
            "skce.model_selection.cross_val_predict_proba."
        )
    return " ".join(lines)


def _way_to_sum_to_one(total: float, high: float, name: str) -> str:
    """Return how to turn a row into a distribution."""
    if total == 0:
        return "Drop rows without target mass."
    divided = f"{name} / {name}.sum(axis=1, keepdims=True)"
    if high <= 1 and abs(total - 1) <= _ROUNDED:
        return f"If the probabilities were rounded, divide each row by its sum: pass {divided}."
    return (
        "Divide each row by its sum; if the rows are counts Y with sums m, pass Y / m (m as a "
        "column) and sample_weight=m."
    )


def _way_from_logits(row: NDArray, distributions: bool, name: str) -> str:
    """Return how to turn logits, or logarithms of probabilities, into probabilities."""
    values = row.astype(np.float64)
    if (values <= 0).all() and (not distributions or abs(np.exp(values).sum() - 1) < _ROUNDED):
        return f"If these are logarithms of probabilities, pass numpy.exp({name})."
    if name == "y_true":
        return LOGITS_SECOND
    function = f"softmax({name}, axis=1)" if distributions else f"expit({name})"
    return f"If these are logits, pass scipy.special.{function}."


# ------------------------------------------------------------------------- weights and accuracy
def check_sample_weight(
    sample_weight: ArrayLike | None, n_rows: int, *, whole: bool = True
) -> NDArray | None:
    """Check sample weights. A number is the weight of every row.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
    n_rows : int
    whole : bool, default=True
        Whether these are the weights of all rows. At least one must then be positive.

    Returns
    -------
    ndarray of float, shape (n_samples,), or None
    """
    if sample_weight is None:
        return None
    weights = check_numbers(sample_weight, "sample_weight")
    if weights.ndim == 0:
        weights = np.full(n_rows, weights)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight per row of X, but it has shape "
            f"{weights.shape}."
        )
    if not np.isfinite(weights).all():
        row = int(np.isfinite(weights).argmin())
        what = "NaN" if np.isnan(weights[row]) else "infinity"
        raise ValueError(
            f"Input sample_weight contains {what}.\nThe first bad row of sample_weight is row "
            f"{row}: drop such rows."
        )
    if weights.min() < 0:
        row = int((weights < 0).argmax())
        raise ValueError(
            f"sample_weight must not be negative, but row {row} has {weights[row]:g}. Drop the "
            "row, or give it weight zero."
        )
    if not whole:
        return weights
    if not weights.any():
        raise ValueError("sample_weight is zero in every row: at least one must be positive.")
    with np.errstate(over="ignore"):
        total = weights.sum(dtype=np.float64)
    check_total_weight(total)
    return weights


def check_total_weight(total: float) -> None:
    """Check that the sum of all weights is in the range of float64."""
    if not 1 / _LARGEST_TOTAL <= total <= _LARGEST_TOTAL:
        raise ValueError(
            f"sample_weight sums to {total:g}, and its products are out of the range of float64: "
            "divide it by its maximum."
        )


def expected_accuracy(y: ArrayLike, codes: NDArray, classes: NDArray, form: str) -> NDArray | None:
    """Return the target mass of each row on what was predicted; None if y holds labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
    codes : ndarray of int, shape (n_samples,) or (n_samples, n_classes)
        Predicted positions in `classes`, or for multilabel targets an indicator matrix.
    classes : ndarray of shape (n_classes,)
    form : {"softmax", "sigmoid", "one-vs-rest", "multilabel"}

    Returns
    -------
    ndarray of shape (n_samples,) or None
        NaN for a row without a known label.
    """
    names = column_names(y)
    array = check_y(y, missing=form == "multilabel")
    check_lengths(len(codes), len(array))
    if array.ndim == 1:
        if form != "sigmoid" or kind_of_labels(array) != "continuous":
            return None
        matrix = check_unit_interval(array)
        return np.where(codes == 1, matrix, 1 - matrix)
    if array.shape[1] != len(classes):
        raise ValueError(f"y has {array.shape[1]} columns, but the fit had {len(classes)} classes.")
    columns = columns_of_classes(names, classes)
    if form == "multilabel":
        matrix, _ = check_probabilities(array, distributions=False, missing=True)
        matrix = in_order(matrix, columns)
        shares = np.where(codes == 1, matrix, 1.0 - matrix)
        gone = np.isnan(shares)
        shares[gone] = 1
        return np.where(gone.all(axis=1), np.nan, shares.prod(axis=1))
    matrix, total = check_probabilities(array, distributions=True)
    predicted = codes if columns is None else columns[codes]
    return matrix[np.arange(len(codes)), predicted] / total


def mean_of_known(share: NDArray, weights: NDArray | None) -> float:
    """Return the weighted mean of the result of `expected_accuracy`, over rows with a known label.

    Parameters
    ----------
    share : ndarray of shape (n_samples,)
    weights : ndarray of shape (n_samples,), or None
    """
    known = ~np.isnan(share)
    if not known.all():
        share, weights = share[known], None if weights is None else weights[known]
        if not (len(share) if weights is None else weights.any()):
            raise ValueError("y has no label that is known in a row of positive weight.")
    return float(np.average(share.astype(np.float64, copy=False), weights=weights))


def columns_of_classes(
    names: NDArray | None, classes: NDArray, *, y: str = "y", known: str = "the classes of the fit"
) -> NDArray | None:
    """Find the column of y for each class, by name.

    A fit on an array knows no names: its classes are numbers. Columns of y may then have any names.

    Parameters
    ----------
    names : ndarray of shape (n_classes,), or None
        Names of the columns of y, if it has any.
    classes : ndarray of shape (n_classes,)
    y, known : str
        The names of y and of the classes in the message.

    Returns
    -------
    ndarray of int, shape (n_classes,), or None
        The column of each class. None if the columns are in order or have no names.
    """
    if names is None or names.tolist() == classes.tolist():
        return None
    position = {name: k for k, name in enumerate(names.tolist())}
    if position.keys() == set(classes.tolist()):
        return np.array([position[label] for label in classes.tolist()])
    if np.array_equal(classes, np.arange(len(classes))):
        return None
    raise ValueError(
        f"The columns of {y} are {names.tolist()}, but {known} are {classes.tolist()}. Rename the "
        f"columns, or pass {y} as an array with its columns in that order."
    )


def in_order(y: NDArray, columns: NDArray | None) -> NDArray:
    """Return the given columns of y, or y itself."""
    return y if columns is None else y[:, columns]


def check_lengths(n_rows: int, n_targets: int) -> None:
    """Check that X and y have the same number of rows."""
    if n_rows != n_targets:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_rows} rows, "
            f"but y has {n_targets}."
        )
