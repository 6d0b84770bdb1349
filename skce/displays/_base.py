"""What all displays share: axes, names and colours on them, and checks of the drawn data."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import count
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._checks import check_numbers, is_date, refuse_sparse, to_numpy

#: The most points, bins or marks, and the largest number that axes can show.
MOST = 10**6
LARGEST_DRAWN = 1e300

#: The most characters of a name that are shown; at least 3.
_LONGEST = 36
#: The most entries of a legend in the axes, of one column of a legend beside them, and of any
#: legend.
_INSIDE, _COLUMN, MOST_NAMED = 10, 20, 60
#: The largest share of the width of the axes that a legend in them may take is 1 minus the first
#: number for each entry, and at least the second: a legend of few entries takes little height.
_PER_ENTRY, _NARROW = 0.07, 0.55
#: The same for a legend beside axes that the user passed.
_HALF = 0.5
#: The most points with which matplotlib finds the best place of a legend quickly.
_LOOKED_AT = 10_000
#: Height of a line of text in units of its font size, and the smallest readable font size.
_LINE, _SMALLEST = 1.3, 6.0
#: The most lines of a name below the axes.
_LINES = 3
_LINE_STYLES = ("-", "--", "-.", ":")


def axes_or_new(ax: Any) -> Any:
    """Return the given axes, or new axes if `ax` is None."""
    try:
        import matplotlib.pyplot as plt
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError("Displays need matplotlib: pip install 'skce[plot]'.") from error
    if ax is None:
        return plt.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib Axes or None, got {ax!r:.100}.")
    return ax


def final_estimator(estimator: Any) -> Any:
    """Return the estimator that predicts: the last of a pipeline, or the best of a search."""
    while True:
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def check_fitted_with(estimator: Any, name: str, way_out: str = "") -> Any:
    """Check that an estimator is fitted, and that its final estimator has the attribute `name`.

    Returns
    -------
    estimator
        The final estimator, which predicts.
    """
    if not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be an estimator, got {type(estimator).__name__}.")
    check_is_fitted(estimator)
    final = final_estimator(estimator)
    check_is_fitted(final)
    if not hasattr(final, name):
        raise TypeError(f"estimator must have {name}, but {type(final).__name__} has not.{way_out}")
    return final


def row_names(*tables: Any) -> Any:
    """Return the index of the first pandas data frame among the tables; None if there is none."""
    for table in tables:
        index = getattr(table, "index", None)
        if index is not None and not callable(index):
            return index
    return None


class Display:
    """Base class of all displays."""

    ax_: Any
    figure_: Any

    def _on(self, ax: Any) -> Any:
        self._own_figure = ax is None
        self.ax_ = axes_or_new(ax)
        self.figure_ = self.ax_.figure
        return self.ax_

    def _add_legend(
        self,
        title: str | None = None,
        n_points: int = 0,
        always: Sequence[Any] = (),
        place: str = "upper right",
    ) -> None:
        """Add a legend of all artists with a label: in the axes, or beside them if it is large.

        Axes that the user passed keep more than half of their width. If the legend would take
        more, it names only the artists in `always`. These are lines across the axes, which must not
        shine through the names. With many points the legend in the axes is at `place`, because
        matplotlib would take long to find the best place.
        """
        ax = self.ax_
        labels = ax.get_legend_handles_labels()[1]
        style: dict[str, Any] = {"framealpha": 1} if always else {}
        if n_points > _LOOKED_AT:
            style["loc"] = place
        if len(labels) <= _INSIDE:
            share = max(1 - _PER_ENTRY * len(labels), _NARROW)
            if labels and self._fits(ax.legend(title=title, **style), share):
                return
            if not labels or not self._own_figure:
                return
        legend = ax.legend(
            title=title,
            loc="upper left",
            bbox_to_anchor=(1.02, 1),
            borderaxespad=0,
            fontsize="small",
            ncols=-(-len(labels) // _COLUMN),
        )
        if self._own_figure or self._fits(legend, _HALF):
            self._make_room(legend)
        else:
            legend.remove()
            if always:
                ax.legend(handles=always, **style)

    def _fits(self, legend: Any, share: float) -> bool:
        """Whether a legend takes less than the given share of the width of the axes."""
        self.ax_.apply_aspect()
        width = self.ax_.get_window_extent().width
        return bool(legend.get_window_extent().width < share * width)

    def _make_room(self, legend: Any) -> None:
        """Make room for a legend beside the axes: widen our figure, or narrow the user's axes."""
        ax, figure = self.ax_, self.figure_
        ax.set_anchor("E")  # keeps axes of a fixed aspect next to the legend
        width = legend.get_window_extent().width / figure.dpi
        if self._own_figure:
            figure.set_figwidth(figure.get_figwidth() + width)
            figure.set_layout_engine("compressed")
        elif figure.get_layout_engine() is None:
            box = ax.get_position()
            room = box.width - width / figure.get_figwidth() - 0.02 * box.width
            ax.set_position([box.x0, box.y0, room, box.height])


def foreground(ax: Any) -> Any:
    """Return the colour of text on the axes. In a dark style it is light."""
    return ax.xaxis.label.get_color()


def curve_styles(n: int) -> list[dict[str, Any]]:
    """Return a colour and a line style for each of n curves. No two curves look the same."""
    import matplotlib as mpl

    if n <= len(mpl.rcParams["axes.prop_cycle"]):
        return [{"color": f"C{k}", "linestyle": "-"} for k in range(n)]
    colors = mpl.colormaps["turbo"](np.linspace(0.08, 0.92, n))
    return [
        {"color": tuple(color), "linestyle": _LINE_STYLES[k % len(_LINE_STYLES)]}
        for k, color in enumerate(colors)
    ]


def as_text(name: Any) -> str:
    """Return a name that matplotlib shows as plain text, not as a formula, and shorten it."""
    text = " ".join(str(name).split())
    if len(text) > _LONGEST:
        half = (_LONGEST - 1) // 2
        text = f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"
    text = text.replace("$", r"\$")
    # Legends leave out labels that begin with an underscore.
    return f" {text}" if text.startswith("_") else text


def name_ticks(ax: Any, positions: NDArray, names: Sequence[Any]) -> None:
    """Label positions of the x axis.

    If whole numbers do not fit, only every second, fifth, tenth, ... is shown. Other labels that do
    not fit are wrapped. If that is not enough they are rotated, then made smaller, and at last only
    some are shown.
    """
    texts = [as_text(name) for name in names]
    ax.set_xticks(positions, texts)
    if len(texts) < 2:
        return
    ends = ax.transData.transform([(positions[0], 1), (positions[1], 1)])
    room = 0.9 * float(ends[1, 0] - ends[0, 0])
    labels = ax.get_xticklabels()
    widths = [label.get_window_extent().width for label in labels]
    if max(widths) < room:
        return
    if all(text.isdigit() for text in texts):
        least = max(widths) / room
        step = next(m * 10**k for k in count() for m in (1, 2, 5) if m * 10**k >= least)
        ax.set_xticks(positions[::step], texts[::step])
        return
    letters = int(room / max(widths) * max(map(len, texts)))
    wrapped = [textwrap.fill(text, max(letters, 1), break_long_words=False) for text in texts]
    ax.set_xticks(positions, wrapped)
    if max(label.get_window_extent().width for label in labels) < room and not any(
        text.count("\n") > _LINES - 1 for text in wrapped
    ):
        return
    room *= 72 / ax.figure.dpi  # in points, the unit of font sizes
    size = min(labels[0].get_size(), max(room / _LINE, _SMALLEST))
    some = slice(None, None, int(np.ceil(_LINE * size / room)))
    ax.set_xticks(positions[some], texts[some], rotation=90, fontsize=size)


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r:.100}.")


def check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {type(value).__name__}.")


def check_count(name: str, value: Any, least: int = 1) -> None:
    if not isinstance(value, Integral) or is_date(value) or not least <= int(value) <= MOST:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r:.100}.")


def check_classes(classes: Any) -> Any:
    """Return the list of class names, and refuse anything that is no list or 1-D array."""
    if not isinstance(classes, (list, tuple)):
        array = np.asarray(to_numpy(classes, "classes"))
        if array.ndim != 1:
            raise ValueError(f"classes must be a list of classes, got {classes!r:.100}.")
    return classes


def check_finite(
    name: str, values: Any, shape: tuple[int | None, ...], *, missing: bool = False
) -> NDArray:
    """Return an array of finite numbers with the given shape, in which None allows any length.

    With `missing` the array may hold NaN.
    """
    array = check_numbers(values, name)
    if len(array.shape) != len(shape) or any(
        want not in (None, has) for has, want in zip(array.shape, shape, strict=True)
    ):
        text = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} must have shape ({text}), but has {array.shape}.")
    if not ((np.abs(array) <= LARGEST_DRAWN) | (missing & np.isnan(array))).all():
        raise ValueError(
            f"{name} must be finite: a plot can show numbers up to {LARGEST_DRAWN:g} in size."
        )
    return array


def check_names(name: str, values: Any, length: int, *, of: str) -> list[str]:
    """Return names as strings. There must be one for each of the `length` things they name."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a sequence of names, got {values!r:.100}.")
    refuse_sparse(values, name)
    names = [str(value) for value in np.asarray(to_numpy(values, name), dtype=object).ravel()]
    if len(names) != length:
        raise ValueError(
            f"{name} must hold {length} names, one for each of the {of}, but it holds {len(names)}."
        )
    return names


def check_index(index: Any, length: int) -> NDArray:
    """Return the names of the rows as an array. There must be one for each row."""
    if isinstance(index, (str, bytes)) or not hasattr(index, "__len__"):
        raise ValueError(f"index must be a sequence of names of rows, got {index!r:.100}.")
    refuse_sparse(index, "index")
    names = np.asarray(to_numpy(index, "index"), dtype=object)
    if len(names) != length:
        raise ValueError(f"index must hold {length} names of rows, but holds {len(names)}.")
    return names
