"""
Grouped counts: what alligators eat
===================================

The classic of multinomial regression: the primary food of 219 alligators in four lakes of Florida,
by lake and length (Agresti, *Categorical Data Analysis*, 2nd ed., 2002, table 7.1). The data are
*counts*: there are eight groups, not 219 rows. They are passed as shares, weighted by the size of
the group, which is the same likelihood.
"""

# %%
# The table
# ---------
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skce import SoftmaxClassifier

foods = ["fish", "invertebrate", "reptile", "bird", "other"]
table = pd.DataFrame(
    {
        ("Hancock", "small"): [23, 4, 2, 2, 8],
        ("Hancock", "large"): [7, 0, 1, 3, 5],
        ("Oklawaha", "small"): [5, 11, 1, 0, 3],
        ("Oklawaha", "large"): [13, 8, 6, 1, 0],
        ("Trafford", "small"): [5, 11, 2, 1, 5],
        ("Trafford", "large"): [8, 7, 6, 3, 5],
        ("George", "small"): [16, 19, 1, 2, 3],
        ("George", "large"): [17, 1, 0, 1, 3],
    },
    index=foods,
).T
table

# %%
# The fit
# -------
# Dummies for small animals and for three of the lakes, no penalty, shares as targets.
lake, size = (table.index.get_level_values(level) for level in (0, 1))
X = pd.DataFrame(
    {
        "small": size == "small",
        **{name: lake == name for name in ("Hancock", "Oklawaha", "Trafford")},
    }
).astype(float)
total = table.sum(axis=1).to_numpy()
shares = (table / total[:, None]).reset_index(drop=True)
clf = SoftmaxClassifier(C=np.inf).fit(X, shares, sample_weight=total)
print(clf.optimize_result_.message)

# %%
# The published coefficients
# --------------------------
# Agresti reports logits against fish (table 7.3). A softmax model has a row of coefficients for
# every class, of which only differences matter: those to the row of fish.
W = np.column_stack([clf.intercept_, clf.coef_])
logits = pd.DataFrame((W - W[0])[1:], index=foods[1:], columns=["intercept", *X.columns]).round(2)
published = [
    [-1.55, 1.46, -1.66, 0.94, 1.12],
    [-3.31, -0.35, 1.24, 2.46, 2.94],
    [-2.09, -0.63, 0.70, -0.65, 1.09],
    [-1.90, 0.33, 0.83, 0.01, 1.52],
]
print(f"equal to the published ones: {np.array_equal(logits, published)}")
logits

# %%
# The picture
# -----------
# Small alligators eat invertebrates, large ones fish; in lakes Trafford and Oklawaha reptiles too.
proba = pd.DataFrame(clf.predict_proba(X), columns=clf.classes_)
labels = [f"{a}, {b}" for a, b in table.index]
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, values, title in zip(axes, (shares, proba), ("observed shares", "fitted"), strict=True):
    left = np.zeros(len(values))
    for food in foods:
        ax.barh(labels, values[food], left=left, label=food)
        left += values[food].to_numpy()
    ax.set(title=title, xlim=(0, 1))
axes[0].invert_yaxis()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
plt.show()
