"""Scorers for `scoring=`, where scikit-learn's own refuse probability targets."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED

from .._checks import refuse_sparse
from .._targets import check_class_columns, check_y, column_names
from ._log_loss import d2_log_loss_score, kl_divergence, log_loss

#: The sign that makes greater better.
_SIGNS: dict[Callable[..., float], int] = {log_loss: -1, kl_divergence: -1, d2_log_loss_score: 1}


class LogLossScorer(BaseEstimator):
    """Callable ``(estimator, X, y, sample_weight=None)`` that scores `predict_proba`.

    Made by :func:`make_log_loss_scorer`. Ask for sample weights with
    ``set_score_request(sample_weight=True)`` where metadata routing is enabled.

    Parameters
    ----------
    metric : callable
        One of the metrics that :func:`make_log_loss_scorer` takes.
    options : dict, default=None
        Keyword arguments of the metric.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.metrics import neg_log_loss_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SoftmaxClassifier().fit(X, y)
    >>> round(neg_log_loss_scorer(clf, X, y), 2)
    -0.12
    """

    #: `set_score_request` can ask for what `score` takes, but for the estimator.
    __metadata_request__score = {"estimator": UNUSED}  # noqa: RUF012

    def __init__(self, metric: Callable[..., float], options: dict[str, Any] | None = None):
        self.metric = metric
        self.options = options

    def score(
        self, estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score the probabilities that a fitted estimator predicts; greater is better.

        Parameters
        ----------
        estimator : estimator with `predict_proba`
            A fitted estimator.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            The metric, with the sign that makes greater better.
        """
        _check_metric(self.metric)
        if not isinstance(self.options, (dict, NoneType)):
            raise TypeError(f"options must be a dict or None, got {self.options!r:.100}.")
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"The estimator must have predict_proba, but {type(estimator).__name__} has not."
            )
        y = _as_targets(y)
        proba = estimator.predict_proba(X)
        if isinstance(proba, list):  # one array of two columns per label
            proba = np.column_stack([p[:, -1] for p in proba])
        options = {"sample_weight": sample_weight, **(self.options or {})}
        classes = getattr(estimator, "classes_", None)
        if np.ndim(y) == 1 and classes is not None:
            options.setdefault("labels", classes)
        elif isinstance(classes, np.ndarray):
            check_class_columns(y, classes)
        return _SIGNS[self.metric] * self.metric(y, proba, **options)

    # scikit-learn calls scorers, and routes metadata to their `score`.
    __call__ = score


def make_log_loss_scorer(metric: Callable[..., float] = log_loss, **options: Any) -> LogLossScorer:
    """Make a scorer for ``scoring=`` that takes every target that the metric takes.

    Unlike scikit-learn's "neg_log_loss" it takes probability targets, and knows from the estimator
    the labels that a fold lacks.

    Parameters
    ----------
    metric : {log_loss, kl_divergence, d2_log_loss_score}, default=log_loss
        The function itself. Losses are negated, so that greater is better.
    **options : dict
        Keyword arguments of the metric, for example ``loss="binary"``.

    Returns
    -------
    LogLossScorer
        Callable ``(estimator, X, y, sample_weight=None)`` that scores `predict_proba`, for
        `cross_validate`, `GridSearchCV`, `learning_curve`, `validation_curve` or
        `permutation_importance`.

    Raises
    ------
    ValueError
        If the metric is none of these.

    See Also
    --------
    sklearn.metrics.make_scorer : For any other metric.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from skce import SoftmaxClassifier
    >>> from skce.metrics import make_log_loss_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> Y = 0.9 * np.eye(3)[y] + 0.1 / 3
    >>> scorer = make_log_loss_scorer()
    >>> cross_val_score(SoftmaxClassifier(), X[::2], Y[::2], scoring=scorer, cv=3).shape
    (3,)
    """
    _check_metric(metric)
    return LogLossScorer(metric, options or None)


def _check_metric(metric: Any) -> None:
    if not any(metric is function for function in _SIGNS):
        names = ", ".join(function.__name__ for function in _SIGNS)
        raise ValueError(
            f"metric must be one of the functions {names}, got {metric!r}. Use "
            "sklearn.metrics.make_scorer for other metrics."
        )


def _as_targets(y: Any) -> Any:
    """Return y as an array, but a data frame, whose columns have names, as it is."""
    refuse_sparse(y, "y")
    return check_y(y) if column_names(y) is None else y


#: Negative log-loss, for ``scoring=``.
#:
#: >>> from sklearn.datasets import load_iris
#: >>> from sklearn.model_selection import cross_val_score
#: >>> from skce import SoftmaxClassifier
#: >>> from skce.metrics import neg_log_loss_scorer
#: >>> X, y = load_iris(return_X_y=True)
#: >>> cross_val_score(SoftmaxClassifier(), X, y, scoring=neg_log_loss_scorer).shape
#: (5,)
neg_log_loss_scorer = make_log_loss_scorer()
#: Fraction of log-loss explained, for ``scoring=``.
#:
#: >>> from sklearn.datasets import load_iris
#: >>> from skce import SoftmaxClassifier
#: >>> from skce.metrics import d2_log_loss_scorer
#: >>> X, y = load_iris(return_X_y=True)
#: >>> round(d2_log_loss_scorer(SoftmaxClassifier().fit(X, y), X, y), 2)
#: 0.89
d2_log_loss_scorer = make_log_loss_scorer(d2_log_loss_score)
