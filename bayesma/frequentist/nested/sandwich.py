"""Cluster-robust standard errors: what the residuals say, whatever the model says of V."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from bayesma.covariance import Blocks
from bayesma.errors import SpecError, did_you_mean
from bayesma.frequentist.linear.heterogeneity import COMMON
from bayesma.frequentist.linear.inference import (
    Inference,
    check_probability,
    critical,
    infer,
    joint_test,
)
from bayesma.frequentist.linear.pooled import Pooled
from bayesma.frequentist.linear.regression import MetaRegression, coefficient_table
from bayesma.frequentist.nested.multilevels import Multilevel
from bayesma.frequentist.nested.sums import dependent_rows
from bayesma.grouping import nested

__all__ = ["Robust", "robust"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KINDS = ("CR0", "CR1", "CR1S", "CR2")
# Below so many degrees of freedom the Satterthwaite approximation errs on the wrong side (Tipton
# 2015, Psychological Methods 20:375).
FEW_DEGREES = 4


@dataclass(frozen=True)
class Robust:
    """Cluster-robust inference on a fit.

    Attributes
    ----------
    terms : tuple of str, length p
    beta : ndarray, shape (p,)
        The fit's coefficients; `table` shows them.
    inference : Inference
    covariance : ndarray, shape (p, p)
        Robust covariance of the coefficients.
    prediction : tuple of float or None
        Interval for a new true effect, b -+ t sqrt(se^2 + tau2), with the fit's own
        heterogeneity; None with terms, or for the common-effect model.
    qm, qm_df, qm_p : float, tuple, float; or None
        F test of all terms but the intercept: the Wald test for CR0, CR1 and CR1S, the
        approximate Hotelling's T2 for CR2. None without such terms, or where there are too few
        clusters for it.
    kind : {"CR0", "CR1", "CR1S", "CR2"}
    cluster : str
    clusters, k : int
        Clusters and rows.
    ci_prob : float
    notes : tuple of str
    """

    terms: tuple[str, ...]
    beta: Floats = field(repr=False)
    inference: Inference = field(repr=False)
    covariance: Floats = field(repr=False)
    prediction: tuple[float, float] | None
    qm: float | None
    qm_df: tuple[float, float] | None
    qm_p: float | None
    kind: str
    cluster: str
    clusters: int
    k: int
    ci_prob: float
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say what was computed."""
        return (
            f"<Robust {self.kind}, {self.clusters} clusters by {self.cluster}, k = {self.k}: "
            f"{', '.join(self.terms)}>"
        )

    @cached_property
    def table(self) -> pd.DataFrame:
        """Index: term; columns estimate, se, ci_low, ci_high, statistic, df, p."""
        return coefficient_table(self.terms, self.beta, self.inference)


@dataclass(frozen=True)
class _Part:
    """Rows that depend on each other, with their marginal covariance."""

    rows: Ints
    covariance: Floats
    X: Floats
    residual: Floats

    @cached_property
    def solved(self) -> Floats:
        """Return covariance^-1 X."""
        return np.linalg.solve(self.covariance, self.X)


def robust(
    result: MetaRegression | Pooled | Multilevel,
    cluster: str | Sequence[object] = "study",
    *,
    kind: str = "CR2",
    ci_prob: float | None = None,
) -> Robust:
    """Return cluster-robust standard errors, tests and intervals of a fit.

    V_R = M (sum_c X_c'W_c A_c e_c e_c'A_c W_c X_c) M with M = (X'W X)^-1, W the inverse of the
    fit's marginal covariance and e = y - X b (Hedges, Tipton & Johnson 2010, Research Synthesis
    Methods 1:39). A_c = 1 for CR0; CR1 multiplies by m/(m - p) and CR1S by
    m (k - 1)/((m - 1)(k - p)), for m clusters; both test on t with m - p degrees of freedom. CR2
    takes A_c = D'(D (Phi_c - X_c M X_c') D')^-1/2 D, D'D = Phi_c, unbiased where the fit's
    covariance Phi holds (Bell & McCaffrey 2002, Survey Methodology 28:169; Pustejovsky & Tipton
    2018, J. Business & Economic Statistics 36:672), with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    result : MetaRegression, Pooled or Multilevel
    cluster : str or sequence, length k
        Column of the rows, or a label for each. A row without one is a cluster of its own.
    kind : {"CR2", "CR1", "CR0", "CR1S"}
    ci_prob : float, optional
        The fit's own where absent.

    Returns
    -------
    Robust

    Raises
    ------
    SpecError
        If the result is of another kind, a name is unknown, there are no more clusters than
        coefficients, or, for CR2, rows of different clusters depend on each other in the fit.
    """
    if kind not in KINDS:
        raise SpecError(f"kind = '{kind}' is unknown; {did_you_mean(kind, KINDS)}")
    fit = result.model if isinstance(result, Pooled) else result
    if not isinstance(fit, MetaRegression | Multilevel):
        raise SpecError(
            "robust is of a result of bm.pool, bm.meta_regression or bm.multilevel, not of "
            f"{type(fit).__name__}"
        )
    prob = fit.ci_prob if ci_prob is None else ci_prob
    check_probability(prob)
    codes, name, notes = _clusters(fit, cluster)
    m, (k, p) = int(codes.max()) + 1, fit.X.shape
    if m <= p:
        raise SpecError(
            f"{m} clusters of {name} cannot carry {p} coefficients ({', '.join(fit.terms)}): "
            "robust standard errors need more clusters than coefficients"
        )
    parts = _parts(fit, codes, kind)
    bread = np.linalg.inv(np.asarray(sum(part.X.T @ part.solved for part in parts)))
    tested = [j for j, term in enumerate(fit.terms) if term != "Intercept"]
    if kind == "CR2":
        found = _Adjusted.of(parts, bread)
        df: Floats = found.degrees()
        _check_seen(fit.terms, found.covariance, bread)
        covariance, test = found.covariance, found.joint(fit.beta, tested)
        unseen = found.unseen(fit.terms)
        notes = (*notes, *unseen, *_notes_on_degrees(fit.terms, df))
    else:
        covariance = _plain(parts, bread, codes) * _factor(kind, m, k, p)
        _check_seen(fit.terms, covariance, bread)
        df = np.full(p, float(m - p))
        test = _wald(fit.beta, covariance, tested, float(m - p))
    notes = (*notes, *_notes_on_test(tested, test))
    qm, qm_df, qm_p = test
    return Robust(
        terms=fit.terms,
        beta=fit.beta,
        inference=infer(fit.beta, covariance, df, prob),
        covariance=covariance,
        prediction=_prediction(fit, covariance, df, prob),
        qm=qm,
        qm_df=qm_df,
        qm_p=qm_p,
        kind=kind,
        cluster=name,
        clusters=m,
        k=k,
        ci_prob=prob,
        notes=notes,
    )


def _check_seen(terms: tuple[str, ...], covariance: Floats, bread: Floats) -> None:
    """Refuse terms that one cluster settles alone: its residuals are 0 and say nothing."""
    # What rounding leaves of residuals that are 0.
    unseen = np.diag(covariance) <= 1e-18 * np.diag(bread)
    if unseen.any():
        named = ", ".join(term for term, is_unseen in zip(terms, unseen, strict=True) if is_unseen)
        raise SpecError(
            f"the residuals of the clusters are 0 where they would show the error of {named}: a "
            "term that one cluster settles alone has no robust standard error; leave it out"
        )


def _prediction(
    fit: MetaRegression | Multilevel, covariance: Floats, df: Floats, prob: float
) -> tuple[float, float] | None:
    random = isinstance(fit, Multilevel) or fit.method != COMMON
    if fit.terms != ("Intercept",) or not random:
        return None
    spread = fit.variances.sum() if isinstance(fit, Multilevel) else fit.tau2
    half = float(critical(float(df[0]), prob) * np.sqrt(covariance[0, 0] + spread))
    return float(fit.beta[0]) - half, float(fit.beta[0]) + half


# -- rows and clusters -------------------------------------------------------------------------


def _clusters(
    fit: MetaRegression | Multilevel, cluster: str | Sequence[object]
) -> tuple[Ints, str, tuple[str, ...]]:
    """Return the cluster of each row, numbered from 0, its name, and what is to be said."""
    frame, own = fit.rows.frame, fit.rows.labels
    if isinstance(cluster, str):
        if cluster not in frame:
            known = [str(column) for column in frame]
            raise SpecError(f"cluster: no column '{cluster}'; {did_you_mean(cluster, known)}")
        name, column = cluster, frame[cluster]
    elif np.ndim(np.asarray(cluster, dtype=object)) != 1:
        raise SpecError("cluster must be the name of a column or one label for each row")
    else:
        name, column = "cluster", pd.Series(list(cluster), dtype=object)
        if len(column) != len(own):
            raise SpecError(f"cluster has {len(column)} labels for the {len(own)} rows of the fit")
    codes, labels = nested(pd.DataFrame({name: column}), [name], own)
    missing = int(column.isna().sum())
    notes = (f"rows without a {name}, each a cluster of its own: {missing}",) if missing else ()
    if len(labels[0]) < len(own):
        return codes[0], name, notes
    return codes[0], name, (*notes, f"every row is a cluster of its own by {name}")


def _parts(fit: MetaRegression | Multilevel, codes: Ints, kind: str) -> list[_Part]:
    """Return the rows by cluster, or by what depends on each other where clusters cut that."""
    if isinstance(fit, Multilevel):
        V, groups, sigma2 = fit.V, fit.levels.codes, fit.variances
    else:
        V, groups, sigma2 = Blocks(fit.rows.v + fit.tau2), (), np.zeros(0)
    together = groups[0] if groups else np.arange(len(codes))
    sets = dependent_rows(V, together)
    if all((codes[rows] == codes[rows[0]]).all() for rows in sets):
        sets = dependent_rows(Blocks(V.v), codes)
    elif kind == "CR2":
        cut = next(rows for rows in sets if not (codes[rows] == codes[rows[0]]).all())
        first, second = (fit.rows.labels[i] for i in (cut[0], cut[codes[cut] != codes[cut[0]]][0]))
        raise SpecError(
            f"rows {first} and {second} depend on each other in the fit and stand in different "
            "clusters: CR2 needs clusters that hold whole groups; cluster by the outermost level, "
            "or use kind='CR1'"
        )
    residual = fit.rows.y - fit.X @ fit.beta
    matrices = _marginal(V, groups, sigma2, sets)
    return [
        _Part(rows, matrix, fit.X[rows], residual[rows])
        for rows, matrix in zip(sets, matrices, strict=True)
    ]


def _marginal(
    V: Blocks, groups: Sequence[Ints], sigma2: Floats, sets: Sequence[Ints]
) -> list[Floats]:
    """Return V + sum_l sigma2_l Z_l Z_l' of each set of rows, which no block of V leaves."""
    number, place = np.empty(len(V.v), dtype=np.int64), np.empty(len(V.v), dtype=np.int64)
    found = []
    for i, rows in enumerate(sets):
        number[rows], place[rows] = i, np.arange(len(rows))
        matrix = np.diag(V.v[rows])
        for code, variance in zip(groups, sigma2, strict=True):
            matrix += variance * (code[rows][:, None] == code[rows])
        found.append(matrix)
    for index, block in V.blocks:
        at = place[index]
        found[number[index[0]]][np.ix_(at, at)] += block - np.diag(np.diag(block))
    return found


# -- CR0, CR1 ----------------------------------------------------------------------------------


def _plain(parts: Sequence[_Part], bread: Floats, codes: Ints) -> Floats:
    """Return M sum_c X_c'W e e'W X_c M."""
    scores = np.zeros((codes.max() + 1, len(bread)))
    for part in parts:
        np.add.at(scores, codes[part.rows], part.solved * part.residual[:, None])
    return bread @ scores.T @ scores @ bread


def _factor(kind: str, m: int, k: int, p: int) -> float:
    if kind == "CR1":
        return m / (m - p)
    return m * (k - 1) / ((m - 1) * (k - p)) if kind == "CR1S" else 1.0


Test = tuple[float | None, tuple[float, float] | None, float | None]


def _wald(beta: Floats, covariance: Floats, tested: list[int], df: float) -> Test:
    if not tested:
        return None, None, None
    own = covariance[np.ix_(tested, tested)]
    if _singular(own):
        return None, None, None
    qm, qm_p = joint_test(beta[tested], own, df)
    return qm, (float(len(tested)), df), qm_p


def _singular(covariance: Floats) -> bool:
    """Return whether the clusters leave a combination of terms without any variance."""
    sd = np.sqrt(np.diag(covariance))
    # What rounding leaves of an eigenvalue that is 0.
    return bool(np.linalg.eigvalsh(covariance / np.outer(sd, sd))[0] < 1e-10)


# -- CR2 ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Adjusted:
    """CR2 by clusters: G_c = A_c W_c X_c M, and its products.

    Attributes
    ----------
    bread : ndarray, shape (p, p)
        M.
    within : ndarray, shape (clusters, p, p)
        G_c'Phi_c G_c.
    across : ndarray, shape (clusters, p, p)
        X_c'G_c.
    covariance : ndarray, shape (p, p)
        sum_c G_c'e_c e_c'G_c.
    """

    bread: Floats
    within: Floats
    across: Floats
    covariance: Floats

    @classmethod
    def of(cls, parts: Sequence[_Part], bread: Floats) -> _Adjusted:
        """Return the products of all clusters."""
        scores, within, across = [], [], []
        for part in parts:
            G = _adjustment(part, bread) @ part.solved @ bread
            scores.append(G.T @ part.residual)
            within.append(G.T @ part.covariance @ G)
            across.append(part.X.T @ G)
        u = np.array(scores)
        return cls(bread, np.array(within), np.array(across), u.T @ u)

    def products(self, s: int, t: int, turn: Floats) -> Floats:
        """Return p_si'Phi p_tj for clusters i and j, shape (clusters, clusters).

        p_si is what takes errors to the score of cluster i in the s-th turned coefficient, so
        that p_si'Phi p_tj = d_ij G_si'Phi G_ti - (X_i'G_si)'M (X_j'G_tj).
        """
        left, right = self.across @ turn[:, s], self.across @ turn[:, t]
        found = -left @ self.bread @ right.T
        own = np.einsum("a,cab,b->c", turn[:, s], self.within, turn[:, t])
        found[np.diag_indices_from(found)] += own
        return np.asarray(found)

    def degrees(self) -> Floats:
        """Return Satterthwaite's degrees of freedom of each coefficient, shape (p,)."""
        turn = np.eye(len(self.bread))
        found = [self.products(j, j, turn) for j in range(len(turn))]
        return np.array([np.trace(one) ** 2 / (one**2).sum() for one in found])

    def unseen(self, terms: tuple[str, ...]) -> tuple[str, ...]:
        """Return a note on terms of which V_R sees less than the model's own variance."""
        turn = np.eye(len(self.bread))
        named = [
            term
            for j, term in enumerate(terms)
            if np.trace(self.products(j, j, turn)) < (1 - 1e-6) * self.bread[j, j]
        ]
        if not named:
            return ()
        return (
            f"a cluster fits itself exactly, so that the robust variance of {', '.join(named)} "
            "is too small",
        )

    def joint(self, beta: Floats, tested: list[int]) -> Test:
        """Return the approximate Hotelling's T2 test that some coefficients are 0.

        F = (eta - q + 1) / (eta q) b'V_R^-1 b on q and eta - q + 1 degrees of freedom, where
        eta = q (q + 1) / sum_st Var(Omega_st) and Omega is V_R in units of its expectation
        (Pustejovsky & Tipton 2018, the test they call AHZ).
        """
        if not tested:
            return None, None, None
        q = len(tested)
        select = np.eye(len(beta))[:, tested]
        mean = np.array(
            [[np.trace(self.products(s, t, select)) for t in range(q)] for s in range(q)]
        )
        turn = select @ _power(mean, -0.5)
        pairs = {(s, t): self.products(s, t, turn) for s in range(q) for t in range(q)}
        spread = sum(
            (pairs[s, s] * pairs[t, t] + pairs[s, t] * pairs[t, s]).sum()
            for s in range(q)
            for t in range(q)
        )
        eta = float(q * (q + 1) / spread)
        b, covariance = beta[tested], self.covariance[np.ix_(tested, tested)]
        if eta <= q - 1 or _singular(covariance):
            return None, None, None
        wald = float(b @ np.linalg.solve(covariance, b))
        qm = (eta - q + 1) / (eta * q) * wald
        return qm, (float(q), eta - q + 1), float(special.fdtrc(q, eta - q + 1, qm))


def _adjustment(part: _Part, bread: Floats) -> Floats:
    D = np.linalg.cholesky(part.covariance).T
    left = part.covariance - part.X @ bread @ part.X.T
    return np.asarray(D.T @ _power(D @ left @ D.T, -0.5) @ D)


def _power(matrix: Floats, power: float) -> Floats:
    """Return a power of a symmetric matrix, on the directions in which it is not 0."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    # What rounding leaves of an eigenvalue that is 0.
    kept = values > 1e-11 * values.max()
    vectors = vectors[:, kept]
    return np.asarray((vectors * values[kept] ** power) @ vectors.T)


def _notes_on_degrees(terms: tuple[str, ...], df: Floats) -> tuple[str, ...]:
    few = [
        f"{term} ({value:.1f})"
        for term, value in zip(terms, df, strict=True)
        if value < FEW_DEGREES
    ]
    if not few:
        return ()
    return (
        f"fewer than {FEW_DEGREES} degrees of freedom for {', '.join(few)}: the clusters are too "
        "few or too uneven for a P value or an interval to be trusted",
    )


def _notes_on_test(tested: list[int], test: Test) -> tuple[str, ...]:
    if tested and test[0] is None:
        return ("too few clusters for a joint test of the terms",)
    return ()
