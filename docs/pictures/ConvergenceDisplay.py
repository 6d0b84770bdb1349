"""The relative gap of the objective on the digits falls to nothing within a few iterations."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from skce import SoftmaxClassifier
from skce.displays import ConvergenceDisplay

X, y = load_digits(return_X_y=True)
clf = SoftmaxClassifier().fit(X, y)
ConvergenceDisplay.from_estimator(clf)
plt.show()
