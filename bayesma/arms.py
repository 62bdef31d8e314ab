"""Means and standard deviations of arms from what papers print instead of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from bayesma.errors import SpecError, did_you_mean

__all__ = [
    "FiveNumber",
    "Quantiles",
    "mean_from_quantiles",
    "mean_sd_from_quantiles",
    "sd_from_ci",
    "sd_from_quantiles",
    "sd_from_sem",
]

Floats = NDArray[np.float64]
# How the SD follows from all five numbers.
FiveNumber = Literal["shi2020", "wan2014"]


def sd_from_sem(sem: ArrayLike, n: ArrayLike) -> Floats:
    """Return the standard deviation behind a standard error of the mean.

    sd = sem sqrt(n).

    Parameters
    ----------
    sem, n : array_like
        Standard errors and group sizes, one shape.

    Returns
    -------
    ndarray
        Same shape and unit as `sem`.
    """
    return np.asarray(np.asarray(sem, dtype=float) * np.sqrt(np.asarray(n, dtype=float)))


def sd_from_ci(low: ArrayLike, high: ArrayLike, n: ArrayLike, level: float = 0.95) -> Floats:
    """Return the standard deviation behind a confidence interval of a mean.

    sd = sqrt(n) (high - low) / (2 t), t the (1 + level) / 2 quantile of Student's t with n - 1
    degrees of freedom (Cochrane Handbook for Systematic Reviews of Interventions, version 6,
    section 6.5.2.2, for small groups). An interval made with the normal quantile instead gives an
    SD that is too small: by 29% at n = 5, by 4% at n = 30.

    Parameters
    ----------
    low, high, n : array_like
        Ends of the interval and group sizes, one shape.
    level : float
        Confidence level.

    Returns
    -------
    ndarray
        Same shape and unit as the interval.
    """
    n = np.asarray(n, dtype=float)
    width = np.asarray(high, dtype=float) - np.asarray(low, dtype=float)
    return np.asarray(np.sqrt(n) * width / (2 * stdtrit(n - 1, (1 + level) / 2)))


@dataclass(frozen=True)
class Quantiles:
    """Medians with their quartiles, their range, or both; NaN where a number is not given.

    Attributes
    ----------
    median, n : ndarray
        Medians and group sizes.
    q1, q3, low, high : ndarray
        Quartiles, smallest and largest values; same shape.
    """

    median: Floats
    n: Floats
    q1: Floats
    q3: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(
        cls,
        median: ArrayLike,
        n: ArrayLike,
        q1: ArrayLike = np.nan,
        q3: ArrayLike = np.nan,
        low: ArrayLike = np.nan,
        high: ArrayLike = np.nan,
    ) -> Quantiles:
        """Return them as arrays of one shape."""
        arrays = (np.asarray(a, dtype=float) for a in (median, n, q1, q3, low, high))
        return cls(*np.broadcast_arrays(*arrays))

    @property
    def quartiles(self) -> NDArray[np.bool_]:
        """Where both quartiles are given."""
        return np.isfinite(self.q1) & np.isfinite(self.q3)

    @property
    def range(self) -> NDArray[np.bool_]:
        """Where both ends of the range are given."""
        return np.isfinite(self.low) & np.isfinite(self.high)


def mean_sd_from_quantiles(
    median: ArrayLike,
    n: ArrayLike,
    q1: ArrayLike = np.nan,
    q3: ArrayLike = np.nan,
    low: ArrayLike = np.nan,
    high: ArrayLike = np.nan,
    five: FiveNumber = "shi2020",
) -> tuple[Floats, Floats]:
    """Return estimates of mean and standard deviation from medians and their spread.

    Each element uses what it holds: median and quartiles, median and range, or all five.

    Parameters
    ----------
    median, n : array_like
        Medians and group sizes.
    q1, q3, low, high : array_like
        Quartiles, smallest and largest values; NaN where not given.
    five : {"shi2020", "wan2014"}
        Formula of the SD from all five numbers, see `sd_from_quantiles`.

    Returns
    -------
    mean, sd : ndarray
        Luo et al. (2018) and Wan et al. (2014) or Shi et al. (2020); NaN where neither both
        quartiles nor both ends of the range are given.
    """
    given = Quantiles.of(median, n, q1, q3, low, high)
    return mean_from_quantiles(given), sd_from_quantiles(given, five)


def mean_from_quantiles(given: Quantiles) -> Floats:
    """Return estimates of the mean, optimal for normal data.

    With m the median, a and b the range, q1 and q3 the quartiles (Luo et al. 2018, Stat Methods
    Med Res 27:1785, scenarios S1, S2 and S3):

    range: w (a + b)/2 + (1 - w) m, w = 4 / (4 + n^0.75);
    quartiles: w (q1 + q3)/2 + (1 - w) m, w = 0.7 + 0.39/n;
    both: w (a + b)/2 + u (q1 + q3)/2 + (1 - w - u) m, w = 2.2 / (2.2 + n^0.75),
    u = 0.7 - 0.72 / n^0.55.

    Parameters
    ----------
    given : Quantiles

    Returns
    -------
    ndarray
        Same shape; NaN where not enough is given.
    """
    n, m = given.n, given.median
    ends, quarters = (given.low + given.high) / 2, (given.q1 + given.q3) / 2
    w = 4 / (4 + n**0.75)
    from_range = w * ends + (1 - w) * m
    w = 0.7 + 0.39 / n
    from_quartiles = w * quarters + (1 - w) * m
    w, u = 2.2 / (2.2 + n**0.75), 0.7 - 0.72 / n**0.55
    from_both = w * ends + u * quarters + (1 - w - u) * m
    return _chosen(given, from_range, from_quartiles, from_both)


def sd_from_quantiles(given: Quantiles, five: FiveNumber = "shi2020") -> Floats:
    """Return estimates of the standard deviation, for normal data.

    With z(p) the standard normal quantile, r = z((n - 0.375)/(n + 0.25)) and
    q = z((0.75 n - 0.125)/(n + 0.25)) (Wan et al. 2014, BMC Med Res Methodol 14:135, scenarios C1,
    C3 and C2):

    range: (b - a) / (2 r);
    quartiles: (q3 - q1) / (2 q);
    both, "wan2014": the average of these two;
    both, "shi2020": (b - a) / ((2 + 0.14 n^0.6) r) + (q3 - q1) / ((2 + 2 / (0.07 n^0.6)) q)
    (Shi et al. 2020, Res Synth Methods 11:641), which weighs the two by their precision.

    Parameters
    ----------
    given : Quantiles
    five : {"shi2020", "wan2014"}
        Formula where all five numbers are given.

    Returns
    -------
    ndarray
        Same shape; NaN where not enough is given.

    Raises
    ------
    SpecError
        If the formula is unknown.
    """
    if five not in get_args(FiveNumber):
        raise SpecError(f"five='{five}' is unknown; {did_you_mean(five, get_args(FiveNumber))}")
    n = given.n
    spread, middle = given.high - given.low, given.q3 - given.q1
    r = ndtri((n - 0.375) / (n + 0.25))
    q = ndtri((0.75 * n - 0.125) / (n + 0.25))
    from_range, from_quartiles = spread / (2 * r), middle / (2 * q)
    if five == "wan2014":
        from_both = (from_range + from_quartiles) / 2
    else:
        size = n**0.6
        from_both = spread / ((2 + 0.14 * size) * r) + middle / ((2 + 2 / (0.07 * size)) * q)
    return _chosen(given, from_range, from_quartiles, from_both)


def _chosen(given: Quantiles, from_range: Floats, quartiles: Floats, both: Floats) -> Floats:
    """Return the estimate that uses all an element holds."""
    single = np.where(given.range, from_range, quartiles)
    return np.where(given.range & given.quartiles, both, single)
