"""Limits: what PET and PEESE say of an effect once small studies are seen through."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from bayesma.effects import Effects
from bayesma.errors import SpecError
from bayesma.frequentist.bias.asymmetry import (
    OF_VARIANCE,
    Asymmetry,
    dispersed,
    standardised_advice,
)
from bayesma.frequentist.linear.inference import check_probability
from bayesma.frequentist.linear.rows import rows_of

__all__ = ["PetPeese", "pet_peese"]


@dataclass(frozen=True)
class PetPeese:
    """Both regressions, and the one that the rule picks.

    Attributes
    ----------
    estimate, se : float
        The intercept of the chosen fit.
    ci : tuple of float
    statistic, df, p : float
        Its test against 0.
    chosen : {"PET", "PEESE"}
    rule : str
        How it was chosen.
    pet, peese : Asymmetry
        Effects on se, and on v; `table` has their coefficients.
    k : int
    ci_prob : float
    notes : tuple of str
    """

    estimate: float
    se: float
    ci: tuple[float, float]
    statistic: float
    df: float
    p: float
    chosen: str
    rule: str
    pet: Asymmetry = field(repr=False)
    peese: Asymmetry = field(repr=False)
    k: int
    ci_prob: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say the result as a sentence of a paper would."""
        low, high = self.ci
        return f"<PetPeese {self.chosen} {self.estimate:.4g} [{low:.4g}, {high:.4g}], k = {self.k}>"


def pet_peese(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    *,
    alpha: float = 0.05,
    ci_prob: float = 0.95,
) -> PetPeese:
    """Return the conditional PET-PEESE estimate.

    PET: y = b0 + b1 se. PEESE: y = b0 + b1 v. Both with weights 1/v and a dispersion estimated
    from the residuals, t with k - 2 degrees of freedom; b0 is the effect at se = 0. PET's b0
    is too small where there is an effect, so it stands only where its own test does not reject
    b0 = 0; PEESE's is taken otherwise (Stanley & Doucouliagos 2014, Research Synthesis Methods
    5:60).

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances, or y alone; at least 3.
    v : array_like, shape (k,), optional
        Sampling variances of a bare y.
    alpha : float
        PEESE is taken where the two-sided p of PET's b0 is below it: 0.05 as in Carter et al.
        2019 (Advances in Methods and Practices in Psychological Science 2:115); Stanley 2017
        (Social Psychological and Personality Science 8:581) takes 0.10.
    ci_prob : float
        Probability of the interval.

    Returns
    -------
    PetPeese

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If there are fewer than 3 rows, all have the same v, or they lie exactly on a line.
    """
    check_probability(ci_prob)
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise SpecError(f"alpha = {alpha}: a significance level lies in (0, 1)")
    rows = rows_of(effects, v)
    measure = effects.measure if isinstance(effects, Effects) else None
    pet = dispersed(rows, "se", np.sqrt(rows.v), ci_prob)
    peese = dispersed(rows, "v", rows.v, ci_prob)
    p = float(pet.inference.p[0])
    rejected = p < alpha
    chosen, found = ("PEESE", peese) if rejected else ("PET", pet)
    relation = f"p = {p:.3g}, {'below' if rejected else 'not below'} alpha = {alpha:g}"
    table = found.inference
    return PetPeese(
        estimate=float(found.beta[0]),
        se=float(table.se[0]),
        ci=(float(table.ci[0, 0]), float(table.ci[0, 1])),
        statistic=float(table.statistic[0]),
        df=float(len(rows) - 2),
        p=float(table.p[0]),
        chosen=chosen,
        rule=f"{chosen}: PET's test of its intercept gives {relation}",
        pet=pet,
        peese=peese,
        k=len(rows),
        ci_prob=ci_prob,
        notes=rows.notes + standardised_advice(OF_VARIANCE[0], measure),
    )
