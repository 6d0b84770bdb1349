"""
The curves of cross-entropy
===========================

What does one prediction cost? Log-loss as a function of the predicted probability, for a label and
for a soft target; its gradient; and why squared error learns slowly from confident mistakes.
"""

# %%
# The crossing lines
# ------------------
# The loss of y = 1 falls, that of y = 0 rises, and they cross at 1/2, where both are log 2. The
# more sure a mistake, the dearer it is, without a limit. A soft target of 0.7 costs least at 0.7,
# though not nothing.
import matplotlib.pyplot as plt
import numpy as np

from skce.displays import LossCurveDisplay
from skce.metrics import entropy, log_loss

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
LossCurveDisplay.from_targets([0, 1, 0.7], ax=axes[0])
LossCurveDisplay.from_targets([0, 1, 0.7], response="gradient", ax=axes[1])
axes[0].set_title("log-loss")
axes[1].set_title("its gradient in the probability")
plt.show()

# %%
# Beside squared error
# --------------------
# In the logit, which is what a linear model moves, the gradient of log-loss is the prediction minus
# the target. That of squared error has a factor p (1 - p), which vanishes where the prediction is
# sure, right or wrong.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
both = {"losses": ["log_loss", "squared_error"], "against": "logit"}
LossCurveDisplay.from_targets([1], ax=axes[0], **both)
LossCurveDisplay.from_targets([1], response="gradient", ax=axes[1], **both)
axes[0].set_title("the loss of one prediction")
axes[1].set_title("its gradient in the logit")
plt.show()

# %%
# A worked example
# ----------------
# Eight rows. Predicting labels is all or nothing, and each certain mistake costs 36, the logarithm
# of the smallest probability that float64 can tell from zero. Predicting probabilities costs
# little.
y = np.array([0, 1, 1, 1, 0, 1, 1, 1])
certain = np.array([1, 1, 1, 0, 0, 1, 1, 0])
hedged = np.where(certain == 1, 0.75, 0.25)
print(f"certain: {log_loss(y, certain):.2f}, hedged: {log_loss(y, hedged):.2f}")
print(
    f"always the frequency of ones: {log_loss(y, np.full(8, y.mean())):.2f}, "
    f"which is its entropy, {entropy(np.array([y.mean()])):.2f}"
)
