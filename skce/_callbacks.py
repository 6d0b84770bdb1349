"""scikit-learn's callbacks, which came with version 1.9; before that there are none to call.

A fit is a task with a subtask for each iteration. What callbacks are told there makes a fitted
estimator as of that iteration, so that `ProgressBar` and `ScoringMonitor` work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to set before scikit-learn 1.9."""

    def with_callbacks(method: Any) -> Any:
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "OnIteration", "begin", "iterations", "with_callbacks"]

#: Takes theta after an iteration, and returns whether to stop.
OnIteration = Callable[[NDArray], bool]


def begin(estimator: Any, max_iter: int) -> Any:
    """Set the callbacks up; to be called before anything else in fit, so that they are torn down.

    Parameters
    ----------
    estimator : estimator
        With `CallbackSupportMixin` among its bases.
    max_iter : int
        Iterations at most.

    Returns
    -------
    CallbackContext or None
        None if there are no callbacks.
    """
    if not hasattr(estimator, "_skl_callbacks"):
        return None
    # One more, for the last one that begins does not happen.
    return estimator._init_callback_context(max_subtasks=max_iter + 1)


@contextmanager
def iterations(
    context: Any, estimator: Any, data: dict[str, Any], attributes: Callable[[NDArray], dict]
) -> Iterator[OnIteration | None]:
    """Tell callbacks of a fit and of its iterations.

    Parameters
    ----------
    context : CallbackContext or None
        What `begin` returned.
    estimator : estimator
    data : dict
        X, y and metadata, as the hooks of callbacks take them.
    attributes : callable
        Takes theta and returns the fitted attributes.

    Yields
    ------
    callable or None
        To be called with theta after every iteration; returns whether a callback wants to stop.
        None if there are no callbacks.
    """
    if context is None:
        yield None
        return

    context.call_on_fit_task_begin(estimator=estimator, **data)
    task: Any = None

    def start(theta: NDArray) -> None:
        nonlocal task
        task = context.subcontext(task_name="iteration")
        task.call_on_fit_task_begin(
            estimator=estimator, **data, reconstruction_attributes=lambda: attributes(theta)
        )

    def on_iteration(theta: NDArray) -> bool:
        if task is None:
            start(theta)
        known = lambda: attributes(theta)  # noqa: E731
        stop = task.call_on_fit_task_end(
            estimator=estimator, **data, reconstruction_attributes=known
        )
        start(theta)
        return bool(stop)

    yield on_iteration
    if task is not None:
        task.call_on_fit_task_end(estimator=estimator)
    context.call_on_fit_task_end(estimator=estimator, **data, reconstruction_attributes={})
