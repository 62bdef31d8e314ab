"""The prediction itself: one formula, against the fit's own curves and numbers by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, hand_fit, prior_fit
from scipy import stats

from bayesma import priors
from bayesma.effects import effect_sizes
from bayesma.queries.curves import decay_curve, effect_at
from bayesma.queries.grids import grid
from bayesma.spec import ModelSpec
from bayesma.translation import Assumptions, species_table, translate
from bayesma.translation.pathway.asked import prediction_at, question
from bayesma.translation.pathway.doses import equivalent_dose
from bayesma.translation.pathway.innovations import FACTORS, Innovations, innovations
from bayesma.translation.pathway.species import SPECIES

# Nothing of one's own but the fit.
PLAIN = Assumptions(discrepancy=None, no_translation=0, between_species=None, no_scaling=1)
FAMILIES = {
    "none": ModelSpec(peak="regimen", decay="none"),
    "exponential": ModelSpec(peak="regimen", half_life="regimen"),
    "plateau": ModelSpec(peak="regimen", decay="plateau", persistent="1"),
    "weibull": ModelSpec(peak="regimen", decay="weibull"),
}
LEVELS = [[2.0, 1.0, -1.0], [1.0, 0.3, -0.3], [-0.5, 0.0, 0.0]]
DECAYS = {
    "log2_half_life": [[1.0], [0.0], [2.5]],
    "logit_persistent": [[-1.0], [0.5], [0.0]],
    "log_shape": [[0.4], [-0.4], [0.0]],
}
DRAWS_OF = {
    "none": {},
    "exponential": {"log2_half_life": DECAYS["log2_half_life"]},
    "plateau": {k: DECAYS[k] for k in ("log2_half_life", "logit_persistent")},
    "weibull": {k: DECAYS[k] for k in ("log2_half_life", "log_shape")},
}
# The lower quartile of the delays: both regimens fade alike, so they are of one decay cell.
REFERENCE = 1.0
REGIMENS = pd.DataFrame({"regimen": ["single", "repeated"] * 3, "delay": [1, 1, 3, 3, 20, 20.0]})


def fit_of(family):
    """Three draws by hand."""
    spec = ModelSpec(peak="regimen", decay=family)
    return hand_fit(spec, level=LEVELS, **DRAWS_OF[family])


def sampled(spec, draws=25, seed=1):
    """A fit with all that translate() asks of one."""
    return prior_fit(effect_sizes(EIGHT_ROWS), spec, draws=draws, seed=seed)


def neutral(size, **numbers):
    """Numbers at which every source but the fit stands at its median, and each draw comes once."""
    parts = {name: np.full((size, count), 0.5) for name, count in FACTORS.items()}
    parts["fit"] = ((np.arange(size) + 0.5) / size)[:, None]
    parts["no translation"][:] = parts["scaling"][:, 0] = 1 - 1e-9
    for name, values in numbers.items():
        parts[name.replace("_", " ")][:] = values
    return Innovations(parts)


def predicted(fit, frame, given=PLAIN, *, to="rat", species="rat", dose=None, at=None):
    asked = question(fit, to, dose, species, given, None)
    prediction, _ = prediction_at(asked, [frame] * len(asked.fits))
    size = fit.posterior.sizes["draw"] * fit.posterior.sizes["chain"] if at is None else 0
    return prediction(neutral(size) if at is None else at)


def flat(values):
    return np.asarray(values).reshape(-1, values.shape[-1])


# ---- nothing added: the fit's own curve ----------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_to_a_species_of_the_data_it_is_the_fits_own_curve(family):
    fit = sampled(FAMILIES[family])
    frame = REGIMENS if family != "none" else REGIMENS[["regimen"]]
    with np.errstate(all="ignore"):
        own = flat(effect_at(fit, frame))
        found = predicted(fit, frame)
    fine = np.isfinite(own) & (abs(own) < 1e100)  # a prior draw's peak may be beyond a float
    assert fine.mean() > 0.5
    # Two orders of the same sums.
    np.testing.assert_allclose(found.effect[fine], own[fine], rtol=1e-9, atol=1e-300)
    assert (found.delta == 0).all()


def test_with_species_in_the_model_it_is_that_species():
    spec = ModelSpec(peak="regimen + species", half_life="regimen")
    fit = sampled(spec, seed=3)
    frame = pd.DataFrame({"regimen": ["single", "repeated"], "delay": [0.5, 3.0]})
    for name in ("rat", "mouse"):
        own = flat(effect_at(fit, frame.assign(species=name)))
        given = Assumptions(between_species=None, no_scaling=1)
        found = predicted(fit, frame, given, to=name, species=name)
        np.testing.assert_allclose(found.effect, own, rtol=1e-9)
    both = [flat(effect_at(fit, frame.assign(species=name))) for name in ("rat", "mouse")]
    found = predicted(fit, frame, PLAIN, to="dog", species=None)
    # At the delays where levels are stated nothing has faded: the plain average of the two.
    np.testing.assert_allclose(found.effect, sum(both) / 2, rtol=1e-9)


def test_the_species_it_starts_from_is_no_new_one():
    """Body weights alike, so no scaling either: the fit's own draws under every default."""
    fit = sampled(FAMILIES["exponential"])
    frame = REGIMENS.assign(delay=REFERENCE)
    found = predicted(fit, frame, Assumptions(), to="rats", at=neutral(100, species=0.9))
    np.testing.assert_allclose(found.effect, flat(effect_at(fit, frame)), rtol=1e-9)
    notes = translate(fit, "rat", species="rat", delay=3.0, regimen="repeated", draws=20).notes
    assert any("rat is where it starts from" in note for note in notes)
    moved = predicted(fit, frame, Assumptions(), to="dog", at=neutral(100, species=0.9))
    assert np.median(abs(moved.effect - found.effect)) > 1


def test_translate_picks_every_draw_of_the_fit_alike():
    fit = sampled(FAMILIES["plateau"], draws=5)
    given = Assumptions(between_species=None, no_scaling=1)
    at = grid(fit, regimen="repeated", delay=[3, 28])
    own = flat(decay_curve(fit, at).values)
    found = translate(
        fit, "rat", species="rat", delay=[3, 28], regimen="repeated", assumptions=given, draws=4000
    )
    drawn = found.effect.values[0]
    hits = [np.isclose(drawn, draw, rtol=1e-9, atol=0).all(axis=1).mean() for draw in own]
    assert sum(hits) == pytest.approx(1)
    # 20 draws, alike; 4 standard errors of a share of 4000.
    np.testing.assert_allclose(hits, 1 / 20, atol=4 * np.sqrt(0.05 * 0.95 / 4000))


def test_shares_of_the_rows_weigh_the_clock():
    """Cells by regimen: single has rat, mouse, rat, rat; so has repeated."""
    fit = fit_of("exponential")
    given = Assumptions(discrepancy=None, between_species=None, no_scaling=0)
    found = predicted(fit, REGIMENS, given, to="human", species=None)
    log_weight = 0.75 * np.log(0.15) + 0.25 * np.log(0.02)
    stretch = 0.26 * (np.log(60) - log_weight) / np.log(2)
    own = np.array(DECAYS["log2_half_life"])
    np.testing.assert_allclose(found.log2_half_life, own + stretch + np.zeros(6), rtol=1e-12)


# ---- time ----------------------------------------------------------------------------------------


def share_by_hand(family, t, draw):
    h = 2.0 ** DECAYS["log2_half_life"][draw][0]
    if family == "exponential":
        return 0.5 ** (t / h)
    if family == "plateau":
        p = 1 / (1 + np.exp(-DECAYS["logit_persistent"][draw][0]))
        return p + (1 - p) * 0.5 ** (t / h)
    return 0.5 ** ((t / h) ** np.exp(DECAYS["log_shape"][draw][0]))


@pytest.mark.parametrize("family", ["exponential", "plateau", "weibull"])
@pytest.mark.parametrize("b", [0.1, 0.5])
def test_time_is_stretched_by_body_weight(family, b):
    fit = fit_of(family)
    given = Assumptions(discrepancy=None, between_species=None, exponent=priors.normal(b, 0.1))
    found = predicted(fit, REGIMENS, given, to="human")
    k = (60 / 0.15) ** b
    for draw, (mean, _, single) in enumerate(LEVELS):
        for point, (regimen, t) in enumerate(REGIMENS.itertuples(index=False)):
            level = mean + single if regimen == "single" else mean - single
            expected = level * share_by_hand(family, t / k, draw)
            expected /= share_by_hand(family, REFERENCE / k, draw)
            assert found.effect[draw, point] == pytest.approx(expected, rel=1e-10)
        half = DECAYS["log2_half_life"][draw][0] + np.log2(k)
        np.testing.assert_allclose(found.log2_half_life[draw], half, rtol=1e-12)


def test_a_half_life_scales_only_where_the_draw_says_so():
    fit = fit_of("exponential")
    asked = question(fit, "human", None, "rat", Assumptions(no_scaling=0.25), None)
    prediction, _ = prediction_at(asked, [REGIMENS[:1]])
    half = prediction(innovations(20_000, np.random.default_rng(1))).log2_half_life[:, 0]
    b = (half[:, None] - np.ravel(DECAYS["log2_half_life"])) / np.log2(60 / 0.15)
    unscaled = np.isclose(b, 0, atol=1e-9).any(axis=1)
    # 4 standard errors of a share of 20,000.
    assert unscaled.mean() == pytest.approx(0.25, abs=0.013)
    # Around each half-life the others are shifted b's: their mean is left, 0.26 of the rest.
    mean = np.ravel(DECAYS["log2_half_life"]).mean() + 0.75 * 0.26 * np.log2(400)
    assert half.mean() == pytest.approx(mean, abs=4 * half.std() / np.sqrt(20_000))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fades", [False, True])
def test_an_average_over_time_is_the_integral(family, fades):
    fit = fit_of(family)
    given = Assumptions(between_species=None, fades=fades)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    start, stop = 0.5, 35.0
    times = (stop - start) / 2 * nodes + (stop + start) / 2
    at = neutral(3, discrepancy=0.9)
    for regimen in ("single", "repeated"):
        frame = pd.DataFrame({"regimen": [regimen], "start": [start], "delay": [stop]})
        inside = pd.DataFrame({"regimen": regimen, "delay": times})
        over = predicted(fit, frame, given, to="human", at=at).effect[:, 0]
        each = predicted(fit, inside, given, to="human", at=at).effect
        # 400 Gauss nodes on a smooth curve.
        np.testing.assert_allclose(over, each @ weights / 2, rtol=1e-8)


def test_points_with_and_without_a_start_stand_beside_each_other():
    fit = fit_of("exponential")
    mixed = pd.DataFrame({"regimen": "single", "delay": [2.0, 2.0], "start": [np.nan, 0.0]})
    found = predicted(fit, mixed).effect
    alone = predicted(fit, mixed.drop(columns="start")).effect
    assert (found[:, 0] == alone[:, 0]).all()
    assert (abs(found[:, 1]) > abs(found[:, 0])).all()  # the average holds what is gone by then


# ---- people --------------------------------------------------------------------------------------


def test_theta_is_t_times_m_plus_delta():
    fit = fit_of("exponential")
    given = Assumptions(
        discrepancy=priors.normal(0.4, 2.0), no_translation=0.3, between_species=None, no_scaling=1
    )
    frame = REGIMENS[:2].assign(delay=REFERENCE)
    at = innovations(40_000, np.random.default_rng(2))
    found = predicted(fit, frame, given, to="human", at=at)
    np.testing.assert_allclose(found.effect, found.carried + found.delta, rtol=1e-12)
    translates = at.parts["no translation"][:, 0] >= 0.3
    assert (found.carried[~translates] == 0).all()
    levels = np.array([[m + s, m - s] for m, _, s in LEVELS])
    np.testing.assert_allclose(np.unique(found.carried[translates][:, 0]), np.sort(levels[:, 0]))
    # E theta = (1 - p) E m + E delta, and Var theta of a mixture; 4 standard errors each.
    mean, square = 0.7 * levels.mean(axis=0), 0.7 * (levels**2).mean(axis=0)
    sd = np.sqrt(square - mean**2 + 4.0)
    np.testing.assert_allclose(found.effect.mean(axis=0), mean + 0.4, atol=4 * sd.max() / 200)
    np.testing.assert_allclose(found.effect.std(axis=0), sd, rtol=4 / np.sqrt(2 * 40_000))
    assert stats.kstest((found.delta[:, 0] - 0.4) / 2.0, "norm").pvalue > 1e-3


def test_delta_fades_as_the_effect_in_people_does():
    fit = fit_of("plateau")
    given = Assumptions(fades=True, between_species=None)
    found = predicted(fit, REGIMENS, given, to="human", at=neutral(3, discrepancy=0.8))
    k = (60 / 0.15) ** 0.26
    for draw in range(3):
        expected = [share_by_hand("plateau", t / k, draw) for t in REGIMENS["delay"]]
        np.testing.assert_allclose(found.loading[draw], expected, rtol=1e-10)
    np.testing.assert_allclose(found.delta, stats.norm.ppf(0.8), rtol=1e-12)
    still = predicted(fit, REGIMENS, Assumptions(between_species=None), to="human")
    assert (still.loading == 1).all()


def test_delta_and_a_failure_to_translate_concern_people_alone():
    fit = fit_of("exponential")
    at = neutral(3, discrepancy=0.99, no_translation=0.01)
    given = Assumptions(between_species=None)
    assert (predicted(fit, REGIMENS, given, to="dog", at=at).delta == 0).all()
    assert (predicted(fit, REGIMENS, given, to="dog", at=at).carried != 0).all()
    for name in ("human", "people", "Humans"):
        people = predicted(fit, REGIMENS, given, to=name, at=at)
        assert (people.carried == 0).all()
        assert (people.delta > 2).all()


def test_a_new_species_departs_by_sigma_and_by_what_is_known_of_the_mean():
    """Var = sigma^2 (1 + sum p^2): 1 + 1/2 for two alike, 2 from one."""
    spec = ModelSpec(peak="species", decay="none")
    fit = hand_fit(spec, level=[[1.0, 0.2, -0.2]])
    frame = pd.DataFrame(index=range(1))
    at = neutral(1, species=[0.3, 0.8])
    for named, factor in ((None, 1.5), ("rat", 2.0)):
        asked = question(fit, "dog", None, named, Assumptions(), None)
        prediction, origins = prediction_at(asked, [frame])
        sigma = origins[0].population.sigma[0, int(0.3 * 64)]
        level = 1.0 if named is None else 0.8
        expected = level + sigma * stats.norm.ppf(0.8) * np.sqrt(factor)
        assert prediction(at).effect[0, 0] == pytest.approx(expected, rel=1e-12)


def test_a_new_species_departure_fades_with_the_effect():
    fit = fit_of("exponential")
    base = predicted(fit, REGIMENS, Assumptions(), to="human", at=neutral(3)).effect
    moved = predicted(fit, REGIMENS, Assumptions(), to="human", at=neutral(3, species=0.9)).effect
    shares = base / np.array(
        [[m + s if r == "single" else m - s for r in REGIMENS["regimen"]] for m, _, s in LEVELS]
    )
    gap = (moved - base) / shares
    np.testing.assert_allclose(gap, gap[0, 0], rtol=1e-9)  # one departure, the same at the level
    assert gap[0, 0] > 0


# ---- doses ---------------------------------------------------------------------------------------


def test_doses_by_km_are_those_the_fda_prints():
    """FDA 2005: a rat's 50 mg/kg is 8.1 mg/kg in people; table 1 prints what to divide by."""
    rat, human = SPECIES["rat"], SPECIES["human"]
    assert round(equivalent_dose(50, rat, human), 1) == 8.1
    printed = {
        "mouse": 12.3, "hamster": 7.4, "rat": 6.2, "ferret": 5.3, "guinea pig": 4.6,
        "rabbit": 3.1, "dog": 1.8, "monkey": 3.1, "marmoset": 6.2, "squirrel monkey": 5.3,
        "baboon": 1.8, "micro-pig": 1.4, "mini-pig": 1.1,
    }  # fmt: skip
    assert set(printed) == set(SPECIES) - {"human"}
    for name, divisor in printed.items():
        # One decimal is printed; 37/20 = 1.85 as 1.8.
        found = 1 / equivalent_dose(1, SPECIES[name], human)
        assert found == pytest.approx(divisor, abs=0.0501)
    table = species_table()
    assert (table["weight"] > 0).all()
    assert table["source"].str.contains("FDA 2005").all()


DOSED = EIGHT_ROWS.assign(dose_unit="mg/kg")
BY_DOSE = ModelSpec(peak="log(dose)", decay="none")


def dosed_fit():
    return hand_fit(BY_DOSE, DOSED, level=[[1.0, 0.5]])


def test_a_dose_moves_the_effect_by_the_log_of_its_equivalent():
    given = Assumptions(between_species=None, discrepancy=None, dose_spread=0)
    fit = dosed_fit()
    one, other = (
        predicted(fit, pd.DataFrame({"dose": [d]}), given, to="human", dose=d) for d in (0.5, 5.0)
    )
    assert other.effect[0, 0] - one.effect[0, 0] == pytest.approx(0.5 * np.log(10), rel=1e-12)
    # 0.5 mg/kg of a person is 0.5 * 37 / 6 of a rat.
    rat = effect_at(fit, pd.DataFrame({"dose": [0.5 * 37 / 6]}))
    assert one.effect[0, 0] == pytest.approx(float(rat.item()), rel=1e-12)
    assert predicted(
        fit, pd.DataFrame({"dose": [0.5]}), given, to="human", dose="500 ug/kg"
    ).effect == pytest.approx(one.effect, rel=1e-12)


def test_the_doubt_of_a_dose_is_an_exponent_of_body_weight():
    """log dose_animal = log dose_Km + x log(W_h / W_a), x ~ N(0, .16): 0.5 of it on the effect."""
    given = Assumptions(between_species=None, discrepancy=None, no_translation=0)
    at = innovations(20_000, np.random.default_rng(5))
    found = predicted(
        dosed_fit(), pd.DataFrame({"dose": [0.5]}), given, to="human", dose=0.5, at=at
    ).effect
    sd = 0.5 * 0.16 * np.log(60 / 0.15)
    # 15 equally likely exponents for a normal: their SD is 5% below; and 4 standard errors.
    assert found.std() == pytest.approx(sd, rel=0.07)
    assert found.std() < sd


# ---- one trial -----------------------------------------------------------------------------------


def trial_at(fit, frame, at, **given):
    asked = question(fit, "rat", None, "rat", Assumptions(between_species=None, **given), None)
    prediction, _ = prediction_at(asked, [frame] * len(asked.fits))
    return prediction(at)


TRIALS = {
    "constant": {"peak": "regimen + (1 | study)"},
    "nested": {"peak": "regimen + (1 | study/row_id)"},
    "student": {"peak": "regimen + (1 | study)", "population": "student"},
    "proportional": {"peak": "regimen + (1 | study)", "heterogeneity": "proportional"},
    "by regimen": {"peak": "regimen + (1 | study)", "tau": "regimen"},
}


@pytest.mark.parametrize("kind", TRIALS)
def test_a_trial_departs_as_a_new_study_of_the_fit_does(kind):
    """The law of decay_curve(study="new"), by its quantiles over 20,000 draws."""
    spec = ModelSpec(decay="none", likelihood="normal", **TRIALS[kind])
    fit = sampled(spec, draws=5000, seed=4)
    at = grid(fit, regimen=["single", "repeated"])
    own = flat((decay_curve(fit, at, study="new", seed=1) - decay_curve(fit, at)).values)
    numbers = innovations(20_000, np.random.default_rng(6))
    frame = pd.DataFrame({"regimen": ["single", "repeated"]})
    found = trial_at(fit, frame, numbers, no_scaling=1)
    for point in range(2):
        # The same law gives a P value that is uniform; 1e-3 in one of a thousand seeds.
        assert stats.ks_2samp(found.deviation[:, point], own[:, point]).pvalue > 1e-3
    if kind not in {"by regimen", "proportional"}:  # one deviation for all points of a draw
        np.testing.assert_allclose(found.deviation[:, 0], found.deviation[:, 1], rtol=1e-12)
    standard = found.deviation / found.deviation_sd
    if kind != "student":
        assert stats.kstest(standard[:, 0], "norm").pvalue > 1e-3


def test_proportional_and_student_deviations_by_hand():
    spec = ModelSpec(peak="1 + (1 | study)", decay="none", heterogeneity="proportional")
    fit = hand_fit(spec, level=[[3.0]], tau=[0.4], kappa=[0.5])
    found = trial_at(fit, pd.DataFrame(index=[0]), neutral(1, new_study=0.9))
    sd = np.sqrt(0.4**2 + 0.5**2 * 3.0**2)
    assert found.deviation_sd[0, 0] == pytest.approx(sd, rel=1e-12)
    assert found.deviation[0, 0] == pytest.approx(sd * stats.norm.ppf(0.9), rel=1e-12)
    spec = ModelSpec(peak="1 + (1 | study)", decay="none", population="student")
    fit = hand_fit(spec, level=[[3.0]], tau=[0.4], nu=[5.0])
    found = trial_at(fit, pd.DataFrame(index=[0]), neutral(1, new_study=0.9))
    # Student's t as a normal given its precision: chi2_5 / 5 at the first number, z at the second.
    sd = 0.4 * np.sqrt(5 / stats.chi2.ppf(0.9, 5))
    assert found.deviation_sd[0, 0] == pytest.approx(sd, rel=1e-12)
    assert found.deviation[0, 0] == pytest.approx(sd * stats.norm.ppf(0.9), rel=1e-12)


def test_trials_without_a_tau_of_the_animals_are_those_of_people():
    fit = fit_of("exponential")
    at = innovations(20_000, np.random.default_rng(7))
    found = trial_at(fit, REGIMENS[:1], at)
    half = priors.half_normal(0.5).distribution()
    # E sd^2 = 0.25, less the tail of the last of 64 steps.
    assert (found.deviation_sd**2).mean() == pytest.approx(half.moment(2), rel=0.05)
    stated = trial_at(fit, REGIMENS[:1], at, between_trials=priors.uniform(2.0, 2.2))
    assert ((stated.deviation_sd > 2) & (stated.deviation_sd < 2.2)).all()
    tau = ModelSpec(peak="1 + (1 | study)", decay="none")
    own = hand_fit(tau, level=[[3.0]], tau=[0.4])
    kept = trial_at(own, pd.DataFrame(index=[0]), neutral(1))
    assert kept.deviation_sd[0, 0] == 0.4
    moved = trial_at(own, pd.DataFrame(index=[0]), neutral(1), between_trials=priors.uniform(2, 3))
    assert moved.deviation_sd[0, 0] > 2


# ---- several forms, and the same again -----------------------------------------------------------


def test_forms_are_mixed_by_their_weights():
    fits = {"short": fit_of("exponential"), "long": fit_of("plateau")}
    asked = question(fits, "rat", None, "rat", PLAIN, {"short": 3, "long": 1})
    np.testing.assert_allclose(asked.weights, [0.75, 0.25])
    prediction, _ = prediction_at(asked, [REGIMENS] * 2)
    at = neutral(12)
    at.parts["decay form"][:, 0] = np.tile([0.1, 0.6, 0.74, 0.76], 3)
    found = prediction(at).effect
    for number, name in enumerate(["short", "short", "short", "long"]):
        alone = predicted(fits[name], REGIMENS, at=at).effect
        np.testing.assert_allclose(found[number::4], alone[number::4], rtol=1e-12)


def test_a_form_without_decay_leaves_no_half_life():
    fits = [sampled(FAMILIES[name]) for name in ("exponential", "none")]
    found = translate(fits, delay=[3.0, 4.0], regimen="repeated", draws=50)
    assert found.half_life is None
    assert set(found.forms) == {"exponential", "none"}


def test_the_same_seed_gives_the_same_draws():
    fit = sampled(FAMILIES["plateau"])
    ask = {"delay": [3.0, 7.0], "regimen": "repeated", "draws": 200}
    first, again, other = (translate(fit, **ask, seed=s) for s in (1, 1, 2))
    for name in ("effect", "trial", "half_life"):
        assert getattr(first, name).equals(getattr(again, name))
        assert not getattr(first, name).equals(getattr(other, name))
    # Points are answered by the same draws, however many are asked at once.
    alone = translate(fit, delay=7.0, regimen="repeated", draws=200, seed=1)
    np.testing.assert_array_equal(alone.effect.values[..., 0], first.effect.values[..., 1])


def test_numbers_are_picked_and_frozen_by_source():
    one, two = (innovations(5, np.random.default_rng(s)) for s in (1, 2))
    mixed = one.mixed(two, {"fit", "dose"})
    for name in FACTORS:
        source = one if name in {"fit", "dose"} else two
        assert mixed.parts[name] is source.parts[name]
    assert (one.taken(np.array([3, 0])).parts["species"] == one.parts["species"][[3, 0]]).all()
    moved = one.replaced("fit", np.ones((5, 1)))
    assert (moved.parts["fit"] < 1).all()
    assert len(moved) == 5
    assert {name: part.shape[1] for name, part in one.parts.items()} == dict(FACTORS)
