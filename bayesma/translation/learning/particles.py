"""Particles: draws of everything that animals can show, from the posterior as it stands.

A species' deviation from the mean of those seen is e_s = sigma (sqrt(c) z + z_s): z, how far the
mean of those seen lies from that of all species (c the sum of squared shares), is the same for
every new species, the target among them; z_s is its own. So a study in a third species tells of
people by z and sigma.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesma.translation.pathway.innovations import Innovations, innovations
from bayesma.translation.pathway.species import Species

__all__ = ["GROUPS", "Particles", "particles_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Groups of particles that the jackknife leaves out one by one.
GROUPS = 20


@dataclass(frozen=True)
class Particles:
    """Equally likely states of what animals can show.

    Attributes
    ----------
    at : Innovations
    form, draw : ndarray of int, shape (particles,)
        Which fit, and which of its draws.
    common : ndarray, shape (particles,)
        z, standard normal.
    own : mapping of Species to ndarray, shape (particles,)
        z_s of new species, standard normal.
    groups : ndarray of int, shape (particles,)
        Particles of neighbouring posterior draws are of one group.
    """

    at: Innovations
    form: Ints
    draw: Ints
    common: Floats
    own: Mapping[Species, Floats]
    groups: Ints

    def pick(self, values: Sequence[Floats]) -> Floats:
        """Return each particle's own of what fits have by draw, shape (particles, ...)."""
        out = np.empty((len(self.draw), *values[0].shape[1:]))
        for number, array in enumerate(values):
            mine = self.form == number
            out[mine] = array[self.draw[mine]]
        return out

    def translated(self) -> Particles:
        """Return the same with an effect that translates for certain."""
        ones = np.ones((len(self.draw), 1))
        return replace(self, at=self.at.replaced("no translation", ones))

    def of_species(self, concentration: float, own: Floats | float) -> Innovations:
        """Return innovations whose species is this far from those seen."""
        from scipy import special

        root = np.sqrt(concentration)
        standard = (root * self.common + own) / np.sqrt(1 + concentration)
        which = self.at.parts["species"][:, 0]
        return self.at.replaced("species", np.column_stack([which, special.ndtr(standard)]))

    def rescaled(self, rng: np.random.Generator) -> Particles:
        """Return the same with other exponents of body weight."""
        other = innovations(len(self.draw), rng)
        kept = [name for name in self.at.parts if name not in ("scaling", "dose")]
        return replace(self, at=self.at.mixed(other, kept))


def particles_of(
    log_weights: Sequence[Floats],
    weights: Floats,
    species: Iterable[Species],
    size: int,
    rng: np.random.Generator,
) -> Particles:
    """Return particles.

    Parameters
    ----------
    log_weights : sequence of ndarray, shape (draws,)
        Of each fit's posterior draws.
    weights : ndarray, shape (fits,)
        Of the fits; they add to 1.
    species : iterable of Species
        New ones that are asked about.
    size : int
    rng : numpy.random.Generator
    """
    at = innovations(size, rng)
    form = np.searchsorted(np.cumsum(weights)[:-1], at.parts["decay form"][:, 0])
    draw, groups = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for number, own in enumerate(log_weights):
        mine = form == number
        heights = np.cumsum(np.exp(own - own.max()))
        draw[mine] = np.searchsorted(heights / heights[-1], at.parts["fit"][mine, 0])
        groups[mine] = draw[mine] * GROUPS // len(own)
    if np.bincount(groups, minlength=GROUPS).min() < size / (4 * GROUPS):
        groups = np.arange(size) % GROUPS  # few draws carry the posterior
    own_draws = {name: rng.standard_normal(size) for name in dict.fromkeys(species)}
    return Particles(at, form, draw, rng.standard_normal(size), own_draws, groups)
