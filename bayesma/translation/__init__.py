"""From animals to people: predictions, their doubts, and what they are worth."""

from bayesma.translation.doubts.budget import Budget, uncertainty_budget
from bayesma.translation.learning.nextstudy import NextStudy, next_study
from bayesma.translation.learning.targets import Target
from bayesma.translation.noun import Translation
from bayesma.translation.pathway.assumptions import Assumption, Assumptions
from bayesma.translation.pathway.species import Species, species_table
from bayesma.translation.people.evidence import HumanEvidence, human_evidence
from bayesma.translation.sensitivity import translation_sensitivity
from bayesma.translation.translating import translate
from bayesma.translation.worth.mapprior import MapPrior, map_prior
from bayesma.translation.worth.mixtures import NormalMixture
from bayesma.translation.worth.rules import BayesianRule, ClassicalRule
from bayesma.translation.worth.samplesizes import effective_sample_size
from bayesma.translation.worth.trials import Assurance, assurance

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
