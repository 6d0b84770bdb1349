"""L-BFGS in scaled variables: its approximation of the Hessian, its passes, and its end."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from certificate import Problem, certify
from numpy.testing import assert_allclose
from objectives import at_costs, make, method_of
from sklearn.exceptions import ConvergenceWarning

from skce._costs import DEFAULT
from skce._problem.class_steps import ClassSteps, Lengths, Logits
from skce._solver.method import Pair
from skce._solver.quasi_newton import (
    ClassScaled,
    ColumnScaled,
    _in_other,
    _solve,
    _with_other_penalty,
)
from skce._solver.run import Fit, Log, Look, evolve
from skce._solver.variables import has_large_classes, scale_columns, scaled, whiten_along_penalty

#: Uses L-BFGS even if the matrices of classes are small, with one length for each step.
small = {"class_bytes": 0, "joint_size": 0}
Probe = at_costs(**small, worth_lengths=10**9)
#: The same, with a length for each class.
Lengthened = at_costs(**small, worth_lengths=0, fewest_lengths=0)


def clusters(n, p, K, apart, seed=0, dtype=np.float32, unit=True):
    """Rows around class means, by default of norm 1, in columns of decreasing variance."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(p, p)))
    deviations = np.arange(1, p + 1) ** -0.5
    y = np.arange(n) % K
    Z = apart * rng.normal(size=(K, p))[y] + rng.normal(size=(n, p))
    X = (Z * deviations) @ rotation
    return (X / np.linalg.norm(X, axis=1, keepdims=True) if unit else X).astype(dtype), y


def some_pairs(size, count, seed=0):
    """Pairs of a quadratic, and its Hessian."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(size, size))
    H = A @ A.T + np.eye(size)
    steps = rng.normal(size=(count, size))
    return tuple(Pair(s, H @ s, float(s @ H @ s)) for s in steps), H


def test_two_loops_are_the_bfgs_matrix():
    # Nocedal and Wright, equation 6.17, from the multiple of the identity of equation 7.20.
    pairs, _ = some_pairs(7, 4)
    _, y, product = pairs[-1]
    B = product / (y @ y) * np.eye(7)
    for s, y, product in pairs:
        V = np.eye(7) - np.outer(y, s) / product
        B = V.T @ B @ V + np.outer(s, s) / product
    for g in np.eye(7):
        assert_allclose(_solve(pairs, g), B @ g, rtol=1e-10, atol=1e-12)
    assert_allclose(_solve(pairs, pairs[-1].y), pairs[-1].s, rtol=1e-10)
    assert_allclose(_solve((), y), y)


def test_two_loops_of_all_conjugate_steps_invert_the_hessian():
    _, H = some_pairs(6, 1, seed=3)
    _, U = np.linalg.eigh(H)
    pairs = tuple(Pair(u, H @ u, float(u @ H @ u)) for u in U.T)
    g = np.arange(6.0)
    assert_allclose(_solve(pairs, g), np.linalg.solve(H, g), rtol=1e-9)


def test_pairs_are_the_same_steps_in_other_scales():
    X, y = clusters(200, 5, 4, 1.0, dtype=np.float64)
    base = whiten_along_penalty(make(X, y))
    rng = np.random.default_rng(0)
    old, new = (scaled(base, rng.uniform(0.01, 0.2, 4)) for _ in range(2))
    s, theta_like = rng.normal(size=old.size), rng.normal(size=base.objective.layout.size)
    y_old = old.gradient(theta_like)
    (moved,) = _in_other((Pair(s, y_old, 1.0),), (old.T / new.T).ravel())
    assert_allclose(new.to_user(moved.s), old.to_user(s), rtol=1e-12)
    assert_allclose(moved.y, new.gradient(theta_like), rtol=1e-12)


@pytest.mark.parametrize("kind", ["labels", "no intercept", "binary", "single"])
def test_pairs_of_another_penalty_have_the_new_penalty(kind):
    X, y = clusters(200, 5, 4, 1.0, dtype=np.float32 if kind == "single" else np.float64)
    y = np.eye(4)[y] if kind == "binary" else y
    params = {"loss": "binary"} if kind == "binary" else {}
    costs = replace(DEFAULT, few_bytes=0)
    first = make(X, y, C=0.1, fit_intercept=kind != "no intercept", costs=costs, **params)
    rng, rtol = np.random.default_rng(0), 1e-3 if kind == "single" else 1e-9
    theta, step = (first.without_shift(rng.normal(size=first.layout.size)) for _ in range(2))
    pairs, changes = [], []
    for C in (0.1, 20.0):
        objective = first.penalised(C, 0.0)
        inner = whiten_along_penalty(objective)
        variables = scaled(inner, rng.uniform(0.01, 0.2, 4))
        s = inner.from_user(step)
        s = np.column_stack([*inner.layout.unpack(s)])[:, : variables.T.shape[1]] / variables.T
        changes.append(objective.hessian(theta)(step))
        y = variables.gradient(changes[-1])
        pairs.append((variables, Pair(s.ravel(), y, float(s.ravel() @ y))))
    (old, known), (new, expected) = pairs
    assert_allclose(old.to_user(known.s), step, rtol=rtol, atol=rtol)
    (found,) = _with_other_penalty((known,), old, new)
    scale = np.abs(expected.y).max()
    assert_allclose(found.s, expected.s, rtol=rtol, atol=rtol * np.abs(expected.s).max())
    assert_allclose(found.y, expected.y, rtol=rtol, atol=rtol * scale)
    assert_allclose(found.product, expected.product, rtol=rtol)
    # A change of the gradient that the smaller penalty alone does not explain is left out.
    bad = Pair(known.s, -known.y, -known.product)
    assert _with_other_penalty((bad,), old, new) == ()


def test_pairs_are_dropped_if_the_axes_differ():
    X, y = clusters(200, 5, 4, 1.0, dtype=np.float64)
    one, other = (scaled(whiten_along_penalty(make(X, y)), np.full(4, 0.1)) for _ in range(2))
    pair = Pair(np.ones(one.size), np.ones(one.size), float(one.size))
    assert len(_with_other_penalty((pair,), one, one)) == 1
    assert _with_other_penalty((pair,), one, other) == ()  # of other rows
    weighted = make(X, y, penalty_weights=np.arange(1.0, 6.0))
    known = scaled(whiten_along_penalty(weighted), np.full(4, 0.1))
    assert _with_other_penalty((pair,), known, known) == ()


def test_a_bound_that_is_proven_is_compared_with_tol_itself():
    X, y = clusters(300, 20, 10, 1.0)
    lowest = Probe(tol=1e-10).fit(X, y).optimize_result_.fun
    shares = []
    for tol in np.geomspace(1e-4, 0.1, 16):
        found = Probe(tol=tol).fit(X, y).optimize_result_
        assert found.fun / lowest - 1 <= found.gap <= tol
        shares.append(found.gap / tol)
    assert max(shares) > 0.6  # an estimate is compared with half of tol


@pytest.mark.parametrize("kind", ["common", "units", "weights", "csr"])
def test_variables_are_white_at_zero(kind):
    X, y = clusters(300, 6, 4, 0.5, dtype=np.float64, unit=False)
    params = {"penalty_weights": np.arange(1.0, 7.0)} if kind == "weights" else {}
    X = X * 10.0 ** np.arange(-3, 3) if kind == "units" else X
    objective = make(sp.csr_array(X) if kind == "csr" else X, y, **params)
    base = whiten_along_penalty(objective)
    variables = scaled(base, np.full(4, 1 / 4))
    product = objective.hessian(np.zeros(objective.layout.size))
    for v in np.random.default_rng(1).normal(size=(3, variables.size)):
        v = variables.gradient(variables.inner.objective.gradient_to_user(variables.to_user(v)))
        v -= v.reshape(4, -1).mean(axis=0)[None].repeat(4, 0).ravel()
        assert_allclose(variables.product(product, v)[0], v, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["mild", "weak penalty", "double", "no intercept"])
def test_a_covariance_in_float32_is_as_good_if_the_penalty_hides_its_rounding(kind):
    X, y = clusters(3000, 100, 30, 1.0, dtype=np.float64 if kind == "double" else np.float32)
    C = 1e9 if kind == "weak penalty" else 1.0
    costs = replace(DEFAULT, **small, few_bytes=0, matrix_rows=700)
    objective = make(X, y, C=C, fit_intercept=kind != "no intercept", costs=costs)
    base = whiten_along_penalty(objective)
    single = kind in ("mild", "no intercept")
    assert ("eigenvectors, float32" in objective.shared) is single
    assert ("moments" in objective.shared) is not single
    double = make(X.astype(np.float64), y, C=C, fit_intercept=kind != "no intercept", costs=costs)
    exact = whiten_along_penalty(double)
    assert_allclose(base.mean, exact.mean, atol=1e-7)
    for own, expected in (
        (base.Q @ base.Q.T, exact.Q @ exact.Q.T),
        (base.variance, exact.variance),
    ):
        assert_allclose(own, expected, atol=2e-3 * np.abs(expected).max())
    for Cs in (C, 1e9, 1.0):  # other penalties of the same rows
        other = whiten_along_penalty(objective.penalised(Cs, 0.0))
        exact = whiten_along_penalty(double.penalised(Cs, 0.0))
        assert_allclose(other.penalties, exact.penalties, rtol=0.02)


@pytest.mark.parametrize("C", [1.0, 100.0])
@pytest.mark.parametrize("apart", [0.4, 1.2])
def test_a_length_for_each_class_halves_passes(C, apart):
    X, y = clusters(2000, 100, 30, apart)
    passes = []
    for estimator in (Probe, Lengthened):
        fits = [estimator(C=C, tol=tol).fit(X, y).optimize_result_ for tol in (1e-2, 1e-4, 1e-6)]
        passes.append(np.log([found.passes for found in fits]).mean())
    assert passes[1] < passes[0] + np.log(0.7)


@pytest.mark.parametrize("C", [1.0, 100.0])
def test_a_scale_of_the_point_takes_fewer_passes(C, monkeypatch):
    def passes():
        return [
            Lengthened(C=C, tol=tol).fit(*clusters(2000, 100, 30, apart)).optimize_result_.passes
            for apart in (0.4, 1.2)
            for tol in (1e-2, 1e-4, 1e-6)
        ]

    own, along = passes(), Logits.along
    monkeypatch.setattr(Logits, "along", lambda logits, step, scaled: along(logits, step))
    assert np.log(own).mean() < np.log(passes()).mean() + np.log(0.9)


@pytest.mark.parametrize("rows", ["all", "sample"])
def test_curvatures_of_classes_come_from_kept_logits(rows):
    X, y = clusters(3000, 30, 10, 0.5, dtype=np.float64)
    kept = 2**26 if rows == "all" else 3 * 10 * 8 * 1000
    costs = replace(DEFAULT, **small, worth_lengths=0, fewest_lengths=0, few_bytes=0)
    objective = make(X, y, costs=replace(costs, kept_logits=kept, part_of_rows=10**9))
    base = whiten_along_penalty(objective)
    run = Fit(fun=objective.value_gradient, log=Log(), tol=1e-9, max_iter=9, objective=objective)
    method = method_of(ClassScaled, objective, base, scaled(base, np.full(10, 0.09)))
    theta = objective.without_shift(np.random.default_rng(0).normal(size=objective.layout.size))
    point = method.evaluate_start(theta, run)
    assert point.logits.share == (1 if rows == "all" else 1 / 3)
    before = run.log.passes
    own = method.classes_scaled(point, run)[1].curvatures
    assert run.log.passes == before
    exact = method.classes_scaled(run.evaluate(point.theta), run)[1].curvatures
    assert run.log.passes == before + 2
    assert_allclose(own, exact, rtol=1e-9 if rows == "all" else 0.1)


def test_a_start_is_scaled_before_it_is_evaluated():
    X, y = clusters(3000, 30, 10, 0.5, dtype=np.float64)
    costs = replace(DEFAULT, **small, worth_lengths=0, fewest_lengths=0, few_bytes=0)
    objective = make(X, y, C=1.0, costs=costs)
    base = whiten_along_penalty(objective)
    method = method_of(ClassScaled, objective, base, scaled(base, np.full(10, 0.09)))
    run = Fit(fun=objective.value_gradient, log=Log(), tol=1e-3, max_iter=9, objective=objective)
    best = objective.from_user(Lengthened(tol=1e-9).fit(X, y).optimize_result_.x)
    lowest = objective.value_gradient(best)[0]
    W, b = objective.layout.unpack(best)
    lengths = np.linspace(0.5, 1.5, 10)
    far = objective.without_shift(objective.layout.pack(W * lengths[:, None], b * lengths))
    found = method.evaluate_start(far, run)
    assert found.value - lowest < 0.02 * (objective.value_gradient(far)[0] - lowest)
    assert run.log.passes == 1
    assert_allclose(found.value, objective.value_gradient(found.theta)[0], rtol=1e-12)
    assert_allclose(method.evaluate_start(best, run).theta, best)  # nothing to gain


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_fewer_passes_than_newtons_method(C, dtype):
    X, y = clusters(3000, 80, 30, 0.7, dtype=dtype)
    for tol, share in ((1e-2, 0.75), (1e-4, 0.8), (1e-6, 0.9)):
        found = Probe(C=C, tol=tol).fit(X, y).optimize_result_
        best = Probe(C=C, tol=tol, solver="newton-cg").fit(X, y).optimize_result_
        assert found.passes <= share * best.passes, (tol, found.passes, best.passes)
        assert found.fun <= best.fun * (1 + tol)


def test_coefficients_that_are_far_too_large_are_halved():
    # The first steps separate all classes. There the loss has almost no curvature.
    X, y = clusters(2000, 100, 40, 1.5)
    far = at_costs(mostly_penalty=np.inf)(C=100, tol=1e-3).fit(X, y).optimize_result_
    near = Probe(C=100, tol=1e-3).fit(X, y).optimize_result_
    assert near.passes < 0.5 * far.passes


@pytest.mark.parametrize("n", [2000, 6000])
@pytest.mark.parametrize("C", [100, 1e4])
def test_separated_classes_take_few_passes(n, C):
    X, y = clusters(n, 200, 30, 1.5)
    own = at_costs(few_bytes=0)(C=C, tol=1e-4).fit(X, y).optimize_result_
    assert own.success
    assert own.passes < 30
    exact = Probe(C=C, tol=1e-9, solver="newton-cg").fit(X.astype(np.float64), y).optimize_result_
    assert own.fun <= exact.fun * (1 + 1e-4)


@pytest.mark.parametrize("C", [300, 1000])
def test_rounding_of_kept_logits_does_not_add_up(C):
    # F once fell by 2e-7 below its minimum, iteration by iteration.
    X, y = clusters(6000, 160, 20, 0.5)
    clf = at_costs(few_bytes=0)(C=C, tol=1e-9).fit(X, y)
    exact = Probe(C=C, tol=1e-11, solver="newton-cg").fit(X.astype(np.float64), y)
    lowest = exact.optimize_result_.fun
    assert min(clf.loss_curve_) > lowest * (1 - 8e-8)
    assert clf.optimize_result_.success


def test_no_shorter_step_is_tried_if_rounding_hides_what_it_gains():
    X, y = clusters(6000, 160, 20, 1.0)
    results = [
        at_costs(few_bytes=0)(C=C, tol=1e-9).fit(X, y).optimize_result_ for C in (10, 100, 1000)
    ]
    for result in results:
        assert result.success
        assert result.nfev < result.nit + 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_leaves_the_intercepts_in_the_bound(dtype):
    # Here the bound by the penalty is not enough: it left out what the intercepts alone gain.
    y = np.repeat([0, 1, 2], [20, 5, 4])
    single = at_costs(**small, worth_lengths=10**9, few_bytes=0)
    clf = single(C=525.0).fit(np.zeros((29, 1), dtype), y)
    assert_allclose(clf.predict_proba(np.zeros((1, 1)))[0], np.bincount(y) / 29, rtol=1e-4)


def targets_of(kind, y):
    """Target of 120 rows in 5 classes and sample weights for `fit`; and the same as mass."""
    rng, T, weights = np.random.default_rng(7), np.eye(5)[y], np.ones(120)
    if kind in ("soft", "binary"):
        T = rng.dirichlet(np.ones(5), 120) if kind == "soft" else (rng.random((120, 5)) < 0.4) * 1.0
        y = T
    if kind == "weighted":
        weights = rng.gamma(0.2, 5, 120)
    mass = np.ones((120, 5 if kind == "binary" else 1)) * weights[:, None]
    return y, weights, T * weights[:, None], mass


def gap_of(clf, X, T, mass):
    """Certified gap of a fit."""
    form = "sigmoid" if clf.loss == "binary" else "softmax"
    problem = Problem(X.astype(np.float64), T, mass, form, C=clf.C, l1_ratio=0.0)
    return float(certify(problem, clf.coef_, clf.intercept_, accuracy=clf.tol / 10).gap)


@pytest.mark.parametrize("estimator", [Probe, Lengthened])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-7])
@pytest.mark.parametrize("kind", ["labels", "soft", "binary", "wide", "apart", "weighted"])
def test_gaps_are_within_tol(kind, tol, estimator):
    X, y = clusters(120, 12 if kind != "wide" else 150, 5, 3.0 if kind == "apart" else 0.5)
    X = X.astype(np.float64)
    target, weights, T, mass = targets_of(kind, y)
    clf = estimator(C=30.0, tol=tol, loss="binary" if kind == "binary" else "categorical")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf.fit(X, target, sample_weight=weights)
    assert gap_of(clf, X, T, mass) <= tol


@pytest.mark.parametrize("length", [0.0, -1.0])
def test_lengths_that_do_not_lower_f_are_not_used(length, monkeypatch):
    # Lengths of a sample gained only rounding: the step was zero, and its slope too.
    def minimum(steps, value=0.0, gradient=None, negligible=0.0):
        return Lengths(np.full(30, length), np.zeros(30), np.zeros(30))

    X, y = clusters(600, 40, 30, 1.0)
    monkeypatch.setattr(ClassSteps, "minimum", minimum)
    found = Lengthened(tol=1e-4).fit(X, y).optimize_result_
    assert found.fun <= Probe(tol=1e-9).fit(X, y).optimize_result_.fun * (1 + 1e-4)


def test_newtons_method_takes_over_where_l_bfgs_is_slow():
    X, y = clusters(400, 40, 10, 1.0, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        clf = Probe(C=1e7, tol=1e-8).fit(X, y)
    assert clf.optimize_result_.nhev > clf.optimize_result_.nit / 2


def test_it_begins_where_classes_are_large():
    def begins(n, p, K):
        return has_large_classes(make(np.ones((n, p)), np.arange(n) % K))

    assert begins(2000, 300, 100)
    assert begins(5000, 600, 10)
    assert begins(2000, 100, 2)
    assert not begins(2000, 60, 20)
    assert not begins(2000, 1500, 100)
    assert not begins(500, 800, 100)


#: Scales columns, as with many rows and many columns.
scaling = {"whiten_up_to": 2, "whiten_late": 2, "joint_bytes": 0, "row_numbers": 0}
#: Begins with L-BFGS, whose steps have a length for each class.
LongWords = at_costs(**scaling, worth_lengths=0)
#: Uses L-BFGS after the first step.
Words = at_costs(**scaling, dear_step=0, far_from_optimum=0.0)


def words(n, p, K, length=30, own=3.0, seed=0):
    """Documents of classes that share most of their words: rows of norm 1, most words rare."""
    rng = np.random.default_rng(seed)
    frequencies = 1 / np.arange(1, p + 1)
    topics = frequencies * rng.gamma(own, 1 / own, size=(K, p))
    y = rng.permutation(np.arange(n) % K)
    topics /= topics.sum(axis=1, keepdims=True)
    counts = np.array([rng.multinomial(length, topics[k]) for k in y])
    X = np.log1p(counts) * np.log(1 / frequencies.clip(1e-3) + 1)
    return sp.csr_array(X / np.linalg.norm(X, axis=1, keepdims=True)), y


def test_l_bfgs_goes_on_where_steps_take_many_products():
    X, y = words(1200, 600, 20)
    clf = at_costs(**scaling)
    for tol in (1e-2, 1e-4):
        found = clf(C=1e4, tol=tol).fit(X, y).optimize_result_
        best = clf(C=1e4, tol=tol, solver="newton-cg").fit(X, y).optimize_result_
        assert found.nit > best.nit + 10  # iterations of L-BFGS
        assert found.passes <= 0.75 * best.passes, (tol, found.passes, best.passes)
        assert found.fun <= best.fun * (1 + tol)


@pytest.mark.parametrize("C", [0.1, 1.0])
def test_newtons_method_alone_where_steps_take_few_products(C):
    X, y = words(600, 800, 25)
    found, best = (
        at_costs(**scaling)(C=C, solver=solver).fit(X, y).optimize_result_
        for solver in ("auto", "newton-cg")
    )
    assert (found.nit, found.passes, found.fun) == (best.nit, best.passes, best.fun)


@pytest.mark.parametrize("estimator", [Words, LongWords])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-7])
@pytest.mark.parametrize("kind", ["labels", "soft", "binary", "weighted", "float32", "dense"])
def test_gaps_of_words_are_within_tol(kind, tol, estimator):
    X, y = words(120, 60, 5)
    X = X.astype(np.float32) if kind == "float32" else X
    dense = X.toarray()
    X = dense if kind == "dense" else X
    target, weights, T, mass = targets_of(kind, y)
    params = {"C": 300.0, "tol": tol, "loss": "binary" if kind == "binary" else "categorical"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = estimator(**params).fit(X, target, sample_weight=weights)
    assert gap_of(clf, dense, T, mass) <= tol
    if estimator is LongWords:
        return
    newton = at_costs(**scaling)(**params, solver="newton-cg")
    newton.fit(X, target, sample_weight=weights)
    assert clf.n_iter_ > newton.n_iter_  # L-BFGS was used


def test_kept_logits_are_those_of_the_coefficients_if_steps_are_float32():
    # Steps are as short as float32 on rounded sparse rows, while logits are float64. Products of
    # lengths and steps were rounded in coefficients only: F was off by 1e-8.
    X, y = words(600, 300, 12)
    X = X.multiply(np.random.default_rng(2).exponential(size=X.shape)).tocsr()
    costs = {"worth_rounding": 0, "few_bytes": 0, "worth_lengths": 0}
    found = at_costs(**scaling, **costs)(C=100, tol=1e-8).fit(X, y).optimize_result_
    objective = make(X, y, C=100)
    value, _ = objective.value_gradient(objective.from_user(found.x))
    assert found.nit > 10
    assert_allclose(found.fun, value * objective.scale, rtol=1e-12)


@pytest.mark.parametrize("estimator", [Words, LongWords])
def test_l_bfgs_does_not_hide_that_there_is_no_minimum(estimator):
    X, y = words(200, 400, 4)
    with pytest.warns(ConvergenceWarning, match="classes are separable"):
        clf = estimator(C=np.inf).fit(X, y)
    assert clf.n_iter_ < 200


@pytest.mark.parametrize("C", [1.0, 100.0])
@pytest.mark.parametrize("K", [2, 20])
def test_lengths_on_sparse_rows_halve_passes(K, C):
    X, y = words(1200, 2000, K, length=60)
    for tol in (1e-2, 1e-4, 1e-6):
        found = LongWords(C=C, tol=tol).fit(X, y).optimize_result_
        best = LongWords(C=C, tol=tol, solver="newton-cg").fit(X, y).optimize_result_
        assert found.passes <= 0.6 * best.passes, (tol, found.passes, best.passes)
        assert found.fun <= best.fun * (1 + tol)


def test_an_end_that_the_gradient_proves_takes_no_products():
    # Products of rounded rows are less exact than the gradient, which needs no confirmation.
    X, y = words(1200, 2000, 20, length=60)
    rounded = at_costs(**scaling, worth_lengths=0, worth_rounding=0)
    found = rounded(tol=1e-6).fit(X, y).optimize_result_
    assert found.nhev == 0
    assert found.fun <= LongWords(tol=1e-10).fit(X, y).optimize_result_.fun * (1 + 1e-6)


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 10), (np.float64, 30)])
@pytest.mark.parametrize("sparse", [True, False])
def test_a_class_without_rows_is_not_shifted_far(dtype, scale, sparse):
    # F hardly changes along its intercept. It was shifted by 1e14: all logits became rounding.
    X, y = words(300, 60, 5, seed=2)
    X = (X * scale).astype(dtype)
    clf = LongWords if sparse else Lengthened
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = clf(C=1000.0, tol=1e-4)
        clf.fit(X if sparse else X.toarray(), np.eye(5)[y], sample_weight=(y > 0) * 1.0)
    assert np.abs(clf.intercept_).max() < 1000
    rows = y > 0
    T = np.eye(5)[y[rows]]
    assert gap_of(clf, X.toarray()[rows], T, np.ones((len(T), 1))) <= 1e-4


def test_a_warm_start_on_sparse_rows_begins_with_l_bfgs():
    X, y = words(600, 1000, 5, length=60)
    clf = LongWords(tol=1e-3, warm_start=True)
    for C in (0.1, 1.0, 10.0):
        found = clf.set_params(C=C).fit(X, y).optimize_result_
        assert found.nhev == 0
        assert found.fun <= LongWords(C=C, tol=1e-9).fit(X, y).optimize_result_.fun * (1 + 1e-3)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_pairs_are_the_same_steps_in_columns_with_other_scales(fit_intercept):
    X, y = words(300, 40, 4)
    objective = make(X, y, fit_intercept=fit_intercept, costs=LongWords._costs)
    fit = Fit(fun=objective.value_gradient, log=Log(), tol=1e-6, max_iter=9, objective=objective)
    rng = np.random.default_rng(0)
    theta, like = rng.normal(size=(2, objective.layout.size))
    base = scale_columns(objective)
    pairs = (Pair(rng.normal(size=base.size), base.gradient(like), 1.0),)
    old = method_of(ColumnScaled, objective, base, by_newton=False, first=0, pairs=pairs)
    new = old.rescaled(fit.evaluate(theta), fit)
    assert not np.allclose(new.base.Q, base.Q)
    assert_allclose(new.base.to_user(new.pairs[0].s), base.to_user(old.pairs[0].s), rtol=1e-12)
    assert_allclose(new.pairs[0].y, new.base.gradient(like), rtol=1e-9)


def test_l_bfgs_ends_where_it_gains_nothing():
    # F does not fall, so that what seems to be left is far below the limit.
    objective = make(*words(300, 40, 4), costs=LongWords._costs)
    fit = Fit(fun=objective.value_gradient, log=Log(), tol=1e-6, max_iter=9, objective=objective)
    point = fit.evaluate(np.zeros(objective.layout.size))
    method = method_of(ColumnScaled, objective, scale_columns(objective), first=0)
    for gains, slow in (
        ([1e-2] * 11, False),  # F falls by 8 %
        ([0.7**k * 1e-2 for k in range(11)], False),
        ([0.97**k * 1e-3 for k in range(11)], True),  # a hundred more iterations
        ([1e-3] * 5 + [1e-16] * 6, True),
        ([1e-16] * 11, True),
    ):
        fit.log.values = list(1.3 - np.cumsum(gains))
        assert method.is_slow(Look(), point, fit) is slow, gains
    # With a large tol a fit counts as stalled if F falls by less than the limit.
    fit.log.values = list(1.3 - np.cumsum([1e-2] * 11))
    assert method.is_slow(Look(), point, evolve(fit, tol=0.5))
