"""The classical decay fit under the exact likelihood: direct maximisation, and known truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import bayesma as bm
from bayesma.errors import SpecError
from bayesma.frequentist.fading.starts import heights


def arm_table(studies=30, seed=1, mean=3.0, tau=1.0, rows=1):
    """Arms of normal animals, 5 to 9 in each group; a study's effect common to its rows."""
    rng = np.random.default_rng(seed)
    found = []
    for study in range(studies):
        effect = rng.normal(mean, tau)
        for row in range(rows):
            n = rng.integers(5, 10, 2)
            treated, control = rng.normal(effect, 1, n[0]), rng.normal(0, 1, n[1])
            found.append(
                {
                    "study": f"S{study}",
                    "x": float(row),
                    "mean_treated": treated.mean(),
                    "sd_treated": treated.std(ddof=1),
                    "n_treated": n[0],
                    "mean_control": control.mean(),
                    "sd_control": control.std(ddof=1),
                    "n_control": n[1],
                }
            )
    return pd.DataFrame(found)


CRITICAL = stats.chi2.ppf(0.95, 1)


def direct(table):
    """Mean, tau, log likelihood and the profile interval of the mean, of one row a study."""
    n_t, n_c = table["n_treated"], table["n_control"]
    df, v = n_t + n_c - 2, 1 / n_t + 1 / n_c
    pooled = ((n_t - 1) * table["sd_treated"] ** 2 + (n_c - 1) * table["sd_control"] ** 2) / df
    d = (table["mean_treated"] - table["mean_control"]) / np.sqrt(pooled)
    J = bm.effect_sizes(table).y / d

    def minus(x):
        s = np.sqrt(v + x[1] ** 2)
        return -(stats.nct.logpdf(d / s, df, x[0] / s) - np.log(s) - np.log(J)).sum()

    tight = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
    top = optimize.minimize(minus, [3.0, 1.0], method="Nelder-Mead", options=tight)

    def short(c):
        rest = optimize.minimize_scalar(lambda t: minus([c, t]), bounds=(0, 5), method="bounded",
                                        options={"xatol": 1e-10})  # fmt: skip
        return 2 * (rest.fun - top.fun) - CRITICAL

    ends = [optimize.brentq(short, *side) for side in ((1.0, top.x[0]), (top.x[0], 6.0))]
    return top.x[0], abs(top.x[1]), -top.fun, ends


def test_one_row_a_study_is_the_noncentral_t_at_its_maximum():
    table = arm_table()
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none", likelihood="exact")
    fit = bm.classical_fit(bm.effect_sizes(table), spec)
    mean, tau, log_likelihood, ends = direct(table)
    # A maximum found to 1e-9 in its height is found to 1e-4 standard errors, here 0.2.
    assert fit.estimates["level"][0] == pytest.approx(mean, abs=2e-5)
    assert fit.tau["study"] == pytest.approx(tau, abs=2e-5)
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=1e-7)
    assert fit.problems == ()
    assert (fit.method, fit.parameters) == ("ML", 2)
    assert "maximum likelihood, not REML: likelihood = 'exact'" in " ".join(fit.notes)
    # Both ends are where the deviance is within 1e-7 of the critical value.
    found = fit.curve(pd.DataFrame({"row": [0]}), interval="profile")
    assert found.loc[0, ["ci_low", "ci_high"]].tolist() == pytest.approx(ends, abs=1e-4)


def test_tau_may_be_0():
    table = arm_table(studies=12, seed=5, tau=0.0)
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none", likelihood="exact")
    fit = bm.classical_fit(bm.effect_sizes(table), spec)
    mean, tau, log_likelihood, _ = direct(table)
    assert (fit.tau["study"], tau) == (0.0, pytest.approx(0.0, abs=1e-3))
    assert fit.estimates["level"][0] == pytest.approx(mean, abs=2e-5)
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=1e-7)
    spread = fit.quantities(only=["tau"]).iloc[0]
    assert spread["ci_low"] == 0
    assert 0 < spread["ci_high"] < 1


def test_the_exact_maximum_does_not_shrink_as_the_plug_in_one_does():
    """Effects of 5 SDs: normal fits with v(g) shrink by several percent, the exact one does not."""
    table = arm_table(studies=150, seed=8, mean=5.0, tau=1.0)
    effects = bm.effect_sizes(table)
    found = {}
    for name in ("exact", "normal"):
        spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none", likelihood=name)
        found[name] = bm.classical_fit(effects, spec, "ML")
    # 150 effects of spread 1 and noise about 1.1: a standard error of 0.12.
    assert found["exact"].estimates["level"][0] == pytest.approx(5.0, abs=0.36)
    assert found["normal"].estimates["level"][0] < 4.6
    assert found["exact"].tau["study"] == pytest.approx(1.0, abs=0.5)


def test_reml_is_refused_with_its_reason():
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none", likelihood="exact")
    with pytest.raises(SpecError, match="method = 'REML': likelihood = 'exact' leaves no"):
        bm.classical_fit(bm.effect_sizes(arm_table(8)), spec, "REML")


def test_a_maximum_of_nested_rows_is_level_on_every_side():
    table = arm_table(studies=10, seed=3, rows=3)
    spec = bm.ModelSpec(peak="x + (1 | study)", decay="none", likelihood="exact")
    fit = bm.classical_fit(bm.effect_sizes(table), spec)
    surface, top = fit._optimum.surface, fit._optimum.top
    step = 0.05 * np.eye(len(top.x))
    near = heights(surface, np.concatenate([top.x + step, top.x - step]))
    assert (near > top.value).all()
    assert fit.problems == ()
    assert fit.estimates["level"][0] == pytest.approx(3.0, abs=1.2)  # 3 standard errors of 0.4
