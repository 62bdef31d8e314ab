import pandas as pd
import pytest
from helpers import arms

from bayesma.errors import TableError
from bayesma.readers import read_table


@pytest.fixture
def write(tmp_path):
    """Write a file and return its path."""

    def _write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


SOUND = "study,y,v\nA,1.5,0.2\nB,0.5,0.1\n"


def test_a_csv_file_reads_as_its_frame(write):
    frame = arms(delay=["1 d", "", "3 h"], drug=["a", "b", "c"])
    from_file = read_table(write(frame.to_csv(index=False))).frame
    from_frame = read_table(frame).frame
    pd.testing.assert_frame_equal(
        from_file.drop(columns="row_id"), from_frame.drop(columns="row_id")
    )
    assert from_file["row_id"].tolist() == ["2", "3", "4"]


@pytest.mark.parametrize(
    "text",
    [
        SOUND,
        "\ufeff" + SOUND,
        SOUND.replace("\n", "\r\n"),
        SOUND.replace("\n", "\r"),
        SOUND.rstrip("\n"),
        "\n\n" + SOUND.replace("B", "\n , ,\nB"),
        SOUND.replace(",y", ' , "y" ').replace('"', ""),
        "study,y,v,,\nA,1.5,0.2,,\nB,0.5,0.1,,\n",
    ],
    ids=["plain", "bom", "crlf", "cr", "no last newline", "blank rows", "spaces", "blank columns"],
)
def test_harmless_oddities_of_spreadsheets(write, text):
    table = read_table(write(text))
    assert list(table.frame) == ["row_id", "study", "y", "v"]
    assert table.frame["y"].tolist() == [1.5, 0.5]
    assert table.source == "table.csv"


def test_rows_are_numbered_as_a_spreadsheet_numbers_them(write):
    text = 'study,y,v\n"A\nfirst",1,0.2\n\nB,x,0.1\n'
    with pytest.raises(TableError, match=r"^table\.csv, row 4, column 'y': 'x' is not a number"):
        read_table(write(text))


def test_a_quoted_newline_stays_in_its_cell(write):
    assert read_table(write('study,y,v\n"A\n2004",1,0.2\n')).frame["study"][0] == "A\n2004"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "table.csv: the file is empty; check the export"),
        ("\n \n,,\n", "table.csv: the file is empty; check the export"),
        ("study,y,v\n", "table.csv: the table has no rows; check the file"),
        ("study;y;v\nA;1;2\n", "table.csv: is separated by semicolons, not commas; export it as"),
        ("study\ty\tv\nA\t1\t2\n", "table.csv: is separated by tabs, not commas; export it as"),
        ("study\ty\tv\nA\t1\t2\n", "(comma delimited)', or name it .tsv"),
        ("just some text\nand more\n", "table.csv: has a single column, so it is not a table"),
        (b"PK\x03\x04\x14\x00", "table.csv: is a workbook or an archive, not a CSV file; export"),
        (b"\xff\xfes\x00t\x00", "table.csv: is not a CSV file in UTF-8; export it as 'CSV UTF-8"),
        ("study,y,v\nG\xf6tz,1,2\n".encode("latin-1"), "is not a CSV file in UTF-8; export it"),
        (b"a,b\n\0,1\n", "is not a CSV file in UTF-8"),
        ('study,y,v\n"A,1,2\nB,1,2\n', "cannot be read as CSV (unexpected end of data); close"),
    ],
)
def test_a_file_that_is_no_table_says_why(write, content, line):
    with pytest.raises(TableError, match=r"^table\.csv") as caught:
        read_table(write(content))
    assert len(str(caught.value).splitlines()) == 1
    assert line in str(caught.value)


def test_a_column_without_a_name_keeps_its_cells(write):
    table = read_table(write("study,y,v,\nA,1,2,left over\n"))
    assert table.frame["(column 4)"].tolist() == ["left over"]


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(
        TableError, match=r"none\.csv: cannot be read \(No such file.*check the path"
    ):
        read_table(tmp_path / "none.csv")
    with pytest.raises(TableError, match=r"cannot be read \(Is a directory\); check the path"):
        read_table(str(tmp_path))


def test_ragged_rows_and_bad_cells_are_told_together_in_order(write):
    text = "study,y,v\nA,1,5,2\nB,x,0.1\nC,1\nD,1,0\n"
    with pytest.raises(TableError, match="row 2") as caught:
        read_table(write(text))
    assert str(caught.value).splitlines() == [
        "table.csv, row 2: has 4 cells under 3 headers; quote cells that hold commas",
        "table.csv, row 3, column 'y': 'x' is not a number; "
        "write a plain number such as 12.5, or leave the cell empty",
        "table.csv, row 4: has 2 cells under 3 headers; quote cells that hold commas",
        "table.csv, row 5, column 'v': '0' is too small; sampling variance of y must be above 0",
    ]


def test_a_doubled_header(write):
    with pytest.raises(TableError, match="column 'y': stands more than once; rename one") as caught:
        read_table(write("study,y,y,v\nA,1,1,2\n"))
    assert len(caught.value.faults) == 1


def test_fifty_faults_are_fifty_lines_each_with_place_value_and_remedy(write):
    rows = "".join(f"S{i},bad {i},0.1\n" for i in range(50))
    with pytest.raises(TableError, match="bad 0") as caught:
        read_table(write("study,y,v\n" + rows))
    lines = str(caught.value).splitlines()
    assert len(lines) == 50
    for i, line in enumerate(lines):
        assert line == (
            f"table.csv, row {i + 2}, column 'y': 'bad {i}' is not a number; "
            "write a plain number such as 12.5, or leave the cell empty"
        )


def test_rows_that_a_stray_quote_joins_are_told(tmp_path):
    (tmp_path / "t.csv").write_text('study,y,v,note\nA,1,1,x\nB,1,1,"a\nC,1,1,b"\nD,1,1,c\n')
    table = read_table(tmp_path / "t.csv")
    assert len(table) == 3
    assert table.notes == ("rows with a line break inside a cell: 1 of 3 (row 3)",)
