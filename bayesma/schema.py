"""The columns of a study table, once: what each holds, its unit, range and levels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["ARMS", "COLUMNS", "EFFECT", "SIDES", "SUMMARIES", "Column", "Kind"]

Kind = Literal["text", "number", "count", "duration", "dose"]


@dataclass(frozen=True)
class Column:
    """One canonical column.

    Attributes
    ----------
    name : str
        Its canonical name.
    kind : {"text", "number", "count", "duration", "dose"}
        How a cell is read; a duration ends in days, a dose in the canonical unit of its kind.
    doc : str
        One line for people.
    low, high : float
        Smallest and largest allowed value.
    open_low : bool
        Whether `low` itself is refused.
    levels : tuple of str
        Allowed texts; empty if any.
    required : bool
        Whether every table needs it, in every row.
    words : tuple of (str, float)
        Texts that stand for a number.
    smallest : bool
        Whether a range ("6-8") is read as its smallest number.
    """

    name: str
    kind: Kind
    doc: str
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    levels: tuple[str, ...] = ()
    required: bool = False
    words: tuple[tuple[str, float], ...] = ()
    smallest: bool = False


def _positive(name: str, doc: str) -> Column:
    return Column(name, "number", doc, low=0, open_low=True)


ARMS = ("mean_treated", "sd_treated", "n_treated", "mean_control", "sd_control", "n_control")
EFFECT = ("y", "v", "se", "ci_low", "ci_high")
SIDES = ("treated", "control")
# What papers print of an arm instead of mean and SD: "sem_treated", "q1_control", ...
SUMMARIES = ("sem", "ci_low", "ci_high", "median", "q1", "q3", "min", "max")


def _summaries(side: str) -> tuple[Column, ...]:
    docs = {
        "ci_low": "lower end of the 95% interval of the mean",
        "ci_high": "upper end of the 95% interval of the mean",
        "median": "median",
        "q1": "lower quartile",
        "q3": "upper quartile",
        "min": "smallest value",
        "max": "largest value",
    }
    sem = _positive(f"sem_{side}", f"standard error of the mean of the {side} arm")
    rest = (Column(f"{name}_{side}", "number", f"{docs[name]} of the {side} arm") for name in docs)
    return (sem, *rest)


_ALL = (
    Column("row_id", "text", "unique name of the row; its row number where absent"),
    Column("study", "text", "the publication; its rows share a study effect", required=True),
    Column("experiment", "text", "independent experiment within the study"),
    Column("mean_treated", "number", "outcome mean of the treated arm"),
    _positive("sd_treated", "standard deviation of the treated arm"),
    Column("n_treated", "count", "animals in the treated arm", low=2, smallest=True),
    Column("mean_control", "number", "outcome mean of the control arm"),
    _positive("sd_control", "standard deviation of the control arm"),
    Column(
        "n_control",
        "count",
        "animals in the control arm, not split over comparisons",
        low=2,
        smallest=True,
    ),
    *_summaries("treated"),
    *_summaries("control"),
    Column("mean_sham", "number", "outcome mean of animals without the disease; NMD, 0 if absent"),
    Column(
        "direction",
        "number",
        "of arms: 1 (higher is better) keeps treated minus control, -1 (lower is better) flips it, "
        "so that a benefit is positive; NMD with a mean_sham needs none; y keeps its sign",
        levels=("1", "-1"),
        words=(("higher is better", 1.0), ("lower is better", -1.0)),
    ),
    Column("y", "number", "effect, where it is given instead of the arms"),
    _positive("v", "sampling variance of y"),
    _positive("se", "standard error of y"),
    Column("ci_low", "number", "lower end of the 95% interval of y"),
    Column("ci_high", "number", "upper end of the 95% interval of y"),
    Column("drug", "text", "drug"),
    Column("regimen", "text", "single, repeated or infusion, or the reviewer's own words"),
    Column("species", "text", "species"),
    Column("route", "text", "route of administration"),
    Column("strain", "text", "strain"),
    Column("sex", "text", "sex"),
    Column("dose", "dose", "dose, in dose_unit", low=0),
    Column("dose_unit", "text", "unit of the dose, canonical for its kind where it is known"),
    Column("duration", "duration", "length of treatment", low=0),
    Column("delay", "duration", "time since last dose or end of infusion; 0 while exposed", low=0),
    Column(
        "delay_reference",
        "text",
        "what the delay counts from",
        levels=("last dose", "end of infusion", "start"),
    ),
    Column("exposure", "text", "still exposed when measured?", levels=("on", "off")),
    Column("members", "text", "row ids of the comparisons a pooled row stands for, ';' between"),
    Column("k", "count", "number of comparisons in a pooled row", low=1),
    Column("i2", "number", "I2 of a pooled row, in percent", low=0, high=100),
)

COLUMNS: dict[str, Column] = {column.name: column for column in _ALL}
