import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray as xr
from fits import EIGHT_ROWS as ROWS
from fits import hand_fit
from scipy import stats

import bayesma as bm
from bayesma.coders import AVERAGE
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import ExtrapolationWarning, QueryError, UnseenLevelError
from bayesma.posterior import Fit
from bayesma.queries.curves import effect_at


@pytest.fixture
def fit():
    """Two draws. Levels: average, repeated, single; half-lives on log2 days, same order.

    Draw 0: single 2 at 0.5 d with half-life 2^(1 - 2) = 0.5 d, so its peak is 4; repeated 4 at
    3 d with half-life 2^(1 + 2) = 8 d. Draw 1: no difference, level 1, half-life 1 d.
    """
    return hand_fit(
        bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen"),
        level=[[3, 1, -1], [1, 0, 0]],
        log2_half_life=[[1, 2, -2], [0, 0, 0]],
        tau=[0.5, 2.0],
    )


@pytest.fixture
def plateau():
    """Draw 0: p = 1/4 (logit -log 3), half-life 2 d; draw 1: p = 3/4. Level 1 at 1 d."""
    return hand_fit(
        bm.ModelSpec(peak="1 + (1 | study)", decay="plateau"),
        level=[[1.0], [1.0]],
        log2_half_life=[[1.0], [1.0]],
        logit_persistent=[[-np.log(3)], [np.log(3)]],
        tau=[0.5, 2.0],
    )


# -- grids -----------------------------------------------------------------------------------------


def test_days_and_hours_run_to_the_end():
    assert bm.days(0, 1, step=0.25).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert len(bm.days(0, 0.7, step=0.1)) == 8  # 0.7 is not a multiple of the binary 0.1
    assert bm.hours(0, 48, step=24).tolist() == [0, 1, 2]


@pytest.mark.parametrize("bad", [(2, 1, 1), (-1, 1, 1), (0, 1, 0)])
def test_days_run_forward(bad):
    with pytest.raises(QueryError, match="delays run forward from 0"):
        bm.days(*bad)


def test_a_grid_is_every_combination(fit):
    at = bm.grid(fit, regimen=["single", "repeated"], delay=["12 h", 4.0])
    assert at["regimen"].values.tolist() == ["single", "single", "repeated", "repeated"]
    assert at["delay"].values.tolist() == [0.5, 4, 0.5, 4]
    # Single was measured from 0.5 to 4 d, repeated from 3 to 28 d.
    assert at["beyond_data"].values.tolist() == [False, False, True, False]


def test_an_unknown_covariate_lists_the_known(fit):
    with pytest.raises(QueryError, match=r"'specis' is not a covariate of this model; known: reg"):
        bm.grid(fit, specis="rat", regimen="single", delay=1)


def test_an_unseen_level_lists_the_known(fit):
    with pytest.raises(UnseenLevelError, match=r"regimen = 'singel' .* did you mean 'single'\?"):
        bm.grid(fit, regimen="singel", delay=1)


def test_what_the_effect_fades_by_must_be_named(fit):
    with pytest.raises(
        QueryError, match=r"fades differently by 'regimen': name it, e\.g\. regimen="
    ):
        bm.grid(fit, delay=1)


@pytest.mark.parametrize("delay", [-1, np.inf, np.nan, "-2 d"])
def test_delays_are_finite_and_not_negative(fit, delay):
    with pytest.raises(QueryError, match="delays are finite and 0 or more"):
        bm.grid(fit, regimen="single", delay=delay)


def test_an_empty_list_is_refused(fit):
    with pytest.raises(QueryError, match="an empty list asks for nothing"):
        bm.grid(fit, regimen=[], delay=1)


# -- curves ----------------------------------------------------------------------------------------


def test_a_curve_by_hand(fit):
    at = bm.grid(fit, regimen="single", delay=[0.5, 1, 4])
    curve = bm.decay_curve(fit, at)
    assert curve.dims == ("chain", "draw", "point")
    # Powers of two: exact.
    assert curve.values[0, 0].tolist() == [2, 1, 4 * 2.0**-8]
    assert curve.values[0, 1] == pytest.approx([1, 2**-0.5, 2**-3.5], rel=1e-15)
    repeated = bm.decay_curve(fit, bm.grid(fit, regimen="repeated", delay=[3, 11, 19]))
    assert repeated.values[0, 0].tolist() == [4, 2, 1]


def test_a_plateau_by_hand(plateau):
    curve = bm.decay_curve(plateau, bm.grid(plateau, delay=[1, 3, 5]))
    share = [[0.25 + 0.75 * 2 ** (-t / 2) for t in (1, 3, 5)],
             [0.75 + 0.25 * 2 ** (-t / 2) for t in (1, 3, 5)]]  # fmt: skip
    # exp2 of a difference of log2: a few ulp.
    expected = [[s / row[0] for s in row] for row in share]
    np.testing.assert_allclose(curve.values[0], expected, rtol=1e-14)


def test_a_curve_names_its_estimand(fit):
    curve = bm.decay_curve(fit, bm.grid(fit, regimen="single", delay=1))
    assert curve.attrs["estimand"].startswith("population mean effect (SMD); an association across")
    assert curve.attrs["units"] == curve.attrs["measure"] == "SMD"
    new = bm.decay_curve(fit, bm.grid(fit, regimen="single", delay=1), study="new", seed=1)
    assert new.attrs["estimand"].startswith("true effect in one experiment of a new study (SMD)")


def test_covariates_not_asked_about_are_averaged_as_in_the_data():
    # The rows hold 6 rats and 2 mice; terms average, mouse, rat.
    fit = hand_fit(
        bm.ModelSpec(peak="species + (1 | study)", decay="none"), level=[[1, 4, -4]], tau=[1.0]
    )
    at = bm.grid(fit)
    assert at["species"].values.tolist() == [AVERAGE]
    curve = bm.decay_curve(fit, at)
    assert curve.values.item() == pytest.approx(1 + 4 * 2 / 8 - 4 * 6 / 8, rel=1e-15)
    assert "averaged over species as in the data" in curve.attrs["estimand"]


def test_numeric_covariates_are_centred_on_the_data():
    fit = hand_fit(bm.ModelSpec(peak="dose + (1 | study)", decay="none"), level=[[1, 2]], tau=[1.0])
    curve = bm.decay_curve(fit, bm.grid(fit, dose=[2.5, 4.5]))
    assert curve.values[0, 0].tolist() == [1, 5]


def test_a_numeric_covariate_not_asked_about_stands_at_its_mean():
    fit = hand_fit(bm.ModelSpec(peak="dose + (1 | study)", decay="none"), level=[[1, 2]], tau=[1.0])
    assert bm.decay_curve(fit, bm.grid(fit)).values.item() == 1


def test_outside_the_delays_of_the_data_it_says_so(fit):
    at = bm.grid(fit, regimen=["single", "repeated"], delay=[4, 40])
    with pytest.warns(ExtrapolationWarning, match=r"2 of 4 points .*repeated: 3 to 28 d; single"):
        curve = bm.decay_curve(fit, at)
    assert curve["beyond_data"].values.tolist() == [False, True, False, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bm.decay_curve(fit, bm.grid(fit, regimen="single", delay=bm.days(0.5, 4, 0.5)))


def test_blanks_in_columns_the_model_does_not_use_change_nothing(fit):
    frame = fit.design.frame.assign(flag=None, remark=np.nan)
    np.testing.assert_array_equal(effect_at(fit, frame), effect_at(fit, fit.design.frame))


def test_a_covariate_that_is_no_number_is_refused():
    fit = hand_fit(bm.ModelSpec(peak="dose + (1 | study)", decay="none"), level=[[1, 2]], tau=[1.0])
    for wrong in (float("nan"), float("inf"), "much"):
        with pytest.raises(QueryError, match=r"dose = .*: this covariate is a finite number"):
            bm.grid(fit, dose=wrong)


def test_days_never_pass_their_end():
    assert bm.days(0, 28, 5).tolist() == [0, 5, 10, 15, 20, 25]
    assert bm.days(0, 1, 0.1)[-1] == pytest.approx(1, rel=1e-15)  # ten steps of 0.1 round
    assert len(bm.days(0, 28, 0.5)) == 57


def test_a_curve_needs_a_delay(fit):
    with pytest.raises(QueryError, match="the effect depends on the delay: name it"):
        bm.decay_curve(fit, bm.grid(fit, regimen="single"))


def test_a_new_study_adds_one_deviation_per_draw(fit):
    at = bm.grid(fit, regimen="single", delay=[0.5, 1])
    gap = bm.decay_curve(fit, at, study="new", seed=3) - bm.decay_curve(fit, at)
    # The same at every point of a draw: one subtraction's rounding.
    np.testing.assert_allclose(gap.values[..., 0], gap.values[..., 1], atol=1e-15)
    again = bm.decay_curve(fit, at, study="new", seed=3) - bm.decay_curve(fit, at)
    np.testing.assert_array_equal(gap, again)
    assert (gap.values[..., 0] != 0).all()


def test_a_new_study_has_the_spread_of_all_its_levels():
    size = 40_000
    rows = bm.ModelSpec(peak="1 + (1 | study/experiment)", decay="none")
    frame = ROWS.assign(experiment=["x", "y"] * 4)
    plan = design(rows, effect_sizes(frame))
    posterior = xr.Dataset(
        {
            "level": (("chain", "draw", "level_term"), np.zeros((1, size, 1))),
            "tau": (("chain", "draw"), np.full((1, size), 0.6)),
            "tau_experiment": (("chain", "draw"), np.full((1, size), 0.8)),
        },
        {"chain": [0], "draw": np.arange(size)},
    )
    fit = Fit(xr.DataTree.from_dict({"posterior": posterior}), plan)
    new = bm.decay_curve(fit, bm.grid(fit), study="new", seed=1)
    # sqrt(0.36 + 0.64) = 1; standard error of an SD 1 / sqrt(2 N); four of them.
    assert float(new.std()) == pytest.approx(1, abs=4 / np.sqrt(2 * size))


def test_tau_with_a_formula_scales_a_new_study():
    fit = hand_fit(
        bm.ModelSpec(peak="1 + (1 | study)", tau="regimen", decay="none"),
        level=[[0.0]],
        tau=[0.5],
        log_tau_ratio=[[0, np.log(2), -np.log(2)]],
    )
    new = bm.decay_curve(fit, bm.grid(fit, regimen=["repeated", "single"]), study="new", seed=1)
    repeated, single = new.values[0, 0]
    assert repeated / single == pytest.approx(4, rel=1e-14)  # two exponentials of logs


def drawn(spec, size, frame=ROWS, **numbers):
    """A fit of many equal draws."""
    plan = design(spec, effect_sizes(frame))
    arrays = {}
    for name, value in numbers.items():
        values = np.broadcast_to(value, (1, size, *np.shape(value)))
        dims = ("chain", "draw", f"{name}_term")[: values.ndim]
        arrays[name] = (dims, values)
    coords = {"chain": [0], "draw": np.arange(size)}
    return Fit(xr.DataTree.from_dict({"posterior": xr.Dataset(arrays, coords)}), plan)


def test_a_new_study_spreads_with_the_mean_where_heterogeneity_does():
    size = 40_000
    spec = bm.ModelSpec(peak="regimen + (1 | study)", decay="none", heterogeneity="proportional")
    fit = drawn(spec, size, level=[2.0, 1.0, -1.0], tau=0.6, kappa=0.4)
    at = bm.grid(fit, regimen=["repeated", "single"])
    new = bm.decay_curve(fit, at, study="new", seed=1)
    expected = np.sqrt(0.36 + 0.16 * np.array([3.0, 1.0]) ** 2)
    # Four standard errors of an SD.
    np.testing.assert_allclose(new.values[0].std(0), expected, rtol=4 / np.sqrt(2 * size))


def test_a_new_study_of_a_student_population_has_its_quantiles():
    size, nu = 40_000, 5.0
    spec = bm.ModelSpec(decay="none", population="student")
    fit = drawn(spec, size, level=[0.0], tau=0.6, nu=nu)
    new = bm.decay_curve(fit, bm.grid(fit), study="new", seed=1).values.ravel()
    for share in (0.5, 0.9, 0.99):
        quantile = stats.t.ppf(share, nu) * 0.6
        # Four binomial standard errors.
        blur = 4 * np.sqrt(share * (1 - share) / size)
        assert (new < quantile).mean() == pytest.approx(share, abs=blur)


def test_study_weights_name_the_study_that_is_discounted():
    frame = ROWS.assign(y=[1.0, 2.0, 1.5, 0.5, 12.5, 11.0, 0.8, 1.2])
    fit = drawn(bm.ModelSpec(decay="none", population="student"), 3, frame,
                level=[1.0], tau=0.5, nu=4.0)  # fmt: skip
    weights = bm.study_weights(fit)
    assert weights.dims == ("chain", "draw", "study")
    table = bm.summary(weights)
    assert table.loc[table["mean"].idxmin(), "study"] == "C"
    assert table["mean"].min() < 0.05
    assert "p_positive" not in table
    normal = hand_fit(bm.ModelSpec(decay="none"), level=[[1.0]], tau=[0.5])
    with pytest.raises(QueryError, match="a normal population discounts no study"):
        bm.study_weights(normal)


def test_a_small_study_effect_is_told_beside_the_curve():
    frame = ROWS.assign(n_treated=[4, 9, 4, 9, 4, 9, 4, 9], n_control=[4, 9, 4, 9, 4, 9, 4, 9])
    spec = bm.ModelSpec(decay="none", small_study="1/sqrt(n)")
    fit = drawn(spec, 4, frame, level=[1.0], tau=0.5, small_study=0.3)
    x = np.array([1 / np.sqrt(8), 1 / np.sqrt(18)])
    found = bm.small_study_effect(fit)
    # Rows of both sizes in equal number: mean and SD of two values.
    assert found.values == pytest.approx(0.3 * x.mean() / x.std(), rel=1e-13)
    assert found["animals"].item() == pytest.approx(x.mean() ** -2, rel=1e-13)
    curve = bm.decay_curve(fit, bm.grid(fit))
    assert curve.attrs["small_study"] == (
        "effects are those of a study of 11.5 animals; with probability 1.00 they are larger "
        "(more positive) in smaller studies"
    )
    assert bm.summary(curve).attrs["small_study"] == curve.attrs["small_study"]
    without = hand_fit(bm.ModelSpec(peak="1", decay="none"), level=[[1.0]])
    with pytest.raises(QueryError, match="this model has no small-study term"):
        bm.small_study_effect(without)


def test_a_dose_is_asked_about_within_its_drug():
    frame = ROWS.assign(drug=["a", "b"] * 4)
    fit = drawn(
        bm.ModelSpec(peak="1 + centred(log2(dose), drug) + (1 | study)", decay="none"),
        1, frame, level=[1.0, 0.5], tau=0.5,
    )  # fmt: skip
    # Drug a: doses 1 and 3; two doublings of dose are one unit of effect, at scale log2.
    at = bm.grid(fit, drug="a", dose=[1.0, 4.0])
    low, high = bm.decay_curve(fit, at).values[0, 0]
    assert high - low == pytest.approx(0.5 * 2, rel=1e-13)
    usual = bm.decay_curve(fit, bm.grid(fit)).item()
    assert usual == pytest.approx(1.0, rel=1e-14)
    with pytest.raises(UnseenLevelError, match="drug = 'c' is not in the data"):
        bm.grid(fit, drug="c", dose=1.0)


def test_a_column_that_only_makes_cells_has_no_contrast():
    frame = ROWS.assign(drug=["a", "b"] * 4)
    fit = drawn(
        bm.ModelSpec(peak="1 + centred(log2(dose), drug) + (1 | study)", decay="none"),
        1, frame, level=[1.0, 0.5], tau=0.5,
    )  # fmt: skip
    with pytest.raises(QueryError, match="drug says only within which cell"):
        bm.contrast(fit, bm.grid(fit), drug=("a", "b"))
    # At one dose the drugs do differ: a is at 4 two doublings and b one above their mean doses.
    at = bm.grid(fit, drug="a", dose=4.0)
    gap = np.log2([1, 3, 1, 3]).mean() - np.log2([2, 4, 2, 4]).mean()
    found = bm.contrast(fit, at, drug=("a", "b")).item()
    assert found == pytest.approx(-0.5 * gap, rel=1e-12)
    estimand = bm.decay_curve(fit, bm.grid(fit)).attrs["estimand"]
    assert "averaged over drug as in the data, dose at the mean of each drug; an" in estimand


def test_unknown_delays_leave_curves_and_their_range_alone():
    frame = ROWS.assign(delay=[0.5, 1, 2, 4, np.nan, np.nan, 14, 28])
    spec = bm.ModelSpec(missing_delay="latent", priors={"delay": bm.priors.log_normal(0, 1)})
    fit = drawn(spec, 2, frame, level=[1.0], tau=0.5, log2_half_life=[0.0])
    at = bm.grid(fit, delay=[0.5, 1, 28])
    assert not at["beyond_data"].any()
    # The lower quartile of the known delays is 1 d, where the level stands.
    curve = bm.decay_curve(fit, at)
    assert curve.values[0, 0, 1] == 1
    points = bm.study_points(fit, curve)
    assert len(points) == 6
    assert points.attrs["without_delay"] == 2
    with pytest.raises(QueryError, match="this model has no unknown delay"):
        bm.unknown_delays(drawn(bm.ModelSpec(decay="none"), 1, level=[1.0], tau=0.5))


def test_a_new_study_needs_a_seed_and_a_tau(fit):
    at = bm.grid(fit, regimen="single", delay=1)
    with pytest.raises(QueryError, match="study='new' draws at random: give a seed"):
        bm.decay_curve(fit, at, study="new")
    without = hand_fit(bm.ModelSpec(peak="1", decay="none"), level=[[1.0]])
    with pytest.raises(QueryError, match="a new study differs by tau, which this model does not"):
        bm.decay_curve(without, bm.grid(without), study="new", seed=1)
    with pytest.raises(QueryError, match="study = 'next'; known: 'average', 'new'"):
        bm.decay_curve(fit, at, study="next")


def test_a_grid_is_asked_for(fit):
    with pytest.raises(QueryError, match="this is not a grid"):
        bm.decay_curve(fit, xr.Dataset())


# -- study effects ---------------------------------------------------------------------------------


def test_study_effects_carry_their_labels_and_shrink():
    size = 20_000
    plan = design(bm.ModelSpec(decay="none"), effect_sizes(ROWS))
    posterior = xr.Dataset(
        {
            "level": (("chain", "draw", "level_term"), np.full((1, size, 1), 1.0)),
            "tau": (("chain", "draw"), np.full((1, size), 0.5)),
        },
        {"chain": [0], "draw": np.arange(size)},
    )
    fit = Fit(xr.DataTree.from_dict({"posterior": posterior}), plan)
    effects = bm.study_effects(fit, seed=2)
    assert effects["study"].values.tolist() == ["A", "B", "C", "D"]
    # Two rows of variance 0.2 beside tau^2 = 0.25: precision 4 + 10, mean 10 (ybar - 1) / 14.
    means = np.array([1.5, 1.0, 1.75, 1.0])
    blur = 1 / np.sqrt(14)
    expected = 10 * (means - 1) / 14
    # Four standard errors of a mean and of an SD.
    np.testing.assert_allclose(
        effects.mean(("chain", "draw")), expected, atol=4 * blur / np.sqrt(size)
    )
    np.testing.assert_allclose(effects.std(("chain", "draw")), blur, rtol=4 / np.sqrt(2 * size))
    assert effects.attrs["estimand"] == "deviation of each study from its mean"


def test_without_group_effects_there_are_none_to_ask_for():
    without = hand_fit(bm.ModelSpec(peak="1", decay="none"), level=[[1.0]])
    with pytest.raises(QueryError, match=r"no group effects: add \(1 \| study\) to peak"):
        bm.study_effects(without, seed=1)


# -- contrasts -------------------------------------------------------------------------------------


def test_a_contrast_is_the_difference_of_two_curves(fit):
    at = bm.grid(fit, regimen=["single", "repeated"], delay=[3, 4])
    found = bm.contrast(fit, at, regimen=("repeated", "single"))
    assert found["delay"].values.tolist() == [3, 4]
    assert "regimen" not in found.coords
    sides = [
        bm.decay_curve(fit, bm.grid(fit, regimen=level, delay=[3, 4])).values
        for level in ("repeated", "single")
    ]
    np.testing.assert_array_equal(found.values, sides[0] - sides[1])
    assert found.attrs["contrast"] == "regimen: repeated - single"
    assert found.attrs["estimand"].startswith("difference in population mean effect (SMD), regimen")


def test_a_contrast_by_hand(fit):
    at = bm.grid(fit, regimen="single", delay=3)
    found = bm.contrast(fit, at, regimen=("repeated", "single"))
    # Draw 0 at 3 d: 4 against 4 * 2^-6; draw 1: level 1 at 3 d against 2^-2.5.
    assert found.values[0, :, 0] == pytest.approx([4 - 4 / 64, 1 - 2**-2.5], rel=1e-15)


def test_delays_can_be_contrasted(fit):
    at = bm.grid(fit, regimen="single", delay=1)
    found = bm.contrast(fit, at, delay=(0.5, 1.0))
    assert found.values[0, 0].tolist() == [1]
    assert found["regimen"].values.tolist() == ["single"]


def test_a_contrast_of_a_covariate_that_the_effect_does_not_fade_by():
    fit = hand_fit(
        bm.ModelSpec(peak="species + (1 | study)", half_life="1"),
        level=[[1, 4, -4]],
        log2_half_life=[[0.0]],
        tau=[1.0],
    )
    found = bm.contrast(fit, bm.grid(fit, delay=[1, 2]), species=("mouse", "rat"))
    # Stated at 1 d (position 1.75 of all delays), half-life 1 d.
    assert found.values[0, 0].tolist() == [8, 4]


def test_a_contrast_of_the_only_covariate():
    fit = hand_fit(
        bm.ModelSpec(peak="species + (1 | study)", decay="none"), level=[[1, 4, -4]], tau=[1.0]
    )
    found = bm.contrast(fit, bm.grid(fit, species=["rat", "mouse"]), species=("mouse", "rat"))
    assert found.values.tolist() == [[[8]]]


def test_a_contrast_outside_the_data_says_so(fit):
    at = bm.grid(fit, regimen="single", delay=[2, 14])
    with pytest.warns(ExtrapolationWarning, match="2 of 2 points lie outside"):
        found = bm.contrast(fit, at, regimen=("repeated", "single"))
    assert found["beyond_data"].values.tolist() == [True, True]


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({}, "contrast one covariate at a time"),
        ({"regimen": ("a", "b"), "delay": (1, 2)}, "contrast one covariate at a time"),
        ({"regimen": "single"}, r"regimen = 'single': a contrast has two levels"),
        ({"regimen": ("single",)}, r"a contrast has two levels"),
        ({"species": ("rat", "mouse")}, "'species' is not a covariate of this model"),
        ({"regimen": ("single", "twice")}, "regimen = 'twice' is not in the data"),
    ],
)
def test_a_contrast_that_is_none(fit, pair, message):
    at = bm.grid(fit, regimen="single", delay=1)
    with pytest.raises(QueryError, match=message):
        bm.contrast(fit, at, **pair)


# -- half-lives ------------------------------------------------------------------------------------


def test_half_lives_by_hand(fit):
    found = bm.half_life(fit, bm.grid(fit, regimen=["single", "repeated"]))
    assert found.values[0].tolist() == [[0.5, 8], [1, 1]]
    assert found.attrs["units"] == "d"
    assert found.attrs["kind"] == "duration"


def test_delays_of_a_grid_do_not_repeat_its_half_lives(fit):
    at = bm.grid(fit, regimen=["single", "repeated"], delay=[3, 4])
    assert bm.half_life(fit, at)["regimen"].values.tolist() == ["single", "repeated"]


def test_time_to_loss_by_hand(fit, plateau):
    found = bm.time_to_loss(fit, bm.grid(fit, regimen="single"), loss=0.75)
    assert found.values[0].tolist() == [[1], [2]]
    # 70% lost: 0.3 = p + (1 - p) 2^(-t / 2) with p = 1/4 gives 2^(-t / 2) = 1 / 15; never with 3/4.
    found = bm.time_to_loss(plateau, bm.grid(plateau), loss=0.7)
    assert found.values[0, 0] == pytest.approx(
        2 * np.log2(15), rel=1e-13
    )  # cancellation in 0.3 - p
    assert found.values[0, 1] == np.inf
    assert found.attrs["estimand"].startswith("time until 70% of the peak effect is lost")


def test_the_half_life_of_a_plateau_is_that_of_what_fades(plateau):
    found = bm.half_life(plateau, bm.grid(plateau))
    assert found.values[0].tolist() == [[2], [2]]
    assert found.attrs["estimand"].startswith("half-life of the effect of the share that fades")


@pytest.mark.parametrize("loss", [0, 1, -0.5, 2])
def test_a_loss_is_a_share(fit, loss):
    with pytest.raises(QueryError, match="a share between 0 and 1"):
        bm.time_to_loss(fit, bm.grid(fit, regimen="single"), loss=loss)


def test_without_decay_nothing_fades():
    fit = hand_fit(bm.ModelSpec(decay="none"), level=[[1.0]], tau=[1.0])
    for ask in (bm.half_life, bm.time_to_loss):
        with pytest.raises(QueryError, match="decay = 'none': the effect does not fade"):
            ask(fit, bm.grid(fit))


# -- summaries -------------------------------------------------------------------------------------


def many(values, **attrs):
    array = np.asarray(values, dtype=float)[None, :, None]
    return xr.DataArray(array, dims=("chain", "draw", "point"), attrs=attrs)


def test_a_summary_of_effects():
    table = bm.summary(many(np.arange(-1, 100), kind="effect", estimand="E"), rope=(0, 9))
    row = table.iloc[0]
    assert row["median"] == row["mean"] == 49
    # Positions 2.5 and 97.5 of 0 to 100; 1 - 0.95 is rounded.
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((1.5, 96.5), rel=1e-14)
    assert row["sd"] == pytest.approx(np.sqrt(101 * 102 / 12), rel=1e-14)  # of a run of integers
    assert row["p_positive"] == pytest.approx(99 / 101)
    assert row["p_rope"] == pytest.approx(10 / 101)
    assert table.attrs == {"estimand": "E", "ci_prob": 0.95}


def test_a_summary_of_durations_has_no_mean_and_counts_never():
    table = bm.summary(many([*range(1, 91), *[np.inf] * 10], kind="duration"))
    row = table.iloc[0]
    assert list(table) == ["median", "ci_low", "ci_high", "p_never"]
    assert (row["median"], row["ci_low"], row["ci_high"]) == (50, 3, np.inf)
    assert row["p_never"] == 0.1


def test_a_duration_that_never_comes():
    row = bm.summary(many([np.inf] * 10, kind="duration")).iloc[0]
    assert (row["median"], row["p_never"]) == (np.inf, 1)


def test_a_summary_keeps_the_labels(fit):
    at = bm.grid(fit, regimen=["single", "repeated"], delay=3)
    table = bm.summary(bm.decay_curve(fit, at), ci_prob=0.5)
    assert table["regimen"].tolist() == ["single", "repeated"]
    assert table["delay"].tolist() == [3, 3]
    assert "point" not in table


@pytest.mark.parametrize("ci_prob", [0, 1, 95])
def test_a_probability_is_one(ci_prob):
    with pytest.raises(QueryError, match="a probability between 0 and 1"):
        bm.summary(many([1, 2]), ci_prob=ci_prob)


def test_a_rope_has_two_ends():
    with pytest.raises(QueryError, match=r"rope = \(1, 1\): give it as \(lower, upper\)"):
        bm.summary(many([1, 2]), rope=(1, 1))


# -- without a sampler -----------------------------------------------------------------------------

ASK = """
import sys
import numpy as np, pandas as pd, xarray as xr
import bayesma as bm
from bayesma.design import design
rows = pd.DataFrame({"study": ["A", "B"], "y": [1, 2], "v": [1, 1], "delay": [1, 3]})
plan = design(bm.ModelSpec(), bm.effect_sizes(rows))
shape = (2, 50)
posterior = xr.Dataset({
    "level": (("chain", "draw", "level_term"), np.ones((*shape, 1))),
    "log2_half_life": (("chain", "draw", "log2_half_life_term"), np.ones((*shape, 1))),
    "tau": (("chain", "draw"), np.ones(shape)),
}, {"chain": range(2), "draw": range(50)})
fit = bm.Fit(xr.DataTree.from_dict({"posterior": posterior}), plan)
at = bm.grid(fit, delay=bm.days(1, 3))
bm.summary(bm.decay_curve(fit, at, study="new", seed=1))
bm.contrast(fit, at, delay=(1, 2)); bm.half_life(fit, at); bm.time_to_loss(fit, at)
bm.study_effects(fit, seed=1)
print(sorted({"pymc", "pytensor", "nutpie", "matplotlib"} & set(sys.modules)))
"""


def test_queries_import_no_sampler():
    done = subprocess.run([sys.executable, "-c", ASK], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_a_point_is_summed_up_alike_whatever_is_asked_beside_it():
    from bayesma.queries.summaries import centre_and_interval

    draws = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, np.inf, np.inf]]).T
    low, middle, high = centre_and_interval(draws, 0.95)
    assert middle[0] == np.median(draws[:, 0]) == 2.5
    assert (middle[1], high[1]) == (2.0, np.inf)
    alone = centre_and_interval(draws[:, :1], 0.95)
    assert [low[0], middle[0], high[0]] == [end[0] for end in alone]
