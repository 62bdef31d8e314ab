"""Multilevel meta-analysis against metafor's rma.mv, closed forms and its own definition."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from helpers import oracle

from bayesma.effects import effect_sizes
from bayesma.errors import DataError, SpecError
from bayesma.frequentist.nested import multilevel
from bayesma.frequentist.profile import sigma2_ci

SETS = ("konstantopoulos2011", "assink2016", "assink2016_V_rho0.6")
FITS = {
    "REML_z": {"df": "z"},
    "REML_t": {"df": "t"},
    "REML_t_contain": {},
    "ML_z": {"df": "z", "method": "ML"},
    "two_level_outer": {"df": "z", "random": "study"},
    "two_level_inner": {"df": "z", "random": "unit"},
}
# metafor's optimiser is told to stop at changes of 1e-13 of the log-likelihood or, where it does
# not report convergence, at larger ones ("mid", "loose"); the log-likelihood is flat to second
# order in the variances, so they carry half of its digits or fewer, and the coefficients, whose
# error is of the first order in them, about as many.
VARIANCES = {"tight": 2e-6, "mid": 2e-6, "loose": 2e-5}


@pytest.fixture(scope="module")
def metafor(shared):
    return json.loads((shared / "reference" / "metafor.json").read_text(encoding="utf-8"))


def frame_of(columns):
    named = {"study": columns["cluster"], "unit": columns["unit"]}
    return pd.DataFrame({name: [str(one) for one in cells] for name, cells in named.items()})


def given_v(name, columns):
    """vcalc(vi, cluster=study, obs=esid, rho=0.6): one correlation within a study."""
    v, cluster = np.array(columns["vi"]), np.array(columns["cluster"])
    if not name.endswith("rho0.6"):
        return {"v": v}
    full = 0.6 * np.sqrt(np.outer(v, v)) * (cluster[:, None] == cluster)
    np.fill_diagonal(full, v)
    return {"V": full}


def fitted(section, name, **options):
    columns = section["columns"]
    options = {"random": "study/unit"} | options
    return multilevel(columns["yi"], data=frame_of(columns), **given_v(name, columns), **options)


def check_coefficients(found, expected, rtol):
    pairs = {
        "estimate": "b",
        "se": "se",
        "ci_low": "ci_lb",
        "ci_high": "ci_ub",
        "statistic": "stat",
    }
    for ours, theirs in pairs.items():
        scale = np.abs(np.atleast_1d(expected["se"])).max()
        np.testing.assert_allclose(
            found.table[ours], np.atleast_1d(expected[theirs]), rtol=rtol, atol=rtol * scale
        )
    # A P value far out changes faster than its statistic, by about the statistic times that.
    np.testing.assert_allclose(
        found.table["p"], np.atleast_1d(expected["pval"]), rtol=200 * rtol, atol=1e-300
    )


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", SETS)
def test_every_number_of_a_fit_is_metafors(metafor, name, fit):
    section = metafor["multilevel"][name]
    expected = section[fit]
    found = fitted(section, name, **FITS[fit])
    rtol = VARIANCES[expected["optimizer_setting"]]
    np.testing.assert_allclose(found.sigma2, np.atleast_1d(expected["sigma2"]), rtol=rtol)
    check_coefficients(found, expected, rtol)
    np.testing.assert_allclose(found.prediction, [expected["pi_lb"], expected["pi_ub"]], rtol=rtol)
    theirs = expected["I2_multilevel"]["per_level"]
    np.testing.assert_allclose(found.i2, np.atleast_1d(theirs), rtol=rtol)
    assert list(found.groups) == list(np.atleast_1d(expected["s_nlevels"]))
    if expected["dfs"] is not None:
        assert list(found.table["df"]) == list(np.atleast_1d(expected["dfs"]))
    # Closed form; 15 digits in the file, some lost in a sum of a hundred squares.
    assert found.qe == pytest.approx(expected["Q"], rel=1e-11)
    assert found.qe_df == expected["Q_df"]
    assert found.qe_p == pytest.approx(expected["Qp"], rel=1e-9)
    # Flat to second order in the variances.
    assert found.log_likelihood == pytest.approx(expected["loglik"], rel=1e-9)
    if "aic_reml" in expected and found.method == "REML":
        assert found.aic == pytest.approx(expected["aic_reml"], rel=1e-9)
        assert found.bic == pytest.approx(expected["bic_reml"], rel=1e-9)


def test_our_variances_are_no_less_likely_than_metafors(metafor):
    for name in SETS:
        section = metafor["multilevel"][name]
        expected = section["REML_z"]
        ours = fitted(section, name).log_likelihood
        # The rounding of the likelihood alone.
        assert ours >= expected["loglik"] - 1e-10
        fixed = fitted(section, name, sigma2=expected["sigma2"])
        assert fixed.log_likelihood == pytest.approx(expected["loglik"], abs=1e-11)
        # At the same variances all else is closed form.
        check_coefficients(
            fitted(section, name, sigma2=expected["sigma2"], df="z"), expected, 1e-10
        )
