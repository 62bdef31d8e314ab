"""Texts of the command line to covariates, levels and delays."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bayesma.errors import (
    BayesmaError,
    QueryError,
    did_you_mean,
)

if TYPE_CHECKING:
    from bayesma.design import Design


__all__ = ["read_covariates", "read_delays", "interval", "read_levels", "pairs", "parsed_delays"]


# More points than this are a typing error, not a question.
MOST_DELAYS = 10_000


def pairs(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """Return name=value options as a dictionary."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise QueryError(f"{option} {text}: write it as NAME=VALUE")
        if name in found:
            raise QueryError(f"{option} {text}: '{name}' is given twice")
        found[name] = value
    return found


def read_covariates(
    plan: Design,
    by: Iterable[str] | None,
    at: Iterable[str] | None,
    given: Mapping[str, Sequence[Any]] | None = None,
) -> dict[str, Sequence[Any]]:
    """Return the levels asked for by covariate; all of those by which the effect fades."""
    asked = dict(given or {})
    for option, texts in (("--by", by), ("--at", at)):
        for name, text in pairs(texts, option).items():
            if name in asked:
                raise QueryError(f"{option} {name}={text}: '{name}' is given twice")
            asked[name] = read_levels(plan, name, text, split=option == "--by")
    for name in plan.cells:
        asked.setdefault(name, sorted(set(plan.frame[name].astype(str))))
    return asked


def read_levels(plan: Design, name: str, text: str, split: bool = True) -> list[Any]:
    """Return the levels in a text, as numbers where the model takes the covariate as a number."""
    from pandas.api.types import is_numeric_dtype

    known = sorted({*plan.covariates, *plan.spec.formula("tau").variables})
    if name not in known:
        raise QueryError(f"'{name}' is not a covariate of this model; {did_you_mean(name, known)}")
    levels = [part.strip() for part in text.split(",")] if split else [text]
    coded = {e for predictor in plan.predictors.values() for e in predictor.coders}
    if name not in plan.frame or not is_numeric_dtype(plan.frame[name]) or f"C({name})" in coded:
        return levels
    return [_number(level, f"{name}={text}") for level in levels]


def _number(text: str, subject: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise QueryError(f"{subject}: '{text}' is not a number")


def interval(text: str) -> tuple[float, float]:
    """Return the two ends of a region of practical equivalence."""
    parts = [_number(part, f"--rope {text}") for part in text.split(",")]
    if len(parts) != 2:
        raise QueryError(f"--rope {text}: give it as --rope=LOWER,UPPER")
    return parts[0], parts[1]


def read_delays(plan: Design, text: str | None) -> list[float] | None:
    """Return the delays asked for, in days."""
    if text is not None:
        return parsed_delays(text)
    if plan.spec.family.parameters:
        raise QueryError(
            "the effect depends on the delay: say which, e.g. --delay 0:28:0.5 or "
            "--delay '30 min,1,7'"
        )
    return None


def parsed_delays(text: str) -> list[float]:
    """Return delays in days from a text of numbers, durations and ranges."""
    from bayesma.queries import days

    found: list[float] = []
    for item in text.split(","):
        ends = [_days(part, text) for part in item.split(":")]
        if len(ends) == 1:
            found += ends
            continue
        start, stop, step = (*ends, 1.0)[:3]
        if len(ends) > 3 or not (0 <= start <= stop and step > 0):
            raise QueryError(f"--delay {text}: a range is FROM:TO or FROM:TO:STEP, upwards from 0")
        if (stop - start) / step > MOST_DELAYS:
            raise QueryError(f"--delay {text}: more than {MOST_DELAYS} delays; widen the step")
        found += days(start, stop, step).tolist()
    return list(dict.fromkeys(found))


def _days(part: str, text: str) -> float:
    from bayesma.units import duration

    try:
        return duration(part)
    except BayesmaError as error:
        raise QueryError(f"--delay {text}: {error}") from error
