"""Rows on another device: a GPU, or another device for arrays of the array API standard.

The device computes the sums that take most of the time of a fit, block by block: coefficients go to
the device, and sums come back. Other sums are rare. For these the rows come to the host, part by
part, as from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._array_api import Elsewhere, Place, exact_products
from .._arrays import as_type, namespace, product
from .._costs import Costs
from .._rows import Rows
from .._targets.mass import Targets
from .._threads import Span, blocks
from .block import Block, DenseFeatures
from .memory import MemoryData, as_sum, largest
from .stored import StoredData


def anywhere(kernel: Callable) -> Callable:
    """Mark a kernel that can compute with arrays of any library."""
    kernel.anywhere = True  # type: ignore[attr-defined]
    return kernel


def roughly(kernel: Callable) -> Callable:
    """Mark a kernel whose matrix products may use TF32."""
    kernel.rough = True  # type: ignore[attr-defined]
    return anywhere(kernel)


class _RowsThere:
    """Rows on the device, for kernels that compute there."""

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

    def back_squares(self, R: Any, mean: Any) -> Any:
        """Return R (X - mean)^2."""
        Z = self.values if mean is None else self.values - mean
        return product(R, Z**2)

    def moments(self, share: Any) -> tuple[Any, Any]:
        """Return the sums of the columns and of their squares, with each row times its share."""
        X = self.dense()
        return share @ X, share @ (X * X)

    def logit_sizes(self, A: Any) -> Any:
        """Return |A| |X'| in float64."""
        X, xp = self.dense(), namespace(A)
        return xp.abs(as_type(A, np.float64)) @ xp.abs(X).T

    def dense(self) -> Any:
        """Return the rows in float64."""
        return as_type(self.values, np.float64)


class _SampleThere(DenseFeatures):
    """Rows that the device sums, and that come to the host for everything else."""

    __slots__ = ("_elsewhere", "_read", "_there")

    def __init__(self, there: Any, elsewhere: Elsewhere):
        self._there, self._elsewhere = there, elsewhere
        self._read: NDArray | None = None

    @property
    def values(self) -> Any:
        """The rows in host memory."""
        if self._read is None:
            self._read = self._elsewhere.in_numpy(self._there)
        return self._read

    def total(self, share: NDArray) -> NDArray:
        """Return the sums of the columns, with each row times its share."""
        X = as_type(self._there, np.float64)
        return self._elsewhere.in_numpy(self._elsewhere.place.put(share) @ X)

    def scatter(self, mean: NDArray, share: NDArray, dtype: DTypeLike = np.float64) -> NDArray:
        """Return the products of centred columns, with each row times its share."""
        put = self._elsewhere.place.put
        Z = as_type(self._there, dtype) - put(mean.astype(dtype))
        Z *= put(np.sqrt(share).astype(dtype))[:, None]
        return self._elsewhere.in_numpy(Z.T @ Z)


class _MatrixThere:
    """A matrix, or one for each class, on the device that multiplies by it."""

    #: NumPy leaves products to this class.
    __array_ufunc__ = None

    def __init__(self, values: Any, elsewhere: Elsewhere):
        self._values, self._elsewhere = values, elsewhere
        self.ndim = values.ndim

    @property
    def T(self) -> _MatrixThere:  # noqa: N802
        """The transposed matrix."""
        return _MatrixThere(self._values.T, self._elsewhere)

    def __matmul__(self, A: NDArray) -> NDArray:
        return self._elsewhere.result(self._values @ self._elsewhere.place.put(A))

    def __rmatmul__(self, A: NDArray) -> NDArray:
        return self._elsewhere.result(self._elsewhere.place.put(A) @ self._values)


class DeviceData(StoredData):
    """Rows on another device: `Rows` of an `Elsewhere`."""

    on_device = True

    def __init__(
        self,
        X: Rows,
        targets: Targets,
        centre: NDArray | None = None,
        dtype: DTypeLike | None = None,
        *,
        costs: Costs,
    ):
        free = X.values.free_bytes
        if free is not None:
            width = 8 * (4 * targets.n_outputs + 2 * X.shape[1])
            costs = replace(
                costs,
                kept_probabilities=int(free * costs.device_share),
                part_bytes=min(costs.part_bytes, int(free * costs.device_share)),
                device_rows=max(1, min(costs.device_rows, int(free * costs.device_share) // width)),
            )
        super().__init__(X, targets, centre, dtype, costs=costs)

    def _hold(self, X: Any, targets: Targets) -> None:
        super()._hold(X, targets)
        self._kept_there: dict[Span, Any] = {}
        self._targets_there: Targets | None = None

    @property
    def n_pieces(self) -> int:
        """Blocks that a sum computes on the device, one after the other."""
        return len(list(blocks(self.n_rows, self.costs.device_rows)))

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
        """Add up the results of a kernel for all blocks; see `Data`.

        The results for a block have the type of number of the rows. They are added up in float64.
        """
        if not hasattr(kernel, "anywhere"):
            return super().sum(kernel, *arguments, width=width, rows=rows, runs=runs, dtype=dtype)
        total: list[Any] = []
        for _, found in self._each_there(kernel, arguments):
            wide = [as_type(part, np.float64) for part in found]
            total = [own + part for own, part in zip(total, wide, strict=True)] if total else wide
        in_memory = [self._elsewhere.result(part) for part in total]
        return tuple([as_sum(own, dtype) if own.ndim else float(own) for own in in_memory])

    def maximum(
        self, kernel: Callable[..., tuple[float, ...]], *arguments: Any
    ) -> tuple[float, ...]:
        """Return the maximum over all blocks of each number that a kernel returns."""
        if not hasattr(kernel, "anywhere"):
            return super().maximum(kernel, *arguments)
        return largest(tuple(map(float, own)) for _, own in self._each_there(kernel, arguments))

    def map(
        self, kernel: Callable[..., Any], *arguments: Any, rows: int | None = None
    ) -> MemoryData:
        """Return these rows. In each block, `kept` is the result of a kernel for this block."""
        if not hasattr(kernel, "anywhere"):
            return super().map(kernel, *arguments, rows=rows)
        mapped = copy(self)
        mapped._kept_there = dict(self._each_there(kernel, arguments))
        return mapped

    def chunks(self, size: int, most: int | None = None) -> Iterator[tuple[Block, NDArray]]:
        """Blocks of `size` rows, each with its weights. The weights of all blocks sum to 1."""
        rows = self if most is None or self.n_rows <= most else self._sampled(most)
        share = rows.targets.weights.astype(np.float64)
        share /= share.sum()
        for start, stop in blocks(rows.n_rows, size):
            X = _SampleThere(rows._there(start, stop), self._elsewhere)
            t = partial(rows.targets.block, start, stop)
            yield Block(X, rows.targets.weights[start:stop], t), share[start:stop]

    def take(self, indices: NDArray) -> MemoryData:
        """Return a copy of the given rows, on the device."""
        rows = np.asarray(self.X.numbers(0, self.n_rows))[indices]
        return self._of(self._elsewhere.taken(rows), self.targets.take(indices))

    def columns(self, columns: NDArray) -> MemoryData:
        """Return the given columns: a copy on the device if it is small, else read in parts."""
        if self.n_rows * len(columns) * self.dtype.itemsize > self.costs.kept_probabilities:
            return super().columns(columns)
        some = self._of(
            self._elsewhere.taken(self.X.numbers(0, self.n_rows), columns), self.targets
        )
        some.centre = None if self.centre is None else self.centre[columns]
        return some

    def matrix(self, Q: NDArray) -> Any:
        """Return a matrix, or a stack, on the device if that is worth the transfer."""
        if not self.costs.worth_device <= Q.nbytes <= self.costs.kept_probabilities:
            return Q
        return _MatrixThere(self._elsewhere.place.put(Q), self._elsewhere)

    def there(self, n_rows: int) -> DeviceData:
        """Return a fixed sample of `n_rows` rows, or all rows if there are no more."""
        return self._sampled(n_rows) if n_rows < self.n_rows else self

    def _of(self, rows: Elsewhere, targets: Targets) -> DeviceData:
        some = copy(self)
        some._hold(Rows(rows), targets)
        return some

    def _sampled(self, n_rows: int) -> DeviceData:
        """Return a fixed sample of the rows, which the device reads."""
        if n_rows not in self._taken:
            sample, some = self._sample(n_rows), copy(self)
            some._hold(self.X[sample], self.targets.take(sample))
            self._taken[n_rows] = some
        found = self._taken[n_rows]
        assert isinstance(found, DeviceData)
        return found

    def _each_there(
        self, kernel: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Iterator[tuple[Span, Any]]:
        """Yield the result of a kernel for each block, on the device."""
        place, rough = self._elsewhere.place, hasattr(kernel, "rough")
        sent = [_sent(own, place) for own in arguments]
        targets = self._put_targets(place)
        for span in blocks(self.n_rows, self.costs.device_rows):
            X: Any = _RowsThere(self._there(*span))
            t = partial(targets.block, *span)
            block = Block(X, targets.weights[slice(*span)], t, self._kept_there.get(span))
            with exact_products(place, rough=rough):
                found = kernel(block, *sent)
            yield span, found

    def _there(self, start: int, stop: int) -> Any:
        """Return rows on the device: centred, and in the type of number for computing."""
        X = as_type(self._elsewhere.there(self.X.numbers(start, stop)), self._exact)
        if self.centre is not None:
            X = X - self._elsewhere.place.put(self.centre.astype(self._exact))
        return as_type(X, self.dtype)

    def _put_targets(self, place: Place) -> Targets:
        """Return the targets on the device. A matrix is moved only if there is room for it."""
        if self._targets_there is None:

            def put(values: Any) -> Any:
                if isinstance(values, Rows) and isinstance(values.values, Elsewhere):
                    return values.values.there(values.numbers(0, len(values)))
                if values.ndim > 1 and values.nbytes > self.costs.kept_probabilities:
                    return values  # it is moved block by block
                own = np.asarray(values)
                is_code = own.ndim == 1 and own.dtype.kind in "iu"
                return place.put(own.astype(np.int64) if is_code else own)

            self._targets_there = self.targets.put(put)
        return self._targets_there


def _sent(argument: Any, place: Place) -> Any:
    """Return an argument of a kernel on the device of its rows."""
    if isinstance(argument, np.ndarray):
        return place.put(argument)
    return argument.item() if isinstance(argument, np.generic) else argument
