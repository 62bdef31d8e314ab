"""Prior predictive draws, against the prior's own distribution and the fit's own groups."""

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, prior_fit
from scipy import stats

import bayesma as bm
from bayesma.errors import QueryError, SpecError
from bayesma.measures import hedges_correction

ROWS = EIGHT_ROWS
FADING = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen", decay="exponential")


def expected(spec=FADING, rows=ROWS, **options):
    return bm.prior_predictive(bm.effect_sizes(rows, measure="SMD"), spec, seed=1, **options)


def test_replicates_have_the_priors_mean_and_spread():
    spec = bm.ModelSpec(
        peak="1 + (1 | study)",
        decay="none",
        priors={"peak": bm.priors.normal(1, 2), "tau": bm.priors.half_normal(1.5)},
    )
    n = 4000
    tree = expected(spec, draws=n)
    y = tree["prior_predictive"]["y"].values[0]
    assert y.shape == (n, 8)
    # Var(y) = 2^2 + E tau^2 + v = 4 + 1.5^2 + 0.2. Four standard errors of a mean of n draws (of
    # all rows at once: at most as uncertain as one row), and of a variance of tails no heavier
    # than those of kurtosis 4.
    variance = 4 + 1.5**2 + 0.2
    assert y.mean() == pytest.approx(1, abs=4 * np.sqrt(variance / n))
    assert y.var(axis=0).mean() == pytest.approx(variance, rel=4 * np.sqrt(3 / n))
    # Rows of one study share its effect and the mean: Cov = 4 + 1.5^2; of two studies 4.
    cov = np.cov(y.T)
    assert cov[0, 1] == pytest.approx(4 + 1.5**2, rel=4 * np.sqrt(3 / n))
    assert cov[0, 7] == pytest.approx(4, rel=8 * np.sqrt(3 / n))
    curve = tree["curves"]["effect"].values[0, :, 0]
    assert stats.kstest(curve, stats.norm(1, 2).cdf).pvalue > 1e-3
    new = tree["curves"]["new_study"].values[0, :, 0]
    assert new.var() == pytest.approx(4 + 1.5**2, rel=4 * np.sqrt(3 / n))


def test_curves_are_the_models_own_over_the_delays_seen():
    tree = expected(draws=50)
    curves, prior = tree["curves"].dataset, tree["prior"].dataset
    delays = curves["delay"].values
    single = curves["regimen"].values == "single"
    # The shortest and the longest delay of each cell, rounded by geomspace's powers.
    for inside, ends in ((single, (0.5, 4)), (~single, (3, 28))):
        found = delays[inside]
        np.testing.assert_allclose([found.min(), found.max()], ends, rtol=1e-12)
        assert len(found) == 60
    at = int(np.flatnonzero(single)[30])
    level = prior["level"].sel(level_term="Intercept") + prior["level"].sel(
        level_term="regimen[single]"
    )
    log2h = prior["log2_half_life"].sel(log2_half_life_term="Intercept") + prior[
        "log2_half_life"
    ].sel(log2_half_life_term="regimen[single]")
    # The reference delay of 'single' is its lower quartile, 0.5 d.
    by_hand = level * np.exp2(-(delays[at] - 0.5) / np.exp2(log2h))
    np.testing.assert_allclose(curves["effect"].values[..., at], by_hand.values, rtol=1e-10)


def test_rows_know_where_they_lie():
    tree = expected(draws=5)
    y = tree["observed_data"]["y"]
    np.testing.assert_array_equal(y.values, ROWS["y"])
    np.testing.assert_array_equal(y["delay"].values, ROWS["delay"])
    np.testing.assert_array_equal(y["regimen"].values, ROWS["regimen"])


def test_rows_are_in_the_sds_of_their_replicates():
    """Two rows beside one control: the exact likelihood, and so y_rep, has the SD of all arms."""
    rows = pd.DataFrame(
        {
            "study": ["A", "A", "B"],
            "control": ["c", "c", "d"],
            "mean_treated": [3.0, 4.0, 2.0],
            "sd_treated": [1.0, 2.0, 1.0],
            "n_treated": 6,
            "mean_control": [0.0, 0.0, 0.5],
            "sd_control": 1.0,
            "n_control": 6,
        }
    )
    effects = bm.effect_sizes(rows, shared_control="control")
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none")
    y = bm.prior_predictive(effects, spec, seed=1, draws=5)["observed_data"]["y"].values
    # 15 degrees of freedom, variance (5 + 20 + 5) / 15; roundings.
    own = hedges_correction(15) * np.array([3.0, 4.0]) / np.sqrt(2)
    np.testing.assert_allclose(y[:2], own, rtol=1e-12)


def test_delays_from_zero_are_even_up_to_the_first():
    rows = ROWS.assign(delay=[0, 1, 2, 4, 3, 7, 14, 28])
    delays = expected(rows=rows, draws=5)["curves"]["delay"].values
    single = np.sort(delays[delays <= 4.0001])
    assert single[0] == 0
    assert ((single > 0) & (single < 1)).sum() >= 8


def test_the_same_seed_gives_the_same_draws_and_another_others():
    effects = bm.effect_sizes(ROWS, measure="SMD")
    first, again, other = (
        bm.prior_predictive(effects, FADING, seed=s, draws=20) for s in (1, 1, 2)
    )
    for group in ("prior", "prior_predictive", "curves"):
        assert first[group].dataset.identical(again[group].dataset)
    assert not first["prior"].dataset.equals(other["prior"].dataset)


def test_priors_and_labels_are_those_of_a_fit():
    fit = prior_fit(bm.effect_sizes(ROWS, measure="SMD"), FADING, draws=10)
    tree = expected(draws=10)
    assert set(tree["prior"].data_vars) == set(fit.tree["prior"].data_vars)
    for name, array in tree["prior"].data_vars.items():
        assert array.dims == fit.tree["prior"][name].dims
    assert tree["prior_predictive"]["y"].dims == fit.tree["prior_predictive"]["y"].dims
    # Those in use: tau has no formula here, and so no contrast.
    assert tree.attrs["priors"] == (
        "peak ~ Normal(0, 5); peak_contrast ~ Normal(0, 2.5); half_life ~ Normal(0, 3); "
        "half_life_contrast ~ Normal(0, 3); tau ~ HalfNormal(2)"
    )


def test_a_shipped_model_of_pooled_rows_has_curves_and_no_new_study():
    tree = bm.prior_predictive("ketamine_pain", seed=3, draws=20)
    assert "new_study" not in tree["curves"]
    delay = tree["observed_data"]["delay"].to_series()
    assert list(delay.index) == ["MA1", "MA2", "MA3", "MA4"]
    assert delay["MA3"] == 0  # during the infusion, or the last of many doses
    assert set(tree["curves"]["regimen"].values) == {"single", "repeated"}


def test_effects_that_do_not_fade_are_shown_by_level():
    spec = bm.ModelSpec(peak="regimen + species + (1 | study)", decay="none")
    curves = expected(spec, draws=5)["curves"]
    assert list(curves["regimen"].values) == ["repeated", "single"]
    assert "delay" not in curves.coords


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda e: bm.prior_predictive(e, FADING, seed=1, draws=0), QueryError, "draws = 0"),
        (lambda e: bm.prior_predictive(e, FADING, seed=1, draws=9.5), QueryError, "draws = 9.5"),
        (lambda e: bm.prior_predictive(e, seed=1), SpecError, "prior_predictive.. needs a spec"),
        (
            lambda e: bm.prior_predictive(pd.DataFrame(), FADING, seed=1),
            SpecError,
            "a model needs effects, not a DataFrame",
        ),
    ],
)
def test_what_cannot_be_foreseen_is_refused(ask, error, message):
    with pytest.raises(error, match=message):
        ask(bm.effect_sizes(ROWS, measure="SMD"))
