from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fits import EIGHT_ROWS, prior_fit
from scipy import integrate, stats

from bayesma.effects import effect_sizes
from bayesma.errors import QueryError
from bayesma.spec import ModelSpec
from bayesma.translation import (
    BayesianRule,
    ClassicalRule,
    NormalMixture,
    assurance,
    translate,
)

SIZE = 2000
# Equally likely values of a standard normal: a mean over them has no Monte Carlo error.
STANDARD = stats.norm.ppf((np.arange(SIZE) + 0.5) / SIZE)


@pytest.fixture(scope="module")
def scaffold():
    fit = prior_fit(
        effect_sizes(EIGHT_ROWS, measure="SMD"),
        ModelSpec(peak="regimen + (1 | study)", decay="none"),
        draws=100,
    )
    return translate(fit, species="rat", regimen=["single", "repeated"], draws=SIZE)


@pytest.fixture(scope="module")
def normal(scaffold):
    """True effects in a trial ~ N(0.1, 0.4^2) after single, N(0.6, 0.5^2) after repeated."""
    values = np.stack([0.1 + 0.4 * STANDARD, 0.6 + 0.5 * STANDARD], axis=-1)[None]
    return replace(
        scaffold, trial=scaffold.trial.copy(data=values), effect=scaffold.effect.copy(data=values)
    )


# -- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 10, 64, 500])
def test_classical_power_is_the_noncentral_t(n):
    theta = np.array([-1.0, 0.0, 0.2, 0.5, 1.0, 2.0])
    rule = ClassicalRule(0.05)
    with np.errstate(all="ignore"):  # scipy's own series underflows far out
        expected = stats.nct.sf(stats.t.ppf(0.975, 2 * n - 2), 2 * n - 2, theta * np.sqrt(n / 2))
    there = np.isfinite(expected)
    # Doubles; two decimals worse at n = 2, whose pooled SD is spread over decades.
    np.testing.assert_allclose(rule.power(theta, n)[there], expected[there], atol=1e-11)
    assert there.sum() >= 4
    assert rule.power(0.0, n) == pytest.approx(0.025, abs=1e-12)


def test_the_usual_trial_has_64_patients_per_arm():
    # Cohen 1988, table 2.4.1: d = 0.5, power 0.80, two-sided 0.05.
    assert ClassicalRule().power(0.5, 64) >= 0.8 > ClassicalRule().power(0.5, 63)


def test_infinite_effects_have_the_power_that_they_must():
    # Weights add to 1 but for the last bit.
    np.testing.assert_allclose(ClassicalRule().power([np.inf, -np.inf], 5), [1, 0], atol=1e-15)


PRIOR = NormalMixture([0.8, 0.2], [0.6, 0.0], [1.0, 1.4])


@pytest.mark.parametrize("prior", [None, PRIOR])
@pytest.mark.parametrize(
    ("t", "n", "margin"), [(2.3, 10, 0.1), (-0.5, 4, 0.0), (5.0, 50, 0.5), (40.0, 5, 0.2)]
)
def test_the_posterior_is_prior_times_noncentral_t(t, n, margin, prior):
    def joint(theta):
        density = 1.0 if prior is None else float(prior.density(theta))
        return stats.nct.pdf(t, 2 * n - 2, theta * np.sqrt(n / 2)) * density

    centre, width = t * np.sqrt(2 / n), 10 * np.sqrt(2 / n) * (1 + abs(t) / np.sqrt(n))
    edges = [centre - width, margin, centre + width]
    below, above = (
        integrate.quad(joint, low, high, epsabs=1e-12, limit=200)[0]
        for low, high in pairwise(edges)
    )
    found = BayesianRule(0.9, margin, prior).posterior(t, n)
    # The trapezoidal rule has panels of 1/80 of a standard error: its square, over 12.
    assert found == pytest.approx(above / (above + below), abs=1e-5)


def test_the_posterior_grows_with_t_so_that_success_starts_at_one_number():
    rule = BayesianRule(0.95, 0.2, PRIOR)
    at = np.linspace(-4, 12, 81)
    found = np.array([rule.posterior(t, 8) for t in at])
    assert (np.diff(found) > -1e-9).all()
    # Bisected to the last digits.
    assert rule.posterior(rule.critical(8), 8) == pytest.approx(0.95, abs=1e-6)


def test_with_many_patients_the_posterior_is_the_conjugate_one():
    n, g, rule = 5000, 0.11, BayesianRule(0.975, 0.05, NormalMixture([1], [0.3], [0.1]))
    conjugate = rule.prior.posterior(g, np.sqrt(2 / n + g**2 / (4 * n)))
    # The normal likelihood is off by terms of 1/n.
    assert rule.posterior(g * np.sqrt(n / 2), n) == pytest.approx(1 - conjugate.cdf(0.05), abs=1e-3)


def test_without_a_prior_or_margin_the_rules_all_but_agree_when_large():
    n = 2000
    # The flat posterior has no correction of small samples: of the order of 1/n.
    assert BayesianRule().critical(n) == pytest.approx(ClassicalRule().critical(n), abs=2e-3)
    np.testing.assert_allclose(
        BayesianRule().power([0, 0.1], n), ClassicalRule().power([0, 0.1], n), atol=1e-3
    )


def test_a_prior_that_no_small_trial_overcomes_gives_no_success():
    # So few patients that any t may be a small SD.
    rule = BayesianRule(0.975, 0.2, NormalMixture([1], [0.0], [0.3]))
    assert rule.critical(5) == np.inf
    assert rule.posterior(1e4, 5) < 0.975
    np.testing.assert_array_equal(rule.power([0, 5.0], 5), [0, 0])
    sure = BayesianRule(0.5, 0.0, NormalMixture([1], [1.0], [0.1]))
    assert sure.critical(3) == -np.inf
    np.testing.assert_array_equal(sure.power([-1.0], 3), [1])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ClassicalRule(5), "alpha = 5: a number between 0 and 1"),
        (
            lambda: BayesianRule(1.5, np.inf, 3),
            "(?s)probability = 1.5.*margin = inf.*prior = int: a NormalMixture",
        ),
        (lambda: ClassicalRule().power(0.5, 1), "n = 1: .*at least 2"),
        (lambda: BayesianRule().power(0.5, 10.5), "n = 10.5: a whole number"),
    ],
)
def test_rules_refuse_numbers_out_of_range(make, match):
    with pytest.raises(QueryError, match=match):
        make()


# -- assurance -----------------------------------------------------------------------------------


def test_assurance_has_a_closed_form_for_normal_effects_and_many_patients(normal):
    found = assurance(normal, n=[100, 400, 1600]).table
    mean = found["regimen"].map({"single": 0.1, "repeated": 0.6}).to_numpy(float)
    sd = found["regimen"].map({"single": 0.4, "repeated": 0.5}).to_numpy(float)
    v = 2 / found["n"].to_numpy(float)
    # Known SDs: g ~ N(theta, 2/n), success for g > 1.96 sqrt(2/n).
    expected = stats.norm.cdf((mean - 1.959964 * np.sqrt(v)) / np.sqrt(sd**2 + v))
    # t against z: t* is 1.972 at n = 100, which is 0.002 of an SMD where the density is 1; and
    # 2,000 values in place of a normal.
    np.testing.assert_allclose(found["assurance"], expected, atol=2e-3)
    np.testing.assert_allclose(found["ceiling"], stats.norm.cdf(mean / sd), atol=0.5 / SIZE + 1e-9)
    assert list(found["n"]) == [100, 400, 1600] * 2


def test_without_end_assurance_is_its_ceiling(normal):
    for rule in (ClassicalRule(), BayesianRule(0.9, 0.3, PRIOR)):
        found = assurance(normal, n=10**8, rule=rule).table
        # Within 1e-4 SMD of the margin the trial is still undecided.
        np.testing.assert_allclose(found["assurance"], found["ceiling"], atol=1e-3)
        assert (found["ceiling"] < 0.95).all()


def test_assurance_is_the_share_of_simulated_trials_that_succeed(normal):
    n, trials = 12, 40_000
    rng = np.random.default_rng(11)
    table = assurance(normal, n=n).table
    for number, row in table.iterrows():
        theta = rng.choice(normal.trial.values[0, :, number], trials)
        control = rng.standard_normal((n, trials))
        treated = theta + rng.standard_normal((n, trials))
        pooled = np.sqrt((treated.var(axis=0, ddof=1) + control.var(axis=0, ddof=1)) / 2)
        t = (treated.mean(axis=0) - control.mean(axis=0)) / (pooled * np.sqrt(2 / n))
        share = float((t > stats.t.ppf(0.975, 2 * n - 2)).mean())
        # Four standard errors of 40,000 trials.
        assert share == pytest.approx(row["assurance"], abs=4 * np.sqrt(0.25 / trials))


def test_power_at_the_median_and_the_monte_carlo_error_are_what_they_say(normal):
    found = assurance(normal, n=30).table
    theta = normal.trial.values[0]
    power = ClassicalRule().power(theta, 30)
    np.testing.assert_allclose(found["assurance"], power.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["mcse"], power.std(axis=0, ddof=1) / np.sqrt(SIZE), rtol=1e-12)
    np.testing.assert_allclose(
        found["power_at_median"], ClassicalRule().power([0.1, 0.6], 30), atol=1e-9
    )


def test_what_no_trial_reaches_is_said(normal):
    result = assurance(normal, n=[10, 2000])
    assert any("at 1 of 2 points no trial, however large" in note for note in result.notes)
    assert any("the highest ceiling is 0.8" in note for note in result.notes)
    assert any("power calculation with the median effect claims" in note for note in result.notes)
    assert "two-sided t test at 0.05" in str(result)
    other = assurance(replace(normal, updated=True, to="dog"), n=10)
    assert {"the trial is one in dog"} < set(other.notes)
    assert any("mcse is too small" in note for note in other.notes)


def test_assurance_refuses_all_that_is_wrong_at_once(normal):
    trial = normal.trial.copy()
    trial.attrs["measure"] = "MD"
    with pytest.raises(QueryError, match=r"(?s)measure MD.*n = \[1, 2\.5, True\].*rule = 'z'"):
        assurance(replace(normal, trial=trial), n=[10, 1, 2.5, True], rule="z")
    with pytest.raises(QueryError, match=r"n = \[\]"):
        assurance(normal, n=[])
