"""From animals to people: predictions, their doubts, and what they are worth."""

from bayesma.translation.assumptions import Assumption, Assumptions
from bayesma.translation.nextstudy import NextStudy, next_study
from bayesma.translation.noun import Translation
from bayesma.translation.species import Species, species_table
from bayesma.translation.targets import Target
from bayesma.translation.translating import translate

__all__ = [
    "Assumption",
    "Assumptions",
    "NextStudy",
    "Species",
    "Target",
    "Translation",
    "next_study",
    "species_table",
    "translate",
]
