"""The founding case: what four published pooled results say about how ketamine's effect fades.

Run ``python evidence/ketamine_pain.py``. It writes ketamine_pain.md and the curves under both
decay forms, ketamine_pain.png and ketamine_pain_plateau.png, beside itself.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from tables import section

import bayesma as bm
from bayesma.cli.demo import draw_demo
from bayesma.effects import split_members
from bayesma.predictive import mean_at_rows
from bayesma.queries.curves import effect_at

HERE = Path(__file__).parent
SEED = 1
FORMS = {
    "exponential": None,
    "plateau": "plateau",
    "exponential, without Fang": "without_fang",
    "plateau, without Fang": "plateau_without_fang",
    "exponential, equal weights": "equal_weights",
}
DELAYS = [1, 7, 14, 28]


def fits() -> dict[str, bm.Fit]:
    """Return the fit of each variant."""
    return {
        name: bm.fit(bm.load_analysis("ketamine_pain", variant), seed=SEED, progress=False)
        for name, variant in FORMS.items()
    }


def draws(fit: bm.Fit) -> dict[str, np.ndarray]:
    """Return posterior draws as arrays."""
    return {str(name): array.values for name, array in fit.posterior.data_vars.items()}


def health(found: dict[str, bm.Fit]) -> pd.DataFrame:
    """Return the sampling health of each fit."""
    rows = {}
    for name, fit in found.items():
        table = fit.summary()
        rows[name] = {
            "divergences": int(fit.tree["sample_stats"]["diverging"].sum()),
            "largest R-hat": float(table["r_hat"].max()),
            "smallest ESS": float(table[["ess_bulk", "ess_tail"]].min().min()),
        }
    return pd.DataFrame(rows).T


def fitted_rows(fit: bm.Fit) -> pd.DataFrame:
    """Return the model's mean over each row's comparisons beside the printed result."""
    mean = mean_at_rows(fit.design, draws(fit))
    frame = fit.design.effects.frame
    return pd.DataFrame(
        {
            "row": frame["row_id"],
            "printed g": frame["y"],
            "SE used": np.sqrt(frame["v"]),
            "model mean": mean.mean(axis=(0, 1)),
            "model sd": mean.std(axis=(0, 1)),
        }
    )


def half_lives(found: dict[str, bm.Fit]) -> pd.DataFrame:
    """Return half-life and time to 70% loss after repeated dosing, in days."""
    rows = {}
    for name, fit in found.items():
        at = bm.grid(fit, regimen="repeated")
        half = bm.summary(bm.half_life(fit, at)).iloc[0]
        loss = bm.summary(bm.time_to_loss(fit, at, loss=0.7)).iloc[0]
        rows[name] = {
            "half-life": half["median"],
            "low": half["ci_low"],
            "high": half["ci_high"],
            "70% lost": loss["median"],
            "70% low": loss["ci_low"],
            "70% high": loss["ci_high"],
            "P(never)": loss["p_never"],
        }
    return pd.DataFrame(rows).T


def advantage(found: dict[str, bm.Fit]) -> pd.DataFrame:
    """Return P(repeated > single) at each delay."""
    columns = {}
    for name, fit in found.items():
        at = bm.grid(fit, regimen="repeated", delay=DELAYS)
        table = bm.summary(bm.contrast(fit, at, regimen=("repeated", "single")))
        columns[name] = table["p_positive"].to_numpy()
    return pd.DataFrame(columns, index=pd.Index([f"{d} d" for d in DELAYS], name="delay")).T


def subgroups(fit: bm.Fit) -> pd.DataFrame:
    """Return every printed row beside the model's mean over its comparisons, equal weights.

    The same animals cut again: a check of consistency, not a test.
    """
    printed = bm.load_dataset("van_velzen_2021", "pooled").frame
    members = bm.load_dataset("van_velzen_2021", "comparisons").frame.set_index("row_id")
    members["regimen"] = members["regimen"].replace("infusion", "repeated")
    rows = []
    for _, row in printed.iterrows():
        frame = members.loc[split_members(row["members"])].reset_index()
        mean = effect_at(fit, frame).mean(axis=-1)
        inside = np.quantile(mean, [0.025, 0.975])
        rows.append(
            {
                "row": row["row_id"],
                "k": int(row["k"]),
                "printed g": row["y"],
                "printed low": row["ci_low"],
                "printed high": row["ci_high"],
                "model mean": float(mean.mean()),
                "low": inside[0],
                "high": inside[1],
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Fit, compare, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    found = fits()
    text = [
        "# ketamine_pain: made by evidence/ketamine_pain.py\n",
        section("Sampling", health(found)),
        section("Rows fitted, exponential", fitted_rows(found["exponential"]), index=False),
        section("Rows fitted, plateau", fitted_rows(found["plateau"]), index=False),
        section("After repeated dosing (days)", half_lives(found)),
        section("P(repeated > single)", advantage(found)),
        "\nSingle-dose delays end at 3 d: beyond them the curve is its decay family's.\n",
        section("Every printed row, exponential", subgroups(found["exponential"]), index=False),
        "\n## What the exponential fit says of itself\n\n",
        *(f"- {problem}\n" for problem in found["exponential"].problems),
        "\n## What the plateau fit says of itself\n\n",
        *(f"- {problem}\n" for problem in found["plateau"].problems),
    ]
    title = bm.load_analysis("ketamine_pain").title
    draw_demo(HERE / "ketamine_pain.png", found["exponential"], title)
    draw_demo(HERE / "ketamine_pain_plateau.png", found["plateau"], title)
    (HERE / "ketamine_pain.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
