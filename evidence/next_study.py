"""Does next_study() say what fitting again with the new study says?

Run ``python evidence/next_study.py`` (some ten minutes). It writes next_study.md beside itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tables import section

import bayesma as bm
from bayesma.bayes.model import data_of
from bayesma.bayes.sampler import Settings, compiled, sample
from bayesma.design import Design, design
from bayesma.queries.curves import effect_at
from bayesma.queries.grids import grid, points_of
from bayesma.translation import Target, next_study
from bayesma.translation.learning.candidates import candidates_of
from bayesma.translation.learning.experiments import law_of, outcomes_of
from bayesma.translation.learning.nextstudy import particles_for, question_for
from bayesma.translation.learning.particles import GROUPS, Particles
from bayesma.translation.learning.targets import Moments, sought_of
from bayesma.translation.learning.variances import variances_after

HERE = Path(__file__).parent
SEED, STUDIES, RESULTS, PARTICLES = 1, 12, 25, 32_000
SPEC = bm.load_spec("simulated_decay")
CANDIDATES = pd.DataFrame(
    {
        "regimen": ["repeated", "single", "repeated"],
        "delay": [14.0, 1.0, 3.0],
        "n": [50, 20, 8],
    }
)
TARGET = Target("contrast", to=None, delay=3, pair={"regimen": ("repeated", "single")})


def with_result(rows: pd.DataFrame, fit: bm.Fit, candidate: pd.Series, d: float) -> Design:
    """Return the design with one study more, which found d, and the levels' delays as before."""
    new = rows.iloc[[0]].assign(
        row_id="new", study="new", experiment="E1", regimen=candidate["regimen"],
        delay=candidate["delay"], mean_treated=10 + d, mean_control=10.0, sd_treated=1.0,
        sd_control=1.0, n_treated=float(candidate["n"]), n_control=float(candidate["n"]),
    )  # fmt: skip
    effects = bm.effect_sizes(pd.concat([rows, new], ignore_index=True))
    plan = replace(design(SPEC, effects), references=fit.design.references)
    return replace(plan, points=plan.at(plan.frame))


def refitted(rows: pd.DataFrame, fit: bm.Fit, candidate: pd.Series, results: list[float]) -> list:
    """Return the target's variance after each result, by fitting again."""
    engine = compiled(with_result(rows, fit, candidate, results[0]))
    out = []
    for number, d in enumerate(results):
        plan = with_result(rows, fit, candidate, d)
        settings = Settings(
            seed=SEED + number, draws=1000, tune=500, target_accept=0.9, progress=False
        )
        tree = sample(engine.with_data(**data_of(plan)), settings)
        again = bm.Fit(tree, plan)
        sides = [effect_at(again, points_of(grid(again, **side))).ravel() for side in TARGET.sides]
        out.append((sides[0] - sides[1]).var())
        print(f"result {number + 1} of {len(results)}: {d:.2f}, variance {out[-1]:.4f}", flush=True)
    return out


def relative_error(moments: Moments, particles: Particles) -> float:
    """Return the relative standard error of the first fit's variance, by a jackknife."""
    kept = [moments.mean[particles.groups != group].var() for group in range(GROUPS)]
    return float(np.sqrt((GROUPS - 1) * np.var(kept)) / moments.total)


def main() -> None:
    """Write the page."""
    rows = bm.load_dataset("simulated_decay").frame
    rows = rows[rows["study"].isin(sorted(rows["study"].unique())[:STUDIES])]
    fit = bm.fit(bm.effect_sizes(rows), SPEC, seed=SEED, draws=6000, progress=False)
    answer = next_study(fit, CANDIDATES, TARGET, draws=PARTICLES, seed=SEED)
    asked = question_for(fit, TARGET, None, None, None, None)
    read = candidates_of(asked, CANDIDATES)
    told = outcomes_of(asked, None)
    particles = particles_for(asked, TARGET, read, PARTICLES, np.random.default_rng(SEED))
    moments = sought_of(asked, TARGET).moments(particles)
    first = relative_error(moments, particles)
    table = answer.table.set_index(["regimen", "delay", "n"])
    levels = (np.arange(RESULTS) + 0.5) / RESULTS
    lines = []
    for one, (_, row) in zip(read.each, CANDIDATES.iterrows(), strict=True):
        law = law_of(asked, one, told, particles)
        drawn = law.draws(np.arange(PARTICLES), np.random.default_rng(SEED))
        results = np.quantile(drawn, levels)
        weighed = variances_after(moments, law, results) / moments.total
        fitted = np.array(refitted(rows, fit, row, list(results))) / moments.total
        found = table.loc[(row["regimen"], row["delay"], row["n"])]
        gaps = fitted - weighed
        lines.append(
            {
                "regimen": row["regimen"],
                "delay (d)": row["delay"],
                "n per arm": row["n"],
                "next_study": found["reduction"],
                "mcse": found["mcse"],
                "weighed, these results": 1 - weighed.mean(),
                "fitted again": 1 - fitted.mean(),
                "difference": -gaps.mean(),
                "se": np.hypot(gaps.std(ddof=1) / np.sqrt(RESULTS), first * weighed.mean()),
                "correlation": np.corrcoef(fitted, weighed)[0, 1],
            }
        )
        print(lines[-1], flush=True)
    page = f"""# What the next study would tell, by fitting again

`evidence/next_study.py` makes this page. The first {STUDIES} studies of the SIMULATED data
(data/simulated_decay) are fitted; the target is {TARGET.words}, of SD
{np.sqrt(moments.total):.3f} now. For each candidate, {RESULTS} results at equally likely
quantiles of what it may find are added as a study of their own, one at a time, and the model is
sampled again. The share of the target's variance that is then gone, averaged over the results, is
beside that of `next_study`, which weighs the draws of the first fit anew. "correlation" is over
the results: a lucky and an unlucky result are told apart alike. The difference is paired by
result; its standard error is of the refits' draws, and of the first fit's variance, whose own is
{first:.1%}: that part is common to all rows.
"""
    (HERE / "next_study.md").write_text(
        page + section("Refits", pd.DataFrame(lines), index=False), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
