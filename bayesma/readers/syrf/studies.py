"""Readable names of studies, and whose annotation of each is used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from string import ascii_lowercase

import pandas as pd

from bayesma.cells import listed
from bayesma.errors import Fault, SpecError, did_you_mean
from bayesma.readers.syrf.arms import TRUE
from bayesma.readers.syrf.export import Export

__all__ = ["Annotator", "chosen_rows", "study_names"]

Annotator = str | Sequence[str] | Mapping[str, str] | None

_INITIALS = re.compile(r"(?:[A-Z]\.?-?)+|\S*\.")


def study_names(frame: pd.DataFrame) -> dict[str, str]:
    """Return a name such as 'Wang 2011' for every study id; letters keep them apart."""
    first = frame.drop_duplicates("study_id").set_index("study_id")
    plain = {str(name): _name(str(name), row) for name, row in first.iterrows()}
    shared = Counter(plain.values())
    letters: Counter[str] = Counter()
    names: dict[str, str] = {}
    for study, name in plain.items():
        position = letters[name]
        letters[name] += 1
        letter = ascii_lowercase[position] if position < len(ascii_lowercase) else f"-{position}"
        names[study] = f"{name}{letter}" if shared[name] > 1 else name
    return names


def _name(study_id: str, row: pd.Series[str]) -> str:
    surname = _surname(str(row.get("authors", "")))
    return f"{surname} {row.get('year', '')}".strip() if surname else study_id


def _surname(authors: str) -> str:
    """Return the first author's surname: of 'J. Li, F. Chen', of 'Li, J.; Chen, F.'."""
    first = re.split(r";|,| and | & ", authors.strip(' "'))[0].strip(' "')
    words = first.split()
    return " ".join(word for word in words if not _INITIALS.fullmatch(word)) or first


def chosen_rows(
    export: Export, names: Mapping[str, str], annotator: Annotator
) -> tuple[list[int], list[Fault], list[str]]:
    """Return the rows of one annotation per study, faults where it is open which, and notes.

    Reconciled rows of a study are taken before any others. A study whose annotators disagree
    over who counts is left out of the rows and told as a fault.
    """
    frame = export.frame
    column = _annotator_column(frame)
    if column is None:
        note = "the export names no annotators, so two annotations of one study would not be seen"
        return list(frame.index), [], [note]
    _check_annotators(annotator, sorted(set(frame[column]) - {""}))
    rows: list[int] = []
    faults: list[Fault] = []
    notes: list[str] = []
    unreconciled: list[str] = []
    for study, cells in frame.groupby("study_id", sort=False):
        final, said = _reconciled_rows(cells, names[str(study)])
        notes += said
        unreconciled += [] if _is_reconciled(cells).any() else [str(study)]
        annotators = list(dict.fromkeys(final[column]))
        if len(annotators) == 1:
            rows += list(final.index)
            continue
        picked = _pick(annotator, str(study), names[str(study)], annotators)
        if picked is None:
            faults.append(_undecided(export, column, final, names[str(study)], annotators))
            continue
        kept = final[final[column] == picked]
        rows += list(kept.index)
        notes.append(
            f"{names[str(study)]}: {picked}'s annotation is used; left out: "
            f"{_described(final[final[column] != picked], column)}"
        )
    if unreconciled:
        notes.append(
            f"studies that nobody reconciled: {len(unreconciled)} of {frame['study_id'].nunique()}"
        )
    return sorted(rows), faults, notes


def _annotator_column(frame: pd.DataFrame) -> str | None:
    for column in ("annotator", "annotator_id"):
        if column in frame and frame[column].ne("").any():
            return column
    return None


def _check_annotators(annotator: Annotator, known: list[str]) -> None:
    asked = (
        []
        if annotator is None
        else [annotator]
        if isinstance(annotator, str)
        else [*(annotator.values() if isinstance(annotator, Mapping) else annotator)]
    )
    for name in asked:
        if name not in known:
            raise SpecError(f"no annotator '{name}'; {did_you_mean(name, known)}")


def _is_reconciled(cells: pd.DataFrame) -> pd.Series[bool]:
    if "reconciled" not in cells:
        return pd.Series(False, index=cells.index)
    return cells["reconciled"].str.casefold().isin(TRUE)


def _reconciled_rows(cells: pd.DataFrame, name: str) -> tuple[pd.DataFrame, list[str]]:
    done = _is_reconciled(cells)
    if done.all() or not done.any():
        return cells, []
    left = int((~done).sum())
    return cells[done], [f"{name}: the reconciled rows are used; left out: {left} others"]


def _pick(annotator: Annotator, study: str, name: str, annotators: Sequence[str]) -> str | None:
    if annotator is None:
        return None
    if isinstance(annotator, Mapping):
        wanted = [annotator[key] for key in (name, study) if key in annotator]
    else:
        wanted = [annotator] if isinstance(annotator, str) else list(annotator)
    return next((one for one in wanted if one in annotators), None)


def _undecided(
    export: Export, column: str, cells: pd.DataFrame, name: str, annotators: Sequence[str]
) -> Fault:
    said = _described(cells, column)
    choice = " or ".join(f"annotator='{one}'" for one in annotators)
    return Fault(
        f"is annotated more than once and not reconciled: {said}",
        f"reconcile it, or say whose to use: {choice}, or annotator={{'{name}': ...}}",
        export.rows[int(cells.index[0])],
        export.names[column],
        name,
    )


def _described(cells: pd.DataFrame, column: str) -> str:
    """Return what each annotator found, so that what they disagree on shows."""
    parts = []
    for annotator, rows in cells.groupby(column, sort=False):
        seen = [
            f"{head} {', '.join(dict.fromkeys(rows[key]))}"
            for head, key in (("n", "n"), ("time", "time"))
        ]
        count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
        parts.append(f"{listed([str(annotator)])} ({count}; {'; '.join(seen)})")
    return " and ".join(parts)
