from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesma import priors
from bayesma.clock import effect_clock
from bayesma.coders import AVERAGE
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import SpecError, UnseenLevelError
from bayesma.predictive import prior_draws
from bayesma.spec import ModelSpec

FADES = ModelSpec(peak="regimen + (1 | study)", half_life="regimen")
STAYS = ModelSpec(decay="none")


def rows(**columns):
    """Eight rows of four studies; columns replaced or added."""
    plain = {
        "row_id": [f"r{i}" for i in range(8)],
        "study": ["A", "A", "B", "B", "C", "C", "D", "D"],
        "y": [1.0, 2.0, 1.5, 0.5, 2.5, 1.0, 0.8, 1.2],
        "v": [0.2] * 8,
        "regimen": ["single"] * 4 + ["repeated"] * 4,
        "delay": [0.5, 1, 2, 4, 3, 7, 14, 28],
    }
    return effect_sizes(pd.DataFrame(plain | columns))


NORMAL = (
    "likelihood: normal, which takes v as known; not exact: it needs the arms (means, SDs and "
    "group sizes), and the table has none"
)

# -- rows ------------------------------------------------------------------------------------------


def test_rows_without_a_needed_cell_are_left_out_and_counted():
    regimen = ["single", None, "single", "single"] + ["repeated"] * 4
    delay = [None, None, 2, 4, None, 7, 14, 28]
    plan = design(FADES, rows(regimen=regimen, delay=delay))
    assert plan.effects.frame["row_id"].tolist() == ["r2", "r3", "r5", "r6", "r7"]
    # A row that lacks both counts once, under the first.
    assert plan.notes[-3:-1] == (
        "1 of 8 rows left out: no regimen",
        "2 of 8 rows left out: no delay",
    )


def test_a_column_the_model_does_not_use_costs_no_row():
    plan = design(STAYS, rows(delay=[None] * 8))
    assert len(plan.effects) == 8
    assert plan.notes == (NORMAL,)


def test_the_sampling_covariance_follows_the_rows_kept():
    frame = rows(experiment=["e", "e"] * 4, delay=[None, 1, 2, 4, 3, 7, 14, 28]).frame
    effects = effect_sizes(frame, rho=0.5)
    plan = design(FADES, effects)
    np.testing.assert_array_equal(plan.effects.V, effects.V[1:, 1:])


def test_no_row_left_is_said():
    with pytest.raises(SpecError, match="no row has all of: regimen, delay"):
        design(FADES, rows(delay=[None] * 4 + [1.0] * 4, regimen=["single"] * 4 + [None] * 4))


def test_the_clock_stands_at_zero_while_exposed():
    exposure = ["on", "off", None, "off", "on", "on", "off", "off"]
    delay = [0, 1, 2, 4, None, 0, 14, 28]
    plan = design(FADES, rows(exposure=exposure, delay=delay))
    # A row without a delay stays where it was exposed.
    assert plan.points.clock.tolist() == [0, 1, 2, 4, 0, 0, 14, 28]
    assert len(plan.effects) == 8
    frame = pd.DataFrame({"delay": [3.0, 5.0], "exposure": ["on", "off"]})
    assert effect_clock(frame).tolist() == [0, 5]
    assert effect_clock(frame[["delay"]]).tolist() == [3, 5]


def test_without_decay_no_delay_is_needed():
    plan = design(STAYS, effect_sizes(rows().frame.drop(columns=["delay", "regimen"])))
    assert plan.points.clock.tolist() == [0] * 8
    assert plan.references == {(): 0.0}


# -- what does not fit -----------------------------------------------------------------------------


def test_a_decay_needs_the_column_delay():
    effects = effect_sizes(rows().frame.drop(columns="delay"))
    with pytest.raises(SpecError, match="'exponential' needs the column 'delay' of the rows; add"):
        design(FADES, effects)


def test_a_decay_needs_two_delays():
    with pytest.raises(SpecError, match="every row has the delay 2 d; use decay = 'none'"):
        design(FADES, rows(delay=[2.0] * 8))


def test_an_unknown_column_suggests_the_nearest():
    spec = ModelSpec(peak="regimn + (1 | study)", decay="none")
    with pytest.raises(SpecError, match=r"no column 'regimn'; did you mean 'regimen'\?"):
        design(spec, rows())


def test_an_unknown_group_is_said():
    spec = ModelSpec(peak="1 + (1 | study/lab)", decay="none")
    with pytest.raises(SpecError, match=r"\(1 \| study/lab\): no column 'lab'"):
        design(spec, rows())


def test_a_factor_of_one_level_is_refused():
    with pytest.raises(SpecError, match="peak: factor regimen has one level \\('single'\\)"):
        design(FADES, rows(regimen=["single"] * 8))


def test_a_level_lost_with_its_rows_is_refused_too():
    with pytest.raises(
        SpecError, match="factor regimen has one level \\('single'\\) in these rows"
    ):
        design(FADES, rows(delay=[1, 2, 3, 4] + [None] * 4))


def test_one_study_only_is_refused():
    with pytest.raises(SpecError, match=r"one study only \('A'\): .* drop \(1 \| study\)"):
        design(STAYS, rows(study=["A"] * 8))
    assert design(ModelSpec(peak="1", decay="none"), rows(study=["A"] * 8)).tau_names == ()


# -- groups ----------------------------------------------------------------------------------------


def test_nested_groups_are_read_within_their_study():
    # E1 of A and E1 of B are two experiments; a row without one stands alone.
    experiment = ["E1", "E1", "E1", "E2", None, "E1", "E1", "E1"]
    spec = ModelSpec(peak="1 + (1 | study/experiment)", decay="none")
    groups = design(spec, rows(experiment=experiment)).groups
    assert groups.labels == (
        ("A", "B", "C", "D"),
        ("A/E1", "B/E1", "B/E2", "C/r4", "C/E1", "D/E1"),
    )
    assert groups.innermost.tolist() == [0, 0, 1, 2, 3, 4, 5, 5]
    assert [parent.tolist() for parent in groups.parent] == [[0, 1, 1, 2, 2, 3]]
    assert groups.outermost.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_names_of_what_varies():
    spec = ModelSpec(peak="1 + (1 | study/experiment)", tau="regimen", decay="none")
    plan = design(spec, rows(experiment=["E1", "E2"] * 4))
    assert plan.tau_names == ("tau", "tau_experiment")
    assert plan.unit == "study"
    assert plan.varying_tau
    assert plan.covariates == ()  # of the mean
    assert design(FADES, rows()).covariates == ("regimen",)


def test_the_unit_of_cross_validation_is_the_study_even_without_its_effect():
    plan = design(ModelSpec(peak="1", decay="none"), rows())
    assert plan.unit == "study"
    assert plan.groups.names == ()
    assert plan.groups.labels == (("A", "B", "C", "D"),)


# -- reference delays ------------------------------------------------------------------------------


def test_levels_are_stated_at_the_lower_quartile_delay_of_their_cell():
    plan = design(FADES, rows())
    # Of 0.5, 1, 2, 4 and of 3, 7, 14, 28 the lower quartile (position 0.75, lower) is the first.
    assert plan.references == {("single",): 0.5, ("repeated",): 3.0}
    assert plan.points.reference.tolist() == [0.5] * 4 + [3.0] * 4
    assert plan.cells == ("regimen",)
    # Of all eight, 0.5 1 2 3 4 7 14 28, it is at position 1.75: 1.
    assert design(replace(FADES, half_life="1"), rows()).references == {(): 1.0}


def test_two_factors_cross_into_cells_and_an_empty_one_has_no_curve():
    species = ["rat", "mouse"] * 2 + ["rat"] * 4
    plan = design(replace(FADES, half_life="regimen + species"), rows(species=species))
    assert plan.cells == ("regimen", "species")
    assert plan.references == {
        ("single", "rat"): 0.5,
        ("single", "mouse"): 1.0,
        ("repeated", "rat"): 3.0,
    }
    empty = pd.DataFrame({"regimen": ["repeated"], "species": ["mouse"], "delay": [5.0]})
    with pytest.raises(
        UnseenLevelError, match="no row of the data has regimen 'repeated', species"
    ):
        plan.at(empty)


def test_the_formula_of_the_persistent_share_makes_cells_too():
    spec = ModelSpec(peak="1 + (1 | study)", decay="plateau", persistent="regimen")
    assert design(spec, rows()).cells == ("regimen",)
    assert design(replace(spec, persistent="1"), rows()).cells == ()


def test_new_points_take_the_reference_of_their_cell():
    plan = design(FADES, rows())
    asked = pd.DataFrame({"regimen": ["repeated", "single"], "delay": [10.0, 10.0]})
    points = plan.at(asked)
    assert points.reference.tolist() == [3.0, 0.5]
    assert points.clock.tolist() == [10, 10]
    np.testing.assert_array_equal(points.matrices["peak"], plan.points.matrices["peak"][[4, 0]])


def test_new_points_name_known_levels():
    plan = design(FADES, rows())
    with pytest.raises(UnseenLevelError, match=r"regimen = 'repeat' .* did you mean 'repeated'"):
        plan.at(pd.DataFrame({"regimen": ["repeat"], "delay": [1.0]}))
    with pytest.raises(SpecError, match="the effect fades differently by regimen: name it"):
        plan.at(pd.DataFrame({"regimen": [AVERAGE], "delay": [1.0]}))


# -- priors and the order of levels ----------------------------------------------------------------


def test_permuting_levels_leaves_the_implied_prior_unchanged():
    # Renaming the levels permutes their order. The prior of every level and difference is that of
    # coefficients B z with z standard normal, so compare the covariances B B' exactly.
    levels = ["a", "b", "c", "d"]
    cells = [levels[i % 4] for i in range(8)]
    turned = dict(zip(levels, ["c", "a", "d", "b"], strict=True))
    spec = ModelSpec(peak="drug + (1 | study)", decay="none")
    plans = [design(spec, rows(drug=c)) for c in (cells, [turned[c] for c in cells])]
    implied = []
    for plan, names in zip(plans, (levels, [turned[x] for x in levels]), strict=True):
        predictor = plan.predictors["peak"]
        matrix = predictor.matrix(pd.DataFrame({"drug": names}))
        spread = np.hstack([5 * predictor.average_basis, 2.5 * predictor.contrast_basis])
        implied.append(matrix @ spread @ spread.T @ matrix.T)
    # Orthonormal to rounding.
    np.testing.assert_allclose(implied[0], implied[1], rtol=1e-13)
    # Any two levels differ by the contrast's prior: variance 2.5^2.
    c = implied[0]
    for i, j in ((0, 1), (0, 3), (2, 1)):
        assert c[i, i] + c[j, j] - 2 * c[i, j] == pytest.approx(6.25, rel=1e-13)


def test_prior_draws_have_the_implied_spread():
    plan = design(ModelSpec(peak="regimen + (1 | study)", decay="none"), rows())
    size = 40_000
    draws = prior_draws(plan, size, np.random.default_rng(1))
    average, repeated, single = draws["level"].T
    # Standard error of an SD: sd / sqrt(2 N) = 0.35%; four of them.
    assert average.std() == pytest.approx(5, rel=0.014)
    assert (repeated - single).std() == pytest.approx(2.5, rel=0.014)
    assert np.mean(draws["tau"] ** 2) == pytest.approx(4, rel=4 * np.sqrt(2 / size))


# -- pooled rows beside plain ones -----------------------------------------------------------------

POOLED = ModelSpec(peak="1", half_life="1")


def mixed(more=None, **columns):
    """One pooled row of three comparisons, and two plain rows; columns added to either."""
    plain = {
        "row_id": ["P", "x", "y"],
        "study": ["P", "X", "Y"],
        "y": [2.0, 1.0, 1.5],
        "v": [0.2] * 3,
        "members": ["a;b;c", None, None],
    }
    members = {"row_id": ["a", "b", "c"], "study": ["A", "B", "C"]} | (more or {})
    return effect_sizes(pd.DataFrame(plain | columns), members=pd.DataFrame(members))


def test_a_covariate_stands_with_the_rows_and_with_the_members():
    spec = ModelSpec(peak="dose", decay="none")
    with pytest.raises(SpecError, match="column 'dose' is missing from the rows; add it there too"):
        design(spec, mixed({"dose": [1.0, 2.0, 3.0]}))
    with pytest.raises(SpecError, match="needs the column 'delay' of the rows; add it"):
        design(POOLED, mixed({"delay": [1.0, 2.0, 3.0]}))
    with pytest.raises(SpecError, match="'delay' of the comparisons behind pooled rows; add it"):
        design(POOLED, mixed(delay=[None, 2.0, 3.0]))


def test_members_while_exposed_need_no_delay():
    exposed = {"delay": [None, 2.0, 4.0], "exposure": ["on", "off", "off"]}
    plan = design(POOLED, mixed(exposed, delay=[None, 5.0, 6.0]))
    assert plan.points.clock.tolist() == [0, 2, 4, 5, 6]


def test_the_tau_formula_is_coded_on_plain_rows_alone():
    spec = ModelSpec(peak="1 + (1 | study)", tau="lab", decay="none")
    plan = design(spec, mixed(lab=[None, "u", "w"]))
    assert plan.tau_matrix.tolist() == [[0, 0, 0], [1, 1, 0], [1, 0, 1]]


def test_a_numeric_factor_is_one_cell_however_it_is_written():
    spec = ModelSpec(peak="1 + (1 | study)", half_life="C(dose)")
    plan = design(spec, rows(dose=[10.0] * 4 + [20.0] * 4))
    assert plan.references == {("10",): 0.5, ("20",): 3.0}
    for cell in (10, 10.0, "10"):
        at = plan.at(pd.DataFrame({"dose": [cell], "delay": [1.0]}))
        assert at.reference.tolist() == [0.5]


def test_a_combination_that_no_row_has_is_refused():
    spec = ModelSpec(peak="1 + (1 | study)", half_life="regimen + sex")
    plan = design(spec, rows(sex=["m"] * 4 + ["f"] * 2 + ["m"] * 2))
    with pytest.raises(UnseenLevelError, match="no row of the data has regimen 'single', sex 'f'"):
        plan.at(pd.DataFrame({"regimen": ["single"], "sex": ["f"], "delay": [1.0]}))


def test_delays_from_the_start_of_many_doses_are_refused():
    frame = rows(delay_reference=["last dose"] * 6 + ["start"] * 2).frame
    with pytest.raises(SpecError, match=r"start of dosing in 2 rows \(r6, r7\)"):
        design(FADES, effect_sizes(frame))


def test_a_prior_that_is_not_used_is_noted():
    own = {"delay": priors.log_normal(0, 1), "shape": priors.normal(0, 1)}
    plan = design(replace(FADES, priors=own), rows())
    assert "prior of delay is not used: missing_delay = 'drop'" in plan.notes
    assert "prior of shape is not used: decay = 'exponential'" in plan.notes


LATENT = {"missing_delay": "latent", "priors": {"delay": priors.log_normal(0, 1)}}


def test_unknown_delays_are_those_of_studies_whatever_the_groups():
    effects = rows(lab=["L"] * 4 + ["M"] * 4, delay=[None, 1, None, 4, 3, 7, 14, 28])
    plan = design(ModelSpec(peak="1 + (1 | lab)", **LATENT), effects)
    assert plan.latent.labels == ("A", "B")
    assert any(note.startswith("2 of 8 rows have no delay: kept, with 2") for note in plan.notes)


def test_unknown_delays_do_not_go_with_pooled_rows_that_lack_them():
    members = pd.DataFrame(
        {"row_id": ["a", "b", "c"], "study": list("ABC"), "delay": [1.0, np.nan, 3.0]}
    )
    pooled = pd.DataFrame(
        {"study": ["P", "Q"], "y": [1.0, 2.0], "v": [0.1, 0.1], "members": ["a;b", "c"]}
    )
    with pytest.raises(SpecError, match="does not go with pooled rows"):
        design(ModelSpec(peak="1", **LATENT), effect_sizes(pooled, members=members))
