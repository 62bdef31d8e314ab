"""What van Velzen et al. 2021 print, recomputed: results, P values, and counts against Table 1.

Run ``python evidence/van_velzen_2021.py``. It writes van_velzen_2021.md beside itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from ketamine_pain import subgroups
from tables import section

import bayesma as bm
from bayesma.catalogue import root
from bayesma.effects import split_members
from bayesma.maths import NumPyMaths
from bayesma.mean import VARIABLES, effect_mean

HERE = Path(__file__).parent
FOLDER = root("data") / "van_velzen_2021"
SEED = 1

# Groups that were compared, and the P value printed for them.
BETWEEN = {
    "MA1, species": (["MA1_rat", "MA1_mouse"], "0.3"),
    "MA1, route": (["MA1_ip", "MA1_it"], "0.26"),
    "MA1, dose": (["MA1_systemic_5_25", "MA1_systemic_50", "MA1_it_100_200"], "0.55"),
    "MA3 against MA4": (["MA3", "MA4"], "0.00"),
}
# Not to be had from the two tables: they rest on abstracts, on spelling, or on the reference list.
BY_HAND = (7, 13, 14, 18, 20, 21)


def printed() -> pd.DataFrame:
    """Return the printed results, digits kept."""
    return pd.read_csv(FOLDER / "pooled.csv", dtype=str)


def comparisons() -> pd.DataFrame:
    """Return Table 1, a row a comparison and time."""
    return pd.read_csv(FOLDER / "comparisons.csv")


def results(table: pd.DataFrame) -> pd.DataFrame:
    """Return every printed result with its interval and P value recomputed."""
    found = bm.recompute_results(table)
    return pd.DataFrame(
        {
            "result": found["row_id"],
            "g (SE) printed": table["y"] + " (" + table["se"] + ")",
            "CI printed": table["ci_low"] + " to " + table["ci_high"],
            "CI from g and SE": [
                f"{low:.2f} to {high:.2f}"
                for low, high in zip(found["ci_low_again"], found["ci_high_again"], strict=True)
            ],
            "SE from CI": found["se_from_ci"],
            "CI": found["ci_verdict"],
            "z": found["z"],
            "P printed": found["p_as_printed"],
            "P": found["p"],
            "P possible": [
                f"{low:.2g} to {high:.2g}"
                for low, high in zip(found["p_least"], found["p_most"], strict=True)
            ],
            "P verdict": found["p_verdict"],
        }
    )


def between(table: pd.DataFrame) -> pd.DataFrame:
    """Return the tests between groups, recomputed from what is printed of the groups."""
    named, rows = table.set_index("row_id", drop=False), []
    for words, (groups, text) in BETWEEN.items():
        found = bm.recompute_contrast(named.loc[groups], text)
        rows.append(
            {
                "groups": words,
                "P printed": text,
                "Q": found["q"],
                "df": found["df"],
                "P": found["p"],
                "P possible": f"{found['p_least']:.2g} to {found['p_most']:.2g}",
                "verdict": found["p_verdict"],
            }
        )
    return pd.DataFrame(rows)


def classical(fit: bm.ClassicalFit) -> list[float]:
    """Return the classical model mean over the comparisons of every printed result."""
    members = comparisons().set_index("row_id")
    members["regimen"] = members["regimen"].replace("infusion", "repeated")
    at = {name: fit.estimates[VARIABLES[name]] for name in fit.spec.predictors}
    means = []
    for names in printed()["members"]:
        points = fit.design.at(members.loc[split_members(names)].reset_index())
        mean = effect_mean(at, points, fit.spec.family, NumPyMaths())
        means.append(float(np.mean(mean)))
    return means


def models() -> pd.DataFrame:
    """Return every printed result beside the Bayesian and the classical mean of its members."""
    analysis = bm.load_analysis("ketamine_pain")
    table = subgroups(bm.fit(analysis, seed=SEED, progress=False))
    twin = bm.classical_fit(analysis.effects(), analysis.spec)
    return table.assign(classical=classical(twin))


# -- claims ----------------------------------------------------------------------------------------


# Number in INCONSISTENCIES.md, claim, what is printed, what is found, whether it holds.
Claim = tuple[str, str, str, str, bool]


def claims(rows: pd.DataFrame) -> Iterator[Claim]:
    """Yield every claim that Table 1 can be asked about."""
    yield from sizes_of(rows)
    yield from counts_of_ma1(rows[rows["analysis"] == "MA1"])
    yield from times_of(rows)
    yield from shares_of(rows)


def count(number: str, claim: str, said: int, found: int) -> Claim:
    """Return a claim of a number of rows."""
    return number, claim, str(said), str(found), said == found


def by_comparison(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row a comparison: Christoph, Humo, Kroin, Mei and Wang are in MA1 and in MA2."""
    key = rows["experiment"].replace({"Wang2011_50": "Wang2011_10"})
    return rows[~key.duplicated()]


def sizes_of(rows: pd.DataFrame) -> Iterator[Claim]:
    """Yield how many papers, comparisons and effects there are."""
    for name, said in {"MA1": 19, "MA2": 7, "MA3": 9, "MA4": 6}.items():
        yield count("", f"k of {name}", said, int((rows["analysis"] == name).sum()))
    for name, said in {"MA3": 6, "MA4": 5}.items():
        papers = rows.loc[rows["analysis"] == name, "study"].nunique()
        yield count("", f"{name}: papers", said, papers)
    single = rows["regimen"] == "single"
    yield count("", "papers in all", 31, rows["study"].nunique())
    yield count("", "papers with a single dose", 21, rows.loc[single, "study"].nunique())
    yield count("2", "comparisons in all", 35, len(by_comparison(rows)))
    yield count("2", "studies of chronic treatment", 15, rows.loc[~single, "study"].nunique())
    yield count("3", "continuous infusions", 1, int((rows["regimen"] == "infusion").sum()))


def counts_of_ma1(one: pd.DataFrame) -> Iterator[Claim]:
    """Yield what is counted within MA1."""

    def of(number: str, column: str, level: str, said: int) -> Claim:
        return count(number, f"MA1: {level}", said, int((one[column] == level).sum()))

    yield of("", "species", "rat", 15)
    yield of("", "species", "mouse", 4)
    yield of("", "route", "i.t.", 6)
    yield of("1", "route", "i.p.", 10)
    yield of("6", "pain_model", "CCI", 9)
    yield of("6", "pain_model", "SNL", 3)
    yield of("8", "assay", "mechanical", 18)
    yield count("8", "MA1: other assays", 3, int((one["assay"] != "mechanical").sum()))
    dose = one.loc[(one["dose_unit"] == "mg/kg") & (one["route"] != "i.t."), "dose"]
    yield count("11", "MA1: systemic 5 to 25 mg/kg", 7, int(dose.between(5, 25).sum()))
    yield count("11", "the same with Christoph's 4.64", 7, int(dose.between(4.6, 25).sum()))
    yield count("", "MA1: systemic 50 mg/kg", 5, int((dose == 50).sum()))


def times_of(rows: pd.DataFrame) -> Iterator[Claim]:
    """Yield delays and durations."""
    one, two, four = (rows[rows["analysis"] == name] for name in ("MA1", "MA2", "MA4"))
    yield count("", "MA2: at 24 h", 3, int((two["delay"] == 1).sum()))
    late = two[(two["delay"] == 3) & (two["study"] != "Fang2018")]
    yield count("", "MA2: at 72 h, without Fang", 3, len(late))
    chronic = rows.loc[rows["regimen"] != "single", "duration"]
    for number, claim, said, values in (
        ("4", "MA4: median delay, d", 24, four["delay"]),
        ("5", "median duration of chronic treatment, d", 6, chronic),
        ("5", "MA4: median duration, d", 7.5, four["duration"]),
    ):
        middle = float(values.median())
        yield number, claim, f"{said:g}", f"{middle:g}", middle == said
    ends = f"{four['delay'].min():g} to {four['delay'].max():g}"
    yield "4", "MA4: delays, d", "1 to 36", ends, ends == "1 to 36"
    hours = one["delay"] * 24
    found = f"{hours.mean():.2f} +- {hours.std():.2f}"
    holds = round(hours.mean()) == 1 and round(hours.std(), 1) == 0.7
    yield "12", "MA1: mean delay, h", "1 +- 0.7", found, holds
    # Relief 6.2 - 0.4 at the end of a 2 h infusion, 6.2 - 2.8 at 5 h (abstract of Sigtermans 2010).
    half = (5 - 2) * np.log(2) / np.log((6.2 - 0.4) / (6.2 - 2.8))
    yield "19", "half-life of relief in people, h", "2", f"{half:.1f}", round(half) == 2


def shares_of(rows: pd.DataFrame) -> Iterator[Claim]:
    """Yield shares, as printed to a percent."""
    papers, once = rows.drop_duplicates("study"), by_comparison(rows)
    male, rat = papers["sex"] == "male", papers["species"] == "rat"
    loss = [1 - low / high for low, high in ((1.35, 5.05), (1.25, 5.15))]
    holds = loss[0] <= 0.705 and loss[1] >= 0.695
    found = f"{loss[0]:.0%} to {loss[1]:.0%}, as rounded"
    yield "4", "loss from MA3 to MA4, 1 - 1.3 / 5.1", "70%", found, holds
    for number, claim, said, share in (
        ("2", "i.p., of comparisons", "53%", (once["route"] == "i.p.").mean()),
        ("2", "i.t., of comparisons", "31%", (once["route"] == "i.t.").mean()),
        ("6", "CCI, of papers", "35%", (papers["pain_model"] == "CCI").mean()),
        ("15", "S-ketamine, of papers", "29%", (papers["enantiomer"] == "S").mean()),
        ("15", "S-ketamine, of comparisons", "29%", (once["enantiomer"] == "S").mean()),
        ("16", "male rats, of papers", "84%", (male & rat).mean()),
        ("16", "male rats or mice, of papers", "84%", male.mean()),
    ):
        yield number, claim, said, f"{share:.0%}", f"{share:.0%}" == said
    for words, groups in (("comparisons", len(once)), ("effects", len(rows))):
        size = 331 / groups
        claim = f"331 ketamine animals over {words}, against the median group"
        yield "17", claim, "7", f"{size:.1f}", round(size) == 7


def claim_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the claims as a table."""
    names = ["item", "claim", "printed", "by Table 1", "verdict"]
    found = [(*row[:4], "holds" if row[4] else "does not hold") for row in claims(rows)]
    return pd.DataFrame(found, columns=names)


def abstract() -> str:
    """Return what the two printed intervals of MA3 leave possible (item 10)."""
    text = printed().set_index("row_id", drop=False).loc[["MA3", "MA3"]].copy()
    text["ci_low"] = ["3.6", "3.7"]
    verdicts = bm.recompute_results(text)["ci_verdict"]
    return (
        f"\nMA3 (item 10): 3.6 to 6.5 in the text {verdicts.iloc[0]}, 3.7 to 6.5 in the abstract "
        f"{verdicts.iloc[1]}: rounding leaves room for either, though not for both at once.\n"
    )


def main() -> None:
    """Recompute, fit, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    table, rows = printed(), comparisons()
    text = [
        "# van Velzen et al. 2021, recomputed: made by `python evidence/van_velzen_2021.py`\n",
        "Data: PAIN 2021;162:2320-2330, doi 10.1097/j.pain.0000000000002231, as transcribed in "
        "data/van_velzen_2021. A printed number stands for all that round to it; a verdict is "
        "`impossible` where none of these fit the others. Normal distribution throughout. P is "
        "that of the printed g and SE; P possible also takes in the printed interval, which often "
        "says more of the SE than its one digit, so that P may lie outside. The P of Egger's test "
        "(0.74) and the I2 need the single effects, which are not printed.\n",
        section("Every printed result", results(table), index=False),
        abstract(),
        section("Tests between groups", between(table), index=False),
        section("Bayesian and classical mean over the same comparisons", models(), index=False),
        "\nThe model is ketamine_pain, fitted to MA1 to MA4 alone; equal weights within a result. "
        "Subgroups are the same animals cut again: a check of consistency, not a test.\n",
        section("Counts and shares against Table 1", claim_table(rows), index=False),
        "\nItem: number in data/van_velzen_2021/INCONSISTENCIES.md. Its items "
        f"{', '.join(map(str, BY_HAND))} rest on abstracts, spelling and the reference list, which "
        "no table here holds; items 9 and 10 are above.\n",
    ]
    (HERE / "van_velzen_2021.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
