"""Private names of scikit-learn that the package uses, in one place.

Third parties use them, too, and none has a public substitute in the versions that are supported:
validation of parameters by declaration, rows of any container, and the only class of scorers that
`sklearn.callback.ScoringMonitor` takes.
"""

from __future__ import annotations

from sklearn.base import _fit_context as fit_context
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import Interval, Options, StrOptions, validate_params

__all__ = [
    "BaseScorer",
    "Interval",
    "Options",
    "StrOptions",
    "fit_context",
    "safe_indexing",
    "validate_params",
]
