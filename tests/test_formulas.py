import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesma.errors import SpecError
from bayesma.formulas import parse


@pytest.mark.parametrize(
    ("text", "intercept", "terms", "variables", "groups"),
    [
        ("1", True, [], [], []),
        ("", True, [], [], []),
        ("~ 1", True, [], [], []),
        ("regimen", True, ["regimen"], ["regimen"], []),
        ("0 + regimen", False, ["regimen"], ["regimen"], []),
        ("regimen - 1", False, ["regimen"], ["regimen"], []),
        ("a * b", True, ["a", "b", "a:b"], ["a", "b"], []),
        ("(a + b) ** 2", True, ["a", "b", "a:b"], ["a", "b"], []),
        ("log(dose):regimen", True, ["log(dose):regimen"], ["dose", "regimen"], []),
        ("log(delay + 1)", True, ["log(delay + 1)"], ["delay"], []),
        ("I(dose ** 2)", True, ["I(dose ** 2)"], ["dose"], []),
        ("C(year)", True, ["C(year)"], ["year"], []),
        ("1 + (1 | study)", True, [], [], ["study"]),
        ("(1 | study/experiment) + a", True, ["a"], ["a"], ["study", "experiment"]),
        ("(1 | study) + (1 | study:experiment)", True, [], [], ["study", "experiment"]),
        ("(1|a/b/c)", True, [], [], ["a", "b", "c"]),
    ],
)
def test_formulas_are_read(text, intercept, terms, variables, groups):
    found = parse(text)
    assert found.text == text
    assert found.intercept is intercept
    assert [":".join(term) for term in found.terms] == terms
    assert found.variables == set(variables)
    assert list(found.groups) == groups


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y ~ regimen", "tau = 'y ~ regimen': the left side is always the effect; drop it"),
        ("regimen +", r"tau = 'regimen \+': cannot be parsed \("),
        ("regimen species", "cannot be parsed .an operator is missing before 'species'"),
        ("regimen) + species", "cannot be parsed"),
        ("regimen @ 2", r"cannot be parsed \(Unexpected character: @\)"),
        ("0 * dose", "cannot be parsed; its operators do not fit together"),
        ("dose ** 2", r"a power of one column is written I\(dose \*\* 2\)"),
        ("a + 2 * dose ** 2", "a power of one column is written"),
        ("dose + 2", "2 is not a column; the only numbers are 0 and 1"),
        ("None", "None is not a column"),
        ("offset(dose)", r"offset\(\) is not supported"),
        ("0", "it has no mean; add 1 or a covariate"),
        ("1 | study", "it has no mean; add 1 or a covariate, and put group effects in parentheses"),
        ("0 + (1 | study)", "it has no mean"),
        ("(dose | study)", r"only intercepts vary between groups, as in \(1 \| study\)"),
        ("(1 + dose | study)", "only intercepts vary between groups"),
        (
            "(1 | study) + (1 | lab)",
            r"group effects must be nested, as in \(1 \| study/experiment\)",
        ),
        ("(1 | study:experiment)", "group effects must be nested"),
        ("(1 | study + lab)", "group effects must be nested"),
        ("(1 | log(dose))", r"groups are columns, as in \(1 \| study\)"),
        (3, "tau = 3: a formula is text"),
        (None, "tau = None: a formula is text"),
        (["a"], r"tau = \['a'\]: a formula is text"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, message):
    with pytest.raises(SpecError, match=message) as caught:
        parse(text, "tau")
    assert str(caught.value).startswith("tau = ")


TOKENS = [
    *("a", "b", "study", "0", "1", "2", "0.5", "'x'", "`a b`", "None", "True", "1|study"),
    *("+", "-", "*", "**", "/", "//", ":", "|", "%", "=", "==", "<", "!", "~", ",", "."),
    *("(", ")", "[", "]", "{", "}", "log(", "C(", "I(", "offset(", "scale(a)", "bs(a, df=3)"),
    *("@", "#", "\\", '"', "\n", "é", "lambda"),
]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(TOKENS), max_size=8), st.sampled_from(["", " "]))
def test_any_text_is_a_formula_or_a_spec_error(tokens, gap):
    text = gap.join(tokens)
    try:
        found = parse(text)
    except SpecError:
        return
    assert found.intercept or found.terms
    assert all(isinstance(name, str) and name for name in found.variables)
    # Nothing the text names is dropped on the way, except by a minus, as an argument's name or
    # inside quotes.
    if gap and not {"-", "=", '"'} & set(tokens):
        named = {"a", "b"} & set(tokens)
        assert named <= set(found.variables) | set(found.groups)


def test_the_same_text_is_parsed_once():
    assert parse("a + b") is parse("a + b")
