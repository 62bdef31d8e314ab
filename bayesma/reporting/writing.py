"""The verb: a fit to its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bayesma.posterior import Fit
from bayesma.reporting.contents import sections_of
from bayesma.reporting.material import Material
from bayesma.reporting.noun import Report

if TYPE_CHECKING:
    from bayesma.checks import CrossCheck
    from bayesma.translation import Translation

__all__ = ["report"]


def report(
    fit: Fit,
    path: str | Path | None = None,
    *,
    beside: Mapping[str, Fit] | None = None,
    translation: Translation | None = None,
    check: CrossCheck | None = None,
    title: str | None = None,
    question: str | None = None,
    command: str | None = None,
    seed: int = 0,
) -> Report:
    """Return the report of a fit; write it as one self-contained HTML file.

    The page holds the answer with its numbers, the data, the model and its priors, convergence,
    predictive checks, the studies, decay curves, half-lives and contrasts, the cross-check,
    influence, prior sensitivity, the funnel, risk of bias, the translation to people and how to
    make it again, and ticks off the items of the Bayesian analysis reporting guidelines (Kruschke
    2021, Nature Human Behaviour 5: 1282). It samples nothing.

    Parameters
    ----------
    fit : Fit
        One that has not converged gives a page that says so first and withholds its answers.
    path : str or Path, optional
        Where to write the page; nothing is written where absent.
    beside : mapping of str to Fit, optional
        Other models of the same question by name (another decay form, say), whose answers stand
        beside the fit's.
    translation : Translation, optional
        From `translate`, for the section on people.
    check : CrossCheck, optional
        From `cross_check`. Where absent it is made, but for an exact likelihood of many rows,
        whose classical twin takes minutes.
    title : str, optional
        The model file's where absent.
    question : str, optional
        The review's question in its own words.
    command : str, optional
        What made the fit, where the fit does not know: printed under reproducibility.
    seed : int
        Of what is drawn for the report: study effects, a new study's effect.

    Returns
    -------
    Report
        With `Report.tables`, `Report.figures`, `Report.save`, `Report.save_tables` and
        `Report.save_figures`.

    Raises
    ------
    BayesmaError
        If the file cannot be written; nothing is left behind.
    """
    material = Material(fit, seed, dict(beside or {}), translation, question, command, check)
    made = Report(title or _title(fit), _subtitle(fit), fit.converged, sections_of(material))
    if path is not None:
        made.save(path)
    return made


def _rows_words(fit: Fit) -> str:
    pooled = fit.design.pooled
    if pooled.all():
        return "pooled results"
    return f"effects, {int(pooled.sum())} of them pooled results," if pooled.any() else "effects"


def _title(fit: Fit) -> str:
    model = fit.provenance.get("model")
    return str(model["title"]) if model else "A meta-analysis of drug effects"


def _subtitle(fit: Fit) -> str:
    effects, spec = fit.design.effects, fit.spec
    return (
        f"{len(effects)} {_rows_words(fit)} "
        f"({effects.measure}); peak = {spec.peak}; decay = {spec.decay}; "
        f"likelihood = {'exact' if fit.design.exact is not None else 'normal'}"
    )
