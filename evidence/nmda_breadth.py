"""Real study-level data: how studies differ, and what the model's further options say.

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
from scipy.optimize import minimize
from tables import section

import bayesma as bm
from bayesma.checks import leave_one_study_out
from bayesma.design import Design, design
from bayesma.effects import Effects
from bayesma.mean import VARIABLES
from bayesma.predictive import group_log_likelihoods

HERE = Path(__file__).parent
SEED = 1
POPULATIONS = {
    "constant, normal": {},
    "proportional, normal": {"heterogeneity": "proportional"},
    "constant, Student-t": {"population": "student"},
    "proportional, Student-t": {"heterogeneity": "proportional", "population": "student"},
}
DELAYS = [1 / 24, 1.0, 7.0, 28.0]
CAVEAT = """
Which level spreads with the effect is the question: what the plug-in variance v(y) of Hedges g
gets wrong at large effects and 5 to 12 animals would look the same as experiments that spread
more. The exact likelihood will tell. The fixed part (drug, regimen, species, route; plateau)
decides the level of these criteria, so only their differences compare with those of other models.
"""
# A study is discounted where its effect counts as less than half of one that fits.
DISCOUNTED = 0.5


def fitted(effects: Effects, spec: bm.ModelSpec) -> bm.Fit:
    """Return a fit, or stop: numbers of a fit that has not converged are none."""
    found = bm.fit(effects, spec, seed=SEED, progress=False)
    if not found.converged:
        raise SystemExit(f"not converged: {found.problems}")
    return found


class Twin:
    """The same likelihood without priors: its maximum, by BFGS from two starts.

    Scalars that are named are held at 0.
    """

    def __init__(self, plan: Design, without: tuple[str, ...] = ()) -> None:
        self.plan, self.without = plan, without
        self.scalars = [name for name in plan.scalars if name not in without]
        self.bases = {
            name: np.hstack([p.average_basis, p.contrast_basis])
            for name, p in plan.predictors.items()
            if name in plan.spec.predictors
        }
        self.size = sum(b.shape[1] for b in self.bases.values()) + len(self.scalars)

    def draws(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return parameters as one draw: coefficients free, standard deviations by their log."""
        out, start = {}, 0
        for name, basis in self.bases.items():
            out[VARIABLES[name]] = (basis @ x[start : start + basis.shape[1]])[None]
            start += basis.shape[1]
        out |= {n: np.exp(x[start + i : start + i + 1]) for i, n in enumerate(self.scalars)}
        return out | {name: np.zeros(1) for name in self.without}

    def minus_log_likelihood(self, x: np.ndarray) -> float:
        """Return -log p(y | x); large where it cannot be computed."""
        with np.errstate(all="ignore"):
            by_group = group_log_likelihoods(self.plan, self.draws(np.clip(x, -20, 20)))
        value = -float(by_group.sum())
        return value if np.isfinite(value) else 1e10

    def aic(self) -> float:
        """Return Akaike's criterion at the better of two maxima."""
        rng, found = np.random.default_rng(SEED), []
        for _ in range(2):
            start = rng.normal(0, 0.3, self.size)
            start[0] = -2.0
            found.append(minimize(self.minus_log_likelihood, start, method="BFGS").fun)
        return 2 * min(found) + 2 * self.size


def populations(effects: Effects, spec: bm.ModelSpec) -> tuple[dict[str, bm.Fit], pd.DataFrame]:
    """Return the fits by population and heterogeneity, and their ranking."""
    fits = {name: fitted(effects, replace(spec, **o)) for name, o in POPULATIONS.items()}
    loo = {name: leave_one_study_out(fit) for name, fit in fits.items()}
    table = arviz_stats.compare(loo, round_to="none")[["elpd", "elpd_diff", "dse", "weight"]]
    unreliable = {name: int((r.pareto_k > r.good_k).sum()) for name, r in loo.items()}
    table["k-hat too high"] = pd.Series(unreliable)
    return fits, table


def twins(effects: Effects, spec: bm.ModelSpec) -> pd.DataFrame:
    """Return Akaike's criterion of the likelihood alone, by where heterogeneity goes with m."""
    constant = design(spec, effects)
    varies = design(replace(spec, heterogeneity="proportional"), effects)
    kappas = varies.kappa_names
    found = {
        "constant": Twin(constant),
        "with the mean, at every level": Twin(varies),
        **{
            f"with the mean, at the level of {name} alone": Twin(
                varies, tuple(k for k in kappas if k != own)
            )
            for name, own in zip(varies.groups.names, kappas, strict=True)
        },
    }
    return pd.DataFrame(
        {
            "heterogeneity": list(found),
            "parameters": [twin.size for twin in found.values()],
            "AIC": [f"{twin.aic():.1f}" for twin in found.values()],
        }
    )


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


def options(plateau: bm.Analysis) -> pd.DataFrame:
    """Return what each further option says, with the rows it uses."""
    out = []
    fit = fitted(plateau.effects(), plateau.spec)
    out.append(("complete cases", len(fit.design.effects), _fading(fit), ""))
    for variant in ("unknown_delays", "small_study", "dose"):
        model = bm.load_analysis("nmda_social", variant)
        fit = fitted(model.effects(), model.spec)
        out.append((variant, len(fit.design.effects), _fading(fit), _says(fit, variant)))
    heads = ("option", "rows", "persistent share after repeated dosing", "what it adds")
    return pd.DataFrame(out, columns=heads)


def _fading(fit: bm.Fit) -> str:
    cell = pd.DataFrame({"regimen": ["repeated"]})
    matrix = fit.design.predictors["persistent"].matrix(cell)
    return _middle(1 / (1 + np.exp(-(fit.posterior["logit_persistent"].values @ matrix.T))))


def _says(fit: bm.Fit, variant: str) -> str:
    if variant == "small_study":
        return bm.decay_curve(fit, bm.grid(fit, regimen="single", delay=1.0)).attrs["small_study"]
    if variant == "dose":
        (term,) = (t for t in fit.design.predictors["peak"].terms if t.startswith("centred"))
        slope = fit.posterior["level"].sel(level_term=term).values * np.log(2)
        return f"change in g per doubling of the dose {_middle(slope)}"
    delays = np.median(fit.posterior["latent_delay"].values, axis=(0, 1))
    return (
        f"{len(delays)} unknown delays, posterior medians from {delays.min() * 24:.2g} h to "
        f"{delays.max():.2g} d"
    )


def main() -> None:
    """Fit, compare, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    plateau = bm.load_analysis("nmda_social")
    effects = with_known_delay(plateau.effects())
    fits, ranking = populations(effects, plateau.spec)
    text = [
        "# nmda_social, how studies differ: made by evidence/nmda_breadth.py\n",
        "Data: Gallas-Lopes et al. 2026, doi 10.5281/zenodo.18284730, CC BY 4.0. "
        f"{len(effects)} rows with a known delay, plateau decay.\n",
        section("Leave one study out, exact refits where k-hat is high", ranking),
        section(
            "The classical twin: the same likelihood, without priors, at its maximum",
            twins(effects, plateau.spec),
            index=False,
        ),
        CAVEAT,
        section("Heterogeneity", spread_of(fits)),
        section("Population mean (SMD), median and 95% interval", curves(fits), index=False),
        section(
            f"Studies that count for less than {DISCOUNTED} (Student-t, constant)",
            discounted(fits["constant, Student-t"]),
            index=False,
        ),
        section("Further options", options(plateau), index=False),
    ]
    (HERE / "nmda_breadth.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
