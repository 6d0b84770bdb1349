"""Fits in two processes have the same bits."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from typing import Any

from ..problems import Data, embeddings, problems, raw_table
from ..worker import (
    launch,
)
from ._common import DAY, fit_and_watch

_REPEATED: dict[str, Callable[[], Data]] = {
    "digits": lambda: problems()["digits"].load(),
    "raw table (50 000, 54)": lambda: raw_table(50_000),
    "embeddings (10 000, 128), float32": lambda: embeddings(10_000, 128, 10, "float32"),
    "text": lambda: problems()["text"].load(),
}


def repeat(options: argparse.Namespace) -> str:
    """Compare the coefficients of two processes bit by bit."""
    lines = ["| problem | two processes |", "| --- | --- |"]
    for name in _REPEATED:
        found = [
            launch("benchmarks.claims.repeat:repeat_task", limit=DAY, name=name) for _ in range(2)
        ]
        same = found[0] == found[1] and found[0]["status"] == "ok"
        lines.append(f"| {name} | {'equal bit for bit' if same else f'differ: {found}'} |")
    return "\n".join(lines)


def repeat_task(*, name: str, limit: float) -> dict[str, Any]:
    """Hash the coefficients of a fit."""
    model, _ = fit_and_watch(*_REPEATED[name]())
    found = hashlib.sha256(model.coef_.tobytes() + model.intercept_.tobytes())
    return {"status": "ok", "hash": found.hexdigest()}
