"""Answers of the classical engine: sentences for people, records for programs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesma.cli.console import OUT
from bayesma.cli.files import write_csv
from bayesma.cli.notes import print_notes
from bayesma.cli.printing import print_cells, print_json

if TYPE_CHECKING:
    from bayesma.effects import Effects
    from bayesma.frequentist import MetaRegression, Pooled, Subgroups

__all__ = ["answer_pooled", "answer_regression", "notes_of"]

ALL = "(all rows)"


def notes_of(effects: Effects, found: Pooled | Subgroups | MetaRegression) -> tuple[str, ...]:
    """Return what was done to the table, and what to know of the result."""
    return tuple(dict.fromkeys((*effects.notes, *found.notes)))


def answer_pooled(
    effects: Effects, found: Pooled | Subgroups, csv: Path | None, as_json: bool
) -> None:
    """Print a pooled effect or subgroups in sentences, or as JSON; write the numbers if asked."""
    import pandas as pd

    from bayesma.frequentist import Pooled
    from bayesma.frequentist.forest import between_words
    from bayesma.frequentist.sentences import pooled_sentence, spread_sentences

    total = found if isinstance(found, Pooled) else found.total
    table = pd.DataFrame([_record(total)])
    about = _about(effects, total)
    if not isinstance(found, Pooled):
        levels = found.table.reset_index()
        table = pd.concat([levels, table.assign(level=ALL)[levels.columns]], ignore_index=True)
        about["by"] = found.by
        about["between"] = vars(found.between) | {"df": list(found.between.df)}
    write_csv(csv, table)
    if as_json:
        table.attrs.update(about, rows=_rows(found))
        print_json(table, notes_of(effects, found))
        return
    for sentence in (pooled_sentence(total), *spread_sentences(total)):
        OUT.print(sentence, soft_wrap=True)
    if not isinstance(found, Pooled):
        OUT.print(between_words(found), soft_wrap=True)


def answer_regression(
    effects: Effects, model: MetaRegression, csv: Path | None, as_json: bool
) -> None:
    """Print the coefficients of a meta-regression, or as JSON; write the numbers if asked."""
    table = model.table.reset_index()
    write_csv(csv, table)
    if as_json:
        low, high = model.tau2_ci or (None, None)
        table.attrs.update(
            _about(effects, model),
            k=model.k,
            tau2=model.tau2,
            tau2_se=model.tau2_se,
            tau2_low=low,
            tau2_high=high,
            qm=model.qm,
            qm_df=None if model.qm_df is None else list(model.qm_df),
            qm_p=model.qm_p,
            qe=model.qe,
            qe_df=model.qe_df,
            qe_p=model.qe_p,
            i2=model.i2,
            h2=model.h2,
            r2=model.r2,
            log_likelihood=model.log_likelihood,
            aic=model.aic,
            bic=model.bic,
        )
        print_json(table, notes_of(effects, model))
        return
    for sentence in _regression_sentences(model):
        OUT.print(sentence, soft_wrap=True)
    _print_coefficients(model)
    print_notes(notes_of(effects, model), OUT)


# -- records -----------------------------------------------------------------------------------


def _about(effects: Effects, model: Pooled | MetaRegression) -> dict[str, Any]:
    return {
        "measure": effects.measure or None,
        "variance": effects.variance if effects.measure else None,
        "method": model.method,
        "ci": model.ci_kind,
        "ci_prob": model.ci_prob,
    }


def _record(found: Pooled) -> dict[str, Any]:
    """Return a pooled effect as numbers; NaN where it has none."""
    low, high = found.tau2_ci or (math.nan, math.nan)
    ends = found.prediction or (math.nan, math.nan)
    return {
        "k": found.k,
        "estimate": found.estimate,
        "se": found.se,
        "ci_low": found.ci[0],
        "ci_high": found.ci[1],
        "statistic": found.statistic,
        "df": math.nan if found.df is None else found.df,
        "p": found.p,
        "tau2": found.tau2,
        "tau2_se": math.nan if found.tau2_se is None else found.tau2_se,
        "tau2_low": low,
        "tau2_high": high,
        "i2": found.i2,
        "h2": found.h2,
        "q": found.q,
        "q_df": found.q_df,
        "q_p": found.q_p,
        "prediction_low": ends[0],
        "prediction_high": ends[1],
    }


def _rows(found: Pooled | Subgroups) -> list[dict[str, Any]]:
    """Return each row with its weight in percent."""
    from bayesma.frequentist import Pooled

    rows = found.model.rows if isinstance(found, Pooled) else found.rows
    studies = rows.studies or rows.labels
    cells = zip(rows.labels, studies, rows.y, rows.v, found.weights, strict=True)
    return [
        {"row_id": label, "study": study, "y": float(y), "v": float(v), "weight": float(w)}
        for label, study, y, v, w in cells
    ]


# -- sentences ---------------------------------------------------------------------------------


def _regression_sentences(model: MetaRegression) -> list[str]:
    from bayesma.frequentist.sentences import KINDS, number, p_text

    said = [f"meta-regression, {model.method}, {KINDS[model.ci_kind]}: k = {model.k}"]
    if model.qm is not None and model.qm_df is not None and model.qm_p is not None:
        name = "Q" if len(model.qm_df) == 1 else "F"
        df = ", ".join(map(str, model.qm_df))
        said.append(f"test of the terms: {name}({df}) = {model.qm:.2f}, {p_text(model.qm_p)}")
    left = f"residual heterogeneity: Q({model.qe_df}) = {model.qe:.2f}, {p_text(model.qe_p)}; "
    left += f"I2 = {model.i2:.1f}%"
    if model.tau2_ci is not None:
        low, high = model.tau2_ci
        left += f"; tau2 = {number(model.tau2)} [{number(low)}, {number(high)}]"
    said.append(left)
    if model.r2 is not None:
        said.append(f"the terms account for {model.r2:.1f}% of tau2 (R2)")
    return said


def _print_coefficients(model: MetaRegression) -> None:
    from bayesma.frequentist.sentences import decimals_of, effect_text, p_text

    cells = []
    for term, row in model.table.iterrows():
        df = row["df"]
        statistic = f"z = {row['statistic']:.2f}"
        if not math.isnan(df):
            statistic = f"t({df:g}) = {row['statistic']:.2f}"
        interval = effect_text(
            row["estimate"], row["ci_low"], row["ci_high"], decimals_of(row["se"])
        )
        cells.append((str(term), interval, statistic, p_text(row["p"])))
    heads = ("term", f"estimate [{100 * model.ci_prob:g}% CI]", "test", "")
    print_cells(heads, cells, whole="term")
