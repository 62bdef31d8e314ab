"""A spec as the TOML of a model file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bayesma.spec import ModelSpec

__all__ = ["spec_toml"]


def spec_toml(spec: ModelSpec) -> str:
    """Return a spec as the tables ``[spec]`` and ``[spec.priors]`` of a model file.

    Read again by `load_analysis` they are the same spec; every choice is written, also the usual.
    """
    record = spec.to_dict()
    priors: Mapping[str, Any] = record.pop("priors")
    # A JSON string is a TOML string.
    lines = ["[spec]", *(f"{name} = {json.dumps(str(value))}" for name, value in record.items())]
    lines += ["", "[spec.priors]"]
    for name, prior in priors.items():
        ((kind, numbers),) = prior.items()
        lines.append(f"{name} = {{ {kind} = [{', '.join(repr(float(n)) for n in numbers)}] }}")
    return "\n".join(lines)
