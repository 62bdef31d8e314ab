"""Effect measures: arm summaries to an effect and its sampling variance, on plain arrays.

Names of measures and variances are metafor's (`measure` and `vtype` of escalc); NMD, which
metafor lacks, is Vesterinen et al.'s.
"""

from __future__ import annotations

from bayesma.errors import SpecError, did_you_mean
from bayesma.measures.arms import Arms, arms_of
from bayesma.measures.differences import MD, NMD
from bayesma.measures.measure import Gap, Measure
from bayesma.measures.ratios import ROM
from bayesma.measures.standardised import SMD, SMDH, hedges_correction, hedges_g

__all__ = [
    "AVERAGED",
    "MEASURES",
    "Arms",
    "Gap",
    "Measure",
    "arms_of",
    "hedges_correction",
    "hedges_g",
    "measure_of",
]

# Variances that average over all the rows they are given.
AVERAGED = ("AV", "AVHO")
MEASURES: dict[str, Measure] = {found.name: found for found in (SMD, SMDH, MD, NMD, ROM)}


def measure_of(name: str, variance: str | None = None) -> tuple[Measure, str]:
    """Return a measure and the name of its variance, its default where none is named.

    Raises
    ------
    SpecError
        If either is unknown; it lists the known ones.
    """
    if name not in MEASURES:
        raise SpecError(f"no effect measure '{name}'; {did_you_mean(name, list(MEASURES))}")
    found = MEASURES[name]
    variance = variance or found.default
    if variance not in found.variances:
        known = did_you_mean(variance, list(found.variances))
        raise SpecError(f"effect measure {name} has no variance '{variance}'; {known}")
    return found, variance
