"""Make interaction.csv, preference.csv and all.csv from the published Excel files.

Usage: python data/nmda_social/prepare.py RAW OUT
RAW is the folder with the three published files; the tables go to OUT/nmda_social/.
"""

import argparse
import csv
import importlib
import io
import re
import sys
from pathlib import Path
from zipfile import BadZipFile

SOURCE = "https://doi.org/10.5281/zenodo.18284730 (repository SRMA-NMDA-social-behaviour)"
RERUN = "python data/nmda_social/prepare.py RAW OUT"

# Table: published file and its number of rows.
TABLES = {
    "interaction": ("meta_social_interaction.xlsx", 491),
    "preference": ("meta_social_preference.xlsx", 162),
    "all": ("nmda_social_behavior.xlsx", 1143),
}
MISSING = ("", "NA", "Unclear")
REGIMENS = {"Acute": "single", "Repeated": "repeated", "Continuous": "infusion"}
DIRECTIONS = {"Direct": "1", "Inverse": "-1"}
DRUGS = {"Phencyclidine": "phencyclidine", "MK-801": "MK-801", "Ketamine": "ketamine"}
ROUTES = {
    "Intraperitoneal": "i.p.",
    "Subcutaneous": "s.c.",
    "Intraperitoneal + Subcutaneous": "i.p. + s.c.",
}
DOSE_UNITS = {"mg/Kg": "mg/kg", "mg/kg/day": "mg/kg/d", "\u00b5M": "uM", "\u03bcM": "uM"}
MINUTES_PER_DAY = 1440

# Our column: published column, copied as it is or in lower case.
ARMS = {
    "mean_treated": "mean_exp",
    "sd_treated": "sd_exp",
    "n_treated": "n_exp",
    "mean_control": "mean_ctrl",
    "sd_control": "sd_ctrl",
    "n_control": "n_ctrl",
}
LOWERED = {
    "rob": "overall_rob",
    "developmental_stage": "developmental_stage_induction",
    "outcome_type": "outcome_type",
    "behavior_domain": "behavior_domain",
    "behavior_measure": "behavior_measure",
}
COPIED = {
    "outcome": "outcome_name",
    "outcome_id": "outcome_id",
    "hierarchy_level": "hierarchy_level",
    "year": "year_publication",
    "label": "study_label",
    "control_group": "group_ctrl_name",
    "treated_group": "group_nmda_name",
    "dose_as_published": "nmda_dose",
    "delay_as_published": "nmda_interval_to_outcome",
    "frequency_as_published": "nmda_frequency",
}
# Published columns that a function below reads.
READ = {
    *("effect_id", "study_id", "exp_id", "effect_direction", "nmda_antagonist", "nmda_schedule"),
    *("nmda_administration_route", "species", "strain", "sex", "nmda_dose_mgkg_std"),
    *("nmda_duration_day_std", "nmda_interval_to_outcome_min_std"),
}

Row = dict[str, str]


class PrepareError(Exception):
    """A fault in what the script was given; its text is the whole message."""


def as_text(value: object) -> str:
    """Cell as the shortest text that reads back as the same value; no value where missing."""
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


def read(path: Path, rows_published: int) -> list[Row]:
    """Rows of the first sheet as text, after a check that they are the published ones."""
    header, *body = first_sheet(path)
    names = [str(cell) for cell in header]
    absent = {*ARMS.values(), *LOWERED.values(), *COPIED.values(), *READ} - set(names)
    if absent:
        found = f"{path} lacks the columns {', '.join(sorted(absent))}"
        raise PrepareError(f"{found}: get {path.name} again from {SOURCE}, then {RERUN}")
    if len(body) != rows_published:
        found = f"{path} has {len(body)} rows, the published file {rows_published}"
        raise PrepareError(f"{found}: get {path.name} again from {SOURCE}, then {RERUN}")
    return [dict(zip(names, map(as_text, cells), strict=True)) for cells in body]


def level(raw: Row, column: str, names: dict[str, str]) -> str:
    """Our name of a published level; a level that is not known is an error."""
    if raw[column] not in names:
        known = ", ".join(names)
        where = f"effect_id {raw['effect_id']}: {column} is {raw[column]!r}"
        raise PrepareError(f"{where}, known levels are {known}")
    return names[raw[column]]


def dose(raw: Row) -> Row:
    """Dose with its unit as published; the authors' mg/kg where two doses are printed."""
    amount, unit = re.findall(r"^([\d.]*) *(.*)$", raw["nmda_dose"])[0]
    if "+" in unit:
        return {"dose": raw["nmda_dose_mgkg_std"], "dose_unit": "mg/kg"}
    value = as_text(float(amount)) if amount else ""
    return {"dose": value, "dose_unit": DOSE_UNITS.get(unit, unit)}


def duration(raw: Row) -> str:
    """Days on treatment; an acute administration is one day by definition."""
    return "1" if raw["nmda_schedule"] == "Acute" else raw["nmda_duration_day_std"]


def delay(raw: Row) -> str:
    """Days since the last dose or the end of the infusion; empty when unknown."""
    minutes = raw["nmda_interval_to_outcome_min_std"]
    if minutes in ("Immediately", "During test"):
        return "0"
    return as_text(float(minutes) / MINUTES_PER_DAY) if minutes else ""


def exposure(raw: Row) -> str:
    """Whether the drug was still being given at measurement; empty when that is not published."""
    interval = raw["nmda_interval_to_outcome_min_std"]
    if interval == "During test":
        return "on"
    # A pump or bath with an unclear interval may have been running or not.
    return "" if raw["nmda_schedule"] == "Continuous" and not interval else "off"


def setting(raw: Row) -> Row:
    """Who was treated, with what, and how."""
    route = raw["nmda_administration_route"]
    return {
        "drug": level(raw, "nmda_antagonist", DRUGS),
        "regimen": level(raw, "nmda_schedule", REGIMENS),
        "species": raw["species"].lower(),
        "route": ROUTES.get(route, route.lower()),
        "strain": raw["strain"].replace("\u2013", "-"),
        "sex": raw["sex"].lower(),
        **dose(raw),
        "duration": duration(raw),
    }


def clock(raw: Row) -> Row:
    """When the effect was measured, and whether the drug was still being given."""
    infusion = raw["nmda_schedule"] == "Continuous"
    return {
        "delay": delay(raw),
        "delay_reference": "end of infusion" if infusion else "last dose",
        "exposure": exposure(raw),
    }


def tidy(raw: Row) -> Row:
    """One tidy row."""
    return {
        "row_id": f"effect_{raw['effect_id']}",
        "study": raw["study_id"],
        "experiment": raw["exp_id"],
        **{ours: raw[theirs] for ours, theirs in ARMS.items()},
        "direction": level(raw, "effect_direction", DIRECTIONS),
        **setting(raw),
        **clock(raw),
        **{ours: raw[theirs].lower() for ours, theirs in LOWERED.items()},
        **{ours: raw[theirs] for ours, theirs in COPIED.items()},
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
    absent = ", ".join(file for file, _ in TABLES.values() if not (raw / file).is_file())
    if absent:
        raise PrepareError(f"{raw} lacks {absent}: get it from {SOURCE}, then {RERUN}")
    return {
        f"{name}.csv": render([tidy(row) for row in read(raw / file, rows)])
        for name, (file, rows) in TABLES.items()
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
    parser = argparse.ArgumentParser(description="Make the nmda_social tables.")
    parser.add_argument("raw", type=Path, help="folder with the published Excel files")
    parser.add_argument("out", type=Path, help="folder for your data sets")
    arguments = parser.parse_args()
    try:
        texts = tables(arguments.raw)
        write(arguments.out / "nmda_social", texts)
    except (PrepareError, OSError) as fault:
        print(fault, file=sys.stderr)
        return 2
    for name, text in texts.items():
        print(f"{arguments.out / 'nmda_social' / name}: {text.count(chr(10)) - 1} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
