"""Data that are larger than memory, as estimators read them.

Whatever has a shape, a dtype and gives arrays for slices of rows is read some rows at a time, and
can be passed as X as it is: :class:`numpy.memmap`, datasets of h5py, arrays of Zarr. Files that are
stored by columns are opened here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

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
    """Columns of a dataset of Parquet files, by groups of rows.

    The group that was read last is kept, for a part of the rows may end inside it.

    Attributes
    ----------
    header : pyarrow.Table
        The columns, without a row.
    """

    def __init__(self, dataset: Any, columns: list[str]):
        self.header = dataset.schema.empty_table().select(columns)
        self.dtype = np.result_type(*[_number_type(field) for field in self.header.schema])
        self.groups = [
            group for fragment in dataset.get_fragments() for group in fragment.split_by_row_group()
        ]
        sizes = [group.row_groups[0].num_rows for group in self.groups]
        self.starts = [*accumulate(sizes, initial=0)]
        self.shape = (self.starts[-1], len(columns))
        if not self.shape[0]:
            raise ValueError("source has no rows.")
        self._last: tuple[int, Any] = (-1, None)

    def __getitem__(self, rows: slice) -> NDArray:
        start, stop, _ = rows.indices(self.shape[0])
        found = np.empty((max(0, stop - start), self.shape[1]), self.dtype)
        for i, (first, last) in enumerate(pairwise(self.starts)):
            low, high = max(start, first), min(stop, last)
            if low < high:
                self._into(found[low - start : high - start], i, low - first, high - low)
        return found

    def _into(self, found: NDArray, group: int, first: int, n_rows: int) -> None:
        """Read some rows of a group into an array."""
        number, table = self._last
        if number != group:
            table = self.groups[group].to_table(columns=self.header.column_names)
            self._last = (group, table)
        for j, column in enumerate(table.slice(first, n_rows).itercolumns()):
            is_number = column.type.to_pandas_dtype() not in (bool, np.bool_, np.object_)
            found[:, j] = (column if is_number else column.cast("float64")).to_numpy()


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
