"""From a SyRF export to a decay curve: the real export, with every trap named.

Run ``python evidence/syrf.py SHARED`` where SHARED is the folder with
syrf_quantitative_export_example.csv (CAMARADES SyRF user guide, CC BY; not ours to ship). It
writes syrf.md and syrf.png beside itself; two fits, a few minutes.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pandas as pd
from tables import section

import bayesma as bm

HERE = Path(__file__).parent
NAME = "syrf_quantitative_export_example.csv"
# Printed on the page and run as they stand.
FIVE_LINES = """\
table = bm.read_syrf(export, time_unit="h", delay_reference="last dose", **decisions)
effects = bm.effect_sizes(table)
fit = bm.fit(effects, bm.ModelSpec(), seed=1, progress=False)
curve = bm.decay_curve(fit, bm.grid(fit, delay=bm.days(0, 14, 0.25)))
figure = bm.plot_decay(curve, bm.study_points(fit, curve))
"""
DECISIONS = """\
decisions = {
    "annotator": "annotator 1",
    "outcomes": ["FST Immobility"],
    "across_experiments": True,
    "controls": {
        "Wang 2011": {"SNI/FST Immobility/Ket": "SNI/FST Immobility/Sal"},
        "Petryshen 2016": {"FST/Ket 10": "FST/Sal (Ket 10)", "FST/Ket 3": "FST/Sal (Ket 3)"},
    },
    "error_type": {"Wang 2011": "SEM"},
}
"""
TRAPS = {
    "headers that differ from the data dictionary": "headers that differ",
    "spaces at the ends of cells": "cells with spaces",
    "one unit in two cases": "'Seconds' read as",
    "answers that say nothing": "'Not Reported' read as missing: 48",
    "two annotators, nobody reconciled": "annotation is used",
    "no study reconciled": "nobody reconciled",
    "one SEM labelled SD, corrected by the reviewer": "errors read as SEM, as told",
    "other errors that may be SEMs": "may be SEMs",
    "arms entered as experiments": "controls taken from another experiment",
    "a control of another disease model": "controls of another disease model",
    "healthy animals among the diseased": "without the disease model",
    "controls shared by several arms": "share a control",
    "minutes that are hours": "'TimeInMinute' read in h",
    "an outcome that is worse when greater": "direction of",
    "other outcomes of the same animals": "not asked for",
}


def refusal(export: Path) -> str:
    """Return what the reader says before anything is decided."""
    try:
        bm.read_syrf(export)
    except bm.TableError as error:
        return str(error)
    raise AssertionError("the export should ask questions")


def named(notes: tuple[str, ...]) -> str:
    """Return each trap with the notes that name it; every one must be there."""
    lines = []
    for trap, text in TRAPS.items():
        found = [note for note in notes if text in note]
        if not found:
            raise AssertionError(f"no note names the trap: {trap}")
        lines += [f"- {trap}: *{note}*" for note in found]
    return "\n".join(lines)


def run(export: Path, decisions: str) -> dict[str, object]:
    """Run the decisions and the five lines, and return their names."""
    names: dict[str, object] = {"bm": bm, "export": export}
    exec(decisions + FIVE_LINES, names)  # the page shows these very lines
    return names


def at_delays(fit: bm.Fit) -> pd.DataFrame:
    """Return the curve at a few delays, and the half-life."""
    grid = bm.grid(fit, delay=[0.5 / 24, 1, 2, 14])
    return bm.summary(bm.decay_curve(fit, grid))[["delay", "median", "ci_low", "ci_high"]]


def half_life(fit: bm.Fit) -> str:
    """Return the half-life in words."""
    row = bm.summary(bm.half_life(fit, bm.grid(fit))).iloc[0]
    return f"{row['median']:.3g} d [{row['ci_low']:.3g}, {row['ci_high']:.3g}]"


def main() -> None:
    """Read, fit, draw, write."""
    warnings.simplefilter("ignore", bm.SuspectDataWarning)  # they stand among the notes
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)  # the curve starts at 0
    export = Path(sys.argv[1]) / NAME
    names = run(export, DECISIONS)
    table, fit, figure = names["table"], names["fit"], names["figure"]
    figure.savefig(HERE / "syrf.png", dpi=150)
    every = f'decisions["error_type"] = dict.fromkeys({sorted(set(table.frame["study"]))}, "SEM")\n'
    as_sems = run(export, DECISIONS + every)["fit"]
    delays = table.frame.groupby("study")["delay"].first() * 24
    late = sorted(delays.index[delays > 48])
    text = [
        "# From a SyRF export to a decay curve: made by evidence/syrf.py\n\n",
        "Data: the quantitative export of the CAMARADES SyRF user guide (CC BY), 48 rows, 12 "
        "papers on ketamine, read in place.\n\n",
        "## What the export leaves open\n\n",
        f"`bm.read_syrf(export)` asks, all at once:\n\n```\n{refusal(export)}\n```\n\n",
        "## What the reviewer decides, and five lines\n\n",
        f"```python\n{DECISIONS}```\n\n```python\n{FIVE_LINES}```\n\n",
        f"{len(table)} comparisons of {table.frame['study'].nunique()} studies. That Wang 2011 has "
        "SEMs is inferred from its abstract (error_bars.md).\n\n",
        f"## Each trap, as the notes name it\n\n{named(table.notes)}\n\n",
        "Not seen by the reader: 'FST Latency' is marked greater-is-worse, though a longer "
        "latency to immobility is better. The notes say each outcome's direction so that a "
        "reviewer sees it; `greater_is_worse={'FST Latency': False}` corrects it.\n\n",
        "![decay curve](syrf.png)\n",
        section("The curve, errors as labelled but for Wang 2011", at_delays(fit), index=False),
        f"\nHalf-life {half_life(fit)}.\n",
        section("The same, were every error an SEM", at_delays(as_sems), index=False),
        f"\nHalf-life {half_life(as_sems)}.\n",
        "\n## What it says\n\n",
        "Little about fading. Each study measured at one delay, all but "
        f"{len(late)} ({', '.join(late)}) within two days, so that delay and study cannot be told "
        "apart; the late one has larger effects than most early ones; and the half-life rests "
        "largely on its prior. The size of the effect depends on whether "
        "the errors are SDs, which the export cannot settle: this is an example of the path, not "
        "a finding. The comparisons are taken as independent although "
        "some share a control.\n",
    ]
    problems = [f"- {problem}\n" for problem in fit.problems]
    text += ["\n## What the fit says of itself\n\n", *(problems or ["- nothing\n"])]
    (HERE / "syrf.md").write_text("".join(text), encoding="utf-8")
    print("".join(text))


if __name__ == "__main__":
    main()
