"""Make true_n.csv and as_published.csv from the published Excel file.

Usage: python data/fst/prepare.py RAW OUT
RAW is the folder with the published file; the tables go to OUT/fst/.
"""

import argparse
import csv
import importlib
import io
import math
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from zipfile import BadZipFile

SOURCE = "https://github.com/tamimart/martins2025 (data/Dataclean_200FST.xlsx)"
RERUN = "python data/fst/prepare.py RAW OUT"

PUBLISHED, ROWS = "Dataclean_200FST.xlsx", 561
MISSING = ("", "NA", "Unclear")
SPECIES = {"mice": "mouse", "rat": "rat"}
SEXES = {"M": "male", "F": "female", "M and F": "mixed", "": ""}
ROUTES = {"IP": "i.p.", "subcutaneous": "s.c.", "intranasal": "i.n."}
DOSE_UNITS = {"microg": "ug", "pmoles": "pmol"}
# Drugs and classes that the source misspells or names in Portuguese.
DRUGS = {"vortiexetine": "vortioxetine"}
CLASSES = {"teca": "TeCA", "IMAO": "MAOI"}
# Given with food or water: when the last dose was taken is nobody's to say.
INGESTED = ("mg/kg chow", "mg/mL")
DIET = "oral (dietary treatment)"
HOURS_PER_DAY = 24

# Our column: published column, copied as it is.
ARMS = {
    "mean_treated": "atd_mean",
    "sd_treated": "atd_sd",
    "n_treated": "atd_n_round",
    "mean_control": "ctr_mean",
    "sd_control": "ctr_sd",
    "n_control": "ctr_n_round",
}
COPIED = {
    "n_control_split": "ctr_n_corr",
    "n_comparisons": "n_comparisons",
    "outcome_unit": "measure_unit",
    "protocol": "fst_protocol",
    "doses_per_day": "treatment_freq",
    "model": "model_phenotype",
    "age_days": "age",
    "weight_g": "weight",
    "country": "country",
    "printed_in": "source",
}
ROB = tuple(f"rob{number}" for number in range(1, 11))
# Published columns that a function below reads.
READ = {
    *("line", "id", "first_author", "year", "species", "strain", "sex", "atd_type", "atd_class"),
    *("dose", "dose_unit", "treatment_duration", "treatment_via", "last_bf_outcome"),
    *("positive_control",),
}

Row = dict[str, str]


class PrepareError(Exception):
    """A fault in what the script was given; its text is the whole message."""


def as_text(value: object) -> str:
    """Cell as the shortest text that reads back as the same value; no value where missing."""
    if isinstance(value, datetime):
        return str(value.year)
    text = repr(value).removesuffix(".0") if isinstance(value, int | float) else str(value).strip()
    return "" if value is None or text in MISSING else text


def first_sheet(path: Path) -> list[tuple[object, ...]]:
    """Cells of the first sheet, row by row."""
    try:
        openpyxl = importlib.import_module("openpyxl")
    except ModuleNotFoundError:
        message = f"openpyxl is needed to read Excel files: pip install openpyxl, then {RERUN}"
        raise PrepareError(message) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError):
        message = f"{path} is no Excel file: get {path.name} again from {SOURCE}, then {RERUN}"
        raise PrepareError(message) from None
    return list(book.worksheets[0].iter_rows(values_only=True))


def read(path: Path) -> list[Row]:
    """Rows of the first sheet as text, after a check that they are the published ones."""
    header, *body = first_sheet(path)
    names = [str(cell) for cell in header]
    absent = {*ARMS.values(), *COPIED.values(), *ROB, *READ} - set(names)
    if absent:
        found = f"{path} lacks the columns {', '.join(sorted(absent))}"
        raise PrepareError(f"{found}: get {path.name} again from {SOURCE}, then {RERUN}")
    if len(body) != ROWS:
        found = f"{path} has {len(body)} rows, the published file {ROWS}"
        raise PrepareError(f"{found}: get {path.name} again from {SOURCE}, then {RERUN}")
    return [dict(zip(names, map(as_text, cells), strict=True)) for cells in body]


def level(raw: Row, column: str, names: dict[str, str]) -> str:
    """Our name of a published level; a level that is not known is an error."""
    if raw[column] not in names:
        where = f"line {raw['line']}: {column} is {raw[column]!r}"
        raise PrepareError(f"{where}, known levels are {', '.join(names)}")
    return names[raw[column]]


def control_groups(rows: list[Row]) -> list[str]:
    """A label per row, shared by the rows that share a control group.

    One group has one mean, SD and size within a publication, and n_comparisons says how many rows
    share it. Where the count differs, the group was read off its figure once per row, each time
    a little differently: those rows are taken n_comparisons at a time, in their order.
    """
    keys = [(r["id"], r["ctr_mean"], r["ctr_sd"], r["ctr_n_round"]) for r in rows]
    counts = Counter(keys)
    seen: Counter[tuple[str, str]] = Counter()
    for i, row in enumerate(rows):
        if counts[keys[i]] != int(row["n_comparisons"]):
            place = (row["id"], row["n_comparisons"])
            number = seen[place] // int(row["n_comparisons"])
            keys[i] = (*place, "read more than once", str(number))
            seen[place] += 1
    numbers: dict[tuple[str, ...], int] = {}
    for key in keys:
        numbers.setdefault(key, 1 + sum(other[0] == key[0] for other in numbers))
    return [f"study_{key[0]}_control_{numbers[key]}" for key in keys]


def regimen(raw: Row) -> str:
    """Whether treatment took one day or more; empty when that is not published."""
    days = raw["treatment_duration"]
    return "" if not days else "single" if float(days) == 1 else "repeated"


def setting(raw: Row) -> Row:
    """Who was treated, with what, and how."""
    route, unit = raw["treatment_via"], raw["dose_unit"]
    return {
        "drug": DRUGS.get(raw["atd_type"], raw["atd_type"]),
        "drug_class": CLASSES.get(raw["atd_class"], raw["atd_class"]),
        "regimen": regimen(raw),
        "species": level(raw, "species", SPECIES),
        "route": ROUTES.get(route, route),
        "strain": raw["strain"],
        "sex": level(raw, "sex", SEXES),
        "dose": raw["dose"],
        "dose_unit": DOSE_UNITS.get(unit, unit),
        "duration": raw["treatment_duration"],
    }


def clock(raw: Row) -> Row:
    """When the effect was measured: days since the last dose, empty when unknown."""
    hours = raw["last_bf_outcome"]
    ingested = raw["dose_unit"] in INGESTED or raw["treatment_via"] == DIET
    return {
        "delay": as_text(float(hours) / HOURS_PER_DAY) if hours else "",
        "delay_reference": "last dose",
        "exposure": "" if ingested else "off",
    }


def hedges_g(raw: Row) -> tuple[float, float]:
    """Control minus treated in pooled SDs, with its large-sample variance, at the split n."""
    n1, n2 = int(raw["ctr_n_corr"]), int(raw["atd_n_round"])
    m = n1 + n2 - 2
    squares = (n1 - 1) * float(raw["ctr_sd"]) ** 2 + (n2 - 1) * float(raw["atd_sd"]) ** 2
    j = math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2)) / math.sqrt(m / 2)
    g = j * (float(raw["ctr_mean"]) - float(raw["atd_mean"])) / math.sqrt(squares / m)
    return g, 1 / n1 + 1 / n2 + g**2 / (2 * (n1 + n2))


def outcome(raw: Row, split: bool) -> Row:
    """The arms with true group sizes, or the effect as the authors computed it."""
    if split:
        return dict(zip(("y", "v"), map(repr, hedges_g(raw)), strict=True))
    return {**{ours: raw[theirs] for ours, theirs in ARMS.items()}, "direction": "-1"}


def tidy(raw: Row, control: str, split: bool) -> Row:
    """One tidy row."""
    return {
        "row_id": f"line_{raw['line']}",
        "study": f"study_{raw['id']}",
        **outcome(raw, split),
        **setting(raw),
        **clock(raw),
        "control_group": control,
        **{ours: raw[theirs] for ours, theirs in COPIED.items()},
        "positive_control": "yes" if raw["positive_control"] == "1" else "no",
        "label": f"{raw['first_author']} {raw['year']}",
        "year": raw["year"],
        **{name: raw[name].lower() for name in ROB},
    }


def render(rows: list[Row]) -> str:
    """Rows as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def tables(raw: Path) -> dict[str, str]:
    """Text of each tidy table by file name."""
    if not (raw / PUBLISHED).is_file():
        raise PrepareError(f"{raw} lacks {PUBLISHED}: get it from {SOURCE}, then {RERUN}")
    rows = read(raw / PUBLISHED)
    controls = control_groups(rows)
    return {
        f"{name}.csv": render([tidy(r, c, split) for r, c in zip(rows, controls, strict=True)])
        for name, split in (("true_n", False), ("as_published", True))
    }


def write(folder: Path, texts: dict[str, str]) -> None:
    """Write every table beside its place first, then move all of them into place."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = {folder / name: folder / f"{name}.tmp" for name in texts}
    try:
        for path, beside in temporary.items():
            beside.write_bytes(texts[path.name].encode())
        for path, beside in temporary.items():
            beside.replace(path)
    finally:
        for beside in temporary.values():
            beside.unlink(missing_ok=True)


def main() -> int:
    """Write the tidy tables; exit status 2 and one message on bad input."""
    parser = argparse.ArgumentParser(description="Make the fst tables.")
    parser.add_argument("raw", type=Path, help="folder with the published Excel file")
    parser.add_argument("out", type=Path, help="folder for your data sets")
    arguments = parser.parse_args()
    try:
        texts = tables(arguments.raw)
        write(arguments.out / "fst", texts)
    except (PrepareError, OSError) as fault:
        print(fault, file=sys.stderr)
        return 2
    for name, text in texts.items():
        print(f"{arguments.out / 'fst' / name}: {text.count(chr(10)) - 1} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
