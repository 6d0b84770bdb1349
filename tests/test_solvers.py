"""Solvers keep what tol promises, or say that they did not."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from objectives import at_costs, make, method_of
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as scipy_minimize
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info

from skce import SoftmaxClassifier, SoftmaxClassifierCV
from skce._costs import DEFAULT
from skce._solver.decrement import newton_decrement
from skce._solver.iterate import State
from skce._solver.line_search import Tried, level, line_search
from skce._solver.methods import by_descent
from skce._solver.minimize import minimize
from skce._solver.newton import Preconditioned
from skce._solver.run import Fit, Log, Look, Point, Run
from skce._solver.stop import Stop
from skce._solver.variables import precondition
from skce._threads import threads

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

SOLVERS = ["newton-cg", "lbfgs"]


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("solver", SOLVERS)
def test_gap_to_the_optimum_is_at_most_tol_on_raw_columns(solver, tol, load):
    X, y = load(return_X_y=True)
    best = SoftmaxClassifier(tol=1e-13).fit(X, y).optimize_result_.fun
    result = SoftmaxClassifier(solver=solver, tol=tol).fit(X, y).optimize_result_
    assert result.success
    assert (result.fun - best) / best <= tol


def test_solvers_agree_in_the_fifth_digit_of_a_probability():
    for load in (load_iris, load_wine, load_breast_cancer):
        X, y = load(return_X_y=True)
        newton, lbfgs = (SoftmaxClassifier(solver=s).fit(X, y).predict_proba(X) for s in SOLVERS)
        assert_allclose(newton, lbfgs, atol=5e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_units_of_the_features_do_not_matter(solver, rng):
    X, y = load_wine(return_X_y=True)
    y = np.where(rng.random(len(y)) < 0.2, rng.integers(3, size=len(y)), y)
    scale, offset = 10.0 ** rng.uniform(-6, 6, X.shape[1]), rng.normal(size=X.shape[1])
    clf = SoftmaxClassifier(C=np.inf, solver=solver)
    proba = clf.fit(X, y).predict_proba(X)
    Z = (X + offset) * scale
    assert_allclose(clf.fit(Z, y).predict_proba(Z), proba, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_report_is_in_the_users_coordinates(solver):
    X, y = load_iris(return_X_y=True)
    clf = SoftmaxClassifier(C=3.0, solver=solver).fit(X, y)
    result = clf.optimize_result_
    log_p = clf.predict_log_proba(X)
    objective = -3 * log_p[np.arange(150), y].sum() + (clf.coef_**2).sum() / 2
    assert_allclose(result.fun, objective, rtol=1e-12)
    assert_array_equal(result.x, np.r_[clf.coef_.ravel(), clf.intercept_])
    W_gradient = 3 * (np.exp(log_p) - np.eye(3)[y]).T @ X + clf.coef_
    assert_allclose(result.jac[:12], W_gradient.ravel(), atol=1e-6)
    assert result.nit == clf.n_iter_[0] == len(clf.loss_curve_)
    assert clf.loss_curve_[-1] == result.fun
    assert (np.diff(clf.loss_curve_) <= 1e-15 * clf.loss_curve_[0]).all()
    assert result.nfev == result.njev > 0
    assert result.nhev > 0
    assert "at most tol" in result.message


def decrement(gradient, hessian, missed=lambda residual: np.inf, **options):
    """The decrement if the variables of the solver are those of the user."""

    def product(v):
        curved = hessian(v)
        return curved, curved.copy()

    return newton_decrement(gradient, gradient, product, missed, **options)


def test_newton_decrement_is_the_gap_of_a_quadratic(rng):
    # Far from the optimum of a strongly penalised problem the objective is nearly quadratic.
    X, y = rng.normal(size=(50, 3)), rng.integers(2, size=50)
    objective = make(X, y, C=1e-6, fit_intercept=False)
    theta = np.ones(objective.layout.size)
    value, gradient = objective.value_gradient(theta)
    found = decrement(gradient, objective.hessian(theta), limit=0, truncation=0)
    best = objective.value_gradient(theta + found.step)[0]
    assert found.complete
    assert_allclose(found.gap, value - best, rtol=1e-3)


def test_newton_decrement_settles_to_what_linear_algebra_says(rng):
    # Eigenvalues over three decades, and a few far larger ones that come first.
    values = np.r_[np.logspace(-2, 1, 60), 1e4, 3e4]
    Q, _ = np.linalg.qr(rng.normal(size=(62, 62)))
    H, g = Q * values @ Q.T, rng.normal(size=62)
    want = g @ np.linalg.solve(H, g) / 2
    for limit in (1e-6 * want, want, 1e3 * want):
        found = decrement(g, lambda v: H @ v, limit=limit, truncation=0)
        assert found.complete
        assert abs(found.gap - want) <= 0.02 * max(want, limit)
    loose = decrement(g, lambda v: H @ v, limit=1e-6 * want, truncation=0.5)
    assert not loose.complete
    assert 0 < loose.gap < want


def test_a_long_variable_hides_no_gap_of_the_others():
    # The residual falls by ten digits at once, and hardly anything is solved.
    rng = np.random.default_rng(0)
    values, g = np.r_[1e18, rng.uniform(0.2, 2, 20)], np.r_[1e5, rng.normal(size=20) * 1e-3]
    want = (g**2 / values).sum() / 2
    found = decrement(g, lambda v: values * v, limit=1e-9, truncation=0)
    assert not found.complete or abs(found.gap - want) <= 0.02 * want


def test_newton_decrement_without_curvature_is_unknown():
    g = np.array([1.0, 0.0], dtype=np.float32)
    H = np.array([[1e-38, -1.0], [1.0, 1e-38]], dtype=np.float32)  # only rounding is left
    found = decrement(g, lambda v: H @ v, limit=1e-9, truncation=0)
    assert found.gap == np.inf
    assert not found.complete


def test_max_iter_warns_with_the_accuracy_reached_and_the_remedy():
    X, y = load_wine(return_X_y=True)
    clf = SoftmaxClassifier(max_iter=2)
    with pytest.warns(ConvergenceWarning, match=r"relative gap of \d.*Increase max_iter") as record:
        clf.fit(X, y)
    assert record[0].filename == __file__
    assert clf.n_iter_[0] == 2
    assert not clf.optimize_result_.success
    assert clf.optimize_result_.status == 1
    assert clf.predict(X).shape == (178,)


@pytest.mark.parametrize("solver", SOLVERS)
def test_separable_classes_without_penalty_end_with_a_warning_and_finite_coefficients(solver):
    X, y = load_iris(return_X_y=True)
    clf = SoftmaxClassifier(C=np.inf, solver=solver, max_iter=300)
    with pytest.warns(ConvergenceWarning, match="classes are separable.*set a finite C"):
        clf.fit(X[y < 2], y[y < 2])
    assert np.isfinite(clf.coef_).all()
    assert clf.score(X[y < 2], y[y < 2]) == 1
    assert not clf.optimize_result_.success
    assert clf.n_iter_[0] < 100


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", ["constant", "dummies", "repeated"])
def test_columns_that_change_no_logit_do_no_harm_without_penalty(kind, solver):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, group = rng.normal(size=(200, 2)), rng.integers(4, size=200)
        y = np.clip(np.round(x[:, 0] + rng.normal(size=200) + 0.5), 0, 2)
        full, reduced = {
            "constant": (np.c_[x, np.full(200, 7.0)], x),
            "dummies": (np.c_[x, np.eye(4)[group]], np.c_[x, np.eye(4)[group, 1:]]),
            "repeated": (np.c_[x, x, 3 * x[:, 0]], x),
        }[kind]
        clf = SoftmaxClassifier(C=np.inf, solver=solver)
        proba = clf.fit(full, y).predict_proba(full)
        assert np.abs(clf.coef_).max() < 10
        assert_allclose(proba, clf.fit(reduced, y).predict_proba(reduced), atol=1e-6)


def test_wide_columns_of_noise_do_not_slow_the_fit_down(rng):
    n, p = 100, 1100
    X = rng.normal(size=(n, 15)) @ rng.normal(size=(15, p)) * np.logspace(0, -4, p)
    X += np.logspace(-1, -5, p) * rng.normal(size=(n, p))
    y = (X[:, 0] + rng.normal(size=n) > 0).astype(int)
    result = SoftmaxClassifier(C=1e4).fit(X, y).optimize_result_
    assert result.success
    assert result.nhev < 3000


def test_small_curvature_does_not_end_newtons_method(rng):
    # g' H g falls below SciPy's absolute tolerance long before the optimum.
    X, y = rng.normal(size=(100, 700)), rng.integers(3, size=100)
    assert SoftmaxClassifier(C=1e4).fit(X, y).optimize_result_.success


def test_a_gap_that_rounding_made_negative_is_unknown():
    found = decrement(np.ones(2), lambda v: -v, limit=1, truncation=0.5)
    assert found.gap == np.inf
    assert not found.complete


def test_float32_reaches_the_default_tol_and_says_when_it_cannot_reach_more():
    X, y = load_breast_cancer(return_X_y=True)
    X = X.astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = SoftmaxClassifier().fit(X, y)
    assert clf.coef_.dtype == clf.intercept_.dtype == np.float32
    exact = SoftmaxClassifier().fit(X.astype(np.float64), y)
    np.testing.assert_array_equal(clf.optimize_result_.x, exact.optimize_result_.x)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(DEFAULT.few_bytes // 28, 7)).astype(np.float32)
    y = X[:, 0] + rng.logistic(size=len(X)) > 0
    assert X.nbytes < DEFAULT.few_bytes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SoftmaxClassifier(tol=1e-20).fit(X, y)
    X, y = np.tile(X, (2, 1)), np.tile(y, 2)
    with pytest.warns(ConvergenceWarning, match="float64"):
        SoftmaxClassifier(tol=1e-20).fit(X, y)


def test_a_fit_that_starts_at_the_optimum_makes_no_iterations(problem):
    X, y, _ = problem
    clf = SoftmaxClassifier(tol=1e-4, warm_start=True).fit(X, y)
    coef = clf.coef_
    clf.fit(X, y)
    assert clf.n_iter_[0] <= 1  # the check may still find a lower point
    assert_allclose(clf.coef_, coef, atol=1e-2)


def test_verbose_prints_a_line_per_iteration(capsys, problem):
    X, y, _ = problem
    clf = SoftmaxClassifier(verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) in (clf.n_iter_[0] - 1, clf.n_iter_[0])
    assert all(word in lines[0] for word in ("objective", "gap", "passes", " s"))


@pytest.mark.parametrize("solver", SOLVERS)
def test_same_input_gives_the_same_bits(solver):
    X, y = load_wine(return_X_y=True)
    first, second = (SoftmaxClassifier(solver=solver).fit(X, y) for _ in range(2))
    assert_array_equal(first.coef_, second.coef_)
    assert_array_equal(first.intercept_, second.intercept_)


def test_scipys_threads_are_restored_after_fits_that_overlap(problem):
    X, y, _ = problem
    before = [library["num_threads"] for library in threadpool_info()]
    with ThreadPoolExecutor(4) as pool:
        fits = list(pool.map(lambda _: SoftmaxClassifier(solver="lbfgs").fit(X, y), range(16)))
    assert [library["num_threads"] for library in threadpool_info()] == before
    assert all((fit.coef_ == fits[0].coef_).all() for fit in fits)
    with threads, threads:
        inside = threadpool_info()
    assert all(one["num_threads"] == 1 for one in inside if one["user_api"] == "blas")


def tight(X, y, **parameters):
    """The optimal objective, by the solver that gets lower."""
    fits = (
        SoftmaxClassifier(tol=1e-12, max_iter=10_000, solver=solver, **parameters)
        for solver in SOLVERS
    )
    return min(fit.fit(X, y).optimize_result_.fun for fit in fits)


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("kind", ["dense", "sparse", "soft"])
def test_a_sample_of_rows_keeps_the_promise_and_saves_passes(kind, tol):
    rng = np.random.default_rng(3)
    n, p, K = 20_000, 6, 4
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-3, 3, p) + 10
    logits = (X - 10) / X.std(axis=0) @ rng.normal(size=(p, K)) + rng.gumbel(size=(n, K))
    y = logits.argmax(axis=1)
    if kind == "soft":
        y = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if kind == "sparse":
        X = sp.csr_array(X * (rng.random((n, p)) < 0.5))
    best = tight(X, y)
    sampling = at_costs(worth_sampling=0)
    clf = sampling(tol=tol).fit(X, y)
    result = clf.optimize_result_
    assert result.success
    assert (result.fun - best) / best <= tol
    assert result.passes < result.nfev + result.nhev / 4
    assert_array_equal(sampling(tol=tol).fit(X, y).coef_, clf.coef_)


def test_a_sample_that_misses_what_matters_grows():
    # Nearly all weight is on a few rows, and few of these are in a sample.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 5)), rng.integers(3, size=20_000)
    weights = np.full(20_000, 1e-3)
    weights[:300] = 1e3
    best = SoftmaxClassifier(tol=1e-12).fit(X, y, weights).optimize_result_.fun
    result = at_costs(worth_sampling=0)(tol=1e-6).fit(X, y, weights).optimize_result_
    assert result.success
    assert (result.fun - best) / best <= 1e-6


def test_rare_classes_survive_a_sample_without_them():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30_000, 4)), rng.integers(3, size=30_000)
    y[:8] = 3
    best = SoftmaxClassifier(tol=1e-12).fit(X, y).optimize_result_.fun
    result = at_costs(worth_sampling=0)(tol=1e-7).fit(X, y).optimize_result_
    assert result.success
    assert (result.fun - best) / best <= 1e-7


def test_the_promise_is_kept_where_there_is_next_to_no_penalty():
    # Nearly separable, soft and hard, with a penalty at 1e-14 of the scale of the columns.
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(150, 40))
        logits = X @ rng.normal(size=(40, 6)) + rng.gumbel(size=(150, 6))
        soft = np.exp(2 * logits) / np.exp(2 * logits).sum(axis=1, keepdims=True)
        for y in (logits.argmax(axis=1), soft):
            best = SoftmaxClassifier(tol=1e-11).fit(X * 1e6, y).optimize_result_
            assert best.success
            for tol in (1e-3, 1e-6):
                result = SoftmaxClassifier(tol=tol).fit(X * 1e6, y).optimize_result_
                assert result.success
                assert (result.fun - best.fun) / best.fun <= tol


class Recording:
    """Rows, and a list of the types of number in which sums over them were made."""

    def __init__(self, data, read):
        self._data, self._read = data, read

    def __getattr__(self, name):
        return getattr(self._data, name)

    def sum(self, *args, **options):
        self._read.append(self._data.dtype.char)
        return self._data.sum(*args, **options)

    def map(self, *args, **options):
        return Recording(self._data.map(*args, **options), self._read)

    def rounded(self):
        return Recording(self._data.rounded(), self._read)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("C", [1, 1e4])
def test_rounded_products_keep_the_promise_in_full_precision(solver, C):
    rng = np.random.default_rng(0)
    X = (
        rng.normal(size=(150, 200))
        * (rng.random((150, 200)) < 0.1)
        * 10.0 ** rng.uniform(-3, 3, 200)
    )
    X, y = sp.csr_array(X), rng.integers(4, size=150)
    best = SoftmaxClassifier(C=C, tol=1e-12).fit(X, y).optimize_result_.fun
    objective = make(X, y, C=C, costs=replace(DEFAULT, worth_rounding=0))
    read = []
    objective.data = Recording(objective.data, read)
    start = np.zeros(objective.layout.size)
    for tol in (1e-3, 1e-9):
        read.clear()
        result = minimize(objective, start, solver=solver, tol=tol, max_iter=1000).result
        assert result.success
        assert (result.fun - best) / best <= tol
        assert "f" in read
        assert read[-1] == "d"


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_numbers_beyond_float32_are_not_rounded(factor):
    costs = replace(DEFAULT, worth_rounding=0)
    data = make(sp.csr_array(np.eye(3) * factor), np.arange(3), costs=costs).data
    assert data.rounded() is data
    data = make(sp.csr_array(np.eye(3)), np.arange(3), costs=costs).data
    ((block, _),) = data.rounded().chunks(3)
    assert block.X.values.dtype == np.float32


def test_float32_takes_no_more_passes_than_float64_where_the_objective_is_flat_to_rounding():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(3000, 60)) / np.arange(1, 61)).astype(np.float32) * 30
    y = (X @ rng.normal(size=(60, 12)) / 4 + rng.gumbel(size=(3000, 12))).argmax(axis=1)
    single, double = (
        SoftmaxClassifier(C=100).fit(X.astype(dtype), y).optimize_result_
        for dtype in (np.float32, np.float64)
    )
    assert single.success
    assert single.passes < 1.2 * double.passes
    assert_allclose(single.fun, double.fun, rtol=1e-6)


def test_the_promise_is_kept_where_losses_decay_at_different_rates():
    # For many steps the quadratic model estimates only a tenth of the gap.
    rng = np.random.default_rng(7)
    X = rng.normal(size=(30, 35))
    y = (X @ rng.normal(size=(35, 7))).argmax(axis=1)
    X *= 10.0 ** rng.uniform(-6, 6, 35)
    best = SoftmaxClassifier(tol=1e-12).fit(X, y).optimize_result_.fun
    result = SoftmaxClassifier(tol=1e-3).fit(X, y).optimize_result_
    assert result.success
    assert (result.fun - best) / best <= 1e-3


def test_the_whole_hessian_is_used_if_conjugate_gradients_took_long():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 30)), rng.integers(6, size=300)
    objective = make(X, y, C=1)
    method = method_of(Preconditioned, objective, precondition(objective))
    run = Fit(fun=objective.value_gradient, log=Log(), tol=1e-10, max_iter=100, objective=objective)
    point = run.evaluate(np.zeros(objective.layout.size))
    run.log.start(point)
    assert method.made(5).at(point, run).jointly is None
    state, stop = by_descent(State(point, method.made(1000)), run)
    assert stop is Stop.GAP
    assert state.method.jointly is not None
    expected = SoftmaxClassifier(solver="lbfgs", tol=1e-12).fit(X, y).optimize_result_.fun
    assert_allclose(state.point.value * objective.scale, expected, rtol=1e-10)


@pytest.mark.parametrize("products", [0, 1000])
def test_a_gradient_whose_square_overflows_is_looked_at_in_silence(products):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 30)), rng.integers(6, size=300)
    objective = make(X, y, C=1)
    run = Fit(fun=objective.value_gradient, log=Log(), tol=1e-10, max_iter=100, objective=objective)
    method = method_of(Preconditioned, objective, precondition(objective)).made(products)
    theta = np.zeros(objective.layout.size)
    point = Point(theta, 1e300, objective.value_gradient(theta)[1] * 1e200)
    method = method.at(point, run)
    assert (method.jointly is not None) is (products > 0)
    look = method.look(point, run, np.inf)
    assert not look.converged
    assert not look.gap < np.inf


@pytest.mark.parametrize("offset", [1e2, 1e4])
def test_float32_columns_far_from_zero_reach_the_default_tol(offset):
    X, y = load_digits(return_X_y=True)
    X = (X[:600] / 16 + offset).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = SoftmaxClassifier().fit(X, y[:600]).optimize_result_
    exact = SoftmaxClassifier(tol=1e-11).fit(X.astype(np.float64), y[:600])
    objective = make(X.astype(np.float64), y[:600], C=1)
    value = objective.value_gradient(objective.from_user(result.x))[0] * objective.scale
    best = exact.optimize_result_.fun
    assert abs(value / best - 1) < 1e-8


# --------------------------------------------------------------------------------------------------
# solver= as a callable
def scipys(name):
    """Return a method of SciPy as a callable."""

    def method(fun, x0, args=(), *, jac, hessp, callback, maxiter, **kwargs):
        options = {"maxiter": maxiter, "gtol": 0}
        extra = {"hessp": hessp} if name.startswith(("trust", "Newton")) else {}
        options = {"maxiter": maxiter} if name == "Newton-CG" else options
        return scipy_minimize(
            fun, x0, args, method=name, jac=jac, callback=callback, options=options, **extra
        )

    return method


def gradient_descent(fun, x0, args=(), *, jac, maxiter, **kwargs):
    """Descend with the inverse of the largest eigenvalue as step length, without a callback."""
    x = x0
    for _ in range(maxiter):
        x = x - jac(x) / 2
    return OptimizeResult(x=x, fun=fun(x), success=True)


@pytest.mark.parametrize("method", ["BFGS", "CG", "trust-ncg", "Newton-CG"])
@pytest.mark.parametrize("data", [load_iris, load_wine, load_breast_cancer])
def test_methods_of_scipy_reach_the_promise(method, data):
    X, y = data(return_X_y=True)
    best = SoftmaxClassifier(tol=1e-12).fit(X, y).optimize_result_.fun
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = SoftmaxClassifier(solver=scipys(method), tol=1e-8).fit(X, y)
    result = clf.optimize_result_
    assert result.success
    assert (result.fun - best) / best <= 1e-8
    assert len(clf.loss_curve_) == clf.n_iter_[0] == result.nit


def test_a_method_that_does_not_call_back():
    X, y = load_iris(return_X_y=True)
    best = SoftmaxClassifier(tol=1e-12).fit(X, y).optimize_result_.fun
    result = SoftmaxClassifier(solver=gradient_descent, tol=1e-6).fit(X, y).optimize_result_
    assert result.success
    assert (result.fun - best) / best <= 1e-6
    chosen = SoftmaxClassifierCV(Cs=[0.1, 1], cv=3, solver=gradient_descent).fit(X, y)
    assert chosen.C_ == SoftmaxClassifierCV(Cs=[0.1, 1], cv=3).fit(X, y).C_


def test_a_method_that_gets_nowhere_is_said():
    X, y = load_iris(return_X_y=True)

    def lazy(fun, x0, **kwargs):
        return OptimizeResult(x=x0, fun=fun(x0))

    def wrong(fun, x0, **kwargs):
        return OptimizeResult(x=x0 + 1e6, fun=0.0)

    def lost(fun, x0, *, callback, **kwargs):
        x = x0 + 1e300
        callback(OptimizeResult(x=x, fun=fun(x)))
        return OptimizeResult(x=x, fun=fun(x))

    for method in (lazy, wrong, lost):
        with pytest.warns(ConvergenceWarning, match=r"estimated relative gap of|unknown"):
            clf = SoftmaxClassifier(solver=method).fit(X, y)
        assert np.isfinite(clf.coef_).all()
        assert np.isfinite(clf.loss_curve_).all()
        assert clf.optimize_result_.fun <= 150 * np.log(3) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("x", "match"), [(np.zeros(3), "shape"), (np.nan, "finite"), ("text", "number|convert")]
)
def test_a_method_that_returns_no_point_is_an_error(x, match):
    X, y = load_iris(return_X_y=True)

    def method(fun, x0, **kwargs):
        return OptimizeResult(x=x * np.ones_like(x0) if np.isscalar(x) and x != "text" else x)

    with pytest.raises(ValueError, match=match):
        SoftmaxClassifier(solver=method).fit(X, y)


@pytest.mark.parametrize("params", [{"l1_ratio": 0.5}, {"coef_bounds": (0, None)}])
def test_a_callable_minimises_no_corners(params):
    with pytest.raises(ValueError, match="solver is a callable"):
        SoftmaxClassifier(solver=gradient_descent, **params).fit(*load_iris(return_X_y=True))


def test_a_method_gets_the_derivatives_of_its_function():
    X, y = load_wine(return_X_y=True)
    seen = []

    def method(fun, x0, args=(), *, jac, hessp, **kwargs):
        x = x0 + 0.1 * np.random.default_rng(0).normal(size=len(x0))
        v, step = np.random.default_rng(1).normal(size=len(x0)), 1e-5
        slope = (fun(x + step * v) - fun(x - step * v)) / (2 * step)
        curved = (jac(x + step * v) - jac(x - step * v)) / (2 * step)
        seen.append((slope, jac(x) @ v, curved, hessp(x, v)))
        return OptimizeResult(x=x0)

    with pytest.warns(ConvergenceWarning):
        SoftmaxClassifier(solver=method).fit(X, y)
    slope, along, curved, product = seen[0]
    assert_allclose(along, slope, rtol=1e-7)
    assert_allclose(product, curved, rtol=1e-6, atol=1e-9)


def along(value, slope, length=1.0):
    """A run, a look and the end of a step along one variable, from zero."""
    run = Run(
        fun=lambda x: (float(value(x[0])), np.array([slope(x[0])])),
        log=Log(),
        tol=1e-9,
        max_iter=9,
    )
    origin = run.evaluate(np.zeros(1))
    look = Look(step=np.ones(1), slope=float(slope(0.0)))
    return run, origin, look, Tried(length, run.evaluate(np.array([length])))


def test_the_minimum_of_a_cubic_along_a_step_is_found_at_once():
    # The minimum of x^3 - 3 x / 4 is at 1/2; the slope at 1 is three times that at 0.
    run, origin, look, found = along(lambda x: x**3 - 0.75 * x, lambda x: 3 * x**2 - 0.75, 0.8)
    point = level(run, origin, look, found, None)
    assert_allclose(point.theta, 0.5, rtol=1e-12)
    assert run.log.nfev == 3


@pytest.mark.parametrize("far", [0.02, 0.5, 5.0])
def test_steps_too_long_and_too_short_are_levelled(far):
    # log(cosh(x - far)) has slopes of size 1 at both ends if it is far.
    run, origin, look, found = along(
        lambda x: np.logaddexp(x - far, far - x), lambda x: np.tanh(x - far)
    )
    if not found.point.value < origin.value:
        beyond = found
        found = Tried(far / 2, run.evaluate(np.array([far / 2])))
    else:
        beyond = None
    before = found.point.value
    point = level(run, origin, look, found, beyond)
    assert point.value <= before
    assert abs(point.gradient[0]) <= 0.5 * np.tanh(far)
    assert run.log.nfev <= 3 + run.costs.searches


def test_a_line_along_a_step_is_followed_as_far_as_points_are_tried():
    run, origin, look, found = along(lambda x: -x, lambda _: -1.0)
    point = level(run, origin, look, found, None)
    assert point.theta[0] == 4.0**run.costs.searches
    assert run.log.nfev == 2 + run.costs.searches


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_point_without_a_finite_value_is_not_taken_for_one_that_differs_by_rounding(value):
    run, origin, look, _ = along(
        lambda x: value if x > 0.5 else (x - 1) ** 2 + 1, lambda x: 2 * (x - 1)
    )
    found = line_search(
        run, origin, look, lambda length, _: length / 2, lambda _: True, lambda *seen: seen[3].point
    )
    assert found.length == 0.5


def test_what_a_bounded_sum_misses_is_reported():
    rng = np.random.default_rng(0)
    H = np.diag(10.0 ** rng.uniform(-3, 0, 50))
    g = rng.normal(size=50)
    want = g @ np.linalg.solve(H, g) / 2
    for share in (0.5, 0.9):
        found = newton_decrement(
            g,
            g,
            lambda v: (H @ v, H @ v),
            lambda r: float(r @ r) / (2 * H.diagonal().min()),
            limit=want / share,
            truncation=0.0,
            as_bounded=True,
        )
        assert found.complete
        assert found.gap < want <= found.gap + found.left <= want / share


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
def test_a_gap_that_the_gradient_proves_is_not_looked_at_again(tol, monkeypatch):
    X, y = load_digits(return_X_y=True)
    clf = SoftmaxClassifier(tol=tol).fit(X, y)
    exact = SoftmaxClassifier(tol=1e-11).fit(X, y).optimize_result_.fun
    assert clf.optimize_result_.fun <= exact * (1 + tol)
    monkeypatch.setattr("skce._solver.iterate.is_certain", lambda *_: False)
    again = SoftmaxClassifier(tol=tol).fit(X, y)
    assert clf.optimize_result_.passes < again.optimize_result_.passes


@pytest.mark.parametrize("share", [1.5, 20.0, 1e4])
def test_a_bounded_sum_above_the_limit_ends_once_its_step_suffices(share):
    rng = np.random.default_rng(1)
    H = np.diag(10.0 ** rng.uniform(-3, 0, 80))
    g = rng.normal(size=80)
    limit = g @ np.linalg.solve(H, g) / 2 / share
    bounds = []

    def missed(residual):
        bounds.append(float(residual @ residual) / (2 * H.diagonal().min()))
        return bounds[-1]

    found = decrement(g, lambda v: H @ v, missed, limit=limit, truncation=0.0, as_bounded=True)
    exact = decrement(g, lambda v: H @ v, missed, limit=limit, truncation=0.0)
    assert found.gap > limit
    assert not found.complete
    bounds.clear()
    assert missed(g + H @ found.step) <= limit * (1 + 1e-9)  # the gradient after the step proves it
    assert found.gap < exact.gap


def test_a_sum_that_promises_too_much_ends():
    rng = np.random.default_rng(0)
    H, g = np.diag(10.0 ** rng.uniform(-6, 0, 50)), rng.normal(size=50)
    given = {"limit": 1e-9, "truncation": 0.0}
    whole, short = (
        newton_decrement(g, g, lambda v: (H @ v, H @ v), lambda _: np.inf, most=most, **given)
        for most in (np.inf, 100.0)
    )
    assert whole.gap > short.gap > 100
    assert not short.complete
