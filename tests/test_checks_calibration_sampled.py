"""Calibration with the sampler: the same numbers however it is run, and a wrong model is caught."""

from importlib.util import find_spec

import joblib
import numpy as np
import pandas as pd
import pytest

import bayesma as bm

# One process for all: each likelihood is then compiled once, whatever is asked of it.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("calibration")]

# Eight small studies, three animals per arm: g and its variance are mostly noise there.
ARMS = pd.DataFrame(
    {
        "study": list("ABCDEFGH"),
        "mean_treated": [3.0, 5, 4, 6, 2, 5, 7, 4],
        "sd_treated": 1.0,
        "n_treated": 4,
        "mean_control": 0.0,
        "sd_control": 1.0,
        "n_control": 4,
    }
)
EFFECTS = bm.effect_sizes(ARMS)
PRIORS = {"peak": bm.priors.normal(4, 2), "tau": bm.priors.half_normal(1)}
SHORT = {"draws": 600, "tune": 400, "progress": False}


def spec(likelihood):
    return bm.ModelSpec(peak="1 + (1 | study)", decay="none", likelihood=likelihood, priors=PRIORS)


def calibrated(likelihood, **options):
    return bm.calibrate(spec(likelihood), EFFECTS, seed=5, **(SHORT | options))


@pytest.fixture(scope="module")
def exact():
    return calibrated("exact", replicates=4)


def test_threads_give_the_numbers_of_one_after_another(exact):
    assert exact.record["spec"]["likelihood"] == "exact"
    found = calibrated("exact", replicates=4, n_jobs=2)
    assert found.tree.identical(exact.tree)


def test_a_resumed_run_gives_the_numbers_of_an_uninterrupted_one(exact, tmp_path):
    calibrated("exact", replicates=2, folder=tmp_path)
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    found = calibrated("exact", replicates=4, folder=tmp_path)
    assert found.tree.identical(exact.tree)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert after.items() > kept.items()


def test_a_dask_cluster_gives_the_same_numbers(exact):
    if find_spec("distributed") is None:
        pytest.skip("needs a Dask cluster: pip install 'bayesma[cluster]'")
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        found = calibrated("exact", replicates=4)
    ours, theirs = (run.tree["replicates"].dataset for run in (exact, found))
    np.testing.assert_array_equal(theirs["truth"][:, :2], ours["truth"][:, :2])
    # The worker compiles for itself, and a last bit rounded otherwise parts the chains: then means
    # of 200 effective draws or more differ by sqrt(2 / 200) = 0.1 posterior SDs; five of them.
    apart = np.abs(theirs["mean"] - ours["mean"]) / ours["sd"]
    assert float(apart.max()) < 0.5


def test_the_normal_likelihood_of_small_arms_is_caught_and_the_exact_one_passes():
    # Hedges g near 4 from 4 animals per arm: g and v go together, so that the normal likelihood
    # pulls the mean down by about one posterior standard deviation (a mean rank of 0.76).
    wrong = calibrated("normal", replicates=60, n_jobs=2)
    table = wrong.table.set_index("quantity")
    assert not table.loc["level[Intercept]", "inside"]
    assert not wrong.passed
    assert table.loc["level[Intercept]", "mean_rank"] > 0.6
    right = calibrated("exact", replicates=60, n_jobs=2)
    assert right.passed, right.problems


def test_the_normal_likelihood_passes_on_its_own_data():
    found = calibrated("normal", replicates=60, n_jobs=2, outcomes="effects")
    assert found.passed, found.problems


def test_a_fixed_truth_is_held_by_exact_intervals():
    truth = {"level": 4.0, "tau": 0.5}
    found = bm.calibrate(
        spec("exact"), EFFECTS, replicates=60, seed=6, truth=truth, n_jobs=2, **SHORT
    )
    level = found.table.set_index("quantity").loc["level[Intercept]"]
    # 95% expected near enough; 0.86 is 3 SE (0.028 of 60) below.
    assert level["coverage_95"] > 0.86
    # The prior's own pull is nil at its centre; 4 SE.
    assert abs(level["bias"]) < 4 * level["bias_se"]
    assert np.isfinite(level["rmse"])
