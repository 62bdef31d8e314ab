"""Priors as frozen records. They know no sampler: the engine translates them.

Each record draws from itself and states its log density, both through SciPy, so that prior
predictive draws and sensitivity analyses need no PyMC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bayesma.errors import SpecError, did_you_mean

__all__ = [
    "REGISTRY",
    "Beta",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "LogNormal",
    "Normal",
    "Prior",
    "StudentT",
    "Uniform",
    "beta",
    "from_dict",
    "gamma",
    "half_cauchy",
    "half_normal",
    "log_normal",
    "normal",
    "student_t",
    "uniform",
]


@dataclass(frozen=True)
class Prior:
    """A univariate prior: numbers with a name."""

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check that every number is one, finite, and every scale positive."""
        for key, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise SpecError(f"prior {self.name}: {key} = {value!r} is not a number")
            if not np.isfinite(value):
                raise SpecError(f"prior {self}: {key} must be finite")
            if key in {"sigma", "nu", "alpha", "beta"} and value <= 0:
                raise SpecError(f"prior {self}: {key} must be positive")

    @property
    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support (floats)."""
        lower, upper = self.distribution().support()
        return float(lower), float(upper)

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        raise NotImplementedError

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return draws of the given shape."""
        return np.asarray(self.distribution().rvs(size=shape, random_state=rng))

    def log_density(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log density at x, same shape."""
        return np.asarray(self.distribution().logpdf(x))

    def to_dict(self) -> dict[str, list[float]]:
        """Return the record as ``{name: [numbers]}``, as a model file writes it."""
        return {self.name: [float(value) for value in asdict(self).values()]}

    def __str__(self) -> str:
        """Return the usual notation, e.g. ``Normal(0, 5)``."""
        numbers = ", ".join(f"{value:.4g}" for value in asdict(self).values())
        return f"{type(self).__name__}({numbers})"


@dataclass(frozen=True)
class Normal(Prior):
    """Normal with mean `mu` and standard deviation `sigma`."""

    mu: float
    sigma: float
    name: ClassVar[str] = "normal"

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        from scipy import stats

        return stats.norm(self.mu, self.sigma)


@dataclass(frozen=True)
class StudentT(Prior):
    """Student t with `nu` degrees of freedom, location `mu` and scale `sigma`."""

    nu: float
    mu: float
    sigma: float
    name: ClassVar[str] = "student_t"

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        from scipy import stats

        return stats.t(self.nu, self.mu, self.sigma)


@dataclass(frozen=True)
class HalfNormal(Prior):
    """Absolute value of a Normal(0, `sigma`)."""

    sigma: float
    name: ClassVar[str] = "half_normal"

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        from scipy import stats

        return stats.halfnorm(scale=self.sigma)


@dataclass(frozen=True)
class HalfCauchy(Prior):
    """Absolute value of a Cauchy with scale `sigma`."""

    sigma: float
    name: ClassVar[str] = "half_cauchy"

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        from scipy import stats

        return stats.halfcauchy(scale=self.sigma)


@dataclass(frozen=True)
class LogNormal(Prior):
    """Exponential of a Normal(`mu`, `sigma`)."""

    mu: float
    sigma: float
    name: ClassVar[str] = "log_normal"

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        from scipy import stats

        return stats.lognorm(self.sigma, scale=np.exp(self.mu))


@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma with shape `alpha` and rate `beta`: mean alpha / beta."""

    alpha: float
    beta: float
    name: ClassVar[str] = "gamma"

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        from scipy import stats

        return stats.gamma(self.alpha, scale=1 / self.beta)


@dataclass(frozen=True)
class Beta(Prior):
    """Beta on [0, 1]: mean alpha / (alpha + beta)."""

    alpha: float
    beta: float
    name: ClassVar[str] = "beta"

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        from scipy import stats

        return stats.beta(self.alpha, self.beta)


@dataclass(frozen=True)
class Uniform(Prior):
    """Uniform between `lower` and `upper`."""

    lower: float
    upper: float
    name: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        """Check the bounds."""
        super().__post_init__()
        if not self.lower < self.upper:
            raise SpecError(f"prior {self}: lower must be below upper")

    def distribution(self) -> Any:
        """Return the frozen SciPy distribution."""
        from scipy import stats

        return stats.uniform(self.lower, self.upper - self.lower)


REGISTRY: dict[str, type[Prior]] = {
    prior.name: prior
    for prior in (Normal, StudentT, HalfNormal, HalfCauchy, LogNormal, Gamma, Beta, Uniform)
}


def from_dict(record: object) -> Prior:
    """Return the prior written as ``{name: [numbers]}``.

    Raises
    ------
    SpecError
        If the name is unknown (the known ones are listed) or the numbers do not fit.
    """
    if not isinstance(record, Mapping) or len(record) != 1:
        raise SpecError(f"a prior is written {{normal = [0, 5]}}, not {record!r}")
    ((name, numbers),) = record.items()
    if name not in REGISTRY:
        raise SpecError(f"no prior is named '{name}'; {did_you_mean(name, list(REGISTRY))}")
    values = numbers if isinstance(numbers, list | tuple) else [numbers]
    expected = [field.name for field in fields(REGISTRY[name])]
    if len(values) != len(expected):
        raise SpecError(f"prior {name} = {numbers!r}: it takes the numbers [{', '.join(expected)}]")
    return REGISTRY[name](*values)


def normal(mu: float, sigma: float) -> Normal:
    """Return a Normal prior with mean `mu` and standard deviation `sigma`."""
    return Normal(mu, sigma)


def student_t(nu: float, mu: float, sigma: float) -> StudentT:
    """Return a Student t prior."""
    return StudentT(nu, mu, sigma)


def half_normal(sigma: float) -> HalfNormal:
    """Return a half-normal prior with scale `sigma`."""
    return HalfNormal(sigma)


def half_cauchy(sigma: float) -> HalfCauchy:
    """Return a half-Cauchy prior with scale `sigma`."""
    return HalfCauchy(sigma)


def log_normal(mu: float, sigma: float) -> LogNormal:
    """Return a log-normal prior: exp of a Normal(`mu`, `sigma`)."""
    return LogNormal(mu, sigma)


def gamma(alpha: float, beta: float) -> Gamma:
    """Return a Gamma prior with shape `alpha` and rate `beta`."""
    return Gamma(alpha, beta)


def beta(alpha: float, beta: float) -> Beta:
    """Return a Beta prior on [0, 1], for a correlation."""
    return Beta(alpha, beta)


def uniform(lower: float, upper: float) -> Uniform:
    """Return a uniform prior."""
    return Uniform(lower, upper)
