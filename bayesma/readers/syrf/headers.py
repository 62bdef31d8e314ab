"""The columns of a SyRF quantitative export, under the names by which they occur."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["HEADERS", "LABELS", "Header", "plain", "question_headers"]


@dataclass(frozen=True)
class Header:
    """One column of the export.

    Attributes
    ----------
    names : tuple of str
        What it is called: first as SyRF's data dictionary has it, then as exports have it too.
    required : bool
        Whether arms cannot be paired without it.
    """

    names: tuple[str, ...]
    required: bool = False


HEADERS: dict[str, Header] = {
    "study_id": Header(("StudyId",), required=True),
    "title": Header(("Title",)),
    "authors": Header(("Authors",)),
    "year": Header(("Year",)),
    "doi": Header(("Doi",)),
    "reconciled": Header(("Reconciled", "Is this a reconciliation?")),
    "annotator_id": Header(("InvestigatorId", "AnnotatorId")),
    "annotator": Header(("InvestigatorName", "AnnotatorName", "InvestigatorFullName")),
    "experiment_id": Header(("ExperimentId",), required=True),
    "experiment_label": Header(("ExperimentLabel",)),
    "cohort_id": Header(("CohortId",), required=True),
    "cohort_label": Header(("CohortLabel",)),
    "n": Header(("NumberOfAnimals",), required=True),
    "model_control": Header(("IsDiseaseModelControl",)),
    "model_id": Header(("DiseaseModelId(s)", "DiseaseModelId")),
    "model": Header(("DiseaseModelLabel(s)", "DiseaseModelLabel")),
    "treatment_control": Header(("IsTreatmentControl",), required=True),
    "treatment": Header(("TreatmentLabel(s)", "TreatmentLabel")),
    "outcome_id": Header(("OutcomeId",)),
    "outcome": Header(("OutcomeLabel",), required=True),
    "greater_is_worse": Header(("GreaterIsWorse",), required=True),
    "time": Header(("TimeInMinutes", "TimeInMinute"), required=True),
    "mean": Header(("OutcomeAverage", "OutcomeResult"), required=True),
    "average_type": Header(("OutcomeAverageType", "AverageType")),
    "outcome_unit": Header(("OutcomeUnit", "OutcomeUnits")),
    "error": Header(("OutcomeError",), required=True),
    "error_type": Header(("OutcomeErrorType", "ErrorType"), required=True),
}

# Written by reviewers, so the same thing may stand in several cases and spacings.
LABELS = (
    "experiment_label",
    "cohort_label",
    "model",
    "treatment",
    "outcome",
    "outcome_unit",
)

# SyRF's own columns that say nothing of an arm; whatever is in neither list is a question.
_OF_THE_SYSTEM = (
    "PublicationName",
    "AlternateName",
    "Abstract",
    "Url",
    "AuthorAddress",
    "ReferenceType",
    "Keywords",
    "PdfRelativePath",
    "CustomId",
    "DateTimeStudyAdded",
    "SystematicSearchId",
    "SystematicSearchName",
    "DateTimeDataEntered",
    "TreatmentId",
    "TreatmentId(s)",
    "InvestigatorEmail",
)


def plain(header: str) -> str:
    """Return a header without case, spaces and signs: R writes 'TreatmentLabel.s.'."""
    return re.sub(r"[^a-z0-9]", "", header.lower())


def question_headers(headers: Sequence[str]) -> list[str]:
    """Return the headers that are the review's own questions."""
    known = {plain(name) for header in HEADERS.values() for name in header.names}
    known |= {plain(name) for name in _OF_THE_SYSTEM}
    return [header for header in headers if plain(header) not in known]
