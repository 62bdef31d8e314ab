"""How does the exact likelihood sample on nmda_social? Health, time and memory.

Run ``BAYESMA_DATA=FOLDER python evidence/sampling.py``; it writes sampling.md beside itself. Time
it on a machine that does nothing else.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from tables import section

import bayesma as bm

HERE = Path(__file__).parent
SEED = 1


def sampled(variant: str | None) -> None:
    """Fit one model in a process of its own, and print a line of how it went."""
    start = time.perf_counter()
    effects = bm.load_analysis("nmda_social", variant).effects()
    spec = bm.load_spec("nmda_social", variant)
    fit = bm.fit(effects, spec, seed=SEED, progress=False)
    seconds = time.perf_counter() - start
    table = fit.summary()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    ess = table[["ess_bulk", "ess_tail"]].to_numpy().min()
    divergent = int(fit.tree["sample_stats"]["diverging"].sum())
    cells = [len(effects), len(fit.design.effects), divergent, f"{table['r_hat'].max():.4f}"]
    print(*cells, f"{ess:.0f}", f"{seconds:.0f}", f"{peak:.2f}", sep="|")


def health() -> pd.DataFrame:
    """Return how the shipped model samples, on rows with a delay, and one mean on all rows."""
    names = [
        "rows",
        "used",
        "divergent",
        "largest R-hat",
        "least ESS",
        "seconds",
        "peak memory, GB",
    ]
    rows = []
    for variant in ("one_mean", ""):
        code = f"import sampling; sampling.sampled({variant!r} or None)"
        out = subprocess.run(
            [sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, check=True
        )
        rows.append(
            [variant or "the model itself", *out.stdout.strip().splitlines()[-1].split("|")]
        )
    return pd.DataFrame(rows, columns=["variant", *names])


def main() -> None:
    """Fit, time, write."""
    text = (
        "# Sampling of the exact likelihood: made by `BAYESMA_DATA=FOLDER python "
        "evidence/sampling.py`\n\n"
        "Data: Gallas-Lopes et al. 2026, doi 10.5281/zenodo.18284730, CC BY 4.0. 4 chains of 1,000 "
        f"draws after 1,000 of tuning, default settings, {os.cpu_count()} cores, a process each; "
        "seconds are of the whole of it, reading and compiling included, R-hat and ESS over all "
        "that `summary()` reports.\n"
    )
    text += section("nmda_social", health(), index=False)
    (HERE / "sampling.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
