"""Fits on Dask: the overhead of a pass, two processes beside one, and a worker that dies."""

from __future__ import annotations

import argparse
import os
import threading
import time
import warnings
from typing import Any

import numpy as np

from ..worker import launch
from ._common import DAY

_COLUMNS, _CHUNKS, _PASSES = 64, 20, 20
_CLASSES, _GAP = (10, 100), 1e-6


def cluster(options: argparse.Namespace) -> str:
    """Compare passes, fits and processes."""
    n = 40_000 if options.quick else 2_000_000
    lines = [
        f"X ({n}, {_COLUMNS}) float32, {_CHUNKS} chunks.",
        "",
        "| classes | where | CPU s per pass | ratio |",
        "| ---: | --- | ---: | ---: |",
    ]
    for K in _CLASSES:
        found = launch(
            "benchmarks.claims.cluster:pass_task", limit=DAY, threads="one", rows=n, classes=K
        )
        if found["status"] != "ok":
            return f"A pass with {K} classes: {found['status']}."
        cpu = found["cpu"]
        lines += [
            f"| {K} | {name} | {cpu[name]:.3f} | {cpu[name] / cpu['in memory']:.2f} |"
            for name in cpu
        ]
    lines += [
        "",
        f"Fits with {_CLASSES[0]} classes, `tol=1e-6`:",
        "",
        "| processes, of one thread | s per pass | fit, s | passes | relative difference of F |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for workers, dies in ((1, False), (2, False), (2, True)):
        found = launch(
            "benchmarks.claims.cluster:processes_task",
            limit=DAY,
            rows=n,
            classes=_CLASSES[0],
            workers=workers,
            dies=dies,
        )
        lines.append(
            f"| {workers}{', one of which is killed in mid-fit' * dies} | {found['pass']:.3f} "
            f"| {found['fit']:.2f} | {found['passes']:.1f} ({found['passes_in_memory']:.1f} in "
            f"memory) | {found['off']:.0e} |"
        )
    found = launch("benchmarks.claims.cluster:peers_task", limit=DAY, rows=n)
    if found["status"] != "ok":
        return "\n".join([*lines, "", f"Beside dask-ml: {found['status']}."])
    lines += [
        "",
        "Two classes, no intercept, float64, C = 1, Dask's threads: the first setting with a gap "
        f"of {_GAP:.0e} or less.",
        "",
        "| estimator | settings | fit, s | ratio | gap |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {row['settings']} | {row['fit']:.2f} "
        f"| {row['fit'] / found['rows']['skce.dask']['fit']:.1f} | {row['gap']:.0e} |"
        for name, row in found["rows"].items()
    ]
    return "\n".join(lines)


def _problem(rows: int, classes: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, _COLUMNS), dtype=np.float32)
    W = rng.standard_normal((classes, _COLUMNS), dtype=np.float32) / 4
    y = np.empty(rows, dtype=np.int64)
    for start in range(0, rows, 2**16):
        z = X[start : start + 2**16] @ W.T
        y[start : start + 2**16] = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    return X, y


def _chunked(X: Any, y: Any) -> tuple[Any, Any]:
    import dask.array as da

    size = -(-len(X) // _CHUNKS)
    return da.from_array(X, chunks=(size, -1)), da.from_array(y, chunks=size)


def pass_task(*, rows: int, classes: int, limit: float) -> dict[str, Any]:
    """CPU seconds of a pass in memory, with Dask's threads, and with a process."""
    import dask

    import skce
    from skce.dask import SoftmaxClassifier

    del limit
    X, y = _problem(rows, classes)
    found: dict[str, float] = {}

    def measure(name: str, model: Any, X: Any, y: Any) -> None:
        objective = model._objective(*model._read(X, y, None))
        theta = np.zeros(objective.layout.size)
        objective.value_gradient(theta)
        before = _cpu_seconds()
        for _ in range(_PASSES):
            objective.value_gradient(theta)
        found[name] = (_cpu_seconds() - before) / _PASSES

    measure("in memory", skce.SoftmaxClassifier(), X, y)
    chunks = _chunked(X, y)
    with dask.config.set(scheduler="threads", num_workers=1):
        measure("Dask, threads", SoftmaxClassifier(), *chunks)
    with _client(1):
        chunks = tuple(dask.persist(*chunks))
        measure("Dask, a process", SoftmaxClassifier(), *chunks)
    return {"status": "ok", "cpu": found}


def processes_task(
    *, rows: int, classes: int, workers: int, dies: bool, limit: float
) -> dict[str, Any]:
    """Seconds of a pass and of a fit with some processes, one of which may be killed."""
    import dask

    import skce
    from skce.dask import SoftmaxClassifier

    del limit
    X, y = _problem(rows, classes)
    with _client(workers) as client:
        chunks = tuple(dask.persist(*_chunked(X, y)))
        model = SoftmaxClassifier(tol=1e-6)
        objective = model._objective(*model._read(*chunks, None))
        theta, times = np.zeros(objective.layout.size), []
        for _ in range(_PASSES):
            start = time.perf_counter()
            objective.value_gradient(theta)
            times.append(time.perf_counter() - start)
        if dies:
            (pid, *_) = client.run(os.getpid).values()
            threading.Timer(5 * float(np.median(times)), os.kill, (pid, 9)).start()
        start = time.perf_counter()
        model.fit(*chunks)
        seconds = time.perf_counter() - start
    result, same = (
        fitted.optimize_result_ for fitted in (model, skce.SoftmaxClassifier(tol=1e-6).fit(X, y))
    )
    return {
        "status": "ok",
        "pass": float(np.median(times)),
        "fit": seconds,
        "passes": float(result.passes),
        "passes_in_memory": float(same.passes),
        "off": abs(result.fun - same.fun) / same.fun,
    }


def peers_task(*, rows: int, limit: float) -> dict[str, Any]:
    """Seconds that SoftmaxClassifier and the solvers of dask-ml take to the same gap."""
    import dask.array as da

    import skce
    from skce.dask import SoftmaxClassifier

    del limit
    try:
        from dask_ml.linear_model import LogisticRegression
    except ImportError:
        return {"status": "dask-ml is not installed"}
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, _COLUMNS))
    y = (X @ rng.normal(size=_COLUMNS) / 4 + rng.logistic(size=rows) > 0).astype(np.int64)
    chunks = _chunked(X, y)

    def value(coef: Any) -> float:
        z = X @ np.ravel(coef)
        return float(np.logaddexp(0, z).sum() - z[y == 1].sum() + np.sum(coef**2) / 2)

    best = value(skce.SoftmaxClassifier(tol=1e-12, fit_intercept=False).fit(X, y).coef_)
    found: dict[str, dict[str, Any]] = {}  # by name, the last that was measured

    def measure(name: str, settings: str, model: Any) -> float:
        start = time.perf_counter()
        model.fit(*chunks)
        seconds = time.perf_counter() - start
        gap = (value(model.coef_) - best) / best
        found[name] = {"settings": settings, "fit": seconds, "gap": gap}
        return gap

    warnings.simplefilter("ignore")  # of dask-ml
    # The first fit of a process takes longer.
    SoftmaxClassifier(fit_intercept=False).fit(da.ones((8, 2)), da.arange(8) % 2)
    measure("skce.dask", f"tol={_GAP:g}", SoftmaxClassifier(fit_intercept=False, tol=_GAP))
    for solver in ("newton", "lbfgs", "gradient_descent", "proximal_grad"):
        for tol in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8):
            model = LogisticRegression(
                penalty="l2", C=1.0, fit_intercept=False, solver=solver, tol=tol, max_iter=100
            )
            if measure(f"dask-ml, {solver}", f"tol={tol:g}", model) <= _GAP:
                break
    return {"status": "ok", "rows": found}


def _client(workers: int) -> Any:
    """Return a cluster of processes on the loopback address."""
    from dask.distributed import Client

    return Client(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=":0",
    )


def _cpu_seconds() -> float:
    """CPU seconds of this process, and on Linux of those that it started."""
    import psutil

    own = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (own, *own.children(recursive=True)))
