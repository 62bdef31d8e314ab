"""Rows beside their population: true effects against linear algebra, funnels by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, hand_fit, prior_fit
from helpers import arms
from scipy import stats

from bayesma.effects import effect_sizes
from bayesma.errors import QueryError
from bayesma.mean import VARIABLES
from bayesma.queries import (
    decay_curve,
    funnel_points,
    grid,
    population_effects,
    shrinkage,
    study_effects,
    summary,
)
from bayesma.spec import ModelSpec

Z = stats.norm.ppf(0.975)
SPEC = ModelSpec(peak="1 + (1 | study)", decay="none")
DRAWS = 40_000


def same_draws(spec, rows=EIGHT_ROWS, **values):
    """A fit of so many draws of the same parameters, so that what varies is the study effects."""
    many = {name: np.repeat([value], DRAWS, axis=0) for name, value in values.items()}
    return hand_fit(spec, rows, **many)


def conditional(y, v, mean, spread):
    """Mean and SD of theta given y = theta + e, theta ~ N(mean, spread), e ~ N(0, diag v)."""
    gain = spread @ np.linalg.inv(spread + np.diag(v))
    left = spread - gain @ spread
    return mean + gain @ (y - mean), np.sqrt(np.diag(left))


def belongs(codes):
    """Which rows share a group."""
    return (np.asarray(codes)[:, None] == np.asarray(codes)[None, :]).astype(float)


def test_true_effects_are_those_of_the_normal_model():
    found = shrinkage(same_draws(SPEC, level=[1.3], tau=0.6), seed=1)
    y, v = (EIGHT_ROWS[name].to_numpy() for name in ("y", "v"))
    mean, sd = conditional(y, v, np.full(8, 1.3), 0.36 * belongs(EIGHT_ROWS["study"]))
    # Monte Carlo: the median of 40,000 draws has a standard error of 1.25 sd / 200.
    error = 4 * 1.25 * sd / DRAWS**0.5
    np.testing.assert_array_less(np.abs(found["true"] - mean), error)
    # The 2.5% quantile has one of sqrt(0.025 x 0.975) / phi(1.96) = 2.67 sd / 200.
    for column, side in (("true_low", -Z), ("true_high", Z)):
        np.testing.assert_array_less(np.abs(found[column] - mean - side * sd), 2.2 * error)
    assert found["fitted"].tolist() == pytest.approx([1.3] * 8)
    np.testing.assert_allclose(found["low"], y - Z * np.sqrt(v), rtol=1e-12)
    np.testing.assert_allclose(found["high"], y + Z * np.sqrt(v), rtol=1e-12)
    assert found.attrs["shrinks"]


def test_nested_effects_and_a_mean_with_covariates():
    rows = EIGHT_ROWS.assign(experiment=list("aabcddee"))
    spec = ModelSpec(peak="regimen + (1 | study/experiment)", decay="none")
    fit = same_draws(spec, rows, level=[1.0, 0.5, -0.5], tau=0.7, tau_experiment=0.4)
    found = shrinkage(fit, seed=1)
    inner = belongs(rows["study"] + rows["experiment"])
    spread = 0.49 * belongs(rows["study"]) + 0.16 * inner
    # Terms: the average and the deviations of repeated and single, in this order.
    mean = np.where(rows["regimen"] == "repeated", 1.5, 0.5)
    np.testing.assert_allclose(found["fitted"], mean, rtol=1e-12)
    middle, sd = conditional(rows["y"].to_numpy(), rows["v"].to_numpy(), mean, spread)
    # As above: four standard errors of a median.
    error = 4 * 1.25 * sd / DRAWS**0.5
    np.testing.assert_array_less(np.abs(found["true"] - middle), error)
    assert found["regimen"].tolist() == rows["regimen"].tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {"population": "student"},
        {"heterogeneity": "proportional"},
        {"tau": "species"},
    ],
)
def test_a_row_differs_from_its_mean_by_its_study(changes):
    """One study a row: the true effect is the mean and the study's effect, draw by draw."""
    rows = EIGHT_ROWS.assign(study=EIGHT_ROWS["row_id"])
    fit = prior_fit(effect_sizes(rows), ModelSpec(peak="1 + (1 | study)", decay="none", **changes))
    effects = study_effects(fit, seed=3).values
    if "tau" in changes:  # a row's loading; its study's effect is stated at the average tau
        ratio = fit.posterior[VARIABLES["tau"]].values @ fit.design.tau_matrix.T
        assert np.ptp(ratio) > 0
        effects = effects * np.exp(ratio)
    level = fit.posterior["level"].values
    expected = np.median((level + effects).reshape(-1, 8), axis=0)
    # The same seed draws the same effects.
    np.testing.assert_allclose(shrinkage(fit, seed=3)["true"], expected, rtol=1e-10)


def test_pooled_rows_have_their_fitted_mean():
    fit = prior_fit("ketamine_pain")
    found = shrinkage(fit, seed=0)
    assert found["pooled"].all()
    assert not found.attrs["shrinks"]
    np.testing.assert_allclose(found["true"], found["fitted"], rtol=1e-12)
    assert found.set_index("name")["regimen"].to_dict() == {
        "MA1": "single",
        "MA2": "single",
        "MA3": "repeated",
        "MA4": "repeated",
    }
    assert found["delay"].tolist() == pytest.approx([1 / 32, 3.0, 0.0, 14.5])


def test_rows_of_one_label_are_told_apart_by_their_ids():
    rows = EIGHT_ROWS.assign(label=["A 2001"] * 2 + ["B 2002"] + [None] * 5)
    names = shrinkage(prior_fit(effect_sizes(rows), SPEC), seed=0)["name"].tolist()
    assert names[:3] == ["A 2001 · r0", "A 2001 · r1", "B 2002"]
    assert names[4:6] == ["C · r4", "C · r5"]
    assert len(set(names)) == 8


def test_populations_are_the_curve_at_the_reference_delay():
    spec = ModelSpec(peak="regimen + (1 | study)", half_life="regimen")
    fit = prior_fit(effect_sizes(EIGHT_ROWS), spec)
    found = population_effects(fit, seed=5).set_index("regimen")
    for (level,), reference in fit.design.references.items():
        at = grid(fit, regimen=level, delay=reference)
        mean = summary(decay_curve(fit, at)).iloc[0]
        new = summary(decay_curve(fit, at, study="new", seed=5)).iloc[0]
        expected = [reference, *mean[["median", "ci_low", "ci_high", "p_positive"]]]
        expected += [*new[["ci_low", "ci_high"]]]
        assert found.loc[level].tolist() == pytest.approx(expected)
    assert len(found) == 2


def test_without_heterogeneity_there_is_no_new_study():
    fit = prior_fit(effect_sizes(EIGHT_ROWS), ModelSpec(peak="regimen", decay="none"))
    found = population_effects(fit, "regimen", seed=0)
    assert found["new_low"].isna().all()
    assert found["regimen"].tolist() == ["repeated", "single"]
    with pytest.raises(QueryError, match=r"'species' is not a factor of this model; .*regimen"):
        population_effects(fit, "species", seed=0)


def test_a_funnel_of_a_plain_mean_is_of_effects_by_size():
    fit = prior_fit(effect_sizes(arms(12)), SPEC)
    found = funnel_points(fit)
    assert found["n"].tolist() == [18.0] * 12
    np.testing.assert_allclose(found["size"], 18**-0.5, rtol=1e-12)
    assert found["effect"].tolist() == found["y"].tolist()
    centre = float(np.median(fit.posterior["level"]))
    assert found.attrs == {
        "measure": "SMD",
        "of": "effect",
        "predictor": "1/sqrt(n)",
        "centre": pytest.approx(centre),
    }
    assert np.isnan(funnel_points(fit, fitted=False).attrs["centre"])


def test_a_funnel_of_a_mean_with_covariates_is_of_residuals():
    spec = ModelSpec(peak="regimen + (1 | study)", decay="none")
    fit = hand_fit(spec, level=[[1.0, 0.5, -0.5]], tau=[0.5])
    found = funnel_points(fit)
    fitted = np.where(EIGHT_ROWS["regimen"] == "repeated", 1.5, 0.5)
    np.testing.assert_allclose(found["effect"], EIGHT_ROWS["y"] - fitted, rtol=1e-12)
    assert (found.attrs["of"], found.attrs["centre"]) == ("residual", 0.0)
    # No n: the standard error is the size.
    assert found.attrs["predictor"] == "se"
    np.testing.assert_allclose(found["size"], 0.2**0.5, rtol=1e-12)


def test_a_funnel_of_pooled_rows_is_refused():
    with pytest.raises(QueryError, match="pooled result, which has no size of its own"):
        funnel_points(prior_fit("ketamine_pain"))


def test_one_unknown_size_makes_the_standard_error_the_size():
    rows = pd.DataFrame(
        {"study": list("abc"), "y": [1.0, 2, 3], "v": [0.1, 0.2, 0.3],
         "n_treated": [5, 6, np.nan], "n_control": [5, 6, 7]}
    )  # fmt: skip
    found = funnel_points(prior_fit(effect_sizes(rows), SPEC))
    assert found["n"].isna().tolist() == [False, False, True]
    assert found.attrs["predictor"] == "se"
