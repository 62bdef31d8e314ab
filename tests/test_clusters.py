"""Effects whose sampling errors correlate by an unknown rho, against the dense covariance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fits import prior_fit
from helpers import arms
from scipy import stats

from bayesma import priors
from bayesma.bayes.masks import without_row
from bayesma.bayes.model import build_design, data_of
from bayesma.clusters import clusters_of
from bayesma.design import design
from bayesma.diagnostics import reported
from bayesma.effects import effect_sizes
from bayesma.errors import SpecError
from bayesma.frequentist import classical_fit
from bayesma.posterior import load_fit
from bayesma.predictive import (
    group_effects,
    group_log_likelihoods,
    log_likelihoods,
    prior_draws,
    regenerated,
    replicates,
)
from bayesma.queries import study_effects
from bayesma.spec import ModelSpec

ROWS = pd.DataFrame(
    {
        "study": ["A", "A", "A", "B", "B", "C", "C"],
        "experiment": ["1", "1", "2", "1", "1", None, None],
        "y": [1.0, 2.0, 1.5, 0.5, 2.5, 1.0, 0.3],
        "v": [0.2, 0.3, 0.4, 0.2, 0.5, 0.3, 0.6],
    }
)
QUICK = "FAST_COMPILE"
PRIOR = {"rho": priors.uniform(0, 1)}
FORMS = {
    "no groups": ("1", {}),
    "studies": ("1 + (1 | study)", {}),
    "nested": ("1 + (1 | study/experiment)", {}),
    "student": ("1 + (1 | study)", {"population": "student"}),
    "proportional": ("1 + (1 | study)", {"heterogeneity": "proportional"}),
}


def plan_of(form="nested", rows=ROWS, prior=PRIOR):
    peak, more = FORMS[form]
    spec = ModelSpec(peak=peak, decay="none", priors=prior, **more)
    return design(spec, effect_sizes(rows))


def draws_of(plan, size=5, seed=3):
    return prior_draws(plan, size, np.random.default_rng(seed))


def fixed(form, rho, rows=ROWS):
    """The same model with rho known."""
    peak, more = FORMS[form]
    return design(ModelSpec(peak=peak, decay="none", **more), effect_sizes(rows, rho=rho))


@pytest.mark.parametrize("form", FORMS)
def test_each_draw_has_the_likelihood_of_its_own_rho(form):
    plan = plan_of(form)
    draws = draws_of(plan)
    by_group, by_row = log_likelihoods(plan, draws)
    assert by_group.shape == (5, 3)
    for i in range(5):
        one = {name: values[i] for name, values in draws.items()}
        expected = log_likelihoods(fixed(form, float(one["rho"])), one)
        # The same numbers through another factorisation of V: roundings that 1 - rho magnifies.
        np.testing.assert_allclose(by_group[i], expected[0], rtol=1e-10)
        np.testing.assert_allclose(by_row[i], expected[1], rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(group_log_likelihoods(plan, draws), by_group)


def test_the_likelihood_is_the_dense_one():
    plan, rho, tau = plan_of("studies"), 0.7, 0.8
    draws = {"level": np.array([0.4]), "tau": np.array(tau), "rho": np.array(rho)}
    sd = np.sqrt(ROWS["v"].to_numpy())
    cluster = np.array([0, 0, 1, 2, 2, 3, 4])
    study = ROWS["study"].to_numpy()
    same = cluster[:, None] == cluster
    V = np.outer(sd, sd) * (rho * same + (1 - rho) * np.eye(7))
    S = V + tau**2 * (study[:, None] == study)
    expected = [
        stats.multivariate_normal.logpdf(
            ROWS["y"][study == name], np.full((study == name).sum(), 0.4),
            S[np.ix_(study == name, study == name)],
        )
        for name in "ABC"
    ]  # fmt: skip
    # Both in double precision.
    np.testing.assert_allclose(group_log_likelihoods(plan, draws), expected, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_the_sampler_has_the_same_likelihood(form):
    plan = plan_of(form)
    model = build_design(plan)
    names = ["level", *plan.scalars]
    nodes = model.replace_rvs_by_values([model[name] for name in names])
    evaluate = model.compile_fn(
        nodes, inputs=model.value_vars, mode=QUICK, on_unused_input="ignore"
    )
    likelihood = model.compile_logp(vars=[model["y"]], mode=QUICK)
    rng = np.random.default_rng(7)
    for _ in range(2):
        point = {k: rng.normal(size=np.shape(v)) for k, v in model.initial_point().items()}
        draws = dict(zip(names, evaluate(point), strict=True))
        assert 0 < draws["rho"] < 1
        expected = log_likelihoods(plan, draws)[0].sum()
        # One algebra run by NumPy and by PyTensor.
        assert float(likelihood(point)) == pytest.approx(expected, rel=1e-10)


def test_what_outcomes_decide_is_named():
    plan = plan_of()
    model = build_design(plan)
    found = data_of(plan)
    assert set(found) == {"y_observed", "sampling_v"}
    for name, values in found.items():
        np.testing.assert_array_equal(model[name].get_value(), values)


def test_a_left_out_row_takes_its_conditional_density_with_it():
    """log p(y) - log p(y without row i) = log p(y_i | the other rows of its study)."""
    plan = plan_of("nested")
    model = build_design(plan)
    names = ["level", *plan.scalars]
    nodes = model.replace_rvs_by_values([model[name] for name in names])
    evaluate = model.compile_fn(
        nodes, inputs=model.value_vars, mode=QUICK, on_unused_input="ignore"
    )
    likelihood = model.compile_logp(vars=[model["y"]], mode=QUICK)
    rng = np.random.default_rng(8)
    point = {k: rng.normal(size=np.shape(v)) for k, v in model.initial_point().items()}
    by_row = log_likelihoods(plan, dict(zip(names, evaluate(point), strict=True)))[1]
    every = float(likelihood(point))
    for row in range(7):
        for data, values in without_row(plan, row).items():
            model.set_data(data, values)
        # The constant of the row that is gone stays; roundings of sums.
        gap = every - float(likelihood(point))
        assert gap == pytest.approx(by_row[row] + np.log(2 * np.pi) / 2, abs=1e-10)


def test_replicates_correlate_by_the_rho_of_their_draw():
    plan, size = plan_of("no groups"), 40_000
    for rho in (0.2, 0.9):
        draws = {"level": np.zeros((size, 1)), "rho": np.full(size, rho)}
        y = replicates(plan, draws, np.random.default_rng(4))
        V = effect_sizes(ROWS, rho=rho).V
        # Var of a sample covariance: (v_i v_j + c^2) / R.
        error = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / size)
        assert (np.abs(np.cov(y.T) - V) < 4.5 * error).all()


def test_study_effects_are_those_of_the_fixed_rho():
    plan, size, rho = plan_of("nested"), 40_000, 0.6
    one = {"level": np.array([1.0]), "tau": 0.7, "tau_experiment": 0.4, "rho": rho}
    draws = {name: np.broadcast_to(v, (size, *np.shape(v))) for name, v in one.items()}
    found = group_effects(plan, draws, np.random.default_rng(5))
    known = group_effects(fixed("nested", rho), draws, np.random.default_rng(6))
    assert [effect.shape for effect in found] == [effect.shape for effect in known]
    for own, other in zip(found, known, strict=True):
        error = np.sqrt((own.var(axis=0) + other.var(axis=0)) / size)
        assert (np.abs(own.mean(axis=0) - other.mean(axis=0)) < 4.5 * error).all()
        # A standard deviation's own standard error is sd / sqrt(2 R).
        np.testing.assert_allclose(own.std(axis=0), other.std(axis=0), rtol=4.5 / np.sqrt(size))


def test_a_fit_keeps_it_and_answers(tmp_path):
    spec = ModelSpec(peak="1 + (1 | study/experiment)", decay="none", priors=PRIOR)
    fit = prior_fit(effect_sizes(ROWS), spec, draws=100)
    assert "rho" in reported(fit.posterior, fit.design)
    assert "rho" in fit.summary().index
    assert fit.posterior["rho"].attrs["units"] == "correlation of sampling errors within experiment"
    assert any(text.startswith("rho follows its prior") for text in fit.problems)
    again = load_fit(fit.save(tmp_path / "fit.nc"))
    assert again.spec == fit.spec
    np.testing.assert_array_equal(again.design.clusters.together, [1, 1, 0, 1, 1, 0, 0])
    assert again.notes == fit.notes
    assert len(study_effects(again, seed=1)) > 0


def test_a_note_counts_who_correlates():
    assert (
        "effects that correlate with others of their experiment, rho ~ Uniform(0, 1): 4 of 7, "
        "in 2 clusters"
    ) in plan_of().notes


def test_other_animals_correlate_by_the_draw():
    pairs = 150
    rows = arms(2 * pairs, experiment="1", mean_control=[3.0, 3.5] * pairs)
    spec = ModelSpec(decay="none", likelihood="normal", priors=PRIOR)
    plan = design(spec, effect_sizes(rows))
    one = {"level": np.array([0.0]), "tau": np.array(0.0), "rho": np.array(0.9)}
    rng = np.random.default_rng(2)
    means = regenerated(plan, one, rng).effects.frame["mean_treated"].to_numpy()
    # Fisher's z of 150 pairs: a standard error of 1 / sqrt(147).
    found = np.arctanh(np.corrcoef(means.reshape(pairs, 2).T)[0, 1])
    assert abs(found - np.arctanh(0.9)) < 4 / np.sqrt(147)
    fresh = regenerated(plan, one, rng)
    assert fresh.effects.sharing == plan.effects.sharing
    assert fresh.clusters is not None
    np.testing.assert_array_equal(data_of(fresh)["sampling_v"], fresh.effects.v)
    given = regenerated(plan_of("studies"), draws_of(plan_of("studies"), 1) | one, rng)
    assert given.effects.v.tolist() == ROWS["v"].tolist()
    assert given.y.tolist() != ROWS["y"].tolist()


# -- what is refused ---------------------------------------------------------------------------


def refused(message, rows=ROWS, prior=PRIOR, peak="1 + (1 | study)", likelihood="auto", **how):
    effects = effect_sizes(rows, **how)
    with pytest.raises(SpecError, match=message):
        design(ModelSpec(peak, decay="none", likelihood=likelihood, priors=prior), effects)


def test_a_rho_is_known_or_has_a_prior():
    refused("the effects come with rho = 0.5; make them with rho = 0", rho=0.5)
    refused("must live between 0 and 1", prior={"rho": priors.uniform(0, 2)})
    refused("must live between 0 and 1", prior={"rho": priors.normal(0, 1)})
    refused("no column 'cohort' to correlate within", within="cohort")
    lonely = ROWS.assign(experiment=list("abcdefg"))
    refused("no two rows share their experiment", rows=lonely)
    across = ROWS.assign(experiment="1", arm=["x", "y"] * 3 + ["x"])
    refused("links rows of different groups", rows=across, peak="1 + (1 | study/arm)")
    refused("fit one rho after another by bm.sweep_rho", likelihood="exact")
    labelled = arms(
        4, study="s", animals=["x", "x", "y", "z"], group="c", mean_control=[1, 2, 3, 4]
    )
    message = "no one factor of rho gives.*bm.sweep_rho"
    refused(message, rows=labelled, shared_control="group", peak="1")


def test_the_exact_likelihood_gives_way_and_says_so():
    rows = arms(4, experiment="1", mean_control=[3.0, 3.5, 4.0, 4.5])
    plan = design(ModelSpec(decay="none", priors=PRIOR), effect_sizes(rows))
    assert plan.spec.likelihood == "normal"
    assert any("not exact: rho has a prior" in note for note in plan.notes)


def test_the_classical_engine_takes_a_known_rho():
    with pytest.raises(SpecError, match="a prior of rho: this engine takes a rho that is known"):
        classical_fit(effect_sizes(ROWS), ModelSpec(decay="none", priors=PRIOR))


def test_clusters_are_within_their_study():
    plan = plan_of("studies")
    assert plan.clusters.groups.labels[1] == ("A/1", "A/2", "B/1", "5", "6")
    assert plan.clusters.groups.parent[0].tolist() == [0, 0, 1, 2, 2]
    assert clusters_of(plan.effects, plan.groups).together.tolist() == [1, 1, 0, 1, 1, 0, 0]
