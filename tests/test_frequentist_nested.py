"""Multilevel meta-analysis against metafor's rma.mv, closed forms and its own definition."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from helpers import oracle

from bayesma.covariance import compound_symmetry
from bayesma.effects import effect_sizes
from bayesma.errors import DataError, SpecError
from bayesma.frequentist.linear.pooled import pool
from bayesma.frequentist.nested.criterion import criterion_of, minimised
from bayesma.frequentist.nested.levels import containment, levels_of
from bayesma.frequentist.nested.multilevels import multilevel
from bayesma.frequentist.nested.sandwich import robust
from bayesma.frequentist.nested.sensitivity import rho_sensitivity
from bayesma.frequentist.nested.variances import sigma2_ci

SETS = ("konstantopoulos2011", "assink2016", "assink2016_V_rho0.6")
FITS = {
    "REML_z": {"df": "z"},
    "REML_t": {"df": "t"},
    "REML_t_contain": {},
    "ML_z": {"df": "z", "method": "ML"},
    "two_level_outer": {"df": "z", "random": "study"},
    "two_level_inner": {"df": "z", "random": "unit"},
}
# metafor's optimiser is told to stop at changes of 1e-13 of the log-likelihood or, where it does
# not report convergence, at larger ones ("mid", "loose"); the log-likelihood is flat to second
# order in the variances, so they carry half of its digits or fewer, and the coefficients, whose
# error is of the first order in them, about as many.
VARIANCES = {"tight": 2e-6, "mid": 2e-6, "loose": 2e-5}


@pytest.fixture(scope="module")
def metafor(shared):
    return json.loads((shared / "reference" / "metafor.json").read_text(encoding="utf-8"))


def frame_of(columns):
    named = {"study": columns["cluster"], "unit": columns["unit"]}
    return pd.DataFrame({name: [str(one) for one in cells] for name, cells in named.items()})


def given_v(name, columns):
    """vcalc(vi, cluster=study, obs=esid, rho=0.6): one correlation within a study."""
    v, cluster = np.array(columns["vi"]), np.array(columns["cluster"])
    if not name.endswith("rho0.6"):
        return {"v": v}
    full = 0.6 * np.sqrt(np.outer(v, v)) * (cluster[:, None] == cluster)
    np.fill_diagonal(full, v)
    return {"V": full}


def fitted(section, name, **options):
    columns = section["columns"]
    options = {"random": "study/unit"} | options
    return multilevel(columns["yi"], data=frame_of(columns), **given_v(name, columns), **options)


def check_coefficients(found, expected, rtol):
    pairs = {
        "estimate": "b",
        "se": "se",
        "ci_low": "ci_lb",
        "ci_high": "ci_ub",
        "statistic": "stat",
    }
    for ours, theirs in pairs.items():
        scale = np.abs(np.atleast_1d(expected["se"])).max()
        np.testing.assert_allclose(
            found.table[ours], np.atleast_1d(expected[theirs]), rtol=rtol, atol=rtol * scale
        )
    # A P value far out changes faster than its statistic, by about the statistic times that.
    np.testing.assert_allclose(
        found.table["p"], np.atleast_1d(expected["pval"]), rtol=200 * rtol, atol=1e-300
    )


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", SETS)
def test_every_number_of_a_fit_is_metafors(metafor, name, fit):
    section = metafor["multilevel"][name]
    expected = section[fit]
    found = fitted(section, name, **FITS[fit])
    rtol = VARIANCES[expected["optimizer_setting"]]
    np.testing.assert_allclose(found.sigma2, np.atleast_1d(expected["sigma2"]), rtol=rtol)
    check_coefficients(found, expected, rtol)
    np.testing.assert_allclose(found.prediction, [expected["pi_lb"], expected["pi_ub"]], rtol=rtol)
    theirs = expected["I2_multilevel"]["per_level"]
    np.testing.assert_allclose(found.i2, np.atleast_1d(theirs), rtol=rtol)
    assert list(found.groups) == list(np.atleast_1d(expected["s_nlevels"]))
    if expected["dfs"] is not None:
        assert list(found.table["df"]) == list(np.atleast_1d(expected["dfs"]))
    # Closed form; 15 digits in the file, some lost in a sum of a hundred squares.
    assert found.qe == pytest.approx(expected["Q"], rel=1e-11)
    assert found.qe_df == expected["Q_df"]
    assert found.qe_p == pytest.approx(expected["Qp"], rel=1e-9)
    # Flat to second order in the variances.
    assert found.log_likelihood == pytest.approx(expected["loglik"], rel=1e-9)
    if "aic_reml" in expected and found.method == "REML":
        assert found.aic == pytest.approx(expected["aic_reml"], rel=1e-9)
        assert found.bic == pytest.approx(expected["bic_reml"], rel=1e-9)


def test_our_variances_are_no_less_likely_than_metafors(metafor):
    for name in SETS:
        section = metafor["multilevel"][name]
        expected = section["REML_z"]
        ours = fitted(section, name).log_likelihood
        # The rounding of the likelihood alone.
        assert ours >= expected["loglik"] - 1e-10
        fixed = fitted(section, name, sigma2=expected["sigma2"])
        assert fixed.log_likelihood == pytest.approx(expected["loglik"], abs=1e-11)
        # At the same variances all else is closed form.
        check_coefficients(
            fitted(section, name, sigma2=expected["sigma2"], df="z"), expected, 1e-10
        )


@pytest.mark.parametrize(
    ("name", "term", "columns"),
    [
        ("konstantopoulos2011", "year", "a"),
        ("assink2016", "deltype", "ab"),
        ("assink2016", "year_deltype", "abc"),
    ],
)
def test_regressions_are_metafors(metafor, name, term, columns):
    section = metafor["multilevel"][name]
    expected = section["metareg"][term]["REML_z"]
    X = np.array(section["metareg"][term]["X"])
    frame = frame_of(section["columns"]).assign(**dict(zip(columns, X.T[1:], strict=True)))
    found = multilevel(
        section["columns"]["yi"],
        "~ " + " + ".join(columns),
        random="study/unit",
        v=section["columns"]["vi"],
        data=frame,
        df="z",
    )
    rtol = VARIANCES[expected["optimizer_setting"]]
    np.testing.assert_allclose(found.sigma2, expected["sigma2"], rtol=rtol)
    check_coefficients(found, expected, rtol)
    np.testing.assert_allclose(found.covariance, expected["vb"], rtol=rtol, atol=rtol)
    assert found.qm == pytest.approx(expected["QM"], rel=rtol)
    assert found.qm_df == (expected["QM_df"][0],)
    assert found.qm_p == pytest.approx(expected["QM_p"], rel=20 * rtol)
    assert found.log_likelihood == pytest.approx(expected["loglik"], rel=1e-9)


@pytest.mark.parametrize("name", SETS)
def test_profile_intervals_of_the_variances_are_metafors(metafor, name):
    section = metafor["multilevel"][name]
    found = sigma2_ci(fitted(section, name))
    for (_, ours), theirs in zip(found.iterrows(), section["REML_z"]["confint_PL"], strict=True):
        # The file's intervals carry 4 to 5 digits: metafor's search stops there.
        assert ours["ci_low"] == pytest.approx(theirs["lb"][0], rel=2e-4)
        assert ours["ci_high"] == pytest.approx(theirs["ub"][0], rel=2e-4)


def test_the_ends_of_a_profile_interval_lie_at_the_chi2_quantile(metafor):
    section = metafor["multilevel"]["konstantopoulos2011"]
    fit = fitted(section, "konstantopoulos2011")
    low, high = sigma2_ci(fit).loc["study", ["ci_low", "ci_high"]]
    for end in (low, high):
        held = fitted(section, "konstantopoulos2011", sigma2=[end, None])
        # chi2_1(0.95) to all digits; the search for the end stops at 1e-10 of it.
        assert 2 * (fit.log_likelihood - held.log_likelihood) == pytest.approx(
            3.841458820694124, abs=1e-7
        )


def test_shared_controls_of_knapp2017(metafor):
    section = metafor["longitudinal"]["knapp2017_shared_control"]
    columns, expected = section["columns"], section["fit"]
    frame = pd.DataFrame({"study": columns["study"], "comp": columns["comp"]})
    found = multilevel(columns["yi"], data=frame, V=section["V"], random="study/comp", df="z")
    rtol = VARIANCES[expected["optimizer_setting"]]
    np.testing.assert_allclose(found.sigma2, expected["sigma2"], rtol=rtol)
    check_coefficients(found, expected, rtol)
    np.testing.assert_allclose(found.prediction, [expected["pi_lb"], expected["pi_ub"]], rtol=rtol)
    assert found.qe == pytest.approx(expected["Q"], rel=1e-10)
    assert found.log_likelihood == pytest.approx(expected["loglik"], rel=1e-9)


def test_published_results_of_nmda_social(prepared):
    published = {
        "interaction": (-1.9006, -2.1822, -1.6190, -5.556, 1.755),
        "preference": (-1.2723, -1.5913, -0.9534, -3.952, 1.407),
    }
    for table, (estimate, low, high, from_, to) in published.items():
        found = multilevel(effect_sizes(prepared_table(prepared, table), rho=0.5))
        # As many digits as were printed.
        assert found.beta[0] == pytest.approx(estimate, abs=6e-5)
        # The intervals in print are cluster-robust: for preference those of the model differ.
        sure = robust(found)
        row = sure.table.loc["Intercept"]
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((low, high), abs=6e-5)
        assert sure.prediction == pytest.approx((from_, to), abs=6e-4)
        if table == "interaction":
            assert tuple(found.sigma2) == pytest.approx((3.1791, 0.2332), abs=6e-5)
            assert found.prediction == pytest.approx((from_, to), abs=6e-4)


def prepared_table(prepared, name):
    return pd.read_csv(prepared / "nmda_social" / f"{name}.csv")


# -- the definition ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fixed():
    section = oracle("fixed_variances")
    frame = pd.DataFrame({"study": section["study"], "experiment": section["experiment"]})
    return section, frame.assign(x=section["X"]["moderator"])


def test_at_given_variances_the_likelihood_is_metafors(fixed):
    section, frame = fixed
    for point in section["rma_mv"]["grid"]:
        sigma2 = [point["sigma2_study"], point["sigma2_experiment"]]
        found = multilevel(section["y"], "~ x", V=section["V"], data=frame, sigma2=sigma2, df="z")
        # Closed form; the oracle carries 15 digits.
        assert found.log_likelihood == pytest.approx(point["log_likelihood"], rel=1e-11)
        np.testing.assert_allclose(found.beta, point["beta"], rtol=1e-11)
        np.testing.assert_allclose(found.table["se"], point["se"], rtol=1e-11)


def by_definition(y, X, V, codes, sigma2, restricted):
    """-2 log likelihood and generalised least squares, with full matrices."""
    S = V + sum(s * (code[:, None] == code) for s, code in zip(sigma2, codes, strict=True))
    W = np.linalg.inv(S)
    covariance = np.linalg.inv(X.T @ W @ X)
    beta = covariance @ X.T @ W @ y
    r = y - X @ beta
    k, p = X.shape
    deviance = k * np.log(2 * np.pi) + np.linalg.slogdet(S)[1] + r @ W @ r
    if restricted:
        deviance += -p * np.log(2 * np.pi) - np.linalg.slogdet(covariance)[1]
        deviance -= np.linalg.slogdet(X.T @ X)[1]
    return deviance, beta, covariance


def simulated(rng, crossing, levels=3, studies=9):
    """Rows with unbalanced nesting, and a V within or across the innermost groups."""
    rows = [
        (s, e, a)
        for s in range(studies)
        for e in range(rng.integers(1, 4))
        for a in range(rng.integers(1, 3))
        for _ in range(rng.integers(1, 3))
    ]
    names = ["study", "experiment", "animal"][:levels]
    frame = pd.DataFrame(np.array(rows)[:, :levels].astype(str), columns=names)
    k = len(frame)
    key = frame["study"] if crossing else frame.agg("/".join, axis=1)
    v = rng.uniform(0.1, 2, k)
    V = 0.4 * np.sqrt(np.outer(v, v)) * (key.to_numpy()[:, None] == key.to_numpy())
    np.fill_diagonal(V, v)
    frame["x"] = rng.normal(2000, 10, k)
    frame = frame.sample(frac=1, random_state=3).reset_index(drop=True)
    return frame, rng.normal(0, 2, k), V, names


@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_the_likelihood_is_that_of_the_full_matrices(method, crossing):
    frame, y, V, names = simulated(np.random.default_rng(1), crossing)
    codes = [frame[names[:d]].agg("/".join, axis=1).to_numpy() for d in (1, 2, 3)]
    X = np.column_stack([np.ones(len(y)), frame["x"]])
    for sigma2 in ([0.0, 0.0, 0.0], [1.3, 0.0, 0.2], [0.4, 2.0, 0.7]):
        found = multilevel(
            y, "~ x", V=V, data=frame, random="/".join(names), method=method, sigma2=sigma2
        )
        deviance, beta, covariance = by_definition(y, X, V, codes, sigma2, method == "REML")
        # The full matrices lose digits to a covariate near 2000; ours are orthogonal first.
        assert -2 * found.log_likelihood == pytest.approx(deviance, abs=1e-7)
        np.testing.assert_allclose(found.beta, beta, rtol=1e-7)
        np.testing.assert_allclose(found.covariance, covariance, rtol=1e-6)


@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("restricted", [False, True])
def test_slopes_are_those_of_the_likelihood(restricted, crossing):
    frame, y, V, names = simulated(np.random.default_rng(2), crossing)
    fit = multilevel(y, "~ x", V=V, data=frame, random="/".join(names), sigma2=[1, 1, 1])
    criterion = criterion_of(fit.rows.y, fit.X, fit.V, fit.levels, restricted)
    at, h = np.array([0.7, 0.4, 0.9]), 1e-5
    for level, slope in enumerate(criterion.at(at).slope):
        shift = h * np.eye(3)[level]
        rise = criterion.at(at + shift).deviance - criterion.at(at - shift).deviance
        # Central differences: h^2 of the third derivative, and the rounding of a sum of about
        # 100 over 2 h.
        assert slope == pytest.approx(rise / (2 * h), rel=1e-6, abs=1e-7)


def test_several_points_at_once_are_the_points_one_by_one():
    for crossing in (False, True):
        frame, y, V, names = simulated(np.random.default_rng(5), crossing)
        fit = multilevel(y, V=V, data=frame, random="/".join(names), sigma2=[1, 1, 1])
        criterion = criterion_of(fit.rows.y, fit.X, fit.V, fit.levels, restricted=True)
        points = np.array([[0.0, 0.1, 2.0], [1.0, 0.0, 0.0]])
        together = criterion.at(points)
        for i, point in enumerate(points):
            alone = criterion.at(point)
            # The same operations, perhaps summed in another order.
            np.testing.assert_allclose(together.deviance[i], alone.deviance, rtol=1e-13)
            np.testing.assert_allclose(together.slope[i], alone.slope, rtol=1e-10)


@pytest.mark.parametrize("crossing", [False, True])
def test_no_variances_nearby_are_likelier(crossing):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frame, y, V, names = simulated(rng, crossing, levels=2)
        y = y * rng.choice([0.3, 1])
        fit = multilevel(y, V=V, data=frame, random="/".join(names))
        criterion = criterion_of(fit.rows.y, fit.X, fit.V, fit.levels, restricted=True)
        others = rng.uniform(0, 3, (200, 2)) * fit.variances.max(initial=0.1)
        nearby = fit.variances * rng.uniform(0.9, 1.1, (200, 2))
        best = criterion.at(np.vstack([others, nearby])).deviance.min()
        # The rounding of a sum of some hundred logarithms.
        assert -2 * fit.log_likelihood <= best + 1e-9


@pytest.mark.parametrize("tiny", [1e-8, 1e-12])
def test_the_likelihood_keeps_its_digits_beside_a_huge_study(tiny):
    y, v = Y, np.array([tiny, *V6[1:]])
    x = FRAME["z"].to_numpy()
    found = multilevel(y, "~ z", v=v, data=FRAME, random="study", sigma2=[0.0], method="ML")
    # Without variances between groups the heavy row lies on the line: one slope through it.
    left, slopes = y[1:] - y[0], x[1:] - x[0]
    slope = (left @ slopes) / (slopes @ slopes)
    q = ((left - slope * slopes) ** 2).sum() / 0.1
    expected = -0.5 * (6 * np.log(2 * np.pi) + np.log(v).sum() + q)
    # The line misses the heavy row by some v[0] / 0.1 of its residual.
    assert found.beta[1] == pytest.approx(slope, rel=10 * tiny / 0.1)
    assert found.log_likelihood == pytest.approx(expected, rel=10 * tiny / 0.1)


def test_one_row_per_group_is_pooling():
    """With one row per study the model is a random-effects meta-analysis."""
    rng = np.random.default_rng(8)
    v = rng.uniform(0.1, 1, 15)
    y = rng.normal(1, np.sqrt(v + 0.5))
    frame = pd.DataFrame({"study": range(15)})
    ours = multilevel(y, v=v, data=frame, random="study", df="t")
    theirs = pool(y, v, ci="t")
    # Both iterate to 1e-9 or better.
    assert ours.variances[0] == pytest.approx(theirs.tau2, rel=1e-8)
    assert ours.table["estimate"].iloc[0] == pytest.approx(theirs.estimate, rel=1e-8)
    assert tuple(ours.table[["ci_low", "ci_high"]].iloc[0]) == pytest.approx(theirs.ci, rel=1e-8)
    assert ours.i2.sum() == pytest.approx(theirs.i2, rel=1e-8)
    assert ours.prediction == pytest.approx(theirs.prediction, rel=1e-8)


def test_balanced_rows_have_the_estimates_of_an_analysis_of_variance():
    """m rows per study, one v: sigma2 = (between - within) / m and within - v, closed form."""
    rng = np.random.default_rng(3)
    studies, m, v = 12, 4, 0.5
    y = (rng.normal(0, 2, studies)[:, None] + rng.normal(0, 1.5, (studies, m))).ravel()
    study = np.repeat(np.arange(studies), m)
    frame = pd.DataFrame({"study": study, "unit": np.arange(len(y))})
    found = multilevel(y, v=np.full(len(y), v), data=frame, random="study/unit")
    table = y.reshape(studies, m)
    within = ((table - table.mean(1, keepdims=True)) ** 2).sum() / (studies * (m - 1))
    between = m * ((table.mean(1) - y.mean()) ** 2).sum() / (studies - 1)
    # Newton settles at 1e-11 of each variance.
    np.testing.assert_allclose(found.sigma2, [(between - within) / m, within - v], rtol=1e-9)


# -- the edge ----------------------------------------------------------------------------------


def test_variances_at_the_edge_are_exactly_zero():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"study": np.repeat(range(10), 2), "unit": range(20)})
    y = np.tile([-0.01, 0.01], 10) + 1
    found = multilevel(y, v=rng.uniform(0.5, 1, 20), data=frame, random="study/unit")
    assert list(found.sigma2) == [0.0, 0.0]
    # Then it is fixed-effect pooling.
    assert found.table["se"].iloc[0] == pytest.approx(
        np.sqrt(1 / (1 / found.rows.v).sum()), rel=1e-12
    )
    ends = sigma2_ci(found)
    assert list(ends["ci_low"]) == [0.0, 0.0]
    assert (ends["ci_high"] > 0).all()


def test_starting_at_zero_is_no_trap():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"study": np.repeat(range(20), 3), "unit": range(60)})
    y = np.repeat(rng.normal(0, 1, 20), 3) + rng.normal(0, 0.7, 60)
    fit = multilevel(y, v=np.full(60, 0.1), data=frame, random="study/unit")
    criterion = criterion_of(fit.rows.y, fit.X, fit.V, fit.levels, restricted=True)
    found = minimised(criterion, np.zeros(2), np.array([True, True]), 0.1)
    # Newton settles at 1e-11 of each variance.
    np.testing.assert_allclose(found, fit.variances, rtol=1e-9)


def test_the_highest_of_two_maxima_is_found_and_the_other_told():
    y = [4.1464, -0.1684, -5.1970, 0.0633, 0.4772]
    v = [5.2655, 0.0369, 3.6678, 0.0761, 18.1903]
    fit = multilevel(y, v=v, data=pd.DataFrame({"study": range(5)}), random="study")
    criterion = criterion_of(fit.rows.y, fit.X, fit.V, fit.levels, restricted=True)
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 500, 5000)])
    deviance = criterion.at(grid[:, None]).deviance
    # The edge is one maximum and a point beyond a trough the other.
    assert deviance[0] == deviance.min() == pytest.approx(-2 * fit.log_likelihood, rel=1e-12)
    trough = int(np.argmax(deviance[grid < 5]))
    second = trough + int(np.argmin(deviance[trough:]))
    lower = (deviance[second] - deviance[0]) / 2
    assert list(fit.sigma2) == [0.0]
    assert f"another maximum, lower by {lower:.3g}, at sigma2 =" in fit.notes[0]
    told = float(fit.notes[0].split("sigma2 = ")[1].split(";")[0])
    # The grid's points are 0.3% apart.
    assert told == pytest.approx(grid[second], rel=0.004)


def test_scale_and_shift_change_nothing_else():
    frame, y, V, names = simulated(np.random.default_rng(4), crossing=False, levels=2)
    plain = multilevel(y, V=V, data=frame, random="/".join(names))
    for factor, shift in ((1e-4, 0.0), (1e4, 0.0), (1.0, 1e5)):
        other = multilevel(factor * y + shift, V=factor**2 * V, data=frame, random="/".join(names))
        # A shift of 1e5 costs five digits of y.
        np.testing.assert_allclose(other.variances, factor**2 * plain.variances, rtol=1e-8)
        assert other.beta[0] == pytest.approx(factor * plain.beta[0] + shift, rel=1e-9)


# -- degrees of freedom, reading, refusals -----------------------------------------------------


def test_containment_counts_the_groups_within_which_a_column_is_constant():
    frame = pd.DataFrame(
        {
            "study": list("aaaabbbbcccc"),
            "experiment": list("112211221122"),
            "of_study": np.repeat([0.0, 1.0, 1.0], 4),
            "of_experiment": np.tile([0.0, 0.0, 1.0, 1.0], 3),
            "of_row": np.arange(12) % 5 * 1.0,
        }
    )
    X = np.column_stack([np.ones(12), frame[["of_study", "of_experiment", "of_row"]]])
    found = levels_of("study/experiment", frame, [str(i) for i in range(12)])
    # 3 studies, 6 experiments, 12 rows, less 4 coefficients; never below 1.
    assert list(containment(found, X)) == [1, 1, 2, 8]


@pytest.mark.parametrize(
    "text", ["study/unit", "(1 | study/unit)", "~ 1 | study/unit", " 1|study / unit "]
)
def test_random_is_read_in_every_usual_way(text):
    frame = pd.DataFrame({"study": ["a", "a", "b"], "unit": ["1", "2", "1"]})
    found = levels_of(text, frame, ["1", "2", "3"])
    assert found.names == ("study", "study/unit")
    assert found.counts == (2, 3)


def test_a_row_without_a_label_is_a_group_of_its_own():
    frame = pd.DataFrame({"study": ["a", None, None, "a"]})
    assert levels_of("study", frame, list("1234")).counts == (3,)


@pytest.mark.parametrize(
    "text", ["", "study + lab", "(x | study)", "study/study", "study//lab", "(1 | a) + (1 | b)"]
)
def test_other_random_effects_are_refused(text):
    frame = pd.DataFrame({"study": ["a", "b"], "lab": ["a", "b"]})
    with pytest.raises(SpecError, match="only nested groups are known"):
        levels_of(text, frame, ["1", "2"])


def test_an_unknown_column_is_named():
    with pytest.raises(SpecError, match="no column 'studdy'; did you mean 'study'"):
        levels_of("studdy", pd.DataFrame({"study": ["a"]}), ["1"])


Y, V6 = np.array([0.1, 0.5, 0.3, 0.9, -0.2, 0.4]), np.full(6, 0.1)
FRAME = pd.DataFrame(
    {
        "study": list("aabbcc"),
        "unit": list("123456"),
        "group": list("xxxxyy"),
        "one": ["a"] * 6,
        "z": [1.0, 2, 3, 4, 5, 6],
        "zz": [2.0, 4, 6, 8, 10, 12],
        "by_study": [0.0, 0, 1, 1, 5, 5],
    }
)


def spoilt(entry, value):
    V = np.diag(V6)
    V[entry] = value
    return V


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"random": "one"}, r"one one only \('a'\): the variance between groups cannot be seen"),
        ({"random": "study/one"}, "every study is one study/one: their two variances"),
        ({"formula": "~ z + zz"}, "zz"),
        ({"formula": "~ group", "random": "group"}, "take up all that differs between the groups"),
        ({"formula": "~ z + (1 | study)"}, "give groups as random='study'"),
        ({"method": "DL"}, "method = 'DL' is unknown"),
        ({"df": "kenward"}, "df = 'kenward' is unknown"),
        ({"ci_prob": 1.0}, "ci_prob"),
        ({"sigma2": [1.0, 1.0]}, "sigma2 has 2 values for 1 levels"),
        ({"sigma2": [-1.0]}, "a variance is a number, 0 or above"),
        ({"sigma2": ["a"]}, "a variance is a number, 0 or above"),
        ({"sigma2": -1.0}, "a variance is a number, 0 or above"),
        ({"V": np.eye(5), "v": None}, r"V has shape \(5, 5\) for 6 rows"),
        ({"V": V6, "v": None}, "give the variances alone as v="),
        ({"V": np.eye(6)}, "v and V are both given"),
        ({"v": None}, "y needs its sampling variances, v=, or their covariance, V="),
        ({"V": compound_symmetry([1.0, 1.0], ["a", "b"], 0), "v": None}, "V has 2 rows and y 6"),
        ({"V": np.eye(6) + 0j, "v": None}, "of one part, not complex"),
        ({"V": spoilt((0, 1), 0.05), "v": None}, "V is not symmetric in rows 1, 2"),
        ({"V": spoilt((2, 2), np.nan), "v": None}, "V is not a number in row 3"),
        ({"V": spoilt((2, 2), 0.0), "v": None}, "diagonal of V is not above 0 in row 3"),
        (
            {"V": spoilt(([0, 1], [1, 0]), 0.2), "v": None},
            "not positive definite among rows 1, 2",
        ),
    ],
)
def test_what_cannot_be_fitted_is_refused(options, message):
    given = {"v": V6, "data": FRAME, "random": "study"} | options
    with pytest.raises(SpecError, match=message):
        multilevel(Y, **given)


def test_rows_that_cannot_be_used_are_all_named():
    y, v = Y.copy(), V6.copy()
    y[1], v[4] = np.nan, 0.0
    with pytest.raises(DataError, match=r"row 2: y = nan.*\n.*row 5: v = 0"):
        multilevel(y, v=v, data=FRAME, random="study")


@pytest.mark.parametrize("k", [1, 2])
def test_few_rows_are_refused_or_answered(k):
    frame = pd.DataFrame({"study": range(k)})
    if k == 1:
        with pytest.raises(SpecError, match="one row: there is nothing to pool"):
            multilevel([0.5], v=[0.1], data=frame, random="study")
        return
    found = multilevel([0.5, 2.5], v=[0.1, 0.1], data=frame, random="study")
    # Two rows of one v: tau2 = s2 - v = 2 - 0.1.
    assert found.variances[0] == pytest.approx(1.9, rel=1e-9)
    assert found.table["df"].iloc[0] == 1


def test_degrees_of_freedom_below_one_are_said():
    found = multilevel(Y, "~ z + by_study", v=V6, data=FRAME, random="study/unit")
    assert list(found.table["df"]) == [1, 3, 1]
    assert any("are set to 1" in note for note in found.notes)


def test_rows_without_a_covariate_are_left_out_and_counted():
    frame = FRAME.assign(z=[1.0, 2, None, 4, 5, 6])
    V = np.diag(V6) + 0.02 * (FRAME["study"].to_numpy()[:, None] == FRAME["study"].to_numpy())
    found = multilevel(Y, "~ z", V=V, data=frame, random="study/unit")
    assert found.k == 5
    assert found.notes[0] == "1 of 6 rows left out: a term of '~ z' is missing"
    kept = [0, 1, 3, 4, 5]
    again = multilevel(
        Y[kept],
        "~ z",
        V=V[np.ix_(kept, kept)],
        data=frame.iloc[kept],
        random="study/unit",
    )
    # The same numbers in the same order.
    np.testing.assert_allclose(found.beta, again.beta, rtol=1e-12)


def test_a_given_v_takes_the_place_of_the_effects_own():
    effects = effect_sizes(pd.DataFrame({"study": list("aabbc"), "y": Y[:5], "v": V6[:5]}))
    found = multilevel(effects, V=2 * np.diag(V6[:5]), random="study")
    assert found.notes[0] == "the sampling covariance V given stands in for that of the effects"
    np.testing.assert_array_equal(found.rows.v, 2 * V6[:5])


def test_v_may_be_what_compound_symmetry_gives():
    V = compound_symmetry(V6, FRAME["study"], 0.5)
    blocks = multilevel(Y, V=V, data=FRAME, random="study/unit")
    full = multilevel(Y, V=V.dense(), data=FRAME, random="study/unit")
    # The same numbers in the same order.
    np.testing.assert_array_equal(blocks.beta, full.beta)
    np.testing.assert_array_equal(blocks.variances, full.variances)


@pytest.mark.parametrize("full", [False, True])
def test_variances_that_cannot_be_weighed_together_are_refused(full):
    v = np.array([1e-17, *V6[1:]])
    given = {"V": np.diag(v)} if full else {"v": v}
    with pytest.raises(DataError, match=r"row 1: v = 1e-17, and row 2: v = 0\.1: "):
        multilevel(Y, **given, data=FRAME, random="study")


def test_intervals_of_variances_are_of_multilevel_fits():
    with pytest.raises(SpecError, match=r"of bm\.multilevel, not of Pooled"):
        sigma2_ci(pool(Y, V6))


def test_given_variances_have_no_interval():
    found = multilevel(Y, v=V6, data=FRAME, random="study/unit", sigma2=[0.1, None])
    ends = sigma2_ci(found)
    assert ends.loc["study", ["ci_low", "ci_high"]].isna().all()
    held = multilevel(Y, v=V6, data=FRAME, random="study", sigma2=[0.1])
    with pytest.raises(SpecError, match="every sigma2 was given"):
        sigma2_ci(held)


def test_a_fit_says_what_it_is():
    found = multilevel(Y, v=V6, data=FRAME, random="study")
    assert repr(found).startswith("<Multilevel REML, containment, k = 6: Intercept; sigma2: study")


# -- sensitivity over rho ----------------------------------------------------------------------


def test_sensitivity_over_rho_is_a_fit_at_each():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "study": np.repeat([f"s{i}" for i in range(8)], 3),
            "experiment": np.tile(["1", "1", "2"], 8),
            "y": rng.normal(0, 1, 24),
            "v": rng.uniform(0.1, 0.5, 24),
        }
    )
    found = rho_sensitivity(effect_sizes(frame), (0, 0.6))
    for rho in (0.0, 0.6):
        fit = multilevel(effect_sizes(frame, rho=rho))
        row = found.loc[(rho, "Intercept")]
        # The same fit.
        assert row["estimate"] == pytest.approx(fit.beta[0], rel=1e-12)
        assert row["ci_low"] == pytest.approx(fit.table["ci_low"].iloc[0], rel=1e-12)
        assert row["sigma2[study]"] == pytest.approx(fit.variances[0], rel=1e-9, abs=1e-12)
    with pytest.raises(SpecError, match=r"rho = 1.5: a sampling correlation lies in \[0, 1\)"):
        rho_sensitivity(effect_sizes(frame), (0.5, 1.5))
    with pytest.raises(SpecError, match=r"rhos = 0\.5: give a sequence"):
        rho_sensitivity(effect_sizes(frame), 0.5)
    with pytest.raises(SpecError, match="rhos is empty"):
        rho_sensitivity(effect_sizes(frame), ())
