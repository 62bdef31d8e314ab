"""Assurance: the probability that a trial in people succeeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesma.errors import QueryError
from bayesma.translation.noun import Translation, check_translation
from bayesma.translation.pathway.asked import PEOPLE, STANDARDISED
from bayesma.translation.pathway.assumptions import Assumptions
from bayesma.translation.worth.rules import BayesianRule, ClassicalRule, Rule, is_size

__all__ = ["SIZES", "Assurance", "assurance"]

SIZES = (10, 20, 50, 100, 200)
# Where even a trial without end succeeds less often, a note says so.
WANTED = 0.8
# Draws at once: what a pass over them takes stays in a core's cache.
AT_ONCE = 4096


@dataclass(frozen=True)
class Assurance:
    """How likely trials are to succeed, by their size, delay and covariates.

    Attributes
    ----------
    table : pandas.DataFrame
        Covariates and `delay` (d) of each point; `n` per arm; `assurance`; `mcse`, its Monte Carlo
        standard error; `power_at_median`, what a power calculation with the median of the mean
        effect would claim; `ceiling`, what a trial without end would reach: the probability that
        the trial's true effect exceeds the rule's margin.
    rule : ClassicalRule or BayesianRule
    to, measure : str
    notes : tuple of str
        What the numbers are like, then the notes of the translation.
    assumptions : Assumptions or None
        What the translation assumes.
    """

    table: pd.DataFrame
    rule: Rule
    to: str
    measure: str
    notes: tuple[str, ...]
    assumptions: Assumptions | None = None

    def __str__(self) -> str:
        """Return the table, the assumptions and the notes."""
        head = f"probability that a trial of two arms of n succeeds: {self.rule}"
        table = self.table.drop(columns="beyond_data", errors="ignore").round(3)
        assumed = [] if self.assumptions is None else ["Assumptions", str(self.assumptions)]
        return "\n".join([head, table.to_string(index=False), *assumed, "Notes", *self.notes])


def assurance(
    translation: Translation, n: Sequence[int] | int = SIZES, rule: Rule | None = None
) -> Assurance:
    """Return the probability that a trial succeeds, over sizes and the points of a translation.

    assurance(n) = E_theta[ P(success | theta, n) ],  theta the true effect in one new trial;
    ceiling = P(theta > margin), its limit for n without end.

    The points are the delays at which the trial measures and the regimens it gives. The power at
    each theta is exact (`ClassicalRule`, `BayesianRule`), so that only theta is drawn.

    Parameters
    ----------
    translation : Translation
        On the scale of SMDs.
    n : int or sequence of int
        Patients per arm.
    rule : ClassicalRule or BayesianRule, optional
        ClassicalRule() where absent.

    Returns
    -------
    Assurance

    Raises
    ------
    QueryError
        If a size is no whole number above 1, the rule is none, or the measure is no SMD.

    References
    ----------
    O'Hagan, Stevens & Campbell 2005, Pharm Stat 4:187.
    """
    check_translation(translation, "assurance")
    measure = str(translation.trial.attrs["measure"])
    rule = ClassicalRule() if rule is None else rule
    sizes = list(n) if isinstance(n, Iterable) and not isinstance(n, str) else [n]
    _check(measure, sizes, rule)
    theta = translation.trial.values.reshape(-1, translation.trial.sizes["point"])
    middle = np.median(translation.effect.values.reshape(theta.shape), axis=0)
    points = pd.DataFrame(
        {
            str(name): coord.values
            for name, coord in translation.trial.coords.items()
            if coord.dims == ("point",) and name != "point"
        },
        index=range(theta.shape[1]),
    )
    ceiling = (theta > rule.margin).mean(axis=0)
    frames = []
    for size in sizes:
        power = _power(rule, theta, int(size))
        found = points.assign(
            n=int(size),
            assurance=power.mean(axis=0),
            mcse=power.std(axis=0, ddof=1) / np.sqrt(len(power)),
            power_at_median=rule.power(middle, int(size)),
            ceiling=ceiling,
        )
        frames.append(found)
    table = pd.concat(frames).sort_index(kind="stable").reset_index(drop=True)
    notes = (*_notes(translation, table), *translation.notes)
    return Assurance(table, rule, translation.to, measure, notes, translation.assumptions)


def _power(rule: Rule, theta: np.ndarray, size: int) -> np.ndarray:
    flat = theta.ravel()
    parts = [rule.power(flat[i : i + AT_ONCE], size) for i in range(0, len(flat), AT_ONCE)]
    return np.concatenate(parts).reshape(theta.shape)


def _check(measure: str, sizes: list[Any], rule: Any) -> None:
    faults = []
    if measure not in STANDARDISED:
        faults.append(
            f"measure {measure}: a trial is planned in SDs of its patients, so the fit has to be "
            "of SMDs"
        )
    wrong = [size for size in sizes if not is_size(size)]
    if wrong or not sizes:
        faults.append(
            f"n = {(wrong or sizes)!r}: whole numbers of patients per arm, each at least 2"
        )
    if not isinstance(rule, ClassicalRule | BayesianRule):
        faults.append(f"rule = {rule!r}: bm.ClassicalRule(...) or bm.BayesianRule(...)")
    if faults:
        raise QueryError("\n".join(faults))


def _notes(translation: Translation, table: pd.DataFrame) -> tuple[str, ...]:
    found = []
    ceilings = table.loc[table["n"] == table["n"].iloc[0], "ceiling"]
    low = int((ceilings < WANTED).sum())
    if low:
        found.append(
            f"at {low} of {len(ceilings)} points no trial, however large, succeeds with "
            f"probability {WANTED:g}; the highest ceiling is {ceilings.max():.2f}"
        )
    claimed = float((table["power_at_median"] - table["assurance"]).max())
    if claimed > 0.1:
        found.append(
            "a power calculation with the median effect claims up to "
            f"{claimed:.2f} more than there is"
        )
    if translation.updated:
        found.append("human evidence is in these draws; they repeat, so that mcse is too small")
    if translation.trial.attrs["measure"] == "SMDH":
        found.append("arms of the trial are taken to have one SD")
    if translation.to != PEOPLE:
        found.append(f"the trial is one in {translation.to}")
    return tuple(found)
