"""When a trial is a success, and with which probability: rules for two arms of n each.

t = d sqrt(n / 2) is noncentral t with 2 n - 2 degrees of freedom and noncentrality
theta sqrt(n / 2), d the difference in pooled SDs, theta the true SMD. Every rule here is a success
for t above some t*, so that its power is P(t > t* | theta), exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesma.errors import QueryError
from bayesma.noncentral.densities import log_noncentral_t
from bayesma.translation.worth.mixtures import NormalMixture

__all__ = ["BayesianRule", "ClassicalRule", "Rule", "exceeds", "is_size"]

Floats = NDArray[np.float64]

# Points of the rule for the pooled variance, in its normal score: power to 1e-9.
SCORES = 96
# The posterior is summed over this many points, this many standard errors around the datum, and
# over as many SDs around each component of the prior.
GRID, PRIOR_GRID, AROUND = 3001, 801, 12.0
HALVINGS = 60
# No trial's t is taken beyond; a prior that needs more evidence is never overcome.
FURTHEST = 1e4


@dataclass(frozen=True)
class ClassicalRule:
    """A significant difference in favour of the treatment, by a two-sided t test.

    t > t_{1 - alpha/2, 2n - 2}

    Parameters
    ----------
    alpha : float

    Raises
    ------
    QueryError
        If alpha is not between 0 and 1.
    """

    alpha: float = 0.05

    def __post_init__(self) -> None:
        """Refuse an alpha that is none."""
        _refuse(_probability_faults("alpha", self.alpha))

    @property
    def margin(self) -> float:
        """What the true effect must exceed for a trial without end to succeed."""
        return 0.0

    def critical(self, n: int) -> float:
        """Return t* with n per arm, at least 2."""
        from scipy import special

        return float(special.stdtrit(2 * _size(n) - 2, 1 - self.alpha / 2))

    def power(self, theta: ArrayLike, n: int) -> Floats:
        """Return P(success | theta) with n per arm, of the shape of theta."""
        return exceeds(self.critical(_size(n)), theta, n)

    def __str__(self) -> str:
        """Return the rule in words."""
        return f"significant in favour by a two-sided t test at {self.alpha:g}"


@dataclass(frozen=True)
class BayesianRule:
    """A posterior that leaves little doubt.

    P(theta > margin | t) > probability,  p(theta | t) ~ p(theta) p(t | theta)

    with the exact, noncentral t likelihood. Its ratio is monotone in t (Lehmann & Romano 2005,
    Testing Statistical Hypotheses, section 3.4 and p. 224), so that the posterior probability
    grows with t whatever the prior, and t* is one number. (A normal likelihood whose variance goes
    with the observed g has no such ratio: a very large g would count for less.)

    Parameters
    ----------
    probability : float
    margin : float
        SMD.
    prior : NormalMixture, optional
        Of the analysis, such as `map_prior(...).mixture`; flat where absent.

    Raises
    ------
    QueryError
        If a number is out of range or the prior is no mixture.
    """

    probability: float = 0.975
    margin: float = 0.0
    prior: NormalMixture | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range, all at once."""
        faults = _probability_faults("probability", self.probability)
        margin: Any = self.margin
        if isinstance(margin, bool) or not (isinstance(margin, Real) and np.isfinite(self.margin)):
            faults.append(f"margin = {self.margin!r}: a finite SMD")
        if self.prior is not None and not isinstance(self.prior, NormalMixture):
            faults.append(
                f"prior = {type(self.prior).__name__}: a NormalMixture, such as "
                "bm.map_prior(...).mixture"
            )
        _refuse(faults)

    def posterior(self, t: float, n: int) -> float:
        """Return P(theta > margin | t) with n per arm, at least 2."""
        n = _size(n)
        scale, df = float(np.sqrt(2 / n)), 2 * n - 2.0
        margin = self.margin / scale
        # In standard errors of theta: around the datum, the margin and each part of the prior.
        width = AROUND * float(np.sqrt(1 + t**2 / (2 * df)) * (1 + 2 / np.sqrt(df)))
        pieces = [np.linspace(t - width, t + width, GRID), np.array([margin])]
        if self.prior is not None:
            steps = np.linspace(-AROUND, AROUND, PRIOR_GRID)
            around = self.prior.means[:, None] + self.prior.sds[:, None] * steps
            pieces.append(around.ravel() / scale)
        at = np.unique(np.concatenate(pieces))
        log = log_noncentral_t(t, df, at, 1.0)
        if self.prior is not None:
            log = log + self.prior.log_density(at * scale)
        density = np.exp(log - log.max())
        panels = np.diff(at) * (density[1:] + density[:-1]) / 2
        above = at[:-1] >= margin - 1e-12 * max(1.0, abs(margin))
        return float(panels[above].sum() / panels.sum())

    def critical(self, n: int) -> float:
        """Return t*; infinite where no datum is enough, minus infinite where any is."""
        n = _size(n)
        centre = float(self.margin * np.sqrt(n / 2))
        low, high = centre - 1.0, centre + 1.0
        while self.posterior(high, n) <= self.probability:
            high = centre + 2 * (high - centre)
            if high - centre > FURTHEST:
                return np.inf
        while self.posterior(low, n) > self.probability:
            low = centre + 2 * (low - centre)
            if centre - low > FURTHEST:
                return -np.inf
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if self.posterior(middle, n) > self.probability:
                high = middle
            else:
                low = middle
        return (low + high) / 2

    def power(self, theta: ArrayLike, n: int) -> Floats:
        """Return P(success | theta) with n per arm, of the shape of theta."""
        return exceeds(self.critical(_size(n)), theta, n)

    def __str__(self) -> str:
        """Return the rule in words."""
        prior = "a flat prior" if self.prior is None else "a mixture prior"
        return f"P(effect > {self.margin:g} | trial) > {self.probability:g} under {prior}"


Rule = ClassicalRule | BayesianRule


def exceeds(critical: float, theta: ArrayLike, n: int) -> Floats:
    """Return P(t > critical | theta) with n per arm, of the shape of theta.

    P = E_q[ Phi(theta sqrt(n/2) - critical sqrt(q)) ],  q ~ chi2_{2n-2} / (2n - 2)

    Parameters
    ----------
    critical : float
        t*; may be infinite.
    theta : array_like
        True SMDs; may be infinite.
    n : int
        Per arm, at least 2.
    """
    from scipy import special

    away = np.asarray(theta, dtype=float) * np.sqrt(n / 2)
    if np.isinf(critical):
        return np.full(away.shape, float(critical < 0))
    roots, weights = _pooled(n)
    out = np.zeros(away.shape)
    for root, weight in zip(roots, weights, strict=True):
        out += weight * special.ndtr(away - critical * root)
    return out


def _pooled(n: int) -> tuple[Floats, Floats]:
    """Return points of sqrt(q) and their weights, which add to 1."""
    from scipy import stats

    scores, weights = np.polynomial.hermite_e.hermegauss(SCORES)
    keep = weights > 1e-18 * weights.max()
    scores, weights = scores[keep], weights[keep]
    df = 2 * n - 2
    upper = scores > 0
    q = np.where(
        upper,
        stats.chi2.isf(stats.norm.sf(scores), df),
        stats.chi2.ppf(stats.norm.cdf(scores), df),
    )
    return np.sqrt(q / df), weights / weights.sum()


def _probability_faults(name: str, value: Any) -> list[str]:
    number = isinstance(value, Real) and not isinstance(value, bool)
    good = number and 0 < float(value) < 1
    return [] if good else [f"{name} = {value!r}: a number between 0 and 1"]


def _refuse(faults: list[str]) -> None:
    if faults:
        raise QueryError("\n".join(faults))


def is_size(n: Any) -> bool:
    """Return whether n can be a number of patients per arm."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool) and int(n) >= 2


def _size(n: Any) -> int:
    if not is_size(n):
        raise QueryError(f"n = {n!r}: a whole number of patients per arm, at least 2")
    return int(n)
