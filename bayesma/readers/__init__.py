"""Files and frames to StudyTable."""

from bayesma.readers.frames import read_table

__all__ = ["read_table"]
