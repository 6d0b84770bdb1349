"""A linear probe of ImageNet's shape, on a file."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from ..problems import draw_labels
from ..worker import (
    launch,
    status_kib,
)
from ._common import DAY, fit_and_watch, passes_of


def probe(options: argparse.Namespace) -> str:
    """Fit a linear probe from a memory-mapped file."""
    fraction = options.fraction or (0.02 if options.quick else 1.0)
    n, p, K = round(1_281_167 * fraction), *((96, 100) if options.quick else (768, 1000))
    log = (options.out / "probe.log").resolve()
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        write_probe(Path(folder), n, p, K)
        print(f"fitting; see {log.name}", flush=True)
        result = launch(
            "benchmarks.claims.probe:probe_task",
            limit=4 * DAY,
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
        model, warned = fit_and_watch(X, y, tol=1e-4, verbose=1)
    return {
        "status": "ok",
        "seconds": time.perf_counter() - start,
        "passes": passes_of(model),
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
