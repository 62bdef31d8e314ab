"""The command that pairs the arms of a SyRF export."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bayesma.cli.app import app
from bayesma.cli.console import OUT
from bayesma.cli.files import write_csv
from bayesma.cli.notes import print_notes
from bayesma.cli.parsing import pairs
from bayesma.cli.printing import print_counts
from bayesma.errors import QueryError, SuspectDataWarning

if TYPE_CHECKING:
    from bayesma.units import Ranges

__all__ = ["syrf"]

TRUTH = {"true": True, "yes": True, "false": False, "no": False}


@app.command()
def syrf(
    export: Annotated[Path, typer.Argument(metavar="EXPORT", help="SyRF quantitative export.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the paired table to this CSV file.")
    ] = None,
    annotator: Annotated[
        list[str] | None,
        typer.Option(help="Whose annotation to use where several are. Repeat: the next choice."),
    ] = None,
    time_unit: Annotated[
        str | None, typer.Option(help="Unit of the times, whatever their header says: h.")
    ] = None,
    delay_reference: Annotated[
        str | None, typer.Option(help="What times count from: 'last dose'.")
    ] = None,
    outcome: Annotated[
        list[str] | None, typer.Option(help="Keep this outcome. Repeat for others.")
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option(help="Name a cohort's control: 'Wang 2011: drug 10=saline'. Repeat."),
    ] = None,
    across_experiments: Annotated[
        bool, typer.Option("--across-experiments", help="Controls may stand in other experiments.")
    ] = False,
    greater_is_worse: Annotated[
        list[str] | None, typer.Option(help="Correct an outcome's direction: latency=no.")
    ] = None,
    error_type: Annotated[
        list[str] | None, typer.Option(help="Correct a study's error type: 'Wang 2011=SEM'.")
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option(help="A column that is the same in every row: drug=X.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="The question that holds a column: species='Species?'.")
    ] = None,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Leave out arms that cannot be compared.")
    ] = False,
    leave_out_healthy: Annotated[
        bool,
        typer.Option("--leave-out-healthy", help="Leave out animals without the disease model."),
    ] = False,
    units: Annotated[
        list[str] | None, typer.Option(help="Unit of bare numbers in a duration: duration=h.")
    ] = None,
    ranges: Annotated[
        str, typer.Option(help="Durations and doses such as '1-2 h': refuse, or midpoint.")
    ] = "refuse",
) -> None:
    """Pair the arms of a SyRF export, and say all that was done to it."""
    from bayesma.readers import read_syrf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuspectDataWarning)  # they stand among the notes
        table = read_syrf(
            export,
            annotator=annotator or None,
            time_unit=time_unit,
            delay_reference=delay_reference,
            outcomes=outcome or None,
            controls=_controls(control or ()),
            across_experiments=across_experiments,
            greater_is_worse=_truths(greater_is_worse or ()),
            error_type=pairs(error_type, "--error-type"),
            constants=pairs(constant, "--constant"),
            columns=pairs(columns, "--columns"),
            unusable="leave out" if leave_out else "refuse",
            healthy="leave out" if leave_out_healthy else "keep",
            units=pairs(units, "--units"),
            ranges=cast("Ranges", ranges),
        )
    write_csv(out, table.frame)
    OUT.print(
        f"{table.source}: {len(table)} comparisons, {table.frame['study'].nunique()} studies",
        soft_wrap=True,
    )
    print_notes(table.notes, OUT)
    print_counts(table.frame)


def _controls(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        study, colon, pair = text.partition(":")
        if not colon:
            raise QueryError(f"--control {text}: write it as 'STUDY: TREATED=CONTROL'")
        for treated, control in pairs([pair], f"--control {study}:").items():
            found.setdefault(study.strip(), {})[treated] = control
    return found


def _truths(texts: Sequence[str]) -> dict[str, bool]:
    found = {}
    for name, text in pairs(texts, "--greater-is-worse").items():
        if text.lower() not in TRUTH:
            raise QueryError(f"--greater-is-worse {name}={text}: say yes or no")
        found[name] = TRUTH[text.lower()]
    return found
