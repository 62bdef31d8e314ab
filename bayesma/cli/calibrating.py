"""The command that holds a model against data of its own making."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesma.cli.app import app
from bayesma.cli.console import OUT
from bayesma.cli.files import prepare, save_picture, write_csv
from bayesma.cli.notes import print_notes
from bayesma.cli.options import Json, Out, Quiet
from bayesma.cli.printing import print_cells, print_json

if TYPE_CHECKING:
    from bayesma.checks import Calibration

__all__ = ["calibrate_model"]

NAMES = ("calibration.nc", "calibration.csv", "calibration.png")


@app.command("calibrate")
def calibrate_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="TOML file, or a model's name.")],
    out: Out,
    variant: Annotated[str | None, typer.Option(help="A variant that the file defines.")] = None,
    replicates: Annotated[int, typer.Option(min=2, help="Data sets drawn and refitted.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same replicates.")] = 1,
    jobs: Annotated[int, typer.Option(help="Replicates at a time; -1: one a processor.")] = -1,
    outcomes: Annotated[
        str, typer.Option(help="arms: of new animals; effects: y ~ N(theta, V).")
    ] = "arms",
    no_progress: Quiet = False,
    data: Annotated[
        Path | None, typer.Option(help="Folder of data sets of your own (else BAYESMA_DATA).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw truths from the prior, new outcomes of the same studies, refit, and rank the truths.

    Finished replicates stay in DIR/replicates, so that an interrupted run goes on where it
    stopped. Writes calibration.nc, .csv and .png; exit status 1 if the model does not pass.
    """
    from bayesma.analysis import load_analysis
    from bayesma.checks import calibrate

    analysis = load_analysis(model, variant)
    effects = analysis.effects(data)  # refuses before anything is written
    prepare(out, *NAMES)
    if not as_json:
        OUT.print(f"{analysis.name}: {analysis.title}", soft_wrap=True)
    found = calibrate(
        analysis,
        effects,
        replicates=replicates,
        seed=seed,
        outcomes=outcomes,
        n_jobs=jobs,
        folder=out / "replicates",
        progress=not (no_progress or as_json),
    )
    found.save(out / NAMES[0])
    write_csv(out / NAMES[1], found.table)
    from bayesma.plots import plot_calibration

    save_picture(out / NAMES[2], plot_calibration(found, f"{analysis.name}: {analysis.title}"))
    if as_json:
        table = found.table.copy()
        table.attrs = {"model": analysis.name, "seed": seed, "passed": found.passed}
        print_json(table, (*found.notes, *found.problems))
    else:
        _print(found)
        OUT.print("written: " + ", ".join(str(out / name) for name in NAMES), soft_wrap=True)
    if not found.passed:
        raise typer.Exit(1)


def _print(found: Calibration) -> None:
    """Print whether truths rank as they should, quantity by quantity."""
    OUT.print(
        f"{len(found.ranks)} replicates: passed"
        if found.passed
        else f"{len(found.ranks)} replicates: NOT passed"
    )
    print_notes((*found.problems, *found.notes), OUT)
    rows = [
        (
            row["quantity"],
            *(f"{row[f'coverage_{prob}']:.1%}" for prob in (50, 80, 95)),
            f"{row['mean_rank']:.2f}",
            f"{row['p_uniform']:.2g}",
            "inside" if row["inside"] else "outside",
        )
        for row in found.table.to_dict("records")
    ]
    heads = ("quantity", "in 50%", "in 80%", "in 95%", "mean rank", "P(uniform)", "band")
    print_cells(heads, rows)
