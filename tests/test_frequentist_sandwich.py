"""Cluster-robust inference against metafor's robust() and clubSandwich, and its definition."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from test_frequentist_nested import SETS, check_coefficients, frame_of, given_v

from bayesma.errors import SpecError
from bayesma.frequentist.bias.asymmetry import egger
from bayesma.frequentist.linear.pooled import pool
from bayesma.frequentist.linear.regression import meta_regression
from bayesma.frequentist.nested.multilevels import multilevel
from bayesma.frequentist.nested.sandwich import robust

# The file's variances are as good as metafor's optimiser (see test_frequentist_nested); with
# them held, the sandwich is closed form and only rounding is left, more of it in the square root
# of a matrix.
CLOSED = 1e-9


@pytest.fixture(scope="module")
def metafor(shared):
    return json.loads((shared / "reference" / "metafor.json").read_text(encoding="utf-8"))


def at_metafors_variances(section, name, formula="~ 1", data=None, fit=None):
    columns = section["columns"]
    frame = frame_of(columns) if data is None else data
    return multilevel(
        columns["yi"],
        formula,
        random="study/unit",
        data=frame,
        sigma2=(fit or section["REML_z"])["sigma2"],
        **given_v(name, columns),
    )


@pytest.mark.parametrize(
    ("kind", "key"), [("CR1", "robust_CR1"), ("CR2", "robust_CR2_clubSandwich")]
)
@pytest.mark.parametrize("name", SETS)
def test_robust_means_are_metafors(metafor, name, kind, key):
    section = metafor["multilevel"][name]
    found = robust(at_metafors_variances(section, name), kind=kind)
    expected = section[key]
    check_coefficients(found, expected, CLOSED)
    np.testing.assert_allclose(found.table["df"], expected["dfs"], rtol=CLOSED)
    np.testing.assert_allclose(found.covariance, expected["vb"], rtol=CLOSED)


@pytest.mark.parametrize(
    ("name", "term", "formula"),
    [
        ("konstantopoulos2011", "year", "~ a"),
        ("assink2016", "deltype", "~ a + b"),
        ("assink2016", "year_deltype", "~ a + b + c"),
    ],
)
def test_robust_regressions_are_clubsandwichs(metafor, name, term, formula):
    section = metafor["multilevel"][name]
    expected = section["metareg"][term]
    X = np.array(expected["X"])
    frame = frame_of(section["columns"])
    frame = frame.assign(**dict(zip("abc", X.T[1:], strict=False)))
    fit = at_metafors_variances(section, name, formula, frame, expected["REML_z"])
    found = robust(fit)
    check_coefficients(found, expected["robust_CR2"], CLOSED)
    np.testing.assert_allclose(found.table["df"], expected["robust_CR2"]["dfs"], rtol=CLOSED)
    np.testing.assert_allclose(found.qm, expected["robust_CR2"]["QM"], rtol=CLOSED)
    np.testing.assert_allclose(found.qm_df, expected["robust_CR2"]["QM_df"], rtol=CLOSED)
    np.testing.assert_allclose(found.qm_p, expected["robust_CR2"]["QM_p"], rtol=100 * CLOSED)


# -- the definition ----------------------------------------------------------------------------


def simulated(rng, studies=8, slope=0.0):
    study = np.repeat(np.arange(studies), rng.integers(1, 5, studies))
    k = len(study)
    x = rng.normal(size=k)
    v = rng.uniform(0.1, 0.5, k)
    y = 1 + slope * x + rng.normal(0, 0.7, studies)[study] + rng.normal(0, np.sqrt(v))
    frame = pd.DataFrame({"study": study, "unit": np.arange(k), "x": x})
    return y, v, frame


def by_definition(fit, S, codes, kind):
    """The sandwich with full matrices."""
    X, k = fit.X, len(fit.X)
    W = np.linalg.inv(S)
    M = np.linalg.inv(X.T @ W @ X)
    e = fit.rows.y - X @ fit.beta
    I_H = np.eye(k) - X @ M @ X.T @ W
    meat, m, p = np.zeros((X.shape[1],) * 2), len(set(codes)), X.shape[1]
    for c in set(codes):
        at = np.flatnonzero(codes == c)
        A = np.eye(len(at))
        if kind == "CR2":
            D = np.linalg.cholesky(S[np.ix_(at, at)]).T
            values, vectors = np.linalg.eigh(D @ (I_H @ S @ I_H.T)[np.ix_(at, at)] @ D.T)
            A = D.T @ vectors @ np.diag(values**-0.5) @ vectors.T @ D
        score = (X.T @ W)[:, at] @ A @ e[at]
        meat += np.outer(score, score)
    factor = {
        "CR0": 1,
        "CR1": m / (m - p),
        "CR1S": m * (k - 1) / ((m - 1) * (k - p)),
        "CR2": 1,
    }
    return M @ meat @ M * factor[kind]


def marginal(fit):
    codes = fit.levels.codes
    return fit.V.dense() + sum(
        s * (code[:, None] == code) for s, code in zip(fit.variances, codes, strict=True)
    )


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR1S", "CR2"])
def test_the_sandwich_is_that_of_the_full_matrices(kind):
    y, v, frame = simulated(np.random.default_rng(1))
    fit = multilevel(y, "~ x", v=v, data=frame, random="study/unit")
    found = robust(fit, kind=kind)
    expected = by_definition(fit, marginal(fit), fit.levels.codes[0], kind)
    # Inverses and roots of matrices of condition below 100.
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-11)
    assert found.clusters == 8
    if kind != "CR2":
        assert list(found.table["df"]) == [6, 6]


@pytest.mark.parametrize("kind", ["CR0", "CR1"])
def test_clusters_may_cut_groups_where_only_residuals_are_summed(kind):
    y, v, frame = simulated(np.random.default_rng(2))
    fit = multilevel(y, "~ x", v=v, data=frame, random="study/unit")
    found = robust(fit, "unit", kind=kind)
    expected = by_definition(fit, marginal(fit), np.arange(len(y)), kind)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-11)


def test_regressions_and_pooled_effects_take_the_same_sandwich():
    y, v, frame = simulated(np.random.default_rng(3))
    regression = meta_regression(y, "~ x", v=v, data=frame)
    found = robust(regression)
    S = np.diag(v + regression.tau2)
    codes = frame["study"].to_numpy()
    np.testing.assert_allclose(
        found.covariance, by_definition(regression, S, codes, "CR2"), rtol=1e-11
    )
    # The Knapp-Hartung factor of the fit plays no part.
    plain = robust(meta_regression(y, "~ x", v=v, data=frame, ci="z"))
    np.testing.assert_allclose(found.covariance, plain.covariance, rtol=1e-13)
    pooled = pool(y, v)
    assert robust(pooled, codes).covariance == pytest.approx(
        robust(pooled.model, codes).covariance, rel=1e-15
    )


def test_cr2_of_a_mean_of_equal_clusters_is_the_variance_of_their_means():
    """m clusters of one size and v: A = sqrt(m / (m - 1)), df = m - 1, closed form."""
    rng = np.random.default_rng(5)
    m, n = 7, 3
    y, codes = rng.normal(size=m * n), np.repeat(np.arange(m), n)
    fit = pool(y, np.full(m * n, 0.4), method="common", ci="z")
    found = robust(fit, codes)
    means = y.reshape(m, n).mean(1)
    # A few operations on numbers of order 1.
    assert found.covariance[0, 0] == pytest.approx(means.var(ddof=1) / m, rel=1e-12)
    assert found.table["df"].iloc[0] == pytest.approx(m - 1, rel=1e-12)
    assert found.prediction is None


def test_cr2_is_unbiased_where_the_model_holds():
    """E V_R = (X'W X)^-1 over errors of the model's own covariance, exactly."""
    y, v, frame = simulated(np.random.default_rng(7), studies=6)
    fit = multilevel(y, "~ x", v=v, data=frame, random="study/unit", sigma2=[0.5, 0.2])
    S = marginal(fit)
    # V_R is a sum of squares of linear forms in y, so its mean is the sum over a root of S.
    root = np.linalg.cholesky(S)
    total = np.zeros((2, 2))
    for column in root.T:
        again = multilevel(column, "~ x", v=v, data=frame, random="study/unit", sigma2=[0.5, 0.2])
        total += robust(again).covariance
    np.testing.assert_allclose(total, fit.covariance, rtol=1e-11)


# -- refusals and notes ------------------------------------------------------------------------


def test_what_cannot_be_clustered_is_refused():
    y, v, frame = simulated(np.random.default_rng(4))
    fit = multilevel(y, "~ x", v=v, data=frame, random="study/unit")
    for options, message in [
        ({"kind": "HC3"}, "kind = 'HC3' is unknown"),
        ({"cluster": "studdy"}, "no column 'studdy'; did you mean 'study'"),
        ({"cluster": ["a", "b"]}, "cluster has 2 labels for the"),
        ({"cluster": "unit"}, "depend on each other in the fit and stand in different clusters"),
        ({"cluster": ["a"] * len(y)}, "1 clusters of cluster cannot carry 2 coefficients"),
        ({"cluster": None}, "one label for each row"),
        ({"cluster": np.array([frame["study"]]).T}, "one label for each row"),
        ({"result": egger(y, v)}, r"robust is of a result of .*, not of Asymmetry"),
        ({"ci_prob": 0.0}, "ci_prob"),
    ]:
        with pytest.raises(SpecError, match=message):
            robust(**{"result": fit, **options})


def test_few_clusters_are_said():
    y, v, frame = simulated(np.random.default_rng(6), studies=3)
    fit = multilevel(y, "~ x", v=v, data=frame, random="study/unit", sigma2=[0.5, 0.2])
    found = robust(fit)
    assert any("fewer than 4 degrees of freedom" in note for note in found.notes)
    assert repr(found).startswith("<Robust CR2, 3 clusters by study")


def test_a_row_without_a_cluster_is_one_of_its_own():
    y, v, _ = simulated(np.random.default_rng(6))
    labels = [None, None, *(["a", "b"] * len(y))[: len(y) - 2]]
    found = robust(pool(y, v), labels)
    assert found.clusters == 4
    assert found.notes[0] == "rows without a cluster, each a cluster of its own: 2"


def test_no_joint_test_where_clusters_are_too_few():
    rng = np.random.default_rng(0)
    k = 20
    study = np.repeat(np.arange(5), 4)
    frame = pd.DataFrame({"study": study, "a": study == 0, "b": study == 1, "c": study == 2})
    frame = frame.astype({"a": float, "b": float, "c": float})
    fit = meta_regression(rng.normal(size=k), "~ a + b + c", v=np.full(k, 0.5), data=frame)
    found = robust(fit)
    assert (found.qm, found.qm_df, found.qm_p) == (None, None, None)
    assert any("too few clusters for a joint test" in note for note in found.notes)
    assert any("a cluster fits itself exactly" in note for note in found.notes)
    assert np.isfinite(found.table.to_numpy()).all()
    plain = robust(fit, kind="CR1")
    assert plain.qm is None


def test_a_term_that_one_cluster_settles_has_no_robust_error():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"study": np.repeat(np.arange(4), 3)})
    frame["own"] = (frame["study"] == 0).astype(float)
    frame["rest"] = 1 - frame["own"]
    fit = meta_regression(rng.normal(size=12), "~ 0 + own + rest", v=np.full(12, 0.5), data=frame)
    for kind in ("CR1", "CR2"):
        with pytest.raises(SpecError, match="would show the error of own"):
            robust(fit, kind=kind)
