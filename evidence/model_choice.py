"""Real study-level data: which decay, which heterogeneity? Leave-one-out and stacking weights.

Run ``BAYESMA_DATA=FOLDER python evidence/model_choice.py [exact|normal]`` (the likelihood; exact
unless named; data/nmda_social/README.md says how to fill the folder). It writes model_choice.md, or
model_choice_normal.md, beside itself. The results may be published with attribution (CC BY 4.0);
the table itself is not ours.
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from nmda_social import with_known_delay
from tables import section

import bayesma as bm
from bayesma.effects import Effects

HERE = Path(__file__).parent
SEED = 1
FAMILIES = ("exponential", "plateau", "weibull", "none")
HETEROGENEITY = ("constant", "proportional")
# Draws a chain: as always, and once more where that is not enough.
DRAWS = (1000, 3000)
DELAYS = [1 / 24, 1.0, 7.0, 28.0]
MIXED = 8000  # draws of the stacked curve


def fitted(effects: Effects, spec: bm.ModelSpec) -> tuple[bm.Fit, float]:
    """Return a fit and its seconds, with more draws where the first are not enough."""
    start = time.perf_counter()
    for draws in DRAWS:
        found = bm.fit(effects, spec, seed=SEED, draws=draws, tune=draws, progress=False)
        if found.converged:
            break
    return found, time.perf_counter() - start


def specs(likelihood: str) -> dict[str, bm.ModelSpec]:
    """Return every decay family with every kind of heterogeneity."""
    base = replace(bm.load_analysis("nmda_social").spec, likelihood=likelihood, shape="1")
    return {
        f"{decay}, {kind}": replace(base, decay=decay, heterogeneity=kind)
        for decay in FAMILIES
        for kind in HETEROGENEITY
    }


def health(fits: dict[str, tuple[bm.Fit, float]]) -> pd.DataFrame:
    """Return how each model sampled."""
    rows = {}
    for name, (fit, seconds) in fits.items():
        table = fit.summary()
        rows[name] = {
            "converged": "yes" if fit.converged else "NO",
            "divergences": int(fit.tree["sample_stats"]["diverging"].sum()),
            "largest R-hat": f"{table['r_hat'].max():.3f}",
            "smallest ESS": f"{table[['ess_bulk', 'ess_tail']].min().min():.0f}",
            "draws": fit.posterior.sizes["draw"] * fit.posterior.sizes["chain"],
            "seconds": f"{seconds:.0f}",
        }
    return pd.DataFrame(rows).T.rename_axis("model")


def ranking(found: bm.ModelComparison) -> pd.DataFrame:
    """Return the table with as many digits as it can bear."""
    digits = {"p_worse": 3, "weight": 2, "n_bad_k": 0, "refitted": 0}
    table = found.table.copy()
    for name in table:
        shown = [f"{value:.{digits.get(str(name), 1)}f}" for value in table[name]]
        table[name] = ["" if text == "nan" else text for text in shown]
    return table


def by_kind(found: bm.ModelComparison) -> pd.DataFrame:
    """Return the weights summed over decay families and over kinds of heterogeneity."""
    sums: dict[str, float] = {}
    for name, weight in found.weights.items():
        for part in str(name).split(", "):
            sums[part] = sums.get(part, 0.0) + float(weight)
    return pd.DataFrame({"weight": {k: f"{w:.2f}" for k, w in sums.items()}}).rename_axis("part")


def curves(fits: dict[str, bm.Fit], weights: pd.Series[float]) -> pd.DataFrame:
    """Return the population mean by regimen and delay: each model's, and the stacked one's."""
    rng = np.random.default_rng(SEED)
    rows, mixed = [], []
    labels: list[str] = []
    beyond: set[str] = set()
    for name, fit in fits.items():
        at = bm.grid(fit, regimen=["single", "repeated"], delay=DELAYS)
        curve = bm.decay_curve(fit, at)
        values = curve.stack(sample=("chain", "draw")).transpose("point", "sample").values
        share = max(float(weights[name]), 0.0)
        mixed.append(values[:, rng.integers(values.shape[1], size=round(MIXED * share))])
        table = bm.summary(curve)
        labels = [f"{r.regimen}, {r.delay:.2g} d" for r in table.itertuples(index=False)]
        if "beyond_data" in table:  # no decay, no delay that is beyond
            beyond |= set(np.array(labels)[table["beyond_data"].to_numpy(dtype=bool)])
        rows.append({"model": name} | dict(zip(labels, _cells(values), strict=True)))
    stacked = _cells(np.concatenate(mixed, axis=1))
    rows.append({"model": "stacked"} | dict(zip(labels, stacked, strict=True)))
    return pd.DataFrame(rows).drop(columns=list(beyond))


def _cells(values: np.ndarray) -> list[str]:
    quantiles = np.quantile(values, [0.025, 0.5, 0.975], axis=1).T
    return [f"{middle:.2f} [{low:.2f}, {high:.2f}]" for low, middle, high in quantiles]


def said(found: bm.ModelComparison) -> str:
    """Return what the comparison says of itself."""
    return "\n" + "\n".join(f"- {text}" for text in (*found.sentences, *found.notes)) + "\n"


def main() -> None:
    """Fit, compare, write."""
    likelihood = sys.argv[1] if len(sys.argv) > 1 else "exact"
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    warnings.simplefilter("ignore", bm.ConvergenceWarning)  # told in the table
    effects = with_known_delay(bm.load_analysis("nmda_social").effects())
    every = {}
    for name, spec in specs(likelihood).items():
        every[name] = fitted(effects, spec)
        print(f"{name}: {every[name][1]:.0f} s", file=sys.stderr)
    fits = {name: fit for name, (fit, _) in every.items() if fit.converged}
    lost = [name for name in every if name not in fits]
    by_study, by_row = (bm.compare_models(fits, by) for by in ("study", "row"))
    studies = effects.frame["study"].nunique()
    text = [
        "# nmda_social, which model: made by evidence/model_choice.py\n",
        "Data: Gallas-Lopes et al. 2026, doi 10.5281/zenodo.18284730, CC BY 4.0. "
        f"{len(effects)} rows with a known delay, {studies} studies; likelihood: {likelihood}.\n",
        f"\nLeft out for want of convergence: {', '.join(lost)}.\n" if lost else "",
        section("Leave one study out", ranking(by_study)),
        said(by_study),
        section("Stacking weights, summed", by_kind(by_study)),
        section("Leave one row out", ranking(by_row)),
        said(by_row),
        section(
            "Population mean (SMD), median and 95% interval",
            curves(fits, by_study.weights),
            index=False,
        ),
        section("Sampling", health(every)),
    ]
    page = "model_choice.md" if likelihood == "exact" else f"model_choice_{likelihood}.md"
    (HERE / page).write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
