"""The sections on convergence and on predictive checks."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pytest
import xarray as xr
from fits import EIGHT_ROWS, conjugate_fit, prior_fit

import bayesma as bm
from bayesma.reporting.blocks import Fold, Items, Picture, Section, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.sections.convergence import convergence
from bayesma.reporting.sections.predictive import predictive, statistics_of


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(1)
    v = rng.uniform(0.1, 0.4, 30)
    rows = {"study": [f"S{i}" for i in range(30)], "y": 1 + rng.normal(0, 0.7, 30), "v": v}
    import pandas as pd

    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none", likelihood="normal")
    return conjugate_fit(spec, bm.effect_sizes(pd.DataFrame(rows)))


def changed(fit, **variables):
    """The same fit with other draws of some variables."""
    groups = {name: node.dataset for name, node in fit.tree.children.items()}
    groups["posterior"] = groups["posterior"].assign(variables)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.tree.attrs
    return bm.Fit(tree, fit.design)


def tables(blocks):
    found = Section("s", "S", tuple(blocks)).flat()
    return {block.name: block.frame for block in found if isinstance(block, Table)}


def words(blocks):
    said = [block.text for block in blocks if isinstance(block, Words)]
    return " ".join(said + [i for b in blocks if isinstance(b, Items) for i in b.items])


def test_a_converged_fit_is_ok_in_every_quantity(fit):
    blocks = convergence(Material(fit))
    table = tables(blocks)["convergence-quantities"]
    assert table["quantity"].tolist() == ["level[Intercept]", "tau"]
    assert (table["verdict"] == "ok").all()
    assert "Converged: all 2 quantities" in words(blocks)
    # R-hat and ESS are ArviZ's; by the summary of the fit, which asks it too.
    np.testing.assert_array_equal(table["R-hat"], fit.summary()["r_hat"])
    # Independent draws: the error of a mean is sd / sqrt(draws), to the error of an estimated ESS.
    draws = fit.posterior["tau"]
    expected = float(draws.std()) / np.sqrt(draws.size)
    assert table["MCSE"].iloc[1] == pytest.approx(expected, rel=0.1)


def test_a_chain_elsewhere_is_named_with_the_quantity_it_is_wrong_in(fit):
    tau = fit.posterior["tau"]
    other = changed(fit, tau=tau + 2.0 * (tau["chain"] == 0))
    blocks = convergence(Material(other))
    table = tables(blocks)["convergence-quantities"].set_index("quantity")
    assert table.loc["level[Intercept]", "verdict"] == "ok"
    assert "chains disagree" in table.loc["tau", "verdict"]
    assert "Not converged: 1 of 2 quantities fail" in words(blocks)
    assert "on tau" in words(blocks)


def test_a_chain_that_never_moved_and_few_draws_are_named(fit):
    frozen = changed(fit, tau=fit.posterior["tau"] * 0 + 1)
    table = tables(convergence(Material(frozen)))["convergence-quantities"].set_index("quantity")
    assert table.loc["tau", "verdict"] == "the chains did not move"
    steps = np.random.default_rng(2).normal(size=fit.posterior["tau"].shape).cumsum(axis=1)
    slow = changed(fit, tau=fit.posterior["tau"] * 0 + 5 + 0.01 * steps)
    table = tables(convergence(Material(slow)))["convergence-quantities"].set_index("quantity")
    assert "too few effective draws" in table.loc["tau", "verdict"]


def test_divergences_are_counted_by_chain():
    fit = prior_fit(
        bm.effect_sizes(EIGHT_ROWS), bm.ModelSpec(peak="1 + (1 | study)", decay="none"), divergent=7
    )
    blocks = convergence(Material(fit))
    assert tables(blocks)["convergence-sampler"]["divergent"].tolist() == [7, 0, 0, 0]
    assert "7 transitions diverged" in words(blocks)


def test_what_is_made_of_the_quantities_is_judged_as_well():
    fit = prior_fit("ketamine_pain", draws=1000)
    blocks = convergence(Material(fit))
    assert fit.converged
    table = tables(blocks)["convergence-answers"].set_index("quantity")
    assert "half-life, regimen = single" in table.index
    # A half-life on log2 is a sum of parameters: the same draws by another route.
    terms = fit.posterior["log2_half_life"]
    names = list(terms["log2_half_life_term"].values)
    single = [n for n in names if "repeated" not in n]
    draws = terms.sel(log2_half_life_term=single).sum("log2_half_life_term").values
    expected = arviz_stats.rhat(draws)
    # Rounding decides which of two draws at the same distance from the median is further.
    assert table.loc["half-life, regimen = single", "R-hat"] == pytest.approx(expected, rel=1e-4)
    assert tables(blocks)["convergence-quantities"]["quantity"].isin(table.index).sum() == 0
    (fold,) = [block for block in blocks if isinstance(block, Fold)]
    assert fold.summary.endswith("all ok")


def test_low_energy_and_long_paths_are_told(fit):
    # A random walk takes steps that are short beside its spread.
    rng = np.random.default_rng(1)
    energy = rng.normal(size=(4, 1000))
    energy[2] = np.cumsum(energy[2])
    reached = np.zeros((4, 1000), bool)
    reached[1, :12] = True
    groups = {name: node.dataset for name, node in fit.tree.children.items()}
    dims = ("chain", "draw")
    groups["sample_stats"] = groups["sample_stats"].assign(
        energy=(dims, energy), reached_max_treedepth=(dims, reached)
    )
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.tree.attrs
    blocks = convergence(Material(bm.Fit(tree, fit.design)))
    said = words(blocks)
    assert "BFMI below 0.3 in chain 3:" in said
    assert "12 of 4,000 transitions ended at the longest path" in said
    found = tables(blocks)["convergence-sampler"].set_index("chain")
    # Betancourt's ratio by hand.
    own = (np.diff(energy[0]) ** 2).mean() / energy[0].var()
    assert found.loc[1, "BFMI"] == pytest.approx(own, rel=0.01)  # by sums or means of 1,000
    assert found["energy"].tolist() == ["ok", "ok", "low: the tails may be missed", "ok"]


def test_the_picture_of_chains_that_disagree_names_them(fit):
    tau = fit.posterior["tau"]
    other = changed(fit, tau=tau + 2.0 * (tau["chain"] == 0))
    (ranks,) = [b for b in convergence(Material(other)) if isinstance(b, Picture)]
    assert "Lines leave 0 most for tau." in ranks.alt


def test_statistics_are_those_of_the_replicates(fit):
    table = statistics_of(fit, "posterior_predictive").set_index("statistic")
    made = fit.tree["posterior_predictive"]["y"].values.reshape(-1, 30)
    assert table.loc["largest", "observed"] == fit.design.y.max()
    assert table.loc["mean", "replicated"] == pytest.approx(np.median(made.mean(axis=1)))
    assert table.loc["smallest", "p"] == (made.min(axis=1) < fit.design.y.min()).mean()


def test_data_that_the_model_does_not_make_are_named(fit):
    groups = {name: node.dataset for name, node in fit.tree.children.items()}
    drawn = groups["posterior_predictive"]
    groups["posterior_predictive"] = drawn.assign(y=drawn["y"] * 0 + drawn["y"].mean("row"))
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.tree.attrs
    said = words(predictive(Material(bm.Fit(tree, fit.design))))
    assert "does not find again: standard deviation, smallest, largest" in said
    assert "finds all of these again" in words(predictive(Material(fit)))


def test_few_rows_are_shown_one_by_one():
    fit = prior_fit("ketamine_pain")
    found = tables(predictive(Material(fit)))
    assert found["predictive-posterior-rows"]["row"].tolist() == ["MA1", "MA2", "MA3", "MA4"]
    made = fit.tree["prior_predictive"]["y"].values.reshape(-1, 4)
    rows = found["predictive-prior-rows"]
    np.testing.assert_allclose(rows["p"], (made < fit.design.y).mean(axis=0))


def test_replicates_of_a_fit_that_did_not_converge_are_withheld():
    fit = prior_fit("ketamine_pain", divergent=5)
    blocks = predictive(Material(fit))
    assert list(tables(blocks)) == ["predictive-prior-rows"]
    assert [block.name for block in blocks if isinstance(block, Picture)] == [
        "predictive-prior-intervals"
    ]
    assert "not printed, because the fit has not converged" in words(blocks)


def test_every_picture_says_what_it_shows(fit):
    blocks = (*convergence(Material(fit)), *predictive(Material(fit)))
    pictures = [block for block in blocks if isinstance(block, Picture)]
    assert [p.name for p in pictures] == [
        "convergence-ranks", "predictive-prior", "predictive-posterior",
    ]  # fmt: skip
    assert all(len(picture.alt) > 40 for picture in pictures)
