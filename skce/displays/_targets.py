"""Predicted against target probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics._problem import read
from ._base import (
    Display,
    check_classes,
    check_count,
    check_finite,
    check_fitted_with,
)

#: Points of the cloud at most.
_CLOUD = 5000


class TargetProbabilityDisplay(Display):
    """Target probabilities against predicted ones, class by class.

    A curve goes through the means of bins of predictions, each with as many rows. On the diagonal
    the prediction is calibrated.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples, n_classes)
        Target probabilities.
    y_proba : ndarray of shape (n_samples, n_classes)
        Predicted probabilities.
    classes : sequence of shape (n_classes,)
        Names of the classes.
    n_bins : int, default=10
        Bins per class at most.

    Attributes
    ----------
    predicted_ : list of ndarray of shape (n_bins,)
        Mean prediction of each bin, class by class.
    target_ : list of ndarray of shape (n_bins,)
        Mean target of each bin, class by class.
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : list of matplotlib Line2D
        A curve per class.
    clouds_ : list of matplotlib PathCollection
        The rows of each class, 5000 of them at most.

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
        self.y_true = check_finite("y_true", y_true, (None, len(self.classes)))
        self.y_proba = check_finite("y_proba", y_proba, self.y_true.shape)
        self.n_bins = n_bins
        pairs = list(zip(self.y_proba.T, self.y_true.T, strict=True))
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
        n_bins: int = 10,
        ax: Any = None,
        **kwargs: Any,
    ) -> TargetProbabilityDisplay:
        """Draw what an estimator predicts for some data.

        Parameters
        ----------
        estimator : fitted estimator with `predict_proba`
            What predicts.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        n_bins : int, default=10
            Bins per class at most.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `plot` of the curves.

        Returns
        -------
        TargetProbabilityDisplay
            The display, drawn.
        """
        check_fitted_with(estimator, "predict_proba")
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            labels=getattr(estimator, "classes_", None),
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
        n_bins: int = 10,
        ax: Any = None,
        **kwargs: Any,
    ) -> TargetProbabilityDisplay:
        """Draw predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
            Predicted probabilities.
        labels : array-like of shape (n_classes,), default=None
            Names of the classes, in the order of the columns.
        n_bins : int, default=10
            Bins per class at most.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `plot` of the curves.

        Returns
        -------
        TargetProbabilityDisplay
            The display, drawn.
        """
        problem = read(y_true, y_proba, None, loss="categorical", labels=labels)
        everything = slice(None)
        display = cls(
            y_true=problem.targets.distribution(everything),
            y_proba=np.exp(problem.predictions.log(everything)),
            classes=problem.targets.classes,
            n_bins=n_bins,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> TargetProbabilityDisplay:
        """Draw the clouds, the curves and the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `plot` of the curves.

        Returns
        -------
        TargetProbabilityDisplay
            The display itself.
        """
        ax = self._on(ax)
        ax.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, zorder=0)
        some = slice(None, None, -(-len(self.y_true) // _CLOUD))
        self.lines_, self.clouds_ = [], []
        for k, label in enumerate(self.classes):
            color = f"C{k % 10}"
            cloud = ax.scatter(
                self.y_proba[some, k],
                self.y_true[some, k],
                s=6,
                alpha=0.2,
                color=color,
                linewidths=0,
            )
            style = {"color": color, "marker": "o", "markersize": 4, "label": str(label)}
            self.lines_ += ax.plot(self.predicted_[k], self.target_[k], **{**style, **kwargs})
            self.clouds_.append(cloud)
        ax.set(
            xlabel="predicted probability",
            ylabel="target probability",
            xlim=(-0.02, 1.02),
            ylim=(-0.02, 1.02),
            aspect="equal",
        )
        ax.legend(title="class")
        return self


def _bins(p: NDArray, n_bins: int) -> NDArray:
    """Bin of each prediction, by quantiles; equal predictions share a bin."""
    edges = np.unique(np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1]))
    return np.searchsorted(edges, p, side="right")


def _means(bins: NDArray, values: NDArray) -> NDArray:
    counts = np.bincount(bins)
    return np.bincount(bins, values)[counts > 0] / counts[counts > 0]
