"""Calibration on a model whose posterior is known, so that nothing is sampled."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from calibrations import EFFECTS, PLAN, SPEC, exact, recipe, runner
from fits import EIGHT_ROWS

import bayesma as bm
from bayesma.checks.calibration.bands import inside_band, uniformity_p
from bayesma.checks.calibration.noun import calibration_of, load_calibration
from bayesma.checks.calibration.quantities import (
    LOG_LIKELIHOOD,
    quantities_of,
    statistics_of,
    thinned,
    values_of,
)
from bayesma.checks.calibration.recipe import Recipe, checked_truth
from bayesma.checks.calibration.replicate import replicated
from bayesma.checks.calibration.runs import calibrated
from bayesma.design import design
from bayesma.errors import BayesmaError, QueryError, SpecError

REPLICATES = 200


@pytest.fixture(scope="module")
def right():
    return calibrated(recipe(), REPLICATES, runner())


# ---- ranks -------------------------------------------------------------------------------------


def test_a_rank_counts_the_draws_below_the_truth():
    draws = np.array([[0.0, 5], [1, 6], [2, 7], [3, 8]])
    found = statistics_of(np.array([1.5, 9]), draws, draws[:, :1], np.random.default_rng(0))
    assert found["rank"] == [2, 4]
    assert found["ranked"] == 4
    # Of L = 4 draws a rank r is spread over (r, r + 1) / 5.
    assert 2 / 5 <= found["pit"][0] < 3 / 5
    assert 4 / 5 <= found["pit"][1] < 1
    assert found["mean"] == [1.5, 6.5]
    # numpy's linear quantiles of 0, 1, 2, 3: 3 p.
    np.testing.assert_allclose(np.array(found["low"])[:, 0], [0.75, 0.3, 0.075])
    np.testing.assert_allclose(np.array(found["high"])[:, 0], [2.25, 2.7, 2.925])
    # A quantity that was worked out for the near independent draws alone.
    np.testing.assert_allclose(np.array(found["high"])[:, 1], [7.25, 7.7, 7.925])


def test_draws_equal_to_the_truth_are_broken_at_random():
    draws, rng = np.zeros((4, 1)), np.random.default_rng(1)
    ranks = [statistics_of(np.zeros(1), draws, draws, rng)["rank"][0] for _ in range(500)]
    # Uniform on 0 ... 4: 100 of each expected, with an SD of 9; 4.5 SDs either way.
    assert (np.bincount(ranks, minlength=5) > 60).all()
    assert (np.bincount(ranks, minlength=5) < 140).all()


def test_thinned_draws_are_evenly_spaced_in_each_chain():
    whole = np.arange(2000.0).reshape(2, 1000)
    found = thinned({"a": whole, "b": whole[..., None]}, 100)
    assert found["a"].shape == (100,)
    assert found["b"].shape == (100, 1)
    np.testing.assert_array_equal(np.diff(found["a"])[:49], 20)
    assert found["a"][50] == 1019  # the second chain's own


def test_fewer_draws_than_asked_for_are_all_kept():
    assert thinned({"a": np.zeros((2, 10))}, 100)["a"].shape == (20,)


def test_quantities_are_what_a_fit_reports_and_the_log_likelihood():
    spec = bm.ModelSpec(peak="regimen + (1 | study)", tau="regimen", likelihood="normal")
    plan = design(spec, EFFECTS)
    labels = [quantity.label for quantity in quantities_of(plan)]
    assert labels == [
        "level[Intercept]",
        "level[regimen[repeated]]",
        "level[regimen[single]]",
        "log2_half_life[Intercept]",
        "log_tau_ratio[regimen[repeated]]",
        "log_tau_ratio[regimen[single]]",
        "tau",
        "log_likelihood",
    ]
    draws = {
        "level": np.array([1.0, 2, 3]),
        "log2_half_life": np.array([4.0]),
        "log_tau_ratio": np.array([0.0, 5, 6]),
        "tau": np.array(7.0),
        LOG_LIKELIHOOD: np.array(8.0),
    }
    np.testing.assert_array_equal(values_of(quantities_of(plan), draws), np.arange(1.0, 9))


# ---- bands -------------------------------------------------------------------------------------


def test_the_band_holds_uniform_values_as_often_as_it_says():
    rng = np.random.default_rng(2)
    inside = np.mean([inside_band(rng.uniform(size=100), 0.9) for _ in range(2000)])
    # Binomial SE 0.0067, the band's own level 0.005 (4,000 simulations), both three times; ECDFs
    # take few values, so that the level is met within one of them.
    assert inside == pytest.approx(0.9, abs=0.025)


def test_values_off_uniform_leave_the_band():
    u = np.random.default_rng(3).uniform(size=300)
    assert inside_band(u, 0.95)
    assert not inside_band(u**1.5, 0.95)
    p = uniformity_p(np.stack([u, u**1.5], axis=1))
    assert p[0] > 0.05 > 1e-3 > p[1]


# ---- verdicts ----------------------------------------------------------------------------------


def test_a_right_posterior_passes(right):
    assert right.passed
    assert right.problems == []
    table = right.table.set_index("quantity")
    assert list(table.index) == ["level[Intercept]", "log_likelihood"]
    assert table["inside"].all()
    mu = table.loc["level[Intercept]"]
    assert mu["n"] == REPLICATES
    # Four Monte Carlo standard errors of 200 replicates: a false alarm in 16,000.
    for prob in (50, 80, 95):
        nominal = np.sqrt(prob / 100 * (1 - prob / 100) / REPLICATES)
        assert mu[f"coverage_{prob}"] == pytest.approx(prob / 100, abs=4 * nominal)
        # Known to a tenth: it stands on the coverage that was found.
        assert mu[f"coverage_{prob}_se"] == pytest.approx(nominal, rel=0.4)
    assert abs(mu["bias"]) < 4 * mu["bias_se"]
    # The error of a posterior mean has the posterior's own SD (about 0.16 here), to 4 SE of
    # 1/sqrt(2 * 200) each.
    sd = (1 / 25 + 8 / 0.2) ** -0.5
    assert mu["rmse"] == pytest.approx(sd, rel=4 / np.sqrt(2 * REPLICATES))
    assert "passed" in repr(right)
    assert "200 replicates" in repr(right)


def test_a_shifted_posterior_fails_and_the_sentence_says_which_way():
    found = calibrated(recipe(), REPLICATES, runner(shift=0.5))
    assert not found.passed
    assert "NOT passed" in repr(found)
    assert any("level[Intercept]: ranks leave" in p and "too high" in p for p in found.problems)


def test_a_narrow_posterior_fails_and_the_sentence_says_so():
    found = calibrated(recipe(), REPLICATES, runner(narrow=0.6))
    assert any("too narrow" in problem for problem in found.problems)
    assert found.table["coverage_95"].iloc[0] < 0.9


def test_a_posterior_deaf_to_the_data_is_seen_by_the_log_likelihood_alone():
    # Draws of the prior: the ranks of the parameter are uniform (Modrak et al. 2023, example 1).
    found = calibrated(recipe(), REPLICATES, runner(deaf=True))
    table = found.table.set_index("quantity")
    assert table.loc["level[Intercept]", "inside"]
    assert not table.loc["log_likelihood", "inside"]
    assert not found.passed


def test_few_replicates_are_said_to_be_few():
    found = calibrated(recipe(), 5, runner())
    assert found.notes == ["5 replicates show gross faults only"]


# ---- replicates --------------------------------------------------------------------------------


def test_replicates_depend_on_seed_and_number_alone(right):
    fewer = calibrated(recipe(), 20, runner(), n_jobs=2)
    np.testing.assert_array_equal(fewer.ranks.values, right.ranks.values[:20])
    assert fewer.tree["replicates"].dataset.equals(
        right.tree["replicates"].dataset.isel(replicate=slice(20))
    )
    other = calibrated(recipe(seed=12), 20, runner())
    assert not np.array_equal(other.ranks.values, fewer.ranks.values)


def test_the_layout_is_arviz_own(right):
    group = right.tree["prior_sbc"].dataset
    assert dict(group["level"].sizes) == {"chain": 1, "draw": REPLICATES, "level_term": 1}
    assert dict(group["log_likelihood"].sizes) == {"chain": 1, "draw": REPLICATES}
    assert right.ranks.attrs["draws"] == 100
    assert right.ranks.max() <= 100
    assert list(right.ranks["quantity"].values) == ["level[Intercept]", "log_likelihood"]


def failing(often, error):
    """A runner whose refit fails every so often."""

    def run(recipe, number, cores):
        def refit(plan, seed, longer):
            if number % often == 0:
                raise error
            return {"level": exact(plan, np.random.default_rng(seed))}, number % 2

        return replicated(recipe, PLAN, refit, number)

    return run


def test_failed_replicates_are_counted_with_their_reason():
    found = calibrated(recipe(), 60, failing(30, RuntimeError("no start\nat all")))
    assert len(found.ranks) == 58
    assert 0 not in found.ranks["replicate"]
    assert found.notes[0].startswith(
        "2 of 60 replicates failed and are left out: RuntimeError: no start (2)"
    )
    assert "divergent transitions in 30 of 60 replicates, 30 in all" in found.notes
    assert found.passed


def test_many_failed_replicates_are_a_problem():
    found = calibrated(recipe(), 60, failing(4, RuntimeError("no start")))
    assert found.problems[0].startswith("15 of 60 replicates failed: RuntimeError: no start (15)")
    assert not found.passed


def test_no_replicate_at_all_is_an_error():
    with pytest.raises(QueryError, match=r"0 of 4 replicates can be used: RuntimeError: no \(4\)"):
        calibrated(recipe(), 4, failing(1, RuntimeError("no")))


def test_a_slip_of_the_code_is_no_failed_replicate():
    with pytest.raises(TypeError, match="slip"):
        calibrated(recipe(), 4, failing(1, TypeError("slip")))


def test_chains_that_disagree_are_sampled_again_and_then_fail():
    asked = []

    def run(recipe, number, cores):
        def refit(plan, seed, longer):
            asked.append((number, longer))
            draws = exact(plan, np.random.default_rng(seed))
            apart = number == 0 or (number == 1 and longer == 1)
            return {"level": draws + apart * 10 * np.arange(2)[:, None, None]}, 0

        return replicated(recipe, PLAN, refit, number)

    found = calibrated(recipe(), 4, run)
    assert asked == [(0, 1), (0, 4), (1, 1), (1, 4), (2, 1), (3, 1)]
    assert list(found.ranks["replicate"].values) == [1, 2, 3]
    assert "R-hat above 1.05 (1)" in found.notes[0]
    assert found.notes[1] == "2 of 4 replicates had to be sampled again, longer"


def test_data_that_no_float_holds_are_counted():
    # Half-lives down to exp(-40) d: before the reference delay the effect has no end.
    spec = bm.ModelSpec(
        peak="1", likelihood="normal", priors={"half_life": bm.priors.normal(-30, 10)}
    )
    plan = design(spec, EFFECTS)
    record = replicated(
        Recipe(plan.spec, EFFECTS, "effects", None, 1, 10, 0, 1, None), plan, lambda *_: 1 / 0, 0
    )
    assert record["problem"] == "an effect too large for a float"


# ---- folders -----------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_to_the_same_numbers(tmp_path, right):
    def interrupted(recipe, number, cores):
        if number == 7:
            raise KeyboardInterrupt
        return runner()(recipe, number, cores)

    with pytest.raises(KeyboardInterrupt):
        calibrated(recipe(), 20, interrupted, folder=tmp_path / "runs")
    finished = sorted(path.name for path in (tmp_path / "runs").glob("replicate_*"))
    assert finished == [f"replicate_{number:06d}.json" for number in range(7)]

    def fresh_only(recipe, number, cores):
        assert number >= 7
        return runner()(recipe, number, cores)

    found = calibrated(recipe(), 20, fresh_only, folder=tmp_path / "runs")
    whole = calibrated(recipe(), 20, runner())
    assert found.tree.identical(whole.tree)
    # And with nothing left to do; a smaller number takes the first ones.
    assert calibrated(recipe(), 20, None, folder=tmp_path / "runs").tree.identical(whole.tree)
    assert len(calibrated(recipe(), 10, None, folder=tmp_path / "runs").ranks) == 10


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 12}, "with other seed;"),
        ({"draws": 300, "truth": {"level": [1.0]}}, "with other truth, draws;"),
        (
            {"spec": replace(SPEC, priors={"peak": bm.priors.normal(0, 1)}).resolved("SMD")},
            "with other priors;",
        ),
        ({"effects": bm.effect_sizes(EIGHT_ROWS.assign(v=0.3))}, "with other rows;"),
    ],
)
def test_a_folder_of_another_calibration_is_refused(tmp_path, change, told):
    calibrated(recipe(), 2, runner(), folder=tmp_path)
    with pytest.raises(BayesmaError, match=f"holds another calibration, {told}"):
        calibrated(recipe(**change), 2, runner(), folder=tmp_path)


def test_a_folder_of_other_versions_is_refused(tmp_path):
    calibrated(recipe(), 2, runner(), folder=tmp_path)
    manifest = tmp_path / "calibration.json"
    record = json.loads(manifest.read_text())
    record["versions"]["nutpie"] = "0.0"
    record["fingerprint"] = "another"
    manifest.write_text(json.dumps(record))
    with pytest.raises(BayesmaError, match="with other version of nutpie; choose another folder"):
        calibrated(recipe(), 2, runner(), folder=tmp_path)


def test_spoilt_folders_are_refused(tmp_path):
    calibrated(recipe(), 2, runner(), folder=tmp_path)
    spoilt = tmp_path / "replicate_000001.json"
    spoilt.write_text("{")
    with pytest.raises(BayesmaError, match=r"replicate_000001\.json: cannot be read .* delete it"):
        calibrated(recipe(), 2, runner(), folder=tmp_path)
    (tmp_path / "calibration.json").unlink()
    with pytest.raises(BayesmaError, match=r"replicates without calibration\.json"):
        calibrated(recipe(), 2, runner(), folder=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BayesmaError, match="cannot be made"):
        calibrated(recipe(), 2, runner(), folder=tmp_path / "file")


def test_a_calibration_survives_its_file(tmp_path, right):
    path = right.save(tmp_path / "calibration.nc")
    found = load_calibration(path)
    assert found.tree.identical(right.tree)
    pd.testing.assert_frame_equal(bm.load_calibration(tmp_path).table, right.table)
    assert found.record["seed"] == 11
    assert bm.ModelSpec.from_dict(found.record["spec"]).priors == recipe().spec.priors


def test_other_files_are_no_calibration(tmp_path, right):
    with pytest.raises(BayesmaError, match="there is no such file"):
        load_calibration(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no")
    with pytest.raises(BayesmaError, match="is not a saved calibration"):
        load_calibration(tmp_path / "text.nc")
    bare = right.tree.copy()
    bare.attrs = {}
    bare.to_netcdf(tmp_path / "bare.nc", engine="h5netcdf")
    with pytest.raises(BayesmaError, match="no recipe"):
        load_calibration(tmp_path / "bare.nc")


# ---- fixed truths ------------------------------------------------------------------------------


def test_a_fixed_truth_gives_bias_and_coverage():
    # At mu = 20, four prior SDs out, the posterior mean is shrunk by 20 (1/25) / (1/25 + 40).
    found = calibrated(recipe(truth={"level": [20.0]}), REPLICATES, runner())
    assert found.fixed
    assert "prior_sbc" not in found.tree
    (row,) = found.table.to_dict("records")
    assert row["quantity"] == "level[Intercept]"
    assert "mean_rank" not in row
    shrunk = 20 * (1 / 25) / (1 / 25 + 40)
    assert row["bias"] == pytest.approx(-shrunk, abs=4 * row["bias_se"])
    # 95% intervals, moved by 0.13 SDs: P(|z - 0.13| < 1.96) = 0.948; 4 SE.
    assert row["coverage_95"] == pytest.approx(0.948, abs=4 * np.sqrt(0.948 * 0.052 / 200))
    assert found.passed
    short = calibrated(recipe(truth={"level": [20.0]}), REPLICATES, runner(narrow=0.5))
    assert short.problems[0].startswith("level[Intercept]: 95% intervals hold this truth in")


FACTORS = bm.ModelSpec(peak="regimen + (1 | study)", likelihood="normal")
TRUTH = {
    "level": {"Intercept": 2, "regimen[repeated]": 0.5, "regimen[single]": -0.5},
    "log2_half_life": 1.0,
    "tau": 0.5,
}


def test_truths_are_read_by_term_or_in_order():
    plan = design(FACTORS, EFFECTS)
    plain = {"level": [2.0, 0.5, -0.5], "log2_half_life": [1.0], "tau": 0.5}
    assert checked_truth(plan, TRUTH) == plain
    assert checked_truth(plan, plain) == plain
    assert checked_truth(plan, plain | {"level": np.array([2.0, 0.5, -0.5])}) == plain


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mu": 1}, "no parameter 'mu'; known: level, log2_half_life, tau"),
        ({"level": [1, 2]}, r"level = \[1, 2\]: one number for each of Intercept, regimen"),
        ({"level": {"Intercept": 1}}, "one number for each of Intercept"),
        ({"tau": "much"}, "tau = 'much': it takes a finite number"),
        ({"tau": -1}, "tau = -1: it is above 0"),
        ({"level": [1, 1, 1]}, "the levels of a factor are deviations that sum to 0"),
    ],
)
def test_truths_that_cannot_be_are_refused(change, told):
    with pytest.raises(SpecError, match=f"truth: .*{told}"):
        checked_truth(design(FACTORS, EFFECTS), TRUTH | change)


def test_a_true_rho_is_a_correlation():
    rows = pd.DataFrame(
        {"study": list("AABB"), "experiment": "1", "y": [1.0, 2.0, 1.5, 0.5], "v": 0.2}
    )
    spec = bm.ModelSpec(peak="1", decay="none", priors={"rho": bm.priors.uniform(0, 1)})
    plan = design(spec, bm.effect_sizes(rows))
    assert checked_truth(plan, {"level": 1, "rho": 0.5}) == {"level": [1.0], "rho": 0.5}
    with pytest.raises(SpecError, match=r"rho = 1.5: it is below 1"):
        checked_truth(plan, {"level": 1, "rho": 1.5})


def test_all_faults_of_a_truth_are_told_at_once():
    with pytest.raises(SpecError, match=r"no parameter 'mu'.*no value for level, log2_half_life"):
        checked_truth(design(FACTORS, EFFECTS), {"mu": 1, "tau": 1})


# ---- the verb ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"effects": None}, r"needs effects: bm.calibrate\(spec, effects, seed=1\)"),
        ({"outcomes": "arm"}, "outcomes = 'arm'; did you mean 'arms'"),
        ({"replicates": 1}, "replicates = 1: at least 2"),
        ({"n_jobs": 0}, "n_jobs = 0: 1 or more, or -1"),
        ({"draws": 0}, "draws = 0: at least 1"),
        ({"truth": {}}, "truth: no value for level"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_compiled(options, told):
    with pytest.raises(SpecError, match=told):
        bm.calibrate(SPEC, **{"effects": EFFECTS, "seed": 1} | options)


def test_progress_is_shown_when_asked_for(capsys):
    calibrated(recipe(), 3, failing(3, RuntimeError("no")), progress=True)
    shown = capsys.readouterr()
    assert "3/3" in shown.err
    assert "1 failed" in shown.err
    assert shown.out == ""


def test_records_may_come_in_any_order(right):
    run, plain = runner(), recipe()
    records = [run(plain, number, None) for number in (2, 0, 1)]
    found = calibration_of(plain.record, quantities_of(PLAN), records)
    np.testing.assert_array_equal(found.ranks.values, right.ranks.values[:3])
