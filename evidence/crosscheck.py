"""The cross-check of shipped models: Bayesian, classical and published answers, and why.

Run ``BAYESMA_DATA=FOLDER python evidence/crosscheck.py`` (data/nmda_social/README.md and
data/fst/README.md say how to fill the folder). It writes crosscheck.md and a picture of each
model, crosscheck_MODEL.png, beside itself. The third-party results may be published with
attribution (CC BY 4.0, MIT); the tables themselves are not ours.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd
from plugin import plugin
from tables import section

import bayesma as bm

HERE = Path(__file__).parent
SEED = 1
# An effect of a drug long gone; nothing beside its interval.
TINY = 1e-3
MODELS = {
    "ketamine_pain": ("ketamine_pain", None),
    "ketamine_pain_plateau": ("ketamine_pain", "plateau"),
    "nmda_social": ("nmda_social", "published"),
    "nmda_preference": ("nmda_preference", None),
    "fst": ("fst", "published"),
    "simulated_decay": ("simulated_decay", None),
}
KEY = """
Intervals are 95%. *Difference*: frequentist minus Bayesian, in posterior standard deviations (SD:
how far the posterior spreads), for a half-life on its logarithm. The reasons say how far something
moves the *Bayesian* answer, so their signs are the opposite. *Prior pull*: what the priors move.
*Averaging*: the posterior mean is taken over all curves, or all tau, that the data allow, the
classical answer is the one best of them. *Small k*: fewer than ten studies. *Wald*: an interval of
estimate -+ quantile x standard error. A new study's answers are predictive draws, known to about a
hundredth of their SD. Where a model has as many parameters as rows, some of its answers have no
classical interval, and agree in their point alone.
"""
SOURCES = (
    "Data: van Velzen et al. 2021, doi 10.1097/j.pain.0000000000002231; Gallas-Lopes et al. 2026, "
    "doi 10.5281/zenodo.18284730, CC BY 4.0; Martins et al. 2025, doi "
    "10.1097/FBP.0000000000000844, MIT licence; simulated_decay is drawn from its own model.\n"
)


def answer(row: pd.Series, name: str) -> str:
    """Return an estimate with its interval, as far as there is one."""
    middle, low, high = (row[f"{name}{end}"] for end in ("", "_ci_low", "_ci_high"))
    text = "" if pd.isna(middle) else number(middle)
    return text if pd.isna(low) else f"{text} [{number(low)}, {number(high)}]".strip()


def number(value: float) -> str:
    """Return four digits; nothing smaller than a reader can use."""
    return "0.000" if abs(value) < TINY else f"{value:.4g}"


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as a page shows it."""
    rows = []
    for _, row in table.iterrows():
        rows.append(
            {
                "quantity": ", ".join(text for text in (row["quantity"], row["where"]) if text),
                "unit": row["unit"],
                **{name: answer(row, name) for name in ("bayesian", "frequentist", "published")},
                "difference": f"{row['difference']:+.2f}",
                "verdict": row["verdict"],
                "reason": row["reason"],
                "against print": row["published_verdict"],
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Fit, compare, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    text = [
        "# Cross-checks: made by `BAYESMA_DATA=FOLDER python evidence/crosscheck.py`\n",
        SOURCES,
        KEY,
    ]
    for name, (model, variant) in MODELS.items():
        analysis = plugin(bm.load_analysis(model, variant))
        check = bm.cross_check(bm.fit(analysis, seed=SEED, progress=False))
        title = f"{analysis.name}: {check.method}"
        text.append(section(title, readable(check.table), index=False))
        text += ["\n", *(f"- {sentence}\n" for sentence in check.sentences)]
        text += [f"- note: {note}\n" for note in check.notes]
        figure = bm.plot_crosscheck(check, title=analysis.name)
        figure.savefig(HERE / f"crosscheck_{name}.png", dpi=110)
        print(check, flush=True)
    (HERE / "crosscheck.md").write_text("".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
