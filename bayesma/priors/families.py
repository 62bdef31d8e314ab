"""Families of priors as frozen records of numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bayesma.errors import SpecError

__all__ = [
    "REGISTRY",
    "Beta",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "LogNormal",
    "LogStudentT",
    "Normal",
    "Prior",
    "StudentT",
    "Uniform",
    "beta",
    "gamma",
    "half_cauchy",
    "half_normal",
    "log_normal",
    "log_student_t",
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
class LogStudentT(Prior):
    """Exponential of a Student t: log x ~ t(`nu`, `mu`, `sigma`).

    Its tails are so heavy that it has no mean; speak of its median, exp(`mu`).
    """

    nu: float
    mu: float
    sigma: float
    name: ClassVar[str] = "log_student_t"

    def distribution(self) -> Any:
        """Return the distribution, with the methods of SciPy's that are used here."""
        from scipy import stats

        return _Exponential(stats.t(self.nu, self.mu, self.sigma))


@dataclass(frozen=True)
class _Exponential:
    """exp(X) for a frozen SciPy distribution of X on all numbers; SciPy has no log-t."""

    of: Any

    def support(self) -> tuple[float, float]:
        """Return where the density is."""
        return 0.0, float("inf")

    def rvs(self, size: tuple[int, ...], random_state: np.random.Generator) -> Any:
        """Return draws; those beyond what a float holds are infinite, or 0."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.of.rvs(size=size, random_state=random_state))

    def logpdf(self, x: Any) -> Any:
        """Return log p(log x) - log x; -inf at 0 and below."""
        x = np.asarray(x, dtype=float)
        inside = x > 0
        log_x = np.log(np.where(inside, x, 1.0))
        return np.where(inside, self.of.logpdf(log_x) - log_x, -np.inf)

    def cdf(self, x: Any) -> Any:
        """Return P(exp(X) <= x)."""
        x = np.asarray(x, dtype=float)
        return np.where(x > 0, self.of.cdf(np.log(np.where(x > 0, x, 1.0))), 0.0)

    def ppf(self, p: Any) -> Any:
        """Return quantiles."""
        with np.errstate(over="ignore"):
            return np.exp(self.of.ppf(p))

    def median(self) -> float:
        """Return the median."""
        return float(self.ppf(0.5))

    def std(self) -> float:
        """Return infinity: exp(x) grows faster than any t's tail falls."""
        return float("inf")


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


FAMILIES = (Normal, StudentT, HalfNormal, HalfCauchy, LogNormal, LogStudentT, Gamma, Beta, Uniform)
REGISTRY: dict[str, type[Prior]] = {prior.name: prior for prior in FAMILIES}


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


def log_student_t(nu: float, mu: float, sigma: float) -> LogStudentT:
    """Return a log-Student-t prior: exp of a Student t with `nu`, `mu` and `sigma`."""
    return LogStudentT(nu, mu, sigma)


def gamma(alpha: float, beta: float) -> Gamma:
    """Return a Gamma prior with shape `alpha` and rate `beta`."""
    return Gamma(alpha, beta)


def beta(alpha: float, beta: float) -> Beta:
    """Return a Beta prior on [0, 1], for a correlation."""
    return Beta(alpha, beta)


def uniform(lower: float, upper: float) -> Uniform:
    """Return a uniform prior."""
    return Uniform(lower, upper)
