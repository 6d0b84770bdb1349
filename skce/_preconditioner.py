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

#: Rows that are enough to estimate mu and Sigma (20 000 were as good as all 300 000).
_SAMPLE = 20_000
#: Rows in a block of that sample.
_CHUNK = 2048
#: Columns up to which Sigma, a dense matrix, is worth its cost.
_WHITEN_UP_TO = 1000
#: Directions with less than this share of the largest variance are treated as having that share:
#: collinear columns must not be blown up into noise.
_SMALLEST_VARIANCE = 1e-12


class Identity:
    """No change: wide or sparse X, where plain variables were measured best.

    Every change of variables is linear and offers these verbs, so that a direction goes the same
    way as a point.
    """

    def __init__(self, objective: Objective):
        self.objective = objective

    def to_user(self, theta: NDArray) -> NDArray:
        """Theta in the user's units, from the solver's."""
        return theta

    def from_user(self, theta: NDArray) -> NDArray:
        """Theta in the solver's units, from the user's."""
        return theta

    def gradient(self, gradient: NDArray) -> NDArray:
        """Gradient with respect to the solver's variables, from the user's."""
        return gradient

    def user_gradient(self, gradient: NDArray) -> NDArray:
        """Gradient with respect to the user's variables, from the solver's."""
        return gradient

    def value_gradient(self, theta: NDArray) -> tuple[float, NDArray]:
        """F and its gradient in the solver's variables."""
        value, gradient = self.objective.value_gradient(self.to_user(theta))
        return value, self.gradient(gradient)

    def hessian_product(self, theta: NDArray, v: NDArray) -> NDArray:
        """Hessian of F times v in the solver's variables."""
        product = self.objective.hessian_product(self.to_user(theta), self.to_user(v))
        return self.gradient(product)


class Whitened(Identity):
    """W = V Q' and b = b' - W mu; Q is a matrix, or a vector that stands for a diagonal one."""

    def __init__(self, objective: Objective, mean: NDArray, Q: NDArray, inverse: NDArray):
        super().__init__(objective)
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


def _times(A: NDArray, Q: NDArray) -> NDArray:
    return A @ Q if Q.ndim == 2 else A * Q


def precondition(objective: Objective) -> Identity:
    """Choose the change of variables for an objective.

    Full whitening where there are at most as many columns as rows and few enough that their
    covariance is cheap; standardised columns for wider dense X; none for wider sparse X, where
    scaling took 4 times more passes.
    """
    rows = objective.rows
    n, p = rows.n_rows, rows.n_columns
    whiten = p <= min(n, _WHITEN_UP_TO)
    if not whiten and rows.is_sparse:
        return Identity(objective)
    curvature = objective.loss.curvature_bound(objective.targets.n_outputs)
    mean, second_moment = _moments(objective, full=whiten)
    M = curvature * second_moment
    if whiten:
        M[np.diag_indices(p)] += objective.ridge
        return Whitened(objective, mean, *_inverse_root(M))
    scale = np.sqrt(_positive(M + objective.ridge))
    return Whitened(objective, mean, 1 / scale, scale)


def _moments(objective: Objective, *, full: bool) -> tuple[NDArray, NDArray]:
    """Weighted mean (zero without an intercept) and covariance, or its diagonal, of a sample."""
    rows, weights = objective.rows, objective.targets.weights
    n, p = rows.n_rows, rows.n_columns
    sample = np.arange(n)
    if n > _SAMPLE:
        sample = np.sort(np.random.default_rng(0).choice(n, _SAMPLE, replace=False))
        if not weights[sample].any():
            sample = np.flatnonzero(weights)[:_SAMPLE]
    chunks = np.array_split(sample, -(-len(sample) // _CHUNK))
    total = weights[sample].sum(dtype=np.float64)
    mean = np.zeros(p)
    if objective.fit_intercept:
        for chunk in chunks:
            mean += weights[chunk].astype(np.float64) @ rows.dense(chunk) / total
    moment = np.zeros((p, p) if full else p)
    for chunk in chunks:
        X = (rows.dense(chunk) - mean) * np.sqrt(weights[chunk].astype(np.float64) / total)[:, None]
        moment += X.T @ X if full else np.einsum("ij,ij->j", X, X)
    return mean, moment


def _inverse_root(M: NDArray) -> tuple[NDArray, NDArray]:
    """Q with Q Q' = M^-1, and its inverse; M is scaled to a unit diagonal first."""
    scale = np.sqrt(_positive(np.diagonal(M)))
    values, U = np.linalg.eigh(M / np.multiply.outer(scale, scale))
    root = np.sqrt(np.maximum(values, _SMALLEST_VARIANCE * max(values[-1], 1)))
    return U / root / scale[:, None], (U * root).T * scale


def _positive(diagonal: NDArray) -> NDArray:
    """Return the diagonal with 1 for columns that do not vary."""
    return np.where(diagonal > 0, diagonal, 1.0)
