import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesma.cells import as_text, is_missing, own_column, plain_number


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
