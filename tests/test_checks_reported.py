import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesma as bm
from bayesma.catalogue import root
from bayesma.errors import DataError, SpecError

PRINTED = root("data") / "van_velzen_2021" / "pooled.csv"


@pytest.fixture(scope="module")
def printed():
    return pd.read_csv(PRINTED, dtype=str).set_index("row_id", drop=False)


def one(**cells):
    return bm.recompute_results(pd.DataFrame([cells])).iloc[0]


def test_z_p_and_interval_by_hand():
    row = one(y="1.00", se="0.50", ci_low="0.02", ci_high="1.98", p_as_printed="0.046")
    # 1.00 / 0.50 = 2; 2 Phi(-2) = 0.0455003; 1 -+ 0.98.
    assert row["z"] == 2
    assert row["p"] == pytest.approx(0.0455002638963584, rel=1e-12)
    assert [row["ci_low_again"], row["ci_high_again"]] == pytest.approx(
        [0.020018, 1.979982], abs=1e-6
    )
    assert row["se_from_ci"] == pytest.approx(1.96 / 2 / stats.norm.ppf(0.975), rel=1e-12)
    assert (row["ci_verdict"], row["p_verdict"]) == ("holds", "holds")


def test_what_rounding_leaves_possible_is_what_a_fine_grid_finds():
    """Every (g, s) of a fine grid that rounds to what is printed, against the polygon's corners."""
    cells = {"y": "1.1", "se": "0.4", "ci_low": "0.3", "ci_high": "2.0"}
    g, s = np.meshgrid(np.linspace(1.05, 1.15, 801), np.linspace(0.35, 0.45, 801))
    z = stats.norm.ppf(0.975)
    fits = (np.abs(g - z * s - 0.3) <= 0.05) & (np.abs(g + z * s - 2.0) <= 0.05)
    p = 2 * stats.norm.sf((g / s)[fits])
    row = one(**cells)
    # A step of the grid is 1e-4 of g and s: 0.3% of P here.
    assert row["p_least"] == pytest.approx(p.min(), rel=5e-3)
    assert row["p_most"] == pytest.approx(p.max(), rel=5e-3)
    assert row["p_least"] <= p.min()
    assert row["p_most"] >= p.max()


@pytest.mark.parametrize(
    ("cells", "ci", "p"),
    [
        # An interval that is not around its estimate.
        ({"y": "1.6", "se": "0.3", "ci_low": "0.2", "ci_high": "2.1"}, "impossible", ""),
        # Half as wide as the SE makes it.
        ({"y": "1.6", "se": "0.3", "ci_low": "1.3", "ci_high": "1.9"}, "impossible", ""),
        ({"y": "2.0", "se": "0.5", "p_as_printed": "0.5"}, "", "impossible"),
        # 2.0 / 0.5 may be 1.95 / 0.55: P up to 0.0004, printed 0.00.
        ({"y": "2.0", "se": "0.5", "p_as_printed": "0.00"}, "", "holds"),
        ({"y": "2.0", "se": "0.5", "p_as_printed": "<0.001"}, "", "holds"),
        ({"y": "2.0", "se": "0.5", "p_as_printed": ">0.05"}, "", "impossible"),
        ({"y": "2.0", "se": "0.5", "p_as_printed": "n.s."}, "", ""),
        # With the sign in doubt, P reaches 1.
        ({"y": "0.0", "se": "0.5", "p_as_printed": "1.00"}, "", "holds"),
        # Without an SE the interval gives it: (2 - 1) / 3.92 = 0.255.
        ({"y": "1.5", "ci_low": "1.0", "ci_high": "2.0", "p_as_printed": "0.00"}, "", "holds"),
    ],
)
def test_verdicts(cells, ci, p):
    row = one(**cells)
    assert (row["ci_verdict"], row["p_verdict"]) == (ci, p)


def test_two_groups_are_a_z_test():
    groups = pd.DataFrame({"y": ["1.6", "1.5"], "se": ["0.4", "0.4"]})
    found = bm.recompute_contrast(groups, "0.26")
    z = 0.1 / np.sqrt(0.32)
    assert found["p"] == pytest.approx(2 * stats.norm.sf(z), rel=1e-10)  # one subtraction
    # At most 0.2 apart, with SEs of at least 0.35; possibly the same.
    assert found["p_least"] == pytest.approx(2 * stats.norm.sf(0.2 / np.sqrt(2) / 0.35), rel=1e-9)
    assert found["p_most"] == 1
    assert (found["df"], found["p_verdict"]) == (1, "impossible")


def test_three_groups_by_a_search_over_what_is_possible():
    groups = pd.DataFrame({"y": ["1.5", "2.4", "0.9"], "se": ["0.5", "0.5", "0.4"]})
    found = bm.recompute_contrast(groups)
    rng = np.random.default_rng(1)
    half = rng.choice([-0.05, 0.05, 0.0], (20_000, 2, 3))
    g, s = np.array([1.5, 2.4, 0.9]) + half[:, 0], np.array([0.5, 0.5, 0.4]) + half[:, 1]
    w = 1 / s**2
    centre = (w * g).sum(1) / w.sum(1)
    q = (w * (g - centre[:, None]) ** 2).sum(1)
    # All corners are among 20,000 draws of 729 points, but the best may lie between them.
    assert found["p_least"] == pytest.approx(stats.chi2.sf(q.max(), 2), rel=1e-9)
    assert stats.chi2.sf(q.min(), 2) <= found["p_most"] <= stats.chi2.sf(q.min(), 2) * 1.05


def test_the_review_prints_one_impossible_p(printed):
    """Route in MA1: 1.6 (0.4) against 1.5 (0.4) is printed with P = 0.26."""
    results = bm.recompute_results(printed)
    assert (results["ci_verdict"] == "holds").all()
    assert (results["p_verdict"] == "holds").all()
    route = bm.recompute_contrast(printed.loc[["MA1_ip", "MA1_it"]], "0.26")
    assert route["p"] == pytest.approx(0.86, abs=0.005)  # the data's note, two digits
    assert route["p_verdict"] == "impossible"
    for rows, text in (
        (["MA1_rat", "MA1_mouse"], "0.3"),
        (["MA1_systemic_5_25", "MA1_systemic_50", "MA1_it_100_200"], "0.55"),
        (["MA3", "MA4"], "0.00"),
    ):
        assert bm.recompute_contrast(printed.loc[rows], text)["p_verdict"] == "holds"


def test_faults_are_told_all_at_once():
    frame = pd.DataFrame({"row_id": ["a", "b"], "y": ["x", "1"], "se": ["0.1", ""]})
    with pytest.raises(DataError, match=r"row a: y = 'x' is not a number\n(.|\n)*row b: needs y"):
        bm.recompute_results(frame)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"se": ["1"]}, "printed results need the column y, and se or ci_low and ci_high"),
        ({"y": ["1"], "ci_low": ["1"]}, "printed results need the column y"),
    ],
)
def test_columns_that_are_missing(frame, message):
    with pytest.raises(SpecError, match=message):
        bm.recompute_results(pd.DataFrame(frame))


def test_one_group_is_no_contrast():
    with pytest.raises(SpecError, match="1 group: a test between groups needs two"):
        bm.recompute_contrast(pd.DataFrame({"y": ["1"], "se": ["1"]}))


def test_claims_of_the_review_are_counted_as_the_list_of_inconsistencies_has_them(monkeypatch):
    """INCONSISTENCIES.md was written by hand, from the paper; the script counts Table 1."""
    folder = Path(__file__).resolve().parents[1] / "evidence"
    monkeypatch.syspath_prepend(str(folder))
    # Its neighbours are imported too; nothing of them may stay behind.
    before = set(sys.modules)
    import van_velzen_2021 as script

    table = script.claim_table(script.comparisons()).set_index("claim")
    for name in set(sys.modules) - before:
        if name in {"van_velzen_2021", "ketamine_pain", "tables"}:
            del sys.modules[name]
    wrong = table[table["verdict"] != "holds"]
    assert wrong["by Table 1"].to_dict() == {
        "comparisons in all": "36",
        "studies of chronic treatment": "11",
        "continuous infusions": "3",
        "MA1: i.p.": "11",
        "MA1: CCI": "10",
        "MA1: SNL": "2",
        "MA1: mechanical": "16",
        "MA1: systemic 5 to 25 mg/kg": "6",
        "MA4: median delay, d": "14.5",
        "median duration of chronic treatment, d": "7",
        "MA4: delays, d": "1 to 34",
        "MA1: mean delay, h": "0.84 +- 0.46",
        "half-life of relief in people, h": "3.9",
        "loss from MA3 to MA4, 1 - 1.3 / 5.1": "73% to 76%, as rounded",
        "S-ketamine, of papers": "16%",
        "S-ketamine, of comparisons": "22%",
        "male rats, of papers": "74%",
        "331 ketamine animals over comparisons, against the median group": "9.2",
        "331 ketamine animals over effects, against the median group": "8.1",
    }
