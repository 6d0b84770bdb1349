"""Restoring the estimator and the process after a call that ends early.

`with` statements restore what a call changes temporarily. But the end of a `with` is itself a call,
and an interrupt can come before its first line. So the outermost functions restore everything once
more if they end with an error or an interrupt.
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
    """What a call may change temporarily: threads, BLAS, settings and warning filters."""

    def __init__(self) -> None:
        self.depth = threads.depth
        self.config, self.errors = get_config(), np.geterr()
        self.filters = list(warnings.filters)

    def restore(self, error: BaseException) -> None:
        """Restore all of it after the given error."""
        threads.unlock()
        threads.go_to(self.depth)
        set_config(**self.config)
        np.seterr(**self.errors)
        # Another thread may have changed the filters temporarily, and this would undo its change.
        # Only an interrupt needs this: after an error `with` has restored the filters already.
        if not isinstance(error, Exception) and warnings.filters != self.filters:
            warnings.filters[:] = self.filters  # type: ignore[index]
            with warnings.catch_warnings():  # makes `warnings` notice the change
                pass


def _call(function: Callable[[], Result], undo: Undo) -> Result:
    """Return the result of a function. If it fails, undo its changes, and again if interrupted."""
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
    """Decorate a fit so that the estimator and the process are restored if it ends early.

    Parameters
    ----------
    fit : callable
        A method with all its other decorators, because a fit can be interrupted in them, too.

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
    """Decorate a function so that the process is restored if it ends early.

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
