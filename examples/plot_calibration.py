"""
Calibration, and what log-loss is made of
=========================================

Log-loss punishes two things: probabilities that are wrong as probabilities, which recalibration can
repair, and classes that are not told apart, which it cannot. The decomposition says how much is
which; the losses of single rows say where.
"""

# %%
# Two fits to few digits
# ----------------------
# One has hardly any penalty and is too sure of itself, the other has much of it and is too
# cautious.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skce import SoftmaxClassifier
from skce.displays import SampleLossDisplay
from skce.metrics import log_loss, log_loss_decomposition

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
# Temperatures above 1 make probabilities more cautious, those below 1 surer. Recalibrated, all
# three would lose about the same: what they know is alike, and how sure they are is not.
#
# The rows that cost most
# -----------------------
clf = fits[1e-3]
display = SampleLossDisplay.from_estimator(clf, X_test, y_test)
plt.show()

# %%
# Looked at
# ---------
figure, axes = plt.subplots(1, 5, figsize=(10, 2.6), layout="constrained")
for ax, i in zip(axes, display.worst_, strict=True):
    p = clf.predict_proba(X_test[i : i + 1])[0]
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set(
        xticks=[], yticks=[], title=f"a {y_test[i]}, taken for {p.argmax()}\np = {p[y_test[i]]:.3f}"
    )
plt.show()
print(f"mean log-loss {log_loss(y_test, clf.predict_proba(X_test)):.3f}")
