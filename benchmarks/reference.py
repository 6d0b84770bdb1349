"""The reference for all peers: the objective, and an independent method for its minimum.

Nothing here uses skce. For rows x_i, targets t_i and logits z_i = W x_i + b

    F(W, b) = C * sum_i (logsumexp(z_i) - t_i . z_i) + 1/2 ||W||^2

With two classes and a single row of coefficients, z_i = (0, w . x_i + b). The minimiser is a damped
Newton method in float64 on centred and whitened columns. The penalty is transformed exactly by the
change of variables. The last Newton decrement, g' H^-1 g / 2, shows how accurate the minimum is.

With the L1 penalty ||W||_1 in place of ||W||^2 / 2, a given point is only improved here, by
`polish`. `dual_gap` bounds its distance from the minimum.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve, solve_triangular
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import entr, logsumexp, softmax

#: A NumPy array or a CSR matrix.
Features = Any

#: Rows of a block, so that temporary arrays are small compared with the data.
_BLOCK = 2048
#: The most unknowns for which the Hessian is computed and factorised: always, and if conjugate
#: gradients need many products.
_DENSE, _DENSE_IF_HARD = 1500, 8000
_HARD, _MOST_PRODUCTS = 300, 5000
#: The most columns for which X is whitened. With more, columns are scaled.
_WHITE = 2000
#: Newton steps that optimise the intercepts for given coefficients.
_INTERCEPT_STEPS = 5
#: Newton steps that optimise coefficients of known signs.
_POLISHING_STEPS = 3
#: The most entries of sparse X for which X is made dense, so that it can be centred and whitened.
_SMALL = 10_000_000


def codes(y: NDArray) -> NDArray:
    """Labels as integers from 0; probabilities as they are."""
    return y if y.ndim == 2 else np.unique(y, return_inverse=True)[1]


def objective(
    X: Features, y: NDArray, W: NDArray, b: NDArray, C: float, *, l1_ratio: float = 0.0
) -> float:
    """F at (W, b), in float64 for any dtype of X.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, p)
    y : ndarray of shape (n,) or (n, K)
        Labels, or probabilities of the classes.
    W : ndarray of shape (K, p) or, for two classes, (1, p)
    b : ndarray of shape (K,) or (1,)
    C : float
    l1_ratio : {0.0, 1.0}
        1 for the L1 penalty in place of L2.
    """
    t = codes(y)
    W, b = np.asarray(W, dtype=np.float64), np.asarray(b, dtype=np.float64)
    loss = 0.0
    for start in range(0, X.shape[0], _BLOCK):
        rows = slice(start, start + _BLOCK)
        z = X[rows].astype(np.float64) @ W.T + b
        if len(W) == 1:
            z = np.hstack([np.zeros_like(z), z])
        loss += _cross_entropy(z, t[rows])
    return C * loss + float(np.abs(W).sum() if l1_ratio else np.vdot(W, W) / 2)


def polish(X: Features, y: NDArray, W: NDArray, b: NDArray, C: float) -> tuple[NDArray, NDArray]:
    """Take Newton steps with an L1 penalty on the coefficients that are not zero.

    Their signs stay as given. For parameters and results see `dual_gap`. y must hold labels.
    """
    t = codes(y)
    W, b = np.array(W, dtype=np.float64), np.array(b, dtype=np.float64)
    single = len(W) == 1
    outputs, columns = np.nonzero(W)
    signs = np.sign(W[outputs, columns])
    used, places = np.unique(columns, return_inverse=True)
    Z = X[:, used].astype(np.float64)
    squares = Z.power(2).sum(axis=0) if sp.issparse(Z) else (Z**2).sum(axis=0)
    scale = np.sqrt(np.asarray(squares).ravel())
    # The intercept is a coefficient of a last column, of ones.
    k_of = np.concatenate([outputs, np.arange(len(b))])
    j_of = np.concatenate([places, np.full(len(b), len(used))])
    for _ in range(_POLISHING_STEPS):
        g, H = np.zeros(len(k_of)), np.zeros((len(k_of), len(k_of)))
        for start in range(0, X.shape[0], _BLOCK):
            Z = X[start : start + _BLOCK][:, used]
            Z = (Z.toarray() if sp.issparse(Z) else Z).astype(np.float64)
            z = Z @ W[:, used].T + b
            Z = np.column_stack([Z / scale, np.full(len(Z), 1 / np.sqrt(X.shape[0]))])
            P = softmax(np.hstack([np.zeros_like(z), z]) if single else z, axis=1)
            T = np.eye(P.shape[1])[t[start : start + _BLOCK]]
            R = (P - T)[:, -len(W) :]
            F = P[:, -len(W) :][:, k_of] * Z[:, j_of]
            g += (R[:, k_of] * Z[:, j_of]).sum(axis=0)
            H -= F.T @ F
            for k in range(len(W)):
                own = np.flatnonzero(k_of == k)
                H[np.ix_(own, own)] += F[:, own].T @ Z[:, j_of[own]]
        g[: len(signs)] += signs / scale[places] / C
        step = -np.linalg.lstsq(H, g, rcond=1e-14)[0]
        new = W[outputs, columns] + step[: len(signs)] / scale[places]
        W[outputs, columns] = np.where(np.sign(new) == signs, new, 0)
        b += step[len(signs) :] / np.sqrt(X.shape[0])
    return W, b


def dual_gap(X: Features, y: NDArray, W: NDArray, b: NDArray, C: float) -> float:
    """F at (W, b) with an L1 penalty, minus a lower bound of its minimum.

    For any Q with rows in the simplex, |X' (Q - T)| <= 1 / C and columns of Q - T that sum to zero,
    C * sum_i entropy(q_i) is a lower bound of F. The probabilities at the minimum attain it. Here
    the probabilities at (W, b), with the best intercept for this W, are moved towards the targets T
    until they are such a Q.

    Source: Fenchel's duality (Boyd and Vandenberghe, *Convex Optimization*, 2004, section 5.1.6).

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, p)
    y : ndarray of shape (n,)
        Labels.
    W : ndarray of shape (K, p) or, for two classes, (1, p)
    b : ndarray of shape (K,) or (1,)
    C : float
    """
    t = codes(y)
    T = np.eye(t.max() + 1)[t]
    W, b = np.asarray(W, dtype=np.float64), np.asarray(b, dtype=np.float64)
    z = X @ W.T
    if len(W) == 1:
        z, b = np.hstack([np.zeros_like(z), z]), np.append(0, b)
    for _ in range(_INTERCEPT_STEPS):
        P = softmax(z + b, axis=1)
        H = np.diag(P.sum(axis=0)) - P.T @ P
        b = b - np.linalg.lstsq(H, (P - T).sum(axis=0), rcond=1e-12)[0]
    P = softmax(z + b, axis=1)
    steepest = C * max(np.abs(X.T @ (P - T)[:, -len(W) :]).max(), 1 / C)
    Q = T + (P - T) / steepest
    value = C * _cross_entropy(z + b, t) + np.abs(W).sum()
    return float(value - C * entr(Q).sum())


@dataclass
class Optimum:
    """The lowest point that was found.

    Attributes
    ----------
    objective : float
    decrement : float
        Last Newton decrement, relative to the objective.
    W, b : ndarray
    n_iter : int
    """

    objective: float
    decrement: float
    W: NDArray
    b: NDArray
    n_iter: int


def minimum(
    X: Features,
    y: NDArray,
    C: float,
    *,
    start: tuple[NDArray, NDArray] | None = None,
    tol: float = 1e-12,
    limit: float = 1800.0,
) -> Optimum:
    """Minimise F until the Newton decrement is at most tol * F.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, p)
    y : ndarray of shape (n,) or (n, K)
        Labels, or probabilities of the classes.
    C : float
    start : tuple of W and b, default=None
        The start. The default is zero.
    tol : float
    limit : float
        Seconds after which the best point so far is returned.
    """
    problem = _Whitened(X, codes(y), C)
    theta = np.zeros(problem.shape) if start is None else problem.whiten(*start)
    theta, decrement, n_iter = _newton(problem, theta, tol, time.perf_counter() + limit)
    W, b = problem.unwhiten(theta)
    value = objective(X, y, W, b, C)
    return Optimum(value, decrement / value, W, b, n_iter)


class _Whitened:
    """F in coordinates in which its Hessian at zero is close to the identity.

    The logits are z_i = Q theta (R (x_i - mean), unit). The columns of Q are orthonormal and sum to
    zero, as the rows of W do at the optimum; for a single row of coefficients Q is (0, 1)'. Hence
    W = Q V R with V all but the last column of theta, and ||W||^2 = tr(V R R' V').
    """

    def __init__(self, X: Features, t: NDArray, C: float):
        n, p = X.shape
        K = t.shape[1] if t.ndim == 2 else int(t.max()) + 1
        self.t, self.C = t, C
        self.single = K == 2 and t.ndim == 1
        self.Q = np.array([[0.0], [1.0]]) if self.single else _contrasts(K)
        self.shape = self.Q.shape[1], p + 1
        curvature = C * (K - 1) / K**2
        self.unit = 1 / np.sqrt(curvature * n)
        X = X.astype(np.float64)
        if sp.issparse(X) and n * p <= _SMALL:
            X = X.toarray()
        if sp.issparse(X):
            self.mean = np.zeros(p)
            scale = 1 / np.sqrt(curvature * np.asarray(X.power(2).sum(axis=0)).ravel() + 1)
            self.R = sp.diags_array(scale)
        else:
            self.mean = X.mean(axis=0)
            X -= self.mean  # X is a copy
            if p <= _WHITE:
                self.R = _inverse_root(curvature * (X.T @ X) + np.eye(p))
            else:
                self.R = sp.diags_array(1 / np.sqrt(curvature * (X * X).sum(axis=0) + 1))
        self.X = X @ self.R.T
        self.penalty = self.R @ self.R.T

    def whiten(self, W: NDArray, b: NDArray) -> NDArray:
        """Theta of the given coefficients."""
        W, b = W.astype(np.float64), b.astype(np.float64)
        b = b + W @ self.mean
        if len(W) != len(self.Q):  # a single row
            W, b = np.vstack([0 * W, W]), np.append(0, b)
        V, c = self.Q.T @ W, self.Q.T @ b
        if sp.issparse(self.R):
            V = V / self.R.diagonal()
        else:
            V = solve_triangular(self.R, V.T, trans="T", lower=True).T
        return np.column_stack([V, c / self.unit])

    def unwhiten(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """W and b of theta."""
        W = self.Q @ (theta[:, :-1] @ self.R)
        b = self.Q @ theta[:, -1] * self.unit - W @ self.mean
        return (W[1:], b[1:]) if self.single else (W, b)

    def value(self, theta: NDArray) -> float:
        """F."""
        z = self._logits(theta) @ self.Q.T
        penalty = float(np.vdot(theta[:, :-1], self._penalise(theta))) / 2
        return self.C * _cross_entropy(z, self.t) + penalty

    def gradient(self, theta: NDArray) -> tuple[NDArray, NDArray]:
        """Gradient of F, and the probabilities, which Hessians need."""
        P = softmax(self._logits(theta) @ self.Q.T, axis=1)
        residual = P - self.t if self.t.ndim == 2 else P.copy()
        if self.t.ndim == 1:
            own = np.arange(len(P)), self.t
            residual[own] = 0
            residual[own] = -residual.sum(axis=1)  # P - 1 to full accuracy
        return self._back(residual @ self.Q, theta), P

    def hessian_product(self, P: NDArray, v: NDArray) -> NDArray:
        """Hessian times v."""
        dz = self._logits(v) @ self.Q.T
        dz -= (P * dz).sum(axis=1, keepdims=True)
        return self._back((P * dz) @ self.Q, v)

    def hessian(self, P: NDArray) -> NDArray:
        """Hessian, shape (theta.size, theta.size), for dense X."""
        m, width = self.shape
        H = np.zeros((m, width, m, width))
        for start in range(0, len(P), _BLOCK):
            p, x = P[start : start + _BLOCK], self.X[start : start + _BLOCK]
            x = np.column_stack([x, np.full(len(x), self.unit)])
            mean = p @ self.Q
            B = np.einsum("ik,ka,kb->iab", p, self.Q, self.Q, optimize=True)
            B -= mean[:, :, None] * mean[:, None, :]
            for k in range(m):
                for j in range(k + 1):
                    H[k, :, j] += (x * B[:, k, j, None]).T @ x
        for k in range(m):
            for j in range(k):
                H[j, :, k] = H[k, :, j]
        H *= self.C
        for k in range(m):
            H[k, :-1, k, :-1] += self.penalty
        return H.reshape(m * width, m * width)

    def _logits(self, theta: NDArray) -> NDArray:
        return self.X @ theta[:, :-1].T + theta[:, -1] * self.unit

    def _back(self, residual: NDArray, theta: NDArray) -> NDArray:
        """C times the product of the residuals with X, plus the gradient of the penalty."""
        W_part = self.C * (self.X.T @ residual).T + self._penalise(theta)
        return np.column_stack([W_part, self.C * self.unit * residual.sum(axis=0)])

    def _penalise(self, theta: NDArray) -> NDArray:
        return theta[:, :-1] @ self.penalty


def _newton(
    problem: _Whitened, theta: NDArray, tol: float, deadline: float
) -> tuple[NDArray, float, int]:
    """Take damped Newton steps until the decrement is at most tol * F."""
    value, decrement, n_iter = problem.value(theta), np.inf, 0
    while time.perf_counter() < deadline:
        g, P = problem.gradient(theta)
        step = _newton_step(problem, g, P, np.sqrt(decrement / value))
        decrement = -float(np.vdot(g, step)) / 2
        length = 1.0
        while (
            not (new := problem.value(theta + length * step)) <= value - 1e-4 * length * decrement
        ):
            length /= 2
            if length < 1e-4:  # F changes only by rounding
                return theta, decrement, n_iter
        theta, value, n_iter = theta + length * step, new, n_iter + 1
        if decrement <= tol * value:
            break
    return theta, decrement, n_iter


def _newton_step(problem: _Whitened, g: NDArray, P: NDArray, accuracy: float) -> NDArray:
    """Return -H^-1 g, exactly, or by conjugate gradients to a relative residual."""
    can_be_dense = not sp.issparse(problem.X) and g.size <= _DENSE_IF_HARD
    if can_be_dense and g.size <= _DENSE:
        return _exact_step(problem, g, P)
    H = LinearOperator(
        (g.size, g.size),
        matvec=lambda v: problem.hessian_product(P, v.reshape(g.shape)).ravel(),
        dtype=np.float64,
    )
    rtol = float(np.clip(accuracy, 1e-4, 0.1))
    maxiter = _HARD if can_be_dense else _MOST_PRODUCTS
    step, failed = cg(H, -g.ravel(), rtol=rtol, maxiter=maxiter)
    if failed and can_be_dense:
        return _exact_step(problem, g, P)
    return step.reshape(g.shape)


def _exact_step(problem: _Whitened, g: NDArray, P: NDArray) -> NDArray:
    H = problem.hessian(P)
    try:
        return solve(H, -g.ravel(), assume_a="pos").reshape(g.shape)
    except LinAlgError:
        H[np.diag_indices(len(H))] += 1e-13 * np.trace(H) / len(H)
        return solve(H, -g.ravel(), assume_a="sym").reshape(g.shape)


def _cross_entropy(z: NDArray, t: NDArray) -> float:
    """Sum of logsumexp(z_i) - t_i . z_i, for probabilities or for codes.

    A row that is classified with certainty has a loss as small as exp(-40), which a difference of
    logits cannot represent. For codes it is log(1 + sum of exp(z_ij - z_it)) over the other
    classes.
    """
    if t.ndim == 2:
        return float(logsumexp(z, axis=1).sum() - np.vdot(t, z))
    rows = np.arange(len(z))
    others = z - z[rows, t][:, None]
    others[rows, t] = -np.inf
    return float(np.logaddexp(0, logsumexp(others, axis=1)).sum())


def _contrasts(K: int) -> NDArray:
    """Orthonormal columns that sum to zero, shape (K, K - 1)."""
    return np.linalg.qr(np.eye(K) - 1 / K)[0][:, : K - 1]


def _inverse_root(M: NDArray) -> NDArray:
    """Lower triangular R with R M R' = 1, for columns of very different scales."""
    d = 1 / np.sqrt(M.diagonal())
    correlations = d[:, None] * M * d
    jitter = 0.0
    while True:
        try:
            L = cholesky(correlations + jitter * np.eye(len(M)), lower=True)
            return solve_triangular(L, np.diag(d), lower=True)
        except LinAlgError:
            jitter = max(10 * jitter, 1e-14)
