"""Offsets: known parts of logits, compared with statsmodels, PyTorch and columns held at 1."""

from dataclasses import replace
from unittest.mock import patch

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path
from skce import dask as skce_dask
from skce._costs import DEFAULT
from skce.metrics import log_loss, make_log_loss_scorer, neg_log_loss_scorer
from skce.model_selection import cross_val_predict_proba

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

rng = np.random.default_rng(0)
N, P, K = 200, 4, 3
X = rng.normal(size=(N, P))
OFFSET = 2 * rng.normal(size=(N, K))
Y2 = (rng.random(N) < 1 / (1 + np.exp(-(OFFSET[:, 0] + X[:, 0])))).astype(int)
Y3 = (X[:, :K] + OFFSET + rng.gumbel(size=(N, K))).argmax(axis=1)
SOFT = rng.dirichlet(np.ones(K), size=N)
LABELS = (X[:, :K] + OFFSET + rng.logistic(size=(N, K)) > 0).astype(float)
WEIGHTS = rng.random(N) + 0.1
FORMS = {
    "two classes": (Y2, OFFSET[:, 0], "auto"),
    "P(class 1)": (np.round(SOFT[:, 0], 3), OFFSET[:, 0], "binary"),
    "softmax of two": (Y2, OFFSET[:, :2], "categorical"),
    "labels": (Y3, OFFSET, "auto"),
    "soft": (SOFT, OFFSET, "auto"),
    "one-vs-rest": (Y3, OFFSET, "binary"),
    "multilabel": (LABELS, OFFSET, "binary"),
    "missing": (np.where(rng.random((N, K)) < 0.3, np.nan, LABELS), OFFSET, "binary"),
}


def fit(y, offset, weights=None, X=X, kind=SoftmaxClassifier, **params):
    return kind(**{"tol": 1e-15, **params}).fit(X, y, weights, offset=offset)


def with_columns(y, offset, weights=None, X=X, **params):
    """Fit the offset as columns whose coefficients are held at 1 by bounds."""
    offset = offset.reshape(N, -1)
    own, k = np.full((offset.shape[1], X.shape[1]), np.inf), np.eye(offset.shape[1])
    low, high = params.pop("coef_bounds", (-own, own))
    bounds = np.hstack([low * np.ones_like(own), k]), np.hstack([high * np.ones_like(own), k])
    factors = np.r_[np.ones(X.shape[1]), np.zeros(offset.shape[1])]
    clf = SoftmaxClassifier(
        **{"tol": 1e-13, **params, "coef_bounds": bounds, "penalty_weights": factors}
    )
    return clf.fit(np.hstack([X, offset]), y, weights)


# ------------------------------------------------------------------------------------ what it is
@pytest.mark.parametrize("solver", ["auto", "newton-cg", "lbfgs"])
@pytest.mark.parametrize("y", [Y2, np.round(SOFT[:, 0], 3)], ids=["hard", "soft"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_two_classes_are_those_of_statsmodels(y, solver, weights):
    sm = pytest.importorskip("statsmodels.api")
    options = {} if weights is None else {"freq_weights": weights}
    family = sm.families.Binomial()
    model = sm.GLM(y, sm.add_constant(X), family=family, offset=OFFSET[:, 0], **options)
    found = model.fit(tol=1e-14, maxiter=100)
    clf = fit(y, OFFSET[:, 0], weights, loss="binary", C=np.inf, solver=solver)
    assert_allclose(np.r_[clf.intercept_, clf.coef_[0]], found.params, atol=1e-9)
    p = clf.predict_proba(X[:5], offset=OFFSET[:5, 0])[:, 1]
    assert_allclose(p, found.predict(sm.add_constant(X)[:5], offset=OFFSET[:5, 0]), atol=1e-9)


@pytest.mark.parametrize("form", ["labels", "soft", "softmax of two", "multilabel", "two classes"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_all_are_those_of_torch(form, weights):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    y, offset, loss = FORMS[form]
    clf = fit(y, offset, weights, loss=loss)
    offset = torch.tensor(offset.reshape(N, -1))
    k = offset.shape[1]
    x, w = torch.tensor(X), torch.ones(N) if weights is None else torch.tensor(weights)

    def objective(theta):
        W, b = theta[: k * P].reshape(k, P), theta[k * P :]
        z = x @ W.T + b + offset
        if clf._form == "softmax":
            losses = functional.cross_entropy(z, torch.tensor(y), reduction="none")
        else:
            t = torch.tensor(y.reshape(N, -1), dtype=torch.float64)
            losses = functional.binary_cross_entropy_with_logits(z, t, reduction="none").sum(1)
        return (w * losses).sum() + (W**2).sum() / 2

    theta = torch.zeros(k * (P + 1), dtype=torch.float64)
    for _ in range(30):  # Newton's method
        g = torch.autograd.functional.jacobian(objective, theta)
        H = torch.autograd.functional.hessian(objective, theta)
        theta = theta - torch.linalg.pinv(H, hermitian=True) @ g
    assert_allclose(clf.coef_.ravel(), theta[: k * P].numpy(), atol=1e-9)
    assert_allclose(clf.intercept_, theta[k * P :].numpy(), atol=1e-9)


@pytest.mark.parametrize("form", [name for name in FORMS if name != "missing"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"C": 0.01},
        {"fit_intercept": False},
        {"class_weight": "balanced", "label_smoothing": 0.1},
        {"l1_ratio": 1.0, "C": 0.1},
        {"l1_ratio": 0.5, "C": 0.1},
        {"coef_bounds": (0, 0.2)},
    ],
    ids=str,
)
def test_it_is_a_column_whose_coefficient_is_one(form, params):
    y, offset, loss = FORMS[form]
    clf = fit(y, offset, WEIGHTS, loss=loss, **{"tol": 1e-13, **params})
    same = with_columns(y, offset, WEIGHTS, loss=loss, **params)
    if params.get("l1_ratio") != 1:  # then the optimum is one point
        assert_allclose(clf.coef_, same.coef_[:, :P], atol=3e-7)
    wide = np.hstack([X, offset.reshape(N, -1)])
    assert_allclose(clf.predict_proba(X, offset=offset), same.predict_proba(wide), atol=3e-7)
    assert_allclose(clf.optimize_result_.fun, same.optimize_result_.fun, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_it_is_nothing_if_it_is_zero(form):
    y, offset, loss = FORMS[form]
    same = SoftmaxClassifier(loss=loss).fit(X, y)
    clf = SoftmaxClassifier(loss=loss).fit(X, y, offset=np.zeros_like(offset))
    assert_array_equal(clf.coef_, same.coef_)
    assert_array_equal(clf.predict_proba(X, offset=np.zeros_like(offset)), same.predict_proba(X))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_added_to_all_rows_is_an_intercept(form):
    y, offset, loss = FORMS[form]
    known = np.arange(1.0, 1 + offset.reshape(N, -1).shape[1])
    same = fit(y, None, loss=loss)
    clf = fit(y, np.broadcast_to(known, (N, len(known))), loss=loss)
    assert_allclose(clf.coef_, same.coef_, atol=1e-8)
    moved = clf.intercept_ + known - (same.intercept_ if clf._form != "softmax" else 0)
    expected = (
        same.intercept_ + moved.mean() - same.intercept_.mean() if clf._form == "softmax" else 0
    )
    assert_allclose(moved, expected, atol=1e-8)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
@pytest.mark.parametrize("form", FORMS)
def test_predictions_add_it_to_the_logits(form, method):
    y, offset, loss = FORMS[form]
    clf = fit(y, offset, loss=loss, tol=1e-9)
    whole = getattr(clf, method)(X, offset=offset)
    for i in range(5):  # for a row, the offset is part of the intercept
        moved = SoftmaxClassifier()
        vars(moved).update(vars(clf))
        moved.intercept_ = clf.intercept_ + offset[i]
        assert_allclose(getattr(moved, method)(X[i : i + 1])[0], whole[i], rtol=1e-12)
    assert not np.array_equal(whole, getattr(clf, method)(X))


@pytest.mark.parametrize("form", ["two classes", "labels", "one-vs-rest", "multilabel"])
def test_score_predicts_with_it(form):
    y, offset, loss = FORMS[form]
    clf = fit(y, offset, loss=loss, tol=1e-9)
    right = clf.predict(X, offset=offset) == y
    right = right.all(axis=1) if y.ndim == 2 else right
    assert clf.score(X, y, offset=offset) == right.mean()
    assert clf.score(X, y, offset=offset) > clf.score(X, y)


# ------------------------------------------------------------------------------------------ shapes
def test_two_classes_take_one_column_or_two():
    one = fit(Y2, OFFSET[:, 0])
    two = np.c_[OFFSET[:, 1], OFFSET[:, 0] + OFFSET[:, 1]]
    for same in (fit(Y2, OFFSET[:, :1]), fit(Y2, two)):
        assert_allclose(same.coef_, one.coef_, atol=1e-9)
    assert_allclose(
        one.decision_function(X, offset=two), one.decision_function(X, offset=OFFSET[:, 0])
    )
    softmax = fit(Y2, OFFSET[:, 0], loss="categorical")
    assert_allclose(softmax.coef_, fit(Y2, two, loss="categorical").coef_, atol=1e-9)


def test_outputs_that_do_not_see_each_other_take_one_column_for_all():
    for y in (Y3, LABELS):
        wide = np.repeat(OFFSET[:, :1], K, axis=1)
        assert_array_equal(
            fit(y, OFFSET[:, 0], loss="binary").coef_, fit(y, wide, loss="binary").coef_
        )


def test_columns_of_a_frame_are_those_of_classes_by_name():
    y = np.array(["b", "a", "c"])[Y3]
    frame = pd.DataFrame(OFFSET, columns=["b", "a", "c"])
    clf = fit(y, frame)
    assert_array_equal(clf.coef_, fit(y, OFFSET[:, [1, 0, 2]]).coef_)
    assert_array_equal(
        clf.predict_proba(X, offset=frame), clf.predict_proba(X, offset=frame[["a", "b", "c"]])
    )
    with pytest.raises(
        ValueError, match=r"columns of offset are .* but the classes of the fit are"
    ):
        fit(y, frame.rename(columns={"a": "d"}))


@pytest.mark.parametrize(
    "container", [list, pd.Series, lambda o: o.astype(np.float32).astype(float)]
)
def test_containers(container):
    assert_allclose(fit(Y2, container(OFFSET[:, 0])).coef_, fit(Y2, OFFSET[:, 0]).coef_, atol=1e-6)


BAD = {
    "one column": (Y3, OFFSET[:, 0], "one column, but there are 3 classes.*changes no probability"),
    "rows": (Y3, OFFSET[:-1], r"must have shape \(200,\) or \(200, 3\).*has shape \(199, 3\)"),
    "columns": (Y3, OFFSET[:, :2], r"has shape \(200, 2\)"),
    "NaN": (Y2, np.where(np.arange(N) == 7, np.nan, 0.0), "row 7 of offset holds nan"),
    "infinity": (Y3, np.where(np.arange(N)[:, None] == 9, np.inf, OFFSET), "row 9 of offset holds"),
    "text": (Y2, ["a"] * N, "offset must hold numbers"),
    "sparse": (Y3, sp.csr_array(OFFSET), "offset is a sparse matrix"),
    "a number": (Y2, 1.0, r"offset must have shape \(200,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_offset_is_named(name):
    y, offset, message = BAD[name]
    clf = fit(y, None)
    before = clf.coef_.copy()
    with pytest.raises((ValueError, TypeError), match=message):
        clf.fit(X, y, offset=offset)
    assert_array_equal(clf.coef_, before)
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(clf, method)(X, offset=offset)


# ------------------------------------------------------------------------------------------ places
@pytest.mark.parametrize("form", FORMS)
def test_rows_may_be_anywhere(form):
    y, offset, loss = FORMS[form]
    same = fit(y, offset, WEIGHTS, loss=loss)
    parameters = {"loss": loss, "kind": type("InParts", (SoftmaxClassifier,), {})}
    parameters["kind"]._costs = replace(DEFAULT, part_bytes=50 * X.itemsize * P)

    class Slices:
        shape, dtype = X.shape, X.dtype

        def __getitem__(self, rows):
            return X[rows]

    parts = fit(y, offset, WEIGHTS, X=Slices(), **parameters)
    assert_allclose(parts.coef_, same.coef_, atol=1e-9)
    assert_allclose(
        parts.predict_proba(Slices(), offset=offset),
        same.predict_proba(X, offset=offset),
        atol=1e-9,
    )
    csr = fit(y, offset, WEIGHTS, X=sp.csr_array(X), loss=loss)
    assert_allclose(csr.coef_, same.coef_, atol=1e-9)
    assert_allclose(
        csr.predict_proba(sp.csr_array(X), offset=offset),
        same.predict_proba(X, offset=offset),
        atol=1e-9,
    )
    single = fit(y, offset, WEIGHTS, X=X.astype(np.float32), loss=loss, tol=1e-9)
    assert_allclose(single.coef_, same.coef_, atol=1e-4)
    assert single.predict_proba(X.astype(np.float32), offset=offset).dtype == np.float32


@pytest.mark.parametrize("form", FORMS)
def test_rows_may_be_in_chunks_of_dask(form):
    y, offset, loss = FORMS[form]
    same = fit(y, offset, WEIGHTS, loss=loss)
    dx, dy, dw, do = (da.from_array(a, chunks=(70, *a.shape[1:])) for a in (X, y, WEIGHTS, offset))
    clf = skce_dask.SoftmaxClassifier(loss=loss, tol=1e-15).fit(dx, dy, dw, offset=do)
    assert_allclose(clf.coef_, same.coef_, atol=1e-9)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        found = getattr(clf, method)(dx, offset=do).compute()
        assert_allclose(found, getattr(same, method)(X, offset=offset), atol=1e-9)
    assert_allclose(clf.score(dx, dy, dw, offset=do), same.score(X, y, WEIGHTS, offset=offset))


def test_bad_offsets_in_chunks_are_named():
    bad = OFFSET.copy()
    bad[123, 1] = np.nan
    dx, dy, do = (da.from_array(a, chunks=(70, *a.shape[1:])) for a in (X, Y3, bad))
    with pytest.raises(ValueError, match="row 123 of offset"):
        skce_dask.SoftmaxClassifier().fit(dx, dy, offset=do)
    with pytest.raises(TypeError, match="offset must be a Dask collection"):
        skce_dask.SoftmaxClassifier().fit(dx, dy, offset=OFFSET)
    with pytest.raises(ValueError, match="X and offset are not chunked alike"):
        skce_dask.SoftmaxClassifier().fit(dx, dy, offset=do.rechunk((50, K)))


@pytest.mark.parametrize("form", FORMS)
def test_rows_may_be_on_another_device(form):
    torch = pytest.importorskip("torch")
    y, offset, loss = FORMS[form]

    class OnDevice(SoftmaxClassifier):
        _costs = replace(DEFAULT, part_bytes=0, device_rows=70)

    clf = OnDevice(loss=loss, tol=1e-15)
    with (
        patch("skce._array_api.is_on_host", lambda _: False),
        config_context(array_api_dispatch=True),
    ):
        x, o = torch.asarray(X), torch.asarray(offset)
        clf.fit(x, y, torch.asarray(WEIGHTS), offset=o)
        p = np.asarray(clf.predict_proba(x, offset=o))
        clf = clf.to_namespace(np)
    same = fit(y, offset, WEIGHTS, loss=loss)
    assert_allclose(clf.coef_, same.coef_, atol=1e-9)
    assert_allclose(p, same.predict_proba(X, offset=offset), atol=1e-9)


# --------------------------------------------------------------------------------- larger problems
@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_many_rows_start_from_a_sample(solver):
    r = np.random.default_rng(5)
    n = 30_000
    X = r.normal(size=(n, 6))
    offset = 3 * r.normal(size=(n, 3))
    y = (X[:, :3] + offset + r.gumbel(size=(n, 3))).argmax(axis=1)
    X = X * [1, 10, 1e3, 1, 1, 1] + [0, 0, 1e5, 0, 0, 0]
    clf = fit(y, offset, X=X, C=1.0, tol=1e-10, solver=solver)
    wide = np.hstack([X, offset])
    free, k = np.full((3, 6), np.inf), np.eye(3)
    held = SoftmaxClassifier(
        coef_bounds=(np.hstack([-free, k]), np.hstack([free, k])),
        penalty_weights=np.r_[np.ones(6), np.zeros(3)],
    ).fit(wide, y)
    assert_allclose(clf.optimize_result_.fun, held.optimize_result_.fun, rtol=2e-9)
    assert clf.n_iter_[0] < 20


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("params", [{}, {"l1_ratio": 1.0}, {"coef_bounds": (-0.1, 0.1)}], ids=str)
def test_offsets_that_are_large(size, params):
    clf = fit(Y3, size * OFFSET, tol=1e-9, **params)
    result = clf.optimize_result_
    z = X @ clf.coef_.T + clf.intercept_ + size * OFFSET
    top = z.max(axis=1)
    losses = top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z[np.arange(N), Y3]
    rho = params.get("l1_ratio", 0)
    W = clf.coef_
    expected = losses.sum() + (1 - rho) * (W**2).sum() / 2 + rho * np.abs(W).sum()
    assert_allclose(result.fun, expected, rtol=1e-12)
    for _ in range(20):  # no point near it is lower
        other = W + 1e-2 * rng.normal(size=W.shape)
        other = np.clip(other, *params.get("coef_bounds", (-np.inf, np.inf)))
        z = X @ other.T + clf.intercept_ + size * OFFSET
        top = z.max(axis=1)
        losses = top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z[np.arange(N), Y3]
        value = losses.sum() + (1 - rho) * (other**2).sum() / 2 + rho * np.abs(other).sum()
        assert value >= result.fun * (1 - 1e-9)


def test_separation_is_seen_behind_an_offset():
    y = (X[:, 0] > 0).astype(int)
    with pytest.warns(UserWarning, match="There is no optimum"):
        fit(y, 5 * OFFSET[:, 0], C=np.inf, tol=1e-9)


# ----------------------------------------------------------------------- paths, choice and routing
def test_the_path_is_made_of_such_fits():
    path = softmax_path(X, Y3, Cs=[0.1, 1.0], offset=OFFSET, tol=1e-14)
    assert_allclose(path.coefs[1], fit(Y3, OFFSET).coef_, atol=1e-7)
    sparse = softmax_path(X, Y3, Cs=5, l1_ratio=1.0, offset=OFFSET)
    counts = (sparse.coefs != 0).sum(axis=(1, 2))
    assert counts[0] == 0
    assert counts[1] > 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scorer", [False, True])
def test_the_choice_of_c_splits_it_by_fold(form, scorer):
    y, offset, loss = FORMS[form]
    kind = "binary" if loss == "binary" and y.ndim == 2 else "categorical"
    scoring = make_log_loss_scorer(loss=kind) if scorer else None
    params = {"loss": loss, "tol": 1e-10}
    clf = SoftmaxClassifierCV(Cs=[0.01, 1.0], cv=KFold(4), scoring=scoring, **params)
    clf.fit(X, y, offset=offset)
    for i, (train, test) in enumerate(KFold(4).split(X)):
        for j, C in enumerate([0.01, 1.0]):
            one = SoftmaxClassifier(C=C, **params).fit(X[train], y[train], offset=offset[train])
            p = one.predict_proba(X[test], offset=offset[test])
            assert_allclose(-clf.scores_[i, 0, j], log_loss(y[test], p, loss=kind), rtol=1e-4)
    same = SoftmaxClassifier(C=clf.C_, **params).fit(X, y, offset=offset)
    assert_allclose(clf.coef_, same.coef_, atol=1e-4)
    expected = -log_loss(y, same.predict_proba(X, offset=offset), loss=kind)
    found = clf.score(X, y, offset=offset)
    assert found == pytest.approx(expected if scorer else same.score(X, y, offset=offset), rel=1e-3)


def test_scorers_that_predict_without_it_are_refused():
    clf = SoftmaxClassifierCV(Cs=[1.0], scoring="neg_log_loss")
    for routing in (False, True):
        refused = pytest.raises(ValueError, match="predicts without the offset")
        with config_context(enable_metadata_routing=routing), refused:
            clf.fit(X, Y3, offset=OFFSET)


def test_the_choice_of_c_on_chunks():
    dx, dy, do = (da.from_array(a, chunks=(60, *a.shape[1:])) for a in (X, Y3, OFFSET))
    for scoring in (None, neg_log_loss_scorer):
        params = {"Cs": [0.01, 1.0], "cv": KFold(4), "scoring": scoring, "tol": 1e-10}
        clf = skce_dask.SoftmaxClassifierCV(**params).fit(dx, dy, offset=do)
        same = SoftmaxClassifierCV(**params).fit(X, Y3, offset=OFFSET)
        assert_allclose(clf.scores_, same.scores_, rtol=1e-4)
        assert_allclose(clf.score(dx, dy, offset=do), same.score(X, Y3, offset=OFFSET), rtol=1e-6)


def test_pipelines_and_searches_route_it():
    with config_context(enable_metadata_routing=True):
        clf = SoftmaxClassifier(tol=1e-12)
        for request in ("fit", "predict", "predict_proba", "score"):
            getattr(clf, f"set_{request}_request")(offset=True)
        pipe = make_pipeline(StandardScaler(), clf)
        pipe.fit(X, Y3, offset=OFFSET)
        Z = StandardScaler().fit_transform(X)
        same = SoftmaxClassifier(tol=1e-12).fit(Z, Y3, offset=OFFSET)
        assert_array_equal(pipe[-1].coef_, same.coef_)
        p = same.predict_proba(Z, offset=OFFSET)
        assert_array_equal(pipe.predict_proba(X, offset=OFFSET), p)
        assert_array_equal(pipe.predict(X, offset=OFFSET), same.predict(Z, offset=OFFSET))

        scorer = make_log_loss_scorer().set_score_request(offset=True)
        cv = StratifiedKFold(3)
        for scoring in (None, scorer):
            found = cross_validate(clf, X, Y3, params={"offset": OFFSET}, cv=cv, scoring=scoring)
            for score, (train, test) in zip(found["test_score"], cv.split(X, Y3), strict=True):
                one = SoftmaxClassifier(tol=1e-12).fit(X[train], Y3[train], offset=OFFSET[train])
                given = {"offset": OFFSET[test]}
                by_hand = one.score(X[test], Y3[test], **given)
                if scoring is scorer:
                    by_hand = -log_loss(Y3[test], one.predict_proba(X[test], **given))
                assert score == pytest.approx(by_hand)
        search = GridSearchCV(pipe, {"softmaxclassifier__C": [0.01, 1.0]}, cv=3, scoring=scorer)
        search.fit(X, Y3, offset=OFFSET)
        assert search.score(X, Y3, offset=OFFSET) > search.cv_results_["mean_test_score"].min()

        chosen = SoftmaxClassifierCV(Cs=[0.01, 1.0], cv=3).set_fit_request(offset=True)
        whole = make_pipeline(StandardScaler(), chosen).fit(X, Y3, offset=OFFSET)
        assert_array_equal(
            whole[-1].scores_,
            SoftmaxClassifierCV(Cs=[0.01, 1.0], cv=3).fit(Z, Y3, offset=OFFSET).scores_,
        )


def test_predictions_of_folds_without_it_are_refused():
    for name in ("offset", "softmaxclassifier__offset"):
        with pytest.raises(ValueError, match=r"pass to fit only. Loop over the folds"):
            cross_val_predict_proba(SoftmaxClassifier(), X, Y3, params={name: OFFSET})


def test_pipelines_pass_it_by_name_without_routing():
    pipe = make_pipeline(StandardScaler(), SoftmaxClassifier())
    pipe.fit(X, Y3, softmaxclassifier__offset=OFFSET)
    same = SoftmaxClassifier().fit(StandardScaler().fit_transform(X), Y3, offset=OFFSET)
    assert_array_equal(pipe[-1].coef_, same.coef_)


def test_a_class_that_a_fold_lacks_has_no_probability_whatever_its_offset():
    y = Y3.copy()
    y[y == 2] = 0
    y[:3] = 2
    offset = OFFSET.copy()
    offset[:, 2] += 100
    clf = SoftmaxClassifierCV(Cs=[1.0], cv=[(np.arange(3, N), np.arange(3, N))])
    clf.fit(X, y, offset=offset)
    one = SoftmaxClassifier().fit(
        X[3:], y[3:], offset=offset[3:, 0] * 0 + offset[3:, 1] - offset[3:, 0]
    )
    p = one.predict_proba(X[3:], offset=offset[3:, 1] - offset[3:, 0])
    assert_allclose(-clf.scores_[0, 0, 0], log_loss(y[3:], p), rtol=1e-2)


def test_to_sklearn_predicts_without_it():
    clf = fit(Y3, OFFSET)
    assert_allclose(clf.to_sklearn().predict_proba(X), clf.predict_proba(X), atol=1e-12)
