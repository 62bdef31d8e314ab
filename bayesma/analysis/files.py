"""Model files: one TOML names the data, how to prepare them, and the spec."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from bayesma.analysis.noun import Analysis
from bayesma.analysis.published import published_from
from bayesma.catalogue import root
from bayesma.errors import SpecError, did_you_mean
from bayesma.priors import NAMED
from bayesma.spec import ModelSpec

__all__ = ["load_analysis", "load_spec", "model_table", "models"]

# Measures on the scale of the named priors of heterogeneity.
STANDARDISED = ("SMD", "SMDH")


def models() -> list[str]:
    """Return the names of the shipped models."""
    return sorted(path.stem for path in root("models").glob("*.toml"))


def model_table() -> pd.DataFrame:
    """List the shipped models.

    Returns
    -------
    pandas.DataFrame
        One row per model: `name`, `title`, `data` (the data set, and its table after a slash),
        `measure`, `decay` and `variants` (names).
    """
    rows = []
    for name in models():
        record = _record(_path(name))  # a list of files needs no parsed formulas
        table = record.get("table")
        rows.append(
            {
                "name": name,
                "title": record["title"],
                "data": record["data"] + (f"/{table}" if table else ""),
                "measure": record.get("measure", Analysis.measure),
                "decay": record["spec"].get("decay", ModelSpec.decay),
                "variants": ", ".join(_variants(record, name)),
            }
        )
    return pd.DataFrame(rows)


def load_analysis(source: str | Path, variant: str | None = None) -> Analysis:
    """Return the analysis in a model file.

    Parameters
    ----------
    source : str or Path
        A TOML file, or the name of a shipped model.
    variant : str, optional
        A variant the file defines under ``[variants.NAME]``: keys it overrides.

    Raises
    ------
    SpecError
        If there is no such file, it is not TOML, or it holds an unknown key.
    """
    path = _path(source)
    record = _record(path)
    variants = _variants(record, path.name)
    record.pop("variants", None)
    for name, over in variants.items():  # a fault in any of them is a fault of the file
        _analysis(_merged(record, over), path, name)
    if variant is not None:
        if variant not in variants:
            raise SpecError(
                f"{path.name}: no variant '{variant}'; {did_you_mean(variant, list(variants))}"
            )
        record = _merged(record, variants[variant])
    return _analysis(record, path, variant)


def _record(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name}: is not a TOML file ({error})") from error


def _variants(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = record.get("variants", {})
    if not _is_kind(found, (dict, dict)):
        raise SpecError(f"{name}: variants must be a table of tables")
    return found


def _path(source: str | Path) -> Path:
    path = Path(source)
    if path.suffix == ".toml":
        return path
    shipped = root("models") / f"{source}.toml"
    if not shipped.exists():
        raise SpecError(f"no model '{source}'; {did_you_mean(str(source), models())}")
    return shipped


def _merged(base: Mapping[str, Any], over: Mapping[str, Any], table: str = "") -> dict[str, Any]:
    out = dict(base)
    for key, value in over.items():
        # A prior is replaced whole: two families in one are none.
        both = isinstance(value, dict) and isinstance(out.get(key), dict) and table != "priors"
        out[key] = _merged(out[key], value, key) if both else value
    return out


def _analysis(record: Mapping[str, Any], path: Path, variant: str | None) -> Analysis:
    known = [f.name for f in fields(Analysis) if f.name not in {"name", "folder"}]
    unknown = [key for key in record if key not in known]
    missing = [key for key in ("data", "spec") if key not in record]
    if unknown or missing:
        faults = [f"unknown key '{key}': {did_you_mean(key, known)}" for key in unknown]
        raise SpecError(
            "; ".join(
                [f"{path.name}: {fault}" for fault in faults]
                + [f"{path.name}: needs the key '{key}'" for key in missing]
            )
        )
    _check_kinds(record, path.name)
    try:
        spec = ModelSpec.from_dict(record["spec"])
        _check_scale(record)
    except SpecError as error:
        raise SpecError(f"{path.name}, [spec]: {error}") from error
    try:
        published = tuple(published_from(entry) for entry in record.get("published", ()))
    except SpecError as error:
        raise SpecError(f"{path.name}, [[published]]: {error}") from error
    name = path.stem if variant is None else f"{path.stem}/{variant}"
    rest = {key: value for key, value in record.items() if key not in {"spec", "published"}}
    return Analysis(
        name=name,
        folder=path.parent,
        spec=spec,
        published=published,
        **{"title": path.stem, **rest},
    )


def _check_scale(record: Mapping[str, Any]) -> None:
    """Refuse a prior from the literature, which is of SMDs, for another measure."""
    measure, written = record.get("measure", Analysis.measure), record["spec"].get("priors", {})
    for name, value in written.items():
        if NAMED in value and measure not in STANDARDISED:
            raise SpecError(
                f"prior of {name}: '{value[NAMED]}' is of standardised mean differences, and the "
                f"measure is {measure}; write the numbers"
            )


# What each key of a model file must be; a table of a table says what its values are.
KINDS: dict[str, tuple[str, Any]] = {
    "title": ("a text", str),
    "data": ("a text", str),
    "table": ("a text", str),
    "members": ("a text", str),
    "measure": ("a text", str),
    "variance": ("a text", str),
    "correct": ("true or false", bool),
    "within": ("a text", str),
    "shared_control": ("a text", str),
    "same_animals": ("a text", str),
    "sheet": ("a text", str),
    "ranges": ("a text", str),
    "rho": ("a number", int | float),
    "spec": ("a table", dict),
    "sampling": ("a table of numbers", (dict, int | float)),
    "columns": ("a table of texts", (dict, str)),
    "keep": ("a table of lists", (dict, list)),
    "recode": ("a table of tables of texts", (dict, (dict, str))),
    "units": ("a table of texts", (dict, str)),
    "fill": ("a table of numbers or texts", (dict, int | float | str)),
    "published": ("a list of tables, [[published]]", (list, dict)),
}
SAMPLING = ("draws", "tune", "chains", "target_accept")


def _check_kinds(record: Mapping[str, Any], name: str) -> None:
    """Refuse values of the wrong kind, all at once."""
    faults = [
        f"{name}: {key} = {value!r} must be {KINDS[key][0]}"
        for key, value in record.items()
        if not _is_kind(value, KINDS[key][1])
    ]
    sampling = record.get("sampling", {})
    for key in sampling if isinstance(sampling, dict) else ():
        if key not in SAMPLING:
            faults.append(f"{name}: unknown key 'sampling.{key}': {did_you_mean(key, SAMPLING)}")
    if faults:
        raise SpecError("; ".join(faults))


def _is_kind(value: Any, kind: Any) -> bool:
    if isinstance(kind, tuple):
        outer, inner = kind
        if not isinstance(value, outer):
            return False
        held = value.values() if isinstance(value, dict) else value
        return all(_is_kind(v, inner) for v in held)
    return isinstance(value, kind)


def load_spec(source: str | Path, variant: str | None = None) -> ModelSpec:
    """Return the spec of a model file or of a shipped model.

    Parameters
    ----------
    source : str or Path
        A TOML file, or the name of a shipped model.
    variant : str, optional
        A variant that the file defines.

    Raises
    ------
    SpecError
        If there is no such file, it is not TOML, or it holds an unknown key.
    """
    return load_analysis(source, variant).spec
