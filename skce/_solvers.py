"""Solvers: the steps of a fit, the stopping rule, the report.

The stopping rule is the same for every solver. The gap to the optimum is estimated by the Newton
decrement

    gap = g' H^-1 g / 2

(`_decrement`). H^-1 g comes from conjugate gradients on Hessian products, which find the Newton
step at the same time. Far from the optimum they end early; where the decrement is small
enough to stop they are solved out, and the step is taken all the same.

The variables of the steps decide how many products they take (`_preconditioner`). They are
changed between iterations, whenever a step took more products than a better change would cost:

    rows, parameters                       variables                    curvature
    ---------------------------------------------------------------------------------------
    few of both                            `Jointly`, at every point    all rows
    rows >= 3 * 40 per parameter           `Whitened`, `ClassWhitened`  a sample, copied once
    many, sparse                           `Whitened`                   all rows, in float32
    anything else                          `Whitened`, `ClassWhitened`  all rows
    conjugate gradients take long          `Jointly`, if it fits        all rows

Where rows are plenty the fit starts at the optimum of the sample, which it finds in the same way.
Sparse rows, and all vectors of conjugate gradients on them, are rounded to float32 until a gap is
small enough; then the Newton step is taken, and what is left estimated in full precision.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize
from sklearn.exceptions import ConvergenceWarning

from ._active_set import SPARSE, ActiveSet
from ._callbacks import OnIteration
from ._checks import check_numbers
from ._data import FEW_BYTES
from ._decrement import MISSING, PRODUCTS, SOLVED, Decrement, newton_decrement
from ._objective import Objective
from ._preconditioner import (
    Jointly,
    Whitened,
    Whitening,
    class_scaling_cost,
    class_whitening_cost,
    columns_whitening_cost,
    joint_whitening_cost,
    only_centre,
    precondition,
    precondition_classes,
    rounding_without_intercept,
    scale_classes,
    take_sample,
    whiten_many_columns,
)
from ._threads import threads
from ._warnings import warn

#: Options with which SciPy's L-BFGS-B does not stop by itself.
_LBFGS = {"maxcor": 20, "maxfun": np.iinfo(np.int32).max, "maxls": 50, "ftol": 0, "gtol": 0}
#: Iterations of a method of SciPy before the variables may change, which makes it forget its past
#: gradients.
_SCIPY_ITERATIONS = 100
#: A fit ends after this many line searches in a row that found nothing lower. One may be due to a
#: bad L-BFGS memory, which a restart drops; a second one is due to rounding.
_FAILURES = 2
#: Conjugate gradients end once an iteration gains less than this share of the average gain of an
#: iteration. With 0.2 letter took as long, and text with C = 100 half as long again.
_TRUNCATION = 0.05
#: That share is at most this many times the relative error of the quadratic model in the last step:
#: an exact model is worth solving further. Text with C = 1 took 13 products and 6 iterations less.
_TRUNCATION_PER_ERROR = 3
#: A line search counts as failed if this many iterations gained less than the gap that matters.
_PATIENCE = 30
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
#: A step must gain at least this share of what the slope promises (the Armijo condition).
_ENOUGH = 1e-4
#: Lengths that a line search tries at most.
_BACKTRACKS = 20
#: A step that gains more than this share of what the slope promises is lengthened.
_STRAIGHT = 0.75
#: Rows per parameter of a sample whose optimum is a good start and whose Hessian makes good steps.
_ROWS_PER_PARAMETER = 40
#: If a step with the Hessian of a sample leaves more than this share of the gap, the next sample is
#: larger.
_LITTLE = 0.3
#: Classes count as separated if some features have no penalty and the mean loss is below this.
_SEPARABLE = 1e-12
#: A last step that changes no logit by more than this is no sign of separation.
_STILL = 0.1
#: A direction proves separation if no row loses more than this, per unit of the farthest logit.
_LOSES_NOTHING = 1e-5
#: Times that `tol` is divided by ten to tell separation from slow convergence.
_ROUNDS = 12
#: Coefficients are named as growing if they move more than this share of the largest move.
_MUCH = 0.3
#: A start is compared with zeros if its mean loss is this many times that of zeros.
_FAR_OFF = 10
#: The temperature is divided by this. With 100, half of the problems tried lost their way.
_COOLING = 10
#: Gap to which the optimum at one temperature is found, as a share of what the temperature adds to
#: F, at most.
_COOL = 0.1
#: Iterations at one temperature, at most.
_COOL_ITERATIONS = 30
#: If the decrement falls by less than this factor, the geometric series is summed with this factor.
_SLOWEST = 0.95
#: The decrement must have fallen to this share of the last one: Newton's method is then fast.
_FAST = 0.1
#: A decrement below this share of `limit` needs only fall.
_FAR_BELOW = 0.01
#: That is, to this share of the last one, if rounding leaves it so many digits.
_FALLS = 0.5
_HIDDEN = 10
#: Where it has fallen to this share of the last one at once, no second look is needed.
_VERY_FAST = 1e-3
#: A last step must gain what it promised, but for this share: else the quadratic model, on which
#: the estimate of the gap rests, does not hold.
_TRUSTED = 0.1
#: If losses decay exponentially it gains 1.26 times its promise, and about 1.5 times at most, and
#: the decrement does not fall fast. If the promise is far below `limit` other errors are rounding.
_DECAYS = 0.5
#: Hessian products for the last estimate of the gap of a fit that did not converge, at least.
_LAST_PRODUCTS = 20
#: The gap is at most this many times the decrement, which it is if the loss decays exponentially.
_MARGIN = 2
#: Share of the gap that an estimate during a method of SciPy may miss; its last point is farther
#: away.
_MISSING_SCIPY = 1e-6
#: Share of the gap that an estimate for X in float32 may miss.
_MISSING_SINGLE = 1e-2
#: Newton steps, at most, after F is flat to rounding while its gradient is not (float32).
_REFINEMENTS = 5
#: Rounding may hide a gap of this many times eps F: a logit has several terms, and each is rounded.
_HIDES = 100
#: The largest eigenvalue of the Hessian in variables that were whitened near the point.
_LARGEST_EIGENVALUE = 2

#: A `method` as `scipy.optimize.minimize` takes it.
ScipyMethod = Callable[..., OptimizeResult]


@dataclass
class Report:
    """How a fit ended; `gap` is relative to the optimal objective, a lower bound if incomplete.

    `variables` are the last ones, good for a similar objective too. `runaway` are the outputs and
    the features whose coefficients grow without bound, if any do.
    """

    gap: float
    complete: bool
    result: OptimizeResult
    loss_curve: list[float]
    variables: Whitening
    runaway: tuple[NDArray, NDArray] | None = None


@dataclass(eq=False)
class _Point:
    """A point in the user's variables, F and its gradient there."""

    theta: NDArray
    value: float
    gradient: NDArray
    hessian: Callable[[NDArray], NDArray] | None = None


class _Fit:
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
        self.curvature = objective if objective.corners is not None else objective.rounded()
        self.tol = tol
        self.verbose = verbose
        self.started = time.perf_counter()
        self.nfev = self.nhev = 0
        self.last_products = 0.0
        self.truncation = _TRUNCATION
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
        if objective.corners is not None:
            self.base = Whitened(objective, None, 1.0)
            self.active = ActiveSet(objective, objective.corners)
        else:
            self.base = only_centre(objective) if jointly else precondition(objective)
        self.jointly = Jointly(self.base, objective) if jointly else None
        self.variables: Whitening = self.base
        self.step = self._gradient = np.zeros(0)
        self._gradient_of: tuple[_Point, Whitening] | None = None
        self.point = self.origin = self._first_point(objective.from_user(theta))
        self._accepted = self.point
        self.moves: list[NDArray] = []
        self.runaway: tuple[NDArray, NDArray] | None = None
        self.values = [self.point.value]
        self.seconds = [time.perf_counter() - self.started]

    def _first_point(self, theta: NDArray) -> _Point:
        """Evaluate the start; zeros are a better one than coefficients far off."""
        if np.abs(theta).max(initial=0) > np.sqrt(np.finfo(self.objective.data.dtype).max):
            return self.evaluate(np.zeros_like(theta))
        point = self.evaluate(theta)
        if not point.value <= _FAR_OFF * np.log(self.objective.layout.n_outputs + 1):
            zeros = self.evaluate(np.zeros_like(theta))
            if not point.value <= zeros.value:
                return zeros
        return point

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
            if self.objective.corners is not None:
                self._gradient = self.objective.corners.pull(self.point.theta, self._gradient)
        return self._gradient

    @property
    def is_slow(self) -> bool:
        """Whether many iterations together gained next to nothing, or took too much work."""
        if self.objective.corners is None:
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
        products = self.objective.work_per_pass * (SPARSE if data.is_sparse else 1)
        of_pass = _WORK_PER_PASS + products + _WORK_PER_LOGIT * data.n_rows * K
        return self.work + self.passes * of_pass

    @property
    def _slopes(self) -> NDArray:
        """Gradient at the point, or with corners the least subgradient, of the objective."""
        corners, gradient = self.objective.corners, self.point.gradient
        return gradient if corners is None else corners.pull(self.point.theta, gradient)

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
        if self.objective.corners is None:
            return True
        left_out = self.active.gain_outside(self.gradient, self.point.value)
        return left_out <= _FAR_BELOW * self.limit

    @property
    def is_certain(self) -> bool:
        """Whether the gradient alone bounds the gap."""
        variables = self.variables if self.objective.corners is None else self.active.centred
        return variables.missed(self._slopes) <= self.limit

    @property
    def settled(self) -> bool:
        """Whether the decrement falls as fast as it does where the quadratic model is good.

        Where losses of different rows decay exponentially, at different rates, the gap was seen to
        be a thousand times the decrement.
        """
        if self.decrement > _FAR_BELOW * self.limit:
            return self.decrement <= _FAST * self.decrement_before
        if self.decrement <= _FALLS * self.decrement_before:
            return True
        return self.is_flat(self.decrement / _HIDDEN) or self.is_certain

    @property
    def needs_second_look(self) -> bool:
        """Whether the gap may be larger after the last step than it seemed to be before.

        Where losses of different rows decay at different rates, a step can bring rows into play
        that the quadratic model did not see.
        """
        if not self.thorough or self.decrement <= _FAR_BELOW * self.limit:
            return False
        return not (self.decrement <= _VERY_FAST * self.decrement_before < np.inf)

    @property
    def limit(self) -> float:
        """The gap, by the decrement, that keeps the promise of tol.

        F - gap estimates F*, and gap <= tol * (F - gap) is the promise.
        """
        return self.tol * self.point.value / (1 + self.tol) / _MARGIN

    def evaluate(self, theta: NDArray) -> _Point:
        """F, with its corners, and the gradient, without them, at theta less what nothing sees."""
        corners = self.objective.corners
        theta = self.objective.without_shift(theta)
        self.nfev += 1
        self.passes += 1
        with np.errstate(over="ignore", invalid="ignore"):  # far off, then it is not lower
            value, gradient = self.objective.value_gradient(theta)
        return _Point(theta, value + (0 if corners is None else corners.value(theta)), gradient)

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
        self._take(found)

    def _take(self, found: Decrement, left: float = 0.0) -> None:
        """Take note of the gap, with what is left after the step, and of the step."""
        self.complete = found.complete
        gap = self._to_come(found.gap) + left
        unknown = not (found.complete or gap > 0)  # a model that failed gains nothing
        self.gap = np.inf if unknown else _relative(gap, self.point.value)
        self.converged = found.complete and gap <= self.limit and not self.separable
        has_step = found.step.any() or self.objective.corners is not None
        self.step = found.step if has_step else -self.gradient

    def be_exact(self) -> None:
        """Take the Hessian of all rows, as they are, from here on."""
        self.curvature = self.objective
        self.point.hessian = None

    def confirm(self, max_iter: int) -> None:
        """Take the Newton step and estimate the gap again, with the Hessian of rows as they are.

        After that step little is left, and few products tell.
        """
        if self.n_iter < max_iter:
            self.take_newton_step()
        self.be_exact()
        self.estimate_gap()

    def _to_come(self, decrement: float) -> float:
        """Return the gap, by the decrement and its ratio to that of one iteration before.

        Where it shrinks slowly, more is to come than one Newton step can see: a geometric series.
        """
        self.decrement = decrement
        slower = decrement >= _SLOWEST * self.decrement_before
        return decrement / (1 - (_SLOWEST if slower else decrement / self.decrement_before))

    def look_at_gradient(self) -> None:
        """Estimate the gap where the Hessian is the identity, which is checked if it is small."""
        self.step = -self.gradient
        square = float(self.step @ self.step)
        self.decrement = square / 2
        self.gap = _relative(self.decrement, self.point.value)
        if not self.decrement > self.limit:
            curved, user_curved = self.product(self.step)
            residual = self.step - curved
            solved = residual @ residual <= SOLVED * square
            missed = self.variables.missed(self.point.gradient + user_curved)
            if solved and (missed <= self.limit - self.decrement or missed == np.inf):
                self._take(Decrement(self.decrement, True, self.step))
            else:
                self.estimate_gap()

    def take_newton_step(self) -> bool:
        """Go where the last estimate points, if that is lower: its products are paid for.

        Where F is flat to rounding the gradient decides, and the iteration counts as the last one.
        Return whether the step gained what the estimate had promised.
        """
        before, square = self.point, self.square
        self.point = self.evaluate(before.theta + self.variables.to_user(self.step))
        gain = before.value - self.point.value
        if gain > 0:
            self.accept()
        elif self.is_flat(gain) and self.square < square:
            self.values[-1] = self.point.value
        else:
            self.point = before
        error = gain - self.decrement
        if abs(error) <= _TRUSTED * self.decrement or self.is_flat(error):
            return True
        if self.decrement > _FAR_BELOW * self.limit or abs(error) > 0.5 * self.limit:
            return False
        decays = 0 < error <= _DECAYS * self.decrement
        return not decays or self.decrement <= _FAST * self.decrement_before

    def refine(self, max_iter: int) -> None:
        """Take Newton steps as long as they shrink the gap, where F is flat to rounding."""
        for _ in range(_REFINEMENTS):
            if self.converged or self.n_iter >= max_iter or not self.gap < 1:
                return
            before, gap = self.point, self.gap
            self.point = self.evaluate(before.theta + self.variables.to_user(self.step))
            # A gap that rounding cannot hide is no gap if the step goes up.
            hidden = self.is_flat(gap * before.value / _HIDES)
            if hidden or self.point.value <= before.value:
                self.estimate_gap()
                if self.converged or self.gap < gap:
                    self.accept()
                    continue
            self.point, self.gap, self.converged = before, gap, False
            return

    def is_storable(self) -> bool:
        """Whether the gap is still small once the coefficients are rounded to the dtype of X.

        Intercepts of columns far from zero have few digits left for what matters.
        """
        objective = self.objective
        if objective.data.centre is not None:
            user = objective.to_user(self.point.theta)
            dtype = objective.data.stored_dtype
            stored = objective.stored(user, dtype).astype(np.float64)
            lost = self.evaluate(objective.from_user(stored)).value - self.point.value
            if abs(lost) > np.finfo(dtype).eps * self.point.value:
                self.gap += _relative(max(lost, 0.0), self.point.value)
                self.converged = self.gap <= self.tol
        return self.converged

    def is_above_rounding(self) -> bool:
        """Whether columns far from zero, without an intercept, leave digits for a small gap."""
        hidden = rounding_without_intercept(self.objective, self.point.theta, self.point.value)
        if hidden > self.tol:
            self.gap += hidden
            self.converged = False
        return self.converged

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


def _relative(gap: float, value: float) -> float:
    """Gap relative to the estimated optimum value - gap."""
    if gap == 0:
        return 0.0
    return gap / (value - gap) if gap < value else np.inf


#: Makes some iterations of a fit, up to a number of them in all.
Method = Callable[[_Fit, int], None]


def minimize(
    objective: Objective,
    theta: NDArray,
    *,
    solver: str | ScipyMethod,
    tol: float,
    max_iter: int,
    verbose: int = 0,
    label: str = "",
    on_iteration: OnIteration | None = None,
    variables: Whitening | None = None,
    whole: bool = True,
) -> Report:
    """Minimise the objective from theta until the relative gap is at most tol.

    Parameters
    ----------
    objective : Objective
    theta : ndarray
        Start, in the user's units.
    solver : {"auto", "newton-cg", "lbfgs"} or callable
        A callable is a `method` as `scipy.optimize.minimize` takes it.
    tol : float
        Relative gap to the optimal objective to reach.
    max_iter : int
        Iterations at most.
    verbose : int, default=0
        Whether to print a line per iteration.
    label : str, default=""
        What each line begins with.
    on_iteration : callable, default=None
        Takes theta after each iteration, and returns whether to stop.
    variables : Whitening, default=None
        Those of a similar objective, to begin with.
    whole : bool, default=True
        Whether the objective is that of all rows, so that coefficients that grow without bound
        matter.

    Returns
    -------
    Report
    """
    with threads:
        fit = _start(objective, theta, solver=solver, tol=tol, max_iter=max_iter, verbose=verbose)
        fit.on_iteration, fit.thorough, fit.label = on_iteration, whole, label
        if variables is not None and fit.jointly is None and objective.corners is None:
            fit.variables = variables
        method = _method_of(solver, objective)
        at_least = _cool(fit, max_iter) if method is active_set else 0.0
        message = STOPPED if fit.stopped else _iterate(fit, method, max_iter)
        if message == PRECISION and method is SOLVERS["lbfgs"]:  # its line search needs more digits
            method = newton_cg
            message = _iterate(fit, method, max_iter)
        if fit.converged and whole:
            message = _look_for_separation(fit, method, max_iter)
        elif message == PRECISION and whole:
            _farthest_move(fit)
            message = PRECISION if fit.runaway is None else QUASI_SEPARABLE
        if fit.separable or fit.runaway is not None:
            fit.gap = np.inf if fit.separable else fit.gap
            if fit.runaway is None and fit.moves:
                fit.runaway = _growing(fit, fit.moves[-1])
        elif fit.stopped:
            pass
        elif not fit.converged and objective.corners is None:
            fit.estimate_gap(max_products=max(_LAST_PRODUCTS, fit.nhev // 2))
            fit.refine(max_iter)
        if message == PRECISION and callable(solver):
            message = NOWHERE
        if fit.point.value - at_least <= fit.limit and not fit.objective.free.any():
            fit.gap = min(fit.gap, _relative(fit.point.value - at_least, fit.point.value))
            fit.converged = fit.complete = True
        if fit.converged and not fit.is_storable():
            message = STORED
        if fit.converged and not fit.is_above_rounding():
            message = FAR
        if verbose and fit.n_iter > fit.printed:
            fit.print()
    if fit.converged:
        message = f"The estimated relative gap, {fit.gap:.1e}, is at most tol={tol:g}."
    result = OptimizeResult(
        x=objective.stored(objective.to_user(fit.point.theta), np.float64),
        fun=fit.point.value * objective.scale,
        jac=objective.gradient_to_user(fit.point.gradient) * objective.scale,
        nit=fit.n_iter,
        nfev=fit.nfev,
        njev=fit.nfev,
        nhev=fit.nhev,
        passes=fit.passes,
        gap=fit.gap,
        seconds=np.array(fit.seconds[1:] or fit.seconds),
        success=fit.converged,
        status=int(not fit.converged),
        message=message,
    )
    loss_curve = [value * objective.scale for value in fit.values[1:] or fit.values]
    return Report(fit.gap, fit.complete, result, loss_curve, fit.variables, fit.runaway)


def _start(
    objective: Objective,
    theta: NDArray,
    *,
    solver: str | ScipyMethod,
    tol: float,
    max_iter: int,
    verbose: int,
) -> _Fit:
    """Begin a fit, with curvature from a sample and at its optimum where rows are plenty."""
    if objective.corners is not None:
        return _Fit(objective, theta, tol, verbose, jointly=False)
    sample = take_sample(objective, _ROWS_PER_PARAMETER * objective.layout.size)
    small = (
        _method_of(solver, objective) is newton_cg
        and joint_whitening_cost(objective, objective.layout.size) == 0
    )
    # Without a penalty nothing but whitening finds the directions that change no logit.
    fit = _Fit(objective, theta, tol, verbose, jointly=small and objective.ridge > 0)
    if sample is objective:
        return fit
    # The optimum of m rows is about size / (2 m) above that of all rows: more digits are wasted.
    rough = objective.layout.size / (20 * sample.data.n_rows)
    found = minimize(
        sample, theta, solver=solver, tol=max(tol, rough), max_iter=min(max_iter, 30), whole=False
    ).result
    start = fit.evaluate(objective.from_user(found.x))
    fit.passes += found.passes * sample.data.n_rows / objective.data.n_rows
    if start.value < fit.point.value:
        fit.point, fit.values = start, [start.value]
        fit.seconds = [time.perf_counter() - fit.started]
    fit.curvature = sample
    return fit


def _cool(fit: _Fit, max_iter: int) -> float:
    """Lead a fit that starts far off to the optimum by a loss that grows less smooth step by step.

    Bounds can keep logits so large that no loss has curvature: a step from there sees nothing of
    where the others are, and the optimum is that of a linear program in all but name. At a
    temperature of the size of the logits it is a smooth problem, whose optimum is a start for the
    next lower temperature. Every optimum bounds F from below.

    Returns
    -------
    float
        What F is at least.
    """
    objective, at_least = fit.objective, 0.0
    if fit.point.value <= _FAR_OFF * np.log(objective.layout.n_outputs + 1):
        return at_least
    at_zero, _ = objective.value_gradient(np.zeros(objective.layout.size))
    temperature = fit.point.value / at_zero
    while temperature > 1 and fit.point.value > 0 and fit.n_iter < max_iter:
        if fit.stopped or fit.is_slow:
            break
        smoother = objective.at_temperature(temperature)
        above = (temperature - 1) * at_zero
        tol = _COOL * min(1.0, above / fit.point.value)
        tol = min(tol, fit.tol / 4) if above <= fit.limit / 2 else tol
        stage = _Fit(smoother, objective.to_user(fit.point.theta), tol, 0, jointly=False)
        stage.active.work = fit.active.work
        _iterate(stage, active_set, _COOL_ITERATIONS)
        if stage.converged and stage.complete:
            gap = stage.gap / (1 + stage.gap) * stage.point.value
            at_least = max(at_least, stage.point.value - gap - above)
        fit.active.work = stage.active.work
        fit.nhev += stage.nhev
        fit.passes += stage.passes
        fit.point = fit.evaluate(stage.point.theta)
        fit.accept()
        temperature /= _COOLING
    return at_least


def _iterate(fit: _Fit, method: Method, max_iter: int) -> str:
    """Run a method until the fit is content or nothing more is gained; say why it ended."""
    if not fit.base.size:  # X is zero, and there is no intercept
        fit._take(Decrement(0.0, True, np.zeros(0)))
        return ""
    failures = spent = 0
    while failures < _FAILURES:
        n_iter, work = fit.n_iter, fit.nfev + fit.nhev
        method(fit, max_iter)
        if fit.converged and fit.rounded:
            fit.confirm(max_iter)
        if fit.converged and fit.n_iter < max_iter:
            before = fit.point
            kept = fit.take_newton_step() and fit.left_out_nothing
            fit.converged = kept or fit.is_certain
            if not fit.converged and fit.point is before and method is not active_set:
                _search(fit)
        again = fit.converged and not fit.looking_again and fit.needs_second_look
        if fit.converged and not (again and fit.n_iter < max_iter):
            return ""
        fit.looking_again = again
        fit.converged = False
        if fit.is_slow:
            return SLOW
        if fit.stopped:
            return STOPPED
        if fit.separable:
            return SEPARABLE
        if fit.n_iter >= max_iter:
            return MAX_ITER
        stalled = fit.n_iter > _PATIENCE and fit.values[-_PATIENCE] - fit.values[-1] <= fit.limit
        failures = 0 if fit.n_iter > n_iter and not stalled else failures + 1
        if failures and fit.rounded:
            fit.be_exact()
            failures = 0
        work = fit.nfev + fit.nhev - work
        if method is active_set or fit.jointly is not None:
            continue
        if work > columns_whitening_cost(fit.base, fit.objective):
            fit.base = fit.variables = whiten_many_columns(fit.objective)
        elif class_whitening_cost(fit.base, fit.curvature) == np.inf:
            spent += work
            if spent > class_scaling_cost(fit.base, fit.curvature):
                fit.base, fit.variables = scale_classes(fit.base, fit.objective, fit.point.theta)
        elif work > class_whitening_cost(fit.base, fit.curvature):
            fit.variables = precondition_classes(fit.base, fit.curvature, fit.point.theta)
    return PRECISION


def _look_for_separation(fit: _Fit, method: Method, max_iter: int) -> str:
    """Find out whether coefficients without a penalty grow without bound; say why a fit has failed.

    Near an optimum the last steps are small. Where features separate some rows of a class from the
    others each step adds about 1 to the logits of these rows, however little is gained by that.
    (The very last step may not: rounding hides such a direction in the end.) A move by which no row
    loses, at however many times its length, proves it. As long as it is not clear which of the two
    it is, the fit goes on.

    Source: Albert and Anderson, *On the existence of maximum likelihood estimates in logistic
    regression models*, 1984.
    """
    tol, message = fit.tol, ""
    for _ in range(_ROUNDS):
        farthest = _farthest_move(fit)
        if fit.runaway is not None:
            fit.converged, message = False, QUASI_SEPARABLE
        if not fit.converged or farthest < _STILL:
            break
        fit.tol, fit.moves, fit.converged = fit.tol / 10, [], False
        message = _iterate(fit, method, max_iter)
        if not fit.converged:  # rounding, or max_iter; it may be good enough all the same
            fit.converged = fit.gap <= tol and not fit.separable
            break
    fit.tol = tol
    return message


def _farthest_move(fit: _Fit) -> float:
    """How far the last moves go at most; note what grows, if no row loses by one that goes far."""
    most = 0.0
    for move in fit.moves:
        with np.errstate(over="ignore", invalid="ignore"):
            farthest, lost = fit.objective.recession(move)
        most = max(most, farthest)
        if farthest >= _STILL and lost <= _LOSES_NOTHING * farthest:
            fit.runaway = _growing(fit, move)
            break
    return most


def _growing(fit: _Fit, move: NDArray) -> tuple[NDArray, NDArray]:
    """Return the outputs and the features without a penalty that a step moved most."""
    objective = fit.objective
    mean, square = objective.moments()
    D, d = objective.layout.unpack(move)
    moved = np.abs(D) * np.sqrt(np.maximum(square - mean**2, 0)) * objective.free
    if objective.layout.fit_intercept:
        moved = np.column_stack([moved, np.abs(d + D @ mean)])
    most = moved >= _MUCH * moved.max()
    return np.flatnonzero(most.any(axis=1)), np.flatnonzero(most[:, : D.shape[1]].any(axis=0))


def newton_cg(fit: _Fit, max_iter: int) -> None:
    """One iteration: a Newton step by conjugate gradients, and a search along it.

    SciPy's `minimize(method="Newton-CG")` ends its conjugate gradients by the sum of absolute
    gradients, where the gain of the quadratic model tells how far is enough (on text with C = 100
    that took four times the passes), and keeps to itself what is also the estimate of the gap.
    """
    joint_cost = joint_whitening_cost(fit.objective, fit.base.size)
    if fit.jointly is None and fit.last_products >= joint_cost < np.inf:
        fit.jointly = Jointly(fit.base, fit.objective)
    before, fit.decrement_before = fit.nhev, fit.decrement
    if fit.jointly is not None:
        fit.variables = fit.jointly.at(fit.point.theta)
        fit.work += fit.base.size**2 * (2 * fit.objective.data.n_rows + fit.base.size / 3)
        fit.look_at_gradient()
    else:
        fit.estimate_gap(fit.truncation)
    fit.converged = fit.converged and fit.settled
    fit.last_products = fit.nhev - before if np.isfinite(fit.decrement) else np.inf
    if fit.verbose and fit.n_iter:
        fit.print()
    if fit.converged or fit.separable or fit.n_iter >= max_iter:
        return
    distance = fit.rough_gap if fit.sampled else 0.0
    _search(fit)
    if fit.sampled and fit.rough_gap > _LITTLE * distance:
        fit.curvature = take_sample(fit.objective, 4 * fit.curvature.data.n_rows)


def _search(fit: _Fit) -> None:
    """Backtrack along the Newton step until F is low enough, by a parabola through what is known.

    Where rounding takes the difference of F, a gradient of half the square is as good.

    Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 3.5.
    """
    origin, square = fit.point, fit.square
    slope, direction = float(fit.gradient @ fit.step), fit.variables.to_user(fit.step)
    length = 1.0
    for _ in range(_BACKTRACKS):
        fit.point = fit.evaluate(origin.theta + length * direction)
        gain = origin.value - fit.point.value
        lower = gain >= -_ENOUGH * length * slope and gain > 0
        if lower or (length == 1 and fit.is_flat(gain) and fit.square <= square / 2):
            if not fit.is_flat(gain):
                _lengthen(fit, origin, direction, slope, length)
            fit.accept()
            error = abs(gain / fit.decrement - 1) if length == 1 else 1
            error = 0 if fit.is_flat(gain) else error
            fit.truncation = min(_TRUNCATION, _TRUNCATION_PER_ERROR * error)
            return
        curvature = -(gain + length * slope) / length**2
        length = float(np.clip(-slope / (2 * curvature), length / 10, length / 2))
    fit.point = origin


def _lengthen(fit: _Fit, origin: _Point, direction: NDArray, slope: float, length: float) -> None:
    """Go farther along a step that gained nearly all that its slope promises.

    There is next to no curvature along it, as where logits are so far off that every probability is
    zero or one, or it was cut too short. A whole step of Newton's method gains a half of it.
    """
    factor = 1.0
    while origin.value - fit.point.value >= _STRAIGHT * length * -slope > 0:
        before, factor = fit.point, 2 * factor if length >= 1 else 2
        length *= factor
        fit.point = fit.evaluate(origin.theta + length * direction)
        if not fit.point.value < before.value:
            fit.point = before
            return


def active_set(fit: _Fit, max_iter: int) -> None:
    """One iteration with corners: a step to the minimum of a model on some coefficients."""
    fit.decrement_before = fit.decrement
    origin, corners = fit.point, fit.active.corners
    some, complete = fit.active.choose(origin.theta, fit.gradient)
    least, made = fit.active.minimum(
        origin.theta, origin.gradient, some, limit=fit.limit, most=origin.value
    )
    target, gain = least.x, least.gain
    fit.nhev += made
    fit.passes += made
    complete = complete and least.solved and not fit.active.damping
    fit._take(Decrement(gain, complete, target - origin.theta), least.left if complete else 0.0)
    fit.converged = fit.converged and fit.settled
    if fit.verbose and fit.n_iter:
        fit.print()
    if fit.converged or fit.separable or fit.n_iter >= max_iter:
        return
    slope = float(origin.gradient @ fit.step)
    slope += corners.value(target) - corners.value(origin.theta)
    gained, share = 0.0, 0.0
    for length in 0.5 ** np.arange(_BACKTRACKS):
        # In full, so that zeros and bounds are exact.
        fit.point = fit.evaluate(target if length == 1 else origin.theta + length * fit.step)
        gained = origin.value - fit.point.value
        if gained > 0 and gained >= -_ENOUGH * length * slope:
            share = gained / gain if gain > 0 else 0.0
            if not fit.is_flat(gained):
                _lengthen(fit, origin, fit.step, slope, length)
            fit.accept()
            break
    else:
        fit.point = origin
    fit.active.judge(np.inf if fit.is_flat(gain) else share)


def by_scipy(
    fit: _Fit, max_iter: int, *, method: str | ScipyMethod, options: dict[str, Any]
) -> None:
    """Make some iterations of a method of `scipy.optimize.minimize`.

    The gap is estimated where the gradient may be small enough. Estimates that fail grow rarer, so
    that they stay a fraction of the work. A method that does not call back makes one iteration.
    """
    wait = waited = 0
    raised: list[StopIteration] = []
    best = fit.point

    def callback(intermediate_result: OptimizeResult) -> None:
        nonlocal wait, waited, best
        fit.fun(getattr(intermediate_result, "x", intermediate_result))
        if fit.point.value == fit.values[-1]:
            return
        try:
            fit.accept()
        except StopIteration as error:  # by a user's callback: SciPy takes it for its own signal
            raised.append(error)
            raise
        best = fit.point if fit.point.value <= best.value else best
        fit.gap = _relative(fit.rough_gap, fit.point.value)
        waited += fit.rough_gap <= fit.limit
        if waited > wait:
            fit.estimate_gap(np.inf, missing=_MISSING_SCIPY)
            wait, waited = min(2 * wait + 1, 15), 0
        if fit.verbose:
            fit.print()
        if fit.converged or fit.separable or fit.stopped:
            raise StopIteration

    fit.origin, fit._last_v = fit.point, None
    iterations = min(max_iter - fit.n_iter, _SCIPY_ITERATIONS)
    start = np.zeros(fit.variables.size)
    arguments = {"jac": True, "callback": callback, "options": {**options, "maxiter": iterations}}
    if callable(method):
        arguments["hessp"] = fit.hessp
    try:
        found = _checked(scipy_minimize(fit.fun, start, method=method, **arguments), len(start))
    except StopIteration:  # SciPy's own methods take it for the end, others may not
        found = None
    if raised:
        raise raised[0]
    if found is not None:
        fit.fun(found)
    if callable(method):
        if fit.point.value < best.value:
            best = fit.point
            fit.accept()
        fit.point = best
        if fit.converged and best is not fit._accepted:
            fit.converged = False


def _checked(result: Any, size: int) -> NDArray:
    """Return what a method found, if that is a point."""
    x = check_numbers(getattr(result, "x", ()), "x of what solver returned").astype(np.float64)
    if x.shape != (size,) or not np.isfinite(x).all():
        raise ValueError(
            f"solver must return an OptimizeResult whose x is finite and of shape ({size},), as x0 "
            f"is, but that of {result!r:.60} has shape {x.shape}"
            f"{'' if x.shape != (size,) else ' and is not finite'}."
        )
    return x


#: What each solver is.
SOLVERS: dict[str, Method] = {
    "auto": newton_cg,
    "lbfgs": partial(by_scipy, method="L-BFGS-B", options=_LBFGS),
    "newton-cg": newton_cg,
}


def _method_of(solver: str | ScipyMethod, objective: Objective) -> Method:
    """Return what makes the iterations."""
    if callable(solver):
        if objective.corners is not None:
            raise ValueError(
                "solver is a callable, which minimises smooth functions: with l1_ratio above 0 or "
                'coef_bounds use solver="auto".'
            )
        return partial(by_scipy, method=solver, options={})
    return SOLVERS[solver] if objective.corners is None else active_set


MAX_ITER = "max_iter was reached"
STOPPED = "a callback ended the fit"
PRECISION = "the line search found nothing lower in the precision of X"
NOWHERE = "the method that was passed as solver found nothing lower"
SLOW = "iterations gain next to nothing for the work that they take"
STORED = "the intercepts that go with columns far from zero have no more digits"
FAR = "columns far from zero leave no more digits without an intercept"
SEPARABLE = "the classes are separable and the loss goes to zero as the coefficients grow"
QUASI_SEPARABLE = "some coefficients grow without bound, while the loss hardly changes"
#: Features, or classes, that a warning names at most.
_NAMED = 5


def warn_if_not_converged(
    report: Report,
    *,
    tol: float,
    unpenalised: bool,
    dtype: DTypeLike,
    classes: NDArray,
    features: NDArray | None,
) -> None:
    """Issue a ConvergenceWarning that says how close the fit is, why it stopped and what to do.

    Parameters
    ----------
    report : Report
    tol : float
    unpenalised : bool
        Whether C is infinite.
    dtype : dtype
        In which X was read.
    classes : ndarray
    features : ndarray or None
        Names of the features, if they have any.
    """
    if report.result.success or report.result.message == STOPPED:
        return
    reached = (
        f"at an estimated relative gap of {report.gap:.1e}{'' if report.complete else ' or more'} "
        "to the optimum"
        if np.isfinite(report.gap)
        else "at an unknown distance from the optimum"
    )
    no_optimum = (
        "There is no optimum with C=inf: set a finite C."
        if unpenalised
        else "There is no optimum where these features are not penalised: set no weight to zero."
    )
    remedies = {
        MAX_ITER: "Increase max_iter, or increase tol.",
        PRECISION: "Increase tol, or pass X as float64."
        if np.dtype(dtype) == np.float32
        else "Increase tol.",
        NOWHERE: 'Increase tol, or use solver="auto".',
        SLOW: "Increase tol, decrease C, bring the columns of X to a common scale, or widen "
        "coef_bounds if there are any.",
        STORED: "Increase tol, or subtract their means from the columns of X first.",
        FAR: "Increase tol, set fit_intercept=True, or subtract their means from the columns of X.",
        SEPARABLE: no_optimum,
        QUASI_SEPARABLE: no_optimum,
    }
    reason = report.result.message
    remedy = remedies[reason]
    if report.runaway is not None:
        remedy = f"{_name_runaway(report.runaway, classes, features)} {remedy}"
    if unpenalised and reason not in (SEPARABLE, QUASI_SEPARABLE):
        remedy += " With C=inf there may be no optimum at all: a finite C makes it exist."
    warn(
        f"SoftmaxClassifier stopped {reached} after {report.result.nit} iterations, because "
        f"{reason}; tol={tol:g} was asked for. {remedy}",
        ConvergenceWarning,
    )


def _name_runaway(
    runaway: tuple[NDArray, NDArray], classes: NDArray, features: NDArray | None
) -> str:
    """Say which coefficients grow without bound."""
    outputs, columns = runaway
    whose = classes[1:] if len(classes) == 2 and outputs.max(initial=0) == 0 else classes
    names = columns if features is None else features[columns]
    where = f"features {_listed(names)} of " if len(columns) else "the intercepts of "
    return f"The coefficients that grow are those of {where}classes {_listed(whose[outputs])}."


def _listed(names: NDArray) -> str:
    """Return the first few names."""
    more = ", ..." if len(names) > _NAMED else ""
    return "[" + ", ".join(map(repr, names[:_NAMED].tolist())) + more + "]"
