"""The order of the page: which sections there are, and which of them answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bayesma.reporting.blocks import Block, Link, Section, Words
from bayesma.reporting.material import Material
from bayesma.reporting.sections.answer import answer, asked
from bayesma.reporting.sections.comparisons import comparisons
from bayesma.reporting.sections.convergence import convergence
from bayesma.reporting.sections.crosscheck import crosscheck
from bayesma.reporting.sections.decay import decay
from bayesma.reporting.sections.forest import forest
from bayesma.reporting.sections.funnel import funnel
from bayesma.reporting.sections.guidelines import guidelines
from bayesma.reporting.sections.influence import influence
from bayesma.reporting.sections.model import model
from bayesma.reporting.sections.people import people
from bayesma.reporting.sections.predictive import predictive
from bayesma.reporting.sections.quality import quality
from bayesma.reporting.sections.reproducibility import reproducibility
from bayesma.reporting.sections.rows import rows
from bayesma.reporting.sections.sensitivity import sensitivity

__all__ = ["CONTENTS", "Entry", "sections_of"]

WITHHELD = (
    "Not printed: the fit has not converged, and what its draws say here may be far from what "
    "the model says."
)


@dataclass(frozen=True)
class Entry:
    """One section of every report.

    Attributes
    ----------
    name : str
        Its id.
    title : str
    write : callable
        Material to blocks.
    answers : bool
        Whether it says what the posterior says: withheld where the fit has not converged.
    """

    name: str
    title: str
    write: Callable[[Material], tuple[Block, ...]]
    answers: bool = True


CONTENTS = (
    Entry("answer", "Question and answer", answer),
    Entry("data", "Data", rows, answers=False),
    Entry("model", "Model and priors", model, answers=False),
    Entry("convergence", "Convergence", convergence, answers=False),
    Entry("predictive", "Prior and posterior predictive checks", predictive, answers=False),
    Entry("forest", "Studies and their pooled effect", forest),
    Entry("decay", "How the effect fades", decay),
    Entry("comparisons", "Half-lives and contrasts", comparisons),
    Entry("crosscheck", "Beside the classical and the published answer", crosscheck),
    Entry("influence", "Leave-one-out and influence", influence),
    Entry("sensitivity", "What the priors move", sensitivity),
    Entry("funnel", "Small studies", funnel, answers=False),
    Entry("quality", "Risk of bias", quality, answers=False),
    Entry("people", "From animals to people", people),
    Entry("reproducibility", "Reproducibility", reproducibility, answers=False),
    Entry("guidelines", "Reporting guidelines (BARG)", guidelines, answers=False),
)


def sections_of(material: Material) -> tuple[Section, ...]:
    """Return the sections, in the order of the page."""
    return tuple(Section(e.name, e.title, _blocks(e, material)) for e in CONTENTS)


def _blocks(entry: Entry, material: Material) -> tuple[Block, ...]:
    if entry.answers and not material.converged:
        withheld = Words(WITHHELD, "alarm", (Link("What is wrong", "convergence"),))
        # The question is no answer.
        return (asked(material), withheld) if entry.write is answer else (withheld,)
    return entry.write(material)
