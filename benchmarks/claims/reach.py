"""Seconds of a pass against the number of rows, in each place, and estimates for a billion rows."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..report import draw_reach
from ..worker import launch
from ._common import DAY
from .cluster import client_of
from .files import COLUMNS, drop, labels, write_npy

_CLASSES, _PASSES = 10, 5
#: Bytes of a chunk in the measurements, and in the estimates for a cluster.
_CHUNK, _CHUNKS = 10**8, {"100 MB": 10**8, "1 GB": 10**9}
_SIZES = (60_000, 190_000, 600_000, 1_900_000, 6_000_000)
#: Workers of the cluster of the estimates, and cores of each worker.
_WORKERS, _CORES = 64, 16


def reach(options: argparse.Namespace) -> str:
    """Measure passes in memory, from a file and on Dask; draw them, and lines to a billion rows."""
    sizes = _SIZES[:2] if options.quick else _SIZES
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        path = str(Path(folder).resolve() / "X.npy")
        for n in sizes:
            write_npy(np.float32)(Path(path), n)
            found = launch("benchmarks.claims.reach:reach_task", limit=DAY, path=path, rows=n)
            print(n, found, flush=True)
            for name, seconds in found.pop("passes").items():
                times.setdefault(name, []).append(seconds)
    per_task = launch("benchmarks.claims.reach:task_task", limit=DAY)["seconds"]
    work = 4 * COLUMNS * _CLASSES
    of_core = work * sizes[-1] / times["array in memory"][-1] / found["threads"]
    n = np.geomspace(sizes[0], 1e9)
    tasks = {name: n * COLUMNS * 4 / size for name, size in _CHUNKS.items()}
    arithmetic = work * n / (of_core * _WORKERS * _CORES)
    reckoned = {
        f"{_WORKERS} workers of {_CORES} cores, chunks of {name}": np.where(
            of >= _WORKERS,
            arithmetic + per_task * of,
            np.nan,  # with fewer rows some workers have none
        )
        for name, of in tasks.items()
    }
    draw_reach(sizes, times, n, reckoned, options.out / "reach.png")
    lines = [
        f"Seconds of a pass over rows of {COLUMNS} columns of float32 with {_CLASSES} classes, the "
        f"median of {_PASSES}; {found['threads']} threads. Files are dropped from memory before "
        f"each pass. A core makes {of_core / 1e9:.0f} GFLOP/s in a pass, and a task on a cluster "
        f"of one process takes {1e3 * per_task:.2f} ms beside its arithmetic.",
        "",
        "| rows | " + " | ".join(times) + " |",
        "| ---: |" + " ---: |" * len(times),
    ]
    for i, rows in enumerate(sizes):
        lines.append(f"| {rows} | {' | '.join(f'{of[i]:.3g}' for of in times.values())} |")
    lines += [
        "",
        f"A billion rows are {arithmetic[-1]:.1f} s of arithmetic a pass on {_WORKERS} workers of "
        f"{_CORES} such cores, and as many tasks as chunks, one after the other: "
        + " and ".join(f"{per_task * of[-1]:.0f} s with {name}" for name, of in tasks.items())
        + ".",
    ]
    return "\n".join([*lines, "", "![Reach](reach.png)"])


def reach_task(*, path: str, rows: int, limit: float) -> dict[str, Any]:
    """Return seconds of passes over the rows of a file: read, mapped, and in chunks of Dask."""
    import dask
    import dask.array as da
    from dask import delayed

    import skce
    from skce._threads import threads
    from skce.dask import SoftmaxClassifier

    del limit
    found: dict[str, float] = {}

    def measure(name: str, model: Any, X: Any, y: Any, before: Any = lambda: None) -> None:
        with threads:
            objective = model._objective(*model._read(X, y, None))
            theta, seconds = np.zeros(objective.layout.size), []
            for _ in range(_PASSES):
                before()
                start = time.perf_counter()
                objective.value_gradient(theta)
                seconds.append(time.perf_counter() - start)
        found[name] = statistics.median(seconds)

    y = labels(rows, _CLASSES)
    measure(
        "memory map, not in memory",
        skce.SoftmaxClassifier(),
        np.load(path, mmap_mode="r"),
        y,
        lambda: drop([Path(path)]),
    )
    X = np.load(path)
    measure("array in memory", skce.SoftmaxClassifier(), X, y)
    size = _CHUNK // (4 * COLUMNS)
    parts = [X[start : start + size] for start in range(0, rows, size)]  # without a copy
    chunks = (
        da.concatenate([da.from_delayed(delayed(p), p.shape, p.dtype) for p in parts]),
        da.from_array(y, chunks=size),
    )
    with dask.config.set(scheduler="threads"):
        measure("Dask, threads", SoftmaxClassifier(), *chunks)
    return {"status": "ok", "passes": found, "threads": os.cpu_count()}


def task_task(*, limit: float) -> dict[str, Any]:
    """Return the overhead of a task, in seconds, on a cluster of one process."""
    import dask
    import dask.array as da

    from skce.dask import SoftmaxClassifier

    del limit
    n = 200
    with client_of(1):
        X, y = da.ones((n, 2), chunks=(1, 2)), da.arange(n, chunks=1) % 2
        model = SoftmaxClassifier()
        objective = model._objective(*model._read(*dask.persist(X, y), None))
        theta, seconds = np.zeros(objective.layout.size), []
        for _ in range(_PASSES):
            start = time.perf_counter()
            objective.value_gradient(theta)
            seconds.append(time.perf_counter() - start)
    return {"status": "ok", "seconds": statistics.median(seconds) / n}
