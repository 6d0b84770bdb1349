"""Observed frequency against predicted probability for three kinds of wine, beside the diagonal."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine

from skce import SoftmaxClassifier
from skce.displays import TargetProbabilityDisplay

X, y = load_wine(return_X_y=True)
clf = SoftmaxClassifier(C=0.001).fit(X, y)
TargetProbabilityDisplay.from_estimator(clf, X, y)
plt.show()
