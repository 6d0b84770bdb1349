"""Targets: from what a user passes as y to target mass t and total mass m, by blocks of rows.

`read_targets` decides what y means (see the table in the user guide) and checks it;
`Targets` folds label smoothing, class weights and sample weights into (t, m), in that order.
Nothing of shape (n_samples, n_classes) is made: hard labels stay integer codes, a matrix of
probabilities stays the user's array, and a block of rows is weighted when it is read.

With s the sample weights, w the class weights and eps the label smoothing, for K classes

    categorical         t_k = s * w_k * ((1 - eps) * y_k + eps / K)     m = sum_k t_k
    binary              t_k = s * w_1k * y'_k                           m_k = t_k + s * w_0k * (1 - y'_k)
                        with y'_k = (1 - eps) * y_k + eps / 2
    one-vs-rest         as binary, with one weight s * w_c for a row of class c
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

#: Rows of probabilities may miss a sum of 1 by this much; real ones carry four to six digits.
SUM_TOLERANCE = 1e-4

#: Rows at a time where a check or a weight needs a temporary as wide as y.
_CHUNK = 4096


# ------------------------------------------------------------------------------------- blocks
@dataclass(frozen=True)
class TargetBlock:
    """Target mass of r rows; what every form of target offers to a loss.

    Attributes
    ----------
    mass : ndarray of shape (r,) or (K, r)
        Total mass m of each row, or of each row and output.
    reference : ndarray of int, shape (r,)
        The class with the most target mass in each row.
    rest : ndarray of shape (r,)
        The mass of each row outside its reference class.
    """

    mass: NDArray
    reference: NDArray
    rest: NDArray

    def dot(self, d: NDArray) -> NDArray:
        """Return sum_k t_k * d_k for each row."""
        raise NotImplementedError

    def subtract_from(self, g: NDArray) -> None:
        """Subtract t from g in place."""
        raise NotImplementedError

    def dense(self, n_outputs: int) -> NDArray:
        """Return t, shape (K, r)."""
        raise NotImplementedError


@dataclass(frozen=True)
class HardBlock(TargetBlock):
    """Hard labels: t_k = on * [k = reference] + weight * background_k."""

    on: NDArray
    weight: NDArray
    background: NDArray | None

    def dot(self, d: NDArray) -> NDArray:
        """Return sum_k t_k * d_k for each row."""
        total = self.on * d[self.reference, np.arange(d.shape[1])]
        return total if self.background is None else total + self.weight * (self.background @ d)

    def subtract_from(self, g: NDArray) -> None:
        """Subtract t from g in place."""
        g[self.reference, np.arange(g.shape[1])] -= self.on
        if self.background is not None:
            g -= np.multiply.outer(self.background, self.weight)

    def dense(self, n_outputs: int) -> NDArray:
        """Return t, shape (K, r)."""
        t = np.zeros((n_outputs, len(self.reference)), dtype=self.on.dtype)
        self.subtract_from(t)
        return np.negative(t, out=t)


@dataclass(frozen=True)
class SoftBlock(TargetBlock):
    """Any target mass t, shape (K, r)."""

    t: NDArray

    def dot(self, d: NDArray) -> NDArray:
        """Return sum_k t_k * d_k for each row."""
        return np.einsum("kr,kr->r", self.t, d)

    def subtract_from(self, g: NDArray) -> None:
        """Subtract t from g in place."""
        g -= self.t

    def dense(self, n_outputs: int) -> NDArray:
        """Return t, shape (K, r)."""
        return self.t


# ------------------------------------------------------------------------------ reading what y is
@dataclass(frozen=True)
class RawTargets:
    """What y says, before any weight.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
    form : {"softmax", "sigmoid", "one-vs-rest", "multilabel"}
        How logits become probabilities.
    codes : ndarray of int, shape (n_samples,), or None
        Hard labels as positions in `classes`; the smallest integer type that holds them.
    matrix : ndarray of shape (n_samples, K), or None
        Probabilities: a distribution per row, or (K = 1 for "sigmoid") one per output.
    row_sum : ndarray of shape (n_samples,), or None
        What to divide the rows of a distribution by; None where they sum to 1 to rounding.
    """

    classes: NDArray
    form: str
    codes: NDArray | None = None
    matrix: NDArray | None = None
    row_sum: NDArray | None = None

    @property
    def loss(self) -> str:
        """Name of the loss that goes with the form."""
        return "categorical" if self.form == "softmax" else "binary"

    @property
    def n_rows(self) -> int:
        """Number of samples."""
        return len(self.codes if self.matrix is None else self.matrix)  # type: ignore[arg-type]


def column_names(y: Any) -> NDArray | None:
    """Column names of a data frame with two columns or more, all different, else None."""
    names = list(getattr(y, "columns", ()))
    if len(names) < 2:
        return None
    if len(set(names)) < len(names):
        raise ValueError(f"The columns of y must have different names, but they are {names}.")
    if len({type(name) for name in names}) == 1 and isinstance(names[0], (str, int)):
        return np.asarray(names)
    classes = np.empty(len(names), dtype=object)
    classes[:] = names
    return classes


def check_y(y: ArrayLike, name: str = "y") -> NDArray:
    """Turn y into a finite array of one or two dimensions; a single column becomes 1-D."""
    try:
        array = check_array(y, ensure_2d=False, dtype=None, input_name=name)
    except TypeError:  # what scikit-learn makes of pandas.NA among objects
        _check_no_label_is_missing(np.asarray(y, dtype=object))
        raise
    except ValueError as error:
        raise_with_first_bad_row(error, y, name)
    if array.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: {name} must hold labels or real probabilities."
        )
    if array.ndim == 2 and array.shape[1] == 1:
        return column_or_1d(array, warn=True)
    return array


def raise_with_first_bad_row(error: ValueError, values: Any, name: str) -> NoReturn:
    """Raise scikit-learn's error again, with the first row of `values` that is not finite."""
    try:
        array = check_array(
            values, accept_sparse="csr", dtype="numeric", ensure_2d=False, ensure_all_finite=False
        )
        finite = np.isfinite(array.data if hasattr(array, "indptr") else array)
    except (ValueError, TypeError):
        raise error from None
    if finite.all():
        raise error from None
    first = int(np.argmin(finite.ravel()))
    if hasattr(array, "indptr"):
        row = int(np.searchsorted(array.indptr, first, side="right")) - 1
    else:
        row = first // max(finite[0].size, 1)
    raise ValueError(f"{error}\nThe first bad row of {name} is row {row}.") from None


def read_targets(y: ArrayLike, loss: str) -> RawTargets:
    """Decide what y means under `loss`, and check it.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
    loss : {"auto", "categorical", "binary"}

    Returns
    -------
    RawTargets

    Raises
    ------
    ValueError
        Naming the first bad row of y and the way out.
    """
    names = column_names(y)
    array = check_y(y)
    if array.ndim == 1:
        return _read_labels(array, loss)
    return _read_matrix(array, loss, names)


def _read_labels(y: NDArray, loss: str) -> RawTargets:
    if y.dtype.kind == "O":
        _check_no_label_is_missing(y)
    kind = type_of_target(y, input_name="y")
    if kind == "continuous":
        return _read_probabilities(y, loss)
    check_classification_targets(y)
    encoder = LabelEncoder()
    codes = encoder.fit_transform(y)
    classes = encoder.classes_
    n_classes = len(classes)
    if n_classes < 2:
        _raise_one_class(classes[0])
    codes = codes.astype(np.min_scalar_type(n_classes - 1), copy=False)
    if n_classes == 2 and loss != "categorical":
        return RawTargets(classes, "sigmoid", matrix=codes.reshape(-1, 1))
    return RawTargets(classes, "one-vs-rest" if loss == "binary" else "softmax", codes=codes)


def _check_no_label_is_missing(y: NDArray) -> None:
    missing = np.fromiter(map(_is_missing, y.ravel()), dtype=bool, count=y.size)
    if missing.any():
        row = int(missing.argmax()) // max(y[0:1].size, 1)
        raise ValueError(f"Input y has no label in row {row}: drop such rows.")


def _is_missing(label: Any) -> bool:
    try:
        return label is None or not bool(label == label)
    except TypeError:  # the truth of pandas.NA
        return True


def _read_probabilities(y: NDArray, loss: str) -> RawTargets:
    if loss != "binary":
        raise ValueError(
            "Unknown label type: continuous. With loss="
            f"{loss!r} a 1-D y must hold class labels, but row {_first_fraction(y)} of y is "
            f"{y[_first_fraction(y)]:g}. If y is the probability of class 1, set loss='binary'; "
            "if it is a quantity, use a regressor."
        )
    return RawTargets(np.array([0, 1]), "sigmoid", matrix=_check_unit_interval(y).reshape(-1, 1))


def _check_unit_interval(y: NDArray) -> NDArray:
    outside = (y < 0) | (y > 1)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(
            f"Unknown label type: continuous. With loss='binary' a 1-D y of floats is the "
            f"probability of class 1 and must lie in [0, 1], but row {row} of y is {y[row]:g}. "
            "Pass class labels or probabilities."
        )
    return y


def _first_fraction(y: NDArray) -> int:
    return int((y != np.floor(y)).argmax())


def _read_matrix(y: NDArray, loss: str, names: NDArray | None) -> RawTargets:
    matrix = check_probabilities(y, distributions=loss != "binary", loss=loss)
    classes = np.arange(y.shape[1]) if names is None else names
    if loss == "binary":
        return RawTargets(classes, "multilabel", matrix=matrix)
    present = matrix.max(axis=0) > 0
    if present.sum() < 2:
        _raise_one_class(classes[present.argmax()])
    return RawTargets(classes, "softmax", matrix=matrix, row_sum=_row_sum(matrix))


def _row_sum(matrix: NDArray) -> NDArray | None:
    total = matrix.sum(axis=1, dtype=np.float64)
    rounding = matrix.shape[1] * np.finfo(np.float64).eps
    return None if np.abs(total - 1).max() <= rounding else total


def _raise_one_class(label: Any, where: str = "") -> NoReturn:
    raise ValueError(
        f"SoftmaxClassifier needs target mass on at least 2 classes, but y has one class{where}: "
        f"{label!r}. Check how y was made or split."
    )


def check_probabilities(
    y: NDArray, *, distributions: bool, loss: str | None = None, name: str = "y"
) -> NDArray:
    """Check a matrix of probabilities and return it as numbers.

    Parameters
    ----------
    y : ndarray of shape (n_samples, K)
    distributions : bool
        Whether each row must sum to 1, or each element is a probability of its own.
    loss : str or None
        The parameter that asked for it, if the message can name one.
    name : str
        What the message calls the matrix.

    Returns
    -------
    ndarray of shape (n_samples, K)
        `y` itself where it holds numbers or bools already. Rows are not renormalised here.
    """
    if y.dtype.kind not in "biuf":
        try:
            y = y.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                "A 2-D y must hold target probabilities, one column per class, but it has "
                f"dtype {y.dtype}. Pass labels as a 1-D array."
            ) from None
    if y.dtype.kind == "b":
        y = y.view(np.uint8)
    low, high = y.min(axis=1), y.max(axis=1)
    bad = (low < 0) | (high > 1)
    total = y.sum(axis=1, dtype=np.float64)
    if distributions:
        bad |= np.abs(total - 1) > SUM_TOLERANCE
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(_explain_row(y, row, total[row], distributions, loss, name))
    return y


def _explain_row(
    y: NDArray, row: int, total: float, distributions: bool, loss: str | None, name: str
) -> str:
    """Say what is wrong with the first bad row of a matrix of probabilities, and the way out."""
    low, high = y[row].min(), y[row].max()
    under = "" if loss is None else f"with loss={loss!r} "
    if low < 0:
        lines = [
            f"Row {row} of {name} holds {low:g}: {under}target probabilities must be in [0, 1]."
        ]
    elif not distributions:
        lines = [
            f"Row {row} of {name} holds {high:g}: {under}each column of a 2-D {name} is the "
            "probability of a label and must be in [0, 1]."
        ]
    else:
        lines = [
            f"Row {row} of {name} sums to {total:g}: {under}each row of a 2-D {name} is a "
            f"distribution over the classes and must sum to 1 (within {SUM_TOLERANCE:g}).",
            "Drop rows without target mass."
            if total == 0
            else "Divide each row by its sum; if the rows are counts Y with sums m, pass Y / m "
            "(m as a column) and sample_weight=m.",
        ]
        if loss is not None and y.min() >= 0 and y.max() <= 1:
            lines.append(
                "If the columns are labels that can hold together, set loss='binary' for a "
                "probability per label."
            )
    if loss is not None and y.dtype.kind in "iu" and y.max() > 1:
        lines.append(
            "If this call came from cross_val_predict(method='predict_proba'): it re-encodes a "
            "2-D y column by column as integer codes before fit sees it. Loop over the splits "
            "instead: for train, test in cv.split(X): "
            "clone(model).fit(X[train], Y[train]).predict_proba(X[test])."
        )
    return " ".join(lines)


# ---------------------------------------------------------------------------- folding the weights
class Targets:
    """Target mass of all rows, with smoothing and weights folded in.

    Parameters
    ----------
    raw : RawTargets
    sample_weight : ndarray of shape (n_samples,), or None
        Non-negative, finite, not all zero.
    class_weight : dict, "balanced" or None
    label_smoothing : float in [0, 1)
    dtype : dtype
        Of the blocks: that of X.

    Attributes
    ----------
    weights : ndarray of shape (n_samples,)
        Weight of each row in the objective, before class weights.
    total_weight : float
        Their sum, which scales the objective that solvers see.
    n_outputs : int
        Number of coefficient vectors: 1 for "sigmoid", else the number of classes.
    """

    def __init__(
        self,
        raw: RawTargets,
        sample_weight: NDArray | None,
        class_weight: dict | str | None,
        label_smoothing: float,
        dtype: DTypeLike,
    ):
        self.classes = raw.classes
        self.form = raw.form
        self.loss = raw.loss
        self.n_outputs = 1 if raw.form == "sigmoid" else len(raw.classes)
        self._dtype = np.dtype(dtype)
        n = raw.n_rows
        if sample_weight is None:
            self.weights = np.broadcast_to(np.ones((), self._dtype), n)
            self.total_weight = float(n)
        else:
            self.weights = sample_weight.astype(self._dtype, copy=False)
            self.total_weight = float(sample_weight.sum(dtype=np.float64))
        self._codes, self._matrix, self._row_sum = raw.codes, raw.matrix, raw.row_sum
        self._smoothing = label_smoothing
        if sample_weight is not None:
            self._check_weighted_classes(sample_weight)
        self._fold(class_weight)

    def block(self, start: int, stop: int) -> TargetBlock:
        """Target mass of rows start to stop."""
        rows = slice(start, stop)
        if self._codes is not None:
            on, mass = self._on[rows], self._mass[rows]
            reference = self._codes[rows]
            rest = mass - on
            if self._background is not None:
                rest = rest - self._spread[rows] * self._background[reference]
            return HardBlock(mass, reference, rest, on, self._spread[rows], self._background)
        if self.loss == "categorical":
            return self._distribution_block(rows)
        return self._outputs_block(rows)

    # -- folding: once per fit, into arrays of shape (n_samples,) and (K,)
    def _fold(self, class_weight: dict | str | None) -> None:
        if self.loss == "binary" and self._codes is None:
            self._fold_outputs(class_weight)
        else:
            self._fold_classes(class_weight)

    def _fold_classes(self, class_weight: dict | str | None) -> None:
        """Fold for one distribution over the classes per row, and for one-vs-rest."""
        n_classes, eps = len(self.classes), self._smoothing
        w = self._class_weights(class_weight)
        s = self.weights
        if self.form == "one-vs-rest":
            if w is not None:
                s = s * w[self._codes].astype(self._dtype)
            self._mass = self._spread = s
            self._on = s if eps == 0 else s * self._dtype.type(1 - eps)
            self._background = None if eps == 0 else np.full(n_classes, eps / 2, self._dtype)
            return
        scale = np.ones(n_classes) if w is None else w
        background = scale * (eps / n_classes)
        self._scale = None if w is None and eps == 0 else (scale * (1 - eps)).astype(self._dtype)
        self._background = None if eps == 0 else background.astype(self._dtype)
        self._spread = s
        if self._codes is not None:
            self._on = s if self._scale is None else s * self._scale[self._codes]
            on_mass = self._on
        else:
            assert self._matrix is not None
            if self._row_sum is not None:
                s = (s / self._row_sum).astype(self._dtype)
            self._on = s
            on_mass = s * self._per_chunk(lambda y: y @ (scale * (1 - eps)), self._dtype)
            self._reference = self._per_chunk(
                lambda y: (y * scale).argmax(axis=1), np.min_scalar_type(n_classes - 1)
            )
        self._mass = on_mass if eps == 0 else on_mass + self._spread * background.sum()
        self._mass = self._mass.astype(self._dtype, copy=False)

    def _fold_outputs(self, class_weight: dict | str | None) -> None:
        """Fold for a probability per output: two-class labels, 1-D probabilities, multilabel."""
        self._weight_0, self._weight_1 = (
            None if w is None else np.asarray(w, self._dtype).reshape(-1, 1)
            for w in self._output_weights(class_weight)
        )

    def _class_weights(self, class_weight: dict | str | None) -> NDArray | None:
        if class_weight is None:
            return None
        if class_weight == "balanced":
            weights = self.weights.astype(np.float64)
            if self._codes is not None:
                mass = np.bincount(self._codes, weights=weights, minlength=len(self.classes))
            else:
                if self._row_sum is not None:
                    weights = weights / self._row_sum
                mass = self._column_mass(weights)
            return _balanced(mass, self.total_weight, len(self.classes))
        return _from_dict(class_weight, self.classes)

    def _output_weights(
        self, class_weight: dict | str | None
    ) -> tuple[NDArray | None, NDArray | None]:
        """Weights of a 0 and of a 1 in each output."""
        if class_weight is None:
            return None, None
        if class_weight == "balanced":
            mass_1 = self._column_mass(self.weights.astype(np.float64))
            total = self.total_weight
            return _balanced(total - mass_1, total, 2), _balanced(mass_1, total, 2)
        w = _from_dict(class_weight, self.classes)
        if self.form == "multilabel":
            return np.ones(len(w)), w
        return w[:1], w[1:]

    def _check_weighted_classes(self, sample_weight: NDArray) -> None:
        """Refuse weights that leave one class only."""
        if self._codes is not None:
            present = np.bincount(self._codes, weights=sample_weight) > 0
        elif self.form == "multilabel":
            return
        else:
            present = self._column_mass(sample_weight) > 0
            if self.form == "sigmoid":
                assert self._matrix is not None
                rest = (sample_weight * (self._matrix[:, 0] < 1)).any()
                present = np.append(rest, present)
        if present.sum() < 2:
            _raise_one_class(self.classes[present.argmax()], " with a positive sample_weight")

    def _column_mass(self, weights: NDArray) -> NDArray:
        assert self._matrix is not None
        chunks = (slice(i, i + _CHUNK) for i in range(0, len(weights), _CHUNK))
        return sum((weights[rows] @ self._matrix[rows] for rows in chunks), np.float64(0))

    def _per_chunk(self, function: Any, dtype: DTypeLike) -> NDArray:
        assert self._matrix is not None
        out = np.empty(len(self._matrix), dtype)
        for start in range(0, len(out), _CHUNK):
            rows = slice(start, start + _CHUNK)
            out[rows] = function(self._matrix[rows])
        return out

    # -- blocks of a matrix of probabilities
    def _distribution_block(self, rows: slice) -> SoftBlock:
        assert self._matrix is not None
        t = np.array(self._matrix[rows].T, dtype=self._dtype, order="C")
        if self._scale is not None:
            t *= self._scale[:, None]
        t *= self._on[rows]
        if self._background is not None:
            t += np.multiply.outer(self._background, self._spread[rows])
        reference = self._reference[rows]
        mass = self._mass[rows]
        return SoftBlock(mass, reference, mass - t[reference, np.arange(t.shape[1])], t)

    def _outputs_block(self, rows: slice) -> SoftBlock:
        assert self._matrix is not None
        s = self.weights[rows]
        t = np.array(self._matrix[rows].T, dtype=self._dtype, order="C")
        if self._smoothing:
            t *= self._dtype.type(1 - self._smoothing)
            t += self._dtype.type(self._smoothing / 2)
        mass = s
        if self._weight_1 is not None:
            mass = s * self._weight_0 * (1 - t)
            t *= self._weight_1
            t *= s
            mass += t
        else:
            t *= s
        return SoftBlock(mass, _NO_ROWS, mass, t)


#: Binary losses need no reference class.
_NO_ROWS = np.empty(0, dtype=np.intp)


def _balanced(mass: NDArray, total: float, n_classes: int) -> NDArray:
    """Weights total / (n_classes * mass_k); a class without mass has nothing to weigh and gets 1."""
    return np.divide(total, n_classes * mass, out=np.ones_like(mass), where=mass > 0)


def _from_dict(class_weight: dict, classes: NDArray) -> NDArray:
    """Weights in the order of `classes`; 1 for a class that the dictionary leaves out."""
    weights = compute_class_weight(class_weight, classes=classes, y=classes)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        k = int(bad.argmax())
        raise ValueError(
            f"class_weight[{classes.tolist()[k]!r}] is {weights[k]:g}: class weights must be "
            "finite and not negative."
        )
    if not weights.any():
        raise ValueError("class_weight must give at least one class a weight above zero.")
    return weights


# ------------------------------------------------------------------------- weights and accuracy
def check_sample_weight(sample_weight: ArrayLike | None, n_rows: int) -> NDArray | None:
    """Check sample weights; a number stands for that weight in every row.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
    n_rows : int

    Returns
    -------
    ndarray of float, shape (n_samples,), or None
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
    try:
        weights = check_array(
            sample_weight,
            ensure_2d=False,
            dtype=[np.float64, np.float32],
            input_name="sample_weight",
        )
    except ValueError as error:
        raise_with_first_bad_row(error, sample_weight, "sample_weight")
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight must have shape ({n_rows},), one weight per row of X, but has shape "
            f"{weights.shape}."
        )
    if weights.min() < 0:
        row = int((weights < 0).argmax())
        raise ValueError(
            f"sample_weight must not be negative, but row {row} has {weights[row]:g}. Drop the "
            "row, or give it weight zero."
        )
    if not weights.any():
        raise ValueError("sample_weight is zero in every row: at least one must be positive.")
    return weights


def expected_accuracy(y: ArrayLike, codes: NDArray, classes: NDArray, form: str) -> NDArray | None:
    """Target mass on what was predicted, per row; None where y holds labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes)
    codes : ndarray of int, shape (n_samples,) or (n_samples, n_classes)
        Predicted positions in `classes`, or for multilabel an indicator matrix.
    classes : ndarray of shape (n_classes,)
    form : {"softmax", "sigmoid", "one-vs-rest", "multilabel"}

    Returns
    -------
    ndarray of shape (n_samples,) or None
    """
    names = column_names(y)
    array = check_y(y)
    check_lengths(len(codes), len(array))
    if array.ndim == 1:
        if form != "sigmoid" or type_of_target(array) != "continuous":
            return None
        matrix = _check_unit_interval(array)
        return np.where(codes == 1, matrix, 1 - matrix)
    _check_columns(array, names, classes)
    if form == "multilabel":
        matrix = check_probabilities(array, distributions=False)
        return np.where(codes == 1, matrix, 1.0 - matrix).prod(axis=1)
    matrix = check_probabilities(array, distributions=True)
    return matrix[np.arange(len(codes)), codes] / matrix.sum(axis=1, dtype=np.float64)


def _check_columns(y: NDArray, names: NDArray | None, classes: NDArray) -> None:
    """Columns of y must be the classes of the fit, in order; a fit on an array names none."""
    n_classes = len(classes)
    if y.shape[1] != n_classes:
        raise ValueError(f"y has {y.shape[1]} columns, but the fit had {n_classes} classes.")
    unnamed = np.array_equal(classes, np.arange(n_classes))
    if names is not None and not unnamed and not np.array_equal(names, classes):
        raise ValueError(
            f"The columns of y are {names.tolist()}, but the classes of the fit are "
            f"{classes.tolist()}. Pass y[{classes.tolist()}]."
        )


def check_lengths(n_rows: int, n_targets: int) -> None:
    """Check that X and y have the same number of rows."""
    if n_rows != n_targets:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n_rows} rows, "
            f"but y has {n_targets}."
        )
