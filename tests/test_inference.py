"""Standard errors, tests and intervals equal those of statsmodels, of R and of published tables."""

import builtins
import tracemalloc
from itertools import product

import numpy as np
import published
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from skce import SoftmaxClassifier, SoftmaxClassifierCV
from skce.dask import SoftmaxClassifier as DaskClassifier
from skce.inference import (
    FirthClassifier,
    InferenceWarning,
    average_marginal_effects,
    bootstrap,
    coef_cov,
    coef_summary,
    fit_statistics,
    likelihood_ratio_test,
    profile_summary,
    wald_test,
)

#: Some grids here have so few values that the best one is at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The best C:UserWarning")

pd = pytest.importorskip("pandas")


def plain(**parameters):
    """Return a classifier without a penalty, fitted as far as float64 goes."""
    return SoftmaxClassifier(C=np.inf, tol=1e-13, **parameters)


def draw(rng, n=150, p=3, K=3, scale=0.7):
    X = rng.normal(size=(n, p))
    logits = X @ rng.normal(size=(p, K)) * scale
    return X, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def with_constant(X):
    return np.column_stack([X, np.ones(X.shape[0])])


def same_table(table, result):
    """Compare a table with a result of statsmodels, to 1e-8."""
    for name, values in (("estimate", result.params), ("std_error", result.bse)):
        expected = np.asarray(values).T.ravel()
        assert_allclose(table[name], expected, rtol=1e-8, atol=1e-8)
    assert_allclose(table["z"], np.asarray(result.tvalues).T.ravel(), rtol=1e-7)
    assert_allclose(table["p_value"], np.asarray(result.pvalues).T.ravel(), rtol=1e-6)


def fit_statsmodels(model, **kwargs):
    return model.fit(disp=0, method="newton", maxiter=100, tol=1e-14, **kwargs)


# ------------------------------------------------------------------ the covariance, by statsmodels
KINDS = ["model", "robust", "cluster"]


def kinds(kind, groups):
    """Return the arguments here, and those of statsmodels."""
    if kind == "cluster":
        return {"groups": groups}, {"cov_type": "cluster", "cov_kwds": {"groups": groups}}
    return {"cov": kind}, {"cov_type": "HC0"} if kind == "robust" else {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("offset", [0, 5, 1e5])
def test_logit_of_statsmodels(rng, kind, intercept, offset):
    X, y = draw(rng, K=2)
    X = X + offset if intercept else X
    here, there = kinds(kind, rng.integers(9, size=len(y)))
    table = coef_summary(plain(fit_intercept=intercept).fit(X, y), X, y, **here)
    centred = X - offset * intercept
    design = with_constant(centred) if intercept else centred
    result = fit_statsmodels(sm.Logit(y, design), **there)
    if not intercept or not offset:
        same_table(table, result)
        ends = np.asarray(result.conf_int())
        assert_allclose(table[["lower", "upper"]], ends, rtol=1e-7, atol=1e-8)
        assert_allclose(table["odds_ratio"], np.exp(result.params), rtol=1e-7)
        return
    # So far from zero statsmodels has no digits left. Slopes equal those of centred columns.
    rtol = 1e-8 if offset < 10 else 1e-6
    assert_allclose(table["std_error"].iloc[:-1], result.bse[:-1], rtol=rtol)
    T = np.eye(len(design.T))
    T[-1, :-1] = -offset
    assert_allclose(
        table["std_error"].iloc[-1], np.sqrt(T[-1] @ result.cov_params() @ T[-1]), rtol=rtol
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("intercept", [True, False])
def test_mnlogit_of_statsmodels(rng, kind, intercept):
    X, y = draw(rng, n=300, K=4)
    here, there = kinds(kind, rng.integers(12, size=len(y)))
    clf = plain(fit_intercept=intercept).fit(X, y)
    result = fit_statsmodels(sm.MNLogit(y, with_constant(X) if intercept else X), **there)
    table = coef_summary(clf, X, y, **here)
    same_table(table, result)
    assert_allclose(coef_cov(clf, X, y, **here), result.cov_params(), rtol=1e-7, atol=1e-10)
    assert table.attrs["reference"] == 0
    assert table.attrs["cov"] == kind


def test_every_reference_of_mnlogit(rng):
    X, y = draw(rng)
    clf = plain().fit(X, y)
    for reference in range(3):
        order = np.array([reference, *(k for k in range(3) if k != reference)])
        result = fit_statsmodels(sm.MNLogit(order.argsort()[y], with_constant(X)))
        same_table(coef_summary(clf, X, y, reference=reference), result)


def test_the_mean_of_all_classes_is_what_coef_holds(rng):
    X, y = draw(rng)
    clf = plain().fit(X, y)
    table = coef_summary(clf, X, y, reference="mean")
    theta = np.column_stack([clf.coef_, clf.intercept_])
    assert_allclose(table["estimate"], theta.ravel(), atol=1e-9)
    V = coef_cov(clf, X, y, reference="mean")
    assert_allclose(V.reshape(3, 4, 3, 4).sum(axis=0), 0, atol=1e-12)
    # Differences of the classes are contrasts against a reference class.
    L = np.kron([[-1, 1, 0], [-1, 0, 1]], np.eye(4))
    assert_allclose(L @ V @ L.T, coef_cov(clf, X, y), rtol=1e-9)


def test_two_classes_are_the_same_by_either_loss_and_either_reference(rng):
    X, y = draw(rng, K=2)
    one, two = plain().fit(X, y), plain(loss="categorical").fit(X, y)
    first, second = coef_summary(one, X, y), coef_summary(two, X, y)
    pd.testing.assert_frame_equal(first, second, rtol=1e-7)
    turned = coef_summary(one, X, y, reference=1)
    assert_allclose(turned["estimate"], -first["estimate"])
    assert_allclose(turned["lower"], -first["upper"])
    assert turned.index.get_level_values("class").unique().tolist() == [0]


@pytest.mark.parametrize("kind", ["csr", "float32", "memmap", "h5py", "threads"])
def test_any_x_has_the_errors_of_an_array(rng, tmp_path, kind):
    n = 150 if kind != "threads" else 40_000
    X, y = draw(rng, n=n)
    X[np.abs(X) < 0.5] = 0
    X = X.astype(np.float32).astype(float)
    expected = coef_summary(plain().fit(X, y), X, y, cov="robust")
    if kind == "csr":
        Z = sp.csr_array(X)
    elif kind == "memmap":
        Z = np.memmap(tmp_path / "X", dtype=float, mode="w+", shape=X.shape)
        Z[:] = X
    elif kind == "h5py":
        Z = pytest.importorskip("h5py").File(tmp_path / "X.h5", "w").create_dataset("X", data=X)
    else:
        Z = X.astype(np.float32) if kind == "float32" else np.asfortranarray(X)
    clf = SoftmaxClassifier(C=np.inf, tol=1e-9).fit(Z, y)
    table = coef_summary(clf, Z, y, cov="robust")
    rtol = 1e-4 if kind == "float32" else 1e-7
    assert_allclose(table["std_error"], expected["std_error"], rtol=rtol)


def test_units_of_the_columns_do_not_matter(rng):
    X, y = draw(rng, n=300)
    factors, slopes = np.array([1e-9, 1, 1e9]), ["x0", "x1", "x2"]
    # Seven digits, because X + 1e6 has lost the others.
    Z = (X + [0, 1e6, 1e3]) * factors
    one, other = plain().fit(X, y), plain().fit(Z, y)
    for function in (coef_summary, average_marginal_effects):
        for cov in ("model", "robust"):
            first, second = function(one, X, y, cov=cov), function(other, Z, y, cov=cov)
            z = [table["z"].unstack()[slopes] for table in (first, second)]
            assert_allclose(*z, rtol=1e-7)
            errors = [table["std_error"].unstack()[slopes] for table in (first, second)]
            assert_allclose(errors[0], errors[1] * factors, rtol=1e-7)
    one, other = FirthClassifier(tol=1e-4).fit(X, y), FirthClassifier(tol=1e-4).fit(Z, y)
    tables = [profile_summary(one, X, y), profile_summary(other, Z, y)]
    assert_allclose(*[table["chi2"].unstack()[slopes] for table in tables], rtol=1e-7)


def test_small_blocks_add_up_to_the_same(rng, monkeypatch):
    X, y = draw(rng)
    clf, groups = plain().fit(X, y), rng.integers(20, size=150)
    calls = [{}, {"cov": "robust"}, {"groups": groups}]
    whole = [coef_cov(clf, X, y, **call) for call in calls]
    effects = average_marginal_effects(clf, X, y)
    monkeypatch.setattr("skce.inference._fit._BLOCK", 12 * 7)
    monkeypatch.setattr("skce.inference._sandwich._GROUP_SUMS", 12 * 3)
    for expected, call in zip(whole, calls, strict=True):
        assert_allclose(coef_cov(clf, X, y, **call), expected, rtol=1e-10)
    pd.testing.assert_frame_equal(average_marginal_effects(clf, X, y), effects)


def test_arrays_of_another_library_have_errors_too(rng):
    pytest.importorskip("scipy", minversion="1.14")  # scikit-learn dispatches from there on
    xp = pytest.importorskip("array_api_strict")
    X, y = draw(rng)
    clf, groups = SoftmaxClassifier(C=np.inf).fit(X, y), rng.integers(9, size=len(y))
    expected = coef_summary(clf, X, y, groups=groups)
    firth = FirthClassifier().fit(X, y)
    with config_context(array_api_dispatch=True):
        there = SoftmaxClassifier(C=np.inf).fit(xp.asarray(X), xp.asarray(y))
        rows = xp.asarray(X), xp.asarray(y)
        table = coef_summary(there, *rows, groups=groups)
        pd.testing.assert_frame_equal(table, expected)
        assert bootstrap(there, *rows, n_resamples=2, random_state=0).samples.shape == (2, 8)
        same = FirthClassifier().fit(*rows)
        assert isinstance(same.coef_, type(rows[0]))
        assert_allclose(np.asarray(same.coef_), firth.coef_)


def test_nothing_as_large_as_all_scores_is_in_memory(rng):
    X, y = draw(rng, n=50_000, p=20)
    clf, groups = SoftmaxClassifier(C=np.inf).fit(X, y), rng.integers(500, size=len(y))
    scores = 8 * len(X) * 3 * 21
    for call in ({}, {"cov": "robust"}, {"groups": groups}):
        tracemalloc.start()
        coef_cov(clf, X, y, **call)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < scores


# ------------------------------------------------------------------- weights, and targets of any form
def test_weights_that_are_counts_are_rows(rng):
    X, y = draw(rng)
    counts = rng.integers(0, 4, size=len(y))
    repeated = np.repeat(X, counts, axis=0), np.repeat(y, counts)
    clf = plain().fit(X, y, sample_weight=counts)
    expected = coef_summary(plain().fit(*repeated), *repeated)
    table = coef_summary(clf, X, y, counts)
    pd.testing.assert_frame_equal(table, expected, rtol=1e-7, atol=1e-9)
    assert table.attrs == expected.attrs
    assert fit_statistics(clf, X, y, counts) == pytest.approx(
        fit_statistics(plain().fit(*repeated), *repeated)
    )


def test_counts_by_class_have_the_covariance_of_the_model(rng):
    X, _ = draw(rng, n=30)
    counts = rng.multinomial(12, [0.2, 0.3, 0.5], size=30) + 1
    total = counts.sum(axis=1)
    clf = plain().fit(X, counts / total[:, None], sample_weight=total)
    table = coef_summary(clf, X, counts / total[:, None], total)
    assert table.attrs["cov"] == "model"
    assert table.attrs["n_observations"] == counts.sum()
    long = (
        np.repeat(X, total, axis=0),
        np.concatenate([np.repeat([0, 1, 2], row) for row in counts]),
    )
    same_table(table, fit_statsmodels(sm.MNLogit(long[1], with_constant(long[0]))))


def test_few_rows_of_many_counts_are_few_for_robust_errors():
    X, counts, _, _ = published.alligators()
    total = counts.sum(axis=1).to_numpy()
    shares = counts / total[:, None]
    clf = plain().fit(X, shares, total)
    with pytest.warns(InferenceWarning, match="5 coefficients for each logit, and 8 obs"):
        table = coef_summary(clf, X, shares, total, cov="robust")
    assert table.attrs["n_observations"] == 8


def test_probabilities_have_robust_errors(rng):
    X, _ = draw(rng, K=2)
    q = expit(X @ [1.0, -1.0, 0.5] + rng.normal(size=len(X)))
    clf = plain(loss="binary").fit(X, q)
    table = coef_summary(clf, X, q)
    assert table.attrs["cov"] == "robust"
    model = sm.GLM(q, with_constant(X), family=sm.families.Binomial())
    same_table(table, model.fit(tol=1e-15, cov_type="HC0"))


def dense_sandwich(clf, X, T, weights, intercept=True):
    """Sandwich of a categorical fit, penalty included, in NumPy: the covariance of coef_."""
    K, Z = T.shape[1], with_constant(X) if intercept else X
    p, d = clf.predict_proba(X), Z.shape[1]
    V = np.einsum("rk,kh->rkh", p, np.eye(K)) - p[:, :, None] * p[:, None]
    H = np.einsum("r,rkh,ri,rj->kihj", weights, V, Z, Z).reshape(K * d, K * d)
    P = np.zeros((K, d))
    factors = np.asarray(1.0 if clf.penalty_weights is None else clf.penalty_weights)
    P[:, : X.shape[1]] = (1 - clf.l1_ratio) * factors / clf.C
    theta = np.column_stack([clf.coef_, clf.intercept_]) if intercept else clf.coef_
    of_penalty = (P * theta).ravel() / weights.sum()
    scores = ((p - T)[:, :, None] * Z[:, None]).reshape(len(X), -1) + of_penalty
    scores *= weights[:, None]
    A = np.linalg.pinv(H + np.diag(P.ravel()), hermitian=True)
    return A @ H @ A, A @ scores.T @ scores @ A, np.trace(A @ H)


@pytest.mark.filterwarnings("ignore::skce.inference.InferenceWarning")
@pytest.mark.parametrize(("C", "factors"), [(np.inf, None), (0.5, None), (0.1, [0.0, 1.0, 4.0])])
@pytest.mark.parametrize("intercept", [True, False])
def test_soft_targets_and_penalties_have_the_sandwich(rng, C, factors, intercept):
    X, _ = draw(rng)
    T, weights = rng.dirichlet([1, 2, 3], size=len(X)), rng.uniform(0.5, 2, size=len(X))
    clf = SoftmaxClassifier(C=C, tol=1e-13, penalty_weights=factors, fit_intercept=intercept)
    clf.fit(X, T, weights)
    model, robust, df = dense_sandwich(clf, X, T, weights, intercept)
    for kind, expected in (("model", model), ("robust", robust), ("auto", robust)):
        found = coef_cov(clf, X, T, weights, cov=kind, reference="mean")
        assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    assert fit_statistics(clf, X, T, weights).effective_df == pytest.approx(df, rel=1e-8)


def test_reference_by_default_is_a_class_without_a_penalty_and_the_mean_with_one(rng):
    X, y = draw(rng)
    assert coef_summary(plain().fit(X, y), X, y).attrs["reference"] == 0
    penalised = SoftmaxClassifier(C=1e6).fit(X, y)
    table = coef_summary(penalised, X, y)
    assert table.attrs["reference"] == "mean"
    assert_allclose(table["estimate"].unstack()[["x0", "x1", "x2"]], penalised.coef_, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["multilabel", "one-vs-rest"])
def test_labels_of_their_own_are_fits_of_their_own(rng, kind, form):
    X, y = draw(rng)
    indicators = np.eye(3)[y] if form == "one-vs-rest" else rng.integers(2, size=(len(y), 3))
    Y = y if form == "one-vs-rest" else indicators
    clf = plain(loss="binary").fit(X, Y)
    here, there = kinds(kind, rng.integers(15, size=len(y)))
    table, V = coef_summary(clf, X, Y, **here), coef_cov(clf, X, Y, **here).reshape(3, 4, 3, 4)
    for k in range(3):
        result = fit_statsmodels(sm.Logit(indicators[:, k], with_constant(X)), **there)
        same_table(table.loc[k], result)
    assert (V[0, :, 1] == 0).all() == (kind == "model")
    if kind == "robust":  # scores of the same rows correlate the labels
        Z, p = with_constant(X), expit(clf.decision_function(X))
        bread = [np.linalg.inv((Z.T * (q * (1 - q))) @ Z) for q in p.T]
        meat = (Z.T * ((p - indicators)[:, 0] * (p - indicators)[:, 1])) @ Z
        assert_allclose(V[0, :, 1], bread[0] @ meat @ bread[1], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("parameters", [{"class_weight": "balanced"}, {"label_smoothing": 0.1}])
def test_mass_that_is_not_counted_has_robust_errors(rng, parameters):
    X, y = draw(rng)
    assert coef_summary(plain(**parameters).fit(X, y), X, y).attrs["cov"] == "robust"


def test_rows_without_weight_are_not_there(rng):
    X, y = draw(rng)
    weights = (np.arange(len(y)) < 120).astype(float)
    clf, groups = plain().fit(X, y, weights), np.arange(len(y)) // 10
    for call in ({}, {"cov": "robust"}, {"groups": groups}):
        some = {name: v if name == "cov" else v[:120] for name, v in call.items()}
        expected = coef_cov(plain().fit(X[:120], y[:120]), X[:120], y[:120], **some)
        assert_allclose(coef_cov(clf, X, y, weights, **call), expected, rtol=1e-7)


def test_pipelines_frames_and_chosen_penalties(rng):
    X, y = draw(rng)
    frame = pd.DataFrame(X * [1, 10, 100], columns=["a", "b", "c"])
    pipe = make_pipeline(StandardScaler(), plain()).fit(frame, y)
    scaled = StandardScaler().fit_transform(frame)
    table = coef_summary(pipe, frame, y)
    assert table.index.get_level_values("feature").tolist() == ["a", "b", "c", "intercept"] * 2
    expected = coef_summary(plain().fit(scaled, y), scaled, y)
    assert_allclose(table, expected, rtol=1e-7)
    chosen = SoftmaxClassifierCV(Cs=[1e5], tol=1e-12).fit(X, y)
    same = SoftmaxClassifier(C=1e5, tol=1e-12).fit(X, y)
    assert_allclose(coef_cov(chosen, X, y), coef_cov(same, X, y), rtol=1e-5, atol=1e-9)


# ----------------------------------------------------------------------------- published tables
@pytest.mark.parametrize("table", [published.snoring, published.azt])
def test_published_logits_of_counts(table):
    X, share, total, estimates, errors = table()
    found = coef_summary(plain(loss="binary").fit(X, share, total), X, share, total)
    assert found.attrs["cov"] == "model"
    assert_allclose(found["estimate"], estimates, atol=5.1e-5)
    assert_allclose(found["std_error"], errors, atol=5.1e-5)


def test_published_table_of_spector():
    X, y, estimates, errors = published.spector()
    found = coef_summary(plain().fit(X, y), X, y)
    assert_allclose(found["estimate"], estimates, atol=5.1e-4)
    assert_allclose(found["std_error"], errors, atol=5.1e-4)


def test_published_table_of_alligators():
    X, counts, estimates, errors = published.alligators()
    total = counts.sum(axis=1).to_numpy()
    shares = counts / total[:, None]
    clf = plain().fit(X, shares, total)
    found = coef_summary(clf, X, shares, total, reference="fish")
    for food, values in estimates.items():
        assert_allclose(found.loc[food, "estimate"], values, atol=5.1e-3)
        assert_allclose(found.loc[food, "std_error"].iloc[:-1], errors[food], atol=5.1e-3)


# ------------------------------------------------------------ likelihoods, tests, marginal effects
@pytest.mark.parametrize("K", [2, 4])
def test_likelihoods_criteria_and_tests_of_statsmodels(rng, K):
    X, y = draw(rng, n=300, K=K)
    clf, fewer = plain().fit(X, y), plain().fit(X[:, :1], y)
    model = sm.Logit if K == 2 else sm.MNLogit
    full = fit_statsmodels(model(y, with_constant(X)))
    less = fit_statsmodels(model(y, with_constant(X[:, :1])))
    found = fit_statistics(clf, X, y)
    assert found.log_likelihood == pytest.approx(full.llf, rel=1e-10)
    assert found.null_log_likelihood == pytest.approx(full.llnull, rel=1e-8)
    assert found.mcfadden_r2 == pytest.approx(full.prsquared, rel=1e-6)
    assert found.effective_df == pytest.approx(4 * (K - 1), rel=1e-10)
    assert (found.aic, found.bic) == pytest.approx((full.aic, full.bic), rel=1e-10)
    ratio = likelihood_ratio_test(clf, fewer, X, y, X_restricted=X[:, :1])
    assert ratio.statistic == pytest.approx(2 * (full.llf - less.llf), rel=1e-9)
    assert ratio.df == 2 * (K - 1)
    null = likelihood_ratio_test(clf, None, X, y)
    assert null == pytest.approx((full.llr, full.df_model, full.llr_pvalue), rel=1e-6)
    R = np.kron(np.eye(K - 1), np.eye(4)[1:3])
    wald = full.wald_test(R, use_f=False, scalar=True)
    for call in ({"features": [1, 2]}, {"contrasts": R}):
        test = wald_test(clf, X, y, **call)
        expected = (wald.statistic, 2 * (K - 1), wald.pvalue)
        assert test == pytest.approx(expected, rel=1e-7)
    other = wald_test(clf, X, y, features=["x1", "x2"], reference=1)
    assert other.statistic == pytest.approx(wald.statistic, rel=1e-7)


def test_restricted_columns_are_found_by_name(rng):
    X, y = draw(rng)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    full, fewer = plain().fit(frame, y), plain().fit(frame[["c"]], y)
    named = likelihood_ratio_test(full, fewer, frame, y)
    assert named == likelihood_ratio_test(full, fewer, frame, y, X_restricted=frame[["c"]])
    assert wald_test(full, frame, y, features="b").df == 2


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_marginal_effects_of_statsmodels(rng, K, offset):
    X, y = draw(rng, n=300, K=K)
    clf = plain().fit(X + offset, y)
    model = sm.Logit if K == 2 else sm.MNLogit
    expected = fit_statsmodels(model(y, with_constant(X))).get_margeff()
    found = average_marginal_effects(clf, X + offset, y)
    rtol = 1e-6 if offset else 1e-8
    assert_allclose(found["estimate"], expected.margeff.T.ravel(), rtol=rtol, atol=1e-10)
    assert_allclose(found["std_error"], expected.margeff_se.T.ravel(), rtol=rtol)


@pytest.mark.parametrize("form", ["softmax", "sigmoid", "one-vs-rest", "multilabel"])
def test_marginal_effects_by_differences(rng, form):
    X, y = draw(rng, n=80, K=2 if form == "sigmoid" else 3)
    Y = rng.integers(2, size=(80, 3)) if form == "multilabel" else y
    weights = rng.integers(1, 3, size=80)
    clf = plain(loss="categorical" if form == "softmax" else "binary").fit(X, Y, weights)
    assert clf._form == form
    found = average_marginal_effects(clf, X, Y, weights)
    shape, d = clf.coef_.shape, 4

    def effects(theta):
        clf.coef_, clf.intercept_ = theta[:, :3].copy(), theta[:, 3].copy()
        h = 1e-5 * np.eye(3)
        slopes = [clf.predict_proba(X + e) - clf.predict_proba(X - e) for e in h]
        average = np.average(np.array(slopes) / 2e-5, axis=1, weights=weights).T
        return (average[1:] if form == "sigmoid" else average).ravel()

    theta = np.column_stack([clf.coef_, clf.intercept_])
    assert_allclose(found["estimate"], effects(theta), rtol=1e-6, atol=1e-8)
    steps = 1e-4 * np.eye(theta.size).reshape(-1, *theta.shape)
    J = np.array([(effects(theta + e) - effects(theta - e)) / 2e-4 for e in steps]).T
    clf.coef_, clf.intercept_ = theta[:, :3], theta[:, 3]
    reference = "mean" if form == "softmax" else None
    V = coef_cov(clf, X, Y, weights, reference=reference)
    assert_allclose(found["std_error"], np.sqrt(np.diag(J @ V @ J.T)), rtol=1e-4)
    assert V.shape == (shape[0] * d,) * 2


def test_degrees_of_freedom_of_lasso_are_its_coefficients_and_those_at_bounds_do_not_count(rng):
    X, y = draw(rng, K=2, p=6)
    lasso = SoftmaxClassifier(C=0.05, l1_ratio=1.0).fit(X, y)
    assert 0 < (lasso.coef_ != 0).sum() < 6
    df = fit_statistics(lasso, X, y).effective_df
    assert df == pytest.approx((lasso.coef_ != 0).sum() + 1)
    bounded = plain(coef_bounds=(0, None)).fit(X, y)
    assert fit_statistics(bounded, X, y).effective_df == pytest.approx(
        (bounded.coef_ > 0).sum() + 1
    )


# --------------------------------------------------------------------------- what does not hold
def test_coefficients_without_a_normal_distribution_are_refused(rng):
    X, y = draw(rng, p=6)
    lasso = SoftmaxClassifier(C=0.05, l1_ratio=1.0).fit(X, y)
    with pytest.raises(ValueError, match=r"zero by the L1 penalty.*bootstrap"):
        coef_summary(lasso, X, y)
    bounded = plain(coef_bounds=(0, None)).fit(X, y)
    with pytest.raises(ValueError, match=r"at coef_bounds.*class \d.*bootstrap"):
        coef_summary(bounded, X, y)
    single = SoftmaxClassifier(coef_bounds=(0.1, None)).fit(X.astype(np.float32), y)
    with pytest.raises(ValueError, match="at coef_bounds"):
        coef_summary(single, X.astype(np.float32), y)
    free = plain(coef_bounds=(-100, 100)).fit(X, y)
    assert_allclose(coef_cov(free, X, y), coef_cov(plain().fit(X, y), X, y), rtol=1e-5, atol=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("quasi", [True, False])
def test_separated_classes_are_refused(quasi):
    X = np.arange(12.0)[:, None]
    y = (np.arange(12) > 5).astype(int)
    if quasi:
        X, y = np.array([[0.0]] * 6 + [[1.0]] * 6), np.array([0, 1, 0, 1, 0, 1] + [1] * 6)
    clf = SoftmaxClassifier(C=np.inf).fit(X, y)
    with pytest.raises(ValueError, match=r"separated.*FirthClassifier"):
        coef_summary(clf, X, y)
    with pytest.raises(ValueError, match="separated"):
        bootstrap(clf, X, y, n_resamples=2)


def test_groups_of_fewer_rows_than_coefficients_are_refused(rng):
    X, y = draw(rng, n=14, p=4, K=3, scale=0.1)
    clf, weights = SoftmaxClassifier(C=0.1).fit(X, y), (np.arange(14) < 10).astype(float)
    with pytest.raises(ValueError, match=r"more rows of positive weight \(10\) than coefficients"):
        coef_summary(clf, X, y, weights, groups=np.arange(14))


def test_a_class_without_rows_is_refused(rng):
    X, y = draw(rng)
    weights = (y != 2).astype(float)
    clf = SoftmaxClassifier(C=1.0).fit(X, y, weights)
    with pytest.raises(ValueError, match="Class 2 has all of the target mass, or none"):
        coef_summary(clf, X, y, weights)


def test_collinear_columns_are_named(rng):
    X, y = draw(rng)
    X = np.column_stack([X, X[:, 1] + X[:, 2]])
    clf = SoftmaxClassifier(C=np.inf).fit(X, y)
    for function in (coef_summary, fit_statistics):
        with pytest.raises(ValueError, match=r"\['x1', 'x2', 'x3'\] are collinear"):
            function(clf, X, y)
    with pytest.raises(ValueError, match="X has 4 rows, fewer than the 5 coefficients"):
        FirthClassifier().fit(X[:4, :4], [0, 1, 0, 1])
    constant = np.column_stack([X[:, :2], np.ones(len(X))])
    with pytest.raises(ValueError, match=r"\['x2'\] are collinear, or constant"):
        FirthClassifier().fit(constant, y)


def test_shrinkage_is_told_if_it_matters(rng):
    X, y = draw(rng)
    with pytest.warns(InferenceWarning, match=r"C=0.1\) moves coefficients by up to"):
        coef_summary(SoftmaxClassifier(C=0.1).fit(X, y), X, y)
    coef_summary(SoftmaxClassifier(C=1e5).fit(X, y), X, y)


def test_other_rows_than_those_of_the_fit_are_told(rng):
    X, y = draw(rng)
    clf = plain().fit(X[:100], y[:100])
    with pytest.warns(InferenceWarning, match="from the optimum. Pass X, y and sample_weight"):
        coef_summary(clf, X[50:], y[50:])


def test_many_coefficients_are_told(rng):
    X, y = draw(rng, n=60, p=14, K=2, scale=0.1)
    with pytest.warns(InferenceWarning, match="15 coefficients for each logit, and 60 obs"):
        coef_summary(plain().fit(X, y), X, y)
    with pytest.warns(InferenceWarning, match="not all whole numbers"):
        likelihood_ratio_test(plain(class_weight="balanced").fit(X[:, :2], y), None, X[:, :2], y)


def test_arguments_are_refused_by_name(rng):
    X, y = draw(rng)
    clf, firth = plain().fit(X, y), FirthClassifier().fit(X, y)
    bare = plain(fit_intercept=False).fit(X, y)
    mixed = np.array([*"ab", *range(148)], dtype=object)
    cases = [
        (lambda: coef_summary(LogisticRegression().fit(X, y), X, y), "estimator must be a fitted"),
        (lambda: coef_summary(plain(), X, y), "not fitted"),
        (lambda: coef_summary(clf, X[:, :2], y), "3 features"),
        (lambda: coef_summary(clf, X, y[:-1]), "X has 150 rows"),
        (lambda: coef_summary(clf, X, y % 2), r"y has the classes \[0, 1\]"),
        (lambda: coef_summary(clf, X, y, cov="HC3"), "cov"),
        (lambda: coef_summary(clf, X, y, level=1.0), "level"),
        (lambda: coef_summary(clf, X, y, cov="cluster"), "needs groups"),
        (lambda: coef_summary(clf, X, y, cov="model", groups=y), "groups are for cov='cluster'"),
        (lambda: coef_summary(clf, X, y, groups=y[:5]), r"groups must have shape \(150,\)"),
        (lambda: coef_summary(clf, X, y, groups=0 * y), "2 groups or more"),
        (lambda: coef_summary(clf, X, y, groups=mixed), "labels of one kind"),
        (lambda: wald_test(clf, X, y, features=[True]), "names or positions"),
        (lambda: likelihood_ratio_test(clf, plain(loss="binary").fit(X, y), X, y), "one-vs-rest"),
        (lambda: likelihood_ratio_test(bare, None, X, y), "fit_intercept=False"),
        (lambda: likelihood_ratio_test(firth, clf, X, y), "profile_summary tests each"),
        (lambda: coef_summary(clf, X, y, reference=7), r"reference must be one of.*\[0, 1, 2\]"),
        (lambda: profile_summary(clf, X, y, reference="mean"), "one of the classes"),
        (lambda: wald_test(clf, X, y, features=["nope"]), "'nope'"),
        (lambda: wald_test(clf, X, y, features=[3]), "no column 3"),
        (lambda: wald_test(clf, X, y, features=[1, 1]), "different columns"),
        (lambda: wald_test(clf, X, y, features=[1], contrasts=np.eye(8)), "two ways"),
        (lambda: wald_test(clf, X, y, contrasts=np.eye(7)), r"\(q, 8\)"),
        (lambda: wald_test(clf, X, y, contrasts=np.ones((2, 8))), "depend on each other"),
        (lambda: likelihood_ratio_test(clf, clf, X, y), "no special case"),
        (
            lambda: likelihood_ratio_test(clf, plain().fit(X[:, :2], y), X, y),
            "X_restricted is need",
        ),
        (
            lambda: likelihood_ratio_test(SoftmaxClassifier().fit(X, y), None, X, y),
            "estimator was fitted with a penalty",
        ),
        (lambda: bootstrap(clf, X, y, n_resamples=1), "n_resamples"),
        (lambda: bootstrap(clf, X, y, statistic=lambda _: 1.0, n_resamples=2).summary(), "given a"),
    ]
    for call, message in cases:
        with pytest.raises((ValueError, TypeError), match=message):
            call()
    two = plain(loss="binary").fit(X, np.eye(3)[y])
    with pytest.raises(ValueError, match="must be None for this fit"):
        coef_summary(two, X, np.eye(3)[y], reference=1)


def test_without_pandas_there_is_a_table_that_prints(rng, monkeypatch):
    X, y = draw(rng, K=2)
    clf = plain().fit(X, y)
    expected = coef_summary(clf, X, y)
    found = builtins.__import__

    def without(name, globals_=None, *rest):
        if name == "pandas" and (globals_ or {}).get("__name__") == "skce.inference._table":
            raise ImportError(name)
        return found(name, globals_, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    table = coef_summary(clf, X, y)
    assert [*table] == ["class", "feature", *expected.columns]
    assert_allclose(table["std_error"], expected["std_error"])
    assert table.attrs == expected.attrs
    lines = repr(table).splitlines()
    assert len(lines) == 5
    assert lines[0].split() == [*table]
    assert len({*map(len, lines)}) == 1


def test_estimators_of_dask_have_errors_too(rng):
    X, y = draw(rng)
    clf = SoftmaxClassifier(C=np.inf).fit(X, y)
    other = DaskClassifier(C=np.inf)
    other.__dict__.update(
        {name: value for name, value in vars(clf).items() if name.endswith("_") or name == "_form"}
    )
    pd.testing.assert_frame_equal(coef_summary(other, X, y), coef_summary(clf, X, y))


# ------------------------------------------------------------------------------------ the bootstrap
def test_bootstrap_is_fits_with_rows_drawn_again(rng):
    X, y = draw(rng)
    clf = plain().fit(X, y)
    result = bootstrap(clf, X, y, n_resamples=4, random_state=0)
    seeds = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=4)
    for sample, seed in zip(result.samples, seeds, strict=True):
        rows = np.random.default_rng(seed).integers(len(y), size=len(y))
        again = plain().fit(X[rows], y[rows])
        W = np.column_stack([again.coef_, again.intercept_])
        assert_allclose(sample, (W[1:] - W[0]).ravel(), rtol=1e-6, atol=1e-8)
    assert vars(clf).keys() == vars(plain().fit(X, y)).keys()


@pytest.mark.parametrize("groups", [False, True])
def test_bootstrap_has_the_errors_of_the_sandwich(rng, groups):
    X, y = draw(rng, n=600, K=2)
    call = {}
    if groups:  # every row is there twice, and only groups show that
        X, y = np.repeat(X, 2, axis=0), np.repeat(y, 2)
        call["groups"] = np.arange(1200) // 2
    clf = plain().fit(X, y)
    result = bootstrap(clf, X, y, n_resamples=300, random_state=1, **call)
    table = coef_summary(clf, X, y, **(call or {"cov": "robust"}))
    assert_allclose(result.std_error, table["std_error"], rtol=0.15)
    summary = result.summary()
    assert_allclose(summary["estimate"], table["estimate"])
    for end in ("lower", "upper"):
        assert (np.abs(summary[end] - table[end]) < 0.8 * table["std_error"]).all()
    normal = result.confidence_interval(method="normal")
    assert_allclose(normal[1] - normal[0], 2 * 1.959964 * result.std_error, rtol=1e-6)
    low, high = result.confidence_interval()
    basic = result.confidence_interval(method="basic")
    assert_allclose(basic, (2 * result.estimate - high, 2 * result.estimate - low))


@pytest.mark.parametrize("make", [
    lambda: SoftmaxClassifier(C=0.05, l1_ratio=1.0),
    lambda: SoftmaxClassifier(coef_bounds=(0, None)),
    lambda: SoftmaxClassifierCV(Cs=[0.1, 1.0]),
    lambda: FirthClassifier(),
    lambda: make_pipeline(StandardScaler(), SoftmaxClassifier()),
])  # fmt: skip
def test_bootstrap_of_what_has_no_other_errors(rng, make, capfd):
    X, y = draw(rng)
    clf = make().fit(X, y)
    result = bootstrap(clf, X, y, n_resamples=6, random_state=0, verbose=1)
    assert result.samples.shape[0] == 6
    assert "6 out of" in "".join(capfd.readouterr())
    assert np.isfinite(result.samples).all()
    same = bootstrap(clf, X, y, n_resamples=6, random_state=0, n_jobs=2)
    assert_allclose(same.samples, result.samples, atol=1e-9)
    new = X[:2]
    predicted = bootstrap(clf, X, y, n_resamples=3, statistic=lambda m: m.predict_proba(new))
    assert predicted.samples.shape == (3, 2, 3)


def test_resamples_without_a_class_or_an_optimum_are_left_out_and_told(rng):
    X, y = draw(rng, n=40, K=2)
    y[:] = 0
    y[:2] = 1
    clf = SoftmaxClassifier(C=1.0).fit(X, y)
    with pytest.warns(InferenceWarning, match="of 60 resamples lack a class"):
        result = bootstrap(clf, X, y, n_resamples=60, random_state=0)
    assert 0 < result.n_failed < 30
    assert len(result.samples) == 60 - result.n_failed
    assert np.abs(result.samples).max() < 20


# -------------------------------------------------------------------------------- Firth's penalty
def reference_design(X, T):
    """Return minus Firth's penalised log-likelihood, with the first class at zero logits."""
    Z, K = with_constant(X), T.shape[1]
    m = T.sum(axis=1)

    def value(phi):
        W = np.vstack([np.zeros(Z.shape[1]), phi.reshape(K - 1, -1)])
        z = Z @ W.T
        log_p = z - logsumexp(z, axis=1, keepdims=True)
        p = np.exp(log_p)[:, 1:]
        V = np.einsum("rk,kh->rkh", p, np.eye(K - 1)) - p[:, :, None] * p[:, None]
        H = np.einsum("r,rkh,ri,rj->kihj", m, V, Z, Z).reshape(len(phi), -1)
        return -(T * log_p).sum() - np.linalg.slogdet(H)[1] / 2

    return value, Z.shape[1] * (K - 1)


@pytest.mark.parametrize("K", [2, 3, 4])
@pytest.mark.parametrize("soft", [False, True])
def test_firth_maximises_the_penalised_likelihood(rng, K, soft):
    X, y = draw(rng, n=40, p=2, K=K)
    weights = rng.integers(1, 3, size=40).astype(float)
    T = rng.dirichlet(np.ones(K), size=40) if soft else np.eye(K)[y]
    value, size = reference_design(X, T * weights[:, None])
    clf = FirthClassifier(loss="categorical").fit(X, T if soft else y, weights)
    W = np.column_stack([clf.coef_, clf.intercept_])
    phi = (W[1:] - W[0]).ravel()
    assert -value(phi) == pytest.approx(clf.penalized_log_likelihood_, rel=1e-12)
    h = 1e-5 * np.eye(size)
    slope = [(value(phi + e) - value(phi - e)) / 2e-5 for e in h]
    assert_allclose(slope, 0, atol=1e-7)
    found = minimize(value, np.zeros(size), method="BFGS")
    assert_allclose(found.x, phi, atol=1e-4)
    assert_allclose(clf.coef_.sum(axis=0), 0, atol=1e-12)


def test_firth_of_published_binary_tables():
    """The published figures, to the accuracy at which logistf stops."""
    for read in (published.sex2, published.endometrial):
        X, y, expected, *test = read()
        clf = FirthClassifier().fit(X, y)
        found = profile_summary(clf, X, y).loc[1]
        assert_allclose(found["estimate"], expected["estimate"], rtol=5e-7, atol=1e-7)
        assert_allclose(found["lower"], expected["lower"], rtol=2e-6, atol=5e-8)
        assert_allclose(found["upper"], expected["upper"], rtol=2e-6, atol=5e-8)
        if test:
            ninety = profile_summary(clf, X, y, level=0.9).loc[1]
            assert_allclose(ninety["lower"], expected["lower90"], rtol=1e-6)
            assert_allclose(ninety["upper"], expected["upper90"], rtol=1e-6)
            assert_allclose(found["chi2"], expected["chi2"], rtol=1e-6)
            assert_allclose(found["p_value"], expected["p_value"], rtol=2e-6)
            assert likelihood_ratio_test(clf, None, X, y) == pytest.approx(test[0], rel=1e-6)


def test_firth_of_a_published_multinomial_table():
    X, y, counts, expected = published.hepatitis()
    clf = FirthClassifier().fit(X, y, counts)
    found = coef_summary(clf, X, y, counts)["estimate"].to_numpy().reshape(2, 4)
    assert_allclose(found[:, :3], expected, atol=5.1e-3)
    at = clf.penalized_log_likelihood_
    other = FirthClassifier().fit(X, (y + 1) % 3, counts)
    assert other.penalized_log_likelihood_ == pytest.approx(at, rel=1e-12)
    assert_allclose(other.predict_proba(X), clf.predict_proba(X)[:, [2, 0, 1]], rtol=1e-7)


def test_firth_of_separated_rows_is_finite_and_has_intervals():
    X, y = np.arange(12.0)[:, None] + 1e4, (np.arange(12) > 5).astype(int)
    clf = FirthClassifier().fit(X, y)
    near = FirthClassifier().fit(X - 1e4, y)
    assert_allclose(clf.coef_, near.coef_, rtol=1e-6)
    assert_allclose(clf.predict_proba(X), near.predict_proba(X - 1e4), rtol=1e-5)
    table, same = profile_summary(clf, X, y), profile_summary(near, X - 1e4, y)
    assert np.isfinite(table).all().all()
    columns = ["estimate", "std_error", "chi2", "lower", "upper"]
    assert_allclose(table[columns].iloc[0], same[columns].iloc[0], rtol=1e-5)


@pytest.mark.parametrize("loss", ["binary", "categorical"])
def test_firth_of_any_form(rng, loss):
    X, y = draw(rng, n=60, p=2)
    clf = FirthClassifier(loss=loss).fit(sp.csr_array(X), y)
    table = profile_summary(clf, X, y)
    if loss == "binary":
        for k in range(3):
            one = FirthClassifier().fit(X, y == k)
            assert_allclose(clf.coef_[k], one.coef_[0], rtol=1e-6)
            own = profile_summary(one, X, y == k).to_numpy()
            assert_allclose(table.loc[k], own, rtol=1e-5)
    assert_allclose(table["std_error"], coef_summary(clf, X, y)["std_error"])
    multi = FirthClassifier(loss="binary", fit_intercept=False).fit(X, np.eye(3)[y])
    assert multi.intercept_.tolist() == [0, 0, 0]
    assert coef_summary(multi, X, np.eye(3)[y]).shape == (6, 7)


#: These have as many columns as rows, or columns that are sums of others.
WITHOUT_RANK = dict.fromkeys(
    [
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
        "check_classifiers_one_label_sample_weights",
        "check_array_api_input",
        "check_array_api_mixed_inputs",
        "check_array_api_same_namespace",
    ],
    "columns are collinear",
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_firth_is_an_estimator_of_scikit_learn():
    check_estimator(FirthClassifier(), expected_failed_checks=WITHOUT_RANK, on_skip=None)


def test_callbacks_see_firth_at_every_step(rng):
    pytest.importorskip("sklearn.callback")
    X, y = draw(rng)
    steps = []

    class Recorder:
        def setup(self, estimator, context):
            pass

        teardown = setup

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            if context.task_name == "iteration" and fitted_estimator is not None:
                steps.append(fitted_estimator.coef_)
            return len(steps) == 3

    with pytest.warns(UserWarning, match="stopped after 3 steps"):
        three = FirthClassifier(max_iter=3).fit(X, y)
    clf = FirthClassifier().set_callbacks(Recorder()).fit(X, y)
    assert len(steps) == 3
    assert_allclose(steps[-1], clf.coef_)
    assert_allclose(clf.coef_, three.coef_, rtol=1e-12)


def test_firth_predicts_as_its_counterpart_of_scikit_learn(rng):
    X, y = draw(rng)
    clf = FirthClassifier().fit(X, y)
    assert_allclose(clf.to_sklearn().predict_proba(X), clf.predict_proba(X))
    assert clf.penalty == "firth"


def test_firth_that_does_not_converge_says_so(rng, capsys):
    X, y = draw(rng)
    with pytest.warns(UserWarning, match=r"stopped after 1 steps.*Increase max_iter"):
        clf = FirthClassifier(max_iter=1, verbose=1).fit(X, y)
    assert not clf.optimize_result_["success"]
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_profiles_of_the_likelihood(rng):
    """At the ends of intervals, refits with an offset have the largest deviance that is allowed."""
    X, y = draw(rng, n=60, p=2, K=2)
    clf = plain().fit(X, y)
    table = profile_summary(clf, X, y)
    full = fit_statsmodels(sm.Logit(y, with_constant(X)))
    for j, side in product(range(3), ("lower", "upper")):
        Z = with_constant(X)
        offset, rest = Z[:, j] * table[side].iloc[j], np.delete(Z, j, axis=1)
        less = sm.GLM(y, rest, family=sm.families.Binomial(), offset=offset).fit(tol=1e-14)
        assert 2 * (full.llf - less.llf) == pytest.approx(3.841459, rel=1e-6)
    without = fit_statsmodels(sm.Logit(y, with_constant(X[:, 1:])))
    assert table["chi2"].iloc[0] == pytest.approx(2 * (full.llf - without.llf), rel=1e-7)
    turned = profile_summary(clf, X, y, reference=1)
    assert_allclose(turned["lower"], -table["upper"])
    with pytest.raises(ValueError, match="penalty or bounds"):
        profile_summary(SoftmaxClassifier().fit(X, y), X, y)


# ----------------------------------------------------------------------------------------- coverage
def test_intervals_cover_as_often_as_they_say():
    """Coverage in 400 fits of `benchmarks.claims.coverage`: within 3.3 standard errors of 95 %."""
    truth, hits, rng = np.array([0.8, -0.5, 0.3]), [], np.random.default_rng(0)
    for _ in range(400):
        X = rng.normal(size=(200, 2))
        y = rng.random(200) < expit(with_constant(X) @ truth)
        table = coef_summary(SoftmaxClassifier(C=np.inf).fit(X, y), X, y)
        hits.append((table["lower"] < truth) & (truth < table["upper"]))
    assert_allclose(np.mean(hits, axis=0), 0.95, atol=3.3 * np.sqrt(0.95 * 0.05 / 400))


# ------------------------------------------------------------------------------------ offsets
def test_an_offset_is_that_of_statsmodels(rng):
    sm = pytest.importorskip("statsmodels.api")
    X, offset = rng.normal(size=(300, 3)), rng.normal(size=300)
    y = (X[:, 0] - 0.5 + offset + rng.logistic(size=300) > 0).astype(int)
    clf = SoftmaxClassifier(C=np.inf, tol=1e-14).fit(X, y, offset=offset)
    Z = np.column_stack([X, np.ones(300)])
    for kind, cov in (("nonrobust", "model"), ("HC0", "robust")):
        want = sm.GLM(y, Z, sm.families.Binomial(), offset=offset).fit(tol=1e-13, cov_type=kind)
        table = coef_summary(clf, X, y, offset=offset, cov=cov)
        assert_allclose(table["estimate"], want.params, rtol=1e-8)
        assert_allclose(table["std_error"], want.bse, rtol=1e-7)
    assert_allclose(
        np.sqrt(np.diag(coef_cov(clf, X, y, offset=offset, cov="robust"))), want.bse, rtol=1e-7
    )
    statistics = fit_statistics(clf, X, y, offset=offset)
    assert statistics.log_likelihood == pytest.approx(want.llf, rel=1e-10)
    assert statistics.null_log_likelihood == pytest.approx(want.llnull, rel=1e-8)
    assert statistics.aic == pytest.approx(want.aic, rel=1e-10)
    fewer = SoftmaxClassifier(C=np.inf, tol=1e-14).fit(X[:, :1], y, offset=offset)
    own = sm.GLM(y, Z[:, [0, 3]], sm.families.Binomial(), offset=offset).fit(tol=1e-13)
    ratio = likelihood_ratio_test(clf, fewer, X, y, offset=offset, X_restricted=X[:, :1])
    assert ratio.statistic == pytest.approx(2 * (want.llf - own.llf), rel=1e-7)
    wald = wald_test(clf, X, y, offset=offset, features=[1, 2], cov="robust")
    R = np.eye(4)[1:3]
    assert wald.statistic == pytest.approx(
        float(np.squeeze(want.wald_test(R, scalar=False).statistic)), rel=1e-6
    )
    with pytest.warns(InferenceWarning, match="optimum"):
        coef_summary(clf, X, y)


def test_effects_and_resamples_with_an_offset(rng):
    """An offset equals one more column whose coefficient is held at 1."""
    X, offset = rng.normal(size=(400, 2)), rng.normal(size=400)
    y = (X[:, 0] + offset + rng.logistic(size=400) > 0).astype(int)
    clf = SoftmaxClassifier(C=np.inf, tol=1e-13).fit(X, y, offset=offset)
    table = average_marginal_effects(clf, X, y, offset=offset)

    def mean(column, by):
        moved = X.copy()
        moved[:, column] += by
        return clf.predict_proba(moved, offset=offset)[:, 1].mean()

    slopes = [(mean(j, 1e-5) - mean(j, -1e-5)) / 2e-5 for j in range(2)]
    assert_allclose(table["estimate"], slopes, rtol=1e-7)
    found = bootstrap(clf, X, y, offset=offset, n_resamples=100, random_state=0)
    assert_allclose(found.std_error, coef_summary(clf, X, y, offset=offset)["std_error"], rtol=0.4)
    assert_allclose(found.estimate, np.append(clf.coef_, clf.intercept_))
    firth = FirthClassifier().fit(X, y)
    with pytest.raises(ValueError, match="offset is given, but FirthClassifier"):
        coef_summary(firth, X, y, offset=offset)
