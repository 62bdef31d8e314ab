"""Effects that share animals: covariances against formulas in print and simulated animals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers import arms

from bayesma.effects import effect_sizes, with_rho
from bayesma.errors import SpecError
from bayesma.measures import MEASURES, arms_of
from bayesma.sharing import Links, shared_blocks


def two_rows(seed=0):
    """Arm summaries of two rows, unlike each other in everything."""
    rng = np.random.default_rng(seed)
    return arms_of(
        mean_treated=rng.uniform(4, 9, 2),
        sd_treated=rng.uniform(1, 3, 2),
        n_treated=[8, 11],
        mean_control=rng.uniform(4, 9, 2),
        sd_control=rng.uniform(1, 3, 2),
        n_control=[10, 7],
        mean_sham=1.0,
    )


def covariance(measure, summaries, treated=0.0, control=0.0, signs=(1.0, 1.0)):
    y, v = MEASURES[measure](summaries)
    links = Links(np.array([0]), np.array([1]), np.array([treated]), np.array([control]))
    return shared_blocks(measure, summaries, y, v, np.array(signs), links).dense()[0, 1], y, v


def repeat(summaries, row=0):
    """The same row twice."""
    fields = ("mean_treated", "sd_treated", "n_treated", "mean_control", "sd_control", "n_control")
    chosen = {name: np.repeat(getattr(summaries, name)[row], 2) for name in fields}
    return arms_of(**chosen, mean_sham=1.0)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_row_with_itself_has_its_variance(measure):
    for seed in range(5):
        found, _, v = covariance(measure, repeat(two_rows(seed)), treated=1.0, control=1.0)
        # The same closed form, its terms in another order.
        assert found == pytest.approx(v[0], rel=1e-13)


def test_a_shared_control_by_the_formulas():
    summaries = two_rows()
    n = summaries.n_control.max()
    found, _, _ = covariance("MD", summaries, control=1.0)
    # s_c^2 / n_c, with the smaller of two control groups a part of the larger.
    assert found == pytest.approx(np.prod(summaries.sd_control) / n, rel=1e-13)
    found, _, _ = covariance("ROM", summaries, control=1.0)
    ratio = summaries.sd_control / summaries.mean_control
    assert found == pytest.approx(np.prod(ratio) / n, rel=1e-13)
    found, y, _ = covariance("SMD", summaries, control=1.0)
    total = np.prod(summaries.n_treated + summaries.n_control)
    least = summaries.n_control.min()
    assert found == pytest.approx(1 / n + np.prod(y) * least / (2 * total), rel=1e-13)


def test_the_same_animals_by_gleser_and_olkin():
    """rho (1/n_t + 1/n_c) + rho^2 g_i g_j / (2 N)."""
    for rho in (0.2, 0.9):
        summaries = arms_of([5, 9], [2, 2.5], [8, 8], [3, 2], [1, 2], [10, 10])
        found, y, _ = covariance("SMD", summaries, treated=rho, control=rho)
        expected = rho * (1 / 8 + 1 / 10) + rho**2 * np.prod(y) / (2 * 18)
        # The same closed form, its terms in another order.
        assert found == pytest.approx(expected, rel=1e-13)


def test_effects_turned_one_way_and_the_other_covary_the_other_way():
    plain, _, _ = covariance("MD", two_rows(), control=1.0)
    turned, _, _ = covariance("MD", two_rows(), control=1.0, signs=(1.0, -1.0))
    assert turned == -plain


# -- simulated animals -------------------------------------------------------------------------

REPLICATES, N_TREATED, N_CONTROL = 40_000, (120, 240), 150


def drawn(rng, n, mean, sd):
    """Means and SDs of REPLICATES groups of n animals."""
    means = rng.normal(mean, sd / np.sqrt(n), REPLICATES)
    return means, sd * np.sqrt(rng.chisquare(n - 1, REPLICATES) / (n - 1))


def check_against(effects, expected, variances):
    """Compare with a simulated covariance: within 4 of its standard errors, and 2%.

    A covariance of normal effects from R replicates has variance (v1 v2 + c^2) / R. The formulas
    are those of large groups: at 120 animals and more, terms of 1/n are below 2%.
    """
    simulated = np.cov(effects[0], effects[1])[0, 1]
    noise = np.sqrt((np.prod(variances) + expected**2) / REPLICATES)
    assert abs(simulated - expected) < 4 * noise + 0.02 * abs(expected)


# NMD apart: its variance takes the denominator as known, and so does its covariance.
@pytest.mark.parametrize("measure", [name for name in MEASURES if name != "NMD"])
def test_a_shared_control_against_simulated_groups(measure):
    rng = np.random.default_rng(11)
    # Far from 0, where what the SD of the control adds is most of the covariance; one SD for
    # all, as SMD supposes.
    control, sd = drawn(rng, N_CONTROL, 10.0, 1.0)
    rows = []
    for n, mean in zip(N_TREATED, (15.0, 16.0), strict=True):
        treated, sd_treated = drawn(rng, n, mean, 1.0)
        rows.append(MEASURES[measure](arms_of(treated, sd_treated, n, control, sd, N_CONTROL))[0])
    truth = arms_of([15, 16], 1.0, N_TREATED, 10.0, 1.0, N_CONTROL)
    expected, _, v = covariance(measure, truth, control=1.0)
    check_against(rows, expected, v)


def test_nmd_shares_a_control_over_a_known_denominator():
    found, _, _ = covariance("NMD", two_rows(), control=1.0)
    raw, _, _ = covariance("MD", two_rows(), control=1.0)
    base = two_rows().mean_control - 1.0
    # The same closed form, its terms in another order.
    assert found == pytest.approx(100**2 * raw / np.prod(base), rel=1e-13)


def test_the_common_sd_of_gleser_and_olkin_is_not_ours():
    """Simulated effects on the SD of all three groups: there 1/n_c + g g / (2 N) holds."""
    rng = np.random.default_rng(12)
    n, means = 150, (15.0, 16.0)
    control, sd = drawn(rng, n, 10.0, 1.0)
    groups = [drawn(rng, n, mean, 1.0) for mean in means]
    pooled = np.sqrt((sd**2 + sum(one**2 for _, one in groups)) / 3)
    together = [(mean - control) / pooled for mean, _ in groups]
    check_against(together, 1 / n + 5 * 6 / (2 * 3 * n), [0.1, 0.13])
    apart = [(mean - control) / np.sqrt((sd**2 + one**2) / 2) for mean, one in groups]
    check_against(apart, 1 / n + 5 * 6 * n / (2 * (2 * n) ** 2), [0.1, 0.13])


@pytest.mark.parametrize("measure", ["SMD", "MD", "ROM"])
def test_the_same_animals_against_simulated_animals(measure):
    rng = np.random.default_rng(13)
    rho, n, replicates = 0.7, 60, 20_000
    root = np.linalg.cholesky([[1, rho], [rho, 1]])
    sides = {}
    for side, means in (("treated", (15.0, 16.0)), ("control", (10.0, 10.0))):
        animals = rng.standard_normal((replicates, n, 2)) @ root.T + means
        sides[side] = animals.mean(1), animals.std(1, ddof=1)
    rows = MEASURES[measure](
        arms_of(sides["treated"][0], sides["treated"][1], n, *sides["control"], n)
    )[0]
    truth = arms_of([15, 16], 1.0, n, 10.0, 1.0, n)
    expected, _, v = covariance(measure, truth, treated=rho, control=rho)
    simulated = np.cov(rows.T)[0, 1]
    noise = np.sqrt((np.prod(v) + expected**2) / replicates)
    # Four standard errors of the simulation, and terms of 1/n: 1/60 twice over.
    assert abs(simulated - expected) < 4 * noise + 0.035 * abs(expected)


# -- tables ------------------------------------------------------------------------------------


def table(rows=4, **columns):
    same = {"mean_control": 3.0, "sd_control": 2.5, "n_control": 10}
    return arms(rows, **({"study": ["s"] * rows} | same | columns))


def test_rows_of_one_control_group_covary():
    found = effect_sizes(
        table(control_group=["a", "a", "b", None]), "MD", shared_control="control_group"
    )
    V = found.V
    assert V[0, 1] == pytest.approx(2.5**2 / 10, rel=1e-13)
    # A group of another name, and a row without one, share nothing.
    assert np.count_nonzero(V - np.diag(np.diag(V))) == 2
    np.testing.assert_array_equal(np.diag(V), found.v)
    assert found.notes[-1] == (
        "effects that share animals with others: 2 of 4, in 1 sets; covariances computed from "
        "their arms"
    )


def test_labels_are_read_within_study_and_experiment():
    options = {"control_group": ["a"] * 4, "study": ["s", "s", "t", "t"]}
    found = effect_sizes(table(**options), "MD", shared_control="control_group")
    assert found.V[0, 2] == 0
    assert found.V[0, 1] > 0
    split = table(**options, experiment=["1", "2", None, None])
    found = effect_sizes(split, "MD", shared_control="control_group")
    assert found.V[0, 1] == 0
    assert found.V[2, 3] > 0


def test_a_control_group_with_other_numbers_is_another_measurement():
    frame = table(2, control_group="a", mean_control=[3.0, 3.5])
    apart = effect_sizes(frame, "MD", shared_control="control_group")
    assert apart.V[0, 1] == 0
    assert apart.notes[-1] == (
        "pairs of a shared control group with other numbers, rho = 0: 1; taken as independent, "
        "which rho= changes"
    )
    found = effect_sizes(frame, "MD", shared_control="control_group", rho=0.4)
    assert found.V[0, 1] == pytest.approx(0.4 * 2.5**2 / 10, rel=1e-13)
    assert "pairs of a shared control group with other numbers, rho = 0.4: 1" in found.notes


def test_the_same_animals_at_several_times():
    frame = table(3, animals=["x", "x", "y"], mean_control=[3.0, 3.5, 3.0])
    found = effect_sizes(frame, "MD", same_animals="animals", rho=0.5)
    expected = 0.5 * (2.0**2 / 8 + 2.5**2 / 10)
    assert found.V[0, 1] == pytest.approx(expected, rel=1e-13)
    assert found.V[0, 2] == 0
    assert "pairs of the same animals, rho = 0.5: 1" in found.notes
    none = with_rho(found, 0.0, same_animals="animals")
    np.testing.assert_array_equal(none.covariance.dense(), np.diag(found.v))


def test_controls_of_animals_measured_again_are_measured_again_too():
    """Two doses at two times, controls named by the time: all four rows are of one control."""
    frame = table(
        4,
        control_group=["t1", "t1", "t2", "t2"],
        animals=["x", "y", "x", "y"],
        mean_control=[3.0, 3.0, 3.5, 3.5],
    )
    found = effect_sizes(
        frame, "MD", shared_control="control_group", same_animals="animals", rho=0.4
    )
    treated, control = 2.0**2 / 8, 2.5**2 / 10
    again, other = 0.4 * (treated + control), 0.4 * control
    expected = [
        [treated + control, control, again, other],
        [control, treated + control, other, again],
        [again, other, treated + control, control],
        [other, again, control, treated + control],
    ]
    np.testing.assert_allclose(found.V, expected, rtol=1e-13)  # roundings of a sum


def test_rows_that_bring_their_effect_share_nothing_and_are_counted():
    frame = table(3, control_group="a", y=[None, None, 1.0], v=[None, None, 0.2])
    frame.loc[2, "mean_treated":"n_control"] = None
    found = effect_sizes(frame, "MD", shared_control="control_group")
    assert found.V[0, 1] > 0
    assert found.V[0, 2] == 0
    assert found.notes[-1] == "rows without arms, whose shared animals are taken as their own: 1"


def test_a_covariance_that_cannot_be_names_its_rows():
    # The same numbers three times: not three effects.
    frame = table(3, animals="x", mean_treated=5.0, row_id=["r1", "r2", "r3"])
    frame["control_group"] = "a"
    with pytest.raises(SpecError, match="not positive definite among rows r1, r2, r3"):
        effect_sizes(
            frame.assign(sd_treated=[0.1, 0.1, 0.1]),
            "MD",
            shared_control="control_group",
            same_animals="animals",
            rho=0.9999999999999,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shared_control": "control"}, "no column 'control' to share by"),
        ({"same_animals": "control_group"}, "same_animals needs rho="),
        ({"shared_control": "control_group", "rho": 1.0}, r"lies in \[0, 1\)"),
    ],
)
def test_what_cannot_be_shared_is_refused(options, message):
    with pytest.raises(SpecError, match=message):
        effect_sizes(table(control_group="a"), "MD", **options)


def test_sharing_needs_arms():
    frame = pd.DataFrame({"study": ["a", "b"], "y": [1.0, 2.0], "v": [0.1, 0.1], "c": ["x", "x"]})
    with pytest.raises(SpecError, match="computed from arms, and this table has none"):
        effect_sizes(frame, shared_control="c")


def test_labels_that_no_two_rows_share_within_their_experiment_are_told():
    rows = arms(2, study="s", experiment=["1", "2"], group="x")
    found = effect_sizes(rows, shared_control="group").notes
    assert (
        found[-1] == "no two rows share animals: labels are read within their study and experiment"
    )
