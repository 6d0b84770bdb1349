"""Arrays of other libraries: the optimum of NumPy, results beside X, and errors with a way out."""

import pickle
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import clone, config_context
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

import skce
from skce import SoftmaxClassifier, SoftmaxClassifierCV, metrics, softmax_path
from skce._array_api import Elsewhere, Place, exact_products, place_of, to_numpy
from skce._costs import DEFAULT
from skce._linear_model import LinearModel

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

pytest.importorskip("scipy", minversion="1.14")  # scikit-learn dispatches from there on

#: Names of libraries and devices.
PLACES = ["array_api_strict", "array_api_strict, device1", "torch", "jax.numpy"]


@pytest.fixture(params=PLACES)
def put(request):
    """Give a function that makes arrays of a library, on a device."""
    name, _, device = request.param.partition(", ")
    xp = pytest.importorskip(name)
    where = {"device": xp.Device(device)} if device else {}
    with config_context(array_api_dispatch=True):
        yield lambda values: xp.asarray(np.array(values), **where)


@pytest.fixture
def problem():
    X, y = make_classification(300, 10, n_informative=5, n_redundant=0, n_classes=3, random_state=0)
    return X, y


TARGETS = {
    "labels": lambda y, rng: (y, {}),
    "two classes": lambda y, rng: ((y > 0).astype(int), {}),
    "strings": lambda y, rng: (np.array(["b", "a", "c"])[y], {}),
    "soft": lambda y, rng: (rng.dirichlet(np.ones(3), len(y)), {}),
    "multilabel": lambda y, rng: ((rng.random((len(y), 4)) < 0.4).astype(int), {"loss": "binary"}),
    "missing": lambda y, rng: (
        np.where(rng.random((len(y), 4)) < 0.2, np.nan, rng.random((len(y), 4))),
        {"loss": "binary"},
    ),
    "probability of one": lambda y, rng: (rng.random(len(y)), {"loss": "binary"}),
    "L1, balanced": lambda y, rng: (y, {"l1_ratio": 1.0, "class_weight": "balanced"}),
}


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", TARGETS)
def test_the_optimum_and_the_predictions_are_those_of_numpy(kind, dtype, weighted, put, problem):
    rng = np.random.default_rng(0)
    X, (y, params) = problem[0].astype(dtype), TARGETS[kind](problem[1], rng)
    weights = [rng.uniform(0, 2, len(y))] if weighted else []
    same = SoftmaxClassifier(**params).fit(X, y, *weights)
    given = y if kind == "strings" else put(y)
    there = put(X)
    place = place_of(there)
    double = place_of(there).put(np.zeros(1)).dtype == place.xp.float64
    clf = SoftmaxClassifier(**params).fit(there, given, *map(put, weights))
    if double:
        assert clf.optimize_result_.fun == same.optimize_result_.fun
        assert clf.optimize_result_.passes == same.optimize_result_.passes
    else:  # JAX has rounded its input
        assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-6)
    for name in ("coef_", "intercept_", "n_iter_", *(["classes_"] if kind != "strings" else [])):
        assert place_of(getattr(clf, name)) == place
    tolerance = {"rtol": 1e-10} if double else {"rtol": 1e-4, "atol": 1e-5}
    for name in ("predict_proba", "predict_log_proba", "decision_function", "predict"):
        found, want = getattr(clf, name)(there), getattr(same, name)(X)
        if kind == "strings" and name == "predict":
            assert_array_equal(found, want)
            continue
        assert place_of(found) == place
        assert found.shape == want.shape
        assert_allclose(to_numpy(found), want, **tolerance)
    score = clf.score(there, given, *map(put, weights))
    assert isinstance(score, float)
    assert score == pytest.approx(same.score(X, y, *weights))


def test_rows_elsewhere_are_read_some_at_a_time(put, problem, monkeypatch):
    X, y = problem[0].astype(np.float32), problem[1]
    monkeypatch.setattr(SoftmaxClassifier, "_costs", replace(DEFAULT, part_bytes=4000))
    clf = SoftmaxClassifier(tol=1e-6).fit(put(X), put(y))
    same = SoftmaxClassifier(tol=1e-6).fit(X, y)
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-6)


def test_paths_and_cross_validation(put, problem):
    X, y = problem
    there, given = put(X), put(y)
    place = place_of(there)
    path, same = softmax_path(there, given, Cs=[0.1, 1.0]), softmax_path(X, y, Cs=[0.1, 1.0])
    for found, want in zip(path, same, strict=True):
        assert place_of(found) == place
        assert_allclose(to_numpy(found), want, rtol=1e-3, atol=1e-5)
    clf = SoftmaxClassifierCV(Cs=[0.1, 1.0], cv=3, scoring="accuracy").fit(there, given)
    same = SoftmaxClassifierCV(Cs=[0.1, 1.0], cv=3, scoring="accuracy").fit(X, y)
    assert clf.C_ == same.C_
    assert place_of(clf.coefs_paths_) == place
    assert clf.score(there, given) == pytest.approx(same.score(X, y), abs=0.01)


def test_an_estimator_moves(put, problem):
    X, y = problem
    there = put(X)
    place = place_of(there)
    clf = SoftmaxClassifier().fit(there, put(y))
    for method in ("predict", "predict_proba", "score"):
        with pytest.raises(ValueError, match=rf"{method}\(\) must use the same namespace.*numpy"):
            getattr(clf, method)(X, *([y] if method == "score" else []))
    host = clf.to_namespace(np)
    assert isinstance(host.coef_, np.ndarray)
    assert_array_equal(host.predict(X), to_numpy(clf.predict(there)))
    with pytest.raises(ValueError, match="must use the same namespace"):
        host.predict(there)
    back = host.to_namespace(place.xp, place.device)
    assert place_of(back.coef_) == place
    assert_array_equal(to_numpy(back.predict(there)), host.predict(X))
    assert isinstance(clf.to_sklearn(), LogisticRegression)
    assert_array_equal(clf.to_sklearn().predict(X), host.predict(X))
    again = pickle.loads(pickle.dumps(host)).to_namespace(place.xp, place.device)
    assert_array_equal(to_numpy(again.predict(there)), host.predict(X))
    with config_context(array_api_dispatch=False):
        assert_array_equal(clf.predict(X), host.predict(X))


def test_a_fit_goes_on_from_where_the_last_one_was(put, problem):
    X, y = problem
    clf = SoftmaxClassifier(warm_start=True).fit(put(X), put(y))
    clf.fit(put(X), put(y))
    assert clf.n_iter_[0] <= 1
    clf.fit(X, y)
    assert isinstance(clf.coef_, np.ndarray)


def test_an_error_leaves_the_estimator_as_it_was(put, problem):
    X, y = problem
    clf = SoftmaxClassifier().fit(put(X), put(y))
    before = clf.coef_
    bad = X.copy()
    bad[17, 2] = np.nan
    with pytest.raises(ValueError, match="row 17"):
        clf.fit(put(bad), put(y))
    assert clf.coef_ is before


def test_y_follows_x(put, problem):
    X, y = problem
    for given, of in ((X, put(y)), (put(X), y)):
        clf = SoftmaxClassifier().fit(given, of, put(np.ones(len(y))))
        assert place_of(clf.coef_) == place_of(given)
        assert clf.score(given, of) > 0.5


def test_without_dispatch_what_cannot_be_read_is_an_error(problem):
    strict = pytest.importorskip("array_api_strict")
    X, y = problem
    there = strict.asarray(X, device=strict.Device("device1"))
    with config_context(array_api_dispatch=False):
        with pytest.raises(TypeError, match=r"X .*device"):
            SoftmaxClassifier().fit(there, y)
        assert SoftmaxClassifier().fit(strict.asarray(X), y).score(X, y) > 0.5


def test_bfloat16_and_gradients_of_torch(problem):
    torch = pytest.importorskip("torch")
    X, y = torch.asarray(problem[0], dtype=torch.bfloat16), torch.asarray(problem[1])
    with config_context(array_api_dispatch=True):
        clf = SoftmaxClassifier(tol=1e-6).fit(X, y)
        assert clf.coef_.dtype == torch.float32
        assert clf.score(X, y) > 0.5
        same = SoftmaxClassifier(tol=1e-6).fit(X.float().numpy(), problem[1])
        assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-6)
    asked = X.float().requires_grad_()
    for dispatch in (True, False):
        with config_context(array_api_dispatch=dispatch):
            for args in ((asked, y), (X.float(), y, torch.ones(len(y), requires_grad=True))):
                with pytest.raises(ValueError, match=r"requires gradients.*detach"):
                    SoftmaxClassifier().fit(*args)


class Allocated:
    """Bytes of the tensors of PyTorch, now and at the peak."""

    def __enter__(self):
        from torch.utils._python_dispatch import TorchDispatchMode
        from torch.utils.weak import weakref

        self.now = self.most = 0
        outer, known = self, set()

        class Mode(TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                found = func(*args, **(kwargs or {}))
                for tensor in found if isinstance(found, (tuple, list)) else (found,):
                    if hasattr(tensor, "untyped_storage"):
                        outer.see(tensor.untyped_storage(), known, weakref)
                return found

        self._mode = Mode()
        self._mode.__enter__()
        return self

    def see(self, storage, known, weakref):
        """Count memory that is new."""
        where, size = storage._cdata, storage.nbytes()
        if where in known:
            return
        known.add(where)
        self.now += size
        self.most = max(self.most, self.now)

        def freed():
            known.discard(where)
            self.now -= size

        weakref.finalize(storage, freed)

    def __exit__(self, *error):
        self._mode.__exit__(*error)


@pytest.fixture(params=["torch", "array_api_strict", "jax"])
def on_a_device(request, monkeypatch):
    """Give a function that makes arrays which are on another device, or are treated as if."""
    xp, put = pytest.importorskip(request.param), None
    small = replace(DEFAULT, part_bytes=4000, device_rows=128, worth_device=0, few_bytes=0)
    monkeypatch.setattr(LinearModel, "_costs", small)
    with ExitStack() as stack:
        stack.enter_context(config_context(array_api_dispatch=True))
        if request.param == "torch":
            put = xp.asarray
        elif request.param == "array_api_strict":
            put = partial(xp.asarray, device=xp.Device("device1"))
        else:
            stack.enter_context(xp.enable_x64(True))
            put = xp.numpy.asarray
        if request.param != "array_api_strict":
            monkeypatch.setattr("skce._array_api.is_on_host", lambda _: False)
        yield put


DEVICE_FITS = {
    "labels": ("labels", {}),
    "balanced, smoothed": ("labels", {"class_weight": "balanced", "label_smoothing": 0.1}),
    "two classes": ("two classes", {}),
    "one-vs-rest": ("labels", {"loss": "binary"}),
    "soft": ("soft", {}),
    "multilabel": ("multilabel", {}),
    "L1": ("labels", {"l1_ratio": 1.0, "C": 0.1}),
    "bounds": ("labels", {"coef_bounds": (0, None)}),
    "L-BFGS": ("labels", {"solver": "lbfgs"}),
    "no intercept": ("labels", {"fit_intercept": False}),
    "no penalty": ("soft", {"C": np.inf}),
    "missing": ("missing", {"class_weight": "balanced"}),
    "offset": ("labels", {}),
    "offset, binary": ("multilabel", {}),
}


@pytest.mark.parametrize("far", [0, 1e3], ids=["", "far from zero"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", DEVICE_FITS)
def test_sums_on_a_device_lead_to_the_same_optimum(kind, dtype, far, on_a_device, problem):
    of, params = DEVICE_FITS[kind]
    if far and not params.get("fit_intercept", True):
        pytest.skip("digits are lost without an intercept")
    rng = np.random.default_rng(0)
    X = (problem[0] + far * np.arange(10)).astype(dtype)
    y, more = TARGETS[of](problem[1], rng)
    params = {**params, **more, "tol": 1e-9 if dtype == np.float64 else 1e-5}
    weights = rng.uniform(0, 2, len(y))
    K = y.shape[1] if y.ndim == 2 else 3
    offset = {"offset": rng.normal(size=(len(y), K))} if "offset" in kind else {}
    same = SoftmaxClassifier(**params).fit(X, y, weights, **offset)
    offset = {name: on_a_device(value) for name, value in offset.items()}
    clf = SoftmaxClassifier(**params).fit(*map(on_a_device, (X, y, weights)), **offset)
    proba = clf.predict_proba(on_a_device(X), **offset)
    assert_allclose(
        to_numpy(proba),
        same.predict_proba(X, **{name: to_numpy(value) for name, value in offset.items()}),
        atol=1e-6 if dtype == np.float64 else 1e-2,
    )
    assert isinstance(clf.coef_, type(on_a_device(X)))
    close = 1e-12 if dtype == np.float64 else 1e-6
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=close)
    if kind != "L-BFGS":  # its last line searches depend on rounding
        assert clf.optimize_result_.passes <= 1.05 * same.optimize_result_.passes + 3


def test_rows_stay_on_the_device(on_a_device, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4000, 100)), rng.integers(20, size=4000)
    X[:, :20] += np.eye(20)[y]
    T = 0.9 * np.eye(20)[y] + 0.1 / 20
    clf = SoftmaxClassifier(tol=1e-6).fit(X, T)
    crossed = numbers_that_cross(monkeypatch)
    there = SoftmaxClassifier(tol=1e-6).fit(on_a_device(X), on_a_device(T))
    assert there.optimize_result_.passes > 10
    parameters, covariance = 20 * 101, 100 * 100
    per_pass = sum(crossed) - T.size - 2 * covariance  # targets are looked at, once
    assert per_pass <= 6 * parameters * there.optimize_result_.passes
    assert there.optimize_result_.fun == pytest.approx(clf.optimize_result_.fun, rel=1e-6)
    crossed.clear()
    proba = there.predict_proba(on_a_device(X))
    there.predict(on_a_device(X))
    assert sum(crossed) <= 4 * parameters
    crossed.clear()
    metrics.log_loss(on_a_device(T), proba)
    assert sum(crossed) <= 100


def numbers_that_cross(monkeypatch):
    """Return a list that grows: the number of elements of each array that comes to the host."""
    crossed = []
    whole = skce._array_api._in_host_memory

    def counted(array, compat):
        found = whole(array, compat)
        crossed.append(found.size)
        return found

    monkeypatch.setattr("skce._array_api._in_host_memory", counted)
    return crossed


METRICS = {
    "log_loss": lambda y, p, **options: metrics.log_loss(y, p, **options),
    "samples": lambda y, p, **options: metrics.log_loss_samples(y, p, **options),
    "gradient": lambda y, p, **options: metrics.log_loss_gradient(y, p, **options),
    "logits": lambda y, p, **options: metrics.log_loss_from_logits(y, 9 * p, **options),
    "samples of logits": lambda y, p, **options: metrics.log_loss_samples_from_logits(
        y, 9 * p, **options
    ),
    "gradient of logits": lambda y, p, **options: metrics.log_loss_gradient_from_logits(
        y, 9 * p, **options
    ),
    "d2": lambda y, p, **options: metrics.d2_log_loss_score(y, p, **options),
    "divergence": lambda y, p, **options: metrics.kl_divergence(y, p, **options),
    "entropy": lambda y, p, loss="categorical", sample_weight=None: metrics.entropy(
        y, loss=loss, sample_weight=sample_weight
    ),
    "decomposition": lambda y, p, **options: metrics.log_loss_decomposition(y, p, **options),
}
#: Options that go with labels and matrices.
OPTIONS = {
    "": {},
    "binary": {"loss": "binary"},
    "folded": {"class_weight": "balanced", "label_smoothing": 0.1},
    "folded, binary": {"loss": "binary", "class_weight": "balanced", "label_smoothing": 0.1},
    "weights": {"sample_weight": np.arange(1.0, 701.0)},
}
#: Metrics that lack options.
LACKING = {
    "samples": {"sample_weight"},
    "gradient": {"sample_weight"},
    "samples of logits": {"sample_weight"},
    "gradient of logits": {"sample_weight"},
    "d2": {"class_weight"},
    "divergence": {"class_weight"},
    "entropy": {"class_weight"},
    "decomposition": {"class_weight", "loss"},
}


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("target", ["labels", "matrix", "matrix on the host"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_metrics_on_a_device_are_those_of_numpy(
    metric, options, target, n_classes, second_device, monkeypatch
):
    options = OPTIONS[options]
    if LACKING.get(metric, set()) & options.keys():
        pytest.skip("the metric has no such option")
    rng = np.random.default_rng(0)
    n = 700
    p = rng.dirichlet(np.ones(n_classes), n)
    y = rng.integers(n_classes, size=n) if target == "labels" else rng.dirichlet(p[0] + 0.1, n)
    y = y.round(2) if metric == "entropy" and target != "labels" else y
    if metric == "entropy" and target != "labels":
        y /= y.sum(axis=1, keepdims=True)
    monkeypatch.setattr("skce.metrics._terms._BLOCK_THERE", 600 * n_classes)
    want = METRICS[metric](y, p, **options)
    crossed = numbers_that_cross(monkeypatch)
    given = y if target == "matrix on the host" else second_device(y)
    found = METRICS[metric](given, second_device(p), **options)
    small = n * (2 + 2 * (metric == "decomposition")) + 10 * n_classes
    assert sum(crossed) <= small
    if isinstance(want, np.ndarray):
        assert place_of(found) == place_of(second_device(p))
        found = to_numpy(found)
    assert_allclose(found, want, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("target", "proba", "message"),
    [
        ([0, 1, 1], [[0.5, 0.5], [1.5, -0.5], [0.5, 0.5]], r"Row 1 of y_proba"),
        ([0, 1, 1], [[0.5, 0.5], [np.nan, 0.5], [0.5, 0.5]], r"NaN.*row 1|row 1.*NaN"),
        ([[1, 0], [0.5, 0.2], [0, 1]], [[0.5, 0.5]] * 3, r"row 1 of y_true sums to 0.7"),
        ([[1, 0], [1.5, -0.5], [0, 1]], [[0.5, 0.5]] * 3, r"row 1 of y_true"),
    ],
)
def test_errors_of_metrics_on_a_device_name_the_row(target, proba, message, second_device):
    with pytest.raises(ValueError, match=f"(?is){message}"):
        metrics.log_loss(second_device(np.array(target)), second_device(np.array(proba)))


@pytest.fixture
def second_device():
    """Give a function that makes arrays of array-api-strict, which NumPy cannot read there."""
    strict = pytest.importorskip("array_api_strict")
    with config_context(array_api_dispatch=True):
        yield lambda values: strict.asarray(values, device=strict.Device("device1"))


def test_a_device_without_float64_has_its_sums_made_on_the_host(on_a_device, problem, monkeypatch):
    monkeypatch.setattr("skce._array_api._has_float64", lambda place: False)
    X, y = problem[0].astype(np.float32), problem[1]
    clf = SoftmaxClassifier(tol=1e-6).fit(on_a_device(X), on_a_device(y))
    same = SoftmaxClassifier(tol=1e-6).fit(X, y)
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-6)
    assert_allclose(to_numpy(clf.predict_proba(on_a_device(X))), same.predict_proba(X), atol=1e-4)
    proba = on_a_device(same.predict_proba(X))
    assert metrics.log_loss(on_a_device(y), proba) == metrics.log_loss(y, to_numpy(proba))


@pytest.mark.parametrize("on_a_device", ["torch"], indirect=True)
def test_blocks_are_small_beside_the_free_memory(on_a_device, problem, monkeypatch):
    X, y = problem
    free = 400_000
    monkeypatch.setattr(Elsewhere, "free_bytes", free)
    monkeypatch.setattr(LinearModel, "_costs", DEFAULT)
    X, y = np.tile(X, (20, 1)), np.tile(y, 20)
    with Allocated() as allocated:
        there, given = on_a_device(X), on_a_device(y)
        held = allocated.now
        clf = SoftmaxClassifier().fit(there, given)
    same = SoftmaxClassifier().fit(X, y)
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-9)
    by_row = 5 * 8 * len(y)  # target mass
    parameters = 4 * 8 * 3 * 11
    assert allocated.most - held <= free / 10 + by_row + parameters


def test_the_setting_of_tf32_is_restored():
    torch = pytest.importorskip("torch")
    matmul = torch.backends.cuda.matmul
    place = Place(torch, torch.device("cuda"))
    name = "fp32_precision" if hasattr(matmul, "fp32_precision") else "allow_tf32"
    values = {"fp32_precision": ("none", "ieee", "tf32"), "allow_tf32": (False, True)}[name]
    own = getattr(matmul, name)
    try:
        for before in values:
            setattr(matmul, name, before)
            for rough in (False, True):
                with exact_products(place, rough=rough):
                    assert getattr(matmul, name) == values[-1 if rough else -2]
                assert getattr(matmul, name) == before
    finally:
        setattr(matmul, name, own)


@pytest.mark.parametrize("on_a_device", ["torch", "array_api_strict"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("labels", {}),
        ("labels", {"scoring": "accuracy"}),
        ("labels", {"scoring": "neg_log_loss", "loss": "binary"}),
        ("strings", {"scoring": "balanced_accuracy"}),
        ("soft", {}),
        ("multilabel", {}),
    ],
)
def test_cross_validation_on_a_device(kind, params, on_a_device, problem):
    X, (y, more) = problem[0], TARGETS[kind](problem[1], np.random.default_rng(0))
    model = SoftmaxClassifierCV(Cs=[0.01, 1.0], cv=3, **params, **more)
    given = y if kind == "strings" else on_a_device(y)
    there = on_a_device(X)
    clf = clone(model).fit(there, given)
    same = model.fit(X, y)
    assert clf.C_ == same.C_
    scores = to_numpy(clf.scores_) if not isinstance(clf.scores_, dict) else clf.scores_
    assert_allclose(scores, same.scores_, rtol=1e-3)
    assert clf.score(there, given) == pytest.approx(same.score(X, y), rel=1e-3)
