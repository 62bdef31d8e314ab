"""Cluster-robust inference against metafor's robust() and clubSandwich, and its definition."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from test_frequentist_nested import SETS, check_coefficients, frame_of, given_v

from bayesma.frequentist.nested import multilevel
from bayesma.frequentist.sandwich import robust

# The file's variances are as good as metafor's optimiser (see test_frequentist_nested); with
# them held, the sandwich is closed form and only rounding is left, more of it in the square root
# of a matrix.
CLOSED = 1e-9


@pytest.fixture(scope="module")
def metafor(shared):
    return json.loads((shared / "reference" / "metafor.json").read_text(encoding="utf-8"))


def at_metafors_variances(section, name, formula="~ 1", data=None, fit=None):
    columns = section["columns"]
    frame = frame_of(columns) if data is None else data
    return multilevel(
        columns["yi"],
        formula,
        random="study/unit",
        data=frame,
        sigma2=(fit or section["REML_z"])["sigma2"],
        **given_v(name, columns),
    )


@pytest.mark.parametrize(
    ("kind", "key"), [("CR1", "robust_CR1"), ("CR2", "robust_CR2_clubSandwich")]
)
@pytest.mark.parametrize("name", SETS)
def test_robust_means_are_metafors(metafor, name, kind, key):
    section = metafor["multilevel"][name]
    found = robust(at_metafors_variances(section, name), kind=kind)
    expected = section[key]
    check_coefficients(found, expected, CLOSED)
    np.testing.assert_allclose(found.table["df"], expected["dfs"], rtol=CLOSED)
    np.testing.assert_allclose(found.covariance, expected["vb"], rtol=CLOSED)


@pytest.mark.parametrize(
    ("name", "term", "formula"),
    [
        ("konstantopoulos2011", "year", "~ a"),
        ("assink2016", "deltype", "~ a + b"),
        ("assink2016", "year_deltype", "~ a + b + c"),
    ],
)
def test_robust_regressions_are_clubsandwichs(metafor, name, term, formula):
    section = metafor["multilevel"][name]
    expected = section["metareg"][term]
    X = np.array(expected["X"])
    frame = frame_of(section["columns"])
    frame = frame.assign(**dict(zip("abc", X.T[1:], strict=False)))
    fit = at_metafors_variances(section, name, formula, frame, expected["REML_z"])
    found = robust(fit)
    check_coefficients(found, expected["robust_CR2"], CLOSED)
    np.testing.assert_allclose(found.table["df"], expected["robust_CR2"]["dfs"], rtol=CLOSED)
    np.testing.assert_allclose(found.qm, expected["robust_CR2"]["QM"], rtol=CLOSED)
    np.testing.assert_allclose(found.qm_df, expected["robust_CR2"]["QM_df"], rtol=CLOSED)
    np.testing.assert_allclose(found.qm_p, expected["robust_CR2"]["QM_p"], rtol=100 * CLOSED)
