"""Scorers for `scoring=` that take probability targets, which scikit-learn's scorers do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED

from .._array_api import to_numpy
from .._sklearn import BaseScorer
from .._targets.meaning import (
    as_names,
    check_y,
    column_names,
    columns_of_classes,
    kind_of_labels,
    sorting,
)
from ._log_loss import d2_log_loss_score, kl_divergence, log_loss

#: The sign of each metric with which greater is better.
_SIGNS: dict[Callable[..., float], int] = {log_loss: -1, kl_divergence: -1, d2_log_loss_score: 1}


class LogLossScorer(BaseEstimator, BaseScorer):
    """Callable ``(estimator, X, y, sample_weight=None, offset=None)`` that scores `predict_proba`.

    :func:`make_log_loss_scorer` makes such scorers. If metadata routing is enabled, request sample
    weights and offsets with ``set_score_request(sample_weight=True, offset=True)``.

    The columns of the probabilities and the classes of `y` are matched by name. If `y` has a class
    that the estimator has not seen in `fit`, the probability of this class is zero, and the metric
    clips it.

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

    #: `set_score_request` can request every argument of `score` except the estimator.
    __metadata_request__score = {"estimator": UNUSED}  # noqa: RUF012
    # Requests follow the signature of `score`. In scikit-learn they follow that of the metric.
    _get_metadata_request = BaseEstimator._get_metadata_request

    def __init__(self, metric: Callable[..., float], options: dict[str, Any] | None = None):
        self.metric = metric
        self.options = options
        sign = next((sign for known, sign in _SIGNS.items() if known is metric), 1)
        kwargs = options if isinstance(options, dict) else {}
        super().__init__(metric, sign, kwargs, "predict_proba")

    @property
    def __name__(self) -> str:
        """Name that displays show.

        Returns
        -------
        str
            The name, for example "neg_log_loss".
        """
        return ("neg_" if self._sign < 0 else "") + getattr(self.metric, "__name__", "score")

    def score(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> float:
        """Score the probabilities that a fitted estimator predicts. Greater is better.

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
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, if `predict_proba` of the estimator takes them.

        Returns
        -------
        float
            The metric, negated if it is a loss, so that greater is better.
        """
        _check_metric(self.metric)
        options = {} if self.options is None else self.options
        if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
            raise TypeError(f"options must be a dict of keywords or None, got {options!r:.100}.")
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"The estimator must have predict_proba, but {type(estimator).__name__} has not."
            )
        y = _as_targets(y)
        known = {} if offset is None else {"offset": offset}
        proba = estimator.predict_proba(X, **known)
        if isinstance(proba, list):  # an array with two columns for each label
            proba = np.column_stack([p[:, -1] for p in proba])
        options = {"sample_weight": sample_weight, **options}
        classes = getattr(estimator, "classes_", None)
        if isinstance(classes, np.ndarray) and "labels" not in options:
            y, proba, options["labels"] = _beside(y, proba, classes)
        return self._sign * self.metric(y, proba, **options)

    def _score(self, method_caller: Any, estimator: Any, X: Any, y: Any, **kwargs: Any) -> float:
        """Score. scikit-learn calls this method of a scorer if there are several."""
        return self.score(estimator, X, y, **kwargs)

    # scikit-learn calls the scorer itself, but routes metadata to its `score`.
    __call__ = score


def _beside(y: Any, proba: NDArray, classes: NDArray) -> tuple[Any, NDArray, NDArray | None]:
    """Return y, the probabilities of all classes of y or the fit, and their names if y has names.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
    proba : ndarray of shape (n_samples,) or (n_samples, n_classes)
    classes : ndarray of shape (n_classes,)
        Classes of the estimator, in the order of the columns of `proba`.
    """
    if np.ndim(y) == 1:
        labels = check_y(to_numpy(y))
        if kind_of_labels(labels) == "continuous":  # probabilities of the second class
            return y, proba, classes
        proba, classes = _with_unseen(proba, classes, _unseen(labels, classes))
        order = sorting(classes)
        return (y, proba, classes) if order is None else (y, proba[:, order], classes[order])
    names = column_names(y)
    if names is not None and set(names.tolist()) >= set(classes.tolist()):
        return y, *_with_unseen(proba, classes, _unseen(names, classes))
    if np.shape(y)[1] != len(classes):
        raise ValueError(f"y has {np.shape(y)[1]} columns, but the fit had {len(classes)} classes.")
    columns_of_classes(names, classes)  # raises if the fit knew other names
    return y if names is None else check_y(y, missing=True), proba, None


def _unseen(labels: NDArray, classes: NDArray) -> NDArray:
    """Return the labels that are no classes of the estimator."""
    if labels.dtype.kind in "biuf" and classes.dtype.kind in "biuf":
        return labels[~np.isin(labels, classes)]
    known = set(classes.tolist())
    return labels[np.array([label not in known for label in labels.tolist()], dtype=bool)]


def _with_unseen(proba: NDArray, classes: NDArray, unseen: NDArray) -> tuple[NDArray, NDArray]:
    """Add a column of zeros for each class that the estimator has not seen."""
    if not len(unseen):
        return proba, classes
    try:
        names = as_names(sorted({*classes.tolist(), *unseen.tolist()}))
    except TypeError:
        raise ValueError(
            f"y holds {unseen.tolist()[0]!r}, which is no label beside the classes of the fit, "
            f"{classes.tolist()}. Pass labels of the same type."
        ) from None
    if unseen.dtype.kind == classes.dtype.kind == "M":  # tolist may turn dates into numbers
        names = np.unique(np.concatenate([classes, unseen]))
    if proba.ndim == 1 or proba.shape[1] == 1:
        proba = np.column_stack([1 - proba.reshape(-1), proba.reshape(-1)])
    position = {name: k for k, name in enumerate(names.tolist())}
    wider = np.zeros((len(proba), len(names)), dtype=proba.dtype)
    wider[:, [position[label] for label in classes.tolist()]] = proba
    return wider, names


def make_log_loss_scorer(metric: Callable[..., float] = log_loss, **options: Any) -> LogLossScorer:
    """Make a scorer for ``scoring=`` that takes every target that the metric takes.

    Unlike scikit-learn's "neg_log_loss", it takes probability targets. It also takes the classes
    from the estimator, so that a fold may lack some labels.

    Parameters
    ----------
    metric : {log_loss, kl_divergence, d2_log_loss_score}, default=log_loss
        The function. Losses are negated, so that greater is better.
    **options : dict
        Keyword arguments of the metric, for example ``loss="binary"``.

    Returns
    -------
    LogLossScorer
        Callable ``(estimator, X, y, sample_weight=None, offset=None)`` that scores `predict_proba`.
        Pass it to `cross_validate`, `GridSearchCV`, `learning_curve`, `validation_curve` or
        `permutation_importance`.

    Raises
    ------
    ValueError
        If the metric is not one of these three.

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
    """Return y as an array. A data frame is returned unchanged, to keep its column names."""
    array = check_y(y, missing=True)
    return array if column_names(y) is None else y


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
