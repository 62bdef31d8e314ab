"""A SyRF export as text: headers recognised, spaces stripped, labels made one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bayesma.cells import as_text, is_missing, listed
from bayesma.errors import Fault, TableError, nearest
from bayesma.readers.separated import read_separated
from bayesma.readers.syrf.headers import HEADERS, LABELS, plain, question_headers

__all__ = ["Export", "read_export"]


@dataclass(frozen=True)
class Export:
    """The cells of an export, stripped; missing ones are "".

    Attributes
    ----------
    frame : pandas.DataFrame
        Columns named by `headers.HEADERS`, indexed by the position in the source; all text.
    questions : pandas.DataFrame
        The review's own questions under their own headers, same index.
    rows : tuple of str
        Row names as the source numbers them.
    names : dict
        Key of `HEADERS` to the source's own header.
    source : str
        File, or "DataFrame".
    notes : tuple of str
        What was changed in reading.
    """

    frame: pd.DataFrame
    questions: pd.DataFrame
    rows: tuple[str, ...]
    names: Mapping[str, str]
    source: str
    notes: tuple[str, ...]

    def fault(self, row: int | None, key: str, problem: str, remedy: str) -> Fault:
        """Return a fault of a cell, named as it stands in the source."""
        header = self.names.get(key, HEADERS[key].names[0])
        if row is None:
            return Fault(problem, remedy, None, header)
        value = str(self.frame[key].loc[row]) if key in self.frame else ""
        return Fault(problem, remedy, self.rows[row], header, value or None)


def read_export(source: str | Path | pd.DataFrame, missing: Iterable[str]) -> Export:
    """Read an export as text.

    Parameters
    ----------
    source : str, Path or pandas.DataFrame
        The CSV file, or a frame read from it.
    missing : iterable of str
        Answers that say nothing, in any case; read as missing and counted.

    Raises
    ------
    TableError
        If the file is no CSV table, or lacks columns without which arms cannot be paired.
    """
    if isinstance(source, pd.DataFrame):
        name = "DataFrame"
        headers = [str(header) for header in source.columns]
        body = [[_cell(value) for value in row] for row in source.itertuples(index=False)]
        rows = tuple(str(label) for label in source.index)
    else:
        name = Path(source).name
        raw_cells, rows = _of_file(Path(source))
        headers, body = list(raw_cells.columns), raw_cells.to_numpy().tolist()
    notes: list[str] = []
    raw = pd.DataFrame(body, columns=pd.Index(_distinct(headers, name, notes)), dtype=object)
    names = _recognised(list(raw.columns), name, notes)
    text = _stripped(raw, notes)
    frame = text[list(names.values())].set_axis(list(names), axis=1)
    for key in LABELS:
        if key in frame:
            frame[key] = _one_label_each(frame[key], names[key], notes)
    questions = text[question_headers(list(raw.columns))].copy()
    _blank_out(questions, {answer.strip().casefold() for answer in missing}, notes)
    return Export(frame, questions, rows, names, name, tuple(notes))


def _cell(value: object) -> str:
    return "" if is_missing(value) else as_text(value) if not isinstance(value, str) else value


def _of_file(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the cells of a file, and its rows' numbers as a spreadsheet counts."""
    raw = read_separated(path, ",")
    if raw.faulty:
        raise TableError(path.name, raw.faulty.values())
    if not raw.rows:
        raise TableError(path.name, [Fault("holds no rows", "check the export")])
    return raw.cells, tuple(raw.rows)


def _distinct(headers: Sequence[str], source: str, notes: list[str]) -> list[str]:
    """Number questions that stand twice; refuse a column of SyRF's that does."""
    questions = set(question_headers(headers))
    seen: Counter[str] = Counter()
    found, faults, doubled = [], [], []
    for header in headers:
        seen[header] += 1
        if seen[header] == 1:
            found.append(header)
        elif header in questions:
            found.append(f"{header} ({seen[header]})")
            doubled.append(header)
        else:
            faults.append(Fault("stands more than once", "remove one", None, header))
    if faults:
        raise TableError(source, faults)
    if doubled:
        notes.append(f"questions that stand more than once, numbered: {listed(doubled)}")
    return found


def _recognised(headers: Sequence[str], source: str, notes: list[str]) -> dict[str, str]:
    """Return the source's header of each known column."""
    by_plain = {plain(header): header for header in reversed(headers)}
    names: dict[str, str] = {}
    for key, header in HEADERS.items():
        held = [by_plain[plain(name)] for name in header.names if plain(name) in by_plain]
        if held:
            names[key] = held[0]
    gaps = [header for key, header in HEADERS.items() if header.required and key not in names]
    faults = []
    for header in gaps:
        like = nearest(header.names[0], headers)
        hint = "" if like is None else f"; the nearest is '{like}'"
        remedy = "export the quantitative data from SyRF again, with its standard columns"
        faults.append(Fault(f"is missing{hint}", remedy, None, header.names[0]))
    if faults:
        raise TableError(source, faults)
    other = [
        f"'{name}' for '{HEADERS[key].names[0]}'"
        for key, name in names.items()
        if plain(name) != plain(HEADERS[key].names[0])
    ]
    if other:
        notes.append(f"headers that differ from SyRF's data dictionary: {', '.join(other)}")
    return names


def _stripped(raw: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    text = raw.map(lambda cell: "" if is_missing(cell) else str(cell).strip())
    changed = raw.map(str).ne(raw.map(lambda cell: str(cell).strip())).sum()
    cells = [f"{header} {count}" for header, count in changed.items() if count]
    if cells:
        notes.append(
            f"cells with spaces at their ends, stripped: {int(changed.sum())} ({', '.join(cells)})"
        )
    return text


def _one_label_each(column: pd.Series[str], header: str, notes: list[str]) -> pd.Series[str]:
    """Write labels that differ only in case or spaces as the most frequent of them."""
    counts = Counter(label for label in column if label)
    groups: dict[str, list[str]] = {}
    for label, _ in counts.most_common():
        groups.setdefault(" ".join(label.casefold().split()), []).append(label)
    renamed = {label: same[0] for same in groups.values() for label in same[1:]}
    for label, first in renamed.items():
        rows = "row" if counts[label] == 1 else "rows"
        notes.append(f"{header}: '{label}' read as '{first}' ({counts[label]} {rows})")
    return column.map(lambda label: renamed.get(label, label))


def _blank_out(questions: pd.DataFrame, missing: set[str], notes: list[str]) -> None:
    said = questions.map(lambda cell: cell.casefold() in missing)
    for header in map(str, questions):
        answers = Counter(questions[header][said[header]])
        for answer, count in answers.items():
            notes.append(f"'{answer}' read as missing: {count} of {len(said)} in '{header}'")
    questions[said] = ""
