"""Whether fits can be compared by leave-one-out at all, and if not, why and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from bayesma.design import Design
from bayesma.posterior import Fit

__all__ = ["faults_of"]

Fits = Mapping[str, Fit]

FEWEST = 10
# Rounding of numbers that were written to a file and read again.
ROUNDING = 1e-9
# Rows named in a message.
SHOWN = 4


def faults_of(fits: Fits, by: str) -> list[str]:
    """Return every reason why fits cannot be compared, each with its remedy; [] if they can.

    Parameters
    ----------
    fits : mapping of str to Fit
        By name, two or more.
    by : {"study", "row"}
        What is left out.
    """
    faults = [
        *_pooled(fits),
        *_unconverged(fits),
        *_measures(fits),
        *_likelihoods(fits),
        *_rows(fits),
    ]
    if not _rows(fits):
        faults += [*_outcomes(fits), *_variances(fits)]
        faults += _groups(fits) if by == "study" else []
    return faults + _few(fits, by)


def _pooled(fits: Fits) -> list[str]:
    names = [name for name, fit in fits.items() if fit.design.pooling is not None]
    if not names:
        return []
    return [
        f"pooled rows: those of {_listed(names)} stand for many studies and are no draws from one "
        "population, so none can be left out; compare the curves themselves"
    ]


def _unconverged(fits: Fits) -> list[str]:
    names = [name for name, fit in fits.items() if not fit.converged]
    if not names:
        return []
    return [
        f"not converged: {_listed(names)}; such draws are not the posterior's, and their rank is "
        "chance. Draw more, raise target_accept or simplify; fit.problems says what is wrong"
    ]


def _measures(fits: Fits) -> list[str]:
    kinds = _by(fits, lambda plan: plan.effects.measure or "given effects")
    if len(kinds) < 2:
        return []
    return [
        f"outcome scales: {_named(kinds)}; densities of different measures have different units. "
        "Compute all effects in one measure"
    ]


def _likelihoods(fits: Fits) -> list[str]:
    kinds = _by(fits, lambda plan: plan.spec.likelihood)
    if len(kinds) < 2:
        return []
    return [
        f"likelihoods: {_named(kinds)}; the plug-in N(y; theta, v(y)) is not a density in y: it "
        "integrates to 1.06 at n = 5, so that no elpd of it is on the scale of a density's. "
        "Compare models within one likelihood; judge the likelihoods by simulation and by "
        "posterior predictive checks"
    ]


def _rows(fits: Fits) -> list[str]:
    """Refuse fits of different rows, with what each left out."""
    ids = {name: _ids(fit.design) for name, fit in fits.items()}
    union = dict.fromkeys(row for rows in ids.values() for row in rows)
    held = {name: set(rows) for name, rows in ids.items()}
    lacking = {name: [row for row in union if row not in rows] for name, rows in held.items()}
    if not any(lacking.values()):
        return []
    said, delays = [], False
    for name, rows in lacking.items():
        if rows:
            why = [n for n in fits[name].design.notes if " rows left out: no " in n]
            delays |= any(n.endswith("no delay") for n in why)
            told = f"; its notes: {', '.join(why)}" if why else ""
            said.append(f"{_quoted(name)} lacks {len(rows)} ({_some(rows)}{told})")
    remedy = "fit every model again on the rows they all have"
    if delays:
        remedy += ", here those with a known delay: frame[frame['delay'].notna()]"
    return [f"rows: of the {len(union)} rows, {'; '.join(said)}. {remedy[0].upper()}{remedy[1:]}"]


def _outcomes(fits: Fits) -> list[str]:
    """Refuse other values of y: turned, or computed otherwise."""
    if len(_by(fits, lambda plan: plan.effects.measure)) > 1:
        return []
    if len(_by(fits, lambda plan: plan.spec.likelihood)) > 1:
        return []
    first, *others = fits
    y, faults = _y(fits[first].design), []
    for name in others:
        theirs = _y(fits[name].design)[y.index]
        differs = ~np.isclose(theirs, y, rtol=ROUNDING, atol=0)
        turned = differs & np.isclose(theirs, -y, rtol=ROUNDING, atol=0)
        if turned.any():
            faults.append(
                f"direction: {int(turned.sum())} rows of {_quoted(name)} have the opposite sign "
                f"of those of {_quoted(first)} ({_some(y.index[turned])}); turn the same outcomes "
                "in both (column direction)"
            )
        if (differs & ~turned).any():
            at = y.index[differs & ~turned]
            faults.append(
                f"outcomes: y of {len(at)} rows of {_quoted(name)} is not that of "
                f"{_quoted(first)} (row {at[0]}: {theirs[at[0]]:.4g} and {y[at[0]]:.4g}); fit both "
                "on the same effects (one measure, correction and scale)"
            )
    return faults


def _variances(fits: Fits) -> list[str]:
    """Refuse other sampling variances where they are part of the density."""
    kinds = _by(fits, lambda plan: plan.spec.likelihood)
    if list(kinds) != ["normal"] or len(_by(fits, lambda plan: plan.effects.measure)) > 1:
        return []
    first, *others = fits
    place = {row: i for i, row in enumerate(_ids(fits[first].design))}
    v, faults = _covariance(fits[first].design, place), []
    for name in others:
        theirs = _covariance(fits[name].design, place)
        formulas = [fits[n].design.effects.variance for n in (name, first)]
        if not np.allclose(theirs.diagonal(), v.diagonal(), rtol=ROUNDING, atol=0):
            told = f" ({formulas[0]} and {formulas[1]})" if formulas[0] != formulas[1] else ""
            faults.append(
                f"sampling variances: those of {_quoted(name)} are not those of "
                f"{_quoted(first)}{told}; v is part of the plug-in density N(y; theta, v), so "
                "variance formulas would be ranked instead of models. Use one formula"
            )
        elif abs(theirs - v).max() > ROUNDING * v.diagonal().max():
            faults.append(
                f"sampling covariances: those of {_quoted(name)} are not those of "
                f"{_quoted(first)}; V is part of the plug-in density N(y; theta, V). Use one "
                "correlation of effects that share animals, and vary it in a sensitivity analysis"
            )
    return faults


def _groups(fits: Fits) -> list[str]:
    """Refuse groups that part the rows differently: leaving one out is then another task."""
    first, *others = fits
    mine = _partition(fits[first].design)
    differ = [name for name in others if _partition(fits[name].design) != mine]
    if not differ:
        return []
    units = _by({n: fits[n] for n in (first, *differ)}, lambda plan: plan.unit)
    return [
        f"groups: the outermost groups differ ({_named(units)}), so that what is left out "
        "differs; use one outermost group, or by='row'"
    ]


def _few(fits: Fits, by: str) -> list[str]:
    """Refuse sums of so few terms that their standard error says nothing."""
    counts: dict[str, int] = {}
    for plan in (fit.design for fit in fits.values()):
        if plan.pooling is not None:
            continue
        unit = "rows" if by == "row" else f"{plan.unit} groups"
        n = len(plan.effects) if by == "row" else len(plan.groups.labels[0])
        counts[unit] = min(n, counts.get(unit, n))
    return [
        f"{n} {unit}: leave-one-out needs at least {FEWEST}; compare the curves and the priors' "
        "weight instead"
        for unit, n in counts.items()
        if n < FEWEST
    ]


# -- what is compared ------------------------------------------------------------------------------


def _ids(plan: Design) -> list[str]:
    return [str(row) for row in plan.effects.frame["row_id"]]


def _y(plan: Design) -> pd.Series[float]:
    return pd.Series(plan.y, index=_ids(plan))


def _covariance(plan: Design, place: Mapping[str, int]) -> csr_array:
    """Return V with the rows in a common order, shape (rows, rows)."""
    at = np.array([place[row] for row in _ids(plan)])
    single = np.flatnonzero(plan.covariance.labels() < 0)
    rows, columns, values = [at[single]], [at[single]], [plan.covariance.v[single]]
    for index, matrix in plan.covariance.blocks:
        grid = np.meshgrid(at[index], at[index], indexing="ij")
        rows.append(grid[0].ravel())
        columns.append(grid[1].ravel())
        values.append(matrix.ravel())
    where = np.concatenate(rows), np.concatenate(columns)
    return csr_array((np.concatenate(values), where), shape=(len(at), len(at)))


def _partition(plan: Design) -> set[frozenset[str]]:
    members: dict[int, set[str]] = {}
    for row, group in zip(_ids(plan), plan.groups.outermost, strict=True):
        members.setdefault(int(group), set()).add(row)
    return {frozenset(rows) for rows in members.values()}


def _by(fits: Fits, key: Callable[[Design], str]) -> dict[str, list[str]]:
    """Return the names of the fits by what they have."""
    found: dict[str, list[str]] = {}
    for name, fit in fits.items():
        found.setdefault(key(fit.design), []).append(name)
    return found


# -- words -----------------------------------------------------------------------------------------


def _quoted(name: str) -> str:
    return f"'{name}'"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(_quoted(name) for name in names)


def _named(kinds: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{_listed(names)} {kind}" for kind, names in kinds.items())


def _some(rows: Sequence[str] | pd.Index[str]) -> str:
    more = ", ..." if len(rows) > SHOWN else ""
    word = "row" if len(rows) == 1 else "rows"
    return f"{word} {', '.join(str(row) for row in list(rows)[:SHOWN])}{more}"
