"""Are ranks uniform? ECDFs and their simultaneous bands; ArviZ does the arithmetic."""

from __future__ import annotations

from functools import cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["band", "inside_band", "uniformity_p"]

Floats = NDArray[np.float64]

# Simulated samples behind a band: the level of a 99% one is then known to about 0.2%.
SIMULATIONS = 4000


@cache
def band(n: int, prob: float) -> tuple[Floats, Floats, Floats]:
    """Return where the ECDF of n uniform values stays, at all points at once: points and ends.

    By simulation (Saeilynoja, Buerkner & Vehtari 2022, Statistics and Computing 32:32,
    algorithm 1).

    Parameters
    ----------
    n : int
    prob : float
        With which it stays there.
    """
    from arviz_stats.ecdf_utils import ecdf_pit

    points, _, low, high = ecdf_pit(np.linspace(0, 1, n), prob, SIMULATIONS)
    return points, low, high


def inside_band(pit: Floats, prob: float) -> bool:
    """Return whether the ECDF of values on [0, 1], shape (n,), stays within its `band`."""
    points, low, high = (ends[1:-1] for ends in band(len(pit), prob))
    ecdf = np.searchsorted(np.sort(pit), points, side="right") / len(pit)
    return bool(((low <= ecdf) & (ecdf <= high)).all())


def uniformity_p(pit: Floats) -> Floats:
    """Return a P value of uniformity for each column: ArviZ's default test, POT-C.

    Tesso et al. 2026, arXiv:2603.02928. Small values mean what they say; large ones are 1.

    Parameters
    ----------
    pit : ndarray, shape (n, quantities)
    """
    import arviz_stats  # registers the accessor

    assert arviz_stats is not None
    found, _, _ = xr.Dataset({"pit": (("replicate", "quantity"), pit)}).azstats.uniformity_test(
        dim="replicate", method="pot_c"
    )
    return np.asarray(found["pit"].values, dtype=float)
