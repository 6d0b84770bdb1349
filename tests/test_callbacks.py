"""scikit-learn's callbacks see every iteration; before scikit-learn 1.9 there are none."""

from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine

from skce import SoftmaxClassifier, SoftmaxClassifierCV, log_loss
from skce._threads import threads
from skce.metrics import d2_log_loss_scorer, neg_log_loss_scorer

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

X, y = load_wine(return_X_y=True)
NEW = find_spec("sklearn.callback") is not None
new = pytest.mark.skipif(not NEW, reason="callbacks came with scikit-learn 1.9")


class Recorder:
    """A callback that keeps the log-loss after each iteration, and stops after some iterations."""

    def __init__(self, stop_after=np.inf):
        self.stop_after = stop_after
        self.events, self.losses = [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(f"end {context.task_name}")
        if fitted_estimator is not None and context.task_name == "iteration":
            self.losses.append(log_loss(y, fitted_estimator.predict_proba(X)))
        return len(self.losses) >= self.stop_after

    def teardown(self, estimator, context):
        self.events.append("teardown")


@pytest.mark.skipif(NEW, reason="callbacks came with scikit-learn 1.9")
def test_before_there_were_callbacks_there_is_nothing_to_set():
    assert not hasattr(SoftmaxClassifier().fit(X, y), "set_callbacks")


@new
@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs"])
def test_callbacks_see_the_estimator_of_every_iteration(solver):
    recorder = Recorder()
    clf = SoftmaxClassifier(solver=solver).set_callbacks(recorder).fit(X, y)
    assert len(recorder.losses) == clf.n_iter_[0]
    assert_allclose(recorder.losses[-1], log_loss(y, clf.predict_proba(X)), rtol=1e-12)
    assert recorder.losses[0] > 2 * recorder.losses[-1]
    events = recorder.events
    assert events[:3] == ["setup", "begin fit", "begin iteration"]
    assert events[-3:] == ["end iteration", "end fit", "teardown"]
    assert events.count("begin iteration") == events.count("end iteration")
    plain = SoftmaxClassifier(solver=solver).fit(X, y)
    assert (plain.coef_ == clf.coef_).all()


@new
@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs"])
def test_a_callback_can_end_the_fit(solver):
    recorder = Recorder(stop_after=3)
    clf = SoftmaxClassifier(solver=solver).set_callbacks(recorder).fit(X, y)
    assert clf.n_iter_[0] == 3
    assert not clf.optimize_result_.success
    assert "callback" in clf.optimize_result_.message
    assert clf.predict(X).shape == y.shape


@new
def test_callbacks_are_torn_down_when_fit_fails():
    recorder = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        SoftmaxClassifier().set_callbacks(recorder).fit(X * np.nan, y)
    assert recorder.events == ["setup", "teardown"]


@new
def test_scoring_monitor_and_pipelines_work():
    from sklearn.callback import ScoringMonitor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    monitor = ScoringMonitor(scoring="neg_log_loss")
    clf = SoftmaxClassifier().set_callbacks(monitor)
    make_pipeline(StandardScaler(), clf).fit(X, y)
    assert monitor.get_logs() is not None


@new
@pytest.mark.parametrize("kind", ["labels", "soft", "unsorted columns"])
@pytest.mark.parametrize("weighted", [False, True])
def test_scoring_monitor_takes_our_scorers(kind, weighted):
    pd = pytest.importorskip("pandas")
    from sklearn.callback import ScoringMonitor

    targets = {
        "labels": y,
        "soft": 0.9 * np.eye(3)[y] + 0.1 / 3,
        "unsorted columns": pd.DataFrame(0.9 * np.eye(3)[y] + 0.1 / 3, columns=[*"cab"]),
    }[kind]
    weights = np.linspace(0.5, 2, len(y)) if weighted else None
    monitor = ScoringMonitor(scoring=neg_log_loss_scorer)
    both = ScoringMonitor(scoring={"loss": neg_log_loss_scorer, "d2": d2_log_loss_scorer})
    clf = SoftmaxClassifier().set_callbacks(monitor, both).fit(X, targets, sample_weight=weights)
    scores = [row["score"] for row in monitor.get_logs().data if "score" in row]
    last = neg_log_loss_scorer(clf, X, targets, sample_weight=weights)
    assert len(scores) >= clf.n_iter_[0]
    assert_allclose(max(scores), last, rtol=1e-3)
    row = both.get_logs().data[0]
    assert row["loss"] == scores[0]
    assert np.isfinite(row["d2"])


@new
def test_scoring_monitor_scores_with_the_offset():
    from sklearn.callback import ScoringMonitor

    offset = 3 * np.random.default_rng(0).normal(size=(len(y), 3))
    monitor = ScoringMonitor(scoring=neg_log_loss_scorer)
    clf = SoftmaxClassifier().set_callbacks(monitor).fit(X, y, offset=offset)
    scores = [row["score"] for row in monitor.get_logs().data if "score" in row]
    assert_allclose(max(scores), neg_log_loss_scorer(clf, X, y, offset=offset), rtol=1e-3)
    assert abs(max(scores) - neg_log_loss_scorer(clf, X, y)) > 0.1


class Raises:
    """A callback that raises an error in a given hook, the n-th time that it is called."""

    def __init__(self, where, error, n=1):
        self.where, self.error, self.n = where, error, n
        self.events = []

    def _come_to(self, where):
        self.events.append(where)
        if self.events.count(self.where) == self.n and where == self.where:
            raise self.error

    def setup(self, estimator, context):
        self._come_to("setup")

    def on_fit_task_begin(self, estimator, context):
        self._come_to(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context):
        self._come_to(f"end {context.task_name}")

    def teardown(self, estimator, context):
        self.events.append("teardown")


@new
@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "lbfgs"}, {"l1_ratio": 1.0}],
    ids=["newton-cg", "lbfgs", "l1"],
)
@pytest.mark.parametrize(
    ("where", "n"),
    [
        ("setup", 1),
        ("begin fit", 1),
        ("begin iteration", 1),
        ("begin iteration", 2),
        ("end iteration", 3),
        ("end fit", 1),
    ],
)
@pytest.mark.parametrize("kind", [StopIteration, GeneratorExit, KeyboardInterrupt, ValueError])
def test_what_a_callback_raises_comes_out_of_fit_and_leaves_nothing(kind, where, n, parameters):
    clf = SoftmaxClassifier(**parameters).fit(X, y)
    error = kind("mine")
    callback = Raises(where, error, n)
    clf.set_callbacks(callback)
    before = vars(clf).copy()
    with pytest.raises(kind) as raised:
        clf.fit(X, y)
    assert raised.value is error
    assert error.__cause__ is None
    assert vars(clf) == before
    assert callback.events.count("teardown") == 1
    assert callback.events[-2:] == [where, "teardown"]
    assert (threads.depth, threads._inside) == (0, 0)
    clf.set_callbacks().fit(X, y)
    assert_array_equal(clf.coef_, before["coef_"])


@new
def test_an_estimator_may_be_fitted_in_a_callback():
    depths = []

    class Fits(Raises):
        def on_fit_task_end(self, estimator, context):
            SoftmaxClassifier(tol=0.1).fit(X, y)
            depths.append(threads.depth)

    plain = SoftmaxClassifier().fit(X, y)
    clf = SoftmaxClassifier().set_callbacks(Fits("nowhere", None)).fit(X, y)
    assert_array_equal(clf.coef_, plain.coef_)
    assert depths[-2:] == [0, 0]
    assert set(depths[:-2]) == {1}


class Tasks:
    """A callback that keeps the tasks that end, with their estimators and their rows."""

    def __init__(self):
        self.begun, self.ended = [], []

    def setup(self, estimator, context):
        self.begun.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.ended.append((context.task_name, context.task_id, len(X), len(y), fitted_estimator))

    def teardown(self, estimator, context):
        self.begun.append("teardown")


@new
@pytest.mark.parametrize("refit", [True, False])
def test_callbacks_see_folds_and_candidates(refit):
    tasks = Tasks()
    clf = SoftmaxClassifierCV(Cs=[0.1, 1], l1_ratios=[0, 0.5], cv=3, refit=refit)
    clf.set_callbacks(tasks).fit(X, y)
    candidates = [f"l1_ratio={share:g}, C={C:g}" for share in (0, 0.5) for C in (0.1, 1)]
    folds = ["fold", *candidates] * 3
    assert tasks.begun == ["setup", "fit", *folds, *["refit"] * refit, "teardown"]
    ended = [name for name, *_ in tasks.ended]
    assert ended == [*[*candidates, "fold"] * 3, *["refit"] * refit, "fit"]
    assert [number for name, number, *_ in tasks.ended if name == "fold"] == [0, 1, 2]
    for name, _, n_rows, n_targets, fitted in tasks.ended:
        assert n_rows == n_targets
        assert (n_rows == len(X)) == (name in ("refit", "fit"))
        if name in candidates or name in ("refit", "fit"):
            assert fitted.score(X, y) > 0.9
    first = next(fitted for name, *_, fitted in tasks.ended if name == candidates[0])
    assert_allclose(first.coef_, clf.coefs_paths_[0, 0, 0, :, :-1], rtol=1e-12)
    plain = SoftmaxClassifierCV(Cs=[0.1, 1], l1_ratios=[0, 0.5], cv=3, refit=refit).fit(X, y)
    assert_array_equal(plain.scores_, clf.scores_)
    assert_array_equal(plain.coef_, clf.coef_)


@new
def test_a_progress_bar_shows_folds(capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    for n_jobs in (1, 2):
        clf = SoftmaxClassifierCV(Cs=[0.1, 1], cv=3, n_jobs=n_jobs)
        clf.set_callbacks(ProgressBar()).fit(X, y)
        shown = capsys.readouterr().out
        assert all(f"fold #{i}" in shown for i in range(3))


@new
def test_callbacks_of_a_choice_are_torn_down_when_fit_fails():
    tasks = Tasks()
    with pytest.raises(ValueError, match="NaN"):
        SoftmaxClassifierCV().set_callbacks(tasks).fit(X * np.nan, y)
    assert tasks.begun == ["setup", "teardown"]


def test_lines_say_which_fold_and_c_they_belong_to(capsys):
    clf = SoftmaxClassifierCV(Cs=[0.1, 1], cv=2, verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    for fold in range(2):
        for i, C in enumerate((0.1, 1)):
            of = [line for line in lines if line.startswith(f"fold {fold}  l1_ratio=0  C={C:g}  ")]
            assert [int(line.split("iteration")[1].split()[0]) for line in of] == list(
                range(1, clf.n_iter_[fold, 0, i] + 1)
            )
    assert sum(line.startswith(f"all rows  C={clf.C_:g}  ") for line in lines) >= 3


@pytest.mark.parametrize("params", [{}, {"solver": "lbfgs"}, {"l1_ratio": 0.5}])
def test_every_iteration_has_a_line_the_last_one_too(params, capsys):
    clf = SoftmaxClassifier(verbose=1, **params).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    numbers = [int(line.split("iteration")[1].split()[0]) for line in lines]
    assert numbers == list(range(1, clf.n_iter_[0] + 1))
