"""The report: tables and a check of each target in Markdown, and pictures of gap against time."""

from __future__ import annotations

import math
import os
import platform
import shlex
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .run import Row

#: Gaps for which the tables give seconds.
GAPS = (1e-4, 1e-6)
#: Gaps at which all peers are compared: users of linear probes stop early.
_BY_GAP = (1e-2, 1e-4, 1e-6)
#: The mean ratio leaves out problems that scikit-learn solves in fewer seconds.
_TOO_SHORT = 0.02
_LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-learn-intelex",
    "torch",
    "cyanure",
    "snapml",
    "glum",
    "skglm",
    "dask",
    "dask-ml",
    "pyspark",
    "h5py",
    "zarr",
    "pyarrow",
    "threadpoolctl",
    "matplotlib",
)
_COLOURS = (
    *("tab:blue", "tab:cyan", "navy", "black", "tab:orange", "tab:red", "tab:brown", "tab:pink"),
    *("tab:grey", "tab:green", "tab:purple", "tab:olive"),
)
#: Beginning of the status of a fit that took too long.
_STOPPED = "killed at "
#: The end of log axes: smaller gaps are only rounding.
_FLOOR = 1e-12


def write_section(path: Path, title: str, body: str) -> None:
    """Append a section to a report. It replaces a section with the same title."""
    print(f"\n## {title}\n\n{body}")
    sections = path.read_text().split("\n## ") if path.exists() else ["# Benchmarks\n"]
    kept = [sections[0]] + [s for s in sections[1:] if s.split("\n", 1)[0] != title]
    path.write_text("\n## ".join([*kept, f"{title}\n\n{body.rstrip()}\n"]))


def environment(arguments: list[str]) -> str:
    """Machine, versions and command line."""
    import skce

    lines = [
        f"- Command: `python -m benchmarks {' '.join(_quoted(arguments))}`",
        f"- Machine: {_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB,"
        f" {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}, skce {skce.__version__}, "
        + ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES),
        f"- {_blas()}",
    ]
    return "\n".join(lines)


def problem_section(rows: list[Row]) -> str:
    """Tables of one problem: a line per peer, a table per number of threads."""
    tables = []
    for threads in _unique(row.threads for row in rows):
        of_threads = [row for row in rows if row.threads == threads]
        lines = [
            f"Threads: {threads}.",
            "",
            "| peer | "
            + " | ".join(f"s to {gap:.0e}" for gap in GAPS)
            + " | tol | iterations | MiB | warned | best gap | remark |",
            "| --- |" + " ---: |" * len(GAPS) + " ---: | ---: | ---: | --- | ---: | --- |",
        ]
        lines += [_line(_of(of_threads, peer=p)) for p in _unique(r.peer for r in of_threads)]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


NOTES = """\
Every fit ran in a process of its own, after a small fit to warm up. Fits of less than 0.2 s were
repeated, and the table has the median. The gap is (objective - minimum) / minimum.
`benchmarks.reference.objective` computes the objective in float64 from the coefficients.

"s to 1e-06" is the time of the fastest fit of a solver whose measured gap is at most 1e-06. Each
solver ran with several tolerances. Tolerance, iterations and memory are those of this fit, or of
the last fit if no fit reached the gap. Memory is the peak resident memory that the fit added.

All solvers have the raw columns, because standardised columns would make a different penalty.
liblinear penalises its intercept. `intercept_scaling=1000` makes this penalty small, and its gap is
that of the objective without it. torch LBFGS is a single run of at most 20 000 iterations, and is
measured at points on its way."""


def summary(rows: list[Row]) -> str:
    """Check of the targets, for each number of threads."""
    parts = []
    for threads in _unique(row.threads for row in rows):
        of_threads = [row for row in rows if row.threads == threads]
        parts.append(f"### Threads: {threads}")
        l2 = [row for row in of_threads if not row.l1_ratio]
        l1 = [row for row in of_threads if row.l1_ratio]
        parts += [_by_gap(l2), _ratios(l2), _defaults(l2)] if l2 else []
        parts += [_ratios_of_l1(l1)] if l1 else []
    return "\n\n".join(parts)


def _by_gap(rows: list[Row]) -> str:
    """Seconds of skce to each gap, and the ratio of the fastest other peer to them."""
    lines = [
        "The table has the seconds of skce auto. The brackets say how many times as long the "
        "fastest other solver took. Each solver has its best tolerance for the gap:",
        "",
        f"| problem | {' | '.join(f'gap {gap:.0e}' for gap in _BY_GAP)} |",
        f"| --- |{' --- |' * len(_BY_GAP)}",
    ]
    ratios: dict[float, list[float]] = {gap: [] for gap in _BY_GAP}
    for problem in _unique(row.problem for row in rows):
        of_problem, cells = _of(rows, problem=problem), []
        theirs = [row for row in of_problem if row.family != "skce"]
        for gap in _BY_GAP:
            ours = seconds_to(_of(of_problem, peer="skce auto"), gap)
            ratio, text = against(theirs, ours, gap)
            cells.append(_seconds(ours) + (f" ({text})" if math.isfinite(ours) else ""))
            if math.isfinite(ours) and math.isfinite(ratio):
                ratios[gap].append(ratio)
        lines.append(f"| {problem} | {' | '.join(cells)} |")
    means = [f"{statistics.geometric_mean(found):.2f}" for found in ratios.values() if found]
    if means:
        lines.append(f"| geometric mean | {' | '.join(means)} |")
    return "\n".join(lines)


def against(theirs: list[Row], ours: float, gap: float) -> tuple[float, str]:
    """Return the ratio of the fastest other peer's seconds to ours, and its text with the name.

    If no peer reached the gap, it is the least possible ratio, and the text begins with ">".
    """
    winner, ratio = fastest(theirs, gap), at_least(theirs, gap) / ours
    if not math.isfinite(ratio):
        return ratio, "-"
    name = f" {winner.peer.removeprefix('sklearn ')}" if winner else ""
    return ratio, f"{'' if winner else '> '}{ratio:.2f}{name}"


def _ratios_of_l1(rows: list[Row]) -> str:
    """Seconds to 1e-6 with L1: ratios of the fastest of scikit-learn, and of others, to skce."""
    lines = [
        "L1 penalty, seconds to a gap of 1e-6:",
        "",
        "| problem | skce auto, s | fastest of scikit-learn, s | ratio | fastest of others, s "
        "| ratio |",
        "| --- | ---: | --- | ---: | --- | ---: |",
    ]
    for problem in _unique(row.problem for row in rows):
        of_problem = _of(rows, problem=problem)
        ours = seconds_to(_of(of_problem, peer="skce auto"), 1e-6)
        cells = [problem, _seconds(ours)]
        for family in ("scikit-learn", "other"):
            theirs = _of(of_problem, family=family)
            winner, seconds = fastest(theirs, 1e-6), at_least(theirs, 1e-6)
            sign = "" if winner or math.isinf(seconds) else "> "
            name = f" ({winner.peer.removeprefix('sklearn ')})" if winner else ""
            cells += [f"{sign}{_seconds(seconds)}{name}", f"{sign}{_ratio(seconds, ours)}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratios(rows: list[Row]) -> str:
    """Seconds to 1e-6: ratios of the fastest solver of scikit-learn, and of torch, to skce."""
    lines = [
        "| problem | skce auto, s | skce best, s | fastest of scikit-learn, s | ratio to auto "
        "| torch LBFGS, s | ratio to auto |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    ratios: dict[str, dict[str, float]] = {"dense": {}, "sparse": {}, "torch": {}}
    long_enough = []
    for problem in _unique(row.problem for row in rows):
        of_problem = _of(rows, problem=problem)
        ours = seconds_to(_of(of_problem, peer="skce auto"), 1e-6)
        best = seconds_to(_of(of_problem, family="skce"), 1e-6)
        of_sklearn = _of(of_problem, family="scikit-learn")
        of_torch = _of(of_problem, peer="torch LBFGS")
        theirs, torch = at_least(of_sklearn, 1e-6), at_least(of_torch, 1e-6)
        winner = fastest(of_sklearn, 1e-6)
        name = f" ({winner.peer.removeprefix('sklearn ')})" if winner else ""
        sign, torch_sign = "" if winner else "> ", "" if fastest(of_torch, 1e-6) else "> "
        lines.append(
            f"| {problem} | {_seconds(ours)} | {_seconds(best)} | {sign}{_seconds(theirs)}{name} "
            f"| {sign}{_ratio(theirs, ours)} | {torch_sign}{_seconds(torch)} "
            f"| {torch_sign}{_ratio(torch, ours)} |"
        )
        if math.isfinite(ours) and math.isfinite(theirs):
            ratios[of_problem[0].kind][problem] = theirs / ours
            if theirs > _TOO_SHORT:
                long_enough.append(theirs / ours)
        if problem.startswith("embeddings") and math.isfinite(torch) and math.isfinite(ours):
            ratios["torch"][problem] = torch / ours
    checks = [
        "",
        "The ratios are seconds to a gap of 1e-6, those of the other solver over those of skce "
        "auto. If nobody reached the gap, `>` says how long the first solver that was stopped had "
        "tried. This counts as its time:",
        "",
    ]
    if long_enough:
        mean = statistics.geometric_mean(long_enough)
        checks.append(
            f"- geometric mean over the {len(long_enough)} problems on which the fastest solver of "
            f"scikit-learn takes more than {1000 * _TOO_SHORT:g} ms: {mean:.2f}"
        )
    for kind, name in (
        ("dense", "scikit-learn's fastest, dense problems"),
        ("sparse", "scikit-learn's fastest, sparse problems"),
        ("torch", "torch LBFGS, embeddings"),
    ):
        if ratios[kind]:
            least = min(ratios[kind], key=ratios[kind].__getitem__)
            checks.append(f"- {name}: at least {ratios[kind][least]:.2f} ({least})")
    return "\n".join(lines + checks)


def _defaults(rows: list[Row]) -> str:
    """`SoftmaxClassifier()` beside `LogisticRegression()`, with only C set."""
    lines = [
        "This table compares `SoftmaxClassifier` (ours) with `LogisticRegression` (theirs), both "
        "with their default parameters, and C as in the problem:",
        "",
        "| problem | ours, s | theirs, s | ratio of seconds, theirs over ours "
        "| objective, theirs over ours | gap, ours | gap, theirs | ours warned | theirs warned |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for problem in _unique(row.problem for row in rows):
        ours = _of(rows, problem=problem, peer="SoftmaxClassifier()")
        theirs = _of(rows, problem=problem, peer="LogisticRegression()")
        if ours and theirs:
            a, b = ours[0], theirs[0]
            lines.append(
                f"| {problem} | {_seconds(a.seconds)} | {_seconds(b.seconds)} "
                f"| {b.seconds / a.seconds:.2f} | {b.objective / a.objective:.6f} "
                f"| {_gap(a.gap)} | {_gap(b.gap)} | {a.warnings or 'no'} | {b.warnings or 'no'} |"
            )
    return "\n".join(lines)


def pictures(rows: list[Row], out: Path) -> list[Path]:
    """Draw gap against seconds: a panel per problem, a picture per number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    peers = _unique(row.peer for row in rows)
    paths = []
    for threads in _unique(row.threads for row in rows):
        of_threads = [row for row in rows if row.threads == threads]
        problems = _unique(row.problem for row in of_threads)
        columns = min(2, len(problems))
        height = math.ceil(len(problems) / columns)
        figure, axes = plt.subplots(
            height, columns, figsize=(4.3 * columns, 3.3 * height + 0.9), squeeze=False
        )
        for axis in axes.flat[len(problems) :]:
            axis.axis("off")
        for axis, problem in zip(axes.flat, problems, strict=False):
            _panel(axis, _of(of_threads, problem=problem), peers)
            axis.set_title(problem, fontsize=10)
        legend: dict[str, Any] = {}
        for axis in axes.flat:
            legend |= {line.get_label(): line for line in axis.get_lines()}
        names = [peer for peer in peers if peer in legend]
        handles = [legend[name] for name in names]
        figure.legend(handles, names, loc="upper center", ncol=4, fontsize=9)
        for axis in axes[:, 0]:
            axis.set_ylabel("relative gap")
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.9 / (3.3 * height + 0.9)))
        paths.append(out / f"gap-{threads}.png")
        figure.savefig(paths[-1], dpi=110)
        plt.close(figure)
    return paths


def draw_leaders(
    rows: tuple[float, ...],
    apart: tuple[float, ...],
    ratios: dict[float, list[list[float]]],
    path: Path,
) -> None:
    """Draw a map for each gap: the ratio of the time of the fastest peer to that of skce."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm

    figure, axes = plt.subplots(
        1, len(ratios), figsize=(2.3 * len(ratios) + 1, 3.2), layout="constrained", sharey=True
    )
    for axis, (gap, of_gap) in zip(axes, ratios.items(), strict=True):
        drawn = axis.imshow(of_gap, norm=LogNorm(1 / 8, 8), cmap="RdBu", aspect="auto")
        for i, line in enumerate(of_gap):
            for j, ratio in enumerate(line):
                colour = "white" if not 1 / 4 < ratio < 4 else "black"
                axis.text(j, i, f"{ratio:.1f}", ha="center", va="center", color=colour)
        axis.set_xticks(range(len(apart)), [f"{value:g}" for value in apart])
        axis.set_yticks(range(len(rows)), [f"{value:g}" for value in rows])
        axis.set_title(f"to a gap of {gap:.0e}", fontsize=11)
    figure.supxlabel("distance of the class means, in deviations of the noise", fontsize=10)
    axes[0].set_ylabel("rows / (classes x columns)")
    bar = figure.colorbar(drawn, ax=axes, label="seconds, fastest peer / skce")
    bar.minorticks_off()
    bar.set_ticks(
        [1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8], labels=["1/8", "1/4", "1/2", "1", "2", "4", "8"]
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_growth(sizes: list[int], times: dict[str, list[float]], path: Path) -> None:
    """Draw seconds against rows, with a line of slope one for comparison."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    figure, axis = plt.subplots(figsize=(6, 4.5))
    for marker, (name, seconds) in zip("os", times.items(), strict=False):
        axis.loglog(sizes, seconds, marker=marker, label=name)
        linear = [seconds[0] * n / sizes[0] for n in sizes]
        axis.loglog(sizes, linear, color="grey", linewidth=0.8, linestyle=":")
    axis.plot([], [], color="grey", linewidth=0.8, linestyle=":", label="proportional to the rows")
    axis.set_xticks(sizes, [f"{n:,}" for n in sizes])
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.set_xlabel("rows")
    axis.set_ylabel("seconds to tol=1e-6")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_reach(
    sizes: Sequence[int],
    times: dict[str, list[float]],
    n: NDArray,
    reckoned: dict[str, NDArray],
    path: Path,
) -> None:
    """Draw measured seconds of a pass against rows, and extrapolate them by lines."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
    for marker, (name, seconds) in zip("os^D", times.items(), strict=False):
        (line,) = axis.loglog(sizes, seconds, marker, label=name)
        axis.loglog(n, seconds[-1] * n / sizes[-1], color=line.get_color(), linewidth=0.8)
    for style, (name, seconds) in zip(("-", "--"), reckoned.items(), strict=False):
        axis.loglog(n, seconds, style, color="black", linewidth=1, label=name)
    for seconds, name in ((1, "1 s"), (60, "1 min"), (3600, "1 h")):
        axis.axhline(seconds, color="grey", linewidth=0.6, linestyle=":")
        axis.text(n[0], 1.1 * seconds, name, color="grey", fontsize=9)
    axis.set_xlabel("rows")
    axis.set_ylabel("seconds of a pass")
    axis.set_xlim(0.8 * n[0], 1.2 * n[-1])
    figure.legend(fontsize=9, loc="outside lower center", ncols=2)
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _panel(axis: Any, rows: list[Row], peers: list[str]) -> None:
    """Draw a line for each peer through its measured points."""
    for i, peer in enumerate(peers):
        points = [r for r in _of(rows, peer=peer) if r.status == "ok" and math.isfinite(r.gap)]
        ours = points and points[0].family == "skce"
        if points:
            axis.plot(
                [row.seconds for row in points],
                [max(row.gap, _FLOOR) for row in points],
                label=peer,
                color=_COLOURS[i % len(_COLOURS)],
                marker="osD^v<>P*X"[i % 10],
                markersize=6 if len(points) < 10 else 3,
                linewidth=2 if ours else 1,
                linestyle="-" if ours else "--",
            )
    axis.axhline(GAPS[-1], color="grey", linewidth=0.8, linestyle=":")
    axis.set_xscale("log")
    axis.set_yscale("log")
    seconds = [row.seconds for row in rows if row.status == "ok"] or [1.0]
    decades = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    axis.set_xlim(10.0 ** decades[0], 10.0 ** max(decades[1], decades[0] + 1))
    axis.set_ylim(_FLOOR / 2, None)
    axis.set_xlabel("seconds")
    axis.grid(alpha=0.3)


def fastest(rows: Iterable[Row], gap: float) -> Row | None:
    """Return the fastest row whose measured gap is at most `gap`."""
    reached = [row for row in rows if row.status == "ok" and row.gap <= gap]
    return min(reached, key=lambda row: row.seconds, default=None)


def seconds_to(rows: Iterable[Row], gap: float) -> float:
    """Seconds of the fastest row that reached the gap; infinite if there is none."""
    row = fastest(rows, gap)
    return row.seconds if row else math.inf


def at_least(rows: list[Row], gap: float) -> float:
    """Seconds to the gap or, if no peer reached it, after which the first one was stopped."""
    tried = [math.inf]
    for peer in _unique(row.peer for row in rows):
        last = _of(rows, peer=peer)[-1]
        if last.status.startswith(_STOPPED):
            tried.append(float(last.status.removeprefix(_STOPPED).split()[0]))
        elif last.status == "ok" and last.family == "other" and last.tol is None:  # ended by itself
            tried.append(last.seconds)
    reached = seconds_to(rows, gap)
    return reached if math.isfinite(reached) else min(tried)


def _line(rows: list[Row]) -> str:
    """Make the line of a peer in the table of a problem."""
    fitted = [row for row in rows if row.status == "ok"]
    shown = fastest(rows, GAPS[-1]) or (fitted or rows)[-1]
    best = min((row.gap for row in rows if math.isfinite(row.gap)), default=math.nan)
    times = [_seconds(seconds_to(rows, gap)) for gap in GAPS]
    remarks = [row.status for row in rows if row.status != "ok"] + [shown.note]
    cells = [
        shown.peer,
        *times,
        "" if shown.tol is None else f"{shown.tol:.0e}",
        _number(shown.iterations, "g"),
        _number(shown.memory, ".1f"),
        shown.warnings or "no",
        _gap(best),
        "; ".join(filter(None, remarks)).replace("|", "/"),
    ]
    return f"| {' | '.join(cells)} |"


def _of(rows: Iterable[Row], **values: str) -> list[Row]:
    """Rows that have the given values."""
    return [row for row in rows if all(getattr(row, k) == v for k, v in values.items())]


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _seconds(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "not reached"


def _gap(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1e}"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def _ratio(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.2f}" if math.isfinite(theirs) and math.isfinite(ours) else "-"


def _quoted(arguments: list[str]) -> list[str]:
    """Quote arguments for a shell, with names of files instead of paths on this machine."""
    shown = []
    for argument in arguments:
        key, equals, value = argument.rpartition("=")
        shown.append(key + equals + (Path(value).name if Path(value).is_absolute() else value))
    return [shlex.quote(argument) for argument in shown]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _blas() -> str:
    """BLAS and thread pools of NumPy and SciPy."""
    import scipy.linalg  # noqa: F401  (loads its BLAS)
    from threadpoolctl import threadpool_info

    found = [
        f"{pool['internal_api']} {pool['version']} ({pool['num_threads']} threads)"
        for pool in threadpool_info()
    ]
    return "Libraries of threads: " + ", ".join(_unique(found))
