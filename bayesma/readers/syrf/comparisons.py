"""Pairs of arms to the columns of a study table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bayesma.readers.syrf.arms import Arm
from bayesma.readers.syrf.export import Export
from bayesma.readers.syrf.pairs import Pair

__all__ = ["comparisons"]


def comparisons(export: Export, pairs: Sequence[Pair]) -> dict[str, list[Any]]:
    """Return the canonical columns and the labels of the pairs."""

    def arms(get: Any) -> tuple[list[Any], list[Any]]:
        return [get(t) for t, _ in pairs], [get(c) for _, c in pairs]

    def cells(key: str, side: int) -> list[str]:
        if key not in export.frame:
            return [""] * len(pairs)
        return [str(export.frame[key].loc[pair[side].row]) for pair in pairs]

    def summary(name: str, kind: str, get: Callable[[Arm], float]) -> dict[str, list[Any]]:
        """Return what was entered in place of an SD: that it was is then never in doubt."""
        sides = zip(("treated", "control"), zip(*pairs, strict=True), strict=True)
        return {
            f"{name}_{side}": [get(arm) if arm.error_type == kind else "" for arm in same]
            for side, same in sides
        }

    mean_treated, mean_control = arms(lambda arm: arm.mean)
    sd_treated, sd_control = arms(lambda arm: arm.sd)
    n_treated, n_control = arms(lambda arm: arm.n)
    found = {
        "row_id": [export.rows[t.row] for t, _ in pairs],
        "study": [t.study for t, _ in pairs],
        "experiment": _experiments(export, pairs),
        "mean_treated": mean_treated,
        "sd_treated": sd_treated,
        "n_treated": n_treated,
        "mean_control": mean_control,
        "sd_control": sd_control,
        "n_control": n_control,
        **summary("sem", "SEM", lambda arm: arm.error),
        **summary("ci_low", "95% CI", lambda arm: arm.mean - arm.error),
        **summary("ci_high", "95% CI", lambda arm: arm.mean + arm.error),
        "direction": [t.direction for t, _ in pairs],
        "delay": [t.delay for t, _ in pairs],
        "outcome": cells("outcome", 0),
        "outcome_unit": cells("outcome_unit", 0),
        "treatment": cells("treatment", 0),
        "control_treatment": cells("treatment", 1),
        "disease_model": cells("model", 0),
        "disease_model_control": [c.lower() for c in cells("model_control", 0)],
        "treated_label": [t.cohort for t, _ in pairs],
        "control_label": [c.cohort for _, c in pairs],
        "control_group": [_measured(c) for _, c in pairs],
        "control_row": [f"row {export.rows[c.row]}" for _, c in pairs],
        "annotator": [t.annotator for t, _ in pairs],
        "study_id": [t.study_id for t, _ in pairs],
        "title": cells("title", 0),
        "year": cells("year", 0),
        "doi": cells("doi", 0),
    }
    return {name: values for name, values in found.items() if any(v != "" for v in values)}


def _measured(control: Arm) -> str:
    """Return a label of what was measured: a cohort has other numbers at each outcome and time."""
    return " / ".join(
        part for part in (control.cohort_id, control.outcome_key, control.time) if part
    )


def _experiments(export: Export, pairs: Sequence[Pair]) -> list[str]:
    """Return the control's experiment: its label, with the id where a study has it twice."""
    labels = export.frame.get("experiment_label", export.frame["experiment_id"])
    ids: dict[tuple[str, str], set[str]] = {}
    for _, control in pairs:
        ids.setdefault((control.study_id, str(labels.loc[control.row])), set()).add(
            control.experiment_id
        )
    return [
        label
        if label and len(ids[control.study_id, label]) == 1
        else f"{label} {control.experiment_id}".strip()
        for control, label in ((c, str(labels.loc[c.row])) for _, c in pairs)
    ]
