"""Rewrite comparisons.csv and pooled.csv from the transcriptions in raw/."""

import argparse
import csv
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
UNITS_PER_DAY = {"min": 1440, "h": 24, "d": 1}

# Two comparisons of one paper, which the transcription gives a study name each.
ONE_PAPER = {"Mao1993single": "Mao1993", "Mao1993chronic": "Mao1993"}

# Columns of the transcription that pass unchanged.
KEPT = (
    *("flag", "citation", "year", "control"),
    *("dose_as_printed", "dosing_as_printed", "delay_as_printed"),
)

Row = dict[str, str]


@dataclass(frozen=True)
class Group:
    """One pooled result: its key in raw/pooled.csv and the comparisons it averages."""

    row_id: str
    subgroup: str
    level: str
    keeps: Callable[[Row], bool]

    @property
    def analysis(self) -> str:
        """Meta-analysis the result belongs to, MA1 to MA4."""
        return self.row_id.split("_")[0]

    def members(self, comparisons: list[Row]) -> list[str]:
        """Row ids of the comparisons in this group."""
        same = (row for row in comparisons if row["analysis"] == self.analysis)
        return [row["row_id"] for row in same if self.keeps(row)]


def everything(_: Row) -> bool:
    """Keep every comparison of the meta-analysis."""
    return True


def where(column: str, value: str) -> Callable[[Row], bool]:
    """Rule that keeps the comparisons with this value in this column."""
    return lambda row: row[column] == value


def without_fang(row: Row) -> bool:
    """Leave out the outlier that the paper leaves out of its second meta-analysis."""
    return row["study"] != "Fang2018"


def without_fang_at_72_h(row: Row) -> bool:
    """Keep measurements at three days, the outlier left out."""
    return row["delay"] == "3" and without_fang(row)


def systemic(low: float, high: float) -> Callable[[Row], bool]:
    """Rule for a systemic dose in mg/kg, rounded to whole mg/kg, from low to high."""

    # The printed n = 7 for 5-25 mg/kg is reached only when 4.64 mg/kg counts as 5.
    def keeps(row: Row) -> bool:
        per_kg = row["route"] != "i.t." and row["dose_unit"] == "mg/kg"
        return per_kg and low <= round(float(row["dose"])) <= high

    return keeps


def intrathecal_100_to_200_ug(row: Row) -> bool:
    """Keep absolute intrathecal doses of 100 to 200 ug; a dose per kg is not one of them."""
    absolute = row["route"] == "i.t." and row["dose_unit"] == "ug"
    return absolute and 100 <= float(row["dose"]) <= 200


GROUPS = (
    Group("MA1", "all", "overall", everything),
    Group("MA1_rat", "species", "rat", where("species", "rat")),
    Group("MA1_mouse", "species", "mouse", where("species", "mouse")),
    Group("MA1_ip", "route", "i.p.", where("route", "i.p.")),
    Group("MA1_it", "route", "i.t.", where("route", "i.t.")),
    Group("MA1_systemic_5_25", "dose", "systemic 5-25 mg/kg", systemic(5, 25)),
    Group("MA1_systemic_50", "dose", "systemic 50 mg/kg", systemic(50, 50)),
    Group("MA1_it_100_200", "dose", "i.t. 100-200 ug", intrathecal_100_to_200_ug),
    Group("MA1_mechanical", "assay", "mechanical", where("assay", "mechanical")),
    Group("MA2", "all", "overall", everything),
    Group("MA2_without_fang", "all", "overall excl. Fang", without_fang),
    Group("MA2_24h", "delay", "24 h", where("delay", "1")),
    Group("MA2_72h_without_fang", "delay", "72 h excl. Fang", without_fang_at_72_h),
    Group("MA3", "all", "overall", everything),
    Group("MA3_rat", "species", "rat", where("species", "rat")),
    Group("MA4", "all", "overall", everything),
    Group("MA4_rat", "species", "rat", where("species", "rat")),
)


def number(value: float) -> str:
    """Shortest text that reads back as the same number."""
    return repr(value).removesuffix(".0")


def plain_number(cell: str) -> str:
    """Cell as a number, or empty where the transcription holds a remark instead."""
    try:
        return number(float(cell))
    except ValueError:
        return ""


def days_of_treatment(raw: Row) -> str:
    """Days on treatment; a single dose is one day by definition."""
    return "1" if raw["regimen"] == "single" else plain_number(raw["treatment_days"])


def delay_in_days(raw: Row) -> str:
    """Measurement delay of Table 1 in days."""
    return number(float(raw["delay_value"]) / UNITS_PER_DAY[raw["delay_unit"]])


def setting(raw: Row) -> Row:
    """Who was treated, with what, and how."""
    return {
        "drug": raw["drug"].replace("Ketamine", "ketamine"),
        "regimen": raw["regimen"],
        "species": raw["species"],
        "route": "oral" if raw["route"] == "gavage" else raw["route"],
        "strain": raw["strain_as_printed"].split(" (sic")[0],
        "sex": raw["sex"],
        "dose": number(float(raw["dose_value"])),
        "dose_unit": raw["dose_unit"],
        "duration": days_of_treatment(raw),
    }


def clock(raw: Row) -> Row:
    """When the effect was measured, and whether the drug was still being given."""
    return {
        "delay": delay_in_days(raw),
        "delay_reference": "end of infusion" if raw["regimen"] == "infusion" else "last dose",
        # The third meta-analysis is by definition the one measured within the treatment period.
        "exposure": "on" if raw["analysis"] == "MA3" else "off",
    }


def comparison(raw: Row) -> Row:
    """One tidy row of Table 1."""
    return {
        "row_id": f"{raw['comparison_id']}_{raw['analysis']}",
        "study": ONE_PAPER.get(raw["study_id"], raw["study_id"]),
        "experiment": raw["comparison_id"],
        **setting(raw),
        **clock(raw),
        "analysis": raw["analysis"],
        "enantiomer": raw["enantiomer"],
        "n_doses": plain_number(raw["n_doses"]),
        "pain_model": raw["pain_model_as_printed"],
        "assay": raw["assay_class"],
        **{name: raw[name] for name in KEPT},
    }


def note(raw: Row, k: int, k_printed: str) -> str:
    """Remark of the transcription, headed by the count of members where it is not the printed k."""
    differs = f"members holds {k} comparisons by Table 1, the text prints {k_printed}"
    return "; ".join(filter(None, ["" if str(k) == k_printed else differs, raw["note"]]))


def pooled_row(group: Group, raw: Row, comparisons: list[Row]) -> Row:
    """One printed pooled result with the comparisons behind it."""
    members = group.members(comparisons)
    k_printed = raw["k"].split(" ")[0]
    return {
        "row_id": group.row_id,
        "study": group.row_id,
        "y": raw["g"],
        "se": raw["se"],
        "ci_low": raw["ci_low"],
        "ci_high": raw["ci_high"],
        "k": str(len(members)),
        "k_as_printed": k_printed,
        "i2": raw["I2_pct"],
        "members": ";".join(members),
        "analysis": raw["analysis"],
        "subgroup": raw["subgroup"],
        "level": raw["level"],
        "p_as_printed": raw["p_as_printed"],
        "section": raw["source_section"],
        "note": note(raw, len(members), k_printed),
    }


def pooled(raw: list[Row], comparisons: list[Row]) -> list[Row]:
    """Every printed result that has an estimate and an interval."""
    printed = {(row["analysis"], row["subgroup"], row["level"]): row for row in raw}
    keys = [(group.analysis, group.subgroup, group.level) for group in GROUPS]
    return [
        pooled_row(group, printed[key], comparisons)
        for group, key in zip(GROUPS, keys, strict=True)
    ]


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


def tables() -> dict[str, str]:
    """Text of each tidy table by file name."""
    comparisons = [comparison(row) for row in read(HERE / "raw" / "table1.csv")]
    results = pooled(read(HERE / "raw" / "pooled.csv"), comparisons)
    return {
        "comparisons.csv": render(comparisons),
        "pooled.csv": render(results),
    }


def is_current(path: Path, text: str) -> bool:
    """Whether the committed file holds exactly this text."""
    return path.is_file() and path.read_bytes() == text.encode()


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
    stale = {name: text for name, text in tables().items() if not is_current(HERE / name, text)}
    for name, text in stale.items():
        if check:
            print(f"{name} differs from what prepare.py makes of raw/", file=sys.stderr)
        else:
            write(HERE / name, text)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
