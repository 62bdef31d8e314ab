"""Invented study tables: written down in many ways, spoilt, and read a second time.

`meaning_of` says what a table's texts mean, in another way than the package does: it is what the
command line is held to. It knows less of what is to be refused, for a refusal is always allowed.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pandas as pd
from hypothesis import strategies as st
from openpyxl import Workbook
from test_units import seconds_of
from test_units_doses import TABLE
from test_units_doses import meaning as dose_of

BLANKS = ("", "NA", "n/a", "NaN", "None", "null", "<NA>")
NOT_SAID = ("Unclear", "unknown", "Not reported", "not stated", "not available", "NR", "n.r.", "?")
NUMBERS = ("mean_treated", "sd_treated", "mean_control", "sd_control", "y", "v", "se")
NUMBERS += ("sem_treated", "sem_control")
TEXTS = ("study", "experiment", "drug", "regimen", "species", "sex", "dose_unit")
CANONICAL = (*NUMBERS, *TEXTS, "n_treated", "n_control", "direction", "delay", "duration", "dose")
NONSENSE = object()
MILLI = Decimal("0.001")
ENOUGH = 300  # no quantity needs more letters


@dataclass(frozen=True)
class Grid:
    """A table as texts: canonical names of the columns, their headers, cells row by row.

    `places` are the rows' numbers in a file: the header is row 1.
    """

    names: tuple[str, ...]
    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    options: tuple[str, ...] = ()
    unit: str = "d"
    places: tuple[int, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.places) != len(self.cells):
            object.__setattr__(self, "places", tuple(range(2, len(self.cells) + 2)))

    def with_cell(self, row: int, name: str, text: str) -> Grid:
        cells = [list(line) for line in self.cells]
        cells[row][self.names.index(name)] = text
        return replace(self, cells=tuple(map(tuple, cells)))

    def cell(self, row: int, name: str) -> str:
        return self.cells[row][self.names.index(name)]


# -- what texts mean, told a second time -------------------------------------------------------


def number_of(text: str) -> Any:
    body = text.strip()
    if not body or set(body) - set("0123456789.eE+-"):
        return NONSENSE
    try:
        number = float(Decimal(body))
    except (InvalidOperation, OverflowError):
        return NONSENSE
    return number if math.isfinite(number) else NONSENSE


def _count_of(text: str) -> Any:
    for dash in ("-", "\u2013", "\u2014", "\u2212", " to "):
        low, found, high = " ".join(text.split()).partition(dash)
        ends = (low.strip(), high.strip())
        if found and all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends):
            return float(ends[0]) if int(ends[0]) < int(ends[1]) else NONSENSE
    number = number_of(text)
    return number if number is not NONSENSE and number % 1 == 0 else NONSENSE


def _direction_of(text: str) -> Any:
    words = {"higher is better": 1.0, "lower is better": -1.0}
    number = words.get(" ".join(text.lower().split()), number_of(text))
    return number if number in (1.0, -1.0) else NONSENSE


def _days_of(text: str, unit: str) -> Any:
    number = number_of(text)
    if number is not NONSENSE:
        return number / {"d": 1, "h": 24}[unit]
    seconds = seconds_of(text) if len(text) < ENOUGH else None
    return NONSENSE if seconds is None else float(seconds / 86400)


def _meaning(name: str, text: str, unit: str) -> Any:
    said = text.strip()
    if said.lower() in {word.lower() for word in (*BLANKS, *NOT_SAID, "n.a.")}:
        return None
    if name in TEXTS or name == "dose":  # a dose is settled with its unit
        return said
    if name in ("delay", "duration"):
        return _days_of(said, unit if name == "delay" else "d")
    if name.startswith("n_"):
        return _count_of(said)
    return _direction_of(said) if name == "direction" else number_of(said)


def _settled_dose(row: dict[str, Any]) -> None:
    text, unit = row.get("dose"), row.get("dose_unit")
    known = None if unit is None else TABLE.get("".join(unit.replace(" per ", "/").split()))
    if "dose" in row or "dose_unit" in row:
        row["dose_unit"] = unit if known is None else known[0]
    if text is None:
        return
    amount = number_of(text)
    if amount is not NONSENSE:
        row["dose"] = amount if known is None else amount * float(known[1])
        return
    own = dose_of(text) if len(text) < ENOUGH else None
    row["dose"], row["dose_unit"] = (NONSENSE, unit) if own is None else (float(own[0]), own[1])


def _settled_arms(row: dict[str, Any]) -> None:
    for side in ("treated", "control"):
        sem, n = row.get(f"sem_{side}"), row.get(f"n_{side}")
        if row.get(f"sd_{side}") is None and isinstance(sem, float) and isinstance(n, float):
            row[f"sd_{side}"] = sem * math.sqrt(n)
    if row.get("y") is None:
        row["y"], row["v"] = hedges(row)
    elif row.get("v") is None and isinstance(row.get("se"), float):
        row["v"] = row["se"] ** 2


def hedges(row: Mapping[str, Any]) -> tuple[Any, Any]:
    """Hedges g and its variance, from the printed formulas (Hedges & Olkin 1985)."""
    names = ("mean_treated", "sd_treated", "n_treated", "mean_control", "sd_control", "n_control")
    cells = [row.get(name) for name in names]
    if not all(isinstance(cell, float) for cell in cells):
        return NONSENSE, NONSENSE
    m1, s1, n1, m2, s2, n2 = cells
    try:
        df = n1 + n2 - 2
        pooled = math.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / df)
        small = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)
        y = small * (m1 - m2) / pooled * (row.get("direction") or 1.0)
        return y, 1 / n1 + 1 / n2 + y**2 / (2 * (n1 + n2))
    except (ArithmeticError, ValueError):
        return NONSENSE, NONSENSE


def meaning_of(grid: Grid) -> list[dict[str, Any]]:
    """What each row says, by column of the effects that `check` writes."""
    rows = []
    for cells in grid.cells:
        row = {
            name: _meaning(name, text, grid.unit)
            for name, text in zip(grid.names, cells, strict=True)
            if name in CANONICAL
        }
        _settled_dose(row)
        _settled_arms(row)
        rows.append(row)
    for name in set(grid.names) - set(CANONICAL):
        texts = [cells[grid.names.index(name)].strip() for cells in grid.cells]
        known = [None if t.lower() in {b.lower() for b in BLANKS} else t for t in texts]
        numbers = [None if t is None else number_of(t) for t in known]
        for row, value in zip(rows, known if NONSENSE in numbers else numbers, strict=True):
            row[name] = value
    return rows


# -- invented truths ---------------------------------------------------------------------------

WORDS = {
    "experiment": ("e1", "e2"),
    "drug": ("ketamine", "saline, 0.9%", "MK-801"),
    "regimen": ("single", "repeated", "infusion"),
    "species": ("rat", "mouse", "Rattus \u201cWistar\u201d"),
    "sex": ("male", "female", "both"),
    "note": ("see fig. 2", 'said "ca. 5"', "n,m", "\u03b1\u2082 \u00b5", "Unclear"),
}
OPTIONAL = (*WORDS, "direction", "delay", "duration", "dose", "year")


@st.composite
def truths(draw) -> list[dict[str, Any]]:
    """Rows of typed values: minutes, micrograms, whole animals; None where not known."""
    optional = draw(st.lists(st.sampled_from(OPTIONAL), unique=True, max_size=6))
    outcome = draw(st.sampled_from(["arms", "arms", "y", "y"]))
    kind = draw(st.sampled_from(["mg/kg", "mg/kg/d", "mg"]))
    rows = []
    for i in range(draw(st.integers(2, 6))):
        row: dict[str, Any] = {"study": draw(st.sampled_from(["Li 2010", "A", "4", "\u00d6z, B."]))}
        if outcome == "y":
            row |= {"y": draw(st.integers(-500, 500)) / 100, "v": draw(st.integers(1, 99)) / 100}
        for side in ("treated", "control") if outcome == "arms" else ():
            row[f"mean_{side}"] = draw(st.integers(-9999, 9999)) / 100
            row[f"sd_{side}"] = draw(st.integers(1, 999)) / 100
            row[f"n_{side}"] = draw(st.integers(2, 60))
        for name in optional:
            known = i == 0 or draw(st.integers(0, 4))
            row[name] = draw(_value(name, kind)) if known else None
        rows.append(row)
    return rows


def _value(name: str, kind: str) -> st.SearchStrategy[Any]:
    if name in WORDS:
        return st.sampled_from(WORDS[name])
    if name == "dose":
        return st.tuples(st.integers(1, 99999), st.just(kind))
    if name == "direction":
        return st.sampled_from([1, -1])
    return st.integers(1990, 2026) if name == "year" else st.integers(0, 60000)


# -- written down ------------------------------------------------------------------------------


@st.composite
def grids(draw, plain: bool = False) -> tuple[list[dict[str, Any]], Grid]:
    """A truth and one of the many tables that say the same."""
    rows = draw(truths())
    errors = draw(st.sampled_from(["sd", "sd", "sem"]))
    spread = draw(st.sampled_from(["v", "v", "se"]))
    unit = draw(st.sampled_from("dh"))
    apart = "dose" in rows[0] and draw(st.booleans())
    blanks = BLANKS if plain else (*BLANKS, *NOT_SAID)
    written = []
    for row in rows:
        texts: dict[str, str] = {}
        for name, value in row.items():
            if value is None:
                unsaid = blanks if name in CANONICAL else BLANKS
                texts[name] = draw(st.sampled_from(unsaid))
            elif name == "dose":
                texts |= _dose_texts(draw, *value, apart)
            elif name in ("delay", "duration"):
                texts[name] = draw(_times(value, unit if name == "delay" else "d"))
            elif name.startswith("sd_") and errors == "sem":
                side = name.removeprefix("sd_")
                texts[f"sem_{side}"] = repr(value / math.sqrt(row[f"n_{side}"]))
            elif name == "v" and spread == "se":
                texts["se"] = repr(math.sqrt(value))
            else:
                texts[name] = draw(_plain(name, value))
        if apart and "dose_unit" not in texts:
            texts["dose_unit"] = ""
        written.append(texts)
    names = draw(st.permutations(list(written[0])))
    headers, options = _headers(draw, names)
    # Said always: bare numbers beside cells with units are refused otherwise.
    options += ["--units", f"delay={unit}", "--units", "duration=d"]
    cells = tuple(tuple(texts[name] for name in names) for texts in written)
    return rows, Grid(tuple(names), tuple(headers), cells, tuple(options), unit)


def _plain(name: str, value: Any) -> st.SearchStrategy[str]:
    if isinstance(value, str):
        return st.sampled_from([value, f" {value}", f"{value}  "])
    forms = [f"{value}", f"{float(value)}", f"{value:+}", f" {value} ", f"{value:e}", f"{value}e0"]
    if name == "direction":
        forms += ["Higher is better" if value == 1 else "lower is  better"]
    if name.startswith("n_"):
        forms += [f"{value}-{value + 3}", f"{value} \u2013 {value + 1}", f"{value} to {value + 9}"]
    return st.sampled_from(forms)


def _times(minutes: int, unit: str) -> st.SearchStrategy[str]:
    days, hours = minutes / 1440, minutes / 60
    forms = [f"{minutes} min", f"{minutes}minutes", f"{hours!r} h", f"{hours!r}hours"]
    forms += [f"{days!r} d", f"{days!r} Days", f"{days / 7!r} wk", f"{60 * minutes} s"]
    forms += [f"{days!r}" if unit == "d" else f"{hours!r}"]
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    long = [f"{number} {word}" for number, word in parts if number]
    return st.sampled_from([*forms, " ".join(long) or "0 h"])


def _dose_texts(draw, micrograms: int, kind: str, apart: bool) -> dict[str, str]:
    per = kind.removeprefix("mg")
    unit, times = draw(
        st.sampled_from([("mg", MILLI), ("ug", 1), ("\u00b5g", 1), ("\u03bcg", 1), ("g", MILLI**2)])
    )
    amount = str(Decimal(micrograms) * times)
    per = draw(st.sampled_from([per, per.replace("/d", " per day"), per.replace("/", " / ")]))
    if apart and draw(st.booleans()):
        return {"dose": amount, "dose_unit": f"{unit}{per}"}
    return {"dose": f"{amount}{draw(st.sampled_from(['', ' ']))}{unit}{per}"}


def _headers(draw, names: Sequence[str]) -> tuple[list[str], list[str]]:
    found, options = [], []
    for name in names:
        spaced = name.replace("_", " ")
        form = draw(st.sampled_from([name, name, spaced, spaced.title(), name.upper(), "mapped"]))
        if name not in CANONICAL:
            form = name
        if form == "mapped":
            form = f"Col. {name[::-1]}"
            options += ["--columns", f"{name}={form}"]
        found.append(form if name not in CANONICAL else draw(st.sampled_from([form, f" {form} "])))
    return found, options


@dataclass(frozen=True)
class Style:
    """How a file is written; none of it means anything."""

    suffix: str = ".csv"
    newline: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    bom: bool = False
    blank_lines: int = 0
    blank_columns: int = 0
    typed: bool = False


STYLES = st.builds(
    Style,
    st.sampled_from([".csv", ".csv", ".csv", ".tsv", ".TAB", ".parquet", ".xlsx"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 2),
    st.booleans(),
)


def encoded(lines: Sequence[Sequence[str]], style: Style) -> bytes:
    """Lines of texts as the bytes of a text file."""
    text = io.StringIO(newline="")
    separator = "," if style.suffix == ".csv" else "\t"
    writer = csv.writer(
        text, delimiter=separator, lineterminator=style.newline, quoting=style.quoting
    )
    writer.writerows([*line, *[""] * style.blank_columns] for line in lines)
    text.write(style.newline * style.blank_lines)
    return (b"\xef\xbb\xbf" if style.bom else b"") + text.getvalue().encode()


def save(grid: Grid, path: Path, style: Style) -> None:
    """Write a table to a file of any kind."""
    columns = [_typed(name, cells, style) for name, cells in _columns(grid).items()]
    if style.suffix == ".parquet":
        headers = map(str.strip, grid.headers)
        pd.DataFrame(dict(zip(headers, columns, strict=True))).to_parquet(path, index=False)
    elif style.suffix == ".xlsx":
        book = Workbook()
        if any("\r" in cell for line in (grid.headers, *grid.cells) for cell in line):
            raise ValueError("XML reads every return as a new line")
        for line in (grid.headers, *zip(*columns, strict=True)):
            book.active.append(list(line))
        book.save(path)
    else:
        path.write_bytes(encoded([grid.headers, *grid.cells], style))


def _columns(grid: Grid) -> dict[str, tuple[str, ...]]:
    columns = list(zip(*grid.cells, strict=True)) or [()] * len(grid.names)
    return dict(zip(grid.names, columns, strict=True))


def _typed(name: str, cells: Sequence[str], style: Style) -> list[Any]:
    """Cells of a column as numbers, if all are and the style says so."""
    values = [None if cell == "" else number_of(cell) for cell in cells]
    labels = name in TEXTS and any(not cell.isdigit() or cell[0] == "0" for cell in cells)
    return list(cells) if NONSENSE in values or labels or not style.typed else values


# -- spoilt ------------------------------------------------------------------------------------

LETTERS = st.sampled_from([*"0123456789.,-+eEdhmgkxX%/<>~ \"';\t\n", "\u00b5", "\u0663", "\uff15"])
# A return inside a cell is another row where nothing quotes it: spoilt rows are tried apart.
LETTERS |= st.sampled_from(["\u00a0", "\u200b", "\u2212", "\x07", "\x1b", "\x1f", "\ufeff"])
INSTEAD = st.sampled_from(
    [
        *("", " ", "inf", "-inf", "nan", "-nan", "1e999", "-1e999", "1e-400", "1e300", "1e-300"),
        *("0", "-0", "1", "-1", "1e200", "1_000", "1,5", "1.234,5", "1,234.5", "1 234", "1'234"),
        *("=1/0", "#DIV/0!", "#N/A", "2024-01-05", "5-Jan", "50%", "<5", "~5", "n.s.", "TRUE"),
        *("1/2", "5\u00b11", "5 (0.4)", "0x1F", "(5)", "5*", "\uff15", "\u0665", "\u22125", "5\n6"),
        *('"', '"5', "'5", "6-8", "8-6", "6-" + "9" * 5000, "9" * 5000, "9" * 400 + "-6", "?"),
        *("x" * 50000, "1e308 wk", "1e307 g/kg", "24 hrs", "3 m", "1 mo", "5 Mg", "5 nm", "H"),
        *("Unclear", "100 ug/kg", "0.1mg/kg", "1-2 h", "2 h 90 min", "1 d, 2 h", "\0", "5\0"),
        *("higher is better", "Inverse", "total", "SUM", "5;6", "mean 5", "\ud7ff", "\U0001f400"),
    ]
)


@st.composite
def slips(draw, text: str) -> str:
    """What a slip makes of a text."""
    kind = draw(st.sampled_from(["put", "drop", "swap", "double", "change", "sign", "other"]))
    at = draw(st.integers(0, max(len(text) - 1, 0)))
    if kind == "other" or not text:
        return draw(INSTEAD | st.text(max_size=8).filter(_is_utf8))
    if kind == "sign":
        return text[1:] if text.startswith("-") else f"-{text}"
    head, letter, tail = text[:at], text[at], text[at + 1 :]
    if kind == "swap":
        return head + tail[:1] + letter + tail[1:]
    new = {"put": letter, "drop": "", "double": letter * 2, "change": ""}[kind]
    return head + (draw(LETTERS) if kind in ("put", "change") else "") + new + tail


def _is_utf8(text: str) -> bool:
    return all(not 0xD800 <= ord(letter) < 0xE000 for letter in text)
