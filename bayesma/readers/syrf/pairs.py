"""Treated arms beside the control they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bayesma.cells import listed
from bayesma.errors import Fault
from bayesma.readers.syrf.arms import Arm
from bayesma.readers.syrf.export import Export

__all__ = ["Controls", "Pair", "paired"]

Controls = Mapping[str, Mapping[str, str]]
Pair = tuple[Arm, Arm]


def paired(
    export: Export, arms: Sequence[Arm], controls: Controls, across_experiments: bool
) -> tuple[list[Pair], list[tuple[int, Fault]]]:
    """Return each treated arm with its control, and a fault for each that has not exactly one.

    Arms in different units are a fault as well.

    A control shares study, annotator, experiment, outcome, time and disease model with its
    treated arm, and all its treatments are controls.

    Parameters
    ----------
    export : Export
        For the names of columns and labels.
    arms : sequence of Arm
    controls : mapping
        Study label to treated cohort to control cohort, each by label or id: pairs that the
        reviewer makes, across experiments and disease models too.
    across_experiments : bool
        Whether a control may stand in another experiment of the study where the arm's own has
        none.
    """
    pairs: list[Pair] = []
    faults: list[tuple[int, Fault]] = []
    for arm in arms:
        if arm.control is not False:
            continue
        told = controls.get(arm.study, {})
        name = told.get(arm.cohort_id, told.get(arm.cohort))
        if name is not None:
            found = [c for c in _same_measurement(arm, arms) if name in (c.cohort, c.cohort_id)]
            problem = f"is given '{name}' for its control, which {_how_many(found)}"
            remedy = f"name one of: {_named(_same_measurement(arm, arms))}"
        else:
            found = _candidates(arm, arms, across_experiments)
            problem, remedy = _complaint(export, arm, arms, found, across_experiments)
        if len(found) == 1:
            pairs.append((arm, found[0]))
            faults += _of_units(export, arm, found[0])
        else:
            key = "cohort_label" if "cohort_label" in export.names else "cohort_id"
            faults.append((arm.row, export.fault(arm.row, key, problem, remedy)))
    return pairs, faults


def _of_units(export: Export, arm: Arm, control: Arm) -> list[tuple[int, Fault]]:
    if not arm.unit or not control.unit or arm.unit == control.unit:
        return []
    problem = f"is not the unit of its control {listed([control.cohort])} ('{control.unit}')"
    remedy = "correct one of them, or convert the numbers"
    return [(arm.row, export.fault(arm.row, "outcome_unit", problem, remedy))]


def _same_measurement(arm: Arm, arms: Sequence[Arm]) -> list[Arm]:
    """Return the control arms of the same study, outcome and time."""
    return [
        other
        for other in arms
        if other.control
        and other.study_id == arm.study_id
        and other.annotator == arm.annotator
        and other.outcome_key == arm.outcome_key
        and other.moment == arm.moment
    ]


def _candidates(arm: Arm, arms: Sequence[Arm], across_experiments: bool) -> list[Arm]:
    same_model = [c for c in _same_measurement(arm, arms) if c.models == arm.models]
    own = [c for c in same_model if c.experiment_id == arm.experiment_id]
    return own or (same_model if across_experiments else [])


def _complaint(
    export: Export, arm: Arm, arms: Sequence[Arm], found: Sequence[Arm], across_experiments: bool
) -> tuple[str, str]:
    """Return (problem, remedy) for an arm without exactly one control."""
    if found:
        problem = f"has {len(found)} possible controls: {_named(found)}"
        return problem, f"name its own: controls={{'{arm.study}': {{'{arm.cohort}': ...}}}}"
    near = _same_measurement(arm, arms)
    elsewhere = [c for c in near if c.models == arm.models]
    if elsewhere and not across_experiments:
        problem = (
            "has no treatment control in its experiment, only in another of the study: "
            f"{_named(elsewhere)}"
        )
        return problem, "say across_experiments=True if the arms were entered as experiments"
    problem = "has no treatment control of its outcome, time and disease model"
    if near:
        own, models = _model(export, arm), dict.fromkeys(_model(export, c) for c in near)
        others = "another entry of that label" if list(models) == [own] else listed(models)
        problem += f" ('{own}'); {_named(near)} has {others}"
        told = f"controls={{'{arm.study}': {{'{arm.cohort}': '{near[0].cohort}'}}}}"
        return problem, f"correct the model, or give {told}"
    return problem, "enter its control, or leave unusable arms out"


def _model(export: Export, arm: Arm) -> str:
    return str(export.frame["model"].loc[arm.row]) if "model" in export.frame else arm.models


def _named(arms: Sequence[Arm]) -> str:
    return listed(dict.fromkeys(arm.cohort for arm in arms)) or "none is there"


def _how_many(found: Sequence[Arm]) -> str:
    if not found:
        return "is no control of its study, outcome and time"
    return f"names {len(found)} arms"
