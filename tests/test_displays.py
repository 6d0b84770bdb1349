"""skce.displays: the data that are drawn."""

import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path
from skce.metrics import log_loss_samples

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

import matplotlib.pyplot as plt  # noqa: E402

from skce.displays import (  # noqa: E402
    ConvergenceDisplay,
    LossCurveDisplay,
    RegularizationPathDisplay,
    SampleLossDisplay,
    TargetProbabilityDisplay,
)

#: Some grids here have so few values that the best one is at an end.
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


def names_in_legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


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
    # For a certain and wrong prediction log-loss has its largest gradient, squared error almost 0.
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
    (curve,) = display.lines_  # the curve of the other class is its mirror image
    assert_allclose(curve.get_xdata(), [0.1, 0.4, 0.9])
    assert_allclose(curve.get_ydata(), [0, 0.5, 1])
    assert names_in_legend(display) == ["1"]
    both = TargetProbabilityDisplay.from_predictions(
        np.eye(2)[[0, 1, 1, 0]], np.tile(p, (2, 1)).T, loss="binary"
    )
    assert len(both.lines_) == 2


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
    with pytest.raises(ValueError, match="minimum must be positive and finite"):
        ConvergenceDisplay.from_estimator(fitted[3], minimum=minimum)


# ------------------------------------------------------------- pipelines, labels, names of rows
@pytest.mark.parametrize("around", ["pipeline", "search"])
def test_displays_look_into_pipelines_and_searches(around, fitted):
    X, y = fitted[:2]
    model = make_pipeline(StandardScaler(), SoftmaxClassifier())
    if around == "search":
        model = GridSearchCV(model, {"softmaxclassifier__C": [1.0]})
    model.fit(X, y)
    own = SoftmaxClassifier().fit(StandardScaler().fit_transform(X), y)
    drawn = ConvergenceDisplay.from_estimator(model)
    assert_allclose(drawn.gap, ConvergenceDisplay.from_estimator(own).gap)
    assert drawn.name == "SoftmaxClassifier(solver='auto')"
    losses = SampleLossDisplay.from_estimator(model, X, y).losses
    assert_allclose(losses, log_loss_samples(y, model.predict_proba(X)))
    chain = make_pipeline(StandardScaler(), SoftmaxClassifierCV(Cs=[0.1, 1])).fit(X, y)
    assert RegularizationPathDisplay.from_estimator(chain).scores.shape == (5, 2)


def test_errors_name_the_estimator_that_predicts(fitted):
    X, y = fitted[:2]
    other = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match="loss_curve_, but LogisticRegression has not"):
        ConvergenceDisplay.from_estimator(other)
    with pytest.raises(TypeError, match=r"SoftmaxClassifier has not\. Pass a fitted SoftmaxC"):
        RegularizationPathDisplay.from_estimator(fitted[3])
    unfitted = make_pipeline(StandardScaler(), SoftmaxClassifier())
    with pytest.raises(ValueError, match="not fitted"):
        ConvergenceDisplay.from_estimator(unfitted)


@pytest.fixture(scope="module")
def several(fitted):
    X, y = fitted[:2]
    Y = np.column_stack([y == 0, y == 1, y >= 1]).astype(int)
    return X, Y, SoftmaxClassifier(loss="binary").fit(X, Y)


def binary_losses(Y, p):
    return -Y * np.log(p) - (1 - Y) * np.log(1 - p)


@pytest.mark.parametrize("kind", ["own", "pipeline", "scikit-learn"])
def test_labels_that_hold_together_have_their_own_losses(kind, several):
    X, Y, model = several
    if kind == "pipeline":
        model = make_pipeline(StandardScaler(), SoftmaxClassifier(loss="binary")).fit(X, Y)
    elif kind == "scikit-learn":
        model = OneVsRestClassifier(LogisticRegression(max_iter=1000)).fit(X, Y)
    p = model.predict_proba(X)
    display = SampleLossDisplay.from_estimator(model, X, Y, n_worst=3)
    losses = binary_losses(Y, p)
    assert_allclose(display.losses, losses, rtol=1e-9, atol=1e-12)
    medians = [box.get_ydata()[0] for box in display.boxes_["medians"]]
    assert_allclose(medians, np.median(losses, axis=0), rtol=1e-9)
    worst = np.argsort(-log_loss_samples(Y, p, loss="binary"))[:3]
    assert_array_equal(display.worst_, worst)
    at = losses[worst].argmax(axis=1)
    marks = np.column_stack([at, losses[worst, at]])
    assert_allclose(display.points_.get_offsets(), marks, rtol=1e-9)
    assert display.ax_.get_xlabel() == "label"
    display = TargetProbabilityDisplay.from_estimator(model, X, Y)
    for k in range(3):
        assert_allclose(display.clouds_[k].get_offsets(), np.column_stack([p[:, k], Y[:, k]]))


def test_columns_of_labels_are_matched_by_name(several):
    pandas = pytest.importorskip("pandas")
    X, Y, _ = several
    targets = pandas.DataFrame(Y, columns=["c", "a", "b"])
    model = SoftmaxClassifier(loss="binary").fit(X, targets)
    display = SampleLossDisplay.from_estimator(model, X, targets[["a", "b", "c"]])
    assert list(display.classes) == list(model.classes_)
    assert_allclose(display.losses, binary_losses(Y, model.predict_proba(X)), rtol=1e-9, atol=1e-12)


def test_labels_that_are_not_known_are_in_no_box():
    losses = np.array([[0.1, np.nan], [0.2, 3.0], [np.nan, 0.3], [np.nan, np.nan]])
    display = SampleLossDisplay(losses=losses, classes=["a", "b"], n_worst=2).plot()
    medians = [box.get_ydata()[0] for box in display.boxes_["medians"]]
    assert_allclose(medians, [0.15, 1.65])
    assert display.worst_.tolist() == [1, 2]  # means of what is known: 0.1, 1.6, 0.3, none
    assert_allclose(display.points_.get_offsets(), [[1, 3], [1, 0.3]])


def test_worst_rows_have_the_names_of_the_data_frame(fitted):
    pandas = pytest.importorskip("pandas")
    X, y, *_ = fitted
    names = pandas.Index([f"flower {i}" for i in range(150)])
    frame = pandas.DataFrame(X, index=names, columns=list("abcd"))
    model = SoftmaxClassifier().fit(frame, y)
    display = SampleLossDisplay.from_estimator(model, frame, y)
    wanted = [f"flower {i}" for i in display.worst_]
    assert [text.get_text() for text in display.texts_] == wanted
    p = model.predict_proba(frame)
    for options in ({"y_true": pandas.Series(y, index=names)}, {"y_true": y, "index": names}):
        display = SampleLossDisplay.from_predictions(**options, y_proba=p)
        assert [text.get_text() for text in display.texts_] == wanted
    with pytest.raises(ValueError, match="index must hold 150 names of rows, but holds 149"):
        SampleLossDisplay.from_predictions(y, p, index=names[1:])


@pytest.mark.parametrize("names", [["a"], list("abcdefgh")])
def test_names_of_a_path_are_as_many_as_what_they_name(names, fitted):
    X, y = fitted[:2]
    with pytest.raises(ValueError, match="names must hold 3 names, one for each of the outputs"):
        RegularizationPathDisplay.from_path(softmax_path(X, y, Cs=2), names=names)
    with pytest.raises(ValueError, match="names must hold 4 names, one for each of the features"):
        RegularizationPathDisplay.from_path(softmax_path(X, y == 2, Cs=2), names=names)


# ------------------------------------------------------------------------------ unusual input
def fifty(n=1500):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(50, 0.3), size=n)
    return np.array([rng.choice(50, p=row) for row in p]), p


LONG = [f"a class with a name that goes on and on, {which}" for which in ("first", "2nd", "last")]
MANY = [f"species number {k:02d}" for k in range(50)]


def path_of(names, ax=None):
    coefs = np.random.default_rng(0).normal(size=(6, len(names), 2)).cumsum(axis=0)
    display = RegularizationPathDisplay(
        Cs=np.logspace(-2, 3, 6), coefs=coefs, names=names, marked={"best": 1.0}
    )
    return display.plot(ax)


def targets_of(names, ax=None):
    y, p = fifty()
    y, p = y % len(names), p[:, : len(names)] + 1e-3
    p /= p.sum(axis=1, keepdims=True)
    return TargetProbabilityDisplay.from_predictions(
        0.5 * np.eye(len(names))[y] + 0.5 * p, p, labels=names, ax=ax
    )


def samples_of(names, ax=None):
    y, p = fifty()
    y, p = y % len(names), p[:, : len(names)] + 1e-3
    p /= p.sum(axis=1, keepdims=True)
    return SampleLossDisplay.from_predictions(np.eye(len(names))[y], p, labels=names, ax=ax)


def boxes(artists):
    return [artist.get_window_extent() for artist in artists]


def overlap(one, other):
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return width > 0.5 and height > 0.5


def is_in_order(display):
    """Whether the figure cuts nothing off, and no two texts overlap."""
    figure = display.figure_
    figure.canvas.draw()
    page, axes = figure.bbox, display.ax_.get_window_extent()
    view = display.ax_.get_xlim()
    ticks = [
        text
        for text in display.ax_.get_xticklabels()
        if text.get_text() and view[0] <= text.get_position()[0] <= view[1]
    ]
    texts = [*ticks, display.ax_.xaxis.label, *getattr(display, "texts_", [])]
    legend = display.ax_.get_legend()
    found = boxes(texts) + ([] if legend is None else [legend.get_window_extent()])
    for box in [*found, display.ax_.yaxis.label.get_window_extent()]:
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1
    for i, box in enumerate(boxes(texts)):
        for other in boxes(texts)[:i]:
            assert not overlap(box, other)
    return legend is None or legend.get_window_extent().x0 >= axes.x1 or len(legend.texts) <= 10


@pytest.mark.parametrize(
    "names", [MANY, range(50), LONG, ["a", "b", "c"]], ids=["fifty", "numbers", "long", "short"]
)
@pytest.mark.parametrize("draw", [path_of, targets_of, samples_of])
def test_names_have_room(draw, names):
    assert is_in_order(draw(names))


@pytest.mark.parametrize("layout", ["constrained", None])
@pytest.mark.parametrize("draw", [path_of, targets_of, samples_of])
def test_names_have_room_on_axes_of_the_user(draw, layout):
    _, ax = plt.subplots(layout=layout, figsize=(10, 5))
    assert is_in_order(draw(range(50), ax))
    _, ax = plt.subplots(figsize=(3, 3), layout=layout)
    display = draw(range(50), ax)
    if draw is path_of:  # there is no room for names of classes
        assert names_in_legend(display) == ["best: C = 1"]
    else:
        assert display.ax_.get_legend() is None
    assert ax.get_window_extent().width > 3 * 100 / 2


def test_whole_numbers_that_do_not_fit_are_thinned_out_and_stay_upright():
    ax = samples_of(range(50)).ax_
    labels = ax.get_xticklabels()
    shown = [int(text.get_text()) for text in labels]
    assert shown in ([*range(0, 50, 2)], [*range(0, 50, 5)])  # fonts differ in their width
    boxes = [text.get_window_extent() for text in labels]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert all(text.get_rotation() == 0 for text in labels)
    assert labels[0].get_size() == ax.yaxis.label.get_size()


def in_legend(display, k=0):
    """Whether the legend covers a point of a curve."""
    display.figure_.canvas.draw()
    box = display.ax_.get_legend().get_window_extent()
    x, y = display.ax_.transData.transform(display.ax_.lines[k].get_xydata()).T
    return bool(((box.x0 <= x) & (x <= box.x1) & (box.y0 <= y) & (y <= box.y1)).any())


@pytest.mark.parametrize("response", ["loss", "gradient"])
@pytest.mark.parametrize("against", ["proba", "logit"])
def test_legend_does_not_cover_curves_of_many_points(response, against):
    display = LossCurveDisplay.from_targets(response=response, against=against, n_points=10**6)
    assert not any(in_legend(display, k) for k in range(2))


def test_a_legend_of_one_name_is_in_the_axes(fitted):
    display = ConvergenceDisplay.from_estimator(fitted[3])
    assert display.figure_.get_figwidth() == plt.rcParams["figure.figsize"][0]
    assert not in_legend(display)
    box = display.ax_.get_window_extent()
    assert box.x0 < display.ax_.get_legend().get_window_extent().x1 < box.x1


def test_marked_lines_do_not_shine_through_the_legend():
    assert path_of(["a", "b"]).ax_.get_legend().get_frame().get_alpha() == 1


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_names_of_rows_have_an_outline_in_the_colour_of_the_axes(style, fitted):
    X, y, _, clf, _ = fitted
    with plt.style.context(style):
        display = SampleLossDisplay.from_estimator(clf, X, y)
    for text in display.texts_:
        (outline,) = text.get_path_effects()
        assert outline._gc["foreground"] == display.ax_.get_facecolor()


def test_curves_of_many_classes_look_different_and_are_named():
    for display in (targets_of(MANY), path_of(MANY)):
        looks = {(str(line.get_color()), line.get_linestyle()) for line in display.lines_}
        assert len(looks) == 50
        assert names_in_legend(display)[:50] == MANY
    hundred = targets_of([f"c{k}" for k in range(50)])
    assert len(hundred.lines_) == 50


@pytest.mark.parametrize("names", [["_hidden", "$x$", "100%"], ["$a", "b_{", "line\nbreak"]])
@pytest.mark.parametrize("draw", [path_of, targets_of, samples_of])
def test_names_are_shown_as_they_are(draw, names):
    display = draw(names)
    display.figure_.canvas.draw()
    shown = (
        [text.get_text() for text in display.ax_.get_xticklabels()]
        if draw is samples_of
        else names_in_legend(display)[:3]
    )
    assert [text.strip().replace(r"\$", "$") for text in shown] == [
        name.replace("\n", " ") for name in names
    ]


def test_a_million_rows_are_drawn_by_few_points():
    rng = np.random.default_rng(0)
    losses, codes = rng.exponential(size=10**6), rng.integers(0, 2, 10**6)
    display = SampleLossDisplay(losses=losses, codes=codes, classes=["a", "b"]).plot()
    for k, points in enumerate(display.boxes_["fliers"]):
        drawn = points.get_ydata()
        assert len(drawn) == 2000
        assert drawn.max() == losses[codes == k].max()
    p = rng.uniform(size=10**6)
    display = TargetProbabilityDisplay.from_predictions(p, p)
    assert all(len(cloud.get_offsets()) <= 5000 for cloud in display.clouds_)
    assert is_in_order(LossCurveDisplay.from_targets(n_points=10**6))
    x = np.arange(1, 10**5)
    display = ConvergenceDisplay(x=x, gap=1.0 / x, against="iteration", name="slow").plot()
    assert display.line_.get_marker() == "None"


def test_a_path_of_many_coefficients_draws_the_largest_and_names_what_it_draws():
    coefs = np.random.default_rng(0).normal(size=(4, 3, 5000))
    display = RegularizationPathDisplay(Cs=[1, 2, 3, 4], coefs=coefs, names=list("abc")).plot()
    assert len(display.lines_) == 1000
    size = np.abs(coefs).max(axis=0)
    drawn = [np.abs(line.get_ydata()).max() for line in display.lines_]
    assert_allclose(np.sort(drawn), np.sort(size, axis=None)[-1000:])
    few = np.zeros((4, 1, 5000))
    few[:, 0, [7, 4999]] = [[1, 2]] * 4
    names = [f"word {j}" for j in range(5000)]
    display = RegularizationPathDisplay(Cs=[1, 2, 3, 4], coefs=few, names=names).plot()
    assert names_in_legend(display) == ["word 7", "word 4999"]


def test_a_path_of_two_classes_has_no_mirror_images(fitted):
    X, y = fitted[:2]
    path = softmax_path(X, y == 2, Cs=3, loss="categorical")
    display = RegularizationPathDisplay.from_path(path, names=["other", "virginica"])
    assert_allclose(np.array([line.get_ydata() for line in display.lines_]).T, path.coefs[:, 1])
    assert names_in_legend(display) == ["virginica"]


def test_losses_of_a_good_model_can_be_read_on_a_log_axis():
    losses = np.r_[0, np.logspace(-12, 0, 60)]
    display = SampleLossDisplay(
        losses=losses, codes=np.zeros(61), classes=["a", "b"], scale="log"
    ).plot()
    assert display.ax_.get_yscale() == "log"
    assert display.boxes_["medians"][0].get_ydata()[0] == pytest.approx(np.median(losses))
    low = display.boxes_["whiskers"][0].get_ydata()[1]
    assert low == pytest.approx(1e-12)  # instead of 0, whose logarithm is infinite
    assert 0 < display.ax_.get_ylim()[0] <= 1e-12
    with pytest.raises(ValueError, match="scale must be one of linear, log, got 'symlog'"):
        SampleLossDisplay(losses=losses, codes=np.zeros(61), classes=["a"], scale="symlog")


def test_losses_of_zero_can_be_drawn():
    display = SampleLossDisplay(
        losses=np.zeros(4), codes=[0, 0, 1, 1], classes=["a", "b"], scale="log"
    )
    assert is_in_order(display.plot())


def luminance(color):
    return np.dot(matplotlib.colors.to_rgb(color), [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(
    "style",
    ["dark_background", {"axes.facecolor": "k", "text.color": "w", "axes.labelcolor": "w"}],
    ids=["dark_background", "own"],
)
def test_what_is_drawn_can_be_seen_on_dark_axes(style, fitted):
    X, y, _, clf, _ = fitted
    with plt.style.context(style):
        boxed = SampleLossDisplay.from_estimator(clf, X, y)
        path = path_of(["a", "b"])
        curve = LossCurveDisplay.from_targets(response="gradient")
        targets = targets_of(["a", "b", "c"])
    lines = [line for kind in ("boxes", "whiskers", "caps") for line in boxed.boxes_[kind]]
    for line in [*lines, *path.ax_.lines[-2:], curve.ax_.lines[-1], targets.ax_.lines[0]]:
        assert luminance(line.get_color()) > 0.3
    for points in boxed.boxes_["fliers"]:
        assert luminance(points.get_markeredgecolor()) > 0.3


def test_targets_are_named_with_as_few_digits_as_tell_them_apart():
    display = LossCurveDisplay.from_targets([1 / 11, 0, 2 / 3, 0.25, 0.6701])
    assert [name.partition("y = ")[2] for name in names_in_legend(display)] == [
        "0.091",
        "0",
        "0.667",
        "0.25",
        "0.67",
    ]


@pytest.mark.parametrize("gone", [0.3, 1.0], ids=["some", "all of a label"])
def test_labels_that_are_missing_are_left_out(gone, rng):
    X, Y = rng.normal(size=(200, 4)), rng.integers(0, 2, size=(200, 3)).astype(float)
    Y[rng.random(200) < gone, 1] = np.nan
    known = ~np.isnan(Y[:, 1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Nothing is known", UserWarning)
        clf = SoftmaxClassifier(loss="binary").fit(X, Y)
    display = TargetProbabilityDisplay.from_estimator(clf, X, Y)
    assert len(display.lines_) == 3
    if known.any():
        alone = TargetProbabilityDisplay.from_predictions(
            Y[known], clf.predict_proba(X)[known], loss="binary"
        )
        assert_allclose(display.target_[1], alone.target_[1])
    else:
        assert not len(display.target_[1])
    SampleLossDisplay.from_estimator(clf, X, Y)
