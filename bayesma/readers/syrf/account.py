"""What was compared with what, in which direction, and what was not compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from bayesma.readers.syrf.arms import Arm
from bayesma.readers.syrf.export import Export
from bayesma.readers.syrf.pairs import Pair

__all__ = ["account", "named"]


def account(export: Export, arms: Sequence[Arm], pairs: Sequence[Pair]) -> list[str]:
    """Return what was compared, in which direction, and what was not."""
    notes = [
        f"compared: {len(pairs)} treated arms with the treatment control of the same study, "
        "outcome, time and disease model; a disease model is not compared with its control"
    ]
    outcome = export.frame["outcome"]
    for label in dict.fromkeys(str(outcome.loc[t.row]) for t, _ in pairs):
        same = [t for t, _ in pairs if outcome.loc[t.row] == label]
        way = "less" if same[0].direction == -1 else "more"
        notes.append(f"direction of '{label}': {way} is better ({len(same)} comparisons)")
    across = sum(t.experiment_id != c.experiment_id for t, c in pairs)
    if across:
        notes.append(f"controls taken from another experiment of the study: {across}")
    notes += _of_animals(pairs) + _of_units(export, pairs)
    models = sum(t.models != c.models for t, c in pairs)
    if models:
        notes.append(f"controls of another disease model, as told: {models}")
    shared = Counter((c.cohort_id, c.row) for _, c in pairs)
    groups = [count for count in shared.values() if count > 1]
    if groups:
        notes.append(
            f"treated arms that share a control: {sum(groups)}, in {len(groups)} groups; n_control "
            "is not split, control_group says which"
        )
    twice = Counter(t.cohort_id for t, _ in pairs)
    several = sum(count > 1 for count in twice.values())
    if several:
        notes.append(f"treated cohorts with several outcomes or times: {several}")
    notes += _not_compared(arms, pairs)
    return notes


def _of_animals(pairs: Sequence[Pair]) -> list[str]:
    healthy = named(t for t, _ in pairs if t.healthy)
    if not healthy:
        return []
    return [
        "comparisons in animals without the disease model: "
        f"{sum(t.healthy for t, _ in pairs)} ({healthy}); healthy='leave out' leaves them out"
    ]


def _of_units(export: Export, pairs: Sequence[Pair]) -> list[str]:
    rows = [f"row {export.rows[t.row]}" for t, c in pairs if bool(t.unit) != bool(c.unit)]
    if not rows:
        return []
    return [f"comparisons where only one arm has a unit: {len(rows)} ({', '.join(rows)})"]


def named(arms: Iterable[Arm]) -> str:
    """Return studies with their cohorts, for a note."""
    by_study: dict[str, list[str]] = {}
    for arm in arms:
        by_study.setdefault(arm.study, []).append(arm.cohort)
    return "; ".join(
        f"{study}: {', '.join(dict.fromkeys(cohorts))}" for study, cohorts in by_study.items()
    )


def _not_compared(arms: Sequence[Arm], pairs: Sequence[Pair]) -> list[str]:
    used = {c.row for _, c in pairs}
    idle = [a.cohort for a in arms if a.control and a.row not in used]
    bare = [a.cohort for a in arms if a.control is None]
    mixed = sum(";" in a.models for a in arms)
    notes = []
    for what, names in (
        ("control arms without a treated arm", idle),
        ("arms without any treatment, not compared", bare),
    ):
        if names:
            notes.append(f"{what}: {len(names)} ({', '.join(dict.fromkeys(names))})")
    if mixed:
        notes.append(f"arms with more than one disease model, compared within the same: {mixed}")
    return notes
