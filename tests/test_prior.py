"""Other class shares than in training, compared with Bayes' rule and published formulas."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logit

from skce import SoftmaxClassifier

rng = np.random.default_rng(0)
N, K = 300, 3
X = rng.normal(size=(N, 4))
Y = (X[:, :K] + rng.gumbel(size=(N, K))).argmax(axis=1)
TAU = np.bincount(Y) / N
PI = np.array([0.05, 0.15, 0.8])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_is_the_rule_of_bayes(dtype):
    clf = SoftmaxClassifier().fit(X.astype(dtype), Y)
    there = clf.with_class_prior(PI, training_prior=TAU)
    p = clf.predict_proba(X) * PI / TAU  # Saerens et al. (2002), equation 2.4
    assert_allclose(there.predict_proba(X), p / p.sum(axis=1, keepdims=True), rtol=1e-5)
    assert there.intercept_.dtype == dtype
    assert_allclose(there.intercept_.sum(), 0, atol=1e-5)
    assert_array_equal(there.coef_, clf.coef_)


@pytest.mark.parametrize("loss", ["auto", "categorical"])
def test_two_classes_are_corrected_as_king_and_zeng_do(loss):
    y = (Y == 1).astype(int)
    ybar, tau = y.mean(), 0.02
    clf = SoftmaxClassifier(loss=loss).fit(X, y)
    there = clf.with_class_prior([1 - tau, tau], training_prior=[1 - ybar, ybar])
    b = clf.decision_function(X) - np.log((1 - tau) / tau * ybar / (1 - ybar))
    assert_allclose(there.decision_function(X), b)


def test_a_saturated_model_is_that_of_weighted_rows():
    # With an intercept for each group the fit has the frequencies, which weights change exactly.
    groups = np.eye(4)[rng.integers(0, 4, N)]
    clf = SoftmaxClassifier(C=np.inf, tol=1e-14).fit(groups, Y)
    weighted = SoftmaxClassifier(C=np.inf, tol=1e-14).fit(groups, Y, sample_weight=(PI / TAU)[Y])
    there = clf.with_class_prior(PI, training_prior=TAU)
    assert_allclose(there.predict_proba(groups), weighted.predict_proba(groups), atol=1e-7)


def test_each_label_has_shares_of_its_own():
    labels = np.eye(K)[Y] + np.eye(K)[(Y + 1) % K]
    clf = SoftmaxClassifier(loss="binary").fit(X, labels)
    there = clf.with_class_prior([0.1, 0.2, 0.9], training_prior=labels.mean(axis=0))
    expected = clf.intercept_ + logit([0.1, 0.2, 0.9]) - logit(labels.mean(axis=0))
    assert_allclose(there.intercept_, expected)


def test_nothing_changes_what_it_came_from():
    clf = SoftmaxClassifier().fit(X, Y)
    before = clf.intercept_.copy()
    assert clf.with_class_prior(PI, training_prior=TAU) is not clf
    assert_array_equal(clf.intercept_, before)
    assert_allclose(clf.with_class_prior(TAU, training_prior=TAU).intercept_, before)


def test_fitted_arrays_of_another_library_stay_there():
    pytest.importorskip("scipy", minversion="1.14")  # dispatching needs it
    import array_api_strict as xp
    from sklearn import config_context

    clf = SoftmaxClassifier().fit(X, Y)
    with config_context(array_api_dispatch=True):
        there = clf.to_namespace(xp).with_class_prior(PI, training_prior=TAU)
        assert type(there.intercept_) is type(there.coef_)
        found = np.asarray(there.predict_proba(xp.asarray(X)))
    assert_allclose(found, clf.with_class_prior(PI, training_prior=TAU).predict_proba(X))


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ([0.5, 0.5], r"class_prior must have shape \(3,\).*has shape \(2,\)"),
        ([0.5, 0.5, 0.0], "above 0 and below 1, but that of class 2 is 0"),
        ([0.5, 0.5, 0.5], "class_prior must sum to 1, but sums to 1.5"),
        ([0.5, np.nan, 0.5], "that of class 1 is nan"),
        ("abc", "class_prior must hold numbers"),
    ],
)
def test_what_are_no_shares_is_named(prior, message):
    clf = SoftmaxClassifier().fit(X, Y)
    with pytest.raises(ValueError, match=message):
        clf.with_class_prior(prior, training_prior=TAU)
    with pytest.raises(ValueError, match=message.replace("class_prior", "training_prior")):
        clf.with_class_prior(TAU, training_prior=prior)


def test_one_against_the_rest_has_no_such_correction():
    clf = SoftmaxClassifier(loss="binary").fit(X, Y)
    with pytest.raises(ValueError, match="loss='categorical'"):
        clf.with_class_prior(PI, training_prior=TAU)
