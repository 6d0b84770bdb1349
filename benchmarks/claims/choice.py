"""Choice of C by cross-validation."""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from ..problems import problems
from ..reference import objective
from ..run import relative_gap
from ..worker import (
    launch,
    load,
    repeated,
    save,
    timed,
    warm_up,
)

#: Problems on which C is chosen, and the share of L1.
_CHOOSING = (
    ("wine", 0.0),
    ("breast cancer", 0.0),
    ("digits", 0.0),
    ("digits", 1.0),
    ("letter", 0.0),
    ("text", 0.0),
)


#: Solvers and tolerances of LogisticRegressionCV, from loose to tight, for each share of L1.
_CHOOSERS: dict[float, list[tuple[str, float]]] = {
    0.0: [
        (solver, tol)
        for solver in ("lbfgs", "newton-cg", "newton-cholesky")
        for tol in (1e-2, 1e-4, 1e-6)
    ],
    1.0: [("saga", 1e-2), ("saga", 1e-4), ("liblinear", 1e-2), ("liblinear", 1e-4)],
}


#: Fits with at most this gap are as accurate as our fits that are only scored.
_AS_ACCURATE = 1e-5


def choice(options: argparse.Namespace) -> str:
    """Measure SoftmaxClassifierCV beside a grid search and beside LogisticRegressionCV."""
    lines = [
        "Ten values of C, as `SoftmaxClassifierCV(Cs=10)` takes them from the data, and five "
        "stratified folds, by log-loss. `GridSearchCV` is over `SoftmaxClassifier()`. Of "
        "`LogisticRegressionCV` every solver and tolerance was tried; it counts where the largest "
        f"relative gap over folds and values of C is at most {_AS_ACCURATE:g}, or else as the time "
        f"that it had. Objectives are those of `benchmarks.reference`.",
        "",
        "| problem | l1_ratio | SoftmaxClassifierCV, s | its largest gap | GridSearchCV, s | ratio "
        "| LogisticRegressionCV, s | ratio | same C |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | --- |",
    ]
    known = problems(options.data and options.data.removeprefix("letter="))
    wanted = [pair for pair in _CHOOSING if pair[0] in (options.problems or known)]
    for name, l1_ratio in wanted[:2] if options.quick else wanted:
        with tempfile.TemporaryDirectory(dir=options.out) as folder:
            save(*known[name].load(), Path(folder))
            lines.append(_choice_row(name, folder, l1_ratio, options.limit))
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _choice_row(name: str, folder: str, l1_ratio: float, limit: float) -> str:
    def run(by: str, solver: str = "auto", tol: float = 1e-9, Cs: Any = 10) -> dict[str, Any]:
        return launch(
            "benchmarks.claims.choice:choice_task",
            limit=limit,
            data=folder,
            by=by,
            solver=solver,
            tol=tol,
            l1_ratio=l1_ratio,
            Cs=Cs,
        )

    ours = run("path")
    if ours["status"] != "ok":
        return f"| {name} | {l1_ratio:g} | {ours['status']} | | | | | | |"
    grid = run("grid", Cs=ours["Cs"])
    theirs, had = [], []
    for solver, tol in _CHOOSERS[l1_ratio]:
        result = run("sklearn", solver, tol, ours["Cs"])
        print(
            f"  {name} {solver} {tol:g}: {result.get('status')} {result.get('seconds')}", flush=True
        )
        if result["status"] == "ok" and result["gap"] <= _AS_ACCURATE:
            theirs.append((result["seconds"], solver, result["C"]))
        elif result["status"].startswith("killed"):
            had.append(limit)
    seconds, solver, C = min(theirs, default=(min(had, default=math.nan), "", math.nan))
    same = [found == ours["C"] for found in (grid["C"], C) if not math.isnan(found)]
    sign = "" if theirs else "> "
    cells = [
        name,
        f"{l1_ratio:g}",
        f"{ours['seconds']:.3g}",
        f"{ours['gap']:.0e}",
        f"{grid['seconds']:.3g}",
        f"{grid['seconds'] / ours['seconds']:.1f}",
        f"{sign}{seconds:.3g}" + (f" ({solver})" if solver else ""),
        f"{sign}{seconds / ours['seconds']:.1f}",
        "yes" if all(same) else "no",
    ]
    return f"| {' | '.join(cells)} |"


def choice_task(
    *, data: str, by: str, solver: str, tol: float, l1_ratio: float, Cs: Any, limit: float
) -> dict[str, Any]:
    """Choose C, and return how far the fits are from their minima."""
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    from skce import SoftmaxClassifier, SoftmaxClassifierCV
    from skce.metrics import neg_log_loss_scorer

    X, y = load(data)
    folds = StratifiedKFold(5)
    makers: dict[str, Callable[[], Any]] = {
        "path": lambda: SoftmaxClassifierCV(Cs=Cs, l1_ratios=[l1_ratio], cv=folds),
        "grid": lambda: GridSearchCV(
            SoftmaxClassifier(l1_ratio=l1_ratio), {"C": Cs}, scoring=neg_log_loss_scorer, cv=folds
        ),
        "sklearn": lambda: LogisticRegressionCV(
            Cs=Cs,
            l1_ratios=(l1_ratio,),
            cv=folds,
            solver=solver,
            tol=tol,
            max_iter=100_000,
            scoring="neg_log_loss",
            use_legacy_attributes=False,
            **({"intercept_scaling": 1e3} if solver == "liblinear" else {}),
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            warm_up(lambda: clone(makers[by]()).set_params(cv=2), X, y)
            model, seconds = timed(makers[by], X, y, limit)
        except ValueError as error:  # the solver does not accept the problem
            return {"status": f"failed: {error}"[:100]}
        times = [seconds, *repeated(makers[by], X, y, seconds)]
    result = {"status": "ok", "seconds": statistics.median(times)}
    if by == "grid":
        return result | {"C": float(model.best_params_["C"])}
    gaps = []
    for i, (train, _) in enumerate(folds.split(X, y)):
        for C, W in zip(model.Cs_, model.coefs_paths_[i, 0], strict=True):
            best = SoftmaxClassifier(C=C, l1_ratio=l1_ratio, tol=1e-12).fit(X[train], y[train])
            values = [
                objective(X[train], y[train], *parts, C, l1_ratio=l1_ratio)
                for parts in ((best.coef_, best.intercept_), (W[:, :-1], W[:, -1]))
            ]
            gaps.append(relative_gap(values[1], values[0]))
    C = float(np.ravel(model.C_)[0])
    return result | {"C": C, "Cs": [float(C) for C in model.Cs_], "gap": max(gaps)}
