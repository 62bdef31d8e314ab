"""Formulas in the usual notation, parsed by formulae, held as plain names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from bayesma.errors import SpecError

__all__ = ["Formula", "parse"]


@dataclass(frozen=True)
class Formula:
    """A parsed formula.

    Attributes
    ----------
    text : str
        As written.
    intercept : bool
        Whether it has one.
    terms : tuple of tuple of str
        Each term as the expressions it multiplies: ``(("regimen",), ("regimen", "log(dose)"))``.
    variables : frozenset of str
        Columns the common terms use.
    groups : tuple of str
        Columns of nested group effects, outermost first.
    """

    text: str
    intercept: bool
    terms: tuple[tuple[str, ...], ...]
    variables: frozenset[str]
    groups: tuple[str, ...] = ()


def parse(text: str, parameter: str = "peak") -> Formula:
    """Return the parsed formula.

    Parameters
    ----------
    text : str
        E.g. ``"drug + regimen + (1 | study/experiment)"``; a leading ``~`` is ignored.
    parameter : str
        The parameter it is for, named in messages.

    Raises
    ------
    SpecError
        If it cannot be parsed, or asks for group effects that the model does not have.
    """
    if not isinstance(text, str):
        raise SpecError(f"{parameter} = {text!r}: a formula is text, such as '1 + regimen'")
    return _parse(text, parameter)


@cache
def _parse(text: str, parameter: str) -> Formula:
    subject = f"{parameter} = '{text}'"
    formula = text.strip().removeprefix("~").strip()
    if "~" in formula:
        raise SpecError(f"{subject}: the left side is always the effect; drop it")
    model = _model(formula or "1", subject)
    terms, variables, intercept = [], set[str](), False
    for term in model.common_terms:
        if not hasattr(term, "components"):
            intercept = True
            continue
        terms.append(tuple(_expression(component, subject) for component in term.components))
        # A literal inside a call, as the 1 in log(dose + 1), is listed without a name.
        variables |= {name for name in term.var_names if name}
    if not intercept and not terms:
        raise SpecError(
            f"{subject}: it has no mean; add 1 or a covariate, and put group effects in "
            "parentheses, as in 1 + (1 | study)"
        )
    return Formula(text, intercept, tuple(terms), frozenset(variables), _groups(model, subject))


def _model(formula: str, subject: str) -> Any:
    """Return formulae's description of the model."""
    # Not model_description(): it stops at the first token that does not fit and ignores the
    # rest, so that "regimen species" would pass as "regimen".
    from formulae.parser import ParseError, Parser
    from formulae.resolver import Resolver, ResolverError
    from formulae.scanner import ScanError, Scanner
    from formulae.terms.call_resolver import CallResolverError
    from formulae.terms.terms import Model

    try:
        parser = Parser(Scanner(formula).scan())
        tree = parser.parse()
        if not parser.at_end():
            raise ParseError(f"an operator is missing before '{parser.peek().lexeme}'")
        if _has_bare_power(tree):
            raise ParseError("a power of one column is written I(dose ** 2)")
        described = Resolver(tree).resolve()
        return described if isinstance(described, Model) else Model(described)
    except (ScanError, ParseError, ResolverError, CallResolverError) as error:
        raise SpecError(f"{subject}: cannot be parsed ({error})") from error
    # Its operators are Python's on terms that do not have them all: 0 * dose is a TypeError,
    # 0 ** 1 an AttributeError, dose ** None an UnboundLocalError.
    except (AttributeError, NameError, TypeError, ValueError) as error:
        raise SpecError(
            f"{subject}: cannot be parsed; its operators do not fit together"
        ) from error


def _has_bare_power(tree: Any) -> bool:
    """Return whether a power of one column stands outside a call: formulae reads the column."""
    operator = getattr(getattr(tree, "operator", None), "kind", "")
    if operator == "STAR_STAR" and not hasattr(tree.left, "expression"):
        return True
    parts = [getattr(tree, part, None) for part in ("left", "right", "expression")]
    return any(_has_bare_power(part) for part in parts if part is not None)


def _expression(component: Any, subject: str) -> str:
    """Return a component as source text: a column name or a call."""
    call = getattr(component, "call", None)
    if call is None and not isinstance(component.name, str):
        raise SpecError(
            f"{subject}: {component.name} is not a column; the only numbers are 0 and 1"
        )
    if getattr(call, "callee", "") == "offset":
        raise SpecError(f"{subject}: offset() is not supported; subtract it from the effects")
    return str(component.name if call is None else call)


def _groups(model: Any, subject: str) -> tuple[str, ...]:
    """Return the columns of nested group effects, outermost first."""
    chains = set()
    for term in model.group_terms:
        if hasattr(term.expr, "components"):
            raise SpecError(f"{subject}: only intercepts vary between groups, as in (1 | study)")
        columns = term.factor.components
        if any(hasattr(c, "call") or not isinstance(c.name, str) for c in columns):
            raise SpecError(f"{subject}: groups are columns, as in (1 | study)")
        chains.add(tuple(component.name for component in columns))
    longest = max(chains, key=len, default=())
    if chains != {longest[:depth] for depth in range(1, len(longest) + 1)}:
        raise SpecError(f"{subject}: group effects must be nested, as in (1 | study/experiment)")
    return longest
