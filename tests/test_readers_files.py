"""TSV, Parquet and Excel files."""

import subprocess
import sys
import zipfile
from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import ARMS, arms
from openpyxl import Workbook, load_workbook

from bayesma.catalogue import root
from bayesma.errors import BayesmaError, SpecError, TableError
from bayesma.readers import SUFFIXES, read_table

HEADER = ["study", "y", "v"]
ROWS = [["A", 1.5, 0.2], ["B", 0.5, 0.1]]


def lines_of(source, **options):
    with pytest.raises(TableError, match=r"\S") as caught:
        read_table(source, **options)
    return str(caught.value).splitlines()


@pytest.fixture
def save(tmp_path):
    """Write rows to a sheet and return the file."""

    def _save(rows, change=None, name="table.xlsx"):
        book = Workbook()
        for row in rows:
            book.active.append(row)
        if change is not None:
            change(book)
        book.save(tmp_path / name)
        return tmp_path / name

    return _save


# -- by their endings ----------------------------------------------------------------------------


def test_every_kind_of_file_reads_as_its_frame(tmp_path):
    frame = arms(6, delay=["1 d", "", "3 h"] * 2, drug=["a", "b", "c"] * 2, dose=["100 ug/kg"] * 6)
    expected = read_table(frame)
    writers = {
        ".csv": lambda path: frame.to_csv(path, index=False),
        ".tsv": lambda path: frame.to_csv(path, index=False, sep="\t"),
        ".tab": lambda path: frame.to_csv(path, index=False, sep="\t"),
        ".parquet": frame.to_parquet,
        ".pq": frame.to_parquet,
        ".xlsx": lambda path: frame.to_excel(path, index=False),
    }
    assert set(writers) == set(SUFFIXES)
    for suffix, write in writers.items():
        for path in (tmp_path / f"t{suffix}", tmp_path / f"T{suffix.upper()}"):
            lower = tmp_path / f"x{suffix}"
            write(lower)
            lower.rename(path)
            table = read_table(path)
            assert table.source == path.name
            assert table.notes == expected.notes
            pd.testing.assert_frame_equal(
                table.frame.drop(columns="row_id"), expected.frame.drop(columns="row_id")
            )
            first = "1" if suffix in {".parquet", ".pq"} else "2"
            assert table.rows[0] == first


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("t.xls", "t.xls: ends in '.xls', which is not read; save it as .xlsx or .csv"),
        ("t.ods", "t.ods: ends in '.ods', which is not read; save it as .xlsx or .csv"),
        ("t.txt", "t.txt: ends in '.txt', which is not read; name it .csv or .tsv"),
        ("t.json", "t.json: ends in '.json', which is not read; known endings: .csv, .tsv, .tab"),
        ("table", "table: ends in '', which is not read; known endings: .csv"),
    ],
)
def test_other_endings_are_refused_with_what_to_do(tmp_path, name, line):
    (tmp_path / name).write_text("study,y,v\nA,1,1\n")
    (found,) = lines_of(tmp_path / name)
    assert found.startswith(line)


@pytest.mark.parametrize("name", ["none.xlsx", "none.parquet", "none.tsv", "none.xls"])
def test_a_file_that_is_not_there(tmp_path, name):
    (found,) = lines_of(tmp_path / name)
    assert f"{name}: cannot be read (No such file or directory); check the path" in found


@pytest.mark.parametrize("name", ["t.xlsx", "t.parquet"])
@pytest.mark.parametrize("content", [b"", b"study,y,v\nA,1,1\n", b"PK\x03\x04junk", b"PAR1junk"])
def test_a_file_that_is_not_what_its_ending_says(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (found,) = lines_of(tmp_path / name)
    assert found.startswith((f"{name}: is not a Parquet", f"{name}: is not an Excel workbook"))


@pytest.mark.parametrize(("name", "extra"), [("t.xlsx", "excel"), ("t.parquet", "parquet")])
def test_a_missing_package_says_how_to_get_it(tmp_path, monkeypatch, name, extra):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setitem(sys.modules, {"excel": "openpyxl", "parquet": "pyarrow"}[extra], None)
    with pytest.raises(
        BayesmaError, match=rf"{name}: .* need .*; pip install 'bayesma\[{extra}\]'"
    ):
        read_table(tmp_path / name)


def test_only_workbooks_have_sheets(tmp_path):
    for source in (arms(), tmp_path / "t.csv"):
        with pytest.raises(SpecError, match=r"sheet='one' is for workbooks \(\.xlsx\) only"):
            read_table(source, sheet="one")


# -- TSV -----------------------------------------------------------------------------------------


def test_a_tsv_file_may_hold_commas(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("study\ty\tv\nA, B and C\t1\t0.2\n\nD\tx\t0.1\n")
    assert lines_of(path) == [
        "t.tsv, row 4, column 'y': 'x' is not a number; write a plain number such as 12.5, or "
        "leave the cell empty"
    ]


def test_a_tsv_file_with_commas_between_says_so(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("study,y,v\nA,1,0.2\n")
    (found,) = lines_of(path)
    assert found.startswith("t.tsv: is separated by commas, not tabs; export it as 'CSV UTF-8")
    assert found.endswith("or name it .csv")


# -- Parquet -------------------------------------------------------------------------------------


def parquet(tmp_path, **columns):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_typed_columns_are_read_by_their_types(tmp_path):
    path = parquet(
        tmp_path,
        study=pa.array(["A", "B"]).dictionary_encode(),
        y=pa.array([1, None], pa.int64()),
        v=pa.array([0.5, None], pa.float32()),
        mean_treated=pa.array([None, 5], pa.int16()),
        sd_treated=pa.array([None, 2.0]),
        n_treated=pa.array([None, 8], pa.uint8()),
        mean_control=pa.array([None, 3.0]),
        sd_control=pa.array([None, 2.0]),
        n_control=pa.array([None, 8], pa.int32()),
        drug=pa.array([b"ketamine", None], pa.binary()),
        delay=pa.array([timedelta(hours=36), None], pa.duration("us")),
        when=pa.array([datetime(2020, 1, 2), None]),
        blinded=pa.array([True, None]),
    )
    frame = read_table(path).frame
    assert frame["study"].tolist() == ["A", "B"]
    assert frame["y"].tolist()[0] == 1
    assert frame["n_treated"].tolist()[1] == 8
    assert frame["drug"].tolist()[0] == "ketamine"
    assert frame["delay"].tolist()[0] == 1.5
    assert frame["delay"].isna().tolist() == [False, True]
    assert frame["when"].tolist()[0] == "2020-01-02 00:00:00"
    assert frame["blinded"].tolist()[0] == "True"


@pytest.mark.parametrize(
    ("column", "cells", "line"),
    [
        ("delay", pa.array([date(2020, 1, 2)]), "'2020-01-02' is a date; spreadsheets make dates"),
        ("delay", pa.array([datetime(2020, 1, 2)]), "'2020-01-02 00:00:00' is a date"),
        ("delay", pa.array([time(1, 30)]), "'01:30:00' is a time of day; write a number with its"),
        ("dose", pa.array([timedelta(1)], pa.duration("s")), "is a span of time"),
        ("dose", pa.array([True]), "'True' is not a number"),
        ("drug", pa.array([b"\xff\xfe"], pa.binary()), "'b'\\xff\\xfe'' is binary, not text"),
        ("dose", pa.array([[1, 2]]), "is not a number"),
    ],
)
def test_types_that_a_column_cannot_hold(tmp_path, column, cells, line):
    (found,) = lines_of(parquet(tmp_path, study=["A"], y=[1.0], v=[0.5], **{column: cells}))
    assert found.startswith(f"t.parquet, row 1, column '{column}': ")
    assert line in found


def test_an_index_with_a_name_is_a_column(tmp_path):
    frame = pd.DataFrame({"study": ["A", "B"], "y": [1.0, 2], "v": [0.1, 0.2]}).set_index("study")
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").frame["study"].tolist() == ["A", "B"]


# -- Excel ---------------------------------------------------------------------------------------


def test_rows_are_numbered_as_in_the_spreadsheet(save):
    path = save([[], [], HEADER, ["A", 1, 0.2], [], [None, " "], ["B", "x", 0.1]])
    (found,) = lines_of(path)
    assert found.startswith("table.xlsx, row 7, column 'y': 'x' is not a number")


def test_blank_columns_at_either_side_are_left_out(save):
    rows = [[None, *HEADER, None], *([None, *row, None] for row in ROWS)]
    assert list(read_table(save(rows)).frame) == ["row_id", *HEADER]


def test_a_date_where_a_range_was_typed_says_so(save):
    path = save([[*HEADER, "delay"], ["A", 1, 0.2, datetime(2026, 2, 1)], ["B", 1, 0.2, "2 h"]])
    (found,) = lines_of(path)
    assert found == (
        "table.xlsx, row 2, column 'delay': '2026-02-01 00:00:00' is a date; spreadsheets make "
        "dates of entries such as 1-2: format as text, type it again"
    )


def test_group_sizes_that_became_dates_say_so(save):
    frame = arms(2).astype(object)
    frame.loc[0, "n_treated"] = datetime(2026, 8, 6)
    (found,) = lines_of(save([list(frame), *frame.to_numpy().tolist()]))
    assert "row 2, column 'n_treated': '2026-08-06 00:00:00' is a date" in found


def test_percentages_truths_times_and_errors_are_faults_where_a_number_is_due(save):
    def change(book):
        sheet = book.active
        sheet["D2"].number_format = "0%"
        sheet["D3"].number_format = "0.00%"
        sheet["E2"].number_format = "0%"

    rows = [
        [*HEADER, "i2", "share", "delay"],
        ["A", 1, 0.2, 0.72, 0.5, "1 d"],
        ["B", True, 0.2, 0.0825, 0.25, time(1, 30)],
        ["C", "#DIV/0!", 0.2, 50, 1, timedelta(hours=12)],
    ]
    lines = lines_of(save(rows, change))
    assert [line.partition(": ")[2].partition(";")[0] for line in lines] == [
        "'0.72' is shown as 72%",
        "'True' is not a number",
        "'01:30:00' is a time of day",
        "'0.0825' is shown as 8.25%",
        "'#DIV/0!' is a formula's error",
    ]


def test_the_same_in_columns_of_the_reviewers_own_are_kept(save):
    def change(book):
        book.active["D2"].number_format = "0%"

    rows = [[*HEADER, "share", "when"], ["A", 1, 0.2, 0.5, datetime(2014, 1, 1)]]
    frame = read_table(save(rows, change)).frame
    assert frame["share"].tolist() == [0.5]
    assert frame["when"].tolist() == ["2014-01-01 00:00:00"]


def test_an_exact_span_of_time_is_a_duration(save):
    rows = [[*HEADER, "delay"], ["A", 1, 0.2, timedelta(hours=36)]]
    assert read_table(save(rows)).frame["delay"].tolist() == [1.5]


def test_merged_cells_are_refused_below_the_header(save):
    def change(book):
        book.active.insert_rows(1)
        book.active["A1"] = None
        book.active.merge_cells("A3:A4")

    (found,) = lines_of(save([HEADER, *ROWS], change))
    assert found == (
        "table.xlsx, row 3: cells A3:A4 are merged, so only the first holds a value; unmerge "
        "them and fill in each"
    )


def test_rows_that_a_filter_hides_are_read_and_told(save):
    def change(book):
        book.active.row_dimensions[3].hidden = True

    table = read_table(save([HEADER, *ROWS], change))
    assert len(table) == 2
    assert table.notes == ("hidden rows are read like the others: 1 of 2",)


def test_one_of_several_sheets_must_be_named(save):
    def change(book):
        book.active.title = "effects"
        notes = book.create_sheet("notes")
        notes.append(["just words"])
        book.create_sheet("blank")

    path = save([HEADER, *ROWS], change)
    (found,) = lines_of(path)
    assert found == "table.xlsx: has several sheets; say which with sheet=: 'effects', 'notes'"
    assert len(read_table(path, sheet="effects")) == 2
    (found,) = lines_of(path, sheet="effect")
    assert found.startswith("table.xlsx: has no sheet 'effect'; did you mean 'effects'? known: eff")
    (found,) = lines_of(path, sheet="blank")
    assert found == "table.xlsx: the sheet is empty; check the export"


def test_a_workbook_without_any_cell_is_empty(save):
    assert lines_of(save([])) == ["table.xlsx: the file is empty; check the export"]


def test_formulas_count_by_their_results(save, tmp_path):
    path = save([HEADER, ["A", "=1+1", 0.2], ["B", 1, 0.1]])
    (found,) = lines_of(path)
    assert found == (
        "table.xlsx, row 2: cell B2 holds a formula without its result; open the workbook in "
        "Excel and save it"
    )
    # What Excel would save: the result beside the formula; an empty text is typed as text.
    for value, expected in (("<v>2</v>", 2), ("<v></v>", None)):
        computed = tmp_path / "computed.xlsx"
        kind = "" if expected else ' t="str"'
        rewrite(path, computed, b'<c r="B2">', b"<v />", kind, value)
        assert load_workbook(computed, data_only=True).active["B2"].value == expected
        if expected:
            assert read_table(computed).frame["y"].tolist() == [2, 1]
        else:
            (found,) = lines_of(computed)
            assert "column 'y': is missing" in found


def rewrite(source, target, cell, empty, kind, value):
    """Copy a workbook, giving one formula a result."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.namelist():
            content = old.read(item)
            if item == "xl/worksheets/sheet1.xml":
                assert content.count(cell) == 1
                assert content.count(empty) == 1
                content = content.replace(cell, cell[:-1] + kind.encode() + b">")
                content = content.replace(empty, value.encode())
            new.writestr(item, content)


def test_numeric_headers_and_labels_read_as_written(save):
    table = read_table(save([[*HEADER, 2014], [2004, 1, 0.2, 5], ["B", 1, 0.1, 6]]))
    assert table.frame["study"].tolist() == ["2004", "B"]
    assert table.frame["2014"].tolist() == [5, 6]
    assert np.isfinite(table.frame["y"]).all()


# -- published workbooks -------------------------------------------------------------------------

SOCIAL = {
    "study": "study_id",
    "experiment": "exp_id",
    "mean_treated": "mean_exp",
    "sd_treated": "sd_exp",
    "n_treated": "n_exp",
    "mean_control": "mean_ctrl",
    "sd_control": "sd_ctrl",
    "n_control": "n_ctrl",
    "dose": "nmda_dose",
    "duration": "nmda_duration_day_std",
    "delay": "nmda_interval_to_outcome",
}


@pytest.fixture(scope="module")
def social(shared, tmp_path_factory):
    """The published sheet, and the same table as its prepare script makes it."""
    folder = tmp_path_factory.mktemp("social")
    script = root("data") / "nmda_social" / "prepare.py"
    raw = shared / "data" / "raw"
    subprocess.run([sys.executable, script, raw, folder], check=True, capture_output=True)
    return raw / "meta_social_interaction.xlsx", folder / "nmda_social" / "interaction.csv"


def test_a_published_workbook_faults_only_where_a_delay_is_no_number(social):
    lines = lines_of(social[0], columns=SOCIAL)
    assert len(lines) == 8
    assert all("'Immediately' is not one number with one unit" in line for line in lines)


def test_a_published_workbook_reads_as_its_prepared_table(social, tmp_path):
    raw = pd.read_excel(social[0])
    delays = raw["nmda_interval_to_outcome"].replace("Immediately", "0 min")
    raw.assign(nmda_interval_to_outcome=delays).to_excel(tmp_path / "t.xlsx", index=False)
    table, prepared = read_table(tmp_path / "t.xlsx", columns=SOCIAL), read_table(social[1])
    assert "delay: 41 of 491 cells missing, 41 of them 'Unclear'" in table.notes
    same = ["study", "experiment", *ARMS, "delay", "dose", "dose_unit"]
    # The script divides published minutes by 1440: a rounding apart.
    pd.testing.assert_frame_equal(table.frame[same], prepared.frame[same], rtol=1e-14)


def test_a_workbook_and_its_csv_file_are_one_table(shared):
    columns = {
        "study": "id",
        "mean_treated": "atd_mean",
        "sd_treated": "atd_sd",
        "sem_treated": "atd_se",
        "n_treated": "atd_n_round",
        "mean_control": "ctr_mean",
        "sd_control": "ctr_sd",
        "n_control": "ctr_n_round",
        "delay": "last_bf_outcome",
    }
    kept = {name: name for name in ("study_reference", "seq")}
    data = shared / "data"
    book = read_table(
        data / "raw" / "Dataclean_200FST.xlsx", columns=columns | kept, units={"delay": "h"}
    )
    text = read_table(data / "fst_martins2025.csv", columns=columns, units={"delay": "h"})
    both = [name for name in columns if name in text.frame] + ["dose", "dose_unit"]
    # The CSV file was written with 16 digits.
    pd.testing.assert_frame_equal(book.frame[both], text.frame[both], rtol=1e-14)
    assert [note for note in book.notes if note in text.notes] == list(text.notes)


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml"])
@pytest.mark.parametrize("content", [b"", b"<a", b"\xff"])
def test_a_workbook_with_a_damaged_part(save, tmp_path, part, content):
    whole = save([HEADER, *ROWS])
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name == part else old.read(name))
    (found,) = lines_of(tmp_path / "t.xlsx")
    assert found.startswith("t.xlsx: ")
