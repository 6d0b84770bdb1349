"""A separate process for every measurement: ``python -m benchmarks.worker JOB``.

JOB is a JSON object. Its "task" is the ``module:function`` to call. The other items are the keyword
arguments. The result is printed as JSON, in the last line. `launch` starts such a process and reads
its result.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
#: Seconds in addition to the limit of a fit, for imports, loading and the objective.
_GRACE = 600
#: Fits shorter than this are repeated, for this long in total, and at most this many times.
_SHORT, _LONG_ENOUGH, _REPEATS = 0.2, 1.0, 15
#: The largest share of the memory of the machine that a fit may use, without pages of files.
_MEMORY_SHARE = 0.85


def launch(task: str, *, threads: str = "all", limit: float, **keywords: Any) -> dict[str, Any]:
    """Call a task in a new process. If the process fails, the result says so.

    Parameters
    ----------
    task : str
        ``module:function``: a function that takes `limit` and the keywords, and returns a
        dictionary.
    threads : {"all", "one"}
    limit : float
        Seconds for the task. The process has more seconds for imports and data.
    """
    environment = {k: v for k, v in os.environ.items() if k not in _THREADS}
    if threads == "one":
        environment |= dict.fromkeys(_THREADS, "1")
    job = json.dumps({"task": task, "threads": threads, "limit": limit, **keywords})
    command = [sys.executable, "-m", "benchmarks.worker", job]
    folder = Path(__file__).parent.parent
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=limit + _GRACE,
        )
    except subprocess.TimeoutExpired:
        return {"status": "killed: process over time"}
    if done.returncode == -signal.SIGALRM:
        return {"status": f"killed at {limit:g} s"}
    if done.returncode < 0:
        return {"status": f"killed by {signal.Signals(-done.returncode).name}"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"status": f"failed: {last[:100]}"}
    return json.loads(done.stdout.splitlines()[-1])


def save(X: Any, y: Any, folder: Path) -> None:
    """Write X and y to a folder, from which workers `load` them."""
    import numpy as np
    import scipy.sparse as sp

    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "y.npy", y)
    if sp.issparse(X):
        sp.save_npz(folder / "X.npz", X, compressed=False)
    else:
        np.save(folder / "X.npy", X)


def load(data: str) -> tuple[Any, Any]:
    """Read the X and y that `save` has written."""
    import numpy as np
    import scipy.sparse as sp

    folder = Path(data)
    sparse = folder / "X.npz"
    X = sp.load_npz(sparse) if sparse.exists() else np.load(folder / "X.npy")
    return X, np.load(folder / "y.npy")


def optimum(*, data: str, C: float, limit: float) -> dict[str, Any]:
    """Minimise with the reference."""
    from .reference import minimum

    X, y = load(data)
    found = minimum(X, y, C, limit=limit)
    return {"status": "ok", "objective": found.objective, "decrement": found.decrement}


def certified_optimum(*, data: str, C: float, limit: float) -> dict[str, Any]:
    """Minimise with an L1 penalty, and bound the distance from the minimum by a dual point.

    skce finds the signs of the coefficients. The reference does the rest.
    """
    from skce import SoftmaxClassifier

    from .reference import dual_gap, objective, polish

    X, y = load(data)
    with time_limit(limit):
        model = SoftmaxClassifier(C=C, l1_ratio=1.0, tol=1e-14).fit(X, y)
    W, b = polish(X, y, model.coef_, model.intercept_, C)
    value = objective(X, y, W, b, C, l1_ratio=1.0)
    gap = dual_gap(X, y, W, b, C)
    return {"status": "ok", "objective": value, "decrement": gap / value}


def fit(
    *,
    data: str,
    peer: str,
    tol: float | None,
    C: float,
    l1_ratio: float,
    limit: float,
    enough: float,
) -> dict[str, Any]:
    """Fit a peer, and return seconds, objectives, memory and warnings."""
    from .peers import PEERS, Setting
    from .reference import objective

    X, y = load(data)
    setting = Setting(tol, C, X.shape[0], l1_ratio, 0.9 * limit, enough)

    def make() -> Any:
        return PEERS[peer].make(setting)

    try:
        warm_up(make, X, y)
        with warnings.catch_warnings(record=True) as caught, peak_memory() as memory:
            warnings.simplefilter("always")
            model, seconds = timed(make, X, y, limit)
        times = [seconds, *repeated(make, X, y, seconds)]
    except ImportError as error:
        return {"status": f"cannot be imported: {error}"[:100]}
    except Exception as error:  # an error of one peer must not end the others
        return {"status": f"failed: {type(error).__name__}: {error}".splitlines()[0][:100]}
    path = getattr(model, "path_", None) or [(None, n_iter(model), model.coef_, model.intercept_)]
    share = statistics.median(times) / seconds
    return {
        "status": "ok",
        "points": [
            {
                "seconds": (seconds if at is None else at) * share,
                "iterations": iterations,
                "objective": objective(X, y, W, b, C, l1_ratio=l1_ratio),
            }
            for at, iterations, W, b in path
        ],
        "repeats": len(times),
        "memory": memory["MiB"],
        "warnings": ", ".join(sorted({warning.category.__name__ for warning in caught})),
        "note": getattr(model, "note_", ""),
    }


def warm_up(make: Callable[[], Any], X: Any, y: Any) -> None:
    """Fit small data of the same kind, so that modules are imported and threads are started."""
    import numpy as np
    import scipy.sparse as sp

    rng = np.random.default_rng(0)
    small = rng.standard_normal((2000, 32)).astype(X.dtype)
    labels = rng.integers(2 if len(np.unique(y)) == 2 else 3, size=2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make().fit(sp.csr_matrix(small) if sp.issparse(X) else small, labels)


def timed(make: Callable[[], Any], X: Any, y: Any, limit: float = 0) -> tuple[Any, float]:
    """Fit once, and return the model and the seconds. The process ends if there are too many."""
    model = make()
    with time_limit(limit):
        start = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - start
    return model, seconds


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End the process if the block takes longer. 0 means no limit."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # also ends code that is not Python
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


def repeated(make: Callable[[], Any], X: Any, y: Any, first: float) -> list[float]:
    """Return the seconds of some more fits, if the first was short."""
    if first > _SHORT:
        return []
    count = min(_REPEATS, int(_LONG_ENOUGH / first))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [timed(make, X, y)[1] for _ in range(count)]


def n_iter(model: Any) -> int:
    """Return the number of iterations, as most estimators store it."""
    import numpy as np

    return int(np.max(model.n_iter_))


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """MiB that the block adds to the resident memory at its peak.

    On Linux the peak is reset first. On other systems, memory below an earlier peak is missed.
    """
    added = {"MiB": 0.0}
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = status_kib("VmRSS") or _max_rss()
    yield added
    added["MiB"] = ((status_kib("VmHWM") or _max_rss()) - before) / 1024


def status_kib(field: str) -> int:
    """Return a field of the status of this process on Linux; 0 on other systems."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def _max_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _prepare(threads: str) -> None:
    """Limit the process to one core if asked to, and to the memory of the machine in any case."""
    if threads == "one" and hasattr(os, "sched_setaffinity"):
        # Not every library reads the variables.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_DATA, (int(_MEMORY_SHARE * memory), -1))


def main() -> None:
    """Do the job on the command line."""
    job = json.loads(sys.argv[1])
    _prepare(job.pop("threads"))
    module, function = job.pop("task").split(":")
    result = getattr(importlib.import_module(module), function)(**job)
    print("\n" + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
