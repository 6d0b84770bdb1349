"""A linear probe of ImageNet's shape, on a file."""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from ..worker import (
    launch,
)
from ._common import DAY, anonymous, fit_and_watch

#: Distance of class means, in standard deviations of the noise.
_APART = 0.15


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
            f"- {hours:.3f} hours, {result['passes']:g} passes, {result['n_iter']} iterations, "
            f"{result['seconds'] / result['passes']:.2f} s per pass",
            f"- all rows would take {hours / fraction:.2f} hours at as many passes",
            f"- peak memory added, pages of files left out: {result['memory']:.0f} MiB",
            f"- accuracy on the rows of the fit: {result['accuracy']:.1%}",
            f"- {result['message']} Warned: {'yes' if result['warned'] else 'no'}.",
        ]
    )


def write_probe(folder: Path, n: int, p: int, K: int) -> None:
    """Write X.npy and y.npy, block by block: clusters like those of embeddings, in rows of norm 10.

    If class means are 0.15 standard deviations of the noise apart, a model with 768 columns and
    1000 classes predicts four rows in five correctly.
    """
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.standard_normal((p, p)))
    rotation = (rotation / np.sqrt(np.arange(1, p + 1))[:, None]).astype(np.float32)
    means = np.float32(_APART) * rng.standard_normal((K, p), dtype=np.float32)
    X = np.lib.format.open_memmap(folder / "X.npy", mode="w+", dtype=np.float32, shape=(n, p))
    y = rng.integers(K, size=n)
    for start in range(0, n, 8192):
        some = y[start : start + 8192]
        Z = (means[some] + rng.standard_normal((len(some), p), dtype=np.float32)) @ rotation
        X[start : start + 8192] = 10 * Z / np.linalg.norm(Z, axis=1, keepdims=True)
    X.flush()
    np.save(folder / "y.npy", y)


def probe_task(*, data: str, log: str, limit: float) -> dict[str, Any]:
    """Fit from the file, with a line per iteration in a log."""
    X, y = np.load(Path(data) / "X.npy", mmap_mode="r"), np.load(Path(data) / "y.npy")
    start = time.perf_counter()
    with Path(log).open("w", buffering=1) as file, redirect_stdout(file), anonymous() as memory:
        model, warned = fit_and_watch(X, y, tol=1e-4, verbose=1)
    seconds = time.perf_counter() - start
    return {
        "status": "ok",
        "seconds": seconds,
        "passes": model.optimize_result_.passes,
        "n_iter": int(model.n_iter_[0]),
        "memory": memory["MiB"],
        "accuracy": model.score(X, y),
        "message": model.optimize_result_.message,
        "warned": warned,
    }
