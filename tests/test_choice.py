"""Which values of C are tried, which one is chosen, and the warnings at the ends."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
    make_blobs,
    make_classification,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, log_loss
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path
from skce._choice import best_of, further, warn_at_an_edge
from skce._span import Span, span
from skce.displays import RegularizationPathDisplay
from skce.metrics import neg_log_loss_scorer

WIDE = np.logspace(-8, 8, 33)


def shipped(load, scaled=False):
    X, y = load(return_X_y=True)
    return (StandardScaler().fit_transform(X) if scaled else X), y


def exercise():
    X, Y = load_linnerud(return_X_y=True)
    return X, (Y[:, 1] > np.median(Y[:, 1])).astype(int)


def diabetes():
    table = load_diabetes(scaled=False)
    return table.data, np.digitize(table.target, np.quantile(table.target, [1 / 3, 2 / 3]))


def units():
    X, y = make_classification(400, 8, n_informative=4, n_redundant=0, random_state=3)
    return X * np.random.default_rng(0).permutation(np.logspace(-6, 9, 8)), y


def income():
    """A column in large units that predicts little, beside four columns that predict much."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 5))
    y = (X[:, 1:].sum(axis=1) + rng.logistic(size=1000) > 0).astype(int)
    X[:, 0] = np.where(y == 1, 50_000, 40_000) + 20_000 * X[:, 0]
    return X, y


def words():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=400)
    shares = np.exp(rng.normal(size=(3, 1500))) / np.arange(1, 1501)
    X = [rng.multinomial(8, shares[k] / shares[k].sum()) for k in y]
    return sp.csr_array(np.log1p(np.array(X, dtype=float))), y


def noise(n, p):
    rng = np.random.default_rng(15)
    return rng.normal(size=(n, p)), rng.integers(2, size=n)


TABLES = {
    "iris": lambda: shipped(load_iris),
    "iris, scaled": lambda: shipped(load_iris, True),
    "wine": lambda: shipped(load_wine),
    "wine, scaled": lambda: shipped(load_wine, True),
    "breast cancer": lambda: shipped(load_breast_cancer),
    "breast cancer, scaled": lambda: shipped(load_breast_cancer, True),
    "digits": lambda: shipped(load_digits),
    "digits, scaled": lambda: shipped(load_digits, True),
    "exercise": exercise,
    "diabetes": diabetes,
    "units": units,
    "income": income,
    "words": words,
    "wide": lambda: make_classification(100, 500, n_informative=10, random_state=0),
    "overlapping": lambda: make_blobs(300, 5, centers=4, cluster_std=6, random_state=0),
    "twins": lambda: twins(),
}


def twins():
    """Two columns that are nearly equal, whose difference predicts y."""
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(2, 500))
    y = (d + 0.5 * rng.logistic(size=500) > 0).astype(int)
    return np.column_stack([x, x + 1e-3 * d]), y


def caught(fit):
    """Return the result of a fit, and the messages of its warnings."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = fit()
    return result, [str(warning.message) for warning in found]


def least_loss(X, y, **params):
    """The least mean log-loss over a wide grid, on the same folds."""
    wide, _ = caught(lambda: SoftmaxClassifierCV(Cs=WIDE, **params).fit(X, y))
    return -wide.scores_.mean(axis=0).max()


# as typed


@pytest.mark.parametrize("name", TABLES)
def test_as_typed_the_loss_is_next_to_the_least_of_a_wide_grid(name):
    X, y = TABLES[name]()
    clf = SoftmaxClassifierCV().fit(X, y)  # without a warning
    assert -clf.scores_.mean(axis=0).max() <= 1.02 * least_loss(X, y)
    assert clf.scores_.shape == clf.n_iter_.shape == (5, 1, len(clf.Cs_))
    assert (np.diff(clf.Cs_) > 0).all()
    assert clf.Cs_[clf.scores_.mean(axis=(0, 1)).argmax()] == clf.C_
    assert clf.C_1se_ in clf.Cs_[clf.Cs_ <= clf.C_]


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e6])
def test_the_search_does_not_depend_on_units_or_weights(unit):
    X, y = shipped(load_wine, True)
    clf = SoftmaxClassifierCV().fit(X, y)
    other = SoftmaxClassifierCV().fit(X / unit, y)
    assert_allclose(other.Cs_, clf.Cs_ * unit**2, rtol=1e-2)
    assert_allclose(other.scores_, clf.scores_, rtol=1e-2)
    weighted = SoftmaxClassifierCV().fit(X, y, np.full(len(y), unit))
    best, same = (one.scores_.mean(axis=0).max() for one in (clf, weighted))
    assert_allclose(same, best, rtol=2e-2)
    assert_allclose(np.log10(weighted.C_ * unit), np.log10(clf.C_), atol=0.5)


FORMS = {
    "soft": ({}, lambda y, rng: 0.8 * np.eye(3)[y] + 0.2 * rng.dirichlet(np.ones(3), len(y))),
    "one against the rest": ({"loss": "binary"}, lambda y, rng: y),
    "multilabel": ({"loss": "binary"}, lambda y, rng: np.column_stack([y > 0, y == 1]) * 1),
    "probabilities": ({"loss": "binary"}, lambda y, rng: np.clip(0.4 * y + 0.1, 0, 1)),
    "class weights": ({"class_weight": "balanced"}, lambda y, rng: y),
    "smoothing": ({"label_smoothing": 0.1}, lambda y, rng: y),
    "no intercept": ({"fit_intercept": False}, lambda y, rng: y),
    "factors": ({"penalty_weights": [1, 0, 2, 1]}, lambda y, rng: y),
    "bounds": ({"coef_bounds": (-0.5, 0.5)}, lambda y, rng: y),
    "L1": ({"l1_ratios": [1.0]}, lambda y, rng: y),
    "elastic nets": ({"l1_ratios": [0.0, 0.3, 1.0]}, lambda y, rng: y),
    "few folds": ({"cv": 2}, lambda y, rng: y),
}


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_form_of_targets_and_penalty_is_searched(kind, dtype):
    params, make = FORMS[kind]
    X, y = shipped(load_iris)
    y = make(y, np.random.default_rng(0))
    clf, said = caught(lambda: SoftmaxClassifierCV(**params).fit(X.astype(dtype), y))
    loss = -clf.scores_.mean(axis=0).max()
    assert loss <= 1.02 * least_loss(X, y, **params) or any("The best C" in m for m in said)


@pytest.mark.parametrize(
    "scoring", ["accuracy", "neg_log_loss", neg_log_loss_scorer, "roc_auc_ovr"]
)
def test_a_search_by_another_score_ends_where_it_is_as_good(scoring):
    X, y = shipped(load_wine)
    clf, _ = caught(lambda: SoftmaxClassifierCV(scoring=scoring).fit(X, y))
    wide, _ = caught(lambda: SoftmaxClassifierCV(scoring=scoring, Cs=WIDE).fit(X, y))
    best, reached = (one.scores_.mean(axis=0).max() for one in (wide, clf))
    assert reached >= best - 0.02 * abs(best)


def test_scores_of_a_search_are_those_of_fits_by_hand():
    X, y = shipped(load_breast_cancer)
    clf = SoftmaxClassifierCV().fit(X, y)
    for k, (train, test) in enumerate(StratifiedKFold(5).split(X, y)):
        for i, C in enumerate(clf.Cs_):
            one = SoftmaxClassifier(C=C).fit(X[train], y[train])
            loss = log_loss(y[test], one.predict_proba(X[test]))
            assert_allclose(-clf.scores_[k, 0, i], loss, rtol=2e-2)


def test_a_search_finds_the_same_in_processes_in_files_and_again(tmp_path):
    X, y = shipped(load_digits)
    clf = SoftmaxClassifierCV(cv=3).fit(X, y)
    np.save(tmp_path / "X.npy", X)
    X_there = np.load(tmp_path / "X.npy", mmap_mode="r")
    for other in (
        SoftmaxClassifierCV(cv=3, n_jobs=2).fit(X, y),
        SoftmaxClassifierCV(cv=3).fit(X_there, y),
        clone(clf).fit(X, y),
    ):
        assert_array_equal(other.Cs_, clf.Cs_)
        assert_array_equal(other.scores_, clf.scores_)
        assert_array_equal(other.coef_, clf.coef_)


def test_without_refit_a_search_takes_the_mean_of_the_folds():
    X, y = shipped(load_wine, True)
    clf = SoftmaxClassifierCV(refit=False).fit(X, y)
    best = clf.scores_[:, 0].argmax(axis=1)
    assert_allclose(clf.C_, clf.Cs_[best].mean())
    assert_allclose(clf.coef_, clf.coefs_paths_[np.arange(5), 0, best][..., :-1].mean(axis=0))


def test_a_class_with_few_rows_does_not_stop_a_search():
    X, y = shipped(load_iris)
    X, y = X[48:], y[48:]  # two rows of class 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = SoftmaxClassifierCV(cv=KFold(3)).fit(X, y)
    assert np.isfinite(clf.scores_).all()
    assert 0 < np.searchsorted(clf.Cs_, clf.C_) < len(clf.Cs_) - 1


def test_columns_that_say_nothing_are_no_obstacle():
    X, y = shipped(load_iris)
    clf = SoftmaxClassifierCV().fit(X, y)
    more = np.column_stack([X, np.full(len(X), 1e6), np.zeros(len(X))])
    same = SoftmaxClassifierCV().fit(more, y)  # it may try slightly different values of C
    best, want = (one.scores_.mean(axis=(0, 1)).max() for one in (same, clf))
    assert_allclose(best, want, rtol=2e-2)
    constant, said = caught(lambda: SoftmaxClassifierCV().fit(np.ones((len(y), 2)), y))
    assert_allclose(constant.scores_, -np.log(3), rtol=1e-6)
    assert not said


def test_a_display_draws_what_was_tried():
    pytest.importorskip("matplotlib").use("Agg")
    X, y = shipped(load_iris)
    clf = SoftmaxClassifierCV().fit(X, y)
    for response in ("score", "coefficients"):
        display = RegularizationPathDisplay.from_estimator(clf, response=response)
        assert_array_equal(display.lines_[0].get_xdata(), clf.Cs_)


# the ends


def edges(said):
    return [message for message in said if message.startswith("The best C")]


def test_separated_classes_are_told_that_no_c_is_too_large():
    X, y = make_blobs(300, 5, centers=4, random_state=0)
    with pytest.warns(UserWarning, match=r"The best C.*largest.*Cs_.*separate the classes"):
        clf = SoftmaxClassifierCV().fit(X, y)
    assert clf.Cs_[-1] == clf.C_


def test_noise_is_told_to_say_nothing():
    X, y = noise(60, 200)
    with pytest.warns(UserWarning, match=r"The best C.*smallest.*Cs_.*nearly zero"):
        clf = SoftmaxClassifierCV().fit(X, y)
    assert clf.Cs_[0] == clf.C_
    assert_allclose(-clf.scores_.mean(axis=0).max(), least_loss(X, y), rtol=2e-2)
    with pytest.warns(UserWarning, match=r"The best C.*smallest.*nearly zero"):
        lasso = SoftmaxClassifierCV(l1_ratios=[1.0]).fit(X, y)
    assert not lasso.coef_.any()


@pytest.mark.parametrize(
    ("Cs", "end"),
    [
        ([1e-4, 1e-3, 1e-2], "largest"),
        ([1e6, 1e8, 1e10], "smallest"),
        ([1e-3, 1e-2, np.inf], None),  # there is no larger C
        ([1.0, 10.0, 30.0, 100.0, 1e4], None),
        ([1e-3], None),
        (20, None),
    ],
)
def test_given_values_of_c_that_end_too_early_are_told_so(Cs, end):
    X, y = shipped(load_iris)
    clf, said = caught(lambda: SoftmaxClassifierCV(Cs=Cs).fit(X, y))
    messages = edges(said)
    assert len(messages) == (end is not None)
    if end is not None:
        assert f"is the {end} of the {len(Cs)} in Cs_" in messages[0]
        assert "as Cs." in messages[0]
        assert clf.C_ in (clf.Cs_[0], clf.Cs_[-1])


def test_scores_that_are_flat_need_no_warning():
    X, y = shipped(load_iris)
    for Cs in ("auto", [0.1, 1, 10]):
        flat = SoftmaxClassifierCV(Cs=Cs, scoring=lambda clf, X, y: 1.0).fit(X, y)
        assert flat.Cs_[0] == flat.C_ == flat.C_1se_
        zero = SoftmaxClassifierCV(Cs=Cs, scoring=lambda clf, X, y: 0.0).fit(X, y)
        assert zero.Cs_[0] == zero.C_
    # There are so many rows that no penalty is needed.
    X, y = make_classification(2000, 5, n_informative=3, n_redundant=0, random_state=0)
    assert not edges(caught(lambda: SoftmaxClassifierCV(Cs=[1.0, 1e4, 1e8]).fit(X, y))[1])


def test_an_edge_is_that_of_the_best_l1_ratio():
    Cs, zero = np.array([0.1, 1.0, 10.0]), False
    with pytest.warns(UserWarning, match="The best C, 10, is the largest of the 3 in Cs_"):
        warn_at_an_edge(Cs, np.array([-3.0, -2.0, -1.0]), zero)
    with pytest.warns(UserWarning, match="The best C, 0.1, is the smallest .* Pass smaller"):
        warn_at_an_edge(Cs, np.array([-1.0, -2.0, -3.0]), zero)
    with pytest.warns(UserWarning, match="would change nothing"):
        warn_at_an_edge(Cs, np.array([-1.0, -2.0, -3.0]), True)
    with pytest.warns(UserWarning, match="would change nothing"):
        warn_at_an_edge(Cs, np.array([-1.0, -1.001, -3.0]), True)
    for scores in ([-3.0, -1.0, -2.0], [-1.0, -1.001, -3.0], [-1.0, -np.inf, -2.0]):
        warn_at_an_edge(Cs, np.array(scores), zero)


def test_scores_that_do_not_exist_end_a_search():
    X, y = shipped(load_iris)
    with pytest.raises(ValueError, match="No C can be chosen"):
        SoftmaxClassifierCV(scoring=lambda clf, X, y: np.nan).fit(X, y)
    assert not len(further(np.array([0.0, 1.0]), np.full(2, -np.inf), Span(0.1, 1, 1, 10)))


# where to try next


@pytest.mark.parametrize("seed", range(20))
def test_the_search_finds_the_peak_of_any_smooth_curve(seed):
    rng = np.random.default_rng(seed)
    begin, every = np.sort(rng.uniform(-6, 6, size=2))
    limits = Span(*np.power(10.0, [begin - 2, begin, every, every + 4]))
    peak = rng.uniform(begin - 1, every + 5)
    left, right = rng.uniform(0.3, 1, size=2)  # at most as steep as on digits, on either side

    def score(x):
        return -0.5 - np.log1p(np.where(x < peak, left, right) * (x - peak) ** 2)

    x = np.zeros(0)
    while len(new := further(x, score(x), limits)):
        x = np.sort(np.concatenate([x, new]))
        assert len(x) <= 20
    assert (np.diff(x) > 0.04).all()
    assert score(x).max() >= 1.02 * score(peak)


def test_the_best_is_that_of_the_mean():
    scores = np.zeros((3, 2, 4))
    scores[:, 1, 2] = [1, 2, 3]
    assert best_of(scores) == (1, 2, pytest.approx(1 / np.sqrt(3)))
    assert best_of(scores[:1])[2] == 0


# what matters


def limits_of(X, y, l1_ratios=(0.0,), sample_weight=None, **params):
    model = SoftmaxClassifier(**params)
    X, targets = model._read(X, y, sample_weight)
    return span(model._objective(X, targets), np.array(l1_ratios))


def test_the_span_is_that_of_curvature_by_hand():
    X, y = income()
    p = y.mean()
    centred = X - X.mean(axis=0)
    g = centred.T @ (y - p)
    H = p * (1 - p) * centred.T @ centred
    steepest = (g @ H @ g) / (g @ g)
    found = limits_of(X, y)
    assert_allclose(found.first, 0.01 / steepest, rtol=1e-6)
    assert_allclose(found.every, 1 / np.linalg.eigvalsh(H)[0], rtol=1e-2)
    assert_allclose(found.begin, (g @ g) / H.trace() / steepest, rtol=1e-6)
    lasso = limits_of(X, y, [1.0])
    assert_allclose(lasso.first, 1 / np.abs(g).max(), rtol=1e-6)
    weighted = limits_of(X, y, penalty_weights=[1e10, 1, 1, 1, 1])
    factors = np.array([1e10, 1, 1, 1, 1])
    scaled = H / np.sqrt(np.multiply.outer(factors, factors))
    assert_allclose(weighted.every, 1 / np.linalg.eigvalsh(scaled)[0], rtol=1e-6)
    repeated = limits_of(np.repeat(X, 2, axis=0), np.repeat(y, 2))
    assert_allclose(limits_of(X, y, sample_weight=np.full(len(y), 2.0)), repeated, rtol=1e-6)


def test_the_span_of_three_classes_is_that_of_the_hessian():
    X, y = shipped(load_wine)
    p, T = np.bincount(y) / len(y), np.eye(3)[y]
    centred = X - X.mean(axis=0)
    G = (p - T).T @ centred
    product = (np.diag(p) - np.outer(p, p)) @ G @ centred.T @ centred
    found = limits_of(X, y)
    assert_allclose(found.first, 0.01 * (G**2).sum() / (G * product).sum(), rtol=1e-6)
    for other in (sp.csr_array(X), X.astype(np.float32)):
        assert_allclose(limits_of(other, y), found, rtol=1e-3)


def test_a_path_from_a_number_goes_over_what_matters():
    X, y = income()
    path = softmax_path(X, y, Cs=10)
    first, _, every, last = limits_of(X, y)
    assert_allclose(path.Cs[[0, -1]], [first, last])
    assert first < every < last
    model = LogisticRegression(C=first, solver="newton-cholesky", tol=1e-10).fit(X, y)
    assert np.ptp(model.predict_proba(X)[:, 1]) < 0.02
    loose, looser = (SoftmaxClassifier(C=C).fit(X, y).coef_ for C in (last, np.inf))
    assert_allclose(loose, looser, rtol=1e-3)


# fits along a path whose penalties are far apart


@pytest.mark.parametrize("form", ["CSR", "dense"])
def test_fits_after_a_far_stronger_penalty_keep_their_promise(form):
    X, y = words()
    X = X if form == "CSR" else X.toarray()
    for tol in (1e-3, 1e-6):
        path = softmax_path(X, y, Cs=[1e-12, 1e-6, 1.0], tol=tol)
        W, b = path.coefs[-1], path.intercepts[-1]
        z = X @ W.T + b
        losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]
        best = SoftmaxClassifier(tol=1e-10).fit(X, y).optimize_result_.fun
        assert losses.sum() + (W**2).sum() / 2 <= (1 + tol) * best


# scikit-learn's log-loss, by name


@pytest.mark.parametrize("scoring", ["neg_log_loss", get_scorer("neg_log_loss")])
def test_the_log_loss_of_scikit_learn_is_refused_for_what_it_does_not_take(scoring):
    X, y = shipped(load_iris)
    several = np.column_stack([y > 0, y == 1, X[:, 0] > 6]) * 1
    for targets, params in (
        (0.9 * np.eye(3)[y] + 0.1 / 3, {}),
        (several, {"loss": "binary"}),
        (0.8 * several, {"loss": "binary"}),
        (0.8 * (y > 0), {"loss": "binary"}),
    ):
        clf = SoftmaxClassifierCV(Cs=[0.1, 1], scoring=scoring, **params)
        with pytest.raises(ValueError, match="scoring=None is the log-loss of any y"):
            clf.fit(X, targets)
        assert not hasattr(clf, "C_")
        assert set(vars(clf)) == set(vars(clone(clf)))
    Cs = [1.0, 10.0, 30.0, 100.0, 1e4]
    for hard in (y, np.eye(3)[y], (y > 1) * 1):
        by_name = SoftmaxClassifierCV(Cs=Cs, scoring=scoring).fit(X, hard)
        assert_allclose(by_name.scores_, SoftmaxClassifierCV(Cs=Cs).fit(X, hard).scores_, rtol=1e-6)
