"""What a fit answers, point by point: the numbers that the answer's sentences hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayesma.clock import effect_clock
from bayesma.coders import cell_keys
from bayesma.decay import persistent_share
from bayesma.diagnostics import cell_frames
from bayesma.errors import BayesmaError
from bayesma.maths import NumPyMaths
from bayesma.mean import linear
from bayesma.posterior import Fit
from bayesma.queries import decay_curve, grid, half_life, summary
from bayesma.queries.curves import draws_of
from bayesma.queries.grids import combinations_of, point_dataset, points_of
from bayesma.reporting.material import Material

__all__ = ["agreement", "check_measure", "fading", "points", "prospects"]

# Up to so many levels have an early and a late effect; with more there is one of each.
TWICE = 3
MOST = 8
# Delays that people say, in days.
MINUTE = 1 / 1440
SAID = (
    0.0,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    1 / 24,
    0.25,
    *(float(days) for days in (1, 3, 7, 14, 28, 84, 182)),
)
MATHS = NumPyMaths()


def points(material: Material) -> tuple[pd.DataFrame, int]:
    """Return the population mean effects of the answer, and how many combinations it leaves out.

    Returns
    -------
    pandas.DataFrame
        The covariates of `Material.at`, `delay` in days where the model has a decay, median,
        ci_low, ci_high and p_positive.
    int
    """
    asked, left = _asked(material, TWICE)
    return _summary(material.quietly(lambda: decay_curve(material.fit, asked))), left


def prospects(material: Material) -> pd.DataFrame:
    """Return the true effect in a new study: at one delay of each combination of levels."""
    asked, _ = _asked(material, 0)
    fit, seed = material.fit, material.seed
    return _summary(material.quietly(lambda: decay_curve(fit, asked, study="new", seed=seed)))


def fading(material: Material) -> tuple[pd.DataFrame, pd.DataFrame | None, int]:
    """Return the half-lives by decay cell, the shares that stay, and how many it leaves out.

    Returns
    -------
    pandas.DataFrame
        The cells, median, ci_low and ci_high in days, and `seen`: whether the data inform it.
    pandas.DataFrame or None
        Likewise of the share of the peak that never fades; one row where it does not differ by
        cell, None where the model has none.
    int
    """
    plan = material.fit.design
    asked = grid(material.fit, **{name: material.at[name] for name in plan.cells})
    # Cells that no row has are no answer.
    keys = cell_keys(combinations_of(asked), plan.cells)
    held = [i for i, key in enumerate(keys) if key in plan.references]
    some = asked.isel(point=held[:MOST])
    lives = summary(half_life(material.fit, some))
    lives["seen"] = [_seen(material, keys[i]) for i in held[:MOST]]
    return lives, _persistent(material, some), max(len(held) - MOST, 0)


def _seen(material: Material, key: tuple[str, ...]) -> bool:
    """Return whether no problem is told of the half-life of a decay cell."""
    subject = f"after {' / '.join(key)}" if key else "over all rows"
    return not any(
        p.startswith((f"the half-life {subject} ", f"all delays {subject} are"))
        for p in material.fit.problems
    )


def _persistent(material: Material, asked: xr.Dataset) -> pd.DataFrame | None:
    plan = material.fit.design
    if "persistent" not in plan.spec.family.parameters:
        return None
    own = plan.spec.formula("persistent").variables
    frame = combinations_of(asked)
    by = [name for name in plan.cells if name in own]
    frame = frame.drop_duplicates(by, ignore_index=True) if by else frame.iloc[:1]
    draws = draws_of(material.fit)["persistent"]
    shares = persistent_share(linear(draws, plan.predictors["persistent"].matrix(frame)), MATHS)
    low, median, high = np.quantile(shares.reshape(-1, len(frame)), [0.025, 0.5, 0.975], axis=0)
    return frame[by].assign(median=median, ci_low=low, ci_high=high)


def check_measure(material: Material, other: Fit) -> None:
    """Refuse another model whose effects are not on the scale of the report's."""
    if other.design.effects.measure != material.measure:
        raise BayesmaError(f"its measure is {other.design.effects.measure}")


def agreement(material: Material, other: Fit) -> tuple[pd.Series[bool], pd.DataFrame]:
    """Return at which points of the answer two models agree, and what each says.

    They agree where the median of each lies in the other's 95% interval.

    Raises
    ------
    BayesmaError
        If the other model cannot be asked the same.
    """
    check_measure(material, other)
    mine, _ = points(material)
    names = list(material.at)
    fades = bool(other.spec.family.parameters)
    if fades and "delay" not in mine:
        raise BayesmaError("its effect depends on the delay, and this one's does not")
    asked = grid(
        other,
        **({"delay": sorted(set(mine["delay"]))} if fades else {}),
        **material.at,
    )
    theirs = _summary(material.quietly(lambda: decay_curve(other, asked)))
    keys = [*names, *(["delay"] if fades else [])]
    numbers = ["median", "ci_low", "ci_high"]
    theirs = theirs[[*keys, *numbers]].rename(columns={n: f"{n}_other" for n in numbers})
    both = mine.merge(theirs, on=keys) if keys else mine.merge(theirs, how="cross")
    agrees = both["median"].between(both["ci_low_other"], both["ci_high_other"])
    agrees &= both["median_other"].between(both["ci_low"], both["ci_high"])
    return agrees, both


def _asked(material: Material, twice: int) -> tuple[xr.Dataset, int]:
    """Return the grid of the answer: combinations and delays that the data hold.

    An early and a late delay of each combination where there are no more than `twice`, else one.
    """
    if not material.fades or material.clock.empty:
        return grid(material.fit, **material.at), 0
    frame = points_of(grid(material.fit, **material.at))
    plan, ranges = material.fit.design, cell_frames(material.fit.design)
    held = [i for i, key in enumerate(cell_keys(frame, plan.cells)) if key in ranges]
    places: list[int] = []
    delays: list[float] = []
    for i in held[:MOST]:
        clock = effect_clock(ranges[cell_keys(frame.iloc[[i]], plan.cells)[0]])
        early, late = _said(clock, 0.25), _said(clock, 0.9)
        mine = list(dict.fromkeys([early, late] if len(held) <= twice else [early]))
        places += [i] * len(mine)
        delays += mine
    chosen = frame.iloc[places].reset_index(drop=True).assign(delay=delays)
    return point_dataset(plan, chosen), max(len(held) - MOST, 0)


def _said(clock: NDArray[np.float64], share: float) -> float:
    """Return the delay that people say which is nearest to a quantile, inside the data."""
    known = clock[np.isfinite(clock)]
    goal = float(np.quantile(known, share, method="lower"))
    inside = [delay for delay in SAID if known.min() <= delay <= known.max()]
    # As ratios, in which delays lie evenly; 0 is told from a minute.
    return min(inside or [goal], key=lambda delay: abs(np.log((delay + MINUTE) / (goal + MINUTE))))


def _summary(draws: xr.DataArray) -> pd.DataFrame:
    with np.errstate(all="ignore"):  # draws may overflow towards delay 0
        return summary(draws)
