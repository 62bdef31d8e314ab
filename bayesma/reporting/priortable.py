"""The priors of a fit: what each binds, and its central 95% in units that people read."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayesma.coding import Predictor
from bayesma.design import Design
from bayesma.priors import Prior
from bayesma.priors.literature import LITERATURE
from bayesma.reporting.phrases import duration_text, listed, number
from bayesma.spec import DECAY_PRIORS, DEFAULT_PRIORS

__all__ = ["prior_table"]

WORDS = {
    "normal": "normal: mean {0}, SD {1}",
    "student_t": "Student t: {0} degrees of freedom, centre {1}, scale {2}",
    "half_normal": "half-normal: scale {0}",
    "half_cauchy": "half-Cauchy: scale {0}",
    "log_normal": "log-normal: log has mean {0}, SD {1}",
    "log_student_t": "log-Student-t: log has {0} degrees of freedom, centre {1}, scale {2}",
    "gamma": "gamma: shape {0}, rate {1}",
    "beta": "beta: {0} and {1}",
    "uniform": "uniform: {0} to {1}",
}
NAMES = {
    "peak": "level",
    "half_life": "log2 half-life",
    "persistent": "logit of the persistent share",
    "shape": "log of the Weibull shape",
    "tau": "tau",
}
# Parameters whose differences are factors of something, and what that is.
FACTORS = {
    "half_life": (2.0, "half-life"),
    "persistent": (math.e, "odds of the persistent share"),
    "shape": (math.e, "shape"),
    "tau": (math.e, "tau"),
}


def prior_table(plan: Design) -> pd.DataFrame:
    """Return one row per prior that binds something in this fit."""
    rows = []
    for name, prior in plan.spec.priors.items():
        binds = _binds(plan, name)
        if binds:
            rows.append(
                {
                    "Parameter": _label(name),
                    "Prior": _words(prior),
                    "Binds": binds,
                    "Its central 95%": _range(plan, name, prior),
                    "From": _source(plan, name, prior),
                }
            )
    return pd.DataFrame(rows)


def _label(name: str) -> str:
    base = name.removesuffix("_contrast")
    label = NAMES.get(base, name.replace("_", " "))
    return f"difference in {label}" if name.endswith("_contrast") else label


def _words(prior: Prior) -> str:
    ((kind, numbers),) = prior.to_dict().items()
    return WORDS[kind].format(*(number(value) for value in numbers))


def _binds(plan: Design, name: str) -> str:
    """Return what a prior is a prior of; nothing where this fit has no such thing."""
    base = name.removesuffix("_contrast")
    if name.endswith("_contrast"):
        return _contrast_words(plan, base)
    if base in ("peak", "half_life", "persistent", "shape"):
        return _average_words(plan, base)
    return {
        "tau": _tau_words(plan),
        "kappa": "how that standard deviation grows with the mean effect",
        "nu": "degrees of freedom of the Student-t study effects",
        "delay": "each delay that is not reported",
        "small_study": "change of the effect over one standard deviation of 1/√n",
        "rho": f"correlation of sampling errors within {plan.effects.sharing.within}",
    }[name]


def _tau_words(plan: Design) -> str:
    names = ", and that by ".join(plan.groups.names)
    average = ", the average over rows" if plan.varying_tau else ""
    zero = " where the mean is 0" if plan.kappa_names else ""
    student = plan.spec.population == "student"
    what = "scale of the Student-t" if student else "standard deviation"
    return f"{what} of true effects by {names}{average}{zero}"


def _average_words(plan: Design, base: str) -> str:
    predictor = plan.predictors[base]
    if base == "peak" and plan.spec.family.parameters:
        cells = listed(list(plan.cells))
        where = f" at each {cells}'s lower-quartile delay" if cells else " at the reference delay"
    else:
        where = ""
    what = {
        "peak": f"effect{where}",
        "half_life": "half-life",
        "persistent": "share of the peak that never fades",
        "shape": "shape of the decay",
    }[base]
    if predictor.average_basis.shape[1] > 1:
        return f"{what}, each level by itself"
    return f"{what}{', average over levels' if predictor.contrast_basis.shape[1] else ''}"


def _contrast_words(plan: Design, base: str) -> str:
    predictor = plan.predictors.get(base)
    if predictor is None or not predictor.contrast_basis.shape[1]:
        return ""
    if base == "tau" and not plan.varying_tau:
        return ""
    factors, numbers = _contrasted(predictor)
    found = [f"difference between any two levels of {listed(factors)}"] if factors else []
    found += [f"change over one standard deviation of {listed(numbers)}"] if numbers else []
    return "; ".join(found)


def _contrasted(predictor: Predictor) -> tuple[list[str], list[str]]:
    """Return the factors and the numbers whose terms have the prior of contrasts."""
    factors: dict[str, None] = {}
    numbers: dict[str, None] = {}
    start = 0
    for product in predictor.products:
        stop = start + math.prod(max(len(coder.levels), 1) for coder in product)
        if predictor.contrast_basis[start:stop].any():
            for coder in product:
                (factors if coder.levels else numbers)[coder.name] = None
        start = stop
    return list(factors), list(numbers)


def _range(plan: Design, name: str, prior: Prior) -> str:
    """Return the central 95% of a prior on the scale that people read."""
    low, high = (float(end) for end in np.asarray(prior.distribution().ppf([0.025, 0.975])))
    base, measure = name.removesuffix("_contrast"), plan.effects.measure
    if name.endswith("_contrast") and base in FACTORS:
        growth, what = FACTORS[base]
        return f"{what} × {number(growth**low)} to × {number(growth**high)}"
    if name == "half_life":
        return f"{duration_text(2.0**low)} to {duration_text(2.0**high)}"
    if name == "delay":
        return f"{duration_text(low)} to {duration_text(high)}"
    if name == "persistent":
        ends = [f"{100 / (1 + math.exp(-end)):.3g}%" for end in (low, high)]
        return " to ".join(ends)
    if name == "shape":
        return f"{number(math.exp(low))} to {number(math.exp(high))}"
    unit = f" {measure}" if base in ("peak", "tau", "small_study") else ""
    return f"{number(low)} to {number(high)}{unit}"


def _source(plan: Design, name: str, prior: Prior) -> str:
    usual = DECAY_PRIORS | DEFAULT_PRIORS.get(plan.effects.measure, {})
    if usual.get(name) == prior:
        return "default"
    known: Iterator[str] = (e.name for e in LITERATURE.values() if e.prior == prior)
    found = next(known, "") if name == "tau" else ""
    return found or "set for this analysis"
