"""F along a step, with a length for each output.

A step W + D gets a length l_k for each output k, and a shift c_k of its intercept. The logits of
the rows are then z_ik + l_k d_ik + c_k. If z and d are kept, a value of F takes no product with X:
with 500 columns it takes a fifth of the time of a pass.

On clusters (5120, 512, 100) L-BFGS came within 1e-4 of the minimum in 5 iterations with these
lengths, in 9 with one length from an exact line search, and in 17 to 22 passes without either.

Source: Narkiss and Zibulevsky, *Sequential subspace optimization method for large-scale
unconstrained problems*, 2005. They minimise over a few directions in each iteration. Here each
output has directions of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from .._data import Data
from . import kernels
from .objective import Objective


class Lengths(NamedTuple):
    """A length for each output, and a shift of its intercept.

    Attributes
    ----------
    lengths, shifts : ndarray of shape (K,)
    """

    lengths: NDArray
    shifts: NDArray

    def times(self, D: NDArray, d: NDArray) -> tuple[NDArray, NDArray]:
        """Return a step, given for coefficients and for intercepts, with these lengths."""
        own = self.lengths.astype(D.dtype)
        return D * own[:, None], d * own + self.shifts.astype(D.dtype)


@dataclass(frozen=True, eq=False)
class Logits:
    """The logits of all rows, or of a sample, at a point.

    Attributes
    ----------
    objective : Objective
        F of all rows.
    data : Data
        These rows. Each block keeps its logits.
    theta : ndarray of shape (size,)
        The point.
    """

    objective: Objective
    data: Data
    theta: NDArray

    @property
    def share(self) -> float:
        """Share of all rows."""
        return self.data.n_rows / self.objective.data.n_rows

    @np.errstate(over="ignore", invalid="ignore")  # then there are no lengths
    def along(self, step: NDArray) -> ClassSteps:
        """Return F along a step from the point."""
        sent = self.data.coefficients(*self.objective.layout.unpack(step))
        return ClassSteps(self, self.data.map(kernels.with_step, *sent), step)

    def value_gradient(self) -> tuple[float, NDArray]:
        """F and its gradient at the point, if these are all rows."""
        sums = self.data.sum(
            kernels.value_gradient_of_kept, self.objective.loss, dtype=self.theta.dtype
        )
        return self.objective.value_gradient_of(self.theta, *sums)

    def mean_curvatures(self) -> NDArray:
        """Mean curvature of each output over these rows."""
        (sums,) = self.data.sum(kernels.mean_curvature_of_kept, self.objective.loss)
        return sums / self.data.total_weight


def rows_for_lengths(objective: Objective) -> Data | None:
    """Return the rows whose logits are kept to find lengths: all rows, or a sample.

    Return None if this takes too much memory, or if it saves little: with few columns a pass is
    fast, and with few classes reading X twice takes longer than computing with it. On other devices
    lengths have not been measured.
    """
    data, costs, K = objective.data, objective.costs, objective.layout.n_outputs
    slow = objective.time_per_pass >= 4 * data.n_rows * K * costs.worth_lengths
    if not (slow and (data.is_sparse or costs.fewest_lengths <= K)) or data.on_device:
        return None
    most = max(costs.kept_logits, data.nbytes // costs.part_of_rows)
    n_rows = most // (3 * K * data.dtype.itemsize)
    if data.in_memory and data.n_rows <= n_rows:
        return data
    enough = data.n_rows if data.is_sparse else costs.rows_per_class * K
    n_rows = min(n_rows, enough, most * data.n_rows // data.nbytes, data.n_rows // 2)
    if n_rows < costs.fewest_rows_per_class * K:
        return None
    if "class steps" not in objective.shared:
        objective.shared["class steps"] = objective.sample(n_rows).data
    sample: Data = objective.shared["class steps"]
    return sample if sample.total_weight > 0 else None


def logits_at(objective: Objective, theta: NDArray) -> Logits | None:
    """Return the logits at a point, of all rows or of a sample; None if they are not worth it."""
    data = rows_for_lengths(objective)
    if data is None:
        return None
    kept = data.map(kernels.logits, *data.coefficients(*objective.layout.unpack(theta)))
    return Logits(objective, kept, theta)


class ClassSteps:
    """F at a point plus a step, as a function of `Lengths`.

    Parameters
    ----------
    origin : Logits
    data : Data
        The rows. Each block keeps its logits, and how much the whole step moves them.
    step : ndarray of shape (size,)
    """

    def __init__(self, origin: Logits, data: Data, step: NDArray):
        self.origin, self.data, self.step = origin, data, step
        self.objective = origin.objective
        layout, penalty = self.objective.layout, self.objective.penalty
        (W, _), (D, _) = layout.unpack(origin.theta), layout.unpack(step)
        #: Slope and curvature of the penalty in the length of each output.
        self.penalty_slopes = (penalty.gradient(W, slice(None)) * D).sum(axis=1)
        self.penalty_curvatures = (penalty.product(W, D, slice(None)) * D).sum(axis=1)
        #: A length for each output, and a shift if there are intercepts.
        self.shape = layout.n_outputs, 1 + layout.fit_intercept

    def value_slopes(self, lengths: NDArray) -> tuple[float, NDArray]:
        """F less the penalty at the point, and its slopes.

        Parameters
        ----------
        lengths : ndarray of shape (K, 1) or (K, 2)
            The length of each output, and the shift of its intercept if there are intercepts.
        """
        data, own = self.data, lengths[:, 0]
        sums = data.sum(kernels.value_slopes, self.objective.loss, *self._sent(lengths))
        value, *slopes = (part / data.total_weight for part in sums)
        slopes[0] += self.penalty_slopes + self.penalty_curvatures * own
        value += float(own @ (self.penalty_slopes + self.penalty_curvatures * own / 2))
        return value, np.column_stack(slopes)[:, : self.shape[1]]

    @np.errstate(over="ignore", invalid="ignore")  # then no lengths are returned
    def minimum(self, value: float, gradient: NDArray, negligible: float = 0.0) -> Lengths | None:
        """Return lengths near the minimum of F; None if no lengths make F lower.

        If the rows are a sample, a linear term gives their F the slopes of F of all rows.

        Parameters
        ----------
        value, gradient : float and ndarray of shape (size,)
            F and its gradient at the point.
        negligible : float, default=0.0
            The search ends if an iteration gains at most this.
        """
        layout, T = self.objective.layout, self._scales()
        turned = T.transpose(0, 2, 1)
        (W, _), (G, g), (D, d) = map(layout.unpack, (self.origin.theta, gradient, self.step))
        slopes = np.column_stack([(G * D).sum(axis=1) + g * d, g])[:, : self.shape[1]]
        start, missing = value - self.objective.penalty.value(W), np.zeros(self.shape)
        if self.origin.share < 1:
            start, of_sample = self.value_slopes(np.zeros(self.shape))
            missing = slopes - of_sample
        first = (turned @ slopes[:, :, None]).ravel()
        unit = float(np.linalg.norm(first))  # so that L-BFGS-B first tries the lengths T (-first)

        def value_slopes(lengths: NDArray) -> tuple[float, NDArray]:
            value, own = self.value_slopes(lengths)
            return value + float(np.vdot(missing, lengths)) - start, own + missing

        def of(u: NDArray) -> NDArray:
            return np.asarray(unit * (T @ u.reshape(*self.shape, 1))[:, :, 0])

        def fun(u: NDArray) -> tuple[float, NDArray]:
            if not u.any():
                return 0.0, unit * first
            value, own = value_slopes(of(u))
            return value, unit * (turned @ own[:, :, None]).ravel()

        costs, values = self.objective.costs, [0.0]

        def stop_if_slow(intermediate_result: OptimizeResult) -> None:
            values.append(intermediate_result.fun)
            gained = values[-2] - values[-1]
            few = len(values) <= costs.length_iterations
            little = negligible if few else costs.length_gain * (value + values[-1])
            if gained <= max(little, negligible):
                raise StopIteration

        most, tries = costs.length_values, costs.length_tries
        found = minimize(
            fun,
            np.zeros(first.size),
            jac=True,
            method="L-BFGS-B",
            callback=stop_if_slow,
            options={"maxfun": most, "maxls": tries, "ftol": 0.0, "gtol": 0.0},
        )
        change, lengths = found.fun, of(found.x)
        if not change < costs.enough_by_lengths * slopes[:, 0].sum():
            # Where almost no curvature is left, L-BFGS-B begins much too far away.
            whole = np.zeros(self.shape)
            whole[:, 0] = 1
            of_whole = value_slopes(whole)[0]
            if not change <= of_whole:
                change, lengths = of_whole, whole
        if not change < 0:
            return None
        shifts = lengths[:, 1] if self.shape[1] == 2 else 0 * lengths[:, 0]
        # Without any row of a class F hardly changes along its shift, which then could be 1e8.
        return Lengths(lengths[:, 0], np.clip(shifts, -costs.largest_shift, costs.largest_shift))

    def of(self, lengths: Lengths) -> NDArray:
        """Return the step with these lengths, without a shift of all classes."""
        D, d = self.objective.layout.unpack(self.step)
        return self.objective.without_shift(self.objective.layout.pack(*lengths.times(D, d)))

    def after(self, lengths: Lengths, theta: NDArray) -> Logits:
        """Return the logits after the step with these lengths, which leads to theta."""
        sent = self._sent(np.column_stack(lengths))
        return Logits(self.objective, self.data.map(kernels.after_step, *sent), theta)

    def _sent(self, lengths: NDArray) -> tuple[NDArray, NDArray]:
        """Return lengths and shifts as columns, in the type of number of the rows."""
        own = lengths.astype(self.data.dtype)
        return own[:, :1], own[:, 1:] if own.shape[1] == 2 else 0 * own

    def _scales(self) -> NDArray:
        """Return a matrix for each output, with which its curvature is about the identity."""
        width, total = self.shape[1], self.data.total_weight
        sums = self.data.sum(kernels.length_curvatures, self.objective.loss)
        own, between, of_shifts = (part / total for part in sums)
        squares = np.column_stack([own + self.penalty_curvatures, of_shifts])
        tiny = np.finfo(np.float64).tiny
        units = 1 / np.sqrt(np.where(squares > tiny, squares, 1.0))
        M = np.empty((len(own), 2, 2))
        M[:, 0, 0] = M[:, 1, 1] = 1 + self.objective.costs.added_to_lengths
        M[:, 0, 1] = M[:, 1, 0] = np.clip(np.nan_to_num(between * units[:, 0] * units[:, 1]), -1, 1)
        L = np.linalg.cholesky(M[:, :width, :width])
        return np.asarray(units[:, :width, None] * np.linalg.inv(L).transpose(0, 2, 1))
