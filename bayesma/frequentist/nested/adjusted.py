"""CR2: residuals adjusted so that their squares are unbiased where the fit's covariance holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bayesma.frequentist.nested.clusters import Part

__all__ = ["Adjusted", "Test", "singular"]

Floats = NDArray[np.float64]

# Statistic, degrees of freedom and P value of a joint test; None where there is none.
Test = tuple[float | None, tuple[float, float] | None, float | None]


def singular(covariance: Floats) -> bool:
    """Return whether the clusters leave a combination of terms without any variance."""
    sd = np.sqrt(np.diag(covariance))
    # What rounding leaves of an eigenvalue that is 0.
    return bool(np.linalg.eigvalsh(covariance / np.outer(sd, sd))[0] < 1e-10)


@dataclass(frozen=True)
class Adjusted:
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
    def of(cls, parts: Sequence[Part], bread: Floats) -> Adjusted:
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
        if eta <= q - 1 or singular(covariance):
            return None, None, None
        wald = float(b @ np.linalg.solve(covariance, b))
        qm = (eta - q + 1) / (eta * q) * wald
        return qm, (float(q), eta - q + 1), float(special.fdtrc(q, eta - q + 1, qm))


def _adjustment(part: Part, bread: Floats) -> Floats:
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
