import json
import tomllib

import numpy as np
import pandas as pd
import pytest
from helpers import ARMS, arms, oracle

from bayesma.catalogue import load_dataset, root
from bayesma.effects import effect_sizes, hedges_correction, hedges_g, split_members
from bayesma.errors import SpecError, TableError
from bayesma.readers import read_table

# Relative error allowed against metafor: both sides take log gamma of up to 950, whose rounding
# (1e-16 x 5600) goes into J.
METAFOR = 1e-12


def test_hedges_g_and_its_variance_are_metafors():
    section = oracle("escalc_smd")
    g, v = hedges_g(*(section[name] for name in ARMS))
    # The oracle carries 15 digits; an effect of exactly 0 is 0.
    np.testing.assert_allclose(g, section["y"], rtol=METAFOR, atol=0)
    np.testing.assert_allclose(v, section["v"], rtol=METAFOR, atol=0)


def test_the_oracle_reaches_the_corners():
    section = oracle("escalc_smd")
    n = np.array([section["n_treated"], section["n_control"]])
    assert n.min() == 2
    assert n.sum(axis=0).min() == 4
    assert min(section["y"]) < -20
    assert max(section["y"]) > 20
    assert len(section["y"]) >= 60


@pytest.mark.parametrize("name", ["normand1999", "curtis1998", "furukawa2003"])
def test_hedges_g_on_published_data(shared, name):
    path = shared / "reference" / "metafor.json"
    section = json.loads(path.read_text(encoding="utf-8"))["escalc"][name]
    columns = [section["input"][key] for key in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")]
    g, v = hedges_g(*columns)
    expected = section["out"]["SMD_LS_correct"]
    np.testing.assert_allclose(g, expected["yi"], rtol=METAFOR, atol=0)
    np.testing.assert_allclose(v, expected["vi"], rtol=METAFOR, atol=0)


def test_the_correction_in_closed_form():
    # J(2) = 1 / sqrt(pi), J(4) = sqrt(2 pi) / pi, from Gamma(1/2) = sqrt(pi).
    closed = [1 / np.sqrt(np.pi), np.sqrt(2 / np.pi)]
    # A few roundings of log gamma near 0.
    np.testing.assert_allclose(hedges_correction([2, 4]), closed, rtol=1e-14)


def test_the_correction_approaches_its_approximation():
    df = np.array([50.0, 500.0])
    # 1 - 3 / (4 m - 1) is off by O(m^-2): 1/m^2 bounds it with room.
    assert (np.abs(hedges_correction(df) - (1 - 3 / (4 * df - 1))) < 1 / df**2).all()


def test_arms_become_effects_and_the_table_is_kept():
    table = read_table(arms(drug=["a", "b", "c"]))
    effects = effect_sizes(table)
    g, v = hedges_g(*(table.frame[name] for name in ARMS))
    assert effects.y.tolist() == g.tolist()
    assert effects.v.tolist() == v.tolist()
    assert effects.frame["drug"].tolist() == ["a", "b", "c"]
    assert "y" not in table.frame
    assert (effects.measure, effects.variance, len(effects)) == ("SMD", "LS", 3)
    assert effects.V is None
    assert effects.members is None
    assert effects.notes == ()
    assert repr(effects) == "<Effects SMD: 3 effects, 2 studies>"


def test_a_frame_is_checked_first_and_may_be_mapped():
    frame = arms().rename(columns={"n_treated": "N"})
    assert len(effect_sizes(frame, columns={"n_treated": "N"})) == 3
    with pytest.raises(TableError, match=r"row 2, column 'sd_control': '0\.0' is too small"):
        effect_sizes(arms(sd_control=[1.0, 1.0, 0.0]))


def test_direction_flips_and_says_so():
    plain = effect_sizes(arms())
    flipped = effect_sizes(arms(direction=[1, -1, None]))
    np.testing.assert_array_equal(flipped.y, plain.y * [1, -1, 1])
    np.testing.assert_array_equal(flipped.v, plain.v)
    assert flipped.notes == (
        "effects with their sign flipped (direction -1): 1 of 3",
        "effects without a direction, read as 1: 1 of 3",
    )


def test_rows_that_bring_y_keep_it_with_v_then_se_then_the_interval():
    frame = pd.DataFrame(
        {
            "study": list("abcde"),
            "y": [1.0, 1.0, 1.0, 1.0, -1.0],
            "v": [0.5, 0.5, None, None, 0.5],
            "se": [9.0, None, 0.2, None, None],
            "ci_low": [0.0, None, 0.0, 0.0, None],
            "ci_high": [2.0, None, 2.0, 2.0, None],
            "direction": [1, 1, 1, 1, -1],
        }
    )
    effects = effect_sizes(frame)
    assert effects.y.tolist() == [1, 1, 1, 1, -1]
    # 1.959963984540054 is the 97.5% quantile of the normal; one rounding each.
    expected = [0.5, 0.5, 0.04, (1 / 1.959963984540054) ** 2, 0.5]
    np.testing.assert_allclose(effects.v, expected, rtol=1e-15)


def test_rows_of_arms_and_rows_of_y_may_stand_together():
    frame = arms(y=[None, 0.25, None], se=[None, 0.5, None], direction=[-1, -1, -1])
    effects = effect_sizes(frame)
    plain = effect_sizes(arms())
    assert effects.y.tolist() == [-plain.y[0], 0.25, -plain.y[2]]
    assert effects.v.tolist() == [plain.v[0], 0.25, plain.v[2]]


def test_a_table_of_covariates_is_no_table_of_effects():
    table = load_dataset("ketamine_human")
    with pytest.raises(TableError, match="column 'mean_treated': is missing"):
        effect_sizes(table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "XMD"}, r"no effect measure 'XMD'; did you mean 'MD'\? known: SMD, SMDH, MD,"),
        ({"variance": "XX"}, "effect measure SMD has no variance 'XX'; known: LS, LS2, UB, AV"),
        ({"measure": "SMDH", "variance": "UB"}, "SMDH has no variance 'UB'; known: LS, LS2, LS3"),
        ({"rho": 0.5}, "no column 'experiment' to correlate within"),
        ({"rho": 0.5, "within": "studyy"}, r"no column 'studyy' .* did you mean 'study'\?"),
        ({"rho": 1.0, "within": "study"}, r"rho = 1.0: a sampling correlation lies in \[0, 1\)"),
        ({"rho": -0.1, "within": "study"}, r"rho = -0.1: a sampling correlation"),
        ({"members": arms()}, "members= is given, but no row names any"),
    ],
)
def test_unknown_choices_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        effect_sizes(arms(), **options)


# -- correlation ---------------------------------------------------------------------------


def test_effects_correlate_within_their_cluster():
    effects = effect_sizes(arms(4), rho=0.5, within="study")
    expected = np.diag(effects.v)
    for i, j in ((0, 1), (2, 3)):
        expected[i, j] = expected[j, i] = 0.5 * np.sqrt(effects.v[i] * effects.v[j])
    # One square root of a product against a product of square roots.
    np.testing.assert_allclose(effects.V, expected, rtol=1e-15)
    assert effects.notes == (
        "effects that correlate (rho = 0.5) with others of their study: 4 of 4, in 2 clusters",
    )


def test_experiments_are_named_within_their_study():
    effects = effect_sizes(arms(4, experiment=["1", "2", "1", "1"]), rho=0.5)
    labels = effects.covariance.labels().tolist()
    assert labels[2] == labels[3] >= 0
    assert labels[:2] == [-1, -1]


def test_a_row_without_an_experiment_stands_alone():
    # Its row number, 1, is also the name of an experiment.
    effects = effect_sizes(arms(4, study=["a"] * 4, experiment=["1", None, "1", None]), rho=0.5)
    labels = effects.covariance.labels().tolist()
    assert labels[0] == labels[2] >= 0
    assert labels[1] == labels[3] == -1


def test_a_numeric_cluster_column_with_gaps():
    effects = effect_sizes(arms(4, cohort=[1, None, 1, 2]), rho=0.5, within="cohort")
    assert (effects.covariance.labels() >= 0).sum() == 0  # rows 0 and 2: other studies
    effects = effect_sizes(
        arms(4, study=["a"] * 4, cohort=[1, None, 1, 2]), rho=0.5, within="cohort"
    )
    assert effects.covariance.labels().tolist() == [0, -1, 0, -1]


# -- published pooled results --------------------------------------------------------------


@pytest.fixture(scope="module")
def pooled():
    """The printed pooled results of van Velzen 2021 with their comparisons."""
    return effect_sizes(
        load_dataset("van_velzen_2021", "pooled"), members=load_dataset("van_velzen_2021")
    )


def test_a_standard_error_is_rebuilt_where_the_printed_interval_is_finer(pooled):
    se = pd.Series(np.sqrt(pooled.v), index=pooled.frame["row_id"])
    # Printed 0.3 with 1.1 to 2.1: 0.3 +- 0.05 against 0.255 +- 0.026. A few roundings.
    assert se["MA1"] == pytest.approx((2.1 - 1.1) / (2 * 1.959963984540054), rel=1e-14)
    assert se["MA3"] == pytest.approx((6.5 - 3.6) / (2 * 1.959963984540054), rel=1e-14)


def test_a_standard_error_printed_finer_than_its_interval_is_kept(pooled):
    se = pd.Series(np.sqrt(pooled.v), index=pooled.frame["row_id"])
    assert se["MA2_without_fang"] == pytest.approx(0.201, rel=1e-14)  # a square and its root
    assert se["MA2_72h_without_fang"] == pytest.approx(0.28, rel=1e-14)


def test_the_note_names_what_was_rebuilt(pooled):
    note, *rest = pooled.notes
    assert all(line.startswith("van_velzen_2021/comparisons: ") for line in rest)
    assert note.startswith("standard errors rebuilt from the finer printed interval: MA1, MA1_rat,")
    assert "MA2_without_fang" not in note
    assert "MA2_72h_without_fang" not in note


def test_a_plain_row_keeps_its_standard_error_whatever_its_interval():
    frame = pd.DataFrame(
        {"study": ["a"], "y": [1.6], "se": [0.3], "ci_low": [1.1], "ci_high": [2.1]}
    )
    assert effect_sizes(frame).v[0] == pytest.approx(0.09, rel=1e-15)  # one rounding


def test_members_carry_the_covariates_of_the_comparisons(pooled):
    ids = split_members(pooled.frame.loc[pooled.frame["row_id"] == "MA2", "members"].iloc[0])
    assert len(ids) == 7
    assert pooled.members is not None
    assert pooled.members.index.is_unique
    assert len(pooled.members) == 41
    assert set(pooled.members.loc[ids, "analysis"]) == {"MA2"}


def comparisons():
    return pd.DataFrame({"row_id": ["c1", "c2", "c3"], "study": list("xyz"), "delay": [1, 2, 3]})


def pooled_row(members):
    return pd.DataFrame({"study": ["P"], "y": [1.0], "se": [0.3], "members": [members]})


def test_members_may_be_a_frame_and_only_named_ones_are_kept():
    effects = effect_sizes(pooled_row(" c3 ; c1;"), members=comparisons())
    assert effects.members is not None
    assert effects.members.index.tolist() == ["c3", "c1"]


def test_what_the_comparisons_tell_is_told():
    frame = comparisons().assign(route=["NR", "i.p.", "i.p."])
    told = "DataFrame: route: 1 of 3 cells missing, 1 of them 'NR'"
    days = "DataFrame: delay: bare numbers read as days: 3 of 3 rows"
    assert effect_sizes(pooled_row("c1"), members=frame).notes[-2:] == (told, days)
    read = read_table(frame, units={"delay": "d"}, outcomes=False)
    assert effect_sizes(pooled_row("c1"), members=read).notes[-1:] == (told,)


def test_frames_are_read_with_units_and_ranges():
    frame = arms(delay=[24, "24 h", "12-36 h"])
    effects = effect_sizes(frame, units={"delay": "h"}, ranges="midpoint")
    assert effects.frame["delay"].tolist() == [1, 1, 1]
    effects = effect_sizes(pooled_row("c1;c2"), members=comparisons(), units={"delay": "wk"})
    assert effects.members is not None
    assert effects.members["delay"].tolist() == [7, 14]


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"columns": {"n_treated": "N"}}, "columns="),
        ({"units": {"delay": "h"}, "ranges": "midpoint"}, "units= and ranges="),
    ],
)
def test_how_to_read_a_table_that_is_read_is_refused(options, given):
    with pytest.raises(SpecError, match=f"^{given} is for a DataFrame; give it to read_table"):
        effect_sizes(read_table(arms()), **options)


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        (
            "c1;C2",
            "row 0, column 'members': 'C2' is not the row_id of a comparison; did you mean 'c2'",
        ),
        ("c1;zzz", "'zzz' is not the row_id of a comparison; correct it"),
        ("c1;c2;c1", "'c1' is named more than once; name it once"),
        (";", "names no comparison; name some, or leave the cell empty"),
    ],
)
def test_wrong_members_are_refused(cell, line):
    with pytest.raises(TableError, match=line.replace("(", r"\(")) as caught:
        effect_sizes(pooled_row(cell), members=comparisons())
    assert len(caught.value.faults) == 1


def test_pooled_rows_need_their_comparisons():
    with pytest.raises(SpecError, match="pooled rows need members=: the table of comparisons"):
        effect_sizes(pooled_row("c1;c2"))


# -- every data set ------------------------------------------------------------------------

OUTCOMES = [
    (path.parent.name, table, card["bundled"])
    for path in sorted(root("data").glob("*/dataset.toml"))
    for card in [tomllib.loads(path.read_text(encoding="utf-8"))]
    for table, entry in card["tables"].items()
    if entry["outcomes"]
]


def ready_to_pool(table):
    """Return the effects of a table, checked for what pooling needs."""
    members = load_dataset("van_velzen_2021") if "members" in table.frame else None
    effects = effect_sizes(table, members=members)
    frame = effects.frame[["row_id", "study", "y", "v"]]
    assert len(frame) == len(table)
    assert frame["row_id"].is_unique
    assert frame.notna().all(axis=None)
    assert np.isfinite(frame[["y", "v"]]).all(axis=None)
    assert (frame["v"] > 0).all()
    return effects


@pytest.mark.parametrize(("name", "table"), [(n, t) for n, t, bundled in OUTCOMES if bundled])
def test_every_bundled_table_is_ready_to_pool(name, table):
    ready_to_pool(load_dataset(name, table))


@pytest.mark.parametrize(("name", "table"), [(n, t) for n, t, bundled in OUTCOMES if not bundled])
def test_every_table_of_your_own_is_ready_to_pool(name, table, prepared):
    ready_to_pool(load_dataset(name, table, folder=prepared))
