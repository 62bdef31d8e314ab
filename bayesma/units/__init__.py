"""Durations in days, doses in canonical units: a closed grammar of our own.

No general library of units reads a table here. One that knows every unit reads "5 H" as henry,
"1 hour 30 min" as a product and "100 µg/kg" as a number without a unit. What this grammar does
not know, it refuses with a reason, because a text read as another quantity is worse than a text
refused.
"""

from bayesma.units.doses import Dose, DoseUnit, WrittenDose, dose, dose_unit, written_dose
from bayesma.units.durations import DAYS_PER_UNIT, Delay, delay, duration
from bayesma.units.grammar import RANGES, Ranges, UnitError

__all__ = [
    "DAYS_PER_UNIT",
    "RANGES",
    "Delay",
    "Dose",
    "DoseUnit",
    "Ranges",
    "UnitError",
    "WrittenDose",
    "delay",
    "dose",
    "dose_unit",
    "duration",
    "written_dose",
]
