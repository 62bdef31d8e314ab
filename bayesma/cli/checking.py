"""Commands that check a fit: against its classical twin, and how much its priors decide."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesma.cli.app import app
from bayesma.cli.console import OUT
from bayesma.cli.files import check_picture, save_picture, write_csv
from bayesma.cli.notes import noted, print_notes
from bayesma.cli.options import At, By, Ci, Csv, Delay, Folder, Json
from bayesma.cli.parsing import parsed_delays, read_covariates
from bayesma.cli.printing import print_cells, print_json
from bayesma.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesma.checks import CrossCheck
    from bayesma.posterior import Fit

__all__ = ["crosscheck", "sensitivity"]


NOTHING = 1e-5


@app.command()
def crosscheck(
    folder: Folder,
    by: By = None,
    delay: Delay = None,
    at: At = None,
    published: Annotated[
        Path | None,
        typer.Option(help="CSV of printed results: quantity, estimate, where, ci_low, ci_high."),
    ] = None,
    ci: Ci = 0.95,
    png: Annotated[
        Path | None, typer.Option("--png", "--picture", help="Draw the comparison into FILE.")
    ] = None,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print Bayesian, frequentist and published answers side by side, and why they differ."""
    from bayesma.checks import cross_check
    from bayesma.posterior import load_fit

    check_picture(png, "--picture")
    fit = load_fit(folder)
    printed = None if published is None else _printed(published)
    with noted() as notes:
        check = cross_check(fit, printed, _points(fit, by, delay, at), ci)
    notes = [*check.notes, *notes]
    write_csv(csv, check.table)
    if png is not None:
        from bayesma.plots import plot_crosscheck

        figure = plot_crosscheck(check)
        save_picture(png, figure)
    if as_json:
        table = check.table.copy()
        table.attrs |= {"sentences": list(check.sentences)}
        print_json(table, notes)
        return
    print_notes(notes)
    _print(check)


@app.command()
def sensitivity(
    folder: Folder,
    by: By = None,
    delay: Delay = None,
    at: At = None,
    by_prior: Annotated[
        bool, typer.Option("--by-prior", help="Scale each prior by itself, too.")
    ] = False,
    threshold: Annotated[float, typer.Option(help="From which a sensitivity counts.")] = 0.05,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print how much each answer owes to the priors and to the data, by power-scaling."""
    from bayesma.checks import prior_sensitivity
    from bayesma.posterior import load_fit

    fit = load_fit(folder)
    with noted(fit) as notes:
        table = prior_sensitivity(
            fit,
            "prior" if by_prior else None,
            at=_points(fit, by, delay, at),
            threshold=threshold,
        )
    notes = [*notes, *table.attrs.pop("notes")]
    write_csv(csv, table)
    if as_json:
        print_json(table, notes)
        return
    print_notes(notes)
    OUT.print(table.attrs["estimand"], soft_wrap=True)
    _print_sensitivity(table)


def _print_sensitivity(table: pd.DataFrame) -> None:
    """Print the table, rounded, and what its verdicts mean."""
    from bayesma.checks.powerscaling import MEANINGS, QUIET

    shown = table.drop(columns="unit")
    rows = [
        [cell if isinstance(cell, str) else f"{cell:.2f}" for cell in row]
        for row in shown.to_numpy()
    ]
    print_cells([str(name) for name in shown], rows)
    counts = table["verdict"].value_counts()
    said = [
        f"{verdict} ({counts[verdict]} of {len(table)}): {meaning}"
        for verdict, meaning in MEANINGS.items()
        if verdict in counts
    ]
    for sentence in said or [QUIET]:
        OUT.print(sentence, soft_wrap=True)


def _points(fit: Fit, by: Any, delay: str | None, at: Any) -> xr.Dataset | None:
    """Return the grid asked for; None where nothing is asked."""
    from bayesma.queries import grid

    if not (by or delay or at):
        return None
    asked = read_covariates(fit.design, by, at)
    delays = None if delay is None else parsed_delays(delay)
    return grid(fit, delay=delays, **asked)


def _printed(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error


def _print(check: CrossCheck) -> None:
    table = check.table
    OUT.print(
        f"{table.attrs['estimand']}; frequentist: {check.method}; "
        f"{check.ci_prob * 100:g}% intervals, differences in posterior SD",
        soft_wrap=True,
    )
    rows = []
    for _, row in table.iterrows():
        named = ", ".join(text for text in (row["quantity"], row["where"]) if text)
        answers = [_answer(row, name) for name in ("bayesian", "frequentist", "published")]
        difference = f"{row['difference']:+.2f}" if row["verdict"] != "no twin" else ""
        rows.append((named, row["unit"], *answers, difference, row["verdict"]))
    heads = ("quantity", "unit", "Bayesian", "frequentist", "published", "difference", "verdict")
    print_cells(heads, rows)
    for sentence in check.sentences:
        OUT.print(sentence, soft_wrap=True)


def _answer(row: Any, name: str) -> str:
    """Return an estimate with its interval, as far as there is one."""
    numbers = (row[name], row[f"{name}_ci_low"], row[f"{name}_ci_high"])
    # An effect long faded is 1e-40 on paper, and 0 beside the other end of its interval.
    least = NOTHING * max((abs(value) for value in numbers if abs(value) < math.inf), default=0)
    middle, low, high = (
        "" if value != value else f"{0.0 if abs(value) < least else value:.3g}" for value in numbers
    )
    return f"{middle} [{low}, {high}]".strip() if low and high else middle
