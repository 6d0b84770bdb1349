"""What y may be, what it means, and the messages about bad targets and weights."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scipy.special
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict

from skce import SoftmaxClassifier
from skce._targets.mass import fold_weights
from skce._targets.meaning import read_targets

LABELS = {
    "ints": [3, 1, 2, 1],
    "strings": ["c", "a", "b", "a"],
    "negative ints": [5, -7, 0, -7],
    "floats": [2.5e9, 1.0, 2.0, 1.0],
    "numpy strings": np.array(["c", "a", "b", "a"]),
    "object strings": np.array(["c", "a", "b", "a"], dtype=object),
    "pandas strings": pd.Series(["c", "a", "b", "a"]),
    "pandas categories": pd.Series(["c", "a", "b", "a"], dtype="category"),
    "pandas nullable ints": pd.Series([3, 1, 2, 1], dtype="Int64"),
    "pandas string type": pd.Series(["c", "a", "b", "a"], dtype="string"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_three_classes(kind):
    for loss, form in (("auto", "softmax"), ("categorical", "softmax"), ("binary", "one-vs-rest")):
        raw = read_targets(LABELS[kind], loss)
        assert raw.form == form
        assert_array_equal(raw.values, [2, 0, 1, 0])
        assert_array_equal(raw.classes[raw.values], np.asarray(LABELS[kind]))


@pytest.mark.parametrize(
    "y", [[0, 1, 1], ["no", "yes", "yes"], [False, True, True], [0.0, 1.0, 1.0]]
)
def test_labels_of_two_classes(y):
    for loss, form in (("auto", "sigmoid"), ("binary", "sigmoid"), ("categorical", "softmax")):
        raw = read_targets(y, loss)
        assert raw.form == form
        codes = raw.values.ravel()
        assert_array_equal(codes, [0, 1, 1])
        assert_array_equal(raw.classes[codes], y)


def test_codes_take_the_smallest_integer_type():
    assert read_targets(np.arange(256), "auto").values.dtype == np.uint8
    assert read_targets(np.arange(257), "auto").values.dtype == np.uint16


def test_floats_between_0_and_1_are_the_probability_of_class_1():
    raw = read_targets([0.2, 1.0, 0.5], "binary")
    assert raw.form == "sigmoid"
    assert_array_equal(raw.classes, [0, 1])
    assert_array_equal(raw.values, [[0.2], [1.0], [0.5]])


@pytest.mark.parametrize("dtype", [int, bool, np.float32, np.float64, object])
def test_one_hot_rows_are_distributions(dtype):
    Y = np.eye(3, dtype=int)[[0, 2, 1, 1]].astype(dtype)
    for loss in ("auto", "categorical"):
        raw = read_targets(Y, loss)
        assert raw.form == "softmax"
        assert raw.row_sum is None
        assert_array_equal(raw.values, Y.astype(int))
    assert read_targets(Y, "binary").form == "multilabel"


def test_probabilities_are_not_copied():
    Y = np.random.default_rng(0).dirichlet(np.ones(3), size=10)
    assert np.shares_memory(read_targets(Y, "auto").values, Y)


def test_rows_that_sum_to_1_within_1e_4_are_renormalised():
    Y = np.array([[0.33333, 0.33333, 0.33333], [0.5, 0.5, 0.0]])
    targets = fold_weights(read_targets(Y, "auto"), None, None, 0.0, np.float64)
    block = targets.block(0, 2)
    assert_allclose(block.t.sum(axis=0), 1, rtol=1e-15)
    assert_allclose(block.mass, 1, rtol=1e-15)
    with pytest.raises(ValueError, match=r"Row 0 of y sums to 0\.9998"):
        read_targets(Y - [[5e-5], [0]], "auto")


def test_rounding_above_1_and_coarse_dtypes_are_renormalised(rng):
    Y = np.eye(3)[[0, 1, 2]]
    Y[0] *= 1.00005
    assert_allclose(read_targets(Y, "auto").row_sum, [1.00005, 1, 1])
    half = rng.dirichlet(np.ones(5), size=100).astype(np.float16)
    assert read_targets(half, "auto").values.dtype == np.float16


def test_columns_of_a_data_frame_become_classes():
    Y = np.eye(3)[[0, 1, 2, 0]]
    frame = pd.DataFrame(Y, columns=["rain", "sun", "fog"])
    assert_array_equal(read_targets(frame, "auto").classes, ["fog", "rain", "sun"])
    assert read_targets(pd.DataFrame(Y), "auto").classes.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="columns of y must have different names"):
        read_targets(pd.DataFrame(Y, columns=["a", "b", "a"]), "auto")


NAMES = {
    "strings": ["sun", "fog", "rain"],
    "one of them in order": ["fog", "sun", "rain"],
    "integers": [7, -1, 3],
    "floats": [2.5, -1.0, 0.5],
    "numbers of two types": [2, 0.5, 1],
    "bools and numbers": [3, False, True],
    "tuples": [("b", 1), ("a", 2), ("a", 1)],
    "dates": [pd.Timestamp("2021-01-01"), pd.Timestamp("2019-01-01"), pd.Timestamp("2020-01-01")],
}


@pytest.mark.parametrize(
    ("kind", "class_weight"),
    [
        *((kind, weight) for kind in NAMES for weight in (None, "balanced")),
        ("strings", "dict"),
        ("integers", "dict"),
    ],
)
def test_columns_are_read_in_the_order_of_their_names_without_a_copy(kind, class_weight, rng):
    names = NAMES[kind]
    Y = rng.dirichlet(np.ones(3), size=20) * 1.00005
    columns = pd.Index(names, dtype=object, tupleize_cols=False)
    frame = pd.DataFrame(Y, columns=columns)
    raw = read_targets(frame, "auto")
    order = sorted(range(3), key=names.__getitem__)
    assert raw.classes.tolist() == sorted(names)
    assert np.shares_memory(raw.values, frame.to_numpy())
    weights = {"dict": {names[0]: 2.0}}.get(class_weight, class_weight)
    want = {"dict": {order.index(0): 2.0}}.get(class_weight, class_weight)
    args = np.arange(20.0), 0.1, np.float64
    found = fold_weights(raw, args[0], weights, *args[1:])
    sorted_ = fold_weights(read_targets(Y[:, order], "auto"), args[0], want, *args[1:])
    for some in (found, found.take(np.arange(20))):
        block, other = some.block(3, 12), sorted_.block(3, 12)
        assert_allclose(block.t, other.t, rtol=1e-14)
        assert_allclose(block.mass, other.mass, rtol=1e-14)
        assert_array_equal(block.reference, other.reference)


@pytest.mark.parametrize(
    "names",
    [["b", 1, (2, 3)], ["b", "a", None], ["b", np.nan, "a"], [2.0, np.nan, 1.0], ["b", pd.NA, "a"]],
)
def test_names_that_have_no_order_keep_that_of_the_columns(names):
    frame = pd.DataFrame(np.eye(3)[[0, 1, 2, 0]], columns=pd.Index(names, dtype=object))
    raw = read_targets(frame, "auto")
    assert raw.columns is None
    assert all(a is b or a == b for a, b in zip(raw.classes.tolist(), names, strict=True))


def test_columns_of_an_indicator_matrix_keep_their_order():
    frame = pd.DataFrame([[1, 0, 1], [0, 1, 1], [0, 0, 0]], columns=["c", "a", "b"])
    raw = read_targets(frame, "binary")
    assert raw.classes.tolist() == ["c", "a", "b"]
    assert_array_equal(raw.values, frame)


def test_columns_of_a_polars_frame_become_classes():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"rain": [1.0, 0.5], "sun": [0.0, 0.5]})
    raw = read_targets(frame, "auto")
    assert raw.classes.tolist() == ["rain", "sun"]
    assert_array_equal(raw.values, [[1, 0], [0.5, 0.5]])
    assert read_targets(pl.Series(["b", "a", "c"]), "auto").values.tolist() == [1, 0, 2]


def test_a_single_column_is_taken_as_labels_with_a_warning():
    with pytest.warns(DataConversionWarning):
        assert_array_equal(read_targets([[2], [0], [1]], "auto").values, [2, 0, 1])


# ------------------------------------------------------------------ the error column of the table
ROWS = {
    "fractions": ([0.0, 0.5, 1.0], ("auto", "categorical"), "row 1 of y is 0.5.*loss='binary'"),
    "fractions outside": ([0.0, 0.5, 1.5], ("binary",), "probability of class 1.*row 2 of y is 1.5"),
    "negative fraction": ([0.5, -0.5, 0.1], ("binary",), "row 1 of y is -0.5"),
    "indicator": (
        [[1, 0, 0], [0, 1, 0], [1, 1, 0]],
        ("auto",),
        "Row 2 of y sums to 2.*loss='binary'",
    ),
    "indicator, categorical": ([[1, 0], [1, 1]], ("categorical",), "Row 1 of y sums to 2.*must sum to 1"),
    "negative": ([[0.5, 0.5], [1.5, -0.5]], ("auto", "categorical", "binary"), "Row 1 of y holds -0.5"),
    "above 1": ([[0.5, 0.5], [0.5, 1.5]], ("binary",), "Row 1 of y holds 1.5"),
    "above 1, distribution": ([[0.5, 0.5], [0.5, 1.5]], ("auto", "categorical"), "Row 1 of y sums to 2"),
    "NaN": ([[0.5, 0.5], [np.nan, 1]], ("auto", "categorical"), "(?s)NaN.*row 1.*loss='binary'"),
    "masked": (np.ma.masked_array(np.eye(2), [[0, 0], [1, 0]]), ("auto", "categorical"), "masked.*loss='binary'"),
    "inf": ([[0.5, 0.5], [np.inf, 1]], ("auto", "categorical"), "(?s)infinity.*row 1"),
    "inf beside NaN": ([[np.nan, 0.5], [np.inf, 1]], ("binary",), "Row 1 of y holds inf"),
    "negative beside NaN": ([[np.nan, 0.5], [np.nan, -1]], ("binary",), "Row 1 of y holds -1"),
    "a column with NaN": ([[0.0], [np.nan], [1.0]], ("binary",), "(?s)NaN.*row 1: drop such rows"),
    "zero row": ([[0.5, 0.5], [0, 0]], ("auto", "categorical"), "Row 1 of y sums to 0.*Drop rows"),
    "counts": ([[1, 0], [0, 1], [7, 2]], ("auto", "categorical"), r"Row 2 of y sums to 9.*Y / m.*sample_weight=m"),
    "NaN label": ([0.0, 1.0, np.nan], ("auto", "categorical", "binary"), "(?s)NaN.*row 2"),
    "None label": (np.array(["a", None, "b"], object), ("auto",), "no label in row 1"),
    "missing label": (pd.Series(["a", "b", pd.NA], dtype="object"), ("auto",), "row 2"),
    "missing category": (pd.Series(["a", None, "b"], dtype="category"), ("auto",), "no label in row 1"),
    "NaN among strings": (np.array(["a", "b", np.nan], object), ("auto",), "no label in row 2"),
    "NaT": (np.array(["2020-01-01", "NaT"], "datetime64[D]"), ("auto",), "no label in row 1"),
    "one class": ([1, 1, 1], ("auto", "categorical", "binary"), "one class: .*1"),
    "one column with mass": ([[1.0, 0], [1, 0]], ("auto", "categorical"), "one class: .*0"),
    "2-D strings": ([["a", "b"], ["b", "a"]], ("auto", "categorical", "binary"), "dtype <U1.*1-D"),
    "complex": ([1j, 2, 3], ("auto",), "Complex data"),
    "3-D": (np.zeros((2, 2, 2)), ("auto",), "dim 3"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("row", "loss"), [(row, loss) for row, (_, losses, _) in ROWS.items() for loss in losses]
)
def test_bad_targets_are_named(row, loss):
    y, _, message = ROWS[row]
    with pytest.raises(ValueError, match=message):
        read_targets(y, loss)


def test_zero_rows_and_fractions_are_good_multilabel_targets():
    assert read_targets([[0.9, 0.8], [0, 0]], "binary").form == "multilabel"


def test_unknown_label_types_have_scikit_learns_words():
    for loss, y in (("auto", [0.1, 0.2]), ("categorical", [0.1, 0.2]), ("binary", [0.1, 7.2])):
        with pytest.raises(ValueError, match="Unknown label type: continuous"):
            read_targets(y, loss)
    with pytest.raises(ValueError, match="Unknown label type"):
        read_targets(np.array([object(), {}], dtype=object), "auto")


def test_cross_val_predict_on_2d_targets_says_what_happened(problem):
    X, _, Y = problem
    with pytest.raises(
        ValueError, match=r"re-encodes.*skce\.model_selection\.cross_val_predict_proba\."
    ):
        cross_val_predict(SoftmaxClassifier(), X, Y, method="predict_proba")


def test_the_way_out_that_the_message_names_works(problem):
    X, _, Y = problem
    proba = np.empty_like(Y)
    for train, test in KFold(5).split(X):
        proba[test] = SoftmaxClassifier().fit(X[train], Y[train]).predict_proba(X[test])
    assert_allclose(proba.sum(axis=1), 1)


# ------------------------------------------------------------------------------ class weights
def balanced(y, loss, sample_weight=None):
    return fold_weights(read_targets(y, loss), sample_weight, "balanced", 0.0, np.float64)


def test_balanced_class_weights_use_target_mass():
    y, weights = np.array([0, 0, 0, 1, 2, 2]), np.array([1.0, 2, 1, 2, 3, 3])
    expected = 12 / (3 * np.array([4.0, 2, 6]))
    assert_allclose(balanced(y, "auto", weights).block(0, 6).mass, weights * expected[y])
    assert_allclose(balanced(y, "binary", weights).block(0, 6).mass, weights * expected[y])
    Y = np.eye(3)[y] * 0.99999
    assert_allclose(balanced(Y, "auto", weights).block(0, 6).mass, weights * expected[y])
    two = balanced(y == 0, "auto", weights).block(0, 6)
    assert_allclose(two.mass[0], weights * np.where(y == 0, 12 / 8, 12 / 16))


def test_balanced_multilabel_weights_balance_each_label():
    Y = np.array([[1, 0], [1, 0], [1, 0], [0, 1]])
    block = balanced(Y, "binary").block(0, 4)
    assert_allclose(block.mass, [[2 / 3, 2 / 3, 2 / 3, 2], [2 / 3, 2 / 3, 2 / 3, 2]])
    assert_allclose(block.t, block.mass * Y.T)


def test_a_class_without_mass_keeps_weight_1():
    Y = np.array([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]])
    assert np.isfinite(balanced(Y, "auto").block(0, 2).mass).all()


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1, 1: 1}, r"class_weight\[False\] is -1"),
        ({0: 1, 1: np.nan}, r"class_weight\[True\] is nan"),
        ({0: 0, 1: 0}, "at least one class"),
        ({0: 1, 7: 1}, "class_weight"),
    ],
)
def test_bad_class_weights_are_named(class_weight, message, problem):
    X, y, _ = problem
    with pytest.raises(ValueError, match=message):
        SoftmaxClassifier(class_weight=class_weight).fit(X, y > 0)


# ----------------------------------------------------------------------------- sample weights
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            lambda n: np.r_[1, 1, -2, np.ones(n - 3)],
            "sample_weight must not be negative, but row 2",
        ),
        (lambda n: np.r_[1, np.nan, np.ones(n - 2)], "(?s)sample_weight contains NaN.*row 1"),
        (lambda n: np.r_[1, 1, 1, np.inf, np.ones(n - 4)], "(?s)sample_weight.*infinity.*row 3"),
        (lambda n: np.full(n, 1e308), "sample_weight sums to inf"),
        (lambda n: np.full(n, 1e-320), "sample_weight sums to 5.99"),
        (lambda n: np.zeros(n), "sample_weight is zero in every row"),
        (lambda n: np.ones(n + 1), r"sample_weight must have shape \(60,\)"),
        (lambda n: np.ones((n, 2)), r"sample_weight must have shape \(60,\)"),
        (lambda n: ["a"] * n, "could not convert|dtype|numeric"),
    ],
)
def test_bad_sample_weights_are_named(weights, message, problem):
    X, y, _ = problem
    with pytest.raises(ValueError, match=message):
        SoftmaxClassifier().fit(X, y, sample_weight=weights(len(X)))


FORMS = {
    "softmax": lambda y: (y, "auto"),
    "one-vs-rest": lambda y: (y, "binary"),
    "sigmoid": lambda y: (y == 1, "auto"),
    "two classes, softmax": lambda y: (y == 1, "categorical"),
    "probabilities": lambda y: (np.where(y == 1, 1.0, 0.5 * (y == 2)), "binary"),
    "one-hot": lambda y: (np.eye(3)[y], "auto"),
    "multilabel": lambda y: (np.eye(3)[y], "binary"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "lbfgs"},
        {"l1_ratio": 1.0},
        {"l1_ratio": 0.5},
        {"C": 1e-6},
        {"C": 1e6},
        {"class_weight": "balanced"},
        {"class_weight": "balanced", "label_smoothing": 0.1},
        {"fit_intercept": False},
        {"coef_bounds": (0.1, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("present", [[1], [0, 2]])
def test_a_class_whose_rows_weigh_zero_is_a_class(form, params, present, problem):
    X, y, _ = problem
    targets, loss = FORMS[form](y)
    weights = np.isin(y, present).astype(float)
    clf = SoftmaxClassifier(loss=loss, **params).fit(X, targets, sample_weight=weights)
    assert clf.optimize_result_.success
    assert clf.n_iter_[0] < 100
    P = clf.predict_proba(X)
    assert np.isfinite(P).all()
    if form in ("softmax", "one-hot", "one-vs-rest"):
        assert P.shape == (60, 3)
        if "label_smoothing" not in params and params.get("fit_intercept", True):
            absent = np.setdiff1d(range(3), present)
            assert P[:, absent].max() < 1e-6


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("present", [[1], [0], [0, 2], [1, 2]])
def test_a_class_whose_rows_weigh_zero_is_what_logistic_regression_makes_of_it(
    n_classes, present, problem
):
    X, y, _ = problem
    y = np.minimum(y, n_classes - 1)
    weights = np.isin(y, present).astype(float)
    ours = SoftmaxClassifier().fit(X, y, sample_weight=weights)
    theirs = LogisticRegression(tol=1e-10, max_iter=10_000).fit(X, y, sample_weight=weights)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


def test_without_the_rows_that_weigh_zero_the_rest_is_the_same(problem):
    X, y, _ = problem
    kept = y != 1
    whole = SoftmaxClassifier(tol=1e-12).fit(X, y, sample_weight=kept.astype(float))
    part = SoftmaxClassifier(tol=1e-12, loss="categorical").fit(X[kept], y[kept])
    assert_allclose(whole.predict_proba(X)[:, [0, 2]], part.predict_proba(X), atol=1e-6)
    assert_allclose(whole.coef_[[0, 2]], part.coef_, atol=1e-5)
    assert_allclose(whole.coef_[1], 0, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_without_a_penalty_what_has_one_class_is_separable(form, problem):
    X, y, _ = problem
    targets, loss = FORMS[form](y)
    clf = SoftmaxClassifier(C=np.inf, loss=loss)
    with pytest.warns(ConvergenceWarning):
        clf.fit(X, targets, sample_weight=(y == 1).astype(float))
    P = clf.predict_proba(X[y == 1])
    assert_allclose(P[:, 1] if P.shape[1] > 1 else P, 1, atol=1e-6)


@pytest.mark.parametrize("form", ["softmax", "one-vs-rest", "sigmoid", "one-hot"])
def test_weights_of_rows_and_classes_that_leave_nothing_are_refused(form, problem):
    X, y, _ = problem
    targets, loss = FORMS[form](y)
    only = {True: 0} if form == "sigmoid" else {1: 0}
    clf = SoftmaxClassifier(loss=loss, class_weight=only)
    with pytest.raises(ValueError, match="class_weight is zero for every class with target mass"):
        clf.fit(X, targets, sample_weight=(y == 1).astype(float))
    assert not hasattr(clf, "coef_")


def test_balanced_weights_of_a_side_without_mass_are_1(rng):
    # 0.1 + 0.1 + ... is not n * 0.1. Computed as a difference, the mass of class 0 was 1e-16, and
    # its weight 1e15.
    y, weights = np.ones(1000), np.where(np.arange(1000) < 10, 0, 0.1)
    y[:10] = 0
    raw = read_targets(y, "binary")
    block = fold_weights(raw, weights, "balanced", 0.1, np.float64).block(0, 1000)
    assert_allclose(block.t[0, 10:], 0.1 * 0.95 / 2)
    assert_allclose((block.mass - block.t)[0, 10:], 0.1 * 0.05)


def test_a_number_weighs_every_row(problem):
    X, y, _ = problem
    twice = SoftmaxClassifier(C=1).fit(X, y, sample_weight=2)
    assert_allclose(twice.coef_, SoftmaxClassifier(C=2).fit(X, y).coef_, rtol=1e-6)


def test_messages_read_well():
    with pytest.raises(ValueError) as error:
        read_targets([[3, 1], [0, 2]], "auto")
    message = str(error.value)
    assert message.startswith("Row 0 of y sums to 4: with loss='auto' each row of a 2-D y is a")
    assert not re.search(r"\s{2,}|\.\.", message)


# ------------------------------------------------------------------------- containers of targets
MISSING = {
    "None among ints": [0, 1, None],
    "None among strings": ["a", "b", None],
    "NaN among ints": [0, 1, np.nan],
    "NaN among strings": ["a", "b", np.nan],
    "NaN among objects": np.array([0, 1, np.nan], dtype=object),
    "pandas.NA": [0, 1, pd.NA],
    "pandas.NaT": [0, 1, pd.NaT],
    "NaT": np.array(["2020", "2021", "NaT"], "datetime64[Y]"),
    "nullable ints": pd.Series([0, 1, None], dtype="Int64"),
    "nullable bools": pd.Series([True, False, None], dtype="boolean"),
    "strings": pd.Series(["a", "b", None], dtype="string"),
    "categories": pd.Series(["a", "b", None], dtype="category"),
    "a column": pd.DataFrame({"a": pd.array([0, 1, None], dtype="Int64")}),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_missing_label_is_named_with_its_row(kind):
    with pytest.raises(ValueError, match="row 2: drop such rows"):
        read_targets(MISSING[kind], "auto")


def test_nullable_labels_keep_their_type_and_do_not_merge():
    ids = [2**53 + i for i in range(3)]
    for y in (pd.Series(ids, dtype="Int64"), pd.Index(ids, dtype="Int64"), pd.array(ids)):
        classes = read_targets(y, "auto").classes
        assert classes.dtype == np.int64
        assert classes.tolist() == ids
    assert read_targets(pd.Series([True, False], dtype="boolean"), "auto").classes.dtype == bool


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (sp.csr_array(np.eye(3)), TypeError, r"sparse y is not supported: pass y\.toarray\(\)"),
        (np.ma.array([0, 1, 2], mask=[0, 0, 1]), ValueError, "y is a masked array"),
        (None, ValueError, "y must hold labels or target probabilities, but is None"),
        ("abc", (ValueError, TypeError), "y"),
        ({0, 1}, (ValueError, TypeError), "y"),
        ({"a": [1]}, (ValueError, TypeError), "y"),
        ([[0], [1, 2]], ValueError, "y: .*inhomogeneous"),
        ([10**400, 1], ValueError, "Unknown label type"),
        ([{}, {}], ValueError, "Unknown label type"),
        ([["0", "1"], ["1", "0"]], ValueError, "2-D y must hold target probabilities"),
        ([], ValueError, r"y: .*0 sample\(s\)"),
        (np.zeros(3, dtype=[("a", int)]), ValueError, "y holds records of dtype"),
        (np.full(3, np.longdouble("1e4000")), ValueError, "y contains infinity"),
    ],
)
def test_what_are_no_targets_is_named(y, error, message):
    with pytest.raises(error, match=message):
        read_targets(y, "auto")


def test_tables_with_column_names_are_data_frames():
    pa = pytest.importorskip("pyarrow")
    raw = read_targets(pa.table({"rain": [1.0, 0.5], "sun": [0.0, 0.5]}), "auto")
    assert raw.classes.tolist() == ["rain", "sun"]
    assert_array_equal(raw.values, [[1, 0], [0.5, 0.5]])
    assert read_targets(pa.array(["b", "a", "c"]), "auto").values.tolist() == [1, 0, 2]


# ------------------------------------------------------------------------------ ways out
@pytest.mark.parametrize(
    ("row", "loss", "what", "way"),
    [
        ([0.333, 0.333, 0.33], "auto", "sums to 0.996", "y / y.sum(axis=1, keepdims=True)"),
        ([0.35, 0.35, 0.34], "auto", "sums to 1.04", "y / y.sum(axis=1, keepdims=True)"),
        ([2.0, 4.0, 0.5], "auto", "these are logits", "scipy.special.softmax(y, axis=1)"),
        ([-2.0, 4.0, 0.5], "auto", "these are logits", "scipy.special.softmax(y, axis=1)"),
        ([-2.0, 4.0, 0.5], "binary", "these are logits", "scipy.special.expit(y)"),
        ([0.5, -1.5], "binary", "these are logits", "scipy.special.expit(y)"),
        (np.log([0.2, 0.7, 0.1]), "auto", "logarithms of probabilities", "numpy.exp(y)"),
        (np.log([0.9, 0.7, 0.1]), "binary", "logarithms of probabilities", "numpy.exp(y)"),
    ],
)
def test_messages_say_the_way_out(row, loss, what, way):
    X, y = np.eye(2), np.array(row) if len(row) == 2 else np.vstack([row, np.roll(row, 1)])
    with pytest.raises(ValueError, match=f"{re.escape(what)}.*pass {re.escape(way)}"):
        SoftmaxClassifier(loss=loss).fit(X, y)
    y = eval(way, {"numpy": np, "scipy": scipy, "y": y})
    assert SoftmaxClassifier(loss=loss).fit(X, y).coef_.shape == (3 if len(row) == 3 else 1, 2)


def test_counts_are_not_called_logits():
    with pytest.raises(ValueError) as caught:
        SoftmaxClassifier().fit(np.eye(2), np.array([[2.0, 0, 1], [0, 3, 1]]))
    assert "logits" not in str(caught.value)
    assert "rounded" not in str(caught.value)
