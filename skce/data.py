"""Data that are larger than memory, as estimators read them.

Any object that has a shape and a dtype, and returns arrays for slices of its rows, can be passed as
X: :class:`numpy.memmap`, datasets of h5py, arrays of Zarr. It is read some rows at a time. This
module opens files that are stored by columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._rows import Rows, number_type

__all__ = ["Rows", "from_parquet"]


def from_parquet(
    source: Any, target: str | Sequence[str] | None = None, columns: Sequence[str] | None = None
) -> Any:
    """Open Parquet files whose features are read some rows at a time, in every pass over them.

    Parameters
    ----------
    source : str, path-like, list of them, or pyarrow.dataset.Dataset
        A Parquet file, a folder of them, several files, or a dataset of Parquet files.
    target : str or list of str, default=None
        The column of labels, or the columns of target probabilities. They are read at once.
    columns : list of str, default=None
        The columns of features; by default all but `target`. They must hold numbers or booleans.

    Returns
    -------
    X : Rows
        The features, which know the names of their columns. Nothing is read before a fit asks for
        it; ``numpy.asarray(X)`` reads all, ``X[10:20]`` and ``X[row_numbers]`` are some of the
        rows. The dtype is float32 if all columns are floats of 16 or 32 bits, else float64.
    y : ndarray of shape (n_samples,) or pyarrow.Table
        Only if `target` is given: labels, or a table of the columns whose names become `classes_`.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If there is no such column, or no rows.
    TypeError
        If a column of features does not hold numbers.

    See Also
    --------
    skce.SoftmaxClassifier : Takes both.

    Notes
    -----
    A pass reads group of rows after group of rows, and the next one while sums over one are made.
    Groups of 10 000 to 1 000 000 rows, as writers make them by default, are fine.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import pyarrow as pa, pyarrow.parquet as pq
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.data import from_parquet
    >>> path = Path(mkdtemp()) / "iris.parquet"
    >>> pq.write_table(pa.Table.from_pandas(load_iris(as_frame=True).frame), path)
    >>> X, y = from_parquet(path, target="target")
    >>> X.shape
    (150, 4)
    >>> round(SoftmaxClassifier().fit(X, y).score(X, y), 2)
    0.97
    """
    try:
        import pyarrow.dataset as ds
    except ImportError as error:
        raise ImportError(
            "from_parquet needs pyarrow, which is not installed: pip install 'skce[parquet]'."
        ) from error
    dataset = source if isinstance(source, ds.Dataset) else ds.dataset(source, format="parquet")
    names = dataset.schema.names
    targets = [target] if isinstance(target, str) else list(target or ())
    if columns is None:
        columns = [name for name in names if name not in targets]
    for parameter, wanted in (("target", targets), ("columns", columns)):
        for name in wanted:
            if name not in names:
                raise ValueError(f"{parameter}: there is no column {name!r}, only {names}.")
    if not columns:
        raise ValueError("columns: at least one column of features is needed.")
    X = Rows(_Parquet(dataset, list(columns)))
    if not targets:
        return X
    table = dataset.to_table(columns=targets)
    return X, table.column(0).to_numpy() if isinstance(target, str) else table


class _Parquet:
    """Columns of a dataset of Parquet files.

    Rows are read batch by batch. A batch that was read in part is kept, and the next ones are read
    on from there, as a pass over all rows needs them.

    Attributes
    ----------
    header : pyarrow.Table
        The columns, without a row.
    """

    def __init__(self, dataset: Any, columns: list[str]):
        from pyarrow.dataset import get_partition_keys

        self.header = dataset.schema.empty_table().select(columns)
        self.dtype = np.result_type(*[_number_type(field) for field in self.header.schema])
        self.groups = [
            group for fragment in dataset.get_fragments() for group in fragment.split_by_row_group()
        ]
        #: Columns that the names of folders hold.
        self.constants = [get_partition_keys(group.partition_expression) for group in self.groups]
        sizes = [group.row_groups[0].num_rows for group in self.groups]
        self.starts = [*accumulate(sizes, initial=0)]
        self.shape = (self.starts[-1], len(columns))
        if not self.shape[0]:
            raise ValueError("source has no rows.")
        self._reading = _NOTHING
        self._lock = Lock()

    def __getitem__(self, rows: slice) -> NDArray:
        start, stop, _ = rows.indices(self.shape[0])
        # Columns lie apart, as they do in the file.
        found = np.empty((max(0, stop - start), self.shape[1]), self.dtype, order="F")
        with self._lock:
            for i, (first, last) in enumerate(pairwise(self.starts)):
                low, high = max(start, first), min(stop, last)
                if low < high:
                    self._into(found[low - start : high - start], i, low - first)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_lock", "_reading")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=Lock(), _reading=_NOTHING)

    def _into(self, found: NDArray, group: int, first: int) -> None:
        """Read rows of a group, from one of its rows on, into an array."""
        reading, stop = self._reading, first + len(found)
        self._reading = _NOTHING  # whose memory is free before that of the next group is taken
        if reading.group != group or reading.first > first:
            reading = _NOTHING
            reading = _Reading(group, 0, self._batches(group))
        while reading.first < stop:
            batch = next(reading.batches) if reading.batch is None else reading.batch
            start, end = reading.first, reading.first + batch.num_rows
            low, high = max(start, first), min(end, stop)
            if low < high:
                part = batch.slice(low - start, high - low)
                self._copy(group, part, found[low - first : high - first])
            if end > stop:
                reading = reading._replace(batch=batch)
                break
            reading = reading._replace(first=end, batch=None)
        self._reading = reading

    def _batches(self, group: int) -> Iterator[Any]:
        """Batches of the rows of a group, each of which is read when it is asked for."""
        import pyarrow.parquet as pq

        fragment, width = self.groups[group], self.shape[1] * self.dtype.itemsize
        with pq.ParquetFile(fragment.open(), buffer_size=_BUFFER, pre_buffer=False) as file:
            yield from file.iter_batches(
                batch_size=max(1, _BATCH // width),
                row_groups=[fragment.row_groups[0].id],
                columns=self.header.column_names,
            )

    def _copy(self, group: int, batch: Any, found: NDArray) -> None:
        """Turn the columns of a batch into numbers of an array."""
        names = batch.schema.names
        for j, name in enumerate(self.header.column_names):
            if name not in names:  # it is in the name of the folder, or nowhere
                found[:, j] = self.constants[group].get(name, np.nan)
                continue
            column = batch.column(names.index(name))
            is_number = column.type.to_pandas_dtype() not in (bool, np.bool_, np.object_)
            column = column if is_number else column.cast("float64")
            found[:, j] = column.to_numpy(zero_copy_only=False)


class _Reading(NamedTuple):
    """How far a group of rows was read: to a row that is the first of a batch, if that is known."""

    group: int
    first: int
    batches: Iterator[Any]
    batch: Any = None


_NOTHING = _Reading(-1, 0, iter(()))
#: Bytes that are turned into numbers at a time, and that are read of a column at a time.
_BATCH, _BUFFER = 2**24, 2**16


def _number_type(field: Any) -> np.dtype:
    """Return the type of number in which a column is read; what is missing is NaN."""
    import pyarrow.types as types

    if types.is_boolean(field.type) or types.is_decimal(field.type):
        return np.dtype(np.float64)
    if not (types.is_integer(field.type) or types.is_floating(field.type)):
        raise TypeError(
            f"Column {field.name!r} of X has type {field.type}, which is no number. Leave it out "
            "of columns, or write it as numbers."
        )
    return number_type(field.type.to_pandas_dtype())
