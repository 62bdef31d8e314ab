"""Does the default model find the truth? Simulation-based calibration, recorded with its seed.

Run ``python evidence/calibration.py [--replicates 500] [--seed 1] [--jobs -1]``. It writes
calibration.md and calibration_*.png beside itself, and keeps finished replicates in ``--folder``,
so that an interrupted run goes on where it stopped.

The rows are those of data/simulated_decay: 40 studies of 3 experiments, two regimens, 5 to 9
animals per arm. Each replicate draws parameters from the default priors and new animals for every
arm. The model is then refitted with the exact likelihood, which must pass, and with the normal one
(variance LS), which must not.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from tables import section

import bayesma as bm

HERE = Path(__file__).parent
SPEC = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen", decay="exponential")
# Likelihood: whether it must pass, and how the page calls it.
MODELS = {
    "exact": (True, "Exact likelihood (noncentral t), the default for SMDs from arms"),
    "normal": (False, "Normal likelihood (variance LS), wrong for small arms"),
}
COLUMNS = [
    "quantity",
    "coverage_50",
    "coverage_80",
    "coverage_95",
    "coverage_95_se",
    "mean_rank",
    "p_uniform",
    "inside_95",
    "inside",
]
PACKAGES = ("bayesma", "nutpie", "pymc", "arviz-stats", "numpy")


def one(likelihood: str, options: argparse.Namespace) -> str:
    """Run one likelihood, draw it, and return its part of the page."""
    must_pass, title = MODELS[likelihood]
    replicates = options.replicates if must_pass else options.wrong
    effects = bm.effect_sizes(bm.load_dataset("simulated_decay"))
    folder = options.folder / f"{likelihood}_{options.seed}"
    done = len(list(folder.glob("replicate_*")))
    start = time.perf_counter()
    found = bm.calibrate(
        replace(SPEC, likelihood=likelihood),
        effects,
        replicates=replicates,
        seed=options.seed,
        n_jobs=options.jobs,
        folder=folder,
    )
    seconds = time.perf_counter() - start
    picture = f"calibration_{likelihood}.png"
    bm.plot_calibration(found, title).savefig(HERE / picture, dpi=110)
    as_it_must = "as it must" if found.passed == must_pass else "WHICH IT MUST NOT"
    verdict = f"{'Passed' if found.passed else 'Not passed'}, {as_it_must}."
    fresh = replicates - done
    lines = [
        section(title, found.table[COLUMNS], index=False),
        f"\n**{verdict}**\n",
        "".join(f"\n- {sentence}" for sentence in (*found.problems, *found.notes)),
        f"\n\n{fresh} replicates in {seconds:.0f} s, the compile included." if fresh > 0 else "",
        f"\n\n![{title}]({picture})\n",
    ]
    return "".join(lines)


def main() -> None:
    """Run, draw, write."""
    parser = argparse.ArgumentParser(description="Simulation-based calibration of the default.")
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--wrong", type=int, default=100, help="replicates of the wrong one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "calibration")
    parser.add_argument("--only", choices=list(MODELS), default=None)
    options = parser.parse_args()
    asked = [options.only] if options.only else list(MODELS)
    parts = [one(likelihood, options) for likelihood in asked]
    made = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    text = (
        "# Simulation-based calibration of the default model: made by evidence/calibration.py\n\n"
        f"{options.replicates} replicates ({options.wrong} of the wrong likelihood), seed "
        f"{options.seed}, default priors, new animals in every arm of "
        "data/simulated_decay (40 studies, 120 rows, 5 to 9 animals per arm): means, "
        "SDs, effects and variances are all new. `inside_95`: the ECDF of the ranks stays within "
        "its own 95% band; `inside`: within the band that all quantities together keep to with "
        "probability 0.95. `mean_rank` is 0.5 where nothing is off; above, the posterior lies "
        f"too low. With {made}.\n" + "".join(parts)
    )
    if not options.only:
        (HERE / "calibration.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    pd.set_option("display.width", 200)
    main()
