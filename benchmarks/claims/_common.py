"""What several claims need."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

DAY = 86_400.0


def fit_and_watch(X: Any, y: NDArray, **parameters: Any) -> tuple[Any, bool]:
    """Return a fitted SoftmaxClassifier, and whether it warned."""
    from sklearn.exceptions import ConvergenceWarning

    from skce import SoftmaxClassifier

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = SoftmaxClassifier(**parameters).fit(X, y)
    return model, any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def passes_of(model: Any) -> int:
    report = getattr(model, "optimize_result_", None)
    return report.nfev + report.nhev if report else int(np.max(model.n_iter_))
