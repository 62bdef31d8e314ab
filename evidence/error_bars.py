"""How well are standard errors found that pass for standard deviations?

Run ``BAYESMA_DATA=FOLDER python evidence/error_bars.py SHARED`` where SHARED is the folder with
fst_martins2025.csv and the SyRF export, and FOLDER holds the prepared nmda_social. It writes
error_bars.md beside itself. In two real tables of SDs a random part of the studies gets SEMs
instead; the share of these that is flagged, and of the others, is counted.
"""

from __future__ import annotations

import sys
import warnings
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
        "51.5. So row 16, and row 17 beside it, are SEMs, unless the paper changed its error bars "
        "from one figure to the next. The comparison is flagged by one "
        f"signal: d = {wang['d']:.2f}, {wang['d_if_sem']:.2f} if these are SEMs.\n\n"
        "That one is just above its threshold, and its spread (a CV of "
        f"{wang['cv']:.2f}) is not small beside the export's other studies: numbers alone do not "
        "tell it from an SD with any certainty. Counted against the single error that is proven, "
        f"the other {flagged - 1} flags are false alarms; but nothing proves those errors SDs "
        "either, and the export as a whole is flagged: its median study has |d| = "
        f"{found.groupby('study')['d'].median().median():.2f}. They are to be looked up, not "
        "corrected.\n"
    )
    return text, shown


def main() -> None:
    """Plant, count, write."""
    folder = Path(sys.argv[1])
    tables = {"forced swim test": forced_swim(folder), "social behaviour": social()}
    sizes = "; ".join(
        f"{name}: {len(table)} comparisons, {table.frame['study'].nunique()} studies"
        for name, table in tables.items()
    )
    said, shown = export(folder)
    text = [
        "# Standard errors that pass for standard deviations: made by evidence/error_bars.py\n\n",
        "Data: Martins et al. 2025 (MIT) and Gallas-Lopes et al. 2026, doi "
        f"10.5281/zenodo.18284730 (CC BY 4.0). {sizes}.\n\n",
        "A random part of the studies gets SEMs for SDs (five seeds). `found` is the share of "
        "their comparisons that is flagged, `false alarms` that of all others. The tables' own "
        "SDs are taken as true; some are surely SEMs themselves, so the false alarms are an upper "
        f"bound. A study is compared with others where there are at least {FEWEST_PEERS}.\n",
        section("SEMs planted by study", calibration(tables), index=False),
        "\nWhat this costs: two signals are chosen for few false alarms (2 to 6% where some "
        "studies are wrong, up to 9% in the tables as they are) and find 14 to 34% of the wrong "
        "comparisons; one signal finds about 70% at the cost of a quarter of the right ones. "
        "d > 3 is as low as it is because the one proven SEM of the SyRF export, below, would "
        "pass a higher threshold. Where most errors of a table are SEMs, its studies cannot "
        "convict each other: the comparison with others fails, and only the size of the effects "
        "is left.\n",
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
