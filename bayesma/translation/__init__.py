"""From animals to people: predictions, their doubts, and what they are worth."""

from bayesma.translation.assumptions import Assumption, Assumptions
from bayesma.translation.budget import Budget, uncertainty_budget
from bayesma.translation.evidence import HumanEvidence, human_evidence
from bayesma.translation.mixtures import NormalMixture
from bayesma.translation.nextstudy import NextStudy, next_study
from bayesma.translation.noun import Translation
from bayesma.translation.rules import BayesianRule, ClassicalRule
from bayesma.translation.samplesizes import effective_sample_size
from bayesma.translation.sensitivity import translation_sensitivity
from bayesma.translation.species import Species, species_table
from bayesma.translation.targets import Target
from bayesma.translation.translating import translate
from bayesma.translation.trials import Assurance, assurance
from bayesma.translation.worth import MapPrior, map_prior

__all__ = [
    "Assumption",
    "Assumptions",
    "Assurance",
    "BayesianRule",
    "Budget",
    "ClassicalRule",
    "HumanEvidence",
    "MapPrior",
    "NextStudy",
    "NormalMixture",
    "Species",
    "Target",
    "Translation",
    "assurance",
    "effective_sample_size",
    "human_evidence",
    "map_prior",
    "next_study",
    "species_table",
    "translate",
    "translation_sensitivity",
    "uncertainty_budget",
]
