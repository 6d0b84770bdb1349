"""
Calibration, and what log-loss is made of
=========================================

Log-loss punishes two things. Probabilities may be too high or too low, which recalibration can
repair. And a model may not be able to tell classes apart, which recalibration cannot repair. The
decomposition says how large the two parts of a loss are, and the losses of single rows show which
rows it comes from.
"""

# %%
# Three fits to few digits
# ------------------------
# The first fit has a strong penalty and is far too cautious. The second has a weaker penalty and is
# still too cautious. The third has hardly any penalty and is too certain.
import matplotlib.pyplot as plt
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skce import SoftmaxClassifier
from skce.displays import SampleLossDisplay
from skce.metrics import log_loss_decomposition

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=300, random_state=0, stratify=y
)
fits = {C: SoftmaxClassifier(C=C).fit(X_train, y_train) for C in (1e-5, 1e-3, 100)}
for C, clf in fits.items():
    parts = log_loss_decomposition(y_test, clf.predict_proba(X_test))
    print(
        f"C = {C:<6g} log-loss {parts.log_loss:.3f} = calibration {parts.calibration:.3f}"
        f" + refinement {parts.refinement:.3f}, best temperature {parts.temperature:.2f}"
    )

# %%
# If the best temperature is above 1, the fit is too certain. If it is below 1, the fit is too
# cautious. After recalibration the last two fits would have nearly the same loss: they tell the
# digits apart equally well, and differ in how certain they are. The first fit, with the strongest
# penalty, also tells them apart less well.
#
# Calibration curves
# ------------------
# If a fit says 0.8 for the digit that it predicts, is it right in 80 % of such rows? Bins hold
# equal numbers of rows.
figure, ax = plt.subplots(figsize=(6.2, 4.8), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="perfectly calibrated")
for (C, clf), marker in zip(fits.items(), "os^", strict=True):
    proba = clf.predict_proba(X_test)
    right = proba.argmax(axis=1) == y_test
    observed, said = calibration_curve(right, proba.max(axis=1), n_bins=8, strategy="quantile")
    ax.plot(said, observed, marker=marker, label=f"C = {C:g}")
ax.set(
    title="how often a prediction is right",
    xlabel="predicted probability of the predicted digit",
    ylabel="share of rows where it is right",
)
ax.legend()
plt.show()

# %%
# The rows that cost most
# -----------------------
clf = fits[1e-3]
figure, ax = plt.subplots(figsize=(6.6, 4.4), layout="constrained")
display = SampleLossDisplay.from_estimator(clf, X_test, y_test, ax=ax)
ax.set_title("log-loss of single digits, by class")
plt.show()

# %%
# The five worst of them
# ----------------------
figure, axes = plt.subplots(1, 5, figsize=(6.4, 2.2), layout="constrained")
for ax, i in zip(axes, display.worst_, strict=True):
    p = clf.predict_proba(X_test[i : i + 1])[0]
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set(xticks=[], yticks=[], xlabel=f"{y_test[i]}, said {p.argmax()}\np = {p[y_test[i]]:.3f}")
figure.suptitle("the five digits with the highest loss")
plt.show()
