"""Validation of arrays: containers become NumPy arrays, and unreadable input is refused.

Nothing here knows what the numbers mean. Every error names the argument and the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import check_array

from ._sklearn import Interval

#: The largest number of float64.
LARGEST = float(np.finfo(np.float64).max)


@contextmanager
def naming(name: str, values: Any) -> Iterator[None]:
    """Make every error of the block a ValueError or TypeError that names the argument.

    Parameters
    ----------
    name : str
    values : object
        What the caller passed. If it holds NaN or infinity, the message names the first such row.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # finiteness is checked
            yield
    except (ValueError, TypeError) as error:
        raise_with_first_bad_row(error, values, name)
    except OverflowError:
        raise ValueError(f"{name} holds a number outside the range of float64.") from None
    except Exception as error:  # __array__ of another library's container may raise anything
        raise TypeError(
            f"{name} cannot be read as an array: {type(error).__name__}: {error}"
        ) from error


@contextmanager
def numbered_from(first_row: int) -> Iterator[None]:
    """Add `first_row` to row numbers in errors of the block, which sees a part of the rows."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError

        def shifted(found: re.Match) -> str:
            return f"{found[1]} {int(found[2]) + first_row}"

        raise kind(re.sub(r"\b([Rr]ow) (\d+)", shifted, str(error))) from None


def raise_with_first_bad_row(error: Exception, values: Any, name: str) -> NoReturn:
    """Raise an error again, with the name of the argument and its first row with NaN or infinity.

    The row is left out if all rows are finite, or if they cannot be read.
    """
    kind = TypeError if isinstance(error, TypeError) else ValueError
    message = str(error)
    if not re.search(rf"\b{re.escape(name)}\b", message):
        message = f"{name}: {message}"
    row = first_not_finite(values)
    if row is None or f"row {row}" in message:
        raise kind(message) from None
    raise ValueError(
        f"{message}\nThe first bad row of {name} is row {row}: drop such rows, or fill in what is "
        "missing."
    ) from None


def first_not_finite(values: Any) -> int | None:
    """First row with a number that is not finite; None if there is none, or it is not readable."""
    try:
        array = check_array(
            values, accept_sparse="csr", dtype="numeric", ensure_2d=False, ensure_all_finite=False
        )
        finite = np.isfinite(array.data if sp.issparse(array) else array)
    except Exception:
        return None
    if finite.all():
        return None
    first = int(np.argmin(finite.ravel()))
    if sp.issparse(array):
        return int(np.searchsorted(array.indptr, first, side="right")) - 1
    return first // max(finite[0].size, 1)


#: DLPack's codes of memory of the host.
_HOST = (1, 3, 11)


def is_on_host(array: Any) -> bool:
    """Whether an array is in the memory of the host. True if the array does not tell."""
    where = getattr(array, "__dlpack_device__", None)
    try:
        return where is None or int(where()[0]) in _HOST
    except Exception:  # arrays of Arrow raise if they do not hold numbers
        return True


def refuse_misread(values: Any, name: str) -> None:
    """Refuse containers that NumPy reads without an error, but with another meaning."""
    _refuse_masked(values, name)
    _refuse_dask(values, name)
    _refuse_elsewhere(values, name)


def _refuse_masked(values: Any, name: str) -> None:
    """Refuse a masked array that hides an element, or a sequence with such an array."""
    parts = values if isinstance(values, (list, tuple)) else [values]
    for part in parts:
        if isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part):
            raise ValueError(
                f"{name} is a masked array that hides {int(np.ma.getmaskarray(part).sum())} of its "
                "elements, and masks are not supported. Drop the hidden elements, fill them with "
                f"{name}.filled(value), or pass {name}.data to use the values under the mask."
            )


def _refuse_elsewhere(values: Any, name: str) -> None:
    """Refuse an array on another device, and one that requires gradients."""
    if isinstance(values, np.ndarray):
        return
    if not is_on_host(values):
        library = type(values).__module__.partition(".")[0]
        raise TypeError(
            f"{name} is an array of {library} on another device. Such arrays are accepted if "
            "scikit-learn's array_api_dispatch is on: sklearn.set_config(array_api_dispatch=True), "
            "with SCIPY_ARRAY_API=1 in the environment before SciPy is imported. Otherwise copy "
            f"{name} to the host."
        )
    if getattr(values, "requires_grad", False) is True:
        raise ValueError(
            f"{name} requires gradients, but gradients are not tracked: pass {name}.detach()."
        )


def _refuse_dask(values: Any, name: str) -> None:
    """Refuse a collection of Dask, which NumPy would compute silently."""
    graph = getattr(values, "__dask_graph__", None)
    if callable(graph) and graph() is not None:  # xarray has one if there is Dask inside
        raise TypeError(
            f"{name} is a Dask collection ({type(values).__name__}), which would be computed in "
            "this process. Use the estimators and metrics of skce.dask for it. If it fits into "
            f"memory, you can pass {name}.compute()."
        )


def refuse_dates(values: Any, name: str) -> None:
    """Refuse an array or data frame of dates or durations, whose unit is not known."""
    dtypes = _dtypes(values)
    for j, dtype in enumerate(dtypes):
        if str(dtype).lower().startswith(_DATES):
            where = f"column {j} of {name}" if len(dtypes) > 1 else name
            raise TypeError(
                f"{where} has dtype {dtype}: dates and durations are not numbers. Convert them to "
                "numbers, for example days: (dates - dates.min()) / numpy.timedelta64(1, 'D')."
            )


#: Beginnings of the names of date and duration types in NumPy, pandas, polars and Arrow.
_DATES = ("date", "time", "duration", "period", "interval")


def _dtypes(values: Any) -> list:
    """Return the types of the columns of any container, or of the objects in an array."""
    if np.iterable(getattr(values, "dtypes", None)):  # data frames
        return list(values.dtypes)
    if hasattr(values, "itercolumns"):  # tables of Arrow
        return [column.type for column in values.itercolumns()]
    dtype = getattr(values, "dtype", getattr(values, "type", None))
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        kinds = {type(value) for value in values.flat}
        return [np.dtype(kind) for kind in kinds & {np.datetime64, np.timedelta64}]
    return [dtype]


def refuse_sparse(values: Any, name: str) -> None:
    """Refuse a sparse matrix if only a dense array is supported."""
    if sp.issparse(values):
        raise TypeError(
            f"{name} is a sparse matrix, but sparse {name} is not supported: pass {name}.toarray()."
        )


def is_date(value: Any) -> bool:
    """Whether a scalar is a date or a duration of NumPy. For Python, durations are integers."""
    return isinstance(value, (np.datetime64, np.timedelta64))


class Number(Interval):
    """Interval of integers and floats. Fractions and decimals are refused."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether a value is such a number within the interval."""
        if isinstance(val, np.floating):
            val = float(val)  # comparisons in float16 overflow
        return (
            isinstance(val, (Integral, float)) and not is_date(val) and super().is_satisfied_by(val)
        )


#: Constraints of parameters that several functions share. joblib counts jobs in 32 bits.
N_JOBS = [
    Number(Integral, 1, 2**31 - 1, closed="both"),
    Number(Integral, -(2**31), -1, closed="both"),
    None,
]
VERBOSE = [Number(Integral, 0, None, closed="left"), "boolean"]


# -------------------------------------------------------------------------------- sparse matrices
def check_sparse(X: Any, name: str) -> None:
    """Check that the index arrays of a sparse matrix fit its shape, before compiled code uses them.

    SciPy's `check_format` does this for some formats, but changes the matrix.

    Parameters
    ----------
    X : object
        Any object. Only sparse matrices are checked.
    name : str
    """
    if not sp.issparse(X):
        return
    fault = None
    if X.format in ("csr", "csc", "bsr"):
        fault = _fault_of_compressed(X)
    elif X.format == "coo":
        fault = _fault_of_coordinates(X)
    elif X.format == "lil":
        if any(len(row) != len(data) for row, data in zip(X.rows, X.data, strict=True)):
            fault = "rows and data of different lengths"
        elif len(X.rows) != X.shape[0]:
            fault = f"{len(X.rows)} rows of indices"
        elif X.nnz:
            indices = np.fromiter(chain.from_iterable(X.rows), dtype=np.int64, count=X.nnz)
            fault = _fault_of_indices(indices, X.shape[1], "column")
    elif X.format == "dia" and (X.data.ndim != 2 or len(X.data) != len(X.offsets)):
        fault = f"{len(X.offsets)} offsets for data of shape {X.data.shape}"
    if fault:
        raise ValueError(
            f"{name} is a sparse {X.format.upper()} matrix of shape {X.shape} that is not "
            f"consistent: it has {fault}. Check the code that makes its arrays."
        )


def _fault_of_compressed(X: Any) -> str | None:
    n_major, n_minor = X.shape if X.format != "csc" else X.shape[::-1]
    if X.format == "bsr":
        if X.data.ndim != 3:
            return f"data of shape {X.data.shape}"
        height, width = X.data.shape[1:]
        n_major, n_minor = n_major // max(height, 1), n_minor // max(width, 1)
    indptr, indices = X.indptr, X.indices
    for part in ("indptr", "indices"):
        array = getattr(X, part)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            return f"{part} of shape {array.shape} and dtype {array.dtype}"
    if len(indptr) != n_major + 1:
        return f"indptr of length {len(indptr)} in place of {n_major + 1}"
    if indptr[0] != 0:
        return f"indptr that starts at {indptr[0]} in place of 0"
    falls = indptr[1:] < indptr[:-1]
    if falls.any():
        return f"indptr that falls after position {int(falls.argmax())}"
    if indptr[-1] > min(len(indices), len(X.data)):
        return (
            f"indptr that ends at {indptr[-1]}, beyond its {len(indices)} indices and "
            f"{len(X.data)} numbers"
        )
    return _fault_of_indices(
        indices[: int(indptr[-1])], n_minor, "row" if X.format == "csc" else "column"
    )


def _fault_of_coordinates(X: Any) -> str | None:
    # SciPy 1.12 has no coords.
    coords = getattr(X, "coords", None) or (X.row, X.col)
    if len(coords) != len(X.shape):
        return f"{len(coords)} arrays of coordinates"
    for axis, (indices, size) in enumerate(zip(coords, X.shape, strict=True)):
        if indices.shape != X.data.shape or indices.dtype.kind not in "iu":
            return (
                f"coordinates of shape {indices.shape} and dtype {indices.dtype} for "
                f"{len(X.data)} numbers"
            )
        fault = _fault_of_indices(indices, size, ("row", "column")[axis % 2])
        if fault:
            return fault
    return None


def _fault_of_indices(indices: NDArray, size: int, what: str) -> str | None:
    """Read the indices once, as unsigned integers: negative ones are then larger than any size."""
    unsigned = indices.view(f"u{indices.dtype.itemsize}") if indices.dtype.isnative else indices
    if not len(indices) or (unsigned.max() < size and indices.dtype.isnative):
        return None
    bad = (indices < 0) | (indices >= size)
    if not bad.any():
        return None
    return f"{what} index {indices[bad.argmax()]} at position {int(bad.argmax())}"


# -------------------------------------------------------------------------------------- numbers
def check_numbers(values: Any, name: str) -> NDArray:
    """Return real numbers as an array of float64, or of float32 if they are float32.

    Strings, dates, complex numbers, masks and missing values are refused. The caller checks for NaN
    and infinity.

    Parameters
    ----------
    values : array-like
    name : str

    Returns
    -------
    ndarray of float64 or float32
    """
    refuse_sparse(values, name)
    refuse_misread(values, name)
    with naming(name, None):
        array = np.asarray(to_numpy(values, name, what="number"))
    if array.dtype.kind == "O":
        return _numbers_of_objects(array, name)
    if array.dtype.kind not in "biuf":
        refuse_dates(array, name)
        raise ValueError(f"{name} must hold numbers, got {_short(values)} of dtype {array.dtype}.")
    if array.dtype == np.float32:
        return array
    with np.errstate(over="ignore"):
        return array.astype(np.float64, copy=False)


def check_numbers_or_none(values: Any, name: str) -> NDArray | None:
    """Return None for None, and otherwise the result of `check_numbers`."""
    return None if values is None else check_numbers(values, name)


def check_number(value: Any, name: str) -> float:
    """Return a real number as a float. What `check_numbers` refuses is refused here too."""
    if not isinstance(value, (Real, Decimal, np.bool_)) or is_date(value):
        raise ValueError(f"{name} must be a number, got {_short(value)}.")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is outside the range of float64.") from None


def _numbers_of_objects(array: NDArray, name: str) -> NDArray:
    numbers = np.empty(array.shape)
    for i, value in enumerate(array.flat):
        numbers.flat[i] = check_number(value, f"{name} at position {i}" if array.ndim else name)
    return numbers


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


# ------------------------------------------------------------------------------------- containers
def unmasked(values: Any) -> Any:
    """Return a masked matrix with NaN for the hidden elements, and anything else unchanged."""
    if not isinstance(values, np.ma.MaskedArray) or values.ndim != 2 or values.shape[1] < 2:
        return values
    if not np.ma.is_masked(values):
        return values.data
    dtype = values.dtype
    dtype = np.result_type(dtype, np.float32) if dtype.kind in "biuf" else np.dtype(object)
    filled: NDArray = np.ma.filled(values.astype(dtype), np.nan)
    return filled


def is_missing(value: Any) -> bool:
    """Whether a scalar is None, NaN, NaT or pandas.NA."""
    try:
        return value is None or not bool(value == value)
    except (TypeError, ValueError):  # the truth of pandas.NA, and of an array
        return not isinstance(value, np.ndarray)


def to_numpy(values: Any, name: str, what: str = "label", *, missing: bool = False) -> Any:
    """Return data of pandas, polars and Arrow as a NumPy array, and anything else unchanged.

    Nullable integers and bools keep their type. NumPy's own conversion turns them into floats.

    Parameters
    ----------
    values : object
    name : str
    what : str
        The name of a missing element in the message.
    missing : bool, default=False
        Whether elements of a matrix may be missing. They become NaN, or stay objects.

    Returns
    -------
    ndarray, or `values`

    Raises
    ------
    ValueError
        If an element is missing. The message names the first such row.
    """
    if isinstance(values, (np.ndarray, list, tuple)) or sp.issparse(values):
        return values
    columns = _columns(values)
    if columns is None:
        return _column_to_numpy(values, name, what)
    if all(isinstance(getattr(column, "dtype", None), np.dtype) for column in columns):
        return np.asarray(values)  # pandas with NumPy arrays is converted as a whole
    missing = missing and len(columns) > 1
    arrays = [np.asarray(_column_to_numpy(column, name, what, missing)) for column in columns]
    if not arrays:
        return np.empty((len(values), 0))
    if len({array.dtype.kind in "biuf" for array in arrays}) > 1:
        arrays = [array.astype(object) for array in arrays]
    return np.stack(arrays, axis=1)


def _columns(values: Any) -> list | None:
    """Return the columns of a data frame or table, or None for anything else."""
    if hasattr(values, "itercolumns"):  # Arrow
        return list(values.itercolumns())
    if hasattr(values, "get_columns"):  # polars
        return list(values.get_columns())
    if hasattr(values, "iloc") and np.ndim(getattr(values, "shape", ())) and len(values.shape) == 2:
        return [values.iloc[:, j] for j in range(values.shape[1])]
    return None


def _column_to_numpy(values: Any, name: str, what: str, missing: bool = False) -> Any:
    if isinstance(values, np.ndarray) or not hasattr(values, "to_numpy"):
        return values
    if hasattr(values, "isna"):  # pandas
        gone = np.asarray(values.isna(), dtype=bool)
    elif hasattr(values, "is_null"):  # polars and Arrow
        gone = np.asarray(values.is_null(), dtype=bool)
    else:
        return values
    if gone.any() and getattr(getattr(values, "dtype", None), "kind", "O") != "f":
        if not missing:
            raise_missing(name, int(gone.argmax()), what)
        if hasattr(values, "isna"):
            return values.to_numpy(dtype=object, na_value=np.nan)
    numpy_dtype = getattr(getattr(values, "dtype", None), "numpy_dtype", None)
    if numpy_dtype is not None:
        return values.to_numpy(dtype=numpy_dtype)
    try:
        return values.to_numpy()
    except (TypeError, ValueError):  # Arrow refuses if it has to copy
        return values.to_numpy(zero_copy_only=False)


def raise_missing(name: str, row: int, what: str = "label") -> NoReturn:
    """Refuse an argument with a missing element."""
    raise ValueError(f"Input {name} has no {what} in row {row}: drop such rows.")


# ------------------------------------------------------------------------------------------ folds
def check_folds(folds: Any, n_rows: int) -> list[tuple[NDArray, NDArray]]:
    """Check the folds of a splitter or an iterable: pairs of row numbers, or of masks."""
    if isinstance(folds, (str, bytes)) or sp.issparse(folds) or not isinstance(folds, Iterable):
        raise ValueError(f"cv must give pairs (train, test) of row numbers, got {folds!r:.100}.")
    with naming("cv", None):
        folds = list(folds)
    checked = []
    for number, fold in enumerate(folds):
        if not isinstance(fold, (tuple, list)) or len(fold) != 2:
            raise ValueError(
                f"cv must give pairs (train, test) of row numbers, but fold {number} is "
                f"{fold!r:.100}."
            )
        train, test = (
            _check_rows(rows, n_rows, f"cv: the {name} rows of fold {number}")
            for rows, name in zip(fold, ("training", "test"), strict=True)
        )
        checked.append((train, test))
    if not checked:
        raise ValueError("cv gives no folds: pass at least one pair (train, test) of row numbers.")
    return checked


def _check_rows(rows: Any, n_rows: int, name: str) -> NDArray:
    """Check row numbers, or a mask of all rows, and return row numbers."""
    if rows is None:
        raise ValueError(f"{name} are None.")
    numbers = np.asarray(rows) if isinstance(rows, range) else rows
    with naming(name, None):
        numbers = np.asarray(to_numpy(numbers, name, "number"))
    if numbers.dtype.kind == "b" and numbers.shape == (n_rows,):
        numbers = np.flatnonzero(numbers)
    if numbers.ndim == 1 and not len(numbers):
        raise ValueError(f"{name} are empty.")
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be a list of row numbers, or a mask of all {n_rows} rows, but have "
            f"shape {numbers.shape} and dtype {numbers.dtype}."
        )
    bad = (numbers < 0) | (numbers >= n_rows)
    if bad.any():
        raise ValueError(f"{name} hold {numbers[bad.argmax()]}, but X has rows 0 to {n_rows - 1}.")
    return numbers.astype(np.intp, copy=False)
