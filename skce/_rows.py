"""X by blocks of rows: the only part that knows where the data are.

A place for data is a class with the same few verbs (`DenseRows`, `CSRRows`); `as_rows` picks it.
Everything that a fit needs from X is one of

    sum(A, a, function)   (sum of values, sum of R X, sum of R 1) over blocks of rows, where
                          values, R = function(A X_block' + a, start, stop)
    dense(indices)        a few rows as a float64 array, for statistics of the columns
    moments(weights)      weighted means and mean squares of the columns

so that X is read once per pass, a block stays in cache between its two matrix products, and no
temporary is larger than a block or the coefficients.

The digits of columns far from zero cancel in A X' + a. Rows with such columns are read less
`centre`, a number for each column: X stands for X - centre in all of the above, and it is up to the
caller to use an intercept that takes it up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray
from sklearn.utils.extmath import safe_sparse_dot

from ._threads import threads

BlockFunction = Callable[[NDArray, int, int], tuple[NDArray, NDArray]]

#: Elements of a (K, r) block of logits. Blocks of 512 to 2048 rows were fastest at K = 10;
#: beyond 8192 rows nothing is gained at K = 1.
_BLOCK = 2**15
_ROWS_PER_BLOCK = (512, 8192)

#: The same for CSR, where every block costs a (K, n_features) array to add up.
_CSR_BLOCK = 2**20
_ROWS_FOR_MOMENTS = 2**16

#: Columns of a (K, n_features) array that stay in cache while it is turned.
COLUMNS = 4096

_NOTHING = np.zeros(0)

#: Rows that tell whether columns are far from zero: by this many standard deviations, which cost
#: float32 two digits and float64 three.
_ROWS_FOR_CENTRE = 1000
_FAR = {np.dtype(np.float32): 100, np.dtype(np.float64): 1000}

#: X is small if it has fewer bytes. Then float32 is read as float64, and the work of a fit has a
#: limit.
FEW_BYTES = 2**23

#: Bytes of sparse rows that are worth rounding, how many of their numbers tell whether they fit
#: float32, and the size that leaves room for products.
_WORTH_ROUNDING = 2**20
_NUMBERS_FOR_SIZE = 1000
_FITS_FLOAT32 = 1e9

#: Runs of blocks that threads share, and multiplications that are worth a run of their own.
_SPANS = 16
_WORK_PER_SPAN = 2**23
#: Bytes that the sums of all runs may take.
_PARTIAL_SUMS = 2**26


def blocks(stop: int, size: int, start: int = 0) -> Iterator[tuple[int, int]]:
    """Start and stop of consecutive blocks of `size` rows."""
    return ((first, min(first + size, stop)) for first in range(start, stop, size))


class _Rows:
    """What the places for data share."""

    is_sparse = False
    #: How many standard deviations columns that are read as they are lie away from zero, at most.
    distance = 0.0
    X: Any

    def __init__(
        self,
        X: NDArray | sp.csr_array,
        centre: NDArray | None = None,
        dtype: DTypeLike | None = None,
    ):
        self.X = X
        self.n_rows, self.n_columns = X.shape
        #: What blocks are turned into when they are read.
        self.dtype = X.dtype if dtype is None else np.dtype(dtype)
        #: In what the centre is subtracted.
        self._exact = np.promote_types(X.dtype, self.dtype)
        #: What is subtracted from every row that is read, in the dtype of X; None for nothing.
        self.centre = centre
        self._runs: dict[int, list[tuple[int, int]]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers in X, and of their columns if it is sparse."""
        return _bytes(self.X)

    @property
    def _work_per_logit(self) -> int:
        """Multiplications for one logit of one row."""
        return self.n_columns

    def sum(
        self, A: NDArray, a: NDArray, function: BlockFunction
    ) -> tuple[float, NDArray, NDArray]:
        """Add up values, R X and R 1 over blocks of rows.

        Parameters
        ----------
        A : ndarray of shape (J, n_features)
        a : ndarray of shape (J,)
        function : callable
            Takes the logits A X_block' + a, shape (J, r), in the dtype of X, and the first and
            last row of the block; returns values, shape (r,), and R, shape (K, r).

        Returns
        -------
        value : float
        RX : ndarray of the dtype of A, shape (K, n_features)
        R1 : ndarray of float64, shape (K,)
        """

        def one(span: tuple[int, int]) -> tuple[float, NDArray, NDArray]:
            value, RX, R1 = 0.0, _NOTHING, _NOTHING
            for z, start, stop, block in self._blocks_of_logits(A, a, span):
                values, R = function(z, start, stop)
                value += float(np.add.reduce(values, dtype=np.float64))
                RX = _plus(RX, self._back(R, block))
                R1 = _plus(R1, np.add.reduce(R, axis=1))
            return value, RX, R1

        dtype = A.dtype
        A, a = self._coefficients(A), a.astype(self.dtype)[:, None]
        parts = list(threads.map(one, self._spans(len(A))))
        RX = _total([part[1] for part in parts], dtype)
        R1 = parts[0][2].astype(np.float64, copy=False)
        for part in parts[1:]:
            R1 += part[2]
        return sum(part[0] for part in parts), RX, R1

    def each(self, A: NDArray, a: NDArray, function: Callable[[NDArray, int, int], None]) -> None:
        """Call a function with the logits of each of the blocks that `sum` would take."""

        def one(span: tuple[int, int]) -> None:
            for z, start, stop, _ in self._blocks_of_logits(A, a, span):
                function(z, start, stop)

        A, a = self._coefficients(A), a.astype(self.dtype)[:, None]
        list(threads.map(one, self._spans(len(A))))

    def _spans(self, n_logits: int) -> list[tuple[int, int]]:
        """Return runs of blocks that threads share; equal for any number, so that bits are too."""
        if n_logits not in self._runs:
            self._runs[n_logits] = self._split(n_logits)
        return self._runs[n_logits]

    def _split(self, n_logits: int) -> list[tuple[int, int]]:
        work = self.n_rows * self._work_per_logit
        in_memory = _PARTIAL_SUMS // (8 * n_logits * self.n_columns)
        # A run must be more work than to add up its sums.
        worth = min(work * n_logits // _WORK_PER_SPAN, work // (16 * self.n_columns))
        n_spans = max(1, min(_SPANS, in_memory, worth))
        return list(blocks(self.n_rows, -(-self.n_rows // n_spans)))

    def _coefficients(self, A: NDArray) -> NDArray:
        """Return A as `_logits` reads it."""
        return np.asarray(A, dtype=self.dtype)

    def _blocks_of_logits(
        self, A: NDArray, a: NDArray, span: tuple[int, int]
    ) -> Iterator[tuple[NDArray, int, int, NDArray | sp.csr_array]]:
        for start, stop in blocks(span[1], self._block_size(len(A)), span[0]):
            block = self.block(start, stop)
            z = self._logits(A, block)
            z += a
            yield z, start, stop, block

    def take(self, indices: NDArray) -> _Rows:
        """Return a copy of the given rows, in the same kind of place."""
        rows = type(self)(self.X[indices], self.centre, self.dtype)
        rows.distance = self.distance
        return rows

    def columns(self, columns: NDArray) -> _Rows:
        """Return a copy of the given columns, in the same kind of place."""
        centre = None if self.centre is None else self.centre[columns]
        return type(self)(self.X[:, columns], centre, self.dtype)

    def rounded(self) -> _Rows:
        """Return rows that are rounded to float32 when they are read, where that is faster."""
        return self

    def block(self, start: int, stop: int) -> NDArray | sp.csr_array:
        """Rows start to stop, without a copy."""
        raise NotImplementedError

    def dense(self, indices: NDArray) -> NDArray:
        """Return the given rows as a float64 array."""
        raise NotImplementedError

    def moments(self, weights: NDArray) -> tuple[NDArray, NDArray]:
        """Weighted mean and mean square of each column."""
        raise NotImplementedError

    def _block_size(self, n_logits: int) -> int:
        raise NotImplementedError

    def _logits(self, A: NDArray, block: NDArray | sp.csr_array) -> NDArray:
        raise NotImplementedError

    def _back(self, R: NDArray, block: NDArray | sp.csr_array) -> NDArray:
        raise NotImplementedError


class DenseRows(_Rows):
    """A NumPy array in memory or memory-mapped, in any order."""

    def block(self, start: int, stop: int) -> NDArray:
        """Rows start to stop, a view unless they are centred."""
        return self._centred(self.X[start:stop])

    def _centred(self, block: NDArray) -> NDArray:
        block = block.astype(self._exact, copy=False)
        block = block if self.centre is None else block - self.centre
        return block.astype(self.dtype, copy=False)

    def dense(self, indices: NDArray) -> NDArray:
        """Return the given rows as a float64 array."""
        return self._centred(self.X[indices]).astype(np.float64, copy=False)

    def moments(self, weights: NDArray) -> tuple[NDArray, NDArray]:
        """Weighted mean and mean square of each column."""
        share = _share(weights)
        mean, square = np.zeros((2, self.n_columns))
        with np.errstate(over="ignore"):
            for start, stop in blocks(self.n_rows, _ROWS_PER_BLOCK[0]):
                # In one order, so that equal numbers give equal bits.
                block = np.ascontiguousarray(self.block(start, stop), dtype=np.float64)
                mean += share[start:stop] @ block
                square += share[start:stop] @ (block * block)
        return mean, square

    def _block_size(self, n_logits: int) -> int:
        fewest, most = _ROWS_PER_BLOCK
        return max(fewest, min(_BLOCK // n_logits, most))

    def _logits(self, A: NDArray, block: NDArray) -> NDArray:
        return A @ block.T

    def _back(self, R: NDArray, block: NDArray) -> NDArray:
        return R @ block


class CSRRows(_Rows):
    """A CSR array or matrix.

    A column that is centred has an element stored in every row.
    """

    X: sp.csr_array
    is_sparse = True

    def __init__(
        self, X: sp.csr_array, centre: NDArray | None = None, dtype: DTypeLike | None = None
    ):
        super().__init__(X, centre, dtype)
        self._views: dict[tuple[int, int], sp.csr_array] = {}

    @property
    def _work_per_logit(self) -> int:
        """Multiplications for one logit of one row."""
        return self.X.nnz // self.n_rows

    def rounded(self) -> _Rows:
        """Return rows that are rounded to float32 when they are read, where that is faster.

        Products with sparse rows move numbers more than they multiply: with half of the bytes a
        pass took 0.65 of the time on text (20 000, 50 000) with 20 classes.
        """
        data = self.X.data
        if self.dtype != np.float64 or data.nbytes < _WORTH_ROUNDING:
            return self
        size = np.abs(data[:: max(1, len(data) // _NUMBERS_FOR_SIZE)]).max()
        if not 1 / _FITS_FLOAT32 < size < _FITS_FLOAT32:
            return self
        return CSRRows(self.X, self.centre, np.float32)

    def block(self, start: int, stop: int) -> sp.csr_array:
        """Rows start to stop; SciPy's own slices would copy."""
        if (start, stop) not in self._views:
            ends = self.X.indptr[start : stop + 1]
            inside = slice(ends[0], ends[-1])
            parts = self.X.data[inside], self.X.indices[inside], ends - ends[0]
            self._views[start, stop] = sp.csr_array(parts, shape=(stop - start, self.n_columns))
        view = self._views[start, stop]
        if view.dtype == self.dtype and self.centre is None:
            return view
        data = view.data.astype(self._exact, copy=False)
        data = data if self.centre is None else data - self.centre[view.indices]
        data = data.astype(self.dtype, copy=False)
        return sp.csr_array((data, view.indices, view.indptr), view.shape)

    def dense(self, indices: NDArray) -> NDArray:
        """Return the given rows as a float64 array."""
        X = self.X[indices].toarray().astype(self._exact, copy=False)
        if self.centre is not None:
            X -= self.centre
        return X.astype(np.float64, copy=False)

    def moments(self, weights: NDArray) -> tuple[NDArray, NDArray]:
        """Weighted mean and mean square of each column."""
        share = _share(weights)
        mean, square = np.zeros((2, self.n_columns))
        with np.errstate(over="ignore"):
            for start, stop in blocks(self.n_rows, _ROWS_FOR_MOMENTS):
                block = self.block(start, stop)
                values = block.data.astype(np.float64, copy=False)
                shares = np.repeat(share[start:stop], np.diff(block.indptr))
                for total, powers in ((mean, values), (square, values * values)):
                    total += np.bincount(block.indices, shares * powers, self.n_columns)
        return mean, square

    def _block_size(self, n_logits: int) -> int:
        return max(_CSR_BLOCK // n_logits, 1)

    def _coefficients(self, A: NDArray) -> NDArray:
        out = np.empty(A.shape, dtype=self.dtype, order="F")

        def turn(span: tuple[int, int]) -> None:
            out[:, slice(*span)] = A[:, slice(*span)]

        list(threads.map(turn, blocks(A.shape[1], COLUMNS)))
        return out

    def _logits(self, A: NDArray, block: sp.csr_array) -> NDArray:
        return np.ascontiguousarray((block @ A.T).T)

    def _back(self, R: NDArray, block: sp.csr_array) -> NDArray:
        return (block.T @ np.ascontiguousarray(R.T)).T


def _share(weights: NDArray) -> NDArray:
    """Weights of rows as shares of their sum."""
    share = weights.astype(np.float64)
    return share / share.sum()


def _plus(total: NDArray, part: NDArray) -> NDArray:
    """Add to a total that is empty at first, and of float64 from the second part on."""
    if total is _NOTHING:
        return part
    total = total.astype(np.float64, copy=False)
    total += part
    return total


def _total(sums: list[NDArray], dtype: DTypeLike) -> NDArray:
    """Add up sums of shape (K, n_features), some columns after the other."""
    if len(sums) == 1:
        return sums[0].astype(dtype, copy=False)
    total: NDArray = np.empty(sums[0].shape, dtype)

    def add(span: tuple[int, int]) -> None:
        some = slice(*span)
        total[:, some] = sums[0][:, some]
        for part in sums[1:]:
            total[:, some] += part[:, some]

    list(threads.map(add, blocks(total.shape[1], COLUMNS)))
    return total


def _far_from_zero(X: Any, columns: NDArray | slice) -> tuple[NDArray | None, float]:
    """Means of columns, by some rows, where they are so far from zero that digits are lost.

    And how far, in standard deviations, those are that are not constant, if there are two or more.
    """
    step = max(1, X.shape[0] // _ROWS_FOR_CENTRE)
    some = X[::step][:, columns]
    some = (some.toarray() if sp.issparse(some) else some).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = some.mean(axis=0), some.std(axis=0)
        far = np.isfinite(mean) & (np.abs(mean) > _FAR[X.dtype] * deviation)
    if not far.any():
        return None, 0.0
    centre = np.zeros(X.shape[1], X.dtype)
    centre[columns] = np.where(far, mean, 0)
    if np.count_nonzero(far) < 2:  # there is nothing that it could be collinear with
        return centre, 0.0
    differ = far & (deviation > np.finfo(np.float64).eps * np.abs(mean))
    return centre, float((np.abs(mean[differ]) / deviation[differ]).max(initial=0))


def _bytes(X: NDArray | sp.csr_array) -> int:
    """Bytes of the numbers in X, and of their columns if it is sparse."""
    return int(X.data.nbytes + X.indices.nbytes if sp.issparse(X) else X.nbytes)


def read_as(X: NDArray | sp.csr_array) -> np.dtype:
    """Return the type of number in which a fit computes with X, unless a column is far from zero."""
    return np.dtype(np.float64) if _bytes(X) < FEW_BYTES else X.dtype


def as_rows(X: Any, *, centred: bool = True) -> _Rows:
    """Wrap validated X.

    Parameters
    ----------
    X : {ndarray, csr_array} of shape (n_samples, n_features)
    centred : bool, default=True
        Whether columns far from zero may be centred, which takes an intercept. Without one
        float32 is read as float64 if there are such columns, as it is if X is small.

    Returns
    -------
    DenseRows or CSRRows
    """
    place = CSRRows if sp.issparse(X) else DenseRows
    full: Any = slice(None)
    dtype = read_as(X)
    if sp.issparse(X):
        full = np.flatnonzero(np.bincount(X.indices, minlength=X.shape[1]) >= X.shape[0])
        if not len(full):
            return CSRRows(X, dtype=dtype)
    centre, distance = _far_from_zero(X, full)
    if centre is None or not centred:
        rows = place(X, dtype=dtype if centre is None else np.float64)
        rows.distance = distance
        return rows
    if sp.issparse(X) and not X.has_canonical_format:  # an element may be stored in parts
        X = X.copy()
        X.sum_duplicates()
        full = np.bincount(X.indices, minlength=X.shape[1]) == X.shape[0]
        centre = np.where(full, centre, 0)
    return place(X, centre, dtype)


def logits(X: NDArray | sp.csr_array, coef: NDArray, intercept: NDArray) -> NDArray:
    """Logits X coef' + intercept of all rows, shape (n_samples, K)."""
    z = safe_sparse_dot(X, coef.T, dense_output=True)
    z += intercept
    return z
