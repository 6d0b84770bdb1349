"""An exact change of variables: the same objective in better units.

From a point theta_0 solvers move by a direction v in their own variables, theta = theta_0 + T v.
T only decides how fast the optimum is reached. There are two changes of variables, one inside the
other.

`Whitened` is the same for all classes. With mu the mean of the columns, Sigma their covariance and
h the curvature of the loss at equal probabilities,

    W = V Q',    b = b' - W mu,    Q Q' = (h * Sigma + ridge * F)^-1

with F the diagonal of the factors of the penalty. With fewer rows than columns the optimum lies in
the space that the rows of X F^-1 span, and Q has as many columns as that space has dimensions. If
there are many rows and many columns, Q is diagonal.

`ClassWhitened` uses the curvature a_ik = m_i p_ik (1 - p_ik) that each row i has for class k at
one point. With x~ = (Q'(x - mu), 1) it is, for each class,

    (V_k, b'_k) = U_k L_k^-1,    L_k L_k' = 1/S * sum_i a_ik x~_i x~_i' + ridge * (Q'Q, 0)

so that the block of the Hessian of each class becomes the identity, and no eigenvalue of the whole
Hessian exceeds 2 (p_k (1 - p_k) is the sum of the p_k p_j of its row). On letter (20 000, 16, 26) a
gap of 1e-6 took 70 Hessian products, and 800 with `Whitened` alone. `Jointly` makes one matrix for
all classes, with which the whole Hessian becomes the identity.

X is not changed: the changes of variables act on W and on the gradient, (K, n_features) arrays.

Source: preconditioning by whitening and by diagonal blocks (Nocedal and Wright, *Numerical
Optimization*, 2006, section 7.1; Boyd and Vandenberghe, *Convex Optimization*, 2004, section 9.4).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import eigh, qr
from scipy.linalg.lapack import dtrtri

from .._costs import Costs
from .._data import Block
from .._problem import kernels
from .._problem.objective import Hessian, Objective
from .._problem.penalty import mean_of_classes
from .._threads import Span, blocks, threads

#: A function that takes a vector and returns its product with the Hessian.
Product = Callable[[NDArray], NDArray]


class Whitened:
    """A change of variables whose T is the same for all classes.

    Parameters
    ----------
    objective : Objective
    mean : ndarray of shape (n_features,), or None
        mu above; None for zeros.
    Q : float or ndarray of shape (n_features,) or (n_features, width)
        A number stands for a multiple of the identity, a vector for a diagonal matrix.
    variance : ndarray of shape (n_features,), default=None
        Variance of the columns; None if it is not known.
    """

    def __init__(
        self,
        objective: Objective,
        mean: NDArray | None,
        Q: NDArray | float,
        variance: NDArray | None = None,
    ):
        self.objective = objective
        self.mean = mean
        self.Q = Q
        self._Q: Any = Q
        if isinstance(Q, np.ndarray) and Q.ndim == 2:
            self._Q = objective.data.matrix(Q)
        self.variance = variance
        self.spread = _spread(objective, variance)
        #: The columns whose mean is not zero, if there are few of them, as in sparse X.
        self._centred: NDArray | None = None
        if mean is not None and 2 * np.count_nonzero(mean) < len(mean):
            self._centred = np.flatnonzero(mean)
        #: Orthonormal axes, and lengths with which Q = axes * lengths, if Q was made of these.
        self.axes: NDArray | None = None
        self.lengths = np.ones(0)
        #: Share of the penalty in the curvature of each variable, if the variables are along the
        #: eigenvectors of the penalty.
        self.penalties: NDArray | None = None
        #: Whether only the loss can give a direction almost no curvature.
        self.white = np.ndim(Q) == 2
        #: By which factor `missed` may exceed what a sum misses, if the Ritz values agree.
        single = objective.data.dtype == np.float32
        self.trust = objective.costs.trust if self.white and single else 1.0
        self.width = (
            Q.shape[1] if isinstance(Q, np.ndarray) and Q.ndim == 2 else objective.data.n_columns
        )
        #: Positions of V, shape (K, width), and b' in the vector of variables.
        self.layout = replace(objective.layout, n_columns=self.width)

    @property
    def size(self) -> int:
        """Number of variables."""
        return self.layout.size

    def of(self, objective: Objective) -> Whitened:
        """Return the same variables, of the same rows, for an objective with another penalty."""
        other = copy(self)
        other.objective, other.spread = objective, _spread(objective, self.variance)
        return other

    def to_user(self, v: NDArray) -> NDArray:
        """Return T v, a direction in the variables of the objective."""
        V, b = self.layout.unpack(v)
        user = np.empty(self.objective.layout.size, v.dtype)
        W, c = self.objective.layout.unpack(user)
        _times(V, _transposed(self._Q), W)
        if self.mean is None:
            c[:] = b
        elif self._centred is None:
            c[:] = b - W @ self.mean
        else:
            c[:] = b - W[:, self._centred] @ self.mean[self._centred]
        return user

    def from_user(self, direction: NDArray) -> NDArray:
        """Return the v with T v = direction, if the axes are known."""
        W, c = self.objective.layout.unpack(direction)
        V = W @ self.axes / self.lengths
        return self.layout.pack(V, c if self.mean is None else c + W @ self.mean)

    def gradient(self, gradient: NDArray) -> NDArray:
        """Return T' g, the gradient with respect to the variables of the solver."""
        G, g = self._less_mean(gradient)
        own = np.empty(self.size, gradient.dtype)
        W, c = self.layout.unpack(own)
        _times(G, self._Q, W)
        c[:] = g
        return own

    def missed(self, residual: NDArray, rounding: float = 0.0) -> float:
        """Return an upper bound of r' H^-1 r / 2.

        It is infinite unless all coefficients have an L2 penalty. With `rounding`, that share of
        the size of each column is taken off the residual first.

        H minus its ridge is positive semi-definite. So after the intercepts are solved for, the
        part of r on W adds at most |r_W|^2 / (2 ridge). To solve for an intercept changes that part
        by at most about a standard deviation of each column times the residual of the intercept.
        The bound does not contain what the intercepts alone can gain.
        """
        objective = self.objective
        if objective.penalty.unpenalised:
            return np.inf
        G, g = self._less_mean(residual)
        if rounding and self.variance is not None:
            size = self.variance if self.mean is None else self.variance + self.mean**2
            G = np.maximum(np.abs(G) - rounding * np.sqrt(size), 0)
        square = float(np.square(G).sum(axis=0) @ (1 / objective.penalty.factors))
        intercepts = float(g @ g) if objective.layout.fit_intercept else 0.0
        square += intercepts * self.spread if intercepts else 0.0
        return square / (2 * objective.penalty.ridge)

    def product(self, hessian: Product, v: NDArray) -> tuple[NDArray, NDArray]:
        """Return T' H T v, and H T v."""
        curved = hessian(self.to_user(v))
        return self.gradient(curved), curved

    def _less_mean(self, gradient: NDArray) -> tuple[NDArray, NDArray]:
        """Return the gradient for coefficients of centred columns, and for intercepts."""
        G, g = self.objective.layout.unpack(gradient)
        if self.mean is None:
            return G, g
        if self._centred is None:
            return G - np.multiply.outer(g, self.mean), g
        G = G.copy()
        G[:, self._centred] -= np.multiply.outer(g, self.mean[self._centred])
        return G, g


class ClassWhitened:
    """A change of variables in the variables of a `Whitened`, with a matrix for each class.

    Or with one matrix for all classes; or with a factor for each class and variable, in an array of
    two dimensions, from the mean `curvatures` of the classes.

    A shift of all classes, which softmax does not see, is taken out of directions and gradients. It
    has no curvature. If all classes share a matrix, products give the shift a curvature of the size
    that the classes have, so that rounding is not amplified along it.
    """

    def __init__(
        self,
        inner: Whitened,
        T: NDArray,
        shift_curvature: NDArray | float = 0.0,
        curvatures: NDArray | None = None,
    ):
        self.inner = inner
        self.T = T
        self._T = T if T.ndim == 2 else inner.objective.data.matrix(T)
        self.shift_curvature = shift_curvature
        self.curvatures = curvatures

    @property
    def size(self) -> int:
        """Number of variables."""
        return self.inner.size

    @property
    def trust(self) -> float:
        """The `trust` of the inner variables."""
        return self.inner.trust

    @property
    def white(self) -> bool:
        """The `white` of the inner variables."""
        return self.inner.white

    def of(self, objective: Objective) -> ClassWhitened:
        """Return the same variables, of the same rows, for an objective with another penalty."""
        return ClassWhitened(
            self.inner.of(objective), self.T, self.shift_curvature, self.curvatures
        )

    def to_user(self, v: NDArray) -> NDArray:
        """Return T v, a direction in the variables of the objective."""
        return self._split(v)[0]

    def gradient(self, gradient: NDArray) -> NDArray:
        """Return T' g, the gradient with respect to the variables of the solver."""
        return self._times(self._by_class(gradient))

    def missed(self, residual: NDArray, rounding: float = 0.0) -> float:
        """Return the upper bound of r' H^-1 r / 2 of the inner variables."""
        return self.inner.missed(residual, rounding)

    def product(self, hessian: Product, v: NDArray) -> tuple[NDArray, NDArray]:
        """Return T' H T v, and H T v."""
        direction, shift = self._split(v)
        curved = hessian(direction)
        return self._times(self._by_class(curved) + shift * self.shift_curvature), curved

    def _split(self, v: NDArray) -> tuple[NDArray, NDArray | float]:
        """Return T v without a shift of all classes, and this shift in the inner variables."""
        objective = self.inner.objective
        if self.T.ndim == 2:
            V = v.reshape(self.T.shape) * self.T
        else:
            V = (v.reshape(len(self.T), 1, -1) @ self._T).reshape(objective.layout.n_outputs, -1)
        shift: NDArray | float = 0.0
        if objective.loss.shift_invariant:
            shift = mean_of_classes(V)
            V -= shift
        if objective.layout.fit_intercept:
            V = objective.layout.pack(V[:, :-1], V[:, -1])
        return self.inner.to_user(V.ravel()), shift

    def _by_class(self, gradient: NDArray) -> NDArray:
        """Return the gradient in the inner variables, a row for each class."""
        objective = self.inner.objective
        G, g = self.inner.layout.unpack(self.inner.gradient(gradient))
        if objective.layout.fit_intercept:
            G = np.concatenate([G, g[:, None]], axis=1)
        return G - mean_of_classes(G) if objective.loss.shift_invariant else G

    def _times(self, G: NDArray) -> NDArray:
        if self.T.ndim == 2:
            return (self.T * G).ravel()
        return (self._T @ G.reshape(len(self.T), -1, 1)).ravel()


def _spread(objective: Objective, variance: NDArray | None) -> float:
    """Return the sum of the variances of the columns in units of the penalty: sum_j v_j / f_j."""
    if variance is None or objective.penalty.unpenalised:
        return np.inf
    return float((variance / objective.penalty.factors).sum())


def _transposed(Q: Any) -> Any:
    return Q.T if getattr(Q, "ndim", 0) == 2 else Q


Whitening = Whitened | ClassWhitened


def _times(A: NDArray, Q: Any, out: NDArray) -> None:
    """Write A Q into out."""
    if getattr(Q, "ndim", 0) < 2:
        np.multiply(A, np.asarray(Q, A.dtype), out=out)
    elif isinstance(Q, np.ndarray):
        np.matmul(A, Q, out=out)
    else:
        out[:] = A @ Q


def precondition(objective: Objective) -> Whitened:
    """Choose the change of variables that is the same for all classes.

    It is full whitening, if the covariance of the columns, or the matrix of products of rows with
    each other, is small enough. If both are large, each column is centred if it is far from zero,
    and scaled by a power of its curvature.
    """
    if _has_few_rows(objective):
        return whiten_rows(objective)
    few = objective.data.n_columns <= objective.costs.whiten_up_to
    return whiten_columns(objective) if few else scale_columns(objective)


def _has_few_rows(objective: Objective) -> bool:
    """Whether there are fewer rows than columns, and few enough for a matrix of their products."""
    costs, n, p = objective.costs, objective.data.n_rows, objective.data.n_columns
    return n < p and n <= costs.whiten_up_to and n * p <= costs.row_numbers


def moments(objective: Objective) -> tuple[NDArray, NDArray]:
    """Return mean and covariance of the columns in a sample of the rows."""
    if "moments" not in objective.shared:
        mean = _mean_of_sample(objective)
        objective.shared["moments"] = mean, _covariance(objective, mean)
    return objective.shared["moments"]


def _mean_of_sample(objective: Objective) -> NDArray:
    """Return the mean of the columns in the rows of `moments`."""
    if "mean of sample" not in objective.shared:
        objective.shared["mean of sample"] = _mean(objective, _moment_rows(objective))
    return objective.shared["mean of sample"]


def _moment_rows(objective: Objective) -> int:
    """Return how many rows to use for means and covariances."""
    costs = objective.costs
    if not has_large_classes(objective):
        return costs.moment_rows
    # A rough covariance is enough, and saves much of the time.
    fewer = costs.moment_rows_per_column * objective.data.n_columns
    return min(costs.moment_rows, max(costs.fewest_moment_rows, fewer))


def _typical_hessian(objective: Objective) -> tuple[NDArray, NDArray, NDArray]:
    """Return mean and covariance of the columns, and h * Sigma + ridge * F."""
    mean, covariance = moments(objective)
    M = objective.loss.curvature_bound(objective.layout.n_outputs) * covariance
    M[np.diag_indices(len(M))] += objective.penalty.curvature
    return mean, covariance, M


def whiten_columns(objective: Objective) -> Whitened:
    """Whiten by the covariance of the columns."""
    if objective.data.distance:
        return whiten_collinear_columns(objective)
    mean, covariance, M = _typical_hessian(objective)
    Q = _inverse_root(M, objective)
    if Q is None:
        return whiten_collinear_columns(objective)
    return Whitened(objective, mean, Q, covariance.diagonal())


def columns_whitening_cost(base: Whitened, objective: Objective) -> float:
    """Cost of `whiten_many_columns` in Hessian products; infinite if it takes too much memory.

    Operations are counted. Large products of matrices do many more of them in the same time.
    """
    data, costs = objective.data, objective.costs
    p = data.n_columns
    if np.ndim(base.Q) == 2 or p > costs.whiten_late:
        return np.inf
    products = costs.whiten_worth[data.is_sparse] * objective.work_per_pass
    return 2 * p**2 * (min(data.n_rows, costs.moment_rows) + p) / products


def _vary(objective: Objective, columns: NDArray) -> NDArray:
    """Whether the values of each column differ in rows of positive weight.

    Without an intercept: whether they differ from 0.
    """
    part = objective.data.columns(columns)
    start = np.inf if objective.layout.fit_intercept else 0.0
    below, high = np.reshape(part.maximum(kernels.extremes, start), (2, -1))
    return -below < high


def whiten_many_columns(objective: Objective) -> Whitened:
    """Whiten by the covariance of the columns, by a Cholesky factor instead of eigenvectors."""
    mean, covariance, M = _typical_hessian(objective)
    Q = _inverse_cholesky(M[None], objective)[0].T
    return Whitened(objective, mean, Q, covariance.diagonal())


def whiten_collinear_columns(objective: Objective) -> Whitened:
    """Whiten columns that are nearly collinear, as columns far from zero without an intercept are.

    A QR decomposition of the rows is used instead of products of columns, whose condition number is
    the square. Directions that change no logit are left out. With a penalty, the optimum has no
    part along them. Without one, only rounding would move coefficients along them.
    """
    costs, p = objective.costs, objective.data.n_columns
    h = objective.loss.curvature_bound(objective.layout.n_outputs)
    if "far" not in objective.shared:
        mean = _mean(objective, costs.moment_rows)
        R: NDArray = np.zeros((0, p))
        for block, share in objective.data.chunks(costs.matrix_rows, costs.moment_rows):
            X = (block.X.dense() - mean) * np.sqrt(share)[:, None]
            R = np.asarray(np.linalg.qr(np.concatenate([R, X]), mode="r"))
        variance = np.einsum("ij,ij->j", R, R)
        check_squares(objective, variance)
        R[:, are_constant(objective, mean, variance)] = 0
        objective.shared["far"] = mean, R
    mean, R = objective.shared["far"]
    variance = np.einsum("ij,ij->j", R, R)
    if objective.penalty.ridge > 0:
        # The optimum lies in the space of the rows in units of the penalty. In units of the columns
        # that would be another space.
        B, D = _bases(objective, R.T.copy(), variance, np.ones(len(R)), None, centred=False)
        return _in_bases(objective, mean, variance, B, D)
    norms = np.sqrt(h * variance)
    scale = np.where(norms > 0, norms, 1.0)
    _, D, B = np.linalg.svd(np.sqrt(h) * R / scale, full_matrices=False)
    kept = costs.collinear * len(D) * D.max(initial=0) < D
    Q = (B[kept] / D[kept, None]).T / scale[:, None]
    return Whitened(objective, mean, Q, variance)


def whiten_rows(objective: Objective) -> Whitened:
    """Whiten by an orthonormal basis of the space that the rows span, in units of the penalty.

    With A = sqrt(s / S) (X - mu) F^-1/2 = U D B', B of orthonormal columns, the optimum is
    W = V (h D^2 + ridge)^-1/2 B' F^-1/2 for some V. B comes from a QR decomposition of A', whose
    error is small compared with each row. With A A', small columns would be lost beside large ones.

    Columns without a penalty have a basis of their own, in units of their standard deviation. Of
    all their coefficients that give the same logits, those in the space of the rows are as good as
    any others.
    """
    free = objective.penalty.curvature == 0
    key = f"rows, {free.sum()} columns free"
    if key not in objective.shared:
        far = not objective.layout.fit_intercept and objective.data.distance > 0
        mean = _weighted_mean(objective) if far else _mean(objective)
        A, roots = np.empty((objective.data.n_columns, objective.data.n_rows)), np.zeros(0)
        for block, share in objective.data.chunks(objective.costs.matrix_rows):
            some = slice(len(roots), len(roots) + len(share))
            roots = np.concatenate([roots, np.sqrt(share)])
            A[:, some] = ((block.X.dense() - mean) * roots[some, None]).T
        square = np.einsum("jn,jn->j", A, A) + (mean**2 if far else 0)
        check_squares(objective, square)
        square[are_constant(objective, mean, square)] = 0
        centred = objective.layout.fit_intercept
        found = _bases(objective, A, square, roots, mean if far else None, centred=centred)
        objective.shared[key] = None if far else mean, square, *found
    return _in_bases(objective, *objective.shared[key])


def _bases(
    objective: Objective,
    A: NDArray,
    square: NDArray,
    roots: NDArray,
    base: NDArray | None,
    *,
    centred: bool,
) -> tuple[NDArray, NDArray]:
    """Return bases of the columns without and with a penalty, and their singular values.

    Columns with a penalty are in units of it. `square` holds the mean squares of the columns. A,
    whose rows are these columns, is overwritten. For the other arguments see `_basis`.
    """
    free = objective.penalty.curvature == 0
    scale = np.where(free, square, objective.penalty.factors)
    units = np.divide(1, np.sqrt(scale), out=np.zeros(len(scale)), where=scale > 0)
    A *= units[:, None]
    base = None if base is None else base * units
    found = [
        _basis(A, base, roots, part, free=is_free, centred=centred, costs=objective.costs)
        for part, is_free in ((free, True), (~free, False))
        if part.any()
    ]
    return np.hstack([B for B, _ in found]) * units[:, None], np.concatenate([D for _, D in found])


def _in_bases(
    objective: Objective, mean: NDArray | None, square: NDArray, B: NDArray, D: NDArray
) -> Whitened:
    """Return variables along bases, scaled by their curvature at equal probabilities."""
    free = objective.penalty.curvature == 0
    h = objective.loss.curvature_bound(objective.layout.n_outputs)
    penalty = np.where(B[free].any(axis=0), 0.0, objective.penalty.ridge)
    variables = Whitened(objective, mean, B / np.sqrt(h * D**2 + penalty), square)
    if free.any() and not free.all():
        # If a column without a penalty takes over what others do, no logit changes, and no Ritz
        # value shows it. So Ritz values are not trusted.
        variables.white, variables.trust = False, 1.0
    return variables


def _basis(
    A: NDArray,
    base: NDArray | None,
    roots: NDArray,
    part: NDArray,
    *,
    free: bool,
    centred: bool,
    costs: Costs,
) -> tuple[NDArray, NDArray]:
    """Return an orthonormal basis of the columns of A on the rows in `part`, and singular values.

    The column `base`, which may be far larger than A, is added to these columns, times `roots`. It
    gets a direction of its own, so that A keeps its digits. If `centred`, A `roots` is zero except
    for rounding. A reflection turns it into a column of its own, which is left out.

    If rows of A have very different sizes, large rows and columns come first in the QR
    decomposition. Its errors are then small compared with each row. In that case small singular
    values are rounding, and their vectors are arbitrary. So what is rounding is left out of the QR
    decomposition instead.

    Source: Cox and Higham, *Stability of Householder QR factorization for weighted least squares
    problems*, 1998.
    """
    rounding = (
        costs.collinear if free else np.finfo(np.float64).eps
    )  # a penalty holds what is rounding
    rows = np.flatnonzero(part)
    size = np.einsum("jn,jn->j", A[rows], A[rows])
    if base is not None:
        size += base[rows] ** 2
    graded = size.max(initial=0) > costs.graded**2 * size[size > 0].min(initial=np.inf)
    if graded:
        order = np.argsort(-size, kind="stable")
        rows, size = rows[order], size[order]
    some = np.flatnonzero(roots)
    columns, roots = A[np.ix_(rows, some)], roots[some]
    if centred:
        columns = _without(columns, roots)
    if base is not None:
        columns = np.column_stack([base[rows], columns])
    if graded:
        B, R, order = qr(columns, mode="economic", pivoting=True, check_finite=False)
        # A direction is kept if it has more than rounding of some row.
        units = np.sqrt(np.where(size > 0, size, np.inf))
        most = np.abs(B / units[:, None]).max(axis=0, initial=0) * np.abs(R.diagonal())
        seen = most > rounding * len(most)
        B, R = B[:, seen], R[np.ix_(seen, np.argsort(order))]
    else:
        B, R = np.linalg.qr(columns)
    if base is not None:
        R = R[:, 1:] + np.multiply.outer(R[:, 0], roots)
    inner, D, _ = np.linalg.svd(R, full_matrices=False)
    kept = (rounding * len(D) * D.max(initial=0) < D) | graded
    basis = np.zeros((len(A), int(kept.sum())))
    basis[rows] = B @ inner[:, kept]
    return basis, D[kept]


def _without(columns: NDArray, direction: NDArray) -> NDArray:
    """Return the columns after a reflection that turns the direction into one, without that one.

    Source: Golub and Van Loan, *Matrix Computations*, 2013, section 5.1.
    """
    last = int(np.abs(direction).argmax())
    v = direction / np.linalg.norm(direction)
    v[last] += np.copysign(1.0, v[last])
    others = np.arange(len(v)) != last
    turn = np.multiply.outer(columns @ v, v[others] * (2 / (v @ v)))
    return np.asarray(columns[:, others] - turn)


def scale_columns(objective: Objective) -> Whitened:
    """Centre columns far from zero, and scale all by a power of their curvature.

    In text most columns have almost no curvature except by the penalty, and a few have a thousand
    times as much. If they were scaled by the root of their curvature, all would count alike, and
    rare words would be fitted first. A power between that and no scaling takes half of the
    products.
    """
    if "scales" not in objective.shared:
        mean, square = objective.moments()
        check_squares(objective, square)
        if not objective.layout.fit_intercept:
            mean = np.zeros_like(mean)
        elif objective.data.is_sparse:  # centring takes time, and only large means are worth it
            mean[mean**2 <= square / 2] = 0
        variance = variance_of(objective, mean, square)
        objective.shared["scales"] = mean if mean.any() else None, variance
    mean, variance = objective.shared["scales"]
    h = objective.loss.curvature_bound(objective.layout.n_outputs)
    Q = _column_scales(objective, variance, h * variance, h)
    return Whitened(objective, mean, Q, variance)


def rescale_columns(inner: Whitened, hessian: Hessian) -> Whitened:
    """Scale columns by their curvature at a point, the mean over all classes.

    Parameters
    ----------
    inner : Whitened
        Variables from `scale_columns`.
    hessian : Hessian
        The Hessian at the point.

    Returns
    -------
    Whitened
    """
    _, variance = inner.objective.shared["scales"]
    Q = _column_scales(inner.objective, variance, *hessian.column_curvatures(inner.mean))
    return Whitened(inner.objective, inner.mean, Q, inner.variance)


def _column_scales(
    objective: Objective, variance: NDArray, own: NDArray, of_intercept: float
) -> NDArray:
    """Return scales of columns from the curvature of the loss along them and along an intercept.

    The scales are such that rows have a norm of 1 on average, if no column has more curvature than
    others. This gives an intercept the weight of a feature.
    """
    costs, curvature = objective.costs, own + objective.penalty.curvature
    seen = curvature[curvature > 0]
    typical = float(np.median(seen)) if len(seen) else 1.0
    ratio = np.where(curvature > 0, curvature, typical) / typical
    usual = (ratio <= costs.spread) & (ratio >= 1 / costs.spread)
    square = float(variance[usual].sum()) or 1.0
    left = np.clip(ratio ** (1 - costs.column_power), 1 / costs.spread, costs.spread)
    intercept = max(of_intercept, costs.least_curvature)
    return np.sqrt(left / ratio / square) * (typical / (intercept * square)) ** (
        -costs.column_power / 2
    )


def variance_of(objective: Objective, mean: NDArray, square: NDArray) -> NDArray:
    """Return the variance of columns from their mean squares; exactly zero if they are constant."""
    variance = np.maximum(square - mean**2, 0)
    rounding = np.finfo(np.float64).eps * max(objective.data.n_rows, 10)
    close = np.flatnonzero((mean != 0) & (variance <= rounding * square))
    if len(close):
        variance[close[~_vary(objective, close)]] = 0
    variance[are_constant(objective, mean, variance)] = 0
    return variance


def rounding_without_intercept(
    objective: Objective, theta: NDArray, value: float, eps: float = float(np.finfo(float).eps)
) -> float:
    """Return how much lower F may be than `value`, as a share of it, because rounding hides it.

    Without an intercept columns far from zero are read as they are. The slope sum_i r_i x_ij is
    rounded by eps times the sum of its terms. This is at most the root of mean x_ij^2 times mean
    r_i^2, and mean r_i^2 is at most 2 F (Pinsker's inequality). The logit sum_j W_kj x_ij is
    rounded, too, which changes r_i by its curvature. The part of this along the mean of all rows
    does not count, because its curvature is large. With an L1 penalty or bounds a coefficient may
    have a slope and no curvature: it counts by its size.
    """
    data, loss = objective.data, objective.loss
    if objective.layout.fit_intercept or not data.distance > 0:
        return 0.0
    W, _ = objective.layout.unpack(theta)
    mean, square = objective.moments()
    rows = objective.costs.matrix_rows
    terms, curvature, moved = data.sum(kernels.slope_sizes, loss, W, mean, rows=rows)
    terms = np.minimum(terms / data.total_weight, np.sqrt(2 * value * square))
    # Columns far from zero are nearly collinear, and their slopes are rounded independently. So the
    # error may point in a direction with no curvature but that of the penalty.
    ridge = objective.penalty.curvature
    curvature = np.where(ridge > 0, ridge, curvature / data.total_weight)
    slope = objective.costs.slope_terms * eps * (terms + moved / data.total_weight)
    gains = slope**2 / (2 * np.maximum(curvature, objective.costs.smallest_square))
    hidden = float(gains[:, W.any(axis=0)].sum())
    if objective.nonsmooth is not None:
        hidden += eps * float((np.abs(W) * terms).sum())
    return hidden / value if hidden < value else np.inf


def are_constant(objective: Objective, mean: NDArray, variance: NDArray) -> NDArray:
    """Whether the variance of each column is only rounding."""
    return variance <= (objective.costs.constant * mean) ** 2


def check_squares(objective: Objective, squares: NDArray) -> None:
    """Raise if squares of columns of X are not finite, or too small and without a penalty."""
    if not np.isfinite(squares).all():
        column = int(np.argmin(np.isfinite(squares)))
        raise ValueError(
            f"X holds values whose squares overflow, first in column {column}: divide it by a "
            "power of ten."
        )
    small = np.flatnonzero((squares < objective.costs.smallest_square) & objective.penalty.free)
    if len(small):
        lost = _vary(objective, small)
        if lost.any():
            raise ValueError(
                f"X holds values whose squares underflow, first in column {small[lost.argmax()]}, "
                "which has no penalty that would make its coefficients zero: multiply it by a "
                "power of ten."
            )


def only_centre(objective: Objective) -> Whitened:
    """Return the inner variables for `Jointly` at every point, which whitens them."""
    if objective.data.distance:
        few = _has_few_rows(objective)
        return whiten_rows(objective) if few else whiten_collinear_columns(objective)
    mean, square = objective.moments()
    check_squares(objective, square)
    mean = mean if objective.layout.fit_intercept else np.zeros_like(mean)
    variance = variance_of(objective, mean, square)
    # A constant column without a penalty has no curvature but that of rounding.
    fixed = (variance == 0) & (objective.penalty.curvature == 0)
    Q = np.where(fixed, 0.0, 1.0) if fixed.any() else 1.0
    return Whitened(objective, mean, Q, variance)


def take_sample(objective: Objective, n_rows: int) -> Objective:
    """Return a sample of at least `n_rows` rows, or all rows if these are too few or too small.

    Source: sub-sampled Newton methods (Roosta-Khorasani and Mahoney, *Sub-sampled Newton methods*,
    Mathematical Programming, 2019).
    """
    data, costs, n = objective.data, objective.costs, objective.data.n_rows
    few = costs.sample_bytes * n // max(1, data.nbytes)
    m = max(n_rows, min(n // 16, few))
    work = n * objective.layout.n_outputs * data.n_columns
    if 3 * m > n or work < costs.worth_sampling or m > max(few, costs.sample_share * n):
        return objective
    sample = objective.sample(m)
    return sample if sample.data.total_weight > 0 else objective


def class_whitening_cost(inner: Whitened, objective: Objective) -> float:
    """Cost of `precondition_classes` in Hessian products; infinite if it takes too much memory.

    Operations are counted. Those of the matrices count half, as they are in one large product. A
    constant stands for the time that a small problem spends between operations.
    """
    if _bytes_of_classes(objective, inner.width) > objective.costs.class_bytes:
        return np.inf
    size = inner.width + objective.layout.fit_intercept
    return 4 + min(1, _rows_for_classes(inner) / objective.data.n_rows) * size / 8


def _bytes_of_classes(objective: Objective, width: int) -> int:
    """Bytes of the matrices of all classes."""
    return 8 * objective.layout.n_outputs * (width + objective.layout.fit_intercept) ** 2


def _rows_for_classes(inner: Whitened) -> int:
    """Return how many rows to use for the matrices of classes: few have curvature for each."""
    return max(1000, min(10 * inner.size, inner.objective.costs.moment_rows))


def time_of_pieces(objective: Objective) -> float:
    """Return what parts of a file, chunks, and blocks on a device add to the time of a pass."""
    costs = objective.costs
    return costs.call_work * costs.calls_per_piece * objective.data.n_pieces


def joint_whitening_cost(objective: Objective, size: int) -> float:
    """Cost of `Jointly` in Hessian products; infinite if it takes too much memory.

    It is zero in problems so small that a call costs more than its arithmetic. Reading parts of a
    file, and chunks, costs much more.
    """
    costs = objective.costs
    if 8 * size**2 > costs.joint_bytes:
        return np.inf
    work = costs.joint_work + time_of_pieces(objective)
    most = costs.joint_size**3 * work / costs.joint_work
    return 0.0 if size**3 <= most and objective.data.n_rows * size**2 <= work else size / 8


class Jointly:
    """Whitens all classes together, so that the Hessian at the point becomes the identity."""

    def __init__(self, inner: Whitened, objective: Objective):
        self.inner = inner
        self.objective = objective
        width = inner.width
        #: Hessian of the penalty for one class, with zeros for the intercept.
        self.penalty = np.zeros((width + inner.layout.fit_intercept,) * 2)
        self.penalty[:width, :width] = _penalty(inner)
        self.rows = max(1, objective.costs.joint_block // inner.size)
        self.in_variables = partial(
            _in_variables, inner.mean, inner.Q, inner.layout.n_columns, inner.layout.fit_intercept
        )
        self.data = objective.data
        if self.rows >= self.data.n_rows:
            kernel = kernels.rows_in_variables
            self.data = self.data.map(kernel, self.in_variables, rows=self.rows)

    def at(self, theta: NDArray) -> ClassWhitened:
        """Whiten at theta."""
        W, b = self.objective.layout.unpack(theta)
        K, size = len(W), self.inner.size
        total = self.data.total_weight
        own, *between = self.data.sum(
            kernels.joint_hessian,
            self.objective.loss,
            W,
            b,
            self.in_variables,
            total,
            rows=self.rows,
            runs=1,
        )
        M = -between[0] if between else np.zeros((size, size))
        own += self.penalty
        p1 = size // K
        M = M.reshape(K, p1, K, p1)
        for k in range(K):
            M[k, :, k] = own[k]
        shift_curvature = np.zeros(p1)
        if self.objective.loss.shift_invariant:
            # Products give a shift of all classes a curvature, and it has no penalty. With a
            # penalty this is the curvature of the classes. Without one it is their curvature at
            # equal probabilities: then the diagonal grows, so that the jitter holds steps back.
            penalised = self.objective.penalty.ridge > 0
            diagonals = own.diagonal(axis1=1, axis2=2)
            shift_curvature = mean_of_classes(diagonals) if penalised else np.ones(p1)
            shift = -self.penalty
            shift.flat[:: p1 + 1] += shift_curvature
            M += shift[:, None] / K
        T = _inverse_cholesky(M.reshape(1, size, size), self.objective)
        return ClassWhitened(self.inner, T, shift_curvature)


def _in_variables(
    mean: NDArray | None, Q: NDArray | float, width: int, fit_intercept: bool, X: NDArray
) -> NDArray:
    """Return rows of X in the variables of a `Whitened`, with ones for the intercept."""
    Z = np.ones((len(X), width + fit_intercept))
    _times(X if mean is None else X - mean, Q, Z[:, :width])
    return Z


def _penalty(inner: Whitened) -> NDArray:
    """Return the Hessian of the penalty for one class in the variables of a `Whitened`."""
    Q: Any = inner.Q if np.ndim(inner.Q) == 2 else inner.Q * np.eye(inner.width)
    objective = inner.objective
    return objective.penalty.ridge * (Q.T @ (objective.penalty.factors[:, None] * Q))


def _class_matrices(
    inner: Whitened, objective: Objective, theta: NDArray, classes: list[Span], little: float
) -> tuple[NDArray, NDArray]:
    """Return the Hessian of the loss for each class, from a sample, some classes at a time.

    Rows with less than a share of `little` of the mean curvature of a class are left out. Also
    return for which classes there are such rows.
    """
    W, b = objective.layout.unpack(theta)
    K, p = len(W), inner.width
    size = p + objective.layout.fit_intercept
    M, shortened = np.zeros((K, size, size)), np.zeros(K, dtype=bool)
    sample = objective.data.there(_rows_for_classes(inner))
    if sample is not None:
        kernel, loss = kernels.class_matrices, objective.loss
        own = inner.mean, inner.Q, objective.layout.fit_intercept
        (sums,) = sample.sum(kernel, loss, W, b, *own)
        return np.asarray(sums / sample.total_weight), shortened
    for block, share in objective.data.chunks(
        objective.costs.matrix_rows, _rows_for_classes(inner)
    ):
        X = block.X.dense()
        Z = _in_variables(inner.mean, inner.Q, p, objective.layout.fit_intercept, X)
        state = objective.loss.curvature(W @ X.T + b[:, None], block.t)
        a = objective.loss.curvature_diagonal(state, block.t)
        a = a * _per_weight(share, block.weights)

        def add(span: Span) -> None:
            for k in range(*span):
                weights = a[k]  # noqa: B023
                some: Any = np.flatnonzero(weights > little * weights.mean())
                if 4 * size < len(some) < len(weights):
                    shortened[k] = True
                else:
                    some = slice(None)
                M[k] += (Z[some].T * weights[some]) @ Z[some]  # noqa: B023

        list(threads.map(add, classes))
    return M, shortened


def precondition_classes(inner: Whitened, objective: Objective, theta: NDArray) -> ClassWhitened:
    """Whiten each class by the curvature of a sample of rows at theta.

    If the rows with little curvature are the only ones that have any along some direction, they are
    not left out. Without them this direction would be a million times too long, as that of a word
    which only texts of other classes contain.
    """
    K, p, costs = objective.layout.n_outputs, inner.width, objective.costs
    size = p + objective.layout.fit_intercept
    classes = list(blocks(K, max(1, costs.class_block // size**3)))
    M, shortened = _class_matrices(inner, objective, theta, classes, costs.little_curvature)
    penalty = _penalty(inner)
    M[:, :p, :p] += penalty
    some = np.flatnonzero(shortened)
    lost = some[np.linalg.eigvalsh(_to_unit_diagonal(M[some])[0])[:, 0] < costs.lost_curvature]
    if len(lost):
        spans = [(k, k + 1) for k in lost.tolist()]
        whole, _ = _class_matrices(inner, objective, theta, spans, little=0.0)
        M[lost] = whole[lost]
        M[lost, :p, :p] += penalty

    def factor(span: Span) -> None:
        few = slice(*span)
        M[few] = _inverse_cholesky(M[few], objective)

    list(threads.map(factor, classes))
    return ClassWhitened(inner, M)


def class_scaling_cost(inner: Whitened, objective: Objective) -> float:
    """Cost of `scale_classes` in Hessian products; infinite if the columns are not whitened.

    It is that of a pass and, the first time, of the eigenvectors of a matrix.
    """
    if np.ndim(inner.Q) != 2:
        return np.inf
    if inner.penalties is not None:
        return 2.0
    return 2 + objective.costs.eigenvectors * inner.width**3 / objective.work_per_pass


def scale_classes(inner: Whitened, curvatures: NDArray) -> tuple[Whitened, ClassWhitened]:
    """Scale the variables of each class by its mean curvature.

    Let a be the mean curvature of class k, h that at equal probabilities, and pi_j the share of the
    penalty in the curvature of v_j. If the variables are along the eigenvectors of the penalty, v_j
    has the curvature (a / h) (1 - pi_j) + pi_j for class k. This takes K numbers, where
    `precondition_classes` takes K matrices.

    Returns
    -------
    inner : Whitened
        The same variables, along these eigenvectors.
    variables : ClassWhitened
    """
    inner = along_penalty(inner)
    return inner, scaled(inner, curvatures)


def has_large_classes(objective: Objective) -> bool:
    """Whether columns are whitened, and a matrix for each class is not worth its cost."""
    costs, p = objective.costs, objective.data.n_columns
    if p > costs.whiten_up_to or _has_few_rows(objective):
        return False
    if joint_whitening_cost(objective, objective.layout.size) == 0:
        return False
    return p > costs.class_columns or _bytes_of_classes(objective, p) > costs.class_bytes


def whiten_along_penalty(objective: Objective) -> Whitened:
    """Whiten by the covariance of the columns, along the eigenvectors of the penalty.

    If the penalty is the same for all columns, and these have about the same size, the eigenvectors
    of the covariance are also eigenvectors of the penalty.
    """
    penalty = objective.penalty.curvature
    if not objective.data.distance and not np.ptp(penalty):
        mean, covariance = _rough_moments(objective)
        h = objective.loss.curvature_bound(objective.layout.n_outputs)
        diagonal = h * covariance.diagonal() + penalty
        if diagonal.max() <= objective.costs.common * diagonal.min():
            variances, U = _eigenvectors(objective, covariance)
            values = h * np.maximum(variances, 0).astype(np.float64) + penalty
            variance = covariance.diagonal().astype(np.float64)
            lengths = 1 / np.sqrt(values)
            base = Whitened(objective, mean, U * lengths, variance)
            base.axes, base.lengths, base.penalties = U, lengths, penalty / values
            return base
    return along_penalty(whiten_columns(objective))


def _rough_moments(objective: Objective) -> tuple[NDArray, NDArray]:
    """Return mean and covariance, in float32 if its rounding is small beside the penalty.

    This takes half of the time. Then the covariance is in float32.
    """
    if objective.data.dtype != np.float32 or "moments" in objective.shared:
        return moments(objective)
    h = objective.loss.curvature_bound(objective.layout.n_outputs)
    if not h * _rough_trace(objective) <= objective.costs.mild * objective.penalty.curvature.min():
        return moments(objective)
    mean = _mean_of_sample(objective)
    if "rough covariance" not in objective.shared:
        covariance = _covariance(objective, mean, np.float32).astype(np.float32)
        objective.shared["rough covariance"] = covariance
    return mean, objective.shared["rough covariance"]


def _rough_trace(objective: Objective) -> float:
    """Return the trace of the covariance in the first rows of the sample of `moments`."""
    if "rough trace" not in objective.shared:
        size, rows = objective.costs.matrix_rows, _moment_rows(objective)
        block, share = next(objective.data.chunks(size, rows))
        Z = block.X.dense() - _mean_of_sample(objective)
        trace = float(share @ np.einsum("ij,ij->i", Z, Z)) / float(share.sum())
        objective.shared["rough trace"] = trace
    return objective.shared["rough trace"]


def _eigenvectors(objective: Objective, covariance: NDArray) -> tuple[NDArray, NDArray]:
    """Return eigenvalues and eigenvectors of a covariance, computed in its type of number."""
    key = f"eigenvectors, {covariance.dtype}"
    if key not in objective.shared:
        if covariance.dtype == np.float32 and len(covariance) > 1:  # SciPy 1.12 fails on one column
            # On 512 columns this driver takes 0.6 of the time of `numpy.linalg.eigh`.
            variances, U = eigh(covariance, driver="evd", check_finite=False)
        else:
            variances, U = np.linalg.eigh(covariance)
        objective.shared[key] = variances, np.ascontiguousarray(U)
    return objective.shared[key]


def along_penalty(inner: Whitened) -> Whitened:
    """Return whitened variables along the eigenvectors of the penalty."""
    if inner.penalties is not None:
        return inner
    shares, E = np.linalg.eigh(_penalty(inner))
    turned = Whitened(inner.objective, inner.mean, inner.Q @ E, inner.variance)
    turned.penalties = np.clip(shares, 0, 1)
    return turned


def scaled(inner: Whitened, curvatures: NDArray) -> ClassWhitened:
    """Scale variables along the eigenvectors of the penalty by the mean curvature of each class."""
    assert inner.penalties is not None
    objective, pi = inner.objective, inner.penalties
    a = np.maximum(curvatures, objective.costs.least_curvature)
    h = objective.loss.curvature_bound(len(a))
    curvature = np.multiply.outer(a / h, 1 - pi) + pi
    if objective.layout.fit_intercept:
        curvature = np.column_stack([curvature, a])
    return ClassWhitened(inner, 1 / np.sqrt(curvature), curvatures=a)


def _per_weight(share: NDArray, weights: NDArray) -> NDArray:
    """Return the factor from the weight of each row to its share of the sample, or 0."""
    return np.divide(share, weights, out=np.zeros_like(share), where=weights > 0)


def _to_unit_diagonal(M: NDArray) -> tuple[NDArray, NDArray]:
    """Return each matrix M with its rows and columns scaled to a unit diagonal, and the scales.

    A zero on the diagonal stays.
    """
    diagonal = M.diagonal(axis1=1, axis2=2)
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return M * scale[:, None] * scale[:, :, None], scale


def _inverse_cholesky(M: NDArray, objective: Objective) -> NDArray:
    """Return L^-1 with L L' = M, for each matrix M.

    Each is scaled to a unit diagonal, to which a small number, `jitter`, is added.
    """
    costs = objective.costs
    jitter = costs.jitter_unpenalised if objective.penalty.unpenalised else costs.jitter
    scaled, scale = _to_unit_diagonal(M)
    every = scaled.reshape(len(scaled), -1)[:, :: len(scaled[0]) + 1]  # a view of the diagonals
    every[:] = 1 + (jitter)
    try:
        L = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        L = np.stack([_cholesky(matrix, costs.first_added) for matrix in scaled])
    for matrix in L:
        # Its transpose is upper triangular, in the order that LAPACK reads.
        matrix[:] = dtrtri(matrix.T, overwrite_c=1)[0].T
    L *= scale[:, None]
    return L


def _cholesky(M: NDArray, first_added: float) -> NDArray:
    """Return the Cholesky factor of a matrix of unit diagonal, with as much added as is needed.

    If logits are so large that almost no curvature is left, rounding makes matrices indefinite.
    """
    added = 0.0
    while added < 1:
        try:
            return np.linalg.cholesky(M)
        except np.linalg.LinAlgError:
            added = max(10 * added, first_added)
            M[np.diag_indices(len(M))] += added
    return np.eye(len(M))


def _mean(objective: Objective, most: int | None = None) -> NDArray:
    """Weighted mean of the columns; zeros without an intercept, which would take it up."""
    if objective.layout.fit_intercept:
        return _weighted_mean(objective, most)
    return np.zeros(objective.data.n_columns)


def _weighted_mean(objective: Objective, most: int | None = None) -> NDArray:
    """Weighted mean of the columns; from a sample of the rows if there are more than `most`."""
    mean = np.zeros(objective.data.n_columns)
    for block, share in objective.data.chunks(objective.costs.matrix_rows, most):
        mean += block.X.total(share)
    return mean


def _covariance(objective: Objective, mean: NDArray, dtype: DTypeLike = np.float64) -> NDArray:
    """Weighted covariance of the columns in a sample, with zeros for constant columns.

    Products of rows are computed in the given type of number.
    """
    covariance = np.zeros((len(mean), len(mean)))
    rows, size = _moment_rows(objective), objective.costs.matrix_rows
    used = min(rows, objective.data.n_rows)
    if used > size:  # as much work for each of two threads
        pairs = -(-used // (2 * size))
        size = -(-used // (2 * pairs))
    with np.errstate(over="ignore", invalid="ignore"):
        chunks = objective.data.chunks(size, rows)

        def product(chunk: tuple[Block, NDArray]) -> NDArray:
            block, share = chunk
            return block.X.scatter(mean, share, dtype)

        while pair := list(islice(chunks, 2)):  # all at once would be a copy of X
            for part in threads.map(product, pair):
                covariance += part
    variance = np.diagonal(covariance)
    check_squares(objective, variance)
    constant = are_constant(objective, mean, variance)
    covariance[constant] = 0
    covariance[:, constant] = 0
    return covariance


def _inverse_root(M: NDArray, objective: Objective) -> NDArray | None:
    """Return Q with Q Q' = M^-1, or None. M is scaled to a unit diagonal first.

    With constant or collinear columns there are directions that change no logit. A penalty gives
    them curvature. Without one there is no Q.
    """
    diagonal = np.diagonal(M)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, U = np.linalg.eigh(M / np.multiply.outer(scale, scale))
    rounding = objective.costs.collinear * len(values) * max(values[-1], 1)
    if objective.penalty.unpenalised and values[0] <= rounding:
        return None
    return U / np.sqrt(np.maximum(values, rounding)) / scale[:, None]
