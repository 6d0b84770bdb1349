"""The objective that solvers see: cross-entropy and penalty, divided by C * sum(sample_weight).

    F(W, b) = 1/S * sum_i loss(t_i, W x_i + b) + ridge/2 * ||W||_2^2,   ridge = 1 / (C * S)

with S the sum of the sample weights. Parameters travel as one vector theta: W row by row, then b
(absent without an intercept). `C = inf` means ridge = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._losses import LOSSES
from ._rows import COLUMNS, _Rows, blocks
from ._target_mass import Targets
from ._threads import threads


class Objective:
    """Value, gradient and Hessian product of F as sums over blocks of rows.

    Parameters
    ----------
    rows : DenseRows or CSRRows
    targets : Targets
    C : float
        Inverse strength of the penalty, in (0, inf].
    fit_intercept : bool
    """

    def __init__(self, rows: _Rows, targets: Targets, *, C: float, fit_intercept: bool):
        self.rows = rows
        self.targets = targets
        self.fit_intercept = fit_intercept
        self.loss = LOSSES[targets.loss]
        self.ridge = 1 / (C * targets.total_weight)
        #: What to multiply F by to get the user's objective; with C = inf the sum of the losses.
        self.scale = targets.total_weight * (C if np.isfinite(C) else 1)
        self.n_coefficients = targets.n_outputs * rows.n_columns
        self.size = self.n_coefficients + targets.n_outputs * fit_intercept

    def unpack(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """W, shape (K, n_features), and b, shape (K,), zeros without an intercept."""
        K = self.targets.n_outputs
        W = theta[: self.n_coefficients].reshape(K, -1)
        return W, theta[self.n_coefficients :] if self.fit_intercept else np.zeros(K)

    def pack(self, W: NDArray, b: NDArray) -> NDArray:
        """Theta, the inverse of `unpack`."""
        return np.concatenate([W.ravel(), b]) if self.fit_intercept else W.ravel()

    def without_shift(self, theta: NDArray) -> NDArray:
        """Theta less what softmax does not see: a shift of all classes."""
        W, b = self.unpack(theta)
        if self.targets.loss == "categorical":
            return self.pack(W - mean_of_classes(W), b - mean_of_classes(b))
        return theta

    def value_gradient(self, theta: NDArray) -> tuple[float, NDArray]:
        """F and its gradient at theta, in one pass over X."""
        W, b = self.unpack(theta)

        def function(z: NDArray, start: int, stop: int) -> tuple[NDArray, NDArray]:
            return self.loss.value_gradient(z, self.targets.block(start, stop))

        value, RX, R1 = self.rows.sum(W, b, function)
        value = value / self.targets.total_weight + self.ridge / 2 * np.vdot(W, W)
        return value, self._gradient(RX, R1, W)

    def hessian(self, theta: NDArray) -> Callable[[NDArray], NDArray]:
        """Return the function that takes v to the Hessian of F at theta times v.

        A product is one pass over X. What the loss needs to know about theta is kept from a pass of
        its own where it is small, and computed again in every product where it is not.
        """
        W, b = self.unpack(theta)
        K = len(W)
        kept: dict[int, Any] = {}
        keep = K * self.rows.n_rows * self.rows.dtype.itemsize <= _KEPT

        def remember(z: NDArray, start: int, stop: int) -> None:
            kept[start] = self.loss.curvature(z, self.targets.block(start, stop))

        def function(z: NDArray, start: int, stop: int) -> tuple[NDArray, NDArray]:
            t = self.targets.block(start, stop)
            state = kept[start] if keep else self.loss.curvature(z[:K], t)
            return _NOTHING, self.loss.curvature_product(state, z[-K:], t)

        def product(v: NDArray) -> NDArray:
            V, c = self.unpack(v)
            A, a = (V, c) if keep else (np.concatenate([W, V]), np.concatenate([b, c]))
            _, RX, R1 = self.rows.sum(A, a, function)
            return self._gradient(RX, R1, V)

        if keep:
            self.rows.each(W, b, remember)
        return product

    def sample(self, indices: NDArray) -> Objective:
        """Return an estimate of F from a copy of some rows, with the same penalty."""
        sample = copy(self)
        sample.rows = self.rows.take(indices)
        sample.targets = self.targets.take(indices)
        return sample

    def rounded(self) -> Objective:
        """Return F of rows that are rounded where that makes passes faster; itself elsewhere."""
        rows = self.rows.rounded()
        if rows is self.rows:
            return self
        rounded = copy(self)
        rounded.rows = rows
        return rounded

    def _gradient(self, RX: NDArray, R1: NDArray, W: NDArray) -> NDArray:
        gradient = np.empty(self.size, W.dtype)
        G, g = self.unpack(gradient)
        # Softmax does not see a shift of all classes, so these sums are zero but for rounding,
        # which conjugate gradients would blow up: no curvature holds it back.
        shifts = self.targets.loss == "categorical"

        def finish(span: tuple[int, int]) -> None:
            some = slice(*span)
            part = RX[:, some] / self.targets.total_weight
            if shifts:
                part -= mean_of_classes(part)
            part += self.ridge * W[:, some]
            G[:, some] = part

        list(threads.map(finish, blocks(G.shape[1], COLUMNS)))
        np.divide(R1, self.targets.total_weight, out=g)
        if shifts:
            g -= mean_of_classes(g)
        return gradient


def mean_of_classes(A: NDArray) -> NDArray:
    """Mean over the first axis; `ndarray.mean` takes three times as long where there is little."""
    return np.add.reduce(A, axis=0) / len(A)


_NOTHING = np.zeros(0)

#: Bytes of probabilities that a Hessian may keep.
_KEPT = 2**25
