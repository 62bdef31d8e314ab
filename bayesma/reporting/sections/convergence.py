"""Whether the draws can be trusted, quantity by quantity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayesma.diagnostics import judged, quantity_problems, summary_table
from bayesma.plots import plot_energy, plot_ranks
from bayesma.plots.energy import BFMI
from bayesma.posterior import Fit
from bayesma.reporting.blocks import Block, Items, Picture, Table, Words
from bayesma.reporting.material import Material

__all__ = ["convergence"]

GOOD = "ok"
RULES = (
    "Asked of each quantity: R-hat at most 1.01, and at least 400 effective draws in the bulk and "
    "in the tails (Vehtari et al. 2021, Bayesian Analysis 16:667). Asked of the sampler: no "
    "divergent transition. MCSE is the error of the posterior mean by the number of draws."
)


def convergence(material: Material) -> tuple[Block, ...]:
    """Return the verdicts, the table behind them, and the pictures of the chains."""
    fit = material.fit
    table = _table(fit)
    return (
        *_verdict(fit, table),
        Words(RULES, "note"),
        Table("convergence-quantities", "Each quantity that answers are made of", table, digits=3),
        Table("convergence-sampler", "The sampler, chain by chain", _sampler(fit), digits=2),
        *_pictures(fit),
    )


def _table(fit: Fit) -> pd.DataFrame:
    import arviz_stats

    draws = judged(fit.posterior, fit.design)
    found = summary_table(draws, 0.95)
    said = quantity_problems(found)
    with np.errstate(divide="ignore", invalid="ignore"):  # a chain that never moved
        error = arviz_stats.mcse(draws, method="mean")
    return pd.DataFrame(
        {
            "quantity": found.index,
            "R-hat": found["r_hat"].to_numpy(),
            "ESS bulk": _whole(found["ess_bulk"]),
            "ESS tail": _whole(found["ess_tail"]),
            "MCSE": np.concatenate([np.ravel(error[name].values) for name in draws.data_vars]),
            "verdict": said.replace("", GOOD).to_numpy(),
        }
    )


def _whole(numbers: pd.Series[float]) -> pd.Series[int]:
    return numbers.round().astype("Int64").reset_index(drop=True)


def _verdict(fit: Fit, table: pd.DataFrame) -> Iterator[Block]:
    bad = int((table["verdict"] != GOOD).sum())
    if fit.converged:
        yield Words(
            f"Converged: all {len(table)} quantities are in order, and no transition diverged."
        )
        return
    yield Words(
        f"Not converged: {bad} of {len(table)} quantities fail, "
        f"{int(fit.tree['sample_stats']['diverging'].sum())} transitions diverged.",
        "alarm",
    )
    yield Items(tuple(fit._convergence), "alarm")


def _sampler(fit: Fit) -> pd.DataFrame:
    """Return what the sampler says of itself, one row per chain."""
    statistics = fit.tree["sample_stats"].dataset
    found = {
        "chain": statistics["chain"].values + 1,
        "draws": np.full(statistics.sizes["chain"], statistics.sizes["draw"]),
        "divergent": statistics["diverging"].sum("draw").values,
    }
    if "reached_max_treedepth" in statistics:
        found["at the longest path"] = statistics["reached_max_treedepth"].sum("draw").values
    if "acceptance_rate" in statistics:
        found["acceptance"] = statistics["acceptance_rate"].mean("draw").values
    if "energy" in statistics:
        import arviz_stats

        found["BFMI"] = arviz_stats.bfmi(fit.tree)["energy"].values
        low = np.where(found["BFMI"] < BFMI, "low: the tails may be missed", GOOD)
        found["energy"] = low
    return pd.DataFrame(found)


def _pictures(fit: Fit) -> Iterator[Block]:
    if fit.posterior.sizes["chain"] > 1:
        yield Picture(
            "convergence-ranks",
            "Ranks of each chain's draws among those of all chains.",
            "Panels of rank plots, one per quantity, a line per chain. "
            + ("All lines stay near 0." if fit.converged else "The table says which leave 0."),
            plot_ranks(fit),
        )
    if "energy" in fit.tree["sample_stats"].dataset:
        lowest = _sampler(fit)["BFMI"].min()
        yield Picture(
            "convergence-energy",
            "Energy of the sampler.",
            f"BFMI by chain, the lowest {lowest:.2f}, and two densities of energy, which should "
            "be alike.",
            plot_energy(fit.tree),
        )
