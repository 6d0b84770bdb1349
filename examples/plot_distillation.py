"""
Distilling a forest into a linear model
=======================================

A large model is accurate and slow; a linear one is small, fast and can be read. Fitted to the
*probabilities* of the large one, rather than to labels, it also learns how alike the classes are,
and it can learn from rows that nobody has labelled.

Source: Hinton, Vinyals and Dean, *Distilling the knowledge in a neural network*, 2015.
"""

# %%
# A teacher with few labels, and rows without any
# -----------------------------------------------
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split

from skce import SoftmaxClassifier
from skce.metrics import log_loss

X, y = load_digits(return_X_y=True)
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=600, random_state=0, stratify=y)
X_few, X_unlabelled, y_few, _ = train_test_split(
    X_rest, y_rest, train_size=150, random_state=0, stratify=y_rest
)
teacher = ExtraTreesClassifier(400, random_state=0).fit(X_few, y_few)
print(f"the teacher's accuracy, from 150 labels: {teacher.score(X_test, y_test):.3f}")

# %%
# Three students
# --------------
# One sees the 150 labels; one the teacher's best guess for every row, one the teacher's
# probabilities.
proba = teacher.predict_proba(X_rest)
students = {
    "150 labels": SoftmaxClassifier(C=0.01).fit(X_few, y_few),
    "teacher's labels": SoftmaxClassifier(C=0.01).fit(X_rest, proba.argmax(axis=1)),
    "teacher's probabilities": SoftmaxClassifier(C=0.01).fit(X_rest, proba),
}
accuracy = {name: (s.predict(X_test) == y_test).mean() for name, s in students.items()}
for name, student in students.items():
    loss = log_loss(y_test, student.predict_proba(X_test))
    print(f"{name:24} accuracy {accuracy[name]:.3f}, log-loss {loss:.3f}")

# %%
# What the student saves
# ----------------------
seconds = {}
for name, model in {"teacher": teacher, "student": students["teacher's probabilities"]}.items():
    start = time.perf_counter()
    model.predict_proba(X_test)
    seconds[name] = time.perf_counter() - start
print(f"the student predicts {seconds['teacher'] / seconds['student']:.0f} times as fast")

# %%
# Which student is closest
# ------------------------
# Beside what they get right, what they say where the teacher is unsure: the divergence of their
# probabilities from the teacher's, row by row.
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
axes[0].barh([*accuracy], [*accuracy.values()], color=["C0", "C1", "C2"])
axes[0].axvline(teacher.score(X_test, y_test), color="0.3", linestyle="--", label="teacher")
axes[0].set(xlim=(0.7, 1), xlabel="accuracy on unseen digits")
axes[0].invert_yaxis()
axes[0].legend()
target = teacher.predict_proba(X_test)
for name, student in students.items():
    q = student.predict_proba(X_test)
    divergence = np.sum(target * np.log(np.where(target > 0, target, 1) / q), axis=1)
    axes[1].plot(np.sort(divergence), np.linspace(0, 1, len(divergence)), label=name)
axes[1].set(xlim=(0, 3), xlabel="divergence from the teacher", ylabel="share of the rows below")
axes[1].legend()
plt.show()
