"""Pooling and meta-regression on the project's own data sets, held to metafor's numbers.

Beyond the published tables of ../shared/reference: a boundary, equal variances, two and four
studies, one huge study. reference/make_frequentist_oracles.R makes them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import oracle

import bayesma as bm

BOOK = "frequentist_oracles"
DATA = oracle("data", BOOK)
FITS = [
    (data, name, way)
    for data, models in oracle("regressions", BOOK).items()
    for name, model in models.items()
    for way in model["fits"]
]
# metafor iterates tau2 to 1e-12 (threshold) and everything else follows from it in closed form;
# what is left are root finders that stop at 1e-12 and differences of nearly equal sums.
RELATIVE = 1e-8
# Where the true answer is 0 (Q of effects that agree, R2 or tau2 at the boundary).
ABSOLUTE = 1e-10


def agree(found, expected, what):
    """Compare where metafor has a number: it has none for an EE's tau2_se and a z's df."""
    found = np.array(found, dtype=float)
    expected = np.array(expected, dtype=float)
    known = np.isfinite(expected)
    np.testing.assert_allclose(
        found[known], expected[known], rtol=RELATIVE, atol=ABSOLUTE, err_msg=what
    )


def pooled_rows():
    for data, found in oracle("pooling", BOOK).items():
        by_method = pd.DataFrame(found["heterogeneity"]).set_index("method")
        for row in pd.DataFrame(found["pooled"]).to_dict("records"):
            name = f"{data} {row['method']} {row['test']}"
            yield pytest.param(data, row, by_method.loc[row["method"]], id=name)


@pytest.mark.parametrize(("data", "row", "spread"), list(pooled_rows()))
def test_pool(data, row, spread):
    columns = DATA[data]
    fit = bm.pool(columns["y"], columns["v"], method=row["method"], ci=row["test"])
    found = {
        "estimate": fit.estimate, "se": fit.se, "statistic": fit.statistic, "p": fit.p,
        "ci_low": fit.ci[0], "ci_high": fit.ci[1],
    }  # fmt: skip
    for name, value in found.items():
        agree(value, row[name], name)
    agree(fit.prediction or (np.nan, np.nan), [row["prediction_low"], row["prediction_high"]], "pi")
    for name in ("tau2", "tau2_se", "i2", "h2", "q", "q_df", "q_p"):
        agree(getattr(fit, name), spread[name], name)
    weights = oracle("pooling", BOOK)[data]["weights"][row["method"]]
    agree(fit.weights, weights, "weights")


@pytest.mark.parametrize(("data", "name", "way"), FITS)
def test_meta_regression(data, name, way):
    model = oracle("regressions", BOOK)[data][name]
    method, test = way.split("_")
    frame = pd.DataFrame(DATA[data])
    formula = model["formula"].replace("~", "~ ")
    fit = bm.meta_regression(frame["y"], formula, v=frame["v"], data=frame, method=method, ci=test)
    expected = model["fits"][way]
    for column in ("estimate", "se", "statistic", "p", "ci_low", "ci_high"):
        agree(fit.table[column], np.atleast_1d(expected[column]), column)
    agree(fit.covariance, expected["covariance"], "covariance")
    agree([fit.qm, fit.qm_p], [expected["qm"], expected["qm_p"]], "qm")
    spread = pd.DataFrame(model["heterogeneity"]).set_index("method").loc[method]
    agree([fit.qe, fit.qe_p], [spread["q"], spread["q_p"]], "qe")
    for column in ("tau2", "tau2_se", "i2", "h2", "r2"):
        agree(getattr(fit, column), spread[column], column)


@pytest.mark.parametrize("data", list(DATA))
def test_intervals_of_tau2(data):
    columns, kinds = DATA[data], {"QP": "q-profile", "PL": "profile-likelihood"}
    for row in pd.DataFrame(oracle("tau2_intervals", BOOK)[data]).to_dict("records"):
        fit = bm.pool(
            columns["y"], columns["v"], method=row["method"], tau2_ci=kinds[row["type"]],
            ci_prob=row["level"] / 100,
        )  # fmt: skip
        # uniroot stops within 1e-12 of the bound on tau2, and a bound near 0 has fewer digits.
        agree(fit.tau2_ci, [row["tau2_low"], row["tau2_high"]], f"{row['type']} {row['method']}")
