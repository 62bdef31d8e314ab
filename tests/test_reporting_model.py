"""The section on the model: equations of this fit, reference delays, priors."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from fits import EIGHT_ROWS, prior_fit
from helpers import arms

import bayesma as bm
from bayesma.design import design
from bayesma.reporting.blocks import Table
from bayesma.reporting.equations import equations
from bayesma.reporting.material import Material
from bayesma.reporting.mathml import formula, fraction, given, minus, power, root, sub
from bayesma.reporting.priortable import prior_table
from bayesma.reporting.sections.model import model

ROWS = EIGHT_ROWS.assign(n_treated=[8, 9, 10, 11, 12, 7, 6, 5], n_control=8)
ARMS = arms(8, regimen=["a", "a", "b", "b"] * 2, delay=[1.0, 2, 4, 8] * 2)


def plan_of(rows=ROWS, within="experiment", **spec):
    return design(bm.ModelSpec(**spec), bm.effect_sizes(rows, within=within))


def texts(plan):
    return [block.text for block in equations(plan)]


def said(plan):
    return " ".join(block.says for block in equations(plan))


def priors_of(plan):
    return prior_table(plan).set_index("Parameter")


FLAT = {"peak": "1 + (1 | study)", "decay": "none"}
MODELS = {
    "flat": {**FLAT},
    "no groups": {"peak": "regimen", "decay": "none"},
    "two factors": {"peak": "regimen*species + (1 | study)", "decay": "none"},
    "exponential": {"peak": "regimen + (1 | study)", "half_life": "regimen"},
    "plateau": {"decay": "plateau", "persistent": "regimen"},
    "weibull": {"peak": "0 + regimen + log(dose) + (1 | study)", "decay": "weibull"},
    "student": {**FLAT, "population": "student"},
    "proportional": {"peak": "regimen + (1 | study)", "heterogeneity": "proportional"},
    "tau": {**FLAT, "tau": "regimen"},
    "small": {**FLAT, "small_study": "1/sqrt(n)"},
}


TAUS = {
    "flat": "standard deviation of true effects by study",
    "student": "scale of the Student-t of true effects by study",
    "proportional": "standard deviation of true effects by study where the mean is 0",
    "tau": "standard deviation of true effects by study, the average over rows",
}


@pytest.mark.parametrize("name", MODELS)
def test_equations_are_well_formed_and_explained(name):
    plan = plan_of(**MODELS[name])
    for block in equations(plan):
        root_element = ElementTree.fromstring(f"<math>{block.mathml}</math>")
        # What the mathematics holds the plain text holds too.
        letters = "".join(root_element.itertext()).replace(" ", "")
        assert set(letters) <= set(block.text), block.text
        assert block.says.endswith(".")


def test_the_likelihood_is_that_of_the_fit():
    assert texts(plan_of(**FLAT))[0] == "y_i ~ N(θ_i, v_i)"
    exact = plan_of(ARMS, **FLAT)
    assert texts(exact)[:2] == ["d_i√(q_s(i)) ~ N(θ_i, 1/T_i + 1/C_i)", "ν q_s ~ χ^2(ν)"]
    assert "the row itself" in said(exact)
    together = bm.effect_sizes(ROWS, rho=0.5, within="study")
    known = design(bm.ModelSpec(**FLAT), together)
    assert texts(known)[0] == "y ~ N(θ, V)"
    assert "ρ = 0.5" in said(known)
    unknown = plan_of(within="study", **FLAT, priors={"rho": bm.priors.uniform(0, 1)})
    assert "ρ, a parameter" in said(unknown)


def test_pooled_results_are_weighted_means_of_their_comparisons():
    plan = prior_fit("ketamine_pain", draws=20).design
    found = texts(plan)
    assert found[0] == "y_g ~ N((∑w_j m_j)/∑w_j, v_g)"
    assert found[1] == "w_j = 1/(τ_g^2 + 1/T_j + 1/C_j + m_j^2/(2(T_j + C_j)))"
    assert not any(text.startswith("θ") for text in found)
    equal = bm.load_analysis("ketamine_pain", variant="equal_weights")
    assert texts(design(equal.spec, equal.effects()))[1] == "w_j = 1"


@pytest.mark.parametrize(
    ("decay", "share"),
    [
        ("exponential", "s_i(t) = 2^(−t/h_i)"),
        ("plateau", "s_i(t) = p_i + (1 − p_i) 2^(−t/h_i)"),
        ("weibull", "s_i(t) = 2^(−(t/h_i)^(k_i))"),
    ],
)
def test_the_decay_is_that_of_the_fit(decay, share):
    found = [text for text in texts(plan_of(decay=decay)) if text.startswith("m_i")]
    assert found == [f"m_i = L_i s_i(t_i)/s_i(t_ref), {share}"]


def test_heterogeneity_is_that_of_the_fit():
    def spread(**spec):
        return next(t for t in texts(plan_of(**spec)) if t.startswith("u_"))

    assert spread(**FLAT) == "u_study ~ N(0, τ^2)"
    assert spread(**MODELS["student"]) == "u_study ~ t_n(0, τ^2)"
    assert spread(**MODELS["proportional"]) == "u_study ~ N(0, τ^2 + κ^2 m^2)"
    assert spread(**MODELS["tau"]) == "u_study ~ N(0, τ^2 e^(2 g_i))"
    assert "θ_i = m_i + u_study[i] + β x_i" in texts(plan_of(**MODELS["small"]))


def test_unknown_delays_have_their_prior():
    gap = ROWS.assign(delay=[None, *ROWS["delay"][1:]])
    priors = {"delay": bm.priors.log_normal(0, 1)}
    plan = plan_of(gap, peak="1 + (1 | study)", missing_delay="latent", priors=priors)
    assert texts(plan)[-1] == "t_j ~ LogNormal(0, 1)"
    # exp(-1.96) d = 3.38 h, exp(1.96) d = 7.10 d.
    assert priors_of(plan).loc["delay", "Its central 95%"] == "3.38 h to 7.1 d"
    assert priors_of(plan).loc["delay", "From"] == "set for this analysis"


def test_priors_are_read_in_units_of_people():
    table = priors_of(plan_of(peak="regimen + (1 | study)", half_life="regimen", decay="plateau"))
    # By hand: 2^(-1.96 x 3) d = 24.5 min, 2^(1.96 x 3) d = 58.9 d; logistic(1.96 x 1.5) = 0.95;
    # 2.5 x 1.96 = 4.9; a half-normal of scale 2 between its 2.5% and 97.5% quantiles, 0.0313 and
    # 2.24 times the scale.
    ranges = table["Its central 95%"]
    assert ranges["log2 half-life"] == "24.5 min to 58.9 d"
    assert ranges["difference in log2 half-life"] == "half-life × 0.017 to × 58.9"
    assert ranges["logit of the persistent share"] == "5.02% to 95%"
    assert ranges["difference in level"] == "−4.9 to 4.9 SMD"
    assert ranges["tau"] == "0.0627 to 4.48 SMD"
    assert set(table["From"]) == {"default"}
    binds = table["Binds"]
    assert binds["level"] == "effect at each regimen's lower-quartile delay, average over levels"
    assert binds["difference in level"] == "difference between any two levels of regimen"
    # The persistent share has one value: no contrast of it is bound by a prior.
    assert "difference in logit of the persistent share" not in table.index


def test_contrasts_bind_only_what_is_coded_by_them():
    table = priors_of(plan_of(**MODELS["weibull"]))
    assert table.loc["difference in level", "Binds"] == (
        "change over one standard deviation of log(dose)"
    )
    assert table.loc["level", "Binds"].endswith("each level by itself")


def test_tau_is_what_the_population_makes_of_it():
    binds = {name: priors_of(plan_of(**MODELS[name])).loc["tau", "Binds"] for name in TAUS}
    assert binds == TAUS


def test_a_named_prior_of_tau_keeps_its_name():
    plan = plan_of(**FLAT, priors={"tau": bm.priors.named("animal_smd_2026")})
    assert priors_of(plan).loc["tau", "From"] == "animal_smd_2026"


def test_the_section_states_where_levels_stand():
    fit = prior_fit(
        bm.effect_sizes(ROWS), bm.ModelSpec(peak="regimen", half_life="regimen"), draws=20
    )
    (table,) = (
        b for b in model(Material(fit)) if isinstance(b, Table) and b.name == "model-references"
    )
    # The lower quartile of four delays is the first: 12 h of 12 h to 4 d, 3 d of 3 to 28 d.
    assert table.frame.to_dict("records") == [
        {
            "regimen": "repeated",
            "Reference delay": "3 d",
            "Reference delay (d)": 3.0,
            "Rows there": 4,
        },
        {
            "regimen": "single",
            "Reference delay": "12 h",
            "Reference delay (d)": 0.5,
            "Rows there": 4,
        },
    ]


def test_pieces_are_written_as_letters():
    assert formula(sub("y", "i"), "=", fraction("1", "n"), "m").text == "y_i = 1/n m"
    assert formula(power("x", "2"), "+", root("q"), minus("t")).text == "x^2 + √(q)−t"
    assert formula(given("N", "0", "1")).text == "N(0, 1)"
    assert "&lt;" in formula("a", "<", "b").mathml
