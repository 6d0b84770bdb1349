"""Seconds as the rows double."""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

from ..problems import Data, embeddings, raw_table
from ..report import draw_growth
from ..worker import (
    launch,
)
from ._common import DAY

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
    result = launch("benchmarks.claims.growth:growth_task", limit=DAY, name=name, n=n)
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
