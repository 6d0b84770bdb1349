"""Fits go through `scipy.optimize.minimize`, which accepts our method for other functions too."""

import ast
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import LinearConstraint, minimize
from scipy.sparse.linalg import aslinearoperator
from sklearn.datasets import load_iris
from sklearn.linear_model import PoissonRegressor

import skce
from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path
from skce.optimize import newton_cg


class Poisson:
    """Poisson regression with an L2 penalty, as functions for SciPy."""

    def __init__(self, n=300, p=20, alpha=0.1, seed=0):
        rng = np.random.default_rng(seed)
        self.X = rng.normal(size=(n, p)) / np.sqrt(p)
        self.y = rng.poisson(np.exp(self.X @ rng.normal(size=p))).astype(float)
        self.alpha = alpha

    def fun(self, w):
        eta = self.X @ w
        return float(np.mean(np.exp(eta) - self.y * eta) + self.alpha / 2 * w @ w)

    def jac(self, w):
        return self.X.T @ (np.exp(self.X @ w) - self.y) / len(self.y) + self.alpha * w

    def hess(self, w):
        H = (self.X.T * np.exp(self.X @ w)) @ self.X / len(self.y)
        return H + self.alpha * np.eye(len(w))

    def hessp(self, w, v):
        return self.hess(w) @ v

    def minimize(self, **options):
        given = {"jac": self.jac, "hessp": self.hessp, "tol": 1e-10, **options}
        start = np.zeros(self.X.shape[1])
        return minimize(given.pop("fun", self.fun), start, method=newton_cg, **given)


def test_poisson_regression_agrees_with_scikit_learns():
    problem = Poisson()
    result = problem.minimize()
    theirs = PoissonRegressor(
        alpha=problem.alpha, fit_intercept=False, solver="newton-cholesky", tol=1e-12
    ).fit(problem.X, problem.y)
    assert result.success
    assert result.status == 0
    assert_allclose(result.x, theirs.coef_, atol=1e-5)
    assert_allclose(result.fun, problem.fun(result.x))
    assert_allclose(result.jac, problem.jac(result.x), atol=1e-12)
    assert result.fun <= problem.fun(theirs.coef_) + 1e-10


def test_the_minimum_of_a_quadratic_is_that_of_its_linear_system():
    rng = np.random.default_rng(1)
    A = rng.normal(size=(60, 40)) * 10.0 ** rng.uniform(-3, 3, 40)
    H, g = A.T @ A + np.eye(40), rng.normal(size=40)
    result = minimize(
        lambda x: x @ H @ x / 2 - g @ x, np.ones(40), jac=lambda x: H @ x - g,
        hess=lambda x: H, method=newton_cg, tol=1e-12, options={"least_curvature": 1.0},
    )  # fmt: skip
    exact = np.linalg.solve(H, g)
    assert result.success
    assert result.fun - (exact @ H @ exact / 2 - g @ exact) <= 1e-12


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, aslinearoperator])
def test_hessians_of_any_form(form):
    problem = Poisson()
    expected = problem.minimize().x
    found = problem.minimize(hessp=None, hess=lambda w: form(problem.hess(w)))
    assert_allclose(found.x, expected, atol=1e-8)


def test_value_and_gradient_of_one_function_and_arguments():
    problem = Poisson()
    expected = problem.minimize()
    both = problem.minimize(fun=lambda w: (problem.fun(w), problem.jac(w)), jac=True)
    assert_array_equal(both.x, expected.x)
    start = np.zeros(20)
    result = minimize(
        lambda w, f, _: f * problem.fun(w), start, args=(2.0, "not used"),
        jac=lambda w, f, _: f * problem.jac(w), hessp=lambda w, v, f, _: f * problem.hessp(w, v),
        method=newton_cg, tol=1e-10,
    )  # fmt: skip
    assert_allclose(result.fun, 2 * expected.fun, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-8])
def test_the_gap_is_at_most_tol(tol, seed):
    problem = Poisson(n=50, p=80, alpha=1e-3, seed=seed)
    best = problem.minimize(tol=1e-13).fun
    result = problem.minimize(tol=tol)
    assert result.success
    assert result.fun - best <= tol * max(1, abs(best))
    bounded = problem.minimize(tol=tol, options={"least_curvature": problem.alpha})
    assert bounded.success
    assert bounded.fun - best <= tol * max(1, abs(best))


def test_callbacks():
    problem = Poisson()
    points, results = [], []
    problem.minimize(callback=points.append)
    whole = problem.minimize(
        callback=lambda intermediate_result: results.append(intermediate_result)
    )
    assert len(points) == len(results) == whole.nit
    assert_array_equal([r.x for r in results], points)
    assert [r.fun for r in results] == [problem.fun(x) for x in points]

    def stop(x):
        raise StopIteration

    ended = problem.minimize(callback=stop)
    assert ended.nit == 1
    assert not ended.success
    assert "callback" in ended.message


def test_iterations_that_are_not_enough(capsys):
    result = Poisson().minimize(options={"maxiter": 2, "disp": True})
    assert result.nit == 2
    assert not result.success
    assert result.status == 1
    assert "max_iter" in result.message
    assert capsys.readouterr().out.count("iteration") == 2


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"jac": None}, ValueError, "gradient and the Hessian"),
        ({"hessp": None}, ValueError, "gradient and the Hessian"),
        ({"bounds": [(0, 1)] * 20}, ValueError, "no bounds"),
        ({"constraints": LinearConstraint(np.eye(20), 0, 1)}, ValueError, "no constraints"),
        ({"options": {"gtol": 1e-3}}, TypeError, "no option 'gtol'"),
        ({"tol": 0.0}, ValueError, "'tol'"),
        ({"options": {"maxiter": 0}}, ValueError, "'maxiter'"),
        ({"options": {"least_curvature": -1.0}}, ValueError, "'least_curvature'"),
        ({"fun": lambda w: np.nan}, ValueError, "finite at x0"),
        ({"jac": lambda w: np.zeros(3)}, ValueError, "jac must return a vector of shape"),
        ({"hessp": lambda w, v: np.zeros((2, 20))}, ValueError, "hessp must return a vector"),
    ],
)
def test_what_it_does_not_take_is_an_error(options, error, match):
    with pytest.raises(error, match=match):
        Poisson().minimize(**options)


def test_the_estimator_takes_it_as_a_solver_like_any_other():
    X, y = load_iris(return_X_y=True)
    best = SoftmaxClassifier(tol=1e-12).fit(X, y).optimize_result_.fun
    result = SoftmaxClassifier(solver=newton_cg, tol=1e-8).fit(X, y).optimize_result_
    assert result.success
    assert result.fun / best - 1 <= 1e-8


# --------------------------------------------------------------------------------------------------
# every fit
def calls_of_minimize(action):
    """Return the `method` of every call of `scipy.optimize.minimize` that an action makes."""
    methods, code = [], minimize.__code__

    def profile(frame, event, _):
        if event == "call" and frame.f_code is code:
            methods.append(frame.f_locals["method"])

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(before)
    return methods


def steepest(fun, x0, args=(), *, jac, maxiter, **kwargs):
    """Take a few steps of steepest descent."""
    x = x0
    for _ in range(maxiter):
        x = x - jac(x) / 2
    return scipy.optimize.OptimizeResult(x=x)


FITS = {
    "default": (lambda X, y: SoftmaxClassifier().fit(X, y), callable),
    "newton-cg": (lambda X, y: SoftmaxClassifier(solver="newton-cg").fit(X, y), callable),
    "L1": (lambda X, y: SoftmaxClassifier(l1_ratio=0.5).fit(X, y), callable),
    "bounds": (lambda X, y: SoftmaxClassifier(coef_bounds=(0, 1)).fit(X, y), callable),
    "binary": (lambda X, y: SoftmaxClassifier(loss="binary").fit(X, y), callable),
    "lbfgs": (lambda X, y: SoftmaxClassifier(solver="lbfgs").fit(X, y), "L-BFGS-B".__eq__),
    "own": (
        lambda X, y: SoftmaxClassifier(solver=steepest, tol=1e-3).fit(X, y),
        lambda method: method is steepest,
    ),
    "path": (lambda X, y: softmax_path(X, y, Cs=[0.1, 1]), callable),
    "cv": (lambda X, y: SoftmaxClassifierCV(Cs=[10, 100, 1000], cv=2).fit(X, y), callable),
}


@pytest.mark.parametrize("name", FITS)
def test_every_fit_goes_through_scipy(name):
    fit, expected = FITS[name]
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        methods = calls_of_minimize(lambda: fit(X, y))
    fits = {"path": 2, "cv": 7}.get(name, 1)
    assert len(methods) >= fits
    assert all(expected(method) for method in methods)


def test_no_other_minimiser_is_imported():
    known = {"OptimizeResult", "minimize"}
    others = set()
    for path in Path(skce.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "scipy.optimize"
            ):
                names = {alias.name for alias in node.names}
                others |= {(path.parent.name, name) for name in names - known}
            if isinstance(node, ast.Import):
                assert not any("scipy.optimize" in alias.name for alias in node.names)
    # The decomposition of a score minimises over one temperature. A profile searches for a root.
    assert others == {("metrics", "minimize_scalar"), ("inference", "brentq")}


@pytest.mark.parametrize("x0", [[1.0, np.nan], np.ones((2, 2)), "text", []])
def test_a_start_that_is_no_vector_is_an_error(x0):
    with pytest.raises(ValueError, match="x0"):
        newton_cg(lambda x: 0.0, x0, jac=lambda x: x, hessp=lambda x, v: v)
