"""Fits of tensors on a GPU, if there is one, beside scikit-learn and PyTorch on the same device."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..peers import torch_lbfgs
from ..worker import launch
from ._common import DAY, anonymous

#: Rows, columns and classes, with a GPU and without one.
_ON_GPU = ((1_281_167, 768, 1000), (50_000, 512, 10), (50_000, 512, 100))
_ON_CPU = ((50_000, 128, 10), (10_000, 256, 100))
_GAPS = (1e-2, 1e-4, 1e-6)
#: Values of C of a sweep.
_SWEEP = np.geomspace(1e-6, 1e6, 45)


def device(options: argparse.Namespace) -> str:
    """Compare on the GPU, or on the CPU at small sizes."""
    os.environ["SCIPY_ARRAY_API"] = "1"  # for the processes of the tasks
    where = launch("benchmarks.claims.device:where_task", limit=DAY)
    if where["status"] != "ok":
        return f"Not measured: {where['status']}."
    shapes = _ON_GPU if where["gpu"] else _ON_CPU
    lines = [
        f"Device: {where['name']}, PyTorch {where['torch']}."
        + ("" if where["gpu"] else " **There is no GPU here: these are no figures of one.**"),
        "",
        "Clusters in float32, made on the device, C = 1. Seconds to a gap, each at the first of "
        "its settings that reaches it.",
        "",
        "| rows, columns, classes | solver | "
        + " | ".join(f"{gap:.0e}" for gap in _GAPS)
        + " | passes | MiB added |",
        "| --- | --- |" + " ---: |" * (len(_GAPS) + 2),
    ]
    for shape in shapes[: 1 if options.quick and not where["gpu"] else None]:
        found = launch("benchmarks.claims.device:device_task", limit=DAY, shape=shape)
        print(shape, found, flush=True)
        if found["status"] != "ok":
            lines.append(f"| {shape} | {found['status']} |")
            continue
        for name, row in found["rows"].items():
            seconds = " | ".join(
                "not reached" if value is None else f"{value:.2f}" for value in row["seconds"]
            )
            lines.append(
                f"| {', '.join(map(str, shape))} | {name} | {seconds} | {row['passes']} "
                f"| {row['memory']:.0f} |"
            )
    shape = shapes[-1]
    found = launch("benchmarks.claims.device:sweep_task", limit=DAY, shape=shape)
    if found["status"] == "ok":
        lines += [
            "",
            f"A sweep of {len(_SWEEP)} values of C from {_SWEEP[0]:g} to {_SWEEP[-1]:g}, "
            f"`tol=1e-4`, {shape}: `softmax_path` {found['path']:.1f} s, each from zero "
            f"{found['each']:.1f} s.",
        ]
    return "\n".join(lines)


def where_task(*, limit: float) -> dict[str, Any]:
    """Name the device."""
    del limit
    try:
        import torch
    except ImportError:
        return {"status": "PyTorch is not installed"}
    gpu = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if gpu else "the CPU"
    return {"status": "ok", "gpu": gpu, "name": name, "torch": torch.__version__}


def device_task(*, shape: tuple[int, int, int], limit: float) -> dict[str, Any]:
    """Seconds of every solver to every gap."""
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    from skce import SoftmaxClassifier

    del limit
    X, y = _clusters(*shape)
    found: dict[str, dict[str, Any]] = {}
    with config_context(array_api_dispatch=True):
        exact = SoftmaxClassifier(tol=1e-10).fit(X, y)
        best = _value(X, y, exact.coef_, exact.intercept_)

        def gap(coef: Any, intercept: Any) -> float:
            return (_value(X, y, coef, intercept) - best) / best

        def tried(name: str, make: Callable[[float], Any], tols: tuple[float, ...]) -> None:
            seconds: list[float | None] = [None] * len(_GAPS)
            memory, passes = 0.0, ""
            for tol in tols:
                try:
                    with _added() as added:
                        start = time.perf_counter()
                        model = make(tol).fit(X, y)
                        took = time.perf_counter() - start
                    reached = gap(model.coef_, model.intercept_)
                except Exception as error:  # usually there is too little memory
                    passes = type(error).__name__
                    break
                memory = max(memory, added["MiB"])
                if hasattr(model, "optimize_result_"):
                    passes = f"{model.optimize_result_.passes:.0f}"
                for i, wanted in enumerate(_GAPS):
                    if reached <= wanted and seconds[i] is None:
                        seconds[i] = took
                if reached <= _GAPS[-1]:
                    break
            found[name] = {"seconds": seconds, "passes": passes, "memory": memory}

        tried("skce", lambda tol: SoftmaxClassifier(tol=tol), _GAPS)
        tried(
            "scikit-learn lbfgs",
            lambda tol: LogisticRegression(tol=tol, max_iter=10_000),
            (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        )
        seconds: list[float | None] = [None] * len(_GAPS)
        with _added() as added:
            for took, coef, intercept in _torch_lbfgs(X, y):
                reached = gap(coef, intercept)
                for i, wanted in enumerate(_GAPS):
                    if reached <= wanted and seconds[i] is None:
                        seconds[i] = took
                if seconds[-1] is not None:
                    break
        found["torch L-BFGS"] = {"seconds": seconds, "passes": "", "memory": added["MiB"]}
        if (cuml := _cuml()) is not None:
            # cuML penalises the sum of the losses by 1 / C, as scikit-learn does.
            tried("cuML qn", lambda tol: cuml(tol=tol, max_iter=10_000), (1e-2, 1e-4, 1e-6, 1e-8))
    return {"status": "ok", "rows": found}


def sweep_task(*, shape: tuple[int, int, int], limit: float) -> dict[str, Any]:
    """Seconds of a path of C, and of fits from zero."""
    import warnings

    from sklearn import config_context

    from skce import SoftmaxClassifier, softmax_path

    del limit
    warnings.simplefilter("ignore")
    X, y = _clusters(*shape)
    with config_context(array_api_dispatch=True):
        start = time.perf_counter()
        softmax_path(X, y, Cs=_SWEEP, tol=1e-4)
        path = time.perf_counter() - start
        start = time.perf_counter()
        for C in _SWEEP:
            SoftmaxClassifier(C=float(C), tol=1e-4).fit(X, y)
        each = time.perf_counter() - start
    return {"status": "ok", "path": path, "each": each}


def _cuml() -> Any:
    """Return cuML's estimator if it is installed and has a GPU."""
    try:
        from cuml.linear_model import LogisticRegression
    except ImportError:
        return None
    return LogisticRegression


def _clusters(rows: int, columns: int, classes: int) -> tuple[Any, Any]:
    """Rows of unit length on average around the centres of their classes, on the device."""
    import torch

    place = "cuda" if torch.cuda.is_available() else "cpu"
    random = torch.Generator(place).manual_seed(0)
    options: dict[str, Any] = {"generator": random, "device": place}
    y = torch.randint(classes, (rows,), **options)
    X = torch.randn((rows, columns), **options)
    centres = torch.randn((classes, columns), **options)
    for start in range(0, rows, 2**16):
        X[start : start + 2**16] += 0.5 * centres[y[start : start + 2**16]]
    X /= 1.12 * columns**0.5
    return X, y


def _value(X: Any, y: Any, coef: Any, intercept: Any) -> float:
    """Objective in float64, block by block."""
    import torch

    W, b = (torch.as_tensor(part, device=X.device).double() for part in (coef, intercept))
    total = 0.0
    for start in range(0, len(X), 2**14):
        rows = slice(start, start + 2**14)
        z = X[rows].double() @ W.T + b
        total += float(torch.nn.functional.cross_entropy(z, y[rows], reduction="sum"))
    return total + float((W**2).sum()) / 2


def _torch_lbfgs(X: Any, y: Any) -> Iterator[tuple[float, Any, Any]]:
    """Yield seconds so far and parameters after every tenth iteration of the usual loop."""
    import torch

    K, scale = int(y.max()) + 1, len(X)
    W = torch.zeros((K, X.shape[1]), device=X.device, requires_grad=True)
    b = torch.zeros(K, device=X.device, requires_grad=True)
    optimizer = torch_lbfgs([W, b], max_iter=10)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(X @ W.T + b, y) + (W**2).sum() / (2 * scale)
        loss.backward()
        return loss

    took, last = 0.0, np.inf
    for _ in range(200):
        start = time.perf_counter()
        value = float(optimizer.step(closure))
        took += time.perf_counter() - start
        yield took, W.detach(), b.detach()
        if not value < last:
            return
        last = value


@contextmanager
def _added() -> Iterator[dict[str, float]]:
    """MiB that the block adds at its peak: on the GPU, or in the memory of the process."""
    import torch

    if not torch.cuda.is_available():
        with anonymous() as added:
            yield added
        return
    added = {"MiB": 0.0}
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    yield added
    torch.cuda.synchronize()
    added["MiB"] = (torch.cuda.max_memory_allocated() - before) / 2**20
