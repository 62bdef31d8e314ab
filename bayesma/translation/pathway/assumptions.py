"""What has to be assumed to go from animals to people: every one of it, with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Real
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bayesma import priors as p
from bayesma.errors import QueryError, did_you_mean
from bayesma.priors import Prior
from bayesma.translation.pathway import species as table
from bayesma.translation.pathway.species import Species

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Assumption", "Assumptions"]

STATED = "stated by the user"
HACKAM = (
    "Hackam & Redelmeier 2006, JAMA 296:1731: of 42 highly cited animal findings that were tried "
    "in people, trials contradicted 14; most findings are less well chosen, so this is optimistic"
)
HU_SHORT = "Hu & Hayton 2001, AAPS PharmSci 3:E29"
HU = (
    f"{HU_SHORT}: clearance of 91 compounds goes with weight to the "
    "power 0.74 (SD 0.16), so a half-life with 1 - 0.74"
)
# What each number means, and where its default is from.
ABOUT: dict[str, tuple[str, str]] = {
    "discrepancy": (
        "people differ from the population of species by delta, added to the effect",
        "assumed: no data of animals say anything of it; see the sensitivity of the answer to it",
    ),
    "fades": (
        "whether delta fades as the effect does, or stands at every delay",
        "assumed: it also stands for a decay in people that is unlike the animals'",
    ),
    "no_translation": (
        "probability that the effect in animals says nothing of people, who then have delta alone",
        HACKAM,
    ),
    "between_species": (
        "SD of species around their population mean, before the species in the data are seen",
        "assumed: weakly informative beside effects of 0.5 to 5 SMD",
    ),
    "exponent": (
        "b: a half-life goes with body weight to the power b",
        f"{HU}; a law of drug clearance, applied here to how an effect fades",
    ),
    "no_scaling": (
        "probability that half-lives do not scale with body weight at all (b = 0)",
        "assumed: pharmacodynamic time need not follow pharmacokinetic time; even odds",
    ),
    "dose_spread": (
        "SD of the exponent by which the equivalent dose per kg departs from that of the Km table",
        f"{HU_SHORT}: spread of the exponents of clearance; Km itself: {table.SOURCE}",
    ),
    "between_trials": (
        "tau of human trials; where empty, the tau of the animal studies, as the model has it",
        "Roever et al. 2021, Res Synth Methods 12:448: half-normal of scale 0.5 for SMDs "
        "of people; used where the animals' tau is unknown",
    ),
    "within_trial": (
        "correlation of the sampling errors of one trial's results at several delays",
        "assumed: the same people are measured again",
    ),
}
# No law of body weight is so loose.
STEEPEST = 2
FALLBACK_TRIALS = p.HalfNormal(0.5)


@dataclass(frozen=True)
class Assumption:
    """One assumption.

    Attributes
    ----------
    name : str
    value : str
        As it stands.
    about : str
        What it means.
    source : str
        Where it is from.
    """

    name: str
    value: str
    about: str
    source: str

    def __str__(self) -> str:
        """Return a line to print."""
        return f"{self.name} = {self.value}: {self.about} ({self.source})"


@dataclass(frozen=True)
class Assumptions:
    """Everything assumed between animals and people.

    theta_human = T m_h(t) + delta,  T ~ Bernoulli(1 - no_translation),

    m_h the mean effect in a species drawn from the population of species, its time stretched by
    k = (W_h / W_a)^b.

    Parameters
    ----------
    discrepancy : Prior or None
        Of delta, normal, in units of the effect measure; None for no delta.
    fades : bool
        Whether delta is multiplied by the share of the peak that is left in people.
    no_translation : float
        P(T = 0).
    between_species : Prior or None
        Of the standard deviation of species, in units of the effect measure; None where all
        species are taken as alike.
    exponent : Prior
        Of b, where there is scaling.
    no_scaling : float
        P(b = 0).
    dose_spread : float
        SD of the exponent of body weight around the human-equivalent dose by Km; used where the
        model has the dose as a covariate.
    between_trials : Prior, optional
        Of tau between human trials. Where absent: the animal studies' tau, and
        HalfNormal(0.5) where a model does not identify it.
    within_trial : float
        Correlation of sampling errors within one human study.
    species : mapping of str to Species
        Body weights and Km of one's own; they go before the shipped table.
    sources : mapping of str to str
        Where one's own numbers are from, by name.

    Raises
    ------
    QueryError
        If a number is out of range or a prior does not fit.
    """

    discrepancy: Prior | None = p.Normal(0, 1)  # noqa: RUF009 - frozen
    fades: bool = False
    no_translation: float = 1 / 3
    between_species: Prior | None = p.HalfNormal(1)  # noqa: RUF009 - frozen
    exponent: Prior = p.Normal(0.26, 0.16)  # noqa: RUF009 - frozen
    no_scaling: float = 0.5
    dose_spread: float = 0.16
    between_trials: Prior | None = None
    within_trial: float = 0.5
    species: Mapping[str, Species] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every number, and say all that is wrong at once."""
        faults = [*_prior_faults(self), *_number_faults(self)]
        faults += [*_source_faults(self.sources), *_species_faults(self.species)]
        if faults:
            raise QueryError("\n".join(faults))
        for name in ("species", "sources"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through plain mappings (a mapping proxy does not pickle)."""
        return _rebuilt, ({f.name: _plain(getattr(self, f.name)) for f in fields(self)},)

    @property
    def records(self) -> tuple[Assumption, ...]:
        """Each assumption with its meaning and source."""
        usual = Assumptions.__dataclass_fields__
        found = []
        for name, (about, usual_source) in ABOUT.items():
            value = getattr(self, name)
            stated = STATED if value != usual[name].default else usual_source
            source = self.sources.get(name, stated)
            found.append(Assumption(name, _written(name, value), about, source))
        for name, one in self.species.items():
            value = f"{one.weight:g} kg, km {one.km:g}"
            found.append(Assumption(f"species {name}", value, "body weight and Km", one.source))
        return tuple(found)

    @property
    def table(self) -> pd.DataFrame:
        """The assumptions as a table: index `assumption`; `value`, `about`, `source`."""
        import pandas as pd

        rows = [
            {"assumption": r.name, "value": r.value, "about": r.about, "source": r.source}
            for r in self.records
        ]
        return pd.DataFrame(rows).set_index("assumption")

    def __str__(self) -> str:
        """Return one line for each."""
        return "\n".join(map(str, self.records))


def _rebuilt(numbers: dict[str, Any]) -> Assumptions:
    return Assumptions(**numbers)


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _written(name: str, value: Any) -> str:
    if value is None:
        if name != "between_trials":
            return "none"
        return f"as the animal studies', else {FALLBACK_TRIALS}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, Real) else str(value)


def _prior_faults(given: Assumptions) -> list[str]:
    faults = []
    for name in ("discrepancy", "between_species", "exponent", "between_trials"):
        prior = getattr(given, name)
        if prior is None and name != "exponent":
            continue
        if not isinstance(prior, Prior):
            faults.append(f"{name} = {prior!r}: a prior is needed, such as bm.priors.normal(0, 1)")
        elif name in ("between_species", "between_trials") and prior.support[0] < 0:
            faults.append(f"{name} = {prior}: a standard deviation lives on the positive numbers")
    # Evidence of people updates delta in closed form.
    if isinstance(given.discrepancy, Prior) and not isinstance(given.discrepancy, p.Normal):
        faults.append(f"discrepancy = {given.discrepancy}: it is normal, bm.priors.normal(m, s)")
    return faults


def _source_faults(sources: Any) -> list[str]:
    if not isinstance(sources, Mapping):
        return [f"sources = {sources!r}: texts by name, such as {{'no_translation': 'our panel'}}"]
    faults = [
        f"sources: no assumption '{name}'; {did_you_mean(str(name), list(ABOUT))}"
        for name in sources
        if name not in ABOUT
    ]
    return faults + [
        f"sources: {name} = {text!r}: a text is needed"
        for name, text in sources.items()
        if not isinstance(text, str)
    ]


def _species_faults(species: Any) -> list[str]:
    example = "bm.Species(weight=..., km=...)"
    if not isinstance(species, Mapping):
        return [f"species = {species!r}: species by name, such as {{'cow': {example}}}"]
    return [
        f"species {name!r}: {one!r} is no {example}"
        if isinstance(name, str)
        else f"species {name!r}: a name is a text"
        for name, one in species.items()
        if type(one) is not Species or not isinstance(name, str)
    ]


def _number_faults(given: Assumptions) -> list[str]:
    faults = []
    for name, low, high in (
        ("no_translation", 0, 1),
        ("no_scaling", 0, 1),
        ("within_trial", 0, 1),
        ("dose_spread", 0, STEEPEST),
    ):
        value = getattr(given, name)
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            faults.append(f"{name} = {value!r}: a number from {low} to {high}")
    if not isinstance(given.fades, bool):
        faults.append(f"fades = {given.fades!r}: True or False")
    return faults
