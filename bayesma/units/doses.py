"""Doses in canonical units, one for each kind of dose."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from bayesma.units.grammar import (
    NUMBER,
    PLAIN,
    TO,
    Ranges,
    UnitError,
    check_ranges,
    refuse_inexact,
)

__all__ = ["Dose", "DoseUnit", "WrittenDose", "dose", "dose_unit", "written_dose"]

# Capitals are kept apart: Mg, nm and ML are other units than mg, nM and mL.
_MASS = {
    "pg": Fraction(1, 10**9),
    "ng": Fraction(1, 10**6),
    "ug": Fraction(1, 1000),
    "mcg": Fraction(1, 1000),
    "microg": Fraction(1, 1000),
    "mg": Fraction(1),
    "g": Fraction(1000),
}
_SUBSTANCE = {
    "pmol": Fraction(1, 1000),
    "nmol": Fraction(1),
    "umol": Fraction(1000),
    "mmol": Fraction(10**6),
}
_MOLAR = {
    "pM": Fraction(1, 10**6),
    "nM": Fraction(1, 1000),
    "uM": Fraction(1),
    "mM": Fraction(1000),
}
_ACTIVITY = {"IU": Fraction(1)}
_AMOUNTS = {"mg": _MASS, "nmol": _SUBSTANCE, "IU": _ACTIVITY}
_BODY = ("kg", "Kg", "KG")
_LITRES = {"L": Fraction(1), "l": Fraction(1), "mL": Fraction(1000), "ml": Fraction(1000)}
# A daily dose is not a rate of infusion, though both are amounts per time.
_TIMES = {
    **dict.fromkeys(("d", "day"), ("d", Fraction(1))),
    **dict.fromkeys(("h", "hr", "hour"), ("h", Fraction(1))),
    **dict.fromkeys(("min", "minute"), ("h", Fraction(60))),
}

_ONE = re.compile(rf"({NUMBER})\s*(\D.*)?", re.DOTALL)
_RANGE = re.compile(rf"({PLAIN}){TO}({PLAIN})\s*(\D.*)?", re.DOTALL)
_PER = re.compile(r"\s*/\s*|\s+per\s+")
_BODY_WEIGHT = re.compile(r"(?<=[kK][gG])\s+(?:bw|BW|b\.w\.|body\s?weight)(?=\s|/|$)")
_SEVERAL = re.compile(r"[+,;&]|\b(?:and|or|then)\b")
_ROUTE = re.compile(
    r"(?<![A-Za-z])(?:[is]\.?[pcvmtn]\.?|p\.?o\.?|oral(?:ly)?|gavage"
    r"|intra\w+|subcutaneous(?:ly)?)(?![A-Za-z])",
    re.IGNORECASE,
)
# "mg kg-1", "mg.kg\u22121 d-1", "mg kg^-1"
_INVERSE = re.compile(r"[\s.\u00b7\u22c5]*\b(kg|d|day|h|min|l|ml)\s*(?:\^?[-\u2212]1|\u207b\u00b9)")
_SCHEDULE = re.compile(
    r"[x×]|\b(?:[btq]\.?i\.?d|q\.?d|once|twice|times|every|weekly|alternate)\b", re.IGNORECASE
)
_KNOWN = (
    "known units: mg, mg/kg, mg/d, mg/h, mg/kg/d, mg/kg/h, mg/L, uM, nmol, nmol/kg, IU, IU/kg "
    "and their multiples"
)


@dataclass(frozen=True)
class Dose:
    """A dose in the canonical unit of its kind.

    Attributes
    ----------
    amount : float
        In `unit`.
    unit : str
        "mg", "nmol" or "IU", alone or per kg, per d or per h ("mg/kg/d"); "mg/L"; "uM".
    """

    amount: float
    unit: str

    def __str__(self) -> str:
        """Return the dose as `dose` reads it back."""
        return f"{self.amount!r} {self.unit}"


@dataclass(frozen=True)
class DoseUnit:
    """A unit of dose: how many of the canonical unit one of it is.

    Attributes
    ----------
    canonical : str
        The canonical unit of its kind.
    factor : Fraction
        Exact.
    """

    canonical: str
    factor: Fraction

    def convert(self, amount: float) -> float:
        """Return an amount of this unit in the canonical unit."""
        return amount * self.factor.numerator / self.factor.denominator


@dataclass(frozen=True)
class WrittenDose:
    """A dose in the unit it is written in.

    Attributes
    ----------
    amount : float
        In the written unit.
    unit : DoseUnit or None
        None for a bare number.
    midpoint : bool
        Whether `amount` is the middle of a range.
    """

    amount: float
    unit: DoseUnit | None
    midpoint: bool = False


def dose(text: str | float, unit: str | None = None, ranges: Ranges = "refuse") -> Dose:
    """Return a dose in the canonical unit of its kind.

    Parameters
    ----------
    text : str or float
        "100 µg/kg", "40 mg/kg per day", "0.2 mg/kg/h", "5 µM", "3 mg/L", "100 ug".
    unit : str, optional
        The unit of a bare number.
    ranges : {"refuse", "midpoint"}
        What to do with "5-10 mg/kg".

    Returns
    -------
    Dose
        Kinds are never changed into each other: "100 µg" is 0.1 mg, of an animal of any weight;
        a daily dose (mg/kg/d) is not a rate of infusion (mg/kg/h).

    Raises
    ------
    UnitError
        If the text cannot be read without guessing: schedules ("b.i.d."), sums, bounds, capitals
        that mean another unit ("Mg", "nm").
    """
    written = written_dose(text, ranges)
    known = written.unit
    if known is None:
        if unit is None:
            raise UnitError(text, "has no unit; write e.g. '10 mg/kg'")
        known = dose_unit(unit)
        if known is None:
            raise UnitError(unit, f"is no known unit of dose; {_KNOWN}")
    return Dose(known.convert(written.amount), known.canonical)


def written_dose(text: str | float, ranges: Ranges = "refuse") -> WrittenDose:
    """Return a dose as it is written, its unit known or absent.

    Parameters
    ----------
    text : str or float
        As `dose` takes it.
    ranges : {"refuse", "midpoint"}
        What to do with "5-10 mg/kg".

    Returns
    -------
    WrittenDose

    Raises
    ------
    UnitError
        If the text cannot be read without guessing.
    """
    check_ranges(ranges)
    body = str(text).strip()
    if (ends := _RANGE.fullmatch(body)) is not None:
        unit = _unit(text, ends[3])
        low, high = float(ends[1]), float(ends[2])
        if not low < high < math.inf:
            raise UnitError(text, "is not a range that rises")
        if ranges == "refuse":
            raise UnitError(text, "is a range; write one number, or ask for ranges='midpoint'")
        return WrittenDose(low / 2 + high / 2, unit, midpoint=True)
    one = _ONE.fullmatch(body)
    if one is None:
        refuse_inexact(text)
        raise UnitError(text, "is not one number with one unit")
    amount, unit = float(one[1]), _unit(text, one[2])
    if not math.isfinite(amount):
        raise UnitError(text, "is not finite")
    if amount < 0:
        raise UnitError(text, "is negative")
    return WrittenDose(amount, unit)


def _unit(text: object, written: str | None) -> DoseUnit | None:
    if not written:
        return None
    unit = dose_unit(written)
    if unit is not None:
        return unit
    refuse_inexact(text)
    if _SCHEDULE.search(written):
        raise UnitError(text, "names a schedule; write one dose, and the schedule elsewhere")
    if _ROUTE.search(written):
        raise UnitError(text, "names a route; write the dose alone, the route in a column route")
    if _SEVERAL.search(written):
        raise UnitError(text, "names several doses; give each its own row")
    raise UnitError(text, f"has no known unit of dose; {_KNOWN}{_hint(written)}")


def _hint(written: str) -> str:
    meant = _respelt(written)
    if meant is None:
        return ""
    case = "case matters: " if meant.lower() == "".join(written.lower().split()) else ""
    return f"; {case}write '{meant}' if that is meant"


def _respelt(written: str) -> str | None:
    """Return the unit that another spelling may mean: "mg kg-1", "MG/KG", "iu/kg"."""
    per = _INVERSE.sub(r"/\1", _BODY_WEIGHT.sub("", written.lower()))
    plain = "".join(per.split())
    return next((unit for unit in (plain, plain.replace("iu", "IU")) if dose_unit(unit)), None)


def dose_unit(text: str) -> DoseUnit | None:
    """Return a unit of dose; None if it is not known.

    Parameters
    ----------
    text : str
        "µg/kg", "mg/kg per day", "mg/ml", "nM".

    Returns
    -------
    DoseUnit or None
    """
    plain = _BODY_WEIGHT.sub("", text.strip().replace("\u00b5", "u").replace("\u03bc", "u"))
    if plain.endswith(" daily"):
        plain = f"{plain.removesuffix('daily').strip()}/d"
    head, *below = _PER.split(plain)
    if head in _MOLAR:
        return None if below else DoseUnit("uM", _MOLAR[head])
    for canonical, units in _AMOUNTS.items():
        if head in units:
            return _per(canonical, units[head], below)
    return None


def _per(canonical: str, factor: Fraction, below: list[str]) -> DoseUnit | None:
    if len(below) == 1 and below[0] in _LITRES:
        return _concentration(canonical, factor * _LITRES[below[0]])
    unit = canonical
    if below and below[0] in _BODY:
        unit, below = f"{unit}/kg", below[1:]
    if below and below[0] in _TIMES:
        time, times = _TIMES[below[0]]
        unit, factor, below = f"{unit}/{time}", factor * times, below[1:]
    return None if below else DoseUnit(unit, factor)


def _concentration(canonical: str, factor: Fraction) -> DoseUnit | None:
    if canonical == "nmol":
        return DoseUnit("uM", factor / 1000)
    return DoseUnit("mg/L", factor) if canonical == "mg" else None
