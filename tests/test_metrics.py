"""skce.log_loss: scikit-learn's numbers on labels, cross-entropy on probabilities."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.metrics
from numpy.testing import assert_allclose

import skce
from skce import log_loss

# PyTorch 2.13.0, CrossEntropyLoss(reduction="none") of these logits against these targets.
LOGITS = np.array([[2.0, 4.0, 0.5], [-1.0, 0.25, 3.0], [0.1, -0.2, 0.3], [5.0, -7.0, 1.5]])
TARGETS = np.array([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0], [1 / 3, 1 / 3, 1 / 3]])
TORCH = np.array([1.9031782071222882, 2.4540362014040995, 0.8859393176684558, 5.196423049033285])


@pytest.fixture
def proba():
    e = np.exp(LOGITS)
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("y", "p", "options"),
    [
        ([0, 1, 1], [0.2, 0.7, 1.0], {}),
        (["b", "a", "b"], [[0.2, 0.8], [0.7, 0.3], [1.0, 0.0]], {}),
        ([0, 1, 2], np.eye(3) * 0.4 + 0.2, {"sample_weight": [1, 2, 3]}),
        ([0, 1, 2], np.eye(3) * 0.4 + 0.2, {"normalize": False}),
        ([1, 1], [[0.2, 0.8], [0.7, 0.3]], {"labels": [0, 1]}),
        ([[1, 0], [0, 1], [1, 0]], [[0.2, 0.8], [0.7, 0.3], [1.0, 0.0]], {}),
    ],
)
def test_labels_give_scikit_learns_number(y, p, options):
    assert log_loss(y, p, **options) == sklearn.metrics.log_loss(y, p, **options)


def test_labels_give_scikit_learns_errors_and_warnings():
    with pytest.raises(ValueError, match="y_true contains only one label"):
        log_loss([1, 1], [0.2, 0.8])
    with pytest.warns(UserWarning, match="do not sum to one"):
        log_loss([0, 1], [[0.2, 0.2], [0.5, 0.5]])


def test_probabilities_give_torchs_number(proba):
    assert_allclose(log_loss(TARGETS, proba), TORCH.mean(), rtol=1e-14)
    assert_allclose(log_loss(TARGETS, proba, normalize=False), TORCH.sum(), rtol=1e-14)
    weights = np.array([1.0, 2, 0, 5])
    want = weights @ TORCH
    assert_allclose(log_loss(TARGETS, proba, sample_weight=weights), want / 8, rtol=1e-14)
    got = log_loss(TARGETS, proba, sample_weight=weights, normalize=False)
    assert_allclose(got, want, rtol=1e-14)
    frame = pd.DataFrame(TARGETS, columns=list("abc"))
    assert_allclose(log_loss(frame, proba), TORCH.mean(), rtol=1e-14)


def test_worked_example_of_three_logits(proba):
    for label, want in enumerate([2.153178, 0.153178, 3.653178]):
        assert_allclose(log_loss(np.eye(3)[[label]] * 0.99999, proba[:1]), want, atol=5e-7)


def test_zero_mass_times_log_of_zero_is_zero_and_other_zeros_are_clipped():
    assert log_loss([[0.5, 0.5, 0.0]], [[0.5, 0.5, 0.0]]) == pytest.approx(np.log(2))
    for dtype in (np.float32, np.float64):
        p = np.array([[1.0, 0.0]], dtype=dtype)
        want = -np.log(np.finfo(dtype).eps) / 2
        assert log_loss([[0.5, 0.5]], p) == pytest.approx(want, rel=1e-6)


def test_rows_of_targets_are_renormalised(proba):
    assert_allclose(log_loss(TARGETS * 0.99995, proba), TORCH.mean(), rtol=1e-13)


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([[0.5, 0.5], [0.5, 0.6]], [[0.5, 0.5]] * 2, "Row 1 of y_true sums to 1.1"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5], [0.5, 1.6]], "Row 1 of y_proba holds 1.6"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5], [1.5, -0.5]], "Row 1 of y_proba holds -0.5"),
        ([[0.5, 0.5]] * 2, [[0.4, 0.3, 0.3]] * 2, r"shape \(2, 2\).*\(2, 3\)"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5]] * 3, r"shape \(2, 2\).*\(3, 2\)"),
        ([[0.5, 0.5], [np.nan, 1.0]], [[0.5, 0.5]] * 2, "(?s)NaN.*y_true is row 1"),
        ([[0.5, 0.5]] * 2, [[0.5, 0.5], [np.nan, 1.0]], "NaN"),
    ],
)
def test_bad_probabilities_are_named(y, p, message):
    with pytest.raises(ValueError, match=message):
        log_loss(y, p)


def test_predictions_that_do_not_sum_to_one_warn():
    with pytest.warns(UserWarning, match="y_proba do not sum to one"):
        log_loss([[0.5, 0.5]], [[0.5, 0.6]])


def test_sparse_targets_get_scikit_learns_error():
    with pytest.raises(ValueError, match="'y_true' parameter of log_loss must be an array-like"):
        log_loss(sp.csr_array(np.eye(3)), np.eye(3))


def test_the_estimator_minimises_it(problem):
    X, _, Y = problem
    clf = skce.SoftmaxClassifier(C=np.inf).fit(X, Y)
    fitted = log_loss(Y, clf.predict_proba(X))
    assert_allclose(fitted, clf.optimize_result_.fun / 60, rtol=1e-12)
    clf.coef_ = clf.coef_ + 0.01
    clf.coef_[0] += 0.01
    assert log_loss(Y, clf.predict_proba(X)) > fitted
