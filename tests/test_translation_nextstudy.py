"""Next study: against conjugate algebra, quadrature and refits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, stats

from bayesma import priors as p
from bayesma.bayes.masks import without_group
from bayesma.bayes.model import data_of
from bayesma.bayes.sampler import Settings, compiled, sample
from bayesma.catalogue import load_dataset
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import ExtrapolationWarning, QueryError, TableError
from bayesma.posterior import Fit
from bayesma.queries.curves import effect_at
from bayesma.queries.grids import grid, points_of
from bayesma.spec import ModelSpec
from bayesma.translation import Assumptions, Target, next_study
from bayesma.translation.learning.candidates import candidates_of
from bayesma.translation.learning.experiments import Law, law_of, outcomes_of
from bayesma.translation.learning.nextstudy import particles_for, question_for
from bayesma.translation.learning.particles import GROUPS
from bayesma.translation.learning.targets import Moments, sought_of
from bayesma.translation.learning.variances import learnt, variances_after
from bayesma.translation.pathway.innovations import innovations
from tests.fits import ConjugatePosterior, conjugate_fit

PRIORS = {
    "peak": p.normal(0, 5),
    "peak_contrast": p.normal(0, 2),
    "tau": p.half_normal(2),
    "tau_contrast": p.normal(0, 0.7),
}
STUDY = ModelSpec(peak="1 + (1 | study)", decay="none", likelihood="normal", priors=PRIORS)
# v = 4 (1/8 + 1/8): the unit variance is 4.
ROWS = pd.DataFrame(
    {
        "row_id": [f"r{i}" for i in range(6)],
        "study": list("AABBCC"),
        "y": [1.0, 2.0, 1.5, 0.5, 2.5, 1.0],
        "v": [1.0] * 6,
        "n_treated": [8.0] * 6,
        "n_control": [8.0] * 6,
        "species": ["rat"] * 4 + ["mouse"] * 2,
        "regimen": ["single", "repeated"] * 3,
        "delay": [1.0, 2, 4, 1, 2, 8],
    }
)
# A sigma that is known, as near as a prior can say it.
SIGMA = p.log_normal(np.log(0.8), 1e-6)
SHARES = (4 / 6) ** 2 + (2 / 6) ** 2
NO_DOUBT = Assumptions(discrepancy=None, no_translation=0.0, between_species=SIGMA)


def made(spec=STUDY, rows=ROWS, measure="MD", **draws):
    """A fit whose posterior is written by hand."""
    plan = design(spec, effect_sizes(rows, measure=measure))
    arrays = {}
    for name, values in draws.items():
        array = np.asarray(values, dtype=float)[None]
        arrays[name] = (["chain", "draw", f"{name}_term"][: array.ndim], array)
    posterior = xr.Dataset(arrays)
    sizes = {"chain": 1, "draw": posterior.sizes["draw"]}
    posterior = posterior.assign_coords({d: np.arange(n) for d, n in sizes.items()})
    statistics = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((1, sizes["draw"])))})
    groups = {"posterior": posterior, "sample_stats": statistics}
    return Fit(xr.DataTree.from_dict(groups), plan)


def normal(mean=1.0, sd=0.7, tau=0.5, size=8000, **more):
    """A fit with a normal posterior of its one mean: draws in random order."""
    levels = mean + sd * stats.norm.ppf((np.arange(size) + 0.5) / size)
    levels = np.random.default_rng(3).permutation(levels)
    return made(level=levels[:, None], tau=np.full(size, tau), **more)


def agrees(found, truth):
    """Within three of its own standard errors, and those are small enough to say something."""
    rows = found.table
    assert (rows["mcse"] < 0.06 * truth + 0.003).all(), rows["mcse"]
    np.testing.assert_array_less(np.abs(rows["reduction"] - truth), 3 * rows["mcse"] + 1e-4)


@pytest.mark.parametrize("studies", [1, 3])
@pytest.mark.parametrize("n", [4, 40, 4000])
def test_a_normal_model_is_the_closed_form(n, studies):
    noise = (0.5**2 + 4 * 2 / n) / studies
    found = next_study(normal(), [{"n": n, "k": studies}], Target(to=None), seed=5)
    agrees(found, 0.7**2 / (0.7**2 + noise))
    # The particles are 8000 draws again of the 8000: their SD has 0.8% of chance, taken fivefold.
    assert found.table["sd_now"].item() == pytest.approx(0.7, rel=0.04)
    left = found.table["sd_now"] * np.sqrt(1 - found.table["reduction"])
    np.testing.assert_allclose(found.table["sd_after"], left, rtol=1e-12)
    assert found.irreducible == 0


def test_of_people_only_the_animals_share_is_reduced():
    given = Assumptions(no_translation=0.25, between_species=SIGMA, discrepancy=p.normal(0.3, 0.9))
    found = next_study(normal(), [{"n": 10}], Target(), assumptions=given, seed=5)
    # theta = T (m + e) + delta, and animals tell of m and of c = E(e) over species.
    mean, c, own = 0.7**2, SHARES * 0.8**2, 0.8**2
    square = 1.0 + mean + c + own
    total = 0.75 * square - 0.75**2 + 0.9**2
    agrees(found, 0.75**2 * mean**2 / (mean + 0.5**2 + 0.8) / total)
    # 8000 particles: a variance to about 1.6%, the share to less.
    assert found.irreducible == pytest.approx(1 - 0.75**2 * (mean + c) / total, abs=0.02)
    assert any("is of people alone" in note for note in found.notes)


def test_a_new_species_tells_of_people_by_the_mean_of_all_species():
    found = next_study(
        normal(), [{"n": 10, "species": "rabbit"}], Target(), assumptions=NO_DOUBT, seed=5
    )
    shared = 0.7**2 + SHARES * 0.8**2
    person, study = shared + 0.8**2, shared + 0.8**2 + 0.5**2 + 0.8
    agrees(found, shared**2 / (person * study))


def test_an_experiment_in_the_target_species_tells_of_that_species():
    candidates = [{"n": 10, "species": "rabbit"}]
    found = next_study(normal(), candidates, Target(to="rabbit"), assumptions=NO_DOUBT, seed=5)
    own = 0.7**2 + (1 + SHARES) * 0.8**2
    agrees(found, own / (own + 0.5**2 + 0.8))
    assert found.irreducible == 0


def test_an_smd_is_exact_against_quadrature_of_the_noncentral_t():
    fit = normal(mean=2.0, sd=0.6, tau=0.4, measure="SMD")
    found = next_study(fit, [{"n": 4}], Target(to=None), seed=5)
    # d / s is noncentral t with nu = 6 and noncentrality m / s, s^2 = tau^2 + 2/4.
    s, m = np.sqrt(0.4**2 + 0.5), np.linspace(-1.6, 5.6, 121)
    weight = stats.norm.pdf(m, 2.0, 0.6)
    y = np.linspace(-8, 40, 961)
    density = stats.nct.pdf(y[:, None] / s, 6, m / s) / s
    height = integrate.trapezoid(density * weight, m, axis=1)
    first = integrate.trapezoid(density * weight * m, m, axis=1) / height
    # The tail beyond 40 holds less than 1e-5 of a noncentral t with 6 degrees of freedom.
    among = integrate.trapezoid(height * (first - 2.0) ** 2, y)
    agrees(found, among / 0.6**2)
    assert abs(among / 0.6**2 - 0.36 / (0.36 + s**2)) > 0.03  # the normal law is another answer


def test_a_species_of_another_weight_tells_how_time_scales():
    spec = ModelSpec(
        peak="1 + (1 | study)", decay="exponential", likelihood="normal", priors=PRIORS
    )
    size = 400
    fit = made(
        spec,
        measure="SMD",
        level=np.full((size, 1), 4.0),
        log2_half_life=np.full((size, 1), 1.0),
        tau=np.full(size, 0.3),
    )
    given = Assumptions(between_species=None, no_scaling=0.4, exponent=p.normal(0.3, 0.1))
    candidates = [{"species": name, "delay": 8, "n": 20, "k": 1} for name in ("monkey", "rat")]
    found = next_study(fit, candidates, Target("half_life"), assumptions=given, seed=5)
    table = found.table.set_index("species")
    assert table.loc["rat", "reduction"] == pytest.approx(0, abs=1e-9)
    # By quadrature over b, whose spike at 0 has weight 0.4. Rows are 4 rats to 2 mice.
    animals = (4 * np.log(0.15) + 2 * np.log(0.02)) / 6
    b = np.append(np.linspace(-0.2, 0.8, 201), 0.0)
    weight = np.append(0.6 * stats.norm.pdf(b[:-1], 0.3, 0.1) * (b[1] - b[0]), 0.4)
    stretch = np.exp(b * (np.log(3.0) - animals))
    reference = fit.design.references[()]
    mean = 4.0 * 2 ** (-(8 - reference) / stretch / 2.0)
    half_life = b * (np.log(60.0) - animals) / np.log(2)
    y = np.linspace(-4, 16, 401)
    s = np.sqrt(0.3**2 + 0.1)
    density = stats.nct.pdf(y[:, None] / s, 38, mean / s) / s
    height, centre = density @ weight, half_life - weight @ half_life
    among = integrate.trapezoid((density @ (weight * centre)) ** 2 / height, y)
    agrees(replace(found, table=found.table[found.table["species"] == "monkey"]),
           among / (weight @ centre**2))  # fmt: skip
    assert any("goes with how time and doses scale" in note for note in found.notes)


def test_an_experiment_tells_decay_forms_apart():
    spec = ModelSpec(
        peak="1 + (1 | study)", decay="exponential", likelihood="normal", priors=PRIORS
    )
    size = 400

    def fading(half_life):
        level, tau = np.full((size, 1), 3.0), np.full(size, 0.3)
        half = np.full((size, 1), np.log2(half_life))
        return made(spec, measure="SMD", level=level, log2_half_life=half, tau=tau)

    fits = {"fast": fading(1.0), "slow": fading(30.0)}
    found = next_study(
        fits, [{"delay": 4, "n": 10}], Target(to=None, delay=8), weights=[0.3, 0.7], seed=5
    )
    reference = fits["fast"].design.references[()]
    mean = 3.0 * 2 ** (-(4 - reference) / np.array([1.0, 30.0]))
    y, s = np.linspace(-6, 14, 2001), np.sqrt(0.3**2 + 0.2)
    density = stats.nct.pdf(y[:, None] / s, 18, mean / s) / s * [0.3, 0.7]
    chance = density[:, 1] / density.sum(axis=1)
    left = integrate.trapezoid(density.sum(axis=1) * chance * (1 - chance), y)
    agrees(found, 1 - left / (0.3 * 0.7))


def test_refits_by_exact_algebra_agree_where_tau_is_unknown():
    effects = effect_sizes(ROWS, measure="MD")
    fit = conjugate_fit(STUDY, effects, draws=4000)
    asked = question_for(fit, Target(to=None), None, None, None, None)
    read = candidates_of(asked, [{"n": 30}])
    rng = np.random.default_rng(2)
    particles = particles_for(asked, Target(to=None), read, 16_000, rng)
    moments = sought_of(asked, Target(to=None)).moments(particles)
    law = law_of(asked, read.each[0], outcomes_of(asked, None), particles)
    results = np.array([-1.0, 0.5, 1.5, 2.5, 4.0])
    weighed = variances_after(moments, law, results)
    fitted = []
    for y in results:
        new = ROWS.iloc[[0]].assign(row_id="new", study="new", y=y, v=4 * 2 / 30)
        plan = design(STUDY, effect_sizes(pd.concat([ROWS, new], ignore_index=True), measure="MD"))
        fitted.append(ConjugatePosterior(plan).draws(16_000, rng)["level"].var())
    # 16,000 draws each: a variance to 1.1%, and more in the tails that tau gives it; weights of
    # results far out leave fewer.
    np.testing.assert_allclose(weighed, fitted, rtol=0.08)
    assert np.ptp(fitted) > 0.15 * np.mean(fitted)  # results differ in what they leave


def law_at(fit, candidate, target=None):
    target = target or Target(to=None)
    asked = question_for(fit, target, None, None, None, None)
    read = candidates_of(asked, [candidate])
    particles = particles_for(asked, target, read, 1000, np.random.default_rng(0))
    return law_of(asked, read.each[0], outcomes_of(asked, None), particles), particles


def test_heterogeneity_that_goes_with_the_mean():
    spec = ModelSpec(
        peak="1 + (1 | study)", decay="none", likelihood="normal", heterogeneity="proportional",
        priors=PRIORS | {"kappa": p.half_normal(1)},
    )  # fmt: skip
    fit = made(spec, level=[[2.0]] * 50, tau=[0.3] * 50, kappa=[0.5] * 50)
    law, _ = law_at(fit, {"n": 10})
    np.testing.assert_allclose(law.between, 0.3**2 + 0.5**2 * 2.0**2, rtol=1e-12)
    assert law.sampling == pytest.approx(4 * 2 / 10)  # exact


def test_a_student_population_has_the_tails_of_its_own():
    spec = ModelSpec(
        peak="1 + (1 | study)", decay="none", likelihood="normal", population="student",
        priors=PRIORS,
    )  # fmt: skip
    fit = made(spec, level=[[2.0]] * 50, tau=[0.6] * 50, nu=[5.0] * 50)
    law, _ = law_at(fit, {"n": 200})
    y = np.array([1.0, 2.0, 3.5])
    u = np.linspace(1e-9, 40, 200_001)
    for value, found in zip(y, law.log_density(y)[0], strict=True):
        scale = np.sqrt(0.6**2 / u + 0.04)
        exact = integrate.trapezoid(
            stats.norm.pdf(value, 2, scale) * stats.gamma.pdf(u, 2.5, scale=0.4), u
        )
        # 16 equally likely precisions: 2% of the density in the body and the shoulder.
        assert np.exp(found) == pytest.approx(exact, rel=0.03)


def test_levels_of_groups_add_up_and_the_size_of_a_study_moves_its_mean():
    spec = ModelSpec(
        peak="1 + (1 | study/experiment)", decay="none", likelihood="normal",
        small_study="1/sqrt(n)", priors=PRIORS | {"small_study": p.normal(0, 1)},
    )  # fmt: skip
    sizes = [4.0, 8, 12, 16, 20, 24]
    rows = ROWS.assign(n_treated=sizes, n_control=sizes, experiment=list("abcdef"))
    fit = made(spec, rows, level=[[2.0]] * 50, tau=[0.3] * 50, tau_experiment=[0.4] * 50,
               small_study=[0.7] * 50)  # fmt: skip
    law, _ = law_at(fit, {"n": 10})
    np.testing.assert_allclose(law.between, 0.25, rtol=1e-12)
    x = 1 / np.sqrt(2 * np.array(sizes))
    # In standard units of the rows' own 1/sqrt(n).
    np.testing.assert_allclose(law.mean, 2 + 0.7 * (1 / np.sqrt(20) - x.mean()) / x.std())


def test_a_tau_formula_multiplies_the_tau_of_its_level():
    spec = replace(STUDY, tau="regimen", peak="regimen + (1 | study)")
    terms = 3
    fit = made(spec, level=[[2.0] + [0.0] * (terms - 1)] * 50, tau=[0.5] * 50,
               log_tau_ratio=[[0.0, 0.4, -0.4]] * 50)  # fmt: skip
    by_level = {
        name: law_at(fit, {"n": 10, "regimen": name})[0].between[0, 0]
        for name in ("repeated", "single")
    }
    assert by_level["repeated"] == pytest.approx(0.25 * np.exp(0.8))  # exact
    assert by_level["single"] == pytest.approx(0.25 * np.exp(-0.8))


def test_a_fit_without_tau_takes_the_animals_prior_and_says_so():
    spec = ModelSpec(
        peak="1", decay="none", likelihood="normal",
        priors={name: PRIORS[name] for name in ("peak", "peak_contrast")},
    )  # fmt: skip
    fit = made(spec, measure="SMD", level=np.linspace(1, 2, 500)[:, None])
    law, _ = law_at(fit, {"n": 10})
    prior = p.named("animal_smd_2026")
    # 64 equally likely values at 1000 particles: a median to about 4%, taken threefold.
    assert np.median(np.sqrt(law.between[:, 0])) == pytest.approx(
        prior.distribution().median(), rel=0.12
    )
    found = next_study(fit, [{"n": 10}], Target(to=None), seed=1)
    assert any("animal_smd_2026" in note for note in found.notes)
    stated = next_study(
        fit, [{"n": 10}], Target(to=None), between_studies=p.half_normal(0.1), seed=1
    )
    assert stated.table["reduction"].item() > found.table["reduction"].item()
    with pytest.raises(QueryError, match="state it, between_studies="):
        next_study(made(spec, level=[[1.0]] * 9), [{"n": 10}], Target(to=None))


def test_several_studies_by_weights_equal_one_of_their_precision():
    # Normal results of known variance: three studies are one with a third of the noise.
    rng = np.random.default_rng(4)
    mean = rng.normal(1, 0.5, 8000)
    moments, groups = Moments(mean, np.zeros(8000)), np.arange(8000) % GROUPS
    three = learnt(moments, Law(mean, np.full((8000, 1), 0.2), 0.4, None), 3, groups, rng)
    one = learnt(moments, Law(mean, np.full((8000, 1), 0.2 / 3), 0.4 / 3, None), 1, groups, rng)
    assert three.reduction == pytest.approx(one.reduction, abs=3 * three.mcse)
    assert three.mcse < 0.02


def test_the_standard_error_is_the_spread_over_seeds():
    fit = normal(size=20_000)
    found = [
        next_study(fit, [{"n": 10}], Target(to=None), draws=1000, seed=seed).table
        for seed in range(30)
    ]
    spread = np.std([table["reduction"].item() for table in found], ddof=1)
    said = np.mean([table["mcse"].item() for table in found])
    # 30 seeds give a spread to 13%, and a jackknife over 20 groups has 16% of chance of its own.
    assert said == pytest.approx(spread, rel=0.4)


CANDIDATES = {"regimen": ["single", "repeated"], "delay": [1, "48 h"], "n": [10]}


@pytest.fixture(scope="module")
def fading():
    spec = ModelSpec(
        peak="regimen + (1 | study)", half_life="regimen", decay="exponential",
        likelihood="normal",
        priors=PRIORS | {"peak_contrast": p.normal(0, 2), "half_life": p.normal(1, 1),
                         "half_life_contrast": p.normal(0, 1)},
    )  # fmt: skip
    rng, size = np.random.default_rng(8), 2000
    one, two = rng.normal(0, 0.4, size), rng.normal(0, 0.5, size)
    return made(
        spec,
        measure="SMD",
        level=np.column_stack([2 + rng.normal(0, 0.3, size), one, -one]),
        log2_half_life=np.column_stack([1 + rng.normal(0, 0.5, size), two, -two]),
        tau=np.abs(rng.normal(0.5, 0.1, size)),
    )


PAIR = Target("contrast", to=None, delay=2, pair={"regimen": ("repeated", "single")})


def test_candidates_may_come_as_a_table_as_rows_or_as_lists(fading):
    frame = pd.DataFrame(
        {
            "regimen": ["single", "single", "repeated", "repeated"],
            "delay": ["1 d", "2 d", "1 d", "2 d"],
            "n": [10] * 4,
        }
    )
    one = next_study(fading, CANDIDATES, PAIR, seed=2)
    for other in (frame, frame.to_dict("records")):
        again = next_study(fading, other, PAIR, seed=2)
        pd.testing.assert_frame_equal(again.table, one.table)
    assert list(one.table["rank"]) == [1, 2, 3, 4]
    assert one.table["reduction"].is_monotonic_decreasing
    assert list(one.table.columns) == [
        "regimen", "delay", "n", "k", "reduction", "mcse", "sd_now", "sd_after", "rank",
        "beyond_data",
    ]  # fmt: skip
    assert one.table["delay"].tolist() != frame["delay"].tolist()  # in days
    assert not next_study(fading, CANDIDATES, PAIR, seed=3).table.equals(one.table)
    assert "no experiment in animals can take away" in str(one)


def test_beyond_the_delays_of_the_data_is_a_column_and_a_note(fading):
    found = next_study(fading, {"regimen": "single", "delay": [1, 90], "n": 10}, PAIR)
    by_delay = found.table.set_index("delay")["beyond_data"]
    assert by_delay.to_dict() == {1.0: False, 90.0: True}
    assert any("1 of 2 candidates measure outside" in note for note in found.notes)
    with pytest.warns(ExtrapolationWarning, match="outside the delays"):
        next_study(fading, CANDIDATES, Target(to=None, delay=90, at={"regimen": "single"}))


def test_a_half_life_of_the_animals_and_of_people(fading):
    animals = Target("half_life", to=None, at={"regimen": "single"})
    found = next_study(fading, CANDIDATES, animals, seed=2)
    own = fading.posterior["log2_half_life"].values[0]
    # 8000 particles of 2000 draws: an SD to about 2%.
    assert found.table["sd_now"][0] == pytest.approx((own[:, 0] + own[:, 2]).std(), rel=0.06)
    assert found.table["regimen"][0] == "single"  # whose half-life it is
    people = next_study(fading, CANDIDATES, replace(animals, to="human"), seed=2)
    assert people.irreducible == 0
    assert people.table["sd_now"][0] > found.table["sd_now"][0]
    assert any("goes with how time and doses scale" in note for note in people.notes)


def test_every_fault_of_the_candidates_is_told_at_once(fading):
    rows = [
        {"regimen": "singel", "delay": "soon", "n": 1, "k": 0},
        {"regimen": None, "delay": None, "n": "many", "k": 1.5, "species": "human"},
        {"regimen": "single", "delay": 1, "n": 8, "species": "unicorn"},
        {"regimen": "single", "delay": 1, "n": 8, "species": "Rats"},
    ]
    with pytest.raises(TableError, match="unicorn") as caught:
        next_study(fading, rows, PAIR)
    told = [(fault.row, fault.column) for fault in caught.value.faults]
    assert told == [
        ("1", "n"), ("1", "k"), ("1", "regimen"), ("1", "delay"),
        ("2", "n"), ("2", "k"), ("2", "species"), ("2", "regimen"), ("2", "delay"),
        ("3", "species"), ("4", "species"),
    ]  # fmt: skip
    text = str(caught.value)
    assert "did you mean 'single'?" in text
    assert "write 'rat'" in text
    assert "is no experiment in animals" in text


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ({"regimen": "single", "delay": 1}, "column 'n': is missing"),
        ({"regimen": "single", "n": 8}, "column 'delay': is missing"),
        ({"delay": 1, "n": 8}, "column 'regimen': is missing"),
        ({"regimen": "single", "delay": 1, "n": 8, "rout": "i.p."}, "column 'rout': is no cov"),
        ({"regimen": "single", "delay": [-1], "n": 8}, "'-1' is no delay"),
        ([], "there is none"),
        ({"n": []}, "there is none"),
        (7, "a int is no table"),
        ("n = 8", "a str is no table"),
    ],
)
def test_what_is_no_candidate(fading, candidates, message):
    with pytest.raises(TableError, match=message):
        next_study(fading, candidates, PAIR)


def test_data_that_do_not_say_their_species(fading):
    rows = ROWS.drop(columns="species")
    fit = made(
        fading.spec, rows, "SMD",
        **{name: fading.posterior[name].values[0] for name in ("level", "log2_half_life", "tau")},
    )  # fmt: skip
    candidate = {"regimen": "single", "delay": 1, "n": 8}
    with pytest.raises(TableError, match="do not say of which species they are; say which"):
        next_study(fit, [candidate | {"species": "rat"}], PAIR)
    named = next_study(fit, [candidate | {"species": "rat"}], PAIR, species="rat", seed=1)
    plain = next_study(fit, [candidate], PAIR, seed=1)
    assert named.table["reduction"].item() == plain.table["reduction"].item()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"of": "curve"}, "of = 'curve'"),
        ({"of": "contrast"}, "has a pair"),
        ({"pair": {"regimen": ("a", "b")}}, "has a pair"),
        ({"of": "contrast", "pair": {"regimen": "a"}}, "one covariate and its two levels"),
        ({"of": "half_life", "delay": 3}, "drop delay = 3"),
        ({"delay": [1, 2]}, "a target is one number"),
        ({"at": {"regimen": ["a", "b"]}}, "a target is one number"),
    ],
)
def test_what_is_no_target(parts, message):
    with pytest.raises(QueryError, match=message):
        Target(**parts)


def test_what_cannot_be_asked(fading):
    constant = made(level=[[1.0]] * 9, tau=[0.5] * 9)
    with pytest.raises(QueryError, match=r"use bm.Target"):
        next_study(fading, CANDIDATES, "effect")
    with pytest.raises(QueryError, match="at least 1000"):
        next_study(fading, CANDIDATES, PAIR, draws=10)
    with pytest.raises(QueryError, match="there is nothing to reduce"):
        next_study(constant, [{"n": 8}], Target(to=None))
    with pytest.raises(QueryError, match="has no half-life"):
        next_study(constant, [{"n": 8}], Target("half_life", to=None))
    with pytest.raises(QueryError, match="how far a new species"):
        next_study(normal(), [{"n": 8, "species": "dog"}], Target(to=None))
    bare = made(rows=ROWS.drop(columns=["n_treated", "n_control"]), level=[[1.0]] * 9, tau=[1] * 9)
    with pytest.raises(QueryError, match="the rows have no group sizes"):
        next_study(bare, [{"n": 8}], Target(to=None))


def test_common_and_own_deviations_make_the_species_of_the_core():
    fit = normal(measure="SMD")
    target = Target(to="dog")
    asked = question_for(fit, target, None, None, NO_DOUBT, None)
    read = candidates_of(asked, [{"n": 8}])
    rng = np.random.default_rng(0)
    particles = particles_for(asked, target, read, 20_000, rng)
    sought = sought_of(asked, target)
    whole = sought.prediction(innovations(20_000, rng)).effect
    moments = sought.moments(particles)
    met = sought.moments(particles, met=True)
    # 20,000 draws: variances to 1%.
    assert moments.total == pytest.approx(whole.var(), rel=0.05)
    assert met.total == pytest.approx(whole.var(), rel=0.05)
    assert moments.variance == pytest.approx(0.8**2, rel=1e-3)  # the prior of sigma is that narrow


def test_a_contrast_in_people_is_that_of_the_animals_where_it_translates(fading):
    given = Assumptions(no_translation=0.2, between_species=None, no_scaling=1.0)
    target = replace(PAIR, to="human")
    asked = question_for(fading, target, None, None, given, None)
    read = candidates_of(asked, CANDIDATES)
    particles = particles_for(asked, target, read, 2000, np.random.default_rng(0))
    moments = sought_of(asked, target).moments(particles)
    sides = [effect_at(fading, points_of(grid(fading, **side))).ravel() for side in target.sides]
    own = (sides[0] - sides[1])[particles.draw]
    np.testing.assert_allclose(moments.mean, 0.8 * own, rtol=1e-9)  # delta is on both sides
    np.testing.assert_allclose(moments.variance, 0.8 * 0.2 * own**2, rtol=1e-6, atol=1e-12)


def test_a_dose_in_another_species_is_equivalent_by_km():
    spec = ModelSpec(
        peak="log(dose) + (1 | study)", decay="none", likelihood="normal", priors=PRIORS
    )
    doses = [1.0, 2, 4, 8, 16, 32]
    rows = ROWS.assign(species="rat", dose=doses, dose_unit="mg/kg")
    fit = made(spec, rows, "SMD", level=[[1.0, 0.6]] * 50, tau=[0.5] * 50)
    target = Target(to="dog")
    given = Assumptions(between_species=None, dose_spread=0.0)
    asked = question_for(fit, target, "1 mg/kg", None, given, None)
    read = candidates_of(
        asked,
        [{"n": 9, "species": "rabbit", "dose": "3 mg/kg"}, {"n": 9, "species": "rat", "dose": 6}],
    )
    particles = particles_for(asked, target, read, 1000, np.random.default_rng(0))
    told = outcomes_of(asked, None)
    elsewhere, here = (law_of(asked, one, told, particles).mean[0] for one in read.each)
    assert elsewhere == pytest.approx(here)  # 3 x 12 / 6, FDA 2005, table 1
    assert here != pytest.approx(1.0)
    with pytest.raises(TableError, match=r"'3 mg'"):
        candidates_of(asked, [{"n": 9, "species": "rabbit", "dose": "3 mg"}])


def test_a_delay_stands_as_given_where_effects_do_not_fade():
    found = next_study(normal(), [{"n": 10, "delay": "2 d"}], Target(to=None))
    assert found.table["delay"].tolist() == ["2 d"]
    assert "beyond_data" not in found.table
    assert found.assumptions is None


@pytest.mark.slow
def test_refits_by_sampling_agree_on_the_exact_likelihood():
    """Eight studies, and a ninth with five results: the sampler again beside the draws weighed."""
    rows = load_dataset("simulated_decay").frame
    rows = rows[rows["study"].isin(sorted(rows["study"].unique())[:8])]
    spec = ModelSpec(peak="regimen + (1 | study)", half_life="regimen", decay="exponential")
    target = Target("contrast", to=None, delay=3, pair={"regimen": ("repeated", "single")})

    before = design(spec, effect_sizes(rows))

    def plan_with(d):
        new = rows.iloc[[0]].assign(
            row_id="new", study="new", regimen="repeated", delay=14.0, mean_treated=d,
            mean_control=0.0, sd_treated=1.0, sd_control=1.0, n_treated=40.0, n_control=40.0,
        )  # fmt: skip
        both = pd.concat([rows, new], ignore_index=True)
        plan = replace(design(spec, effect_sizes(both)), references=before.references)
        return replace(plan, points=plan.at(plan.frame))

    nine = plan_with(0.0)
    assert nine.groups.labels[0].index("new") == 8
    engine = compiled(nine)

    def sampled(plan, seed, **without):
        settings = Settings(seed=seed, draws=1000, tune=500, target_accept=0.9, progress=False)
        return sample(engine.with_data(**data_of(plan), **without), settings)

    def sampled_before(seed):
        """One compile for both: the ninth study left out, with its scale."""
        tree = sampled(nine, seed, **without_group(nine, 8))
        posterior = tree["posterior"].dataset.isel(q_own_of=slice(len(rows)))
        statistics = tree["sample_stats"].dataset
        groups = {"posterior": posterior, "sample_stats": statistics}
        return Fit(xr.DataTree.from_dict(groups), before)

    def spread(fit):
        sides = [effect_at(fit, points_of(grid(fit, **side))).ravel() for side in target.sides]
        return (sides[0] - sides[1]).var()

    fits = [sampled_before(seed) for seed in (1, 2, 3)]
    asked = question_for(fits[0], target, None, None, None, None)
    read = candidates_of(asked, [{"regimen": "repeated", "delay": 14, "n": 40}])
    particles = particles_for(asked, target, read, 16_000, np.random.default_rng(1))
    moments = sought_of(asked, target).moments(particles)
    law = law_of(asked, read.each[0], outcomes_of(asked, None), particles)
    drawn = law.draws(np.arange(16_000), np.random.default_rng(1))
    results = np.quantile(drawn, (np.arange(5) + 0.5) / 5)
    weighed = variances_after(moments, law, results).mean() / moments.total

    plans = [plan_with(d) for d in results]
    after = np.mean([spread(Fit(sampled(plan, 4 + i), plan)) for i, plan in enumerate(plans)])
    fitted = after / np.mean([spread(fit) for fit in fits])
    # Each variance has some 4% of chance (4000 draws, about half as many effective, longer tails
    # than normal): five after and three before, three standard errors.
    assert fitted == pytest.approx(weighed, rel=3 * 0.04 * np.sqrt(1 / 5 + 1 / 3))
    # What is learnt is more than that chance.
    assert weighed < 0.9


def test_results_without_a_bound_are_refused_by_candidate():
    fit = made(
        ModelSpec(peak="1 + (1 | study)", likelihood="normal",
                  priors=PRIORS | {"half_life": p.normal(1, 1)}),
        measure="SMD", level=np.full((2000, 1), 2.0) + np.linspace(-0.1, 0.1, 2000)[:, None],
        log2_half_life=np.repeat([[-13.0], [1.0]], 1000, axis=0), tau=np.full(2000, 0.5),
    )  # fmt: skip
    delays = {"delay": [1.0, 0.0, "1 min"], "n": [8], "species": ["rat", "dog"]}
    with pytest.raises(TableError) as caught:
        next_study(fit, delays, Target("effect", delay=4), species="rat", draws=1000)
    assert str(caught.value).count("of the draws the effect runs off towards delay 0") == 4


@pytest.mark.parametrize("studies", [1, 4])
def test_means_many_orders_of_magnitude_apart(studies):
    """As towards delay 0: means exp(5 z), results of SD 0.7, the target z, by sums over a grid."""
    rng, size = np.random.default_rng(0), 3000
    z = rng.standard_normal(size)
    law = Law(np.exp(5 * z), np.full((size, 1), 0.29), 0.2, None)
    moments = Moments(z, np.zeros(size))
    found = learnt(moments, law, studies, np.arange(size) % GROUPS, np.random.default_rng(1))
    grid_z = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    true = grid_z[20::40]
    y = np.exp(5 * true) + rng.standard_normal(len(true)) * np.sqrt(0.49 / studies)
    log = -0.5 * (y - np.exp(5 * grid_z)[:, None]) ** 2 * studies / 0.49
    weight = np.exp(log - log.max(axis=0))
    mean = grid_z @ weight / weight.sum(axis=0)
    assert 0 < found.reduction < 1
    # 4 standard errors; the grid's own are below 0.01.
    assert found.reduction == pytest.approx((mean**2).mean(), abs=4 * found.mcse + 0.01)
