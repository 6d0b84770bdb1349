"""Random problems, each determined by its seed, with their targets folded as plain arrays.

`draw(seed)` and `draw_nearly_equal(seed)` return a `Case`: the arguments of `SoftmaxClassifier`,
and the `Problem` that it should solve. The problem is made by the formulas of the user guide, not
by the code of the package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp
from certificate import LD, Problem
from numpy.typing import NDArray
from scipy.special import softmax

#: Regimes: their share, and ranges of n, p and K (drawn uniformly in their logarithms).
REGIMES = {
    "tiny": (0.42, (4, 60), (1, 12), (2, 5)),
    "small": (0.30, (20, 400), (1, 40), (2, 8)),
    "wide": (0.13, (10, 80), (20, 300), (2, 5)),
    "very wide": (0.04, (15, 150), (300, 3000), (2, 4)),
    "tall": (0.06, (800, 4000), (1, 20), (2, 6)),
    "classes": (0.05, (60, 600), (2, 20), (10, 50)),
}
#: The most coefficients with which bounds are drawn. With more, a dense Hessian of the certificate
#: is too large.
_MOST_BOUNDED = 1200


@dataclass
class Case:
    """The arguments of `SoftmaxClassifier` and of its `fit`, and the problem that they mean."""

    seed: int
    X: Any
    y: NDArray
    sample_weight: NDArray | None
    params: dict
    problem: Problem
    offset: NDArray | None = None
    notes: dict = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of X."""
        return np.dtype(self.X.dtype)

    def describe(self) -> str:
        """Return a line with sizes and parameters."""
        n, p = self.X.shape
        parts = [f"n={n} p={p} outputs={self.problem.T.shape[1]}"]
        parts += [f"{key}={value}" for key, value in self.notes.items()]
        for key, value in self.params.items():
            if isinstance(value, float):
                value = f"{value:.3g}"
            elif isinstance(value, np.ndarray):
                value = f"array{value.shape}"
            elif isinstance(value, tuple):
                shown = (
                    f"array{np.shape(v)}" if np.ndim(v) else "None" if v is None else f"{v:.3g}"
                    for v in value
                )
                value = f"({', '.join(shown)})"
            elif isinstance(value, dict):
                value = "dict"
            parts.append(f"{key}={value}")
        return " ".join(parts)


def draw(seed: int, *, known: bool = False) -> Case:
    """Draw the problem of a seed. With `known` it has an offset, or labels that are missing."""
    more = np.random.default_rng([15, seed])
    r = np.random.default_rng([14, seed])
    names = list(REGIMES)
    regime = names[r.choice(len(names), p=[REGIMES[name][0] for name in names])]
    n, p, K = (_log_integer(r, *bounds) for bounds in REGIMES[regime][1:])
    form = r.choice(
        ["labels", "labels as binary", "soft", "soft binary", "multilabel", "multilabel soft"],
        p=[0.46, 0.10, 0.22, 0.08, 0.08, 0.06],
    )
    if known and more.random() < 0.4:
        form = more.choice(["multilabel", "multilabel soft"])
    dtype = np.float32 if r.random() < 0.3 else np.float64
    notes = {"regime": regime, "form": str(form), "dtype": np.dtype(dtype).name}

    K = max(K, 2)
    B, logits, how = _columns(r, n, p, K)
    strength = float(r.choice([0.0, 0.5, 2.0, 8.0, np.inf], p=[0.15, 0.3, 0.35, 0.1, 0.1]))
    notes["signal"] = strength
    y, T01, loss = _targets(r, form, logits, strength)
    how += _structure(r, B, y if y.ndim == 1 else y.argmax(axis=1))
    X, how_scaled = _scaled(r, B)
    notes["columns"] = "+".join(dict.fromkeys(how + how_scaled)) or "plain"
    if r.random() < 0.1 and n > 6:
        again = r.integers(0, n, size=n // 2)
        X[: len(again)], y[: len(again)], T01[: len(again)] = X[again], y[again], T01[again]
        y, T01 = _two_classes(y, T01, loss)
        notes["repeated"] = len(again)
    X = X.astype(dtype)
    container = r.choice(["C", "F", "csr", "csc"], p=[0.5, 0.1, 0.35, 0.05])
    if (X == 0).mean() > 0.6 and r.random() < 0.5:
        container = "csr"
    notes["as"] = str(container)
    X = {
        "C": np.ascontiguousarray,
        "F": np.asfortranarray,
        "csr": sp.csr_array,
        "csc": sp.csc_array,
    }[container](X)

    params: dict[str, Any] = {"loss": loss}
    s = _sample_weight(r, y, T01, notes)
    gone = np.zeros(T01.shape, bool)
    if known and str(form).startswith("multilabel"):
        gone = _gone(more, T01.shape, s, notes)
    weights = _class_weight(r, y, T01, s, loss, params, gone)
    eps = float(r.choice([0.1, r.random() / 2])) if r.random() < 0.15 else 0.0
    if eps:
        params["label_smoothing"] = eps
    T, M, kind = fold(T01, y.ndim == 1 and T01.shape[1] > 1, loss, s, weights, eps)
    if gone.any():
        T, M, y = np.where(gone, 0, T), np.where(gone, 0, M), np.where(gone, np.nan, y)
    offset = None
    if known and (not gone.any() or more.random() < 0.5):
        offset = _offset(more, T.shape, notes)

    u = r.random()
    params["C"] = 1.0 if u < 0.25 else np.inf if u < 0.35 else float(10 ** r.uniform(-6, 8))
    u = r.random()
    params["l1_ratio"] = 0.0 if u < 0.68 else 1.0 if u < 0.82 else float(r.random())
    outputs = T.shape[1]
    low = high = None
    if r.random() < 0.15 and outputs * p <= _MOST_BOUNDED:
        params["coef_bounds"], low, high = _bounds(r, outputs, p)
    factors = None
    if r.random() < 0.15:
        factors = 10 ** r.uniform(-3, 3, size=p) if r.random() < 0.5 else np.ones(p)
        factors[r.random(p) < r.choice([0.0, 0.2, 0.5])] = 0
        params["penalty_weights"] = factors
    params["fit_intercept"] = bool(r.random() < 0.88)
    params["solver"] = str(r.choice(["auto", "newton-cg", "lbfgs"], p=[0.6, 0.1, 0.3]))
    params["tol"] = float(10 ** r.uniform(-11, -2)) if r.random() < 0.7 else 1e-9
    problem = Problem(
        X,
        T,
        M,
        kind,
        params["C"],
        params["l1_ratio"],
        factors,
        low,
        high,
        params["fit_intercept"],
        offset,
    )
    return Case(seed, X, y, s, params, problem, offset, notes)


def draw_nearly_equal(seed: int) -> Case:
    """Draw a problem with nearly equal columns, in many units, with bounds or an L1 penalty."""
    r = np.random.default_rng([16, seed])
    n, p, K = _log_integer(r, 30, 2000), int(r.integers(2, 12)), int(r.integers(2, 5))
    dtype = np.float32 if r.random() < 0.6 else np.float64
    B = r.normal(size=(n, p))
    for _ in range(int(r.integers(1, p // 2 + 2))):
        j = int(r.integers(p))
        column = B[:, j] * r.choice([-1, 1])
        column = B[:, j] + B[:, (j + 1) % p] if r.random() < 0.3 else column
        distance = 10 ** r.uniform(-8 if dtype == np.float32 else -15, -2)
        B = np.column_stack([B, column + distance * r.normal(size=n)])
    p = B.shape[1]
    B = B[:, r.permutation(p)]
    logits = B @ r.normal(size=(p, K)) * r.choice([0.3, 1.0])
    form = str(r.choice(["soft", "labels"]))
    if form == "soft":
        y = T = 0.7 * softmax(logits, axis=1) + 0.3 * r.dirichlet(np.ones(K), n)
    else:
        y = (logits + r.gumbel(size=logits.shape)).argmax(axis=1)
        y[:K] = np.arange(K)
        T = np.eye(K)[y] if K > 2 else (y == 1)[:, None] * 1.0
    X = B * 10 ** r.uniform(-3, 3, size=p)
    if r.random() < 0.5:
        X += X.std(axis=0) * r.choice([3, 30, 300]) * r.normal(size=p)
    X = X.astype(dtype)
    edges = [(0.0, None), (None, 0.0), (None, 0.1), (-0.1, 0.1)]
    bounds = edges[r.choice(4, p=[0.4, 0.4, 0.1, 0.1])]
    C = float(r.choice([np.inf, 1e10, 1e6, 1e3], p=[0.4, 0.2, 0.2, 0.2]))
    l1_ratio = float(r.choice([0.0, 0.5, 1.0])) if np.isfinite(C) else 0.0
    if l1_ratio and r.random() < 0.3:
        bounds = (None, None)
    tol = float(10 ** r.uniform(-9, -3))
    params = {"C": C, "l1_ratio": l1_ratio, "coef_bounds": bounds, "tol": tol}
    low, high = both_bounds(bounds, (T.shape[1], p))
    kind = "softmax" if T.shape[1] > 1 else "sigmoid"
    problem = Problem(X, T, np.ones((n, 1)), kind, C, l1_ratio, low=low, high=high)
    notes = {"form": form, "dtype": np.dtype(dtype).name}
    return Case(seed, X, y, None, params, problem, notes=notes)


def _gone(
    r: np.random.Generator, shape: tuple[int, int], s: NDArray | None, notes: dict
) -> NDArray:
    """Choose which labels are missing. Each is known in some row with weight."""
    share = float(r.choice([0.0, 0.05, 0.3, 0.7, 0.95]))
    notes["missing"] = share
    gone = r.random(shape) < share
    if r.random() < 0.3:
        gone[: shape[0] // 3] = True
    rows = np.flatnonzero(np.ones(shape[0]) if s is None else s)
    gone[r.choice(rows, shape[1]), np.arange(shape[1])] = False
    return gone


def _offset(r: np.random.Generator, shape: tuple[int, int], notes: dict) -> NDArray:
    """Offsets of sizes from 1e-2 to 1e3: of all rows or some, heavy-tailed, or all equal."""
    kind = str(r.choice(["normal", "some", "heavy", "constant"], p=[0.5, 0.2, 0.2, 0.1]))
    size = float(10 ** r.uniform(-2, 3)) if r.random() < 0.5 else 1.0
    offset = r.normal(size=shape) if kind != "heavy" else r.standard_t(1.5, size=shape)
    if kind == "some":
        offset[r.random(shape[0]) < 0.9] = 0
    elif kind == "constant":
        offset[:] = offset[0]
    notes["offset"] = f"{kind} {size:.2g}"
    return size * offset


def _log_integer(r: np.random.Generator, low: int, high: int) -> int:
    return int(np.floor(np.exp(r.uniform(np.log(low), np.log(high + 1)))))


def _columns(r: np.random.Generator, n: int, p: int, K: int) -> tuple[NDArray, NDArray, list[str]]:
    """Columns before units and offsets are applied, and logits that depend on them."""
    how = []
    B = r.normal(size=(n, p))
    style = r.choice(["normal", "mixed", "text", "heavy"], p=[0.4, 0.35, 0.15, 0.1])
    if style == "text":
        B = (r.random((n, p)) < r.choice([0.02, 0.1, 0.3])).astype(float)
        how.append("words")
    elif style == "heavy":
        B = r.standard_t(1.2, size=(n, p))
        how.append("heavy tails")
    elif style == "mixed":
        for j in range(p):
            kind = r.integers(8)
            if kind == 0:
                B[:, j] = r.random(n) < r.uniform(0.02, 0.5)
            elif kind == 1:
                B[:, j] = r.poisson(2, size=n)
            elif kind == 2:
                B[:, j] = r.lognormal(0, 2, size=n)
            elif kind == 3:
                B[:, j] = r.standard_t(1.5, size=n)
            elif kind == 4:
                B[:, j] = r.integers(0, 5, size=n)
        how.append("mixed")
    deviation = B.std(axis=0)
    deviation[deviation == 0] = 1
    used = min(p, int(r.integers(1, 9)))
    S = ((B - B.mean(axis=0)) / deviation)[:, :used]
    logits = np.clip(S, -5, 5) @ r.normal(size=(used, K)) / np.sqrt(used)
    return B, logits, how


def _targets(
    r: np.random.Generator, form: str, logits: NDArray, strength: float
) -> tuple[NDArray, NDArray, str]:
    """Y as it is passed, its probabilities of shape (n, outputs), and the loss."""
    n, K = logits.shape
    noise = r.gumbel(size=(n, K))
    z = logits if np.isinf(strength) else strength * logits + noise
    codes = z.argmax(axis=1)
    if form.startswith("labels"):
        codes = np.unique(codes, return_inverse=True)[1]
        codes, _ = _two_classes(codes, np.eye(max(codes.max() + 1, 2))[codes], "auto")
        loss = (
            "binary"
            if form == "labels as binary"
            else str(r.choice(["auto", "categorical"], p=[0.75, 0.25]))
        )
        K = codes.max() + 1
        single = K == 2 and loss != "categorical"
        return codes, (codes[:, None] == 1).astype(float) if single else np.eye(K)[codes], loss
    if form == "soft":
        Y = np.exp(z - z.max(axis=1, keepdims=True))
        Y /= Y.sum(axis=1, keepdims=True)
        if r.random() < 0.2:
            Y = r.dirichlet(np.full(K, r.choice([0.1, 1.0, 10.0])), size=n)
        u = r.random()
        if u < 0.4:
            Y = np.round(Y, 4)
        elif u < 0.55:
            Y = np.eye(K)[codes]
        if K > 2 and r.random() < 0.1:
            Y[:, -1] = 0
        bad = np.abs(Y.sum(axis=1) - 1) > 9e-5
        Y[bad] = np.eye(K)[codes[bad]] if K < 3 else np.eye(K)[np.minimum(codes[bad], K - 2)]
        if (Y.max(axis=0) > 0).sum() < 2:
            Y[0] = 0
            Y[0, :2] = 0.5
        return Y, Y.copy(), "auto"
    q = 1 / (1 + np.exp(-np.clip(z - z.mean(axis=1, keepdims=True), -50, 50)))
    if form == "soft binary":
        y = np.round(q[:, 0], int(r.choice([2, 4, 16])))
        y[0] = 0.375  # not a label
        return y, y[:, None].copy(), "binary"
    Y = (q > 0.5).astype(float) if form == "multilabel" else np.round(q, int(r.choice([2, 16])))
    return Y, Y.copy(), "binary"


def _two_classes(y: NDArray, T01: NDArray, loss: str) -> tuple[NDArray, NDArray]:
    """Labels with at least two classes, numbered from 0 (repeated rows may have lost some)."""
    if y.ndim == 2:
        if loss != "binary" and (y.max(axis=0) > 0).sum() < 2:
            y[0] = T01[0] = 0
            y[0, :2] = T01[0, :2] = 0.5
        return y, T01
    if y.dtype.kind == "f":
        y[0] = T01[0] = 0.375
        return y, T01
    if (y == y[0]).all():
        y[: len(y) // 2 + 1] = 0
        y[len(y) // 2 + 1 :] = 1
    y = np.unique(y, return_inverse=True)[1]
    K = y.max() + 1
    single = K == 2 and loss != "categorical"
    return y, (y[:, None] == 1).astype(float) if single else np.eye(K)[y]


def _structure(r: np.random.Generator, B: NDArray, codes: NDArray) -> list[str]:
    """Add difficult columns: constant, equal, collinear, one-hot, separating."""
    n, p = B.shape
    how = []
    if r.random() < 0.55:
        return how
    for _ in range(int(r.integers(1, 4))):
        j = int(r.integers(p))
        kind = r.choice(
            [
                "constant",
                "zero",
                "equal",
                "collinear",
                "one-hot",
                "time",
                "separating",
                "quasi",
                "rare",
                "nearly equal",
            ]
        )
        if kind == "constant":
            B[:, j] = r.choice([1.0, 3.0, 0.1, -1e6])
        elif kind == "zero":
            B[:, j] = 0
        elif kind == "equal" and p > 1:
            B[:, j] = B[:, (j + 1) % p] * r.choice([1.0, -1.0, 2.0, 0.1])
        elif kind == "nearly equal" and p > 1:
            B[:, j] = B[:, (j + 1) % p] * (1 + 10.0 ** r.uniform(-12, -2) * r.normal(size=n))
        elif kind == "collinear" and p > 2:
            others = r.choice(np.delete(np.arange(p), j), size=min(p - 1, 3), replace=False)
            B[:, j] = B[:, others] @ r.normal(size=len(others))
        elif kind == "one-hot" and p > 2:
            width = int(r.integers(2, min(p, 12) + 1))
            B[:, :width] = np.eye(width)[r.integers(0, width, size=n)]
        elif kind == "time":
            B[:, j] = 1.6e9 * (1 + 0.006 * r.normal(size=n))
        elif kind == "separating":
            B[:, j] = (codes == codes[0]) + 0.1 * r.random(n)
        elif kind == "quasi":
            B[:, j] = (codes == codes[0]) & (r.random(n) < 0.3)
        elif kind == "rare":
            B[:, j] = 0
            B[int(r.integers(n)), j] = 1
        else:
            continue
        how.append(str(kind))
    return how


def _scaled(r: np.random.Generator, B: NDArray) -> tuple[NDArray, list[str]]:
    """Units of 10^U(-8, 10) and offsets up to 1e10."""
    p = B.shape[1]
    how = []
    units = r.choice(
        ["none", "common", "each", "each, narrow", "one"], p=[0.35, 0.15, 0.25, 0.15, 0.1]
    )
    X = B.copy()
    if units == "common":
        X *= 10 ** r.uniform(-8, 10)
    elif units == "each":
        X *= 10 ** r.uniform(-8, 10, size=p)
    elif units == "each, narrow":
        X *= 10 ** r.uniform(-3, 4, size=p)
    elif units == "one":
        X[:, r.integers(p)] *= 10 ** r.uniform(-8, 10)
    if units != "none":
        how.append(f"units {units}")
    offsets = r.choice(["none", "relative", "absolute", "some"], p=[0.5, 0.2, 0.15, 0.15])
    if offsets == "relative":
        X += np.abs(X).max(axis=0) * 10 ** r.uniform(0, 6) * r.choice([-1, 1], size=p) * r.random(p)
    elif offsets == "absolute":
        X += 10 ** r.uniform(0, 10) * r.choice([-1, 1], size=p)
    elif offsets == "some":
        some = r.random(p) < 0.3
        X[:, some] += 10 ** r.uniform(0, 10, size=some.sum())
    if offsets != "none":
        how.append(f"offsets {offsets}")
    return X, how


def _sample_weight(r: np.random.Generator, y: NDArray, T01: NDArray, notes: dict) -> NDArray | None:
    u, n = r.random(), len(y)
    if u < 0.65:
        return None
    kinds = {
        "random": lambda: r.random(n) + 0.01,
        "integers": lambda: r.integers(0, 4, size=n).astype(float),
        "spread": lambda: 10 ** r.uniform(-12, 0, size=n),
        "small": lambda: r.random(n) * 1e-10 + 1e-12,
        "large": lambda: r.random(n) * 1e8 + 1,
        "a zero block": lambda: np.where(np.arange(n) < n // 4, 0.0, 1.0),
    }
    kind = str(r.choice(list(kinds)))
    s = kinds[kind]()
    mass = s @ np.column_stack([T01, 1 - T01]) if T01.shape[1] == 1 else s @ T01
    if not s.any() or (mass > 0).sum() < 2:
        return None
    notes["weights"] = kind
    return s


def _class_weight(
    r: np.random.Generator,
    y: NDArray,
    T01: NDArray,
    s: NDArray | None,
    loss: str,
    params: dict,
    gone: NDArray,
) -> Any:
    """None, or factors of the mass of each class, or of (0, 1) for a single output."""
    if r.random() < 0.75:
        return None
    K = T01.shape[1]
    w = np.ones(len(T01), LD) if s is None else s.astype(LD)
    total = w.sum()
    if r.random() < 0.5:
        params["class_weight"] = "balanced"
        if y.ndim == 2 and loss != "binary":
            T01 = T01.astype(LD) / T01.astype(LD).sum(axis=1, keepdims=True)
        mass = w @ T01.astype(LD)
        if y.ndim == 1 and K > 1:
            return _balanced(mass, total, K)
        if loss == "binary" or K == 1:
            mass, total = w @ np.where(gone, 0, T01).astype(LD), w @ (~gone).astype(LD)
            return _balanced(total - mass, total, 2), _balanced(mass, total, 2)
        return _balanced(mass, total, K)
    factors = np.round(10 ** r.uniform(-2, 2, size=max(K, 2)), 6)
    params["class_weight"] = {k: float(factor) for k, factor in enumerate(factors)}
    if K == 1:
        return factors[:1].astype(LD), factors[1:].astype(LD)
    if y.ndim == 2 and loss == "binary":
        return np.ones(K, LD), factors.astype(LD)
    return factors.astype(LD)


def _balanced(mass: NDArray, total: Any, K: int) -> NDArray:
    return np.divide(total, K * mass, out=np.ones_like(mass), where=mass > 0)


def fold(
    Y: NDArray, hard: bool, loss: str, s: NDArray | None, weights: Any, eps: float
) -> tuple[NDArray, NDArray, str]:
    """Target mass (T, M) and the kind of loss, by the formulas of the user guide.

    Parameters
    ----------
    Y : ndarray of shape (n, outputs)
        Probabilities. Two classes with a single output have one column.
    hard : bool
        Whether these are labels of several classes.
    loss : {"auto", "categorical", "binary"}
    s : ndarray of shape (n,), or None
    weights : None, an array of shape (K,), or for outputs a pair (of 0, of 1)
    eps : float
        Label smoothing.
    """
    Y = Y.astype(LD)
    n, K = Y.shape
    s = np.ones(n, LD) if s is None else s.astype(LD)
    eps = LD(eps)
    if K == 1 or (loss == "binary" and not hard):
        t = (1 - eps) * Y + eps / 2
        w0, w1 = (LD(1), LD(1)) if weights is None else weights
        T = s[:, None] * w1 * t
        return T, T + s[:, None] * w0 * (1 - t), "sigmoid"
    if loss == "binary":  # one-vs-rest: a row of class c has weight w_c in every output
        by_row = s if weights is None else s * (Y @ weights)
        M = np.repeat(by_row[:, None], K, axis=1)
        return M * ((1 - eps) * Y + eps / 2), M, "sigmoid"
    if not hard:
        Y = Y / Y.sum(axis=1, keepdims=True)
    T = (1 - eps) * Y + eps / K
    T = s[:, None] * (T if weights is None else T * weights)
    return T, T.sum(axis=1, keepdims=True), "softmax"


def _bounds(r: np.random.Generator, K: int, p: int) -> tuple[tuple, NDArray, NDArray]:
    a, b = 10 ** r.uniform(-3, 1, size=2)
    kind = r.integers(6)
    if kind == 0:
        pair: tuple = (0, None)
    elif kind == 1:
        pair = (-a, b)
    elif kind == 2:
        pair = (None, float(r.choice([b, 0.0, -b])))
    elif kind == 3:
        low = np.where(r.random((K, p)) < 0.5, r.normal(size=(K, p)) - 0.5, -np.inf)
        pair = (
            low,
            np.where(r.random((K, p)) < 0.5, np.maximum(low, -1) + r.random((K, p)), np.inf),
        )
    elif kind == 4:
        low = np.where(r.random(p) < 0.5, -a, -np.inf)
        pair = (low, np.where(r.random(p) < 0.3, np.maximum(low, 0), np.inf))
    else:
        pair = (float(a), float(a + b))
    return pair, *both_bounds(pair, (K, p))


def both_bounds(pair: tuple, shape: tuple[int, int]) -> tuple[NDArray, NDArray]:
    """Return the bounds of all coefficients, infinite where there are none."""
    low = np.broadcast_to(-np.inf if pair[0] is None else pair[0], shape).astype(np.float64)
    high = np.broadcast_to(np.inf if pair[1] is None else pair[1], shape).astype(np.float64)
    return low, high
