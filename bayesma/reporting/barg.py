"""The items of the Bayesian analysis reporting guidelines, and what a report says to each.

Kruschke 2021, Nature Human Behaviour 5: 1282-1291, table 1; what each asks is in our own words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from bayesma.reporting.material import Material
from bayesma.reporting.phrases import listed
from bayesma.reporting.priortable import prior_table

__all__ = ["Item", "Status", "items"]

Status = Literal["yes", "partly", "no", "not used"]

NO_DECISION = "The report estimates; it decides nothing."
NO_FACTORS = "No Bayes factors: models are told apart by prediction and shown side by side."
UNCONVERGED = "The chains have not converged, so what this would rest on is not to be read."


@dataclass(frozen=True)
class Item:
    """One item.

    Attributes
    ----------
    step, name, asks : str
        Where it stands in the guidelines, what it is called, what it asks for.
    status : {"yes", "partly", "no", "not used"}
    reason : str
        What there is, or why there is none.
    to : str
        Id of the section that answers it.
    posterior : bool
        Whether its answer rests on the draws, and so on convergence.
    """

    step: str
    name: str
    asks: str
    status: Status
    reason: str
    to: str
    posterior: bool = False


def items(material: Material) -> tuple[Item, ...]:
    """Return every item with its status for this fit."""
    found = (
        *_preamble(material),
        *_model(material),
        *_computation(),
        *_posterior(material),
        *_decisions(),
        *_sensitivity(material),
        *_reproducible(material),
    )
    if material.converged:
        return found
    return tuple(
        replace(item, status="no", reason=UNCONVERGED) if item.posterior else item for item in found
    )


def _preamble(material: Material) -> Iterator[Item]:
    # The cross-check of many exact rows is left to the reader.
    beside = material.converged and material.checked
    yield Item(
        "Preamble A",
        "Why Bayesian",
        "What a Bayesian analysis gives that another would not",
        "yes",
        "Probabilities of effects and half-lives, with priors where few rows speak"
        + ("; beside it stands the classical answer." if beside else "."),
        "crosscheck" if beside else "model",
    )
    yield Item("Preamble B", "Goals", "What the analysis is for", "yes", "The question.", "answer")


def _own_priors(material: Material) -> list[str]:
    table = prior_table(material.fit.design)
    return [str(name) for name in table.loc[table["From"] != "default", "Parameter"]]


def _model(material: Material) -> Iterator[Item]:
    own = _own_priors(material)
    yield Item(
        "1A",
        "Data variables",
        "What is predicted and what predicts it",
        "yes",
        "Every variable with its part and values; what was left out or converted.",
        "data",
    )
    yield Item(
        "1B",
        "Likelihood and parameters",
        "The likelihood, the hierarchy, and which parameters matter",
        "yes",
        "Equations of this very fit, each symbol explained.",
        "model",
    )
    yield Item(
        "1C",
        "Prior distribution",
        "Every prior, and why it was chosen",
        "partly" if own else "yes",
        f"All are given; why {listed(own)} differ from the defaults is the reviewer's to say."
        if own
        else "Each with what it binds and its range in readable units.",
        "model-priors",
    )
    yield Item(
        "1D",
        "Formal specification",
        "The model in mathematics or code",
        "yes",
        "Equations; and the model file, every choice in numbers.",
        "model",
    )
    yield Item(
        "1E",
        "Prior predictive check",
        "Whether the priors make plausible data",
        "yes",
        "Data drawn from the priors, beside the real ones.",
        "predictive",
    )


def _computation() -> Iterator[Item]:
    yield Item(
        "2A",
        "Software",
        "What computed it, with versions",
        "yes",
        "Versions behind the fit and behind this page.",
        "reproducibility-versions",
    )
    yield Item(
        "2B",
        "Convergence of chains",
        "Evidence for every parameter and derived value",
        "partly",
        "R-hat of every parameter, mean effect, half-life and time to loss; divergences, energy. "
        "Other contrasts are not diagnosed by themselves.",
        "convergence",
        posterior=True,
    )
    yield Item(
        "2C",
        "Resolution of chains",
        "Effective sample sizes for every parameter and derived value",
        "partly",
        "Bulk and tail, of the same; intervals are equal-tailed, which need fewer draws than "
        "those of highest density.",
        "convergence",
        posterior=True,
    )
    yield Item(
        "2D",
        "If not MCMC",
        "The approximations of another procedure",
        "not used",
        "The posterior is sampled by MCMC (NUTS).",
        "reproducibility",
    )


def _posterior(material: Material) -> Iterator[Item]:
    yield Item(
        "3A",
        "Posterior predictive check",
        "Whether the fitted model mimics the data",
        "yes",
        "Replicated data beside the real ones.",
        "predictive",
        posterior=True,
    )
    yield Item(
        "3B",
        "Summary of the posterior",
        "Centre and interval of the variables, and what the interval is",
        "yes",
        "Medians with equal-tailed 95% intervals"
        + (", of effects over delays, half-lives and contrasts." if material.fades else "."),
        "comparisons",
        posterior=True,
    )
    yield Item(
        "3C",
        "Bayes factors and model probabilities",
        "Both, with the prior odds they need",
        "not used",
        NO_FACTORS,
        "answer",
    )


def _decisions() -> Iterator[Item]:
    yield Item(
        "4A",
        "Why decisions",
        "Whether one must be taken, and why",
        "not used",
        NO_DECISION,
        "answer",
    )
    yield Item("4B", "Loss function", "What a wrong one costs", "not used", NO_DECISION, "answer")
    yield Item(
        "4C",
        "Region of practical equivalence",
        "Its limits, and why those",
        "not used",
        "No region is set; probabilities of either side of 0 are given.",
        "comparisons",
    )
    yield Item(
        "4D", "Bayes factor threshold", "The threshold, and why", "not used", NO_FACTORS, "answer"
    )
    yield Item(
        "4E",
        "Estimated values too",
        "Estimates beside every decision",
        "yes",
        "Estimates with their uncertainty are all that is reported.",
        "answer",
        posterior=True,
    )


def _sensitivity(material: Material) -> Iterator[Item]:
    own = _own_priors(material)
    ways = "How far each answer moves where priors are stretched or narrowed (power-scaling)"
    yield Item(
        "5A",
        "Broad priors",
        "How the posterior changes with other broad priors",
        "partly",
        f"{ways}; no other prior is fitted.",
        "sensitivity",
        posterior=True,
    )
    yield Item(
        "5B",
        "Informed priors",
        "How it changes with other informed priors",
        "partly" if own else "not used",
        f"{ways}; other families of prior for {listed(own)} are not tried."
        if own
        else "Every prior is a weakly informative default.",
        "sensitivity",
        posterior=bool(own),
    )
    yield Item(
        "5C",
        "Default priors",
        "How it changes with other defaults",
        "partly",
        f"{ways}; other families of prior are not tried.",
        "sensitivity",
        posterior=True,
    )
    yield Item(
        "5D",
        "Bayes factors and model probabilities",
        "How they change with the priors",
        "not used",
        NO_FACTORS,
        "sensitivity",
    )
    yield Item(
        "5E",
        "Decisions",
        "Whether they change with the priors",
        "not used",
        NO_DECISION,
        "sensitivity",
    )


def _reproducible(material: Material) -> Iterator[Item]:
    known = bool(material.fit.provenance.get("model"))
    yield Item(
        "6",
        "Software and installation",
        "What to install",
        "yes",
        "Packages with their versions; all are installed with bayesma.",
        "reproducibility-versions",
    )
    yield Item(
        "6",
        "Script and data",
        "Both, where others can get them",
        "partly",
        (
            "The command that makes the fit"
            if known
            else "The lines that make the fit; how its table was read, it does not know"
        )
        + "; the data are named and fingerprinted, and not part of this page.",
        "reproducibility",
    )
    yield Item(
        "6",
        "Readable by people",
        "A script with names and comments",
        "yes",
        "The model file: one choice to a line.",
        "reproducibility",
    )
    yield Item(
        "6",
        "Auxiliary files",
        "What else was made, such as the draws",
        "partly",
        "The saved fit holds every draw; attach it, this page does not contain it.",
        "reproducibility",
    )
    yield Item(
        "6",
        "Runs as posted",
        "Whether script and data run elsewhere as they are",
        "no",
        "A page cannot try this; the fingerprint of the data tells whether they are the same.",
        "reproducibility",
    )
    yield Item(
        "6",
        "Same draws again",
        "Seeds and settings of the chains",
        "yes",
        "Seed, chains, warm-up, draws and sampler.",
        "reproducibility-settings",
    )
