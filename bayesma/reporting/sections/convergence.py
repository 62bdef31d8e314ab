"""Whether the draws can be trusted, quantity by quantity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.checks.answers import answers_of, settled
from bayesma.diagnostics import judged, quantity_problems, scalars, summary_table
from bayesma.plots import plot_energy, plot_ranks
from bayesma.plots.energy import BFMI
from bayesma.posterior import Fit
from bayesma.reporting.blocks import Block, Fold, Items, Picture, Table, Words
from bayesma.reporting.material import Material

__all__ = ["convergence"]

GOOD, LONGEST = "ok", "at the longest path"
RULES = (
    "Asked of each quantity: R-hat at most 1.01, and at least 400 effective draws in the bulk and "
    "in the tails (Vehtari et al. 2021, Bayesian Analysis 16:667). Asked of the sampler: no "
    "divergent transition. MCSE is the error of the posterior mean by the number of draws."
)


def convergence(material: Material) -> tuple[Block, ...]:
    """Return the verdicts, the table behind them, and the pictures of the chains."""
    fit = material.fit
    draws = judged(fit.posterior, fit.design)
    table, sampler = _table(draws), _sampler(fit)
    return (
        *_verdict(fit, table),
        Words(RULES, "note"),
        Table("convergence-quantities", "Each quantity that answers are made of", table, digits=3),
        *material.quietly(lambda: tuple(_answers(fit, draws))),
        Table("convergence-sampler", "The sampler, chain by chain", sampler, digits=2),
        *_remarks(sampler),
        *_pictures(fit, draws, sampler),
    )


def _table(draws: xr.Dataset) -> pd.DataFrame:
    import arviz_stats

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
            "MCSE": [float(array) for array in scalars(error).values()],
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


def _answers(fit: Fit, draws: xr.Dataset) -> Iterator[Block]:
    """Yield the same for what is made of these quantities: means at delays, half-lives, ..."""
    asked = [one for one in answers_of(fit, None) if one.quantity not in scalars(draws)]
    found, notes = settled(asked)
    if not found:
        return
    made = xr.Dataset({one.title: (("chain", "draw"), one.draws) for one in found})
    table = _table(made)
    bad = table.loc[table["verdict"] != GOOD, "quantity"]
    # Where the fit has not converged nothing is to be read, and this is one more reason.
    if len(bad) and fit.converged:
        text = f"Known less well than that: {'; '.join(bad)}. Read them as rough, or draw more."
        yield Words(text, "caution")
    caption = "Each answer made of them; half-lives and times to loss on log2 of days"
    yield Fold(
        f"The same for {len(table)} answers made of them: "
        + (f"{len(bad)} fail" if len(bad) else f"all {GOOD}"),
        (
            Table("convergence-answers", caption, table, digits=3),
            *(Words(f"{note[0].upper()}{note[1:]}.", "note") for note in notes),
        ),
    )


def _remarks(sampler: pd.DataFrame) -> Iterator[Words]:
    """Yield what the sampler's own record warns of, beyond divergences."""
    low = sampler.loc[sampler["BFMI"] < BFMI, "chain"] if "BFMI" in sampler else ()
    if len(low):
        yield Words(
            f"BFMI below {BFMI:g} in chain {', '.join(str(chain) for chain in low)}: steps of the "
            "energy are short beside its spread, and tails may be missed. Draw more, or simplify "
            "the model.",
            "caution",
        )
    cut = int(sampler[LONGEST].sum()) if LONGEST in sampler else 0
    if cut:
        yield Words(
            f"{cut} of {int(sampler['draws'].sum()):,} transitions ended at the longest path "
            "allowed. That makes draws dependent, and is no error by itself: effective draws say "
            "what they are worth.",
            "note",
        )


def _sampler(fit: Fit) -> pd.DataFrame:
    """Return what the sampler says of itself, one row per chain."""
    statistics = fit.tree["sample_stats"].dataset
    found = {
        "chain": statistics["chain"].values + 1,
        "draws": np.full(statistics.sizes["chain"], statistics.sizes["draw"]),
        "divergent": statistics["diverging"].sum("draw").values,
    }
    if "reached_max_treedepth" in statistics:
        found[LONGEST] = statistics["reached_max_treedepth"].sum("draw").values
    if "acceptance_rate" in statistics:
        found["acceptance"] = statistics["acceptance_rate"].mean("draw").values
    if "energy" in statistics:
        import arviz_stats

        found["BFMI"] = arviz_stats.bfmi(fit.tree)["energy"].values
        low = np.where(found["BFMI"] < BFMI, "low: the tails may be missed", GOOD)
        found["energy"] = low
    return pd.DataFrame(found)


def _pictures(fit: Fit, draws: xr.Dataset, sampler: pd.DataFrame) -> Iterator[Block]:
    if draws.sizes["chain"] > 1:
        yield Picture(
            "convergence-ranks",
            "Ranks of each chain's draws among those of all chains.",
            "Panels of rank plots, one per quantity, a line per chain. "
            + ("All lines stay near 0." if fit.converged else _leaving(draws)),
            plot_ranks(fit),
        )
    if "BFMI" in sampler:
        lowest = sampler["BFMI"].min()
        yield Picture(
            "convergence-energy",
            "Energy of the sampler.",
            f"BFMI by chain, the lowest {lowest:.2f}, and two densities of energy, which should "
            "be alike.",
            plot_energy(fit.tree),
        )


def _leaving(draws: xr.Dataset) -> str:
    """Return what the picture shows of chains that disagree, in words."""
    table = _table(draws)
    apart = table.loc[table["verdict"].str.contains("chains"), ["quantity", "R-hat"]]
    if apart.empty:
        return "Chains agree as far as R-hat can tell."
    worst = apart.sort_values("R-hat", ascending=False, na_position="first").head(4)
    return f"Lines leave 0 most for {', '.join(worst['quantity'])}."
