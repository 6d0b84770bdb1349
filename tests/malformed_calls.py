"""Malformed calls of every public function: arguments that are valid and small, then spoilt.

`python tests/malformed_calls.py --first 0 --count 1000 --seed 0` makes that many calls, each from a
generator of its own, and prints a line for each fault. A call is at fault if it

- raises anything but ValueError, TypeError (NotFittedError is both) and what `ALLOWED` names,
- raises an error that NumPy, SciPy, pandas or Python worded, and not skce or scikit-learn,
- takes more than 10 s, or ends the process,
- returns NaN without a warning, or accepts a value that `Spoilt.nonsense` says must be refused,
- issues a RuntimeWarning or a DeprecationWarning,
- changes its arguments or, after an error, the estimator.

The number of each call is written to standard error before the call, in case the process hangs or
crashes.
"""

from __future__ import annotations

import argparse
import datetime
import decimal
import faulthandler
import fractions
import linecache
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

# This must be set before SciPy is imported. Otherwise scikit-learn refuses arrays of other
# libraries.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.sparse as sp
import sklearn
from scipy.special import expit
from sklearn.base import BaseEstimator

import skce
from skce import (
    SoftmaxClassifier,
    SoftmaxClassifierCV,
    displays,
    inference,
    metrics,
    model_selection,
    optimize,
    softmax_path,
)

try:
    import polars as pl
except ImportError:
    pl = None
try:
    import pyarrow as pa
except ImportError:
    pa = None

LIMIT = 10
ROWS = 12


# ------------------------------------------------------------------------------- spoilt values
@dataclass(frozen=True)
class Spoilt:
    """A value in place of a valid one.

    `nonsense` names the kinds of argument for which it must be refused.
    """

    name: str
    make: Callable[[Any, np.random.Generator], Any]
    nonsense: frozenset = frozenset()


NUMBERS = frozenset({"X", "proba", "logits", "weights", "numbers", "bounds", "number"})
TARGETS = frozenset({"y", "labels"})


def _at(value: Any) -> Callable:
    """Put a value somewhere into the argument, as an array of objects."""

    def make(valid: Any, rng: np.random.Generator) -> Any:
        array = np.array(_dense(valid), dtype=object)
        if array.size:
            array.flat[int(rng.integers(array.size))] = value
        return array

    return make


def _number_at(value: float) -> Callable:
    def make(valid: Any, rng: np.random.Generator) -> Any:
        array = np.array(_dense(valid))
        array = array.astype(np.float64 if array.dtype.kind in "fiub" else object)
        if array.size:
            array.flat[int(rng.integers(array.size))] = value
        return array

    return make


def _dense(valid: Any) -> Any:
    if sp.issparse(valid):
        return valid.toarray()
    return np.asarray(valid)


def _of(function: Callable) -> Callable:
    """Make a value from the valid one as an array."""
    return lambda valid, rng: function(np.array(_dense(valid)))


def _numeric(function: Callable) -> Callable:
    def make(valid: Any, rng: np.random.Generator) -> Any:
        array = np.array(_dense(valid))
        return function(array if array.dtype.kind in "fiub" else np.zeros(array.shape))

    return make


def _columns(array: np.ndarray) -> np.ndarray:
    array = np.atleast_1d(array)
    return array.reshape(len(array), -1)


def _corrupted(layout: str, part: str, change: Callable) -> Callable:
    """Return a sparse matrix whose index arrays do not fit its shape."""

    def make(valid: Any, rng: np.random.Generator) -> Any:
        array = _columns(np.array(_dense(valid)))
        if array.dtype.kind not in "fiub":
            array = np.ones(array.shape)
        matrix = sp.csr_array(np.where(array == 0, 1, array).astype(float)).asformat(layout)
        if rng.random() < 0.5 and layout != "coo":
            matrix = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}[layout](matrix)
        values = np.array(getattr(matrix, part))
        if not len(values):
            return matrix
        values = change(values, int(rng.integers(len(values))))
        if layout == "coo":
            coords = list(matrix.coords)
            coords[0 if part == "row" else 1] = values
            matrix.coords = tuple(coords)
        else:
            setattr(matrix, part, values)
        return matrix

    return make


def _set(value: int) -> Callable:
    def change(values: np.ndarray, i: int) -> np.ndarray:
        values[i] = value
        return values

    return change


def _frame(array: np.ndarray) -> pd.DataFrame:
    array = _columns(array)
    return pd.DataFrame(array, columns=[f"c{j}" for j in range(array.shape[1])])


def _structured(array: np.ndarray) -> np.ndarray:
    return np.zeros(len(np.atleast_1d(array)), dtype=[("a", float), ("b", int)])


def _masked(array: np.ndarray) -> np.ndarray:
    mask = np.zeros(array.shape, dtype=bool)
    if array.size:
        mask.flat[array.size // 2] = True
    return np.ma.array(array, mask=mask)


def _replace(name: str, *values: Any, nonsense: frozenset = frozenset()) -> list[Spoilt]:
    return [
        Spoilt(f"{name} {value!r:.40}", lambda valid, rng, value=value: value, nonsense)
        for value in values
    ]


class Odd:
    """An object of no known kind."""

    def __repr__(self) -> str:
        return "Odd()"


class Rude:
    """An object that cannot be compared, counted or read."""

    def __repr__(self) -> str:
        return "Rude()"

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("rude")


#: Kinds of a matrix of labels that can hold together. Some labels may be unknown.
GAPS = frozenset(
    {
        "masked array",
        "None somewhere",
        "None in a list",
        "NaNs",
        "NaN somewhere",
        "NaN in a list",
        "NaN among objects",
        "pandas.NA somewhere",
        "NaT somewhere",
        "np NaT somewhere",
        "data frame, nullable with NA",
        "polars frame with null",
    }
)
CORRUPT = NUMBERS | TARGETS
DATES = NUMBERS
SPOILT: list[Spoilt] = [
    *_replace("number", 0, 1, 2, 3, -1, 0.5, 1.5, -0.5, True, False, 1e308, -1e308, 1e-320, 12),
    *_replace("huge", 10**400, -(10**400), 2**63, 2**64, nonsense=frozenset()),
    *_replace("not finite", np.nan, np.inf, -np.inf),
    *_replace("complex", 1j, np.complex64(1 + 1j), nonsense=NUMBERS),
    *_replace("scalar", np.float32(0.5), np.int8(1), np.bool_(True), np.longdouble(0.5)),
    *_replace("scalar", np.float16(0.5), fractions.Fraction(1, 3), decimal.Decimal("0.5")),
    *_replace("missing", None),
    *_replace("missing", pd.NA, pd.NaT, np.ma.masked, nonsense=NUMBERS | TARGETS),
    *_replace("string", "a", "", "auto", "balanced", "1", b"1", "x" * 300, np.str_("a")),
    *_replace("date", np.datetime64("2020-01-01"), np.timedelta64(1, "s"), nonsense=NUMBERS),
    *_replace("date", datetime.date(2020, 1, 1), pd.Timestamp("2020-01-01"), nonsense=NUMBERS),
    *_replace("object", Odd(), Rude(), object, len, ..., NotImplemented, sys, slice(2)),
    *_replace("container", [], (), {}, set(), {1, 2}, {"a": 1}, {0: "a"}, {0: 10**400}, range(3)),
    *_replace("container", {0: None}, {0: np.nan}, {0: 1j}, {None: 1}, {"a": "b"}, {0: [1]}),
    *_replace("container", {np.nan: 1.0}, {0: np.datetime64("2020-01-01")}, frozenset({0})),
    *_replace("list", [None], [[None]], [[]], ["a", "b"], [1, "a"], [[1], [1, 2]], [np.nan]),
    *_replace("list", [10**400], [[10**400]], [[1, 2], 3], [{}], [[1, [2]]], [Odd()], [b"a"]),
    *_replace("list", [pd.NA], [pd.NaT], [1j], [0.5], ["0.5"], [datetime.date(2020, 1, 1)]),
    *_replace("pair", (None, None), (0, 1, 2), (1, 0), ("a", "b"), (np.nan, 1), (0, 10**400)),
    *_replace("pair", (None, "a"), ([1, 2], None), (1j, 2), ([], []), (np.inf, np.inf), (Odd(), 1)),
    *_replace("pair", ("0", "1"), (np.datetime64(0, "s"), np.datetime64(9, "s"))),
    *_replace("bytes", bytearray(b"ab"), memoryview(b"ab")),
    Spoilt("generator", lambda valid, rng: (i for i in range(3))),
    Spoilt("iterator", lambda valid, rng: iter(_dense(valid).tolist() if _dense(valid).ndim else [])),
    Spoilt("0-d", lambda valid, rng: np.array(3.0)),
    Spoilt("0-d string", lambda valid, rng: np.array("a")),
    Spoilt("0-d object", lambda valid, rng: np.array(None)),
    Spoilt("no rows", _of(lambda a: a[:0] if a.ndim else np.zeros(0))),
    Spoilt("no columns", _of(lambda a: _columns(a)[:, :0])),
    Spoilt("one row", _of(lambda a: np.atleast_1d(a)[:1])),
    Spoilt("a row less", _of(lambda a: np.atleast_1d(a)[:-1])),
    Spoilt("a row more", _of(lambda a: np.concatenate([np.atleast_1d(a)] * 2)[: a.size + 1])),
    Spoilt("twice", _of(lambda a: np.concatenate([np.atleast_1d(a)] * 2))),
    Spoilt("transposed", _of(lambda a: a.T)),
    Spoilt("flat", _of(np.ravel)),
    Spoilt("column", _of(lambda a: np.atleast_1d(a).reshape(-1, 1))),
    Spoilt("first column", _of(lambda a: _columns(a)[:, 0])),
    Spoilt("column more", _of(lambda a: np.hstack([_columns(a), _columns(a)[:, :1]]))),
    Spoilt("column less", _of(lambda a: _columns(a)[:, :-1])),
    Spoilt("3-D", _of(lambda a: np.atleast_1d(a)[..., None, None])),
    Spoilt("4-D", _of(lambda a: a[None, None, None])),
    Spoilt("list", _of(lambda a: a.tolist())),
    Spoilt("tuple", _of(lambda a: tuple(np.atleast_1d(a).tolist()))),
    Spoilt("ragged", _of(lambda a: [*_columns(a).tolist(), [1]])),
    Spoilt("set", _of(lambda a: set(a.ravel().tolist()))),
    Spoilt("frozenset", _of(lambda a: frozenset(a.ravel().tolist()))),
    Spoilt("dict of columns", _of(lambda a: dict(enumerate(_columns(a).T)))),
    Spoilt("objects", _of(lambda a: a.astype(object))),
    Spoilt("strings", _of(lambda a: a.astype(str))),
    Spoilt("bytes", _of(lambda a: a.astype(str).astype("S"))),
    Spoilt("complex", _numeric(lambda a: a + 1j), NUMBERS),
    Spoilt("complex without", _numeric(lambda a: a.astype(complex)), NUMBERS),
    Spoilt("bools", _numeric(lambda a: a > 0)),
    Spoilt("float16", _numeric(lambda a: a.astype(np.float16))),
    Spoilt("float32", _numeric(lambda a: a.astype(np.float32))),
    Spoilt("longdouble", _numeric(lambda a: a.astype(np.longdouble))),
    Spoilt("longdouble huge", _numeric(lambda a: np.full(a.shape, np.longdouble("1e4000")))),
    Spoilt("int8", _numeric(lambda a: a.astype(np.int8))),
    Spoilt("uint8", _numeric(lambda a: np.abs(a).astype(np.uint8))),
    Spoilt("uint64", _numeric(lambda a: np.abs(a).astype(np.uint64) + 2**63)),
    Spoilt("dates", _numeric(lambda a: a.astype("datetime64[s]")), DATES),
    Spoilt("days", _numeric(lambda a: pd.to_datetime(pd.Series(np.ravel(a)), unit="D")), DATES),
    Spoilt("durations", _numeric(lambda a: a.astype("timedelta64[s]")), DATES),
    Spoilt("big-endian", _numeric(lambda a: a.astype(">f8"))),
    Spoilt("negative", _numeric(lambda a: -np.abs(a) - 1)),
    Spoilt("zeros", _numeric(np.zeros_like)),
    Spoilt("ones", _numeric(np.ones_like)),
    Spoilt("NaNs", _numeric(lambda a: np.full(a.shape, np.nan)), NUMBERS | {"y"}),
    Spoilt("infinities", _numeric(lambda a: np.full(a.shape, np.inf)), frozenset({"X", "y", "logits", "proba"})),
    Spoilt("huge integers", _of(lambda a: np.full(a.shape, 10**400, dtype=object))),
    Spoilt("huge list", _of(lambda a: np.full(a.shape, 10**400, dtype=object).tolist())),
    Spoilt("dicts", _of(lambda a: np.full(a.shape, {}, dtype=object))),
    Spoilt("lists", _of(lambda a: [[[]] * 2] * len(np.atleast_1d(a)))),
    Spoilt("times 1e300", _numeric(lambda a: a * 1e300)),
    Spoilt("times 1e30", _numeric(lambda a: a * 1e30)),
    Spoilt("times 1e-300", _numeric(lambda a: a * 1e-300)),
    Spoilt("times 1e-30", _numeric(lambda a: a * 1e-30)),
    Spoilt("largest", _numeric(lambda a: np.where(a > np.mean(a), 1e308, -1e308)), frozenset({"proba"})),
    Spoilt("zeros and ones", _numeric(lambda a: np.where(a == a.max(axis=-1, keepdims=True), 1.0, 0.0) if a.ndim and a.size else a)),
    Spoilt("mostly zeros", _numeric(lambda a: np.where(np.arange(a.size).reshape(a.shape) == 0, 1.0, 0.0))),
    Spoilt("read-only", _of(lambda a: a.setflags(write=False) or a)),
    Spoilt("Fortran", _of(lambda a: np.asfortranarray(a))),
    Spoilt("strided", _of(lambda a: np.concatenate([np.atleast_1d(a)] * 2)[::2])),
    Spoilt("reversed", _of(lambda a: np.atleast_1d(a)[::-1])),
    Spoilt("unaligned", _numeric(lambda a: np.frombuffer(b"\0" + a.astype(float).tobytes(), offset=1).reshape(a.shape))),
    Spoilt("np.matrix", _numeric(lambda a: np.asmatrix(a) if a.ndim < 3 else a)),
    Spoilt("masked array, no mask", _of(lambda a: np.ma.array(a))),
    Spoilt("masked array", _of(_masked), NUMBERS | TARGETS),
    Spoilt("list of masked arrays", _of(lambda a: list(_masked(_columns(a)))), frozenset()),
    Spoilt("structured", _of(_structured), NUMBERS),
    Spoilt("record array", _of(lambda a: _structured(a).view(np.recarray)), NUMBERS),
    Spoilt("void", _of(lambda a: np.zeros(a.shape, dtype="V4")), NUMBERS | TARGETS),
    Spoilt("None somewhere", _at(None), NUMBERS | TARGETS),
    Spoilt("None in a list", lambda v, rng: _at(None)(v, rng).tolist(), NUMBERS | TARGETS),
    Spoilt("NaN somewhere", _number_at(np.nan), NUMBERS | {"y"}),
    Spoilt("NaN in a list", lambda v, rng: _number_at(np.nan)(v, rng).tolist(), NUMBERS | {"y"}),
    Spoilt("NaN among objects", _at(np.nan), NUMBERS | {"y"}),
    Spoilt("pandas.NA somewhere", _at(pd.NA), NUMBERS | TARGETS),
    Spoilt("NaT somewhere", _at(pd.NaT), NUMBERS | TARGETS),
    Spoilt("np NaT somewhere", _at(np.datetime64("NaT")), NUMBERS | TARGETS),
    Spoilt("infinity somewhere", _number_at(np.inf), frozenset({"X", "y", "proba", "logits", "weights"})),
    Spoilt("minus infinity somewhere", _number_at(-np.inf), frozenset({"X", "y", "proba", "logits", "weights"})),
    Spoilt("huge somewhere", _at(10**400), NUMBERS - {"bounds"}),
    Spoilt("string somewhere", _at("a"), NUMBERS),
    Spoilt("digits somewhere", _at("1")),
    Spoilt("list somewhere", lambda v, rng: _at([1, 2])(v, rng), NUMBERS | TARGETS),
    Spoilt("object somewhere", _at(Odd()), NUMBERS),
    Spoilt("masked somewhere", _at(np.ma.masked), NUMBERS),
    Spoilt("date somewhere", _at(np.datetime64("2020-01-01")), NUMBERS),
    Spoilt("complex somewhere", _at(1j), NUMBERS),
    Spoilt("huge number somewhere", _number_at(1e308)),
    Spoilt("negative somewhere", _number_at(-1.0)),
    Spoilt("fraction somewhere", _number_at(0.25)),
    *[
        Spoilt(f"{layout} {kind.__name__}", _numeric(lambda a, f=layout, k=kind: k(_columns(a)).asformat(f)))
        for layout in ("csr", "csc", "coo", "lil", "dok", "dia", "bsr")
        for kind in (sp.csr_array, sp.csr_matrix)
    ],
    Spoilt("1-D sparse", _numeric(lambda a: sp.coo_array(a.ravel()))),
    Spoilt("sparse of bools", _numeric(lambda a: sp.csr_array(_columns(a) > 0))),
    Spoilt("sparse of integers", _numeric(lambda a: sp.csr_array(_columns(a).astype(np.int64)))),
    Spoilt("sparse complex", _numeric(lambda a: sp.csr_array(_columns(a) + 1j)), NUMBERS),
    Spoilt("sparse with NaN", _numeric(lambda a: sp.csr_array(np.full(_columns(a).shape, np.nan))), NUMBERS),
    Spoilt("sparse of 64-bit", _numeric(lambda a: _wide_indices(sp.csr_array(_columns(a))))),
    Spoilt("sparse, unsorted", _numeric(lambda a: _unsorted(_columns(a)))),
    *[
        Spoilt(f"{layout} with {part} {what}", _corrupted(layout, part, change), CORRUPT)
        for layout, parts in (("csr", ("indices", "indptr")), ("csc", ("indices", "indptr")), ("coo", ("row", "col")))
        for part in parts
        for what, change in (("negative", _set(-1)), ("beyond", _set(10**6)))
    ],
    *[
        Spoilt(f"{layout} with short {part}", _corrupted(layout, part, lambda v, i: v[:-1]), CORRUPT)
        for layout in ("csr", "csc")
        for part in ("indices", "indptr", "data")
    ],
    *[
        Spoilt(f"{layout} with reversed indptr", _corrupted(layout, "indptr", lambda v, i: v[::-1]), CORRUPT)
        for layout in ("csr", "csc")
    ],
    Spoilt("csr with indptr from 1", _corrupted("csr", "indptr", lambda v, i: np.r_[1, v[1:]]), CORRUPT),
    Spoilt("data frame", _of(_frame)),
    Spoilt("data frame, numbered", _of(lambda a: pd.DataFrame(_columns(a)))),
    Spoilt("data frame, one name", _of(lambda a: _frame(a).set_axis(["a"] * _columns(a).shape[1], axis=1))),
    Spoilt("data frame, mixed names", _of(lambda a: _frame(a).set_axis([*range(_columns(a).shape[1] - 1), "z"], axis=1))),
    Spoilt("data frame, reversed", _of(lambda a: _frame(a).iloc[:, ::-1])),
    Spoilt("data frame, levels", _of(lambda a: _frame(a).set_axis(pd.MultiIndex.from_tuples([("a", j) for j in range(_columns(a).shape[1])]), axis=1))),
    Spoilt("data frame, dated names", _of(lambda a: _frame(a).set_axis(pd.date_range("2020", periods=_columns(a).shape[1]), axis=1))),
    Spoilt("data frame, missing names", _of(lambda a: _frame(a).set_axis([None] * _columns(a).shape[1], axis=1))),
    Spoilt("data frame of strings", _of(lambda a: _frame(a).astype(str))),
    Spoilt("data frame of categories", _of(lambda a: _frame(a).astype("category"))),
    Spoilt("data frame of dates", _numeric(lambda a: _frame(a).apply(pd.to_datetime)), DATES),
    Spoilt("data frame with a date", _numeric(lambda a: _frame(a).assign(c0=pd.Timestamp("2020-01-01"))), DATES),
    Spoilt("data frame, nullable", _numeric(lambda a: _frame(a).convert_dtypes())),
    Spoilt("data frame, nullable with NA", _numeric(lambda a: _with_na(_frame(a).convert_dtypes())), NUMBERS | {"y"}),
    Spoilt("data frame, nullable bools", _numeric(lambda a: (_frame(a) > 0).astype("boolean"))),
    Spoilt("data frame, sparse", _numeric(lambda a: _frame(a).astype(pd.SparseDtype(float, 0.0)))),
    Spoilt("data frame, sparse bools", _numeric(lambda a: (_frame(a) > 0).astype(pd.SparseDtype(bool)))),
    Spoilt("data frame, sparse ints", _numeric(lambda a: (_frame(a) > 0).astype(pd.SparseDtype(int)))),
    Spoilt("data frame, sparse of NaN", _numeric(lambda a: _frame(a).astype(pd.SparseDtype(float, np.nan)))),
    Spoilt("data frame, partly sparse", _numeric(lambda a: _frame(a).assign(c0=pd.arrays.SparseArray(_columns(a)[:, 0])))),
    Spoilt("empty data frame", lambda v, rng: pd.DataFrame()),
    Spoilt("empty series", lambda v, rng: pd.Series([], dtype=float)),
    Spoilt("series", _of(lambda a: pd.Series(a.ravel()))),
    Spoilt("series, shuffled index", _of(lambda a: pd.Series(a.ravel(), index=np.arange(a.size)[::-1]))),
    Spoilt("series of categories", _of(lambda a: pd.Series(a.ravel()).astype("category"))),
    Spoilt("series of categories, missing", _of(lambda a: pd.Series([*a.ravel()[:-1], None]).astype("category")), NUMBERS | {"y"}),
    Spoilt("series, nullable", _of(lambda a: pd.Series(a.ravel()).convert_dtypes())),
    Spoilt("series, nullable with NA", _numeric(lambda a: pd.Series([*np.ravel(a).astype(int)[:-1], pd.NA], dtype="Int64")), NUMBERS | TARGETS),
    Spoilt("series of nullable bools", _numeric(lambda a: pd.Series(a.ravel() > 0).astype("boolean"))),
    Spoilt("series of nullable bools with NA", _numeric(lambda a: pd.Series([*(a.ravel() > 0)[:-1], pd.NA], dtype="boolean")), NUMBERS | TARGETS),
    Spoilt("series of strings", _of(lambda a: pd.Series(a.ravel().astype(str), dtype="string"))),
    Spoilt("series, sparse", _numeric(lambda a: pd.Series(pd.arrays.SparseArray(a.ravel())))),
    Spoilt("categorical", _of(lambda a: pd.Categorical(a.ravel()))),
    Spoilt("index", _of(lambda a: pd.Index(a.ravel()))),
    Spoilt("pandas array", _numeric(lambda a: pd.array(a.ravel()))),
    Spoilt("intervals", _of(lambda a: pd.interval_range(0, max(a.shape[0] if a.ndim else 1, 1)))),
    Spoilt("periods", _of(lambda a: pd.period_range("2020", periods=a.shape[0] if a.ndim else 1, freq="D"))),
]  # fmt: skip


def _wide_indices(matrix: sp.csr_array) -> sp.csr_array:
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


def _unsorted(array: np.ndarray) -> sp.csr_array:
    matrix = sp.csr_array(np.where(array == 0, 1, array))
    for i in range(matrix.shape[0]):
        row = slice(matrix.indptr[i], matrix.indptr[i + 1])
        matrix.indices[row] = matrix.indices[row][::-1].copy()
        matrix.data[row] = matrix.data[row][::-1].copy()
    return matrix


def _with_na(frame: pd.DataFrame) -> pd.DataFrame:
    if len(frame) and frame.shape[1]:
        frame.iloc[len(frame) // 2, 0] = pd.NA
    return frame


if pl is not None:
    SPOILT += [
        Spoilt("polars frame", _of(lambda a: pl.from_pandas(_frame(a)))),
        Spoilt("polars frame of strings", _of(lambda a: pl.from_pandas(_frame(a).astype(str)))),
        Spoilt("polars frame with null", _numeric(lambda a: pl.DataFrame({f"c{j}": [None, *c[1:]] for j, c in enumerate(_columns(a).tolist() and _columns(a).T.tolist())})), NUMBERS | {"y"}),
        Spoilt("polars lazy frame", _of(lambda a: pl.from_pandas(_frame(a)).lazy())),
        Spoilt("polars series", _of(lambda a: pl.Series(a.ravel().tolist()))),
        Spoilt("polars series with null", _of(lambda a: pl.Series([*a.ravel().tolist()[:-1], None])), NUMBERS | TARGETS),
        Spoilt("polars series of dates", _numeric(lambda a: pl.Series([datetime.date(2020, 1, 1)] * a.size)), DATES),
        Spoilt("polars series of lists", _of(lambda a: pl.Series([[1, 2]] * a.size))),
        Spoilt("polars series of categories", _of(lambda a: pl.Series(a.ravel().astype(str).tolist(), dtype=pl.Categorical))),
        Spoilt("polars expression", lambda v, rng: pl.col("a")),
    ]  # fmt: skip
if pa is not None:
    SPOILT += [
        Spoilt("arrow table", _of(lambda a: pa.table({f"c{j}": c for j, c in enumerate(_columns(a).T)}))),
        Spoilt("arrow table of a column", _of(lambda a: pa.table({"c": a.ravel()}))),
        Spoilt("arrow array", _of(lambda a: pa.array(a.ravel().tolist()))),
        Spoilt("arrow chunks", _of(lambda a: pa.chunked_array([a.ravel().tolist()]))),
        Spoilt("arrow array with null", _of(lambda a: pa.array([*a.ravel().tolist()[:-1], None])), NUMBERS | TARGETS),
        Spoilt("arrow-backed series", _numeric(lambda a: pd.Series(a.ravel(), dtype="double[pyarrow]"))),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------ the calls
@dataclass(frozen=True)
class Call:
    """A public callable with valid arguments.

    `kinds` has the kind of each argument. Arguments that are not in it are never nonsense.
    """

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]
    kinds: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0


def _data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 3)).round(2)
    y = np.arange(ROWS) % 3
    P = rng.dirichlet(np.ones(3), size=ROWS)
    L = (rng.random((ROWS, 3)) < 0.5).astype(float)
    return {
        "X": X, "y": y, "P": P, "L": L, "b": y > 0, "s": np.array(["u", "v", "w"])[y],
        "p": P[:, 0], "w": rng.uniform(0.5, 2, ROWS), "Q": rng.dirichlet(np.ones(3), size=ROWS),
        "B": rng.uniform(0.1, 0.9, (ROWS, 3)), "Z": rng.normal(size=(ROWS, 3)),
        "g": np.arange(ROWS) % 4,
    }  # fmt: skip


D = _data()
PARAMETERS = {
    "C": (1.0, "number"), "l1_ratio": (0.0, "number"), "loss": ("auto", "choice"),
    "fit_intercept": (True, "flag"), "class_weight": (None, "class_weight"),
    "label_smoothing": (0.0, "number"), "coef_bounds": (None, "bounds"),
    "penalty_weights": (np.ones(3), "numbers"), "solver": ("auto", "choice"), "tol": (1e-6, "number"),
    "max_iter": (50, "number"), "warm_start": (False, "flag"), "verbose": (0, "number"),
}  # fmt: skip


def _fit(X, y, sample_weight=None, **params):
    return SoftmaxClassifier(**params).fit(X, y, sample_weight)


def _fit_beside(X, y, sample_weight, offset, coef_init, intercept_init, **params):
    given = {"offset": offset, "coef_init": coef_init, "intercept_init": intercept_init}
    return SoftmaxClassifier(**params).fit(X, y, sample_weight, **given)


def _again(X, y, sample_weight=None, *, coef_, intercept_, classes_, **params):
    """Fit again after attributes were set by hand."""
    clf = SoftmaxClassifier(warm_start=True, **params).fit(D["X"], D["y"])
    clf.coef_, clf.intercept_, clf.classes_ = coef_, intercept_, classes_
    before = _print_of(vars(clf))
    try:
        return clf.fit(X, y, sample_weight)
    except Exception:
        assert _print_of(vars(clf)) == before, "fit changed the estimator"
        raise


def _fit_cv(X, y, sample_weight=None, **params):
    return SoftmaxClassifierCV(**params).fit(X, y, sample_weight)


@cache
def fitted(kind: str, cv: bool = False) -> Any:
    """Return an estimator fitted on a kind of target."""
    y, loss = {
        "labels": (D["s"], "auto"), "ints": (D["y"], "auto"), "bools": (D["b"], "auto"),
        "softmax of two": (D["b"], "categorical"), "one-vs-rest": (D["s"], "binary"),
        "P": (D["P"], "auto"), "p": (D["p"], "binary"), "L": (D["L"], "binary"),
    }[kind]  # fmt: skip
    if cv:
        return SoftmaxClassifierCV(Cs=2, cv=2, loss=loss).fit(D["X"], y)
    return SoftmaxClassifier(loss=loss).fit(D["X"], y)


def _method(kind: str, name: str, cv: bool = False) -> Callable:
    def call(**arguments: Any) -> Any:
        estimator = fitted(kind, cv)
        before = _print_of(vars(estimator))
        try:
            return getattr(estimator, name)(**arguments)
        finally:
            assert _print_of(vars(estimator)) == before, f"{name} changed the estimator"

    return call


def _unfitted(name: str) -> Callable:
    return lambda **arguments: getattr(SoftmaxClassifierCV(), name)(**arguments)


def _splits(X, y, groups=None, **params):
    return list(model_selection.StratifiedProbabilityKFold(**params).split(X, y, groups))


def _scorer(scorer: Any) -> Callable:
    return lambda estimator, X, y, sample_weight: scorer(estimator, X, y, sample_weight)


def _made_scorer(metric, estimator, X, y, **options):
    return metrics.make_log_loss_scorer(metric, **options)(estimator, X, y)


def _display(function: Callable) -> Callable:
    def call(**arguments: Any) -> Any:
        try:
            with warnings.catch_warnings():
                # matplotlib warns about values that it draws.
                return function(**arguments)
        finally:
            plt.close("all")

    return call


def _plotted(cls: type) -> Callable:
    return _display(lambda ax=None, **arguments: cls(**arguments).plot(ax=ax))


def _dispatches() -> bool:
    """Whether scikit-learn accepts arrays of other libraries here."""
    try:
        with sklearn.config_context(array_api_dispatch=True):
            return True
    except ImportError:
        return False


def _configured(function: Callable) -> Callable:
    def call(**arguments: Any) -> Any:
        with sklearn.config_context(array_api_dispatch=_dispatches()):
            return function(**arguments)

    return call


def _minimize(x0: Any, **options: Any) -> Any:
    """Minimise a smooth, convex function."""
    return optimize.newton_cg(
        lambda x: float(np.logaddexp(0, x).sum() + x @ x / 2),
        x0,
        jac=lambda x: expit(x) + x,
        hessp=lambda x, v: (expit(x) * expit(-x) + 1) * v,
        **options,
    )


def calls() -> list[Call]:
    """Return every public callable with valid arguments, once for each meaning of y."""
    X, S, w = D["X"], sp.csr_array(np.where(D["X"] > 0, D["X"], 0)), D["w"]
    numbers = {name: kind for name, (_, kind) in PARAMETERS.items()}
    defaults = {name: value for name, (value, _) in PARAMETERS.items()}
    kinds = {"X": "X", "y": "y", "sample_weight": "weights", **numbers}
    out = []
    targets = {
        "labels": (D["s"], {}), "ints": (D["y"], {"l1_ratio": 0.5}), "bools": (D["b"], {}),
        "one-vs-rest": (D["y"], {"loss": "binary"}), "P": (D["P"], {"coef_bounds": (-1, [[1, 2, 3]])}),
        "p": (D["p"], {"loss": "binary", "class_weight": {0: 1, 1: 2}}),
        "L": (D["L"], {"loss": "binary", "class_weight": "balanced"}),
        "classes weighed": (D["y"], {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}, "solver": "lbfgs"}),
    }  # fmt: skip
    for name, (y, options) in targets.items():
        arguments = {"X": X, "y": y, "sample_weight": w, **{**defaults, **options}}
        out.append(Call(f"fit {name}", _fit, arguments, kinds, weight=3))
    out.append(
        Call(
            "fit sparse",
            _fit,
            {"X": S, "y": D["y"], "sample_weight": w, **defaults},
            kinds,
            weight=2,
        )
    )

    coef = fitted("ints").coef_.copy(), fitted("ints").intercept_.copy()
    start = {"X": X, "y": D["y"], "coef_": coef[0], "intercept_": coef[1], "classes_": np.arange(3)}
    start_kinds = {"coef_": "numbers", "intercept_": "numbers", "X": "X", "y": "y"}
    out.append(Call("warm start", _again, start, start_kinds, weight=3))
    out.append(Call("warm start L1", _again, {**start, "l1_ratio": 0.5}, start_kinds))

    beside = {"offset": D["Z"], "coef_init": coef[0], "intercept_init": coef[1]}
    beside_kinds = {**kinds, **dict.fromkeys(beside, "numbers")}
    fit_beside = {"X": X, "y": D["y"], "sample_weight": w, **beside}
    out.append(Call("fit offset", _fit_beside, fit_beside, beside_kinds, weight=3))
    with_offset = {"X": X, "offset": D["Z"]}
    for name in ("predict", "predict_log_proba"):
        out.append(
            Call(f"{name} offset", _method("ints", name), with_offset, beside_kinds, weight=0.5)
        )
    scored = {**with_offset, "y": D["y"], "sample_weight": w}
    out.append(Call("score offset", _method("ints", "score"), scored, beside_kinds, weight=0.5))
    priors = {"class_prior": [0.2, 0.3, 0.5], "training_prior": [0.3, 0.3, 0.4]}
    prior_kinds = dict.fromkeys(priors, "numbers")
    out.append(Call("prior", _method("P", "with_class_prior"), priors, prior_kinds))

    shared = {k: v for k, v in defaults.items() if k not in ("C", "l1_ratio", "warm_start")}
    for name, (y, options) in targets.items():
        chosen = {
            "Cs": [0.1, 1.0],
            "l1_ratios": [0.0],
            "cv": 2,
            "scoring": None,
            "refit": True,
            "n_jobs": None,
        }
        options = {k: v for k, v in options.items() if k in shared}
        arguments = {"X": X, "y": y, "sample_weight": w, **chosen, **shared, **options}
        kind = {
            **kinds,
            "Cs": "numbers",
            "l1_ratios": "numbers",
            "cv": "cv",
            "n_jobs": "jobs",
            "scoring": "scoring",
        }
        out.append(Call(f"fit CV {name}", _fit_cv, arguments, kind, weight=0.5))
    folds = [(np.arange(6), np.arange(6, 12)), (np.arange(6, 12), np.arange(6))]
    arguments = {"X": X, "y": D["y"], "cv": folds, "Cs": [1.0]}
    out.append(Call("fit CV folds", _fit_cv, arguments, {"cv": "folds"}, weight=3))
    arguments = {
        "X": X,
        "y": D["y"],
        "cv": 2,
        "Cs": [1.0],
        "scoring": "neg_log_loss",
        "l1_ratios": [0, 1],
    }
    out.append(
        Call(
            "fit CV scoring",
            _fit_cv,
            arguments,
            {"scoring": "scoring", "l1_ratios": "numbers"},
            weight=0.5,
        )
    )
    path = {k: v for k, v in defaults.items() if k != "C"}
    out.append(
        Call(
            "path",
            softmax_path,
            {"X": X, "y": D["y"], "Cs": [0.1, 1.0], "sample_weight": w, **path},
            {**kinds, "Cs": "numbers"},
        )
    )
    out.append(
        Call(
            "path P",
            softmax_path,
            {"X": X, "y": D["P"], "Cs": 2, "sample_weight": w, **path},
            kinds,
            weight=0.5,
        )
    )

    for kind in ("labels", "bools", "softmax of two", "one-vs-rest", "P", "p", "L"):
        for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            out.append(
                Call(f"{name} {kind}", _method(kind, name), {"X": X}, {"X": "X"}, weight=0.4)
            )
    for kind, y in (
        ("labels", D["s"]),
        ("bools", D["b"]),
        ("ints", D["y"]),
        ("P", D["P"]),
        ("p", D["p"]),
        ("L", D["L"]),
    ):
        scored = {"X": X, "y": y, "sample_weight": w}
        out.append(Call(f"score {kind}", _method(kind, "score"), scored, kinds))
        out.append(
            Call(
                f"neg_log_loss_scorer {kind}",
                _scorer(metrics.neg_log_loss_scorer),
                {"estimator": fitted(kind), **scored},
                kinds,
            )
        )
    out.append(
        Call("CV predict", _method("ints", "predict_proba", True), {"X": X}, {"X": "X"}, weight=0.3)
    )
    out.append(
        Call(
            "CV score",
            _method("ints", "score", True),
            {"X": X, "y": D["y"], "sample_weight": w},
            kinds,
            weight=0.3,
        )
    )
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        out.append(Call(f"unfitted {name}", _unfitted(name), {"X": X}, weight=0.1))
    out.append(
        Call(
            "d2_log_loss_scorer",
            _scorer(metrics.d2_log_loss_scorer),
            {"estimator": fitted("ints"), "X": X, "y": D["y"], "sample_weight": w},
            kinds,
        )
    )
    out.append(
        Call(
            "make_log_loss_scorer",
            _made_scorer,
            {
                "metric": metrics.kl_divergence,
                "loss": "binary",
                "estimator": fitted("L"),
                "X": X,
                "y": D["L"],
            },
            kinds,
        )
    )
    out.append(
        Call(
            "LogLossScorer",
            lambda metric, options, **rest: metrics.LogLossScorer(metric, options).score(**rest),
            {
                "metric": metrics.log_loss,
                "options": None,
                "estimator": fitted("ints"),
                "X": X,
                "y": D["y"],
            },
            kinds,
            weight=0.5,
        )
    )

    metric_kinds = {
        "y_true": "y",
        "y_proba": "proba",
        "logits": "logits",
        "sample_weight": "weights",
        "labels": "labels",
        "label_smoothing": "number",
        "class_weight": "class_weight",
    }
    both = {"loss": "categorical", "labels": None, "class_weight": None, "label_smoothing": 0.0}
    mean = {"normalize": True, "sample_weight": w}
    y_of = {
        "ints": (D["y"], D["Q"], D["Z"], {"labels": [0, 1, 2]}),
        "strings": (D["s"], D["Q"], D["Z"], {"class_weight": {"u": 1, "v": 2, "w": 1}}),
        "bools": (D["b"], D["Q"][:, 0], D["Z"][:, 0], {}),
        "P": (D["P"], D["Q"], D["Z"], {"class_weight": "balanced"}),
        "p": (D["p"], D["Q"][:, 0], D["Z"][:, 0], {}),
        "L": (D["L"], D["B"], D["Z"], {"loss": "binary", "class_weight": {0: 1, 1: 1, 2: 3}}),
    }
    for kind, (y, p, z, options) in y_of.items():
        for function, with_mean in (
            (metrics.log_loss, True),
            (metrics.log_loss_samples, False),
            (metrics.log_loss_gradient, False),
        ):
            arguments = {
                "y_true": y,
                "y_proba": p,
                **both,
                **options,
                "clip": True,
                **(mean if with_mean else {}),
            }
            out.append(Call(f"{function.__name__} {kind}", function, arguments, metric_kinds))
        for function, with_mean in (
            (metrics.log_loss_from_logits, True),
            (metrics.log_loss_samples_from_logits, False),
            (metrics.log_loss_gradient_from_logits, False),
        ):
            arguments = {"y_true": y, "logits": z, **both, **options, **(mean if with_mean else {})}
            out.append(
                Call(f"{function.__name__} {kind}", function, arguments, metric_kinds, weight=0.7)
            )
        few = {k: v for k, v in options.items() if k in ("loss", "labels")}
        out.append(
            Call(
                f"entropy {kind}",
                metrics.entropy,
                {"y_true": y, "loss": few.get("loss", "categorical"), **mean},
                metric_kinds,
            )
        )
        some = {
            "loss": "categorical",
            "labels": None,
            "y_true": y,
            "y_proba": p,
            "sample_weight": w,
            **few,
        }
        out.append(
            Call(
                f"kl_divergence {kind}",
                metrics.kl_divergence,
                {**some, "normalize": True, "clip": False},
                metric_kinds,
            )
        )
        out.append(Call(f"d2_log_loss_score {kind}", metrics.d2_log_loss_score, some, metric_kinds))
        if kind != "L":
            some = {k: v for k, v in some.items() if k != "loss"}
            out.append(
                Call(
                    f"log_loss_decomposition {kind}",
                    metrics.log_loss_decomposition,
                    {**some, "method": "auto"},
                    metric_kinds,
                )
            )
            for function in (displays.SampleLossDisplay, displays.TargetProbabilityDisplay):
                arguments = {"y_true": y, "y_proba": p, "labels": None, "ax": None}
                extra = {"n_worst": 2} if function is displays.SampleLossDisplay else {"n_bins": 3}
                out.append(
                    Call(
                        f"{function.__name__}.from_predictions {kind}",
                        _display(function.from_predictions),
                        {**arguments, **extra},
                        metric_kinds,
                        weight=0.3,
                    )
                )
    out.append(
        Call(
            "log_loss y_pred",
            metrics.log_loss,
            {"y_true": D["y"], "y_proba": None, "y_pred": D["Q"]},
            metric_kinds,
            weight=0.3,
        )
    )
    out.append(
        Call("log_loss alone", metrics.log_loss, {"y_true": D["y"]}, metric_kinds, weight=0.1)
    )
    out.append(
        Call(
            "log_loss of arrays",
            _configured(metrics.log_loss),
            {"y_true": D["y"], "y_proba": D["Q"], **both, **mean},
            metric_kinds,
        )
    )
    out.append(
        Call(
            "log_loss_gradient of arrays",
            _configured(metrics.log_loss_gradient),
            {"y_true": D["P"], "y_proba": D["Q"], **both},
            metric_kinds,
            weight=0.5,
        )
    )

    out.append(
        Call(
            "newton_cg",
            _minimize,
            {"x0": np.ones(3), "tol": 1e-6, "maxiter": 20, "disp": False, "least_curvature": 1.0},
            {
                "x0": "numbers",
                "tol": "number",
                "maxiter": "number",
                "disp": "flag",
                "least_curvature": "number",
            },
        )
    )
    for kind, y in (("ints", D["y"]), ("P", D["P"]), ("p", D["p"])):
        out.append(
            Call(
                f"StratifiedProbabilityKFold {kind}",
                _splits,
                {"X": X, "y": y, "groups": None, "n_splits": 2, "shuffle": True, "random_state": 0},
                {"y": "y"},
            )
        )
        arguments = {
            "estimator": SoftmaxClassifier(loss="binary") if kind == "p" else SoftmaxClassifier(),
            "X": X,
            "y": y,
            "groups": D["g"],
            "cv": 2,
            "n_jobs": None,
            "verbose": 0,
            "params": {"sample_weight": w},
            "pre_dispatch": "2*n_jobs",
        }
        out.append(
            Call(
                f"cross_val_predict_proba {kind}",
                model_selection.cross_val_predict_proba,
                arguments,
                {**kinds, "n_jobs": "jobs"},
            )
        )

    out.append(
        Call(
            "LossCurveDisplay.from_targets",
            _display(displays.LossCurveDisplay.from_targets),
            {
                "targets": [0, 0.5],
                "losses": ["log_loss"],
                "response": "loss",
                "against": "proba",
                "n_points": 5,
                "ax": None,
            },
            {"targets": "numbers"},
            weight=0.5,
        )
    )
    out.append(
        Call(
            "LossCurveDisplay",
            _plotted(displays.LossCurveDisplay),
            {
                "x": np.linspace(0.1, 0.9, 5),
                "curves": {("log_loss", 0.0): np.ones(5)},
                "response": "loss",
                "against": "proba",
                "ax": None,
            },
            weight=0.3,
        )
    )
    for function, extra in (
        (displays.SampleLossDisplay, {"n_worst": 2}),
        (displays.TargetProbabilityDisplay, {"n_bins": 3}),
    ):
        out.append(
            Call(
                f"{function.__name__}.from_estimator",
                _display(function.from_estimator),
                {"estimator": fitted("ints"), "X": X, "y": D["y"], "ax": None, **extra},
                {"X": "X", "y": "y"},
                weight=0.5,
            )
        )
    out.append(
        Call(
            "SampleLossDisplay",
            _plotted(displays.SampleLossDisplay),
            {
                "losses": D["w"],
                "codes": D["y"],
                "classes": ["a", "b", "c"],
                "n_worst": 2,
                "ax": None,
            },
            weight=0.3,
        )
    )
    out.append(
        Call(
            "TargetProbabilityDisplay",
            _plotted(displays.TargetProbabilityDisplay),
            {
                "y_true": D["P"],
                "y_proba": D["Q"],
                "classes": ["a", "b", "c"],
                "n_bins": 3,
                "ax": None,
            },
            weight=0.3,
        )
    )
    out.append(
        Call(
            "ConvergenceDisplay.from_estimator",
            _display(displays.ConvergenceDisplay.from_estimator),
            {
                "estimator": fitted("ints"),
                "against": "iteration",
                "minimum": None,
                "name": None,
                "ax": None,
            },
            weight=0.3,
        )
    )
    out.append(
        Call(
            "ConvergenceDisplay",
            _plotted(displays.ConvergenceDisplay),
            {
                "x": np.arange(3),
                "gap": np.array([1.0, 0.1, 0.01]),
                "against": "time",
                "name": "a",
                "ax": None,
            },
            weight=0.3,
        )
    )
    out.append(
        Call(
            "RegularizationPathDisplay.from_estimator",
            _display(displays.RegularizationPathDisplay.from_estimator),
            {"estimator": fitted("ints", True), "response": "score", "l1_ratio": None, "ax": None},
            weight=0.3,
        )
    )
    paths = softmax_path(X, D["y"], Cs=2)
    out.append(
        Call(
            "RegularizationPathDisplay.from_path",
            _display(displays.RegularizationPathDisplay.from_path),
            {"path": paths, "names": None, "ax": None},
            weight=0.3,
        )
    )
    out.append(
        Call(
            "RegularizationPathDisplay",
            _plotted(displays.RegularizationPathDisplay),
            {
                "Cs": paths.Cs,
                "coefs": paths.coefs,
                "scores": None,
                "score_name": "score",
                "marked": {"a": 1.0},
                "names": None,
                "ax": None,
            },
            weight=0.3,
        )
    )
    return [*out, *_inference_calls(kinds)]


def _inference_calls(kinds: dict[str, str]) -> list[Call]:
    """Return the functions of `skce.inference`."""
    kinds = {**kinds, "groups": "group", "estimator": "estimator"}
    out = []
    for kind, y in (("ints", D["y"]), ("bools", D["b"]), ("P", D["P"]), ("L", D["L"])):
        rows = {"estimator": fitted(kind), "X": D["X"], "y": y, "sample_weight": D["w"]}
        covariance = {**rows, "cov": "auto", "groups": D["g"]}
        table = {**covariance, "level": 0.9}
        out += [
            Call(
                f"coef_summary {kind}", inference.coef_summary, {**table, "reference": None}, kinds
            ),
            Call(
                f"average_marginal_effects {kind}", inference.average_marginal_effects, table, kinds
            ),
            Call(f"fit_statistics {kind}", inference.fit_statistics, rows, kinds, weight=0.5),
        ]
        out.append(
            Call(
                f"wald_test {kind}",
                inference.wald_test,
                {**covariance, "features": [0, 1], "contrasts": None},
                kinds,
            )
        )
    free = _free_fit()
    rows = {"estimator": free, "X": D["X"][:, :2], "y": D["b"], "sample_weight": D["w"]}
    out.append(
        Call(
            "likelihood_ratio_test",
            inference.likelihood_ratio_test,
            {**rows, "restricted": None, "X_restricted": None},
            kinds,
        )
    )
    out.append(
        Call("coef_cov", inference.coef_cov, {**rows, "cov": "robust", "reference": False}, kinds)
    )
    out.append(Call("profile_summary", inference.profile_summary, {**rows, "level": 0.9}, kinds))
    draws = {"n_resamples": 2, "random_state": 0, "n_jobs": None, "verbose": 0, "statistic": None}
    resampled = {"estimator": fitted("ints"), "X": D["X"], "y": D["y"], "groups": None, **draws}
    out.append(Call("bootstrap", inference.bootstrap, resampled, {**kinds, "n_jobs": "jobs"}))
    options = {"loss": "auto", "fit_intercept": True, "class_weight": None}
    numbers = {"tol": 1e-4, "max_iter": 20, "verbose": 0}
    for name, y in (("ints", D["y"]), ("bools", D["b"]), ("P", D["P"])):
        arguments = {"X": D["X"], "y": y, "sample_weight": D["w"], **options, **numbers}
        out.append(Call(f"fit Firth {name}", _fit_firth, arguments, kinds))
    return out


def _fit_firth(X, y, sample_weight=None, **params):
    return inference.FirthClassifier(**params).fit(X, y, sample_weight)


@cache
def _free_fit() -> Any:
    """Return a fit without a penalty, of rows that are not separated."""
    return SoftmaxClassifier(C=np.inf).fit(D["X"][:, :2], D["b"], D["w"])


#: Values that are wrong for one kind of argument only.
_FOLDS = [np.arange(6), np.arange(6, 12)]
SPECIAL: dict[str, list[Spoilt]] = {
    "folds": [
        *_replace("folds", [], [[]], [()], [(_FOLDS[0],)], [(_FOLDS[0], [])], [([], _FOLDS[0])], [3, 4]),
        *_replace("folds", [(_FOLDS[0].astype(float), _FOLDS[1])], [(_FOLDS[0], _FOLDS[1] + 0.5)]),
        *_replace("folds", [(_FOLDS[0], _FOLDS[1] + 10)], [(_FOLDS[0] - 20, _FOLDS[1])]),
        *_replace("folds", [(np.ones(12, bool), np.ones(12, bool))], [(np.ones(3, bool), np.ones(12, bool))]),
        *_replace("folds", [(_FOLDS[0], None)], [(None, _FOLDS[1])], [("a", "b")], [(_FOLDS[0], _FOLDS[1], 1)]),
        *_replace("folds", [(_FOLDS, _FOLDS)], [(slice(0, 6), slice(6, 12))], [(range(6), range(6, 12))]),
        *_replace("folds", [([0, 3], _FOLDS[1])], [(10**400, 1)], [([10**400], [1])], [(np.array(3), np.array(4))]),
        *_replace("folds", [(["0", "1"], ["2"])], [(_FOLDS[0] * 1j, _FOLDS[1])], [(_FOLDS[0], [pd.NA])]),
        *_replace("folds", [([[0, 1], [2]], [3])], [(np.array([0, 1], "datetime64[s]"), [3])], {0: 1}, "folds"),
        Spoilt("folds generator", lambda v, rng: iter([(np.arange(9), np.arange(9, 12))])),
        Spoilt("folds that fail", lambda v, rng: (1 / i for i in range(3))) if False else Spoilt("folds empty generator", lambda v, rng: iter([])),
    ],
    "class_weight": _replace("weights", *(
        dict(zip(keys, values, strict=False))
        for keys in ((0, 1, 2), ("u", "v", "w"), (False, True))
        for values in ((0, 1, 1), (1, 0, 0), (0, 0, 0), (1e308,) * 3, (1e-320,) * 3, (1e50, 1, 1), (-1, 1, 1), (np.inf, 1, 1), (np.nan, 1, 1), ("1", 1, 1), (None, 1, 1), (10**400, 1, 1), (1e-300, 1e-300, 1))
    )),
    "jobs": _replace("jobs", 0, 1, None, "a", 0.5, 10**400, -(10**400), np.nan, [1], np.array([1, 2]), pd.NA, 1j),
    "scoring": _replace("scoring", "nothing", "accuracy", "roc_auc", "f1", lambda *a, **k: "a", lambda *a, **k: np.nan, lambda *a, **k: None, lambda *a, **k: 1j, lambda *a, **k: [1, 2], {"a": "accuracy"}),
}  # fmt: skip


# ------------------------------------------------------------------------------------ the judge
#: Exceptions beside ValueError and TypeError.
ALLOWED: tuple = (ValueError, TypeError)
_OURS = str(Path(skce.__file__).parent)
_SKLEARN = str(Path(sklearn.__file__).parent)


def _print_of(value: Any) -> Any:
    """Return an object that is equal before and after a call unless the value was changed."""
    if sp.issparse(value):
        names = ("data", "indices", "indptr", "coords", "offsets", "rows")
        parts = {name: _print_of(getattr(value, name)) for name in names if hasattr(value, name)}
        return type(value).__name__, value.shape, str(parts)
    if isinstance(value, dict):
        return [(repr(key), _print_of(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [_print_of(item) for item in value]
    if isinstance(value, BaseEstimator):
        return _print_of(vars(value))
    if isinstance(value, Iterator):
        return None  # may be used up
    if type(value).__name__ == "LazyFrame":
        return None  # a plan, not data
    if isinstance(value, np.ma.MaskedArray):
        return value.dtype, value.shape, value.data.tobytes(), np.ma.getmaskarray(value).tobytes()
    if isinstance(value, pd.DataFrame):  # their pickles depend on caches
        return repr(value.to_dict("split")), str(value.dtypes.tolist()), str(value.columns)
    if isinstance(value, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return repr(value.tolist()), str(value.dtype)
    try:
        return pickle.dumps(value)
    except Exception:
        return None


def _worded_by_us(error: BaseException) -> bool:
    """Whether a line of skce or scikit-learn raised this error itself."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    if not last.filename.startswith((_OURS, _SKLEARN)):
        return False
    line = last.line or linecache.getline(last.filename, last.lineno)
    return line.lstrip().startswith(("raise", "_raise", "raise_"))


def _has_nan(value: Any) -> bool:
    if isinstance(value, BaseEstimator):
        names = ("coef_", "intercept_", "loss_curve_", "C_", "scores_")
        return any(_has_nan(getattr(value, name)) for name in names if hasattr(value, name))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return any(_has_nan(getattr(value, n)) for n in value._fields if n != "temperature")
    if isinstance(value, float | np.ndarray | np.floating):
        array = np.asarray(value)
        return array.dtype.kind == "f" and bool(np.isnan(array).any())
    return False


def judge(call: Call, arguments: dict[str, Any], nonsense: list[str]) -> str | None:
    """Make a call, and return what was wrong with it, or None."""
    before = {name: _print_of(value) for name, value in arguments.items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result, error = call.function(**arguments), None
        except ALLOWED as raised:
            result, error = None, raised
        except AssertionError as raised:
            return f"changed: {raised}"
        except Exception as raised:
            return f"raised {_said(raised)}"
    bad = [
        w
        for w in caught
        if issubclass(w.category, RuntimeWarning | DeprecationWarning)
        and _SAID_ON_PURPOSE not in str(w.message)
    ]
    if bad:
        return f"warned {bad[0].category.__name__}: {bad[0].message} {Path(bad[0].filename).name}:{bad[0].lineno}"
    changed = [name for name, was in before.items() if _print_of(arguments[name]) != was]
    if changed:
        return f"changed {changed}"
    if error is not None:
        cause = error
        return None if _worded_by_us(cause) else f"not worded {_said(error)}"
    if nonsense:
        return f"accepted {nonsense}"
    if _has_nan(result) and not caught:
        return "NaN without a word"
    return None


def _said(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(_OURS)]
    place = f"{Path(last.filename).name}:{last.lineno}"
    if ours and ours[-1] is not last:
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} > {place}"
    return f"{type(error).__name__}: {str(error)[:150]!r} at {place}"


#: A warning of scikit-learn if a fold lacks a class.
_SAID_ON_PURPOSE = "Number of classes in training fold"


@cache
def _table() -> tuple[list[Call], np.ndarray]:
    table = calls()
    weights = np.array([call.weight for call in table])
    return table, weights / weights.sum()


def make(seed: int, number: int) -> tuple[Call, dict[str, Any], list[str], str]:
    """Return call `number` of a seed: the callable, its arguments and what is nonsense in them."""
    rng = np.random.default_rng([seed, number])
    table, weights = _table()
    call = table[rng.choice(len(table), p=weights)]
    arguments = {name: _copy(value) for name, value in call.arguments.items()}
    # Half of the time choose an argument such as X or y, else any argument.
    known = [name for name in call.arguments if call.kinds.get(name) in NUMBERS | TARGETS]
    names = [*call.arguments]
    if known and rng.random() < 0.4:
        names = known
    count = min(len(names), 1 + int(rng.random() < 0.25))
    chosen = [str(name) for name in rng.choice(names, size=count, replace=False)]
    nonsense, told = [], []
    for name in chosen:
        kind = call.kinds.get(name, "")
        values = SPOILT
        if kind in SPECIAL and (kind in ("jobs", "scoring") or rng.random() < 0.7):
            values = SPECIAL[kind]
        spoilt = values[int(rng.integers(len(values)))]
        try:
            arguments[name] = spoilt.make(call.arguments[name], rng)
        except Exception:  # this argument has no such spoilt value
            spoilt = next(s for s in SPOILT if s.name == "missing None")
            arguments[name] = None
        may_lack = call.arguments[name] is D["L"] and spoilt.name in GAPS
        if kind in spoilt.nonsense and call.arguments[name] is not None and not may_lack:
            nonsense.append(name)
        told.append(f"{name}={spoilt.name}")
    return call, arguments, nonsense, f"{call.name}({', '.join(told)})"


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) or sp.issparse(value) else value


def faults(seed: int, first: int, count: int) -> Iterator[str]:
    """Make calls, and yield a line for each call that is at fault."""
    for number in range(first, first + count):
        call, arguments, nonsense, told = make(seed, number)
        print(f"{number} {told}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        fault = judge(call, arguments, nonsense)
        faulthandler.cancel_dump_traceback_later()
        if fault is not None:
            yield f"fault {number}: {told}: {fault}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    for line in faults(options.seed, options.first, options.count):
        print(line, flush=True)
    print(f"made {options.count} calls")
