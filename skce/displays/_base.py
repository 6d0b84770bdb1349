"""What all displays share: the axes, names and colours on them, and checks of what is drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._checks import check_numbers, is_date, refuse_sparse, to_numpy

#: Points, bins or marks at most, and the largest number that axes have room for.
MOST = 10**6
LARGEST_DRAWN = 1e300

#: Characters of a name that are shown, at least 3.
_LONGEST = 36
#: Entries of a legend in the axes, of a column of one beside them, and of any.
_INSIDE, _COLUMN, MOST_NAMED = 10, 20, 60
#: Share of the width of the axes that a legend in them takes at most.
_NARROW = 0.55
#: The same of a legend beside axes of the user's.
_HALF = 0.5
#: Points that a legend can look at to find the best place quickly.
_LOOKED_AT = 10_000
#: Height of a line of text in units of its font size, and the smallest size that can be read.
_LINE, _SMALLEST = 1.3, 6.0
#: Lines of a name below the axes.
_LINES = 3
_LINE_STYLES = ("-", "--", "-.", ":")


def axes_or_new(ax: Any) -> Any:
    """Return the axes to draw on, new ones if none are given."""
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
    """Return the estimator that predicts: the last step of a pipeline, the best one of a search."""
    while True:
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def check_fitted_with(estimator: Any, name: str, way_out: str = "") -> Any:
    """Check that an estimator is fitted, and that the one that predicts has what a display shows.

    Returns
    -------
    estimator
        The one that predicts.
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
    """Return the index of the first of these that is a data frame of pandas; None without one."""
    for table in tables:
        index = getattr(table, "index", None)
        if index is not None and not callable(index):
            return index
    return None


class Display:
    """What all displays have."""

    ax_: Any
    figure_: Any

    def _on(self, ax: Any) -> Any:
        self._own_figure = ax is None
        self.ax_ = axes_or_new(ax)
        self.figure_ = self.ax_.figure
        return self.ax_

    def _add_legend(
        self, title: str | None = None, n_points: int = 0, always: Sequence[Any] = ()
    ) -> None:
        """Add a legend of what has a label: in the axes, or beside them if it takes much room.

        Axes of the user's keep more than half of their width: there a legend that would take more
        is left out, but for the artists that are to be named `always`.
        """
        ax = self.ax_
        labels = ax.get_legend_handles_labels()[1]
        fast = {"loc": "upper right"} if n_points > _LOOKED_AT else {}
        if len(labels) <= _INSIDE:
            if labels and self._fits(ax.legend(title=title, **fast), _NARROW):
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
                ax.legend(handles=always)

    def _fits(self, legend: Any, share: float) -> bool:
        """Whether a legend takes no more than a share of the width of the axes."""
        self.ax_.apply_aspect()
        width = self.ax_.get_window_extent().width
        return bool(legend.get_window_extent().width < share * width)

    def _make_room(self, legend: Any) -> None:
        """Widen a figure of our own for a legend beside the axes, or else narrow the axes."""
        ax, figure = self.ax_, self.figure_
        ax.set_anchor("E")  # where the aspect makes the axes narrower
        width = legend.get_window_extent().width / figure.dpi
        if self._own_figure:
            figure.set_figwidth(figure.get_figwidth() + width)
            figure.set_layout_engine("compressed")
        elif figure.get_layout_engine() is None:
            box = ax.get_position()
            room = box.width - width / figure.get_figwidth() - 0.02 * box.width
            ax.set_position([box.x0, box.y0, room, box.height])


def foreground(ax: Any) -> Any:
    """Return the colour of text on axes, which a dark style makes light."""
    return ax.xaxis.label.get_color()


def curve_styles(n: int) -> list[dict[str, Any]]:
    """Return a colour and a line style for each of n curves, no two of them the same."""
    import matplotlib as mpl

    if n <= len(mpl.rcParams["axes.prop_cycle"]):
        return [{"color": f"C{k}", "linestyle": "-"} for k in range(n)]
    colors = mpl.colormaps["turbo"](np.linspace(0.08, 0.92, n))
    return [
        {"color": tuple(color), "linestyle": _LINE_STYLES[k % len(_LINE_STYLES)]}
        for k, color in enumerate(colors)
    ]


def as_text(name: Any) -> str:
    """Return a name as matplotlib shows it as it is: of limited length, and no formula."""
    text = " ".join(str(name).split())
    if len(text) > _LONGEST:
        half = (_LONGEST - 1) // 2
        text = f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"
    text = text.replace("$", r"\$")
    # Legends leave out labels that begin with an underscore.
    return f" {text}" if text.startswith("_") else text


def name_ticks(ax: Any, positions: NDArray, names: Sequence[Any]) -> None:
    """Name positions of the x axis: on lines, turned, smaller, and at last only some of them."""
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
    letters = int(room / max(widths) * max(map(len, texts)))
    wrapped = [textwrap.fill(text, max(letters, 1), break_long_words=False) for text in texts]
    ax.set_xticks(positions, wrapped)
    if max(label.get_window_extent().width for label in labels) < room and not any(
        text.count("\n") > _LINES - 1 for text in wrapped
    ):
        return
    room *= 72 / ax.figure.dpi  # in points, as sizes of fonts are
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
    """Return classes, of which each has a name."""
    if not isinstance(classes, (list, tuple)):
        array = np.asarray(to_numpy(classes, "classes"))
        if array.ndim != 1:
            raise ValueError(f"classes must be a list of classes, got {classes!r:.100}.")
    return classes


def check_finite(
    name: str, values: Any, shape: tuple[int | None, ...], *, missing: bool = False
) -> NDArray:
    """Return an array of finite numbers, or `missing` ones, of a shape; None is any length."""
    array = check_numbers(values, name)
    if len(array.shape) != len(shape) or any(
        want not in (None, has) for has, want in zip(array.shape, shape, strict=True)
    ):
        text = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} must have shape ({text}), but has {array.shape}.")
    if not ((np.abs(array) <= LARGEST_DRAWN) | (missing & np.isnan(array))).all():
        raise ValueError(f"{name} must be finite, and at most {LARGEST_DRAWN:g} to be drawn.")
    return array


def check_names(name: str, values: Any, length: int, *, of: str) -> list[str]:
    """Return names as strings, one for each of what they name."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a sequence of names, got {values!r:.100}.")
    refuse_sparse(values, name)
    names = [str(value) for value in np.asarray(to_numpy(values, name), dtype=object).ravel()]
    if len(names) != length:
        raise ValueError(
            f"{name} must hold {length} names, one for each of the {of}, but holds {len(names)}."
        )
    return names


def check_index(index: Any, length: int) -> NDArray:
    """Return names of rows as an array, one for each of them."""
    if isinstance(index, (str, bytes)) or not hasattr(index, "__len__"):
        raise ValueError(f"index must be a sequence of names of rows, got {index!r:.100}.")
    refuse_sparse(index, "index")
    names = np.asarray(to_numpy(index, "index"), dtype=object)
    if len(names) != length:
        raise ValueError(f"index must hold {length} names of rows, but holds {len(names)}.")
    return names
