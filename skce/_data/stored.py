"""Rows in a file or a store, for example HDF5, Zarr or Parquet.

One part of the rows is in memory at a time, and the next part is read while sums over this one are
computed. A part has the methods of an array in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._rows import Rows, ahead, multiple
from .._targets.mass import Targets
from .._threads import Span, blocks
from .block import Block, Features
from .memory import DenseData, MemoryData, as_sum, largest, plus


class StoredData(MemoryData):
    """Rows that are read part by part. `X` is an instance of `Rows`."""

    in_memory = False
    X: Rows
    #: A function of the share of the rows that a sum has read.
    _tell: Callable[[float], None] | None = None

    @property
    def n_pieces(self) -> int:
        """Parts that a sum has to read."""
        return len(self.X.spans(self.costs.part_bytes))

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
        options: dict[str, Any] = {"width": width, "rows": rows, "runs": runs, "dtype": dtype}
        total: tuple[Any, ...] | None = None
        for _, part in self._parts():
            found = part.sum(kernel, *arguments, **options)
            total = found if total is None else plus(total, found)
        return tuple([as_sum(own, dtype) for own in total or ()])

    def maximum(
        self, kernel: Callable[..., tuple[float, ...]], *arguments: Any
    ) -> tuple[float, ...]:
        """Return the maximum over all blocks of each number that a kernel returns."""
        return largest(part.maximum(kernel, *arguments) for _, part in self._parts())

    def map(
        self, kernel: Callable[..., Any], *arguments: Any, rows: int | None = None
    ) -> MemoryData:
        """Return these rows. In each block, `kept` is the result of a kernel for this block."""
        mapped = copy(self)
        mapped._kept = {
            span: part.map(kernel, *arguments, rows=rows)._kept for span, part in self._parts()
        }
        return mapped

    def chunks(self, size: int, most: int | None = None) -> Iterator[tuple[Block, NDArray]]:
        """Blocks of `size` rows, each with its weights. The weights of all blocks sum to 1."""
        rows = self
        if most is not None and self.n_rows > most:
            rows = self._sampled(most)
        share = rows.targets.weights.astype(np.float64)
        share /= share.sum()
        in_part = max(1, self.costs.part_bytes // max(1, self.n_columns * self.dtype.itemsize))
        for (first, _), part in rows._parts(list(blocks(rows.n_rows, multiple(in_part, size)))):
            for start, stop in blocks(part.n_rows, size):
                yield part._block(start, stop), share[first + start : first + stop]

    def _sampled(self, n_rows: int) -> StoredData:
        """Return a fixed sample of the rows. It is in memory unless it is large."""
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
        """Return the given columns: a copy in memory if it is small, else read part by part."""
        X = self.X.select(columns)
        some = copy(self)
        some.centre = None if self.centre is None else self.centre[columns]
        some._hold(X, self.targets)
        if X.nbytes <= self.costs.part_bytes:
            return some._in_memory(X.read(0, len(X)), self.targets)
        return some

    def telling(self, tell: Callable[[float], None]) -> StoredData:
        """Return these rows, whose sums call `tell` with the share of the rows they have read."""
        told = copy(self)
        told._tell = tell
        return told

    def _hold(self, X: Rows, targets: Targets) -> None:
        super()._hold(X, targets)
        #: Samples of the rows, by their number of rows.
        self._taken: dict[int, StoredData] = {}

    def _parts(self, spans: list[Span] | None = None) -> Iterator[tuple[Span, DenseData]]:
        """Yield the parts of the rows, one after the other, in memory."""
        spans = spans or self.X.spans(self.costs.part_bytes)
        for span, X in zip(spans, ahead(self.X.read, spans), strict=True):
            part = self._in_memory(X, self.targets.take(slice(*span)))
            part._kept = self._kept.get(span, {})
            yield span, part
            if self._tell is not None:
                self._tell(span[1] / self.n_rows)

    def _in_memory(self, X: NDArray, targets: Targets) -> DenseData:
        return DenseData(X, targets, self.centre, self.dtype, costs=self.costs)

    def _features(self, X: Any) -> Features:
        raise NotImplementedError  # rows are read part by part

    def _block_size(self, width: int) -> int:
        raise NotImplementedError
