"""scikit-learn's callbacks. Before version 1.9 of scikit-learn there are none.

A fit is a task with a subtask for each iteration. The attributes that callbacks get there make a
fitted estimator as of that iteration. So `ProgressBar` and `ScoringMonitor` work.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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


__all__ = [
    "CallbackSupportMixin",
    "OnIteration",
    "Task",
    "begin",
    "given",
    "iterations",
    "with_callbacks",
]

#: Takes theta after an iteration, and returns whether to stop.
OnIteration = Callable[[NDArray], bool]


def given(**metadata: Any) -> dict[str, Any] | None:
    """Return the metadata that are not None, or None if all of them are."""
    return {name: value for name, value in metadata.items() if value is not None} or None


def begin(
    estimator: Any, max_subtasks: Callable[[], int | None], *, sequential: bool = True
) -> Any:
    """Set up the callbacks. Call it first in fit, so that they are torn down in any case.

    Parameters
    ----------
    estimator : estimator
        With `CallbackSupportMixin` among its bases.
    max_subtasks : callable
        Returns the largest number of tasks of the fit, or None if it is not known. It is called
        only if there are callbacks.
    sequential : bool, default=True
        Whether tasks run one after the other.

    Returns
    -------
    CallbackContext or None
        None if there are no callbacks.
    """
    if not hasattr(estimator, "_skl_callbacks"):
        return None
    return estimator._init_callback_context(
        max_subtasks=max_subtasks(), sequential_subtasks=sequential
    )


class Task:
    """Context manager that tells callbacks about a task, and makes its subtasks.

    It is a class, because a generator cannot pass on a StopIteration that a callback raises.

    Parameters
    ----------
    context : CallbackContext or None
        Context of the task. None if there are no callbacks.
    estimator : estimator
        The estimator that is fitted.
    data : dict
        X, y and metadata, as the hooks of callbacks take them.
    """

    def __init__(self, context: Any, estimator: Any, data: dict[str, Any]) -> None:
        self._context, self._estimator, self.data = context, estimator, data
        #: Fitted attributes, or a function that returns them. None if there are none.
        self.attributes: Any = None

    def subtask(self, name: str, number: int | None = None, max_subtasks: int = 0) -> Task:
        """Return a task within this one. Pass its `number` if subtasks are not sequential."""
        context = self._context
        if context is not None:
            context = context.subcontext(task_name=name, task_id=number, max_subtasks=max_subtasks)
        return Task(context, self._estimator, self.data)

    @property
    def is_told(self) -> bool:
        """Whether there are callbacks."""
        return self._context is not None

    def begin(self) -> None:
        """Tell callbacks that the task begins, and pass its attributes."""
        if self.is_told:
            self._context.call_on_fit_task_begin(
                estimator=self._estimator, **self.data, reconstruction_attributes=self.attributes
            )

    def end(self) -> bool:
        """Tell callbacks that the task ends, and return whether one wants to stop."""
        return self.is_told and bool(
            self._context.call_on_fit_task_end(
                estimator=self._estimator, **self.data, reconstruction_attributes=self.attributes
            )
        )

    def __enter__(self) -> Task:
        """Tell callbacks that the task begins."""
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell callbacks that the task ends, unless an error ended it."""
        if kind is None:
            self.end()


class iterations:  # noqa: N801
    """Context manager that tells callbacks about a fit and its iterations.

    Parameters
    ----------
    task : Task
        Task of the fit.
    attributes : callable
        Takes theta and returns the fitted attributes.
    """

    def __init__(self, task: Task, attributes: Callable[[NDArray], dict]) -> None:
        self._fit, self._attributes = task, attributes
        self._iteration: Task | None = None

    def __enter__(self) -> OnIteration | None:
        """Return a function to call with theta after every iteration; None without callbacks.

        The function returns whether a callback wants to stop.
        """
        self._fit.begin()
        return self._on_iteration if self._fit.is_told else None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell callbacks that the fit ends, unless an error ended it."""
        if kind is not None:
            return
        if self._iteration is not None:  # it has begun, but has no result
            self._iteration.data, self._iteration.attributes = {}, None
            self._iteration.end()
        self._fit.attributes = {}
        self._fit.end()

    def _start(self, theta: NDArray) -> Task:
        iteration = self._fit.subtask("iteration")
        iteration.attributes = partial(self._attributes, theta)
        iteration.begin()
        return iteration

    def _on_iteration(self, theta: NDArray) -> bool:
        iteration = self._iteration or self._start(theta)
        iteration.attributes = partial(self._attributes, theta)
        stop = iteration.end()
        self._iteration = self._start(theta)
        return stop
