"""Pictures of log-loss: its curves, its samples, its fits. Needs matplotlib, the extra `plot`.

Every display follows scikit-learn's conventions: made by `from_estimator`, `from_predictions` or
another class method, drawn by `plot(ax=None)`, after which it has `ax_` and `figure_`. What is
drawn is in the attributes that the constructor takes.
"""

from __future__ import annotations

from ._convergence import ConvergenceDisplay
from ._loss_curve import LossCurveDisplay
from ._path import RegularizationPathDisplay
from ._samples import SampleLossDisplay
from ._targets import TargetProbabilityDisplay

__all__ = [
    "ConvergenceDisplay",
    "LossCurveDisplay",
    "RegularizationPathDisplay",
    "SampleLossDisplay",
    "TargetProbabilityDisplay",
]
