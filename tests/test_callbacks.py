"""scikit-learn's callbacks see every iteration; before scikit-learn 1.9 there are none."""

from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_wine

from skce import SoftmaxClassifier, log_loss
from skce.metrics import d2_log_loss_scorer, neg_log_loss_scorer

X, y = load_wine(return_X_y=True)
NEW = find_spec("sklearn.callback") is not None
new = pytest.mark.skipif(not NEW, reason="callbacks came with scikit-learn 1.9")


class Recorder:
    """Keeps the log-loss of the estimator after each iteration, and stops after some."""

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
