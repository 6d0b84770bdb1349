"""Value, gradient and curvature of the losses on one block of logits."""

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skce._losses import LOSSES, AtTemperature
from skce._losses.categorical import log_softmax, softmax
from skce._targets.mass import fold_weights
from skce._targets.meaning import read_targets

mpmath.mp.dps = 50

#: Each form of target on K = 3 classes: y, the loss, and the options that fold into (t, m).
SOFT = [[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0], [1 / 3, 1 / 3, 1 / 3]]
INDICATOR = [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.2, 0.9, 0.5], [1.0, 1.0, 1.0]]
WEIGHTS = {0: 0.5, 1: 2.0, 2: 1.25}
FORMS = {
    "labels": ([0, 1, 2, 1], "categorical", {}),
    "labels, all weights": (
        [0, 1, 2, 1],
        "categorical",
        {"class_weight": WEIGHTS, "label_smoothing": 0.1, "sample_weight": [1.0, 0.5, 2.0, 0.0]},
    ),
    "distributions": (SOFT, "categorical", {}),
    "distributions, all weights": (
        SOFT,
        "categorical",
        {"class_weight": WEIGHTS, "label_smoothing": 0.1, "sample_weight": [1.0, 0.5, 2.0, 3.0]},
    ),
    "two labels": (["b", "a", "b", "b"], "binary", {}),
    "two labels, all weights": (
        ["b", "a", "b", "b"],
        "binary",
        {
            "class_weight": {"a": 0.5, "b": 3.0},
            "label_smoothing": 0.2,
            "sample_weight": [1, 2, 3, 4],
        },
    ),
    "probabilities of class 1": ([1.0, 0.0, 0.3, 0.85], "binary", {}),
    "one-vs-rest": ([0, 1, 2, 1], "binary", {}),
    "one-vs-rest, all weights": (
        [0, 1, 2, 1],
        "binary",
        {"class_weight": WEIGHTS, "label_smoothing": 0.1, "sample_weight": [1.0, 0.5, 2.0, 3.0]},
    ),
    "multilabel": (INDICATOR, "binary", {}),
    "multilabel, all weights": (
        INDICATOR,
        "binary",
        {"class_weight": WEIGHTS, "label_smoothing": 0.1, "sample_weight": [1.0, 0.5, 2.0, 3.0]},
    ),
}


def fold(y, loss, dtype=np.float64, sample_weight=None, class_weight=None, label_smoothing=0.0):
    weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    raw = read_targets(np.asarray(y), loss)
    return fold_weights(raw, weights, class_weight, label_smoothing, dtype)


def blocks(form, dtype=np.float64):
    """The block of all four rows, and its t (K, r) and m (K, r), from their definitions."""
    y, loss, options = FORMS[form]
    targets = fold(y, loss, dtype, **options)
    y = np.asarray(y)
    eps = options.get("label_smoothing", 0.0)
    s = np.asarray(options.get("sample_weight", np.ones(4)), dtype=float)
    weights = options.get("class_weight")
    classes = targets.classes.tolist()
    w = np.ones(len(classes)) if weights is None else np.array([weights[c] for c in classes])
    if targets.form == "softmax":
        Y = y if y.ndim == 2 else (y[:, None] == targets.classes).astype(float)
        t = s[:, None] * w * ((1 - eps) * Y + eps / len(classes))
        m = np.repeat(t.sum(axis=1, keepdims=True), len(classes), axis=1)
    elif targets.form == "one-vs-rest":
        row = (s * w[y])[:, None]
        t = row * ((1 - eps) * (y[:, None] == targets.classes) + eps / 2)
        m = np.repeat(row, len(classes), axis=1)
    else:
        if y.ndim == 2:
            Y, w_0, w_1 = y, np.ones(3), w
        else:
            Y = y.astype(float) if y.dtype.kind == "f" else (y == classes[1]).astype(float)
            Y, w_0, w_1 = Y[:, None], w[:1], w[1:]
        Y = (1 - eps) * Y + eps / 2
        t = s[:, None] * w_1 * Y
        m = t + s[:, None] * w_0 * (1 - Y)
    return targets, targets.block(0, 4), t.T, m.T


def exact(loss, z, t, m):
    """Value per row, gradient and dense Hessian per row with 50 digits, from the definitions."""
    K, r = z.shape
    value, gradient, hessian = [], np.empty((K, r), object), np.empty((K, K, r), object)
    for i in range(r):
        x = [mpmath.mpf(float(v)) for v in z[:, i]]
        T = [mpmath.mpf(float(v)) for v in t[:, i]]
        M = [mpmath.mpf(float(v)) for v in m[:, i]]
        if loss == "categorical":
            mass = sum(T)
            total = sum(mpmath.exp(v) for v in x)
            p = [mpmath.exp(v) / total for v in x]
            value.append(mass * mpmath.log(total) - sum(a * b for a, b in zip(T, x, strict=True)))
            for k in range(K):
                gradient[k, i] = mass * p[k] - T[k]
                for j in range(K):
                    hessian[k, j, i] = mass * p[k] * ((k == j) - p[j])
        else:
            q = [1 / (1 + mpmath.exp(-v)) for v in x]
            value.append(
                sum(M[k] * mpmath.log(1 + mpmath.exp(x[k])) - T[k] * x[k] for k in range(K))
            )
            for k in range(K):
                gradient[k, i] = M[k] * q[k] - T[k]
                for j in range(K):
                    hessian[k, j, i] = M[k] * q[k] * (1 - q[k]) * (k == j)
    return value, gradient, hessian


def logits_for(targets, rng, scale):
    z = rng.uniform(-scale, scale, size=(targets.n_outputs, 4))
    z[:, 0] = 0  # ties and the branch at zero
    return z


def curvature_product(loss, z, v, block):
    """The product from copies, because losses may overwrite their arguments."""
    return loss.curvature_product(loss.curvature(z.copy(), block), v.copy(), block)


@pytest.mark.parametrize("scale", [1, 30, 1000, 1e4])
@pytest.mark.parametrize("form", FORMS)
def test_value_gradient_and_curvature_agree_with_50_digits(form, scale, rng):
    targets, block, t, m = blocks(form)
    loss = LOSSES[targets.loss]
    mpmath.mp.dps = min(50 + int(scale), 400)
    for _ in range(3):
        z = logits_for(targets, rng, scale)
        v = rng.normal(size=z.shape)
        value, gradient, hessian = exact(targets.loss, z, t, m)
        got, got_gradient = loss.value_gradient(z.copy(), block)
        assert_allclose(got, np.array(value, dtype=float), rtol=1e-13, atol=1e-300)
        assert_allclose(got_gradient, gradient.astype(float), rtol=1e-12, atol=2e-15 * m.max())
        product = curvature_product(loss, z, v, block)
        want = np.einsum("kji,ji->ki", hessian.astype(float), v)
        assert_allclose(product, want, rtol=1e-12, atol=2e-15 * m.max())
    mpmath.mp.dps = 50


@pytest.mark.parametrize("form", FORMS)
def test_float32_is_finite_and_as_exact_as_its_digits_at_1e3(form, rng):
    targets, block, t, m = blocks(form, np.float32)
    loss = LOSSES[targets.loss]
    mpmath.mp.dps = 400
    z = logits_for(targets, rng, 1e3).astype(np.float32)
    v = rng.normal(size=z.shape).astype(np.float32)
    value, gradient, _ = exact(targets.loss, z, t, m)
    mpmath.mp.dps = 50
    got, got_gradient = loss.value_gradient(z.copy(), block)
    product = curvature_product(loss, z, v, block)
    assert got.dtype == got_gradient.dtype == product.dtype == np.float32
    assert_allclose(got, np.array(value, dtype=float), rtol=2e-6, atol=1e-37)
    assert_allclose(got_gradient, gradient.astype(float), rtol=1e-5, atol=1e-6 * m.max())
    assert np.isfinite(product).all()


@pytest.mark.parametrize("form", FORMS)
def test_gradient_and_curvature_agree_with_central_differences(form, rng):
    targets, block, _, _ = blocks(form)
    loss = LOSSES[targets.loss]
    z, h = logits_for(targets, rng, 2), 1e-5
    v = rng.normal(size=z.shape)
    high, high_gradient = loss.value_gradient(z + h * v, block)
    low, low_gradient = loss.value_gradient(z - h * v, block)
    gradient = loss.value_gradient(z.copy(), block)[1]
    assert_allclose((gradient * v).sum(axis=0), (high - low) / (2 * h), rtol=1e-6, atol=1e-8)
    product = curvature_product(loss, z, v, block)
    assert_allclose(product, (high_gradient - low_gradient) / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("T", [1.5, 1e3])
@pytest.mark.parametrize("form", FORMS)
def test_a_temperature_smooths_a_loss_from_above(form, T, rng):
    targets, block, _, _ = blocks(form)
    loss = LOSSES[targets.loss]
    smooth = AtTemperature(loss, T)
    z, h = logits_for(targets, rng, 2 * T), 1e-4 * T
    value, gradient = smooth.value_gradient(z.copy(), block)
    exact, at_zero = loss.value_gradient(z.copy(), block)[0], loss.value_gradient(0 * z, block)[0]
    assert (value >= exact).all()
    assert (value <= exact + (T - 1) * at_zero * (1 + 1e-15)).all()
    v = rng.normal(size=z.shape)
    ends = [smooth.value_gradient(z + step * v, block) for step in (h, -h)]
    assert_allclose((gradient * v).sum(axis=0), (ends[0][0] - ends[1][0]) / (2 * h), rtol=1e-6)
    product = curvature_product(smooth, z, v, block)
    assert_allclose(product, (ends[0][1] - ends[1][1]) / (2 * h), rtol=1e-5, atol=1e-9)
    state = smooth.curvature(z.copy(), block)
    A = smooth.curvature_root(state, block)
    H = np.einsum("akr,ajr->kjr", A, A)
    assert_allclose(np.einsum("kjr,jr->kr", H, v), product, rtol=1e-9, atol=1e-12)
    assert_allclose(np.einsum("kkr->kr", H), smooth.curvature_diagonal(state, block), atol=1e-12)
    F = smooth.curvature_between(state, block)
    off = np.zeros_like(H) if F is None else -F[:, None] * F
    np.einsum("kkr->kr", off)[:] = np.einsum("kkr->kr", H)
    assert_allclose(H, off, atol=1e-12)


def test_tiny_losses_keep_their_digits():
    targets = fold([0, 1, 2, 1], "categorical")
    z = np.array([[50.0, 0, 0, 0], [0, 60.0, 0, 700.0], [0, 0, 40.0, 0]])
    value, gradient = LOSSES["categorical"].value_gradient(z, targets.block(0, 4))
    assert_allclose(value, 2 * np.exp([-50.0, -60, -40, -700]), rtol=1e-14)
    assert_allclose(gradient[[0, 1, 2, 1], range(4)], -value, rtol=1e-14)


def test_loss_at_zero_logits_is_log_of_the_number_of_classes():
    for n_classes in (2, 3, 7):
        y = np.arange(n_classes)
        targets = fold(y, "categorical")
        z = np.zeros((n_classes, n_classes))
        value, gradient = LOSSES["categorical"].value_gradient(z, targets.block(0, n_classes))
        assert_allclose(value, np.log(n_classes), rtol=1e-15)
        assert_allclose(gradient, 1 / n_classes - np.eye(n_classes), atol=1e-16)


def test_gradient_is_probability_minus_target(rng):
    z = rng.normal(size=(3, 4))
    _, gradient = LOSSES["categorical"].value_gradient(
        z.copy(), fold(SOFT, "categorical").block(0, 4)
    )
    assert_allclose(gradient, softmax(z) - np.transpose(SOFT), atol=1e-15)


def test_worked_example_of_three_logits():
    # e^2 = 7.389056, e^4 = 54.598150, e^0.5 = 1.648721; sum 63.635927, logarithm 4.153178.
    z = np.tile([[2.0], [4.0], [0.5]], 3)
    value, _ = LOSSES["categorical"].value_gradient(z, fold([0, 1, 2], "categorical").block(0, 3))
    assert_allclose(value, [2.153178, 0.153178, 3.653178], atol=5e-7)


# Made with PyTorch 2.13.0 in float64, reduction="none": CrossEntropyLoss(weight, label_smoothing)
# on labels [0, 1, 2, 1] and on SOFT; BCEWithLogitsLoss(pos_weight), summed over the labels.
TORCH_LOGITS = np.array([[2.0, 4.0, 0.5], [-1.0, 0.25, 3.0], [0.1, -0.2, 0.3], [5.0, -7.0, 1.5]])
TORCH_CE = {
    ("labels", 0.0, None): [2.1531782071222882, 2.8290362014040995, 0.8859393176684558, 12.02975638236662],
    ("labels", 0.0, "w"): [1.0765891035611441, 5.658072402808199, 1.1074241470855697, 24.05951276473324],
    ("labels", 0.1, None): [2.1365115404556216, 2.7790362014040997, 0.9092726510017891, 11.346423049033286],
    ("labels", 0.1, "w"): [1.1672441357619825, 5.352144687702892, 1.1440908137522363, 22.603114369389075],
    ("soft", 0.0, None): [1.9031782071222882, 2.4540362014040995, 0.8859393176684558, 5.196423049033285],
    ("soft", 0.0, "w"): [1.2715309312320024, 3.363614539518393, 1.1074241470855697, 9.495528811291607],
    ("soft", 0.1, None): [1.9115115404556215, 2.4415362014040998, 0.9092726510017891, 5.196423049033285],
    ("soft", 0.1, "w"): [1.3426917806657548, 3.287132610742066, 1.1440908137522365, 9.495528811291607],
}  # fmt: skip
TORCH_MULTILABEL = {
    None: [4.619154923140888, 4.187788458970808, 2.20689077392369, 7.209040092925645],
    "w": [4.674210163664429, 4.187788458970808, 2.930070495918331, 14.256947204630547],
}
TORCH_BINARY = [0.1269280110429725, 0.029750418272620482, 0.7509394198788435, 0.9024756851377306]
TORCH_BINARY_POSITIVE_3 = [
    0.3807840331289175,
    0.029750418272620482,
    1.0965030718061497,
    0.9066843498718723,
]


@pytest.mark.parametrize(("kind", "smoothing", "weight"), TORCH_CE)
def test_categorical_equals_torch(kind, smoothing, weight):
    y = [0, 1, 2, 1] if kind == "labels" else SOFT
    targets = fold(
        y,
        "categorical",
        class_weight=WEIGHTS if weight else None,
        label_smoothing=smoothing,
    )
    value, _ = LOSSES["categorical"].value_gradient(TORCH_LOGITS.T.copy(), targets.block(0, 4))
    assert_allclose(value, TORCH_CE[kind, smoothing, weight], rtol=1e-14)


@pytest.mark.parametrize("weight", TORCH_MULTILABEL)
def test_multilabel_equals_torch(weight):
    targets = fold(INDICATOR, "binary", class_weight=WEIGHTS if weight else None)
    value, _ = LOSSES["binary"].value_gradient(TORCH_LOGITS.T.copy(), targets.block(0, 4))
    assert_allclose(value, TORCH_MULTILABEL[weight], rtol=1e-14)


def test_binary_equals_torch():
    z = np.array([[2.0, -3.5, 0.25, 6.0]])
    y = [1.0, 0.0, 0.3, 0.85]
    for weight, want in ((None, TORCH_BINARY), ({0: 1, 1: 3}, TORCH_BINARY_POSITIVE_3)):
        targets = fold(y, "binary", class_weight=weight)
        value, _ = LOSSES["binary"].value_gradient(z.copy(), targets.block(0, 4))
        assert_allclose(value, want, rtol=1e-14)


def test_softmax_and_its_logarithm_where_one_of_them_rounds():
    z = np.array([[0.0, 1e4, 800.0], [-1.0, -1e4, 0.0], [2.0, 0.0, 0.0]])
    assert_allclose(softmax(z).sum(axis=0), 1, rtol=1e-15)
    log_p = log_softmax(z)
    assert_allclose(log_p[:, 1], [0.0, -2e4, -1e4], rtol=1e-15)
    assert_allclose(np.exp(log_p[:, 0]), softmax(z)[:, 0], rtol=1e-14)
    assert_allclose(log_softmax(np.array([[40.0], [0.0]]))[0], -np.exp(-40.0), rtol=1e-14)
