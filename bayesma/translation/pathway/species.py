"""Species: what they weigh, and how doses go from one to another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING

from bayesma.errors import QueryError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SOURCE", "SPECIES", "Species", "species_of", "species_table"]

SOURCE = (
    "FDA 2005, Guidance for Industry: estimating the maximum safe starting dose in initial "
    "clinical trials, table 1"
)


@dataclass(frozen=True)
class Species:
    """A species as scaling needs it.

    Parameters
    ----------
    weight : float
        Body weight in kg.
    km : float
        Dose in mg/kg times km is mg per square metre of body surface.
    source : str
        Where the two numbers are from.

    Raises
    ------
    QueryError
        If a number is not positive and finite.
    """

    weight: float
    km: float
    source: str = "stated by the user"

    def __post_init__(self) -> None:
        """Refuse what no animal weighs."""
        faults = []
        for name in ("weight", "km"):
            value = getattr(self, name)
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not (number and math.isfinite(value) and value > 0):
                faults.append(f"species: {name} = {value!r}: a positive number is needed")
        if faults:
            raise QueryError("\n".join(faults))


SPECIES: Mapping[str, Species] = MappingProxyType(
    {
        name: Species(weight, km, SOURCE)
        for name, weight, km in (
            ("human", 60.0, 37.0),
            ("mouse", 0.02, 3.0),
            ("hamster", 0.08, 5.0),
            ("rat", 0.15, 6.0),
            ("ferret", 0.30, 7.0),
            ("guinea pig", 0.40, 8.0),
            ("rabbit", 1.8, 12.0),
            ("dog", 10.0, 20.0),
            ("monkey", 3.0, 12.0),
            ("marmoset", 0.35, 6.0),
            ("squirrel monkey", 0.60, 7.0),
            ("baboon", 12.0, 20.0),
            ("micro-pig", 20.0, 27.0),
            ("mini-pig", 40.0, 35.0),
        )
    }
)
# Other spellings of the same animal.
ALIASES = {
    "mice": "mouse",
    "people": "human",
    "man": "human",
    "rhesus": "monkey",
    "rhesus monkey": "monkey",
    "macaque": "monkey",
    "cynomolgus": "monkey",
    "cynomolgus monkey": "monkey",
    "beagle": "dog",
    "minipig": "mini-pig",
}


def species_of(name: str, more: Mapping[str, Species] | None = None) -> Species:
    """Return a species by name; case, plural and a few synonyms do not matter.

    Parameters
    ----------
    name : str
    more : mapping of str to Species, optional
        Of the user's own; they come first.

    Raises
    ------
    QueryError
        If it is in neither table; the known ones are listed.
    """
    own = {} if more is None else {key.lower(): value for key, value in more.items()}
    known = {**SPECIES, **own}
    text = " ".join(str(name).lower().split())
    for spelt in (text, ALIASES.get(text), text.removesuffix("s")):
        if spelt in known:
            return known[spelt]
    raise QueryError(
        f"species '{name}' is not in the table of body weights; {did_you_mean(text, list(known))}; "
        f"add it: bm.Assumptions(species={{'{name}': bm.Species(weight=..., km=...)}})"
    )


def species_table() -> pd.DataFrame:
    """Return the shipped species.

    Returns
    -------
    pandas.DataFrame
        Index: species; `weight` (kg), `km` (kg per square metre: mg/kg times km is mg/m2) and
        `source`.
    """
    import pandas as pd

    rows = [{"species": name, **vars(one)} for name, one in SPECIES.items()]
    return pd.DataFrame(rows).set_index("species")
