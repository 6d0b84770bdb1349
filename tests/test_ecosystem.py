"""Every row of the page "Works with", with the real library. Tests are skipped without it."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import OptimizeResult
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import RocCurveDisplay, log_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skce import SoftmaxClassifier, SoftmaxClassifierCV

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

X, CODES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[CODES]
SOFT = 0.5 * np.eye(3)[CODES] + 0.5 * np.random.default_rng(0).dirichlet([1, 1, 1], size=150)
SEVERAL = np.column_stack([CODES == 1, CODES == 2, CODES >= 1]).astype(int)

#: A fit of every form.
FORMS = {
    "codes": (SoftmaxClassifier(), CODES),
    "strings": (SoftmaxClassifier(), NAMES),
    "whole floats": (SoftmaxClassifier(), CODES.astype(float)),
    "probabilities": (SoftmaxClassifier(), SOFT),
    "two classes": (SoftmaxClassifier(), NAMES == "virginica"),
    "two strings": (SoftmaxClassifier(), np.where(CODES == 2, "yes", "no")),
    "probability of one": (SoftmaxClassifier(loss="binary"), SOFT[:, 0]),
    "two classes, categorical": (SoftmaxClassifier(loss="categorical"), (CODES == 2) * 1),
    "one-vs-rest": (SoftmaxClassifier(loss="binary"), CODES),
    "multilabel": (SoftmaxClassifier(loss="binary"), SEVERAL),
    "probabilities of labels": (SoftmaxClassifier(loss="binary"), 0.9 * SOFT),
    "no intercept": (SoftmaxClassifier(fit_intercept=False), CODES),
    "chosen C": (SoftmaxClassifierCV(Cs=3), NAMES),
}
#: Warnings of libraries that are not about this package.
OTHERS = pytest.mark.filterwarnings("ignore")
KINDS = pytest.mark.parametrize("form", FORMS)


@pytest.fixture(params=FORMS)
def fitted(request):
    model, y = FORMS[request.param]
    return clone(model).fit(X, y), y


def same(one, other):
    assert_array_equal(one.predict(X), other.predict(X))
    assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert one.optimize_result_.fun == other.optimize_result_.fun


# ------------------------------------------------------------------------------------- saving
def test_a_fit_holds_nothing_of_scipy(fitted):
    model, _ = fitted
    assert isinstance(model.optimize_result_, OptimizeResult)
    kept = vars(model)["optimize_result_"]
    assert type(kept) is dict
    assert {type(value) for value in kept.values()} <= {np.ndarray, float, int, bool, str}
    assert {type(value).__module__.partition(".")[0] for value in vars(model).values()} <= {
        "builtins",
        "numpy",
    }


def test_pickle_cloudpickle_and_joblib(fitted, tmp_path):
    cloudpickle, joblib = pytest.importorskip("cloudpickle"), pytest.importorskip("joblib")
    model, _ = fitted
    same(pickle.loads(pickle.dumps(model)), model)
    same(pickle.loads(cloudpickle.dumps(model)), model)
    joblib.dump(model, tmp_path / "model")
    same(joblib.load(tmp_path / "model"), model)
    check_is_fitted(model)
    assert not hasattr(clone(model), "optimize_result_")


def test_skops(fitted):
    io = pytest.importorskip("skops.io")
    model, _ = fitted
    saved = io.dumps(make_pipeline(StandardScaler(), model))
    own = f"{type(model).__module__}.{type(model).__name__}"
    assert io.get_untrusted_types(data=saved) == [own]
    same(io.loads(saved, trusted=[own])[-1], model)
    assert io.get_untrusted_types(data=io.dumps(model.to_sklearn())) == []


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)  # artifacts are written here
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment("skce")
    yield mlflow
    mlflow.sklearn.autolog(disable=True)


@OTHERS
def test_mlflow_saves_a_model(mlflow, tmp_path):
    model = SoftmaxClassifier().fit(X, SOFT)
    trusted = ["skce._classifier.SoftmaxClassifier"]
    mlflow.sklearn.save_model(model, str(tmp_path / "own"), skops_trusted_types=trusted)
    same(mlflow.sklearn.load_model(str(tmp_path / "own")), model)
    mlflow.sklearn.save_model(model.to_sklearn(), str(tmp_path / "scikit-learn"))
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(model, name="own", skops_trusted_types=trusted)
    same(mlflow.sklearn.load_model(logged.model_uri), model)
    loaded = mlflow.sklearn.load_model(str(tmp_path / "scikit-learn"))
    assert_allclose(loaded.predict_proba(X), model.predict_proba(X), rtol=1e-12)


@OTHERS
@pytest.mark.parametrize(
    ("model", "name"),
    [
        (make_pipeline(StandardScaler(), SoftmaxClassifier(C=0.5)), "softmaxclassifier__C"),
        (GridSearchCV(SoftmaxClassifier(), {"C": [0.5]}), "best_C"),
    ],
)
def test_mlflow_autolog_sees_fits_in_pipelines_and_searches(mlflow, model, name):
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run() as run:
        model.fit(X, CODES)
    logged = mlflow.get_run(run.info.run_id).data
    assert logged.params[name] == "0.5"
    wanted = log_loss(CODES, model.predict_proba(X))
    assert logged.metrics["training_log_loss"] == pytest.approx(wanted)


@OTHERS
def test_mlflow_autolog_does_not_see_a_bare_fit(mlflow):
    mlflow.sklearn.autolog(log_models=False)
    with mlflow.start_run() as run:
        SoftmaxClassifier().fit(X, CODES)
    assert mlflow.get_run(run.info.run_id).data.params == {}  # as the page says


# --------------------------------------------------------------------------------------- ONNX
def run_onnx(model, X, **options):
    """Return the outputs of onnxruntime for X, by the default names of skl2onnx."""
    runtime, skl2onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("skl2onnx")
    options = {id(model): {"zipmap": False, **options}}
    graph = skl2onnx.to_onnx(model, X[:1], options=options)
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


def agrees_in_onnx(model, X, tolerance):
    labels, probabilities = run_onnx(model, X)
    assert_array_equal(labels, model.predict(X))
    assert_allclose(probabilities, model.predict_proba(X), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("scaled", [False, True])
@KINDS
def test_onnx_predicts_the_same(form, scaled, dtype, tolerance):
    model, y = FORMS[form]
    model = make_pipeline(StandardScaler(), clone(model)) if scaled else clone(model)
    model.fit(X.astype(dtype), y)
    agrees_in_onnx(model, X.astype(dtype), tolerance)
    far = X[::10].astype(dtype) * 1000  # exp of their logits is 0 or infinite
    agrees_in_onnx(model, far, tolerance)


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(SoftmaxClassifier(), {"C": [0.1, 1]}),
        CalibratedClassifierCV(SoftmaxClassifier(), cv=3),
        BaggingClassifier(SoftmaxClassifier(), 3, random_state=0),
        StackingClassifier(
            [("one", SoftmaxClassifier()), ("two", SoftmaxClassifier(C=0.1))],
            final_estimator=SoftmaxClassifier(),
        ),
        VotingClassifier(
            [("weak", SoftmaxClassifier(C=0.1)), ("strong", SoftmaxClassifier())],
            voting="soft",
            flatten_transform=False,
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_onnx_within_estimators_of_scikit_learn(model):
    agrees_in_onnx(clone(model).fit(X, NAMES), X, 1e-12)


def test_onnx_takes_the_options_of_skl2onnx():
    skl2onnx = pytest.importorskip("skl2onnx")
    model = SoftmaxClassifier().fit(X, NAMES)
    codes, _ = run_onnx(model, X, nocl=True)
    assert_array_equal(model.classes_[codes], model.predict(X))
    assert_allclose(run_onnx(model, X, raw_scores=True)[1], model.decision_function(X))
    by_name = skl2onnx.to_onnx(model, X[:1])
    assert "ZipMap" in [node.op_type for node in by_name.graph.node]
    columns = run_onnx(model, X, zipmap="columns")
    assert_allclose(np.column_stack(columns[1:]), model.predict_proba(X), atol=1e-14)
    assert run_onnx(model, X, output_class_labels=True)[2].tolist() == model.classes_.tolist()
    whole = np.round(X).astype(np.int64)
    assert_allclose(run_onnx(model, whole)[1], model.predict_proba(whole), atol=1e-6)


def test_onnx_of_a_fit_on_dask():
    da = pytest.importorskip("dask.array")
    from skce import dask

    rows = da.from_array(X, chunks=(50, 4)), da.from_array(CODES, chunks=50)
    agrees_in_onnx(dask.SoftmaxClassifier().fit(*rows).to_local(), X, 1e-14)


def test_the_page_runs_as_printed(tmp_path, monkeypatch):
    for library in ("onnxruntime", "skl2onnx", "skops"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parent.parent / "docs" / "guide" / "works_with.md"
    names = {}
    for code in re.findall("```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(code, names)
    same(names["model"], SoftmaxClassifier().fit(X, CODES))
    assert_array_equal(names["label"], names["model"].predict(X))
    assert_allclose(names["probabilities"], names["model"].predict_proba(X), atol=1e-14)


def test_onnx_needs_a_fit():
    with pytest.raises(NotFittedError, match="This SoftmaxClassifier instance is not fitted yet"):
        run_onnx(SoftmaxClassifier(), X)


def test_onnx_refuses_labels_that_it_has_not():
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("skl2onnx")
    names = [0.5, 1.5, 2.5]
    model = SoftmaxClassifier().fit(X, pandas.DataFrame(SOFT, columns=names))
    with pytest.raises(TypeError, match=r"whole numbers or strings, but classes_ are \[0\.5, 1"):
        run_onnx(model, X)


TO_ONNX = "import numpy; X = numpy.eye(4); to_onnx(SoftmaxClassifier().fit(X, [0, 0, 1, 2]), X)"


@pytest.mark.parametrize("first", ["skl2onnx", "skce"])
def test_skl2onnx_is_told_whichever_is_imported_first(first):
    pytest.importorskip("skl2onnx")
    lines = {
        "skl2onnx": "from skl2onnx import to_onnx",
        "skce": "from skce import SoftmaxClassifier",
    }
    code = "; ".join([lines.pop(first), *lines.values(), TO_ONNX])
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("first", ["skl2onnx", "skce"])
def test_converters_are_registered_once_skl2onnx_is_there(first, tmp_path):
    (tmp_path / "skl2onnx.py").write_text(
        "told = []\ndef update_registered_converter(cls, *args, **kwargs): told.append(cls)"
    )
    second = {"skl2onnx": "skce", "skce": "skl2onnx"}[first]
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {first}; import {second}\n"
        "assert skl2onnx.told == [skce.SoftmaxClassifier, skce.SoftmaxClassifierCV], skl2onnx.told"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_is_imported_or_found_without_skl2onnx():
    code = (
        "import sys; sys.modules['x'] = sys; sys.path_importer_cache.clear(); import skce\n"
        "assert 'skl2onnx' not in sys.modules\n"
        "sys.path[:] = []\n"
        "import importlib.util; assert importlib.util.find_spec('skl2onnx') is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------- explanations
def test_shap_explains_logits_and_probabilities(fitted):
    shap = pytest.importorskip("shap")
    model, _ = fitted
    explained = shap.LinearExplainer(model, X)(X[:9])
    logits = X[:9] @ model.coef_.T + model.intercept_
    sums = explained.values.sum(axis=1) + explained.base_values
    assert_allclose(sums.reshape(logits.shape), logits, atol=1e-12)
    explained = shap.Explainer(model.predict_proba, X)(X[:3])
    sums = explained.values.sum(axis=1) + explained.base_values
    assert_allclose(sums, model.predict_proba(X[:3]), atol=1e-12)


def test_eli5_explains_what_to_sklearn_returns(fitted):
    eli5 = pytest.importorskip("eli5")
    model = fitted[0].to_sklearn()
    explained = eli5.explain_prediction(model, X[0])
    decisions = np.atleast_2d(model.decision_function(X[:1]))[0]
    scores = [target.score for target in explained.targets]
    assert_allclose(np.sort(np.abs(scores)), np.sort(np.abs(decisions))[-len(scores) :])
    assert len(eli5.explain_weights(model).targets) == len(decisions)


# ------------------------------------------------------------------- choosing, resampling, data
@pytest.mark.parametrize(
    "around",
    [
        lambda model: GridSearchCV(model, {"C": [0.1, 1]}, scoring="neg_log_loss"),
        lambda model: CalibratedClassifierCV(model, cv=3),
        lambda model: BaggingClassifier(model, 3, random_state=0),
        lambda model: StackingClassifier([("one", model)], final_estimator=model),
        lambda model: VotingClassifier([("one", model)], voting="soft"),
    ],
    ids=["GridSearchCV", "CalibratedClassifierCV", "Bagging", "Stacking", "Voting"],
)
def test_estimators_of_scikit_learn_around_it(around):
    model = around(SoftmaxClassifier()).fit(X, NAMES)
    other = around(LogisticRegression(tol=1e-8, max_iter=10_000)).fit(X, NAMES)
    assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-4)


def test_displays_and_inspection_of_scikit_learn():
    pytest.importorskip("matplotlib").use("agg")
    model, other = (
        cls(**options).fit(X, CODES == 2)
        for cls, options in (
            (SoftmaxClassifier, {}),
            (LogisticRegression, {"tol": 1e-10, "max_iter": 10_000}),
        )
    )
    drawn = [
        CalibrationDisplay.from_estimator(one, X, CODES == 2).prob_pred for one in (model, other)
    ]
    assert_allclose(*drawn, atol=1e-4)
    drawn = [RocCurveDisplay.from_estimator(one, X, CODES == 2).roc_auc for one in (model, other)]
    assert_allclose(*drawn, atol=1e-4)
    changes = [
        permutation_importance(one, X, CODES == 2, scoring="neg_log_loss", random_state=0)
        for one in (model, other)
    ]
    assert_allclose(*[change.importances for change in changes], atol=1e-3)
    averages = [partial_dependence(one, X, [2])["average"] for one in (model, other)]
    assert_allclose(*averages, atol=1e-4)


@OTHERS
def test_dask_ml_searches_and_predicts_in_chunks():
    pytest.importorskip("dask_ml")
    import dask.array as da
    from dask_ml.model_selection import GridSearchCV as DaskSearch
    from dask_ml.wrappers import ParallelPostFit

    folds = KFold(3, shuffle=True, random_state=0)
    grid = {"C": [0.1, 1, 10]}
    found, known = (
        search(SoftmaxClassifier(), grid, cv=folds, scoring="neg_log_loss").fit(X, CODES)
        for search in (DaskSearch, GridSearchCV)
    )
    assert found.best_params_ == known.best_params_
    assert found.best_score_ == pytest.approx(known.best_score_)
    wrapped = ParallelPostFit(SoftmaxClassifier()).fit(X, NAMES)
    lazy = wrapped.predict_proba(da.from_array(X, chunks=(40, 4)))
    assert_allclose(lazy.compute(), wrapped.estimator.predict_proba(X), rtol=1e-12)


def test_imbalanced_learn_resamples_before_a_fit():
    imblearn = pytest.importorskip("imblearn")
    from imblearn.over_sampling import RandomOverSampler

    few = np.r_[0:50, 50:60, 100:110]
    sampler = RandomOverSampler(random_state=0)
    chain = imblearn.pipeline.make_pipeline(sampler, SoftmaxClassifier()).fit(X[few], NAMES[few])
    direct = SoftmaxClassifier().fit(*clone(sampler).fit_resample(X[few], NAMES[few]))
    assert_array_equal(chain.predict_proba(X), direct.predict_proba(X))


def test_optuna_chooses_c():
    optuna = pytest.importorskip("optuna")
    optuna.logging.disable_default_handler()

    def objective(trial):
        C = trial.suggest_float("C", 1e-3, 1e3, log=True)
        return cross_val_score(SoftmaxClassifier(C=C), X, CODES, scoring="neg_log_loss").mean()

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=5)
    assert study.best_value == pytest.approx(
        cross_val_score(
            SoftmaxClassifier(**study.best_params), X, CODES, scoring="neg_log_loss"
        ).mean()
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library):
    frames = pytest.importorskip(library)
    features = {f"x{j}": X[:, j] for j in range(4)}
    targets = dict(zip("cab", SOFT.T, strict=True))
    model = SoftmaxClassifier().fit(frames.DataFrame(features), frames.DataFrame(targets))
    plain = SoftmaxClassifier().fit(X, SOFT[:, [1, 2, 0]])
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.feature_names_in_.tolist() == list(features)
    assert_array_equal(model.predict_proba(frames.DataFrame(features)), plain.predict_proba(X))
