"""Problems: sentences on what a maximum likelihood fit cannot be trusted with."""

from __future__ import annotations

import numpy as np

from bayesma.coders import cell_keys, cell_text
from bayesma.design import Design
from bayesma.frequentist.optimum import Optimum
from bayesma.mean import VARIABLES

__all__ = ["problems_of"]

# A Newton step that promises less than this many units of log likelihood is no step.
CONVERGED = 1e-6


def problems_of(fit: Optimum) -> list[str]:
    """Return what has not converged, what runs to an edge and what is not identified."""
    out = []
    if fit.top.decrement > CONVERGED:
        out.append(
            f"has not converged: another step promises {fit.top.decrement:.2g} of log likelihood"
        )
    for parameter, kind, side in fit.top.pins:
        out.append(_pin_words(fit, parameter, kind, side))
    for name in (*fit.plan.tau_names, *fit.plan.kappa_names):
        if name not in fit.surface.joint.held and float(fit.estimates[name]) == 0:
            out.append(f"{name} is 0, the edge of what it can be")
    if "nu" in fit.estimates and fit.estimates["nu"] > 1000:
        out.append("nu runs to infinity: study effects look normal")
    free = fit.surface.joint.of_mean
    if free >= len(fit.plan.effects):
        out.append(
            f"the mean has {free} parameters for {len(fit.plan.effects)} rows: the curve can go "
            "through every row, and the fit says nothing of the model"
        )
    out += _silent_words(fit)
    return out


def _pin_words(fit: Optimum, parameter: str, kind: int, side: int) -> str:
    where = _kind_words(fit.plan, parameter, kind)
    ends = {
        ("half_life", 1): "half-life runs to infinity: no fading is seen",
        ("half_life", -1): "half-life runs to 0: the effect is gone before it can be seen to fade",
        ("persistent", 1): "persistent share runs to 1: no fading is seen",
        ("persistent", -1): "persistent share runs to 0: nothing persists",
        ("shape", 1): "shape runs to infinity: the effect falls all at once",
        ("shape", -1): "shape runs to 0: the effect falls at first and then stays",
    }
    return f"{ends[parameter, side]}{f' ({where})' if where else ''}"


def _kind_words(plan: Design, parameter: str, kind: int) -> str:
    """Return in words where a decay parameter has the value of that kind."""
    _, first = np.unique(plan.points.matrices[parameter], axis=0, return_index=True)
    names = [n for n in sorted(plan.spec.formula(parameter).variables) if n in plan.frame]
    row = plan.frame.iloc[[int(first[kind])]]
    return cell_text(names, cell_keys(row, names)[0]) if names else ""


def _silent_words(fit: Optimum) -> list[str]:
    """Return a sentence on the parameters of the mean that the rows do not tell apart."""
    pinned = {parameter for parameter, _, _ in fit.top.pins}
    names: dict[str, None] = {}
    slopes = fit.information.silent_slopes()
    for part in fit.surface.joint.parts:
        own = slopes[:, part.place] if part.place.stop <= slopes.shape[1] else slopes[:, :0]
        short = next((k for k, v in VARIABLES.items() if v == part.name), part.name)
        if own.size and np.abs(own).max() > 1e-3 and short not in pinned and part.kind != "spread":
            names[short] = None
    if not names:
        return []
    return [
        f"these rows do not identify {', '.join(names)} everywhere: its value is arbitrary there"
    ]
