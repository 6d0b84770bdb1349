"""The recipes of CONTRIBUTING, followed exactly, with examples that are not in the package."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from objectives import make, penalty_of
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize
from scipy.special import logsumexp
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import ElasticNet, Ridge
from test_data import RemoteData

from skce import SoftmaxClassifier
from skce._losses import LOSSES, Loss
from skce._problem.objective import Objective
from skce._problem.penalty import Penalty
from skce._solver.minimize import minimize


class SquaredError:
    """A toy loss: m / 2 * z^2 - t * z of each output, which is least at z = t / m."""

    shift_invariant = False

    def value_gradient(self, z, t):
        """Loss and gradient."""
        dense = t.dense(len(z))
        return (t.mass / 2 * z**2 - dense * z + dense**2 / 2).sum(axis=0), t.mass * z - dense

    def curvature(self, z, t):
        """Return the mass, which is the curvature."""
        return np.broadcast_to(t.mass, z.shape)

    def curvature_product(self, state, v, t):
        """Hessian times v."""
        return state * v

    def curvature_diagonal(self, state, t):
        """Diagonal of the Hessian, which has no other elements."""
        return state

    def curvature_between(self, state, t):
        """Return None: outputs do not depend on each other."""

    def curvature_root(self, state, t):
        """Return A with A'A the Hessian of each row."""
        A = np.zeros((len(state), *state.shape))
        np.einsum("kkr->kr", A)[:] = np.sqrt(state)
        return A

    def curvature_bound(self, n_classes):
        """Curvature per unit of mass."""
        return 1.0


def diabetes():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return X, (y - y.min()) / np.ptp(y)


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("C", [1e-4, 1.0])
def test_a_new_loss(C, container, remote):
    X, y = diabetes()
    loss: Loss = SquaredError()
    data = make(container(X), y, "binary").data
    penalty = penalty_of(data, C=C)
    objective = Objective(RemoteData(data) if remote else data, loss, penalty, fit_intercept=True)
    report = minimize(
        objective, np.zeros(objective.layout.size), solver="auto", tol=1e-12, max_iter=100
    )
    W, b = objective.layout.unpack(report.result.x)
    ridge = Ridge(alpha=1 / C, solver="svd").fit(X, y)
    assert report.result.success
    assert_allclose(W[0], ridge.coef_, rtol=1e-5, atol=1e-8)
    assert_allclose(b[0], ridge.intercept_, rtol=1e-5)


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_a_new_loss_with_a_lasso(l1_ratio):
    X, y = diabetes()
    C = 0.02
    data = make(X, y, "binary").data
    penalty = penalty_of(data, C=C, l1_ratio=l1_ratio)
    objective = Objective(data, SquaredError(), penalty, fit_intercept=True)
    start = np.zeros(objective.layout.size)
    report = minimize(objective, start, solver="auto", tol=1e-12, max_iter=100)
    W, b = objective.layout.unpack(report.result.x)
    lasso = ElasticNet(alpha=1 / (C * len(X)), l1_ratio=l1_ratio, tol=1e-14, max_iter=10**6)
    lasso.fit(X, y)
    assert report.result.success
    assert_allclose(W[0], lasso.coef_, rtol=1e-4, atol=1e-7)
    assert_allclose(b[0], lasso.intercept_, rtol=1e-4)
    assert ((W[0] == 0) == (lasso.coef_ == 0)).all()


@dataclass(frozen=True, eq=False, kw_only=True)
class Prior(Penalty):
    """A toy penalty of the distance to the coefficients of another model, in place of zero."""

    centre: NDArray

    def value(self, W):
        return super().value(W - self.centre)

    def gradient(self, W, some):
        return self.curvature[some] * (W - self.centre)[:, some]

    def without_shift(self, W):
        return self.centre + super().without_shift(W - self.centre)


@dataclass(frozen=True, eq=False, kw_only=True)
class PseudoHuber(Penalty):
    """A toy penalty whose curvature is smaller for large coefficients."""

    @property
    def ridge(self):
        return super().ridge / 10

    def value(self, W):
        return self.ridge * float((W**2 / 2 + 9 * (np.sqrt(1 + W**2) - 1)).sum())

    def gradient(self, W, some):
        return self.ridge * (W + 9 * W / np.sqrt(1 + W**2))[:, some]

    def product(self, W, V, some):
        return self.ridge * ((1 + 9 * (1 + W**2) ** -1.5) * V)[:, some]


class OneClass(Penalty):
    """A toy L1 penalty: only coefficients of the first class have it."""

    def nonsmooth(self, layout):
        whole = super().nonsmooth(layout)
        first = np.arange(layout.size) < layout.n_columns
        return None if whole is None else replace(whole, weights=whole.weights * first)


def fit_by_penalty(X, y, cls, **params):
    """Return the objective with a penalty, and a fit."""
    data = make(X, y).data
    loss = LOSSES["categorical" if y.max() > 1 else "binary"]
    objective = Objective(data, loss, penalty_of(data, cls, **params), fit_intercept=True)
    start = np.zeros(objective.layout.size)
    return objective, minimize(objective, start, solver="auto", tol=1e-11, max_iter=200)


def wine(n_classes=3):
    X, y = load_wine(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), np.minimum(y, n_classes - 1)


def cross_entropy(X, y, theta):
    """Return W, and the mean loss, of theta: W row by row, then b."""
    K = len(theta) // (X.shape[1] + 1)
    W, b = theta[:-K].reshape(K, -1), theta[-K:]
    Z = X @ W.T + b
    Z = np.hstack([np.zeros_like(Z), Z]) if K == 1 else Z
    return W, float(np.mean(logsumexp(Z, axis=1) - Z[np.arange(len(y)), y]))


def slope_of(function, x, h=1e-5):
    """Return the gradient by central differences."""
    return np.array([(function(x + d) - function(x - d)) / (2 * h) for d in h * np.eye(len(x))])


@pytest.mark.parametrize("toy", ["prior", "pseudo-Huber"])
def test_a_new_smooth_penalty(toy):
    X, y = wine(3 if toy == "prior" else 2)
    centre, C = np.random.default_rng(0).normal(size=(3, 13)), 0.05
    cls, params = {"prior": (Prior, {"centre": centre}), "pseudo-Huber": (PseudoHuber, {})}[toy]
    objective, report = fit_by_penalty(X, y, cls, C=C, **params)
    ridge, x = 1 / (C * len(X)), report.result.x

    def value(theta):
        W, loss = cross_entropy(X, y, theta)
        if toy == "prior":
            return loss + ridge / 2 * ((W - centre) ** 2).sum()
        return loss + ridge * (W**2 / 20 + 0.9 * (np.sqrt(1 + W**2) - 1)).sum()

    assert report.result.success
    assert_allclose(value(x), report.result.fun / objective.scale, rtol=1e-12)
    assert_allclose(objective.value_gradient(x + 0.1)[1], slope_of(value, x + 0.1), atol=1e-8)
    other = scipy_minimize(value, x, method="BFGS", options={"gtol": 1e-7})
    assert value(x) <= other.fun * (1 + 1e-10)
    W = x[: objective.layout.n_coefficients]
    assert_allclose(W, other.x[: len(W)], atol=1e-3)


def test_a_new_nonsmooth_penalty():
    X, y = wine()
    C, rho = 0.05, 0.9
    objective, report = fit_by_penalty(X, y, OneClass, C=C, l1_ratio=rho)
    W, _ = objective.layout.unpack(report.result.x)
    assert report.result.success
    assert (W[0] == 0).any()
    assert (W[1:] != 0).all()
    # The conditions of an optimum, by central differences.
    x, size = report.result.x, 13

    def smooth(theta):
        W, loss = cross_entropy(X, y, theta)
        return loss + (1 - rho) / (C * len(X)) / 2 * (W**2).sum()

    slope = slope_of(smooth, x)
    lasso, first, rest = rho / (C * len(X)), slope[:size], slope[size:]
    zero = x[:size] == 0
    assert (np.abs(first[zero]) <= lasso + 1e-7).all()
    assert_allclose(first[~zero], -lasso * np.sign(x[:size][~zero]), atol=1e-7)
    assert_allclose(rest, 0, atol=1e-7)


def test_a_new_place_for_data():
    X, y = load_wine(return_X_y=True)
    objective = make(X, y, C=1.0)
    objective.data = RemoteData(objective.data)
    start = np.zeros(objective.layout.size)
    result = minimize(objective, start, solver="auto", tol=1e-10, max_iter=100).result
    W, b = objective.layout.unpack(result.x)
    clf = SoftmaxClassifier(tol=1e-10).fit(X, y)
    assert_allclose(W, clf.coef_, rtol=1e-4, atol=1e-7)
    assert_allclose(b, clf.intercept_, rtol=1e-4)


def heavy_ball(fun, x0, args=(), *, jac, callback, maxiter, **options):
    """A toy solver: gradient descent with momentum."""
    x, before = x0, x0
    for _ in range(maxiter):
        x, before = x - 0.5 * jac(x) + 0.6 * (x - before), x
        try:
            callback(OptimizeResult(x=x, fun=fun(x)))
        except StopIteration:
            break
    return OptimizeResult(x=x, fun=fun(x), success=True)


def test_a_new_solver():
    X, y = load_wine(return_X_y=True)
    best = SoftmaxClassifier(tol=1e-12).fit(X, y).optimize_result_.fun
    result = SoftmaxClassifier(solver=heavy_ball, tol=1e-6).fit(X, y).optimize_result_
    assert result.success
    assert result.fun / best - 1 <= 1e-6
