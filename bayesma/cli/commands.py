"""The commands: parse, call, print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperGroup

from bayesma.cli.console import ERR, OUT
from bayesma.cli.demo import MODEL, draw_demo, print_demo
from bayesma.cli.files import draw, prepare, write_csv
from bayesma.cli.notes import noted, print_notes
from bayesma.cli.parsing import (
    interval,
    pairs,
    parsed_delays,
    read_covariates,
    read_delays,
    read_levels,
)
from bayesma.cli.printing import (
    answer,
    print_cells,
    print_counts,
    print_fit,
    print_json,
    print_plan,
)
from bayesma.errors import (
    BayesmaError,
    QueryError,
)

if TYPE_CHECKING:
    from bayesma.posterior import Fit
    from bayesma.units import Ranges


__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """Commands that refuse in one message: no traceback, exit status 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BayesmaError as error:
            ERR.print(str(error), soft_wrap=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_Commands,
    help="Bayesian meta-analysis of drug effects that fade.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    app()


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"bayesma {version('bayesma')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


Csv = Annotated[Path | None, typer.Option("--csv", help="Write the table, unrounded, to FILE.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a fit, or its .nc file.")]
Delay = Annotated[
    str | None,
    typer.Option(help="Days since the last dose: 0:28:0.5 (from:to:step), '30 min,1,7', or both."),
]
At = Annotated[
    list[str] | None,
    typer.Option("--at", help="Hold a covariate at one level: species=rat. Repeat for others."),
]
By = Annotated[
    list[str] | None,
    typer.Option("--by", help="Several levels of a covariate: regimen=single,repeated."),
]
Ci = Annotated[float, typer.Option("--ci", help="Probability of the intervals.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")]
Quiet = Annotated[bool, typer.Option("--no-progress", help="Show no progress bar.")]


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
def list_models() -> None:
    """List the shipped models and their variants."""
    import tomllib

    from bayesma.catalogue import root

    records = {
        path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted(root("models").glob("*.toml"))
    }
    cells = [
        (name, record["title"], ", ".join(record.get("variants", {})))
        for name, record in records.items()
    ]
    print_cells(("name", "title", "variants"), cells)


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
    from bayesma.readers import read_table

    how = cast("Ranges", ranges)
    mapping, defaults = pairs(columns, "--columns"), pairs(units, "--units")
    found = read_table(table, mapping, defaults, not covariates_only, sheet, how)
    effects, notes = None, found.notes
    if not covariates_only:
        comparisons = None
        if members is not None:
            comparisons = read_table(members, outcomes=False, ranges=how)
        effects = effect_sizes(found, members=comparisons)
        notes = (*effects.notes, *(() if comparisons is None else comparisons.told))
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
) -> None:
    """Sample a model; write fit.nc and summary.csv. Exit status 1 if it has not converged."""
    from bayesma.analysis import load_analysis
    from bayesma.design import design

    analysis = load_analysis(model, variant)
    effects = analysis.effects(data)
    plan = design(analysis.spec, effects)
    prepare(out, "fit.nc", "summary.csv")
    OUT.print(f"{analysis.name}: {analysis.title}", soft_wrap=True)
    print_plan(plan)
    from bayesma.bayes import fit

    asked = {"draws": draws, "tune": tune, "chains": chains}
    settings = {**analysis.sampling, **{k: v for k, v in asked.items() if v is not None}}
    with noted():  # what the warning says is printed below
        found = fit(
            effects, analysis.spec, seed=seed, sampler=sampler, progress=not no_progress, **settings
        )
    found.save(out / "fit.nc")
    summary = found.summary()
    write_csv(out / "summary.csv", summary.rename_axis("parameter").reset_index())
    print_fit(found, summary)
    OUT.print(f"written: {out / 'fit.nc'}, {out / 'summary.csv'}", soft_wrap=True)
    if not found.converged:
        raise typer.Exit(1)


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
def contrast(
    folder: Folder,
    pair: Annotated[
        str, typer.Option("--contrast", help="First minus second: regimen=repeated,single.")
    ],
    delay: Delay = None,
    at: At = None,
    by: By = None,
    rope: Annotated[
        str | None, typer.Option(help="Region of practical equivalence: --rope=-0.2,0.2.")
    ] = None,
    ci: Ci = 0.95,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print the difference in effect between two levels of a covariate."""
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
    delays = levels if over_delay else read_delays(fit.design, delay)
    with noted(fit) as notes:
        found = contrast_of(fit, grid(fit, delay=delays, **asked), **{name: tuple(levels)})
        table = summary(found, ci, None if rope is None else interval(rope))
    answer(table, notes, csv, as_json)


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
