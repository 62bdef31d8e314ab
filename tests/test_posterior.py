import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fits import prior_fit

import bayesma as bm
from bayesma.bayes import engine
from bayesma.errors import BayesmaError
from bayesma.predictive import prior_draws


def prior_sample(plan_or_engine, settings):
    """What the sampler returns, drawn from the prior: nothing is compiled."""
    plan, chains, draws = plan_or_engine, settings.chains, settings.draws
    found = prior_draws(plan, chains * draws, np.random.default_rng(settings.seed))
    arrays = {}
    for name, values in found.items():
        dims, coords = ["chain", "draw"], {}
        if values.ndim > 1:
            dim, labels = plan.vectors.get(name, (f"{name}_term", ()))
            terms = labels or next(
                plan.predictors[p].terms for p, v in engine.VARIABLES.items() if v == name
            )
            dims, coords = [*dims, dim], {dim: np.array(terms)}
        arrays[name] = xr.DataArray(
            values.reshape(chains, draws, *values.shape[1:]), coords, dims, name=name
        )
    posterior = xr.Dataset(arrays).assign_coords(chain=np.arange(chains), draw=np.arange(draws))
    still = np.zeros((chains, draws), dtype=bool)
    stats = xr.Dataset({"diverging": (("chain", "draw"), still)})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


def nested_effects():
    """Plain rows with a block covariance, missing text and missing numbers."""
    frame = pd.DataFrame(
        {
            "study": ["A", "A", "B", "C", "D", "E"],
            "experiment": ["1", "1", "1", None, "1", "2"],
            "y": [1.0, 2.0, 1.5, 0.5, 2.5, 1.0],
            "v": [0.2, 0.3, 0.2, 0.4, 0.2, 0.3],
            "regimen": ["single"] * 3 + ["repeated"] * 3,
            "exposure": ["off", None, "off", "on", "off", "off"],
            "delay": [0.5, 1.0, 3.0, np.nan, 7.0, 14.0],
            "dose": [1.0, 2.0, 4.0, 1.0, 3.0, 9.0],
            "n_treated": [5, 6, 7, 8, 9, 10],
            "n_control": [5, 6, 7, 8, 9, 10],
            "year": [2001, np.nan, 2003, 2004, np.nan, 2006],
            "naïve/odd name": ["µ", None, "é", "x", "y", "z"],
        }
    )
    return bm.effect_sizes(frame, rho=0.5)


SPECS = {
    "nested": bm.ModelSpec(
        peak="regimen + (1 | study/experiment)", half_life="regimen", tau="regimen"
    ),
    "function": bm.ModelSpec(peak="regimen + log(delay + 1) + (1 | study)", decay="none"),
    "every option": bm.ModelSpec(
        peak="regimen + centred(log(dose), regimen) + (1 | study/experiment)",
        decay="plateau",
        population="student",
        heterogeneity="proportional",
        small_study="1/sqrt(n)",
        missing_delay="latent",
        priors={"delay": bm.priors.log_normal(0, 1)},
    ),
}


@pytest.fixture(params=["nested", "function", "every option", "pooled", "pooled, equal weights"])
def fit(request, monkeypatch):
    monkeypatch.setattr(engine, "sample", prior_sample)
    if request.param == "pooled":
        return bm.fit("ketamine_pain", seed=3, draws=500)
    if request.param == "pooled, equal weights":
        rows = bm.load_dataset("van_velzen_2021", "pooled")
        members = bm.load_dataset("van_velzen_2021", "comparisons")
        rows = bm.effect_sizes(rows.frame.iloc[[0, 9]], members=members)
        return bm.fit(rows, bm.ModelSpec(peak="1"), seed=3, draws=500)
    effects = nested_effects()
    if request.param == "function":
        effects = bm.effect_sizes(effects.frame.drop(columns="exposure"))
    return bm.fit(effects, SPECS[request.param], seed=3, draws=500)


def test_a_fit_comes_back_bit_for_bit(fit, tmp_path):
    back = bm.load_fit(fit.save(tmp_path / "fit.nc"))
    assert set(back.tree.groups) == set(fit.tree.groups)
    for group in fit.tree.children:
        old, new = fit.tree[group].dataset, back.tree[group].dataset
        assert set(old.variables) == set(new.variables)
        for name, variable in old.variables.items():
            assert new[name].dims == variable.dims
            if variable.dtype.kind in "fiub":
                assert new[name].dtype == variable.dtype
                assert new[name].values.tobytes() == variable.values.tobytes()
            else:
                assert new[name].values.tolist() == variable.values.tolist()
            assert new[name].attrs == variable.attrs
    assert back.tree.attrs == fit.tree.attrs


def test_its_design_comes_back_too(fit, tmp_path):
    back = bm.load_fit(fit.save(tmp_path / "fit.nc"))
    assert back.spec == fit.spec
    assert back.notes == fit.notes
    assert back.provenance == fit.provenance
    assert repr(back) == repr(fit)
    old, new = fit.design, back.design
    np.testing.assert_array_equal(new.points.clock, old.points.clock)
    np.testing.assert_array_equal(new.points.reference, old.points.reference)
    for name, matrix in old.points.matrices.items():
        np.testing.assert_array_equal(new.points.matrices[name], matrix)
    np.testing.assert_array_equal(new.effects.covariance.dense(), old.effects.covariance.dense())
    assert new.groups.labels == old.groups.labels
    assert new.references == old.references
    if old.pooling is not None:
        np.testing.assert_array_equal(new.pooling.floor, old.pooling.floor)
    for name, column in old.effects.frame.items():
        again = new.effects.frame[name]
        assert again.isna().tolist() == column.isna().tolist()
        assert again.dropna().tolist() == column.dropna().tolist()


def test_it_answers_as_before(fit, tmp_path):
    back = bm.load_fit(fit.save(tmp_path / "fit.nc"))
    cells = {name: sorted(set(fit.design.frame[name])) for name in fit.design.cells}
    old, new = (bm.decay_curve(f, bm.grid(f, delay=[1.0, 2.0], **cells)) for f in (fit, back))
    np.testing.assert_array_equal(old.values, new.values)
    pd.testing.assert_frame_equal(fit.summary(), back.summary())
    assert back.problems == fit.problems


def test_a_folder_stands_for_the_fit_in_it(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    assert bm.load_fit(tmp_path).spec == fit.spec


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(engine, "sample", prior_sample)
    return bm.fit(nested_effects(), bm.ModelSpec(decay="none"), seed=1, draws=500)


def test_a_saved_fit_is_replaced_whole(small, tmp_path):
    path = tmp_path / "fit.nc"
    path.write_text("old")
    assert small.save(path) == path
    assert bm.load_fit(path).spec == small.spec
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


def test_where_it_cannot_be_written_nothing_is_left(small, tmp_path):
    with pytest.raises(BayesmaError, match=r"nowhere/fit\.nc: cannot be written \(No such file"):
        small.save(tmp_path / "nowhere" / "fit.nc")
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(BayesmaError, match=r"folder\.nc: cannot be written"):
        small.save(tmp_path / "folder.nc")
    (tmp_path / "text").write_text("a file is no folder")
    with pytest.raises(BayesmaError, match=r"text/fit\.nc: cannot be written"):
        small.save(tmp_path / "text" / "fit.nc")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.nc", "text"]


def test_what_is_not_a_saved_fit_is_said(small, tmp_path):
    with pytest.raises(BayesmaError, match=r"missing\.nc: there is no such file"):
        bm.load_fit(tmp_path / "missing.nc")
    with pytest.raises(BayesmaError, match=r"fit\.nc: there is no such file"):
        bm.load_fit(tmp_path)
    (tmp_path / "text.nc").write_text("study,y\nA,1\n")
    with pytest.raises(BayesmaError, match=r"text\.nc: is not a saved fit"):
        bm.load_fit(tmp_path / "text.nc")
    whole = small.save(tmp_path / "whole.nc").read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BayesmaError, match=r"half\.nc: is not a saved fit"):
        bm.load_fit(tmp_path / "half.nc")
    xr.Dataset({"x": ("i", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(BayesmaError, match=r"other\.nc: is not a saved fit \(no provenance\)"):
        bm.load_fit(tmp_path / "other.nc")


def test_a_fit_says_where_it_comes_from(small):
    found = small.provenance
    assert (found["seed"], found["draws"], found["chains"]) == (1, 500, 4)
    assert len(found["data_sha256"]) == 64
    assert set(found["versions"]) >= {"bayesma", "pymc", "nutpie", "numpy"}
    assert json.loads(small.tree.attrs["spec"]) == small.spec.to_dict()
    assert bm.ModelSpec.from_dict(json.loads(small.tree.attrs["spec"])) == small.spec


def test_a_fit_says_whether_it_can_be_trusted(small):
    assert small.converged
    assert repr(small) == (
        "<Fit SMD, 6 rows: peak = 1 + (1 | study), decay = none, likelihood = normal; converged>"
    )
    assert small.problems == []
    assert small.summary(0.5).loc["tau", "ci_low"] == pytest.approx(
        float(small.posterior["tau"].quantile(0.25)), rel=1e-15
    )


def test_columns_named_like_ours_survive(tmp_path):
    frame = pd.DataFrame(
        {
            "study": ["A", "A", "B", "B"],
            "y": [1.0, 2.0, 0.5, 0.1],
            "v": 0.2,
            "row": ["w", "x", "y", "z"],
            "covariance_value": [1.0, 2.0, 3.0, 4.0],
            "a/b": [1.0, 2.0, 3.0, np.nan],
        }
    )
    fit = prior_fit(bm.effect_sizes(frame), bm.ModelSpec(decay="none"), draws=20)
    again = bm.load_fit(fit.save(tmp_path / "fit.nc"))
    pd.testing.assert_frame_equal(again.design.effects.frame, fit.design.effects.frame)
