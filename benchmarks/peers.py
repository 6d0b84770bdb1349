"""Peers: the estimators that are timed, with their settings and tolerances.

Every peer minimises the same objective on the same raw columns: standardised columns would change
the penalty. A peer makes an estimator for a `Setting`: an object with `fit(X, y)`, `coef_`,
`intercept_` and `n_iter_`. If the estimator keeps a `path_` of points on its way, as (seconds,
iterations, coef, intercept), it is measured at each of them in a single fit.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

#: More iterations than a fit should need: fits are limited by seconds.
MAX_ITER = 100_000
#: The most iterations of the loop in PyTorch, which has too much overhead per iteration for small
#: data.
_TORCH_ITER = 20_000
#: This loop has stalled if the loss falls by less than this share while iterations grow sixfold.
_STALLED = 1e-8


@dataclass(frozen=True)
class Setting:
    """The settings for which an estimator is made.

    Attributes
    ----------
    tol : float or None
    C : float
    n_rows : int
    l1_ratio : {0.0, 1.0}
    seconds : float
        The time that a fit may take.
    enough : float
        An objective so close to the minimum that a fit need not continue.
    """

    tol: Any
    C: float
    n_rows: int
    l1_ratio: float = 0.0
    seconds: float = np.inf
    enough: float = -np.inf


@dataclass(frozen=True)
class Peer:
    """An estimator that minimises the objective.

    Attributes
    ----------
    name : str
    family : {"skce", "scikit-learn", "other"}
    make : callable
        Takes a `Setting`; returns an estimator.
    tolerances : tuple of float or None
        Tolerances from loose to tight; None for a peer that is used with its defaults.
    two_classes : bool
        Whether it accepts only two classes.
    l1_ratios : tuple of float
        The penalties for which it is measured.
    is_default : bool
        Whether it is the plain estimator of a user who sets only C.
    """

    name: str
    family: str
    make: Callable[[Setting], Any]
    tolerances: tuple[float | None, ...]
    two_classes: bool = False
    l1_ratios: tuple[float, ...] = (0.0,)
    is_default: bool = False

    def takes(self, n_classes: int, l1_ratio: float) -> bool:
        """Whether it can fit a problem."""
        return (n_classes == 2 or not self.two_classes) and l1_ratio in self.l1_ratios


def _skce(setting: Setting, *, solver: str) -> Any:
    from skce import SoftmaxClassifier

    return SoftmaxClassifier(
        C=setting.C,
        l1_ratio=setting.l1_ratio,
        solver=solver,
        tol=setting.tol,
        max_iter=MAX_ITER,
    )


def _skce_default(setting: Setting) -> Any:
    from skce import SoftmaxClassifier

    return SoftmaxClassifier(C=setting.C, l1_ratio=setting.l1_ratio)


def _sklearn(setting: Setting, *, solver: str) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=setting.C,
        l1_ratio=setting.l1_ratio,
        solver=solver,
        tol=setting.tol,
        max_iter=MAX_ITER,
    )


def _sklearn_default(setting: Setting) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=setting.C)


def _liblinear(setting: Setting) -> Any:
    from sklearn.linear_model import LogisticRegression

    # The intercept is penalised. A large scaling makes this penalty small, but not zero.
    return LogisticRegression(
        C=setting.C,
        l1_ratio=setting.l1_ratio,
        solver="liblinear",
        tol=setting.tol,
        max_iter=MAX_ITER,
        intercept_scaling=1e3,
    )


class _Intelex:
    """scikit-learn-intelex. `note_` says if it falls back to scikit-learn."""

    def __init__(self, setting: Setting):
        from sklearnex.linear_model import LogisticRegression

        self._model = LogisticRegression(C=setting.C, tol=setting.tol, max_iter=MAX_ITER)

    def fit(self, X: Any, y: NDArray) -> _Intelex:
        """Fit, and read the log messages."""
        log, handler = logging.getLogger("sklearnex"), _Messages()
        log.setLevel(logging.INFO)
        log.addHandler(handler)
        self._model.fit(X, y)
        log.removeHandler(handler)
        fallen_back = any("fallback" in message for message in handler.messages)
        self.note_ = "falls back to scikit-learn" if fallen_back else ""
        self.coef_, self.intercept_ = self._model.coef_, self._model.intercept_
        self.n_iter_ = self._model.n_iter_
        return self


class _Messages(logging.Handler):
    """A handler that keeps the messages that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record."""
        self.messages.append(record.getMessage())


class _Glum:
    """glum's binomial model: mean log-loss + alpha * penalty, so that alpha is 1 / (C n)."""

    def __init__(self, setting: Setting):
        from glum import GeneralizedLinearRegressor

        self._model = GeneralizedLinearRegressor(
            family="binomial",
            link="logit",
            alpha=1 / (setting.C * setting.n_rows),
            l1_ratio=setting.l1_ratio,
            gradient_tol=setting.tol,
            max_iter=MAX_ITER,
        )

    def fit(self, X: Any, y: NDArray) -> _Glum:
        """Fit the second class against the first."""
        self._model.fit(X, (y == np.unique(y)[1]).astype(X.dtype))
        self.coef_ = np.atleast_2d(self._model.coef_)
        self.intercept_ = np.atleast_1d(self._model.intercept_)
        self.n_iter_ = self._model.n_iter_
        return self


class _Skglm:
    """skglm's coordinate descent on a working set; alpha is 1 / (C n)."""

    def __init__(self, setting: Setting):
        from skglm import SparseLogisticRegression

        self._model = SparseLogisticRegression(
            alpha=1 / (setting.C * setting.n_rows), tol=setting.tol, max_iter=1000
        )

    def fit(self, X: Any, y: NDArray) -> _Skglm:
        """Fit."""
        self._model.fit(sp.csc_matrix(X) if sp.issparse(X) else X, y)
        self.coef_, self.intercept_ = self._model.coef_, np.atleast_1d(self._model.intercept_)
        self.n_iter_ = self._model.n_iter_
        return self


class _Cyanure:
    """cyanure with its own choice of solver: mean loss + lambda * penalty; lambda is 1 / (C n)."""

    def __init__(self, setting: Setting):
        from cyanure.estimators import Classifier

        self._model = Classifier(
            loss="logistic",
            penalty="l1" if setting.l1_ratio else "l2",
            lambda_1=1 / (setting.C * setting.n_rows),
            fit_intercept=True,
            tol=setting.tol,
            max_iter=MAX_ITER,
            verbose=False,
        )

    def fit(self, X: Any, y: NDArray) -> _Cyanure:
        """Fit a softmax if there are more than two classes."""
        if len(np.unique(y)) > 2:
            self._model.set_params(multi_class="multinomial")
        self._model.fit(X, y)
        coef = np.asarray(self._model.coef_).reshape(X.shape[1], -1)
        self.coef_, self.intercept_ = coef.T, np.ravel(self._model.intercept_)
        self.n_iter_ = int(np.max(self._model.n_iter_))
        return self


class _SnapML:
    """Snap ML, which fits one class against the rest. Only for two classes is this our objective.

    The intercept is penalised. A large scaling makes this penalty small, but not zero.
    """

    def __init__(self, setting: Setting):
        from snapml import LogisticRegression

        self._model = LogisticRegression(
            regularizer=1 / setting.C,
            penalty="l1" if setting.l1_ratio else "l2",
            dual=not setting.l1_ratio,
            fit_intercept=True,
            intercept_scaling=1e2,
            tol=setting.tol,
            max_iter=MAX_ITER,
            n_jobs=os.cpu_count() or 1,
        )

    def fit(self, X: Any, y: NDArray) -> _SnapML:
        """Fit the second class against the first."""
        self._model.fit(X, np.where(y == np.unique(y)[1], 1.0, -1.0))
        self.coef_ = np.reshape(self._model.coef_, (1, -1))
        self.intercept_ = np.ravel(self._model.intercept_)
        self.n_iter_ = int(np.max(getattr(self._model, "n_iter_", 0)))
        return self


class _TorchLBFGS:
    """The usual loop: full batch, cross-entropy in the dtype of X, L-BFGS with strong Wolfe steps.

    It minimises the mean loss plus ||W||^2 / (2 C n). There is no tolerance: the optimiser runs
    until the loss no longer falls, and points on the way are kept. From one point to the next there
    are a quarter more iterations. Each point costs one evaluation that a single run would not need.
    """

    def __init__(self, setting: Setting):
        self.setting = setting

    def fit(self, X: Any, y: NDArray) -> _TorchLBFGS:
        """Fit by `torch.optim.LBFGS`."""
        import torch

        started = time.perf_counter()
        classes, codes = np.unique(y, return_inverse=True)
        linear, dtype = _torch_linear(X), torch.from_numpy(np.zeros(0, X.dtype)).dtype
        mean_loss = _torch_loss(torch.from_numpy(codes), dtype, len(classes))
        n_outputs = 1 if len(classes) == 2 else len(classes)
        W = torch.zeros((n_outputs, X.shape[1]), dtype=dtype, requires_grad=True)
        b = torch.zeros(n_outputs, dtype=dtype, requires_grad=True)
        scale = self.setting.C * self.setting.n_rows
        optimizer = torch_lbfgs([W, b])

        def closure() -> Any:
            optimizer.zero_grad()
            loss = mean_loss(linear(W) + b) + (W * W).sum() / (2 * scale)
            loss.backward()
            return loss

        self.path_, n_iter, losses = [], 0, [np.inf]
        while n_iter < _TORCH_ITER and not self._is_over(losses, started):
            optimizer.param_groups[0]["max_iter"] = int(np.clip(n_iter // 4, 2, 200))
            # A step returns the loss before the step.
            losses.append(float(optimizer.step(closure)))
            n_iter = optimizer.state[W]["n_iter"]
            point = W.detach().numpy().copy(), b.detach().numpy().copy()
            self.path_.append((time.perf_counter() - started, n_iter, *point))
        self.coef_, self.intercept_ = point
        self.n_iter_ = n_iter
        return self

    def _is_over(self, losses: list[float], started: float) -> bool:
        """Whether the time is over, the loss is low enough, or hardly fell in eight points."""
        if time.perf_counter() - started > self.setting.seconds or np.isnan(losses[-1]):
            return True
        objective = losses[-1] * self.setting.C * self.setting.n_rows
        stalled = len(losses) > 9 and not min(losses[-8:]) < (1 - _STALLED) * min(losses[:-8])
        return objective <= self.setting.enough or stalled


def torch_lbfgs(parameters: list[Any], max_iter: int = 20) -> Any:
    """Return PyTorch's L-BFGS, whose steps make exactly `max_iter` iterations."""
    import torch

    return torch.optim.LBFGS(
        parameters,
        max_iter=max_iter,
        max_eval=10**9,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=20,
        line_search_fn="strong_wolfe",
    )


def _torch_linear(X: Any) -> Callable[[Any], Any]:
    """Return the function that computes X W'. For CSR the transpose is kept for the gradient."""
    import torch

    if not sp.issparse(X):
        dense = torch.from_numpy(X)
        return lambda W: torch.nn.functional.linear(dense, W)
    forward, backward = _torch_csr(X), _torch_csr(X.T.tocsr())

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, W: Any) -> Any:
            return forward @ W.T

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return (backward @ gradient).T

    return Product.apply


def _torch_csr(X: sp.csr_matrix) -> Any:
    import torch

    parts = [torch.from_numpy(part) for part in (X.indptr, X.indices, X.data)]
    return torch.sparse_csr_tensor(*parts, size=X.shape, check_invariants=False)


def _torch_loss(target: Any, dtype: Any, K: int) -> Callable[[Any], Any]:
    import torch

    if K > 2:
        return lambda z: torch.nn.functional.cross_entropy(z, target)
    positive = target.to(dtype)[:, None]
    return lambda z: torch.nn.functional.binary_cross_entropy_with_logits(z, positive)


_SKCE = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9)
_FIRST_ORDER = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10)
_SECOND_ORDER = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)
_EITHER = (0.0, 1.0)
_L1 = (1.0,)

PEERS = {
    peer.name: peer
    for peer in [
        Peer("skce auto", "skce", partial(_skce, solver="auto"), _SKCE, l1_ratios=_EITHER),
        Peer("skce newton-cg", "skce", partial(_skce, solver="newton-cg"), _SKCE),
        Peer("skce lbfgs", "skce", partial(_skce, solver="lbfgs"), _SKCE),
        Peer(
            "SoftmaxClassifier()",
            "skce",
            _skce_default,
            (None,),
            l1_ratios=_EITHER,
            is_default=True,
        ),
        Peer("sklearn lbfgs", "scikit-learn", partial(_sklearn, solver="lbfgs"), _FIRST_ORDER),
        Peer(
            "sklearn newton-cg",
            "scikit-learn",
            partial(_sklearn, solver="newton-cg"),
            _SECOND_ORDER,
        ),
        Peer(
            "sklearn newton-cholesky",
            "scikit-learn",
            partial(_sklearn, solver="newton-cholesky"),
            _SECOND_ORDER,
        ),
        Peer(
            "sklearn liblinear",
            "scikit-learn",
            _liblinear,
            _SECOND_ORDER,
            two_classes=True,
            l1_ratios=_EITHER,
        ),
        Peer(
            "sklearn saga",
            "scikit-learn",
            partial(_sklearn, solver="saga"),
            _FIRST_ORDER,
            l1_ratios=_L1,
        ),
        Peer("LogisticRegression()", "scikit-learn", _sklearn_default, (None,), is_default=True),
        Peer("intelex lbfgs", "other", _Intelex, _FIRST_ORDER),
        Peer("cyanure", "other", _Cyanure, _FIRST_ORDER, l1_ratios=_EITHER),
        Peer("snapml", "other", _SnapML, _FIRST_ORDER, two_classes=True, l1_ratios=_EITHER),
        Peer("torch LBFGS", "other", _TorchLBFGS, (None,)),
        Peer("glum", "other", _Glum, _FIRST_ORDER, two_classes=True, l1_ratios=_EITHER),
        Peer("skglm", "other", _Skglm, _FIRST_ORDER, two_classes=True, l1_ratios=_L1),
    ]
}
