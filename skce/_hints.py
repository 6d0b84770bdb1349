"""Hints for arguments of other libraries: which argument to use instead."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

Init = TypeVar("Init", bound=Callable[..., None])

_LEAVE_OUT = "Leave it out: "
_BY_VALUE: dict[str, dict[str | None, str]] = {
    "penalty": {
        "l1": "Type l1_ratio=1.0.",
        "l2": "Leave it out, or type l1_ratio=0.0, which is the default.",
        "elasticnet": "Type an l1_ratio between 0 and 1.",
        "none": "Type C=np.inf.",
        None: "Type C=np.inf.",
    },
    "multi_class": {
        "multinomial": "Type loss='categorical', which is the default for three or more classes.",
        "ovr": "Type loss='binary'.",
        "auto": "Leave it out.",
    },
}
_HINTS = {
    "penalty": "Type l1_ratio: 0 is L2 and 1 is L1. For no penalty type C=np.inf.",
    "multi_class": "Type loss='categorical' for softmax, or loss='binary' for one-vs-rest.",
    "random_state": f"{_LEAVE_OUT}the same input gives the same coefficients.",
    "n_jobs": f"{_LEAVE_OUT}a fit uses the threads that BLAS may use. For fewer threads set "
    "OMP_NUM_THREADS, or use threadpoolctl.",
    "dual": f"{_LEAVE_OUT}the solver finds the same optimum.",
    "intercept_scaling": f"{_LEAVE_OUT}intercepts are never penalised.",
    "alpha": "Type C, which is its inverse: C = 1 / (n_samples * alpha) for the alpha of "
    "SGDClassifier.",
    "weight_decay": "Type C, which is its inverse: C = 1 / (n_samples * weight_decay) for a mean "
    "loss.",
    "C": "Type Cs=[...], or use SoftmaxClassifier.",
    "Cs": "Use SoftmaxClassifierCV, or type C.",
    "l1_ratio": "Type l1_ratios=[...].",
    "l1_ratios": "Use SoftmaxClassifierCV, or type l1_ratio.",
    "cv": "Use SoftmaxClassifierCV.",
    "scoring": "Use SoftmaxClassifierCV.",
    "refit": "Use SoftmaxClassifierCV.",
}


def with_hints(init: Init) -> Init:
    """Make `__init__` name the argument to use in place of a parameter of other libraries.

    The signature is kept, so that scikit-learn finds the parameters.

    Parameters
    ----------
    init : callable
        The method.

    Returns
    -------
    callable
        The method, which raises a TypeError with a hint.
    """
    known = signature(init).parameters

    @wraps(init)
    def hinting(self: Any, *args: Any, **kwargs: Any) -> None:
        for name, value in kwargs.items():
            if name not in known and name in _HINTS:
                raise TypeError(
                    f"{type(self).__name__}.__init__() got an unexpected keyword argument "
                    f"{name!r}. {_hint(name, value)}"
                )
        init(self, *args, **kwargs)

    return hinting  # type: ignore[return-value]


def _hint(name: str, value: Any) -> str:
    """Return the hint for a parameter: for this value if there is one, else for any value."""
    by_value = _BY_VALUE.get(name, {})
    return by_value[value] if isinstance(value, str | None) and value in by_value else _HINTS[name]
