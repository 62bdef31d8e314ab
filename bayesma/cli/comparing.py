"""The command that leaves studies or rows out, of one fit or of several held together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayesma.cli.app import app
from bayesma.cli.console import OUT
from bayesma.cli.files import write_csv
from bayesma.cli.notes import noted, print_notes
from bayesma.cli.options import Csv, Json, Quiet
from bayesma.cli.printing import print_cells, print_json
from bayesma.errors import QueryError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from bayesma.checks import ModelComparison
    from bayesma.posterior import Fit

__all__ = ["leave_out"]

UNITS = ("study", "row")
WEIGHTS = ("stacking", "bb-pseudo-bma", "pseudo-bma")
# Units of a single fit that are shown: those predicted worst.
WORST = 5


@app.command("loo")
def leave_out(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders of fits, or their .nc files.")
    ],
    by: Annotated[str, typer.Option(help="What is left out: study or row.")] = "study",
    weights: Annotated[
        str, typer.Option(help="Weights of several fits: stacking, bb-pseudo-bma, pseudo-bma.")
    ] = "stacking",
    refit: Annotated[
        bool, typer.Option(help="Sample again without the units whose Pareto k is too high.")
    ] = True,
    quiet: Quiet = False,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Print how well a fit predicts a study (or row) left out; of several fits, which does best."""
    from bayesma.posterior import load_fit

    if by not in UNITS:
        raise QueryError(f"--by {by}; {did_you_mean(by, UNITS)}")
    if weights not in WEIGHTS:
        raise QueryError(f"--weights {weights}; {did_you_mean(weights, WEIGHTS)}")
    fits = {name: load_fit(path) for name, path in _names(folders).items()}
    progress = not (quiet or as_json)
    if len(fits) == 1:
        ((name, fit),) = fits.items()
        _one(name, fit, by, refit, progress, csv, as_json)
        return
    from bayesma.checks import compare_models

    with noted() as notes:
        found = compare_models(fits, by, weights, refit, progress)
    _several(found, [*found.notes, *notes], csv, as_json)


def _names(folders: list[Path]) -> dict[str, Path]:
    """Return a name for each fit: its folder's, or the whole path where two are called alike."""
    twice = sorted({str(path) for path in folders if folders.count(path) > 1})
    if twice:
        raise QueryError(f"{', '.join(twice)}: given twice; a fit is compared with others")
    short = [(path.parent if path.name == "fit.nc" else path).resolve().stem for path in folders]
    unique = len(set(short)) == len(short)
    return {name if unique else str(path): path for name, path in zip(short, folders, strict=True)}


def _one(
    name: str, fit: Fit, by: str, refit: bool, progress: bool, csv: Path | None, as_json: bool
) -> None:
    import pandas as pd

    from bayesma.checks.loo import left_out, unreliable

    with noted(fit) as notes:
        found, again = left_out(fit, by, refit, progress)
    unit = str(found.elpd_i.dims[0])
    table = pd.DataFrame(
        {
            unit: found.elpd_i[unit].values,
            "elpd": found.elpd_i.values,
            "pareto_k": found.pareto_k.values,
        }
    )
    bad = int(unreliable(found).sum())
    table.attrs |= {"model": name, "left_out_by": unit}
    table.attrs |= {key: float(getattr(found, key)) for key in ("elpd", "se", "p")}
    table.attrs |= {"n_bad_k": bad, "refitted": len(again)}
    if bad:
        notes.append(
            f"{bad} {unit} estimates are unreliable (Pareto k above {found.good_k:.2f}): too good "
            "to be true"
        )
    write_csv(csv, table)
    if as_json:
        print_json(table, notes)
        return
    print_notes(notes)
    OUT.print(
        f"{name}, left out by {unit} ({len(table)}): elpd {found.elpd:.1f} (se {found.se:.1f}), "
        f"{found.p:.1f} effective parameters; {len(again)} left out by sampling again",
        soft_wrap=True,
    )
    _print_worst(table, unit)


def _print_worst(table: pd.DataFrame, unit: str) -> None:
    worst = table.sort_values("elpd").head(WORST)
    cells = [(str(u), f"{e:.1f}", f"{k:.2f}") for u, e, k in worst.itertuples(index=False)]
    print_cells((f"{unit} (predicted worst)", "elpd", "Pareto k"), cells)


def _several(found: ModelComparison, notes: list[str], csv: Path | None, as_json: bool) -> None:
    table = found.table.reset_index()
    write_csv(csv, table)
    if as_json:
        table.attrs |= {"left_out_by": found.unit, "weighting": found.weighting}
        table.attrs |= {"best": found.best, "tied": list(found.tied)}
        table.attrs |= {"sentences": list(found.sentences)}
        print_json(table, notes)
        return
    print_notes(notes)
    cells = [
        (
            str(r.model),
            f"{r.elpd:.1f}",
            f"{r.se:.1f}",
            f"{r.elpd_diff:.1f}",
            f"{r.dse:.1f}",
            f"{r.p:.1f}",
            f"{r.weight:.2f}",
            f"{r.n_bad_k}",
            f"{r.refitted}",
        )
        for r in table.itertuples()
    ]
    heads = ("model", "elpd", "se", "difference", "se of it", "parameters", "weight")
    print_cells((*heads, "bad k", "refitted"), cells, whole="model")
    for sentence in found.sentences:
        OUT.print(sentence, soft_wrap=True)
