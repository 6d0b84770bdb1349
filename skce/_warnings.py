"""Warnings that name the line of the user."""

from __future__ import annotations

import inspect
import warnings

#: Modules that a warning is not about.
_INSIDE = ("skce.", "sklearn.", "contextlib")


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning about the first line outside skce and scikit-learn that led here."""
    frame, count = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
        frame, count = frame.f_back, count + 1
    warnings.warn(message, category, stacklevel=count + 1)
