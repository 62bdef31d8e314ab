"""ModelSpec: what is to be fitted, as pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from bayesma import priors as p
from bayesma.decay import Decay, family
from bayesma.errors import SpecError, did_you_mean
from bayesma.formulas import Formula, parse
from bayesma.priors import Prior

__all__ = ["SCALARS", "ModelSpec"]

# What each choice may be today. A room that learns another adds it here.
CHOICES: dict[str, tuple[str, ...]] = {
    "likelihood": ("auto", "normal", "exact"),
    "population": ("normal", "student"),
    "heterogeneity": ("constant", "proportional"),
    "missing_delay": ("drop", "latent"),
    "small_study": ("none", "1/sqrt(n)"),
    "pooled_weights": ("precision", "equal"),
}

# Weakly informative for animal data (DESIGN section 3): real animal tables have tau 0.7 to 2.7
# SMD; half-lives run from minutes to months. A mean difference has no scale of its own, so MD and
# NMD have no default.
_STANDARDISED: dict[str, Prior] = {
    "peak": p.Normal(0, 5),
    "peak_contrast": p.Normal(0, 2.5),
    "tau": p.HalfNormal(2),
    "small_study": p.Normal(0, 1),
}
DEFAULT_PRIORS: dict[str, dict[str, Prior]] = {
    "SMD": _STANDARDISED,
    "SMDH": _STANDARDISED,
    "ROM": {
        "peak": p.Normal(0, 1),
        "peak_contrast": p.Normal(0, 0.5),
        "tau": p.HalfNormal(0.5),
        "small_study": p.Normal(0, 0.2),
    },
}
DECAY_PRIORS: dict[str, Prior] = {
    "half_life": p.Normal(0, 3),
    "half_life_contrast": p.Normal(0, 3),
    "persistent": p.Normal(0, 1.5),
    "persistent_contrast": p.Normal(0, 1.5),
    # A Weibull shape of 0.37 to 2.7 in the central 95%: slower or faster than an exponential.
    "shape": p.Normal(0, 0.5),
    "shape_contrast": p.Normal(0, 0.5),
    "tau_contrast": p.Normal(0, 0.7),
    # tau over effect: about 0.6 in ketamine's pooled results wherever there is an effect.
    "kappa": p.HalfNormal(1),
    # Juarez & Steel 2010, J. Bus. Econ. Stat. 28:52, section 3.
    "nu": p.Gamma(2, 0.1),
}
PARAMETERS = ("peak", "half_life", "persistent", "shape", "tau")
# Numbers without a formula, each with the choice that brings it into the model.
SCALARS: dict[str, tuple[str, str]] = {
    "kappa": ("heterogeneity", "proportional"),
    "nu": ("population", "student"),
    "delay": ("missing_delay", "latent"),
    "small_study": ("small_study", "1/sqrt(n)"),
}
POSITIVE = ("tau", "kappa", "nu", "delay")
PRIOR_NAMES = (
    *(f"{name}{kind}" for name in PARAMETERS for kind in ("", "_contrast")),
    *SCALARS,
    "rho",
)


@dataclass(frozen=True)
class ModelSpec:
    """A hierarchical decay model, frozen.

    theta_i = peak_i share(t_i) + b_study + b_experiment;  y ~ N(theta, V), or
    of SMDs with their arms  d sqrt(q) ~ N(theta, 1/n_t + 1/n_c), nu q ~ chi2_nu  (`likelihood`).

    Parameters
    ----------
    peak : str
        Formula of the effect, with the group effects: ``"regimen + (1 | study/experiment)"``.
        It binds the *level* at each decay cell's lower-quartile delay; the peak at delay 0
        follows from it.
    half_life : str
        Formula of log2 half-life in days; not used by `none`.
    persistent : str
        Formula of the logit of the share that never fades (`plateau` only).
    shape : str
        Formula of the logarithm of the shape k (`weibull` only).
    tau : str
        Formula of log tau, relative to the average.
    decay : {"exponential", "plateau", "weibull", "none"}
        Decay family.
    likelihood : {"auto", "normal", "exact"}
        y given theta: N(theta, V), which takes v as known; or what SMDs of normal animals follow,
        a noncentral t (`bayesma.noncentral`), which needs every row's arms. "auto" is exact
        where it can be, and a note of the fit says which and why.
    population : {"normal", "student"}
        Distribution of study effects: normal, or Student-t with `nu` degrees of freedom and
        scale tau, which discounts studies far from the rest.
    heterogeneity : {"constant", "proportional"}
        Standard deviation of group effects: tau everywhere, or sqrt(tau^2 + kappa^2 m^2) where
        the mean is m; each level has its own, `tau` with `kappa`, `tau_experiment` with
        `kappa_experiment`.
    missing_delay : {"drop", "latent"}
        Rows without a delay: left out and counted; or kept, with one unknown delay for each
        study (and decay cell) that does not report it, under the prior `delay` in days.
    small_study : {"none", "1/sqrt(n)"}
        Whether the effect may go with 1/sqrt(n), n the animals of both arms (Zwetsloot et al.
        2017, eLife 6:e24260: against its standard error an SMD is skewed without any bias). The
        term is centred: curves are those of a study of average 1/sqrt(n).
    pooled_weights : {"precision", "equal"}
        How a published pooled result averages its members.
    priors : mapping of str to Prior
        By parameter: `peak`, `half_life`, `persistent`, `shape`, `tau` for the average over
        levels, and each with ``_contrast`` for the difference between any two levels of a factor
        (for a numeric covariate: the change over one of its standard deviations; for `tau` and
        `shape`: on the log). Further `kappa`, `nu`, `delay` (days; it has no default) and
        `small_study` (the change over one standard deviation of 1/sqrt(n)). Those not given are
        filled in by measure when data are met, and frozen. A prior of `rho`, between 0 and 1,
        makes the sampling correlation of effects that share a cluster (`within` of
        `effect_sizes`) a parameter; without one rho is as the effects have it.

    Raises
    ------
    SpecError
        If a choice, formula or prior is unknown or does not fit.
    """

    peak: str = "1 + (1 | study)"
    persistent: str = "1"
    half_life: str = "1"
    shape: str = "1"
    tau: str = "1"
    decay: str = "exponential"
    likelihood: str = "auto"
    population: str = "normal"
    heterogeneity: str = "constant"
    missing_delay: str = "drop"
    small_study: str = "none"
    pooled_weights: str = "precision"
    priors: Mapping[str, Prior] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check everything that needs no data."""
        if not isinstance(self.priors, Mapping):
            raise SpecError(f"priors = {self.priors!r}: a table of priors by parameter")
        family(self.decay)
        for name, known in CHOICES.items():
            value = getattr(self, name)
            if value not in known:
                raise SpecError(f"{name} = '{value}'; {did_you_mean(str(value), known)}")
        for name in PARAMETERS:
            if self.formula(name).groups and name != "peak":
                raise SpecError(f"{name} = '{getattr(self, name)}': group effects belong to peak")
            if name != "peak" and not self.formula(name).intercept:
                raise SpecError(f"{name} = '{getattr(self, name)}': it needs its intercept")
        self._check_heterogeneity()
        if self.missing_delay == "latent":
            self._check_latent()
        _check_priors(self.priors)
        if "rho" in self.priors and self.likelihood == "exact":
            raise SpecError(
                "likelihood = 'exact' takes a rho that is known: with a prior of rho use "
                "likelihood = 'normal', or fit one rho after another by bm.sweep_rho(effects, spec)"
            )
        object.__setattr__(self, "priors", MappingProxyType(dict(self.priors)))

    def _check_latent(self) -> None:
        """Refuse unknown delays where none is used, or where one is a covariate too."""
        if not self.family.parameters:
            raise SpecError(
                f"missing_delay = 'latent': decay = '{self.decay}' uses no delay, so no row is "
                "left out for want of one; drop it"
            )
        for name in (*self.predictors, "tau"):
            if "delay" in self.formula(name).variables:
                raise SpecError(
                    f"missing_delay = 'latent': {name} = '{getattr(self, name)}' takes the delay "
                    "as a covariate, which must be known; use missing_delay = 'drop'"
                )

    def _check_heterogeneity(self) -> None:
        """Refuse what needs study effects where there are none, and two models of tau at once."""
        if not self.groups:
            if self.formula("tau").terms or "tau" in self.priors:
                raise SpecError("tau needs group effects: add (1 | study) to peak")
            for name in ("population", "heterogeneity"):
                value = getattr(self, name)
                if value != CHOICES[name][0]:
                    raise SpecError(
                        f"{name} = '{value}' needs group effects: add (1 | study) to peak"
                    )
        if self.heterogeneity == "proportional" and self.formula("tau").terms:
            raise SpecError(
                f"tau = '{self.tau}' and heterogeneity = 'proportional' both say how tau varies: "
                "use one"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the plain record (a mapping proxy does not pickle)."""
        return ModelSpec.from_dict, (self.to_dict(),)

    def __hash__(self) -> int:
        """Hash by content."""
        return hash(
            (
                *(getattr(self, f.name) for f in fields(self) if f.name != "priors"),
                *sorted((k, str(v)) for k, v in self.priors.items()),
            )
        )

    @property
    def family(self) -> Decay:
        """The decay family."""
        return family(self.decay)

    @property
    def groups(self) -> tuple[str, ...]:
        """Columns of the group effects, outermost first."""
        return self.formula("peak").groups

    @property
    def predictors(self) -> tuple[str, ...]:
        """The parameters that this decay family uses, `peak` first."""
        return ("peak", *self.family.parameters)

    def formula(self, parameter: str) -> Formula:
        """Return the parsed formula of a parameter."""
        return parse(getattr(self, parameter), parameter)

    def resolved(self, measure: str) -> ModelSpec:
        """Return the spec with every prior as numbers, for an effect measure.

        Raises
        ------
        SpecError
            If the measure has no default prior and none is given.
        """
        used = [*self.predictors, *(["tau"] if self.groups else [])]
        needed = [f"{name}{kind}" for name in used for kind in ("", "_contrast")]
        needed += [n for n, (choice, on) in SCALARS.items() if getattr(self, choice) == on]
        needed += [name for name in ("rho",) if name in self.priors]
        if "delay" in needed and "delay" not in self.priors:
            raise SpecError(
                "missing_delay = 'latent' needs a prior of delay, in days, such as "
                "priors={'delay': bm.priors.log_normal(-3, 1.5)}: what is plausible here"
            )
        defaults = DECAY_PRIORS | DEFAULT_PRIORS.get(measure, {})
        missing = [name for name in needed if name not in self.priors and name not in defaults]
        if missing:
            raise SpecError(
                f"measure {measure} has no default prior for {', '.join(missing)}: "
                "the scale of the outcome decides it; give priors="
            )
        return replace(self, priors={name: (defaults | dict(self.priors))[name] for name in needed})

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain data, as a model file or JSON holds it."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "priors"}
        return plain | {"priors": {name: prior.to_dict() for name, prior in self.priors.items()}}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> ModelSpec:
        """Return the spec written as plain data.

        Raises
        ------
        SpecError
            If a key is unknown; the known ones are listed.
        """
        known = [f.name for f in fields(cls)]
        unknown = [key for key in record if key not in known]
        if unknown:
            raise SpecError(
                "; ".join(f"unknown key '{k}': {did_you_mean(k, known)}" for k in unknown)
            )
        priors = record.get("priors", {})
        if not isinstance(priors, Mapping):
            raise SpecError(f"priors = {priors!r}: a table, as in peak = {{normal = [0, 5]}}")
        _check_named(priors)
        written = {name: p.from_dict(value) for name, value in priors.items()}
        return cls(**{**record, "priors": written})


def _check_named(priors: Mapping[str, Any]) -> None:
    """Refuse a prior of heterogeneity from the literature for anything but tau."""
    for name, value in priors.items():
        if name != "tau" and isinstance(value, Mapping) and p.NAMED in value:
            raise SpecError(
                f"prior of {name}: {{{p.NAMED} = {value[p.NAMED]!r}}} is a prior of tau; write the "
                "numbers, as in {normal = [0, 5]}"
            )


def _check_priors(priors: Mapping[str, Prior]) -> None:
    for name, prior in priors.items():
        if name not in PRIOR_NAMES:
            raise SpecError(f"no prior for '{name}'; {did_you_mean(name, PRIOR_NAMES)}")
        if not isinstance(prior, Prior):
            raise SpecError(f"prior of {name}: {prior!r} is not a prior; use bayesma.priors")
        if name.endswith("_contrast"):
            if not isinstance(prior, p.Normal) or prior.mu != 0:
                raise SpecError(
                    f"prior of {name}: {prior}; only Normal(0, sigma) treats the "
                    "levels of a factor alike"
                )
        elif name == "rho":
            if prior.support[0] < 0 or prior.support[1] > 1:
                raise SpecError(f"prior of rho: {prior} must live between 0 and 1")
        elif (name in POSITIVE) != (prior.support[0] >= 0):
            side = "live on the positive numbers" if name in POSITIVE else "live on all numbers"
            raise SpecError(f"prior of {name}: {prior} must {side}")
