"""Predicted against target probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics._problem import read
from ._base import (
    MOST_NAMED,
    Display,
    as_text,
    check_classes,
    check_count,
    check_finite,
    check_fitted_with,
    curve_styles,
    foreground,
)
from ._outputs import is_multilabel, loss_of, outputs_of

#: The most points of a cloud.
_CLOUD = 5000
#: Two classes exclude each other if their probabilities sum to 1 within this tolerance.
_OFF_ONE = 1e-3


class TargetProbabilityDisplay(Display):
    """Target probabilities against predicted probabilities, class by class.

    For each class the rows are sorted by prediction and split into bins of equal numbers of rows.
    The curve goes through the mean prediction and the mean target of each bin. On the diagonal the
    prediction is calibrated. If two classes exclude each other, only the second is drawn: the curve
    of the first is its mirror image.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples, n_classes)
        Target probabilities.
    y_proba : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    classes : sequence of shape (n_classes,)
        Names of the classes.
    n_bins : int, default=10
        The most bins of a class. Equal predictions share a bin.

    Attributes
    ----------
    predicted_ : list of ndarray of shape (n_bins,)
        Mean prediction of each bin, an array for each class.
    target_ : list of ndarray of shape (n_bins,)
        Mean target of each bin, an array for each class.
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : list of matplotlib Line2D
        The curve of each class that is drawn.
    clouds_ : list of matplotlib PathCollection
        The rows of each class that is drawn. A cloud has at most 5000 points.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : For labels of two classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.displays import TargetProbabilityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> Y = 0.9 * np.eye(3)[y] + 0.1 / 3
    >>> clf = SoftmaxClassifier().fit(X, Y)
    >>> display = TargetProbabilityDisplay.from_estimator(clf, X, Y)
    >>> len(display.lines_)
    3
    """

    def __init__(self, *, y_true: NDArray, y_proba: NDArray, classes: Any, n_bins: int = 10):
        check_count("n_bins", n_bins)
        self.classes = check_classes(classes)
        self.y_true = check_finite("y_true", y_true, (None, len(self.classes)), missing=True)
        self.y_proba = check_finite("y_proba", y_proba, self.y_true.shape)
        self.n_bins = n_bins
        # Labels that are missing (NaN) are left out.
        known = ~np.isnan(self.y_true)
        pairs = [
            (p[some], t[some])
            for p, t, some in zip(self.y_proba.T, self.y_true.T, known.T, strict=True)
        ]
        bins = [_bins(p, n_bins) for p, _ in pairs]
        self.predicted_ = [_means(b, p) for b, (p, _) in zip(bins, pairs, strict=True)]
        self.target_ = [_means(b, t) for b, (_, t) in zip(bins, pairs, strict=True)]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        loss: str | None = None,
        n_bins: int = 10,
        ax: Any = None,
        **kwargs: Any,
    ) -> TargetProbabilityDisplay:
        """Draw the predictions of an estimator against the targets of some data.

        Parameters
        ----------
        estimator : fitted estimator with `predict_proba`
            The estimator that predicts. It may be a pipeline.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        loss : {"categorical", "binary"}, default=None
            Whether the classes exclude each other ("categorical"), or a row can have several labels
            ("binary"), as in :func:`~skce.metrics.log_loss`. None stands for "binary" if the
            estimator was fitted to multilabel targets, and for "categorical" otherwise.
        n_bins : int, default=10
            The most bins of a class.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot` of the curves.

        Returns
        -------
        TargetProbabilityDisplay
            The display, drawn.
        """
        final = check_fitted_with(estimator, "predict_proba")
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            labels=getattr(estimator, "classes_", None),
            loss=loss_of(final) if loss is None else loss,
            n_bins=n_bins,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        loss: str = "categorical",
        n_bins: int = 10,
        ax: Any = None,
        **kwargs: Any,
    ) -> TargetProbabilityDisplay:
        """Draw predicted probabilities against targets.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
            Predicted probabilities.
        labels : array-like of shape (n_classes,), default=None
            Names of the classes, in the order of the columns.
        loss : {"categorical", "binary"}, default="categorical"
            Whether the classes exclude each other ("categorical"), or a row can have several labels
            ("binary"), as in :func:`~skce.metrics.log_loss`.
        n_bins : int, default=10
            The most bins of a class.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot` of the curves.

        Returns
        -------
        TargetProbabilityDisplay
            The display, drawn.
        """
        problem = read(y_true, y_proba, None, loss=loss, labels=labels)
        if is_multilabel(problem):
            y, p = outputs_of(problem)
        else:
            everything = slice(None)
            y, p = (
                problem.targets.distribution(everything),
                np.exp(problem.predictions.log(everything)),
            )
        display = cls(y_true=y, y_proba=p, classes=problem.targets.classes, n_bins=n_bins)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> TargetProbabilityDisplay:
        """Draw the clouds, the curves and the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot` of the curves.

        Returns
        -------
        TargetProbabilityDisplay
            The display itself.
        """
        ax = self._on(ax)
        ax.plot([0, 1], [0, 1], color=foreground(ax), alpha=0.4, linewidth=0.8, zorder=0)
        some = slice(None, None, -(-len(self.y_true) // _CLOUD))
        drawn = [1] if self._is_mirrored() else range(len(self.classes))
        self.lines_, self.clouds_ = [], []
        for k, style in zip(drawn, curve_styles(len(drawn)), strict=True):
            cloud = ax.scatter(
                self.y_proba[some, k],
                self.y_true[some, k],
                s=6,
                alpha=0.2,
                color=style["color"],
                linewidths=0,
            )
            style |= {"marker": "o", "markersize": 4}
            if len(drawn) <= MOST_NAMED:
                style["label"] = as_text(self.classes[k])
            self.lines_ += ax.plot(self.predicted_[k], self.target_[k], **{**style, **kwargs})
            self.clouds_.append(cloud)
        ax.set(
            xlabel="predicted probability",
            ylabel="target probability",
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            aspect="equal",
        )
        self._add_legend("class")
        return self

    def _is_mirrored(self) -> bool:
        """Whether there are two classes, and their probabilities sum to 1."""
        both = (self.y_true, self.y_proba)
        return len(self.classes) == 2 and all(
            np.allclose(values.sum(axis=1), 1, atol=_OFF_ONE) for values in both
        )


def _bins(p: NDArray, n_bins: int) -> NDArray:
    """Return the bin of each prediction. Edges are quantiles, and equal predictions share a bin."""
    if not len(p):
        return np.zeros(0, dtype=np.intp)
    edges = np.unique(np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1]))
    return np.searchsorted(edges, p, side="right")


def _means(bins: NDArray, values: NDArray) -> NDArray:
    counts = np.bincount(bins)
    return np.bincount(bins, values)[counts > 0] / counts[counts > 0]
