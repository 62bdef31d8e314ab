import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fits import EIGHT_ROWS, hand_fit, prior_fit
from scipy import stats

import bayesma as bm
from bayesma import priors
from bayesma.analysis import load_analysis
from bayesma.checks.crosscheck import noun as crosscheck
from bayesma.checks.crosscheck.averaging import averaged_over_tau
from bayesma.checks.crosscheck.likelihood import criterion_of_design, standard_errors
from bayesma.checks.crosscheck.pulls import pulls_of
from bayesma.checks.crosscheck.quantities import place, quantities
from bayesma.checks.crosscheck.verdicts import Findings, judged, last_digit
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import QueryError, SpecError
from bayesma.frequentist.fading.classical import classical_fit
from bayesma.frequentist.nested.multilevels import multilevel
from bayesma.posterior import Fit

# Six studies, one row each.
SIX = pd.DataFrame(
    {
        "row_id": [f"r{i}" for i in range(6)],
        "study": list("ABCDEF"),
        "y": [0.2, 0.9, 1.4, 0.1, 1.9, 0.6],
        "v": [0.1, 0.2, 0.05, 0.3, 0.15, 0.1],
    }
)
ONE_MEAN = bm.ModelSpec(peak="1 + (1 | study)", decay="none")


def normal_normal(rows=SIX, sigma=1.0, size=40_000):
    """Draws of a model without heterogeneity: the posterior of its mean is known exactly."""
    spec = bm.ModelSpec(peak="1", decay="none", priors={"peak": priors.normal(0, sigma)})
    w = 1 / rows["v"].to_numpy()
    precision = w.sum() + 1 / sigma**2
    mean = (w * rows["y"]).sum() / precision
    z = stats.norm.ppf((np.arange(size) + 0.5) / size)
    fit = hand_fit(spec, rows, level=(mean + z / np.sqrt(precision))[:, None])
    return settled(fit), float(mean), float(precision**-0.5)


def settled(fit):
    """The same fit with what its convergence is judged by: nothing diverged."""
    import xarray as xr

    tree = fit.tree.copy()
    size = fit.posterior.sizes["draw"]
    tree["sample_stats"] = xr.DataTree(
        xr.Dataset({"diverging": (("chain", "draw"), np.zeros((1, size), bool))})
    )
    return Fit(tree, fit.design)


def row_of(check, name, where=""):
    table = check.table
    (found,) = table[(table["quantity"] == name) & (table["where"] == where)].to_dict("records")
    return found


@pytest.fixture(scope="module")
def one_mean():
    """Prior draws as narrow as a posterior, near the classical answer."""
    spec = bm.ModelSpec(
        peak="1 + (1 | study)",
        decay="none",
        priors={"peak": priors.normal(0.9, 0.3), "tau": priors.log_normal(-0.5, 0.3)},
    )
    return prior_fit(effect_sizes(SIX), spec)


# -- numbers ---------------------------------------------------------------------------------------


def test_the_frequentist_side_is_pooling(one_mean):
    check = bm.cross_check(one_mean)
    pooled = bm.pool(SIX["y"], SIX["v"], ci="t", tau2_ci="profile-likelihood")
    mean, tau2 = row_of(check, "mean"), row_of(check, "tau2 (study)")
    assert check.method == "REML, t with k - 1 degrees of freedom"
    # The same function on the same rows: exact.
    assert (mean["frequentist"], mean["frequentist_se"]) == (pooled.estimate, pooled.se)
    assert (mean["frequentist_ci_low"], mean["frequentist_ci_high"]) == pooled.ci
    assert (tau2["frequentist"], tau2["frequentist_se"]) == (pooled.tau2, pooled.tau2_se)
    new = row_of(check, "new study")
    assert (new["frequentist_ci_low"], new["frequentist_ci_high"]) == pooled.prediction
    assert row_of(check, "I2")["frequentist"] == pooled.i2
    assert (tau2["frequentist_ci_low"], tau2["frequentist_ci_high"]) == pooled.tau2_ci
    tau = row_of(check, "tau (study)")
    # d tau = d tau2 / (2 tau); two roots' rounding.
    assert tau["frequentist"] == pytest.approx(pooled.tau2**0.5, rel=1e-14)
    assert tau["frequentist_se"] == pytest.approx(pooled.tau2_se / 2 / pooled.tau2**0.5, rel=1e-14)


def exact_fit():
    """Prior draws of one mean on the exact likelihood, near what twelve studies of arms say."""
    rng = np.random.default_rng(3)
    arms = pd.DataFrame(
        {
            "study": [f"S{i}" for i in range(12)],
            "mean_treated": rng.normal(3, 1, 12),
            "sd_treated": rng.uniform(0.8, 1.2, 12),
            "n_treated": 6,
            "mean_control": 0.0,
            "sd_control": rng.uniform(0.8, 1.2, 12),
            "n_control": 7,
        }
    )
    wanted = {"peak": priors.normal(2.5, 0.4), "tau": priors.log_normal(-0.2, 0.3)}
    return prior_fit(effect_sizes(arms), replace(ONE_MEAN, priors=wanted))


def test_the_twin_of_an_exact_likelihood_is_exact():
    """Not REML on y and v, whose distance from it would be called a pull of the priors."""
    fit = exact_fit()
    assert fit.design.exact is not None
    check, twin = bm.cross_check(fit), classical_fit(fit.design.effects, fit.spec)
    assert check.method == "ML, z and profile likelihood"
    mean, tau = twin.estimates["level"][0], twin.tau["study"]
    assert row_of(check, "mean")["frequentist"] == pytest.approx(mean, rel=1e-9)
    assert row_of(check, "tau (study)")["frequentist"] == pytest.approx(tau, rel=1e-9)
    # k - 1 over the trace of P with V diagonal (Higgins & Thompson 2002, eq. 9).
    w = 1 / fit.design.effects.v
    typical = 11 * w.sum() / (w.sum() ** 2 - (w**2).sum())
    i2 = 100 * tau**2 / (tau**2 + typical)
    assert row_of(check, "I2")["frequentist"] == pytest.approx(i2, rel=1e-9)
    assert "REML" not in " ".join(check.table["reason"])


def test_an_unknown_rho_has_no_twin():
    rows = SIX.assign(experiment="1", study=list("AABBCC"))
    spec = replace(ONE_MEAN, priors={"rho": priors.uniform(0, 1)})
    check = bm.cross_check(prior_fit(effect_sizes(rows), spec))
    assert row_of(check, "mean")["verdict"] == "no twin"
    assert "takes a rho that is known" in row_of(check, "mean")["reason"]


def test_the_bayesian_side_is_the_draws(one_mean):
    check = bm.cross_check(one_mean, ci_prob=0.8)
    draws = one_mean.posterior["level"].values.ravel()
    mean = row_of(check, "mean")
    assert mean["bayesian"] == pytest.approx(draws.mean(), rel=1e-14)  # sums in another order
    assert mean["bayesian_sd"] == pytest.approx(draws.std(ddof=1), rel=1e-14)
    assert mean["bayesian_median"] == np.median(draws)
    assert [mean["bayesian_ci_low"], mean["bayesian_ci_high"]] == pytest.approx(
        np.quantile(draws, [0.1, 0.9]), rel=1e-14
    )
    assert mean["difference"] == (mean["frequentist"] - mean["bayesian"]) / mean["bayesian_sd"]
    tau = one_mean.posterior["tau"].values.ravel()
    # A mean of squares, summed in another order.
    assert row_of(check, "tau2 (study)")["bayesian"] == pytest.approx((tau**2).mean(), rel=1e-13)


def test_a_half_life_is_compared_on_its_logarithm():
    """Half-lives of 1/2 and 8 days: their geometric mean is 2, and the SD of log2 is 2."""
    fit = settled(
        hand_fit(
            bm.ModelSpec(peak="regimen", half_life="regimen"),
            level=[[2, 0.1, -0.1], [2.2, 0, 0]] * 100,
            log2_half_life=[[-1, 0, 0], [3, 0, 0]] * 100,
        )
    )
    row = row_of(bm.cross_check(fit), "half-life", "regimen = single")
    assert row["bayesian"] == pytest.approx(2, rel=1e-14)
    # 200 draws, so the divisor is 199.
    assert row["bayesian_sd"] == pytest.approx(2 * np.sqrt(200 / 199), rel=1e-12)
    away = np.log2(row["frequentist"] / 2) / row["bayesian_sd"]
    assert row["difference"] == pytest.approx(away, rel=1e-12)
    assert (row["unit"], row["scale"]) == ("d", "log2")


def test_curve_values_are_those_of_the_curve():
    fit = prior_fit("simulated_decay")
    at = bm.grid(fit, regimen=["single", "repeated"], delay=[0.5, 2])
    check = bm.cross_check(fit, at=at)
    means = check.table[check.table["quantity"] == "mean"]
    assert means["where"].tolist() == [
        "regimen = single, 12 h",
        "regimen = single, 2 d",
        "regimen = repeated, 12 h",
        "regimen = repeated, 2 d",
    ]
    with np.errstate(all="ignore"):
        curve = bm.decay_curve(fit, at).values.mean(axis=(0, 1))
    np.testing.assert_allclose(means["bayesian"], curve, rtol=1e-12)  # sums in another order
    twin = classical_fit(fit.design.effects, fit.spec).curve(at)
    np.testing.assert_allclose(means["frequentist"], twin["estimate"], rtol=1e-9)


def test_a_difference_is_one_curve_minus_the_other():
    fit = prior_fit("simulated_decay")
    check = bm.cross_check(fit, at=bm.grid(fit, regimen=["repeated", "single"], delay=1))
    one, other = (row_of(check, "mean", f"regimen = {r}, 1 d") for r in ("repeated", "single"))
    apart = row_of(check, "difference", "single - repeated, 1 d")
    for side in ("bayesian", "frequentist"):
        # Prior draws are large: rounding relative to the terms.
        assert apart[side] == pytest.approx(other[side] - one[side], rel=1e-9)


def test_pooled_rows_are_held_to_their_own_print():
    fit = prior_fit("ketamine_pain")
    check = bm.cross_check(fit)
    for name, y in {"MA1": 1.6, "MA2": 0.4, "MA3": 5.1, "MA4": 1.3}.items():
        row = row_of(check, "row", name)
        assert row["published"] == y
        # Four parameters for four rows: the classical curve goes through them. 1e-5 is the
        # descent's end, in effects of about 1.
        assert row["frequentist"] == pytest.approx(y, abs=1e-5)
    # Printed ends, not y -+ 1.96 se.
    assert row_of(check, "row", "MA3")["published_ci_low"] == 3.6


# -- reasons ---------------------------------------------------------------------------------------


def test_prior_pull_is_that_of_two_normals():
    """(0 - b) se^2 / (se^2 + s^2), in posterior SDs: closed form."""
    fit, mean, sd = normal_normal(sigma=0.2)
    check = bm.cross_check(fit)
    row = row_of(check, "mean")
    w = 1 / SIX["v"]
    estimate = float((w * SIX["y"]).sum() / w.sum())
    assert row["frequentist"] == pytest.approx(estimate, rel=1e-12)
    expected = (mean - estimate) / sd
    # Newton steps on differences end 1e-6 from the maximum; the draws are quantiles.
    assert pulls_of(fit.design, crosscheck._flat(fit)).of(quantities(fit)[0]) / sd == (
        pytest.approx(expected, rel=1e-4)
    )
    assert row["verdict"] == "differs"
    assert row["reason"].startswith(
        f"prior pull: the priors move the Bayesian answer by {expected:+.2f}"
    )


def test_a_wide_prior_pulls_nothing():
    fit, _, _ = normal_normal(sigma=50.0)
    row = row_of(bm.cross_check(fit), "mean")
    assert row["verdict"] == "agree"
    # (0 - b) se^2 / s^2 / se = 0.8 * 0.13 / 2500: nothing.
    assert abs(row["difference"]) < 1e-3


def test_averaging_over_tau_by_hand(one_mean):
    """Weighted means at two values of tau2, and their average."""
    plan, y, v = one_mean.design, SIX["y"].to_numpy(), SIX["v"].to_numpy()
    found = averaged_over_tau(plan, {"tau": np.array([0.0, 2.0])}, np.array([0.5]))

    def weighted(tau2):
        w = 1 / (v + tau2)
        return (w * y).sum() / w.sum(), 1 / w.sum()

    centre, spread, classical, error = found.centre_and_errors(quantities(one_mean)[0])
    (b0, c0), (b4, c4), (b, c) = weighted(0.0), weighted(4.0), weighted(0.5)
    # The same sums by another route.
    assert centre == pytest.approx((b0 + b4) / 2, rel=1e-10)
    assert spread == pytest.approx(np.sqrt((c0 + c4) / 2 + ((b0 - b4) / 2) ** 2), rel=1e-10)
    assert (classical, error) == pytest.approx((b, np.sqrt(c)), rel=1e-10)


def test_the_standard_error_of_a_variance_is_the_curvature_of_the_likelihood():
    """Against the curvature by second differences of the restricted log likelihood itself."""
    criterion = criterion_of_design(design(ONE_MEAN, effect_sizes(SIX)))
    at = np.array([0.3])
    step = 1e-3
    value = [float(criterion.at(at + d).deviance) for d in (-step, 0, step)]
    curvature = (value[0] - 2 * value[1] + value[2]) / step**2 / 2
    # Fourth derivative times step^2: 1e-5 of the curvature here.
    assert standard_errors(criterion, at)[0] == pytest.approx(curvature**-0.5, rel=1e-4)


def test_a_variance_at_0_is_a_boundary():
    alike = SIX.assign(y=[0.5, 0.6, 0.55, 0.5, 0.6, 0.5])
    fit = prior_fit(effect_sizes(alike), ONE_MEAN)
    row = row_of(bm.cross_check(fit), "tau2 (study)")
    assert row["frequentist"] == 0
    assert row["verdict"] == "differs"
    assert row["reason"].startswith("boundary: the likelihood is highest at 0")


def found(**values):
    usual = {"difference": 0.0, "kind": "mean", "groups": "6 groups", "few": True}
    return Findings(**(usual | values))


@pytest.mark.parametrize(
    ("given", "verdict", "reason"),
    [
        ({"difference": 0.2, "width": 1.0}, "agree", "+0.20 posterior SD"),
        ({"difference": np.nan}, "no twin", "no classical answer to this quantity"),
        (
            {"difference": -0.5, "pull": 0.35, "averaging": 0.15},
            "differs",
            "prior pull: the priors move the Bayesian answer by +0.35 SD; small k (6 groups), "
            "averaging over tau, not the one classical tau, moves it by +0.15 SD",
        ),
        # What points the other way, or is too small, explains nothing.
        (
            {"difference": -0.5, "pull": -0.3, "averaging": 0.8, "kind": "spread", "few": False},
            "differs",
            "skew: the mean of a skewed density is +0.80 SD from its highest point",
        ),
        ({"difference": 0.5, "pull": -0.05}, "differs", "no cause that these checks know"),
        (
            {"difference": 0.1, "width": 0.5, "quantile": 1.31, "shrink": 0.99, "outside": 0.01},
            "differs",
            "the Bayesian interval is 0.50 times as wide, with 1% of the posterior outside the "
            "classical one: small k (6 groups): t takes 2.57 standard errors for 1.96",
        ),
        (
            {"difference": 0.1, "width": 0.5, "shrink": 0.6, "few": False, "outside": 0.01},
            "differs",
            "the Bayesian interval is 0.50 times as wide, with 1% of the posterior outside the "
            "classical one: prior: alone it would make it 0.60 times as wide",
        ),
        (
            {"difference": 0.1, "trouble": "not identified from above"},
            "differs",
            "not identified from above: the prior alone bounds it there",
        ),
        (
            {"difference": 0.3, "kind": "decay", "kept": 0.95},
            "differs",
            "not identified: the posterior SD is 95% of the prior's",
        ),
    ],
)  # fmt: skip
def test_verdicts_and_reasons(given, verdict, reason):
    assert judged(found(**given)) == (verdict, reason)


def test_what_the_likelihood_leaves_open_does_not_agree():
    """Five parameters for four rows: Wald's interval has no end."""
    fit = prior_fit(load_analysis("ketamine_pain", "plateau"))
    table = bm.cross_check(fit).table
    unbounded = table[np.isinf(table["frequentist_ci_high"]) & (table["quantity"] != "half-life")]
    assert len(unbounded)
    assert (unbounded["verdict"] == "differs").all()
    assert unbounded["reason"].str.startswith("not identified by the likelihood").all()
    # What a row prints determines that row's mean all the same.
    assert "row" not in set(unbounded["quantity"])
    rows = table[table["quantity"] == "row"]
    # The descent's end, in effects of about 1.
    np.testing.assert_allclose(rows["frequentist"], rows["published"], atol=1e-5)


# -- where there is no twin ------------------------------------------------------------------------


def test_a_refused_twin_is_said_and_does_not_fail():
    rows = EIGHT_ROWS.assign(delay=[0.5, None, 2, 4, 3, 7, None, 28])
    spec = bm.ModelSpec(missing_delay="latent", priors={"delay": priors.log_normal(0, 1)})
    fit = prior_fit(effect_sizes(rows), spec)
    check = bm.cross_check(fit)
    assert set(check.table["verdict"]) == {"no twin"}
    assert check.table["frequentist"].isna().all()
    assert check.table["reason"].str.contains("delay").all()
    assert check.sentences[0].startswith("There is no classical twin of this model: ")
    assert repr(check) == "<CrossCheck SMD, none: 0 of 0 quantities agree>"


# -- published -------------------------------------------------------------------------------------


def test_published_results_of_a_model_file_come_back_with_the_saved_fit(tmp_path, one_mean):
    file = tmp_path / "mine.toml"
    SIX.to_csv(tmp_path / "six.csv", index=False)
    pooled = bm.pool(SIX["y"], SIX["v"], ci="t")
    file.write_text(
        f"""
        data = "six.csv"
        [spec]
        peak = "1 + (1 | study)"
        decay = "none"
        [[published]]
        quantity = "mean"
        estimate = {pooled.estimate:.2f}
        ci = [{pooled.ci[0]:.2f}, {pooled.ci[1]:.2f}]
        source = "print"
        [[published]]
        quantity = "I2"
        estimate = 12.5
        [[published]]
        quantity = "odds"
        estimate = 3
        """
    )
    analysis = load_analysis(file)
    tree = one_mean.tree.copy()
    tree.attrs["published"] = json.dumps([p.to_dict() for p in analysis.published])
    path = Fit(tree, one_mean.design).save(tmp_path / "fit.nc")
    back = bm.load_fit(path)
    assert back.published == analysis.published
    check = bm.cross_check(back)
    mean, odds = row_of(check, "mean"), row_of(check, "odds")
    assert mean["published_verdict"] == "reproduced"
    assert "print" in mean["published_reason"]
    assert row_of(check, "I2")["published_verdict"] == "differs"
    # Nothing that was printed is dropped in silence.
    assert odds["published"] == 3
    assert odds["published_verdict"] == "not compared"
    assert odds["reason"].startswith("this fit has no 'odds'; it has mean, tau (study)")
    # What is given takes the place of the fit's own.
    other = bm.cross_check(back, published=pd.DataFrame({"quantity": ["mean"], "estimate": [9]}))
    assert row_of(other, "mean")["published_verdict"] == "differs"
    assert "odds" not in set(other.table["quantity"])


def test_a_fit_of_another_spec_has_no_published_results():
    assert prior_fit("ketamine_pain").published == ()


def test_a_published_mean_at_a_point_is_asked_for():
    fit = prior_fit("simulated_decay")
    result = bm.Published("mean", 1.2, at={"regimen": "single", "delay": 3.0})
    check = bm.cross_check(fit, published=[result])
    row = row_of(check, "mean", "regimen = single, 3 d")
    assert row["published"] == 1.2
    assert np.isfinite(row["frequentist"])


def test_a_normal_likelihood_is_named_where_it_gives_the_printed_number():
    fit = exact_fit()
    printed = bm.pool(fit.design.effects, ci="t").estimate
    assert abs(printed - row_of(bm.cross_check(fit), "mean")["frequentist"]) > 0.05
    check = bm.cross_check(fit, published=[bm.Published("mean", round(printed, 3))])
    reason = row_of(check, "mean")["published_reason"]
    assert reason == (
        f"likelihood: normal, with v taken as known, the classical estimate is {printed:.4g}, "
        "nearer to the printed one"
    )


def test_rho_is_named_where_leaving_it_out_gives_the_printed_number():
    rows = pd.concat([SIX, SIX.assign(row_id=[f"s{i}" for i in range(6)], y=SIX["y"] + 0.4)])
    rows = rows.assign(experiment=rows["study"], v=[0.1, 0.2, 0.05, 0.3, 0.15, 0.1] * 2)
    rows.loc[rows["row_id"].str.startswith("s"), "v"] *= 4
    rows = rows.reset_index(drop=True)
    table = bm.effect_sizes(rows, rho=0.8)
    apart = multilevel(bm.effect_sizes(rows), random="study")
    fit = prior_fit(table, ONE_MEAN)
    printed = round(float(apart.beta[0]), 3)
    check = bm.cross_check(fit, published=[bm.Published("mean", printed)])
    reason = row_of(check, "mean")["published_reason"]
    assert reason.startswith("rho: without the sampling correlation the classical estimate is")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"estimate": [1]}, "published has no column quantity; it needs quantity and estimate"),
        (
            {"quantity": ["mean"], "estimate": ["much"]},
            "published, row 1: estimate = 'much' is not a number",
        ),
    ],
)
def test_a_frame_of_published_results_that_cannot_be_read(one_mean, frame, message):
    with pytest.raises(SpecError, match=message):
        bm.cross_check(one_mean, published=pd.DataFrame(frame))


def test_published_of_another_kind_is_refused(one_mean):
    with pytest.raises(SpecError, match=r"published holds 1\.5: give an Analysis, a DataFrame"):
        bm.cross_check(one_mean, published=[1.5])


@pytest.mark.parametrize(("number", "unit"), [(1.66, 0.01), (-1.9006, 1e-4), (81.5, 0.1), (3, 1)])
def test_the_last_digit_of_a_printed_number(number, unit):
    assert last_digit(number) == pytest.approx(unit, rel=1e-12)  # a power of ten, rounded


def test_no_probability_is_refused(one_mean):
    with pytest.raises(QueryError, match="ci_prob = 95: a probability between 0 and 1"):
        bm.cross_check(one_mean, ci_prob=95)


# -- words -----------------------------------------------------------------------------------------


def test_places_are_said_in_words():
    assert place({"regimen": "single", "dose": 2.5, "delay": 1 / 48}) == (
        "regimen = single, dose = 2.5, 30 min"
    )
    assert place({"species": "(average)"}) == ""


def test_sentences_say_why_reml_is_no_posterior_mean(one_mean):
    check = bm.cross_check(one_mean)
    text = " ".join(check.sentences)
    tau2 = row_of(check, "tau2 (study)")
    assert "A posterior mean is not REML, even with flat priors." in text
    assert f"{tau2['bayesian']:.3g} against {tau2['frequentist']:.3g} here" in text
    assert "With 6 groups (fewer than 10) the rows say little of tau" in text


def test_it_needs_no_sampler():
    program = (
        "import sys, bayesma as bm\nbm.cross_check\n"
        "print(sorted({'pymc', 'pytensor', 'nutpie', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


# -- a real fit ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_nmda_social_is_reproduced_and_agrees(prepared):
    """Gallas-Lopes et al. 2026: published, classical and Bayesian answers are one."""
    analysis = load_analysis("nmda_social", "published")
    fit = bm.fit(analysis, seed=1, progress=False, folder=prepared)
    check = bm.cross_check(fit)
    printed = check.table[check.table["published_verdict"] != ""]
    assert printed["published_verdict"].tolist() == ["reproduced"] * 4
    assert printed["quantity"].tolist() == [
        "mean",
        "tau2 (study)",
        "tau2 (experiment)",
        "new study",
    ]
    assert (check.table["verdict"] == "agree").all()
    # 186 studies: skewness of tau2's likelihood is all that is left, about 0.1 SD.
    assert check.table["difference"].abs().max() < 0.2
