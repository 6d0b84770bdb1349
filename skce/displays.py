"""Pictures of log-loss: its curves, its samples, its fits. Needs matplotlib, the extra `plot`.

Every display follows scikit-learn's conventions: made by `from_estimator`, `from_predictions` or
another class method, drawn by `plot(ax=None)`, after which it has `ax_` and `figure_`. What is
drawn is in the attributes that the constructor takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from ._checks import check_number, check_numbers, is_date, refuse_sparse, to_numpy
from .metrics import (
    log_loss_gradient,
    log_loss_gradient_from_logits,
    log_loss_samples,
    log_loss_samples_from_logits,
)
from .metrics._problem import read

__all__ = [
    "ConvergenceDisplay",
    "LossCurveDisplay",
    "RegularizationPathDisplay",
    "SampleLossDisplay",
    "TargetProbabilityDisplay",
]


#: Points, bins or marks at most, and the largest number that axes have room for.
_MOST = 10**6
_LARGEST_DRAWN = 1e300


def _axes(ax: Any) -> Any:
    """Return the axes to draw on, new ones if none are given."""
    try:
        import matplotlib.pyplot as plt
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError("Displays need matplotlib: pip install 'skce[plot]'.") from error
    if ax is None:
        return plt.subplots(layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be matplotlib Axes or None, got {ax!r:.100}.")
    return ax


def _fitted_with(estimator: Any, name: str) -> None:
    """Check that an estimator is fitted and has what a display shows."""
    if not hasattr(estimator, "fit"):
        raise TypeError(f"estimator must be an estimator, got {type(estimator).__name__}.")
    check_is_fitted(estimator)
    if not hasattr(estimator, name):
        raise TypeError(f"estimator must have {name}, but {type(estimator).__name__} has not.")


class _Display:
    """What all displays have."""

    ax_: Any
    figure_: Any

    def _on(self, ax: Any) -> Any:
        self.ax_ = _axes(ax)
        self.figure_ = self.ax_.figure
        return self.ax_


# ------------------------------------------------------------------------------------ loss curves
def _squared_error(y: float, x: NDArray, *, gradient: bool, logits: bool) -> NDArray:
    p = expit(x) if logits else x
    if not gradient:
        return (p - y) ** 2
    return 2 * (p - y) * (p * (1 - p) if logits else 1)


def _log_loss(y: float, x: NDArray, *, gradient: bool, logits: bool) -> NDArray:
    function = {
        (False, False): log_loss_samples,
        (False, True): log_loss_samples_from_logits,
        (True, False): log_loss_gradient,
        (True, True): log_loss_gradient_from_logits,
    }[gradient, logits]
    targets = np.full((len(x), 2), (1 - y, y))
    return function(targets, x)


_CURVES = {"log_loss": _log_loss, "squared_error": _squared_error}
_CURVE_NAMES = {"log_loss": "log-loss", "squared_error": "squared error"}
_LINE_STYLES = ("-", "--", ":", "-.")
#: The probabilities, and the logits, that curves are drawn between.
_RANGES = {"proba": (0.001, 0.999), "logit": (-6.0, 6.0)}
#: Gradients in the probability are unbounded; this much of them is shown.
_STEEPEST = 10


class LossCurveDisplay(_Display):
    """Loss of one prediction for two classes, or its gradient, against the prediction.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Predicted probabilities of class 1, or logits.
    curves : dict of {(str, float): ndarray of shape (n_points,)}
        Values by loss, "log_loss" or "squared_error", and target.
    response : {"loss", "gradient"}
        What the values are.
    against : {"proba", "logit"}
        What `x` is, and what the gradient is taken with respect to.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : list of matplotlib Line2D
        The curves in the order of `curves`.

    See Also
    --------
    skce.metrics.log_loss_samples : The loss that is drawn.

    Examples
    --------
    >>> from skce.displays import LossCurveDisplay
    >>> display = LossCurveDisplay.from_targets([0, 1])
    >>> [line.get_label() for line in display.lines_]
    ['log-loss, y = 0', 'log-loss, y = 1']
    """

    def __init__(
        self, *, x: NDArray, curves: dict[tuple[str, float], NDArray], response: str, against: str
    ):
        _one_of("response", response, ("loss", "gradient"))
        _one_of("against", against, tuple(_RANGES))
        self.x = _finite("x", x, (None,))
        self.curves = _check_curves(curves, len(self.x))
        self.response = response
        self.against = against

    @classmethod
    def from_targets(
        cls,
        targets: Sequence[float] = (0.0, 1.0),
        *,
        losses: Sequence[str] = ("log_loss",),
        response: str = "loss",
        against: str = "proba",
        n_points: int = 301,
        ax: Any = None,
        **kwargs: Any,
    ) -> LossCurveDisplay:
        """Compute and draw the curves of some targets.

        Parameters
        ----------
        targets : sequence of float, default=(0, 1)
            Target probabilities of class 1; 0.7 is a soft target.
        losses : sequence of {"log_loss", "squared_error"}, default=("log_loss",)
            The losses to draw.
        response : {"loss", "gradient"}, default="loss"
            Whether to draw the loss or its gradient.
        against : {"proba", "logit"}, default="proba"
            What to draw it against, and to take the gradient with respect to. Against logits the
            gradient of the squared error vanishes where a prediction is sure and wrong, that of
            log-loss does not.
        n_points : int, default=301
            Points per curve.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a target is no probability or a name is none of those above.
        """
        _one_of("response", response, ("loss", "gradient"))
        _one_of("against", against, tuple(_RANGES))
        _count("n_points", n_points, 2)
        if not isinstance(losses, (list, tuple)):
            raise ValueError(f"losses must be a list of names, got {losses!r:.100}.")
        for loss in losses:
            _one_of("losses", loss, tuple(_CURVES))
        targets = _finite("targets", targets, (None,)).tolist()
        bad = [y for y in targets if not 0 <= y <= 1]
        if bad:
            raise ValueError(f"targets must be probabilities in [0, 1], but one is {bad[0]:g}.")
        low, high = _RANGES[against]
        x = np.linspace(low, high, n_points)
        curves = {
            (loss, float(y)): _CURVES[loss](
                y, x, gradient=response == "gradient", logits=against == "logit"
            )
            for loss in losses
            for y in targets
        }
        return cls(x=x, curves=curves, response=response, against=against).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> LossCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        LossCurveDisplay
            The display itself.
        """
        ax = self._on(ax)
        losses = list(dict.fromkeys(loss for loss, _ in self.curves))
        targets = list(dict.fromkeys(y for _, y in self.curves))
        self.lines_ = []
        for (loss, y), values in self.curves.items():
            style = {
                "color": f"C{targets.index(y)}",
                "linestyle": _LINE_STYLES[losses.index(loss) % len(_LINE_STYLES)],
                "label": f"{_CURVE_NAMES[loss]}, y = {y:g}",
            }
            self.lines_ += ax.plot(self.x, values, **{**style, **kwargs})
        name = {"proba": "predicted probability of class 1", "logit": "logit of class 1"}
        response = "loss (nats)" if losses == ["log_loss"] else "loss"
        if self.response == "gradient":
            response = f"gradient in the {'logit' if self.against == 'logit' else 'probability'}"
            ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        ax.set(xlabel=name[self.against], ylabel=response)
        if self.response == "gradient" and self.against == "proba":
            ax.set_ylim(-_STEEPEST, _STEEPEST)
        ax.legend()
        return self


def _check_curves(curves: Any, n_points: int) -> dict[tuple[str, float], NDArray]:
    if not isinstance(curves, dict):
        raise ValueError(f"curves must be a dict, got {curves!r:.100}.")
    for key in curves:
        if not isinstance(key, tuple) or len(key) != 2:
            raise ValueError(f"curves must have keys (loss, target), but one is {key!r:.100}.")
        _one_of("the losses of curves", key[0], tuple(_CURVES))
        check_number(key[1], "the target of a curve")
    return {key: _finite(f"curve {key}", values, (n_points,)) for key, values in curves.items()}


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r:.100}.")


def _text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {type(value).__name__}.")


def _count(name: str, value: Any, least: int = 1) -> None:
    if not isinstance(value, Integral) or is_date(value) or not least <= int(value) <= _MOST:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r:.100}.")


def _classes(classes: Any) -> Any:
    """Return classes, of which each has a name."""
    if not isinstance(classes, (list, tuple)):
        array = np.asarray(to_numpy(classes, "classes"))
        if array.ndim != 1:
            raise ValueError(f"classes must be a list of classes, got {classes!r:.100}.")
    return classes


def _finite(name: str, values: Any, shape: tuple[int | None, ...]) -> NDArray:
    """Return an array of finite numbers, of a shape of which None is any length."""
    array = check_numbers(values, name)
    if len(array.shape) != len(shape) or any(
        want not in (None, has) for has, want in zip(array.shape, shape, strict=True)
    ):
        text = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} must have shape ({text}), but has {array.shape}.")
    if not (np.abs(array) <= _LARGEST_DRAWN).all():
        raise ValueError(f"{name} must be finite, and at most {_LARGEST_DRAWN:g} to be drawn.")
    return array


def _names(name: str, values: Any, length: int) -> list[str]:
    """Return names as strings, one for each of what they name."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
        raise ValueError(f"{name} must be a sequence of names, got {values!r:.100}.")
    refuse_sparse(values, name)
    names = [str(value) for value in np.asarray(to_numpy(values, name), dtype=object).ravel()]
    if len(names) != length:
        raise ValueError(f"{name} must hold {length} names, but holds {len(names)}.")
    return names


# ----------------------------------------------------------------------------- losses of samples
class SampleLossDisplay(_Display):
    """Distribution of the log-loss of single rows by class, and the rows with the largest.

    Parameters
    ----------
    losses : ndarray of shape (n_samples,)
        Log-loss of each row, in nats.
    codes : ndarray of int, shape (n_samples,)
        Position in `classes` of the class of each row, the most probable one for probability
        targets.
    classes : sequence of shape (n_classes,)
        Names of the classes.
    n_worst : int, default=5
        How many of the largest losses to mark with the index of their row.

    Attributes
    ----------
    worst_ : ndarray of int
        Indices of the rows with the largest losses, the largest first.
    ax_ : matplotlib Axes
        Axes with a box per class.
    figure_ : matplotlib Figure
        Figure of the axes.
    boxes_ : dict
        What matplotlib's `boxplot` returned.
    points_ : matplotlib PathCollection
        The marked rows.
    texts_ : list of matplotlib Annotation
        Their indices.

    See Also
    --------
    skce.metrics.log_loss_samples : The losses.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.displays import SampleLossDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = SampleLossDisplay.from_estimator(SoftmaxClassifier().fit(X, y), X, y)
    >>> display.worst_
    array([ 83,  70, 106,  77, 133])
    """

    def __init__(self, *, losses: NDArray, codes: NDArray, classes: Any, n_worst: int = 5):
        _count("n_worst", n_worst, 0)
        self.losses = _finite("losses", losses, (None,))
        codes = _finite("codes", codes, self.losses.shape)
        self.classes = _classes(classes)
        if ((codes != np.floor(codes)) | (codes < 0) | (codes >= len(self.classes))).any():
            raise ValueError(f"codes must be positions in classes, 0 to {len(self.classes) - 1}.")
        self.codes = codes.astype(np.intp)
        self.n_worst = n_worst
        self.worst_ = np.argsort(-self.losses, kind="stable")[:n_worst]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        n_worst: int = 5,
        ax: Any = None,
        **kwargs: Any,
    ) -> SampleLossDisplay:
        """Draw the losses of an estimator on some data.

        Parameters
        ----------
        estimator : fitted estimator with `predict_proba`
            What predicts.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        n_worst : int, default=5
            How many of the largest losses to mark.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `boxplot`.

        Returns
        -------
        SampleLossDisplay
            The display, drawn.
        """
        _fitted_with(estimator, "predict_proba")
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            labels=getattr(estimator, "classes_", None),
            n_worst=n_worst,
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
        n_worst: int = 5,
        ax: Any = None,
        **kwargs: Any,
    ) -> SampleLossDisplay:
        """Draw the losses of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or target probabilities.
        y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
            Predicted probabilities.
        labels : array-like of shape (n_classes,), default=None
            Names of the classes, in the order of the columns.
        n_worst : int, default=5
            How many of the largest losses to mark.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `boxplot`.

        Returns
        -------
        SampleLossDisplay
            The display, drawn.
        """
        problem = read(y_true, y_proba, None, loss="categorical", labels=labels)
        display = cls(
            losses=problem.rows(problem.targets.loss, problem.shape[:1]),
            codes=problem.targets.distribution(slice(None)).argmax(axis=1),
            classes=problem.targets.classes,
            n_worst=n_worst,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> SampleLossDisplay:
        """Draw the boxes and mark the worst rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `boxplot`.

        Returns
        -------
        SampleLossDisplay
            The display itself.
        """
        ax = self._on(ax)
        positions = np.arange(len(self.classes))
        groups = [self.losses[self.codes == k] for k in positions]
        style = {"flierprops": {"marker": ".", "markersize": 4, "markeredgecolor": "0.6"}}
        self.boxes_ = ax.boxplot(groups, positions=positions, **{**style, **kwargs})
        at = self.codes[self.worst_], self.losses[self.worst_]
        self.points_ = ax.scatter(*at, s=18, color="C3", zorder=3)
        self.texts_ = [
            ax.annotate(
                str(index), (k, loss), xytext=(6, 0), textcoords="offset points", va="center"
            )
            for index, k, loss in zip(self.worst_, *at, strict=True)
        ]
        ax.set_xticks(positions, [str(label) for label in self.classes])
        ax.set(xlabel="class", ylabel="log-loss (nats)")
        return self


# ------------------------------------------------------------------------------------ convergence
class ConvergenceDisplay(_Display):
    """Relative gap of the objective of a fit, against iterations or seconds.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Iterations made, or seconds since the fit began.
    gap : ndarray of shape (n_points,)
        (objective - minimum) / minimum after each of them.
    against : {"iteration", "time"}
        What `x` is.
    name : str, default=None
        Name of the fit in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure of the axes.
    line_ : matplotlib Line2D
        The curve.

    See Also
    --------
    skce.SoftmaxClassifier : Keeps `loss_curve_` and `optimize_result_`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import SoftmaxClassifier
    >>> from skce.displays import ConvergenceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = ConvergenceDisplay.from_estimator(SoftmaxClassifier().fit(X, y))
    >>> bool((display.gap[1:] < display.gap[:-1]).all())
    True
    """

    def __init__(self, *, x: NDArray, gap: NDArray, against: str, name: str | None = None):
        _one_of("against", against, ("iteration", "time"))
        self.x = _finite("x", x, (None,))
        self.gap = _finite("gap", gap, self.x.shape)
        if name is not None:
            _text("name", name)
        self.against = against
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        against: str = "iteration",
        minimum: float | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ConvergenceDisplay:
        """Draw the way of a fitted :class:`~skce.SoftmaxClassifier`.

        Parameters
        ----------
        estimator : SoftmaxClassifier
            A fitted estimator.
        against : {"iteration", "time"}, default="iteration"
            What to draw the gap against.
        minimum : float, default=None
            The least objective, if it is known from elsewhere, for example from a fit with a
            smaller `tol`. If None it is the last objective of this fit, whose own gap is then
            unknown and not drawn.
        name : str, default=None
            Name in the legend; that of the class and its solver if None.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        ConvergenceDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If `minimum` is not below every objective of the fit, to rounding.
        """
        _one_of("against", against, ("iteration", "time"))
        if minimum is not None:
            minimum = check_number(minimum, "minimum")
        _fitted_with(estimator, "loss_curve_")
        curve = np.asarray(estimator.loss_curve_)
        seconds = estimator.optimize_result_.seconds
        x = np.arange(1, len(curve) + 1) if against == "iteration" else seconds
        least = curve.min() if minimum is None else float(minimum)
        if not 0 < least < np.inf:
            raise ValueError(
                f"The gap is relative to minimum, which must be positive and finite, got {least:g}."
            )
        gap = (curve - least) / least
        if (gap < -np.sqrt(np.finfo(float).eps)).any():
            raise ValueError(
                f"minimum is {least:.10g}, but the fit reached {curve.min():.10g}, which is less."
            )
        drawn = gap > 0
        if name is None:
            name = f"{type(estimator).__name__}(solver={estimator.solver!r})"
        display = cls(x=x[drawn], gap=gap[drawn], against=against, name=name)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> ConvergenceDisplay:
        """Draw the gap on a logarithmic scale.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        ConvergenceDisplay
            The display itself.
        """
        ax = self._on(ax)
        (self.line_,) = ax.plot(
            self.x, self.gap, **{"marker": "o", "markersize": 4, "label": self.name, **kwargs}
        )
        ax.set_yscale("log")
        if self.against == "iteration":
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(
            xlabel={"iteration": "iteration", "time": "seconds"}[self.against],
            ylabel="relative gap of the objective",
        )
        if self.name is not None:
            ax.legend()
        return self


# -------------------------------------------------------------------------------------- path of C
#: Names in a legend at most.
_NAMED = 10


class RegularizationPathDisplay(_Display):
    """Coefficients, or cross-validated scores, against C.

    Parameters
    ----------
    Cs : ndarray of shape (n_Cs,)
        Values of C, ascending.
    coefs : ndarray of shape (n_Cs, n_outputs, n_features), default=None
        Coefficients at each of them.
    scores : ndarray of shape (n_folds, n_Cs), default=None
        Scores of each fold, in place of `coefs`.
    score_name : str, default="score"
        What the scores are.
    marked : dict of str to float, default=None
        Values of C to mark with a vertical line, by what they are called.
    names : sequence of str, default=None
        Names of the outputs or, where there is one, of the features.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure of the axes.
    lines_ : list of matplotlib Line2D
        A line for every coefficient that is not zero throughout, row by row of `coef_`; or the
        mean of the scores.
    band_ : matplotlib collection
        One standard error about the mean of the scores; None for coefficients.

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
        self.coefs = None if coefs is None else _finite("coefs", coefs, (n_Cs, None, None))
        self.scores = None if scores is None else _finite("scores", scores, (None, n_Cs))
        _text("score_name", score_name)
        self.score_name = score_name
        if marked is not None and not isinstance(marked, dict):
            raise ValueError(f"marked must be a dict of values of C, got {marked!r:.100}.")
        self.marked = marked and {k: check_number(C, f"marked {k}") for k, C in marked.items()}
        self.names = names
        if names is not None and self.coefs is not None:
            n_outputs, n_features = self.coefs.shape[1:]
            self.names = _names("names", names, n_features if n_outputs == 1 else n_outputs)

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
            A fitted estimator.
        response : {"score", "coefficients"}, default="score"
            Draw the mean score over folds with one standard error about it, or the mean
            coefficients over folds. Without a `scoring` the score is drawn as a log-loss, less
            being better.
        l1_ratio : float, default=None
            One of `l1_ratios_`; the best if None.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
        **kwargs : dict
            Passed to matplotlib's `plot`.

        Returns
        -------
        RegularizationPathDisplay
            The display, drawn, with the best C marked and, for the best l1_ratio, the smallest one
            within one standard error.

        Raises
        ------
        ValueError
            If `l1_ratio` is none of the `l1_ratios_`.
        """
        _one_of("response", response, ("score", "coefficients"))
        _fitted_with(estimator, "coefs_paths_")
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
            What it returned.
        names : sequence of str, default=None
            Names of the outputs or, where there is one, of the features.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones if None.
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
            Axes to draw on; new ones if None.
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
        for style, (name, C) in zip(("--", ":"), (self.marked or {}).items(), strict=False):
            ax.axvline(C, color="0.3", linestyle=style, linewidth=1, label=f"{name}: C = {C:.3g}")
        ax.set_xlabel("C (a weaker penalty to the right)")
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
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
            self.Cs, mean - error, mean + error, alpha=0.2, label="one standard error about it"
        )
        ax.set_ylabel(f"cross-validated {self.score_name}")

    def _plot_coefficients(self, ax: Any, kwargs: dict[str, Any]) -> None:
        coefs = np.asarray(self.coefs)
        n_outputs, n_features = coefs.shape[1:]
        by_feature = n_outputs == 1
        n_named = n_features if by_feature else n_outputs
        names = self.names if self.names is not None and n_named <= _NAMED else None
        self.lines_, self.band_, seen = [], None, set()
        for k in range(n_outputs):
            for j in range(n_features):
                named = j if by_feature else k
                if coefs[:, k, j].any():
                    label = None if names is None or named in seen else names[named]
                    style = {"color": f"C{named % 10}", "linewidth": 1, "label": label}
                    self.lines_ += ax.plot(self.Cs, coefs[:, k, j], **style | kwargs)
                    seen.add(named)
        ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
        ax.set_ylabel("coefficients")


# ------------------------------------------------------- predicted and target probabilities
#: Points of the cloud at most.
_CLOUD = 5000


class TargetProbabilityDisplay(_Display):
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
        _count("n_bins", n_bins)
        self.classes = _classes(classes)
        self.y_true = _finite("y_true", y_true, (None, len(self.classes)))
        self.y_proba = _finite("y_proba", y_proba, self.y_true.shape)
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
        _fitted_with(estimator, "predict_proba")
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
