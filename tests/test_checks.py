from dataclasses import replace

import arviz_stats
import numpy as np
import pytest
from fits import prior_fit

from bayesma import priors
from bayesma.catalogue import load_dataset
from bayesma.checks import leave_one_study_out, loo
from bayesma.effects import effect_sizes
from bayesma.errors import QueryError
from bayesma.spec import ModelSpec

# Priors as narrow as a posterior, so that their draws can stand for one.
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

    monkeypatch.setattr(loo, "compiled", lambda _: Engine())
    monkeypatch.setattr(loo, "sample", lambda *_: fit.tree)
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
