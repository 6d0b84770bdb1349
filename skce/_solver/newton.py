"""Newton's method: looks by conjugate gradients, and searches along the steps that they find.

`Newton` is the method in given variables. `Preconditioned` is the same method for an objective of
this package. It changes its variables and uses a rougher Hessian if that saves time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._costs import DEFAULT
from .._problem.objective import Hessian, Objective
from .decrement import newton_decrement
from .line_search import Refine, level, line_search
from .method import Learnt, Method
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
        """By which factor `missed` may be above what is missed."""

    @property
    def white(self) -> bool:
        """Whether T makes the Hessian at a typical point nearly the identity."""

    def to_user(self, v: NDArray) -> NDArray:
        """T v."""

    def gradient(self, gradient: NDArray) -> NDArray:
        """T' g."""

    def missed(self, residual: NDArray, rounding: float = 0.0) -> float:
        """Upper bound of r' H^-1 r / 2 without rounding errors in r; infinite if none is known."""

    def product(self, hessian: Callable[[NDArray], NDArray], v: NDArray) -> tuple[NDArray, NDArray]:
        """T' H T v, and H T v."""


@dataclass(frozen=True)
class AsTheyAre:
    """No change of variables.

    Attributes
    ----------
    size : int
    least_curvature : float
        Lower bound of the eigenvalues of every Hessian.
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
        """Return H v, twice."""
        curved = hessian(v)
        return curved.copy(), curved


class HessianProducts:
    """Products with the Hessian of an objective, in the form that SciPy expects.

    What the objective computes once for a point is kept until the next point.
    """

    def __init__(self, objective: Objective):
        self.objective = objective
        self._theta: NDArray | None = None
        self._hessian: Hessian | None = None

    def at(self, theta: NDArray) -> Hessian:
        """Return the Hessian at theta."""
        if self._hessian is None or self._theta is not theta:
            self._hessian = None  # free the memory for the previous point first
            self._theta, self._hessian = theta, self.objective.hessian(theta)
        return self._hessian

    def __call__(self, theta: NDArray, direction: NDArray) -> NDArray:
        """Hessian at theta times a direction."""
        return self.at(theta)(direction)


@dataclass(frozen=True, eq=False, kw_only=True)
class Newton(Method):
    """Newton's method with conjugate gradients.

    Attributes
    ----------
    hessp : callable
        Takes theta and a direction; returns the Hessian times the direction.
    variables : Variables
        The variables of conjugate gradients.
    truncation : float
        How small the last gain of conjugate gradients must be, relative to the others.
    """

    hessp: Hessp
    variables: Variables
    truncation: float = DEFAULT.truncation

    @property
    def share(self) -> float:
        """Passes over all rows that a product takes."""
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
        """The function that looks for a lower point along a step."""
        return level

    @property
    def as_bounded(self) -> bool:
        """Whether a bound of the gap that is small enough is sufficient.

        It is if a better estimate would take many products.
        """
        return False

    def most(self, point: Point) -> float:
        """Return the largest decrease that the model of a step may predict."""
        return np.inf

    def slope_size(self, point: Point) -> float:
        """Return an upper bound of the terms of a slope, in units of the size of its column."""
        return 1.0

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
        """Return a lower bound of the decrement, from the largest eigenvalue of any Hessian."""
        return self.square(point) / (2 * 2)  # in whitened variables none exceeds 2

    def missed(self, point: Point, limit: float) -> float:
        """Return an upper bound of the gap by the gradient alone.

        It is complete only if it may be below the limit.
        """
        bound = self.variables.missed(point.gradient)
        return (
            bound + self.unseen(point, point.gradient, limit - bound) if bound <= limit else bound
        )

    def unseen(self, point: Point, residual: NDArray, enough: float) -> float:
        """Return the part of the gap that `missed` leaves out, from a residual at a point.

        If the result is at most `enough`, it may be above the exact value.
        """
        return 0.0

    def curved(self, point: Point, direction: NDArray, run: Run) -> NDArray:
        """Return the Hessian at a point times a direction, in the variables of the functions."""
        run.log.nhev += 1
        run.log.passes += self.share
        return self.used_products(point.theta, direction)

    def look(self, point: Point, run: Run, before: float) -> Look:
        """Look at a point. At the point before, the decrement was `before`."""
        return self.estimate(point, run, before, truncation=self.truncation)

    @np.errstate(over="ignore", invalid="ignore")  # then the gap is infinite
    def estimate(
        self,
        point: Point,
        run: Run,
        before: float,
        *,
        truncation: float = 0.0,
        missing: float | None = None,
        max_products: int = 0,
    ) -> Look:
        """Estimate the gap at a point by the decrement, and find the Newton step.

        Conjugate gradients end once the decrement is known except for a share of `missing`. If it
        is above the limit, they end once their gains are below `truncation`. If the method is
        `as_bounded`, they also end once an upper bound of the decrement is below the limit, or once
        the gradient after the step is likely to bound the gap.
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
            as_bounded=self.as_bounded,
            most=self.most(point),
            slope_size=partial(self.slope_size, point),
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
        """Return a look whose step is given in the variables of the method."""
        return Look(
            decrement=decrement,
            gap=gap,
            complete=complete,
            step=self.variables.to_user(step),
            slope=float(self.gradient(point) @ step),
        )

    def search(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search by parabolas. If values differ only by rounding, the gradient decides.

        Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 3.5.
        """
        slope, costs = look.slope, run.costs

        def shorter(length: float, gain: float) -> float:
            curvature = -(gain + length * slope) / length**2
            return float(np.clip(-slope / (2 * curvature), length / 10, length / 2))

        accepts = partial(self.is_nearer, origin=origin, run=run)
        found = line_search(run, origin, look, shorter, accepts, self.refine)
        if not found.length:
            return origin, self
        error = abs(found.gain / look.decrement - 1) if found.length == 1 else 1.0
        error = 0.0 if run.is_flat(found.gain, found.point) else error
        return found.point, self.truncated(
            min(costs.truncation, costs.truncation_per_error * error)
        )

    def is_nearer(self, point: Point, origin: Point, run: Run) -> bool:
        """Whether values differ by rounding, and a point is nearer to the minimum by gradients."""
        flat = run.is_flat(origin.value - point.value, point)
        return flat and self.square(point) <= self.square(origin) / 2

    def truncated(self, truncation: float) -> Self:
        """Return the method with another truncation of conjugate gradients."""
        return self if truncation == self.truncation else evolve(self, truncation=truncation)

    def search_again(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Search along a last step at whose end F was not lower."""
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
        Products that are used in place of exact ones: those of a sample, or of rounded rows.
    jointly : Jointly, default=None
        If given, it makes new variables at every point.
    products : float, default=0
        Number of products of the last look.
    spent : float, default=0
        Passes of this run so far. The classes are scaled once scaling would have cost less.
    """

    hessp: HessianProducts
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
        """Passes over all rows that a product takes."""
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

    @property
    def as_bounded(self) -> bool:
        """Whether a bound of the gap that is small enough is sufficient."""
        return self.is_scaled

    def unseen(self, point: Point, residual: NDArray, enough: float) -> float:
        """Return how much the intercepts alone can gain."""
        return gain_of_intercepts(self.curvature, point, residual, enough)

    def most(self, point: Point) -> float:
        """Return the largest decrease that the model of a step may predict: a multiple of F.

        F is not below zero. If rows are separated, the quadratic model has almost no curvature and
        predicts more with every product.
        """
        return self.objective.costs.credible * point.value if self.is_scaled else np.inf

    def slope_size(self, point: Point) -> float:
        """Return an upper bound of the terms of a slope, in units of the size of its column.

        Slopes are sums of x_i r_i, and the mean of r_i^2 is at most 2 F (Pinsker's inequality). If
        F is so small that this matters, the mean of r_i^2 itself is computed, which takes a pass.
        Rounding of the logits changes r_i by a multiple of what rounding of r_i does.
        """
        most = self.objective.costs.rounded_logits
        if most**2 * 2 * point.value >= 1:
            return 1.0
        square = self.objective.residual_square
        size = point.remember("slope size", self.objective, lambda: np.sqrt(square(point.theta)))
        return min(1.0, most * float(size))

    @property
    def learnt(self) -> Learnt | None:
        """The variables, with which the fit of a similar objective can begin."""
        return Learnt(self.variables)

    @property
    def used_products(self) -> HessianProducts:
        """The Hessian products that are used: rough ones, if there are any."""
        return self.rough or self.hessp

    def at(self, point: Point, run: Run) -> Self:
        """Return the method with its variables chosen for a point."""
        jointly = self.jointly
        if jointly is None:
            if not self.products >= joint_whitening_cost(self.objective, self.size) < np.inf:
                return self
            jointly = Jointly(self.base, self.objective)
        run.log.work += self.size**2 * (2 * self.objective.data.n_rows + self.size / 3)
        return evolve(self, jointly=jointly, variables=jointly.at(point.theta))

    @np.errstate(over="ignore", invalid="ignore")  # then the step leads nowhere
    def look(self, point: Point, run: Run, before: float) -> Look:
        """Look at a point. If the Hessian there is the identity, the gradient alone is enough.

        If the gap is small, one product checks that the Hessian is the identity.
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
        return super().look(point, run, before)

    def exact(self) -> Self:
        """Return the method with the Hessian of all rows in full precision."""
        return evolve(self, rough=None)

    def afresh(self) -> Self:
        """Return the method at the beginning of a run."""
        return evolve(self, spent=0.0)

    def evaluate_start(self, theta: NDArray, run: Run) -> Point:
        """Evaluate F at a start."""
        return run.evaluate(theta)

    def beginning_at(self, point: Point, run: Run, earlier: Learnt | None) -> Self:
        """Return the method for a fit that begins at a point, after a similar fit."""
        del point, run, earlier
        return self

    def classes_scaled(self, point: Point, run: Run) -> tuple[Whitened, ClassWhitened]:
        """Return variables scaled by the curvature of each class at a point.

        This takes a pass, unless logits are kept: those of a sample are enough.
        """
        if point.logits is not None:
            return scale_classes(self.base, point.logits.mean_curvatures())
        run.log.passes += 1
        return scale_classes(self.base, self.objective.mean_curvatures(point.theta))

    def columns_rescaled(self, point: Point, run: Run) -> Self:
        """Return the method with columns scaled by their curvature at a point."""
        base = rescale_columns(self.base, self.used_products.at(point.theta))
        run.log.passes += self.share
        return evolve(self, base=base, variables=base)

    def with_curvature_of(self, curvature: Objective) -> Self:
        """Return the method with the Hessian of an objective."""
        exact = curvature is self.objective
        return evolve(self, rough=None if exact else HessianProducts(curvature))

    def made(self, products: float) -> Self:
        """Return the method after a look that took this many products."""
        return self if self.jointly is not None else evolve(self, products=products)

    def truncated(self, truncation: float) -> Self:
        """Return the method with another truncation of conjugate gradients, if it uses these."""
        return self if self.jointly is not None else super().truncated(truncation)

    def learn(self, origin: Point, point: Point) -> Self:
        """Return the method after a search, with a larger sample if the gap fell too little."""
        n_rows = self.curvature.data.n_rows
        if not n_rows < self.objective.data.n_rows:
            return self
        if self.rough_gap(point) <= self.objective.costs.sample_left * self.rough_gap(origin):
            return self
        return self.with_curvature_of(take_sample(self.objective, 4 * n_rows))

    def adapted(self, point: Point, run: Run, work: float) -> Self:
        """Return the method in better variables, if the last passes cost more than these."""
        if self.jointly is not None:
            return self
        if work > columns_whitening_cost(self.base, self.objective):
            base = whiten_many_columns(self.objective)
            return evolve(self, base=base, variables=base)
        if self.is_scaled and work > self.objective.costs.worth_rescaling:
            return self.columns_rescaled(point, run)
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
