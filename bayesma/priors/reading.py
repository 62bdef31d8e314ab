"""Priors as model files write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from bayesma.errors import SpecError, did_you_mean
from bayesma.priors.families import REGISTRY, Prior
from bayesma.priors.literature import named

__all__ = ["NAMED", "from_dict"]

# The key of a prior that is written by its name in the literature.
NAMED = "named"


def from_dict(record: object) -> Prior:
    """Return the prior written as ``{family: [numbers]}``, or as ``{named: name}``.

    A name of the literature is resolved to its numbers here: what is kept, printed and saved are
    the numbers.

    Raises
    ------
    SpecError
        If the name is unknown (the known ones are listed) or the numbers do not fit.
    """
    if not isinstance(record, Mapping) or len(record) != 1:
        raise SpecError(f"a prior is written {{normal = [0, 5]}}, not {record!r}")
    ((name, numbers),) = record.items()
    if name == NAMED:
        return named(numbers)
    if name not in REGISTRY:
        raise SpecError(f"no prior is named '{name}'; {did_you_mean(name, list(REGISTRY))}")
    values = numbers if isinstance(numbers, list | tuple) else [numbers]
    expected = [field.name for field in fields(REGISTRY[name])]
    if len(values) != len(expected):
        raise SpecError(f"prior {name} = {numbers!r}: it takes the numbers [{', '.join(expected)}]")
    return REGISTRY[name](*values)
