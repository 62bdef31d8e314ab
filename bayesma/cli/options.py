"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["At", "By", "Ci", "Csv", "Delay", "Folder", "Json", "Out", "Quiet", "Rope"]


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
Rope = Annotated[str | None, typer.Option(help="Region of practical equivalence: --rope=-0.2,0.2.")]
