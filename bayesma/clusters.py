"""Clusters of effects whose sampling errors correlate by an unknown rho.

In a cluster of variances v the sampling covariance is that of `compound_symmetry`,

    V = D^(1/2) ((1 - rho) I + rho 1 1') D^(1/2),    D = diag(v),

a diagonal (1 - rho) v and one more group effect, of standard deviation sqrt(rho) and loading
sqrt(v), which `marginal` integrates out as the innermost level. Its cost stays linear in the rows,
and rho may differ from draw to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.covariance import Whitening, compound_symmetry
from bayesma.decay import Maths
from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.grouping import Groups, check_blocks
from bayesma.sharing import cluster_labels

__all__ = ["Clusters", "clusters_of"]

Floats = NDArray[np.float64]

SWEEP = "or bm.sweep_rho(effects, spec), which fits one rho after another"


@dataclass(frozen=True)
class Clusters:
    """Rows whose errors correlate, as one more level of groups.

    Attributes
    ----------
    groups : Groups
        Those of the design, with the clusters as the innermost level.
    together : ndarray, shape (rows,)
        1 where a row shares its cluster, 0 where it stands alone.
    v : array, shape (rows,)
        Sampling variances.
    include : array, shape (rows,), or float
        0 for a row that is left out: what whitening gives of it is then 0, and it enters no sum.
    """

    groups: Groups
    together: Floats
    v: Any
    include: Any = 1.0

    @property
    def loading(self) -> Any:
        """How much of a cluster's error enters each row, sqrt(v); 0 for a row of its own."""
        return self.together * self.v**0.5

    def levels(
        self, scales: Sequence[Any], taus: Sequence[Any], rho: Any
    ) -> tuple[list[Any], list[Any]]:
        """Return loadings and standard deviations with the clusters' in front, a loading each.

        Parameters
        ----------
        scales, taus : sequence of array
            As `marginal.levels` takes them.
        rho : array, shape (..., 1)
        """
        own = list(scales) if len(scales) > 1 else list(scales) * len(taus)
        return [self.loading, *own], [rho**0.5, *taus]

    def whitening(self, rho: Any, maths: Maths) -> Whitening:
        """Return that of (1 - rho) v, where the clusters' errors are a level of their own.

        Parameters
        ----------
        rho : array, shape (..., 1)
        maths : Maths
        """
        own = self.v * (1 - rho * self.together)
        rows = np.arange(len(self.together))
        values, log_det = self.include * own**-0.5, self.include * maths.log(own)
        return Whitening(rows, rows, values, log_det, len(rows), True)

    def noise(self, rho: Floats, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        """Return draws of the sampling errors, shape (..., rows)."""
        rho = np.asarray(rho)[..., None]
        own = np.sqrt(self.v * (1 - rho * self.together)) * rng.standard_normal(shape)
        common = rng.standard_normal((*shape[:-1], len(self.groups.labels[-1])))
        return np.asarray(own + np.sqrt(rho) * self.loading * common[..., self.groups.innermost])


def clusters_of(effects: Effects, groups: Groups) -> Clusters:
    """Return the clusters of effects whose rho has a prior.

    Raises
    ------
    SpecError
        If the effects say their covariance already, or no two rows share a cluster.
    """
    sharing = effects.sharing
    if sharing.labelled:
        raise SpecError(
            "a prior of rho: effects made with shared_control= or same_animals= have covariances "
            "that no one factor of rho gives; make them without, which leaves a rho within "
            f"'{sharing.within}', {SWEEP}"
        )
    if sharing.rho or effects.covariance.blocks:
        given = f"rho = {sharing.rho:g}" if sharing.rho else "their own sampling covariance"
        raise SpecError(
            f"a prior of rho: the effects come with {given}; make them with rho = 0, {SWEEP}"
        )
    if sharing.within not in effects.frame:
        raise SpecError(
            f"a prior of rho: no column '{sharing.within}' to correlate within; "
            f"{did_you_mean(sharing.within, list(effects.frame))}"
        )
    labels = cluster_labels(effects.frame, sharing.within)
    # Any correlation will do: only who is linked with whom is asked.
    check_blocks(compound_symmetry(effects.v, [repr(label) for label in labels], 0.5), groups)
    index = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    codes = np.array([index[label] for label in labels], dtype=np.int64)
    together = (np.bincount(codes)[codes] > 1).astype(float)
    if not together.any():
        raise SpecError(
            f"a prior of rho: no two rows share their {sharing.within}, so nothing correlates; "
            "drop it"
        )
    parent = np.zeros(len(index), dtype=np.int64)
    parent[codes] = groups.innermost
    wider = replace(
        groups,
        labels=(*groups.labels, tuple("/".join(label) for label in index)),
        parent=(parent, *groups.parent),
        innermost=codes,
    )
    return Clusters(wider, together, effects.v)
