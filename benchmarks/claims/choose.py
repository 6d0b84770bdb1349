"""`SoftmaxClassifierCV()` with defaults, beside `LogisticRegressionCV()` and a wide grid of C."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from ..worker import launch
from ._common import DAY

Table = tuple[Any, NDArray]

#: Values of C to compare the search with, on the same folds.
_WIDE = np.logspace(-8, 8, 65)
#: Number of fits of each. The shortest time counts.
_REPEATS = 5
#: Fits with more seconds of processor time than this are not repeated.
_LONG = 2.0


def _shipped(name: str, *, scaled: bool = False) -> Table:
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return (StandardScaler().fit_transform(X) if scaled else X), y


def _exercise() -> Table:
    """Whether the waist of 20 men is above the median, by three exercises."""
    X, Y = datasets.load_linnerud(return_X_y=True)
    return X, (Y[:, 1] > np.median(Y[:, 1])).astype(int)


def _diabetes() -> Table:
    """Thirds of the progression of a disease, from columns as they were measured."""
    table = datasets.load_diabetes(scaled=False)
    return table.data, np.digitize(table.target, np.quantile(table.target, [1 / 3, 2 / 3]))


def _forest() -> Table:
    """Like forest cover: measurements in their units, one of four areas and one of forty soils."""
    rng, n = np.random.default_rng(0), 4000
    measured = rng.normal(size=(n, 10)) @ rng.normal(size=(10, 10)) * 0.5
    area = np.eye(4)[rng.integers(4, size=n)]
    soil = np.eye(40)[rng.choice(40, size=n, p=rng.dirichlet(np.full(40, 0.4)))]
    Z = np.hstack([measured, area, soil])
    size = np.repeat([1.0, 0.7, 1.5], [10, 4, 40])
    z = Z @ (rng.normal(size=(54, 7)) * size[:, None]) + [2, 2.7, 0.3, -2, -1, -0.5, -0.2]
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    units = np.array([280, 112, 7.5, 212, 58, 1560, 27, 20, 38, 1320])
    means = np.array([2959, 155, 14, 269, 46, 2350, 212, 223, 142, 1980])
    return np.hstack([measured * units + means, area, soil]), y


def _words() -> Table:
    """Weighted counts of words, sparse."""
    rng, n, p = np.random.default_rng(0), 1500, 4000
    y = rng.integers(5, size=n)
    shares = np.exp(1.5 * rng.normal(size=(5, p)) * (rng.random((5, p)) < 0.05)) / np.arange(
        1, p + 1
    )
    shares /= shares.sum(axis=1, keepdims=True)
    counts = np.array([rng.multinomial(60, shares[k]) for k in y])
    X = np.log1p(counts) * np.log(n / (1 + (counts > 0).sum(axis=0)))
    return sp.csr_array(X / np.linalg.norm(X, axis=1, keepdims=True)), y


def _noise(n: int, p: int, n_classes: int) -> Table:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, p)), rng.integers(n_classes, size=n)


def _units() -> Table:
    """Columns in units from 1e-6 to 1e9."""
    X, y = datasets.make_classification(800, 12, n_informative=6, n_redundant=0, random_state=3)
    return X * np.random.default_rng(0).permutation(np.logspace(-6, 9, 12)), y


def _made(*shape: int, **options: Any) -> Callable[[], Table]:
    return lambda: datasets.make_classification(*shape, **{"random_state": 0, **options})


_TABLES: dict[str, Callable[[], Table]] = {
    **{
        name.replace("_", " ") + ", scaled" * scaled: lambda name=name, scaled=scaled: _shipped(
            name, scaled=scaled
        )
        for name in ("iris", "wine", "breast_cancer", "digits")
        for scaled in (False, True)
    },
    "diabetes, thirds, as measured": _diabetes,
    "linnerud, waist above median": _exercise,
    "make_classification (1000, 20)": _made(1000, 20),
    "make_classification (10 000, 20), 4 classes": _made(10_000, 20, n_informative=10, n_classes=4),
    "make_classification (2000, 30), 20 classes": _made(
        2000, 30, n_informative=20, n_classes=20, n_clusters_per_class=1
    ),
    "make_classification (600, 30), 5 % of a class": _made(
        600, 30, n_informative=8, weights=[0.95], random_state=2
    ),
    "make_classification (100, 500)": _made(100, 500, n_informative=10),
    "make_classification (60, 2000), 3 classes": _made(
        60, 2000, n_informative=5, n_classes=3, random_state=1
    ),
    "make_blobs, apart": lambda: datasets.make_blobs(300, 5, centers=4, random_state=0),
    "make_blobs, overlapping": lambda: datasets.make_blobs(
        300, 5, centers=4, cluster_std=6, random_state=0
    ),
    "make_gaussian_quantiles": lambda: datasets.make_gaussian_quantiles(
        n_samples=600, n_features=6, n_classes=3, random_state=0
    ),
    "make_hastie_10_2": lambda: datasets.make_hastie_10_2(2000, random_state=0),
    "made like forest cover, raw": _forest,
    "made, units from 1e-6 to 1e9": _units,
    "made, words, CSR": _words,
    "noise (500, 30), 3 classes": lambda: _noise(500, 30, 3),
    "noise (60, 200)": lambda: _noise(60, 200, 2),
}


def choose(options: argparse.Namespace) -> str:
    """Measure which C is chosen, and the time that the choice takes."""
    lines = [
        "Both estimators have their default parameters, five stratified folds, one process and "
        "one thread. `LogisticRegressionCV()` tries ten values of C. Seconds are processor time, "
        f"the least of {_REPEATS} runs. The log-loss is the mean over the folds. The column beside "
        f"it says how far it is above the least log-loss over {len(_WIDE)} values of C from "
        f"{_WIDE[0]:g} to {_WIDE[-1]:g}, on the same folds.",
        "",
        "| table | C | values tried | log-loss | above the least | warned of an edge "
        "| SoftmaxClassifierCV(), s | LogisticRegressionCV(), s | ratio |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    names = list(_TABLES)[: 4 if options.quick else None]
    worst, slowest = 0.0, 0.0
    for name in names:
        found = launch("benchmarks.claims.choose:choose_task", threads="one", limit=DAY, name=name)
        if found["status"] != "ok":
            lines.append(f"| {name} | {found['status']} | | | | | | | |")
            continue
        ratio = found["seconds"] / found["theirs"]
        worst = max(worst, 0.0 if found["warned"] else found["above"])
        slowest = max(slowest, ratio)
        lines.append(
            f"| {name} | {found['C']:.2g} | {found['n_Cs']} | {found['loss']:.3g} "
            f"| {100 * found['above']:.2f} % | {found['warned'] or 'no'} "
            f"| {found['seconds']:.3f} | {found['theirs']:.3f} | {ratio:.2f} |"
        )
        print(lines[-1], flush=True)
    lines += [
        "",
        f"On tables without a warning, the log-loss is at most {100 * worst:.1f} % above the least "
        f"one. The largest ratio of the times is {slowest:.2f}.",
    ]
    return "\n".join(lines)


def choose_task(*, name: str, limit: float) -> dict[str, Any]:
    """Fit both, and a wide grid of C on the same folds."""
    from sklearn.linear_model import LogisticRegressionCV

    from skce import SoftmaxClassifierCV

    X, y = _TABLES[name]()
    theirs = LogisticRegressionCV()
    if "use_legacy_attributes" in theirs.get_params():  # changes only names of attributes
        theirs.set_params(use_legacy_attributes=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seconds, model = _least(lambda: SoftmaxClassifierCV().fit(X, y))
    said = {str(warning.message) for warning in caught}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wide = SoftmaxClassifierCV(Cs=_WIDE).fit(X, y)
        their_seconds, _ = _least(lambda: theirs.fit(X, y))
    loss, least = (-one.scores_.mean(axis=0).max() for one in (model, wide))
    edge = "largest" if model.Cs_[-1] == model.C_ else "smallest"
    return {
        "status": "ok",
        "C": model.C_,
        "n_Cs": len(model.Cs_),
        "loss": loss,
        "above": loss / least - 1,
        "warned": edge if any("The best C" in message for message in said) else "",
        "seconds": seconds,
        "theirs": their_seconds,
    }


def _least(fit: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least processor time of a few calls, and the result of the last one."""
    fit()
    times: list[float] = []
    while not times or (len(times) < _REPEATS and sum(times) < _LONG):
        begin = time.process_time()
        found = fit()
        times.append(time.process_time() - begin)
    return min(times), found
