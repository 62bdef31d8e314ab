"""Decay families: the share of the peak effect that is left after a delay.

Each family is one equation, its inverse and its integral. A parameter arrives as its linear
predictor: the half-life as log2 of days, the persistent share as a logit, the Weibull shape as a
logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from bayesma.errors import SpecError, did_you_mean

__all__ = [
    "FAMILIES",
    "Decay",
    "Exponential",
    "Maths",
    "NoDecay",
    "Plateau",
    "Weibull",
    "family",
    "persistent_share",
]


LN2 = math.log(2)
LOG_LN2 = math.log(LN2)
# From here on exp(x) is large enough to leave the incomplete gamma function to its series.
FAR = 300.0


class Maths(Protocol):
    """The few functions a formula needs, from NumPy or from PyTensor."""

    def exp2(self, x: Any) -> Any:
        """Return 2^x."""

    def log(self, x: Any) -> Any:
        """Return the natural logarithm."""

    def log2(self, x: Any) -> Any:
        """Return the logarithm to base 2."""

    def exp(self, x: Any) -> Any:
        """Return e^x."""

    def logsumexp(self, x: Any) -> Any:
        """Return log sum exp x over the last axis."""

    def largest(self, x: Any) -> Any:
        """Return the largest over the last axis, shape (..., 1)."""

    def expm1(self, x: Any) -> Any:
        """Return e^x - 1, exact near 0."""

    def gammaln(self, x: Any) -> Any:
        """Return log Gamma(x)."""

    def gammainc(self, a: Any, x: Any) -> Any:
        """Return the lower incomplete gamma function as a share of the whole."""

    def gammaincc(self, a: Any, x: Any) -> Any:
        """Return the upper incomplete gamma function as a share of the whole."""

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        """Return x where the condition holds, else y."""

    def take(self, x: Any, index: Any) -> Any:
        """Return x[..., index]."""

    def segment_sum(self, x: Any, index: Any, n: Any) -> Any:
        """Return the sums of x over its last axis by segment; shape (..., n)."""


@dataclass(frozen=True)
class Decay:
    """A decay family.

    A family states the base-2 logarithm of the share, because the model needs the share
    relative to a reference delay, and a difference of logarithms neither overflows nor
    divides zero by zero where a short half-life leaves nothing.

    Attributes
    ----------
    name : str
        As a spec writes it.
    parameters : tuple of str
        The formulas it takes.
    equation : str
        For people.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]]
    equation: ClassVar[str]

    def log2_share(self, delay: Any, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return log2 of the share of the peak left after `delay` days (0 at delay 0)."""
        raise NotImplementedError

    def delay_at(self, share: float, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return the delay in days at which `share` is left; infinite if never."""
        raise NotImplementedError

    def relative_area(
        self,
        start: float,
        stop: float,
        reference: Any,
        predictors: Mapping[str, Any],
        maths: Maths,
    ) -> Any:
        """Return the integral of share(t) / share(reference) over `start` < `stop`, in days."""
        raise NotImplementedError


@dataclass(frozen=True)
class NoDecay(Decay):
    """The effect does not change with delay."""

    name: ClassVar[str] = "none"
    parameters: ClassVar[tuple[str, ...]] = ()
    equation: ClassVar[str] = "share(t) = 1"

    def log2_share(self, delay: Any, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return 0."""
        return 0.0 * delay

    def delay_at(self, share: float, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return infinity: it never fades."""
        return float("inf")

    def relative_area(
        self,
        start: float,
        stop: float,
        reference: Any,
        predictors: Mapping[str, Any],
        maths: Maths,
    ) -> Any:
        """Return stop - start."""
        return stop - start + 0.0 * reference


@dataclass(frozen=True)
class Exponential(Decay):
    """The effect halves every half-life."""

    name: ClassVar[str] = "exponential"
    parameters: ClassVar[tuple[str, ...]] = ("half_life",)
    equation: ClassVar[str] = "share(t) = 2^(-t/h)"

    def log2_share(self, delay: Any, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return -t/h."""
        return -delay * maths.exp2(-predictors["half_life"])

    def delay_at(self, share: float, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return -h log2(share)."""
        return -maths.exp2(predictors["half_life"]) * maths.log2(share)

    def relative_area(
        self,
        start: float,
        stop: float,
        reference: Any,
        predictors: Mapping[str, Any],
        maths: Maths,
    ) -> Any:
        """Return h / ln 2 2^(-(start - reference)/h) (1 - 2^(-(stop - start)/h))."""
        log2_h = predictors["half_life"]
        rate = maths.exp2(-log2_h)
        # h is put into the power: beside a power that overflows it must not have become 0.
        height = maths.exp2(log2_h - (start - reference) * rate)
        return -height * maths.expm1(-LN2 * (stop - start) * rate) / LN2


@dataclass(frozen=True)
class Plateau(Decay):
    """A persistent share p stays; the rest halves every half-life."""

    name: ClassVar[str] = "plateau"
    parameters: ClassVar[tuple[str, ...]] = ("half_life", "persistent")
    equation: ClassVar[str] = "share(t) = p + (1 - p) 2^(-t/h)"

    def log2_share(self, delay: Any, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return log2(p + (1 - p) 2^(-t/h))."""
        stays, goes = _shares(predictors["persistent"], maths)
        fades = maths.exp2(-delay * maths.exp2(-predictors["half_life"]))
        return maths.log2(stays + goes * fades)

    def delay_at(self, share: float, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return -h log2((share - p) / (1 - p)); infinite where p >= share."""
        stays, goes = _shares(predictors["persistent"], maths)
        reached = share > stays
        left = maths.where(reached, (share - stays) / goes, 1.0)
        fades = -maths.exp2(predictors["half_life"]) * maths.log2(left)
        return maths.where(reached, fades, float("inf"))

    def relative_area(
        self,
        start: float,
        stop: float,
        reference: Any,
        predictors: Mapping[str, Any],
        maths: Maths,
    ) -> Any:
        """Return (p (stop - start) + (1 - p) A) / share(reference), A that of what fades."""
        stays, goes = _shares(predictors["persistent"], maths)
        fading = Exponential()
        area = fading.relative_area(start, stop, 0.0, predictors, maths)
        left = stays + goes * maths.exp2(fading.log2_share(reference, predictors, maths))
        return (stays * (stop - start) + goes * area) / left


@dataclass(frozen=True)
class Weibull(Decay):
    """Half is left after a half-life; before it slower, and then faster, the larger k.

    k = 1 is the exponential; k < 1 falls fast and then lingers; k > 1 holds and then falls.
    """

    name: ClassVar[str] = "weibull"
    parameters: ClassVar[tuple[str, ...]] = ("half_life", "shape")
    equation: ClassVar[str] = "share(t) = 2^(-(t/h)^k)"

    def log2_share(self, delay: Any, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return -(t/h)^k."""
        # At delay 0 both the logarithm and what its power is made of are masked: there a gradient
        # of 0 times an infinite one would be NaN.
        faded = delay > 0
        distance = maths.log2(maths.where(faded, delay, 1.0)) - predictors["half_life"]
        power = maths.where(faded, maths.exp(predictors["shape"]) * distance, 0.0)
        return maths.where(faded, -maths.exp2(power), 0.0)

    def delay_at(self, share: float, predictors: Mapping[str, Any], maths: Maths) -> Any:
        """Return h (-log2(share))^(1/k)."""
        halvings = -maths.log2(share)
        faded = halvings > 0
        power = maths.log2(maths.where(faded, halvings, 1.0)) * maths.exp(-predictors["shape"])
        return maths.where(faded, maths.exp2(predictors["half_life"] + power), 0.0)

    def relative_area(
        self,
        start: float,
        stop: float,
        reference: Any,
        predictors: Mapping[str, Any],
        maths: Maths,
    ) -> Any:
        """Return h Gamma(1 + 1/k) ln2^(-1/k) e^r (P(1/k, u(stop)) - P(1/k, u(start))).

        u(t) = ln 2 (t/h)^k, r = u(reference), and P is the regularised lower incomplete gamma
        function: the integral of exp(-u(t)) dt with u as its variable (DLMF 8.2.4).
        """
        power = maths.exp(-predictors["shape"])
        first, last, at = (
            -LN2 * self.log2_share(t + 0.0 * reference, predictors, maths)
            for t in (start, stop, reference)
        )
        # Late in the decay both P are 1: there the difference is that of the upper functions,
        # without the factor e^-u that would be lost.
        late = first > power
        lower = maths.gammainc(power, last) - maths.gammainc(power, first)
        kept = maths.where(late, first, power)
        upper = _scaled_upper(power, kept, maths) - maths.exp(kept - last) * _scaled_upper(
            power, maths.where(late, last, power), maths
        )
        part = maths.where(late, upper, lower)
        whole = LN2 * predictors["half_life"] + maths.gammaln(1 + power) - power * LOG_LN2
        height = whole + at - maths.where(late, first, 0.0)
        # As one power, so that nothing times infinity is nothing.
        some = part > 0
        return maths.where(some, maths.exp(height + maths.log(maths.where(some, part, 1.0))), 0.0)


def persistent_share(logit: Any, maths: Maths) -> Any:
    """Return p = 1 / (1 + exp(-logit))."""
    return 1 / (1 + maths.exp(-logit))


def _scaled_upper(a: Any, x: Any, maths: Maths) -> Any:
    """Return e^x Q(a, x), Q the regularised upper incomplete gamma function.

    Where e^x nears the end of the floats: x^(a - 1) / Gamma(a) (1 + (a - 1)/x + (a - 1)(a - 2)/x^2
    + ...) (DLMF 8.11.2), whose 20 terms fall below 1e-16 for a up to 50.
    """
    far = x > FAR
    near = maths.where(far, 1.0, x)
    x = maths.where(far, x, FAR)
    term = series = 1.0 + 0.0 * x
    for n in range(1, 20):
        term = term * (a - n) / x
        series = series + term
    tail = maths.exp((a - 1) * maths.log(x) - maths.gammaln(a)) * series
    return maths.where(far, tail, maths.exp(near) * maths.gammaincc(a, near))


def _shares(logit: Any, maths: Maths) -> tuple[Any, Any]:
    """Return p and 1 - p, the latter without the rounding to 0 that a subtraction has."""
    return persistent_share(logit, maths), persistent_share(-logit, maths)


FAMILIES: dict[str, Decay] = {f.name: f for f in (NoDecay(), Exponential(), Plateau(), Weibull())}


def family(name: str) -> Decay:
    """Return the decay family of that name.

    Raises
    ------
    SpecError
        If there is none; the known ones are listed.
    """
    if str(name) not in FAMILIES:  # a model file may hold anything
        raise SpecError(f"no decay family '{name}'; {did_you_mean(name, list(FAMILIES))}")
    return FAMILIES[name]
