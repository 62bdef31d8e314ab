import numpy as np
import pandas as pd
import pytest
from helpers import arms
from scipy.stats import norm

import bayesma as bm
from bayesma.effects import hedges_correction, hedges_g
from bayesma.errorbars import alarms, suspect_sem, suspicion

SDS = {"a": 2.0, "b": 3.0, "c": 2.5, "d": 2.0, "e": 3.5, "f": 2.6}


def table(n=9, **sds):
    """Return one comparison per study: means 10 and 9, both SDs as given."""
    sds = SDS | sds
    size = len(sds)
    return bm.read_table(
        pd.DataFrame(
            {
                "study": list(sds),
                "mean_treated": [10.0] * size,
                "sd_treated": list(sds.values()),
                "n_treated": [n] * size,
                "mean_control": [9.0] * size,
                "sd_control": list(sds.values()),
                "n_control": [n] * size,
            }
        )
    )


def test_the_effect_is_hedges_g_without_its_correction():
    frame = arms(4, mean_treated=[9.0, 1.0, 4.0, 30.0], n_treated=[5, 9, 30, 4])
    found = suspect_sem(bm.read_table(frame))
    values = [frame[name].to_numpy() for name in frame if name != "study"]
    order = ("mean_treated", "sd_treated", "n_treated", "mean_control", "sd_control", "n_control")
    assert [name for name in frame if name != "study"] == list(order)
    g, _ = hedges_g(*values)
    correction = hedges_correction(frame["n_treated"] + frame["n_control"] - 2)
    np.testing.assert_allclose(found["d"], np.abs(g) / correction, rtol=1e-12)  # same algebra
    values[1], values[4] = values[1] * np.sqrt(values[2]), values[4] * np.sqrt(values[5])
    g, _ = hedges_g(*values)
    np.testing.assert_allclose(found["d_if_sem"], np.abs(g) / correction, rtol=1e-12)


def test_the_log_odds_are_those_of_two_normals():
    found = suspect_sem(table(g=0.8)).iloc[-1]
    r = np.log(np.array([*SDS.values(), 0.8]) / 10)
    middle = np.median(r[:-1])
    width = 1.4826 * np.median(np.abs(r[:-1] - middle))
    assert width > 0.3  # the floor, below which it would not be taken
    as_sem = norm.logpdf(r[-1] + np.log(3), middle, width)  # sqrt(n) = 3
    as_sd = norm.logpdf(r[-1], middle, width)
    assert found["beside_others"] == pytest.approx(as_sem - as_sd, rel=1e-12)  # same algebra
    assert found["cv"] == pytest.approx(0.08)
    assert np.isnan(found["beside_own"])


def test_a_planted_sem_is_found_and_the_others_are_not():
    found = suspect_sem(table(g=2.4 / 3))  # an SD of 2.4 as the SEM of 9 animals
    assert found["verdict"].tolist() == [""] * 6 + ["possible"]
    assert "SEMs of other studies" in found["signals"].iloc[-1]


def test_two_signals_make_it_likely():
    found = suspect_sem(table(g=0.3, n=25))  # d = 1 / 0.3 = 3.3
    assert found["verdict"].iloc[-1] == "likely"
    assert found["signals"].iloc[-1].startswith("|d| = 3.3 is large; ")


def test_one_comparison_of_a_study_may_differ_from_its_others():
    frame = arms(3, study="one", mean_treated=5.0, sd_treated=[2.0, 2.2, 0.7])
    frame["sd_control"] = [2.0, 2.2, 0.7]
    found = suspect_sem(bm.read_table(frame.assign(n_treated=9, n_control=9)))
    assert found["beside_others"].isna().all()
    assert found["beside_own"].gt(1).tolist() == [False, False, True]


def test_only_the_same_outcome_is_compared():
    frame = table(g=0.8).frame
    alone = bm.read_table(frame.assign(outcome=["x"] * 6 + ["y"]))
    assert suspect_sem(alone)["beside_others"].isna().tolist() == [False] * 6 + [True]


def test_few_studies_say_nothing_of_each_other():
    frame = table().frame.iloc[:5]
    assert suspect_sem(bm.read_table(frame))["beside_others"].isna().all()


def test_tables_without_arms_or_means_are_not_judged():
    effects = pd.DataFrame({"study": ["a", "b"], "y": [1.0, 2], "v": [0.1, 0.1]})
    assert suspect_sem(bm.read_table(effects)).empty
    assert suspicion(bm.read_table(effects)) == []
    zero = arms(2, mean_treated=[0.0, 1.0], mean_control=[0.0, 1.0])
    assert suspect_sem(bm.read_table(zero))["row_id"].tolist() == ["1"]


def test_sentences_name_the_rows_and_what_they_would_be():
    [sentence] = suspicion(table(g=0.8))
    assert sentence == (
        "SDs that may be SEMs: 1 of 7 comparisons (one signal each, as one in five true SDs has): "
        "g: 6 (d 1.2, 0.4 if SEM)"
    )
    assert suspicion(table()) == []


def test_a_sentence_names_a_dozen_at_most():
    many = {f"s{i}": 0.3 for i in range(20)}
    *_, sentence = suspicion(table(n=4, **many))
    assert "20 of 26 comparisons" in sentence
    assert sentence.endswith("s11: 17 (d 3.3, 1.7 if SEM); and 8 more, which suspect_sem lists")


def test_confirmed_studies_are_not_named():
    assert suspicion(table(g=0.8), confirmed={"g"}) == []


def test_a_table_of_sems_is_told_as_a_whole():
    sems = {name: sd / 10 for name, sd in SDS.items()}
    sentences = suspicion(table(**sems))
    assert sentences[0].startswith("the median study has |d| = 3.9, where two real tables of SDs")


def test_a_thousand_comparisons_are_judged_quickly():
    rng = np.random.default_rng(1)
    n = 1000
    frame = arms(n, sd_treated=rng.uniform(1, 3, n), sd_control=rng.uniform(1, 3, n))
    frame["study"] = [f"study {i // 4}" for i in range(n)]
    assert len(suspect_sem(bm.read_table(frame))) == n


def test_false_alarms_on_real_sds_stay_what_the_evidence_says(shared):
    raw = pd.read_csv(shared / "data" / "fst_martins2025.csv")
    names = ("mean", "sd", "n_round")
    frame = pd.DataFrame(
        {
            f"{name.removesuffix('_round')}_{arm}": raw[f"{source}_{name}"]
            for arm, source in (("treated", "atd"), ("control", "ctr"))
            for name in names
        }
    ).assign(study=raw["first_author"] + raw["year"] + raw["id"].astype(str))
    found = suspect_sem(bm.read_table(frame.assign(outcome=raw["measure_unit"])))
    flagged = found["verdict"].value_counts(normalize=True)
    # evidence/error_bars.md, rows "0%": 9% of this table's comparisons carry two signals and
    # 28% any. Changed thresholds must change that page too, so within its rounding.
    assert flagged["likely"] == pytest.approx(0.09, abs=0.005)
    assert flagged["likely"] + flagged["possible"] == pytest.approx(0.28, abs=0.005)
    # The sentence on two signals says "one in twelve", 8%, of this table and of the other's 7%;
    # the sentence on one signal says "one in five"; between 15% and 25% that is right.
    assert flagged["possible"] == pytest.approx(0.2, abs=0.05)


def test_only_sds_given_as_sds_are_judged_and_all_are_peers():
    frame = table(g=0.8).frame
    known = frame["study"].isin(["a", "b"])
    for side in ("treated", "control"):
        frame[f"sem_{side}"] = (frame[f"sd_{side}"] / 3).where(known)
        frame[f"sd_{side}"] = frame[f"sd_{side}"].where(~known)
    found = suspect_sem(bm.read_table(frame))
    assert found["study"].tolist() == ["c", "d", "e", "f", "g"]
    # sqrt(9) SEM is the SD again, so that the peers are the same: to the last digits.
    everything = suspect_sem(table(g=0.8))
    np.testing.assert_allclose(
        found["beside_others"], everything["beside_others"].iloc[2:], rtol=1e-9
    )


@pytest.mark.parametrize("other", ["ci", "median"])
def test_sds_computed_from_other_summaries_are_not_judged(other):
    frame = arms(4).drop(columns=["sd_treated", "sd_control"])
    for side in ("treated", "control"):
        middle = frame[f"mean_{side}"]
        ends = ("ci_low", "ci_high") if other == "ci" else ("q1", "q3")
        frame[f"{ends[0]}_{side}"], frame[f"{ends[1]}_{side}"] = middle - 0.1, middle + 0.1
        if other == "median":
            frame[f"median_{side}"] = middle
    assert suspect_sem(bm.read_table(frame)).empty


def test_an_sem_that_contradicts_its_sd_proves_nothing():
    frame = arms(4, sem_treated=2.0, sem_control=2.5)  # the SDs once more
    assert len(suspect_sem(bm.read_table(frame))) == 4


def test_one_signal_is_no_alarm():
    assert alarms(table(g=0.8)) == []  # possible
    [likely] = alarms(table(g=0.3, n=25))
    assert likely.startswith(
        "SDs that are likely SEMs: 1 of 7 comparisons (two signals each, as one in "
    )
    sems = table(**{name: sd / 10 for name, sd in SDS.items()})
    assert alarms(sems)[0].startswith("the median study has |d| = 3.9")


def test_studies_looked_up_say_nothing_of_the_table_as_a_whole():
    sems = table(**{name: sd / 10 for name, sd in SDS.items()})
    assert suspicion(sems, confirmed=set(SDS)) == []


def test_a_blank_unit_of_an_outcome_is_a_unit_like_others():
    units = ["s", None, "s"]
    table = bm.read_table(arms(outcome=["a", "a", None], outcome_unit=units))
    assert len(suspect_sem(table)) == 3
