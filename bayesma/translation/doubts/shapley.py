"""Shapley effects: how much of a function's variance is owed to each of its independent inputs.

Let A and B be two independent draws of all d inputs, Y_S = f(A_S, B_-S) the value with the inputs
in S taken from A and the others from B, and

    beta_w = 2^-d sum_S (-1)^|S & w| Y_S,    b_w = E[beta_w^2].

Y_S and Y_R differ in the draw of u alone where u is the symmetric difference of S and R. Jansen's
estimator (1999, Computer Physics Communications 117:35) of the variance that stays while all but u
is known, averaged over all such pairs, is by Parseval's identity

    T_u = E[Var(f | x_-u)] = E[(Y_S - Y_R)^2] / 2 = 2 sum_{w: |w & u| odd} b_w,

so that the 2^d values of one pair of draws serve every subset at once:

    variance    = T_all              = 2 sum_{|w| odd} b_w
    total_i     = T_i                = 2 sum_{w with i} b_w
    first_i     = T_all - T_{all but i} = 2 sum_{w with i} (-1)^(|w| + 1) b_w
    shapley_i   = 2 sum_{w with i, |w| odd} b_w / |w|.

The last shares the variance of every interaction alike among its inputs (Owen 2014, SIAM/ASA J
Uncertain Quantif 2:245, theorem 1). It follows from Var_v = 2^|v| sum_{w over v} (-1)^(|w| - |v|)
b_w, the inverse of b_w = sum_{v over w} 2^-|v| Var_v; T_u and Var(E[f | x_u]) give the same effects
(Song, Nelson & Staum 2016, same journal 4:1060, theorem 1). No effect is below 0, and they add to
the variance exactly, whatever the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Shares", "coefficients", "interactions", "shapley_effects"]

Floats = NDArray[np.float64]
Inputs = list[Floats]

# Independent scramblings of the Sobol sequence; their spread is the Monte Carlo error.
BATCHES = 16
# Numbers held at once for the values of f.
LIMIT = 1_000_000
# Uniform numbers stay off 0 and 1, whose normal quantiles are infinite.
EDGE = 1e-12


@dataclass(frozen=True)
class Shares:
    """What each input contributes to the variance, by input and output.

    Attributes
    ----------
    shapley, first_order, total : ndarray, shape (inputs, outputs)
        Shares of the variance; NaN where it is 0 or not finite.
    shapley_mcse : ndarray, shape (inputs, outputs)
        Monte Carlo standard error of `shapley`.
    variance, variance_mcse : ndarray, shape (outputs,)
    heaviest : ndarray, shape (outputs,)
        Largest share of the variance that one pair of draws carries.
    inert : tuple of int
        Inputs that move no output at all.
    pairs : int
        Pairs of draws.
    """

    shapley: Floats
    first_order: Floats
    total: Floats
    shapley_mcse: Floats
    variance: Floats
    variance_mcse: Floats
    heaviest: Floats
    inert: tuple[int, ...]
    pairs: int


def shapley_effects(
    function: Callable[[Inputs], Floats], widths: Sequence[int], *, size: int, seed: int = 0
) -> Shares:
    """Return the Shapley effects, first-order and total indices of a function's inputs.

    Parameters
    ----------
    function : callable
        Takes one array of uniform numbers for each input, shape (rows, width) each; returns
        values of shape (rows, outputs). All rows are independent of each other.
    widths : sequence of int
        How many uniform numbers each input is made of.
    size : int
        Pairs of draws, rounded up to 16 batches of a power of two. The function is evaluated at
        2^d times as many rows, d the inputs that are not inert.
    seed : int

    Returns
    -------
    Shares
    """
    batches = _batches(widths, size, seed)
    with np.errstate(all="ignore"):  # what is infinite ends as NaN, and is said
        active, outputs = _active(function, batches)
        b, heaviest = _mean_squares(function, batches, active, outputs)
        found = _shares(b, len(widths), active)
        errors = _jackknife(b, len(widths), active)
    return Shares(
        found["shapley"],
        found["first_order"],
        found["total"],
        errors["shapley"],
        found["variance"],
        errors["variance"],
        heaviest,
        tuple(sorted(set(range(len(widths))) - set(active))),
        sum(len(a[0]) for a, _ in batches),
    )


def interactions(values: Floats) -> Floats:
    """Return beta_w, subset by subset, from the values Y_S of pairs of draws.

    Parameters
    ----------
    values : ndarray, shape (2^d, ...)
        By the subset of inputs taken from the first draw; bit i of the index stands for input i.

    Returns
    -------
    ndarray, shape (2^d, ...)
        By subset w, in the same order.
    """
    out = np.array(values, dtype=float)
    step = 1
    while step < len(out):  # Walsh and Hadamard's transform, one input after another
        pairs = out.reshape(-1, 2, step, *out.shape[1:])
        there, here = pairs[:, 1].copy(), pairs[:, 0].copy()
        pairs[:, 0], pairs[:, 1] = (here + there) / 2, (here - there) / 2
        step *= 2
    return out


def coefficients(inputs: int) -> dict[str, Floats]:
    """Return what b_w is multiplied by for each measure of importance.

    Parameters
    ----------
    inputs : int
        d.

    Returns
    -------
    dict of str to ndarray, shape (inputs, 2^inputs)
        `shapley`, `first_order`, `total`; `variance` of shape (1, 2^inputs).
    """
    subsets = np.arange(2**inputs)
    among = ((subsets >> np.arange(inputs)[:, None]) & 1).astype(float)
    count = among.sum(axis=0)
    odd = count % 2
    found: dict[str, Floats] = {
        "shapley": 2.0 * among * odd / np.maximum(count, 1),
        "first_order": 2.0 * among * (2 * odd - 1),
        "total": 2.0 * among,
        "variance": 2.0 * odd[None],
    }
    return found


def _batches(widths: Sequence[int], size: int, seed: int) -> list[tuple[Inputs, Inputs]]:
    """Return pairs of draws: independently scrambled Sobol points, each half a draw."""
    from scipy.stats import qmc

    each, power = sum(widths), int(np.ceil(np.log2(size / BATCHES)))
    ends = np.cumsum(widths)[:-1]
    found = []
    for rng in np.random.default_rng(seed).spawn(BATCHES):
        points = np.clip(qmc.Sobol(2 * each, rng=rng).random_base2(power), EDGE, 1 - EDGE)
        first, second = (np.split(half, ends, axis=1) for half in np.split(points, 2, axis=1))
        found.append((first, second))
    return found


def _active(
    function: Callable[[Inputs], Floats], batches: Sequence[tuple[Inputs, Inputs]]
) -> tuple[list[int], int]:
    """Return the inputs that move anything in any pair of draws, and the number of outputs."""
    still, outputs = set(range(len(batches[0][0]))), 0
    for first, second in batches:
        before = function(first)
        outputs = before.shape[1]
        for number in sorted(still):
            moved = [*first[:number], second[number], *first[number + 1 :]]
            if not np.array_equal(function(moved), before, equal_nan=True):
                still.remove(number)
    return sorted(set(range(len(batches[0][0]))) - still), outputs


def _mean_squares(
    function: Callable[[Inputs], Floats],
    batches: Sequence[tuple[Inputs, Inputs]],
    active: Sequence[int],
    outputs: int,
) -> tuple[Floats, Floats]:
    """Return b_w by batch, shape (batches, 2^d, outputs), and the heaviest pair's share."""
    subsets = 2 ** len(active)
    rows = max(1, LIMIT // (subsets * outputs))
    variance = coefficients(len(active))["variance"][0]
    b = np.zeros((len(batches), subsets, outputs))
    largest, total = np.zeros(outputs), np.zeros(outputs)
    for number, (first, second) in enumerate(batches):
        for start in range(0, len(first[0]), rows):
            piece = slice(start, start + rows)
            mixed = _mixtures([x[piece] for x in first], [x[piece] for x in second], active)
            values = function(mixed).reshape(subsets, -1, outputs)
            squares = interactions(values) ** 2
            carried = np.tensordot(variance, squares, axes=1)
            largest, total = np.maximum(largest, carried.max(axis=0)), total + carried.sum(axis=0)
            b[number] += squares.sum(axis=1) / len(first[0])
    return b, largest / total


def _mixtures(first: Inputs, second: Inputs, active: Sequence[int]) -> Inputs:
    """Return all 2^d mixtures of two draws below each other, subset by subset."""
    chosen = (np.arange(2 ** len(active))[:, None] >> np.arange(len(active))) & 1
    found = []
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        mine = np.zeros(len(chosen), dtype=bool)
        if number in active:
            mine = chosen[:, list(active).index(number)].astype(bool)
        found.append(np.where(mine[:, None, None], a, b).reshape(-1, a.shape[1]))
    return found


def _shares(b: Floats, inputs: int, active: Sequence[int]) -> dict[str, Floats]:
    """Return the measures from b_w by batch; inputs that move nothing have exactly 0."""
    mean = b.mean(axis=0)
    weights = coefficients(len(active))
    variance = (weights["variance"] @ mean)[0]
    usable = np.isfinite(variance) & (variance > 0)
    found = {"variance": variance}
    for name in ("shapley", "first_order", "total"):
        shares = np.zeros((inputs, len(variance)))
        shares[list(active)] = weights[name] @ mean / variance
        found[name] = np.where(usable, shares, np.nan)
    return found


def _jackknife(b: Floats, inputs: int, active: Sequence[int]) -> dict[str, Floats]:
    """Return standard errors by leaving out one batch at a time."""
    count = len(b)
    left = [_shares(np.delete(b, out, axis=0), inputs, active) for out in range(count)]
    found = {}
    for name in ("shapley", "variance"):
        values = np.array([one[name] for one in left])
        found[name] = np.sqrt((count - 1) * values.var(axis=0))
    return found
