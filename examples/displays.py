"""The pictures of skce.displays, on the digits that scikit-learn ships.

Run it with ``python examples/displays.py [FOLDER]``; it needs matplotlib (``pip install
'skce[plot]'``), takes a few seconds, and writes five PNG files to the folder, "." by default.
"""

import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split

from skce import SoftmaxClassifier, SoftmaxClassifierCV
from skce.displays import (
    ConvergenceDisplay,
    LossCurveDisplay,
    RegularizationPathDisplay,
    SampleLossDisplay,
    TargetProbabilityDisplay,
)
from skce.metrics import entropy, kl_divergence, log_loss, log_loss_decomposition
from skce.model_selection import StratifiedProbabilityKFold, cross_val_predict_proba


def loss_curves():
    """Log-loss, its gradient, and why squared error learns slowly from sure mistakes."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.5), layout="constrained")
    LossCurveDisplay.from_targets([0, 1, 0.7], ax=axes[0, 0])
    LossCurveDisplay.from_targets([0, 1, 0.7], response="gradient", ax=axes[0, 1])
    both = {"losses": ["log_loss", "squared_error"], "against": "logit"}
    LossCurveDisplay.from_targets([1], **both, ax=axes[1, 0])
    LossCurveDisplay.from_targets([1], **both, response="gradient", ax=axes[1, 1])
    titles = [
        "log-loss",
        "its gradient in the probability",
        "beside squared error",
        "their gradients in the logit",
    ]
    for ax, title in zip(axes.flat, titles, strict=True):
        ax.set_title(title)
    return figure


def sample_losses(X_train, X_test, y_train, y_test):
    clf = SoftmaxClassifier(C=1e-3).fit(X_train, y_train)
    display = SampleLossDisplay.from_estimator(clf, X_test, y_test)
    print("The worst of the test digits, and the probability of what they are:")
    for i in display.worst_:
        p = clf.predict_proba(X_test[i : i + 1])[0]
        print(f"  row {i:3d}  {y_test[i]}, taken for {p.argmax()}: p = {p[y_test[i]]:.4f}")
    parts = log_loss_decomposition(y_test, clf.predict_proba(X_test))
    print(
        f"Log-loss {parts.log_loss:.4f} = calibration {parts.calibration:.4f} + refinement "
        f"{parts.refinement:.4f}, at temperature {parts.temperature:.2f}"
    )
    return display.figure_


def convergence(X, y):
    """All solvers on raw pixels; the minimum is that of a fit to more digits."""
    least = SoftmaxClassifier(tol=1e-13).fit(X, y).optimize_result_.fun
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    for solver in ("newton-cg", "lbfgs"):
        clf = SoftmaxClassifier(solver=solver).fit(X, y)
        for ax, against in zip(axes, ("iteration", "time"), strict=True):
            minimum = min(least, clf.loss_curve_.min())
            ConvergenceDisplay.from_estimator(
                clf, against=against, minimum=minimum, name=solver, ax=ax
            )
    return figure


def predicted_and_target(X, y):
    """Votes of ten annotators who mistake a digit the more often the more it looks like another."""
    rng = np.random.default_rng(0)
    truth = SoftmaxClassifier(C=1e-4).fit(X, y).predict_proba(X)
    votes = rng.multinomial(10, truth / truth.sum(axis=1, keepdims=True)) / 10
    chosen = [1, 8, 9]
    Y = np.column_stack([votes[:, chosen], 1 - votes[:, chosen].sum(axis=1)]).clip(0)
    p = cross_val_predict_proba(
        SoftmaxClassifier(C=1e-3),
        X,
        Y,
        cv=StratifiedProbabilityKFold(5, shuffle=True, random_state=0),
    )
    print(
        f"Log-loss of votes {log_loss(Y, p):.4f} = entropy {entropy(Y):.4f} + divergence "
        f"{kl_divergence(Y, p):.4f}"
    )
    labels = [*map(str, chosen), "another"]
    return TargetProbabilityDisplay.from_predictions(Y, p, labels=labels).figure_


def regularization_path():
    """Lasso on the cancer data: fewer features for hardly more loss."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    clf = SoftmaxClassifierCV(Cs=25, l1_ratios=[1.0]).fit(X / X.std(), y)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for ax, response in zip(axes, ("score", "coefficients"), strict=True):
        RegularizationPathDisplay.from_estimator(clf, response=response, ax=ax)
    few = clf.coefs_paths_[:, 0, clf.Cs_ == clf.C_1se_].mean(axis=0)[0, 0, :-1]
    print(f"Within one standard error of the best: {np.count_nonzero(few)} of 30 features")
    return figure


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    warnings.simplefilter("error")
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X, y, random_state=0, stratify=y)
    figures = {
        "loss-curves": loss_curves(),
        "sample-losses": sample_losses(*split),
        "convergence": convergence(X, y),
        "regularization-path": regularization_path(),
        "target-probabilities": predicted_and_target(X, y),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=100)
        print(f"wrote {folder / name}.png")
