"""What estimators share: coefficients, predictions, reading X and y. It holds no arithmetic."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from ._array_api import computes_in_numpy, moved
from ._callbacks import CallbackSupportMixin
from ._checks import check_sparse, naming, refuse_dates, refuse_misread
from ._costs import DEFAULT
from ._outputs import OUTPUTS
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
    read_targets,
)
from ._threads import Span, blocks
from ._to_sklearn import as_sklearn


class LinearModel(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Coefficients and intercepts, and what follows from them.

    A subclass has the parameters `loss`, `fit_intercept`, `class_weight` and `max_iter`, sets the
    attributes below in `fit`, and says how much penalty of which kind they had.
    """

    classes_: NDArray
    coef_: Any
    intercept_: NDArray
    _form: str

    #: What is worth its cost; a subclass may have others.
    _costs = DEFAULT

    # Where scikit-learn's diagram of an estimator links to.
    _doc_link_module = "skce"
    _doc_link_template = (
        "https://skce.readthedocs.io/en/stable/generated/{estimator_module}.{estimator_name}.html"
    )

    @computes_in_numpy
    def decision_function(self, X: Any) -> NDArray:
        """Logits of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits; for two classes the log-odds of ``classes_[1]``, positive where it is predicted.
            For multilabel targets the log-odds of each label.

        Raises
        ------
        ValueError
            If X is not as described, or so large that its logits are out of range.
        """
        return self._output.decision(self._logits(X))

    @computes_in_numpy
    def predict(self, X: Any) -> NDArray:
        """Most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Class labels; for multilabel targets an indicator matrix with 1 where the probability
            of a label is above 1/2.

        Raises
        ------
        ValueError
            If X is not as described, or so large that its logits are out of range.
        """
        codes = self._predict_codes(X)
        return codes if codes.ndim == 2 else self.classes_[codes]

    @computes_in_numpy
    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities in the order of `classes_`. Rows sum to 1, except that for multilabel
            targets each element is the probability of a label.

        Raises
        ------
        ValueError
            If X is not as described, or so large that its logits are out of range.
        """
        return self._output.proba(self._logits(X))

    @computes_in_numpy
    def predict_log_proba(self, X: Any) -> NDArray:
        """Logarithms of the probabilities, finite where `predict_proba` rounds to zero.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities in the order of `classes_`, computed from the logits.

        Raises
        ------
        ValueError
            If X is not as described, or so large that its logits are out of range.
        """
        return self._output.log_proba(self._logits(X))

    @computes_in_numpy
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Mean accuracy; for probability targets its expectation under the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, or probability targets as `fit` takes them. Columns of a data frame are matched
            with `classes_` by name.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            For labels the share of rows predicted right. For probabilities the mean target mass on
            the predicted class, which for one-hot targets is accuracy again. For multilabel
            targets the mean probability that all labels of a row are as predicted, if they are
            independent; for 0/1 indicators this is scikit-learn's subset accuracy.
        """
        codes = self._predict_codes(X)
        weights = check_sample_weight(sample_weight, len(codes))
        share = expected_accuracy(y, codes, self.classes_, self._form)
        if share is None:
            with naming("y", None):
                return float(
                    accuracy_score(check_y(y), self.classes_[codes], sample_weight=weights)
                )
        return float(np.average(share, weights=weights))

    def sparsify(self) -> Self:
        """Turn `coef_` into a CSR matrix.

        Returns
        -------
        self
            The estimator itself, which predicts as before.
        """
        check_is_fitted(self)
        self.coef_ = sp.csr_matrix(self.coef_)
        return self

    def densify(self) -> Self:
        """Turn `coef_` back into an array; the inverse of `sparsify`.

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

        It predicts for such arrays where scikit-learn's `array_api_dispatch` is on.

        Parameters
        ----------
        xp : module
            The namespace of the library, as `torch` or `numpy`.
        device : object, default=None
            The device, as the library names it; None for its default.

        Returns
        -------
        self
            Another estimator, with the fitted arrays there.

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

        It is what tools that know scikit-learn's classes by name need, such as converters to ONNX
        and PMML.

        Returns
        -------
        LogisticRegression or OneVsRestClassifier
            A :class:`~sklearn.linear_model.LogisticRegression`; a
            :class:`~sklearn.multiclass.OneVsRestClassifier` of them where no single one is equal,
            which is for one-vs-rest and for multilabel targets. The latter numbers its labels.
            `C`, `l1_ratio`, `fit_intercept` and `class_weight` are kept as parameters, but for the
            class weights of one-vs-rest, which one of its classifiers cannot have.

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

    def __sklearn_tags__(self) -> Any:
        """Sparse X is accepted, and with a binary loss several labels per row."""
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = self.loss == "binary"
        tags.classifier_tags.multi_label = self.loss == "binary"
        return tags

    @property
    def penalty(self) -> str:
        """Kind of the penalty: "l1" if `l1_ratio` is 1, "l2" if it is 0, "elasticnet" between.

        It is no parameter. :class:`~sklearn.feature_selection.SelectFromModel` asks for it, and
        with "l1" keeps every feature that has a coefficient above 1e-5.

        Returns
        -------
        {"l1", "l2", "elasticnet"}
            The kind.
        """
        share = self._l1_share
        return "l1" if np.isclose(share, 1) else "elasticnet" if share > 0 else "l2"

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
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[NDArray | sp.csr_array, RawTargets, NDArray | None]:
        """Validate everything that fit was given."""
        X = self._check_features(X, reset=True, y=y)
        raw = read_targets(y, self.loss)
        check_lengths(X.shape[0], len(raw.values))
        return X, raw, check_sample_weight(sample_weight, X.shape[0])

    def _check_features(self, X: Any, *, reset: bool = False, y: Any = "no_validation") -> Any:
        """X as float64 or float32, dense or CSR; on the way in y is only asked to be there."""
        if not reset:
            check_is_fitted(self)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        if X is None:
            raise ValueError("X must hold features, one column for each, but is None.")
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
                # Sparse columns of pandas keep their dtype.
                return checked if checked.dtype.kind == "f" else checked.astype(np.float64)
        check_finite(checked, "X", type(self).__name__, self._costs.part_bytes)
        return checked

    def _predict_codes(self, X: Any) -> NDArray:
        """Positions in `classes_`, or an indicator matrix, block by block."""
        X, predict = self._check_features(X), self._output.predict
        return np.concatenate([predict(z) for _, z in self._blocks_of_logits(X)])

    def _logits(self, X: Any) -> NDArray:
        X = self._check_features(X)
        if (isinstance(X, np.ndarray) and X.dtype == number_type(X.dtype)) or sp.issparse(X):
            return self._finite_logits(X)
        z: NDArray = np.empty(0)
        for (start, stop), part in self._blocks_of_logits(X):
            z = z if start else np.empty((X.shape[0], part.shape[1]), part.dtype)
            z[start:stop] = part
        return z

    def _blocks_of_logits(self, X: Any) -> Iterator[tuple[Span, NDArray]]:
        """Logits of some rows after the other, which are converted if need be."""
        size = self._costs.predicted_block // len(self.intercept_)
        dtype = number_type(X.dtype)
        if X.dtype != dtype or isinstance(X, Rows):
            size = min(size, self._costs.part_bytes // (X.shape[1] * dtype.itemsize))
        for start, stop in blocks(X.shape[0], max(size, 1)):
            part = X[start:stop]
            part = part if sp.issparse(part) else np.asarray(part, dtype)
            yield (start, stop), self._finite_logits(part, start)

    def _finite_logits(self, X: NDArray | sp.csr_array, first_row: int = 0) -> NDArray:
        """Logits of rows, which fall out of the range of their dtype where X is far too large."""
        with np.errstate(over="ignore", invalid="ignore"):
            z = safe_sparse_dot(X, self.coef_.T, dense_output=True)
            z += self.intercept_
        within = np.abs(z) <= np.finfo(z.dtype).max / 4  # their differences are in range too
        if not within.all():
            row = first_row + int(within.all(axis=1).argmin())
            raise ValueError(
                f"The logits of row {row} of X are outside the range of {z.dtype}: its values are "
                "too large for coef_. Check the units of X, or pass it as float64."
            )
        return z

    def _store(self, objective: Objective, targets: Targets, report: Report) -> None:
        """Set the fitted attributes."""
        self.__dict__.update(self._attributes(objective, targets, report.result.x))
        self.n_iter_ = np.array([report.result.nit], dtype=np.int32)
        self.loss_curve_ = np.array(report.loss_curve)
        self.optimize_result_ = report.result

    def _attributes(self, objective: Objective, targets: Targets, theta: NDArray) -> dict[str, Any]:
        """Return what it takes to predict."""
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
