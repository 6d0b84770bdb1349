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
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._losses import LOSSES, AtTemperature, Loss
from ._penalty import Corners
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
    l1_ratio : float, default=0.0
        rho above.
    factors : ndarray of shape (n_features,), default=None
        f above, ones if None.
    bounds : pair of ndarray or float, default=None
        Lowest and highest coefficients, of shapes that broadcast to (K, n_features).
    """

    def __init__(
        self,
        rows: _Rows,
        targets: Targets,
        *,
        C: float,
        fit_intercept: bool,
        l1_ratio: float = 0.0,
        factors: NDArray | None = None,
        bounds: tuple[NDArray | float, NDArray | float] | None = None,
    ):
        self.rows = rows
        self.targets = targets
        self.fit_intercept = fit_intercept
        self.loss: Loss = LOSSES[targets.loss]
        self.factors = np.broadcast_to(1.0 if factors is None else factors, rows.n_columns)
        self._equal_factors = factors is None
        self.n_coefficients = targets.n_outputs * rows.n_columns
        self.size = self.n_coefficients + targets.n_outputs * fit_intercept
        self.bounds = bounds
        #: Statistics of the data that `_preconditioner` keeps here: they do not depend on C.
        self.shared: dict[str, Any] = {}
        self._penalise(C, l1_ratio)

    def _penalise(self, C: float, l1_ratio: float) -> None:
        total = self.targets.total_weight
        #: What to multiply F by to get the user's objective; with C = inf the sum of the losses.
        self.scale = total * (C if np.isfinite(C) else 1)
        strongest = max(1.0, float(self.factors.max(initial=0)))
        if not _SMALLEST * strongest < self.scale < _LARGEST:
            raise ValueError(
                f"C={C:g} is out of range: times the sum of the sample weights, {total:g}, and "
                f"beside the largest of penalty_weights, {strongest:g}, it leaves that of float64. "
                "Use C=np.inf for no penalty, or weights and factors of the order of 1."
            )
        strength = 0.0 if np.isinf(C) else 1 / self.scale
        self.ridge, self.lasso = (1 - l1_ratio) * strength, l1_ratio * strength
        #: The rest of what is minimised, None if there is none.
        self.corners = self._corners() if self.lasso or self.bounds is not None else None

    def penalised(
        self,
        C: float,
        l1_ratio: float,
        *,
        bounds: tuple[NDArray | float, NDArray | float] | None = None,
    ) -> Objective:
        """Return the objective with another penalty and, if given, other bounds."""
        other = copy(self)
        other.bounds = self.bounds if bounds is None else bounds
        other._penalise(C, l1_ratio)
        return other

    def _corners(self) -> Corners:
        K, p = self.targets.n_outputs, self.rows.n_columns
        low, high = (-np.inf, np.inf) if self.bounds is None else self.bounds

        def of_theta(W: NDArray | float, b: float) -> NDArray:
            return self.pack(np.broadcast_to(W, (K, p)).astype(np.float64), np.full(K, b))

        return Corners(
            of_theta(self.lasso * self.factors, 0), of_theta(low, -np.inf), of_theta(high, np.inf)
        )

    @property
    def work_per_pass(self) -> int:
        """Operations in a pass over X: four for each number of a row and each output."""
        return 4 * self.rows.n_rows * self.rows._work_per_logit * self.targets.n_outputs

    @property
    def unpenalised(self) -> bool:
        """Whether some coefficients have no penalty that is smooth."""
        return self.ridge == 0 or not (self._equal_factors or self.factors.all())

    @property
    def free(self) -> NDArray:
        """Whether each feature has no penalty at all."""
        return np.equal(max(self.ridge, self.lasso) * self.factors, 0)

    def unpack(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """W, shape (K, n_features), and b, shape (K,), zeros without an intercept."""
        K = self.targets.n_outputs
        W = theta[: self.n_coefficients].reshape(K, -1)
        return W, theta[self.n_coefficients :] if self.fit_intercept else np.zeros(K)

    def pack(self, W: NDArray, b: NDArray) -> NDArray:
        """Theta, the inverse of `unpack`."""
        return np.concatenate([W.ravel(), b]) if self.fit_intercept else W.ravel()

    def to_user(self, theta: NDArray) -> NDArray:
        """Theta for rows as the user has them: the intercepts less what the centre adds."""
        return self._moved(theta, -1)

    def from_user(self, theta: NDArray) -> NDArray:
        """Theta for rows as they are read, the inverse of `to_user`."""
        return self._moved(theta, 1)

    def _moved(self, theta: NDArray, sign: int) -> NDArray:
        centre = self.rows.centre
        if centre is None:
            return theta
        W, b = self.unpack(theta)
        # These sums cancel: in the longest floats there are, where they are longer.
        moved = b + sign * (W.astype(np.longdouble) @ centre.astype(np.longdouble))
        return self.pack(W, moved.astype(np.float64))

    def stored(self, theta: NDArray, dtype: DTypeLike) -> NDArray:
        """Return the user's theta as an estimator stores it.

        The intercepts of columns far from zero are large, and rounding them takes digits that
        matter. The last bits of coefficients make up for that.
        """
        centre = self.rows.centre
        if centre is None:
            return theta.astype(dtype)
        W, _ = self.unpack(theta)
        _, b = self.unpack(self.from_user(theta))
        W = W.astype(dtype)
        exact = b - W.astype(np.longdouble) @ centre.astype(np.longdouble)
        rounded = exact.astype(dtype)
        left = (exact - rounded).astype(np.float64)
        bits = np.where(W == 0, 0, np.spacing(np.abs(W))).astype(np.float64)
        if self.corners is not None:
            low, high = (self.unpack(edge)[0] for edge in (self.corners.low, self.corners.high))
            bits[(W - _BITS * bits < low) | (W + _BITS * bits > high)] = 0
        steps = bits * centre
        outputs = np.arange(len(W))
        for column in np.argsort(-np.abs(steps), axis=1, kind="stable").T:
            step = steps[outputs, column]
            n = np.divide(left, step, out=np.zeros_like(left), where=step != 0)
            n = np.clip(np.rint(n), -_BITS, _BITS)
            W[outputs, column] += (n * bits[outputs, column]).astype(dtype)
            left -= n * step
        return self.pack(W, rounded)

    def gradient_to_user(self, gradient: NDArray) -> NDArray:
        """Gradient with respect to the user's theta, from that with respect to theta."""
        if self.rows.centre is None:
            return gradient
        G, g = self.unpack(gradient)
        return self.pack(G + np.multiply.outer(g, self.rows.centre.astype(np.float64)), g)

    def without_shift(self, theta: NDArray) -> NDArray:
        """Theta less what neither softmax nor the penalty sees: a shift of all classes.

        With corners only intercepts are shifted, and coefficients kept within their bounds.
        """
        if self.corners is not None:
            theta = self.corners.clip(theta)
        if not self.loss.shift_invariant:
            return theta
        W, b = self.unpack(theta)
        W = W - mean_of_classes(W) if self.corners is None else W
        return self.pack(W, b - mean_of_classes(b))

    def value_gradient(self, theta: NDArray) -> tuple[float, NDArray]:
        """F and its gradient at theta, in one pass over X."""
        W, b = self.unpack(theta)

        def function(z: NDArray, start: int, stop: int) -> tuple[NDArray, NDArray]:
            return self.loss.value_gradient(z, self.targets.block(start, stop))

        value, RX, R1 = self.rows.sum(W, b, function)
        value = value / self.targets.total_weight + self.ridge / 2 * self._square(W)
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

    def recession(self, direction: NDArray) -> tuple[float, float]:
        """How far a direction moves the logits of a row, and how much a row loses far along it.

        Along a direction d of the logits the loss of a row grows like m * max(d) - t.d, or for
        a binary loss like the sum over outputs of m * max(d, 0) - t * d; both per unit of mass.
        """
        D, d = self.unpack(direction)
        found: list[tuple[float, float]] = []

        def look(z: NDArray, start: int, stop: int) -> None:
            t = self.targets.block(start, stop)
            size = np.abs(z).max()
            if not size > 0:
                return
            z = z.astype(np.float64)
            mass = np.atleast_2d(t.mass).max(axis=0)
            seen = mass > 0
            far = np.where(seen, np.ptp(z, axis=0) if len(z) > 1 else np.abs(z[0]), 0)
            far = np.maximum(far, np.where(seen, np.abs(z).max(axis=0), 0)) if not shifts else far
            values, _ = self.loss.value_gradient(z * (_FAR_ALONG / size), t)
            lost = np.divide(values, mass, out=np.zeros(len(mass)), where=seen)
            found.append((float(far.max()), float(lost.max()) * size / _FAR_ALONG))

        shifts = self.loss.shift_invariant
        self.rows.each(D, d, look)
        return max((one[0] for one in found), default=0.0), max(
            (one[1] for one in found), default=0.0
        )

    def at_temperature(self, T: float) -> Objective:
        """Return the objective with the loss T * loss(z / T)."""
        smoother = copy(self)
        smoother.loss = AtTemperature(self.loss, T)
        smoother.shared = {}
        return smoother

    def sample(self, indices: NDArray) -> Objective:
        """Return an estimate of F from a copy of some rows, with the same penalty."""
        sample = copy(self)
        sample.rows = self.rows.take(indices)
        sample.targets = self.targets.take(indices)
        sample.shared = {}
        return sample

    def columns(self, columns: NDArray) -> Objective:
        """Return F, without corners, of a copy of some columns."""
        part = copy(self)
        part.rows = self.rows.columns(columns)
        part.factors = self.factors[columns]
        part.n_coefficients = self.targets.n_outputs * len(columns)
        part.size = self.size - self.n_coefficients + part.n_coefficients
        part.bounds = part.corners = None
        part.shared = {}
        return part

    def rounded(self) -> Objective:
        """Return F of rows that are rounded where that makes passes faster; itself elsewhere."""
        rows = self.rows.rounded()
        if rows is self.rows:
            return self
        rounded = copy(self)
        rounded.rows = rows
        return rounded

    def _square(self, W: NDArray) -> float:
        return float(np.vdot(W, W if self._equal_factors else self.factors * W))

    def _gradient(self, RX: NDArray, R1: NDArray, W: NDArray) -> NDArray:
        gradient = np.empty(self.size, W.dtype)
        G, g = self.unpack(gradient)
        # Softmax does not see a shift of all classes, so these sums are zero but for rounding,
        # which conjugate gradients would blow up: no curvature holds it back.
        shifts = self.loss.shift_invariant
        penalty = self.ridge * self.factors

        def finish(span: tuple[int, int]) -> None:
            some = slice(*span)
            part = RX[:, some] / self.targets.total_weight
            if shifts:
                part -= mean_of_classes(part)
            part += penalty[some] * W[:, some]
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

#: Units in the last place by which a coefficient may make up for the rounding of an intercept.
_BITS = 4
#: What C times the sum of the weights may be, so that squares do not overflow.
_SMALLEST, _LARGEST = 1e-150, 1e300
#: How far along a direction losses are as good as linear.
_FAR_ALONG = 1e9
#: Bytes of probabilities that a Hessian may keep.
_KEPT = 2**25
