"""Candidates: animal experiments that could be done next, read and checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesma.coders import AVERAGE, level_text
from bayesma.design import Design
from bayesma.errors import BayesmaError, Fault, TableError, did_you_mean
from bayesma.queries.grids import day_of, grid
from bayesma.translation.pathway.asked import PEOPLE, Question
from bayesma.translation.pathway.doses import dose_of
from bayesma.translation.pathway.origins import COLUMN
from bayesma.translation.pathway.species import species_of

__all__ = ["DELAY", "SOURCE", "Candidate", "Candidates", "candidates_of", "covariates_of"]

SOURCE = "candidates"
SIZE, REPEATS, DELAY = "n", "k", "delay"
# An SD needs two animals per arm.
LEAST = {SIZE: 2, REPEATS: 1}


@dataclass(frozen=True)
class Candidate:
    """One experiment.

    Attributes
    ----------
    asked : mapping of str to object
        Covariates of the model that it names, and `delay` in days where effects fade.
    n, k : int
        Animals per arm; independent studies.
    new_species : str or None
        One that is not in the data.
    """

    asked: Mapping[str, Any]
    n: int
    k: int
    new_species: str | None


@dataclass(frozen=True)
class Candidates:
    """What was read.

    Attributes
    ----------
    table : pandas.DataFrame
        As given, delays in days, with `n` and `k`.
    each : tuple of Candidate
        By row.
    """

    table: pd.DataFrame
    each: tuple[Candidate, ...]


def candidates_of(asked: Question, candidates: Any) -> Candidates:
    """Return candidates that the fits can predict.

    Parameters
    ----------
    asked : Question
    candidates : pandas.DataFrame, sequence of mappings, or mapping of str to sequence
        Columns: covariates of the model, `species`, `delay` (days or texts), `n` animals per arm
        and, if wanted, `k` independent studies of that size (1). Of a mapping of lists all
        combinations are taken.

    Raises
    ------
    TableError
        With everything that is wrong with them.
    """
    frame, numbered = _frame(candidates)
    reader = _Reader(asked, list(map(str, frame.columns)))
    faults = reader.column_faults()
    found: list[Candidate] = []
    if not faults:
        for label, row in zip(frame.index, frame.to_dict("records"), strict=True):
            read, wrong = reader.row({str(key): value for key, value in row.items()})
            faults += [
                Fault(problem, remedy, str(label) if numbered else None, column, value)
                for column, value, problem, remedy in wrong
            ]
            if not wrong:
                found.append(read)
    if faults:
        raise TableError(SOURCE, dict.fromkeys(faults))
    table = frame.reset_index(drop=True).assign(
        **{SIZE: [one.n for one in found], REPEATS: [one.k for one in found]}
    )
    if DELAY in table and reader.fades:
        table[DELAY] = [one.asked.get(DELAY, np.nan) for one in found]
    return Candidates(table, tuple(found))


def _frame(candidates: Any) -> tuple[pd.DataFrame, bool]:
    """Return rows, and whether the user numbered them."""
    frame, numbered = None, True
    if isinstance(candidates, pd.DataFrame):
        frame = candidates.copy()
    elif isinstance(candidates, Mapping):
        numbered = False
        axes = {str(name): _listed(value) for name, value in candidates.items()}
        frame = pd.DataFrame(list(itertools.product(*axes.values())), columns=list(axes))
    elif isinstance(candidates, Sequence) and all(isinstance(one, Mapping) for one in candidates):
        frame = pd.DataFrame(list(candidates), index=range(1, len(candidates) + 1))
    remedy = "give a table with one row per experiment, or lists by column: {'n': [8, 12], ...}"
    if frame is None:
        kind = type(candidates).__name__
        raise TableError(SOURCE, [Fault(f"a {kind} is no table of experiments", remedy)])
    if frame.empty:
        raise TableError(SOURCE, [Fault("there is none", remedy)])
    return frame, numbered


def _listed(value: Any) -> list[Any]:
    many = isinstance(value, Iterable) and not isinstance(value, str)
    return list(value) if many else [value]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value)) or value == ""


# A column, the cell as it stands, what is wrong with it, and the remedy.
Wrong = tuple[str, str | None, str, str]


class _Reader:
    """Checks cells against what the fits know."""

    def __init__(self, asked: Question, columns: list[str]) -> None:
        self.asked, self.columns = asked, columns
        self.plans = [fit.design for fit in asked.fits.values()]
        self.covariates = sorted({name for plan in self.plans for name in covariates_of(plan)})
        self.fades = any(plan.spec.family.parameters for plan in self.plans)
        self.cells = sorted({name for plan in self.plans for name in plan.cells})
        self.seen = _seen(self.plans[0], asked.named)

    def column_faults(self) -> list[Fault]:
        known = list(dict.fromkeys([*self.covariates, COLUMN, DELAY, SIZE, REPEATS]))
        faults = [
            Fault("is no covariate of the model", did_you_mean(name, known), column=name)
            for name in self.columns
            if name not in known
        ]
        needed = {SIZE: "animals per arm"} | ({DELAY: "when it measures"} if self.fades else {})
        needed |= dict.fromkeys(self.cells, "the effect fades differently by it")
        return faults + [
            Fault(f"is missing ({why})", "add the column", column=name)
            for name, why in needed.items()
            if name not in self.columns
        ]

    def row(self, cells: Mapping[str, Any]) -> tuple[Candidate, list[Wrong]]:
        wrong: list[Wrong] = []
        counts = {name: _count(name, cells.get(name), wrong) for name in (SIZE, REPEATS)}
        given = {name: value for name, value in cells.items() if not _is_empty(value)}
        species = level_text(given[COLUMN]) if COLUMN in given else None
        new = self._species(species, wrong)
        named = {name: given[name] for name in self.covariates if name in given}
        if new is not None:
            named.pop(COLUMN, None)
        for name in self.cells:
            if name not in given:
                wrong.append(
                    (name, None, "is empty: the effect fades differently by it", "name it")
                )
        asked = {name: self._cell(name, value, new, wrong) for name, value in named.items()}
        if self.fades:
            asked[DELAY] = self._delay(given.get(DELAY), wrong)
        if not wrong:
            self._whole(asked, new, wrong)
        return Candidate(asked, counts[SIZE], counts[REPEATS], new), wrong

    def _species(self, name: str | None, wrong: list[Wrong]) -> str | None:
        """Return a species that is not in the data, or None where it is."""
        if name is None or name in self.seen:
            return None
        more = self.asked.given.species
        if not self.seen:
            remedy = "say which one they are: species='rat'"
            wrong.append((COLUMN, name, "the data do not say of which species they are", remedy))
            return None
        try:
            found = species_of(name, more)
        except BayesmaError as error:
            wrong.append((COLUMN, name, *_split(str(error), f"species '{name}' ")))
            return None
        if found is species_of(PEOPLE, more):
            remedy = "translate(human=...) takes evidence of people, and assurance plans trials"
            wrong.append((COLUMN, name, "is no experiment in animals", remedy))
        for spelt in self.seen:
            if _same(spelt, found, more):
                wrong.append((COLUMN, name, "is in the data by another name", f"write '{spelt}'"))
        if COLUMN in self.cells and self.asked.named is None:
            remedy = f"keep to {', '.join(self.seen)}, or name the one to start from, species="
            wrong.append((COLUMN, name, "is not in the data, and effects fade by species", remedy))
        return name

    def _cell(self, name: str, value: Any, new: str | None, wrong: list[Wrong]) -> Any:
        """Return a level or number as a grid takes it."""
        if name == "dose" and (new is not None or isinstance(value, str)):
            return self._dose(value, wrong)
        for plan, fit in zip(self.plans, self.asked.fits.values(), strict=True):
            if name not in covariates_of(plan):
                continue
            cells = dict.fromkeys(plan.cells, AVERAGE)
            try:
                value = grid(fit, **{**cells, name: value})[name].values[0].item()
            except BayesmaError as error:
                prefix = f"{name} = '{level_text(value)}' "
                wrong.append((name, level_text(value), *_split(str(error), prefix)))
                return value
        return value

    def _dose(self, value: Any, wrong: list[Wrong]) -> Any:
        try:
            return dose_of(self.asked.first, value)
        except BayesmaError as error:
            wrong.append(("dose", str(value), *_split(str(error), f"dose = {value!r}: ")))
            return None

    def _delay(self, value: Any, wrong: list[Wrong]) -> float:
        if value is None:
            wrong.append((DELAY, None, "is empty", "say when it measures: days, or '2 h'"))
            return float("nan")
        try:
            return day_of(value)
        except (BayesmaError, ValueError, TypeError) as error:
            remedy = "days, or a text such as '2 h'"
            wrong.append((DELAY, str(value), f"is no delay ({error})", remedy))
            return float("nan")

    def _whole(self, asked: Mapping[str, Any], new: str | None, wrong: list[Wrong]) -> None:
        """Refuse combinations that no row of the data has, where effects fade by them."""
        if COLUMN in self.cells and new is not None:
            return
        for fit in self.asked.fits.values():
            known = {n: v for n, v in asked.items() if n == DELAY or n in covariates_of(fit.design)}
            try:
                at = grid(fit, **known)
                fit.design.at(at.drop_vars("beyond_data", errors="ignore").to_dataframe())
            except BayesmaError as error:
                wrong.append((" and ".join(self.cells), None, *_split(str(error), "")))
                return


def _split(message: str, prefix: str) -> tuple[str, str]:
    """Return the problem and the remedy of a message."""
    text = message.removeprefix(prefix)
    for mark in ("; ", ": ", ", so "):
        if mark in text:
            problem, remedy = text.split(mark, 1)
            return problem, remedy
    return text, "correct it"


def _count(name: str, value: Any, wrong: list[Wrong]) -> int:
    least = LEAST[name]
    remedy = f"a whole number, {least} or more"
    if _is_empty(value):
        if name == SIZE:
            wrong.append((name, None, "is empty", remedy))
        return least
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, bool) or not (number >= least and number == np.floor(number) < np.inf):
        wrong.append((name, str(value), "is no such count", remedy))
        return least
    return int(number)


def covariates_of(plan: Design) -> set[str]:
    """Return the columns that a grid of a fit takes."""
    names = set(plan.covariates)
    return names | (plan.spec.formula("tau").variables if plan.varying_tau else set())


def _seen(plan: Design, named: str | None) -> tuple[str, ...]:
    """Return the species in the data; the one to start from where they do not say."""
    cells = list(plan.frame[COLUMN].dropna()) if COLUMN in plan.frame else []
    found = tuple(sorted({level_text(cell) for cell in cells}))
    return found or (() if named is None else (named,))


def _same(name: str, found: Any, more: Mapping[str, Any]) -> bool:
    try:
        return species_of(name, more) is found
    except BayesmaError:
        return False
