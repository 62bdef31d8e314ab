"""What leaving a study out would change."""

from __future__ import annotations

import pandas as pd

from bayesma.checks.comparison import compare_models
from bayesma.checks.influences import OK, UNRELIABLE, study_influence
from bayesma.errors import QueryError
from bayesma.plots import plot_influence
from bayesma.queries import grid
from bayesma.reporting.blocks import Block, Picture, Table, Words
from bayesma.reporting.material import Material

__all__ = ["influence"]

MOST = 10
# Points of the mean that one picture tells apart.
POINTS = 7
MINE = "this fit"
HEADS = {
    "study": "study",
    "rows": "rows",
    "where": "mean of",
    "answer": "all studies",
    "without": "without it",
    "change": "change",
    "change_sd": "change (SDs)",
    "mcse": "MC error",
    "pareto_k": "Pareto k",
    "verdict": "verdict",
    "elpd": "elpd",
}


def influence(material: Material) -> tuple[Block, ...]:
    """Return leave-one-out, the studies that move the answer, and the fits beside this one."""
    try:
        table = _asked(material)
    except QueryError as error:
        text = str(error)
        return (Words(f"Not done: {text}."), *_beside(material))
    ordered = _by_size(table)
    return (
        Words(_prediction(table)),
        _trust(table),
        Words(_most(table, ordered)),
        *_pictures(table, ordered),
        _ten(ordered),
        *(Words(str(note), "note") for note in table.attrs["notes"]),
        *_beside(material),
    )


def _asked(material: Material) -> pd.DataFrame:
    """Ask at the lead's levels where there is no decay, else at each cell's median delay."""
    at = grid(material.fit, **material.at) if material.at and not material.fades else None
    return material.quietly(lambda: study_influence(material.fit, at))


def _by_size(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a study, at the point where it moves the mean most; the largest first."""
    order = table["change_sd"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].drop_duplicates("study")


# -- words -----------------------------------------------------------------------------------------


def _prediction(table: pd.DataFrame) -> str:
    said = table.attrs
    return (
        f"Leaving out one study at a time, and predicting its rows from the other studies, the "
        f"expected log predictive density (elpd) is {said['elpd']:.1f} (standard error "
        f"{said['se']:.1f}) over {said['n']} studies; the effective number of parameters (p_loo) "
        f"is {said['p_loo']:.1f}. An elpd ranks models of the same rows; alone it says little. "
        f"Nothing was fitted again: each of {said['draws']:,} posterior draws is weighed by how "
        "badly it predicts the study that is left out (Pareto-smoothed importance sampling)."
    )


def _trust(table: pd.DataFrame) -> Words:
    n, bad, limit = (table.attrs[key] for key in ("n", "n_bad", "good_k"))
    if not bad:
        return Words(
            f"Pareto k says whether such weights can be trusted. It is at or below {limit:.2f} for "
            f"all {n} studies: no study needs a refit."
        )
    return Words(
        f"Pareto k says whether such weights can be trusted. It is above {limit:.2f} for {bad} of "
        f"{n} studies: without them the posterior is too far from this one to be had by weights, "
        "so that elpd is likely too high and the change shown for these studies is unreliable. "
        "They need a refit without them: bayesma loo DIR, with this fit's folder.",
        "caution",
    )


def _most(table: pd.DataFrame, ordered: pd.DataFrame) -> str:
    sure = ordered[ordered["verdict"] == OK]
    if sure.empty:
        return "No study's weights can be trusted, so that no change can be named."
    first = sure.iloc[0]
    others = sure["change_sd"].abs()
    what = f" ({first['where']})" if first["where"] else ""
    text = (
        f"Of studies whose weights can be trusted, {first['study']} moves the population mean "
        f"most: without it the posterior mean{what} is {first['without']:.2f} instead of "
        f"{first['answer']:.2f} {first['unit']}, {abs(first['change_sd']):.2f} posterior standard "
        f"deviations. {int((others >= 0.5).sum())} of {len(sure)} move it by half a standard "
        "deviation or more."
    )
    # At every point: a study may turn a sign elsewhere than where it moves the mean most.
    signs = table[table["without"] * table["answer"] < 0].drop_duplicates("study")
    if signs.empty:
        return f"{text} No study's removal turns the sign of the posterior mean."
    return f"{text} The sign of the posterior mean turns without {', '.join(signs['study'])}."


# -- tables and the picture ------------------------------------------------------------------------


def _framed(table: pd.DataFrame, *without: str) -> pd.DataFrame:
    """Return columns with heads for people; the point only where there is one to name."""
    names = [name for name in HEADS if name not in without]
    if not table["where"].astype(bool).any():
        names.remove("where")
    return table[names].rename(columns=HEADS).reset_index(drop=True)


def _ten(ordered: pd.DataFrame) -> Table:
    few = ordered.head(MOST)
    which = f"The {len(few)} studies that move the mean most, each where it moves it most"
    caption = (
        f"{which}: posterior mean ({few['unit'].iloc[0]}) with all studies and without the study, "
        "the change also in posterior standard deviations"
    )
    return Table("influence-most", caption, _framed(few, "elpd", "mcse"), mark="study")


def _pictures(table: pd.DataFrame, ordered: pd.DataFrame) -> tuple[Block, ...]:
    twin = Table(
        "influence-studies",
        "Every study left out: the mean without it, Monte Carlo error of the change, Pareto k and "
        "elpd",
        _framed(table),
        mark="study",
    )
    if table["where"].nunique() > POINTS:
        words = f"The mean has {table['where'].nunique()} points here, too many for one picture."
        return (Words(words, "note"), twin)
    if not table["pareto_k"].notna().any():
        return (twin,)
    first, limit = ordered.iloc[0], table.attrs["good_k"]
    alt = (
        f"Change of the population mean without each of {table.attrs['n']} studies, in posterior "
        f"standard deviations, against Pareto k. Changes reach from "
        f"{table['change_sd'].min():.2f} to {table['change_sd'].max():.2f}; the largest is that of "
        f"{first['study']} (k {first['pareto_k']:.2f}, {_said(first['verdict'])}). "
        f"{table.attrs['n_bad']} studies are beyond the limit of {limit:.2f}."
    )
    caption = (
        "Left of the dashed line the change is what a refit without the study would give, to "
        "Monte Carlo error; right of it, only a refit tells."
    )
    return (Picture("influence-plot", caption, alt, plot_influence(table), twin),)


def _said(verdict: str) -> str:
    return "unreliable" if verdict == UNRELIABLE else "reliable"


# -- other models ----------------------------------------------------------------------------------


def _beside(material: Material) -> tuple[Block, ...]:
    """Return the models beside this one by leave-one-out, or why they cannot be compared."""
    if not material.beside:
        return ()
    try:
        found = compare_models({MINE: material.fit, **material.beside}, refit=False)
    except QueryError as error:
        # One line a reason.
        first, *reasons = str(error).splitlines()
        return (
            Words(f"Leave-one-out does not rank the models beside this one: {first}"),
            *(Words(reason, "note") for reason in reasons),
        )
    table = found.table.drop(columns="refitted").reset_index()
    heads = {"elpd_diff": "difference", "dse": "se of difference", "p_worse": "P(worse)"}
    heads |= {"p": "p_loo", "n_bad_k": "unreliable"}
    return (
        *(Words(sentence) for sentence in found.sentences),
        Table(
            "influence-models",
            f"Models by leave-one-{found.unit}-out, the best first; without refits",
            table.rename(columns=heads),
        ),
        *(Words(note, "note") for note in found.notes),
    )
