"""Log-loss, its gradient, entropy and divergence, for any target that the estimator takes."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from numpy.typing import ArrayLike
from sklearn.exceptions import UndefinedMetricWarning

from .._array_api import like, to_numpy
from .._arrays import epsilon
from .._checks import Number
from .._sklearn import StrOptions, validate_params
from .._targets.fold import ClassWeight
from .._targets.meaning import check_sample_weight
from .._warnings import warn
from ._problem import Problem, check_lengths_of, is_matrix_beside, n_rows, read
from ._terms import Predictions, read_targets

_LOSS = {"loss": [StrOptions({"categorical", "binary"})]}
_TARGETS = {
    "y_true": ["array-like"],
    **_LOSS,
    "labels": ["array-like", None],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "label_smoothing": [Number(Real, 0, 1, closed="left")],
}
_PROBA = {"y_proba": ["array-like"], "clip": ["boolean"]}
_LOGITS = {"logits": ["array-like"]}
_MEAN = {"normalize": ["boolean"], "sample_weight": ["array-like", None]}
#: Up to scikit-learn 1.8 the argument was called y_pred.
_RENAMED = {"y_proba": ["array-like", None], "y_pred": ["array-like", StrOptions({"deprecated"})]}


def _renamed(y_proba: Any, y_pred: Any) -> Any:
    """Return y_proba; y_pred is the name that it had before scikit-learn 1.9."""
    if isinstance(y_pred, str) and y_pred == "deprecated":
        if y_proba is None:
            raise TypeError("y_proba is missing: pass predicted probabilities beside y_true.")
        return y_proba
    if y_proba is not None:
        raise ValueError(
            "Cannot use both `y_pred` and `y_proba`. `y_pred` is deprecated, use `y_proba` instead."
        )
    warn(
        "`y_pred` was renamed to `y_proba` in version 1.9 and will be removed in 1.11 of "
        "scikit-learn. Use `y_proba` instead.",
        FutureWarning,
    )
    return y_pred


@validate_params({**_TARGETS, **_MEAN, **_PROBA, **_RENAMED}, prefer_skip_nested_validation=True)
def log_loss(
    y_true: Any,
    y_proba: Any = None,
    *,
    loss: str = "categorical",
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    class_weight: ClassWeight = None,
    label_smoothing: float = 0.0,
    clip: bool = True,
    y_pred: Any = "deprecated",
) -> float:
    r"""Log-loss, also called cross-entropy, of probabilities against labels or probabilities.

    The loss of a row with target probabilities t and predicted probabilities p is ::

        -sum_k t_k * log(p_k)

    which for a label is the negative logarithm of the probability of that label. With
    ``loss="binary"`` each column is an output of its own, and the loss of a row is the mean over
    columns of ``-t_k * log(p_k) - (1 - t_k) * log(1 - p_k)``. There a label may be missing, NaN or
    masked: it adds nothing, and the mean over rows is over all labels that are known.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels, or target probabilities, one column per class. Rows must sum to 1 within 1e-4 and
        are renormalised, except that a matrix of zeros and ones is taken as it is. A 1-D array of
        floats in [0, 1] that are no labels holds the probability of the second of two classes.
        With ``loss="binary"`` a matrix holds the probability of each label.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted probabilities, as `predict_proba` returns them. Columns have the order of the
        sorted labels. If `y_true` is a data frame they have the order of its sorted column names;
        if it is a 2-D array, or with ``loss="binary"``, the order of its columns. `labels`, or the
        column names of a data frame, name another order. A single column stands for the second of
        two classes.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own
        (multilabel; for labels of three or more classes, one against the rest).
    normalize : bool, default=True
        Return the weighted mean over rows; otherwise their weighted sum.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.
    class_weight : dict or "balanced", default=None
        Factors ``{class: weight}`` on the target mass of classes, as
        :class:`~skce.SoftmaxClassifier` has it. The mean is over what they leave of the mass, as
        for labels in ``torch.nn.CrossEntropyLoss``.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes before class
        weights apply; with ``loss="binary"`` targets move towards 1/2.
    clip : bool, default=True
        Take a predicted zero for the epsilon of the dtype, as scikit-learn does. If False, the
        loss of a class that has target mass and probability zero is infinite. Zero target mass
        times the logarithm of zero is zero in any case.
    y_pred : array-like of shape (n_samples,) or (n_samples, n_classes)
        Old name of `y_proba`.

        .. deprecated:: 0.1
            As in scikit-learn 1.9.

    Returns
    -------
    float
        The loss in nats.

    Raises
    ------
    ValueError
        If shapes do not match, or a row of targets or of probabilities is none; the message names
        the row.

    Warns
    -----
    UserWarning
        If rows of `y_proba` do not sum to 1, or `labels` is not sorted, which it need not be here
        but must be in scikit-learn.

    See Also
    --------
    log_loss_from_logits : The same from logits, exact where probabilities round to 0 or 1.
    log_loss_samples : The loss of each row.
    entropy : The least log-loss that any prediction can have.
    sklearn.metrics.log_loss : For labels, where the result is the same.

    Notes
    -----
    The loss is computed in float64 by blocks of rows, and no array is copied as a whole.
    scikit-learn also clips ones: a perfect prediction has a loss of epsilon there and of 0 here.

    Examples
    --------
    >>> from skce.metrics import log_loss
    >>> log_loss(["spam", "ham", "ham"], [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2]])
    0.1446215275...

    Three annotators of four saw spam:

    >>> round(log_loss([[0.25, 0.75]], [[0.2, 0.8]]), 4)
    0.5697

    The loss of a probability of 0.8, of 0.2 and of 0.01 for what then happens:

    >>> [round(log_loss([1], [p], labels=[0, 1]), 4) for p in (0.8, 0.2, 0.01)]
    [0.2231, 1.6094, 4.6052]

    Of eight certain predictions three are wrong. A certain and wrong one costs the logarithm of
    the epsilon, 36.04 nats in float64, and everything if it is not clipped:

    >>> y = [0, 1, 1, 1, 0, 1, 1, 1]
    >>> p = [1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]
    >>> round(log_loss(y, p), 4), log_loss(y, p, clip=False)
    (13.5164, inf)
    """
    problem = read(
        y_true,
        _renamed(y_proba, y_pred),
        sample_weight,
        loss=loss,
        labels=labels,
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        clip=clip,
    )
    return problem.average(problem.targets.loss, normalize=normalize)


@validate_params({**_TARGETS, **_PROBA}, prefer_skip_nested_validation=True)
def log_loss_samples(
    y_true: Any,
    y_proba: Any,
    *,
    loss: str = "categorical",
    labels: ArrayLike | None = None,
    class_weight: ClassWeight = None,
    label_smoothing: float = 0.0,
    clip: bool = True,
) -> Any:
    """Log-loss of each row.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted probabilities.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.
    class_weight : dict or "balanced", default=None
        Factors on the target mass of classes.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes.
    clip : bool, default=True
        Take a predicted zero for the epsilon of the dtype; otherwise its loss is infinite.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        The loss of each row in nats.

    See Also
    --------
    log_loss : Their mean.

    Examples
    --------
    >>> from skce.metrics import log_loss_samples
    >>> log_loss_samples([0, 1], [[0.8, 0.2], [0.99, 0.01]]).round(4)
    array([0.2231, 4.6052])
    """
    problem = read(
        y_true,
        y_proba,
        None,
        loss=loss,
        labels=labels,
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        clip=clip,
    )
    return like(problem.rows(problem.targets.loss, problem.shape[:1]), y_proba)


@validate_params({**_TARGETS, **_PROBA}, prefer_skip_nested_validation=True)
def log_loss_gradient(
    y_true: Any,
    y_proba: Any,
    *,
    loss: str = "categorical",
    labels: ArrayLike | None = None,
    class_weight: ClassWeight = None,
    label_smoothing: float = 0.0,
    clip: bool = True,
) -> Any:
    """Gradient of the log-loss of each row with respect to the predicted probabilities.

    It is ``-t / p``, if every probability is a variable of its own. With one column p for two
    classes it is ``(1 - t) / (1 - p) - t / p``. With ``loss="binary"`` it is the same for each
    column, divided by the number of columns.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted probabilities.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.
    class_weight : dict or "balanced", default=None
        Factors on the target mass of classes.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes.
    clip : bool, default=True
        If a probability is zero, divide by the epsilon of the dtype. With False the gradient is
        infinite there. It is always zero where the target mass is zero.

    Returns
    -------
    ndarray of float64, of the shape of `y_proba`
        The gradient of the loss of each row; divide by ``n_samples`` for that of the mean.

    See Also
    --------
    log_loss_gradient_from_logits : With respect to logits, where it is ``p - t``.

    Examples
    --------
    >>> from skce.metrics import log_loss_gradient
    >>> log_loss_gradient([[0.25, 0.75]], [[0.5, 0.5]])
    array([[-0.5, -1.5]])
    """
    problem = read(
        y_true,
        y_proba,
        None,
        loss=loss,
        labels=labels,
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        clip=clip,
    )
    return like(problem.rows(problem.targets.gradient, problem.shape), y_proba)


@validate_params({**_TARGETS, **_MEAN, **_LOGITS}, prefer_skip_nested_validation=True)
def log_loss_from_logits(
    y_true: Any,
    logits: Any,
    *,
    loss: str = "categorical",
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    class_weight: ClassWeight = None,
    label_smoothing: float = 0.0,
) -> float:
    """Log-loss of logits, exact where probabilities would round to 0 or 1.

    The predicted probabilities are ``softmax(logits)``, or with ``loss="binary"`` the sigmoid of
    each column. Nothing is clipped and nothing overflows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    logits : array-like of shape (n_samples,) or (n_samples, n_classes)
        Logits, as `decision_function` returns them. One column holds the log-odds of the second of
        two classes.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    normalize : bool, default=True
        Return the weighted mean over rows; otherwise their weighted sum.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.
    class_weight : dict or "balanced", default=None
        Factors on the target mass of classes.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes.

    Returns
    -------
    float
        The loss in nats.

    See Also
    --------
    log_loss : The same from probabilities.

    Examples
    --------
    The loss of logits 2, 4 and 0.5 for each of three labels, and of one that is certain:

    >>> from skce.metrics import log_loss_from_logits
    >>> [round(log_loss_from_logits([k], [[2, 4, 0.5]], labels=[0, 1, 2]), 4) for k in range(3)]
    [2.1532, 0.1532, 3.6532]
    >>> log_loss_from_logits([0, 1], [[50.0, 0.0], [0.0, 50.0]])
    1.9287498479639...e-22
    """
    problem = read(
        y_true,
        logits,
        sample_weight,
        loss=loss,
        labels=labels,
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        logits=True,
    )
    return problem.average(problem.targets.loss, normalize=normalize)


@validate_params({**_TARGETS, **_LOGITS}, prefer_skip_nested_validation=True)
def log_loss_samples_from_logits(
    y_true: Any,
    logits: Any,
    *,
    loss: str = "categorical",
    labels: ArrayLike | None = None,
    class_weight: ClassWeight = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Log-loss of each row of logits.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    logits : array-like of shape (n_samples,) or (n_samples, n_classes)
        Logits, as in :func:`log_loss_from_logits`.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.
    class_weight : dict or "balanced", default=None
        Factors on the target mass of classes.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
        The loss of each row in nats.

    See Also
    --------
    log_loss_from_logits : Their mean.

    Examples
    --------
    >>> from skce.metrics import log_loss_samples_from_logits
    >>> log_loss_samples_from_logits([0, 1], [1000.0, 1000.0])
    array([1000.,    0.])
    """
    problem = read(
        y_true,
        logits,
        None,
        loss=loss,
        labels=labels,
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        logits=True,
    )
    return like(problem.rows(problem.targets.loss, problem.shape[:1]), logits)


@validate_params({**_TARGETS, **_LOGITS}, prefer_skip_nested_validation=True)
def log_loss_gradient_from_logits(
    y_true: Any,
    logits: Any,
    *,
    loss: str = "categorical",
    labels: ArrayLike | None = None,
    class_weight: ClassWeight = None,
    label_smoothing: float = 0.0,
) -> Any:
    """Gradient of the log-loss of each row with respect to the logits.

    It is ``m * p - t`` with m the sum of t, which is 1 without class weights; with
    ``loss="binary"`` the same for each column, divided by their number.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    logits : array-like of shape (n_samples,) or (n_samples, n_classes)
        Logits, as in :func:`log_loss_from_logits`.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.
    class_weight : dict or "balanced", default=None
        Factors on the target mass of classes.
    label_smoothing : float, default=0.0
        Share of the target mass, in [0, 1), that is spread evenly over the classes.

    Returns
    -------
    ndarray of float64, of the shape of `logits`
        The gradient of the loss of each row; divide by ``n_samples`` for that of the mean.

    See Also
    --------
    log_loss_gradient : With respect to probabilities, where it is ``-t / p``.

    Examples
    --------
    >>> from skce.metrics import log_loss_gradient_from_logits
    >>> log_loss_gradient_from_logits([[0.25, 0.75]], [[0.0, 0.0]])
    array([[ 0.25, -0.25]])
    """
    problem = read(
        y_true,
        logits,
        None,
        loss=loss,
        labels=labels,
        class_weight=class_weight,
        label_smoothing=label_smoothing,
        logits=True,
    )
    return like(problem.rows(problem.targets.gradient, problem.shape), logits)


@validate_params({**_LOSS, **_MEAN, "y_true": ["array-like"]}, prefer_skip_nested_validation=True)
def entropy(
    y_true: Any,
    *,
    loss: str = "categorical",
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Entropy of target probabilities: the least log-loss that any prediction can have.

    The entropy of a row is ``-sum_k t_k * log(t_k)``, which is 0 for a label; with
    ``loss="binary"`` the mean over columns of ``-t * log(t) - (1 - t) * log(1 - t)``.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    normalize : bool, default=True
        Return the weighted mean over rows; otherwise their weighted sum.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.

    Returns
    -------
    float
        The entropy in nats.

    See Also
    --------
    kl_divergence : What the log-loss of a prediction is above the entropy.
    scipy.stats.entropy : Of one distribution.

    Examples
    --------
    >>> from skce.metrics import entropy
    >>> round(entropy([[0.5, 0.5], [1.0, 0.0]]), 4)
    0.3466
    """
    y_true = y_true if is_matrix_beside(y_true, y_true) else to_numpy(y_true)
    targets = read_targets(y_true, loss, None, one_label=True)
    weights = check_sample_weight(to_numpy(sample_weight), targets.values.shape[0])
    return Problem(targets, Predictions(targets.values), weights).average(
        targets.entropy, normalize=normalize
    )


@validate_params(
    {**_LOSS, **_MEAN, **_PROBA, "y_true": ["array-like"], "labels": ["array-like", None]},
    prefer_skip_nested_validation=True,
)
def kl_divergence(
    y_true: Any,
    y_proba: Any,
    *,
    loss: str = "categorical",
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    clip: bool = True,
) -> float:
    """Kullback-Leibler divergence of predicted from target probabilities.

    The divergence of a row is ``sum_k t_k * log(t_k / p_k)``. It is the log-loss less the entropy
    of the targets, so that minimising one minimises the other. For labels the two are equal.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted probabilities.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    normalize : bool, default=True
        Return the weighted mean over rows; otherwise their weighted sum.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.
    clip : bool, default=True
        Take a predicted zero for the epsilon of the dtype; otherwise the divergence is infinite
        where target mass meets probability zero.

    Returns
    -------
    float
        The divergence in nats.

    See Also
    --------
    log_loss : The sum of entropy and divergence.

    Notes
    -----
    S. Kullback and R. A. Leibler, *On information and sufficiency*, 1951.

    Examples
    --------
    >>> from skce.metrics import entropy, kl_divergence, log_loss
    >>> t, p = [[0.25, 0.75]], [[0.5, 0.5]]
    >>> round(kl_divergence(t, p), 4)
    0.1308
    >>> round(log_loss(t, p) - entropy(t), 4)
    0.1308
    """
    problem = read(y_true, y_proba, sample_weight, loss=loss, labels=labels, clip=clip)
    return problem.average(problem.targets.divergence, normalize=normalize)


@validate_params(
    {
        **_LOSS,
        **_PROBA,
        **_RENAMED,
        "y_true": ["array-like"],
        "sample_weight": ["array-like", None],
        "labels": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def d2_log_loss_score(
    y_true: Any,
    y_proba: Any = None,
    *,
    loss: str = "categorical",
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    y_pred: Any = "deprecated",
) -> float:
    """Fraction of log-loss explained, 1 less the log-loss over that of the mean target.

    The best score is 1, for targets that are probabilities a little less: their entropy cannot be
    explained. Who predicts the mean of `y_true` for every row scores 0.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels or target probabilities, as in :func:`log_loss`.
    y_proba : array-like of shape (n_samples,) or (n_samples, n_classes)
        Predicted probabilities.
    loss : {"categorical", "binary"}, default="categorical"
        Whether the classes exclude each other, or each column is an output of its own.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    labels : array-like of shape (n_classes,), default=None
        Names of the columns of predictions, in their order. Give all labels if `y_true` may lack
        some. Not needed if the columns have names or are sorted.
    y_pred : array-like of shape (n_samples,) or (n_samples, n_classes)
        Old name of `y_proba`.

        .. deprecated:: 0.1
            As in scikit-learn 1.9.

    Returns
    -------
    float
        The score; NaN with a warning for fewer than two rows.

    See Also
    --------
    sklearn.metrics.d2_log_loss_score : For labels, where the result is the same.

    Examples
    --------
    >>> from skce.metrics import d2_log_loss_score
    >>> d2_log_loss_score([[1, 0], [0.5, 0.5]], [[0.75, 0.25], [0.75, 0.25]])
    0.0
    """
    y_proba = _renamed(y_proba, y_pred)
    check_lengths_of(y_proba=y_proba, y_true=y_true, sample_weight=sample_weight)
    if n_rows(y_proba) < 2:
        warn(
            "D^2 score is not well-defined with less than two samples.",
            UndefinedMetricWarning,
        )
        return math.nan
    problem = read(y_true, y_proba, sample_weight, loss=loss, labels=labels)
    explained = problem.average(problem.targets.loss, normalize=False)
    eps = epsilon(problem.predictions.values)
    of_mean = problem.targets.loss_of_mean(problem.sample_weight, eps)
    if of_mean == 0:
        raise ValueError("y_true has no target mass in rows that weigh something.")
    return 1 - explained / of_mean
