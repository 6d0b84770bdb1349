"""Seconds and memory of log-loss on ten million rows."""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import numpy as np

from ..worker import (
    launch,
    peak_memory,
)
from ._common import DAY


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
        result = launch("benchmarks.claims.scoring:scoring_task", limit=DAY, shape=[n, K], **task)
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
