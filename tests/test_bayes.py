import json
import subprocess
import sys
from dataclasses import replace

import arviz_stats
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from test_posterior import nested_effects, prior_sample

import bayesma as bm
from bayesma.bayes import engine, sampler
from bayesma.bayes.sampler import Settings, compiled, sample
from bayesma.catalogue import root
from bayesma.design import design
from bayesma.diagnostics import convergence_problems, reported, summary_table
from bayesma.errors import ConvergenceWarning, SpecError

SPEC = bm.ModelSpec(peak="regimen + (1 | study/experiment)", half_life="regimen")


# -- build -----------------------------------------------------------------------------------------


def test_a_model_is_built_without_sampling():
    model = bm.build(nested_effects(), SPEC)
    assert isinstance(model, pm.Model)
    assert {v.name for v in model.free_RVs} == {
        *("level_z", "log2_half_life_z", "tau", "tau_experiment")
    }
    assert [v.name for v in model.observed_RVs] == ["y"]
    assert [v.name for v in model.deterministics] == ["level", "log2_half_life"]


def test_real_labels_are_coordinates():
    model = bm.build(nested_effects(), SPEC)
    assert model.coords["study"] == ("A", "B", "C", "D", "E")
    assert model.coords["row"] == ("0", "1", "2", "3", "4", "5")
    assert model.coords["level_term"] == ("Intercept", "regimen[repeated]", "regimen[single]")


def test_everything_row_like_is_data():
    model = bm.build(nested_effects(), SPEC)
    found = {v.name for v in model.data_vars}
    assert found == {
        *("y_observed", "whitening_row", "whitening_column", "whitening_value", "log_det_v"),
        *("x_peak", "x_half_life", "clock", "reference_delay", "group_effect_enters", "include"),
        *("innermost_group", "outermost_group", "parent_0"),
    }
    np.testing.assert_array_equal(model["y_observed"].get_value(), nested_effects().y)


def test_a_pooled_model_has_members_and_no_tau():
    analysis = bm.load_analysis("ketamine_pain")
    model = bm.build(analysis.effects(), analysis.spec)
    assert len(model.coords["member"]) == 41
    assert {v.name for v in model.free_RVs} == {"level_z", "log2_half_life_z"}


@pytest.mark.parametrize(
    ("prior", "free"),
    [
        (bm.priors.normal(1, 2), {"level_z"}),
        (bm.priors.student_t(4, 0, 5), {"level_average", "level_z"}),
    ],
)
def test_any_prior_on_the_level_starts_at_its_centre(prior, free):
    spec = bm.ModelSpec(peak="regimen + (1 | study)", decay="none", priors={"peak": prior})
    model = bm.build(nested_effects(), spec)
    assert {v.name for v in model.free_RVs} == free | {"tau"}
    level = model.replace_rvs_by_values([model["level"]])[0]
    evaluate = model.compile_fn(
        level, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore"
    )
    np.testing.assert_allclose(evaluate(model.initial_point()), [prior.mu, 0, 0], atol=1e-15)


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sampler": "nutpy"}, r"sampler 'nutpy'; did you mean 'nutpie'\? known: nutpie, pymc"),
        ({"draws": 0}, "draws = 0: at least 1"),
        ({"chains": -1}, "chains = -1: at least 1"),
    ],
)
def test_settings_that_no_sampler_can_do_are_refused(wrong, message):
    with pytest.raises(SpecError, match=message):
        Settings(seed=1, **wrong)


def test_small_tables_are_sampled_in_short_steps_unless_asked():
    assert Settings(seed=1).acceptance(99) == 0.99
    assert Settings(seed=1).acceptance(100) == 0.9
    assert Settings(seed=1, target_accept=0.8).acceptance(5) == 0.8


# -- fit, with the sampler replaced ----------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """Settings that the replaced sampler was called with."""
    calls = []

    def sample(plan, settings):
        calls.append(settings)
        return prior_sample(plan, settings)

    monkeypatch.setattr(engine, "sample", sample)
    return calls


def test_a_fit_needs_a_spec():
    with pytest.raises(SpecError, match=r"fit\(\) needs a spec: bm.fit\(effects, bm.ModelSpec"):
        bm.fit(nested_effects(), seed=1)


def test_the_groups_of_a_fit_with_real_labels(asked):
    fit = bm.fit(nested_effects(), SPEC, seed=1, draws=500)
    assert set(fit.tree.children) == {
        *("posterior", "sample_stats", "log_likelihood", "prior", "prior_predictive"),
        *("posterior_predictive", "observed_data", "constant_data"),
    }
    shapes = {
        (group, str(name)): array.dims
        for group in ("log_likelihood", "prior_predictive", "posterior_predictive")
        for name, array in fit.tree[group].data_vars.items()
    }
    assert shapes == {
        ("log_likelihood", "by_study"): ("chain", "draw", "study"),
        ("log_likelihood", "by_row"): ("chain", "draw", "row"),
        ("prior_predictive", "y"): ("chain", "draw", "row"),
        ("posterior_predictive", "y"): ("chain", "draw", "row"),
    }
    assert fit.tree["log_likelihood"]["study"].values.tolist() == ["A", "B", "C", "D", "E"]
    assert fit.tree["observed_data"]["y"].values.tolist() == nested_effects().y.tolist()
    assert fit.tree["prior"]["level"].sel(level_term="regimen[single]").shape == (1, 1000)
    assert fit.posterior["level"].attrs["units"].startswith("SMD at the reference delay")


def test_ways_to_name_a_model(asked, tmp_path):
    analysis = bm.load_analysis("ketamine_pain")
    by_name = bm.fit("ketamine_pain", seed=1, draws=500)
    path = tmp_path / "mine.toml"
    path.write_text(
        'data = "van_velzen_2021"\ntable = "pooled"\nmembers = "comparisons"\n'
        'keep.row_id = ["MA1", "MA3"]\n[spec]\npeak = "1"\ndecay = "none"\n'
    )
    by_path = bm.fit(path, seed=1, draws=500)
    by_analysis = bm.fit(analysis, seed=1, draws=500)
    xr.testing.assert_identical(by_name.posterior, by_analysis.posterior)
    assert by_path.spec.peak == "1"
    other = bm.fit(analysis, replace(analysis.spec, decay="none"), seed=1, draws=500)
    assert other.spec.decay == "none"


def test_a_model_file_may_say_how_to_sample_and_a_caller_overrides_it(asked):
    bm.fit("ketamine_pain", seed=1)
    bm.fit("ketamine_pain", seed=1, draws=600, chains=3, tune=50, target_accept=0.95)
    usual, own = asked
    said = bm.load_analysis("ketamine_pain").sampling
    assert usual.draws == said["draws"] != 1000
    assert (usual.chains, usual.target_accept) == (4, said.get("target_accept"))
    assert (own.draws, own.tune, own.chains, own.target_accept) == (600, 50, 3, 0.95)
    assert usual.sampler == "nutpie"


def test_without_a_seed_one_is_drawn_and_recorded(asked):
    first, second = (bm.fit(nested_effects(), SPEC, draws=500) for _ in range(2))
    assert asked[0].seed == first.provenance["seed"]
    assert asked[0].seed != asked[1].seed
    assert second.provenance["seed"] == asked[1].seed


def test_chains_that_have_not_converged_are_told_of(monkeypatch):
    def stuck(plan, settings):
        found = prior_sample(plan, settings)
        posterior = found["posterior"].dataset
        posterior["tau"][0] += 50
        return xr.DataTree.from_dict(
            {"posterior": posterior, "sample_stats": found["sample_stats"].dataset}
        )

    monkeypatch.setattr(engine, "sample", stuck)
    with pytest.warns(ConvergenceWarning, match=r"chains disagree \(R-hat up to .* on tau") as told:
        fit = bm.fit(nested_effects(), SPEC, seed=1, draws=500)
    assert not fit.converged
    assert "NOT converged" in repr(fit)
    assert told[0].filename == __file__


def test_plain_pymc_is_asked_by_name(monkeypatch):
    kept = {}

    def pm_sample(**arguments):
        kept.update(arguments, model=pm.modelcontext(None))
        return prior_sample(design(SPEC, nested_effects()), Settings(seed=1, draws=500))

    monkeypatch.setattr(sampler.pm, "sample", pm_sample)
    bm.fit(nested_effects(), SPEC, seed=7, draws=500, sampler="pymc", progress=False)
    assert kept["nuts_sampler"] == "pymc"
    assert (kept["random_seed"], kept["draws"], kept["progressbar"]) == (7, 500, False)
    assert kept["target_accept"] == 0.99
    assert "level" in {v.name for v in kept["model"].deterministics}


# -- real sampling ---------------------------------------------------------------------------------


def data_of(plan):
    """Everything in which two designs of one model may differ, as a compiled model takes it."""
    whitening = plan.effects.covariance.whitening()
    found = {
        "y_observed": plan.effects.y,
        "whitening_value": whitening.values,
        "log_det_v": whitening.log_det,
        "clock": plan.points.clock,
        "reference_delay": plan.points.reference,
        **{f"x_{name}": matrix for name, matrix in plan.points.matrices.items()},
    }
    if plan.pooling is not None:
        found |= {
            "member_row": plan.pooling.row,
            "member_floor": plan.pooling.floor,
            "member_slope": plan.pooling.slope,
        }
    return found


# A flat prior of mu is emulated by N(0, 100): where mu has posterior SD 0.2, it moves the mean by
# 0.7 (0.2 / 100)^2 = 3e-6 and the SD by less, a thousandth of the Monte Carlo error.
FLAT = bm.priors.normal(0, 100)
QUADRATURE = {
    "halfnormal_0.5": {"peak": FLAT, "tau": bm.priors.half_normal(0.5)},
    "halfcauchy_0.5": {"peak": FLAT, "tau": bm.priors.half_cauchy(0.5)},
    "halfnormal_0.5_mu_N(0,2)": {
        "peak": bm.priors.normal(0, 2),
        "tau": bm.priors.half_normal(0.5),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUADRATURE)
def test_the_normal_normal_posterior_is_that_of_quadrature(shared, name):
    section = json.loads((shared / "reference" / "metafor.json").read_text(encoding="utf-8"))
    data = section["bayesmeta"]["bcg_logRR"]
    exact = data["exact_quadrature_not_a_peer"][name]
    frame = pd.DataFrame({"study": [f"S{i}" for i in range(13)], "y": data["yi"], "v": data["vi"]})
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none", priors=QUADRATURE[name])
    plan = design(spec, bm.effect_sizes(frame))
    tree = sample(plan, Settings(seed=11, draws=5000, progress=False))
    assert convergence_problems(tree, plan) == []
    draws = {"mu": tree["posterior"]["level"][..., 0], "tau": tree["posterior"]["tau"]}
    for parameter, values in draws.items():
        known, array = exact[parameter], values.to_numpy()
        checks = [
            (array.mean(), known["mean"], arviz_stats.mcse(array, method="mean")),
            (array.std(), known["sd"], arviz_stats.mcse(array, method="sd")),
        ]
        for prob, quantile in zip(exact["probs"], known["quantiles"], strict=True):
            blur = arviz_stats.mcse(array, method="quantile", prob=prob)
            checks.append((np.quantile(array, prob), quantile, blur))
        for found, expected, blur in checks:
            # Four Monte Carlo standard errors: 54 comparisons in all, so one run in 300 would
            # fail by chance, and the seed is fixed.
            assert abs(found - expected) < 4 * blur


# The first of each is compiled; the others run on its code.
KETAMINE = {
    "exponential": (None, "without_fang", "equal_weights"),
    "plateau": ("plateau", "plateau_without_fang"),
}


# In one process with the demo and the README, which fit the same models: compiled once.
@pytest.mark.slow
@pytest.mark.xdist_group("ketamine")
@pytest.mark.parametrize("decay", KETAMINE)
def test_ketamine_pain_converges_from_five_seeds_in_every_variant(decay):
    analyses = [bm.load_analysis("ketamine_pain", variant) for variant in KETAMINE[decay]]
    plans = [design(analysis.spec, analysis.effects()) for analysis in analyses]
    assert {plan.spec.decay for plan in plans} == {decay}
    code = compiled(plans[0])
    for analysis, plan in zip(analyses, plans, strict=True):
        of_variant = code.with_data(**data_of(plan))
        for seed in range(1, 6):
            settings = Settings(seed=seed, progress=False, **analysis.sampling)
            tree = sample(of_variant, settings)
            # No divergence, R-hat up to 1.01, bulk and tail ESS of 400 or more.
            assert convergence_problems(tree, plan) == [], (analysis.name, seed)
    again = sample(of_variant, settings)["posterior"]
    other = sample(of_variant, replace(settings, seed=6))["posterior"]
    np.testing.assert_array_equal(again["level"], tree["posterior"]["level"])
    assert not np.array_equal(other["level"], again["level"])


@pytest.mark.slow
def test_the_published_model_of_nmda_social(shared, tmp_path):
    script = root("data") / "nmda_social" / "prepare.py"
    subprocess.run([sys.executable, script, shared / "data" / "raw", tmp_path], check=True)
    analysis = bm.load_analysis("nmda_social", "published")
    plan = design(analysis.spec, analysis.effects(tmp_path))
    assert len(plan.effects) == 491
    tree = sample(plan, Settings(seed=1, draws=2000, progress=False))
    assert convergence_problems(tree, plan) == []
    table = summary_table(reported(tree["posterior"].dataset, plan), 0.95)
    mean = table.loc["level[Intercept]"]
    # Published, by REML: -1.9006 [-2.1822, -1.6190], standard error 0.144. The prior N(0, 5) moves
    # the mean by 1.9 (0.144 / 5)^2 = 0.002; weights at other variances than REML's move it a
    # little more: a fifth of a standard error. The interval also carries what is not known about
    # the variances, so its ends may lie further out.
    assert mean["mean"] == pytest.approx(-1.9006, abs=0.03)
    assert mean["ci_low"] == pytest.approx(-2.1822, abs=0.05)
    assert mean["ci_high"] == pytest.approx(-1.6190, abs=0.05)
    # 3.1791 and 0.2332 are modes of a restricted likelihood; posterior means of skewed variances
    # lie above them, by a fraction of the posterior SD (about 14% and 40% of the values).
    study, experiment = (tree["posterior"][name] ** 2 for name in ("tau", "tau_experiment"))
    assert float(study.mean()) == pytest.approx(3.1791, rel=0.05)
    assert float(experiment.mean()) == pytest.approx(0.2332, rel=0.10)
    assert table[["ess_bulk", "ess_tail"]].min().min() > 1000


# -- known truth for what is unknown one by one, and for studies that differ -----------------------

TRUE = {"level": 3.0, "log2_half_life": 2.0, "tau": 0.4, "kappa": 0.3, "small_study": 0.5}
LATENT = bm.priors.log_normal(0.5, 1.0)
SETS = 12


def breadth_rows():
    """90 studies of two rows; ten do not report their delay."""
    rng = np.random.default_rng(8)
    study = np.repeat([f"S{i:02d}" for i in range(90)], 2)
    n = np.repeat(rng.integers(4, 21, 90), 2)
    delay = np.repeat(np.exp(rng.uniform(np.log(0.1), np.log(20), 90)), 2)
    unknown = np.repeat(np.arange(90) % 9 == 0, 2)
    return pd.DataFrame(
        {
            "study": study,
            "y": 0.0,
            "v": 2 / n,
            "n_treated": n,
            "n_control": n,
            "delay": np.where(unknown, np.nan, delay),
        }
    )


def drawn_outcomes(plan, rng):
    """y of one data set, by the formulas of the documentation, and its unknown delays."""
    delays = np.exp(rng.normal(LATENT.mu, LATENT.sigma, len(plan.latent.labels)))
    frame, study = plan.effects.frame, plan.groups.outermost
    clock = frame["delay"].to_numpy(copy=True)
    gaps = np.isnan(clock)
    clock[gaps] = delays[plan.latent.index[gaps]]
    (reference,) = plan.references.values()
    mean = TRUE["level"] * 2 ** (-(clock - reference) / 2 ** TRUE["log2_half_life"])
    spread = np.sqrt(TRUE["tau"] ** 2 + (TRUE["kappa"] * mean) ** 2)
    size = (2 * frame["n_treated"].to_numpy()) ** -0.5
    size = (size - size.mean()) / size.std()
    theta = mean + spread * rng.standard_normal(90)[study]
    y = theta + TRUE["small_study"] * size
    return rng.normal(y, np.sqrt(frame["v"])), delays


@pytest.mark.slow
def test_intervals_hold_the_truth_of_a_table_with_every_option():
    spec = bm.ModelSpec(
        heterogeneity="proportional",
        small_study="1/sqrt(n)",
        missing_delay="latent",
        priors={"delay": LATENT},
    )
    plan = design(spec, bm.effect_sizes(breadth_rows()))
    assert len(plan.latent.labels) == 10
    code, scores, held = compiled(plan), [], 0
    for seed in range(SETS):
        y, delays = drawn_outcomes(plan, np.random.default_rng(seed))
        settings = Settings(seed=seed, draws=500, tune=500, progress=False)
        posterior = sample(code.with_data(y_observed=y), settings)["posterior"].dataset
        scores.append(
            [
                float((posterior[name] - value).mean() / posterior[name].std())
                for name, value in TRUE.items()
            ]
        )
        low, high = posterior["latent_delay"].quantile([0.025, 0.975], ("chain", "draw")).values
        held += int(((low < delays) & (delays < high)).sum())
    scores = np.array(scores)
    # The truth is drawn for the delays, so their 95% intervals are exact: 114 of 120 expected,
    # binomial SD 2.4; four of them.
    assert held > 104
    # Fixed numbers under wide priors: nearly standard normal scores. Four SDs of a mean of 12;
    # skewed posteriors of tau and kappa add what their priors pull, a few tenths.
    np.testing.assert_allclose(scores.mean(0), 0, atol=4 / np.sqrt(SETS))
    assert (np.abs(scores) < 3.5).all()
