import json

import numpy as np
import pytest
from helpers import ARMS, oracle

from bayesma.errors import SpecError
from bayesma.measures import MEASURES, arms_of, hedges_correction, hedges_g, measure_of

# metafor 5.0.1 on published data; the bound the project sets itself. Both sides carry 15 digits
# and take log gamma, and UB subtracts nearly equal numbers at large m: a loss of 1e2 to 1e3 ulp.
METAFOR = 1e-10
DATA_SETS = ("normand1999", "curtis1998", "furukawa2003")
CASES = [
    (data, name, variance, correct)
    for data in DATA_SETS
    for name in ("SMD", "SMDH", "MD", "ROM")
    for variance in MEASURES[name].variances
    for correct in (True, False)
]


def simulated(positive=False):
    """The simulated arms of the oracles and their corners; ROM takes means above 0."""
    section = oracle("escalc_smd")
    columns = {name: np.array(section[name]) for name in ARMS}
    if positive:
        columns |= {name: abs(columns[name]) + 1 for name in ("mean_treated", "mean_control")}
    return arms_of(**columns)


# -- metafor -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def escalc(shared):
    return json.loads((shared / "reference" / "metafor.json").read_text(encoding="utf-8"))["escalc"]


@pytest.mark.parametrize(("data", "name", "variance", "correct"), CASES)
def test_every_measure_and_variance_is_metafors(escalc, data, name, variance, correct):
    given = escalc[data]["input"]
    columns = [given[key] for key in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")]
    expected = escalc[data]["out"][f"{name}_{variance}_{'correct' if correct else 'raw'}"]
    y, v = MEASURES[name](arms_of(*columns), variance, correct)
    np.testing.assert_allclose(y, expected["yi"], rtol=METAFOR, atol=0)
    np.testing.assert_allclose(v, expected["vi"], rtol=METAFOR, atol=0)


def test_no_variance_of_these_measures_is_left_out_of_the_reference(escalc):
    keys = {key for key in escalc["normand1999"]["out"] if key.split("_")[0] in MEASURES}
    tested = {f"{m}_{v}_{'correct' if c else 'raw'}" for _, m, v, c in CASES}
    assert keys == tested


@pytest.mark.parametrize("key", [key for key in oracle("escalc_measures") if key != "call"])
def test_simulated_arms_and_their_corners(key):
    section, (name, _, kind) = oracle("escalc_measures")[key], key.partition("_")
    arms = simulated(positive=name == "ROM")
    for variance in section.keys() - {"y"}:
        _, v = MEASURES[name](arms, variance, kind == "correct")
        np.testing.assert_allclose(v, section[variance], rtol=METAFOR, atol=0)
    y, _ = MEASURES[name](arms, correct=kind == "correct")
    np.testing.assert_allclose(y, section["y"], rtol=METAFOR, atol=0)


def test_nmd_is_the_published_formula(escalc):
    given = escalc["normand1999"]["input"]
    columns = [given[key] for key in ("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i")]
    y, v = MEASURES["NMD"](arms_of(*columns))
    expected = escalc["nmd_formula_not_metafor"]
    # A handful of roundings on 15 digits.
    np.testing.assert_allclose(y, expected["yi"], rtol=1e-13, atol=0)
    np.testing.assert_allclose(v, expected["vi"], rtol=1e-13, atol=0)


# -- closed forms ------------------------------------------------------------------------------


def test_nmd_by_hand():
    # Sham 20, control 10, treated 15: half of what was lost is won back.
    arms = arms_of([15, 20, 10, 5], 2, 4, 10, 3, 9, 20)
    y, v = MEASURES["NMD"](arms)
    assert y.tolist() == [50, 100, 0, -50]
    # (100 / 10)^2 (9/9 + 4/4)
    assert v.tolist() == [200] * 4


def test_nmd_does_not_depend_on_the_scale_or_the_way_the_outcome_runs():
    plain = MEASURES["NMD"](arms_of(15, 2, 4, 10, 3, 9, 20))
    turned = MEASURES["NMD"](arms_of(-30, 4, 4, -20, 6, 9, -40))
    np.testing.assert_array_equal(plain, turned)


def test_the_correction_of_the_ratio_by_hand():
    y, v = MEASURES["ROM"](arms_of(4, 2, 4, 2, 1, 9))
    # CV 1/2 in both arms: log 2 + (1/16 - 1/36) / 2; one rounding each.
    assert y == pytest.approx(np.log(2) + (1 / 16 - 1 / 36) / 2, rel=1e-15)
    assert v == pytest.approx(1 / 16 + 1 / 36, rel=1e-15)


def test_equal_sds_and_sizes_make_smd_and_smdh_one():
    arms = arms_of([1, 2, 3], 2, 8, 0, 2, 8)
    for correct in (True, False):
        np.testing.assert_allclose(
            MEASURES["SMD"](arms, correct=correct)[0],
            MEASURES["SMDH"](arms, correct=correct)[0],
            rtol=1e-15,  # the same sum in another order
        )


def test_the_unbiased_variance_is_unbiased():
    # d = (Z + delta sqrt(n~)) / sqrt(chi2_m / m) / sqrt(n~): the noncentral t, m = 6, delta = 1.5.
    rng = np.random.default_rng(1)
    n, draws, delta = 4, 400_000, 1.5
    treated, control = rng.normal(delta, 1, (draws, n)), rng.normal(0, 1, (draws, n))
    arms = arms_of(
        *(treated.mean(1), treated.std(1, ddof=1), n, control.mean(1), control.std(1, ddof=1), n)
    )
    g, v = MEASURES["SMD"](arms, "UB")
    # Six standard errors of the difference of two means over the draws.
    squares = (g - g.mean()) ** 2 - v
    assert abs(squares.mean()) < 6 * squares.std() / np.sqrt(draws)
    # And the bound is tight enough to tell LS, which is not: it must fail the same check.
    ls = (g - g.mean()) ** 2 - MEASURES["SMD"](arms, "LS")[1]
    assert abs(ls.mean()) > 6 * ls.std() / np.sqrt(draws)


@pytest.mark.parametrize("name", ["SMD", "SMDH", "MD", "ROM"])
def test_swapped_arms_turn_the_sign_and_keep_the_variance(name):
    a = simulated(positive=True)
    swapped = arms_of(
        *(a.mean_control, a.sd_control, a.n_control, a.mean_treated, a.sd_treated, a.n_treated)
    )
    for variance in MEASURES[name].variances:
        y, v = MEASURES[name](a, variance)
        other, v_other = MEASURES[name](swapped, variance)
        # Sums in another order; the logarithm of an inverse.
        np.testing.assert_allclose(other, -y, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(v_other, v, rtol=1e-13)


def test_av_averages_effects_in_the_direction_they_are_reported_in():
    # The same study twice, once with the outcome the other way round.
    arms = arms_of([3, -3], 1, 8, 0, 1, 8)
    y, v = MEASURES["SMD"](arms, "AV", direction=[1, -1])
    assert y[0] == y[1] > 2
    assert v[0] == v[1] == 1 / 4 + y[0] ** 2 / 32


def test_hedges_g_is_smd_ls():
    columns = [oracle("escalc_smd")[name] for name in ARMS]
    np.testing.assert_array_equal(hedges_g(*columns), MEASURES["SMD"](arms_of(*columns), "LS"))
    assert hedges_correction(4) == pytest.approx(np.sqrt(2 / np.pi), rel=1e-14)


# -- the registry ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(MEASURES))
def test_every_measure_is_whole(name):
    found = MEASURES[name]
    assert found.name == name
    assert found.label
    assert found.units
    assert found.equation
    assert found.default in found.variances
    for formula in (found.effect, *found.variances.values()):
        assert formula.__doc__
    assert measure_of(name) == (found, found.default)


@pytest.mark.parametrize("name", list(MEASURES))
def test_rows_without_an_effect_are_in_a_gap(name):
    # Zero means, opposite signs, the smallest groups, the sham at the control's.
    arms = arms_of([0, 1, 1, 1, -2], 1, [2, 2, 9, 9, 9], [1, 0, -1, 5, -1], 1, [2, 2, 9, 9, 9], 5)
    for variance in MEASURES[name].variances:
        y, v = MEASURES[name](arms, variance)
        gaps = [gap.where for gap in MEASURES[name].gaps(arms, variance)]
        undefined = np.any(gaps, axis=0) if gaps else np.zeros(5, dtype=bool)
        # AV averages over all rows, so that one undefined row spoils every variance.
        if variance not in ("AV", "AVHO"):
            assert (np.isfinite(v) & (v > 0))[~undefined].all()
        assert np.isfinite(y)[~undefined].all()


@pytest.mark.parametrize(
    ("name", "variance", "message"),
    [
        ("smd", None, r"no effect measure 'smd'; did you mean 'SMD'\? known: SMD, SMDH, MD, NMD"),
        ("MD", "AV", "effect measure MD has no variance 'AV'; known: LS, HO"),
    ],
)
def test_an_unknown_measure_or_variance_lists_the_known(name, variance, message):
    with pytest.raises(SpecError, match=message):
        measure_of(name, variance)
