"""The sections on convergence and on predictive checks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from fits import EIGHT_ROWS, conjugate_fit, prior_fit

import bayesma as bm
from bayesma.reporting.blocks import Items, Picture, Table, Words
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
    return {block.name: block.frame for block in blocks if isinstance(block, Table)}


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
    assert "not printed, because the fit has not converged" in words(blocks)


def test_every_picture_says_what_it_shows(fit):
    blocks = (*convergence(Material(fit)), *predictive(Material(fit)))
    pictures = [block for block in blocks if isinstance(block, Picture)]
    assert [p.name for p in pictures] == [
        "convergence-ranks", "predictive-prior", "predictive-posterior",
    ]  # fmt: skip
    assert all(len(picture.alt) > 40 for picture in pictures)
