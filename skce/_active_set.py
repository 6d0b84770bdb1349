"""Penalties with corners, and bounds: Newton's method on an active set of coefficients.

    minimise F(W, b) + sum_kj lambda_j |W_kj|   over   low_kj <= W_kj <= high_kj

Every iteration takes the coefficients that are not zero, and those at zero or at a bound that the
gradient would move, by what they promise to gain at most as many again as there are. On these the
objective is replaced by its quadratic model, with the exact Hessian of all rows or of a fixed
sample of them, plus the penalty as it is; the model's minimum is the step (a proximal Newton
method), and what the model gains there the estimate of the gap. It counts once no coefficient is
left out.

The model is solved by sweeps over its coefficients, which find out which of them are zero or at a
bound, in turn with Newton steps of the others, which stop at zero and at the bounds.

Sources: Lee, Sun and Saunders, *Proximal Newton-type methods for minimizing composite functions*,
2014; Friedman, Hastie and Tibshirani, *Regularization paths for generalized linear models via
coordinate descent*, 2010; Moré and Toraldo, *On the solution of large quadratic programming
problems with bound constraints*, 1991; Massias et al., *Celer: a fast solver for the lasso with
dual extrapolation*, 2018 (working sets).
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from operator import itemgetter

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ._objective import Objective
from ._penalty import Corners
from ._preconditioner import take_sample
from ._rows import blocks
from ._threads import threads

#: Coefficients that join at once, at least.
_FEWEST = 200
#: Rows of the Hessian per coefficient, and at least.
_ROWS_PER_COEFFICIENT = 40
_ROWS = 20_000
#: Numbers in a block of rows of a factor of the Hessian.
_BLOCK = 2**21
#: Newton steps on the model, and what is left to gain along single coefficients, as a share of all.
_STEPS = 100
_SMALL = 1e-8
#: Tries to find something lower along a Newton step.
_TRIES = 20
#: What is added to the diagonal of a Newton step, more where it gains less than this share of what
#: it promises, because the edges cut it short.
_DAMPING = (0.0, 1e-6, 1e-3, 1e-1)
_ENOUGH = 0.1
#: Added to the unit diagonal of the Hessian: directions that change no logit have no curvature.
_JITTER = 1e-10


class ActiveSet:
    """Quadratic models of an objective on some of its coefficients.

    Parameters
    ----------
    objective : Objective
    corners : Corners
    """

    def __init__(self, objective: Objective, corners: Corners):
        self.objective = objective
        self.corners = corners

    @cached_property
    def _moments(self) -> tuple[NDArray, NDArray]:
        return self.objective.rows.moments()

    @cached_property
    def mean(self) -> NDArray | None:
        """Means that the columns are centred by, where X is dense and there is an intercept."""
        centre = self.objective.fit_intercept and not self.objective.rows.is_sparse
        return self._moments[0] if centre else None

    @cached_property
    def curvature(self) -> NDArray:
        """Rough curvature of each coefficient, for the order in which they join."""
        mean, square = self._moments
        variance = square if self.mean is None else square - mean**2
        h = self.objective.loss.curvature_bound(self.objective.targets.n_outputs)
        W, b = self.objective.unpack(np.empty(self.objective.size))
        return self.objective.pack(
            np.broadcast_to(h * np.maximum(variance, 0), W.shape), np.full(b.shape, h)
        )

    def choose(self, theta: NDArray, pull: NDArray) -> tuple[NDArray, bool]:
        """Coefficients of the next model, and whether none that would move is left out."""
        W_size = self.objective.n_coefficients
        inside = theta != 0
        inside[W_size:] = True
        outside = np.flatnonzero((pull != 0) & ~inside)
        room = max(_FEWEST, int(np.count_nonzero(inside)))
        complete = len(outside) <= room
        if not complete:
            gain = pull[outside] ** 2 / np.maximum(self.curvature[outside], np.finfo(float).tiny)
            outside = outside[np.argsort(-gain, kind="stable")[:room]]
        inside[outside] = True
        return np.flatnonzero(inside), complete

    def minimum(self, theta: NDArray, gradient: NDArray, some: NDArray) -> tuple[NDArray, float]:
        """Where the model on some coefficients is least, and what it gains there."""
        H, slopes = self._hessian(theta, some), gradient[some]
        n_weights = int(np.searchsorted(some, self.objective.n_coefficients))
        classes, features = np.divmod(some[:n_weights], self.objective.rows.n_columns)
        if self.mean is not None:
            slopes[:n_weights] -= self.mean[features] * slopes[n_weights:][classes]
        x, gain = solve_model(H, slopes, self.corners.take(some), theta[some], self._shifts(some))
        target = theta.copy()
        target[some] = x
        if self.mean is not None:
            shift = (x - theta[some])[:n_weights] * self.mean[features]
            target[some[n_weights:]] -= np.bincount(classes, shift, len(some) - n_weights)
        return target, gain

    def _shifts(self, some: NDArray) -> NDArray:
        """Places in `some` of features, and of the intercept, that softmax lets shift."""
        objective = self.objective
        if objective.targets.loss != "categorical":
            return np.empty((0, objective.targets.n_outputs), dtype=np.intp)
        place = np.full(objective.size, -1)
        place[some] = np.arange(len(some))
        W, b = objective.unpack(place)
        W = W.T[(objective.ridge * objective.factors == 0) & (W.min(axis=0) >= 0)]
        return np.vstack([W, b]) if objective.fit_intercept else W

    def _hessian(self, theta: NDArray, some: NDArray) -> NDArray:
        """Hessian of F for some coefficients, X centred."""
        objective = take_sample(self.objective, max(_ROWS, _ROWS_PER_COEFFICIENT * len(some)))
        p = objective.rows.n_columns
        n_weights = int(np.searchsorted(some, objective.n_coefficients))
        classes, features = np.divmod(some[:n_weights], p)
        if len(some) > n_weights:
            classes = np.concatenate([classes, np.arange(len(some) - n_weights)])
        columns, places = np.unique(features, return_inverse=True)
        places = np.concatenate([places, np.full(len(some) - n_weights, len(columns))])
        starts = np.searchsorted(classes[:n_weights], np.arange(objective.targets.n_outputs + 1))
        groups = [np.arange(*span) for span in pairwise(starts)]
        if len(some) > n_weights:
            groups = [np.append(group, n_weights + k) for k, group in enumerate(groups)]
        W, b = objective.unpack(theta)
        W = W[:, columns]
        mean = None if self.mean is None else self.mean[columns]
        S = objective.targets.total_weight
        X = objective.rows.X[:, columns] if objective.rows.is_sparse else objective.rows.X
        read_all = len(columns) == p or objective.rows.is_sparse
        size = len(some)

        def one(span: tuple[int, int]) -> NDArray:
            block = X[slice(*span)] if read_all else X[slice(*span)][:, columns]
            Z = block.toarray() if sp.issparse(block) else block
            Z = Z.astype(np.float64, copy=False)
            z = W @ Z.T
            z += b[:, None]
            if mean is not None:
                Z = Z - mean
            Z = np.column_stack([Z, np.ones(len(Z))]) if len(some) > n_weights else Z
            t = objective.targets.block(*span)
            state = objective.loss.curvature(z, t)
            F = objective.loss.curvature_between(state, t)
            a = objective.loss.curvature_diagonal(state, t) / S
            M: NDArray = np.zeros((size, size))
            if F is not None:
                F = F / np.sqrt(S)
                B = Z[:, places]
                B *= F[classes].T
                M -= B.T @ B
                a += F**2
            for k, group in enumerate(groups):
                Zk = Z[:, places[group]]
                M[np.ix_(group, group)] += (Zk.T * a[k]) @ Zk
            return M

        spans = list(blocks(objective.rows.n_rows, max(64, _BLOCK // max(size, 1))))
        H = np.zeros((size, size))
        for first in range(0, len(spans), _AT_ONCE):
            for M in threads.map(one, spans[first : first + _AT_ONCE]):
                H += M
        ridge = np.zeros(size)
        ridge[:n_weights] = self.objective.ridge * self.objective.factors[features]
        H[np.diag_indices(size)] += ridge
        return H


#: Blocks whose sums are kept at once.
_AT_ONCE = 4


def solve_model(
    H: NDArray, gradient: NDArray, corners: Corners, start: NDArray, shifts: NDArray
) -> tuple[NDArray, float]:
    """Minimise g'(x - x_0) + (x - x_0)' H (x - x_0) / 2 + lambda |x| within bounds, from x_0.

    Parameters
    ----------
    H : ndarray of shape (size, size)
        Positive semi-definite.
    gradient : ndarray of shape (size,)
    corners : Corners
    start : ndarray of shape (size,)
    shifts : ndarray of int, shape (n_shifts, K)
        Coefficients that can all move by the same amount without a change of g'x and H x.

    Returns
    -------
    x : ndarray of shape (size,)
    gain : float
        How much less the minimum is than the value at the start.
    """
    scale = np.sqrt(np.maximum(H.diagonal(), np.finfo(float).tiny))
    H = H / scale / scale[:, None]
    H[np.diag_indices(len(H))] = 1 + _JITTER
    own = Corners(corners.weights / scale, corners.low * scale, corners.high * scale)
    first, linear = start * scale, gradient / scale
    x, v = first.copy(), linear.copy()
    begin = own.value(x)
    value = begin

    def evaluate(y: NDArray) -> tuple[float, NDArray]:
        moved = y - first
        curved = H @ moved
        return float(linear @ moved + moved @ curved / 2) + own.value(y), linear + curved

    for _ in range(_STEPS):
        pull = own.pull(x, v)
        if pull @ pull / 2 <= _SMALL * (begin - value):
            break
        before = value
        _sweep(H, x, v, own, np.flatnonzero(pull))
        _shift(x, own, scale, shifts)
        value, v = evaluate(x)
        low, high = own.orthant(x)
        inside = (low < x) & (x < high)
        some = np.flatnonzero(inside)
        whole = shifts[inside[shifts].all(axis=1)]
        downhill = -(v + own.weights * np.sign(x))[some]
        for damping in _DAMPING:
            step = _newton_step(H, downhill, some, scale, whole, damping)
            found = []
            for length in 0.5 ** np.arange(_TRIES):
                y = x.copy()
                y[some] = np.clip(x[some] + length * step, low[some], high[some])
                found.append((*evaluate(y), y))
                if found[-1][0] < value and found[-1][0] >= found[max(len(found) - 2, 0)][0]:
                    break
            new, curved, y = min(found, key=itemgetter(0))
            promised = downhill @ step / 2
            if new < value:
                gained = value - new
                x, v, value = y, curved, new
                if gained >= _ENOUGH * promised:
                    break
                low, high = own.orthant(x)
                inside = (low < x) & (x < high)
                some = np.flatnonzero(inside)
                whole = shifts[inside[shifts].all(axis=1)]
                downhill = -(v + own.weights * np.sign(x))[some]
        if before - value <= np.finfo(float).eps * abs(begin - value):
            break
    # What is at a bound is there exactly.
    at = [x == first, x == own.low, x == own.high]
    return np.select(at, [start, corners.low, corners.high], x / scale), begin - value


def _sweep(H: NDArray, x: NDArray, v: NDArray, own: Corners, some: NDArray) -> None:
    """Minimise along one coefficient after the other, in place; v is the gradient."""
    for j in some:
        curvature = H[j, j]
        free = x[j] - v[j] / curvature
        shrunk = np.sign(free) * max(abs(free) - own.weights[j] / curvature, 0)
        new = min(max(shrunk, own.low[j]), own.high[j])
        if new != x[j]:
            v += (new - x[j]) * H[j]
            x[j] = new


def _shift(x: NDArray, own: Corners, scale: NDArray, shifts: NDArray) -> None:
    """Move coefficients together to where their penalty is least: their median is zero."""
    penalised = shifts[own.weights[shifts[:, 0]] > 0]
    if not len(penalised):
        return
    units = scale[penalised]
    W = x[penalised] / units
    ordered = np.sort(W, axis=1)
    K = W.shape[1]
    c = np.clip(0, ordered[:, (K - 1) // 2], ordered[:, K // 2])
    lowest = (W - own.high[penalised] / units).max(axis=1)
    highest = (W - own.low[penalised] / units).min(axis=1)
    c = np.clip(c, np.minimum(lowest, 0), np.maximum(highest, 0))
    moved = c != 0
    some = penalised[moved]
    new = (W[moved] - c[moved, None]) * units[moved]
    x[some] = np.clip(new, own.low[some], own.high[some])


def _newton_step(
    H: NDArray, downhill: NDArray, some: NDArray, scale: NDArray, shifts: NDArray, damping: float
) -> NDArray:
    """Newton step of some coefficients; along shifts, which have no curvature, it gets some."""
    M = H[np.ix_(some, some)]
    M[np.diag_indices(len(M))] += damping
    places = np.searchsorted(some, shifts)
    n = scale[shifts] / np.linalg.norm(scale[shifts], axis=1, keepdims=True)
    M[places[:, :, None], places[:, None, :]] += n[:, :, None] * n[:, None, :]
    try:
        return cho_solve(cho_factor(M, lower=True, overwrite_a=True), downhill)
    except LinAlgError:
        return downhill
