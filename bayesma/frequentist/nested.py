"""Multilevel meta-analysis: nested group effects around a linear predictor, with a full V."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bayesma.covariance import Blocks, Whitening, blocks_of, check_definite
from bayesma.effects import Effects
from bayesma.errors import SpecError, did_you_mean
from bayesma.formulas import parse
from bayesma.frequentist.coding import complete, treatment_matrix
from bayesma.frequentist.criterion import Criterion, criterion_of, minimised, starts
from bayesma.frequentist.inference import check_probability, joint_test
from bayesma.frequentist.leastsquares import check_rank
from bayesma.frequentist.levels import Levels, containment, levels_of
from bayesma.frequentist.rows import Rows, rows_of

__all__ = ["Multilevel", "multilevel"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

METHODS = ("REML", "ML")
DFS = {"z": "z", "t": "t", "residual": "t", "containment": "containment", "contain": "containment"}


@dataclass(frozen=True)
class Multilevel:
    """A fitted multilevel meta-analysis.

    Attributes
    ----------
    table : pandas.DataFrame
        Index: term; columns estimate, se, ci_low, ci_high, statistic, df, p. df is NaN for z.
    covariance : ndarray, shape (p, p)
        Of the coefficients.
    sigma2 : pandas.Series
        Variance of each level, outermost first, in squared units of the effect; exactly 0 where
        the likelihood is highest there.
    prediction : tuple of float or None
        Interval for the true effect of a new row of a new group, b -+ q sqrt(se^2 + sum sigma2);
        None with terms.
    i2 : pandas.Series or None
        Share of each level in the variance of a row, in percent; None with terms.
    qm, qm_df, qm_p : float, tuple, float; or None
        Test of all terms but the intercept: chi2, or F with the least of their df.
    qe, qe_df, qe_p : float, int, float
        Test of residual heterogeneity, r'V^-1 r at all sigma2 = 0.
    log_likelihood, aic, bic, aicc : float
        Restricted for REML; k - p stands for k there.
    k : int
    method, df : str
    ci_prob : float
    rows : Rows
    X : ndarray, shape (k, p)
    V : Blocks
        Sampling covariance.
    levels : Levels
    free : tuple of bool
        Whether each variance was estimated rather than given.
    notes : tuple of str
    """

    table: pd.DataFrame
    covariance: Floats = field(repr=False)
    sigma2: pd.Series[float]
    prediction: tuple[float, float] | None
    i2: pd.Series[float] | None
    qm: float | None
    qm_df: tuple[float, ...] | None
    qm_p: float | None
    qe: float
    qe_df: int
    qe_p: float
    log_likelihood: float
    aic: float
    bic: float
    aicc: float
    k: int
    method: str
    df: str
    ci_prob: float
    rows: Rows = field(repr=False)
    X: Floats = field(repr=False)
    V: Blocks = field(repr=False)
    levels: Levels = field(repr=False)
    free: tuple[bool, ...] = field(repr=False)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say what was fitted."""
        spread = ", ".join(f"{name} {value:.4g}" for name, value in self.sigma2.items())
        return (
            f"<Multilevel {self.method}, {self.df}, k = {self.k}: "
            f"{', '.join(self.table.index)}; sigma2: {spread}>"
        )

    @property
    def beta(self) -> Floats:
        """Coefficients, shape (p,)."""
        return self.table["estimate"].to_numpy(dtype=float)

    @property
    def groups(self) -> pd.Series[int]:
        """Number of groups of each level."""
        return pd.Series(self.levels.counts, index=self.sigma2.index, name="groups")


def multilevel(
    effects: Effects | ArrayLike,
    formula: str = "~ 1",
    *,
    random: str = "study/experiment",
    v: ArrayLike | None = None,
    V: ArrayLike | None = None,
    data: pd.DataFrame | None = None,
    method: str = "REML",
    df: str = "containment",
    ci_prob: float = 0.95,
    sigma2: Sequence[float | None] | None = None,
) -> Multilevel:
    """Return a multilevel meta-analysis, y ~ N(X b, V + sum_l sigma2_l Z_l Z_l').

    b = (X'S^-1 X)^-1 X'S^-1 y at the variances of highest (restricted) likelihood (Harville 1977,
    JASA 72:320; for meta-analysis Konstantopoulos 2011, Research Synthesis Methods 2:61). The
    prediction interval is that of Higgins, Thompson & Spiegelhalter (2009, JRSS A 172:137,
    eq. 12) with the sum of the variances.

    Parameters
    ----------
    effects : Effects or array_like, shape (k,)
        Effects with their variances and covariances, or y alone.
    formula : str
        Terms of the mean, as `meta_regression` takes them.
    random : str
        Nested columns, outermost first: ``"study/experiment"``, ``"(1 | study/experiment)"``.
        Labels are read within the level above; a row without one is a group of its own.
    v : array_like, shape (k,), optional
        Sampling variances of a bare y.
    V : array_like, shape (k, k), optional
        Sampling covariance. It takes the place of the variances that effects hold.
    data : pandas.DataFrame, optional
        Columns of a bare y.
    method : {"REML", "ML"}
    df : {"containment", "t", "z"}
        Degrees of freedom of each coefficient: by containment, k - p, or none. By containment
        it is the fewest groups among the levels within which the coefficient's column does not
        vary (k if there is none) minus p, and at least 1.
    ci_prob : float
        Probability of the intervals.
    sigma2 : sequence of float or None, optional
        Variances to hold fixed, outermost first; None where one is to be estimated.

    Returns
    -------
    Multilevel

    Raises
    ------
    DataError
        With every row whose y or v cannot be used.
    SpecError
        If a name is unknown, V is no covariance, terms are collinear, or the rows cannot tell
        the variances.
    """
    method, df = _known(method, df, ci_prob)
    rows, covariance, notes = _rows(effects, v, V, data)
    parsed = parse(formula, "formula")
    if parsed.groups:
        raise SpecError(f"formula = '{formula}': give groups as random='{'/'.join(parsed.groups)}'")
    keep = complete(parsed, rows.frame)
    if not keep.all():
        left = int((~keep).sum())
        notes = (*notes, f"{left} of {len(rows)} rows left out: a term of '{formula}' is missing")
        index = np.flatnonzero(keep)
        rows, covariance = rows.take(index), covariance.take(index)
    X, terms = treatment_matrix(parsed, rows.frame)
    check_rank(X, terms, len(rows))
    levels = levels_of(random, rows.frame, rows.labels)
    criterion = criterion_of(rows.y, X, covariance, levels, method == "REML")
    variances, free = _variances(criterion, rows, levels, sigma2)
    return _result(
        criterion, rows, X, terms, covariance, levels, variances, free, method, df, ci_prob, notes
    )


def _known(method: str, df: str, ci_prob: float) -> tuple[str, str]:
    """Return the names of the method and of the degrees of freedom, or refuse them."""
    if method not in METHODS:
        raise SpecError(f"method = '{method}' is unknown; {did_you_mean(method, METHODS)}")
    if df not in DFS:
        known = list(dict.fromkeys(DFS.values()))
        raise SpecError(f"df = '{df}' is unknown; {did_you_mean(df, known)}")
    check_probability(ci_prob)
    return method, DFS[df]


def _rows(
    effects: Effects | ArrayLike,
    v: ArrayLike | None,
    V: ArrayLike | None,
    data: pd.DataFrame | None,
) -> tuple[Rows, Blocks, tuple[str, ...]]:
    """Return checked rows, their sampling covariance and what is to be said of them."""
    if V is not None and v is not None:
        raise SpecError("v and V are both given; the diagonal of V is v: drop v=")
    own = effects if isinstance(effects, Effects) else None
    if V is None:
        if own is None:
            rows = rows_of(effects, v, data=data)
            return replace(rows, notes=()), Blocks(rows.v), ()
        rows = rows_of(replace(own, covariance=Blocks(own.v)), v, data=data)
        check_definite(own.covariance, rows.labels)
        return replace(rows, notes=()), own.covariance, ()
    covariance = _given(V, len(own) if own else len(np.atleast_1d(np.asarray(effects))))
    if own is None:
        rows = rows_of(effects, covariance.v, data=data)
        return replace(rows, notes=()), covariance, ()
    rows = rows_of(replace(own, covariance=Blocks(own.v)), data=data)
    notes = ("the sampling covariance V given stands in for that of the effects",)
    return replace(rows, v=covariance.v, notes=()), covariance, notes


def _given(V: ArrayLike, k: int) -> Blocks:
    found = np.asarray(V, dtype=float)
    if found.ndim == 1:
        raise SpecError("V is a matrix, k by k; give the variances alone as v=")
    if found.shape != (k, k):
        raise SpecError(f"V has shape {found.shape} and y {k} rows; V must be {k} by {k}")
    return blocks_of(found)


def _variances(
    criterion: Criterion, rows: Rows, levels: Levels, given: Sequence[float | None] | None
) -> tuple[Floats, Bools]:
    """Return the variances of the levels, and which of them were estimated."""
    n = len(levels.names)
    fixed = [None] * n if given is None else list(given)
    if len(fixed) != n:
        raise SpecError(f"sigma2 has {len(fixed)} values for {n} levels: {', '.join(levels.names)}")
    for value in fixed:
        if value is not None and not 0 <= value < np.inf:
            raise SpecError(f"sigma2 = {value}: a variance is a number, 0 or above")
    free = np.array([value is None for value in fixed])
    held = np.array([0.0 if value is None else float(value) for value in fixed])
    if not free.any():
        return held, free
    return estimated(criterion, held, free, float(1 / np.mean(1 / rows.v))), free


def estimated(criterion: Criterion, held: Floats, free: Bools, typical: float) -> Floats:
    """Return the variances of least deviance: the best of the minima that a grid leads to.

    Parameters
    ----------
    criterion : Criterion
    held : ndarray, shape (levels,)
        Values of those that are not free.
    free : ndarray of bool, shape (levels,)
    typical : float
        A typical sampling variance.
    """
    grid = starts(criterion, held, free, max(criterion.spread, typical))
    found = [minimised(criterion, start, free, typical) for start in grid]
    deviance = [float(criterion.at(variances).deviance) for variances in found]
    return found[int(np.argmin(deviance))]


def _result(
    criterion: Criterion,
    rows: Rows,
    X: Floats,
    terms: tuple[str, ...],
    covariance: Blocks,
    levels: Levels,
    sigma2: Floats,
    free: Bools,
    method: str,
    df: str,
    ci_prob: float,
    notes: tuple[str, ...],
) -> Multilevel:
    (k, p), names = X.shape, pd.Index(levels.names, name="level")
    beta, spread = criterion.coefficients(sigma2)
    dfs = _degrees(df, levels, X)
    table = coefficient_table(terms, beta, spread, dfs, ci_prob)
    qm, qm_df, qm_p = _moderators(terms, beta, spread, dfs)
    qe, typical = _fixed(rows.y, X, covariance)
    log_likelihood = -float(criterion.at(sigma2).deviance) / 2
    only_mean = terms == ("Intercept",)
    return Multilevel(
        table=table,
        covariance=spread,
        sigma2=pd.Series(sigma2, index=names, name="sigma2"),
        prediction=_prediction(table, sigma2, ci_prob) if only_mean else None,
        i2=pd.Series(100 * sigma2 / (sigma2.sum() + typical), index=names) if only_mean else None,
        qm=qm,
        qm_df=qm_df,
        qm_p=qm_p,
        qe=qe,
        qe_df=k - p,
        qe_p=float(special.chdtrc(k - p, qe)),
        log_likelihood=log_likelihood,
        **_criteria(log_likelihood, k - p if method == "REML" else k, p + int(free.sum())),
        k=k,
        method=method,
        df=df,
        ci_prob=ci_prob,
        rows=rows,
        X=X,
        V=covariance,
        levels=levels,
        free=tuple(bool(one) for one in free),
        notes=(*notes, *_notes(levels, X, df)),
    )


def _degrees(df: str, levels: Levels, X: Floats) -> Floats:
    """Return the degrees of freedom of each coefficient; NaN for z."""
    k, p = X.shape
    if df == "containment":
        return containment(levels, X)
    return np.full(p, float(k - p) if df == "t" else np.nan)


def _notes(levels: Levels, X: Floats, df: str) -> tuple[str, ...]:
    p = X.shape[1]
    if df != "containment" or min(levels.counts) > p:
        return ()
    return (
        f"{min(levels.counts)} groups of {levels.names[0]} carry {p} coefficients: the degrees of "
        "freedom by containment would be below 1 and are set to 1",
    )


def coefficient_table(
    terms: tuple[str, ...], beta: Floats, covariance: Floats, df: Floats, ci_prob: float
) -> pd.DataFrame:
    """Return the coefficients with their tests, each on its own df; NaN for z."""
    se = np.sqrt(np.diag(covariance))
    statistic = beta / se
    normal = np.isnan(df)
    upper = 0.5 + ci_prob / 2
    half = se * np.where(normal, special.ndtri(upper), special.stdtrit(df, upper))
    size = np.abs(statistic)
    tail = np.where(normal, special.ndtr(-size), special.stdtr(df, -size))
    columns = {
        "estimate": beta,
        "se": se,
        "ci_low": beta - half,
        "ci_high": beta + half,
        "statistic": statistic,
        "df": df,
        "p": 2 * tail,
    }
    return pd.DataFrame(columns, index=pd.Index(terms, name="term"))


def _moderators(
    terms: tuple[str, ...], beta: Floats, covariance: Floats, df: Floats
) -> tuple[float | None, tuple[float, ...] | None, float | None]:
    tested = [j for j, term in enumerate(terms) if term != "Intercept"]
    if not tested:
        return None, None, None
    least = float(df[tested].min())
    qm, qm_p = joint_test(
        beta[tested], covariance[np.ix_(tested, tested)], None if np.isnan(least) else least
    )
    return qm, (len(tested),) if np.isnan(least) else (len(tested), least), qm_p


def _prediction(table: pd.DataFrame, sigma2: Floats, ci_prob: float) -> tuple[float, float]:
    estimate, se, df = (float(table[name].iloc[0]) for name in ("estimate", "se", "df"))
    upper = 0.5 + ci_prob / 2
    q = special.ndtri(upper) if np.isnan(df) else special.stdtrit(df, upper)
    half = float(q * np.sqrt(se**2 + sigma2.sum()))
    return estimate - half, estimate + half


def _criteria(log_likelihood: float, n: int, parameters: int) -> dict[str, float]:
    """Return AIC, BIC and the AIC of Hurvich & Tsai (1989), from n observations."""
    spare = max(n, parameters + 2)
    return {
        "aic": -2 * log_likelihood + 2 * parameters,
        "bic": -2 * log_likelihood + parameters * float(np.log(n)),
        "aicc": -2 * log_likelihood + 2 * parameters * spare / (spare - parameters - 1),
    }


def _fixed(y: Floats, X: Floats, covariance: Blocks) -> tuple[float, float]:
    """Return r'V^-1 r of generalised least squares, and the typical sampling variance.

    (k - p) / tr P with P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1 (Higgins & Thompson 2002,
    Statistics in Medicine 21:1539, eq. 9, where V is diagonal and X a column of ones).
    """
    whitening = covariance.whitening()
    white = _white(np.column_stack([y, X]), whitening)
    basis, _ = np.linalg.qr(white[:, 1:])
    residual = white[:, 0] - basis @ (basis.T @ white[:, 0])
    back = _white(basis, whitening, transposed=True)
    trace = (whitening.values**2).sum() - (back**2).sum()
    return float(residual @ residual), float((len(y) - X.shape[1]) / trace)


def _white(columns: Floats, whitening: Whitening, transposed: bool = False) -> Floats:
    """Return L^-1 times columns, or its transpose times them, for V = L L'."""
    to, source = whitening.rows, whitening.cols
    if transposed:
        to, source = source, to
    return np.column_stack(
        [
            np.bincount(to, whitening.values * column[source], minlength=whitening.n)
            for column in columns.T
        ]
    )
