"""The comparison: every peer with its tolerances on every problem, in one process per fit."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from .peers import PEERS, Peer
from .problems import Problem, problems
from .worker import launch, save

#: Once a peer has reached this gap, its tighter tolerances are skipped.
ENOUGH = 1e-9
#: Problems that take only seconds.
QUICK = ("iris", "wine", "breast cancer", "digits")
#: The reference may take this many times the limit of a fit.
_REFERENCE_LIMIT = 6


@dataclass
class Row:
    """A fit, or a point on the way of a fit.

    Attributes
    ----------
    problem, kind : str
    C, l1_ratio : float
    threads : {"all", "one"}
    peer, family : str
    tol : float or None
    status : str
        "ok", or why there are no figures.
    seconds, iterations, objective : float
    gap : float
        (objective - minimum) / minimum.
    memory : float
        MiB that the fit adds at its peak.
    repeats : int
        Number of fits. `seconds` is their median.
    warnings, note : str
    """

    problem: str
    kind: str
    C: float
    l1_ratio: float
    threads: str
    peer: str
    family: str
    tol: float | None
    status: str
    seconds: float = math.nan
    iterations: float = math.nan
    objective: float = math.nan
    gap: float = math.nan
    memory: float = math.nan
    repeats: int = 0
    warnings: str = ""
    note: str = ""


def compare(
    problems: Iterable[Problem],
    peers: Iterable[Peer],
    threads: Iterable[str],
    out: Path,
    limit: float,
    *,
    keep: bool = False,
) -> list[Row]:
    """Measure peers on problems. Rows are written to `out/rows.csv` after each problem.

    Parameters
    ----------
    problems : iterable of Problem
    peers : iterable of Peer
    threads : iterable of {"all", "one"}
    out : Path
    limit : float
        The most seconds for a fit.
    keep : bool
        Whether to keep rows of `out/rows.csv` that are not measured again.
    """
    path = out / "rows.csv"
    rows = read_rows(path) if keep and path.exists() else []
    peers, threads = list(peers), list(threads)
    for problem in problems:
        print(f"\n{problem.name}", flush=True)
        with tempfile.TemporaryDirectory(dir=out) as folder:
            try:
                X, y = problem.load()
            except Exception as error:  # the file or the network is missing
                print(f"  skipped, no data: {type(error).__name__}: {error}")
                continue
            save(X, y, Path(folder))
            key = f"{problem.name} {fingerprint(X, y)}"
            n_classes = len(np.unique(y))
            del X, y
            minimum = reference_minimum(
                out, key, folder, problem.C, limit, l1_ratio=problem.l1_ratio
            )["objective"]
            of_problem: list[Row] = []
            for count in threads:
                for peer in peers:
                    if peer.takes(n_classes, problem.l1_ratio):
                        of_problem += _ladder(problem, peer, count, folder, minimum, limit)
            rows = _merged(rows, of_problem)
            _set_gaps([r for r in rows if r.problem == problem.name], minimum, out, key)
            write_rows(path, rows)
    return rows


def _merged(old: list[Row], new: list[Row]) -> list[Row]:
    """Return rows in the order of problems and peers. New rows replace old rows of the same fit."""
    measured = {(row.problem, row.threads, row.peer) for row in new}
    rows = [row for row in old if (row.problem, row.threads, row.peer) not in measured] + new
    order = list(dict.fromkeys(row.problem for row in rows))
    return sorted(
        rows, key=lambda row: (order.index(row.problem), row.threads, [*PEERS].index(row.peer))
    )


def _ladder(
    problem: Problem, peer: Peer, threads: str, data: str, minimum: float, limit: float
) -> list[Row]:
    """Fit a peer with tolerances from loose to tight, as long as the results change."""
    rows: list[Row] = []
    for tol in peer.tolerances:
        label = {
            "problem": problem.name,
            "kind": problem.kind,
            "C": problem.C,
            "l1_ratio": problem.l1_ratio,
            "threads": threads,
            "peer": peer.name,
            "family": peer.family,
            "tol": tol,
        }
        result = launch(
            "benchmarks.worker:fit",
            threads=threads,
            limit=limit,
            data=data,
            peer=peer.name,
            tol=tol,
            C=problem.C,
            l1_ratio=problem.l1_ratio,
            enough=minimum * (1 + ENOUGH) if math.isfinite(minimum) else 0.0,
        )
        points = result.pop("points", [{}])
        rows += [Row(**{**label, **result, **point}) for point in points]
        last = rows[-1]
        gap = relative_gap(last.objective, minimum)
        print(
            f"  {threads}  {peer.name:24} tol {tol or 0:7.0e}  {last.seconds:9.4f} s"
            f"  gap {gap:8.1e}  iterations {last.iterations:7g}  {last.memory:7.1f} MiB"
            f"  {last.status}",
            flush=True,
        )
        if last.status != "ok" or gap <= ENOUGH or _is_stuck(rows):
            break
    return rows


def _is_stuck(rows: list[Row]) -> bool:
    """Whether tolerances no longer matter: the result was the same twice, or with a warning."""
    needed = 2 if rows[-1].warnings else 3
    return len(rows) >= needed and len({row.objective for row in rows[-needed:]}) == 1


def fingerprint(X: Any, y: Any) -> str:
    """Return a hash of the data."""
    found = hashlib.sha256(repr((X.shape, X.dtype)).encode())
    for part in (X.data, X.indices, X.indptr, y) if sp.issparse(X) else (X, y):
        found.update(np.ascontiguousarray(part).view(np.uint8).data)
    return found.hexdigest()[:16]


def reference_minimum(
    out: Path, key: str, data: str, C: float, limit: float, *, l1_ratio: float = 0.0
) -> dict[str, float]:
    """Return the minimum and the decrement there, from `out/minima.json` or from the reference."""
    known = _minima(out)
    if key not in known:
        task = "certified_optimum" if l1_ratio else "optimum"
        result = launch(f"benchmarks.worker:{task}", limit=_REFERENCE_LIMIT * limit, data=data, C=C)
        print(f"  reference: {result}", flush=True)
        known[key] = {k: result.get(k, math.inf) for k in ("objective", "decrement")}
        _write_minima(out, known)
    return known[key]


def _set_gaps(rows: list[Row], minimum: float, out: Path, key: str) -> None:
    """Set the gaps, with the lowest objective of all peers and the reference as the minimum."""
    seen = [row.objective for row in rows if row.objective < minimum]
    if seen:
        minimum = min(seen)
        known = _minima(out)
        known[key]["objective"] = minimum
        _write_minima(out, known)
    for row in rows:
        row.gap = relative_gap(row.objective, minimum)


def relative_gap(objective: float, minimum: float) -> float:
    """Return the distance to the minimum, relative to the minimum."""
    return (objective - minimum) / minimum if math.isfinite(minimum) else math.nan


def _minima(out: Path) -> dict[str, dict[str, float]]:
    path = out / "minima.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _write_minima(out: Path, known: dict[str, dict[str, float]]) -> None:
    (out / "minima.json").write_text(json.dumps(known, indent=1) + "\n")


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write rows as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_rows(path: Path) -> list[Row]:
    """Read the rows that `write_rows` wrote."""
    with path.open(newline="") as file:
        return [_row(cells) for cells in csv.DictReader(file)]


def _row(cells: dict[str, Any]) -> Row:
    for name in ("C", "l1_ratio", "seconds", "iterations", "objective", "gap", "memory"):
        cells[name] = float(cells[name])
    tol = float(cells["tol"]) if cells["tol"] else None
    return Row(**{**cells, "tol": tol, "repeats": int(cells["repeats"])})


def choose_problems(
    names: list[str] | None, data: str | None, *, quick: bool = False
) -> list[Problem]:
    """Return the problems with these names, the quick ones, or all.

    Parameters
    ----------
    names : list of str or None
    data : str or None
        ``letter=FILE`` or ``FILE``: the file of the letter data.
    quick : bool
    """
    known = problems(data and data.removeprefix("letter="))
    return [known[name] for name in names or (QUICK if quick else known)]


def choose_peers(names: list[str] | None) -> list[Peer]:
    """Return the peers with these names, or all."""
    return [PEERS[name] for name in names or PEERS]
