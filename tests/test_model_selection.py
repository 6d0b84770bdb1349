"""Scorers, cross-validated probabilities and stratified folds, for probability targets."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import check_scoring
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LearningCurveDisplay,
    StratifiedKFold,
    ValidationCurveDisplay,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skce import SoftmaxClassifier
from skce.metrics import (
    d2_log_loss_score,
    d2_log_loss_scorer,
    kl_divergence,
    log_loss,
    make_log_loss_scorer,
    neg_log_loss_scorer,
)
from skce.model_selection import StratifiedProbabilityKFold, cross_val_predict_proba

CS = [0.01, 0.1, 1.0, 10.0]
CV = KFold(3, shuffle=True, random_state=0)


@pytest.fixture
def soft(rng):
    X, y = load_iris(return_X_y=True)
    Y = 0.5 * np.eye(3)[y] + 0.5 * rng.dirichlet([1, 1, 1], size=len(y))
    return X, Y, rng.integers(0, 4, len(y)).astype(float) + 0.5


def by_hand(X, Y, w=None, loss="auto"):
    """Mean log-loss over folds for each C."""
    scores = []
    for C in CS:
        folds = []
        for train, test in CV.split(X):
            fit_weight, test_weight = (None, None) if w is None else (w[train], w[test])
            clf = SoftmaxClassifier(C=C, loss=loss).fit(X[train], Y[train], fit_weight)
            p = clf.predict_proba(X[test])
            if loss == "binary":
                losses = -(Y[test] * np.log(p) + (1 - Y[test]) * np.log(1 - p)).mean(axis=1)
            else:
                losses = -(Y[test] * np.log(p)).sum(axis=1)
            folds.append(np.average(losses, weights=test_weight))
        scores.append(np.mean(folds))
    return np.array(scores)


def test_grid_search_picks_the_c_of_a_hand_written_loop(soft):
    X, Y, _ = soft
    search = GridSearchCV(SoftmaxClassifier(), {"C": CS}, scoring=neg_log_loss_scorer, cv=CV)
    search.fit(X, Y)
    want = by_hand(X, Y)
    assert_allclose(-search.cv_results_["mean_test_score"], want, rtol=1e-10)
    assert search.best_params_["C"] == CS[want.argmin()]
    assert_allclose(search.score(X, Y), -log_loss(Y, search.predict_proba(X)))


def test_weights_are_routed(soft):
    X, Y, w = soft
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = clone(neg_log_loss_scorer).set_score_request(sample_weight=True)
        clf = SoftmaxClassifier().set_fit_request(sample_weight=True)
        search = GridSearchCV(clf, {"C": CS}, scoring=scorer, cv=CV).fit(X, Y, sample_weight=w)
        want = by_hand(X, Y, w)
        assert_allclose(-search.cv_results_["mean_test_score"], want, rtol=1e-10)
        assert search.best_params_["C"] == CS[want.argmin()]
        pipe = make_pipeline(MinMaxScaler(), clf)
        found = cross_validate(pipe, X, Y, scoring=scorer, cv=CV, params={"sample_weight": w})
        unweighted = cross_validate(pipe, X, Y, scoring=neg_log_loss_scorer, cv=CV, params={})
        assert (found["test_score"] != unweighted["test_score"]).all()
        p = cross_val_predict_proba(clf, X, Y, cv=CV, params={"sample_weight": w})
        train, test = next(CV.split(X))
        want = SoftmaxClassifier().fit(X[train], Y[train], w[train]).predict_proba(X[test])
        assert_allclose(p[test], want, rtol=1e-12)
    requests = neg_log_loss_scorer.get_metadata_routing().score.requests
    assert requests == {"sample_weight": None, "offset": None}


def test_multilabel_and_two_columns_are_scored_as_they_are(soft):
    X, Y, _ = soft
    labels = np.column_stack([Y[:, 0], Y[:, 1]])
    scorer = make_log_loss_scorer(loss="binary")
    search = GridSearchCV(SoftmaxClassifier(loss="binary"), {"C": CS}, scoring=scorer, cv=CV)
    search.fit(X, labels)
    want = by_hand(X, labels, loss="binary")
    assert_allclose(-search.cv_results_["mean_test_score"], want, rtol=1e-10)
    two = np.column_stack([Y[:, 0], 1 - Y[:, 0]])
    clf = SoftmaxClassifier().fit(X, two)
    assert neg_log_loss_scorer(clf, X, two) == -log_loss(two, clf.predict_proba(X))
    clf = SoftmaxClassifier(loss="binary").fit(X, Y[:, 0])
    assert neg_log_loss_scorer(clf, X, Y[:, 0]) == -log_loss(Y[:, 0], clf.predict_proba(X))
    indicator = (Y > 0.4).astype(int)
    forest = RandomForestClassifier(10, random_state=0).fit(X, indicator)
    p = np.column_stack([q[:, 1] for q in forest.predict_proba(X)])
    assert scorer(forest, X, indicator) == -log_loss(indicator, p, loss="binary")


def test_scorers_work_wherever_scoring_is_taken(soft):
    X, Y, w = soft
    clf = SoftmaxClassifier()
    scores = cross_validate(
        clf, X, Y, scoring={"loss": neg_log_loss_scorer, "d2": d2_log_loss_scorer}, cv=CV
    )
    assert (scores["test_loss"] < 0).all()
    assert ((scores["test_d2"] > 0) & (scores["test_d2"] < 1)).all()
    _, train, test = learning_curve(clf, X, Y, scoring=neg_log_loss_scorer, cv=CV, shuffle=True)
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()
    _, test = validation_curve(
        clf, X, Y, param_name="C", param_range=CS, scoring=neg_log_loss_scorer, cv=CV
    )
    assert_allclose(-test.mean(axis=1), by_hand(X, Y), rtol=1e-10)
    clf.fit(X, Y)
    found = permutation_importance(
        clf, X, Y, scoring=neg_log_loss_scorer, sample_weight=w, random_state=0, n_repeats=3
    )
    assert found.importances_mean.max() > 0
    got = make_log_loss_scorer(kl_divergence)(clf, X, Y, sample_weight=w)
    assert got == -kl_divergence(Y, clf.predict_proba(X), sample_weight=w)
    got = make_log_loss_scorer(label_smoothing=0.1)(clf, X, Y)
    assert got == -log_loss(Y, clf.predict_proba(X), label_smoothing=0.1)
    assert d2_log_loss_scorer(clf, X, Y) == d2_log_loss_score(Y, clf.predict_proba(X))


def test_labels_that_a_fold_lacks_are_known_from_the_estimator():
    X, y = load_iris(return_X_y=True)
    cv = [(np.arange(150), np.arange(50)), (np.arange(150), np.arange(50, 150))]
    scores = cross_val_score(SoftmaxClassifier(), X, y, scoring=neg_log_loss_scorer, cv=cv)
    assert np.isfinite(scores).all()
    names = np.array(["c", "a", "b"])[y]
    got = neg_log_loss_scorer(LogisticRegression(max_iter=1000).fit(X, names), X[:50], names[:50])
    assert got < 0


def test_scorers_check_what_they_are_given(soft):
    X, Y, _ = soft
    with pytest.raises(ValueError, match="metric must be one of the functions log_loss"):
        make_log_loss_scorer(sklearn.metrics.accuracy_score)
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    clf = SoftmaxClassifier().fit(X, frame)
    with pytest.raises(ValueError, match="classes of the fit"):
        neg_log_loss_scorer(clf, X, frame.rename(columns={"a": "d"}))
    with pytest.raises(ValueError, match="y has 2 columns, but the fit had 3 classes"):
        neg_log_loss_scorer(clf, X, Y[:, :2])
    with pytest.raises(ValueError, match=r"y holds 0, which is no label beside.*\['a', 'b', 'c'\]"):
        neg_log_loss_scorer(clf, X, np.zeros(len(X), dtype=int))


SCORERS = {
    "neg_log_loss": neg_log_loss_scorer,
    "d2_log_loss_score": d2_log_loss_scorer,
    "neg_kl_divergence": make_log_loss_scorer(kl_divergence),
    "neg_log_loss, smoothed": make_log_loss_scorer(label_smoothing=0.1),
}


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_find_columns_by_name(name, soft):
    X, Y, w = soft
    scorer = SCORERS[name]
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    want = scorer(SoftmaxClassifier().fit(X, frame), X, frame, sample_weight=w)
    for fitted in (["a", "b", "c"], ["c", "a", "b"]):
        clf = SoftmaxClassifier().fit(X, frame[fitted])
        for order in (["a", "b", "c"], ["c", "a", "b"], ["b", "a", "c"]):
            assert_allclose(scorer(clf, X, frame[order], sample_weight=w), want, rtol=1e-12)
    unnamed = SoftmaxClassifier().fit(X, frame[["c", "a", "b"]].to_numpy())
    assert_allclose(scorer(unnamed, X, frame[["c", "a", "b"]], sample_weight=w), want, rtol=1e-6)


class Unsorted(LogisticRegression):
    """An estimator whose classes are not in the order of scikit-learn."""

    def fit(self, X, y):
        super().fit(X, y)
        order = np.arange(len(self.classes_))[::-1]
        self.classes_, self.coef_ = self.classes_[order], self.coef_[order]
        self.intercept_ = self.intercept_[order]
        return self


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_find_classes_of_an_estimator_in_any_order(name, soft):
    X, Y, _ = soft
    labels = np.array(["a", "b", "c"])[Y.argmax(axis=1)]
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    one, other = (kind(max_iter=1000).fit(X, labels) for kind in (LogisticRegression, Unsorted))
    assert one.classes_.tolist() == other.classes_.tolist()[::-1]
    for y in (labels, frame, frame[["c", "b", "a"]]):
        assert_allclose(SCORERS[name](other, X, y), SCORERS[name](one, X, y), rtol=1e-12)


@pytest.mark.parametrize("kind", ["strings", "integers", "objects", "floats", "bools", "dates"])
def test_a_class_that_only_the_test_rows_have_costs_what_a_predicted_zero_costs(kind, soft):
    X, Y, _ = soft
    names = {
        "strings": np.array(["a", "b", "longer"]),
        "integers": np.array([7, -3, 2]),
        "objects": np.array(["a", "b", "longer"], dtype=object),
        "floats": np.array([2.0, 0.0, 1.0]),
        "bools": np.array([True, False, 2], dtype=object),
        "dates": np.array(["2021-01-01", "2020-01-01", "2022-01-01"], dtype="datetime64[ns]"),
    }[kind]
    y = names[Y.argmax(axis=1)]
    seen = y != names[2]
    clf = SoftmaxClassifier().fit(X[seen], y[seen].astype(bool) if kind == "bools" else y[seen])
    score = neg_log_loss_scorer(clf, X, y)
    known = -neg_log_loss_scorer(clf, X[seen], y[seen])
    cost = -np.log(np.finfo(float).eps)
    assert_allclose(-score, seen.mean() * known + (1 - seen.mean()) * cost, rtol=1e-12)
    only = neg_log_loss_scorer(clf, X[~seen], y[~seen])
    assert_allclose(only, -cost)
    assert make_log_loss_scorer(clip=False)(clf, X, y) == -np.inf
    assert d2_log_loss_scorer(clf, X, y) < 0
    if kind != "dates":
        frame = pd.DataFrame(np.eye(3)[Y.argmax(axis=1)], columns=pd.Index(names, dtype=object))
        assert_allclose(neg_log_loss_scorer(clf, X, frame), score, rtol=1e-12)


def test_a_search_is_decided_by_the_classes_that_its_fits_have_seen(rng):
    X = rng.normal(size=(200, 4))
    y = (X[:, 0] + 0.5 * rng.normal(size=200) > 0).astype(int)
    y[-1] = 2
    grid = {"C": [1e-4, 1.0, 100.0]}
    search = GridSearchCV(SoftmaxClassifier(), grid, scoring=neg_log_loss_scorer, cv=KFold(5))
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    others = [search.cv_results_[f"split{k}_test_score"] for k in range(4)]
    assert search.best_index_ == np.mean(others, axis=0).argmax()


@pytest.mark.parametrize(
    ("scorer", "name", "shown"),
    [
        (neg_log_loss_scorer, "neg_log_loss", "Negative log loss"),
        (d2_log_loss_scorer, "d2_log_loss_score", "D2 log loss score"),
        (make_log_loss_scorer(kl_divergence), "neg_kl_divergence", "Negative kl divergence"),
    ],
)
def test_scorers_have_a_name_that_displays_show(scorer, name, shown, soft):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    X, Y, _ = soft
    assert (
        scorer.__name__
        == clone(scorer).__name__
        == pickle.loads(pickle.dumps(scorer)).__name__
        == name
    )
    options = {"scoring": scorer, "cv": CV}
    for y in (Y, Y.argmax(axis=1)):
        display = LearningCurveDisplay.from_estimator(
            SoftmaxClassifier(), X, y, shuffle=True, random_state=0, **options
        )
        assert display.ax_.get_ylabel() == shown
        display = ValidationCurveDisplay.from_estimator(
            SoftmaxClassifier(), X, y, param_name="C", param_range=[0.1, 1], **options
        )
        assert display.ax_.get_ylabel() == shown
    plt.close("all")


def test_scorers_are_one_of_several_and_in_scikit_learns_own_choice_of_c(soft):
    X, Y, w = soft
    y = Y.argmax(axis=1)
    several = check_scoring(
        SoftmaxClassifier(), scoring={"a": neg_log_loss_scorer, "b": "accuracy"}
    )
    clf = SoftmaxClassifier().fit(X, y)
    found = several(clf, X, y, sample_weight=w)
    assert found["a"] == neg_log_loss_scorer(clf, X, y, sample_weight=w)
    model = LogisticRegressionCV(Cs=[0.1, 1], scoring=neg_log_loss_scorer, max_iter=1000, cv=CV)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        ours, theirs = model.fit(X, y), clone(model).set_params(scoring="neg_log_loss").fit(X, y)
        assert_allclose(np.array([*ours.scores_.values()]), np.array([*theirs.scores_.values()]))


def test_folds_and_predictions_of_unsorted_columns(soft):
    X, Y, _ = soft
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    for cv in (CV, StratifiedProbabilityKFold(3)):
        want = cross_val_predict_proba(SoftmaxClassifier(), X, frame, cv=cv)
        got = cross_val_predict_proba(SoftmaxClassifier(), X, frame[["c", "a", "b"]], cv=cv)
        assert_allclose(got, want, rtol=1e-9)


def test_cross_validated_probabilities(soft):
    X, Y, w = soft
    p = cross_val_predict_proba(SoftmaxClassifier(), X, Y, cv=CV, params={"sample_weight": w})
    for train, test in CV.split(X):
        clf = SoftmaxClassifier().fit(X[train], Y[train], w[train])
        assert_allclose(p[test], clf.predict_proba(X[test]), rtol=1e-12)
    frame = pd.DataFrame(Y, columns=["a", "b", "c"])
    unweighted = cross_val_predict_proba(SoftmaxClassifier(), X, frame, cv=CV, n_jobs=2)
    assert_allclose(unweighted, cross_val_predict_proba(SoftmaxClassifier(), X, Y, cv=CV))
    labels = Y.argmax(axis=1)
    want = cross_val_predict(SoftmaxClassifier(), X, labels, cv=CV, method="predict_proba")
    assert_array_equal(cross_val_predict_proba(SoftmaxClassifier(), X, labels, cv=CV), want)
    clf = SoftmaxClassifier(loss="binary")
    one = cross_val_predict_proba(clf, X, Y[:, 0], cv=CV)
    train, test = next(CV.split(X))
    assert_allclose(one[test], clf.fit(X[train], Y[train, 0]).predict_proba(X[test]), rtol=1e-12)


def test_folds_have_nearly_the_same_target_mass(rng):
    Y = rng.dirichlet(np.full(4, 0.4), size=997)
    Y = Y[Y.argmax(axis=1).argsort()]  # the worst case for folds in order

    def spread(cv, y=Y):
        return np.ptp([y[test].mean(axis=0) for _, test in cv.split(np.zeros((997, 1)), y)], axis=0)

    for cv in (
        StratifiedProbabilityKFold(5),
        StratifiedProbabilityKFold(5, shuffle=True, random_state=0),
    ):
        tests = [test for _, test in cv.split(np.zeros((997, 1)), Y)]
        assert_array_equal(np.sort(np.concatenate(tests)), np.arange(997))
        assert {len(test) for test in tests} == {199, 200}
        shuffled = [KFold(5, shuffle=True, random_state=seed) for seed in range(20)]
        assert (spread(cv) < np.mean([spread(other) for other in shuffled], axis=0) / 2).all()
        p = rng.random(997)
        assert spread(cv, p) < np.mean([spread(other, p) for other in shuffled]) / 3
    labels = Y.argmax(axis=1)
    for (_, got), (_, want) in zip(
        StratifiedProbabilityKFold(5).split(Y, labels),
        StratifiedKFold(5).split(Y, labels),
        strict=True,
    ):
        assert_array_equal(got, want)
    score = cross_val_score(
        SoftmaxClassifier(), Y, Y, cv=StratifiedProbabilityKFold(3), scoring=neg_log_loss_scorer
    )
    assert np.isfinite(score).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cv": []}, "cv gives no folds"),
        ({"cv": [([0.0], [1])]}, "must be a list of row numbers"),
        ({"cv": [(range(12), range(99))]}, "hold 12, but X has rows 0 to 11"),
        ({"cv": "folds"}, "'cv' parameter"),
        ({"y": scipy.sparse.csr_array(np.eye(12))}, "sparse y is not supported"),
        ({"y": [None] * 12}, "y has no label in row 0"),
        ({"estimator": "none"}, "estimator must have fit and predict_proba"),
        ({"n_jobs": 10**400}, "'n_jobs' parameter"),
        ({"params": {0: 1}}, "params must have strings as keys"),
        ({"X": np.ma.array(np.ones((12, 2)), mask=True)}, "X is a masked array"),
    ],
)
def test_bad_arguments_of_cross_validation_are_named(arguments, message):
    valid = {"estimator": SoftmaxClassifier(), "X": np.eye(12), "y": np.arange(12) % 2, "cv": 2}
    with pytest.raises((ValueError, TypeError), match=message):
        cross_val_predict_proba(**{**valid, **arguments})


@pytest.mark.parametrize("argument", ["X", "groups"])
def test_cross_validation_refuses_inconsistent_sparse_matrices_before_it_slices_them(argument):
    bad = scipy.sparse.csc_array(np.ones((12, 2)))
    bad.indices[0] = 10**6
    y = np.arange(12) % 2
    arguments = {"X": np.ones((12, 2)), "groups": None, argument: bad}
    with pytest.raises(ValueError, match=f"{argument} is a sparse CSC matrix"):
        cross_val_predict_proba(SoftmaxClassifier(), y=y, **arguments)
    with pytest.raises(ValueError, match=f"{argument} is a sparse CSC matrix"):
        list(StratifiedProbabilityKFold().split(y=y, **arguments))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_splits": "2"}, "n_splits must be an integer"),
        ({"n_splits": np.timedelta64(2, "s")}, "n_splits must be an integer"),
        ({"shuffle": "yes"}, "shuffle must be True or False"),
        ({"random_state": 10**400, "shuffle": True}, "random_state: "),
    ],
)
def test_bad_parameters_of_folds_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        list(StratifiedProbabilityKFold(**parameters).split(np.eye(12), np.arange(12) % 2))


def test_groups_that_cannot_be_read_are_named():
    class Foreign:
        def __len__(self):
            return 12

        def __array__(self, *args, **kwargs):
            raise RuntimeError("gone")

    X, y = np.ones((12, 2)), np.arange(12) % 2
    with pytest.raises(TypeError, match="groups cannot be read as an array: RuntimeError: gone"):
        list(StratifiedProbabilityKFold(3).split(X, y, Foreign()))
