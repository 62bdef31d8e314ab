"""The command line: parse, call, print."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from bayesma.errors import (
    BayesmaError,
    ConvergenceWarning,
    ExtrapolationWarning,
    QueryError,
    did_you_mean,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesma.design import Design
    from bayesma.posterior import Fit

__all__ = ["app", "main"]

# More points than this are a typing error, not a question.
MOST_DELAYS = 10_000
DEMO = "ketamine_pain"
DEMO_DELAYS = (1.0, 7.0, 14.0, 28.0)
DEMO_LOSS = 0.7
HEADS = {
    "delay": "delay (d)",
    "ci_low": "low",
    "ci_high": "high",
    "p_positive": "P(> 0)",
    "p_rope": "P(in ROPE)",
    "p_never": "P(never)",
    "beyond_data": "beyond data",
    "ess": "ESS",
    "r_hat": "R-hat",
}

# Of effects; durations are shown to three digits instead.
DECIMALS = {"mean": 2, "sd": 2, "median": 2, "ci_low": 2, "ci_high": 2, "r_hat": 3}

# No markup: labels such as level[Intercept] are not styles.
OUT = Console(markup=False, highlight=False, emoji=False)
ERR = Console(markup=False, highlight=False, emoji=False, stderr=True)


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


# -- commands ----------------------------------------------------------------------------------


@app.command("datasets")
def list_datasets(csv: Csv = None, as_json: Json = False) -> None:
    """List the data sets: those in the package, and those to bring yourself."""
    from bayesma.catalogue import datasets

    table = datasets()
    _write_csv(csv, table)
    if as_json:
        _print_json(table)
        return
    cells = [
        (name, "bundled" if bundled else "bring your own", str(rows), about)
        for name, bundled, rows, about in zip(
            *(table[column] for column in ("name", "bundled", "rows", "about")), strict=True
        )
    ]
    _print_cells(("name", "at hand", "rows", "about"), cells, whole="name")
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
    _print_cells(("name", "title", "variants"), cells)


@app.command()
def check(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV file of studies.")],
    columns: Annotated[
        list[str] | None, typer.Option(help="Your header of a column: n_treated='N ketamine'.")
    ] = None,
    units: Annotated[
        list[str] | None, typer.Option(help="Unit of bare numbers in delay or duration: delay=h.")
    ] = None,
    members: Annotated[
        Path | None, typer.Option(help="CSV file of the comparisons behind pooled rows.")
    ] = None,
    covariates_only: Annotated[
        bool, typer.Option("--covariates-only", help="The table holds no outcomes.")
    ] = False,
) -> None:
    """Read a table, name every fault, and count what it holds."""
    from bayesma.effects import effect_sizes
    from bayesma.readers import read_table

    found = read_table(
        table, _pairs(columns, "--columns"), _pairs(units, "--units"), not covariates_only
    )
    effects = None
    if not covariates_only:
        comparisons = None if members is None else read_table(members, outcomes=False)
        effects = effect_sizes(found, members=comparisons)
    rows = found.frame["study"].value_counts()
    OUT.print(
        f"{found.source}: {len(found)} rows, {len(rows)} studies of {rows.min()} to "
        f"{rows.max()} rows",
        soft_wrap=True,
    )
    _print_counts(found.frame)
    if effects is not None:
        middle = effects.frame["y"].median()
        OUT.print(
            f"{len(effects)} effects ({effects.measure}): median {middle:.2f}, from "
            f"{effects.y.min():.2f} to {effects.y.max():.2f}"
        )
        _print_notes(effects.notes, OUT)


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
    _prepare(out, "fit.nc", "summary.csv")
    OUT.print(f"{analysis.name}: {analysis.title}", soft_wrap=True)
    _print_plan(plan)
    from bayesma.bayes import fit

    asked = {"draws": draws, "tune": tune, "chains": chains}
    settings = {**analysis.sampling, **{k: v for k, v in asked.items() if v is not None}}
    with _notes():  # what the warning says is printed below
        found = fit(
            effects, analysis.spec, seed=seed, sampler=sampler, progress=not no_progress, **settings
        )
    found.save(out / "fit.nc")
    summary = found.summary()
    _write_csv(out / "summary.csv", summary.rename_axis("parameter").reset_index())
    _print_fit(found, summary)
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
    asked = _covariates(fit.design, by, at)
    delays = _delays(fit.design, delay)
    with _notes(fit) as notes:
        found = decay_curve(fit, grid(fit, delay=delays, **asked), study, seed)  # type: ignore[arg-type]
        table = summary(found, ci)
    if png is not None:
        _draw(png, fit, found, ci, log_delay)
    _answer(table, notes, csv, as_json)


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
    ((name, text),) = _pairs([pair], "--contrast").items()
    over_delay = name == "delay"
    levels: Sequence[Any] = _parsed_delays(text) if over_delay else _levels(fit.design, name, text)
    if len(levels) != 2:
        raise QueryError(
            f"--contrast {pair}: two levels, first minus second, are needed: {name}=FIRST,SECOND"
        )
    asked = _covariates(fit.design, by, at, {} if over_delay else {name: levels})
    delays = levels if over_delay else _delays(fit.design, delay)
    with _notes(fit) as notes:
        found = contrast_of(fit, grid(fit, delay=delays, **asked), **{name: tuple(levels)})
        table = summary(found, ci, None if rope is None else _interval(rope))
    _answer(table, notes, csv, as_json)


@app.command()
def demo(
    out: Out,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 1,
    no_progress: Quiet = False,
) -> None:
    """Fit ketamine against neuropathic pain under two decay forms, and draw the curves."""
    names = ("fit.nc", "fit_plateau.nc", "decay_curves.png", "decay_curves_plateau.png")
    _prepare(out, *names)
    from bayesma.analysis import load_analysis
    from bayesma.bayes import fit

    fits: dict[str, Fit] = {}
    for variant, name in zip((None, "plateau"), names[:2], strict=True):
        analysis = load_analysis(DEMO, variant)
        ERR.print(f"fitting {analysis.name} (compiling takes a moment) ...")
        with _notes():
            found = fit(analysis, seed=seed, progress=not no_progress)
        found.save(out / name)
        fits[found.spec.decay] = found
    for found, name in zip(fits.values(), names[2:], strict=True):
        _draw_demo(out / name, found, analysis.title)
    _print_demo(fits)
    OUT.print("written: " + ", ".join(str(out / name) for name in names), soft_wrap=True)
    if not all(found.converged for found in fits.values()):
        raise typer.Exit(1)


# -- parsing -----------------------------------------------------------------------------------


def _pairs(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """Return name=value options as a dictionary."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise QueryError(f"{option} {text}: write it as NAME=VALUE")
        if name in found:
            raise QueryError(f"{option} {text}: '{name}' is given twice")
        found[name] = value
    return found


def _covariates(
    plan: Design,
    by: Iterable[str] | None,
    at: Iterable[str] | None,
    given: Mapping[str, Sequence[Any]] | None = None,
) -> dict[str, Sequence[Any]]:
    """Return the levels asked for by covariate; all of those by which the effect fades."""
    asked = dict(given or {})
    for option, texts in (("--by", by), ("--at", at)):
        for name, text in _pairs(texts, option).items():
            if name in asked:
                raise QueryError(f"{option} {name}={text}: '{name}' is given twice")
            asked[name] = _levels(plan, name, text, split=option == "--by")
    for name in plan.cells:
        asked.setdefault(name, sorted(set(plan.frame[name].astype(str))))
    return asked


def _levels(plan: Design, name: str, text: str, split: bool = True) -> list[Any]:
    """Return the levels in a text, as numbers where the model takes the covariate as a number."""
    from pandas.api.types import is_numeric_dtype

    known = sorted({*plan.covariates, *plan.spec.formula("tau").variables})
    if name not in known:
        raise QueryError(f"'{name}' is not a covariate of this model; {did_you_mean(name, known)}")
    levels = [part.strip() for part in text.split(",")] if split else [text]
    coded = {e for predictor in plan.predictors.values() for e in predictor.coders}
    if name not in plan.frame or not is_numeric_dtype(plan.frame[name]) or f"C({name})" in coded:
        return levels
    return [_number(level, f"{name}={text}") for level in levels]


def _number(text: str, subject: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise QueryError(f"{subject}: '{text}' is not a number")


def _interval(text: str) -> tuple[float, float]:
    parts = [_number(part, f"--rope {text}") for part in text.split(",")]
    if len(parts) != 2:
        raise QueryError(f"--rope {text}: give it as --rope=LOWER,UPPER")
    return parts[0], parts[1]


def _delays(plan: Design, text: str | None) -> list[float] | None:
    """Return the delays asked for, in days."""
    if text is not None:
        return _parsed_delays(text)
    if plan.spec.family.parameters:
        raise QueryError(
            "the effect depends on the delay: say which, e.g. --delay 0:28:0.5 or "
            "--delay '30 min,1,7'"
        )
    return None


def _parsed_delays(text: str) -> list[float]:
    from bayesma.queries import days

    found: list[float] = []
    for item in text.split(","):
        ends = [_days(part, text) for part in item.split(":")]
        if len(ends) == 1:
            found += ends
            continue
        start, stop, step = (*ends, 1.0)[:3]
        if len(ends) > 3 or not (0 <= start <= stop and step > 0):
            raise QueryError(f"--delay {text}: a range is FROM:TO or FROM:TO:STEP, upwards from 0")
        if (stop - start) / step > MOST_DELAYS:
            raise QueryError(f"--delay {text}: more than {MOST_DELAYS} delays; widen the step")
        found += days(start, stop, step).tolist()
    return list(dict.fromkeys(found))


def _days(part: str, text: str) -> float:
    from bayesma.units import duration

    try:
        return duration(part)
    except BayesmaError as error:
        raise QueryError(f"--delay {text}: {error}") from error


# -- notes -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _notes(fit: Fit | None = None) -> Iterator[list[str]]:
    """Collect what is to be said of an answer: the fit's problems, and the package's warnings.

    The effect of a short half-life may overflow towards delay 0: the answer then shows infinity,
    and NumPy need not warn of it.
    """
    import numpy as np

    found: list[str] = []
    if fit is not None:
        found += [] if fit.converged else ["this fit has NOT converged: its numbers may be wrong"]
        found += fit.problems
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        for kind in (ConvergenceWarning, ExtrapolationWarning):
            warnings.simplefilter("always", kind)
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, ConvergenceWarning | ExtrapolationWarning):
                found.append(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield found


def _print_notes(notes: Iterable[str], console: Console = ERR) -> None:
    for note in notes:
        console.print(f"note: {note}", soft_wrap=True)


# -- files -------------------------------------------------------------------------------------


def _prepare(folder: Path, *names: str) -> None:
    """Make the folder of the results, or refuse before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BayesmaError(
            f"{folder}: cannot be written to ({error.strerror}); choose a folder of yours"
        ) from error
    for name in names:
        if (folder / name).is_dir():
            raise BayesmaError(f"{folder / name}: is a folder; choose another folder than {folder}")


def _write(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        write(part)
        part.replace(target)
    except OSError as error:
        raise BayesmaError(
            f"{target}: cannot be written ({error.strerror}); choose a file in a "
            "folder that exists and is yours"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _write_csv(target: Path | None, table: pd.DataFrame) -> None:
    if target is not None:
        text = table.to_csv(index=False, lineterminator="\n")
        _write(target, lambda path: path.write_text(text, encoding="utf-8", newline=""))


def _draw(
    target: Path,
    fit: Fit,
    curve: xr.DataArray,
    ci: float,
    log_delay: bool,
    title: str | None = None,
) -> None:
    from bayesma.plots import plot_decay, study_points

    points = study_points(fit, curve)
    figure = plot_decay(curve, points, ci_prob=ci, log_delay=log_delay, title=title)
    _write(target, lambda path: figure.savefig(path, format="png", dpi=150))


def _draw_demo(target: Path, fit: Fit, title: str) -> None:
    import numpy as np

    from bayesma.queries import decay_curve, grid

    delays = [0.0, *np.geomspace(1 / 144, 35, 150)]
    with _notes():  # the picture draws what lies beyond the data as such
        found = decay_curve(fit, grid(fit, delay=delays, **_covariates(fit.design, None, None)))
    _draw(target, fit, found, 0.95, True, title)


# -- printing ----------------------------------------------------------------------------------


def _answer(table: pd.DataFrame, notes: Sequence[str], csv: Path | None, as_json: bool) -> None:
    """Print a query's summary for people or as JSON, and write it to a file if asked."""
    _write_csv(csv, table)
    if as_json:
        _print_json(table, notes)
        return
    _print_notes(notes)
    OUT.print(
        f"{table.attrs['estimand']}; median and {table.attrs['ci_prob'] * 100:g}% interval",
        soft_wrap=True,
    )
    _print_frame(table.drop(columns=["mean", "sd"], errors="ignore"))


def _print_json(table: pd.DataFrame, notes: Sequence[str] = ()) -> None:
    records = [
        {str(name): _plain(value) for name, value in record.items()}
        for record in table.to_dict("records")
    ]
    about = {str(name): value for name, value in table.attrs.items()}
    text = json.dumps(
        {**about, "notes": list(notes), "records": records}, allow_nan=False, indent=1
    )
    typer.echo(text)


def _plain(value: Any) -> Any:
    """Return a cell as JSON holds it: null for NaN, a text for infinity."""
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)


def _print_frame(table: pd.DataFrame, durations: bool = False) -> None:
    columns = [
        [_cell("" if durations else str(name), value) for value in table[name]] for name in table
    ]
    heads = [HEADS.get(str(name), str(name)) for name in table]
    _print_cells(heads, list(zip(*columns, strict=True)), whole=heads[0])


def _cell(name: str, value: Any) -> str:
    """Return a value rounded for people; a duration has no name."""
    if isinstance(value, str):
        return value
    if name == "beyond_data":
        return "yes" if value else ""
    if not math.isfinite(value):
        return "" if math.isnan(value) else str(value) if name else "never"
    if name.startswith("p_"):
        return "> 0.999" if 0.9995 <= value < 1 else f"{value:.3f}"
    if name in DECIMALS and abs(value) < 1000:
        # Adding 0.0 leaves no negative zero.
        return f"{round(value, DECIMALS[name]) + 0.0:.{DECIMALS[name]}f}"
    return f"{value:.0f}" if name.startswith("ess") else f"{value:.3g}"


def _print_cells(heads: Sequence[str], rows: Iterable[Sequence[str]], whole: str = "") -> None:
    """Print a table; the column `whole` is not broken."""
    rows = list(rows)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for i, head in enumerate(heads):
        number = all(row[i][-1:].isdigit() or not row[i] for row in rows)
        justify: Literal["left", "right"] = "right" if number else "left"
        whole_cells = number or head == whole
        table.add_column(head, justify=justify, overflow="fold", no_wrap=whole_cells)
    for row in rows:
        table.add_row(*row)
    OUT.print(table)


def _print_counts(frame: pd.DataFrame) -> None:
    """Print how many rows and studies each regimen and species has, and what is missing."""
    from bayesma.schema import COLUMNS

    cells = []
    for name in ("regimen", "species"):
        if name in frame:
            for level, rows in frame.groupby(frame[name].fillna("(missing)")):
                cells.append((name, str(level), str(len(rows)), str(rows["study"].nunique())))
    if cells:
        _print_cells(("column", "level", "rows", "studies"), cells)
    gaps = {name: int(frame[name].isna().sum()) for name in frame if name in COLUMNS}
    said = ", ".join(f"{name} {count}" for name, count in gaps.items() if count)
    own = ", ".join(str(name) for name in frame if name not in COLUMNS)
    OUT.print(f"missing cells: {said or 'none'}")
    OUT.print(f"columns of your own, kept as they are: {own or 'none'}")


def _print_plan(plan: Design) -> None:
    """Print what is fitted: rows, what was left out, and the priors as numbers."""
    spec = plan.spec
    OUT.print(
        f"{len(plan.effects)} rows ({plan.effects.measure}); peak = {spec.peak}; "
        f"decay = {spec.decay}: {spec.family.equation}",
        soft_wrap=True,
    )
    _print_notes(plan.notes, OUT)
    about = {
        "peak": f"level at the reference delay ({_references(plan)}); the peak follows from it",
        "half_life": "log2 of the half-life in days",
        "persistent": "logit of the share that never fades",
        "tau": "standard deviation of group effects",
    }
    cells = []
    for name, prior in spec.priors.items():
        parameter = name.removesuffix("_contrast")
        predictor = plan.predictors[parameter]
        if name != parameter and predictor.contrast_basis.shape[1]:
            cells.append((name, str(prior), "difference between any two levels"))
        elif name == parameter and (predictor.average_basis.shape[1] or name == "tau"):
            cells.append((name, str(prior), about[name]))
    _print_cells(("prior of", "", "binds"), cells)


def _references(plan: Design) -> str:
    named = {cell: delay for cell, delay in plan.references.items() if cell or not plan.cells}
    return ", ".join(f"{' / '.join(cell)} {delay:.3g} d".strip() for cell, delay in named.items())


def _print_fit(fit: Fit, summary: pd.DataFrame) -> None:
    """Print the parameters and the half-lives, and first of all whether to believe them."""
    if not fit.converged:
        OUT.print("This fit has NOT converged: do not use its numbers.")
    _print_notes(fit.problems, OUT)
    effective = [name for name in summary if str(name).startswith("ess")]
    shown = summary.drop(columns=effective).assign(ess=summary[effective].min(axis=1))
    _print_frame(shown.rename_axis("parameter").reset_index())
    if not fit.spec.family.parameters:
        return
    from bayesma.queries import grid, half_life
    from bayesma.queries import summary as summary_of

    table = summary_of(half_life(fit, grid(fit, **_covariates(fit.design, None, None))))
    OUT.print(f"{table.attrs['estimand']}; days, median and 95% interval", soft_wrap=True)
    _print_frame(table.drop(columns="p_never"), durations=True)


def _print_demo(fits: Mapping[str, Fit]) -> None:
    """Print the answers under every decay form side by side."""
    answers = [_demo_answers(fit) for fit in fits.values()]
    for name, fit in fits.items():
        if not fit.converged:
            OUT.print(f"The {name} fit has NOT converged: do not use its numbers.")
    for problem in dict.fromkeys(problem for fit in fits.values() for problem in fit.problems):
        names = [name for name, fit in fits.items() if problem in fit.problems]
        _print_notes([problem if len(names) == len(fits) else f"{names[0]}: {problem}"], OUT)
    _print_cells(
        ("median and 95% interval", *fits),
        [(row, *(answer[row] for answer in answers)) for row in answers[0]],
    )
    OUT.print(
        "* beyond the delays of the data after a single dose: there the answer is the decay "
        "form's. Compare the columns. The half-life of a plateau is that of the part which fades."
    )


def _demo_answers(fit: Fit) -> dict[str, str]:
    from bayesma.queries import contrast, grid, half_life, summary, time_to_loss

    regimens = grid(fit, regimen=["single", "repeated"])
    rows: dict[str, str] = {}
    for words, draws in (
        ("half-life (d)", half_life(fit, regimens)),
        (f"time until {DEMO_LOSS:.0%} is lost (d)", time_to_loss(fit, regimens, DEMO_LOSS)),
    ):
        for record in summary(draws).to_dict("records"):
            middle, low, high = (_cell("", record[n]) for n in ("median", "ci_low", "ci_high"))
            rows[f"{words}, {record['regimen']}"] = f"{middle} [{low}, {high}]"
    with _notes():  # what lies beyond the data is starred
        draws = contrast(
            fit, grid(fit, regimen="single", delay=DEMO_DELAYS), regimen=("repeated", "single")
        )
    for record in summary(draws).to_dict("records"):
        star = "*" if record["beyond_data"] else ""
        probability = _cell("p_", record["p_positive"])
        rows[f"P(repeated > single) at {record['delay']:g} d{star}"] = probability
    return rows
