"""L1 penalties and bounds: Newton's method on a working set of coefficients.

    minimise F(W, b) + sum_kj lambda_j |W_kj|   over   low_kj <= W_kj <= high_kj

Every iteration chooses a working set: the coefficients that are not zero, and coefficients at zero
or at a bound that the gradient would move. Of the latter it takes those with the largest expected
gain, at most as many as there are of the former. For the working set the objective is replaced by
its quadratic model, with the exact Hessian of all rows or of a fixed sample of them, plus the exact
penalty. The minimum of the model is the end of the step (a proximal Newton method). The decrease of
the model there estimates the gap, once no coefficient is left out.

For few coefficients the Hessian is an array. For many it is used in products with vectors, each of
which takes a pass over the rows (`quadratic`). If there are few rows, or coefficients are nearly
collinear, rounding removes their differences from an array. Then a factor of the Hessian is used
(`interior_point`).

Sources: Lee, Sun and Saunders, *Proximal Newton-type methods for minimizing composite functions*,
2014; Massias et al., *Celer: a fast solver for the lasso with dual extrapolation*, 2018 (working
sets).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._costs import Costs
from .._problem import kernels
from .._problem.objective import Objective
from .._problem.penalty import Nonsmooth
from .._threads import cached_property
from .interior_point import InteriorPoint
from .quadratic import ByProducts, Dense, Least, Quadratic, Shifts
from .run import Point
from .variables import Whitened, check_squares, take_sample, time_of_pieces, variance_of


class Scales:
    """The scales of the coefficients of an objective.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective: Objective):
        self._objective = objective

    @cached_property
    def _moments(self) -> tuple[NDArray, NDArray]:
        """Mean and mean square of each column."""
        return self._objective.moments()

    @cached_property
    def _variance(self) -> NDArray:
        """Variance of each column, or mean square without an intercept; zero for constants."""
        mean, square = self._moments
        check_squares(self._objective, square)
        if not self._objective.layout.fit_intercept:
            return square
        return variance_of(self._objective, mean, square)

    @cached_property
    def centred(self) -> Whitened:
        """Variables for centred columns if there is an intercept, and for the columns otherwise."""
        mean = self._moments[0] if self._objective.layout.fit_intercept else None
        return Whitened(self._objective, mean, 1.0, self._variance)

    @cached_property
    def curvature(self) -> NDArray:
        """Rough curvature of each coefficient, for the order in which coefficients are added."""
        h = self._objective.loss.curvature_bound(self._objective.layout.n_outputs)
        W, b = self._objective.layout.unpack(np.empty(self._objective.layout.size))
        return self._objective.layout.pack(
            np.broadcast_to(h * self._variance, W.shape), np.full(b.shape, h)
        )

    @cached_property
    def matter(self) -> NDArray:
        """Whether each coefficient matters.

        That of a constant column without a penalty does not: the intercept makes up for it.
        """
        W, b = self._objective.layout.unpack(self.curvature > 0)
        return self._objective.layout.pack(W | ~self._objective.penalty.free, b)

    @cached_property
    def norms_and_ridge(self) -> NDArray:
        """Root of the mean square of the column of each coefficient, and the curvature of its L2.

        An array of two rows, without intercepts.
        """
        columns = np.sqrt(self._moments[1]), self._objective.penalty.curvature
        return np.tile(columns, self._objective.layout.n_outputs)


class WorkingSet:
    """Quadratic models of an objective on some of its coefficients.

    Parameters
    ----------
    objective : Objective
        With a nonsmooth term.
    """

    def __init__(self, objective: Objective):
        assert objective.nonsmooth is not None
        self.objective, self.nonsmooth = objective, objective.nonsmooth
        self.costs, self.scales = objective.costs, Scales(objective)
        #: Additional curvature of models, as a share of `curvature`.
        self.damping = 0.0
        self._inside = np.zeros(objective.layout.size, dtype=bool)
        self._samples: dict[int, Objective] = {}
        #: Work done for models, and its limit: some seconds, if X is small.
        self.work, self.most_work = 0.0, _most_work(objective)
        #: Whether columns are so nearly collinear that the Hessian has lost their differences.
        self._collinear = objective.data.distance > self.costs.too_far
        #: Whether models use a factor of the Hessian, if it is small enough.
        self.factored = self._collinear
        #: Number of logits. With more coefficients than logits, rows do not determine all of them.
        self._n_logits = objective.data.n_rows * objective.layout.n_outputs
        #: The most products that a model took.
        self._products = 0
        #: Gain of the last model, and how much may be left to gain after its step.
        self._gain, self._left = 0.0, 0.0
        #: Coefficients at an edge that the gradient might move if it were exact.
        self._doubtful = np.zeros(objective.layout.size, dtype=bool)

    def choose(self, theta: NDArray, subgradient: NDArray) -> tuple[NDArray, bool]:
        """Choose the coefficients of the next model.

        Returns
        -------
        some : ndarray of int
        complete : bool
            Whether no coefficient that the gradient would move is left out.
        """
        layout, inside = self.objective.layout, (theta != 0) & self.scales.matter
        inside[layout.n_coefficients :] = True
        every, centred = inside | (self.scales.curvature > 0), layout.fit_intercept
        if not centred and _has_small_root(self._n_logits, self.costs, int(every.sum())):
            self._inside = every  # a slope that all rows share may hide a gain of two together
            return np.flatnonzero(every), True
        both = inside | self._inside
        if self.factored and _has_small_root(self._n_logits, self.costs, int(both.sum())):
            inside = both  # rounding could move these coefficients in turn, so keep them together
        inside = inside | self._doubtful
        # A constant column does nothing that an intercept does not do: its slope is rounding.
        outside = np.flatnonzero((subgradient != 0) & ~inside & (self.scales.curvature > 0))
        size = int(np.count_nonzero(inside))
        room = max(self.costs.fewest_join, size)
        complete = len(outside) <= max(room, self.costs.all_join)
        if not (complete or self._is_worth_an_array(size + room)):
            room *= 2  # products with more coefficients cost little more
            complete = len(outside) <= room
        if not complete:
            gain = self._rough_gains(subgradient, outside)
            outside = outside[np.argsort(-gain, kind="stable")[:room]]
        inside[outside] = True
        self._inside = inside
        return np.flatnonzero(inside), complete

    def gain_outside(self, point: Point, subgradient: NDArray, limit: float) -> float:
        """Estimate how much coefficients that were not chosen can gain; only `limit` matters.

        Alone, each gains little. But a coefficient that is nearly collinear with others can gain
        far more together with them. So this is a bound of what all together can gain, and it counts
        the coefficients in doubt: their slopes would move them if they were different by rounding,
        or by what is left to gain. If these are few, the next model finds out. If they are many,
        this is the sum of what each can gain alone.

        Source: Ndiaye et al., *Gap safe screening rules for sparsity enforcing penalties*, 2017.
        """
        n = self.objective.layout.n_coefficients
        inside, moves = self._inside[:n], self.scales.curvature[:n] > 0
        doubtful, gains = _in_doubt(point, self, self._left, limit)
        join = doubtful & ~inside
        more, size = int(join.sum()), int(self._inside.sum())
        few = more <= max(self.costs.fewest_join, size)
        if self.factored or few:
            self._doubtful[:n] = doubtful
            return float(gains[join].sum())
        outside = np.flatnonzero(moves & ~inside & (subgradient[:n] != 0))
        return float(self._rough_gains(subgradient, outside).sum())

    def _rough_gains(self, subgradient: NDArray, some: NDArray) -> NDArray:
        return subgradient[some] ** 2 / (2 * self.scales.curvature[some])

    def minimum(
        self, theta: NDArray, gradient: NDArray, some: NDArray, *, limit: float, most: float
    ) -> tuple[Least, int]:
        """Minimise the model on some coefficients.

        A model is damped if its gain is above `most`. This happens if logits are so large that they
        have almost no curvature.

        Returns
        -------
        Least
            If no minimum was found: theta, with an infinite gain.
        made : int
            Passes over X.
        """
        if not len(some):  # nothing moves
            return Least(theta, 0.0, 0.0, True), 0
        slopes = self.scales.centred.gradient(gradient)[some]
        rest = slopes, self.nonsmooth.take(some), theta[some], _shifts(self.objective, some)
        can = _has_small_root(self._n_logits, self.costs, len(some))
        by_root = self.factored and can
        model = functools.partial(self._least, theta, some, rest, limit, most)
        before = self.damping
        least, made, first = model(by_root=by_root)
        failed = not least.solved or self.damping > before
        # If rows do not determine the coefficients, a last model is checked with a factor.
        failed = failed or (self._n_logits < len(some) and least.gain <= limit)
        if can and failed and (not by_root or len(some) <= self.costs.all_join):
            # If one way fails, the other may not; but an array of many coefficients takes long.
            self.factored = True
            after, self.damping = self.damping, before
            other, more, second = model(by_root=not by_root)
            made += more
            farther = not least.solved and least.gain < other.gain < np.inf
            undamped = not (before or after or self.damping)
            root, found = (first, other) if by_root else (second, least)
            # It is not the minimum if the other way found a lower point.
            refuted = other.solved and other.gain + limit < least.gain < np.inf
            if farther or (other.solved and not refuted):
                least, by_root = other, not by_root
            else:
                self.damping = after
            if undamped and not least.solved and found.gain <= limit:
                # The factor, which keeps how coefficients differ, bounds what the other way missed.
                spent = root.work
                checked = root.checked(found, limit, most)
                self.work += root.work - spent
                least = checked if checked.solved else least
        if self.damping and least.solved and least.gain <= limit:
            # So little is left to gain that damping may no longer be needed.
            damping, self.damping = self.damping, 0.0
            whole, more, of_whole = model(by_root=by_root)
            made += more
            if by_root and not (whole.solved or self.damping):
                spent = of_whole.work
                whole = of_whole.checked(least, limit, most)
                self.work += of_whole.work - spent
            if whole.solved and whole.gain <= limit and not self.damping:
                least = whole
            else:
                self.damping = damping
        # Newton's method converges quadratically: the next share is the square of this one.
        falls = least.gain / self._gain if self._gain > least.gain else 1.0
        self._gain, self._left = least.gain, max(least.gain * falls**2, 0.0) + least.left
        if not np.isfinite(least.gain):
            return least._replace(x=theta), made
        moved = np.zeros(self.objective.layout.size)
        moved[some] = least.x - theta[some]
        target = theta + self.scales.centred.to_user(moved)
        weights = some < self.objective.layout.n_coefficients
        target[some[weights]] = least.x[weights]  # zeros and bounds are exact
        return least._replace(x=target), made

    def _least(
        self,
        theta: NDArray,
        some: NDArray,
        rest: tuple[Any, ...],
        limit: float,
        most: float,
        *,
        by_root: bool,
    ) -> tuple[Least, int, Any]:
        """Minimise a model, by a factor of its Hessian or not, with as little damping as possible.

        Returns
        -------
        Least
        made : int
            Passes over X.
        model : InteriorPoint or Quadratic
        """
        model, made = self._model(theta, some, by_root=by_root)
        for _ in range(self.costs.most_dampings):
            damped = model(self.damping * self.scales.curvature[some], *rest)
            damped.most_work = self.most_work - self.work
            if self.factored and not by_root:
                damped.steps = self.costs.few_steps
            with np.errstate(all="ignore"):  # then the gain is not finite
                least = damped.minimum(limit, most)
            self.work += damped.work
            if 0 <= least.gain <= most and np.isfinite(least.x).all():
                if damped.collinear or (self._collinear and not by_root):
                    least = least._replace(solved=False)
                return least, made(), damped
            self.damping = max(self.costs.damping_change * self.damping, self.costs.first_damping)
        return Least(theta[some], np.inf, np.inf, False), made(), damped

    def _is_worth_an_array(self, size: int) -> bool:
        """Whether a Hessian of this size costs little more than the products that it replaces.

        If a model took many products, the next may do so, too.
        """
        objective = self._sample(size)
        product = objective.work_per_pass / 2
        costs = self.costs
        worth = max(costs.worth_products, costs.worth_more * self._products) * product
        return (
            8 * size**2 <= costs.hessian_bytes and (objective.data.n_rows + size) * size**2 <= worth
        )

    def judge(self, share: float) -> None:
        """Choose the damping after a step, from the ratio of its gain to that of the model."""
        self.damping = _damping_after(self.damping, share, self.costs)

    def _sample(self, size: int) -> Objective:
        """Return the objective on the rows for a Hessian of this size."""
        n_rows = max(self.costs.hessian_rows, self.costs.rows_per_coefficient * size)
        if n_rows not in self._samples:
            self._samples = {n_rows: take_sample(self.objective, n_rows)}
        return self._samples[n_rows]

    def _model(
        self, theta: NDArray, some: NDArray, *, by_root: bool
    ) -> tuple[Callable[..., Quadratic | InteriorPoint], Callable[[], int]]:
        """Return two functions: one makes the model with a damping, one counts its passes."""
        made, mean = 1, self.scales.centred.mean
        if by_root:
            R, ridge = _root(*_restricted(self.objective, theta, some, mean))

            def of_root(damping: NDArray, g: NDArray, term: Nonsmooth, x: NDArray, _: Any) -> Any:
                model = InteriorPoint(R, ridge + damping, g, term, x, self.costs)
                model.far_from_zero = self._collinear
                return model

            return of_root, lambda: made
        if self._is_worth_an_array(len(some)):
            H = _hessian(*_restricted(self._sample(len(some)), theta, some, mean))

            def by_array(
                damping: NDArray, g: NDArray, nonsmooth: Nonsmooth, x: NDArray, shifts: Shifts
            ) -> Quadratic:
                damped = H + np.diag(damping)
                model = Dense(damped, g, nonsmooth, x, shifts.damped(damping), self.costs)
                model.doubtful = self._doubtful[some]
                if model.doubtful.any():
                    model.fine = self.costs.model_doubt
                return model

            return by_array, lambda: made
        # Rounding of X only makes products less exact: gradients are those of X itself.
        whole = self.objective if self.objective.data.distance else self.objective.rounded()
        objective, theta, own, mean = _restricted(whole, theta, some, mean)
        hessian = objective.hessian(theta)
        diagonal = _diagonal(objective, theta, mean)[own]
        centred = Whitened(objective, mean, 1.0)
        few = self.costs.call_work * self.costs.calls_per_pass
        cost = objective.time_per_pass + few + time_of_pieces(objective)

        def product(v: NDArray) -> NDArray:
            nonlocal made
            made += 1
            self._products = max(self._products, made)
            full = np.zeros(objective.layout.size)
            full[own] = v
            return centred.product(hessian, full)[0][own]

        def by_products(
            damping: NDArray, g: NDArray, nonsmooth: Nonsmooth, x: NDArray, shifts: Shifts
        ) -> Quadratic:
            shifts = shifts.damped(damping)

            def damped(v: NDArray) -> NDArray:
                return product(v) + damping * v

            model = ByProducts(diagonal + damping, damped, g, nonsmooth, x, shifts, self.costs)
            model.cost, model.fine = cost, self.costs.model_fine
            if self.costs.cheap_products * cost <= self.costs.most_model_work:
                model.accuracy, model.last = self.costs.model_small, 1.0
            model.doubtful = self.factored
            return model

        return by_products, lambda: made


def _most_work(objective: Objective) -> float:
    """Return the limit of the work for all models of an objective; infinite if X is not small."""
    costs = objective.costs
    if objective.data.nbytes >= costs.few_bytes:
        return np.inf
    more = costs.model_work_per_coefficient * objective.layout.n_coefficients
    return costs.most_model_work + more


def _in_doubt(
    point: Point, models: WorkingSet, left: float, limit: float
) -> tuple[NDArray, NDArray]:
    """Find the coefficients that might move if their slopes were exact, and what they can gain.

    Parameters
    ----------
    point : Point
    models : WorkingSet
    left : float
        What is left to gain with the coefficients of the last model.
    limit : float
        The gain that matters.

    Returns
    -------
    doubtful : ndarray of bool, shape (n_coefficients,)
    gains : ndarray of shape (n_coefficients,)
        Upper bounds.
    """
    objective, scales, costs, F = models.objective, models.scales, models.costs, point.value
    layout, n = objective.layout, objective.layout.n_coefficients
    nonsmooth = models.nonsmooth.take(slice(n))
    # The intercepts are in every model: what is left of their slopes does not move the others.
    theta, g = point.theta[:n], scales.centred.gradient(point.gradient)[:n]
    curvature, (norms, ridge) = scales.curvature[:n], scales.norms_and_ridge
    # Slopes are sums of x_i r_i, and r_i^2 is at most 2 F (Pinsker's inequality).
    rounding = costs.slope_terms * float(np.finfo(objective.data.dtype).eps) * norms
    hidden = np.sqrt(2 * left * curvature) + rounding * min(1.0, np.sqrt(2 * F))
    slopes = [nonsmooth.subgradient(theta, g + sign * hidden) for sign in (-1, 1)]
    gains = _gains_at_most(np.maximum(*np.abs(slopes)), nonsmooth, ridge, F)
    doubtful = (curvature > 0) & (gains > limit / n)
    if objective.loss.shift_invariant:
        # Softmax sees only differences. If all classes but one are clearly not zero, and can move,
        # they move as that one would.
        clear = (nonsmooth.weights * np.abs(theta) > limit).reshape(-1, layout.n_columns)
        doubtful &= np.tile(np.sum(~clear, axis=0) > 1, len(clear))
    return doubtful, gains


def _gains_at_most(slopes: NDArray, nonsmooth: Nonsmooth, ridge: NDArray, value: float) -> NDArray:
    """Return upper bounds of what coefficients with these slopes can gain, if F is `value`."""
    size = np.abs(slopes)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.minimum(nonsmooth.high - nonsmooth.low, 2 * value / nonsmooth.weights)
        return np.where(size > 0, np.fmin(size * far, size**2 / (2 * ridge)), 0.0)


def _damping_after(damping: float, share: float, costs: Costs) -> float:
    """Return more damping if a step gained a small share of the model's gain, less if a large one.

    The share is infinite if rounding hides it.

    Source: Nocedal and Wright, *Numerical Optimization*, 2006, section 10.3.
    """
    if share < costs.poor:
        more = max(costs.damping_change * damping, costs.first_damping)
        return min(more, costs.largest_damping)
    if share <= costs.good:
        return damping
    change = costs.damping_change if share < costs.very_good else costs.damping_change**3
    damping /= change if share < np.inf else np.inf
    return damping if damping >= costs.first_damping else 0.0


def _has_small_root(n_logits: int, costs: Costs, size: int) -> bool:
    """Whether a factor of the Hessian of `size` coefficients is small."""
    numbers = n_logits * size
    return numbers <= costs.factor_numbers and numbers * min(n_logits, size) <= costs.factor_work


def _restricted(
    objective: Objective, theta: NDArray, some: NDArray, mean: NDArray | None
) -> tuple[Objective, NDArray, NDArray, NDArray | None]:
    """Restrict sparse X to the columns of some coefficients; other coefficients are zero.

    Dense X is not restricted, because its columns would have to be copied.

    Returns
    -------
    objective : Objective
    theta, some, mean : ndarray
        The arguments for this objective.
    """
    if not objective.data.is_sparse:
        return objective, theta, some, mean
    weights = some < objective.layout.n_coefficients
    classes, features = objective.layout.places(some[weights])
    columns, places = np.unique(features, return_inverse=True)
    columns = columns if len(columns) else np.zeros(1, dtype=np.intp)
    part = objective.columns(columns)
    intercepts = some[~weights] - objective.layout.n_coefficients + part.layout.n_coefficients
    W, b = objective.layout.unpack(theta)
    own = np.concatenate([classes * len(columns) + places, intercepts])
    mean = None if mean is None else mean[columns]
    return part, part.layout.pack(W[:, columns], b), own, mean


def _shifts(objective: Objective, some: NDArray) -> Shifts:
    """Return the shifts of softmax, as positions in `some`: of features and of the intercept."""
    K = objective.layout.n_outputs
    if not objective.loss.shift_invariant:
        return Shifts(np.empty((0, K), dtype=np.intp), np.empty((0, K)))
    place = np.full(objective.layout.size, -1)
    place[some] = np.arange(len(some))
    W, b = objective.layout.unpack(place)
    whole = W.min(axis=0) >= 0
    places, ridge = W.T[whole], objective.penalty.curvature[whole]
    if objective.layout.fit_intercept:
        places, ridge = np.vstack([places, b]), np.append(ridge, 0)
    return Shifts(places, np.repeat(ridge[:, None], K, axis=1))


def _root(
    objective: Objective, theta: NDArray, some: NDArray, mean: NDArray | None
) -> tuple[NDArray, NDArray]:
    """Return R, and the ridge, with R'R + diag(ridge) the Hessian of F for some coefficients.

    The mean is subtracted from X.
    """
    classes, features = objective.layout.places(some)
    ((block, _),) = objective.data.chunks(objective.data.n_rows)
    W, b = objective.layout.unpack(theta)
    R = kernels.some_root(block, objective.loss, W, b, mean, classes, features)
    ridge = np.append(objective.penalty.curvature, 0)
    return R / np.sqrt(objective.data.total_weight), ridge[features]


def _hessian(objective: Objective, theta: NDArray, some: NDArray, mean: NDArray | None) -> NDArray:
    """Return the Hessian of F for some coefficients. The mean is subtracted from X."""
    p, K = objective.data.n_columns, objective.layout.n_outputs
    classes, features = objective.layout.places(some)
    order = np.argsort(classes, kind="stable")  # coefficients of a class side by side
    ends = np.searchsorted(classes[order], np.arange(K + 1))
    groups = [slice(*pair) for pair in pairwise(ends)]
    columns, places = np.unique(features[order], return_inverse=True)
    columns = columns[columns < p]
    W, b = objective.layout.unpack(theta)
    size = len(some)
    own = objective.data.sum(
        kernels.some_hessian,
        objective.loss,
        W[:, columns],
        b[:, None],
        None if len(columns) == p else columns,
        None if mean is None else mean[columns, None],
        places,
        groups,
        np.sqrt(objective.data.total_weight),
        rows=max(64, objective.costs.hessian_block // max(size, 1)),
        runs=objective.costs.hessian_runs if 8 * size**2 <= objective.costs.small_hessian else 2,
    )
    # If p is near 1, p (1 - p) is exact, and p - p^2 is not.
    H = -own[K] if len(own) > K else np.zeros((size, size))
    for group, within in zip(groups, own, strict=False):
        H[group, group] = within
    back = np.argsort(order)
    H = H[np.ix_(back, back)]
    ridge = np.append(objective.penalty.curvature, 0)
    H[np.diag_indices(size)] += ridge[features]
    return H


def _diagonal(objective: Objective, theta: NDArray, mean: NDArray | None) -> NDArray:
    """Return the diagonal of the Hessian of F. The mean is subtracted from X."""
    data, total = objective.data, objective.data.total_weight
    W, b = objective.layout.unpack(theta)
    width = len(W) if data.is_sparse else max(W.shape)
    squares, ones = data.sum(
        kernels.diagonal,
        objective.loss,
        *data.coefficients(W, b),
        mean,
        rows=max(1, objective.costs.hessian_block // width),
        runs=1,
    )
    penalty = objective.penalty.curvature
    return objective.layout.pack(np.maximum(squares / total, 0) + penalty, ones / total)
