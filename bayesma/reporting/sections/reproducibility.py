"""How to make the fit again: versions, seed, settings, data and commands."""

from __future__ import annotations

import platform
import shlex
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pandas as pd

from bayesma.analysis import models
from bayesma.priors import Prior
from bayesma.reporting.blocks import Block, Code, Fold, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.tomls import spec_toml
from bayesma.spec import ModelSpec

__all__ = ["reproducibility"]

# What the report itself is made with.
PACKAGES = (
    "bayesma",
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "arviz-stats",
    "arviz-plots",
    "matplotlib",
    "jinja2",
)
# As CITATION.cff has it.
CITED = "The bayesma contributors. bayesma"
ABOUT = "Bayesian meta-analysis of drug effects that fade"
LICENCE = "Apache-2.0"
SETTINGS = {
    "seed": "seed of the sampler",
    "chains": "chains",
    "tune": "warm-up draws per chain",
    "draws": "kept draws per chain",
    "sampler": "sampler (NUTS)",
    "target_accept": "target acceptance",
}
HASH = """import hashlib
import bayesma as bm
from bayesma.design import design

{rows}
parts = [rows.frame.to_csv(index=False), "" if rows.members is None else rows.members.to_csv()]
parts += [f"{{index.tolist()}}{{matrix.tolist()}}" for index, matrix in rows.covariance.blocks]
print(hashlib.sha256("\\n".join(parts).encode()).hexdigest())"""


def reproducibility(material: Material) -> tuple[Block, ...]:
    """Return everything that a second person needs to make the fit and this page again."""
    record = material.fit.provenance
    return (
        Table("reproducibility-settings", "How it was sampled", _settings(material, record)),
        Table("reproducibility-versions", "Software", _versions(record)),
        *_commands(material, record),
        Code(
            str(record["data_sha256"]),
            "SHA-256 of the rows as they were fitted, the comparisons behind them and their "
            "sampling covariance. The same data and the same versions give the same number:",
        ),
        Fold("How to compute this number again", (Code(_hash_lines(material, record), "Python:"),)),
        Fold(
            "The model as a model file has it",
            (Code(spec_toml(material.fit.spec), "TOML, every choice and every prior in numbers:"),),
        ),
        Words(_citation(record)),
    )


def _settings(material: Material, record: dict[str, Any]) -> pd.DataFrame:
    found = [(words, str(record[key])) for key, words in SETTINGS.items() if key in record]
    found.append(("seed of this report's own draws", str(material.seed)))
    found.append(("rows", str(len(material.fit.design.effects))))
    return pd.DataFrame(found, columns=["Setting", "Value"])


def _versions(record: dict[str, Any]) -> pd.DataFrame:
    """Return the versions behind the fit beside those behind the page."""
    fitted: dict[str, str] = record["versions"]
    here = {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}
    names = dict.fromkeys([*fitted, *here])
    return pd.DataFrame(
        {
            "Package": list(names),
            "The fit": [fitted.get(name, "not recorded") for name in names],
            "This report": [here.get(name, "not used") for name in names],
        }
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # an optional one
        return "not installed"


def _commands(material: Material, record: dict[str, Any]) -> tuple[Block, ...]:
    """Return what was typed: the command of a model file, or else the lines of Python."""
    model = record.get("model")
    if model:
        text, says = _command(str(model["name"]), record), "The fit again, from its model file:"
    else:
        says = (
            "The fit again, in Python; it was not made from a model file, or before fits kept its "
            "name. table stands for the data as given, read by bm.read_table:"
        )
        text = "\n".join(_lines(material, record))
    blocks: list[Block] = [Code(text, says)]
    if material.command:
        blocks.append(Code(material.command, "This report:"))
    return tuple(blocks)


def _command(name: str, record: dict[str, Any]) -> str:
    stem, _, variant = name.partition("/")
    words = ["bayesma", "fit", stem if stem in models() else f"{stem}.toml"]
    words += ["--variant", variant] if variant else []
    for key in ("seed", "draws", "tune", "chains"):
        words += [f"--{key}", str(record[key])]
    words += ["--sampler", record["sampler"]] if record["sampler"] != "nutpie" else []
    return f"{shlex.join(words)} --out DIR"


def _lines(material: Material, record: dict[str, Any]) -> list[str]:
    settings = [f"{key}={record[key]!r}" for key in SETTINGS if key in record]
    return [
        "import bayesma as bm",
        "",
        *_effects_lines(material),
        "spec = bm.ModelSpec(",
        *(f"    {line}," for line in _spec_arguments(material.fit.spec)),
        ")",
        f"fit = bm.fit(effects, spec, {', '.join(settings)})",
    ]


def _effects_lines(material: Material) -> list[str]:
    effects = material.fit.design.effects
    told = {"measure": effects.measure, "variance": effects.variance}
    sharing = effects.sharing
    kept: dict[str, Any] = {"rho": sharing.rho} if sharing.rho else {}
    if sharing.rho or "rho" in material.fit.spec.priors:
        kept["within"] = sharing.within
    kept |= {k: getattr(sharing, k) for k in ("shared_control", "same_animals")}
    arguments = [f"{k}={v!r}" for k, v in (told | kept).items() if v is not None]
    members = [] if effects.members is None else ["members=members"]
    return [f"effects = bm.effect_sizes({', '.join(['table', *arguments, *members])})"]


def _spec_arguments(spec: ModelSpec) -> list[str]:
    """Return what differs from the usual, and every prior."""
    usual = ModelSpec()
    found = [
        f"{f.name}={getattr(spec, f.name)!r}"
        for f in fields(spec)
        if f.name != "priors" and getattr(spec, f.name) != getattr(usual, f.name)
    ]
    priors = [f"        {name!r}: {_prior(prior)}," for name, prior in spec.priors.items()]
    return [*found, "\n".join(["priors={", *priors, "    }"])]


def _prior(prior: Prior) -> str:
    ((name, numbers),) = prior.to_dict().items()
    return f"bm.priors.{name}({', '.join(f'{n!r}' for n in numbers)})"


def _hash_lines(material: Material, record: dict[str, Any]) -> str:
    model = record.get("model")
    if not model:
        made = "\n".join(_effects_lines(material))
        return HASH.format(rows=f"{made}\nrows = design(spec, effects).effects  # spec as above")
    stem, _, variant = str(model["name"]).partition("/")
    source = repr(stem if stem in models() else f"{stem}.toml")
    arguments = f"{source}, {variant!r}" if variant else source
    return HASH.format(
        rows=f"analysis = bm.load_analysis({arguments})\n"
        "rows = design(analysis.spec, analysis.effects()).effects"
    )


def _citation(record: dict[str, Any]) -> str:
    return (
        f"To cite: {CITED}, version {record['versions']['bayesma']}. {ABOUT}. Licence {LICENCE}. "
        "Cite the studies and the data set too."
    )
