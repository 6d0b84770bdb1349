"""The choice of C by cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from . import _path
from ._array_api import computes_in_numpy, fits_in_numpy
from ._callbacks import Task, begin, given, with_callbacks
from ._checks import N_JOBS, Number, check_folds, check_number, check_numbers
from ._classifier import SoftmaxClassifier
from ._data import Data, as_data, read_as
from ._hints import with_hints
from ._interrupts import unchanged_on_error
from ._linear_model import LinearModel
from ._losses import loss_of
from ._path import MOST_CS, fits, grid
from ._problem import kernels
from ._problem.certain import at_limit, certain
from ._problem.objective import Objective
from ._problem.penalty import Penalty
from ._rows import Rows, opened, unless_mapped
from ._sklearn import fit_context, safe_indexing
from ._solver.minimize import minimize
from ._solver.stop import Report, warn_if_not_converged
from ._targets.mass import Targets, fold_weights
from ._targets.meaning import RawTargets, check_y, column_names
from ._warnings import warn
from .metrics import LogLossScorer, make_log_loss_scorer
from .model_selection import StratifiedProbabilityKFold

#: `tol` of the fits that are only scored. The Newton step that ends a fit left gaps below 1e-6.
_SCORED_TOL = 1e-3
#: How far the logit of a class without mass is put below the others. A probability of exp(-50) is
#: below the epsilon that log-loss clips to, exp(-36).
_NEVER = 50.0

#: Parameters that `SoftmaxClassifierCV` passes on.
_SHARED = (
    "loss",
    "fit_intercept",
    "class_weight",
    "label_smoothing",
    "coef_bounds",
    "penalty_weights",
    "solver",
    "tol",
    "max_iter",
    "verbose",
)


class SoftmaxClassifierCV(LinearModel):
    """A :class:`SoftmaxClassifier` with C, and l1_ratio, chosen by cross-validation.

    For every fold the whole path of C is fitted, each fit from the one before, and scored on the
    rows that were left out; then the best is fitted to all rows.

    Parameters
    ----------
    Cs : int or array-like of shape (n_Cs,), default=10
        Values of C, or how many to take from the data, as in :func:`softmax_path`.
    l1_ratios : array-like of shape (n_l1_ratios,), default=(0.0,)
        Shares of the L1 penalty to try.
    cv : int, splitter or iterable, default=None
        Folds; None means 5. An int makes stratified ones: for probability targets those of
        :class:`~skce.model_selection.StratifiedProbabilityKFold`. An iterable gives pairs
        (train, test) of row numbers, or of masks of all rows.
    scoring : str or callable, default=None
        Score to choose by, greater being better; None for the negative log-loss, taken from the
        logits, which needs no clipping (for one-vs-rest, and where the training rows of a fold lack
        a class, from the probabilities). A metric that takes `labels` gets all classes, as in
        :class:`~sklearn.linear_model.LogisticRegressionCV`, since test rows may lack some.
    refit : bool, default=True
        Whether to fit the best to all rows. If False, `coef_`, `intercept_`, `C_` and `l1_ratio_`
        are means over folds of each fold's best.
    n_jobs : int, default=None
        Number of processes, one fold each; None means 1. One fit uses all threads.
    loss : {"auto", "categorical", "binary"}, default="auto"
        What the targets mean.
    fit_intercept : bool, default=True
        Whether to fit an intercept per coefficient vector.
    class_weight : dict or "balanced", default=None
        Factors on the target mass of classes.
    label_smoothing : float, default=0.0
        Share of the target mass that is spread evenly over the classes.
    coef_bounds : tuple (low, high), default=None
        Bounds of the coefficients.
    penalty_weights : array-like of shape (n_features,), default=None
        Factors of the penalty, one for each feature.
    solver : {"auto", "newton-cg", "lbfgs"} or callable, default="auto"
        As in :class:`SoftmaxClassifier`.
    tol : float, default=1e-9
        Accuracy of the last fit; those that are only scored have 1e-3, or `tol` if that is more.
    max_iter : int, default=1000
        Iterations of the solver at most, for each value of C.
    verbose : int, default=0
        Whether to print a line per iteration.

    Attributes
    ----------
    C_ : float
        The best C.
    l1_ratio_ : float
        The best l1_ratio.
    C_1se_ : float
        The smallest C, at the best l1_ratio, whose mean score is within one standard error of the
        best: the simplest model that is about as good.
    Cs_ : ndarray of shape (n_Cs,)
        Values of C, ascending.
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
        Values of l1_ratio.
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
        Scores on the rows left out.
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs, n_outputs, n_features + 1)
        Coefficients of all fits, the intercept last (without one if ``fit_intercept=False``).
    n_iter_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
        Iterations of all fits.
    classes_ : ndarray of shape (n_classes,)
        Class labels, as in :class:`SoftmaxClassifier`.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients of the last fit.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts of the last fit.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X had names that are all strings.
    loss_curve_ : ndarray of shape (n_iter,)
        Objective of the last fit after each iteration.
    optimize_result_ : scipy.optimize.OptimizeResult
        How the last fit went.

    See Also
    --------
    SoftmaxClassifier : With a given C.
    sklearn.linear_model.LogisticRegressionCV : For labels only.

    Notes
    -----
    A class that has no mass in the training rows of a fold gets probability zero there: its
    coefficients are zero, and its intercept is 50 below those of the other classes. Its rows then
    cost the same for every C, and the others choose. Without an intercept, or with label smoothing,
    such a class has a probability that depends on C, and is fitted as any other.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SoftmaxClassifierCV(Cs=[0.1, 1, 10, 100]).fit(X, y)
    >>> clf.C_
    100.0
    >>> clf.scores_.shape
    (5, 1, 4)
    """

    #: Of which the candidates are.
    _classifier = SoftmaxClassifier

    _parameter_constraints: dict = {  # noqa: RUF012
        **{name: SoftmaxClassifier._parameter_constraints[name] for name in _SHARED},
        "Cs": [Number(Integral, 1, MOST_CS, closed="both"), "array-like"],
        "l1_ratios": ["array-like"],
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "refit": ["boolean"],
        "n_jobs": N_JOBS,
    }

    @with_hints
    def __init__(
        self,
        *,
        Cs: int | ArrayLike = 10,
        l1_ratios: ArrayLike = (0.0,),
        cv: Any = None,
        scoring: Any = None,
        refit: bool = True,
        n_jobs: int | None = None,
        loss: str = "auto",
        fit_intercept: bool = True,
        class_weight: dict | str | None = None,
        label_smoothing: float = 0.0,
        coef_bounds: tuple | None = None,
        penalty_weights: ArrayLike | None = None,
        solver: Any = "auto",
        tol: float = 1e-9,
        max_iter: int = 1000,
        verbose: int = 0,
    ):
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.n_jobs = n_jobs
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.coef_bounds = coef_bounds
        self.penalty_weights = penalty_weights
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.verbose = verbose

    @unchanged_on_error
    @fits_in_numpy
    @fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        **params: Any,
    ) -> SoftmaxClassifierCV:
        """Choose C and l1_ratio, and fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities, as in :meth:`SoftmaxClassifier.fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, in fits and in scores. With metadata routing the
            scorer decides whether it takes them, unless ``scoring=None``.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as :meth:`SoftmaxClassifier.fit` takes them, in fits and in
            scores.
        **params : dict
            Metadata for the splitter and the scorer, such as `groups`. Metadata routing must be
            enabled for it.

        Returns
        -------
        SoftmaxClassifierCV
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y or `sample_weight` is not as described, all training rows of a fold
            weigh zero, or no candidate has a score that is finite in every fold.

        Warns
        -----
        ConvergenceWarning
            If `tol` was not reached.
        UserWarning
            If some candidates have scores that are not finite; they are not chosen.
        """
        context = begin(self, self._n_tasks, sequential=False)
        X, raw, weights = self._read_raw(X, y, sample_weight, offset)
        y = self._y_for_scores(y)
        params |= given(offset=raw.offset) or {}
        metadata = given(sample_weight=sample_weight, offset=offset)
        with Task(context, self, {"X": X, "y": y, "metadata": metadata}) as task:
            self._fit(task, X, y, raw, weights, params)
            task.attributes = {}
        return self

    def _fit(
        self,
        task: Task,
        X: Any,
        y: Any,
        raw: RawTargets,
        weights: NDArray | None,
        params: dict[str, Any],
    ) -> None:
        """Fit all candidates on all folds, and the best one on all rows."""
        model = self._classifier(**{name: getattr(self, name) for name in _SHARED})
        targets = model._fold_weights(raw, weights, X)
        objective = model._objective(X, targets)
        self.l1_ratios_ = _shares(self.l1_ratios)
        self.Cs_ = grid(self.Cs, objective, self.l1_ratios_.max())
        for_split, for_score = _routed(self, weights, params, "fit")
        by_logits = self.scoring is None and raw.form != "one-vs-rest"
        scorer = None if by_logits else self._scorer()
        folds = self._folds(X, y, raw, for_split)
        X = unless_mapped(X, model._costs.part_bytes)
        fold = self._fold_class(
            model, X, y, raw, weights, self.Cs_, self.l1_ratios_, scorer, for_score
        )
        found = Parallel(n_jobs=None if self.n_jobs is None else int(self.n_jobs))(
            delayed(fold)(i, train, test, task.subtask("fold", i, fold.n_candidates))
            for i, (train, test) in enumerate(folds)
        )
        scores, paths, n_iters, complete = zip(*found, strict=True)
        self.scores_, self.n_iter_ = np.array(scores), np.array(n_iters)
        self.coefs_paths_ = np.array(paths)
        best = self._choose()
        if not self.refit:
            mean = self._packed(objective, best)
            self.__dict__.update(self._attributes(objective, targets, mean))
            return
        with task.subtask("refit", len(folds)) as refit:
            report = self._refit(objective, targets, best, np.array(complete))
            refit.attributes = partial(self._attributes, objective, targets, report.result.x)
        warn_if_not_converged(
            report,
            tol=self.tol,
            unpenalised=bool(np.isinf(self.C_)),
            dtype=objective.data.dtype,
            classes=raw.classes,
            features=getattr(self, "feature_names_in_", None),
        )

    @property
    def _fold_class(self) -> type[_Fold]:
        return _Fold

    def _y_for_scores(self, y: Any) -> Any:
        """Return y as scorers and splitters get it."""
        return check_y(y, missing=True) if column_names(y) is None else y

    def _folds(self, X: Any, y: Any, raw: RawTargets, for_split: dict[str, Any]) -> list:
        """Return the training and the test rows of each fold."""
        cv = self._splitter().split(X, y, **for_split) if self._cv_splits else self.cv
        return check_folds(cv, len(raw.values))

    def _n_tasks(self) -> int | None:
        """Folds, and the last fit, if their number does not depend on the data."""
        try:
            n_folds = self._splitter().get_n_splits() if self._cv_splits else len(self.cv)
        except (TypeError, ValueError):
            return None
        return int(n_folds) + bool(self.refit)

    @computes_in_numpy
    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        **params: Any,
    ) -> float:
        """Score by `scoring`; without one as :meth:`SoftmaxClassifier.score` does, by accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as :meth:`SoftmaxClassifier.fit` takes them.
        **params : dict
            Metadata for the scorer. Metadata routing must be enabled for it.

        Returns
        -------
        float
            The score, greater being better.
        """
        if self.scoring is None:
            return super().score(X, y, sample_weight, offset=offset)
        params |= given(offset=offset) or {}
        _, for_score = _routed(self, sample_weight, params, "score")
        scorer, targets = self._scorer(), check_y(y, missing=True)
        if targets.ndim == 1:
            scorer, y = _knowing(scorer, self.classes_), targets
        return check_number(scorer(self, X, y, **for_score), "the score of scoring")

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what metadata goes where, as scikit-learn asks for it.

        Returns
        -------
        MetadataRouter
            From `fit` to this estimator, to the splitter's `split` and to the scorer's `score`.
        """
        to_split = MethodMapping().add(caller="fit", callee="split")
        to_score = MethodMapping().add(caller="fit", callee="score")
        to_score.add(caller="score", callee="score")
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(splitter=self._splitter(), method_mapping=to_split)
        return router.add(scorer=self._scorer(), method_mapping=to_score)

    @property
    def _inverse_penalty(self) -> float:
        return self.C_

    @property
    def _l1_share(self) -> float:
        """l1_ratio of the fit, or of all fits to come if there is only one to choose from."""
        if not hasattr(self, "l1_ratio_") and len(set(_shares(self.l1_ratios))) == 1:
            return float(_shares(self.l1_ratios)[0])
        return self.l1_ratio_

    @property
    def _cv_splits(self) -> bool:
        """Whether `cv` makes folds, or else is an iterable of them."""
        is_number = isinstance(self.cv, Integral) or self.cv is None
        return is_number or hasattr(self.cv, "get_n_splits")

    def _splitter(self) -> Any:
        if isinstance(self.cv, Integral) or self.cv is None:
            return StratifiedProbabilityKFold(5 if self.cv is None else int(self.cv))
        return self.cv if self._cv_splits else check_cv(())  # which routes nothing

    def _scorer(self) -> Any:
        if self.scoring is not None:
            return check_scoring(self, scoring=self.scoring)
        scorer = make_log_loss_scorer()
        if get_config()["enable_metadata_routing"]:
            scorer.set_score_request(sample_weight=True, offset=True)
        return scorer

    def _choose(self) -> NDArray:
        """Set the best values, and the strongest penalty that is about as good.

        Return the coefficients that each fold has there.
        """
        scores = _finite(self.scores_, self.Cs_, self.l1_ratios_)
        n_folds = len(scores)
        mean = scores.mean(axis=0)
        j, i = np.unravel_index(int(mean.argmax()), mean.shape)
        error = scores[:, j, i].std(ddof=1) / np.sqrt(n_folds) if n_folds > 1 else 0.0
        self.C_1se_ = float(self.Cs_[(mean[j] >= mean[j, i] - error).argmax()])
        if not self.refit:
            j, i = np.unravel_index(scores.reshape(n_folds, -1).argmax(axis=1), mean.shape)
        self.C_, self.l1_ratio_ = float(self.Cs_[i].mean()), float(self.l1_ratios_[j].mean())
        return self.coefs_paths_[np.arange(n_folds), j, i]

    def _refit(
        self, objective: Objective, targets: Targets, best: NDArray, complete: NDArray
    ) -> Report:
        """Fit the best to all rows.

        It starts from the mean of the folds whose training rows have all classes.
        """
        start = best[complete] if complete.any() else np.zeros_like(best)
        report = minimize(
            objective.penalised(self.C_, self.l1_ratio_),
            self._packed(objective, start),
            solver=self.solver,
            tol=float(self.tol),
            max_iter=self.max_iter,
            verbose=self.verbose,
            label=f"all rows  C={self.C_:g}  ",
        )
        n_iter = self.n_iter_
        self._store(objective, targets, report)
        self.n_iter_ = n_iter
        return report

    def _packed(self, objective: Objective, coefs: NDArray) -> NDArray:
        """Mean of the coefficients of folds, as variables of the objective."""
        mean, p = coefs.mean(axis=0), objective.layout.n_columns
        return objective.layout.pack(mean[:, :p], mean[:, p] if self.fit_intercept else np.zeros(0))


def _routed(
    cv: SoftmaxClassifierCV, weights: ArrayLike | None, params: dict[str, Any], caller: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metadata for the splitter and for the scorer."""
    if "offset" in params and not _takes_offset(cv._scorer()):
        raise ValueError(
            f"scoring={cv.scoring!r:.100} predicts without the offset. Use scoring=None or "
            "skce.metrics.make_log_loss_scorer()."
        )
    if get_config()["enable_metadata_routing"]:
        routed = process_routing(cv, caller, sample_weight=weights, **params)
        return routed.get("splitter", {}).get("split", {}), routed.scorer.score
    others = ", ".join(sorted(params.keys() - {"offset"}))
    if others:
        raise ValueError(
            f"SoftmaxClassifierCV.{caller} got {others}, which it can pass on only with metadata "
            "routing: sklearn.set_config(enable_metadata_routing=True)."
        )
    return {}, given(sample_weight=weights, **params) or {}


def _takes_offset(scorer: Any) -> bool:
    """Whether a scorer predicts with an offset."""
    return "offset" in signature(scorer).parameters


def _finite(scores: NDArray, Cs: NDArray, l1_ratios: NDArray) -> NDArray:
    """Scores, minus infinity in all folds of a candidate that has none in some fold."""
    bad = ~np.isfinite(scores)
    if not bad.any():
        return scores
    candidates = bad.any(axis=0)
    k, j, i = np.argwhere(bad)[0]
    what = (
        f"scoring gave {scores[k, j, i]:g} on the test rows of fold {k} for "
        f"C={Cs[i]:g}, l1_ratio={l1_ratios[j]:g}"
    )
    if candidates.all():
        raise ValueError(
            f"No C can be chosen: {what}, and no candidate has a finite score in every fold. "
            "Pass folds in which the score exists as cv, stratified ones say, or another "
            "scoring."
        )
    warn(
        f"{what}, and {candidates.sum()} of {candidates.size} candidates have such a score in "
        "some fold. They are not chosen.",
        UserWarning,
    )
    return np.where(candidates, -np.inf, scores)


def _shares(l1_ratios: ArrayLike) -> NDArray:
    """Values of l1_ratio, checked."""
    shares = np.atleast_1d(check_numbers(l1_ratios, "l1_ratios").astype(np.float64))
    bad = ~((shares >= 0) & (shares <= 1))
    if shares.ndim != 1 or not len(shares) or bad.any():
        what = f"one is {shares[bad].flat[0]:g}" if bad.any() else f"got shape {shares.shape}"
        raise ValueError(f"l1_ratios must be a list of numbers in [0, 1], but {what}.")
    return shares


@dataclass
class _Fold:
    """Fits and scores all candidates on a fold.

    Attributes
    ----------
    model : SoftmaxClassifier
    X, y, raw, weights
        All rows.
    Cs, l1_ratios : ndarray
    scorer : callable, or None for the loss of the logits
    metadata : dict
        For the scorer, of all rows.
    """

    model: SoftmaxClassifier
    X: Any
    y: Any
    raw: RawTargets
    weights: NDArray | None
    Cs: NDArray
    l1_ratios: NDArray
    scorer: Any
    metadata: dict[str, Any]

    @property
    def n_candidates(self) -> int:
        """Fits on each fold."""
        return len(self.Cs) * len(self.l1_ratios)

    def __call__(
        self, number: int, train: NDArray, test: NDArray, task: Task
    ) -> tuple[list, list, list, bool]:
        """Scores, coefficients and iterations, by l1_ratio and C; whether no class lacks mass."""
        if isinstance(self.X, Rows):  # which are read in their order
            train, test = np.sort(train), np.sort(test)
        X = opened(self.X[train], self.model._costs.part_bytes)
        if task.is_told:
            task.data = {"X": X, "y": safe_indexing(self.y, train), "metadata": None}
        model = clone(self.model)
        with task:
            return self._fit(number, model, X, self._targets(model, X, train), test, task)

    def _targets(self, model: SoftmaxClassifier, X: Any, train: Any) -> Any:
        """Return the targets of the training rows; None if these weigh nothing."""
        weights = None if self.weights is None else self.weights[train]
        if weights is not None and not weights.any():
            return None
        return model._fold_weights(self.raw.take(train), weights, X)

    def _weigh_nothing(self, test: Any) -> bool:
        """Whether no test row has weight."""
        return self.weights is not None and not self.weights[test].any()

    def _fit(
        self, number: int, model: SoftmaxClassifier, X: Any, targets: Any, test: Any, task: Task
    ) -> tuple[list, list, list, bool]:
        """Fit all candidates on the training rows, and score them on the others."""
        way_out = "Drop rows without weight, or pass other folds as cv."
        if targets is None:
            raise ValueError(
                f"sample_weight is zero in all training rows of fold {number}. {way_out}"
            )
        objective = model._objective(X, targets)
        never, always = certain(objective)
        complete = not (never.any() or always.any())
        far = _NEVER + 2 * self.raw.largest_offset
        if self.scorer is None and self._weigh_nothing(test):
            raise ValueError(f"sample_weight is zero in all test rows of fold {number}. {way_out}")
        by_loss = self.scorer is None and complete
        score = self._loss(test) if by_loss else self._score(model, targets, test)
        scores: list[list] = []
        paths: list[list] = []
        n_iters: list[list] = []
        for l1_ratio in self.l1_ratios.tolist():
            for rows in (scores, paths, n_iters):
                rows.append([])
            tol = max(float(model.tol), _SCORED_TOL)
            start = model._start(objective, targets)
            label = f"fold {number}  l1_ratio={l1_ratio:g}  "
            reports = fits(model, objective, start, self.Cs, l1_ratio, tol, label)
            for C in self.Cs:
                with task.subtask(f"l1_ratio={l1_ratio:g}, C={C:g}") as candidate:
                    report = next(reports)
                    if not complete:
                        theta = report.result.x
                        report.result.x = at_limit(objective, theta, never, always, far=far)
                    x = report.result.x
                    scores[-1].append(score(objective, report))
                    candidate.attributes = partial(model._attributes, objective, targets, x)
                parts = objective.layout.unpack(x)
                paths[-1].append(np.column_stack(parts if model.fit_intercept else parts[:1]))
                n_iters[-1].append(report.result.nit)
        return scores, paths, n_iters, complete

    def _loss(self, test: Any) -> Callable[[Objective, Report], float]:
        """Return the function that takes a fit to its negative log-loss, averaged over labels."""
        fit_intercept = self.model.fit_intercept
        data = self._test_data(test)
        nothing = Penalty(n_columns=data.n_columns, total_weight=data.total_weight, C=np.inf)
        losses = Objective(data, loss_of(self.raw), nothing, fit_intercept=fit_intercept)
        outputs = self._outputs_of_a_row(data)

        def score(objective: Objective, report: Report) -> float:
            loss, _ = losses.value_gradient(losses.from_user(report.result.x))
            return -loss / outputs

        return score

    def _outputs_of_a_row(self, data: Data) -> float:
        """Return over how many outputs the loss of a row is averaged: those that are known."""
        if self.raw.form != "multilabel":
            return 1
        if not self.raw.has_missing:
            return data.n_outputs
        (known,) = data.sum(kernels.total_mass)
        if not known > 0:
            raise ValueError(
                "No label of y is known in the test rows of a fold. Pass other folds as cv."
            )
        return known / data.total_weight

    def _test_data(self, test: Any) -> Data:
        """Return the test rows, without class weights and smoothing."""
        costs = self.model._costs
        X = opened(self.X[test], costs.part_bytes)
        targets = fold_weights(self.raw, self.weights, None, 0.0, read_as(X, costs)).take(test)
        return as_data(X, targets, centred=self.model.fit_intercept, costs=costs)

    def _test_rows(self, test: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return the test rows, their y, and what a scorer gets beside."""
        metadata = {
            name: value if np.ndim(value) == 0 else safe_indexing(value, test)
            for name, value in self.metadata.items()
        }
        X = opened(self.X[test], self.model._costs.part_bytes)
        return X, safe_indexing(self.y, test), metadata

    def _score(
        self, model: SoftmaxClassifier, targets: Targets, test: Any
    ) -> Callable[[Objective, Report], float]:
        """Return the function that takes a fit to what the scorer says of it."""
        X, y, metadata = self._test_rows(test)
        multilabel = self.raw.form == "multilabel"
        scorer = self.scorer
        if scorer is None:
            scorer = make_log_loss_scorer(loss="binary" if multilabel else "categorical")
        elif np.ndim(self.y) == 1:
            scorer = _knowing(scorer, self.raw.classes)

        def score(objective: Objective, report: Report) -> float:
            model._store(objective, targets, report)
            return check_number(scorer(model, X, y, **metadata), "the score of scoring")

        return score


def _knowing(scorer: Any, classes: NDArray) -> Any:
    """Return a scorer of scikit-learn that passes all classes to its metric, if it asks for them.

    Test rows may lack some. This is what LogisticRegressionCV does. A metric for one class of two
    that would not find its own among them gets the second.
    """
    metric = getattr(scorer, "_score_func", None)
    if metric is None or isinstance(scorer, LogLossScorer):
        return scorer
    asked = signature(metric).parameters
    if "labels" not in asked:
        return scorer
    known: dict[str, Any] = {"labels": classes}
    average = {"average": getattr(asked.get("average"), "default", "binary"), **scorer._kwargs}
    one_of_two = "pos_label" in asked and len(classes) == 2 and average["average"] == "binary"
    if one_of_two and asked["pos_label"].default not in classes.tolist():
        known["pos_label"] = classes[-1]
    scorer = copy(scorer)
    scorer._kwargs = {**known, **scorer._kwargs}
    return scorer


#: Where estimators look for their class that were pickled when it was there.
setattr(_path, SoftmaxClassifierCV.__name__, SoftmaxClassifierCV)
