"""The certificate, compared with mpmath, closed forms, scikit-learn and points off the optimum."""

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from certificate import Problem, certify, exactly, objective
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression


def softmax_problem(X, y, **options):
    T = np.eye(y.max() + 1)[y] if y.ndim == 1 else y
    return Problem(X, T, T.sum(axis=1, keepdims=True), "softmax", **options)


def sigmoid_problem(X, t, **options):
    return Problem(X, t, np.ones_like(t), "sigmoid", **options)


def minimum_with_mpmath(X, T, C, digits=50):
    """The optimum by Newton's method with 50 digits. Class 0 is at zero if C is infinite."""
    with mpmath.workdps(digits):
        n, p = X.shape
        K = T.shape[1]
        penalised = np.isfinite(C)
        classes = range(K) if penalised else range(1, K)
        rows = [[mpmath.mpf(float(x)) for x in row] + [mpmath.mpf(1)] for row in X]
        # Columns are centred exactly: the optimum is the same, and the first steps are better.
        means = [sum(row[j] for row in rows) / n for j in range(p)]
        rows = [[row[j] - means[j] for j in range(p)] + [row[p]] for row in rows]
        t = [[mpmath.mpf(float(x)) for x in row] for row in T]
        scale = mpmath.mpf(float(C)) if penalised else mpmath.mpf(1)
        index = [(k, j) for k in classes for j in range(p + 1)]
        w = mpmath.matrix(len(index), 1)

        def logits(w):
            full = {kj: w[i] for i, kj in enumerate(index)}
            return [
                [
                    sum(full.get((k, j), 0) * row[j] for j in range(p + 1))
                    if (k, 0) in full
                    else mpmath.mpf(0)
                    for k in range(K)
                ]
                for row in rows
            ]

        def value(w):
            total = mpmath.mpf(0)
            for z, ti in zip(logits(w), t, strict=True):
                total += sum(ti) * mpmath.log(sum(mpmath.exp(zk) for zk in z))
                total -= sum(a * b for a, b in zip(ti, z, strict=True))
            ridge = sum(w[i] ** 2 for i, (_, j) in enumerate(index) if j < p) if penalised else 0
            return scale * total + ridge / 2

        for _ in range(60):
            g = mpmath.matrix(len(index), 1)
            H = mpmath.matrix(len(index), len(index))
            for z, ti, row in zip(logits(w), t, rows, strict=True):
                e = [mpmath.exp(zk) for zk in z]
                P = [a / sum(e) for a in e]
                m = sum(ti)
                for a, (k, j) in enumerate(index):
                    g[a] += scale * (m * P[k] - ti[k]) * row[j]
                    for b, (h, i) in enumerate(index):
                        H[a, b] += scale * m * P[k] * ((k == h) - P[h]) * row[j] * row[i]
            for a, (_, j) in enumerate(index):
                if penalised and j < p:
                    g[a] += w[a]
                    H[a, a] += 1
                elif penalised:
                    H[a, a] += mpmath.mpf(10) ** -30  # intercepts may all move together
            step = mpmath.lu_solve(H, -g)
            before, length = value(w), mpmath.mpf(1)
            while value(w + length * step) > before and length > 1e-10:
                length /= 2
            w = w + length * step
            if before - value(w) <= mpmath.mpf(10) ** -40 * before:
                break
        return value(w)


def relative(a, b):
    """(a - b) / b in long double, b an mpf of 50 digits."""
    with mpmath.workdps(50):
        high = float(a)
        exact = mpmath.mpf(high) + mpmath.mpf(float(a - np.longdouble(high)))
        return float((exact - b) / b)


@pytest.mark.parametrize("C", [0.1, 1e6, np.inf])
@pytest.mark.parametrize("offset", [0.0, 1e10])
@pytest.mark.parametrize("K", [2, 3])
def test_best_and_lower_enclose_the_optimum_of_mpmath(C, offset, K):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(14, 2)) * [1.0, 1e3] + offset
    T = np.round(rng.dirichlet(np.ones(K), size=14) * 2**20) / 2**20
    T[:, 0] = 1 - T[:, 1:].sum(axis=1)  # exactly
    found = certify(softmax_problem(X, T, C=C), np.zeros((K, 2)), np.zeros(K))
    truth = minimum_with_mpmath(X, T, C)
    assert -1e-17 < relative(found.best, truth) < 1e-16
    assert -1e-15 < relative(found.lower, truth) < 1e-16
    assert abs(float(found.gap) - relative(found.value, truth)) < 1e-12 * max(found.gap, 1e-3)


def test_an_intercept_alone_has_its_closed_form():
    rng = np.random.default_rng(4)
    y, s = rng.integers(0, 4, size=50), rng.random(50)
    T = np.eye(4)[y] * s[:, None]
    problem = Problem(np.zeros((50, 3)), T, s[:, None], "softmax", C=3.0)
    share = T.sum(axis=0) / s.sum()
    truth = -3.0 * s.sum() * (share * np.log(share)).sum()
    found = certify(problem, np.zeros((4, 3)), np.zeros(4))
    assert float(found.best) == pytest.approx(truth, rel=1e-15)
    assert float(found.lower) == pytest.approx(truth, rel=1e-15)
    assert objective(problem, np.zeros((4, 3)), np.log(share)) == pytest.approx(truth, rel=1e-15)


@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("bounds", [None, (-0.05, 0.05), (0.0, np.inf)])
def test_a_single_coefficient_is_where_its_slope_changes_sign(ratio, bounds):
    rng = np.random.default_rng(5)
    x, t = rng.normal(size=30), rng.random(30)
    C = 2.0
    low, high = bounds or (-np.inf, np.inf)

    def slope(w, sign):
        loss = C * ((1 / (1 + np.exp(-w * x)) - t) * x).sum()
        return loss + (1 - ratio) * w + ratio * sign

    if slope(0.0, -1) > 0:
        w = brentq(lambda w: slope(w, -1), -50, 0, xtol=1e-15)
    elif slope(0.0, 1) < 0:
        w = brentq(lambda w: slope(w, 1), 0, 50, xtol=1e-15)
    else:
        w = 0.0
    w = float(np.clip(w, low, high))
    truth = C * (np.logaddexp(0, w * x) - t * w * x).sum() + (1 - ratio) / 2 * w**2 + ratio * abs(w)
    limits = {} if bounds is None else {"low": np.full((1, 1), low), "high": np.full((1, 1), high)}
    problem = sigmoid_problem(
        x[:, None], t[:, None], C=C, l1_ratio=ratio, fit_intercept=False, **limits
    )
    found = certify(problem, np.full((1, 1), 0.01), np.zeros(1))
    assert float(found.best) == pytest.approx(truth, rel=1e-14)
    assert found.slack < 1e-14
    assert float(found.W[0, 0]) == pytest.approx(w, abs=1e-9)


@pytest.mark.parametrize("K", [2, 4])
def test_the_optimum_of_logistic_regression_is_certified(K):
    rng = np.random.default_rng(6)
    X = rng.normal(size=(200, 5))
    y = (X @ rng.normal(size=(5, K)) + rng.gumbel(size=(200, K))).argmax(axis=1)
    model = LogisticRegression(C=0.7, solver="newton-cg", tol=1e-12, max_iter=1000).fit(X, y)
    if K == 2:
        problem = sigmoid_problem(X, y[:, None].astype(float), C=0.7)
    else:
        problem = softmax_problem(X, y, C=0.7)
    found = certify(problem, model.coef_, model.intercept_)
    assert found.most < 1e-12
    # A step away from the optimum the gap is half of the quadratic form of the Hessian.
    off = certify(problem, model.coef_ * (1 + 1e-4), model.intercept_)
    assert found.most < 1e-3 * off.gap
    assert off.most == pytest.approx(off.gap, rel=1e-3)


CASES = [
    {"l1_ratio": 1.0},
    {"l1_ratio": 0.3, "C": 50.0},
    {"low": -0.2, "high": 0.1},
    {"low": 0.0, "high": np.inf, "C": np.inf},
    {"low": -0.1, "high": np.inf, "l1_ratio": 0.7},
    {"factors": [0.0, 1.0, 1e3, 1e-3]},
    {"factors": [0.0, 1.0, 1e3, 1e-3], "fit_intercept": False},
    {"C": 1e8},
]


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_no_point_is_below_the_lower_bound_and_the_polish_is_tight(options, kind):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(40, 4)) * [1, 1e3, 1e-2, 1] + [0, 1e5, 0, 3]
    options = dict(options)
    for side in ("low", "high"):
        if side in options:
            options[side] = np.full((3, 4), options[side])
    if "factors" in options:
        options["factors"] = np.array(options["factors"])
    if kind == "softmax":
        problem = softmax_problem(X, rng.integers(0, 3, size=40), **options)
    else:
        problem = sigmoid_problem(X, rng.random((40, 3)), **options)
    found = certify(problem, np.zeros((3, 4)), np.zeros(3))
    assert 0 <= found.slack < 1e-12
    assert found.outside == 0
    W, b = found.W.astype(float), found.b.astype(float)
    for size in 10.0 ** np.arange(-8, 1):
        near = W + size * rng.normal(size=W.shape) * np.abs(W)
        if problem.low is not None:
            near = np.clip(near, problem.low, problem.high)
        value = objective(problem, near, b + size * rng.normal(size=3))
        assert value >= found.lower
    assert objective(problem, W, b) >= found.lower


def test_wide_problems_are_solved_within_the_span_of_the_rows_whatever_the_units():
    rng = np.random.default_rng(0)
    words = rng.random((60, 100)) < 0.05
    X = np.column_stack([words, 1.6e9 * (1 + 0.006 * rng.normal(size=60))])
    y = rng.integers(0, 3, size=60)
    found = certify(softmax_problem(X, y), np.zeros((3, 101)), np.zeros(3))
    assert float(found.best) == pytest.approx(34.47556378563806, rel=1e-15)
    assert found.slack < 1e-12
    again = certify(softmax_problem(sp.csr_array(X), y), np.zeros((3, 101)), np.zeros(3))
    assert again.best == found.best


def test_a_mean_far_from_zero_loses_nothing():
    rng = np.random.default_rng(8)
    X = np.round(rng.normal(size=(20, 3)), 4) * 2.0**10
    X = np.round(X)
    y = rng.integers(0, 3, size=20)
    W = np.round(rng.normal(size=(3, 3)) * 2**10) / 2**14
    b = np.zeros(3)
    near = objective(softmax_problem(X, y, C=np.inf), W, b)
    far = objective(softmax_problem(X + 2.0**33, y, C=np.inf), W, b - W.sum(axis=1) * 2.0**33)
    assert abs(near - far) < 1e-17 * near


def test_losses_of_rows_beyond_doubt_keep_their_digits():
    X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    T = y[:, None].astype(float)
    problem = sigmoid_problem(X, T, C=np.inf)
    value = objective(problem, np.full((1, 1), 200.0), np.zeros(1))
    assert float(value) == pytest.approx(2 * np.exp(-200.0), rel=1e-14)
    two = objective(softmax_problem(X, y, C=np.inf), np.array([[-100.0], [100.0]]), np.zeros(2))
    assert float(two) == pytest.approx(2 * np.exp(-200.0), rel=1e-14)


def test_a_candidate_out_of_bounds_is_reported():
    X = np.random.default_rng(9).normal(size=(10, 1))
    T = np.random.default_rng(9).random((10, 1))
    problem = sigmoid_problem(X, T, low=np.zeros((1, 1)), high=np.ones((1, 1)))
    assert certify(problem, np.full((1, 1), 1.5), np.zeros(1)).outside == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("C", [3.0, np.inf])
def test_all_digits_are_those_of_long_double_and_more(kind, C):
    rng = np.random.default_rng(8)
    X, T = rng.normal(size=(20, 3)), rng.dirichlet(np.ones(3), 20)
    make = softmax_problem if kind == "softmax" else sigmoid_problem
    problem = make(X, T, C=C, l1_ratio=0.3, factors=np.array([1.0, 0.0, 2.0]))
    W, b = rng.normal(size=(3, 3)), rng.normal(size=3)
    value = objective(problem, W, b)
    assert abs(float(exactly(problem, W, b) - mpmath.mpf(float(value)))) < 1e-15 * float(value)
    # Logits of 1e12 that cancel, in numbers that float64 holds exactly.
    X, W = np.rint(8 * X), np.rint(64 * W) / 64
    near = exactly(make(X, T, C=np.inf), W, np.zeros(3))
    far = exactly(make(X + 1e12, T, C=np.inf), W, -1e12 * W.sum(axis=1))
    assert abs(far - near) < mpmath.mpf("1e-20") * near


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
@pytest.mark.parametrize("options", [{"C": 3.0}, {"C": np.inf}, {"l1_ratio": 0.4}], ids=str)
def test_an_offset_is_a_column_whose_coefficient_is_one(kind, options):
    rng = np.random.default_rng(12)
    n, p, K = 40, 3, 3
    X, offset = rng.normal(size=(n, p)), 2 * rng.normal(size=(n, K))
    T = rng.dirichlet(np.ones(K), size=n)
    make = softmax_problem if kind == "softmax" else sigmoid_problem
    held = np.eye(K)
    bounds = {
        "low": np.hstack([np.full((K, p), -np.inf), held]),
        "high": np.hstack([np.full((K, p), np.inf), held]),
        "factors": np.r_[np.ones(p), np.zeros(K)],
    }
    W, b = rng.normal(size=(K, p)), rng.normal(size=K)
    wide = make(np.hstack([X, offset]), T, **bounds, **options)
    problem = make(X, T, offset=offset, **options)
    one, other = certify(problem, W, b), certify(wide, np.hstack([W, held]), b)
    assert float(one.value) == pytest.approx(float(other.value), rel=1e-15)
    assert float(one.best) == pytest.approx(float(other.best), rel=1e-14)
    assert one.lower <= one.best
    assert one.slack < 1e-10
    assert float(exactly(problem, W, b)) == pytest.approx(float(one.value), rel=1e-15)


def test_outputs_without_mass_in_some_rows_are_fits_of_the_others():
    rng = np.random.default_rng(13)
    X, T = rng.normal(size=(40, 3)), rng.random((40, 2))
    gone = rng.random((40, 2)) < 0.4
    problem = Problem(X, np.where(gone, 0, T), (~gone).astype(float), "sigmoid")
    found = certify(problem, np.zeros((2, 3)), np.zeros(2))
    best = lower = 0.0
    for k in range(2):
        some = ~gone[:, k]
        one = certify(sigmoid_problem(X[some], T[some, k : k + 1]), np.zeros((1, 3)), np.zeros(1))
        best, lower = best + one.best, lower + one.lower
    assert float(found.best) == pytest.approx(float(best), rel=1e-14)
    assert float(found.lower) == pytest.approx(float(lower), rel=1e-10)
