"""``python -m benchmarks``: the comparison with peers, and the measurements behind the claims.

Without ``--only`` every peer fits every problem, and `report.md`, `rows.csv` and `gap-*.png` are
written. With ``--only``, one measurement of `benchmarks.claims` is made. Its section is added to
the report, and the other sections stay.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from . import claims
from .claims.leaders import SIZES
from .peers import PEERS
from .problems import problems
from .report import (
    NOTES,
    environment,
    pictures,
    problem_section,
    summary,
    write_section,
)
from .run import choose_peers, choose_problems, compare, read_rows


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    found.add_argument(
        "--data", metavar="letter=FILE", help="the letter data as CSV; else OpenML is asked"
    )
    found.add_argument(
        "--problems",
        nargs="+",
        choices=list(problems()),
        metavar="NAME",
        help="; ".join(problems()),
    )
    found.add_argument(
        "--peers", nargs="+", choices=list(PEERS), metavar="NAME", help="; ".join(PEERS)
    )
    found.add_argument("--threads", nargs="+", choices=["all", "one"], default=["all"])
    found.add_argument("--out", type=Path, default=Path("benchmark-results"))
    found.add_argument("--limit", type=float, default=300, help="seconds for a fit")
    found.add_argument("--quick", action="store_true", help="small problems, small claims")
    found.add_argument("--keep", action="store_true", help="keep the rows of others in rows.csv")
    found.add_argument("--only", choices=["report", *claims.CLAIMS], help="one measurement")
    found.add_argument(
        "--size", choices=list(SIZES), default="small", help="of the problems of --only leaders"
    )
    found.add_argument("--fraction", type=float, help="of ImageNet's rows, for --only probe")
    found.add_argument("--seeds", nargs=2, type=int, metavar=("FIRST", "LAST"), help="for promise")
    return found


def main() -> None:
    """Do what the command line says."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # also ends the worker
    options.out = options.out.resolve()  # workers run in other folders
    options.out.mkdir(parents=True, exist_ok=True)
    report = options.out / "report.md"
    if options.only in claims.CLAIMS:
        title, measure = claims.CLAIMS[options.only]
        write_section(report, title, environment(sys.argv[1:]) + "\n\n" + measure(options))
        return
    if options.only != "report":
        write_section(report, "Environment", environment(sys.argv[1:]))
        compare(
            choose_problems(options.problems, options.data, quick=options.quick),
            choose_peers(options.peers),
            options.threads,
            options.out,
            options.limit,
            keep=options.keep,
        )
    rows = read_rows(options.out / "rows.csv")
    names = [f"![Gap against seconds]({path.name})" for path in pictures(rows, options.out)]
    write_section(report, "Targets", summary(rows))
    write_section(report, "How it was measured", "\n\n".join([NOTES, *names]))
    for name in dict.fromkeys(row.problem for row in rows):
        write_section(
            report, f"Problem: {name}", problem_section([r for r in rows if r.problem == name])
        )


if __name__ == "__main__":
    main()
