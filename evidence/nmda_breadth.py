"""Real study-level data: how studies differ from each other.

Run ``BAYESMA_DATA=FOLDER python evidence/nmda_breadth.py`` (data/nmda_social/README.md says how to
fill the folder). It writes nmda_breadth.md beside itself. The results may be published with
attribution (CC BY 4.0); the table itself is not ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import arviz_stats
import numpy as np
import pandas as pd
from nmda_social import with_known_delay
from plugin import plugin
from tables import section

import bayesma as bm
from bayesma.checks import leave_one_study_out
from bayesma.effects import Effects

HERE = Path(__file__).parent
SEED = 1
POPULATIONS = {
    "constant, normal": {},
    "proportional, normal": {"heterogeneity": "proportional"},
    "constant, Student-t": {"population": "student"},
}
DELAYS = [1 / 24, 1.0, 7.0, 28.0]
# A study is discounted where its effect counts as less than half of one that fits.
DISCOUNTED = 0.5


def fitted(effects: Effects, spec: bm.ModelSpec) -> bm.Fit:
    """Return a fit, or stop: numbers of a fit that has not converged are none."""
    found = bm.fit(effects, spec, seed=SEED, progress=False)
    if not found.converged:
        raise SystemExit(f"not converged: {found.problems}")
    return found


def populations(effects: Effects, spec: bm.ModelSpec) -> tuple[dict[str, bm.Fit], pd.DataFrame]:
    """Return the fits by population and heterogeneity, and their ranking."""
    fits = {name: fitted(effects, replace(spec, **o)) for name, o in POPULATIONS.items()}
    loo = {name: leave_one_study_out(fit) for name, fit in fits.items()}
    table = arviz_stats.compare(loo, round_to="none")[["elpd", "elpd_diff", "dse", "weight"]]
    unreliable = {name: int((r.pareto_k > r.good_k).sum()) for name, r in loo.items()}
    table["k-hat too high"] = pd.Series(unreliable)
    return fits, table


def spread_of(fits: Mapping[str, bm.Fit]) -> pd.DataFrame:
    """Return the parameters of the heterogeneity, posterior median and interval."""
    rows = {}
    for name, fit in fits.items():
        rows[name] = {p: _middle(fit.posterior[p].values) for p in fit.design.scalars}
    return pd.DataFrame(rows).T.fillna("")


def _middle(values: np.ndarray) -> str:
    low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def curves(fits: Mapping[str, bm.Fit]) -> pd.DataFrame:
    """Return the population mean by regimen and delay under each model."""
    rows = []
    for name, fit in fits.items():
        at = bm.grid(fit, regimen=["single", "repeated"], delay=DELAYS)
        table = bm.summary(bm.decay_curve(fit, at))
        cells = {
            f"{r.regimen}, {r.delay:.2g} d": f"{r.median:.2f} [{r.ci_low:.2f}, {r.ci_high:.2f}]"
            for r in table.itertuples()
            if not r.beyond_data
        }
        rows.append({"model": name} | cells)
    return pd.DataFrame(rows).fillna("")


def discounted(fit: bm.Fit) -> pd.DataFrame:
    """Return the studies that a Student-t population discounts, with their mean effect."""
    weights = bm.summary(bm.study_weights(fit)).set_index("study")["mean"]
    frame = fit.design.effects.frame
    means = frame.groupby("study")["y"].agg(["mean", "size"])
    table = pd.DataFrame({"weight": weights, "mean g": means["mean"], "rows": means["size"]})
    return table[table["weight"] < DISCOUNTED].sort_values("weight").reset_index()


def main() -> None:
    """Fit, compare, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    plateau = plugin(bm.load_analysis("nmda_social"))
    effects = with_known_delay(plateau.effects())
    fits, ranking = populations(effects, plateau.spec)
    text = [
        "# nmda_social, how studies differ: made by evidence/nmda_breadth.py\n",
        "Data: Gallas-Lopes et al. 2026, doi 10.5281/zenodo.18284730, CC BY 4.0. "
        f"{len(effects)} rows with a known delay, plateau decay.\n",
        section("Leave one study out, exact refits where k-hat is high", ranking),
        section("Heterogeneity", spread_of(fits)),
        section("Population mean (SMD), median and 95% interval", curves(fits), index=False),
        section(
            f"Studies that count for less than {DISCOUNTED} (Student-t, constant)",
            discounted(fits["constant, Student-t"]),
            index=False,
        ),
    ]
    (HERE / "nmda_breadth.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
