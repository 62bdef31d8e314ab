"""The classical decay fit: metafor at fixed half-lives, closed forms, known truth."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from helpers import REFERENCE, oracle
from scipy import stats

import bayesma as bm
from bayesma.design import design
from bayesma.errors import QueryError, SpecError
from bayesma.frequentist.optimum import optimum
from bayesma.frequentist.profiles import interval_of, profile_of
from bayesma.frequentist.quantities import _fading, _spreads
from bayesma.frequentist.starts import heights
from bayesma.frequentist.targets import Effect
from bayesma.frequentist.wald import jacobian
from bayesma.predictive import group_log_likelihoods
from bayesma.simulation import Truth, layout, simulate_table

CRITICAL = stats.chi2.ppf(0.95, 1)


@cache
def decay_oracle(section):
    text = (REFERENCE / "decay_oracles.json").read_text(encoding="utf-8")
    return json.loads(text)[section]


def effects_of(section):
    return bm.effect_sizes(pd.DataFrame({k: v for k, v in section.items() if k != "fits"}))


@cache
def fitted(seed=3, tau=0.5, decay="exponential", method="REML", **choices):
    truth = Truth(
        {"single": 1.5, "repeated": 3.0},
        {"single": 0.2, "repeated": 4.0},
        {"single": 0.3, "repeated": 0.3} if decay == "plateau" else {},
        decay=decay,
        tau=tau,
    )
    delays = {"single": (0.02, 0.1, 0.3, 1.0), "repeated": (0.5, 2.0, 5.0, 14.0)}
    table = simulate_table(truth, layout(12, 4, delays), seed=seed, outcomes="effects")
    spec = bm.ModelSpec(
        peak="regimen + (1 | study)", half_life="regimen", persistent="1", decay=decay, **choices
    )
    return bm.classical_fit(bm.effect_sizes(table), spec, method)


# -- without decay: the linear model of metafor ----------------------------------------------------


@pytest.mark.parametrize("kind", ["rma", "rma_mv"])
def test_without_decay_the_likelihood_is_metafor_s_restricted_one(kind):
    section = oracle("fixed_variances")
    groups = ("study", "experiment") if kind == "rma_mv" else ("row_id",)
    frame = pd.DataFrame({name: section[name] for name in ("study", "experiment", "y", "v")})
    frame["x"] = section["X"]["moderator"]
    effects = bm.effect_sizes(frame, rho=section["rho"] if kind == "rma_mv" else 0.0)
    spec = bm.ModelSpec(peak=f"x + (1 | {'/'.join(groups)})", decay="none")
    fit = bm.classical_fit(effects, spec)
    surface = fit._optimum.surface
    # log|X'X| / 2 with the moderator centred and scaled by its own standard deviation.
    X = np.column_stack(list(section["X"].values()))
    for point in section[kind]["grid"]:
        names = ["tau2"] if kind == "rma" else ["sigma2_study", "sigma2_experiment"]
        units = [part.basis[0, 0] for part in surface.joint.parts if part.kind == "spread"]
        x = np.sqrt([[point[name] for name in names]]) / units
        # Log densities of order 100 on 15 digits.
        assert -surface.value(x)[0] == pytest.approx(point["log_likelihood"], abs=1e-8)
        beta, covariance, _, _ = surface.solved(x)
        slope = surface.joint.parts[0].basis[1, 1]
        # GLS by two routes, as in test_marginal.
        assert beta[0, 1] * slope == pytest.approx(point["beta"][1], rel=1e-9)
        assert np.sqrt(covariance[0, 1, 1]) * slope == pytest.approx(point["se"][1], rel=1e-9)
    assert np.linalg.matrix_rank(X) == 2


def metafor(shared):
    return json.loads((shared / "reference" / "metafor.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_without_decay_it_is_metafor_s_random_effects_model(shared, method):
    compared = 0
    for section in metafor(shared)["univariate"].values():
        found = section.get("fits", {}).get("z", {}).get(method)
        if found is None or "yi" not in section["columns"]:
            continue
        columns = section["columns"]
        frame = pd.DataFrame({"y": columns["yi"], "v": columns["vi"]})
        frame = frame.assign(study=[f"S{i}" for i in range(len(frame))])
        spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none")
        fit = bm.classical_fit(bm.effect_sizes(frame), spec, method)
        # Iterated: metafor's own tau2 is tight to 1e-12, ours to 1e-7 standard errors.
        assert fit.tau["study"] ** 2 == pytest.approx(found["tau2"], rel=1e-6, abs=1e-9)
        row = fit.table.loc["level[Intercept]"]
        assert row["estimate"] == pytest.approx(found["b"], rel=1e-6)
        assert row["se"] == pytest.approx(found["se"], rel=1e-6)
        log_likelihood = found[f"loglik_{method.lower()}"]
        # Rounding of a log likelihood.
        assert fit.log_likelihood == pytest.approx(log_likelihood, rel=1e-9)
        compared += 1
    assert compared > 3


# -- with decay: metafor at fixed half-lives, R's optimisers over them -----------------------------


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_one_curve_is_metafor_s_at_the_best_half_life(method):
    section = decay_oracle("one_curve")
    found = section["fits"][method]
    fit = bm.classical_fit(effects_of(section), bm.ModelSpec(), method)
    # R's optimize stops within 1e-8 of the half-life's log2, where the likelihood is level.
    assert fit.log_likelihood == pytest.approx(found["log_likelihood"], abs=1e-9)
    table = fit.table["estimate"]
    assert table["log2_half_life[Intercept]"] == pytest.approx(found["log2_half_life"], abs=1e-6)
    assert table["level[Intercept]"] == pytest.approx(found["level"], rel=1e-6)
    assert fit.tau["study"] ** 2 == pytest.approx(found["tau2"], rel=1e-5)
    (row,) = fit.half_lives().to_dict("records")
    # Ends where the deviance is critical to 1e-7.
    assert row["ci_low"] == pytest.approx(found["half_life_low"], rel=1e-6)
    assert row["ci_high"] == pytest.approx(found["half_life_high"], rel=1e-6)


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_two_curves_in_nested_groups_are_metafor_s(method):
    section = decay_oracle("two_curves")
    found = section["fits"][method]
    spec = bm.ModelSpec(peak="0 + regimen + (1 | study/experiment)", half_life="regimen")
    fit = bm.classical_fit(effects_of(section), spec, method)
    # R's optim by differences of 1e-4, over rma.mv's own optimum: 1e-8 of the likelihood, and
    # the root of that in what maximises it.
    assert fit.log_likelihood == pytest.approx(found["log_likelihood"], abs=1e-7)
    half_lives = np.log2(fit.half_lives()["estimate"])
    np.testing.assert_allclose(half_lives, found["log2_half_life"], atol=2e-5)
    np.testing.assert_allclose(fit.table["estimate"].iloc[:2], found["level"], rtol=2e-5)
    sigma2 = np.square(list(fit.tau.values()))
    np.testing.assert_allclose(sigma2, found["sigma2"], rtol=2e-4)


# -- the likelihood is the model's own -------------------------------------------------------------

MODELS = {
    "exponential": {},
    "plateau": {"decay": "plateau"},
    "weibull": {"decay": "weibull"},
    "tau by regimen": {"tau": "regimen"},
    "proportional": {"heterogeneity": "proportional"},
    "student": {"population": "student"},
}


@pytest.mark.parametrize("name", MODELS)
def test_the_maximum_is_one_of_the_model_s_own_likelihood(name):
    choices = dict(MODELS[name])
    base = fitted(method="ML")
    fit = bm.classical_fit(base.design.effects, replace(base.spec, priors={}, **choices), "ML")
    draws = {k: v[None] for k, v in fit.estimates.items()}
    own = float(group_log_likelihoods(fit.design, draws).sum())
    # The same sums in another order, over 48 rows.
    assert fit.log_likelihood == pytest.approx(own, abs=1e-8)
    joint, full = fit._optimum.surface.joint, fit._optimum.full

    def log_likelihood(x):
        return group_log_likelihoods(fit.design, joint.draws(x)).sum(axis=-1)[:, None]

    slopes = jacobian(log_likelihood, full)[0]
    free = ~np.isclose(fit._optimum.runs, 0) if fit._optimum.top.pins else np.zeros(len(full), bool)
    # Differences over 1e-4 of a likelihood of order 50 are good to 1e-8; a parameter at its limit
    # has a slope that vanishes only there.
    limit = "nu" in fit.estimates and fit.estimates["nu"] > 100
    assert np.abs(slopes[~free]).max() < (2e-2 if limit else 2e-5)


def test_a_model_with_more_freedom_is_as_likely_or_more():
    plain = fitted(method="ML")
    for name in ("plateau", "weibull", "proportional", "tau by regimen"):
        spec = replace(plain.spec, priors={}, **MODELS[name])
        richer = bm.classical_fit(plain.design.effects, spec, "ML")
        # Rounding of a log likelihood where the freedom gains nothing.
        assert richer.log_likelihood >= plain.log_likelihood - 1e-5
    held = bm.classical_fit(
        plain.design.effects,
        replace(plain.spec, priors={}, heterogeneity="proportional"),
        hold=["kappa"],
    )
    assert held.method == "ML"
    assert held.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-8)
    assert held.parameters == plain.parameters
    assert held.aic == pytest.approx(2 * plain.parameters - 2 * plain.log_likelihood)


# -- profiles --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_at_the_ends_of_a_profile_the_deviance_is_critical(method):
    found = fitted(method=method)
    fit = found._optimum
    at = found.design.at(pd.DataFrame({"regimen": ["single", "repeated"], "delay": [0.1, 4.0]}))
    targets = [target for _, _, target in (*_fading(fit, 0.7), *_spreads(fit))]
    targets += [Effect(fit.surface, at, np.eye(2)[0]), Effect(fit.surface, at, np.array([1, -1]))]
    assert len(targets) == 7
    for target in targets:
        for end in interval_of(fit, target):
            if not np.isfinite(end):
                continue
            c = float(target.at(fit.top.x[None])[0])
            # Looked for again, from the maximum.
            again = profile_of(fit, target, c, fit.top.x).deviance(end)
            assert again == pytest.approx(CRITICAL, abs=1e-6)


def test_a_profile_is_never_below_the_likelihood_at_hand():
    found = fitted()
    fit = found._optimum
    rng = np.random.default_rng(1)
    near = fit.top.x + rng.normal(0, 0.3, (200, len(fit.top.x)))
    deviances = 2 * (heights(fit.surface, near) - fit.top.value)
    assert deviances.min() > 0
    for _, _, target in _fading(fit, 0.7):
        low, high = interval_of(fit, target)
        inside = near[deviances < CRITICAL]
        values = target.at(inside)
        assert len(inside) > 5
        assert ((values > low) & (values < high)).all()


def test_wald_and_profile_agree_where_the_likelihood_is_quadratic():
    fit = large()
    grid = bm.grid(fit, regimen=["single"], delay=[0.1])
    wald = fit.curve(grid).iloc[0]
    profile = fit.curve(grid, interval="profile").iloc[0]
    # 400 studies: the third derivative moves an end by a few percent of the width.
    width = wald["ci_high"] - wald["ci_low"]
    for end in ("ci_low", "ci_high"):
        assert profile[end] == pytest.approx(wald[end], abs=0.05 * width)
    assert profile["estimate"] == wald["estimate"]


def test_the_profile_interval_of_the_half_life_covers():
    truth = Truth({"repeated": 3.0}, {"repeated": 3.0}, tau=0.3)
    rows = layout(10, 3, {"repeated": (0.5, 1.5, 3.0, 6.0, 12.0)})
    covered, plan = [], None
    for seed in range(40):
        effects = bm.effect_sizes(simulate_table(truth, rows, seed=seed, outcomes="effects"))
        # The rows differ in nothing but y and v: their design is made once.
        plan = design(bm.ModelSpec(), effects) if plan is None else replace(plan, effects=effects)
        fit = optimum(plan, True, (), 0.95)
        ((_, _, target), *_) = _fading(fit, 0.7)
        c = float(target.at(fit.top.x[None])[0])
        # The interval holds the truth where the truth's deviance is not critical.
        covered.append(profile_of(fit, target, c, fit.top.x).deviance(np.log2(3.0)) <= CRITICAL)
    # 95% nominal; 0.9 of 40 is one and a half standard errors below; the seeds are fixed.
    assert np.mean(covered) >= 0.9


@cache
def large():
    truth = Truth({"single": 1.5, "repeated": 3.0}, {"single": 0.2, "repeated": 4.0}, tau=0.3)
    delays = {"single": (0.02, 0.1, 0.3, 1.0), "repeated": (0.5, 2.0, 5.0, 14.0)}
    table = simulate_table(truth, layout(400, 4, delays), seed=1, outcomes="effects")
    spec = bm.ModelSpec(peak="regimen + (1 | study)", half_life="regimen")
    return bm.classical_fit(bm.effect_sizes(table), spec)


def test_truth_is_found_again():
    fit = large()
    assert abs(fit.table["estimate"]["tau"] - 0.3) < 3.5 * fit.table["se"]["tau"]
    rows = fit.table.loc[["log2_half_life[Intercept]", "log2_half_life[regimen[repeated]]"]]
    half_lives = np.log2([0.2, 4.0])
    truth = [half_lives.mean(), half_lives[1] - half_lives.mean()]
    # Standard normal with 800 rows a regimen; one of three beyond 3.5 once in 700 seeds.
    assert (np.abs(rows["estimate"] - truth) < 3.5 * rows["se"]).all()
    at = pd.DataFrame({"regimen": ["single", "repeated"], "delay": [0.1, 2.0]})
    curve = fit.curve(at)
    mean = [1.5 * 2 ** (-0.1 / 0.2), 3.0 * 2 ** (-2.0 / 4.0)]
    assert (np.abs(curve["estimate"] - mean) < 3.5 * curve["se"]).all()


# -- edges -----------------------------------------------------------------------------------------


def without_fading(seed=0, slope=0.0):
    rng = np.random.default_rng(seed)
    delay = np.tile([0.1, 1.0, 3.0, 9.0], 8)
    y = 1.0 + slope * delay + rng.normal(0, 0.3, 32)
    return pd.DataFrame({"study": [f"S{i // 4}" for i in range(32)], "delay": delay, "y": y,
                         "v": np.full(32, 0.09)})  # fmt: skip


def test_an_effect_that_grows_has_an_infinite_half_life_and_says_so():
    fit = bm.classical_fit(bm.effect_sizes(without_fading(slope=0.05)), bm.ModelSpec())
    (row,) = fit.half_lives().to_dict("records")
    assert row["estimate"] == np.inf
    assert row["ci_high"] == np.inf
    assert 1 < row["ci_low"] < np.inf
    assert row["note"] == "not identified from above"
    assert any("runs to infinity" in problem for problem in fit.problems)
    assert fit.table["estimate"]["log2_half_life[Intercept]"] == np.inf


def test_studies_more_alike_than_chance_have_a_tau_of_exactly_zero():
    fit = bm.classical_fit(bm.effect_sizes(without_fading(seed=4)), bm.ModelSpec(decay="none"))
    frame = without_fading(seed=4)
    assert fit.tau == {"study": 0.0}
    assert "tau is 0, the edge of what it can be" in fit.problems
    row = fit.quantities().set_index("quantity").loc["tau"]
    assert row["ci_low"] == 0
    assert 0 < row["ci_high"] < 1
    # With no tau the mean is the weighted one.
    expected = np.average(frame["y"], weights=1 / frame["v"])
    assert fit.table["estimate"]["level[Intercept]"] == pytest.approx(expected, rel=1e-10)


def test_pooled_results_of_one_curve_are_barely_identified_and_it_says_so():
    analysis = bm.load_analysis("ketamine_pain")
    fit = bm.classical_fit(analysis.effects(), analysis.spec)
    assert fit.method == "ML"
    assert any("maximum likelihood, not REML" in note for note in fit.notes)
    assert any("4 parameters for 4 rows" in problem for problem in fit.problems)
    # It goes through every row: what is left is the normalising constant.
    v = fit.design.effects.v
    assert fit.log_likelihood == pytest.approx(-0.5 * np.log(2 * np.pi * v).sum(), abs=1e-9)
    single = fit.half_lives().set_index("regimen").loc["single"]
    assert single["ci_low"] == 0
    assert single["note"] == "not identified from below"
    equal = replace(analysis.spec, pooled_weights="equal")
    assert bm.classical_fit(analysis.effects(), equal).method == "REML"


def test_the_unit_of_the_effects_does_not_matter():
    effects = fitted().design.effects
    frame = effects.frame.assign(y=1000 * effects.y, v=1e6 * effects.v)
    larger = bm.classical_fit(bm.effect_sizes(frame), replace(fitted().spec, priors={}))
    assert larger.tau["study"] == pytest.approx(1000 * fitted().tau["study"], rel=1e-6)
    np.testing.assert_allclose(larger.half_lives()["estimate"], fitted().half_lives()["estimate"],
                               rtol=1e-6)  # fmt: skip


# -- refusals --------------------------------------------------------------------------------------


def test_refusals_say_why():
    effects = bm.effect_sizes(without_fading())
    spec = bm.ModelSpec()
    with pytest.raises(SpecError, match="method = 'DL'; known: REML, ML"):
        bm.classical_fit(effects, spec, "DL")
    with pytest.raises(SpecError, match="ci_prob = 95"):
        bm.classical_fit(effects, spec, ci_prob=95)
    with pytest.raises(SpecError, match=r"proportional.*cannot be integrated out; use 'ML'"):
        bm.classical_fit(effects, bm.ModelSpec(heterogeneity="proportional"), "REML")
    delay = {"delay": bm.priors.log_normal(0, 1)}
    latent = bm.ModelSpec(missing_delay="latent", priors=delay)
    with pytest.raises(SpecError, match="without its prior an unknown delay"):
        bm.classical_fit(effects, latent)
    with pytest.raises(SpecError, match="hold = 'kappa'; this model has tau"):
        bm.classical_fit(effects, spec, hold=["kappa"])
    frame = without_fading().assign(a=lambda f: f["study"], b=lambda f: f["study"] + "x")
    with pytest.raises(SpecError, match="15 coefficients, of which the rows tell 8 apart"):
        bm.classical_fit(bm.effect_sizes(frame), bm.ModelSpec(peak="a + b + (1 | study)"))
    two = bm.effect_sizes(without_fading().iloc[[0, 5]].assign(x=[0.0, 1.0]))
    with pytest.raises(SpecError, match=r"2 rows for 2 coefficients.*nothing is left"):
        bm.classical_fit(two, bm.ModelSpec(peak="x + (1 | study)", decay="none"))
    fit = bm.classical_fit(effects, spec)
    with pytest.raises(QueryError, match="loss = 1"):
        fit.quantities(loss=1)
    with pytest.raises(QueryError, match="interval = 'bayes'"):
        fit.curve(pd.DataFrame({"delay": [1.0]}), interval="bayes")
    with pytest.raises(QueryError, match="give a column 'delay'"):
        fit.curve(pd.DataFrame(index=range(1)))
    with pytest.raises(QueryError, match="weights have 2 columns for 1 points"):
        fit.mean_at(fit.design.at(pd.DataFrame({"delay": [1.0]})), weights=[[1, -1]])
