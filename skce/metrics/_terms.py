"""Targets and predictions of a metric, by blocks of rows.

Every metric is a sum of target mass times the negative logarithm of a predicted probability:

    loss_i = sum_k t_ik * (-log p_ik)                                     categorical
    loss_i = 1/K * sum_k [t_ik * (-log p_ik) + u_ik * (-log(1 - p_ik))]   binary

The target mass t, and the mass u of what does not hold, are those of fits (`_targets/fold.py`),
but sample weights count in the mean only. Classes of targets (`Labels`, `Distributions`, `Outputs`,
`OneVsRest`) compute t and u. Classes of predictions (`Probabilities`, `Logits`) compute log p. All
read a slice of rows at a time, and check it then, so that no array of shape (n_samples, n_classes)
is made. Predictions, and targets that are a matrix, may be arrays of any library. Blocks are
computed on the device of the predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import check_array

from .._array_api import in_host_memory, is_computed_with
from .._arrays import (
    as_type,
    beside,
    columns,
    copied,
    epsilon,
    expit,
    in_flat,
    in_memory_order,
    largest,
    log_expit,
    namespace,
    picked,
    smallest,
    sum_of_all,
    sums,
    with_at,
)
from .._checks import naming, raise_with_first_bad_row, refuse_dates, refuse_misread
from .._interrupts import restored_on_error
from .._losses import LOSSES
from .._losses.categorical import log_softmax
from .._targets.fold import (
    ClassWeight,
    OutputFold,
    fold_classes,
    fold_outputs,
    known_only,
    mass_of_columns,
    mass_of_labels,
    without_missing,
)
from .._targets.mass import SoftBlock
from .._targets.meaning import (
    LOGITS_SECOND,
    SUM_TOLERANCE,
    check_probabilities,
    check_y,
    column_names,
    columns_of_classes,
    is_off_one,
    kind_of_labels,
    sorting,
)
from .._threads import blocks, cached_property, threads
from .._warnings import warn

Result = TypeVar("Result")

#: Elements of a block, and its smallest number of rows. With K = 10, blocks of 2^17 to 2^19
#: elements were equally fast.
_BLOCK = 2**17
_FEWEST_ROWS = 512
#: Elements of a block of another library, whose operations are calls to a device.
_BLOCK_THERE = 2**22
#: The largest number of runs of blocks that threads share. So few cost nothing to hand out.
_RUNS = 16

_FLOATS = [np.float64, np.float32, np.float16]


def spans_of(values: Any) -> list[slice]:
    """Return the rows of the blocks of an array."""
    block = _BLOCK if isinstance(values, np.ndarray) else _BLOCK_THERE
    size = max(_FEWEST_ROWS, block // (values.shape[1] if values.ndim > 1 else 1))
    return [slice(*span) for span in blocks(values.shape[0], size)]


@restored_on_error
def by_blocks(values: Any, function: Callable[[slice], Result]) -> list[Result]:
    """Return the results of a function for slices of rows, in order, by threads if it pays."""
    spans = spans_of(values)
    if not isinstance(values, np.ndarray):
        return [function(rows) for rows in spans]
    if len(spans) == 1:
        return [function(spans[0])]

    def run(some: list[slice]) -> list[Result]:
        return [function(rows) for rows in some]

    runs = [spans[first:last] for first, last in blocks(len(spans), -(-len(spans) // _RUNS))]
    with threads:
        return list(chain.from_iterable(threads.map(run, runs)))


# ------------------------------------------------------------------------------------ predictions
class Predictions:
    """Predicted values, one row per sample.

    Attributes
    ----------
    values : ndarray of shape (n_samples,) or (n_samples, n_columns)
    n_classes : int
        Number of columns, or 2 if there is one column, for the second of two classes.
    """

    def __init__(self, values: NDArray):
        self.values = values
        self.one_column = values.ndim == 1 or values.shape[1] == 1
        self.n_classes = 2 if self.one_column else values.shape[1]

    def log(self, rows: slice) -> NDArray:
        """Return log p of all classes, shape (r, n_classes)."""
        raise NotImplementedError

    def log_at(self, rows: slice, codes: NDArray) -> NDArray:
        """Return log p of one class per row, shape (r,)."""
        raise NotImplementedError

    def log_of_both(self, rows: slice) -> tuple[NDArray, NDArray]:
        """Return log p and log(1 - p) of independent outputs."""
        raise NotImplementedError

    def gradient(self, rows: slice, t: NDArray) -> NDArray:
        """Gradient of sum_k t_k * (-log p_k) in the predictions, shape (r, n_columns)."""
        raise NotImplementedError

    def gradient_of_both(self, rows: slice, t: NDArray, u: NDArray) -> NDArray:
        """Gradient of sum_k [t_k * (-log p_k) + u_k * (-log(1 - p_k))] in the predictions."""
        raise NotImplementedError

    def finish(self) -> None:
        """Give the warnings about the rows that were read, if any."""


class Probabilities(Predictions):
    """Predicted probabilities.

    Parameters
    ----------
    values : ndarray of float
    distributions : bool
        Whether rows should sum to 1.
    clip : bool
        Whether zeros become the epsilon of the dtype, as in scikit-learn. If not, their logarithm
        is infinite.
    """

    def __init__(self, values: NDArray, *, distributions: bool, clip: bool):
        super().__init__(values)
        self.lowest = epsilon(values) if clip else 0.0
        self.distributions = distributions and not self.one_column
        self._off = False

    def _read(self, rows: slice) -> tuple[NDArray, float]:
        """Read and check probabilities, and return them with the smallest one.

        A single column is not expanded to two.
        """
        p = self.values[rows, ...]
        least = float(smallest(p))
        if self.distributions and least >= 0:
            eps = epsilon(p)
            total = _row_sums(p)
            most = float(largest(total))
            self._off |= max(most - 1, 1 - float(smallest(total))) > np.sqrt(eps) + 1e-8
            if most <= 1 + p.shape[1] * eps:  # then no probability is above 1
                return p, least
        if not (least >= 0 and largest(p) <= 1):
            _raise_no_probabilities(in_host_memory(self.values))
        return p, least

    def _of_classes(self, rows: slice) -> tuple[NDArray, float]:
        p, least = self._read(rows)
        if not self.one_column:
            return p, least
        return _both(1 - p, p), min(least, 1 - float(largest(p)))

    def _log(self, p: NDArray, least: float) -> NDArray:
        if isinstance(p, np.ndarray):
            if least < self.lowest:
                p = np.maximum(p, self.lowest)
            with np.errstate(divide="ignore"):
                return np.log(p, dtype=np.float64)
        return namespace(p).log(as_type(self._clipped(p), np.float64))

    def _clipped(self, p: NDArray) -> NDArray:
        """Return probabilities, clipped from below at `lowest`."""
        clipped: NDArray = namespace(p).where(p < self.lowest, self.lowest, p)
        return clipped

    def log(self, rows: slice) -> NDArray:
        """Return log p of all classes, shape (r, n_classes)."""
        return self._log(*self._of_classes(rows))

    def log_at(self, rows: slice, codes: NDArray) -> NDArray:
        """Return log p of one class per row, shape (r,)."""
        p, least = self._read(rows)
        if not self.one_column:
            return self._log(picked(p, codes), least)
        p = _column(p)
        return self._log(namespace(p).where(beside(codes == 1, p), p, 1 - p), 0)

    def log_of_both(self, rows: slice) -> tuple[NDArray, NDArray]:
        """Return log p and log(1 - p) of independent outputs."""
        p, least = self._read(rows)
        return self._log(p, least), self._log(1 - p, 0)

    def gradient(self, rows: slice, t: NDArray) -> NDArray:
        """Gradient -t / p. With one column for two classes, the gradient in that column."""
        p = as_type(self._of_classes(rows)[0], np.float64)
        slope = _divided(t, self._clipped(p))
        return slope[:, :1] - slope[:, 1:] if self.one_column else -slope

    def gradient_of_both(self, rows: slice, t: NDArray, u: NDArray) -> NDArray:
        """Gradient -t / p + u / (1 - p)."""
        p = as_type(self._read(rows)[0], np.float64)
        return _divided(u, self._clipped(1 - p)) - _divided(t, self._clipped(p))

    def finish(self) -> None:
        """Warn of rows that do not sum to 1, as scikit-learn does."""
        if self._off:
            warn(
                "The y_prob values do not sum to one. Make sure to pass probabilities.",
                UserWarning,
            )


def _divided(t: NDArray, p: NDArray) -> NDArray:
    """Return t / p, and 0 if t is 0."""
    if isinstance(t, np.ndarray):
        with np.errstate(divide="ignore"):
            return np.divide(t, p, out=np.zeros(t.shape), where=t != 0)
    found: NDArray = namespace(t).where(t != 0, t / p, 0.0)
    return found


def _row_sums(y: NDArray) -> NDArray:
    """Return the sums of the rows, in float32 or float64."""
    if not isinstance(y, np.ndarray):
        return sums(y, axis=1, dtype=np.float64)
    with np.errstate(over="ignore"):  # sums of rows that are refused later
        return y @ np.ones(y.shape[1], np.promote_types(y.dtype, np.float32))


def _column(values: NDArray) -> NDArray:
    """Return one column as an array of one dimension."""
    return values if values.ndim == 1 else values[:, 0]


def _both(first: NDArray, second: NDArray) -> NDArray:
    """Return two columns side by side."""
    both: NDArray = namespace(first).stack([_column(first), _column(second)], axis=1)
    return both


class Logits(Predictions):
    """Logits: p = softmax(z), or p = sigmoid(z) for independent outputs."""

    def _read(self, rows: slice) -> NDArray:
        z = self._exactly(rows)
        return _both(0 * z, z) if self.one_column else z

    def _exactly(self, rows: slice) -> NDArray:
        z: NDArray = as_type(self.values[rows, ...], np.float64)
        return z

    def log(self, rows: slice) -> NDArray:
        """Return log p of all classes, shape (r, n_classes)."""
        with np.errstate(over="ignore"):  # differences of large logits may overflow
            return log_softmax(self._read(rows).T).T

    def log_at(self, rows: slice, codes: NDArray) -> NDArray:
        """Return log p of one class per row, shape (r,)."""
        return picked(self.log(rows), codes)

    def log_of_both(self, rows: slice) -> tuple[NDArray, NDArray]:
        """Return -log(1 + exp(-z)) and -log(1 + exp(z))."""
        z = self._exactly(rows)
        return log_expit(z), log_expit(-z)

    def gradient(self, rows: slice, t: NDArray) -> NDArray:
        """Gradient m * p - t, with m the sum of t. With one column, that of the second class."""
        T = in_memory_order(t.T)
        mass, reference = sums(T, axis=0), namespace(T).argmax(T, axis=0)
        rest = with_at(in_memory_order(T), in_flat(reference), 0.0)
        block = SoftBlock(mass, reference, sums(rest, axis=0), T)
        z = in_memory_order(self._read(rows).T)  # a copy, which is overwritten
        with np.errstate(over="ignore", invalid="ignore"):  # the value may overflow
            _, g = LOSSES["categorical"].value_gradient(z, block)
        return g.T[:, 1:] if self.one_column else g.T

    def gradient_of_both(self, rows: slice, t: NDArray, u: NDArray) -> NDArray:
        """Gradient u * sigmoid(z) - t * sigmoid(-z)."""
        z = self._exactly(rows)
        return u * expit(z) - t * expit(-z)


def read_probabilities(values: ArrayLike, *, distributions: bool, clip: bool) -> Probabilities:
    """Read predicted probabilities. Their rows are checked later, when they are used."""
    p = _read_floats(values, "y_proba", ensure_all_finite=False)
    return Probabilities(p, distributions=distributions, clip=clip)


def read_logits(values: ArrayLike) -> Logits:
    """Read logits, and check that they are finite."""
    return Logits(_read_floats(values, "logits", ensure_all_finite=True))


def _read_floats(values: ArrayLike, name: str, *, ensure_all_finite: bool) -> NDArray:
    if values is None:
        raise ValueError(f"{name} is missing.")
    if is_computed_with(values):
        return _check_there(values, name, ensure_all_finite=ensure_all_finite)
    refuse_misread(values, name)
    refuse_dates(values, name)
    with naming(name, values):
        return check_array(
            values,
            ensure_2d=False,
            dtype=_FLOATS,
            ensure_all_finite=ensure_all_finite,
            input_name=name,
        )


def _check_there(values: Any, name: str, *, ensure_all_finite: bool) -> Any:
    """Check an array of another library. Arrays that fail go to the host, to find the bad row."""
    if values.ndim in (1, 2) and values.shape[0] and epsilon(values):
        if not ensure_all_finite:
            return values
        finite = (np.isfinite(float(sum_of_all(values[rows, ...]))) for rows in spans_of(values))
        if all(finite):
            return values
    return _read_floats(in_host_memory(values), name, ensure_all_finite=ensure_all_finite)


def _raise_no_probabilities(p: NDArray) -> NoReturn:
    """Raise scikit-learn's error, with the first bad row."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # sums of finite numbers may overflow
            check_array(p, ensure_2d=False, input_name="y_proba")
    except ValueError as error:
        raise_with_first_bad_row(error, p, "y_proba")
    high = p.max() > 1
    bad = p > 1 if high else p < 0
    row = int(bad.reshape(len(p), -1).any(axis=1).argmax())
    value = np.atleast_1d(p[row])[np.atleast_1d(bad[row])][0]
    words = f"greater than 1: {p.max()}" if high else f"lower than 0: {p.min()}"
    raise ValueError(
        f"y_prob contains values {words}. Row {row} of y_proba holds {value:g}: "
        "pass probabilities. For logits there are log_loss_from_logits, "
        "log_loss_samples_from_logits and log_loss_gradient_from_logits."
    )


# ---------------------------------------------------------------------------------------- targets
class MetricTargets:
    """Targets of a metric.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    values : ndarray
    class_weight : dict, "balanced" or None
    label_smoothing : float
    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows for "balanced".
    columns : ndarray of int, shape (n_classes,), or None
        The column of `values` for each class. None if the columns are in order.
    """

    def __init__(
        self,
        classes: NDArray,
        values: NDArray,
        class_weight: ClassWeight = None,
        label_smoothing: float = 0.0,
        sample_weight: NDArray | None = None,
        columns: NDArray | None = None,
    ):
        self.classes = classes
        self.values = values
        #: An array of the library, and on the device, in which blocks are computed.
        self.like = values
        self.columns = columns
        self.smoothing = label_smoothing
        self.weighted = class_weight is not None
        self._prepare(class_weight, sample_weight)

    def counts(self, rows: slice) -> NDArray | None:
        """Return the weight of each row in a mean, shape (r,). None if all weights are 1."""
        return self.weight(rows) if self.weighted else None

    @property
    def n_classes(self) -> int:
        """Number of classes, or of labels of multilabel targets."""
        return len(self.classes)

    def _read(self, rows: slice) -> NDArray:
        """Return rows of `values` in float64, in the library and on the device of `like`."""
        exact: NDArray = as_type(beside(self.values[rows, ...], self.like), np.float64)
        return exact

    def loss(self, predictions: Predictions, rows: slice) -> NDArray:
        """Loss of each row, shape (r,)."""
        raise NotImplementedError

    def gradient(self, predictions: Predictions, rows: slice) -> NDArray:
        """Gradient of this loss in the predictions, shape (r, n_columns)."""
        raise NotImplementedError

    def entropy(self, own: Predictions, rows: slice) -> NDArray:
        """Loss of each row if the predictions equal the targets, shape (r,)."""
        raise NotImplementedError

    def divergence(self, predictions: Predictions, rows: slice) -> NDArray:
        """Loss of each row minus its entropy, shape (r,)."""
        raise NotImplementedError

    def loss_of_mean(self, sample_weight: NDArray | None, eps: float) -> float:
        """Sum of losses if the mean target is predicted everywhere, clipped as in scikit-learn."""
        mass, total = self.column_mass(sample_weight), self._total(sample_weight)
        return float(-mass @ np.log(np.clip(mass / total, eps, 1 - eps)))

    def _total(self, sample_weight: NDArray | None) -> float:
        if sample_weight is None:
            return float(self.values.shape[0])
        return float(sample_weight.sum(dtype=np.float64))

    def distribution(self, rows: slice) -> NDArray:
        """Return y as a distribution over the classes, shape (r, n_classes)."""
        raise NotImplementedError

    def weight(self, rows: slice) -> NDArray:
        """Sum over classes of w_k * y_ik, shape (r,): the weight of each row in a mean."""
        raise NotImplementedError

    def column_mass(self, sample_weight: NDArray | None) -> NDArray:
        """Sum over rows of s_i * y_ik, shape (n_classes,)."""
        raise NotImplementedError

    def _prepare(self, class_weight: ClassWeight, sample_weight: NDArray | None) -> None:
        """Fold class weights and smoothing. For "balanced" this needs the mass of each class."""
        raise NotImplementedError


class ClassTargets(MetricTargets):
    """Targets of classes that exclude each other."""

    def _prepare(self, class_weight: ClassWeight, sample_weight: NDArray | None) -> None:
        self._fold = fold_classes(
            class_weight, self.smoothing, self.classes, lambda: self.column_mass(sample_weight)
        )

    def _t(self, rows: slice) -> NDArray:
        """Return target mass, shape (r, n_classes)."""
        raise NotImplementedError

    def loss(self, predictions: Predictions, rows: slice) -> NDArray:
        """Loss of each row, shape (r,)."""
        return _cross_entropy(self._t(rows), predictions.log(rows))

    def gradient(self, predictions: Predictions, rows: slice) -> NDArray:
        """Gradient of this loss in the predictions, shape (r, n_columns)."""
        return predictions.gradient(rows, self._t(rows))


class Labels(ClassTargets):
    """Labels as positions in `classes`, shape (n_samples,)."""

    def loss(self, predictions: Predictions, rows: slice) -> NDArray:
        """Loss of each row, shape (r,)."""
        if self.smoothing:
            return super().loss(predictions, rows)
        codes = self.values[rows]
        loss = 0 - predictions.log_at(rows, codes)
        return times(beside(self._fold.on[codes], loss), loss) if self.weighted else loss

    def _t(self, rows: slice) -> NDArray:
        if not isinstance(self.like, np.ndarray):
            y = self.distribution(rows)
            return y * beside(self._fold.on, y) + beside(self._fold.background, y)
        codes = self.values[rows]
        t = np.tile(self._fold.background, (len(codes), 1))
        t[np.arange(len(codes)), codes] += self._fold.on[codes]
        return t

    def distribution(self, rows: slice) -> NDArray:
        """Return y as a distribution over the classes, shape (r, n_classes)."""
        return _one_hot(self.values[rows], self.n_classes, self.like)

    def entropy(self, own: Predictions, rows: slice) -> NDArray:
        """Return zeros."""
        return beside(np.zeros(len(self.values[rows])), self.like)

    def divergence(self, predictions: Predictions, rows: slice) -> NDArray:
        """Loss of each row, because the entropy of a label is zero."""
        return self.loss(predictions, rows)

    def weight(self, rows: slice) -> NDArray:
        """Weight of the class of each row."""
        return beside(self._fold.weights[self.values[rows]], self.like)

    def column_mass(self, sample_weight: NDArray | None) -> NDArray:
        """Weighted number of rows of each class."""
        return mass_of_labels(self.values, sample_weight, self.n_classes)


class Distributions(ClassTargets):
    """A distribution over the classes in each row, or the probability of the second of two.

    A row is divided by its sum, if the sum differs from 1 by more than rounding. As in
    scikit-learn, a matrix of zeros and ones is not divided.
    """

    @cached_property
    def _is_indicator(self) -> bool:
        return self.values.ndim == 2 and is_indicator(self.values)

    def distribution(self, rows: slice) -> NDArray:
        """Return y as a distribution over the classes, shape (r, n_classes)."""
        y = self._read(rows)
        y = columns(_both(1 - y, y) if y.ndim == 1 else y, self.columns)
        if self.values.ndim == 1 or self._is_indicator:
            return y
        total = _row_sums(y)
        if not (smallest(y) >= 0 and largest(abs(total - 1)) <= self._tolerance):
            values = in_host_memory(self.values)
            check_y(values, "y_true")
            check_probabilities(values, distributions=True, name="y_true")
        off = is_off_one(total, y.shape[1])
        xp = namespace(y)
        return y / xp.where(off, total, 1.0)[:, None] if xp.any(off) else y

    @cached_property
    def _tolerance(self) -> float:
        """Largest difference from 1 of the sum of a row."""
        return max(SUM_TOLERANCE, epsilon(self.values))

    def _t(self, rows: slice) -> NDArray:
        y = self.distribution(rows)
        if not (self.weighted or self.smoothing):
            return y
        return self._fold.of_distributions(copied(y.T)).T

    def entropy(self, own: Predictions, rows: slice) -> NDArray:
        """Loss of each row if the predictions equal the targets, shape (r,)."""
        y = self.distribution(rows)
        return _cross_entropy(y, _log_of_targets(y))

    def divergence(self, predictions: Predictions, rows: slice) -> NDArray:
        """Loss of each row minus its entropy, shape (r,)."""
        y = self.distribution(rows)
        return _cross_entropy(y, predictions.log(rows) - _log_of_targets(y))

    def weight(self, rows: slice) -> NDArray:
        """Mean weight of the classes of each row."""
        y = self.distribution(rows)
        return y @ beside(self._fold.weights, y)

    def column_mass(self, sample_weight: NDArray | None) -> NDArray:
        """Weighted mass of each class."""
        return _column_mass(self.distribution, self.values, sample_weight)


class Outputs(MetricTargets):
    """A probability per label, shape (n_samples, n_labels).

    The loss is the mean over labels. Class weights multiply the positive part of a label.
    "balanced" weighs both parts of each label. A label that is NaN in a row adds nothing there.
    """

    def _y(self, rows: slice) -> NDArray:
        y = self._read(rows)
        if not (smallest(y) >= 0 and largest(y) <= 1) and namespace(y).any((y < 0) | (y > 1)):
            values = in_host_memory(self.values)
            check_probabilities(values, distributions=False, name="y_true", missing=True)
        return columns(y, self.columns)

    def counts(self, rows: slice) -> NDArray | None:
        """Return the weight of each row in a mean, shape (r,). None if all weights are 1."""
        whole = not self.weighted and not _has_nan(self.values[rows, ...])
        return None if whole else self.weight(rows)

    def _share(self, rows: slice) -> NDArray | float:
        """Return the weight of each label of a row, as a number or of shape (r,)."""
        return 1 / self.n_classes

    def _prepare(self, class_weight: ClassWeight, sample_weight: NDArray | None) -> None:
        def masses() -> tuple[NDArray, NDArray]:
            fails = self._mass(lambda rows: 1 - self._y(rows), sample_weight)
            return fails, self.column_mass(sample_weight)

        some = (self.values[rows, ...] for rows in spans_of(self.values))
        whole = class_weight is None or not any(map(_has_nan, some))
        total = self._total(sample_weight) if whole else None
        self._fold = fold_outputs(class_weight, self.smoothing, self.classes, masses, total)

    def _both(self, rows: slice, fold: OutputFold) -> tuple[NDArray, NDArray]:
        """Return t and u of each label. A known label has a total mass of 1/K before weights."""
        y, share = copied(self._y(rows).T), self._share(rows)
        if _has_nan(y):
            y, share = known_only(y, share)
        t, u = fold.of_outputs(y, share)
        return t.T, u.T

    def loss(self, predictions: Predictions, rows: slice) -> NDArray:
        """Loss of each row, shape (r,)."""
        t, u = self._both(rows, self._fold)
        holds, fails = predictions.log_of_both(rows)
        return _cross_entropy(t, holds) + _cross_entropy(u, fails)

    def gradient(self, predictions: Predictions, rows: slice) -> NDArray:
        """Gradient of this loss in the predictions, shape (r, n_labels)."""
        return predictions.gradient_of_both(rows, *self._both(rows, self._fold))

    def entropy(self, own: Predictions, rows: slice) -> NDArray:
        """Loss of each row if the predictions equal the targets, shape (r,)."""
        t, u = self._both(rows, replace(self._fold, smoothing=0.0))
        y = self._y(rows)
        return _cross_entropy(t, _log_of_targets(y)) + _cross_entropy(u, _log_of_targets(1 - y))

    def divergence(self, predictions: Predictions, rows: slice) -> NDArray:
        """Loss of each row minus its entropy, shape (r,)."""
        t, u = self._both(rows, replace(self._fold, smoothing=0.0))
        y = self._y(rows)
        holds, fails = predictions.log_of_both(rows)
        holds -= _log_of_targets(y)
        fails -= _log_of_targets(1 - y)
        return _cross_entropy(t, holds) + _cross_entropy(u, fails)

    def loss_of_mean(self, sample_weight: NDArray | None, eps: float) -> float:
        """Sum of losses if the mean of each label is predicted everywhere."""
        mass = self.column_mass(sample_weight)
        rest = self._mass(lambda rows: 1 - self._y(rows), sample_weight)
        known = mass + rest
        p = np.clip(mass / np.where(known > 0, known, 1), eps, 1 - eps)
        return float(-(mass @ np.log(p) + rest @ np.log(1 - p)) / self.n_classes)

    def weight(self, rows: slice) -> NDArray:
        """Mean weight of the labels of each row."""
        t, u = self._both(rows, replace(self._fold, smoothing=0.0))
        return sums(t, axis=1) + sums(u, axis=1)

    def column_mass(self, sample_weight: NDArray | None) -> NDArray:
        """Weighted mass of each label."""
        return self._mass(self._y, sample_weight)

    def _mass(self, y: Callable[[slice], NDArray], sample_weight: NDArray | None) -> NDArray:
        def of_known(rows: slice) -> NDArray:
            return without_missing(y(rows))

        return _column_mass(of_known, self.values, sample_weight)


class OneVsRest(Outputs):
    """Labels as positions in `classes`, one against the rest. Class weights apply to rows."""

    def _y(self, rows: slice) -> NDArray:
        return _one_hot(self.values[rows], self.n_classes, self.like)

    def _share(self, rows: slice) -> NDArray | float:
        return beside(super()._share(rows) * self._weights[self.values[rows]], self.like)

    def _prepare(self, class_weight: ClassWeight, sample_weight: NDArray | None) -> None:
        self._fold = OutputFold(self.smoothing)
        self._weights = fold_classes(
            class_weight, self.smoothing, self.classes, lambda: self.column_mass(sample_weight)
        ).weights

    def column_mass(self, sample_weight: NDArray | None) -> NDArray:
        """Weighted number of rows of each class."""
        return mass_of_labels(self.values, sample_weight, self.n_classes)


def _has_nan(y: NDArray) -> bool:
    return bool(np.isnan(float(smallest(y))))


def _one_hot(codes: NDArray, n_classes: int, like: Any) -> NDArray:
    """Return zeros and ones, shape (r, n_classes), in the library of the array `like`."""
    codes = beside(codes.astype(np.int64), like)
    classes = beside(np.arange(n_classes), like)
    return as_type(codes[:, None] == classes[None, :], np.float64)


def _log_of_targets(y: NDArray) -> NDArray:
    """Return log y, and 0 if y is 0: the value does not matter there, because it has no mass."""
    xp = namespace(y)
    found: NDArray = xp.log(xp.where(y > 0, y, 1.0))
    return found


def times(weights: NDArray, losses: NDArray) -> NDArray:
    """Return weights * losses. It is 0 if the weight is 0, even if the loss is infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        products = weights * losses
    found: NDArray = namespace(products).where(weights == 0, 0.0, products)
    return found


def _cross_entropy(t: NDArray, log_p: NDArray) -> NDArray:
    """Return -sum_k t_k * log(p_k) of each row, where 0 * log(0) is 0. It overwrites log_p."""
    if not isinstance(t, np.ndarray):
        return 0 - sums(times(t, log_p), axis=1)
    ones = np.ones(t.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        terms = np.multiply(t, log_p, out=log_p)
        total = terms @ ones
        if np.isnan(total).any():
            terms[t == 0] = 0
            total = terms @ ones
    return 0 - total  # -total would turn 0 into -0


def _column_mass(
    y: Callable[[slice], NDArray], values: NDArray, sample_weight: NDArray | None
) -> NDArray:
    def one(rows: slice) -> NDArray:
        weights = None if sample_weight is None else sample_weight[rows]
        return in_host_memory(mass_of_columns(y(rows), weights))

    return np.sum(by_blocks(values, one), axis=0)


def is_indicator(y: NDArray) -> bool:
    """Whether a matrix holds only zeros and ones."""
    if isinstance(y, np.ndarray) and y.dtype.kind not in "biuf":
        return False
    xp = namespace(y)
    some = (y[rows, ...] for rows in spans_of(y))
    return all(bool(xp.all((part == 0) | (part == 1))) for part in some)


def read_targets(
    y_true: Any,
    loss: str,
    labels: ArrayLike | None,
    class_weight: ClassWeight = None,
    label_smoothing: float = 0.0,
    sample_weight: NDArray | None = None,
    one_label: bool = False,
    predicted_names: NDArray | None = None,
) -> MetricTargets:
    """Decide what y_true means. Labels are read as in scikit-learn.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
    loss : {"categorical", "binary"}
    labels : array-like or None
        All classes, in the order of the columns of the predictions.
    class_weight, label_smoothing, sample_weight
        As in `MetricTargets`.
    one_label : bool
        Whether all labels may be the same.
    predicted_names : ndarray of shape (n_columns,), or None
        Names of the columns of the predictions, if they have any. If these are the classes, they
        give the order.

    Returns
    -------
    MetricTargets
        Targets, with their classes in the order of the columns of the predictions.
    """
    options = class_weight, label_smoothing, sample_weight
    names = column_names(y_true)
    # A matrix of floats is checked later, when its rows are used.
    lazily = is_computed_with(y_true) or (
        isinstance(y_true, np.ndarray)
        and not isinstance(y_true, (np.matrix, np.ma.MaskedArray))
        and y_true.ndim == 2
        and len(y_true) > 0
        and y_true.dtype.kind == "f"
        and y_true.dtype.itemsize <= 8
    )
    missing = loss == "binary"
    whole = not (lazily and y_true.shape[1] > 1)
    y = check_y(y_true, "y_true", missing=missing) if whole else y_true
    if y.ndim == 2:
        if isinstance(y, np.ndarray) and y.dtype.kind not in "iuf":
            y, _ = check_probabilities(y, distributions=False, name="y_true", missing=missing)
        kind = Distributions if loss == "categorical" else Outputs
        classes, columns = _columns(
            y.shape[1], names, labels, predicted_names, in_order=kind is Outputs
        )
        return kind(classes, y, *options, columns)
    if y.dtype.kind == "f" and kind_of_labels(y, "y_true") == "continuous":
        bad = (y < 0) | (y > 1)
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(
                "Unknown label type: continuous. A 1-D y_true of floats is the probability of the "
                f"second class and must lie in [0, 1], but row {row} of y_true is {y[row]:g}. "
                + LOGITS_SECOND
            )
        classes, columns = _columns(2, None, labels, predicted_names)
        return Distributions(classes, y, *options, columns)
    classes, codes = _encode(y, labels, one_label, predicted_names)
    if loss == "binary" and len(classes) > 2:
        return OneVsRest(classes, codes, *options)
    return Labels(classes, codes, *options)


def _columns(
    n_columns: int,
    names: NDArray | None,
    labels: ArrayLike | None,
    predicted_names: NDArray | None,
    *,
    in_order: bool = False,
) -> tuple[NDArray, NDArray | None]:
    """Classes in the order of the columns of the predictions, and the column of y for each class.

    The order is given by the names of the predictions, or by `labels`. Without these it is the
    order of the estimators: sorted names, except for an indicator matrix, which is `in_order`.
    """
    given = None if labels is None else _check_labels(labels)
    if given is not None and given.shape != (n_columns,):
        raise ValueError(
            f"labels must name the {n_columns} columns of y_true, but has shape {given.shape}."
        )
    own = given if names is None else names
    if own is None:
        return np.arange(n_columns), None
    if predicted_names is not None and set(predicted_names.tolist()) == set(own.tolist()):
        return predicted_names, columns_of_classes(own, predicted_names)
    if given is not None:
        return given, columns_of_classes(names, given, y="y_true", known="labels")
    columns = None if in_order else sorting(own)
    return own if columns is None else own[columns], columns


def _check_labels(labels: Any) -> NDArray:
    """Return labels as an array. Missing ones are refused."""
    if isinstance(labels, (list, tuple)) and not labels:
        raise ValueError("labels must name at least two classes, but is empty.")
    checked = check_y(labels, "labels")
    if checked.ndim != 1:
        raise ValueError(f"labels must be a list of classes, but has shape {checked.shape}.")
    return checked


def _encode(
    y: NDArray, labels: Any, one_label: bool, predicted_names: NDArray | None
) -> tuple[NDArray, NDArray]:
    """Return classes and codes, with the errors and warnings of `sklearn.metrics.log_loss`."""
    given = None if labels is None else _check_labels(labels)
    if predicted_names is not None:
        seen = predicted_names if given is None else given
        if set(y.tolist()) <= set(seen.tolist()) <= set(predicted_names.tolist()):
            return _encode_in_order(y, predicted_names)
    if given is None:
        if y.dtype.kind in "biuf":
            classes = np.unique(y)
            codes = _codes(y, classes)
        else:
            encoder = LabelEncoder()
            with naming("y_true", None):  # labels that cannot be sorted
                codes = encoder.fit_transform(y)
            classes = encoder.classes_
        if len(classes) == 1 and not one_label:
            raise ValueError(
                f"y_true contains only one label ({classes[0]}). Please provide the list of all "
                "expected class labels explicitly through the labels argument."
            )
        return classes, codes
    with naming("labels", None):  # labels that cannot be sorted
        encoder = LabelEncoder().fit(given)
    classes = encoder.classes_
    with naming("y_true", None):  # labels that cannot be compared
        known = np.isin(y, classes)
        unknown = set(y[~known].tolist())
    if unknown:
        raise ValueError(
            f"y_true contains values {unknown} not belonging to the passed labels {labels}."
        )
    if len(classes) == 1:
        raise ValueError(f"The labels array needs to contain at least two labels, got {classes}.")
    if len(classes) != len(given) or np.all(classes == given):
        return classes, encoder.transform(y)
    warn(
        f"Labels passed were {labels}. But this function assumes labels are ordered "
        f"lexicographically. Pass the ordered labels={classes.tolist()} and ensure that the "
        "columns of y_prob correspond to this ordering. This is scikit-learn's warning: its "
        "function sorts the labels, but here the columns of y_proba have the order of labels as "
        "passed.",
        UserWarning,
    )
    return _encode_in_order(y, given)


def _encode_in_order(y: NDArray, classes: NDArray) -> tuple[NDArray, NDArray]:
    """Return the classes in their order, and the position of each label in them."""
    encoder = LabelEncoder().fit(classes)
    position = np.argsort(encoder.transform(classes))
    return classes, position[encoder.transform(y)]


def _codes(y: NDArray, classes: NDArray) -> NDArray:
    """Positions of numbers in `classes`, in the smallest integer type."""
    codes = np.empty(len(y), np.min_scalar_type(len(classes) - 1))

    def one(rows: slice) -> None:
        codes[rows] = np.searchsorted(classes, y[rows])

    by_blocks(y, one)
    return codes


def check_columns(targets: MetricTargets, predictions: Predictions, labels: Any, name: str) -> None:
    """Check that targets and predictions have the same classes."""
    n_columns = predictions.n_classes
    if isinstance(targets, Outputs):
        n_columns = predictions.values.shape[1] if predictions.values.ndim == 2 else 1
    if targets.n_classes == n_columns:
        return
    if targets.values.ndim == 2:
        raise ValueError(
            f"y_true has shape {targets.values.shape}, one column per class. {name} must have the "
            f"same shape, but has shape {predictions.values.shape}."
        )
    if labels is None:
        raise ValueError(
            "y_true and y_prob contain different number of classes: "
            f"{targets.n_classes} vs {n_columns}. Please provide the true labels explicitly "
            f"through the labels argument. Classes found in y_true: {targets.classes}"
        )
    raise ValueError(
        "The number of classes in labels is different from that in y_prob. Classes found in "
        f"labels: {targets.classes}"
    )
