"""scikit-learn's callbacks, which came with version 1.9; before that there are none to call.

A fit is a task with a subtask for each iteration. What callbacks are told there makes a fitted
estimator as of that iteration, so that `ProgressBar` and `ScoringMonitor` work.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
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


__all__ = ["CallbackSupportMixin", "OnIteration", "Task", "begin", "iterations", "with_callbacks"]

#: Takes theta after an iteration, and returns whether to stop.
OnIteration = Callable[[NDArray], bool]


def begin(estimator: Any, max_subtasks: int | None, *, sequential: bool = True) -> Any:
    """Set the callbacks up; to be called before anything else in fit, so that they are torn down.

    Parameters
    ----------
    estimator : estimator
        With `CallbackSupportMixin` among its bases.
    max_subtasks : int or None
        Tasks of the fit at most; None if nobody knows.
    sequential : bool, default=True
        Whether one task comes after the other.

    Returns
    -------
    CallbackContext or None
        None if there are no callbacks.
    """
    if not hasattr(estimator, "_skl_callbacks"):
        return None
    return estimator._init_callback_context(
        max_subtasks=max_subtasks, sequential_subtasks=sequential
    )


class iterations:  # noqa: N801
    """Context manager that tells callbacks of a fit and of its iterations.

    It is no generator, for one cannot pass on a StopIteration that a callback raises.

    Parameters
    ----------
    context : CallbackContext or None
        What `begin` returned.
    estimator : estimator
    data : dict
        X, y and metadata, as the hooks of callbacks take them.
    attributes : callable
        Takes theta and returns the fitted attributes.
    """

    def __init__(
        self,
        context: Any,
        estimator: Any,
        data: dict[str, Any],
        attributes: Callable[[NDArray], dict],
    ) -> None:
        self._context = context
        self._task: Any = None
        self._estimator = estimator
        self._data = data
        self._attributes = attributes

    def __enter__(self) -> OnIteration | None:
        """Return what is to be called with theta after every iteration, if there are callbacks.

        It returns whether a callback wants to stop.
        """
        if self._context is None:
            return None
        self._context.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        return self._on_iteration

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell of the end of a fit that was not ended by an error."""
        if self._context is None or kind is not None:
            return
        if self._task is not None:
            self._task.call_on_fit_task_end(estimator=self._estimator)
        self._context.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes={}
        )

    def _start(self, theta: NDArray) -> None:
        self._task = self._context.subcontext(task_name="iteration")
        self._task.call_on_fit_task_begin(estimator=self._estimator, **self._of(theta))

    def _on_iteration(self, theta: NDArray) -> bool:
        if self._task is None:
            self._start(theta)
        stop = self._task.call_on_fit_task_end(estimator=self._estimator, **self._of(theta))
        self._start(theta)
        return bool(stop)

    def _of(self, theta: NDArray) -> dict[str, Any]:
        """Return what callbacks are told at an iterate."""
        return {**self._data, "reconstruction_attributes": lambda: self._attributes(theta)}


class Task:
    """Context manager that tells callbacks of a task, and makes its subtasks.

    It is no generator, for one cannot pass on a StopIteration that a callback raises.

    Parameters
    ----------
    context : CallbackContext or None
        Of the task; None if there are no callbacks.
    estimator : estimator
    data : dict
        X, y and metadata, as the hooks of callbacks take them.
    """

    def __init__(self, context: Any, estimator: Any, data: dict[str, Any]) -> None:
        self._context, self._estimator, self.data = context, estimator, data
        #: Fitted attributes at the end of the task, or what returns them; None if there are none.
        self.attributes: Any = None

    def subtask(self, name: str, number: int | None = None, max_subtasks: int = 0) -> Task:
        """Return a task within this one; `number` is that of a task that is not sequential."""
        context = self._context
        if context is not None:
            context = context.subcontext(task_name=name, task_id=number, max_subtasks=max_subtasks)
        return Task(context, self._estimator, self.data)

    def __enter__(self) -> Task:
        """Tell of its begin."""
        if self._context is not None:
            self._context.call_on_fit_task_begin(estimator=self._estimator, **self.data)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell of its end, if no error ended it."""
        if self._context is not None and kind is None:
            self._context.call_on_fit_task_end(
                estimator=self._estimator,
                **self.data,
                reconstruction_attributes=self.attributes,
            )
