import pickle
import re
import string
from datetime import timedelta
from fractions import Fraction
from itertools import groupby, pairwise, product

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bayesma.units import DAYS_PER_UNIT, Delay, UnitError, delay, duration

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "wk": 604800}
SPELT = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "min": ("min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "wk": ("wk", "wks", "week", "weeks"),
}
UNITS = {
    form: SECONDS[unit]
    for unit, words in SPELT.items()
    for word in words
    for form in ({word, word.title(), word.upper()} if len(word) > 1 else {word})
}

# -- what a text means, told a second time and in another way -----------------------------------


def kind(letter):
    if letter in "0123456789.":
        return "number"
    return "word" if letter.isascii() and letter.isalpha() else "gap" if letter.isspace() else "?"


def seconds_of(text):
    """Return the seconds that a text of the grammar means, None if it is none: tokens, no regex."""
    text = text.strip()
    sign = -1 if text[:1] == "-" else 1
    bare = text.lstrip("+-")
    tokens = ["".join(run) for key, run in groupby(bare, kind) if key != "gap"]
    if len(text) - len(bare) > 1 or bare[:1].isspace():
        return None
    if len(tokens) > 1 and tokens[1] in {"e", "E"}:  # 1e3: glued to the number, no gap inside
        head, sep, tail = bare.partition(tokens[1])
        digits = tail.lstrip("+-")
        exponent = digits[: len(digits) - len(digits.lstrip("0123456789"))]
        if not sep or head.strip() != head or not exponent or len(tail) - len(digits) > 1:
            return None
        power = Fraction(10) ** (int(exponent) * (-1 if tail[:1] == "-" else 1))
        rest = digits[len(exponent) :].strip()
        return _product(head, rest, power, sign)
    pairs = list(zip(tokens[::2], tokens[1::2], strict=False))
    if len(tokens) == 1:
        return _product(tokens[0], "", 1, sign)
    if len(pairs) == 1 and len(tokens) == 2:
        return _product(*pairs[0], 1, sign)
    return _sum([t for t in tokens if t.lower() != "and"], "and" in map(str.lower, tokens), text)


def _product(number, unit, power, sign):
    if number.count(".") > 1 or not number.strip(".") or kind(number[0]) != "number":
        return None
    if unit and unit not in UNITS:
        return None
    return sign * Fraction(number) * power * (UNITS[unit] if unit else 86400)


def _sum(tokens, joined, text):
    if text[:1] in "+-" or len(tokens) % 2:
        return None
    sizes = sorted(SECONDS.values(), reverse=True)
    parts = list(zip(tokens[::2], tokens[1::2], strict=True))
    if any(_product(n, u, 1, 1) is None or not u for n, u in parts):
        return None
    rungs = [sizes.index(UNITS[u]) for _, u in parts]
    for (n, u), (m, w), i, j in zip(parts, parts[1:], rungs, rungs[1:], strict=False):
        if Fraction(n).denominator > 1 or Fraction(m) * UNITS[w] >= UNITS[u] or j <= i:
            return None
        if joined and j - i > 1:
            return None
    return sum(Fraction(n) * UNITS[u] for n, u in parts)


def agrees(text):
    """Return whether a text is refused, or read as the other grammar reads it."""
    try:
        days = duration(text)
    except UnitError:
        return True
    meant = seconds_of(text)
    # Three roundings of about 1e-16 each; a quantity misread is off by far more.
    return meant is not None and days == pytest.approx(float(meant / 86400), rel=1e-15, abs=1e-300)


FRAGMENTS = st.sampled_from(
    [
        *(*UNITS, *"0123456789.,+-eEmMHDwyµ~<>/;", "12", "30", "1.5", " ", " ", " and ", " to "),
        *("to", "mo", "month", "\u2013", "\u00a0", "\u0661", "_", "ca "),
    ]
)
LETTERS = st.sampled_from(string.ascii_letters + string.digits + " .,-+/<~\u2013\u00a0\uff15")


@given(st.lists(FRAGMENTS, max_size=8).map("".join))
@example("1e-2 h")
@example("1 h and 30 min")
@example("1h30min")
@example("2 d 4 h 5 min")
def test_a_text_of_fragments_is_refused_or_read_as_it_is_meant(text):
    assert agrees(text)


@st.composite
def written(draw):
    """A well-formed duration."""
    units = draw(st.lists(st.sampled_from(list(SPELT)), min_size=1, max_size=3, unique=True))
    units.sort(key=SECONDS.__getitem__, reverse=True)
    gap = draw(st.sampled_from(["", " ", "\u00a0"]))
    numbers = [draw(st.integers(1, 400))]
    for upper, lower in pairwise(units):
        numbers.append(draw(st.integers(1, min(400, SECONDS[upper] // SECONDS[lower] - 1))))
    return " ".join(
        f"{number}{gap}{draw(st.sampled_from(SPELT[unit]))}"
        for number, unit in zip(numbers, units, strict=True)
    )


@settings(max_examples=40)
@given(written())
def test_well_formed_durations_are_read(text):
    # As in `agrees`.
    assert duration(text) == pytest.approx(float(seconds_of(text) / 86400), rel=1e-15)


@given(written(), st.data())
def test_a_slip_of_the_pen_is_refused_or_a_sound_duration_of_its_own(text, data):
    i = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(LETTERS)
    slips = (
        text[:i] + text[i + 1 :],
        text[:i] + letter + text[i:],
        text[:i] + letter + text[i + 1 :],
        text[:i] + text[i].swapcase() + text[i + 1 :],
    )
    assert all(agrees(slip) for slip in slips)


def test_no_word_of_one_or_two_letters_is_read_as_a_unit_that_it_is_not():
    letters = string.ascii_letters + "\u00b5"
    words = [*letters, *map("".join, product(letters, repeat=2))]
    assert all(agrees(f"5 {word}") for word in words)
    read = {word for word in words if not refused(f"5 {word}")}
    assert read == {word for word in UNITS if len(word) < 3}


def refused(text):
    try:
        duration(text)
    except UnitError:
        return True
    return False


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


# -- single cases --------------------------------------------------------------------------------


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
        ("1e-2 d", 0.01),
        ("-1 d", -1),
        ("0", 0),
        (3, 3),
        (0.25, 0.25),
        ("1 hour 30 min", 0.0625),
        ("1 h 30 min", 0.0625),
        ("1h30min", 0.0625),
        ("1 h and 30 min", 0.0625),
        ("2 d 4 h", 2 + 4 / 24),
        ("24 Hours", 1),
        ("30 MIN", 1 / 48),
        ("1\u00a0h", 1 / 24),
        ("7 days after last dose", 7),
        (timedelta(hours=36), 1.5),
        (pd.Timedelta("90 min"), 0.0625),
    ],
)
def test_known_durations(text, days):
    # One multiplication by a rounded factor, or a sum of two: 2 ulp.
    assert duration(text) == pytest.approx(days, rel=4e-16)


def test_a_bare_number_takes_the_given_unit_and_a_written_one_wins():
    assert duration("12", "h") == 0.5
    assert duration("12 d", "h") == 12


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("7 d", None),
        ("7 days after last dose", "last dose"),
        ("24 h after the last dose", "last dose"),
        ("24 h post last injection", "last dose"),
        ("24 h following the final administration", "last dose"),
        ("3 d after end of infusion", "end of infusion"),
        ("3 d after the end of the infusion", "end of infusion"),
        ("3 d since start of treatment", "start"),
        ("1 h 30 min After First Dose", "start"),
    ],
)
def test_what_a_delay_counts_from(text, reference):
    assert delay(text).reference == reference


@pytest.mark.parametrize("dash", ["-", "\u2013", "\u2014", "\u2212", " - ", " to "])
def test_a_range_is_refused_unless_its_middle_is_asked_for(dash):
    with pytest.raises(UnitError, match=r"is a range; write one number, or ask for ranges='midpo"):
        duration(f"1{dash}2 h")
    # Half of 1/24 + 2/24: one or two roundings.
    assert duration(f"1{dash}2 h", ranges="midpoint") == pytest.approx(1.5 / 24, rel=4e-16)
    assert delay(f"1{dash}2 h after last dose", ranges="midpoint").midpoint
    assert not delay("2 h", ranges="midpoint").midpoint


@given(
    st.integers(0, 500),
    st.integers(1, 500),
    st.sampled_from(list(UNITS)),
    st.sampled_from(["-", " - ", "\u2013", " to "]),
    st.sampled_from(["", " after last dose"]),
)
def test_the_middle_of_a_range_is_midway_and_never_taken_unasked(low, width, unit, to, event):
    text = f"{low}{to}{low + width} {unit}{event}"
    with pytest.raises(UnitError, match="is a range"):
        duration(text)
    meant = Fraction(2 * low + width, 2) * UNITS[unit] / 86400
    # Rounded factors and a sum: 4 ulp.
    assert duration(text, ranges="midpoint") == pytest.approx(float(meant), rel=1e-15)


def test_the_ends_of_a_range_may_differ_in_unit_and_bare_ones_take_the_columns():
    # As above.
    assert duration("30 min to 1 h", ranges="midpoint") == pytest.approx(0.75 / 24, rel=4e-16)
    assert duration("1-2", "h", ranges="midpoint") == pytest.approx(1.5 / 24, rel=4e-16)


@pytest.mark.parametrize("text", ["2-1 h", "1-1 h", "1 h-30 min", "-1-2 h", "1-2-3 h", "1--2 h"])
def test_what_is_no_range_that_rises_has_no_middle(text):
    with pytest.raises(UnitError, match=r"is not a range that rises|may be several durations"):
        duration(text, ranges="midpoint")


def test_an_unknown_way_of_reading_ranges_is_refused():
    with pytest.raises(UnitError, match=r"^'middle' is no way of reading a range; .*midpoint"):
        duration("1-2 h", ranges="middle")


ONE = "is not one number with one unit"
SEVERAL = "may be several durations; write one, such as '1 h 30 min'"
UNKNOWN = "has no known unit of time; known units: s, min, h, d, wk"
CASE = "; case matters: write '{}' if that is meant"
INEXACT = "is not exact; write the one number that is to be used"
COMMA = "has a comma; write a decimal point and no separator of thousands"
MONTHS = (
    "has no known unit of time (months differ in length: write days); known units: s, min, h, d, wk"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1_0 h", SEVERAL),
        ("\uff15 h", ONE),
        ("True", ONE),
        ("nan", ONE),
        ("inf", ONE),
        ("", ONE),
        ("h", ONE),
        ("Immediately", ONE),
        ("PND 7", ONE),
        ("5 H", UNKNOWN + CASE.format("h")),
        ("24 H", UNKNOWN + CASE.format("h")),
        ("5 D", UNKNOWN + CASE.format("d")),
        ("5 mIn", UNKNOWN + CASE.format("min")),
        ("5 mg", UNKNOWN),
        ("7 after last dose", UNKNOWN),
        ("5 m", "has no known unit of time (minutes or months?); known units: s, min, h, d, wk"),
        ("3 months", MONTHS),
        ("3 mo", MONTHS),
        ("1e400 d", "is not finite"),
        ("1,5 h", COMMA),
        ("1,000 h", COMMA),
        ("1 000 h", SEVERAL),
        ("~24 h", INEXACT),
        ("<1 h", INEXACT),
        ("about 2 h", INEXACT),
        ("up to 24 h", INEXACT),
        ("24 h, 7 d", SEVERAL),
        ("24 h and 7 d", SEVERAL),
        ("7 d and 24 h", SEVERAL),
        ("7 d and 30 min", SEVERAL),
        ("1 h 60 min", SEVERAL),
        ("1 h 1 h", SEVERAL),
        ("1.5 h 30 min", SEVERAL),
        ("1h30", SEVERAL),
        (
            "30 min post-injection",
            "counts from 'injection'; known: last dose, end of infusion, start of treatment",
        ),
        (
            "3 d after surgery",
            "counts from 'surgery'; known: last dose, end of infusion, start of treatment",
        ),
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


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5 H", "known units: s, min, h, d, wk; case matters: write 'h' if that is meant"),
        ("5 x", "has no known unit of time; known units: s, min, h, d, wk"),
        ("24 h after last infusion", "counts from 'last infusion'; write 'end of infusion' if"),
        ("24 h after surgery", "counts from 'surgery'; known: last dose, end of infusion, start"),
    ],
)
def test_a_remedy_says_what_to_write(text, reason):
    with pytest.raises(UnitError, match=f"^'.*' .*{re.escape(reason)}"):
        delay(text)


def test_the_last_treatment_is_the_last_dose():
    assert delay("24 h after the last treatment") == Delay(1, "last dose")
