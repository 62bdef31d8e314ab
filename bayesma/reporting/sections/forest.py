"""Every study beside the population: what it found, and what the model takes it for."""

from __future__ import annotations

import pandas as pd

from bayesma.plots.shrinkage import plot_shrinkage
from bayesma.queries.partialpooling import population_effects, shrinkage
from bayesma.reporting.blocks import Block, Picture, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import delay_text, estimate
from bayesma.reporting.tidying import floored, head

__all__ = ["forest"]

ENDS = ("95% low", "95% high")


def forest(material: Material) -> tuple[Block, ...]:
    """Return the section."""
    fit = material.fit
    rows = shrinkage(fit, seed=material.seed)
    population = material.quietly(
        lambda: population_effects(fit, material.lead, seed=material.seed)
    )
    figure = plot_shrinkage(rows, population, material.lead)
    count = f"{len(rows)} pooled results" if rows["pooled"].all() else f"{len(rows)} rows"
    said = [f"{where}: {text}" for where, text in _populations(population, material.measure)]
    alt = (
        f"Forest of {count}: each observed effect ({material.measure}) with its 95% interval, and "
        f"beside it what the model {'takes it for' if rows.attrs['shrinks'] else 'fits'}. "
        + " ".join(f"{text}." for text in said)
    )
    return (
        *_words(material, rows),
        Picture(
            "forest-studies",
            f"{count[0].upper()}{count[1:]}, sorted by effect.",
            alt,
            figure,
            _twin(material, rows),
        ),
        _population_table(material, population),
    )


def _words(material: Material, rows: pd.DataFrame) -> list[Words]:
    plan, found = material.fit.design, []
    if rows["pooled"].all():
        found.append(
            Words(
                f"These {len(rows)} rows are published pooled results, each over several "
                "comparisons. The standard error of each holds the spread of its comparisons "
                "already, so the model has no study effects: it fits the rows by the curve alone."
            )
        )
        found.append(
            Words(
                "There is no prediction interval of a new study: that needs the spread of true "
                "effects between studies (tau), which pooled results do not identify.",
                "note",
            )
        )
        return found
    if not rows.attrs["shrinks"]:
        found.append(
            Words(
                "The model has no study effects: rows differ from its mean by sampling error "
                "alone, so no row is shrunken and a new study has no prediction interval. "
                "Add (1 | study) to peak for both.",
                "caution",
            )
        )
    else:
        levels = " and ".join(plan.groups.names)
        found.append(
            Words(
                "The model takes every row for its true effect plus sampling error, and true "
                f"effects for a population that spreads by {levels}. A row is drawn towards the "
                "mean of rows like it, the more so the wider its interval."
            )
        )
        if rows["pooled"].any():
            found.append(
                Words(
                    f"{int(rows['pooled'].sum())} rows are published pooled results, which are "
                    "fitted but not shrunken.",
                    "note",
                )
            )
    if plan.exact is not None:
        found.append(
            Words(
                "The likelihood is exact and works on the arms. The intervals of observed effects "
                "are y ± 1.96 √v, drawn for the eye only.",
                "note",
            )
        )
    return found


def _twin(material: Material, rows: pd.DataFrame) -> Table:
    columns: dict[str, object] = {"Row": rows["name"]}
    if (rows["study"] != rows["name"]).any():
        columns["Study"] = rows["study"]
    lead = material.lead
    if lead is not None and lead in rows:
        columns[head(lead)] = rows[lead].fillna("several")
    if "delay" in rows:
        columns["Delay"] = [
            "unknown" if pd.isna(delay) else delay_text(delay) for delay in rows["delay"]
        ]
    columns |= {"Observed": rows["y"]}
    columns |= {f"Observed {ENDS[0]}": rows["low"], f"Observed {ENDS[1]}": rows["high"]}
    told = "True effect" if rows.attrs["shrinks"] else "Fitted"
    columns |= {told: rows["true"]}
    columns |= {f"{told} {ENDS[0]}": rows["true_low"], f"{told} {ENDS[1]}": rows["true_high"]}
    if rows.attrs["shrinks"]:
        columns["Mean of rows like it"] = rows["fitted"]
    frame = pd.DataFrame(columns).sort_values("Observed", ascending=False, kind="stable")
    caption = (
        f"Rows as observed and as the model has them ({material.measure}); posterior medians and "
        "95% intervals"
    )
    return Table("forest-rows", caption, floored(frame.reset_index(drop=True)), mark="Row")


def _populations(population: pd.DataFrame, measure: str) -> list[tuple[str, str]]:
    """Return where each population stands, and its numbers in words."""
    found = []
    for label, row in zip(_labels(population), population.to_dict("records"), strict=True):
        text = f"population mean {estimate(row['median'], row['ci_low'], row['ci_high'])} {measure}"
        if pd.notna(row["new_low"]):
            text += f", a new study's true effect [{row['new_low']:.2f}, {row['new_high']:.2f}]"
        found.append((label, text.replace("[-", "[−").replace(", -", ", −")))
    return found


def _labels(population: pd.DataFrame) -> list[str]:
    inner = ("median", "ci_low", "ci_high", "p_positive", "new_low", "new_high", "delay")
    names = [str(name) for name in population if name not in inner]
    labels = []
    for row in population.to_dict("records"):
        parts = [str(row[name]) for name in names]
        parts += [delay_text(row["delay"])] if "delay" in row else []
        labels.append(", ".join(parts) or "All rows")
    return labels


def _population_table(material: Material, population: pd.DataFrame) -> Table:
    inner = ("median", "ci_low", "ci_high", "p_positive", "new_low", "new_high", "delay")
    columns: dict[str, object] = {
        head(str(name)): population[name] for name in population if name not in inner
    }
    if "delay" in population:
        columns["Delay"] = [delay_text(delay) for delay in population["delay"]]
    columns |= {
        "Mean effect": population["median"],
        ENDS[0]: population["ci_low"],
        ENDS[1]: population["ci_high"],
        "P(> 0)": population["p_positive"],
    }
    if population["new_low"].notna().any():
        columns |= {
            "New study 95% low": population["new_low"],
            "New study 95% high": population["new_high"],
        }
    estimand = str(population.attrs["estimand"])
    caption = f"{estimand[:1].upper()}{estimand[1:]}; posterior median and 95% interval"
    if "delay" in population:
        caption += ", at the delay for which the model states its level"
    return Table("forest-population", caption, floored(pd.DataFrame(columns)))
