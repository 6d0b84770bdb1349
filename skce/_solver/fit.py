"""The state of a fit: the point, what is known there, and what it has cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._callbacks import OnIteration
from .._data import FEW_BYTES
from .._problem.objective import Objective
from .decrement import MISSING, PRODUCTS, Decrement, newton_decrement
from .variables import Jointly, Whitened, Whitening, only_centre, precondition
from .working_set import WorkingSet

#: Conjugate gradients end once an iteration gains less than this share of the average gain of an
#: iteration. With 0.2 letter took as long, and text with C = 100 half as long again.
TRUNCATION = 0.05
#: The limit of the work of a fit, in multiplications of a large matrix product: about ten seconds.
_MOST_WORK = 7e10
#: Time of a pass beside its multiplications, in the same unit.
_WORK_PER_PASS = 2.4e6
#: Time of one logit beside its multiplications, in the same unit.
_WORK_PER_LOGIT = 240
#: With L1 or bounds a fit is slow if this many iterations, after as many others, gained next to
#: nothing.
_LONG = 100
#: Next to nothing, as a share of F.
_SLOW = 1e-2
#: Classes count as separated if some features have no penalty and the mean loss is below this.
_SEPARABLE = 1e-12
#: A start is compared with zeros if its mean loss is this many times that of zeros.
_FAR_OFF = 10
#: If the decrement falls by less than this factor, the geometric series is summed with this factor.
_SLOWEST = 0.95
#: The decrement must have fallen to this share of the last one: Newton's method is then fast.
FAST = 0.1
#: A decrement below this share of `limit` must only fall to the next share of the last one.
FAR_BELOW = 0.01
_FALLS = 0.5
#: A decrement below this many times the rounding of F need not fall.
_HIDDEN = 10
#: If the decrement has fallen to this share of the last one at once, no second look is needed.
_VERY_FAST = 1e-3
#: The gap is at most this many times the decrement, which it is if the loss decays exponentially.
_MARGIN = 2
#: Share of the gap that an estimate for X in float32 may miss.
_MISSING_SINGLE = 1e-2
#: The largest eigenvalue of the Hessian in variables that were whitened near the point.
_LARGEST_EIGENVALUE = 2


@dataclass(eq=False)
class Point:
    """A point in the user's variables, F and its gradient there."""

    theta: NDArray
    value: float
    gradient: NDArray
    hessian: Callable[[NDArray], NDArray] | None = None


class Fit:
    """A fit in progress: the point, what is known there, and what it has cost.

    Parameters
    ----------
    objective : Objective
    theta : ndarray
        Start, in the user's variables.
    tol : float
    verbose : int
    jointly : bool
        Whether all steps are in the variables of `Jointly`.
    """

    def __init__(
        self, objective: Objective, theta: NDArray, tol: float, verbose: int, jointly: bool
    ):
        self.objective = objective
        self.curvature = objective if objective.nonsmooth is not None else objective.rounded()
        self.tol = tol
        self.verbose = verbose
        self.started = time.perf_counter()
        self.nfev = self.nhev = 0
        self.last_products = 0.0
        self.truncation = TRUNCATION
        self._last_v: NDArray | None = None
        self.decrement = self.decrement_before = np.inf
        self.passes = 0.0
        self.work = 0.0
        self.gap = np.inf
        self.converged = self.complete = self.stopped = False
        #: Whether a gap that was small enough is looked at once more; and whether it is just now.
        self.thorough, self.looking_again = True, False
        self.on_iteration: OnIteration | None = None
        #: What begins a line on an iteration, and the last iteration that has one.
        self.label, self.printed = "", 0
        if objective.nonsmooth is not None:
            self.base = Whitened(objective, None, 1.0)
            self.active = WorkingSet(objective, objective.nonsmooth)
        else:
            self.base = only_centre(objective) if jointly else precondition(objective)
        self.jointly = Jointly(self.base, objective) if jointly else None
        self.variables: Whitening = self.base
        self.step = self._gradient = np.zeros(0)
        self._gradient_of: tuple[Point, Whitening] | None = None
        self.point = self.origin = _first_point(self, objective.from_user(theta))
        self._accepted = self.point
        self.moves: list[NDArray] = []
        self.runaway: tuple[NDArray, NDArray] | None = None
        self.values = [self.point.value]
        self.seconds = [time.perf_counter() - self.started]

    @property
    def n_iter(self) -> int:
        """Iterations made."""
        return len(self.values) - 1

    @property
    def sampled(self) -> bool:
        """Whether the Hessian is that of a sample."""
        return self.curvature.data.n_rows < self.objective.data.n_rows

    @property
    def rounded(self) -> bool:
        """Whether the Hessian is that of rounded rows."""
        return self.curvature.data.dtype != self.objective.data.dtype

    @property
    def separable(self) -> bool:
        """Whether there is no optimum, because the loss alone goes to zero."""
        return self.point.value <= _SEPARABLE and bool(self.objective.free.any())

    @property
    def gradient(self) -> NDArray:
        """Gradient at the point in the solver's variables."""
        of = self.point, self.variables
        if self._gradient_of != of:
            self._gradient_of, self._gradient = of, self.variables.gradient(self.point.gradient)
            if self.objective.nonsmooth is not None:
                self._gradient = self.objective.nonsmooth.subgradient(
                    self.point.theta, self._gradient
                )
        return self._gradient

    @property
    def is_slow(self) -> bool:
        """Whether many iterations together gained next to nothing, or took too much work."""
        if self.objective.nonsmooth is None:
            return self.objective.data.nbytes < FEW_BYTES and self._all_work > _MOST_WORK
        if self.active.work > self.active.most_work:
            return True
        if self.n_iter < 2 * _LONG:
            return False
        return self.values[-_LONG] - self.point.value <= _SLOW * self.point.value

    @property
    def _all_work(self) -> float:
        """Multiplications so far, and what took as long."""
        data, K = self.objective.data, self.objective.layout.n_outputs
        of_logits = _WORK_PER_LOGIT * data.n_rows * K
        of_pass = _WORK_PER_PASS + self.objective.time_per_pass + of_logits
        return self.work + self.passes * of_pass

    @property
    def _slopes(self) -> NDArray:
        """Least subgradient of the objective at the point; the gradient if it is smooth."""
        nonsmooth, gradient = self.objective.nonsmooth, self.point.gradient
        return gradient if nonsmooth is None else nonsmooth.subgradient(self.point.theta, gradient)

    @property
    def square(self) -> float:
        """Squared norm of that gradient."""
        gradient = self.gradient
        return float(gradient @ gradient)

    @property
    def rough_gap(self) -> float:
        """The decrement if every eigenvalue of the Hessian were the largest: a lower bound."""
        return self.square / (2 * _LARGEST_EIGENVALUE)

    def is_flat(self, gain: float) -> bool:
        """Whether a difference of F may be rounding of the logits, in the precision of X."""
        return abs(gain) <= np.finfo(self.objective.data.dtype).eps * self.point.value

    @property
    def left_out_nothing(self) -> bool:
        """Whether no coefficient that the last model left out would gain by moving now.

        At the point of the model none would have, but its step, of an intercept for one, may change
        the gradient of all others.
        """
        if self.objective.nonsmooth is None:
            return True
        left_out = self.active.gain_outside(self.gradient, self.point.value)
        return left_out <= FAR_BELOW * self.limit

    @property
    def is_certain(self) -> bool:
        """Whether the gradient alone bounds the gap."""
        variables = self.variables if self.objective.nonsmooth is None else self.active.centred
        return variables.missed(self._slopes) <= self.limit

    @property
    def settled(self) -> bool:
        """Whether the decrement falls as fast as it does where the quadratic model is good.

        Where losses of different rows decay exponentially, at different rates, the gap was seen to
        be a thousand times the decrement.
        """
        if self.decrement > FAR_BELOW * self.limit:
            return self.decrement <= FAST * self.decrement_before
        if self.decrement <= _FALLS * self.decrement_before:
            return True
        return self.is_flat(self.decrement / _HIDDEN) or self.is_certain

    @property
    def needs_second_look(self) -> bool:
        """Whether the gap may be larger after the last step than it seemed to be before.

        Where losses of different rows decay at different rates, a step can bring rows into play
        that the quadratic model did not see.
        """
        if not self.thorough or self.decrement <= FAR_BELOW * self.limit:
            return False
        return not (self.decrement <= _VERY_FAST * self.decrement_before < np.inf)

    @property
    def limit(self) -> float:
        """The gap, by the decrement, that keeps the promise of tol.

        F - gap estimates F*, and gap <= tol * (F - gap) is the promise.
        """
        return self.tol * self.point.value / (1 + self.tol) / _MARGIN

    def evaluate(self, theta: NDArray) -> Point:
        """F, and the gradient of its smooth part, at theta less what nothing sees."""
        nonsmooth = self.objective.nonsmooth
        theta = self.objective.without_shift(theta)
        self.nfev += 1
        self.passes += 1
        with np.errstate(over="ignore", invalid="ignore"):  # far off, then it is not lower
            value, gradient = self.objective.value_gradient(theta)
        return Point(theta, value + (0 if nonsmooth is None else nonsmooth.value(theta)), gradient)

    def product(self, v: NDArray) -> tuple[NDArray, NDArray]:
        """Hessian at the point times v, in the solver's variables and in the objective's."""
        return self.variables.product(self._times_hessian, v)

    def _times_hessian(self, direction: NDArray) -> NDArray:
        """Hessian at the point times a direction, in the objective's variables."""
        if self.point.hessian is None:
            self.point.hessian = self.curvature.hessian(self.point.theta)
        self.nhev += 1
        self.passes += self.curvature.data.n_rows / self.objective.data.n_rows
        return self.point.hessian(direction)

    def fun(self, v: NDArray) -> tuple[float, NDArray]:
        """F and its gradient in the solver's variables, v away from the origin."""
        if self._last_v is None or not np.array_equal(v, self._last_v):
            self.point = self.evaluate(self.origin.theta + self.variables.to_user(v))
            self._last_v = v.copy()
        return self.point.value, self.gradient

    def hessp(self, v: NDArray, direction: NDArray) -> NDArray:
        """Hessian of `fun` at v times a direction, which `fun` does not see the shift of either."""
        self.fun(v)
        moved = self.objective.without_shift(self.variables.to_user(direction))
        return self.variables.gradient(self._times_hessian(moved))

    def estimate_gap(
        self,
        truncation: float = 0,
        *,
        missing: float = MISSING,
        max_products: int = PRODUCTS,
    ) -> None:
        """Estimate the gap at the point by the decrement, which also finds the Newton step."""
        dtype = np.float32 if self.rounded else np.float64
        found = newton_decrement(
            self.gradient.astype(dtype, copy=False),
            self.point.gradient.astype(dtype, copy=False),
            self.product,
            lambda residual: self.variables.missed(residual) / self.variables.trust,
            limit=self.limit,
            truncation=truncation,
            white=self.variables.trust > 1,
            eps=float(np.finfo(self.curvature.data.dtype).eps),
            missing=_MISSING_SINGLE if self.objective.data.dtype == np.float32 else missing,
            max_products=max_products,
        )
        self.take(found)

    def take(self, found: Decrement, left: float = 0.0) -> None:
        """Take note of the gap, with what is left after the step, and of the step."""
        self.complete = found.complete
        gap = self._to_come(found.gap) + left
        unknown = not (found.complete or gap > 0)  # a model that failed gains nothing
        self.gap = np.inf if unknown else relative(gap, self.point.value)
        self.converged = found.complete and gap <= self.limit and not self.separable
        has_step = found.step.any() or self.objective.nonsmooth is not None
        self.step = found.step if has_step else -self.gradient

    def be_exact(self) -> None:
        """Take the Hessian of all rows, as they are, from here on."""
        self.curvature = self.objective
        self.point.hessian = None

    def _to_come(self, decrement: float) -> float:
        """Return the gap, by the decrement and its ratio to that of one iteration before.

        Where it shrinks slowly, more is to come than one Newton step can see: a geometric series.
        """
        self.decrement = decrement
        slower = decrement >= _SLOWEST * self.decrement_before
        return decrement / (1 - (_SLOWEST if slower else decrement / self.decrement_before))

    def accept(self) -> None:
        """Take note of an iteration that led to the point."""
        if self.verbose and self.n_iter > self.printed:  # the one before, a last step that was not
            self.print()
        if self.objective.free.any():
            self.moves = [*self.moves[-1:], self.point.theta - self._accepted.theta]
        self._accepted = self.point
        self.values.append(self.point.value)
        self.seconds.append(time.perf_counter() - self.started)
        if self.on_iteration is not None:
            self.stopped = self.on_iteration(self.point.theta)

    def print(self) -> None:
        """Print a line on the last iteration."""
        self.printed = self.n_iter
        value = self.values[-1] * self.objective.scale
        print(
            f"{self.label}iteration {self.n_iter:4d}  objective {value:.10e}"
            f"  gap {self.gap:.1e}  passes {self.passes:7.1f}"
            f"  {time.perf_counter() - self.started:8.3f} s"
        )


def _first_point(fit: Fit, theta: NDArray) -> Point:
    """Evaluate the start; zeros are a better one than coefficients far off."""
    if np.abs(theta).max(initial=0) > np.sqrt(np.finfo(fit.objective.data.dtype).max):
        return fit.evaluate(np.zeros_like(theta))
    point = fit.evaluate(theta)
    if is_far_off(fit.objective, point.value):
        zeros = fit.evaluate(np.zeros_like(theta))
        if not point.value <= zeros.value:
            return zeros
    return point


def is_far_off(objective: Objective, value: float) -> bool:
    """Whether F is far above what it is at zeros."""
    return not value <= _FAR_OFF * np.log(objective.layout.n_outputs + 1)


def relative(gap: float, value: float) -> float:
    """Gap relative to the estimated optimum value - gap."""
    if gap == 0:
        return 0.0
    return gap / (value - gap) if gap < value else np.inf
