"""The promise of `tol`: measured gaps, on the problems and on random ones."""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..problems import draw_labels
from ..reference import minimum, objective
from ..run import choose_problems, fingerprint, reference_minimum, relative_gap
from ..worker import (
    launch,
    load,
    save,
    time_limit,
)
from ._common import fit_and_watch

_TOLERANCES = (1e-3, 1e-6, 1e-9)


#: In float64 a relative gap of this size cannot be distinguished from zero.
_ROUNDING = 1e-13


#: The minimum is known if the decrement of the reference is at most this.
_KNOWN = 1e-11


def promise(options: argparse.Namespace) -> str:
    """Measure gaps against tol, on the problems and on random ones."""
    first, last = options.seeds or (0, 20 if options.quick else 200)
    table = list(_promise_on_problems(options))
    random = list(_promise_on_seeds(range(first, last), options.limit))
    with (options.out / "promise.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*(table + random)[0]])
        writer.writeheader()
        writer.writerows(table + random)
    unknown = [row["problem"] for row in table + random if row["decrement"] > _KNOWN]
    killed = [
        f"{row['problem']} ({row['remark']}; {row['status']})"
        for row in table + random
        if row["status"] != "ok"
    ]
    return "\n\n".join(
        [
            "`SoftmaxClassifier(C=C, tol=tol)`, nothing else set. A fit keeps the promise if its "
            "measured gap is at most tol, or if it warned.",
            _promise_table("problems", table),
            _promise_table(f"random problems, seeds {first} to {last - 1}", random),
            f"Broken: {_listed(_broken(table + random))}.",
            f"Minimum known to less than {_KNOWN:g} only: {_listed(unknown)}.",
            f"No result: {_listed(killed)}.",
        ]
    )


def _promise_on_problems(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for problem in choose_problems(options.problems, options.data, quick=options.quick):
        with tempfile.TemporaryDirectory(dir=options.out) as folder:
            X, y = problem.load()
            save(X, y, Path(folder))
            key = f"{problem.name} {fingerprint(X, y)}"
            del X, y
            known = reference_minimum(options.out, key, folder, problem.C, options.limit)
            for tol in _TOLERANCES:
                result = launch(
                    "benchmarks.claims.promise:promise_task",
                    limit=options.limit,
                    data=folder,
                    C=problem.C,
                    tol=tol,
                )
                yield _promise_row(
                    problem.name, tol, result, known["objective"], known["decrement"]
                )


def _promise_on_seeds(seeds: Iterable[int], limit: float) -> Iterator[dict[str, Any]]:
    for seed in seeds:
        result = launch("benchmarks.claims.promise:seed_task", limit=limit, seed=seed)
        if result["status"] != "ok":
            result["remark"] = random_problem(seed)[-1]
        fits = result.pop("fits", [{}] * len(_TOLERANCES))
        lowest = min([fit["objective"] for fit in fits if fit] + [result.get("minimum", math.inf)])
        for tol, fit in zip(_TOLERANCES, fits, strict=True):
            yield _promise_row(
                f"seed {seed}", tol, result | fit, lowest, result.get("decrement", math.nan)
            )


def _promise_row(
    name: str, tol: float, result: dict[str, Any], lowest: float, decrement: float
) -> dict[str, Any]:
    row = {
        "problem": name,
        "tol": tol,
        "gap": relative_gap(result.get("objective", math.nan), lowest),
        "warned": result.get("warned", False),
        "seconds": result.get("seconds", math.nan),
        "decrement": decrement,
        "status": result["status"],
        "remark": result.get("remark", ""),
    }
    print(
        f"{name:12} tol {tol:.0e}  gap {row['gap']:8.1e}{'  warned' if row['warned'] else ''}"
        f"  {row['seconds']:.3g} s  decrement {decrement:.0e}  {row['status']}  {row['remark']}",
        flush=True,
    )
    return row


def promise_task(*, data: str, C: float, tol: float, limit: float) -> dict[str, Any]:
    """Fit with the defaults and a tolerance."""
    X, y = load(data)
    with time_limit(limit):
        _, result = _fit_and_measure(X, y, C, tol)
    return {"status": "ok", **result}


def seed_task(*, seed: int, limit: float) -> dict[str, Any]:
    """Fit a random problem with every tolerance. The reference starts from the best fit."""
    X, y, C, words = random_problem(seed)
    with time_limit(limit):
        models, fits = zip(*(_fit_and_measure(X, y, C, tol) for tol in _TOLERANCES), strict=True)
    best = models[int(np.argmin([fit["objective"] for fit in fits]))]
    known = minimum(X, y, C, start=(best.coef_, best.intercept_), limit=limit)
    return {
        "status": "ok",
        "fits": fits,
        "minimum": known.objective,
        "decrement": known.decrement,
        "remark": words,
    }


def _fit_and_measure(X: Any, y: NDArray, C: float, tol: float) -> tuple[Any, dict[str, Any]]:
    start = time.perf_counter()
    model, warned = fit_and_watch(X, y, C=C, tol=tol)
    seconds = time.perf_counter() - start
    value = objective(X, y, model.coef_, model.intercept_, C)
    return model, {"objective": value, "warned": warned, "seconds": seconds}


def random_problem(seed: int) -> tuple[NDArray | sp.csr_matrix, NDArray, float, str]:
    """Return X, targets, C and a description: any shape, kind and units."""
    rng = np.random.default_rng(seed)
    n, p, K = (
        round(low * (high / low) ** rng.random()) for low, high in [(10, 10_000), (1, 500), (2, 50)]
    )
    C = 10 ** rng.uniform(-3, 6)
    sparse, soft = rng.random(2) < 0.5
    units = rng.choice(["as they are", "one factor", "a factor per column"])
    X = rng.standard_normal((n, p))
    if sparse:
        X *= rng.random((n, p)) < 10 ** rng.uniform(-2, -0.5)
    else:
        X = X @ (np.eye(p) + rng.standard_normal((p, p)) / np.sqrt(p)) + rng.standard_normal(p)
    logits = X @ rng.standard_normal((p, K)) * rng.uniform(0.3, 3) / np.sqrt(p)
    if soft:
        y = np.exp(logits + rng.standard_normal((n, K)))
        y /= y.sum(axis=1, keepdims=True)
    else:
        y = draw_labels(rng, logits)
        y[:2] = 0, 1  # at least two classes
    if units != "as they are":
        X = X * 10 ** rng.uniform(-6, 6, p if units == "a factor per column" else 1)
    words = (
        f"{'sparse' if sparse else 'dense'} ({n}, {p}) {K} classes "
        f"{'probabilities' if soft else 'labels'} C={C:.1e} units {units}"
    )
    return (sp.csr_matrix(X) if sparse else X), y, C, words


def _promise_table(name: str, rows: list[dict[str, Any]]) -> str:
    lines = [
        f"| {name}, tol | fits | warned | broken | largest gap / tol without a warning |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for tol in _TOLERANCES:
        at = [row for row in rows if row["tol"] == tol]
        quiet = [r["gap"] / tol for r in at if r["status"] == "ok" and not r["warned"]]
        warned = sum(row["warned"] for row in at)
        lines.append(
            f"| {tol:.0e} | {len(at)} | {warned} | {len(_broken(at))} "
            f"| {max(quiet, default=math.nan):.3g} |"
        )
    return "\n".join(lines)


def _broken(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['problem']} (tol {row['tol']:.0e}, gap {row['gap']:.1e}; {row['remark']})"
        for row in rows
        if row["status"] == "ok" and not row["warned"] and not row["gap"] <= row["tol"] + _ROUNDING
    ]


def _listed(words: list[str]) -> str:
    return ", ".join(dict.fromkeys(words)) or "none"
