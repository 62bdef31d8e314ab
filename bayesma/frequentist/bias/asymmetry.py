"""Asymmetry: whether effects go with the precision or the size of their study.

There is no fail-safe N here: how many null results would undo a significance test says nothing
of the size of the effect or of its heterogeneity, and takes the unseen studies to average 0.
Cochrane's handbook advises against it (Higgins et al. 2023, chapter 13).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesma.effects import Effects
from bayesma.errors import DataError, SpecError, did_you_mean
from bayesma.frequentist.linear.inference import Inference, check_probability, infer
from bayesma.frequentist.linear.leastsquares import check_rank, weighted
from bayesma.frequentist.linear.regression import coefficient_table, linear_model
from bayesma.frequentist.linear.rows import Rows, numbers_of, rows_of
from bayesma.smallstudy import SIZES

__all__ = [
    "MODELS",
    "PREDICTORS",
    "Asymmetry",
    "dispersed",
    "egger",
    "line_design",
    "standardised_advice",
]

Floats = NDArray[np.float64]

MODELS = ("mixed", "lm")
# Each predictor as a function of (v, n).
PREDICTORS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "se": lambda v, n: np.sqrt(v),
    "v": lambda v, n: v,
    "n": lambda v, n: n,
    "sqrt(n)": lambda v, n: np.sqrt(n),
    "1/n": lambda v, n: 1 / n,
    "1/sqrt(n)": lambda v, n: 1 / np.sqrt(n),
}
OF_VARIANCE = ("se", "v")
# Those that fall to 0 as a study grows: the intercept is the effect of a study without end.
WITH_LIMIT = ("se", "v", "1/n", "1/sqrt(n)")
# What metafor calls them.
ALIASES = {
    "sei": "se",
    "vi": "v",
    "ni": "n",
    "sqrtni": "sqrt(n)",
    "ninv": "1/n",
    "sqrtninv": "1/sqrt(n)",
    "rma": "mixed",
}
STANDARDISED = ("SMD", "SMDH")
FEW = 10


@dataclass(frozen=True)
class Asymmetry:
    """A regression of effects on their standard error, or another sign of a small study.

    Attributes
    ----------
    statistic, df, p : float, float or None, float
        Test of the slope against 0; df is None for z.
    limit, limit_ci : float and tuple of float, or None
        The intercept: what the line says of a study without end. None for "n" and "sqrt(n)".
    tau2 : float or None
        Residual heterogeneity of the mixed model; None for "lm".
    dispersion : float or None
        What multiplies every v in "lm", r'W r / (k - 2); None for the mixed model.
    predictor : str
        One of `PREDICTORS`.
    model : {"mixed", "lm"}
    beta : ndarray, shape (2,)
        Intercept and slope.
    inference : Inference
        Their standard errors, tests and intervals.
    k : int
    ci_prob : float
    notes : tuple of str
    """

    statistic: float
    df: float | None
    p: float
    limit: float | None
    limit_ci: tuple[float, float] | None
    tau2: float | None
    dispersion: float | None
    predictor: str
    model: str
    beta: Floats = field(repr=False)
    inference: Inference = field(repr=False)
    k: int
    ci_prob: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say the test as a sentence of a paper would."""
        test = "z" if self.df is None else f"t({self.df:g})"
        return (
            f"<Asymmetry on {self.predictor}, {self.model}, k = {self.k}: "
            f"{test} = {self.statistic:.4g}, p = {self.p:.4g}>"
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """Index: Intercept and the predictor; columns as in `MetaRegression.table`."""
        return coefficient_table(("Intercept", self.predictor), self.beta, self.inference)


def egger(
    effects: Effects | ArrayLike,
    v: ArrayLike | None = None,
    *,
    predictor: str | None = None,
    n: ArrayLike | None = None,
    model: str = "mixed",
    method: str = "REML",
    ci: str = "z",
    ci_prob: float = 0.95,
) -> Asymmetry:
    """Return the test of b1 = 0 in y = b0 + b1 x: whether the funnel is askew.

    "mixed" adds tau2 to every v (Sterne & Egger 2005). "lm" multiplies every v by one dispersion
    instead, and tests on t with k - 2 degrees of freedom: with x = se it is the test of Egger et
    al. 1997 (BMJ 315:629), whose intercept is b1 here.

    The standard error of an SMD grows with the SMD itself, so that its funnel is skewed without
    any bias (Zwetsloot et al. 2017, eLife 6:e24260): for SMD and SMDH the predictor is
    "1/sqrt(n)" where every n is known, and a note says so where it is "se" or "v".

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances, or y alone; at least 3.
    v : array_like, shape (k,), optional
        Sampling variances of a bare y.
    predictor : {"se", "v", "n", "sqrt(n)", "1/n", "1/sqrt(n)"}, optional
        Where absent, "1/sqrt(n)" for `Effects` of SMD or SMDH with every n known, else "se".
    n : array_like, shape (k,), optional
        Size of each study; n_treated + n_control of `Effects` where absent.
    model : {"mixed", "lm"}
    method, ci : str
        Estimator of tau2 and kind of test in the mixed model, as in `meta_regression`.
    ci_prob : float
        Probability of the intervals.

    Returns
    -------
    Asymmetry

    Raises
    ------
    DataError
        With every row whose y, v or n cannot be used.
    SpecError
        If a name is unknown, there are fewer than 3 rows, or all have the same predictor.
    """
    rows = rows_of(effects, v)
    measure = effects.measure if isinstance(effects, Effects) else None
    chosen = _named(predictor or _default(rows, measure, n), tuple(PREDICTORS), "predictor")
    form = _named(model, MODELS, "model")
    sizes = rows.v if chosen in OF_VARIANCE else _sizes(rows, n, chosen)
    x = PREDICTORS[chosen](rows.v, sizes)
    notes = _advice(chosen, measure, len(rows))
    if form == "lm":
        return dispersed(rows, chosen, x, ci_prob, notes)
    return _mixed(rows, chosen, x, method, ci, ci_prob, notes)


def dispersed(
    rows: Rows, predictor: str, x: Floats, ci_prob: float, notes: tuple[str, ...] = ()
) -> Asymmetry:
    """Return the weighted regression of effects on x with a multiplicative dispersion.

    Parameters
    ----------
    rows : Rows
    predictor : str
        What x is.
    x : ndarray, shape (k,)
    ci_prob : float
    notes : tuple of str
    """
    check_probability(ci_prob)
    X = line_design(rows, predictor, x)
    fit, df = weighted(rows.y, 1 / rows.v, X), float(len(rows) - 2)
    dispersion = fit.q / df
    # Squares of what rounding leaves of effects that lie on the line.
    if dispersion < 1e-25:
        raise SpecError(
            f"the effects lie exactly on a line in {predictor}, so their dispersion is 0; use "
            "model='mixed'"
        )
    found = infer(fit.beta, fit.cov * dispersion, df, ci_prob)
    return _asymmetry(
        rows, "lm", predictor, fit.beta, found, df, None, dispersion, ci_prob, rows.notes + notes
    )


def _mixed(
    rows: Rows,
    predictor: str,
    x: Floats,
    method: str,
    ci: str,
    ci_prob: float,
    notes: tuple[str, ...],
) -> Asymmetry:
    X = line_design(rows, predictor, x)
    fit = linear_model(rows, X, ("Intercept", predictor), method, ci, ci_prob)
    df = None if fit.inference.df is None else float(fit.qe_df)
    return _asymmetry(
        rows,
        "mixed",
        predictor,
        fit.beta,
        fit.inference,
        df,
        fit.tau2,
        None,
        ci_prob,
        # The interval of tau2 is not shown, so nothing is said of it.
        rows.notes + notes,
    )


def _asymmetry(
    rows: Rows,
    model: str,
    predictor: str,
    beta: Floats,
    found: Inference,
    df: float | None,
    tau2: float | None,
    dispersion: float | None,
    ci_prob: float,
    notes: tuple[str, ...],
) -> Asymmetry:
    ends = predictor in WITH_LIMIT
    return Asymmetry(
        statistic=float(found.statistic[1]),
        df=df,
        p=float(found.p[1]),
        limit=float(beta[0]) if ends else None,
        limit_ci=(float(found.ci[0, 0]), float(found.ci[0, 1])) if ends else None,
        tau2=tau2,
        dispersion=dispersion,
        predictor=predictor,
        model=model,
        beta=beta,
        inference=found,
        k=len(rows),
        ci_prob=ci_prob,
        notes=notes,
    )


def _named(name: str, known: tuple[str, ...], what: str) -> str:
    found = ALIASES.get(str(name), str(name))
    if found not in known:
        raise SpecError(f"{what} = '{name}' is unknown; {did_you_mean(name, known)}")
    return found


def _default(rows: Rows, measure: str | None, n: ArrayLike | None) -> str:
    """Return the predictor of an SMD where sizes are known; the standard error of all else."""
    if measure not in STANDARDISED:
        return "se"
    known = n is not None or (
        set(SIZES) <= set(rows.frame) and bool(rows.frame[list(SIZES)].notna().all(axis=None))
    )
    return "1/sqrt(n)" if known else "se"


def _sizes(rows: Rows, n: ArrayLike | None, predictor: str) -> Floats:
    """Return the size of each study, or one error for all rows that have none."""
    if n is None:
        missing = [name for name in SIZES if name not in rows.frame]
        if missing:
            raise SpecError(
                f"predictor = '{predictor}' needs the size of each study: give n=, or effects "
                f"with columns {' and '.join(SIZES)}"
            )
        # Not skipping what is missing: half a study is not its size.
        sizes = rows.frame[list(SIZES)].sum(axis=1, skipna=False).to_numpy(dtype=float)
    else:
        sizes = numbers_of(n, "n")
    if sizes.shape != (len(rows),):
        raise SpecError(f"n has shape {sizes.shape} and y {len(rows)} rows; each effect has an n")
    faults = [
        f"row {label}: n = {size:g}: a study has at least one subject; give its n or leave it out"
        for label, size in zip(rows.labels, sizes, strict=True)
        if not (np.isfinite(size) and size > 0)
    ]
    if faults:
        raise DataError("\n".join(faults))
    return sizes


def line_design(rows: Rows, predictor: str, x: Floats) -> Floats:
    """Return the design (1, x) of a line through effects, where there is a line to see."""
    if len(rows) < 3:
        raise SpecError(
            f"{len(rows)} row{'s' if len(rows) > 1 else ''}: a line through effects against "
            f"{predictor} has two coefficients, and a test of it needs at least 3 rows"
        )
    # As equal as check_rank would call them.
    if np.ptp(x) <= 1e-9 * np.abs(x).max():
        raise SpecError(
            f"every row has the same {predictor} ({x[0]:g}), so an effect that goes with it "
            "cannot be seen; choose another predictor"
        )
    X = np.column_stack([np.ones(len(rows)), x])
    check_rank(X, ("Intercept", predictor), len(rows))
    return X


def _advice(predictor: str, measure: str | None, k: int) -> tuple[str, ...]:
    """Return what a reader must know of the test."""
    notes = standardised_advice(predictor, measure)
    if k >= FEW:
        return notes
    return (
        *notes,
        f"{k} rows: with fewer than {FEW} a test of asymmetry has little power to tell chance "
        "from bias (Sterne et al. 2011, BMJ 343:d4002)",
    )


def standardised_advice(predictor: str, measure: str | None) -> tuple[str, ...]:
    """Return a note where a variance that grows with the effect is what effects are held to."""
    if predictor not in OF_VARIANCE or measure not in STANDARDISED:
        return ()
    return (
        f"the sampling variance of an {measure} grows with the {measure} itself, so that its "
        "funnel is skewed without any bias (Zwetsloot et al. 2017); bm.egger(effects, "
        "predictor='1/sqrt(n)') is free of that",
    )
