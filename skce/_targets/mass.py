"""Target mass of a fit, by blocks of rows: sample weights and the folds of `fold.py` applied to y.

No array of shape (n_samples, n_classes) is made. Hard labels are kept as integer codes, and a
matrix of probabilities is not copied. A block of rows is weighted when it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._arrays import (
    as_type,
    at,
    beside,
    columns,
    in_flat,
    in_memory_order,
    product,
    sum_of_products,
    taken,
    with_at,
    zeros,
)
from .._rows import Rows
from .._threads import blocks, cached_property
from .._warnings import warn
from .fold import (
    ClassFold,
    ClassWeight,
    OutputFold,
    fold_classes,
    fold_outputs,
    known_only,
    mass_of_columns,
    mass_of_labels,
    without_missing,
)
from .meaning import RawTargets, in_order

#: The largest number of labels that a warning names.
_NAMED = 5

#: Rows at a time in computations with a temporary array as wide as y.
_CHUNK = 4096


@dataclass(frozen=True)
class TargetBlock:
    """Target mass of r rows: the interface of every form of target to a loss.

    Attributes
    ----------
    mass : ndarray of shape (r,) or (K, r)
        Total mass m of each row, or of each row and output.
    reference : ndarray of int, shape (r,)
        The class with the most target mass in each row.
    rest : ndarray of shape (r,)
        The mass of each row outside its reference class.
    offset : ndarray of shape (K, r), or None
        Known parts of the logits of the rows.
    """

    mass: NDArray
    reference: NDArray
    rest: NDArray
    offset: NDArray | None = field(default=None, kw_only=True)

    @cached_property
    def at_reference(self) -> NDArray:
        """Positions of the reference class of each row in flattened arrays of shape (K, r)."""
        return in_flat(self.reference)

    def dot(self, d: NDArray) -> NDArray:
        """Return sum_k t_k * d_k for each row."""
        raise NotImplementedError

    def subtract_others(self, g: NDArray) -> NDArray:
        """Return g - t. It overwrites g, and is not specified at the reference class."""
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
        total: NDArray = self.on * at(d, self.at_reference)
        return (
            total if self.background is None else total + self.weight * product(self.background, d)
        )

    def subtract_others(self, g: NDArray) -> NDArray:
        """Return g minus the mass that all classes get. It overwrites g."""
        if self.background is not None:
            g -= self.background[:, None] * self.weight
        return g

    def dense(self, n_outputs: int) -> NDArray:
        """Return t, shape (K, r)."""
        t = with_at(zeros(n_outputs, self.on), self.at_reference, self.on)
        if self.background is not None:
            t += self.background[:, None] * self.weight
        return t


@dataclass(frozen=True)
class SoftBlock(TargetBlock):
    """Any target mass t, shape (K, r)."""

    t: NDArray

    def dot(self, d: NDArray) -> NDArray:
        """Return sum_k t_k * d_k for each row."""
        return sum_of_products(self.t, d)

    def subtract_others(self, g: NDArray) -> NDArray:
        """Return g - t. It overwrites g."""
        g -= self.t
        return g

    def dense(self, n_outputs: int) -> NDArray:
        """Return t, shape (K, r)."""
        return self.t


class Targets:
    """Target mass of all rows.

    Parameters
    ----------
    raw : RawTargets
    sample_weight : ndarray of shape (n_samples,), or None
        Non-negative, finite weights. They are all zero only if the rows are a part of all rows.
    class_weight : dict, "balanced", None, ClassFold or OutputFold
        Class weights; or the fold of all rows, if the rows are a part of them.
    label_smoothing : float in [0, 1)
    dtype : dtype
        The dtype of the blocks, which is that of X.

    Attributes
    ----------
    weights : ndarray of shape (n_samples,)
        Weight of each row in the objective, before class weights.
    total_weight : float
        Sum of `weights`. It scales the objective of the solvers.
    n_outputs : int
        Number of coefficient vectors: 1 for "sigmoid", and otherwise the number of classes.
    offset : ndarray of shape (n_samples, n_outputs), or None
        Known parts of the logits.
    """

    #: Names of arrays with one entry per row that a subclass adds to those of `_BY_ROW`.
    _by_row: tuple[str, ...] = ()

    def __init__(
        self,
        raw: RawTargets,
        sample_weight: NDArray | None,
        class_weight: ClassWeight | ClassFold | OutputFold,
        label_smoothing: float,
        dtype: DTypeLike,
    ):
        self._is_part = isinstance(class_weight, (ClassFold, OutputFold))
        self.classes = raw.classes
        self.form = raw.form
        self.loss = raw.loss
        self.n_outputs = 1 if raw.form == "sigmoid" else len(raw.classes)
        self.dtype = np.dtype(dtype)
        self._values = raw.values
        self._columns = raw.columns
        self._has_missing = raw.has_missing
        self.offset = None if raw.offset is None else raw.offset.astype(self.dtype, copy=False)
        self._row_sum = raw.row_sum
        if sample_weight is None:
            self.weights: NDArray = np.broadcast_to(np.ones((), self.dtype), len(raw.values))
            self.total_weight = float(len(raw.values))
        else:
            self.weights = sample_weight.astype(self.dtype, copy=False)
            self.total_weight = float(sample_weight.sum(dtype=np.float64))
        self._prepare(class_weight, label_smoothing)

    @property
    def has_offset(self) -> bool:
        """Whether parts of the logits are known."""
        return self.offset is not None

    def block(self, start: int, stop: int) -> TargetBlock:
        """Target mass of rows start to stop."""
        block = self._block(start, stop)
        if self.offset is None:
            return block
        known = self.offset[start:stop, ...]
        if isinstance(self.weights, np.ndarray):
            return replace(block, offset=np.ascontiguousarray(known.T))
        return replace(block, offset=in_memory_order(beside(known, self.weights).T))

    def _block(self, start: int, stop: int) -> TargetBlock:
        """Target mass of rows start to stop, without their offsets."""
        raise NotImplementedError

    def check_some_known(self) -> None:
        """Refuse targets without a known label, and warn of labels that are known in no row."""

    def take(self, indices: NDArray | slice) -> Targets:
        """Return the targets of the given rows. Their weights are not computed again."""
        taken = copy(self)
        for name in (*_BY_ROW, *self._by_row):
            values = getattr(self, name)
            some = None if values is None else values[indices]
            setattr(taken, name, np.asarray(some) if isinstance(some, Rows) else some)
        taken.total_weight = float(taken.weights.sum(dtype=np.float64))
        return taken

    def put(self, place: Callable[[Any], Any]) -> Self:
        """Return the same targets, with `place` applied to each array that has an entry per row."""
        there = copy(self)
        for name in (*_BY_ROW, *self._by_row):
            values = getattr(self, name)
            setattr(there, name, None if values is None else place(values))
        return there

    @classmethod
    def joined(cls, parts: list[Targets]) -> Targets:
        """Join parts of the same targets, in the given order."""
        joined = copy(parts[0])
        for name in (*_BY_ROW, *joined._by_row):
            values = [getattr(part, name) for part in parts]
            setattr(joined, name, None if values[0] is None else np.concatenate(values))
        joined.total_weight = float(joined.weights.sum(dtype=np.float64))
        return joined

    def _prepare(self, class_weight: Any, eps: float) -> None:
        """Compute the arrays that `block` needs. None is larger than (n_samples,) or (K,)."""
        raise NotImplementedError

    def _mass(self, weights: NDArray) -> NDArray:
        """Target mass of each class, if the rows have the given weights."""
        raise NotImplementedError

    def _matrix(self, rows: slice) -> NDArray:
        """Rows of probabilities. Their columns are in the order of the classes."""
        return in_order(np.asarray(self._values[rows]), self._columns)

    def _by_class(self, rows: slice) -> NDArray:
        """Return a copy of rows of probabilities, shape (K, r), on the device of the weights."""
        if isinstance(self.weights, np.ndarray):
            return np.array(self._matrix(rows).T, dtype=self.dtype, order="C")
        y = as_type(beside(self._values[rows, ...], self.weights), self.dtype)
        return in_memory_order(columns(y, self._columns).T)

    def _column_mass(self, weights: NDArray, *, complement: bool = False) -> NDArray:
        """Weighted sum of the rows of probabilities y, or of 1 - y."""
        mass = np.zeros(self._values.shape[1])
        for start, stop in blocks(len(self._values), _CHUNK):
            y = self._matrix(slice(start, stop))
            y = 1 - y if complement else y
            mass += mass_of_columns(without_missing(y), weights[start:stop])
        return mass

    def _check_some_mass(self, mass: NDArray) -> None:
        """Check that some row has mass. A part of the rows may have none."""
        if not self._is_part:
            check_some_mass(mass)

    def _fold_classes(self, class_weight: Any, eps: float) -> ClassFold:
        if isinstance(class_weight, ClassFold):
            return class_weight

        def mass() -> NDArray:
            return self._mass(self.weights)

        return fold_classes(class_weight, eps, self.classes, mass, self.total_weight)


class LabelTargets(Targets):
    """Hard labels as integer codes."""

    _by_row = ("_on", "_total", "_spread")

    def _block(self, start: int, stop: int) -> HardBlock:
        """Target mass of rows start to stop, without their offsets."""
        rows = slice(start, stop)
        on, mass, reference = self._on[rows], self._total[rows], self._values[rows]
        rest, background = mass - on, self._background
        if background is not None:
            background = beside(background, on)
            rest = rest - self._spread[rows] * taken(background, reference)
        return HardBlock(mass, reference, rest, on, self._spread[rows], background)

    def _prepare(self, class_weight: Any, eps: float) -> None:
        fold = self._fold_classes(class_weight, eps)
        by_row = self.weights
        if class_weight is not None:
            by_row = by_row * fold.weights.astype(self.dtype)[self._values]
        self._on = by_row if eps == 0 else by_row * (1 - eps)
        self._spread, self._total, background = self._rest(fold, by_row, eps)
        self._check_some_mass(self._total)
        self._background = background.astype(self.dtype) if eps else None

    def _rest(self, fold: ClassFold, by_row: NDArray, eps: float) -> tuple[NDArray, ...]:
        """Return the weight of the background and the mass of each row, and the background.

        The background is the mass that every class gets in a row of weight 1.
        """
        total = self._on + self.weights * float(fold.background.sum())
        return self.weights, total, fold.background

    def _mass(self, weights: NDArray) -> NDArray:
        return mass_of_labels(self._values, weights, len(self.classes))


class OneVsRestTargets(LabelTargets):
    """Hard labels, with each class against the others."""

    def _rest(self, fold: ClassFold, by_row: NDArray, eps: float) -> tuple[NDArray, ...]:
        background = OutputFold(eps).smooth(np.zeros(len(fold.on)))
        return by_row, by_row, background


class DistributionTargets(Targets):
    """A distribution over the classes in each row."""

    _by_row = ("_row_sum", "_row_scale", "_total", "_reference")

    def _block(self, start: int, stop: int) -> SoftBlock:
        """Target mass of rows start to stop, without their offsets."""
        rows = slice(start, stop)
        t = self._by_class(rows)
        t = self._fold.of_distributions(t, self.weights[rows], self._row_scale[rows])
        mass, reference = self._total[rows], self._reference[rows]
        return SoftBlock(mass, reference, mass - at(t, in_flat(reference)), t)

    def _prepare(self, class_weight: Any, eps: float) -> None:
        self._fold = fold = self._fold_classes(class_weight, eps)
        self._row_scale = self._renormalised(self.weights).astype(self.dtype, copy=False)
        n = len(self._values)
        self._total = np.empty(n, self.dtype)
        self._reference = np.empty(n, np.min_scalar_type(len(self.classes) - 1))
        for start, stop in blocks(n, _CHUNK):
            rows = slice(start, stop)
            t = self._matrix(rows) * fold.on
            self._total[rows] = self._row_scale[rows] * t.sum(axis=1)
            self._reference[rows] = t.argmax(axis=1)
        self._total += self.weights * float(fold.background.sum())
        self._check_some_mass(self._total)

    def _mass(self, weights: NDArray) -> NDArray:
        return self._column_mass(self._renormalised(weights))

    def _renormalised(self, weights: NDArray) -> NDArray:
        return weights if self._row_sum is None else weights / self._row_sum


class OutputTargets(Targets):
    """A probability per output: labels of two classes, 1-D probabilities, multilabel."""

    def _block(self, start: int, stop: int) -> SoftBlock:
        """Target mass of rows start to stop, without their offsets."""
        rows = slice(start, stop)
        s, t = self.weights[rows], self._by_class(rows)
        if self._has_missing:
            t, s = known_only(t, s)
        if self._fold.factors is None:
            return SoftBlock(s, _NO_ROWS, s, self._fold.smooth(t) * s)
        t, mass = self._fold.of_outputs(t, s)
        mass += t
        return SoftBlock(mass, _NO_ROWS, mass, t)

    def _prepare(self, class_weight: Any, eps: float) -> None:
        def masses() -> tuple[NDArray, NDArray]:
            return self._column_mass(self.weights, complement=True), self._mass(self.weights)

        if isinstance(class_weight, OutputFold):
            self._fold = class_weight
            return
        self._fold = fold_outputs(
            class_weight,
            eps,
            self.classes,
            masses,
            None if self._has_missing else self.total_weight,
            of_two=self.form == "sigmoid",
        )
        factors = self._fold.factors
        if factors and isinstance(class_weight, dict) and self.form == "sigmoid" and not eps:
            check_some_mass(np.multiply(factors, masses()))

    def check_some_known(self) -> None:
        """Refuse targets without a known label, and warn of labels that are known in no row."""
        if self._has_missing:
            fails = self._column_mass(self.weights, complement=True)
            check_some_known(fails + self._mass(self.weights), self.classes)

    def _mass(self, weights: NDArray) -> NDArray:
        return self._column_mass(weights)


def check_some_known(known: NDArray, labels: NDArray) -> None:
    """Refuse targets without a known label, and warn of labels that are known in no row.

    Parameters
    ----------
    known : ndarray of shape (K,)
        Sum of the weights of the rows in which each label is known.
    labels : ndarray of shape (K,)
    """
    if not known.any():
        raise ValueError(
            "y has no label that is known (all are NaN or masked) in a row of positive weight."
        )
    names = labels[known == 0].tolist()
    if names:
        more = ", ..." if len(names) > _NAMED else ""
        warn(
            f"Nothing is known of {len(names)} of {len(labels)} labels of y in rows of positive "
            f"weight: {', '.join(map(repr, names[:_NAMED]))}{more}. Their coefficients are zero, "
            "and their probability is 1/2.",
            UserWarning,
        )


#: Names of arrays with one entry per row that all targets have.
_BY_ROW = ("weights", "_values", "offset")

#: The class of the targets, by the kind of the values and the form of the probabilities.
_FORMS: dict[tuple[str, str], type[Targets]] = {
    ("codes", "softmax"): LabelTargets,
    ("codes", "one-vs-rest"): OneVsRestTargets,
    ("distributions", "softmax"): DistributionTargets,
    ("outputs", "sigmoid"): OutputTargets,
    ("outputs", "multilabel"): OutputTargets,
}


def fold_weights(
    raw: RawTargets,
    sample_weight: NDArray | None,
    class_weight: ClassWeight | ClassFold | OutputFold,
    label_smoothing: float,
    dtype: DTypeLike,
) -> Targets:
    """Fold smoothing and weights into targets. The parameters are those of `Targets`."""
    return _FORMS[raw.kind, raw.form](raw, sample_weight, class_weight, label_smoothing, dtype)


#: The reference class of binary losses, which do not need one.
_NO_ROWS = np.empty(0, dtype=np.intp)


def check_some_mass(mass: NDArray) -> None:
    """Refuse class weights that leave no target mass."""
    if not mass.any():
        raise ValueError(
            "class_weight is zero for every class with target mass in rows of positive weight: at "
            "least one class must count."
        )
