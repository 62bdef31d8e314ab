"""Commands that plan: a trial in people, or the next animal experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
from bayesma.cli.options import At, By, Csv, Delay, Json
from bayesma.cli.parsing import pairs, parsed_delays
from bayesma.cli.printing import print_frame, print_json
from bayesma.errors import QueryError

__all__ = ["assurance", "next_study"]


@app.command()
def assurance(
    folders: Folders,
    n: Annotated[str, typer.Option("-n", help="Patients per arm: 20,50,100.")] = (
        "10,20,50,100,200"
    ),
    delay: Delay = None,
    by: By = None,
    at: At = None,
    dose: Dose = None,
    species: Species = None,
    alpha: Annotated[
        float | None,
        typer.Option(help="Success: significant in favour, two-sided.  [default: 0.05]"),
    ] = None,
    probability: Annotated[
        float | None,
        typer.Option(help="Success instead: the posterior P(effect > margin) is above this."),
    ] = None,
    margin: Annotated[float, typer.Option(help="Margin of --probability.")] = 0.0,
    assume: Assume = None,
    weights: Weights = None,
    png: Annotated[Path | None, typer.Option(help="Draw assurance by n into FILE.")] = None,
    draws: Annotated[int, typer.Option(min=2, help="Number of draws.")] = 10_000,
    seed: Seed = 0,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print the probability that a trial of two arms succeeds, by size, delay and regimen."""
    from bayesma.translation import BayesianRule, ClassicalRule, translate
    from bayesma.translation import assurance as assured

    check_picture(png, "--png")
    if probability is None and margin:
        raise QueryError("--margin belongs to --probability")
    if probability is not None and alpha is not None:
        raise QueryError("--alpha and --probability are two rules: give one")
    sizes = _sizes(n)
    if png is not None and len(sizes) < 2:
        raise QueryError(f"-n {n}: a picture by size needs two sizes or more, -n 20,50")
    usual = ClassicalRule() if alpha is None else ClassicalRule(alpha)
    rule = usual if probability is None else BayesianRule(probability, margin)
    fits = fits_in(folders)
    asked: dict[str, Any] = covariates_of(fits, by, at, delay)
    asked |= {"dose": dose, "species": species, "assumptions": assumptions_of(assume)}
    with noted() as notes:
        human = translate(fits, weights=weights_of(weights, fits), draws=draws, seed=seed, **asked)
        found = assured(human, sizes, rule)
    write_csv(csv, found.table)
    if png is not None:
        from bayesma.plots import plot_assurance

        save_picture(png, plot_assurance(found))
    said = [*found.notes, *notes]
    if as_json:
        found.table.attrs |= {"rule": str(rule), "forms": dict(human.forms), "seed": seed}
        found.table.attrs["assumptions"] = [vars(one) for one in human.assumptions.records]
        print_json(found.table, said)
        return
    OUT.print(f"probability that a trial of two arms of n succeeds: {rule}", soft_wrap=True)
    print_frame(found.table)
    print_notes(said, OUT)
    print_assumptions(human.assumptions)


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise QueryError(f"-n {text}: whole numbers of patients per arm, 20,50,100") from error


@app.command("next-study")
def next_study(
    folders: Folders,
    candidates: Annotated[
        Path, typer.Option(help="CSV of candidate experiments: covariates, delay, n per arm.")
    ],
    of: Annotated[str, typer.Option(help="Target: effect, half_life or contrast.")] = "effect",
    to: Annotated[
        str, typer.Option(help="In whom: human, another species, or animals (as the fit has them).")
    ] = "human",
    delay: Annotated[str | None, typer.Option(help="Delay of the target: '7' or '30 min'.")] = None,
    at: At = None,
    pair: Annotated[
        str | None,
        typer.Option("--contrast", help="Of a contrast: regimen=repeated,single."),
    ] = None,
    dose: Dose = None,
    species: Species = None,
    assume: Assume = None,
    weights: Weights = None,
    seed: Seed = 0,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Rank candidate animal experiments by what they are expected to teach of a target."""
    from bayesma.translation import Target
    from bayesma.translation import next_study as ranked

    fits = fits_in(folders)
    target = Target(
        of=of,
        to=None if to == "animals" else to,
        delay=None if delay is None else _one_delay(delay),
        at=pairs(at, "--at"),
        pair=_pair(pair),
    )
    with noted() as notes:
        found = ranked(
            fits,
            read_frame(candidates),
            target,
            assumptions=assumptions_of(assume),
            weights=weights_of(weights, fits),
            dose=dose,
            species=species,
            seed=seed,
        )
    write_csv(csv, found.table)
    said = [*found.notes, *notes]
    if as_json:
        found.table.attrs |= {"irreducible": found.irreducible, "seed": seed}
        found.table.attrs |= {"target": target.words, "forms": dict(found.forms)}
        records = () if found.assumptions is None else found.assumptions.records
        found.table.attrs["assumptions"] = [vars(one) for one in records]
        print_json(found.table, said)
        return
    OUT.print(str(found), soft_wrap=True, highlight=False)
    print_notes(notes)


def _one_delay(text: str) -> float:
    found = parsed_delays(text)
    if len(found) != 1:
        raise QueryError(f"--delay {text}: a target has one delay")
    return found[0]


def _pair(text: str | None) -> dict[str, tuple[str, str]] | None:
    if text is None:
        return None
    ((name, levels),) = pairs([text], "--contrast").items()
    parts = [part.strip() for part in levels.split(",")]
    if len(parts) != 2:
        raise QueryError(f"--contrast {text}: two levels, {name}=FIRST,SECOND")
    return {name: (parts[0], parts[1])}
