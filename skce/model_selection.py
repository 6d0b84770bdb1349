"""Cross-validation with probability targets, for which scikit-learn's tools need labels."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.utils import check_random_state, get_tags, indexable

from ._checks import (
    N_JOBS,
    VERBOSE,
    check_folds,
    check_numbers,
    check_sparse,
    is_date,
    naming,
    refuse_misread,
)
from ._sklearn import validate_params
from ._targets.meaning import check_unit_interval, check_y, column_names, kind_of_labels, sorting

__all__ = ["StratifiedProbabilityKFold", "cross_val_predict_proba"]

#: Strata at most; a larger number balances no better, and takes longer.
_STRATA = 500
#: Numbers in a matrix of targets at most: to here they fit the integers that scikit-learn casts to.
_LARGEST_TARGET = 2.0**53


class StratifiedProbabilityKFold(StratifiedKFold):
    """K folds with nearly the same target mass of every class, for probability targets.

    Rows are put in order by their most probable class, the next one, and the probability of the
    first, and consecutive ones are spread over the folds. On labels this is what
    :class:`~sklearn.model_selection.StratifiedKFold` does.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether to shuffle which fold a row of a stratum goes to.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling; None for another one each time.

    See Also
    --------
    sklearn.model_selection.StratifiedKFold : For labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.model_selection import StratifiedProbabilityKFold
    >>> Y = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.3, 0.7]])
    >>> for train, test in StratifiedProbabilityKFold(n_splits=2).split(np.zeros((4, 1)), Y):
    ...     print(test, Y[test].mean(axis=0).round(2))
    [0 2] [0.55 0.45]
    [1 3] [0.55 0.45]
    """

    def __init__(self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None):
        if not isinstance(n_splits, Integral) or is_date(n_splits):
            raise ValueError(f"n_splits must be an integer of at least 2, got {n_splits!r:.100}.")
        if not isinstance(shuffle, (bool, np.bool_)):
            raise ValueError(f"shuffle must be True or False, got {shuffle!r:.100}.")
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)

    def split(self, X: Any, y: ArrayLike, groups: Any = None) -> Iterator[tuple[NDArray, NDArray]]:
        """Split rows into training and test rows, fold by fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Only its length matters.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, probabilities of class 1, or a distribution per row. In a multilabel `y` what
            is missing counts as absent.
        groups : object
            Ignored, as scikit-learn's splitters have it.

        Returns
        -------
        iterator of (train, test)
            Indices of the rows to fit on and of those to score on, fold by fold.
        """
        check_sparse(X, "X")
        check_sparse(groups, "groups")
        with naming("X", None):
            (X,) = indexable(X)
        with naming("groups", None):
            (groups,) = indexable(groups)
        with naming("random_state", None):
            check_random_state(self.random_state)
        return super().split(X, self._strata(y), groups)

    def _strata(self, y: ArrayLike) -> Any:
        names, values = column_names(y), check_y(y, missing=True)
        columns = None if names is None else sorting(names)
        if columns is not None:  # so that their order changes no fold
            values = values[:, columns]
        if values.ndim == 1 and kind_of_labels(values) != "continuous":
            return values
        values = values if values.dtype.kind in "biuf" else check_numbers(values, "y")
        if values.dtype.kind == "f" and values.ndim == 2:
            values = np.nan_to_num(values)  # a label that is not known counts as one that is absent
        if values.ndim == 1:
            order = np.argsort(values, kind="stable")
        else:
            first = values.argmax(axis=1)
            rest = values.astype(np.float64)
            rest[np.arange(len(rest)), first] = -1
            order = np.lexsort((values.max(axis=1), rest.argmax(axis=1), first))
        n_strata = max(1, min(_STRATA, len(order) // self.n_splits))
        strata = np.empty(len(order), dtype=np.intp)
        strata[order] = np.arange(len(order)) * n_strata // len(order)
        return strata


class _ProbabilityPredictor(ClassifierMixin, BaseEstimator):
    """An estimator whose `predict` is its `predict_proba`, which no one encodes y for."""

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def get_metadata_routing(self) -> Any:
        return self.estimator.get_metadata_routing()

    def fit(self, X: Any, y: Any, **params: Any) -> _ProbabilityPredictor:
        self.estimator_ = clone(self.estimator).fit(X, y, **params)
        return self

    def predict(self, X: Any) -> Any:
        return self.estimator_.predict_proba(X)


@validate_params(
    {
        "cv": ["cv_object"],
        "n_jobs": N_JOBS,
        "verbose": VERBOSE,
        "params": [dict, None],
        "pre_dispatch": [Integral, str],
    },
    prefer_skip_nested_validation=False,  # the estimator's parameters are its own
)
def cross_val_predict_proba(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: int | str = "2*n_jobs",
) -> NDArray:
    """Predict the probabilities of each row by a fit on the other folds, for any target.

    :func:`sklearn.model_selection.cross_val_predict` with ``method="predict_proba"`` encodes the
    columns of a 2-D `y` as if they held labels; this passes them as they are.

    Parameters
    ----------
    estimator : estimator with `predict_proba`
        Cloned for every fold.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Features.
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities.
    groups : array-like of shape (n_samples,), default=None
        Groups for the splitter.
    cv : int, splitter or iterable, default=None
        As in :func:`sklearn.model_selection.cross_val_predict`; every row must be in one test set.
        An int on probability targets makes folds that are not stratified; for those pass
        :class:`StratifiedProbabilityKFold`.
    n_jobs : int, default=None
        Number of processes.
    verbose : int, default=0
        Verbosity.
    params : dict, default=None
        Parameters of `fit`, for example ``{"sample_weight": w}``; routed if metadata routing is
        enabled. An offset, which predictions need as well, is refused.
    pre_dispatch : int or str, default="2*n_jobs"
        Jobs that are dispatched at once.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Probabilities, with columns in the order of `classes_`: of the sorted labels or column
        names, or of the columns of `y` if it is an array or its labels can hold together.

    See Also
    --------
    sklearn.model_selection.cross_val_predict : For labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.metrics import log_loss
    >>> from skce.model_selection import StratifiedProbabilityKFold, cross_val_predict_proba
    >>> X, y = load_iris(return_X_y=True)
    >>> Y = 0.9 * np.eye(3)[y] + 0.1 / 3
    >>> cv = StratifiedProbabilityKFold(5)
    >>> p = cross_val_predict_proba(SoftmaxClassifier(), X, Y, cv=cv)
    >>> round(log_loss(Y, p), 2)
    0.5
    """
    options = {
        "groups": groups,
        "cv": cv,
        "n_jobs": None if n_jobs is None else int(n_jobs),
        "verbose": int(verbose),
        "params": params,
        "pre_dispatch": pre_dispatch,
    }
    if not hasattr(estimator, "fit") or not hasattr(estimator, "predict_proba"):
        raise TypeError(f"estimator must have fit and predict_proba, got {estimator!r:.100}.")
    for name, value in {"X": X, "groups": groups, **(params or {})}.items():
        if not isinstance(name, str):
            raise TypeError(f"params must have strings as keys, but one is {name!r:.100}.")
        if name.rpartition("__")[2] == "offset":
            raise ValueError(
                f"params has {name!r}, which scikit-learn's cross_val_predict would pass to fit "
                "only. Loop over the folds: for train, test in cv.split(X, y): "
                "clone(model).fit(X[train], y[train], offset=offset[train])"
                ".predict_proba(X[test], offset=offset[test])."
            )
        check_sparse(value, name)
        refuse_misread(value, name)
    with naming("X", None):
        (X,) = indexable(X)
    with naming("groups", None):
        (options["groups"],) = indexable(groups)
    labels = check_y(y, missing=True)
    if cv is not None and not isinstance(cv, Integral) and not hasattr(cv, "get_n_splits"):
        options["cv"] = check_folds(cv, len(labels))
    if labels.ndim == 1 and kind_of_labels(labels) != "continuous":
        if labels.dtype.kind == "f":  # if large, scikit-learn's casts overflow
            labels = np.unique(labels, return_inverse=True)[1]
        return cross_val_predict(estimator, X, labels, method="predict_proba", **options)
    if labels.ndim == 1:
        check_unit_interval(labels)
    else:
        largest = np.fmax.reduce(np.abs(check_numbers(labels, "y")), axis=None)
        if largest > _LARGEST_TARGET:
            raise ValueError(f"y holds {largest:g}: target probabilities are in [0, 1].")
        if cv is None or isinstance(cv, Integral):  # scikit-learn asks y, which may hold NaN
            options["cv"] = KFold(5 if cv is None else int(cv))
    if column_names(y) is None:
        y = labels
    return cross_val_predict(_ProbabilityPredictor(estimator), X, y, **options)
