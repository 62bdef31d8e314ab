import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesma.units import DAYS_PER_UNIT, UnitError, duration

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "wk": 604800}


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("24 h", 1),
        ("7d", 7),
        ("2 wk", 14),
        ("90 min", 0.0625),
        ("43200 s", 0.5),
        (" 1.5 days ", 1.5),
        (".5 h", 0.5 / 24),
        ("1e1 weeks", 70),
        ("-1 d", -1),
        ("0", 0),
        (3, 3),
        (0.25, 0.25),
    ],
)
def test_known_durations(text, days):
    # One multiplication by a rounded factor: 2 ulp.
    assert duration(text) == pytest.approx(days, rel=4e-16)


def test_a_bare_number_takes_the_given_unit_and_a_written_one_wins():
    assert duration("12", "h") == 0.5
    assert duration("12 d", "h") == 12


@given(
    st.floats(-1e9, 1e9),
    st.sampled_from(sorted(DAYS_PER_UNIT)),
    st.sampled_from(["", " ", "  "]),
)
def test_every_number_and_unit_reads_as_its_product(number, unit, gap):
    symbol = {"m": "min", "s": "s", "h": "h", "d": "d", "w": "wk"}[unit[0]]
    expected = number * SECONDS[symbol] / 86400
    # Two or three roundings apart: 4 ulp.
    assert duration(f"{number!r}{gap}{unit}") == pytest.approx(expected, rel=1e-15, abs=1e-300)


@given(st.text())
def test_any_text_is_a_number_of_days_or_refused(text):
    try:
        days = duration(text)
    except UnitError:
        return
    assert abs(days) < float("inf")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 hour 30 min", "is not one number with one unit"),
        ("1-2 h", "is not one number with one unit"),
        ("7 days after last dose", "is not one number with one unit"),
        ("1,5 h", "is not one number with one unit"),
        ("1_0 h", "is not one number with one unit"),
        ("\uff15 h", "is not one number with one unit"),
        ("True", "is not one number with one unit"),
        ("nan", "is not one number with one unit"),
        ("inf", "is not one number with one unit"),
        ("", "is not one number with one unit"),
        ("h", "is not one number with one unit"),
        ("5 H", "has no known unit of time; known units: s, min, h, d, wk"),
        ("5 mg", "has no known unit of time; known units: s, min, h, d, wk"),
        ("3 months", "has no known unit of time; known units: s, min, h, d, wk"),
        ("1e400 d", "is not finite"),
    ],
)
def test_what_would_need_a_guess_is_refused(text, reason):
    with pytest.raises(UnitError, match=r"^'") as caught:
        duration(text)
    assert caught.value.reason == reason
    assert str(caught.value) == f"'{text}' {reason}"


def test_an_unknown_default_unit_is_refused():
    with pytest.raises(UnitError, match=r"^'month' is not a unit of time; known units: s, min"):
        duration(1, "month")


def test_the_error_crosses_processes_whole():
    error = UnitError("1 x", "is odd")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason) == (str(error), "is odd")
