"""Control groups that rows seem to share without saying so, or whose animals are split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.animals import cohorts_of
from bayesma.schema import ARMS
from bayesma.sharing import Sharing, shared_labels

__all__ = ["SPLIT", "Alike", "alike_controls", "split_reason", "undeclared_note"]

Ints = NDArray[np.int64]

# Row names that a sentence shows.
MOST_NAMED = 6
# Measured in tests/test_controls.py: groups of 6 to 9 animals split over 2 to 4 comparisons.
SPLIT = (
    "a control group split over its comparisons counts as fewer animals than gave its SD, which "
    "takes 7 to 20% off tau and 1 to 2% off the mean; give its true size in each row and name it "
    "in a column for shared_control="
)


@dataclass(frozen=True)
class Alike:
    """Rows of one study with one control mean and SD, not said to be of different groups.

    Attributes
    ----------
    split : tuple of tuple of int
        Sets of rows whose control sizes differ: positions.
    undeclared : tuple of tuple of int
        Sets of rows of one control size that no column says to share it.
    """

    split: tuple[tuple[int, ...], ...]
    undeclared: tuple[tuple[int, ...], ...]


def alike_controls(frame: pd.DataFrame, sharing: Sharing, exact: bool = False) -> Alike:
    """Return the rows whose control groups are one by their numbers.

    Two measurements rarely agree in mean and SD to the last digit. Rows with different labels of
    `sharing.shared_control` are believed to be of different groups; so are rows that agree in the
    treated arm too, which share more than a control.

    Parameters
    ----------
    frame : pandas.DataFrame
        Rows without all six arm columns are passed over.
    sharing : Sharing
    exact : bool
        Whether a correlation within clusters is not enough: it then says that animals were
        measured again, which these were not.
    """
    if not set(ARMS) <= set(frame):
        return Alike((), ())
    where = np.flatnonzero(frame[list(ARMS)].notna().all(axis=1))
    known = frame.iloc[where].reset_index(drop=True)
    every = np.ones(len(known), dtype=bool)
    labels = shared_labels(known, sharing.shared_control, sharing.within, every)
    cohorts = cohorts_of(known, sharing)
    told = cohorts.measurement if sharing.labelled or exact else cohorts.control
    n = known["n_control"].to_numpy()
    split, undeclared = [], []
    for rows in _agreeing(known):
        for part in _of_one_label(rows, labels):
            if len(np.unique(n[part])) > 1:
                split.append(tuple(int(i) for i in where[part]))
            for size in np.unique(n[part]):
                same = part[n[part] == size]
                if len(np.unique(told[same])) > 1 and _treated(known, same) > 1:
                    undeclared.append(tuple(int(i) for i in where[same]))
    return Alike(tuple(split), tuple(undeclared))


def _agreeing(frame: pd.DataFrame) -> Iterator[Ints]:
    """Yield the rows of each study that agree in control mean and SD, two or more."""
    keys = ["study", "mean_control", "sd_control"]
    for rows in frame.groupby(keys, sort=False).indices.values():
        if len(rows) > 1:
            yield np.sort(rows)


def _of_one_label(rows: Ints, labels: Sequence[object]) -> Iterator[Ints]:
    """Yield rows that may be of one group: those of one label, with those that have none."""
    bare = [i for i in rows if labels[i] is None]
    named = {labels[i]: [j for j in rows if labels[j] == labels[i]] for i in rows}
    named.pop(None, None)
    if not named:
        yield np.array(bare, dtype=np.int64)
    for k, own in enumerate(named.values()):
        # A row without a label is counted once, with the first.
        yield np.array(sorted(own + (bare if k == 0 else [])), dtype=np.int64)


def _treated(frame: pd.DataFrame, rows: Ints) -> int:
    """Return how many different treated arms some rows have."""
    return len(frame.loc[rows, ["mean_treated", "sd_treated", "n_treated"]].drop_duplicates())


def split_reason(frame: pd.DataFrame, sharing: Sharing) -> str:
    """Return why split control groups have no exact likelihood, or nothing."""
    found = alike_controls(frame, sharing).split
    if not found:
        return ""
    return (
        f"rows of one study have one control mean and SD, and different n_control "
        f"({_named(frame, found)}): {SPLIT}, or name groups that do differ apart there"
    )


def undeclared_note(frame: pd.DataFrame, sharing: Sharing, exact: bool = False) -> str:
    """Return a sentence on control groups that rows share by their numbers alone, or nothing."""
    found = alike_controls(frame, sharing, exact).undeclared
    if not found:
        return ""
    taken = "independent, which counts that group's animals more than once"
    if sharing.rho and not sharing.labelled and exact:
        taken = f"independent, or as measured again where they share their {sharing.within}"
    rows = sum(map(len, found))
    return (
        f"rows that seem to share a control group with others of their study, by its mean, SD and "
        f"size: {rows} of {len(frame)}, in {len(found)} sets ({_named(frame, found)}). They are "
        f"taken as {taken}: name it in a column for shared_control="
    )


def _named(frame: pd.DataFrame, sets: Sequence[tuple[int, ...]]) -> str:
    names = [str(frame["row_id"].iloc[i]) for rows in sets for i in rows]
    shown = ", ".join(names[:MOST_NAMED])
    return f"rows {shown}, ..." if len(names) > MOST_NAMED else f"rows {shown}"
