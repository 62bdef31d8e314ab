"""Calibration: where truths rank among the draws that their own data give."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.checks.calibration.bands import inside_band, uniformity_p
from bayesma.checks.calibration.quantities import LOG_LIKELIHOOD, PROBS, Quantity
from bayesma.errors import BayesmaError, QueryError
from bayesma.files import write_whole

__all__ = ["Calibration", "calibration_of", "load_calibration"]

Floats = NDArray[np.float64]

# Of the bands, for all quantities together.
PROB = 0.95
# A larger share of failed replicates says that the sampler cannot be relied on with such data.
FAILED = 0.05
# With fewer replicates only gross faults can be seen.
FEW = 100


@dataclass(frozen=True)
class Calibration:
    """Where truths rank among posterior draws, and how often intervals hold them.

    Attributes
    ----------
    tree : xarray.DataTree
        `prior_sbc` in ArviZ's layout: randomised ranks on [0, 1] by posterior name, with the
        replicates as draws of one chain, as `arviz_plots.plot_ecdf_pit` takes them (absent with
        a fixed truth). `replicates`: by replicate and quantity, the truth, its rank, the
        posterior mean, sd and the ends of the 50, 80 and 95% intervals. `runs`: by replicate,
        failed ones included, divergences, R-hat, ESS and what was wrong.
    """

    tree: xr.DataTree = field(repr=False)

    def __repr__(self) -> str:
        """Say how many replicates there are, and the verdict."""
        kind = "fixed truth" if self.fixed else "truths from the prior"
        state = "passed" if self.passed else "NOT passed"
        return f"<Calibration, {len(self.ranks)} replicates, {kind}: {state}>"

    @property
    def record(self) -> dict[str, Any]:
        """Spec, settings, seed, versions and the hash of the data."""
        found: dict[str, Any] = json.loads(self.tree.attrs["recipe"])
        return found

    @property
    def fixed(self) -> bool:
        """Whether all replicates have one truth, so that ranks need not be uniform."""
        return self.record["truth"] is not None

    @property
    def ranks(self) -> xr.DataArray:
        """Rank of the truth among the near independent draws; dims replicate and quantity.

        Draws below the truth, of `ranks.attrs["draws"]`; failed replicates are left out.
        """
        return self.tree["replicates"].dataset["rank"]

    @property
    def prob(self) -> float:
        """Probability of each quantity's band, so that all together hold with 0.95."""
        return 1 - (1 - PROB) / self.ranks.sizes["quantity"]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a quantity.

        Returns
        -------
        pandas.DataFrame
            Columns quantity; n; coverage_50, _80 and _95 of the central intervals, each with its
            Monte Carlo standard error `_se`; mean_rank as a share of the draws (0.5 where
            nothing is off) and its standard error; p_uniform; inside_95 (the ECDF of the ranks
            within its own 95% band); inside (within the band that holds for all quantities at
            once); bias (posterior mean minus truth) and its standard error; rmse. With a fixed
            truth, the columns on ranks are empty.
        """
        data = self.tree["replicates"].dataset
        pit, n = data["pit"].values, data.sizes["replicate"]
        columns: dict[str, Any] = {"quantity": data["quantity"].values.astype(str), "n": n}
        truth = data["truth"].values
        for place, prob in enumerate(PROBS):
            low, high = (data[end].values[:, place] for end in ("low", "high"))
            share, se = _share(((low <= truth) & (truth <= high)).sum(axis=0), n)
            columns |= {f"coverage_{prob * 100:g}": share, f"coverage_{prob * 100:g}_se": se}
        if not self.fixed:
            columns |= {
                "mean_rank": pit.mean(axis=0),
                "mean_rank_se": pit.std(axis=0) / np.sqrt(n),
                "p_uniform": uniformity_p(pit),
                "inside_95": [inside_band(column, PROB) for column in pit.T],
                "inside": [inside_band(column, self.prob) for column in pit.T],
            }
        error = data["mean"].values - truth
        columns |= {
            "bias": error.mean(axis=0),
            "bias_se": error.std(axis=0, ddof=1) / np.sqrt(n),
            "rmse": np.sqrt((error**2).mean(axis=0)),
        }
        return pd.DataFrame(columns)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the model, the likelihood or the sampler."""
        return not self.problems

    @cached_property
    def problems(self) -> list[str]:
        """A sentence for each thing that is wrong."""
        found = []
        runs = self.tree["runs"].dataset
        failed = int((runs["problem"] != "").sum())
        if failed > FAILED * runs.sizes["run"]:
            found.append(
                f"{failed} of {runs.sizes['run']} replicates failed: {_reasons(runs)}; "
                "the sampler cannot be relied on with data such as this prior makes"
            )
        rows = self.table.to_dict("records")
        return found + [_undercovered(r) if self.fixed else _off(r) for r in rows if self._bad(r)]

    def _bad(self, row: dict[Any, Any]) -> bool:
        if self.fixed:
            return bool(row["coverage_95"] + 2 * row["coverage_95_se"] < PROBS[-1])
        return not row["inside"]

    @property
    def notes(self) -> list[str]:
        """A sentence for each thing worth knowing: how many failed, were resampled, diverged."""
        runs = self.tree["runs"].dataset
        total, found = runs.sizes["run"], []
        failed = int((runs["problem"] != "").sum())
        if failed:
            found.append(
                f"{failed} of {total} replicates failed and are left out: {_reasons(runs)}. "
                "Which ones fail is the data's doing, so the ranks of the others stay uniform"
            )
        again = int(runs["resampled"].sum())
        if again:
            found.append(f"{again} of {total} replicates had to be sampled again, longer")
        diverged = runs["divergences"].values
        if (diverged > 0).any():
            found.append(
                f"divergent transitions in {int((diverged > 0).sum())} of {total} replicates, "
                f"{int(np.nansum(diverged))} in all"
            )
        if len(self.ranks) < FEW:
            found.append(f"{len(self.ranks)} replicates show gross faults only")
        return found

    def save(self, path: str | Path) -> Path:
        """Write the calibration to a netCDF file, whole or not at all.

        Parameters
        ----------
        path : str or Path

        Raises
        ------
        BayesmaError
            If the file cannot be written; nothing is left behind.
        """
        target = Path(path)
        write_whole(target, lambda part: self.tree.to_netcdf(part, engine="h5netcdf"))
        return target


def load_calibration(path: str | Path) -> Calibration:
    """Return a saved calibration.

    Parameters
    ----------
    path : str or Path
        A file written by `Calibration.save`, or the folder that holds it as ``calibration.nc``.

    Returns
    -------
    Calibration

    Raises
    ------
    BayesmaError
        If there is no such file, or it is not a saved calibration.
    """
    source = Path(path)
    source = source / "calibration.nc" if source.is_dir() else source
    try:
        tree = xr.load_datatree(source, engine="h5netcdf")
    except FileNotFoundError as error:
        raise BayesmaError(f"{source}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise BayesmaError(f"{source}: is not a saved calibration ({error})") from error
    if "recipe" not in tree.attrs:
        raise BayesmaError(f"{source}: is not a saved calibration (no recipe)")
    return Calibration(tree)


def calibration_of(
    recipe: dict[str, Any], quantities: Sequence[Quantity], records: Sequence[dict[str, Any]]
) -> Calibration:
    """Return the calibration of finished replicates.

    Parameters
    ----------
    recipe : mapping
        What decided the numbers, as plain data.
    quantities : sequence of Quantity
        With a fixed truth, the log likelihood is left out: at the truth it is no draw of its own
        posterior.
    records : sequence of mapping
        As `replicated` returns them.

    Raises
    ------
    QueryError
        If fewer than two replicates can be used.
    """
    records = sorted(records, key=lambda record: int(record["replicate"]))
    whole = [record for record in records if not record["problem"]]
    if len(whole) < 2:
        reasons = Counter(record["problem"] for record in records if record["problem"])
        told = "; ".join(f"{text} ({count})" for text, count in reasons.most_common(3))
        raise QueryError(f"{len(whole)} of {len(records)} replicates can be used: {told}")
    kept = [
        place
        for place, quantity in enumerate(quantities)
        if recipe["truth"] is None or quantity.variable != LOG_LIKELIHOOD
    ]
    chosen = [quantities[place] for place in kept]
    replicates = _replicates(whole, kept, chosen)
    groups = {"replicates": replicates, "runs": _runs(records)}
    if recipe["truth"] is None:
        groups["prior_sbc"] = _arviz(replicates["pit"].values, chosen)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {"recipe": json.dumps(recipe)}
    return Calibration(tree)


def _replicates(
    whole: Sequence[dict[str, Any]], kept: list[int], chosen: Sequence[Quantity]
) -> xr.Dataset:
    plain = ("replicate", "quantity")
    data: dict[str, Any] = {
        name: (plain, np.array([record[name] for record in whole])[:, kept])
        for name in ("truth", "rank", "pit", "mean", "sd")
    }
    ends = {
        name: (("replicate", "prob", "quantity"), np.array([r[name] for r in whole])[:, :, kept])
        for name in ("low", "high")
    }
    coords = {
        "replicate": [record["replicate"] for record in whole],
        "quantity": np.array([quantity.label for quantity in chosen], dtype=str),
        "prob": list(PROBS),
    }
    found = xr.Dataset(data | ends, coords)
    found["rank"].attrs["draws"] = int(whole[0]["ranked"])
    return found


def _runs(records: Sequence[dict[str, Any]]) -> xr.Dataset:
    """Return how each replicate went."""
    nan = float("nan")
    columns: dict[str, Any] = {
        name: ("run", np.array([record.get(name, nan) for record in records], dtype=float))
        for name in ("divergences", "r_hat", "ess")
    }
    columns["resampled"] = ("run", np.array([record["resampled"] for record in records]))
    columns["problem"] = ("run", np.array([record["problem"] for record in records], dtype=str))
    return xr.Dataset(columns, {"run": [record["replicate"] for record in records]})


def _arviz(pit: Floats, chosen: Sequence[Quantity]) -> xr.Dataset:
    """Return randomised ranks by posterior name, the replicates as draws of one chain."""
    data: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    for variable in dict.fromkeys(quantity.variable for quantity in chosen):
        places = [place for place, q in enumerate(chosen) if q.variable == variable]
        values = pit[None][..., places]
        if chosen[places[0]].place is None:
            data[variable] = (("chain", "draw"), values[..., 0])
            continue
        dim = f"{variable}_term"
        data[variable] = (("chain", "draw", dim), values)
        coords[dim] = np.array([chosen[place].term for place in places], dtype=str)
    return xr.Dataset(data, {"chain": [0], "draw": np.arange(len(pit)), **coords})


def _share(count: Any, n: int) -> tuple[Floats, Floats]:
    """Return shares and their standard errors, of Beta(count + 1, n - count + 1): never 0."""
    middle = (count + 1) / (n + 2)
    return count / n, np.sqrt(middle * (1 - middle) / (n + 3))


def _reasons(runs: xr.Dataset) -> str:
    texts = Counter(str(text) for text in runs["problem"].values if text)
    return "; ".join(f"{text} ({count})" for text, count in texts.most_common(3))


def _off(row: dict[Any, Any]) -> str:
    """Return how the ranks of a quantity are not uniform, and what that means."""
    shift = (row["mean_rank"] - 0.5) / row["mean_rank_se"]
    narrow = (row["coverage_80"] - PROBS[1]) / row["coverage_80_se"]
    meaning = []
    if abs(shift) > 3:
        side = "high" if shift < 0 else "low"
        meaning.append(f"the posterior lies too {side} (mean rank {row['mean_rank']:.2f})")
    if abs(narrow) > 3:
        width = "narrow" if narrow < 0 else "wide"
        meaning.append(
            f"it is too {width} (80% intervals hold the truth in {row['coverage_80']:.0%})"
        )
    told = " and ".join(meaning) or "their distribution has another shape"
    return f"{row['quantity']}: ranks leave their band (P = {row['p_uniform']:.2g}): {told}"


def _undercovered(row: dict[Any, Any]) -> str:
    return (
        f"{row['quantity']}: 95% intervals hold this truth in {row['coverage_95']:.1%} "
        f"(Monte Carlo SE {row['coverage_95_se']:.1%}), with a bias of {row['bias']:+.3g}"
    )
