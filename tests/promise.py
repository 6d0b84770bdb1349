"""Check of the promise that a fit without a warning is within `tol`, on random problems.

    python tests/promise.py --seeds 0:5000            # about an hour
    python tests/promise.py --seeds 1234 --show       # one problem and its figures
    python tests/promise.py --kind known          # with offsets, and labels that are missing
    python tests/promise.py --kind equal          # nearly equal columns, bounds and L1
    python tests/promise.py --place dask              # rows in chunks of Dask; or in parts of a file
    SCIPY_ARRAY_API=1 python tests/promise.py --place device   # or in a tensor of PyTorch

It prints a line for each violation, with its seed, and a summary. The violations are:

gap      no warning, and (F - best known) / best above tol + eps of the dtype of X, which is a
         proof. It does not count if unpenalised columns are equal except for their last bits, and
         the best known point uses these bits: it is no better once its coefficients are rounded to
         float64, or it has a term of 1e9 in a logit
slow     a fit of more than 20 s of CPU
no end   a fit that was ended after a minute of CPU
error    an exception on a valid problem
noise    a warning that is not a ConvergenceWarning
bounds   coefficients outside of their bounds
figure   `optimize_result_.fun` is not the objective (off by 1e-6, or 1e-3 for float32, and by more
         than the gap)
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import numpy as np
import scipy.sparse as sp
from certificate import Certificate, Problem, certify, exactly
from numpy.typing import NDArray
from problems import Case, draw, draw_nearly_equal
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning

from skce import SoftmaxClassifier
from skce._costs import DEFAULT
from skce._solver.stop import Stop

#: Seconds of CPU after which a fit breaks the promise, and after which it is ended.
SLOW, LIMIT = 20.0, 60.0
#: The most numbers of X, times outputs, for which a gap is computed again with all digits.
MOST_EXACT = 200_000

#: How problems of each kind are drawn.
KINDS = {"any": draw, "known": partial(draw, known=True), "equal": draw_nearly_equal}


class NoEnd(BaseException):
    """A fit took too long."""


@dataclass
class Outcome:
    """The result for a problem."""

    seed: int
    text: str
    dtype: str
    finite: bool
    tol: float
    violations: list[str] = field(default_factory=list)
    warned: bool = False
    message: str = ""
    seconds: float = 0.0
    gap: float = np.nan
    stored_gap: float = np.nan
    most: float = np.nan
    slack: float = np.nan
    floor: float = np.nan
    lost: bool = False
    estimate: float = np.nan
    n_iter: int = 0
    objective: float = np.nan
    best: float = np.nan
    certificate_seconds: float = 0.0

    @property
    def allowed(self) -> float:
        """The largest gap that keeps the promise."""
        return self.tol + float(np.finfo(self.dtype).eps)

    @property
    def has_no_optimum(self) -> bool:
        """Whether the warning says that there is no optimum, so that it is right."""
        return any(stop.reason in self.message for stop in Stop if stop.has_no_optimum)


def run(seed: int, limit: float = LIMIT, place: str = "memory", kind: str = "any") -> Outcome:
    """Draw the problem of a seed, fit it with rows in some place, and certify the fit."""
    return judge(KINDS[kind](seed), limit, place)


def judge(case: Case, limit: float = LIMIT, place: str = "memory") -> Outcome:
    """Fit a problem with rows in some place, and certify the fit."""
    fit = FITS[place]
    params = case.params
    outcome = Outcome(
        case.seed, case.describe(), case.dtype.name, bool(np.isfinite(params["C"])), params["tol"]
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # one warning for each line
        started = time.process_time()
        try:
            model = within(limit, lambda: fit(case))
        except NoEnd:
            outcome.violations.append("no end")
            model = None
        except Exception as error:
            outcome.violations.append("error")
            outcome.message = f"{type(error).__name__}: {error}"[:300] + last_line(error)
            model = None
        outcome.seconds = time.process_time() - started
    noise: list[str] = []
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            outcome.warned = True
            outcome.message = str(warning.message)
        else:
            noise.append(f"{warning.category.__name__}: {warning.message}")
    if noise:
        outcome.violations.append("noise")
        outcome.message += f" {len(noise)} others, the first {noise[0]}"
    if model is None:
        return outcome
    if outcome.seconds > SLOW:
        outcome.violations.append("slow")
    examine(case, model, outcome)
    return outcome


def fit(case: Case) -> SoftmaxClassifier:
    """Call the estimator."""
    return SoftmaxClassifier(**case.params).fit(
        case.X, case.y, sample_weight=case.sample_weight, offset=case.offset
    )


class Slices:
    """Rows that are read some at a time."""

    def __init__(self, X: NDArray):
        self.shape, self.dtype, self._rows = X.shape, X.dtype, X

    def __getitem__(self, rows: slice) -> NDArray:
        return self._rows[rows]


def fit_in_parts(case: Case) -> SoftmaxClassifier:
    """Call the estimator with dense rows that are read some at a time."""
    if sp.issparse(case.X):
        return fit(case)
    rows = int(np.random.default_rng(case.seed).integers(1, case.X.shape[0] + 1))

    class InParts(SoftmaxClassifier):
        _costs = replace(DEFAULT, part_bytes=rows * case.X.shape[1] * case.X.dtype.itemsize)

    model = InParts(**case.params)
    return model.fit(Slices(case.X), case.y, sample_weight=case.sample_weight, offset=case.offset)


def fit_on_dask(case: Case) -> SoftmaxClassifier:
    """Call the estimator of Dask with chunks of random sizes."""
    import dask
    import dask.array as da

    from skce.dask import SoftmaxClassifier as OnDask

    n = case.X.shape[0]
    rng = np.random.default_rng(case.seed)
    cuts = np.unique(rng.integers(1, n, size=int(rng.integers(0, 6)))) if n > 1 else []
    edges = [0, *map(int, cuts), n]
    sizes = tuple(np.diff(edges).tolist())

    def chunked(values: Any) -> Any:
        if not sp.issparse(values):
            return da.from_array(values, chunks=(sizes, *((k,) for k in values.shape[1:])))
        rows, k = sp.csr_array(values), values.shape[1]
        parts = [rows[a:b] for a, b in pairwise(edges)]
        return da.concatenate(
            [
                da.from_delayed(dask.delayed(part, traverse=False), (part.shape[0], k), part.dtype)
                for part in parts
            ]
        )

    weights = None if case.sample_weight is None else chunked(np.asarray(case.sample_weight))
    offset = None if case.offset is None else chunked(case.offset)
    with dask.config.set(scheduler="synchronous"):
        return OnDask(**case.params).fit(
            chunked(case.X), chunked(np.asarray(case.y)), weights, offset=offset
        )


def fit_on_device(case: Case) -> SoftmaxClassifier:
    """Call the estimator with dense rows in a tensor that is treated as on another device."""
    if sp.issparse(case.X):
        return fit(case)
    import torch

    rows = int(np.random.default_rng(case.seed).integers(1, case.X.shape[0] + 1))

    class OnDevice(SoftmaxClassifier):
        _costs = replace(DEFAULT, part_bytes=0, device_rows=rows)

    model = OnDevice(**case.params)
    with (
        patch("skce._array_api.is_on_host", lambda _: False),
        config_context(array_api_dispatch=True),
    ):
        model.fit(
            torch.asarray(np.array(case.X)),
            case.y,
            sample_weight=case.sample_weight,
            offset=case.offset,
        )
        return model.to_namespace(np)


#: The places of rows.
FITS = {"memory": fit, "parts": fit_in_parts, "dask": fit_on_dask, "device": fit_on_device}


def found(model: SoftmaxClassifier) -> tuple[NDArray, NDArray]:
    """Coefficients as the solver found them, in float64."""
    x, shape = model.optimize_result_.x, model.coef_.shape
    W = x[: shape[0] * shape[1]].reshape(shape)
    b = x[W.size :]
    return W, b if b.size else np.zeros(shape[0])


def examine(case: Case, model: SoftmaxClassifier, outcome: Outcome) -> Certificate:
    """Certify a fitted model, and record the violations."""
    result = model.optimize_result_
    outcome.estimate, outcome.n_iter = float(result.gap), int(result.nit)
    W, b = found(model)
    started = time.process_time()
    certificate = certify(case.problem, W, b, accuracy=outcome.tol)
    outcome.gap, outcome.most, outcome.slack = certificate.gap, certificate.most, certificate.slack
    outcome.objective, outcome.best = float(certificate.value), float(certificate.best)
    small = case.problem.X.shape[0] * case.problem.X.shape[1] * len(W) <= MOST_EXACT
    if outcome.gap > outcome.allowed and small and not outcome.warned:
        outcome.gap = exact_gap(case.problem, W, b, certificate)
    if outcome.gap > outcome.allowed:
        rounded = certificate.W.astype(np.float64), certificate.b.astype(np.float64)
        nearest = certify(case.problem, *rounded, limit=-1.0).value
        outcome.floor = relative_gap(nearest, certificate)
    outcome.stored_gap = outcome.gap
    if model.coef_.dtype != np.float64:
        stored = certify(case.problem, model.coef_, model.intercept_, limit=-1.0).value
        outcome.stored_gap = relative_gap(stored, certificate)
    outcome.certificate_seconds = time.process_time() - started
    if outcome.objective < np.finfo(np.float64).tiny:  # zero, as far as float64 can show
        outcome.gap = outcome.stored_gap = outcome.most = 0.0
    outcome.lost = outcome.gap > outcome.allowed and (
        outcome.allowed < outcome.floor >= outcome.gap or of_last_bits(case, certificate)
    )
    if not (outcome.warned or outcome.gap <= outcome.allowed or outcome.lost):
        outcome.violations.append("gap")
    if certificate.outside > 0:
        outcome.violations.append("bounds")
    off = float(abs(np.longdouble(result.fun) - certificate.value))
    off /= max(outcome.objective, float(np.finfo(np.float64).tiny))
    rough = 1e-3 if case.dtype == np.float32 else 1e-6
    if not outcome.warned and not off <= max(rough, outcome.tol):
        outcome.violations.append("figure")
        outcome.message += f" fun={float(result.fun):.9g} F={outcome.objective:.9g}"
    return certificate


def of_last_bits(case: Case, certificate: Certificate) -> bool:
    """Whether the best point has terms of 1e9 in logits that bounds and penalties do not explain."""
    size = (
        np.sqrt(np.asarray(case.problem.X.power(2).mean(axis=0)).ravel())
        if hasattr(case.problem.X, "power")
        else np.sqrt((case.problem.X.astype(np.float64) ** 2).mean(axis=0))
    )
    free = np.isinf(case.params["C"]) | (case.params.get("penalty_weights", np.ones(1)) == 0)
    return bool((np.abs(certificate.W) * size * free > 1e9).any())


def exact_gap(problem: Problem, W: NDArray, b: NDArray, certificate: Certificate) -> float:
    """Gap above the best point, from all digits of F."""
    dense = problem.X.toarray() if hasattr(problem.X, "toarray") else problem.X
    problem = replace(problem, X=np.asarray(dense))
    best = exactly(problem, certificate.W, certificate.b)
    if not best > 0:
        return certificate.gap
    return float((exactly(problem, W, b) - best) / best)


def relative_gap(value: Any, certificate: Certificate) -> float:
    """How far a value is above the best one."""
    return float((value - certificate.best) / certificate.best) if certificate.best else np.inf


def within(limit: float, call: Any) -> Any:
    """Return the result of a call, or raise NoEnd after `limit` seconds of CPU.

    It also raises after four times as many seconds by the clock.
    """

    def end(*_: Any) -> None:
        raise NoEnd

    before = {number: signal.signal(number, end) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, limit, 1.0)
    signal.setitimer(signal.ITIMER_REAL, 4 * limit, 1.0)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def last_line(error: BaseException) -> str:
    """Return where an error came from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f" [{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}]"


def line(outcome: Outcome) -> str:
    """Return a line on an outcome."""
    figures = (
        f"gap={outcome.gap:.1e} allowed={outcome.allowed:.1e} estimate={outcome.estimate:.1e} "
        f"slack={outcome.slack:.0e} floor={outcome.floor:.0e} F={outcome.objective:.9g} nit={outcome.n_iter} {outcome.seconds:.1f}s"
    )
    kinds = ",".join(outcome.violations) or ("warned" if outcome.warned else "kept")
    tail = f" | {outcome.message}" if outcome.message else ""
    return f"{outcome.seed} {kinds} {figures} | {outcome.text}{tail}"


def summary(outcomes: list[Outcome]) -> str:
    """Count the outcomes."""
    kinds = Counter(kind for o in outcomes for kind in set(o.violations))
    silent = [o for o in outcomes if not o.warned and np.isfinite(o.objective)]
    double = [o for o in outcomes if o.dtype == "float64" and o.finite]
    warned = [o for o in double if o.warned]
    others = [o for o in warned if not o.has_no_optimum]
    kept = sum(o.most <= o.allowed for o in silent)
    resolved = sum(o.slack <= 0.1 * o.allowed for o in outcomes)
    fitted = sum(np.isfinite(o.objective) for o in outcomes)
    needless = [o for o in double if o.warned and o.most <= o.allowed]
    stored = sum(o.stored_gap > o.allowed for o in silent)
    slowest = max(outcomes, key=lambda o: o.seconds)
    lines = [
        f"problems            {len(outcomes)}",
        f"with a violation    {sum(bool(o.violations) for o in outcomes)}  {dict(kinds)}",
        f"warned, float64 and finite C  {len(warned)} of {len(double)} ({_share(len(warned), len(double))}); "
        f"{len(warned) - len(others)} of them for want of an optimum, {len(needless)} proven within tol all the same",
        f"warned, float64 and finite C, with an optimum  {len(others)} of {len(double)} "
        f"({_share(len(others), len(double))})",
        f"gaps that are made of last bits of unpenalised columns  "
        f"{[o.seed for o in silent if o.lost]}",
        f"warned, all         {sum(o.warned for o in outcomes)}",
        f"silent and proven within tol  {kept} of {len(silent)} ({_share(kept, len(silent))})",
        f"optimum known to a tenth of tol  {resolved} of {fitted} ({_share(resolved, fitted)})",
        f"float32 coef_ beyond tol where optimize_result_.x is silent  {stored - kinds['gap']}",
        f"slowest fit         {slowest.seconds:.1f} s CPU, seed {slowest.seed}",
        f"CPU                 fits {sum(o.seconds for o in outcomes):.0f} s, "
        f"certificates {sum(o.certificate_seconds for o in outcomes):.0f} s",
    ]
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "none"


def show(seed: int, place: str = "memory", kind: str = "any") -> str:
    """Return all figures of one problem."""
    outcome = run(seed, place=place, kind=kind)
    lines = [line(outcome)]
    lines += [f"  {key:20} {value}" for key, value in asdict(outcome).items() if key != "text"]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the problems of the given seeds. Return 1 if one breaks the promise."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="0:500", help="first:last, or several with commas")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of CPU of a fit")
    parser.add_argument("--place", choices=list(FITS), default="memory", help="where rows are")
    parser.add_argument("--kind", choices=list(KINDS), default="any", help="kind of the problems")
    parser.add_argument("--show", action="store_true", help="all figures of each problem")
    parser.add_argument("--warned", action="store_true", help="a line for each warning, too")
    parser.add_argument("--json", help="a file for all outcomes, one a line")
    options = parser.parse_args(arguments)
    seeds: list[int] = []
    for piece in options.seeds.split(","):
        first, _, last = piece.partition(":")
        seeds += range(int(first), int(last)) if last else [int(first)]
    if options.show:
        for seed in seeds:
            print(show(seed, options.place, options.kind), flush=True)
        return 0
    outcomes = []
    for outcome in _run_all(seeds, options.jobs, options.limit, options.place, options.kind):
        outcomes.append(outcome)
        if outcome.violations or (options.warned and outcome.warned):
            print(line(outcome), flush=True)
        if options.json:
            with open(options.json, "a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
        if len(outcomes) % 250 == 0:
            broken = sum(bool(o.violations) for o in outcomes)
            print(f"... {len(outcomes)} problems, {broken} with a violation", flush=True)
    print(summary(outcomes))
    return int(any(o.violations for o in outcomes))


def _run_all(seeds: list[int], jobs: int, limit: float, place: str, kind: str) -> Any:
    if jobs == 1:
        return (run(seed, limit, place, kind) for seed in seeds)
    pool = ProcessPoolExecutor(jobs)
    n = len(seeds)
    return pool.map(run, seeds, [limit] * n, [place] * n, [kind] * n, chunksize=4)


if __name__ == "__main__":
    sys.exit(main())
