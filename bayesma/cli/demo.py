"""The founding case, side by side under two decay forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bayesma.cli.console import OUT
from bayesma.cli.files import draw
from bayesma.cli.notes import noted, print_notes
from bayesma.cli.parsing import read_covariates
from bayesma.cli.printing import (
    cell,
    print_cells,
)

if TYPE_CHECKING:
    from bayesma.posterior import Fit


__all__ = ["MODEL", "draw_demo", "print_demo"]


MODEL = "ketamine_pain"
DELAYS = (1.0, 7.0, 14.0, 28.0)
LOSS = 0.7


def draw_demo(target: Path, fit: Fit, title: str) -> None:
    """Draw the curves of both regimens with the pooled results on top."""
    import numpy as np

    from bayesma.queries import decay_curve, grid

    delays = [0.0, *np.geomspace(1 / 144, 35, 150)]
    with noted():  # the picture draws what lies beyond the data as such
        found = decay_curve(fit, grid(fit, delay=delays, **read_covariates(fit.design, None, None)))
    draw(target, fit, found, 0.95, True, title)


def print_demo(fits: Mapping[str, Fit]) -> None:
    """Print the answers under every decay form side by side."""
    answers = [_demo_answers(fit) for fit in fits.values()]
    for name, fit in fits.items():
        if not fit.converged:
            OUT.print(f"The {name} fit has NOT converged: do not use its numbers.")
    for problem in dict.fromkeys(problem for fit in fits.values() for problem in fit.problems):
        names = [name for name, fit in fits.items() if problem in fit.problems]
        print_notes([problem if len(names) == len(fits) else f"{names[0]}: {problem}"], OUT)
    print_cells(
        ("median and 95% interval", *fits),
        [(row, *(answer[row] for answer in answers)) for row in answers[0]],
    )
    OUT.print(
        "* beyond the delays of the data after a single dose: there the answer is the decay "
        "form's. Compare the columns. The half-life of a plateau is that of the part which fades."
    )


def _demo_answers(fit: Fit) -> dict[str, str]:
    from bayesma.queries import contrast, grid, half_life, summary, time_to_loss

    regimens = grid(fit, regimen=["single", "repeated"])
    rows: dict[str, str] = {}
    for words, draws in (
        ("half-life (d)", half_life(fit, regimens)),
        (f"time until {LOSS:.0%} is lost (d)", time_to_loss(fit, regimens, LOSS)),
    ):
        for record in summary(draws).to_dict("records"):
            middle, low, high = (cell("", record[n]) for n in ("median", "ci_low", "ci_high"))
            rows[f"{words}, {record['regimen']}"] = f"{middle} [{low}, {high}]"
    with noted():  # what lies beyond the data is starred
        draws = contrast(
            fit, grid(fit, regimen="single", delay=DELAYS), regimen=("repeated", "single")
        )
    for record in summary(draws).to_dict("records"):
        star = "*" if record["beyond_data"] else ""
        probability = cell("p_", record["p_positive"])
        rows[f"P(repeated > single) at {record['delay']:g} d{star}"] = probability
    return rows
