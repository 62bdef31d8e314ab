"""Quantitative exports of SyRF to StudyTable."""

from bayesma.readers.syrf.reader import read_syrf

__all__ = ["read_syrf"]
