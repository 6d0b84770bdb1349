"""The fastest peer on linear probes, by the number of rows and the distance between classes."""

from __future__ import annotations

import argparse
from functools import partial

from ..peers import PEERS
from ..problems import Problem, clusters
from ..report import against, draw_leaders, seconds_to
from ..run import Row, compare

_COLUMNS, _CLASSES = 128, 50
#: Rows per coefficient; distance of class means, in standard deviations of the noise.
_ROWS, _APART = (0.1, 0.4, 1.6, 6.4), (0.3, 0.6, 1.0, 1.5)
_GAPS = (1e-2, 1e-4, 1e-6)
#: The peers that are fastest on some of these problems.
_PEERS = ("skce auto", "torch LBFGS", "cyanure", "sklearn newton-cg", "sklearn lbfgs")


def leaders(options: argparse.Namespace) -> str:
    """Compare with the fastest peers on a grid of problems, and draw which is the fastest."""
    rows = (0.1, 1.6) if options.quick else _ROWS
    grid = {(share, apart): _problem(share, apart) for share in rows for apart in _APART}
    out = options.out / "leaders"
    out.mkdir(exist_ok=True)
    peers = [PEERS[name] for name in options.peers or _PEERS]
    measured = compare(grid.values(), peers, options.threads[:1], out, options.limit)
    tables = []
    ratios: dict[float, list[list[float]]] = {}
    for gap in _GAPS:
        lines = [
            f"Gap of {gap:.0e}:",
            "",
            "| rows / (K p) | " + " | ".join(f"{apart:g} apart" for apart in _APART) + " |",
            "| ---: |" + " --- |" * len(_APART),
        ]
        ratios[gap] = []
        for share in rows:
            found = [_cell(measured, grid[share, apart], gap) for apart in _APART]
            ratios[gap].append([ratio for ratio, _ in found])
            lines.append(f"| {share:g} | {' | '.join(text for _, text in found)} |")
        tables.append("\n".join(lines))
    draw_leaders(rows, _APART, ratios, options.out / "leaders.png")
    intro = (
        f"Clusters in {_COLUMNS} columns, {_CLASSES} classes, float32, C = 1. Seconds of the "
        "fastest peer over those of `skce auto`, each at its best tolerance for the gap: above 1 "
        "skce is first."
    )
    return "\n\n".join([intro, *tables, "![Who is first](leaders.png)"])


def _problem(share: float, apart: float) -> Problem:
    """Return clusters with `share` rows for each coefficient."""
    n = round(share * _COLUMNS * _CLASSES)
    load = partial(clusters, n, _COLUMNS, _CLASSES, apart)
    return Problem(f"{share:g} rows per coefficient, {apart:g} apart", load)


def _cell(rows: list[Row], problem: Problem, gap: float) -> tuple[float, str]:
    """Return the ratio to the fastest peer, and its text with the name."""
    own = [row for row in rows if row.problem == problem.name]
    theirs = [row for row in own if row.family != "skce"]
    ours = seconds_to([row for row in own if row.family == "skce"], gap)
    return against(theirs, ours, gap)
