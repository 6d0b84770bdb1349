"""Log-loss split into what recalibration would save and what it would not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from .._array_api import in_host_memory
from .._arrays import beside, picked
from .._losses.categorical import log_softmax
from .._sklearn import StrOptions, validate_params
from ._problem import Problem, read
from ._terms import Predictions, Probabilities

#: Range of the logarithm of the inverse temperature, and how exactly it is found.
_LOG_RANGE = (-7.0, 7.0)
_XATOL = 1e-9


class LogLossDecomposition(NamedTuple):
    """Parts of a log-loss, in nats; see :func:`log_loss_decomposition`.

    Attributes
    ----------
    log_loss : float
        The mean log-loss, calibration + refinement.
    calibration : float
        What recalibration saves.
    refinement : float
        What is left after it: the log-loss of the recalibrated probabilities.
    entropy : float
        The part of refinement that no prediction could save: the entropy of the targets, 0 for
        labels.
    temperature : float
        The temperature that recalibrates best; NaN for isotonic regression.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.metrics import log_loss_decomposition
    >>> y, p = np.array([0, 0, 0, 1, 1, 1, 1, 0]), np.repeat([0.4, 0.6], 4)
    >>> parts = log_loss_decomposition(y, p)
    >>> round(parts.log_loss, 3), round(parts.calibration, 3), round(parts.refinement, 3)
    (0.612, 0.05, 0.562)
    """

    log_loss: float
    calibration: float
    refinement: float
    entropy: float
    temperature: float


@validate_params(
    {
        "y_true": ["array-like"],
        "y_proba": ["array-like"],
        "method": [StrOptions({"auto", "isotonic", "temperature"})],
        "sample_weight": ["array-like", None],
        "labels": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def log_loss_decomposition(
    y_true: Any,
    y_proba: Any,
    *,
    method: str = "auto",
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> LogLossDecomposition:
    """Split the log-loss into calibration and refinement.

    Refinement is the log-loss after the best recalibration within a family of maps, calibration
    is what that saves. For two classes the family is all non-decreasing functions of the
    probability, and isotonic regression finds the best one for any proper score; for more it is
    temperature scaling, ``softmax(log(p) / T)``.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted probabilities.
    method : {"auto", "isotonic", "temperature"}, default="auto"
        The family; "auto" is "isotonic" for two classes and "temperature" for more. "isotonic" is
        for two classes only.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.

    Returns
    -------
    LogLossDecomposition
        A named tuple of `log_loss`, `calibration`, `refinement`, `entropy` and `temperature`.

    See Also
    --------
    sklearn.calibration.CalibratedClassifierCV : Recalibrates an estimator, by cross-validation.

    Notes
    -----
    The map is estimated on the very rows that are scored. Calibration is therefore not negative,
    and too large: isotonic regression has many degrees of freedom, and on few rows much of what it
    saves is noise (for m distinct predictions of a calibrated model it saves about ``log(m) / n``);
    temperature scaling has one and is hardly biased, but sees only over- and underconfidence. To
    learn what recalibration saves on new rows, fit it on other rows than those that are scored.

    Sources: J. Bröcker, *Reliability, sufficiency, and the decomposition of proper scores*, 2009;
    C. Guo et al., *On calibration of modern neural networks*, 2017; T. Dimitriadis, T. Gneiting
    and A. Jordan, *Stable reliability diagrams for probabilistic classifiers*, 2021.

    Examples
    --------
    An overconfident prediction: it says 0.99, and three of four hold.

    >>> from skce.metrics import log_loss_decomposition
    >>> parts = log_loss_decomposition([1, 1, 1, 0], [0.99, 0.99, 0.99, 0.99])
    >>> round(parts.log_loss, 4), round(parts.calibration, 4), round(parts.refinement, 4)
    (1.1588, 0.5965, 0.5623)
    """
    problem = read(y_true, y_proba, sample_weight, loss="categorical", labels=labels)
    targets = problem.targets
    if method == "isotonic" and targets.n_classes > 2:
        raise ValueError(
            f"method='isotonic' is for two classes, but there are {targets.n_classes}. Use "
            "method='temperature'."
        )
    total, least = (
        problem.average(part, normalize=True) for part in (targets.loss, targets.entropy)
    )
    isotonic = targets.n_classes == 2 and method != "temperature"
    recalibrated, temperature = (_isotonic if isotonic else _temperature)(problem)
    refinement = min(
        replace(problem, predictions=recalibrated).average(targets.loss, normalize=True), total
    )
    return LogLossDecomposition(total, total - refinement, refinement, least, temperature)


def _isotonic(problem: Problem) -> tuple[Predictions, float]:
    """Probabilities of the second class by the best non-decreasing function of themselves."""
    predictions = problem.predictions
    p = predictions.values if predictions.values.ndim == 1 else predictions.values[:, -1]
    p = in_host_memory(p).astype(np.float64)
    t = in_host_memory(problem.targets.distribution(slice(None))[:, 1])
    # Rows of weight zero say nothing of the map, and may lie outside of those that do.
    weights = problem.sample_weight
    some = slice(None) if weights is None else weights > 0
    regression = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    regression.fit(p[some], t[some], None if weights is None else weights[some])
    values = beside(regression.predict(p), predictions.values)
    return Probabilities(values, distributions=False, clip=True), np.nan


class _Tempered(Predictions):
    """Predictions softmax(beta * log(p))."""

    def __init__(self, predictions: Predictions, beta: float):
        super().__init__(predictions.values)
        self._predictions = predictions
        self._beta = beta

    def log(self, rows: slice) -> NDArray:
        """Return log p of all classes, shape (r, n_classes)."""
        z = self._beta * self._predictions.log(rows)
        return log_softmax(z.T).T

    def log_at(self, rows: slice, codes: NDArray) -> NDArray:
        """Return log p of one class per row, shape (r,)."""
        return picked(self.log(rows), codes)


def _temperature(problem: Problem) -> tuple[Predictions, float]:
    """Probabilities at the temperature with the least loss, which is convex in 1/T."""

    def loss(log_beta: float) -> float:
        tempered = _Tempered(problem.predictions, math.exp(log_beta))
        return replace(problem, predictions=tempered).average(problem.targets.loss, normalize=True)

    found = minimize_scalar(loss, bounds=_LOG_RANGE, options={"xatol": _XATOL})
    beta = math.exp(found.x)
    return _Tempered(problem.predictions, beta), 1 / beta
