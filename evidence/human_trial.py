"""What ketamine's animals say of a trial in people: doubts, worth, assurance, the next study.

Run ``python evidence/human_trial.py``. It fits ketamine_pain under both decay forms and writes
human_trial.md, budget.png and assurance.png beside itself.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from tables import section
from translation import FORMS, REGIMENS, SEED, fits

import bayesma as bm

HERE = Path(__file__).parent
DELAYS = [1.0, 7.0, 14.0, 35.0]
SIZES = [10, 20, 50, 100, 200]
# The founding story: one infusion and pain over 35 d (Pickering 2020), against a week after
# repeated dosing.
STORY = (("single", 35.0), ("repeated", 7.0))
CANDIDATES = {"regimen": REGIMENS, "delay": [1, 7, 14, 28], "n": [10, 20]}
TARGETS = {
    "Effect in people a week after repeated dosing": bm.Target(
        "effect", delay=7, at={"regimen": "repeated"}
    ),
    "Half-life in people after repeated dosing": bm.Target("half_life", at={"regimen": "repeated"}),
    "Effect in animals a week after repeated dosing": bm.Target(
        "effect", to=None, delay=7, at={"regimen": "repeated"}
    ),
    "Repeated minus single in animals, a week after": bm.Target(
        "contrast", to=None, delay=7, pair={"regimen": ("repeated", "single")}
    ),
}
# Other beliefs under which the story is told again.
BELIEFS = {
    "as shipped": None,
    "delta fades with the effect": bm.Assumptions(fades=True),
    "delta ~ N(0, 0.5)": bm.Assumptions(discrepancy=bm.priors.normal(0, 0.5)),
    "it translates, and delta = 0": bm.Assumptions(discrepancy=None, no_translation=0),
}


def asked(forms: dict[str, bm.Fit], delay: Any = DELAYS, **more: Any) -> bm.Translation:
    """Return the prediction for people."""
    return bm.translate(forms, regimen=REGIMENS, delay=delay, seed=SEED, draws=20_000, **more)


def story(forms: dict[str, bm.Fit]) -> pd.DataFrame:
    """Return assurance of the two trials under several beliefs, n = 50 per arm."""
    rows = []
    for belief, given in BELIEFS.items():
        plans = asked(forms, [7.0, 35.0], assumptions=given)
        table = bm.assurance(plans, 50).table
        for regimen, delay in STORY:
            row = table[(table["regimen"] == regimen) & (table["delay"] == delay)].iloc[0]
            kept = ["assurance", "mcse", "power_at_median", "ceiling"]
            rows.append({"belief": belief, "regimen": regimen, "delay": delay, **row[kept]})
    return pd.DataFrame(rows)


def worth(human: bm.Translation) -> pd.DataFrame:
    """Return what the animals are worth at each point, in patients per arm."""
    rows = []
    for regimen in REGIMENS:
        for delay in DELAYS:
            prior = bm.map_prior(human, at={"regimen": regimen, "delay": delay}, seed=SEED)
            rows.append(
                {
                    "regimen": regimen,
                    "delay": delay,
                    "ELIR": prior.ess,
                    "ELIR before the robust part": prior.ess_informative,
                    "by moments": prior.ess_moment,
                    "components": len(prior.fit.mixture.weights),
                }
            )
    return pd.DataFrame(rows)


def small() -> pd.DataFrame:
    """Return the design's own example: N(1.6, 1), in patients per arm."""
    mixture = bm.NormalMixture([1.0], [1.6], [1.0])
    kinds = {"ELIR": "elir", "at the mean (moments)": "moment"}
    found = {name: bm.effective_sample_size(mixture, method=kind) for name, kind in kinds.items()}
    return pd.DataFrame([found])


def budget_table(budget: bm.Budget) -> pd.DataFrame:
    """Return Shapley effects, one row per point."""
    return budget.wide.drop(columns="beyond_data", errors="ignore")


def main() -> None:
    """Fit, ask, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    forms = fits(FORMS)
    human = asked(forms)
    budget, lives = (bm.uncertainty_budget(human, of, seed=SEED) for of in ("effect", "half_life"))
    plans = bm.assurance(asked(forms, [7.0, 35.0]), SIZES)
    bm.plot_budget(budget).savefig(HERE / "budget.png", dpi=130)
    bm.plot_assurance(plans).savefig(HERE / "assurance.png", dpi=130)
    text = [
        "# A trial in people, seen from the animals: made by evidence/human_trial.py\n\n",
        "ketamine_pain, exponential and plateau alike, the assumptions as shipped unless said; "
        f"seed {SEED}. Nothing human has moved anything here.\n",
        section("Where the doubt about the effect comes from", budget_table(budget), False),
        *(f"\n- {note}" for note in budget.notes),
        "\n",
        section("The same of the half-life (log2 d)", budget_table(lives), False),
        "\n![Shares of the variance by delay](budget.png)\n",
        section("What the animals are worth, patients per arm of a trial", worth(human), False),
        "\nA usual trial has 64 per arm (80% power at an SMD of 0.5).\n",
        section("A prediction of 1.6 with a standard deviation of 1 is worth", small(), False),
        section("Probability that a trial of two arms of n succeeds",
                plans.table.drop(columns="beyond_data"), False),
        "\n![Assurance by size](assurance.png)\n",
        section("One dose and 35 days, against repeated doses and 7: n = 50", story(forms), False),
        *_studies(forms),
    ]  # fmt: skip
    (HERE / "human_trial.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


def _studies(forms: dict[str, bm.Fit]) -> list[str]:
    parts = ["\n# The next animal experiment\n"]
    for title, target in TARGETS.items():
        found = bm.next_study(forms, CANDIDATES, target, seed=SEED)
        table = found.table.drop(columns=["beyond_data", "k"], errors="ignore").head(6)
        parts.append(section(title, table, False))
        parts += ["\n", *(f"- {note}\n" for note in found.notes)]
    return parts


if __name__ == "__main__":
    main()
