"""Covariates of the comparisons: from treatment labels and from the review's questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bayesma.cells import listed
from bayesma.errors import SpecError, did_you_mean
from bayesma.readers.syrf.export import Export
from bayesma.schema import COLUMNS

__all__ = ["check_apart", "covariates", "treatment_columns"]


def treatment_columns(
    labels: Sequence[str], treatments: Mapping[str, Mapping[str, Any]], said: list[str]
) -> dict[str, list[Any]]:
    """Return the columns that a mapping gives to treatment labels; tell which it leaves out.

    Raises
    ------
    SpecError
        If a label is not among the treated arms.
    """
    if not treatments:
        return {}
    known = list(dict.fromkeys(labels))
    for label in treatments:
        if label not in known:
            raise SpecError(f"treatments: no treated arm '{label}'; {did_you_mean(label, known)}")
    names = list(dict.fromkeys(name for columns in treatments.values() for name in columns))
    without = [label for label in known if label not in treatments]
    if without:
        said.append(f"treatments that the mapping does not describe: {listed(without)}")
    return {name: [treatments.get(label, {}).get(name) for label in labels] for name in names}


def check_apart(raw: Mapping[str, Sequence[Any]], given: Mapping[str, Iterable[str]]) -> None:
    """Check that no column is given by the export and an argument, or by two arguments.

    Raises
    ------
    SpecError
        For the first that is.
    """
    taken = {
        name: "the export"
        for name, cells in raw.items()
        if any(cell is not None and cell != "" for cell in cells)
    }
    for argument, names in given.items():
        for name in dict.fromkeys(names):
            if name in taken and argument == name:
                raise SpecError(f"{name} is given by {taken[name]}, too; give it once")
            if name in taken:
                raise SpecError(f"{argument}: '{name}' is given by {taken[name]} already")
            taken[name] = argument


def covariates(
    export: Export, rows: Sequence[int], columns: Mapping[str, str], taken: Mapping[str, Any]
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Return the questions' columns for these rows, and a mapping of names to headers.

    A question that a mapping names, or that is called like a text column (Species), becomes that
    column; the others stay the reviewer's own.

    Raises
    ------
    SpecError
        If a mapping names a question that is not in the export, or a column twice.
    """
    questions = [str(header) for header in export.questions]
    for name, header in columns.items():
        if header not in questions:
            raise SpecError(f"columns: no question '{header}'; {did_you_mean(header, questions)}")
        if name in taken:
            raise SpecError(f"columns: '{name}' is given by the export or another argument")
    mapping = dict(columns)
    for header in questions:
        name = header.casefold()
        if header in mapping.values():
            continue
        fits = name in COLUMNS and COLUMNS[name].kind == "text" and not COLUMNS[name].levels
        free = name not in taken and name not in mapping
        mapping[name if fits and free else header] = header
    cells = {header: export.questions[header].loc[list(rows)].tolist() for header in questions}
    clashes = [header for header in questions if header in taken]
    if clashes:
        raise SpecError(f"columns: rename the questions {listed(clashes)}, names of this table")
    # Names of this table that resemble canonical ones are kept as they are, by mapping to self.
    own = {name: name for name in taken if name not in COLUMNS}
    return cells, mapping | own
