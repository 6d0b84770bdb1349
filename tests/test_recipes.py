"""The recipes of CONTRIBUTING, followed to the letter with toys that the package does not know."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from objectives import make
from scipy.optimize import OptimizeResult
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import ElasticNet, Ridge
from test_data import RemoteData

from skce import SoftmaxClassifier
from skce._losses import Loss
from skce._problem.objective import Objective
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
        """All there is."""
        return state

    def curvature_between(self, state, t):
        """Nothing: outputs do not see each other."""

    def curvature_root(self, state, t):
        """Return A with A'A the Hessian of each row."""
        A = np.zeros((len(state), *state.shape))
        np.einsum("kkr->kr", A)[:] = np.sqrt(state)
        return A

    def curvature_bound(self, n_classes):
        """Curvature of a unit of mass."""
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
    objective = Objective(RemoteData(data) if remote else data, loss, C=C, fit_intercept=True)
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
    objective = Objective(
        make(X, y, "binary").data, SquaredError(), C=C, fit_intercept=True, l1_ratio=l1_ratio
    )
    start = np.zeros(objective.layout.size)
    report = minimize(objective, start, solver="auto", tol=1e-12, max_iter=100)
    W, b = objective.layout.unpack(report.result.x)
    lasso = ElasticNet(alpha=1 / (C * len(X)), l1_ratio=l1_ratio, tol=1e-14, max_iter=10**6)
    lasso.fit(X, y)
    assert report.result.success
    assert_allclose(W[0], lasso.coef_, rtol=1e-4, atol=1e-7)
    assert_allclose(b[0], lasso.intercept_, rtol=1e-4)
    assert ((W[0] == 0) == (lasso.coef_ == 0)).all()


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
