"""Fits on Dask: the overhead of a pass, two processes beside one, and a worker that dies."""

from __future__ import annotations

import argparse
import os
import threading
import time
from typing import Any

import numpy as np

from ..worker import launch
from ._common import DAY

_COLUMNS, _CLASSES, _CHUNKS = 64, 10, 20


def cluster(options: argparse.Namespace) -> str:
    """Compare passes, fits and processes."""
    n = 40_000 if options.quick else 2_000_000
    of_pass = launch("benchmarks.claims.cluster:pass_task", limit=DAY, threads="one", rows=n)
    lines = [
        f"X ({n}, {_COLUMNS}) float32, {_CLASSES} classes, {_CHUNKS} chunks, `tol=1e-6`.",
        "",
        "| where | CPU s per pass | ratio | fit, s | passes | relative difference of F |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    if of_pass["status"] != "ok":
        return f"A pass: {of_pass['status']}."
    for name, row in of_pass["rows"].items():
        lines.append(
            f"| {name} | {row['cpu']:.3f} | {row['cpu'] / of_pass['rows']['in memory']['cpu']:.2f} "
            f"| {row['fit']:.2f} | {row['passes']:.1f} | {row['off']:.0e} |"
        )
    lines += ["", "| processes, of one thread | s per pass | fit, s |", "| ---: | ---: | ---: |"]
    seconds = {}
    for workers in (1, 2):
        found = launch(
            "benchmarks.claims.cluster:processes_task",
            limit=DAY,
            threads="one",
            rows=n,
            workers=workers,
            dies=False,
        )
        seconds[workers] = found["pass"]
        lines.append(f"| {workers} | {found['pass']:.3f} | {found['fit']:.2f} |")
    found = launch(
        "benchmarks.claims.cluster:processes_task",
        limit=DAY,
        threads="one",
        rows=n,
        workers=2,
        dies=True,
    )
    lines += [
        "",
        f"Two processes make a pass {seconds[1] / seconds[2]:.2f} times as fast as one. A fit of "
        f"whose two workers one was killed took {found['fit']:.2f} s, and its objective differs "
        f"by {found['off']:.0e}.",
    ]
    return "\n".join(lines)


def _problem(rows: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, _COLUMNS), dtype=np.float32)
    W = rng.standard_normal((_CLASSES, _COLUMNS), dtype=np.float32) / 4
    return X, (X @ W.T + rng.gumbel(size=(rows, _CLASSES))).argmax(axis=1)


def _chunked(X: Any, y: Any) -> tuple[Any, Any]:
    import dask.array as da

    size = -(-len(X) // _CHUNKS)
    return da.from_array(X, chunks=(size, -1)), da.from_array(y, chunks=size)


def pass_task(*, rows: int, limit: float) -> dict[str, Any]:
    """CPU seconds of a pass, and a fit: in memory, with Dask's threads, with a process."""
    import dask

    import skce
    from skce.dask import SoftmaxClassifier

    del limit
    X, y = _problem(rows)
    found: dict[str, dict[str, float]] = {}

    def measure(name: str, model: Any, X: Any, y: Any) -> None:
        objective = model._objective(*model._read(X, y, None))
        theta = np.zeros(objective.layout.size)
        objective.value_gradient(theta)
        times = []
        for _ in range(5):
            before = _cpu_seconds()
            objective.value_gradient(theta)
            times.append(_cpu_seconds() - before)
        start = time.perf_counter()
        result = model.fit(X, y).optimize_result_
        first = found.get("in memory", {"value": result.fun})["value"]
        found[name] = {
            "cpu": float(np.median(times)),
            "fit": time.perf_counter() - start,
            "passes": float(result.passes),
            "value": float(result.fun),
            "off": abs(result.fun - first) / first,
        }

    measure("in memory", skce.SoftmaxClassifier(tol=1e-6), X, y)
    chunks = _chunked(X, y)
    with dask.config.set(scheduler="threads", num_workers=1):
        measure("Dask, threads", SoftmaxClassifier(tol=1e-6), *chunks)
    with _client(1):
        chunks = tuple(dask.persist(*chunks))
        measure("Dask, a process", SoftmaxClassifier(tol=1e-6), *chunks)
    return {"status": "ok", "rows": found}


def processes_task(*, rows: int, workers: int, dies: bool, limit: float) -> dict[str, Any]:
    """Seconds of a pass and of a fit with some processes, one of which may be killed."""
    import dask

    import skce
    from skce.dask import SoftmaxClassifier

    del limit
    X, y = _problem(rows)
    with _client(workers) as client:
        chunks = tuple(dask.persist(*_chunked(X, y)))
        model = SoftmaxClassifier(tol=1e-6)
        objective = model._objective(*model._read(*chunks, None))
        theta, times = np.zeros(objective.layout.size), []
        for _ in range(6):
            start = time.perf_counter()
            objective.value_gradient(theta)
            times.append(time.perf_counter() - start)
        if dies:
            (pid, *_) = client.run(os.getpid).values()
            threading.Timer(5 * float(np.median(times)), os.kill, (pid, 9)).start()
        start = time.perf_counter()
        model.fit(*chunks)
        seconds = time.perf_counter() - start
    value = skce.SoftmaxClassifier(tol=1e-6).fit(X, y).optimize_result_.fun
    off = abs(model.optimize_result_.fun - value) / value
    return {"status": "ok", "pass": float(np.median(times[1:])), "fit": seconds, "off": off}


def _client(workers: int) -> Any:
    """Return a cluster of processes on the loopback address."""
    from dask.distributed import Client

    return Client(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
    )


def _cpu_seconds() -> float:
    """CPU seconds of this process, and on Linux of those that it started."""
    import psutil

    own = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (own, *own.children(recursive=True)))
