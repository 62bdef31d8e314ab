"""The command that writes a report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesma.cli.app import app
from bayesma.cli.assuming import Seed, assumptions_of, covariates_of, fits_in
from bayesma.cli.console import ERR, OUT
from bayesma.cli.files import prepare
from bayesma.cli.notes import noted
from bayesma.cli.options import Folder
from bayesma.errors import QueryError

if TYPE_CHECKING:
    from bayesma.posterior import Fit
    from bayesma.reporting import Report
    from bayesma.translation import Translation

__all__ = ["write_report"]

KINDS = ("csv", "md", "tex")
# Days at which people are spoken of where no delay is asked for.
PEOPLE = "1,7,28"


@app.command("report")
def write_report(
    folder: Folder,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Fit of another model, to show its answers beside. Repeat for more."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page; DIR/report.html where absent.")
    ] = None,
    people: Annotated[
        bool, typer.Option("--people", help="Translate to people, the fits beside averaged in.")
    ] = False,
    delay: Annotated[
        str | None, typer.Option(help=f"Delays for --people, in days; {PEOPLE} where absent.")
    ] = None,
    assume: Annotated[
        list[str] | None, typer.Option(help="An assumption for --people: no_translation=0.5.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    question: Annotated[str | None, typer.Option(help="The question in your words.")] = None,
    tables: Annotated[
        Path | None, typer.Option(help="Write every table into this folder, too.")
    ] = None,
    tables_as: Annotated[str, typer.Option(help="Format of --tables: csv, md or tex.")] = "csv",
    figures: Annotated[
        Path | None, typer.Option(help="Write every figure into this folder, too, as SVG.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Write the report of a fit: one HTML page. Exit status 1 if the fit has not converged."""
    if tables_as not in KINDS:
        raise QueryError(f"--tables-as {tables_as}: known: {', '.join(KINDS)}")
    if not people and (delay is not None or assume):
        raise QueryError(f"{'--assume' if delay is None else '--delay'} belongs to --people")
    target = out or (folder if folder.is_dir() else folder.parent) / "report.html"
    prepare(target.parent, target.name)
    fits = fits_in([folder, *(beside or [])])
    name, fit = next(iter(fits.items()))
    options: dict[str, Any] = {"title": title, "question": question, "seed": seed}
    if people:
        options["translation"] = _translated(fits, delay, assume, seed)
    others = {key: other for key, other in fits.items() if key != name}
    from bayesma.reporting import report

    made = report(fit, target, beside=others, command=_command(), **options)
    _write_parts(made, tables, tables_as, figures)
    OUT.print(f"written: {target}", soft_wrap=True)
    if not made.converged:
        ERR.print("this fit has NOT converged: the page says how, and withholds its answers")
        raise typer.Exit(1)


def _translated(
    fits: dict[str, Fit], delay: str | None, assume: list[str] | None, seed: int
) -> Translation | None:
    """Return the prediction for people; None where a fit has not converged."""
    from bayesma.translation import translate

    if not all(fit.converged for fit in fits.values()):
        return None
    asked = covariates_of(fits, None, None, delay or PEOPLE)
    with noted():  # the report marks what lies beyond the data
        return translate(fits, seed=seed, assumptions=assumptions_of(assume), **asked)


def _write_parts(made: Report, tables: Path | None, kind: str, figures: Path | None) -> None:
    if tables is not None:
        written = made.save_tables(tables, kind)
        OUT.print(f"written: {len(written)} tables to {tables}", soft_wrap=True)
    if figures is not None:
        written = made.save_figures(figures)
        OUT.print(f"written: {len(written)} figures to {figures}", soft_wrap=True)


def _command() -> str:
    """Return what was typed, for the page to repeat."""
    return shlex.join(["bayesma", *sys.argv[1:]])
