"""The data: what was fitted, what was left out or converted, and where the evidence lies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayesma.clock import effect_clock
from bayesma.coders import level_text
from bayesma.design import Design
from bayesma.plots import plot_evidence_map
from bayesma.queries import evidence_map
from bayesma.reporting.blocks import Block, Fold, Items, Picture, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import counted, duration_text, listed, number

__all__ = ["rows"]

Z95 = 1.959963984540054
# Levels named in a sentence; a table names them all.
FEW = 6


def rows(material: Material) -> tuple[Block, ...]:
    """Return counts, variables, the evidence map, pooled rows, and every note of the data."""
    blocks: list[Block] = [
        Words(_opening(material)),
        Table("data-counts", "What was fitted", _counts(material), digits=0),
        Table("data-variables", "Variables of the model", _variables(material)),
    ]
    if material.factors:
        blocks.append(Table("data-levels", "Levels of the model's factors", _levels(material)))
    blocks.append(_map(material))
    if material.fit.design.pooling is not None:
        blocks += _pooled(material)
    return (*blocks, *_notes(material))


def _opening(material: Material) -> str:
    plan = material.fit.design
    studies = counted(plan.frame["study"].nunique(), "study", "studies")
    if plan.pooling is None:
        return f"{counted(len(plan.effects), 'effect')} from {studies}, read from {_source(plan)}."
    pooled = int(plan.pooled.sum())
    behind = int(plan.pooled[plan.pooling.row].sum())
    single = len(plan.effects) - pooled
    beside = f", and {counted(single, 'effect')} of single comparisons," if single else ""
    return (
        f"{counted(pooled, 'published pooled result')}, which "
        f"{'stands' if pooled == 1 else 'stand'} for {counted(behind, 'comparison')}{beside} "
        f"from {studies}, read from {_source(plan)}."
    )


def _source(plan: Design) -> str:
    # A path is the reviewer's own business: its last part names the file.
    text = plan.effects.source
    return text.replace("\\", "/").rsplit("/", 1)[-1] if text.startswith(("/", ".")) else text


def _counts(material: Material) -> pd.DataFrame:
    found = list(_counted(material))
    return pd.DataFrame(
        {
            "What": [what for what, _, _ in found],
            "Number": [count for _, count, _ in found],
            "Which": [which for _, _, which in found],
        }
    )


def _counted(material: Material) -> Iterator[tuple[str, int, str]]:
    plan = material.fit.design
    points = plan.frame
    yield "rows fitted", len(plan.effects), f"effects ({material.measure})"
    if plan.pooling is not None:
        yield "of them pooled results", int(plan.pooled.sum()), ""
        yield "comparisons behind them", int(plan.pooled[plan.pooling.row].sum()), ""
    yield "studies", int(points["study"].nunique()), ""
    for name, labels in zip(plan.groups.names[1:], plan.groups.labels[1:], strict=True):
        yield f"groups of {name} within studies", len(labels), ""
    if plan.pooling is None and {"n_treated", "n_control"} <= set(points):
        animals = points[["n_treated", "n_control"]].sum().sum()
        yield "animals, summed over rows", int(animals), "an arm that rows share counts in each"
    for name in ("drug", "regimen", "species"):
        if name in points and points[name].notna().any():
            levels = points[name].dropna().map(level_text).value_counts()
            yield f"levels of {name}", len(levels), _some(list(levels.index))
    if "delay" in points:
        yield "rows without a delay", len(points) - len(material.clock), ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:FEW]) + ("" if len(names) <= FEW else f" and {len(names) - FEW} more")


def _variables(material: Material) -> pd.DataFrame:
    """Return what is predicted and what predicts."""
    plan = material.fit.design
    y = plan.effects.y
    found = [("y", f"effect ({material.measure}), predicted", f"{number(y.min())} to {_top(y)}")]
    if material.fades and not material.clock.empty:
        clock = material.clock
        ends = f"{duration_text(clock.min())} to {duration_text(clock.max())}"
        median = duration_text(float(clock.median()))
        found.append(("delay", "time since the last dose", f"{ends}, median {median}"))
    for name in plan.covariates:
        where = [p for p in plan.spec.predictors if name in plan.spec.formula(p).variables]
        if name in material.factors:
            held = f"{counted(len(material.factors[name]), 'level')}: "
            held += _some([level_text(level) for level in material.factors[name]])
        else:
            held = _range(plan.frame[name])
        found.append((name, f"covariate of {listed(where)}", held))
    for name in plan.groups.names:
        found.append((name, "groups of rows that share an effect", ""))
    return pd.DataFrame(found, columns=["Variable", "Part", "Values"])


def _top(values: np.ndarray) -> str:
    return number(float(values.max()))


def _range(cells: pd.Series) -> str:
    if not pd.api.types.is_numeric_dtype(cells):
        return _some([level_text(level) for level in cells.dropna().unique()])
    return f"{number(cells.min())} to {number(cells.max())}"


def _levels(material: Material) -> pd.DataFrame:
    plan, found = material.fit.design, []
    noun = "Effects" if plan.pooling is None else "Comparisons"
    clock = effect_clock(plan.frame) if "delay" in plan.frame else np.full(len(plan.frame), np.nan)
    for name, levels in material.factors.items():
        cells = plan.frame[name].map(level_text)
        for level in levels:
            mine = (cells == level_text(level)).to_numpy()
            known = clock[mine & np.isfinite(clock)]
            found.append(
                {
                    "Factor": name,
                    "Level": level_text(level),
                    noun: int(mine.sum()),
                    "Studies": int(plan.frame.loc[mine, "study"].nunique()),
                    "Delays": _reach(known.min(), known.max()) if len(known) else "",
                }
            )
    return pd.DataFrame(found)


def _map(material: Material) -> Block:
    table = evidence_map(material.fit)
    names = [name for name in ("regimen", "species", "delay") if name in table]
    if not names:
        return Words("The data name no regimen, species or delay, so there is no evidence map.")
    counts, heaviest = table.attrs["counts"], table.iloc[int(table["effects"].argmax())]
    missing = [n for n in ("regimen", "species", "delay") if n not in table]
    lacking = f" The data name no {listed(missing)}." if missing else ""
    where = ", ".join(str(heaviest[name]) for name in names)
    alt = (
        f"Evidence map: numbers of {counts} by {listed(names)}. {len(table)} combinations hold "
        f"any; most, {heaviest['effects']}, lie at {where}."
    )
    frame = table.assign(**{n: table[n].astype(str) for n in names})
    heads = {"effects": counts.split(" ")[0].capitalize(), "studies": "Studies"}
    frame = frame.rename(columns={**heads, **{n: n.capitalize() for n in names}})
    return Picture(
        "data-map",
        f"Where the evidence lies: {counts} by {listed(names)}.{lacking} Empty cells hold none.",
        alt,
        plot_evidence_map(table),
        Table("data-map-cells", f"Numbers of {counts} and studies by {listed(names)}", frame),
    )


def _pooled(material: Material) -> tuple[Block, ...]:
    """Return the pooled results and the comparisons behind each."""
    plan = material.fit.design
    assert plan.pooling is not None
    own, points, of = plan.effects.frame, plan.frame, plan.pooling.row
    clock = effect_clock(points) if "delay" in points else np.full(len(points), np.nan)
    behind = pd.DataFrame({"row": of, "clock": clock}).groupby("row")["clock"]
    half = Z95 * np.sqrt(plan.effects.v)
    table = pd.DataFrame(
        {
            "Result": own["row_id"].to_numpy(),
            "Study": own["study"].to_numpy(),
            "Effect": plan.effects.y,
            "95% low": plan.effects.y - half,
            "95% high": plan.effects.y + half,
            "Comparisons": np.bincount(of, minlength=len(own)),
            "Delays": [_reach(*ends) for ends in zip(behind.min(), behind.max(), strict=True)],
        }
    )
    # Comparisons that stand for themselves are no pooled results.
    table = table[plan.pooled].reset_index(drop=True)
    points, of = points[plan.pooled[of]], of[plan.pooled[of]]
    columns = [n for n in ("study", "regimen", "species", "delay") if n in points]
    members = points[["row_id", *columns]].assign(result=own["row_id"].to_numpy()[of])
    heads = {n: n.capitalize() for n in columns} | {
        "row_id": "Comparison",
        "delay": "Delay (d)",
        "result": "In result",
    }
    listing = Table(
        "data-members", "Comparisons behind the results", members.rename(columns=heads), 3
    )
    return (
        Table("data-pooled", f"Pooled results as fitted ({material.measure})", table),
        Fold(f"All {len(points)} comparisons", (listing,)),
    )


def _reach(low: float, high: float) -> str:
    """Return from where to where delays reach; nothing where none is known."""
    if np.isnan(low):
        return ""
    return " to ".join(dict.fromkeys([duration_text(low), duration_text(high)]))


def _notes(material: Material) -> tuple[Block, ...]:
    notes = tuple(dict.fromkeys(material.fit.notes))
    if not notes:
        return (Words("No row was left out, and nothing was converted or filled in."),)
    intro = "What was left out, converted, filled in or rebuilt, and what was read into the rows:"
    return (Words(intro), Items(tuple(f"{note}." for note in notes)))
