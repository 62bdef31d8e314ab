"""Effects that share animals: the sampling covariance that follows from their arms.

Two effects covary through each arm whose animals they share, by what that arm adds to either
variance. With r the correlation of the two measurements of one animal (1 where it is the same
measurement) and n of them shared,

    Cov(y_i, y_j) = sum over shared arms of  r a_i a_j n / (n_i n_j)  +  r^2 b_i b_j n / (n_i n_j),

where a is the standard deviation of the arm in units of the effect and b what the effect owes to
the variance of that arm. MD: a = s, b = 0. ROM: a = s / m. NMD: a = 100 s / (m_c - m_sham),
the denominator taken as known, as in its variance.
SMD: a = 1, b = y n_arm / (sqrt(2) N). SMDH: a = s / s_h, b = y s^2 / (sqrt(8) s_h^2), with n - 1
in place of n. A row with itself (r = 1) gives its large-sample variance, "LS".

For the same animals at several times this is Gleser & Olkin (2009, ch. 19 of Cooper, Hedges &
Valentine, Handbook of Research Synthesis, 2nd ed.): rho (1/n_t + 1/n_c) + rho^2 g_i g_j / (2 N).
Theirs for a shared control, 1/n_c + g_i g_j / (2 N) with N the animals of all arms, belongs to
effects standardised by the SD of all arms together. Ours are standardised by the two arms of
their own row, which gives 1/n_c + g_i g_j n_c / (2 N_i N_j).
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bayesma.covariance import Blocks, check_definite
from bayesma.errors import SpecError, did_you_mean
from bayesma.measures import Arms, Measure, arms_of
from bayesma.outcomes import signs_of
from bayesma.schema import ARMS

__all__ = [
    "Links",
    "Sharing",
    "cluster_labels",
    "codes_of",
    "joined",
    "links_between",
    "named",
    "shared_blocks",
    "shared_covariance",
    "shared_labels",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sharing:
    """Which rows share animals, as the reviewer says it.

    Attributes
    ----------
    rho : float
        Correlation of two measurements of one animal; 0 where none is measured twice.
    within : str
        Without columns of labels, the column whose rows are all of the same animals; with them,
        the column within which labels are read.
    shared_control, same_animals : str or None
        Columns of labels; see `links_between`.
    """

    rho: float = 0.0
    within: str = "experiment"
    shared_control: str | None = None
    same_animals: str | None = None

    @property
    def labelled(self) -> bool:
        """Whether columns say who shares what."""
        return bool(self.shared_control or self.same_animals)


@dataclass(frozen=True)
class Links:
    """Pairs of rows that share animals.

    Attributes
    ----------
    first, second : ndarray of int, shape (pairs,)
        The rows.
    treated, control : ndarray, shape (pairs,)
        Correlation of the two measurements of an animal of that arm; 0 where none is shared.
    """

    first: Ints
    second: Ints
    treated: Floats
    control: Floats


def links_between(
    controls: Sequence[Hashable | None],
    animals: Sequence[Hashable | None],
    arms: Arms,
    rho: float,
) -> Links:
    """Return the pairs of rows that share animals.

    Parameters
    ----------
    controls : sequence, shape (rows,)
        Label of the control group; rows of one label share its animals. None shares with none.
    animals : sequence, shape (rows,)
        Label of the animals of both arms, measured more than once.
    arms : Arms
        A control group of the same mean, SD and n is the same measurement: correlation 1.
    rho : float
        Correlation of two measurements of one animal.
    """
    same = np.stack([arms.mean_control, arms.sd_control, arms.n_control], axis=1)
    pairs = sorted(_pairs(controls) | _pairs(animals))
    treated, control = [], []
    for i, j in pairs:
        repeated = animals[i] is not None and animals[i] == animals[j]
        shared = controls[i] is not None and controls[i] == controls[j]
        treated.append(rho if repeated else 0.0)
        control.append(1.0 if shared and (same[i] == same[j]).all() else rho)
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Links(first, second, np.array(treated), np.array(control))


def _pairs(labels: Sequence[Hashable | None]) -> set[tuple[int, int]]:
    members: dict[Hashable, list[int]] = {}
    for i, label in enumerate(labels):
        if label is not None:
            members.setdefault(label, []).append(i)
    return {pair for rows in members.values() for pair in itertools.combinations(rows, 2)}


def shared_blocks(
    measure: str, arms: Arms, y: Floats, v: Floats, signs: Floats, links: Links
) -> Blocks:
    """Return the sampling covariance of effects that share animals.

    Parameters
    ----------
    measure : {"SMD", "SMDH", "MD", "NMD", "ROM"}
    arms : Arms
    y, v : ndarray, shape (rows,)
        Effects and variances; the diagonal is v.
    signs : ndarray, shape (rows,)
        -1 where an effect was turned.
    links : Links

    Returns
    -------
    Blocks
        Not yet known to be positive definite.
    """
    i, j = links.first, links.second
    found = np.zeros(len(i))
    for side, r in (("treated", links.treated), ("control", links.control)):
        a, b, n = _shares(measure, arms, y, side)
        # n shared animals over n_i n_j, where the smaller group is part of the larger one.
        per_animal = 1 / np.maximum(n[i], n[j])
        found += per_animal * (r * (signs * a)[i] * (signs * a)[j] + r**2 * b[i] * b[j])
    return _assembled(v, i, j, found)


def _shares(measure: str, arms: Arms, y: Floats, side: str) -> tuple[Floats, Floats, Floats]:
    """Return a, b and n of one arm; see the module."""
    treated = side == "treated"
    sd = arms.sd_treated if treated else arms.sd_control
    n = arms.n_treated if treated else arms.n_control
    nothing = np.zeros_like(sd)
    if measure == "SMD":
        return np.ones_like(sd), y * n / (np.sqrt(2) * arms.total), n
    if measure == "SMDH":
        return sd / np.sqrt(arms.halved), y * sd**2 / (np.sqrt(8) * arms.halved), n - 1
    if measure == "ROM":
        return arms.cv_treated if treated else arms.cv_control, nothing, n
    if measure == "NMD":
        return 100 * sd / (arms.mean_control - arms.mean_sham), nothing, n
    return sd, nothing, n


def _assembled(v: Floats, i: Ints, j: Ints, entries: Floats) -> Blocks:
    """Return blocks from a diagonal and the pairs above it."""
    k = len(v)
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(k, k))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    sets = np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if k else []
    place, blocks = np.empty(k, dtype=np.int64), {}
    for rows in sets:
        if len(rows) > 1:
            place[rows] = np.arange(len(rows))
            blocks[int(label[rows[0]])] = (rows, np.diag(v[rows]))
    for a, b, entry in zip(i, j, entries, strict=True):
        matrix = blocks[int(label[a])][1]
        matrix[place[a], place[b]] = matrix[place[b], place[a]] = entry
    return Blocks(v, tuple(blocks.values()))


# -- tables ----------------------------------------------------------------------------------------


def shared_covariance(
    frame: pd.DataFrame,
    measure: Measure,
    rho: float,
    within: str,
    shared_control: str | None,
    same_animals: str | None,
) -> tuple[Blocks, list[str]]:
    """Return the covariance of effects that share animals, and notes on what it holds.

    Parameters
    ----------
    frame : pandas.DataFrame
        With `y` and `v` in every row; rows without all six arm columns share with none.
    measure : Measure
    rho : float
        Correlation of two measurements of one animal.
    within : str
        Labels are read within study and, where the frame has it, this column.
    shared_control, same_animals : str or None
        Columns of labels; see `links_between`.

    Raises
    ------
    SpecError
        If a column is unknown, rho is no correlation, no row has arms, or a set of
        rows has no positive definite covariance.
    """
    if not isinstance(rho, Real) or not 0 <= rho < 1:
        raise SpecError(f"rho = {rho}: a sampling correlation lies in [0, 1)")
    if not set(ARMS) <= set(frame):
        raise SpecError("what effects share is computed from arms, and this table has none")
    known = frame[list(ARMS)].notna().all(axis=1).to_numpy()
    v = frame["v"].to_numpy(dtype=float)
    sham = frame["mean_sham"].fillna(0.0) if "mean_sham" in frame else 0.0
    arms = arms_of(**{name: frame[name] for name in ARMS}, mean_sham=sham)
    controls = shared_labels(frame, shared_control, within, known)
    animals = shared_labels(frame, same_animals, within, known)
    # Animals measured again have their controls measured again, whatever these are called.
    links = links_between(joined(controls, animals).tolist(), animals, arms, rho)
    y, signs = frame["y"].to_numpy(dtype=float), signs_of(frame, measure)
    blocks = shared_blocks(measure.name, arms, y, v, signs, links)
    scopes = "study and " + within if within in frame else "study"
    notes = _notes_on_links(links, blocks, rho, scopes)
    idle = _unusable(frame, (shared_control, same_animals), known)
    if idle:
        notes.append(f"rows without arms, whose shared animals are taken as their own: {idle}")
    check_definite(blocks, [str(name) for name in frame["row_id"]])
    return blocks, notes


def shared_labels(
    frame: pd.DataFrame, column: str | None, within: str, known: NDArray[np.bool_]
) -> list[tuple[str, ...] | None]:
    """Return a label per row that no other study or cluster uses; None shares with no row.

    Parameters
    ----------
    frame : pandas.DataFrame
    column : str or None
        Labels; None where nothing is shared.
    within : str
        Labels are read within study and, where the frame has it, this column.
    known : ndarray of bool, shape (rows,)
        Rows whose arms are there.

    Raises
    ------
    SpecError
        If there is no such column.
    """
    if column is None:
        return [None] * len(frame)
    if column not in frame:
        raise SpecError(f"no column '{column}' to share by; {did_you_mean(column, list(frame))}")
    scopes = ["study", within] if within in frame else ["study"]
    cells = frame[scopes].astype(object).where(frame[scopes].notna(), "").itertuples(index=False)
    return [
        (*map(str, scope), str(label)) if usable and not pd.isna(label) else None
        for scope, label, usable in zip(cells, frame[column], known, strict=True)
    ]


def cluster_labels(frame: pd.DataFrame, within: str) -> list[tuple[str, ...]]:
    """Return a label per row that no other study uses, and no other row where there is none."""
    cells = frame[["study", within]].itertuples(index=False)
    return [
        (str(i),) if pd.isna(label) else (str(study), str(label))
        for i, (study, label) in enumerate(cells)
    ]


def named(labels: Sequence[Hashable | None]) -> list[Hashable]:
    """Return the labels, with one of its own for each row that has none."""
    return [("row", i) if label is None else label for i, label in enumerate(labels)]


def codes_of(labels: Sequence[Hashable]) -> Ints:
    """Return labels as numbers, in the order in which they appear."""
    index = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return np.array([index[label] for label in labels], dtype=np.int64)


def joined(first: Sequence[Hashable | None], second: Sequence[Hashable | None]) -> Ints:
    """Return a number per row that rows with either label in common share."""
    one, other = codes_of(named(first)), codes_of(named(second))
    n = len(one)
    # Rows on one side, labels on the other: what hangs together is one cohort.
    ends = np.concatenate([n + one, n + one.max() + 1 + other])
    edges = (np.ones(2 * n), (np.tile(np.arange(n), 2), ends))
    size = n + one.max() + other.max() + 2
    _, found = connected_components(coo_array(edges, shape=(size, size)), directed=False)
    return codes_of(found[:n].tolist())


def _unusable(frame: pd.DataFrame, columns: Sequence[str | None], known: NDArray[np.bool_]) -> int:
    labelled = np.any([frame[name].notna() for name in columns if name], axis=0)
    return int((labelled & ~known).sum())


def _notes_on_links(links: Links, blocks: Blocks, rho: float, scopes: str) -> list[str]:
    """Return what was found shared, with counts."""
    if not len(links.first):
        return [f"no two rows share animals: labels are read within their {scopes}"]
    rows = sum(len(index) for index, _ in blocks.blocks)
    repeated, other = links.treated > 0, (links.treated == 0) & (links.control < 1)
    notes = [
        f"effects that share animals with others: {rows} of {len(blocks.v)}, in "
        f"{len(blocks.blocks)} sets; covariances computed from their arms"
    ]
    if repeated.any():
        notes.append(f"pairs of the same animals, rho = {rho:g}: {int(repeated.sum())}")
    if other.any():
        idle = "" if rho else "; taken as independent, which rho= changes"
        notes.append(
            f"pairs of a shared control group with other numbers, rho = {rho:g}: "
            f"{int(other.sum())}{idle}"
        )
    return notes
