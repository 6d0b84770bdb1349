"""A fit without a warning is within `tol`, on kinds of data that once broke this promise.

Gaps are those of `certificate.py`, which shares no code with the package.
"""

import re
import signal
import sys
import threading
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from certificate import Problem, certify
from numpy.testing import assert_allclose
from objectives import at_costs, make
from promise import run
from sklearn.exceptions import ConvergenceWarning

from skce import SoftmaxClassifier
from skce._problem.penalty import Nonsmooth
from skce._solver import variables
from skce._solver.quadratic import Dense, Shifts
from skce._solver.variables import precondition, rounding_without_intercept, variance_of
from skce._solver.working_set import WorkingSet

SOLVERS = ["newton-cg", "lbfgs"]
CONTAINERS = {"dense": np.asarray, "csr": sp.csr_array}


def gap_of(clf, X, y):
    """Proven relative gap of a fit on labels, from its parameters in float64."""
    K, p = clf.coef_.shape
    T = np.eye(len(clf.classes_))[np.searchsorted(clf.classes_, y)]
    T = T[:, 1:] if K == 1 else T
    low, high = clf.coef_bounds or (None, None)
    problem = Problem(
        np.asarray(X, dtype=np.float64),
        T,
        np.ones((len(X), 1)),
        "sigmoid" if K == 1 else "softmax",
        C=clf.C,
        l1_ratio=clf.l1_ratio,
        factors=None if clf.penalty_weights is None else np.asarray(clf.penalty_weights),
        low=None if low is None else np.full((K, p), float(low)),
        high=None if high is None else np.full((K, p), float(high)),
        fit_intercept=clf.fit_intercept,
    )
    theta = clf.optimize_result_.x
    b = theta[K * p :] if clf.fit_intercept else np.zeros(K)
    return float(certify(problem, theta[: K * p].reshape(K, p), b, accuracy=clf.tol).gap)


def assert_kept(X, y, given=None, *, may_warn=False, estimator=SoftmaxClassifier, **params):
    """Fit, and check that there is a warning if the gap is above tol, and only if `may_warn`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf = estimator(**params).fit(X if given is None else given, y)
    assert all(issubclass(one.category, ConvergenceWarning) for one in caught), caught[0].message
    assert may_warn or not caught, caught[0].message
    dtype = (X if given is None else given).dtype
    assert caught or gap_of(clf, X, y) <= clf.tol + np.finfo(dtype).eps
    return clf


@pytest.fixture(autouse=True)
def _ends():
    """End every test here after a minute."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise TimeoutError("the fit does not end")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------- wide X, and columns of any units
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_words_and_a_time_in_wide_x(container, solver):
    rng = np.random.default_rng(0)
    words = rng.random((60, 100)) < 0.05
    X = np.column_stack([words, 1.6e9 * (1 + 0.006 * rng.normal(size=60))])
    y = rng.integers(0, 3, size=60)
    clf = assert_kept(X, y, CONTAINERS[container](X), solver=solver)
    assert_allclose(clf.optimize_result_.fun, 34.47556378563806, rtol=1e-9)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("deviation", [1e-6, 1e5, 1e7, 1e9])
@pytest.mark.parametrize(("n", "p"), [(60, 100), (40, 300), (150, 140)])
def test_one_column_of_other_units(n, p, deviation, container):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, p))
    X[:, 0] *= deviation
    X[:, 1] += 10 * deviation
    y = rng.integers(0, 3, size=n)
    for C in (1e-2, 1.0, 1e4):
        assert_kept(X, y, CONTAINERS[container](X), C=C)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_units_of_every_size_with_too_many_rows_and_columns_to_whiten(container, solver):
    estimator = at_costs(whiten_up_to=5, whiten_late=0)
    rng = np.random.default_rng(2)
    X = rng.normal(size=(120, 60)) * 10 ** rng.uniform(-4, 6, 60)
    y = rng.integers(0, 3, size=120)
    params = {"estimator": estimator, "solver": solver, "C": 0.1}
    assert_kept(X, y, CONTAINERS[container](X), **params, may_warn=solver == "lbfgs")


#: Treats columns as if there were too many to whiten.
Scaled = at_costs(whiten_up_to=3, whiten_late=3, joint_size=0, class_bytes=0)


def word_counts(n=400, p=500, K=4, seed=0):
    """Rows of words that follow Zipf's law, some of them from a vocabulary of the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % K
    words = np.minimum(rng.zipf(1.3, size=(n, 60)) - 1, p - 1)
    own = rng.random((n, 60)) < 0.2
    words[own] = (words[own] * 7 + 13 * np.repeat(y, 60).reshape(n, 60)[own]) % p
    X = np.zeros((n, p))
    np.add.at(X, (np.repeat(np.arange(n), 60), words.ravel()), 1.0)
    return X, y


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("C", [0.1, 100.0])
@pytest.mark.parametrize("form", ["counts", "binary", "norm 1"])
def test_columns_that_are_scaled_and_a_gap_that_is_bounded(form, C, container):
    X, y = word_counts(200, 250)
    X = {
        "counts": X,
        "binary": (X > 0).astype(float),
        "norm 1": X / np.linalg.norm(X, axis=1, keepdims=True),
    }[form]
    for tol in (1e-2, 1e-4, 1e-8):
        clf = assert_kept(X, y, CONTAINERS[container](X), estimator=Scaled, C=C, tol=tol)
        # The reported gap is not below the proven one.
        assert gap_of(clf, X, y) <= max(clf.optimize_result_.gap, 1e-13)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("C", [0.01, 100.0])
@pytest.mark.parametrize("kind", ["one class", "half of the classes"])
def test_intercepts_that_gain_what_no_coefficient_does(kind, C, container):
    X, y = word_counts()
    w = np.ones(len(y))
    if kind == "one class":  # its intercept has no minimum, and almost no curvature
        w[y == 3] = 0
    else:  # one column separates two groups, and only their shares are left to fit
        X[:, 0] = 20.0 * (y > 1)
        w[y > 1] = 1e-3
    for tol in (1e-3, 1e-6, 1e-9):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            clf = Scaled(C=C, tol=tol).fit(CONTAINERS[container](X), y, sample_weight=w)
        best = Scaled(C=C, tol=1e-13, solver="lbfgs").fit(X, y, sample_weight=w)
        assert clf.optimize_result_.fun <= best.optimize_result_.fun * (1 + tol + 1e-13)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize(
    ("shape", "dtype", "C", "tol", "solver"),
    [
        ((4000, 300, 4), np.float64, 0.01, 1e-9, "newton-cg"),
        ((4000, 300, 4), np.float64, 0.01, 1e-6, "auto"),
        ((700, 1500, 3), np.float64, 0.01, 1e-9, "auto"),
        ((700, 1500, 3), np.float64, 0.01, 1e-6, "lbfgs"),
        ((3000, 600, 6), np.float32, 10.0, 1e-4, "auto"),
    ],
)
def test_a_class_without_weight_gains_by_its_intercept(shape, dtype, C, tol, solver, constant):
    n, p, K = shape
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) * np.exp(rng.normal(size=p)) / np.sqrt(p)
    if constant:
        X[:, 0] = 3.0
    y = (X @ rng.normal(size=(p, K)) * 2 + rng.gumbel(size=(n, K))).argmax(axis=1)
    w = np.where(y == K - 1, 0, rng.uniform(0.5, 2, size=n))
    given = X.astype(dtype)
    clf = SoftmaxClassifier(C=C, tol=tol, solver=solver).fit(given, y, sample_weight=w)
    rest = w > 0
    best = SoftmaxClassifier(C=C, tol=1e-12, loss="categorical")
    best.fit(given[rest].astype(float), y[rest], sample_weight=w[rest])
    gap = clf.optimize_result_.fun / best.optimize_result_.fun - 1
    assert gap <= clf.optimize_result_.gap + 1e-12 <= tol + 1e-12


def test_scaled_columns_take_fewer_passes():
    X, y = word_counts()
    plain = at_costs(whiten_up_to=3, whiten_late=3, joint_size=0, class_bytes=0, column_power=0.0)
    for given in (X, X / np.linalg.norm(X, axis=1, keepdims=True)):
        passes, before = (
            estimator(C=100.0, tol=1e-4, solver="newton-cg")
            .fit(sp.csr_array(given), y)
            .optimize_result_.passes
            for estimator in (Scaled, plain)
        )
        assert passes < 0.95 * before


def test_wide_x_in_units_of_every_size():
    rng = np.random.default_rng(8)
    for n, p in ((18, 104), (27, 163), (13, 50)):
        X = rng.normal(size=(n, p)) * 10 ** rng.uniform(-8, 10, p)
        clf = assert_kept(X, np.arange(n) % 3)
        assert clf.n_iter_[0] < 100


@pytest.mark.parametrize("seed", [540530, 730286])
def test_wide_x_whose_small_directions_are_rounding_beside_large_ones(seed):
    outcome = run(seed)
    assert not outcome.violations, outcome
    assert not outcome.warned, outcome.message


@pytest.mark.parametrize(
    ("n", "p", "rank", "some_free", "seeds"),
    [
        (13, 26, 13, False, range(4)),
        (8, 27, 8, False, range(4)),
        (32, 29, 5, False, range(4)),
        (38, 27, 2, True, (9, 14, 23)),
    ],
)
def test_dependent_columns_far_from_zero_without_an_intercept(n, p, rank, some_free, seeds):
    params = {"fit_intercept": False, "loss": "categorical"}
    if some_free:
        params["penalty_weights"] = np.arange(p) < p // 2
    for seed in seeds:
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, p)) * 10 ** rng.uniform(-1, 1, p)
        X += 10 ** rng.uniform(4, 7) * rng.choice([-1, 1], p) * rng.uniform(0.01, 1, p)
        y = np.argsort(np.argsort(X[:, 0])) * 2 // n
        for C in (1e-2, 1e4):
            assert_kept(X * 1e5, y, C=C, tol=1e-8, may_warn=some_free, **params)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_direction_that_the_variables_lack_is_noticed(solver, monkeypatch):
    whiten = variables.whiten_rows

    def lacking(objective):
        full = whiten(objective)
        return variables.Whitened(objective, full.mean, full.Q[:, :-1], full.variance)

    monkeypatch.setattr(variables, "whiten_rows", lacking)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(40, 60)) * 10 ** rng.uniform(-4, 4, 60)
        with pytest.warns(ConvergenceWarning):
            clf = SoftmaxClassifier(C=100, solver=solver).fit(X, np.arange(40) % 3)
        assert gap_of(clf, X, np.arange(40) % 3) > clf.tol


@pytest.mark.parametrize("container", CONTAINERS)
def test_many_columns_are_whitened_once_conjugate_gradients_take_long(container):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 40)) + 1e-3 * rng.normal(size=(400, 40))
    y = (X[:, :4] + rng.gumbel(size=(400, 4))).argmax(axis=1)
    given = CONTAINERS[container](X)
    clf = assert_kept(X, y, given, C=np.inf, estimator=at_costs(whiten_up_to=5))
    never = at_costs(whiten_up_to=5, whiten_late=0, class_bytes=0, joint_bytes=0)
    plain = assert_kept(X, y, given, C=np.inf, may_warn=True, estimator=never)
    assert clf.optimize_result_.passes < plain.optimize_result_.passes / 2


def test_nearly_equal_columns_without_a_penalty():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200, 3))
    X = np.column_stack([x, x[:, 0] + 1e-8 * rng.normal(size=200)])
    y = (x[:, 1] + rng.normal(size=200) > 0).astype(int)
    assert_kept(X, y, C=np.inf)


# ------------------------------------------------------------------------- columns far from zero
@pytest.mark.parametrize("params", [{}, {"coef_bounds": (-1, 1)}, {"l1_ratio": 1.0, "C": 0.1}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", CONTAINERS)
def test_offsets(container, dtype, params):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(100, 30)) + 1000).astype(dtype)
    y = rng.integers(0, 4, size=100)
    tol = 1e-4 if dtype == np.float32 else 1e-9
    assert_kept(X, y, CONTAINERS[container](X), tol=tol, **params)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_float32_in_many_units_far_from_zero(container, solver):
    rng = np.random.default_rng(0)
    X = ((rng.normal(size=(100, 250)) + 1000) * 10 ** rng.uniform(-3, 3, 250)).astype(np.float32)
    y = rng.integers(0, 4, size=100)
    assert_kept(X, y, CONTAINERS[container](X), tol=1e-3, solver=solver)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("offset", [10.0, 1e3, 1e5, 1e7])
def test_elastic_net_far_from_zero_ends_at_once(offset, container):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(33, 2)) + offset, np.arange(33) % 4
    clf = assert_kept(X, y, CONTAINERS[container](X), C=100, l1_ratio=0.5)
    assert clf.n_iter_[0] < 20


@pytest.mark.parametrize("params", [{}, {"l1_ratio": 0.5}, {"coef_bounds": (-1, 1)}])
def test_offsets_without_an_intercept(params):
    rng = np.random.default_rng(5)
    for offset in (1e2, 1e4, 1e7, 1e9):
        X, y = rng.normal(size=(50, 3)) + offset, np.arange(50) % 3
        assert_kept(X, y, fit_intercept=False, may_warn=bool(params), tol=1e-6, **params)


@pytest.mark.parametrize("centred", [True, False])
def test_digits_that_are_lost_without_an_intercept_are_said(centred):
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(13, 4)) * 1e-2 + 1e9 * rng.random(4), rng.dirichlet(np.ones(2), 13)
    objective = make(X, Y, C=1e12, fit_intercept=centred)
    hidden = rounding_without_intercept(objective, np.ones(objective.layout.size), 0.6)
    assert (hidden > 1e-9) != centred
    if not centred:
        X = (X - X.mean(axis=0)) * 1e-3 + X.mean(axis=0)
        with pytest.warns(ConvergenceWarning, match=r"without an intercept.*set|precision of X"):
            SoftmaxClassifier(C=1e12, fit_intercept=False).fit(X, Y)


@pytest.mark.parametrize("l1_ratio", [0, 0.5])
@pytest.mark.parametrize("C", [1e6, 1e12])
def test_next_to_no_loss_leaves_digits_without_an_intercept(C, l1_ratio):
    for seed in (0, 1):  # the slopes of rows that are fitted are small, and so is their rounding
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(30, 60)) + 10 ** rng.uniform(2, 5)
        y = rng.integers(0, 3, 30)
        assert_kept(X, y, C=C, l1_ratio=l1_ratio, fit_intercept=False)


def test_bounds_far_away_in_logits():
    warned = 0  # slopes that are rounding, times widths of 1e7, rarely hide a gap
    for seed in range(24):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(11, 6)) * 10 ** rng.uniform(-1, 9, 6)
        X, Y = np.c_[X, X @ rng.normal(size=(6, 4))], rng.dirichlet(np.ones(3), 11)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf = SoftmaxClassifier(coef_bounds=(-0.03, 0.004)).fit(X, Y)
        if caught:
            warned += 1
            continue
        low, high = (np.full((3, 10), bound) for bound in clf.coef_bounds)
        problem = Problem(
            X, Y, np.ones((11, 1)), "softmax", C=1.0, l1_ratio=0.0, low=low, high=high
        )
        found = certify(problem, clf.coef_, clf.intercept_, accuracy=clf.tol)
        assert float((found.value - found.best) / found.best) <= clf.tol
    assert warned <= 2


@pytest.mark.parametrize(
    ("shape", "K", "l1_ratio"), [((3000, 300), 60, 0), ((900, 20), 3, 0), ((900, 20), 3, 0.5)]
)
def test_csr_with_less_than_a_number_in_a_row(shape, K, l1_ratio):
    rng = np.random.default_rng(0)
    y, some = np.arange(shape[0]) % K, rng.permutation(shape[0])[: shape[0] // 2]
    places = some, rng.integers(0, shape[1], len(some))
    X = sp.csr_array((rng.normal(size=len(some)), places), shape)
    assert X.nnz < len(y)
    clf = SoftmaxClassifier(l1_ratio=l1_ratio, C=10).fit(X, y)
    dense = SoftmaxClassifier(l1_ratio=l1_ratio, C=10).fit(X.toarray(), y)
    assert_allclose(clf.optimize_result_.fun, dense.optimize_result_.fun, rtol=2e-9)
    assert clf.optimize_result_.passes < 300


def test_few_rows_far_from_zero_without_an_intercept():
    rng = np.random.default_rng(9)
    X, y = rng.normal(size=(23, 400)), np.arange(23) % 3
    X[:, 7] = 1.6e9 * (1 + 0.006 * X[:, 7])
    X += 1e7 * rng.random(400)
    assert_kept(X, y, C=95.0, fit_intercept=False)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_small_columns_beside_a_large_one_in_wide_x(fit_intercept):
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(57, 67)) * 10 ** rng.uniform(-3, 4, size=67), np.arange(57) % 2
    X[:, 0] = 4e12 * (1 + 0.006 * rng.normal(size=57))
    assert_kept(X, y, C=1e8, fit_intercept=fit_intercept)


def test_intercepts_whose_digits_do_not_suffice_are_said():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(60, 1)) * 1e-4 + 1e10
    y = (X[:, 0] - 1e10 + 1e-4 * rng.normal(size=60) > 0).astype(int)
    with pytest.warns(ConvergenceWarning, match="columns far from zero"):
        SoftmaxClassifier(C=1e12, tol=1e-11).fit(X, y)


# ----------------------------------------------------------------------------- loops and numbers
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "params",
    [
        {"l1_ratio": 0.5, "penalty_weights": [0, 1, 1, 1, 1, 1]},
        {"l1_ratio": 1.0, "penalty_weights": [0, 1, 1, 1, 1, 1]},
        {"coef_bounds": (0, None), "C": np.inf},
        {"coef_bounds": (-1, 1), "penalty_weights": [0, 1, 1, 1, 1, 1]},
    ],
)
def test_a_constant_column_without_a_penalty(params, n_classes, fit_intercept):
    rng = np.random.default_rng(0)
    for constant in (3.0, 0.1, -1e8):
        X = np.column_stack([np.full(48, constant), rng.normal(size=(48, 5))])
        y = rng.integers(0, n_classes, size=48)
        assert_kept(X, y, fit_intercept=fit_intercept, **params)


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_variance_of_constant_columns_is_zero(container):
    rng = np.random.default_rng(0)
    X = np.full((3000, 200), rng.normal(size=200))
    X[0, :3] *= 1 + 1e-12
    objective = make(
        CONTAINERS[container](X), np.arange(3000) % 2, weights=rng.random(3000), centred=False
    )
    variance = variance_of(objective, *objective.moments())
    assert not variance[3:].any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("C", [1.0, 1e4])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_l1_on_collinear_columns_in_other_units(l1_ratio, C, dtype):
    rng = np.random.default_rng(4)
    for units in (1e-6, 1e3, 1e6):
        X = rng.normal(size=(15, 6))
        X[:, 4] = X[:, 0] - 2 * X[:, 1]
        X[:, 5] = X[:, 2] + 1e-7 * rng.normal(size=15)
        X[:, [0, 2]] *= units
        X = X.astype(dtype)
        y = (X[:, 1] + rng.gumbel(size=(3, 15))).argmax(axis=0)
        may_warn = dtype == np.float32
        assert_kept(X, y, C=C, l1_ratio=l1_ratio, tol=1e-6, may_warn=may_warn)


def test_l1_on_wide_x_with_next_to_no_penalty():
    # With few rows, steps from edge to edge estimated a gap of 1e-9, and it was 1e-5.
    rng = np.random.default_rng(0)
    for n, p, K in ((43, 381, 3), (20, 60, 6), (15, 200, 2)):
        X = sp.random(n, p, density=0.5, random_state=1, data_rvs=rng.standard_normal).toarray()
        y = np.arange(n) % K
        for params in ({"l1_ratio": 0.2}, {"l1_ratio": 1.0}, {"coef_bounds": (-0.01, None)}):
            assert_kept(X, y, C=1e5, **params)


def test_no_intercept_and_columns_far_from_zero_under_bounds():
    rng = np.random.default_rng(5)
    for far in (1e4, 1e7, 1e10):
        X = rng.normal(size=(80, 6)) + far * np.sign(rng.normal(size=6))
        y = rng.integers(0, 2, size=80)
        for params in ({"coef_bounds": (None, 0)}, {"l1_ratio": 0.5}, {"coef_bounds": (-1, 2)}):
            assert_kept(X, y, C=1e5, fit_intercept=False, may_warn=True, **params)


def test_bounds_in_many_units():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(16, 3)) * [1e-5, 1, 1e4], np.arange(16) % 4
    for bounds in ((0, None), (-1, 1), (None, 0.5), (-0.3, None)):
        assert assert_kept(X, y, C=20.0, coef_bounds=bounds).n_iter_[0] < 30


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("size", [1e3, 1e6, 1e9])
@pytest.mark.parametrize("tol", [1e-3, 1e-9])
def test_logits_that_bounds_keep_far_off(n_classes, size, tol):
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(40, 6)) * size, np.arange(40) % n_classes
    rounded = size == 1e9 and tol == 1e-9  # F has no more digits, on some machines
    for l1_ratio in (0.0, 1.0):
        params = {"l1_ratio": l1_ratio, "coef_bounds": (0.2, 1.0), "tol": tol}
        assert_kept(X, y, C=1e-3, may_warn=rounded, **params)


def test_offsets_that_bounds_multiply():
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(14, 3)) * 3e9 + 4e9, np.arange(14) % 2
    assert_kept(X, y, C=1e-3, l1_ratio=1.0, coef_bounds=(0.0016, 0.03))


@pytest.mark.parametrize("params", [{"l1_ratio": 1.0}, {"coef_bounds": (0, None)}, {}])
def test_columns_that_differ_in_their_last_bits(params):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(50, 4)), np.arange(50) % 2
    X[:, 0] = 3e8 + np.spacing(3e8) * (10 * y + rng.integers(0, 9, size=50))
    assert_kept(X, y, C=1e6, may_warn=True, **params)


def test_a_penalty_that_leaves_nothing_far_from_zero_and_without_an_intercept():
    rng = np.random.default_rng(0)
    X, y = 1e6 + rng.normal(size=(20, 30)), np.arange(20) % 3
    clf = assert_kept(X, y, C=1e-9, l1_ratio=0.5, fit_intercept=False)
    assert not clf.coef_.any()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(10, 2), (3, 5), (10, 1500)])
@pytest.mark.parametrize("params", [{}, {"C": np.inf}, {"l1_ratio": 1.0}, {"coef_bounds": (-1, 1)}])
def test_nothing_but_zeros_and_no_intercept(params, shape, solver):
    for K in (2, 3):
        y = np.arange(shape[0]) % K
        clf = assert_kept(np.zeros(shape), y, fit_intercept=False, solver=solver, **params)
        assert not clf.coef_.any()
        assert clf.optimize_result_.gap == 0


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("C", [7e4, np.inf])
def test_few_rows_and_many_columns_without_a_penalty(C, container):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(24, 1500)) * 10 ** rng.uniform(-2, 4, size=1500)
    weights = np.where(rng.random(1500) < 0.2, 0, 10 ** rng.uniform(-3, 3, size=1500))
    Y = rng.dirichlet(np.ones(3), size=24)
    clf = SoftmaxClassifier(C=C, penalty_weights=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(CONTAINERS[container](X), Y)
    assert clf.optimize_result_.passes < (300 if np.isfinite(C) else 60)
    factors = weights if np.isfinite(C) else None
    problem = Problem(X, Y, np.ones((24, 1)), "softmax", C=C, factors=factors, fit_intercept=True)
    theta = clf.optimize_result_.x
    found = certify(problem, theta[:4500].reshape(3, 1500), theta[4500:], accuracy=clf.tol)
    assert found.gap <= 1e-9


def test_a_model_whose_work_is_spent_certifies_nothing():
    H, slopes = np.eye(3), np.full(3, 1e-8)
    no = Nonsmooth(np.zeros(3), np.full(3, -np.inf), np.full(3, np.inf))
    model = Dense(H, slopes, no, np.zeros(3), Shifts(np.empty((0, 1), dtype=int), np.empty((0, 1))))
    assert model.minimum(limit=1e-6).solved
    model.most_work = -1.0
    assert not model.minimum(limit=1e-6).solved


def test_a_model_that_was_not_solved_certifies_nothing():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 3
    objective = make(X, y, C=1.0, bounds=(-1.0, 1.0))

    class Lost(WorkingSet):
        """A working set whose models have a Hessian of NaN."""

        def _model(self, theta, some, *, by_root):
            lost = np.full((len(some), len(some)), np.nan)
            return lambda damping, *rest: Dense(lost, *rest), lambda: 1

    active = Lost(objective)
    theta = np.zeros(objective.layout.size)
    value, gradient = objective.value_gradient(theta)
    some, _ = active.choose(theta, gradient)
    least, _ = active.minimum(theta, gradient, some, limit=1e-9, most=value)
    assert not least.solved
    assert least.gain == np.inf
    assert (least.x == theta).all()


@pytest.mark.parametrize("factor", [1e3, 1e8, 1e30, 1e200, 1e307])
def test_a_warm_start_far_off(factor):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 3
    for params in ({}, {"l1_ratio": 0.5}, {"coef_bounds": (-1, 1)}, {"solver": "lbfgs"}):
        cold = SoftmaxClassifier(**params).fit(X, y)
        warm = SoftmaxClassifier(warm_start=True, **params).fit(X, y)
        warm.coef_ = factor * warm.coef_
        warm.fit(X, y)
        assert_allclose(warm.optimize_result_.fun, cold.optimize_result_.fun, rtol=2e-9)


@pytest.mark.parametrize("C", [1e-320, 1e-200, 1e305])
def test_c_whose_squares_leave_float64_is_refused(C):
    X, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
    for params in ({}, {"l1_ratio": 1.0}, {"coef_bounds": (0, 1)}):
        with pytest.raises(ValueError, match=r"C=.* is out of range"):
            SoftmaxClassifier(C=C, **params).fit(X, y)


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-160])
def test_columns_whose_squares_underflow(size):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2)) * [1, size]
    y = (X[:, 1] / size + rng.normal(size=90) > 0).astype(int)
    for params in ({"C": np.inf}, {"penalty_weights": [1, 0]}):
        for given in (X, sp.csr_array(X)):
            with pytest.raises(ValueError, match="underflow, first in column 1"):
                SoftmaxClassifier(**params).fit(given, y)
    assert_kept(X, y)
    assert_kept(X, y, l1_ratio=1.0)


# ------------------------------------------------------------------------------------ separation
def separated_column(seed=0):
    """A column that is 1 in rows of one class only, four others, and labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 4))
    x = (rng.random(200) < 0.1).astype(float)
    return np.c_[X[:, :2], x, X[:, 2:]], np.where(x == 1, 2, rng.integers(0, 3, 200))


@pytest.mark.parametrize(
    ("solver", "tol"),
    [
        *((solver, tol) for solver in SOLVERS for tol in (1e-2, 1e-4, 1e-9)),
        ("newton-cg", 1e-12),  # the last steps of "lbfgs" are lost in rounding there
    ],
)
@pytest.mark.parametrize(
    ("params", "advice"),
    [
        ({"C": np.inf}, "set a finite C"),
        ({"penalty_weights": [1, 1, 0, 1, 1]}, "set no weight to zero"),
        ({"penalty_weights": [1, 1, 0, 1, 1], "l1_ratio": 1.0}, "set no weight to zero"),
        ({"C": np.inf, "coef_bounds": (None, 1e9)}, "set a finite C"),
    ],
)
def test_quasi_separation_is_said_with_its_column(params, advice, solver, tol):
    pd = pytest.importorskip("pandas")
    X, y = separated_column()
    X = pd.DataFrame(X, columns=[*"abcde"])
    with pytest.warns(ConvergenceWarning, match=r"grow.*features \['c'\]") as caught:
        clf = SoftmaxClassifier(solver=solver, tol=tol, **params).fit(X, y)
    assert advice in str(caught[0].message)
    assert not clf.optimize_result_.success
    assert np.isfinite(clf.coef_).all()


def test_quasi_separation_of_two_classes_names_the_class():
    X, y = separated_column()
    label = np.where(y == 2, "yes", "no")
    X[:, 2] = np.where(label == "yes", X[:, 2], 0)
    with pytest.warns(ConvergenceWarning, match=r"features \[2\] of classes \['yes'\]"):
        SoftmaxClassifier(C=np.inf).fit(X, label)


def test_levels_that_lack_a_class_are_said():
    rng = np.random.default_rng(0)
    levels, y = rng.integers(0, 100, 300), rng.integers(0, 3, 300)
    for given in (np.eye(100)[levels], sp.csr_array(np.eye(100)[levels])):
        with pytest.warns(ConvergenceWarning, match="grow without bound"):
            SoftmaxClassifier(C=np.inf).fit(given, y)


def test_no_word_of_separation_where_there_is_an_optimum():
    rng = np.random.default_rng(0)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(300, 3)) * 10 ** rng.uniform(-3, 3, 3)
        z = 3 * X / X.std(axis=0)
        y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
        for tol in (1e-2, 1e-4, 1e-9):
            assert_kept(X, y, C=np.inf, tol=tol)
            assert_kept(X, y, penalty_weights=[0, 0, 1], l1_ratio=1.0, tol=tol)
    # If probabilities are small, but not zero, every coefficient is finite.
    Y = np.full((200, 3), 1e-3)
    Y[np.arange(200), separated_column()[1]] = 1 - 2e-3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SoftmaxClassifier(C=np.inf).fit(separated_column()[0], Y)


def test_the_message_is_whole():
    X, y = separated_column()
    with pytest.warns(ConvergenceWarning) as caught:
        SoftmaxClassifier(C=np.inf).fit(X, y)
    text = str(caught[0].message)
    assert re.fullmatch(
        r"SoftmaxClassifier stopped at an estimated relative gap of \S+ to the optimum after \d+ "
        r"iterations, because some coefficients grow without bound, while the loss hardly changes; "
        r"tol=1e-09 was asked for\. The coefficients that grow are those of features \[2\] of "
        r"classes \[0, 1, 2\]\. There is no optimum with C=inf: set a finite C\.",
        text,
    ), text
    assert caught[0].filename == sys._getframe().f_code.co_filename


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_coefficients_beyond_float32_are_said(container):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), np.arange(60) % 3
    X = (X * [1.0, 1e-37]).astype(np.float32)
    params = {"C": np.inf, "penalty_weights": [1.0, 0.0], "tol": 1e-6}
    with pytest.warns(ConvergenceWarning, match=r"range of float32.*float64"):
        clf = SoftmaxClassifier(**params).fit(container(X * np.float32(0.01)), y)
    assert np.isfinite(clf.coef_).all()
    assert clf.coef_.dtype == np.float32
    assert np.isfinite(clf.optimize_result_.x).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SoftmaxClassifier(**params).fit(container(X.astype(np.float64) * 0.01), y)


@pytest.mark.parametrize("largest", [1e6, 1e14])
def test_variables_of_few_rows_are_as_many_as_the_rows_span(largest):
    # Rounding of centred rows must not count as a direction: a step along it leaves rounding in the
    # coefficients, and its penalty stays.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(15, 200)) * 10.0 ** rng.uniform(-8, 10, 200)
    X[:, 7] = largest * (1 + rng.normal(size=15) / 100)
    weights = rng.uniform(0.5, 2, 15)
    weights[3] = 0
    variables = precondition(make(X, np.arange(15) % 3, C=1.0, weights=weights))
    assert variables.width == 13
    rows = (X - weights @ X / weights.sum())[weights > 0]
    spanned = np.linalg.qr(rows[np.argsort(-np.abs(rows).max(axis=1))].T)[0][:, :13]
    Q = variables.Q / np.linalg.norm(variables.Q, axis=0)
    assert np.linalg.norm(Q - spanned @ (spanned.T @ Q), axis=0).max() < 1e-6


@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_longest_floats_keep_digits_of_slopes(kind):
    # A column is far from zero, without an intercept: slopes are differences of sums of 1e9.
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(40, 3)) + [0, 1e9, 0], rng.dirichlet(np.ones(3), 40)
    objective = make(CONTAINERS[kind](X), Y, fit_intercept=False)
    theta = rng.normal(size=9) * 1e-9
    W = theta.reshape(3, 3).astype(np.longdouble)
    value, gradient = objective.slowly(theta)
    expected, slopes = np.longdouble(0), np.zeros((3, 3), np.longdouble)
    for x, t in zip(X.astype(np.longdouble), Y.astype(np.longdouble), strict=True):
        z = W @ x
        z -= z.max()
        e = np.exp(z)
        expected += np.log(e.sum()) - t @ z
        slopes += np.outer(e / e.sum() - t, x)
    ridge = 1 / (0.7 * 40)
    expected = expected / 40 + ridge / 2 * (W**2).sum()
    slopes = slopes / 40 + ridge * W
    eps = float(np.finfo(np.longdouble).eps)
    assert_allclose(value, float(expected), rtol=1e-15)
    assert_allclose(gradient, slopes.ravel().astype(float), rtol=1e-15, atol=1e10 * eps)


@pytest.mark.parametrize("loss", ["categorical", "binary"])
@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_rounding_of_logits(kind, loss):
    # Logits have terms of 1e9 that cancel to 1. Their last bits change F by as much as is reported.
    rng = np.random.default_rng(4)
    half = rng.normal(size=(300, 4)) * 1e9
    X = np.c_[half, half + rng.normal(size=(300, 4))]
    Y = (rng.random((300, 3)) < 0.5).astype(float) if loss == "binary" else rng.random((300, 3))
    Y = Y if loss == "binary" else Y / Y.sum(axis=1, keepdims=True)
    objective = make(CONTAINERS[kind](X), Y, loss, C=np.inf)
    W = rng.normal(size=(3, 4))
    theta = objective.layout.pack(np.c_[-W, W], rng.normal(size=3))
    first, second = objective.rounding(theta)
    exact, _ = objective.slowly(theta)
    value, _ = objective.value_gradient(theta)
    assert 1e-4 * first < abs(value - exact) <= first
    assert 0 < second < first < 1e-5


#: Problems in which rounding changes F, or its slopes, by more than tol, but not the optimum.
ROUNDED = {
    "value": [122889, 124385, 80025, 80093, 81691, 81922, 82200, 82675, 83628, 90896, 91080, 91898],
    "slopes": [124193, 80062, 81595, 83438, 91326, 91355, 91911, 94830],
}


@pytest.mark.parametrize("what", ROUNDED)
def test_rounding_is_no_reason_to_warn(what):
    if what == "slopes" and np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("no longer floats on this platform")
    outcomes = [run(seed) for seed in ROUNDED[what]]
    assert not any(outcome.violations for outcome in outcomes)
    warned = [outcome.message for outcome in outcomes if outcome.warned]
    assert len(warned) <= 3, warned  # once all of them did; now it may depend on BLAS


@pytest.mark.parametrize("l1_ratio", [0, 0.5])
def test_longest_floats_end_fits_far_from_zero_without_an_intercept(l1_ratio):
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("no longer floats on this platform")
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(80, 3)) + 1e4, np.arange(80) % 3
        assert_kept(X, y, C=1e3, l1_ratio=l1_ratio, fit_intercept=False, tol=1e-10)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize(("far", "C"), [(1e5, 1.0), (1e5, 1e3), (1e7, 1.0)])
def test_columns_far_from_zero_on_both_sides_cancel_each_other(far, C, l1_ratio, container):
    # The slope that all rows share hides which coefficients would move together.
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(30, 80)) + far * np.where(rng.random(80) < 0.5, -1, 1)
        y = rng.integers(2, size=30)
        params = {"C": C, "l1_ratio": l1_ratio, "coef_bounds": (0, None), "tol": 1e-4}
        given = CONTAINERS[container](X)
        assert_kept(X, y, given, may_warn=True, fit_intercept=False, **params)


def test_wide_text_far_from_zero_with_bounds():
    outcome = run(186161)
    assert not outcome.violations, outcome


@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs"])
@pytest.mark.parametrize("tol", [1e-4, 1e-9])
@pytest.mark.parametrize("distance", [3.0, 10.0, 30.0, 1e3, 1e10])
@pytest.mark.parametrize("bounded", [False, True])
def test_separation_is_seen_from_a_start_far_along_it(distance, tol, bounded, solver, rng):
    """A fit from a start beyond which F does not fall converges at once, but not to an optimum."""
    X = rng.normal(size=(200, 3))
    y = (X[:, 0] + rng.logistic(size=200) > 0).astype(int)
    X[:, 2] = (rng.random(200) < 0.2) & (y == 1)
    bounds = {"coef_bounds": (-1e12, None)} if bounded else {}
    clf = SoftmaxClassifier(C=np.inf, tol=tol, solver="auto" if bounded else solver, **bounds)
    with pytest.warns(ConvergenceWarning, match=r"grow without bound|separate"):
        near = clf.fit(X, y)
    coef = near.coef_.copy()
    coef[0, 2] = distance
    with pytest.warns(ConvergenceWarning, match=r"grow without bound|separate"):
        clf.fit(X, y, coef_init=coef, intercept_init=near.intercept_)


def test_a_start_at_the_optimum_without_a_penalty_is_kept(rng):
    X = rng.normal(size=(500, 4))
    y = (X[:, :3] + rng.gumbel(size=(500, 3))).argmax(axis=1)
    clf = SoftmaxClassifier(C=np.inf, warm_start=True).fit(X, y)
    passes = clf.optimize_result_.passes
    clf.fit(X, y)
    assert clf.n_iter_[0] <= 1
    assert clf.optimize_result_.passes < passes
