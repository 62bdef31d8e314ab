"""The noncentral t's log density beside SciPy's, in one run; the likelihood of a table beside both.

Run ``python benchmarks/noncentral.py``; it writes noncentral.md beside itself. Ratios are of
medians of alternating runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats

import bayesma as bm
from bayesma.design import design
from bayesma.noncentral.densities import log_noncentral_t
from bayesma.predictive import group_log_likelihoods, prior_draws

HERE = Path(__file__).parent
SIZE, RUNS, SEED = 100_000, 7, 1


def seconds(*calls: Callable[[], object]) -> list[float]:
    """Return the median time of each call, in turns; the first turn does not count."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(RUNS + 1):
        for own, call in zip(times, calls, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return [statistics.median(own[1:]) for own in times]


def densities() -> tuple[float, float, float]:
    """Return seconds of ours and SciPy's, and the largest difference, for animal-sized effects."""
    rng = np.random.default_rng(SEED)
    df = rng.integers(8, 17, SIZE).astype(float)
    v = rng.uniform(0.2, 0.5, SIZE)
    mean = rng.normal(2, 2, SIZE)
    d = rng.normal(mean, np.sqrt(v)) / np.sqrt(rng.chisquare(df) / df)

    def ours() -> np.ndarray:
        return log_noncentral_t(d, df, mean, v)

    def scipys() -> np.ndarray:
        return np.asarray(stats.nct.logpdf(d / np.sqrt(v), df, mean / np.sqrt(v)) - np.log(v) / 2)

    apart = float(np.abs(ours() - scipys()).max())
    return (*seconds(ours, scipys), apart)  # type: ignore[return-value]


def likelihoods() -> tuple[float, float]:
    """Return seconds of the normal and of the exact likelihood of 100 draws, study effects out."""
    effects = bm.effect_sizes(bm.load_dataset("simulated_decay"))
    calls = []
    for likelihood in ("normal", "exact"):
        plan = design(bm.ModelSpec(half_life="regimen", likelihood=likelihood), effects)
        draws = prior_draws(plan, 100, np.random.default_rng(SEED))
        calls.append(lambda plan=plan, draws=draws: group_log_likelihoods(plan, draws))
    normal, exact = seconds(*calls)
    return normal, exact


def main() -> None:
    """Measure, write."""
    ours, scipys, apart = densities()
    normal, exact = likelihoods()
    text = (
        "# The exact likelihood: made by benchmarks/noncentral.py\n\n"
        f"Medians of {RUNS} alternating runs.\n\n"
        "| what | ms | ratio |\n| --- | --- | --- |\n"
        f"| log density of {SIZE:,} effects of 5 to 9 animals an arm | {1e3 * ours:.1f} | 1 |\n"
        f"| the same, scipy.stats.nct (they differ by {apart:.0e} at most) | {1e3 * scipys:.1f} | "
        f"{scipys / ours:.0f} |\n"
        f"| normal likelihood of 100 draws, 120 rows in 40 studies | {1e3 * normal:.1f} | 1 |\n"
        "| exact likelihood of the same, variance ratios and study effects integrated out | "
        f"{1e3 * exact:.1f} | {exact / normal:.0f} |\n"
    )
    (HERE / "noncentral.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
