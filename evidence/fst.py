"""How far do the sampling variance and the size of shared control groups move a pooled effect?

Run ``BAYESMA_DATA=FOLDER python evidence/fst.py`` (data/fst/README.md says how to fill the
folder). It writes fst.md beside itself. The data are Martins et al. 2025, MIT licence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tables import section

import bayesma as bm
from bayesma.bayes.sampler import Compiled, Settings, compiled, sample
from bayesma.covariance import Blocks, compound_symmetry
from bayesma.design import Design, design
from bayesma.effects import Effects
from bayesma.measures import MEASURES, arms_of

HERE = Path(__file__).parent
SEED = 1
VARIANCES = ("LS", "LS2", "UB", "AV")
SIZES = {"split": "n_control_split", "true": "n_control"}
# What is a draw of its own: the levels of the group effects.
STRUCTURES = {
    "rows": "row_id",
    "studies": "study",
    "studies and rows": "study/row_id",
    "studies and shared controls": "study/control_group",
}
SHARED = "studies and shared controls"
PUBLISHED = ("rows", "split", "LS")
ENGINE = (
    "REML here is bm.pool and bm.multilevel, which the tests hold to metafor's rma and rma.mv. I2 "
    "is that of Higgins & Thompson 2002 with the sum of the variances; where controls are shared, "
    "their covariance counts in the typical sampling variance.\n"
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pooled:
    """A pooled effect with its 95% interval and the variance of each level, outermost first."""

    g: float
    low: float
    high: float
    tau2: tuple[float, ...]
    health: str = ""

    def __str__(self) -> str:
        """Return the effect as it is printed."""
        return f"{self.g:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def variances(self) -> str:
        """The variance of each level, as it is printed."""
        return " + ".join(f"{tau2:.2f}" for tau2 in self.tau2)


def effects_of(table: bm.StudyTable, size: str, variance: str, shared: bool) -> Effects:
    """Return control minus treated at a size of the control groups."""
    frame = table.frame
    arms = arms_of(
        *(frame[name] for name in ("mean_treated", "sd_treated", "n_treated")),
        *(frame[name] for name in ("mean_control", "sd_control", SIZES[size])),
    )
    y, v = MEASURES["SMD"](arms, variance, direction=-1)
    covariance = compound_symmetry(v, list(frame["control_group"]), 0.5) if shared else Blocks(v)
    return Effects(frame.assign(y=y, v=v), "SMD", variance, covariance, source=table.source)


def reml(effects: Effects, random: str) -> tuple[Pooled, float]:
    """Return the restricted maximum likelihood estimate of one mean, and I2 in percent."""
    if random == "row_id":
        one = bm.pool(effects, ci="z")
        return Pooled(one.estimate, *one.ci, (one.tau2,)), one.i2
    found = bm.multilevel(effects, random=random, df="z")
    g, low, high = found.table.loc["Intercept", ["estimate", "ci_low", "ci_high"]]
    return Pooled(g, low, high, tuple(found.sigma2)), float(found.i2.sum())


def bayes(engine: Compiled, plan: Design) -> Pooled:
    """Return the posterior mean and 95% interval; the code is compiled for the structure."""
    whitening = plan.effects.covariance.whitening()
    engine = engine.with_data(
        y_observed=plan.effects.y,
        whitening_value=whitening.values,
        log_det_v=whitening.log_det,
    )
    draws = sample(engine, Settings(seed=SEED, progress=False))
    table = bm.Fit(draws, plan).summary()
    posterior = draws["posterior"]
    g = posterior["level"].values.ravel()
    tau2 = tuple(float((posterior[name].values ** 2).mean()) for name in plan.tau_names)
    divergences = int(draws["sample_stats"]["diverging"].sum())
    least = int(table[["ess_bulk", "ess_tail"]].min().min())
    health = f"{divergences} / {table['r_hat'].max():.3f} / {least}"
    low, high = np.quantile(g, [0.025, 0.975])
    return Pooled(float(g.mean()), float(low), float(high), tau2, health)


Key = tuple[str, str, str]


def fitted(table: bm.StudyTable) -> dict[Key, tuple[Pooled, Pooled, float]]:
    """Return REML, posterior and I2 by structure, size and variance."""
    found = {}
    for structure, random in STRUCTURES.items():
        spec, engine = bm.ModelSpec(peak=f"1 + (1 | {random})", decay="none"), None
        for size in ("true",) if structure == SHARED else SIZES:
            for variance in VARIANCES:
                effects = effects_of(table, size, variance, structure == SHARED)
                plan = design(spec, effects)
                engine = engine or compiled(plan)
                estimate, share = reml(effects, random)
                key = (structure, size, variance)
                found[key] = estimate, bayes(engine, plan), share
                print(*key, *found[key], flush=True)
    return found


def shown(found: Mapping[Key, tuple[Pooled, Pooled, float]]) -> pd.DataFrame:
    """Return the estimates as a table."""
    return pd.DataFrame(
        {
            "draws of their own": structure,
            "control n": size,
            "variance": variance,
            "REML g": str(estimate),
            "tau2": estimate.variances,
            "I2": f"{share:.1f}%",
            "posterior g": str(posterior),
            "posterior tau2": posterior.variances,
            "divergences / R-hat / ESS": posterior.health,
        }
        for (structure, size, variance), (estimate, posterior, share) in found.items()
    )


def in_words(found: Mapping[Key, tuple[Pooled, Pooled, float]], table: bm.StudyTable) -> str:
    """Return which combination gives which published number, and why they differ."""

    def of(*key: str) -> str:
        return str(found[key][0])  # type: ignore[index]

    estimate, _, share = found[PUBLISHED]
    plain = effects_of(table, "split", "LS", False).y.mean()
    return (
        f"\nThe published 1.66 [1.53, 1.79] with I2 = 81.5% is rows, split control n, LS: "
        f"{estimate}, I2 = {share:.1f}%. The 1.46 that has been seen is the same with UB "
        f"({of('rows', 'split', 'UB')}), the 2.79 the same with AV ({of('rows', 'split', 'AV')}).\n"
        "\nLS, LS2 and UB hold the row's own g squared, so that the largest effects weigh least: "
        "with the factor 1 / (2N) in LS, and in UB with 1.5 times that at 12 animals and 2.6 times "
        "at 6. AV gives all rows of a size the same variance, and lands near the plain mean of the "
        f"effects, {plain:.2f}, some of which reach 60. Which is nearest the truth this table "
        "cannot say; a variance that depends on the observed effect is the weak point of the "
        "normal likelihood.\n"
        f"\nTrue control sizes move LS to {of('rows', 'true', 'LS')}, UB to "
        f"{of('rows', 'true', 'UB')} and AV to {of('rows', 'true', 'AV')}. Rows of a study are far "
        f"more alike than rows of different studies: with a draw per study and LS it is "
        f"{of('studies', 'true', 'LS')}, with one per row besides "
        f"{of('studies and rows', 'true', 'LS')}, and with the covariance of shared control groups "
        f"(rho = 0.5) {of(SHARED, 'true', 'LS')}.\n"
    )


def same_as_published(table: bm.StudyTable) -> float:
    """Return the largest difference from the effects in the table as_published."""
    given = bm.effect_sizes(bm.load_dataset("fst", "as_published"))
    return float(abs(effects_of(table, "split", "LS", False).y - given.y).max())


def main() -> None:
    """Fit, compare, write."""
    table = bm.load_dataset("fst")
    assert same_as_published(table) < 1e-12
    found = fitted(table)
    model = bm.load_analysis("fst", "normal")
    fit = bm.fit(model, seed=SEED, progress=False)
    at = bm.grid(fit, regimen=["single", "repeated"], species=["mouse", "rat"])
    text = [
        "# fst: made by `BAYESMA_DATA=FOLDER python evidence/fst.py`\n",
        "Data: Martins et al. 2025, doi 10.1097/FBP.0000000000000844, MIT licence. 561 effects on "
        "immobility from 200 studies, control minus treated. Intervals are 95%.\n",
        section("Pooled g by size of the control group and variance", shown(found), index=False),
        in_words(found, table),
        "\n" + ENGINE,
        "\nThe posterior has the default priors: level N(0, 5), each tau HalfNormal(2). tau2 is "
        "that between studies first; I2 takes their sum.\n",
        section(
            "models/fst.toml, variant normal: level by regimen and species",
            bm.summary(bm.decay_curve(fit, at)),
            False,
        ),
        "\n" + "".join(f"- {problem}\n" for problem in fit.problems or ["no problems"]),
    ]
    (HERE / "fst.md").write_text("".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
