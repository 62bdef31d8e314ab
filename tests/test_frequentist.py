"""Pooling and meta-regression, held to metafor 5.0.1 where ../shared/reference is at hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import chi2

from bayesma.catalogue import load_dataset
from bayesma.effects import effect_sizes
from bayesma.errors import DataError, SpecError
from bayesma.frequentist import meta_regression, pool
from bayesma.frequentist.linear.heterogeneity import METHODS, log_likelihood, tau2_of
from bayesma.frequentist.linear.inference import KINDS
from bayesma.frequentist.linear.leastsquares import weighted
from bayesma.frequentist.linear.regression import MetaRegression, linear_model
from bayesma.frequentist.linear.rows import rows_of

# metafor stops once tau2 moves by less than 1e-12, which leaves 1e-10 of the smallest tau2 of
# these data (0.0126); what follows from tau2 inherits it. Ours is a root to the last digit.
ITERATED = 1e-9
# Closed forms differ by the order of summation alone.
CLOSED = 1e-10
# metafor solves X'W X, which for a year beside an intercept (X'X of condition 2e11) costs it
# digits: its intercept is 4e-10 off what exact fractions give, ours 3e-13.
INNER = 5e-9
# metafor's fits that are functions of y, v and X without a search.
CLOSED_METHODS = ("EE", "DL", "HE", "HS", "SJ")

# A small set for closed forms and refusals.
Y = np.array([0.1, 0.8, -0.2, 1.4, 0.5])
V = np.array([0.04, 0.09, 0.06, 0.2, 0.1])


@pytest.fixture(scope="session")
def univariate(shared: Path) -> dict[str, Any]:
    """metafor's fits of data sets with one row per study."""
    text = (shared / "reference" / "metafor.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["univariate"]
    return found


def fits(univariate: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str, str, Any]]:
    for name, data in univariate.items():
        for test, by_method in data["fits"].items():
            for method, fit in by_method.items():
                if method in METHODS or method == "EE":
                    yield name, data["columns"], test, method, fit


def close(found: Any, expected: Any, method: str, where: str, coarsest: float = CLOSED) -> None:
    tolerance = max(coarsest, CLOSED if method in CLOSED_METHODS else ITERATED)
    # Below 1e-12 a tau2, or a probability, is rounding around 0.
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-12, err_msg=where)


def test_pooling_is_metafors(univariate):
    seen = 0
    for name, columns, test, method, fit in fits(univariate):
        found = pool(columns["yi"], columns["vi"], method=method, ci=test)
        where = f"{name} {test} {method}"
        ours = {
            "b": found.estimate,
            "se": found.se,
            "stat": found.statistic,
            "pval": found.p,
            "ci_lb": found.ci[0],
            "ci_ub": found.ci[1],
            "tau2": found.tau2,
            "se_tau2": found.tau2_se,
            "I2": found.i2,
            "H2": found.h2,
            "Q": found.q,
            "Q_df": found.q_df,
            "Qp": found.q_p,
            "dfs": found.df,
        }
        for key, value in ours.items():
            assert (value is None) == (fit[key] is None), f"{where} {key}"
            if value is not None:
                close(value, fit[key], method, f"{where} {key}")
        seen += 1
    # 8 data sets, 9 methods by 4 kinds of interval, without Knapp-Hartung for the common effect.
    assert seen == 8 * (9 * 4 - 2)


def test_prediction_intervals_are_metafors(univariate):
    seen = 0
    for name, columns, test, method, fit in fits(univariate):
        y, v = columns["yi"], columns["vi"]
        if method == "EE":
            assert pool(y, v, method=method, ci=test).prediction is None
            continue
        where = f"{name} {test} {method}"
        found = pool(y, v, method=method, ci=test).prediction
        close(found, (fit["pi_lb"], fit["pi_ub"]), method, where)
        riley = pool(y, v, method=method, ci=test, prediction="riley").prediction
        close(riley, (fit["pi_riley_lb"], fit["pi_riley_ub"]), method, f"{where} riley")
        seen += 1
    assert seen == 8 * 8 * 4


def test_likelihoods_are_metafors(univariate):
    for name, columns, test, method, fit in fits(univariate):
        model = pool(columns["yi"], columns["vi"], method=method, ci=test).model
        kind = "reml" if method == "REML" else "ml"
        criteria = model.criteria
        found = (criteria.log_likelihood, criteria.aic, criteria.bic, criteria.aicc)
        keys = (f"loglik_{kind}", f"aic_{kind}", f"bic_{kind}", f"aicc_{kind}")
        close(found, [fit[key] for key in keys], method, f"{name} {method}")
        assert (model.aic, model.bic) == (criteria.aic, criteria.bic)


@pytest.mark.parametrize(
    ("key", "method", "kind", "ci_prob"),
    [
        ("QP_REML", "REML", "q-profile", 0.95),
        ("QP_DL", "DL", "q-profile", 0.95),
        ("QP_REML_90", "REML", "q-profile", 0.90),
        ("PL_REML", "REML", "profile-likelihood", 0.95),
        ("PL_ML", "ML", "profile-likelihood", 0.95),
    ],
)
def test_intervals_of_tau2_are_metafors(univariate, key, method, kind, ci_prob):
    for name, data in univariate.items():
        y, v = data["columns"]["yi"], data["columns"]["vi"]
        found = pool(y, v, method=method, tau2_ci=kind, ci_prob=ci_prob).tau2_ci
        expected = data["confint_tau2"][key]["tau^2"]
        close(found, (expected["ci_lb"], expected["ci_ub"]), method, f"{name} {key}")


def test_regressions_are_metafors(univariate):
    seen = 0
    for name, data in univariate.items():
        columns = data["columns"]
        for label, model in data.get("metareg", {}).items():
            keep = np.array(model["keep"]) - 1
            rows = rows_of(np.array(columns["yi"])[keep], np.array(columns["vi"])[keep])
            X, terms = np.array(model["X"], dtype=float), ("Intercept", *model["X_names"][1:])
            for test in ("z", "knha"):
                for method, fit in model[test].items():
                    found = linear_model(rows, X, terms, method, test)
                    where = f"{name} {label} {test} {method}"
                    _compare_regression(found, fit, method, where)
                    seen += 1
            interval = model["confint_QP_REML"]["tau^2"]
            found = linear_model(rows, X, terms).tau2_ci
            close(found, (interval["ci_lb"], interval["ci_ub"]), "REML", f"{name} {label}")
    assert seen == 10 * 17


def _compare_regression(found: MetaRegression, fit: dict[str, Any], method: str, at: str) -> None:
    table = found.table
    for column, key in {
        "estimate": "b",
        "se": "se",
        "statistic": "stat",
        "p": "pval",
        "ci_low": "ci_lb",
        "ci_high": "ci_ub",
    }.items():
        close(table[column], fit[key], method, f"{at} {key}", INNER)
    close(found.covariance, fit["vb"], method, f"{at} vb", INNER)
    # Percentages of an iterated tau2, which metafor leaves at 1e-13 where ours is 0, and of the
    # difference of two.
    assert (found.i2, found.r2) == pytest.approx((fit["I2"], fit["R2"]), rel=INNER, abs=1e-7), at
    ours = (found.tau2, found.h2, found.qe, found.qe_p, found.qm, found.qm_p)
    keys = ("tau2", "H2", "Q", "Qp", "QM", "QM_p")
    close(ours, [fit[key] for key in keys], method, at, INNER)
    assert list(found.qm_df) == [df for df in fit["QM_df"] if df is not None]


def test_a_formula_codes_factors_as_r_does(univariate):
    data = univariate["bcg_logRR"]
    frame = pd.DataFrame({"alloc": data["alloc"]} | data["raw"])
    y, v = data["columns"]["yi"], data["columns"]["vi"]
    found = meta_regression(y, "~ alloc + year + ablat", v=v, data=frame, ci="z")
    expected = data["metareg"]["alloc_year_ablat"]
    assert list(found.table.index) == [
        "Intercept",
        "alloc[random]",
        "alloc[systematic]",
        "year",
        "ablat",
    ]
    close(found.table["estimate"], expected["z"]["REML"]["b"], "REML", "formula")


def test_each_maximum_is_higher_than_what_a_search_finds():
    X = np.ones((5, 1))
    for method, restricted in (("ML", False), ("REML", True)):
        best = tau2_of(Y, V, X, method).value

        def minus(t: float, restricted: bool = restricted) -> float:
            return -log_likelihood(t, Y, V, X, restricted)

        # Brent's search stops at a relative width of 1e-8, the root of rounding.
        searched = minimize_scalar(minus, bounds=(0, 10), method="bounded", options={"xatol": 1e-9})
        assert best == pytest.approx(searched.x, rel=1e-6)
        # A likelihood of size 1 to 10 is rounded at 1e-15.
        assert minus(best) <= searched.fun + 1e-14


def test_of_two_maxima_the_higher_is_found():
    # Four precise rows agree and three vague ones lie far out: the restricted likelihood has one
    # maximum where the precise agree and one where all vary. A fine scan says which is higher.
    y = np.array([0.0, 0.02, -0.01, 0.01, 6.0, -6.5, 7.0])
    v = np.array([1e-4, 1e-4, 1e-4, 1e-4, 4.0, 4.0, 4.0])
    X = np.ones((7, 1))
    grid = np.concatenate([[0.0], np.geomspace(1e-7, 1e3, 4001)])
    heights = [log_likelihood(t, y, v, X, True) for t in grid]
    found = tau2_of(y, v, X, "REML").value
    assert log_likelihood(found, y, v, X, True) >= max(heights)
    assert any("more than one maximum" in note for note in pool(y, v).notes)
    assert pool(Y, V).notes == ()


def test_the_ends_of_a_profile_are_where_the_likelihood_says():
    found = pool(Y, V, tau2_ci="profile-likelihood")
    X = np.ones((5, 1))
    top = log_likelihood(found.tau2, Y, V, X, True)
    fallen = [2 * (top - log_likelihood(end, Y, V, X, True)) for end in found.tau2_ci]
    # Roots found to the last digit of tau2.
    assert fallen == pytest.approx([chi2.ppf(0.95, 1)] * 2, rel=1e-10)
    # Three rows cannot exclude 0.
    assert pool(Y[:3], V[:3], tau2_ci="profile-likelihood").tau2_ci[0] == 0.0


def test_equal_variances_have_closed_forms():
    v = np.full(5, 0.1)
    excess = float(Y.var(ddof=1)) - 0.1
    for method in ("DL", "HE", "REML", "PM", "EB"):
        assert pool(Y, v, method=method).tau2 == pytest.approx(excess, rel=1e-12)
    assert pool(Y, v).estimate == pytest.approx(Y.mean(), rel=1e-14)
    # With Knapp-Hartung the interval is then Student's own.
    assert pool(Y, v).se == pytest.approx(Y.std(ddof=1) / np.sqrt(5), rel=1e-12)


def test_a_knapp_hartung_interval_narrower_than_normal_quantiles_says_so():
    alike, v = [0.5, 0.52, 0.49, 0.51], [0.2, 0.1, 0.3, 0.2]
    widths = {
        kind: np.ptp(pool(alike, v, ci=kind).ci)
        for kind in ("z", "knapp-hartung", "knapp-hartung-adhoc")
    }
    assert widths["knapp-hartung"] < widths["z"] < widths["knapp-hartung-adhoc"]
    told = [kind for kind in widths if any("narrower" in n for n in pool(alike, v, ci=kind).notes)]
    assert told == ["knapp-hartung"]
    # Here it is wider, as it mostly is.
    assert np.ptp(pool(Y, V).ci) > np.ptp(pool(Y, V, ci="z").ci)
    assert pool(Y, V).notes == ()


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("common", "SJ")])
def test_effects_that_agree_have_no_heterogeneity(method):
    found = pool([0.5, 0.52, 0.49, 0.51], [0.2, 0.1, 0.3, 0.2], method=method, ci="z")
    # Not 1e-12: the estimate lies on the boundary.
    assert found.tau2 == 0.0
    assert found.i2 == 0.0
    assert found.tau2_ci == (0.0, 0.0)
    assert any("is empty" in note for note in found.notes)
    assert np.isfinite([found.se, found.p, found.tau2_se, *found.prediction]).all()


def test_sidik_jonkman_is_never_0_unless_effects_are_equal():
    assert pool([0.5, 0.52, 0.49], [0.2, 0.1, 0.3], method="SJ", ci="z").tau2 > 0
    assert pool([0.5, 0.5, 0.5], [0.2, 0.1, 0.3], method="SJ", ci="z").tau2 == 0


def test_one_huge_study_outweighs_all_in_a_common_effect_alone():
    y, v = np.array([1.0, 2.0, 3.0, 0.0]), np.array([1.0, 1.0, 1.0, 1e-12])
    common = pool(y, v, method="common", ci="z")
    # Weights of 3 in 1e12 move the mean by 6e-12.
    assert common.estimate == pytest.approx(6e-12, rel=1e-3)
    assert common.weights.sum() == pytest.approx(100, rel=1e-12)
    found = pool(y, v)
    assert np.isfinite([found.estimate, found.se, *found.ci, *found.tau2_ci]).all()
    assert found.tau2 > 0.1


@pytest.mark.parametrize("tiny", [1e-6, 1e-10, 1e-14])
@pytest.mark.parametrize("huge_studies", [1, 2])
def test_traces_keep_their_digits_beside_huge_studies(tiny, huge_studies):
    v = np.array([tiny, 1.5 * tiny if huge_studies == 2 else 0.2, 0.1, 0.15, 0.3, 0.2])
    # The projection of a mean, P = W - w w' / sum w, in exact fractions.
    w = [Fraction(one) for one in 1 / v]
    P = [[(a if i == j else 0) - a * b / sum(w) for j, b in enumerate(w)] for i, a in enumerate(w)]
    trace = sum(P[i][i] for i in range(6))
    trace2 = sum(P[i][j] ** 2 for i in range(6) for j in range(6))
    fit = weighted(np.arange(6.0), 1 / v, np.ones((6, 1)))
    # Sums of positive terms, each known to a few units of the last digit.
    assert fit.trace() == pytest.approx(float(trace), rel=1e-14)
    assert fit.trace2() == pytest.approx(float(trace2), rel=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_one_huge_study_leaves_every_number_a_number(method):
    y, v = [0.1, 0.5, 0.9, -0.3, 0.2, 1.4], [1e-10, 0.1, 0.2, 0.15, 0.3, 0.2]
    found = pool(y, v, method=method, ci="z")
    numbers = [found.estimate, found.se, *found.ci, found.tau2, found.i2, found.h2, found.q]
    assert np.isfinite(numbers).all()
    assert found.tau2_se is None or found.tau2_se > 0


def test_variances_that_cannot_be_weighed_together_are_refused():
    with pytest.raises(DataError, match=r"row 1: v = 1e-18, and row 3: v = 0.2: .* their units"):
        pool(Y[:3], [1e-18, 0.1, 0.2])
    # Twelve orders of magnitude are weighed.
    assert pool(Y[:3], [1e-12, 0.1, 1.0], ci="z").tau2 > 0


def test_numbers_too_large_to_be_squared_are_refused_row_by_row():
    with pytest.raises(DataError) as told:
        pool([0.1, 1e160, 0.3], [0.1, 0.1, 1e-300])
    assert str(told.value).splitlines() == [
        "row 2: y = 1e+160: too large to be squared; choose another unit",
        "row 3: v = 1e-300: too far from 1 to be squared; choose another unit",
    ]


def test_a_masked_effect_is_missing():
    with pytest.raises(DataError, match="row 2: y = nan"):
        pool(np.ma.masked_array(Y, mask=[0, 1, 0, 0, 0]), V)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"dose": [1.0] * 5}, r"data must be a pandas.DataFrame, not dict"),
        (pd.DataFrame(np.ones((5, 2)), columns=["dose", "dose"]), "two columns of one name: dose"),
    ],
)
def test_data_that_is_no_table_is_refused(data, message):
    with pytest.raises(SpecError, match=message):
        meta_regression(Y, "~ dose", v=V, data=data)


def test_two_rows_are_pooled():
    found = pool([0.2, 1.4], [0.1, 0.1])
    # Two equal variances: the mean, its t interval with one degree of freedom.
    assert found.estimate == pytest.approx(0.8, rel=1e-14)
    assert found.df == 1
    assert found.ci[1] - found.estimate == pytest.approx(12.7062047361747 * 0.6, rel=1e-12)
    with pytest.raises(SpecError, match=r"k - 2 = 0 degrees of freedom; use 'as-ci'"):
        pool([0.2, 1.4], [0.1, 0.1], prediction="riley")


def test_shifts_and_units_change_nothing_else():
    plain, moved = pool(Y, V), pool(Y + 1e6, V)
    # Effects of 1e6 keep 10 of 16 digits of their differences.
    assert moved.tau2 == pytest.approx(plain.tau2, rel=1e-8)
    scaled = pool(Y * 1e-6, V * 1e-12)
    assert scaled.tau2 == pytest.approx(plain.tau2 * 1e-12, rel=1e-9)
    assert scaled.p == pytest.approx(plain.p, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_intercept_is_the_pooled_effect(kind):
    found, pooled = meta_regression(Y, v=V, ci=kind), pool(Y, V, ci=kind)
    assert found.table.loc["Intercept", "estimate"] == pooled.estimate
    assert found.table.loc["Intercept", "ci_high"] == pooled.ci[1]
    assert (found.qm, found.r2) == (None, None)


def test_one_row_is_refused():
    with pytest.raises(SpecError, match="one row: there is nothing to pool it with"):
        pool([0.3], [0.1])


def test_no_row_is_refused():
    with pytest.raises(DataError, match="nothing to pool"):
        pool([], [])


def test_every_row_that_cannot_be_used_is_told_at_once():
    with pytest.raises(DataError) as told:
        pool([0.1, np.nan, 0.3, 0.4, np.inf], [0.1, 0.1, 0.0, -1.0, np.nan])
    assert str(told.value).splitlines() == [
        "row 2: y = nan: an effect must be a number; leave the row out",
        "row 3: v = 0.0: a sampling variance is above 0; correct it or leave the row out",
        "row 4: v = -1.0: a sampling variance is above 0; correct it or leave the row out",
        "row 5: y = inf: an effect must be a number; leave the row out",
        "row 5: v = nan: a sampling variance is above 0; correct it or leave the row out",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"v": None}, "needs its sampling variances"),
        ({"v": V[:4]}, "y has 5 rows and v 4"),
        ({"v": V[:, None]}, r"v must be one column of numbers, not of shape \(5, 1\)"),
        ({"v": ["a"] * 5}, "v must be numbers"),
        ({"v": V + 0j}, "v must be numbers of one part, not complex"),
        ({"v": V, "method": "REMl"}, "did you mean 'REML'"),
        ({"v": V, "ci": "knapp"}, "ci = 'knapp' is unknown"),
        ({"v": V, "ci_prob": 95}, "ci_prob = 95: the probability of an interval"),
        ({"v": V, "tau2_ci": "wald"}, "tau2_ci = 'wald' is unknown"),
        ({"v": V, "method": "common", "ci": "z", "tau2_ci": "wald"}, "tau2_ci = 'wald' is unknown"),
        ({"v": V, "method": ["DL"]}, r"method = '\['DL'\]' is unknown"),
        ({"v": V, "ci_prob": "0.9"}, r"ci_prob = 0\.9: the probability of an interval"),
        ({"v": "~ dose"}, "v = '~ dose' is text; a formula is given as formula="),
        ({"v": V, "method": "DL", "tau2_ci": "profile-likelihood"}, "needs method 'ML' or 'REML'"),
        ({"v": V, "method": "common"}, "Knapp-Hartung variance is for random effects"),
        ({"v": V, "prediction": "z"}, "prediction = 'z' is unknown"),
    ],
)
def test_what_cannot_be_pooled_is_refused(arguments, message):
    with pytest.raises(SpecError, match=message):
        pool(Y, **arguments)


def test_knapp_hartung_without_any_variation_is_refused():
    with pytest.raises(SpecError, match="the Knapp-Hartung variance is 0"):
        pool([0.3, 0.3, 0.3], [0.1, 0.2, 0.3])
    found = pool([0.3, 0.3, 0.3], [0.1, 0.2, 0.3], ci="adhoc")
    assert np.isfinite([found.se, *found.ci]).all()


FRAME = pd.DataFrame(
    {
        "species": ["rat", "mouse", "rat", "mouse", "rat"],
        "strain": ["r", "m", "r", "m", "r"],
        "dose": [1.0, 2.0, 4.0, 8.0, np.nan],
    }
)


def test_collinear_terms_are_named():
    with pytest.raises(SpecError, match=r"collinear: strain\[r\] follows from the other terms"):
        meta_regression(Y, "~ species + strain", v=V, data=FRAME)


def test_rows_without_a_term_are_left_out_and_counted():
    found = meta_regression(Y, "~ log(dose)", v=V, data=FRAME)
    assert found.k == 4
    assert found.notes == ("1 of 5 rows left out: a term of '~ log(dose)' is missing",)
    by_hand = meta_regression(Y[:4], "~ log(dose)", v=V[:4], data=FRAME[:4])
    pd.testing.assert_frame_equal(found.table, by_hand.table)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("~ specie", "no column 'specie'; did you mean 'species'"),
        ("~ species + (1 | strain)", "group effects are for bm.multilevel"),
        ("~ species * log(dose)", "4 rows cannot carry 4 coefficients"),
        ("~ 0", "it has no mean"),
    ],
)
def test_formulas_that_cannot_be_fitted_are_refused(formula, message):
    with pytest.raises(SpecError, match=message):
        meta_regression(Y, formula, v=V, data=FRAME)


def test_without_an_intercept_each_level_has_its_mean():
    found = meta_regression(Y, "~ 0 + species", v=V, data=FRAME, method="DL", ci="z")
    other = meta_regression(Y, "~ species", v=V, data=FRAME, method="DL", ci="z")
    assert list(found.table.index) == ["species[mouse]", "species[rat]"]
    # The same model in other coordinates.
    rat = other.table["estimate"].sum()
    assert found.table.loc["species[rat]", "estimate"] == pytest.approx(rat, rel=1e-12)
    assert found.tau2 == pytest.approx(other.tau2, rel=1e-12)
    assert found.r2 is None


def test_effects_of_a_table_are_pooled_with_what_to_know():
    effects = effect_sizes(load_dataset("simulated_decay"))
    found = pool(effects)
    assert found.k == len(effects)
    assert "are taken as independent" in found.notes[0]
    bare = pool(effects.y, effects.v)
    assert (found.estimate, found.tau2) == (bare.estimate, bare.tau2)
    assert bare.notes == ()


def test_correlated_effects_are_not_taken_as_independent():
    effects = effect_sizes(load_dataset("simulated_decay"), rho=0.5, within="study")
    with pytest.raises(SpecError, match=r"have a sampling correlation.*bm\.multilevel"):
        pool(effects)


def test_effects_bring_their_own_variances():
    effects = effect_sizes(load_dataset("simulated_decay"))
    with pytest.raises(SpecError, match="hold their own variances and covariates; drop v="):
        pool(effects, V)


def test_results_say_what_they_are():
    assert repr(pool(Y, V)).startswith("<Pooled 0.4")
    assert "species[rat]" in repr(meta_regression(Y, "~ species", v=V, data=FRAME))
