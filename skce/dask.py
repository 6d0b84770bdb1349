"""The estimators and the log-loss for Dask collections.

Chunks stay where Dask keeps them: in this process, or on the workers of a cluster. The current
scheduler computes them: threads without a client, `distributed` with a client. Only sums over all
rows and samples of the rows come to the client. If X is not in memory, every pass reads it again.
``X = X.persist()`` keeps it in memory, if the workers have room for it.

The module needs the extra ``dask``.
"""

from __future__ import annotations

import sys
from copy import copy
from numbers import Integral, Real
from operator import eq, ne
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data

from ._callbacks import Task
from ._checks import Number, check_folds, check_numbers, numbered_from, to_numpy
from ._classifier import SoftmaxClassifier as _InMemory
from ._classifier_cv import SoftmaxClassifierCV as _InMemoryCV
from ._costs import Costs
from ._fold import Fold, Prepared
from ._linear_model import LinearModel
from ._rows import check_finite, number_type
from ._sklearn import StrOptions, safe_indexing, validate_params
from ._targets.mass import check_some_known
from ._targets.meaning import (
    as_names,
    check_sample_weight,
    check_y,
    column_names,
    kind_of_labels,
)
from ._targets.merged import Merged, Seen, look, merge
from ._targets.offset import check_offset
from .metrics._problem import read

try:
    import dask
    import dask.array as da
    from dask.delayed import delayed

    from ._data.chunks import ChunkedData, Reading, is_aligned, numbers_of
    from ._data.places import far_from_zero
except ImportError as error:
    raise ImportError(
        "skce.dask needs Dask, which is not installed: pip install 'skce[dask]'."
    ) from error

__all__ = ["SoftmaxClassifier", "SoftmaxClassifierCV", "log_loss"]

#: Bytes of a chunk that are checked for NaN and infinity at a time.
_LOOKED_AT = 2**25


class _SeenX(NamedTuple):
    """What is known of a chunk of X."""

    n_rows: int
    n_columns: int
    dtype: np.dtype
    is_sparse: bool
    n_stored: int
    #: Elements stored in each column, if the chunk is sparse.
    of_columns: NDArray | None
    #: Whether its numbers are aligned in memory.
    is_aligned: bool = True


class _Chunks(NamedTuple):
    """A collection as a list of chunks.

    Attributes
    ----------
    parts : list of Delayed
        The chunks.
    sizes : tuple of int, or None
        Number of rows of each chunk, if it is known.
    names : list, or None
        Names of the columns of a data frame.
    """

    parts: list[Any]
    sizes: tuple[int, ...] | None
    names: list | None = None


class _X(NamedTuple):
    """Chunks of X, what is known of each, and the shape of X."""

    parts: list[Any]
    seen: list[_SeenX]
    shape: tuple[int, int]


class _Y(NamedTuple):
    """Chunks of y, of the weights and of the offsets, and the meaning of all of y."""

    y: list[Any]
    weights: list[Any]
    names: NDArray | None
    merged: Merged
    offset: list[Any] | None = None
    #: Largest absolute value of the offsets.
    largest_offset: float = 0.0

    @property
    def has_offset(self) -> bool:
        """Whether there is an offset."""
        return self.offset is not None

    @property
    def classes(self) -> NDArray:
        """Names of the classes."""
        return self.merged.classes

    @property
    def form(self) -> str:
        """Name of the form of output, which turns logits into probabilities."""
        return self.merged.form

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self.merged.loss

    @property
    def has_missing(self) -> bool:
        """Whether some outputs are NaN."""
        return self.merged.raw.has_missing

    @property
    def n_outputs(self) -> int:
        """Number of coefficient vectors."""
        return self.merged.n_outputs

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return self.merged.total_weight


class _OnChunks(LinearModel):
    """Lazy predictions of chunks, and their score."""

    _in_memory: type
    #: Whether predictions of chunks are computed immediately, because scorers need arrays.
    _at_once = False

    def decision_function(self, X: Any, *, offset: Any = None) -> Any:
        """Logits of the classes, lazy for a Dask collection.

        Parameters
        ----------
        X : Dask collection or array-like of shape (n_samples, n_features)
            Features.
        offset : Dask collection or array-like, default=None
            Known parts of the logits, in chunks with the same rows as X.

        Returns
        -------
        dask.array.Array or ndarray of shape (n_samples,) or (n_samples, n_classes)
            As :meth:`skce.SoftmaxClassifier.decision_function` returns them.
        """
        check_is_fitted(self)
        one = self._form in ("sigmoid", "softmax") and len(self.classes_) == 2
        return self._lazily("decision_function", X, offset, () if one else (len(self.classes_),))

    def predict(self, X: Any, *, offset: Any = None) -> Any:
        """Most probable class of each row, lazy for a Dask collection.

        Parameters
        ----------
        X : Dask collection or array-like of shape (n_samples, n_features)
            Features.
        offset : Dask collection or array-like, default=None
            Known parts of the logits, in chunks with the same rows as X.

        Returns
        -------
        dask.array.Array or ndarray of shape (n_samples,) or (n_samples, n_classes)
            As :meth:`skce.SoftmaxClassifier.predict` returns them.
        """
        check_is_fitted(self)
        if self._form == "multilabel":
            return self._lazily("predict", X, offset, (len(self.classes_),), np.dtype(np.int64))
        return self._lazily("predict", X, offset, (), self.classes_.dtype)

    def predict_proba(self, X: Any, *, offset: Any = None) -> Any:
        """Probabilities of the classes, lazy for a Dask collection.

        Parameters
        ----------
        X : Dask collection or array-like of shape (n_samples, n_features)
            Features.
        offset : Dask collection or array-like, default=None
            Known parts of the logits, in chunks with the same rows as X.

        Returns
        -------
        dask.array.Array or ndarray of shape (n_samples, n_classes)
            As :meth:`skce.SoftmaxClassifier.predict_proba` returns them.
        """
        check_is_fitted(self)
        return self._lazily("predict_proba", X, offset, (len(self.classes_),))

    def predict_log_proba(self, X: Any, *, offset: Any = None) -> Any:
        """Logarithms of the probabilities, lazy for a Dask collection.

        Parameters
        ----------
        X : Dask collection or array-like of shape (n_samples, n_features)
            Features.
        offset : Dask collection or array-like, default=None
            Known parts of the logits, in chunks with the same rows as X.

        Returns
        -------
        dask.array.Array or ndarray of shape (n_samples, n_classes)
            As :meth:`skce.SoftmaxClassifier.predict_log_proba` returns them.
        """
        check_is_fitted(self)
        return self._lazily("predict_log_proba", X, offset, (len(self.classes_),))

    def score(
        self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None, **params: Any
    ) -> float:
        """Mean accuracy over all chunks. For target probabilities it is the expected accuracy.

        Parameters
        ----------
        X : Dask collection or array-like of shape (n_samples, n_features)
            Features.
        y : Dask collection or array-like
            Labels or target probabilities, in chunks with the same rows as X.
        sample_weight : Dask collection or array-like of shape (n_samples,), default=None
            Weights of the rows.
        offset : Dask collection or array-like, default=None
            Known parts of the logits, in chunks with the same rows as X.
        **params : dict
            Metadata for a scorer. They are used only if X is in memory.

        Returns
        -------
        float
            As :meth:`skce.SoftmaxClassifier.score` returns it.
        """
        if not dask.is_dask_collection(X):
            return super().score(X, y, sample_weight, offset=offset, **params)
        chunks = _aligned(X=X, y=y, sample_weight=sample_weight, offset=offset)
        model = delayed(self.to_local())
        parts = zip(*[one.parts for one in chunks], strict=True)
        found = [delayed(_score)(model, *part) for part in parts]
        return _ratio(dask.compute(*found))

    def __sklearn_tags__(self) -> Any:
        """Return the tags, without support for the array API: chunks are arrays of NumPy."""
        tags = super().__sklearn_tags__()
        tags.array_api_support = False
        return tags

    def to_local(self) -> Any:
        """Return the same estimator for arrays in memory.

        Returns
        -------
        skce.SoftmaxClassifier or skce.SoftmaxClassifierCV
            An estimator with the same parameters. It is fitted if this one is.
        """
        local = self._in_memory(**self.get_params(deep=False))
        for name, value in vars(self).items():
            if not hasattr(local, name):
                setattr(local, name, value)
        return local

    def _lazily(
        self, method: str, X: Any, offset: Any, shape: tuple[int, ...], dtype: Any = None
    ) -> Any:
        """Return what a method of the local estimator returns for each chunk."""
        if not dask.is_dask_collection(X):
            return getattr(super(), method)(X, offset=offset)
        chunks, offsets = _aligned(X=X, offset=offset)
        model = delayed(self.to_local())
        dtype = self.coef_.dtype if dtype is None else dtype
        sizes = chunks.sizes or (np.nan,) * len(chunks.parts)
        found = [
            da.from_delayed(delayed(_call)(model, method, part, o), (size, *shape), dtype)
            for part, o, size in zip(chunks.parts, offsets.parts, sizes, strict=True)
        ]
        lazy = da.concatenate(found)
        return lazy.compute() if self._at_once else lazy

    def _computing(self) -> Any:
        """Return a copy that computes predictions of chunks immediately."""
        other = copy(self)
        other._at_once = True
        return other


class SoftmaxClassifier(_OnChunks, _InMemory):
    """:class:`skce.SoftmaxClassifier` on Dask collections.

    It has the same parameters and fitted attributes, and finds the same optimum. `fit` takes arrays
    and data frames of Dask. Their chunks may be dense, or sparse arrays of SciPy. Predictions for a
    Dask collection are lazy. Predictions for anything else are those of
    :class:`skce.SoftmaxClassifier`.

    See Also
    --------
    skce.SoftmaxClassifier : Parameters and attributes.

    Notes
    -----
    A pass over the rows is a task for each chunk. A fit that needs some of the rows, for whitening
    and for Hessian products, takes a fixed sample of them into this process. The scheduler needs
    about 1 ms for each task. With chunks of 100 MB or more this is a small part of the time.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_iris
    >>> from skce.dask import SoftmaxClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(50, 4)), da.from_array(y, chunks=50)
    >>> clf = SoftmaxClassifier().fit(X, y)
    >>> clf.predict_proba(X)
    dask.array<concatenate, shape=(150, 3), dtype=float64, chunksize=(50, 3), ...>
    >>> clf.predict(X[:3]).compute()
    array([0, 0, 0])
    >>> round(clf.score(X, y), 2)
    0.97
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        offset: Any = None,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
    ) -> SoftmaxClassifier:
        """Fit the coefficients.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
            Features. Each chunk must have all columns.
        y : dask.array.Array, dask.dataframe.Series or dask.dataframe.DataFrame
            Labels or target probabilities, as :meth:`skce.SoftmaxClassifier.fit` takes them, in
            chunks with the same rows as X. The column names of a data frame become `classes_`.
        sample_weight : dask.array.Array or dask.dataframe.Series, default=None
            Non-negative weights of the rows, in chunks with the same rows as X.
        offset : dask.array.Array, dask.dataframe.Series or dask.dataframe.DataFrame, default=None
            Known parts of the logits, in chunks with the same rows as X.
        coef_init, intercept_init : array-like, default=None
            Coefficients and intercepts to start from, as in :meth:`skce.SoftmaxClassifier.fit`.

        Returns
        -------
        SoftmaxClassifier
            The fitted estimator.

        Raises
        ------
        TypeError
            If X, y, `sample_weight` or `offset` is not a Dask collection.
        ValueError
            If an argument is not as described. The message names the row, counted from the first
            row of the first chunk. The estimator does not change.
        """
        start = {"coef_init": coef_init, "intercept_init": intercept_init}
        super().fit(X, y, sample_weight, offset=offset, **start)
        return self

    _in_memory = _InMemory

    def _read_raw(self, X: Any, y: Any, sample_weight: Any, offset: Any = None) -> Any:
        return _read(self, X, y, sample_weight, offset)

    def _fold_weights(self, raw: Any, weights: Any, X: Any) -> Any:
        return raw

    def _data(self, X: Any, targets: Any) -> Any:
        return _data(X, targets, self.fit_intercept, self._costs)


class SoftmaxClassifierCV(_OnChunks, _InMemoryCV):
    """:class:`skce.SoftmaxClassifierCV` on Dask collections.

    It has the same parameters and fitted attributes. In each fold, the rows that are not in it have
    weight zero.

    See Also
    --------
    skce.SoftmaxClassifierCV : Parameters and attributes.

    Notes
    -----
    If `cv` is a number, the rows of each chunk are assigned to folds at random, always in the same
    way. `cv` may also be a splitter that needs only the number of rows, such as
    :class:`~sklearn.model_selection.KFold` or :class:`~sklearn.model_selection.PredefinedSplit`,
    or an iterable of folds of row numbers.

    The log-loss, the default of `scoring`, is a sum over chunks. For other scores, the predictions
    and the y of the test rows come to the client. For the log-loss they come to the client with
    one-vs-rest, or if the training rows of a fold lack a class.

    Examples
    --------
    >>> import dask.array as da
    >>> from sklearn.datasets import load_iris
    >>> from skce.dask import SoftmaxClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(50, 4)), da.from_array(y, chunks=50)
    >>> SoftmaxClassifierCV(Cs=[1, 10, 100, 1000], cv=3).fit(X, y).C_
    100.0
    """

    _in_memory = _InMemoryCV
    _classifier = SoftmaxClassifier

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None, **params: Any
    ) -> SoftmaxClassifierCV:
        """Fit all candidates on all folds, and the best one on all rows.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
            Features. Each chunk must have all columns.
        y : dask.array.Array, dask.dataframe.Series or dask.dataframe.DataFrame
            Labels or target probabilities, in chunks with the same rows as X.
        sample_weight : dask.array.Array or dask.dataframe.Series, default=None
            Non-negative weights of the rows, in chunks with the same rows as X.
        offset : dask.array.Array, dask.dataframe.Series or dask.dataframe.DataFrame, default=None
            Known parts of the logits, in chunks with the same rows as X.
        **params : dict
            Metadata for the splitter and the scorer.

        Returns
        -------
        SoftmaxClassifierCV
            The fitted estimator.

        Raises
        ------
        TypeError
            If X, y, `sample_weight` or `offset` is not a Dask collection.
        ValueError
            If an argument is not as described.
        """
        super().fit(X, y, sample_weight, offset=offset, **params)
        return self

    def score(
        self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None, **params: Any
    ) -> float:
        """Score the predictions of all chunks with `scoring`, or with accuracy if it is None.

        Parameters
        ----------
        X : Dask collection or array-like of shape (n_samples, n_features)
            Features.
        y : Dask collection or array-like
            Labels or target probabilities, in chunks with the same rows as X.
        sample_weight : Dask collection or array-like of shape (n_samples,), default=None
            Weights of the rows.
        offset : Dask collection or array-like, default=None
            Known parts of the logits, in chunks with the same rows as X.
        **params : dict
            Metadata for a scorer, as arrays in memory.

        Returns
        -------
        float
            As :meth:`skce.SoftmaxClassifierCV.score` returns it.
        """
        if self.scoring is None or not dask.is_dask_collection(X):
            return super().score(X, y, sample_weight, offset=offset, **params)
        _, targets, weights = _aligned(X=X, y=y, sample_weight=sample_weight)
        given = None if sample_weight is None else _gathered(weights.parts)
        scored = self._computing()
        y = _gathered(targets.parts)
        return _InMemoryCV.score(scored, X, y, given, offset=offset, **params)

    def _read_raw(self, X: Any, y: Any, sample_weight: Any, offset: Any = None) -> Any:
        x, targets, _ = _read(self, X, y, sample_weight, offset)
        return x, targets, None if sample_weight is None else targets.weights

    def _y_for_scores(self, y: Any) -> Any:
        return y

    @property
    def _fold_class(self) -> type[Fold]:
        return _Fold

    def _folds(self, X: Any, y: Any, raw: Any, for_split: dict[str, Any]) -> list:
        """Return masks of the training and of the test rows of each fold, chunk by chunk."""
        sizes, n = [seen.n_rows for seen in X.seen], X.shape[0]
        if self.cv is None or isinstance(self.cv, Integral):
            k = 5 if self.cv is None else int(self.cv)
            if not 2 <= k <= n:
                raise ValueError(
                    f"cv must be at least 2, and at most the number of rows, {n}, got {k}."
                )
            dealt = [delayed(_dealt)(i, size, k) for i, size in enumerate(sizes)]
            return [
                ([delayed(ne)(one, i) for one in dealt], [delayed(eq)(one, i) for one in dealt])
                for i in range(k)
            ]
        splits = self.cv.split(np.zeros((n, 1)), **for_split) if self._cv_splits else self.cv
        ends = np.cumsum(sizes)[:-1]
        return [
            tuple(np.split(np.isin(np.arange(n), rows), ends) for rows in fold)
            for fold in check_folds(splits, n)
        ]


class _Fold(Fold):
    """A fold that is given as masks of the rows of each chunk."""

    @property
    def is_small(self) -> bool:
        """Whether all folds may be kept. They may: their data are where the chunks are."""
        return True

    def _prepared(self, number: int, train: Any, test: Any, task: Task) -> Prepared:
        model = clone(self.model)._computing()
        data = task.data if task.is_told else {}
        return self._ready(number, model, self.X, self._targets(model, self.X, train), test, data)

    def _targets(self, model: Any, X: Any, train: Any) -> Any:
        return self._masked(train, model.class_weight, float(model.label_smoothing))

    def _weigh_nothing(self, test: Any) -> bool:
        return self._masked(test, None, 0.0) is None

    def _test_data(self, test: Any) -> Any:
        targets: Any = self._masked(test, None, 0.0)
        return _data(self.X, targets, self.model.fit_intercept, self.model._costs)

    def _test_rows(self, test: Any) -> tuple[Any, Any, dict[str, Any]]:
        whole: _Y = self.raw  # type: ignore[assignment]
        metadata: dict[str, Any] = {
            name: _gathered(parts, test) for name, parts in self.metadata.items()
        }
        sizes = dask.compute(*[delayed(np.count_nonzero)(mask) for mask in test])
        parts = [
            da.from_delayed(delayed(_rows)(part, mask), (size, self.X.shape[1]), seen.dtype)
            for part, mask, size, seen in zip(self.X.parts, test, sizes, self.X.seen, strict=True)
            if size
        ]
        if "offset" in metadata:
            rows = tuple(size for size in sizes if size)
            known = np.asarray(metadata["offset"])
            metadata["offset"] = da.from_array(known, chunks=(rows, *known.shape[1:]))
        return da.concatenate(parts), _gathered(whole.y, test), metadata

    def _masked(self, masks: list[Any], class_weight: Any, smoothing: float) -> _Y | None:
        """Return targets with weight zero outside the masks; None if all weights are then zero."""
        whole: _Y = self.raw  # type: ignore[assignment]
        weights = [delayed(_times)(w, mask) for w, mask in zip(whole.weights, masks, strict=True)]
        loss = self.model.loss
        looks = [delayed(look)(y, w, loss) for y, w in zip(whole.y, weights, strict=True)]
        seen = list(dask.compute(*looks))
        if not any(part.total_weight > 0 for part in seen):
            return None
        merged = merge(seen, loss, class_weight, smoothing, whole.names)
        return whole._replace(weights=weights, merged=merged)


@validate_params(
    {
        "loss": [StrOptions({"categorical", "binary"})],
        "normalize": ["boolean"],
        "labels": ["array-like", None],
        "label_smoothing": [Number(Real, 0, 1, closed="left")],
        "clip": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def log_loss(
    y_true: Any,
    y_proba: Any,
    *,
    loss: str = "categorical",
    normalize: bool = True,
    sample_weight: Any = None,
    labels: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    clip: bool = True,
) -> float:
    """Log-loss of predicted probabilities in Dask collections.

    It computes the same as :func:`skce.metrics.log_loss`.

    Parameters
    ----------
    y_true : Dask collection of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities.
    y_proba : Dask collection of shape (n_samples, n_classes)
        Predicted probabilities, in chunks with the same rows as `y_true`.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    normalize : bool, default=True
        Return the weighted mean over the rows. If False, return their weighted sum.
    sample_weight : Dask collection of shape (n_samples,), default=None
        Non-negative weights of the rows.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions. If None, the sorted labels of all chunks.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes.
    clip : bool, default=True
        Replace a predicted zero by the epsilon of the dtype. With False the loss is infinite if
        target mass meets probability zero.

    Returns
    -------
    float
        The loss in nats.

    Raises
    ------
    ValueError
        If shapes do not match, or a row is not a distribution. The message names the row, counted
        from the first row of the first chunk.

    See Also
    --------
    skce.metrics.log_loss : The same in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> from skce.dask import log_loss
    >>> y = da.from_array([0, 1, 1, 0], chunks=2)
    >>> p = da.from_array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]], chunks=(2, 2))
    >>> round(log_loss(y, p), 4)
    0.299
    """
    t, p, w = _aligned(y_true=y_true, y_proba=y_proba, sample_weight=sample_weight)
    if labels is None and len(getattr(y_true, "shape", (0,))) == 1:
        found = dask.compute(*[delayed(_labels)(part) for part in t.parts])
        known = [part for part in found if part is not None and len(part)]
        if known and len(known) == len([part for part in found if part is None or len(part)]):
            labels = np.unique(np.concatenate(known))
    options = {"loss": loss, "labels": labels, "label_smoothing": label_smoothing, "clip": clip}
    parts = zip(t.parts, p.parts, w.parts, strict=True)
    results = dask.compute(*[delayed(_loss)(*part, options) for part in parts])
    _raise_first_error(results)
    total, mass = (float(sum(result[i] for result in results)) for i in (1, 2))
    return _ratio([(total, mass)]) if normalize else total


# ----------------------------------------------------------------------------- on the client
def _read(
    estimator: Any, X: Any, y: Any, sample_weight: Any, offset: Any = None
) -> tuple[_X, _Y, None]:
    """Check all arguments of fit, and find out what the targets mean."""
    everything = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset}
    for name, values in everything.items():
        is_left_out = values is None and name in ("sample_weight", "offset")
        if not is_left_out and not dask.is_dask_collection(values):
            raise TypeError(
                f"{name} must be a Dask collection, got {type(values).__name__}. For arrays in "
                "memory use skce.SoftmaxClassifier, or make a collection with da.from_array."
            )
    x, t, w, o = _aligned(**everything)
    loss = estimator.loss
    looks = [delayed(_look)(*parts, loss) for parts in zip(x.parts, t.parts, w.parts, strict=True)]
    found = dask.compute(*looks)
    _raise_first_error(found)
    seen_x: list[_SeenX] = [seen[1] for seen in found]
    _check_alike(seen_x)
    shape = (sum(seen.n_rows for seen in seen_x), seen_x[0].n_columns)
    if not shape[0]:
        raise ValueError("X has no rows.")
    header = X._meta if x.names is not None else np.empty((1, shape[1]))
    validate_data(estimator, header, reset=True, skip_check_array=True)
    seen_y: list[Seen] = [seen[2] for seen in found]
    names = None if t.names is None or len(t.names) < 2 else as_names(t.names)
    # A chunk without rows tells nothing of X or y.
    full = [i for i, seen in enumerate(seen_x) if seen.n_rows]
    merged = merge(
        [seen_y[i] for i in full],
        loss,
        estimator.class_weight,
        float(estimator.label_smoothing),
        names,
    )
    if merged.known is not None:
        check_some_known(merged.known, merged.classes)
    kept = _X([x.parts[i] for i in full], [seen_x[i] for i in full], shape)
    targets = _Y([t.parts[i] for i in full], [w.parts[i] for i in full], names, merged)
    if offset is not None:
        offsets = [o.parts[i] for i in full]
        checks = [
            delayed(_largest_offset)(part, seen.n_rows, merged.form, merged.classes)
            for part, seen in zip(offsets, kept.seen, strict=True)
        ]
        largest = dask.compute(*checks)
        _raise_first_error(largest)
        targets = targets._replace(offset=offsets, largest_offset=max(one for _, one in largest))
    return kept, targets, None


def _raise_first_error(found: Any) -> None:
    """Raise the first error among the results of chunks.

    Each result is a tuple of the number of rows, and a value or an error.
    """
    first_row = 0
    for n_rows, result, *_ in found:
        if isinstance(result, Exception):
            with numbered_from(first_row):
                raise result
        first_row += n_rows


def _data(X: _X, targets: _Y, centred: bool, costs: Costs) -> ChunkedData:
    """Return chunks of X with their targets, which are prepared once and stay with the chunks."""
    stored = number_type(X.seen[0].dtype)
    n_stored = sum(seen.n_stored for seen in X.seen)
    is_sparse = X.seen[0].is_sparse
    sizes = [seen.n_rows for seen in X.seen]
    small = n_stored * (stored.itemsize + 4 * is_sparse) < costs.few_bytes
    dtype = np.dtype(np.float64) if small else stored
    offsets = targets.offset or [None] * len(targets.y)
    folded = [
        delayed(_fold)(targets.merged, y, w, dtype, o)
        for y, w, o in zip(targets.y, targets.weights, offsets, strict=True)
    ]
    folded = list(dask.persist(*folded))
    # Chunks that came over a network are seldom aligned. NumPy would copy them for every product.
    askew = [i for i, seen in enumerate(X.seen) if not seen.is_aligned]
    parts = X.parts.copy()
    for i, part in zip(
        askew, dask.persist(*[delayed(_copy)(parts[i]) for i in askew]), strict=True
    ):
        parts[i] = part

    def data(centre: NDArray | None, distance: float, dtype: np.dtype) -> ChunkedData:
        return ChunkedData(
            parts,
            folded,
            Reading(centre, dtype, stored, costs),
            sizes,
            total_weight=targets.total_weight,
            n_columns=X.shape[1],
            n_outputs=targets.n_outputs,
            is_sparse=is_sparse,
            work_per_logit=max(1, n_stored // X.shape[0]) if is_sparse else X.shape[1],
            distance=distance,
        )

    raw, full = data(None, 0.0, dtype), np.arange(X.shape[1])
    if is_sparse:
        stored_in = np.sum([np.asarray(seen.of_columns) for seen in X.seen], axis=0)
        full = np.flatnonzero(stored_in >= X.shape[0])
        if not len(full):
            return raw
    step = max(1, X.shape[0] // costs.rows_for_centre)
    centre, distance = far_from_zero(raw.take(np.arange(0, X.shape[0], step)).X, full, costs)
    if centre is None:
        return raw
    if not centred:
        return data(None, distance, np.dtype(np.float64))
    return data(centre, 0.0, dtype)


def _chunks(values: Any, name: str) -> _Chunks:
    """Return the chunks of a collection. Each must have all columns."""
    if hasattr(values, "to_dask_array"):  # data frames and series
        names = list(values.columns) if hasattr(values, "columns") else None
        return _Chunks(list(values.to_delayed()), None, names)
    if any(np.isnan(size) for size in values.chunks[0]):
        raise ValueError(
            f"{name} has chunks of unknown size. Call {name}.compute_chunk_sizes() first."
        )
    if values.ndim > 1 and len(values.chunks[1]) > 1:
        raise ValueError(
            f"{name} has {len(values.chunks[1])} chunks of columns, but all columns of a row must "
            f"be in one chunk. Call {name}.rechunk({{1: -1}})."
        )
    sizes = tuple(int(size) for size in values.chunks[0])
    # Chunks stay on workers as long as there are futures of them. With Dask 2026.8 an optimised
    # graph has no futures.
    future = getattr(sys.modules.get("distributed"), "Future", ())
    is_there = any(isinstance(task, future) for task in dict(values.__dask_graph__()).values())
    return _Chunks(list(values.to_delayed(optimize_graph=not is_there).ravel()), sizes)


def _aligned(**collections: Any) -> list[_Chunks]:
    """Return the chunks of all collections. For a collection that is None every chunk is None."""
    found = {
        name: None if values is None else _chunks(values, name)
        for name, values in collections.items()
    }
    (first, chunks), *_ = [(name, one) for name, one in found.items() if one is not None]
    for name, one in found.items():
        if one is None:
            continue
        known = chunks.sizes is not None and one.sizes is not None
        if len(one.parts) != len(chunks.parts) or (known and one.sizes != chunks.sizes):
            rows = f"({first}.chunks[0], ...)"
            raise ValueError(
                f"{first} and {name} are not chunked alike: {_say(chunks)} and {_say(one)}. "
                f"Rechunk one of them, for example by {name}.rechunk({rows})."
            )
    nothing = _Chunks([None] * len(chunks.parts), chunks.sizes)
    return [nothing if one is None else one for one in found.values()]


def _say(chunks: _Chunks) -> str:
    """Describe the rows of chunks."""
    if chunks.sizes is None:
        return f"{len(chunks.parts)} partitions"
    sizes = ", ".join(map(str, chunks.sizes[:4]))
    return f"{len(chunks.sizes)} chunks of {sizes}{', ...' * (len(chunks.sizes) > 4)} rows"


def _check_alike(seen: list[_SeenX]) -> None:
    """Check that all chunks of X have the same columns and type of number."""
    first = next((chunk for chunk in seen if chunk.n_rows), seen[0])
    for i, chunk in enumerate(seen):
        if chunk.n_columns != first.n_columns:
            raise ValueError(
                f"Chunk {i} of X has {chunk.n_columns} columns, but chunk 0 has {first.n_columns}."
            )
        if chunk.n_rows and (chunk.dtype, chunk.is_sparse) != (first.dtype, first.is_sparse):
            kinds = ["sparse " * one.is_sparse + str(one.dtype) for one in (first, chunk)]
            raise ValueError(
                f"Chunk {i} of X is {kinds[1]}, but chunk 0 is {kinds[0]}. Convert X: "
                f"X.astype('{np.promote_types(first.dtype, chunk.dtype)}'), or map_blocks."
            )


def _gathered(parts: list[Any], masks: list[Any] | None = None) -> Any:
    """Return the targets, or the weights, of the masked rows of all chunks, in this process."""
    chosen = zip(parts, masks or [None] * len(parts), strict=True)
    seen = dask.compute(*[delayed(_targets_of)(part, mask) for part, mask in chosen])
    found = [part for part in seen if part is not None]
    if isinstance(found[0], np.ndarray):
        return np.concatenate(found)
    import pandas as pd

    return pd.concat(found)


def _ratio(parts: Any) -> float:
    """Return the sum of the first numbers divided by the sum of the second numbers."""
    total, mass = (float(sum(part[i] for part in parts)) for i in (0, 1))
    if not mass > 0:
        raise ValueError("sample_weight is zero in every row: at least one must be positive.")
    return total / mass


# --------------------------------------------------------------------------- where the chunks are
def _look(X: Any, y: Any, w: Any, loss: str) -> tuple[int, Any, Any]:
    """Return the number of rows of a chunk, and what is known of X and y, or the error."""
    n = int(X.shape[0])
    try:
        if not n:
            dtype = number_type(np.float64)
            return 0, _SeenX(0, X.shape[1], dtype, sp.issparse(X), 0, None), None
        X = numbers_of(X)
        name = "SoftmaxClassifier"
        if sp.issparse(X):
            _check_stored(X, name)
        else:
            check_finite(X, "X", name, _LOOKED_AT)
        n_stored = int(X.nnz) if sp.issparse(X) else X.size
        stored = np.bincount(X.indices, minlength=X.shape[1]) if sp.issparse(X) else None
        if len(y) != n:
            raise ValueError(f"A chunk of X has {n} rows, but the same chunk of y has {len(y)}.")
        x = _SeenX(n, X.shape[1], X.dtype, sp.issparse(X), n_stored, stored, is_aligned(X))
        return n, x, look(y, w, loss)
    except (ValueError, TypeError) as error:
        return n, error, None


def _check_stored(X: sp.csr_array, estimator: str) -> None:
    """Raise an error that names the first row of a sparse chunk that is not finite."""
    finite = np.isfinite(X.data)
    if not finite.all():
        row = int(np.searchsorted(X.indptr, int(finite.argmin()), side="right")) - 1
        with numbered_from(row):
            check_finite(X[[row]].toarray(), "X", estimator, _LOOKED_AT)


def _copy(X: Any) -> Any:
    return numbers_of(X).copy()


def _fold(merged: Merged, y: Any, w: Any, dtype: np.dtype, offset: Any) -> Any:
    return merged.targets(y, w, dtype, offset)


def _largest_offset(offset: Any, n_rows: int, form: str, classes: NDArray) -> tuple[int, Any]:
    """Return the number of rows of a chunk, and its largest absolute offset, or the error."""
    try:
        known = check_offset(offset, n_rows, form, classes)
        return n_rows, 0.0 if known is None else float(np.abs(known).max())
    except (ValueError, TypeError) as error:
        return n_rows, error


def _dealt(chunk: int, n_rows: int, k: int) -> NDArray:
    """Return, for each row of a chunk, the number of the fold that tests it."""
    return np.random.default_rng(chunk).permutation(n_rows) % k


def _times(w: Any, mask: NDArray) -> NDArray:
    """Return the weights, 1 if `w` is None, with zeros outside of a mask."""
    weights: Any = 1.0 if w is None else check_sample_weight(w, len(mask), whole=False)
    return np.where(mask, weights, 0.0)


def _rows(values: Any, mask: NDArray | None) -> Any:
    """Return the masked rows of a chunk, or all rows if the mask is None."""
    return values if mask is None else safe_indexing(values, np.flatnonzero(mask))


def _targets_of(y: Any, mask: NDArray | None) -> Any:
    """Return the targets, or the weights, of the masked rows of a chunk, as scorers take them.

    None if the chunk has no rows.
    """
    if not len(y):
        return None
    return _rows(check_y(y, missing=True) if column_names(y) is None else y, mask)


def _call(model: _InMemory, method: str, X: Any, offset: Any) -> NDArray:
    if not X.shape[0]:
        return getattr(model, method)(np.zeros((1, X.shape[1])))[:0]
    return getattr(model, method)(X, offset=offset)


def _score(model: _InMemory, X: Any, y: Any, w: Any, offset: Any) -> tuple[float, float]:
    """Return the weighted sum of the scores of the rows, and the sum of their weights."""
    total = _total_weight(w, X.shape[0])
    if model._form == "multilabel" and len(y):
        known = ~np.isnan(check_numbers(check_y(y, missing=True), "y")).all(axis=1)
        weights = np.ones(len(known)) if w is None else np.asarray(to_numpy(w, "sample_weight"))
        total = _total_weight(weights[known], 0)
    return (model.score(X, y, w, offset=offset) * total if total > 0 else 0.0), total


def _total_weight(w: Any, n_rows: int) -> float:
    """Return the sum of the weights, or the number of rows if `w` is None."""
    return float(n_rows if w is None else np.sum(to_numpy(w, "sample_weight"), dtype=float))


def _labels(y: Any) -> NDArray | None:
    """Return the labels of a chunk, or None if it holds probabilities."""
    if not len(y):
        return np.empty(0)
    array = check_y(y, "y_true")
    return None if kind_of_labels(array, "y_true") == "continuous" else np.unique(array)


def _loss(y: Any, p: Any, w: Any, options: dict[str, Any]) -> tuple[int, Any, float]:
    """Return the number of rows, the sum of their losses or the error, and their total weight."""
    n = len(p)
    if not n:
        return 0, 0.0, 0.0
    try:
        total = _total_weight(w, n)
        if not total > 0:
            return n, 0.0, 0.0
        problem = read(y, p, w, **options)
        return n, *problem.totals(problem.targets.loss)
    except (ValueError, TypeError) as error:
        return n, error, 0.0
