"""Doses in people and the animals' doses they are like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesma.design import Design
from bayesma.errors import QueryError
from bayesma.posterior import Fit
from bayesma.translation.pathway.origins import COLUMN
from bayesma.translation.pathway.species import Species, species_of
from bayesma.units import UnitError
from bayesma.units import dose as read_dose

__all__ = ["UNIT", "amount_of", "dose_notes", "dose_of", "equivalent_dose"]

UNIT = "mg/kg"


def equivalent_dose(dose: float, of: Species, to: Species) -> float:
    """Return the dose per kg that is the same per body surface.

    dose_to = dose_of Km_of / Km_to  (FDA 2005, equation of section V.B).

    Parameters
    ----------
    dose : float
        mg/kg in `of`.
    of, to : Species

    Returns
    -------
    float
        mg/kg in `to`.
    """
    return dose * of.km / to.km


def dose_of(fit: Fit, dose: Any) -> float | None:
    """Return a dose in mg/kg, or None where none is given and none is needed.

    Raises
    ------
    QueryError
        If the model needs a dose and none is given, or the dose is no amount per kg, or the
        animals' doses are not.
    """
    plan = fit.design
    needed = "dose" in plan.covariates
    if dose is None:
        if needed:
            raise QueryError(
                "the effect goes with the dose in this model: name the dose in people, such as "
                "dose='0.5 mg/kg'; it is turned into each species' equivalent by Km"
            )
        return None
    amount = amount_of(dose)
    units = _units(plan)
    if needed and units - {UNIT}:
        raise QueryError(
            f"the animals' doses are in {', '.join(sorted(units))}: doses go over to people by "
            f"{UNIT}; keep the rows in {UNIT}"
        )
    return amount


def amount_of(dose: Any) -> float:
    """Return a dose in mg/kg; a bare number is in mg/kg.

    Raises
    ------
    QueryError
        If it is no positive amount per kg.
    """
    try:
        found = read_dose(dose, None if isinstance(dose, str) else UNIT)
    except (UnitError, TypeError, ValueError) as error:
        raise QueryError(f"dose = {dose!r}: {error}; write it as '0.5 mg/kg'") from error
    if found.unit != UNIT or not (np.isfinite(found.amount) and found.amount > 0):
        raise QueryError(
            f"dose = {dose!r}: a positive dose in {UNIT} is needed, such as '0.5 mg/kg'"
        )
    return found.amount


def _units(plan: Design) -> set[str]:
    if "dose_unit" not in plan.frame:
        return set()
    return set(map(str, plan.frame["dose_unit"].dropna().unique()))


def dose_notes(
    fit: Fit, dose: float | None, target: Species, more: Mapping[str, Species]
) -> list[str]:
    """Return sentences on the dose: its equivalents, and whether the animals had the like."""
    if dose is None:
        return []
    seen = _doses_seen(fit.design, target, more)
    said = f"dose in people {dose:g} {UNIT}"
    if "dose" not in fit.design.covariates:
        said += ": the model has no dose, so it moves nothing; give the model one to scale it"
    if seen.empty:
        return [said]
    low, high = float(seen.min()), float(seen.max())
    said += f"; the animals' doses are {low:.3g} to {high:.3g} {UNIT} in people (by Km)"
    if not low <= dose <= high:
        said += ", so it lies beyond what was tried"
    return [said]


def _doses_seen(plan: Design, target: Species, more: Mapping[str, Species]) -> pd.Series[Any]:
    """Return the human-equivalent doses of the rows that have one."""
    frame = plan.frame
    nothing: pd.Series[Any] = pd.Series(dtype=float)
    if not {"dose", COLUMN} <= set(frame):
        return nothing
    known = frame["dose"].notna() & frame[COLUMN].notna()
    if "dose_unit" in frame:
        known &= frame["dose_unit"] == UNIT
    if not known.any():
        return nothing
    rows = frame[known]
    km = [species_of(name, more).km for name in rows[COLUMN]]
    return rows["dose"].astype(float) * km / target.km
