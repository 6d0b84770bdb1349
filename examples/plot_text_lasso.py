"""
Sparse text with L1
===================

Which library does a docstring come from? The texts are docstrings of NumPy, SciPy and
scikit-learn. The features are tf-idf weights of thousands of words, in a sparse matrix. An L1
penalty selects the few words that matter and sets the coefficients of all others exactly to
zero.
"""

# %%
# Docstrings as texts
# -------------------
# The names of the libraries are left out, because they would make it too easy.
import inspect
import re
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.discovery import all_estimators, all_functions

from skce import SoftmaxClassifierCV
from skce.displays import RegularizationPathDisplay


def public_docstrings(names):
    """Docstrings of what modules export."""
    for name in names:
        module = import_module(name)
        for attribute in getattr(module, "__all__", ()):
            yield inspect.getdoc(getattr(module, attribute, None)) or ""


scipy = (
    "cluster fft integrate interpolate linalg ndimage optimize signal sparse spatial special stats"
)
sources = {
    "numpy": public_docstrings(["numpy", "numpy.fft", "numpy.linalg", "numpy.random"]),
    "scipy": public_docstrings([f"scipy.{name}" for name in scipy.split()]),
    "sklearn": (inspect.getdoc(x) or "" for _, x in [*all_estimators(), *all_functions()]),
}
named = re.compile(r"\b(numpy|np|scipy|sp|sklearn|scikit|learn)\b", re.IGNORECASE)
texts = {}
for library, docstrings in sources.items():
    for text in docstrings:
        if len(text) > 500:
            texts.setdefault(named.sub(" ", text), library)
y = np.array([*texts.values()])
vectorizer = TfidfVectorizer(min_df=3, sublinear_tf=True, token_pattern=r"[A-Za-z_]{3,}")
X = vectorizer.fit_transform(texts)
print(
    f"{X.shape[0]} docstrings, {X.shape[1]} words, {X.nnz / X.shape[0]:.0f} of them in a docstring"
)

# %%
# C by cross-validation
# ---------------------
# The path starts at the C at which the first word gets a coefficient. Each fit starts from the one
# before.
cv = StratifiedKFold(5, shuffle=True, random_state=0)
clf = SoftmaxClassifierCV(Cs=12, l1_ratios=[1.0], cv=cv, tol=1e-6).fit(X, y)
used = (clf.coef_ != 0).any(axis=0).sum()
print(f"C = {clf.C_:.3g} uses {used} of {X.shape[1]} words")
proba_right = np.exp(clf.scores_[:, 0, clf.Cs_ == clf.C_].mean())
print(f"geometric mean of the probability of the right library, unseen texts: {proba_right:.2f}")

# %%
# The path
# --------
figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
RegularizationPathDisplay.from_estimator(clf, ax=ax)
ax.set_title("cross-validated log-loss of the docstrings against C")
plt.show()

# %%
# The words
# ---------
# These are the seven words with the largest coefficients for each library:
figure, ax = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
words = vectorizer.get_feature_names_out()
position = 0
for k, library in enumerate(clf.classes_):
    top = np.argsort(-clf.coef_[k])[:7]
    places = position + np.arange(len(top))
    ax.barh(places, clf.coef_[k, top], label=library)
    for place, j in zip(places, top, strict=True):
        ax.text(clf.coef_[k, j] + 0.1, place, words[j], va="center", fontsize=9)
    position += len(top) + 1
ax.set(
    title="words that speak most for each library",
    yticks=[],
    xlabel="coefficient",
    xlim=(0, 1.35 * clf.coef_.max()),
)
ax.invert_yaxis()
ax.legend(loc="lower right")
plt.show()
