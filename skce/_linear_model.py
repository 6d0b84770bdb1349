"""What all estimators share: coefficients, predictions, and the reading of X and y."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from ._array_api import computes_in_numpy, elsewhere, exact_products, in_host_memory, like, moved
from ._arrays import as_type, as_type_of, beside, gathered, namespace, taken
from ._callbacks import CallbackSupportMixin
from ._checks import check_sparse, naming, refuse_dates, refuse_misread
from ._costs import DEFAULT
from ._outputs import OUTPUTS
from ._prior import prior_shift
from ._problem.objective import Objective
from ._rows import (
    Rows,
    check_finite,
    is_read_by_block,
    mapped,
    number_type,
    opened,
    refuse_truncated,
)
from ._solver.stop import Report
from ._targets.mass import Targets
from ._targets.meaning import (
    RawTargets,
    check_lengths,
    check_sample_weight,
    check_y,
    expected_accuracy,
    mean_of_known,
    read_targets,
)
from ._targets.offset import check_offset
from ._threads import Span, blocks
from ._to_sklearn import as_sklearn


class LinearModel(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Coefficients and intercepts, and what follows from them.

    A subclass has the parameters `loss`, `fit_intercept`, `class_weight` and `max_iter`. It sets
    the attributes below in `fit`, and has two properties that return C and l1_ratio of the fit.
    """

    classes_: NDArray
    coef_: Any
    intercept_: NDArray
    _form: str

    #: Constants that decide what is worth its cost. A subclass may have others.
    _costs = DEFAULT

    # The page that scikit-learn's diagram of an estimator links to.
    _doc_link_module = "skce"
    _doc_link_template = (
        "https://skce.readthedocs.io/en/stable/generated/{estimator_module}.{estimator_name}.html"
    )

    @computes_in_numpy
    def decision_function(self, X: Any, *, offset: ArrayLike | None = None) -> NDArray:
        """Logits of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as in `fit`. The default is zero.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits. With two classes these are the log-odds of ``classes_[1]``, which is predicted
            if they are positive. With multilabel targets they are the log-odds of each label.

        Raises
        ------
        ValueError
            If X is not as described, or if its values are so large that logits are out of range.
        """
        return self._of_logits(X, self._output.decision, offset)

    @computes_in_numpy
    def predict(self, X: Any, *, offset: ArrayLike | None = None) -> NDArray:
        """Most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as in `fit`. The default is zero.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Class labels. With multilabel targets, an indicator matrix that is 1 if the probability
            of a label is above 1/2.

        Raises
        ------
        ValueError
            If X is not as described, or if its values are so large that logits are out of range.
        """
        codes = self._predict_codes(X, offset)
        if codes.ndim == 2:
            return codes
        if self.classes_.dtype.kind not in "biuf":  # only NumPy has such types
            return self.classes_[in_host_memory(codes)]
        return taken(beside(self.classes_, codes), codes)

    @computes_in_numpy
    def predict_proba(self, X: Any, *, offset: ArrayLike | None = None) -> NDArray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as in `fit`. The default is zero.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`. Rows sum to 1. With multilabel targets they
            need not: each element is the probability of a label.

        Raises
        ------
        ValueError
            If X is not as described, or if its values are so large that logits are out of range.
        """
        return self._of_logits(X, self._output.proba, offset)

    @computes_in_numpy
    def predict_log_proba(self, X: Any, *, offset: ArrayLike | None = None) -> NDArray:
        """Logarithms of the probabilities, finite even if `predict_proba` rounds to zero.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as in `fit`. The default is zero.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities in the order of `classes_`, computed from the logits.

        Raises
        ------
        ValueError
            If X is not as described, or if its values are so large that logits are out of range.
        """
        return self._of_logits(X, self._output.log_proba, offset)

    @computes_in_numpy
    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
    ) -> float:
        """Mean accuracy, or for probability targets the expected accuracy under the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, or probability targets as in `fit`. The columns of a data frame are matched with
            `classes_` by name.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as in `fit`. The default is zero.

        Returns
        -------
        float
            For labels, the share of rows that are predicted correctly. For probabilities, the mean
            target mass on the predicted class; for one-hot targets this is the accuracy. For
            multilabel targets, the mean probability that all labels of a row are as predicted, if
            the labels are independent; for 0/1 indicators this is scikit-learn's subset accuracy.
            Only known labels are compared. A row without a known label is left out.
        """
        codes = in_host_memory(self._predict_codes(X, offset))
        weights = check_sample_weight(sample_weight, len(codes))
        share = expected_accuracy(y, codes, self.classes_, self._form)
        if share is None:
            with naming("y", None):
                return float(
                    accuracy_score(check_y(y), self.classes_[codes], sample_weight=weights)
                )
        return mean_of_known(share, weights)

    def sparsify(self) -> Self:
        """Turn `coef_` into a CSR matrix.

        Returns
        -------
        self
            The estimator itself. Its predictions do not change.
        """
        check_is_fitted(self)
        self.coef_ = sp.csr_matrix(self.coef_)
        return self

    def densify(self) -> Self:
        """Turn `coef_` back into an array. This is the inverse of `sparsify`.

        Returns
        -------
        self
            The estimator itself.
        """
        check_is_fitted(self)
        self.coef_ = self._dense_coef()
        return self

    def to_namespace(self, xp: Any, device: Any = None) -> Self:
        """Return the same estimator for arrays of another library, or on another device.

        The estimator predicts for such arrays if scikit-learn's `array_api_dispatch` is on.

        Parameters
        ----------
        xp : module
            The namespace of the library, for example `torch` or `numpy`.
        device : object, default=None
            The device, as the library names it. None is the default device of the library.

        Returns
        -------
        self
            Another estimator, whose fitted arrays are of that library and on that device.

        Examples
        --------
        >>> import array_api_strict as xp
        >>> from sklearn.datasets import load_iris
        >>> from skce import SoftmaxClassifier
        >>> clf = SoftmaxClassifier().fit(*load_iris(return_X_y=True)).to_namespace(xp)
        >>> type(clf.coef_).__module__.partition(".")[0]
        'array_api_strict'
        """
        check_is_fitted(self)
        return moved(self, xp, device)

    def to_sklearn(self) -> LogisticRegression | OneVsRestClassifier:
        """Return a fitted scikit-learn classifier that predicts the same.

        Use it for tools that know scikit-learn's classes by name, such as eli5 and converters to
        PMML. It predicts without an offset, because scikit-learn's classifiers do not take one.

        Returns
        -------
        LogisticRegression or OneVsRestClassifier
            A :class:`~sklearn.linear_model.LogisticRegression`. For one-vs-rest and for multilabel
            targets no single one predicts the same, and the result is a
            :class:`~sklearn.multiclass.OneVsRestClassifier` of several. With multilabel targets its
            labels are numbers. `C`, `l1_ratio`, `fit_intercept` and `class_weight` are kept as
            parameters, except the class weights of one-vs-rest, which its classifiers cannot have.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skce import SoftmaxClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = SoftmaxClassifier().fit(X, y)
        >>> bool((clf.to_sklearn().predict(X) == clf.predict(X)).all())
        True
        """
        check_is_fitted(self)
        return as_sklearn(moved(self, np))

    def with_class_prior(self, class_prior: ArrayLike, *, training_prior: ArrayLike) -> Self:
        r"""Return the same estimator for rows in which the classes have other shares.

        If the training rows were chosen by their class (for example all cases and as many
        controls), or if classes were weighted, the coefficients are right and the intercepts are
        not. Let :math:`\pi_k` be the share of class k in the rows to predict, and :math:`\tau_k`
        its share in training. The intercepts become ::

            b_k <- b_k + log(pi_k / tau_k)

        The change is the same for all rows. With two classes and one log-odds, the intercept
        changes by the difference of this term between the two classes. For a label of a multilabel
        `y` it changes by the difference between yes and no.

        Parameters
        ----------
        class_prior : array-like of shape (n_classes,)
            Shares of the classes in the rows to predict, in the order of `classes_`. Each is above
            0 and below 1. They sum to 1, except for multilabel targets.
        training_prior : array-like of shape (n_classes,)
            Shares of the classes in the target mass of the fit, which includes sample weights and
            class weights: with ``class_weight="balanced"`` all shares are equal.

        Returns
        -------
        self
            Another estimator, with other intercepts. Its report of the fit is unchanged.

        Raises
        ------
        ValueError
            If a share is not as described, or if the fit is one-vs-rest.

        Notes
        -----
        The correction is right if only the shares of the classes differ, and the features of the
        rows of each class have the same distribution.

        Sources: G. King and L. Zeng, *Logistic regression in rare events data*, 2001 (prior
        correction); M. Saerens, P. Latinne and C. Decaestecker, *Adjusting the outputs of a
        classifier to new a priori probabilities*, 2002.

        Examples
        --------
        Half of the training rows are cases. In the population one row in a hundred is a case:

        >>> import numpy as np
        >>> from skce import SoftmaxClassifier
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
        >>> clf = SoftmaxClassifier().fit(X, y)
        >>> clf.predict_proba([[1.5]]).round(3)
        array([[0.5, 0.5]])
        >>> there = clf.with_class_prior([0.99, 0.01], training_prior=[0.5, 0.5])
        >>> there.predict_proba([[1.5]]).round(3)
        array([[0.99, 0.01]])
        """
        check_is_fitted(self)
        shift = prior_shift(self._form, class_prior, training_prior, self.classes_)
        other, b = copy(self), moved(self, np).intercept_
        other.intercept_ = like((b + shift).astype(b.dtype), self.intercept_)
        return other

    def __sklearn_tags__(self) -> Any:
        """Sparse X is accepted. With a binary loss, several labels per row are accepted too."""
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = self.loss == "binary"
        tags.classifier_tags.multi_label = self.loss == "binary"
        return tags

    @property
    def penalty(self) -> str:
        """Kind of the penalty: "l1" if `l1_ratio` is 1, "l2" if it is 0, "elasticnet" between.

        It is not a parameter. :class:`~sklearn.feature_selection.SelectFromModel` reads it: with
        "l1" it keeps every feature that has a coefficient above 1e-5.

        Returns
        -------
        {"l1", "l2", "elasticnet"}
            The kind of the penalty.
        """
        share = self._l1_share
        return "l1" if np.isclose(share, 1) else "elasticnet" if share > 0 else "l2"

    @property
    def optimize_result_(self) -> OptimizeResult:
        """How the fit went, as :func:`scipy.optimize.minimize` returns it.

        Returns
        -------
        OptimizeResult
            The report. The estimator keeps it as a dict of numbers, arrays and text, and makes the
            object on each access. A fitted estimator therefore holds no object of SciPy, which
            skops and mlflow load on request only.
        """
        try:
            return OptimizeResult(vars(self)["optimize_result_"])
        except KeyError:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute 'optimize_result_'"
            ) from None

    @optimize_result_.setter
    def optimize_result_(self, result: dict[str, Any]) -> None:  # numpydoc ignore=GL08
        plain = {key: _plain(value) for key, value in result.items()}
        self.__dict__["optimize_result_"] = plain

    @property
    @abstractmethod
    def _inverse_penalty(self) -> float:
        """C of the fit."""

    @property
    @abstractmethod
    def _l1_share(self) -> float:
        """l1_ratio of the fit."""

    @property
    def _output(self) -> Any:
        check_is_fitted(self)
        return OUTPUTS[self._form]

    def _read_raw(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, offset: ArrayLike | None = None
    ) -> tuple[NDArray | sp.csr_array, RawTargets, NDArray | None]:
        """Validate the data that were passed to `fit`."""
        X = self._check_features(X, reset=True, y=y)
        raw = read_targets(y, self.loss)
        check_lengths(X.shape[0], len(raw.values))
        if offset is not None:
            known = check_offset(offset, X.shape[0], raw.form, raw.classes)
            raw = replace(raw, offset=known)
        return X, raw, check_sample_weight(sample_weight, X.shape[0])

    def _check_features(self, X: Any, *, reset: bool = False, y: Any = "no_validation") -> Any:
        """Return X as float64 or float32, dense or CSR. Of y only its presence is checked."""
        if not reset:
            check_is_fitted(self)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        if X is None:
            raise ValueError("X must hold one column for each feature, but X is None.")
        check_sparse(X, "X")
        refuse_misread(X, "X")
        refuse_truncated(mapped(X), "X")
        with naming("X", X):
            X = np.asarray(X) if isinstance(X, (list, tuple)) else X
            refuse_dates(X, "X")
            X = opened(X, self._costs.part_bytes)
            if isinstance(X, Rows):
                validate_data(self, X.header, reset=reset, skip_check_array=True)
                checked = X
            elif is_read_by_block(X, self._costs.part_bytes):
                checked = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
            else:
                stored: Any = getattr(X, "dtype", None)
                is_single = getattr(stored, "kind", "") == "f" and number_type(stored) == np.float32
                dtype = np.float32 if is_single else [np.float64, np.float32]
                checked = validate_data(self, X, reset=reset, accept_sparse="csr", dtype=dtype)
                # Sparse columns of pandas keep their dtype, which may not be a float.
                return checked if checked.dtype.kind == "f" else checked.astype(np.float64)
        check_finite(checked, "X", type(self).__name__, self._costs.part_bytes)
        return checked

    def _predict_codes(self, X: Any, offset: Any = None) -> Any:
        """Return positions in `classes_`, or an indicator matrix, made block by block."""
        X = self._check_features(X)
        return self._by_block(X, self._output.predict, self._check_offset(X, offset))

    def _check_offset(self, X: Any, offset: Any) -> NDArray | None:
        """Check the offsets of rows that were checked before."""
        check_is_fitted(self)
        return check_offset(offset, X.shape[0], self._form, self.classes_)

    def _of_logits(self, X: Any, function: Callable[[Any], Any], offset: Any) -> Any:
        """Return what a function makes of the logits of all rows."""
        X = self._check_features(X)
        known = self._check_offset(X, offset)
        if (isinstance(X, np.ndarray) and X.dtype == number_type(X.dtype)) or sp.issparse(X):
            return function(_finite_logits(X, self.coef_, self.intercept_, known))
        return self._by_block(X, function, known)

    def _by_block(self, X: Any, function: Callable[[Any], Any], offset: NDArray | None) -> Any:
        """Return what a function makes of the logits of validated X, block by block."""
        parts = ((span, function(z)) for span, z in self._blocks_of_logits(X, offset))
        return gathered(parts, X.shape[0])

    def _blocks_of_logits(self, X: Any, offset: NDArray | None) -> Iterator[tuple[Span, Any]]:
        """Logits of one block of rows after the other, computed on the device of the rows."""
        size = self._costs.predicted_block // len(self.intercept_)
        dtype, W, b, there = number_type(X.dtype), self.coef_, self.intercept_, elsewhere(X)
        if X.dtype != dtype or isinstance(X, Rows):
            size = min(size, self._costs.part_bytes // (X.shape[1] * dtype.itemsize))
        if there is not None:
            dtype = np.promote_types(dtype, b.dtype)
            W, b = (there.place.put(own.astype(dtype)) for own in (self._dense_coef(), b))
        for start, stop in blocks(X.shape[0], max(size, 1)):
            if there is not None:
                part = as_type(there.there(X.numbers(start, stop)), dtype)
            else:
                part = X[start:stop]
                part = part if sp.issparse(part) else np.asarray(part, dtype)
            known = None if offset is None else offset[start:stop]
            with nullcontext() if there is None else exact_products(there.place, rough=False):
                z = _finite_logits(part, W, b, known, start)
            yield (start, stop), z

    def _store(self, objective: Objective, targets: Targets, report: Report) -> None:
        """Set the fitted attributes."""
        self.__dict__.update(self._attributes(objective, targets, report.result.x))
        self.n_iter_ = np.array([report.result.nit], dtype=np.int32)
        self.loss_curve_ = np.array(report.loss_curve)
        self.optimize_result_ = report.result

    def _attributes(self, objective: Objective, targets: Targets, theta: NDArray) -> dict[str, Any]:
        """Return the attributes that predictions need."""
        W, b = objective.layout.unpack(objective.stored(theta, objective.data.stored_dtype))
        return {
            "classes_": targets.classes,
            "coef_": W.copy(),
            "intercept_": b.astype(W.dtype),
            "_form": targets.form,
        }

    def _dense_coef(self) -> NDArray:
        check_sparse(self.coef_, "coef_")
        return self.coef_.toarray() if sp.issparse(self.coef_) else self.coef_


def _finite_logits(X: Any, W: Any, b: Any, offset: NDArray | None, first_row: int = 0) -> Any:
    """Logits of rows. They are refused if they are out of the range of their dtype."""
    with np.errstate(over="ignore", invalid="ignore"):
        z = safe_sparse_dot(X, W.T, dense_output=True)
        z += b
        if offset is not None:
            z += as_type_of(beside(offset, z), z)
    xp = namespace(z)
    within = xp.abs(z) <= xp.finfo(z.dtype).max / 4  # their differences are in range too
    if not xp.all(within):
        row = first_row + int(xp.argmin(as_type(xp.all(within, axis=1), np.int8)))
        raise ValueError(
            f"The logits of row {row} of X are outside the range of {z.dtype}: the values of the "
            "row are too large for coef_. Check the units of X, or pass X as float64."
        )
    return z


def _plain(value: Any) -> Any:
    """Return a number of NumPy as a number of Python, and anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value
