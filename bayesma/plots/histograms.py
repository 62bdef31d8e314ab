"""Histograms of what a model expects before data, on the axes of the effects and of tau."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from bayesma.plots.lines import COLOURS

__all__ = ["array_of", "draw_effects", "draw_tau"]

Floats = NDArray[np.float64]

BINS = 40
# The rest of a skewed tau is told, not shown.
TAU_SHARE = 0.98


def array_of(expected: xr.DataTree, group: str, name: str) -> xr.DataArray:
    """Return a variable of a group."""
    return expected[group].dataset[name]


def draw_effects(axes: Axes, expected: xr.DataTree, ends: tuple[float, float]) -> list[str]:
    """Draw replicated effects, and true ones of a new study, over the observed."""
    y, curves = array_of(expected, "observed_data", "y").values, expected["curves"].dataset
    told = [
        "Below, left: replicated effects of these rows, over a rug of the observed ones.",
        _histogram(
            axes, array_of(expected, "prior_predictive", "y").values, ends, "replicates", "#0072B2"
        ),
    ]
    if "new_study" in curves:
        told[0] = told[0].replace(
            "rows,",
            "rows (filled) and the true effect in a new study over the points above (line),",
        )
        told.append(
            _histogram(axes, curves["new_study"].values, ends, "new study", "#D55E00", filled=False)
        )
    top = axes.get_ylim()[1]
    axes.set_ylim(-0.09 * top, top)
    axes.plot(
        y, np.full(len(y), -0.045 * top), "|", color="black", markersize=9, alpha=0.6, gid="rug"
    )
    axes.set_xlim(*ends)
    hidden = int(((y < ends[0]) | (y > ends[1])).sum())
    told += [f"{hidden} of {len(y)} observed effects lie outside."] if hidden else []
    return [sentence for sentence in told if sentence]


def _histogram(
    axes: Axes,
    values: Floats,
    ends: tuple[float, float],
    name: str,
    colour: str,
    filled: bool = True,
) -> str:
    """Draw a histogram of what lies inside, as shares of all; say what lies outside."""
    flat = values.ravel()
    inside = flat[(flat >= ends[0]) & (flat <= ends[1])]
    counts, edges = np.histogram(inside, BINS, ends)
    heights = counts / max(flat.size, 1)
    style: dict[str, Any] = (
        {"alpha": 0.35, "fill": True, "linewidth": 0} if filled else {"linewidth": 1.6}
    )
    axes.stairs(heights, edges, color=colour, gid=name, **style)
    share = 1 - inside.size / flat.size
    known = {"replicates": "replicates", "new study": "effects in a new study"}
    said = known.get(name, f"draws of {name}")
    return f"{share:.1%} of {said} lie outside." if share > 0 else ""


def draw_tau(axes: Axes, expected: xr.DataTree, measure: str) -> list[str]:
    """Draw the prior of each level's tau, without its far tail."""
    prior = expected["prior"].dataset
    names = [str(name) for name in prior.data_vars if str(name).split("_")[0] == "tau"]
    names = [name for name in names if prior[name].ndim == 2]
    if not names:
        axes.set_axis_off()
        return []
    draws = {name: prior[name].values.ravel() for name in names}
    end = max(float(np.quantile(values, TAU_SHARE)) for values in draws.values())
    told = [f"Below, right: tau ({measure})."]
    for (name, values), colour in zip(draws.items(), COLOURS, strict=False):
        said = _histogram(axes, values, (0.0, end), name, colour, filled=name == names[0])
        told += [said] if said else []
    axes.set_xlim(0, end)
    axes.set_ylim(0, None)
    kinds = [f"{name} ({kind})" for name, kind in zip(names, ("filled", "line"), strict=False)]
    axes.set_xlabel(", ".join(kinds if len(names) == len(kinds) > 1 else names))
    return told
