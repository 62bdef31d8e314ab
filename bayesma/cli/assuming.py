"""What a translation is asked: folders of fits, assumptions as texts, evidence from files."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesma.cli.console import OUT
from bayesma.cli.parsing import pairs, parsed_delays, read_covariates
from bayesma.cli.printing import print_cells
from bayesma.errors import BayesmaError, QueryError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from bayesma.posterior import Fit
    from bayesma.translation import Assumptions

__all__ = [
    "Assume",
    "Dose",
    "Folders",
    "Seed",
    "Species",
    "Weights",
    "assumptions_of",
    "covariates_of",
    "fits_in",
    "print_assumptions",
    "read_frame",
    "weights_of",
]

Folders = Annotated[
    list[Path],
    typer.Argument(metavar="DIR...", help="Folders of fits; several decay forms are averaged."),
]
Assume = Annotated[
    list[str] | None,
    typer.Option(
        help="An assumption other than the usual: no_translation=0.5, "
        "'discrepancy=normal(0, 0.5)', between_species=none. Repeat for others."
    ),
]
Weights = Annotated[
    str | None, typer.Option(help="Weights of the fits, in their order: 0.7,0.3. Alike if absent.")
]
Species = Annotated[
    str | None, typer.Option(help="The one species of the data to start from; else all.")
]
Dose = Annotated[str | None, typer.Option(help="Dose in people: '0.5 mg/kg'.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same draws.")]

PRIOR = re.compile(r"\s*([a-z_]+)\s*\(([^()]*)\)\s*")


def fits_in(folders: list[Path]) -> dict[str, Fit]:
    """Return the fits by decay form, or by folder where two are alike."""
    from bayesma.posterior import load_fit

    fits = [load_fit(path) for path in folders]
    forms = [fit.spec.decay for fit in fits]
    unique = len(set(forms)) == len(forms)
    names = forms if unique else [str(path) for path in folders]
    if len(set(names)) < len(names):
        raise QueryError("a folder is given twice: each fit is one decay form")
    return dict(zip(names, fits, strict=True))


def weights_of(text: str | None, fits: Mapping[str, Fit]) -> list[float] | None:
    """Return one weight for each fit."""
    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != len(fits):
        raise QueryError(f"--weights {text}: one number for each of {', '.join(fits)}")
    return found


def assumptions_of(texts: Iterable[str] | None) -> Assumptions | None:
    """Return the assumptions, those named replaced; None where none is named."""
    from bayesma.translation import Assumptions

    given = pairs(texts, "--assume")
    if not given:
        return None
    usual = Assumptions()
    known = [f.name for f in dataclasses.fields(usual) if f.name not in ("species", "sources")]
    for name in given:
        if name not in known:
            raise QueryError(f"--assume {name}: {did_you_mean(name, known)}")
    return Assumptions(**{name: _value(name, text) for name, text in given.items()})


def print_assumptions(given: Assumptions) -> None:
    """Print every assumption with its meaning and source."""
    OUT.print("assumed:")
    cells = [(one.name, one.value, f"{one.about} ({one.source})") for one in given.records]
    print_cells(("assumption", "", "meaning and source"), cells, whole="assumption")


def _value(name: str, text: str) -> Any:
    from bayesma.priors import from_dict

    if text.lower() in ("none", "yes", "no"):
        return {"none": None, "yes": True, "no": False}[text.lower()]
    try:
        if prior := PRIOR.fullmatch(text):
            return from_dict({prior[1]: [float(part) for part in prior[2].split(",")]})
        return float(text)
    except (BayesmaError, ValueError) as error:
        why = f" ({error})" if isinstance(error, BayesmaError) else ""
        raise QueryError(
            f"--assume {name}={text}: a number, none, yes, no, or a prior such as "
            f"normal(0, 0.5){why}"
        ) from error


def covariates_of(
    fits: Mapping[str, Fit],
    by: list[str] | None,
    at: list[str] | None,
    delay: str | None,
) -> dict[str, Any]:
    """Return levels by covariate, and the delays, as a translation takes them."""
    first = next(iter(fits.values()))
    found: dict[str, Any] = read_covariates(first.design, by, at)
    if "species" in found:
        named = any(text.startswith("species=") for text in [*(by or []), *(at or [])])
        if named:
            raise QueryError("--species names the one species to start from; not --by or --at")
        del found["species"]
    if delay is not None:
        found["delay"] = parsed_delays(delay)
    return found


def read_frame(path: Path) -> pd.DataFrame:
    """Return a CSV table as it stands."""
    import pandas as pd

    try:
        return pd.read_csv(path, comment="#")
    except FileNotFoundError as error:
        raise BayesmaError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise BayesmaError(f"{path}: is not a CSV table ({error})") from error
