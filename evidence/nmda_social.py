"""Real study-level data: does the effect fade, and what do the delays tell?

Run ``BAYESMA_DATA=FOLDER python evidence/nmda_social.py`` (data/nmda_social/README.md says how to
fill the folder). It writes nmda_social.md and nmda_social_curves.png beside itself. The results
may be published with attribution (CC BY 4.0); the table itself is not ours.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from pathlib import Path

import arviz_stats
import numpy as np
import pandas as pd
from plugin import plugin
from tables import section

import bayesma as bm
from bayesma.analysis import Analysis
from bayesma.checks import leave_one_study_out
from bayesma.effects import Effects

HERE = Path(__file__).parent
SEED = 1
# Delay windows for the check of monotone decay: edges in days.
WINDOWS = {
    "single": [0, 15 / 1440, 45 / 1440, 2 / 24, np.inf],
    "repeated": [0, 2 / 24, 2, 8, np.inf],
}


def with_known_delay(effects: Effects) -> Effects:
    """Return the rows that every decay family can use, so that they are compared on the same."""
    rows = np.flatnonzero(effects.frame["delay"].notna())
    frame = effects.frame.iloc[rows].reset_index(drop=True)
    return replace(effects, frame=frame, covariance=effects.covariance.take(rows))


def timed_fit(effects: Effects, spec: bm.ModelSpec) -> tuple[bm.Fit, float]:
    """Return a fit and its wall time in seconds, compilation included."""
    start = time.perf_counter()
    found = bm.fit(effects, spec, seed=SEED, progress=False)
    return found, time.perf_counter() - start


def published(model: Analysis) -> pd.DataFrame:
    """Return the no-decay model beside the published REML estimates."""
    fit, _ = timed_fit(model.effects(), model.spec)
    draws = pd.DataFrame(
        {
            "mean effect": fit.posterior["level"].values.ravel(),
            "variance between studies": fit.posterior["tau"].values.ravel() ** 2,
            "variance between experiments": fit.posterior["tau_experiment"].values.ravel() ** 2,
        }
    )
    return pd.DataFrame(
        {
            "posterior mean": draws.mean(),
            "95% low": draws.quantile(0.025),
            "95% high": draws.quantile(0.975),
            "published": ["-1.9006 [-2.1822, -1.6190]", "3.1791", "0.2332"],
        }
    )


def health(fits: dict[str, tuple[bm.Fit, float]]) -> pd.DataFrame:
    """Return the sampling health of each fit."""
    rows = {}
    for name, (fit, seconds) in fits.items():
        table = fit.summary()
        rows[name] = {
            "divergences": int(fit.tree["sample_stats"]["diverging"].sum()),
            "largest R-hat": table["r_hat"].max(),
            "smallest ESS": table[["ess_bulk", "ess_tail"]].min().min(),
            "seconds": seconds,
        }
    return pd.DataFrame(rows).T


def fading(fit: bm.Fit) -> pd.DataFrame:
    """Return half-lives and, for a plateau, the share that persists."""
    at = bm.grid(fit, regimen=["single", "repeated"])
    table = bm.summary(bm.half_life(fit, at))[["regimen", "median", "ci_low", "ci_high"]]
    if fit.spec.decay != "plateau":
        return table
    logit = fit.design.predictors["persistent"].matrix(table[["regimen"]])
    share = 1 / (1 + np.exp(-(fit.posterior["logit_persistent"].values @ logit.T)))
    low, middle, high = np.quantile(share.reshape(-1, len(table)), [0.025, 0.5, 0.975], axis=0)
    return table.assign(persists=middle, persists_low=low, persists_high=high)


def onset(effects: Effects, spec: bm.ModelSpec) -> pd.DataFrame:
    """Return the level of each delay window, with no curve imposed."""
    frame = effects.frame.copy()
    frame["window"] = [_window(r, d) for r, d in zip(frame["regimen"], frame["delay"], strict=True)]
    free = replace(
        spec, peak="drug + species + route + window + (1 | study/experiment)", decay="none"
    )
    fit, _ = timed_fit(replace(effects, frame=frame), free)
    table = bm.summary(bm.decay_curve(fit, bm.grid(fit, window=sorted(set(frame["window"])))))
    counts = frame.groupby("window").agg(rows=("study", "size"), studies=("study", "nunique"))
    shown = table[["window", "median", "ci_low", "ci_high"]].merge(counts, on="window")
    return shown


def onset_in_words(table: pd.DataFrame) -> str:
    """Return what the windows after a single dose say of onset."""
    single = table[table["window"].str.startswith("single")]
    strongest = single.loc[single["median"].abs().idxmax()]
    first = single.iloc[0]
    return (
        f"\nAfter a single dose the effect is {first['median']:.2f} in the first window and "
        f"strongest, {strongest['median']:.2f} [{strongest['ci_low']:.2f}, "
        f"{strongest['ci_high']:.2f}], in '{strongest['window']}'. A decay that starts at its peak "
        "cannot rise: where the strongest window is not the first, the early part of the "
        "single-dose curve is a compromise, and its half-life is not a finding.\n"
    )


def _window(regimen: str, delay: float) -> str:
    edges = WINDOWS[regimen]
    number = int(np.searchsorted(edges, delay, side="right")) - 1
    low, high = edges[number], edges[number + 1]
    return f"{regimen} {number + 1}: {_hours(low)} to {_hours(high)}"


def _hours(days: float) -> str:
    if not np.isfinite(days):
        return "longest"
    return f"{days * 24:.3g} h" if days < 2 else f"{days:.3g} d"


def picture(fits: dict[str, tuple[bm.Fit, float]]) -> None:
    """Draw the curves of the plateau model over the range of the data."""
    fit = fits["plateau"][0]
    delays = np.geomspace(5 / 1440, 90, 120)
    at = bm.grid(fit, regimen=["single", "repeated"], delay=delays)
    curve = bm.decay_curve(fit, at)
    title = "NMDA antagonists and social interaction"
    figure = bm.plot_decay(curve, bm.study_points(fit, curve), log_delay=True, title=title)
    figure.savefig(HERE / "nmda_social_curves.png", dpi=150)


def main() -> None:
    """Fit, compare, draw, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    plateau = plugin(bm.load_analysis("nmda_social"))
    effects = with_known_delay(plateau.effects())
    specs = {name: replace(plateau.spec, decay=name) for name in ("none", "exponential", "plateau")}
    fits = {name: timed_fit(effects, spec) for name, spec in specs.items()}
    loo = {name: leave_one_study_out(fit) for name, (fit, _) in fits.items()}
    ranking = arviz_stats.compare(loo, round_to="none")
    windows = onset(effects, plateau.spec)
    text = [
        "# nmda_social: made by evidence/nmda_social.py\n",
        "Data: Gallas-Lopes et al. 2026, doi 10.5281/zenodo.18284730, CC BY 4.0.\n",
        f"{len(effects)} of 491 rows have a known delay, from "
        f"{effects.frame['study'].nunique()} studies.\n",
        section(
            "The published model on all 491 rows",
            published(bm.load_analysis("nmda_social", "published")),
        ),
        section("Sampling, rows with a known delay", health(fits)),
        section("Leave one study out, marginal likelihood", ranking),
        section("Fading, exponential (days)", fading(fits["exponential"][0]), index=False),
        section("Fading, plateau (days; share)", fading(fits["plateau"][0]), index=False),
        section("Level by delay window, no curve imposed", windows, index=False),
        onset_in_words(windows),
        "\n## What the plateau fit says of itself\n\n",
        *(f"- {problem}\n" for problem in fits["plateau"][0].problems),
    ]
    (HERE / "nmda_social.md").write_text("".join(text), encoding="utf-8")
    picture(fits)
    print("".join(text))


if __name__ == "__main__":
    main()
