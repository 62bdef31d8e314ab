"""The uncertainty budget: which doubts a prediction for people consists of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.errors import QueryError, did_you_mean
from bayesma.queries.grids import points_of
from bayesma.translation.doubts.shapley import Shares, shapley_effects
from bayesma.translation.noun import Translation, check_translation
from bayesma.translation.pathway.asked import check_counts
from bayesma.translation.pathway.innovations import FACTORS, Innovations
from bayesma.translation.pathway.prediction import Predicted

__all__ = ["Budget", "uncertainty_budget"]

Floats = NDArray[np.float64]

ABOUT = {
    "effect": "Mean effect",
    "trial": "True effect in one new trial",
    "half_life": "Half-life, if the effect translates",
}
SMALLEST = 256
# Above this share of the variance in one pair of draws, its estimate hangs on rare draws; or
# above this many times what the largest of as many squared normal numbers would carry.
HEAVY, TIMES = 0.01, 2.0
INNER = ("factor", "shapley", "shapley_mcse", "first_order", "total")


@dataclass(frozen=True)
class Budget:
    """Shares of the variance of a prediction, by source of doubt.

    Attributes
    ----------
    of : str
        "effect", "trial" or "half_life".
    table : pandas.DataFrame
        One row per point and factor: the point's covariates and `delay` (d), `factor`;
        `shapley`, which add to 1 at every point, with its Monte Carlo standard error
        `shapley_mcse`; `first_order`, what goes on average where the factor is known, and
        `total`, what stays on average where all others are.
    variance : pandas.DataFrame
        One row per point: `variance`, its Monte Carlo standard error `mcse`, and `sd`.
    units : str
        Of `sd`: the effect measure, or "log2 d".
    notes : tuple of str
    """

    of: str
    table: pd.DataFrame
    variance: pd.DataFrame
    units: str
    notes: tuple[str, ...]

    @property
    def wide(self) -> pd.DataFrame:
        """Shapley effects, one row per point: its labels, `sd`, one column per factor."""
        return self.variance.drop(columns=["variance", "mcse"]).join(self._by_factor("shapley"))

    def _by_factor(self, measure: str) -> pd.DataFrame:
        factors = list(dict.fromkeys(self.table["factor"]))
        values = self.table[measure].to_numpy().reshape(-1, len(factors))
        # A point may have a dose, and the doubt about a dose is a factor.
        names = [f"{name} (doubt)" if name in self.variance else name for name in factors]
        return pd.DataFrame(values, self.variance.index, names)

    def __str__(self) -> str:
        """Return the table, wide: each share with its first-order and total index, in percent."""
        shown = self.wide.round({"sd": 3})
        parts = [self._by_factor(name) for name in ("shapley", "first_order", "total")]
        for name in parts[0]:
            if (parts[0][name] == 0).all():
                shown = shown.drop(columns=name)  # a note names it
                continue
            columns = [part[name] for part in parts]
            shown[name] = [_cell(*numbers) for numbers in zip(*columns, strict=True)]
        about = ABOUT[self.of]
        head = (
            f"{about}: where its doubt comes from, % of the variance by Shapley (first order, "
            f"total); sd in {self.units}"
        )
        return "\n".join([head, shown.to_string(index=False), *self.notes])


def _cell(shapley: float, first: float, total: float) -> str:
    if np.isnan(shapley):
        return "-"
    # Adding 0 turns -0 into 0.
    numbers = [round(100 * number) + 0 for number in (shapley, first, total)]
    return "{} ({}, {})".format(*numbers)


def uncertainty_budget(
    translation: Translation, of: str = "effect", *, size: int = 8192, seed: int = 0
) -> Budget:
    """Return how much each source of doubt contributes to the variance of a prediction.

    shapley_i = sum over subsets v with i of ``Var_v / |v|``,

    Var_v the part of the variance that the factors in v make together and none of their subsets
    does (the analysis of variance of independent inputs). The factors are the translation's
    standardised innovations, independent of each other; parameters of the fit, which are not,
    count as one.

    Parameters
    ----------
    translation : Translation
        Where human evidence has updated it, the budget is of the prediction without.
    of : {"effect", "trial", "half_life"}
        Mean effect in people; true effect in one new trial; half-life, on the log2 scale, at
        each combination of covariates. A half-life itself may have no finite variance.
    size : int
        Pairs of draws, rounded up to 16 batches of a power of two; at least 256. All their
        mixtures are evaluated: 2^d times as many, d the factors that are not inert.
    seed : int
        The same seed gives the same numbers.

    Returns
    -------
    Budget

    Raises
    ------
    QueryError
        If it is no translation, `of` is unknown, the effect does not fade, or `size` or `seed`
        is out of range.

    References
    ----------
    Owen 2014, SIAM/ASA J Uncertain Quantif 2:245 (Shapley effects). Song, Nelson & Staum 2016,
    same journal 4:1060. Estimators: Jansen 1999, Computer Physics Communications 117:35; Saltelli
    et al. 2010, same journal 181:259. `bayesma.translation.doubts.shapley` has the equations.
    """
    _check(translation, of)
    check_counts(seed, SMALLEST, size=size)
    points, columns = _points(translation, of)
    for name in {*INNER, "variance", "mcse", "sd"} & set(points):
        raise QueryError(f"a covariate named '{name}' would hide a column of the budget: rename it")

    def value(parts: list[Floats]) -> Floats:
        found = translation.prediction(Innovations(dict(zip(FACTORS, parts, strict=True))))
        return _quantity(found, of)[:, columns]

    shares = shapley_effects(value, list(FACTORS.values()), size=size, seed=seed)
    units = "log2 d" if of == "half_life" else str(translation.effect.attrs["measure"])
    variance = points.assign(
        variance=shares.variance, mcse=shares.variance_mcse, sd=np.sqrt(shares.variance)
    )
    notes = _notes(translation, points, shares)
    return Budget(of, _long(points, shares), variance, units, notes)


def _check(translation: Translation, of: str) -> None:
    check_translation(translation, "a budget")
    if of not in ABOUT:
        raise QueryError(f"of = '{of}' is unknown; {did_you_mean(str(of), list(ABOUT))}")
    if of == "half_life" and translation.half_life is None:
        raise QueryError("the effect does not fade in this model, so there is no half-life")


def _points(translation: Translation, of: str) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return the points' labels, and where they are among those of the prediction."""
    at = translation.effect.coords.to_dataset().drop_vars(["chain", "draw"])
    frame = points_of(at).reset_index(drop=True)
    if of != "half_life":
        return frame, np.arange(len(frame))
    frame = frame.drop(columns="delay", errors="ignore")
    first = np.flatnonzero(~frame.duplicated()) if len(frame.columns) else np.zeros(1, dtype=int)
    return frame.iloc[first].reset_index(drop=True), first


def _quantity(found: Predicted, of: str) -> Floats:
    if of == "half_life":
        if found.log2_half_life is None:
            raise QueryError("a decay form does not fade, so there is no half-life")
        return found.log2_half_life
    return found.trial if of == "trial" else found.effect


def _long(points: pd.DataFrame, shares: Shares) -> pd.DataFrame:
    long = points.loc[points.index.repeat(len(FACTORS))].reset_index(drop=True)
    long["factor"] = np.array(list(FACTORS) * len(points), dtype=str)
    for name in INNER[1:]:
        long[name] = getattr(shares, name).T.ravel()
    return long


def _notes(translation: Translation, points: pd.DataFrame, shares: Shares) -> tuple[str, ...]:
    notes = []
    if translation.updated:
        notes.append(
            "human evidence is left out: the factors are independent only before it, so this is "
            "the budget of the prediction without"
        )
    names = list(FACTORS)
    if shares.inert:
        inert = ", ".join(names[number] for number in shares.inert)
        notes.append(f"exactly 0, for they move nothing here: {inert}")
    lost = np.flatnonzero(np.isnan(shares.shapley).all(axis=0))
    if len(lost):
        where = "; ".join(_label(points, int(place)) for place in lost)
        notes.append(f"no finite variance above 0 to share out at {where}")
    notes += _heavy_notes(points, shares, lost)
    if len(lost) < len(points):
        largest = float(np.nanmax(shares.shapley_mcse))
        notes.append(
            f"Monte Carlo: {shares.pairs} pairs of draws, standard error of a share up to "
            f"{100 * largest:.2g} percentage points"
        )
    return tuple(notes)


def _heavy_notes(points: pd.DataFrame, shares: Shares, lost: NDArray[np.int64]) -> list[str]:
    carried = shares.heaviest.copy()
    carried[lost] = 0.0
    usual = 2 * np.log(shares.pairs) / shares.pairs
    heavy = carried > max(HEAVY, TIMES * usual)
    if not heavy.any():
        return []
    worst = int(carried.argmax())
    return [
        f"heavy tails: at {heavy.sum()} of {len(points)} points one of {shares.pairs} pairs of "
        f"draws carries a large part of the variance (up to {carried[worst]:.1%}, "
        f"{_label(points, worst)}), so shares there hang on rare draws"
    ]


def _label(points: pd.DataFrame, place: int) -> str:
    cells = {name: points[name].iloc[place] for name in points}
    words = [f"delay {cell:g} d" if name == "delay" else f"{cell}" for name, cell in cells.items()]
    return ", ".join(words) or "this point"
