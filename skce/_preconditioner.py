"""An exact change of variables: the same objective in better units.

From a point theta_0 solvers move by a direction v in their own variables, theta = theta_0 + T v.
T decides how fast the optimum is reached, and nothing else. Two are used, one inside the other.

`Whitened` is the same for all classes. With mu the mean of the columns, Sigma their covariance and
h the curvature of the loss at equal probabilities,

    W = V Q',    b = b' - W mu,    Q Q' = (h * Sigma + ridge * I)^-1

`ClassWhitened` knows the curvature a_ik = m_i p_ik (1 - p_ik) that each row i has for class k at
one point. With x~ = (Q'(x - mu), 1) it takes, for each class,

    (V_k, b'_k) = U_k L_k^-1,    L_k L_k' = 1/S * sum_i a_ik x~_i x~_i' + ridge * (Q'Q, 0)

so that the blocks of the Hessian that belong to one class become the identity, and no eigenvalue of
the whole exceeds 2 (p_k (1 - p_k) is the sum of its row's p_k p_j). On letter (20 000, 16, 26) a
gap of 1e-6 took 70 Hessian products, and 800 with `Whitened` alone. With one matrix for all
classes, the whole Hessian becomes the identity: `Jointly`.

Nothing is done to X: the changes act on W and on the gradient, (K, n_features) arrays.

Source: preconditioning by whitening and by diagonal blocks (Nocedal and Wright, *Numerical
Optimization*, 2006, section 7.1; Boyd and Vandenberghe, *Convex Optimization*, 2004, section 9.4).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dtrtri

from ._objective import Objective, mean_of_classes
from ._rows import blocks
from ._target_mass import TargetBlock
from ._threads import threads

#: Rows that are enough to estimate mu and Sigma (20 000 were as good as all 300 000).
_SAMPLE = 20_000
#: Rows in a block of that sample.
_CHUNK = 2048
#: Parameters, and multiplications, up to which the whole Hessian is made at every point.
_SMALL_SIZE = 128
_SMALL_WORK = 2**21
#: Bytes that the whole Hessian may take, and numbers in a block of rows of its factor.
_JOINT_MATRIX = 2**24
_JOINT_BLOCK = 2**21
#: Columns up to which Sigma, a dense matrix, is worth its cost.
_WHITEN_UP_TO = 1000
#: Multiplications in a pass from which a sample of the rows is worth its copy, and its bytes.
_WORTH_SAMPLING = 2**22
_SAMPLE_BYTES = 2**25
#: Bytes that the matrices L_k^-1 of all classes may take.
_CLASS_MATRICES = 2**24
#: Multiplications for the matrices of some classes, that are worth a turn of their own.
_CLASS_BLOCK = 2**20
#: Rows with less than this share of the mean curvature are left out of the matrix of a class. Most
#: rows are, once the classes are nearly separated; together they hold about 1 % of the curvature.
_LITTLE_CURVATURE = 0.03
#: A standard deviation below this share of the mean is rounding: the column is constant.
_CONSTANT = 1e-14
#: The share of the largest variance, times the number of columns, that is rounding too.
_COLLINEAR = 10 * np.finfo(np.float64).eps
#: Added to the unit diagonals of L_k L_k': directions that change no logit have no curvature.
#: Without a penalty more, for rounding moves the coefficients along directions that are nearly so.
_JITTER = 1e-12
_JITTER_WITHOUT_PENALTY = 1e-8


class Whitened:
    """T is the same for all classes; Q is a matrix, or a number that stands for a multiple of I."""

    def __init__(self, objective: Objective, mean: NDArray | None, Q: NDArray | float):
        self.objective = objective
        self.mean = mean
        self.Q = Q

    def to_user(self, v: NDArray) -> NDArray:
        """T v: a direction in the user's variables, from the solver's."""
        V, b = self.objective.unpack(v)
        user = np.empty_like(v)
        W, c = self.objective.unpack(user)
        _times(V, self.Q, W)
        c[:] = b if self.mean is None else b - W @ self.mean
        return user

    def gradient(self, gradient: NDArray) -> NDArray:
        """T' g: the gradient with respect to the solver's variables, from the user's."""
        G, g = self.objective.unpack(gradient)
        if self.mean is not None:
            G = G - np.multiply.outer(g, self.mean)
        own = np.empty_like(gradient)
        W, c = self.objective.unpack(own)
        _times(G, _transposed(self.Q), W)
        c[:] = g
        return own

    def product(self, hessian: Callable[[NDArray], NDArray], v: NDArray) -> NDArray:
        """T' H T v."""
        return self.gradient(hessian(self.to_user(v)))


class ClassWhitened:
    """T has a matrix of its own for each class, or one for all, in the variables of a `Whitened`.

    A shift of all classes, which softmax does not see, is taken out of directions and gradients. It
    has no curvature; where all classes share a matrix, products give it one of the size that the
    classes have, so that rounding finds nothing to blow up.
    """

    def __init__(self, inner: Whitened, T: NDArray, shift_curvature: NDArray | float = 0.0):
        self.inner = inner
        self.T = T
        self.shift_curvature = shift_curvature

    def to_user(self, v: NDArray) -> NDArray:
        """T v: a direction in the user's variables, from the solver's."""
        return self._split(v)[0]

    def gradient(self, gradient: NDArray) -> NDArray:
        """T' g."""
        return self._times(self._by_class(gradient))

    def product(self, hessian: Callable[[NDArray], NDArray], v: NDArray) -> NDArray:
        """T' H T v."""
        direction, shift = self._split(v)
        G = self._by_class(hessian(direction))
        return self._times(G + shift * self.shift_curvature)

    def _split(self, v: NDArray) -> tuple[NDArray, NDArray | float]:
        """T v without its shift of all classes, and that shift, in the inner variables."""
        objective = self.inner.objective
        V = (v.reshape(len(self.T), 1, -1) @ self.T).reshape(objective.targets.n_outputs, -1)
        shift: NDArray | float = 0.0
        if objective.targets.loss == "categorical":
            shift = mean_of_classes(V)
            V -= shift
        user = objective.pack(V[:, :-1], V[:, -1]) if objective.fit_intercept else V.ravel()
        return self.inner.to_user(user), shift

    def _by_class(self, gradient: NDArray) -> NDArray:
        """Return the gradient in the inner variables, a row for each class."""
        objective = self.inner.objective
        G, g = objective.unpack(self.inner.gradient(gradient))
        if objective.fit_intercept:
            G = np.concatenate([G, g[:, None]], axis=1)
        return G - mean_of_classes(G) if objective.targets.loss == "categorical" else G

    def _times(self, G: NDArray) -> NDArray:
        return (self.T @ G.reshape(len(self.T), -1, 1)).ravel()


def _transposed(Q: NDArray | float) -> NDArray | float:
    return Q if isinstance(Q, float) else Q.T


Whitening = Whitened | ClassWhitened


def _times(A: NDArray, Q: NDArray | float, out: NDArray) -> None:
    """Write A Q' into out."""
    if isinstance(Q, float):
        np.multiply(A, Q, out=out)
    else:
        np.matmul(A, Q.T, out=out)


def precondition(objective: Objective) -> Whitened:
    """Choose the change of variables that is the same for all classes.

    Full whitening where there are at most as many columns as rows and few enough that their
    covariance is cheap. For wider X one factor for all columns, which gives the rows a norm of 1
    on average and so the intercepts the weight of a feature (to scale each column would lift those
    of noise to the rank of the others), with centring where X is dense.
    """
    rows = objective.rows
    p = rows.n_columns
    if p <= min(rows.n_rows, _WHITEN_UP_TO):
        if "moments" not in objective.shared:
            chunks = _sample(objective, _SAMPLE)
            mean = _mean(objective, chunks)
            objective.shared["moments"] = mean, _covariance(objective, chunks, mean)
        mean, covariance = objective.shared["moments"]
        M = objective.loss.curvature_bound(objective.targets.n_outputs) * covariance
        M[np.diag_indices(p)] += objective.ridge * objective.factors
        return Whitened(objective, mean, _inverse_root(M, unpenalised=objective.unpenalised))
    centre = None if rows.is_sparse else _mean(objective, _sample(objective, _SAMPLE))
    square = _mean_square(objective)
    if not np.isfinite(square):
        raise ValueError("X holds values whose squares overflow: divide it by a power of ten.")
    # Where rounding takes the centred norm, the plain one is unit enough.
    centred = square - (0.0 if centre is None else centre @ centre)
    scale = np.sqrt(centred if centred > _CONSTANT * square else square) or 1.0
    return Whitened(objective, centre, float(1 / scale))


def only_centre(objective: Objective) -> Whitened:
    """Return variables for `Jointly` at every point, which does the rest."""
    if not np.isfinite(_mean_square(objective)):
        return precondition(objective)  # which says where
    return Whitened(objective, _mean(objective, _sample(objective, _SAMPLE)), 1.0)


def _mean_square(objective: Objective) -> float:
    """Weighted mean of ||x||^2."""
    with np.errstate(over="ignore"):
        return objective.rows.square(objective.targets.weights) / objective.targets.total_weight


def take_sample(objective: Objective, n_rows: int) -> Objective:
    """Return a sample of at least `n_rows` rows, or all rows where these are too few or small.

    Source: sub-sampled Newton methods (Roosta-Khorasani and Mahoney, *Sub-sampled Newton methods*,
    Mathematical Programming, 2019).
    """
    rows = objective.rows
    n, m = rows.n_rows, max(n_rows, rows.n_rows // 16)
    work = n * objective.targets.n_outputs * rows.n_columns
    if 3 * m > n or work < _WORTH_SAMPLING or rows.nbytes / n * m > _SAMPLE_BYTES:
        return objective
    weights = objective.targets.weights
    sample = np.sort(np.random.default_rng(1).choice(n, m, replace=False))
    return objective.sample(sample) if weights[sample].any() else objective


def class_whitening_cost(objective: Objective) -> float:
    """Cost of `precondition_classes` in Hessian products; infinite where it takes too much memory.

    By the operations, with those of the matrices, which are in one large product, at half price,
    and what a small problem spends between operations.
    """
    rows, K = objective.rows, objective.targets.n_outputs
    size = rows.n_columns + objective.fit_intercept
    if 8 * K * size**2 > _CLASS_MATRICES:
        return np.inf
    return 4 + min(1, _rows_for_classes(objective) / rows.n_rows) * size / 8


def _rows_for_classes(objective: Objective) -> int:
    """Rows for the matrices of the classes, each of which sees few rows that may be in it."""
    return max(1000, min(10 * objective.size, _SAMPLE))


def joint_whitening_cost(objective: Objective) -> float:
    """Cost of `Jointly` in Hessian products; infinite where it takes too much memory.

    Next to none in problems so small that a call costs more than its arithmetic.
    """
    size = objective.size
    if 8 * size**2 > _JOINT_MATRIX:
        return np.inf
    small = size <= _SMALL_SIZE and objective.rows.n_rows * size**2 <= _SMALL_WORK
    return 0.0 if small else size / 8


class Jointly:
    """Whitens all classes together, after which the Hessian at the point is the identity."""

    def __init__(self, inner: Whitened, objective: Objective):
        n, size = objective.rows.n_rows, objective.size
        self.inner = inner
        self.objective = objective
        self.penalty = _penalty(inner)
        self.spans = list(blocks(n, max(1, _JOINT_BLOCK // size)))
        self.kept = self._chunk(self.spans[0]) if len(self.spans) == 1 else None

    def _chunk(self, span: tuple[int, int]) -> tuple[NDArray, NDArray, NDArray, TargetBlock]:
        X = self.objective.rows.dense(np.arange(*span))
        Z = _in_variables(self.inner, X)
        t = self.objective.targets.block(*span)
        return np.ascontiguousarray(X.T), Z, np.ascontiguousarray(Z.T), t

    def at(self, theta: NDArray) -> ClassWhitened:
        """Whiten at theta."""
        loss, S = self.objective.loss, self.objective.targets.total_weight
        W, b = self.objective.unpack(theta)
        K, p = W.shape
        size = self.objective.size
        M: NDArray = np.zeros((size, size))
        own: NDArray = np.zeros(())
        for span in self.spans:
            XT, Z, ZT, t = self.kept or self._chunk(span)
            state = loss.curvature(W @ XT + b[:, None], t)
            F = loss.curvature_between(state, t)
            if F is not None:
                B = (ZT * (F / np.sqrt(S))[:, None]).reshape(size, -1)
                M -= B @ B.T
            own = own + (ZT * (loss.curvature_diagonal(state, t) / S)[:, None]) @ Z
        own[:, :p, :p] += self.penalty
        p1 = size // K
        M = M.reshape(K, p1, K, p1)
        for k in range(K):
            M[k, :, k] = own[k]
        shift_curvature = np.zeros(p1)
        if self.objective.targets.loss == "categorical":
            # A shift of all classes has the curvature that products give it, and no penalty: as
            # much as the classes have or, without a penalty, as they have at equal probabilities,
            # so that the diagonal grows and what little is added to it holds the steps back.
            shift_curvature = np.einsum("kii->i", own) / K if self.objective.ridge else np.ones(p1)
            shift = np.diag(shift_curvature)
            shift[:p, :p] -= self.penalty
            M += shift[:, None] / K
        T = _inverse_cholesky(M.reshape(1, size, size), unpenalised=self.objective.unpenalised)
        return ClassWhitened(self.inner, T, shift_curvature)


def _in_variables(inner: Whitened, X: NDArray) -> NDArray:
    """Rows of X in the variables of a `Whitened`, with a column of ones for the intercept."""
    Z = np.ones((len(X), X.shape[1] + inner.objective.fit_intercept))
    centred = X if inner.mean is None else X - inner.mean
    _times(centred, _transposed(inner.Q), Z[:, : X.shape[1]])
    return Z


def _penalty(inner: Whitened) -> NDArray:
    """Hessian of the penalty for one class in the variables of a `Whitened`."""
    Q = inner.Q * np.eye(inner.objective.rows.n_columns) if isinstance(inner.Q, float) else inner.Q
    objective = inner.objective
    return objective.ridge * (Q.T @ (objective.factors[:, None] * Q))


def precondition_classes(inner: Whitened, objective: Objective, theta: NDArray) -> ClassWhitened:
    """Whiten each class with the curvature that a sample of rows has at theta."""
    targets = objective.targets
    W, b = objective.unpack(theta)
    K, p = W.shape
    size = p + objective.fit_intercept
    M = np.zeros((K, size, size))
    classes = list(blocks(K, max(1, _CLASS_BLOCK // size**3)))
    for indices, share in _sample(objective, _rows_for_classes(objective)):
        X = objective.rows.dense(indices)
        Z = _in_variables(inner, X)
        t = targets.take(indices).block(0, len(indices))
        state = objective.loss.curvature(W @ X.T + b[:, None], t)
        a = objective.loss.curvature_diagonal(state, t)
        a = a * _per_weight(share, targets.weights[indices])

        def add(span: tuple[int, int]) -> None:
            for k in range(*span):
                weights = a[k]  # noqa: B023
                matter = np.flatnonzero(weights > _LITTLE_CURVATURE * weights.mean())
                # Fewer would leave directions without any curvature.
                some = matter if len(matter) > 4 * size else slice(None)
                M[k] += (Z[some].T * weights[some]) @ Z[some]  # noqa: B023

        list(threads.map(add, classes))
    penalty = _penalty(inner)

    def factor(span: tuple[int, int]) -> None:
        few = slice(*span)
        M[few, :p, :p] += penalty
        M[few] = _inverse_cholesky(M[few], unpenalised=objective.unpenalised)

    list(threads.map(factor, classes))
    return ClassWhitened(inner, M)


def _per_weight(share: NDArray, weights: NDArray) -> NDArray:
    """Return what turns the mass of rows into their share of the sample, zero for no mass."""
    return np.divide(share, weights, out=np.zeros_like(share), where=weights > 0)


def _inverse_cholesky(M: NDArray, *, unpenalised: bool) -> NDArray:
    """L^-1 with L L' = M, for matrices that are given a unit diagonal and a trace of rounding."""
    diagonal = np.einsum("kii->ki", M)
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = M * scale[:, None] * scale[:, :, None]
    np.einsum("kii->ki", scaled)[:] = 1 + (_JITTER_WITHOUT_PENALTY if unpenalised else _JITTER)
    L = np.linalg.cholesky(scaled)
    for k in range(len(L)):
        L[k] = dtrtri(L[k].T)[0].T  # L[k].T is upper triangular, in the order that LAPACK reads
    L *= scale[:, None]
    return L


def _sample(objective: Objective, most: int) -> list[tuple[NDArray, NDArray]]:
    """Rows to estimate mu and Sigma from, in chunks, each with weights that sum to 1 over all."""
    weights, n = objective.targets.weights, objective.rows.n_rows
    sample = np.arange(n)
    if n > most:
        sample = np.sort(np.random.default_rng(0).choice(n, most, replace=False))
        if not weights[sample].any():
            sample = np.flatnonzero(weights)[:most]
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


def _inverse_root(M: NDArray, *, unpenalised: bool) -> NDArray:
    """Q with Q Q' = M^-1; M is scaled to a unit diagonal first.

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
    return U * (kept / root) / scale[:, None]
