"""Asymmetry, filling and selection, held to metafor where ../shared/reference is at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import arms, oracle
from scipy.optimize import approx_fprime
from scipy.stats import chi2, norm

from bayesma.effects import Effects, effect_sizes
from bayesma.errors import DataError, SpecError
from bayesma.frequentist import (
    SelectionModel,
    egger,
    pet_peese,
    pool,
    selection_model,
    trim_and_fill,
)
from bayesma.frequentist.bias.asymmetry import PREDICTORS
from bayesma.frequentist.bias.selection import ALTERNATIVES
from bayesma.frequentist.bias.stepwise import Steps, Stepwise

# Closed forms differ by the order of summation alone; metafor solves X'W X, which costs it digits
# where a size in thousands stands beside an intercept (its square is 1e10 of 1).
CLOSED = 1e-10
INNER = 5e-9
# metafor stops once tau2 moves by less than 1e-12, 1e-10 of the smallest tau2 of these data.
ITERATED = 1e-9

BOOK = "frequentist_oracles"

Y = np.array([0.1, 0.8, -0.2, 1.4, 0.5])
V = np.array([0.04, 0.09, 0.06, 0.2, 0.1])
N = np.array([40, 20, 30, 8, 16])
# metafor's name of each predictor.
METAFORS = {
    "se": "sei",
    "v": "vi",
    "n": "ni",
    "sqrt(n)": "sqrtni",
    "1/n": "ninv",
    "1/sqrt(n)": "sqrtninv",
}


@pytest.fixture(scope="session")
def univariate(shared: Path) -> dict[str, Any]:
    """metafor's results for data sets with one row per study."""
    text = (shared / "reference" / "metafor.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["univariate"]
    return found


def same(found: Any, expected: Any, tolerance: float, where: str) -> None:
    assert (found is None) == (expected is None), where
    if expected is not None:
        # Below 1e-12 a tau2, or a probability, is rounding around 0.
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-12, err_msg=where)


# --- asymmetry ---


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("model", ["mixed", "lm"])
def test_egger_is_metafors_regtest(univariate, predictor, model):
    seen = 0
    for name, data in univariate.items():
        key = f"{'rma' if model == 'mixed' else 'lm'}_{METAFORS[predictor]}"
        expected = data["regtest"].get(key)
        if expected is None:
            # A data set without sizes.
            assert predictor not in ("se", "v")
            assert "ni" not in data["columns"]
            continue
        columns = data["columns"]
        found = egger(
            columns["yi"], columns["vi"], n=columns.get("ni"), predictor=predictor, model=model
        )
        tolerance = INNER if model == "mixed" else CLOSED
        ours = {
            "stat": found.statistic,
            "p": found.p,
            "dfs": found.df,
            "est_limit": found.limit,
            "ci_lb": found.limit_ci and found.limit_ci[0],
            "ci_ub": found.limit_ci and found.limit_ci[1],
            "b": found.beta,
            "se": found.inference.se,
            "tau2": found.tau2,
        }
        for part, value in ours.items():
            same(value, expected[part], tolerance, f"{name} {key} {part}")
        assert (found.predictor, found.model) == (predictor, model)
        seen += 1
    # One of the 8 data sets has no sizes.
    assert seen == (8 if predictor in ("se", "v") else 7)


@pytest.mark.parametrize("name", oracle("asymmetry", BOOK))
def test_egger_of_our_own_data_is_metafors(name):
    data = oracle("data", BOOK)[name]
    for row in pd.DataFrame(oracle("asymmetry", BOOK)[name]["regtest"]).to_dict("records"):
        mixed = row["model"] == "rma"
        how = {"method": row["method"], "ci": row["test"]} if mixed else {}
        found = egger(
            data["y"], data["v"], n=data["n"], predictor=row["predictor"], model=row["model"], **how
        )
        where = f"{name} {row['predictor']} {row['model']} {how}"
        ours = {
            "statistic": found.statistic,
            "p": found.p,
            "df": found.df,
            "intercept": found.beta[0],
            "slope": found.beta[1],
            "intercept_se": found.inference.se[0],
            "slope_se": found.inference.se[1],
            "tau2": found.tau2,
            "limit": found.limit,
            "limit_low": found.limit_ci and found.limit_ci[0],
            "limit_high": found.limit_ci and found.limit_ci[1],
        }
        for part, value in ours.items():
            expected = None if pd.isna(row[part]) else row[part]
            same(value, expected, INNER, f"{where} {part}")


def test_egger_knows_metafors_names(univariate):
    columns = univariate["bcg_logRR"]["columns"]
    for ours, theirs in METAFORS.items():
        one, other = (
            egger(columns["yi"], columns["vi"], n=columns["ni"], predictor=name)
            for name in (ours, theirs)
        )
        assert one.statistic == other.statistic
        assert one.predictor == other.predictor == ours


def test_egger_lm_is_the_regression_of_the_standard_normal_deviate():
    """Egger et al. 1997: y / se on 1 / se, without weights; its intercept is our slope."""
    se = np.sqrt(V)
    X = np.column_stack([np.ones(5), 1 / se])
    b, rest, _, _ = np.linalg.lstsq(X, Y / se, rcond=None)
    scale = rest[0] / 3
    found = egger(Y, V, model="lm")
    np.testing.assert_allclose(found.beta, b[::-1], rtol=1e-12)
    statistic = b[0] / np.sqrt(scale * np.linalg.inv(X.T @ X)[0, 0])
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.dispersion == pytest.approx(scale, rel=1e-12)
    assert found.df == 3


def test_egger_table_is_the_test():
    found = egger(Y, V, predictor="v", ci="knha")
    assert list(found.table.index) == ["Intercept", "v"]
    assert found.table.loc["v", "statistic"] == found.statistic
    assert found.table.loc["Intercept", "ci_low"] == found.limit_ci[0]
    assert found.df == 3
    assert "Asymmetry on v, mixed, k = 5: t(3)" in repr(found)


def smd() -> Effects:
    frame = arms(
        12,
        n_treated=[4 + i for i in range(12)],
        mean_treated=[3 + 0.5 * (7 * i % 12) for i in range(12)],
        study=[f"s{i}" for i in range(12)],
    )
    return effect_sizes(frame, measure="SMD")


def test_egger_of_smd_goes_by_size_where_it_is_known():
    effects = smd()
    found = egger(effects)
    assert found.predictor == "1/sqrt(n)"
    assert not any("Zwetsloot" in note for note in found.notes)
    n = effects.frame["n_treated"] + effects.frame["n_control"]
    assert found.statistic == egger(effects.y, effects.v, n=n, predictor="1/sqrt(n)").statistic


@pytest.mark.parametrize("predictor", ["se", "v"])
def test_egger_of_smd_says_that_its_variance_holds_the_effect(predictor):
    found = egger(smd(), predictor=predictor)
    assert any("Zwetsloot" in note and "1/sqrt(n)" in note for note in found.notes)
    assert any("Zwetsloot" in note for note in pet_peese(smd()).notes)


def test_egger_of_other_measures_goes_by_se():
    effects = effect_sizes(arms(12, n_treated=[4 + i for i in range(12)]), measure="MD")
    found = egger(effects)
    assert found.predictor == "se"
    assert not any("Zwetsloot" in note for note in (*found.notes, *pet_peese(effects).notes))


def test_egger_of_smd_without_sizes_goes_by_se():
    frame = pd.DataFrame({"study": list("abcde"), "y": Y, "v": V})
    effects = effect_sizes(frame, measure="SMD")
    found = egger(effects)
    assert found.predictor == "se"
    assert any("Zwetsloot" in note for note in found.notes)
    assert egger(effects, n=N).predictor == "1/sqrt(n)"


def test_egger_says_that_few_rows_tell_little():
    assert any("fewer than 10" in note for note in egger(Y, V).notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictor": "sd"}, "predictor = 'sd' is unknown; known: se, v"),
        ({"model": "glm"}, "model = 'glm' is unknown"),
        ({"method": "XX"}, "method = 'XX' is unknown"),
        ({"predictor": "n"}, "predictor = 'n' needs the size of each study: give n="),
        ({"predictor": "n", "n": N[:4]}, r"n has shape \(4,\) and y 5 rows"),
        ({"predictor": "n", "n": ["a"] * 5}, "n must be numbers"),
        ({"predictor": "n", "n": [8] * 5}, r"every row has the same n \(8\)"),
        ({"v": [0.1] * 5}, r"every row has the same se \(0.316228\)"),
        ({"v": [0.1] * 5, "model": "lm"}, "cannot be seen; choose another predictor"),
        ({"ci_prob": 95}, "ci_prob = 95"),
        ({"ci_prob": 95, "model": "lm"}, "ci_prob = 95"),
    ],
)
def test_egger_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        egger(Y, **({"v": V} | change))


def test_egger_names_every_row_without_a_size():
    with pytest.raises(DataError, match=r"row 2: n = 0: .*\nrow 4: n = nan"):
        egger(Y, V, predictor="1/n", n=[40, 0, 30, np.nan, 16])


@pytest.mark.parametrize("model", ["mixed", "lm"])
@pytest.mark.parametrize("k", [1, 2])
def test_a_line_needs_three_rows(k, model):
    with pytest.raises(SpecError, match=rf"{k} rows?: a line .* needs at least 3 rows"):
        egger(Y[:k], V[:k], model=model)


def test_effects_on_a_line_have_no_dispersion():
    with pytest.raises(SpecError, match="lie exactly on a line in se"):
        egger(1 + 2 * np.sqrt(V), V, model="lm")
    mixed = egger(1 + 2 * np.sqrt(V), V)
    # A line through all points: coefficients to rounding, no residual heterogeneity.
    np.testing.assert_allclose(mixed.beta, [1, 2], rtol=1e-12)
    assert mixed.tau2 == 0


def test_equal_effects_have_no_slope():
    found = egger(np.full(5, 0.3), V)
    assert abs(found.statistic) < 1e-12
    assert found.limit == pytest.approx(0.3, rel=1e-12)
    with pytest.raises(SpecError, match="lie exactly on a line"):
        egger(np.full(5, 0.3), V, model="lm")


def test_one_huge_study_does_not_upset_the_line():
    found = egger(Y, [1e-10, *V[1:]], model="lm")
    # The line goes through it.
    assert found.beta @ [1, 1e-5] == pytest.approx(Y[0], rel=1e-8)
    assert np.isfinite([found.statistic, found.p, *found.limit_ci]).all()


# --- PET-PEESE ---


def test_pet_peese_is_rs_lm(univariate):
    for name, data in univariate.items():
        columns, expected = data["columns"], data["pet_peese"]
        found = pet_peese(columns["yi"], columns["vi"])
        for part, key in ((found.pet, "pet_lm"), (found.peese, "peese_lm")):
            same(part.beta, expected[key]["b"], CLOSED, f"{name} {key} b")
            same(part.inference.se, expected[key]["se"], CLOSED, f"{name} {key} se")
            same(part.inference.p, expected[key]["p"], CLOSED, f"{name} {key} p")
        rejected = expected["pet_lm"]["p"][0] < 0.05
        chosen = expected["peese_lm" if rejected else "pet_lm"]
        assert found.chosen == ("PEESE" if rejected else "PET")
        same(found.estimate, chosen["b"][0], CLOSED, name)
        same(found.se, chosen["se"][0], CLOSED, name)
        same(found.p, chosen["p"][0], CLOSED, name)


@pytest.mark.parametrize("name", oracle("asymmetry", BOOK))
def test_pet_peese_of_our_own_data_is_rs_lm(name):
    data, expected = oracle("data", BOOK)[name], oracle("asymmetry", BOOK)[name]
    found = pet_peese(data["y"], data["v"])
    for part, key in ((found.pet, "pet"), (found.peese, "peese")):
        for column in ("estimate", "se", "statistic", "p", "ci_low", "ci_high"):
            same(part.table[column], expected[key][column], CLOSED, f"{name} {key} {column}")


def test_pet_peese_without_dispersion_is_metafors(univariate):
    """The same lines with v taken as it is: their standard errors differ by the dispersion."""
    for name, data in univariate.items():
        columns, expected = data["columns"], data["pet_peese"]
        found = pet_peese(columns["yi"], columns["vi"])
        for part, key in ((found.pet, "pet"), (found.peese, "peese")):
            same(part.beta, expected[key]["b"], CLOSED, f"{name} {key} b")
            se = part.inference.se / np.sqrt(part.dispersion)
            same(se, expected[key]["se"], CLOSED, f"{name} {key} se")
            same(part.dispersion, expected[key]["H2"], CLOSED, f"{name} {key} H2")


def test_pet_peese_goes_by_the_test_of_pet():
    p = pet_peese(Y, V).pet.inference.p[0]
    below, above = pet_peese(Y, V, alpha=p * 0.999), pet_peese(Y, V, alpha=p * 1.001)
    assert (below.chosen, above.chosen) == ("PET", "PEESE")
    assert below.estimate == below.pet.limit
    assert above.ci == above.peese.limit_ci
    assert "not below alpha" in below.rule
    assert "<PetPeese PET" in repr(below)


def test_pet_peese_finds_what_a_clean_funnel_hides():
    """y = 0.5 + 3 v but for a pattern that is orthogonal to both lines' terms: b0 is 0.5."""
    v = np.array([0.01, 0.02, 0.04, 0.08, 0.16, 0.3])
    X = np.column_stack([np.ones(6), v, np.sqrt(v)]) / np.sqrt(v)[:, None]
    pattern = np.linalg.svd(X.T)[2][-1] * np.sqrt(v)
    found = pet_peese(0.5 + 3 * v + 0.01 * pattern, v)
    np.testing.assert_allclose(found.peese.beta, [0.5, 3], rtol=1e-10)
    assert found.chosen == "PEESE"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0}, "alpha = 0: a significance level"),
        ({"alpha": "a"}, "alpha = a: a significance level"),
        ({"v": [0.1] * 5}, "every row has the same se"),
        ({"effects": Y[:2], "v": V[:2]}, "2 rows: a line"),
        ({"effects": [1.0] * 5}, "lie exactly on a line"),
    ],
)
def test_pet_peese_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        pet_peese(**({"effects": Y, "v": V} | change))


# --- filling ---


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
@pytest.mark.parametrize("method", ["REML", "DL", "EE"])
def test_trim_and_fill_is_metafors(univariate, method, estimator):
    undefined = 0
    for name, data in univariate.items():
        y, v = data["columns"]["yi"], data["columns"]["vi"]
        expected, where = data["trimfill"][f"{method}_{estimator}"], f"{name} {method} {estimator}"
        if "error" in expected:
            with pytest.raises(SpecError, match="Q0 is not defined"):
                trim_and_fill(y, v, estimator=estimator, method=method, ci="z")
            undefined += 1
            continue
        found = trim_and_fill(y, v, estimator=estimator, method=method, ci="z")
        assert (found.k0, found.side) == (expected["k0"], expected["side"]), where
        # trimfill() does not hand its control on, so that REML stops once tau2 moves by 1e-5.
        loose = method == "REML" and found.k0 > 0
        filled = {
            "se_k0": found.k0_se,
            "p_k0": found.p_k0,
            "b": found.pooled.estimate,
            "se": found.pooled.se,
            "ci_lb": found.pooled.ci[0],
            "ci_ub": found.pooled.ci[1],
            "tau2": found.pooled.tau2,
            "k": found.pooled.k,
            "yi_filled": found.y[found.k :],
            "vi_filled": found.v[found.k :],
        }
        for part, value in filled.items():
            if loose and part == "tau2":
                assert found.pooled.tau2 == pytest.approx(expected[part], abs=1e-5), where
            else:
                same(value, expected[part], 1e-4 if loose else ITERATED, f"{where} {part}")
        np.testing.assert_array_equal(found.y[: found.k], y)
    # metafor itself stops with an error there; counted in the file.
    expected = sum(
        "error" in data["trimfill"][f"{method}_{estimator}"] for data in univariate.values()
    )
    assert undefined == expected


@pytest.mark.parametrize("name", oracle("filling", BOOK))
def test_filling_of_our_own_data_is_metafors(name):
    data, expected = oracle("data", BOOK)[name], oracle("filling", BOOK)[name]
    for method, side in (expected["default_side"] or {}).items():
        assert trim_and_fill(data["y"], data["v"], method=method, ci="z").side == side
    for fit in expected["fits"]:
        how = {part: fit[part] for part in ("estimator", "side", "method")}
        found = trim_and_fill(data["y"], data["v"], ci="z", **how)
        ours = {
            "k0": found.k0,
            "k0_se": found.k0_se,
            "k0_p": found.p_k0,
            "k": found.pooled.k,
            "estimate": found.pooled.estimate,
            "se": found.pooled.se,
            "ci_low": found.pooled.ci[0],
            "ci_high": found.pooled.ci[1],
            "tau2": found.pooled.tau2,
            "q": found.pooled.q,
            "y_filled": found.y[found.k :],
            "v_filled": found.v[found.k :],
        }
        for part, value in ours.items():
            # metafor mirrors effects at a mean whose tau2 is within 1e-5 of its own.
            loose = how["method"] == "REML" and found.k0 > 0
            same(value, fit[part], 2e-4 if loose else ITERATED, f"{name} {how} {part}")
        if found.k0:
            # Ours is the mean itself: effects are mirrored at the pooled effect of the others.
            order = np.argsort(data["y"])
            order = order[::-1] if found.side == "right" else order
            rest, far = np.split(order, [found.k - found.k0])
            y, v = np.array(data["y"]), np.array(data["v"])
            middle = pool(y[rest], v[rest], method=how["method"], ci="z").estimate
            same(np.sort(found.y[found.k :]), np.sort(2 * middle - y[far]), 1e-12, f"{name} {how}")


def test_the_sides_are_mirror_images():
    for estimator in ("L0", "R0"):
        left = trim_and_fill(Y, V, estimator=estimator, side="left")
        right = trim_and_fill(-Y, V, estimator=estimator, side="right")
        assert left.k0 == right.k0
        assert left.k0_se == right.k0_se
        np.testing.assert_allclose(left.y, -right.y, rtol=1e-12)
        assert left.pooled.estimate == pytest.approx(-right.pooled.estimate, rel=1e-12)


def test_a_cut_funnel_is_made_whole():
    """Of a symmetric funnel around 1 the two leftmost are taken: they are put back."""
    step = np.array([0.15, 0.4, 0.7, 1.1, 1.6])
    whole = np.concatenate([[1.0], 1 - step, 1 + step])
    v = np.concatenate([[0.01], step**2, step**2]) / 4
    y, v = whole[whole > 0], v[whole > 0]
    found = trim_and_fill(y, v, estimator="L0", method="common", ci="z")
    assert (found.k0, found.side) == (2, "left")
    # Mirrored at the mean of what is left after the two largest are set aside, which is 1.
    np.testing.assert_allclose(np.sort(found.y[-2:]), [1 - 1.6, 1 - 1.1], rtol=1e-12)
    assert found.pooled.estimate == pytest.approx(1, rel=1e-12)
    assert found.p_k0 is None
    # The run of largest distances above the mean is the two without a mirror image: 2 - 1, and
    # one or more by chance have probability 1/4.
    run = trim_and_fill(y, v, estimator="R0", method="common", ci="z")
    assert (run.k0, run.p_k0) == (1, 0.25)


def test_a_symmetric_funnel_is_left_alone():
    y, v = [-1.0, -0.5, 0.0, 0.5, 1.0], [0.4, 0.1, 0.05, 0.1, 0.4]
    for estimator in ("L0", "R0", "Q0"):
        for side in ("left", "right"):
            found = trim_and_fill(y, v, estimator=estimator, side=side, ci="z")
            assert found.k0 == 0
            assert found.pooled is found.observed
            assert f"{estimator}, 0 put in on the {side}" in repr(found)


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
@pytest.mark.parametrize("k", [2, 3])
def test_few_rows_are_filled_or_left(k, estimator):
    found = trim_and_fill(Y[:k], V[:k], estimator=estimator, side="left", ci="z")
    assert 0 <= found.k0 < k
    assert np.isfinite([found.pooled.estimate, found.pooled.se]).all()
    assert found.k0_se is None or np.isfinite(found.k0_se)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimator": "L1"}, "estimator = 'L1' is unknown"),
        ({"side": "up"}, "side = 'up' is unknown"),
        ({"method": "XX"}, "method = 'XX' is unknown"),
        ({"v": [0.1] * 5}, "side cannot be told from the data, give side=: every row has the same"),
        ({"effects": Y[:2], "v": V[:2]}, "give side=: 2 rows: a line"),
        ({"effects": [0.3] * 5, "ci": "z"}, "all effects are equal: their funnel has no sides"),
        ({"effects": Y[:1], "v": V[:1]}, "one row: there is nothing"),
    ],
)
def test_trim_and_fill_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        trim_and_fill(**({"effects": Y, "v": V} | change))


def test_equal_variances_are_filled_on_the_side_that_is_given():
    y = [0.1, 0.2, 0.3, 0.4, 2.0, 3.0]
    found = trim_and_fill(y, [0.1] * 6, estimator="R0", side="left", ci="z")
    # Ranks of |y - mean|: the two largest lie above it, a run of 2.
    assert found.k0 == 1
    # Mirrored at the mean of the other five, 0.6.
    assert found.y[-1] == pytest.approx(2 * 0.6 - 3, rel=1e-12)


# --- selection ---


def near_peak(found: SelectionModel, expected: dict[str, Any], where: str) -> None:
    """Hold ours to metafor's numbers as closely as metafor's search ended at the peak.

    A point whose log likelihood is lower by g lies within sqrt(2 g) standard errors of the peak
    in every direction (a quadratic around it); 1e-12 is what 15 digits leave of g.
    """
    gain = found.log_likelihood - expected["log_likelihood"]
    # Ours is the higher peak, or the same.
    assert gain > -1e-12, where
    reach = 1.01 * np.sqrt(2 * (gain + 1e-12))
    assert abs(found.estimate - expected["estimate"]) < reach * found.se, where
    assert abs(found.tau2 - expected["tau2"]) < reach * (found.tau2_se or 1e-3), where
    for ours, theirs, se in zip(found.delta, expected["delta"], found.delta_se, strict=True):
        assert ours == theirs == 1 or abs(ours - theirs) < reach * se, where
    # Standard errors move with the point, relatively a few times its distance; metafor's are
    # of a numerical curvature, good to 1e-6.
    assert found.se == pytest.approx(expected["se"], rel=5 * reach + 1e-6), where
    known = [error for error in expected["delta_se"] if error is not None]
    assert found.delta_se[1:] == pytest.approx(known, rel=5 * reach + 1e-6), where


def test_selection_is_metafors(univariate):
    seen = 0
    for name, data in univariate.items():
        theirs = data["selmodel"]["stepfun_025"]
        found = selection_model(data["columns"]["yi"], data["columns"]["vi"])
        assert found.alternative == theirs["alternative"]
        gain = found.log_likelihood - theirs["loglik"]
        assert found.lrt - theirs["LRT"] == pytest.approx(2 * gain, abs=1e-9)
        if found.tau2 == 0:
            # metafor searches log tau2 and stops at 1.4e-5 of raudenbush1985_SMD, from where the
            # likelihood still rises towards 0; the others move with it.
            assert 0 < gain < 1e-3
            for ours, key in ((found.estimate, "b"), (found.se, "se"), (found.delta[1], "delta")):
                same(ours, np.atleast_1d(theirs[key])[-1], 1e-3, name)
            continue
        # metafor stops where the likelihood rises by less than 1.5e-8 of itself.
        assert gain < 2e-8, name
        expected = {"estimate": theirs["b"], "log_likelihood": theirs["loglik"]}
        near_peak(found, theirs | expected | {"delta_se": theirs["se_delta"]}, name)
        seen += 1
    assert seen == 7


@pytest.mark.parametrize("name", oracle("selection", BOOK))
def test_selection_in_our_own_data_is_metafors(name):
    data = oracle("data", BOOK)[name]
    for expected in oracle("selection", BOOK)[name]:
        steps = np.atleast_1d(expected["steps"])
        found = selection_model(
            data["y"], data["v"], steps=steps, alternative=expected["alternative"]
        )
        where = f"{name} {steps}"
        near_peak(found, expected, where)
        # Twice what is gained on metafor's peak.
        assert found.lrt == pytest.approx(expected["lrt"], abs=1e-9), where
        same(found.lrt_p, chi2.sf(found.lrt, expected["lrt_df"]), 1e-10, where)
        assert found.lrt_df == expected["lrt_df"]
        same(found.log_likelihood_unselected, expected["log_likelihood_without"], 1e-10, where)
        same(found.statistic, found.estimate / found.se, 1e-14, where)
        same(np.mean(found.ci), found.estimate, 1e-10, where)
        same(np.diff(found.ci)[0], 2 * norm.ppf(0.975) * found.se, 1e-10, where)


def test_derivatives_are_those_of_the_likelihood():
    X = np.column_stack([np.ones(5), N / 40])
    for steps in (Steps((0.025, 1.0)), Steps((0.025, 0.5, 1.0)), Steps((0.05, 0.3, 1.0), True)):
        m = len(steps.bounds) - 1
        model = Stepwise(Y, V, X, steps)
        point = np.array([0.2, 0.3, 0.05, *np.linspace(0.4, 1.3, m)])

        def value(theta, model=model):
            return model.at(theta[:2], theta[2], theta[3:]).value

        def slope(theta, model=model):
            return model.at(theta[:2], theta[2], theta[3:]).slope

        at = model.at(point[:2], point[2], point[3:])
        # Forward differences with steps of 1e-7: their error is of that size times a second
        # derivative, here up to some hundreds.
        np.testing.assert_allclose(
            at.slope, approx_fprime(point, value, 1e-7), rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(
            at.curvature, approx_fprime(point, slope, 1e-7), rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_the_likelihood_is_that_of_the_weighted_density(alternative):
    """log [w(p) N(y) / integral of w N], the integral by a fine sum over y."""
    two_sided, bounds, weights = alternative == "two-sided", (0.025, 0.5, 1.0), np.array([0.5, 0.2])
    turn = -1.0 if alternative == "less" else 1.0
    steps = Steps(bounds, two_sided)
    found = Stepwise(turn * Y, V, np.ones((5, 1)), steps).at(np.array([turn * 0.3]), 0.1, weights)
    every = np.array([1.0, *weights])

    def weight(y, v):
        z = turn * y / np.sqrt(v)
        p = 2 * norm.sf(abs(z)) if two_sided else norm.sf(z)
        return every[np.searchsorted(bounds, p)]

    grid = np.linspace(-12, 12, 400_001)
    expected = 0.0
    for y, v in zip(Y, V, strict=True):
        density = norm.pdf(grid, 0.3, np.sqrt(v + 0.1))
        mass = (weight(grid, v) * density).sum() * (grid[1] - grid[0])
        expected += np.log(weight(y, v) * norm.pdf(y, 0.3, np.sqrt(v + 0.1)) / mass)
    # A sum over steps of 6e-5 misplaces each of up to four cuts by up to a step, in five rows.
    assert found.value == pytest.approx(expected, abs=1e-3)


def test_equal_weights_are_no_selection():
    model = Stepwise(Y, V, np.ones((5, 1)), Steps((0.025, 1.0)))
    found = model.at(np.array([0.4]), 0.1, np.array([1.0])).value
    assert found == pytest.approx(norm.logpdf(Y, 0.4, np.sqrt(V + 0.1)).sum(), rel=1e-13)


def selected(seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """300 effects around 0.3, of which only a fifth without p < 0.025 are seen."""
    rng = np.random.default_rng(seed)
    v = rng.uniform(0.01, 0.2, 1500)
    y = rng.normal(0.3, np.sqrt(v + 0.04))
    seen = (norm.sf(y / np.sqrt(v)) < 0.025) | (rng.random(1500) < 0.2)
    return y[seen], v[seen]


def test_selection_is_undone():
    y, v = selected()
    naive, found = pool(y, v), selection_model(y, v)
    # Pooling is off by many standard errors; the model by fewer than three of its own.
    assert naive.estimate - 0.3 > 5 * naive.se
    assert abs(found.estimate - 0.3) < 3 * found.se
    assert abs(found.delta[1] - 0.2) < 3 * found.delta_se[1]
    assert abs(found.tau2 - 0.04) < 3 * found.tau2_se
    assert found.lrt_p < 1e-6


def test_selection_has_no_units_and_no_sides():
    y, v = selected()
    one = selection_model(y, v)
    other = selection_model(-1e4 * y, 1e8 * v)
    assert (one.alternative, other.alternative) == ("greater", "less")
    # Both are peaks to the digits that the likelihood's slope carries.
    assert other.estimate == pytest.approx(-1e4 * one.estimate, rel=1e-8)
    assert other.tau2 == pytest.approx(1e8 * one.tau2, rel=1e-7)
    np.testing.assert_allclose(other.delta, one.delta, rtol=1e-8)
    np.testing.assert_allclose(other.delta_se[1:], one.delta_se[1:], rtol=1e-7)
    assert other.se == pytest.approx(1e4 * one.se, rel=1e-7)
    # Densities are per unit.
    expected = one.log_likelihood - len(y) * np.log(1e4)
    assert other.log_likelihood == pytest.approx(expected, rel=1e-12)


def test_several_steps_and_moderators():
    y, v = selected()
    x = np.linspace(-1, 1, len(y))
    data = pd.DataFrame({"x": x})
    found = selection_model(y + 0.2 * x, v, "~ x", data=data, steps=(0.025, 0.5))
    assert list(found.table.index) == ["Intercept", "x"]
    # Around the truth, by its own standard errors.
    assert abs(found.beta[1] - 0.2) < 3 * found.table.loc["x", "se"]
    assert found.lrt_df == 2
    assert found.lrt_p == pytest.approx(chi2.sf(found.lrt, 2), rel=1e-10)
    table = found.weights_table
    assert list(table.index) == ["(0, 0.025]", "(0.025, 0.5]", "(0.5, 1]"]
    assert table["rows"].sum() == len(y)
    assert table["delta"].iloc[0] == 1
    assert table["se"].iloc[1:].gt(0).all()
    assert (table["ci_low"].iloc[1:] >= 0).all()
    assert "SelectionModel Intercept" in repr(found)
    assert found.estimate == found.table.loc["Intercept", "estimate"]
    assert (found.statistic, found.p) == tuple(found.table.loc["Intercept", ["statistic", "p"]])
    # Nested: a step more never lowers the likelihood.
    fewer = selection_model(y + 0.2 * x, v, "~ x", data=data)
    assert found.log_likelihood >= fewer.log_likelihood - 1e-9


def test_selection_without_heterogeneity_holds_tau2():
    y = np.array([0.3, 0.31, 0.29, 0.5, 0.2, 0.35, 0.15, 0.45])
    v = np.array([0.02, 0.02, 0.03, 0.05, 0.02, 0.01, 0.02, 0.04])
    found = selection_model(y, v)
    assert found.tau2 == 0
    assert found.tau2_se is None
    assert any("tau2 is estimated as 0" in note for note in found.notes)
    # At tau2 = 0 the information is that of the other two.
    at = Stepwise(y, v, np.ones((8, 1)), Steps((0.025, 1.0))).at(found.beta, 0.0, found.delta[1:])
    inner = np.linalg.inv(-at.curvature[np.ix_([0, 2], [0, 2])])
    assert found.se == pytest.approx(np.sqrt(inner[0, 0]), rel=1e-8)
    assert found.delta_se[1] == pytest.approx(np.sqrt(inner[1, 1]), rel=1e-8)
    assert at.slope[1] < 0
    # A peak: 1e-8 is far below what a standard error of some tenths shows.
    np.testing.assert_allclose(at.slope[[0, 2]], 0, atol=1e-8)


def test_selection_is_never_worse_than_none():
    """One huge study: at tau2 = 0 its density is a spike, and another peak lies far away."""
    found = selection_model([0.3, 2, -1, 0.8, 0.4], [1e-14, 0.1, 0.2, 0.1, 0.3])
    assert found.log_likelihood >= found.log_likelihood_unselected
    assert found.tau2 == 0
    assert found.estimate == pytest.approx(0.3, abs=1e-6)


def test_few_p_values_are_told():
    found = selection_model(Y, V)
    assert any("few p-values: 2 in (0, 0.025]" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": (0.5, 0.1)}, "each larger than the one before"),
        ({"steps": (0.0,)}, r"p-values in \(0, 1\)"),
        ({"steps": ()}, r"p-values in \(0, 1\)"),
        ({"steps": "a"}, "steps must be numbers"),
        ({"steps": (0.025, 1.5)}, r"p-values in \(0, 1\)"),
        ({"alternative": "up"}, "alternative = 'up' is unknown"),
        ({"alternative": "less"}, r"no p-value in \(0, 0.025\]"),
        ({"steps": (0.001, 0.002)}, r"no p-value in \(0.001, 0.002\]"),
        ({"effects": Y[:2], "v": V[:2]}, "2 rows cannot carry 3 parameters"),
        ({"effects": Y[:1], "v": V[:1]}, "one row: there is nothing"),
        ({"effects": [1.0] * 5}, r"no p-value in \(0.025, 1\]"),
        ({"formula": "~ dose"}, "no column 'dose'"),
        (
            {"formula": "~ a + b", "data": pd.DataFrame({"a": range(5), "b": range(5)})},
            "collinear: b follows from the other terms",
        ),
        ({"ci_prob": 2}, "ci_prob = 2"),
    ],
)
def test_selection_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        selection_model(**({"effects": Y, "v": V} | change))


def test_a_last_step_of_one_changes_nothing():
    y, v = selected()
    assert selection_model(y, v, steps=(0.025, 1)).steps == (0.025, 1.0)
    assert selection_model(y, v, steps=0.025).steps == (0.025, 1.0)


def test_all_take_effects():
    effects = smd()
    plain = effects.y, effects.v
    assert egger(effects).k == len(effects)
    assert pet_peese(effects).estimate == pet_peese(*plain).estimate
    assert trim_and_fill(effects).k0 == trim_and_fill(*plain).k0
    assert selection_model(effects).estimate == selection_model(*plain).estimate
