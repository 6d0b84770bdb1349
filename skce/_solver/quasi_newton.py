"""L-BFGS in variables that are scaled by the curvature of each class, until the gap is small.

With many classes and many columns, a Newton step far from the optimum costs many Hessian products.
Most of what they find out is no longer true after the step. An iteration of L-BFGS takes one pass.
Near the optimum a few products gain more, and only products can estimate the gap.

Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 7.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .line_search import Refine, lengthen_or_shorten
from .newton import Preconditioned
from .run import Look, Point, Run, evolve
from .variables import ClassWhitened, Whitening, scaled


class Pair(NamedTuple):
    """A step and the change of the gradient along it, in the variables of the method.

    Attributes
    ----------
    s, y : ndarray of shape (size,)
        The step, and the change of the gradient.
    product : float
        s'y, which is positive.
    """

    s: NDArray
    y: NDArray
    product: float


@dataclass(frozen=True, eq=False, kw_only=True)
class QuasiNewton(Preconditioned):
    """L-BFGS first, then Newton's method.

    Attributes
    ----------
    variables : ClassWhitened
        A factor for each class and variable.
    pairs : tuple of Pair
        The last pairs, the oldest first.
    estimates : tuple of float
        The gap before each iteration of L-BFGS, as L-BFGS estimated it.
    is_over : bool
        Whether Newton's method has taken over for good.
    """

    variables: ClassWhitened
    pairs: tuple[Pair, ...] = ()
    estimates: tuple[float, ...] = ()
    is_over: bool = False

    def beginning_at(self, point: Point, run: Run, earlier: Whitening | None) -> Self:
        """Return the method for a fit that begins at a point, scaled by the curvature there.

        If a similar fit went before, the curvature at its end is used: it is about the same.
        """
        if not point.theta.any():  # the variables are white at zero
            return self
        if isinstance(earlier, ClassWhitened) and earlier.curvatures is not None:
            return evolve(self, variables=scaled(self.base, earlier.curvatures))
        return evolve(self, variables=self.classes_scaled(point, run)[1])

    @property
    def refine(self) -> Refine:
        """The function that looks for a lower point along a step.

        For L-BFGS, one more point costs as much as a step.
        """
        return super().refine if self.is_over else lengthen_or_shorten

    def at(self, point: Point, run: Run) -> Self:
        """Return the method with its variables chosen for a point."""
        return super().at(point, run) if self.is_over else self

    def look(self, point: Point, run: Run, before: float) -> Look:
        """Look at a point by L-BFGS; or by Newton's method, if L-BFGS estimates a small gap."""
        if self.is_over:
            return super().look(point, run, before)
        gradient, limit = self.gradient(point), run.limit(point)
        step = -_solve(self.pairs, gradient.astype(self.objective.data.dtype))
        decrement, most = -float(gradient @ step) / 2, self.missed(point, limit)
        if most <= limit:
            look = run.judge(self.seen(point, step, most, complete=True), point, np.inf)
            return evolve(look, proven=True)
        if not run.costs.handed_over * limit < decrement < np.inf:
            return self.estimate(point, run, before, truncation=self.truncation, as_bounded=True)
        gap = run.log.gap = run.relative(decrement, point)
        return evolve(self.seen(point, step, decrement, complete=False, gap=gap), own=step)

    def search(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search along the step of a look, and add the pair of this step."""
        point, method = super().search(origin, look, run)
        if look.own is None:
            return point, method
        costs = run.costs
        estimates = (*self.estimates, look.decrement)
        earlier = estimates[-1 - costs.slow_after : -costs.slow_after]
        if point is origin or any(look.decrement > costs.falls * one for one in earlier):
            base, variables = self.classes_scaled(point, run)
            method = evolve(method, is_over=True, pairs=(), base=base, variables=variables)
            return point, method
        moved = point.theta - origin.theta  # may be a part of the step, or a multiple of it
        length = float(moved @ look.step) / float(look.step @ look.step)
        y = (self.gradient(point) - self.gradient(origin)).astype(look.own.dtype)
        s = look.own * look.own.dtype.type(length)
        product, pairs = float(s @ y), self.pairs
        if product > 0:
            pairs = (*pairs, Pair(s, y, product))[-costs.pairs :]
        return point, evolve(method, pairs=pairs, estimates=estimates)

    def adapted(self, point: Point, run: Run, work: float) -> Self:
        """Return the method with the curvature of each class at a point, after some iterations."""
        if self.is_over:
            return super().adapted(point, run, work)
        if len(self.estimates) not in self.objective.costs.scaled_after:
            return self
        _, variables = self.classes_scaled(point, run)
        return evolve(
            self, variables=variables, pairs=_in_other(self.pairs, self.variables, variables)
        )


def _solve(pairs: tuple[Pair, ...], gradient: NDArray) -> NDArray:
    """Return the approximation of H^-1 g by the two loops of L-BFGS."""
    q, lengths = gradient.copy(), []
    for s, y, product in reversed(pairs):
        lengths.append(float(s @ q) / product)
        q -= y * q.dtype.type(lengths[-1])
    if pairs:
        _, y, product = pairs[-1]
        q *= q.dtype.type(product / float(y @ y))
    for (s, y, product), length in zip(pairs, reversed(lengths), strict=True):
        q += s * q.dtype.type(length - float(y @ q) / product)
    return q


def _in_other(pairs: tuple[Pair, ...], old: ClassWhitened, new: ClassWhitened) -> tuple[Pair, ...]:
    """Return the same pairs in variables with other scales."""
    ratio = (old.T / new.T).ravel()

    def moved(pair: Pair) -> Pair:
        factor = ratio.astype(pair.s.dtype)
        return Pair(pair.s * factor, pair.y / factor, pair.product)

    return tuple(map(moved, pairs))
