"""Commands that go from animals to people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bayesma.cli.app import app
from bayesma.cli.assuming import (
    Assume,
    Dose,
    Folders,
    Seed,
    Species,
    Weights,
    assumptions_of,
    covariates_of,
    fits_in,
    print_assumptions,
    read_frame,
    weights_of,
)
from bayesma.cli.console import OUT
from bayesma.cli.files import check_picture, save_picture, write_csv
from bayesma.cli.notes import noted, print_notes
from bayesma.cli.options import At, By, Ci, Csv, Delay, Json
from bayesma.cli.printing import plain_records, print_frame, print_json
from bayesma.errors import QueryError

if TYPE_CHECKING:
    import pandas as pd

    from bayesma.translation import Budget, MapPrior, Translation

__all__ = ["translate"]

# Columns of a sensitivity table that hold answers, not what they are to.
ANSWERS = (
    *("median", "ci_low", "ci_high", "p_positive"),
    *("trial_low", "trial_high", "trial_p_positive"),
    *("half_life", "half_life_low", "half_life_high"),
)
Draws = Annotated[int, typer.Option(min=2, help="Number of draws.")]


@app.command()
def translate(
    folders: Folders,
    delay: Delay = None,
    by: By = None,
    at: At = None,
    to: Annotated[str, typer.Option(help="Target species.")] = "human",
    dose: Dose = None,
    species: Species = None,
    human: Annotated[
        Path | None, typer.Option(help="Table of human evidence (docs/translation.md).")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="SD by which human numbers on another scale are divided.")
    ] = None,
    hold_out: Annotated[
        bool, typer.Option("--hold-out", help="Say where human evidence lies, and learn nothing.")
    ] = False,
    assume: Assume = None,
    weights: Weights = None,
    budget: Annotated[
        bool, typer.Option("--budget", help="Print where the doubt comes from, by delay.")
    ] = False,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Print the answer under other assumptions.")
    ] = False,
    prior: Annotated[
        Path | None,
        typer.Option(help="Write the prior for one new trial at the one point asked, as JSON."),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(help="Draw the effect predicted for people into FILE.")
    ] = None,
    draws: Draws = 10_000,
    seed: Seed = 0,
    ci: Ci = 0.95,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print the effect and half-life predicted for people, and everything assumed on the way."""
    from bayesma.translation import human_evidence, uncertainty_budget
    from bayesma.translation import translate as predicted

    check_picture(png, "--png")
    if human is None and (sd is not None or hold_out):
        raise QueryError(f"{'--hold-out' if sd is None else '--sd'} belongs to --human")
    fits = fits_in(folders)
    asked: dict[str, Any] = covariates_of(fits, by, at, delay)
    asked |= {"dose": dose, "species": species, "assumptions": assumptions_of(assume)}
    asked |= {"weights": weights_of(weights, fits), "to": to}
    options: dict[str, Any] = {"draws": draws, "seed": seed}
    with noted() as notes:
        evidence = None if human is None else human_evidence(read_frame(human), sd=sd)
        asked |= {"human": evidence, "update": not hold_out}
        found = predicted(fits, **options, **asked)
    table = found.summary(ci)
    write_csv(csv, table)
    if png is not None:
        _draw(png, found)
    more = _More(
        uncertainty_budget(found, seed=seed) if budget else None,
        _sensitivity(fits, ci, options | asked) if sensitivity else None,
        None if prior is None else _written(prior, found),
    )
    if as_json:
        print_json(_about(found, table, ci, more), [*found.notes, *notes])
        return
    print_notes(notes)
    _print(found, table, ci)
    _print_more(more, found.notes)


class _More(NamedTuple):
    """What was asked for beside the prediction."""

    budget: Budget | None
    sensitivity: pd.DataFrame | None
    prior: MapPrior | None


def _about(found: Translation, table: pd.DataFrame, ci: float, more: _More) -> pd.DataFrame:
    """Return the table with everything else that JSON holds."""
    from bayesma.queries import summary

    table.attrs |= {"to": found.to, "forms": dict(found.forms), "seed": found.seed}
    table.attrs["assumptions"] = [vars(record) for record in found.assumptions.records]
    if found.half_life is not None:
        table.attrs["half_life"] = plain_records(summary(found.half_life, ci))
    if found.positions is not None:
        table.attrs["positions"] = plain_records(found.positions)
        table.attrs["updated"] = found.updated
    if more.budget is not None:
        table.attrs["budget"] = plain_records(more.budget.table)
        table.attrs["budget_notes"] = list(more.budget.notes)
    if more.sensitivity is not None:
        table.attrs["sensitivity"] = plain_records(more.sensitivity)
    if more.prior is not None:
        table.attrs["prior"] = json.loads(more.prior.to_json())
    return table


def _print(found: Translation, table: pd.DataFrame, ci: float) -> None:
    from bayesma.coders import AVERAGE
    from bayesma.queries import summary

    said = [name for name in table if (table[name].astype(str) == AVERAGE).all()]
    percent = f"{100 * ci:g}%"
    OUT.print(f"{found.effect.attrs['estimand']}; median and {percent} interval", soft_wrap=True)
    print_frame(
        table.drop(columns=[*said, "mean", "sd", "trial_p_positive"], errors="ignore").rename(
            columns={"trial_low": "trial low", "trial_high": "trial high"}
        )
    )
    if found.half_life is not None:
        OUT.print(
            f"{found.half_life.attrs['estimand']}; days, median and {percent} interval",
            soft_wrap=True,
        )
        half = summary(found.half_life, ci).drop(columns=[*said, "p_never"], errors="ignore")
        print_frame(half, durations=True)
    if found.positions is not None:
        OUT.print("human evidence in what was predicted for it without any")
        print_frame(found.positions)
    print_notes(found.notes, OUT)
    print_assumptions(found.assumptions)


def _draw(png: Path, found: Translation) -> None:
    from bayesma.plots import plot_translation

    save_picture(png, plot_translation(found, evidence=found.positions))


def _sensitivity(fits: Any, ci: float, asked: dict[str, Any]) -> pd.DataFrame:
    from bayesma.translation import translation_sensitivity

    with noted():  # said by the translation already
        return translation_sensitivity(fits, ci_prob=ci, **asked)


def _print_more(more: _More, printed: Sequence[str]) -> None:
    if more.budget is not None:
        OUT.print(str(more.budget), soft_wrap=True, highlight=False)
    if more.sensitivity is not None:
        _print_sensitivity(more.sensitivity)
    if more.prior is not None:
        own = [note for note in more.prior.notes if note not in printed]
        OUT.print("\n".join([more.prior.words, *own]), soft_wrap=True, highlight=False)


def _print_sensitivity(table: pd.DataFrame) -> None:
    OUT.print("the answer with one assumption changed at a time", soft_wrap=True)
    effect = _texts(table, "median", "ci_low", "ci_high", ".2f")
    shown = table.drop(columns=[name for name in ANSWERS if name in table])
    shown["effect"], shown["p_positive"] = effect, table["p_positive"]
    if "half_life" in table:
        shown["half-life (d)"] = _texts(
            table, "half_life", "half_life_low", "half_life_high", ".2g"
        )
    print_frame(shown)


def _texts(table: pd.DataFrame, middle: str, low: str, high: str, form: str) -> list[str]:
    rows = table[[middle, low, high]].to_numpy()
    return [f"{one:{form}} [{first:{form}}, {last:{form}}]" for one, first, last in rows]


def _written(path: Path, found: Translation) -> MapPrior:
    from bayesma.translation import map_prior

    prior = map_prior(found)
    prior.to_json(path)
    return prior
