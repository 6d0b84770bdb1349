"""skce.displays: the data that is drawn."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path
from skce.metrics import log_loss_samples

pytest.importorskip("matplotlib").use("agg")

import matplotlib.pyplot as plt  # noqa: E402

from skce.displays import (  # noqa: E402
    ConvergenceDisplay,
    LossCurveDisplay,
    RegularizationPathDisplay,
    SampleLossDisplay,
    TargetProbabilityDisplay,
)

#: Some grids here have few values, of which the best is an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    X, y = load_iris(return_X_y=True)
    rng = np.random.default_rng(0)
    Y = 0.5 * np.eye(3)[y] + 0.5 * rng.dirichlet([1, 1, 1], size=len(y))
    return X, y, Y, SoftmaxClassifier(solver="lbfgs").fit(X, y), SoftmaxClassifier().fit(X, Y)


def line(display, k=0):
    return display.lines_[k].get_xdata(), display.lines_[k].get_ydata()


def test_loss_curves_cross_at_one_half():
    display = LossCurveDisplay.from_targets()
    (p, zero), (_, one) = line(display, 0), line(display, 1)
    assert_allclose(zero, -np.log(1 - p), rtol=1e-12)
    assert_allclose(one, -np.log(p), rtol=1e-12)
    crossing = np.abs(zero - one).argmin()
    assert p[crossing] == pytest.approx(0.5)
    assert one[crossing] == pytest.approx(np.log(2))
    assert display.figure_ is display.ax_.figure
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "log-loss, y = 0",
        "log-loss, y = 1",
    ]


@pytest.mark.parametrize("y", [0.0, 0.3, 1.0])
def test_loss_curves_are_the_formulas(y):
    both = {"targets": [y], "losses": ["log_loss", "squared_error"]}
    display = LossCurveDisplay.from_targets(**both)
    p, got = line(display)
    assert_allclose(got, -y * np.log(p) - (1 - y) * np.log(1 - p), rtol=1e-12)
    assert_allclose(line(display, 1)[1], (p - y) ** 2, rtol=1e-12)
    slopes = LossCurveDisplay.from_targets(**both, response="gradient")
    assert_allclose(line(slopes)[1], (1 - y) / (1 - p) - y / p, rtol=1e-12, atol=1e-12)
    assert_allclose(line(slopes, 1)[1], 2 * (p - y), rtol=1e-12)
    logits = LossCurveDisplay.from_targets(**both, against="logit")
    z, got = line(logits)
    p = 1 / (1 + np.exp(-z))
    assert_allclose(got, np.log1p(np.exp(z)) - y * z, rtol=1e-12)
    assert_allclose(line(logits, 1)[1], (p - y) ** 2, rtol=1e-12)
    slopes = LossCurveDisplay.from_targets(**both, against="logit", response="gradient")
    assert_allclose(line(slopes)[1], p - y, rtol=1e-12, atol=1e-15)
    assert_allclose(line(slopes, 1)[1], 2 * (p - y) * p * (1 - p), rtol=1e-12)
    # A sure and wrong prediction: log-loss pulls with all its force, squared error hardly.
    if y == 1:
        assert abs(line(slopes)[1][0]) > 0.99
        assert abs(line(slopes, 1)[1][0]) < 0.01


def test_loss_curves_name_bad_input():
    with pytest.raises(ValueError, match=r"targets must be probabilities.*1\.5"):
        LossCurveDisplay.from_targets([0.5, 1.5])
    with pytest.raises(ValueError, match="losses must be one of log_loss, squared_error, got"):
        LossCurveDisplay.from_targets(losses=["hinge"])
    with pytest.raises(ValueError, match="response must be one of loss, gradient"):
        LossCurveDisplay.from_targets(response="slope")
    with pytest.raises(ValueError, match="against must be one of proba, logit"):
        LossCurveDisplay.from_targets(against="odds")


def test_losses_of_samples_are_drawn_by_class_and_the_worst_are_named(fitted):
    X, y, _, clf, _ = fitted
    _, ax = plt.subplots()
    display = SampleLossDisplay.from_estimator(clf, X, y, n_worst=4, ax=ax)
    losses = log_loss_samples(y, clf.predict_proba(X))
    assert display.ax_ is ax
    assert_array_equal(display.worst_, np.argsort(-losses)[:4])
    assert [text.get_text() for text in display.texts_] == [str(i) for i in display.worst_]
    where = np.column_stack([y[display.worst_], losses[display.worst_]])
    assert_allclose(display.points_.get_offsets(), where)
    medians = [box.get_ydata()[0] for box in display.boxes_["medians"]]
    assert_allclose(medians, [np.median(losses[y == k]) for k in range(3)])
    names = np.array(["setosa", "versicolor", "virginica"])
    display = SampleLossDisplay.from_predictions(names[y], clf.predict_proba(X))
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == list(names)


def test_losses_of_samples_with_soft_targets_go_by_the_most_probable_class(fitted):
    X, _, Y, _, clf = fitted
    display = SampleLossDisplay.from_estimator(clf, X, Y)
    losses = -(Y * np.log(clf.predict_proba(X))).sum(axis=1)
    medians = [box.get_ydata()[0] for box in display.boxes_["medians"]]
    want = [np.median(losses[Y.argmax(axis=1) == k]) for k in range(3)]
    assert_allclose(medians, want, rtol=1e-12)


def test_convergence_is_the_gap_to_the_minimum(fitted):
    X, y, _, clf, _ = fitted
    display = ConvergenceDisplay.from_estimator(clf)
    best = clf.loss_curve_.min()
    gap = (clf.loss_curve_ - best) / best
    assert_allclose(display.line_.get_ydata(), gap[gap > 0])
    assert_array_equal(display.line_.get_xdata(), np.arange(1, len(gap) + 1)[gap > 0])
    assert display.ax_.get_yscale() == "log"
    _, ax = plt.subplots()
    exact = SoftmaxClassifier(tol=1e-13).fit(X, y).optimize_result_.fun
    timed = ConvergenceDisplay.from_estimator(
        clf, against="time", minimum=min(exact, best), name="L-BFGS", ax=ax
    )
    seconds = timed.line_.get_xdata()
    assert (np.diff(seconds) > 0).all()
    assert seconds[0] > 0
    assert timed.line_.get_label() == "L-BFGS"
    with pytest.raises(ValueError, match=r"minimum is .* which is less"):
        ConvergenceDisplay.from_estimator(clf, minimum=2 * best)


def test_predicted_and_target_probabilities(fitted):
    X, _, Y, _, clf = fitted
    display = TargetProbabilityDisplay.from_estimator(clf, X, Y, n_bins=5)
    p = clf.predict_proba(X)
    for k in range(3):
        order = np.argsort(p[:, k])
        chunks = np.array_split(order, 5)
        x, target = line(display, k)
        assert_allclose(x, [p[rows, k].mean() for rows in chunks], rtol=1e-10)
        assert_allclose(target, [Y[rows, k].mean() for rows in chunks], rtol=1e-10)
        assert_allclose(display.clouds_[k].get_offsets(), np.column_stack([p[:, k], Y[:, k]]))
    perfect = TargetProbabilityDisplay.from_predictions(Y, Y, labels=["a", "b", "c"])
    for k in range(3):
        x, target = line(perfect, k)
        assert_allclose(x, target)
        assert perfect.lines_[k].get_label() == "abc"[k]


def test_predicted_and_target_probabilities_of_labels_and_one_column():
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.9])
    display = TargetProbabilityDisplay.from_predictions(y, p, n_bins=4)
    x, target = line(display, 1)
    assert_allclose(x, [0.1, 0.4, 0.9])
    assert_allclose(target, [0, 0.5, 1])
    x, target = line(display, 0)
    assert_allclose(x, [0.1, 0.6, 0.9])


def test_displays_need_a_fit_and_name_their_extra(monkeypatch, fitted):
    X, y, *_ = fitted
    for display in (SampleLossDisplay, TargetProbabilityDisplay):
        with pytest.raises(ValueError, match="not fitted"):
            display.from_estimator(SoftmaxClassifier(), X, y)
    with pytest.raises(ValueError, match="not fitted"):
        ConvergenceDisplay.from_estimator(SoftmaxClassifier())
    model = LogisticRegression(max_iter=1000).fit(X, y)
    assert len(TargetProbabilityDisplay.from_estimator(model, X, y).lines_) == 3
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'skce\[plot\]'"):
        LossCurveDisplay.from_targets()


@pytest.fixture(scope="module")
def chosen(fitted):
    X, y = fitted[:2]
    return SoftmaxClassifierCV(Cs=6, l1_ratios=[0.0, 1.0]).fit(X, y)


def test_path_of_scores_is_their_mean_with_one_standard_error(chosen):
    display = RegularizationPathDisplay.from_estimator(chosen)
    j = int(chosen.l1_ratio_)
    losses = -chosen.scores_[:, j]
    (curve,) = display.lines_
    assert_array_equal(curve.get_xdata(), chosen.Cs_)
    assert_allclose(curve.get_ydata(), losses.mean(axis=0))
    band = display.band_.get_paths()[0].vertices
    error = losses.std(axis=0, ddof=1) / np.sqrt(5)
    for C, low, high in zip(
        chosen.Cs_, losses.mean(axis=0) - error, losses.mean(axis=0) + error, strict=True
    ):
        ends = band[np.isclose(band[:, 0], C), 1]
        assert_allclose([ends.min(), ends.max()], [low, high])
    marks = [line.get_xdata()[0] for line in display.ax_.lines[1:]]
    assert marks == [chosen.C_, chosen.C_1se_]
    assert "log-loss" in display.ax_.get_ylabel()
    assert display.ax_.get_xscale() == "log"


def test_path_of_coefficients_is_their_mean_over_folds(chosen):
    display = RegularizationPathDisplay.from_estimator(
        chosen, response="coefficients", l1_ratio=1.0
    )
    mean = chosen.coefs_paths_[:, 1, :, :, :4].mean(axis=0)
    drawn = np.array([line.get_ydata() for line in display.lines_]).T
    wanted = mean.reshape(6, -1)
    assert_allclose(drawn, wanted[:, wanted.any(axis=0)])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[:3] == ["0", "1", "2"]


def test_path_of_two_classes_names_features():
    X, y = load_iris(return_X_y=True)
    path = softmax_path(X, y == 2, Cs=4, l1_ratio=1.0)
    display = RegularizationPathDisplay.from_path(path, names=list("abcd"))
    used = path.coefs[:, 0].any(axis=0)
    assert len(display.lines_) == used.sum()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == [name for name, drawn in zip("abcd", used, strict=True) if drawn]


def test_path_of_another_score_has_its_name(fitted):
    X, y = fitted[:2]
    clf = SoftmaxClassifierCV(Cs=[0.1, 1], scoring="accuracy", refit=False).fit(X, y)
    display = RegularizationPathDisplay.from_estimator(clf)
    assert_allclose(display.lines_[0].get_ydata(), clf.scores_[:, 0].mean(axis=0))
    assert "accuracy" in display.ax_.get_ylabel()
    assert len(display.ax_.lines) == 1  # without refit nothing is marked


def test_path_of_an_l1_ratio_that_was_not_tried(chosen):
    with pytest.raises(ValueError, match=r"one of l1_ratios_, \[0.0, 1.0\], got 0.3"):
        RegularizationPathDisplay.from_estimator(chosen, l1_ratio=0.3)


ARRAYS = {"losses": np.ones(4), "codes": [0, 1, 1, 0], "classes": ["a", "b"]}
BOTH = {"y_true": np.eye(2), "y_proba": np.eye(2), "classes": ["a", "b"]}
PATH = {"Cs": [0.1, 1.0], "coefs": np.ones((2, 1, 3))}


@pytest.mark.parametrize(
    ("make", "valid", "bad", "message"),
    [
        (LossCurveDisplay.from_targets, {}, {"targets": 1}, r"targets must have shape \(any\)"),
        (LossCurveDisplay.from_targets, {}, {"targets": ["a"]}, "targets must hold numbers"),
        (LossCurveDisplay.from_targets, {}, {"losses": "log_loss"}, "losses must be a list"),
        (LossCurveDisplay.from_targets, {}, {"n_points": 2.5}, "n_points must be an integer"),
        (LossCurveDisplay.from_targets, {}, {"ax": "here"}, "ax must be matplotlib Axes"),
        (SampleLossDisplay, ARRAYS, {"losses": [np.nan] * 4}, "losses must be finite"),
        (SampleLossDisplay, ARRAYS, {"codes": [0, 1, 2, 0]}, "codes must be positions"),
        (SampleLossDisplay, ARRAYS, {"codes": [0, 1]}, r"codes must have shape \(4\)"),
        (SampleLossDisplay, ARRAYS, {"n_worst": None}, "n_worst must be an integer"),
        (SampleLossDisplay, ARRAYS, {"classes": 2}, "classes must be a list"),
        (TargetProbabilityDisplay, BOTH, {"n_bins": 10**400}, "n_bins must be an integer"),
        (
            TargetProbabilityDisplay,
            BOTH,
            {"y_proba": np.eye(3)},
            r"y_proba must have shape \(2, 2\)",
        ),
        (RegularizationPathDisplay, PATH, {"Cs": [-1, 1]}, "Cs must hold positive numbers"),
        (RegularizationPathDisplay, PATH, {"scores": [[1, 2]]}, "either coefs or scores"),
        (RegularizationPathDisplay, PATH, {"names": ["a"]}, "names must hold 3 names"),
        (RegularizationPathDisplay, PATH, {"names": 3}, "names must be a sequence of names"),
        (RegularizationPathDisplay, PATH, {"marked": [1]}, "marked must be a dict"),
        (RegularizationPathDisplay, PATH, {"score_name": 1}, "score_name must be a string"),
        (RegularizationPathDisplay.from_path, {}, {"path": None}, "what softmax_path returned"),
        (ConvergenceDisplay, {"x": [1], "gap": [0.1]}, {"against": "units"}, "against must be"),
        (ConvergenceDisplay.from_estimator, {}, {"estimator": None}, "must be an estimator"),
        (
            ConvergenceDisplay.from_estimator,
            {},
            {"estimator": LogisticRegression().fit([[0], [1]], [0, 1])},
            "must have loss_curve_, but LogisticRegression has not",
        ),
    ],
)
def test_bad_arguments_of_displays_are_named(make, valid, bad, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make(**{**valid, **bad})


@pytest.mark.parametrize("minimum", [0, -np.inf, np.nan, -1.0])
def test_a_gap_is_relative_to_a_positive_minimum(minimum, fitted):
    with pytest.raises(ValueError, match="minimum, which must be positive and finite"):
        ConvergenceDisplay.from_estimator(fitted[3], minimum=minimum)
