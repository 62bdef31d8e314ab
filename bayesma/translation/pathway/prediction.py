"""THE prediction: innovations to effects and half-lives in people. One formula for all uses.

m_h(t) = (level + e) share(t / k) / share(t_ref / k),   k = (W_h / W_a)^b
theta  = T m_h(t) + delta
trial  = theta + tau z

The level, an effect that was seen, at t_ref, is what goes over; from there it fades in a time
stretched by k. (A peak at delay 0 that nobody saw does not: behind a short half-life it may be
anything.) e = sigma z sqrt(1 + sum p^2) makes it that of a new species, where p are the shares of
the species seen; it fades with the effect, as species in the model do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesma.maths import NumPyMaths
from bayesma.mean import spread
from bayesma.translation.pathway.assumptions import Assumptions
from bayesma.translation.pathway.forms import Form, Trials
from bayesma.translation.pathway.innovations import Innovations

__all__ = ["Predicted", "Prediction"]

Floats = NDArray[np.float64]
MATHS = NumPyMaths()

# An effect whose square is well within the floats.
LARGEST = 1e100


@dataclass(frozen=True)
class Predicted:
    """What follows from innovations, shape (draws, points) each.

    Attributes
    ----------
    carried : ndarray
        T times the mean effect in the new species: theta without delta.
    loading : ndarray
        What delta is multiplied by.
    delta : ndarray, shape (draws, 1)
    deviation : ndarray
        One trial's own, to be added to theta; where it goes with the mean, with T m_h.
    deviation_sd : ndarray
        Its standard deviation given everything else, the precision of a Student-t trial included;
        it is normal.
    log2_half_life : ndarray or None
        log2 days in people; None where the effect does not fade.
    """

    carried: Floats
    loading: Floats
    delta: Floats
    deviation: Floats
    deviation_sd: Floats
    log2_half_life: Floats | None

    @property
    def effect(self) -> Floats:
        """Mean effect in people."""
        return self.carried + self.loading * self.delta

    @property
    def trial(self) -> Floats:
        """True effect in one new trial."""
        return self.effect + self.deviation


@dataclass(frozen=True)
class Prediction:
    """Forms of the decay with their weights, at the same points, under assumptions.

    Attributes
    ----------
    forms : tuple of Form
    weights : ndarray, shape (forms,)
        They add to 1.
    given : Assumptions
    discrepant : bool
        Whether the target is people, whom delta and a failure to translate concern.
    """

    forms: tuple[Form, ...]
    weights: Floats
    given: Assumptions
    discrepant: bool = True

    def __call__(self, at: Innovations) -> Predicted:
        """Return what follows from innovations."""
        choice = np.searchsorted(np.cumsum(self.weights)[:-1], at.parts["decay form"][:, 0])
        shape = (len(at), len(self.forms[0].clock))
        fades = all(
            form.family.parameters
            for form, weight in zip(self.forms, self.weights, strict=True)
            if weight > 0
        )
        out = {name: np.empty(shape) for name in ("carried", "loading", "own", "sd", "half")}
        for number in np.unique(choice):
            rows = np.flatnonzero(choice == number)
            found = _one_form(self.forms[number], at.taken(rows), self.given, self.discrepant)
            for name, values in out.items():
                values[rows] = found[name]
        return Predicted(
            out["carried"],
            out["loading"],
            _delta(at, self.given, self.discrepant),
            out["own"],
            out["sd"],
            out["half"] if fades else None,
        )


def _delta(at: Innovations, given: Assumptions, discrepant: bool) -> Floats:
    if given.discrepancy is None or not discrepant:
        return np.zeros((len(at), 1))
    return np.asarray(given.discrepancy.distribution().ppf(at.parts["discrepancy"]))


def _one_form(form: Form, at: Innovations, given: Assumptions, discrepant: bool) -> dict[str, Any]:
    draw = np.searchsorted(form.heights, at.parts["fit"][:, 0])
    dose = _node(at.parts["dose"][:, 0], form.predictors["peak"].shape[1])
    here = {name: values[draw, dose] for name, values in form.predictors.items()}
    own = _species(form, at, draw)
    stretch = np.exp(_exponent(at, given)[:, None] * form.log_ratio)
    # Towards delay 0 the effect of a very short half-life may be infinite; it is shown so.
    with np.errstate(over="ignore", invalid="ignore"):
        relative, share = _shares(form, here, stretch)
        mean = (here["peak"] + own) * relative
    translates = np.ones((len(at), 1))
    if discrepant:
        translates = (at.parts["no translation"] >= given.no_translation).astype(float)
    carried = np.where(translates > 0, mean, 0.0)
    deviation, sd = _deviation(form.trials, at, draw, dose, carried)
    half = here.get("half_life")
    return {
        "carried": carried,
        "loading": share if given.fades else np.ones_like(share),
        "own": deviation,
        "sd": sd,
        "half": np.nan if half is None else half + np.log2(stretch),
    }


def _shares(form: Form, here: dict[str, Floats], stretch: Floats) -> tuple[Floats, Floats]:
    """Return share(t) relative to that where the level is stated, and relative to the peak."""
    clock = form.clock / stretch
    reference = form.reference / stretch
    now = form.family.log2_share(clock, here, MATHS) + 0.0 * clock
    relative = np.exp2(now - form.family.log2_share(reference, here, MATHS))
    share = np.exp2(now)
    spans = np.flatnonzero(~np.isnan(form.start))
    for column in spans:  # an effect averaged from `start` to the delay
        at = {name: values[:, column] for name, values in here.items()}
        first: Any = form.start[column] / stretch[:, column]
        last: Any = clock[:, column]
        for out, reference_at in ((relative, reference[:, column]), (share, 0.0 * last)):
            area = form.family.relative_area(first, last, reference_at, at, MATHS)
            out[:, column] = area / (last - first)
    return relative, share


def _species(form: Form, at: Innovations, draw: NDArray[np.int64]) -> Floats:
    """Return a new species' deviation from the mean of those seen, shape (draws, points)."""
    from scipy import special

    node = _node(at.parts["species"][:, 0], form.sigma.shape[1])
    rows = draw if len(form.sigma) > 1 else np.zeros_like(draw)
    sigma = form.sigma[rows, node]
    own = sigma * special.ndtri(at.parts["species"][:, 1])
    return np.asarray(own[:, None] * form.new_species)


def _exponent(at: Innovations, given: Assumptions) -> Floats:
    """Return b: 0 with the stated probability, else a draw of its prior."""
    scaled = at.parts["scaling"][:, 0] >= given.no_scaling
    b = given.exponent.distribution().ppf(at.parts["scaling"][:, 1])
    return np.asarray(np.where(scaled, b, 0.0))


def _deviation(
    trials: Trials,
    at: Innovations,
    draw: NDArray[np.int64],
    dose: NDArray[np.int64],
    mean: Floats,
) -> tuple[Floats, Floats]:
    """Return one trial's deviation and its standard deviation, shape (draws, points)."""
    from scipy import special

    numbers = at.parts["new study"]
    if trials.stated is not None:
        tau = trials.stated[_node(numbers[:, 0], len(trials.stated))][:, None]
        sd = tau + np.zeros_like(mean)
        return sd * special.ndtri(numbers[:, [2]]), sd
    ratio = 1.0 if trials.ratio is None else trials.ratio[draw, dose]
    total, variance = np.zeros_like(mean), np.zeros_like(mean)
    # An infinite effect keeps its sign in a trial: the deviation is to stay finite beside it.
    mean = np.clip(mean, -LARGEST, LARGEST)
    for depth, tau in enumerate(trials.taus):
        kappa = trials.kappas[depth][draw][:, None] if trials.kappas else 0.0
        sd = spread(tau[draw][:, None], kappa, mean) * ratio
        if depth == 0 and trials.nu is not None:
            # Student's t is normal given its own precision, so that evidence meets normals only.
            nu = trials.nu[draw][:, None]
            sd = sd * np.sqrt(nu / 2 / special.gammaincinv(nu / 2, numbers[:, [1]]))
        standard = special.ndtri(numbers[:, [2 + depth]])
        total, variance = total + sd * standard, variance + sd**2
    return total, np.sqrt(variance)


def _node(uniform: Floats, size: int) -> NDArray[np.int64]:
    """Return which of equally likely values a uniform number picks."""
    return np.minimum((uniform * size).astype(np.int64), size - 1)
