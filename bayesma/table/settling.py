"""Delays to days with what they count from, doses to canonical units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesma.table.checker import Cells, Checker
from bayesma.units import Delay, DoseUnit, WrittenDose, dose_unit

__all__ = ["settle_doses", "settle_durations"]


def settle_durations(check: Checker, cells: Cells, units: Mapping[str, str]) -> None:
    """Turn durations into days, and fill `delay_reference` where a delay names its own.

    `units` holds the columns whose bare numbers have a unit that was asked for.
    """
    for name in ("duration", "delay"):
        if name not in cells:
            continue
        given: list[Delay | None] = cells[name]
        if name not in units:
            _doubt_bare(check, name, given)
        middles = sum(time is not None and time.midpoint for time in given)
        check.note(f"{name}: the middle of a range taken", middles)
        if name == "delay":
            _settle_references(check, cells, given)
        else:
            _refuse_references(check, given)
        cells[name] = [None if time is None else time.days for time in given]


def _doubt_bare(check: Checker, name: str, given: list[Delay | None]) -> None:
    """Say that bare numbers are read as days; refuse them beside cells that name their unit.

    Nothing is as long in hours as in days.
    """
    times = [(i, time) for i, time in enumerate(given) if time is not None and time.days != 0]
    bare = [i for i, time in times if time.bare]
    if len(bare) == len(times):
        check.note(f"{name}: bare numbers read as days", len(bare))
    elif bare:
        cell = check.raw[check.names[name]].iloc[bare[0]]
        problem = (
            f"mixes cells that name their unit with bare numbers ({len(bare)}, the first '{cell}' "
            f"in row {check.rows[bare[0]]})"
        )
        remedy = f"write every cell's unit, or give units={{'{name}': 'h'}}"
        check.fault(None, name, problem, remedy)


def _refuse_references(check: Checker, given: list[Delay | None]) -> None:
    for i, time in enumerate(given):
        if time is not None and time.reference is not None:
            problem = f"counts from '{time.reference}', but is a length of treatment"
            check.fault(i, "duration", problem, "write its length, e.g. '7 d'")


def _settle_references(check: Checker, cells: Cells, given: list[Delay | None]) -> None:
    said = [None if time is None else time.reference for time in given]
    if not any(said):
        return
    column = cells.setdefault("delay_reference", [None] * len(given))
    filled = 0
    for i, reference in enumerate(said):
        if reference is None or (i, "delay_reference") in check.bad_cells:
            continue
        if column[i] is None:
            column[i] = reference
            filled += 1
        elif column[i] != reference:
            problem = f"counts from '{reference}', but delay_reference is '{column[i]}'"
            check.fault(i, "delay", problem, "correct one of them")
    check.note("delay_reference: filled in from the delay's own words", filled)


def settle_doses(check: Checker, cells: Cells) -> None:
    """Turn doses into the canonical unit of their kind, and `dose_unit` with them."""
    if "dose" not in cells:
        _canonical_units(cells)
        return
    given: list[WrittenDose | None] = cells["dose"]
    written: list[str | None] = cells.get("dose_unit", [None] * len(given))
    settled = [
        _settled(check, i, dose, unit)
        for i, (dose, unit) in enumerate(zip(given, written, strict=True))
    ]
    cells["dose"] = [amount for amount, _ in settled]
    if "dose_unit" in cells or any(unit for _, unit in settled):
        cells["dose_unit"] = [unit for _, unit in settled]
    _note_doses(check, given, written, cells)


def _canonical_units(cells: Cells) -> None:
    if "dose_unit" in cells:
        known = [None if unit is None else dose_unit(unit) for unit in cells["dose_unit"]]
        cells["dose_unit"] = [
            unit if new is None else new.canonical
            for unit, new in zip(cells["dose_unit"], known, strict=True)
        ]


def _settled(
    check: Checker, row: int, dose: WrittenDose | None, written: str | None
) -> tuple[float | None, str | None]:
    """Return amount and unit of one row, or note that its two units disagree."""
    column = None if written is None else dose_unit(written)
    own = None if dose is None else dose.unit
    if own is not None and written is not None and own != column:
        problem = f"names a unit of its own, but dose_unit is '{written}'"
        check.fault(row, "dose", problem, "correct one of them")
    unit: DoseUnit | None = own or column
    if unit is None:
        return (None if dose is None else dose.amount), written
    return (None if dose is None else unit.convert(dose.amount)), unit.canonical


def _note_doses(
    check: Checker, given: list[WrittenDose | None], written: list[str | None], cells: Cells
) -> None:
    def count(rows: list[Any]) -> int:
        return sum(map(bool, rows))

    pairs = list(zip(given, cells["dose"], strict=True))
    moved = [old is not None and old.amount != new for old, new in pairs]
    check.note("dose: converted to the canonical unit of its kind", count(moved))
    middles = [old is not None and old.midpoint for old in given]
    check.note("dose: the middle of a range taken", count(middles))
    strange = sorted({unit for unit in written if unit is not None and dose_unit(unit) is None})
    if strange:
        kept = [unit in strange for unit in written]
        told = ", ".join(f"'{unit}'" for unit in strange)
        check.note(f"dose: left as it is in units that are not known ({told})", count(kept))
    if "dose_unit" in cells:
        bare = [
            old is not None and unit is None
            for old, unit in zip(given, cells["dose_unit"], strict=True)
        ]
        check.note("dose: without a unit", count(bare))
