"""Commands on what is at hand: data sets, models, tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bayesma.cli.app import app
from bayesma.cli.console import OUT
from bayesma.cli.files import write_csv
from bayesma.cli.notes import print_notes
from bayesma.cli.options import Csv, Json
from bayesma.cli.parsing import pairs
from bayesma.cli.printing import print_cells, print_counts, print_json

if TYPE_CHECKING:
    from bayesma.units import Ranges

__all__ = ["check", "list_datasets", "list_models"]


@app.command("datasets")
def list_datasets(csv: Csv = None, as_json: Json = False) -> None:
    """List the data sets: those in the package, and those to bring yourself."""
    from bayesma.catalogue import datasets

    table = datasets()
    write_csv(csv, table)
    if as_json:
        print_json(table)
        return
    cells = [
        (name, "bundled" if bundled else "bring your own", str(rows), about)
        for name, bundled, rows, about in zip(
            *(table[column] for column in ("name", "bundled", "rows", "about")), strict=True
        )
    ]
    print_cells(("name", "at hand", "rows", "about"), cells, whole="name")
    for name, doi in table.loc[~table["bundled"], ["name", "doi"]].itertuples(index=False):
        OUT.print(
            f"{name}: published at https://doi.org/{doi}; data/{name}/README.md says how to "
            "prepare your copy",
            soft_wrap=True,
        )


@app.command("models")
def list_models(csv: Csv = None, as_json: Json = False) -> None:
    """List the shipped models: their data, decay and variants."""
    from bayesma.analysis import model_table

    table = model_table()
    write_csv(csv, table)
    if as_json:
        print_json(table)
        return
    columns = ("name", "title", "data", "decay", "variants")
    cells = list(zip(*(table[column] for column in columns), strict=True))
    print_cells(columns, cells, whole="name")


@app.command()
def check(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="Studies: .csv, .tsv, .parquet or .xlsx.")
    ],
    columns: Annotated[
        list[str] | None, typer.Option(help="Your header of a column: n_treated='N ketamine'.")
    ] = None,
    units: Annotated[
        list[str] | None, typer.Option(help="Unit of bare numbers in delay or duration: delay=h.")
    ] = None,
    members: Annotated[
        Path | None, typer.Option(help="Table of the comparisons behind pooled rows.")
    ] = None,
    measure: Annotated[
        str, typer.Option(help="Effect of rows with arms: SMD, SMDH, MD, NMD or ROM.")
    ] = "SMD",
    variance: Annotated[
        str | None, typer.Option(help="Its sampling variance, as metafor names it: LS, UB, AV ...")
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of a workbook.")] = None,
    ranges: Annotated[
        str, typer.Option(help="Durations and doses such as '1-2 h': refuse, or midpoint.")
    ] = "refuse",
    covariates_only: Annotated[
        bool, typer.Option("--covariates-only", help="The table holds no outcomes.")
    ] = False,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Read a table, name every fault, count what it holds; --csv, --json give its effects."""
    from bayesma.effects import effect_sizes
    from bayesma.errorbars import suspicion
    from bayesma.readers import read_table

    how = cast("Ranges", ranges)
    mapping, defaults = pairs(columns, "--columns"), pairs(units, "--units")
    found = read_table(table, mapping, defaults, not covariates_only, sheet, how)
    effects, notes = None, found.notes
    if not covariates_only:
        comparisons = None
        if members is not None:
            comparisons = read_table(members, None, defaults, outcomes=False, ranges=how)
        effects = effect_sizes(found, measure, variance, members=comparisons)
        notes = (*effects.notes, *suspicion(found))
    checked = found.frame if effects is None else effects.frame
    write_csv(csv, checked)
    if as_json:
        print_json(checked, notes)
        return
    rows = found.frame["study"].value_counts()
    OUT.print(
        f"{found.source}: {len(found)} rows, {len(rows)} studies of {rows.min()} to "
        f"{rows.max()} rows",
        soft_wrap=True,
    )
    print_counts(found.frame)
    if effects is not None:
        middle = effects.frame["y"].median()
        OUT.print(
            f"{len(effects)} effects ({effects.measure}): median {middle:.2f}, from "
            f"{effects.y.min():.2f} to {effects.y.max():.2f}"
        )
    print_notes(notes, OUT)
