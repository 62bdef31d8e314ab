"""Figures of the gallery. Each function is one picture; the page shows its lines as they stand.

    python docs/gallery.py SAVED [NAME ...]

SAVED is a folder for the fits that the figures are drawn from; those it does not hold yet are made
and saved there (some minutes each). Names draw these figures alone. The pictures go to gallery/
beside this file and are committed, so that the site is built without sampling.

To add a figure, write one more function here: its arguments are names of `SAVED`; the first line
of its docstring is the title, the rest the text above the picture; its last line is
`return figure`, and everything between is shown.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import bayesma as bm

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "gallery"
DPI = 110


def _calibrated() -> bm.Calibration:
    effects = bm.effect_sizes(bm.load_dataset("simulated_decay"))
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none")
    return bm.calibrate(spec, effects, replicates=100, seed=1)


# What figures are drawn from: how it is made, and how it is read.
SAVED: dict[str, tuple[Callable[[], Any], Callable[[Path], Any]]] = {
    "fit": (lambda: bm.fit(bm.load_analysis("ketamine_pain"), seed=1), bm.load_fit),
    "plateau": (lambda: bm.fit(bm.load_analysis("ketamine_pain", "plateau"), seed=1), bm.load_fit),
    "simulated": (lambda: bm.fit(bm.load_analysis("simulated_decay"), seed=1), bm.load_fit),
    "calibrated": (_calibrated, bm.load_calibration),
}


def decay(fit: bm.Fit) -> Figure:
    """How the effect fades.

    Median and 95% band by regimen, and the pooled results that the curves rest on. A line is dashed
    beyond the delays of its data.
    """
    delays = [0.0, *np.geomspace(1 / 144, 35, 150)]
    curve = bm.decay_curve(fit, bm.grid(fit, regimen=["single", "repeated"], delay=delays))
    figure = bm.plot_decay(curve, bm.study_points(fit, curve), log_delay=True)
    return figure


def decay_of_studies(simulated: bm.Fit) -> Figure:
    """The same from single studies.

    Every point is an effect with its 95% interval. The truth is known here: the data are simulated.
    """
    delays = [0.0, *np.geomspace(1 / 48, 30, 150)]
    at = bm.grid(simulated, regimen=["single", "repeated"], delay=delays)
    curve = bm.decay_curve(simulated, at)
    figure = bm.plot_decay(curve, bm.study_points(simulated, curve), log_delay=True)
    return figure


def expected() -> Figure:
    """What the priors expect.

    Before any outcome is seen: mean effects over the delays, and effects that new studies would
    find, over a rug of those that were found. Nothing is sampled by Markov chains.
    """
    model = bm.load_analysis("simulated_decay")
    expected = bm.prior_predictive(model, seed=1)
    figure = bm.plot_prior_predictive(expected)
    return figure


def forest() -> Figure:
    """A forest.

    The classical answer to one question, the effect a day after repeated dosing: REML,
    Knapp-Hartung, and a prediction interval.
    """
    rows = bm.load_dataset("simulated_decay").frame
    early = rows[(rows["regimen"] == "repeated") & (rows["delay"] == 1)]
    pooled = bm.pool(bm.effect_sizes(early))
    figure = bm.plot_forest(pooled, favours=("control", "drug"))
    return figure


def crosscheck(fit: bm.Fit) -> Figure:
    """Bayesian, classical and published.

    Every answer of a fit beside its classical twin and what was printed, with a verdict.
    """
    check = bm.cross_check(fit)
    figure = bm.plot_crosscheck(check)
    return figure


def shrunken(simulated: bm.Fit) -> Figure:
    """Studies beside their population.

    What each row found, grey, and what the model takes its true effect for, blue: drawn towards the
    mean of rows like it. Diamonds are population means, bars where a new study's true effect lies.
    """
    rows = bm.shrinkage(simulated, seed=1)
    population = bm.population_effects(simulated, "regimen", seed=1)
    figure = bm.plot_shrinkage(rows, population, by="regimen")
    return figure


def contrasts(fit: bm.Fit) -> Figure:
    """Regimens held against each other.

    The difference at each delay with its probability; a star marks delays beyond the data of one.
    """
    at = bm.grid(fit, regimen="single", delay=[0.25, 1, 3, 7, 14])
    figure = bm.plot_contrast(bm.contrast(fit, at, regimen=("repeated", "single")))
    return figure


def evidence(simulated: bm.Fit) -> Figure:
    """Where the evidence lies.

    Effects by regimen, species and time since the last dose. Empty cells are what nobody measured.
    """
    figure = bm.plot_evidence_map(bm.evidence_map(simulated))
    return figure


def funnel(simulated: bm.Fit) -> Figure:
    """A funnel.

    Residuals against 1/sqrt(n): the standard error of an SMD goes with the SMD itself, its size
    does not.
    """
    figure = bm.plot_funnel(bm.funnel_points(simulated))
    return figure


def influence(simulated: bm.Fit) -> Figure:
    """What each study moves.

    How far an answer would go without it, by importance weights, and whether these can be trusted.
    """
    figure = bm.plot_influence(bm.study_influence(simulated))
    return figure


def sensitivity(fit: bm.Fit) -> Figure:
    """What the priors move.

    How far each answer goes where priors or likelihood are made a little stronger (power-scaling).
    """
    figure = bm.plot_sensitivity(bm.prior_sensitivity(fit))
    return figure


def ranks(simulated: bm.Fit) -> Figure:
    """Whether the chains agree.

    Ranks of each chain's draws among those of all, by ArviZ. Lines near 0 are what one hopes for.
    """
    figure = bm.plot_ranks(simulated)
    return figure


def energy(simulated: bm.Fit) -> Figure:
    """Whether the sampler reached the tails.

    Energy and BFMI by chain, by ArviZ.
    """
    figure = bm.plot_energy(simulated.tree)
    return figure


def replicates(simulated: bm.Fit) -> Figure:
    """Whether the model makes such data.

    The observed effects among those of replicated tables, by ArviZ. With
    ``group="prior_predictive"`` the same before the data.
    """
    figure = bm.plot_replicates(simulated.tree)
    return figure


def rows_again(fit: bm.Fit) -> Figure:
    """The same where rows are few.

    Each row over what the fitted model would find in its place; the table is the report's.
    """
    tables = bm.report(fit).tables
    figure = bm.plot_replicated_rows(tables["predictive-posterior-rows"])
    return figure


def risk_of_bias() -> Figure:
    """Risk of bias.

    Studies at low, unclear and high risk by item. `bm.risk_of_bias(fit)` counts those of a fit
    whose table scores them; these counts are SIMULATED.
    """
    counts = {"low": [12, 5, 20], "unclear": [26, 30, 11], "high": [2, 5, 9], "other": [0, 0, 0]}
    items = ["Sequence generation", "Allocation concealment", "Blinding of outcome assessment"]
    figure = bm.plot_risk_of_bias(pd.DataFrame({"item": items, **counts}))
    return figure


def calibration(calibrated: bm.Calibration) -> Figure:
    """Whether the model finds the truth behind its own data.

    ECDFs of the truth's ranks among posterior draws, less that of uniform ones, in the band that
    holds them all with probability 0.95. Here one mean and tau, 100 replicates
    ([how](calibration.md)).
    """
    figure = bm.plot_calibration(calibrated)
    return figure


def translation(fit: bm.Fit, plateau: bm.Fit) -> Figure:
    """From animals to people.

    Two decay forms with half the weight each; the animals' own curve is dashed, and
    [every assumption](translation.md) has a source.
    """
    regimens, delays = ["single", "repeated"], bm.days(1, 28)
    people = bm.translate([fit, plateau], regimen=regimens, delay=delays)
    animals = bm.decay_curve(fit, bm.grid(fit, regimen=regimens, delay=delays))
    figure = bm.plot_translation(people, animals)
    return figure


def budget(fit: bm.Fit, plateau: bm.Fit) -> Figure:
    """Where the doubt comes from.

    Shapley effects share the variance of a prediction out between its sources; they add to 1.
    """
    people = bm.translate([fit, plateau], regimen=["single", "repeated"], delay=[1, 7, 28])
    figure = bm.plot_budget(bm.uncertainty_budget(people))
    return figure


def assurance(fit: bm.Fit, plateau: bm.Fit) -> Figure:
    """Whether a trial will find it.

    The probability that a two-arm trial succeeds. No size gets above the ceiling, the probability
    that there is an effect to find.
    """
    people = bm.translate([fit, plateau], regimen=["single", "repeated"], delay=[1, 7, 28])
    figure = bm.plot_assurance(bm.assurance(people, n=[10, 20, 50, 100, 200, 500]))
    return figure


FIGURES: dict[str, Callable[..., Figure]] = {
    name: found
    for name, found in globals().copy().items()
    if isinstance(found, FunctionType)
    and found.__module__ == __name__
    and not name.startswith("_")
    and found.__annotations__.get("return") == "Figure"
}


def _read(folder: Path, name: str) -> Any:
    """Return a saved fit; make it first where it is not there."""
    make, load = SAVED[name]
    path = folder / f"{name}.nc"
    if not path.exists():
        make().save(path)
    return load(path)


def _drawn(folder: Path, names: list[str]) -> None:
    PICTURES.mkdir(exist_ok=True)
    for name in names or FIGURES:
        given = inspect.signature(FIGURES[name]).parameters
        figure = FIGURES[name](*(_read(folder, own) for own in given))
        path = PICTURES / f"{name}.png"
        figure.savefig(path, dpi=DPI, bbox_inches="tight", metadata={"Software": None})


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    warnings.simplefilter("ignore", bm.ExtrapolationWarning)  # the pictures draw it as such
    _drawn(Path(sys.argv[1]), sys.argv[2:])
