"""Fits on Dask: the overhead of a pass, processes, and a worker that dies; dask-ml and Spark."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..worker import launch
from ._common import DAY, peak

_COLUMNS, _CHUNKS, _PASSES = 64, 20, 20
_CLASSES, _GAP = (10, 100), 1e-6
#: The peers of each task, and its data.
_PEERS = {
    "dask-ml": ("dask_ml_task", "Two classes, no intercept, float64, C = 1, Dask's threads"),
    "Spark": ("spark_task", "Ten classes, float64, C = 1, two threads of Dask and of Spark"),
}


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
        "| processes, of one thread | s per pass | fit, s | passes | MiB added "
        "| relative difference of F |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
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
            f"memory) | {found['memory']:.0f} | {found['off']:.0e} |"
        )
    for peer, (task, problem) in _PEERS.items():
        found = launch(f"benchmarks.claims.cluster:{task}", limit=DAY, rows=n)
        if found["status"] != "ok":
            lines += ["", f"Beside {peer}: {found['status']}."]
            continue
        own = found["rows"]["skce.dask"]["fit"]
        lines += [
            "",
            f"{problem}: the first setting with a gap of {_GAP:.0e} or less.",
            "",
            "| estimator | settings | fit, s | ratio | gap |",
            "| --- | --- | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {name} | {row['settings']} | {row['fit']:.2f} | {row['fit'] / own:.1f} "
            f"| {row['gap']:.0e} |"
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
    with client_of(1):
        few = tuple(dask.persist(*_chunked(X[:_CHUNKS], np.arange(_CHUNKS) % classes)))
        measure(f"Dask, a process, {_CHUNKS} rows", SoftmaxClassifier(), *few)
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
    with client_of(workers) as client:
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
        with peak(_used) as memory:
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
        "memory": memory["MiB"],
        "off": abs(result.fun - same.fun) / same.fun,
    }


def dask_ml_task(*, rows: int, limit: float) -> dict[str, Any]:
    """Seconds that SoftmaxClassifier and the solvers of dask-ml take to the same gap."""
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
    found: dict[str, dict[str, Any]] = {}  # the last result, by name

    def measure(name: str, settings: str, model: Any) -> float:
        start = time.perf_counter()
        model.fit(*chunks)
        seconds = time.perf_counter() - start
        gap = (value(model.coef_) - best) / best
        found[name] = {"settings": settings, "fit": seconds, "gap": gap}
        return gap

    warnings.simplefilter("ignore")  # of dask-ml
    _fit_once()
    measure("skce.dask", f"tol={_GAP:g}", SoftmaxClassifier(fit_intercept=False, tol=_GAP))
    for solver in ("newton", "lbfgs", "gradient_descent", "proximal_grad"):
        for tol in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8):
            model = LogisticRegression(
                penalty="l2", C=1.0, fit_intercept=False, solver=solver, tol=tol, max_iter=100
            )
            if measure(f"dask-ml, {solver}", f"tol={tol:g}", model) <= _GAP:
                break
    return {"status": "ok", "rows": found}


def spark_task(*, rows: int, limit: float) -> dict[str, Any]:
    """Seconds that SoftmaxClassifier and Spark's LogisticRegression take to the same gap.

    Spark has its rows in memory as vectors, and uses OpenBLAS if the system has it. A first fit,
    which is not timed, compiles its code.
    """
    import dask

    import skce
    from skce.dask import SoftmaxClassifier

    del limit
    try:
        from pyspark.ml.classification import LogisticRegression
    except ImportError:
        return {"status": "pyspark is not installed"}
    if shutil.which("java") is None:
        return {"status": "there is no Java runtime"}
    warnings.simplefilter("ignore")  # of pyspark
    single, y = _problem(rows, _CLASSES[0])
    X, chunks = single.astype(np.float64), _chunked(single.astype(np.float64), y)

    def value(coef: Any, intercept: Any) -> float:
        loss = skce.metrics.log_loss_from_logits(y, X @ coef.T + intercept, normalize=False)
        return float(loss + np.sum(coef**2) / 2)

    exact = skce.SoftmaxClassifier(tol=1e-12).fit(X, y)
    best, found = value(exact.coef_, exact.intercept_), {}
    _fit_once()
    with dask.config.set(scheduler="threads", num_workers=2):
        start = time.perf_counter()
        model = SoftmaxClassifier(tol=_GAP).fit(*chunks)
        found["skce.dask"] = {
            "settings": f"tol={_GAP:g}",
            "fit": time.perf_counter() - start,
            "gap": (value(model.coef_, model.intercept_) - best) / best,
        }
    with _spark(X, y) as frame:
        for tol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10):
            estimator = LogisticRegression(
                family="multinomial", regParam=1 / rows, standardization=False, maxIter=300, tol=tol
            )
            estimator.fit(frame)
            start = time.perf_counter()
            peer = estimator.fit(frame)
            seconds = time.perf_counter() - start
            at = value(peer.coefficientMatrix.toArray(), peer.interceptVector.toArray())
            found["Spark MLlib"] = {
                "settings": f"tol={tol:g}",
                "fit": seconds,
                "gap": (at - best) / best,
            }
            if found["Spark MLlib"]["gap"] <= _GAP:
                break
    return {"status": "ok", "rows": found}


@contextmanager
def _spark(X: Any, y: Any) -> Iterator[Any]:
    """Yield a frame of vectors and labels, in the memory of two local threads of Spark."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyspark.ml.feature import VectorAssembler
    from pyspark.sql import SparkSession

    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # per thread of Spark
    names = [f"x{j}" for j in range(X.shape[1])]
    settings = {
        "spark.driver.memory": "10g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": "--add-modules=jdk.incubator.vector",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        with tempfile.TemporaryDirectory() as folder:
            table = pa.table([*np.ascontiguousarray(X.T), y], names=[*names, "label"])
            path = str(Path(folder) / "rows.parquet")
            pq.write_table(table, path, row_group_size=-(-len(X) // _CHUNKS))
            assembler = VectorAssembler(inputCols=names, outputCol="features")
            frame = assembler.transform(session.read.parquet(path)).select("features", "label")
            frame = frame.cache()
            frame.count()
            yield frame
    finally:
        session.stop()


def _fit_once() -> None:
    """Make a small fit, because the first fit of a process takes longer."""
    import dask.array as da

    from skce.dask import SoftmaxClassifier

    SoftmaxClassifier(fit_intercept=False).fit(da.ones((8, 2)), da.arange(8) % 2)


def client_of(workers: int) -> Any:
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
    """CPU seconds of this process, and on Linux also of the processes that it started."""
    return sum(sum(process.cpu_times()[:2]) for process in _processes())


def _used() -> float:
    """MiB in the memory of this process and of the processes that it started."""
    import psutil

    total = 0.0
    for process in _processes():
        with suppress(psutil.Error):  # it was killed
            total += process.memory_info().rss / 2**20
    return total


def _processes() -> list[Any]:
    import psutil

    own = psutil.Process()
    return [own, *own.children(recursive=True)]
