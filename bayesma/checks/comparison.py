"""Models held against each other by leave-one-out: a table, weights, and what may be said."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bayesma.checks.comparable import faults_of
from bayesma.checks.loo import left_out, unreliable
from bayesma.errors import QueryError, did_you_mean
from bayesma.posterior import Fit

__all__ = ["ModelComparison", "compare_models"]

UNITS = ("study", "row")
WEIGHTS = ("stacking", "bb-pseudo-bma", "pseudo-bma")
COLUMNS = ["elpd", "se", "elpd_diff", "dse", "p_worse", "p", "weight", "n_bad_k", "refitted"]
# Sivula, Magnusson, Matamoros & Vehtari 2020, arXiv:2008.10296: where the models
# predict alike (a difference under 4) or the units are few, the normal approximation of the
# difference's error is too narrow.
ALIKE, ERRORS, MANY = 4.0, 2.0, 100
SOURCE = "Sivula, Magnusson, Matamoros & Vehtari 2020, arXiv:2008.10296"


@dataclass(frozen=True)
class ModelComparison:
    """Models ranked by how well they predict what they have not seen.

    Attributes
    ----------
    table : pandas.DataFrame
        Index: model, best first. elpd, the expected log predictive density of all units, and se;
        elpd_diff from the best, and its standard error dse, from the pairs; p_worse, the
        probability that the model is worse than the best, by a normal approximation; p, the
        effective number of parameters; weight; n_bad_k, units whose estimate is unreliable;
        refitted, units left out by sampling again.
    pointwise : pandas.DataFrame
        log p(y of the unit | the others): a row a unit, a column a model.
    pareto_k : pandas.DataFrame
        Pareto k by unit and model; 0 where the unit was left out by sampling again.
    unit : str
        What was left out: "row", or the outermost grouping column ("study").
    weighting : str
        How `weight` was computed.
    notes : tuple of str
        What to know of the numbers.
    """

    table: pd.DataFrame
    pointwise: pd.DataFrame
    pareto_k: pd.DataFrame
    unit: str
    weighting: str
    notes: tuple[str, ...]

    @property
    def weights(self) -> pd.Series[float]:
        """The weight of each model in an average of their predictions; they sum to 1."""
        return self.table["weight"]

    @property
    def best(self) -> str:
        """The model of the highest elpd."""
        return str(self.table.index[0])

    @property
    def tied(self) -> tuple[str, ...]:
        """Models that cannot be told apart from the best.

        abs(elpd_diff) < 4 or abs(elpd_diff) < 2 dse (Sivula et al. 2020, arXiv:2008.10296).
        """
        difference, error = self.table["elpd_diff"].abs(), self.table["dse"]
        alike = (difference < ALIKE) | (difference < ERRORS * error)
        return tuple(str(name) for name in self.table.index[alike] if name != self.best)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What may be said, the best first."""
        n, tied = len(self.pointwise), self.tied
        what = f"Of {len(self.table)} models, left out by {self.unit} ({n}),"
        worse = [str(name) for name in self.table.index[1:] if name not in tied]
        if not tied:
            return (f"{what} '{self.best}' predicts best: {self._against(worse)}.",)
        apart = f"{self._against(tied)} cannot be told apart from '{self.best}'"
        rule = (
            f"a difference under {ALIKE:g}, or under {ERRORS:g} of its standard errors, is none "
            f"to rely on ({SOURCE})"
        )
        if not worse:
            return (f"{what} no model is shown to predict best: {apart}; {rule}.",)
        return (
            f"{what} '{self.best}' has the highest elpd, but {apart}; {rule}.",
            f"Worse: {self._against(worse)}.",
        )

    def _against(self, names: Sequence[str]) -> str:
        """Return models with their differences from the best."""
        rows = self.table.loc[list(names), ["elpd_diff", "dse"]].itertuples()
        return ", ".join(f"'{r.Index}' ({r.elpd_diff:.1f}, se {r.dse:.1f})" for r in rows)

    def __repr__(self) -> str:
        """Show the table, and say whether the models can be told apart."""
        shown = self.table.to_string(float_format=lambda x: f"{x:.2f}")
        return "\n".join((shown, *self.sentences, *(f"note: {note}" for note in self.notes)))


def compare_models(
    fits: Mapping[str, Fit] | Sequence[Fit],
    by: str = "study",
    weights: str = "stacking",
    refit: bool = True,
    progress: bool = False,
) -> ModelComparison:
    """Rank models by leave-one-out on the marginal likelihood, and weigh them.

    Parameters
    ----------
    fits : mapping of str to Fit, or sequence of Fit
        Two or more, of the same rows, by name; in a sequence they are called by their number.
    by : {"study", "row"}
        What is left out: a whole outermost group, which asks how a new study is predicted, or one
        row of it, its study's other rows known.
    weights : {"stacking", "bb-pseudo-bma", "pseudo-bma"}
        Stacking of predictive distributions, or Akaike-type weights with and without the Bayesian
        bootstrap (Yao, Vehtari, Simpson & Gelman 2018, Bayesian Analysis 13:917). They are the
        shares of a mixture that predicts best, and no probabilities of the models.
    refit : bool
        Whether units with an unreliable Pareto k are left out by sampling again.
    progress : bool
        Whether the refits show their progress.

    Returns
    -------
    ModelComparison

    Raises
    ------
    QueryError
        If the fits cannot be compared: other rows, outcomes, directions, scales, sampling
        variances or groups; the normal likelihood against the exact one; pooled rows; fewer than
        10 units; fits that have not converged. One message names all that is wrong.
    """
    named = _named(fits)
    for name, value, known in (("by", by, UNITS), ("weights", weights, WEIGHTS)):
        if value not in known:
            raise QueryError(f"{name} = '{value}'; {did_you_mean(str(value), known)}")
    faults = faults_of(named, by)
    if faults:
        raise QueryError("\n".join(("these models cannot be compared:", *faults)))
    results = {name: left_out(fit, by, refit, progress) for name, fit in named.items()}
    # A fit's own order of the rows is not the others'.
    unit, labels = _units(next(iter(named.values())), by)
    found = {name: result for name, (result, _) in results.items()}
    pointwise = _by_unit({n: r.elpd_i for n, r in found.items()}, named, by, labels)
    pareto_k = _by_unit({n: r.pareto_k for n, r in found.items()}, named, by, labels)
    table = _ranked(found, pointwise, weights)
    table["n_bad_k"] = pd.Series({name: int(unreliable(r).sum()) for name, r in found.items()})
    table["refitted"] = pd.Series({name: len(again) for name, (_, again) in results.items()})
    order = list(table.index)
    return ModelComparison(
        table[COLUMNS],
        pointwise[order],
        pareto_k[order],
        unit,
        weights,
        _notes(table, pointwise, unit, weights, next(iter(named.values()))),
    )


def _named(fits: Mapping[str, Fit] | Sequence[Fit]) -> dict[str, Fit]:
    if isinstance(fits, Fit):
        fits = [fits]
    if not isinstance(fits, Mapping):
        fits = {f"model {i}": fit for i, fit in enumerate(fits, 1)}
    wrong = [f"'{name}' is a {type(f).__name__}" for name, f in fits.items() if type(f) is not Fit]
    if wrong:
        raise QueryError(f"models are compared by their fits: {', '.join(wrong)}")
    if len(fits) < 2:
        raise QueryError(f"{len(fits)} model: a comparison needs two fits or more")
    return {str(name): fit for name, fit in fits.items()}


def _units(fit: Fit, by: str) -> tuple[str, list[str]]:
    """Return what is left out, and the label of each."""
    plan = fit.design
    if by == "row":
        return "row", [str(row) for row in plan.effects.frame["row_id"]]
    return plan.unit, list(plan.groups.labels[0])


def _keys(fit: Fit, by: str) -> list[str]:
    """Return what a unit is known by in every fit: its row, or the first of its rows."""
    plan = fit.design
    rows = [str(row) for row in plan.effects.frame["row_id"]]
    if by == "row":
        return rows
    first: dict[int, str] = {}
    for row, group in zip(rows, plan.groups.outermost, strict=True):
        first[int(group)] = min(row, first.get(int(group), row))
    return [first[group] for group in range(len(plan.groups.labels[0]))]


def _by_unit(
    values: Mapping[str, Any], fits: Mapping[str, Fit], by: str, labels: Sequence[str]
) -> pd.DataFrame:
    """Return one column a model, its units in the order of the first model's."""
    columns = {name: pd.Series(v.values, index=_keys(fits[name], by)) for name, v in values.items()}
    return pd.DataFrame(columns).loc[_keys(next(iter(fits.values())), by)].set_axis(list(labels))


def _ranked(found: Mapping[str, Any], pointwise: pd.DataFrame, weights: str) -> pd.DataFrame:
    """Return ArviZ's comparison, unrounded.

    What all models share in a unit says nothing of them: taken out, a study of many rows, whose
    density is no number on the scale of the weights, is weighed like the others.
    """
    import arviz_stats

    shared = pointwise.max(axis=1)
    shifted = {}
    for name, result in found.items():
        elpd_i = result.elpd_i.copy(data=(pointwise[name] - shared).to_numpy())
        pareto_k = result.pareto_k.copy(data=result.pareto_k.values)
        elpd = float(elpd_i.sum())
        shifted[name] = replace(result, elpd=elpd, elpd_i=elpd_i, pareto_k=pareto_k)
    with warnings.catch_warnings():
        # Said in the notes, with what to do.
        warnings.filterwarnings("ignore", message="Difference in performance potentially due")
        warnings.filterwarnings("ignore", message="All models have nearly identical")
        table: pd.DataFrame = arviz_stats.compare(shifted, method=weights, round_to="none")
    for column in ("elpd", "se", "p"):
        table[column] = pd.Series({name: float(r[column]) for name, r in found.items()})
    table["weight"] = table["weight"].clip(0, 1)  # the optimiser's -1e-17
    return table.rename_axis("model")


def _notes(
    table: pd.DataFrame, pointwise: pd.DataFrame, unit: str, weights: str, fit: Fit
) -> tuple[str, ...]:
    notes = []
    bad = table.loc[table["n_bad_k"] > 0, "n_bad_k"]
    if len(bad):
        counts = ", ".join(f"'{name}' {n}" for name, n in bad.items())
        notes.append(
            f"Pareto k too high: {counts}; these estimates are too good to be true. refit=True "
            "leaves such units out by sampling again; where it did not converge, neither elpd nor "
            "rank can be trusted"
        )
    again = table.loc[table["refitted"] > 0, "refitted"]
    if len(again):
        counts = ", ".join(f"'{name}' {n}" for name, n in again.items())
        notes.append(f"left out by sampling again, for their Pareto k: {counts}")
    if len(pointwise) < MANY:
        notes.append(
            f"{len(pointwise)} units are few: under {MANY} the standard error of a difference is "
            f"itself too small ({SOURCE})"
        )
    if len(table) > 11:
        notes.append(
            f"the best of {len(table)} models looks better than it is (McLatchie & Vehtari 2024, "
            "Statistics and Computing 34:132); rely on the weights"
        )
    if fit.spec.likelihood == "normal":
        notes.append(
            "the normal likelihood takes sampling variances as known: its elpd ranks these models, "
            "and is no measure of how they stand against an exact likelihood"
        )
    if weights == "stacking":
        notes.append("stacking weights are shares of a mixture, no probabilities of the models")
    return tuple(notes)
