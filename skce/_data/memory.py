"""Rows and targets in the memory of this process, or in files that are mapped into it.

A pass reads X once, by blocks of rows. A block stays in the cache between its two matrix products,
and no temporary array is larger than a block or the coefficients.

Digits of columns far from zero cancel in A X' + a. So `centre`, a number for each column, is
subtracted from the rows when they are read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from .._costs import Costs
from .._rows import mapped, number_type, refuse_truncated
from .._targets.mass import TargetBlock, Targets
from .._threads import Span, blocks, each_span, threads
from .block import Block, DenseFeatures, Features, Space, SparseFeatures


class MemoryData(ABC):
    """Base class for dense and sparse rows. `Data` describes the attributes.

    Parameters
    ----------
    X : {ndarray, csr_array} of shape (n_samples, n_features)
    targets : Targets
    centre : ndarray of shape (n_features,), default=None
        Number to subtract from each column, in the dtype of X.
    dtype : dtype, default=None
        Type to which blocks are converted when they are read. None for that of X.
    """

    is_sparse = False
    in_memory = True
    on_device = False
    distance = 0.0
    #: The file that X is mapped from, if any.
    _file: Any = None

    def __init__(
        self,
        X: Any,
        targets: Targets,
        centre: NDArray | None = None,
        dtype: DTypeLike | None = None,
        *,
        costs: Costs,
    ):
        self.costs = costs
        self.stored_dtype: np.dtype = number_type(X.dtype)
        self.dtype: np.dtype = self.stored_dtype if dtype is None else np.dtype(dtype)
        self.centre = centre
        self._kept: dict[Span, Any] = {}
        self._hold(X, targets)

    def _hold(self, X: Any, targets: Targets) -> None:
        """Set the rows, and drop everything that was kept for the previous rows."""
        self.X, self.targets = X, targets
        self.n_rows, self.n_columns = X.shape
        self.n_outputs, self.total_weight = targets.n_outputs, targets.total_weight
        #: Blocks that were read. They are kept if the data are small.
        self._blocks: dict[Span, Block] = {}
        numbers = self.n_rows * max(self.n_outputs, self.n_columns)
        self._is_small = numbers <= self.costs.kept_blocks
        self._splits: dict[Any, list[list[Span]]] = {}
        self._samples: dict[int, NDArray] = {}

    @property
    def n_pieces(self) -> int:
        """Pieces that a sum has to fetch: none."""
        return 0

    @property
    def nbytes(self) -> int:
        """Bytes of X."""
        return n_bytes(self.X)

    @property
    def work_per_logit(self) -> int:
        """Multiplications for one logit of one row."""
        return self.n_columns

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

        def one(run: list[Span]) -> tuple[Any, ...]:
            space = None if self._is_small else Space()  # kept blocks must not share memory
            total = kernel(self._block(*run[0], space), *arguments)
            for span in run[1:]:
                total = plus(total, kernel(self._block(*span, space), *arguments))
            return total

        split = self._split(self.n_outputs if width is None else width, rows, runs)
        if len(split) == 1:
            return tuple([as_sum(total, dtype) for total in one(split[0])])
        parts = list(threads.map(one, split))
        return tuple(_total(sums, dtype) for sums in zip(*parts, strict=True))

    def maximum(
        self, kernel: Callable[..., tuple[float, ...]], *arguments: Any
    ) -> tuple[float, ...]:
        """Return the maximum over all blocks of each number that a kernel returns."""
        return largest(self._each(kernel, arguments, None).values())

    def map(
        self, kernel: Callable[..., Any], *arguments: Any, rows: int | None = None
    ) -> MemoryData:
        """Return these rows. In each block, `kept` is the result of a kernel for this block."""
        mapped = copy(self)
        mapped._blocks, mapped._kept = {}, self._each(kernel, arguments, rows)
        return mapped

    def _each(
        self, kernel: Callable[..., Any], arguments: tuple[Any, ...], rows: int | None
    ) -> dict[Span, Any]:
        """Return the result of a kernel for each of the blocks of `sum`."""
        found: dict[Span, Any] = {}

        def one(run: list[Span]) -> None:
            for span in run:
                found[span] = kernel(self._block(*span), *arguments)

        list(threads.map(one, self._split(self.n_outputs, rows, 1 if rows else None)))
        return found

    def chunks(self, size: int, most: int | None = None) -> Iterator[tuple[Block, NDArray]]:
        """Blocks of `size` rows, each with its weights. The weights of all blocks sum to 1."""
        weights = self.targets.weights
        sample = None if most is None or self.n_rows <= most else self._sample(most)
        share = (weights if sample is None else weights[sample]).astype(np.float64)
        share /= share.sum()
        for start, stop in blocks(len(share), size):
            if sample is None:
                block = self._block(start, stop)
            else:
                some = sample[start:stop]
                X = self._features(self.X[some])
                block = Block(X, weights[some], partial(_targets_of, self.targets, some))
            yield block, share[start:stop]

    def _sample(self, n_rows: int) -> NDArray:
        """Row numbers of a fixed sample, in which at least one row has weight."""
        if n_rows not in self._samples:
            sample = np.random.default_rng(0).choice(self.n_rows, n_rows, replace=False)
            if not self.targets.weights[sample].any():
                sample = np.flatnonzero(self.targets.weights)[:n_rows]
            self._samples[n_rows] = np.sort(sample)
        return self._samples[n_rows]

    def sample(self, n_rows: int) -> MemoryData:
        """Return a copy of a random sample of the rows. It is always the same sample."""
        return self.take(np.sort(np.random.default_rng(1).choice(self.n_rows, n_rows, False)))

    def take(self, indices: NDArray) -> MemoryData:
        """Return a copy of the given rows."""
        taken = copy(self)
        taken._hold(self.X[indices], self.targets.take(indices))
        return taken

    def columns(self, columns: NDArray) -> MemoryData:
        """Return a copy of the given columns."""
        some = copy(self)
        X = self.X[:, columns]
        if self.centre is None:
            X = X.astype(self.dtype, copy=False)  # once, instead of each time a block is read
        else:
            some.centre = self.centre[columns]
        some._hold(X, self.targets)
        return some

    def telling(self, tell: Callable[[float], None]) -> MemoryData:
        """Return these rows, without progress reports: sums over them are fast."""
        del tell
        return self

    def rounded(self) -> MemoryData:
        """Return these rows: rounding to float32 does not make passes faster."""
        return self

    def matrix(self, Q: NDArray) -> Any:
        """Return the matrix itself."""
        return Q

    def there(self, n_rows: int) -> MemoryData | None:
        """Return None: the rows are in host memory."""
        del n_rows
        return None

    def _block(self, start: int, stop: int, space: Space | None = None) -> Block:
        """Return the block of rows start to stop. Rows that are not centred are not copied."""
        if self._file is not None:
            refuse_truncated(self._file, "X")
        block = self._blocks.get((start, stop))
        if block is None:
            block = Block(
                self._rows(start, stop),
                self.targets.weights[start:stop],
                partial(self.targets.block, start, stop),
                self._kept.get((start, stop)),
                space,
            )
            if self._is_small:
                self._blocks[start, stop] = block
        return block

    def _split(self, width: int, rows: int | None, runs: int | None) -> list[list[Span]]:
        """Return runs of blocks for threads. They do not depend on the number of threads.

        So the same input gives the same bits with any number of threads.
        """
        if (width, rows, runs) not in self._splits:
            work = self.n_rows * self.work_per_logit
            in_memory = self.costs.partial_sums // (8 * width * self.n_columns)
            # A run must take more work than adding up its sums.
            worth = min(self._runs_worth(work * width), work // (16 * self.n_columns))
            n_runs = runs or max(1, min(self.costs.spans, in_memory, worth))
            size = rows or self._block_size(width)
            self._splits[width, rows, runs] = [
                list(blocks(stop, size, start))
                for start, stop in blocks(self.n_rows, -(-self.n_rows // n_runs))
            ]
        return self._splits[width, rows, runs]

    def _runs_worth(self, work: int) -> int:
        """Return the number of runs that is worth the overhead of threads.

        Threads wait for each other between the calls of a run. Four times as much work is worth
        twice as many runs.
        """
        return 2 ** max(0, int(np.ceil(np.log2(max(work, 1) / self.costs.work_per_span) / 2)))

    def _rows(self, start: int, stop: int) -> Features:
        """Return rows start to stop, as kernels take them."""
        return self._features(self.X[start:stop])

    @abstractmethod
    def _features(self, X: Any) -> Features:
        """Subtract the centre from rows, and convert them to the type of number for computing."""

    @abstractmethod
    def _block_size(self, width: int) -> int:
        """Return the rows of a block if a kernel makes `width` numbers of each row."""

    @property
    def _exact(self) -> np.dtype:
        """Type of number in which the centre is subtracted."""
        return np.promote_types(self.stored_dtype, self.dtype)


class DenseData(MemoryData):
    """A NumPy array in any memory order, or a memory map, whose file must not become shorter."""

    def _hold(self, X: NDArray, targets: Targets) -> None:
        super()._hold(X, targets)
        self._file = mapped(X)
        self.in_memory = self._file is None

    def _features(self, X: NDArray) -> DenseFeatures:
        X = X.astype(self._exact, copy=False)
        X = X if self.centre is None else X - self.centre
        return DenseFeatures(X.astype(self.dtype, copy=False))

    def _block_size(self, width: int) -> int:
        fewest, most = self.costs.rows_per_block
        return max(fewest, min(self.costs.block // width, most))


class CSRData(MemoryData):
    """A CSR array or matrix.

    Only columns with a stored element in every row can be centred.
    """

    is_sparse = True

    def _hold(self, X: Any, targets: Targets) -> None:
        super()._hold(X, targets)
        self._views: dict[Span, sp.csr_array] = {}

    @property
    def work_per_logit(self) -> int:
        """Multiplications for one logit of one row, at least 1."""
        return max(1, int(self.X.nnz // self.n_rows))

    def rounded(self) -> MemoryData:
        """Return rows that are rounded to float32 when they are read, if that is faster.

        Memory limits products with sparse rows. With half of the bytes a pass took 0.65 of the time
        on text (20 000, 50 000) with 20 classes.
        """
        values = self.X.data
        if self.dtype != np.float64 or values.nbytes < self.costs.worth_rounding:
            return self
        size = np.abs(values[:: max(1, len(values) // self.costs.numbers_for_size)]).max()
        if not 1 / self.costs.fits_single < size < self.costs.fits_single:
            return self
        rounded = copy(self)
        rounded._hold(self.X, self.targets)
        rounded.dtype = np.dtype(np.float32)
        return rounded

    def coefficients(self, A: NDArray, a: NDArray) -> tuple[NDArray, NDArray]:
        """Return coefficients in the type of number of the rows, column by column."""
        out = np.empty(A.shape, dtype=self.dtype, order="F")

        def turn(some: slice) -> None:
            out[:, some] = A[:, some]

        each_span(turn, A.shape[1])
        return out, a.astype(self.dtype)[:, None]

    def _rows(self, start: int, stop: int) -> Features:
        """Return rows start to stop, without the copy that SciPy's slices make."""
        if (start, stop) not in self._views:
            ends = self.X.indptr[start : stop + 1]
            inside = slice(ends[0], ends[-1])
            parts = self.X.data[inside], self.X.indices[inside], ends - ends[0]
            self._views[start, stop] = sp.csr_array(parts, shape=(stop - start, self.n_columns))
        return self._features(self._views[start, stop])

    def _features(self, X: sp.csr_array) -> SparseFeatures:
        if X.dtype == self.dtype and self.centre is None:
            return SparseFeatures(X)
        values = X.data.astype(self._exact, copy=False)
        values = values if self.centre is None else values - self.centre[X.indices]
        values = values.astype(self.dtype, copy=False)
        return SparseFeatures(sp.csr_array((values, X.indices, X.indptr), X.shape))

    def _block_size(self, width: int) -> int:
        return max(self.costs.csr_block // width, self.n_columns // 2, 1)


def _targets_of(targets: Targets, indices: NDArray) -> TargetBlock:
    """Read the target mass of some rows."""
    return targets.take(indices).block(0, len(indices))


def largest(found: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Return the largest of each number."""
    return tuple(map(max, zip(*found, strict=True)))


def plus(total: tuple[Any, ...], part: tuple[Any, ...]) -> tuple[Any, ...]:
    """Add parts to totals, in place. The totals become float64 if they were shorter."""
    return tuple([_add(own, more) for own, more in zip(total, part, strict=True)])


def _add(own: Any, more: Any) -> Any:
    if not isinstance(more, np.ndarray):
        return own + more
    own = own.astype(np.promote_types(own.dtype, np.float64), copy=False)
    own += more
    return own


def as_sum(total: Any, dtype: DTypeLike) -> Any:
    """Convert a total to the type in which `sum` returns it."""
    if not isinstance(total, np.ndarray):
        return total
    return total.astype(dtype if total.ndim == 2 else np.float64, copy=False)


def _total(sums: tuple[Any, ...], dtype: DTypeLike) -> Any:
    """Add up the sums of all runs. Sums of two dimensions are added by blocks of columns."""
    if not isinstance(sums[0], np.ndarray):
        return sum(sums)
    if sums[0].ndim != 2:
        first = as_sum(sums[0], dtype)
        for part in sums[1:]:
            first += part
        return first
    total: NDArray = np.empty_like(sums[0], dtype)  # in the same memory order

    def add(some: slice) -> None:
        total[:, some] = sums[0][:, some]
        for part in sums[1:]:
            total[:, some] += part[:, some]

    each_span(add, total.shape[1])
    return total


def n_bytes(X: Any) -> int:
    """Bytes of the numbers in X after reading, plus those of the column indices if X is sparse."""
    if sp.issparse(X):
        return int(X.data.nbytes + X.indices.nbytes)
    return int(X.shape[0] * X.shape[1] * number_type(X.dtype).itemsize)
