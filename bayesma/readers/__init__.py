"""Files and frames to StudyTable."""

from bayesma.readers.frames import SUFFIXES, headers, read_table
from bayesma.readers.syrf import read_syrf

__all__ = ["SUFFIXES", "headers", "read_syrf", "read_table"]
