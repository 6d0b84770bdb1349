"""
Grouped counts: what alligators eat
===================================

The classic example of multinomial regression is the primary food of 219 alligators in four lakes
of Florida, by lake and size (Agresti, *Categorical Data Analysis*, 2nd ed., 2002, table 7.1). The
data are *counts* in eight groups. Each group becomes one row: its shares are the target, and its
size is the weight. The likelihood is that of 219 rows with one label each.
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
# The features are dummies for small animals and for three of the lakes. There is no penalty.
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
# every class, and only their differences matter. Here are the differences from the row of fish.
W = pd.DataFrame(clf.coef_, index=clf.classes_, columns=X.columns)
W.insert(0, "intercept", clf.intercept_)
logits = (W.loc[foods[1:]] - W.loc["fish"]).round(2)
published = np.array(
    [
        [-1.55, 1.46, -1.66, 0.94, 1.12],
        [-3.31, -0.35, 1.24, 2.46, 2.94],
        [-2.09, -0.63, 0.70, -0.65, 1.09],
        [-1.90, 0.33, 0.83, 0.01, 1.52],
    ]
)
difference = np.abs(logits.to_numpy() - published).max()
print(f"largest difference from the published ones: {difference:.2f}")
logits

# %%
# The picture
# -----------
# Small alligators mostly eat invertebrates, and large ones eat fish. In the lakes Trafford and
# Oklawaha they eat reptiles, too.
proba = pd.DataFrame(clf.predict_proba(X), columns=clf.classes_)
groups = np.arange(len(table))
figure, ax = plt.subplots(figsize=(6.6, 5.2), layout="constrained")
for values, shift, alpha in ((shares, -0.2, 1.0), (proba, 0.2, 0.5)):
    left = np.zeros(len(values))
    for k, food in enumerate(foods):
        name = food if values is shares else None
        ax.barh(
            groups + shift,
            values[food],
            0.36,
            left=left,
            color=f"C{k}",
            alpha=alpha,
            label=name,
        )
        left += values[food].to_numpy()
ax.set(
    title="shares of foods in each group: observed above, fitted below",
    yticks=groups,
    yticklabels=[f"{a}, {b}" for a, b in table.index],
    xlabel="share",
    xlim=(0, 1),
)
ax.invert_yaxis()
figure.legend(loc="outside lower center", ncols=5)
plt.show()
