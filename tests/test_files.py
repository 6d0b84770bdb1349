"""X in files and stores: the optimum of the same rows in memory, and errors that name the row."""

import os
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import zarr
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification
from sklearn.model_selection import PredefinedSplit, ShuffleSplit, cross_val_score

from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path
from skce import _rows as module
from skce._costs import DEFAULT
from skce._linear_model import LinearModel
from skce._rows import Rows
from skce._targets import meaning
from skce.data import from_parquet

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

DTYPES = ["float64", "float32", "float16", "int8", "uint8", "int32", "bool", ">f4"]


@pytest.fixture(autouse=True)
def parts_are_small(monkeypatch):
    """Let at most 30 rows of 12 numbers of float64 be in memory at a time."""
    costs = replace(DEFAULT, part_bytes=30 * 12 * 8, matrix_rows=15, certain_rows=30)
    monkeypatch.setattr(LinearModel, "_costs", costs)
    monkeypatch.setattr(module, "_AT_ONCE", 30 * 12 * 8)


@pytest.fixture(scope="module")
def problem():
    X, y = make_classification(
        400, 12, n_informative=6, n_classes=3, n_clusters_per_class=1, random_state=0
    )
    return np.round(4 * X), y


class Slices:
    """The smallest interface that is read: a shape, a dtype, and arrays for slices of rows."""

    def __init__(self, X):
        self.shape, self.dtype, self._rows, self.read = X.shape, X.dtype, X, []

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.read.append(rows)
        return self._rows[rows]


def memory_map(X, path, order="C"):
    np.save(path / "X.npy", np.asarray(X, order=order))
    return np.load(path / "X.npy", mmap_mode="r")


def hdf5(X, path, **options):
    with h5py.File(path / "X.h5", "w") as file:
        file.create_dataset("X", data=X, **options)
    return h5py.File(path / "X.h5")["X"]


def zarr_store(X, path):
    store = zarr.open(str(path / "X.zarr"), mode="w", shape=X.shape, dtype=X.dtype, chunks=(37, 5))
    store[:] = X
    return zarr.open(str(path / "X.zarr"), mode="r")


def parquet(X, path):
    table = pa.table({f"x{j}": X[:, j] for j in range(X.shape[1])})
    pq.write_table(table[:150], path / "1.parquet", row_group_size=64)
    pq.write_table(table[150:], path / "2.parquet", row_group_size=100)
    return from_parquet(path)


STORES = {
    "memory map": memory_map,
    "memory map, F order": lambda X, path: memory_map(X, path, "F"),
    "HDF5": hdf5,
    "HDF5, chunks": lambda X, path: hdf5(X, path, chunks=(50, 4), compression="gzip"),
    "Zarr": zarr_store,
    "Parquet": parquet,
    "slices": lambda X, path: Slices(X),
}


def as_read(X, dtype):
    """Return X in a dtype, and the same X in memory, in the dtype in which it is read."""
    stored = (X > 0 if dtype == "bool" else np.abs(X) if dtype == "uint8" else X).astype(dtype)
    single = stored.dtype.kind == "f" and stored.dtype.itemsize < 8
    return stored, stored.astype(np.float32 if single else float)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("store", STORES)
def test_the_optimum_and_the_predictions_are_those_of_rows_in_memory(
    store, dtype, problem, tmp_path
):
    if store == "Parquet" and dtype == ">f4":
        pytest.skip("Arrow has no swapped bytes")
    X, y = problem
    X, in_memory = as_read(X, dtype)
    rows = STORES[store](X, tmp_path)
    clf, same = (SoftmaxClassifier().fit(given, y) for given in (rows, in_memory))
    assert clf.coef_.dtype == same.coef_.dtype == in_memory.dtype
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)
    single = in_memory.dtype == np.float32
    assert_allclose(clf.coef_, same.coef_, rtol=1e-3, atol=1e-3 if single else 1e-6)
    plain = copy(clf)
    vars(plain).pop("feature_names_in_", None)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if single else {"rtol": 1e-10, "atol": 1e-12}
    for method in ("predict_proba", "predict_log_proba", "decision_function"):
        found = getattr(clf, method)(rows)
        assert_allclose(found, getattr(plain, method)(in_memory), **tolerance)
        assert found.dtype == getattr(plain, method)(in_memory).dtype
    assert_array_equal(clf.predict(rows), plain.predict(in_memory))
    assert clf.score(rows, y) == plain.score(in_memory, y)


FITS = {
    "L1": ({"l1_ratio": 1.0, "C": 0.1}, "labels"),
    "bounds": ({"coef_bounds": (0, None)}, "labels"),
    "no penalty": ({"C": np.inf}, "soft"),
    "L-BFGS": ({"solver": "lbfgs"}, "soft"),
    "soft, balanced": ({"class_weight": "balanced", "label_smoothing": 0.1}, "soft"),
    "multilabel": ({"loss": "binary", "class_weight": "balanced"}, "multilabel"),
    "one-vs-rest": ({"loss": "binary"}, "labels"),
    "no intercept": ({"fit_intercept": False}, "labels"),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("kind", FITS)
def test_every_loss_penalty_and_target(kind, weighted, problem, tmp_path):
    params, targets = FITS[kind]
    X, y = problem
    rng = np.random.default_rng(1)
    if targets == "soft":
        y = rng.dirichlet(np.ones(3), len(y)) + np.eye(3)[y]
        y /= y.sum(axis=1, keepdims=True)
    elif targets == "multilabel":
        y = (rng.random((len(y), 4)) < 0.4).astype(int)
    weights = rng.uniform(0, 2, len(y)) if weighted else None
    fits = [
        SoftmaxClassifier(**params).fit(given, y, weights)
        for given in (X, zarr_store(X, tmp_path), Slices(X))
    ]
    values = [clf.optimize_result_.fun for clf in fits]
    assert_allclose(values, values[0], rtol=1e-8)


@pytest.mark.parametrize("kind", ["soft", "multilabel"])
def test_targets_in_the_file(kind, problem, tmp_path, monkeypatch):
    monkeypatch.setattr(meaning, "_READ_AT_ONCE", 1000)
    X, y = problem
    Y, loss = np.random.default_rng(0).dirichlet(np.ones(3), len(y)), "categorical"
    Y[0] *= 1.00005  # within the tolerance
    if kind == "multilabel":
        Y, loss = (Y > 0.3).astype(np.uint8), "binary"
    (tmp_path / "y").mkdir()
    for class_weight in (None, "balanced"):
        for rows, targets in ((hdf5(X, tmp_path), hdf5(Y, tmp_path / "y")), (X, Slices(Y))):
            clf = SoftmaxClassifier(loss=loss, class_weight=class_weight).fit(rows, targets)
            same = SoftmaxClassifier(loss=loss, class_weight=class_weight).fit(X, Y)
            assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)
            assert clf.score(rows, targets) == same.score(X, Y)
    wrong = Y.astype(float)
    wrong[321, 1] = -1
    with pytest.raises(ValueError, match="Row 321 of y holds -1"):
        SoftmaxClassifier(loss=loss).fit(X, Slices(wrong))
    wrong[319, 2] = np.nan
    missing = "Row 321 of y" if loss == "binary" else r"(?s)Input y contains NaN.*row 319:"
    with pytest.raises(ValueError, match=missing):
        SoftmaxClassifier(loss=loss).fit(X, Slices(wrong))


def test_columns_far_from_zero(problem, tmp_path):
    X, y = problem
    X = X + np.linspace(0, 1e7, 12)
    one, other = (SoftmaxClassifier().fit(given, y) for given in (X, hdf5(X, tmp_path)))
    assert one.optimize_result_.fun == pytest.approx(other.optimize_result_.fun, rel=1e-8)


def test_a_path_and_cross_validation(problem, tmp_path):
    X, y = problem
    rows = zarr_store(X, tmp_path)
    assert isinstance(module.unless_mapped(np.asarray(memory_map(X, tmp_path)), 100), Rows)
    assert module.unless_mapped(X, 100) is X
    Cs = [0.01, 0.1, 1.0]
    assert_allclose(softmax_path(rows, y, Cs=Cs).coefs, softmax_path(X, y, Cs=Cs).coefs, rtol=1e-3)
    ways = {  # of folds; scores; how the file is read
        (5, None): memory_map,
        (ShuffleSplit(3, random_state=0), "accuracy"): memory_map,
        (PredefinedSplit(np.arange(400) % 3 - 1), None): zarr_store,
    }
    for (cv, scoring), form in ways.items():
        one, other = (
            SoftmaxClassifierCV(Cs=Cs, cv=cv, scoring=scoring).fit(given, y)
            for given in (form(X, tmp_path), X)
        )
        assert_allclose(one.scores_, other.scores_, rtol=1e-3)
        assert one.C_ == other.C_
    scores = [cross_val_score(SoftmaxClassifier(), given, y) for given in (Rows(rows), X)]
    assert_allclose(*scores)


def test_rows_are_chosen_as_those_of_an_array(problem):
    X, _ = problem
    rows = Rows(Slices(X))
    rng = np.random.default_rng(0)
    for key in (
        slice(10, 20),
        slice(None, None, 7),
        slice(-5, None),
        slice(3, 3),
        [3, 1, 1],
        rng.random(400) < 0.1,
        rng.permutation(400),
        np.array([], dtype=int),
    ):
        assert rows[key].shape == X[key].shape
        assert_array_equal(np.asarray(rows[key]), X[key])
        assert_array_equal(np.asarray(rows[5:300][key][:2]), X[5:300][key][:2]) if isinstance(
            key, slice
        ) else None
    assert_array_equal(np.asarray(rows[::2][[4, 2]].select(np.array([3, 0]))), X[[8, 4]][:, [3, 0]])
    assert len(rows) == 400
    assert np.asarray(rows, dtype=np.float32).dtype == np.float32
    assert repr(rows) == "Rows(shape=(400, 12), dtype=float64, of Slices)"
    assert_array_equal(np.asarray(rows[[5, 7], 2:4]), X[[5, 7], 2:4])
    assert_array_equal(np.asarray(rows[3:5, ...]), X[3:5])
    for key in (3, (1, 2), ([1], [2], [3])):
        with pytest.raises(IndexError, match=re.escape("rows[i:j]")):
            rows[key]


def test_no_more_is_in_memory_than_parts(problem):
    X, y = problem
    rows = Slices(X)
    SoftmaxClassifier().fit(rows, y)
    assert max(span.stop - span.start for span in rows.read) <= 30


def test_rows_near_each_other_are_read_at_once(monkeypatch):
    monkeypatch.setattr(module, "_NEAR", 80)
    monkeypatch.setattr(module, "_AT_ONCE", 400)
    rows = Slices(np.arange(1000.0).reshape(-1, 1))
    found = Rows(rows).take(np.array([900, 3, 1, 10, 20, 60]))
    assert_array_equal(found.ravel(), [900, 3, 1, 10, 20, 60])
    assert [(s.start, s.stop) for s in rows.read] == [(1, 21), (60, 61), (900, 901)]
    rows.read.clear()
    Rows(rows).take(np.arange(100))
    assert [(s.start, s.stop) for s in rows.read] == [(0, 50), (50, 100)]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("store", STORES)
def test_the_first_row_that_is_not_finite_is_named(store, bad, problem, tmp_path):
    X, y = problem
    clf = SoftmaxClassifier().fit(STORES[store](X, tmp_path), y)
    before = vars(clf).copy()
    X = X.copy()
    X[333, 5], X[335, 1] = bad, np.nan
    rows = STORES[store](X, tmp_path)
    for call in (lambda: clf.fit(rows, y), lambda: clf.predict(rows), lambda: clf.score(rows, y)):
        with pytest.raises(ValueError, match=r"(?s)Input X contains.*row 333:"):
            call()
    assert vars(clf) == before


def test_what_is_missing_in_parquet_is_not_a_number(tmp_path):
    column = pa.array([1, None, 3] * 200)
    pq.write_table(
        pa.table({"a": column, "b": pa.array([True, None, False] * 200)}), tmp_path / "f"
    )
    X = from_parquet(tmp_path / "f")
    assert_allclose(np.asarray(X[:3]), [[1, 1], [np.nan, np.nan], [3, 0]])
    with pytest.raises(ValueError, match=r"(?s)contains NaN.*row 1:"):
        SoftmaxClassifier().fit(X, [0, 1, 0] * 200)


def test_names_of_columns_are_kept_and_checked(problem, tmp_path):
    X, y = problem
    rows = parquet(X, tmp_path)
    clf = SoftmaxClassifier().fit(rows, y)
    assert clf.feature_names_in_.tolist() == [f"x{j}" for j in range(12)]
    frame = pd.DataFrame(X, columns=clf.feature_names_in_)
    assert_allclose(clf.predict_proba(frame), clf.predict_proba(rows))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(from_parquet(tmp_path, columns=[f"x{j}" for j in range(11, -1, -1)]))
    with pytest.raises(ValueError, match="12 features"):
        SoftmaxClassifier().fit(X, y).predict(Slices(X[:, :11]))


def test_parquet_from_every_source_with_a_target(problem, tmp_path):
    X, y = problem
    table = pa.table({"y": np.array(["a", "b", "c"])[y], "x": X[:, 0], "z": X[:, 1]})
    (tmp_path / "all").mkdir()
    files = [tmp_path / "all" / f"{i}.parquet" for i in range(2)]
    pq.write_table(table[:100], files[0])
    pq.write_table(table[100:], files[1])
    want = SoftmaxClassifier().fit(X[:, :2], y)
    for source in (files, str(tmp_path / "all"), tmp_path / "all", ds.dataset(tmp_path / "all")):
        rows, labels = from_parquet(source, target="y")
        clf = SoftmaxClassifier().fit(rows, labels)
        assert_allclose(clf.coef_, want.coef_, rtol=1e-4, atol=1e-5)
        assert clf.classes_.tolist() == ["a", "b", "c"]
    rows, _ = from_parquet(files, target="y", columns=["z"])
    assert_array_equal(np.asarray(rows), X[:, 1:2])
    shares = pa.table({"x": X[:, 0], "q": (y == 0) * 1.0, "p": (y != 0) * 1.0})
    pq.write_table(shares, tmp_path / "shares")
    rows, targets = from_parquet(tmp_path / "shares", target=["q", "p"])
    assert SoftmaxClassifier().fit(rows, targets).classes_.tolist() == ["p", "q"]


def test_errors_of_parquet(tmp_path):
    pq.write_table(pa.table({"a": [1.0, 2.0], "words": ["x", "y"]}), tmp_path / "f")
    with pytest.raises(TypeError, match=r"'words' of X has type string.*Leave it out"):
        from_parquet(tmp_path / "f")
    with pytest.raises(ValueError, match="target: there is no column 'label'"):
        from_parquet(tmp_path / "f", target="label")
    with pytest.raises(ValueError, match="at least one column"):
        from_parquet(tmp_path / "f", target="a", columns=[])
    pq.write_table(pa.table({"a": np.zeros(0)}), tmp_path / "empty")
    with pytest.raises(ValueError, match="no rows"):
        from_parquet(tmp_path / "empty")


def test_a_file_that_shrinks_is_an_error(problem):
    X, y = problem
    rows = Slices(X)
    rows._rows = X[:350]
    with pytest.raises(ValueError, match="ends before row 350, but had 400"):
        SoftmaxClassifier().fit(rows, y)


def test_errors_of_reading_are_the_reader_s(problem):
    class Broken(Slices):
        def __getitem__(self, rows):
            if rows.stop > 200:
                raise OSError("the disk is gone")
            return super().__getitem__(rows)

    X, y = problem
    clf = SoftmaxClassifier()
    with pytest.raises(OSError, match="the disk is gone"):
        clf.fit(Broken(X), y)
    assert not hasattr(clf, "coef_")


def test_what_is_not_numbers_is_no_store(problem):
    X, y = problem
    for dtype in (object, "complex128", "U5"):
        wrong = Slices(X)
        wrong.dtype = np.dtype(dtype)
        with pytest.raises((ValueError, TypeError)):
            SoftmaxClassifier().fit(wrong, y)


def test_rows_can_be_pickled_where_what_they_are_of_can(problem, tmp_path):
    X, _ = problem
    for store in (zarr_store, parquet, hdf5):
        (tmp_path / store.__name__).mkdir()
        rows = store(X, tmp_path / store.__name__)
        rows = rows if isinstance(rows, Rows) else Rows(rows)
        assert_array_equal(np.asarray(pickle.loads(pickle.dumps(rows[5:90:2]))), X[5:90:2])


def test_rows_of_a_large_group_of_parquet_are_read_in_any_order(monkeypatch, tmp_path):
    monkeypatch.setattr("skce.data._BATCH", 700)  # bytes: some rows at a time
    X = np.random.default_rng(0).normal(size=(500, 5)).astype(np.float32)
    table = pa.table({f"x.{j}": X[:, j] for j in range(5)})
    pq.write_table(table, tmp_path / "X", row_group_size=300, data_page_size=256)
    rows = from_parquet(tmp_path / "X")
    for first, last in ((0, 500), (0, 10), (10, 20), (295, 310), (5, 7), (7, 299), (299, 500)):
        assert_array_equal(rows.read(first, last), X[first:last])
    assert_array_equal(np.asarray(rows[::-3]), X[::-3])
    spans = [(i, i + 13) for i in range(0, 481, 13)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda span: rows.read(*span), spans)
        assert_array_equal(np.concatenate(list(found)), X[: spans[-1][1]])


def test_columns_in_the_names_of_folders(tmp_path):
    keys = pa.schema([("k", pa.int32())])
    by_folder = ds.partitioning(keys, flavor="hive")
    table = pa.table({"a": np.arange(6.0), "k": pa.array([1, 1, 2, 2, 3, 3], pa.int32())})
    ds.write_dataset(table, tmp_path, format="parquet", partitioning=by_folder)
    rows = from_parquet(ds.dataset(tmp_path, format="parquet", partitioning=by_folder))
    assert list(rows.header.column_names) == ["a", "k"]
    assert_array_equal(np.asarray(rows), [[0, 1], [1, 1], [2, 2], [3, 2], [4, 3], [5, 3]])


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.dataset", None)
    with pytest.raises(ImportError, match=re.escape("skce[parquet]")):
        from_parquet("somewhere")


def test_a_memory_map_that_became_too_short_is_an_error(problem, tmp_path):
    X, y = problem
    rows = memory_map(X, tmp_path)
    os.truncate(tmp_path / "X.npy", 20_000)
    with pytest.raises(ValueError, match=r"memory map of .*too short: it has 20000 bytes"):
        SoftmaxClassifier().fit(rows, y)


@pytest.mark.parametrize("kind", ["itself", "some rows", "an array over it", "Rows", "float16"])
def test_a_memory_map_that_shrinks_in_mid_fit_is_an_error(kind, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6000, 20)), rng.integers(3, size=6000)
    rows = memory_map(X.astype(np.float16 if kind == "float16" else np.float64), tmp_path)
    given = {
        "some rows": lambda: rows[10:],
        "an array over it": lambda: np.asarray(rows),
        "Rows": lambda: Rows(rows),
    }.get(kind, lambda: rows)()
    clf = SoftmaxClassifier(C=0.1).fit(rows[:100], y[:100])
    before = clf.coef_
    calls = []

    def method(fun, x0, **options):
        calls.append(fun(x0))
        os.truncate(tmp_path / "X.npy", 20_000)
        calls.append(fun(x0 + 1))

    with pytest.raises(ValueError, match=r"X is a memory map of .*too short: it has 20000 bytes"):
        clf.set_params(solver=method).fit(given, y[: len(given)])
    assert len(calls) == 1
    assert clf.coef_ is before


def test_a_memory_map_whose_file_was_removed_can_be_read(problem, tmp_path):
    if os.name != "posix":
        pytest.skip("files in use cannot be removed")
    X, y = problem
    rows = memory_map(X, tmp_path)
    (tmp_path / "X.npy").unlink()
    assert_array_equal(SoftmaxClassifier().fit(rows, y).coef_, SoftmaxClassifier().fit(X, y).coef_)


def test_large_arrays_of_small_numbers_are_not_converted_whole(problem):
    X, y = problem
    for dtype, read_as in ((np.int8, np.float64), (np.float16, np.float32)):
        stored = X.astype(dtype)
        clf = SoftmaxClassifier()
        assert np.shares_memory(clf._read(stored, y, None)[0], stored)
        clf.fit(stored, y)
        assert clf.coef_.dtype == read_as
        same = SoftmaxClassifier().fit(stored.astype(read_as), y)
        assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-8)


def test_verbose_2_tells_how_far_a_pass_is(problem, capsys):
    X, y = problem
    SoftmaxClassifier(verbose=2, max_iter=5, tol=1e-2).fit(Slices(X), y)
    shown = capsys.readouterr().out
    assert "\rpass 1:   8% of the rows\rpass 1:  15% of the rows" in shown
    assert "\niteration " in shown or "\riteration " in shown
    SoftmaxClassifier(verbose=1, max_iter=5, tol=1e-2).fit(Slices(X), y)
    assert "of the rows" not in capsys.readouterr().out
