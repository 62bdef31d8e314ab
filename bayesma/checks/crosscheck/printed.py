"""Printed values: published results as a cross-check compares them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesma.analysis import Analysis, Published
from bayesma.checks.crosscheck.answers import Answer, Twin
from bayesma.checks.crosscheck.quantities import Quantity, place, record_of
from bayesma.checks.crosscheck.twins import twin_of
from bayesma.checks.crosscheck.verdicts import ALIKE, last_digit
from bayesma.covariance import Blocks
from bayesma.design import Design
from bayesma.errors import SpecError
from bayesma.posterior import Fit
from bayesma.queries.grids import grid, points_of
from bayesma.sharing import Sharing

__all__ = ["Printed", "printed_values", "printed_verdict"]

NAN = float("nan")
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Printed:
    """A published number in its place; NaN where it was not printed."""

    quantity: str
    where: str
    estimate: float = NAN
    low: float = NAN
    high: float = NAN
    source: str = ""
    at: Mapping[str, Any] = field(default_factory=dict)


def printed_values(
    fit: Fit, given: Analysis | pd.DataFrame | Iterable[Published] | None
) -> dict[tuple[str, str], Printed]:
    """Return published results by quantity and place: those of pooled rows are their own y."""
    found = _rows(fit)
    if isinstance(given, pd.DataFrame):
        values = _of_frame(given)
    else:
        results = fit.published if given is None else _results(given)
        values = [_placed(fit, result) for result in results]
    return found | {(value.quantity, value.where): value for value in values}


def _results(given: Analysis | Iterable[Published]) -> Iterable[Published]:
    results = given.published if isinstance(given, Analysis) else tuple(given)
    for result in results:
        if not isinstance(result, Published):
            raise SpecError(
                f"published holds {result!r}: give an Analysis, a DataFrame with the columns "
                "quantity and estimate, or results of bm.load_analysis(...).published"
            )
    return results


def _placed(fit: Fit, result: Published) -> Printed:
    where = ""
    if result.at:
        where = place(record_of(points_of(grid(fit, **dict(result.at))), 0))
    low, high = result.ci or (NAN, NAN)
    estimate = NAN if result.estimate is None else float(result.estimate)
    return Printed(result.quantity, where, estimate, low, high, result.source, dict(result.at))


def _of_frame(frame: pd.DataFrame) -> list[Printed]:
    missing = [name for name in ("quantity", "estimate") if name not in frame]
    if missing:
        raise SpecError(
            f"published has no column {' and no column '.join(missing)}; it needs quantity and "
            "estimate, and may have where, ci_low, ci_high, source"
        )
    values, faults = [], []
    for i, row in enumerate(frame.to_dict("records"), start=1):
        numbers = {name: _float(row.get(name)) for name in ("estimate", "ci_low", "ci_high")}
        faults += [
            f"published, row {i}: {name} = {row[name]!r} is not a number"
            for name, value in numbers.items()
            if value is None
        ]
        words = [row.get(name) for name in ("quantity", "where", "source")]
        texts = ["" if word is None or pd.isna(word) else str(word) for word in words]
        middle, low, high = (NAN if value is None else value for value in numbers.values())
        values.append(Printed(texts[0], texts[1], middle, low, high, texts[2]))
    if faults:
        raise SpecError("\n".join(faults))
    return values


def _float(cell: object) -> float | None:
    """Return a cell as a number, NaN where it is empty, None where it is something else."""
    if cell is None or cell is pd.NA:
        return NAN
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _rows(fit: Fit) -> dict[tuple[str, str], Printed]:
    """Return the printed results of pooled rows: effect and, where it is there, its interval."""
    plan, found = fit.design, {}
    if plan.pooling is None:
        return {}
    frame = plan.effects.frame
    for i in np.flatnonzero(plan.pooled):
        row = frame.iloc[int(i)]
        half = Z95 * float(np.sqrt(row["v"]))
        low, high = row["y"] - half, row["y"] + half
        if pd.notna(row.get("ci_low")) and pd.notna(row.get("ci_high")):
            low, high = row["ci_low"], row["ci_high"]
        name = str(row["row_id"])
        found["row", name] = Printed(
            "row", name, float(row["y"]), float(low), float(high), "the row itself"
        )
    return found


def printed_verdict(
    plan: Design,
    twin: Twin,
    quantity: Quantity,
    answer: Answer,
    value: Printed,
    difference: float,
    row: Mapping[str, Any],
) -> tuple[str, str]:
    """Return whether what was printed is what is found here, and a reason.

    `reproduced`: every printed number is the classical one to a unit of its last digit.
    """
    pairs = [
        (value.estimate, answer.estimate),
        (value.low, answer.low),
        (value.high, answer.high),
    ]
    pairs = [(printed, found) for printed, found in pairs if not np.isnan(printed)]
    if quantity.kind != "row" and pairs and all(_same(*pair) for pair in pairs):
        return "reproduced", f"the classical answer to the printed digits ({value.source})"
    if quantity.kind == "row" and _same(value.estimate, answer.estimate):
        return _off(difference, "the classical curve passes through it")
    if np.isnan(value.estimate):
        ends = [(value.low, row["bayesian_ci_low"]), (value.high, row["bayesian_ci_high"])]
        off = max(abs(a - b) for a, b in ends) / row["bayesian_sd"]
        return _off(off, f"ends of the intervals, {off:.2f} posterior SD apart at most")
    return _off(difference, _nearest(plan, twin, quantity, value, answer))


def _off(difference: float, reason: str) -> tuple[str, str]:
    if np.isnan(difference):
        return "not compared", reason
    verdict = "agrees" if abs(difference) <= ALIKE else "differs"
    return verdict, reason or f"{difference:+.2f} posterior SD from the Bayesian mean"


def _same(printed: float, found: float) -> bool:
    """Return whether a number is the printed one to a unit of its last digit."""
    # A whole unit, not half: trailing zeros are lost in a model file, and papers cut as well as
    # round. The slack is the rounding of the subtraction.
    return bool(abs(printed - found) <= last_digit(printed) * (1 + 1e-9))


def _other_models(plan: Design) -> dict[str, Design]:
    """Return the same fit's rows under what a paper may have assumed instead, in words."""
    found: dict[str, Design] = {}
    if plan.effects.covariance.blocks:
        apart = replace(plan.effects, covariance=Blocks(plan.effects.v, ()), sharing=Sharing())
        found["rho: without the sampling correlation"] = replace(plan, effects=apart)
    if plan.exact is not None:
        known = replace(plan.spec, likelihood="normal")
        found["likelihood: normal, with v taken as known,"] = replace(plan, spec=known, exact=None)
    if plan.spec.population != "normal" or plan.kappa_names:
        plain = replace(plan.spec, population="normal", heterogeneity="constant")
        found["likelihood: with normal study effects of one tau"] = replace(plan, spec=plain)
    return found


def _nearest(plan: Design, twin: Twin, quantity: Quantity, value: Printed, answer: Answer) -> str:
    """Return which other assumption brings the classical estimate nearer to the printed one."""
    if twin.refused or np.isnan(answer.estimate):
        return ""
    best, words = abs(answer.estimate - value.estimate), ""
    for told, other in _other_models(plan).items():
        found = twin_of(other, [quantity], 0.95).answer(quantity).estimate
        if abs(found - value.estimate) < best:
            best = abs(found - value.estimate)
            words = f"{told} the classical estimate is {found:.4g}, nearer to the printed one"
    return words
