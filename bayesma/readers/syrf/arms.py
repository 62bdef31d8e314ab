"""Rows of an export to arms with a mean, a standard deviation and a direction."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bayesma.cells import listed, not_known, number_remedy, plain_number, smallest_of
from bayesma.errors import Fault
from bayesma.readers.syrf.errortypes import IQR, error_kind, letters, sd_of
from bayesma.readers.syrf.export import Export
from bayesma.units import DAYS_PER_UNIT

__all__ = ["TRUE", "Arm", "Words", "arms_of"]

FEWEST = 2  # animals with a standard deviation
# Cells that decide which arms are compared: a fault of theirs may hide a comparison.
DECISIVE = ("treatment_control", "time")
TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class Arm:
    """One cohort, one outcome, one time.

    Attributes
    ----------
    row : int
        Position in the export.
    study, study_id, annotator, experiment_id, cohort_id, cohort : str
        Who and where; `study` and `cohort` are labels for people.
    models : str
        Disease models, as one key; "" for none.
    outcome_key : str
        The outcome's id, or its label where the export has no ids.
    time : str
        As written.
    delay : float or None
        The time in days.
    control : bool or None
        Whether all its treatments are controls; None where it has none.
    n, mean, sd : float
        Animals, mean, and standard deviation, from the SEM where that was given.
    error : float
        As entered.
    error_type : str
        "SD", "SEM", "95% CI", or "" where it has a fault.
    unit : str
        Unit of the outcome; "" where it is not said.
    healthy : bool
        Whether it is a control of the disease model: animals without the disease.
    direction : int
        1 where more is better, -1 where more is worse.
    """

    row: int
    study: str
    study_id: str
    annotator: str
    experiment_id: str
    cohort_id: str
    cohort: str
    models: str
    outcome_key: str
    time: str
    delay: float | None
    control: bool | None
    n: float
    mean: float
    sd: float
    error: float
    error_type: str
    unit: str
    healthy: bool
    direction: int

    @property
    def moment(self) -> float | str | None:
        """The time to compare by: a number where it is one, since 1440 is 1440.0."""
        return self.time if self.delay is not None and math.isnan(self.delay) else self.delay


@dataclass(frozen=True)
class Words:
    """What the reviewer says of the export.

    Attributes
    ----------
    greater_is_worse : mapping of str to bool
        By outcome label; it overrides the export.
    error_type : mapping of str to str
        "SD" or "SEM" by study label; it overrides the export.
    time_unit : str
        Unit of the times.
    """

    greater_is_worse: Mapping[str, bool]
    error_type: Mapping[str, str]
    time_unit: str


class _Reader:
    """Collects arms, faults of cells and counts of what was converted."""

    def __init__(self, export: Export, names: Mapping[str, str], words: Words) -> None:
        self.export, self.names, self.words = export, names, words
        self.decisive: list[tuple[int, Fault]] = []
        self.others: list[tuple[int, Fault]] = []
        self.converted: Counter[str] = Counter()

    def cell(self, row: int, key: str) -> str:
        """Return a cell; "" where the export lacks the column."""
        return str(self.export.frame[key].loc[row]) if key in self.export.frame else ""

    def fault(self, row: int, key: str, problem: str, remedy: str) -> None:
        """Note a fault of a cell."""
        faults = self.decisive if key in DECISIVE else self.others
        faults.append((row, self.export.fault(row, key, problem, remedy)))

    def number(self, row: int, key: str, ok: Callable[[float], bool], need: str) -> float:
        """Return a number, or NaN with a fault."""
        text = self.cell(row, key)
        if not text or not_known(text):
            self.fault(row, key, "is missing", "fill it in, or leave unusable arms out")
            return math.nan
        try:
            value = plain_number(text)
        except ValueError as error:
            self.fault(row, key, str(error), number_remedy(text))
            return math.nan
        if not math.isfinite(value) or not ok(value):
            self.fault(row, key, f"is not {need}", "correct it")
            return math.nan
        return value

    def animals(self, row: int) -> float:
        """Return the number of animals, of a range the smaller one."""
        smallest = smallest_of(self.cell(row, "n"))
        if smallest is not None and smallest >= FEWEST:
            told = f"{self.export.names['n']}, the smallest number of a range taken"
            self.converted[told] += 1
            return float(smallest)
        need = f"a whole number from {FEWEST} up"
        return self.number(row, "n", lambda v: v >= FEWEST and v == int(v), need)

    def truth(self, row: int, key: str) -> list[bool]:
        """Return the TRUE and FALSE of a cell, one for each treatment or model."""
        found = []
        for part in self.cell(row, key).split(";"):
            word = part.strip().casefold()
            if word in TRUE + FALSE:
                found.append(word in TRUE)
            elif word:
                self.fault(row, key, "is neither TRUE nor FALSE", "correct it")
        return found

    def error_type(self, row: int, study: str) -> str:
        """Return "SD", "SEM" or "95% CI"; "" with a fault where it is none of them."""
        told = self.words.error_type.get(study)
        written = told or self.cell(row, "error_type")
        if told:
            self.converted[f"{study}: errors read as {told}, as told"] += 1
        kind = error_kind(written)
        if kind == "SEM":
            self.converted["SEM converted to SD (SEM x sqrt(n))"] += 1
        elif kind == "95% CI":
            self.converted[
                "95% CI, read as the half width of an interval, converted to SD "
                "(half width / t(0.975, n - 1) x sqrt(n))"
            ] += 1
        elif not kind:
            self._refuse_error_type(row, written.casefold())
        return kind

    def _refuse_error_type(self, row: int, kind: str) -> None:
        problem = "has no type" if not kind else "is neither SD nor SEM"
        remedy = "say SD or SEM: an error of unknown type has no weight"
        if letters(kind) in IQR:
            remedy = (
                "a quartile range fits a median, not a mean; estimate mean and SD from the "
                "quartiles and enter those, or leave unusable arms out"
            )
        elif "ci" in kind or "confidence" in kind:
            remedy = (
                "enter the SD, or, if it is the half width of a 95% interval, write its type as "
                "'95% CI'"
            )
        self.fault(row, "error_type", problem, remedy)

    def check_mean(self, row: int) -> None:
        """Refuse averages that are no means."""
        kind = self.cell(row, "average_type").casefold()
        if kind not in ("", "mean"):
            remedy = "estimate mean and SD from the quartiles and enter those, or leave it out"
            self.fault(row, "average_type", "is not a mean", remedy)

    def direction(self, row: int) -> int:
        """Return 1 where more is better."""
        outcome = self.cell(row, "outcome")
        told = self.words.greater_is_worse.get(outcome)
        if told is not None:
            return -1 if told else 1
        worse = self.truth(row, "greater_is_worse")
        if len(worse) != 1:
            remedy = f"fill it in, or give greater_is_worse={{'{outcome}': True}} (or False)"
            self.fault(row, "greater_is_worse", "does not say which way is better", remedy)
            return 1
        return -1 if worse[0] else 1

    def delay(self, row: int) -> float | None:
        """Return the time in days; None where nobody knows it."""
        written = self.cell(row, "time")
        if not written:
            return None
        if not_known(written):
            told = f"{self.export.names['time']}, '{written}' read as missing"
            self.converted[told] += 1
            return None
        unit = self.words.time_unit
        need = f"a time in {unit} from 0 up: what is measured before treatment has no delay"
        return self.number(row, "time", lambda value: value >= 0, need) * DAYS_PER_UNIT[unit]

    def arm(self, row: int) -> Arm:
        """Return one row as an arm; its faults are noted."""
        study_id = self.cell(row, "study_id")
        study = self.names[study_id]
        flags = self.truth(row, "treatment_control")
        self.check_mean(row)
        n = self.animals(row)
        mean = self.number(row, "mean", lambda _: True, "finite")
        healthy = [word.strip().casefold() for word in self.cell(row, "model_control").split(";")]
        error = self.number(row, "error", lambda value: value > 0, "above zero")
        error_type = self.error_type(row, study)
        models = self.cell(row, "model_id") or self.cell(row, "model")
        return Arm(
            row=row,
            study=study,
            study_id=study_id,
            annotator=self.cell(row, "annotator") or self.cell(row, "annotator_id"),
            experiment_id=self.cell(row, "experiment_id"),
            cohort_id=self.cell(row, "cohort_id"),
            cohort=self.cell(row, "cohort_label") or self.cell(row, "cohort_id"),
            models=";".join(sorted(part.strip() for part in models.split(";"))),
            outcome_key=self.cell(row, "outcome_id") or self.cell(row, "outcome"),
            time=self.cell(row, "time"),
            delay=self.delay(row),
            control=all(flags) if flags else None,
            n=n,
            mean=mean,
            sd=sd_of(error, error_type, n),
            error=error,
            error_type=error_type,
            unit=self.cell(row, "outcome_unit"),
            healthy=all(word in TRUE for word in healthy),
            direction=self.direction(row),
        )


def arms_of(
    export: Export, names: Mapping[str, str], rows: Sequence[int], words: Words
) -> tuple[list[Arm], list[tuple[int, Fault]], list[tuple[int, Fault]], list[str]]:
    """Return rows as arms, faults by row, and notes.

    Of the faults, those that bear on what is compared come first; the others cost only the
    comparisons of their own arm.

    Parameters
    ----------
    export : Export
    names : mapping
        Study id to label.
    rows : sequence of int
        Positions of the rows to read.
    words : Words
        What the reviewer says of directions and error types.
    """
    reader = _Reader(export, names, words)
    arms = [reader.arm(row) for row in rows]
    decisive = reader.decisive + _repeats(export, arms)
    others = reader.others + _contradictions(export, arms)
    notes = [f"{what}: {count} of {len(rows)} arms" for what, count in reader.converted.items()]
    return arms, decisive, others, notes


def _contradictions(export: Export, arms: Sequence[Arm]) -> list[tuple[int, Fault]]:
    """Return a fault for every outcome label of both directions, at the rarer one's rows."""
    faults = []
    by_outcome: dict[str, list[Arm]] = {}
    for arm in arms:
        by_outcome.setdefault(str(export.frame["outcome"].loc[arm.row]), []).append(arm)
    for outcome, same in by_outcome.items():
        counts = Counter(arm.direction for arm in same).most_common()
        if len(counts) == 1:
            continue
        for arm in same:
            if arm.direction == counts[-1][0]:
                problem = f"contradicts {counts[0][1]} other rows of outcome '{outcome}'"
                remedy = f"correct it, or give greater_is_worse={{'{outcome}': True}} (or False)"
                faults.append((arm.row, export.fault(arm.row, "greater_is_worse", problem, remedy)))
    return faults


def _repeats(export: Export, arms: Sequence[Arm]) -> list[tuple[int, Fault]]:
    """Return a fault for every arm that stands twice in one annotation."""
    faults = []
    first: dict[tuple[str | float | None, ...], int] = {}
    for arm in arms:
        key = (
            arm.study_id,
            arm.annotator,
            arm.experiment_id,
            arm.cohort_id,
            arm.outcome_key,
            arm.moment,
        )
        if key in first:
            problem = f"has this outcome and time in row {export.rows[first[key]]} already"
            remedy = f"remove one of the rows of cohort {listed([arm.cohort])}"
            faults.append((arm.row, export.fault(arm.row, "cohort_id", problem, remedy)))
        first.setdefault(key, arm.row)
    return faults
