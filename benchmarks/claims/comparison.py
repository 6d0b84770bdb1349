"""Alternatives with their defaults: cross-validated log-loss, accuracy and CPU time."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..worker import launch
from ._common import DAY

_FOLDS = 5
_NAMES = ("digits", "breast_cancer")


class _TorchLoop:
    """The loop of most tutorials: Adam, minibatches of 64, 30 epochs, on standardised columns."""

    def fit(self, X: NDArray, y: NDArray) -> _TorchLoop:
        """Fit a linear layer by `CrossEntropyLoss`."""
        import torch

        torch.manual_seed(0)
        self._mean, self._scale = X.mean(axis=0), X.std(axis=0) + 1e-12
        Z, target = self._tensor(X), torch.as_tensor(y)
        self._layer = torch.nn.Linear(X.shape[1], int(y.max()) + 1)
        loss, adam = torch.nn.CrossEntropyLoss(), torch.optim.Adam(self._layer.parameters(), 1e-2)
        for _ in range(30):
            for rows in torch.randperm(len(Z)).split(64):
                adam.zero_grad()
                loss(self._layer(Z[rows]), target[rows]).backward()
                adam.step()
        return self

    def predict_proba(self, X: NDArray) -> NDArray:
        """Return the softmax of the layer."""
        import torch

        with torch.no_grad():
            return torch.softmax(self._layer(self._tensor(X)), 1).numpy().astype(float)

    def _tensor(self, X: NDArray) -> Any:
        import torch

        return torch.as_tensor((X - self._mean) / self._scale, dtype=torch.float32)


class _Statsmodels:
    """Maximum likelihood without a penalty, with an intercept."""

    def fit(self, X: NDArray, y: NDArray) -> _Statsmodels:
        """Fit `MNLogit`."""
        import statsmodels.api as sm

        self._result = sm.MNLogit(y, sm.add_constant(X, has_constant="add")).fit(disp=0)
        return self

    def predict_proba(self, X: NDArray) -> NDArray:
        """Return the predictions of the result."""
        import statsmodels.api as sm

        proba = np.asarray(self._result.predict(sm.add_constant(X, has_constant="add")))
        if not np.isfinite(proba).all():
            raise ValueError("predictions are NaN")
        return proba


class _Glum:
    """glum's binomial model with the penalty of C = 1."""

    def fit(self, X: NDArray, y: NDArray) -> _Glum:
        """Fit the second class against the first."""
        from glum import GeneralizedLinearRegressor

        if y.max() > 1:
            raise ValueError("two classes only")
        self._model = GeneralizedLinearRegressor(family="binomial", alpha=1 / len(y), l1_ratio=0)
        self._model.fit(X, y.astype(float))
        return self

    def predict_proba(self, X: NDArray) -> NDArray:
        """Return both probabilities."""
        q = self._model.predict(X)
        return np.column_stack([1 - q, q])


def _sgd() -> Any:
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss", random_state=0))


def _scaled() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression())


def _ours_scaled() -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skce import SoftmaxClassifier

    return make_pipeline(StandardScaler(), SoftmaxClassifier())


def _ours() -> Any:
    from skce import SoftmaxClassifier

    return SoftmaxClassifier()


def _sklearn() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def _xgboost() -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(n_jobs=1)


_ESTIMATORS: dict[str, Callable[[], Any]] = {
    "SoftmaxClassifier()": _ours,
    "StandardScaler, SoftmaxClassifier()": _ours_scaled,
    "LogisticRegression()": _sklearn,
    "StandardScaler, LogisticRegression()": _scaled,
    "StandardScaler, SGDClassifier(loss='log_loss')": _sgd,
    "PyTorch: linear layer, Adam, 30 epochs, standardised": _TorchLoop,
    "statsmodels MNLogit": _Statsmodels,
    "glum, binomial, alpha = 1 / n": _Glum,
    "XGBClassifier()": _xgboost,
}


def comparison(options: argparse.Namespace) -> str:
    """Compare the alternatives on two small tables, with one process for each."""
    lines = [
        f"Means over {_FOLDS} stratified folds: log-loss and accuracy on the test rows, and CPU "
        "seconds of a fit, on one thread. Columns are raw unless the name says otherwise.",
        "",
        f"| | {' | '.join(f'{n}: log-loss | accuracy | CPU s' for n in _NAMES)} |",
        "| --- |" + " ---: | ---: | ---: |" * len(_NAMES),
    ]
    for name in _ESTIMATORS:
        cells = [_cell(name, data) for data in _NAMES]
        print(name, cells, flush=True)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(name: str, data: str) -> str:
    task = "benchmarks.claims.comparison:comparison_task"
    found = launch(task, threads="one", limit=DAY, name=name, data=data)
    if "loss" not in found:
        return f"{found['why']} | - | -"
    cell = f"{found['loss']:.3f} | {found['accuracy']:.3f} | {found['seconds']:.2g}"
    return cell + (f" (warns: {found['warning']})" if found["warning"] else "")


def comparison_task(*, name: str, data: str, limit: float) -> dict[str, Any]:
    """Cross-validate an estimator, and return its CPU time and its warnings, too."""
    from sklearn import datasets
    from sklearn.metrics import accuracy_score, log_loss
    from sklearn.model_selection import StratifiedKFold

    X, y = getattr(datasets, f"load_{data}")(return_X_y=True)
    losses, accuracies, seconds, names = [], [], [], set()
    for fold, (train, test) in enumerate(
        StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(X, y)
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                if not fold:  # imports, and other work that is done once
                    _ESTIMATORS[name]().fit(X[train], y[train])
                start = time.process_time()
                model = _ESTIMATORS[name]().fit(X[train], y[train])
                seconds.append(time.process_time() - start)
                proba = model.predict_proba(X[test])
            except Exception as error:
                return {"why": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        names |= {w.category.__name__ for w in caught if "onvergence" in w.category.__name__}
        losses.append(log_loss(y[test], proba, labels=np.unique(y)))
        accuracies.append(accuracy_score(y[test], proba.argmax(axis=1)))
    return {
        "loss": float(np.mean(losses)),
        "accuracy": float(np.mean(accuracies)),
        "seconds": float(np.mean(seconds)),
        "warning": ", ".join(sorted(names)),
    }
