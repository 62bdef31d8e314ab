"""The command that pools a table by the classical engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bayesma.cli.answers import answer, notes_of
from bayesma.cli.app import app
from bayesma.cli.asking import Asked, check, fitted
from bayesma.cli.console import OUT
from bayesma.cli.files import check_picture, save_picture
from bayesma.cli.forest import print_forest
from bayesma.cli.notes import print_notes
from bayesma.cli.options import Csv, Json
from bayesma.cli.tables import Reading, effects_of
from bayesma.errors import QueryError

__all__ = ["pool_table"]

# Rows of a forest that a terminal shows.
MOST = 40


@app.command("pool")
def pool_table(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="Studies: a file, or a data set's name.")
    ],
    measure: Annotated[
        str | None,
        typer.Option(help="SMD (default), SMDH, MD, NMD or ROM of arms; or what the effects are."),
    ] = None,
    variance: Annotated[
        str | None, typer.Option(help="Its sampling variance, as metafor names it: LS, UB, AV ...")
    ] = None,
    method: Annotated[
        str, typer.Option(help="tau2 by DL, HE, HS, SJ, ML, REML, EB or PM; or common: no tau2.")
    ] = "REML",
    ci: Annotated[
        str | None,
        typer.Option(
            help="knapp-hartung (default; of a common effect z), knapp-hartung-adhoc, t or z."
        ),
    ] = None,
    ci_prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.95,
    by: Annotated[str | None, typer.Option(help="Pool within the levels of this column.")] = None,
    tau2: Annotated[
        str | None, typer.Option(help="Of subgroups: common (default) or separate.")
    ] = None,
    formula: Annotated[
        str | None, typer.Option(help="Meta-regression: 'species + log(dose)'.")
    ] = None,
    random: Annotated[
        str | None, typer.Option(help="Multilevel: nested columns, study/experiment.")
    ] = None,
    df: Annotated[
        str | None, typer.Option(help="Of a multilevel model: containment (default), t or z.")
    ] = None,
    rho: Annotated[
        float | None, typer.Option(help="Sampling correlation within --within; needs --random.")
    ] = None,
    within: Annotated[
        str | None, typer.Option(help="Column of effects that correlate; experiment if absent.")
    ] = None,
    shared_control: Annotated[
        str | None, typer.Option(help="Column of control groups that rows share; needs --random.")
    ] = None,
    same_animals: Annotated[
        str | None, typer.Option(help="Column of animals measured more than once; needs --rho.")
    ] = None,
    tau2_ci: Annotated[
        str | None,
        typer.Option(help="Interval of tau2: q-profile (default) or profile-likelihood."),
    ] = None,
    prediction: Annotated[
        str | None,
        typer.Option(help="Prediction interval: as-ci (default), or riley (t, k - 2 df)."),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Column that names the rows.")] = None,
    favours: Annotated[
        str | None, typer.Option(help="What lies below and above 0: 'favours A,favours B'.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the forest into FILE.png, .svg or .pdf.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Print every row of the forest.")] = False,
    columns: Annotated[
        list[str] | None, typer.Option(help="Your header of a column: n_treated='N ketamine'.")
    ] = None,
    units: Annotated[
        list[str] | None, typer.Option(help="Unit of bare numbers in delay or duration: delay=h.")
    ] = None,
    members: Annotated[
        Path | None, typer.Option(help="Table of the comparisons behind pooled rows.")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of a workbook.")] = None,
    ranges: Annotated[
        str, typer.Option(help="Durations and doses such as '1-2 h': refuse, or midpoint.")
    ] = "refuse",
    data: Annotated[
        Path | None, typer.Option(help="Folder of data sets of your own (else BAYESMA_DATA).")
    ] = None,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Pool effects: a forest, heterogeneity, subgroups or a meta-regression, without sampling."""
    asked = Asked(
        method, ci, ci_prob, by, tau2, formula, random, df, rho, within, shared_control,
        same_animals, tau2_ci, prediction,
    )  # fmt: skip
    check(asked)
    check_picture(picture, "--picture")
    how = Reading(columns, units, members, sheet, ranges, data)
    effects = effects_of(table, how, measure, variance, asked.sharing)
    found = fitted(effects, asked)
    if formula is not None:
        if picture is not None:
            raise QueryError("--picture draws pooled effects; drop it, or --formula")
        answer(effects, found, csv, as_json)
        return
    from bayesma.frequentist.forest import forest_of

    sides = None if favours is None else [side.strip() for side in favours.split(",")]
    forest = forest_of(found, labels, sides)  # type: ignore[arg-type]
    if picture is not None:  # before anything is printed: it may be refused
        _draw(picture, found, labels, sides)
    answer(effects, found, csv, as_json)
    if as_json:
        return
    print_forest(forest, None if show_all else MOST)
    print_notes(notes_of(effects, found), OUT)
    if picture is not None:
        OUT.print(f"written: {picture}", soft_wrap=True)


def _draw(picture: Path, found: Any, labels: str | None, sides: list[str] | None) -> None:
    from bayesma.plots import plot_forest

    save_picture(picture, plot_forest(found, labels=labels, favours=sides))
