"""StudyTable: the validated noun. Every fault of a table is found before any is reported."""

from bayesma.table.noun import StudyTable
from bayesma.table.validation import require_outcomes, validated

__all__ = ["StudyTable", "require_outcomes", "validated"]
