"""Scorers, cross-validated probabilities and stratified folds, for probability targets."""

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
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
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
    assert neg_log_loss_scorer.get_metadata_routing().score.requests == {"sample_weight": None}


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
        neg_log_loss_scorer(clf, X, frame[["b", "a", "c"]])


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
    Y = Y[Y.argmax(axis=1).argsort()]  # as bad as can be for folds in order

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
