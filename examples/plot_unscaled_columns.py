"""
Unscaled columns
================

"lbfgs failed to converge" is the warning that users of scikit-learn know best. It comes from
columns of different size. The usual answers are to scale the columns, which changes the
penalty, or to raise ``max_iter``, which takes long. The warning means that the model is not the
one that you asked for.
"""

# %%
# Wine, as it comes
# -----------------
# The values range from 0.1 to 1700.
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skce import SoftmaxClassifier
from skce.metrics import log_loss

X, y = load_wine(return_X_y=True)


def objective(model):
    """What both minimise."""
    return log_loss(y, model.predict_proba(X), normalize=False) + (model.coef_**2).sum() / 2


best = objective(SoftmaxClassifier(tol=1e-13).fit(X, y))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    default = LogisticRegression().fit(X, y)
print(caught[0].message.args[0].splitlines()[0])
print(f"LogisticRegression() stopped {objective(default) / best - 1:.0%} above the optimum")
ours = SoftmaxClassifier().fit(X, y)
print(f"SoftmaxClassifier(): {ours.optimize_result_.message}")

# %%
# What it costs to wait
# ---------------------
# The picture shows the relative gap. Each point of ``LogisticRegression`` is a fit of its own, with
# another ``max_iter``. The points of ``SoftmaxClassifier`` are the iterations of one fit.
iterations, gaps, seconds = (30, 100, 300, 1000, 3000, 10_000), [], []
for max_iter in iterations:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        model = LogisticRegression(max_iter=max_iter, tol=1e-12).fit(X, y)
        seconds.append(time.perf_counter() - start)
    gaps.append(objective(model) / best - 1)
curve = ours.loss_curve_ / best - 1
kept = curve > 1e-13


def draw(theirs, mine, title, xlabel):
    """Draw the gaps of both against something."""
    _, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    ax.loglog(theirs, gaps, "s--", label="LogisticRegression")
    ax.loglog(mine[kept], curve[kept], "o-", label="SoftmaxClassifier")
    ax.set(title=title, xlabel=xlabel, ylabel="relative gap of the objective")
    ax.legend()
    plt.show()


draw(
    iterations,
    np.arange(1, len(curve) + 1),
    "gap to the optimum on raw columns, by iteration",
    "iterations",
)

# %%
# This is the same gap against seconds:
draw(
    seconds,
    ours.optimize_result_.seconds,
    "gap to the optimum on raw columns, by time",
    "seconds",
)

# %%
# Units do not matter
# -------------------
# Without a penalty the model is the same in any units, and so are the steps of the solver. The
# classes of wine are separable, so a fit without a penalty has no optimum. Some labels are
# therefore exchanged here.
rng = np.random.default_rng(0)
noisy = np.where(rng.random(len(y)) < 0.2, rng.integers(3, size=len(y)), y)
units = 10.0 ** rng.uniform(-6, 6, X.shape[1])
one = SoftmaxClassifier(C=np.inf).fit(X, noisy).predict_proba(X)
other = SoftmaxClassifier(C=np.inf).fit(X * units, noisy).predict_proba(X * units)
print(f"largest difference of a probability: {np.abs(one - other).max():.0e}")
