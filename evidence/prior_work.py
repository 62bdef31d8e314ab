"""What do the default priors imply before data, and which answers do they move after?

Run ``BAYESMA_DATA=FOLDER python evidence/prior_work.py`` (data/nmda_social/README.md says how to
fill the folder). It writes prior_work.md and a picture for each model beside itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from tables import section

import bayesma as bm

HERE = Path(__file__).parent
SEED = 1
MODELS = {
    "ketamine_pain": "Ketamine against neuropathic pain: four pooled results",
    "nmda_social": "NMDA antagonists and social interaction: 450 rows with a delay",
}


def expected(model: str) -> str:
    """Draw what a model's priors imply; return a sentence of numbers."""
    tree = bm.prior_predictive(model, seed=SEED)
    figure = bm.plot_prior_predictive(tree, title=f"{model}: before data")
    figure.savefig(HERE / f"prior_work_{model}.png", dpi=110)
    y = tree["observed_data"]["y"].values
    replicated = tree["prior_predictive"]["y"].values[0]
    low, high = np.quantile(replicated, [0.025, 0.975])
    # Where each observed effect lies among its own replicates.
    place = (replicated < y).mean(axis=0)
    inside = ((place > 0.025) & (place < 0.975)).mean()
    return (
        f"\n![{model}](prior_work_{model}.png)\n\nReplicated effects: 95% between {low:.1f} and "
        f"{high:.1f}; observed ones: {y.min():.1f} to {y.max():.1f}. {inside:.0%} of the observed "
        "effects lie inside the 95% of their own replicates.\n"
    )


def moved(model: str) -> str:
    """Return the sensitivity of every reported answer, all priors and each by itself."""
    fit = bm.fit(model, seed=SEED, progress=False)
    table = bm.prior_sensitivity(fit, by="prior")
    single = [name for name in table if str(name).startswith("prior: ")]
    most = table[single].astype(float).idxmax(axis=1).str.removeprefix("prior: ")
    most = most.where(table["verdict"] != "-", "")
    shown = table[["quantity", "where", "prior", "likelihood", "verdict"]].assign(mostly=most)
    shown = shown.assign(
        **{name: table[name].map(lambda x: f"{x:.2f}") for name in ("prior", "likelihood")}
    )
    notes = "".join(f"\n- {note}" for note in table.attrs["notes"])
    count = pd.Series(table["verdict"]).value_counts().to_dict()
    said = ", ".join(f"{verdict}: {n}" for verdict, n in count.items())
    title = f"{model}: which answers the priors move (likelihood = {fit.spec.likelihood})"
    return f"{section(title, shown, index=False)}\nOf {len(table)} answers, {said}.\n{notes}\n"


INTRODUCTION = """# What the priors imply, and what they move

`evidence/prior_work.py` makes this page. Before data: the models' priors on the scale of the
effects, without a sampler. After: each answer's sensitivity to raising the priors, or the
likelihood, to a power (Kallioinen et al. 2024), as cumulative Jensen-Shannon distance per
doubling; 0.05 and more counts. "mostly" is the prior that moves it most when scaled by itself. A
level of a factor and its only other level are one number with two signs.
"""


def main() -> None:
    """Write the page and the pictures."""
    parts = [INTRODUCTION]
    for model, title in MODELS.items():
        parts += [f"\n# {title}\n", expected(model), moved(model)]
    (HERE / "prior_work.md").write_text("".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
