"""Standardised: what the exact likelihood of standardised mean differences needs of the rows.

With s the SD pooled over the arms of a set and sigma that of the animals, q = s^2 / sigma^2 is
chi2_nu / nu, and given q (Hedges 1981, J. Educ. Stat. 6:107)

    d sqrt(q) ~ N(theta, N),    N = 1/n_t + 1/n_c on the diagonal,

so that with a normal effect of one row by itself d / s ~ nct(nu, m / s), s^2 = tau^2 + 1/n_t +
1/n_c. Rows that share a control measurement are one set: one SD over all their arms, one control
mean, N_ij = 1/n_c. Animals measured again, correlation rho, give N_ij = rho (1/n_t + 1/n_c) and
variances s^2 on the diagonal of a Wishart matrix, whose correlation is rho^2. For one rho it is

    nu q = W + sum over cohorts of (sqrt(rho C) + sqrt(1 - rho) z)^2 + (1 - rho) G,

with C ~ chi2_f common to the sets at which a cohort of f degrees of freedom is seen, and
z ~ N(0, 1) and G ~ chi2_(f - 1) of each visit: f sums of squares of sqrt(rho) c + sqrt(1 - rho) e,
turned so that c lies along the first. W ~ chi2 of what is seen at one set alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.animals import Cohorts, arms_in, cohorts_of, correction_of
from bayesma.controls import SPLIT, split_reason
from bayesma.covariance import Blocks, check_definite, compound_symmetry
from bayesma.decay import Maths
from bayesma.effects import Effects
from bayesma.errors import SpecError
from bayesma.measures import Arms, hedges_correction, measure_of
from bayesma.outcomes import signs_of
from bayesma.schema import ARMS
from bayesma.sharing import links_between, shared_blocks

__all__ = [
    "Standardised",
    "Visits",
    "draw_latents",
    "latent_df",
    "latent_labels",
    "standardised",
    "variance_ratios",
    "why_not",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 2  # animals that have an SD


@dataclass(frozen=True)
class Visits:
    """Cohorts of animals that are seen at more than one set.

    Attributes
    ----------
    cohort, set : ndarray of int, shape (visits,)
        Who is seen where.
    df : ndarray of int, shape (cohorts,)
        Degrees of freedom of each cohort.
    """

    cohort: Ints
    set: Ints
    df: Ints


@dataclass(frozen=True)
class Standardised:
    """Rows of the exact likelihood.

    Attributes
    ----------
    y : ndarray, shape (rows,)
        Effects in SDs of their set, as reported: sign turned, corrected where Hedges g.
    correction : ndarray, shape (rows,)
        y / d: J(nu), or 1 where effects are not corrected.
    covariance : Blocks
        N.
    of : ndarray of int, shape (rows,)
        Set of each row.
    df, own_df : ndarray, shape (sets,)
        nu, and how many of them are seen at no other set.
    visits : Visits
        Empty where no animal is measured again.
    rho : float
        Correlation of two measurements of one animal.
    """

    y: Floats
    correction: Floats
    covariance: Blocks
    of: Ints
    df: Floats
    own_df: Floats
    visits: Visits
    rho: float

    @property
    def d(self) -> Floats:
        """Effects without their correction, shape (rows,)."""
        return self.y / self.correction

    @property
    def log_jacobian(self) -> Floats:
        """-log J by row: what the density of d is short of that of y."""
        return -np.log(self.correction)


def why_not(effects: Effects) -> str:
    """Return why effects have no exact likelihood, or nothing."""
    if effects.measure != "SMD":
        return f"it is of SMDs, not of {effects.measure}"
    if effects.members is not None:
        return "a pooled result is no draw from animals"
    return _why_no_arms(effects) or _why_others(effects)


def _why_no_arms(effects: Effects) -> str:
    if not set(ARMS) <= set(effects.frame):
        return "it needs the arms (means, SDs and group sizes), and the table has none"
    lacking = effects.frame[list(ARMS)].isna().any(axis=1)
    if lacking.any():
        return f"{int(lacking.sum())} of {len(lacking)} rows bring their effect without arms"
    sizes = effects.frame[["n_treated", "n_control"]].to_numpy(dtype=float)
    if (sizes == np.floor(sizes)).all() and (sizes >= FEWEST).all():
        return ""
    return f"it needs whole groups of two animals or more: {SPLIT}"


def _why_others(effects: Effects) -> str:
    if correction_of(effects) is None:
        return "the effects given are not those of the arms beside them"
    if effects.covariance.blocks and not (effects.sharing.rho or effects.sharing.labelled):
        return "the sampling covariance was given, not made of who shares animals with whom"
    return split_reason(effects.frame, effects.sharing)


def standardised(effects: Effects) -> Standardised:
    """Return what the exact likelihood needs of the rows.

    Raises
    ------
    SpecError
        If there is no exact likelihood for them, or their numerators have no covariance.
    """
    if reason := why_not(effects):
        # Of a split group the normal likelihood is no more right: that reason has its own remedy.
        remedy = "" if SPLIT in reason else "; likelihood = 'auto' takes the normal one"
        raise SpecError(f"likelihood = 'exact': {reason}{remedy}")
    frame, sharing = effects.frame, effects.sharing
    arms, cohorts = arms_in(frame), cohorts_of(frame, sharing)
    of, squares, df = _sets(arms, cohorts)
    own = correction_of(effects)
    corrected = own is not None and bool((own < 1).all())
    correction = hedges_correction(df)[of] if corrected else np.ones(len(frame))
    difference = signs_of(frame, measure_of("SMD")[0]) * (arms.mean_treated - arms.mean_control)
    y = correction * difference / np.sqrt(squares / df)[of]
    visits = _visits(arms, cohorts, of) if sharing.rho else _visits_of([], [])
    own_df = df - np.bincount(visits.set, visits.df[visits.cohort], minlength=len(df))
    covariance = _numerators(effects, arms, cohorts)
    check_definite(covariance, [str(name) for name in frame["row_id"]])
    return Standardised(y, correction, covariance, of, df, own_df, visits, sharing.rho)


def _sets(arms: Arms, cohorts: Cohorts) -> tuple[Ints, Floats, Floats]:
    """Return the set of each row, and the sums of squares and degrees of freedom of each set."""
    _, first, of = np.unique(cohorts.measurement, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))  # sets in the order of the rows
    of = order[of].astype(np.int64)
    first = np.sort(first)
    treated, control = arms.n_treated - 1, arms.n_control - 1
    squares = np.bincount(of, treated * arms.sd_treated**2) + (control * arms.sd_control**2)[first]
    return of, squares, np.bincount(of, treated) + control[first]


def _visits(arms: Arms, cohorts: Cohorts, of: Ints) -> Visits:
    """Return who is seen at several sets; cohorts that go together are one."""
    seen: dict[tuple[str, int], list[int]] = {}
    least: dict[tuple[str, int], float] = {}
    for i, place in enumerate(of):
        for arm, cohort, n in (
            ("treated", cohorts.treated[i], arms.n_treated[i]),
            ("control", cohorts.control[i], arms.n_control[i]),
        ):
            key, places = (arm, int(cohort)), seen.setdefault((arm, int(cohort)), [])
            if arm == "treated" or int(place) not in places:  # one control measurement a set
                places.append(int(place))
            least[key] = min(n - 1, least.get(key, np.inf))
    together: dict[tuple[int, ...], int] = {}
    for key, places in seen.items():
        if len(places) > 1:
            where = tuple(sorted(places))
            together[where] = together.get(where, 0) + int(least[key])
    return _visits_of(list(together), list(together.values()))


def _visits_of(places: list[tuple[int, ...]], df: list[int]) -> Visits:
    cohort = [c for c, where in enumerate(places) for _ in where]
    sets = [place for where in places for place in where]
    return Visits(*(np.array(x, dtype=np.int64) for x in (cohort, sets, df)))


def _numerators(effects: Effects, arms: Arms, cohorts: Cohorts) -> Blocks:
    """Return N, the covariance of d sqrt(q)."""
    sharing, n = effects.sharing, len(effects)
    if not sharing.labelled:
        if not sharing.rho:
            return Blocks(arms.inverse)
        labels = [str(cohort) for cohort in cohorts.treated]
        return compound_symmetry(arms.inverse, labels, sharing.rho)
    # Means of animals of unit variance covary as mean differences do.
    unit = replace(arms, sd_treated=np.ones(n), sd_control=np.ones(n))
    links = links_between(cohorts.control.tolist(), cohorts.treated.tolist(), arms, sharing.rho)
    signs = signs_of(effects.frame, measure_of("SMD")[0])
    return shared_blocks("MD", unit, effects.y, arms.inverse, signs, links)


def latent_df(rows: Standardised) -> dict[str, Floats]:
    """Return the latent variables by name: degrees of freedom of each, inf for a normal one.

    `q_own`, `q_cohort` and `q_visit` are chi2_k / k; `q_visit_z` is standard normal.
    """
    visits = rows.visits
    each = visits.df[visits.cohort]
    found = {
        "q_own": rows.own_df[rows.own_df > 0],
        "q_cohort": visits.df.astype(float),
        "q_visit_z": np.full(len(each), np.inf),
        "q_visit": each[each > 1] - 1.0,
    }
    return {name: df for name, df in found.items() if len(df)}


def latent_labels(rows: Standardised) -> dict[str, tuple[str, ...]]:
    """Return the labels of the latent variables by dimension: sets, cohorts and visits by number.

    A set carries the number of its first row, from 1.
    """
    first = np.unique(rows.of, return_index=True)[1] + 1
    visits = rows.visits
    each = [f"{c + 1} at {first[s]}" for c, s in zip(visits.cohort, visits.set, strict=True)]
    often = visits.df[visits.cohort] > 1
    found = {
        "q_own": tuple(str(n) for n in first[rows.own_df > 0]),
        "q_cohort": tuple(str(n + 1) for n in range(len(visits.df))),
        "q_visit_z": tuple(each),
        "q_visit": tuple(name for name, more in zip(each, often, strict=True) if more),
    }
    return {f"{name}_of": labels for name, labels in found.items() if labels}


def variance_ratios(
    latents: Mapping[str, Any], rows: Standardised, maths: Maths, rho: Any = None
) -> Any:
    """Return q = s^2 / sigma^2 of each set, shape (..., sets).

    Parameters
    ----------
    latents : mapping of str to array, shape (..., number of them)
        As `latent_df` names them.
    rows : Standardised
    maths : Maths
    rho : array, optional
        That of the rows by default.
    """
    visits, sets = rows.visits, len(rows.df)
    total: Any = 0.0
    if "q_own" in latents:
        own = np.flatnonzero(rows.own_df > 0)
        total = maths.segment_sum(latents["q_own"] * rows.own_df[own], own, sets)
    if "q_cohort" in latents:
        rho = rows.rho if rho is None else rho
        common = maths.take(latents["q_cohort"] * (visits.df * rho), visits.cohort) ** 0.5
        tilted = (common + (1 - rho) ** 0.5 * latents["q_visit_z"]) ** 2
        total = total + maths.segment_sum(tilted, visits.set, sets)
    if "q_visit" in latents:
        df = visits.df[visits.cohort]
        rest = latents["q_visit"] * ((df[df > 1] - 1) * (1 - rho))
        total = total + maths.segment_sum(rest, visits.set[df > 1], sets)
    return total / rows.df


def draw_latents(
    rows: Standardised, shape: tuple[int, ...], rng: np.random.Generator
) -> dict[str, Floats]:
    """Return draws of the latent variables from their distribution, shape (*shape, number)."""
    found = {}
    for name, df in latent_df(rows).items():
        size = (*shape, len(df))
        if np.isinf(df).all():
            found[name] = rng.standard_normal(size)
        else:
            found[name] = rng.chisquare(df, size) / df
    return found
