"""
Distilling a network into a linear model
========================================

A large model is accurate and slow. A linear model is small and fast, and people can read it. If
it is fitted to the *probabilities* of the large model rather than to labels, it learns from
each row how alike all classes are, not only which one is right. It therefore needs fewer rows.

Source: Hinton, Vinyals and Dean, *Distilling the knowledge in a neural network*, 2015.
"""

# %%
# The teacher
# -----------
# The teacher is a network with 300 hidden units, fitted to two thirds of the digits.
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split
from sklearn.neural_network import MLPClassifier

from skce import SoftmaxClassifier
from skce.metrics import entropy

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=600, random_state=0, stratify=y
)
teacher = MLPClassifier((300,), alpha=1.0, max_iter=500, random_state=0).fit(X_train, y_train)
proba = teacher.predict_proba(X_train)
print(f"accuracy of the teacher on unseen digits: {teacher.score(X_test, y_test):.3f}")
print(f"entropy of what it says, per digit: {entropy(proba):.2f} (a label has none)")

# %%
# Two students, and few rows
# --------------------------
# Both see the same few digits, one with their labels and one with the teacher's probabilities. The
# results are means over ten draws of the rows.
sizes = [20, 40, 80, 160, 320, 640]
accuracy = {"labels": [], "the teacher's probabilities": []}
for n in sizes:
    found = []
    draws = StratifiedShuffleSplit(10, train_size=n, random_state=0)
    for rows, _ in draws.split(X_train, y_train):
        students = [
            SoftmaxClassifier(C=10).fit(X_train[rows], target[rows]) for target in (y_train, proba)
        ]
        found.append([(student.predict(X_test) == y_test).mean() for student in students])
    for values, mean in zip(accuracy.values(), np.mean(found, axis=0), strict=True):
        values.append(mean)
    print(f"{n:4d} rows: {accuracy['labels'][-1]:.3f} from labels, {mean:.3f} from probabilities")

# %%
# Accuracy against rows
# ---------------------
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for (name, values), marker in zip(accuracy.items(), "so", strict=True):
    ax.semilogx(sizes, values, marker=marker, label=f"student, from {name}")
ax.axhline(teacher.score(X_test, y_test), color="0.3", linestyle="--", label="teacher")
ax.set_xticks(sizes, [str(n) for n in sizes])
ax.minorticks_off()
ax.set(
    title="accuracy of the students against the rows they see",
    xlabel="rows that the student sees",
    ylabel="accuracy on unseen digits",
)
ax.legend()
plt.show()

# %%
# What the student saves
# ----------------------
student = SoftmaxClassifier(C=10).fit(X_train, proba)
seconds = []
for model in (teacher, student):
    start = time.perf_counter()
    for _ in range(20):
        model.predict_proba(X_test)
    seconds.append(time.perf_counter() - start)
n_numbers = sum(W.size for W in teacher.coefs_ + teacher.intercepts_)
print(f"{student.coef_.size + student.intercept_.size} numbers in place of {n_numbers}")
print(f"predictions take {seconds[1] / seconds[0]:.0%} of the time")
