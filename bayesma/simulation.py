"""Tables with known truth: normal animals around the model's own mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesma.clock import effect_clock
from bayesma.decay import family
from bayesma.design import Points
from bayesma.errors import SpecError, did_you_mean
from bayesma.maths import NumPyMaths
from bayesma.mean import effect_mean
from bayesma.readers import read_table
from bayesma.schema import ARMS, EFFECT
from bayesma.table import StudyTable

__all__ = ["Truth", "layout", "simulate_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Outcomes = Literal["arms", "effects"]

MATHS = NumPyMaths()
# Group sizes of animal studies: 5 to 9 per arm.
SMALLEST_ARM, LARGEST_ARM = 5, 9
# What is measured has this mean in control animals and this SD between animals; Hedges g does
# not depend on either.
CONTROL_MEAN, ANIMAL_SD = 10.0, 2.0
# What a truth states by regimen, and between which numbers.
RANGES = (("half_life", 0.0, np.inf), ("persistent", 0.0, 1.0), ("shape", 0.0, np.inf))


@dataclass(frozen=True)
class Truth:
    """What a simulated table is drawn from.

    theta_i = peak share(t_i) + tau b_study + tau_experiment b_experiment, in standard
    deviations of the animals; the b are standard normal.

    Parameters
    ----------
    peak : mapping of str to float
        Effect at delay 0 by regimen.
    half_life : mapping of str to float
        Days by regimen; empty where the effect does not fade.
    persistent : mapping of str to float
        Share of the peak that never fades, by regimen (`plateau` only).
    decay : {"exponential", "plateau", "weibull", "none"}
        Decay family.
    tau, tau_experiment : float
        Standard deviations between studies, and between experiments of a study.
    shape : mapping of str to float
        Shape k by regimen (`weibull` only).

    Raises
    ------
    SpecError
        If a number is out of range, or a regimen lacks one.
    """

    peak: Mapping[str, float]
    half_life: Mapping[str, float] = field(default_factory=dict)
    persistent: Mapping[str, float] = field(default_factory=dict)
    decay: str = "exponential"
    tau: float = 0.5
    tau_experiment: float = 0.0
    shape: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every regimen has the numbers its decay family needs."""
        needed = family(self.decay).parameters
        for name, low, high in RANGES:
            given: Mapping[str, float] = getattr(self, name)
            if set(given) != (set(self.peak) if name in needed else set()):
                want = f"one for each of {', '.join(self.peak)}" if name in needed else "none"
                raise SpecError(f"{name} = {dict(given)}: decay = '{self.decay}' takes {want}")
            if not all(low < value < high for value in given.values()):
                raise SpecError(f"{name} = {dict(given)}: it lies between {low:g} and {high:g}")
        if not self.tau >= 0 or not self.tau_experiment >= 0:
            raise SpecError(f"tau = {self.tau}, tau_experiment = {self.tau_experiment}: at least 0")

    def mean(self, rows: pd.DataFrame) -> Floats:
        """Return the population mean effect of rows with `regimen` and `delay`, shape (rows,).

        Raises
        ------
        SpecError
            If a regimen has no truth.
        """
        regimens = list(self.peak)
        for cell in rows["regimen"]:
            if cell not in regimens:
                raise SpecError(f"regimen '{cell}' has no truth; {did_you_mean(cell, regimens)}")
        indicators = np.array([[cell == name for name in regimens] for cell in rows["regimen"]])
        coefficients = {
            "peak": _values(self.peak, regimens),
            "half_life": np.log2(_values(self.half_life, regimens)),
            "persistent": _logit(_values(self.persistent, regimens)),
            "shape": np.log(_values(self.shape, regimens)),
        }
        used = ("peak", *family(self.decay).parameters)
        # A level stated at delay 0 is the peak.
        points = Points({name: indicators.astype(float) for name in used},
                        effect_clock(rows), np.zeros(len(rows)))  # fmt: skip
        return np.asarray(effect_mean(coefficients, points, family(self.decay), MATHS))


def _values(numbers: Mapping[str, float], regimens: list[str]) -> Floats:
    return np.array([numbers[name] for name in regimens if name in numbers], dtype=float)


def _logit(share: Floats) -> Floats:
    return np.log(share) - np.log1p(-share)


def layout(studies: int, experiments: int, delays: Mapping[str, tuple[float, ...]]) -> pd.DataFrame:
    """Return the rows of a balanced table, without outcomes.

    Parameters
    ----------
    studies, experiments : int
        Studies, and experiments (rows) in each. Studies take the regimens in turn; the
        experiments of a regimen take its delays in turn.
    delays : mapping of str to tuple of float
        Days by regimen.

    Returns
    -------
    pandas.DataFrame
        Columns row_id, study, experiment, regimen and delay; shape (studies x experiments, 5).

    Raises
    ------
    SpecError
        If there would be no row.
    """
    if studies < 1 or experiments < 1 or not delays or not all(delays.values()):
        raise SpecError(f"studies = {studies}, experiments = {experiments}, "
                        f"delays = {dict(delays)}: at least one of each")  # fmt: skip
    regimens, rows = list(delays), []
    for s in range(studies):
        regimen = regimens[s % len(regimens)]
        for e in range(experiments):
            turn = s // len(regimens) * experiments + e
            study, experiment = f"S{s + 1:03d}", f"E{e + 1}"
            delay = delays[regimen][turn % len(delays[regimen])]
            rows.append((f"{study}_{experiment}", study, experiment, regimen, float(delay)))
    return pd.DataFrame(rows, columns=["row_id", "study", "experiment", "regimen", "delay"])


def simulate_table(
    truth: Truth, rows: pd.DataFrame, *, seed: int, outcomes: Outcomes = "arms"
) -> StudyTable:
    """Return a table with outcomes of normal animals, 5 to 9 per arm.

    The mean of n animals is N(mu, sigma^2 / n) and their variance sigma^2 chi2(n - 1) / (n - 1),
    independently (Cochran), so the summaries are drawn without the animals. The normal likelihood
    takes y ~ N(theta, v) with v known; arm summaries obey it only roughly, because their v is
    computed from the y at hand: at effects of 1 to 2 SD their pooled mean is 7% low.

    Parameters
    ----------
    truth : Truth
    rows : pandas.DataFrame
        Columns study, regimen and delay, and experiment where there is one (as `layout` or a
        real table has them); other columns pass unchanged. Outcomes that it holds are replaced.
    seed : int
        The same seed gives the same table.
    outcomes : {"arms", "effects"}
        Arm summaries as papers print them; or y ~ N(theta, v), which is the normal likelihood
        itself, with v = 1/n_t + 1/n_c + m^2 / (2 (n_t + n_c)) at the population mean m.

    Returns
    -------
    StudyTable

    Raises
    ------
    SpecError
        If a regimen has no truth, or `outcomes` is neither.
    TableError
        If the rows are no study table.
    """
    if outcomes not in OUTCOMES:
        raise SpecError(f"outcomes = '{outcomes}'; {did_you_mean(outcomes, list(OUTCOMES))}")
    rng = np.random.default_rng(seed)
    mean = truth.mean(rows)
    theta = mean + _group_effects(truth, rows, rng)
    sizes = rng.integers(SMALLEST_ARM, LARGEST_ARM, size=(2, len(rows)), endpoint=True)
    old = [*ARMS, *EFFECT, "direction"]
    new = OUTCOMES[outcomes](theta, mean, sizes, rng)
    frame = rows.drop(columns=old, errors="ignore").assign(**new)
    return replace(
        read_table(frame, units={"delay": "d", "duration": "d"}), source=f"simulated (seed {seed})"
    )


def _arms(theta: Floats, _: Floats, sizes: Ints, rng: np.random.Generator) -> dict[str, Any]:
    """Return arm summaries."""
    found: dict[str, Any] = {}
    for arm, centre, n in zip(("treated", "control"), (theta, 0 * theta), sizes, strict=True):
        found[f"mean_{arm}"] = CONTROL_MEAN + ANIMAL_SD * rng.normal(centre, 1 / np.sqrt(n))
        found[f"sd_{arm}"] = ANIMAL_SD * np.sqrt(rng.chisquare(n - 1) / (n - 1))
        found[f"n_{arm}"] = n
    return found


def _effects(theta: Floats, mean: Floats, sizes: Ints, rng: np.random.Generator) -> dict[str, Any]:
    """Return effects whose sampling variance depends on nothing drawn but the group sizes."""
    n_treated, n_control = sizes
    v = 1 / n_treated + 1 / n_control + mean**2 / (2 * (n_treated + n_control))
    return {"y": rng.normal(theta, np.sqrt(v)), "v": v}


OUTCOMES: dict[str, Callable[..., dict[str, Any]]] = {"arms": _arms, "effects": _effects}


def _group_effects(truth: Truth, rows: pd.DataFrame, rng: np.random.Generator) -> Floats:
    """Return the sum of each row's group effects."""
    # A row without an experiment is one of its own.
    own = pd.Series(np.arange(len(rows)).astype(str), rows.index)
    label = rows["experiment"].fillna(own + " (row)") if "experiment" in rows else own
    study, studies = pd.factorize(rows["study"])
    experiment, experiments = pd.factorize(rows["study"] + "/" + label)
    outer = truth.tau * rng.standard_normal(len(studies))[study]
    inner = truth.tau_experiment * rng.standard_normal(len(experiments))[experiment]
    return np.asarray(outer + inner)
