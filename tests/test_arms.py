import json

import numpy as np
import pytest
from scipy import stats

from bayesma.arms import (
    Quantiles,
    mean_sd_from_quantiles,
    sd_from_ci,
    sd_from_quantiles,
    sd_from_sem,
)
from bayesma.errors import SpecError

SAMPLES = [np.array(x) for x in ([1.0, 4.0], [2.0, 3.5, 9.0, 4.0], np.linspace(-3, 30, 17) ** 2)]


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_sem_and_the_interval_of_a_sample_give_its_standard_deviation(sample):
    n, sd = len(sample), sample.std(ddof=1)
    # A root and a product: a few ulp.
    assert sd_from_sem(stats.sem(sample), n) == pytest.approx(sd, rel=1e-14)
    for level in (0.9, 0.95):
        interval = stats.t.interval(level, n - 1, sample.mean(), stats.sem(sample))
        # t quantiles of two implementations, and the difference of two rounded ends.
        assert sd_from_ci(*interval, n, level) == pytest.approx(sd, rel=1e-10)


def test_medians_with_their_spread_are_read_as_metafor_reads_them(shared):
    """metafor's conv.fivenum: range, quartiles, both (Luo 2018; Wan 2014 and Shi 2020)."""
    record = json.loads((shared / "reference" / "metafor.json").read_text(encoding="utf-8"))
    section = record["escalc"]["conv_fivenum"]
    given = {name: np.array(cells, dtype=float) for name, cells in section["input"].items()}
    mean, sd = mean_sd_from_quantiles(*(given[k] for k in ("med", "n", "q1", "q3", "min", "max")))
    # The oracle has 15 digits.
    np.testing.assert_allclose(mean, section["mean"], rtol=1e-13)
    np.testing.assert_allclose(sd, section["sd"], rtol=1e-13)


def quantiles_of(samples):
    """Return what a paper would print of each row: median, n, quartiles, range."""
    low, q1, median, q3, high = np.quantile(samples, [0, 0.25, 0.5, 0.75, 1], axis=1)
    return {"median": median, "q1": q1, "q3": q3, "low": low, "high": high}


KINDS = {
    "range": ("low", "high"),
    "quartiles": ("q1", "q3"),
    "both": ("q1", "q3", "low", "high"),
}


@pytest.mark.parametrize("five", ["shi2020", "wan2014"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [9, 41])
def test_normal_samples_give_back_their_mean_and_standard_deviation(n, kind, five):
    samples = np.random.default_rng(n).normal(10, 3, (20_000, n))
    printed = quantiles_of(samples)
    mean, sd = mean_sd_from_quantiles(
        printed["median"], n, **{name: printed[name] for name in KINDS[kind]}, five=five
    )
    # Monte Carlo error of the average: at most 3 * 1.25 / sqrt(9 * 20000) = 0.009; four of it.
    assert mean.mean() == pytest.approx(10, abs=0.036)
    # The formulas are approximations; the largest bias measured is 0.6%, Monte Carlo error 0.2%.
    assert sd.mean() == pytest.approx(3, rel=0.01)


def test_the_luo_mean_is_closer_than_the_median():
    samples = np.random.default_rng(3).normal(0, 1, (5_000, 13))
    printed = quantiles_of(samples)
    mean, _ = mean_sd_from_quantiles(n=13, **printed)
    errors = [np.square(e - samples.mean(axis=1)).mean() for e in (mean, printed["median"])]
    # Measured: 0.08 of the median's squared error.
    assert errors[0] < errors[1] / 5


def test_shifting_and_scaling_carries_over():
    plain = {"median": 5.0, "n": 12, "q1": 3.0, "q3": 8.0, "low": 1.0, "high": 13.0}
    other = {k: v if k == "n" else 7 + 2.5 * v for k, v in plain.items()}
    (mean, sd), (mean2, sd2) = mean_sd_from_quantiles(**plain), mean_sd_from_quantiles(**other)
    # Rounding of a few operations.
    assert mean2 == pytest.approx(7 + 2.5 * mean, rel=1e-14)
    assert sd2 == pytest.approx(2.5 * sd, rel=1e-14)


def test_each_element_uses_what_it_holds():
    nan = np.nan
    given = Quantiles.of(
        [5.0] * 4,
        10,
        q1=[3, nan, 3, 3],
        q3=[8, nan, 8, nan],
        low=[nan, 1, 1, 1],
        high=[nan, 13, 13, nan],
    )
    assert given.quartiles.tolist() == [True, False, True, False]
    assert given.range.tolist() == [False, True, True, False]
    sd = sd_from_quantiles(given)
    assert np.isnan(sd).tolist() == [False, False, False, True]
    assert len(set(sd[:3])) == 3
    # The average of two, exactly.
    assert sd_from_quantiles(given, "wan2014")[2] == pytest.approx((sd[0] + sd[1]) / 2, rel=1e-15)


def test_an_unknown_formula_is_refused():
    with pytest.raises(SpecError, match=r"five='shi' is unknown; did you mean 'shi2020'\?"):
        mean_sd_from_quantiles(5, 10, 3, 8, 1, 13, five="shi")
