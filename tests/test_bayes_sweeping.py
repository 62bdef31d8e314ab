"""One model at several rhos: one compile per structure, and what the table says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fits import prior_sample
from helpers import arms

from bayesma.bayes import engine, sweeping
from bayesma.bayes.model import build_design, data_of
from bayesma.bayes.sampler import Compiled
from bayesma.bayes.sweeping import sweep_rho
from bayesma.covariance import blocks_of
from bayesma.design import design
from bayesma.effects import effect_sizes, with_rho
from bayesma.errors import SpecError
from bayesma.priors import uniform
from bayesma.spec import ModelSpec

SPEC = ModelSpec(decay="none")
NORMAL = ModelSpec(decay="none", likelihood="normal")
QUICK = "FAST_COMPILE"


def again(**how):
    """Four studies of the same animals twice."""
    rows = arms(
        8,
        study=[f"s{i // 2}" for i in range(8)],
        animals="a",
        mean_treated=[7.0, 6.0, 8.0, 7.5, 6.5, 6.0, 9.0, 7.0],
        mean_control=[3.0, 3.5, 3.2, 3.1, 2.9, 3.4, 3.3, 3.6],
        n_control=8,
    )
    return effect_sizes(rows, same_animals="animals", rho=0.5, **how)


@pytest.fixture
def compiles(monkeypatch):
    """Prior draws instead of a sampler; what was compiled, and the data of every refit."""
    seen = {"plans": [], "data": []}

    class Code:
        def with_data(self, **data):
            seen["data"].append(data)
            return self

    def compiled(plan):
        seen["plans"].append(plan)
        return Compiled(plan, None, Code())

    monkeypatch.setattr(sweeping, "compiled", compiled)
    monkeypatch.setattr(
        engine, "sample", lambda code, settings: prior_sample(code.design, settings)
    )
    return seen


@pytest.mark.parametrize("spec", [SPEC, NORMAL], ids=["exact", "normal"])
def test_a_model_is_compiled_once_for_all_rhos_that_link_the_same_rows(compiles, spec):
    found = sweep_rho(again(), spec, (0.0, 0.25, 0.5), seed=1, draws=250, progress=False)
    exact = spec is SPEC
    assert [plan.spec.likelihood == "exact" for plan in compiles["plans"]] == [exact] * (1 + exact)
    assert len(compiles["data"]) == 3
    assert found.rhos == (0.0, 0.25, 0.5)
    for rho, fit, data in zip(found.rhos, found.fits, compiles["data"], strict=True):
        assert fit.design.effects.sharing.rho == rho
        own = design(spec, with_rho(again(), rho, same_animals="animals"))
        np.testing.assert_array_equal(data["whitening_value"], own.covariance.whitening().values)
        # The rows' own notes, and those of this rho alone.
        assert fit.notes == own.notes
        assert ("visit_rho" in data) == (exact and rho > 0)
    table = found.table
    assert table.index.names == ["rho", "parameter"]
    assert table.index.tolist() == [
        (rho, name) for rho in found.rhos for name in ("level[Intercept]", "tau")
    ]
    assert table.loc[(0.0, "tau"), "mean"] == found.fits[0].summary().loc["tau", "mean"]
    assert repr(found) == "<RhoSweep rho = 0, 0.25, 0.5; all converged>"


def test_data_of_another_rho_give_its_likelihood():
    """The compiled graph on another rho's data is the graph of that rho."""
    plans = [design(SPEC, with_rho(again(), rho, same_animals="animals")) for rho in (0.3, 0.8)]
    models = [build_design(plan) for plan in plans]
    point = models[0].initial_point()
    rng = np.random.default_rng(2)
    point = {name: rng.normal(size=np.shape(value)) / 3 for name, value in point.items()}
    functions = [model.compile_logp(mode=QUICK) for model in models]
    before, expected = (float(f(point)) for f in functions)
    assert before != pytest.approx(expected, rel=1e-3)
    for name, value in data_of(plans[1]).items():
        models[0][name].set_value(value)
    # The same graph on the same numbers.
    assert float(functions[0](point)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("effects", "spec", "rhos", "message"),
    [
        (again(), replace(NORMAL, priors={"rho": uniform(0, 1)}), (0.5,), "drop it, or fit once"),
        (again(), SPEC, (), "one value or more, each once"),
        (again(), SPEC, 0.5, "rhos = 0.5: a sequence"),
        (again(), SPEC, (0.5, 0.5), "one value or more, each once"),
        (again(), SPEC, (0.5, 1.0), r"lies in \[0, 1\)"),
        (again(), None, (0.5,), r"sweep_rho\(\) needs a spec"),
        (effect_sizes(arms(4, experiment=list("abcd"))), SPEC, (0, 0.5), "rho changes nothing"),
        (
            replace(again(), covariance=blocks_of(again().V), sharing=effect_sizes(arms()).sharing),
            SPEC, (0.5,), "the sampling covariance was given",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_refused_before_anything_is_fitted(
    compiles, effects, spec, rhos, message
):
    with pytest.raises(SpecError, match=message):
        sweep_rho(effects, spec, rhos, seed=1)
    assert compiles["plans"] == []


def test_other_correlations_leave_no_old_notes():
    found = with_rho(again(), 0.2, same_animals="animals")
    assert [note for note in found.notes if "rho" in note] == [
        "pairs of the same animals, rho = 0.2: 4"
    ]


@pytest.mark.slow
def test_a_sweep_by_sampling():
    # Both of one compile, the second on the first one's code: rho = 0 would be another structure.
    found = sweep_rho(again(), SPEC, (0.1, 0.8), seed=3, draws=1000, chains=4, progress=False)
    assert all(fit.converged for fit in found.fits)
    level = found.table["mean"].xs("level[Intercept]", level="parameter")
    # Four studies: what rho moves lies far within the posterior sd, some 0.5.
    assert abs(level[0.8] - level[0.1]) < 0.5
    errors = found.table["sd"].xs("level[Intercept]", level="parameter")
    assert (errors > 0.2).all()


@pytest.mark.slow
def test_a_rho_with_a_prior_by_sampling():
    """Errors drawn with rho 0.8 in 150 pairs without heterogeneity: rho is found again."""
    rng, pairs = np.random.default_rng(6), 150
    rows = arms(2 * pairs, study=[f"s{i // 2}" for i in range(2 * pairs)], experiment="1")
    rows = rows[["study", "experiment"]].assign(v=np.tile([0.2, 0.4], pairs))
    noise = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], pairs).ravel()
    effects = effect_sizes(rows.assign(y=1 + noise * np.sqrt(rows["v"])))
    spec = ModelSpec(peak="1", decay="none", priors={"rho": uniform(0, 1)})
    fit = engine.fit(effects, spec, seed=2, draws=500, chains=4, progress=False)
    assert fit.converged
    # Fisher information of a correlation with known variances: sd (1 - r^2) / sqrt(n (1 + r^2)).
    sd = (1 - 0.8**2) / np.sqrt(pairs * (1 + 0.8**2))
    assert fit.summary().loc["rho", "mean"] == pytest.approx(0.8, abs=4 * sd)
    assert fit.summary().loc["rho", "sd"] == pytest.approx(sd, rel=0.3)
