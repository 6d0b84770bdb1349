"""
Unscaled columns
================

"lbfgs failed to converge" is the warning that users of scikit-learn know best. It comes from
columns of different size, and the usual answers are to scale the columns, which changes the
penalty, or to raise ``max_iter``, which takes long. What it means is easily missed: the model is
not the one that was asked for.
"""

# %%
# Wine, as it comes
# -----------------
# Columns run from 0.1 to 1700.
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
# The relative gap after ever more iterations of ``LogisticRegression``, each point a fit of its
# own, beside one fit of ``SoftmaxClassifier`` after each of its iterations.
gaps, seconds = [], []
for max_iter in (30, 100, 300, 1000, 3000, 10_000):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        model = LogisticRegression(max_iter=max_iter, tol=1e-12).fit(X, y)
        seconds.append(time.perf_counter() - start)
    gaps.append(objective(model) / best - 1)

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
curve = ours.loss_curve_ / best - 1
kept = curve > 1e-13
axes[0].loglog((30, 100, 300, 1000, 3000, 10_000), gaps, "s--", label="LogisticRegression")
axes[0].loglog(np.arange(1, len(curve) + 1)[kept], curve[kept], "o-", label="SoftmaxClassifier")
axes[0].set(xlabel="iterations", ylabel="relative gap of the objective")
axes[1].loglog(seconds, gaps, "s--", label="LogisticRegression")
axes[1].loglog(ours.optimize_result_.seconds[kept], curve[kept], "o-", label="SoftmaxClassifier")
axes[1].set(xlabel="seconds")
axes[0].legend()
plt.show()

# %%
# Units do not matter
# -------------------
# Without a penalty the model is the same in any units, and so is the way to it. Classes of wine are
# separable, which leaves no optimum without a penalty, so labels are exchanged here and there.
rng = np.random.default_rng(0)
noisy = np.where(rng.random(len(y)) < 0.2, rng.integers(3, size=len(y)), y)
units = 10.0 ** rng.uniform(-6, 6, X.shape[1])
one = SoftmaxClassifier(C=np.inf).fit(X, noisy).predict_proba(X)
other = SoftmaxClassifier(C=np.inf).fit(X * units, noisy).predict_proba(X * units)
print(f"largest difference of a probability: {np.abs(one - other).max():.0e}")
