"""Cohorts behind rows, and what other animals give: against animals drawn one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import arms

from bayesma.animals import cohorts_of, correction_of, new_outcomes
from bayesma.effects import effect_sizes
from bayesma.maths import NumPyMaths
from bayesma.measures import hedges_correction
from bayesma.noncentral.rows import draw_latents, standardised, variance_ratios
from bayesma.schema import ARMS
from bayesma.sharing import Sharing

MATHS = NumPyMaths()
SIGMA = 2.0  # of the animals that new_outcomes draws


def labelled(**columns):
    frame = arms(4, study=["s", "s", "s", "t"], control_group=["a", "a", "b", "a"])
    return frame.assign(**columns)


def test_rows_without_labels_are_of_their_own_animals():
    found = cohorts_of(arms(3), Sharing())
    for cohort in (found.treated, found.control, found.measurement):
        assert cohort.tolist() == [0, 1, 2]


def test_a_label_is_read_within_its_study_and_one_measurement_has_one_number():
    sharing = Sharing(shared_control="control_group")
    found = cohorts_of(labelled(), sharing)
    assert found.control.tolist() == [0, 0, 1, 2]
    assert found.measurement.tolist() == [0, 0, 1, 2]
    assert found.treated.tolist() == [0, 1, 2, 3]
    # Other numbers are another measurement of the same animals.
    found = cohorts_of(labelled(mean_control=[3.0, 3.5, 3.0, 3.0]), sharing)
    assert found.control.tolist() == [0, 0, 1, 2]
    assert found.measurement.tolist() == [0, 1, 2, 3]


def test_animals_measured_again_have_their_controls_measured_again():
    frame = labelled(animals=["x", "y", "x", "x"], mean_control=[3.0, 3.0, 4.0, 3.0])
    found = cohorts_of(frame, Sharing(0.5, same_animals="animals", shared_control="control_group"))
    assert found.treated.tolist() == [0, 1, 0, 2]
    # Rows 1 and 2 by their control group, rows 1 and 3 by their animals: all of one cohort.
    assert found.control.tolist() == [0, 0, 0, 1]
    assert found.measurement.tolist() == [0, 0, 1, 2]


def test_clusters_without_labels_are_one_cohort_measured_often():
    frame = arms(3, study="s", experiment=["1", "1", None])
    found = cohorts_of(frame, Sharing(0.5))
    assert found.treated.tolist() == found.control.tolist() == [0, 0, 1]
    assert found.measurement.tolist() == [0, 1, 2]
    assert cohorts_of(frame, Sharing()).treated.tolist() == [0, 1, 2]


def test_the_correction_is_read_off_the_effects():
    effects = effect_sizes(arms(3, n_treated=[4, 6, 8]))
    np.testing.assert_array_equal(correction_of(effects), hedges_correction([12, 14, 16]))
    assert correction_of(effect_sizes(arms(3), correct=False)).tolist() == [1.0] * 3
    moved = replace(effects, frame=effects.frame.assign(y=effects.y * 1.001))
    assert correction_of(moved) is None
    # What a file of six digits after the point leaves of the effects.
    rounded = replace(effects, frame=effects.frame.assign(y=effects.y.round(7)))
    assert correction_of(rounded) is not None


# -- other animals -----------------------------------------------------------------------------

STUDIES = 6_000
THETA = np.array([5.0, 3.0])


def many(two_rows, **how):
    """A table of STUDIES studies of the same two rows, and its effects."""
    frame = pd.concat([two_rows] * STUDIES, ignore_index=True)
    frame["study"] = np.repeat([f"s{i}" for i in range(STUDIES)], len(two_rows))
    return effect_sizes(frame, **how)


def beside_one_control(n=(6, 6), n_control=6):
    return many(
        arms(2, control_group="c", n_treated=list(n), n_control=n_control),
        shared_control="control_group",
    )


def twice(rho, **how):
    rows = arms(2, animals="a", n_treated=6, n_control=6, mean_control=[3.0, 3.5])
    return many(rows, same_animals="animals", rho=rho, **how)


def fresh(effects, seed=5, theta=THETA):
    return new_outcomes(effects, np.tile(theta, STUDIES), np.random.default_rng(seed))


def by_study(values):
    return np.asarray(values).reshape(STUDIES, 2).T


def agree(first, second):
    """Two simulations of one thing: means of batches within 4.5 errors of each other."""
    parts = np.array(first) - np.array(second)
    error = parts.std(axis=0, ddof=1) / np.sqrt(len(parts))
    return bool((np.abs(parts.mean(axis=0)) < 4.5 * error).all())


def batches(values, statistic, count=40):
    return [statistic(part) for part in np.split(values, count, axis=-1)]


@pytest.mark.parametrize(
    "effects", [beside_one_control(), beside_one_control((4, 9), 7), twice(0.7)], ids=str
)
def test_new_animals_are_those_of_the_exact_likelihood(effects):
    """d, q and d sqrt(q) of new arms against the model's latent variables, n 6 and theta 5."""
    new = fresh(effects)
    rows = standardised(new)
    d = by_study(rows.d)
    arm = new.frame
    one = rows.of.reshape(STUDIES, 2)[0]
    squares = (arm["n_treated"] - 1) * arm["sd_treated"] ** 2
    control = (arm["n_control"] - 1) * arm["sd_control"] ** 2
    t, c = by_study(squares), by_study(control)
    if one[0] == one[1]:
        q = np.stack([t.sum(axis=0) + c[0]] * 2) / rows.df[0] / SIGMA**2
    else:
        q = (t + c) / rows.df[:2, None] / SIGMA**2
    numerators = d * np.sqrt(q)
    first = [rows.covariance.blocks[0][1], rows.covariance.blocks[-1][1]]
    np.testing.assert_array_equal(*first)
    N = first[0]
    error = np.sqrt((np.outer(np.diag(N), np.diag(N)) + N**2) / STUDIES)
    # Wishart errors of a covariance, and standard errors of means.
    assert (np.abs(np.cov(numerators) - N) < 4.5 * error).all()
    assert (np.abs(numerators.mean(axis=1) - THETA) < 4.5 * np.sqrt(np.diag(N) / STUDIES)).all()
    latents = draw_latents(rows, (1,), np.random.default_rng(6))
    model_q = by_study(variance_ratios(latents, rows, MATHS)[0][rows.of])
    noise = np.random.default_rng(7).multivariate_normal(np.zeros(2), N, STUDIES).T
    model_d = (THETA[:, None] + noise) / np.sqrt(model_q)
    for own, model in ((q, model_q), (d, model_d)):
        for statistic in (lambda x: x.mean(axis=1), lambda x: np.cov(x).ravel()):
            assert agree(batches(own, statistic), batches(model, statistic))
    # Hedges' correction: E g = theta.
    g = by_study(new.y)
    assert (np.abs(g.mean(axis=1) - THETA) < 4.5 * g.std(axis=1) / np.sqrt(STUDIES)).all()


def test_a_shared_control_stays_one_measurement_to_the_last_digit():
    new = fresh(beside_one_control())
    for name in ("mean_control", "sd_control", "n_control"):
        first, second = by_study(new.frame[name])
        np.testing.assert_array_equal(first, second)
    assert len(np.unique(new.frame["mean_control"])) == STUDIES
    # Its sampling covariance is made anew, of the new effects.
    assert new.covariance.blocks[0][1][0, 1] == pytest.approx(
        1 / 6 + new.y[:2].prod() * 6 / (2 * 12**2), rel=1e-12
    )


def test_what_is_not_an_outcome_stays():
    frame = arms(4, n_treated=[4, 5, 6, 7], direction=[1, -1, 1, -1], drug=list("abcd"))
    effects = effect_sizes(frame, variance="UB", correct=False)
    theta = np.array([20.0, 20.0, -20.0, 20.0])
    new = new_outcomes(effects, theta, np.random.default_rng(1))
    kept = [name for name in effects.frame if name not in (*ARMS, "y", "v")]
    pd.testing.assert_frame_equal(new.frame[kept], effects.frame[kept])
    for name in ("n_treated", "n_control"):
        np.testing.assert_array_equal(new.frame[name], effects.frame[name])
    assert (np.sign(new.y) == np.sign(theta)).all()
    raised = new.frame["mean_treated"] > new.frame["mean_control"]
    assert raised.tolist() == [True, False, False, False]
    again = effect_sizes(new.frame.drop(columns=["y", "v"]), variance="UB", correct=False)
    # The same formulas on the same arms.
    np.testing.assert_allclose(new.y, again.y, rtol=1e-13)
    np.testing.assert_allclose(new.v, again.v, rtol=1e-13)
    assert (new.measure, new.variance, new.notes) == ("SMD", "UB", effects.notes)
    assert correction_of(new).tolist() == [1.0] * 4


@pytest.mark.parametrize("how", [{}, {"same_animals": "experiment"}], ids=["within", "labels"])
def test_effects_turned_apart_correlate_as_the_likelihood_has_them(how):
    """Without labels rho is that of effects as turned; with them that of the animals."""
    rows = arms(2, experiment="a", direction=[1, -1], n_treated=6, n_control=6).assign(
        mean_control=[3.0, 3.5]
    )
    effects = many(rows, rho=0.6, **how)
    N = standardised(effects).covariance.blocks[0][1]
    assert np.sign(N[0, 1]) == (-1 if how else 1)
    frame = fresh(effects, theta=np.zeros(2)).frame
    difference = frame["mean_treated"] - frame["mean_control"]
    numerators = by_study(frame["direction"] * difference / SIGMA)
    # The error of a covariance of normal pairs, 4.5 times.
    error = np.sqrt((N[0, 0] * N[1, 1] + N[0, 1] ** 2) / STUDIES)
    assert abs(np.cov(numerators)[0, 1] - N[0, 1]) < 4.5 * error


def test_animals_that_drop_out_are_those_seen_before():
    rows = arms(2, animals="a", n_treated=[8, 4], n_control=6, mean_control=[3.0, 3.5])
    new = fresh(many(rows, same_animals="animals", rho=0.9), theta=np.zeros(2))
    means = by_study((new.frame["mean_treated"] - 10.0) / SIGMA)
    # Cov of the mean of 8 and that of 4 of them: rho 4 / (8 x 4).
    expected = 0.9 / 8
    error = np.sqrt((1 / 8 / 4 + expected**2) / STUDIES)
    assert abs(np.cov(means)[0, 1] - expected) < 4.5 * error


def test_the_seed_decides():
    effects = effect_sizes(arms(3))
    first, same, other = (
        new_outcomes(effects, np.zeros(3), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.y.tolist() == same.y.tolist()
    assert first.y.tolist() != other.y.tolist()
