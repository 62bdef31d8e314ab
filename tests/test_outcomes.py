import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import ARMS, arms

from bayesma.effects import effect_sizes
from bayesma.errors import TableError
from bayesma.measures import MEASURES, arms_of, measure_of
from bayesma.outcomes import with_outcomes
from bayesma.readers import read_table

CHOICES = [(name, variance) for name, found in MEASURES.items() for variance in found.variances]


def outcomes(frame, name="SMD", variance=None, correct=True):
    return with_outcomes(read_table(frame), *measure_of(name, variance), correct)


@pytest.mark.parametrize(("name", "variance"), CHOICES)
def test_a_table_gives_what_the_arrays_give(name, variance):
    effects = effect_sizes(arms(), name, variance)
    expected = MEASURES[name](arms_of(*(arms()[column] for column in ARMS)), variance)
    np.testing.assert_array_equal([effects.y, effects.v], expected)
    assert (effects.measure, effects.variance) == (name, variance)


# NMD has a sign of its own: see below.
@pytest.mark.parametrize(("name", "variance"), [pair for pair in CHOICES if pair[0] != "NMD"])
def test_direction_flips_every_measure(name, variance):
    plain = effect_sizes(arms(), name, variance)
    flipped = effect_sizes(arms(direction=[-1] * 3), name, variance)
    np.testing.assert_array_equal([flipped.y, flipped.v], [-plain.y, plain.v])


def test_the_variance_is_the_measures_own_where_none_is_named():
    assert effect_sizes(arms(), "ROM").variance == "LS"


def test_without_the_correction_it_is_said():
    frame, notes = outcomes(arms(), correct=False)
    assert (frame["y"] > outcomes(arms())[0]["y"]).all()
    assert notes == ["effects not corrected for small samples: 3"]


def test_av_averages_over_rows_computed_from_arms_only():
    frame = arms(y=[None, None, 99.0], v=[None, None, 1.0])
    found, notes = outcomes(frame, variance="AV")
    expected = MEASURES["SMD"](arms_of(*(arms(2)[name] for name in ARMS)), "AV")
    np.testing.assert_array_equal(found[["y", "v"]].to_numpy()[:2].T, expected)
    assert found["v"].iloc[2] == 1
    assert "variance AV averages over the 2 rows computed from arms" in notes


def test_coefficients_of_variation_of_two_signs_cancel_and_it_is_said():
    frame = arms(mean_treated=[5.0, 6.0, -7.0], mean_control=[3.0, 3.0, -3.0])
    for variance in ("AV", "AVHO"):
        notes = outcomes(frame, "ROM", variance)[1]
        assert notes[-1].endswith(f"in variance {variance}, as in metafor: 1 of 3")
    assert outcomes(frame, "ROM", "LS")[1] == []
    below = arms(mean_treated=[-5.0] * 3, mean_control=[-3.0] * 3)
    assert len(outcomes(below, "ROM", "AV")[1]) == 1


def test_nmd_says_its_sign_and_what_it_took_for_the_sham():
    effects = effect_sizes(arms(mean_sham=[1.0, None, 0.5]), "NMD")
    # Means of 5, 6, 7 against 3 in control.
    assert effects.y.tolist() == [-100, -100, 100 * -4 / 2.5]
    assert effects.notes[0].startswith("NMD is control minus treated, the opposite of the other")
    assert effects.notes[1] == "effects without a mean_sham, read as 0: 1 of 3"
    assert effect_sizes(arms(), "NMD").notes[1].endswith("read as 0: 3 of 3")


def test_nmd_with_a_sham_is_positive_for_a_benefit_whichever_way_the_outcome_runs():
    # Both bring the animals two thirds of the way back from control to sham.
    frame = arms(
        2, mean_treated=[60, 80], mean_control=[100, 40], mean_sham=[40, 100], direction=[-1, 1]
    )
    effects = effect_sizes(frame, "NMD")
    np.testing.assert_allclose(effects.y, 200 / 3, rtol=1e-15)  # one rounding
    assert "direction not applied where mean_sham says which way is better: 2 of 2" in effects.notes
    assert not [note for note in effects.notes if "flipped" in note or "turned" in note]


def test_nmd_without_a_sham_takes_its_sign_from_the_direction():
    frame = arms(4, mean_treated=[60.0] * 4, mean_control=[80.0] * 4, direction=[-1, 1, None, -1])
    frame["mean_sham"] = [None, None, None, 40.0]
    effects = effect_sizes(frame, "NMD")
    assert effects.y.tolist() == [25, -25, 25, 50]
    assert effects.notes[1:] == (
        "effects without a mean_sham, read as 0: 3 of 4",
        "NMD turned, so that an increase counts as positive (direction 1, no mean_sham): 1 of 4",
        "no direction, no mean_sham: a reduction counts as positive: 1 of 4",
        "direction not applied where mean_sham says which way is better: 1 of 4",
    )


def test_a_sham_on_the_wrong_side_of_the_control_is_told():
    frame = arms(3, mean_sham=[1.0, 9.0, 1.0], direction=[1, 1, None])  # control: 3
    notes = effect_sizes(frame, "NMD").notes
    assert notes[-1] == (
        "direction says that the control is better than the sham, so that NMD counts against it: "
        "1 of 3"
    )


@pytest.mark.parametrize("sham", [True, False])
@pytest.mark.parametrize("direction", [1, -1])
def test_smd_and_nmd_agree_on_what_a_benefit_is(direction, sham):
    rng = np.random.default_rng(1)
    n = 200
    # Means below 0 too: without a sham, NMD's denominator then has another sign.
    control = rng.normal(0, 10, n)
    columns = {"mean_control": control, "mean_treated": rng.normal(0, 10, n)}
    if sham:  # disease made the outcome worse
        columns["mean_sham"] = control + direction * rng.uniform(1, 10, n)
    frame = arms(n, direction=[direction] * n, **columns)
    signs = np.sign(effect_sizes(frame, "SMD").y)
    assert (np.sign(effect_sizes(frame, "NMD").y) == signs).all()
    assert (signs == np.sign(direction * (frame["mean_treated"] - control))).all()


def test_rows_that_bring_y_are_not_computed_and_it_is_said():
    frame = arms(y=[None, 0.25, None], v=[None, 0.5, None])
    found, notes = outcomes(frame, "ROM")
    assert (found["y"].iloc[1], found["v"].iloc[1]) == (0.25, 0.5)
    assert notes == [
        "effects taken as given although the row holds arms too: 1 of 3",
        "effects and variances taken as given, not computed (ROM, variance LS): 1 of 3",
    ]


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({}, None),
        ({"variance": "UB"}, "(SMD, variance UB): 3 of 3"),
        ({"correct": False}, "(SMD, variance LS, not corrected): 3 of 3"),
    ],
)
def test_what_is_asked_of_rows_that_bring_y_is_not_passed_over(options, note):
    frame = arms(y=[1.0] * 3, v=[0.5] * 3).drop(columns=[*ARMS])
    notes = outcomes(frame, **options)[1]
    assert len(notes) == (note is not None)
    assert note is None or notes[0].endswith(note)


# -- rows that have no such effect -------------------------------------------------------------


def lines(frame, name, variance=None):
    with pytest.raises(TableError, match="row") as caught:
        effect_sizes(frame, name, variance)
    return str(caught.value).splitlines()


def test_every_row_without_a_ratio_is_named_at_once():
    frame = arms(4, mean_treated=[1.0, 0.0, -2.0, -3.0], mean_control=[0.0, 1.0, 1.0, -1.0])
    frame = frame.rename(columns={"mean_treated": "Mean ketamine"})
    with pytest.raises(TableError, match="row 0") as caught:
        effect_sizes(frame, "ROM", columns={"mean_treated": "Mean ketamine"})
    assert str(caught.value).splitlines() == [
        "DataFrame, row 0, column 'mean_control': '0' is 0: a ratio of means needs two means "
        "other than 0; leave the row out, or ask for another measure",
        "DataFrame, row 1, column 'Mean ketamine': '0' is 0: a ratio of means needs two means "
        "other than 0; leave the row out, or ask for another measure",
        "DataFrame, row 2, column 'Mean ketamine': '-2' has another sign than the control's mean: "
        "their ratio has no logarithm; leave the row out, or ask for another measure",
    ]


def test_two_negative_means_have_a_ratio():
    frame = arms(mean_treated=[-4.0] * 3, mean_control=[-2.0] * 3)
    # The logarithm itself.
    assert effect_sizes(frame, "ROM", correct=False).y == pytest.approx(np.log(2), rel=1e-15)


def test_a_control_at_the_shams_mean_cannot_be_normalised():
    (line,) = lines(arms(mean_sham=[1.0, 3.0, 1.0]), "NMD")
    assert line == (
        "DataFrame, row 1, column 'mean_control': '3' equals the sham's mean: there is no "
        "difference to normalise by; leave the row out, or correct mean_sham"
    )


def test_groups_too_small_for_an_unbiased_variance():
    frame = arms(n_treated=[2, 2, 8], n_control=[2, 3, 8])
    (line,) = lines(frame, "SMD", "UB")
    assert "row 0, column 'n_treated': '2' is too small: an unbiased variance needs" in line
    assert len(effect_sizes(frame, "SMD", "LS")) == 3


def test_a_gap_is_told_by_the_row_the_file_gives(tmp_path):
    path = tmp_path / "mine.csv"
    arms(mean_control=[3.0, 0.0, 3.0]).to_csv(path, index=False)
    with pytest.raises(TableError, match=r"mine\.csv, row 3, column 'mean_control': '0' is 0"):
        effect_sizes(read_table(path), "ROM")


def beyond(columns, *measure):
    """The lines of the error about numbers that no reader lets in, put into a table afterwards."""
    table = read_table(arms())
    table = replace(table, frame=table.frame.assign(**columns))
    with pytest.raises(TableError, match="gives no finite") as raised:
        effect_sizes(table, *measure)
    return str(raised.value).splitlines()


def test_what_no_number_can_hold_is_refused():
    found = beyond({"sd_treated": [1e-200] * 3, "sd_control": [1e-200, 1.0, 1e-200]}, "SMD")
    assert [line.split(",")[1] for line in found] == [" row 0", " row 2"]
    assert (
        "gives no finite SMD with a variance above 0; correct the row, or leave it out" in found[0]
    )


def test_a_row_that_spoils_an_average_is_the_only_one_at_fault():
    found = lines(arms(mean_control=[3.0, 0.0, 3.0]), "ROM", "AV")
    assert [line.split(",")[1] for line in found] == [" row 1"]
    tiny = [2.0, 2.0, 1e-200]
    found = beyond({"sd_treated": tiny, "sd_control": tiny}, "SMD", "AV")
    assert [line.split(",")[1] for line in found] == [" row 2"]


def test_rows_that_bring_y_need_no_ratio():
    frame = arms(mean_control=[0.0, 3.0, 3.0], y=[0.1, None, None], v=[0.2, None, None])
    assert effect_sizes(frame, "ROM").y[0] == 0.1


def test_nmd_of_a_table_without_direction_is_the_published_formula(shared):
    path = shared / "reference" / "metafor.json"
    escalc = json.loads(path.read_text(encoding="utf-8"))["escalc"]
    published = escalc["normand1999"]["input"]
    columns = ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")
    frame = pd.DataFrame({n: published[c] for n, c in zip(ARMS, columns, strict=True)})
    effects = effect_sizes(frame.assign(study=[f"s{i}" for i in frame.index]), "NMD")
    expected = escalc["nmd_formula_not_metafor"]
    # The same few operations; the reference prints 15 digits.
    np.testing.assert_allclose(effects.y, expected["yi"], rtol=1e-13)
    np.testing.assert_allclose(effects.v, expected["vi"], rtol=1e-13)
