"""Commands that go from animals to people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    read_frame,
    weights_of,
)
from bayesma.cli.console import OUT
from bayesma.cli.files import check_picture, save_picture, write_csv
from bayesma.cli.notes import noted, print_notes
from bayesma.cli.options import At, By, Ci, Csv, Delay, Json
from bayesma.cli.printing import print_cells, print_frame, print_json

if TYPE_CHECKING:
    import pandas as pd

    from bayesma.translation import Translation

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
    png: Annotated[Path | None, typer.Option(help="Draw people beside animals into FILE.")] = None,
    draws: Draws = 10_000,
    seed: Seed = 0,
    ci: Ci = 0.95,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print the effect and half-life predicted for people, and everything assumed on the way."""
    from bayesma.translation import human_evidence
    from bayesma.translation import translate as predicted

    check_picture(png, "--png")
    fits = fits_in(folders)
    asked: dict[str, Any] = covariates_of(fits, by, at, delay)
    asked |= {"dose": dose, "species": species, "assumptions": assumptions_of(assume)}
    asked |= {"weights": weights_of(weights, fits), "to": to}
    options: dict[str, Any] = {"draws": draws, "seed": seed}
    with noted() as notes:
        evidence = None if human is None else human_evidence(read_frame(human), sd=sd)
        found = predicted(fits, human=evidence, update=not hold_out, **options, **asked)
    table = found.summary(ci)
    write_csv(csv, table)
    if png is not None:
        _draw(png, found)
    if as_json:
        print_json(_about(found, table), [*found.notes, *notes])
    else:
        print_notes(notes)
        _print(found, table, ci)
    if budget and not as_json:
        _print_budget(found, seed)
    if sensitivity and not as_json:
        _print_sensitivity(fits, asked, options)
    if prior is not None:
        _write_prior(prior, found)


def _about(found: Translation, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with everything else that JSON holds."""
    from bayesma.queries import summary

    table.attrs |= {"to": found.to, "forms": dict(found.forms), "seed": found.seed}
    table.attrs["assumptions"] = [vars(record) for record in found.assumptions.records]
    if found.half_life is not None:
        table.attrs["half_life"] = _records(summary(found.half_life))
    if found.positions is not None:
        table.attrs["positions"] = _records(found.positions)
        table.attrs["updated"] = found.updated
    return table


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON holds them: null for what is missing."""
    rows = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


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
    OUT.print("assumed:")
    cells = [
        (one.name, one.value, f"{one.about} ({one.source})") for one in found.assumptions.records
    ]
    print_cells(("assumption", "", "meaning and source"), cells, whole="assumption")


def _draw(png: Path, found: Translation) -> None:
    from bayesma.plots import plot_translation

    save_picture(png, plot_translation(found, evidence=found.positions))


def _print_budget(found: Translation, seed: int) -> None:
    from bayesma.translation import uncertainty_budget

    OUT.print(str(uncertainty_budget(found, seed=seed)), soft_wrap=True, highlight=False)


def _print_sensitivity(fits: Any, asked: dict[str, Any], options: dict[str, Any]) -> None:
    from bayesma.translation import translation_sensitivity

    with noted():  # said by the translation already
        table = translation_sensitivity(fits, **options, **asked)
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


def _write_prior(path: Path, found: Translation) -> None:
    from bayesma.translation import map_prior

    prior = map_prior(found)
    prior.to_json(path)
    OUT.print(str(prior), soft_wrap=True, highlight=False)
