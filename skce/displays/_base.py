"""What all displays share: the axes, and checks of what is drawn."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._checks import check_numbers, is_date, refuse_sparse, to_numpy

#: Points, bins or marks at most, and the largest number that axes have room for.
MOST = 10**6
LARGEST_DRAWN = 1e300


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


def check_fitted_with(estimator: Any, name: str) -> None:
    """Check that an estimator is fitted and has what a display shows."""
    if not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be an estimator, got {type(estimator).__name__}.")
    check_is_fitted(estimator)
    if not hasattr(estimator, name):
        raise TypeError(f"estimator must have {name}, but {type(estimator).__name__} has not.")


class Display:
    """What all displays have."""

    ax_: Any
    figure_: Any

    def _on(self, ax: Any) -> Any:
        self.ax_ = axes_or_new(ax)
        self.figure_ = self.ax_.figure
        return self.ax_


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


def check_finite(name: str, values: Any, shape: tuple[int | None, ...]) -> NDArray:
    """Return an array of finite numbers, of a shape of which None is any length."""
    array = check_numbers(values, name)
    if len(array.shape) != len(shape) or any(
        want not in (None, has) for has, want in zip(array.shape, shape, strict=True)
    ):
        text = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} must have shape ({text}), but has {array.shape}.")
    if not (np.abs(array) <= LARGEST_DRAWN).all():
        raise ValueError(f"{name} must be finite, and at most {LARGEST_DRAWN:g} to be drawn.")
    return array


def check_names(name: str, values: Any, length: int) -> list[str]:
    """Return names as strings, one for each of what they name."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a sequence of names, got {values!r:.100}.")
    refuse_sparse(values, name)
    names = [str(value) for value in np.asarray(to_numpy(values, name), dtype=object).ravel()]
    if len(names) != length:
        raise ValueError(f"{name} must hold {length} names, but holds {len(names)}.")
    return names
