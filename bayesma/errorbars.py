"""Standard errors that pass for standard deviations.

An SEM is an SD divided by sqrt(n). Taken for an SD it makes an effect sqrt(n) times too large,
and no later step can tell. What can be told beforehand is that a comparison's errors are small,
for their own effect or beside the errors of others.
"""

from __future__ import annotations

from collections.abc import Container

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.measures import Arms, arms_of
from bayesma.schema import ARMS
from bayesma.table import StudyTable

__all__ = ["alarms", "suspect_sem", "suspicion"]

Floats = NDArray[np.float64]

# Thresholds and what they cost are measured in evidence/error_bars.md.
LARGE_D = 3.0
LOG_ODDS = 1.5
LARGE_MEDIAN_D = 3.0
# More comparisons than this are a list, not a sentence.
MOST_NAMED = 12
# Fewer other studies than this say nothing of an outcome's spread.
FEWEST_PEERS = 5
# Studies of one outcome spread by at least this much in log(SD / mean); comparisons of one
# study, whose few animals alone give an SD a log standard error of 1 / sqrt(2 df), by this.
SPREAD_OF_STUDIES, SPREAD_WITHIN = 0.3, 0.3
# A median absolute deviation times this is the standard deviation of a normal sample.
MAD_TO_SD = 1.4826


def suspect_sem(table: StudyTable) -> pd.DataFrame:
    """Say of every comparison whether its SDs look like SEMs, and why.

    ``d = |m_t - m_c| / s`` with the pooled s; ``r = log(s / max(|m_t|, |m_c|))``. If s is an SEM,
    r lies l = log(sqrt(n)) below that of an SD, n being the harmonic mean of both arms. With other
    studies' r normal around their median m, spread w, the log odds of SEM to SD are

        ((r - m)^2 - (r + l - m)^2) / (2 w^2).

    Three signals: d above 3; log odds above 1.5 beside the other studies of the same outcome;
    log odds above 1.5 beside the other comparisons of the same study and outcome. Of true SDs a
    fifth carries one signal and less than a tenth two (evidence/error_bars.md): a flag says to
    look the paper up, not to correct it.

    Parameters
    ----------
    table : StudyTable
        Rows that carry arms are judged, unless an SD of theirs was computed from an SEM, a CI or
        a median, or agrees with one (`sd_sources`): those are peers only. Columns `outcome` and
        `outcome_unit`, where there, say which rows are comparable.

    Returns
    -------
    pandas.DataFrame
        One row per judged comparison: `row_id`, `study`, `d`, `d_if_sem` (the effect if both
        errors are SEMs), `cv` (s over the larger mean), `beside_others`, `beside_own` (log odds,
        missing where there is nothing to compare with), `signals` (sentences) and `verdict`:
        "likely" (two signals), "possible" (one) or "".
    """
    frame = _with_arms(table)
    d, r, shift = _effect(frame), _spread(frame), _shift(frame)
    groups = _groups(frame)
    others = _log_odds(r, shift, groups, frame["study"].to_numpy(), own=False)
    own = _log_odds(r, shift, groups, frame["study"].to_numpy(), own=True)
    found = pd.DataFrame(
        {
            "row_id": frame["row_id"].to_numpy(),
            "study": frame["study"].to_numpy(),
            "d": d,
            "d_if_sem": _effect(_inflated(frame)),
            "cv": np.exp(r),
            "beside_others": others,
            "beside_own": own,
        }
    )
    signals = [_signals(*row) for row in zip(d, others, own, strict=True)]
    found["signals"] = pd.Series(["; ".join(row) for row in signals], dtype="str")
    found["verdict"] = pd.Series(
        ["likely" if len(row) > 1 else "possible" if row else "" for row in signals], dtype="str"
    )
    return found[_only_said(frame, table)].reset_index(drop=True)


def suspicion(table: StudyTable, confirmed: Container[str] = ()) -> list[str]:
    """Return what is suspicious about a table's SDs, in sentences; empty if nothing is.

    Parameters
    ----------
    table : StudyTable
    confirmed : container of str
        Studies whose errors the reviewer has looked up.
    """
    found = _in_doubt(table, confirmed)
    return [*_as_a_whole(found), *_of_rows(found, "likely"), *_of_rows(found, "possible")]


def alarms(table: StudyTable, confirmed: Container[str] = ()) -> list[str]:
    """Return the sentences of `suspicion` but for the one on single signals.

    A fifth of true SDs carries one signal, one in twelve two: most small reviews hold a row of
    these as well (evidence/error_bars.md), so an alarm is a reason to look a paper up, no more.

    Parameters
    ----------
    table : StudyTable
    confirmed : container of str
        Studies whose errors the reviewer has looked up.
    """
    found = _in_doubt(table, confirmed)
    return [*_as_a_whole(found), *_of_rows(found, "likely")]


def _in_doubt(table: StudyTable, confirmed: Container[str]) -> pd.DataFrame:
    found = suspect_sem(table)
    looked_up = np.asarray([study in confirmed for study in found["study"]], dtype=bool)
    return found[~looked_up]


def _as_a_whole(found: pd.DataFrame) -> list[str]:
    median = found.groupby("study")["d"].median().median()
    studies = found["study"].nunique()
    if studies < FEWEST_PEERS or not median > LARGE_MEDIAN_D:
        return []
    return [
        f"the median study has |d| = {median:.2g}, where two real tables of SDs have 1.5 and "
        "1.7: many of these SDs may be SEMs"
    ]


def _of_rows(found: pd.DataFrame, verdict: str) -> list[str]:
    rows = found[found["verdict"] == verdict]
    may, why = {
        "likely": ("are likely", "two signals each, as one in twelve true SDs has"),
        "possible": ("may be", "one signal each, as one in five true SDs has"),
    }[verdict]
    if not len(rows):
        return []
    return [f"SDs that {may} SEMs: {len(rows)} of {len(found)} comparisons ({why}): {_named(rows)}"]


def _named(rows: pd.DataFrame) -> str:
    parts = []
    for study, same in rows.head(MOST_NAMED).groupby("study", sort=False):
        cells = [
            f"{row_id} (d {d:.1f}, {d_if_sem:.1f} if SEM)"
            for row_id, d, d_if_sem in zip(same["row_id"], same["d"], same["d_if_sem"], strict=True)
        ]
        parts.append(f"{study}: {', '.join(cells)}")
    if len(rows) > MOST_NAMED:
        parts.append(f"and {len(rows) - MOST_NAMED} more, which suspect_sem lists")
    return "; ".join(parts)


def _only_said(frame: pd.DataFrame, table: StudyTable) -> NDArray[np.bool_]:
    """Return the rows whose SDs, both of them, are SDs only by the word of the table."""
    borne_out = {row for rows in table.sd_sources.values() for row in rows}
    return ~frame["row_id"].isin(list(borne_out)).to_numpy(dtype=bool)


def _with_arms(table: StudyTable) -> pd.DataFrame:
    """Return the rows whose arms are whole and whose means are not both zero."""
    if not set(ARMS) <= set(table.frame):
        return table.frame.iloc[:0].assign(**dict.fromkeys(ARMS, 0.0))
    arms = table.frame[list(ARMS)]
    largest = arms[["mean_treated", "mean_control"]].abs().max(axis=1)
    return table.frame[arms.notna().all(axis=1) & (largest > 0)].reset_index(drop=True)


def _arms(frame: pd.DataFrame) -> Arms:
    return arms_of(*(frame[name] for name in ARMS))


def _effect(frame: pd.DataFrame) -> Floats:
    arms = _arms(frame)
    return np.asarray(np.abs(arms.mean_treated - arms.mean_control) / np.sqrt(arms.pooled))


def _spread(frame: pd.DataFrame) -> Floats:
    arms = _arms(frame)
    largest = np.maximum(np.abs(arms.mean_treated), np.abs(arms.mean_control))
    return np.asarray(np.log(np.sqrt(arms.pooled) / largest))


def _shift(frame: pd.DataFrame) -> Floats:
    return np.asarray(0.5 * np.log(2 / _arms(frame).inverse))


def _inflated(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        sd_treated=frame["sd_treated"] * np.sqrt(frame["n_treated"]),
        sd_control=frame["sd_control"] * np.sqrt(frame["n_control"]),
    )


def _groups(frame: pd.DataFrame) -> NDArray[np.object_]:
    """Return the outcome of each row with its unit; one group where the table names neither."""
    keys = [name for name in ("outcome", "outcome_unit") if name in frame]
    labels = (
        frame[keys].astype("str").fillna("").agg(" / ".join, axis=1)
        if keys and len(frame)
        else None
    )
    return np.asarray([""] * len(frame) if labels is None else labels, dtype=object)


def _log_odds(
    r: Floats, shift: Floats, groups: NDArray[np.object_], studies: NDArray[np.object_], own: bool
) -> Floats:
    """Return the log odds of SEM to SD beside a row's peers; NaN where there are too few.

    Peers are the medians of the other studies of the outcome, or (`own`) the other comparisons
    of the study and outcome.
    """
    found = np.full(len(r), np.nan)
    for group in set(groups):
        rows = np.flatnonzero(groups == group)
        names, member = np.unique(studies[rows].astype(str), return_inverse=True)
        medians = np.array([np.median(r[rows[member == j]]) for j in range(len(names))])
        for place, (i, j) in enumerate(zip(rows, member, strict=True)):
            if own:
                peers = np.delete(r[rows], place)[np.delete(member, place) == j]
                fewest, floor = 1, SPREAD_WITHIN
            else:
                peers, fewest, floor = np.delete(medians, j), FEWEST_PEERS, SPREAD_OF_STUDIES
            if len(peers) >= fewest:
                found[i] = _two_normals(r[i], shift[i], peers, floor)
    return found


def _two_normals(r: float, shift: float, peers: Floats, floor: float) -> float:
    middle = float(np.median(peers))
    width = max(MAD_TO_SD * float(np.median(np.abs(peers - middle))), floor)
    return ((r - middle) ** 2 - (r + shift - middle) ** 2) / (2 * width**2)


def _signals(d: float, others: float, own: float) -> list[str]:
    found = []
    if d > LARGE_D:
        found.append(f"|d| = {d:.2g} is large")
    if others > LOG_ODDS:
        found.append("its spread is more like the SEMs of other studies than like their SDs")
    if own > LOG_ODDS:
        found.append("its spread is more like the SEMs of the study's other comparisons")
    return found
