"""The rows of a study table as y and v: computed from arms, or published with their spread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import Fault, TableError
from bayesma.measures import AVERAGED, Gap, Measure, arms_of
from bayesma.schema import ARMS
from bayesma.table import StudyTable

__all__ = ["signs_of", "with_outcomes"]

Floats = NDArray[np.float64]
# Half width of a 95% interval in standard errors.
Z95 = 1.959963984540054


def with_outcomes(
    table: StudyTable, measure: Measure, variance: str, correct: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Return a table's frame with `y` and `v` in every row, and notes with counts.

    Parameters
    ----------
    table : StudyTable
        Every row holds `y` with a spread, or all six arm columns.
    measure : Measure
    variance : str
        One of the measure's.
    correct : bool
        Whether to correct computed effects for small samples.

    Raises
    ------
    TableError
        With one fault for each row for which the measure is not defined.
    """
    frame, notes = table.frame.copy(), []
    given = frame["y"].notna() if "y" in frame else pd.Series(False, index=frame.index)
    notes += _notes_on_given(frame, given, measure, variance, correct)
    if not given.all():
        _fill_from_arms(frame, given, table, measure, variance, correct)
        notes += _notes_on_arms(frame[~given], measure, variance, correct)
    _fill_variance(frame, notes)
    return frame, notes


# -- arms --------------------------------------------------------------------------------------


def _fill_from_arms(
    frame: pd.DataFrame,
    given: pd.Series[bool],
    table: StudyTable,
    measure: Measure,
    variance: str,
    correct: bool,
) -> None:
    part = frame[~given]
    sham = _column(part, "mean_sham").fillna(0.0).to_numpy()
    arms = arms_of(**{name: part[name] for name in ARMS}, mean_sham=sham)
    y, v = measure(arms, variance, correct, signs_of(part, measure))
    gaps = measure.gaps(arms, variance)
    gaps.append(_rest(measure, variance, y, v, gaps))
    if faults := _faults(gaps, table, np.flatnonzero(~given)):
        raise TableError(table.source, faults)
    frame.loc[~given, "y"] = y
    frame.loc[~given, "v"] = v


def signs_of(part: pd.DataFrame, measure: Measure) -> Floats:
    """Return what an effect is multiplied by, so that a benefit is positive where that is known.

    NMD with a sham is positive for a benefit already. Without one it is 100 (m_c - m_t) / m_c: its
    sign is that of a benefit times -direction sign(m_c).
    """
    direction, sham = _column(part, "direction"), _column(part, "mean_sham")
    if measure.name != "NMD":
        return np.asarray(direction.fillna(1.0), dtype=float)
    turned = -direction * np.sign(part["mean_control"])
    return np.asarray(turned.where(sham.isna() & direction.notna(), 1.0), dtype=float)


def _column(part: pd.DataFrame, name: str) -> pd.Series[float]:
    return part[name] if name in part else pd.Series(np.nan, index=part.index)


def _rest(measure: Measure, variance: str, y: Floats, v: Floats, gaps: Sequence[Gap]) -> Gap:
    """Return the rows that no gap names and that have no effect or variance all the same."""
    known = np.any([gap.where for gap in gaps], axis=0) if gaps else np.zeros(len(y), dtype=bool)
    where = ~np.isfinite(y) & ~known
    # One row without an effect spoils an average over all: that is no fault of the others.
    if variance not in AVERAGED or not (known | where).any():
        where |= ~known & ~(np.isfinite(v) & (v > 0))
    problem = f"with its other arm columns gives no finite {measure.name} with a variance above 0"
    return Gap(where, "mean_treated", problem, "correct the row, or leave it out")


def _faults(gaps: Iterable[Gap], table: StudyTable, positions: NDArray[np.intp]) -> list[Fault]:
    """Return a fault for every row in a gap, in the order of the rows."""
    rows = table.rows or [str(label) for label in table.frame.index]
    found = sorted(
        ((int(i), gap) for gap in gaps for i in positions[gap.where]), key=lambda pair: pair[0]
    )
    return [
        Fault(
            gap.problem,
            gap.remedy,
            rows[i],
            table.names.get(gap.column, gap.column),
            f"{table.frame[gap.column].iloc[i]:g}",
        )
        for i, gap in found
    ]


def _notes_on_given(
    frame: pd.DataFrame, given: pd.Series[bool], measure: Measure, variance: str, correct: bool
) -> list[str]:
    """Return what there is to say of rows that bring their effect."""
    notes: list[str] = []
    if not given.any():
        return notes
    if set(ARMS) <= set(frame):
        both = given & frame[list(ARMS)].notna().all(axis=1)
        if both.any():
            notes.append(f"effects taken as given although the row holds arms too: {_count(both)}")
    plain = measure.name == "SMD" and variance == measure.default and correct
    if not plain or not given.all():
        asked = f"{measure.name}, variance {variance}{'' if correct else ', not corrected'}"
        notes.append(
            f"effects and variances taken as given, not computed ({asked}): {_count(given)}"
        )
    return notes


def _notes_on_arms(part: pd.DataFrame, measure: Measure, variance: str, correct: bool) -> list[str]:
    """Return what there is to say of rows computed from arms."""
    notes = [measure.remark] if measure.remark else []
    notes += _notes_onsigns_of(part) if measure.name != "NMD" else _notes_on_nmd(part)
    if variance in AVERAGED:
        notes.append(f"variance {variance} averages over the {len(part)} rows computed from arms")
        negative = part["mean_control"] < 0
        if measure.name == "ROM" and negative.nunique() > 1:
            notes.append(
                "rows with means below 0, whose coefficients of variation cancel those of the "
                f"others in variance {variance}, as in metafor: {_count(negative)}"
            )
    if not correct:
        notes.append(f"effects not corrected for small samples: {len(part)}")
    return notes


def _notes_onsigns_of(part: pd.DataFrame) -> list[str]:
    if "direction" not in part:
        return []
    return _counted(
        {
            "effects with their sign flipped (direction -1)": part["direction"] == -1,
            "effects without a direction, read as 1": part["direction"].isna(),
        }
    )


def _notes_on_nmd(part: pd.DataFrame) -> list[str]:
    direction, sham = _column(part, "direction"), _column(part, "mean_sham")
    better = np.sign(sham - part["mean_control"])
    return _counted(
        {
            "effects without a mean_sham, read as 0": sham.isna(),
            "NMD turned, so that an increase counts as positive (direction 1, no mean_sham)": (
                sham.isna() & (direction == 1)
            ),
            "no direction, no mean_sham: a reduction counts as positive": (
                sham.isna() & direction.isna()
            ),
            "direction not applied where mean_sham says which way is better": (
                sham.notna() & direction.notna()
            ),
            "direction says that the control is better than the sham, so that NMD counts against "
            "it": sham.notna() & (better == -direction),
        }
    )


def _counted(notes: Mapping[str, pd.Series[bool]]) -> list[str]:
    """Return the notes that hold for any row, each with its count."""
    return [f"{text}: {_count(where)}" for text, where in notes.items() if where.any()]


# -- published effects -------------------------------------------------------------------------


def _count(where: pd.Series[bool]) -> str:
    return f"{int(where.sum())} of {len(where)}"


def _fill_variance(frame: pd.DataFrame, notes: list[str]) -> None:
    """Fill v where a row gives se or an interval; prefer v, then se, then the interval.

    A pooled row is printed rounded, so there the finer of se and interval is taken.
    """
    v = frame["v"] if "v" in frame else pd.Series(np.nan, index=frame.index)
    se = frame["se"] if "se" in frame else pd.Series(np.nan, index=frame.index)
    from_ci = pd.Series(np.nan, index=frame.index)
    if {"ci_low", "ci_high"} <= set(frame):
        from_ci = (frame["ci_high"] - frame["ci_low"]) / (2 * Z95)
    if "members" in frame:
        finer = frame["members"].notna() & _interval_is_finer(frame, se, from_ci)
        se = se.mask(finer, from_ci)
        if finer.any():
            names = ", ".join(frame.loc[finer, "row_id"])
            notes.append(f"standard errors rebuilt from the finer printed interval: {names}")
    apart = v.notna() & se.notna() & ~np.isclose(v, se**2, rtol=0.05)
    if apart.any():
        notes.append(f"v taken where it disagrees with se: {_count(apart)}")
    frame["v"] = v.fillna(se**2).fillna(from_ci**2)


def _interval_is_finer(
    frame: pd.DataFrame, se: pd.Series[float], from_ci: pd.Series[float]
) -> pd.Series[bool]:
    """Return where rounding blurs the interval's width less than it blurs se."""
    blur_se = se.map(_rounding) / 2
    if from_ci.isna().all():
        return pd.Series(False, index=frame.index)
    ends = frame["ci_low"].map(_rounding) + frame["ci_high"].map(_rounding)
    return from_ci.notna() & se.notna() & (ends / 2 / (2 * Z95) < blur_se)


def _rounding(number: float) -> float:
    """Return the unit in which a number is written: 0.1 for 1.6, 0.01 for 0.28.

    A zero at the end is lost when the cell is read, so 0.80 counts as 0.8 and is thought coarser
    than it is.
    """
    if not np.isfinite(number):
        return float("nan")
    if float(number).is_integer():
        return 1.0
    exponent = Decimal(repr(float(number))).as_tuple().exponent
    return float(10.0 ** int(exponent))
