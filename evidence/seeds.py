"""Does every shipped model converge, whatever the seed?

Run ``BAYESMA_DATA=FOLDER python evidence/seeds.py``. It writes seeds.md beside itself: for every
shipped model and variant, five seeds from one compile: divergences, the largest R-hat and the
smallest bulk or tail ESS over parameters, half-lives, curves and contrasts.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pandas as pd
import xarray as xr
from plugin import plugin
from tables import section

import bayesma as bm
from bayesma.bayes.sampler import Settings, compiled, sample
from bayesma.design import Design, design
from bayesma.diagnostics import reported, summary_table
from bayesma.posterior import Fit

HERE = Path(__file__).parent
SEEDS = range(1, 6)
MODELS = {
    "ketamine_pain": [None, "plateau", "without_fang", "plateau_without_fang", "equal_weights"],
    "nmda_social": [None, "exponential", "none", "published"],
    "fst": [None, "ub", "av", "published"],
    "simulated_decay": [None],
}


def quantities(draws: xr.DataTree, plan: Design) -> xr.Dataset:
    """Return everything a user is shown: parameters, half-lives, curves, contrasts."""
    fit = Fit(draws, plan)
    regimens = {"regimen": ["single", "repeated"]} if "regimen" in plan.covariates else {}
    fades = bool(plan.spec.family.parameters)
    at = bm.grid(fit, delay=[1, 7, 14, 28] if fades else None, **regimens)
    answers = {"curve": bm.decay_curve(fit, at)}
    if regimens:
        answers["contrast"] = bm.contrast(fit, at, regimen=("repeated", "single"))
    if fades:
        answers["half_life"] = bm.half_life(fit, at)
        if plan.spec.decay == "exponential":  # a plateau may never lose it: infinite draws
            answers["time_to_loss"] = bm.time_to_loss(fit, at)
    arrays = {
        name: xr.DataArray(a.values, dims=("chain", "draw", f"{name}_point"))
        for name, a in answers.items()
    }
    found = xr.Dataset(arrays).assign_coords(
        {f"{name}_point": range(a.sizes[f"{name}_point"]) for name, a in arrays.items()}
    )
    return xr.merge([reported(draws["posterior"].dataset, plan), found])


def one(name: str, variant: str | None) -> list[dict[str, object]]:
    """Return a row per seed."""
    model = plugin(bm.load_analysis(name, variant))
    plan = design(model.spec, model.effects())
    engine = compiled(plan)
    rows = []
    for seed in SEEDS:
        start = time.perf_counter()
        draws = sample(engine, Settings(seed=seed, progress=False, **model.sampling))
        seconds = time.perf_counter() - start
        table = summary_table(quantities(draws, plan), 0.95)
        rows.append({
            "model": model.name,
            "seed": seed,
            "divergences": int(draws["sample_stats"]["diverging"].sum()),
            "largest R-hat": f"{table['r_hat'].max():.3f}",
            "smallest ESS": int(table[["ess_bulk", "ess_tail"]].min().min()),
            "sampling, s": round(seconds, 1),
        })  # fmt: skip
    return rows


def main() -> None:
    """Sample, check, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    rows = [row for name, variants in MODELS.items() for v in variants for row in one(name, v)]
    text = "# Five seeds: made by evidence/seeds.py\n" + section(
        "Every reported quantity", pd.DataFrame(rows), index=False
    )
    (HERE / "seeds.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
