"""Rows in a file or a store, which are read some at a time: HDF5, Zarr, Parquet and their like.

A part of the rows is in memory at a time, and the next one is read while sums over it are made.
What is asked of a part is what is asked of an array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray
from sklearn.utils import assert_all_finite

from .._targets.mass import Targets
from .._threads import Span, blocks
from .block import Block, Features
from .memory import DenseData, MemoryData, as_sum, number_type, plus


class Rows:
    """A table of numbers in a file or a store; nothing is read before it is asked for.

    It has the shape of an array, and its rows can be chosen as those of one, which reads nothing
    either: ``rows[10:20]``, ``rows[[3, 1]]``, ``rows[mask]``. ``numpy.asarray(rows)`` reads them.

    Parameters
    ----------
    values : object
        What has the shape (n_samples, n_features), a dtype, and gives arrays for slices of rows.

    Attributes
    ----------
    shape : tuple (n_samples, n_features)
    dtype : dtype
        Of the rows once they are read: float32 if they are stored as floats of 16 or 32 bits, else
        float64.
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
            raise IndexError("Rows are chosen as rows[i:j], rows[numbers] or rows[mask].")
        some = copy(self)
        own = self._rows if isinstance(rows, slice) else np.asarray(self._rows)
        some._rows = own[rows if isinstance(rows, slice) else np.asarray(rows)]
        some.shape = (len(some._rows), self.shape[1])
        return some.select(np.arange(self.shape[1])[columns[0]]) if columns else some

    def __getstate__(self) -> dict[str, Any]:
        """Datasets of h5py are opened again where this is read, which other stores do."""
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
        """Bytes of the rows once they are read."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def header(self) -> Any:
        """What scikit-learn reads the names and the number of columns from."""
        return getattr(self.values, "header", self)

    def select(self, columns: NDArray) -> Self:
        """Return some columns."""
        some = copy(self)
        some._columns = columns if self._columns is None else self._columns[columns]
        some.shape = (len(self), len(columns))
        return some

    def spans(self, n_bytes: int) -> list[Span]:
        """Return starts and stops of parts of about so many bytes, whole chunks of the store."""
        size = max(1, n_bytes // max(1, self.shape[1] * self.dtype.itemsize))
        return list(blocks(len(self), _multiple(size, self._chunk)))

    def read(self, start: int, stop: int) -> NDArray:
        """Return rows start to stop."""
        rows = self._rows[start:stop]
        if isinstance(rows, range) and rows.step == 1:
            return self._read(rows.start, rows.stop)
        return self.take(np.arange(start, stop))

    def take(self, indices: NDArray) -> NDArray:
        """Return some rows, which are read in the order in which they are stored."""
        rows = np.asarray(self._rows)[indices]
        order = np.argsort(rows, kind="stable")
        rows, taken = rows[order], np.empty((len(rows), self.shape[1]), self.dtype)
        # Rows of one chunk, or near each other, are read together.
        width = max(1, self.shape[1] * self.dtype.itemsize)
        near, most = max(self._chunk, _NEAR // width), max(self._chunk, _AT_ONCE // width)
        for first, last in _runs(rows, near, most):
            start = int(rows[first])
            found = self._read(start, int(rows[last - 1]) + 1)
            taken[order[first:last]] = found[rows[first:last] - start]
        return taken

    @property
    def _chunk(self) -> int:
        """Rows that are stored together."""
        chunks = getattr(self.values, "chunks", None)
        return int(chunks[0]) if chunks else 1

    def _read(self, start: int, stop: int) -> NDArray:
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
    """Where a dataset is."""

    filename: str
    name: str

    def opened(self) -> Any:
        """Return the dataset."""
        import h5py

        return h5py.File(self.filename, "r")[self.name]


#: Bytes between rows that are read, too, rather than left out, and bytes that are read at once.
_NEAR, _AT_ONCE = 2**16, 2**24


def _runs(rows: NDArray, near: int, most: int) -> Iterator[Span]:
    """Return first and last positions of sorted row numbers that are near each other.

    No run spans more than `most` rows.
    """
    first = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i] - rows[i - 1] > near or rows[i] - rows[first] >= most:
            yield first, i
            first = i


class StoredData(MemoryData):
    """Rows that are read part by part; `X` is `Rows`."""

    X: Rows

    def sum(
        self,
        kernel: Callable[..., tuple[Any, ...]],
        *arguments: Any,
        width: int | None = None,
        rows: int | None = None,
        runs: int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> tuple[Any, ...]:
        """Add up what a kernel returns for each block; see `Data`."""
        options: dict[str, Any] = {"width": width, "rows": rows, "runs": runs, "dtype": dtype}
        total: tuple[Any, ...] | None = None
        for _, part in self._parts():
            found = part.sum(kernel, *arguments, **options)
            total = found if total is None else plus(total, found)
        return tuple([as_sum(own, dtype) for own in total or ()])

    def maximum(
        self, kernel: Callable[..., tuple[float, ...]], *arguments: Any
    ) -> tuple[float, ...]:
        """Return the largest of the numbers that a kernel returns for each block."""
        found = [part.maximum(kernel, *arguments) for _, part in self._parts()]
        return tuple(map(max, zip(*found, strict=True)))

    def map(
        self, kernel: Callable[..., Any], *arguments: Any, rows: int | None = None
    ) -> MemoryData:
        """Return these rows with what a kernel returns for each block, as its `kept`."""
        mapped = copy(self)
        mapped._kept = {
            span: part.map(kernel, *arguments, rows=rows)._kept for span, part in self._parts()
        }
        return mapped

    def chunks(self, size: int, most: int | None = None) -> Iterator[tuple[Block, NDArray]]:
        """Blocks of `size` rows, each with weights that sum to 1 over all."""
        rows = self
        if most is not None and self.n_rows > most:
            rows = self._sampled(most)
        share = rows.targets.weights.astype(np.float64)
        share /= share.sum()
        in_part = max(1, self.costs.part_bytes // max(1, self.n_columns * self.dtype.itemsize))
        for (first, _), part in rows._parts(list(blocks(rows.n_rows, _multiple(in_part, size)))):
            for start, stop in blocks(part.n_rows, size):
                yield part._block(start, stop), share[first + start : first + stop]

    def _sampled(self, n_rows: int) -> StoredData:
        """Return a fixed sample of the rows, in memory unless it is large."""
        if n_rows not in self._taken:
            sample = self._sample(n_rows)
            X, some = self.X[sample], copy(self)
            if X.nbytes <= self.costs.part_bytes:
                X = Rows(np.asarray(X))
            some._hold(X, self.targets.take(sample))
            self._taken[n_rows] = some
        return self._taken[n_rows]

    def take(self, indices: NDArray) -> MemoryData:
        """Return a copy of the given rows, in memory."""
        return self._in_memory(self.X.take(indices), self.targets.take(indices))

    def columns(self, columns: NDArray) -> MemoryData:
        """Return the given columns: a copy if they are few, else read from where they are."""
        X = self.X.select(columns)
        some = copy(self)
        some.centre = None if self.centre is None else self.centre[columns]
        some._hold(X, self.targets)
        if X.nbytes <= self.costs.part_bytes:
            return some._in_memory(X.read(0, len(X)), self.targets)
        return some

    def _hold(self, X: Rows, targets: Targets) -> None:
        super()._hold(X, targets)
        #: Samples of the rows in memory, by how many they are.
        self._taken: dict[int, StoredData] = {}

    def _parts(self, spans: list[Span] | None = None) -> Iterator[tuple[Span, DenseData]]:
        """Parts of the rows in memory, one after the other."""
        spans = spans or self.X.spans(self.costs.part_bytes)
        for span, X in zip(spans, _ahead(self.X.read, spans), strict=True):
            part = self._in_memory(X, self.targets.take(slice(*span)))
            part._kept = self._kept.get(span, {})
            yield span, part

    def _in_memory(self, X: NDArray, targets: Targets) -> DenseData:
        return DenseData(X, targets, self.centre, self.dtype, costs=self.costs)

    def _features(self, X: Any) -> Features:
        raise NotImplementedError  # rows are read part by part

    def _block_size(self, width: int) -> int:
        raise NotImplementedError


def _ahead(read: Callable[[int, int], NDArray], spans: list[Span]) -> Iterator[NDArray]:
    """Return what is read for each span; the next one is read while one is in use."""
    with ThreadPoolExecutor(1) as reader:
        coming = [reader.submit(read, *span) for span in spans[:1]]
        for span in spans[1:]:
            found = coming.pop().result()
            coming.append(reader.submit(read, *span))
            yield found
        yield from (last.result() for last in coming)


def _multiple(size: int, unit: int) -> int:
    """Return the largest multiple of a unit up to a size, or one unit."""
    return max(size // unit, 1) * unit


def is_stored(X: Any) -> bool:
    """Whether X is a table in a file or a store, which gives arrays for slices of rows.

    It has a shape, a dtype and slices, and is none of the arrays and frames that NumPy,
    scikit-learn or the array API know.
    """
    if isinstance(X, np.ndarray) or sp.issparse(X) or any(hasattr(X, name) for name in _IN_MEMORY):
        return False
    try:
        return len(X.shape) == 2 and np.dtype(X.dtype).kind in "biuf" and hasattr(X, "__getitem__")
    except (AttributeError, TypeError):
        return False


#: What arrays and frames have that are in memory, or on a device.
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


def check_finite(X: NDArray | Rows, name: str, estimator: str, n_bytes: int) -> None:
    """Refuse the first row that holds NaN or an infinity, reading so many bytes at a time.

    Parameters
    ----------
    X : {ndarray, Rows} of shape (n_samples, n_features)
    name, estimator : str
        What messages call X, and the class that was given it.
    n_bytes : int
    """
    if isinstance(X, Rows):
        spans = X.spans(n_bytes)
        parts = _ahead(X.read, spans)
    else:
        if X.dtype.kind != "f":
            return
        spans = list(blocks(len(X), max(1, n_bytes // max(1, X[:1].nbytes))))
        parts = (X[start:stop] for start, stop in spans)
    for (start, _), part in zip(spans, parts, strict=True):
        if np.isfinite(np.add.reduce(part, axis=None, dtype=np.float64)):
            continue
        finite = np.isfinite(part).all(axis=1)
        if finite.all():  # only their sum is not
            continue
        row = int(finite.argmin())
        try:
            assert_all_finite(part[row], estimator_name=estimator, input_name=name)
        except ValueError as error:
            raise ValueError(
                f"{error}\nThe first bad row of {name} is row {start + row}: drop such rows, or "
                "fill in what is missing."
            ) from None
