"""Rewrite evidence.csv and effects.csv from the transcription in raw/."""

import argparse
import csv
import io
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
UNITS_PER_DAY = {"min": 1440, "h": 24, "d": 1, "wk": 1 / 7}

# Quantities that are themselves times: the transcription repeats them as the time of measurement.
TIME_QUANTITIES = ("half-life", "duration of analgesia", "persistence of effect")
UNIT_REMARKS = ("ng/ml", "%", "mg/h/70 kg")

# What each schedule is called here: one session on one day, sessions on several days, or one
# infusion that runs for days. "mixed" and a bare "i.v. infusion" of a review stay empty.
REGIMENS = {
    "4.2-day i.v. infusion": "infusion",
    "100-h i.v. infusion": "infusion",
    "5-day continuous infusion 10-40 mg/h, open label": "infusion",
    "2-h i.v.": "single",
    "seven 5-min infusions at 20-min intervals": "single",
    "single infusion 0.5 mg/kg, crossover": "single",
    "30-min infusion 0.5 mg/kg": "single",
    "single epidural 0.2 mg/kg + gabapentin": "single",
    "80 mg over 5 h daily for 7 days + gabapentin": "repeated",
    "4 h/day for 10 days, max 0.35 mg/kg/h": "repeated",
}
DRUGS = {"S(+)-ketamine": "S-ketamine", "esketamine": "S-ketamine", "racemic ketamine": "ketamine"}
# The transcription's name for the review texts it was read from, besides abstracts.
READER_WORDS = (("seed text", "review text"), ("seed 001", "Hana 2018"))

# Rows that can stand as human evidence beside a translation from animals: half-lives, and effects
# that are one number each. What is averaged from the start of the follow-up on has a start.
HALF_LIVES = ("H06", "H12", "H16")
PAIN_SCORES = tuple(f"H{number}" for number in range(17, 30))
EFFECT_SIZES = ("H30",)
STARTS = {"H30": "0"}

Row = dict[str, str]


def number(value: float) -> str:
    """Shortest text that reads back as the same number."""
    return repr(value).removesuffix(".0")


def plain_number(cell: str) -> str:
    """Cell as a number, or empty where it holds a comparison, a range or a list."""
    try:
        return number(float(cell))
    except ValueError:
        return ""


def is_time(raw: Row) -> bool:
    """Whether the quantity is itself a length of time."""
    return any(name in raw["quantity"] for name in TIME_QUANTITIES)


def value_unit(raw: Row) -> str:
    """Unit of the value where the transcription names one."""
    if is_time(raw):
        return raw["time_unit"]
    return next((unit for unit in UNIT_REMARKS if raw["direction_note"].startswith(unit)), "")


def time_of_measurement(raw: Row) -> Row:
    """When the value was measured, in days and as printed; empty where the value is a time."""
    if is_time(raw) or not raw["time_unit"]:
        return {"time": "", "time_as_printed": ""}
    unit, _, remark = raw["time_unit"].partition(" ")
    value = plain_number(raw["time_value"])
    # "h (midpoint of printed window 1-3 h)": the window is printed, the midpoint is not.
    window = remark.removesuffix(")").partition("window ")[2]
    return {
        "time": number(float(value) / UNITS_PER_DAY[unit]) if value else "",
        "time_as_printed": window or f"{value} {unit}",
    }


def group_sizes(raw: Row) -> Row:
    """People per arm, or in all where only that is printed."""
    total = raw["n_ketamine"].endswith(" total")
    control = plain_number(raw["n_control"])
    return {
        "n_treated": "" if total else raw["n_ketamine"],
        # The transcription writes 0 where there was no control arm.
        "n_control": "" if control == "0" else control,
        "n_total": raw["n_ketamine"].removesuffix(" total") if total else "",
    }


def in_readers_words(text: str) -> str:
    """Text with the sources named as a reader of the published work knows them."""
    for ours, readers in READER_WORDS:
        text = text.replace(ours, readers)
    return text


def treatment(raw: Row) -> Row:
    """Who was treated, with what, and how."""
    return {
        "population": raw["population"],
        "regimen_as_printed": raw["regimen"],
        "regimen": REGIMENS.get(raw["regimen"], ""),
        "drug": DRUGS.get(raw["drug"], raw["drug"]),
        "drug_as_printed": raw["drug"],
    }


def finding(raw: Row) -> Row:
    """What was found, with its uncertainty."""
    return {
        "comparison": raw["comparison"],
        "quantity": raw["quantity"],
        "value": plain_number(raw["value"]),
        "value_unit": value_unit(raw),
        "value_as_printed": raw["value"],
        "uncertainty": raw["uncertainty"],
        "uncertainty_type": raw["uncertainty_type"],
        "ci_low": raw["ci_low"],
        "ci_high": raw["ci_high"],
    }


def tidy(raw: Row) -> Row:
    """One tidy row."""
    return {
        "row_id": f"H{int(raw['id']):02d}",
        "study": raw["study"],
        **treatment(raw),
        **finding(raw),
        **group_sizes(raw),
        **time_of_measurement(raw),
        "time_reference": raw["time_reference"],
        "status": raw["status"],
        "note": in_readers_words(raw["direction_note"]),
        "read_from": in_readers_words(raw["read_from"]),
    }


def effect(row: Row) -> Row:
    """One tidy row as human evidence."""
    name = row["row_id"]
    half_life = name in HALF_LIVES
    unit = "SMD" if name in EFFECT_SIZES else "pain 0-10"
    return {
        "row_id": name,
        "study": row["study"],
        "population": row["population"],
        "drug": row["drug"],
        "quantity": "half_life" if half_life else "effect",
        "regimen": row["regimen"],
        "start": STARTS.get(name, ""),
        "delay": row["time"],
        "y": row["value"],
        "se": row["uncertainty"] if row["uncertainty_type"].startswith("SE") else "",
        "ci_low": row["ci_low"],
        "ci_high": row["ci_high"],
        "unit": row["value_unit"] if half_life else unit,
        # Pain: lower is better.
        "direction": "" if half_life else "-1",
        "time_reference": row["time_reference"],
        "status": row["status"],
    }


def without_dittos(rows: list[Row]) -> list[Row]:
    """Rows with "as above" replaced by the regimen it stands for."""
    filled = rows[:1]
    for row in rows[1:]:
        ditto = row["regimen"] == "as above"
        filled.append({**row, "regimen": filled[-1]["regimen"]} if ditto else row)
    return filled


def read(path: Path) -> list[Row]:
    """Rows of a CSV file as text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def render(rows: list[Row]) -> str:
    """Rows as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write(path: Path, text: str) -> None:
    """Replace the file in one step."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(text.encode())
    temporary.replace(path)


def main() -> int:
    """Write the tidy tables, or compare them with the committed ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if a committed file differs")
    check = parser.parse_args().check
    rows = [tidy(row) for row in without_dittos(read(HERE / "raw" / "evidence.csv"))]
    chosen = (*HALF_LIVES, *PAIN_SCORES, *EFFECT_SIZES)
    effects = [effect(row) for row in rows if row["row_id"] in chosen]
    differing = 0
    for name, table in (("evidence.csv", rows), ("effects.csv", effects)):
        path, text = HERE / name, render(table)
        if path.is_file() and path.read_bytes() == text.encode():
            continue
        differing += 1
        if check:
            print(f"{name} differs from what prepare.py makes of raw/", file=sys.stderr)
        else:
            write(path, text)
    return int(check and differing > 0)


if __name__ == "__main__":
    sys.exit(main())
