"""
The curves of cross-entropy
===========================

How large is the loss of one prediction? The pictures show log-loss and its gradient as functions
of the predicted probability, for labels and for a soft target, and squared error beside both.
:doc:`/guide/cross_entropy` explains them.
"""

# %%
# Log-loss against the probability
# --------------------------------
# The loss of y = 1 falls, and the loss of y = 0 rises. They cross at 1/2, where both are log 2. A
# confident mistake costs more, without limit. The loss of the soft target 0.7 is least at 0.7, and
# not zero there.
import matplotlib.pyplot as plt
import numpy as np

from skce.displays import LossCurveDisplay
from skce.metrics import entropy, log_loss


def draw(title, targets, **options):
    """Draw curves on axes of their own."""
    _, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    LossCurveDisplay.from_targets(targets, ax=ax, **options)
    ax.set_title(title)
    plt.show()


draw("log-loss against the predicted probability", [0, 1, 0.7])

# %%
# Its gradient in the probability
# -------------------------------
draw("gradient of log-loss in the probability", [0, 1, 0.7], response="gradient")

# %%
# Beside squared error
# --------------------
# A linear model moves the logit. The gradient of log-loss in the logit is the prediction minus the
# target. The gradient of squared error has a factor p (1 - p), which vanishes if the prediction is
# certain, whether it is right or wrong.
both = {"losses": ["log_loss", "squared_error"], "against": "logit"}
draw("loss of y = 1 against the logit", [1], **both)

# %%
draw("gradient of both losses in the logit", [1], response="gradient", **both)

# %%
# A worked example
# ----------------
# The example has eight rows. If the predictions are labels, each mistake costs 36.04, which is
# minus the logarithm of the machine epsilon of float64. Predicted probabilities cost little.
y = np.array([0, 1, 1, 1, 0, 1, 1, 1])
certain = np.array([1, 1, 1, 0, 0, 1, 1, 0])
hedged = np.where(certain == 1, 0.75, 0.25)
print(f"certain: {log_loss(y, certain):.2f}, hedged: {log_loss(y, hedged):.2f}")
print(
    f"always the frequency of ones: {log_loss(y, np.full(8, y.mean())):.2f}, "
    f"which is its entropy, {entropy(np.array([y.mean()])):.2f}"
)
