"""Published results: what a paper printed, to be held against a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bayesma.errors import SpecError, did_you_mean

__all__ = ["Published", "published_from"]

KEYS = ("quantity", "estimate", "ci", "at", "source", "note")


@dataclass(frozen=True)
class Published:
    """One printed number.

    Attributes
    ----------
    quantity : str
        As a cross-check names it: `mean`, `new study`, `tau2 (study)`, `I2` ...
    estimate : float or None
        As printed, in the units of that quantity; None where only an interval is printed.
    ci : tuple of float or None
        Printed 95% interval.
    at : mapping of str to level or number
        Covariates and `delay` (days) that it holds for; empty for the whole.
    source, note : str
    """

    quantity: str
    estimate: float | None = None
    ci: tuple[float, float] | None = None
    at: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check that there is something printed, and an interval that is one."""
        name: Any = self.quantity  # a model file may hold anything
        ci: Any = self.ci
        if not isinstance(name, str) or not name:
            raise SpecError(f"published: quantity = {self.quantity!r} must be a text")
        if self.estimate is None and self.ci is None:
            raise SpecError(f"published '{self.quantity}': give its estimate, its ci, or both")
        if self.estimate is not None and not _number(self.estimate):
            raise SpecError(
                f"published '{self.quantity}': estimate = {self.estimate!r} must be a number"
            )
        if self.ci is not None:
            ends = tuple(ci) if isinstance(ci, list | tuple) else ()
            if len(ends) != 2 or not all(map(_number, ends)) or not ends[0] <= ends[1]:
                raise SpecError(
                    f"published '{self.quantity}': ci = {self.ci!r} must be [low, high]"
                )
            object.__setattr__(self, "ci", (float(ends[0]), float(ends[1])))
        if not isinstance(self.at, Mapping):
            raise SpecError(
                f"published '{self.quantity}': at = {self.at!r} must be a table of covariates"
            )
        object.__setattr__(self, "at", MappingProxyType(dict(self.at)))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the plain record (a mapping proxy does not pickle)."""
        return published_from, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a model file writes it."""
        plain = {
            "quantity": self.quantity,
            "estimate": self.estimate,
            "ci": None if self.ci is None else list(self.ci),
            "at": dict(self.at),
            "source": self.source,
            "note": self.note,
        }
        return {key: value for key, value in plain.items() if value not in (None, "", {})}


def published_from(record: Mapping[str, Any]) -> Published:
    """Return the result that a table ``[[published]]`` of a model file holds.

    Raises
    ------
    SpecError
        If a key is unknown (the known ones are listed) or a value is of the wrong kind.
    """
    unknown = [key for key in record if key not in KEYS]
    if unknown:
        raise SpecError(
            "; ".join(f"published: unknown key '{k}': {did_you_mean(k, KEYS)}" for k in unknown)
        )
    if "quantity" not in record:
        raise SpecError("published: needs the key 'quantity'")
    return Published(**record)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
