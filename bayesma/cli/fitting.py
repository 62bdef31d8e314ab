"""Commands that sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesma.cli.app import app
from bayesma.cli.console import ERR, OUT
from bayesma.cli.demo import MODEL, draw_demo, print_demo
from bayesma.cli.files import prepare, write_csv
from bayesma.cli.notes import noted
from bayesma.cli.options import Json, Out, Quiet
from bayesma.cli.printing import print_fit, print_json, print_plan

if TYPE_CHECKING:
    from bayesma.posterior import Fit

__all__ = ["demo", "fit_model"]


@app.command("fit")
def fit_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="TOML file, or a model's name.")],
    out: Out,
    variant: Annotated[str | None, typer.Option(help="A variant that the file defines.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same draws.")] = None,
    draws: Annotated[int | None, typer.Option(min=1, help="Kept draws per chain.")] = None,
    tune: Annotated[int | None, typer.Option(min=1, help="Warm-up draws per chain.")] = None,
    chains: Annotated[int | None, typer.Option(min=1, help="Number of chains.")] = None,
    sampler: Annotated[str, typer.Option(help="nutpie or pymc.")] = "nutpie",
    no_progress: Quiet = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder of data sets of your own (else BAYESMA_DATA).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Sample a model; write fit.nc and summary.csv. Exit status 1 if it has not converged."""
    from bayesma.analysis import load_analysis
    from bayesma.design import design

    analysis = load_analysis(model, variant)
    plan = design(analysis.spec, analysis.effects(data))  # refuses before anything is written
    prepare(out, "fit.nc", "summary.csv")
    if not as_json:
        OUT.print(f"{analysis.name}: {analysis.title}", soft_wrap=True)
        print_plan(plan)
    from bayesma.bayes import fit

    with noted():  # what the warning says is printed below
        found = fit(
            analysis,
            seed=seed,
            draws=draws,
            tune=tune,
            chains=chains,
            sampler=sampler,
            progress=not (no_progress or as_json),
            folder=data,
        )
    found.save(out / "fit.nc")
    summary = found.summary()
    table = summary.rename_axis("parameter").reset_index()
    write_csv(out / "summary.csv", table)
    if as_json:
        table.attrs = {
            "model": analysis.name,
            "spec": found.spec.to_dict(),
            "seed": found.provenance["seed"],
            "converged": found.converged,
        }
        print_json(table, tuple(dict.fromkeys((*found.notes, *found.problems))))
    else:
        print_fit(found, summary)
        OUT.print(f"written: {out / 'fit.nc'}, {out / 'summary.csv'}", soft_wrap=True)
    if not found.converged:
        raise typer.Exit(1)


@app.command()
def demo(
    out: Out,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 1,
    no_progress: Quiet = False,
) -> None:
    """Fit ketamine against neuropathic pain under two decay forms, and draw the curves."""
    names = ("fit.nc", "fit_plateau.nc", "decay_curves.png", "decay_curves_plateau.png")
    prepare(out, *names)
    from bayesma.analysis import load_analysis
    from bayesma.bayes import fit

    fits: dict[str, Fit] = {}
    for variant, name in zip((None, "plateau"), names[:2], strict=True):
        analysis = load_analysis(MODEL, variant)
        ERR.print(f"fitting {analysis.name} (compiling takes a moment) ...")
        with noted():
            found = fit(analysis, seed=seed, progress=not no_progress)
        found.save(out / name)
        fits[found.spec.decay] = found
    for found, name in zip(fits.values(), names[2:], strict=True):
        draw_demo(out / name, found, analysis.title)
    print_demo(fits)
    OUT.print("written: " + ", ".join(str(out / name) for name in names), soft_wrap=True)
    if not all(found.converged for found in fits.values()):
        raise typer.Exit(1)
