"""
Soft labels from several annotators
===================================

Five people look at each digit and write down what they see. Their votes do not agree, and most of
the time the majority is taken for the truth. That loses how sure they were; the shares of the votes
keep it.

The annotators here are simulated: each of them mistakes a digit for the ones that look like it,
more often where the digit is hard to read.
"""

# %%
# The votes
# ---------
# A model of the digits says how alike they look; annotators draw from its blurred probabilities.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skce import SoftmaxClassifier
from skce.displays import TargetProbabilityDisplay
from skce.metrics import entropy, log_loss

X, y = load_digits(return_X_y=True)
look = SoftmaxClassifier(C=3e-4).fit(X, y).predict_proba(X)
look /= look.sum(axis=1, keepdims=True)
rng = np.random.default_rng(0)
votes = rng.multinomial(5, look)
Y = votes / 5
majority = votes.argmax(axis=1)
print(f"all five agree on {(Y.max(axis=1) == 1).mean():.0%} of the digits")
print(f"the majority is wrong on {(majority != y).mean():.1%}")

# %%
# Two fits
# --------
# Both see a quarter of the digits; both are scored on the others, against what their five
# annotators said.
train, test = train_test_split(np.arange(len(y)), train_size=0.25, random_state=0, stratify=y)
fits = {}
for name, target in {"majority": majority, "shares": Y}.items():
    fits[name] = SoftmaxClassifier(C=1e-2).fit(X[train], target[train])
    proba = fits[name].predict_proba(X[test])
    accuracy = (proba.argmax(axis=1) == y[test]).mean()
    print(f"{name:9} log-loss {log_loss(Y[test], proba):.3f}, accuracy {accuracy:.3f}")
print(f"entropy of the votes, which no model gets below: {entropy(Y[test]):.3f}")

# %%
# What the probabilities mean
# ---------------------------
# The fit to the majority is too sure of itself. The one to the shares predicts 0.6 where, on
# average, three of five annotators agree.
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
for ax, (name, clf) in zip(axes, fits.items(), strict=True):
    proba = clf.predict_proba(X[test])
    # Three digits, and all the others together.
    kept = [1, 8, 9]
    merged = [
        np.column_stack([P[:, kept], 1 - P[:, kept].sum(axis=1)]).clip(0) for P in (Y[test], proba)
    ]
    TargetProbabilityDisplay.from_predictions(*merged, labels=["1", "8", "9", "other"], ax=ax)
    ax.set_title(f"fitted to the {name}")
plt.show()
