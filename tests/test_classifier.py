"""SoftmaxClassifier compared with independent results, and as users call it."""

import pickle
import warnings
from fractions import Fraction
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from objectives import at_costs
from scipy.special import expit, log_expit
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, get_scorer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path

DATA = {
    "iris": load_iris(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "digits": load_digits(return_X_y=True),
    "breast cancer": load_breast_cancer(return_X_y=True),
}
DATA["digits"] = (StandardScaler().fit_transform(DATA["digits"][0]), DATA["digits"][1])
for name in ("wine", "breast cancer"):
    DATA[f"{name}, scaled"] = (StandardScaler().fit_transform(DATA[name][0]), DATA[name][1])


def reference(C, sample_weight=None, **options):
    """LogisticRegression with its smallest tol. It warns if rounding ends its line search."""

    def fit(X, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return LogisticRegression(
                C=C, solver="newton-cg", tol=1e-12, max_iter=10_000, **options
            ).fit(X, y, sample_weight)

    return fit


def assert_same_fit(ours, theirs, rtol=1e-6):
    scale = np.abs(theirs.coef_).max()
    assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol * scale)
    scale = max(np.abs(theirs.intercept_).max(), 1e-9)
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=rtol * scale)


# ------------------------------------------------------------------ the optimum, independently
@pytest.mark.parametrize("C", [0.01, 1, 100])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_coefficients_equal_logistic_regression(data, C, fit_intercept):
    X, y = DATA[data]
    ours = SoftmaxClassifier(C=C, fit_intercept=fit_intercept, tol=1e-12).fit(X, y)
    assert_same_fit(ours, reference(C, fit_intercept=fit_intercept)(X, y))


@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs"])
@pytest.mark.parametrize("data", ["iris", "wine", "breast cancer", "breast cancer, scaled"])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 1: 0.3}])
@pytest.mark.parametrize("weighted", [False, True])
def test_weighted_coefficients_equal_logistic_regression(data, solver, class_weight, weighted, rng):
    X, y = DATA[data]
    weights = rng.uniform(0, 2, len(y)) if weighted else None
    ours = SoftmaxClassifier(class_weight=class_weight, solver=solver, tol=1e-13)
    if class_weight == "balanced":
        # LogisticRegression includes sample weights since scikit-learn 1.7.
        mass = np.bincount(y, weights=weights)
        class_weight = dict(enumerate(mass.sum() / (len(mass) * mass)))
    theirs = reference(1.0, weights, class_weight=class_weight)(X, y)
    assert_same_fit(ours.fit(X, y, weights), theirs)


@pytest.mark.parametrize("make", [
    sp.csr_matrix, sp.csc_matrix, sp.coo_matrix, sp.csr_array, sp.csc_array, sp.coo_array,
])  # fmt: skip
def test_sparse_x_gives_the_same_coefficients(make):
    X, y = DATA["breast cancer, scaled"]
    X = np.where(np.abs(X) > 0.5, X, 0)
    dense = SoftmaxClassifier(tol=1e-12).fit(X, y)
    sparse = make(X)
    assert_same_fit(SoftmaxClassifier(tol=1e-12).fit(sparse, y), dense, rtol=1e-8)
    assert_allclose(dense.predict_proba(sparse), dense.predict_proba(X))
    assert_same_fit(dense, reference(1.0)(X, y))


def test_64_bit_indices_and_wide_sparse_x(rng):
    X = sp.csr_array(sp.random(80, 300, density=0.1, random_state=0))
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    y = rng.integers(3, size=80)
    ours = SoftmaxClassifier(tol=1e-12).fit(X, y)
    assert_same_fit(ours, reference(1.0)(X.toarray(), y))


@pytest.mark.parametrize("order", ["C", "F"])
def test_wide_dense_x_in_any_order(order, rng):
    X, y = rng.normal(size=(60, 200)) * 10.0 ** rng.uniform(-1, 1, 200), np.arange(60) % 3
    X = np.asarray(X, order=order)
    assert_same_fit(SoftmaxClassifier(tol=1e-12).fit(X, y), reference(1.0)(X, y))


def test_no_penalty_equals_logistic_regression(rng):
    X, y = DATA["iris"]
    y = np.where(rng.random(150) < 0.3, rng.integers(3, size=150), y)
    ours = SoftmaxClassifier(C=np.inf, tol=1e-12).fit(X, y)
    assert_same_fit(ours, reference(np.inf)(X, y))
    assert_allclose(ours.coef_.sum(axis=0), 0, atol=1e-10)


def test_one_vs_rest_equals_binary_fits():
    X, y = DATA["iris"]
    ours = SoftmaxClassifier(loss="binary", tol=1e-12).fit(X, y)
    for k in range(3):
        alone = SoftmaxClassifier(tol=1e-13).fit(X, y == k)
        assert_allclose(ours.coef_[k], alone.coef_[0], rtol=1e-5)
    theirs = OneVsRestClassifier(LogisticRegression(tol=1e-10, max_iter=1000)).fit(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


# ---------------------------------------------------------------------------- target forms agree
@pytest.mark.parametrize("options", [
    {}, {"class_weight": "balanced"}, {"class_weight": {0: 2, 2: 0.5}}, {"label_smoothing": 0.1},
    {"C": np.inf, "label_smoothing": 0.2}, {"fit_intercept": False}, {"solver": "lbfgs"},
])  # fmt: skip
def test_one_hot_targets_equal_labels(options, rng):
    X, y = DATA["iris"]
    weights = rng.uniform(0, 2, 150)
    labels = SoftmaxClassifier(tol=1e-12, **options).fit(X, y, weights)
    one_hot = SoftmaxClassifier(tol=1e-12, **options).fit(X, np.eye(3)[y], weights)
    assert_allclose(one_hot.optimize_result_.fun, labels.optimize_result_.fun, rtol=1e-12)
    assert_same_fit(one_hot, labels)


def test_rows_repeated_per_class_and_weighted_by_mass_equal_distributions(problem, rng):
    X, _, Y = problem
    soft = SoftmaxClassifier(tol=1e-13).fit(X, Y)
    repeated = X.repeat(3, axis=0), np.tile(np.arange(3), len(X)), Y.ravel()
    hard = SoftmaxClassifier(tol=1e-13).fit(*repeated)
    assert_allclose(hard.optimize_result_.fun, soft.optimize_result_.fun, rtol=1e-8)
    assert_same_fit(hard, soft)
    assert_same_fit(soft, reference(1.0, repeated[2])(*repeated[:2]))


def test_probabilities_of_class_1_equal_weighted_duplicates(rng):
    X, y = DATA["breast cancer, scaled"]
    q = rng.uniform(0.25, 0.75, len(y))
    ours = SoftmaxClassifier(loss="binary", tol=1e-13).fit(X, q)
    X2, y2, weights = np.vstack([X, X]), np.repeat([1, 0], len(y)), np.r_[q, 1 - q]
    assert_same_fit(ours, reference(1.0, weights)(X2, y2))
    two_columns = SoftmaxClassifier(tol=1e-13).fit(X, np.column_stack([1 - q, q]))
    # Two rows of coefficients share the penalty. It has half the curvature, so C is twice as large.
    halved = SoftmaxClassifier(loss="binary", C=2.0, tol=1e-13).fit(X, q)
    assert_allclose(two_columns.decision_function(X), halved.decision_function(X), rtol=1e-5)


def test_counts_as_weights_equal_repeated_rows(problem, rng):
    X, _, _ = problem
    counts = rng.integers(0, 4, size=(60, 3)) + np.eye(3, dtype=int)[0]
    m = counts.sum(axis=1)
    grouped = SoftmaxClassifier(tol=1e-12).fit(X, counts / m[:, None], sample_weight=m)
    rows, y = np.nonzero(counts)
    single = SoftmaxClassifier(tol=1e-12).fit(X[rows], y, sample_weight=counts[rows, y])
    assert_same_fit(grouped, single)


def test_alligators_reproduce_the_published_coefficients():
    """Agresti, Categorical Data Analysis (2nd ed., 2002), tables 7.1 to 7.3.

    Primary food of 219 alligators (fish, invertebrate, reptile, bird, other) by lake and size.
    The published coefficients are for logits against fish, with dummies for length <= 2.3 m and for
    the lakes Hancock, Oklawaha and Trafford against George.
    """
    counts = {
        ("Hancock", "small"): [23, 4, 2, 2, 8],
        ("Hancock", "large"): [7, 0, 1, 3, 5],
        ("Oklawaha", "small"): [5, 11, 1, 0, 3],
        ("Oklawaha", "large"): [13, 8, 6, 1, 0],
        ("Trafford", "small"): [5, 11, 2, 1, 5],
        ("Trafford", "large"): [8, 7, 6, 3, 5],
        ("George", "small"): [16, 19, 1, 2, 3],
        ("George", "large"): [17, 1, 0, 1, 3],
    }
    lakes = ("Hancock", "Oklawaha", "Trafford")
    X = np.array([[size == "small", *(lake == name for name in lakes)] for lake, size in counts])
    n = np.array(list(counts.values()))
    m = n.sum(axis=1)
    assert m.sum() == 219
    clf = SoftmaxClassifier(C=np.inf).fit(X.astype(float), n / m[:, None], sample_weight=m)
    W, b = clf.coef_ - clf.coef_[0], clf.intercept_ - clf.intercept_[0]
    published = {  # intercept, size, Hancock, Oklawaha, Trafford
        "invertebrate": [-1.55, 1.46, -1.66, 0.94, 1.12],
        "reptile": [-3.31, -0.35, 1.24, 2.46, 2.94],
        "bird": [-2.09, -0.63, 0.70, -0.65, 1.09],
        "other": [-1.90, 0.33, 0.83, 0.01, 1.52],
    }
    got = np.column_stack([b, W])[1:]
    assert_array_equal(got.round(2), list(published.values()))
    fitted = clf.predict_proba(X.astype(float)) * m[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        deviance = 2 * np.nansum(n * np.log(n / fitted))
    assert_allclose(deviance, 17.08, atol=0.005)  # published: G2 = 17.1 on 12 degrees of freedom


def test_coefficients_equal_statsmodels_mnlogit():
    """Numbers from statsmodels 0.15.0: MNLogit(y, add_constant(X)).fit("newton", tol=1e-14)."""
    X, y = load_iris(return_X_y=True)
    X, y = X[:, :2], np.where(np.arange(150) % 7 == 0, (np.arange(150) // 7) % 3, y)
    clf = SoftmaxClassifier(C=np.inf, tol=1e-12).fit(X, y)
    got = np.column_stack([clf.intercept_, clf.coef_])
    statsmodels = [
        [-0.6361204892, 2.2379729335, -3.7977376188],
        [-11.5552792419, 3.4076865261, -2.5324054733],
    ]
    assert_allclose(got[1:] - got[0], statsmodels, rtol=1e-9)


# ------------------------------------------------------------------------------------ prediction
FORMS = {
    "softmax": ("auto", lambda y, Y: y),
    "softmax, two classes": ("categorical", lambda y, Y: y > 0),
    "distributions": ("auto", lambda y, Y: Y),
    "sigmoid": ("auto", lambda y, Y: np.array(["no", "yes"])[(y > 0).astype(int)]),
    "probabilities": ("binary", lambda y, Y: Y[:, 0]),
    "one-vs-rest": ("binary", lambda y, Y: y),
    "multilabel": ("binary", lambda y, Y: (Y > 0.3).astype(int)),
}


@pytest.fixture(params=FORMS)
def fitted(request, problem):
    X, y, Y = problem
    loss, make = FORMS[request.param]
    return SoftmaxClassifier(loss=loss).fit(X, make(y, Y)), X, make(y, Y)


def test_predictions_belong_together(fitted):
    clf, X, _ = fitted
    proba, log_proba, decision = (
        getattr(clf, method)(X)
        for method in ("predict_proba", "predict_log_proba", "decision_function")
    )
    K = len(clf.classes_)
    assert proba.shape == log_proba.shape == (60, K)
    assert_allclose(np.exp(log_proba), proba, rtol=1e-12)
    if clf._form == "multilabel":
        assert_allclose(proba, expit(decision))
        assert_array_equal(clf.predict(X), proba > 0.5)
        return
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-14)
    assert_array_equal(clf.predict(X), clf.classes_[proba.argmax(axis=1)])
    assert decision.shape == ((60,) if K == 2 else (60, K))
    if K == 2:
        assert_allclose(proba[:, 1], expit(decision), rtol=1e-12)


def test_log_probabilities_are_finite_and_exact_where_probabilities_vanish(fitted):
    clf, X, _ = fitted
    clf.coef_ = clf.coef_ * 1e5
    log_proba = clf.predict_log_proba(X)
    assert np.isfinite(log_proba).all()
    assert log_proba.min() < -1e4
    assert (clf.predict_proba(X) == 0).any()
    if clf._form in ("sigmoid", "multilabel"):
        z = X @ clf.coef_.T + clf.intercept_
        assert_allclose(log_proba[:, -1], log_expit(z)[:, -1], rtol=1e-14)


def test_to_sklearn_predicts_the_same(fitted):
    clf, X, _ = fitted
    for model in (clf.to_sklearn(), clone(clf).fit(X, fitted[2]).sparsify().to_sklearn()):
        assert_allclose(model.predict_proba(X), clf.predict_proba(X), atol=1e-12)
        if clf._form == "multilabel":
            assert isinstance(model, OneVsRestClassifier)
            assert_array_equal(model.predict(X), clf.predict(X))
        else:
            assert_array_equal(model.predict(X), clf.predict(X))
            assert_array_equal(model.classes_, clf.classes_)
        if clf._form in ("softmax", "sigmoid"):
            assert isinstance(model, LogisticRegression)
            assert_allclose(model.decision_function(X), clf.decision_function(X), atol=1e-12)


@pytest.mark.parametrize("form", ["two classes", "three classes", "multilabel"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("class_weight", [None, "balanced", "dict"])
def test_to_sklearn_keeps_the_penalty_and_class_weights(form, l1_ratio, class_weight, problem):
    X, y, _ = problem
    y = {"two classes": y == 1, "three classes": y, "multilabel": np.eye(3)[y]}[form]
    weights = {0: 2.0, 1: 0.5} if class_weight == "dict" else class_weight
    loss = "binary" if form == "multilabel" else "auto"
    clf = SoftmaxClassifier(0.5, l1_ratio=l1_ratio, class_weight=weights, loss=loss).fit(X, y)
    exported = clf.to_sklearn()
    for k, model in enumerate(getattr(exported, "estimators_", [exported])):
        assert (model.C, model.l1_ratio or 0.0) == (0.5, l1_ratio)
        factors = [{0: 1, 1: 2.0}, {0: 1, 1: 0.5}, {0: 1, 1: 1}][k]
        assert model.class_weight == (
            factors if form == "multilabel" and class_weight == "dict" else weights
        )
    # The parameters are those of the fit, so a new fit finds the same coefficients.
    again = clone(exported)
    if form == "multilabel":
        if class_weight == "dict":
            return  # it has one estimator for all labels
        again.estimator.set_params(tol=1e-10, max_iter=10_000)
    else:
        again.set_params(tol=1e-10, max_iter=10_000)
    assert_allclose(again.fit(X, y).predict_proba(X), clf.predict_proba(X), atol=1e-4)


def test_to_sklearn_of_one_against_the_rest_keeps_the_penalty(problem):
    X, y, _ = problem
    clf = SoftmaxClassifier(loss="binary", l1_ratio=1.0, class_weight="balanced").fit(X, y)
    exported = clf.to_sklearn()
    assert exported.estimator.l1_ratio == exported.estimators_[0].l1_ratio == 1
    assert exported.estimator.class_weight is None


@pytest.mark.parametrize(
    ("l1_ratio", "kind"), [(0.0, "l2"), (0.5, "elasticnet"), (1.0, "l1"), (1 - 1e-9, "l1")]
)
def test_penalty_says_its_kind_and_is_no_parameter(l1_ratio, kind):
    clf = SoftmaxClassifier(l1_ratio=l1_ratio)
    assert clf.penalty == kind
    assert "penalty" not in clf.get_params()


ORDERS = [["a", "b", "c"], ["c", "a", "b"], ["b", "a", "c"]]


@pytest.mark.parametrize("params", [{}, {"l1_ratio": 1.0}, {"C": np.inf}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("class_weight", [None, "balanced", {"c": 3.0}])
def test_the_order_of_target_columns_changes_nothing(params, class_weight, problem):
    X, _, Y = problem
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    fits = [
        SoftmaxClassifier(class_weight=class_weight, **params).fit(X, frame[order])
        for order in ORDERS
    ]
    for clf in fits:
        assert_array_equal(clf.classes_, ["a", "b", "c"])
        assert_allclose(clf.coef_, fits[0].coef_, rtol=1e-9, atol=1e-12)
        assert_allclose(clf.predict_proba(X), fits[0].predict_proba(X), rtol=1e-12)
        for order in ORDERS:
            assert_allclose(clf.score(X, frame[order]), fits[0].score(X, frame), rtol=1e-12)


def test_bounds_are_in_the_order_of_classes(problem):
    X, _, Y = problem
    high = np.array([[0.0], [np.inf], [np.inf]])
    clf = SoftmaxClassifier(coef_bounds=(None, high)).fit(X, pd.DataFrame(Y, columns=[*"cab"]))
    assert clf.coef_[0].max() <= 0 < clf.coef_[1:].max()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_scorers_and_meta_estimators_find_classes_sorted(n_classes, problem):
    X, y, _ = problem
    y = np.minimum(y, n_classes - 1)
    labels = np.array([*"abc"])[y]
    targets = pd.DataFrame(
        0.9 * np.eye(n_classes)[y] + 0.1 / n_classes, columns=[*"abc"[:n_classes]]
    )
    ours, other = (SoftmaxClassifier().fit(X, frame) for frame in (targets, targets.iloc[:, ::-1]))
    assert_array_equal(other.classes_, np.unique(labels))
    names = ["neg_log_loss", "accuracy", "roc_auc_ovr" if n_classes == 3 else "roc_auc"]
    for name in names:
        score = get_scorer(name)
        assert score(other, X, labels) == score(ours, X, labels)
    calibrated = [
        CalibratedClassifierCV(FrozenEstimator(clf)).fit(X, labels).predict_proba(X)
        for clf in (ours, other)
    ]
    assert_array_equal(*calibrated)
    assert_array_equal(other.to_sklearn().predict(X), other.predict(X))


def test_a_warm_start_goes_from_columns_to_labels_and_back(problem):
    X, y, Y = problem
    frame = pd.DataFrame(Y, columns=[*"cab"])
    labels = np.array([*"cab"])[y]
    clf = SoftmaxClassifier(warm_start=True).fit(X, frame)
    for target in (labels, frame[[*"abc"]], frame):
        warm = clf.fit(X, target)
        assert_allclose(warm.coef_, SoftmaxClassifier().fit(X, target).coef_, atol=1e-4)
    assert clf.fit(X, frame).n_iter_[0] == 0
    with pytest.raises(ValueError, match="warm_start=True needs the classes"):
        clf.fit(X, frame.rename(columns={"a": "d"}))


def test_columns_of_labels_that_hold_together_keep_their_order(problem):
    X, y, _ = problem
    frame = pd.DataFrame(np.eye(3, dtype=int)[y], columns=[*"cab"])
    clf = SoftmaxClassifier(loss="binary").fit(X, frame)
    assert_array_equal(clf.classes_, [*"cab"])
    assert f1_score(frame, clf.predict(X), average="micro") > 0.5
    assert clf.score(X, frame) == clf.score(X, frame[[*"abc"]])
    assert clf.score(X, frame) == accuracy_score(frame, clf.predict(X))


def test_to_sklearn_keeps_feature_names(problem):
    X, y, _ = problem
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = SoftmaxClassifier().fit(frame, y).to_sklearn()
    assert_array_equal(model.feature_names_in_, list("abcd"))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "z"}))


def test_sparsify_and_densify(fitted):
    clf, X, _ = fitted
    proba, coef = clf.predict_proba(X), clf.coef_
    assert clf.sparsify() is clf
    assert sp.issparse(clf.coef_)
    assert_allclose(clf.predict_proba(X), proba)
    assert_allclose(clf.predict_proba(sp.csr_array(X)), proba)
    assert clf.densify() is clf
    assert_array_equal(clf.coef_, coef)
    assert_array_equal(clf.densify().coef_, coef)


def test_score_is_expected_accuracy(fitted):
    clf, X, y = fitted
    predicted = clf.predict(X)
    if clf._form == "multilabel":
        assert_allclose(clf.score(X, y), (predicted == y).all(axis=1).mean())
        assert_allclose(clf.score(X, np.full(y.shape, 0.5)), 0.125)
    elif y.dtype.kind == "f" and y.ndim == 2:
        assert_allclose(clf.score(X, y), y[np.arange(60), predicted].mean())
        one_hot = np.eye(3)[y.argmax(axis=1)]
        assert_allclose(clf.score(X, one_hot), clf.score(X, y.argmax(axis=1)))
    elif y.dtype.kind == "f":
        assert_allclose(clf.score(X, y), np.where(predicted == 1, y, 1 - y).mean())
        assert_allclose(clf.score(X, np.column_stack([1 - y, y])), clf.score(X, y))
    else:
        assert_allclose(clf.score(X, y), (predicted == y).mean())
        weights = np.arange(60.0)
        want = np.average(predicted == y, weights=weights)
        assert_allclose(clf.score(X, y, sample_weight=weights), want)


def test_score_weighs_rows_and_finds_columns_by_name(problem):
    X, _, Y = problem
    frame = pd.DataFrame(Y, columns=["x", "z", "a"])
    clf = SoftmaxClassifier().fit(X, frame)
    weights = np.arange(60.0)
    mass = Y[np.arange(60), np.array([2, 0, 1])[clf.predict_proba(X).argmax(axis=1)]]
    want = np.average(mass, weights=weights)
    for order in (["x", "z", "a"], ["a", "x", "z"], ["z", "a", "x"]):
        assert_allclose(clf.score(X, frame[order], sample_weight=weights), want)
    assert_allclose(clf.score(X, Y[:, [2, 0, 1]], sample_weight=weights), want)
    with pytest.raises(ValueError, match=r"columns of y are \['x', 'z', 'b'\], but the classes of"):
        clf.score(X, frame.rename(columns={"a": "b"}))
    numbered = SoftmaxClassifier().fit(X, pd.DataFrame(Y))
    assert numbered.score(X, pd.DataFrame(Y)[[2, 1, 0]]) == numbered.score(X, Y)
    assert numbered.score(X, frame) == numbered.score(X, Y)
    with pytest.raises(ValueError, match="y has 2 columns, but the fit had 3 classes"):
        clf.score(X, Y[:, :2] / Y[:, :2].sum(axis=1, keepdims=True))
    with pytest.raises(ValueError, match="X has 60 rows, but y has 59"):
        clf.score(X, Y[1:])


@pytest.mark.parametrize("loss", ["auto", "binary"])
def test_predict_works_in_blocks(loss, problem):
    X, y, _ = problem
    clf = SoftmaxClassifier(loss=loss).fit(X, y)
    whole = clf.predict(X)
    clf = at_costs(predicted_block=21)(loss=loss).fit(X, y)
    assert_array_equal(clf.predict(X), whole)
    assert_array_equal(clf.predict(sp.csr_matrix(X)), whole)


# --------------------------------------------------------------------------- kinds of X and state
def test_float32_stays_float32_and_float64_is_not_copied(problem):
    X, y, _ = problem
    seen = []

    class Seeing(SoftmaxClassifier):
        def _objective(self, X, targets):
            seen.append(X)
            return super()._objective(X, targets)

    for dtype in (np.float32, np.float64):
        given = X.astype(dtype)
        clf = Seeing().fit(given, y)
        assert seen.pop() is given
        assert clf.coef_.dtype == clf.intercept_.dtype == dtype
        assert clf.predict_proba(given).dtype == dtype
    assert SoftmaxClassifier().fit((X * 9).astype(int), y).coef_.dtype == np.float64
    single = SoftmaxClassifier().fit(X.astype(np.float32), y)
    assert_allclose(single.coef_, SoftmaxClassifier().fit(X, y).coef_, rtol=1e-3, atol=1e-4)


def test_data_frames(problem):
    X, y, Y = problem
    want = SoftmaxClassifier().fit(X, Y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = SoftmaxClassifier().fit(frame, pd.DataFrame(Y, columns=["u", "v", "w"]))
    assert_array_equal(clf.coef_, want.coef_)
    assert_array_equal(clf.feature_names_in_, list("abcd"))
    assert_array_equal(clf.classes_, ["u", "v", "w"])
    assert set(clf.predict(frame)) <= {"u", "v", "w"}
    pl = pytest.importorskip("polars")
    clf = SoftmaxClassifier().fit(
        pl.DataFrame(X, schema=list("abcd")), pl.DataFrame(Y, schema=["u", "v", "w"])
    )
    assert_array_equal(clf.coef_, want.coef_)
    assert_array_equal(clf.classes_, ["u", "v", "w"])
    labels = SoftmaxClassifier().fit(pl.DataFrame(X, schema=list("abcd")), pl.Series(y))
    assert_array_equal(labels.coef_, SoftmaxClassifier().fit(X, y).coef_)


def test_memory_mapped_and_read_only_x(problem, tmp_path):
    X, y, Y = problem
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    Y.setflags(write=False)
    for targets in (y, Y):
        clf = SoftmaxClassifier().fit(mapped, targets)
        assert_array_equal(clf.coef_, SoftmaxClassifier().fit(X, targets).coef_)


def test_warm_start_saves_iterations_and_gives_the_same_optimum(fitted):
    clf, X, y = fitted
    cold = clone(clf).set_params(C=1.1).fit(X, y)
    clf.set_params(warm_start=True, C=1.1).sparsify()
    warm = clf.fit(X, y)
    assert warm.n_iter_[0] < cold.n_iter_[0]
    assert_allclose(warm.coef_, cold.coef_, rtol=1e-4, atol=1e-5)
    assert_allclose(warm.intercept_, cold.intercept_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", ["classes", "features", "loss"])
def test_warm_start_on_another_problem_is_refused(change, problem):
    X, y, _ = problem
    clf = SoftmaxClassifier(warm_start=True).fit(X, y)
    before = clf.predict_proba(X)
    X2 = X[:, :2] if change == "features" else X
    if change == "loss":
        clf.set_params(loss="binary")
    with pytest.raises(ValueError, match="warm_start=True needs the classes"):
        clf.fit(X2, y + 1 if change == "classes" else y)
    assert_array_equal(clf.predict_proba(X), before)


BAD_CALLS = {
    "NaN in X": (lambda X, y: (np.where(np.arange(60)[:, None] == 7, np.nan, X), y), {}, "(?s)X contains NaN.*row 7"),
    "inf in X": (lambda X, y: (np.where(np.arange(60)[:, None] == 7, np.inf, X), y), {}, "(?s)X contains inf.*row 7"),
    "inf in sparse X": (
        lambda X, y: (sp.csr_array(np.where(np.arange(60)[:, None] == 7, np.inf, X)), y), {}, "(?s)X contains inf.*row 7",
    ),
    "strings in X": (lambda X, y: (X.astype(str).astype(object) + "a", y), {}, "could not convert"),
    "1-D X": (lambda X, y: (X[:, 0], y), {}, "Expected 2D array"),
    "no X": (lambda X, y: (X[:0], y[:0]), {}, "0 sample"),
    "no y": (lambda X, y: (X, None), {}, "requires y to be passed"),
    "squares overflow": (lambda X, y: (X * [1, 1e160, 1, 1], y), {}, "squares overflow, first in column 1"),
    "lengths": (lambda X, y: (X, y[1:]), {}, "X has 60 rows, but y has 59"),
    "one class": (lambda X, y: (X, np.zeros(60)), {}, "one class"),
    "C = 0": (lambda X, y: (X, y), {"C": 0}, "'C' parameter"),
    "C < 0": (lambda X, y: (X, y), {"C": -1.0}, "'C' parameter"),
    "C NaN": (lambda X, y: (X, y), {"C": np.nan}, "'C' parameter"),
    "loss": (lambda X, y: (X, y), {"loss": "hinge"}, "'loss' parameter"),
    "solver": (lambda X, y: (X, y), {"solver": "sag"}, "'solver' parameter"),
    "smoothing": (lambda X, y: (X, y), {"label_smoothing": 1.0}, "'label_smoothing' parameter"),
    "tol": (lambda X, y: (X, y), {"tol": 0}, "'tol' parameter"),
    "max_iter": (lambda X, y: (X, y), {"max_iter": 0}, "'max_iter' parameter"),
    "class_weight": (lambda X, y: (X, y), {"class_weight": "equal"}, "'class_weight' parameter"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_calls_are_named_and_leave_a_fitted_estimator_as_it_was(case, problem):
    X, y, _ = problem
    make, params, message = BAD_CALLS[case]
    frame = pd.DataFrame(X, columns=list("abcd"))
    clf = SoftmaxClassifier().fit(frame, y)
    fitted_state = {k: v for k, v in vars(clf).items() if k.endswith("_")}
    proba = clf.predict_proba(frame)
    with pytest.raises(ValueError, match=message):
        clf.set_params(**params).fit(*make(X, y))
    assert {k: v for k, v in vars(clf).items() if k.endswith("_")} == fitted_state
    assert_array_equal(clf.predict_proba(frame), proba)


class Interrupted(SoftmaxClassifier):
    """An estimator whose fits are interrupted after a number of sums over the rows."""

    sums = np.inf

    def _objective(self, X, targets):
        objective = super()._objective(X, targets)
        data, made = objective.data, []

        class Data:
            def __getattr__(self, name):
                return getattr(data, name)

            def sum(self, *args, **options):
                made.append(args)
                if len(made) >= Interrupted.sums:
                    raise KeyboardInterrupt
                return data.sum(*args, **options)

        objective.data = Data()
        return objective


def test_an_interrupt_leaves_a_fitted_estimator_as_it_was(problem):
    X, y, Y = problem
    clf = Interrupted().fit(X, y)
    state = vars(clf).copy()
    for solver in ("newton-cg", "lbfgs"):
        for number in (1, 2, 4):
            clf.set_params(solver=solver)
            state["solver"] = solver
            Interrupted.sums = number
            with pytest.raises(KeyboardInterrupt):
                clf.fit(X[:, :2], Y)
            Interrupted.sums = np.inf
            assert vars(clf) == state


def test_an_error_at_the_end_leaves_an_estimator_that_is_not_fitted(problem):
    class Failing(SoftmaxClassifier):
        def _store(self, *args):
            raise ZeroDivisionError

    X, y, _ = problem
    fresh = Failing()
    with pytest.raises(ZeroDivisionError):
        fresh.fit(X, y)
    with pytest.raises(NotFittedError):
        fresh.predict(X)


def test_wrong_number_of_features_at_predict(fitted):
    clf, X, _ = fitted
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(
            ValueError, match="X has 3 features, but SoftmaxClassifier is expecting 4"
        ):
            getattr(clf, method)(X[:, :3])
        with pytest.raises(NotFittedError):
            getattr(clone(clf), method)(X)
    for method in ("sparsify", "densify", "to_sklearn"):
        with pytest.raises(NotFittedError):
            getattr(clone(clf), method)()


def test_pickle_joblib_and_clone(fitted, tmp_path):
    clf, X, y = fitted
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    joblib.dump(clf, tmp_path / "clf.joblib")
    assert_array_equal(joblib.load(tmp_path / "clf.joblib").predict(X), clf.predict(X))
    assert_array_equal(clone(clf).fit(X, y).coef_, clf.coef_)


def test_class_weight_equals_sample_weight_on_labels(problem):
    X, y, _ = problem
    weight = {0: 0.5, 1: 3.0, 2: 1.0}
    per_row = np.array([weight[k] for k in y])
    for loss in ("categorical", "binary"):
        by_class = SoftmaxClassifier(loss=loss, class_weight=weight, tol=1e-12).fit(X, y)
        by_row = SoftmaxClassifier(loss=loss, tol=1e-12).fit(X, y, sample_weight=per_row)
        assert_same_fit(by_class, by_row)


# ------------------------------------------------------------------- what is refused at the door
def set_by_hand(problem, **attributes):
    X, y, _ = problem
    clf = SoftmaxClassifier(warm_start=True).fit(X, y)
    vars(clf).update(attributes)
    return clf


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"coef_": np.full((3, 4), np.nan)}, "warm_start=True starts from coef_, which is not finite in row 0"),
        ({"intercept_": np.array([0, np.inf, 0])}, "warm_start=True starts from intercept_.*row 1"),
        ({"coef_": np.zeros((2, 4))}, r"warm_start=True needs.*coef_ of shape \(2, 4\)"),
        ({"coef_": np.zeros(4)}, r"warm_start=True needs.*coef_ of shape \(4,\)"),
        ({"coef_": None}, "coef_ must be a number, got None"),
        ({"coef_": [["a"] * 4] * 3}, "coef_ must hold numbers"),
        ({"intercept_": np.zeros(2)}, r"intercept_, which has shape \(2,\)"),
        ({"classes_": None}, "classes_"),
        ({"classes_": np.array([0, 1, 9])}, r"for classes \[0, 1, 9\]"),
    ],
)  # fmt: skip
def test_a_warm_start_from_what_is_no_start_is_refused(attributes, message, problem):
    clf = set_by_hand(problem, **attributes)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=message):
        clf.fit(problem[0], problem[1])
    assert vars(clf) == before


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("factor", [-1e3, 1e8, 1e100, 1e300])
def test_a_warm_start_far_off_ends_where_a_cold_one_does(factor, l1_ratio, problem):
    X, y, _ = problem
    cold = SoftmaxClassifier(l1_ratio=l1_ratio).fit(X, y)
    far = set_by_hand(problem, coef_=cold.coef_ * factor, l1_ratio=l1_ratio).fit(X, y)
    assert_allclose(far.coef_, cold.coef_, atol=1e-5)
    shifted = set_by_hand(problem, intercept_=factor * np.array([1.0, 0, -1]), l1_ratio=l1_ratio)
    assert_allclose(shifted.fit(X, y).coef_, cold.coef_, atol=1e-5)


def inconsistent(kind):
    X = sp.csr_array(np.ones((60, 4))).asformat(kind)
    if kind == "coo":
        X.row[3] = 10**6
    else:
        X.indices[3] = 10**6
    return X


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_sparse_x_with_indices_out_of_range_is_refused_before_it_is_read(kind, problem):
    X, y, _ = problem
    bad, clf = inconsistent(kind), SoftmaxClassifier().fit(X, y)
    calls = [
        lambda: SoftmaxClassifier().fit(bad, y),
        lambda: SoftmaxClassifierCV(Cs=2).fit(bad, y),
        lambda: softmax_path(bad, y, Cs=2),
        lambda: clf.score(bad, y),
        *(
            lambda name=name: getattr(clf, name)(bad)
            for name in ("predict", "predict_proba", "predict_log_proba", "decision_function")
        ),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"X is a sparse .* index 1000000 at position 3"):
            call()


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8, np.float32, np.float64])
def test_sparse_columns_of_pandas_equal_dense_ones(dtype, rng):
    dense = pd.get_dummies(pd.Series(rng.choice(list("abcd"), 60)), dtype=dtype)
    y = rng.integers(0, 3, 60)
    for loss, t in (("categorical", y), ("binary", y > 0)):
        one, other = (
            SoftmaxClassifier(loss=loss).fit(X, t)
            for X in (dense.astype(pd.SparseDtype(dtype, dtype(0))), dense)
        )
        assert_allclose(one.coef_, other.coef_, rtol=1e-4, atol=1e-6)
        assert_allclose(one.predict_proba(dense), other.predict_proba(dense), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: np.ma.array(X, mask=X > 1), ValueError, "X is a masked array"),
        (lambda X: X.astype("datetime64[s]"), TypeError, "X has dtype datetime64"),
        (lambda X: pd.DataFrame(X).astype("datetime64[s]"), TypeError, "column 0 of X has dtype"),
        (lambda X: [[10**400] * 4] * 60, ValueError, "X holds a number outside the range"),
        (lambda X: np.full(X.shape, np.longdouble("1e4000")), ValueError, "X.*(infinity|outside)"),
        (lambda X: X.astype(object) * 1j, (TypeError, ValueError), "X: "),
        (lambda X: [["a"] * 4] * 60, ValueError, "X: could not convert"),
        (lambda X: [{}] * 60, TypeError, "X: "),
        (lambda X: [[1.0, 2.0], [1.0]], ValueError, "X: .*inhomogeneous"),
        (lambda X: X[:, :0], ValueError, r"X: .*0 feature\(s\)"),
        (lambda X: sp.csr_array(X * 1j), ValueError, "X: Complex data"),
    ],
)
def test_x_that_holds_no_numbers_is_named(change, error, message, problem):
    X, y, _ = problem
    clf = SoftmaxClassifier().fit(X, y)
    with pytest.raises(error, match=message):
        SoftmaxClassifier().fit(change(X), y)
    with pytest.raises(error, match=message):
        clf.predict(change(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_out_of_range_are_an_error_and_no_nan(dtype, problem):
    X, y, _ = problem
    clf = SoftmaxClassifier().fit(X.astype(dtype), y)
    X = X.astype(dtype)
    X[5] = np.finfo(dtype).max
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(
            ValueError, match=rf"logits of row 5 of X are outside.*{dtype.__name__}"
        ):
            getattr(clf, name)(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"C": 10**400}, "'C' parameter"),
        ({"tol": 10**400}, "'tol' parameter"),
        ({"l1_ratio": np.timedelta64(0, "s")}, "'l1_ratio' parameter"),
        ({"label_smoothing": Fraction(1, 3)}, "'label_smoothing' parameter"),
        ({"max_iter": np.timedelta64(9, "s")}, "'max_iter' parameter"),
        ({"verbose": np.timedelta64(0, "s")}, "'verbose' parameter"),
        ({"coef_bounds": (0, 10**400)}, "coef_bounds: high"),
        ({"coef_bounds": (np.datetime64("2020"), None)}, "coef_bounds: low has dtype datetime64"),
        ({"coef_bounds": (None, "1")}, "coef_bounds: high must hold numbers"),
        ({"penalty_weights": [1, 1, 1, 10**400]}, "penalty_weights at position 3"),
        (
            {"penalty_weights": np.ones(4, "timedelta64[s]")},
            "penalty_weights has dtype timedelta64",
        ),
        ({"class_weight": {0: "a"}}, r"class_weight\[0\] must be a number, got 'a'"),
        ({"class_weight": {0: 10**400}}, r"class_weight\[0\] is outside the range"),
        ({"class_weight": {0: None}}, r"class_weight\[0\] must be a number, got None"),
    ],
)
def test_parameters_that_are_no_numbers_are_named(parameters, message, problem):
    X, y, _ = problem
    with pytest.raises((ValueError, TypeError), match=message):
        SoftmaxClassifier(**parameters).fit(X, y)


def test_float16_parameters_are_numbers(problem):
    X, y, _ = problem
    half = SoftmaxClassifier(C=np.float16(0.5), l1_ratio=np.float16(0.5), tol=np.float16(1e-4))
    same = SoftmaxClassifier(C=0.5, l1_ratio=0.5, tol=float(np.float16(1e-4)))
    assert_array_equal(half.fit(X, y).coef_, same.fit(X, y).coef_)


def test_negative_weights_are_refused_in_score(problem):
    X, y, Y = problem
    for target in (y, Y):
        clf = SoftmaxClassifier().fit(X, target)
        with pytest.raises(ValueError, match="sample_weight must not be negative, but row 0"):
            clf.score(X, target, -np.ones(len(X)))


def test_estimators_that_an_earlier_version_pickled_load_and_predict():
    file = Path(__file__).with_name("fitted.pkl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        X, fitted = pickle.loads(file.read_bytes())
    for name, (model, proba) in fitted.items():
        found = model.predict_proba(X.astype(model.intercept_.dtype))
        assert_allclose(found, proba, rtol=1e-6, err_msg=name)
        assert model.optimize_result_.success
