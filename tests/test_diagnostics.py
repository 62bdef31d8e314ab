from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayesma.analysis import load_analysis
from bayesma.design import design
from bayesma.diagnostics import (
    convergence_problems,
    identification_problems,
    reported,
    summary_table,
)
from bayesma.effects import effect_sizes
from bayesma.spec import ModelSpec

ROWS = pd.DataFrame(
    {
        "study": ["A", "B", "C", "D", "E", "F"] * 2,
        "y": np.linspace(0.5, 2, 12),
        "v": [0.2] * 12,
        "regimen": ["single"] * 6 + ["repeated"] * 6,
        "delay": [0.1, 0.2, 1, 2, 10, 20] * 2,
    }
)
FADES = ModelSpec(peak="regimen + (1 | study)", half_life="regimen")
CHAINS, DRAWS = 4, 500


def plan_of(spec=FADES, **columns):
    return design(spec, effect_sizes(ROWS.assign(**columns)))


def tree_of(plan, divergent=0, **replaced):
    """Independent normal draws: chains that have converged, with variables replaced."""
    rng = np.random.default_rng(1)
    arrays = {}
    for name, parameter in (
        ("level", "peak"),
        ("log2_half_life", "half_life"),
        ("logit_persistent", "persistent"),
        ("log_shape", "shape"),
    ):
        if parameter in plan.spec.predictors:
            terms = np.array(plan.predictors[parameter].terms)
            values = 0.2 * rng.normal(size=(CHAINS, DRAWS, len(terms)))
            dim = f"{name}_term"
            arrays[name] = xr.DataArray(values, {dim: terms}, ("chain", "draw", dim))
    for name in plan.tau_names:
        values = np.exp(rng.normal(size=(CHAINS, DRAWS)))
        arrays[name] = xr.DataArray(values, dims=("chain", "draw"))
    for name, values in replaced.items():
        arrays[name] = arrays[name].copy(data=values)
    posterior = xr.Dataset(arrays).assign_coords(chain=np.arange(CHAINS), draw=np.arange(DRAWS))
    posterior["level_z"] = posterior["level"]  # the sampler's own coordinates
    diverging = np.zeros((CHAINS, DRAWS), dtype=bool)
    diverging[0, :divergent] = True
    stats = xr.Dataset({"diverging": (("chain", "draw"), diverging)})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


# -- convergence -----------------------------------------------------------------------------------


def test_only_what_answers_are_made_of_is_reported():
    plan = plan_of()
    found = reported(tree_of(plan)["posterior"].dataset, plan)
    assert list(found) == ["level", "log2_half_life", "tau"]


def test_the_summary_by_hand():
    values = np.tile(np.arange(101.0), (4, 1))
    posterior = xr.Dataset({"tau": (("chain", "draw"), values)})
    row = summary_table(posterior, 0.5).loc["tau"]
    assert (row["mean"], row["ci_low"], row["ci_high"]) == (50, 25, 75)
    assert row["sd"] == pytest.approx(values.std(ddof=1), rel=1e-14)  # one formula by two routes


def test_a_summary_labels_vectors_by_term():
    plan = plan_of()
    table = summary_table(reported(tree_of(plan)["posterior"].dataset, plan), 0.95)
    assert table.index.tolist() == [
        *(f"level[{t}]" for t in ("Intercept", "regimen[repeated]", "regimen[single]")),
        *(f"log2_half_life[{t}]" for t in ("Intercept", "regimen[repeated]", "regimen[single]")),
        "tau",
    ]
    assert list(table) == ["mean", "sd", "ci_low", "ci_high", "ess_bulk", "ess_tail", "r_hat"]


def test_chains_that_agree_have_no_problem():
    plan = plan_of()
    assert convergence_problems(tree_of(plan), plan) == []


def test_divergences_are_counted():
    plan = plan_of()
    (found,) = convergence_problems(tree_of(plan, divergent=3), plan)
    assert found.startswith("3 divergent transitions: ")


def test_a_chain_in_another_mode_is_seen():
    plan = plan_of()
    tau = tree_of(plan)["posterior"]["tau"].values.copy()
    tau[0] += 5
    found = convergence_problems(tree_of(plan, tau=tau), plan)
    assert any(f.startswith("chains disagree (R-hat up to ") and "on tau;" in f for f in found)


def test_a_chain_that_never_moved_is_seen():
    plan = plan_of()
    found = convergence_problems(tree_of(plan, tau=np.ones((CHAINS, DRAWS))), plan)
    assert any(f.startswith("chains disagree") and "on tau;" in f for f in found)


def test_slow_mixing_is_seen():
    plan = plan_of()
    steps = np.random.default_rng(2).normal(size=(CHAINS, DRAWS))
    tau = np.empty_like(steps)
    tau[:, 0] = steps[:, 0]
    for t in range(1, DRAWS):  # autocorrelation 0.9: a twentieth of the draws count
        tau[:, t] = 0.9 * tau[:, t - 1] + steps[:, t]
    found = convergence_problems(tree_of(plan, tau=tau), plan)
    assert any(
        f.startswith("too few effective draws (down to ") and "400 needed) for tau" in f
        for f in found
    )


def test_many_labels_are_cut_short():
    plan = plan_of()
    still = np.zeros((CHAINS, DRAWS, 3))
    found = convergence_problems(tree_of(plan, level=still, log2_half_life=still), plan)
    assert any("and 2 more" in f for f in found)


# -- identification --------------------------------------------------------------------------------


def test_nothing_is_said_where_all_is_identified():
    plan = plan_of()
    assert identification_problems(tree_of(plan), plan) == []


def test_a_half_life_outside_its_delays_is_named_with_its_probability():
    plan = plan_of()
    values = tree_of(plan)["posterior"]["log2_half_life"].values.copy()
    values[..., 1] += 6  # after repeated dosing about 64 d, where delays end at 20 d
    (found,) = identification_problems(tree_of(plan, log2_half_life=values), plan)
    assert found == (
        "the half-life after repeated is not identified: with probability 1.00 it lies outside "
        "the delays seen there (2.4 h to 20 d)"
    )


def test_one_half_life_for_all_is_judged_over_all_rows():
    plan = plan_of(ModelSpec(peak="1 + (1 | study)"))
    values = np.full((CHAINS, DRAWS, 1), -9.0)  # 2.8 min
    (found,) = identification_problems(tree_of(plan, log2_half_life=values), plan)
    assert found.startswith("the half-life over all rows is not identified: with probability 1.00")


def test_a_cell_with_one_delay_has_the_prior_s_half_life():
    plan = plan_of(delay=[0.1, 0.2, 1, 2, 10, 20] + [3.0] * 6)
    (found,) = identification_problems(tree_of(plan), plan)
    assert found.startswith("all delays after repeated are 3 d: ")


PLATEAU = ModelSpec(peak="regimen + (1 | study)", half_life="regimen", decay="plateau")


def test_a_plateau_needs_delays_at_three_places():
    # Single: 0.1, 1 and 10 d are more than fourfold apart; repeated: only 0.1 and 7 d are.
    delay = [0.1, 0.2, 1, 2, 10, 20, 0.1, 0.2, 0.3, 7, 10, 20]
    plan = plan_of(PLATEAU, delay=delay)
    (found,) = identification_problems(tree_of(plan), plan)
    assert found.startswith("delays after repeated lie at 2 separate places; a persistent share")
    # Exposure, at delay 0, is a place of its own.
    plan = plan_of(PLATEAU, delay=[*delay[:6], 0, *delay[7:]])
    assert identification_problems(tree_of(plan), plan) == []


def test_a_persistent_share_that_learnt_nothing_is_named():
    plan = plan_of(PLATEAU)
    values = tree_of(plan)["posterior"]["logit_persistent"].values * 1.5 / 0.2  # the prior's SD
    found = identification_problems(tree_of(plan, logit_persistent=values), plan)
    assert [f.partition(":")[0] for f in found] == [
        "the persistent share after repeated follows its prior",
        "the persistent share after single follows its prior",
    ]


def test_a_weibull_needs_delays_at_three_places_and_draws_that_learnt():
    spec = replace(PLATEAU, decay="weibull")
    delay = [0.1, 0.2, 1, 2, 10, 20, 0.1, 0.2, 0.3, 7, 10, 20]
    plan = plan_of(spec, delay=delay)
    values = tree_of(plan)["posterior"]["log_shape"].values * 0.5 / 0.2  # the prior's SD
    assert identification_problems(tree_of(plan, log_shape=0.5 * values), plan) == [
        "delays after repeated lie at 2 separate places; a Weibull shape needs three, so there it "
        "follows its prior"
    ]
    found = identification_problems(tree_of(plan, log_shape=values), plan)
    assert found[1].startswith("the Weibull shape after single follows its prior: its posterior")


def test_few_groups_leave_tau_to_its_prior():
    plan = plan_of(ModelSpec(decay="none"), study=["A", "B", "C", "D"] * 3)
    (found,) = identification_problems(tree_of(plan), plan)
    assert found == "tau rests on 4 groups of 'study': its prior decides it"


def test_one_experiment_per_study_cannot_be_told_apart():
    spec = ModelSpec(peak="1 + (1 | study/experiment)", decay="none")
    plan = plan_of(spec, experiment=["x"] * 12)
    (found,) = identification_problems(tree_of(plan), plan)
    assert found == "every study has one experiment: their effects cannot be told apart"


def test_pooled_results_do_not_identify_tau():
    analysis = load_analysis("ketamine_pain")
    plan = design(analysis.spec, analysis.effects())
    found = identification_problems(tree_of(plan), plan)
    assert any(
        f.startswith("heterogeneity (tau) is not identified by pooled results") for f in found
    )
