"""Fit: draws with everything needed to ask of them. Saves and loads; never samples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.analysis import Published, published_from
from bayesma.covariance import Blocks
from bayesma.design import Design, design
from bayesma.diagnostics import (
    convergence_problems,
    data_problems,
    identification_problems,
    reported,
    summary_table,
)
from bayesma.effects import Effects
from bayesma.errors import BayesmaError
from bayesma.files import write_whole
from bayesma.sharing import Sharing
from bayesma.spec import ModelSpec

__all__ = ["Fit", "load_fit", "table_data", "where_likelihood_is_kept"]

MASK = "__missing"
SLASH = "%2F"


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    tree : xarray.DataTree
        Groups posterior, sample_stats, log_likelihood, prior, prior_predictive,
        posterior_predictive, observed_data and constant_data, with real labels as coordinates.
    design : Design
        Rows and their coding.
    """

    tree: xr.DataTree
    design: Design

    def __repr__(self) -> str:
        """Say what was fitted and whether it can be trusted."""
        spec, state = self.spec, "converged" if self.converged else "NOT converged"
        return (
            f"<Fit {self.design.effects.measure}, {len(self.design.effects)} rows: "
            f"peak = {spec.peak}, decay = {spec.decay}, likelihood = {spec.likelihood}; {state}>"
        )

    @property
    def spec(self) -> ModelSpec:
        """The spec, priors resolved."""
        return self.design.spec

    @property
    def posterior(self) -> xr.Dataset:
        """The posterior draws."""
        return self.tree["posterior"].dataset

    @property
    def provenance(self) -> dict[str, Any]:
        """Seed, versions, sampler settings and the hash of the data."""
        record: dict[str, Any] = json.loads(self.tree.attrs["provenance"])
        return record

    @property
    def published(self) -> tuple[Published, ...]:
        """What the source printed for this model, where its model file says so."""
        # A fit saved before this was kept has none.
        records = json.loads(self.tree.attrs.get("published", "[]"))
        return tuple(published_from(record) for record in records)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was flipped, rebuilt or left out, with counts."""
        return self.design.notes

    @cached_property
    def _convergence(self) -> list[str]:
        return convergence_problems(self.tree, self.design)

    @property
    def converged(self) -> bool:
        """Whether R-hat, effective sample sizes and divergences are all in order."""
        return not self._convergence

    @property
    def problems(self) -> list[str]:
        """Sentences: what has not converged, what the arms say, what these data cannot identify."""
        return [
            *self._convergence,
            *data_problems(self.design),
            *identification_problems(self.tree, self.design),
        ]

    def summary(self, ci_prob: float = 0.95) -> pd.DataFrame:
        """Return a table of the parameters.

        Parameters
        ----------
        ci_prob : float
            Probability of the equal-tailed interval.

        Returns
        -------
        pandas.DataFrame
            Index: parameter; columns mean, sd, ci_low, ci_high, ess_bulk, ess_tail, r_hat.
            `level` is in units of the effect measure at the reference delay, `log2_half_life`
            in log2 days, `logit_persistent` in logits, `log_shape` in natural logarithms.
        """
        return summary_table(reported(self.posterior, self.design), ci_prob)

    def save(self, path: str | Path) -> Path:
        """Write the fit to a netCDF file, whole or not at all.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Path

        Raises
        ------
        BayesmaError
            If the file cannot be written; nothing is left behind.
        """
        target = Path(path)
        write_whole(target, lambda part: self.tree.to_netcdf(part, engine="h5netcdf"))
        return target


def where_likelihood_is_kept(fit: Fit) -> Fit:
    """Return the fit at the draws whose log likelihood it holds: all, or one of several."""
    if "log_likelihood" not in fit.tree:
        return fit
    kept = fit.tree["log_likelihood"].dataset["draw"]
    groups = {name: node.dataset for name, node in fit.tree.children.items()}
    for name in ("posterior", "sample_stats"):
        if name in groups:
            groups[name] = groups[name].sel(draw=kept)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.tree.attrs
    return Fit(tree, fit.design)


def load_fit(path: str | Path) -> Fit:
    """Return a saved fit.

    Parameters
    ----------
    path : str or Path
        A file written by `Fit.save`, or the folder that holds it as ``fit.nc``.

    Raises
    ------
    BayesmaError
        If there is no such file, or it is not a saved fit.
    """
    source = Path(path)
    source = source / "fit.nc" if source.is_dir() else source
    try:
        tree = xr.load_datatree(source, engine="h5netcdf")
    except FileNotFoundError as error:
        raise BayesmaError(f"{source}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise BayesmaError(f"{source}: is not a saved fit ({error})") from error
    if "provenance" not in tree.attrs:
        raise BayesmaError(f"{source}: is not a saved fit (no provenance)")
    record = json.loads(tree.attrs["effects"])
    spec = ModelSpec.from_dict(json.loads(tree.attrs["spec"]))
    return Fit(tree, design(spec, _effects(tree["constant_data"].dataset, record)))


def _effects(data: xr.Dataset, record: Mapping[str, Any]) -> Effects:
    frame = _frame(data, record["columns"], "")
    members = None
    if record["member_columns"]:
        members = _frame(data, record["member_columns"], "member_").set_index("row_id")
    entries = [data[f"covariance_{name}"].values for name in ("block", "row", "column", "value")]
    blocks = _blocks(frame["v"].to_numpy(), *entries)
    return Effects(
        frame,
        record["measure"],
        record["variance"],
        blocks,
        members,
        tuple(record["notes"]),
        record["source"],
        # A fit saved before this was kept has a normal likelihood, which does not ask.
        Sharing(**record.get("sharing", {})),
    )


def _frame(data: xr.Dataset, columns: list[str], prefix: str) -> pd.DataFrame:
    out = {}
    for name in columns:
        key = prefix + _stored(name)
        values = data[key].values
        if values.dtype.kind == "f":
            out[name] = pd.Series(values)
            continue
        text = pd.Series([str(value) for value in values], dtype="str")
        out[name] = text.mask(data[key + MASK].values) if key + MASK in data else text
    return pd.DataFrame(out)


def _blocks(v: Any, block: Any, row: Any, column: Any, value: Any) -> Blocks:
    found = []
    for number in np.unique(block):
        mine = block == number
        index = np.unique(row[mine])
        matrix = np.zeros((len(index), len(index)))
        matrix[np.searchsorted(index, row[mine]), np.searchsorted(index, column[mine])] = value[
            mine
        ]
        found.append((index, matrix))
    return Blocks(v, tuple(found))


def table_data(plan: Design) -> tuple[xr.Dataset, dict[str, Any]]:
    """Return the rows, members and covariance as a dataset, and the record to read it by.

    Text is stored with a mask of what is missing, because netCDF has no missing text.
    """
    effects = plan.effects
    variables = _variables(effects.frame, "", "row")
    members = None
    if effects.members is not None and plan.pooling is not None:
        used = [name for name in plan.frame["row_id"] if name in effects.members.index]
        members = effects.members.loc[used].reset_index()
        variables |= _variables(members, "member_", "member_row")
    variables |= _covariance_entries(effects.covariance)
    coords = {"row": effects.frame["row_id"].to_numpy(dtype=str)}
    record = {
        "measure": effects.measure,
        "variance": effects.variance,
        "notes": list(plan.notes),
        "source": effects.source,
        "sharing": asdict(effects.sharing),
        "columns": [str(name) for name in effects.frame],
        "member_columns": [] if members is None else [str(name) for name in members],
    }
    return xr.Dataset(variables, coords), record


def _variables(frame: pd.DataFrame, prefix: str, dim: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in frame:
        key = prefix + _stored(str(name))
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            out[key] = (dim, column.to_numpy(dtype=float))
            continue
        out[key] = (dim, column.fillna("").to_numpy(dtype=str))
        if column.isna().any():
            out[key + MASK] = (dim, column.isna().to_numpy())
    return out


def _stored(name: str) -> str:
    """Return a column's name in the file; one that would clash with ours is marked."""
    ours = name in {"row", "member_row"} or name.startswith(("member_", "covariance_", "%"))
    return ("%" if ours else "") + name.replace("/", SLASH)


def _covariance_entries(covariance: Blocks) -> dict[str, Any]:
    parts: dict[str, list[Any]] = {"block": [], "row": [], "column": [], "value": []}
    for number, (index, matrix) in enumerate(covariance.blocks):
        rows, columns = np.meshgrid(index, index, indexing="ij")
        parts["block"].append(np.full(matrix.size, number))
        parts["row"].append(rows.ravel())
        parts["column"].append(columns.ravel())
        parts["value"].append(matrix.ravel())
    return {
        f"covariance_{name}": (
            "covariance_entry",
            np.concatenate(arrays) if arrays else np.zeros(0, float if name == "value" else int),
        )
        for name, arrays in parts.items()
    }
