from dataclasses import replace
from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fits import EIGHT_ROWS, prior_fit
from scipy import stats
from scipy.special import ndtri

import bayesma as bm
from bayesma import priors as p
from bayesma.effects import effect_sizes
from bayesma.errors import QueryError
from bayesma.posterior import Fit
from bayesma.translation import Assumptions, Budget, translate, uncertainty_budget
from bayesma.translation.doubts.shapley import coefficients, interactions, shapley_effects
from bayesma.translation.pathway.innovations import FACTORS
from bayesma.translation.pathway.prediction import Predicted

# A share lies within this many Monte Carlo standard errors of the truth: they have 15 degrees of
# freedom (16 batches), so P(|t| > 5) = 0.00016 for each of the some hundred numbers below.
ERRORS = 5


def near(found, truth, mcse, floor=1e-12):
    return np.all(np.abs(found - np.asarray(truth)) <= ERRORS * mcse + floor)


# -- the numeric core ------------------------------------------------------------------------------


def test_the_coefficients_are_jansens_estimators_and_owens_mean_over_orderings():
    d = 4
    values = np.random.default_rng(1).normal(size=(2**d, 3))  # any values of f: an identity
    subsets = np.arange(2**d)

    def left(u):  # T_u, from its definition: all pairs that differ in u
        return ((values - values[subsets ^ u]) ** 2).mean(axis=0) / 2

    b = interactions(values) ** 2
    weights = coefficients(d)
    whole = left(2**d - 1)
    owed = np.zeros((d, 3))
    for order in permutations(range(d)):
        known = 0
        for i in order:
            owed[i] += (left(known | 1 << i) - left(known)) / factorial(d)
            known |= 1 << i
    # 1e-12: sums of 16 numbers of order 1.
    np.testing.assert_allclose(weights["shapley"] @ b, owed, atol=1e-12)
    np.testing.assert_allclose(weights["variance"] @ b, whole[None], atol=1e-12)
    for i in range(d):
        np.testing.assert_allclose(weights["total"][i] @ b, left(1 << i), atol=1e-12)
        first = whole - left((2**d - 1) ^ (1 << i))
        np.testing.assert_allclose(weights["first_order"][i] @ b, first, atol=1e-12)


def test_a_sum_has_its_variances_as_shares_and_no_interactions():
    def f(x):
        return (ndtri(x[0]) + 2 * ndtri(x[1][:, [1]]) + 3 * ndtri(x[2])) @ np.ones((1, 1)) + 7

    found = shapley_effects(f, [1, 2, 1], size=4096, seed=1)
    assert near(found.shapley[:, 0], np.array([1, 4, 9]) / 14, found.shapley_mcse[:, 0])
    assert near(found.variance, 14, found.variance_mcse)
    # Without interactions the three are one number for any draws, to rounding.
    np.testing.assert_allclose(found.first_order, found.shapley, atol=1e-12)
    np.testing.assert_allclose(found.total, found.shapley, atol=1e-12)


def test_a_product_is_all_interaction():
    found = shapley_effects(lambda x: ndtri(x[0]) * ndtri(x[2]), [1, 1, 1], size=16384, seed=1)
    assert near(found.shapley[:, 0], [0.5, 0, 0.5], found.shapley_mcse[:, 0])
    assert found.inert == (1,)
    assert found.shapley[1, 0] == found.total[1, 0] == found.first_order[1, 0] == 0
    # The standard error of 1 - T_2 / T_12 over seeds is 0.005 at this size (measured once).
    assert np.abs(found.first_order[:, 0]).max() < 0.025
    assert np.abs(found.total[[0, 2], 0] - 1).max() < 0.025


def ishigami(x):
    one, two, three = (np.pi * (2 * part - 1) for part in x)
    return np.sin(one) + 7 * np.sin(two) ** 2 + 0.1 * three**4 * np.sin(one)


def test_ishigamis_function_has_its_published_indices():
    a, b = 7.0, 0.1
    v1, v2 = (1 + b * np.pi**4 / 5) ** 2 / 2, a**2 / 8
    v13 = 8 * b**2 * np.pi**8 / 225
    whole = v1 + v2 + v13
    found = shapley_effects(ishigami, [1, 1, 1], size=16384, seed=1)
    truth = np.array([v1 + v13 / 2, v2, v13 / 2]) / whole  # the one interaction is shared alike
    assert near(found.shapley[:, 0], truth, found.shapley_mcse[:, 0])
    assert near(found.variance, whole, found.variance_mcse)
    # Sobol & Levitan 1999: 0.3139, 0.4424, 0; total 0.5576, 0.4424, 0.2437. The standard error of
    # either over seeds is below 0.002 at this size (measured once).
    assert np.abs(found.first_order[:, 0] - [0.3139, 0.4424, 0]).max() < 0.01
    assert np.abs(found.total[:, 0] - [0.5576, 0.4424, 0.2437]).max() < 0.01


def test_three_factors_by_nested_simulation():
    def values(x):  # interactions of two and of three
        return x[0] * np.exp(x[1] / 2) + x[0] * x[1] * x[2] + x[2] ** 2

    rng = np.random.default_rng(2)
    outer, inner = 8000, 100
    explained = {(): 0.0}
    for subset in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2)):
        x = rng.normal(size=(3, outer, inner))
        for i in subset:
            x[i] = x[i][:, :1]
        y = values(x)
        # Var(E[f | x_u]): less the noise of the inner means.
        explained[subset] = y.mean(axis=1).var() - y.var(axis=1, ddof=1).mean() / inner
    whole = explained[(0, 1, 2)] = values(rng.normal(size=(3, 2_000_000))).var()
    owed = np.zeros(3)
    for order in permutations(range(3)):
        for place, i in enumerate(order):
            before, after = (tuple(sorted(order[:stop])) for stop in (place, place + 1))
            owed[i] += (explained[after] - explained[before]) / whole / 6
    found = shapley_effects(lambda x: values([ndtri(one) for one in x]), [1] * 3, size=32768)
    # The nested simulation has a standard error below 0.008 in a share (over 12 seeds).
    np.testing.assert_allclose(found.shapley[:, 0], owed, atol=0.03)
    # By moments: E[e^x1] for the product with e^(x1/2); Cov(x0 e^(x1/2), x0 x1 x2) = 0.
    assert near(found.variance, np.exp(0.5) + 1 + 2, found.variance_mcse)


def test_the_standard_errors_are_those_over_seeds():
    runs = [shapley_effects(ishigami, [1, 1, 1], size=512, seed=seed) for seed in range(60)]
    spread = np.std([run.shapley[:, 0] for run in runs], axis=0)
    said = np.mean([run.shapley_mcse[:, 0] for run in runs], axis=0)
    # 60 runs tell a standard deviation to 9%, and a mean of those with 15 degrees of freedom to 3%.
    assert np.all((spread / said > 0.7) & (spread / said < 1.35))
    assert len({run.shapley[0, 0] for run in runs}) == 60


def test_shares_add_to_one_and_none_is_negative():
    def f(x):  # one output is heavy, and there are fewer draws than it takes
        z = ndtri(np.hstack(x))
        return np.stack([np.exp(2 * z.sum(axis=1)), z[:, 0] * z[:, 1] + z[:, 3]], axis=1)

    found = shapley_effects(f, [1, 1, 2], size=256, seed=3)
    np.testing.assert_allclose(found.shapley.sum(axis=0), 1, atol=1e-12)  # rounding
    assert (found.shapley >= 0).all()
    # exp(2 z) of four: a few pairs carry everything.
    assert found.heaviest[0] > 0.1 > found.heaviest[1]


def test_what_is_infinite_or_constant_has_no_shares_and_spoils_no_other_output():
    def f(x):
        infinite = np.where(x[0] < 0.01, np.inf, x[0])
        return np.hstack([infinite, np.full_like(x[0], 3.0), x[0] + x[1]])

    found = shapley_effects(f, [1, 1], size=256, seed=1)
    for shares in (found.shapley, found.first_order, found.total, found.shapley_mcse):
        assert np.isnan(shares[:, :2]).all()
        assert np.isfinite(shares[:, 2]).all()
    still = shapley_effects(lambda x: 0 * x[0], [1, 1], size=256)
    assert still.inert == (0, 1)
    assert np.isnan(still.shapley).all()


def test_pieces_do_not_change_the_numbers(monkeypatch):
    whole = shapley_effects(ishigami, [1, 1, 1], size=512)
    monkeypatch.setattr("bayesma.translation.doubts.shapley.LIMIT", 60)
    pieces = shapley_effects(ishigami, [1, 1, 1], size=512)
    # Sums in another order.
    np.testing.assert_allclose(pieces.shapley, whole.shapley, rtol=1e-10)
    np.testing.assert_allclose(pieces.heaviest, whole.heaviest, rtol=1e-10)


# -- the budget of a translation -------------------------------------------------------------------

# Quantiles of a normal posterior: mean 1.5, SD 0.4 but for the discreteness, which `LEVELS` has.
LEVELS = 1.5 + 0.4 * stats.norm.ppf((np.arange(200) + 0.5) / 200)


def drawn_fit(spec, rows=EIGHT_ROWS, **draws):
    """A fit with all its groups, whose posterior draws are these."""
    count = len(next(iter(draws.values())))
    fit = prior_fit(effect_sizes(rows), spec, draws=count, chains=1)
    posterior = fit.tree["posterior"].dataset
    for name, values in draws.items():
        posterior = posterior.assign({name: posterior[name].copy(data=np.array([values]))})
    groups = {"posterior": posterior, "sample_stats": fit.tree["sample_stats"].dataset}
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.tree.attrs
    return Fit(tree, fit.design)


@pytest.fixture(scope="module")
def flat():
    """No decay, no species, no tau: everything that is added is a number of the assumptions."""
    return drawn_fit(bm.ModelSpec(peak="1", decay="none"), level=LEVELS[:, None])


def shares_of(budget):
    return dict(zip(budget.table["factor"], budget.table["shapley"], strict=True))


def test_a_sum_that_may_fail_to_translate_in_closed_form(flat):
    fails, given = 0.3, Assumptions(
        no_translation=0.3, between_species=p.HalfNormal(0.7), between_trials=p.HalfNormal(0.6),
        discrepancy=p.Normal(0.2, 0.9),
    )  # fmt: skip
    told = translate(flat, species="rat", assumptions=given, draws=100)
    found = uncertainty_budget(told, "trial", size=16384, seed=2)
    # trial = T (m + e) + delta + z, e = sigma sqrt(2) z (from one species), with T, m, e, delta
    # and z independent: Var(T (m + e)) = q (Vm + Ve) + q (1 - q) mu^2, whose interactions of
    # T with m and with e are q (1 - q) Vm and q (1 - q) Ve.
    q, mean, of_fit = 1 - fails, LEVELS.mean(), LEVELS.var()
    form = told.prediction.forms[0]
    of_species = 2 * (form.sigma**2).mean()
    of_trial = (form.trials.stated**2).mean()
    whole = q * (of_fit + of_species) + q * (1 - q) * mean**2 + 0.9**2 + of_trial
    both = q * (1 - q) * np.array([of_fit, of_species])
    truth = {
        "fit": (q**2 * of_fit, both[0]),
        "species": (q**2 * of_species, both[1]),
        "no translation": (q * (1 - q) * mean**2, both.sum()),
        "discrepancy": (0.9**2, 0),
        "new study": (of_trial, 0),
    }
    table = found.table.set_index("factor")
    for name, (alone, shared) in truth.items():
        row = table.loc[name]
        assert near(row["shapley"], (alone + shared / 2) / whole, row["shapley_mcse"]), name
        # Over seeds their standard errors are below 0.002 at this size (measured once).
        assert row["first_order"] == pytest.approx(alone / whole, abs=0.01), name
        assert row["total"] == pytest.approx((alone + shared) / whole, abs=0.01), name
    assert near(found.variance["variance"], whole, found.variance["mcse"])
    for name in ("scaling", "decay form", "dose"):
        assert (table.loc[name, ["shapley", "first_order", "total", "shapley_mcse"]] == 0).all()
    assert found.notes[0] == "exactly 0, for they move nothing here: scaling, decay form, dose"
    # The new study concerns that trial alone.
    effect = uncertainty_budget(told, size=256)
    assert shares_of(effect)["new study"] == 0


@pytest.fixture(scope="module")
def fading():
    """Half-lives of single and repeated: SD 1 about 2^-1 and 2^2 days, on log2."""
    rng = np.random.default_rng(5)
    half = rng.normal(size=(400, 1)) * [1, 0, 0] + [0.5, 1.5, -1.5]
    level = rng.normal(size=(400, 1)) * [0.3, 0, 0] + [1.5, 0.5, -0.5]
    spec = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen")
    return drawn_fit(spec, level=level, log2_half_life=half, tau=np.full(400, 0.5))


def test_a_half_life_is_the_fits_and_its_scaling(fading):
    told = translate(fading, delay=[3, 4], regimen=["single", "repeated"], species="rat", draws=10)
    found = uncertainty_budget(told, "half_life", size=16384)
    assert found.variance["regimen"].tolist() == ["single", "repeated"]
    assert "delay" not in found.table
    # log2 h + b log2(60 / 0.15), b = 0 with probability .5, else N(.26, .16).
    b = 0.5 * (0.16**2 + 0.26**2) - 0.13**2
    scaling = b * np.log2(60 / 0.15) ** 2
    own = fading.posterior["log2_half_life"].values[0, :, 0].var()
    wide = found.wide
    for point in range(2):
        assert wide["scaling"][point] == pytest.approx(scaling / (own + scaling), abs=0.0125)
        assert wide["fit"][point] == pytest.approx(own / (own + scaling), abs=0.0125)
        assert found.variance["variance"][point] == pytest.approx(own + scaling, rel=0.035)
    # 0.0125 and 3.5% are five standard errors and more:
    assert found.table["shapley_mcse"].max() < 0.0025
    assert (found.variance["mcse"] / found.variance["variance"]).max() < 0.007
    assert found.units == "log2 d"
    assert "no translation, discrepancy, decay form, dose" in found.notes[0]


def test_the_form_of_the_decay_is_a_factor_of_its_own(fading):
    longer = drawn_fit(
        fading.spec,
        level=fading.posterior["level"].values[0],
        log2_half_life=fading.posterior["log2_half_life"].values[0] + [2.0, 0, 0],
        tau=np.full(400, 0.5),
    )
    told = translate(
        {"short": fading, "long": longer}, weights={"short": 3, "long": 1}, delay=1,
        regimen="single", species="rat", assumptions=Assumptions(no_scaling=1.0), draws=10,
    )  # fmt: skip
    found = shares_of(uncertainty_budget(told, "half_life", size=16384))
    own = fading.posterior["log2_half_life"].values[0, :, 0].var()
    form = 0.25 * 0.75 * 2.0**2  # two values 2 apart
    assert found["decay form"] == pytest.approx(form / (form + own), abs=0.01)  # mcse below 0.002
    assert found["scaling"] == 0


def test_the_table_is_of_the_translations_points_and_adds_to_one(fading):
    # Within both regimens' data.
    told = translate(fading, delay=[3, 3.5, 4], regimen=["single", "repeated"], species="rat",
                     draws=4000, seed=4)  # fmt: skip
    found = uncertainty_budget(told, size=4096)
    points = told.summary()[["regimen", "delay"]]
    pd.testing.assert_frame_equal(found.variance[["regimen", "delay"]], points, check_dtype=False)
    assert found.table["factor"].tolist() == list(FACTORS) * 6
    sums = found.table.groupby(["regimen", "delay"], sort=False)["shapley"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-12)  # rounding
    # The variance is that of the translation's own draws: 4000 of them, tails a little heavier
    # than normal, tell it to some 4%.
    own = told.effect.values[0].var(axis=0)
    np.testing.assert_allclose(found.variance["variance"], own, rtol=0.15)
    np.testing.assert_allclose(found.variance["sd"] ** 2, found.variance["variance"])
    again = uncertainty_budget(told, size=4096)
    pd.testing.assert_frame_equal(found.table, again.table)
    other = uncertainty_budget(told, size=4096, seed=1)
    assert not found.table["shapley"].equals(other.table["shapley"])
    assert found.units == "SMD"


def test_it_prints_wide_with_all_three_measures(fading):
    told = translate(fading, delay=[3, 7], regimen="repeated", species="rat", draws=10)
    found = uncertainty_budget(told, size=512)
    lines = str(found).splitlines()
    assert lines[0].startswith("Mean effect: where its doubt comes from, % of the variance")
    assert "dose" not in lines[1]
    assert "new study" not in lines[1]
    row = found.table.query("factor == 'discrepancy' and delay == 7").iloc[0]
    share, first, total = (round(100 * row[k]) for k in ("shapley", "first_order", "total"))
    assert f"{share} ({first}, {total})" in lines[3]
    assert lines[-1].startswith("Monte Carlo: 512 pairs of draws, standard error of a share up to")


def test_an_update_is_left_out_and_said(flat):
    told = translate(flat, species="rat", draws=10)
    updated = replace(told, updated=True)
    found = uncertainty_budget(updated, size=256)
    pd.testing.assert_frame_equal(found.table, uncertainty_budget(told, size=256).table)
    assert "human evidence is left out" in found.notes[0]


def test_a_dose_is_a_label_and_a_doubt():
    fit = drawn_fit(
        bm.ModelSpec(peak="dose", decay="none"), EIGHT_ROWS.assign(dose_unit="mg/kg"),
        level=np.column_stack([LEVELS, 0.5 + 0.0 * LEVELS]),
    )  # fmt: skip
    told = translate(fit, dose="0.5 mg/kg", species="rat", draws=10)
    assert "dose" in told.effect.coords
    found = uncertainty_budget(told, size=512)
    assert found.wide["dose (doubt)"].iloc[0] == shares_of(found)["dose"] > 0
    assert "dose (doubt)" in str(found)


def doctored(flat, values):
    """A translation whose prediction is any function of its innovations."""
    told = translate(flat, species="rat", draws=10)

    def prediction(at):
        carried = values({name: part[:, [0]] for name, part in at.parts.items()})
        zero = np.zeros_like(carried)
        return Predicted(carried, zero, zero[:, :1], zero, zero, None)

    return replace(told, prediction=prediction)


def test_tails_that_hang_on_rare_draws_are_named(flat):
    heavy = doctored(flat, lambda u: np.exp(3 * ndtri(u["fit"])) + u["species"])
    found = uncertainty_budget(heavy, size=1024)
    (said,) = [note for note in found.notes if note.startswith("heavy tails")]
    assert "at 1 of 1 points one of 1024 pairs of draws carries" in said
    light = doctored(flat, lambda u: ndtri(u["fit"]) * ndtri(u["species"]) + ndtri(u["dose"]))
    for size in (256, 1024, 8192):
        notes = uncertainty_budget(light, size=size).notes
        assert not any("heavy" in note for note in notes), size


def test_an_infinite_effect_has_no_budget_and_says_so(flat):
    told = doctored(flat, lambda u: np.where(u["fit"] < 0.01, np.inf, u["species"]))
    found = uncertainty_budget(told, size=256)
    assert found.table["shapley"].isna().all()
    assert any("no finite variance above 0 to share out at this point" in n for n in found.notes)
    assert not any("Monte Carlo" in note for note in found.notes)
    assert " - " in str(found) + " "


def test_what_is_no_question_is_refused(flat, fading):
    told = translate(flat, species="rat", draws=10)
    with pytest.raises(QueryError, match="a budget is of a translation, not of a Fit"):
        uncertainty_budget(flat)
    with pytest.raises(QueryError, match=r"of = 'trail' is unknown.*trial"):
        uncertainty_budget(told, "trail")
    with pytest.raises(QueryError, match="no half-life"):
        uncertainty_budget(told, "half_life")
    with pytest.raises(QueryError, match="size = 100: at least 256"):
        uncertainty_budget(told, size=100)
    rows = EIGHT_ROWS.rename(columns={"regimen": "factor"})
    spec = bm.ModelSpec(peak="factor", decay="none")
    clash = translate(
        drawn_fit(spec, rows, level=np.zeros((5, 3))), species="rat", factor="single", draws=10
    )
    with pytest.raises(QueryError, match="a covariate named 'factor' would hide a column"):
        uncertainty_budget(clash)


def test_a_budget_is_a_record(flat):
    found = uncertainty_budget(translate(flat, species="rat", draws=10), size=256)
    assert isinstance(found, Budget)
    with pytest.raises(AttributeError, match="cannot assign"):
        found.of = "trial"
