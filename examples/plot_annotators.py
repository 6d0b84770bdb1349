"""
Soft labels from several annotators
===================================

Five people look at each digit and write down what they see. Their votes do not agree. People often
take the majority for the truth, and lose how certain the five were. The shares of the votes keep
this information.

The annotators in this example are simulated. Each of them mistakes a digit for one that looks
like it, more often if the digit is hard to read. :doc:`/guide/annotators` starts from a table of
votes.
"""

# %%
# The votes
# ---------
# A model of the digits says how alike they look. Annotators draw from its probabilities.
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
# One model is fitted to the majority and one to the shares, on a quarter of the digits. The other
# digits score both models against the votes of their five annotators.
train, test = train_test_split(np.arange(len(y)), train_size=0.25, random_state=0, stratify=y)
proba = {}
for name, target in {"majority": majority, "shares": Y}.items():
    proba[name] = SoftmaxClassifier(C=1e-2).fit(X[train], target[train]).predict_proba(X[test])
    accuracy = (proba[name].argmax(axis=1) == y[test]).mean()
    print(f"{name:9} log-loss {log_loss(Y[test], proba[name]):.3f}, accuracy {accuracy:.3f}")
print(f"entropy of the votes, the least possible log-loss: {entropy(Y[test]):.3f}")


# %%
# What the probabilities mean
# ---------------------------
# A calibrated prediction lies on the diagonal. The fit to the majority is too certain: if it
# predicts 0.9, fewer than nine of ten votes agree.
def merged(P):
    """Probabilities of three digits, and of all others together."""
    kept = P[:, [1, 8, 9]]
    return np.column_stack([kept, 1 - kept.sum(axis=1)]).clip(0)


def draw(name):
    """Draw the votes against the predictions of a fit."""
    _, ax = plt.subplots(figsize=(6, 5), layout="constrained")
    labels = ["1", "8", "9", "other"]
    TargetProbabilityDisplay.from_predictions(
        merged(Y[test]), merged(proba[name]), labels=labels, ax=ax
    )
    ax.set_title(f"votes against predictions, fitted to the {name}")
    plt.show()


draw("majority")

# %%
# If the fit to the shares predicts 0.6, three of five annotators agree on average.
draw("shares")
