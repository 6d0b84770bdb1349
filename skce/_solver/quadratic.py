"""The least value of a quadratic plus an L1 penalty, within bounds.

    minimise   g'(x - x_0) + (x - x_0)' H (x - x_0) / 2 + sum lambda |x|,   low <= x <= high

In units in which the diagonal of H is one, two steps alternate. The first looks around to find the
coefficients that are zero or at a bound. The second is a Newton step of all other coefficients,
which stops at zero and at the bounds.

    `Dense`       H is an array      sweeps over the coefficients    Cholesky
    `ByProducts`  takes v to H v     proximal gradient steps         conjugate gradients

Sources: Moré and Toraldo, *On the solution of large quadratic programming problems with bound
constraints*, 1991; Friedman, Hastie and Tibshirani, *Regularization paths for generalized linear
models via coordinate descent*, 2010; Wright, Nowak and Figueiredo, *Sparse reconstruction by
separable approximation*, 2009.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from .._costs import DEFAULT, Costs
from .._problem.penalty import Nonsmooth
from .decrement import newton_decrement


class Least(NamedTuple):
    """The minimum of a quadratic, or the lowest point that was found.

    Attributes
    ----------
    x : ndarray of shape (size,)
    gain : float
        How much lower the value is than at the start.
    left : float
        How much may be left to gain, if `solved`.
    solved : bool
        Whether x is the minimum.
    """

    x: NDArray
    gain: float
    left: float
    solved: bool


class Shifts(NamedTuple):
    """Coefficients that can all move by the same amount without a change of probabilities.

    Attributes
    ----------
    places : ndarray of int, shape (n_shifts, K)
        Positions of these coefficients.
    curvature : ndarray of shape (n_shifts, K)
        Their curvature by the penalty and by damping; such a move has no other curvature.
    """

    places: NDArray
    curvature: NDArray

    def damped(self, damping: NDArray) -> Shifts:
        """Return the shifts with additional curvature."""
        return self._replace(curvature=self.curvature + damping[self.places])


class Quadratic(ABC):
    """A quadratic with a nonsmooth term, a point, and how much lower its value is than at x_0.

    Parameters
    ----------
    diagonal : ndarray of shape (size,)
        Diagonal of H, which is positive semi-definite.
    gradient : ndarray of shape (size,)
    nonsmooth : Nonsmooth
    start : ndarray of shape (size,)
        x_0, within the bounds.
    shifts : Shifts
    costs : Costs
    """

    #: Whether every Newton step is solved accurately. Otherwise only the last ones are.
    direct = True

    def __init__(
        self,
        diagonal: NDArray,
        gradient: NDArray,
        nonsmooth: Nonsmooth,
        start: NDArray,
        shifts: Shifts,
        costs: Costs,
    ):
        self.costs = costs
        #: If the gain is above `limit`: how much may be left to gain, as a share of the gain.
        self.rough = costs.model_rough
        #: If the gain is at most `limit`: how much may be left to gain, as a share of the limit.
        self.fine = costs.model_small
        #: Numbers that are added to the unit diagonal of H in the tries of a Newton step.
        self.damping: tuple[float, ...] = costs.model_damping
        self.scale = np.sqrt(np.maximum(diagonal, np.finfo(float).tiny))
        self.start, self.nonsmooth, self.shifts = start, nonsmooth, shifts
        self.own = Nonsmooth(
            nonsmooth.weights / self.scale, nonsmooth.low * self.scale, nonsmooth.high * self.scale
        )
        self.x = self.first = start * self.scale
        self.slopes = gradient / self.scale
        self.gain = 0.0
        self.limit = 0.0
        #: Whether the next Newton step is solved accurately.
        self.exact = self.direct
        #: If not all steps are solved accurately, they are once the gain is less than this share of
        #: `limit`. Then the model may be the last one.
        self.last = 1.0
        #: The most alternations.
        self.steps = costs.model_steps
        #: Whether some coefficients are so nearly collinear that rounding hides the difference.
        self.collinear = False
        #: Predicted gain of the last Newton step, less its real gain.
        self.unkept = 0.0
        #: Work done and its limit, in multiplications of a product with an array.
        self.work, self.most_work = 0.0, np.inf

    @abstractmethod
    def times(self, v: NDArray) -> NDArray:
        """H v."""

    @abstractmethod
    def look_around(self, subgradient: NDArray) -> None:
        """Move coefficients to zero and to bounds, and away from them."""

    @abstractmethod
    def newton_step(
        self, downhill: NDArray, some: NDArray, shifts: NDArray, damping: float
    ) -> NDArray:
        """Newton step of some coefficients."""

    def minimum(self, limit: float = 0.0, most: float = np.inf) -> Least:
        """Minimise accurately if the gain is below `limit`, and stop if it is above `most`.

        Parameters
        ----------
        limit : float, default=0.0
            The smallest gain that matters.
        most : float, default=inf
            The largest gain that makes sense.

        Returns
        -------
        Least
            Solved if little is left to gain along single coefficients and by a Newton step.
        """
        self.limit = limit
        left, small, stepped, spent = np.inf, 0.0, np.inf, False
        for _ in range(self.steps):
            subgradient = self.own.subgradient(self.x, self.slopes)
            small = self.rough * self.gain if self.gain > limit else self.fine * limit
            left = float(subgradient @ subgradient) / 2
            settled = left <= small and not stepped > small
            if settled and (self.exact or self.gain > self.last * limit):
                break
            self.exact = settled or self.direct
            if spent := self.work > self.most_work:
                break
            before = self.gain
            self.look_around(subgradient)
            self._shift()
            stepped = -self.gain
            self._step()
            stepped += self.gain
            if not np.finfo(float).eps * abs(self.gain) < self.gain - before <= most - before:
                break
        enough = max(small, self.costs.model_solved * limit)
        solved = left <= enough and not spent and (self.exact or self.gain > limit)
        if self.gain <= limit:  # a predicted gain that a step missed may still be left
            solved = solved and self.unkept <= enough
        if self.gain <= limit and (self.collinear or self._doubts()):
            left = self._bound(most)
            solved = solved and left <= limit
        if self.gain < 0:  # by rounding
            self.x, self.gain = self.first, 0.0
        # A coefficient at a bound gets exactly the value of the bound.
        at = [self.x == self.first, self.x == self.own.low, self.x == self.own.high]
        x = np.select(
            at, [self.start, self.nonsmooth.low, self.nonsmooth.high], self.x / self.scale
        )
        return Least(x, self.gain, left, bool(solved))

    def _doubts(self) -> bool:
        """Whether coefficients in doubt are nearly collinear with others."""
        return False

    def _bound(self, value: float) -> float:
        """Return an upper bound of what is left to gain, if F has this value.

        Neither here nor at the minimum is the L1 penalty of all coefficients together larger than
        F, and a convex function is above its tangents. For a coefficient with neither an L1 penalty
        nor bounds, the bound comes from its slope and its curvature.
        """
        own, slopes = self.own, np.abs(self.own.subgradient(self.x, self.slopes))
        width, penalised = own.high - own.low, own.weights > 0
        with np.errstate(divide="ignore"):
            far = np.minimum(width, 2 * value / own.weights)
        alone = slopes * np.where(np.isfinite(far), far, slopes / 2)
        together = 2 * value * float((slopes[penalised] / own.weights[penalised]).max(initial=0))
        return float(alone[~penalised].sum()) + min(float(alone[penalised].sum()), together)

    def to(self, x: NDArray) -> tuple[float, NDArray, NDArray]:
        """Return the gain of a move to x, x itself, and the slopes there."""
        moved = x - self.x
        return self._gained(x, self.slopes + self.times(moved))

    def _gained(self, x: NDArray, slopes: NDArray) -> tuple[float, NDArray, NDArray]:
        moved = x - self.x
        gain = self.own.shrinkage(self.x, x) - float((self.slopes + slopes) @ moved) / 2
        return gain, x, slopes

    def take(self, found: tuple[float, NDArray, NDArray]) -> None:
        """Move to a point that was found."""
        gain, self.x, self.slopes = found
        self.gain += gain

    def _step(self) -> None:
        """Take a Newton step of the coefficients that are not at an edge, cut off at edges."""
        self.unkept = 0.0
        for damping in self.damping:
            low, high = self.own.orthant(self.x)
            inside = (low < self.x) & (self.x < high)
            some = np.flatnonzero(inside)
            if not len(some):
                return
            downhill = -(self.slopes + self.own.weights * np.sign(self.x))[some]
            flat = self.shifts.places[~self.shifts.curvature.any(axis=1)]
            whole = flat[inside[flat].all(axis=1)]
            step = self.newton_step(downhill, some, whole, damping)
            promise = float(downhill @ step) / 2
            if promise <= np.finfo(float).eps * self.gain:  # the gain would be only rounding
                return
            best = self._search(some, step, low, high)
            self.unkept = promise - max(best[0], 0.0)
            if best[0] > 0:
                self.take(best)
                if best[0] >= self.costs.model_enough * promise:
                    return

    def _search(
        self, some: NDArray, step: NDArray, low: NDArray, high: NDArray
    ) -> tuple[float, NDArray, NDArray]:
        """Return the lowest of the points along a step, until the values grow again.

        Each point is cut off at edges.
        """

        def at(length: float) -> tuple[float, NDArray, NDArray]:
            x = self.x.copy()
            x[some] = np.clip(x[some] + length * step, low[some], high[some])
            return self.to(x)

        found = [at(1.0)]
        # A step along a direction with almost no curvature is long. The first edge may be the best.
        edge = np.where(step > 0, high[some], low[some]) - self.x[some]
        lengths = np.divide(edge, step, out=np.full(len(some), np.inf), where=step != 0)
        first = lengths.min()
        if first < 1:
            found.append(at(first))
        for length in 0.5 ** np.arange(1, self.costs.model_tries):
            found.append(at(length))
            if found[-1][0] > 0 and found[-1][0] <= found[-2][0]:
                break
        return max(found, key=itemgetter(0))

    def _shift(self) -> None:
        """Move coefficients together to the minimum of their penalties and damping.

        With an L1 penalty lambda, and curvature h and slope g of the whole move, that minimum is at
        the median of the coefficients and of g / h + (K - 2 m) lambda / h for m = 0 to K.

        Source: Li and Osher, *A new median formula with applications to PDE based denoising*, 2009.
        """
        own, (places, curvature) = self.own, self.shifts
        held = (own.weights[places[:, 0]] > 0) | curvature.any(axis=1)
        if not held.any():
            return
        places, curvature = places[held], curvature[held]
        units = self.scale[places]
        W = self.x[places] / units
        K = W.shape[1]
        h, g = curvature.sum(axis=1), (self.slopes[places] * units).sum(axis=1)
        weight = own.weights[places[:, 0]] * units[:, 0]
        turns = K - 2.0 * np.arange(K + 1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            edges = (g[:, None] + np.multiply.outer(weight, turns)) / h[:, None]
        edges[h == 0] = np.where(turns == 0, 0, turns * np.inf)
        c = np.sort(np.concatenate([W, edges], axis=1), axis=1)[:, K]
        lowest = (W - own.high[places] / units).max(axis=1)
        highest = (W - own.low[places] / units).min(axis=1)
        c = np.minimum(np.maximum(c, np.minimum(lowest, 0)), np.maximum(highest, 0))
        if not c.any():
            return
        less = np.abs(W).sum(axis=1) - np.abs(W - c[:, None]).sum(axis=1)
        with np.errstate(invalid="ignore", over="ignore"):
            moved = g * c - h * c**2 / 2 + weight * less > 0
        if not moved.any():
            return
        some, c = places[moved], c[moved, None]
        x, slopes = self.x.copy(), self.slopes.copy()
        x[some] = np.clip((W[moved] - c) * units[moved], own.low[some], own.high[some])
        slopes[some] -= curvature[moved] * c / units[moved]
        self.take(self._gained(x, slopes))


class Dense(Quadratic):
    """A quadratic whose H is an array."""

    def __init__(
        self,
        H: NDArray,
        gradient: NDArray,
        nonsmooth: Nonsmooth,
        start: NDArray,
        shifts: Shifts,
        costs: Costs = DEFAULT,
    ):
        super().__init__(H.diagonal(), gradient, nonsmooth, start, shifts, costs)
        self.H = H / self.scale
        self.H /= self.scale[:, None]
        self.H[np.diag_indices(len(H))] = 1
        #: Coefficients that may be at an edge by rounding of their slopes.
        self.doubtful = np.zeros(len(H), dtype=bool)

    def times(self, v: NDArray) -> NDArray:
        """H v."""
        self.work += self.costs.call_work + self.H.size
        return self.H @ v

    def look_around(self, subgradient: NDArray) -> None:
        """Minimise along one coefficient after the other."""
        x, v, own = self.x.copy(), self.slopes.copy(), self.own
        moving = np.flatnonzero(subgradient)
        self.work += len(moving) * (self.costs.coordinate_work + len(x))
        for j in moving:
            new = own.prox_along(x[j], v[j], j)
            if new != x[j]:
                v += (new - x[j]) * self.H[j]
                x[j] = new
        self.take(self._gained(x, v))

    def _doubts(self) -> bool:
        """Whether coefficients in doubt are nearly collinear with others."""
        if self.doubtful.any():
            low, high = self.own.orthant(self.x)
            some = self.doubtful | ((low < self.x) & (self.x < high))
            whole = self.shifts.places[some[self.shifts.places].all(axis=1)]
            self._factor(np.flatnonzero(some), whole, 0.0)
        return self.collinear

    def newton_step(
        self, downhill: NDArray, some: NDArray, shifts: NDArray, damping: float
    ) -> NDArray:
        """Newton step of some coefficients; shifts without curvature are given some."""
        factor = self._factor(some, shifts, damping)
        return downhill if factor is None else cho_solve(factor, downhill)

    def _factor(
        self, some: NDArray, shifts: NDArray, damping: float
    ) -> tuple[NDArray, bool] | None:
        """Return a Cholesky factor for some coefficients, and notice if they are collinear."""
        M = self.H[np.ix_(some, some)]
        self.work += len(M) ** 3 / self.costs.cholesky_work
        M[np.diag_indices(len(M))] += max(damping, self.costs.model_jitter)
        places = np.searchsorted(some, shifts)
        units = self.scale[shifts]
        n = units / np.linalg.norm(units, axis=1, keepdims=True)
        M[places[:, :, None], places[:, None, :]] += n[:, :, None] * n[:, None, :]
        try:
            factor = cho_factor(M, lower=True, overwrite_a=True)
        except LinAlgError:
            self.collinear = True
            return None
        self.collinear = self.collinear or factor[0].diagonal().min() <= self.costs.model_collinear
        return factor


class ByProducts(Quadratic):
    """A quadratic whose H is only used in products with vectors.

    Parameters
    ----------
    diagonal : ndarray of shape (size,)
    product : callable
        Takes v and returns H v.
    gradient, nonsmooth, start, shifts, costs
        As in :class:`Quadratic`.
    """

    direct = False  # accurate steps take many products

    def __init__(
        self,
        diagonal: NDArray,
        product: Callable[[NDArray], NDArray],
        gradient: NDArray,
        nonsmooth: Nonsmooth,
        start: NDArray,
        shifts: Shifts,
        costs: Costs = DEFAULT,
    ):
        super().__init__(diagonal, gradient, nonsmooth, start, shifts, costs)
        self.rough, self.damping = costs.model_rougher, (0.0,)
        self.product = product
        #: Multiplications in a product.
        self.cost = 0.0
        #: Whether rounding may hide from products how coefficients differ.
        self.doubtful = False
        #: An accurate step may miss this share of the gap that matters.
        self.last, self.accuracy = costs.model_last, costs.model_accuracy
        self.length = 1.0

    def times(self, v: NDArray) -> NDArray:
        """H v."""
        self.work += self.costs.call_work + self.cost
        return self.product(v / self.scale) / self.scale

    def look_around(self, subgradient: NDArray) -> None:
        """Take proximal gradient steps. The curvature along each gives the length of the next."""
        own = self.own
        for _ in range(self.costs.proximal_steps):
            for _ in range(self.costs.model_tries):
                free = self.x - self.length * self.slopes
                shrunk = np.sign(free) * np.maximum(np.abs(free) - self.length * own.weights, 0)
                found = self.to(own.clip(shrunk))
                moved = found[1] - self.x
                square = float(moved @ moved)
                curvature = float(moved @ (found[2] - self.slopes))
                if found[0] > 0 or square == 0:
                    break
                self.length = min(
                    self.length / 2, square / max(curvature, square * self.costs.model_jitter)
                )
            if not found[0] > 0:
                return
            same = np.array_equal(self.x == 0, found[1] == 0)
            self.take(found)
            self.length = square / curvature if curvature > 0 else 1.0
            if same:
                return

    def newton_step(
        self, downhill: NDArray, some: NDArray, shifts: NDArray, damping: float
    ) -> NDArray:
        """Newton step of some coefficients, as accurate as it is worth its cost."""
        costs = self.costs

        def product(v: NDArray) -> tuple[NDArray, NDArray]:
            whole = np.zeros(len(self.x))
            whole[some] = v
            curved = self.times(whole)[some] + costs.model_jitter * v
            return curved, curved.copy()

        solve_out = self.exact and self.gain <= self.limit
        found = newton_decrement(
            -downhill,
            -downhill,
            product,
            lambda residual: np.inf,
            limit=self.accuracy * max(self.gain, self.limit),
            truncation=0 if solve_out else costs.model_truncation,
            costs=costs,
            max_products=costs.accurate_products if solve_out else costs.model_products,
        )
        self.collinear = solve_out and (self.doubtful or not found.complete)
        return found.step
