"""Rows in chunks of Dask collections, at the place where the scheduler keeps them.

A sum is a task for each chunk, and a tree of tasks that add up the results. Coefficients are part
of the graph, so that they are not lost if a worker dies. Chunks stay where Dask keeps them. Samples
of the rows come to this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, NamedTuple

import dask
import numpy as np
import scipy.sparse as sp
from dask.delayed import delayed
from numpy.typing import DTypeLike, NDArray
from sklearn.utils import check_array

from .._checks import check_sparse, naming, refuse_dates, refuse_misread
from .._costs import Costs
from .._rows import number_type
from .._targets.mass import Targets
from .block import Block
from .memory import CSRData, DenseData, MemoryData, as_sum, largest, plus


class Reading(NamedTuple):
    """How a task reads a chunk of X; see `MemoryData`."""

    centre: NDArray | None
    dtype: np.dtype
    stored_dtype: np.dtype
    costs: Costs

    def data(self, X: Any, targets: Targets, kept: Any = None) -> MemoryData:
        """Return the rows of a chunk with their targets, and with the results of a map."""
        X = numbers_of(X)
        X = X.astype(self.stored_dtype, copy=False) if X.dtype.kind == "f" else X
        place: type[MemoryData] = DenseData
        if sp.issparse(X):
            place = CSRData
            # Duplicates are summed first, because the centre may be subtracted only once.
            if self.centre is not None and not X.has_canonical_format:
                X = X.copy()
                X.sum_duplicates()
        data = place(X, targets, self.centre, self.dtype, costs=self.costs)
        if kept is not None:
            data._kept = kept
        return data


class ChunkedData:
    """Chunks of rows. `Data` describes the attributes.

    Parameters
    ----------
    X, targets : list of Delayed
        Chunks of X, and the `Targets` of each chunk.
    reading : Reading
        How to read the chunks of X.
    sizes : list of int
        Number of rows of each chunk. There must be at least one chunk.
    total_weight : float
    n_columns, n_outputs : int
    is_sparse : bool
    work_per_logit : int
    distance : float
    """

    in_memory = False
    on_device = False

    def __init__(
        self,
        X: list[Any],
        targets: list[Any],
        reading: Reading,
        sizes: list[int],
        *,
        total_weight: float,
        n_columns: int,
        n_outputs: int,
        is_sparse: bool,
        work_per_logit: int,
        distance: float,
    ):
        self.X, self.targets, self.reading = X, targets, reading
        self.ends = np.cumsum(sizes)
        self.n_rows = int(self.ends[-1])
        self.total_weight, self.n_columns, self.n_outputs = total_weight, n_columns, n_outputs
        self.is_sparse, self.work_per_logit = is_sparse, work_per_logit
        self.distance = distance
        #: Results of a map for each chunk.
        self._kept: list[Any] = [None] * len(X)
        self._taken: dict[int, MemoryData] = {}

    @property
    def n_pieces(self) -> int:
        """Chunks that a sum has to fetch."""
        return len(self.X)

    @property
    def centre(self) -> NDArray | None:
        """The vector that is subtracted from the rows when they are read, or None."""
        return self.reading.centre

    @property
    def dtype(self) -> np.dtype:
        """Type of number of the computations with the rows."""
        return self.reading.dtype

    @property
    def stored_dtype(self) -> np.dtype:
        """Type of number of X."""
        return self.reading.stored_dtype

    @property
    def costs(self) -> Costs:
        """Constants of a fit on these data."""
        return self.reading.costs

    @property
    def nbytes(self) -> int:
        """Bytes of X."""
        numbers = self.n_rows * (self.work_per_logit if self.is_sparse else self.n_columns)
        return numbers * (self.stored_dtype.itemsize + 4 * self.is_sparse)

    def coefficients(self, A: NDArray, a: NDArray) -> tuple[NDArray, NDArray]:
        """Return coefficients in the type of number of the rows."""
        return np.asarray(A, dtype=self.dtype), a.astype(self.dtype)[:, None]

    def sum(
        self,
        kernel: Callable[..., tuple[Any, ...]],
        *arguments: Any,
        width: int | None = None,
        rows: int | None = None,
        runs: int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> tuple[Any, ...]:
        """Add up the results of a kernel for all blocks; see `Data`."""
        options = {"width": width, "rows": rows, "runs": runs}
        total = self._gathered(_sum, _added, (kernel, arguments, options))
        return tuple([as_sum(own, dtype) for own in total])

    def maximum(
        self, kernel: Callable[..., tuple[float, ...]], *arguments: Any
    ) -> tuple[float, ...]:
        """Return the maximum over all blocks of each number that a kernel returns."""
        return self._gathered(_maximum, largest, (kernel, arguments))

    def map(
        self, kernel: Callable[..., Any], *arguments: Any, rows: int | None = None
    ) -> ChunkedData:
        """Return these rows. In each block, `kept` is the result of a kernel for this block."""
        sent = _delayed((self.reading, kernel, arguments, rows))
        mapped = copy(self)
        mapped._kept = list(dask.persist(*[delayed(_map)(*part, sent) for part in self._parts()]))
        return mapped

    def chunks(self, size: int, most: int | None = None) -> Iterator[tuple[Block, NDArray]]:
        """Blocks of `size` rows in this process. The weights of all blocks sum to 1."""
        if most is not None and self.n_rows > most:
            if most not in self._taken:
                self._taken[most] = self.take(self._sample(most))
            yield from self._taken[most].chunks(size)
            return
        if size >= self.n_rows:
            yield from self.take(np.arange(self.n_rows)).chunks(size)
            return
        for part in self._parts():
            here = self.reading.data(*dask.compute(*part))
            share = here.targets.weights.astype(np.float64) / self.total_weight
            for start in range(0, here.n_rows, size):
                stop = min(start + size, here.n_rows)
                yield here._block(start, stop), share[start:stop]

    def sample(self, n_rows: int) -> MemoryData:
        """Return a random sample of the rows in this process. It is always the same sample."""
        return self.take(np.sort(np.random.default_rng(1).choice(self.n_rows, n_rows, False)))

    def take(self, indices: NDArray) -> MemoryData:
        """Return the given rows in this process. `indices` must be in ascending order."""
        edges = np.searchsorted(indices, [0, *self.ends])
        starts = [0, *self.ends[:-1]]
        sent = _delayed(self.reading)
        asked = [
            delayed(_take)(*part, sent, indices[first:last] - start)
            for part, first, last, start in zip(
                self._parts(), edges[:-1], edges[1:], starts, strict=True
            )
            if last > first
        ]
        return _joined(list(dask.compute(*asked)))

    def columns(self, columns: NDArray) -> ChunkedData:
        """Return a copy of the given columns."""
        some = copy(self)
        sent = _delayed(columns)
        some.X = list(dask.persist(*[delayed(_columns)(X, sent) for X in self.X]))
        some._kept, some._taken = [None] * len(self.X), {}
        some.n_columns = len(columns)
        if self.centre is not None:
            some.reading = self.reading._replace(centre=self.centre[columns])
        some.work_per_logit = max(1, self.work_per_logit * len(columns) // self.n_columns)
        return some

    def telling(self, tell: Callable[[float], None]) -> ChunkedData:
        """Return these rows, without progress reports: Dask has its own progress bars."""
        del tell
        return self

    def matrix(self, Q: NDArray) -> NDArray:
        """Return the matrix itself."""
        return Q

    def there(self, n_rows: int) -> None:
        """Return None: samples of the rows come to host memory."""
        del n_rows

    def rounded(self) -> ChunkedData:
        """Return these rows: they are not rounded."""
        return self

    def _sample(self, n_rows: int) -> NDArray:
        return np.sort(np.random.default_rng(0).choice(self.n_rows, n_rows, replace=False))

    def _parts(self) -> Iterator[tuple[Any, Any]]:
        """Chunks of X, each with its targets."""
        return zip(self.X, self.targets, strict=True)

    def _gathered(self, task: Callable, merge: Callable, sent: Any) -> Any:
        """Return the merged results of a task for all chunks. The order of merging is fixed."""
        sent = _delayed((self.reading, *sent))
        found = [
            delayed(task)(*part, kept, sent)
            for part, kept in zip(self._parts(), self._kept, strict=True)
        ]
        few = self.costs.fan_in
        while len(found) > 1:
            found = [delayed(merge)(found[i : i + few]) for i in range(0, len(found), few)]
        return found[0].compute()


def _delayed(sent: Any) -> Any:
    """Return arguments as one task, which all other tasks share."""
    return delayed(sent, traverse=False)


def _sum(X: Any, targets: Targets, kept: Any, sent: Any) -> tuple[Any, ...]:
    reading, kernel, arguments, options = sent
    return reading.data(X, targets, kept).sum(kernel, *arguments, **options)


def _added(sums: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    total = tuple([np.array(own) if isinstance(own, np.ndarray) else own for own in sums[0]])
    for part in sums[1:]:
        total = plus(total, part)
    return total


def _maximum(X: Any, targets: Targets, kept: Any, sent: Any) -> tuple[float, ...]:
    reading, kernel, arguments = sent
    return reading.data(X, targets, kept).maximum(kernel, *arguments)


def _map(X: Any, targets: Targets, sent: Any) -> Any:
    reading, kernel, arguments, rows = sent
    return reading.data(X, targets).map(kernel, *arguments, rows=rows)._kept


def _take(X: Any, targets: Targets, reading: Reading, indices: NDArray) -> MemoryData:
    return reading.data(X, targets).take(indices)


def _columns(X: Any, columns: NDArray) -> Any:
    return numbers_of(X)[:, columns]


def _joined(parts: list[MemoryData]) -> MemoryData:
    """Return the concatenated rows of all parts."""
    joined = copy(parts[0])
    values = [part.X for part in parts]
    X = sp.vstack(values, format="csr") if sp.issparse(values[0]) else np.concatenate(values)
    joined._hold(X, Targets.joined([part.targets for part in parts]))
    return joined


def numbers_of(X: Any) -> Any:
    """Check a chunk of X, and return it as an array of numbers or as a CSR array."""
    check_sparse(X, "X")
    refuse_misread(X, "X")
    refuse_dates(X, "X")
    is_float = getattr(getattr(X, "dtype", None), "kind", None) == "f"
    dtype = None if is_float else [np.float64, np.float32]
    with naming("X", X):
        X = check_array(
            X, accept_sparse="csr", dtype=dtype, ensure_all_finite=False, input_name="X"
        )
    return X.astype(number_type(X.dtype), copy=False)


def is_aligned(X: Any) -> bool:
    """Whether the numbers of an array, or of a CSR array, are aligned in memory."""
    arrays = (X.data, X.indices, X.indptr) if sp.issparse(X) else (X,)
    return all(array.flags.aligned for array in arrays)
