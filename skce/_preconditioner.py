"""An exact change of variables: the same objective in better units.

With mu the mean of the columns and Q Q' = (h * Sigma + ridge * I)^-1, where Sigma is their
covariance and h a typical curvature of the loss, solvers work on V and b' where

    W = V Q',    b = b' - W mu

The objective is the same function of other variables, so the optimum is exact whatever mu and Q
are; they only decide how fast it is reached. Nothing is done to X: centring and whitening act on W
and on the gradient, (K, n_features) arrays.

Source: whitening is the Newton step at zero coefficients taken into the variables (see Boyd and
Vandenberghe, *Convex Optimization*, 2004, section 9.4, on the choice of norm for steepest descent).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._objective import Objective
from ._rows import blocks

#: Rows that are enough to estimate mu and Sigma (20 000 were as good as all 300 000).
_SAMPLE = 20_000
#: Rows in a block of that sample.
_CHUNK = 2048
#: Columns up to which Sigma, a dense matrix, is worth its cost.
_WHITEN_UP_TO = 1000
#: A standard deviation below this share of the mean is rounding: the column is constant.
_CONSTANT = 1e-14
#: The share of the largest variance, times the number of columns, that is rounding too.
_COLLINEAR = 10 * np.finfo(np.float64).eps


class Whitened:
    """The objective in V and b'; Q is a matrix, or a vector that stands for a diagonal one.

    The change of variables is linear, so that a direction goes the same way as a point.
    """

    def __init__(self, objective: Objective, mean: NDArray, Q: NDArray, inverse: NDArray):
        self.objective = objective
        self.mean = mean
        self.Q = Q
        self.inverse = inverse

    def to_user(self, theta: NDArray) -> NDArray:
        """Theta in the user's units, from the solver's."""
        V, b = self.objective.unpack(theta)
        W = _times(V, self.Q.T)
        return self.objective.pack(W, b - W @ self.mean)

    def from_user(self, theta: NDArray) -> NDArray:
        """Theta in the solver's units, from the user's."""
        W, b = self.objective.unpack(theta)
        return self.objective.pack(_times(W, self.inverse.T), b + W @ self.mean)

    def gradient(self, gradient: NDArray) -> NDArray:
        """Gradient with respect to the solver's variables, from the user's."""
        G, g = self.objective.unpack(gradient)
        return self.objective.pack(_times(G - np.multiply.outer(g, self.mean), self.Q), g)

    def user_gradient(self, gradient: NDArray) -> NDArray:
        """Gradient with respect to the user's variables, from the solver's."""
        G, g = self.objective.unpack(gradient)
        user = _times(G, self.inverse) + np.multiply.outer(g, self.mean)
        return self.objective.pack(user, g)

    def missing(self, residual: NDArray) -> float:
        """Bound r' H^-1 r / 2 by the curvature of the penalty, which is ridge in every direction.

        The part of r that belongs to the intercepts, which are not penalised, is left out.
        """
        R, _ = self.objective.unpack(self.user_gradient(residual))
        ridge = self.objective.ridge
        return float(np.vdot(R, R) / (2 * ridge)) if ridge > 0 else np.inf

    def value_gradient(self, theta: NDArray) -> tuple[float, NDArray]:
        """F and its gradient in the solver's variables."""
        value, gradient = self.objective.value_gradient(self.to_user(theta))
        return value, self.gradient(gradient)

    def hessian_product(self, theta: NDArray, v: NDArray) -> NDArray:
        """Hessian of F times v in the solver's variables."""
        product = self.objective.hessian_product(self.to_user(theta), self.to_user(v))
        return self.gradient(product)


def _times(A: NDArray, Q: NDArray) -> NDArray:
    return A @ Q if Q.ndim == 2 else A * Q


def precondition(objective: Objective) -> Whitened:
    """Choose the change of variables for an objective.

    Full whitening where there are at most as many columns as rows and few enough that their
    covariance is cheap. For wider X one factor for all columns, which gives the rows a norm of 1
    on average and so the intercepts the weight of a feature (to scale each column would lift those
    of noise to the rank of the others), with centring where X is dense.
    """
    rows = objective.rows
    p = rows.n_columns
    if p <= min(rows.n_rows, _WHITEN_UP_TO):
        chunks = _sample(objective)
        mean = _mean(objective, chunks)
        M = objective.loss.curvature_bound(objective.targets.n_outputs)
        M = M * _covariance(objective, chunks, mean)
        M[np.diag_indices(p)] += objective.ridge
        return Whitened(objective, mean, *_inverse_root(M, unpenalised=objective.ridge == 0))
    mean = np.zeros(p) if rows.is_sparse else _mean(objective, _sample(objective))
    with np.errstate(over="ignore"):
        square = rows.square(objective.targets.weights) / objective.targets.total_weight
    if not np.isfinite(square):
        raise ValueError("X holds values whose squares overflow: divide it by a power of ten.")
    # Where rounding takes the centred norm, the plain one is unit enough.
    centred = square - mean @ mean
    scale = np.sqrt(centred if centred > _CONSTANT * square else square) or 1.0
    return Whitened(objective, mean, np.full(p, 1 / scale), np.full(p, scale))


def _sample(objective: Objective) -> list[tuple[NDArray, NDArray]]:
    """Rows to estimate mu and Sigma from, in chunks, each with weights that sum to 1 over all."""
    weights, n = objective.targets.weights, objective.rows.n_rows
    sample = np.arange(n)
    if n > _SAMPLE:
        sample = np.sort(np.random.default_rng(0).choice(n, _SAMPLE, replace=False))
        if not weights[sample].any():
            sample = np.flatnonzero(weights)[:_SAMPLE]
    share = weights[sample].astype(np.float64)
    share /= share.sum()
    chunks = blocks(len(sample), _CHUNK)
    return [(sample[start:stop], share[start:stop]) for start, stop in chunks]


def _mean(objective: Objective, chunks: list[tuple[NDArray, NDArray]]) -> NDArray:
    """Weighted mean of the columns; zero without an intercept that could take it up."""
    mean = np.zeros(objective.rows.n_columns)
    if objective.fit_intercept:
        for indices, share in chunks:
            mean += share @ objective.rows.dense(indices)
    return mean


def _covariance(
    objective: Objective, chunks: list[tuple[NDArray, NDArray]], mean: NDArray
) -> NDArray:
    """Weighted covariance of the columns, with zeros for those that are constant."""
    covariance = np.zeros((len(mean), len(mean)))
    with np.errstate(over="ignore", invalid="ignore"):
        for indices, share in chunks:
            X = (objective.rows.dense(indices) - mean) * np.sqrt(share)[:, None]
            covariance += X.T @ X
    variance = np.diagonal(covariance)
    if not np.isfinite(covariance).all():
        column = int(np.argmin(np.isfinite(variance)))
        raise ValueError(
            f"X holds values whose squares overflow, first in column {column}: divide it by a "
            "power of ten."
        )
    constant = variance <= (_CONSTANT * mean) ** 2
    covariance[constant] = 0
    covariance[:, constant] = 0
    return covariance


def _inverse_root(M: NDArray, *, unpenalised: bool) -> tuple[NDArray, NDArray]:
    """Q with Q Q' = M^-1, and its inverse; M is scaled to a unit diagonal first.

    Constant and collinear columns make directions that change no logit. The penalty fixes them;
    without one they are left out, for nothing but rounding would move them.
    """
    diagonal = np.diagonal(M)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, U = np.linalg.eigh(M / np.multiply.outer(scale, scale))
    rounding = _COLLINEAR * len(values) * max(values[-1], 1)
    null = values <= rounding
    root = np.sqrt(np.where(null, rounding, values))
    kept = np.where(null & unpenalised, 0, 1)
    return U * (kept / root) / scale[:, None], (U * (kept * root)).T * scale
