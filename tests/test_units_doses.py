import re
import string
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesma.units import Dose, UnitError, dose, dose_unit

# Every spelling of every unit, written out: what the grammar is held to.
MASS = {
    "pg": "1e-9",
    "ng": "1e-6",
    "ug": "1e-3",
    "mcg": "1e-3",
    "microg": "1e-3",
    "mg": "1",
    "g": "1e3",
}
MASS |= {"\u00b5g": "1e-3", "\u03bcg": "1e-3"}
MOLES = {"pmol": "1e-3", "nmol": "1", "umol": "1e3", "\u00b5mol": "1e3", "mmol": "1e6"}
MOLES |= {"\u03bcmol": "1e3"}
MOLAR = {"pM": "1e-6", "nM": "1e-3", "uM": "1", "\u00b5M": "1", "\u03bcM": "1", "mM": "1e3"}
KG = ("/kg", "/Kg", "/KG", "/kgbw", "/kgb.w.", "/kgbodyweight")
TIMES = {"/d": ("/d", 1), "/day": ("/d", 1), "daily": ("/d", 1)}
TIMES |= {"/h": ("/h", 1), "/hr": ("/h", 1), "/hour": ("/h", 1)}
TIMES |= {"/min": ("/h", 60), "/minute": ("/h", 60)}
LITRES = {"/L": 1, "/l": 1, "/mL": 1000, "/ml": 1000}

TABLE: dict[str, tuple[str, Fraction]] = {u: ("uM", Fraction(f)) for u, f in MOLAR.items()}
for base, sizes in {"mg": MASS, "nmol": MOLES, "IU": {"IU": "1"}}.items():
    for unit, factor in sizes.items():
        for kg, (time, (per, times)) in product(("", *KG), {"": ("", 1), **TIMES}.items()):
            canonical = f"{base}{'/kg' if kg else ''}{per}"
            TABLE[unit + kg + time] = (canonical, Fraction(factor) * times)
for litre, times in LITRES.items():
    TABLE |= {u + litre: ("mg/L", Fraction(f) * times) for u, f in MASS.items()}
    TABLE |= {u + litre: ("uM", Fraction(f) * times / 1000) for u, f in MOLES.items()}
CANONICAL = sorted({unit for unit, _ in TABLE.values()})


def meaning(text):
    """Return (amount, unit) that a text means, None if it is no dose: longest number, look-up."""
    text = text.strip()
    for end in range(len(text), 0, -1):
        head = text[:end]
        if not set(head) <= set("0123456789.eE+-"):
            continue
        try:
            number = Fraction(head)
        except ValueError:
            continue
        unit = "".join(text[end:].replace(" per ", "/").split())
        return (number * TABLE[unit][1], TABLE[unit][0]) if unit in TABLE else None
    return None


def agrees(text):
    """Return whether a text is refused, or read as it is meant."""
    try:
        read = dose(text)
    except UnitError:
        return True
    meant = meaning(text)
    # Two roundings; a quantity misread is off by far more.
    return meant is not None and (read.unit, read.amount) == (
        meant[1],
        pytest.approx(float(meant[0]), rel=1e-15, abs=1e-300),
    )


@given(st.floats(0, 1e12), st.sampled_from(CANONICAL))
def test_a_rendered_dose_reads_back_as_itself(amount, unit):
    assert dose(str(Dose(amount, unit))) == Dose(amount, unit)


def spaced(unit):
    return unit.replace("kgb", "kg b").replace("daily", " daily").replace("bodyw", "body w")


@given(st.decimals(0, 9999, places=3), st.sampled_from(list(TABLE)), st.sampled_from(["", " "]))
def test_every_known_unit_is_read(amount, unit, gap):
    text = f"{amount}{gap}{spaced(unit)}"
    number, canonical = meaning(text)
    read = dose(text)
    assert read.unit == canonical
    # Two roundings.
    assert read.amount == pytest.approx(float(number), rel=1e-15)


LETTERS = st.sampled_from(string.ascii_letters + string.digits + " ./-+%\u00b5\u03bc\u2013\uff15,x")


@given(
    st.integers(1, 999),
    st.sampled_from(["mg/kg", "ug/kg", "\u00b5g", "mg/kg/day", "mg/kg/h", "uM", "mg/ml", "nmol"]),
    st.data(),
)
def test_a_slip_of_the_pen_is_refused_or_a_sound_dose_of_its_own(amount, unit, data):
    text = f"{amount} {unit}"
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
    letters = string.ascii_letters + "\u00b5\u03bc%"
    words = [*letters, *map("".join, product(letters, repeat=2))]
    assert all(agrees(f"5 {word}") for word in words)
    assert all(agrees(f"5 mg/{word}") for word in words)
    assert all(agrees(f"5 mg/kg/{word}") for word in words)


FRAGMENTS = st.sampled_from(
    [*MASS, *MOLES, *MOLAR, *KG, *TIMES, *LITRES, *"0123456789.eE+-,;%/ ", "10", " per ", "\uff15"]
)


@given(st.lists(FRAGMENTS, max_size=7).map("".join))
def test_a_text_of_fragments_is_refused_or_read_as_it_is_meant(text):
    assert agrees(text)


@given(st.text())
def test_any_text_is_a_dose_or_refused(text):
    assert agrees(text)


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("100 \u00b5g/kg", 0.1, "mg/kg"),
        ("100 \u03bcg", 0.1, "mg"),
        ("40 mg/kg per day", 40, "mg/kg/d"),
        ("40 mg/kg/day", 40, "mg/kg/d"),
        ("0.2 mg/kg/h", 0.2, "mg/kg/h"),
        ("2 \u00b5g/kg/min", 0.12, "mg/kg/h"),
        ("500 nM", 0.5, "uM"),
        ("3 mg/ml", 3000, "mg/L"),
        ("10 mg/Kg", 10, "mg/kg"),
        ("10\u00a0mg/kg bw", 10, "mg/kg"),
        ("20 mg / kg", 20, "mg/kg"),
    ],
)
def test_known_doses(text, amount, unit):
    # Exact fractions, one rounding.
    assert dose(text) == Dose(pytest.approx(amount, rel=2e-16), unit)


def test_a_mass_is_not_a_mass_per_weight_and_a_daily_dose_is_no_rate():
    units = [dose_unit(text).canonical for text in ("mg", "mg/kg", "mg/kg/d", "mg/kg/h", "mg/L")]
    assert len(set(units)) == 5


def test_a_bare_number_needs_its_unit():
    assert dose("100", "ug/kg") == dose(100.0, "ug/kg") == Dose(0.1, "mg/kg")
    with pytest.raises(UnitError, match=r"^'100' has no unit; write e\.g\. '10 mg/kg'"):
        dose("100")
    with pytest.raises(UnitError, match=r"^'blorps' is no known unit of dose; known units: mg, "):
        dose(100, "blorps")


def test_a_range_is_refused_unless_its_middle_is_asked_for():
    with pytest.raises(UnitError, match=r"is a range; write one number, or ask for ranges='midpo"):
        dose("5-10 mg/kg")
    assert dose("5\u201310 mg/kg", ranges="midpoint") == Dose(7.5, "mg/kg")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10 mg/kg b.i.d.", "names a schedule; write one dose, and the schedule elsewhere"),
        ("10 mg/kg twice daily", "names a schedule"),
        ("10 mg x 3", "names a schedule"),
        ("2.5 mg/kg + 10 mg/kg", "names several doses; give each its own row"),
        ("5 and 10 mg", "names several doses"),
        ("<5 mg", "is not exact"),
        ("1,000 mg", "has a comma"),
        ("10 Mg/kg", "has no known unit of dose; known units: mg, mg/kg"),
        ("5 um", "has no known unit of dose"),
        ("10 MG", "has no known unit of dose"),
        ("10 %", "has no known unit of dose"),
        ("0.2 ml", "has no known unit of dose"),
        ("10 mg/L/d", "has no known unit of dose"),
        ("10-5 mg", "is not a range that rises"),
        ("-5 mg", "is negative"),
        ("1e400 mg", "is not finite"),
        ("mg", "is not one number with one unit"),
        ("", "is not one number with one unit"),
        ("\uff15 mg", "is not one number with one unit"),
    ],
)
def test_what_would_need_a_guess_is_refused(text, reason):
    with pytest.raises(UnitError, match=r"^'") as caught:
        dose(text)
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10 mg/kg, i.p.", "names a route; write the dose alone, the route in a column route"),
        ("10 mg/kg ip", "names a route; write the dose alone"),
        ("10 mg/kg s.c.", "names a route; write the dose alone"),
        ("10 mg/kg, orally", "names a route; write the dose alone"),
        ("10 mg kg-1", "their multiples; write 'mg/kg' if that is meant"),
        ("10 mg\u00b7kg\u22121 day-1", "their multiples; write 'mg/kg/day' if that is meant"),
        ("10 MG/KG", "their multiples; case matters: write 'mg/kg' if that is meant"),
        ("100 iu/kg", "their multiples; case matters: write 'IU/kg' if that is meant"),
        ("2.5 mg/kg, 5 mg/kg", "names several doses; give each its own row"),
        ("10 drops/kg", "nmol/kg, IU, IU/kg and their multiples"),
    ],
)
def test_a_remedy_says_what_to_write(text, reason):
    with pytest.raises(UnitError, match=f"^'.*' .*{re.escape(reason)}"):
        dose(text)


def test_body_weight_in_capitals_is_body_weight():
    assert dose("10 mg/kg BW") == Dose(10, "mg/kg")
