"""The report of a fit: one self-contained page to attach to a manuscript and to audit."""

from bayesma.reporting.noun import Report
from bayesma.reporting.writing import report

__all__ = ["Report", "report"]
