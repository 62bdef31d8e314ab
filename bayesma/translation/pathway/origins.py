"""Where a translation starts: of which species the mean effect is, and in which shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.coders import Coder, cell_keys, level_text
from bayesma.design import Design
from bayesma.errors import QueryError, UnseenLevelError, did_you_mean
from bayesma.posterior import Fit
from bayesma.translation.pathway.assumptions import Assumptions
from bayesma.translation.pathway.population import Population, population
from bayesma.translation.pathway.species import Species, species_of

__all__ = ["COLUMN", "Origin", "contrasts_of", "levels_of", "origin_of"]

Floats = NDArray[np.float64]
COLUMN = "species"


@dataclass(frozen=True)
class Origin:
    """The animals behind each point of a question.

    Attributes
    ----------
    shares : pandas.DataFrame, shape (points, species)
        How much of the mean is each species; rows add to 1.
    animals : mapping of str to Species
        Body weights and Km by the names of the data.
    population : Population
        What the model says of the spread of species.
    levelled : bool
        Whether the model tells species apart.
    words : str
        For people.
    """

    shares: pd.DataFrame
    animals: Mapping[str, Species]
    population: Population
    levelled: bool
    words: str

    @property
    def log_weight(self) -> Floats:
        """Mean of the logarithm of body weight, shape (points,)."""
        weights = np.log([self.animals[str(name)].weight for name in self.shares])
        return np.asarray(self.shares.to_numpy() @ weights)

    @property
    def concentration(self) -> Floats:
        """Sum of squared shares, shape (points,): 1/S for S species alike, 1 for one."""
        return np.asarray((self.shares.to_numpy() ** 2).sum(axis=1))


def origin_of(fit: Fit, frame: pd.DataFrame, named: str | None, given: Assumptions) -> Origin:
    """Return the animals behind points of covariates.

    Parameters
    ----------
    fit : Fit
    frame : pandas.DataFrame
        Covariates of the points.
    named : str or None
        The one species to start from; else all that the model tells apart, alike; else those of
        the data in their shares of the rows.
    given : Assumptions

    Raises
    ------
    QueryError
        If the species are not known, or the model has them where they cannot be averaged.
    UnseenLevelError
        If the species named is not in the data.
    """
    plan = fit.design
    levels = levels_of(plan)
    if named is None and levels:
        _refuse_interactions(plan)
    if named is not None:
        shares = _one(plan, frame, named, levels)
        words = f"from {named}"
    elif levels:
        shares = pd.DataFrame(1 / len(levels), index=range(len(frame)), columns=list(levels))
        words = f"from the population of species that {', '.join(levels)} are of"
    else:
        shares = _by_rows(plan, frame)
        words = f"from {_shares_text(shares)} of the rows, which the model does not tell apart"
    animals = {str(name): species_of(str(name), given.species) for name in shares}
    told = population(*contrasts_of(fit), given.between_species)
    return Origin(shares, animals, told, bool(levels), words)


def contrasts_of(fit: Fit) -> tuple[Floats, float]:
    """Return orthonormal contrasts of the species' effects by draw, and their prior's SD.

    Returns
    -------
    contrasts : ndarray, shape (draws, species - 1)
        Of no column where the model has no species of its own, or only within other factors.
    prior_sd : float
    """
    plan = fit.design
    predictor = plan.predictors["peak"]
    levels = levels_of(plan)
    terms = [f"{COLUMN}[{level}]" for level in levels]
    level = fit.posterior["level"].values
    draws = level.reshape(-1, level.shape[-1])
    if not levels or _within_others(plan) or not set(terms) <= set(predictor.terms):
        return np.zeros((len(draws), 0)), 1.0
    index = [predictor.terms.index(term) for term in terms]
    basis = np.linalg.svd(np.eye(len(index)) - 1 / len(index))[0][:, :-1]
    priors = plan.spec.priors
    spread = np.zeros((len(index), len(index)))
    bases = {"peak": predictor.average_basis, "peak_contrast": predictor.contrast_basis}
    for key, part in bases.items():
        if part.shape[1]:
            rows = part[index]
            spread += rows @ rows.T * float(priors[key].distribution().var())
    # The coding treats levels alike, so every contrast has the same variance.
    prior_sd = float(np.sqrt(np.trace(basis.T @ spread @ basis) / basis.shape[1]))
    return draws[:, index] @ basis, prior_sd


def levels_of(plan: Design) -> tuple[str, ...]:
    """Return the species that the mean tells apart; none where it does not."""
    for predictor in (plan.predictors[name] for name in plan.spec.predictors):
        for coder in predictor.coders.values():
            if isinstance(coder, Coder) and coder.levels and coder.name == COLUMN:
                return coder.levels
    return ()


def _within_others(plan: Design) -> bool:
    products = plan.predictors["peak"].products
    return any(
        len(product) > 1 and any(coder.name == COLUMN for coder in product) for product in products
    )


def _refuse_interactions(plan: Design) -> None:
    """Refuse to average species whose spread has no single number."""
    others = [
        name
        for name in (*plan.spec.predictors, "tau")
        if name != "peak" and COLUMN in plan.spec.formula(name).variables
    ]
    where = f"the formula of {others[0]}" if others else "an interaction"
    if others or _within_others(plan):
        raise QueryError(
            f"the model has {COLUMN} in {where}, so species have no single spread to draw a new "
            f"one from: name the one to start from, {COLUMN}='{levels_of(plan)[0]}'"
        )


def _one(plan: Design, frame: pd.DataFrame, named: str, levels: tuple[str, ...]) -> pd.DataFrame:
    known = list(levels) or (
        sorted(set(plan.frame[COLUMN].dropna().map(level_text))) if COLUMN in plan.frame else []
    )
    if known and named not in known:
        raise UnseenLevelError(
            f"{COLUMN} = '{named}' is not in the data; {did_you_mean(named, known)}"
        )
    return pd.DataFrame({named: np.ones(len(frame))})


def _by_rows(plan: Design, frame: pd.DataFrame) -> pd.DataFrame:
    """Return each point's shares of species among the rows of its decay cell."""
    if COLUMN not in plan.frame or plan.frame[COLUMN].isna().all():
        raise QueryError(
            f"these rows do not say of which species they are (no column '{COLUMN}'): name it, "
            f"{COLUMN}='rat'"
        )
    rows = plan.frame[plan.frame[COLUMN].notna()]
    counts = pd.crosstab(
        pd.Series([str(key) for key in cell_keys(rows, plan.cells)]),
        pd.Series([level_text(cell) for cell in rows[COLUMN]]),
    )
    everywhere = counts.sum(axis=0)
    found = [
        counts.loc[str(key)] if str(key) in counts.index else everywhere
        for key in cell_keys(frame, plan.cells)
    ]
    table = pd.DataFrame(found).reset_index(drop=True).astype(float)
    return table.div(table.sum(axis=1), axis=0)


def _shares_text(shares: pd.DataFrame) -> str:
    mean = shares.mean().sort_values(ascending=False)
    return ", ".join(f"{name} {share:.0%}" for name, share in mean.items() if share > 0)
