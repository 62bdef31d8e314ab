"""Models compiled once: for one alike in all but data, and for no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import nutpie
import pymc as pm
import pytest

from bayesma import priors
from bayesma.bayes import memory
from bayesma.bayes.memory import compiled_code, same_code
from bayesma.bayes.model import build_design
from bayesma.bayes.sampler import compiled
from bayesma.catalogue import load_dataset
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.spec import ModelSpec

FRAME = load_dataset("simulated_decay").frame
SPEC = ModelSpec(peak="regimen + (1 | study)", half_life="regimen")


def model(spec=SPEC, frame=FRAME):
    return build_design(design(spec, effect_sizes(frame)))


@pytest.fixture(scope="module")
def known():
    return model()


def test_data_are_no_part_of_the_code(known):
    assert same_code(known, model())
    delays = np.roll(FRAME["delay"], 2)
    other = FRAME.assign(mean_treated=FRAME["mean_treated"] + 1, sd_control=3.0, delay=delays)
    assert same_code(known, model(frame=other))


@pytest.mark.parametrize(
    "other",
    [
        lambda: model(replace(SPEC, likelihood="normal")),
        lambda: model(replace(SPEC, decay="weibull")),
        lambda: model(replace(SPEC, peak="1 + (1 | study)")),
        lambda: model(replace(SPEC, priors={"tau": priors.half_normal(1.9)})),
        lambda: model(replace(SPEC, priors={"peak": priors.normal(0.1, 5)})),
        lambda: model(frame=FRAME.iloc[:-1]),
        lambda: model(frame=FRAME.assign(study="s" + FRAME["study"])),
        lambda: model(frame=FRAME.assign(n_control=FRAME["n_control"] + 1)),
    ],
    ids=["likelihood", "decay", "formula", "tau", "centre", "rows", "labels", "animals"],
)
def test_all_else_is(known, other):
    assert not same_code(known, other())


def test_the_same_graph_under_other_names_or_dims_is_other_code():
    def doubled(name, dims=None):
        with pm.Model(coords={"row": ["a", "b"], "arm": ["a", "b"]}) as found:
            x = pm.Normal("x", shape=2)
            pm.Deterministic(name, 2 * x, dims=dims)
        return found

    assert same_code(doubled("twice", "row"), doubled("twice", "row"))
    assert not same_code(doubled("twice", "row"), doubled("double", "row"))
    assert not same_code(doubled("twice", "row"), doubled("twice", "arm"))


class Code:
    """What nutpie returns, of one model's data."""

    def __init__(self, of):
        self.of, self.shared_var_keys, self.given = of, dict.fromkeys(of.data_vars), None

    def with_data(self, **data):
        found = Code(self.of)
        found.given = data
        return found


@pytest.fixture
def made(monkeypatch):
    """Every model that nutpie was asked to compile."""
    seen = []

    def compile_pymc_model(of):
        seen.append(of)
        return Code(of)

    monkeypatch.setattr(nutpie, "compile_pymc_model", compile_pymc_model)
    monkeypatch.setattr(memory, "_KEPT", [])
    return seen


def test_the_code_of_one_alike_runs_on_the_data_of_the_one_asked_for(made):
    first = compiled_code(model())
    shifted = FRAME.assign(mean_treated=FRAME["mean_treated"] + 1)
    plan = design(SPEC, effect_sizes(shifted))
    engine = compiled(plan)
    assert made == [first.of]
    assert engine.code.of is first.of
    assert engine.design is plan
    assert set(engine.code.given) == {var.name for var in engine.model.data_vars}
    np.testing.assert_array_equal(engine.code.given["y_observed"], plan.y)
    value = engine.code.given["whitening_value"]
    np.testing.assert_array_equal(value, plan.covariance.whitening().values)


def test_the_last_models_are_kept(made):
    specs = [replace(SPEC, decay=name) for name in ("exponential", "plateau", "weibull")]
    for spec in (*specs, specs[1], specs[2], specs[0]):
        compiled_code(model(spec))
    assert len(made) == 4
    assert len(memory._KEPT) == memory.KEPT == 2
