"""A new species is where its interval says: a small grid of evidence/translation_coverage.py."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from fits import ConjugatePosterior
from scipy import stats

from bayesma import priors
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.translation.pathway.innovations import innovations
from evidence.translation_coverage import (
    DRAWS,
    PRIORS,
    STUDIES,
    TAU,
    V,
    animals,
    drawn_y,
    new_species,
    posterior_fit,
    replicate,
    said,
)

EVIDENCE = Path(__file__).resolve().parents[1] / "evidence"


def test_the_draws_are_of_the_exact_posterior():
    """Against the linear algebra of tests/fits.py, which knows nothing of a rotation."""
    of = animals(3, 2.0)
    y = drawn_y(of, 1.0, np.random.default_rng(1))
    frame = of.plan.effects.frame.assign(y=y)
    plan = design(of.plan.spec, effect_sizes(frame.drop(columns=["measure"], errors="ignore")))
    other = ConjugatePosterior(plan).draws(8000, np.random.default_rng(2))
    ours = posterior_fit(of, y, np.random.default_rng(3), 8000).posterior
    level = ours["level"].values.reshape(8000, -1)
    for mine, theirs in (
        *zip(level.T, other["level"].T, strict=True),
        (ours["tau"].values.ravel(), other["tau"]),
    ):
        # 8000 draws each: 4 standard errors of a difference of means, and of the ratio of SDs.
        assert mine.mean() == pytest.approx(theirs.mean(), abs=4 * mine.std() * np.sqrt(2 / 8000))
        assert mine.std() == pytest.approx(theirs.std(), rel=4 / np.sqrt(8000))


def test_the_interval_is_that_of_the_whole_model():
    """Quadrature over tau and sigma: mu flat, species and studies integrated out."""
    of = animals(12, 2.0)
    y = drawn_y(of, 1.0, np.random.default_rng(4))
    fit = posterior_fit(of, y, np.random.default_rng(5), 20_000)
    drawn = innovations(40_000, np.random.default_rng(6))
    low, high, effective = new_species(fit, priors.half_normal(1), drawn)
    means = y.reshape(12, STUDIES).mean(axis=1)
    rest = ((y.reshape(12, STUDIES) - means[:, None]) ** 2).sum()
    sigma, tau = np.meshgrid(np.linspace(0.005, 4, 400), np.linspace(0.005, 4, 400))
    error = (tau**2 + V) / STUDIES
    total = sigma**2 + error
    log = -11 / 2 * np.log(total) - ((means - means.mean()) ** 2).sum() / 2 / total
    log -= 12 * (STUDIES - 1) / 2 * np.log(tau**2 + V) + rest / 2 / (tau**2 + V)
    log -= sigma**2 / 2 + tau**2 / 2 / of.plan.spec.priors["tau"].sigma ** 2
    weight = np.exp(log - log.max())
    sd = np.sqrt(sigma**2 + total / 12)
    for end, share in ((low, 0.025), (high, 0.975)):
        below = (weight * stats.norm.cdf((end - means.mean()) / sd)).sum() / weight.sum()
        # Draws of a tail of 2.5%, of which some thousands are effective: 4 standard errors.
        assert below == pytest.approx(share, abs=4 * np.sqrt(0.025 * 0.975 / effective))
    assert effective > 1000


def test_twelve_species_have_nominal_coverage():
    of, rng = animals(12, 2.0), np.random.default_rng(7)
    held = np.array([replicate(of, 1.0, PRIORS[1:], rng) for _ in range(30)])[:, :, 0]
    error = held.std(axis=0) / np.sqrt(30)
    # At sigma = 1 the page has 0.95 and 0.96 for the two priors; 4 standard errors here.
    np.testing.assert_allclose(held.mean(axis=0), [0.95, 0.96], atol=4 * error.max())
    assert (held.mean(axis=0) > 0.92).all()


def test_with_two_species_the_prior_decides_and_the_result_says_so():
    of, rng = animals(2, 2.0), np.random.default_rng(8)
    found = np.array([replicate(of, 1.0, PRIORS, rng) for _ in range(25)])
    held, width = found[:, :, 0].mean(axis=0), np.median(found[:, :, 1], axis=0)
    # The page: 0.79, 0.95, 1.00, and widths of 3.2, 5.2, 8.7. The SD of a coverage is 0.2.
    np.testing.assert_allclose(held, [0.79, 0.95, 1.0], atol=4 * 0.2 / np.sqrt(25))
    assert width[2] > 2 * width[0]
    assert said(2, 1).endswith("mostly assumed")
    assert "mostly assumed" not in said(12, 1)


def test_the_page_is_of_this_script():
    page = (EVIDENCE / "translation_coverage.md").read_text(encoding="utf-8")
    assert f"tau = {TAU}" in page
    assert f"{DRAWS} posterior draws" in page
    drawn = re.findall(r"\| of the prior \| \S+ \| (\S+) \| (\S+) \|", page)
    assert len(drawn) == 6
    for coverage, error in drawn:
        # With sigma of the prior the interval is nominal: 4 Monte Carlo errors.
        assert float(coverage) == pytest.approx(0.95, abs=4 * float(error))
