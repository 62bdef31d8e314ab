"""Human results as points of the fits: what a fit does not know of them is a fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.cells import is_missing
from bayesma.errors import QueryError
from bayesma.posterior import Fit
from bayesma.queries.grids import (
    checked_values,
    covariates_of,
    outside,
    point_dataset,
    warn_outside,
)
from bayesma.translation.pathway.asked import PEOPLE, STANDARDISED, Question, prediction_at
from bayesma.translation.pathway.doses import amount_of
from bayesma.translation.pathway.origins import COLUMN
from bayesma.translation.pathway.prediction import Prediction
from bayesma.translation.people.drafts import Draft
from bayesma.translation.people.evidence import drafted
from bayesma.translation.people.rows import HALF_LIFE

__all__ = ["Results", "results_of"]

Floats = NDArray[np.float64]

# A half-life is asked at some delay, which does not matter to it.
ANY_DELAY = 1.0


@dataclass(frozen=True)
class Results:
    """Human results as the fits know them.

    Attributes
    ----------
    frame : pandas.DataFrame
        As `HumanEvidence.frame`; the covariates as the first fit's levels and numbers.
    covariates : tuple of str
    prediction : Prediction
        Its points are the results.
    notes : tuple of str
    """

    frame: pd.DataFrame
    covariates: tuple[str, ...]
    prediction: Prediction
    notes: tuple[str, ...]

    @property
    def fading(self) -> NDArray[np.bool_]:
        """Which are half-lives."""
        return (self.frame["quantity"] == HALF_LIFE).to_numpy()

    @property
    def spread(self) -> Floats:
        """Standard errors of y, or of log y for half-lives; NaN where a row gives none."""
        return self.frame["spread"].to_numpy(dtype=float)

    @property
    def y(self) -> Floats:
        """Effects; natural logarithms of half-lives in days."""
        y = self.frame["y"].to_numpy(dtype=float)
        return np.asarray(np.where(self.fading, np.log(np.where(self.fading, y, 1.0)), y))


def results_of(asked: Question, human: Any) -> Results:
    """Return human results at the points of the fits.

    Raises
    ------
    QueryError
        If the question is not about people.
    TableError
        With every fault of the table, those that only a fit knows among them.

    Warns
    -----
    ExtrapolationWarning
        Where a result lies outside the delays of the animals.
    """
    if asked.to != PEOPLE:
        raise QueryError(f"human evidence says nothing of {asked.to}: ask to='{PEOPLE}'")
    draft = drafted(human)
    known: dict[str, list[Any]] = {}
    for fit in asked.fits.values():
        known |= _covariates(draft, fit, known)
    _check_quantities(draft, asked)
    doses = _doses(draft, known)
    draft = draft.assigned({**known, **doses}).settled()
    frames = [_points(draft.frame, fit) for fit in asked.fits.values()]
    _warn(asked, draft.frame, frames)
    amounts = draft.frame["dose"].to_numpy(dtype=float) if "dose" in known else None
    prediction, _ = prediction_at(asked, frames, amounts)
    return Results(draft.frame, tuple(known), prediction, draft.notes)


def _covariates(draft: Draft, fit: Fit, known: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return each row's levels and numbers of a fit's covariates; note what it does not know."""
    names = [name for name in covariates_of(fit.design) if name != COLUMN and name not in known]
    found = {}
    for name in names:
        if name not in draft.frame:
            remedy = "the model needs it: add a column with its level or number in each row"
            draft.wrong.fault(None, name, "is missing", remedy)
            continue
        cells = draft.frame[name].tolist()
        found[name] = [_cell(draft, fit, name, i, cell) for i, cell in enumerate(cells)]
    return found


def _cell(draft: Draft, fit: Fit, name: str, i: int, cell: Any) -> Any:
    if is_missing(cell):
        draft.gaps.fault(i, name, "is missing", "fill it in: the model needs it")
        return None
    if name == "dose":
        return cell
    try:
        (found,) = checked_values(fit.design, name, [cell])
    except QueryError as error:
        said = str(error).partition("' ")[2] or str(error)
        problem, _, known = said.partition("; ")
        remedy = f"{known}; recode it" if known else "write a number"
        draft.wrong.fault(i, name, problem, remedy)
        return None
    return found


def _check_quantities(draft: Draft, asked: Question) -> None:
    """Note results that these fits cannot be compared with."""
    families = [fit.spec.family for fit in asked.fits.values()]
    fades = all(family.parameters for family in families)
    measure = asked.first.design.effects.measure
    likes = STANDARDISED if measure in STANDARDISED else (measure,)
    rows = zip(draft.frame["quantity"], draft.frame["delay"], draft.frame["unit"], strict=True)
    for i, (quantity, delay, unit) in enumerate(rows):
        if quantity == HALF_LIFE:
            if not fades:
                problem = "is a half-life, and the model has no decay"
                draft.wrong.fault(i, "quantity", problem, "fit with decay='exponential'")
            continue
        # A cell with a fault of its own is not missing as well.
        absent = is_missing(delay) and (i, "delay") not in draft.wrong.bad_cells
        if absent and any(family.parameters for family in families):
            draft.gaps.fault(i, "delay", "is missing", "fill it in: the effect fades")
        faulty = {(i, "sd"), (i, "unit")} & (draft.wrong.bad_cells | draft.gaps.bad_cells)
        if not is_missing(unit) and unit not in likes and not faulty:
            problem, remedy = f"is not the measure of the fit, {measure}", _unit_remedy(measure)
            draft.wrong.fault(i, "unit", problem, remedy)


def _unit_remedy(measure: str) -> str:
    if measure in STANDARDISED:
        return "state its SD: a column sd, or bm.human_evidence(table, sd=...)"
    return f"give y as {measure}: y / SD is an SMD"


def _doses(draft: Draft, known: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return doses in mg/kg, where the fits need them."""
    if "dose" not in known:
        return {}
    cells = known["dose"]
    units = draft.frame.get("dose_unit", pd.Series([None] * len(cells))).tolist()
    found: list[Any] = []
    for i, (cell, unit) in enumerate(zip(cells, units, strict=True)):
        amount = float("nan")
        try:
            if cell is not None:
                amount = amount_of(cell if is_missing(unit) else f"{cell} {unit}")
        except QueryError as error:
            problem, _, remedy = str(error).partition(": ")[2].partition("; ")
            draft.wrong.fault(i, "dose", problem, remedy or "write it as '0.5 mg/kg'")
        found.append(amount)
    return {"dose": found}


def _points(frame: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """Return the columns that a fit needs at a point."""
    names = [name for name in covariates_of(fit.design) if name != COLUMN]
    found = frame[names].copy()
    if fit.spec.family.parameters:
        found["delay"] = frame["delay"].fillna(ANY_DELAY)
        found["start"] = frame["start"]
    return found


def _warn(asked: Question, frame: pd.DataFrame, frames: list[pd.DataFrame]) -> None:
    """Warn once where effects lie outside the animals' delays."""
    effects = (frame["quantity"] != HALF_LIFE).to_numpy()
    for fit, points in zip(asked.fits.values(), frames, strict=True):
        if fit.spec.family.parameters and effects.any():
            rows = points[effects].reset_index(drop=True)
            if COLUMN in fit.design.cells:  # the one it starts from
                rows[COLUMN] = asked.named
            first, last = rows["start"].fillna(rows["delay"]), rows["delay"]
            at = point_dataset(fit.design, rows.drop(columns="start"))
            beyond = outside(fit.design, rows, first, last)
            warn_outside(
                fit.design,
                at.assign_coords(beyond_data=("point", np.asarray(beyond))),
                "human results reach",
            )
            return
