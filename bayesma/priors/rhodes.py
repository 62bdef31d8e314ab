"""Predictive distributions of heterogeneity of Rhodes, Turner & Higgins (2015), as numbers.

    log tau^2 ~ t(5 degrees of freedom, location, scale)

for the SMDs of a future meta-analysis in a setting: Table 3 (medical areas other than the two
below), and appendix tables for respiratory diseases and for cancer. The general setting is in
their section 3.3. Two transcriptions made apart from each other, in the R packages bayesmeta and
rnmamod, were compared number by number.
"""

from __future__ import annotations

from types import MappingProxyType

__all__ = [
    "AREAS",
    "COMPARISONS",
    "DEGREES_OF_FREEDOM",
    "GENERAL",
    "OUTCOMES",
    "SETTINGS",
    "SOURCE",
]

SOURCE = "Rhodes, Turner & Higgins 2015, J Clin Epidemiol 68:52, doi 10.1016/j.jclinepi.2014.08.012"
DEGREES_OF_FREEDOM = 5.0
GENERAL = (-3.44, 2.59)

OUTCOMES = {
    "obstetric": "obstetric outcomes",
    "resource_use": "resource use, hospital stay, process",
    "structure": "internal and external structure",
    "physical_health": "physical health, adverse events, pain, quality of life, functioning",
    "signs_symptoms": "signs and symptoms, infection, onset of disease",
    "mental_health": "mental health",
    "biological_marker": "biological markers",
    "subjective": "various subjective outcomes",
}
COMPARISONS = {
    "drug_placebo": "drug against placebo or control",
    "drug_drug": "drug against drug",
    "non_drug": "any comparison with what is no drug",
}
AREAS = {
    "": "neither cancer nor respiratory disease",
    "respiratory": "respiratory diseases",
    "cancer": "cancer",
}

# By area and outcome: location and scale for each of COMPARISONS. None where the number cannot be
# trusted: the locations of a table are sums of an effect of outcome and one of comparison, to
# rounding, in all cells but three. One of the three stands with either sign in the transcriptions,
# the others 0.26 and 1.0 off the sum.
_TABLES: dict[str, dict[str, tuple[tuple[float, float] | None, ...]]] = {
    "": {
        "obstetric": ((-4.13, 2.34), (-4.40, 2.31), (-3.99, 2.11)),
        "resource_use": ((-2.55, 2.73), (-2.83, 2.70), (-2.41, 2.57)),
        "structure": ((-2.43, 2.50), (-2.70, 2.46), (-2.29, 2.32)),
        "physical_health": ((-3.16, 2.50), (-3.44, 2.44), (-3.02, 2.27)),
        "signs_symptoms": ((-3.00, 2.50), (-3.27, 2.47), (-2.86, 2.33)),
        "mental_health": ((-2.99, 2.16), (-3.27, 2.14), None),
        "biological_marker": ((-3.41, 2.83), (-3.68, 2.78), (-3.27, 2.66)),
        "subjective": ((-2.76, 2.58), (-3.03, 2.59), (-2.62, 2.41)),
    },
    "respiratory": {
        "obstetric": ((-6.03, 2.36), (-6.31, 2.31), (-5.89, 2.21)),
        "resource_use": ((-4.46, 2.74), (-4.73, 2.70), (-4.32, 2.57)),
        "structure": ((-4.33, 2.51), (-4.61, 2.46), (-4.19, 2.33)),
        "physical_health": ((-5.07, 2.51), (-5.34, 2.45), (-4.93, 2.28)),
        "signs_symptoms": ((-4.90, 2.50), (-5.18, 2.47), (-4.76, 2.33)),
        "mental_health": ((-4.90, 2.17), (-5.17, 2.14), (-4.76, 1.94)),
        "biological_marker": ((-5.31, 2.83), (-5.59, 2.78), (-5.17, 2.66)),
        "subjective": ((-4.66, 2.59), (-4.94, 2.59), (-4.52, 2.41)),
    },
    "cancer": {
        "obstetric": ((-1.57, 2.45), (-1.85, 2.41), (-1.43, 2.24)),
        "resource_use": (None, (-0.27, 2.79), (0.15, 2.68)),
        "structure": (None, (-0.14, 2.56), (0.27, 2.45)),
        "physical_health": ((-0.60, 2.61), (-0.88, 2.55), (-0.46, 2.40)),
        "signs_symptoms": ((-0.44, 2.60), (-0.71, 2.57), (-0.30, 2.46)),
        "mental_health": ((-0.43, 2.28), (-0.71, 2.25), (-0.29, 2.08)),
        "biological_marker": ((-0.85, 2.93), (-1.13, 2.87), (-0.71, 2.78)),
        "subjective": ((-0.20, 2.68), (-0.48, 2.68), (-0.06, 2.53)),
    },
}
SETTINGS = MappingProxyType(
    {
        (outcome, comparison, area): numbers
        for area, table in _TABLES.items()
        for outcome, cells in table.items()
        for comparison, numbers in zip(COMPARISONS, cells, strict=True)
        if numbers is not None
    }
)
