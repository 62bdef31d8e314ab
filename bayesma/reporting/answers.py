"""What a fit answers, point by point: the numbers that the answer's sentences hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayesma.coders import cell_keys
from bayesma.decay import persistent_share
from bayesma.errors import BayesmaError
from bayesma.maths import NumPyMaths
from bayesma.mean import linear
from bayesma.posterior import Fit
from bayesma.queries import decay_curve, grid, half_life, summary
from bayesma.queries.curves import draws_of
from bayesma.queries.grids import combinations_of
from bayesma.reporting.material import Material

__all__ = ["agreement", "fading", "points", "prospects"]

# Up to so many levels have an early and a late effect; with more there is one of each.
TWICE = 3
MOST = 8
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
    keys = cell_keys(pd.DataFrame({n: asked[n].values for n in plan.cells}), plan.cells)
    held = [i for i, key in enumerate(keys) if key in plan.references] if plan.cells else [0]
    some = asked.isel(point=held[:MOST])
    lives = summary(half_life(material.fit, some))
    lives["seen"] = [_seen(material, key) for key in (keys[i] for i in held[:MOST])] or [True]
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
    frame = frame.drop_duplicates([name for name in frame if name in own], ignore_index=True)
    if not own & set(plan.cells):
        frame = frame.iloc[:1]
    draws = draws_of(material.fit)["persistent"]
    shares = persistent_share(linear(draws, plan.predictors["persistent"].matrix(frame)), MATHS)
    low, median, high = np.quantile(shares.reshape(-1, len(frame)), [0.025, 0.5, 0.975], axis=0)
    return frame[[n for n in plan.cells if n in own]].assign(
        median=median, ci_low=low, ci_high=high
    )


def agreement(material: Material, other: Fit) -> tuple[pd.Series[bool], pd.DataFrame]:
    """Return at which points of the answer two models agree, and what each says.

    They agree where the median of each lies in the other's 95% interval.

    Raises
    ------
    BayesmaError
        If the other model cannot be asked the same.
    """
    if other.design.effects.measure != material.measure:
        raise BayesmaError(f"its measure is {other.design.effects.measure}")
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
    whole = material.quietly(lambda: grid(material.fit, delay=material.delays, **material.at))
    frame = pd.DataFrame({name: whole[name].values for name in (*material.at, "delay")})
    frame["beyond"] = whole["beyond_data"].values
    kept, combinations = [], list(_combinations(frame, list(material.at)))
    for rows in combinations:
        seen = rows.index[~rows["beyond"]]
        if len(seen):
            kept.append([seen[0], seen[-1]] if len(combinations) <= twice else [seen[0]])
    flat = [row for rows in kept[:MOST] for row in dict.fromkeys(rows)]
    return whole.isel(point=flat or [0]), max(len(kept) - MOST, 0)


def _combinations(frame: pd.DataFrame, names: list[str]) -> Iterator[pd.DataFrame]:
    """Yield the points of each combination of levels, by delay."""
    if not names:
        yield frame.sort_values("delay")
        return
    for _, rows in frame.groupby(names, sort=False):
        yield rows.sort_values("delay")


def _summary(draws: xr.DataArray) -> pd.DataFrame:
    with np.errstate(all="ignore"):  # draws may overflow towards delay 0
        return summary(draws)
