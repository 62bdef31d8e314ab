"""Power-scaling sensitivity, against the closed form where the model is conjugate."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fits import EIGHT_ROWS, hand_fit, prior_fit
from scipy import stats

import bayesma as bm
from bayesma.checks.priordensities import log_priors
from bayesma.design import design
from bayesma.errors import QueryError
from bayesma.posterior import Fit

N = 4000


def normal_fit(mean, sd, prior, rows=EIGHT_ROWS):
    """A mean without heterogeneity, whose posterior draws are a grid of exact quantiles."""
    spec = bm.ModelSpec(peak="1", decay="none", priors={"peak": prior})
    draws = stats.norm(mean, sd).ppf((np.arange(N) + 0.5) / N)
    # In no order, so that chains look alike; ArviZ takes tails by the effective sample size.
    order = np.random.default_rng(0).permutation(N)
    fit = hand_fit(spec, rows, level=draws[order, None])
    posterior = fit.posterior["level"].values.reshape(4, N // 4, 1)
    dataset = xr.Dataset(
        {"level": (("chain", "draw", "level_term"), posterior)},
        {"chain": np.arange(4), "draw": np.arange(N // 4), "level_term": ["Intercept"]},
    )
    return Fit(xr.DataTree.from_dict({"posterior": dataset}), fit.design)


def conjugate(prior, rows=EIGHT_ROWS, power_prior=1.0, power_likelihood=1.0):
    """N(m, s) proportional to N(mu; m0, s0)^a prod N(y_i; mu, v_i)^b."""
    weight = np.sum(1 / rows["v"])
    precision = power_prior / prior.sigma**2 + power_likelihood * weight
    mean = power_prior * prior.mu / prior.sigma**2 + power_likelihood * np.sum(
        rows["y"] / rows["v"]
    )
    return mean / precision, precision**-0.5


def distance(one, other, low, high):
    """The cumulative Jensen-Shannon distance of two distributions between two ends.

    Nguyen & Vreeken 2015, ECML PKDD: CJS(P, Q) = int P log2(2P/(P + Q)) + (1/2 ln 2) int (Q - P),
    of the distribution functions; both ways, over int P + Q; the larger of x and -x.
    """
    x = np.linspace(low, high, 20_001)

    def one_way(P, Q):
        return np.trapezoid(P * np.log2(2 * P / (P + Q)) + (Q - P) / (2 * np.log(2)), x)

    found = []
    for side in ("cdf", "sf"):  # those of -x, mirrored
        P, Q = (np.maximum(getattr(d, side)(x), 1e-300) for d in (one, other))
        found.append(np.sqrt((one_way(P, Q) + one_way(Q, P)) / np.trapezoid(P + Q, x)))
    return max(found)


def closed_form(scaled, draws):
    """The slope of the distance per doubling, as ArviZ takes it: at powers 0.99 and 1.01."""
    ends = draws.min(), draws.max()
    return np.mean([distance(scaled(1), scaled(a), *ends) / abs(np.log2(a)) for a in (0.99, 1.01)])


@pytest.mark.parametrize("which", ["prior", "likelihood"])
@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 0.5), (1.0, 3.0), (4.0, 0.3), (-1.0, 0.1)])
def test_sensitivity_is_the_closed_form_where_the_model_is_conjugate(mu, sigma, which):
    prior = bm.priors.normal(mu, sigma)
    fit = normal_fit(*conjugate(prior), prior)
    expected = closed_form(
        lambda power: stats.norm(*conjugate(prior, **{f"power_{which}": power})),
        fit.posterior["level"].values,
    )
    table = bm.prior_sensitivity(fit).set_index("quantity")
    # A grid of 4000 draws ends at 3.7 SD, where their empirical distribution is a step; and PSIS
    # smooths the weights of the tails. Both are of the order of 1%.
    assert table.loc["mean", which] == pytest.approx(expected, rel=0.03, abs=5e-4)
    # The intercept is the mean.
    assert table.loc["level[Intercept]", which] == pytest.approx(table.loc["mean", which])


def test_verdicts_are_those_of_the_two_sensitivities():
    wide, far, firm = (bm.priors.normal(*p) for p in ((0, 5), (6, 0.5), (0, 1)))
    vague = EIGHT_ROWS.assign(v=400.0)
    cases = [
        (wide, EIGHT_ROWS, "-"),
        (far, EIGHT_ROWS, "prior-data conflict"),
        (firm, vague, "strong prior / weak likelihood"),
    ]
    for prior, rows, verdict in cases:
        fit = normal_fit(*conjugate(prior, rows), prior, rows)
        table = bm.prior_sensitivity(fit)
        assert set(table["verdict"]) == {verdict}
        (first, *_) = table.attrs["sentences"]
        if verdict == "-":
            assert first == "no reported quantity is sensitive to the priors"
        else:
            assert "prior" in first
            assert f"{table['prior'].max():.2f}" in first
    # A threshold above everything quiets all.
    assert set(bm.prior_sensitivity(fit, threshold=100)["verdict"]) == {"-"}


SPEC = bm.ModelSpec(
    peak="regimen + species + (1 | study)", half_life="regimen", persistent="1", decay="plateau"
)


@pytest.fixture(scope="module")
def fit():
    return prior_fit(bm.effect_sizes(EIGHT_ROWS, measure="SMD"), SPEC, draws=250)


def test_every_reported_quantity_is_there(fit):
    table = bm.prior_sensitivity(fit)
    assert set(fit.summary().index) <= set(table["quantity"])
    named = set(zip(table["quantity"], table["where"], strict=True))
    assert {
        ("half-life", "regimen = single"),
        ("half-life", "regimen = repeated"),
        ("persistent share", ""),
        ("time to 70% loss", "regimen = single"),
        # Reference delays: the lower quartiles, 0.5 and 3 d.
        ("mean", "regimen = single, 12 h"),
        ("mean", "regimen = repeated, 3 d"),
        ("tau", ""),
    } <= named
    assert (table[["prior", "likelihood"]] >= 0).all(axis=None)
    # Where draws are never lost to 70%, they are counted.
    assert any("time to 70% loss" in note for note in table.attrs["notes"])


def test_each_prior_by_itself_moves_its_own_parameters_most(fit):
    table = bm.prior_sensitivity(fit, by="prior").set_index("quantity")
    columns = [name for name in table if name.startswith("prior: ")]
    assert {name.removeprefix("prior: ") for name in columns} == {
        *("peak", "peak_contrast", "half_life", "half_life_contrast", "persistent", "tau"),
    }
    for quantity, name in {
        "tau": "tau",
        "level[Intercept]": "peak",
        "log2_half_life[Intercept]": "half_life",
        "logit_persistent[Intercept]": "persistent",
        "level[species[rat]]": "peak_contrast",
        "log2_half_life[regimen[single]]": "half_life_contrast",
    }.items():
        # Draws here are of the prior: parameters are independent, and scaling a normal's power
        # moves nothing else but by chance.
        assert table.loc[quantity, columns].astype(float).idxmax() == f"prior: {name}"
    assert "most of it the prior of" in " ".join(table.attrs["sentences"])


def test_the_prior_of_a_standard_deviation_alone(fit):
    """A half-normal to the power a is one of scale sigma / sqrt(a)."""
    own = bm.prior_sensitivity(fit, by="prior").set_index("quantity").loc["tau", "prior: tau"]
    expected = closed_form(
        lambda power: stats.halfnorm(scale=2 / np.sqrt(power)), fit.posterior["tau"].values
    )
    # 1000 random draws: their spread of squares has a standard error of 4.5%, and sensitivity goes
    # with what the tails weigh; four of them.
    assert own == pytest.approx(expected, rel=0.18)


def test_log_priors_are_those_of_the_coordinates_drawn():
    spec = bm.ModelSpec(
        peak="0 + regimen + species + (1 | study/species)",
        half_life="regimen",
        decay="exponential",
        tau="regimen",
        priors={
            "half_life": bm.priors.student_t(4, 0, 2),
            "tau": bm.priors.named("rhodes_2015_general"),
        },
    )
    plan = design(spec, bm.effect_sizes(EIGHT_ROWS, measure="SMD"))
    rng = np.random.default_rng(3)
    draws, expected = {}, {}
    for parameter, variable in (("peak", "level"), ("half_life", "log2_half_life")):
        predictor = plan.predictors[parameter]
        a = rng.normal(size=(2, 5, predictor.average_basis.shape[1]))
        c = rng.normal(size=(2, 5, predictor.contrast_basis.shape[1]))
        draws[variable] = a @ predictor.average_basis.T + c @ predictor.contrast_basis.T
        expected[parameter] = (
            stats.norm(0, 5).logpdf(a) if parameter == "peak" else stats.t(4, 0, 2).logpdf(a)
        ).sum(-1)
        sigma = 2.5 if parameter == "peak" else 3
        expected[f"{parameter}_contrast"] = stats.norm(0, sigma).logpdf(c).sum(-1)
    c = rng.normal(size=(2, 5, 1))
    draws["log_tau_ratio"] = c @ plan.predictors["tau"].contrast_basis.T
    expected["tau_contrast"] = stats.norm(0, 0.7).logpdf(c).sum(-1)
    draws["tau"], draws["tau_species"] = rng.gamma(2, size=(2, 2, 5))
    log_tau = np.log(draws["tau"]), np.log(draws["tau_species"])
    expected["tau"] = sum(stats.t(5, -1.72, 1.295).logpdf(x) - x for x in log_tau)
    found = log_priors(plan, draws)
    assert set(found) == set(expected)
    for name, values in expected.items():
        # Least squares on a basis of a few columns: a handful of roundings.
        np.testing.assert_allclose(found[name], values, rtol=1e-10, err_msg=name)


def test_priors_of_unknown_delays_are_scaled_only_when_asked():
    rows = EIGHT_ROWS.assign(delay=[0.5, 1, 2, 4, 3, 7, np.nan, np.nan])
    spec = bm.ModelSpec(
        peak="1 + (1 | study)",
        decay="exponential",
        missing_delay="latent",
        priors={"delay": bm.priors.log_normal(0, 1)},
    )
    effects = bm.effect_sizes(rows, measure="SMD")
    table = bm.prior_sensitivity(prior_fit(effects, spec), by="prior")
    assert "prior: delay" in table
    # Draws of the prior: delays are independent of the rest, so that with them among all priors
    # the weights would be noisier and the sensitivity of tau another.
    alone = bm.prior_sensitivity(prior_fit(effects, spec))
    assert list(alone["prior"]) == list(table["prior"])
    fit = prior_fit(effects, spec)
    names = log_priors(fit.design, {n: a.values for n, a in fit.posterior.data_vars.items()})
    values = fit.posterior["latent_delay"].values
    np.testing.assert_allclose(names["delay"], stats.lognorm(1).logpdf(values).sum(-1), rtol=1e-12)


def test_a_flat_prior_moves_nothing():
    flat = bm.priors.uniform(-50, 50)
    weight = np.sum(1 / EIGHT_ROWS["v"])
    mean = np.sum(EIGHT_ROWS["y"] / EIGHT_ROWS["v"]) / weight
    table = bm.prior_sensitivity(normal_fit(mean, weight**-0.5, flat))
    assert (table["prior"] == 0).all()
    assert (table["verdict"] == "-").all()
    assert (table["likelihood"] > 0.05).all()


def test_draws_on_a_grid_are_weighed_as_those_between():
    prior = bm.priors.normal(1.3, 0.1)
    fit = normal_fit(*conjugate(prior), prior)
    level = fit.posterior["level"]
    rounded = fit.posterior.assign(level=level.round(1))
    # A quarter of the draws and more lie at the prior's mode: the largest weights are equal.
    assert (rounded["level"] == 1.3).mean() > 0.25
    coarse = bm.prior_sensitivity(Fit(xr.DataTree.from_dict({"posterior": rounded}), fit.design))
    fine = bm.prior_sensitivity(fit)
    # Rounding to a whole posterior SD costs a fifth of a distance at most.
    np.testing.assert_allclose(coarse["prior"], fine["prior"], rtol=0.2)


def test_the_stored_likelihood_is_the_one_that_would_be_computed(fit):
    bare = Fit(xr.DataTree.from_dict({"posterior": fit.posterior}), fit.design)
    pd.testing.assert_frame_equal(
        bm.prior_sensitivity(fit), bm.prior_sensitivity(bare), check_exact=False, rtol=1e-9
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "study"}, "by = 'study'; known: 'prior'"),
        ({"threshold": 0}, "threshold = 0: a positive number"),
    ],
)
def test_what_cannot_be_scaled_is_refused(fit, options, message):
    with pytest.raises(QueryError, match=message):
        bm.prior_sensitivity(fit, **options)
