"""Measurements behind single claims: ``python -m benchmarks --only NAME``.

`CLAIMS` maps a name to the title of its section and the function that measures and returns the
section, given the options of the command line. What is timed runs in a process of its own, in the
functions called `*_task`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import clone

from .problems import Data, draw_labels, embeddings, problems, raw_table
from .reference import minimum, objective
from .report import draw_growth
from .run import choose_problems, fingerprint, reference_minimum, relative_gap
from .worker import (
    launch,
    load,
    peak_memory,
    repeated,
    save,
    status_kib,
    time_limit,
    timed,
    warm_up,
)

_TOLERANCES = (1e-3, 1e-6, 1e-9)
#: A relative gap that float64 does not tell from zero.
_ROUNDING = 1e-13
#: The minimum counts as known if the reference's decrement is at most this.
_KNOWN = 1e-11
_DAY = 86_400.0


# tol is the relative gap


def promise(options: argparse.Namespace) -> str:
    """Measure gaps against tol, on the problems and on random ones."""
    first, last = options.seeds or (0, 20 if options.quick else 200)
    table = list(_promise_on_problems(options))
    random = list(_promise_on_seeds(range(first, last), options.limit))
    with (options.out / "promise.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*(table + random)[0]])
        writer.writeheader()
        writer.writerows(table + random)
    unknown = [row["problem"] for row in table + random if row["decrement"] > _KNOWN]
    killed = [
        f"{row['problem']} ({row['remark']}; {row['status']})"
        for row in table + random
        if row["status"] != "ok"
    ]
    return "\n\n".join(
        [
            "`SoftmaxClassifier(C=C, tol=tol)`, nothing else set. A fit keeps the promise if its "
            "measured gap is at most tol, or if it warned.",
            _promise_table("problems", table),
            _promise_table(f"random problems, seeds {first} to {last - 1}", random),
            f"Broken: {_listed(_broken(table + random))}.",
            f"Minimum known to less than {_KNOWN:g} only: {_listed(unknown)}.",
            f"No result: {_listed(killed)}.",
        ]
    )


def _promise_on_problems(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for problem in choose_problems(options.problems, options.data, quick=options.quick):
        with tempfile.TemporaryDirectory(dir=options.out) as folder:
            X, y = problem.load()
            save(X, y, Path(folder))
            key = f"{problem.name} {fingerprint(X, y)}"
            del X, y
            known = reference_minimum(options.out, key, folder, problem.C, options.limit)
            for tol in _TOLERANCES:
                result = launch(
                    "benchmarks.claims:promise_task",
                    limit=options.limit,
                    data=folder,
                    C=problem.C,
                    tol=tol,
                )
                yield _promise_row(
                    problem.name, tol, result, known["objective"], known["decrement"]
                )


def _promise_on_seeds(seeds: Iterable[int], limit: float) -> Iterator[dict[str, Any]]:
    for seed in seeds:
        result = launch("benchmarks.claims:seed_task", limit=limit, seed=seed)
        if result["status"] != "ok":
            result["remark"] = random_problem(seed)[-1]
        fits = result.pop("fits", [{}] * len(_TOLERANCES))
        lowest = min([fit["objective"] for fit in fits if fit] + [result.get("minimum", math.inf)])
        for tol, fit in zip(_TOLERANCES, fits, strict=True):
            yield _promise_row(
                f"seed {seed}", tol, result | fit, lowest, result.get("decrement", math.nan)
            )


def _promise_row(
    name: str, tol: float, result: dict[str, Any], lowest: float, decrement: float
) -> dict[str, Any]:
    row = {
        "problem": name,
        "tol": tol,
        "gap": relative_gap(result.get("objective", math.nan), lowest),
        "warned": result.get("warned", False),
        "seconds": result.get("seconds", math.nan),
        "decrement": decrement,
        "status": result["status"],
        "remark": result.get("remark", ""),
    }
    print(
        f"{name:12} tol {tol:.0e}  gap {row['gap']:8.1e}{'  warned' if row['warned'] else ''}"
        f"  {row['seconds']:.3g} s  decrement {decrement:.0e}  {row['status']}  {row['remark']}",
        flush=True,
    )
    return row


def promise_task(*, data: str, C: float, tol: float, limit: float) -> dict[str, Any]:
    """Fit with the defaults and a tolerance."""
    X, y = load(data)
    with time_limit(limit):
        _, result = _fit_and_measure(X, y, C, tol)
    return {"status": "ok", **result}


def seed_task(*, seed: int, limit: float) -> dict[str, Any]:
    """Fit a random problem at every tolerance; the reference goes on from the best of these."""
    X, y, C, words = random_problem(seed)
    with time_limit(limit):
        models, fits = zip(*(_fit_and_measure(X, y, C, tol) for tol in _TOLERANCES), strict=True)
    best = models[int(np.argmin([fit["objective"] for fit in fits]))]
    known = minimum(X, y, C, start=(best.coef_, best.intercept_), limit=limit)
    return {
        "status": "ok",
        "fits": fits,
        "minimum": known.objective,
        "decrement": known.decrement,
        "remark": words,
    }


def _fit_and_measure(X: Any, y: NDArray, C: float, tol: float) -> tuple[Any, dict[str, Any]]:
    start = time.perf_counter()
    model, warned = _fit(X, y, C=C, tol=tol)
    seconds = time.perf_counter() - start
    value = objective(X, y, model.coef_, model.intercept_, C)
    return model, {"objective": value, "warned": warned, "seconds": seconds}


def random_problem(seed: int) -> tuple[NDArray | sp.csr_matrix, NDArray, float, str]:
    """X, targets, C and a description, of any shape, kind and units."""
    rng = np.random.default_rng(seed)
    n, p, K = (
        round(low * (high / low) ** rng.random()) for low, high in [(10, 10_000), (1, 500), (2, 50)]
    )
    C = 10 ** rng.uniform(-3, 6)
    sparse, soft = rng.random(2) < 0.5
    units = rng.choice(["as they are", "one factor", "a factor per column"])
    X = rng.standard_normal((n, p))
    if sparse:
        X *= rng.random((n, p)) < 10 ** rng.uniform(-2, -0.5)
    else:
        X = X @ (np.eye(p) + rng.standard_normal((p, p)) / np.sqrt(p)) + rng.standard_normal(p)
    logits = X @ rng.standard_normal((p, K)) * rng.uniform(0.3, 3) / np.sqrt(p)
    if soft:
        y = np.exp(logits + rng.standard_normal((n, K)))
        y /= y.sum(axis=1, keepdims=True)
    else:
        y = draw_labels(rng, logits)
        y[:2] = 0, 1  # at least two classes
    if units != "as they are":
        X = X * 10 ** rng.uniform(-6, 6, p if units == "a factor per column" else 1)
    words = (
        f"{'sparse' if sparse else 'dense'} ({n}, {p}) {K} classes "
        f"{'probabilities' if soft else 'labels'} C={C:.1e} units {units}"
    )
    return (sp.csr_matrix(X) if sparse else X), y, C, words


def _fit(X: Any, y: NDArray, **parameters: Any) -> tuple[Any, bool]:
    """Return a fitted SoftmaxClassifier, and whether it warned."""
    from sklearn.exceptions import ConvergenceWarning

    from skce import SoftmaxClassifier

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SoftmaxClassifier(**parameters).fit(X, y)
    return model, any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def _promise_table(name: str, rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| {name}, tol | fits | warned | broken | largest gap / tol without a warning |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for tol in _TOLERANCES:
        at = [row for row in rows if row["tol"] == tol]
        quiet = [r["gap"] / tol for r in at if r["status"] == "ok" and not r["warned"]]
        warned = sum(row["warned"] for row in at)
        lines.append(
            f"| {tol:.0e} | {len(at)} | {warned} | {len(_broken(at))} "
            f"| {max(quiet, default=math.nan):.3g} |"
        )
    return "\n".join(lines)


def _broken(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['problem']} (tol {row['tol']:.0e}, gap {row['gap']:.1e}; {row['remark']})"
        for row in rows
        if row["status"] == "ok" and not row["warned"] and not row["gap"] <= row["tol"] + _ROUNDING
    ]


def _listed(words: list[str]) -> str:
    return ", ".join(dict.fromkeys(words)) or "none"


# Memory, and the time of a pass


def memory(options: argparse.Namespace) -> str:
    """Measure memory and passes with a thousand classes."""
    n, p, K = (20_000 if options.quick else 200_000), 256, 1000
    lines = [
        f"X ({n}, {p}) float32, {n * p * 4 / 2**20:.0f} MiB, labels of {K} classes. Three "
        "iterations are enough to see the peak, so `max_iter=3` for both.",
        "",
        "| estimator | MiB added | seconds | passes | seconds per pass |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    products = math.inf
    for name in ("SoftmaxClassifier", "LogisticRegression"):
        result = launch(
            "benchmarks.claims:memory_task", limit=_DAY, estimator=name, shape=[n, p, K]
        )
        products = min(products, result.get("products", math.inf))
        lines.append(
            f"| {name} | {result['memory']:.0f} | {result['seconds']:.1f} | {result['passes']} "
            f"| {result['seconds'] / result['passes']:.2f} |"
            if result["status"] == "ok"
            else f"| {name} | {result['status']} | | | |"
        )
    lines += [
        "",
        f"Two bare matrix products, A X' and R X, the faster of whole and in blocks: "
        f"{products:.2f} s. Passes are `nfev + nhev` of `optimize_result_`, a Hessian product "
        "counting as one; for LogisticRegression its iterations.",
    ]
    return "\n".join(lines)


def memory_task(*, estimator: str, shape: list[int], limit: float) -> dict[str, Any]:
    """Fit three iterations and time the bare products."""
    from sklearn.linear_model import LogisticRegression

    from skce import SoftmaxClassifier

    n, p, K = shape
    X, y = embeddings(n, p, K, "float32")
    model = {"SoftmaxClassifier": SoftmaxClassifier, "LogisticRegression": LogisticRegression}[
        estimator
    ](max_iter=3)
    with warnings.catch_warnings(), peak_memory() as added:
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - start
    return {
        "status": "ok",
        "memory": added["MiB"],
        "seconds": seconds,
        "passes": _passes(model),
        "products": bare_products(X, K),
    }


def bare_products(X: NDArray, K: int) -> float:
    """Seconds of A X' and R X with K rows, the faster of whole and in blocks of some sizes."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((K, X.shape[1])).astype(X.dtype)
    found = []
    for size in (512, 2048, 8192, len(X)):
        if size * K * X.itemsize > 2**31:
            continue
        start = time.perf_counter()
        for begin in range(0, len(X), size):
            block = X[begin : begin + size]
            R = A @ block.T
            R @ block
        found.append(time.perf_counter() - start)
    return min(found)


def _passes(model: Any) -> int:
    report = getattr(model, "optimize_result_", None)
    return report.nfev + report.nhev if report else int(np.max(model.n_iter_))


# Scoring


def scoring(options: argparse.Namespace) -> str:
    """Measure log_loss beside scikit-learn's, and beside passes over the arrays."""
    n, K = (200_000 if options.quick else 10_000_000), 10
    tasks = {
        ("labels", "sklearn.metrics.log_loss"): {"targets": "labels", "by": "sklearn"},
        ("labels", "skce.metrics.log_loss"): {"targets": "labels", "by": "skce"},
        ("probabilities", "skce.metrics.log_loss"): {"targets": "probabilities", "by": "skce"},
        ("probabilities", "two passes over both arrays"): {
            "targets": "probabilities",
            "by": "passes",
        },
    }
    lines = [
        f"y_proba ({n}, {K}) float64, {n * K * 8 / 2**20:.0f} MiB; labels int64, or probabilities "
        "of the same shape. Each in a process of its own, the fastest of three.",
        "",
        "| targets | | seconds | MiB added |",
        "| --- | --- | ---: | ---: |",
    ]
    for (targets, name), task in tasks.items():
        result = launch("benchmarks.claims:scoring_task", limit=_DAY, shape=[n, K], **task)
        lines.append(f"| {targets} | {name} | {result['seconds']:.3f} | {result['memory']:.0f} |")
    lines += [
        "",
        "A pass is `np.add.reduce` of an array in memory, by one thread.",
    ]
    return "\n".join(lines)


def scoring_task(*, targets: str, by: str, shape: list[int], limit: float) -> dict[str, Any]:
    """Score random predictions."""
    from sklearn.metrics import log_loss as theirs

    from skce.metrics import log_loss

    rng = np.random.default_rng(0)
    arrays = []
    for _ in range(2 if targets == "probabilities" else 1):
        x = rng.random(shape)
        for start in range(0, len(x), 8192):
            x[start : start + 8192] /= x[start : start + 8192].sum(axis=1, keepdims=True)
        arrays.append(x)
    p = arrays[-1]
    y = arrays[0] if targets == "probabilities" else rng.integers(0, shape[1], shape[0])

    def two_passes() -> None:
        for _ in range(2):
            for x in arrays:
                np.add.reduce(x.ravel())

    run = {"sklearn": partial(theirs, y, p), "skce": partial(log_loss, y, p), "passes": two_passes}
    seconds = []
    with peak_memory() as added:
        for _ in range(3):
            start = time.perf_counter()
            run[by]()
            seconds.append(time.perf_counter() - start)
    return {"status": "ok", "seconds": min(seconds), "memory": added["MiB"]}


# Growth with the rows


_GROWING: dict[str, Callable[[int], Data]] = {
    "raw table, p=54, 7 classes": raw_table,
    "embeddings, p=64, 10 classes": lambda n: embeddings(n, 64, 10),
}


def growth(options: argparse.Namespace) -> str:
    """Measure the time of a fit as rows double."""
    sizes = [25_000 * 2**k for k in range(2 if options.quick else 5)]
    times = {name: [_growth_seconds(name, n) for n in sizes] for name in _GROWING}
    draw_growth(sizes, times, options.out / "growth.png")
    lines = [
        "Seconds of a fit to tol=1e-6, the median of three, and the ratio to half the rows.",
        "",
        "| rows | " + " | ".join(f"{name}, s | ratio" for name in times) + " |",
        "| ---: |" + " ---: | ---: |" * len(times),
    ]
    for i, n in enumerate(sizes):
        cells = [
            f"{of[i]:.3g} | {f'{of[i] / of[i - 1]:.2f}' if i else '-'}" for of in times.values()
        ]
        lines.append(f"| {n} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "![Growth](growth.png)"])


def _growth_seconds(name: str, n: int) -> float:
    result = launch("benchmarks.claims:growth_task", limit=_DAY, name=name, n=n)
    print(name, n, result, flush=True)
    return result.get("seconds", math.nan)


def growth_task(*, name: str, n: int, limit: float) -> dict[str, Any]:
    """Fit three times."""
    from skce import SoftmaxClassifier

    X, y = _GROWING[name](n)
    SoftmaxClassifier(tol=1e-3).fit(X[:2000], y[:2000])
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        SoftmaxClassifier(tol=1e-6).fit(X, y)
        seconds.append(time.perf_counter() - start)
    return {"status": "ok", "seconds": statistics.median(seconds)}


# Units


def units(options: argparse.Namespace) -> str:
    """Measure how probabilities without a penalty depend on the units of the columns."""
    worst, warned, repeats = 0.0, 0, 5 if options.quick else 25
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((178, 13)) @ (np.eye(13) + rng.standard_normal((13, 13)) / 4)
        y = draw_labels(rng, X @ rng.standard_normal((13, 3)) / 4)
        X += 3
        factors = 10 ** rng.uniform(-6, 6, 13)
        (one, first), (other, second) = (_fit(Z, y, C=np.inf) for Z in (X, X * factors))
        difference = np.abs(one.predict_proba(X) - other.predict_proba(X * factors)).max()
        worst, warned = max(worst, float(difference)), warned + first + second
    return (
        f"`SoftmaxClassifier(C=np.inf)` on X (178, 13), 3 overlapping classes, beside X with "
        f"columns times 10^U(-6, 6), {repeats} seeds: probabilities differ by at most "
        f"{worst:.1e} (1e-6 is claimed); {warned} of {2 * repeats} fits warned."
    )


# Two processes, the same bits


_REPEATED: dict[str, Callable[[], Data]] = {
    "digits": lambda: problems()["digits"].load(),
    "raw table (50 000, 54)": lambda: raw_table(50_000),
    "embeddings (10 000, 128), float32": lambda: embeddings(10_000, 128, 10, "float32"),
    "text": lambda: problems()["text"].load(),
}


def repeat(options: argparse.Namespace) -> str:
    """Compare the coefficients of two processes bit by bit."""
    lines = ["| problem | two processes |", "| --- | --- |"]
    for name in _REPEATED:
        found = [launch("benchmarks.claims:repeat_task", limit=_DAY, name=name) for _ in range(2)]
        same = found[0] == found[1] and found[0]["status"] == "ok"
        lines.append(f"| {name} | {'equal bit for bit' if same else f'differ: {found}'} |")
    return "\n".join(lines)


def repeat_task(*, name: str, limit: float) -> dict[str, Any]:
    """Hash the coefficients of a fit."""
    model, _ = _fit(*_REPEATED[name]())
    found = hashlib.sha256(model.coef_.tobytes() + model.intercept_.tobytes())
    return {"status": "ok", "hash": found.hexdigest()}


# A linear probe of ImageNet's shape


def probe(options: argparse.Namespace) -> str:
    """Fit a linear probe from a memory-mapped file."""
    fraction = options.fraction or (0.02 if options.quick else 1.0)
    n, p, K = round(1_281_167 * fraction), *((96, 100) if options.quick else (768, 1000))
    log = (options.out / "probe.log").resolve()
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        write_probe(Path(folder), n, p, K)
        print(f"fitting; see {log.name}", flush=True)
        result = launch(
            "benchmarks.claims:probe_task",
            limit=4 * _DAY,
            data=str(Path(folder).resolve()),
            log=str(log),
        )
    if result["status"] != "ok":
        return f"{fraction:g} of ImageNet's rows: {result['status']}."
    hours = result["seconds"] / 3600
    return "\n".join(
        [
            f"X ({n}, {p}) float32 from `np.load(mmap_mode='r')`, {n * p * 4 / 2**20:.0f} MiB on "
            f"disk, {K} classes, {fraction:g} of ImageNet's rows, `tol=1e-4`.",
            "",
            f"- {hours:.3f} hours, {result['passes']} passes, {result['n_iter']} iterations, "
            f"{result['seconds'] / result['passes']:.2f} s per pass",
            f"- all rows would take {hours / fraction:.2f} hours at as many passes",
            f"- peak memory added, pages of files left out: {result['memory']:.0f} MiB",
            f"- {result['message']} Warned: {'yes' if result['warned'] else 'no'}.",
        ]
    )


def write_probe(folder: Path, n: int, p: int, K: int) -> None:
    """Write X.npy and y.npy, block by block."""
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.standard_normal((p, p)))
    rotation = (10 / np.arange(1, p + 1) ** 0.5)[:, None] * rotation
    rotation = rotation.astype(np.float32)
    W = rng.standard_normal((p, K), dtype=np.float32) / np.arange(1, p + 1)[:, None] ** 0.5
    W = W.astype(np.float32)
    X = np.lib.format.open_memmap(folder / "X.npy", mode="w+", dtype=np.float32, shape=(n, p))
    y = np.empty(n, dtype=np.int64)
    for start in range(0, n, 8192):
        Z = rng.standard_normal((min(8192, n - start), p), dtype=np.float32)
        X[start : start + 8192] = Z @ rotation
        y[start : start + 8192] = draw_labels(rng, Z @ W)
    X.flush()
    np.save(folder / "y.npy", y)


def probe_task(*, data: str, log: str, limit: float) -> dict[str, Any]:
    """Fit from the file, with a line per iteration in a log."""
    X, y = np.load(Path(data) / "X.npy", mmap_mode="r"), np.load(Path(data) / "y.npy")
    start = time.perf_counter()
    with Path(log).open("w", buffering=1) as file, redirect_stdout(file), anonymous() as memory:
        model, warned = _fit(X, y, tol=1e-4, verbose=1)
    return {
        "status": "ok",
        "seconds": time.perf_counter() - start,
        "passes": _passes(model),
        "n_iter": int(model.n_iter_[0]),
        "memory": memory["MiB"],
        "message": model.optimize_result_.message,
        "warned": warned,
    }


@contextmanager
def anonymous() -> Iterator[dict[str, float]]:
    """MiB that the block adds at its peak, without pages of files; sampled, on Linux only."""
    added, done, before = {"MiB": 0.0}, threading.Event(), status_kib("RssAnon")

    def sample() -> None:
        while not done.wait(0.02):
            added["MiB"] = max(added["MiB"], (status_kib("RssAnon") - before) / 1024)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield added
    finally:
        done.set()
        thread.join()


# The choice of C


#: Problems, and the share of L1, on which C is chosen.
_CHOOSING = (
    ("wine", 0.0),
    ("breast cancer", 0.0),
    ("digits", 0.0),
    ("digits", 1.0),
    ("letter", 0.0),
    ("text", 0.0),
)
#: Those of LogisticRegressionCV, from loose to tight, by share of L1.
_CHOOSERS: dict[float, list[tuple[str, float]]] = {
    0.0: [
        (solver, tol)
        for solver in ("lbfgs", "newton-cg", "newton-cholesky")
        for tol in (1e-2, 1e-4, 1e-6)
    ],
    1.0: [("saga", 1e-2), ("saga", 1e-4), ("liblinear", 1e-2), ("liblinear", 1e-4)],
}
#: The gap that makes fits as accurate as ours, which are only scored.
_AS_ACCURATE = 1e-5


def choice(options: argparse.Namespace) -> str:
    """Measure SoftmaxClassifierCV beside a grid search and beside LogisticRegressionCV."""
    lines = [
        "Ten values of C, as `SoftmaxClassifierCV(Cs=10)` takes them from the data, and five "
        "stratified folds, by log-loss. `GridSearchCV` is over `SoftmaxClassifier()`. Of "
        "`LogisticRegressionCV` every solver and tolerance was tried; it counts where the largest "
        f"relative gap over folds and values of C is at most {_AS_ACCURATE:g}, or else as the time "
        f"that it had. Objectives are those of `benchmarks.reference`.",
        "",
        "| problem | l1_ratio | SoftmaxClassifierCV, s | its largest gap | GridSearchCV, s | ratio "
        "| LogisticRegressionCV, s | ratio | same C |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | --- |",
    ]
    known = problems(options.data and options.data.removeprefix("letter="))
    wanted = [pair for pair in _CHOOSING if pair[0] in (options.problems or known)]
    for name, l1_ratio in wanted[:2] if options.quick else wanted:
        with tempfile.TemporaryDirectory(dir=options.out) as folder:
            save(*known[name].load(), Path(folder))
            lines.append(_choice_row(name, folder, l1_ratio, options.limit))
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _choice_row(name: str, folder: str, l1_ratio: float, limit: float) -> str:
    def run(by: str, solver: str = "auto", tol: float = 1e-9, Cs: Any = 10) -> dict[str, Any]:
        return launch(
            "benchmarks.claims:choice_task",
            limit=limit,
            data=folder,
            by=by,
            solver=solver,
            tol=tol,
            l1_ratio=l1_ratio,
            Cs=Cs,
        )

    ours = run("path")
    if ours["status"] != "ok":
        return f"| {name} | {l1_ratio:g} | {ours['status']} | | | | | | |"
    grid = run("grid", Cs=ours["Cs"])
    theirs, had = [], []
    for solver, tol in _CHOOSERS[l1_ratio]:
        result = run("sklearn", solver, tol, ours["Cs"])
        print(
            f"  {name} {solver} {tol:g}: {result.get('status')} {result.get('seconds')}", flush=True
        )
        if result["status"] == "ok" and result["gap"] <= _AS_ACCURATE:
            theirs.append((result["seconds"], solver, result["C"]))
        elif result["status"].startswith("killed"):
            had.append(limit)
    seconds, solver, C = min(theirs, default=(min(had, default=math.nan), "", math.nan))
    same = [found == ours["C"] for found in (grid["C"], C) if not math.isnan(found)]
    sign = "" if theirs else "> "
    cells = [
        name,
        f"{l1_ratio:g}",
        f"{ours['seconds']:.3g}",
        f"{ours['gap']:.0e}",
        f"{grid['seconds']:.3g}",
        f"{grid['seconds'] / ours['seconds']:.1f}",
        f"{sign}{seconds:.3g}" + (f" ({solver})" if solver else ""),
        f"{sign}{seconds / ours['seconds']:.1f}",
        "yes" if all(same) else "no",
    ]
    return f"| {' | '.join(cells)} |"


def choice_task(
    *, data: str, by: str, solver: str, tol: float, l1_ratio: float, Cs: Any, limit: float
) -> dict[str, Any]:
    """Choose C, and say how far its fits are from their minima."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    from skce import SoftmaxClassifier, SoftmaxClassifierCV
    from skce.metrics import neg_log_loss_scorer

    X, y = load(data)
    folds = StratifiedKFold(5)
    makers: dict[str, Callable[[], Any]] = {
        "path": lambda: SoftmaxClassifierCV(Cs=Cs, l1_ratios=[l1_ratio], cv=folds),
        "grid": lambda: GridSearchCV(
            SoftmaxClassifier(l1_ratio=l1_ratio), {"C": Cs}, scoring=neg_log_loss_scorer, cv=folds
        ),
        "sklearn": lambda: LogisticRegressionCV(
            Cs=Cs,
            l1_ratios=(l1_ratio,),
            cv=folds,
            solver=solver,
            tol=tol,
            max_iter=100_000,
            scoring="neg_log_loss",
            use_legacy_attributes=False,
            **({"intercept_scaling": 1e3} if solver == "liblinear" else {}),
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            warm_up(lambda: clone(makers[by]()).set_params(cv=2), X, y)
            model, seconds = timed(makers[by], X, y, limit)
        except ValueError as error:  # a solver that does not take the problem
            return {"status": f"failed: {error}"[:100]}
        times = [seconds, *repeated(makers[by], X, y, seconds)]
    result = {"status": "ok", "seconds": statistics.median(times)}
    if by == "grid":
        return result | {"C": float(model.best_params_["C"])}
    gaps = []
    for i, (train, _) in enumerate(folds.split(X, y)):
        for C, W in zip(model.Cs_, model.coefs_paths_[i, 0], strict=True):
            best = SoftmaxClassifier(C=C, l1_ratio=l1_ratio, tol=1e-12).fit(X[train], y[train])
            values = [
                objective(X[train], y[train], *parts, C, l1_ratio=l1_ratio)
                for parts in ((best.coef_, best.intercept_), (W[:, :-1], W[:, -1]))
            ]
            gaps.append(relative_gap(values[1], values[0]))
    C = float(np.ravel(model.C_)[0])
    return result | {"C": C, "Cs": [float(C) for C in model.Cs_], "gap": max(gaps)}


CLAIMS: dict[str, tuple[str, Callable[[argparse.Namespace], str]]] = {
    "promise": ("What tol promises", promise),
    "memory": ("Memory and passes", memory),
    "scoring": ("Scoring ten million rows", scoring),
    "choice": ("C by cross-validation", choice),
    "growth": ("Growth with the rows", growth),
    "units": ("Units of the columns", units),
    "repeat": ("Two processes", repeat),
    "probe": ("A linear probe of ImageNet's shape", probe),
}
