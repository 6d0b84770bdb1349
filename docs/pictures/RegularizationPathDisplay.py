"""Cross-validated log-loss against C, with a band of one standard error."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

from skce import SoftmaxClassifierCV
from skce.displays import RegularizationPathDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
clf = SoftmaxClassifierCV(Cs=25, l1_ratios=[1.0]).fit(X / X.std(), y)
RegularizationPathDisplay.from_estimator(clf)
plt.show()
