"""How well are standard errors found that pass for standard deviations?

Run ``BAYESMA_DATA=FOLDER python evidence/error_bars.py SHARED`` where SHARED is the folder with
fst_martins2025.csv and the SyRF export, and FOLDER holds the prepared nmda_social. It writes
error_bars.md beside itself. In two real tables of SDs a random part of the studies gets SEMs
instead; the share of these that is flagged, and of the others, is counted.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tables import section

import bayesma as bm
from bayesma.errorbars import FEWEST_PEERS, LARGE_D, LARGE_MEDIAN_D, LOG_ODDS

HERE = Path(__file__).parent
SEEDS = range(5)
PARTS = (0.1, 0.3, 0.7)
SMALL_REVIEW = 12  # studies, as in the SyRF export
SWEPT = (2.0, 3.0, 4.0, 5.0)  # thresholds of |d|
REVIEWS = 200
ARMS = ["mean_treated", "sd_treated", "n_treated", "mean_control", "sd_control", "n_control"]


def forced_swim(folder: Path) -> bm.StudyTable:
    """Return the antidepressant table with its own SDs and true group sizes."""
    raw = pd.read_csv(folder / "fst_martins2025.csv")
    frame = pd.DataFrame(
        {
            "row_id": raw["line"].astype(str),
            "study": raw["first_author"] + " " + raw["year"].str[:4] + " " + raw["id"].astype(str),
            "mean_treated": raw["atd_mean"],
            "sd_treated": raw["atd_sd"],
            "n_treated": raw["atd_n_round"],
            "mean_control": raw["ctr_mean"],
            "sd_control": raw["ctr_sd"],
            "n_control": raw["ctr_n_round"],
            "outcome": "immobility",
            "outcome_unit": raw["measure_unit"],
        }
    )
    return usable(frame)


def social() -> bm.StudyTable:
    """Return the social behaviour table; outcomes are comparable within measure and kind."""
    frame = bm.load_dataset("nmda_social", table="all").frame
    frame = frame.assign(outcome=frame["behavior_measure"] + " " + frame["outcome_type"])
    return usable(frame[["row_id", "study", *ARMS, "outcome"]])


def usable(frame: pd.DataFrame) -> bm.StudyTable:
    """Return the rows with whole arms as a table."""
    arms = frame[ARMS]
    whole = arms.notna().all(axis=1) & (arms[["sd_treated", "sd_control"]] > 0).all(axis=1)
    whole &= (arms[["n_treated", "n_control"]] >= 2).all(axis=1)
    whole &= (arms[["n_treated", "n_control"]] % 1 == 0).all(axis=1)
    return bm.read_table(frame[whole].reset_index(drop=True))


def planted(table: bm.StudyTable, part: float, seed: int) -> tuple[bm.StudyTable, pd.Series]:
    """Return the table with SEMs for SDs in a random part of its studies, and where."""
    frame = table.frame.copy()
    studies = frame["study"].unique()
    rng = np.random.default_rng(seed)
    chosen = rng.choice(studies, round(part * len(studies)), replace=False)
    where = frame["study"].isin(chosen)
    for arm in ("treated", "control"):
        frame.loc[where, f"sd_{arm}"] /= np.sqrt(frame.loc[where, f"n_{arm}"])
    return bm.read_table(frame), where


def counted(found: pd.DataFrame, threshold: float) -> pd.Series:
    """Return how many signals each comparison carries if |d| counts from this threshold."""
    beside = (found["beside_others"] > LOG_ODDS).astype(int) + (found["beside_own"] > LOG_ODDS)
    return beside + (found["d"] > threshold)


def sweep(tables: dict[str, bm.StudyTable]) -> pd.DataFrame:
    """Return what each threshold of |d| finds of planted SEMs, and what it says of small reviews.

    A small review is warned of if it holds a comparison with two signals, or if its median |d| is
    above the threshold of whole tables.
    """
    rows = []
    for name, table in tables.items():
        changed = [planted(table, 0.1, seed) for seed in SEEDS]
        wrong = [(bm.suspect_sem(one), where) for one, where in changed]
        drawn = [bm.suspect_sem(one) for one in small(table)]
        for threshold in SWEPT:
            signals = [(counted(found, threshold), where) for found, where in wrong]
            shares = {
                f"{what} {kind}": np.mean([(s[w == wrong_] >= least).mean() for s, w in signals])
                for kind, least in (("with any signal", 1), ("with two", 2))
                for what, wrong_ in (("found", True), ("false", False))
            }
            likely = np.array([(counted(found, threshold) > 1).any() for found in drawn])
            whole = np.array([median_study(found) > LARGE_MEDIAN_D for found in drawn])
            shares["reviews with likely rows"] = likely.mean()
            shares["reviews warned of"] = (likely | whole).mean()
            told = {key: f"{share:.0%}" for key, share in shares.items()}
            rows.append({"table": name, "rule": f"d > {threshold:g}"} | told)
    return pd.DataFrame(rows)


def small(table: bm.StudyTable) -> list[bm.StudyTable]:
    """Return random reviews of a few studies of a table as it is."""
    studies = table.frame["study"].unique()
    rng = np.random.default_rng(1)
    found = []
    for _ in range(REVIEWS):
        own = table.frame["study"].isin(rng.choice(studies, SMALL_REVIEW, replace=False))
        found.append(replace(table, frame=table.frame[own].reset_index(drop=True)))
    return found


def median_study(found: pd.DataFrame) -> float:
    """Return the median over studies of their median |d|."""
    return float(found.groupby("study")["d"].median().median())


def rules(found: pd.DataFrame) -> dict[str, pd.Series]:
    """Return which comparisons each signal flags."""
    return {
        f"d > {LARGE_D:g}": found["d"] > LARGE_D,
        f"beside others > {LOG_ODDS:g}": found["beside_others"] > LOG_ODDS,
        f"beside own > {LOG_ODDS:g}": found["beside_own"] > LOG_ODDS,
        "any signal (possible or likely)": found["verdict"] != "",
        "two signals (likely)": found["verdict"] == "likely",
    }


def calibration(tables: dict[str, bm.StudyTable]) -> pd.DataFrame:
    """Return sensitivity and false alarms by table, part planted and rule."""
    rows = []
    for name, table in tables.items():
        for part in (0.0, *PARTS):
            caught: dict[str, list[tuple[float, float]]] = {}
            for seed in SEEDS if part else [0]:
                changed, where = planted(table, part, seed)
                for rule, flagged in rules(bm.suspect_sem(changed)).items():
                    pair = (flagged[where].mean(), flagged[~where].mean())
                    caught.setdefault(rule, []).append(pair)
            for rule, pairs in caught.items():
                sensitivity, alarms = np.mean(pairs, axis=0)
                rows.append(
                    {
                        "table": name,
                        "studies with SEMs": f"{part:.0%}",
                        "rule": rule,
                        "found": "" if np.isnan(sensitivity) else f"{sensitivity:.0%}",
                        "false alarms": f"{alarms:.0%}",
                    }
                )
    return pd.DataFrame(rows)


def rowwise(tables: dict[str, bm.StudyTable]) -> pd.DataFrame:
    """Return the same where single comparisons, not whole studies, get SEMs."""
    rows = []
    for name, table in tables.items():
        caught: dict[str, list[tuple[float, float]]] = {}
        for seed in SEEDS:
            frame = table.frame.copy()
            where = pd.Series(np.random.default_rng(seed).random(len(frame)) < 0.1)
            for arm in ("treated", "control"):
                frame.loc[where, f"sd_{arm}"] /= np.sqrt(frame.loc[where, f"n_{arm}"])
            found = bm.suspect_sem(bm.read_table(frame))
            for rule, flagged in rules(found).items():
                known = found["beside_own"].notna()
                pair = (flagged[where & known].mean(), flagged[~where & known].mean())
                caught.setdefault(rule, []).append(pair)
        for rule, pairs in caught.items():
            sensitivity, alarms = np.mean(pairs, axis=0)
            rows.append([name, rule, f"{sensitivity:.0%}", f"{alarms:.0%}"])
    return pd.DataFrame(rows, columns=["table", "rule", "found", "false alarms"])


def small_reviews(tables: dict[str, bm.StudyTable]) -> pd.DataFrame:
    """Return how often the median |d| of a small review says that many SDs are SEMs."""
    rows = []
    for name, table in tables.items():
        for label, part in (("SDs", 0.0), ("half SEMs", 0.5), ("all SEMs", 1.0)):
            changed, _ = planted(table, part, 0)
            medians = bm.suspect_sem(changed).groupby("study")["d"].median()
            rng = np.random.default_rng(1)
            drawn = [rng.choice(medians, SMALL_REVIEW, replace=False) for _ in range(2000)]
            share = np.mean([np.median(sample) > LARGE_MEDIAN_D for sample in drawn])
            rows.append([name, label, f"{medians.median():.2f}", f"{share:.0%}"])
    return pd.DataFrame(
        rows, columns=["table", "its errors", "median study |d|", "small reviews that say so"]
    )


def export(folder: Path) -> tuple[str, pd.DataFrame]:
    """Return what is said of the real export, and its comparisons."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bm.SuspectDataWarning)
        table = bm.read_syrf(
            folder / "syrf_quantitative_export_example.csv",
            annotator="annotator 1",
            time_unit="h",
            across_experiments=True,
            controls={
                "Wang 2011": {"SNI/FST Immobility/Ket": "SNI/FST Immobility/Sal"},
                "Petryshen 2016": {
                    "FST/Ket 10": "FST/Sal (Ket 10)",
                    "FST/Ket 3": "FST/Sal (Ket 3)",
                },
            },
        )
    found = bm.suspect_sem(table)
    by_study = found.assign(flagged=found["verdict"] != "").groupby("study", sort=False)
    shown = by_study.agg(
        comparisons=("d", "size"),
        flagged=("flagged", "sum"),
        largest_d=("d", "max"),
        if_sem=("d_if_sem", "max"),
        smallest_cv=("cv", "min"),
    )
    flagged = int((found["verdict"] != "").sum())
    wang = found[found["study"] == "Wang 2011"].iloc[0]
    text = (
        f"\n{flagged} of {len(found)} comparisons, of {int((shown['flagged'] > 0).sum())} of "
        f"{len(shown)} studies, are flagged; "
        f"{int((found['verdict'] == 'likely').sum())} with two signals.\n\n"
        "All 48 errors of the export are labelled SD. One of them can be looked up: the abstract "
        "of Wang et al. 2011 (doi 10.1097/ALN.0b013e31822f16ae) prints, for the immobility of "
        "injured rats in the same test, 107.3 ± 14.6 s as mean ± SEM; the export has 106.42 with "
        "an error of 15.52 for its injured rats under saline, n = 11. As an SEM that is an SD of "
        f"{15.52 * 11**0.5:.1f}. So row 16, and row 17 beside it, are SEMs, unless the paper "
        "changed its error bars from one figure to the next: inferred, not proven. The "
        "comparison's signals: "
        f"{wang['signals'] or 'none'}; d would be {wang['d_if_sem']:.2f} if these are SEMs.\n\n"
        f"Its d of {wang['d']:.2f} stands against a threshold of {LARGE_D:g}, and its spread (a CV "
        f"of {wang['cv']:.2f}) has {int((found['cv'] < wang['cv']).sum())} smaller ones among the "
        f"export's {len(found)}: numbers alone do not tell it from an SD with any certainty. "
        "Counted against the single error that is inferred, "
        f"the other {flagged - 1} flags are false alarms; but nothing shows those errors to be SDs "
        f"either. The median study of the export has |d| = {median_study(found):.2f}, where "
        f"{LARGE_MEDIAN_D:g} brings the sentence on the whole table. They are to be looked up, not "
        "corrected.\n"
    )
    return text, shown


def costs(table: pd.DataFrame) -> str:
    """Say in numbers what one signal and two find, and at what price."""
    said = []
    for rule, words in (("two signals (likely)", "two signals"), ("any signal", "any signal")):
        rows = table[table["rule"].str.startswith(rule)]
        some = rows[rows["studies with SEMs"].isin(["10%", "30%"])]
        none = rows[rows["studies with SEMs"] == "0%"]
        said.append(
            f"{words} find {span(some['found'])} of the wrong comparisons where a tenth or three "
            f"tenths of the studies are wrong, and flag {span(some['false alarms'])} of the right "
            f"ones ({span(none['false alarms'])} of the tables as they are)"
        )
    return "; ".join(said).replace("any signal find ", "any signal would find ") + "."


def warned(swept: pd.DataFrame) -> str:
    """Return the share of small reviews warned of at the threshold in use, as a span."""
    return span(swept.loc[swept["rule"] == f"d > {LARGE_D:g}", "reviews warned of"])


def span(shares: pd.Series) -> str:
    """Return the smallest and the largest of shares as printed."""
    values = shares.str.rstrip("%").astype(int)
    low, high = values.min(), values.max()
    return f"{low}%" if low == high else f"{low} to {high}%"


def main() -> None:
    """Plant, count, write."""
    folder = Path(sys.argv[1])
    tables = {"forced swim test": forced_swim(folder), "social behaviour": social()}
    sizes = "; ".join(
        f"{name}: {len(table)} comparisons, {table.frame['study'].nunique()} studies"
        for name, table in tables.items()
    )
    said, shown = export(folder)
    planted_in_studies = calibration(tables)
    swept = sweep(tables)
    text = [
        "# Standard errors that pass for standard deviations: made by evidence/error_bars.py\n\n",
        "Data: Martins et al. 2025 (MIT) and Gallas-Lopes et al. 2026, doi "
        f"10.5281/zenodo.18284730 (CC BY 4.0). {sizes}.\n\n",
        "A random part of the studies gets SEMs for SDs (five seeds). `found` is the share of "
        "their comparisons that is flagged, `false alarms` that of all others. The tables' own "
        "SDs are taken as true; some are surely SEMs themselves, so the false alarms are an upper "
        f"bound. A study is compared with others where there are at least {FEWEST_PEERS}.\n",
        section("SEMs planted by study", planted_in_studies, index=False),
        f"\nWhat this costs: {costs(planted_in_studies)} Where most errors of a table are SEMs, "
        "its studies cannot convict each other: the comparison with others fails, and only the "
        "size of the effects is left.\n",
        section(
            f"Thresholds of |d| (SEMs in a tenth of the studies; {REVIEWS} random reviews of "
            f"{SMALL_REVIEW} studies of each table as it is)",
            swept,
            index=False,
        ),
        f"\nThe threshold is {LARGE_D:g}. The single SEM of the SyRF export that is inferred, "
        "below, lies just above it: the choice was made with that one in sight, and the table "
        "above, not that one, says what it costs. `reviews warned of` is the share of small "
        "reviews whose errors are all taken for SDs and that would be warned of all the same: at "
        f"this threshold {warned(swept)}. A review has dozens of comparisons, so that one in "
        "twelve is several: that a warning comes says little, which rows it names says where to "
        "look. Only the sentence on the whole table, further down, is rare among true SDs. Single "
        "signals are notes and warn of nothing.\n",
        section(
            "SEMs planted in single comparisons (one in ten; studies with several)",
            rowwise(tables),
            index=False,
        ),
        section(
            f"Reviews of {SMALL_REVIEW} studies drawn from them: median |d| > {LARGE_MEDIAN_D:g}",
            small_reviews(tables),
            index=False,
        ),
        "\n## The SyRF export\n",
        said,
        section("Its studies", shown),
    ]
    (HERE / "error_bars.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
