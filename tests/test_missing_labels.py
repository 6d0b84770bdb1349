"""Labels that are missing: NaN, None or masked entries of a multilabel y have no mass."""

from dataclasses import replace

import dask.array as da
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from skce import SoftmaxClassifier, SoftmaxClassifierCV, metrics, softmax_path
from skce import dask as skce_dask
from skce._costs import DEFAULT
from skce.metrics import make_log_loss_scorer
from skce.model_selection import StratifiedProbabilityKFold, cross_val_predict_proba

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

rng = np.random.default_rng(0)
N, K = 240, 3
X = rng.normal(size=(N, 4))
HARD = (X[:, :K] + rng.logistic(size=(N, K)) > 0).astype(float)
SOFT = np.round(1 / (1 + np.exp(-X[:, :K] - rng.logistic(size=(N, K)))), 3)
GONE = rng.random((N, K)) < 0.3
GONE[:2] = True
Y = np.where(GONE, np.nan, HARD)
WEIGHTS = rng.random(N) + 0.1
SCORER = make_log_loss_scorer(loss="binary")
BCE = {"loss": "binary"}


def fit(y, weights=None, X=X, **params):
    return SoftmaxClassifier(**{"loss": "binary", "tol": 1e-15, **params}).fit(X, y, weights)


# -------------------------------------------------------------------------------------- what it is
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("values", [HARD, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"C": np.inf},
        {"class_weight": "balanced"},
        {"label_smoothing": 0.1},
        {"class_weight": "balanced", "label_smoothing": 0.2},
        {"fit_intercept": False},
        {"l1_ratio": 1.0, "C": 0.1},
        {"coef_bounds": (0, 0.3)},
        {"solver": "lbfgs"},
    ],
    ids=str,
)
def test_it_is_a_fit_of_each_label_on_the_rows_in_which_it_is_known(params, values, weights, dtype):
    tol, atol = (1e-14, 1e-9) if dtype == np.float64 else (1e-12, 1e-5)
    params, near = {"tol": tol, **params}, {"atol": atol, "rtol": 0}
    whole = fit(np.where(GONE, np.nan, values), weights, X.astype(dtype), **params)
    for k in range(K):
        known = ~GONE[:, k]
        some = None if weights is None else weights[known]
        one = fit(values[known, k], some, X[known].astype(dtype), **params)
        assert_allclose(whole.coef_[k], one.coef_[0], **near)
        assert_allclose(whole.intercept_[k], one.intercept_[0], **near)


def test_scikit_learn_fits_each_label_so():
    whole = fit(Y, C=2.0)
    for k in range(K):
        known = ~GONE[:, k]
        one = LogisticRegression(C=2.0, tol=1e-12, solver="newton-cg").fit(X[known], HARD[known, k])
        assert_allclose(whole.coef_[k], one.coef_[0], atol=1e-7)


def test_it_minimises_the_masked_loss_of_torch():
    torch = pytest.importorskip("torch")
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    x, y, known = torch.tensor(X), torch.tensor(SOFT), torch.tensor(~GONE)
    W = torch.zeros(K, 4, dtype=torch.float64, requires_grad=True)
    b = torch.zeros(K, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [W, b],
        max_iter=1000,
        tolerance_grad=1e-13,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimiser.zero_grad()
        value = bce(x @ W.T + b, y, weight=known, reduction="sum") + (W**2).sum() / 2
        value.backward()
        return value

    optimiser.step(closure)
    clf = fit(np.where(GONE, np.nan, SOFT))
    assert_allclose(clf.coef_, W.detach().numpy(), atol=1e-9)
    assert_allclose(clf.intercept_, b.detach().numpy(), atol=1e-9)


def test_what_lies_behind_a_mask_is_nothing():
    masked = np.ma.masked_array(np.where(GONE, 7.0, HARD), GONE)
    assert_array_equal(fit(masked).coef_, fit(Y).coef_)
    of_ints = np.ma.masked_array(HARD.astype(np.int8), GONE)
    of_bools = np.ma.masked_array(HARD.astype(bool), GONE)
    for same in (of_ints, of_bools):
        assert_array_equal(fit(same).coef_, fit(Y).coef_)
    unmasked = np.ma.masked_array(HARD)
    assert_array_equal(fit(unmasked).coef_, fit(HARD).coef_)


def with_none(y, kind):
    return [None if np.isnan(value) else kind(value) for value in y]


FRAME = pd.DataFrame(Y, columns=["a", "b", "c"])
CONTAINERS = {
    "float32": Y.astype(np.float32),
    "list": [[None if np.isnan(v) else v for v in row] for row in Y.tolist()],
    "objects": np.where(GONE, None, HARD),
    "pandas": FRAME,
    "pandas Int64": FRAME.astype("Int64"),
    "pandas Float64": FRAME.astype("Float64"),
    "pandas boolean": FRAME.astype("boolean"),
    "pandas mixed": FRAME.astype({"a": "boolean", "b": "Int8"}),
    "pandas objects": FRAME.astype(object).where(FRAME.notna(), None),
    "pandas sparse": FRAME.astype(pd.SparseDtype(float)),
    "polars": pl.DataFrame({"a": with_none(Y[:, 0], bool), "b": with_none(Y[:, 1], int), "c": Y[:, 2]}),
    "arrow": pa.table({"a": with_none(Y[:, 0], bool), "b": with_none(Y[:, 1], int), "c": Y[:, 2]}),
}  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS)
def test_any_container_may_lack_labels(container):
    y = CONTAINERS[container]
    clf, same = fit(y), fit(Y)
    assert_array_equal(clf.coef_, same.coef_)
    assert clf.score(X, y) == same.score(X, Y)
    p = same.predict_proba(X)
    assert metrics.log_loss(y, p, **BCE) == metrics.log_loss(Y, p, **BCE)
    assert SCORER(clf, X, y) == SCORER(same, X, Y)


def test_y_is_left_as_it_is():
    y = Y.copy()
    clf = fit(y, class_weight="balanced")
    p = clf.predict_proba(X)
    clf.score(X, y)
    for function in (metrics.log_loss, metrics.kl_divergence, metrics.d2_log_loss_score):
        function(y, p, **BCE)
    metrics.log_loss(y, p, class_weight="balanced", **BCE)
    assert_array_equal(y, Y)


def test_a_row_without_any_label_teaches_nothing():
    some = ~GONE.all(axis=1)
    assert_allclose(fit(Y).coef_, fit(Y[some], X=X[some]).coef_, atol=1e-9)


@pytest.mark.parametrize("solver", ["auto", "newton-cg", "lbfgs"])
@pytest.mark.parametrize(
    "params",
    [{}, {"C": np.inf}, {"l1_ratio": 0.5}, {"class_weight": "balanced"}, {"label_smoothing": 0.1}],
    ids=str,
)
def test_a_label_of_which_nothing_is_known_has_a_probability_of_one_half(params, solver):
    y = Y.copy()
    y[:, 1] = np.nan
    with pytest.warns(UserWarning, match="Nothing is known of 1 of 3 labels.*: 1. .*1/2"):
        clf = fit(y, solver=solver, **params)
    assert_array_equal(clf.coef_[1], 0)
    assert_array_equal(clf.predict_proba(X)[:, 1], 0.5)
    some = [0, 2]
    assert_allclose(clf.coef_[some], fit(y[:, some], solver=solver, **params).coef_, atol=1e-8)


def test_weights_of_zero_hide_labels():
    weights = np.where(GONE[:, 2], 1.0, 0.0)
    with pytest.warns(UserWarning, match="Nothing is known of 1 of 3 labels.*: 2"):
        fit(Y, weights)
    with pytest.raises(ValueError, match="no label that is known"):
        fit(Y, np.where(GONE.all(axis=1), 1.0, 0.0))
    with pytest.raises(ValueError, match="no label that is known"):
        fit(np.full((N, K), np.nan))


def test_a_label_that_few_of_many_rows_have():
    r = np.random.default_rng(3)
    n = 20_000
    X, y = r.normal(size=(n, 5)), np.full((n, 2), np.nan)
    y[:, 0] = X[:, 0] + r.logistic(size=n) > 0
    rare = np.sort(r.choice(n, 25, replace=False))
    y[rare, 1] = X[rare, 1] + r.logistic(size=25) > 0
    for C in (1.0, np.inf):
        clf = fit(y, X=X, C=C, tol=1e-12)
        assert_allclose(clf.coef_[1], fit(y[rare, 1], X=X[rare], C=C).coef_[0], rtol=1e-4)


def test_a_label_that_separates_where_it_is_known():
    y = Y.copy()
    y[:, 0] = np.where(np.abs(X[:, 0]) > 0.5, X[:, 0] > 0, np.nan)
    with pytest.warns(UserWarning, match="There is no optimum"):
        fit(y, C=np.inf, tol=1e-9)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_parts_of_files_and_chunks_of_dask(class_weight, recwarn):
    same = fit(Y, WEIGHTS, class_weight=class_weight)

    class InParts(SoftmaxClassifier):
        _costs = replace(DEFAULT, part_bytes=50 * X.itemsize * 4)

    class Slices:
        shape, dtype = Y.shape, Y.dtype

        def __getitem__(self, rows):
            return Y[rows]

    parts = InParts(loss="binary", tol=1e-15, class_weight=class_weight).fit(X, Slices(), WEIGHTS)
    assert_allclose(parts.coef_, same.coef_, atol=1e-9)
    assert parts.score(X, Slices()) == same.score(X, Y)

    chunked = [da.from_array(a, chunks=(70, *a.shape[1:])) for a in (X, Y, WEIGHTS)]
    on_dask = skce_dask.SoftmaxClassifier(loss="binary", tol=1e-15, class_weight=class_weight)
    on_dask.fit(*chunked)
    assert_allclose(on_dask.coef_, same.coef_, atol=1e-9)
    assert_allclose(on_dask.score(*chunked), same.score(X, Y, WEIGHTS))
    p = same.predict_proba(X)
    of_chunks = skce_dask.log_loss(
        chunked[1], da.from_array(p, chunks=(70, K)), sample_weight=chunked[2], **BCE
    )
    assert_allclose(of_chunks, metrics.log_loss(Y, p, sample_weight=WEIGHTS, **BCE))


def test_labels_that_are_missing_on_another_device():
    torch = pytest.importorskip("torch")
    from unittest.mock import patch

    from sklearn import config_context

    class OnDevice(SoftmaxClassifier):
        _costs = replace(DEFAULT, part_bytes=0, device_rows=70)

    model = OnDevice(loss="binary", tol=1e-15)
    with (
        patch("skce._array_api.is_on_host", lambda _: False),
        config_context(array_api_dispatch=True),
    ):
        model.fit(torch.asarray(X), torch.asarray(Y))
        model = model.to_namespace(np)
    assert_allclose(model.coef_, fit(Y).coef_, atol=1e-9)


# ----------------------------------------------------------------------------------------- metrics
P = 1 / (1 + np.exp(-rng.normal(size=(N, K))))


def by_hand(values, p, weights=None):
    """Loss of each entry, and its weight."""
    counts = (~GONE).astype(float) if weights is None else ~GONE * weights[:, None]
    loss = -values * np.log(p) - (1 - values) * np.log(1 - p)
    return np.where(GONE, 0, loss), counts


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("values", [HARD, SOFT], ids=["hard", "soft"])
def test_log_loss_is_the_mean_over_what_is_known(values, weights):
    y = np.where(GONE, np.nan, values)
    loss, counts = by_hand(values, P, weights)
    mean = (loss * counts).sum() / counts.sum()
    logits = np.log(P / (1 - P))
    weighted = {"sample_weight": weights, **BCE}
    assert_allclose(metrics.log_loss(y, P, **weighted), mean)
    assert_allclose(metrics.log_loss_from_logits(y, logits, **weighted), mean)
    total = metrics.log_loss(y, P, normalize=False, **weighted)
    assert_allclose(total, (loss * counts).sum() / K)
    parts = metrics.entropy(y, **weighted), metrics.kl_divergence(y, P, **weighted)
    assert_allclose(sum(parts), mean)
    if values is HARD:
        assert metrics.entropy(y, **BCE) == 0


def test_log_loss_is_that_of_torch():
    torch = pytest.importorskip("torch")
    known = ~GONE
    z = np.log(P / (1 - P))
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    value = bce(torch.tensor(z[known]), torch.tensor(SOFT[known]))
    assert_allclose(
        metrics.log_loss_from_logits(np.where(GONE, np.nan, SOFT), z, **BCE), value, rtol=1e-13
    )


def test_losses_and_gradients_of_rows_are_zero_where_nothing_is_known():
    loss, _ = by_hand(HARD, P)
    assert_allclose(metrics.log_loss_samples(Y, P, **BCE), loss.sum(axis=1) / K)
    gradient = metrics.log_loss_gradient(Y, P, **BCE)
    assert_array_equal(gradient[GONE], 0)
    assert_allclose(gradient[~GONE], ((1 - HARD) / (1 - P) - HARD / P)[~GONE] / K)
    of_logits = metrics.log_loss_gradient_from_logits(Y, np.log(P / (1 - P)), **BCE)
    assert_array_equal(of_logits[GONE], 0)
    assert_allclose(of_logits[~GONE], (P - HARD)[~GONE] / K)


def test_a_label_that_is_missing_costs_nothing_however_sure_the_prediction():
    y, p = np.array([[np.nan, 1.0], [1.0, 1.0]]), np.array([[0.0, 0.5], [0.5, 0.5]])
    assert_allclose(metrics.log_loss(y, p, clip=False, **BCE), np.log(2))


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 2: 0.5}])
def test_class_weights_count_what_is_there(class_weight):
    loss, _ = by_hand(HARD, P)
    w = np.ones((2, K))
    for k in range(K):
        y = HARD[~GONE[:, k], k]
        if class_weight == "balanced":
            w[:, k] = len(y) / (2 * (1 - y).sum()), len(y) / (2 * y.sum())
        else:
            w[1, k] = class_weight.get(k, 1)
    counts = np.where(HARD == 1, w[1], w[0]) * ~GONE
    expected = (loss * counts).sum() / counts.sum()
    assert_allclose(metrics.log_loss(Y, P, class_weight=class_weight, **BCE), expected)


def test_d2_compares_with_the_mean_of_what_is_known():
    of_mean = 0.0
    for k in range(K):
        y = HARD[~GONE[:, k], k]
        q = y.mean()
        of_mean -= y.sum() * np.log(q) + (len(y) - y.sum()) * np.log(1 - q)
    loss, _ = by_hand(HARD, P)
    assert_allclose(metrics.d2_log_loss_score(Y, P, **BCE), 1 - loss.sum() / of_mean)


def test_metrics_refuse_what_is_missing_elsewhere():
    with pytest.raises(ValueError, match=r"(?s)NaN.*row 0.*loss='binary'"):
        metrics.log_loss(Y, P)
    with pytest.raises(ValueError, match="Row 3 of y_true holds 2"):
        metrics.log_loss(np.where(np.arange(N)[:, None] == 3, 2.0, Y), P, **BCE)
    with pytest.raises(ValueError, match="labels that are missing"):
        metrics.log_loss(np.full((N, K), np.nan), P, **BCE)


def test_score_compares_rows_on_what_is_known():
    clf = fit(Y)
    predicted = clf.predict(X)
    right = [
        all(predicted[i, k] == HARD[i, k] for k in range(K) if not GONE[i, k])
        for i in range(N)
        if not GONE[i].all()
    ]
    assert clf.score(X, Y) == np.mean(right)
    weights = WEIGHTS[~GONE.all(axis=1)]
    assert_allclose(clf.score(X, Y, WEIGHTS), np.average(right, weights=weights))
    with pytest.raises(ValueError, match="no label that is known"):
        clf.score(X, np.full((N, K), np.nan))


# -------------------------------------------------------------------------------- choice of a model
def test_scikit_learns_tools_take_them():
    clf = SoftmaxClassifier(loss="binary")
    for cv in (KFold(4), StratifiedProbabilityKFold(4)):
        found = cross_validate(clf, X, Y, cv=cv, scoring=SCORER)["test_score"]
        for score, (train, test) in zip(found, cv.split(X, Y), strict=True):
            p = SoftmaxClassifier(loss="binary").fit(X[train], Y[train]).predict_proba(X[test])
            assert_allclose(-score, by_hand_of(test, p))
    search = GridSearchCV(clf, {"C": [0.01, 1.0]}, scoring=SCORER, cv=KFold(4)).fit(X, Y)
    assert search.best_params_["C"] in (0.01, 1.0)
    assert cross_validate(clf, X, Y, cv=KFold(4))["test_score"].min() > 0.2


def by_hand_of(rows, p):
    known = ~GONE[rows]
    y = HARD[rows]
    return (-y * np.log(p) - (1 - y) * np.log(1 - p))[known].mean()


@pytest.mark.parametrize("scoring", [None, SCORER], ids=["logits", "scorer"])
def test_the_choice_of_c_by_cross_validation(scoring):
    params = {"loss": "binary", "tol": 1e-10}
    clf = SoftmaxClassifierCV(Cs=[0.01, 1.0], cv=KFold(4), scoring=scoring, **params).fit(X, Y)
    for i, (train, test) in enumerate(KFold(4).split(X)):
        for j, C in enumerate([0.01, 1.0]):
            p = SoftmaxClassifier(C=C, **params).fit(X[train], Y[train]).predict_proba(X[test])
            assert_allclose(-clf.scores_[i, 0, j], by_hand_of(test, p), rtol=1e-3)
    assert_allclose(clf.coef_, fit(Y, C=clf.C_).coef_, atol=1e-4)
    loss = by_hand_of(np.arange(N), clf.predict_proba(X))
    accuracy = SoftmaxClassifier.score(clf, X, Y)
    assert clf.score(X, Y) == pytest.approx(-loss if scoring else accuracy)
    in_default_folds = SoftmaxClassifierCV(Cs=[0.01, 1.0], scoring=scoring, **params).fit(X, Y)
    assert np.isfinite(in_default_folds.scores_).all()


def test_folds_in_which_nothing_is_known_are_told():
    y = Y.copy()
    y[:60] = np.nan
    with pytest.raises(ValueError, match="No label of y is known in the test rows of a fold"):
        SoftmaxClassifierCV(Cs=[1.0], cv=KFold(4), loss="binary").fit(X, y)


def test_probabilities_of_all_rows_by_fits_on_the_others():
    found = cross_val_predict_proba(SoftmaxClassifier(loss="binary"), X, Y)
    for train, test in KFold(5).split(X):
        clf = SoftmaxClassifier(loss="binary").fit(X[train], Y[train])
        assert_allclose(found[test], clf.predict_proba(X[test]))


def test_the_path_is_made_of_such_fits():
    path = softmax_path(X, Y, Cs=[0.1, 1.0], loss="binary", tol=1e-15)
    assert_allclose(path.coefs[1], fit(Y).coef_, atol=1e-8)


def test_the_choice_of_c_on_chunks():
    chunked = [da.from_array(a, chunks=(60, a.shape[1])) for a in (X, Y)]
    params = {"Cs": [0.01, 1.0], "cv": KFold(4), "loss": "binary", "tol": 1e-10}
    on_dask = skce_dask.SoftmaxClassifierCV(**params).fit(*chunked)
    assert_allclose(on_dask.scores_, SoftmaxClassifierCV(**params).fit(X, Y).scores_, rtol=1e-4)
