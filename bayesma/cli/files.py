"""Files written whole or not at all."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bayesma.errors import BayesmaError, QueryError
from bayesma.files import write_whole

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from bayesma.posterior import Fit


__all__ = ["check_picture", "draw", "prepare", "save_picture", "write_csv"]

PICTURES = (".png", ".svg", ".pdf")


def prepare(folder: Path, *names: str) -> None:
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


def write_csv(target: Path | None, table: pd.DataFrame) -> None:
    """Write a table, unrounded; nothing if no file is named."""
    if target is not None:
        text = table.to_csv(index=False, lineterminator="\n")
        if "\r" in text:  # a return inside a cell ends the row for other programs if not quoted
            text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        write_whole(target, lambda path: path.write_text(text, encoding="utf-8", newline=""))


def check_picture(target: Path | None, option: str) -> None:
    """Refuse a picture of a kind that is not drawn, before any work is done."""
    if target is not None and target.suffix and target.suffix.lower() not in PICTURES:
        raise QueryError(f"{option} {target}: pictures are {', '.join(PICTURES)}")


def save_picture(target: Path, figure: Figure) -> None:
    """Write a figure as its name says, or as PNG where it says nothing."""
    kind = target.suffix.lower().removeprefix(".") or "png"
    write_whole(target, lambda path: figure.savefig(path, format=kind, dpi=150))


def draw(
    target: Path,
    fit: Fit,
    curve: xr.DataArray,
    ci: float,
    log_delay: bool,
    title: str | None = None,
) -> None:
    """Draw a curve with the observations that belong to it."""
    from bayesma.plots import plot_decay
    from bayesma.queries import study_points

    points = study_points(fit, curve)
    figure = plot_decay(curve, points, ci_prob=ci, log_delay=log_delay, title=title)
    save_picture(target, figure)
