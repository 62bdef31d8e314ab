"""From animals to people: predictions, their doubts, and what they are worth."""

from bayesma.translation.assumptions import Assumption, Assumptions
from bayesma.translation.evidence import HumanEvidence, human_evidence
from bayesma.translation.noun import Translation
from bayesma.translation.species import Species, species_table
from bayesma.translation.translating import translate

__all__ = [
    "Assumption",
    "Assumptions",
    "HumanEvidence",
    "Species",
    "Translation",
    "human_evidence",
    "species_table",
    "translate",
]
