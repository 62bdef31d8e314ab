"""Priors of heterogeneity that have a name and a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from bayesma.errors import SpecError, nearest
from bayesma.priors.families import HalfNormal, LogNormal, LogStudentT, Prior
from bayesma.priors.rhodes import (
    AREAS,
    COMPARISONS,
    DEGREES_OF_FREEDOM,
    GENERAL,
    OUTCOMES,
    SETTINGS,
    SOURCE,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LITERATURE", "Named", "heterogeneity_priors", "named"]

ROEVER = (
    "Roever et al. 2021, Res Synth Methods 12:448, doi 10.1002/jrsm.1475: weakly informative for "
    "standardised mean differences"
)
# Maximum likelihood of (m, s) in log tau ~ N(m, s); evidence/heterogeneity_prior.py makes them.
ANIMAL = LogNormal(0.325, 0.394)


@dataclass(frozen=True)
class Named:
    """A prior of tau, the standard deviation of true effects, in SMD.

    Attributes
    ----------
    name : str
    prior : Prior
    source : str
        Where its numbers are from.
    about : str
        What it is of.
    """

    name: str
    prior: Prior
    source: str
    about: str


def _rhodes(name: str, location: float, scale: float, about: str) -> Named:
    """Return a t of log tau^2 as that of log tau, which is half of it."""
    prior = LogStudentT(DEGREES_OF_FREEDOM, location / 2, scale / 2)
    return Named(f"rhodes_2015_{name}", prior, SOURCE, about)


def _entries() -> Iterator[Named]:
    """Yield every prior with a name, the general ones first."""
    yield Named(
        "animal_smd_2026",
        ANIMAL,
        "evidence/heterogeneity_prior.md of this project",
        "animal experiments: 16 subsets of three reviews (social behaviour under NMDA "
        "antagonists, antidepressants in the forced swim test, ketamine against neuropathic "
        "pain), on the likelihood with plug-in variances; a stopgap until more reviews are at hand",
    )
    general = "people: any outcome, comparison and medical area (6492 Cochrane meta-analyses)"
    yield _rhodes("general", *GENERAL, general)
    for scale in (0.5, 1.0):
        yield Named(
            f"roever_2021_half_normal_{scale:g}",
            HalfNormal(scale),
            ROEVER,
            f"people: half-normal with scale {scale:g}, for few studies",
        )
    for (outcome, comparison, area), numbers in SETTINGS.items():
        about = f"people: {OUTCOMES[outcome]}; {COMPARISONS[comparison]}; {AREAS[area]}"
        yield _rhodes("_".join(filter(None, (outcome, comparison, area))), *numbers, about)


LITERATURE = MappingProxyType({entry.name: entry for entry in _entries()})


def named(name: object) -> Prior:
    """Return the prior of tau with a name, as numbers.

    ``animal_smd_2026`` is the only one from animals. It is an empirical distribution of tau over
    16 subsets of three reviews, by maximum likelihood of (m, s) in log tau ~ N(m, s) with each
    subset's mean and the split of tau between its levels integrated out. Its taus rest on the
    likelihood with plug-in variances, and subsets of one review share studies and reviewers: it
    is a stopgap, whose making and fragility evidence/heterogeneity_prior.md shows. Those from
    clinical trials (``rhodes_2015_*``, ``roever_2021_*``) lie far below what animal tables show.

    Parameters
    ----------
    name : str
        As `heterogeneity_priors` lists them: ``"rhodes_2015_general"``.

    Returns
    -------
    Prior
        Of tau in SMD.

    Raises
    ------
    SpecError
        If there is no prior of this name; the nearest is suggested.
    """
    if isinstance(name, str) and name in LITERATURE:
        return LITERATURE[name].prior
    near = nearest(name, list(LITERATURE))
    hint = "" if near is None else f"did you mean '{near}'? "
    first = ", ".join(key for key in LITERATURE if not _of_a_setting(key))
    raise SpecError(
        f"no prior of heterogeneity is named {name!r}; {hint}known: {first}, and those of Rhodes "
        "et al. by setting, rhodes_2015_OUTCOME_COMPARISON[_AREA]; bm.heterogeneity_priors() "
        "lists all"
    )


def _of_a_setting(name: str) -> bool:
    return name.startswith("rhodes_2015_") and name != "rhodes_2015_general"


def heterogeneity_priors() -> pd.DataFrame:
    """List the priors of tau that have a name.

    Returns
    -------
    pandas.DataFrame
        One row per prior: `name` (for `priors.named`, or ``tau = { named = "NAME" }`` in a
        model file), `prior`, `median`, `low` and `high` of tau (2.5% and 97.5% quantiles, in
        SMD), `source` and `about` (what it is of).
    """
    import pandas as pd

    rows = []
    for entry in LITERATURE.values():
        low, median, high = entry.prior.distribution().ppf([0.025, 0.5, 0.975])
        rows.append(
            {
                "name": entry.name,
                "prior": str(entry.prior),
                "median": float(median),
                "low": float(low),
                "high": float(high),
                "source": entry.source,
                "about": entry.about,
            }
        )
    return pd.DataFrame(rows)
