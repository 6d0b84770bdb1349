"""The path of C, and the choice from it."""

import gc
import warnings
import weakref

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from objectives import at_costs
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path
from skce._path import Way, fits
from skce._threads import threads
from skce.metrics import log_loss, make_log_loss_scorer, neg_log_loss_scorer
from skce.model_selection import StratifiedProbabilityKFold

# Most grids here have so few values that the best one is at an end. The warning about this is
# tested in test_choice.py.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")


@pytest.fixture
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def soft_iris(iris):
    X, y = iris
    noise = np.random.default_rng(0).dirichlet(np.ones(3), len(y))
    return X, 0.7 * np.eye(3)[y] + 0.3 * noise


# softmax_path


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("sparse", [False, True])
def test_path_is_what_single_fits_find(iris, sparse, l1_ratio):
    X, y = iris
    X = sp.csr_array(X) if sparse else X
    path = softmax_path(X, y, Cs=[0.01, 0.1, 1], l1_ratio=l1_ratio, tol=1e-12)
    assert path.coefs.shape == (3, 3, 4)
    assert path.intercepts.shape == (3, 3)
    assert path.n_iters.shape == (3,)
    for C, W, b in zip(path.Cs, path.coefs, path.intercepts, strict=True):
        one = SoftmaxClassifier(C=C, l1_ratio=l1_ratio, tol=1e-12).fit(X, y)
        assert_allclose(W, one.coef_, atol=1e-4)
        assert_allclose(b, one.intercept_, atol=1e-4)


@pytest.mark.parametrize("l1_ratio", [0.2, 1.0])
@pytest.mark.parametrize("form", ["labels", "two classes", "probabilities", "multilabel"])
def test_path_from_a_number_starts_where_the_first_coefficient_leaves_zero(
    form, l1_ratio, soft_iris, iris
):
    X, Y = soft_iris
    y = iris[1]
    y = {
        "labels": y,
        "two classes": (y == 2).astype(int),
        "probabilities": Y,
        "multilabel": Y.round(),
    }[form]
    loss = "binary" if form == "multilabel" else "auto"
    path = softmax_path(X, y, Cs=4, l1_ratio=l1_ratio, loss=loss, tol=1e-12)
    assert_allclose(path.Cs, np.geomspace(path.Cs[0], path.Cs[-1], 4))
    assert not path.coefs[0].any()
    params = {"l1_ratio": l1_ratio, "loss": loss, "tol": 1e-12}
    beyond = SoftmaxClassifier(C=1.01 * path.Cs[0], **params).fit(X, y)
    assert beyond.coef_.any()


def test_path_starts_with_unpenalised_features_fitted(iris):
    X, y = iris
    path = softmax_path(X, y, Cs=3, l1_ratio=1.0, penalty_weights=[1, 0, 2, 1])
    assert path.coefs[0][:, 1].any()
    assert not path.coefs[0][:, [0, 2, 3]].any()


def test_path_sorts_and_knows_sample_weights(iris):
    X, y = iris
    weights = np.arange(len(y)) % 3
    path = softmax_path(X, y, Cs=[10, 0.1, 1], sample_weight=weights)
    assert_array_equal(path.Cs, [0.1, 1, 10])
    repeated = softmax_path(np.repeat(X, weights, axis=0), np.repeat(y, weights), Cs=[10, 0.1, 1])
    assert_allclose(path.coefs, repeated.coefs, atol=1e-4)


def results_of(model, X, y, Cs):
    """How the fits of a path ended."""
    X, targets = model._read(X, y, None)
    objective = model._objective(X, targets)
    way = Way(model._start(objective, targets), objective.costs.path_fits)
    return [report.result for report in fits(model, objective, way, np.array(Cs), 0.0, model.tol)]


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@pytest.mark.parametrize("kind", ["dense", "many classes", "many rows", "words"])
def test_a_path_leads_to_the_next_fit(kind, tol):
    rng = np.random.default_rng(0)
    n, p, K = {
        "dense": (400, 10, 3),
        "many classes": (600, 120, 30),
        "many rows": (20000, 10, 3),
        "words": (300, 1200, 3),
    }[kind]
    X = rng.normal(size=(n, p)) if kind != "words" else rng.poisson(0.02, size=(n, p)) * 1.0
    y = (X @ rng.normal(size=(p, K)) + rng.gumbel(size=(n, K))).argmax(axis=1)
    X = sp.csr_array(X) if kind == "words" else X
    costs = {"whiten_up_to": 200, "whiten_late": 0} if kind == "words" else {}
    Cs = np.geomspace(1e-3, 1e3, 22)
    path = results_of(at_costs(**costs)(tol=tol), X, y, Cs)
    before = results_of(at_costs(path_fits=1, **costs)(tol=tol), X, y, Cs)
    assert sum(fit.passes for fit in path) < 0.92 * sum(fit.passes for fit in before)
    for fit, other in zip(path, before, strict=True):
        assert fit.success
        assert abs(fit.fun - other.fun) <= tol * other.fun


def probe(n=2000, p=120, K=30):
    """Unit-norm rows around class means, in float32."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % K
    X = rng.normal(size=(K, p))[y] / 2 + rng.normal(size=(n, p))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), y


def reports_of(model, Cs):
    """The objectives and reports of a path of probes."""
    X, targets = model._read(*probe(), None)
    objective = model._objective(X, targets)
    way = Way(model._start(objective, targets), objective.costs.path_fits)
    found = fits(model, objective, way, np.array(Cs), 0.0, model.tol)
    return [(objective.penalised(C, 0.0), report) for C, report in zip(Cs, found, strict=True)]


def test_the_step_that_is_not_evaluated_leads_nearer():
    Cs = np.geomspace(1e-2, 1e2, 9)
    Probe = at_costs(few_bytes=0, worth_lengths=0)
    exact = reports_of(Probe(tol=1e-8), Cs)
    for (objective, report), (_, best) in zip(reports_of(Probe(tol=1e-2), Cs), exact, strict=True):
        value, _ = objective.value_gradient(objective.from_user(report.ahead))
        lowest = best.result.fun / objective.scale
        before = report.result.fun / objective.scale
        assert value - lowest < 0.9 * (before - lowest) + 1e-8 * lowest


def test_a_path_of_probes_takes_few_passes():
    Cs = np.geomspace(1e-6, 1e6, 45)
    for tol, most in ((1e-2, 1.25), (1e-4, 1.8), (1e-6, 3.0)):
        found = reports_of(at_costs(few_bytes=0, worth_lengths=0)(tol=tol), Cs)
        assert all(report.result.success for _, report in found)
        assert sum(report.result.passes for _, report in found) < most * len(Cs)


def test_a_path_keeps_no_report_longer_than_needed(monkeypatch, iris):
    # Gradients and pairs of L-BFGS of all fits once were twice as large as X of a probe.
    seen, alive = [], []

    def look(report, **given):
        gc.collect()
        seen.append(weakref.ref(report))
        alive.append(sum(kept() is not None for kept in seen))

    monkeypatch.setattr("skce._path.warn_if_not_converged", look)
    path = softmax_path(*iris, Cs=[0.01, 0.1, 1, 10, 100])
    assert len(alive) == len(path.Cs)
    assert max(alive) <= 2


def test_blas_is_limited_between_the_steps_of_a_fit(monkeypatch, iris):
    depths = []
    for name in ("start", "known", "learn"):
        own = getattr(Way, name)

        def asked(way, *arguments, own=own):
            depths.append(threads.depth)
            return own(way, *arguments)

        monkeypatch.setattr(Way, name, asked)
    softmax_path(*iris, Cs=3)
    assert depths == [1] * 9
    assert threads.depth == 0


@pytest.mark.parametrize("kind", ["labels", "two classes", "bounds", "separated"])
def test_where_a_path_leads_astray_the_last_fit_is_a_start(kind, iris):
    X, y = iris
    params = {"coef_bounds": (-1, 1)} if kind == "bounds" else {}
    y = (y == 2).astype(int) if kind == "two classes" else y
    y = np.minimum(y, 1) if kind == "separated" else y
    # Some values of C are so close that only rounding and the gaps of fits differ.
    Cs = [1e-9, 1.0, np.nextafter(1, 2), 1 + 1e-12, 1 + 1e-6, 1e6, 1e6 * (1 + 1e-9), 1e12]
    model = SoftmaxClassifier(tol=1e-8, **params)
    for C, fit in zip(Cs, results_of(model, X, y, Cs), strict=True):
        one = clone(model).set_params(C=C).fit(X, y).optimize_result_
        assert fit.success
        assert abs(fit.fun - one.fun) <= 1e-8 * one.fun
        assert fit.passes <= one.passes + 2


def test_path_without_penalty_is_its_last_point(iris):
    X, _ = iris
    y = np.random.default_rng(0).integers(3, size=len(X))  # not separable
    path = softmax_path(X, y, Cs=[1, np.inf], tol=1e-12)
    assert_allclose(
        path.coefs[1], SoftmaxClassifier(C=np.inf, tol=1e-12).fit(X, y).coef_, atol=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"Cs": 0}, "Cs must be at least 1, got 0"),
        ({"Cs": []}, "Cs must be a number of values or a list of positive values"),
        ({"Cs": [1, -1]}, "Cs must be a number of values or a list of positive values"),
        ({"Cs": [1, np.nan]}, "Cs must be a number of values or a list of positive values"),
        ({"Cs": "many"}, "Cs must be a number of values or a list of positive values, got 'many'"),
        ({"l1_ratio": 2}, "l1_ratio"),
        ({"C": 1.0}, "Cs in place of C"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_path_names_bad_arguments(iris, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        softmax_path(*iris, **arguments)


def test_path_warns_where_it_stops_early(iris):
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        softmax_path(*iris, Cs=[1000], max_iter=1)


# SoftmaxClassifierCV


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_cv_chooses_what_a_grid_search_chooses(load, l1_ratio):
    X, y = load(return_X_y=True)
    Cs = np.logspace(-4, 1, 6)
    chosen = SoftmaxClassifierCV(Cs=Cs, l1_ratios=[l1_ratio]).fit(X, y)
    grid = GridSearchCV(
        SoftmaxClassifier(l1_ratio=l1_ratio),
        {"C": Cs},
        scoring=neg_log_loss_scorer,
        cv=StratifiedKFold(5),
    ).fit(X, y)
    assert grid.best_params_["C"] == chosen.C_
    assert_allclose(
        chosen.scores_.mean(axis=0)[0], grid.cv_results_["mean_test_score"], rtol=2e-2, atol=1e-3
    )
    assert_allclose(chosen.coef_, grid.best_estimator_.coef_, atol=1e-3)


def test_cv_agrees_with_logistic_regression_cv():
    if "use_legacy_attributes" not in LogisticRegressionCV().get_params():
        pytest.skip("its scores_ had another shape before scikit-learn 1.8")
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    Cs = np.logspace(-3, 2, 6)
    other = LogisticRegressionCV(
        Cs=Cs, l1_ratios=(0.0,), scoring="neg_log_loss", tol=1e-8, use_legacy_attributes=False
    ).fit(X, y)
    chosen = SoftmaxClassifierCV(Cs=Cs).fit(X, y)
    assert chosen.C_ == other.C_
    assert_allclose(chosen.scores_[:, 0], other.scores_[:, 0], atol=1e-3)


def test_cv_attributes(iris):
    X, y = iris
    clf = SoftmaxClassifierCV(Cs=4, l1_ratios=[0.0, 1.0], cv=3).fit(X, y)
    assert clf.scores_.shape == clf.n_iter_.shape == (3, 2, 4)
    assert clf.coefs_paths_.shape == (3, 2, 4, 3, 5)
    assert_array_equal(clf.l1_ratios_, [0, 1])
    assert clf.Cs_.shape == (4,)
    assert clf.C_ in clf.Cs_
    mean = clf.scores_.mean(axis=0)
    j, i = np.argwhere(mean == mean.max())[0]
    assert (clf.l1_ratio_, clf.C_) == (clf.l1_ratios_[j], clf.Cs_[i])
    error = clf.scores_[:, j, i].std(ddof=1) / np.sqrt(3)
    good = clf.Cs_[mean[j] >= mean[j, i] - error]
    assert clf.C_1se_ == good.min() <= clf.C_
    assert clf.score(X, y) > 0.9
    assert clf.optimize_result_.gap <= clf.tol


def test_cv_for_probability_targets(soft_iris):
    X, Y = soft_iris
    Cs = [0.01, 0.1, 1, 10]
    clf = SoftmaxClassifierCV(Cs=Cs).fit(X, Y)
    by_hand = []
    for train, test in StratifiedProbabilityKFold(5).split(X, Y):
        one = [SoftmaxClassifier(C=C).fit(X[train], Y[train]).predict_proba(X[test]) for C in Cs]
        by_hand.append([-log_loss(Y[test], P) for P in one])
    assert_allclose(clf.scores_[:, 0], by_hand, atol=1e-4)
    assert Cs[np.mean(by_hand, axis=0).argmax()] == clf.C_


def test_cv_for_data_frames_and_names_of_classes(soft_iris):
    pd = pytest.importorskip("pandas")
    X, Y = soft_iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    Y = pd.DataFrame(Y, columns=["x", "y", "z"])
    clf = SoftmaxClassifierCV(Cs=3).fit(frame, Y)
    assert_array_equal(clf.classes_, ["x", "y", "z"])
    assert_array_equal(clf.feature_names_in_, list("abcd"))


@pytest.mark.parametrize("loss", ["auto", "binary"])
def test_cv_weights_count_as_repetitions(iris, loss):
    X, y = iris
    weights = np.arange(len(y)) % 3 + 1
    folds = np.arange(len(y)) % 4
    cv = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(4)]
    weighted = SoftmaxClassifierCV(Cs=[0.1, 1, 10], cv=cv, loss=loss).fit(X, y, weights)
    again = np.repeat(folds, weights)
    cv = [(np.flatnonzero(again != k), np.flatnonzero(again == k)) for k in range(4)]
    repeated = SoftmaxClassifierCV(Cs=[0.1, 1, 10], cv=cv, loss=loss)
    repeated.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    assert_allclose(weighted.scores_, repeated.scores_, atol=1e-4)
    assert weighted.C_ == repeated.C_
    assert_allclose(weighted.coef_, repeated.coef_, atol=1e-4)


def test_cv_without_refit_takes_the_mean_of_the_folds(iris):
    X, y = iris
    clf = SoftmaxClassifierCV(Cs=[0.1, 1, 10], refit=False, cv=3).fit(X, y)
    best = clf.scores_[:, 0].argmax(axis=1)
    assert_allclose(clf.C_, clf.Cs_[best].mean())
    paths = clf.coefs_paths_[np.arange(3), 0, best]
    assert_allclose(clf.coef_, paths[:, :, :4].mean(axis=0))
    assert_allclose(clf.intercept_, paths[:, :, 4].mean(axis=0))


def test_cv_without_an_intercept(iris):
    clf = SoftmaxClassifierCV(Cs=3, fit_intercept=False).fit(*iris)
    assert clf.coefs_paths_.shape[-1] == 4
    assert not clf.intercept_.any()


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", neg_log_loss_scorer])
def test_cv_scoring(iris, scoring):
    X, y = iris
    clf = SoftmaxClassifierCV(Cs=[0.001, 1], scoring=scoring).fit(X, y)
    grid = GridSearchCV(SoftmaxClassifier(), {"C": [0.001, 1]}, scoring=scoring).fit(X, y)
    assert grid.best_params_["C"] == clf.C_
    assert_allclose(clf.scores_.mean(axis=0)[0], grid.cv_results_["mean_test_score"], rtol=1e-3)


def test_cv_with_bounds_and_factors(iris):
    X, y = iris
    clf = SoftmaxClassifierCV(Cs=3, coef_bounds=(-0.2, 0.2), penalty_weights=[1, 1, 1, 0])
    clf.fit(X, y)
    assert np.abs(clf.coefs_paths_[..., :4]).max() <= 0.2
    assert np.abs(clf.coef_).max() <= 0.2


def test_cv_in_processes_finds_the_same(iris):
    one = SoftmaxClassifierCV(Cs=3).fit(*iris)
    two = SoftmaxClassifierCV(Cs=3, n_jobs=2).fit(*iris)
    assert_array_equal(one.scores_, two.scores_)
    assert_array_equal(one.coef_, two.coef_)


def test_cv_in_a_pipeline(iris):
    model = make_pipeline(StandardScaler(), SoftmaxClassifierCV(Cs=3)).fit(*iris)
    assert model.score(*iris) > 0.9
    clone(model)


def test_cv_routes_metadata_to_the_splitter(iris):
    X, y = iris
    groups = np.arange(len(y)) // 10
    with config_context(enable_metadata_routing=True):
        clf = SoftmaxClassifierCV(Cs=[0.1, 1], cv=GroupKFold(4)).fit(X, y, groups=groups)
    cv = list(GroupKFold(4).split(X, y, groups))
    assert_array_equal(clf.scores_, SoftmaxClassifierCV(Cs=[0.1, 1], cv=cv).fit(X, y).scores_)


def test_cv_routes_sample_weight_as_requested(iris):
    X, y = iris
    weights = np.linspace(0.1, 2, len(y))
    with config_context(enable_metadata_routing=True):
        with_weights = make_log_loss_scorer().set_score_request(sample_weight=True)
        without = make_log_loss_scorer().set_score_request(sample_weight=False)
        found = [
            SoftmaxClassifierCV(Cs=[0.1, 1], scoring=scorer).fit(X, y, sample_weight=weights)
            for scorer in (None, with_weights, without)
        ]
    assert_allclose(found[0].scores_, found[1].scores_, rtol=1e-12)
    assert (found[1].scores_ != found[2].scores_).all()
    assert_array_equal(found[1].coefs_paths_, found[2].coefs_paths_)


def test_cv_without_routing_says_how_to_pass_groups(iris):
    X, y = iris
    with pytest.raises(ValueError, match=r"got groups.*enable_metadata_routing=True"):
        SoftmaxClassifierCV(cv=GroupKFold(4)).fit(X, y, groups=y)


def test_cv_score_is_by_scoring_or_accuracy(iris):
    X, y = iris
    weights = np.linspace(0.1, 2, len(y))
    plain = SoftmaxClassifierCV(Cs=[1]).fit(X, y)
    assert plain.score(X, y, weights) == SoftmaxClassifier.score(plain, X, y, weights)
    by_loss = SoftmaxClassifierCV(Cs=[1], scoring="neg_log_loss").fit(X, y)
    assert_allclose(
        by_loss.score(X, y, weights),
        -log_loss(y, by_loss.predict_proba(X), sample_weight=weights),
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"l1_ratios": [0.5, 1.2]}, "l1_ratios .* one is 1.2"),
        ({"l1_ratios": []}, r"l1_ratios .* shape \(0,\)"),
        ({"l1_ratios": [np.nan]}, "l1_ratios .* one is nan"),
        ({"Cs": 0}, "'Cs' parameter"),
        ({"Cs": [0.0, 1.0]}, "Cs must be a number of values or a list of positive values"),
        ({"cv": 1}, "'cv' parameter"),
        ({"scoring": "nothing"}, "scoring"),
        ({"penalty_weights": [1]}, "penalty_weights"),
        ({"coef_bounds": (2, 1)}, "coef_bounds"),
    ],
)
def test_cv_names_bad_parameters_and_changes_nothing(iris, params, message):
    clf = SoftmaxClassifierCV(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(*iris)
    assert not hasattr(clf, "C_")


COST = -np.log(np.finfo(float).eps)  # of a predicted zero

RARE = {
    "labels": lambda y: (np.array([*"abc"])[y], {}),
    "labels, one class left": lambda y: (np.array([*"aab"])[y], {}),
    "one against the rest": lambda y: (y, {"loss": "binary"}),
    "two classes, softmax": lambda y: (y == 2, {"loss": "categorical"}),
    "one-hot": lambda y: (np.eye(3)[y], {}),
    "soft": lambda y: (np.array([[0.8, 0.2, 0], [0.3, 0.7, 0], [0, 0.1, 0.9]])[y], {}),
    "probability of class 1": lambda y: (np.array([0.0, 0.0, 0.9])[y], {"loss": "binary"}),
    "multilabel": lambda y: (np.eye(3)[y], {"loss": "binary"}),
}


@pytest.fixture
def rare(rng):
    """Rows of a rare class, all in the test rows of one fold."""
    X = rng.normal(size=(90, 3))
    y = (X[:, 0] + rng.normal(size=90) > 0).astype(int)
    y[60:65] = 2
    return X, y


@pytest.mark.parametrize("kind", RARE)
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_cv_fits_folds_that_lack_a_class(kind, l1_ratio, rare):
    X, y = rare
    Y, params = RARE[kind](y)
    cv = KFold(3)
    clf = SoftmaxClassifierCV(Cs=[1e-3, 0.1, 10], l1_ratios=[l1_ratio], cv=cv, **params).fit(X, Y)
    n_outputs = len(clf.coef_)
    assert clf.coefs_paths_.shape == (3, 1, 3, n_outputs, 4)
    assert np.isfinite(clf.coefs_paths_).all()
    assert (clf.scores_ > -COST).all()
    assert clf.score(X, Y) > 0.5
    assert clf.optimize_result_.gap <= clf.tol
    # The fold of the rare rows: the loss of its coefficients, and for rows of the unseen class.
    model = SoftmaxClassifier(**params).fit(X, Y)
    for i in range(3):
        model.coef_, model.intercept_ = np.split(clf.coefs_paths_[2, 0, i], [3], axis=1)
        model.intercept_ = model.intercept_.ravel()
        score = neg_log_loss_scorer if kind != "multilabel" else make_log_loss_scorer(loss="binary")
        want = score(model, X[60:], Y[60:])
        assert_allclose(clf.scores_[2, 0, i], want, rtol=1e-12)
    probability = model.predict_proba(X)[:, -1]
    assert probability.max() < 1e-20


def test_cv_fold_without_a_class_is_fitted_as_if_there_were_none(rare):
    X, y = rare
    Cs = [1e-3, 0.1, 10]
    clf = SoftmaxClassifierCV(Cs=Cs, cv=KFold(3)).fit(X, y)
    for C, coefs, score in zip(Cs, clf.coefs_paths_[2, 0], clf.scores_[2, 0], strict=True):
        part = SoftmaxClassifier(C=C, loss="categorical").fit(X[:60], y[:60])
        assert_allclose(coefs[:2, :3], part.coef_, atol=0.02)
        assert not coefs[2, :3].any()
        known = y[60:] < 2
        loss = log_loss(y[60:][known], part.predict_proba(X[60:][known]), normalize=False)
        assert_allclose(-score, (loss + COST * (~known).sum()) / 30, atol=1e-3)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", neg_log_loss_scorer])
def test_cv_is_decided_by_the_classes_that_the_fits_have_seen(scoring, rare):
    X, y = rare
    clf = SoftmaxClassifierCV(Cs=[1e-3, 0.1, 10], cv=KFold(3), scoring=scoring).fit(X, y)
    assert (clf.scores_ > -COST).all()
    # With one class left there is nothing to choose: all candidates have the same score.
    y = np.repeat(["a", "b"], 45)
    clf = SoftmaxClassifierCV(Cs=[1e-3, 0.1, 10], cv=KFold(2), scoring=scoring).fit(X, y)
    assert_allclose(clf.scores_, -COST, rtol=1e-12)
    assert clf.C_ == 1e-3


@pytest.mark.parametrize("n_rare", [1, 3])
@pytest.mark.parametrize("cv", [None, 5, 2])
def test_cv_takes_a_class_with_fewer_rows_than_folds(n_rare, cv, rng):
    X = rng.normal(size=(200, 4))
    y = (X[:, 0] + 0.5 * rng.normal(size=200) > 0).astype(int)
    y[-n_rare:] = 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class in y:UserWarning")
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        clf = SoftmaxClassifierCV(Cs=3, cv=cv).fit(X, y)
        again = SoftmaxClassifierCV(Cs=3, cv=cv, scoring="neg_log_loss").fit(X, y)
    assert clf.C_ == again.C_ > clf.Cs_[0]
    assert np.isfinite(clf.scores_).all()


def test_cv_without_refit_averages_folds_that_lack_a_class(rare):
    X, y = rare
    clf = SoftmaxClassifierCV(Cs=[0.1, 1], cv=KFold(3), refit=False).fit(X, y)
    assert np.isfinite(clf.coef_).all()
    assert np.isfinite(clf.intercept_).all()


def test_cv_without_an_intercept_or_with_smoothing_has_no_certain_class(rare):
    X, y = rare
    for params in ({"fit_intercept": False}, {"label_smoothing": 0.1}):
        clf = SoftmaxClassifierCV(Cs=[0.1, 1], cv=KFold(3), **params).fit(X, y)
        assert (clf.scores_ > -5).all()


def test_cv_of_iris_in_order_scores_as_logistic_regression_cv_does(iris):
    # scikit-learn's test_multinomial_cv_iris: each fold tests on a class that it has not seen.
    X, y = iris
    accuracy = SoftmaxClassifierCV(cv=KFold(3), scoring="accuracy").fit(X, y)
    assert not accuracy.scores_.any()
    if parse_version(sklearn.__version__) < parse_version("1.9"):
        return  # brier_score_loss did not accept labels
    clf = SoftmaxClassifierCV(cv=KFold(3), scoring="neg_brier_score", Cs=np.logspace(-6, 3, 10))
    clf.fit(X, y)
    assert clf.C_ == 1e-6
    assert (-clf.scores_ > 1.4).all()
    assert -clf.scores_.max() < 1.6


@pytest.mark.parametrize("scoring", ["neg_log_loss", "f1_macro", "precision_weighted", "accuracy"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_cv_passes_all_classes_to_the_metrics_that_ask_for_them(scoring, n_classes, rng):
    X = rng.normal(size=(60, 3))
    y = np.array([*"abc"])[rng.integers(n_classes, size=60)]
    y[40:] = "a"
    options = {"labels": np.unique(y)} if scoring != "accuracy" else {}
    if scoring in ("f1_macro", "precision_weighted"):
        options["zero_division"] = 0
    known = get_scorer(scoring)
    metric = make_scorer(
        known._score_func,
        greater_is_better=known._sign > 0,
        response_method=known._response_method,
        **{**known._kwargs, **options},
    )
    given = (
        metric
        if "zero_division" not in options
        else make_scorer(known._score_func, zero_division=0, **known._kwargs)
    )
    clf = SoftmaxClassifierCV(Cs=[0.1, 1], cv=KFold(3), scoring=given if options else scoring)
    clf.fit(X, y)
    for k, (train, test) in enumerate(KFold(3).split(X)):
        for i, C in enumerate([0.1, 1]):
            one = SoftmaxClassifier(C=C).fit(X[train], y[train])
            assert_allclose(clf.scores_[k, 0, i], metric(one, X[test], y[test]), atol=1e-3)


@pytest.mark.parametrize("scoring", ["f1", "precision", "recall"])
def test_cv_scores_the_second_of_two_classes_with_names(scoring, rng):
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
    numbers = SoftmaxClassifierCV(Cs=[0.1, 1], scoring=scoring).fit(X, y)
    names = SoftmaxClassifierCV(Cs=[0.1, 1], scoring=scoring).fit(X, np.array(["no", "yes"])[y])
    assert_array_equal(names.scores_, numbers.scores_)
    assert names.score(X, np.array(["no", "yes"])[y]) == numbers.score(X, y)
    if scoring == "f1":  # the scores that the metric can compute equal those of GridSearchCV
        other = SoftmaxClassifierCV(Cs=[0.1, 1], scoring=scoring).fit(X, y + 1)
        grid = GridSearchCV(SoftmaxClassifier(), {"C": [0.1, 1]}, scoring=scoring).fit(X, y + 1)
        assert_allclose(other.scores_.mean(axis=0)[0], grid.cv_results_["mean_test_score"])


class Scorer:
    """A scorer whose scores are not finite for given folds."""

    def __init__(self, bad, value=np.nan):
        self.bad = bad
        self.value = value

    def __call__(self, estimator, X, y):
        fold = int(X[0, 0])
        size = np.abs(estimator.coef_).sum()
        return self.value if self.bad(fold, size) else -size


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("refit", [True, False])
def test_cv_does_not_choose_a_score_that_is_not_finite(value, refit, iris):
    X, y = iris
    folds = np.arange(150) % 3
    X = np.column_stack([folds, X])  # shows the scorer which fold it is
    cv = PredefinedSplit(folds)
    Cs = [1e-3, 1e-2, 1e-1]
    least = SoftmaxClassifierCV(Cs=Cs, cv=cv, scoring=Scorer(lambda fold, size: False)).fit(X, y)
    assert least.C_ == 1e-3
    between = np.abs(least.coefs_paths_[1, 0, :2, :, :-1]).sum(axis=(1, 2)).mean()
    bad = Scorer(lambda fold, size: fold == 1 and size < between, value)
    with pytest.warns(
        UserWarning, match=rf"scoring gave {value:g} .* fold 1 for C=0\.001.* 1 of 3"
    ):
        clf = SoftmaxClassifierCV(Cs=Cs, cv=cv, scoring=bad, refit=refit).fit(X, y)
    assert clf.C_ == 1e-2
    assert not np.isfinite(clf.scores_[1, 0, 0])
    assert clf.C_1se_ == 1e-2
    never = SoftmaxClassifierCV(
        Cs=Cs, cv=cv, refit=refit, scoring=Scorer(lambda fold, size: fold == 2, value)
    )
    with pytest.raises(ValueError, match=rf"No C can be chosen: scoring gave {value:g} .* fold 2"):
        never.fit(X, y)
    assert not hasattr(never, "C_")


def test_cv_names_folds_whose_rows_weigh_nothing(iris):
    X, y = iris
    folds = np.arange(150) % 3
    cv = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in (1, 0, 2)]
    with pytest.raises(ValueError, match="zero in all training rows of fold 0"):
        SoftmaxClassifierCV(cv=cv).fit(X, y, sample_weight=(folds == 1).astype(float))
    with pytest.raises(ValueError, match="zero in all test rows of fold 1"):
        SoftmaxClassifierCV(cv=cv).fit(X, y, sample_weight=(folds != 0).astype(float))


def test_cv_of_target_columns_in_any_order(soft_iris):
    pd = pytest.importorskip("pandas")
    X, Y = soft_iris
    frame = pd.DataFrame(Y, columns=[*"abc"])
    for scoring in (None, neg_log_loss_scorer):
        one, other = (
            SoftmaxClassifierCV(Cs=3, scoring=scoring).fit(X, frame[order])
            for order in ([*"abc"], [*"cab"])
        )
        assert_array_equal(other.classes_, [*"abc"])
        assert_allclose(other.scores_, one.scores_, rtol=1e-9)
        assert_allclose(other.coefs_paths_, one.coefs_paths_, rtol=1e-6, atol=1e-9)
        assert_allclose(other.score(X, frame), one.score(X, frame[[*"bca"]]), rtol=1e-9)


def test_cv_warns_of_what_did_not_converge():
    X, y = load_digits(return_X_y=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SoftmaxClassifierCV(Cs=[100.0], max_iter=1, cv=2).fit(X, y)
    assert any(issubclass(w.category, ConvergenceWarning) for w in caught)


# ----------------------------------------------------------------------------------------- folds
TRAIN, TEST = np.arange(0, 150, 2), np.arange(1, 150, 2)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([], "cv gives no folds"),
        (iter([]), "cv gives no folds"),
        ([([], TEST)], "the training rows of fold 0 are empty"),
        ([(TRAIN, TEST), (TRAIN, [])], "the test rows of fold 1 are empty"),
        ([(TRAIN.astype(float), TEST)], "training rows of fold 0 must be a list.*float64"),
        ([(TRAIN, TEST + 1)], "the test rows of fold 0 hold 150, but X has rows 0 to 149"),
        ([(TRAIN - 1, TEST)], "the training rows of fold 0 hold -1"),
        ([(np.ones(3, bool), TEST)], "mask of all 150 rows, but have.*bool"),
        ([(TRAIN, None)], "the test rows of fold 0 are None"),
        ([(TRAIN, TEST, TEST)], "cv must give pairs .* but fold 0 is"),
        ([0, 1], "cv must give pairs .* but fold 0 is 0"),
        ([(["0"], ["1"])], "must be a list of row numbers"),
        ([([10**400], TEST)], "must be a list of row numbers"),
        (sp.eye_array(150, format="bsr"), "cv must give pairs"),
        ("folds", "'cv' parameter"),
    ],
)
def test_bad_folds_are_named(iris, cv, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxClassifierCV(Cs=2, cv=cv).fit(*iris)


def test_folds_are_lists_ranges_or_masks(iris):
    mask = np.arange(150) % 2 == 0
    scores = [
        SoftmaxClassifierCV(Cs=[1.0], cv=cv).fit(*iris).scores_
        for cv in (
            [(TRAIN, TEST)],
            iter([(TRAIN.tolist(), range(1, 150, 2))]),
            [(mask, ~mask)],
        )
    ]
    assert_array_equal(scores[0], scores[1])
    assert_array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"l1_ratios": ["a"]}, "l1_ratios must hold numbers"),
        ({"l1_ratios": ["0.5"]}, "l1_ratios must hold numbers"),
        ({"l1_ratios": [10**400]}, "l1_ratios at position 0 is outside"),
        ({"l1_ratios": [None]}, "l1_ratios at position 0 must be a number"),
        ({"Cs": [10**400]}, "Cs at position 0 is outside"),
        ({"Cs": 10**400}, "'Cs' parameter"),
        ({"Cs": np.array(["2020"], "datetime64[Y]")}, "Cs has dtype datetime64"),
        ({"Cs": [1j]}, "Cs must hold numbers"),
        ({"n_jobs": 10**400}, "'n_jobs' parameter"),
        ({"n_jobs": 0}, "'n_jobs' parameter"),
        ({"scoring": lambda *_: "good"}, "the score of scoring must be a number, got 'good'"),
        ({"scoring": lambda *_: [1, 2]}, "the score of scoring must be a number"),
    ],
)
def test_bad_parameters_of_the_choice_are_named(iris, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        SoftmaxClassifierCV(**{"Cs": 2, "cv": 2, **parameters}).fit(*iris)
