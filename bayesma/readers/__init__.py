"""Files and frames to StudyTable."""

from bayesma.readers.frames import SUFFIXES, read_table

__all__ = ["SUFFIXES", "read_table"]
