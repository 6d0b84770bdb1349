"""The proximal Newton method: steps to the minimum of a model with an L1 penalty and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .._losses import LOSSES, without_offset
from .._problem import kernels
from .._problem.objective import Objective
from .line_search import lengthen, level_or_lengthen, line_search
from .method import Method
from .run import Look, Point, Run, gain_of_intercepts
from .working_set import WorkingSet


@dataclass(frozen=True, eq=False, kw_only=True)
class ProximalNewton(Method):
    """The proximal Newton method.

    Attributes
    ----------
    objective : Objective
        With a nonsmooth term.
    active : WorkingSet
        It makes the models, and remembers how much work the last ones took.
    """

    objective: Objective
    active: WorkingSet

    @property
    def size(self) -> int:
        """Number of variables."""
        return self.objective.layout.size

    def gradient(self, point: Point) -> NDArray:
        """Least subgradient at a point."""
        nonsmooth = self.active.nonsmooth
        return point.remember(
            "gradient", self, lambda: nonsmooth.subgradient(point.theta, point.gradient)
        )

    def missed(self, point: Point, limit: float) -> float:
        """Return an upper bound of the gap, by the L2 penalty or by duality.

        It is complete only if it may be below the limit.
        """
        residual = self.gradient(point)
        bound = min(self.active.scales.centred.missed(residual), duality_gap(point, self.active))
        if bound <= limit:
            bound += gain_of_intercepts(self.objective, point, residual, limit - bound)
        return bound

    @property
    def has_spent_its_work(self) -> bool:
        """Whether models took so much work that more is not worth its cost."""
        return self.active.work > self.active.most_work

    def left_out(self, point: Point, limit: float) -> float:
        """Estimate how much F could fall along coefficients that the last model left out.

        At the point of the model they could gain nothing. But the step, of an intercept for
        example, may change the gradient of all other coefficients.
        """
        return self.active.gain_outside(point, self.gradient(point), limit)

    def look(self, origin: Point, run: Run, before: float) -> Look:
        """Look at a point by the minimum of a model on some coefficients."""
        active, limit = self.active, run.limit(origin)
        some, complete = active.choose(origin.theta, self.gradient(origin))
        least, made = active.minimum(
            origin.theta, origin.gradient, some, limit=limit, most=origin.value
        )
        run.log.nhev += made
        run.log.passes += made
        complete = complete and least.solved and not active.damping
        slope = float(origin.gradient @ (least.x - origin.theta))
        slope -= active.nonsmooth.shrinkage(origin.theta, least.x)
        look = Look(
            decrement=least.gain,
            complete=complete,
            step=least.x - origin.theta,
            slope=slope,
            target=least.x,
        )
        look = run.judge(look, origin, before, least.left if complete else 0.0)
        allowed = run.allowed(origin)
        if look.converged or (most := self.missed(origin, allowed)) > allowed:
            return look
        return run.prove(look, origin, most)

    def search(self, origin: Point, look: Look, run: Run) -> tuple[Point, Self]:
        """Halve the step until F is low enough; compare its decrease with that of the model."""
        # In small X everything may be rounding, and the slope along a step does not show that.
        refine = level_or_lengthen if self.active.most_work == np.inf else lengthen
        found = line_search(
            run, origin, look, lambda length, _: length / 2, lambda _: False, refine
        )
        gain = origin.value - found.point.value
        share = gain / look.decrement if look.decrement > 0 else 0.0
        self.active.judge(np.inf if run.is_flat(look.decrement, found.point) else share)
        return found.point, self


def duality_gap(point: Point, models: WorkingSet) -> float:
    """Return an upper bound of the gap at a point.

    The loss is convex, and at least the entropy of the targets. So for any s in [0, 1] the loss is
    at least s times its tangent plus 1 - s times that entropy. The sum of this and the penalty has
    a minimum in closed form. If the minimum is finite at s = 1, s is 1. Otherwise s is as large as
    possible such that no slope exceeds its L1 penalty.

    The bound does not contain what the intercepts alone can gain. Apart from that, it allows for
    slopes at the optimum of the intercepts: to go there changes each slope by at most about the
    size of its column times the residual of the intercepts.

    Source: Massias et al., *Celer: a fast solver for the lasso with dual extrapolation*, 2018: the
    gap at their rescaled dual point, with a simpler bound of the loss there.
    """
    objective, layout = models.objective, models.objective.layout
    n = layout.n_coefficients
    own = models.scales.centred.gradient(point.gradient)
    size, ridge = models.scales.norms_and_ridge
    W, nonsmooth = point.theta[:n], models.nonsmooth.take(slice(n))
    G = own[:n] - ridge * W
    loss = point.value - models.nonsmooth.value(point.theta) - float((ridge * W) @ W) / 2
    eps = models.costs.slope_terms * float(np.finfo(objective.data.dtype).eps)
    error = (eps + np.linalg.norm(own[n:])) * size
    endless = np.isinf(nonsmooth.least(G, ridge))
    shares = nonsmooth.weights[endless] / (np.abs(G) + error)[endless]
    s = (1 - eps) * float(np.min(shares, initial=1))
    lower = s * (loss - float(G @ W)) + float(nonsmooth.least(s * G, ridge).sum())
    lower += (1 - s) * least_loss(objective) if len(shares) else 0.0
    return max(point.value - lower + 2 * float(error @ np.abs(W)), 0.0)


def least_loss(objective: Objective) -> float:
    """Return a bound of the mean loss from below: of cross-entropy the entropy of the targets."""
    if without_offset(objective.loss) not in LOSSES.values():
        return 0.0
    shared, data = objective.shared, objective.data
    if "least loss" not in shared:
        softmax = objective.loss.shift_invariant
        (least,) = data.sum(kernels.least_loss, objective.layout.n_outputs, softmax)
        shared["least loss"] = max(least, 0.0) / data.total_weight
    return float(shared["least loss"])
