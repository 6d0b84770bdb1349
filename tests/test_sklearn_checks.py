"""scikit-learn's own checks of estimators, and its tools with an estimator inside."""

import numpy as np
import pandas as pd
import pytest
import scipy
import sklearn
from numpy.testing import assert_allclose
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import (
    check_class_weight_balanced_linear_classifier,
    check_class_weight_classifiers,
    parametrize_with_checks,
)
from sklearn.utils.fixes import parse_version

import skce
from skce import SoftmaxClassifier, SoftmaxClassifierCV

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

ESTIMATORS = [
    SoftmaxClassifier(),
    SoftmaxClassifier(loss="categorical"),
    SoftmaxClassifier(loss="binary"),
    SoftmaxClassifier(solver="newton-cg"),
    SoftmaxClassifier(solver="lbfgs"),
    SoftmaxClassifier(fit_intercept=False),
    SoftmaxClassifier(C=np.inf),
    SoftmaxClassifier(class_weight="balanced"),
    SoftmaxClassifier(label_smoothing=0.1),
    SoftmaxClassifier(l1_ratio=1.0),
    SoftmaxClassifier(l1_ratio=0.5),
    SoftmaxClassifier(coef_bounds=(-2, 2)),
    SoftmaxClassifier(l1_ratio=0.5, coef_bounds=(-2, 2)),
    SoftmaxClassifierCV(cv=3),
    SoftmaxClassifierCV(Cs=3, cv=3),
    SoftmaxClassifierCV(Cs=3, cv=3, l1_ratios=[0.0, 1.0]),
]


def expected_failures(estimator):
    """The checks that cannot pass. LogisticRegression does not pass them either."""
    failures = {}
    if parse_version(scipy.__version__) < parse_version("1.14"):
        failures["check_array_api_input"] = "scikit-learn dispatches with SciPy 1.14 and later."
    if not estimator.fit_intercept:
        failures["check_class_weight_classifiers"] = (
            "Without an intercept no class weight makes a linear model predict one class for "
            "nearly all rows of centred blobs."
        )
    return failures


# Some checks draw classes that can be separated: with C=np.inf they have no optimum, and the
# estimator says so.
@pytest.mark.filterwarnings("ignore:.*C=inf:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_estimator_checks(estimator, check):
    check(estimator)


def test_the_expected_failure_is_logistic_regressions_too():
    with pytest.raises(AssertionError):
        check_class_weight_classifiers(
            "LogisticRegression", LogisticRegression(fit_intercept=False)
        )


@pytest.mark.parametrize("loss", ["auto", "categorical", "binary"])
def test_balanced_class_weights_of_a_linear_classifier(loss):
    # scikit-learn runs this check only on subclasses of its own mixin.
    check_class_weight_balanced_linear_classifier("SoftmaxClassifier", SoftmaxClassifier(loss=loss))


# ------------------------------------------------------------------------------ tools, on labels
GRID = {"C": [0.01, 1.0, 100.0]}


@pytest.mark.parametrize(
    "search",
    [
        GridSearchCV(SoftmaxClassifier(), GRID),
        RandomizedSearchCV(SoftmaxClassifier(), GRID, n_iter=2, random_state=0),
        HalvingGridSearchCV(SoftmaxClassifier(), GRID, random_state=0),
        GridSearchCV(
            make_pipeline(StandardScaler(), SoftmaxClassifier()),
            {"softmaxclassifier__C": [0.1, 1]},
            n_jobs=2,
        ),
        CalibratedClassifierCV(SoftmaxClassifier(), cv=2),
        StackingClassifier([("a", SoftmaxClassifier()), ("b", SoftmaxClassifier(C=9))]),
        OneVsRestClassifier(SoftmaxClassifier()),
        make_pipeline(SelectFromModel(SoftmaxClassifier()), SoftmaxClassifier()),
    ],
    ids=lambda search: type(search).__name__,
)
def test_meta_estimators(search, problem):
    X, y, _ = problem
    labels = np.array(["a", "b", "c"])[y]
    assert search.fit(X, labels).score(X, labels) > 0.5
    assert_allclose(search.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_select_from_model_takes_the_threshold_of_logistic_regression(l1_ratio, n_classes, problem):
    X, y, _ = problem
    X, y = np.hstack([X, X[::-1]]), np.minimum(y, n_classes - 1)
    ours = SoftmaxClassifier(C=0.1, l1_ratio=l1_ratio).fit(X, y)
    theirs = ours.to_sklearn()
    if l1_ratio == 1 and getattr(theirs, "penalty", "deprecated") != "deprecated":
        theirs.penalty = "l1"  # scikit-learn reads this before version 1.8
    # Their coefficients are those of the second class minus those of the first.
    selected, want = (SelectFromModel(clf, prefit=True).fit(X) for clf in (ours, theirs))
    assert_allclose(selected.threshold_, want.threshold_)
    if l1_ratio == 1:
        assert selected.threshold_ == 1e-5
        used = (ours.coef_ != 0).any(axis=0)
        assert 0 < used.sum() < 8
        assert (selected.get_support() == used).all()


@pytest.mark.parametrize("refit", [True, False])
def test_select_from_model_knows_what_the_choice_of_c_chose(refit, problem):
    X, y, _ = problem
    for l1_ratios, lasso in (([1.0], True), ([0.0], False), ([0.5], False)):
        clf = SoftmaxClassifierCV(Cs=[0.1, 1], l1_ratios=l1_ratios, refit=refit)
        assert (SelectFromModel(clf).fit(X, y).threshold_ == 1e-5) == lasso
    clf = SoftmaxClassifierCV(Cs=[0.1, 1], l1_ratios=[0.0, 1.0])
    assert not hasattr(clf, "penalty")
    clf.fit(X, y)
    threshold = SelectFromModel(clf, prefit=True).fit(X).threshold_
    assert (threshold == 1e-5) == (clf.l1_ratio_ == 1)


@pytest.mark.parametrize("loss", ["auto", "categorical", "binary"])
def test_bagging_of_a_rare_class(loss, rng):
    X = rng.normal(size=(200, 3))
    y = np.zeros(200, dtype=int)
    y[:2] = 1
    C = 0.5 if loss == "categorical" else 1  # each of its two rows is penalised
    ours, theirs = (
        BaggingClassifier(clf, n_estimators=30, random_state=0).fit(X, y).predict_proba(X)
        for clf in (SoftmaxClassifier(C, loss=loss), LogisticRegression(tol=1e-8))
    )
    assert_allclose(ours, theirs, atol=1e-4)


def test_grid_search_picks_what_logistic_regression_picks(problem):
    X, y, _ = problem
    ours, theirs = (
        GridSearchCV(model, GRID, scoring="neg_log_loss").fit(X, y)
        for model in (SoftmaxClassifier(), LogisticRegression(max_iter=10_000, tol=1e-8))
    )
    assert ours.best_params_ == theirs.best_params_
    for key in ("mean_test_score", "std_test_score"):
        assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], rtol=1e-5)


def test_cross_validation_on_labels(problem):
    X, y, _ = problem
    scores = cross_validate(SoftmaxClassifier(), X, y, return_train_score=True)
    assert (scores["train_score"] > 0.5).all()
    proba = cross_val_predict(SoftmaxClassifier(), X, y, method="predict_proba")
    assert_allclose(proba.sum(axis=1), 1)


def test_column_transformer_on_a_data_frame(problem):
    X, y, _ = problem
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.array(["u", "v", "w"])[y])
    columns = ColumnTransformer(
        [("scaled", StandardScaler(), list("abcd")), ("coded", OneHotEncoder(), ["kind"])]
    ).set_output(transform="default")
    model = make_pipeline(columns, SoftmaxClassifier()).fit(frame, y)
    assert model.score(frame, y) == 1


def test_set_params_changes_the_next_fit(problem):
    X, y, _ = problem
    clf = SoftmaxClassifier(C=0.01).fit(X, y)
    coef = clf.coef_
    clf.set_params(C=10.0)
    assert clf.coef_ is coef
    assert np.abs(clf.fit(X, y).coef_).sum() > np.abs(coef).sum()
    with pytest.raises(ValueError, match="Invalid parameter 'gamma'"):
        clf.set_params(gamma=1)


# ----------------------------------------------------------------------- tools, on probabilities
def test_grid_search_and_cross_validation_on_probability_targets(problem):
    X, _, Y = problem
    search = GridSearchCV(SoftmaxClassifier(), GRID, cv=KFold(4)).fit(X, Y)
    mean = [
        np.mean(
            [
                SoftmaxClassifier(C=C).fit(X[train], Y[train]).score(X[test], Y[test])
                for train, test in KFold(4).split(X)
            ]
        )
        for C in GRID["C"]
    ]
    assert_allclose(search.cv_results_["mean_test_score"], mean)
    assert search.best_params_["C"] == GRID["C"][int(np.argmax(mean))]
    assert len(cross_val_score(SoftmaxClassifier(), X, Y)) == 5


def test_grid_search_with_log_loss_on_probability_targets(problem):
    X, _, Y = problem
    scorer = make_scorer(skce.log_loss, greater_is_better=False, response_method="predict_proba")
    search = GridSearchCV(SoftmaxClassifier(), GRID, scoring=scorer, cv=KFold(4)).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_sample_weight_is_routed(problem):
    X, y, _ = problem
    weights = np.arange(1.0, 61)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = SoftmaxClassifier().set_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=True)
        scores = cross_validate(
            clf, X, y, params={"sample_weight": weights}, cv=KFold(3), return_estimator=True
        )
        plain = cross_validate(
            SoftmaxClassifier().set_fit_request(sample_weight=False), X, y, cv=KFold(3),
            return_estimator=True, params={},
        )  # fmt: skip
    train, test = next(KFold(3).split(X))
    by_hand = SoftmaxClassifier().fit(X[train], y[train], weights[train])
    assert_allclose(scores["estimator"][0].coef_, by_hand.coef_)
    assert_allclose(scores["test_score"][0], by_hand.score(X[test], y[test], weights[test]))
    assert np.abs(plain["estimator"][0].coef_ - by_hand.coef_).max() > 1e-3


def test_neg_log_loss_is_the_library_log_loss_on_labels(problem):
    X, y, _ = problem
    proba = SoftmaxClassifier().fit(X, y).predict_proba(X)
    assert skce.log_loss(y, proba) == pytest.approx(log_loss(y, proba), rel=1e-15)
