"""From a SyRF export to a table of comparisons."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd

from bayesma.cells import NOT_KNOWN
from bayesma.errorbars import alarms, suspicion
from bayesma.errors import Fault, SpecError, SuspectDataWarning, TableError, did_you_mean
from bayesma.readers.syrf.account import account, named
from bayesma.readers.syrf.arms import Words, arms_of
from bayesma.readers.syrf.comparisons import comparisons
from bayesma.readers.syrf.export import Export, read_export
from bayesma.readers.syrf.pairs import Controls, Pair, paired
from bayesma.readers.syrf.studies import Annotator, chosen_rows, study_names
from bayesma.readers.syrf.times import header_unit, not_minutes, time_signals
from bayesma.readers.syrf.words import check_apart, covariates, treatment_columns
from bayesma.table import StudyTable, validated
from bayesma.units import DAYS_PER_UNIT, Ranges

__all__ = ["read_syrf"]

# 'Unclear' is a judgement where a question is the reviewer's own, as risk of bias is; where it
# becomes a column of the table it is missing.
NOT_SAID = tuple(sorted(NOT_KNOWN - {"unclear"}))
Use = Literal["keep", "leave out"]


def read_syrf(
    source: str | Path | pd.DataFrame,
    *,
    annotator: Annotator = None,
    time_unit: str | None = None,
    delay_reference: str | None = None,
    outcomes: Sequence[str] | None = None,
    controls: Controls | None = None,
    across_experiments: bool = False,
    greater_is_worse: Mapping[str, bool] | None = None,
    error_type: Mapping[str, str] | None = None,
    treatments: Mapping[str, Mapping[str, Any]] | None = None,
    constants: Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    missing: Iterable[str] = NOT_SAID,
    unusable: Literal["refuse", "leave out"] = "refuse",
    healthy: Use = "keep",
    units: Mapping[str, str] | None = None,
    ranges: Ranges = "refuse",
) -> StudyTable:
    """Pair the arms of a SyRF quantitative export (one row per arm, outcome and time).

    A treated arm is compared with the treatment control of its study, experiment, outcome, time
    and disease model. SD = SEM sqrt(n); an error whose type is "95% CI" is read as the half width
    h of an interval with Student's t, SD = h sqrt(n) / t(0.975, n - 1). The direction is -1 where
    GreaterIsWorse is TRUE, so that a positive effect is a benefit.

    Parameters
    ----------
    source : str, Path or pandas.DataFrame
        The export as CSV, or a frame read from it. Headers are recognised as SyRF's data
        dictionary has them and as exports have them.
    annotator : str, sequence of str or mapping, optional
        Whose annotation of a study to use where several annotated it and nobody reconciled: one
        name, names in order of preference, or study label to name.
    time_unit : str, optional
        Unit of the times, e.g. "h"; the header's unit where it is not given.
    delay_reference : {"last dose", "end of infusion", "start"}, optional
        What the times count from: the export does not say.
    outcomes : sequence of str, optional
        Outcome labels to keep; all of them otherwise.
    controls : mapping, optional
        Study label to its treated cohorts to their control cohorts, where the export leaves it
        open: ``{"Wang 2011": {"drug": "saline"}}``; cohorts by label or id.
    across_experiments : bool
        Whether an arm may take its control from another experiment of the study if its own has
        none, for exports where each arm was entered as an experiment.
    greater_is_worse : mapping, optional
        Outcome label to True or False, where the export is wrong.
    error_type : mapping, optional
        Study label to "SD", "SEM" or "95% CI", where the export's label is wrong, or was looked up
        and is right: such studies are not suspected any more.
    treatments : mapping, optional
        Treatment label to columns of the table, e.g. ``{"K 10": {"drug": "ketamine", "dose": 10,
        "dose_unit": "mg/kg"}}``.
    constants : mapping, optional
        Columns that are the same in every row, e.g. ``{"regimen": "single"}``.
    columns : mapping, optional
        Canonical column name to the question that holds it, e.g. ``{"species": "Species?"}``.
    missing : iterable of str
        Answers to questions that say nothing; read as missing and counted. 'Unclear' is not among
        them: in a risk of bias it is a judgement. In canonical columns it is missing anyway.
    unusable : {"refuse", "leave out"}
        What becomes of arms that cannot be compared: no control or several, no mean with SD or
        SEM. "leave out" counts them in the notes. Faults of arms that no comparison needs are
        notes anyway.
    healthy : {"keep", "leave out"}
        What becomes of comparisons in controls of the disease model: animals without the disease,
        given the treatment all the same. The notes name them.
    units : mapping, optional
        Unit of bare numbers in durations from `treatments`, `constants` and `columns`, e.g.
        ``{"duration": "h"}``; days otherwise.
    ranges : {"refuse", "midpoint"}
        What is done with ranges of durations and doses ("10-20 mg/kg").

    Returns
    -------
    StudyTable
        One row per treated arm, outcome and time; `control_group` is the control's cohort id,
        outcome and time, which treated arms share. Notes say what was done.

    Raises
    ------
    TableError
        With every fault: file, row, column, value and remedy.
    SpecError
        If an argument names an annotator, outcome, study, question or unit that is not there, or
        gives a column that the export or another argument gives.

    Warns
    -----
    SuspectDataWarning
        If times cannot be in the unit of their header, or errors labelled SD are likely SEMs; what
        is only possible is a note.
    """
    if time_unit is not None and time_unit not in DAYS_PER_UNIT:
        raise SpecError(f"time_unit = '{time_unit}'; {did_you_mean(time_unit, [*DAYS_PER_UNIT])}")
    _check_choices(unusable, healthy, units or {})
    export = read_export(source, missing)
    names = study_names(export.frame)
    unit = time_unit or header_unit(export.names["time"])
    words = Words(greater_is_worse or {}, error_type or {}, unit)
    _check_words(export, names, words, outcomes, controls or {})
    rows, undecided, annotated = chosen_rows(export, names, annotator)
    rows, filtered = _of_outcomes(export, rows, outcomes)
    arms, decisive, bad_cells, converted = arms_of(export, names, rows, words)
    pairs, unpaired = paired(export, arms, controls or {}, across_experiments)
    faults = _Faults(undecided, decisive, bad_cells, unpaired)
    pairs, left_out = _usable(export, pairs, faults, unusable)
    pairs, sound = _diseased(export, pairs, healthy)
    of_times, doubts = _doubts(export, pairs, unit, told=time_unit is not None)
    raw = comparisons(export, pairs)
    said: list[str] = []
    fixed = {name: [value] * len(pairs) for name, value in (constants or {}).items()}
    by_label = treatment_columns(
        list(raw.get("treatment", [""] * len(pairs))), treatments or {}, said
    )
    reference = [] if delay_reference is None else ["delay_reference"]
    given = {"constants": fixed, "treatments": by_label, "delay_reference": reference}
    check_apart(raw, given)
    raw |= fixed | by_label | _reference(delay_reference, said, len(pairs))
    own, mapping = covariates(export, [treated.row for treated, _ in pairs], columns or {}, raw)
    table = validated(
        pd.DataFrame(raw | own, dtype=object),
        export.source,
        [export.rows[treated.row] for treated, _ in pairs],
        mapping,
        {"delay": "d", **(units or {})},  # days they are by now
        ranges=ranges,
    )
    suspects = suspicion(table, confirmed=words.error_type)
    notes = (
        *export.notes,
        *annotated,
        *filtered,
        *converted,
        *left_out,
        *sound,
        *account(export, arms, pairs),
        *said,
        *table.notes,
        *of_times,
        *suspects,
    )
    for text in (*doubts, *alarms(table, confirmed=words.error_type)):
        warnings.warn(f"{export.source}: {text}", SuspectDataWarning, stacklevel=2)
    return replace(table, notes=notes)


def _check_choices(unusable: str, healthy: str, units: Mapping[str, str]) -> None:
    if unusable not in ("refuse", "leave out"):
        raise SpecError(f"unusable = '{unusable}'; known: refuse, leave out")
    if healthy not in get_args(Use):
        raise SpecError(f"healthy = '{healthy}'; known: {', '.join(get_args(Use))}")
    if "delay" in units:
        raise SpecError("units: the unit of the export's times is time_unit=")


def _check_words(
    export: Export,
    names: Mapping[str, str],
    words: Words,
    outcomes: Sequence[str] | None,
    controls: Controls,
) -> None:
    labels = sorted(set(export.frame["outcome"]) - {""})
    for label in (*words.greater_is_worse, *(outcomes or ())):
        if label not in labels:
            raise SpecError(f"no outcome '{label}'; {did_you_mean(label, labels)}")
    for study in (*words.error_type, *controls):
        if study not in names.values():
            raise SpecError(f"no study '{study}'; {did_you_mean(study, [*names.values()])}")
    for study, told in controls.items():
        ids = [key for key, name in names.items() if name == study]
        own = export.frame[export.frame["study_id"].isin(ids)]
        cohorts = [name for key in ("cohort_label", "cohort_id") if key in own for name in own[key]]
        for cohort in (*told, *told.values()):
            if cohort not in cohorts:
                known = did_you_mean(cohort, [*dict.fromkeys(cohorts)])
                raise SpecError(f"controls: {study} has no cohort '{cohort}'; {known}")
    for study, kind in words.error_type.items():
        if kind not in ("SD", "SEM", "95% CI"):
            raise SpecError(f"error_type of {study} = '{kind}'; known: SD, SEM, 95% CI")


def _of_outcomes(
    export: Export, rows: Sequence[int], outcomes: Sequence[str] | None
) -> tuple[list[int], list[str]]:
    if outcomes is None:
        return list(rows), []
    labels = export.frame["outcome"]
    left = Counter(str(labels.loc[row]) for row in rows if labels.loc[row] not in outcomes)
    notes = [f"rows of outcome '{label}', not asked for: {count}" for label, count in left.items()]
    return [row for row in rows if labels.loc[row] in outcomes], notes


class _Faults(NamedTuple):
    """Faults by what they cost; all but the first with the position of their row."""

    undecided: Sequence[Fault]  # whose annotation of a study is used
    decisive: Sequence[tuple[int, Fault]]  # what is compared
    cells: Sequence[tuple[int, Fault]]  # the comparisons of their own arm
    unpaired: Sequence[tuple[int, Fault]]  # one comparison


def _usable(
    export: Export, pairs: Sequence[Pair], faults: _Faults, unusable: str
) -> tuple[list[Pair], list[str]]:
    """Return the pairs without a fault, or raise; faults that only cost an arm may be left out.

    Faults of arms that are in no pair are told, and are no reason to refuse.
    """
    compared = {arm.row for pair in pairs for arm in pair}
    needed = [(row, fault) for row, fault in faults.cells if row in compared]
    needed += [*faults.decisive, *faults.unpaired]
    if faults.undecided or (needed and unusable == "refuse"):
        every = _by_row([*faults.cells, *faults.decisive, *faults.unpaired])
        shown = [fault for _, fault in every] if unusable == "refuse" else []
        raise TableError(export.source, [*faults.undecided, *shown])
    bad = {row for row, _ in needed}
    kept = [(t, c) for t, c in pairs if t.row not in bad and c.row not in bad]
    idle = [(row, fault) for row, fault in faults.cells if row not in compared]
    notes = [f"left out: {fault.sentence(export.source)}" for _, fault in _by_row(needed)]
    notes += [
        f"in an arm that is not compared: {fault.sentence(export.source)}"
        for _, fault in _by_row(idle)
    ]
    if len(kept) < len(pairs):
        notes.append(f"comparisons left out with those arms: {len(pairs) - len(kept)}")
    _check_some(export, kept)
    return kept, notes


def _by_row(faults: Iterable[tuple[int, Fault]]) -> list[tuple[int, Fault]]:
    return sorted(faults, key=lambda pair: pair[0])


def _check_some(export: Export, pairs: Sequence[Pair]) -> None:
    if not pairs:
        raise TableError(export.source, [Fault("no comparison is left", "see its treated arms")])


def _diseased(export: Export, pairs: Sequence[Pair], healthy: Use) -> tuple[list[Pair], list[str]]:
    """Return the pairs asked for, and what was left out of animals without the disease."""
    sound = [t for t, _ in pairs if t.healthy]
    if healthy == "keep" or not sound:
        return list(pairs), []
    kept = [(t, c) for t, c in pairs if not t.healthy]
    _check_some(export, kept)
    return kept, [f"left out, animals without the disease model: {len(sound)} ({named(sound)})"]


def _doubts(
    export: Export, pairs: Sequence[Pair], unit: str, told: bool
) -> tuple[list[str], list[str]]:
    """Return notes on the unit of the times, and what of them is a warning."""
    header = export.names["time"]
    written = [t.delay / DAYS_PER_UNIT[unit] for t, _ in pairs if t.delay is not None]
    blank = len(pairs) - len(written)
    notes = [f"comparisons without a time: {blank} of {len(pairs)}"] if blank else []
    signals = time_signals(written, header_unit(header))
    said = "; ".join(signals)
    if told and unit != header_unit(header):
        reason = f"; as minutes, {said}" if signals else ""
        return [*notes, f"'{header}' read in {unit}, as told{reason}"], []
    if not_minutes(written, header_unit(header)) and not told:
        doubt = f"'{header}' looks as if it were not in {unit}: {said}; give time_unit='h', or so"
        return [*notes, doubt], [doubt]
    return notes, []


def _reference(told: str | None, said: list[str], rows: int) -> dict[str, list[Any]]:
    if told is not None:
        return {"delay_reference": [told] * rows}
    said.append("the export does not say what its times count from: give delay_reference=")
    return {}
