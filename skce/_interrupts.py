"""What is left of a call that ends early: nothing.

`with` restores what a call changes for a while, in every case but one: its end is a call too, and
an interrupt may come before the first line of what is called. So the outermost functions restore it
once more, if they end by an error or an interrupt.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

import numpy as np
from sklearn import get_config, set_config

from ._threads import threads

Result = TypeVar("Result")
Undo = Callable[[BaseException], None]


class _Process:
    """What a call may change for a while: threads and BLAS, settings, warning filters."""

    def __init__(self) -> None:
        self.depth = threads.depth
        self.config, self.errors = get_config(), np.geterr()
        self.filters = list(warnings.filters)

    def restore(self, error: BaseException) -> None:
        """Restore it, when that error has come."""
        threads.unlock()
        threads.go_to(self.depth)
        set_config(**self.config)
        np.seterr(**self.errors)
        # Another thread may have changed the filters for a while. An interrupt has to take that
        # chance, an error, after which all is restored in general, has not.
        if not isinstance(error, Exception) and warnings.filters != self.filters:
            warnings.filters[:] = self.filters  # type: ignore[index]
            with warnings.catch_warnings():  # which tells `warnings` of a change
                pass


def _call(function: Callable[[], Result], undo: Undo) -> Result:
    """Return what a function does, or undo what it did: again, if undoing was interrupted."""
    undone = False
    try:
        try:
            return function()
        except BaseException as error:
            undo(error)
            undone = True
            raise
    except BaseException as error:
        if not undone:
            undo(error)
        raise


def unchanged_on_error(fit: Callable[..., Result]) -> Callable[..., Result]:
    """Leave the estimator and the process as they were if anything ends a fit early.

    Parameters
    ----------
    fit : callable
        A method with all its other decorators, for a fit can be interrupted in them too.

    Returns
    -------
    callable
        The method.
    """

    @wraps(fit)
    def unchanged(estimator: Any, *args: Any, **kwargs: Any) -> Result:
        before, process = vars(estimator).copy(), _Process()

        def undo(error: BaseException) -> None:
            estimator.__dict__ = before
            process.restore(error)

        return _call(partial(fit, estimator, *args, **kwargs), undo)

    return unchanged


def restored_on_error(function: Callable[..., Result]) -> Callable[..., Result]:
    """Leave the process as it was if anything ends a function early.

    Parameters
    ----------
    function : callable
        A function that uses `threads`, without an estimator.

    Returns
    -------
    callable
        The function.
    """

    @wraps(function)
    def restored(*args: Any, **kwargs: Any) -> Result:
        return _call(partial(function, *args, **kwargs), _Process().restore)

    return restored
