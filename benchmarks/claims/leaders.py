"""The fastest peer on linear probes, by the number of rows and the distance between classes."""

from __future__ import annotations

import argparse
import math
from functools import partial
from itertools import chain
from statistics import geometric_mean

from ..peers import PEERS
from ..problems import Problem, clusters
from ..report import against, draw_leaders, seconds_to
from ..run import Row, compare

#: Columns, classes and rows per coefficient.
SIZES = {"small": (128, 50, (0.1, 0.4, 1.6, 6.4)), "large": (512, 100, (0.1, 0.4, 1.6))}
#: Distance of class means, in standard deviations of the noise.
_APART = (0.3, 0.6, 1.0, 1.5)
_GAPS = (1e-2, 1e-4, 1e-6)
#: The peers that are fastest on some of these problems.
_PEERS = ("skce auto", "torch LBFGS", "cyanure", "sklearn newton-cg", "sklearn lbfgs")


def leaders(options: argparse.Namespace) -> str:
    """Compare with the fastest peers on a grid of problems, and draw which is the fastest."""
    p, K, rows = SIZES[options.size]
    rows = (0.1, 1.6) if options.quick else rows
    grid = {(share, apart): _problem(p, K, share, apart) for share in rows for apart in _APART}
    name = "leaders" if options.size == "small" else f"leaders-{options.size}"
    out = options.out / name
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
    draw_leaders(rows, _APART, ratios, options.out / f"{name}.png")
    known = {gap: filter(math.isfinite, chain(*of_gap)) for gap, of_gap in ratios.items()}
    means = [f"{geometric_mean(known[gap]):.2f} to {gap:.0e}" for gap in _GAPS]
    intro = (
        f"Clusters in {p} columns, {K} classes, float32, C = 1. Seconds of the "
        "fastest peer over those of `skce auto`, each at its best tolerance for the gap: above 1 "
        "skce is first. Geometric means: "
        + ", ".join(means)
        + ". If no peer reached the gap, its time is at least the limit."
    )
    return "\n\n".join([intro, *tables, f"![Who is first]({name}.png)"])


def _problem(p: int, K: int, share: float, apart: float) -> Problem:
    """Return clusters with `share` rows for each coefficient."""
    n = round(share * p * K)
    load = partial(clusters, n, p, K, apart)
    return Problem(f"{share:g} rows per coefficient, {apart:g} apart", load)


def _cell(rows: list[Row], problem: Problem, gap: float) -> tuple[float, str]:
    """Return the ratio to the fastest peer, and its text with the name."""
    own = [row for row in rows if row.problem == problem.name]
    theirs = [row for row in own if row.family != "skce"]
    ours = seconds_to([row for row in own if row.family == "skce"], gap)
    return against(theirs, ours, gap)
