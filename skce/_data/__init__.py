"""Places where rows of X and their target mass are stored, and sums over these rows.

The rest of the package does not know the place: a fit sends coefficients, and gets sums. A new
place for data is a class with the methods of `Data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._costs import Costs
from .block import Block, Features
from .device import anywhere, roughly
from .memory import MemoryData
from .places import as_data, read_as

__all__ = [
    "Block",
    "Data",
    "Features",
    "Kernel",
    "MemoryData",
    "anywhere",
    "as_data",
    "read_as",
    "roughly",
]

#: A function of a block and of the arguments that `sum` or `map` got.
Kernel = Callable[..., Any]


class Data(Protocol):
    """Rows of X with their target mass.

    Products with columns far from zero would lose digits. So `centre`, of shape (n_columns,), is
    subtracted from these when they are read. The caller must have an intercept that absorbs it.
    """

    @property
    def costs(self) -> Costs:
        """Constants of a fit on these data."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    def n_columns(self) -> int:
        """Number of columns of X."""

    @property
    def n_outputs(self) -> int:
        """Number of coefficient vectors."""

    @property
    def total_weight(self) -> float:
        """Sum of the weights of the rows."""

    @property
    def dtype(self) -> np.dtype:
        """Type of number of the computations with a block."""

    @property
    def stored_dtype(self) -> np.dtype:
        """Type of number of the user's X, and of the coefficients that the user gets."""

    @property
    def is_sparse(self) -> bool:
        """Whether X is sparse."""

    @property
    def in_memory(self) -> bool:
        """Whether rows are in the memory of this process, so that reading a block is free."""

    @property
    def on_device(self) -> bool:
        """Whether another device computes sums, so that a call may take longer than a small sum."""

    @property
    def n_pieces(self) -> int:
        """Parts, chunks or blocks of a device that make up a sum; 0 if the rows are in memory."""

    @property
    def nbytes(self) -> int:
        """Bytes of X."""

    @property
    def work_per_logit(self) -> int:
        """Multiplications for one logit of one row."""

    @property
    def centre(self) -> NDArray | None:
        """The vector that is subtracted from every row, or None."""

    @property
    def distance(self) -> float:
        """Largest distance from zero, in standard deviations, of columns that are not centred."""

    def coefficients(self, A: NDArray, a: NDArray) -> tuple[NDArray, NDArray]:
        """Convert coefficients of shape (J, n_columns) and (J,) for `Features.logits`."""

    def sum(
        self,
        kernel: Kernel,
        *arguments: Any,
        width: int | None = None,
        rows: int | None = None,
        runs: int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> tuple[Any, ...]:
        """Add up the results of a kernel for all blocks. The order is always the same.

        Parameters
        ----------
        kernel : callable
            Takes a block and the arguments. Returns a tuple of numbers and arrays.
        *arguments : object
            Other arguments of the kernel.
        width : int, default=None
            Numbers that the kernel makes of a row, which determine the size of a block. None for
            `n_outputs`.
        rows : int, default=None
            Rows of a block. None for a size that suits `width`.
        runs : int, default=None
            How many partial sums may be in memory at a time. None for as many as are worth it.
        dtype : dtype, default=float64
            Type of sums with two dimensions. All others are of float64.
        """

    def maximum(self, kernel: Kernel, *arguments: Any) -> tuple[float, ...]:
        """Return the maximum over all blocks of each number that a kernel returns."""

    def map(self, kernel: Kernel, *arguments: Any, rows: int | None = None) -> Data:
        """Return these data. In each block, `kept` is the result of a kernel for this block.

        Sums over them must have the same `rows`, and the default `width`.
        """

    def chunks(self, size: int, most: int | None = None) -> Iterator[tuple[Block, NDArray]]:
        """Blocks of `size` rows in host memory, each with its weights.

        The blocks hold all rows, or a fixed sample if there are more than `most` rows. The weights
        of all blocks sum to 1.
        """

    def sample(self, n_rows: int) -> Data:
        """Return a random sample of the rows, in host memory. It is always the same sample."""

    def columns(self, columns: NDArray) -> Data:
        """Return the given columns."""

    def telling(self, tell: Callable[[float], None]) -> Data:
        """Return these data, whose sums call `tell` with the share of the rows that they have read.

        Sums over data in memory do not call it, because they are fast.
        """

    def rounded(self) -> Data:
        """Return these data. If that is faster, rows are rounded to float32 when they are read."""

    def matrix(self, Q: NDArray) -> Any:
        """Return a matrix, or a stack, at the place that multiplies by it. It has `@` and `.T`."""

    def there(self, n_rows: int) -> Data | None:
        """Return a fixed sample of rows on another device if it should sum over them, else None."""
