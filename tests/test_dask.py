"""Dask collections: the optimum of the same rows in memory, and errors that name the row."""

import gc
import os
import re
import signal
import time
from functools import partial
from itertools import pairwise

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, PredefinedSplit

import skce
from skce import metrics
from skce._data import chunks as module
from skce._data.chunks import ChunkedData, is_aligned
from skce.dask import SoftmaxClassifier, SoftmaxClassifierCV, log_loss
from skce.metrics import make_log_loss_scorer

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")


@pytest.fixture(autouse=True)
def scheduler():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def problem():
    return make_classification(
        400, 12, n_informative=6, n_classes=3, n_clusters_per_class=1, random_state=0
    )


SIZES = (1, 150, 9, 0, 200, 40)


def in_chunks(values, sizes=SIZES):
    """Return a Dask array in uneven chunks, one of them empty."""
    if sp.issparse(values):
        ends = np.cumsum((0, *sizes))
        parts = [
            da.from_delayed(dask.delayed(values[a:b]), (b - a, values.shape[1]), values.dtype)
            for a, b in pairwise(ends)
        ]
        return da.concatenate(parts)
    return da.from_array(values, chunks=(sizes, *((n,) for n in values.shape[1:])))


FITS = {
    "labels": ({}, "labels"),
    "two classes": ({}, "two"),
    "strings": ({}, "strings"),
    "L1": ({"l1_ratio": 1.0, "C": 0.1}, "labels"),
    "elastic net": ({"l1_ratio": 0.5}, "two"),
    "bounds": ({"coef_bounds": (0, None)}, "labels"),
    "no penalty": ({"C": np.inf}, "soft"),
    "L-BFGS": ({"solver": "lbfgs"}, "soft"),
    "soft, balanced": ({"class_weight": "balanced", "label_smoothing": 0.1}, "soft"),
    "labels, balanced": ({"class_weight": "balanced"}, "labels"),
    "two, balanced": ({"class_weight": "balanced"}, "two"),
    "class weights": ({"class_weight": {0: 2.0, 2: 0.5}}, "labels"),
    "multilabel": ({"loss": "binary", "class_weight": "balanced"}, "multilabel"),
    "one-vs-rest": ({"loss": "binary", "label_smoothing": 0.1}, "labels"),
    "probability of one": ({"loss": "binary", "class_weight": "balanced"}, "one"),
    "no intercept": ({"fit_intercept": False}, "labels"),
}


def targets(kind, y):
    rng = np.random.default_rng(1)
    if kind == "soft":
        Y = rng.dirichlet(np.ones(3), len(y)) + np.eye(3)[y]
        return Y / Y.sum(axis=1, keepdims=True)
    return {
        "labels": y,
        "two": (y > 0).astype(int),
        "strings": np.array(["b", "a", "c"])[y],
        "multilabel": (rng.random((len(y), 4)) < 0.4).astype(int),
        "one": np.where(rng.random(len(y)) < 0.3, y > 0, rng.random(len(y))),
    }[kind]


@pytest.mark.parametrize("form", ["dense", "CSR"])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("kind", FITS)
def test_the_optimum_is_that_of_rows_in_memory(kind, weighted, form, problem):
    params, of = FITS[kind]
    X, y = problem[0], targets(of, problem[1])
    chunked = in_chunks
    if form == "CSR":  # Dask leaves out empty chunks of CSR
        X = sp.csr_array(np.where(np.abs(X) > 0.7, X, 0))
        chunked = partial(in_chunks, sizes=tuple(size for size in SIZES if size))
    weights = None
    if weighted:
        weights = np.random.default_rng(2).uniform(0, 2, len(y))
        weights[1:151] = 0
    same = skce.SoftmaxClassifier(**params).fit(X, y, weights)
    clf = SoftmaxClassifier(**params).fit(
        chunked(X), chunked(y), None if weights is None else chunked(weights)
    )
    assert_array_equal(clf.classes_, same.classes_)
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)
    assert clf.optimize_result_.passes <= 1.5 * same.optimize_result_.passes + 3
    for method in ("predict_proba", "decision_function", "predict_log_proba", "predict"):
        lazy = getattr(clf, method)(chunked(X))
        want = getattr(clf.to_local(), method)(X)
        assert isinstance(lazy, da.Array)
        assert lazy.shape == want.shape
        assert lazy.dtype == want.dtype
        found = lazy.compute()
        assert found.dtype == want.dtype
        (assert_array_equal if method == "predict" else assert_allclose)(found, want)
        assert_allclose(getattr(clf, method)(X), want) if method != "predict" else None
    args = [] if weights is None else [weights]
    assert clf.score(chunked(X), chunked(y), *map(chunked, args)) == pytest.approx(
        clf.to_local().score(X, y, *args)
    )
    assert clf.score(X, y, *args) == clf.to_local().score(X, y, *args)
    assert type(clf.to_local()) is skce.SoftmaxClassifier


def test_columns_far_from_zero_and_float32(problem):
    X, y = problem
    for far in (X + np.linspace(0, 1e7, 12), (X + np.linspace(0, 1e3, 12)).astype(np.float32)):
        for params in ({}, {"fit_intercept": False}):
            one = skce.SoftmaxClassifier(**params, tol=1e-6).fit(far, y)
            other = SoftmaxClassifier(**params, tol=1e-6).fit(in_chunks(far), in_chunks(y))
            value = one.optimize_result_.fun
            assert other.optimize_result_.fun == pytest.approx(value, rel=1e-5)
            assert other.coef_.dtype == far.dtype


def test_many_rows_take_samples(monkeypatch):
    X, y = make_classification(60_000, 20, n_informative=6, n_classes=3, random_state=0)
    sizes = (20_000, 25_000, 15_000)
    one = skce.SoftmaxClassifier().fit(X, y)
    other = SoftmaxClassifier().fit(in_chunks(X, sizes), in_chunks(y, sizes))
    assert other.optimize_result_.fun == pytest.approx(one.optimize_result_.fun, rel=1e-8)
    assert other.optimize_result_.passes <= 1.5 * one.optimize_result_.passes


def test_frames_give_names_to_features_and_classes(problem):
    X, y = problem
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(12)])
    shares = pd.DataFrame(targets("soft", y), columns=["c", "a", "b"])
    parts = [dd.from_pandas(one, npartitions=4, sort=False) for one in (frame, shares)]
    clf = SoftmaxClassifier().fit(*parts)
    assert clf.classes_.tolist() == ["a", "b", "c"]
    assert clf.feature_names_in_.tolist() == list(frame.columns)
    same = skce.SoftmaxClassifier().fit(frame, shares)
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)
    assert_allclose(clf.predict_proba(parts[0]).compute(), clf.to_local().predict_proba(frame))
    labels = dd.from_pandas(pd.Series(y, name="y"), npartitions=4, sort=False)
    clf = SoftmaxClassifier().fit(parts[0], labels)
    assert clf.score(parts[0], labels) == clf.to_local().score(frame, y)
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(parts[0][list(frame.columns[::-1])]).compute()


@pytest.mark.parametrize("loss", ["categorical", "binary"])
def test_log_loss_is_that_of_all_rows(loss, problem):
    _, y = problem
    rng = np.random.default_rng(0)
    P, w = rng.dirichlet(np.ones(3), len(y)), rng.uniform(0, 2, len(y))
    for t in (y, np.array(["a", "b", "c"])[y], targets("soft", y)):
        for options in ({}, {"normalize": False}, {"label_smoothing": 0.1}):
            for weights in (None, w):
                want = metrics.log_loss(t, P, loss=loss, sample_weight=weights, **options)
                found = log_loss(
                    in_chunks(t),
                    in_chunks(P),
                    loss=loss,
                    sample_weight=None if weights is None else in_chunks(weights),
                    **options,
                )
                assert found == pytest.approx(want, rel=1e-12)
    P[345] = [-1, 1, 1]
    with pytest.raises(ValueError, match="Row 345"):
        log_loss(in_chunks(y), in_chunks(P))


@pytest.mark.parametrize("kind", ["labels", "two", "soft", "multilabel"])
def test_c_is_chosen_as_in_memory_on_the_same_folds(kind, problem):
    X, y = problem[0], targets(kind, problem[1])
    params = {"Cs": [0.01, 0.1, 1.0], "loss": "binary" if kind == "multilabel" else "auto"}
    params |= {"class_weight": "balanced", "l1_ratios": [0.0, 0.5]}
    weights = np.random.default_rng(0).uniform(0, 2, len(y))
    for cv in (KFold(3, shuffle=True, random_state=0), PredefinedSplit(np.arange(400) % 3 - 1)):
        for w in (None, weights):
            same = skce.SoftmaxClassifierCV(**params, cv=cv).fit(X, y, w)
            clf = SoftmaxClassifierCV(**params, cv=cv)
            clf.fit(in_chunks(X), in_chunks(y), None if w is None else in_chunks(w))
            assert_allclose(clf.scores_, same.scores_, rtol=1e-3)
            assert (clf.C_, clf.l1_ratio_) == (same.C_, same.l1_ratio_)
            assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)
    assert type(clf.to_local()) is skce.SoftmaxClassifierCV
    assert_allclose(clf.predict_proba(in_chunks(X)).compute(), clf.to_local().predict_proba(X))


@pytest.mark.parametrize("kind", ["labels", "soft", "multilabel"])
def test_c_is_searched_for_as_in_memory(kind, problem):
    X, y = problem[0], targets(kind, problem[1])
    params = {"cv": KFold(3), "loss": "binary" if kind == "multilabel" else "auto"}
    same = skce.SoftmaxClassifierCV(**params).fit(X, y)
    clf = SoftmaxClassifierCV(**params).fit(in_chunks(X), in_chunks(y))
    assert_allclose(clf.Cs_, same.Cs_, rtol=2e-2)
    assert_allclose(clf.scores_, same.scores_, rtol=2e-2)
    path = skce.softmax_path(X, y, Cs=2, loss=params["loss"])
    ends = SoftmaxClassifierCV(Cs=2, **params).fit(in_chunks(X), in_chunks(y)).Cs_
    assert_allclose(ends, path.Cs, rtol=1e-6)


def test_rows_are_dealt_out_to_folds(problem):
    X, y = problem
    clf, again = (
        SoftmaxClassifierCV(Cs=[0.1, 1.0], cv=4).fit(in_chunks(X), in_chunks(y)) for _ in range(2)
    )
    assert clf.scores_.shape == (4, 1, 2)
    assert_array_equal(clf.scores_, again.scores_)
    same = skce.SoftmaxClassifierCV(Cs=[0.1, 1.0], cv=4).fit(X, y)
    assert_allclose(clf.scores_.mean(axis=0), same.scores_.mean(axis=0), rtol=0.1)
    with pytest.raises(ValueError, match="at most the number of rows, 400"):
        SoftmaxClassifierCV(Cs=[1.0], cv=1000).fit(in_chunks(X), in_chunks(y))


def spread(clf, X, y, sample_weight=None):
    """Return a score that is not a mean over rows."""
    return np.average(np.abs(clf.predict_proba(X)[:, 0] - y), weights=sample_weight) ** 2


SCORES = {
    "accuracy": ({"scoring": "accuracy"}, "labels"),
    "balanced accuracy of strings": ({"scoring": "balanced_accuracy"}, "strings"),
    "log-loss of scikit-learn": ({"scoring": "neg_log_loss"}, "labels"),
    "area under a curve": ({"scoring": "roc_auc"}, "two"),
    "F1 of labels": ({"scoring": "f1_macro", "loss": "binary"}, "multilabel"),
    "soft targets": ({"scoring": make_log_loss_scorer()}, "soft"),
    "one-vs-rest": ({"loss": "binary"}, "labels"),
    "one-vs-rest, accuracy": ({"loss": "binary", "scoring": "accuracy"}, "labels"),
    "a callable": ({"scoring": spread}, "labels"),
}


@pytest.mark.parametrize(("form", "weighted"), [("dense", True), ("CSR", False)])
@pytest.mark.parametrize("kind", SCORES)
def test_scores_are_those_of_rows_in_memory(kind, form, weighted, problem):
    params, of = SCORES[kind]
    X, y, chunked = problem[0], targets(of, problem[1]), in_chunks
    if form == "CSR":
        X = sp.csr_array(np.where(np.abs(X) > 0.7, X, 0))
        chunked = partial(in_chunks, sizes=tuple(size for size in SIZES if size))
    weights = [np.random.default_rng(2).uniform(0, 2, len(y))] if weighted else []
    params = {"Cs": [0.01, 1.0], "cv": KFold(3), **params}
    same = skce.SoftmaxClassifierCV(**params).fit(X, y, *weights)
    clf = SoftmaxClassifierCV(**params).fit(*map(chunked, (X, y, *weights)))
    assert_allclose(clf.scores_, same.scores_, rtol=1e-4)
    assert clf.C_ == same.C_
    assert clf.score(*map(chunked, (X, y, *weights))) == pytest.approx(
        same.score(X, y, *weights), rel=1e-4
    )
    assert isinstance(clf.predict_proba(chunked(X)), da.Array)


def test_scores_of_data_frames_and_of_folds_that_lack_a_class(problem):
    X, y = problem
    Y = pd.DataFrame(targets("soft", y), columns=["b", "c", "a"])
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=3)
    params = {"Cs": [0.01, 1.0], "cv": KFold(3), "scoring": make_log_loss_scorer()}
    same = skce.SoftmaxClassifierCV(**params).fit(pd.DataFrame(X), Y)
    clf = SoftmaxClassifierCV(**params).fit(frame, dd.from_pandas(Y, npartitions=3))
    assert_allclose(clf.scores_, same.scores_, rtol=1e-4)
    # The first fold is trained without class 0.
    order = np.argsort(y, kind="stable")
    cv = [(np.arange((y == 0).sum(), len(y)), np.arange(0, 200)), *KFold(2).split(X)]
    params = {"Cs": [0.01, 1.0], "cv": cv}
    same = skce.SoftmaxClassifierCV(**params).fit(X[order], y[order])
    clf = SoftmaxClassifierCV(**params).fit(in_chunks(X[order]), in_chunks(y[order]))
    assert_allclose(clf.scores_, same.scores_, rtol=1e-4)


def test_errors(problem):
    X, y = problem
    clf = SoftmaxClassifier().fit(in_chunks(X), in_chunks(y))
    before = vars(clf).copy()

    def refused(kind, match, X, y, *args, **params):
        with pytest.raises(kind, match=match):
            clf.set_params(**params).fit(X, y, *args)
        assert {**vars(clf), "loss": "auto"} == before

    unknown = in_chunks(X)[in_chunks(y) >= 0]
    refused(ValueError, re.escape("X.compute_chunk_sizes()"), unknown, in_chunks(y))
    refused(
        ValueError, re.escape("X.rechunk({1: -1})"), da.from_array(X, chunks=(100, 5)), in_chunks(y)
    )
    refused(ValueError, re.escape("not chunked alike"), in_chunks(X), da.from_array(y, chunks=100))
    refused(ValueError, "one class: 1", in_chunks(X), in_chunks(np.ones(400, dtype=int)))
    refused(TypeError, "y must be a Dask collection", in_chunks(X), y)
    refused(TypeError, "X must be a Dask collection.*skce.SoftmaxClassifier", X, in_chunks(y))
    wrong = X.copy()
    wrong[365, 3] = np.nan
    refused(ValueError, r"(?s)X contains NaN.*row 365:", in_chunks(wrong), in_chunks(y))
    sparse = sp.csr_array(np.where(np.abs(wrong) > 0.5, wrong, wrong * np.isnan(wrong)))
    sizes = tuple(size for size in SIZES if size)
    refused(
        ValueError, r"(?s)X contains NaN.*row 365:", in_chunks(sparse, sizes), in_chunks(y, sizes)
    )
    shares = targets("soft", y)
    shares[364, 0] = 2
    refused(ValueError, "Row 364 of y", in_chunks(X), in_chunks(shares))
    weights = np.ones(400)
    weights[363] = -1
    refused(ValueError, "row 363 has -1", in_chunks(X), in_chunks(y), in_chunks(weights))
    refused(ValueError, "zero in every row", in_chunks(X), in_chunks(y), in_chunks(np.zeros(400)))
    halves = da.concatenate([in_chunks(X[:200], (200,)), in_chunks(X[200:].astype("f4"), (200,))])
    assert halves.dtype == np.float64
    continuous = np.where(np.arange(400) == 362, 0.5, y > 0)
    refused(ValueError, "row 362 of y is 0.5", in_chunks(X), in_chunks(continuous))

    def fails(block):
        raise OSError("the disk is gone")

    refused(OSError, "the disk is gone", in_chunks(X).map_blocks(fails, dtype=float), in_chunks(y))
    mixed = da.concatenate(
        [
            da.from_delayed(dask.delayed(X[:200].astype("f4")), (200, 12), np.float64),
            da.from_delayed(dask.delayed(X[200:]), (200, 12), np.float64),
        ]
    )
    refused(ValueError, r"Chunk 1 of X is float64, but chunk 0 is float32.*astype\('float64'\)",
            mixed, in_chunks(y, (200, 200)))  # fmt: skip


def test_an_estimator_that_is_not_fitted_says_so(problem):
    X, _ = problem
    for clf in (SoftmaxClassifier(), SoftmaxClassifierCV()):
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            with pytest.raises(NotFittedError):
                getattr(clf, method)(in_chunks(X))


def test_the_plain_ones_refuse_dask(problem):
    X, y = problem
    plain = skce.SoftmaxClassifier().fit(X, y)
    for call in (
        lambda: plain.fit(in_chunks(X), y),
        lambda: plain.fit(X, in_chunks(y)),
        lambda: plain.fit(X, in_chunks(np.eye(3)[y])),
        lambda: plain.fit(X, y, in_chunks(np.ones(400))),
        lambda: plain.predict(in_chunks(X)),
        lambda: plain.score(in_chunks(X), y),
        lambda: metrics.log_loss(y, in_chunks(plain.predict_proba(X))),
        lambda: skce.SoftmaxClassifierCV().fit(in_chunks(X), y),
        lambda: skce.softmax_path(in_chunks(X), y),
    ):
        with pytest.raises(TypeError, match=r"(?s)skce.dask.*\.compute\(\)"):
            call()


def test_chunks_that_are_not_aligned_are_copied_once(problem, monkeypatch):
    X, y = problem
    sizes, seen, sums = (150, 250), [], ChunkedData.sum

    def sum_and_look(self, *arguments, **options):
        seen.extend(self.X)
        return sums(self, *arguments, **options)

    askew = np.frombuffer(b"0" + X.tobytes(), dtype=X.dtype, offset=1).reshape(X.shape)
    row = sp.csr_array(X[:1])
    assert is_aligned(X)
    assert is_aligned(row)
    row.data = askew[0]
    assert not is_aligned(askew)
    assert not is_aligned(row)
    monkeypatch.setattr(ChunkedData, "sum", sum_and_look)
    clf = SoftmaxClassifier().fit(in_chunks(askew, sizes), in_chunks(y, sizes))
    same = skce.SoftmaxClassifier().fit(X, y)
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)
    assert len({part.key for part in seen}) == 2
    assert all(is_aligned(part.compute()) for part in seen)


# ------------------------------------------------------------------------------- on a cluster
@pytest.fixture(scope="module")
def client():
    from dask.distributed import Client

    with Client(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=":0",
        silence_logs=50,
        set_as_default=False,
    ) as client:
        yield client


@pytest.fixture
def on_cluster(client):
    with client.as_current(), dask.config.set(scheduler="distributed"):
        assert dask.delayed(os.getpid)().compute() != os.getpid()
        yield client


def eventually(holds):
    """Whether a condition becomes true within some moments."""
    for _ in range(100):
        gc.collect()
        if holds():
            return True
        time.sleep(0.1)
    return False


def is_idle(client):
    """Whether the cluster keeps no data for any client."""
    return eventually(lambda: not client.futures and not any(client.processing().values()))


@pytest.mark.parametrize("form", ["dense", "CSR"])
def test_a_cluster_finds_the_same_optimum_and_keeps_nothing(form, on_cluster, problem):
    X, y = problem
    sizes = (100, 120, 180)
    X = sp.csr_array(np.where(np.abs(X) > 0.7, X, 0)) if form == "CSR" else X
    for params in ({}, {"l1_ratio": 1.0, "C": 0.1}):
        clf = SoftmaxClassifier(**params).fit(in_chunks(X, sizes), in_chunks(y, sizes))
        same = skce.SoftmaxClassifier(**params).fit(X, y)
        assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)
        assert_array_equal(clf.predict(in_chunks(X, sizes)).compute(), clf.to_local().predict(X))
    assert is_idle(on_cluster)


def test_rows_on_workers_stay_there_as_long_as_predictions_of_them_do(on_cluster, problem):
    X, y = problem
    sizes = (100, 120, 180)
    clf = SoftmaxClassifier().fit(*dask.persist(in_chunks(X, sizes), in_chunks(y, sizes)))
    for made in (lambda X: X, lambda X: X + 0, lambda X: X[:300]):
        lazy = clf.predict_proba(made(in_chunks(X, sizes).persist()))
        gc.collect()
        assert_allclose(lazy.compute(), clf.to_local().predict_proba(made(X)))
    del lazy
    assert is_idle(on_cluster)


def test_a_worker_that_dies_costs_time_and_nothing_else(on_cluster, problem, monkeypatch):
    X, y = problem
    sizes = (100, 100, 100, 100)
    killed, sums = [], ChunkedData.sum

    def sum_and_kill(self, *arguments, **options):
        if len(killed) < 1:
            (pid, *_) = on_cluster.run(os.getpid).values()
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
        return sums(self, *arguments, **options)

    monkeypatch.setattr(ChunkedData, "sum", sum_and_kill)
    clf = SoftmaxClassifier().fit(in_chunks(X, sizes), in_chunks(y, sizes))
    same = skce.SoftmaxClassifier().fit(X, y)
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)
    assert killed
    on_cluster.wait_for_workers(2, timeout=60)  # a new one, or the cluster may not close


def test_a_worker_that_joins_in_mid_fit_is_used(problem, monkeypatch):
    from dask.distributed import Client

    chunks = [in_chunks(given, (20,) * 20) for given in problem]
    of_chunk, sums, calls = module._sum, ChunkedData.sum, []

    def sum_and_grow(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            client.cluster.scale(2)
            client.wait_for_workers(2, timeout=60)
        return sums(self, *arguments, **options)

    def slowly(*arguments):
        time.sleep(0.01)  # shorter tasks are not moved
        return of_chunk(*arguments)

    monkeypatch.setattr(module, "_sum", slowly)
    monkeypatch.setattr(ChunkedData, "sum", sum_and_grow)
    with (
        Client(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as client,
        dask.config.set(scheduler="distributed"),
    ):
        clf = SoftmaxClassifier().fit(*chunks)
        used = [worker.state.executed_count for worker in client.cluster.workers.values()]
    assert len(used) == 2
    assert min(used) > 10
    same = skce.SoftmaxClassifier().fit(*problem)
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)


@pytest.mark.parametrize("how", ["Ctrl-C", "cancel"])
def test_a_fit_that_is_interrupted_leaves_nothing_behind(how, on_cluster, problem, monkeypatch):
    X, y = problem
    sizes = (100, 100, 100, 100)
    chunks = in_chunks(X, sizes), in_chunks(y, sizes)
    clf = SoftmaxClassifier().fit(*chunks)
    before, sums, calls = vars(clf).copy(), ChunkedData.sum, []
    of_scheduler = on_cluster.cluster.scheduler.tasks

    def sum_or_stop(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 5:
            if how == "Ctrl-C":
                raise KeyboardInterrupt
            held = on_cluster.futures_of(self.targets)
            assert held
            # The scheduler itself fails if tasks that no client needs depend on these.
            assert eventually(lambda: not any("_sum" in str(task) for task in of_scheduler))
            on_cluster.cancel(held)
        return sums(self, *arguments, **options)

    monkeypatch.setattr(ChunkedData, "sum", sum_or_stop)
    error = KeyboardInterrupt if how == "Ctrl-C" else Exception
    with pytest.raises(error) as caught:
        clf.fit(*chunks)
    del caught
    assert vars(clf) == before
    assert is_idle(on_cluster)
