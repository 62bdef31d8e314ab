"""Human evidence against what was predicted for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesma.translation.asked import Question
from bayesma.translation.innovations import Innovations

__all__ = ["Confronted", "confronted"]


@dataclass(frozen=True)
class Confronted:
    """Positions of human numbers, and sentences on them."""

    positions: pd.DataFrame
    notes: tuple[str, ...]


def confronted(
    asked: Question, human: Any, drawn: Innovations, update: bool, seed: int
) -> tuple[Innovations, Confronted]:
    """Return innovations given human evidence, and where it lies in what was predicted."""
    raise NotImplementedError
