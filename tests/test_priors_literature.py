"""Priors of heterogeneity that have a name: their numbers against print, and against the data."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import bayesma as bm
from bayesma import priors
from bayesma.errors import SpecError
from bayesma.priors.literature import ANIMAL, LITERATURE
from bayesma.priors.rhodes import AREAS, COMPARISONS, OUTCOMES, SETTINGS
from bayesma.spec import ModelSpec

EVIDENCE = Path(__file__).resolve().parents[1] / "evidence"


@pytest.fixture
def script(monkeypatch):
    """evidence/heterogeneity_prior.py; its neighbours do not stay behind."""
    monkeypatch.syspath_prepend(str(EVIDENCE))
    before = set(sys.modules)
    import heterogeneity_prior

    yield heterogeneity_prior
    for name in (set(sys.modules) - before) & {"heterogeneity_prior", "tables"}:
        del sys.modules[name]


def test_the_general_prior_of_rhodes_is_theirs():
    """Section 3.3: log tau^2 ~ t5(-3.44, 2.59); our record is of tau."""
    tau = priors.named("rhodes_2015_general").distribution()
    theirs = stats.t(5, -3.44, 2.59)
    p = np.array([0.025, 0.25, 0.5, 0.9, 0.975])
    # A few roundings of numbers of size 1.
    np.testing.assert_allclose(tau.ppf(p), np.exp(theirs.ppf(p) / 2), rtol=1e-12)
    np.testing.assert_allclose(tau.cdf(np.exp(theirs.ppf(p) / 2)), p, rtol=1e-12)


def test_locations_of_rhodes_add_up_as_their_model_has_them():
    """Outcome, comparison and area act additively on log tau^2; no cell is a slip of the pen."""
    cells = [(*key, location) for key, (location, _) in SETTINGS.items()]
    frame = pd.DataFrame(cells, columns=["outcome", "comparison", "area", "location"])
    columns = [pd.get_dummies(frame[n], dtype=float) for n in ("outcome", "comparison", "area")]
    X = np.hstack([c.to_numpy() for c in columns])
    fitted = X @ np.linalg.lstsq(X, frame["location"].to_numpy(), rcond=None)[0]
    # Each cell is rounded to 0.01 and so is what it is compared with: their model's terms were
    # read off medians of draws.
    assert np.abs(fitted - frame["location"]).max() < 0.015
    assert len(frame) == len(OUTCOMES) * len(COMPARISONS) * len(AREAS) - 3


def test_half_normals_of_roever():
    assert priors.named("roever_2021_half_normal_0.5") == priors.half_normal(0.5)
    assert priors.named("roever_2021_half_normal_1") == priors.half_normal(1)


def test_the_table_lists_every_named_prior_with_its_quantiles():
    table = bm.heterogeneity_priors().set_index("name")
    assert list(table.index) == list(LITERATURE)
    assert (table[["source", "about"]].map(len) > 10).all(axis=None)
    general = table.loc["rhodes_2015_general"]
    # Printed: median tau^2 0.032 is exp(-3.44).
    assert general["median"] ** 2 == pytest.approx(0.0321, abs=5e-5)
    for name, row in table.iterrows():
        density = priors.named(name)
        below, _ = integrate.quad(
            lambda z, p=density: np.exp(p.log_density(np.array(np.exp(z))) + z),
            -np.inf,
            np.log(row["high"]),
        )
        # quad's own default accuracy.
        assert below == pytest.approx(0.975, abs=2e-8)
        assert row["low"] < row["median"] < row["high"]


def test_a_model_file_may_name_a_prior_and_the_spec_holds_its_numbers(tmp_path):
    text = (
        'data = "simulated_decay"\nmeasure = "{measure}"\n[spec]\npeak = "1 + (1 | study)"\n'
        'decay = "none"\npriors = {{ tau = {{ named = "rhodes_2015_general" }} }}\n'
    )
    path = tmp_path / "named.toml"
    path.write_text(text.format(measure="SMD"), encoding="utf-8")
    spec = bm.load_spec(path)
    assert spec.priors["tau"] == priors.log_student_t(5, -1.72, 1.295)
    assert spec.to_dict()["priors"]["tau"] == {"log_student_t": [5.0, -1.72, 1.295]}
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    path.write_text(text.format(measure="ROM"), encoding="utf-8")
    with pytest.raises(
        SpecError,
        match=r"named\.toml, \[spec\]: prior of tau: 'rhodes_2015_general' is of standardised",
    ):
        bm.load_spec(path)


def test_a_variant_replaces_a_prior_by_one_of_another_family(tmp_path):
    path = tmp_path / "variants.toml"
    path.write_text(
        'data = "simulated_decay"\n[spec]\npeak = "1 + (1 | study)"\ndecay = "none"\n'
        "priors = { peak = { normal = [0, 3] }, tau = { half_normal = [2] } }\n"
        '[variants.people.spec]\npriors = { tau = { named = "rhodes_2015_general" } }\n',
        encoding="utf-8",
    )
    found = bm.load_spec(path, "people").priors
    assert found["tau"] == priors.named("rhodes_2015_general")
    assert found["peak"] == priors.normal(0, 3)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"tau": {"named": "rhodes_2015_generals"}},
            "no prior of heterogeneity is named 'rhodes_2015_generals'; did you mean "
            "'rhodes_2015_general'.*known: animal_smd_2026.*bm.heterogeneity_priors",
        ),
        ({"tau": {"named": ["animal_smd_2026"]}}, r"is named \['animal_smd_2026'\]; did you mean"),
        ({"kappa": {"named": "animal_smd_2026"}}, "prior of kappa: .* is a prior of tau"),
    ],
)
def test_what_is_no_named_prior_of_tau_is_refused(record, message):
    with pytest.raises(SpecError, match=message):
        ModelSpec.from_dict({"priors": record})


# -- the animal prior --------------------------------------------------------------------------


def test_likelihood_of_a_printed_result_is_the_restricted_one_of_its_rows(script):
    """Rows of one v whose mean square about the mean is k SE^2."""
    k, se, i2 = 8, 0.4, 0.7
    v = np.full(k, k * se**2 * (1 - i2))
    y = stats.norm.ppf((np.arange(k) + 0.5) / k)
    y = 1 + y * np.sqrt(k * se**2 * (k - 1) / (y**2).sum())
    tau, likelihood = script.pooled_likelihood(k, se, i2)
    found = bm.pool(y, v, ci="z")
    # REML of equal variances is that of moments, SS/(k - 1) - v, found to the root's 1e-8.
    assert found.tau2 == pytest.approx(tau**2, rel=1e-7)
    assert found.se == pytest.approx(se, rel=1e-7)
    dense = []
    for tau2 in np.exp(2 * script.LOG_TAU):
        w = 1 / (v + tau2)
        rest = y - (w @ y) / w.sum()
        dense.append(0.5 * (np.log(w).sum() - np.log(w.sum()) - w @ rest**2))
    # The same function up to a constant: sums of a few numbers of size 10.
    np.testing.assert_allclose(np.ptp(likelihood - dense), 0, atol=1e-11)


def test_likelihood_of_nested_rows_integrates_the_split(script):
    frame = pd.DataFrame(
        {
            "study": list("AABBCCD"),
            "experiment": list("1212121"),
            "y": [0.3, 1.9, 0.9, 2.6, -0.4, 0.8, 1.5],
            "v": [0.2, 0.3, 0.15, 0.5, 0.4, 0.1, 0.2],
        }
    )
    effects = bm.effect_sizes(frame, measure="SMD")
    found = script.nested_likelihood(effects, "study/experiment")
    same = frame["study"].to_numpy()[:, None] == frame["study"].to_numpy()

    def dense(tau, share):
        S = np.diag(frame["v"] + (1 - share) * tau**2) + share * tau**2 * same
        W, one = np.linalg.inv(S), np.ones(len(frame))
        rest = frame["y"] - (one @ W @ frame["y"]) / W.sum()
        return np.exp(-0.5 * (np.linalg.slogdet(S)[1] + np.log(W.sum()) + rest @ W @ rest))

    at = [60, 200, 300]
    expected = [
        np.log(integrate.quad(lambda phi, i=i: dense(np.exp(script.LOG_TAU[i]), phi), 0, 1)[0])
        for i in at
    ]
    # 24 Gauss nodes: where tau is large, little is left within studies as the share nears 1, and
    # the sixth digit of the integral goes. A likelihood interval needs two.
    np.testing.assert_allclose(np.diff(found[at]), np.diff(expected), atol=5e-6)


def test_population_is_found_where_taus_are_known(script):
    """Likelihoods that are points: m and s are the mean and the spread of log tau."""
    taus = np.exp(np.array([-0.6, -0.1, 0.2, 0.5, 1.0]))
    points = [
        script.Subset(
            "t", str(i), 5, frozenset(), 5, tau, -0.5 * ((script.LOG_TAU - np.log(tau)) / 0.02) ** 2
        )
        for i, tau in enumerate(taus)
    ]
    m, s, _ = script.fit_population(points)
    # Likelihoods of width 0.02: their variance is taken from that of log tau, 4e-4 of 0.29.
    assert m == pytest.approx(np.log(taus).mean(), abs=1e-4)
    assert s**2 == pytest.approx(np.log(taus).var() - 0.02**2, rel=1e-3)


@pytest.mark.slow
def test_the_shipped_animal_prior_is_what_the_script_finds(script, prepared, monkeypatch):
    """Slow: 16 meta-analyses, each over a grid of variances; without the tables it is skipped."""
    monkeypatch.setenv("BAYESMA_DATA", str(prepared))
    found = script.subsets()
    assert len(found) == 16
    m, s, _ = script.fit_population(found)
    # Shipped to three decimals.
    assert pytest.approx((m, s), abs=5e-4) == (ANIMAL.mu, ANIMAL.sigma)
    # The page in evidence is of the same numbers.
    page = (EVIDENCE / "heterogeneity_prior.md").read_text(encoding="utf-8")
    assert f"`animal_smd_2026` = {ANIMAL}" in page
    for one in found:
        assert f"| {one.table} | {one.name} | {one.k} | {one.number} | {one.tau:.2f} |" in page


def test_the_page_says_what_is_shipped():
    page = (EVIDENCE / "heterogeneity_prior.md").read_text(encoding="utf-8")
    assert f"| m, mean of log tau | {ANIMAL.mu:.3f} |" in page
    assert f"| s, spread of log tau | {ANIMAL.sigma:.3f} |" in page


@pytest.mark.slow
def test_the_sampler_has_the_same_log_student_t():
    """Slow: it compiles. The sampled coordinate is log tau, with density p(tau) tau."""
    import pymc as pm

    prior = priors.named("rhodes_2015_general")
    frame = pd.DataFrame({"study": list("ABC"), "y": [1.0, 2.0, 0.5], "v": [0.2, 0.3, 0.1]})
    spec = ModelSpec(peak="1 + (1 | study)", decay="none", priors={"tau": prior})
    model = bm.build(bm.effect_sizes(frame, measure="SMD"), spec)
    tau = np.array([0.05, 0.4, 3.0])
    with model:
        density = [float(pm.logp(model["tau_log"], np.log(t)).eval()) for t in tau]
        values = [float(model["tau"].eval({model["tau_log"]: np.log(t)})) for t in tau]
    np.testing.assert_allclose(values, tau, rtol=1e-14)  # one exp of a log
    # PyTensor's gamma function differs from SciPy's in the ninth digit.
    np.testing.assert_allclose(density, prior.log_density(tau) + np.log(tau), rtol=1e-8)
