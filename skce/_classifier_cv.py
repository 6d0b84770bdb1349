"""The estimator that chooses C by cross-validation."""

from __future__ import annotations

from functools import partial
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from . import _path
from ._array_api import computes_in_numpy, fits_in_numpy
from ._callbacks import Task, begin, given, with_callbacks
from ._checks import N_JOBS, Number, check_folds, check_number, check_numbers
from ._choice import best_of, warn_at_an_edge, without_bad
from ._classifier import SoftmaxClassifier
from ._fold import Fold, knowing, refuse_labels_only, tried_on
from ._hints import with_hints
from ._interrupts import unchanged_on_error
from ._linear_model import LinearModel
from ._problem.objective import Objective
from ._rows import unless_mapped
from ._sklearn import StrOptions, fit_context
from ._solver.minimize import minimize
from ._solver.stop import Report, warn_if_not_converged
from ._span import MOST_CS, grid, span
from ._targets.mass import Targets
from ._targets.meaning import RawTargets, check_y, column_names
from .metrics import make_log_loss_scorer
from .model_selection import StratifiedProbabilityKFold

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

    For each fold, all values of C are fitted to the training rows, and scored on the test rows.
    Each fit starts from those before. The best C is then fitted to all rows.

    Parameters
    ----------
    Cs : {"auto"}, int or array-like of shape (n_Cs,), default="auto"
        Values of C, or their number: the values are then computed from the data, as in
        :func:`softmax_path`. "auto" searches for the best C: see the notes.
    l1_ratios : array-like of shape (n_l1_ratios,), default=(0.0,)
        Shares of the L1 penalty to try.
    cv : int, splitter or iterable, default=None
        Folds. None means 5. A number makes that many stratified folds, for probability targets with
        :class:`~skce.model_selection.StratifiedProbabilityKFold`. An iterable gives pairs
        (train, test) of row numbers, or of masks of all rows.
    scoring : str or callable, default=None
        Score to choose by; greater is better. None is the negative log-loss, for every kind of y.
        It is computed from the logits, which needs no clipping. For one-vs-rest, and if the
        training rows of a fold lack a class, it is computed from the probabilities. A metric that
        takes `labels` gets all classes, as in
        :class:`~sklearn.linear_model.LogisticRegressionCV`, because test rows may lack some.
    refit : bool, default=True
        Whether to fit the best C and l1_ratio to all rows. If False, each fold has a best of its
        own, and `coef_`, `intercept_`, `C_` and `l1_ratio_` are means of these over folds.
    n_jobs : int, default=None
        Number of processes. Each process fits one fold at a time. None means 1. A single process
        already uses all threads.
    loss : {"auto", "categorical", "binary"}, default="auto"
        What the targets mean.
    fit_intercept : bool, default=True
        Whether to fit an intercept per coefficient vector.
    class_weight : dict or "balanced", default=None
        Factors on the target mass of classes.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes.
    coef_bounds : tuple (low, high), default=None
        Bounds of the coefficients.
    penalty_weights : array-like of shape (n_features,), default=None
        Factors of the penalty, one for each feature.
    solver : {"auto", "newton-cg", "lbfgs"} or callable, default="auto"
        As in :class:`SoftmaxClassifier`.
    tol : float, default=1e-9
        Accuracy of the last fit. Fits that are only scored have an accuracy of 1e-3, or 1e-2 in a
        search, or `tol` if it is larger.
    max_iter : int, default=1000
        The largest number of iterations of the solver, for each value of C.
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
        best mean score. It gives the simplest model that is about as good.
    Cs_ : ndarray of shape (n_Cs,)
        Values of C that were tried, in ascending order.
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
        Values of l1_ratio that were tried.
    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs)
        Scores on the test rows of each fold.
    coefs_paths_ : ndarray of shape (n_folds, n_l1_ratios, n_Cs, n_outputs, n_features + 1)
        Coefficients of all fits. The last column is the intercept. With ``fit_intercept=False``
        there is no such column.
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
    SoftmaxClassifier : The same model, with a given C.
    sklearn.linear_model.LogisticRegressionCV : The same choice, for labels only.

    Notes
    -----
    The search goes from strong to weak penalties. It compares mean scores over folds; if there are
    several `l1_ratios`, it takes the best of them for each C. The first C is an estimate of the
    best one, from the slope of the losses at zero coefficients and the ratio of the slope to what
    noise would give. The search continues in steps of a factor of ten or more, until C is large
    enough for every column, whatever its units, and the score falls. It then tries values in
    between, at the peaks of parabolas through the best three. A search usually takes four to eight
    values.

    A warning is given if the best C is the first or the last of those tried or given, and the score
    still rises there by more than half a percent for a factor of ten. After a search this happens
    if the features separate the classes (no C is too large), or if the features do not predict y
    (no C is too small). There is no warning if the scores are flat.

    A class that has no mass in the training rows of a fold gets probability zero there: its
    coefficients are zero, and its intercept is 50 below those of the other classes. The loss of its
    test rows is then the same for every C, so that only the other rows decide. Without an
    intercept, or with label smoothing, such a class has a probability that depends on C, and is
    fitted like any other class.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SoftmaxClassifierCV().fit(X, y)
    >>> bool(clf.Cs_[0] < clf.C_ < clf.Cs_[-1])
    True
    >>> clf = SoftmaxClassifierCV(Cs=[1, 10, 100, 1000]).fit(X, y)
    >>> clf.C_
    100.0
    >>> clf.scores_.shape
    (5, 1, 4)
    """

    #: The class of the candidates.
    _classifier = SoftmaxClassifier

    _parameter_constraints: dict = {  # noqa: RUF012
        **{name: SoftmaxClassifier._parameter_constraints[name] for name in _SHARED},
        "Cs": [StrOptions({"auto"}), Number(Integral, 1, MOST_CS, closed="both"), "array-like"],
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
        Cs: str | int | ArrayLike = "auto",
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
            Non-negative weights of the rows, for fits and for scores. With metadata routing, the
            scorer gets them only if it requests them, unless ``scoring=None``.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as in :meth:`SoftmaxClassifier.fit`, for fits and for scores.
        **params : dict
            Metadata for the splitter and the scorer, such as `groups`. They need metadata routing
            to be enabled.

        Returns
        -------
        SoftmaxClassifierCV
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X, y or `sample_weight` is not as described; if all training rows of a
            fold have weight zero; if no candidate has a finite score in every fold; or if `scoring`
            is the log-loss of scikit-learn and y holds probabilities or several labels per row. Use
            ``scoring=None`` for these.

        Warns
        -----
        ConvergenceWarning
            If `tol` was not reached.
        UserWarning
            If some candidates have scores that are not finite. They are not chosen. Also if the
            best C is the first or the last in `Cs_` and the score still rises there.
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
        """Fit all candidates to all folds, and the best one to all rows."""
        model = self._classifier(**{name: getattr(self, name) for name in _SHARED})
        by_logits = self.scoring is None and raw.form != "one-vs-rest"
        scorer = None if by_logits else self._scorer()
        refuse_labels_only(scorer, raw)
        targets = model._fold_weights(raw, weights, X)
        objective = model._objective(X, targets)
        self.l1_ratios_ = _shares(self.l1_ratios)
        searches = isinstance(self.Cs, str)
        which = span if searches else partial(grid, self.Cs)
        Cs = which(objective, self.l1_ratios_)
        for_split, for_score = _routed(self, weights, params, "fit")
        folds = self._folds(X, y, raw, for_split)
        X = unless_mapped(X, model._costs.part_bytes)
        fold = self._fold_class(
            model, X, y, raw, weights, self.l1_ratios_, scorer, for_score, searches
        )
        tried = tried_on(fold, folds, Cs, task, self.n_jobs)
        self.Cs_, self.scores_, self.n_iter_ = tried.Cs, tried.scores, tried.n_iters
        self.coefs_paths_ = tried.paths
        best = self._choose(objective, tried.bottom)
        if not self.refit:
            mean = self._packed(objective, best)
            self.__dict__.update(self._attributes(objective, targets, mean))
            return
        with task.subtask("refit", tried.n_rounds * len(folds)) as refit:
            report = self._refit(objective, targets, best, tried.complete)
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
    def _fold_class(self) -> type[Fold]:
        return Fold

    def _y_for_scores(self, y: Any) -> Any:
        """Return y in the form that scorers and splitters get."""
        return check_y(y, missing=True) if column_names(y) is None else y

    def _folds(self, X: Any, y: Any, raw: RawTargets, for_split: dict[str, Any]) -> list:
        """Return the training and the test rows of each fold."""
        cv = self._splitter().split(X, y, **for_split) if self._cv_splits else self.cv
        return check_folds(cv, len(raw.values))

    def _n_tasks(self) -> int | None:
        """Return the number of folds, plus one for the last fit; None if it is not known yet."""
        if isinstance(self.Cs, str):
            return None
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
        """Return the score of `scoring`, or the accuracy if `scoring` is None.

        The accuracy is that of :meth:`SoftmaxClassifier.score`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known parts of the logits, as in :meth:`SoftmaxClassifier.fit`.
        **params : dict
            Metadata for the scorer. They need metadata routing to be enabled.

        Returns
        -------
        float
            The score. Greater is better.
        """
        if self.scoring is None:
            return super().score(X, y, sample_weight, offset=offset)
        params |= given(offset=offset) or {}
        _, for_score = _routed(self, sample_weight, params, "score")
        scorer, targets = self._scorer(), check_y(y, missing=True)
        if targets.ndim == 1:
            scorer, y = knowing(scorer, self.classes_), targets
        return check_number(scorer(self, X, y, **for_score), "the score of scoring")

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routes of metadata, for scikit-learn's metadata routing.

        Returns
        -------
        MetadataRouter
            Routes from `fit` to this estimator, to the splitter's `split` and to the scorer's
            `score`.
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
        """l1_ratio of the fit. Before the fit, the only value of `l1_ratios`, if there is one."""
        if not hasattr(self, "l1_ratio_") and len(set(_shares(self.l1_ratios))) == 1:
            return float(_shares(self.l1_ratios)[0])
        return self.l1_ratio_

    @property
    def _cv_splits(self) -> bool:
        """Whether `cv` makes folds. If not, it is an iterable of folds."""
        is_number = isinstance(self.cv, Integral) or self.cv is None
        return is_number or hasattr(self.cv, "get_n_splits")

    def _splitter(self) -> Any:
        if isinstance(self.cv, Integral) or self.cv is None:
            return StratifiedProbabilityKFold(5 if self.cv is None else int(self.cv))
        return self.cv if self._cv_splits else check_cv(())  # a splitter that routes nothing

    def _scorer(self) -> Any:
        if self.scoring is not None:
            return check_scoring(self, scoring=self.scoring)
        scorer = make_log_loss_scorer()
        if get_config()["enable_metadata_routing"]:
            scorer.set_score_request(sample_weight=True, offset=True)
        return scorer

    def _choose(self, objective: Objective, bottom: float) -> NDArray:
        """Set the best C and l1_ratio, and the smallest C that is about as good.

        Return the coefficients of each fold at the best values.
        """
        scores = without_bad(self.scores_, self.Cs_, self.l1_ratios_)
        n_folds, mean = len(scores), scores.mean(axis=0)
        j, i, error = best_of(scores)
        self.C_1se_ = float(self.Cs_[(mean[j] >= mean[j, i] - error).argmax()])
        penalised = np.flatnonzero(objective.penalty.factors)
        nothing = not self.coefs_paths_[:, j, 0][..., penalised].any() or self.Cs_[0] <= bottom
        warn_at_an_edge(self.Cs_, mean[j], nothing)
        if not self.refit:
            js, indices = np.unravel_index(scores.reshape(n_folds, -1).argmax(axis=1), mean.shape)
        else:
            js, indices = np.array([j]), np.array([i])
        self.C_, self.l1_ratio_ = float(self.Cs_[indices].mean()), float(self.l1_ratios_[js].mean())
        return self.coefs_paths_[np.arange(n_folds), js, indices]

    def _refit(
        self, objective: Objective, targets: Targets, best: NDArray, complete: NDArray
    ) -> Report:
        """Fit the best C and l1_ratio to all rows.

        The fit starts from the mean coefficients of the folds whose training rows have all classes.
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
    """Return the metadata for the splitter and those for the scorer."""
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
            f"SoftmaxClassifierCV.{caller} got {others}, and can pass metadata on only if metadata "
            "routing is enabled: sklearn.set_config(enable_metadata_routing=True)."
        )
    return {}, given(sample_weight=weights, **params) or {}


def _takes_offset(scorer: Any) -> bool:
    """Whether a scorer predicts with an offset."""
    return "offset" in signature(scorer).parameters


def _shares(l1_ratios: ArrayLike) -> NDArray:
    """Check `l1_ratios`, and return them as an array."""
    shares = np.atleast_1d(check_numbers(l1_ratios, "l1_ratios").astype(np.float64))
    bad = ~((shares >= 0) & (shares <= 1))
    if shares.ndim != 1 or not len(shares) or bad.any():
        what = f"one is {shares[bad].flat[0]:g}" if bad.any() else f"got shape {shares.shape}"
        raise ValueError(f"l1_ratios must be a list of numbers in [0, 1], but {what}.")
    return shares


#: Estimators that were pickled by earlier versions look for their class in this module.
setattr(_path, SoftmaxClassifierCV.__name__, SoftmaxClassifierCV)
