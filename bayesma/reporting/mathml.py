"""Equations as MathML and as plain letters, written once from the same pieces.

A piece is a pair: its MathML and its plain text.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from bayesma.reporting.blocks import Formula

__all__ = [
    "Piece",
    "formula",
    "fraction",
    "given",
    "join",
    "minus",
    "power",
    "root",
    "sub",
    "symbol",
    "text",
]

OPERATORS = set("~=+−·/()|,∑√≤<>∈:")


@dataclass(frozen=True)
class Piece:
    """A part of an equation.

    Attributes
    ----------
    mathml : str
    plain : str
    """

    mathml: str
    plain: str


def symbol(name: str) -> Piece:
    """Return a letter, a number or an operator."""
    if name in OPERATORS:
        # Commas and parentheses stand close in plain letters.
        plain = f"{name} " if name == "," else name if name in "()|∑√/" else f" {name} "
        if name == "~":  # of which browsers know no spacing
            return Piece('<mo lspace="0.28em" rspace="0.28em">~</mo>', plain)
        return Piece(f"<mo>{escape(name)}</mo>", plain)
    tag = "mn" if name.replace(".", "").isdigit() else "mi"
    return Piece(f"<{tag}>{escape(name)}</{tag}>", name)


def text(words: str) -> Piece:
    """Return words inside an equation."""
    return Piece(f"<mtext>{escape(words)}</mtext>", words)


def join(*parts: Piece | str) -> Piece:
    """Return pieces side by side; strings are symbols."""
    mathml, plain = "", ""
    for part in map(_piece, parts):
        # A product of letters is set with a gap, as in m x and not mx.
        apart = plain[-1:].isalnum() or plain.endswith(")")
        if apart and part.plain[:1].isalnum():
            mathml, plain = f'{mathml}<mspace width="0.2em"></mspace>', f"{plain} "
        mathml, plain = mathml + part.mathml, plain + part.plain
    return Piece(f"<mrow>{mathml}</mrow>", plain)


def minus(part: Piece | str) -> Piece:
    """Return the negative of a piece."""
    inner = _piece(part)
    return Piece(f"<mrow><mo>−</mo>{inner.mathml}</mrow>", f"−{inner.plain}")


def sub(base: Piece | str, index: Piece | str) -> Piece:
    """Return a base with an index below."""
    base, index = _piece(base), _piece(index)
    return Piece(f"<msub>{base.mathml}{index.mathml}</msub>", f"{base.plain}_{index.plain.strip()}")


def power(base: Piece | str, exponent: Piece | str) -> Piece:
    """Return a base with an exponent."""
    base, exponent = _piece(base), _piece(exponent)
    over = exponent.plain.strip()
    over = over if len(over) == 1 else f"({over})"
    return Piece(f"<msup>{base.mathml}{exponent.mathml}</msup>", f"{base.plain}^{over}")


def fraction(above: Piece | str, below: Piece | str) -> Piece:
    """Return one piece over another."""
    above, below = _piece(above), _piece(below)
    tops, bottoms = (_wrapped(part.plain) for part in (above, below))
    return Piece(f"<mfrac>{above.mathml}{below.mathml}</mfrac>", f"{tops}/{bottoms}")


def root(inside: Piece | str) -> Piece:
    """Return a square root."""
    inside = _piece(inside)
    return Piece(f"<msqrt>{inside.mathml}</msqrt>", f"√({inside.plain})")


def given(name: Piece | str, *arguments: Piece | str) -> Piece:
    """Return a function or distribution of arguments: N(m, v)."""
    parts: list[Piece | str] = [name, "("]
    for place, argument in enumerate(arguments):
        parts += [",", argument] if place else [argument]
    return join(*parts, ")")


def formula(*parts: Piece | str, says: str = "") -> Formula:
    """Return an equation as a block."""
    whole = join(*parts)
    return Formula(whole.mathml, " ".join(whole.plain.split()), says)


def _piece(part: Piece | str) -> Piece:
    return symbol(part) if isinstance(part, str) else part


def _wrapped(plain: str) -> str:
    return f"({plain.strip()})" if " " in plain.strip() else plain.strip()
