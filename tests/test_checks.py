"""Which arguments are refused, and what each container is converted to."""

import datetime
import decimal
import fractions

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from skce._checks import (
    check_number,
    check_numbers,
    check_sparse,
    naming,
    refuse_dates,
    refuse_misread,
    refuse_sparse,
    to_numpy,
)

DATE = np.datetime64("2020-01-01")


# ------------------------------------------------------------------------------ sparse matrices
def corrupted(layout, part, values):
    """A 3 x 4 matrix of ones with one of its arrays replaced."""
    X = sp.csr_array(np.ones((3, 4))).asformat(layout)
    setattr(X, part, values(getattr(X, part).copy()))
    return X


def put(value, at=5):
    def change(values):
        values[at] = value
        return values

    return change


INCONSISTENT = {
    "csr, index beyond": ("csr", "indices", put(4), "column index 4 at position 5"),
    "csr, index far beyond": ("csr", "indices", put(10**6), "column index 1000000"),
    "csr, index negative": ("csr", "indices", put(-1), "column index -1 at position 5"),
    "csc, index beyond": ("csc", "indices", put(3), "row index 3 at position 5"),
    "csc, index negative": ("csc", "indices", put(-7), "row index -7"),
    "csr, indptr falls": ("csr", "indptr", put(9, 1), "indptr that falls after position 1"),
    "csr, indptr beyond": ("csr", "indptr", put(13, 3), "indptr that ends at 13, beyond its 12"),
    "csr, indptr from 1": ("csr", "indptr", put(1, 0), "indptr that starts at 1"),
    "csr, indptr negative": ("csr", "indptr", put(-1, 0), "indptr that starts at -1"),
    "csr, indptr short": ("csr", "indptr", lambda v: v[:-1], "indptr of length 3 in place of 4"),
    "csr, indices short": ("csr", "indices", lambda v: v[:-1], "ends at 12, beyond its 11"),
    "csr, data short": ("csr", "data", lambda v: v[:-1], "11 numbers"),
    "csr, indices of floats": ("csr", "indices", lambda v: v * 1.0, "dtype float64"),
    "csr, 64-bit": ("csr", "indices", lambda v: put(2**40)(v.astype(np.int64)), str(2**40)),
    "bsr, index beyond": ("bsr", "indices", put(4, 0), "column index 4"),
    "coo, data short": ("coo", "data", lambda v: v[:-1], "11 numbers"),
    "dia, offsets": ("dia", "offsets", lambda v: v[:-1], "offsets for data of shape"),
}


@pytest.mark.parametrize("name", INCONSISTENT)
def test_inconsistent_sparse_matrices_are_named(name):
    layout, part, values, message = INCONSISTENT[name]
    with pytest.raises(ValueError, match=rf"X is a sparse {layout.upper()} matrix.*{message}"):
        check_sparse(corrupted(layout, part, values), "X")


@pytest.mark.parametrize(("row", "column"), [(3, 0), (-1, 0), (0, 4), (0, -1)])
def test_coordinates_out_of_range_are_named(row, column):
    X = sp.coo_matrix(np.ones((3, 4)))
    X.row[2], X.col[2] = row, column
    with pytest.raises(ValueError, match=r"X is a sparse COO matrix.*index .* at position 2"):
        check_sparse(X, "X")


def test_lists_of_different_lengths_are_named():
    X = sp.lil_array(np.ones((3, 4)))
    X.rows[1] = [0]
    with pytest.raises(ValueError, match="rows and data of different lengths"):
        check_sparse(X, "X")
    X.rows[1] = [0, 1, 2, 9]
    with pytest.raises(ValueError, match="column index 9"):
        check_sparse(X, "X")


@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (3, 0)])
def test_consistent_sparse_matrices_pass_unchanged(layout, kind, shape):
    X = kind(np.arange(np.prod(shape)).reshape(shape) % 3).asformat(layout)
    before = X.toarray()
    check_sparse(X, "X")
    assert_array_equal(X.toarray(), before)


def test_unsorted_repeated_and_spare_entries_pass():
    X = sp.csr_array(np.ones((2, 3)))
    X.indices[:] = [2, 0, 0, 1, 1, 1]
    X.indices, X.data = np.r_[X.indices, 99], np.r_[X.data, 1]  # indptr leaves this index out
    check_sparse(X, "X")
    assert len(X.indices) == 7


# -------------------------------------------------------------------------------------- masks
@pytest.mark.parametrize(
    "values",
    [
        np.ma.array([1.0, 2.0], mask=[False, True]),
        [np.ma.array([1.0, 2.0], mask=[False, True]), [1.0, 2.0]],
        [1.0, np.ma.masked],
        np.ma.masked,
    ],
)
def test_masks_that_hide_something_are_refused(values):
    with pytest.raises(ValueError, match=r"y is a masked array that hides 1.*y\.filled"):
        refuse_misread(values, "y")


def test_masks_that_hide_nothing_pass():
    refuse_misread(np.ma.array([1.0, 2.0]), "y")
    refuse_misread([np.ma.array([1.0, 2.0], mask=False)], "y")


# -------------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], [1.0, 2.0]),
        ((True, False), [1.0, 0.0]),
        (np.float16([1.5]), [1.5]),
        (np.array([1, 2.5], dtype=object), [1.0, 2.5]),
        ([fractions.Fraction(1, 2), decimal.Decimal("0.25")], [0.5, 0.25]),
        (pd.Series([1, 2], dtype="Int64"), [1.0, 2.0]),
        (pd.DataFrame({"a": [1, 2]}, dtype="Float64"), [[1.0], [2.0]]),
        (3, 3.0),
        ([np.nan, np.inf], [np.nan, np.inf]),
        (np.ma.array([1.0, 2.0]), [1.0, 2.0]),
    ],
)
def test_numbers_become_float64(values, expected):
    array = check_numbers(values, "w")
    assert array.dtype == np.float64
    assert_array_equal(array, expected)


def test_float32_stays_and_is_not_copied():
    w = np.ones(3, np.float32)
    assert check_numbers(w, "w") is w


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (["1", "2"], ValueError, "w must hold numbers, got .*<U1"),
        ("1", ValueError, "w must hold numbers"),
        ([1, "2"], ValueError, "w must hold numbers"),
        (np.array([1, "2"], object), ValueError, "w at position 1 must be a number, got '2'"),
        ([1, None], ValueError, "w at position 1 must be a number, got None"),
        ([1, pd.NA], ValueError, "w at position 1"),
        (None, ValueError, "w must be a number"),
        ([1j], ValueError, "w must hold numbers.*complex"),
        ([10**400], ValueError, "w at position 0 is outside the range of float64"),
        (10**400, ValueError, "w is outside the range of float64"),
        ([[1], [1, 2]], ValueError, "w: .*inhomogeneous"),
        ([DATE], TypeError, "w has dtype datetime64.*dates and durations are not numbers"),
        (DATE, TypeError, "w has dtype datetime64"),
        (np.array([1, DATE], dtype=object), ValueError, "w at position 1 must be a number"),
        (np.array([1, np.timedelta64(1, "s")], object), ValueError, "w at position 1"),
        (datetime.date(2020, 1, 1), ValueError, "w must be a number, got datetime.date"),
        (pd.Series([DATE]), TypeError, "w has dtype datetime64"),
        (pd.Series([1, None], dtype="Int64"), ValueError, "w has no number in row 1"),
        (sp.csr_array([[1.0]]), TypeError, r"w is a sparse matrix.*w\.toarray\(\)"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), ValueError, "w is a masked array"),
        ({1: 2}, ValueError, "w must be a number"),
        (np.zeros(2, dtype=[("a", float)]), ValueError, "w must hold numbers"),
    ],
)
def test_what_is_no_number_is_named(values, error, message):
    with pytest.raises(error, match=message):
        check_numbers(values, "w")


@pytest.mark.parametrize("value", [np.timedelta64(1, "s"), "1", None, 1j, [1], DATE])
def test_what_is_no_single_number_is_named(value):
    with pytest.raises(ValueError, match="C must be a number"):
        check_number(value, "C")


# --------------------------------------------------------------------------------------- dates
@pytest.mark.parametrize(
    "values",
    [
        np.array([DATE]),
        np.array([[np.timedelta64(1, "s")]]),
        pd.DataFrame({"a": [1.0], "b": [DATE]}),
        pd.DataFrame({"a": pd.to_datetime(["2020-01-01"]).tz_localize("UTC")}),
        pd.period_range("2020", periods=2, freq="D"),
        np.array([[1.0, DATE]], dtype=object),
    ],
)
def test_dates_are_refused(values):
    with pytest.raises(TypeError, match=r"X has dtype .*dates and durations are not numbers"):
        refuse_dates(values, "X")


def test_dates_of_polars_and_arrow_are_refused():
    pl = pytest.importorskip("polars")
    days = [datetime.date(2020, 1, 1)]
    with pytest.raises(TypeError, match="column 1 of X has dtype Date"):
        refuse_dates(pl.DataFrame({"a": [1.0], "b": days}), "X")
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match="column 1 of X has dtype date32"):
        refuse_dates(pa.table({"a": [1.0], "b": pa.array(days)}), "X")


@pytest.mark.parametrize("values", [np.ones(2), pd.DataFrame({"date": [1.0]}), [1], "date", None])
def test_what_holds_no_dates_passes(values):
    refuse_dates(values, "X")


# --------------------------------------------------------------------------------- containers
BIG = [2**53, 2**53 + 1]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (pd.Series(BIG, dtype="Int64"), np.int64),
        (pd.Series(BIG, dtype="UInt64"), np.uint64),
        (pd.Index(BIG, dtype="Int64"), np.int64),
        (pd.array(BIG, dtype="Int64"), np.int64),
        (pd.Series(BIG).astype("category"), np.int64),
        (pd.Series([True, False], dtype="boolean"), bool),
        (pd.DataFrame({"a": BIG}, dtype="Int64"), np.int64),
        (pd.Series([0.5, 1.0], dtype="Float64"), np.float64),
        (pd.Series(["a", "b"], dtype="string"), object),
        (pd.Series(pd.arrays.SparseArray([0.0, 1.0])), np.float64),
    ],
)
def test_pandas_types_keep_their_values_and_kind(values, dtype):
    array = to_numpy(values, "y")
    assert array.dtype == dtype
    assert array.ravel().tolist() == np.asarray(values, dtype=object).ravel().tolist()


def test_frames_of_several_types_keep_numbers_and_strings():
    frame = pd.DataFrame({"a": pd.array([1, 2], dtype="Int64"), "b": [0.5, 0.25]})
    assert_array_equal(to_numpy(frame, "y"), [[1, 0.5], [2, 0.25]])
    mixed = pd.DataFrame({"a": pd.array([1, 2], dtype="Int64"), "b": ["u", "v"]})
    assert to_numpy(mixed, "y").tolist() == [[1, "u"], [2, "v"]]


def test_frames_with_numpy_inside_are_not_copied():
    frame = pd.DataFrame(np.ones((3, 2)))
    assert np.shares_memory(to_numpy(frame, "y"), frame.to_numpy())


def test_polars_and_arrow_keep_their_values_and_kind():
    pl = pytest.importorskip("polars")
    assert to_numpy(pl.Series(BIG), "y").tolist() == BIG
    assert to_numpy(pl.Series(["a", "b"], dtype=pl.Categorical), "y").tolist() == ["a", "b"]
    assert_array_equal(to_numpy(pl.DataFrame({"a": [1.0], "b": [2.0]}), "y"), [[1, 2]])
    pa = pytest.importorskip("pyarrow")
    assert to_numpy(pa.array(BIG), "y").tolist() == BIG
    assert to_numpy(pa.chunked_array([BIG]), "y").tolist() == BIG
    assert_array_equal(to_numpy(pa.table({"a": [1.0], "b": [2.0]}), "y"), [[1, 2]])
    with pytest.raises(ValueError, match="no label in row 1"):
        to_numpy(pa.array([1, None]), "y")


class ArrowLike:
    """The part of an Arrow table that is read, in case Arrow is not installed."""

    def __init__(self, **columns):
        self.column_names = list(columns)
        self.columns = [pd.array(column) for column in columns.values()]

    def __len__(self):
        return len(self.columns[0])

    def itercolumns(self):
        return iter(self.columns)


def test_a_table_is_read_column_by_column():
    table = ArrowLike(a=[0.25, 1.0], b=[0.75, 0.0])
    assert_array_equal(to_numpy(table, "y"), [[0.25, 0.75], [1, 0]])


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series(["a", None], dtype="string"),
        pd.Series(["a", None], dtype="category"),
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    ],
)
def test_what_is_missing_is_named_with_its_row(values):
    with pytest.raises(ValueError, match="Input y has no label in row 1: drop such rows"):
        to_numpy(values, "y")


@pytest.mark.parametrize("values", [[1], (1,), "a", None, {1: 2}, np.ones(2)])
def test_anything_else_comes_back_as_it_is(values):
    assert to_numpy(values, "y") is values


# ------------------------------------------------------------------------------------ messages
@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (ValueError("wrong"), ValueError, "^X: wrong$"),
        (ValueError("X is wrong"), ValueError, "^X is wrong$"),
        (TypeError("wrong"), TypeError, "^X: wrong$"),
        (OverflowError("int too large"), ValueError, "X holds a number outside"),
        (RuntimeError("requires grad"), TypeError, "X cannot be read as an array: RuntimeError"),
    ],
)
def test_errors_of_others_name_the_argument(error, raised, message):
    with pytest.raises(raised, match=message), naming("X", [1.0]):
        raise error


def test_the_first_row_that_is_not_finite_is_told():
    message = r"^X: bad\nThe first bad row of X is row 1: drop"
    for values in ([[1.0], [np.nan]], sp.csr_array([[1.0], [np.inf]])):
        with pytest.raises(ValueError, match=message), naming("X", values):
            raise ValueError("bad")


def test_only_sparse_matrices_are_refused_as_such():
    refuse_sparse(np.ones(2), "y")
    with pytest.raises(TypeError, match=r"sparse y is not supported: pass y\.toarray\(\)"):
        refuse_sparse(sp.csr_array([[1.0]]), "y")
