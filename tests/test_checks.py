from dataclasses import replace

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from fits import ConjugatePosterior, conjugate_fit, prior_fit

from bayesma import priors
from bayesma.bayes import engine
from bayesma.bayes.sampler import compiled
from bayesma.catalogue import load_dataset
from bayesma.checks import leave_one_row_out, leave_one_study_out, loo, refits
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import QueryError
from bayesma.posterior import where_likelihood_is_kept
from bayesma.predictive import group_log_likelihoods
from bayesma.spec import ModelSpec

# Priors as narrow as a posterior, so that their draws can stand for one: that of the likelihood
# which takes v as known.
SPEC = ModelSpec(
    peak="1 + (1 | study)",
    decay="none",
    likelihood="normal",
    priors={"peak": priors.normal(1.3, 0.1), "tau": priors.log_normal(-0.5, 0.2)},
)


@pytest.fixture(scope="module")
def fit():
    return prior_fit(effect_sizes(load_dataset("simulated_decay")), SPEC)


def test_it_is_arviz_on_the_marginal_likelihood_by_study(fit):
    found = leave_one_study_out(fit, refit=False)
    assert found.n_data_points == len(fit.design.groups.labels[0])
    by_study = fit.tree["log_likelihood"]["by_study"].values.reshape(-1, found.n_data_points)
    # The density of all rows is split by study, none counted twice: sums agree to rounding.
    whole = fit.tree["log_likelihood"]["by_study"].sum("study").values.ravel()
    np.testing.assert_allclose(by_study.sum(axis=1), whole, rtol=1e-12)
    reference = arviz_stats.loo(fit.tree, var_name="by_study", pointwise=True)
    assert found.elpd == reference.elpd


def test_an_unreliable_study_is_left_out_exactly(fit, monkeypatch):
    """The refit's place is taken by draws we hold: its arithmetic is then known in closed form."""
    plain = leave_one_study_out(fit, refit=False)
    strict = replace(plain, good_k=float(np.sort(plain.pareto_k.values)[-2]))
    monkeypatch.setattr(arviz_stats, "loo", lambda *_, **__: strict)
    asked = []

    class Engine:
        def with_data(self, include):
            asked.append(np.flatnonzero(include == 0).tolist())
            return self

    monkeypatch.setattr(refits, "compiled", lambda _: Engine())
    monkeypatch.setattr(refits, "sample", lambda *_: fit.tree)
    found = leave_one_study_out(fit)
    worst = int(plain.pareto_k.values.argmax())
    assert asked == [[worst]]
    held = fit.tree["log_likelihood"]["by_study"].values[..., worst]
    # log of the mean density over the draws; 1e-10 is rounding of exp and log.
    assert float(found.elpd_i[worst]) == pytest.approx(np.log(np.exp(held).mean()), rel=1e-10)
    assert found.elpd == pytest.approx(float(found.elpd_i.sum()), rel=1e-10)
    assert float(found.pareto_k[worst]) == 0
    assert not found.warning


def test_pooled_results_are_refused():
    with pytest.raises(QueryError, match="these rows are pooled results"):
        leave_one_study_out(prior_fit("ketamine_pain"))


def test_few_studies_are_refused():
    frame = load_dataset("simulated_decay").frame
    few = frame[frame["study"].isin(sorted(set(frame["study"]))[:9])]
    with pytest.raises(QueryError, match="9 study groups: leave-one-out needs at least 10"):
        leave_one_study_out(prior_fit(effect_sizes(few), SPEC))


def test_an_unreliable_row_is_left_out_exactly_and_alone(fit, monkeypatch):
    plain = leave_one_row_out(fit, refit=False)
    strict = replace(plain, good_k=float(np.sort(plain.pareto_k.values)[-2]))
    monkeypatch.setattr(arviz_stats, "loo", lambda *_, **__: strict)
    asked = []

    class Engine:
        def with_data(self, **data):
            asked.append(data)
            return self

    monkeypatch.setattr(refits, "compiled", lambda _: Engine())
    monkeypatch.setattr(refits, "sample", lambda *_: fit.tree)
    found = leave_one_row_out(fit)
    worst = int(plain.pareto_k.values.argmax())
    (data,) = asked
    assert np.flatnonzero(data["whitening_value"] == 0).tolist() == [worst]
    assert np.flatnonzero(data["log_det_v"] == 0).tolist() == [worst]
    held = fit.tree["log_likelihood"]["by_row"].values[..., worst]
    # log of the mean density over the draws; 1e-10 is rounding of exp and log.
    assert float(found.elpd_i[worst]) == pytest.approx(np.log(np.exp(held).mean()), rel=1e-10)
    assert float(found.pareto_k[worst]) == 0
    assert not found.warning


def test_a_refit_that_does_not_converge_leaves_the_estimate_and_its_k(fit, monkeypatch):
    plain = leave_one_row_out(fit, refit=False)
    strict = replace(plain, good_k=float(np.sort(plain.pareto_k.values)[-2]), warning=True)
    monkeypatch.setattr(arviz_stats, "loo", lambda *_, **__: strict)

    class Engine:
        def with_data(self, **_):
            return self

    monkeypatch.setattr(refits, "compiled", lambda _: Engine())
    monkeypatch.setattr(refits, "sample", lambda *_: fit.tree)
    monkeypatch.setattr(refits, "convergence_problems", lambda *_: ["divergent"])
    found, again = loo.left_out(fit, "row", True, False)
    assert not len(again)
    assert found.elpd == plain.elpd
    assert found.warning
    np.testing.assert_array_equal(found.pareto_k, plain.pareto_k)


def test_pooled_rows_are_refused():
    with pytest.raises(QueryError, match="needs rows that are draws from one population"):
        leave_one_row_out(prior_fit("ketamine_pain"))


def test_few_rows_are_refused():
    few = load_dataset("simulated_decay").frame.iloc[:9]
    with pytest.raises(QueryError, match="9 rows: leave-one-out needs at least 10"):
        leave_one_row_out(prior_fit(effect_sizes(few), SPEC))


@pytest.mark.slow
def test_a_row_sampled_without_is_predicted_as_by_the_exact_posterior():
    """One row far from the rest, whose importance weights cannot be trusted."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "study": [f"S{i // 2}" for i in range(20)],
            "experiment": [f"E{i // 2}" for i in range(20)],
            "y": np.append(rng.normal(1.0, 0.4, 19), 4.0),
            "v": 0.1,
        }
    )
    spec = replace(SPEC, priors={"peak": priors.normal(0, 2), "tau": priors.half_normal(1)})
    fit = conjugate_fit(spec, effect_sizes(frame, rho=0.5, within="experiment"))
    plain = leave_one_row_out(fit, refit=False)
    assert float(plain.pareto_k[19]) > plain.good_k
    found, again = loo.left_out(fit, "row", True, False)
    assert 19 in again
    assert not found.warning
    for row in again:
        exact = ConjugatePosterior(fit.design, out=int(row)).log_predictive(int(row))
        # 4,000 draws of a predictive density that spreads by less than its own size.
        assert float(found.elpd_i[row]) == pytest.approx(exact, abs=0.06)


@pytest.mark.slow
def test_sampling_without_a_unit_is_what_importance_weights_say_where_they_can_be_trusted():
    """The exact likelihood, whose refits leave out the unit's scale as well."""
    frame = load_dataset("simulated_decay").frame
    few = frame[frame["study"].isin(sorted(set(frame["study"]))[:12])]
    fit = engine.fit(effect_sizes(few), ModelSpec(decay="none"), seed=1, progress=False)
    assert fit.spec.likelihood == "exact"
    code = compiled(fit.design)
    for by in ("row", "study"):
        plain, _ = loo.left_out(fit, by, False, False)
        for unit in (0, int(plain.pareto_k.values.argmax())):
            assert float(plain.pareto_k[unit]) < 0.5
            found = refits.density_without(fit, by, unit, code, False)
            # Both are logs of means of 1,000 draws of a density that spreads by less than its own
            # size: an error of .03 each, and 2.7 times that of the difference.
            assert found == pytest.approx(float(plain.elpd_i[unit]), abs=0.12), (by, unit)


def test_rows_of_animals_measured_again_are_left_out_by_what_is_computed_then():
    """Such a fit keeps no likelihood by row: it costs ten times that by study."""
    frame = load_dataset("simulated_decay").frame
    frame = frame[frame["study"].isin(sorted(set(frame["study"]))[:5])].drop(columns="experiment")
    again = frame.groupby("study").cumcount() < 2
    rows = frame.assign(animals=frame["study"].where(again)).reset_index(drop=True)
    effects = effect_sizes(rows, same_animals="animals", rho=0.5)
    narrow = {"peak": priors.normal(1.3, 0.1), "tau": priors.log_normal(-0.5, 0.2)}
    # Each draw is compared by itself: 100 of them say what 1,000 do.
    fit = prior_fit(effects, ModelSpec(decay="none", priors=narrow), draws=25)
    assert fit.spec.likelihood == "exact"
    assert "by_row" not in fit.tree["log_likelihood"].dataset
    assert leave_one_row_out(fit, refit=False).n_data_points == len(effects)
    # The other way there: the study with its row, less the study without it. Row 0 is of animals
    # measured again, row 2 of others of the same study.
    kept = where_likelihood_is_kept(fit)
    draws = {str(n): a.values for n, a in kept.posterior.data_vars.items()}
    whole = group_log_likelihoods(fit.design, draws)
    found = loo._with_rows(kept)["log_likelihood"].dataset["by_row"].values
    assert again[0]
    assert not again[2]
    for row in (0, 2):
        rest = design(fit.spec, effect_sizes(rows.drop(row), same_animals="animals", rho=0.5))
        gap = whole - group_log_likelihoods(rest, draws)
        # Both are means over the same points of linked sets: their error is .02 as a rule.
        assert np.abs(found[..., row] - gap[..., 0]).max() < 0.1
