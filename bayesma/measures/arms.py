"""Arm summaries as arrays, and what the formulas take from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Arms", "arms_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arms:
    """Summaries of treated and control arms, arrays of one shape.

    Attributes
    ----------
    mean_treated, sd_treated, n_treated, mean_control, sd_control, n_control : ndarray
        As in a study table.
    mean_sham : ndarray
        Mean of animals without the disease; only NMD reads it.
    """

    mean_treated: Floats
    sd_treated: Floats
    n_treated: Floats
    mean_control: Floats
    sd_control: Floats
    n_control: Floats
    mean_sham: Floats

    @property
    def total(self) -> Floats:
        """N = n_t + n_c."""
        return self.n_treated + self.n_control

    @property
    def df(self) -> Floats:
        """Degrees of freedom of the pooled SD: m = n_t + n_c - 2."""
        return self.total - 2

    @property
    def inverse(self) -> Floats:
        """1/n_t + 1/n_c."""
        return 1 / self.n_treated + 1 / self.n_control

    @property
    def pooled(self) -> Floats:
        """s_p^2 = ((n_t - 1) s_t^2 + (n_c - 1) s_c^2) / m."""
        squares = (self.n_treated - 1) * self.sd_treated**2
        return (squares + (self.n_control - 1) * self.sd_control**2) / self.df

    @property
    def halved(self) -> Floats:
        """s_h^2 = (s_t^2 + s_c^2) / 2."""
        return (self.sd_treated**2 + self.sd_control**2) / 2

    @property
    def cv_treated(self) -> Floats:
        """s_t / m_t, with the sign of the mean."""
        return self.sd_treated / self.mean_treated

    @property
    def cv_control(self) -> Floats:
        """s_c / m_c, with the sign of the mean."""
        return self.sd_control / self.mean_control


def arms_of(
    mean_treated: ArrayLike,
    sd_treated: ArrayLike,
    n_treated: ArrayLike,
    mean_control: ArrayLike,
    sd_control: ArrayLike,
    n_control: ArrayLike,
    mean_sham: ArrayLike = 0.0,
) -> Arms:
    """Return arm summaries as arrays of floats of one shape."""
    columns = (mean_treated, sd_treated, n_treated, mean_control, sd_control, n_control, mean_sham)
    return Arms(*np.broadcast_arrays(*(np.asarray(column, dtype=float) for column in columns)))
