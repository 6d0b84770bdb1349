"""Tables: data frames if pandas is installed, otherwise dicts of columns that print as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm


class Table(dict):
    """Columns by name, each an array of the same length, for use without pandas.

    Attributes
    ----------
    attrs : dict
        Properties of the whole table.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.inference._table import Table
    >>> Table(feature=np.array(["a", "bc"]), estimate=np.array([1.0, -0.25]))
    feature  estimate
          a         1
         bc     -0.25
    """

    def __init__(self, *columns: Any, **named: Any) -> None:
        super().__init__(*columns, **named)
        self.attrs: dict[str, Any] = {}

    def __repr__(self) -> str:
        """Columns side by side, under their names."""
        texts = [
            [name, *(_text(value) for value in np.asarray(values).tolist())]
            for name, values in self.items()
        ]
        widths = [max(map(len, column)) for column in texts]
        lines = zip(*texts, strict=True)
        return "\n".join(
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
            for line in lines
        )


def _text(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def as_table(index: dict[str, list], columns: dict[str, NDArray], attrs: dict[str, Any]) -> Any:
    """Return a data frame, or a `Table` if there is no pandas.

    Parameters
    ----------
    index : dict of list
        Names of the rows: a list for each level of the index.
    columns : dict of ndarray
    attrs : dict
    """
    try:
        import pandas as pd
    except ImportError:
        table = Table({name: np.array(values, dtype=object) for name, values in index.items()})
        table.update(columns)
    else:
        rows = pd.MultiIndex.from_arrays([*index.values()], names=[*index])
        table = pd.DataFrame(columns, index=rows)
    table.attrs.update(attrs)
    return table


def odds_ratios(estimate: NDArray) -> NDArray:
    """Return exponentials. Those that are too large for float64 are infinite."""
    with np.errstate(over="ignore"):
        return np.exp(estimate)


def wald_columns(estimate: NDArray, variance: NDArray, level: float) -> dict[str, NDArray]:
    """Return estimates with standard errors, z, p-values and intervals by the normal distribution.

    Parameters
    ----------
    estimate, variance : ndarray of shape (q,)
    level : float
    """
    error = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = estimate / error
    far = norm.ppf((1 + level) / 2) * error
    return {
        "estimate": estimate,
        "std_error": error,
        "z": z,
        "p_value": 2 * norm.sf(np.abs(z)),
        "lower": estimate - far,
        "upper": estimate + far,
    }
