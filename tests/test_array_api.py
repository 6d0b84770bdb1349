"""Arrays of other libraries: the optimum of NumPy, results where X is, and errors with a way out."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skce import SoftmaxClassifier, SoftmaxClassifierCV, softmax_path
from skce._array_api import Elsewhere, place_of, to_numpy
from skce._costs import DEFAULT
from skce._linear_model import LinearModel

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
    else:  # JAX has rounded what it was given
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


@pytest.fixture
def on_a_device(monkeypatch):
    """Give a function that makes tensors of torch, which count as on another device."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr("skce._array_api.is_on_host", lambda _: False)
    monkeypatch.setattr(LinearModel, "_costs", replace(DEFAULT, part_bytes=4000, device_rows=128))
    with config_context(array_api_dispatch=True):
        yield torch.asarray


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
    params = {**params, **more}
    weights = rng.uniform(0, 2, len(y))
    same = SoftmaxClassifier(**params).fit(X, y, weights)
    clf = SoftmaxClassifier(**params).fit(*map(on_a_device, (X, y, weights)))
    assert isinstance(clf.coef_, type(on_a_device(X)))
    assert clf.optimize_result_.fun == pytest.approx(same.optimize_result_.fun, rel=1e-9)
    assert clf.optimize_result_.passes <= 1.05 * same.optimize_result_.passes + 3


def test_most_sums_are_made_on_the_device(on_a_device, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4000, 100)), rng.integers(20, size=4000)
    X[:, :20] += np.eye(20)[y]
    read = []
    whole = Elsewhere.__getitem__
    monkeypatch.setattr(
        Elsewhere, "__getitem__", lambda self, rows: read.append(rows) or whole(self, rows)
    )
    clf = SoftmaxClassifier(tol=1e-6).fit(on_a_device(X), on_a_device(y))
    n_rows = sum(rows.stop - rows.start for rows in read)
    assert clf.optimize_result_.passes > 10
    assert n_rows <= 6 * len(X)  # to look at it, and for whitening
