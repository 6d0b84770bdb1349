"""Places for data: all of them satisfy the same contract."""

import pickle
from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import zarr
from numpy.testing import assert_allclose, assert_array_equal
from objectives import make

from skce._costs import DEFAULT
from skce._data import Block, Data
from skce._losses import LOSSES
from skce._problem import kernels
from skce._problem.objective import Objective
from skce._rows import Rows
from skce._solver.minimize import minimize
from skce._solver.variables import (
    Jointly,
    precondition,
    precondition_classes,
    scale_classes,
    whiten_collinear_columns,
    whiten_many_columns,
)
from skce.data import from_parquet


class RemoteData:
    """Rows in another place: all arguments and results are converted to bytes and back."""

    def __init__(self, data, kept=None, rows=7):
        self._there, self._kept, self._rows = data, kept, rows

    def __getattr__(self, name):
        shared = "n_rows n_columns n_outputs total_weight dtype stored_dtype is_sparse nbytes "
        shared += "in_memory on_device n_pieces work_per_logit centre distance coefficients costs"
        if name not in shared.split():
            raise AttributeError(name)
        return getattr(self._there, name)

    def _answers(self, kernel, arguments, rows):
        answers = []
        for i, (block, _) in enumerate(self._there.chunks(rows or self._rows)):
            block.kept = None if self._kept is None else self._kept[i]
            sent = pickle.dumps((kernel, block, arguments))
            kernel_there, block_there, arguments_there = pickle.loads(sent)
            answer = kernel_there(block_there, *arguments_there)
            answers.append(pickle.loads(pickle.dumps(answer)))
        return answers

    def sum(self, kernel, *arguments, width=None, rows=None, runs=None, dtype=np.float64):
        answers = self._answers(kernel, arguments, rows)
        sums = (sum(parts[1:], start=parts[0]) for parts in zip(*answers, strict=True))
        return tuple(s.astype(dtype) if np.ndim(s) == 2 else s for s in sums)

    def maximum(self, kernel, *arguments):
        return tuple(map(max, zip(*self._answers(kernel, arguments, None), strict=True)))

    def map(self, kernel, *arguments, rows=None):
        kept = self._answers(kernel, arguments, rows)
        return RemoteData(self._there, kept, rows or self._rows)

    def chunks(self, size, most=None):
        for block, share in self._there.chunks(size, most):
            yield pickle.loads(pickle.dumps((block, share)))

    def sample(self, n_rows):
        return self._there.sample(n_rows)

    def columns(self, columns):
        return RemoteData(self._there.columns(columns))

    def rounded(self):
        there = self._there.rounded()
        return self if there is self._there else RemoteData(there)

    def matrix(self, Q):
        return Q

    def there(self, n_rows):
        return None


def mapped(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def in_hdf5(X, tmp_path):
    file = h5py.File(tmp_path / f"{len(list(tmp_path.iterdir()))}.h5", "w")
    return Rows(file.create_dataset("X", data=X, chunks=(7, 2)))


def in_zarr(X, tmp_path):
    store = zarr.open(
        str(tmp_path / "X.zarr"), mode="w", shape=X.shape, dtype=X.dtype, chunks=(11, 5)
    )
    store[:] = X
    return Rows(store)


def in_parquet(X, tmp_path):
    table = pa.table({f"column {j}": X[:, j] for j in range(X.shape[1])})
    for part, rows in enumerate((slice(0, 31), slice(31, 60))):
        pq.write_table(table[rows], tmp_path / f"{part}.parquet", row_group_size=9)
    return from_parquet(tmp_path)


PLACES = {
    "C order": lambda X, _: X,
    "Fortran order": lambda X, _: np.asfortranarray(X),
    "strided": lambda X, _: np.repeat(X, 2, axis=1)[:, ::2],
    "memory map": mapped,
    "HDF5": in_hdf5,
    "Zarr": in_zarr,
    "Parquet": in_parquet,
    "CSR array": lambda X, _: sp.csr_array(X),
    "CSR matrix": lambda X, _: sp.csr_matrix(X),
    "CSR, int64 indices": lambda X, _: sp.csr_array(
        (sp.csr_array(X).data, *(i.astype(np.int64) for i in (sp.csr_array(X).indices,
         sp.csr_array(X).indptr))), X.shape
    ),
}  # fmt: skip
KINDS = ["labels", "labels, binary", "soft", "multilabel"]


@pytest.fixture(params=PLACES)
def place(request, tmp_path):
    return lambda X: PLACES[request.param](X, tmp_path)


@pytest.fixture(params=[False, True], ids=["here", "remote"])
def remote(request):
    return request.param


def problem(kind, *, dtype=np.float64, far=False, n=60):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 5)) * (rng.random((n, 5)) < 0.6)
    if far:
        X[:, 1:3] = rng.normal(size=(n, 2)) + [3e4, -1e5]
    y = rng.integers(3, size=n)
    y = {"soft": rng.dirichlet(np.ones(3), n), "multilabel": np.eye(3)[y]}.get(kind, y)
    loss = "binary" if kind in ("labels, binary", "multilabel") else "auto"
    return X.astype(dtype), y, {"loss": loss, "weights": rng.uniform(0, 2, n), "smoothing": 0.1}


#: Rows in a file are read some at a time.
PARTS = replace(DEFAULT, part_bytes=300)


def built(place, remote, kind, costs=PARTS, **params):
    X, y, options = problem(kind, **params)
    objective = make(place(X), y, **options, C=2.0, costs=costs)
    if remote:
        objective.data = RemoteData(objective.data)
    return objective, X.astype(np.float64), y


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_sums_and_products_are_those_of_all_rows_at_once(kind, dtype, far, place, remote):
    objective, X, _ = built(place, remote, kind, dtype=dtype, far=far)
    data: Data = objective.data
    assert (data.n_rows, data.n_columns, data.n_outputs) == (*X.shape, 3)
    assert data.stored_dtype == dtype
    assert data.dtype == np.float64  # X is small
    assert (data.centre is not None) == far
    centred = X - (0 if data.centre is None else data.centre)
    ((whole, share),) = data.chunks(len(X))
    assert_array_equal(whole.X.dense(), centred)
    assert_allclose(share.sum(), 1)

    rng = np.random.default_rng(4)
    theta, v = rng.normal(size=(2, objective.layout.size))
    W, b = objective.layout.unpack(theta)
    z = W @ centred.T + b[:, None]
    values, R = objective.loss.value_gradient(z.copy(), whole.t)
    value, gradient = objective.value_gradient(theta)
    total = data.total_weight
    assert_allclose(
        value, values.sum() / total + objective.penalty.ridge / 2 * (W**2).sum(), rtol=1e-12
    )
    G, g = objective.layout.unpack(gradient)
    if objective.loss.shift_invariant:
        R = R - R.mean(axis=0)
    assert_allclose(G, R @ centred / total + objective.penalty.ridge * W, rtol=1e-9, atol=1e-12)
    assert_allclose(g, R.sum(axis=1) / total, rtol=1e-9, atol=1e-13)

    V, c = objective.layout.unpack(v)
    curved = objective.loss.curvature_product(
        objective.loss.curvature(z.copy(), whole.t), V @ centred.T + c[:, None], whole.t
    )
    if objective.loss.shift_invariant:
        curved = curved - curved.mean(axis=0)
    H, _ = objective.layout.unpack(objective.hessian(theta)(v))
    assert_allclose(
        H, curved @ centred / total + objective.penalty.ridge * V, rtol=1e-9, atol=1e-11
    )

    mean, square = objective.moments()
    assert_allclose(mean, share @ centred, rtol=1e-12, atol=1e-14)
    assert_allclose(square, share @ centred**2, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_products_without_what_was_kept_are_the_same(kind, place, remote):
    objective, _, _ = built(place, remote, kind)
    theta, v = np.random.default_rng(4).normal(size=(2, objective.layout.size))
    kept = objective.hessian(theta)(v)
    afresh, _, _ = built(place, remote, kind, costs=replace(PARTS, kept_probabilities=0))
    assert_allclose(afresh.hessian(theta)(v), kept, rtol=1e-12, atol=1e-15)


def test_a_sum_may_be_cut_in_any_way(place):
    objective, _, _ = built(place, False, "soft")
    data, loss = objective.data, objective.loss
    A, a = data.coefficients(*objective.layout.unpack(np.ones(objective.layout.size)))
    whole = data.sum(kernels.value_gradient, loss, A, a)
    for params in ({"rows": 7}, {"rows": 1, "runs": 3}, {"runs": 60}, {"width": 10**6}):
        again = data.sum(kernels.value_gradient, loss, A, a, **params)
        for one, other in zip(whole, again, strict=True):
            assert_allclose(one, other, rtol=1e-12, atol=1e-13)
        single = data.sum(kernels.value_gradient, loss, A, a, **params, dtype=np.float32)
        assert single[1].dtype == np.float32
        assert single[2].dtype == np.float64


def test_chunks_of_a_sample_are_always_the_same_and_have_weight(place, remote):
    objective, X, _ = built(place, remote, "labels")
    first, second = ([b.X.dense() for b, _ in objective.data.chunks(4, 10)] for _ in range(2))
    assert [len(x) for x in first] == [4, 4, 2]
    assert_array_equal(np.concatenate(first), np.concatenate(second))
    assert sum(share.sum() for _, share in objective.data.chunks(4, 10)) == pytest.approx(1)
    rows = {tuple(x) for x in X}
    assert all(tuple(x) in rows for x in np.concatenate(first))
    sample = objective.data.sample(20)
    assert sample.n_rows == 20
    ((block, _),) = sample.chunks(20)
    assert all(tuple(x) in rows for x in block.X.dense())


def test_rows_with_next_to_nothing_in_them():
    X = sp.csr_array(([1.0, 2.0], ([0, 5], [1, 1])), shape=(50, 3))
    objective = make(X, np.arange(50) % 2)
    mean, square = objective.moments()
    assert_allclose(mean, [0, 3 / 50, 0])
    assert_allclose(square, [0, 5 / 50, 0])
    for params in ({}, {"l1_ratio": 1.0}):
        objective = make(X, np.arange(50) % 2, **params)
        start = np.zeros(objective.layout.size)
        assert minimize(objective, start, solver="auto", tol=1e-9, max_iter=50).result.success


def test_some_columns_are_those_columns(place, remote):
    objective, X, _ = built(place, remote, "labels", far=True)
    some = objective.data.columns(np.array([2, 0]))
    ((block, _),) = some.chunks(len(X))
    centre = objective.data.centre[[2, 0]]
    assert_array_equal(block.X.dense(), X[:, [2, 0]] - centre)
    assert_array_equal(block.X.dense(np.array([1])), X[:, [0]] - centre[1])


def test_what_a_map_keeps_is_what_its_sums_get(place, remote):
    objective, _, _ = built(place, remote, "labels")
    for rows in (None, 9, 100):
        kept = objective.data.map(first_row, 3.0, rows=rows)
        (total,) = kept.sum(kept_sum, rows=rows)
        (again,) = objective.data.sum(first_row_sum, 3.0, rows=rows)
        assert total == again


def first_row(block: Block, factor: float) -> float:
    """Return a number of a block."""
    return factor * float(block.X.dense()[0].sum())


def first_row_sum(block: Block, factor: float) -> tuple[float]:
    """Return the same number, for a sum."""
    return (first_row(block, factor),)


def kept_sum(block: Block) -> tuple[float]:
    """Return the kept result."""
    return (block.kept,)


@pytest.mark.parametrize("kind", KINDS)
def test_variables_do_not_depend_on_the_place(kind, place, remote):
    objective, _, _ = built(place, remote, kind)
    plain, _, _ = built(lambda X: X, False, kind)
    theta = plain.without_shift(np.random.default_rng(5).normal(size=plain.layout.size))
    v = np.random.default_rng(6).normal(size=plain.layout.size)

    def images(one):
        base = precondition(one)
        yield base
        yield whiten_many_columns(one)
        yield whiten_collinear_columns(one)
        yield precondition_classes(base, one, theta)
        yield scale_classes(base, one.mean_curvatures(theta))[1]
        yield Jointly(base, one).at(theta)

    for one, other in zip(images(objective), images(plain), strict=True):
        # The variables may differ by rotations within the same metric.
        want = other.to_user(other.gradient(v))
        assert_allclose(one.to_user(one.gradient(v)), want, rtol=1e-6, atol=1e-8 * abs(want).max())


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"l1_ratio": 1.0},
        {"l1_ratio": 0.5, "penalty_weights": np.array([1.0, 2, 0.5, 1, 3])},
        {"bounds": (-0.2, 0.3)},
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_on_rows_elsewhere_ends_where_one_here_does(kind, params):
    X, y, options = problem(kind, far=True)
    for given in (X, sp.csr_array(X)):
        here = make(given, y, **options, C=2.0, **params)
        there = make(given, y, **options, C=2.0, **params)
        there.data = RemoteData(there.data)
        for solver in ("auto", "lbfgs"):
            start = np.zeros(here.layout.size)
            found = [
                minimize(one, start, solver=solver, tol=1e-10, max_iter=1000)
                for one in (here, there)
            ]
            assert all(one.result.success for one in found)
            assert_allclose(found[1].result.fun, found[0].result.fun, rtol=1e-9)
            assert_allclose(found[1].result.x, found[0].result.x, rtol=1e-3, atol=1e-4)


def test_blocks_and_kernels_can_be_pickled():
    X, y, options = problem("soft")
    objective = make(X, y, **options)
    ((block, _),) = objective.data.chunks(len(X))
    again = pickle.loads(pickle.dumps(block))
    assert_array_equal(again.t.dense(3), block.t.dense(3))
    assert_array_equal(again.X.values, block.X.values)
    for name in ("value_gradient", "curvature", "product", "product_afresh", "moments"):
        assert pickle.loads(pickle.dumps(getattr(kernels, name))) is getattr(kernels, name)
    for loss in LOSSES.values():
        assert type(pickle.loads(pickle.dumps(loss))) is type(loss)


def test_an_objective_takes_any_data():
    X, y, options = problem("labels")
    objective = make(X, y, **options)
    far = Objective(
        RemoteData(objective.data), objective.loss, objective.penalty, fit_intercept=True
    )
    theta = np.ones(far.layout.size)
    assert far.value_gradient(theta)[0] == pytest.approx(objective.value_gradient(theta)[0])
