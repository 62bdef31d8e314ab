"""Cluster-robust standard errors: what the residuals say, whatever the model says of V."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
from bayesma.frequentist.nested.adjusted import Adjusted, Test, singular
from bayesma.frequentist.nested.clusters import Part, clusters_of, parts_of
from bayesma.frequentist.nested.multilevels import Multilevel

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
    codes, name, notes = clusters_of(fit, cluster)
    m, (k, p) = int(codes.max()) + 1, fit.X.shape
    if m <= p:
        raise SpecError(
            f"{m} clusters of {name} cannot carry {p} coefficients ({', '.join(fit.terms)}): "
            "robust standard errors need more clusters than coefficients"
        )
    parts = parts_of(fit, codes, kind == "CR2")
    bread = np.linalg.inv(np.asarray(sum(part.X.T @ part.solved for part in parts)))
    covariance, df, test, told = _estimated(fit, parts, bread, codes, kind)
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
        notes=(*notes, *told),
    )


def _estimated(
    fit: MetaRegression | Multilevel, parts: Sequence[Part], bread: Floats, codes: Ints, kind: str
) -> tuple[Floats, Floats, Test, tuple[str, ...]]:
    """Return the covariance, degrees of freedom, the joint test, and what is to be said."""
    tested = [j for j, term in enumerate(fit.terms) if term != "Intercept"]
    m, (k, p) = int(codes.max()) + 1, fit.X.shape
    notes: tuple[str, ...] = ()
    if kind == "CR2":
        found = Adjusted.of(parts, bread)
        covariance, df = found.covariance, found.degrees()
        _check_seen(fit.terms, covariance, bread)
        test = found.joint(fit.beta, tested)
        notes = (*found.unseen(fit.terms), *_notes_on_degrees(fit.terms, df))
    else:
        covariance = _plain(parts, bread, codes) * _factor(kind, m, k, p)
        _check_seen(fit.terms, covariance, bread)
        df = np.full(p, float(m - p))
        test = _wald(fit.beta, covariance, tested, float(m - p))
    return covariance, df, test, (*notes, *_notes_on_test(tested, test))


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


def _plain(parts: Sequence[Part], bread: Floats, codes: Ints) -> Floats:
    """Return M sum_c X_c'W e e'W X_c M."""
    scores = np.zeros((codes.max() + 1, len(bread)))
    for part in parts:
        np.add.at(scores, codes[part.rows], part.solved * part.residual[:, None])
    return bread @ scores.T @ scores @ bread


def _factor(kind: str, m: int, k: int, p: int) -> float:
    if kind == "CR1":
        return m / (m - p)
    return m * (k - 1) / ((m - 1) * (k - p)) if kind == "CR1S" else 1.0


def _wald(beta: Floats, covariance: Floats, tested: list[int], df: float) -> Test:
    if not tested:
        return None, None, None
    own = covariance[np.ix_(tested, tested)]
    if singular(own):
        return None, None, None
    qm, qm_p = joint_test(beta[tested], own, df)
    return qm, (float(len(tested)), df), qm_p


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
