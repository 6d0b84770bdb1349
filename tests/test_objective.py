"""The objective, its sums over blocks of rows, and the change of variables around it."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.special
from numpy.testing import assert_allclose, assert_array_equal
from objectives import make
from threadpoolctl import threadpool_limits

from skce._costs import DEFAULT
from skce._solver.variables import (
    Jointly,
    precondition,
    precondition_classes,
    rescale_columns,
    scale_classes,
)
from skce._targets.meaning import read_targets
from skce._threads import threads

Y_FORMS = {
    "softmax": lambda y, Y: (y, "categorical"),
    "distributions": lambda y, Y: (Y, "categorical"),
    "sigmoid": lambda y, Y: (y == 1, "auto"),
    "one-vs-rest": lambda y, Y: (y, "binary"),
    "multilabel": lambda y, Y: (Y, "binary"),
}


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("form", Y_FORMS)
def test_derivatives_agree_with_central_differences(form, fit_intercept, problem, rng):
    X, y, Y = problem
    weights = rng.uniform(0, 3, len(X))
    objective = make(
        X, *Y_FORMS[form](y, Y), fit_intercept=fit_intercept, weights=weights, smoothing=0.05
    )
    theta, v = (objective.without_shift(rng.normal(size=objective.layout.size)) for _ in range(2))
    h = 1e-5
    high, low = (objective.value_gradient(theta + s * h * v) for s in (1, -1))
    gradient = objective.value_gradient(theta)[1]
    assert_allclose(gradient @ v, (high[0] - low[0]) / (2 * h), rtol=1e-7)
    want = (high[1] - low[1]) / (2 * h)
    assert_allclose(objective.hessian(theta)(v), want, rtol=1e-6, atol=1e-8)


def test_value_at_zero_is_log_of_the_number_of_classes(problem):
    X, y, Y = problem
    for targets in (y, Y):
        objective = make(X, targets, "categorical")
        value, _ = objective.value_gradient(np.zeros(objective.layout.size))
        assert_allclose(value, np.log(3), rtol=1e-15)


@pytest.mark.parametrize("form", Y_FORMS)
@pytest.mark.parametrize("kind", ["dense", "fortran", "csr"])
def test_sums_do_not_depend_on_the_blocks(form, kind, problem, rng):
    X, y, Y = problem
    X = {"dense": X, "fortran": np.asfortranarray(X), "csr": sp.csr_array(X)}[kind]
    given = {"weights": rng.uniform(0, 3, len(y)), "smoothing": 0.1}
    objective = make(X, *Y_FORMS[form](y, Y), **given)
    theta, v = rng.normal(size=(2, objective.layout.size))
    value, gradient = objective.value_gradient(theta)
    product = objective.hessian(theta)(v)
    costs = replace(DEFAULT, rows_per_block=(7, 7), csr_block=7 * objective.layout.n_outputs)
    objective = make(X, *Y_FORMS[form](y, Y), **given, costs=costs)
    in_blocks = objective.value_gradient(theta)
    assert_allclose(in_blocks[0], value, rtol=1e-14)
    assert_allclose(in_blocks[1], gradient, rtol=1e-12, atol=1e-15)
    assert_allclose(objective.hessian(theta)(v), product, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("form", ["softmax", "one-vs-rest"])
def test_hard_labels_need_no_array_of_rows_times_classes(form, rng):
    n, p, K = 100_000, 3, 50
    X, y = rng.normal(size=(n, p)), rng.integers(K, size=n)
    loss = "auto" if form == "softmax" else "binary"
    assert read_targets(y, loss).values.dtype == np.uint8
    tracemalloc.start()
    objective = make(X, y, loss, smoothing=0.1, C=1)
    theta = np.zeros(objective.layout.size)
    objective.value_gradient(theta)
    objective.hessian(theta)(theta)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # An (n, K) array of float64 would take 40 MB; a few (n,) ones take 0.8 MB each.
    assert peak < 10e6


def test_without_penalty_the_ridge_is_zero(problem):
    X, y, _ = problem
    objective = make(X, y, C=np.inf)
    assert objective.penalty.ridge == 0
    assert objective.scale == len(X)


def hessian_in(variables, objective, theta):
    """The Hessian at theta, as a matrix, in the variables of the solver."""
    product = objective.hessian(theta)
    columns = np.eye(variables.size)
    return np.array([variables.product(product, e)[0] for e in columns])


#: For every kind of variables: rows, columns, and the costs with which they are chosen.
KINDS = {
    "columns": (40, 5, {}),
    "rows": (6, 30, {}),
    "scales": (6, 30, {"whiten_up_to": 3}),
}


@pytest.fixture(params=[(kind, sparse) for kind in KINDS for sparse in (False, True)])
def variables_of(request, rng):
    """A kind of variables, with X and costs for which it is chosen."""
    kind, sparse = request.param
    n, p, costs = KINDS[kind]
    X = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-3, 3, p) + 5
    return kind, sp.csr_array(X) if sparse else X, replace(DEFAULT, **costs)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("form", Y_FORMS)
def test_changes_of_variables_are_linear_maps_and_their_transposes(
    variables_of, form, fit_intercept, rng
):
    kind, X, costs = variables_of
    n = X.shape[0]
    Y = rng.dirichlet(np.ones(3), n)
    y = Y_FORMS[form](np.arange(n) % 3, Y)
    objective = make(X, *y, fit_intercept=fit_intercept, costs=costs)
    base = precondition(objective)
    assert (np.ndim(base.Q) == 2) == (kind != "scales")
    assert base.width == (n - fit_intercept if kind == "rows" else X.shape[1])
    theta = objective.without_shift(rng.normal(size=objective.layout.size) * 1e-3)
    changes = [
        base,
        precondition_classes(base, objective, theta),
        Jointly(base, objective).at(theta),
    ]
    v, w = rng.normal(size=(2, base.size))
    # A gradient of softmax has class sums of zero.
    g = objective.without_shift(rng.normal(size=objective.layout.size))
    for variables in changes:
        both = variables.to_user(v) + 2 * variables.to_user(w)
        assert_allclose(variables.to_user(v + 2 * w), both, rtol=1e-8, atol=1e-8 * abs(both).max())
        assert_allclose(variables.gradient(g) @ v, g @ variables.to_user(v), rtol=1e-7)


def test_whitening_makes_the_hessian_at_zero_the_identity_for_two_classes(rng):
    X = rng.normal(size=(200, 4)) @ rng.normal(size=(4, 4)) * [1e-3, 1, 10, 1e4] + [5, 0, 1e3, 1e5]
    objective = make(X, rng.integers(2, size=200), C=1e3)
    hessian = hessian_in(precondition(objective), objective, np.zeros(objective.layout.size))
    assert_allclose(hessian, np.diag([1, 1, 1, 1, 0.25]), atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_columns_far_from_zero_are_read_less_their_means(dtype, kind, rng):
    exact = rng.normal(size=(50, 3)) * [1, 1e-2, 1]
    X = (exact + [1e5, -1e5, 0]).astype(dtype)
    if kind == "sparse":
        X = sp.csr_array(X)
        X = sp.csr_array((np.r_[X.data, 0], np.r_[X.indices, 2], X.indptr + (np.arange(51) > 49)))
    data = make(X, np.arange(50) % 2).data
    centred = (X.toarray() if kind == "sparse" else X).astype(np.float64) - data.centre
    for part in (data, data.take(np.arange(50)), data.columns(np.arange(3))):
        ((block, share),) = part.chunks(50)
        assert block.X.values.dtype == np.float64
        assert_array_equal(block.X.dense(), centred)
        mean, square = block.X.moments(share)
        assert_allclose(mean, centred.mean(axis=0), atol=1e-12)
        assert_allclose(square, (centred**2).mean(axis=0), rtol=1e-6)
    assert np.abs(centred).max() < 10


def test_theta_of_centred_rows_is_that_of_the_user_with_other_intercepts(rng):
    X = rng.normal(size=(50, 3)) + [1e4, -1e5, 0]
    y = np.arange(50) % 3
    objective = make(X, y)
    theta = rng.normal(size=objective.layout.size)
    user = objective.to_user(theta)
    assert_allclose(objective.from_user(user), theta, atol=1e-9)
    plain = make(X, y, centred=False)
    value, gradient = plain.value_gradient(user)
    assert_allclose(objective.value_gradient(theta)[0], value, rtol=1e-9)
    got = objective.gradient_to_user(objective.value_gradient(theta)[1])
    assert_allclose(got, gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stored_coefficients_make_up_for_the_rounding_of_intercepts(dtype, rng):
    scale = 1e4 if dtype == np.float32 else 1e12
    X = (rng.normal(size=(50, 8)) + scale * rng.normal(size=8)).astype(dtype)
    objective = make(X, np.arange(50) % 3)
    theta = rng.normal(size=objective.layout.size)
    stored = objective.stored(objective.to_user(theta), dtype)
    assert stored.dtype == dtype
    back = objective.from_user(stored.astype(np.float64))
    assert_allclose(back[:24], theta[:24], rtol=10 * np.finfo(dtype).eps)
    assert np.abs(back - theta)[24:].max() < 0.5 * scale * np.finfo(dtype).eps


@pytest.mark.parametrize("form", Y_FORMS)
def test_class_whitening_makes_the_blocks_of_classes_the_identity(form, problem, rng):
    costs = replace(DEFAULT, little_curvature=0)
    X, y, Y = problem
    weights = rng.uniform(0, 3, len(X))
    X = X * [1e-3, 1, 10, 1e3][: X.shape[1]]
    objective = make(X, *Y_FORMS[form](y, Y), weights=weights, costs=costs)
    theta = objective.without_shift(rng.normal(size=objective.layout.size) * 1e-3)
    variables = precondition_classes(precondition(objective), objective, theta)
    K = objective.layout.n_outputs
    hessian = hessian_in(variables, objective, theta)
    largest = np.linalg.eigvalsh(hessian)[-1]
    if not objective.loss.shift_invariant:
        assert_allclose(hessian, np.eye(objective.layout.size), atol=1e-6)
    else:
        assert 1 < largest < 2 + 1e-6
        assert K == 3


@pytest.mark.parametrize("form", Y_FORMS)
@pytest.mark.parametrize("block", [2**21, 40])
def test_joint_whitening_makes_the_whole_hessian_the_identity(form, block, problem, rng):
    costs = replace(DEFAULT, joint_block=block)
    X, y, Y = problem
    weights = rng.uniform(0, 3, len(X))
    X = X * [1e-3, 1, 10, 1e3][: X.shape[1]]
    objective = make(X, *Y_FORMS[form](y, Y), weights=weights, costs=costs)
    theta = objective.without_shift(rng.normal(size=objective.layout.size) * 1e-3)
    variables = Jointly(precondition(objective), objective).at(theta)
    assert_allclose(
        hessian_in(variables, objective, theta), np.eye(objective.layout.size), atol=1e-6
    )


def test_joint_whitening_sees_curvature_far_below_1():
    rng = np.random.default_rng(0)
    objective = make(rng.normal(size=(60, 4)), rng.integers(3, size=60), C=1e14)
    theta = objective.without_shift(20 * rng.normal(size=objective.layout.size))
    variables = Jointly(precondition(objective), objective).at(theta)
    assert_allclose(
        hessian_in(variables, objective, theta), np.eye(objective.layout.size), atol=1e-5
    )


@pytest.mark.parametrize("form", Y_FORMS)
def test_a_sample_of_all_rows_is_the_objective(form, problem, rng):
    X, y, Y = problem
    objective = make(X, *Y_FORMS[form](y, Y), weights=rng.uniform(0, 3, len(X)), smoothing=0.1)
    rows = np.arange(len(X))
    sample = make(X, *Y_FORMS[form](y, Y), weights=objective.data.targets.weights, smoothing=0.1)
    sample.data = objective.data.take(rows)
    theta = rng.normal(size=objective.layout.size)
    for got, want in zip(
        sample.value_gradient(theta), objective.value_gradient(theta), strict=True
    ):
        assert_allclose(got, want, rtol=1e-13)
    weights = objective.data.targets.weights[::2]
    alone = make(X[::2], *Y_FORMS[form](y[::2], Y[::2]), weights=weights, smoothing=0.1)
    want = alone.value_gradient(theta)[0]
    alone.data = objective.data.take(rows[::2])
    assert_allclose(alone.value_gradient(theta)[0], want, rtol=1e-13)


def test_what_a_hessian_keeps_does_not_change_it(problem, rng):
    X, y, _ = problem
    objective = make(X, y, "categorical")
    theta, v = rng.normal(size=(2, objective.layout.size))
    kept = objective.hessian(theta)(v)
    afresh = make(X, y, "categorical", costs=replace(DEFAULT, kept_probabilities=0))
    assert_allclose(afresh.hessian(theta)(v), kept, rtol=1e-12, atol=1e-15)


def test_threads_do_not_change_a_bit(rng):
    X, y = rng.normal(size=(60_000, 60)), rng.integers(5, size=60_000)
    for given in (X, sp.csr_array(X * (rng.random(X.shape) < 0.3))):
        objective = make(given, y)
        assert len(objective.data._split(5, None, None)) > 1 or sp.issparse(given)
        theta = rng.normal(size=objective.layout.size)
        with threadpool_limits(1):
            alone = objective.value_gradient(theta)
        with threads:
            together = objective.value_gradient(theta)
        assert alone[0] == together[0]
        assert_array_equal(alone[1], together[1])


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("factor", [1e-6, 1, 1e6])
def test_the_units_of_many_columns_change_their_scales_and_nothing_else(kind, factor):
    costs = replace(DEFAULT, whiten_up_to=3)
    X = sp.csr_array(sp.random(20, 50, density=0.2, random_state=0))
    X = X if kind == "sparse" else X.toarray() + 3
    plain, base = (
        precondition(make(given, np.arange(20) % 3, C=1e20, costs=costs))
        for given in (X, X * factor)
    )
    vary = np.ptp(X.toarray() if kind == "sparse" else X, axis=0) > 0  # others have the penalty's
    assert_allclose((base.Q * factor)[vary], plain.Q[vary], rtol=1e-5)


def test_equal_columns_give_rows_of_norm_1_but_for_the_power_of_their_curvature(rng):
    costs = replace(DEFAULT, whiten_up_to=3, column_power=0.0)
    X = rng.normal(size=(60, 50))
    base = precondition(make(X, np.arange(60) % 3, C=1e20, costs=costs))
    assert_allclose(((X - base.mean) ** 2).sum() * base.Q**2 / 60, 1, rtol=1e-10)


def test_a_column_of_other_units_is_scaled_to_the_others(rng):
    costs = replace(DEFAULT, whiten_up_to=3)
    X = rng.normal(size=(60, 50))
    plain = precondition(make(X, np.arange(60) % 3, C=1e6, costs=costs))
    for factor, rest in [(1e3, 1e3 ** (1 - costs.column_power)), (1e9, np.sqrt(costs.spread))]:
        X[:, 0] *= factor
        for given in (X, sp.csr_array(X)):
            Q = precondition(make(given, np.arange(60) % 3, C=1e6, costs=costs)).Q
            assert_allclose(Q[1:] / plain.Q[1:], Q[1] / plain.Q[1], rtol=0.05)
            left = factor * (Q[0] / Q[1]) / (plain.Q[0] / plain.Q[1])  # of what it stood out
            assert_allclose(left, rest, rtol=0.5)
        X[:, 0] /= factor


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("loss", ["categorical", "binary"])
def test_columns_are_scaled_by_their_curvature_at_a_point(kind, loss, rng):
    costs = replace(DEFAULT, whiten_up_to=3, column_power=1.0)
    X = rng.normal(size=(40, 30)) * 10 ** rng.uniform(-1, 1, 30)
    X = X if kind == "dense" else sp.csr_array(X)
    objective = make(X, np.arange(40) % 3, loss, C=10.0, costs=costs)
    theta = rng.normal(size=objective.layout.size) / 10
    product = objective.hessian(theta)
    H = np.array([product(e) for e in np.eye(objective.layout.size)])
    base = rescale_columns(precondition(objective), product)
    T = np.array([base.to_user(e) for e in np.eye(base.size)])
    V, _ = objective.layout.unpack((T @ H @ T.T).diagonal())
    assert_allclose(V.mean(axis=0), V.mean(), rtol=1e-8)  # the mean of all classes


def test_rounding_of_numbers_that_overflow_is_not_small_and_makes_no_noise():
    X = np.array([[1e200, 1.0], [-1e200, 2.0], [3.0, 1e200]])
    objective = make(X, np.arange(3) % 2, C=1.0)
    first, second = objective.rounding(np.full(objective.layout.size, 1e150))
    assert not first < 1
    assert not second < 1


def test_rounding_of_sparse_rows_is_that_of_dense_rows_and_leaves_x_as_it_is(rng):
    X = rng.normal(size=(50, 7)) * (rng.random((50, 7)) < 0.4)
    y = np.arange(50) % 3
    theta = rng.normal(size=make(X, y, C=1.0, centred=False).layout.size)
    rows = sp.csr_array(X)
    for i in range(50):  # the columns of each row in descending order
        row = slice(rows.indptr[i], rows.indptr[i + 1])
        rows.indices[row], rows.data[row] = rows.indices[row][::-1], rows.data[row][::-1].copy()
    rows.has_sorted_indices = False
    indices, data = rows.indices.copy(), rows.data.copy()
    expected = make(X, y, C=1.0, centred=False).rounding(theta)
    assert_allclose(make(rows, y, C=1.0).rounding(theta), expected, rtol=1e-12)
    assert_array_equal(rows.indices, indices)
    assert_array_equal(rows.data, data)


@pytest.mark.parametrize("loss", ["categorical", "binary"])
def test_the_size_of_slopes_is_bounded_by_that_of_columns_and_residuals(loss, problem, rng):
    X, y, _ = problem
    weights = rng.integers(0, 3, len(y)).astype(float)
    objective = make(X, y, loss, weights=weights, centred=False)
    theta = rng.normal(size=objective.layout.size)
    W, b = objective.layout.unpack(theta)
    z = X @ W.T + b
    P = scipy.special.softmax(z, axis=1) if loss == "categorical" else scipy.special.expit(z)
    R = P - np.eye(3)[y]
    square = objective.residual_square(theta)
    assert_allclose(square, np.average((R**2).sum(axis=1), weights=weights))
    assert square <= 2 * objective.value_gradient(theta)[0]
    terms = np.average(np.abs(R)[:, :, None] * np.abs(X)[:, None], axis=0, weights=weights)
    size = np.sqrt(np.average(X**2, axis=0, weights=weights))
    assert (terms <= np.sqrt(square) * size).all()


def test_the_bound_of_what_is_missing_holds_in_all_variables(variables_of, rng):
    _, X, costs = variables_of
    objective = make(X, np.arange(X.shape[0]) % 2, C=10.0, costs=costs)
    theta = rng.normal(size=objective.layout.size) * 1e-3
    base = precondition(objective)
    product = objective.hessian(theta)
    H = np.array([product(e) for e in np.eye(objective.layout.size)])
    for _ in range(5):
        r = H @ rng.normal(size=objective.layout.size)
        assert r @ np.linalg.lstsq(H, r, rcond=None)[0] / 2 <= base.missed(r)


def test_wide_x_whose_squares_overflow_is_refused(rng):
    X = rng.normal(size=(6, 30)) * 1e160
    for given in (X, sp.csr_array(X)):
        with pytest.raises(ValueError, match="squares overflow"):
            precondition(make(given, np.arange(6) % 3, fit_intercept=False))


def test_constant_and_repeated_columns_leave_the_change_of_variables_finite(rng):
    x = rng.normal(size=(50, 1))
    X = np.hstack([x, 2 * x, np.full((50, 1), 7.0), np.zeros((50, 1))])
    objective = make(X, rng.integers(2, size=50), C=np.inf)
    base, zero = precondition(objective), np.zeros(objective.layout.size)
    assert np.isfinite(base.Q).all()
    assert np.isfinite(precondition_classes(base, objective, zero).T).all()
    assert np.isfinite(Jointly(base, objective).at(zero).T).all()


@pytest.mark.parametrize("C", [np.inf, 1e8])
@pytest.mark.parametrize("kind", ["words", "oblique"])
def test_rows_with_little_curvature_stay_if_only_they_move_along_a_direction(kind, C, rng):
    # Most rows of a class that is fitted well have little curvature. Here they alone have a word.
    n, K = 400, 8
    y = np.arange(n) % K
    X = (rng.random((n, K)) < 0.05) * 1.0
    theta_of = 4.0 * (np.arange(K)[:, None] != np.arange(K)) - 4.0
    X[:, 0] = (rng.random(n) < 0.1) & (y > 2)
    if kind == "oblique":
        X = X @ np.linalg.qr(rng.normal(size=(K, K)))[0]
    objective = make(X, y, C=C)
    base = precondition(objective)
    sizes = []
    for seed in range(10):
        start = np.random.default_rng(seed).normal(size=objective.layout.size) * 3
        W, b = objective.layout.unpack(start)
        theta = objective.without_shift(objective.layout.pack(W + theta_of, 3 * b))
        variables = precondition_classes(base, objective, theta)
        sizes.append(np.linalg.eigvalsh(hessian_in(variables, objective, theta))[-1])
    assert max(sizes) < 2 + DEFAULT.little_curvature / DEFAULT.lost_curvature


def test_sample_for_the_whitening_has_rows_with_weight(rng):
    X, y, weights = rng.normal(size=(5000, 2)), np.arange(5000) % 2, np.zeros(5000)
    weights[-20:] = 1
    problem = precondition(make(X, y, weights=weights, costs=replace(DEFAULT, moment_rows=10)))
    assert np.isfinite(problem.Q).all()
    assert_allclose(problem.mean, X[-20:-10].mean(axis=0))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_class_scaling_makes_the_hessian_the_identity_where_rows_have_one_curvature(
    fit_intercept, rng
):
    X = rng.normal(size=(60, 4)) * [1e-3, 1, 10, 1e3]
    X -= X.mean(axis=0)
    objective = make(X, np.arange(60) % 2, C=10.0, fit_intercept=fit_intercept)
    theta = np.zeros(objective.layout.size)
    inner, variables = scale_classes(precondition(objective), objective.mean_curvatures(theta))
    assert_allclose(
        hessian_in(variables, objective, theta), np.eye(objective.layout.size), atol=1e-8
    )
    if fit_intercept:  # all rows have the curvature of the intercept
        theta[-1] = 5.0
        _, variables = scale_classes(inner, objective.mean_curvatures(theta))
        assert_allclose(
            hessian_in(variables, objective, theta), np.eye(objective.layout.size), atol=1e-8
        )


@pytest.mark.parametrize("form", Y_FORMS)
def test_class_scaling_is_a_linear_map_and_its_transpose(form, problem, rng):
    X, y, Y = problem
    objective = make(X, *Y_FORMS[form](y, Y))
    theta = objective.without_shift(rng.normal(size=objective.layout.size))
    _, variables = scale_classes(precondition(objective), objective.mean_curvatures(theta))
    v, g = (
        rng.normal(size=variables.size),
        objective.without_shift(rng.normal(size=objective.layout.size)),
    )
    assert_allclose(variables.gradient(g) @ v, g @ variables.to_user(v), rtol=1e-7)


def test_stored_coefficients_of_any_size_raise_no_warning():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 5)) + [1e10, 1e300, 1e5, 0, 1e-300]
    X[:, 4] = 1e-300 * (1e6 + rng.normal(size=20))
    objective = make(X, np.arange(20) % 3)
    for exponent in (-320, -300, -10, 0, 10, 290, 307):
        theta = rng.normal(size=objective.layout.size) * 10.0**exponent
        for dtype in (np.float64, np.float32):
            with np.errstate(all="raise", under="ignore"):
                stored = objective.stored(theta, dtype)
            assert np.isfinite(stored).all()
            assert stored.dtype == dtype


@pytest.mark.parametrize("loss", ["categorical", "binary"])
def test_curvature_of_rows_that_go_far(loss):
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(40, 3)), (rng.random((40, 2)) < 0.5).astype(float)
    Y = Y if loss == "binary" else np.c_[Y[:, 0], 1 - Y[:, 0]]
    objective = make(X, Y, loss, C=np.inf)
    theta, step = rng.normal(size=(2, objective.layout.size))
    W, b = objective.layout.unpack(theta)
    D, d = objective.layout.unpack(step)
    z, moved = X @ W.T + b, X @ D.T + d
    if loss == "binary":
        p, far = 1 / (1 + np.exp(-z)), np.abs(moved).max(axis=1)
        curved = (p * (1 - p) * moved**2).sum(axis=1)
    else:
        p, far = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), np.ptp(moved, axis=1)
        curved = (p * moved**2).sum(axis=1) - (p * moved).sum(axis=1) ** 2
    farthest = float(np.median(far))
    expected = curved[far > farthest].sum() / 40
    assert_allclose(objective.far_curvature(theta, step, farthest), expected, rtol=1e-10)
    every = objective.far_curvature(theta, step, 0.0)
    assert_allclose(every, step @ objective.hessian(theta)(step), rtol=1e-10)
