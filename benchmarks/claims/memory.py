"""Memory that a fit adds, and its passes beside bare products of matrices."""

from __future__ import annotations

import argparse
import math
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..problems import embeddings
from ..worker import (
    launch,
    peak_memory,
)
from ._common import DAY, passes_of


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
            "benchmarks.claims.memory:memory_task", limit=DAY, estimator=name, shape=[n, p, K]
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
        "passes": passes_of(model),
        "products": bare_products(X, K),
    }


def bare_products(X: NDArray, K: int) -> float:
    """Seconds of A X' and R X with K rows: the fastest of whole and of blocks of some sizes."""
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
