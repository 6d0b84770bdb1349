"""Positions of coefficients and intercepts in the vector of variables of a solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._threads import cached_property


@dataclass(frozen=True)
class Layout:
    """W row by row, then b. Without an intercept there is no b.

    Attributes
    ----------
    n_outputs : int
        Rows of W.
    n_columns : int
        Columns of W.
    fit_intercept : bool
    """

    n_outputs: int
    n_columns: int
    fit_intercept: bool

    @cached_property
    def n_coefficients(self) -> int:
        """Elements of W."""
        return self.n_outputs * self.n_columns

    @cached_property
    def size(self) -> int:
        """Elements of W and b."""
        return self.n_coefficients + self.n_outputs * self.fit_intercept

    def unpack(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """W, shape (n_outputs, n_columns), and b, shape (n_outputs,).

        Both are views of theta. Without an intercept b is a new array of zeros.
        """
        end = self.n_coefficients
        W = theta[:end].reshape(self.n_outputs, -1)
        return W, theta[end:] if self.fit_intercept else np.zeros(self.n_outputs)

    def pack(self, W: NDArray, b: NDArray) -> NDArray:
        """Return theta. This is the inverse of `unpack`."""
        return np.concatenate([W.ravel(), b]) if self.fit_intercept else W.ravel()

    def places(self, indices: NDArray) -> tuple[NDArray, NDArray]:
        """Return outputs and columns of some elements. Intercepts are in column `n_columns`."""
        weights = indices < self.n_coefficients
        outputs, columns = np.divmod(indices, self.n_columns)
        outputs[~weights] = np.arange(np.count_nonzero(~weights))
        columns[~weights] = self.n_columns
        return outputs, columns
