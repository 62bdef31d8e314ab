"""Tables that commands pool: a file, or a data set by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bayesma.cli.parsing import pairs
from bayesma.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from bayesma.effects import Effects
    from bayesma.table import StudyTable
    from bayesma.units import Ranges

__all__ = ["Reading", "effects_of"]


@dataclass(frozen=True)
class Reading:
    """How a table is read, as the options of the command line say it."""

    columns: list[str] | None = None
    units: list[str] | None = None
    members: Path | None = None
    sheet: str | None = None
    ranges: str = "refuse"
    folder: Path | None = None


def effects_of(
    table: str,
    how: Reading,
    measure: str | None,
    variance: str | None,
    sharing: Mapping[str, Any] | None = None,
) -> Effects:
    """Return the effects of a file, or of a data set: NAME or NAME/TABLE.

    The measure of effects that a table gives is not known unless it is said.
    """
    from bayesma.effects import effect_sizes
    from bayesma.readers import read_table

    found = _table(table, how)
    members = None
    if how.members is not None:
        units = pairs(how.units, "--units")
        ranges = cast("Ranges", how.ranges)
        members = read_table(how.members, None, units, outcomes=False, ranges=ranges)
    effects = effect_sizes(found, measure or "SMD", variance, members=members, **(sharing or {}))
    frame = effects.frame
    computed = "mean_treated" in frame and bool(frame["mean_treated"].notna().any())
    return effects if measure or computed else replace(effects, measure="")


def _table(table: str, how: Reading) -> StudyTable:
    from bayesma.catalogue import datasets, load_dataset
    from bayesma.readers import read_table

    path = Path(table)
    mapping, units = pairs(how.columns, "--columns"), pairs(how.units, "--units")
    if path.suffix or path.exists():
        return read_table(path, mapping, units, True, how.sheet, cast("Ranges", how.ranges))
    known = datasets()["name"].tolist()
    name, _, part = table.partition("/")
    if name not in known:
        raise DataError(f"{table}: neither a file nor a data set; {did_you_mean(name, known)}")
    given: dict[str, Any] = {"--columns": mapping, "--units": units, "--sheet": how.sheet}
    for option, value in given.items():
        if value:
            raise DataError(f"{option} is for a file; the data set {name} is read as it is")
    loaded = load_dataset(name, part or None, how.folder)
    if not {"y", "mean_treated", "median_treated"} & set(loaded.frame):
        raise DataError(
            f"{loaded.source} says what was compared, not with which effects: nothing to compute; "
            "`bayesma datasets` lists the other tables"
        )
    return loaded
