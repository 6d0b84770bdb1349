"""The least value of a quadratic plus a nonsmooth term, by an interior point method.

    minimise   g'(x - x_0) + (x - x_0)' H (x - x_0) / 2 + sum lambda |x|,   low <= x <= high

Here H = R'R + diag(more), for few rows, and the method uses R itself. An edge is a bound, or zero
for a coefficient with an L1 penalty. The methods of `quadratic` go from edge to edge and use H. If
coefficients are nearly collinear, or outnumber the rows, rounding removes their differences from H,
and there are too many edges to visit one by one. Here every step takes all edges into account.

With the edges at distances s and their multipliers z, a step solves

    (1/E + diag(more) + R'R) dx = r,     1/E = z / s

In the units of E this matrix is the identity plus a term from R. Its inverse comes from a QR
decomposition, which loses nothing along directions that R does not see. A coefficient that an L1
penalty may hold at zero is written as the difference of two parts that are not negative.

Sources: Mehrotra, *On the implementation of a primal-dual interior point method*, 1992; Nocedal and
Wright, *Numerical Optimization*, 2006, section 16.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from .._costs import DEFAULT, Costs
from .._problem.penalty import Nonsmooth
from .quadratic import Least

Solve = Callable[[NDArray], NDArray]


class InteriorPoint:
    """A quadratic with a nonsmooth term, and the method that minimises it.

    Parameters
    ----------
    R : ndarray of shape (n, size)
    more : ndarray of shape (size,)
        Diagonal of H - R'R: the ridge plus the damping.
    gradient : ndarray of shape (size,)
    nonsmooth : Nonsmooth
    start : ndarray of shape (size,)
        x_0, within the bounds.
    costs : Costs
    """

    def __init__(
        self,
        R: NDArray,
        more: NDArray,
        gradient: NDArray,
        nonsmooth: Nonsmooth,
        start: NDArray,
        costs: Costs = DEFAULT,
    ):
        self.costs = costs
        scale = np.sqrt(np.maximum((R**2).sum(axis=0) + more, np.finfo(float).tiny))
        self.scale, self.nonsmooth = scale, nonsmooth
        self.own = Nonsmooth(
            nonsmooth.weights / scale, nonsmooth.low * scale, nonsmooth.high * scale
        )
        self.first, self.slopes = start * scale, gradient / scale
        self.R, self.more = R / scale, more / scale**2
        #: Work done and its limit, in multiplications of a product with an array.
        self.work, self.most_work = R.size * min(R.shape), np.inf
        #: The most steps; and whether rounding hides how coefficients differ: with R it never does.
        self.steps, self.collinear = self.costs.interior_steps, False
        #: The size of the terms in a slope, in units of unit curvature.
        self.unit = 1.0
        #: Whether columns are so far from zero that rounding of slopes may hide what is left.
        self.far_from_zero = False
        if len(R) > R.shape[1]:
            self.R = np.linalg.qr(self.R, mode="r")

    def minimum(self, limit: float, most: float) -> Least:
        """Minimise accurately if the gain is below `limit`, and stop if it is above `most`.

        Parameters
        ----------
        limit : float
            The smallest gain that matters.
        most : float
            The largest gain that makes sense: the value of the whole objective at the start.

        Returns
        -------
        Least
            Solved if its `left`, an upper bound of what is left to gain, is small.
        """
        costs = self.costs
        # Slopes are sums of x_i r_i, and r_i^2 is at most 2 F (Pinsker's inequality).
        self.unit = min(1.0, np.sqrt(2 * most))
        parts = _Parts(self.own, most)
        t = parts.inside(self.first, room := np.sqrt(most / len(self.first)))
        # Moves are kept apart from t, which may be so large that it loses digits of them.
        moved = parts.total(t) - self.first
        edges = parts.edges(t, parts.slopes(self._slopes_at(moved)), room)
        best, since, gained_before = (np.inf, moved, edges, True), 0, 0.0
        for _ in range(self.steps):
            slopes = parts.slopes(self._slopes_at(moved))
            complementarity = edges.complementarity
            D = np.maximum(edges.curvature, costs.free_curvature / np.maximum(1, np.abs(t)))
            E, solve = self._inverse(parts, D)
            left, rest = parts.bound(t, edges, slopes, self._noise_at(moved))
            of_rest = float(rest @ solve(rest)) / 2
            if self.far_from_zero:
                # If columns cancel each other, only the penalty limits how far coefficients go that
                # are near an edge now.
                some = rest != 0
                with np.errstate(divide="ignore"):
                    of_rest = float((rest[some] ** 2 / (2 * self.more[some])).sum())
            left += of_rest if of_rest >= 0 else np.inf  # negative by rounding
            since = since + 1 if left >= best[0] and complementarity <= limit else 0
            sure = self.far_from_zero or not rest.any()
            best = min(best, (left, moved, edges, sure), key=lambda one: one[0])
            gained = self._gain_at(self.first + moved)
            # If the gain is above the gap that matters, a rough minimum is enough.
            rough = costs.interior_rough * gained
            if gained > limit and complementarity + abs(gained - gained_before) <= rough:
                best = (left, moved, edges, sure)
                break
            gained_before = gained
            enough = left <= max(
                costs.interior_rough * gained if gained > limit else 0.0,
                costs.interior_small * limit,
            )
            enough = enough or since > costs.interior_patience
            if enough or gained > most or self.work > self.most_work:
                break
            step = self._steps(parts, D, E, solve, slopes)
            # Try a step to the edges. The less of it is possible, the more the real step stays away
            # from them.
            _, dt = step(np.zeros(len(t)))
            change = edges.change(dt, 0.0, 0.0)
            after = edges.moved(dt, change, edges.length(dt, change)).complementarity
            share = (after / complementarity) ** 3 if complementarity > 0 else 0.0
            up, down = edges.push(dt, change, share * complementarity / max(parts.n_edges, 1))
            dx, dt = step(up - down)
            change = edges.change(dt, up, down)
            length = min(1.0, costs.shy * edges.length(dt, change))
            if not (np.isfinite(dt).all() and np.isfinite(length)):
                break
            t, moved = t + length * dt, moved + length * dx
            edges = edges.moved(dt, change, length)
        return self._found(parts, *best, limit=limit, most=most)

    def _found(
        self,
        parts: _Parts,
        left: float,
        moved: NDArray,
        edges: _Edges,
        sure: bool,
        *,
        limit: float,
        most: float,
    ) -> Least:
        """Put coefficients that are near an edge on it, and return the minimum with its gain.

        `left` is not `sure` to be a bound if it contains an estimate of what coefficients without a
        bound or a penalty can gain: their edges held them back.
        """
        x = self.first + moved
        snapped = parts.snapped(x, edges, parts.slopes(self._slopes_at(moved)))
        gain, other = self._gain_at(x), self._gain_at(snapped)
        enough = max(self.costs.interior_rough * gain, self.costs.interior_solved * limit)
        if other >= gain - min(max(left, enough / 2), enough):
            x, gain, left = snapped, other, left + max(gain - other, 0.0)
        if not gain >= 0:  # then the bound is wrong by at least as much as this
            x, gain, left = self.first, 0.0, max(left, -gain if gain < 0 else np.inf)
        if gain <= limit and not (sure and left <= enough):
            left = min(left if sure else np.inf, self._left_at(parts, x, enough))
        # A coefficient at a bound gets exactly the value of the bound.
        at = [x == self.own.low, x == self.own.high]
        user = np.select(at, [self.nonsmooth.low, self.nonsmooth.high], x / self.scale)
        return Least(user, gain, left, bool(left <= enough))

    @np.errstate(all="ignore")  # then the bound is infinite
    def checked(self, least: Least, limit: float, most: float) -> Least:
        """Return a minimum that was found by another method, with a bound of what is left there.

        Its gain must be at most the limit.
        """
        self.unit = min(1.0, np.sqrt(2 * most))
        enough = self.costs.interior_solved * limit
        left = self._left_at(_Parts(self.own, most), least.x * self.scale, enough)
        return least._replace(left=left, solved=bool(left <= enough))

    def _left_at(self, parts: _Parts, x: NDArray, enough: float) -> float:
        """Return an upper bound of what is left to gain at x, by a dual point.

        The search for a dual point ends once the bound is at most `enough`. If the slopes are
        computed with R'u in place of R'R (x - x_0), for any u, the bound grows by
        |u - R (x - x_0)|^2 / 2. The search looks for a u for which no coefficient that can move has
        a slope. So rounding in x, which R'R amplifies, does not count.

        Source: Massias et al., *Dual extrapolation for sparse generalized linear models*, 2020.
        """
        best = np.inf
        if self.far_from_zero:
            return best
        moved, t = x - self.first, parts.at(x)
        noise, start = self._noise_at(moved), self._slopes_at(moved)
        edges = _Edges(t - parts.low, parts.high - t, *np.zeros((2, len(t))))
        for rank in self.costs.dual_ranks:
            change, pulled = np.zeros(len(self.R)), np.zeros(len(x), dtype=bool)
            for _ in range(self.costs.dual_steps):
                slopes = parts.slopes(start + self.R.T @ change)
                left, rest = parts.bound(t, edges, slopes, noise, self.more)
                if not rest.any():
                    best = min(best, left + float(change @ change) / 2)
                if best <= enough or self.work > self.most_work:
                    return best
                pull = parts.pull(t, edges, slopes, noise)
                pulled |= pull != 0
                if not (pull.any() and np.isfinite(pull).all()):
                    break
                some = self.R[:, pulled]
                self.work += self.costs.interior_work + some.size * min(some.shape)
                change -= np.linalg.lstsq(some.T, pull[pulled], rcond=rank)[0]
        return best

    def _slopes_at(self, moved: NDArray) -> NDArray:
        """Slopes of the quadratic. For columns of zeros in R they are exact."""
        return self.slopes + self.R.T @ (self.R @ moved) + self.more * moved

    def _noise_at(self, moved: NDArray) -> NDArray:
        """Return how much of these slopes may be rounding."""
        terms = np.abs(self.R).T @ np.abs(self.R @ moved) + self.more * np.abs(moved)
        noise = self.costs.slope_terms * np.finfo(float).eps
        return noise * (terms + np.abs(self.slopes) + self.own.weights + self.unit)

    def _gain_at(self, x: NDArray) -> float:
        """How much lower the value is at x than at the start."""
        moved = x - self.first
        gain = self.own.shrinkage(self.first, x)
        return gain - float((self.slopes + self._slopes_at(moved)) @ moved) / 2

    def _steps(
        self, parts: _Parts, D: NDArray, E: NDArray, solve: Solve, slopes: NDArray
    ) -> Callable[[NDArray], tuple[NDArray, NDArray]]:
        """Return the function from the right-hand side of the parts to steps of x and of parts."""
        diagonal = 1 / E + self.more

        def step(push: NDArray) -> tuple[NDArray, NDArray]:
            push = push - slopes
            alone = parts.total(push / D)
            w = alone / E
            dx = solve(w)
            for _ in range(self.costs.interior_refinements):
                dx += solve(w - diagonal * dx - self.R.T @ (self.R @ dx))
            return dx, parts.split(dx, (push - parts.signed((alone - dx) / E)) / D, D)

        return step

    def _inverse(self, parts: _Parts, D: NDArray) -> tuple[NDArray, Solve]:
        """Return E, and the function that solves a linear system with 1/E + diag(more) + R'R."""
        E = parts.total(1 / D, together=True)
        root = 1 / np.sqrt(1 / E + self.more)
        S = self.R * root
        self.work += self.costs.interior_work + S.size * min(S.shape)
        if len(S) >= len(E):
            square = np.linalg.qr(np.concatenate([S, np.eye(len(E))]), mode="r")
            return E, lambda v: root * _solve_square(square, root * v)
        Q, L = np.linalg.qr(S.T)
        T = np.linalg.qr(np.concatenate([L.T, np.eye(len(S))]), mode="r")

        def solve(v: NDArray) -> NDArray:
            v = root * v
            inner = Q.T @ v
            rest = v - Q @ inner
            rest -= Q @ (Q.T @ rest)
            return root * (rest + Q @ _solve_square(T, inner))

        return E, solve


class _Parts:
    """Coefficients as parts: one that may change sign is the difference of two parts.

    Parameters
    ----------
    own : Nonsmooth
    value : float
        Value of the objective at some point. At the minimum no penalty is larger than it.
    """

    def __init__(self, own: Nonsmooth, value: float):
        self.own, self.size = own, len(own.weights)
        self.both = np.flatnonzero((own.weights > 0) & (own.low < 0) & (own.high > 0))
        self.of = np.concatenate([np.arange(self.size), self.both])
        self.sign = np.ones(len(self.of))
        self.sign[self.size :] = -1
        self.low = np.concatenate([own.low, np.zeros(len(self.both))])
        self.low[self.both] = 0
        self.high = np.concatenate([own.high, -own.low[self.both]])
        #: Slope of the penalty. A coefficient with one sign has it on its side of zero.
        positive = np.where(own.low >= 0, 1.0, -1.0)
        positive[self.both] = 1
        self.cost = (own.weights * positive)[self.of]
        with np.errstate(divide="ignore"):
            farthest = np.maximum(0, self.low) + 2 * value / np.abs(self.cost)
        self.farthest = np.minimum(self.high, farthest)
        self.n_edges = np.isfinite(self.low).sum() + np.isfinite(self.high).sum()

    def at(self, x: NDArray) -> NDArray:
        """Return the parts of x."""
        t = x[self.of]
        t[self.both] = np.maximum(x[self.both], 0)
        t[self.size :] = np.maximum(-x[self.both], 0)
        return t

    def inside(self, x: NDArray, room: float) -> NDArray:
        """Return parts of x at a distance of `room` from edges, or less if there is less room."""
        t = self.at(x)
        width = self.high - self.low
        inside = np.minimum(room, width / 4)
        t = np.clip(t, self.low + inside, self.high - inside)
        narrow = width < 2 * room
        t[narrow] = (self.low[narrow] + self.high[narrow]) / 2
        return t

    def edges(self, t: NDArray, slopes: NDArray, room: float) -> _Edges:
        """Return the edges around parts, with first multipliers from the slopes or the room."""
        s_low, s_high = t - self.low, self.high - t
        z_low = np.maximum(room**2 / s_low, np.where(np.isfinite(s_low), slopes, 0))
        z_high = np.maximum(room**2 / s_high, np.where(np.isfinite(s_high), -slopes, 0))
        return _Edges(s_low, s_high, z_low, z_high)

    def total(self, t: NDArray, *, together: bool = False) -> NDArray:
        """Differences, or sums, of the parts of each coefficient."""
        x = t[: self.size].copy()
        x[self.both] += t[self.size :] if together else -t[self.size :]
        return x

    def signed(self, x: NDArray) -> NDArray:
        """Convert slopes of coefficients to slopes of parts."""
        return self.sign * x[self.of]

    def slopes(self, slopes: NDArray) -> NDArray:
        """Slopes of parts, with the slope of the penalty."""
        return self.signed(slopes) + self.cost

    def split(self, dx: NDArray, dt: NDArray, D: NDArray) -> NDArray:
        """Make the steps of both parts give dx: the part nearer to an edge keeps its own step."""
        both, first, second = self.both, dt[self.both], dt[self.size :]
        nearer = D[both] > D[self.size :]
        dt[: self.size] = dx
        dt[both] = np.where(nearer, first, second + dx[both])
        dt[self.size :] = np.where(nearer, first - dx[both], second)
        return dt

    def room(self, t: NDArray, edges: _Edges, slopes: NDArray) -> NDArray:
        """Return how far parts can move down their slopes."""
        up = np.minimum(edges.s_high, np.maximum(self.farthest - t, 0))
        return np.where(slopes > 0, edges.s_low, up)

    def pull(self, t: NDArray, edges: _Edges, slopes: NDArray, noise: NDArray) -> NDArray:
        """Return the slopes of the coefficients that can move down them, and zero for all others.

        Coefficients at an edge count if their slope is more than rounding.
        """
        can = self.room(t, edges, slopes) > 0
        can &= (self.room(t, edges, -slopes) > 0) | (np.abs(slopes) > noise[self.of])
        return self.total(np.where(can, slopes, 0.0))

    def bound(
        self,
        t: NDArray,
        edges: _Edges,
        slopes: NDArray,
        noise: NDArray,
        curvature: NDArray | None = None,
    ) -> tuple[float, NDArray]:
        """Return an upper bound of what is left to gain: a convex function is above its tangents.

        The bound is lower if coefficients have a curvature of their own. Also return the slopes of
        the coefficients for which there is no such bound, and zero for all others.
        """
        size = np.maximum(np.abs(slopes) - noise[self.of], 0)
        with np.errstate(invalid="ignore"):
            left = size * self.room(t, edges, slopes)
        if curvature is not None:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                left = np.fmin(left, size**2 / (2 * curvature[self.of]))
        held = np.isfinite(left)
        rest = np.where(held, 0.0, np.copysign(size, slopes))
        return float(left[held].sum()), rest[: self.size]

    def snapped(self, x: NDArray, edges: _Edges, slopes: NDArray) -> NDArray:
        """Return x with parts moved to an edge if its distance is less than its multiplier."""
        at_low, at_high = edges.s_low < slopes, edges.s_high < -slopes
        x = x + self.total(np.select([at_low, at_high], [-edges.s_low, edges.s_high], 0.0))
        # Set the values themselves, so that they are exact.
        low, high, both = at_low[: self.size], at_high[: self.size], self.both
        zero = np.zeros(self.size, dtype=bool)
        zero[both] = low[both] & at_low[self.size :]
        high[both] &= at_low[self.size :]
        low[both] &= at_high[self.size :]
        return np.select([zero, low, high], [0.0, self.own.low, self.own.high], x)


@dataclass(frozen=True)
class _Edges:
    """Distances of parts to edges, and multipliers; infinity and zero if there is no edge."""

    s_low: NDArray
    s_high: NDArray
    z_low: NDArray
    z_high: NDArray

    @property
    def complementarity(self) -> float:
        """Sum of distances times multipliers: what is left to gain if these equal the slopes."""
        there = np.isfinite(self.s_low), np.isfinite(self.s_high)
        low = self.z_low @ np.where(there[0], self.s_low, 0)
        return float(low + self.z_high @ np.where(there[1], self.s_high, 0))

    @property
    def curvature(self) -> NDArray:
        """Curvature that the edges give to parts."""
        return self.z_low / self.s_low + self.z_high / self.s_high

    def push(
        self, dt: NDArray, change: tuple[NDArray, NDArray], centre: float
    ) -> tuple[NDArray, NDArray]:
        """Return what edges below and above add to the right-hand side of a step.

        The step aims at products of distance and multiplier that equal `centre`. The rough step
        `dt`, with the `change` of multipliers, misses that by the products of the two.
        """
        up = np.where(np.isfinite(self.s_low), centre - dt * change[0], 0) / self.s_low
        return up, np.where(np.isfinite(self.s_high), centre + dt * change[1], 0) / self.s_high

    def change(
        self, dt: NDArray, up: NDArray | float, down: NDArray | float
    ) -> tuple[NDArray, NDArray]:
        """Return the steps of the multipliers that belong to steps of the parts."""
        return up - self.z_low * (1 + dt / self.s_low), down - self.z_high * (1 - dt / self.s_high)

    def length(self, dt: NDArray, change: tuple[NDArray, NDArray]) -> float:
        """Return the share of a step after which the first distance or multiplier is zero."""
        length = np.inf
        now = self.s_low, self.s_high, self.z_low, self.z_high
        for value, step in zip(now, (dt, -dt, *change), strict=True):
            falls = step < 0
            length = min(length, float((value[falls] / -step[falls]).min(initial=np.inf)))
        return length

    def moved(self, dt: NDArray, change: tuple[NDArray, NDArray], length: float) -> _Edges:
        """Return the edges after a share of a step."""
        dt, low, high = length * dt, length * change[0], length * change[1]
        return _Edges(self.s_low + dt, self.s_high - dt, self.z_low + low, self.z_high + high)


def _solve_square(T: Any, v: NDArray) -> NDArray:
    """Solve T'T x = v."""
    inner = solve_triangular(T, v, trans="T", check_finite=False)
    return solve_triangular(T, inner, check_finite=False)
