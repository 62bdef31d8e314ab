"""What the error of an arm is, by the words of its type, and the SD behind it."""

from __future__ import annotations

import re

from bayesma.arms import sd_from_ci, sd_from_sem

__all__ = ["IQR", "error_kind", "letters", "sd_of"]

# By their letters alone: "S.D." and "Standard error (of mean)" are known too.
SD = ("sd", "standarddeviation", "std", "stdev", "stddev", "stdeviation")
SEM = (
    "sem",
    "se",
    "stderr",
    "stderror",
    "standarderror",
    "standarderrorofmean",
    "standarderrorofthemean",
)
CI = ("ci", "confidenceinterval", "ciofmean", "ciofthemean")
IQR = ("iqr", "interquartilerange", "interquartile")


def sd_of(error: float, error_type: str, n: float) -> float:
    """Return the standard deviation: SD, SEM sqrt(n), or from the half width of a 95% CI."""
    if error_type == "SEM":
        return float(sd_from_sem(error, n))
    return float(sd_from_ci(-error, error, n)) if error_type == "95% CI" else error


def letters(text: str) -> str:
    """Return the letters of a text, in lower case."""
    return re.sub("[^a-z]", "", text.casefold())


def error_kind(written: str) -> str:
    """Return what an error is: "SD", "SEM" or "95% CI"; "" for all else, and for a doubt."""
    kind, figures = letters(written), re.findall("[0-9]+", written)
    if "?" in written:
        return ""
    if kind in CI and figures == ["95"]:
        return "95% CI"
    if figures:
        return ""
    return "SD" if kind in SD else "SEM" if kind in SEM else ""
