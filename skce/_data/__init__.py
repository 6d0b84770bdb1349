"""Where rows of X and their target mass are, and how sums over them are made.

Nothing else knows where: a fit sends coefficients, and gets sums. A new place for data is a class
with the verbs of `Data`.
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

#: Takes a block, and what else `sum` or `map` was given.
Kernel = Callable[..., Any]


class Data(Protocol):
    """Rows of X with their target mass.

    Columns so far from zero that products with them would lose digits are read less `centre`, of
    shape (n_columns,). It is up to the caller to use an intercept that takes it up.
    """

    @property
    def costs(self) -> Costs:
        """What a fit on these data may cost, and what is worth its cost."""

    @property
    def n_rows(self) -> int:
        """Rows."""

    @property
    def n_columns(self) -> int:
        """Columns of X."""

    @property
    def n_outputs(self) -> int:
        """Coefficient vectors that the targets are for."""

    @property
    def total_weight(self) -> float:
        """Sum of the weights of the rows."""

    @property
    def dtype(self) -> np.dtype:
        """Type of number in which blocks are computed with."""

    @property
    def stored_dtype(self) -> np.dtype:
        """Type of number in which the user has X, and wants the coefficients."""

    @property
    def is_sparse(self) -> bool:
        """Whether X is sparse."""

    @property
    def nbytes(self) -> int:
        """Bytes of X."""

    @property
    def work_per_logit(self) -> int:
        """Multiplications for one logit of one row."""

    @property
    def centre(self) -> NDArray | None:
        """What is subtracted from every row, if anything is."""

    @property
    def distance(self) -> float:
        """Standard deviations between zero and columns that are read as they are, at most."""

    def coefficients(self, A: NDArray, a: NDArray) -> tuple[NDArray, NDArray]:
        """Return coefficients of shape (J, n_columns) and (J,) as `Features.logits` takes them."""

    def sum(
        self,
        kernel: Kernel,
        *arguments: Any,
        width: int | None = None,
        rows: int | None = None,
        runs: int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> tuple[Any, ...]:
        """Add up what a kernel returns for each block, in an order that is always the same.

        Parameters
        ----------
        kernel : callable
            Takes a block and the arguments; returns a tuple of numbers and arrays.
        *arguments : object
        width : int, default=None
            Numbers that a row is turned into, by which the size of a block is chosen; None for
            `n_outputs`.
        rows : int, default=None
            The size of a block; None for one that suits `width`.
        runs : int, default=None
            How many sums may be in memory at a time; None for as many as pay.
        dtype : dtype, default=float64
            Of sums with two dimensions. All others are of float64.
        """

    def maximum(self, kernel: Kernel, *arguments: Any) -> tuple[float, ...]:
        """Return the largest of the numbers that a kernel returns for each block."""

    def map(self, kernel: Kernel, *arguments: Any, rows: int | None = None) -> Data:
        """Return these data with what a kernel returns for each block, as its `kept`.

        Sums over them must have the same `rows`, and no other `width`.
        """

    def chunks(self, size: int, most: int | None = None) -> Iterator[tuple[Block, NDArray]]:
        """Blocks of `size` rows in host memory, each with weights that sum to 1 over all.

        Of all rows, or of a fixed sample of them if there are more than `most`.
        """

    def sample(self, n_rows: int) -> Data:
        """Return a random sample of the rows in host memory, always the same one."""

    def columns(self, columns: NDArray) -> Data:
        """Return the given columns."""

    def telling(self, tell: Callable[[float], None]) -> Data:
        """Return these data, whose sums tell what share of the rows they have read.

        Those in memory do not, for that takes next to no time.
        """

    def rounded(self) -> Data:
        """Return these data, rounded to float32 when they are read if that is faster."""

    def matrix(self, Q: NDArray) -> Any:
        """Return a matrix, or several, where products with it are made: it has `@` and `.T`."""

    def there(self, n_rows: int) -> Data | None:
        """Return a fixed sample of rows on another device, if sums over it should be made there."""
