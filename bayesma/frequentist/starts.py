"""Where a search for the maximum starts: a grid over half-lives that spans the delays.

Nothing is random, so the same rows give the same maximum.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from bayesma.design import Design
from bayesma.frequentist.coordinates import Edges, Part
from bayesma.frequentist.descent import descend, gradient, lowest
from bayesma.frequentist.surface import Joint, Profiled, Surface, linear_design, why_not_linear
from bayesma.mean import VARIABLES

__all__ = ["Top", "heights", "lifted", "settled", "surface_of", "top_of"]

Floats = NDArray[np.float64]

# Half-lives from a tenth of the shortest span of delays to ten times the longest.
HALF_LIVES, MARGIN = 7, np.log2(10)
OTHERS = {"persistent": (-1.5, 1.0), "shape": (-0.7, 0.0, 0.7)}
# Standard deviations between groups as shares of that of the effects.
SPREADS = (0.5,)
# Up to how many differing half-lives every combination is tried.
COMBINED = 2
FOLLOWED = 3
# A log likelihood that differs by this little is level.
LEVEL = 1e-4


def surface_of(plan: Design, restricted: bool, held: tuple[str, ...] = ()) -> Surface:
    """Return the surface of a design: its level profiled out where it can be."""
    return Joint(plan, held) if why_not_linear(plan) else Profiled(plan, restricted, held)


def heights(surface: Surface, x: Floats) -> Floats:
    """Return minus the log likelihood, gently rising past the edges; shape (points,)."""
    return np.asarray(surface.value(x) + _rise(surface, x))


@dataclass(frozen=True)
class Top:
    """The maximum of a likelihood.

    Attributes
    ----------
    x : ndarray, shape (size,)
        Coordinates of the surface.
    value : float
        Minus the log likelihood.
    decrement : float
        How much higher a Newton step would promise to get.
    axes : ndarray, shape (size, free)
        The directions in which it is a maximum; what runs to its edge is left out.
    pins : tuple of (str, int, int)
        Decay parameters that run to their edge: parameter, kind of its `Edges`, -1 or 1.
    rows : ndarray, shape (pins, size)
        Their linear predictors.
    """

    x: Floats
    value: float
    decrement: float
    axes: Floats
    pins: tuple[tuple[str, int, int], ...]
    rows: Floats


def top_of(surface: Surface) -> Top:
    """Return the maximum on the surface.

    The search goes over the likelihood; from where it ends, Newton steps find the maximum of
    the surface itself, which may be restricted.
    """

    def height(x: Floats) -> Floats:
        return heights(surface, x)

    def slope(x: Floats) -> tuple[float, Floats]:
        value, rough = surface.slope(x)
        return value + float(_rise(surface, x[None])[0]), rough + gradient(
            lambda at: _rise(surface, at), x
        )

    ends = lowest(height, slope, _starts(surface), FOLLOWED)
    others = [lifted(surface, ends[0])] if surface.restricted else []
    return min((settled(surface, x) for x in (ends[0], *others)), key=lambda top: top.value)


def settled(surface: Surface, x: Floats) -> Top:
    """Return the maximum that Newton steps find from x, what runs to an edge put there."""
    rows: list[Floats] = []
    pins: list[tuple[str, int, int]] = []
    for edges, kind, side in _running(surface, x):
        row, moved = _moved(surface, x, edges, kind, side)
        if np.linalg.matrix_rank(np.array([*rows, row])) == len(rows):
            continue
        before, after = heights(surface, np.array([x, moved]))
        if after < before + LEVEL:
            x, rows, pins = moved, [*rows, row], [*pins, (edges.parameter, kind, side)]
    axes = null_space(np.array(rows)) if rows else np.eye(len(x))
    end = descend(lambda at: heights(surface, at), x, axes)
    return Top(end.x, end.value, end.decrement, axes, tuple(pins), np.array(rows))


def _running(surface: Surface, x: Floats) -> list[tuple[Edges, int, int]]:
    """Return the decay parameters that are far out: whose, which kind, to which side."""
    found = []
    for edges in surface.edges:
        at = edges.matrix @ x[_place(surface, edges)]
        found += [(edges, int(kind), 1) for kind in np.flatnonzero(at > edges.far_up)]
        found += [(edges, int(kind), -1) for kind in np.flatnonzero(at < edges.far_down)]
    return found


def _place(surface: Surface, edges: Edges) -> slice:
    """Return where a decay parameter stands in the coordinates of a surface."""
    place = surface.joint.part(VARIABLES[edges.parameter]).place
    return slice(place.start - surface.skipped, place.stop - surface.skipped)


def _moved(
    surface: Surface, x: Floats, edges: Edges, kind: int, side: int
) -> tuple[Floats, Floats]:
    """Return the row of a predictor, and x with it at its edge and the other kinds' in place."""
    place = _place(surface, edges)
    row, out = np.zeros(len(x)), x.copy()
    row[place] = edges.matrix[kind]
    wanted = edges.matrix @ x[place]
    wanted[kind] = edges.high[kind] if side > 0 else edges.low[kind]
    out[place] = np.linalg.lstsq(edges.matrix, wanted, rcond=None)[0]
    return row, out


def lifted(surface: Surface, x: Floats) -> Floats:
    """Return coordinates with no spread at 0, where the likelihood is level in it."""
    out = x.copy()
    for part in surface.joint.parts:
        if part.kind == "spread":
            at = part.place.start - surface.skipped
            out[at] = out[at] if abs(out[at]) > 1e-3 else SPREADS[0]
    return out


def _rise(surface: Surface, x: Floats) -> Floats:
    """Return the rise past the edges, which no linear coefficient has."""
    padded = np.concatenate([np.zeros((len(x), surface.skipped)), x], axis=-1)
    return surface.rise(padded)


def _starts(surface: Surface) -> Floats:
    if isinstance(surface, Profiled):
        return _grid(surface)
    plan, joint = surface.plan, surface.joint
    twin = Profiled(linear_design(plan), False, tuple(h for h in surface.joint.held if "tau" in h))
    grid = _grid(twin)
    best = grid[np.argsort(heights(twin, grid), kind="stable")[:FOLLOWED]]
    some = np.concatenate([top_of(twin).x[None], best])
    known = {part.name: part.place for part in twin.joint.parts}
    full, out = twin.full(some), []
    for kappa, share in ((0.1, 0.9), (0.5, 0.5)):
        found = np.full((len(full), joint.size), kappa)
        for part in joint.parts:
            if part.name in known:
                shrunk = share if part.kind == "spread" else 1.0
                found[:, part.place] = shrunk * full[:, known[part.name]]
            elif part.kind == "log":
                found[:, part.place] = np.log(5.0)
        out.append(found)
    return np.concatenate(out)


def _grid(surface: Profiled) -> Floats:
    """Return every combination of half-lives, other decay parameters and spreads."""
    axes = [_axis(surface, part) for part in surface.joint.parts if part.kind == "decay"]
    spreads = [part for part in surface.joint.parts if part.kind == "spread"]
    ratios = np.zeros((1, surface.joint.count("ratio")))
    shares = [np.full((1, len(spreads)), share) for share in SPREADS] if spreads else []
    axes += [ratios, np.concatenate(shares) if shares else np.zeros((1, 0))]
    return np.array([np.concatenate(parts) for parts in itertools.product(*axes)])


def _axis(surface: Profiled, part: Part) -> Floats:
    """Return starts of one decay parameter, shape (starts, coordinates)."""
    edges = next(e for e in surface.edges if VARIABLES[e.parameter] == part.name)
    return np.array([np.linalg.lstsq(edges.matrix, at, rcond=None)[0] for at in _wanted(edges)])


def _wanted(edges: Edges) -> Floats:
    """Return predictors to start from, shape (starts, kinds)."""
    kinds = len(edges.low)
    if edges.parameter != "half_life":
        return np.array([[value] * kinds for value in OTHERS[edges.parameter]])
    low, high = edges.shortest - MARGIN, edges.longest + MARGIN
    shares = np.linspace(0, 1, HALF_LIVES)
    together = [[share] * kinds for share in shares]
    apart = itertools.product(shares, repeat=kinds) if kinds <= COMBINED else together
    return np.array([low + np.array(share) * (high - low) for share in apart])
