"""Tables in a file or a store. Their rows are read when a fit needs them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray
from sklearn.utils import assert_all_finite

from ._threads import Span, blocks


def number_type(dtype: DTypeLike) -> np.dtype:
    """Return float32 or float64: the type in which numbers stored with a dtype are read."""
    dtype = np.dtype(dtype)
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize < 8 else np.float64)


class Rows:
    """A table of numbers in a file or a store, which is read only when it is needed.

    It has the shape of an array. Rows can be chosen as in an array: ``rows[10:20]``,
    ``rows[[3, 1]]``, ``rows[mask]``. This reads nothing. ``numpy.asarray(rows)`` reads the rows.

    Parameters
    ----------
    values : object
        A table with a shape (n_samples, n_features) and a dtype, whose slices of rows are arrays,
        for example a dataset of h5py or an array of Zarr.

    Attributes
    ----------
    shape : tuple (n_samples, n_features)
        Numbers of rows and columns.
    dtype : dtype
        Type of the rows after reading: float32 if they are stored as floats of 16 or 32 bits, else
        float64.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.data import Rows
    >>> rows = Rows(np.arange(12, dtype=np.int8).reshape(4, 3))  # or a dataset of h5py, say
    >>> rows[1:3]
    Rows(shape=(2, 3), dtype=float64, of ndarray)
    >>> np.asarray(rows[[2, 0]])
    array([[6., 7., 8.],
           [0., 1., 2.]])
    """

    ndim = 2

    def __init__(self, values: Any):
        self.values = values
        self._rows: NDArray | range = range(values.shape[0])
        self._columns: NDArray | None = None
        self.shape: tuple[int, int] = (int(values.shape[0]), int(values.shape[1]))
        self.dtype = number_type(values.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Rows(shape={self.shape}, dtype={self.dtype}, of {type(self.values).__name__})"

    def __getitem__(self, key: Any) -> Self:
        rows, *others = key if isinstance(key, tuple) else (key,)
        columns = [other for other in others if other is not Ellipsis]
        if len(columns) > 1 or np.ndim(rows) != (0 if isinstance(rows, slice) else 1):
            raise IndexError("Choose rows by rows[i:j], rows[numbers] or rows[mask].")
        some = copy(self)
        own = self._rows if isinstance(rows, slice) else np.asarray(self._rows)
        chosen: Any = own[rows if isinstance(rows, slice) else np.asarray(rows)]
        some._rows, some.shape = chosen, (len(chosen), self.shape[1])
        return some.select(np.arange(self.shape[1])[columns[0]]) if columns else some

    def __getstate__(self) -> dict[str, Any]:
        """Store the place of an h5py dataset, to open it again. Other stores do that themselves."""
        state = vars(self).copy()
        if type(self.values).__module__.partition(".")[0] == "h5py":
            state["values"] = _InHDF5(self.values.file.filename, self.values.name)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.values, _InHDF5):
            self.values = self.values.opened()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray:
        return self.read(0, len(self)).astype(self.dtype if dtype is None else dtype, copy=False)

    @property
    def nbytes(self) -> int:
        """Bytes of the rows after reading."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def header(self) -> Any:
        """The object from which scikit-learn reads the names and the number of columns."""
        return getattr(self.values, "header", self)

    def select(self, columns: NDArray) -> Self:
        """Return the given columns, without reading them."""
        some = copy(self)
        some._columns = columns if self._columns is None else self._columns[columns]
        some.shape = (len(self), len(columns))
        return some

    def spans(self, n_bytes: int) -> list[Span]:
        """Return starts and stops of parts of about `n_bytes`, in whole chunks of the store."""
        size = max(1, n_bytes // max(1, self.shape[1] * self.dtype.itemsize))
        return list(blocks(len(self), multiple(size, self._chunk)))

    def numbers(self, start: int, stop: int) -> NDArray | range:
        """Return the positions in the store of rows start to stop."""
        return self._rows[start:stop]

    def read(self, start: int, stop: int) -> NDArray:
        """Read rows start to stop."""
        rows = self.numbers(start, stop)
        if isinstance(rows, range) and rows.step == 1:
            return self._read(rows.start, rows.stop)
        return self.take(np.arange(start, stop))

    def are_finite(self, start: int, stop: int) -> bool:
        """Whether the store can tell, without reading them, that rows start to stop are finite."""
        look = getattr(self.values, "are_finite", None)
        return look is not None and self._columns is None and look(self.numbers(start, stop))

    def take(self, indices: NDArray) -> NDArray:
        """Read the given rows, in the order in which they are stored, and return them as given."""
        rows = np.asarray(self._rows)[indices]
        order = np.argsort(rows, kind="stable")
        rows, taken = rows[order], np.empty((len(rows), self.shape[1]), self.dtype)
        # Rows in one chunk, or close to each other, are read together.
        width = max(1, self.shape[1] * self.dtype.itemsize)
        near, most = max(self._chunk, _NEAR // width), max(self._chunk, _AT_ONCE // width)
        for first, last in _runs(rows, near, most):
            start = int(rows[first])
            found = self._read(start, int(rows[last - 1]) + 1)
            taken[order[first:last]] = found[rows[first:last] - start]
        return taken

    @property
    def _chunk(self) -> int:
        """Number of rows in a chunk of the store."""
        chunks = getattr(self.values, "chunks", None)
        return int(chunks[0]) if chunks else 1

    def _read(self, start: int, stop: int) -> NDArray:
        refuse_truncated(mapped(self.values), "X")
        found = np.asarray(self.values[start:stop])
        if found.shape[0] != stop - start:
            raise ValueError(
                f"X ends before row {start + found.shape[0]}, but had {self.values.shape[0]} rows "
                "when it was opened. Do not change a file during a fit."
            )
        if self._columns is not None:
            found = found[:, self._columns]
        return found.astype(self.dtype, copy=False)


class _InHDF5(NamedTuple):
    """File and name of an h5py dataset."""

    filename: str
    name: str

    def opened(self) -> Any:
        """Open the file, and return the dataset."""
        import h5py

        return h5py.File(self.filename, "r")[self.name]


#: Gaps between rows up to this many bytes are read, too. And the most bytes of one read.
_NEAR, _AT_ONCE = 2**16, 2**24


def _runs(rows: NDArray, near: int, most: int) -> Iterator[Span]:
    """Return starts and stops of runs of sorted row numbers that are close to each other.

    No run spans more than `most` rows.
    """
    first = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i] - rows[i - 1] > near or rows[i] - rows[first] >= most:
            yield first, i
            first = i


def ahead(read: Callable[[int, int], NDArray], spans: list[Span]) -> Iterator[NDArray]:
    """Return the rows of each span. The next span is read while the current one is in use."""
    with ThreadPoolExecutor(1) as reader:
        coming = [reader.submit(read, *span) for span in spans[:1]]
        for span in spans[1:]:
            found = coming.pop().result()
            coming.append(reader.submit(read, *span))
            yield found
        yield from (last.result() for last in coming)


def multiple(size: int, unit: int) -> int:
    """Return the largest multiple of a unit that is at most a size, but at least one unit."""
    return max(size // unit, 1) * unit


def as_rows(X: Any) -> Rows | None:
    """Return a table in a file or a store as `Rows`, and None for anything else.

    Such a table has a 2-D shape, a dtype of numbers, and slices. It is not an array or a data
    frame that NumPy, scikit-learn or the array API knows.
    """
    if isinstance(X, Rows):
        return X
    if isinstance(X, np.ndarray) or sp.issparse(X) or any(hasattr(X, name) for name in _IN_MEMORY):
        return None
    try:
        is_table = len(X.shape) == 2 and np.dtype(X.dtype).kind in "biuf"
    except (AttributeError, TypeError):
        return None
    return Rows(X) if is_table and hasattr(X, "__getitem__") else None


def opened(X: Any, n_bytes: int) -> Any:
    """Return a table in a file or a store as `Rows`, or read it if it is small; else return X.

    Rows on another device are also read if they are too few to be worth computing there.
    """
    rows = as_rows(X)
    if rows is None:
        return X
    small = min(n_bytes, getattr(rows.values, "worth", n_bytes))
    return np.asarray(rows) if rows.nbytes <= small else rows


def unless_mapped(X: Any, n_bytes: int) -> Any:
    """Return a large memory map as `Rows`, which choose rows without a copy; else return X."""
    is_large = mapped(X) is not None and is_read_by_block(X, n_bytes)
    return Rows(X) if is_large else X


def mapped(values: Any) -> np.memmap | None:
    """Return the memory map of the whole file that an array is a view of, or None."""
    found = None
    while isinstance(values, np.ndarray):
        found = values if isinstance(values, np.memmap) else found
        values = values.base
    return found


def refuse_truncated(file: np.memmap | None, name: str) -> None:
    """Raise an error if the file of a memory map is too short: reading past its end would crash."""
    if file is None or not isinstance(file.filename, (str, os.PathLike)):
        return
    try:
        size = os.path.getsize(file.filename)
    except OSError:  # a file that was removed can still be read
        return
    if size < file.offset + file.nbytes:
        raise ValueError(
            f"{name} is a memory map of {file.filename}, which has become too short: it has "
            f"{size} bytes, and {name} ends at {file.offset + file.nbytes}. Do not change a file "
            "during a fit."
        )


def is_read_by_block(X: Any, n_bytes: int) -> bool:
    """Whether X is such a large array that it is checked and converted block by block."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind not in "biuf":
        return False
    return X.size * number_type(X.dtype).itemsize > n_bytes


#: Attributes of arrays and data frames in memory or on a device.
_IN_MEMORY = (
    "iloc",
    "columns",
    "column_names",
    "to_numpy",
    "__dataframe__",
    "__dlpack__",
    "__array_namespace__",
    "__array_interface__",
    "__cuda_array_interface__",
)


def check_finite(X: NDArray | Rows, name: str, estimator: str | None, n_bytes: int) -> None:
    """Raise an error that names the first row with NaN or an infinity.

    Parameters
    ----------
    X : {ndarray, Rows} of shape (n_samples, n_features)
    name, estimator : str
        Names of X and of the estimator's class in messages.
    n_bytes : int
        Bytes that are read at a time.
    """
    if isinstance(X, Rows):
        spans, file = [span for span in X.spans(n_bytes) if not X.are_finite(*span)], None
        parts = ahead(X.read, spans)
    else:
        if X.dtype.kind != "f":
            return
        spans, file = list(blocks(len(X), max(1, n_bytes // max(1, X[:1].nbytes)))), mapped(X)
        parts = (X[start:stop] for start, stop in spans)
    for (start, _), part in zip(spans, parts, strict=True):
        refuse_truncated(file, name)
        with np.errstate(over="ignore", invalid="ignore"):
            total = np.add.reduce(part, axis=None, dtype=number_type(part.dtype))
        if np.isfinite(total):
            continue
        finite = np.isfinite(part).all(axis=1)
        if finite.all():  # the numbers are finite, and only their sum overflowed
            continue
        row = int(finite.argmin())
        try:
            assert_all_finite(part[row], estimator_name=estimator, input_name=name)
        except ValueError as error:
            raise ValueError(
                f"{error}\nThe first bad row of {name} is row {start + row}: drop such "
                "rows, or fill in what is missing."
            ) from None
