"""From animals to people: predictions, their doubts, and what they are worth."""

from bayesma.translation.assumptions import Assumption, Assumptions
from bayesma.translation.noun import Translation
from bayesma.translation.sensitivity import translation_sensitivity
from bayesma.translation.species import Species, species_table
from bayesma.translation.translating import translate

__all__ = [
    "Assumption",
    "Assumptions",
    "Species",
    "Translation",
    "species_table",
    "translate",
    "translation_sensitivity",
]
