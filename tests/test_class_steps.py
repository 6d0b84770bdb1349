"""F along a step with a length for each class: values, slopes, minima, and where it is used."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from objectives import at_costs, make, method_of

from skce._costs import DEFAULT
from skce._problem.class_steps import Lengths, logits_at
from skce._solver.quasi_newton import ClassScaled, ColumnScaled
from skce._solver.run import Look
from skce._solver.variables import scale_columns, scaled, whiten_along_penalty

KINDS = ["labels", "soft", "binary", "weights", "columns", "csr", "no intercept", "single"]
each_kind = pytest.mark.parametrize("kind", KINDS)
with_and_without_scales = pytest.mark.parametrize("scaled", [False, True])


def problem(kind="labels", n=90, p=6, K=4, **costs):
    """An objective, a point and a step."""
    rng, params = np.random.default_rng(3), {}
    X, y = rng.normal(size=(n, p)), rng.integers(K, size=n)
    if kind == "soft":
        y = rng.dirichlet(np.ones(K), n)
    if kind == "binary":
        y, params["loss"] = (rng.random((n, K)) < 0.4).astype(float), "binary"
    if kind == "weights":
        params["weights"] = rng.gamma(0.5, 2, n)
    if kind == "columns":
        params["penalty_weights"] = rng.uniform(0.5, 2, p)
    if kind == "csr":
        X = sp.csr_array(X * (rng.random((n, p)) < 0.5))
    if kind == "no intercept":
        params["fit_intercept"] = False
    if kind == "single":
        X = X.astype(np.float32)
        costs["few_bytes"] = 0
    costs = {
        "worth_lengths": 0,
        "fewest_lengths": 0,
        "block": 64,
        "rows_per_block": (8, 64),
        **costs,
    }
    objective = make(X, y, costs=replace(DEFAULT, **costs), **params)
    theta, step = (
        objective.without_shift(rng.normal(size=objective.layout.size)) for _ in range(2)
    )
    return objective, theta, step


def moved(steps, lengths):
    """The end of a step, in which the lengths may shift all classes."""
    layout = steps.objective.layout
    (W, b), (D, d) = layout.unpack(steps.origin.theta), layout.unpack(steps.step)
    end, intercepts = W + D * lengths[:, :1], b + d * lengths[:, 0]
    if steps.scaled:
        end, intercepts = end + W * lengths[:, 1:2], intercepts + b * lengths[:, 1]
    return layout.pack(end, intercepts + (lengths[:, -1] if layout.fit_intercept else 0))


def in_columns(steps, lengths):
    """The lengths as `value_slopes` takes them."""
    columns = lengths if steps.scaled else (lengths.lengths, lengths.shifts)
    return np.column_stack(columns)[:, : steps.shape[1]]


@with_and_without_scales
@each_kind
def test_values_and_slopes_are_those_of_f(kind, scaled):
    objective, theta, step = problem(kind)
    steps = logits_at(objective, theta).along(step, scaled=scaled)
    assert objective.data.dtype == (np.float32 if kind == "single" else np.float64)
    rtol = 1e-5 if kind == "single" else 1e-10
    rng = np.random.default_rng(5)
    W, _ = objective.layout.unpack(theta)
    for _ in range(3):
        lengths = rng.normal(size=steps.shape)
        value, slopes = steps.value_slopes(lengths)
        expected, gradient = objective.value_gradient(moved(steps, lengths))
        assert_allclose(value + objective.penalty.value(W), expected, rtol=rtol)
        G, g = objective.layout.unpack(gradient)
        for own, along in zip(slopes.T, (step, theta) if scaled else (step,), strict=False):
            D, d = objective.layout.unpack(along)
            assert_allclose(own, (G * D).sum(axis=1) + g * d, rtol=100 * rtol, atol=10 * rtol)
        if objective.layout.fit_intercept:
            assert_allclose(slopes[:, -1], g, rtol=100 * rtol, atol=10 * rtol)
    assert_allclose(steps._slopes(gradient), slopes, rtol=100 * rtol, atol=10 * rtol)


@with_and_without_scales
@each_kind
def test_scales_make_curvatures_one(kind, scaled):
    objective, theta, step = problem(kind, added_to_lengths=0.0)
    steps = logits_at(objective, theta).along(step, scaled=scaled)
    T, product, K = steps._scales(), objective.hessian(theta), objective.layout.n_outputs
    D, d = objective.layout.unpack(step)
    W, b = objective.layout.unpack(theta)
    for k in range(K):
        only = np.arange(K) == k
        along = [objective.layout.pack(D * only[:, None], d * only)]
        if scaled:
            along.append(objective.layout.pack(W * only[:, None], b * only))
        if objective.layout.fit_intercept:
            along.append(objective.layout.pack(0 * D, 1.0 * only))
        A = np.array(along)
        H = A @ np.array([product(a) for a in A]).T
        assert_allclose(T[k].T @ H @ T[k], np.eye(len(A)), atol=1e-4 if kind == "single" else 1e-8)


@with_and_without_scales
@each_kind
def test_lengths_are_near_the_minimum(kind, scaled):
    objective, theta, step = problem(kind, length_values=200, length_tries=20, length_gain=-1.0)
    value, gradient = objective.value_gradient(theta)
    step = -gradient if gradient @ step > 0 else step
    steps = logits_at(objective, theta).along(step, scaled=scaled)
    lengths = steps.minimum(value, gradient)
    own = in_columns(steps, lengths)
    lowest, slopes = steps.value_slopes(own)
    assert lowest < steps.value_slopes(np.zeros(steps.shape))[0]
    before = steps.value_slopes(np.zeros(steps.shape))[1]
    assert np.abs(slopes).max() < 1e-2 * np.abs(before).max()
    end = theta + steps.of(lengths)
    assert objective.value_gradient(end)[0] < value
    expected = theta + objective.without_shift(moved(steps, own) - theta)
    assert_allclose(end, expected, rtol=1e-9, atol=1e-12)


def test_the_search_goes_on_as_long_as_f_falls_by_much():
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(5, 20))
    y = rng.integers(5, size=300)
    X = centres[y] + rng.normal(size=(300, 20))
    costs = {"worth_lengths": 0, "fewest_lengths": 0}
    lowest = []
    for most in (3, DEFAULT.length_values):
        objective = make(X, y, C=1e4, costs=replace(DEFAULT, length_values=most, **costs))
        theta = np.zeros(objective.layout.size)
        value, gradient = objective.value_gradient(theta)
        steps = logits_at(objective, theta).along(-gradient)
        end = theta + steps.of(steps.minimum(value, gradient))
        lowest.append(objective.value_gradient(end)[0])
    assert lowest[1] < 0.5 * lowest[0]


@each_kind
def test_the_point_itself_needs_no_product(kind):
    objective, theta, _ = problem(kind)
    steps, expected = logits_at(objective, theta).along_itself(), logits_at(objective, theta)
    lengths = np.random.default_rng(0).normal(size=steps.shape)
    for own, same in zip(
        steps.value_slopes(lengths), expected.along(theta).value_slopes(lengths), strict=True
    ):
        assert_allclose(own, same, rtol=1e-12)
    value, gradient = objective.value_gradient(theta)
    known, found = steps.minimum(value, gradient), steps.minimum()
    rtol = 1e-2 if kind == "single" else 1e-8
    assert_allclose(np.array(found), np.array(known), rtol=rtol, atol=rtol / 10)
    assert objective.value_gradient(theta + steps.of(found))[0] < value


def test_no_lengths_if_the_slopes_promise_too_little():
    objective, theta, _ = problem()
    steps = logits_at(objective, theta).along_itself()
    assert steps.minimum(negligible=0.01) is not None
    assert steps.minimum(negligible=10.0) is None


@with_and_without_scales
@each_kind
def test_kept_logits_give_the_value_and_the_gradient(kind, scaled):
    objective, theta, step = problem(kind)
    logits = logits_at(objective, theta)
    rtol = 1e-4 if kind == "single" else 1e-10
    for own, expected in zip(logits.value_gradient(), objective.value_gradient(theta), strict=True):
        assert_allclose(own, expected, rtol=1e-12)
    assert_allclose(logits.mean_curvatures(), objective.mean_curvatures(theta), rtol=1e-5)
    parts = np.random.default_rng(0).normal(size=(3, objective.layout.n_outputs))
    lengths = Lengths(parts[0], scaled * parts[1], objective.layout.fit_intercept * parts[2])
    steps = logits.along(step, scaled=scaled)
    end = objective.without_shift(theta + steps.of(lengths))
    after = steps.after(lengths, end)
    for own, expected in zip(after.value_gradient(), objective.value_gradient(end), strict=True):
        assert_allclose(own, expected, rtol=rtol, atol=rtol / 10)
    for block in after.data._kept.values():  # they can be scaled again
        assert kind == "binary" or np.abs(block.mean(axis=0)).max() < 1e-5


def test_a_sample_has_the_slopes_of_all_rows():
    objective, theta, _ = problem(n=2000, kept_logits=3 * 4 * 8 * 500, few_bytes=0)
    logits = logits_at(objective, theta)
    assert logits.share == 1 / 4
    value, gradient = objective.value_gradient(theta)
    steps = logits.along(-gradient)
    lengths = steps.minimum(value, gradient)
    end = theta + steps.of(lengths)
    assert objective.value_gradient(end)[0] < value
    # At the minimum of all rows the slopes are zero, though those of the sample are not.
    theta = objective.without_shift(theta)
    for _ in range(60):
        value, gradient = objective.value_gradient(theta)
        steps = logits_at(objective, theta).along(-gradient)
        lengths = steps.minimum(value, gradient)
        if lengths is None:
            break
        theta = theta + steps.of(lengths)
    assert np.linalg.norm(objective.value_gradient(theta)[1]) < 1e-3


def test_many_rows_are_sampled():
    objective, theta, _ = problem(n=2000)
    assert logits_at(objective, theta).share == 1
    for n, share in [(1600, 0.5), (2000, 0.4)]:
        objective, theta, _ = problem(n=n)
        objective.data.in_memory = False
        assert logits_at(objective, theta).share == share
    objective, theta, _ = problem(n=2000, kept_logits=500 * 6 * 8, part_of_rows=10**9)
    assert logits_at(objective, theta).share == 1 / 8


def test_no_lengths_on_another_device():
    objective, theta, _ = problem()
    objective.data.on_device = True
    assert logits_at(objective, theta) is None


@pytest.mark.parametrize(
    "costs",
    [{"kept_logits": 100, "part_of_rows": 10**9}, {"worth_lengths": 7}, {"fewest_lengths": 5}],
    ids=["memory", "few columns", "few classes"],
)
def test_no_logits_are_kept_if_that_is_too_dear(costs):
    objective, theta, _ = problem(**costs)
    assert logits_at(objective, theta) is None


def test_no_lengths_if_nothing_is_lower():
    objective, theta, step = problem()
    steps = logits_at(objective, theta).along(0 * step)
    assert steps.minimum(1.0, np.zeros_like(theta)) is None
    steps = logits_at(objective, theta).along(np.full_like(step, 1e300))
    value, gradient = objective.value_gradient(theta)
    assert steps.minimum(value, gradient) is None


@pytest.mark.parametrize("kind", ["labels", "no intercept", "columns", "binary", "csr"])
def test_steps_are_the_same_in_the_own_variables(kind):
    objective, theta, _ = problem(kind, n=300)
    rng = np.random.default_rng(1)
    if kind == "csr":
        base = scale_columns(objective)
        method = method_of(ColumnScaled, objective, base)
    else:
        base = whiten_along_penalty(objective)
        method = method_of(ClassScaled, objective, base, scaled(base, rng.uniform(0.05, 0.2, 4)))
    known = base.axes is not None
    assert known is (kind not in ("columns", "csr"))
    own = rng.normal(size=method.size)
    look = Look(step=method.variables.to_user(own), own=own)
    lengths = Lengths(
        rng.normal(size=4),
        known * rng.normal(size=4),
        objective.layout.fit_intercept * rng.normal(size=4),
    )
    steps = logits_at(objective, theta).along(look.step, scaled=known)
    found = method.variables.to_user(method.own_step(theta, look, lengths))
    assert_allclose(found, steps.of(lengths), rtol=1e-9, atol=1e-12)
    if known:
        assert_allclose(base.to_user(base.from_user(theta)), theta, rtol=1e-9, atol=1e-12)


def test_sparse_rows_are_all_kept_also_with_few_classes():
    objective, theta, _ = problem("csr", n=5000, fewest_lengths=5)
    assert logits_at(objective, theta).share == 1
    objective, theta, _ = problem("csr", n=5000, kept_logits=3 * 4 * 8 * 2000)
    assert logits_at(objective, theta).share == 0.4
    nearly = int(objective.data.work_per_logit * objective.costs.sparse_time)
    objective, theta, _ = problem("csr", n=5000, worth_lengths=nearly)
    assert logits_at(objective, theta) is not None
    objective, theta, _ = problem("csr", n=5000, worth_lengths=nearly + 1)
    assert logits_at(objective, theta) is None


def test_a_whole_step_is_taken_if_lengths_gain_little(monkeypatch):
    objective, theta, _ = problem(length_values=1)
    value, gradient = objective.value_gradient(theta)
    hessian = objective.hessian(theta)
    step = -gradient * (gradient @ gradient) / (gradient @ hessian(gradient))
    steps = logits_at(objective, theta).along(step)
    monkeypatch.setattr(steps, "_scales", lambda: 1e9 * np.tile(np.eye(2), (4, 1, 1)))
    lengths = steps.minimum(value, gradient)
    assert_allclose(lengths.lengths, 1)
    assert_allclose(lengths.shifts, 0)


def test_an_offset_is_added_to_kept_logits():
    rng = np.random.default_rng(0)
    X, y, offset = rng.normal(size=(300, 8)), rng.integers(3, size=300), rng.normal(size=(300, 3))
    small = {"class_bytes": 0, "joint_size": 0}
    found = [
        at_costs(**small, worth_lengths=worth, fewest_lengths=0)(tol=1e-8).fit(X, y, offset=offset)
        for worth in (0, 10**9)
    ]
    assert_allclose(found[0].coef_, found[1].coef_, atol=1e-4)
