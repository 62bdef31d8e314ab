"""Files and frames to StudyTable."""

from bayesma.readers.frames import read_table
from bayesma.readers.syrf import read_syrf

__all__ = ["read_syrf", "read_table"]
