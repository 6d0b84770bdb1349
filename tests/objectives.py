"""An objective from X and y, as the estimators make it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from skce import SoftmaxClassifier
from skce._costs import DEFAULT, Costs
from skce._data import Data, as_data, read_as
from skce._losses import LOSSES
from skce._problem.objective import Objective
from skce._problem.penalty import Penalty
from skce._solver.newton import HessianProducts, Preconditioned
from skce._solver.variables import Whitened, Whitening
from skce._targets.fold import ClassWeight
from skce._targets.mass import fold_weights
from skce._targets.meaning import read_targets

Kind = TypeVar("Kind", bound=Preconditioned)


def make(
    X: Any,
    y: NDArray,
    loss: str = "auto",
    *,
    C: float = 0.7,
    fit_intercept: bool = True,
    weights: NDArray | None = None,
    class_weight: ClassWeight = None,
    smoothing: float = 0.0,
    centred: bool | None = None,
    dtype: Any = None,
    costs: Costs = DEFAULT,
    **params: Any,
) -> Objective:
    """Return the objective of rows and targets. `dtype` is the dtype of the targets."""
    dtype = read_as(X, costs) if dtype is None else dtype
    raw = read_targets(y, loss)
    targets = fold_weights(raw, weights, class_weight, smoothing, np.dtype(dtype))
    centred = fit_intercept if centred is None else centred
    data = as_data(X, targets, centred=centred, costs=costs)
    penalty = penalty_of(data, C=C, **params)
    return Objective(data, LOSSES[targets.loss], penalty, fit_intercept=fit_intercept)


def at_costs(**costs: Any) -> type[SoftmaxClassifier]:
    """Return the estimator with other costs than the default."""
    return type("SoftmaxClassifier", (SoftmaxClassifier,), {"_costs": replace(DEFAULT, **costs)})


def penalty_of(data: Data, cls: type[Penalty] = Penalty, **params: Any) -> Penalty:
    """Return a penalty for data."""
    return cls(n_columns=data.n_columns, total_weight=data.total_weight, **params)


def method_of(
    kind: type[Kind],
    objective: Objective,
    base: Whitened,
    variables: Whitening | None = None,
    **state: Any,
) -> Kind:
    """Return a method for an objective, by default in the variables `base`."""
    return kind(
        hessp=HessianProducts(objective),
        objective=objective,
        base=base,
        variables=base if variables is None else variables,
        **state,
    )
