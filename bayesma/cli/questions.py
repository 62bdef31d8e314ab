"""Commands that ask a fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bayesma.cli.app import app
from bayesma.cli.files import check_picture, draw
from bayesma.cli.notes import noted
from bayesma.cli.options import At, By, Ci, Csv, Delay, Folder, Json, Rope
from bayesma.cli.parsing import (
    interval,
    pairs,
    parsed_delays,
    read_covariates,
    read_delays,
    read_levels,
)
from bayesma.cli.printing import answer, print_comparison
from bayesma.errors import QueryError

__all__ = ["area", "compare", "contrast", "curve", "fading"]

Start = Annotated[str | None, typer.Option("--from", help="Where an area starts: days, or '24 h'.")]
Stop = Annotated[str | None, typer.Option("--to", help="Where it stops.")]


@app.command()
def curve(
    folder: Folder,
    by: By = None,
    delay: Delay = None,
    at: At = None,
    study: Annotated[str, typer.Option(help="average: the population mean; new: a new study.")] = (
        "average"
    ),
    seed: Annotated[int | None, typer.Option(help="Needed for a new study.")] = None,
    ci: Ci = 0.95,
    png: Annotated[Path | None, typer.Option(help="Draw the curve into FILE.")] = None,
    log_delay: Annotated[
        bool, typer.Option("--log-delay", help="Draw the delays on a logarithmic axis.")
    ] = False,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print the effect by delay: medians and intervals, one curve per level."""
    from bayesma.posterior import load_fit
    from bayesma.queries import decay_curve, grid, summary

    check_picture(png, "--png")
    fit = load_fit(folder)
    asked = read_covariates(fit.design, by, at)
    delays = read_delays(fit.design, delay)
    with noted(fit) as notes:
        found = decay_curve(fit, grid(fit, delay=delays, **asked), study, seed)  # type: ignore[arg-type]
        table = summary(found, ci)
    if png is not None:
        draw(png, fit, found, ci, log_delay)
    answer(table, notes, csv, as_json)


@app.command()
def compare(
    folder: Folder,
    delay: Delay = None,
    reference: Annotated[
        str | None, typer.Option(help="Level that the others are held against.")
    ] = None,
    covariate: Annotated[str, typer.Option(help="Factor to compare by.")] = "regimen",
    by: By = None,
    at: At = None,
    rope: Rope = None,
    ci: Ci = 0.95,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print regimens side by side over delays: effects, differences and ratios."""
    from bayesma.posterior import load_fit
    from bayesma.queries import compare_regimens

    fit = load_fit(folder)
    options: dict[str, Any] = {**read_covariates(fit.design, by, at), "ci_prob": ci}
    options["rope"] = None if rope is None else interval(rope)
    delays = None if delay is None else parsed_delays(delay)
    with noted(fit) as notes:
        table = compare_regimens(fit, delays, reference, covariate, **options)
    print_comparison(table, notes, csv, as_json)


@app.command()
def contrast(
    folder: Folder,
    pair: Annotated[
        str, typer.Option("--contrast", help="First against second: regimen=repeated,single.")
    ],
    of: Annotated[str, typer.Option(help="What is compared: effect, half_life or auc.")] = "effect",
    ratio: Annotated[bool, typer.Option("--ratio", help="First divided by second.")] = False,
    start: Start = None,
    stop: Stop = None,
    delay: Delay = None,
    at: At = None,
    by: By = None,
    rope: Rope = None,
    ci: Ci = 0.95,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print the difference, or the ratio, between two levels of a covariate."""
    from bayesma.posterior import load_fit
    from bayesma.queries import contrast as contrast_of
    from bayesma.queries import grid, summary

    fit = load_fit(folder)
    ((name, text),) = pairs([pair], "--contrast").items()
    over_delay = name == "delay"
    levels: Sequence[Any] = (
        parsed_delays(text) if over_delay else read_levels(fit.design, name, text)
    )
    if len(levels) != 2:
        raise QueryError(
            f"--contrast {pair}: two levels, first minus second, are needed: {name}=FIRST,SECOND"
        )
    asked = read_covariates(fit.design, by, at, {} if over_delay else {name: levels})
    delays = None
    if of == "effect":
        delays = levels if over_delay else read_delays(fit.design, delay)
    options: dict[str, Any] = {"of": of, "scale": "ratio" if ratio else "difference"}
    options |= {"start": start, "stop": stop, name: tuple(levels)}
    with noted(fit) as notes:
        found = contrast_of(fit, grid(fit, delay=delays, **asked), **options)
        table = summary(found, ci, None if rope is None else interval(rope))
    units = "" if of == "effect" or ratio else found.attrs["units"]
    answer(table, notes, csv, as_json, units)


@app.command("auc")
def area(
    folder: Folder,
    start: Start = None,
    stop: Stop = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="Divide by the length: the effect averaged over time.")
    ] = False,
    by: By = None,
    at: At = None,
    ci: Ci = 0.95,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print the area under the curve of the effect, from one delay to another."""
    from bayesma.posterior import load_fit
    from bayesma.queries import auc, grid, summary

    if start is None or stop is None:
        raise QueryError("an area needs its span, e.g. --from 0 --to 7")
    fit = load_fit(folder)
    asked = read_covariates(fit.design, by, at)
    with noted(fit) as notes:
        found = auc(fit, grid(fit, **asked), start, stop, mean=mean)
        table = summary(found, ci)
    answer(table, notes, csv, as_json, found.attrs["units"])


@app.command("half-life")
def fading(
    folder: Folder,
    by: By = None,
    at: At = None,
    ci: Ci = 0.95,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print the half-life of the effect, in days."""
    from bayesma.posterior import load_fit
    from bayesma.queries import grid, half_life, summary

    fit = load_fit(folder)
    asked = read_covariates(fit.design, by, at)
    with noted(fit) as notes:
        table = summary(half_life(fit, grid(fit, **asked)), ci)
    answer(table, notes, csv, as_json, "d")
