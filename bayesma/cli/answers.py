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
    import pandas as pd

    from bayesma.effects import Effects
    from bayesma.frequentist import MetaRegression, Multilevel, Pooled, Subgroups

    Result = Pooled | Subgroups | MetaRegression | Multilevel

__all__ = ["answer", "notes_of"]

ALL = "(all rows)"


def notes_of(effects: Effects, found: Result) -> tuple[str, ...]:
    """Return what was done to the table, and what to know of the result."""
    return tuple(dict.fromkeys((*effects.notes, *found.notes)))


def answer(effects: Effects, found: Result, csv: Path | None, as_json: bool) -> None:
    """Print a result in sentences, or as JSON; write its numbers to a file if asked."""
    table, about = _records(effects, found)
    write_csv(csv, table)
    if as_json:
        table.attrs.update(about)
        print_json(table, notes_of(effects, found))
        return
    for sentence in _sentences(found):
        OUT.print(sentence, soft_wrap=True)
    from bayesma.frequentist import MetaRegression, Multilevel

    if isinstance(found, MetaRegression) or (
        isinstance(found, Multilevel) and found.prediction is None
    ):
        _print_coefficients(found.table, found.ci_prob)
        print_notes(notes_of(effects, found), OUT)


def _sentences(found: Result) -> list[str]:
    from bayesma.frequentist import MetaRegression, Multilevel, Subgroups
    from bayesma.frequentist.forest import between_words
    from bayesma.frequentist.sentences import pooled_sentence, spread_sentences

    if isinstance(found, MetaRegression):
        return _regression_sentences(found)
    if isinstance(found, Multilevel):
        return _nested_sentences(found)
    total = found.total if isinstance(found, Subgroups) else found
    more = [between_words(found)] if isinstance(found, Subgroups) else []
    return [pooled_sentence(total), *spread_sentences(total), *more]


def _records(effects: Effects, found: Result) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the table of a result, and what JSON says beside it."""
    import pandas as pd

    from bayesma.frequentist import MetaRegression, Multilevel, Pooled, Subgroups

    about: dict[str, Any] = {
        "measure": effects.measure or None,
        "variance": effects.variance if effects.measure else None,
        "method": found.method,
        "ci_prob": found.ci_prob,
        "k": found.total.k if isinstance(found, Subgroups) else found.k,
    }
    if isinstance(found, Multilevel):
        return found.table.reset_index(), about | _about_levels(found)
    about["ci"] = found.ci_kind
    if isinstance(found, MetaRegression):
        return found.table.reset_index(), about | _about_regression(found)
    about["rows"] = _rows(found)
    if isinstance(found, Pooled):
        return pd.DataFrame([_record(found)]), about
    levels = found.table.reset_index()
    whole = pd.DataFrame([_record(found.total)]).assign(level=ALL)[levels.columns]
    about["by"] = found.by
    about["between"] = vars(found.between) | {"df": list(found.between.df)}
    return pd.concat([levels, whole], ignore_index=True), about


# -- records -----------------------------------------------------------------------------------


def _about_regression(model: MetaRegression) -> dict[str, Any]:
    low, high = model.tau2_ci or (None, None)
    return {
        "tau2": model.tau2,
        "tau2_se": model.tau2_se,
        "tau2_low": low,
        "tau2_high": high,
        "i2": model.i2,
        "h2": model.h2,
        "r2": model.r2,
        **_about_tests(model),
    }


def _about_levels(model: Multilevel) -> dict[str, Any]:
    names = [str(name) for name in model.sigma2.index]
    levels = zip(names, model.groups, model.sigma2, model.i2, strict=True)
    return {
        "df": model.df_kind,
        "levels": [
            {"level": name, "groups": int(groups), "sigma2": float(sigma2), "i2": float(i2)}
            for name, groups, sigma2, i2 in levels
        ],
        "prediction": None if model.prediction is None else list(model.prediction),
        **_about_tests(model),
    }


def _about_tests(model: MetaRegression | Multilevel) -> dict[str, Any]:
    return {
        "qm": model.qm,
        "qm_df": None if model.qm_df is None else list(model.qm_df),
        "qm_p": model.qm_p,
        "qe": model.qe,
        "qe_df": model.qe_df,
        "qe_p": model.qe_p,
        "log_likelihood": model.log_likelihood,
        "aic": model.aic,
        "bic": model.bic,
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


def _nested_sentences(model: Multilevel) -> list[str]:
    from bayesma.frequentist.sentences import (
        decimals_of,
        fixed,
        levels_text,
        nested_sentence,
        p_text,
    )

    left = f"{levels_text(model)}; Q({model.qe_df}) = {model.qe:.2f}, {p_text(model.qe_p)}"
    if model.prediction is None:
        return [f"multilevel meta-regression, {model.method}: k = {model.k}", *_terms(model), left]
    decimals = decimals_of(float(model.inference.se[0]))
    ends = ", ".join(fixed(end, decimals) for end in model.prediction)
    percent = f"{100 * model.ci_prob:g}%"
    said = f"a new study's true effect: {percent} prediction interval [{ends}]"
    return [nested_sentence(model), left, said]


def _terms(model: MetaRegression | Multilevel) -> list[str]:
    from bayesma.frequentist.sentences import p_text

    if model.qm is None or model.qm_df is None or model.qm_p is None:
        return []
    name = "Q" if len(model.qm_df) == 1 else "F"
    df = ", ".join(f"{one:g}" for one in model.qm_df)
    return [f"test of the terms: {name}({df}) = {model.qm:.2f}, {p_text(model.qm_p)}"]


def _regression_sentences(model: MetaRegression) -> list[str]:
    from bayesma.frequentist.sentences import KINDS, number, p_text

    said = [f"meta-regression, {model.method}, {KINDS[model.ci_kind]}: k = {model.k}"]
    said += _terms(model)
    left = f"residual heterogeneity: Q({model.qe_df}) = {model.qe:.2f}, {p_text(model.qe_p)}; "
    left += f"I2 = {model.i2:.1f}%"
    if model.tau2_ci is not None:
        low, high = model.tau2_ci
        left += f"; tau2 = {number(model.tau2)} [{number(low)}, {number(high)}]"
    said.append(left)
    if model.r2 is not None:
        said.append(f"the terms account for {model.r2:.1f}% of tau2 (R2)")
    return said


def _print_coefficients(table: pd.DataFrame, ci_prob: float) -> None:
    from bayesma.frequentist.sentences import decimals_of, effect_text, p_text, statistic_text

    cells = []
    for term, row in table.iterrows():
        interval = effect_text(
            row["estimate"], row["ci_low"], row["ci_high"], decimals_of(row["se"])
        )
        df = None if math.isnan(row["df"]) else float(row["df"])
        cells.append((str(term), interval, statistic_text(row["statistic"], df), p_text(row["p"])))
    print_cells(("term", f"estimate [{100 * ci_prob:g}% CI]", "test", ""), cells, whole="term")
