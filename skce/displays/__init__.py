"""Plots of the log-loss: its curves, its samples, its fits. They need matplotlib, the extra `plot`.

Every display follows scikit-learn's conventions. A class method such as `from_estimator` or
`from_predictions` makes and draws it. `plot(ax=None)` draws it again. After that it has the
attributes `ax_` and `figure_`. The data that it draws are attributes with the names of the
parameters of its constructor.
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
