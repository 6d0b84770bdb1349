"""A block of rows: X and target mass, and the methods that kernels may call.

A kernel is a function at module level that takes a block, and returns terms of a sum over all
blocks. Blocks and kernels can be pickled, so that the sum can be computed where the rows are.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from .._targets.mass import TargetBlock


class Space:
    """Memory that all blocks of a run reuse.

    Some systems take back memory of this size when it is freed, for example on Dask's workers. New
    memory for each block would then take as long as the computation of the block.
    """

    __slots__ = ("_bytes",)

    def __init__(self) -> None:
        self._bytes = np.empty(0, dtype=np.uint8)

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
        """Return an uninitialised array, in the memory of the previous one."""
        size = math.prod(shape) * dtype.itemsize
        if size > len(self._bytes):
            self._bytes = np.empty(size, dtype=np.uint8)
        return self._bytes[:size].view(dtype).reshape(shape)


@dataclass(slots=True)
class Features(ABC):
    """X of a block with r rows.

    Attributes
    ----------
    values : {ndarray, csr_array} of shape (r, n_features)
        The rows for computing: centred, and converted to the type of number of the fit.
    """

    values: Any

    @abstractmethod
    def logits(self, A: NDArray, a: NDArray, space: Space | None = None) -> NDArray:
        """Return A X' + a, shape (J, r), for A and a as `Data.coefficients` returns them.

        The result may be in the memory of `space`.
        """

    @abstractmethod
    def back(self, R: NDArray) -> NDArray:
        """Return R X, shape (K, n_features), for R of shape (K, r)."""

    @abstractmethod
    def back_squares(self, R: NDArray, mean: NDArray | None) -> NDArray:
        """Return R (X - mean)^2, the square of each element, shape (K, n_features)."""

    @abstractmethod
    def moments(self, share: NDArray) -> tuple[NDArray, NDArray]:
        """Return the sums of the columns and of their squares, with each row times its share."""

    @abstractmethod
    def dense(self, columns: NDArray | None = None, dtype: DTypeLike = np.float64) -> NDArray:
        """Return the given columns, or all of them, as an array of the given type."""

    def logit_sizes(self, A: NDArray) -> NDArray:
        """Return |A| |X'| in float64, shape (J, r): the sums of the sizes of the terms of A X'."""
        return np.asarray(np.abs(A.astype(np.float64)) @ np.abs(self.dense()).T)

    def total(self, share: NDArray) -> NDArray:
        """Return the sums of the columns, with each row times its share."""
        return np.asarray(share @ self.dense())

    def scatter(self, mean: NDArray, share: NDArray, dtype: DTypeLike = np.float64) -> NDArray:
        """Return the products of centred columns, with each row times its share.

        They are computed in the given type of number.
        """
        Z = self.dense(dtype=dtype) - mean.astype(dtype)
        Z *= np.sqrt(share)[:, None].astype(dtype)
        return np.asarray(Z.T @ Z)


class DenseFeatures(Features):
    """Rows of an array."""

    def logits(self, A: NDArray, a: NDArray, space: Space | None = None) -> NDArray:
        """Return A X' + a."""
        X = self.values
        shape, dtype = (len(A), len(X)), np.result_type(A, X)
        z: NDArray = np.empty(shape, dtype) if space is None else space.array(shape, dtype)
        if A.any():
            np.matmul(A, X.T, out=z)
            z += a
        else:  # at the start of most fits
            z[:] = a
        return z

    def back(self, R: NDArray) -> NDArray:
        """Return R X."""
        return np.asarray(R @ self.values)

    def back_squares(self, R: NDArray, mean: NDArray | None) -> NDArray:
        """Return R (X - mean)^2."""
        Z = self.values if mean is None else self.values - mean
        return np.asarray(R @ Z**2)

    def moments(self, share: NDArray) -> tuple[NDArray, NDArray]:
        """Return the sums of the columns and of their squares."""
        # With one memory order for all arrays, equal numbers give equal bits.
        block = np.ascontiguousarray(self.values, dtype=np.float64)
        with np.errstate(over="ignore"):
            return share @ block, share @ (block * block)

    def dense(self, columns: NDArray | None = None, dtype: DTypeLike = np.float64) -> NDArray:
        """Return some columns as an array."""
        values = self.values if columns is None else self.values[:, columns]
        return np.asarray(values, dtype=dtype)


class SparseFeatures(Features):
    """Rows of a CSR array."""

    def logits(self, A: NDArray, a: NDArray, space: Space | None = None) -> NDArray:
        """Return A X' + a."""
        if not A.any():  # at the start of most fits
            return np.repeat(a, self.values.shape[0], axis=1)
        z = np.ascontiguousarray((self.values @ A.T).T)
        z += a
        return z

    def back(self, R: NDArray) -> NDArray:
        """Return R X."""
        return np.asarray((self.values.T @ np.ascontiguousarray(R.T)).T)

    def back_squares(self, R: NDArray, mean: NDArray | None) -> NDArray:
        """Return R (X - mean)^2 without making X - mean, which would be dense."""
        X: sp.csr_array = self.values
        squares = (sp.csr_array((X.data**2, X.indices, X.indptr), X.shape).T @ R.T).T
        if mean is not None:
            squares += mean * (mean * R.sum(axis=1)[:, None] - 2 * (X.T @ R.T).T)
        return np.asarray(squares)

    def logit_sizes(self, A: NDArray) -> NDArray:
        """Return |A| |X'| in float64."""
        X: sp.csr_array = self.values  # abs(X) would sort its indices in place
        sizes = sp.csr_array((np.abs(X.data), X.indices, X.indptr), X.shape)
        return np.ascontiguousarray((sizes @ np.abs(A.astype(np.float64)).T).T)

    def moments(self, share: NDArray) -> tuple[NDArray, NDArray]:
        """Return the sums of the columns and of their squares."""
        X: sp.csr_array = self.values
        values = X.data.astype(np.float64, copy=False)
        shares = np.repeat(share, np.diff(X.indptr))
        with np.errstate(over="ignore"):
            return (
                np.bincount(X.indices, shares * values, X.shape[1]),
                np.bincount(X.indices, shares * (values * values), X.shape[1]),
            )

    def dense(self, columns: NDArray | None = None, dtype: DTypeLike = np.float64) -> NDArray:
        """Return some columns as an array."""
        values = self.values if columns is None else self.values[:, columns]
        return np.asarray(values.toarray(), dtype=dtype)


class Block:
    """Some rows.

    Parameters
    ----------
    X : Features
    weights : ndarray of shape (r,)
        Weights of the rows, before class weights.
    t : TargetBlock or callable
        Their target mass, or a function that reads it when a kernel needs it.
    kept : object, default=None
        The result of the kernel of a `map` for these rows.
    space : Space, default=None
        Memory that blocks share if they are read one after the other.
    """

    __slots__ = ("X", "_space", "_t", "kept", "weights")

    def __init__(
        self,
        X: Features,
        weights: NDArray,
        t: TargetBlock | Callable[[], TargetBlock],
        kept: Any = None,
        space: Space | None = None,
    ):
        self.X = X
        self.weights = weights
        self._t = t
        self.kept = kept
        self._space = space

    def logits(self, A: NDArray, a: NDArray) -> NDArray:
        """Return A X' + a. The next call for any block may overwrite the result."""
        return self.X.logits(A, a, self._space)

    @property
    def t(self) -> TargetBlock:
        """Target mass of the rows."""
        if callable(self._t):
            self._t = self._t()
        return self._t

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the target mass, but neither the function that reads it nor the space."""
        return Block, (self.X, self.weights, self.t, self.kept)
