"""Speed of the spine, as ratios measured side by side in one run.

Run ``python benchmarks/spine.py``; it takes some minutes and rewrites README.md beside itself.

1. From a CSV file to a posterior: cold (a fresh process, imports and compilation included) and
   warm (other data of the same shape on the compiled model).
2. Sampling alone, and effective draws of tau per second, at 40, 400 and 4,000 rows, against plain
   ``pm.sample`` (PyMC's own NUTS) on the textbook non-centred model of the same data.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import arviz_stats
import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

import bayesma as bm
from bayesma.bayes.sampler import Compiled, Settings, compiled, sample
from bayesma.design import design

HERE = Path(__file__).parent
SEED = 1
ROWS_PER_STUDY = 4
TRUTH = {"mean": 1.5, "tau": 1.0}
SPEC = bm.ModelSpec(peak="1 + (1 | study)", decay="none")
# The non-centred model at 4,000 rows is slow: fewer draws, and time is compared per draw.
DRAWS = {40: 1000, 400: 1000, 4000: 250}
COLD = """
import time; start = time.perf_counter()
import bayesma as bm
effects = bm.effect_sizes(bm.load_dataset("simulated_decay"))
fit = bm.fit(effects, bm.load_spec("simulated_decay"), seed=1, progress=False)
print(time.perf_counter() - start)
"""


def table(rows: int) -> pd.DataFrame:
    """Return a table simulated from the normal-normal model with known truth."""
    rng = np.random.default_rng(SEED)
    study = np.arange(rows) // ROWS_PER_STUDY
    theta = TRUTH["mean"] + TRUTH["tau"] * rng.standard_normal(study.max() + 1)
    v = rng.uniform(0.2, 0.6, rows)
    y = theta[study] + np.sqrt(v) * rng.standard_normal(rows)
    return pd.DataFrame({"study": [f"s{i:04d}" for i in study], "y": y, "v": v})


def timed(work) -> tuple[float, xr.DataTree]:
    """Return the wall time of a call in seconds, and what it returned."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def non_centred(frame: pd.DataFrame) -> pm.Model:
    """Return the textbook model: a latent standard normal effect per study."""
    index, labels = pd.factorize(frame["study"])
    with pm.Model() as model:
        mean = pm.Normal("mean", 0, 5)
        tau = pm.HalfNormal("tau", 2)
        z = pm.Normal("z", 0, 1, shape=len(labels))
        pm.Normal("y", mean + tau * z[index], np.sqrt(frame["v"]), observed=frame["y"])
    return model


def plain(frame: pd.DataFrame, draws: int) -> xr.DataTree:
    """Return the draws of pm.sample on the textbook model, compilation included."""
    with non_centred(frame):
        return pm.sample(
            draws=draws, tune=draws, chains=4, cores=2, random_seed=SEED, progressbar=False,
            nuts_sampler="pymc", compute_convergence_checks=False,
        )  # fmt: skip


def per_second(tree: xr.DataTree, seconds: float) -> float:
    """Return effective draws of tau per second."""
    return float(arviz_stats.ess(tree["posterior"].dataset["tau"], method="bulk")) / seconds


def sampling_seconds(tree: xr.DataTree, wall: float) -> float:
    """Return PyMC's own account of the time it sampled, without compilation."""
    return float(tree["posterior"].attrs.get("sampling_time", wall))


def compare(rows: int) -> dict[str, object]:
    """Return one line of the table: both models on the same rows."""
    frame, draws = table(rows), DRAWS[rows]
    engine = compiled(design(SPEC, bm.effect_sizes(frame)))
    settings = Settings(seed=SEED, progress=False)
    sample(engine, Settings(seed=SEED, draws=10, tune=10, progress=False))  # wake the threads
    ours, marginal = timed(lambda: sample(engine, settings))
    wall, latent = timed(lambda: plain(frame, draws))
    theirs = sampling_seconds(latent, wall)
    rates = per_second(marginal, ours), per_second(latent, theirs)
    return {
        "rows": rows,
        "bayesma: s per 1,000 draws a chain": round(ours, 2),
        "pm.sample: s per 1,000 draws a chain": round(theirs * 1000 / draws, 2),
        "bayesma: ESS(tau)/s": round(rates[0]),
        "pm.sample: ESS(tau)/s": round(rates[1]),
        "ratio of ESS(tau)/s": round(rates[0] / rates[1], 1),
    }


def cold_and_warm() -> dict[str, float]:
    """Return seconds from a CSV file to a posterior."""
    out = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True)
    effects = bm.effect_sizes(bm.load_dataset("simulated_decay"))
    engine = compiled(design(bm.load_spec("simulated_decay"), effects))
    warm, _ = timed(lambda: sample(refit(engine, effects), Settings(seed=2, progress=False)))
    return {"cold": float(out.stdout), "warm": warm}


def refit(engine: Compiled, effects: bm.Effects) -> Compiled:
    """Return the compiled model on other effects of the same shape."""
    return engine.with_data(y_observed=effects.y + 0.1)


def markdown(frame: pd.DataFrame) -> str:
    """Return a frame as a Markdown table."""
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + " --- |" * len(frame.columns)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in frame.to_numpy(dtype=object)]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    spine = cold_and_warm()
    ratios = pd.DataFrame([compare(rows) for rows in DRAWS])
    costs = ratios["bayesma: s per 1,000 draws a chain"]
    cold, warm = spine["cold"], spine["warm"]
    text = f"""# Benchmarks

Made by `python benchmarks/spine.py` on {os.cpu_count()} cores, Python {platform.python_version()}.
Absolute times are this machine's; the ratios were measured side by side in one run.

From a CSV file of 120 rows to a posterior of 4,000 draws: cold {cold:.1f} s (imports and
compilation included), warm {warm:.1f} s on a compiled model: {cold / warm:.0f} times faster.

Sampling alone, no decay, {ROWS_PER_STUDY} rows a study, 4 chains; bayesma integrates the study
effects out, `pm.sample` runs PyMC's own NUTS on the textbook non-centred model.

{markdown(ratios)}

From 400 to 4,000 rows bayesma's sampling cost grows {costs.iloc[2] / costs.iloc[1]:.1f}-fold.

The classical engine has a page of its own, frequentist.md.
"""
    (HERE / "README.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
