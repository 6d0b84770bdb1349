"""The objective that solvers see: cross-entropy and penalty, divided by C * sum(sample_weight).

    F(W, b) = 1/S * sum_i loss(t_i, W x_i + b + o_i) + ridge/2 * sum_kj f_j W_kj^2,
    ridge = (1 - rho) / (C * S)

S is the sum of the sample weights, o are the offsets if there are any, and f is a factor for each
feature. rho is the share of the L1 penalty, which is not part of F. The variables are one vector
theta: W row by row, then b (absent without an intercept). `C = inf` means ridge = 0.

If a centre is subtracted from the rows (see `_data`), theta holds b + W centre in place of b.
`to_user` and `from_user` convert between the two.
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
from .._losses import Loss, at_temperature, without_offset
from .._threads import each_span
from . import kernels
from .layout import Layout
from .penalty import Bounds, Penalty, mean_of_classes


class Objective:
    """Value, gradient and Hessian products of F, as sums over blocks of rows.

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
        #: The nonsmooth part of the penalty, None if there is none.
        self.nonsmooth = penalty.nonsmooth(self.layout)
        #: Statistics of the data that `_solver.variables` keeps here: they do not depend on C.
        self.shared: dict[str, Any] = {}

    @property
    def costs(self) -> Costs:
        """Constants of the fit."""
        return self.data.costs

    @property
    def scale(self) -> float:
        """Factor that turns F into the user's objective."""
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
        """Operations with dense rows in the time of a pass."""
        return self.work_per_pass * (self.costs.sparse_time if self.data.is_sparse else 1)

    def to_user(self, theta: NDArray) -> NDArray:
        """Theta for the user's rows: the intercepts without the part that the centre adds."""
        return self._moved(theta, -1)

    def from_user(self, theta: NDArray) -> NDArray:
        """Theta for rows as they are read. This is the inverse of `to_user`."""
        return self._moved(theta, 1)

    def _moved(self, theta: NDArray, sign: int) -> NDArray:
        centre = self.data.centre
        if centre is None:
            return theta
        W, b = self.layout.unpack(theta)
        # These sums cancel, so they are computed in the longest float type.
        moved = b + sign * (W.astype(np.longdouble) @ centre.astype(np.longdouble))
        largest = np.finfo(np.float64).max
        return self.layout.pack(W, np.clip(moved, -largest, largest).astype(np.float64))

    @np.errstate(over="ignore", invalid="ignore")  # with a large centre sums may overflow
    def stored(self, theta: NDArray, dtype: DTypeLike) -> NDArray:
        """Return the user's theta in the dtype in which an estimator stores it.

        With columns far from zero the intercepts are large, and rounding them loses digits that
        matter. Changes of the last bits of the coefficients compensate for this.
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
        """Gradient with respect to the user's theta, given the gradient with respect to theta."""
        if self.data.centre is None:
            return gradient
        G, g = self.layout.unpack(gradient)
        return self.layout.pack(G + np.multiply.outer(g, self.data.centre.astype(np.float64)), g)

    def without_shift(self, theta: NDArray) -> NDArray:
        """Theta without a shift of all classes, which changes neither softmax nor the penalty.

        With a nonsmooth term only intercepts are shifted, and coefficients stay within the bounds.
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
        sums = self.data.sum(
            kernels.value_gradient, self.loss, *self.data.coefficients(W, b), dtype=W.dtype
        )
        return self.value_gradient_of(theta, *sums)

    def value_gradient_of(
        self, theta: NDArray, loss: float, RX: NDArray, R1: NDArray
    ) -> tuple[float, NDArray]:
        """F and its gradient at theta, from the sums over all rows."""
        W, _ = self.layout.unpack(theta)
        value = loss / self.data.total_weight + self.penalty.value(W)
        return value, self.gradient_of(RX, R1, W.dtype, partial(self.penalty.gradient, W))

    def slowly(self, theta: NDArray) -> tuple[float, NDArray]:
        """F and its gradient at theta, in the longest float type."""
        W, b = (part.astype(np.longdouble) for part in self.layout.unpack(theta))
        rows = max(1, self.costs.hessian_block // self.data.n_columns)
        value, RX, R1 = self.data.sum(
            kernels.slowly, self.loss, W, b[:, None], rows=rows, dtype=W.dtype
        )
        value = value / self.data.total_weight + self.penalty.value(W)
        gradient = self.gradient_of(RX, R1, W.dtype, partial(self.penalty.gradient, W))
        return value, gradient.astype(np.float64)

    def hessian(self, theta: NDArray) -> Hessian:
        """Return the Hessian of F at theta, which multiplies vectors."""
        return Hessian(self, theta)

    def intercept_inverse(self, theta: NDArray, n_rows: int | None = None) -> NDArray:
        """Inverse of the Hessian at theta for the intercepts alone.

        With `n_rows` the sum is over some rows only, and the inverse is at least as large.
        """
        sent = self.data.coefficients(*self.layout.unpack(theta))
        data = self.data if n_rows is None else self.data.there(n_rows)
        if data is not None:
            width = 2 * self.layout.n_outputs
            (H,) = data.sum(kernels.intercept_hessian, self.loss, *sent, width=width)
        else:
            H = np.zeros((self.layout.n_outputs,) * 2)
            for block, _ in self.data.chunks(self.costs.matrix_rows, n_rows):
                H += kernels.intercept_hessian(block, self.loss, *sent)[0]
        return _inverse(H / self.data.total_weight, shifts=self.loss.shift_invariant)

    def mean_curvatures(self, theta: NDArray) -> NDArray:
        """Mean curvature of each output at theta."""
        sent = self.data.coefficients(*self.layout.unpack(theta))
        (sums,) = self.data.sum(kernels.mean_curvature, self.loss, *sent)
        return sums / self.data.total_weight

    def residual_square(self, theta: NDArray) -> float:
        """Mean square of the residuals at theta, added up over outputs."""
        sent = self.data.coefficients(*self.layout.unpack(theta))
        (square,) = self.data.sum(kernels.residual_square, self.loss, *sent)
        return square / self.data.total_weight

    def far_curvature(self, theta: NDArray, step: NDArray, farthest: float) -> float:
        """Curvature along a step, of the rows whose logits it moves by more than `farthest`."""
        both = zip(*map(self.layout.unpack, (theta, step)), strict=True)
        A, a = map(np.concatenate, both)
        sent = self.data.coefficients(A, a)
        (far,) = self.data.sum(kernels.far_curvature, self.loss, *sent, farthest, width=len(A))
        return far / self.data.total_weight

    def recession(self, direction: NDArray) -> tuple[float, ...]:
        """Largest move of the logits of a row, and largest loss of a row, far along a direction."""
        loss, far = without_offset(self.loss), self.costs.far_along
        sent = self.data.coefficients(*self.layout.unpack(direction))
        return self.data.maximum(kernels.recession, loss, *sent, far)

    def rounding(self, theta: NDArray) -> tuple[float, float]:
        """How much rounding of the logits changes F, and how much lower F may be without it.

        The gradient shows changes of first order. What it does not show is of second order.
        """
        W, b = self.layout.unpack(theta)
        sent, eps = self.data.coefficients(W, b), np.finfo(self.data.dtype).eps
        of_dense = max(1, self.costs.hessian_block // self.data.n_columns)
        rows = None if self.data.is_sparse else of_dense
        first, second = self.data.sum(kernels.rounding, self.loss, *sent, eps, rows=rows)
        return first / self.data.total_weight, second / self.data.total_weight

    def moments(self) -> tuple[NDArray, NDArray]:
        """Weighted mean and mean square of each column."""
        width = max(1, self.data.work_per_logit)
        mean, square = self.data.sum(kernels.moments, self.data.total_weight, width=width)
        return mean, square

    def at_temperature(self, T: float) -> Objective:
        """Return the objective with the loss T * loss(z / T)."""
        smoother = self._of(self.data)
        smoother.loss = at_temperature(self.loss, T)
        return smoother

    def sample(self, n_rows: int) -> Objective:
        """Return an estimate of F from a copy of a sample of rows, with the same penalty."""
        return self._of(self.data.sample(n_rows))

    def columns(self, columns: NDArray) -> Objective:
        """Return F of a copy of some columns, without the nonsmooth term."""
        part = self._of(self.data.columns(columns))
        part.penalty = self.penalty.columns(columns)
        part.layout = replace(self.layout, n_columns=len(columns))
        part.nonsmooth = None
        return part

    def rounded(self) -> Objective:
        """Return F of rows rounded to float32 if that makes passes faster, else return itself."""
        data = self.data.rounded()
        return self if data is self.data else self._through(data)

    def telling(self, tell: Callable[[float], None]) -> Objective:
        """Return F of the same rows, whose long sums report their progress to `tell`."""
        return self._through(self.data.telling(tell))

    def _through(self, data: Data) -> Objective:
        """Return F of the same rows, given as other data."""
        other = copy(self)
        other.data = data
        return other

    def _of(self, data: Data) -> Objective:
        other = copy(self)
        other.data, other.shared = data, {}
        return other

    def gradient_of(
        self, RX: NDArray, R1: NDArray, dtype: DTypeLike, of_penalty: Callable[[slice], NDArray]
    ) -> NDArray:
        """Gradient, or product, from the sums over rows and the penalty's part in some columns."""
        gradient = np.empty(self.layout.size, dtype)
        G, g = self.layout.unpack(gradient)
        # A shift of all classes does not change softmax, so these sums are zero up to rounding.
        # Without curvature along the shift, conjugate gradients would amplify the rounding.
        shifts, total = self.loss.shift_invariant, self.data.total_weight

        def finish(some: slice) -> None:
            part = np.divide(RX[:, some], total, out=G[:, some])
            if shifts:
                part -= mean_of_classes(part)
            part += of_penalty(some)

        each_span(finish, G.shape[1])
        np.divide(R1, total, out=g)
        if shifts:
            g -= mean_of_classes(g)
        return gradient


class Hessian:
    """The Hessian of F at a point. A product with a vector is one pass over X.

    If it is small, what the loss needs to know about the point is computed in a first pass, and
    kept. Otherwise every product computes it again.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (size,)
        The point.
    """

    def __init__(self, objective: Objective, theta: NDArray):
        self.objective = objective
        self.W, self.b = objective.layout.unpack(theta)
        self.data = objective.data
        state = len(self.W) * self.data.n_rows * self.data.dtype.itemsize
        self.is_kept = state <= objective.costs.kept_probabilities
        if self.is_kept:
            sent = self.data.coefficients(self.W, self.b)
            self.data = self.data.map(kernels.curvature, objective.loss, *sent)

    def __call__(self, v: NDArray) -> NDArray:
        """Return the product with v."""
        objective = self.objective
        kernel, (V, c) = kernels.product, objective.layout.unpack(v)
        A, a = V, c
        if not self.is_kept:
            kernel = kernels.product_afresh
            A, a = np.concatenate([self.W, V]), np.concatenate([self.b, c])
        sent = self.data.coefficients(A, a)
        RX, R1 = self.data.sum(kernel, objective.loss, *sent, width=len(A), dtype=A.dtype)
        of_penalty = partial(objective.penalty.product, self.W, V)
        return objective.gradient_of(RX, R1, V.dtype, of_penalty)

    def column_curvatures(self, mean: NDArray | None) -> tuple[NDArray, float]:
        """Return the curvature of the losses along columns less a mean, and along an intercept.

        Both are means over all outputs.
        """
        objective, data = self.objective, self.data
        sent = data.coefficients(self.W, self.b)
        mean = None if mean is None else mean.astype(data.dtype)
        own, of_intercept = data.sum(kernels.column_curvatures, objective.loss, *sent, mean)
        return own[0] / data.total_weight, float(of_intercept[0]) / data.total_weight


def _inverse(H: NDArray, *, shifts: bool) -> NDArray:
    """Inverse of a Hessian for intercepts, which may be zero up to rounding."""
    if shifts:
        H = H + H.trace() / len(H)  # along a shift curvature and slope are zero
    values, U = np.linalg.eigh(H)
    least = max(len(H) * np.finfo(np.float64).eps * values[-1], np.finfo(np.float64).tiny)
    inverse: NDArray = (U / np.maximum(values, least)) @ U.T
    return inverse
