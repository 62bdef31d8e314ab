"""Answers for people and for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich import box
from rich.table import Table

from bayesma.cli.console import OUT
from bayesma.cli.files import write_csv
from bayesma.cli.notes import print_notes
from bayesma.cli.parsing import read_covariates

if TYPE_CHECKING:
    import pandas as pd

    from bayesma.design import Design
    from bayesma.posterior import Fit


__all__ = [
    "answer",
    "cell",
    "plain_records",
    "print_cells",
    "print_comparison",
    "print_counts",
    "print_fit",
    "print_frame",
    "print_json",
    "print_plan",
]


HEADS = {
    "delay": "delay (d)",
    "ci_low": "low",
    "ci_high": "high",
    "p_positive": "P(> 0)",
    "p_rope": "P(in ROPE)",
    "p_never": "P(never)",
    "p_above_1": "P(> 1)",
    "beyond_data": "beyond data",
    "ess": "ESS",
    "r_hat": "R-hat",
}

# Longer words are broken where a table is wide.
WORD = 16
# Of effects; durations are shown to three digits instead.
DECIMALS = {
    "trial low": 2,
    "trial high": 2,
    "mean": 2,
    "sd": 2,
    "median": 2,
    "ci_low": 2,
    "ci_high": 2,
    "r_hat": 3,
}


def answer(
    table: pd.DataFrame, notes: Sequence[str], csv: Path | None, as_json: bool, units: str = ""
) -> None:
    """Print a query's summary for people or as JSON, and write it to a file if asked."""
    if units:
        table.attrs["units"] = units
    write_csv(csv, table)
    if as_json:
        print_json(table, notes)
        return
    print_notes(notes)
    OUT.print(
        f"{table.attrs['estimand']}; {_centre(table)}{f', {units}' if units else ''}",
        soft_wrap=True,
    )
    from bayesma.coders import AVERAGE

    # What is said above, or in a note, is no column.
    said = [name for name in table if (table[name].astype(str) == AVERAGE).all()]
    shown = table.drop(columns=[*said, "mean", "sd", "p_other_sign"], errors="ignore")
    print_frame(shown, durations="p_never" in shown)
    if "small_study" in table.attrs:
        OUT.print(table.attrs["small_study"], soft_wrap=True)


def _centre(table: pd.DataFrame) -> str:
    return f"median and {table.attrs['ci_prob'] * 100:g}% interval"


def print_comparison(
    table: pd.DataFrame, notes: Sequence[str], csv: Path | None, as_json: bool
) -> None:
    """Print a comparison of regimens to read, or as JSON; write its numbers to a file if asked."""
    from bayesma.queries.comparisons import readable

    write_csv(csv, table)
    if as_json:
        print_json(table, notes)
        return
    print_notes(notes)
    OUT.print(f"{table.attrs['estimand']}; {_centre(table)}", soft_wrap=True)
    texts = readable(table, DECIMALS["median"])
    rows = [[cell(str(n), v) for n, v in zip(texts, row, strict=True)] for row in texts.to_numpy()]
    print_cells([str(name) for name in texts], rows)
    for key in ("note", "small_study"):
        if texts.attrs.get(key):
            OUT.print(texts.attrs[key], soft_wrap=True)


def print_json(table: pd.DataFrame, notes: Sequence[str] = ()) -> None:
    """Print a table with its estimand and notes as JSON."""
    records = plain_records(table)
    about = {str(name): value for name, value in table.attrs.items()}
    text = json.dumps(
        {**about, "notes": list(notes), "records": records}, allow_nan=False, indent=1
    )
    typer.echo(text)


def plain_records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON holds them."""
    return [
        {str(name): _plain(value) for name, value in record.items()}
        for record in table.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    """Return a cell as JSON holds it: null for NaN, a text for infinity."""
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(value)


def print_frame(table: pd.DataFrame, durations: bool = False) -> None:
    """Print a frame, rounded for people."""
    columns = [
        [cell("" if durations else str(name), value) for value in table[name]] for name in table
    ]
    heads = [HEADS.get(str(name), str(name)) for name in table]
    print_cells(heads, list(zip(*columns, strict=True)), whole=heads[0])


def cell(name: str, value: Any) -> str:
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


def print_cells(heads: Sequence[str], rows: Iterable[Sequence[str]], whole: str = "") -> None:
    """Print a table; the column `whole` is not broken."""
    rows = list(rows)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for i, head in enumerate(heads):
        number = all(row[i][-1:].isdigit() or not row[i] for row in rows)
        justify: Literal["left", "right"] = "right" if number else "left"
        whole_cells = number or head == whole
        cells = (head, *(row[i] for row in rows))
        # A column of words may be broken between them, but not squeezed away.
        parts = cells if whole_cells else [word for cell in cells for word in cell.split()]
        least = max(map(len, parts), default=0)
        least = least if whole_cells else min(least, WORD)
        table.add_column(
            head, justify=justify, overflow="fold", no_wrap=whole_cells, min_width=least
        )
    for row in rows:
        table.add_row(*row)
    # A number cut short is another number, and a column squeezed away is none: the terminal may
    # break lines, but nothing is cut.
    need = OUT.measure(table, options=OUT.options.update(width=10_000)).minimum
    if need > OUT.width:
        table.width = need
    OUT.print(table, crop=False, soft_wrap=need > OUT.width)


def print_counts(frame: pd.DataFrame) -> None:
    """Print how many rows and studies each regimen and species has, and what is missing."""
    from bayesma.schema import COLUMNS

    cells = []
    for name in ("regimen", "species"):
        if name in frame:
            for level, rows in frame.groupby(frame[name].fillna("(missing)")):
                cells.append((name, str(level), str(len(rows)), str(rows["study"].nunique())))
    if cells:
        print_cells(("column", "level", "rows", "studies"), cells)
    gaps = {name: int(frame[name].isna().sum()) for name in frame}
    said = ", ".join(f"{name} {count}" for name, count in gaps.items() if count)
    own = ", ".join(str(name) for name in frame if name not in COLUMNS)
    OUT.print(f"missing cells: {said or 'none'}")
    OUT.print(f"columns of your own, kept as they are: {own or 'none'}")


def print_plan(plan: Design) -> None:
    """Print what is fitted: rows, what was left out, and the priors as numbers."""
    spec = plan.spec
    OUT.print(
        f"{len(plan.effects)} rows ({plan.effects.measure}); peak = {spec.peak}; "
        f"decay = {spec.decay}: {spec.family.equation}",
        soft_wrap=True,
    )
    print_notes(plan.notes, OUT)
    about = {
        "peak": f"level at the reference delay ({_references(plan)}); the peak follows from it",
        "half_life": "log2 of the half-life in days",
        "persistent": "logit of the share that never fades",
        "shape": "log of the Weibull shape",
        "tau": "standard deviation of group effects"
        + (", where the mean effect is 0" if plan.kappa_names else "")
        + ("; of the outermost a Student-t's scale" if spec.population == "student" else ""),
        "kappa": "that standard deviation over the mean effect, far from 0",
        "nu": "degrees of freedom of Student-t study effects",
        "delay": "each unknown delay, in days",
        "small_study": "change in effect over one standard deviation of 1/sqrt(n)",
    }
    cells = []
    for name, prior in spec.priors.items():
        parameter = name.removesuffix("_contrast")
        if parameter not in plan.predictors:
            cells.append((name, str(prior), about[name]))
            continue
        predictor = plan.predictors[parameter]
        if name != parameter and predictor.contrast_basis.shape[1]:
            cells.append((name, str(prior), "difference between any two levels"))
        elif name == parameter and (predictor.average_basis.shape[1] or name == "tau"):
            cells.append((name, str(prior), about[name]))
    print_cells(("prior of", "", "binds"), cells)


def _references(plan: Design) -> str:
    return ", ".join(
        f"{' / '.join(cell)} {delay:.3g} d".strip() for cell, delay in plan.references.items()
    )


def print_fit(fit: Fit, summary: pd.DataFrame) -> None:
    """Print the parameters and the half-lives, and first of all whether to believe them."""
    if not fit.converged:
        OUT.print("This fit has NOT converged: do not use its numbers.")
    # The notes have been printed with the plan.
    print_notes([problem for problem in fit.problems if problem not in fit.notes], OUT)
    effective = [name for name in summary if str(name).startswith("ess")]
    shown = summary.drop(columns=effective).assign(ess=summary[effective].min(axis=1))
    print_frame(shown.rename_axis("parameter").reset_index())
    if fit.design.small_study is not None:
        from bayesma.queries.studies import small_study_sentence

        OUT.print(small_study_sentence(fit), soft_wrap=True)
    if not fit.spec.family.parameters:
        return
    from bayesma.queries import grid, half_life
    from bayesma.queries import summary as summary_of

    table = summary_of(half_life(fit, grid(fit, **read_covariates(fit.design, None, None))))
    OUT.print(f"{table.attrs['estimand']}; days, median and 95% interval", soft_wrap=True)
    print_frame(table.drop(columns="p_never"), durations=True)
