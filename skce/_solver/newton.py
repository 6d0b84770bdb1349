"""Newton's method: looks by conjugate gradients, and searches along their steps.

`Newton` is the method in given variables; `Preconditioned` is the same for an objective of this
package, and knows when other variables or a rougher Hessian pay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._costs import DEFAULT
from .._problem.objective import Objective
from .decrement import newton_decrement
from .line_search import Refine, level, line_search
from .method import Method
from .run import Hessp, Look, Point, Run, evolve, gain_of_intercepts
from .variables import (
    ClassWhitened,
    Jointly,
    Whitened,
    Whitening,
    class_scaling_cost,
    class_whitening_cost,
    columns_whitening_cost,
    joint_whitening_cost,
    precondition_classes,
    rescale_columns,
    scale_classes,
    take_sample,
    whiten_many_columns,
)


class Variables(Protocol):
    """A linear change of variables, theta = theta_0 + T v."""

    @property
    def size(self) -> int:
        """Number of variables."""

    @property
    def trust(self) -> float:
        """How far `missed` is above what is missed."""

    @property
    def white(self) -> bool:
        """Whether T makes the Hessian of a typical point white."""

    def to_user(self, v: NDArray) -> NDArray:
        """T v."""

    def gradient(self, gradient: NDArray) -> NDArray:
        """T' g."""

    def missed(self, residual: NDArray, rounding: float = 0.0) -> float:
        """Upper bound of r' H^-1 r / 2, infinite if none is known; less what is rounding."""

    def product(self, hessian: Callable[[NDArray], NDArray], v: NDArray) -> tuple[NDArray, NDArray]:
        """T' H T v, and H T v."""


@dataclass(frozen=True)
class AsTheyAre:
    """No change of variables.

    Attributes
    ----------
    size : int
    least_curvature : float
        No eigenvalue of any Hessian is below this.
    """

    size: int
    least_curvature: float = 0.0
    trust: float = 1.0
    white: bool = False

    def to_user(self, v: NDArray) -> NDArray:
        """Return v."""
        return v

    def gradient(self, gradient: NDArray) -> NDArray:
        """Return g."""
        return gradient

    def missed(self, residual: NDArray, rounding: float = 0.0) -> float:
        """Return r' r / 2 over the least curvature."""
        if not self.least_curvature:
            return np.inf
        return float(residual @ residual) / (2 * self.least_curvature)

    def product(self, hessian: Callable[[NDArray], NDArray], v: NDArray) -> tuple[NDArray, NDArray]:
        """Return H v, and once more."""
        curved = hessian(v)
        return curved.copy(), curved


class HessianProducts:
    """Products with the Hessian of an objective, as SciPy takes them.

    What the objective needs to know of a point is kept until the next point.
    """

    def __init__(self, objective: Objective):
        self.objective = objective
        self._theta: NDArray | None = None
        self._product: Any = None

    def __call__(self, theta: NDArray, direction: NDArray) -> NDArray:
        """Hessian at theta times a direction."""
        if self._theta is not theta:
            self._product = None  # that of the point before need not be in memory, too
            self._theta, self._product = theta, self.objective.hessian(theta)
        return self._product(direction)


@dataclass(frozen=True, eq=False, kw_only=True)
class Newton(Method):
    """Newton's method with conjugate gradients.

    Attributes
    ----------
    hessp : callable
        Takes theta and a direction; returns the Hessian times the direction.
    variables : Variables
        In which conjugate gradients run.
    truncation : float
        How small the last gain of conjugate gradients need be, relative to the others.
    """

    hessp: Hessp
    variables: Variables
    truncation: float = DEFAULT.truncation

    @property
    def share(self) -> float:
        """Passes of a product."""
        return 1.0

    @property
    def size(self) -> int:
        """Number of variables."""
        return self.variables.size

    @property
    def dtype(self) -> DTypeLike:
        """Type of number of the vectors of conjugate gradients."""
        return np.float64

    @property
    def eps(self) -> float:
        """Precision of products."""
        return float(np.finfo(np.float64).eps)

    @property
    def is_single(self) -> bool:
        """Whether values are rounded to float32."""
        return False

    @property
    def refine(self) -> Refine:
        """What looks for a lower point along a step."""
        return level

    @property
    def is_scaled(self) -> bool:
        """Whether columns are only scaled.

        Then a gap is known well enough if a bound of it is small enough: to know more takes many
        products.
        """
        return False

    def most(self, point: Point) -> float:
        """Return what a step may promise to gain."""
        return np.inf

    @property
    def used_products(self) -> Hessp:
        """The Hessian products that are used."""
        return self.hessp

    def through(self, hessp: Hessp | None) -> Self:
        """Return the method with products by a function."""
        return self if hessp is None or hessp is self.hessp else evolve(self, hessp=hessp)

    def gradient(self, point: Point) -> NDArray:
        """Gradient at a point in the variables of the method."""
        return point.remember(
            "gradient", self.variables, lambda: self.variables.gradient(point.gradient)
        )

    def rough_gap(self, point: Point) -> float:
        """Return a lower bound of the decrement, by the largest eigenvalue that a Hessian has."""
        return self.square(point) / (2 * 2)  # in whitened variables none exceeds 2

    def missed(self, point: Point, limit: float) -> float:
        """Bound of the gap by the gradient alone; in full if it may be below the limit."""
        bound = self.variables.missed(point.gradient)
        return (
            bound + self.unseen(point, point.gradient, limit - bound) if bound <= limit else bound
        )

    def unseen(self, point: Point, residual: NDArray, enough: float) -> float:
        """Return what the bound of what a sum misses leaves out, from a residual at a point.

        Beside what is enough it may be more than that, but little.
        """
        return 0.0

    def curved(self, point: Point, direction: NDArray, run: Run) -> NDArray:
        """Hessian at a point times a direction, both in the variables of the functions."""
        run.log.nhev += 1
        run.log.passes += self.share
        return self.used_products(point.theta, direction)

    def look(self, point: Point, run: Run, before: float) -> Look:
        """Look at a point, after one where the decrement was `before`."""
        return self.estimate(point, run, before, truncation=self.truncation)

    def estimate(
        self,
        point: Point,
        run: Run,
        before: float,
        *,
        truncation: float = 0.0,
        missing: float | None = None,
        max_products: int = 0,
        as_bounded: bool = False,
    ) -> Look:
        """Estimate the gap at a point by the decrement, which also finds the Newton step.

        Conjugate gradients end once the decrement is known, but for a share that is `missing`; or,
        if it is above the limit, once their gains are below `truncation`. If `as_bounded`, it is
        known well enough if a bound of it is below the limit.
        """
        gradient = self.gradient(point)
        found = newton_decrement(
            gradient.astype(self.dtype, copy=False),
            point.gradient.astype(self.dtype, copy=False),
            lambda v: self.variables.product(lambda d: self.curved(point, d, run), v),
            self.variables.missed,
            partial(self.unseen, point),
            limit=run.limit(point),
            truncation=truncation,
            white=self.variables.white,
            eps=self.eps,
            missing=run.costs.missing_single if self.is_single else missing,
            costs=run.costs,
            max_products=max_products or None,
            trust=self.variables.trust,
            as_bounded=as_bounded or self.is_scaled,
            most=self.most(point),
        )
        step = found.step if found.step.any() else -gradient
        look = self.seen(point, step, found.gap, complete=found.complete)
        return run.judge(look, point, before, found.left)

    def seen(
        self,
        point: Point,
        step: NDArray,
        decrement: float,
        *,
        complete: bool,
        gap: float = np.inf,
    ) -> Look:
        """Return a look, by a step in the variables of the method."""
        return Look(
            decrement=decrement,
            gap=gap,
            complete=complete,
            step=self.variables.to_user(step),
            slope=float(self.gradient(point) @ step),
        )

    def search(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search by a parabola through what is known; if values are flat, by the gradient.

        Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 3.5.
        """
        slope, costs = look.slope, run.costs

        def shorter(length: float, gain: float) -> float:
            curvature = -(gain + length * slope) / length**2
            return float(np.clip(-slope / (2 * curvature), length / 10, length / 2))

        def accepts(point: Point) -> bool:
            return self.square(point) <= self.square(origin) / 2

        found = line_search(run, origin, look, shorter, accepts, self.refine)
        if not found.length:
            return origin, self
        error = abs(found.gain / look.decrement - 1) if found.length == 1 else 1.0
        error = 0.0 if run.is_flat(found.gain, found.point) else error
        return found.point, self.truncated(
            min(costs.truncation, costs.truncation_per_error * error)
        )

    def truncated(self, truncation: float) -> Self:
        """Return the method with another truncation of conjugate gradients."""
        return self if truncation == self.truncation else evolve(self, truncation=truncation)

    def search_again(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search along a last step that, in full, gained nothing."""
        return self.search(origin, look, run)


@dataclass(frozen=True, eq=False, kw_only=True)
class Preconditioned(Newton):
    """Newton's method for an objective of this package.

    Attributes
    ----------
    objective : Objective
    base : Whitened
        The variables that are the same for all classes.
    rough : HessianProducts, default=None
        Products that are taken in place of exact ones: those of a sample, or of rounded rows.
    jointly : Jointly, default=None
        What makes the variables at every point.
    products : float, default=0
        Those that the last look took.
    spent : float, default=0
        Passes since the classes were scaled, or could have been.
    """

    objective: Objective
    base: Whitened
    variables: Whitening
    rough: HessianProducts | None = None
    jointly: Jointly | None = None
    products: float = 0.0
    spent: float = 0.0

    @property
    def curvature(self) -> Objective:
        """The objective whose Hessian is used."""
        return self.objective if self.rough is None else self.rough.objective

    @property
    def size(self) -> int:
        """Number of variables."""
        return self.base.size

    @property
    def is_rounded(self) -> bool:
        """Whether the Hessian is that of rounded rows."""
        return self.curvature.data.dtype != self.objective.data.dtype

    @property
    def share(self) -> float:
        """Passes of a product."""
        return self.curvature.data.n_rows / self.objective.data.n_rows

    @property
    def dtype(self) -> DTypeLike:
        """Type of number of the vectors of conjugate gradients."""
        return np.float32 if self.is_rounded else np.float64

    @property
    def eps(self) -> float:
        """Precision of products."""
        return float(np.finfo(self.curvature.data.dtype).eps)

    @property
    def is_single(self) -> bool:
        """Whether values are rounded to float32."""
        return bool(self.objective.data.dtype == np.float32)

    @property
    def is_scaled(self) -> bool:
        """Whether columns are only scaled."""
        return self.jointly is None and np.ndim(self.base.Q) == 1

    def unseen(self, point: Point, residual: NDArray, enough: float) -> float:
        """Return what intercepts gain by themselves."""
        return gain_of_intercepts(self.curvature, point, residual, enough)

    def most(self, point: Point) -> float:
        """Return what a step may promise to gain: some times F, which is not below zero.

        Where rows are separated the quadratic model has next to no curvature, and promises more
        with every product.
        """
        return self.objective.costs.credible * point.value if self.is_scaled else np.inf

    @property
    def reusable(self) -> Whitening | None:
        """The variables that a similar objective can begin with."""
        return self.variables

    @property
    def used_products(self) -> Hessp:
        """The Hessian products that are used: rough ones, if there are any."""
        return self.rough or self.hessp

    def at(self, point: Point, run: Run) -> Self:
        """Return the method in the variables for a point."""
        jointly = self.jointly
        if jointly is None:
            if not self.products >= joint_whitening_cost(self.objective, self.size) < np.inf:
                return self
            jointly = Jointly(self.base, self.objective)
        run.log.work += self.size**2 * (2 * self.objective.data.n_rows + self.size / 3)
        return evolve(self, jointly=jointly, variables=jointly.at(point.theta))

    def look(self, point: Point, run: Run, before: float) -> Look:
        """Look at a point; by its gradient alone if the Hessian is the identity.

        That is checked if the gap is small.
        """
        if self.jointly is None:
            return super().look(point, run, before)
        step = -self.gradient(point)
        square, limit = float(step @ step), run.limit(point)
        run.log.gap = run.relative(square / 2, point)
        look = self.seen(point, step, square / 2, complete=False, gap=run.log.gap)
        if look.decrement > limit:
            return look
        curved, user_curved = self.variables.product(lambda d: self.curved(point, d, run), step)
        residual = step - curved
        solved = residual @ residual <= run.costs.solved * square
        missed = self.variables.missed(point.gradient + user_curved)
        if solved and (missed <= limit - look.decrement or missed == np.inf):
            return run.judge(evolve(look, complete=True), point, before)
        return self.estimate(point, run, before)

    def exact(self) -> Self:
        """Return the method with the Hessian of all rows, as they are."""
        return evolve(self, rough=None)

    def afresh(self) -> Self:
        """Return the method at the beginning of a run."""
        return evolve(self, spent=0.0)

    def beginning_at(self, point: Point, run: Run, earlier: Whitening | None) -> Self:
        """Return the method for a fit that begins at a point, after a similar fit."""
        del point, run, earlier
        return self

    def classes_scaled(self, point: Point, run: Run) -> tuple[Whitened, ClassWhitened]:
        """Return variables that are scaled by the curvature of each class at a point, in a pass."""
        run.log.passes += 1
        return scale_classes(self.base, self.objective, point.theta)

    def with_curvature_of(self, curvature: Objective) -> Self:
        """Return the method with the Hessian of an objective."""
        exact = curvature is self.objective
        return evolve(self, rough=None if exact else HessianProducts(curvature))

    def made(self, products: float) -> Self:
        """Return the method after a look that took so many products."""
        return self if self.jointly is not None else evolve(self, products=products)

    def truncated(self, truncation: float) -> Self:
        """Return the method with another truncation of conjugate gradients, if it takes any."""
        return self if self.jointly is not None else super().truncated(truncation)

    def learn(self, origin: Point, point: Point) -> Self:
        """Return the method after a search, with the Hessian of more rows if it gained little."""
        n_rows = self.curvature.data.n_rows
        if not n_rows < self.objective.data.n_rows:
            return self
        if self.rough_gap(point) <= self.objective.costs.sample_left * self.rough_gap(origin):
            return self
        return self.with_curvature_of(take_sample(self.objective, 4 * n_rows))

    def adapted(self, point: Point, run: Run, work: float) -> Self:
        """Return the method in better variables, if the last passes would have paid for them."""
        if self.jointly is not None:
            return self
        if work > columns_whitening_cost(self.base, self.objective):
            base = whiten_many_columns(self.objective)
            return evolve(self, base=base, variables=base)
        if self.is_scaled and work > self.objective.costs.worth_rescaling:
            base = rescale_columns(self.base, self.curvature, point.theta)
            run.log.passes += self.share
            return evolve(self, base=base, variables=base)
        cost = class_whitening_cost(self.base, self.curvature)
        if cost == np.inf:
            spent = self.spent + work
            if spent <= class_scaling_cost(self.base, self.curvature):
                return evolve(self, spent=spent)
            base, variables = self.classes_scaled(point, run)
            return evolve(self, base=base, variables=variables, spent=spent)
        if work > cost:
            variables = precondition_classes(self.base, self.curvature, point.theta)
            run.log.passes += self.share
            return evolve(self, variables=variables)
        return self
