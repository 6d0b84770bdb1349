"""Coefficients and scores along a path of C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._checks import check_number, check_numbers
from ._base import (
    MOST_NAMED,
    Display,
    as_text,
    check_choice,
    check_finite,
    check_fitted_with,
    check_names,
    check_text,
    curve_styles,
    foreground,
)

#: The most coefficients that are drawn. Coefficients equal to the smallest of them are drawn, too.
_MOST_LINES = 1000
#: Coefficients of two classes are mirror images if they differ by at most this share of the
#: largest coefficient.
_MIRRORED = 1e-6
_WAY_OUT = " Pass a fitted SoftmaxClassifierCV, or what softmax_path returned to from_path."


class RegularizationPathDisplay(Display):
    """Coefficients or cross-validated scores against C.

    Parameters
    ----------
    Cs : ndarray of shape (n_Cs,)
        Values of C, ascending.
    coefs : ndarray of shape (n_Cs, n_outputs, n_features), default=None
        Coefficients at each C.
    scores : ndarray of shape (n_folds, n_Cs), default=None
        Scores of each fold. Pass either `scores` or `coefs`.
    score_name : str, default="score"
        Name of the score.
    marked : dict of str to float, default=None
        Values of C to mark with a vertical line. The keys are their names in the legend.
    names : sequence of str, default=None
        Names of the outputs. If there is only one output, names of the features.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : list of matplotlib Line2D
        For coefficients, a line for every coefficient that is not zero throughout, row by row of
        `coef_`. With more than 1000 of them, the 1000 largest are drawn. If the coefficients of two
        classes are mirror images, only those of the second class are drawn. For scores, the line
        of their mean.
    band_ : matplotlib collection
        Band of one standard error around the mean of the scores. None for coefficients.

    See Also
    --------
    skce.SoftmaxClassifierCV : Chooses C by cross-validation.
    skce.softmax_path : Fits along a path.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifierCV
    >>> from skce.displays import RegularizationPathDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = SoftmaxClassifierCV(Cs=5, l1_ratios=[1.0]).fit(X, y)
    >>> display = RegularizationPathDisplay.from_estimator(clf)
    >>> display.scores.shape
    (5, 5)
    >>> list(display.marked)
    ['best', 'one standard error']
    """

    def __init__(
        self,
        *,
        Cs: NDArray,
        coefs: NDArray | None = None,
        scores: NDArray | None = None,
        score_name: str = "score",
        marked: dict[str, float] | None = None,
        names: Sequence[str] | None = None,
    ):
        self.Cs = check_numbers(Cs, "Cs")
        if self.Cs.ndim != 1 or not len(self.Cs) or not (self.Cs > 0).all():
            raise ValueError("Cs must hold positive numbers.")
        if (coefs is None) == (scores is None):
            raise ValueError("Pass either coefs or scores.")
        n_Cs = len(self.Cs)
        self.coefs = None if coefs is None else check_finite("coefs", coefs, (n_Cs, None, None))
        self.scores = None if scores is None else check_finite("scores", scores, (None, n_Cs))
        check_text("score_name", score_name)
        self.score_name = score_name
        if marked is not None and not isinstance(marked, dict):
            raise ValueError(f"marked must be a dict of values of C, got {marked!r:.100}.")
        self.marked = marked and {k: check_number(C, f"marked {k}") for k, C in marked.items()}
        self.names = names
        if names is not None and self.coefs is not None:
            n_outputs, n_features = self.coefs.shape[1:]
            one = n_outputs == 1
            what = "features" if one else "outputs"
            self.names = check_names("names", names, n_features if one else n_outputs, of=what)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        response: str = "score",
        l1_ratio: float | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> RegularizationPathDisplay:
        """Draw the path of a fitted :class:`~skce.SoftmaxClassifierCV`.

        Parameters
        ----------
        estimator : SoftmaxClassifierCV
            A fitted estimator. It may be the last step of a pipeline, or the best estimator of a
            search.
        response : {"score", "coefficients"}, default="score"
            "score" draws the mean score over the folds, with a band of one standard error.
            "coefficients" draws the mean coefficients over the folds. If `scoring` of the estimator
            is None, the score is drawn as a log-loss: lower is better.
        l1_ratio : float, default=None
            One of `l1_ratios_`. If None, the best of them.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        RegularizationPathDisplay
            The display, drawn. For the best l1_ratio of an estimator with `refit` it marks the best
            C, and the smallest C within one standard error of it.

        Raises
        ------
        ValueError
            If `l1_ratio` is not one of `l1_ratios_`.
        """
        check_choice("response", response, ("score", "coefficients"))
        estimator = check_fitted_with(estimator, "coefs_paths_", _WAY_OUT)
        if l1_ratio is not None:
            l1_ratio = check_number(l1_ratio, "l1_ratio")
        share = estimator.l1_ratio_ if l1_ratio is None else l1_ratio
        if share not in estimator.l1_ratios_:
            raise ValueError(
                f"l1_ratio must be one of l1_ratios_, {estimator.l1_ratios_.tolist()}, got {share}."
            )
        j = int((estimator.l1_ratios_ == share).argmax())
        marked = {}
        if share == estimator.l1_ratio_ and estimator.refit:
            marked = {"best": estimator.C_, "one standard error": estimator.C_1se_}
        if response == "score":
            is_loss = estimator.scoring is None
            scores = estimator.scores_[:, j]
            name = str(getattr(estimator.scoring, "__name__", estimator.scoring))
            display = cls(
                Cs=estimator.Cs_,
                scores=-scores if is_loss else scores,
                score_name="log-loss" if is_loss else name,
                marked=marked,
            )
        else:
            coefs = estimator.coefs_paths_[:, j].mean(axis=0)[..., : estimator.n_features_in_]
            names = estimator.classes_
            if coefs.shape[1] == 1:
                names = getattr(estimator, "feature_names_in_", range(estimator.n_features_in_))
            display = cls(Cs=estimator.Cs_, coefs=coefs, marked=marked, names=[*map(str, names)])
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_path(
        cls, path: Any, *, names: Sequence[str] | None = None, ax: Any = None, **kwargs: Any
    ) -> RegularizationPathDisplay:
        """Draw the coefficients that :func:`~skce.softmax_path` returned.

        Parameters
        ----------
        path : SoftmaxPath
            The result of :func:`~skce.softmax_path`.
        names : sequence of str, default=None
            Names of the outputs. If there is only one output, names of the features.
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        RegularizationPathDisplay
            The display, drawn.
        """
        if not (hasattr(path, "Cs") and hasattr(path, "coefs")):
            raise TypeError(f"path must be what softmax_path returned, got {path!r:.100}.")
        return cls(Cs=path.Cs, coefs=path.coefs, names=names).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> RegularizationPathDisplay:
        """Draw the curves on a logarithmic scale of C.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, new axes are made.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        RegularizationPathDisplay
            The display itself.
        """
        ax = self._on(ax)
        ax.set_xscale("log")
        if self.scores is None:
            self._plot_coefficients(ax, kwargs)
        else:
            self._plot_scores(ax, kwargs)
        marks = [
            ax.axvline(
                C,
                color=foreground(ax),
                linestyle=style,
                linewidth=1,
                label=f"{as_text(name)}: C = {C:.3g}",
            )
            for style, (name, C) in zip(("--", ":"), (self.marked or {}).items(), strict=False)
        ]
        ax.set_xlabel("C (a weaker penalty to the right)")
        self._add_legend(always=marks)
        return self

    def _plot_scores(self, ax: Any, kwargs: dict[str, Any]) -> None:
        scores = np.asarray(self.scores)
        mean, n_folds = scores.mean(axis=0), len(scores)
        self.lines_ = ax.plot(
            self.Cs,
            mean,
            **{"marker": "o", "markersize": 4, "label": f"mean of {n_folds} folds"} | kwargs,
        )
        error = scores.std(axis=0, ddof=1) / np.sqrt(n_folds) if n_folds > 1 else 0 * mean
        self.band_ = ax.fill_between(
            self.Cs, mean - error, mean + error, alpha=0.3, label="one standard error about it"
        )
        ax.set_ylabel(f"cross-validated {self.score_name}")

    def _plot_coefficients(self, ax: Any, kwargs: dict[str, Any]) -> None:
        coefs = np.asarray(self.coefs)
        by_feature = coefs.shape[1] == 1
        drawn = _largest(coefs)
        named = list(dict.fromkeys(j if by_feature else k for k, j in drawn))
        styles = dict(zip(named, curve_styles(len(named)), strict=True))
        labels = {}
        if self.names is not None and len(named) <= MOST_NAMED:
            labels = {i: as_text(self.names[i]) for i in named}
        self.lines_, self.band_ = [], None
        for k, j in drawn:
            i = j if by_feature else k
            style = styles[i] | {"linewidth": 1, "label": labels.pop(i, None)}
            self.lines_ += ax.plot(self.Cs, coefs[:, k, j], **style | kwargs)
        ax.axhline(0, color=foreground(ax), alpha=0.4, linewidth=0.8, zorder=0)
        ax.set_ylabel("coefficients")


def _largest(coefs: NDArray) -> list[tuple[int, int]]:
    """Return output and feature of each coefficient that is drawn, in their order.

    If the coefficients of two classes are mirror images, only those of the second are drawn.
    """
    size = np.abs(coefs).max(axis=0)
    if coefs.shape[1] == 2 and np.allclose(coefs[:, 0], -coefs[:, 1], atol=_MIRRORED * size.max()):
        size[0] = 0
    least = np.sort(size, axis=None)[-_MOST_LINES:][0]
    return [(int(k), int(j)) for k, j in np.argwhere((size > 0) & (size >= least))]
