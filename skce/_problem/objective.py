"""The objective that solvers see: cross-entropy and penalty, divided by C * sum(sample_weight).

    F(W, b) = 1/S * sum_i loss(t_i, W x_i + b) + ridge/2 * sum_kj f_j W_kj^2,
    ridge = (1 - rho) / (C * S)

with S the sum of the sample weights, rho the share of the L1 penalty, which is not part of F, and f
a factor for each feature. Parameters travel as one vector theta: W row by row, then b
(absent without an intercept). `C = inf` means ridge = 0.

Where rows are read less a centre (`_rows`), theta holds b + W centre in place of b; `to_user` and
`from_user` turn one into the other.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._costs import Costs
from .._data import Data
from .._losses import AtTemperature, Loss
from .._threads import each_span
from . import kernels
from .layout import Layout
from .penalty import Bounds, Penalty, mean_of_classes


class Objective:
    """Value, gradient and Hessian product of F as sums over blocks of rows.

    Parameters
    ----------
    data : Data
    loss : Loss
    penalty : Penalty
    fit_intercept : bool
    """

    def __init__(self, data: Data, loss: Loss, penalty: Penalty, *, fit_intercept: bool):
        self.data = data
        self.loss = loss
        self.penalty = penalty
        self.layout = Layout(data.n_outputs, data.n_columns, fit_intercept)
        #: The part of the penalty that is not smooth, None if there is none.
        self.nonsmooth = penalty.nonsmooth(self.layout)
        #: Statistics of the data that `_solver.variables` keeps here: they do not depend on C.
        self.shared: dict[str, Any] = {}

    @property
    def costs(self) -> Costs:
        """What a fit may cost, and what is worth its cost."""
        return self.data.costs

    @property
    def scale(self) -> float:
        """What to multiply F by to get the user's objective."""
        return self.penalty.scale

    def penalised(self, C: float, l1_ratio: float, *, bounds: Bounds | None = None) -> Objective:
        """Return the objective with another penalty and, if given, other bounds."""
        other = copy(self)
        other.penalty = self.penalty.at(C, l1_ratio, bounds)
        other.nonsmooth = other.penalty.nonsmooth(self.layout)
        return other

    @property
    def work_per_pass(self) -> int:
        """Operations in a pass over X: four for each number of a row and each output."""
        return 4 * self.data.n_rows * self.data.work_per_logit * self.layout.n_outputs

    @property
    def time_per_pass(self) -> int:
        """Operations with dense rows that take as long as a pass."""
        return self.work_per_pass * (self.costs.sparse_time if self.data.is_sparse else 1)

    def to_user(self, theta: NDArray) -> NDArray:
        """Theta for rows as the user has them: the intercepts less what the centre adds."""
        return self._moved(theta, -1)

    def from_user(self, theta: NDArray) -> NDArray:
        """Theta for rows as they are read, the inverse of `to_user`."""
        return self._moved(theta, 1)

    def _moved(self, theta: NDArray, sign: int) -> NDArray:
        centre = self.data.centre
        if centre is None:
            return theta
        W, b = self.layout.unpack(theta)
        # These sums cancel: in the longest floats there are, where they are longer.
        moved = b + sign * (W.astype(np.longdouble) @ centre.astype(np.longdouble))
        largest = np.finfo(np.float64).max
        return self.layout.pack(W, np.clip(moved, -largest, largest).astype(np.float64))

    @np.errstate(over="ignore", invalid="ignore")  # far from zero sums may leave the range
    def stored(self, theta: NDArray, dtype: DTypeLike) -> NDArray:
        """Return the user's theta as an estimator stores it.

        The intercepts of columns far from zero are large, and rounding them takes digits that
        matter. The last bits of coefficients make up for that.
        """
        centre, largest = self.data.centre, np.finfo(dtype).max
        theta, most = np.clip(theta, -largest, largest), self.costs.last_bits
        if centre is None:
            return theta.astype(dtype)
        W, _ = self.layout.unpack(theta)
        _, b = self.layout.unpack(self.from_user(theta))
        W = W.astype(dtype)
        exact = b - W.astype(np.longdouble) @ centre.astype(np.longdouble)
        rounded = np.clip(exact, -largest, largest).astype(dtype)
        left = (exact - rounded).astype(np.float64)
        bits = np.where(W == 0, 0, np.spacing(np.minimum(np.abs(W), largest / 2)))
        bits = bits.astype(np.float64)
        if self.nonsmooth is not None:
            low, high = (
                self.layout.unpack(edge)[0] for edge in (self.nonsmooth.low, self.nonsmooth.high)
            )
            bits[(W - most * bits < low) | (W + most * bits > high)] = 0
        steps = bits * centre
        outputs = np.arange(len(W))
        for column in np.argsort(-np.abs(steps), axis=1, kind="stable").T:
            step = steps[outputs, column]
            some = (step != 0) & np.isfinite(step)
            n = np.divide(left, step, out=np.zeros_like(left), where=some)
            n = np.clip(np.rint(n), -most, most)
            moved = W[outputs, column] + n * bits[outputs, column]
            W[outputs, column] = np.clip(moved, -largest, largest).astype(dtype)
            left[some] -= (n * step)[some]
        return self.layout.pack(W, rounded)

    def gradient_to_user(self, gradient: NDArray) -> NDArray:
        """Gradient with respect to the user's theta, from that with respect to theta."""
        if self.data.centre is None:
            return gradient
        G, g = self.layout.unpack(gradient)
        return self.layout.pack(G + np.multiply.outer(g, self.data.centre.astype(np.float64)), g)

    def without_shift(self, theta: NDArray) -> NDArray:
        """Theta less what neither softmax nor the penalty sees: a shift of all classes.

        With a nonsmooth term only intercepts are shifted; coefficients are kept within bounds.
        """
        if self.nonsmooth is not None:
            theta = self.nonsmooth.clip(theta)
        if not self.loss.shift_invariant:
            return theta
        W, b = self.layout.unpack(theta)
        W = self.penalty.without_shift(W) if self.nonsmooth is None else W
        return self.layout.pack(W, b - mean_of_classes(b))

    def value_gradient(self, theta: NDArray) -> tuple[float, NDArray]:
        """F and its gradient at theta, in one pass over X."""
        W, b = self.layout.unpack(theta)
        value, RX, R1 = self.data.sum(
            kernels.value_gradient, self.loss, *self.data.coefficients(W, b), dtype=W.dtype
        )
        value = value / self.data.total_weight + self.penalty.value(W)
        return value, self._gradient(RX, R1, W.dtype, partial(self.penalty.gradient, W))

    def slowly(self, theta: NDArray) -> tuple[float, NDArray]:
        """F and its gradient at theta, in the longest floats there are."""
        W, b = (part.astype(np.longdouble) for part in self.layout.unpack(theta))
        rows = max(1, self.costs.hessian_block // self.data.n_columns)
        value, RX, R1 = self.data.sum(
            kernels.slowly, self.loss, W, b[:, None], rows=rows, dtype=W.dtype
        )
        value = value / self.data.total_weight + self.penalty.value(W)
        gradient = self._gradient(RX, R1, W.dtype, partial(self.penalty.gradient, W))
        return value, gradient.astype(np.float64)

    def hessian(self, theta: NDArray) -> Callable[[NDArray], NDArray]:
        """Return the function that takes v to the Hessian of F at theta times v.

        A product is one pass over X. What the loss needs to know about theta is kept from a pass of
        its own where it is small, and computed again in every product where it is not.
        """
        W, b = self.layout.unpack(theta)
        data, K = self.data, len(W)
        keep = K * data.n_rows * data.dtype.itemsize <= self.costs.kept_probabilities
        if keep:
            data = data.map(kernels.curvature, self.loss, *data.coefficients(W, b))
        kernel = kernels.product if keep else kernels.product_afresh

        def product(v: NDArray) -> NDArray:
            V, c = self.layout.unpack(v)
            A, a = (V, c) if keep else (np.concatenate([W, V]), np.concatenate([b, c]))
            sent = data.coefficients(A, a)
            RX, R1 = data.sum(kernel, self.loss, *sent, width=len(A), dtype=A.dtype)
            return self._gradient(RX, R1, V.dtype, partial(self.penalty.product, W, V))

        return product

    def intercept_inverse(self, theta: NDArray, n_rows: int | None = None) -> NDArray:
        """Inverse of the Hessian at theta for the intercepts alone.

        That of some rows, as part of the sum over all, is no smaller.
        """
        sent = self.data.coefficients(*self.layout.unpack(theta))
        if n_rows is None:
            width = 2 * self.layout.n_outputs
            (H,) = self.data.sum(kernels.intercept_hessian, self.loss, *sent, width=width)
        else:
            H = np.zeros((self.layout.n_outputs,) * 2)
            for block, _ in self.data.chunks(self.costs.matrix_rows, n_rows):
                H += kernels.intercept_hessian(block, self.loss, *sent)[0]
        H /= self.data.total_weight
        if self.loss.shift_invariant:
            H += H.trace() / len(H)  # along a shift there is neither curvature nor slope
        values, U = np.linalg.eigh(H)
        least = max(len(H) * np.finfo(np.float64).eps * values[-1], np.finfo(np.float64).tiny)
        inverse: NDArray = (U / np.maximum(values, least)) @ U.T
        return inverse

    def far_curvature(self, theta: NDArray, step: NDArray, farthest: float) -> float:
        """Curvature along a step of rows whose logits that moves farther than that."""
        both = zip(*map(self.layout.unpack, (theta, step)), strict=True)
        A, a = map(np.concatenate, both)
        sent = self.data.coefficients(A, a)
        (far,) = self.data.sum(kernels.far_curvature, self.loss, *sent, farthest, width=len(A))
        return far / self.data.total_weight

    def recession(self, direction: NDArray) -> tuple[float, ...]:
        """How far a direction moves the logits of a row, and how much a row loses far along it."""
        sent = self.data.coefficients(*self.layout.unpack(direction))
        return self.data.maximum(kernels.recession, self.loss, *sent, self.costs.far_along)

    def rounding(self, theta: NDArray) -> tuple[float, float]:
        """How much rounding of the logits changes F, and how much lower F may be for that.

        The gradient sees what changes F at first order: what it does not see is of second order.
        """
        W, b = self.layout.unpack(theta)
        sent, eps = self.data.coefficients(W, b), np.finfo(self.data.dtype).eps
        rows = max(1, self.costs.hessian_block // self.data.n_columns)
        first, second = self.data.sum(kernels.rounding, self.loss, *sent, eps, rows=rows)
        return first / self.data.total_weight, second / self.data.total_weight

    def moments(self) -> tuple[NDArray, NDArray]:
        """Weighted mean and mean square of each column."""
        width = max(1, self.data.work_per_logit)
        mean, square = self.data.sum(kernels.moments, self.data.total_weight, width=width)
        return mean, square

    def at_temperature(self, T: float) -> Objective:
        """Return the objective with the loss T * loss(z / T)."""
        smoother = copy(self)
        smoother.loss = AtTemperature(self.loss, T)
        smoother.shared = {}
        return smoother

    def sample(self, n_rows: int) -> Objective:
        """Return an estimate of F from a copy of some rows, with the same penalty."""
        return self._of(self.data.sample(n_rows))

    def columns(self, columns: NDArray) -> Objective:
        """Return F, without the nonsmooth term, of a copy of some columns."""
        part = self._of(self.data.columns(columns))
        part.penalty = self.penalty.columns(columns)
        part.layout = replace(self.layout, n_columns=len(columns))
        part.nonsmooth = None
        return part

    def rounded(self) -> Objective:
        """Return F of rows that are rounded where that makes passes faster; itself elsewhere."""
        data = self.data.rounded()
        return self if data is self.data else self._through(data)

    def telling(self, tell: Callable[[float], None]) -> Objective:
        """Return F of the same rows, whose sums tell how far they are if that takes long."""
        return self._through(self.data.telling(tell))

    def _through(self, data: Data) -> Objective:
        """Return F of the same rows, read in another way."""
        other = copy(self)
        other.data = data
        return other

    def _of(self, data: Data) -> Objective:
        other = copy(self)
        other.data, other.shared = data, {}
        return other

    def _gradient(
        self, RX: NDArray, R1: NDArray, dtype: DTypeLike, of_penalty: Callable[[slice], NDArray]
    ) -> NDArray:
        """Gradient, or product, by the sums over rows and what the penalty adds to some columns."""
        gradient = np.empty(self.layout.size, dtype)
        G, g = self.layout.unpack(gradient)
        # Softmax does not see a shift of all classes, so these sums are zero but for rounding,
        # which conjugate gradients would blow up: no curvature holds it back.
        shifts, total = self.loss.shift_invariant, self.data.total_weight

        def finish(some: slice) -> None:
            part = RX[:, some] / total
            if shifts:
                part -= mean_of_classes(part)
            part += of_penalty(some)
            G[:, some] = part

        each_span(finish, G.shape[1])
        np.divide(R1, total, out=g)
        if shifts:
            g -= mean_of_classes(g)
        return gradient
