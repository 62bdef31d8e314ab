"""Mixtures of normals: what a predictive distribution is handed on as.

p(theta) = sum_k w_k N(theta; m_k, s_k^2)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesma.errors import QueryError
from bayesma.files import write_whole
from bayesma.translation.pathway.asked import check_counts

__all__ = ["NormalMixture"]

Floats = NDArray[np.float64]

LOG_2PI = float(np.log(2 * np.pi))
# Weights that add to 1 within what 6 printed digits leave are taken, and made to add to 1.
ROUNDING = 1e-5
# Halvings of a bracket: beyond them a double does not change.
HALVINGS = 200
PARTS = ("weights", "means", "sds")


@dataclass(frozen=True, eq=False)
class NormalMixture:
    """A mixture of normal distributions.

    Parameters
    ----------
    weights, means, sds : sequence of float
        One of each for a component; the weights add to 1.

    Attributes
    ----------
    weights, means, sds : ndarray, shape (components,)

    Raises
    ------
    QueryError
        If they are not as many of each, a number is not finite, an SD or weight not positive, or
        the weights do not add to 1.
    """

    weights: Floats
    means: Floats
    sds: Floats

    def __post_init__(self) -> None:
        """Check the numbers, and keep them from being changed."""
        try:
            parts = {name: np.array(getattr(self, name), dtype=float) for name in PARTS}
        except (TypeError, ValueError) as error:
            given = ", ".join(f"{name} = {getattr(self, name)!r}" for name in PARTS)
            raise QueryError(f"normal mixture: {given}: sequences of numbers") from error
        if faults := _faults(**parts):
            raise QueryError("normal mixture: " + "; ".join(faults))
        parts["weights"] /= parts["weights"].sum()
        for name, values in parts.items():
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        """Return the number of components."""
        return len(self.weights)

    def __eq__(self, other: object) -> bool:
        """Return whether all numbers are the same."""
        return isinstance(other, NormalMixture) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in PARTS
        )

    def __hash__(self) -> int:
        """Hash the numbers."""
        return hash((*self.weights, *self.means, *self.sds))

    @property
    def mean(self) -> float:
        """The mean, sum w m."""
        return float(self.weights @ self.means)

    @property
    def sd(self) -> float:
        """The standard deviation, sqrt(sum w (s^2 + m^2) - mean^2)."""
        apart = self.means - self.mean
        return float(np.sqrt(self.weights @ (self.sds**2 + apart**2)))

    def log_density(self, theta: ArrayLike) -> Floats:
        """Return log p(theta), of the shape of theta."""
        from scipy.special import logsumexp

        return np.asarray(logsumexp(self._joint(np.asarray(theta, dtype=float)), axis=-1))

    def density(self, theta: ArrayLike) -> Floats:
        """Return p(theta), of the shape of theta."""
        return np.exp(self.log_density(theta))

    def curvature(self, theta: ArrayLike) -> Floats:
        """Return -(log p)''(theta), of the shape of theta; below 0 in a valley between peaks.

        -(log p)'' = sum_k r_k / s_k^2 - Var_r(u_k),  u_k = (theta - m_k) / s_k^2,

        r_k the posterior probability of component k at theta.
        """
        at = np.asarray(theta, dtype=float)
        joint = self._joint(at)
        shares = np.exp(joint - joint.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        slopes = (at[..., None] - self.means) / self.sds**2
        middle = (shares * slopes).sum(axis=-1, keepdims=True)
        spread = (shares * (slopes - middle) ** 2).sum(axis=-1)
        return np.asarray(shares @ self.sds**-2.0 - spread)

    def cdf(self, theta: ArrayLike) -> Floats:
        """Return P(. <= theta), of the shape of theta."""
        from scipy import special

        at = np.asarray(theta, dtype=float)[..., None]
        return np.asarray(special.ndtr((at - self.means) / self.sds) @ self.weights)

    def quantile(self, probability: ArrayLike) -> Floats:
        """Return where the cdf reaches a probability, of the shape of it.

        Raises
        ------
        QueryError
            If a probability is not between 0 and 1.
        """
        from scipy import special

        try:
            wanted = np.asarray(probability, dtype=float)
        except (TypeError, ValueError) as error:
            raise QueryError(f"probability = {probability!r}: between 0 and 1") from error
        if not ((wanted > 0) & (wanted < 1)).all():
            raise QueryError(f"probability = {wanted.tolist()}: between 0 and 1")
        ends = special.ndtri(wanted)[..., None] * self.sds + self.means
        low, high = ends.min(axis=-1), ends.max(axis=-1)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self.cdf(middle) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray((low + high) / 2)

    def draw(self, size: int, seed: int = 0) -> Floats:
        """Return independent draws, shape (size,).

        Raises
        ------
        QueryError
            If the size or the seed is no whole number, 0 or more.
        """
        check_counts(seed, 0, size=size)
        rng = np.random.default_rng(seed)
        which = rng.choice(len(self), size, p=self.weights)
        return np.asarray(self.means[which] + self.sds[which] * rng.standard_normal(size))

    def posterior(self, y: float, se: float) -> NormalMixture:
        """Return the mixture given y ~ N(theta, se^2).

        Each component is updated by itself; w_k goes with the density that it gave y,
        N(y; m_k, s_k^2 + se^2).

        Raises
        ------
        QueryError
            If `se` is not positive, or y is not finite.
        """
        numbers = isinstance(y, Real) and isinstance(se, Real)
        if not (numbers and np.isfinite([y, se]).all() and se > 0):
            raise QueryError(
                f"y = {y!r}, se = {se!r}: a finite number with a positive standard error"
            )
        total = self.sds**2 + se**2
        log_weights = np.log(self.weights) - 0.5 * ((y - self.means) ** 2 / total + np.log(total))
        weights = np.exp(log_weights - log_weights.max())
        kept = self.sds**2 / total
        # A component that the datum excludes has a weight that no float holds.
        there = weights > 0
        return NormalMixture(
            (weights / weights.sum())[there],
            (self.means + kept * (y - self.means))[there],
            (self.sds * se / np.sqrt(total))[there],
        )

    @property
    def r_line(self) -> str:
        """The mixture in R, for RBesT."""
        parts = zip(self.weights, self.means, self.sds, strict=True)
        inside = ", ".join(f"c({w:.10g}, {m:.10g}, {s:.10g})" for w, m, s in parts)
        return f"RBesT::mixnorm({inside})"

    @property
    def pymc_line(self) -> str:
        """The mixture in PyMC, inside a model."""
        w, mu, sigma = (
            "[" + ", ".join(f"{value:.10g}" for value in part) + "]"
            for part in (self.weights, self.means, self.sds)
        )
        return f'pm.NormalMixture("theta", w={w}, mu={mu}, sigma={sigma})'

    def to_json(
        self, path: str | Path | None = None, *, sigma: float | None = None, about: Any = None
    ) -> str:
        """Return the mixture as JSON, and write it where a path is given.

        RBesT reads the file with read_mix_json(path), from version 1.8-2; it looks at `meta` and
        `comp` alone. `r` and `pymc` are lines that make the mixture in either language.

        Parameters
        ----------
        path : str or Path, optional
        sigma : float, optional
            RBesT's reference scale: the SD of one unit, by which it counts an effective sample
            size.
        about : optional
            Kept under the key `about`; anything that JSON can hold.

        Raises
        ------
        QueryError
            If `sigma` is not positive, or JSON cannot hold `about`.
        BayesmaError
            If the file cannot be written.
        """
        number = isinstance(sigma, Real) and not isinstance(sigma, bool)
        if sigma is not None and not (number and np.isfinite(sigma) and sigma > 0):
            raise QueryError(f"sigma = {sigma!r}: the SD of one unit, a positive number")
        names = [f"comp{number}" for number in range(1, len(self) + 1)]
        meta: dict[str, Any] = {
            "dim": [3, len(self)],
            # As an object: a list of two lists of three R would take for a matrix.
            "dimnames": {"parameter": ["w", "m", "s"], "component": names},
            **({} if sigma is None else {"sigma": [float(sigma)]}),
            "class": ["normMix", "mix"],
            "likelihood": ["normal"],
            "link": ["identity"],
        }
        comp = [[float(value) for value in part] for part in (self.weights, self.means, self.sds)]
        found: dict[str, Any] = {
            "meta": meta,
            "comp": comp,
            "r": self.r_line,
            "pymc": self.pymc_line,
        }
        found |= {} if about is None else {"about": about}
        try:
            text = json.dumps(found, indent=1, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise QueryError(f"about: JSON cannot hold it ({error})") from error
        if path is not None:
            write_whole(Path(path), lambda part: part.write_text(text + "\n", encoding="utf-8"))
        return text

    @classmethod
    def from_json(cls, source: str | Path) -> NormalMixture:
        """Return the mixture of a JSON text, or of a file.

        Raises
        ------
        QueryError
            If the file cannot be read or holds no mixture of normals.
        """
        text, name = str(source), "JSON"
        try:
            if not text.lstrip().startswith("{"):
                name = text
                text = Path(source).read_text(encoding="utf-8")
            weights, means, sds = json.loads(text)["comp"]
            return cls(weights, means, sds)
        except OSError as error:
            raise QueryError(f"{name}: cannot be read ({error.strerror or error})") from error
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, QueryError):
                raise QueryError(f"{name}: {error}") from error
            raise QueryError(
                f'{name}: no mixture of normals; it needs "comp": [[weights], [means], [sds]], as '
                "to_json or RBesT's write_mix_json writes it"
            ) from error

    def __str__(self) -> str:
        """Return the components, one line each."""
        parts = zip(self.weights, self.means, self.sds, strict=True)
        return "\n".join(f"{w:7.3f}  N({m:.3f}, {s:.3f}^2)" for w, m, s in parts)

    def _joint(self, at: Floats) -> Floats:
        """Return log w_k + log N(theta; m_k, s_k^2), the components last."""
        z = (at[..., None] - self.means) / self.sds
        return np.log(self.weights) - np.log(self.sds) - 0.5 * (z**2 + LOG_2PI)


def _faults(weights: Floats, means: Floats, sds: Floats) -> list[str]:
    if not (weights.ndim == 1 and 0 < len(weights) == len(means) == len(sds)):
        return ["as many weights as means and sds are needed, one or more"]
    if not np.isfinite([weights, means, sds]).all():
        return ["every number must be finite"]
    faults = []
    if not (weights > 0).all():
        faults.append(f"weights {weights.tolist()}: each above 0")
    elif abs(weights.sum() - 1) > ROUNDING:
        faults.append(f"weights {weights.tolist()} add to {weights.sum():g}: they must add to 1")
    if not (sds > 0).all():
        faults.append(f"sds {sds.tolist()}: each above 0")
    return faults
