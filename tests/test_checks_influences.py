"""How each study moves the answer: weights against exact posteriors without the study."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from fits import ConjugatePosterior, conjugate_fit, prior_fit

import bayesma as bm
from bayesma.checks.influences import study_influence
from bayesma.diagnostics import days_text
from bayesma.errors import QueryError

STUDIES = 14


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(3)
    y = np.append(1 + rng.normal(0, 0.3, STUDIES - 1), 2.1)
    rows = {"study": [f"S{i}" for i in range(STUDIES)], "y": y, "v": 0.15}
    spec = bm.ModelSpec(
        peak="1 + (1 | study)",
        decay="none",
        likelihood="normal",
        priors={"peak": bm.priors.normal(0, 2), "tau": bm.priors.half_normal(1)},
    )
    return conjugate_fit(spec, bm.effect_sizes(pd.DataFrame(rows)))


@pytest.fixture(scope="module")
def table(fit):
    return study_influence(fit)


def test_the_mean_without_a_study_is_that_of_the_exact_posterior_without_it(fit, table):
    assert (table["verdict"] == "ok").all()
    for i in (0, 5, STUDIES - 1):
        exact = ConjugatePosterior(fit.design, out=i).draws(40_000, np.random.default_rng(i))
        expected = exact["level"][:, 0]
        # Four Monte Carlo errors of both: of the weights, of the fit's own mean and of the draws.
        own = table["sd"].iloc[i] / np.sqrt(4000)
        error = np.sqrt(table["mcse"].iloc[i] ** 2 + own**2 + expected.var() / 40_000)
        assert table["without"].iloc[i] == pytest.approx(expected.mean(), abs=4 * error)
    # The study far above the others pulls the mean up.
    assert table["change_sd"].abs().idxmax() == STUDIES - 1
    assert table["change"].iloc[-1] < 0


def test_the_weights_are_those_of_arviz(fit, table):
    expected, _ = arviz_stats.loo_expectations(
        fit.tree, var_name="level", group="posterior", log_likelihood_var_name="by_study"
    )
    # The same draws and weights by another route: rounding.
    found = expected["level"] if hasattr(expected, "data_vars") else expected
    np.testing.assert_allclose(table["without"], np.ravel(found.values), rtol=1e-8)


def test_elpd_and_k_are_those_of_leave_one_study_out(fit, table):
    reference = bm.leave_one_study_out(fit, refit=False)
    assert table.attrs["elpd"] == reference.elpd
    np.testing.assert_array_equal(table["pareto_k"], reference.pareto_k)
    np.testing.assert_array_equal(table["elpd"], reference.elpd_i)
    assert (table["change"] / table["sd"]).tolist() == table["change_sd"].tolist()
    assert table.attrs["n_bad"] == 0


def test_pooled_rows_and_few_studies_are_refused(fit):
    with pytest.raises(QueryError, match="these rows are pooled results"):
        study_influence(prior_fit("ketamine_pain"))
    few = bm.effect_sizes(fit.design.effects.frame.iloc[:9][["study", "y", "v"]])
    with pytest.raises(QueryError, match="9 study groups"):
        study_influence(conjugate_fit(fit.spec, few))


def test_a_curve_is_asked_at_the_median_delay_of_each_cell():
    frame = bm.load_dataset("simulated_decay").frame
    few = frame[frame["study"].isin(sorted(set(frame["study"]))[:12])]
    spec = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen", likelihood="normal")
    table = study_influence(prior_fit(bm.effect_sizes(few), spec))
    assert len(table) == 2 * 12
    for where in table["where"].unique():
        regimen, delay = where.removeprefix("regimen = ").split(", ")
        rows = few.loc[few["regimen"] == regimen, "delay"]
        assert delay == days_text(rows.quantile(0.5, interpolation="lower"))
