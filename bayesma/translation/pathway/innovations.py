"""Independent standardised innovations: every source of doubt as uniform numbers of its own.

What is predicted is a function of them alone. To ask what one source contributes, its numbers are
held while those of the others are drawn again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

__all__ = ["FACTORS", "Innovations", "innovations"]

Floats = NDArray[np.float64]

# A model nests at most this many levels of group effects; each has a number of its own.
LEVELS = 4
# Source of doubt to how many numbers it has.
FACTORS: Mapping[str, int] = MappingProxyType(
    {
        "fit": 1,
        "new study": 2 + LEVELS,
        "species": 2,
        "no translation": 1,
        "discrepancy": 1,
        "scaling": 2,
        "decay form": 1,
        "dose": 1,
    }
)
# Uniform numbers stay off 0 and 1, whose normal quantiles are infinite.
EDGE = 1e-12


@dataclass(frozen=True)
class Innovations:
    """Uniform numbers by source of doubt.

    Attributes
    ----------
    parts : mapping of str to ndarray, shape (draws, numbers)
        By the names of `FACTORS`.
    """

    parts: Mapping[str, Floats]

    def __len__(self) -> int:
        """Return the number of draws."""
        return len(next(iter(self.parts.values())))

    def mixed(self, other: Innovations, names: Collection[str]) -> Innovations:
        """Return these numbers for the named sources, and those of `other` for the rest."""
        return Innovations(
            {name: (self if name in names else other).parts[name] for name in self.parts}
        )

    def taken(self, index: NDArray[np.int64]) -> Innovations:
        """Return the draws at an index."""
        return Innovations({name: part[index] for name, part in self.parts.items()})

    def replaced(self, name: str, part: Floats) -> Innovations:
        """Return these numbers with those of one source replaced."""
        return Innovations({**self.parts, name: np.clip(part, EDGE, 1 - EDGE)})


def innovations(size: int, rng: np.random.Generator) -> Innovations:
    """Return independent draws.

    Parameters
    ----------
    size : int
    rng : numpy.random.Generator
    """
    parts = {name: rng.random((size, count)) for name, count in FACTORS.items()}
    return Innovations({name: np.clip(part, EDGE, 1 - EDGE) for name, part in parts.items()})
