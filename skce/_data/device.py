"""Rows on another device: a GPU, as PyTorch or CuPy has it.

The sums that a fit spends its time on are made there, block by block: coefficients go out, and sums
come back. For all others a part of the rows at a time comes to the host, as from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .._array_api import Elsewhere, Place
from .._targets.mass import SoftBlock, TargetBlock, Targets
from .._threads import Span, blocks
from .block import Block
from .memory import MemoryData, as_sum
from .stored import StoredData


def anywhere(kernel: Callable) -> Callable:
    """Say of a kernel that it computes with arrays of any library that change in place."""
    kernel.anywhere = True  # type: ignore[attr-defined]
    return kernel


class _RowsThere:
    """Some rows where they are, for the kernels that compute there."""

    def __init__(self, values: Any):
        self.values = values

    def logits(self, A: Any, a: Any, space: Any = None) -> Any:
        """Return A X' + a."""
        del space
        z = A @ self.values.T
        z += a
        return z

    def back(self, R: Any) -> Any:
        """Return R X."""
        return R @ self.values


class DeviceData(StoredData):
    """Rows that are an `Elsewhere`, in `Rows`."""

    def _hold(self, X: Any, targets: Targets) -> None:
        super()._hold(X, targets)
        self._targets_there: dict[Span, TargetBlock] = {}
        self._kept_there: dict[Span, Any] = {}

    @property
    def _elsewhere(self) -> Elsewhere:
        found: Elsewhere = self.X.values
        return found

    def sum(
        self,
        kernel: Callable[..., tuple[Any, ...]],
        *arguments: Any,
        width: int | None = None,
        rows: int | None = None,
        runs: int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> tuple[Any, ...]:
        """Add up what a kernel returns for each block; see `Data`.

        Sums of a block are of the type of number of the rows, and added up in float64.
        """
        if not self._is_there(kernel):
            return super().sum(kernel, *arguments, width=width, rows=rows, runs=runs, dtype=dtype)
        total: list[Any] = []
        for _, found in self._each_there(kernel, arguments):
            wide = [self._wide(part) for part in found]
            total = [own + part for own, part in zip(total, wide, strict=True)] if total else wide
        sums = [self._elsewhere.in_numpy(part) for part in total]
        return tuple([as_sum(own, dtype) if own.ndim else float(own) for own in sums])

    def map(
        self, kernel: Callable[..., Any], *arguments: Any, rows: int | None = None
    ) -> MemoryData:
        """Return these rows with what a kernel returns for each block, as its `kept`."""
        if not self._is_there(kernel):
            return super().map(kernel, *arguments, rows=rows)
        mapped = copy(self)
        mapped._kept_there = dict(self._each_there(kernel, arguments))
        return mapped

    def _is_there(self, kernel: Callable) -> bool:
        """Whether a kernel computes where the rows are, all of whose columns are in use."""
        return hasattr(kernel, "anywhere") and self.X._columns is None

    def _each_there(
        self, kernel: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Iterator[tuple[Span, Any]]:
        """Give what a kernel returns for each block, where it is."""
        place = self._elsewhere.place
        sent = [place.put(own) if isinstance(own, np.ndarray) else own for own in arguments]
        centre = None if self.centre is None else place.put(self.centre.astype(self._exact))
        for span in blocks(self.n_rows, self.costs.device_rows):
            X = self._elsewhere.there(self.X._rows[slice(*span)], self._exact)
            X = X if centre is None else X - centre
            X = place.xp.astype(X, getattr(place.xp, self.dtype.name), copy=False)
            t, kept = self._target_there(span, place), self._kept_there.get(span)
            weights = self.targets.weights[slice(*span)]
            rows: Any = _RowsThere(X)
            yield span, kernel(Block(rows, weights, t, kept), *sent)

    def _target_there(self, span: Span, place: Place) -> TargetBlock:
        """Return the targets of a block where its rows are; those of labels stay there."""
        if span in self._targets_there:
            return self._targets_there[span]
        t = self.targets.block(*span)
        is_wide = isinstance(t, SoftBlock)
        if not (is_wide or self.targets.loss == "categorical"):
            dense = t.dense(self.n_outputs)
            t = SoftBlock(t.mass, t.reference, t.rest, dense, offset=t.offset)
        there = t.put(place.put)
        if not is_wide:
            self._targets_there[span] = there
        return there

    def _wide(self, part: Any) -> Any:
        """Return a sum in float64."""
        xp = self._elsewhere.place.xp
        return xp.astype(part, xp.float64, copy=False)
