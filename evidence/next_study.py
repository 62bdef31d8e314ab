"""Does next_study() say what fitting again with the new study says?

Run ``python evidence/next_study.py`` (some ten minutes on two cores). It writes next_study.md
beside itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tables import section

import bayesma as bm
from bayesma.bayes.model import data_of
from bayesma.bayes.sampler import Compiled, Settings, compiled, sample
from bayesma.design import Design, design
from bayesma.queries.curves import effect_at
from bayesma.queries.grids import grid, points_of
from bayesma.translation import Target, next_study
from bayesma.translation.learning.candidates import candidates_of
from bayesma.translation.learning.experiments import law_of, outcomes_of
from bayesma.translation.learning.nextstudy import particles_for, question_for
from bayesma.translation.learning.targets import sought_of
from bayesma.translation.learning.variances import variances_after

HERE = Path(__file__).parent
SEED, STUDIES, RESULTS, BEFORE, PARTICLES = 1, 12, 20, 24, 32_000
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


def spread(engine: Compiled, plan: Design, seed: int) -> float:
    """Return the target's variance by sampling a design."""
    settings = Settings(seed=seed, draws=2500, tune=500, target_accept=0.9, progress=False)
    again = bm.Fit(sample(engine.with_data(**data_of(plan)), settings), plan)
    sides = [effect_at(again, points_of(grid(again, **side))).ravel() for side in TARGET.sides]
    return float((sides[0] - sides[1]).var())


def refitted(
    rows: pd.DataFrame, fit: bm.Fit, candidate: pd.Series, results: list[float]
) -> NDArray[np.float64]:
    """Return the target's variance after each result, by fitting again."""
    plans = [with_result(rows, fit, candidate, d) for d in results]
    engine = compiled(plans[0])
    return np.array([spread(engine, plan, SEED + i) for i, plan in enumerate(plans)])


def mean_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return a mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


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
    engine = compiled(fit.design)
    before = [spread(engine, fit.design, 100 + number) for number in range(BEFORE)]
    now, now_error = mean_and_error(np.array(before))
    print(now, now_error, moments.total, flush=True)
    table = answer.table.set_index(["regimen", "delay", "n"])
    levels = (np.arange(RESULTS) + 0.5) / RESULTS
    lines = []
    for one, (_, row) in zip(read.each, CANDIDATES.iterrows(), strict=True):
        law = law_of(asked, one, told, particles)
        drawn = law.draws(np.arange(PARTICLES), np.random.default_rng(SEED))
        results = np.quantile(drawn, levels)
        weighed = variances_after(moments, law, results) / moments.total
        fitted = refitted(rows, fit, row, list(results)) / now
        found = table.loc[(row["regimen"], row["delay"], row["n"])]
        gap, error = mean_and_error(weighed - fitted)
        lines.append(
            {
                "regimen": row["regimen"],
                "delay (d)": row["delay"],
                "n per arm": row["n"],
                "next_study": found["reduction"],
                "mcse": found["mcse"],
                "weighed, these results": 1 - weighed.mean(),
                "fitted again": 1 - fitted.mean(),
                "difference": gap,
                "se": np.hypot(error, now_error / now),
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
beside that of `next_study`, which weighs the draws of the first fit anew. What it is a share of is
sampled again as well: {BEFORE} refits of the data as they stand give a variance of {now:.4f}
(standard error {now_error:.4f}), the first fit {moments.total:.4f}. "correlation" is over the
results: lucky and unlucky ones are told apart alike. The difference is paired by result; its
standard error is of the refits before and after, and the part before is common to all rows.
"Weighed, these results" is more than `next_study` because results at quantiles leave out both
tails: results that surprise, and so leave more variance.
"""
    (HERE / "next_study.md").write_text(
        page + section("Refits", pd.DataFrame(lines), index=False), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
