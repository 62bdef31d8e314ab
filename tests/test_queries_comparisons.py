"""Areas, relative contrasts and the table of regimens, on draws written by hand."""

import warnings

import numpy as np
import pandas as pd
import pytest
from fits import hand_fit, prior_fit

import bayesma as bm
from bayesma.decay import FAMILIES
from bayesma.errors import ExtrapolationWarning, QueryError, RatioWarning, UnseenLevelError

LN2 = np.log(2)


@pytest.fixture
def fit():
    """Two draws. Draw 0: single 4 x 2^(-2 t), repeated 4 x 2^(-(t - 3) / 8).

    Draw 1: half-life 1 d and level 1, at 0.5 d after single and at 3 d after repeated dosing.
    """
    return hand_fit(
        bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen"),
        level=[[3, 1, -1], [1, 0, 0]],
        log2_half_life=[[1, 2, -2], [0, 0, 0]],
        tau=[0.5, 2.0],
    )


@pytest.fixture
def constant():
    """One draw of levels -1, 2 and 4, without decay: mouse and rat, at doses around 2.5."""
    return hand_fit(
        bm.ModelSpec(peak="species + dose + (1 | study)", decay="none"),
        level=[[1, 3, -3, 0.5]],
        tau=[1.0],
    )


# -- areas -----------------------------------------------------------------------------------------


def test_an_area_by_hand(fit):
    found = bm.auc(fit, bm.grid(fit, regimen="single"), 0.5, 2)
    # Draw 0: 4 (2^-1 - 2^-4) / (2 ln 2); draw 1: sqrt 2 (2^-0.5 - 2^-2) / ln 2.
    expected = [4 * (1 / 2 - 1 / 16) / (2 * LN2), 2**0.5 * (2**-0.5 - 2**-2) / LN2]
    assert found.values[0, :, 0] == pytest.approx(expected, rel=1e-14)  # a few roundings
    assert found.attrs["estimand"].startswith(
        "area under the population mean effect (SMD) from 0.5 to 2 d; an association"
    )
    assert (found.attrs["units"], found.attrs["start"], found.attrs["stop"]) == ("SMD x d", 0.5, 2)


def test_an_effect_averaged_over_time_is_its_area_by_the_day(fit):
    at = bm.grid(fit, regimen="single")
    area, mean = (bm.auc(fit, at, "12 h", "2 d", mean=m) for m in (False, True))
    np.testing.assert_array_equal(mean.values, area.values / 1.5)
    assert mean.attrs["units"] == "SMD"
    assert mean.attrs["estimand"].startswith(
        "population mean effect (SMD) averaged over time from 0.5 to 2 d; an association"
    )


@pytest.mark.parametrize("decay", FAMILIES)
def test_an_area_is_that_under_the_curve(decay):
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay=decay)
    draws = {
        "level": [[1.0], [-2.0], [3.0]],
        "log2_half_life": [[0.0], [1.0], [4.0]],
        "logit_persistent": [[-1.0], [0.0], [2.0]],
        "log_shape": [[-0.7], [0.0], [0.7]],
    }
    names = {"half_life": "log2_half_life", "persistent": "logit_persistent", "shape": "log_shape"}
    used = ["level", *(names[p] for p in FAMILIES[decay].parameters)]
    fit = hand_fit(spec, **{name: draws[name] for name in used}, tau=[1.0] * 3)
    curve = bm.decay_curve(fit, bm.grid(fit, delay=np.linspace(1, 7, 2001)))
    expected = np.trapezoid(curve.values, curve["delay"].values)
    found = bm.auc(fit, bm.grid(fit), 1, 7).values[..., 0]
    # Trapezoids: length x step^2 / 12 x curvature (below 2) = 6 x 0.003^2 / 12 x 2 = 1e-5.
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_areas_have_one_point_per_combination_whatever_the_delays(fit):
    at = bm.grid(fit, regimen=["single", "repeated"], delay=[3, 4])
    found = bm.auc(fit, at, 3, 4)
    assert found["regimen"].values.tolist() == ["single", "repeated"]
    assert list(bm.summary(found)) == [
        *("regimen", "beyond_data", "mean", "sd", "median", "ci_low", "ci_high", "p_positive")
    ]


def test_a_span_beyond_the_data_is_said(fit):
    at = bm.grid(fit, regimen=["single", "repeated"])
    with pytest.warns(ExtrapolationWarning, match="1 of 2 spans reach outside the delays of the"):
        found = bm.auc(fit, at, 3, 5)  # single ends at 4 d, repeated starts at 3 d
    assert found["beyond_data"].values.tolist() == [True, False]


def test_the_area_of_an_effect_that_stays_is_a_rectangle(constant):
    # 6 rats (-3) and 2 mice (+3) on average: 1 - 1.5, over 4 d; nothing is extrapolated.
    found = bm.auc(constant, bm.grid(constant), 1, 5)
    assert found.values.item() == pytest.approx(4 * (1 + 3 * 2 / 8 - 3 * 6 / 8), rel=1e-15)
    assert "averaged over species as in the data" in found.attrs["estimand"]


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((2, 1), "from 2 to 1: an area starts before it stops"),
        ((1, "24 h"), "from 1 to 24 h: an area starts before it stops"),
        ((-1, 1), "delays are finite and 0 or more"),
        ((0, np.inf), "delays are finite and 0 or more"),
    ],
)
def test_a_span_runs_forward(fit, span, message):
    with pytest.raises(QueryError, match=message):
        bm.auc(fit, bm.grid(fit, regimen="single"), *span)


# -- contrasts -------------------------------------------------------------------------------------


PAIR = {"regimen": ("repeated", "single")}


def test_half_lives_compared_by_hand(fit):
    at = bm.grid(fit, regimen="single", delay=[1, 2])
    found = bm.contrast(fit, at, of="half_life", **PAIR)
    assert found.values.tolist() == [[[7.5], [0]]]
    assert found.attrs["units"] == "d"
    assert found.attrs["contrast"] == "regimen: repeated - single"
    assert found.attrs["estimand"].startswith(
        "difference in half-life of the effect, regimen repeated minus single; an association"
    )
    assert list(bm.summary(found)) == ["median", "ci_low", "ci_high", "p_positive"]
    ratio = bm.contrast(fit, at, of="half_life", scale="ratio", **PAIR)
    assert ratio.values.tolist() == [[[16], [1]]]
    assert ratio.attrs["contrast"] == "regimen: repeated / single"
    assert ratio.attrs["estimand"].startswith(
        "ratio of half-lives of the effect, regimen repeated to single; an association"
    )
    assert "p_other_sign" not in ratio.coords


def test_areas_compared_by_hand(fit):
    at = bm.grid(fit, regimen="single")
    sides = [bm.auc(fit, bm.grid(fit, regimen=level), 3, 4).values for level in PAIR["regimen"]]
    difference = bm.contrast(fit, at, of="auc", start=3, stop=4, **PAIR)
    np.testing.assert_array_equal(difference.values, sides[0] - sides[1])
    assert difference.attrs["units"] == "SMD x d"
    ratio = bm.contrast(fit, at, of="auc", start="3 d", stop="96 h", scale="ratio", **PAIR)
    np.testing.assert_array_equal(ratio.values, sides[0] / sides[1])
    # Draw 1: the same half-life, stated at 3 d against 0.5 d.
    assert ratio.values[0, 1, 0] == pytest.approx(2**2.5, rel=1e-14)
    assert ratio.attrs["estimand"].startswith(
        "ratio of areas under the population mean effects (SMD) from 3 to 4 d, regimen repeated to"
    )


def test_a_ratio_of_effects_by_hand(fit):
    found = bm.contrast(fit, bm.grid(fit, regimen="single", delay=3), scale="ratio", **PAIR)
    # Draw 0 at 3 d: 4 against 4 x 2^-6; draw 1: level 1 at 3 d against 2^-2.5.
    assert found.values[0, :, 0] == pytest.approx([64, 2**2.5], rel=1e-14)
    assert found["p_other_sign"].values.tolist() == [0]
    table = bm.summary(found, rope=(0.8, 1.25))
    assert list(table) == [
        *("delay", "beyond_data", "p_other_sign"),
        *("median", "ci_low", "ci_high", "p_above_1", "p_rope"),
    ]
    assert table["p_above_1"].item() == 1
    assert table["p_rope"].item() == 0


def test_a_ratio_whose_denominator_may_be_zero_is_still_given_and_said():
    # The rat's effect: 1, 2, -1 and 0 in four draws; the mouse's is 2 throughout.
    rats = np.array([1.0, 2.0, -1.0, 0.0])
    level = np.column_stack([(2 + rats) / 2, (2 - rats) / 2, (rats - 2) / 2])
    fit = hand_fit(
        bm.ModelSpec(peak="species + (1 | study)", decay="none"), level=level, tau=[1.0] * 4
    )
    at, message = bm.grid(fit), r"1 of 1 ratios .* negligible, with probability up to 0\.50"
    with pytest.warns(RatioWarning, match=message):
        found = bm.contrast(fit, at, scale="ratio", species=("mouse", "rat"))
    assert found.values[0, :, 0].tolist() == [2, 1, -2, np.inf]
    assert found["p_other_sign"].item() == 0.5  # 0 is neither: -1 and 0 of four
    with warnings.catch_warnings():  # the other way round nothing is wrong
        warnings.simplefilter("error")
        found = bm.contrast(fit, at, scale="ratio", species=("rat", "mouse"))
    assert found.values[0, :, 0].tolist() == [0.5, 1, -0.5, 0]


def test_a_denominator_that_has_faded_away_is_none():
    # At 6 d the effect of one dose is 2 x 2^-11 in draw 0, and 2^-5.5 in draw 1.
    fit = hand_fit(
        bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen"),
        level=[[3, 1, -1], [1, 0, 0]], log2_half_life=[[1, 2, -2], [0, 0, 0]], tau=[0.5, 2.0],
    )  # fmt: skip
    at = bm.grid(fit, regimen="single", delay=6)
    with (
        pytest.warns(RatioWarning, match="1 of 1 ratios"),
        pytest.warns(ExtrapolationWarning, match="1 of 1 points"),
    ):
        found = bm.contrast(fit, at, scale="ratio", **PAIR)
    # 4 x 2^-(3/8) over 2 x 2^-11 is 3,158: more than a thousand.
    assert found.values[0, 0, 0] > 1000
    assert found["p_other_sign"].item() == 0.5


def test_a_negative_denominator_is_a_denominator():
    fit = hand_fit(
        bm.ModelSpec(peak="species + (1 | study)", decay="none"), level=[[-3, 1, -1]], tau=[1.0]
    )
    found = bm.contrast(fit, bm.grid(fit), scale="ratio", species=("mouse", "rat"))
    assert found.values.item() == 0.5
    assert found["p_other_sign"].item() == 0


def factorial(spec, coefficients):
    """A fit with one draw of named coefficients, on two drugs x two routes x two species."""
    cells = [(d, r, s) for d in ("k", "m") for r in ("ip", "sc") for s in ("rat", "mouse")]
    rows = pd.DataFrame([*cells, ("k", "ip", "rat"), ("k", "ip", "rat")])
    rows.columns = ["drug", "route", "species"]
    rows = rows.assign(study=[f"S{i}" for i in range(10)], y=1.0, v=0.2)
    plan = bm.design.design(spec, bm.effect_sizes(rows))
    terms = plan.predictors["peak"].terms
    assert set(coefficients) <= set(terms), terms
    level = [[coefficients.get(term, 0.0) for term in terms]]
    return hand_fit(spec, rows, level=level, tau=[1.0])


ADDED = bm.ModelSpec(peak="drug + route + species + (1 | study)", decay="none")


@pytest.mark.parametrize(
    ("name", "levels", "expected"),
    [("drug", ("k", "m"), 2), ("route", ("sc", "ip"), 8), ("species", ("rat", "mouse"), -32)],
)
def test_any_factor_can_be_contrasted(name, levels, expected):
    named = {"drug[k]": 1, "drug[m]": -1, "route[sc]": 4, "route[ip]": -4}
    fit = factorial(ADDED, {"Intercept": 3, **named, "species[rat]": -16, "species[mouse]": 16})
    # Additive, so whatever the others are averaged over or held at cancels, to a few roundings.
    for held in ({}, {n: v for n, v in {"drug": "m", "route": "ip"}.items() if n != name}):
        found = bm.contrast(fit, bm.grid(fit, **held), **{name: levels})
        assert found.values.item() == pytest.approx(expected, rel=1e-14)


def test_factors_that_interact_are_contrasted_where_the_other_stands():
    spec = bm.ModelSpec(peak="drug * species + (1 | study)", decay="none")
    named = {"drug[k]": 1, "drug[m]": -1, "drug[k]:species[rat]": 5, "drug[m]:species[rat]": -3}
    fit = factorial(spec, {"Intercept": 10, **named})
    at = bm.grid(fit, species=["rat", "mouse"])
    found = bm.contrast(fit, at, drug=("k", "m"))
    assert dict(zip(found["species"].values, found.values[0, 0], strict=True)) == {
        "rat": (1 + 5) - (-1 - 3),
        "mouse": 2,
    }
    ratio = bm.contrast(fit, at, drug=("k", "m"), scale="ratio")
    assert ratio.values[0, 0] == pytest.approx([16 / 6, 11 / 9], rel=1e-15)
    # Averaged over species as in the data: 6 of 10 rows are rats.
    averaged = bm.contrast(fit, bm.grid(fit), drug=("k", "m"))
    assert averaged.values.item() == pytest.approx(2 + 0.6 * 8, rel=1e-14)
    assert "averaged over species as in the data" in averaged.attrs["estimand"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "effects", **PAIR}, r"of = 'effects'; did you mean 'effect'\?"),
        ({"scale": "rato", **PAIR}, r"scale = 'rato'; did you mean 'ratio'\?"),
        ({"of": "auc", **PAIR}, r"of = 'auc' needs its span: start=0, stop=7"),
        ({"of": "auc", "start": 1, **PAIR}, r"of = 'auc' needs its span"),
        ({"of": "auc", "start": 2, "stop": 1, **PAIR}, "an area starts before it stops"),
        ({"stop": 7, **PAIR}, "of = 'effect' has no span: start and stop belong to of = 'auc'"),
        ({"of": "half_life", "delay": (1, 2)}, "of = 'half_life' does not depend on the delay"),
        ({"of": "half_life", "species": ("rat", "mouse")}, "'species' is not a covariate of this"),
    ],
)
def test_a_comparison_that_is_none(fit, options, message):
    with pytest.raises(QueryError, match=message):
        bm.contrast(fit, bm.grid(fit, regimen="single", delay=1), **options)


def test_half_lives_of_an_effect_that_stays_cannot_be_compared(constant):
    with pytest.raises(QueryError, match="decay = 'none': the effect does not fade"):
        bm.contrast(constant, bm.grid(constant), of="half_life", species=("rat", "mouse"))


# -- regimens over delays --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sampled():
    """Prior draws on the bundled table: many, and of every kind."""
    return prior_fit("simulated_decay", draws=100)


@pytest.mark.filterwarnings("ignore::bayesma.errors.ExtrapolationWarning")
def test_the_table_holds_what_the_queries_say(sampled):
    table = bm.compare_regimens(sampled, [1, 7], ci_prob=0.8, rope=(-1, 1))
    assert table["regimen"].tolist() == ["single", "repeated"] * 2
    assert table["delay"].tolist() == [1, 1, 7, 7]
    rows = table.set_index(["regimen", "delay"])
    at = bm.grid(sampled, regimen=["single", "repeated"], delay=[1, 7])
    effects = bm.summary(bm.decay_curve(sampled, at), 0.8).set_index(["regimen", "delay"])
    difference = bm.contrast(sampled, at, **PAIR)
    with pytest.warns(RatioWarning, match="2 of 2 ratios"):  # prior draws have either sign
        ratio = bm.contrast(sampled, at, scale="ratio", **PAIR)
    differences, ratios = (bm.summary(d, 0.8, (-1, 1)) for d in (difference, ratio))
    for key, row in rows.iterrows():
        parts = row[["effect", "effect_low", "effect_high"]]
        assert parts.tolist() == effects.loc[key, ["median", "ci_low", "ci_high"]].tolist()
    for name, expected in (("difference", differences), ("ratio", ratios)):
        found = rows.loc["repeated"][[name, f"{name}_low", f"{name}_high"]].to_numpy()
        # Where both effects have faded to 0 the ratio is no number, on both ways.
        np.testing.assert_array_equal(found, expected[["median", "ci_low", "ci_high"]])
        assert rows.loc["single"][name].isna().all()
    for column, expected in (("p_greater", "p_positive"), ("p_rope", "p_rope")):
        assert rows.loc["repeated"][column].tolist() == differences[expected].tolist()
    assert rows.loc["repeated"]["p_other_sign"].tolist() == ratios["p_other_sign"].tolist()
    assert rows.loc["repeated"]["beyond_data"].tolist() == difference["beyond_data"].values.tolist()
    assert (table.attrs["reference"], table.attrs["ci_prob"]) == ("single", 0.8)
    assert table.attrs["estimand"].startswith(
        "population mean effect (SMD), and how it differs from that at regimen single; an assoc"
    )


def test_the_table_by_hand_and_to_read(fit):
    table = bm.compare_regimens(fit, [3, 4], digits=1)
    # Equal-tailed 95% intervals of two draws: 2.5% and 97.5% of the way between them. At 3 d
    # single has 4 x 2^-6 and 2^-2.5, repeated 4 and 1; at 4 d 4 x 2^-8 and 2^-3.5, 4 x 2^-(1/8)
    # and 1/2.
    assert table.to_csv(index=False).splitlines() == [
        "delay (d),regimen,effect,difference,ratio,P(> 0)",
        '3,single,"0.1 [0.1, 0.2]",reference,,',
        '3,repeated,"2.5 [1.1, 3.9]","2.4 [0.9, 3.9]","34.8 [7.1, 62.5]",1.000',
        '4,single,"0.1 [0.0, 0.1]",reference,,',
        '4,repeated,"2.1 [0.6, 3.6]","2.0 [0.5, 3.6]","120.2 [11.4, 229.0]",1.000',
    ]
    assert table.attrs["estimand"] == bm.compare_regimens(fit, [3, 4]).attrs["estimand"]


def test_the_usual_delays_are_starred_where_a_side_lies_beyond_the_data(fit):
    with pytest.warns(ExtrapolationWarning, match="7 of 8 points lie outside"):
        table = bm.compare_regimens(fit, digits=1)
    # Repeated was measured from 3 to 28 d, single from 0.5 to 4 d: only the effect after a single
    # dose at 1 d lies within the data, its own and those of what it is compared with.
    assert table["delay (d)"].tolist() == ["1", "1*", "7*", "7*", "14*", "14*", "28*", "28*"]
    assert table.attrs["note"] == "* a side lies outside the delays of the data"


def test_a_ratio_that_is_no_size_is_not_shown_to_read():
    fit = hand_fit(
        bm.ModelSpec(peak="regimen + (1 | study)", decay="none"),
        level=[[1, 1, -1], [0, 1, -1], [3, 1, -1]],
        tau=[1.0] * 3,
    )
    table = bm.compare_regimens(fit, digits=0)
    assert table["ratio"].tolist() == ["", "denominator may be 0"]
    numbers = bm.compare_regimens(fit)
    # Single: 0, -1, 2; repeated: 2, 1, 4.
    assert numbers["difference"].tolist()[1] == 2
    assert numbers["ratio"].tolist()[1] == 2
    assert "delay" not in numbers
    assert "beyond_data" not in numbers


def test_other_factors_levels_and_covariates(constant):
    table = bm.compare_regimens(constant, covariate="species", dose=[2.5, 4.5])
    # Most rows are rats, so they are the reference: -2 and -1, against mice at 4 and 5.
    assert table["species"].tolist() == ["rat", "mouse"] * 2
    assert table["dose"].tolist() == [2.5, 2.5, 4.5, 4.5]
    assert table["effect"].tolist() == [-2, 4, -1, 5]
    assert table["difference"].tolist()[1::2] == [6, 6]
    assert table["ratio"].tolist()[1::2] == [-2, -5]
    table = bm.compare_regimens(constant, reference="mouse", covariate="species", species=["rat"])
    assert table["species"].tolist() == ["mouse", "rat"]
    # A number taken as a factor: 2 at doses 1 and 2, 1 at the others.
    factor = bm.ModelSpec(peak="C(dose) + (1 | study)", decay="none")
    doses = hand_fit(factor, level=[[1.5, 0.5, 0.5, -0.5, -0.5]], tau=[1.0])
    table = bm.compare_regimens(doses, covariate="dose", reference="4", dose=[1, 4])
    assert table["dose"].tolist() == [4, 1]
    assert table["difference"].tolist()[1] == 1
    # A covariate averaged over is named in the estimand, not in a column.
    table = bm.compare_regimens(
        factorial(ADDED, {"Intercept": 3.0, "drug[k]": 1, "drug[m]": -1}), covariate="drug"
    )
    assert list(table)[:2] == ["drug", "effect"]
    assert "averaged over route, species as in the data" in table.attrs["estimand"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"covariate": "specie"}, QueryError, "'specie' is not a factor of this model; known: reg"),
        ({"reference": "once"}, UnseenLevelError, "regimen = 'once' is not in the data"),
        ({"regimen": ["twice"]}, UnseenLevelError, "regimen = 'twice' is not in the data"),
        ({"species": "rat"}, QueryError, "'species' is not a covariate of this model"),
        ({"ci_prob": 95}, QueryError, "a probability between 0 and 1"),
        ({"rope": (1, 1)}, QueryError, r"give it as \(lower, upper\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(fit, options, error, message):
    with pytest.raises(error, match=message):
        bm.compare_regimens(fit, [3, 4], **options)
