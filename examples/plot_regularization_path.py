"""
A regularisation path
=====================

How many features does a model need? With an L1 penalty the answer depends on C, from none to
all. The path shows the coefficients that enter one after the other. Cross-validation says
from which C on more coefficients no longer help.
"""

# %%
# Thirty measurements of cell nuclei
# ----------------------------------
# Each column is divided by its standard deviation, because the penalty is on coefficients in
# the units of the columns.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

from skce import SoftmaxClassifierCV, softmax_path
from skce.displays import RegularizationPathDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X / X.std()
clf = SoftmaxClassifierCV(Cs=25, l1_ratios=[1.0]).fit(X, y)

# %%
# The loss
# --------
# The band is one standard error over the folds. The smallest C whose loss is within one
# standard error of the best gives the simplest model that is about as good.
figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
RegularizationPathDisplay.from_estimator(clf, ax=ax)
ax.set_title("cross-validated log-loss along the path of C")
plt.show()

# %%
# The coefficients
# ----------------
# The picture ends at C = 10, because the coefficients grow to more than 200 at the last C.
figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
RegularizationPathDisplay.from_estimator(clf, response="coefficients", ax=ax)
ax.set(title="coefficients that enter along the path of C", xlim=(None, 10), ylim=(-8, 6))
plt.show()

# %%
# Which features
# --------------
at_1se = softmax_path(X, y, Cs=[clf.C_1se_], l1_ratio=1.0)
weights = at_1se.coefs[0, 0]
order = np.argsort(-np.abs(weights))
print(f"{np.count_nonzero(weights)} of {len(weights)} features at C = {clf.C_1se_:.3g}:")
for j in order[: np.count_nonzero(weights)]:
    print(f"  {X.columns[j]:26}{weights[j]:+.3f}")

# %%
# Signs that must make sense
# --------------------------
# Class 0 is malignant. If no measurement should make a benign tumour more likely by growing, bounds
# keep the coefficients from being positive.
bounded = SoftmaxClassifierCV(Cs=25, l1_ratios=[1.0], coef_bounds=(None, 0)).fit(X, y)
best, best_bounded = (-model.scores_.mean(axis=0).max() for model in (clf, bounded))
print(f"cross-validated log-loss {best:.4f}, with the bound {best_bounded:.4f}")
used, used_bounded = (np.count_nonzero(model.coef_) for model in (clf, bounded))
print(f"features in use {used}, with the bound {used_bounded}")
