"""skce.metrics: the numbers of scikit-learn for labels, and of PyTorch for probabilities."""

import os
import subprocess
import sys
import tracemalloc

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn.metrics
from numpy.testing import assert_allclose, assert_array_equal
from objectives import make
from scipy.special import softmax
from sklearn.svm import LinearSVC

import skce
from skce.metrics import (
    d2_log_loss_score,
    entropy,
    kl_divergence,
    log_loss,
    log_loss_decomposition,
    log_loss_from_logits,
    log_loss_gradient,
    log_loss_gradient_from_logits,
    log_loss_samples,
    log_loss_samples_from_logits,
)

# PyTorch 2.13.0, in float64: cross_entropy and binary_cross_entropy_with_logits of these logits
# against these targets, and their gradients by autograd.
LOGITS = np.array([[2.0, 4.0, 0.5], [-1.0, 0.25, 3.0], [0.1, -0.2, 0.3], [5.0, -7.0, 1.5]])
TARGETS = np.array([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0], [1 / 3, 1 / 3, 1 / 3]])
TORCH = np.array([1.9031782071222882, 2.4540362014040995, 0.8859393176684558, 5.196423049033285])
LABELS = np.array([1, 2, 0, 0])
CLASS_WEIGHT = {0: 1.0, 1: 2.0, 2: 0.5}
OUTPUTS = np.array([[1.0, 0, 1], [0, 0, 0.3], [1, 1, 0], [0.5, 0.2, 1]])
TORCH_LABELS = 0.3369775271403655
TORCH_LABELS_WEIGHTED_SUM = 1.4615702149817005
TORCH_LABELS_WEIGHTED_SMOOTHED = 0.6198524532183038
TORCH_TARGETS_WEIGHTED_SMOOTHED_SUM = 14.677686484043733
TORCH_TARGETS_WEIGHTED_SMOOTHED_SUM_GRADIENT = [
    [-0.5296080942336141, 0.5614366268840734, -0.03182853265045925],
    [-0.23541572961509413, -0.8866763699268091, 1.1220920995419033],
    [0.15796457141927264, 0.07505030675229961, -0.23301487817157227],
    [0.7991289766582774, -0.6666597085777519, -0.13246926808052548],
]
TORCH_OUTPUTS = 1.1927395207467526
TORCH_OUTPUTS_GRADIENT = [
    [-0.00993357683517647, 0.08183448250315904, -0.03146172239984545],
    [0.02241178511416626, 0.04684804174048317, 0.05438117723520278],
    [-0.03958506771008833, -0.04581949977603982, 0.04787020973430492],
    [0.04110892908964294, -0.01659074573379994, -0.01520212698386303],
]
TORCH_BCE = 1.6985493225763477  # binary_cross_entropy of softmax(LOGITS) against OUTPUTS
WORKED = [2.153178, 0.153178, 3.653178]  # logits (2, 4, 0.5), for each label

# y, loss and options: every kind of target.
CASES = {
    "labels": (LABELS, {}),
    "labels, weighted and smoothed": (
        LABELS,
        {"class_weight": CLASS_WEIGHT, "label_smoothing": 0.1},
    ),
    "labels, balanced": (LABELS, {"class_weight": "balanced"}),
    "labels, one against the rest": (LABELS, {"loss": "binary", "class_weight": CLASS_WEIGHT}),
    "one-hot": (np.eye(3)[LABELS], {}),
    "distributions": (TARGETS, {}),
    "distributions, weighted and smoothed": (
        TARGETS,
        {"class_weight": CLASS_WEIGHT, "label_smoothing": 0.1},
    ),
    "outputs": (OUTPUTS, {"loss": "binary"}),
    "outputs, weighted and smoothed": (
        OUTPUTS,
        {"loss": "binary", "class_weight": CLASS_WEIGHT, "label_smoothing": 0.2},
    ),
    "outputs, balanced": (OUTPUTS, {"loss": "binary", "class_weight": "balanced"}),
}
ONE_COLUMN = {
    "labels": (np.array(["a", "b", "b", "a"]), {}),
    "labels, weighted and smoothed": (
        np.array(["a", "b", "b", "a"]),
        {"class_weight": {"a": 3, "b": 0.5}, "label_smoothing": 0.1},
    ),
    "probabilities": (np.array([0.2, 0.9, 1.0, 0.0]), {}),
    "probabilities, binary": (np.array([0.2, 0.9, 1.0, 0.0]), {"loss": "binary"}),
}


@pytest.fixture
def proba():
    e = np.exp(LOGITS)
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("y", "p", "options"),
    [
        ([0, 1, 1], [0.2, 0.7, 1.0], {}),
        ([0, 1, 1], [[0.2], [0.7], [1.0]], {}),
        ([True, False], [0.2, 0.7], {}),
        (["b", "a", "b"], [[0.2, 0.8], [0.7, 0.3], [1.0, 0.0]], {}),
        ([0, 1, 2], np.eye(3) * 0.4 + 0.2, {"sample_weight": [1, 2, 3]}),
        ([0, 1, 2], np.eye(3) * 0.4 + 0.2, {"normalize": False}),
        ([0, 1, 2], np.eye(3, dtype=np.float32) * 0.4 + 0.2, {}),
        ([1, 1], [[0.2, 0.8], [0.7, 0.3]], {"labels": [0, 1]}),
        ([[1, 0], [0, 1], [1, 0]], [[0.2, 0.8], [0.7, 0.3], [1.0, 0.0]], {}),
        ([[1, 0, 1], [0, 1, 0]], [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], {}),
    ],
)
def test_labels_give_scikit_learns_number(y, p, options):
    rtol = 1e-6 if np.asarray(p).dtype == np.float32 else 1e-14
    want = sklearn.metrics.log_loss(y, p, **options)
    assert_allclose(log_loss(y, p, **options), want, rtol=rtol, atol=1e-15)
    if "normalize" not in options and np.ndim(y) == 1:
        want = sklearn.metrics.d2_log_loss_score(y, p, **options)
        assert_allclose(d2_log_loss_score(y, p, **options), want, rtol=rtol * 100)


def test_many_rows_give_scikit_learns_number(rng):
    # Several blocks, and several threads.
    p = rng.dirichlet(np.ones(7), size=40_000)
    y, w = rng.integers(0, 7, len(p)), rng.random(len(p))
    want = sklearn.metrics.log_loss(y, p, sample_weight=w)
    assert_allclose(log_loss(y, p, sample_weight=w), want, rtol=1e-13)
    assert_allclose(log_loss_samples(y, p), -np.log(p[np.arange(len(p)), y]), rtol=1e-15)
    Y = rng.dirichlet(np.ones(7), size=len(p))
    assert_allclose(log_loss(Y, p), -(Y * np.log(p)).sum(axis=1).mean(), rtol=1e-13)


def test_labels_give_scikit_learns_errors_and_warnings():
    with pytest.raises(ValueError, match="y_true contains only one label"):
        log_loss([1, 1], [0.2, 0.8])
    with pytest.warns(UserWarning, match="The y_prob values do not sum to one"):
        log_loss([0, 1], [[0.2, 0.2], [0.5, 0.5]])
    with pytest.raises(ValueError, match="'y_true' parameter of log_loss must be an array-like"):
        log_loss(sp.csr_array(np.eye(3)), np.eye(3))


def test_targets_give_torchs_number(proba):
    assert_allclose(log_loss_samples(TARGETS, proba), TORCH, rtol=1e-14)
    assert_allclose(log_loss_samples_from_logits(TARGETS, LOGITS), TORCH, rtol=1e-14)
    assert_allclose(log_loss(TARGETS, proba), TORCH.mean(), rtol=1e-14)
    assert_allclose(log_loss(TARGETS, proba, normalize=False), TORCH.sum(), rtol=1e-14)
    weights = np.array([1.0, 2, 0, 5])
    want = weights @ TORCH
    assert_allclose(log_loss(TARGETS, proba, sample_weight=weights), want / 8, rtol=1e-14)
    got = log_loss(TARGETS, proba, sample_weight=weights, normalize=False)
    assert_allclose(got, want, rtol=1e-14)
    for frame in (pd.DataFrame(TARGETS, columns=list("abc")), pl.DataFrame(TARGETS)):
        assert_allclose(log_loss(frame, proba), TORCH.mean(), rtol=1e-14)


def test_labels_outputs_weights_and_smoothing_give_torchs_number(proba):
    both = {"class_weight": CLASS_WEIGHT, "label_smoothing": 0.1}
    for function, x in ((log_loss, proba), (log_loss_from_logits, LOGITS)):
        assert_allclose(function(LABELS, x), TORCH_LABELS, rtol=1e-14)
        got = function(LABELS, x, class_weight=CLASS_WEIGHT, normalize=False)
        assert_allclose(got, TORCH_LABELS_WEIGHTED_SUM, rtol=1e-14)
        assert_allclose(function(LABELS, x, **both), TORCH_LABELS_WEIGHTED_SMOOTHED, rtol=1e-14)
        got = function(TARGETS, x, **both, normalize=False)
        assert_allclose(got, TORCH_TARGETS_WEIGHTED_SMOOTHED_SUM, rtol=1e-14)
    got = log_loss_from_logits(OUTPUTS, LOGITS, loss="binary")
    assert_allclose(got, TORCH_OUTPUTS, rtol=1e-14)
    assert_allclose(log_loss(OUTPUTS, proba, loss="binary"), TORCH_BCE, rtol=1e-12)


def test_gradients_are_those_of_autograd():
    both = {"class_weight": CLASS_WEIGHT, "label_smoothing": 0.1}
    got = log_loss_gradient_from_logits(TARGETS, LOGITS, **both)
    assert_allclose(got, TORCH_TARGETS_WEIGHTED_SMOOTHED_SUM_GRADIENT, rtol=1e-12)
    got = log_loss_gradient_from_logits(OUTPUTS, LOGITS, loss="binary") / 4
    assert_allclose(got, TORCH_OUTPUTS_GRADIENT, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("logits", [False, True])
def test_gradients_are_central_differences(name, logits, proba):
    y, options = CASES[name]
    check_gradient(y, options, LOGITS if logits else proba, logits)


@pytest.mark.parametrize("name", ONE_COLUMN)
@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_gradients_in_one_column_are_central_differences(name, logits, shape, proba):
    y, options = ONE_COLUMN[name]
    x = (LOGITS if logits else proba)[:, 0].reshape(shape)
    if options.get("loss") == "binary" and len(shape) == 2:
        y = y.reshape(shape[0])
    check_gradient(y, options, x, logits)


def check_gradient(y, options, x, logits):
    function, slope = (
        (log_loss_samples_from_logits, log_loss_gradient_from_logits)
        if logits
        else (log_loss_samples, log_loss_gradient)
    )
    got = slope(y, x, **options)
    assert got.shape == x.shape
    h = 1e-4 * np.minimum(1, np.abs(x) if logits else np.minimum(x, 1 - x))
    for k in range(x[0].size):
        step = np.zeros_like(x)
        step.reshape(len(x), -1)[:, k] = h.reshape(len(x), -1)[:, k]
        with pytest.MonkeyPatch.context() as patch:
            # A single probability changes, so that its row does not sum to one.
            patch.setattr("skce.metrics._terms.Probabilities.finish", lambda self: None)
            high, low = function(y, x + step, **options), function(y, x - step, **options)
        want = (high - low) / (2 * step.reshape(len(x), -1)[:, k])
        assert_allclose(got.reshape(len(x), -1)[:, k], want, rtol=3e-6, atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"class_weight": CLASS_WEIGHT, "label_smoothing": 0.1}])
def test_one_hot_equals_labels_exactly(options, proba):
    one_hot, w = np.eye(3)[LABELS], [1.0, 2, 3, 0.5]
    for function, x in (
        (log_loss, proba),
        (log_loss_from_logits, LOGITS),
    ):
        options_of_mean = {**options, "sample_weight": w}
        assert function(one_hot, x, **options_of_mean) == pytest.approx(
            function(LABELS, x, **options_of_mean), rel=2e-16
        )
    for function, x in (
        (log_loss_samples, proba),
        (log_loss_gradient, proba),
        (log_loss_samples_from_logits, LOGITS),
        (log_loss_gradient_from_logits, LOGITS),
    ):
        want = function(LABELS, x, **options)
        rtol = 0 if not options else 1e-15
        assert_allclose(function(one_hot, x, **options), want, rtol=rtol)
        assert_allclose(function(one_hot.astype(int), x, **options), want, rtol=rtol)
    if not options:
        assert kl_divergence(one_hot, proba) == log_loss(LABELS, proba)
        assert d2_log_loss_score(one_hot, proba) == d2_log_loss_score(LABELS, proba)


def test_class_weights_on_labels_are_sample_weights(proba):
    w = np.array([CLASS_WEIGHT[k] for k in LABELS])
    want = log_loss(LABELS, proba, sample_weight=w)
    assert_allclose(log_loss(LABELS, proba, class_weight=CLASS_WEIGHT), want, rtol=1e-15)
    w = sklearn.utils.class_weight.compute_sample_weight("balanced", LABELS)
    want = log_loss(LABELS, proba, sample_weight=w)
    assert_allclose(log_loss(LABELS, proba, class_weight="balanced"), want, rtol=1e-15)
    repeated = np.repeat(np.arange(4), [1, 3, 2, 1])
    want = log_loss(LABELS[repeated], proba[repeated], class_weight="balanced")
    got = log_loss(LABELS, proba, class_weight="balanced", sample_weight=[1, 3, 2, 1])
    assert_allclose(got, want, rtol=1e-14)
    named = pd.DataFrame(TARGETS, columns=["x", "y", "z"])
    weights = dict(zip("xyz", CLASS_WEIGHT.values(), strict=True))
    want = log_loss(TARGETS, proba, class_weight=CLASS_WEIGHT)
    assert log_loss(named, proba, class_weight=weights) == want


@pytest.mark.parametrize("name", CASES)
def test_cross_entropy_is_entropy_and_divergence(name, proba):
    y, options = CASES[name]
    options = {"loss": options.get("loss", "categorical"), "sample_weight": [1, 2, 3, 4.0]}
    if np.ndim(y) == 1 and options["loss"] == "binary":
        y = np.eye(3)[y]
    total = log_loss(y, proba, **options)
    parts = entropy(y, **options) + kl_divergence(y, proba, **options)
    assert_allclose(parts, total, rtol=1e-15)
    assert log_loss(y, proba, **options) >= entropy(y, **options)


def test_loss_is_never_less_than_entropy(rng):
    for K in (2, 3, 10):
        t = rng.dirichlet(np.full(K, 0.3), size=500)
        p = rng.dirichlet(np.full(K, 0.3), size=500)
        for q in (p, t, (t + 1e-9 * p) / (1 + 1e-9)):
            q = np.clip(q, 1e-12, None)
            q /= q.sum(axis=1, keepdims=True)
            assert_allclose(entropy(t) + kl_divergence(t, q), log_loss(t, q), rtol=1e-15)
        assert log_loss(t, t) == entropy(t)
        for row, q in zip(t, p, strict=True):
            assert log_loss(row[None], q[None]) - entropy(row[None]) >= 0
        assert_allclose(kl_divergence(t, t), 0, atol=1e-17)
    assert_allclose(entropy(t), scipy_entropy(t), rtol=1e-14)


def scipy_entropy(t):
    from scipy.stats import entropy

    return entropy(t, axis=1).mean()


@pytest.mark.parametrize("scale", [1, 30, 1e3, 1e5])
def test_logits_are_exact_to_50_digits(scale, rng):
    z = rng.uniform(-scale, scale, (30, 4))
    t = rng.dirichlet(np.ones(4), size=30)
    y = rng.integers(0, 4, 30)
    hard, soft, softplus = [], [], []
    with mpmath.workdps(50):
        for row, mass, k in zip(z, t, y, strict=True):
            row = [mpmath.mpf(float(v)) for v in row]
            top = max(row)
            others = mpmath.fsum(mpmath.exp(v - top) for v in row if v != top)
            losses = [top - v + mpmath.log1p(others) for v in row]
            hard.append(float(losses[k]))
            soft.append(float(mpmath.fdot([mpmath.mpf(float(a)) for a in mass], losses)))
            softplus.append([float(mpmath.log1p(mpmath.exp(-v))) for v in row])
    assert_allclose(log_loss_samples_from_logits(y, z, labels=range(4)), hard, rtol=1e-14)
    assert_allclose(log_loss_samples_from_logits(t, z), soft, rtol=1e-14)
    got = log_loss_samples_from_logits(np.ones((30, 4)), z, loss="binary")
    assert_allclose(got, np.mean(softplus, axis=1), rtol=1e-14, atol=1e-320)


def test_bounds():
    for K in (2, 3, 100):
        assert log_loss(np.arange(K), np.eye(K)) == 0
        assert log_loss(np.eye(K), np.eye(K)) == 0
        assert_allclose(log_loss(np.arange(K), np.full((K, K), 1 / K)), np.log(K), rtol=1e-14)
        assert_allclose(entropy(np.full((2, K), 1 / K)), np.log(K), rtol=1e-14)
        assert entropy(np.eye(K)) == entropy(np.zeros(K)) == 0
        assert d2_log_loss_score(np.arange(K), np.eye(K)) == 1
        wrong = np.roll(np.eye(K), 1, axis=1)
        assert_allclose(log_loss(np.arange(K), wrong), -np.log(np.finfo(float).eps))
        assert log_loss(np.arange(K), wrong, clip=False) == np.inf
        assert log_loss(np.eye(K), wrong, clip=False) == np.inf
        assert log_loss(np.eye(K), np.eye(K), clip=False) == 0
        assert kl_divergence(np.eye(K), wrong, clip=False) == np.inf
    p = np.array([[0.25, 0.75]] * 4)
    assert_allclose(d2_log_loss_score([0, 1, 1, 1], p), 0, atol=1e-15)


def test_zero_mass_times_log_of_zero_is_zero_and_other_zeros_are_clipped():
    assert log_loss([[0.5, 0.5, 0.0]], [[0.5, 0.5, 0.0]]) == pytest.approx(np.log(2))
    assert log_loss([[0.5, 0.5, 0.0]], [[0.5, 0.5, 0.0]], clip=False) == pytest.approx(np.log(2))
    for dtype in (np.float16, np.float32, np.float64):
        eps = float(np.finfo(dtype).eps)
        p = np.array([[1.0, 0.0]], dtype=dtype)
        assert log_loss([[0.5, 0.5]], p) == pytest.approx(-np.log(eps) / 2, rel=1e-6)
        tiny = np.array([[1.0, np.finfo(dtype).smallest_subnormal]], dtype=dtype)
        assert log_loss([[0.5, 0.5]], tiny) == pytest.approx(-np.log(eps) / 2, rel=1e-6)
        want = -np.log(float(tiny[0, 1])) / 2
        assert log_loss([[0.5, 0.5]], tiny, clip=False) == pytest.approx(want, rel=1e-6)
        assert np.isfinite(log_loss_gradient([[0.5, 0.5]], p)).all()
        assert log_loss(tiny, p) == pytest.approx(0, abs=1e-2)
        assert entropy(tiny) == pytest.approx(0, abs=1e-5)
    assert_array_equal(log_loss_gradient([0], [[1.0, 0.0]], labels=[0, 1]), [[-1.0, 0.0]])
    assert log_loss_gradient([1], [[1.0, 0.0]], labels=[0, 1], clip=False)[0, 1] == -np.inf


def test_worked_example_of_three_logits(proba):
    for label, want in enumerate(WORKED):
        assert_allclose(log_loss([label], proba[:1], labels=[0, 1, 2]), want, atol=5e-7)
        got = log_loss_from_logits([label], LOGITS[:1], labels=[0, 1, 2])
        assert_allclose(got, want, atol=5e-7)


def test_one_column_stands_for_the_second_class(proba):
    p, z = proba[:, 0], LOGITS[:, 0]
    two_p, two_z = np.column_stack([1 - p, p]), np.column_stack([np.zeros(4), z])
    for y, options in ONE_COLUMN.values():
        for loss in ("categorical", "binary"):
            options = {**options, "loss": loss}
            got = log_loss_samples(y, p, **options)
            categorical = {**options, "loss": "categorical"}
            assert_allclose(got, log_loss_samples(y, two_p, **categorical), rtol=1e-14)
            got = log_loss_samples_from_logits(y, z, **options)
            want = log_loss_samples_from_logits(y, two_z, **categorical)
            assert_allclose(got, want, rtol=1e-14)


def test_rows_of_targets_are_renormalised(proba):
    assert_allclose(log_loss(TARGETS * 0.99995, proba), TORCH.mean(), rtol=1e-13)
    want = entropy(TARGETS) + kl_divergence(TARGETS, proba)
    got = entropy(TARGETS * 0.99995) + kl_divergence(TARGETS * 0.99995, proba)
    assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([[0.5, 0.5], [0.5, 0.6]], [[0.5, 0.5]] * 2, "Row 1 of y_true sums to 1.1"),
        ([[0.5, 0.5], [-0.5, 1.5]], [[0.5, 0.5]] * 2, "Row 1 of y_true holds -0.5"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5], [0.5, 1.6]], "Row 1 of y_proba holds 1.6"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5], [0.5, -0.5]], "Row 1 of y_proba holds -0.5"),
        ([0, 1], [0.5, -0.5], "lower than 0: -0.5. Row 1 of y_proba holds -0.5"),
        ([0.5, 1.5], [0.5, 0.5], "row 1 of y_true is 1.5"),
        ([[0.5, 0.5]] * 2, [[0.4, 0.3, 0.3]] * 2, r"shape \(2, 2\).*\(2, 3\)"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5]] * 3, r"inconsistent numbers of samples: \[3, 2\]"),
        ([[0.5, 0.5], [np.nan, 1.0]], [[0.5, 0.5]] * 2, "(?s)NaN.*y_true is row 1"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5], [np.nan, 1.0]], "(?s)NaN.*y_proba is row 1"),
        ([0, 1, 2], [[0.5, 0.5]] * 3, "different number of classes: 3 vs 2"),
    ],
)
def test_bad_input_is_named(y, p, message):
    for form in (list, np.array):
        for function in (log_loss, log_loss_samples, log_loss_gradient):
            with pytest.raises(ValueError, match=message):
                function(form(y), form(p))


def test_other_bad_input_is_named(proba):
    with pytest.raises(ValueError, match=r"(?s)NaN.*logits is row 1"):
        log_loss_from_logits([0, 1], [0.0, np.nan])
    with pytest.raises(ValueError, match=r"Row 1 of y_true holds 1\.5"):
        log_loss([[0, 1.0], [0.5, 1.5]], [[0.5, 0.5]] * 2, loss="binary")
    with pytest.raises(ValueError, match="sample_weight must not be negative, but row 2"):
        log_loss(LABELS, proba, sample_weight=[1, 1, -1, 1])
    with pytest.raises(ValueError, match="'loss' parameter of log_loss must be a str among"):
        log_loss(LABELS, proba, loss="hinge")
    with pytest.raises(ValueError, match="labels must name the 3 columns"):
        log_loss(TARGETS, proba, labels=[0, 1])
    with pytest.raises(ValueError, match=r"isotonic.*two classes, but there are 3"):
        log_loss_decomposition(LABELS, proba, method="isotonic")


BY_NAME = {
    "log_loss": log_loss,
    "logits": lambda y, p, **options: log_loss_from_logits(y, logarithms(p), **options),
    "samples": lambda y, p, **options: log_loss_samples(y, p, **options).sum(),
    "gradient": lambda y, p, **options: np.square(log_loss_gradient(y, p, **options)).sum(),
    "divergence": kl_divergence,
    "d2": d2_log_loss_score,
    "decomposition": lambda y, p, **options: log_loss_decomposition(y, p, **options).refinement,
    "binary": lambda y, p, **options: log_loss(y, p, loss="binary", **options),
    "weighted": lambda y, p, **options: log_loss(
        y, p, class_weight={"b": 3.0}, label_smoothing=0.1, **options
    ),
}
NO_WEIGHTS_BY_NAME = {"weighted"}


def logarithms(p):
    return np.log(p)


@pytest.mark.parametrize("name", BY_NAME)
def test_columns_are_matched_by_name(name, proba):
    metric = BY_NAME[name]
    targets = pd.DataFrame(TARGETS, columns=[*"abc"])
    predicted = pd.DataFrame(proba, columns=[*"abc"])
    want = metric(targets, proba)
    for order in ([*"abc"], [*"cab"], [*"bac"]):
        in_order = predicted[order].to_numpy()
        assert_allclose(metric(targets, in_order, labels=order), want, rtol=1e-12)
        assert_allclose(metric(targets, predicted[order]), want, rtol=1e-12)
        assert_allclose(metric(targets, predicted[order], labels=[*"abc"]), want, rtol=1e-12)
        if name not in NO_WEIGHTS_BY_NAME:
            got = metric(targets[order].to_numpy(), in_order, labels=order)
            assert_allclose(got, want, rtol=1e-12)
            got = metric(targets[order].to_numpy(), predicted, labels=order)
            assert_allclose(got, want, rtol=1e-12)
        for other in ([*"abc"], [*"bca"]):
            assert_allclose(metric(targets[other], predicted[order]), want, rtol=1e-12)
            got = metric(targets[other], in_order, labels=order)
            assert_allclose(got, want, rtol=1e-12)
        if name != "binary":  # predictions without names have sorted names
            assert_allclose(metric(targets[order], proba), want, rtol=1e-12)
        else:
            assert_allclose(metric(targets[order], in_order), want, rtol=1e-12)
    with pytest.raises(
        ValueError, match=r"columns of y_true are \['a', 'b', 'c'\], but labels are"
    ):
        metric(targets, proba, labels=[*"abd"])


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "divergence"])
def test_labels_name_the_columns_that_they_are_given_for(name, proba):
    metric, y = BY_NAME[name], np.array([*"abc"])[LABELS]
    predicted = pd.DataFrame(proba, columns=[*"abc"])
    want = metric(y, proba)
    for order in ([*"cab"], [*"bac"]):
        with pytest.warns(UserWarning, match=r"Labels passed were .* here the columns of y_proba"):
            got = metric(y, predicted[order].to_numpy(), labels=order)
        assert_allclose(got, want, rtol=1e-12)
        assert_allclose(metric(y, predicted[order]), want, rtol=1e-12)
        assert_allclose(metric(y, predicted[order], labels=[*"abc"]), want, rtol=1e-12)


def test_names_that_are_not_the_classes_are_not_matched(proba):
    want = log_loss(LABELS, proba)
    for names in ([2, 1, 3], ["p", "q", "r"], [0, 1, 2]):
        assert log_loss(LABELS, pd.DataFrame(proba, columns=names)) == want
    other = pd.DataFrame(proba[:, [2, 0, 1]], columns=[2, 0, 1])
    assert log_loss(LABELS, other) == want
    assert log_loss(TARGETS, other) == log_loss(TARGETS, proba[:, [2, 0, 1]])


def test_labels_of_one_probability_name_its_class_in_their_order():
    y, p = [0.2, 0.9, 0.5], [0.3, 0.8, 0.6]
    both = np.column_stack([np.subtract(1, p), p])
    for labels, weights in ((["no", "yes"], {"yes": 3.0}), (["yes", "no"], {"no": 3.0})):
        want = log_loss(np.column_stack([np.subtract(1, y), y]), both, class_weight={1: 3.0})
        assert_allclose(log_loss(y, p, labels=labels, class_weight=weights), want)
    swapped = pd.DataFrame(both[:, ::-1], columns=["yes", "no"])
    assert_allclose(log_loss(y, swapped, labels=["no", "yes"]), log_loss(y, p))


def test_predictions_that_do_not_sum_to_one_warn():
    for function in (log_loss, log_loss_samples, kl_divergence):
        with pytest.warns(UserWarning, match="y_prob values do not sum to one") as caught:
            function([[0.5, 0.5]], [[0.5, 0.6]])
        assert caught[0].filename == __file__
    log_loss([[0.5, 0.5]], [[0.5, 0.6]], loss="binary")


def test_no_temporary_is_as_large_as_the_predictions(rng):
    p = rng.dirichlet(np.ones(100), size=30_000)
    for y in (rng.integers(0, 100, len(p)), p):
        log_loss(y, p)
        tracemalloc.start()
        log_loss(y, p)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < p.nbytes / 4


def test_d2_of_targets(proba):
    mean = TARGETS.mean(axis=0)
    want = 1 - TORCH.sum() / -(TARGETS * np.log(mean)).sum()
    assert_allclose(d2_log_loss_score(TARGETS, proba), want, rtol=1e-13)
    mean = OUTPUTS.mean(axis=0)
    null = log_loss(OUTPUTS, np.tile(mean, (4, 1)), loss="binary", sample_weight=[1, 1, 1, 1])
    want = 1 - log_loss(OUTPUTS, proba, loss="binary") / null
    assert_allclose(d2_log_loss_score(OUTPUTS, proba, loss="binary"), want, rtol=1e-13)


def test_the_estimator_minimises_it(problem):
    X, _, Y = problem
    clf = skce.SoftmaxClassifier(C=np.inf).fit(X, Y)
    fitted = log_loss(Y, clf.predict_proba(X))
    assert_allclose(fitted, clf.optimize_result_.fun / 60, rtol=1e-12)
    assert_allclose(log_loss_from_logits(Y, clf.decision_function(X)), fitted, rtol=1e-13)
    gradient = log_loss_gradient_from_logits(Y, clf.decision_function(X))
    assert_allclose(gradient.T @ X, 0, atol=1e-4)
    clf.coef_ = clf.coef_ + 0.01
    clf.coef_[0] += 0.01
    assert log_loss(Y, clf.predict_proba(X)) > fitted


def targets_of_every_form(rng, n):
    """y, the losses of the fit and of the metric, columns of logits and a dict of class weights."""
    labels = np.arange(n) % 4
    Y = rng.dirichlet(np.ones(4), size=n)
    outputs = rng.random((n, 4))
    outputs[:, 1] = 1  # the mass of 0 is exactly zero; a difference of sums is not
    indicators = rng.integers(0, 2, (n, 4))
    rounded = Y * rng.choice([1, 1.00005, 0.99993], size=(n, 1))
    strings, two = np.array(list("dbca"))[labels], np.array(["no", "yes"])[labels // 2]
    named = pd.DataFrame(rounded, columns=list("dbca"))
    multilabel = pd.DataFrame(outputs, columns=list("dbca"))
    numbers, letters = {0: 3, 2: 0.2}, {"a": 3, "c": 0.2}
    return {
        "labels": (labels, "categorical", "categorical", 4, numbers),
        "strings": (strings, "categorical", "categorical", 4, letters),
        "one against the rest": (labels, "binary", "binary", 4, numbers),
        "two labels": (two, "auto", "categorical", 1, {"no": 3, "yes": 0.2}),
        "two labels, softmax": (two, "categorical", "categorical", 2, {"yes": 0.2}),
        "two labels, binary": (two, "binary", "binary", 1, {"no": 3}),
        "one-hot": (np.eye(4)[labels], "categorical", "categorical", 4, numbers),
        "distributions": (Y, "categorical", "categorical", 4, numbers),
        "rounded": (rounded, "categorical", "categorical", 4, numbers),
        "columns in another order": (named, "categorical", "categorical", 4, letters),
        "half precision": (Y.astype(np.float16), "categorical", "categorical", 4, numbers),
        "1-D probabilities": (rng.random(n), "binary", "binary", 1, {0: 3}),
        "indicators": (indicators, "binary", "binary", 4, numbers),
        "outputs": (outputs, "binary", "binary", 4, numbers),
        "named outputs": (multilabel, "binary", "binary", 4, letters),
    }


@pytest.mark.parametrize("form", targets_of_every_form(np.random.default_rng(0), 4))
@pytest.mark.parametrize("class_weight", [None, "balanced", dict])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, np.float64, np.float32])
def test_it_is_the_objective_of_a_fit(form, class_weight, smoothing, weights, rng):
    # More rows than one chunk, for the sums of "balanced".
    n = 5000 if class_weight == "balanced" else 60
    y, loss, of_metric, n_outputs, by_name = targets_of_every_form(rng, n)[form]
    class_weight = by_name if class_weight is dict else class_weight
    X = rng.normal(size=(n, 3))
    weights = None if weights is None else rng.uniform(0, 3, n).astype(weights)
    options = {"class_weight": class_weight, "smoothing": smoothing, "weights": weights}
    objective = make(X, y, loss, C=np.inf, centred=False, **options)
    theta = rng.normal(size=objective.layout.size)
    value, gradient = objective.value_gradient(theta)
    W, b = objective.layout.unpack(theta)
    assert len(W) == n_outputs
    logits = X @ W.T + b
    if n_outputs == 1:
        logits = logits[:, 0]
        proba = 1 / (1 + np.exp(-logits))
    else:
        proba = 1 / (1 + np.exp(-logits)) if of_metric == "binary" else softmax(logits, axis=1)
    options = {"loss": of_metric, "class_weight": class_weight, "label_smoothing": smoothing}
    # A fit has the sum over outputs, a metric the mean.
    scale = n_outputs if of_metric == "binary" else 1
    for function, predicted in ((log_loss, proba), (log_loss_from_logits, logits)):
        got = scale * function(y, predicted, sample_weight=weights, normalize=False, **options)
        assert_allclose(got, value * objective.scale, rtol=1e-12)
    if class_weight == "balanced" and weights is not None:
        return  # the losses of rows do not depend on it
    of_rows = scale * log_loss_gradient_from_logits(y, logits, **options).reshape(n, -1)
    if weights is not None:
        of_rows *= weights[:, None]
    got = objective.layout.pack(of_rows.T @ X, of_rows.sum(axis=0))
    assert_allclose(got, gradient * objective.scale, rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------------------------- decomposition
def test_calibration_is_what_a_temperature_saves(rng):
    z = 2 * rng.normal(size=(2000, 4))
    t = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p = t**2.5 / (t**2.5).sum(axis=1, keepdims=True)  # overconfident
    parts = log_loss_decomposition(t, p)
    assert_allclose(parts.temperature, 2.5, rtol=1e-6)
    assert_allclose(parts.refinement, entropy(t), rtol=1e-9)
    assert_allclose(parts.calibration, kl_divergence(t, p), rtol=1e-9)
    assert parts.entropy == entropy(t)
    assert parts.log_loss == pytest.approx(parts.calibration + parts.refinement)
    y = (t.cumsum(axis=1) > rng.random((2000, 1))).argmax(axis=1)
    parts = log_loss_decomposition(y, p)
    assert parts.log_loss == log_loss(y, p)
    assert parts.entropy == 0
    assert parts.temperature == pytest.approx(2.5, rel=0.1)
    assert log_loss_decomposition(y, t).calibration < 1e-3


def test_isotonic_recalibration_is_the_best_monotone_map(rng):
    q = rng.random(500)
    y = (rng.random(500) < q).astype(int)
    p = q**3
    parts = log_loss_decomposition(y, p)
    assert np.isnan(parts.temperature)
    # No increasing map has a lower loss: neither the truth nor a temperature.
    assert parts.refinement <= log_loss(y, q)
    assert parts.refinement <= log_loss_decomposition(y, p, method="temperature").refinement
    two = np.column_stack([1 - p, p])
    assert_allclose(log_loss_decomposition(y, two), parts, rtol=1e-12)
    assert_allclose(log_loss_decomposition(np.eye(2)[y], two), parts, rtol=1e-12)
    # Four equal predictions, three of which are right: the best constant is 3/4.
    four = log_loss_decomposition([1, 1, 1, 0], [0.99] * 4)
    assert_allclose(four.refinement, log_loss([1, 1, 1, 0], [0.75] * 4), rtol=1e-12)
    weighted = log_loss_decomposition([1, 0], [0.9, 0.9], sample_weight=[3, 1])
    assert_allclose(weighted.refinement, four.refinement, rtol=1e-12)


# -------------------------------------------------------------------------------------- Array API
ARRAY_API = """
import array_api_strict as xp
import numpy as np
from sklearn import config_context
from skce import metrics

rng = np.random.default_rng(0)
p, t = rng.dirichlet(np.ones(3), size=(2, 20))
y = t.argmax(axis=1)
with config_context(array_api_dispatch=True):
    for target in (t, y):
        options = {"labels": xp.asarray([0, 1, 2])} if target is y else {}
        found = metrics.log_loss(xp.asarray(target), xp.asarray(p), **options)
        assert isinstance(found, float)
        assert found == metrics.log_loss(target, p)
        found = metrics.d2_log_loss_score(xp.asarray(target), xp.asarray(p), **options)
        assert found == metrics.d2_log_loss_score(target, p)
        for name in ("log_loss_samples", "log_loss_gradient"):
            found = getattr(metrics, name)(xp.asarray(target), xp.asarray(p), **options)
            assert found.__array_namespace__().__name__ == "array_api_strict", type(found)
            assert (np.from_dlpack(found) == getattr(metrics, name)(target, p)).all()
    w = xp.asarray(rng.random(20))
    metrics.log_loss(xp.asarray(t), xp.asarray(p), sample_weight=w)
"""


def test_array_api():
    pytest.importorskip("array_api_strict")
    pytest.importorskip("scipy", minversion="1.14")  # scikit-learn dispatches from there on
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-c", ARRAY_API], check=True, env=environment)


# ------------------------------------------------------------------- what is refused at the door
ON_LABELS = [
    log_loss,
    skce.metrics.log_loss_samples,
    skce.metrics.log_loss_gradient,
    skce.metrics.kl_divergence,
    skce.metrics.log_loss_decomposition,
    d2_log_loss_score,
]
P3 = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]])


@pytest.mark.parametrize("metric", ON_LABELS)
@pytest.mark.parametrize(
    ("y_true", "options", "message"),
    [
        ([0, 1, 2], {"labels": []}, "labels must name at least two classes, but is empty"),
        ([0, 1, 2], {"labels": [0, 1, None]}, "labels has no label in row 2"),
        ([0, 1, 2], {"labels": [[0, 1], [2]]}, "labels: .*inhomogeneous"),
        ([0, 1, None], {}, "y_true has no label in row 2"),
        (["a", "b", None], {}, "y_true has no label in row 2"),
        (["a", "b", np.nan], {}, "y_true has no label in row 2"),
        ([0, 1, np.nan], {}, "(?s)y_true contains NaN.*row 2"),
        ([0, 1, pd.NA], {}, "y_true has no label in row 2"),
        (pd.Series([0, 1, None], dtype="Int64"), {}, "y_true has no label in row 2"),
        (np.ma.array([0, 1, 2], mask=[0, 0, 1]), {}, "y_true is a masked array"),
        (sp.csr_array(np.eye(3)), {}, "y_true"),
        ([0.5, 0.5, 0.5], {"labels": [0, 1, 2]}, "labels must name the 2 columns of y_true"),
        ([["1", "0", "0"]] * 3, {}, "2-D y_true must hold target probabilities"),
    ],
)
def test_bad_targets_of_metrics_are_named(metric, y_true, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        metric(y_true, P3, **options)


@pytest.mark.parametrize("metric", ON_LABELS)
@pytest.mark.parametrize(
    ("y_proba", "message"),
    [
        (None, "y_proba"),
        (np.ma.array(P3, mask=P3 > 0.7), "y_proba is a masked array"),
        (sp.csr_array(P3), "y_proba"),
        ((P3 * 100).astype("datetime64[s]"), "y_proba has dtype datetime64"),
        (P3 * 1j, "y_proba: Complex"),
        (np.full(P3.shape, 10**400, dtype=object), "y_proba holds a number outside"),
        ([[0.5, 0.5], [1.0]], "y_"),
        ([["a"] * 3] * 3, "y_proba: could not convert"),
    ],
)
def test_bad_predictions_are_named(metric, y_proba, message):
    with pytest.raises((ValueError, TypeError), match=message):
        metric([0, 1, 2], y_proba)


def test_predictions_are_asked_for():
    for metric in (log_loss, d2_log_loss_score):
        with pytest.raises(TypeError, match="y_proba is missing"):
            metric([0, 1])


@pytest.mark.parametrize("weight", ["1", "a", None, 10**400, 1j, [1]])
def test_class_weights_that_are_no_numbers_are_named(weight):
    with pytest.raises(ValueError, match=r"class_weight\[0\]"):
        log_loss([0, 1, 2], P3, class_weight={0: weight})


def test_nullable_labels_do_not_merge():
    ids = pd.Series([2**53, 2**53 + 1, 2**53 + 2], dtype="Int64")
    assert log_loss(ids, P3) == log_loss([0, 1, 2], P3)
    assert log_loss(ids, P3, labels=ids.array) == log_loss([0, 1, 2], P3)


def test_zero_weights_in_a_decomposition_equal_rows_left_out(rng):
    p, y = rng.uniform(size=30).round(1), rng.integers(0, 2, 30)
    y[:2] = 0, 1
    decomposition = skce.metrics.log_loss_decomposition
    for weights in (
        np.r_[np.ones(20), np.zeros(10)],
        (p < 0.5).astype(float),  # other rows are outside of the range of those with weight
        (y == 0).astype(float),
        np.r_[1.0, np.zeros(29)],
    ):
        rows = weights > 0
        some = decomposition(y, p, sample_weight=weights)
        left = decomposition(y[rows], p[rows], labels=[0, 1])
        assert_allclose(some, left, rtol=1e-12, atol=1e-12)
    with pytest.raises(ValueError, match="sample_weight is zero in every row"):
        decomposition(y, p, sample_weight=np.zeros(30))


def test_a_scorer_names_what_it_cannot_score(rng):
    X, y = rng.normal(size=(30, 2)), np.arange(30) % 3
    clf = skce.SoftmaxClassifier().fit(X, y)
    score = skce.metrics.neg_log_loss_scorer
    with pytest.raises(TypeError, match="sparse y is not supported"):
        score(clf, X, sp.csr_array(np.eye(3)[y]))
    with pytest.raises(TypeError, match="must have predict_proba, but LinearSVC has not"):
        score(LinearSVC(), X, y)
    with pytest.raises(ValueError, match="y has no label in row 0"):
        score(clf, X, [None, *y[1:]])
    with pytest.raises(TypeError, match="options must be a dict"):
        skce.metrics.LogLossScorer(log_loss, [1])(clf, X, y)
    for metric in (None, [], sklearn.metrics.log_loss):
        with pytest.raises(ValueError, match="metric must be one of"):
            skce.metrics.make_log_loss_scorer(metric)


# ------------------------------------------------------------------- weights of zero, and overflow
def test_rows_and_classes_of_weight_zero_may_have_infinite_losses():
    y, p = [0, 1, 2], np.vstack([[0.0, 0.5, 0.5], P3[1:]])
    rows = {"sample_weight": [0, 1, 1]}
    classes = {"class_weight": {0: 0, 1: 1, 2: 1}}
    for metric in (log_loss, skce.metrics.kl_divergence):
        expected = metric(y[1:], p[1:], labels=y)
        assert metric(y, p, clip=False) == np.inf
        assert_allclose(metric(y, p, clip=False, **rows), expected)
    expected = log_loss(y[1:], p[1:], labels=y)
    assert_allclose(log_loss(y, p, clip=False, **classes), expected)
    smooth = log_loss(y, p, clip=False, label_smoothing=0.1, **classes)
    T = 0.9 * np.eye(3) + 0.1 / 3
    T[:, 0] = 0
    by_hand = -np.sum(T[:, 1:] * np.log(p[:, 1:])) / np.sum([0, 1, 1])
    assert_allclose(smooth, by_hand)


@pytest.mark.parametrize("options", [{}, {"sample_weight": [1, 0, 0]}])
def test_weights_that_leave_no_row_have_no_mean(options):
    weights = {"class_weight": {0: 0, 1: 1, 2: 1}, "labels": [0, 1, 2], **options}
    for y in ([0, 0, 0], np.eye(3)[[0, 0, 0]]):
        y = np.asarray(y)
        with pytest.raises(ValueError, match="leave no row of y_true any weight"):
            log_loss(y, P3, **{**weights, "labels": None if y.ndim == 2 else [0, 1, 2]})
        total = log_loss(
            y, P3, normalize=False, **{**weights, "labels": None if y.ndim == 2 else [0, 1, 2]}
        )
        assert total == 0


def test_losses_overflow_to_infinity_and_not_to_nan():
    z = np.array([[1e308, -1e308], [-1e308, 1e308]])
    assert log_loss_from_logits([0, 1], z) == 0
    assert log_loss_from_logits([1, 0], z) == np.inf
    assert log_loss_from_logits([[0, 1], [1, 0]], z, loss="binary") == np.inf
    assert_array_equal(skce.metrics.log_loss_gradient_from_logits([1, 0], z), [[1, -1], [-1, 1]])


def test_class_weights_beyond_use_are_named():
    with pytest.raises(ValueError, match=r"class_weight\[1\] is 1e\+200: divide class weights"):
        log_loss([0, 1, 2], P3, class_weight={0: 1, 1: 1e200, 2: 1})
    with pytest.raises(ValueError, match=r"class_weight\[0\] is .*e-321: divide class weights"):
        log_loss([0, 1, 2], P3, class_weight=dict.fromkeys(range(3), 1e-320))
    huge = np.full((3, 3), 1e308)
    for arguments in ((huge, P3), ([0, 1, 2], huge)):
        with pytest.raises(ValueError, match=r"1e\+308|inf"):
            log_loss(*arguments)
    with pytest.raises(ValueError, match="'balanced' gives the class at position 0"):
        log_loss([0, 1, 2], P3, class_weight="balanced", sample_weight=[1e-200, 1, 1])


def test_d2_of_targets_without_mass_is_named():
    with pytest.raises(ValueError, match="y_true has no target mass"):
        d2_log_loss_score(np.zeros((3, 3)), P3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_logits_are_left_as_they_were(order):
    logits = np.asarray(LOGITS, order=order)
    before = logits.copy()
    log_loss_gradient_from_logits(TARGETS, logits)
    log_loss_samples_from_logits(TARGETS, logits)
    assert_array_equal(logits, before)


# ------------------------------------------------------------------------------ ways out
@pytest.mark.parametrize("function", [log_loss, log_loss_samples, log_loss_gradient])
def test_logits_are_sent_to_the_functions_for_logits(function):
    with pytest.raises(ValueError, match=f"there are.*{function.__name__}_from_logits"):
        function([0, 1], [[2.0, 4.0], [0.5, -1.0]])


@pytest.mark.parametrize("labels", [["b", "a"] * 6, [0, 2, 1] * 4, [1.0, 2.0] * 6])
@pytest.mark.parametrize("shape", [(12,), (12, 2)])
def test_labels_in_place_of_probabilities_are_noticed(labels, shape):
    p = np.random.default_rng(0).dirichlet([1, 1], size=12)
    p = p if len(shape) == 2 else p[:, 0]
    with pytest.raises(ValueError, match=r"y_proba labels: are they in each other's place\?"):
        log_loss(p, labels)


def test_zeros_and_ones_in_place_of_probabilities_are_noticed():
    p, y = np.random.default_rng(0).uniform(size=12), np.array([0, 1] * 6)
    both = np.column_stack([1 - p, p])
    for targets, predicted, loss in (
        (p, y, "categorical"),
        (both, np.eye(2)[y], "categorical"),
        (both, np.eye(2)[y], "binary"),
    ):
        with pytest.warns(UserWarning, match="only zeros and ones: are they in each other's place"):
            log_loss(targets, predicted, loss=loss)
    log_loss(y, p)
    log_loss(y, y)
    log_loss_from_logits(both, np.eye(2)[y])


@pytest.mark.parametrize("function", [log_loss_from_logits, log_loss_samples_from_logits])
@pytest.mark.parametrize("logits", [[[2.0, 4.5], [0.5, -1.0]], [2.5, -1.5]])
def test_logits_in_place_of_targets_are_noticed(function, logits):
    with pytest.raises(ValueError, match=r"logits, they come second: log_loss_from_logits\(y_tru"):
        function(logits, [1, 0])
