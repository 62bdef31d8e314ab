"""Files and frames to StudyTable."""

from bayesma.readers.frames import SUFFIXES, headers, read_table

__all__ = ["SUFFIXES", "headers", "read_table"]
