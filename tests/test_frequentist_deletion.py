"""Deletion and accumulation, held to metafor where ../shared/reference is at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import arms, oracle
from scipy.stats import chi2

from bayesma.effects import effect_sizes
from bayesma.errors import DataError, SpecError
from bayesma.frequentist import cumulative, influence, leave_one_out, meta_regression, pool
from bayesma.frequentist.deletion.refits import COLUMNS

# metafor stops once tau2 moves by less than 1e-12, which leaves 1e-10 of the tau2 of most subsets.
# A difference of two fits (dffits, dfbetas, Cook's distance) has fewer digits than either.
ITERATED = 1e-8
CLOSED = 1e-10

BOOK = "frequentist_oracles"
WAYS = {"REML": "REML", "DL": "DL", "EE": "common"}

Y = np.array([0.1, 0.8, -0.2, 1.4, 0.5])
V = np.array([0.04, 0.09, 0.06, 0.2, 0.1])
# metafor's name of each column.
POOLED = {
    "estimate": "estimate",
    "se": "se",
    "statistic": "stat",
    "p": "pval",
    "ci_low": "ci_lb",
    "ci_high": "ci_ub",
    "q": "Q",
    "q_p": "Qp",
    "tau2": "tau2",
    "i2": "I2",
    "h2": "H2",
}
INFLUENCE = {
    "rstudent": "rstudent",
    "dffits": "dffits",
    "cook_d": "cook.d",
    "cov_ratio": "cov.r",
    "tau2_deleted": "tau2.del",
    "q_deleted": "QE.del",
    "hat": "hat",
    "weight": "weight",
}


@pytest.fixture(scope="session")
def univariate(shared: Path) -> dict[str, Any]:
    """metafor's results for data sets with one row per study."""
    text = (shared / "reference" / "metafor.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["univariate"]
    return found


def close(found: Any, expected: Any, tolerance: float, where: str) -> None:
    # metafor's tau2 of a subset that has none stops below 1e-12, which leaves I2 4e-10 percent.
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-9, err_msg=where)


# --- leave one out ---


@pytest.mark.parametrize(
    ("key", "method", "ci"),
    [("REML_z", "REML", "z"), ("REML_knha", "REML", "knha"), ("DL_z", "DL", "z")],
)
def test_leave_one_out_is_metafors(univariate, key, method, ci):
    for name, data in univariate.items():
        columns, expected = data["columns"], data["leave1out"][key]
        found = leave_one_out(columns["yi"], columns["vi"], method=method, ci=ci)
        tolerance = CLOSED if method == "DL" else ITERATED
        for ours, theirs in POOLED.items():
            close(found[ours], expected[theirs], tolerance, f"{name} {key} {ours}")
        assert list(found["left_out"]) == [str(i) for i in range(1, data["k"] + 1)]
        assert (found["k"] == data["k"] - 1).all()


def walk(found: pd.DataFrame, expected: dict[str, Any], where: str) -> None:
    for ours, theirs in POOLED.items():
        name = theirs if theirs in expected else "statistic"
        # A common effect has a single tau2, 0.
        close(found[ours], expected[name], ITERATED, f"{where} {ours}")


@pytest.mark.parametrize("name", oracle("deletion", BOOK))
def test_leave_one_out_of_our_own_data_is_metafors(name):
    data = oracle("data", BOOK)[name]
    for way, expected in oracle("deletion", BOOK)[name]["leave_one_out"].items():
        method, ci = way.split("_")
        walk(leave_one_out(data["y"], data["v"], method=method, ci=ci), expected, f"{name} {way}")


def test_leave_one_out_is_pooling_the_rest():
    found = leave_one_out(Y, V)
    rest = pool(np.delete(Y, 3), np.delete(V, 3))
    row = found.loc[3]
    assert list(found.columns) == ["left_out", *COLUMNS]
    expected = {"estimate": rest.estimate, "se": rest.se, "df": rest.df, "ci_low": rest.ci[0]}
    assert {name: row[name] for name in expected} == expected


def test_studies_are_left_out_whole():
    frame = pd.DataFrame({"study": ["b", "a", "b", "c", "a"]})
    found = leave_one_out(Y, V, by="study", data=frame)
    assert list(found["left_out"]) == ["b", "a", "c"]
    assert list(found["k"]) == [3, 3, 4]
    rest = pool(Y[[1, 3, 4]], V[[1, 3, 4]])
    assert found.loc[0, "estimate"] == rest.estimate


def test_a_row_without_a_study_is_a_study_of_its_own():
    frame = pd.DataFrame({"study": ["b", None, "b", None, "c"]})
    found = leave_one_out(Y, V, by="study", data=frame)
    assert list(found["left_out"]) == ["b", "row 2", "row 4", "c"]
    assert list(found["k"]) == [3, 4, 4, 4]


def test_a_row_without_an_id_is_called_by_its_number():
    frame = pd.DataFrame({"row_id": ["x", None, "y", "z", np.nan]})
    assert list(leave_one_out(Y, V, data=frame)["left_out"]) == ["x", "2", "y", "z", "5"]


def test_effects_bring_their_studies():
    effects = effect_sizes(arms(6, mean_treated=[5.0, 7.0, 4.0, 9.0, 3.0, 6.0]))
    by_row, by_study = (leave_one_out(effects, by=by) for by in ("row", "study"))
    assert list(by_row["left_out"]) == list(effects.frame["row_id"].astype(str))
    assert list(by_study["left_out"]) == ["study 0", "study 1", "study 2"]
    rest = pool(effects.y[2:], effects.v[2:])
    assert by_study.loc[0, "estimate"] == pytest.approx(rest.estimate, rel=1e-14)


def test_of_two_rows_the_other_stays():
    found = leave_one_out(Y[:2], V[:2])
    np.testing.assert_array_equal(found["estimate"], Y[1::-1])
    np.testing.assert_allclose(found["se"], np.sqrt(V[1::-1]), rtol=1e-15)
    assert (found["tau2"] == 0).all()
    assert (found["q_p"] == 1).all()
    # A single study is tested on z whatever was asked for.
    assert found["df"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"effects": Y[:1], "v": V[:1]}, "only one row, 1: nothing stays"),
        ({"by": "lab"}, "by = 'lab' is unknown; known: row, study"),
        ({"by": "study"}, "needs a column 'study'"),
        ({"by": "study", "data": pd.DataFrame({"study": ["a"] * 5})}, "only one study, a"),
        ({"method": "XX"}, "method = 'XX' is unknown"),
        ({"ci": "XX"}, "ci = 'XX' is unknown"),
        ({"ci_prob": 95}, "ci_prob = 95"),
        ({"effects": [0.1, 0.2, 0.2, 0.2, 0.2]}, "without row 1: the effects agree exactly"),
    ],
)
def test_leave_one_out_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        leave_one_out(**({"effects": Y, "v": V} | change))


def test_equal_effects_are_left_out_on_z():
    found = leave_one_out([0.3] * 5, V, ci="z")
    np.testing.assert_allclose(found["estimate"], 0.3, rtol=1e-14)
    assert (found["tau2"] == 0).all()


# --- influence ---


def test_influence_is_metafors(univariate):
    for name, data in univariate.items():
        columns, expected = data["columns"], data["influence_REML"]
        found = influence(columns["yi"], columns["vi"])
        for ours, theirs in INFLUENCE.items():
            close(found[ours], expected[theirs], ITERATED, f"{name} {ours}")
        assert list(found.index) == [str(i) for i in range(1, data["k"] + 1)]
        assert (found["note"] == "").all()


def sways(found: pd.DataFrame, expected: dict[str, Any], where: str) -> None:
    for ours, theirs in INFLUENCE.items():
        close(found[ours], expected[theirs], ITERATED, f"{where} {ours}")
    close(found.filter(like="dfbeta["), expected["dfbs"], ITERATED, f"{where} dfbetas")


@pytest.mark.parametrize("name", oracle("deletion", BOOK))
def test_influence_in_our_own_data_is_metafors(name):
    data = oracle("data", BOOK)[name]
    for way, expected in oracle("deletion", BOOK)[name]["influence"].items():
        method, ci = way.split("_")
        found = influence(data["y"], data["v"], method=WAYS[method], ci=ci)
        sways(found, expected, f"{name} {way}")


def test_influence_on_a_regression_is_metafors():
    frame = pd.DataFrame(oracle("data", BOOK)["moderated"])
    both = oracle("deletion", BOOK)["moderated"]["influence_both"]
    for ci, way in (("z", "REML_z"), ("knha", "REML_knha")):
        found = influence(frame["y"], frame["v"], both["formula"], data=frame, ci=ci)
        sways(found, both[way], way)


def test_dfbetas_of_a_mean_are_its_change():
    found = influence(Y, V)
    full = pool(Y, V, ci="z")
    for i in range(5):
        rest = pool(np.delete(Y, i), np.delete(V, i), ci="z")
        spread = np.sqrt(1 / (1 / (V + rest.tau2)).sum())
        change = full.estimate - rest.estimate
        row = found.iloc[i]
        assert row["dfbeta[Intercept]"] == pytest.approx(change / spread, rel=1e-10)
        assert row["cook_d"] == pytest.approx((change / full.se) ** 2, rel=1e-10)
        assert row["cov_ratio"] == pytest.approx((rest.se / full.se) ** 2, rel=1e-10)
        residual = (Y[i] - rest.estimate) / np.sqrt(V[i] + rest.tau2 + rest.se**2)
        assert row["rstudent"] == pytest.approx(residual, rel=1e-10)
        assert (row["tau2_deleted"], row["q_deleted"]) == pytest.approx((rest.tau2, rest.q))


def test_influence_on_a_common_effect_is_that_of_least_squares():
    """With tau2 = 0 and unit weights these are the textbook's (Belsley, Kuh & Welsch 1980)."""
    x = np.array([0.0, 1.0, 2.0, 3.0, 7.0])
    found = influence(Y, np.ones(5), "~ x", data=pd.DataFrame({"x": x}), method="common")
    X = np.column_stack([np.ones(5), x])
    C = np.linalg.inv(X.T @ X)
    hat = np.diag(X @ C @ X.T)
    residual = Y - X @ C @ X.T @ Y
    np.testing.assert_allclose(found["hat"], hat, rtol=1e-12)
    np.testing.assert_allclose(found["rstudent"], residual / np.sqrt(1 - hat), rtol=1e-10)
    shift = (C @ X.T * (residual / (1 - hat))).T
    np.testing.assert_allclose(found["dfbeta[x]"], shift[:, 1] / np.sqrt(C[1, 1]), rtol=1e-10)
    cook = np.einsum("ij,jk,ik->i", shift, X.T @ X, shift)
    np.testing.assert_allclose(found["cook_d"], cook, rtol=1e-10)
    np.testing.assert_allclose(found["dffits"], (X * shift).sum(axis=1) / np.sqrt(hat), rtol=1e-10)
    np.testing.assert_allclose(found["cov_ratio"], 1 / (1 - hat), rtol=1e-10)


def test_knapp_hartung_scales_what_is_deleted():
    found = influence(Y, V, ci="knha")
    plain = influence(Y, V)
    for i in range(5):
        rest = pool(np.delete(Y, i), np.delete(V, i), ci="knha")
        bare = pool(np.delete(Y, i), np.delete(V, i), ci="z")
        factor = rest.se / bare.se
        for name in ("rstudent", "dffits", "dfbeta[Intercept]"):
            ratio = plain[name].iloc[i] / found[name].iloc[i]
            assert ratio == pytest.approx(factor, rel=1e-10)


def test_flags_follow_the_rule():
    y = np.array([0.1, 0.2, 0.15, 0.12, 0.18, 0.16, 4.0])
    found = influence(y, np.full(7, 0.02))
    assert list(found["flag"]) == [False] * 6 + [True]
    rule = (
        (found["dffits"].abs() > 3 * np.sqrt(1 / 6))
        | (chi2.cdf(found["cook_d"], 1) > 0.5)
        | (found["hat"] > 3 / 7)
        | (found["dfbeta[Intercept]"].abs() > 1)
    )
    assert list(found["flag"]) == list(rule)


def test_a_heavy_row_is_flagged_by_its_hat_value():
    y, v = np.array([0.3, 0.31, 0.29, 0.3, 0.32, 0.28]), np.array([1e-4, 1, 1, 1, 1, 1])
    found = influence(y, v)
    assert found["hat"].iloc[0] > 0.99
    assert found["flag"].iloc[0]
    # What the others say of it is still known.
    assert np.isfinite(found["rstudent"]).all()


def test_a_term_that_rests_on_one_row_is_told():
    data = pd.DataFrame({"species": ["rat", "rat", "mouse", "rat", "rat"]})
    found = influence(Y, V, "~ species", data=data)
    alone = found.iloc[2]
    assert alone["note"] == "a term rests on this row alone"
    assert alone["flag"]
    assert np.isnan(alone["cook_d"])
    assert alone["hat"] == pytest.approx(1, rel=1e-12)
    others = found.drop(index="3")
    assert others.drop(columns=["note", "flag"]).notna().all(axis=None)
    assert (others["note"] == "").all()
    assert {"dfbeta[Intercept]", "dfbeta[species[rat]]"} <= set(found)


def test_influence_leaves_out_what_the_regression_does():
    data = pd.DataFrame({"dose": [1.0, np.nan, 2.0, 4.0, 3.0]})
    found = influence(Y, V, "~ dose", data=data)
    assert list(found.index) == ["1", "3", "4", "5"]
    fit = meta_regression(Y, "~ dose", v=V, data=data)
    np.testing.assert_allclose(found["weight"], fit.weights, rtol=1e-12)


def test_influence_of_two_rows():
    found = influence(Y[:2], V[:2])
    z = (Y[0] - Y[1]) / np.sqrt(V[:2].sum())
    np.testing.assert_allclose(found["rstudent"], [z, -z], rtol=1e-12)
    assert (found["q_deleted"] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"effects": Y[:1], "v": V[:1]}, "one row: there is nothing"),
        (
            {
                "effects": Y[:3],
                "v": V[:3],
                "formula": "~ dose",
                "data": pd.DataFrame({"dose": [1.0, 2.0, 4.0]}),
            },
            "3 rows and 2 coefficients: without any one row",
        ),
        ({"method": "XX"}, "method = 'XX' is unknown"),
        ({"effects": [0.1, 0.2, 0.2, 0.2, 0.2], "ci": "knha"}, "without row 1: the effects agree"),
    ],
)
def test_influence_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        influence(**({"effects": Y, "v": V} | change))


# --- accumulation ---


def test_cumulative_is_metafors(univariate):
    for name, data in univariate.items():
        columns, expected = data["columns"], data["cumul_REML"]
        found = cumulative(columns["yi"], columns["vi"], ci="z")
        for ours in ("estimate", "se", "tau2"):
            close(found[ours], expected[ours], ITERATED, f"{name} {ours}")
        assert list(found["k"]) == list(range(1, data["k"] + 1))


@pytest.mark.parametrize("name", oracle("accumulation", BOOK))
def test_cumulative_of_our_own_data_is_metafors(name):
    data = oracle("data", BOOK)[name]
    for way, expected in oracle("accumulation", BOOK)[name].items():
        method, ci = way.split("_")
        walk(cumulative(data["y"], data["v"], method=method, ci=ci), expected, f"{name} {way}")


def test_the_last_row_is_the_pooled_effect():
    found, full = cumulative(Y, V), pool(Y, V)
    last = found.iloc[-1]
    assert (last["estimate"], last["se"], last["p"]) == (full.estimate, full.se, full.p)
    assert (last["i2"], last["q"], last["tau2"]) == (full.i2, full.q, full.tau2)
    assert list(found.columns) == ["added", *COLUMNS]
    assert list(found["added"]) == ["1", "2", "3", "4", "5"]


def test_the_first_row_is_a_single_study():
    first = cumulative(Y, V).iloc[0]
    assert first["ci_high"] == pytest.approx(0.1 + 1.959963984540054 * 0.2, rel=1e-14)
    assert (first["tau2"], first["i2"], first["h2"], first["q_p"]) == (0, 0, 1, 1)
    assert np.isnan(first["df"])
    alone = cumulative([0.4], [0.09])
    assert alone.loc[0, "se"] == pytest.approx(0.3, rel=1e-15)


def test_rows_are_sorted_by_a_column_or_values_and_ties_keep_their_order():
    year = [2003, 2001, 2003, 1999, 2001]
    by_values = cumulative(Y, V, order=year)
    by_column = cumulative(Y, V, order="year", data=pd.DataFrame({"year": year}))
    pd.testing.assert_frame_equal(by_values, by_column)
    assert list(by_values["added"]) == ["4", "2", "5", "1", "3"]
    assert list(by_values["order"]) == sorted(year)
    three = pool(Y[[3, 1, 4]], V[[3, 1, 4]])
    assert by_values.loc[2, "estimate"] == three.estimate


def test_rows_are_sorted_by_text_too():
    found = cumulative(Y, V, order=["b", "a", "c", "e", "d"])
    assert list(found["added"]) == ["2", "1", "3", "5", "4"]


@pytest.mark.parametrize("named", [False, True])
def test_rows_are_sorted_as_categories_are_ordered(named):
    sizes = pd.Categorical(
        ["large", "small", "middle", "small", "large"], ["small", "middle", "large"], ordered=True
    )
    given = {"order": "size", "data": pd.DataFrame({"size": sizes})} if named else {"order": sizes}
    found = cumulative(Y, V, **given)
    assert list(found["added"]) == ["2", "4", "3", "1", "5"]
    assert list(found["order"]) == ["small", "small", "middle", "large", "large"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": ["a", 1, 2, 3, 4]}, "order mixes values that have no order among them"),
        ({"order": np.ones((5, 2))}, "one value for each row"),
        ({"order": "year"}, "order: no column 'year'"),
        ({"order": [1, 2, 3]}, "order has 3 values and y 5 rows"),
        ({"effects": [0.2, 0.2, 0.2, 0.1, 0.3]}, "up to row 2: the effects agree exactly"),
        ({"method": "XX"}, "method = 'XX' is unknown"),
        ({"v": None}, "y needs its sampling variances"),
    ],
)
def test_cumulative_refuses(change, message):
    with pytest.raises(SpecError, match=message):
        cumulative(**({"effects": Y, "v": V} | change))


def test_every_row_without_a_place_is_named():
    with pytest.raises(DataError, match=r"row 2: order is missing.*\nrow 4: order is missing"):
        cumulative(Y, V, order=[1, np.nan, 2, None, 3])


@pytest.mark.parametrize("verb", [leave_one_out, influence, cumulative])
def test_bad_rows_are_refused(verb):
    with pytest.raises(DataError, match=r"row 2: v = 0.*\nrow 3: y = nan"):
        verb([0.1, 0.2, np.nan], [0.1, 0.0, 0.1])
