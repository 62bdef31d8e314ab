"""What is asked of the classical engine: options that go together, and the fit they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayesma.errors import QueryError

if TYPE_CHECKING:
    from bayesma.effects import Effects
    from bayesma.frequentist import MetaRegression, Multilevel, Pooled, Subgroups

__all__ = ["Asked", "check", "fitted"]


@dataclass(frozen=True)
class Asked:
    """Options of a classical fit; None where not given."""

    method: str
    ci: str | None
    ci_prob: float
    by: str | None
    tau2: str | None
    formula: str | None
    random: str | None
    df: str | None
    rho: float | None
    within: str | None
    shared_control: str | None
    same_animals: str | None
    tau2_ci: str | None
    prediction: str | None

    @property
    def sharing(self) -> dict[str, Any]:
        """Who shares animals, as `effect_sizes` takes it."""
        return {
            "rho": self.rho or 0.0,
            "within": self.within or "experiment",
            "shared_control": self.shared_control,
            "same_animals": self.same_animals,
        }


# An option, those of which it needs one, and why; and those with which it has no meaning.
NEEDS = (
    ("tau2", ("by",), "it says how subgroups share tau2"),
    ("df", ("random",), "it is of multilevel models"),
    ("rho", ("random",), "pooling takes rows as independent"),
    ("within", ("rho", "shared_control"), "it says within what effects correlate"),
    ("shared_control", ("random",), "pooling takes rows as independent"),
    ("same_animals", ("rho",), "the correlation of two measurements of one animal"),
)
CLASHES = (
    ("by", "formula", "a factor in the formula does the same"),
    ("by", "random", "name it in --formula instead"),
    ("ci", "random", "a multilevel model takes --df"),
    ("tau2_ci", "random", "it has a variance for each level"),
    ("tau2_ci", "by", "the interval is of pooled effects and meta-regressions"),
    ("prediction", "random", "its prediction interval goes with --df"),
    ("prediction", "formula", "a meta-regression prints its coefficients"),
)


def check(asked: Asked) -> None:
    """Refuse options that would go unheard.

    Raises
    ------
    QueryError
    """
    if asked.ci is not None and asked.ci.replace(".", "", 1).isdigit():
        raise QueryError(
            f"--ci {asked.ci}: the kind of interval is meant; its probability is --ci-prob"
        )
    given = {name for name, value in vars(asked).items() if value is not None}
    faults = [
        f"{_option(name)} needs {' or '.join(map(_option, others))}: {reason}"
        for name, others, reason in NEEDS
        if name in given and given.isdisjoint(others)
    ]
    faults += [
        f"{_option(name)} and {_option(other)} do not go together: {reason}"
        for name, other, reason in CLASHES
        if name in given and other in given
    ]
    if faults:
        raise QueryError("\n".join(faults))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def fitted(effects: Effects, asked: Asked) -> Pooled | Subgroups | MetaRegression | Multilevel:
    """Return the fit."""
    from bayesma.frequentist import meta_regression, multilevel, pool, subgroups

    how: dict[str, Any] = {"method": asked.method, "ci_prob": asked.ci_prob}
    if asked.random is not None:
        df = asked.df or "containment"
        return multilevel(effects, asked.formula or "~ 1", random=asked.random, df=df, **how)
    # Knapp-Hartung's variance is not defined for a common effect.
    common = asked.method in ("common", "EE")
    how["ci"] = asked.ci or ("z" if common else "knapp-hartung")
    if asked.by is not None:
        how["prediction"] = asked.prediction or "as-ci"
        return subgroups(effects, asked.by, tau2=asked.tau2 or "common", **how)
    how["tau2_ci"] = asked.tau2_ci or "q-profile"
    if asked.formula is not None:
        return meta_regression(effects, asked.formula, **how)
    return pool(effects, prediction=asked.prediction or "as-ci", **how)
