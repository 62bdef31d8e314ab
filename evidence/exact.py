"""How far do answers move with the exact likelihood? fst and nmda_social refitted.

Run ``BAYESMA_DATA=FOLDER python evidence/exact.py``; it writes exact.md and exact.png beside
itself. It samples a dozen models, which takes about ten minutes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from tables import section

import bayesma as bm
from bayesma.bayes.engine import fit_design
from bayesma.bayes.model import data_of
from bayesma.bayes.sampler import Settings, compiled
from bayesma.design import design
from bayesma.table import StudyTable

HERE = Path(__file__).parent
SEED = 1
SETTINGS = Settings(seed=SEED, progress=False)
VARIANCES = ("LS", "UB", "AV")
COLOURS = {"normal, LS": "#b35806", "exact": "#2166ac"}
GRID = [0, 1 / 24, 1, 7, 28]


# -- one mean --------------------------------------------------------------------------------------


def tables() -> dict[str, tuple[Any, dict[str, Any], dict[str, Any], str]]:
    """Return each table: rows, who shares animals as labelled, as one rho, and the groups."""
    exact = {"shared_control": "control_group", "same_animals": "treated_group", "rho": 0.5}
    nmda = {"rho": 0.5, "within": "experiment"}
    fst = {"rho": 0.5, "within": "control_group"}
    return {
        "fst": (
            bm.load_dataset("fst"),
            {"shared_control": "control_group", "rho": 0.5},
            fst,
            "study/control_group",
        ),
        "nmda_social, interaction": (
            bm.load_dataset("nmda_social", "interaction"),
            exact,
            nmda,
            "study/experiment",
        ),
        "nmda_social, preference": (
            bm.load_dataset("nmda_social", "preference"),
            exact,
            nmda,
            "study/experiment",
        ),
    }


def pooled() -> pd.DataFrame:
    """Return the mean and total tau of each table by likelihood."""
    rows = []
    for name, (table, labelled, one_rho, groups) in tables().items():
        spec = bm.ModelSpec(peak=f"1 + (1 | {groups})", decay="none")
        for likelihood, fit in by_likelihood(table, spec, labelled, one_rho):
            draws = fit.posterior
            inner = next(n for n in draws if str(n).startswith("tau_"))
            total = (draws["tau"] ** 2 + draws[inner] ** 2) ** 0.5
            low, high = draws["level"].quantile([0.025, 0.975]).values
            rows.append(
                {
                    "table": name,
                    "rows": len(fit.design.effects),
                    "likelihood": likelihood,
                    "mean": float(draws["level"].mean()),
                    "ci_low": float(low),
                    "ci_high": float(high),
                    "tau, total": float(total.mean()),
                }
            )
    found = pd.DataFrame(rows)
    reference = found[found["likelihood"] == "normal, LS"].set_index("table")["mean"]
    found["moved, %"] = 100 * (found["mean"] / found["table"].map(reference) - 1)
    return found


def by_likelihood(
    table: StudyTable, spec: bm.ModelSpec, labelled: dict[str, Any], one_rho: dict[str, Any]
) -> Iterator[tuple[str, bm.Fit]]:
    """Yield a fit by likelihood; the plug-in ones share their code."""
    plug_in, engine = replace(spec, likelihood="normal"), None
    for variance in VARIANCES:
        try:
            effects = bm.effect_sizes(table, variance=variance, **one_rho)
        except bm.TableError:  # UB has none for two animals beside two
            assert variance == "UB"
            continue
        plan = design(plug_in, effects)
        engine = engine or compiled(plan)
        own = replace(engine, design=plan).with_data(**data_of(plan))
        yield f"normal, {variance}", fit_design(plan, SETTINGS, own)
    plan = design(replace(spec, likelihood="exact"), bm.effect_sizes(table, **labelled))
    yield "exact", fit_design(plan, SETTINGS)


# -- curves ----------------------------------------------------------------------------------------


def fits() -> dict[str, bm.Fit]:
    """Return the shipped model of nmda_social under either likelihood."""
    model = bm.load_analysis("nmda_social")
    effects = model.effects()
    return {
        "normal, LS": bm.fit(
            effects, replace(model.spec, likelihood="normal"), seed=SEED, progress=False
        ),
        "exact": bm.fit(effects, model.spec, seed=SEED, progress=False),
    }


def curves(found: dict[str, bm.Fit], delay: Any) -> pd.DataFrame:
    """Return the population mean by regimen, delay and likelihood."""
    parts = []
    for name, fit in found.items():
        at = bm.grid(fit, regimen=["single", "repeated"], delay=delay)
        parts.append(bm.summary(bm.decay_curve(fit, at)).assign(likelihood=name))
    return pd.concat(parts, ignore_index=True)


def beside(found: dict[str, bm.Fit]) -> pd.DataFrame:
    """Return the curves as a table, with the ratio of the two likelihoods."""
    table = curves(found, GRID)
    keys = ["regimen", "delay"]
    wide = {name: own.set_index(keys) for name, own in table.groupby("likelihood", sort=False)}
    out = pd.DataFrame(
        {
            name: [
                f"{m:.2f} [{low:.2f}, {high:.2f}]"
                for m, low, high in own[["mean", "ci_low", "ci_high"]].to_numpy()
            ]
            for name, own in wide.items()
        },
        index=wide["exact"].index,
    )
    out["moved, %"] = 100 * (wide["exact"]["mean"] / wide["normal, LS"]["mean"] - 1)
    return out.reset_index()


def picture(means: pd.DataFrame, found: dict[str, bm.Fit]) -> None:
    """Draw pooled means by likelihood, and both curves."""
    figure, (left, *right) = plt.subplots(
        1, 3, figsize=(12, 4.2), layout="constrained", width_ratios=[1.2, 1, 1]
    )
    means = means.iloc[::-1].reset_index(drop=True)
    for i, row in means.iterrows():
        colour = COLOURS.get(row["likelihood"], "#777777")
        left.plot([row["ci_low"], row["ci_high"]], [i, i], color=colour, lw=2)
        left.plot(row["mean"], i, "s" if row["likelihood"] == "exact" else "o", color=colour)
    left.set_yticks(range(len(means)), means["table"] + "\n" + means["likelihood"], fontsize=7)
    left.axvline(0, color="black", lw=0.6)
    left.set(xlabel="Hedges g, posterior mean and 95% interval", title="One mean")
    delays = bm.days(0.02, 28, step=0.2)
    table = curves(found, delays)
    for axis, regimen in zip(right, ("single", "repeated"), strict=True):
        for name, own in table[table["regimen"] == regimen].groupby("likelihood", sort=False):
            axis.plot(own["delay"], own["mean"], color=COLOURS[name], label=name)
            axis.fill_between(
                own["delay"], own["ci_low"], own["ci_high"], color=COLOURS[name], alpha=0.2
            )
        axis.axhline(0, color="black", lw=0.6)
        axis.set(title=f"nmda_social, {regimen}", xlabel="days since the last dose", xscale="log")
        axis.set_ylim(-5.5, 0.5)
    right[0].set_ylabel("Hedges g")
    right[0].legend(frameon=False)
    figure.savefig(HERE / "exact.png", dpi=150)


def main() -> None:
    """Fit, compare, draw, write."""
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)
    means, found = pooled(), fits()
    picture(means, found)
    text = [
        "# The exact likelihood on two tables: made by `BAYESMA_DATA=FOLDER python "
        "evidence/exact.py`\n\n",
        "Data: Martins et al. 2025 (fst, doi 10.1097/FBP.0000000000000844, MIT); Gallas-Lopes et "
        "al. 2026 (nmda_social, doi 10.5281/zenodo.18284730, CC BY 4.0).\n\n",
        "The plug-in likelihood N(g, v(g)) takes v as known, though it is computed from g; which "
        "formula of v is taken moves the mean. The exact likelihood takes no v. It also has what "
        "rows share: one SD and one control mean for rows of one control group, rho = 0.5 for "
        "animals measured again; the plug-in fits here have one correlation, 0.5, for all rows of "
        "a control group (fst) or of an experiment (nmda_social), as their authors had. UB is not "
        "defined for two animals beside two, so nmda_social, interaction, has none.\n\n",
        "![Means and curves by likelihood](exact.png)\n",
        section("One mean, by likelihood", means, index=False),
        section(
            "nmda_social, the shipped model: population mean by delay (days)",
            beside(found),
            index=False,
        ),
    ]
    (HERE / "exact.md").write_text("".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
