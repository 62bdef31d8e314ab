import warnings
from dataclasses import FrozenInstanceError, replace

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fits import ConjugatePosterior, conjugate_fit, prior_fit
from scipy import integrate, stats

import bayesma as bm
from bayesma import priors
from bayesma.catalogue import load_dataset
from bayesma.checks import comparison, loo
from bayesma.checks.comparable import faults_of
from bayesma.design import design
from bayesma.effects import effect_sizes
from bayesma.errors import QueryError
from bayesma.posterior import load_fit
from bayesma.predictive import group_effects, mean_at_rows

# -- a table with known truth ----------------------------------------------------------------------

# y = BETA x + TAU b + e, one row a study, Var(e) = V: x explains nearly all.
BETA, TAU, V, STUDIES = 3.1, 0.5, 0.1, 60
SPECS = {
    "truth": bm.ModelSpec(peak="x + (1 | study)", decay="none"),
    "x, one true effect": bm.ModelSpec(peak="x", decay="none"),
    "no x": bm.ModelSpec(peak="1 + (1 | study)", decay="none"),
}


def known_rows(seed):
    rng = np.random.default_rng(seed)
    x = np.tile([-1.0, 1.0], STUDIES // 2)
    noise = TAU * rng.standard_normal(STUDIES) + np.sqrt(V) * rng.standard_normal(STUDIES)
    studies = [f"S{i}" for i in range(STUDIES)]
    return pd.DataFrame({"study": studies, "y": BETA * x + noise, "v": V, "x": x})


@pytest.fixture(scope="module")
def fits():
    effects = effect_sizes(known_rows(0))
    return {name: conjugate_fit(spec, effects) for name, spec in SPECS.items()}


@pytest.fixture(scope="module")
def compared(fits):
    return bm.compare_models(fits)


def conditional_loo(fit):
    """PSIS on p(y_i | true effect of the study): what this package never does."""
    plan = fit.design
    draws = {str(name): array.values for name, array in fit.posterior.data_vars.items()}
    theta = mean_at_rows(plan, draws)
    if plan.tau_names:
        (effects,) = group_effects(plan, draws, np.random.default_rng(1))
        theta = theta + effects[..., plan.groups.innermost]
    values = stats.norm.logpdf(plan.effects.y, theta, np.sqrt(plan.effects.v))
    groups = {
        "posterior": fit.posterior,
        "log_likelihood": xr.Dataset({"y": (("chain", "draw", "row"), values)}),
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
        return arviz_stats.loo(xr.DataTree.from_dict(groups), var_name="y", pointwise=True)


def new_study_elpd(fit):
    """The mean over new studies of the truth of log p(y_new | y), by quadrature."""
    plan = fit.design
    level = fit.posterior["level"].values.reshape(-1, len(plan.predictors["peak"].terms))[:1000]
    tau = np.zeros(1000)
    if plan.tau_names:
        tau = fit.posterior["tau"].values.ravel()[:1000]
    total = 0.0
    for row, x in ((0, -1.0), (1, 1.0)):
        mean = level @ plan.points.matrices["peak"][row]
        spread = np.sqrt(TAU**2 + V)
        y = BETA * x + spread * np.linspace(-6, 6, 301)
        predictive = stats.norm.pdf(y[:, None], mean, np.sqrt(tau**2 + V)).mean(axis=1)
        total += integrate.trapezoid(stats.norm.pdf(y, BETA * x, spread) * np.log(predictive), y)
    return total / 2


def test_the_marginal_likelihood_ranks_as_new_studies_do_and_the_conditional_one_wrongly(
    fits, compared
):
    """With x, one true effect is a poor model, and without x any model is far poorer.

    The conditional likelihood of a study with an effect of its own is near its own data whatever
    its mean; its weights have no mean (Vehtari, Simpson, Gelman, Yao & Gabry 2024, JMLR 25(72)).
    """
    truth = sorted(fits, key=lambda name: new_study_elpd(fits[name]), reverse=True)
    assert truth == ["truth", "x, one true effect", "no x"]
    assert list(compared.table.index) == truth
    # The truth differs by 0.5 (1 + tau^2 / v) against 0.5 (1 + log(1 + (beta^2 + tau^2) / v)) a
    # study: 60 of them, by more than two standard errors.
    worse = compared.table.loc["no x"]
    assert worse["elpd_diff"] < -2 * worse["dse"]
    assert (compared.table["n_bad_k"] == 0).all()
    conditional = {name: conditional_loo(fit) for name, fit in fits.items()}
    assert conditional["no x"].elpd > conditional["x, one true effect"].elpd + 5
    assert (conditional["no x"].pareto_k > 0.7).sum() > STUDIES / 2


@pytest.mark.parametrize("by", ["study", "row"])
@pytest.mark.parametrize("name", ["truth", "no x"])
def test_each_left_out_study_is_predicted_as_by_the_exact_posterior_without_it(fits, name, by):
    found = bm.compare_models({name: fits[name], "other": fits["x, one true effect"]}, by)
    rows = np.random.default_rng(2).choice(STUDIES, 6, replace=False)
    exact = [ConjugatePosterior(fits[name].design, out=i).log_predictive(i) for i in rows]
    # 4,000 draws: the posterior's spread moves log p by about 0.2 (a sixtieth of the data), so the
    # Monte Carlo error is 0.2 / sqrt(4000) = 0.003; four of these, and the grid's 0.001.
    np.testing.assert_allclose(found.pointwise[name].iloc[rows], exact, atol=0.02)


def test_a_row_left_out_is_predicted_with_the_rest_of_its_study_known():
    rows = known_rows(1).assign(study=lambda f: [f"S{i // 3}" for i in range(len(f))])
    rows["y"] += np.repeat(np.random.default_rng(2).standard_normal(STUDIES // 3), 3)
    fit = conjugate_fit(SPECS["truth"], effect_sizes(rows))
    found = bm.leave_one_row_out(fit)
    assert found.n_data_points == STUDIES
    assert not found.warning
    some = [0, 1, 31, 59]
    exact = [ConjugatePosterior(fit.design, out=i).log_predictive(i) for i in some]
    # As above; three rows a study make a row's share of the posterior a little larger.
    np.testing.assert_allclose(found.elpd_i[some], exact, atol=0.03)
    by_study = bm.leave_one_study_out(fit)
    assert by_study.n_data_points == STUDIES // 3
    # A study's rows share its effect: known rows tell the next one.
    assert found.elpd > by_study.elpd


# -- the record ------------------------------------------------------------------------------------


def test_arviz_does_the_arithmetic(fits, compared):
    single = {name: bm.leave_one_study_out(fit) for name, fit in fits.items()}
    reference = arviz_stats.compare(single, round_to="none")
    table = compared.table
    assert list(table.columns) == comparison.COLUMNS
    assert list(table.index) == list(reference.index)
    for column in ("elpd", "se", "p"):
        np.testing.assert_array_equal(table[column], reference[column])
    # What all models share is taken out first: rounding of sums of order 100.
    for column in ("elpd_diff", "dse"):
        np.testing.assert_allclose(table[column], reference[column], rtol=1e-9)
    # Weights come from an optimiser that stops at 1e-6.
    np.testing.assert_allclose(table["weight"], reference["weight"], atol=1e-4)
    assert table["weight"].sum() == pytest.approx(1, abs=1e-6)
    pd.testing.assert_series_equal(compared.weights, table["weight"])
    np.testing.assert_allclose(compared.pointwise.sum(), table["elpd"], rtol=1e-12)
    assert list(compared.pointwise.index) == [f"S{i}" for i in range(STUDIES)]
    assert compared.pareto_k.shape == compared.pointwise.shape


@pytest.mark.parametrize("weights", comparison.WEIGHTS)
def test_the_same_fits_give_the_same_weights(fits, weights):
    one, two = (bm.compare_models(fits, weights=weights).weights for _ in range(2))
    pd.testing.assert_series_equal(one, two)
    assert one.sum() == pytest.approx(1, abs=1e-6)
    assert one.idxmax() == "truth"


def test_a_study_of_many_rows_does_not_swamp_the_weights(fits, monkeypatch):
    """exp(-2000) is 0 in a float; the weights are those of the same densities per study."""
    plain = bm.compare_models(fits).weights
    whole = comparison.left_out

    def shifted(*args):
        found, again = whole(*args)
        return replace(found, elpd_i=found.elpd_i - 2000, elpd=found.elpd - 2000 * STUDIES), again

    monkeypatch.setattr(comparison, "left_out", shifted)
    pd.testing.assert_series_equal(bm.compare_models(fits).weights, plain, atol=1e-6)


def test_rows_in_another_order_are_the_same_comparison(fits):
    rows = known_rows(0).assign(row_id=[f"r{i}" for i in range(STUDIES)])
    mixed = rows.sample(frac=1, random_state=3)
    pair = [SPECS["truth"], SPECS["no x"]]
    straight = [conjugate_fit(spec, effect_sizes(rows)) for spec in pair]
    turned = [straight[0], conjugate_fit(pair[1], effect_sizes(mixed))]
    for by in ("study", "row"):
        one, two = bm.compare_models(straight, by), bm.compare_models(turned, by)
        assert list(one.table.index) == ["model 1", "model 2"]
        # Another order of the rows gives other draws: as above.
        np.testing.assert_allclose(one.pointwise, two.pointwise, atol=0.05)
        np.testing.assert_allclose(one.table["dse"], two.table["dse"], rtol=0.02)


def record(differences, errors):
    names = [f"m{i}" for i in range(len(differences))]
    table = pd.DataFrame({"elpd_diff": differences, "dse": errors}, index=names)
    for column in comparison.COLUMNS:
        table[column] = table.get(column, 0.0)
    units = pd.DataFrame(0.0, index=range(120), columns=names)
    return bm.ModelComparison(table, units, units, "study", "stacking", ())


@pytest.mark.parametrize(
    ("differences", "errors", "tied", "said"),
    [
        ([0, -3.9, -30], [0, 0.5, 5], ("m1",), "'m0' has the highest elpd, but 'm1' (-3.9, se 0"),
        ([0, -9, -30], [0, 4.6, 5], ("m1",), "'m1' (-9.0, se 4.6) cannot be told apart from 'm0'"),
        ([0, -4.1], [0, 2], (), "'m0' predicts best: 'm1' (-4.1, se 2.0)."),
        ([0, -1], [0, 1], ("m1",), "no model is shown to predict best"),
    ],
)
def test_a_small_difference_is_no_difference_to_rely_on(differences, errors, tied, said):
    found = record(differences, errors)
    assert found.best == "m0"
    assert found.tied == tied
    assert said in found.sentences[0]
    assert ("arXiv:2008.10296" in found.sentences[0]) == bool(tied)
    assert found.sentences[0] in repr(found)
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        found.unit = "row"


def test_what_to_know_of_the_numbers_is_said(compared):
    notes = "\n".join(compared.notes)
    assert "60 units are few" in notes
    assert "no measure of how they stand against an exact likelihood" in notes
    assert "no probabilities of the models" in notes
    assert "Pareto k" not in notes


def test_unreliable_and_refitted_units_are_counted(fits, monkeypatch):
    def one_bad(fit, by, refit, progress):
        found, again = loo.left_out(fit, by, False, progress)
        pareto_k = found.pareto_k.copy()
        pareto_k[[3, 4]] = [0.9, np.nan]
        return replace(found, pareto_k=pareto_k), np.array([7, 8, 9]) if refit else again

    monkeypatch.setattr(comparison, "left_out", one_bad)
    found = bm.compare_models(fits)
    assert (found.table["n_bad_k"] == 2).all()
    assert (found.table["refitted"] == 3).all()
    notes = "\n".join(found.notes)
    assert "Pareto k too high: 'truth' 2" in notes
    assert "left out by sampling again, for their Pareto k: 'truth' 3" in notes
    assert (bm.compare_models(fits, refit=False).table["refitted"] == 0).all()


# -- what cannot be compared -----------------------------------------------------------------------

NARROW = {"peak": priors.normal(1.3, 0.1), "tau": priors.log_normal(-0.5, 0.2)}
PLAIN = bm.ModelSpec(peak="1 + (1 | study)", decay="none", priors=NARROW, likelihood="normal")


@pytest.fixture(scope="module")
def frame():
    return load_dataset("simulated_decay").frame


@pytest.fixture(scope="module")
def plain(frame):
    return prior_fit(effect_sizes(frame), PLAIN)


def refusal(*fits, by="study", **named):
    """Return what compare_models refuses with, after its first line."""
    pairs = {f"m{i}": fit for i, fit in enumerate(fits)} | named
    with pytest.raises(QueryError, match="these models cannot be compared:") as caught:
        bm.compare_models(pairs, by)
    return str(caught.value).splitlines()[1:]


def test_other_rows_are_refused_with_what_was_left_out(frame, plain):
    gaps = frame.assign(delay=frame["delay"].mask(frame["study"] == frame["study"].iloc[0]))
    fading = prior_fit(effect_sizes(gaps), replace(PLAIN, decay="exponential"))
    lost = int(gaps["delay"].isna().sum())
    (fault,) = refusal(plain, fading)
    assert f"rows: of the {len(frame)} rows, 'm1' lacks {lost}" in fault
    assert f"{lost} of {len(frame)} rows left out: no delay" in fault
    assert "Fit every model again on the rows they all have" in fault
    assert "frame[frame['delay'].notna()]" in fault
    (fault,) = refusal(plain, fading, by="row")
    assert "rows: of the" in fault
    known = effect_sizes(gaps[gaps["delay"].notna()])
    pair = {
        "none": prior_fit(known, PLAIN),
        "fading": prior_fit(known, replace(PLAIN, decay="exponential")),
    }
    assert faults_of(pair, "study") == []


def test_other_measures_are_refused(frame, plain):
    other = prior_fit(effect_sizes(frame, "ROM"), replace(PLAIN, priors={}))
    (fault,) = refusal(plain, other)
    assert "outcome scales: 'm0' SMD, 'm1' ROM" in fault


def test_outcomes_turned_or_scaled_otherwise_are_refused(frame, plain):
    given = effect_sizes(frame)
    flipped = given.frame.assign(y=-given.y)
    scaled = given.frame.assign(y=1.5 * given.y)
    (fault,) = refusal(plain, prior_fit(replace(given, frame=flipped), PLAIN))
    assert f"direction: {len(frame)} rows of 'm1' have the opposite sign of those of 'm0'" in fault
    (fault,) = refusal(plain, prior_fit(replace(given, frame=scaled), PLAIN))
    assert f"outcomes: y of {len(frame)} rows of 'm1' is not that of 'm0' (row " in fault


def test_other_sampling_variances_are_refused(frame, plain):
    (fault,) = refusal(plain, prior_fit(effect_sizes(frame, variance="UB"), PLAIN))
    assert "sampling variances: those of 'm1' are not those of 'm0' (UB and LS)" in fault
    assert "v is part of the plug-in density" in fault


def test_another_sampling_correlation_is_refused(frame, plain):
    pairs = frame.assign(experiment=[f"e{i // 2}" for i in range(len(frame))])
    sharing = effect_sizes(pairs, rho=0.5, within="experiment")
    assert sharing.covariance.blocks
    (fault,) = refusal(plain, prior_fit(sharing, PLAIN))
    assert "sampling covariances: those of 'm1' are not those of 'm0'" in fault


def test_the_plug_in_against_the_exact_likelihood_is_refused(plain, frame):
    """Any y of theirs is passed over: they are on no common scale."""
    exact = prior_fit(effect_sizes(frame), replace(PLAIN, likelihood="exact"), draws=250)
    (fault,) = refusal(plain, exact)
    assert "likelihoods: 'm0' normal, 'm1' exact" in fault
    assert "is not a density in y: it integrates to 1.06 at n = 5" in fault
    assert "by simulation and by posterior predictive checks" in fault


@pytest.mark.parametrize("theta", [0.0, 2.0, 8.0])
def test_the_plug_in_is_no_density_as_the_refusal_says(theta):
    def plug_in(y):  # v as metafor's LS has it, five animals an arm
        return stats.norm.pdf(y, theta, np.sqrt(2 / 5 + y**2 / 20))

    mass, _ = integrate.quad(plug_in, -200, 300, limit=2000, points=[theta])
    assert f"{mass:.2f}" == "1.06"


def test_exact_fits_may_differ_in_how_animals_correlate(frame):
    """Theirs is a density whatever rho: what differs is the model."""
    pairs = frame.assign(experiment=[f"e{i // 2}" for i in range(len(frame))])
    spec = replace(PLAIN, likelihood="exact")
    plans = [design(spec, effect_sizes(pairs, rho=rho)) for rho in (0.0, 0.5)]
    fit = prior_fit(effect_sizes(pairs), spec, draws=250)
    two = {f"rho {i}": replace(fit, design=plan) for i, plan in enumerate(plans)}
    assert faults_of(two, "row") == []


def test_other_groups_are_refused_by_study_and_compared_by_row(frame):
    labs = frame.assign(lab=[f"L{i % 12}" for i in range(len(frame))])
    effects = effect_sizes(labs)
    two = {
        "studies": prior_fit(effects, PLAIN),
        "labs": prior_fit(effects, replace(PLAIN, peak="1 + (1 | lab)")),
    }
    (fault,) = refusal(**two)
    assert "groups: the outermost groups differ ('studies' study, 'labs' lab)" in fault
    assert "or by='row'" in fault
    assert faults_of(two, "row") == []


def test_pooled_rows_few_groups_and_no_convergence_are_refused_all_at_once(frame, plain):
    few = frame[frame["study"].isin(sorted(set(frame["study"]))[:9])]
    faults = refusal(
        plain,
        prior_fit("ketamine_pain"),
        few=prior_fit(effect_sizes(few), PLAIN, divergent=3),
    )
    told = {fault.partition(":")[0]: fault for fault in faults}
    assert "those of 'm1' stand for many studies" in told["pooled rows"]
    assert "'few'; such draws are not the posterior's" in told["not converged"]
    assert "rows" in told
    assert "9 study groups" in told


def test_what_is_no_comparison_is_refused(plain):
    for wrong, message in (
        ({"by": "rows"}, r"by = 'rows'; did you mean 'row'\? known: study, row"),
        ({"weights": "akaike"}, r"weights = 'akaike'; .*stacking, bb-pseudo-bma, pseudo-bma"),
    ):
        with pytest.raises(QueryError, match=message):
            bm.compare_models([plain, plain], **wrong)
    for too_few in (plain, [plain], {"only": plain}):
        with pytest.raises(QueryError, match="1 model: a comparison needs two fits or more"):
            bm.compare_models(too_few)
    with pytest.raises(QueryError, match="'b' is a str"):
        bm.compare_models({"a": plain, "b": "fits/b"})


def test_saved_fits_compare_like_those_at_hand(fits, compared, tmp_path):
    saved = [load_fit(fit.save(tmp_path / f"{i}.nc")) for i, fit in enumerate(fits.values())]
    found = bm.compare_models(dict(zip(fits, saved, strict=True)))
    pd.testing.assert_frame_equal(found.table, compared.table)
