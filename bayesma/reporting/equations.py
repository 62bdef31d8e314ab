"""The model of a fit as equations, each with what its symbols are."""

from __future__ import annotations

from collections.abc import Iterator

from bayesma.coders import Coder
from bayesma.coding import Predictor
from bayesma.design import Design
from bayesma.reporting.blocks import Formula
from bayesma.reporting.mathml import (
    Piece,
    formula,
    fraction,
    given,
    join,
    minus,
    power,
    root,
    sub,
    symbol,
    text,
)
from bayesma.reporting.phrases import listed

__all__ = ["equations"]

# Parameter of the spec to its symbol and what it is.
SYMBOLS: dict[str, tuple[Piece, str]] = {
    "peak": (sub("L", "i"), "L: level, the mean effect"),
    "half_life": (join(sub("log", "2"), sub("h", "i")), "h: half-life in days"),
    "persistent": (join("logit", sub("p", "i")), "p: share of the peak that never fades"),
    "shape": (
        join("log", sub("k", "i")),
        "k: shape; 1 is exponential, below 1 falls fast and then lingers",
    ),
}


def equations(plan: Design) -> Iterator[Formula]:
    """Yield the equations from the data down to the parameters."""
    yield from _likelihood(plan)
    if not plan.pooled.all():
        yield _effect(plan)
    yield from _heterogeneity(plan)
    yield _mean(plan)
    told = False
    for name in plan.spec.predictors:
        predictor = plan.predictors[name]
        factors = any(coder.levels for coder in predictor.coders.values())
        coding = _coding_words(predictor) if factors and not told else ""
        told |= factors
        yield _predictor(predictor, *SYMBOLS[name], plan.spec.formula(name).text, coding)
    if plan.latent is not None:
        yield formula(
            sub("t", "j"),
            "~",
            text(str(plan.spec.priors["delay"])),
            says=f"Unknown delays in days, {len(plan.latent.labels)} of them: one for each study "
            "(and decay cell) that does not report its own.",
        )


def _i(name: str) -> Piece:
    return sub(name, "i")


def _likelihood(plan: Design) -> Iterator[Formula]:
    if plan.exact is not None:
        yield from _exact(plan)
        return
    if plan.pooling is not None:
        yield from _pooled(plan)
        if plan.pooled.all():
            return
    if plan.clusters is not None or plan.effects.covariance.blocks:
        yield formula("y", "~", given("N", symbol("θ"), "V"), says=_covariance_words(plan))
    else:
        yield formula(
            _i("y"),
            "~",
            given("N", _i("θ"), _i("v")),
            says=f"Row i: y is its effect ({plan.effects.measure}), v its sampling variance, taken "
            "as known, and θ its true effect.",
        )


def _covariance_words(plan: Design) -> str:
    start = (
        f"y: effects ({plan.effects.measure}); θ: true effects; V: sampling covariance, with the "
        "known variances on its diagonal. "
    )
    sharing = plan.effects.sharing
    if plan.clusters is not None:
        return start + f"Effects of one {sharing.within} correlate by ρ, a parameter."
    if sharing.labelled:
        return start + "Effects that share animals covary as their arms say."
    return start + f"Effects of one {sharing.within} correlate by ρ = {sharing.rho:g}."


def _exact(plan: Design) -> Iterator[Formula]:
    assert plan.exact is not None
    sets = plan.exact.of
    yield formula(
        _i("d"),
        root(sub("q", text("s(i)"))),
        "~",
        given("N", _i("θ"), join(fraction("1", _i("T")), "+", fraction("1", _i("C")))),
        says="Row i: d is its standardised difference before the small-sample correction, θ its "
        "true effect, T and C the numbers of treated and control animals, and s(i) its set"
        + (
            " (here the row itself)."
            if len(plan.exact.df) == len(sets)
            else ": the rows that share a control measurement, of which two covary by 1/C."
        ),
    )
    says = (
        "q: sample variance over the animals' own, with ν degrees of freedom, all arms of the set "
        "together. With it integrated out d is noncentral t (Hedges 1981); no sampling variance "
        "is taken as known."
    )
    if len(plan.exact.visits.df):
        says += (
            f" Animals measured again correlate by {plan.exact.rho:g} between measurements, which "
            "ties the q of their sets."
        )
    yield formula("ν", sub("q", "s"), "~", power("χ", "2"), given("", "ν"), says=says)


def _pooled(plan: Design) -> Iterator[Formula]:
    """Yield the mean of a published pooled result and the weights of its comparisons."""
    assert plan.pooling is not None
    terms = fraction(join("∑", sub("w", "j"), sub("m", "j")), join("∑", sub("w", "j")))
    yield formula(
        sub("y", "g"),
        "~",
        given("N", terms, sub("v", "g")),
        says="Pooled result g: y as published, v its squared standard error; the sums run over the "
        "comparisons j behind it, whose mean effects are m.",
    )
    if not plan.pooling.slope.any():
        yield formula(sub("w", "j"), "=", "1", says="Every comparison of a result weighs alike.")
        return
    size = join(fraction("1", sub("T", "j")), "+", fraction("1", sub("C", "j")))
    spread = fraction(
        power(sub("m", "j"), "2"), join("2", "(", sub("T", "j"), "+", sub("C", "j"), ")")
    )
    yield formula(
        sub("w", "j"),
        "=",
        fraction("1", join(power(sub("τ", "g"), "2"), "+", size, "+", spread)),
        says="Weights of a random-effects mean (Hedges & Vevea 1998): T and C are the numbers of "
        "animals of the comparison, and τ_g² = I² k v of the published result.",
    )


def _effect(plan: Design) -> Formula:
    parts: list[Piece | str] = [_i("θ"), "=", _i("m")]
    says = ["m: population mean effect"]
    letters = ("u", "w", "z")
    for depth, name in enumerate(plan.groups.names):
        parts += ["+", sub(letters[min(depth, 2)], text(f"{name}[i]"))]
        says.append(f"{letters[min(depth, 2)]}: effect of the row's {name}")
    if plan.small_study is not None:
        parts += ["+", "β", _i("x")]
        says.append(
            "β x: small-study term; x is 1/√n of the row, n its animals, centred and divided by "
            "its standard deviation over the rows"
        )
    if plan.pooled.any() and not plan.pooled.all():
        says.append("pooled results have no group effects")
    return formula(*parts, says="; ".join(says) + ".")


def _heterogeneity(plan: Design) -> Iterator[Formula]:
    names = plan.groups.names
    letters = ("u", "w", "z")
    for depth, name in enumerate(names):
        student = plan.spec.population == "student" and depth == 0
        tau = sub("τ", text(name)) if depth else symbol("τ")
        variance = _variance(plan, tau, sub("κ", text(name)) if depth else symbol("κ"))
        base = sub(letters[min(depth, 2)], text(name))
        law = given(sub("t", "n"), "0", variance) if student else given("N", "0", variance)
        yield formula(base, "~", law, says=_heterogeneity_words(plan, depth, student))


def _variance(plan: Design, tau: Piece, kappa: Piece) -> Piece:
    if plan.kappa_names:
        return join(power(tau, "2"), "+", power(kappa, "2"), power("m", "2"))
    if plan.varying_tau:
        return join(power(tau, "2"), power("e", join("2", _i("g"))))
    return power(tau, "2")


def _heterogeneity_words(plan: Design, depth: int, student: bool) -> str:
    name = plan.groups.names[depth]
    what = "scale" if student else "standard deviation"
    said = f"τ: {what} of the effects by {name}"
    if plan.kappa_names:
        said += " where the mean is 0; κ: how it grows with the mean m"
    if student:
        said += (
            "; a Student-t with n degrees of freedom (nu in the table of priors) discounts "
            "what lies far from the rest"
        )
    if plan.varying_tau:
        said += (
            f"; g: how log τ of the row differs from its average, by the formula {plan.spec.tau}"
        )
    last = depth == len(plan.groups.names) - 1
    return f"{said}.{' Group effects are integrated out, not sampled.' if last else ''}"


def _mean(plan: Design) -> Formula:
    cells = listed(list(plan.cells))
    if not plan.spec.family.parameters:
        return formula(
            _i("m"),
            "=",
            _i("L"),
            says="m: population mean effect; no decay, so the same at every delay.",
        )
    age = join("t", "/", _i("h"))
    right = {
        "exponential": power("2", minus(age)),
        "plateau": join(_i("p"), "+", "(", "1", "−", _i("p"), ")", power("2", minus(age))),
        "weibull": power("2", minus(power(join("(", age, ")"), _i("k")))),
    }[plan.spec.decay]
    index = text("ref")
    ratio = fraction(given(_i("s"), _i("t")), given(_i("s"), sub("t", index)))
    where = f" of its {cells}" if cells else ""
    return formula(
        _i("m"),
        "=",
        _i("L"),
        ratio,
        ",",
        given(_i("s"), "t"),
        "=",
        right,
        says="t: days since the last dose (0 while exposed); s(t): share of the peak left after t; "
        f"t_ref: reference delay{where}, at which the level L is stated (table below). The peak "
        "itself is L / s(t_ref).",
    )


def _predictor(predictor: Predictor, left: Piece, words: str, written: str, coding: str) -> Formula:
    """Return a linear predictor: an average and what each covariate adds."""
    parts: list[Piece | str] = []
    for place, product in enumerate(predictor.products):
        parts += ["+"] if place else []
        if not product:
            parts.append("α")
            continue
        factors = [coder.name for coder in product if coder.levels]
        numbers = [coder.expression for coder in product if not coder.levels]
        inner = " × ".join(f"{name}[i]" for name in factors)
        parts.append(sub("α" if factors else "β", text(inner or numbers[0])))
        parts += [text(f" {name} ") for name in numbers]
    says = f"{words}. Formula: {written}.{coding}"
    if any(isinstance(c, Coder) and not c.levels for p in predictor.products for c in p):
        says += " Numbers are taken from their mean over the rows."
    return formula(left, "=", *parts, says=says)


def _coding_words(predictor: Predictor) -> str:
    """Return how the levels of factors are coded."""
    if any(not product for product in predictor.products):
        return " α is the average over levels; the terms of a factor sum to 0."
    return " Each level has its own mean."
