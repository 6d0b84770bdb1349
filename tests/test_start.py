"""Coefficients and intercepts to start from."""

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skce import SoftmaxClassifier
from skce import dask as skce_dask

rng = np.random.default_rng(0)
N, P, K = 300, 5, 3
X = rng.normal(size=(N, P))
Y = (X[:, :K] + rng.gumbel(size=(N, K))).argmax(axis=1)
LABELS = (X[:, :K] + rng.logistic(size=(N, K)) > 0).astype(float)
FITTED = SoftmaxClassifier().fit(X, Y)
OPTIMUM = {"coef_init": FITTED.coef_, "intercept_init": FITTED.intercept_}


@pytest.mark.parametrize("params", [{}, {"l1_ratio": 0.5}, {"solver": "lbfgs"}], ids=str)
def test_a_start_at_the_optimum_takes_no_iteration(params):
    clf = SoftmaxClassifier(**params).fit(X, Y)
    again = SoftmaxClassifier(**params).fit(
        X, Y, coef_init=clf.coef_, intercept_init=clf.intercept_
    )
    assert again.n_iter_[0] < clf.n_iter_[0]
    assert again.n_iter_[0] <= 1  # the last step, if it gains the last bit of F
    assert_allclose(again.coef_, clf.coef_, atol=1e-6)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e30])
@pytest.mark.parametrize(
    "params", [{}, {"l1_ratio": 1.0, "C": 0.1}, {"coef_bounds": (0, 1)}], ids=str
)
def test_the_optimum_does_not_depend_on_the_start(params, size):
    clf = SoftmaxClassifier(**params).fit(X, Y)
    W, b = size * rng.normal(size=(K, P)), size * rng.normal(size=K)
    other = SoftmaxClassifier(**params).fit(X, Y, coef_init=W, intercept_init=b)
    assert_allclose(other.optimize_result_.fun, clf.optimize_result_.fun, rtol=2e-9)


@pytest.mark.parametrize("y", [Y == 0, LABELS], ids=["two classes", "multilabel"])
def test_shapes_are_those_of_the_fitted_attributes(y):
    loss = "binary" if y.ndim == 2 else "auto"
    clf = SoftmaxClassifier(loss=loss).fit(X, y)
    again = SoftmaxClassifier(loss=loss)
    again.fit(X, y, coef_init=clf.coef_, intercept_init=clf.intercept_)
    assert again.n_iter_[0] <= 1


def test_what_is_not_given_is_that_of_the_previous_fit_or_zero():
    first = SoftmaxClassifier(warm_start=True).fit(X, Y)
    first.fit(X, Y, coef_init=FITTED.coef_)
    assert first.n_iter_[0] <= 1
    cold = SoftmaxClassifier().fit(X, Y, coef_init=np.zeros((K, P)))
    assert_array_equal(cold.coef_, SoftmaxClassifier().fit(X, Y).coef_)
    moved = SoftmaxClassifier(warm_start=True).fit(X[:, :2], Y)  # the shapes no longer match
    moved.fit(X, Y, **OPTIMUM)
    assert moved.n_iter_[0] <= 1


def test_a_start_on_chunks():
    x, y = da.from_array(X, chunks=(100, P)), da.from_array(Y, chunks=100)
    assert skce_dask.SoftmaxClassifier().fit(x, y, **OPTIMUM).n_iter_[0] <= 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"coef_init": np.zeros((K, P + 1))}, r"coef_init must have shape \(3, 5\), that of coef_.*\(3, 6\)"),
        ({"coef_init": np.zeros(P)}, r"coef_init must have shape \(3, 5\)"),
        ({"intercept_init": np.zeros(1)}, r"intercept_init must have shape \(3,\), that of intercept_"),
        ({"intercept_init": [0, np.nan, 0]}, "intercept_init must be finite, but is not in row 1"),
        ({"coef_init": np.full((K, P), np.inf)}, "coef_init must be finite, but is not in row 0"),
        ({"coef_init": "abc"}, "coef_init must hold numbers"),
    ],
)  # fmt: skip
def test_what_is_no_start_is_named(given, message):
    clf = SoftmaxClassifier().fit(X, Y)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, Y, **given)
    assert_array_equal(clf.coef_, FITTED.coef_)


def test_intercepts_need_intercepts():
    clf = SoftmaxClassifier(fit_intercept=False)
    with pytest.raises(ValueError, match="fit_intercept=False"):
        clf.fit(X, Y, intercept_init=np.ones(K))
    clf.fit(X, Y, intercept_init=np.zeros(K))
