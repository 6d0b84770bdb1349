"""L1, elastic net, bounds and factors of the penalty: the optimum, by conditions and by others."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from certificate import Problem, certify
from numpy.testing import assert_allclose, assert_array_equal
from objectives import at_costs, make
from problems import both_bounds
from scipy.optimize import minimize
from scipy.special import expit, softmax, xlogy
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skce import SoftmaxClassifier
from skce._problem.penalty import Nonsmooth
from skce._solver.interior_point import InteriorPoint
from skce._solver.proximal import duality_gap, least_loss
from skce._solver.quadratic import ByProducts, Dense, Least, Shifts
from skce._solver.run import Point
from skce._solver.working_set import WorkingSet

BOUNDS = [(0, None), (-0.1, 0.1), (None, 0.05), (0.02, 0.5)]


def random_problem(seed):
    """X, y, sample_weight and parameters of every kind."""
    rng = np.random.default_rng(seed)
    n, p, K = (round(a * (b / a) ** rng.random()) for a, b in ((20, 500), (1, 80), (2, 8)))
    X = rng.standard_normal((n, p))
    sparse = rng.random() < 0.4
    X = X * (rng.random((n, p)) < 0.2) if sparse else X + rng.choice([0, 1, 30]) * rng.random(p)
    z = (X - X.mean(axis=0)) @ rng.standard_normal((p, K)) / np.sqrt(p)
    form = rng.choice(["soft", "hard", "multilabel", "one-vs-rest"])
    if form == "soft":
        y = np.exp(z + rng.standard_normal(z.shape))
        y /= y.sum(axis=1, keepdims=True)
    elif form == "multilabel":
        y = (z + rng.logistic(size=z.shape) > 0).astype(float)
        y[0], y[1] = 0, 1  # both sides of every label
    else:
        y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
        y[:K] = np.arange(K)
    weights = rng.random(n) + 0.1 if rng.random() < 0.5 else None
    params = {
        "C": 10 ** rng.uniform(-2, 2),
        "l1_ratio": float(rng.choice([0, 0.3, 1])),
        "loss": "auto" if form in ("soft", "hard") else "binary",
        "fit_intercept": bool(rng.random() < 0.8),
    }
    if rng.random() < 0.4 or params["l1_ratio"] == 0:
        params["coef_bounds"] = BOUNDS[rng.integers(len(BOUNDS))]
    if rng.random() < 0.3:
        params["penalty_weights"] = 2 * rng.random(p) * (rng.random(p) < 0.8)
    X = X * 10 ** rng.uniform(-3, 3, p) if rng.random() < 0.5 else X
    return sp.csr_array(X) if sparse else X, y, weights, params


def logistic_regression(l1_ratio, **params):
    """scikit-learn's LogisticRegression, in which L1 was set by `penalty` before 1.8."""
    if parse_version(sklearn.__version__) >= parse_version("1.8"):
        return LogisticRegression(l1_ratio=l1_ratio, max_iter=100_000, **params)
    penalty = {"penalty": "elasticnet", "l1_ratio": l1_ratio}
    penalty = {"penalty": "l1"} if params["solver"] == "liblinear" else penalty
    return LogisticRegression(max_iter=100_000, **penalty, **params)


def violation(clf, X, y, weights):
    """Largest violation of the optimality conditions, as a share of the largest gradient.

    It is computed from probabilities, and not by the gradients of the package.
    """
    D = X.toarray() if sp.issparse(X) else X
    weights = np.ones(len(D)) if weights is None else weights
    K, W = len(clf.classes_), clf.coef_
    Y = np.eye(K)[y] if y.ndim == 1 else y
    P = clf.predict_proba(X)
    if clf.loss == "binary" and y.ndim == 1 and K > 2:
        P = expit(D @ W.T + clf.intercept_)
    R = weights[:, None] * (P - Y)
    R = R[:, 1:] if len(W) == 1 else R
    factors = np.ones(D.shape[1]) if clf.penalty_weights is None else clf.penalty_weights
    G = clf.C * R.T @ D + (1 - clf.l1_ratio) * factors * W
    lam = np.broadcast_to(clf.l1_ratio * factors, W.shape)
    low, high = clf.coef_bounds or (None, None)
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    assert (low <= W).all()
    assert (high >= W).all()
    up = G + np.where(W >= 0, lam, -lam)
    down = G + np.where(W > 0, lam, -lam)
    wrong = np.maximum(np.where(high > W, -up, 0), np.where(low < W, down, 0)).clip(0)
    size = clf.C * (weights[:, None] * np.abs(D)).sum(axis=0) + lam
    intercept = np.abs(R.sum(axis=0)).max() / weights.sum() if clf.fit_intercept else 0
    return max((wrong / size).max(), intercept)


@pytest.fixture(params=["array", "products"])
def estimator(request):
    """The estimator, with models that have their Hessian as an array, or only its products."""
    return at_costs(hessian_bytes=0) if request.param == "products" else SoftmaxClassifier


@pytest.mark.filterwarnings("ignore:.*some coefficients grow without bound")  # in a few, they do
@pytest.mark.parametrize("seeds", [range(i, i + 20) for i in range(0, 200, 20)])
def test_optimality_conditions_hold_on_random_problems(seeds, estimator):
    for seed in seeds:
        X, y, weights, params = random_problem(seed)
        clf = estimator(**params, tol=1e-10).fit(X, y, weights)
        assert violation(clf, X, y, weights) <= 1e-5, (seed, params)


@pytest.mark.parametrize("loss", ["categorical", "binary"])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("sparse", [False, True])
def test_equals_saga(sparse, l1_ratio, loss):
    X, y = load_wine(return_X_y=True)
    y = y if loss == "categorical" else (y == 1).astype(int)
    X = StandardScaler().fit_transform(X)
    X = sp.csr_array(X) if sparse else X
    saga = logistic_regression(l1_ratio, C=0.3, solver="saga", tol=1e-14).fit(X, y)
    clf = SoftmaxClassifier(C=0.3, l1_ratio=l1_ratio, loss=loss, tol=1e-13).fit(X, y)
    assert_allclose(clf.coef_, saga.coef_, atol=1e-6)
    assert_array_equal(clf.coef_ == 0, saga.coef_ == 0)
    assert 0 < (clf.coef_ == 0).mean() < 1


def test_equals_liblinear_without_an_intercept():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    params = {"C": 0.1, "fit_intercept": False}
    other = logistic_regression(1.0, **params, solver="liblinear", tol=1e-12).fit(X, y)
    clf = SoftmaxClassifier(**params, l1_ratio=1.0, tol=1e-13).fit(X, y)
    assert_allclose(clf.coef_, other.coef_, atol=1e-6)
    assert_array_equal(clf.coef_ == 0, other.coef_ == 0)


def objective(clf, X, y):
    """The user's objective of labels with a categorical loss, written out."""
    W, factors = clf.coef_, clf.penalty_weights
    factors = np.ones(X.shape[1]) if factors is None else factors
    loss = -clf.predict_log_proba(X)[np.arange(len(y)), y].sum()
    squares, sizes = (W**2 @ factors).sum() / 2, (np.abs(W) @ factors).sum()
    return clf.C * loss + (1 - clf.l1_ratio) * squares + clf.l1_ratio * sizes


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
def test_objective_reported_is_that_of_the_docstring(l1_ratio):
    X, y = load_iris(return_X_y=True)
    clf = SoftmaxClassifier(
        C=2.0, l1_ratio=l1_ratio, penalty_weights=[1, 0, 0.5, 2], loss="categorical"
    ).fit(X, y)
    assert_allclose(clf.optimize_result_.fun, objective(clf, X, y), rtol=1e-12)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("bounds", [None, (0, None), (-0.3, 0.2)])
def test_equals_scipy_on_the_split_problem(bounds, l1_ratio):
    X, y = load_iris(return_X_y=True)
    X, Y, C = X - X.mean(axis=0), np.eye(3)[y], 0.5
    low, high = (-np.inf, np.inf) if bounds is None else (bounds[0], bounds[1] or np.inf)

    def split(theta):
        U, V, b = theta[:12].reshape(3, 4), theta[12:24].reshape(3, 4), theta[24:]
        W = U - V
        Z = X @ W.T + b
        top = Z.max(axis=1, keepdims=True)
        total = np.exp(Z - top).sum(axis=1, keepdims=True)
        value = C * (np.log(total) + top).sum() - C * (Z * Y).sum()
        R = np.exp(Z - top) / total - Y
        G = C * R.T @ X + (1 - l1_ratio) * W
        value += (1 - l1_ratio) / 2 * (W**2).sum() + l1_ratio * (U + V).sum()
        return value, np.concatenate(
            [(G + l1_ratio).ravel(), (l1_ratio - G).ravel(), C * R.sum(axis=0)]
        )

    limits = [(0, high if high < np.inf else None)] * 12
    limits += [(0, -low if low > -np.inf else None)] * 12 + [(None, None)] * 3
    options = {"ftol": 0, "gtol": 1e-9, "maxiter": 10000, "maxfun": 100000}
    best = minimize(
        split, np.zeros(27), jac=True, method="L-BFGS-B", bounds=limits, options=options
    )
    clf = SoftmaxClassifier(C=C, l1_ratio=l1_ratio, coef_bounds=bounds).fit(X, y)
    assert_allclose(clf.optimize_result_.fun, best.fun, rtol=1e-9)


def test_tol_is_the_gap(estimator):
    X, y = load_digits(return_X_y=True)
    best = estimator(C=0.01, l1_ratio=1.0, tol=1e-13).fit(X, y).optimize_result_.fun
    for tol in (1e-3, 1e-6, 1e-9):
        result = estimator(C=0.01, l1_ratio=1.0, tol=tol).fit(X, y).optimize_result_
        assert result.success
        assert result.gap <= tol
        assert -1e-13 <= (result.fun - best) / best <= tol


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-6])
def test_tol_is_the_gap_where_the_intercept_hides_what_would_move(tol):
    """The residual of the intercept moves a column far from zero until the intercept is fitted."""
    X, y, weights, params = random_problem(649)
    best = SoftmaxClassifier(**params, tol=1e-12).fit(X, y, weights).optimize_result_.fun
    result = SoftmaxClassifier(**params, tol=tol).fit(X, y, weights).optimize_result_
    assert result.fun / best - 1 <= tol


def test_separable_by_a_feature_without_penalty_warns():
    X, y = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="separable.*set no weight to zero"):
        SoftmaxClassifier(l1_ratio=1.0, penalty_weights=[1, 1, 0, 1]).fit(X[:100], y[:100])


def test_converges_on_raw_columns_without_a_warning():
    X, y = load_wine(return_X_y=True)
    X = X * 10.0 ** np.linspace(-3, 3, X.shape[1])
    clf = SoftmaxClassifier(l1_ratio=1.0).fit(X, y)
    assert violation(clf, X, y, None) < 1e-6


def test_strong_penalty_leaves_the_intercept_alone():
    X, y = load_iris(return_X_y=True)
    clf = SoftmaxClassifier(C=1e-4, l1_ratio=1.0).fit(X, y[:140].tolist() + [0] * 10)
    assert not clf.coef_.any()
    shares = np.array([60, 50, 40]) / 150
    assert_allclose(clf.predict_proba(X[:1])[0], shares, rtol=1e-9)


def test_half_of_the_classes_are_at_zero_or_beyond():
    """With softmax a feature's coefficients can shift together, and L1 is least at their median."""
    X, y = load_digits(return_X_y=True)
    W = SoftmaxClassifier(C=0.1, l1_ratio=1.0).fit(X, y).coef_
    assert_allclose(np.median(W, axis=0), 0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.*grow without bound")  # petals separate the first class
def test_feature_without_penalty_is_not_shrunk():
    X, y = load_iris(return_X_y=True)
    clf = SoftmaxClassifier(C=1e-4, l1_ratio=1.0, penalty_weights=[1, 1, 0, 1], tol=1e-12)
    clf.fit(X, y)
    alone = SoftmaxClassifier(C=np.inf, tol=1e-12).fit(X[:, 2:3], y)
    assert_allclose(clf.predict_proba(X), alone.predict_proba(X[:, 2:3]), atol=1e-5)
    assert not clf.coef_[:, [0, 1, 3]].any()


@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs"])
@pytest.mark.parametrize("sparse", [False, True])
def test_factors_of_l2_are_other_units_of_the_columns(sparse, solver):
    """f W^2 with W on x is V^2 with V = sqrt(f) W on x / sqrt(f)."""
    X, y = load_wine(return_X_y=True)
    factors = np.linspace(0.2, 3, X.shape[1])
    read = sp.csr_array if sparse else np.asarray
    clf = SoftmaxClassifier(penalty_weights=factors, solver=solver, tol=1e-12).fit(read(X), y)
    other = SoftmaxClassifier(tol=1e-12).fit(read(X / np.sqrt(factors)), y)
    assert_allclose(clf.coef_, other.coef_ / np.sqrt(factors), rtol=1e-4, atol=1e-7)


def test_bounds_that_do_not_bind_change_nothing():
    X, y = load_iris(return_X_y=True)
    free = SoftmaxClassifier(tol=1e-12).fit(X, y)
    bounded = SoftmaxClassifier(coef_bounds=(-50, 50), tol=1e-12).fit(X, y)
    assert_allclose(bounded.coef_, free.coef_, atol=1e-5)


def test_bounds_for_each_coefficient():
    X, y = load_iris(return_X_y=True)
    low, high = np.full((3, 4), -0.2), np.linspace(0, 1, 4)
    low[1], high[3] = 0, np.inf
    clf = SoftmaxClassifier(coef_bounds=(low, high)).fit(X, y)
    assert (clf.coef_ >= low).all()
    assert (clf.coef_ <= high).all()
    assert (clf.coef_ == low).any()  # exactly at the bound


def test_warm_start_is_moved_within_bounds():
    X, y = load_iris(return_X_y=True)
    clf = SoftmaxClassifier(warm_start=True).fit(X, y)
    clf.set_params(coef_bounds=(-0.5, 0.5)).fit(X, y)
    fresh = SoftmaxClassifier(coef_bounds=(-0.5, 0.5)).fit(X, y)
    assert np.abs(clf.coef_).max() == 0.5
    assert_allclose(clf.predict_proba(X), fresh.predict_proba(X), atol=1e-4)


def test_float32_and_float64_agree():
    X, y = load_digits(return_X_y=True)
    double = SoftmaxClassifier(C=0.01, l1_ratio=1.0).fit(X, y)
    single = SoftmaxClassifier(C=0.01, l1_ratio=1.0, tol=1e-6).fit(X.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    assert_allclose(single.predict_proba(X), double.predict_proba(X), atol=2e-3)


def test_same_bits_every_time(estimator):
    X, y = load_digits(return_X_y=True)
    first, second = (estimator(C=0.1, l1_ratio=1.0).fit(X, y).coef_ for _ in range(2))
    assert_array_equal(first, second)


def test_too_few_iterations_warn_with_what_was_reached():
    X, y = load_digits(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match=r"estimated relative gap of .* max_iter"):
        SoftmaxClassifier(C=1, l1_ratio=1.0, max_iter=2).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"l1_ratio": 1.5}, "'l1_ratio' parameter .* Got 1.5"),
        ({"l1_ratio": np.nan}, "'l1_ratio' parameter .* Got nan"),
        ({"coef_bounds": (1, 0)}, "row 0 and feature 0: low is 1 and high is 0"),
        ({"coef_bounds": (np.inf, None)}, "low is inf"),
        ({"coef_bounds": (0, 1, 2)}, "coef_bounds must be a pair .* 3 elements"),
        ({"coef_bounds": (np.zeros(3), None)}, r"low has shape \(3,\).*\(3, 4\)"),
        ({"coef_bounds": (None, np.nan)}, "coef_bounds: high holds NaN"),
        ({"coef_bounds": ("a", None)}, "coef_bounds: low must hold numbers, got 'a'"),
        ({"coef_bounds": 0}, "'coef_bounds' parameter"),
        ({"penalty_weights": [1, -2, 1, 1]}, "feature 1 is -2"),
        ({"penalty_weights": [1, 1, np.nan, 1]}, "feature 2 is nan"),
        ({"penalty_weights": [1, 1, 1]}, r"shape \(4,\).*has shape \(3,\)"),
    ],
)
def test_bad_parameters_are_named(params, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        SoftmaxClassifier(**params).fit(X, y)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_model_of_either_kind_is_minimised(seed, lam):
    rng = np.random.default_rng(seed)
    size = 12
    A = rng.standard_normal((size + 5, size)) * 10 ** rng.uniform(-2, 2, size)
    H, g = A.T @ A, A.T @ rng.standard_normal(size + 5)
    low, high = np.full(size, -np.inf), np.full(size, np.inf)
    low[:4], high[2:6] = 0, 0.1
    nonsmooth = Nonsmooth(np.full(size, lam) * np.sqrt(np.diag(H)), low, high)
    none = Shifts(np.empty((0, 3), dtype=np.intp), np.empty((0, 3)))
    start = np.zeros(size)

    model = Dense(H, g, nonsmooth, start, none)
    model.rough = 1e-12
    x, gain, *_ = model.minimum()
    # Conditions of the optimum, written out.
    slope = g + H @ x
    up = slope + np.where(x >= 0, nonsmooth.weights, -nonsmooth.weights)
    down = slope + np.where(x > 0, nonsmooth.weights, -nonsmooth.weights)
    size_of = np.abs(g).max()
    assert (up[x < high] >= -1e-5 * size_of).all()
    assert (down[x > low] <= 1e-5 * size_of).all()
    assert_allclose(gain, -(g @ x + x @ H @ x / 2 + nonsmooth.value(x)), rtol=1e-9)

    model = ByProducts(np.diag(H), H.__matmul__, g, nonsmooth, start, none)
    model.rough = 1e-12
    y, gained, *_ = model.minimum()
    assert_allclose(gained, gain, rtol=1e-6)
    assert_array_equal(y == 0, x == 0)


@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_left_to_gain_is_bounded_by_the_l1_penalty_of_all_coefficients(seed, boxed):
    rng = np.random.default_rng(seed)
    size, lam = 40, 0.3
    A, target = rng.standard_normal((30, size)), rng.standard_normal(30)
    edge = np.where(boxed & (np.arange(size) % 3 == 0), 0.05, np.inf)
    weights = np.where(boxed & (np.arange(size) % 6 == 0), 0.0, lam)
    nonsmooth = Nonsmooth(weights, -edge, edge)
    none = Shifts(np.empty((0, 3), dtype=np.intp), np.empty((0, 3)))
    H, g, start, value = A.T @ A, -A.T @ target, np.zeros(size), float(target @ target) / 2

    exact = Dense(H, g, nonsmooth, start, none)
    exact.rough = 1e-14
    best = exact.minimum()
    for share in (0.1, 0.01, 1e-4):
        model = Dense(H, g, nonsmooth, start, none)
        model.take(model.to(best.x * (1 - share) * model.scale))
        left, bound = best.gain - model.gain, model._bound(value)
        assert 0 <= left <= bound
        slopes = np.abs(model.own.subgradient(model.x, model.slopes))
        penalised = model.own.weights > 0
        alone = 2 * value * (slopes[penalised] / model.own.weights[penalised]).sum()
        assert boxed or bound < alone / 5


@pytest.mark.parametrize("ridge", [0.0, 1e-9, 1e-3])
@pytest.mark.parametrize("lam", [0.0, 1e-4, 0.1])
def test_what_only_a_penalty_holds_moves_together(lam, ridge):
    # Two features of five classes: only differences between classes have curvature.
    rng = np.random.default_rng(0)
    K, size = 5, 10
    places = np.arange(size).reshape(K, 2).T
    between = np.eye(K) - 1 / K
    A = np.kron(between, rng.standard_normal((7, 2)))
    H = A.T @ A + ridge * np.eye(size)
    start = rng.standard_normal(size)
    start[3] = 0
    gradient = A.T @ rng.standard_normal(len(A)) + ridge * start
    nonsmooth = Nonsmooth(np.full(size, lam), np.full(size, -3.0), np.full(size, np.inf))
    shifts = Shifts(places, np.full(places.shape, ridge))
    x, gain, *_ = Dense(H, gradient, nonsmooth, start, shifts).minimum(limit=1e-12)

    def split(parts):
        moved = parts[:size] - parts[size:] - start
        slopes = gradient + H @ moved
        value = (gradient + slopes) @ moved / 2 + lam * (parts.sum() - np.abs(start).sum())
        return value, np.concatenate([slopes + lam, lam - slopes])

    both = [(0, None)] * size + [(0, 3)] * size
    first = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)])
    best = minimize(split, first, jac=True, bounds=both, tol=1e-15)
    assert gain >= -best.fun - 1e-10 * abs(best.fun)
    value, _ = split(first)
    assert_allclose(gain, -value, rtol=1e-9)


@pytest.mark.parametrize("lam", [0.0, 1e-3, 0.3])
@pytest.mark.parametrize(("n", "size"), [(30, 12), (12, 12), (6, 30)])
def test_models_of_few_rows_are_minimised_to_a_bound(n, size, lam):
    rng = np.random.default_rng(n)
    for _ in range(20):
        scale = 10 ** rng.uniform(-4, 4, size)
        R, g = rng.normal(size=(n, size)) * scale, rng.normal(size=size) * scale
        R[:, 1] = R[:, 0] * (1 + 1e-7 * rng.normal(size=n))  # nearly collinear
        more = np.where(rng.random(size) < 0.5, 1e-3 * scale**2, 0)
        low, high = -2 / scale, 3 / scale
        high[2:5], low[3:6] = 0.1 / scale[2:5], -0.1 / scale[3:6]
        if lam:
            low[6:9], high[7:10] = -np.inf, np.inf
        nonsmooth = Nonsmooth(lam * scale, low, high)
        start = nonsmooth.clip(rng.normal(size=size) / scale)
        most = 100 * size
        x = start
        for _ in range(2):  # first find the largest gain, then pass it
            slope = g + R.T @ (R @ (x - start)) + more * (x - start)
            least = InteriorPoint(R, more, slope, nonsmooth, x).minimum(1e-6, most)
            x = least.x
        assert least.solved
        assert least.left <= max(5e-7, 1e-3 * least.gain)
        assert least.gain <= 1e-2 * size
        assert (low <= x).all()
        assert (x <= high).all()

        def value(v, R=R, more=more, g=g, nonsmooth=nonsmooth, start=start):
            moved = v - start
            penalty = nonsmooth.value(v) - nonsmooth.value(start)
            return g @ moved + (np.sum((R @ moved) ** 2) + more @ moved**2) / 2 + penalty

        # Positive and negative parts, within a box if there are no bounds.
        far = [
            np.where(np.isfinite(edge), edge, 1e4 / scale * np.sign(edge)) for edge in (low, high)
        ]

        def split(
            v, value=value, scale=scale, R=R, more=more, g=g, nonsmooth=nonsmooth, start=start
        ):
            u = (v[:size] - v[size:]) / scale
            slope = (g + R.T @ (R @ (u - start)) + more * (u - start)) / scale
            penalty = nonsmooth.weights / scale
            smooth = value(u) - nonsmooth.value(u) + penalty @ (v[:size] + v[size:])
            return smooth, np.concatenate([slope + penalty, penalty - slope])

        bounds = [
            (max(a, 0), max(b, 0)) for a, b in zip(far[0] * scale, far[1] * scale, strict=True)
        ]
        bounds += [
            (max(-b, 0), max(-a, 0)) for a, b in zip(far[0] * scale, far[1] * scale, strict=True)
        ]
        first = np.concatenate([np.maximum(start, 0), np.maximum(-start, 0)]) * np.tile(scale, 2)
        options = {"maxiter": 20_000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-12}
        other = minimize(split, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        assert value(x) <= other.fun + least.left + 1e-7


def test_no_warning_of_numpy_on_columns_that_are_constant():
    X, y = load_iris(return_X_y=True)
    X = np.column_stack([X, np.ones(len(X)), np.zeros(len(X))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = SoftmaxClassifier(l1_ratio=1.0).fit(X, y)
    assert not clf.coef_[:, 4:].any()


@pytest.mark.parametrize("lam", [0.0, 0.3])
@pytest.mark.parametrize(("n", "size"), [(30, 12), (6, 30)])
def test_the_bound_by_a_dual_point_is_above_what_is_left(n, size, lam):
    rng = np.random.default_rng(n)
    for _ in range(20):
        R, g = rng.normal(size=(n, size)), rng.normal(size=size)
        R[:, 1] = R[:, 0]
        more = np.where(rng.random(size) < 0.5, 1e-3, 0)
        low, high = np.full(size, -2.0), np.full(size, 3.0)
        if lam:
            low[6:9], high[7:10] = -np.inf, np.inf
        nonsmooth = Nonsmooth(np.full(size, lam), low, high)
        start, most = np.clip(np.zeros(size), low, high), 100.0 * size
        model = InteriorPoint(R, more, g, nonsmooth, start)

        def gain(x, R=R, more=more, g=g, nonsmooth=nonsmooth, start=start):
            moved = x - start
            square = np.sum((R @ moved) ** 2) + more @ moved**2
            return nonsmooth.value(start) - nonsmooth.value(x) - g @ moved - square / 2

        x = model.minimum(1e-10, most).x
        slope = g + R.T @ (R @ (x - start)) + more * (x - start)
        best = InteriorPoint(R, more, slope, nonsmooth, x).minimum(1e-10, most).x
        known = []
        for length in (0.0, 1e-6, 1e-3, 1e-1):
            x = nonsmooth.clip(best + length * rng.normal(size=size))
            x = np.where(best == 0, 0, x)
            left = [
                model.checked(Least(x, gain(x), np.inf, False), limit, most).left
                for limit in (2 * most, 0.0)
            ]
            assert min(left) >= gain(best) - gain(x) - 1e-9
            known.append(left[1])
        assert known[0] <= 1e-9 * most


@pytest.mark.parametrize("d", [1e-4, 1e-5, 1e-6, 1e-7])
@pytest.mark.parametrize("u", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("limit", [1e-7, 1e-9, 1e-12])
def test_a_model_knows_how_far_nearly_equal_coefficients_can_go(d, u, limit):
    """Near an edge, a step is short. This must not be taken for a small gain."""
    R, target = np.array([[1, 1], [0, d]]), np.array([0, u])
    nonsmooth = Nonsmooth(np.zeros(2), np.array([-np.inf, 0]), np.array([0, np.inf]))
    model = InteriorPoint(R, np.zeros(2), -R.T @ target, nonsmooth, np.zeros(2))
    with np.errstate(all="ignore"):
        least = model.minimum(limit, 1.0)
    left = u**2 / 2 - least.gain
    assert least.gain > limit or not least.solved or left <= limit


#: Has neither an array nor a factor of the Hessian, as with many coefficients.
Many = at_costs(hessian_bytes=0, factor_numbers=0, few_bytes=0, cheap_products=10**15)


@pytest.mark.parametrize(
    ("estimator", "d", "C", "l1_ratio"),
    [
        *itertools.product([SoftmaxClassifier], [1e-3, 1e-4, 1e-5], [1e6, 1e8], [0.0]),
        *itertools.product([SoftmaxClassifier], [1e-3, 1e-4, 1e-5], [1e4], [1.0]),
        *itertools.product([Many], [1e-2, 1e-3], [1e4, 1e6], [0.0]),
        *itertools.product([Many], [1e-1, 1e-2], [1e2], [1.0]),
    ],
)
@pytest.mark.parametrize("bounds", [(0, None), (None, 0), (None, 0.1)])
def test_bounds_do_not_hide_what_nearly_equal_columns_gain_together(
    estimator, d, bounds, C, l1_ratio
):
    """A coefficient at its bound may gain nothing alone, but much against its neighbour."""
    n, p = 200, 6
    for seed in range(6):
        rng = np.random.default_rng(seed)
        K = 2 + seed % 2
        X = rng.normal(size=(n, p))
        X[:, 4] = X[:, 0] + d * X[:, 4]
        X[:, 5] = X[:, 1] - X[:, 2] + d * X[:, 5]
        T = 0.6 * softmax(X @ rng.normal(size=(p, K)), axis=1) + 0.4 * rng.dirichlet(np.ones(K), n)
        clf = estimator(C=C, l1_ratio=l1_ratio, coef_bounds=bounds, tol=1e-6)
        clf.fit(X, T)  # no warning
        low, high = both_bounds(bounds, (K, p))
        problem = Problem(X, T, np.ones((n, 1)), "softmax", C, l1_ratio, low=low, high=high)
        assert certify(problem, clf.coef_, clf.intercept_, limit=0.2).gap <= clf.tol


def test_a_constant_column_without_a_penalty_stays_at_its_bound():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 4)), rng.integers(3, size=60)
    X[:, 2] = -1e6
    params = {"C": 1e-3, "l1_ratio": 1.0, "penalty_weights": [1, 0, 0, 0]}
    X[:, 3] = X[:, 1] * (1 + 1e-9 * rng.normal(size=60))
    clf = SoftmaxClassifier(coef_bounds=(None, -1.5), **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X, y)
    assert (clf.coef_[:, 2] == -1.5).all()


def words(n, p, K, seed):
    """Shares of words in texts of K topics, which only a few words distinguish; sparse."""
    rng = np.random.default_rng(seed)
    shares = rng.gamma(0.1, size=(K, p)) + 1 / np.arange(1, p + 1)
    shares /= shares.sum(axis=1, keepdims=True)
    y = rng.integers(K, size=n)
    X = np.array([rng.multinomial(40, shares[k]) for k in y], dtype=float)
    return sp.csr_array(X / np.linalg.norm(X, axis=1, keepdims=True)), y


@pytest.mark.parametrize("l1_ratio", [0.7, 1.0])
@pytest.mark.parametrize("C", [30, 300, 3000])
@pytest.mark.parametrize("form", ["labels", "two labels", "soft", "multilabel"])
def test_more_words_than_texts_and_a_weak_penalty(form, C, l1_ratio):
    n, K = 120, 2 if form == "two labels" else 3
    for seed in range(2):
        X, y = words(n, 600, K, seed)
        T, kind = np.eye(K)[y], "softmax"
        if form == "soft":
            y = T = 0.9 * T + 0.1 * np.random.default_rng(seed).dirichlet(np.ones(K), n)
        elif form == "multilabel":
            y = T = np.maximum(T, np.random.default_rng(seed).random((n, K)) < 0.2)
        if form in ("multilabel", "two labels"):
            T, kind = T if form == "multilabel" else T[:, 1:], "sigmoid"
        loss = "binary" if form == "multilabel" else "auto"
        clf = SoftmaxClassifier(C=C, l1_ratio=l1_ratio, loss=loss).fit(X, y)  # no warning
        mass = np.ones_like(T) if kind == "sigmoid" else np.ones((n, 1))
        problem = Problem(X.toarray(), T, mass, kind, C, l1_ratio)
        certificate = certify(problem, clf.coef_, clf.intercept_, limit=0.2)
        assert certificate.gap <= clf.tol
        assert_allclose(clf.optimize_result_.fun, float(certificate.value), rtol=1e-9)


@pytest.mark.parametrize("loss", ["categorical", "binary"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "params",
    [
        {"l1_ratio": 1.0},
        {"l1_ratio": 0.5},
        {"l1_ratio": 1.0, "bounds": (-0.1, 0.3)},
        {"l1_ratio": 0.0, "bounds": (0.02, np.inf)},
        {"l1_ratio": 1.0, "bounds": (0.1, np.inf)},
        {"l1_ratio": 0.0, "C": np.inf, "bounds": (-0.1, 0.3)},
    ],
)
def test_duality_gap_is_above_the_gap(params, fit_intercept, loss):
    X, y = load_wine(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0) + (0.0 if fit_intercept else 1.0)
    objective = make(X, y, loss, fit_intercept=fit_intercept, **{"C": 0.3, **params})
    bounds = params.get("bounds")
    clf = SoftmaxClassifier(
        C=params.get("C", 0.3),
        l1_ratio=params["l1_ratio"],
        coef_bounds=bounds,
        loss=loss,
        fit_intercept=fit_intercept,
        tol=1e-13,
    ).fit(X, y)
    models = WorkingSet(objective)
    best = objective.from_user(clf.optimize_result_.x)

    def at(theta):
        theta = objective.without_shift(theta)
        value, gradient = objective.value_gradient(theta)
        return Point(theta, value + objective.nonsmooth.value(theta), gradient)

    optimum = at(best)
    assert -1e-15 <= duality_gap(optimum, models) <= 1e-6 * optimum.value
    rng = np.random.default_rng(0)
    n = objective.layout.n_coefficients
    for size in [1e-6, 1e-4, 1e-2, 1, 10]:
        away = best.copy()
        away[:n] += size * rng.standard_normal(n) * (rng.random(n) < 0.5)
        point = at(away)
        gap = point.value - optimum.value
        bound = duality_gap(point, models)
        assert gap <= bound * (1 + 1e-9) + 1e-15


@pytest.mark.parametrize("loss", ["categorical", "binary"])
def test_no_loss_is_below_the_entropy_of_the_targets(loss):
    rng = np.random.default_rng(0)
    T, X, weights = rng.dirichlet(np.full(4, 0.3), 50), np.ones((50, 1)), rng.random(50)
    least = least_loss(make(X, T, loss, weights=weights))
    entropies = xlogy(T, T) + (xlogy(1 - T, 1 - T) if loss == "binary" else 0)
    assert_allclose(least, np.average(-entropies.sum(axis=1), weights=weights))
    assert least_loss(make(X, rng.integers(4, size=50), loss)) == 0


@pytest.mark.parametrize("loss", ["categorical", "binary"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("soft", [False, True])
def test_rows_of_one_class_have_no_entropy_by_rounding(loss, dtype, soft):
    rng = np.random.default_rng(0)
    y, X = rng.integers(4, size=500), np.ones((500, 1), dtype)
    target = np.eye(4)[y] * 0.7 / 0.7 if soft else y
    weights, by_class = rng.random(500) * 1e6, {k: 1 / (k + 3) for k in range(4)}
    objective = make(X, target, loss, weights=weights, class_weight=by_class)
    assert least_loss(objective) == 0
