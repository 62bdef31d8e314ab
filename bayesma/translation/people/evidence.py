"""HumanEvidence: results of people, to hold against a prediction or to update it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from bayesma.errors import QueryError
from bayesma.table import StudyTable
from bayesma.table.checker import Checker
from bayesma.translation.people.drafts import Draft, draft_of

__all__ = ["HumanEvidence", "drafted", "human_evidence"]

Unusable = Literal["refuse", "leave out"]


@dataclass(frozen=True)
class HumanEvidence:
    """Checked results of people.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per result: `row_id`, `study`, `quantity`, `delay` and `start` (d), `y` with
        `se`, `ci_low`, `ci_high` (a benefit is positive; in SDs where an SD was stated; a
        half-life in d), `unit`, `spread` (standard error of y, of log y for a half-life; NaN
        where the row gives none), and the table's other columns.
    notes : tuple of str
        What was converted, divided, turned or left out, with the rows.
    source : str
        File, or "DataFrame".
    rows : tuple of str
        Row names as the source numbers them.
    unusable : {"refuse", "leave out"}
        What becomes of rows that lack what a fit needs.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]
    source: str
    rows: tuple[str, ...]
    unusable: Unusable = "refuse"

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self.frame)


def human_evidence(
    data: pd.DataFrame | StudyTable,
    *,
    sd: float | Mapping[str, float] | None = None,
    unusable: Unusable = "refuse",
) -> HumanEvidence:
    """Check a table of results of people; one number of one study in each row.

    An effect on another scale is y / sd, an SMD if sd is the standard deviation of people on that
    scale: an assumption, which nothing but the user can make.

    Parameters
    ----------
    data : pandas.DataFrame or StudyTable
        Columns: `study`; `quantity`, "effect" (where absent) or "half_life"; `y`, the effect, or
        the half-life as a number with `unit` h, d or wk, or as a text such as "10.9 d"; `se`, `v`
        or `ci_low` and `ci_high` (95%), without which a row has a position and updates nothing;
        `delay` of an effect since the last dose, days or text, and `start` where it is averaged
        over the time from there to the delay; `unit` of an effect, "SMD" or the fit's measure or
        the name of another scale, for which `sd` is needed; `direction`, 1 (where absent) or -1
        where a lower number is better; `row_id`; and the covariates of the model, such as
        `regimen`.
    sd : float or mapping of str to float, optional
        Standard deviation on the other scale: of all studies, or by study. A column `sd` goes
        before it.
    unusable : {"refuse", "leave out"}
        What becomes of rows that lack a number, an SD, a delay or a covariate that the model
        needs. "leave out" counts them in the notes. What is there and wrong is always refused.

    Returns
    -------
    HumanEvidence

    Raises
    ------
    TableError
        With every fault: row, column, value and remedy.
    QueryError
        If the data are no table, or `unusable` is unknown.
    """
    draft = drafted(data, sd, unusable).settled()
    return HumanEvidence(draft.frame, draft.notes, draft.source, draft.rows, unusable)


def drafted(data: Any, sd: Any = None, unusable: Unusable = "refuse") -> Draft:
    """Return a table with its cells read and its faults not yet told."""
    if unusable not in ("refuse", "leave out"):
        raise QueryError(f"unusable = '{unusable}'; known: refuse, leave out")
    leave_out = unusable == "leave out"
    if isinstance(data, HumanEvidence):
        if sd is not None:
            raise QueryError("this evidence is checked already: give sd= with its table")
        told, frame = data.rows, data.frame
        checks = Checker(frame, told), Checker(frame, told)
        return Draft(frame, data.source, told, *checks, data.notes, data.unusable == "leave out")
    if isinstance(data, StudyTable):
        names = {name: header for name, header in data.names.items() if name in data.frame}
        raw = data.frame.rename(columns=names)
        rows = data.rows or tuple(map(str, raw.index))
        return draft_of(raw, data.source, rows, names, sd, leave_out)
    if isinstance(data, pd.DataFrame):
        return draft_of(data, "DataFrame", tuple(map(str, data.index)), {}, sd, leave_out)
    kind = type(data).__name__
    raise QueryError(f"human evidence is a table (DataFrame or StudyTable), not a {kind}")
