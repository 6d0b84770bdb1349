"""The least value of a quadratic plus an L1 penalty, within bounds.

    minimise   g'(x - x_0) + (x - x_0)' H (x - x_0) / 2 + sum lambda |x|,   low <= x <= high

Two things alternate, in units in which the diagonal of H is one: a look around, which finds out
what is zero or at a bound, and a Newton step of the rest, which stops at zero and at the bounds.

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
    """The minimum of a quadratic, as far as it was found.

    Attributes
    ----------
    x : ndarray of shape (size,)
    gain : float
        How much less the value is than at the start.
    left : float
        What may be left to gain, if it is solved.
    solved : bool
        Whether that is the minimum.
    """

    x: NDArray
    gain: float
    left: float
    solved: bool


class Shifts(NamedTuple):
    """Coefficients that can all move by the same amount, without a change of logits.

    Attributes
    ----------
    places : ndarray of int, shape (n_shifts, K)
        Where they are.
    curvature : ndarray of shape (n_shifts, K)
        What penalty and damping give each of them; no other curvature holds such a move.
    """

    places: NDArray
    curvature: NDArray

    def damped(self, damping: NDArray) -> Shifts:
        """Return them with more curvature."""
        return self._replace(curvature=self.curvature + damping[self.places])


class Quadratic(ABC):
    """A quadratic with a nonsmooth term, a point, and how much lower than at the start that is.

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
        #: If more than the gap that matters was gained, what may be left, as a share of it.
        self.rough = costs.model_rough
        #: If no more was, what may be left, as a share of that.
        self.fine = costs.model_small
        #: What is added to the unit diagonal of H in Newton steps, from one try to the next.
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
        #: Alternations at most.
        self.steps = costs.model_steps
        #: Whether some coefficients are so nearly collinear that rounding hides the difference.
        self.collinear = False
        #: What the last Newton step promised to gain, and did not.
        self.unkept = 0.0
        #: Work done, in multiplications of a product with an array, and where to stop.
        self.work, self.most_work = 0.0, np.inf

    @abstractmethod
    def times(self, v: NDArray) -> NDArray:
        """H v."""

    @abstractmethod
    def look_around(self, subgradient: NDArray) -> None:
        """Move coefficients one by one, to zero and to bounds and away from them."""

    @abstractmethod
    def newton_step(
        self, downhill: NDArray, some: NDArray, shifts: NDArray, damping: float
    ) -> NDArray:
        """Newton step of some coefficients."""

    def minimum(self, limit: float = 0.0, most: float = np.inf) -> Least:
        """Minimise; well where no more is gained than `limit`, and until more is than `most`.

        Parameters
        ----------
        limit : float, default=0.0
            The gain that matters.
        most : float, default=inf
            The gain that makes no sense.

        Returns
        -------
        Least
            Solved if little more could be gained along single coefficients, and by a Newton step.
        """
        self.limit = limit
        left, small, stepped, spent = np.inf, 0.0, np.inf, False
        for _ in range(self.steps):
            subgradient = self.own.subgradient(self.x, self.slopes)
            small = self.rough * self.gain if self.gain > limit else self.fine * limit
            left = float(subgradient @ subgradient) / 2
            if left <= small and not stepped > small:
                break
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
        solved = left <= enough and not spent
        if self.gain <= limit:  # what a step promised in vain is still there
            solved = solved and self.unkept <= enough
        if self.collinear and self.gain <= limit:
            left = self._bound(most)
            solved = solved and left <= limit
        if self.gain < 0:  # by rounding
            self.x, self.gain = self.first, 0.0
        # What is at a bound is there exactly.
        at = [self.x == self.first, self.x == self.own.low, self.x == self.own.high]
        x = np.select(
            at, [self.start, self.nonsmooth.low, self.nonsmooth.high], self.x / self.scale
        )
        return Least(x, self.gain, left, bool(solved))

    def _bound(self, value: float) -> float:
        """Upper bound of what is left to gain, for F of that value and penalties or bounds.

        At the minimum, too, the penalty of no coefficient is larger than F, and a convex function
        lies above its tangents. Coefficients with neither count by their slope and their curvature.
        """
        subgradient = np.abs(self.own.subgradient(self.x, self.slopes))
        with np.errstate(divide="ignore"):
            far = np.minimum(self.own.high - self.own.low, 2 * value / self.own.weights)
        return float(subgradient @ np.where(np.isfinite(far), far, subgradient / 2))

    def to(self, x: NDArray) -> tuple[float, NDArray, NDArray]:
        """How much is gained by going to x, x, and the slopes there."""
        moved = x - self.x
        return self._gained(x, self.slopes + self.times(moved))

    def _gained(self, x: NDArray, slopes: NDArray) -> tuple[float, NDArray, NDArray]:
        moved = x - self.x
        gain = self.own.shrinkage(self.x, x) - float((self.slopes + slopes) @ moved) / 2
        return gain, x, slopes

    def take(self, found: tuple[float, NDArray, NDArray]) -> None:
        """Go there."""
        gain, self.x, self.slopes = found
        self.gain += gain

    def _step(self) -> None:
        """Newton step of what is not at an edge, cut off there."""
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
            if promise <= np.finfo(float).eps * self.gain:  # what it gains is rounding
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
        """Lowest of the points along a step, cut off at edges, until they grow higher again."""

        def at(length: float) -> tuple[float, NDArray, NDArray]:
            x = self.x.copy()
            x[some] = np.clip(x[some] + length * step, low[some], high[some])
            return self.to(x)

        found = [at(1.0)]
        # A step along what has next to no curvature is long, and is cut off at the first edge.
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
        """Move coefficients together to where penalty and damping of all of them are least.

        With an L1 penalty lambda, curvature h and slope g of the whole move that is at the median
        of the coefficients and of g / h + (K - 2 m) lambda / h for m = 0 to K.

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
    """H is an array."""

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

    def newton_step(
        self, downhill: NDArray, some: NDArray, shifts: NDArray, damping: float
    ) -> NDArray:
        """Newton step of some coefficients; along shifts, which have no curvature, it gets some."""
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
            return downhill
        self.collinear = self.collinear or factor[0].diagonal().min() <= self.costs.model_collinear
        return cho_solve(factor, downhill)


class ByProducts(Quadratic):
    """H is known by what it does to vectors.

    Parameters
    ----------
    diagonal : ndarray of shape (size,)
    product : callable
        Takes v and returns H v.
    gradient, nonsmooth, start, shifts, costs
        As in :class:`Quadratic`.
    """

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
        #: Whether steps of a model that gains next to nothing are solved out, and whether rounding
        #: may hide from products what coefficients differ in.
        self.thorough = self.doubtful = False
        self.length = 1.0

    def times(self, v: NDArray) -> NDArray:
        """H v."""
        self.work += self.costs.call_work + self.cost
        return self.product(v / self.scale) / self.scale

    def look_around(self, subgradient: NDArray) -> None:
        """Take proximal gradient steps, their length from the curvature along the last one."""
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
        """Newton step of some coefficients, as far as it is worth it."""

        def product(v: NDArray) -> tuple[NDArray, NDArray]:
            whole = np.zeros(len(self.x))
            whole[some] = v
            curved = self.times(whole)[some] + self.costs.model_jitter * v
            return curved, curved.copy()

        solve_out = self.thorough and self.gain <= self.limit
        found = newton_decrement(
            -downhill,
            -downhill,
            product,
            lambda residual: np.inf,
            limit=self.costs.model_small * max(self.gain, self.limit),
            truncation=0 if solve_out else self.costs.model_truncation,
            costs=self.costs,
            max_products=self.costs.model_products,
        )
        self.collinear = solve_out and (self.doubtful or not found.complete)
        return found.step
