"""The parts of a run: points, looks at them, the stopping rule and the log.

A method gets values and returns values, and changes none of them. Only the log is changed: it
records what happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .._callbacks import OnIteration
from .._costs import DEFAULT, Costs
from .._problem.class_steps import Logits
from .._problem.objective import Objective

Value = TypeVar("Value")


def evolve(value: Value, /, **changes: Any) -> Value:
    """Return a copy of a value with some changes.

    Like `dataclasses.replace`, but without its checks, which take as long as a pass over few rows.
    """
    other = object.__new__(type(value))
    other.__dict__.update(value.__dict__, **changes)
    return other


@dataclass(frozen=True, eq=False)
class Point:
    """A point, with value and gradient of the functions there.

    Attributes
    ----------
    theta : ndarray of shape (size,)
        The point, in the variables of the functions.
    value : float
        Value of the objective.
    gradient : ndarray of shape (size,)
        Gradient of the smooth part of the objective.
    logits : Logits, or None
        The logits of the rows, or of a sample, if they are kept.
    """

    theta: NDArray
    value: float
    gradient: NDArray
    logits: Logits | None = None
    _memo: dict[str, tuple[Any, NDArray]] = field(default_factory=dict, repr=False)

    def remember(self, name: str, what: Any, make: Callable[[], NDArray]) -> NDArray:
        """Return the result of `make`; keep it under a name until `what` is another object."""
        if name not in self._memo or self._memo[name][0] is not what:
            self._memo[name] = what, make()
        return self._memo[name][1]


@dataclass(frozen=True, eq=False)
class Look:
    """What a method finds out at a point: an estimate of the gap, and a step to the minimum.

    Attributes
    ----------
    decrement : float
        Decrease along the step that the quadratic model predicts.
    gap : float
        Estimated gap, relative to the minimum, from this decrement and the one before.
    complete : bool
        Whether the model was solved; if not, `decrement` and `gap` are lower bounds.
    converged : bool
        Whether the gap is known to be small enough.
    step : ndarray of shape (size,)
        The step, in the variables of the functions.
    slope : float
        Slope of the objective along the step.
    target : ndarray of shape (size,), or None
        The point at the end of the step, exact to the last bit, if that matters.
    end : Point, or None
        The same point, if F was already evaluated there.
    hidden : bool
        Whether rounding hid the gain of the step.
    proven : bool
        Whether the gradient alone proves that the gap is small enough.
    own : ndarray of shape (size,), or None
        The step in the variables of the method, if it learns from that.
    """

    decrement: float = np.inf
    gap: float = np.inf
    complete: bool = False
    converged: bool = False
    step: NDArray = field(default_factory=lambda: np.zeros(0))
    slope: float = 0.0
    target: NDArray | None = None
    end: Point | None = None
    hidden: bool = False
    proven: bool = False
    own: NDArray | None = None


class Log:
    """A record of what a run did, and of its costs.

    Parameters
    ----------
    verbose : int, default=0
        Whether to print a line per iteration. With 2, also print the progress of a pass over a
        file.
    label : str, default=""
        Text at the start of each line.
    scale : float, default=1.0
        Factor of the values that are printed.
    on_iteration : callable, default=None
        Takes theta after each iteration, and returns whether to stop.
    """

    def __init__(
        self,
        *,
        verbose: int = 0,
        label: str = "",
        scale: float = 1.0,
        on_iteration: OnIteration | None = None,
    ):
        self.verbose, self.label, self.scale = verbose, label, scale
        self.on_iteration = on_iteration
        self.started = time.perf_counter()
        self.nfev = self.nhev = 0
        #: Passes over all rows; and multiplications that are not part of a pass.
        self.passes = self.work = 0.0
        #: Value at the start and after each iteration, and seconds until then.
        self.values: list[float] = []
        self.seconds: list[float] = []
        #: The last moves, and how many of them are kept.
        self.moves, self.kept_moves = list[NDArray](), 0
        self.accepted: Point | None = None
        self.stopped = False
        #: The last estimate of the gap, and the last iteration whose line was printed.
        self.gap, self.printed = np.inf, 0

    def start(self, point: Point) -> None:
        """Begin at a point."""
        self.accepted = point
        self.values = [point.value]
        self.seconds = [time.perf_counter() - self.started]

    @property
    def n_iter(self) -> int:
        """Iterations made."""
        return len(self.values) - 1

    def accept(self, point: Point) -> None:
        """Record an iteration that led to a point."""
        self.print_last()  # the iteration before, if it has no line yet
        if self.kept_moves and self.accepted is not None:
            self.moves = [*self.moves, point.theta - self.accepted.theta][-self.kept_moves :]
        self.accepted = point
        self.values.append(point.value)
        self.seconds.append(time.perf_counter() - self.started)
        if self.on_iteration is not None:
            self.stopped = self.on_iteration(point.theta)

    def tell(self, share: float) -> None:
        """Show what share of the rows a pass has read, on a line that the next one replaces."""
        line = f"{self.label}pass {self.passes + 1:.0f}: {share:4.0%} of the rows"
        print("\r" + (line if share < 1 else " " * len(line) + "\r"), end="", flush=True)

    def print_last(self) -> None:
        """Print a line on the last iteration, if it should have one and has none."""
        if self.verbose and self.n_iter > self.printed:
            self.print()

    def print(self) -> None:
        """Print a line on the last iteration."""
        self.printed = self.n_iter
        print(
            f"{self.label}iteration {self.n_iter:4d}  objective {self.values[-1] * self.scale:.10e}"
            f"  gap {self.gap:.1e}  passes {self.passes:7.1f}"
            f"  {time.perf_counter() - self.started:8.3f} s"
        )


#: A function that takes theta and returns a value and the gradient.
Fun = Callable[[NDArray], tuple[float, NDArray]]
#: A function that takes theta and a direction and returns the Hessian at theta times the direction.
Hessp = Callable[[NDArray, NDArray], NDArray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A minimisation: the objective, the gap to reach, and the log.

    Attributes
    ----------
    fun : callable
        Takes theta; returns a value and its gradient.
    log : Log
    tol : float
        The gap to reach: relative to the size of the minimum, or absolute if this size is below 1.
    max_iter : int
        Iterations at most.
    thorough : bool
        Whether a gap that was small enough is looked at once more.
    leads_on : bool
        Whether the run is one of a path. Then a result that is nearer to the optimum saves passes
        of the next run.
    costs : Costs
        The constants of a fit.
    """

    fun: Fun
    log: Log
    tol: float
    max_iter: int
    thorough: bool = True
    leads_on: bool = False
    costs: Costs = DEFAULT

    @property
    def has_ended(self) -> bool:
        """Whether no more iterations may be made."""
        return self.log.n_iter >= self.max_iter

    def without_shift(self, theta: NDArray) -> NDArray:
        """Return theta without a shift that the functions do not see."""
        return theta

    def evaluate(self, theta: NDArray) -> Point:
        """Evaluate the functions at theta without its shift. Far off they may be infinite."""
        theta = self.without_shift(theta)
        return self._evaluated(theta, partial(self.fun, theta), passes=1)

    def evaluate_kept(self, logits: Logits) -> Point:
        """Evaluate F from the logits of all rows. This takes half a pass."""
        point = self._evaluated(logits.theta, logits.value_gradient, passes=0.5)
        return evolve(point, logits=logits)

    def _evaluated(
        self, theta: NDArray, fun: Callable[[], tuple[float, NDArray]], *, passes: float
    ) -> Point:
        """Return theta with the value and the gradient of a function, and count its passes."""
        self.log.nfev += 1
        self.log.passes += passes
        with np.errstate(over="ignore", invalid="ignore"):
            return Point(theta, *fun())

    def slope(self, point: Point, step: NDArray) -> float:
        """Return the slope of the objective at a point, along a step."""
        return float(point.gradient @ step)

    def limit(self, point: Point) -> float:
        """Return the largest gap, estimated by the decrement, with which `tol` is met."""
        return self.allowed(point) / self.costs.margin

    def allowed(self, point: Point) -> float:
        """Return the largest gap with which `tol` is met. An upper bound is compared with it."""
        return self.tol * max(abs(point.value), 1.0)

    def relative(self, gap: float, point: Point) -> float:
        """Return the gap relative to the minimum."""
        return gap / max(abs(point.value - gap), 1.0)

    def is_flat(self, gain: float, point: Point) -> bool:
        """Whether a difference of values may be rounding."""
        return abs(gain) <= float(np.finfo(np.float64).eps) * abs(point.value) < np.inf

    def rounding(self, point: Point) -> tuple[float, float]:
        """Return how much rounding changes the value, and how much lower it may be without it.

        Both are zero if this is not known.
        """
        return 0.0, 0.0

    def hides(self, difference: float, decrement: float, point: Point) -> bool:
        """Whether rounding explains a difference of values, or a decrement that does not fall.

        This is only possible if the gradient is exact enough for the gap that matters.
        """
        first, second = self.rounding(point)
        explained = abs(difference) <= first or decrement <= self.costs.hidden * second
        return explained and second <= self.limit(point)

    def is_misled(self, look: Look, point: Point) -> bool:
        """Whether the quadratic model of a look does not hold as far as its step goes."""
        return False

    def above_least(self, point: Point) -> float:
        """Return an upper bound of the gap by the value alone, infinite if none is known."""
        return np.inf

    def is_separable(self, point: Point) -> bool:
        """Whether the value alone shows that there is no minimum."""
        return False

    def is_slow(self, point: Point) -> bool:
        """Whether many iterations together gained almost nothing, or took too much work."""
        return False

    def judge(self, look: Look, point: Point, before: float, left: float = 0.0) -> Look:
        """Return a look with its gap, from its decrement and that of the iteration before.

        If decrements shrink slowly, more is left than one Newton step predicts. The gap is then the
        sum of a geometric series. What is `left` after the step is added.
        """
        decrement = look.decrement
        slower = decrement >= self.costs.slowest * before
        gap = decrement / (1 - (self.costs.slowest if slower else decrement / before)) + left
        unknown = not (look.complete or gap > 0)  # a model that failed has a gain of 0
        self.log.gap = np.inf if unknown else self.relative(gap, point)
        small = look.complete and gap <= self.limit(point) and not self.is_separable(point)
        return Look(
            decrement, self.log.gap, look.complete, small, look.step, look.slope, look.target
        )

    def prove(self, look: Look, point: Point, most: float) -> Look:
        """Return a look that ends the run, with an upper bound of the gap that meets `tol`."""
        self.log.gap = self.relative(most, point)
        return evolve(look, gap=self.log.gap, complete=True, converged=True, proven=True)

    def prove_by_value(self, look: Look, point: Point) -> Look:
        """Return a look that ends the run if the value alone proves that the gap meets `tol`.

        Otherwise return the same look.
        """
        most = self.above_least(point)
        return self.prove(look, point, most) if most <= self.allowed(point) else look

    def is_settled(
        self, look: Look, point: Point, before: float, is_certain: Callable[[], bool]
    ) -> bool:
        """Whether the decrement falls as fast as it does with a good quadratic model.

        If losses of different rows decay exponentially at different rates, gaps of a thousand times
        the decrement have been seen.
        """
        if look.decrement > self.costs.far_below * self.limit(point):
            settled = look.decrement <= self.costs.fast * before
        elif look.decrement <= self.costs.falls * before:
            settled = True
        else:
            settled = self.is_flat(look.decrement / self.costs.hidden, point) or is_certain()
        return settled or look.proven or self.hides(np.inf, look.decrement, point)

    def needs_second_look(self, look: Look, point: Point, before: float) -> bool:
        """Whether the gap may be larger after the last step than was estimated before it.

        If losses of different rows decay at different rates, rows that had no weight in the
        quadratic model can matter after the step.
        """
        if not self.thorough or look.proven:
            return False
        if look.hidden:
            return True
        if look.decrement <= self.costs.far_below * self.limit(point):
            return False
        return not (look.decrement <= self.costs.very_fast * before < np.inf)


@dataclass(frozen=True, eq=False, kw_only=True)
class Fit(Run):
    """A minimisation of cross-entropy with its penalty, whose minimum is not below zero.

    Attributes
    ----------
    objective : Objective
        The objective that `fun` evaluates.
    at_least : float
        Lower bound of F; -inf if none is known.
    """

    objective: Objective
    at_least: float = -np.inf

    def without_shift(self, theta: NDArray) -> NDArray:
        """Return theta without a shift of all classes, within the bounds."""
        return self.objective.without_shift(theta)

    def evaluate(self, theta: NDArray) -> Point:
        """Evaluate F, with its nonsmooth term, at theta without its shift."""
        nonsmooth, point = self.objective.nonsmooth, super().evaluate(theta)
        if nonsmooth is None:
            return point
        return evolve(point, value=point.value + nonsmooth.value(point.theta))

    def slope(self, point: Point, step: NDArray) -> float:
        """Return the slope of F, with its nonsmooth term, at a point along a step."""
        nonsmooth, slope = self.objective.nonsmooth, super().slope(point, step)
        return slope if nonsmooth is None else slope + nonsmooth.slope(point.theta, step)

    def allowed(self, point: Point) -> float:
        """Return the largest gap with which `tol` is met. An upper bound is compared with it.

        F - gap estimates F*, and `tol` promises that gap <= tol * (F - gap).
        """
        return self.tol * point.value / (1 + self.tol)

    def relative(self, gap: float, point: Point) -> float:
        """Return the gap relative to the estimated minimum, value - gap."""
        if gap == 0:
            return 0.0
        return gap / (point.value - gap) if gap < point.value else np.inf

    def is_flat(self, gain: float, point: Point) -> bool:
        """Whether a difference of F may be rounding of the logits, in the precision of X."""
        return abs(gain) <= np.finfo(self.objective.data.dtype).eps * point.value < np.inf

    def rounding(self, point: Point) -> tuple[float, float]:
        """Return how much rounding of logits changes F, if X is small: this takes a pass or two."""
        if self.objective.data.nbytes >= self.costs.few_bytes:
            return 0.0, 0.0
        return self.objective.rounding(point.theta)

    def is_misled(self, look: Look, point: Point) -> bool:
        """Whether the step is short because of rows that no longer matter after it.

        If columns are far from zero, a step with almost no decrement can move logits by far more
        than 1. A row that fits to 1e-16 has little curvature. Still, this holds a step back more
        than the penalty does, if the logits of the row move by 1e5. Then the next step is many
        times as long.
        """
        objective = self.objective
        if look.proven or objective.nonsmooth is not None or not objective.data.distance > 0:
            return False
        far = objective.far_curvature(point.theta, look.step, self.costs.farthest)
        return far > 2 * self.costs.trusted * look.decrement

    def above_least(self, point: Point) -> float:
        """Return an upper bound of the gap by the value alone, infinite if none is known."""
        return point.value - self.at_least

    def is_separable(self, point: Point) -> bool:
        """Whether there is no optimum, because the loss alone goes to zero."""
        return point.value <= self.costs.separable and bool(self.objective.penalty.free.any())

    def is_slow(self, point: Point) -> bool:
        """Whether many iterations together gained almost nothing, or took too much work."""
        costs, values = self.costs, self.log.values
        if self.objective.nonsmooth is None:
            data = self.objective.data  # sparse rows count like dense ones
            size = data.n_rows * data.n_columns * data.stored_dtype.itemsize
            return size < costs.few_bytes and self._all_work > costs.most_work
        if self.log.n_iter < 2 * costs.slow_iterations:
            return False
        return values[-costs.slow_iterations] - point.value <= costs.slow_gain * point.value

    @property
    def _all_work(self) -> float:
        """Multiplications so far. Other work counts as multiplications that take as long."""
        data, K = self.objective.data, self.objective.layout.n_outputs
        of_logits = self.costs.work_per_logit * data.n_rows * K
        of_pass = self.costs.work_per_pass + self.objective.time_per_pass + of_logits
        return self.log.work + self.log.passes * of_pass


def gain_of_intercepts(
    objective: Objective, point: Point, residual: NDArray, enough: float
) -> float:
    """Return how much intercepts gain from a residual at a point, if coefficients do not change.

    The intercept of a class without rows grows without bound, and has almost no curvature. Its loss
    decays exponentially, which gains twice what the quadratic model predicts. The curvature is
    first computed from a part of the rows. It is less than that of all rows, so that this gain is
    an upper bound. If it is at most `enough`, the other rows are not needed.
    """
    if not objective.layout.fit_intercept:
        return 0.0
    _, g = objective.layout.unpack(residual)
    costs, gain = objective.costs, np.inf
    parts = [objective.data.n_rows // part for part in costs.intercept_parts]
    for rows in (*(part for part in parts if part >= costs.intercept_rows), None):
        inverse = point.remember(
            f"intercepts, {rows}",
            objective,
            partial(objective.intercept_inverse, point.theta, rows),
        )
        gain = float(g @ inverse @ g)
        if gain <= enough:
            break
    return gain


def is_far_off(objective: Objective, value: float) -> bool:
    """Whether F is far above its value at zeros."""
    return not value <= objective.costs.far_off * np.log(objective.layout.n_outputs + 1)
