"""Functions that several claims use."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..worker import status_kib

DAY = 86_400.0


def fit_and_watch(X: Any, y: NDArray, **parameters: Any) -> tuple[Any, bool]:
    """Return a fitted SoftmaxClassifier, and whether it warned."""
    from sklearn.exceptions import ConvergenceWarning

    from skce import SoftmaxClassifier

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SoftmaxClassifier(**parameters).fit(X, y)
    return model, any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


@contextmanager
def peak(used: Callable[[], float]) -> Iterator[dict[str, float]]:
    """MiB that the block adds at its peak. `used` returns the MiB in use, and is called often."""
    added, done, before = {"MiB": 0.0}, threading.Event(), used()

    def sample() -> None:
        while not done.wait(0.02):
            added["MiB"] = max(added["MiB"], used() - before)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield added
    finally:
        done.set()
        thread.join()


def anonymous() -> AbstractContextManager[dict[str, float]]:
    """MiB that a block adds at its peak, without pages of files. It works only on Linux."""
    return peak(lambda: status_kib("RssAnon") / 1024)


def passes_of(model: Any) -> int:
    report = getattr(model, "optimize_result_", None)
    return report.nfev + report.nhev if report else int(np.max(model.n_iter_))
