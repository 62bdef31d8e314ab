from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesma.cells import (
    Percent,
    as_text,
    is_missing,
    label_reason,
    not_known,
    number_remedy,
    odd_cell,
    own_column,
    plain_number,
    range_fault,
    smallest_of,
)
from bayesma.schema import COLUMNS


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_survives_its_text(number):
    assert plain_number(repr(number)) == number


@given(st.text())
def test_text_is_a_number_or_refused(text):
    try:
        number = plain_number(text)
    except ValueError:
        return
    assert text.isascii()
    assert "_" not in text
    assert number == float(text) or text.strip().lower().endswith("nan")


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "NaN", "null", None, np.nan, pd.NA, pd.NaT])
def test_what_counts_as_missing(cell):
    assert is_missing(cell)


@pytest.mark.parametrize("cell", ["0", 0, "none at all", False, "unclear", [1, 2]])
def test_what_does_not(cell):
    assert not is_missing(cell)


def test_a_label_that_was_made_a_number_by_blanks_is_read_as_written():
    assert [as_text(cell) for cell in (2004.0, " S1 ", 3, 1.5)] == ["2004", "S1", "3", "1.5"]


def test_a_column_is_numbers_only_if_every_cell_is():
    assert own_column(["1", "", "2.5"]) == [1.0, None, 2.5]
    assert own_column(["1", "low", None]) == ["1", "low", None]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["01", "1", "2"], "'01' may be a label"),
        (["1000", None, "1e3"], "'1e3' may be a label"),
        (["1.1", "1.10", "1.2"], "'1.1' and '1.10' would be one number"),
    ],
)
def test_labels_that_look_like_numbers_stay_apart(cells, reason):
    assert own_column(cells) == cells
    assert label_reason(cells) == reason


@pytest.mark.parametrize("cells", [["0", "0.5", "-0.5", "0"], ["1e-05", "1e+16", "1.5e-07"]])
def test_numbers_as_they_are_printed_are_no_labels(cells):
    assert own_column(cells) == [float(cell) for cell in cells]
    assert label_reason(cells) == ""


def test_a_column_with_words_needs_no_reason_to_be_text():
    assert own_column(["01", "low"]) == ["01", "low"]
    assert label_reason(["01", "low"]) == ""


@pytest.mark.parametrize("cell", ["Unclear", " unknown ", "not reported", "NR", "n.r.", "?"])
def test_words_for_a_value_that_is_not_known(cell):
    assert not_known(cell)
    assert not is_missing(cell)


@pytest.mark.parametrize("cell", ["", None, "clear", 0, "N", "none"])
def test_what_is_no_such_word(cell):
    assert not not_known(cell)


@pytest.mark.parametrize(
    ("cell", "smallest"),
    [("6-8", 6), ("6\u20138", 6), (" 6 to 8 ", 6), ("10 - 12", 10)],
)
def test_a_range_of_group_sizes_takes_the_smallest(cell, smallest):
    assert smallest_of(cell) == smallest


@pytest.mark.parametrize("cell", ["8-6", "6-6", "n = 6", "6-8-9", "6.5-8", "-6", 6, "6,8", "6to8"])
def test_what_is_no_range_of_group_sizes(cell):
    assert smallest_of(cell) is None


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (datetime(2026, 1, 2), "is a date"),
        (date(2026, 1, 2), "is a date"),
        (pd.Timestamp("2026-01-02"), "is a date"),
        (time(1, 30), "is a time of day"),
        (timedelta(1), "is a span of time"),
        (Percent(0.5), "is shown as 50%"),
        (Percent(0.0725), "is shown as 7.25%"),
        (Percent(0), "is shown as 0%"),
        (Percent(1), "is shown as 100%"),
        ("#DIV/0!", "is a formula's error"),
        ("5", ""),
        (0.5, ""),
    ],
)
def test_cells_that_are_not_what_was_typed(cell, problem):
    assert odd_cell(COLUMNS["i2"], cell)[0] == problem


def test_an_exact_span_of_time_is_a_duration():
    assert odd_cell(COLUMNS["delay"], timedelta(1)) == ("", "")


def test_a_share_of_a_control_group_is_told_to_be_the_whole():
    problem, remedy = range_fault(COLUMNS["n_control"], 7.5)
    assert problem == "is not a whole number"
    assert remedy == (
        "write how many animals in the control arm, not split over comparisons: a share of a "
        "group counts as fewer animals than gave its mean and SD; name the group in a column for "
        "shared_control="
    )


@pytest.mark.parametrize("number", [1e51, -1e51, 1e-51, -1e-51])
def test_a_number_beyond_any_measurement(number):
    problem, _ = range_fault(COLUMNS["y"], number)
    assert problem.startswith("is too ")
    assert problem.endswith(" for any measurement")


@pytest.mark.parametrize("number", [0, 1e50, -1e-50])
def test_a_number_that_may_be_squared(number):
    assert range_fault(COLUMNS["y"], number) == ("", "")


@pytest.mark.parametrize("cell", ["6-" + "9" * 5000, "6" + "9" * 400 + "-" + "7" * 401])
def test_a_range_of_more_animals_than_there_are(cell):
    assert smallest_of(cell) is None


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e999", "-nan"])
def test_a_text_without_a_number_leaves_its_own_column_text(cell):
    assert own_column(["1", cell]) == ["1", cell]


def test_infinity_in_a_frame_stays_a_number_for_the_model_to_refuse():
    assert own_column([1.0, np.inf]) == [1.0, np.inf]


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ("\u22125.2", "write a minus with the key '-'"),
        ("5\u20138", "write a plain number"),
        ("5,2", "write a decimal point"),
    ],
)
def test_what_to_write_instead(cell, remedy):
    assert number_remedy(cell).startswith(remedy)
