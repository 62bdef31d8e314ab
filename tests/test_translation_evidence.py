"""Human evidence against closed forms: fits of constant draws leave only what is normal."""

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, hand_fit, prior_fit
from scipy import integrate, stats

import bayesma as bm
from bayesma.effects import effect_sizes
from bayesma.errors import ExtrapolationWarning, QueryError, TableError
from bayesma.priors import HalfNormal, Normal
from bayesma.translation import Assumptions, HumanEvidence, human_evidence, translate
from bayesma.translation.pathway.asked import prediction_at, question
from bayesma.translation.pathway.innovations import innovations
from bayesma.translation.people.updating import confronted
from bayesma.translation.people.weighing import sampling_covariance, weighed

LEVEL, TAU = 1.0, 0.4
MEAN, SD = 0.2, 0.8
# Delta alone is in doubt: no species, no scaling, no failure to translate.
PLAIN = Assumptions(
    discrepancy=Normal(MEAN, SD), between_species=None, no_translation=0.0, no_scaling=1.0
)
# 25 times as many are proposed: 100,000.
DRAWS = 4_000
ROOT = DRAWS**0.5
# Kolmogorov's statistic of n right draws exceeds 1.63 / sqrt(n) once in a hundred times.
KOLMOGOROV = 1.63


def certain(spec, **draws):
    """A fit of one draw, which no diagnostic is asked about."""
    fit = hand_fit(spec, **draws)
    fit.__dict__["_convergence"] = []
    return fit


def flat():
    """A fit whose mean is 1 at every delay, tau 0.4."""
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none")
    return certain(spec, level=[[LEVEL]], tau=[TAU])


def fading(half_life=1.0):
    """Level 2 at the lower quartile of the delays, half-life in days; both regimens alike."""
    return certain(
        bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen"),
        level=[[2.0, 0.0, 0.0]],
        log2_half_life=[[np.log2(half_life), 0.0, 0.0]],
        tau=[TAU],
    )


def effects(**columns):
    base = {"study": "A", "y": [2.0], "se": 0.3}
    return pd.DataFrame(base | columns)


def ask(fit, human, given=PLAIN, **more):
    return translate(fit, species="rat", human=human, assumptions=given, draws=DRAWS, **more)


# -- positions -------------------------------------------------------------------------------------


def test_the_position_of_an_effect_is_a_normal_probability():
    found = ask(flat(), effects(), update=False).positions.iloc[0]
    # The prediction has delta, the trial's own deviation and the sampling error in it.
    sd = np.sqrt(SD**2 + TAU**2 + 0.3**2)
    expected = stats.norm.cdf((2 - LEVEL - MEAN) / sd)
    assert found["position"] == pytest.approx(expected, rel=1e-12)  # all draws are alike
    assert found["conflict_p"] == pytest.approx(2 * (1 - expected), rel=1e-12)
    # 100,000 draws: the SE of a 2.5% quantile is 2.7 / sqrt(100000) SD = 0.0085 SD.
    assert found["predicted"] == pytest.approx(LEVEL + MEAN, abs=5 * 0.004 * sd)
    assert found["pred_low"] == pytest.approx(LEVEL + MEAN - 1.96 * sd, abs=5 * 0.0085 * sd)
    assert found["pred_high"] == pytest.approx(LEVEL + MEAN + 1.96 * sd, abs=5 * 0.0085 * sd)
    assert found["observed"] == 2
    assert found["obs_low"] == pytest.approx(2 - 1.959964 * 0.3, abs=1e-6)  # digits of 1.96


def test_the_position_of_a_half_life_is_on_the_log():
    human = pd.DataFrame(
        {"study": "D", "quantity": "half_life", "regimen": "single", "y": ["48 h"], "se": ["12 h"]}
    )
    given = Assumptions(no_scaling=0.0, between_species=None)
    found = ask(fading(), human, given, delay=1, regimen="single", update=False).positions.iloc[0]
    stretch = np.log(60 / 0.15)
    mean, sd = 0.26 * stretch, np.hypot(0.16 * stretch, 12 / 48)
    # 100,000 draws of b: the SE of a share is at most 0.5 / sqrt(100000) = 0.0016.
    expected = stats.norm.cdf((np.log(2) - mean) / sd)
    assert found["position"] == pytest.approx(expected, abs=4 * 0.0016)
    assert found["observed"] == pytest.approx(2, rel=1e-12)
    assert found["obs_high"] == pytest.approx(2 * np.exp(1.959964 / 4), rel=1e-6)
    # On the log; SE of the quantiles as above.
    assert np.log(found["predicted"]) == pytest.approx(mean, abs=5 * 0.004 * sd)
    assert np.log(found["pred_low"]) == pytest.approx(mean - 1.96 * sd, abs=5 * 0.0085 * sd)


def test_an_effect_averaged_over_time_is_compared_with_the_average():
    # The reference delay of single is 0.875 d, the lower quartile of 0.5, 1, 2 and 4.
    fit = fading(2.0)
    reference = fit.design.references[("single",)]
    human = effects(regimen="single", start=0, delay=["35 d"])
    with pytest.warns(ExtrapolationWarning, match=r"^1 of 1 human results reach outside"):
        found = ask(fit, human, delay=1, regimen="single", update=False).positions.iloc[0]
    mean = integrate.quad(lambda t: 2 * 2 ** (-(t - reference) / 2), 0, 35)[0] / 35
    sd = np.sqrt(SD**2 + TAU**2 + 0.3**2)
    expected = stats.norm.cdf((2 - mean - MEAN) / sd)
    assert found["position"] == pytest.approx(expected, rel=1e-9)  # quadrature's own accuracy
    assert (found["start"], found["delay"]) == (0, 35)


def test_a_row_without_an_interval_has_a_position_and_updates_nothing():
    fit = flat()
    alone = effects(se=[None])
    held = ask(fit, alone)
    assert held.positions["position"].iloc[0] == pytest.approx(
        stats.norm.cdf((2 - LEVEL - MEAN) / np.hypot(SD, TAU)), rel=1e-12
    )
    assert "human evidence: no row has an interval, so nothing is updated" in held.notes
    np.testing.assert_array_equal(held.effect.values, ask(fit, None).effect.values)
    both = effects(y=[2.0, 9.0], se=[0.3, None], study=["A", "B"])
    found = ask(fit, both)
    np.testing.assert_array_equal(found.effect.values, ask(fit, effects()).effect.values)
    said = "no interval: it has a position, and updates nothing: 1 of 2 rows (1)"
    assert any(said in note for note in found.notes)


def test_half_of_what_is_exactly_as_predicted_lies_below():
    human = pd.DataFrame(
        {"study": "D", "quantity": "half_life", "regimen": "single", "y": [2.0], "unit": "d"}
    )
    found = ask(fading(2.0), human, delay=1, regimen="single", update=False)
    assert found.positions["position"].iloc[0] == 0.5


# -- the update of delta ---------------------------------------------------------------------------


def conjugate(y, error):
    """Posterior mean and SD of delta, by the textbook."""
    precision = 1 / SD**2 + 1 / error**2
    return (MEAN / SD**2 + (y - LEVEL) / error**2) / precision, precision**-0.5


def test_delta_is_updated_as_a_normal_mean():
    found = ask(flat(), effects())
    mean, sd = conjugate(2.0, np.hypot(TAU, 0.3))
    effect = found.effect.values.ravel()
    # The weights are alike, so that the draws are independent: SE of the mean sd / ROOT.
    assert effect.mean() == pytest.approx(LEVEL + mean, abs=4 * sd / ROOT)
    assert effect.std() == pytest.approx(sd, abs=4 * sd / (1.41 * ROOT))
    distance = stats.kstest(effect, stats.norm(LEVEL + mean, sd).cdf).statistic
    assert distance < KOLMOGOROV / ROOT
    assert found.updated
    assert found.effect.attrs["estimand"].endswith("from animals and human evidence (SMD)")


def test_a_new_trial_is_none_of_those_seen():
    fit = flat()
    found, without = ask(fit, effects()), ask(fit, None)
    own = (found.trial - found.effect).values.ravel()
    # As many different draws as without evidence, and the same: tau is known here.
    before = (without.trial - without.effect).values.ravel()
    np.testing.assert_allclose(own, before, atol=1e-12)  # the effects differ, so rounding does
    assert own.std() == pytest.approx(TAU, abs=4 * TAU / (1.41 * ROOT))  # SE of an SD
    together = np.corrcoef(own, found.effect.values.ravel())[0, 1]
    assert abs(together) < 4 / ROOT  # SE of a correlation of nothing


def test_held_out_evidence_leaves_the_draws_as_they_are():
    fit = flat()
    without, held = ask(fit, None), ask(fit, effects(), update=False)
    np.testing.assert_array_equal(held.effect.values, without.effect.values)
    np.testing.assert_array_equal(held.trial.values, without.trial.values)
    assert not held.updated
    assert held.positions is not None
    assert without.positions is None
    assert "human evidence: held out, so that it moves nothing" in held.notes


def test_the_same_seed_gives_the_same_update():
    fit = flat()
    one, two, other = (ask(fit, effects(), seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.effect.values, two.effect.values)
    pd.testing.assert_frame_equal(one.positions, two.positions)
    assert not np.array_equal(one.effect.values, other.effect.values)


def test_two_results_of_one_trial_share_its_deviation_and_their_errors():
    human = effects(y=[2.0, 1.4, 0.1], se=[0.3, 0.5, 0.4], study=["A", "A", "B"])
    found = ask(flat(), human).effect.values.ravel()
    errors = np.array([0.3, 0.5, 0.4])
    covariance = np.diag(errors**2)
    covariance[0, 1] = covariance[1, 0] = 0.5 * 0.3 * 0.5
    covariance[:2, :2] += TAU**2
    covariance[2, 2] += TAU**2
    one = np.ones(3)
    solved = np.linalg.solve(covariance, np.column_stack([one, np.array([2.0, 1.4, 0.1]) - LEVEL]))
    precision = 1 / SD**2 + one @ solved[:, 0]
    mean, sd = (MEAN / SD**2 + one @ solved[:, 1]) / precision, precision**-0.5
    assert found.mean() == pytest.approx(LEVEL + mean, abs=4 * sd / ROOT)  # SE of independent draws
    assert found.std() == pytest.approx(sd, abs=4 * sd / (1.41 * ROOT))
    apart = ask(flat(), human.assign(study=["A", "C", "B"])).effect.values
    # One trial says less than two: the deviation is common to its rows.
    assert apart.std() < sd - 8 * sd / (1.41 * ROOT)


def test_weights_are_the_normal_density_of_all_results():
    rng = np.random.default_rng(8)
    study = np.array([0, 0, 1, 0, 1])
    spread = rng.uniform(0.1, 0.5, 5)
    residual, loading = rng.normal(size=(4, 5)), rng.uniform(0.2, 1, (4, 5))
    own, scale = rng.uniform(0.1, 0.9, (4, 5)), 0.7
    errors = sampling_covariance(spread, study, 0.3)
    found = weighed(residual, loading, own, errors, study, scale)
    for i in range(4):
        # The joint normal of z, two trials' standard deviates and the results, written out.
        trials = (study[:, None] == np.arange(2)) * own[i][:, None]
        map_ = np.column_stack([scale * loading[i], trials])
        noise = np.array(
            [
                [(spread[a] * spread[b]) * (1 if a == b else 0.3 * (study[a] == study[b]))]
                for a in range(5)
                for b in range(5)
            ]
        ).reshape(5, 5)
        total = map_ @ map_.T + noise
        expected = stats.multivariate_normal(np.zeros(5), total).logpdf(residual[i])
        assert found.log_likelihood[i] == pytest.approx(expected, rel=1e-10)  # two factorisations
        across = map_[:, 0]
        assert found.mean[i] == pytest.approx(across @ np.linalg.solve(total, residual[i]))
        assert found.variance[i] == pytest.approx(1 - across @ np.linalg.solve(total, across))


def test_what_is_out_of_reach_has_no_weight_and_breaks_nothing():
    residual = np.array([[0.1, 0.2], [np.inf, 0.2], [np.nan, 0.0], [1e30, 0.0], [0.0, 0.0]])
    own = np.array([[0.1, 0.1]] * 4 + [[np.inf, 1.0]])
    errors = np.diag([0.04, 0.09])
    found = weighed(residual, np.ones((5, 2)), own, errors, np.array([0, 1]), 1.0)
    assert np.isfinite(found.log_likelihood).tolist() == [True, False, False, False, False]
    nothing = weighed(np.empty((3, 0)), np.empty((3, 0)), np.empty((3, 0)), errors, study_of(0), 1)
    assert nothing.log_likelihood.tolist() == [0, 0, 0]


def study_of(count):
    return np.zeros(count, dtype=np.int64)


def test_without_delta_its_part_stays_where_it_was():
    given = Assumptions(discrepancy=None, between_species=None, no_translation=0.0, no_scaling=1.0)
    found = ask(flat(), effects(), given)
    assert np.unique(found.effect.values).tolist() == [LEVEL]
    sd = np.hypot(TAU, 0.3)
    expected = stats.norm.cdf((2 - LEVEL) / sd)
    assert found.positions["position"].iloc[0] == pytest.approx(expected, rel=1e-12)


# -- the update of the rest ------------------------------------------------------------------------


def updated(fit, human, given, draws=DRAWS, **more):
    """Innovations given the evidence, and what was said."""
    asked = question(fit, "human", None, "rat", given, None)
    drawn = innovations(draws, np.random.default_rng(0))
    return confronted(asked, human, drawn, True, 0, **more)


def test_whether_the_effect_translates_is_updated_by_bayes():
    given = Assumptions(
        discrepancy=Normal(0, 0.5), between_species=None, no_translation=0.4, no_scaling=1.0
    )
    found, told = updated(flat(), effects(y=[1.6]), given)
    sd = np.sqrt(0.5**2 + TAU**2 + 0.3**2)
    none, all_ = 0.4 * stats.norm.pdf(1.6 / sd), 0.6 * stats.norm.pdf((1.6 - LEVEL) / sd)
    expected = none / (none + all_)
    share = (found.parts["no translation"] < 0.4).mean()
    # Systematic resampling of 100,000 weighted proposals: the SE is that of the proposals.
    assert share == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(50_000))
    assert f"P(no translation) {share:.2f}, from 0.40" in told.notes[-1]


def test_b_is_updated_by_half_lives_the_spike_included():
    human = pd.DataFrame(
        {
            "study": "Dahan",
            "quantity": "half_life",
            "regimen": "repeated",
            "y": ["10.9 d"],
            "ci_low": ["5.3 d"],
            "ci_high": ["20.5 d"],
        }
    )
    given = Assumptions(between_species=None)
    found = ask(fading(), human, given, delay=7, regimen="repeated")
    stretch, s = np.log(60 / 0.15), np.log(20.5 / 5.3) / (2 * 1.959964)
    at = np.log(10.9)

    def density(b):
        return stats.norm.pdf(at, b * stretch, s) * stats.norm.pdf(b, 0.26, 0.16)

    spike = 0.5 * stats.norm.pdf(at, 0, s)
    slab = 0.5 * integrate.quad(density, -1, 2, epsabs=1e-12)[0]
    mean = 0.5 * integrate.quad(lambda b: b * density(b), -1, 2, epsabs=1e-12)[0] / slab
    half = found.half_life.values.ravel()
    never = (half == 1.0).mean()
    # Some 30,000 of 100,000 proposals count: SE of a share 0.5 / sqrt(30000) = 0.003 at most.
    assert never == pytest.approx(spike / (spike + slab), abs=4 * 0.003)
    b = np.log(half[half != 1.0]) / stretch
    # Posterior SD of b about 0.055, of 4,000 draws: SE 0.0009.
    assert b.mean() == pytest.approx(mean, abs=4 * 0.0009)
    assert spike / (spike + slab) < 0.001  # what was 0.5; the odds are told by data alone
    assert "P(no translation) 0.33, from 0.33" in found.notes[-1]


def test_a_half_life_as_in_animals_speaks_for_no_scaling():
    human = pd.DataFrame(
        {"study": "D", "quantity": "half_life", "regimen": "single", "y": [1.0], "unit": "d"}
    ).assign(se=0.2)
    found, _ = updated(fading(), human, Assumptions(between_species=None))
    stretch = np.log(60 / 0.15)
    spike = stats.norm.pdf(0, 0, 0.2)
    slab = stats.norm.pdf(0, 0.26 * stretch, np.hypot(0.2, 0.16 * stretch))
    share = (found.parts["scaling"][:, 0] < 0.5).mean()
    # About half of 100,000 proposals have b = 0 and count alike: SE 0.5 / sqrt(50000).
    assert share == pytest.approx(spike / (spike + slab), abs=4 * 0.0022)


def test_trials_that_contradict_each_other_raise_tau():
    given = Assumptions(
        discrepancy=Normal(0, 0.5),
        between_species=None,
        no_translation=0.0,
        between_trials=HalfNormal(0.5),
    )
    human = effects(y=[0.2, 2.4], se=[0.1, 0.1], study=["A", "B"])
    found = ask(flat(), human, given)
    # The stated tau has these 64 equally likely values.
    taus = stats.halfnorm(scale=0.5).ppf((np.arange(64) + 0.5) / 64)
    weights = []
    for tau in taus:
        total = np.eye(2) * (0.01 + tau**2) + 0.25
        weights.append(stats.multivariate_normal([1, 1], total).pdf([0.2, 2.4]))
    weights = np.array(weights) / np.sum(weights)
    own = (found.trial - found.effect).values.ravel()
    expected = np.sqrt(weights @ taus**2)
    # SE of an SD, somewhat more for unequal taus.
    assert own.std() == pytest.approx(expected, abs=6 * expected / (1.41 * ROOT))
    assert expected > 0.85  # 0.5 before


def test_studies_of_student_t_effects_have_a_precision_each():
    fit = certain(
        bm.ModelSpec(peak="1 + (1 | study)", decay="none", population="student"),
        level=[[LEVEL]],
        tau=[TAU],
        nu=[3.0],
    )
    asked = question(fit, "human", None, "rat", PLAIN, None)
    prediction, _ = prediction_at(asked, [pd.DataFrame(index=range(1))])
    own = prediction(innovations(DRAWS, np.random.default_rng(5))).deviation[:, 0] / TAU
    assert stats.kstest(own, stats.t(3).cdf).statistic < KOLMOGOROV / ROOT

    grid = np.linspace(-3, 4, 281)
    # The trapezoidal rule on steps of a 15th of the narrower density, far beyond the wider.
    z = np.linspace(-80, 80, 3201)
    tail = stats.t.pdf(z, 3)

    def likelihood(y):
        return stats.norm.pdf(y - LEVEL - grid[:, None] - TAU * z, 0, 0.3) @ tail

    # One trial lies far out: with one precision for both it would drag the other along.
    density = stats.norm.pdf(grid, MEAN, SD) * likelihood(1.0) * likelihood(5.0)
    density /= density.sum()
    mean = density @ grid
    sd = np.sqrt(density @ grid**2 - mean**2)
    human = effects(y=[1.0, 5.0], se=[0.3, 0.3], study=["A", "B"])
    found = ask(fit, human).effect.values.ravel()
    # Far fewer of the 100,000 proposals count, some 5,000: no fewer than are drawn.
    assert found.mean() == pytest.approx(LEVEL + mean, abs=5 * sd / ROOT)
    assert found.std() == pytest.approx(sd, abs=5 * sd / ROOT)


def test_evidence_that_few_draws_reach_says_so():
    human = pd.DataFrame(
        {"study": "D", "quantity": "half_life", "regimen": "single", "y": [1e7], "unit": "d"}
    ).assign(se=1e3)
    found = ask(fading(), human, Assumptions(between_species=None), delay=1, regimen="single")
    assert any("rests on few draws and is not to be trusted" in note for note in found.notes)
    assert found.positions["conflict_p"].iloc[0] < 0.001


def test_enough_draws_are_told_in_numbers():
    (note,) = [note for note in ask(flat(), effects()).notes if "updated by" in note]
    assert note.startswith(
        "human evidence: updated by 1 numbers; 100000 proposals are worth 100000"
    )


def test_evidence_no_draw_comes_near_is_refused():
    given = Assumptions(discrepancy=None, between_species=None, no_translation=0.0)
    with pytest.raises(QueryError, match=r"0 of 100000 draws .* come anywhere near it"):
        ask(flat(), effects(y=[1e9], se=1e-4), given)


# -- doses and warnings ----------------------------------------------------------------------------


def test_each_row_has_its_own_dose():
    fit = certain(
        bm.ModelSpec(peak="dose + (1 | study)", decay="none"), level=[[0.5, 0.1]], tau=[TAU]
    )
    given = Assumptions(discrepancy=None, between_species=None, no_translation=0.0, dose_spread=0.0)
    human = effects(y=[1.0, 1.0], se=0.3, study=["A", "B"], dose=["0.2 mg/kg", "600 ug/kg"])
    found = ask(fit, human, given, dose=0.5, update=False).positions
    # Km 37 of people and 6 of rats: 0.2 mg/kg is 1.2333 mg/kg in a rat. The rows' mean is 2.5.
    means = 0.5 + 0.1 * (np.array([0.2, 0.6]) * 37 / 6 - 2.5)
    expected = stats.norm.cdf((1 - means) / np.hypot(TAU, 0.3))
    np.testing.assert_allclose(found["position"], expected, rtol=1e-10)  # some logs and powers
    assert found["dose"].tolist() == pytest.approx([0.2, 0.6])
    with pytest.raises(TableError, match=r"row 1, column 'dose': '3 mg' a positive dose in mg/kg"):
        ask(fit, human.assign(dose=["0.2 mg/kg", "3 mg"]), given, dose=0.5)


def test_the_warning_of_delays_beyond_the_data_comes_once():
    human = effects(y=[1.0, 1.0, 0.5], study=["A", "A", "B"], regimen="single", delay=[1, 90, 35])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ask(fading(), human, delay=1, regimen="single")
    (only,) = [one for one in caught if one.category is ExtrapolationWarning]
    assert str(only.message).startswith("2 of 3 human results reach outside the delays of the data")
    # An average from 0 begins before 0.5 d, the first delay of single.
    average = effects(regimen="single", start=0, delay=2)
    with pytest.warns(ExtrapolationWarning, match=r"^1 of 1 human results reach outside"):
        ask(fading(), average, delay=1, regimen="single")


# -- reading ---------------------------------------------------------------------------------------


def test_half_lives_are_read_in_days_whatever_their_unit():
    told = human_evidence(
        pd.DataFrame(
            {
                "study": list("ABCD"),
                "quantity": "half_life",
                "y": ["10.9 d", "2 h", 3, 1],
                "unit": [None, None, "h", "wk"],
                "se": ["4 d", None, "1 h", 0.5],
                "ci_low": ["5.3 d", None, None, None],
                "ci_high": ["20.5 d", None, None, None],
            }
        )
    )
    assert isinstance(told, HumanEvidence)
    assert told.frame["y"].tolist() == pytest.approx([10.9, 2 / 24, 3 / 24, 7])
    expected = [np.log(20.5 / 5.3) / 3.919928, np.nan, 1 / 3, 0.5]
    np.testing.assert_allclose(told.frame["spread"], expected, rtol=1e-6)  # digits of 1.96
    assert told.notes == (
        "human evidence: no interval: it has a position, and updates nothing: 1 of 4 rows (1)",
    )


def test_the_unit_of_a_half_life_may_stand_in_its_text_alone():
    frame = pd.DataFrame(
        {"study": ["A"], "quantity": "half_life", "y": "48 h", "ci_low": 24, "ci_high": 96}
    )
    told = human_evidence(frame).frame.iloc[0]
    assert (told["y"], told["ci_low"], told["ci_high"]) == pytest.approx((2, 1, 4))


def test_another_scale_enters_by_its_stated_sd_and_direction():
    frame = pd.DataFrame(
        {
            "study": ["A", "B", "C"],
            "y": [-1.5, -2.0, 0.4],
            "ci_low": [-2.5, None, None],
            "ci_high": [-0.5, None, None],
            "se": [None, 0.4, 0.1],
            "unit": ["pain 0-10", "pain 0-10", "SMD"],
            "direction": [-1, -1, 1],
        }
    )
    told = human_evidence(frame, sd={"A": 2.0, "B": 2.5})
    assert told.frame["y"].tolist() == pytest.approx([0.75, 0.8, 0.4])
    assert told.frame["ci_low"].iloc[0] == pytest.approx(0.25)
    assert told.frame["ci_high"].iloc[0] == pytest.approx(1.25)
    # (2.5 - 0.5) / 2 / 1.96 / 2 for the first; the others are as given, one of them divided.
    assert told.frame["spread"].tolist() == pytest.approx([0.5 / 1.959964, 0.16, 0.1])
    assert "human evidence: divided by a stated SD (2, 2.5): 2 of 3 rows (0, 1)" in told.notes
    turned = (
        "human evidence: direction -1, turned so that a benefit is positive: 2 of 3 rows (0, 1)"
    )
    assert turned in told.notes
    # A column goes before the argument; variances are divided by the square.
    own = frame.assign(sd=[3.0, 3.0, None], v=[None, 0.09, None], se=None)
    told = human_evidence(own, sd=2.0).frame
    assert told["y"].tolist() == pytest.approx([0.5, 2 / 3, 0.4])
    assert told["spread"].tolist()[1] == pytest.approx(0.1)


def test_what_looks_like_a_slip_is_noted():
    frame = effects(y=[2.0, 2.0], ci_low=[1.0, 1.4], ci_high=[3.0, 2.6], row_id=["a", "b"])
    told = human_evidence(frame, sd=2.0)
    # 1 / 1.96 = 0.51 against 0.3; 0.6 / 1.96 = 0.306 agrees.
    said = (
        "human evidence: se and interval disagree by more than a fifth, se is used: 1 of 2 rows (a)"
    )
    assert said in told.notes
    assert told.frame["spread"].tolist() == [0.3, 0.3]
    assert "human evidence: sd= is given, and no row is on another scale" in told.notes
    unnamed = (
        "human evidence: no unit, taken as an effect in the fit's own measure: 2 of 2 rows (a, b)"
    )
    assert unnamed in told.notes
    words = human_evidence(effects(y=[2.0, 1.0], se=[0.3, "not reported"]))
    assert "human evidence: se: 1 of 2 cells missing, 1 of them 'not reported'" in words.notes


def test_every_fault_is_told_at_once():
    frame = pd.DataFrame(
        {
            "study": ["A", "B", "C", "D", None, "F", "G", "H", "I"],
            "quantity": ["effect", "halflife", "half_life", "half_life"] + ["effect"] * 5,
            "y": [None, 1, 2, "3 h", 1, 1, 0.5, 1, 1],
            "se": [0.1, 0.1, None, None, -0.2, 0.1, None, None, 0.1],
            "ci_low": [None, None, None, None, None, None, 2, 0.5, None],
            "ci_high": [None, None, None, None, None, None, 1, None, None],
            "unit": ["SMD", "SMD", None, "d", "SMD", "score", "SMD", "SMD", "SMD"],
            "delay": [1, 1, None, None, 1, 1, 1, 1, 1],
            "start": [None, None, None, None, None, None, None, None, 2],
        },
        index=range(11, 20),
    )
    with pytest.raises(TableError, match="is missing") as caught:
        human_evidence(frame)
    assert str(caught.value).splitlines() == [
        "DataFrame, row 11, column 'y': is missing; fill it in, or leave the row out",
        "DataFrame, row 12, column 'quantity': 'halflife' is not one of its levels; "
        "use 'effect', 'half_life'",
        "DataFrame, row 13, column 'y': '2' is a half-life in no unit; "
        "write h, d or wk in a column unit, or y as '10.9 d'",
        "DataFrame, row 14, column 'y': '3 h' names a unit, and column unit another, 'd'; "
        "keep one of them",
        "DataFrame, row 15, column 'study': is missing; fill it in",
        "DataFrame, row 15, column 'se': '-0.2' is too small; standard error of y must be above 0",
        "DataFrame, row 16, column 'sd': is needed: y is in 'score'; "
        "state the SD of that scale: a column sd, or bm.human_evidence(table, sd=...)",
        "DataFrame, row 17, column 'ci_low': '2.0' is not below ci_high; swap or correct them",
        "DataFrame, row 18, column 'ci_low': '0.5' comes without ci_high; give both ends, or se",
        "DataFrame, row 19, column 'start': '2.0' is not before the delay; "
        "correct one of them, or empty start",
    ]


def test_faults_that_only_a_fit_knows_come_with_the_others():
    human = pd.DataFrame(
        {
            "study": ["A", "B", "C", "D", "E"],
            "y": [1, 1, 1, 1, 1],
            "se": [0, 0.1, 0.1, 0.1, 0.1],
            "regimen": ["single", "infusion", None, "single", "single"],
            "delay": [1, 1, 1, None, 1],
            "unit": ["SMD", "SMD", "SMD", "SMD", "ROM"],
        }
    )
    with pytest.raises(TableError, match="infusion") as caught:
        ask(fading(), human, delay=1, regimen="single")
    assert str(caught.value).splitlines() == [
        "DataFrame, row 0, column 'se': '0.0' is too small; standard error of y must be above 0",
        "DataFrame, row 1, column 'regimen': 'infusion' is not in the data; "
        "known: repeated, single; recode it",
        "DataFrame, row 2, column 'regimen': is missing; fill it in: the model needs it",
        "DataFrame, row 3, column 'delay': is missing; fill it in: the effect fades",
        "DataFrame, row 4, column 'unit': 'ROM' is not the measure of the fit, SMD; "
        "state its SD: a column sd, or bm.human_evidence(table, sd=...)",
    ]


def test_rows_that_lack_something_may_be_left_out_and_are_counted():
    frame = effects(
        y=[2.0, 1.0, 1.0, None],
        study=["A", "B", "C", "D"],
        regimen=["single", None, "single", "single"],
        delay=[1, 1, None, 1],
    )
    with pytest.raises(TableError, match="is missing"):
        human_evidence(frame)
    told = human_evidence(frame, unusable="leave out")
    assert len(told) == 3
    assert "human evidence: left out, no y: 1 of 4 rows (3)" in told.notes
    found = ask(fading(), told, delay=1, regimen="single")
    assert found.positions["row_id"].tolist() == ["0"]
    assert "human evidence: left out, no regimen: 1 of 3 rows (1)" in found.notes
    assert "human evidence: left out, no delay: 1 of 3 rows (2)" in found.notes
    # What is there and wrong is refused all the same.
    wrong = frame.assign(regimen="infusion")
    with pytest.raises(TableError, match="recode it"):
        ask(
            fading(),
            human_evidence(wrong, unusable="leave out"),
            delay=1,
            regimen="single",
        )
    with pytest.raises(TableError, match="no row is left"):
        human_evidence(frame.iloc[3:], unusable="leave out")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"ci_lo": [1.0]}, r"column 'ci_lo': is not a known column; did you mean 'ci_low'\?"),
        ({"species": ["rat"]}, r"row 0, column 'species': 'rat' is not human; keep animals out"),
        ({"direction": [2]}, r"column 'direction': '2' is not one of its levels"),
        ({"sd": [2.0]}, r"column 'sd': '2.0' has nothing to divide: unit names no other"),
        ({"delay": ["2 d after start"]}, r"column 'delay': .* counts from the start"),
        ({"start": [1.0]}, r"column 'start': '1.0' has no end; write in delay how far"),
        ({"y": ["high"]}, r"row 0, column 'y': 'high' is not a number"),
        ({"SE": [0.1]}, r"column 'SE': reads as 'se', and so does another"),
        (
            {"quantity": ["half_life"], "y": ["2 d"], "se": ["1 d"], "direction": [-1]},
            r"column 'direction': '-1' is -1, but a half-life has none",
        ),
        (
            {"quantity": ["half_life"], "y": ["2 d"], "se": ["1 d"], "delay": [1]},
            r"column 'delay': '1' stands in a row whose number is itself a time",
        ),
        (
            {"quantity": ["half_life"], "y": ["2"], "unit": ["months"], "se": [None]},
            r"column 'unit': 'months' is no unit of time; write h, d or wk",
        ),
        ({"ci_low": [2.5], "ci_high": [3.0]}, r"column 'y': '2.0' lies outside its interval, 2.5"),
    ],
)
def test_a_faulty_cell_is_named(columns, said):
    with pytest.raises(TableError, match=said):
        human_evidence(effects(**columns))


def test_what_is_no_table_or_no_choice_is_refused():
    with pytest.raises(QueryError, match=r"human evidence is a table .*, not a str"):
        human_evidence("effects.csv")
    with pytest.raises(QueryError, match=r"unusable = 'drop'; known: refuse, leave out"):
        human_evidence(effects(), unusable="drop")
    with pytest.raises(QueryError, match=r"checked already: give sd= with its table"):
        human_evidence(human_evidence(effects()), sd=2)
    with pytest.raises(TableError, match=r"sd: no study 'Amr'; known: A"):
        human_evidence(effects(), sd={"Amr": 2})
    with pytest.raises(TableError, match=r"sd = -1 is no standard deviation"):
        human_evidence(effects(), sd=-1)
    with pytest.raises(TableError, match=r"column 'y': is missing; add it"):
        human_evidence(pd.DataFrame({"study": ["A"]}))
    with pytest.raises(TableError, match="the table has no rows"):
        human_evidence(pd.DataFrame({"study": [], "y": []}))
    with pytest.raises(TableError, match=r"column 'row_id': 'x' already stands in row 0"):
        human_evidence(effects(y=[1.0, 2.0], row_id="x"))


def test_evidence_that_the_question_has_no_place_for_is_refused():
    half = pd.DataFrame({"study": ["D"], "quantity": "half_life", "y": ["2 h"]})
    with pytest.raises(TableError, match=r"'half_life' is a half-life, and the model has no decay"):
        ask(flat(), half)
    with pytest.raises(QueryError, match=r"human evidence says nothing of mouse: ask to='human'"):
        ask(flat(), effects(), to="mouse")
    whole = Assumptions(within_trial=1)
    with pytest.raises(QueryError, match=r"within_trial = 1: a second result of one trial"):
        ask(flat(), effects(y=[1.0, 2.0]), whole)
    with pytest.raises(TableError, match=r"column 'regimen': is missing; the model needs it"):
        ask(fading(), effects(delay=1), delay=1, regimen="single")


def test_a_table_an_evidence_and_a_study_table_are_one():
    frame = effects(regimen="single", delay=2.0)
    table = bm.read_table(frame, outcomes=False, units={"delay": "d"})
    tables = [frame, table, human_evidence(frame), human_evidence(human_evidence(table))]
    first, *others = (ask(fading(), one, delay=1, regimen="single") for one in tables)
    for other in others:
        np.testing.assert_array_equal(other.effect.values, first.effect.values)
        pd.testing.assert_frame_equal(
            other.positions.drop(columns="row_id"), first.positions.drop(columns="row_id")
        )


def test_faults_of_a_file_are_named_by_its_own_rows_and_headers(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("Paper,y,se,Schedule,delay\nA,1,0.1,single,1 d\nB,1,0.1,often,1 d\n")
    columns = {"study": "Paper", "regimen": "Schedule"}
    table = bm.read_table(path, columns=columns, outcomes=False)
    with pytest.raises(
        TableError, match=r"^people\.csv, row 3, column 'Schedule': 'often' is not in the data"
    ):
        ask(fading(), table, delay=1, regimen="single")


# -- the bundled table -----------------------------------------------------------------------------


def test_the_bundled_effects_are_printed_numbers():
    table = bm.load_dataset("ketamine_human", "effects")
    printed = bm.load_dataset("ketamine_human", "evidence").frame.set_index("row_id")
    frame = table.frame.set_index("row_id")
    assert len(frame) == 17
    value = printed.loc[frame.index, "value"].astype(float)
    np.testing.assert_array_equal(frame["y"], value)
    with pytest.raises(TableError, match=r"'sd': is needed: y is in 'pain 0-10'") as caught:
        human_evidence(table)
    assert len(caught.value.faults) == 13
    told = human_evidence(table, sd=2.0).frame.set_index("row_id")
    assert told["y"]["H06"] == 10.9
    assert told["y"]["H12"] == pytest.approx(2 / 24)
    assert told["y"]["H27"] == pytest.approx(1.07)  # 2.14 less pain
    assert told["y"]["H30"] == 0.2  # -0.2 of pain is a benefit
    assert (told["start"]["H30"], told["delay"]["H30"]) == (0, 35)


def test_the_tidy_effects_are_what_the_script_makes():
    script = bm.catalogue.root("data") / "ketamine_human" / "prepare.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_effects_of_people_where_the_animals_fade_by_species():
    fit = prior_fit(effect_sizes(EIGHT_ROWS), bm.ModelSpec(peak="1", half_life="species"), draws=25)
    found = translate(fit, species="rat", delay=1.0, human=effects(delay=1.0), draws=DRAWS)
    assert len(found.positions) == 1
    # Mice were measured at 1 d alone.
    with pytest.warns(ExtrapolationWarning, match="1 of 1 human results"):
        translate(fit, species="mouse", delay=1.0, human=effects(delay=9.0), draws=DRAWS)


def test_a_result_where_the_prediction_has_no_bound_has_a_position():
    """Half a minute's half-life: infinite at delay 0, seen at 3 d; T is one half."""
    spec = bm.ModelSpec(peak="1 + (1 | study)")
    fit = certain(spec, level=[[2.0]], log2_half_life=[[-11.0]], tau=[TAU])
    given = bm.Assumptions(
        discrepancy=bm.priors.normal(0, 1), no_translation=0.5, between_species=None, no_scaling=1
    )
    with pytest.warns(ExtrapolationWarning, match="1 of 1 human results"):
        found = ask(fit, effects(delay=0.0), given, delay=1.0).positions.iloc[0]
    # Half of it stands at 0 + delta, the other half above everything. 4 errors of 100,000 draws.
    half = stats.norm.cdf(2 / np.sqrt(1 + TAU**2 + 0.3**2)) / 2
    assert found["position"] == pytest.approx(half, abs=4 * 0.5 / np.sqrt(100_000))
    assert found["pred_high"] == np.inf
