"""Subgroups: held to metafor, and to the equations of a common and of separate tau2."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers import oracle

import bayesma as bm
from bayesma.errors import SpecError
from bayesma.frequentist.linear.heterogeneity import METHODS

BOOK = "frequentist_oracles"
CASES = [(name, m) for name, by_m in oracle("subgroups", BOOK).items() for m in by_m]
# metafor at threshold 1e-12 and the roots here, found to the last digit, leave 1e-13; P values of
# large statistics lose some.
CLOSE = {"rtol": 1e-9, "atol": 1e-12}
# Sums of some terms, in another order.
EXACT = {"rtol": 1e-12, "atol": 1e-14}

Y = [0.12, 0.55, -0.3, 1.1, 0.9, 1.7, 0.4, 2.2, 1.05, 0.66, 3.1]
V = [0.04, 0.11, 0.2, 0.09, 0.3, 0.25, 0.05, 0.4, 0.07, 0.12, 0.6]
GROUPS = list("aaabbbbccda")


def data(name):
    found = oracle("data", BOOK)[name]
    return found["y"], found["v"], found["group"]


def same(found, expected, tolerance=CLOSE):
    np.testing.assert_allclose(np.array(found, float), np.array(expected, float), **tolerance)


# -- metafor -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method"), CASES)
def test_common_tau2_is_the_mixed_effects_model(name, method):
    y, v, groups = data(name)
    expected = oracle("subgroups", BOOK)[name][method]
    found = bm.subgroups(y, groups, v=v, method=method, ci="z")
    assert list(found.table.index) == expected["levels"]
    common = expected["common"]
    for column in ("estimate", "se", "ci_low", "ci_high"):
        same(found.table[column], common[column])
    same(found.tau2, common["tau2"])
    same([found.between.statistic, found.between.p], [common["qm"], common["qm_p"]])
    assert found.between.df == (common["qm_df"],)
    # The rows' scatter around their own groups adds up to the residual heterogeneity.
    same(found.table["q"].sum(), common["qe"])
    if knha := common["knha"]:
        found = bm.subgroups(y, groups, v=v, method=method)
        for column in ("se", "ci_low", "ci_high"):
            same(found.table[column], knha[column])
        same([found.between.statistic, found.between.p], [knha["f"], knha["p"]])
        assert list(found.between.df) == knha["df"]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_separate_tau2_is_each_group_by_itself(name, method):
    y, v, groups = data(name)
    expected = oracle("subgroups", BOOK)[name][method]["separate"]
    for ci, key in (("z", "z"), ("knapp-hartung", "knha")):
        if expected[key] is None or (method == "EE" and key == "knha"):
            continue
        found = bm.subgroups(y, groups, v=v, method=method, ci=ci, tau2="separate")
        assert found.tau2 is None
        for column in set(found.table) & set(expected[key]):
            known = np.array(expected[key][column], float)
            there = np.isfinite(known)
            same(found.table[column].to_numpy(float)[there], known[there])
    found = bm.subgroups(y, groups, v=v, method=method, ci="z", tau2="separate")
    between = expected["between"]
    same([found.between.statistic, found.between.p], [between["q"], between["p"]])
    assert found.between.df == (between["df"],)


WAYS = [(m, t) for m in METHODS for t in ("z", "knha")]


@pytest.mark.parametrize(("method", "test"), [way for way in WAYS if way != ("common", "knha")])
def test_bcg_by_allocation(shared, method, test):
    """The published table: intercept + difference is the level's mean, QM the test between."""
    text = (shared / "reference" / "metafor.json").read_text(encoding="utf-8")
    bcg = json.loads(text)["univariate"]["bcg_logRR"]
    expected = bcg["metareg"]["alloc"][test]["EE" if method == "common" else method]
    found = bm.subgroups(bcg["columns"]["yi"], bcg["alloc"], v=bcg["columns"]["vi"],
                         method=method, ci=test)  # fmt: skip
    b, vb = np.array(expected["b"]), np.array(expected["vb"])
    same(found.table["estimate"], [b[0], b[0] + b[1], b[0] + b[2]], {"rtol": 1e-6})
    # The file's EB and PM stop at 1e-7 or so of tau2.
    to = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1]])
    same(found.table["se"], np.sqrt(np.diag(to @ vb @ to.T)), {"rtol": 1e-6})
    same(found.tau2, expected["tau2"], {"rtol": 1e-6, "atol": 1e-12})
    same(found.between.statistic, expected["QM"], {"rtol": 1e-5})
    same(found.between.p, expected["QM_p"], {"rtol": 1e-5})


# -- equations ---------------------------------------------------------------------------------


def test_dl_on_the_factor_is_the_tau2_pooled_within_groups():
    """(sum Q_g - sum df_g) / sum C_g, as Borenstein et al. 2009 and CMA have it."""
    y, v, groups = map(np.array, data("heavy"))
    q = df = c = 0.0
    for level in set(groups.tolist()):
        w, own = 1 / v[groups == level], y[groups == level]
        q += (w * (own - (w @ own) / w.sum()) ** 2).sum()
        df += len(own) - 1
        c += w.sum() - (w**2).sum() / w.sum()
    assert q > df
    same(bm.subgroups(y, groups, v=v, method="DL").tau2, (q - df) / c, EXACT)


def test_the_parts_of_q_add_up_without_tau2():
    """Q = sum Q_g + Q between, for a common effect."""
    found = bm.subgroups(Y, GROUPS, v=V, method="common", ci="z")
    same(found.total.q, found.table["q"].sum() + found.between.statistic, EXACT)


def test_a_group_alone_is_what_pool_says_of_it():
    keep = [i for i, g in enumerate(GROUPS) if g != "d"]
    y, v, groups = ([column[i] for i in keep] for column in (Y, V, GROUPS))
    found = bm.subgroups(y, groups, v=v, tau2="separate", ci="t")
    for level, row in found.table.iterrows():
        own = [i for i, g in enumerate(groups) if g == level]
        one = bm.pool([y[i] for i in own], [v[i] for i in own], ci="t")
        assert row["k"] == one.k
        assert (row["estimate"], row["ci_low"], row["ci_high"]) == (one.estimate, *one.ci)
        assert (row["prediction_low"], row["prediction_high"]) == one.prediction
        assert (row["tau2"], row["i2"], row["q"]) == (one.tau2, one.i2, one.q)
    whole = bm.pool(y, v, ci="t")
    assert (found.total.estimate, found.total.ci) == (whole.estimate, whole.ci)
    w = 1 / (np.array(v) + found.table["tau2"].loc[groups].to_numpy())
    same(found.weights, 100 * w / w.sum(), EXACT)


def test_prediction_with_a_common_tau2():
    """b +- quantile sqrt(se^2 + tau2); metafor's predict for z, t with k - groups - 1 for Riley."""
    found = bm.subgroups(Y, GROUPS, v=V, ci="z")
    # metafor 3.8.1: predict(rma(y, v, mods = ~ g - 1), newmods = diag(4))$pi.lb.
    printed = [-1.10275256873975, -0.730342413503872, -0.425721414049762, -1.56146351997859]
    same(found.table["prediction_low"], printed)
    riley = bm.subgroups(Y, GROUPS, v=V, ci="z", prediction="riley").table
    reach = np.sqrt(found.table["se"] ** 2 + found.tau2)
    # qt(0.975, 11 - 4 - 1)
    same((riley["prediction_high"] - riley["estimate"]) / reach, [2.446911851144969] * 4)


def test_between_groups_from_printed_numbers():
    """Two groups: the square of the usual z of a difference."""
    q, df, p = bm.between_groups([1.6, 5.1], [0.4, 0.9])
    z = (5.1 - 1.6) / np.hypot(0.4, 0.9)
    same(q, z**2, EXACT)
    assert df == 1
    # R: 2 * pnorm(-(5.1 - 1.6) / sqrt(0.4^2 + 0.9^2))
    same(p, 0.00037983552899519, {"rtol": 1e-9})


# -- tables ------------------------------------------------------------------------------------


def frame(**columns):
    return pd.DataFrame({"study": [f"s{i}" for i in range(11)], "y": Y, "v": V, **columns})


def test_rows_without_a_level_are_left_out_and_counted():
    cells = [*GROUPS[:9], None, None]
    found = bm.subgroups(bm.effect_sizes(frame(kind=cells)), "kind")
    assert found.table["k"].tolist() == [3, 4, 2]
    assert found.total.k == 9
    assert found.by == "kind"
    assert "2 of 11 rows left out: no kind" in found.notes
    plain = bm.subgroups(Y[:9], GROUPS[:9], v=V[:9])
    same(found.table, plain.table, EXACT)


def test_levels_that_are_numbers_stand_by_size():
    dose = [10.0] * 4 + [2.0] * 4 + [0.5] * 3
    found = bm.subgroups(bm.effect_sizes(frame(dose=dose)), "dose")
    assert list(found.table.index) == ["0.5", "2", "10"]
    assert found.table["k"].tolist() == [3, 4, 4]


def test_levels_of_text_and_numbers_are_told_apart():
    found = bm.subgroups(Y, ["b", "b", "b", "b", 2.0, 2.0, 2.0, 2, 10, 10, 10], v=V)
    assert found.table["k"].to_dict() == {"10": 3, "2": 4, "b": 4}


def test_a_group_of_one_row_has_the_common_tau2_and_no_scatter():
    found = bm.subgroups(Y, GROUPS, v=V, ci="z")
    alone = found.table.loc["d"]
    assert (alone["k"], alone["estimate"], alone["q"]) == (1, 0.66, 0.0)
    same(alone["se"], np.sqrt(0.12 + found.tau2), EXACT)
    assert np.isnan(alone["i2"])
    assert np.isnan(alone["q_p"])
    assert "d 0.66 (k = 1)" in repr(found)


def test_a_common_effect_has_no_prediction():
    found = bm.subgroups(Y, GROUPS, v=V, method="common", ci="z")
    assert found.tau2 == 0
    assert found.table[["prediction_low", "prediction_high"]].isna().all(axis=None)


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau2": "each"}, "tau2 = 'each' is unknown; known: common, separate"),
        ({"tau2": "separate"}, "two rows or more in each group; one row: d. Use tau2='common'"),
        ({"prediction": "as"}, "prediction = 'as' is unknown"),
        ({"by": ["a"] * 11}, "all rows are 'a', so there is nothing to compare; bm.pool"),
        ({"by": list(range(11))}, "every group has one row"),
        ({"by": ["a", "b"]}, "by has 2 groups and y 11 rows"),
        ({"by": [None] * 11}, "no row has one"),
        ({"by": "kind"}, "by = 'kind': no such column"),
        ({"by": None}, "one group for each row"),
        ({"by": np.array([GROUPS]).T}, "one group for each row"),
        ({"method": "common"}, "the Knapp-Hartung variance is for random effects"),
        ({"ci_prob": 1.5}, "ci_prob = 1.5"),
        ({"by": list("abcdefghija"), "prediction": "riley"}, "k - groups - 1 = 0 degrees"),
    ],
)
def test_what_cannot_be_done_is_refused(options, message):
    with pytest.raises(SpecError, match=message):
        bm.subgroups(Y, v=V, **{"by": GROUPS, **options})


def test_every_group_with_a_fault_is_named():
    y, v = [1.0, 1.0, 2.0, 2.0, 0.5, 0.7], [0.1] * 6
    with pytest.raises(SpecError, match="group 'a': the effects agree exactly") as told:
        bm.subgroups(y, list("aabbcc"), v=v, tau2="separate")
    assert [line.split(":")[0] for line in str(told.value).splitlines()] == [
        "group 'a'",
        "group 'b'",
    ]


@pytest.mark.parametrize(
    ("estimates", "ses", "message"),
    [
        ([1, 2], [1], "of one length"),
        (["a", "b"], [1, 1], "estimates must be numbers"),
        ([1, 2], 1, "ses must be one column of numbers"),
        ([1], [1], "1 group: a test between groups needs two"),
        ([1, np.nan, 3], [1, 1, 0], "group 2: estimate nan.*\ngroup 3: .*standard error 0"),
    ],
)
def test_printed_numbers_that_cannot_be_compared(estimates, ses, message):
    with pytest.raises(SpecError, match=message):
        bm.between_groups(estimates, ses)
