"""Thousands of tables through the command line: read right, or refused in one message.

BAYESMA_FUZZ=20000 asks for that many examples of each kind.
"""

import contextlib
import csv
import io
import json
import os
import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st
from mutations import (
    BLANKS,
    NONSENSE,
    NOT_SAID,
    NUMBERS,
    STYLES,
    TEXTS,
    Style,
    encoded,
    grids,
    hedges,
    meaning_of,
    number_of,
    save,
    slips,
)
from openpyxl.utils.exceptions import IllegalCharacterError
from test_readers_syrf import ARM, SALINE, export
from typer.main import get_command

from bayesma.cli import app

COMMAND = get_command(app)
ASKED = int(os.environ.get("BAYESMA_FUZZ", "0"))
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
CALM = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def examples(everyday):
    count = ASKED or everyday
    return settings(max_examples=count, suppress_health_check=CALM, phases=PHASES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def clear(folder):
    for file in folder.iterdir():
        file.unlink()


# -- one run of the command --------------------------------------------------------------------


def run(*args):
    """Run a command; whatever is raised but an exit is raised here too.

    The application is put together once, which takes longer than a small table does.
    """
    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            COMMAND.main([str(arg) for arg in args], prog_name="bayesma")
        except SystemExit as stop:
            status = stop.code or 0
    return SimpleNamespace(exit_code=status, stdout=out.getvalue(), stderr=err.getvalue())


def asked(path, *options):
    """Run `check` for its table and JSON; None and the message if it refuses."""
    written = path.parent / "written.csv"
    result = run("check", path, *options, "--csv", written, "--json")
    if result.exit_code:
        return None, said_no(result, path)
    assert result.exit_code == 0
    assert result.stderr == ""
    with written.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    answer = json.loads(result.stdout)
    assert len(answer["records"]) == len(table)
    for row, record in zip(table, answer["records"], strict=True):
        assert list(row) == list(record)
        assert all(same(text, record[name]) for name, text in row.items()), (row, record)
    return answer["records"], answer["notes"]


def said_no(result, path):
    """Check that a refusal is one message of lines that name the file, and nothing beside it."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert {file.name for file in path.parent.iterdir()} <= {path.name}
    lines = result.stderr.removesuffix("\n").split("\n")
    assert all(line.startswith(path.name) and "; " in line for line in lines), lines
    return lines


def same(text, value):
    """Return whether a cell of the CSV file says what JSON says."""
    if value is None:
        return text == ""
    return float(text) == value if isinstance(value, float) else text == value


def close(found, meant, own=False):
    if own and isinstance(found, str) and isinstance(meant, float):
        # Where a cell of the reviewer's own looks like a label ("1990e0"), the column stays text
        # and a note says so: what it says is the same.
        found = float(found) if _is_number(found) else found
    if isinstance(meant, float) and isinstance(found, float):
        # Some roundings of either side, and cancellation where means are near each other.
        return found == pytest.approx(meant, rel=1e-9, abs=1e-12)
    return found == meant


def _is_number(text):
    return re.fullmatch(r"\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*", text) is not None


def agrees(records, meant):
    """Assert that every row is there and says what it means, and that effects are effects."""
    assert len(records) == len(meant)
    for record, row in zip(records, meant, strict=True):
        assert NONSENSE not in row.values(), (row, record)
        for name, value in row.items():
            found = record.get(name)
            assert close(found, value, own=name == "year"), (name, found, value)
        assert isinstance(record["y"], float)  # infinity is a text in JSON, NaN null
        assert isinstance(record["v"], float)
        assert record["v"] > 0


def gaps_told(path, options, records):
    """Assert that what is printed for people counts the blank cells of every column."""
    text = " ".join(run("check", path, *options).stdout.split())
    assert f"{path.name}: {len(records)} rows" in text
    told = re.search(r"missing cells: (.*?) columns of your own", text)[1]
    counted = {} if told == "none" else dict(part.rsplit(" ", 1) for part in told.split(", "))
    blank = {n: sum(row[n] is None for row in records) for n in records[0] if n not in "yv"}
    given = {n: str(count) for n, count in blank.items() if count}
    assert {n: c for n, c in counted.items() if n not in ("v", "y")} == given


# -- tables that say what they mean ------------------------------------------------------------


def canonical(row):
    """Return a row of a truth in the table's units."""
    found = {n: float(v) if isinstance(v, int) else v for n, v in row.items()}
    found |= {n: row[n] / 1440 for n in ("delay", "duration") if row.get(n) is not None}
    if row.get("dose") is not None:
        found |= {"dose": row["dose"][0] / 1000, "dose_unit": row["dose"][1]}
    if "y" not in row:
        found["y"], found["v"] = hedges(found)
    return found


@given(grids(), STYLES)
@examples(60)
def test_a_table_is_read_right_however_it_is_written(folder, table, style):
    clear(folder)
    rows, grid = table
    path = folder / f"table{style.suffix}"
    save(grid, path, style)
    records, notes = asked(path, *grid.options)
    assert records is not None, notes
    agrees(records, [canonical(row) for row in rows])
    agrees(records, meaning_of(grid))  # the second reading that spoilt tables are held to
    ranges = (
        sum(
            bool(re.search(r"\d( to |-| . )\d", c[grid.names.index("n_treated")]))
            for c in grid.cells
        )
        if "n_treated" in grid.names
        else 0
    )
    told = [note for note in notes if note.startswith("n_treated: the smallest number of a range")]
    assert told == (
        [f"{told[0].rsplit(': ', 1)[0]}: {ranges} of {len(rows)} rows"] if ranges else []
    )
    (folder / "written.csv").unlink()
    gaps_told(path, grid.options, records)


# -- spoilt cells ------------------------------------------------------------------------------


def says_nothing(text):
    return text.strip().lower() in {word.lower() for word in (*BLANKS, *NOT_SAID, "n.a.")}


def sound(name, text):
    """Return whether a cell is beyond doubt, so that refusing it would be wrong."""
    if name in TEXTS and name != "dose_unit":
        return bool(re.fullmatch("[A-Za-z][a-z]{3,}", text)) and not says_nothing(text)
    if name not in NUMBERS or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        return False
    number = number_of(text)
    return 1e-3 < (abs(number) if name in ("y", "mean_treated", "mean_control") else number) < 1e4


def judged(path, grid, *, row=None, name=None):
    """Run `check` on a spoilt table: right, or refused with the place of the fault."""
    records, lines = asked(path, *grid.options)
    if records is not None:
        event("read")
        agrees(records, meaning_of(grid))
        return True
    event("refused")
    if row is not None:
        place = grid.places[row] - (path.suffix == ".parquet")
        at = [line for line in lines if f", row {place}, column '" in line]
        whole = [line for line in lines if not re.search(r", row \d+", line)]
        ragged = [line for line in lines if f", row {place}: " in line]
        assert at or whole or ragged, lines
        if at and _meaning_is_lost(grid, row, name):
            assert any(f"column '{grid.headers[grid.names.index(name)].strip()}'" in a for a in at)
    return False


def _meaning_is_lost(grid, row, name):
    text = grid.cell(row, name)
    return name in NUMBERS and number_of(text) is NONSENSE and not says_nothing(text)


@given(grids(plain=True), STYLES, st.data())
@examples(150)
def test_a_spoilt_cell_is_refused_or_read_as_what_it_says(folder, table, style, data):
    clear(folder)
    _, grid = table
    row = data.draw(st.integers(0, len(grid.cells) - 1))
    name = data.draw(st.sampled_from(grid.names))
    text = data.draw(slips(grid.cell(row, name)))
    spoilt = grid.with_cell(row, name, text)
    path = folder / f"table{style.suffix}"
    try:
        save(spoilt, path, style)
    except (IllegalCharacterError, ValueError):
        assume(False)  # no workbook holds it
    read = judged(path, spoilt, row=row, name=name)
    assert read or not sound(name, text), (name, text)


@given(grids(plain=True), STYLES, st.data())
@examples(60)
def test_cells_in_each_others_place_are_read_as_they_stand(folder, table, style, data):
    clear(folder)
    _, grid = table
    row = data.draw(st.integers(0, len(grid.cells) - 1))
    one, other = data.draw(st.permutations(grid.names))[:2]
    swapped = grid.with_cell(row, one, grid.cell(row, other))
    swapped = swapped.with_cell(row, other, grid.cell(row, one))
    path = folder / f"table{style.suffix}"
    save(swapped, path, style)
    judged(path, swapped)


# -- spoilt rows -------------------------------------------------------------------------------

ROW_SLIPS = ("twice", "blank", "short", "long", "header again", "unit row", "total", "merged")


def spoilt_rows(kind, grid, at):
    """Return lines of texts, and the table they hold; None if they hold none."""
    head, lines, places = list(grid.headers), [list(line) for line in grid.cells], None
    row = lines[at]
    if kind == "twice":
        lines.insert(at, row)
    elif kind == "blank":
        places = tuple(i + 2 + (i >= at) for i in range(len(lines)))
        found = replace(grid, places=places)
        return [head, *lines[:at], [" "] * len(head) if at % 2 else [], *lines[at:]], found
    elif kind in ("header again", "unit row"):
        lines.insert(at, head if kind == "header again" else ["(d)"] * len(head))
    elif kind == "total":
        lines.append(["Total" if name == "study" else "" for name in grid.names])
    elif kind == "merged":
        lines[at] = ["" if n == "study" else c for n, c in zip(grid.names, row, strict=True)]
    else:
        lines[at] = row[:-1] if kind == "short" else [*row, "5"]
        return [head, *lines], None
    return [head, *lines], replace(grid, cells=tuple(map(tuple, lines)), places=())


@given(grids(plain=True), STYLES, st.sampled_from(ROW_SLIPS), st.data())
@examples(50)
def test_spoilt_rows_are_refused_and_none_is_lost(folder, table, style, kind, data):
    clear(folder)
    _, grid = table
    at = data.draw(st.integers(0, len(grid.cells) - 1))
    lines, meant = spoilt_rows(kind, grid, at)
    style = replace(style, suffix=".tsv" if style.suffix[:2] == ".t" else ".csv", blank_columns=0)
    path = folder / f"table{style.suffix}"
    path.write_bytes(encoded(lines, style))
    if meant is not None:
        read = judged(path, meant)
        assert read == (kind in ("twice", "blank")), kind
        return
    records, told = asked(path, *grid.options)
    assert records is None
    assert len(told) == 1
    assert f"{path.name}, row {at + 2}: has " in told[0]


@given(grids(plain=True), STYLES, st.data())
@examples(40)
def test_a_spoilt_header_is_refused_or_a_column_of_its_own(folder, table, style, data):
    clear(folder)
    _, grid = table
    at = data.draw(st.integers(0, len(grid.names) - 1))
    text = data.draw(slips(grid.headers[at]) | st.sampled_from(grid.headers))
    headers = (*grid.headers[:at], text, *grid.headers[at + 1 :])
    assume(
        len({header.strip() for header in headers}) == len(headers) or style.suffix != ".parquet"
    )
    path = folder / f"table{style.suffix}"
    try:
        save(replace(grid, headers=headers), path, style)
    except (IllegalCharacterError, ValueError):
        assume(False)
    records, _ = asked(path, *grid.options)
    if records is None:
        event("refused")
        return
    event("read")
    name = grid.names[at]
    if text.strip() == grid.headers[at].strip() or "_".join(text.lower().split()) == name:
        agrees(records, meaning_of(grid))
        return
    assert name != "study"
    assert name not in NUMBERS
    assert not name.startswith("n_")
    assert text.strip() in records[0] or f"(column {at + 1})" in records[0]
    rest = [cells[:at] + cells[at + 1 :] for cells in grid.cells]
    others = grid.names[:at] + grid.names[at + 1 :]
    agrees(records, meaning_of(replace(grid, names=others, cells=tuple(rest))))


# -- spoilt files ------------------------------------------------------------------------------

FILE_SLIPS = ("cut", "flip", "bytes", "latin", "utf-16", "separator", "suffix", "empty", "header")


def spoilt_bytes(kind, content, data):
    at = data.draw(st.integers(0, max(len(content) - 1, 0)))
    if kind == "cut":
        return content[:at]
    if kind == "flip":
        return (
            content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
        )
    if kind == "bytes":
        return data.draw(st.binary(max_size=200))
    if kind in ("latin", "utf-16"):
        text = content.decode("utf-8", "replace")
        return text.encode("latin-1", "replace") if kind == "latin" else text.encode("utf-16")
    return content


@given(grids(plain=True), STYLES, st.sampled_from(FILE_SLIPS), st.data())
@examples(70)
def test_a_spoilt_file_is_refused_or_a_table_of_effects(folder, table, style, kind, data):
    clear(folder)
    _, grid = table
    if kind == "header":
        grid = replace(grid, cells=())
    path = folder / f"table{style.suffix}"
    save(grid, path, style)
    content = path.read_bytes()
    text = style.suffix not in (".parquet", ".xlsx")
    if kind == "separator":
        content = content.replace(b"," if style.suffix == ".csv" else b"\t", b";")
    if kind == "suffix":
        path.unlink()
        path = folder / data.draw(
            st.sampled_from(["t.csv", "t.xlsx", "t.parquet", "t.tsv", "t.txt"])
        )
    path.write_bytes(b"" if kind == "empty" else spoilt_bytes(kind, content, data))
    records, lines = asked(path, *grid.options)
    event(f"{kind}: {'refused' if records is None else 'read'}")
    if records is None:
        assert len(lines) == 1 or text or kind == "flip"
        return
    assert kind in ("cut", "flip", "latin", "suffix"), kind
    for record in records:
        assert isinstance(record["y"], float)
        assert isinstance(record["v"], float)
        assert record["v"] > 0
    if kind == "cut" and text:
        # Every row but the last is whole; the last may lack what was cut off its last cell.
        agrees(records[:-1], meaning_of(grid)[: len(records) - 1])
    elif kind == "suffix" or style.suffix == ".xlsx":  # its archive knows of every changed byte
        agrees(records, meaning_of(grid))


# -- SyRF exports ------------------------------------------------------------------------------

OTHER = {"StudyId": "s2", "Title": "Another", "Authors": "E. Farmer", "OutcomeAverage": "70"}


@given(st.sampled_from(list(ARM)), st.integers(0, 3), st.booleans(), st.data())
@examples(50)
def test_a_spoilt_export_is_refused_or_paired_as_before(folder, name, row, leave_out, data):
    clear(folder)
    frame = export({}, SALINE, OTHER, SALINE | OTHER | {"OutcomeAverage": "90"})
    text = data.draw(slips(frame.loc[row, name]))
    frame.loc[row, name] = text
    path, written = folder / "export.csv", folder / "written.csv"
    path.write_bytes(encoded([list(frame), *frame.to_numpy().tolist()], Style()))
    result = run("syrf", path, "-o", written, *["--leave-out"] * leave_out)
    if result.exit_code:
        event("refused")
        said_no(result, path)
        return
    event("read")
    table = pd.read_csv(written)
    other = table[table["study"] == ("Farmer 2001" if row < 2 else "Baker 2001")]
    assert len(other) == 1 or "left out" in result.stdout or name in ("StudyId", "Authors", "Year")
    assert other["mean_treated"].tolist() in ([70.0 if row < 2 else 80.0], []) or name in (
        "StudyId",
    )
    assert len(table) >= 2 or "left out" in result.stdout
    for column in ("sd_treated", "sd_control"):
        assert (table[column] > 0).all()
    assert table[["mean_treated", "mean_control"]].notna().all(axis=None)
    assert (table[["n_treated", "n_control"]] >= 2).all(axis=None)
    if name in ("OutcomeAverage", "OutcomeError", "NumberOfAnimals"):
        column = {"OutcomeAverage": "mean", "OutcomeError": "sd", "NumberOfAnimals": "n"}[name]
        side = "treated" if row % 2 == 0 else "control"
        mine = table.drop(index=other.index)
        assert mine[f"{column}_{side}"].tolist() in ([number_of(text)], []), text
