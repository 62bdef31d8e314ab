"""Control groups that rows share without saying so, and what splitting one does."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import arms
from scipy import optimize, stats

from bayesma.controls import alike_controls, split_reason, undeclared_note
from bayesma.design import design
from bayesma.diagnostics import data_problems
from bayesma.effects import effect_sizes, with_rho
from bayesma.errors import SpecError, TableError
from bayesma.measures import SMD, arms_of
from bayesma.priors import uniform
from bayesma.sharing import Sharing
from bayesma.spec import ModelSpec

NONE = Sharing()
POOLED = ModelSpec(decay="none")


def table(rows=4, **columns):
    plain = {"row_id": list("abcdefgh"[:rows]), "study": ["s", "s", "t", "u"] * (rows // 4)}
    unlike = {"mean_control": [3.0, 3.0, 3.0, 4.0]}
    return arms(rows, **(plain | unlike | columns))


def test_rows_of_one_study_with_one_control_are_told():
    found = alike_controls(table(), NONE)
    assert found.undeclared == ((0, 1),)
    assert found.split == ()
    assert undeclared_note(table(), NONE).startswith(
        "rows that seem to share a control group with others of their study, by its mean, SD and "
        "size: 2 of 4, in 1 sets (rows a, b). They are taken as independent"
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"sd_control": [2.5, 2.4, 2.5, 2.5]},
        {"mean_control": [3.0, 3.1, 3.0, 4.0]},
        # The same rows twice share more than a control.
        {"mean_treated": 5.0},
    ],
)
def test_other_numbers_are_other_groups(columns):
    assert undeclared_note(table(**columns), NONE) == ""


def test_rows_said_to_share_or_to_differ_are_believed():
    def said(labels, **sharing):
        frame = table(group=labels, study="s", mean_control=[3.0, 3.0, 3.0, 4.0])
        return alike_controls(frame, Sharing(**sharing)).undeclared

    labelled = {"shared_control": "group"}
    assert said(["x", "x", "x", "y"], **labelled) == ()
    assert said(["x", "y", "z", "w"], **labelled) == ()
    # A row without a label is no row of a group of its own.
    assert said(["x", "x", None, "y"], **labelled) == ((0, 1, 2),)
    assert said(["x", "y", None, None], **labelled) == ((0, 2),)
    assert said([None, None, None, None], **labelled) == ((0, 1, 2),)
    # Effects that correlate within a column are not taken as independent.
    assert said(["x", "x", "x", "y"], rho=0.5, within="group") == ()
    assert said(["x", "x", "z", "y"], rho=0.5, within="group") == ((0, 1, 2),)


def test_rows_without_arms_are_passed_over():
    frame = table().assign(y=[None, 1.0, None, None], v=[None, 0.1, None, None])
    frame.loc[1, "mean_treated":"n_control"] = None
    assert undeclared_note(frame, NONE) == ""
    assert undeclared_note(frame[["row_id", "study", "y", "v"]], NONE) == ""


def test_a_model_tells_it_and_a_fit_counts_it_a_problem():
    plan = design(POOLED, effect_sizes(table()))
    assert undeclared_note(table(), NONE) in plan.notes
    assert data_problems(plan) == [undeclared_note(table(), NONE)]
    declared = effect_sizes(table(group=["x", "x", "x", "x"]), shared_control="group")
    assert data_problems(design(POOLED, declared)) == []


def test_animals_measured_again_have_another_control_measurement():
    """The exact likelihood takes rows of a cluster as the same animals, treated and control."""
    effects = effect_sizes(table(experiment="1"), rho=0.5)
    plan = design(POOLED, effects)
    assert plan.spec.likelihood == "exact"
    (sentence,) = data_problems(plan)
    assert "taken as independent, or as measured again where they share their exp" in sentence
    normal = ModelSpec(decay="none", likelihood="normal")
    assert data_problems(design(normal, effects)) == []
    free = ModelSpec(decay="none", priors={"rho": uniform(0, 1)})
    assert data_problems(design(free, effect_sizes(table(experiment="1")))) == []


# -- split groups ------------------------------------------------------------------------------

SPLIT = table(n_control=[5, 4, 10, 10])


def test_a_split_control_group_has_no_exact_likelihood():
    effects = effect_sizes(SPLIT)
    reason = r"different n_control \(rows a, b\): a control group split over its comparisons"
    with pytest.raises(SpecError, match=f"likelihood = 'exact'.*{reason}"):
        design(ModelSpec(decay="none", likelihood="exact"), effects)
    plan = design(POOLED, effects)
    assert plan.spec.likelihood == "normal"
    assert any("not exact: rows of one study have one control" in note for note in plan.notes)


def test_a_label_does_not_make_a_split_group_whole():
    frame = SPLIT.assign(group="x")
    assert split_reason(frame, Sharing(shared_control="group"))
    apart = frame.assign(group=["x", "y", "x", "x"])
    assert split_reason(apart, Sharing(shared_control="group")) == ""
    assert design(POOLED, effect_sizes(apart, shared_control="group")).spec.likelihood == "exact"
    # Of two groups that are told apart, one is split.
    three = frame.assign(study="s", group=["x", "y", "x", "z"], n_control=[5, 4, 4, 10])
    assert alike_controls(three, Sharing(shared_control="group")).split == ((0, 2),)


def test_half_an_animal_is_refused_with_the_reason():
    with pytest.raises(TableError, match=r"'2\.5' is not a whole number; .* for shared_control="):
        effect_sizes(table(n_control=[2.5, 2.5, 10, 10]))


def test_another_correlation_asks_again():
    effects = effect_sizes(table(group=["x", "x", "x", "x"]))
    assert data_problems(design(POOLED, effects))
    assert not data_problems(design(POOLED, with_rho(effects, 0.0, shared_control="group")))


def maximum(d, df, inverse):
    """The mean and tau that noncentral t likelihoods of independent rows are highest at."""

    def deviance(at):
        s = np.sqrt(inverse + np.exp(2 * at[1]))
        return -(stats.nct.logpdf(d / s, df, at[0] / s) - np.log(s)).sum()

    found = optimize.minimize(deviance, [d.mean(), 0.0], method="Nelder-Mead", tol=1e-3).x
    return found[0], np.exp(found[1])


@pytest.mark.parametrize(("n", "parts"), [(8, 2), (6, 3), (8, 4)])
def test_what_splitting_a_control_group_does_to_the_exact_likelihood(n, parts):
    """The numbers that the refusal gives, at a mean of 5 and a tau of 1.6."""
    rng, rows = np.random.default_rng(31), 2000
    theta = 5 + 1.6 * rng.standard_normal((rows, 1))
    treated, control = theta + rng.standard_normal((rows, n)), rng.standard_normal((rows, n))
    found = []
    for n_control in (n, n / parts):
        arm = arms_of(
            treated.mean(1), treated.std(1, ddof=1), n, control.mean(1), control.std(1, ddof=1),
            n_control,
        )  # fmt: skip
        d, _ = SMD(arm, None, False)
        found.append(maximum(d, n + n_control - 2, 1 / n + 1 / n_control))
    (mean, tau), (split_mean, split_tau) = found
    # Standard errors at 2,000 rows: 0.045 of the mean, 0.04 of tau; both fits see one sample.
    assert abs(mean - 5) < 3 * 0.045
    assert abs(tau - 1.6) < 3 * 0.04
    assert -0.03 < split_mean / mean - 1 < -0.004
    assert -0.22 < split_tau / tau - 1 < -0.05
