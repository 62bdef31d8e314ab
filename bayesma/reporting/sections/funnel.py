"""Whether smaller studies find more."""

from __future__ import annotations

import pandas as pd

from bayesma.errors import BayesmaError
from bayesma.frequentist import Asymmetry, egger
from bayesma.frequentist.sentences import p_text
from bayesma.plots.funnel import plot_funnel
from bayesma.queries.funnels import funnel_points
from bayesma.reporting.blocks import Block, Picture, Table, Words
from bayesma.reporting.material import Material
from bayesma.reporting.phrases import estimate

__all__ = ["funnel"]

# Below so many rows a test of asymmetry has no power (Sterne et al. 2011, BMJ 343:d4002).
FEWEST = 10
CAUSES = (
    "An uneven funnel is not proof of publication bias. Smaller studies can find more because they "
    "choose stronger doses, models or shorter delays, because they are less rigorous, because "
    "effects truly differ, or by chance; and where small studies with small effects are missing, "
    "the funnel cannot say why."
)


def funnel(material: Material) -> tuple[Block, ...]:
    """Return the section; before convergence it holds the effects alone, no fitted mean."""
    fit = material.fit
    if fit.design.pooled.all():
        return (
            Words(
                "No funnel: every row is a published pooled result, which stands for studies of "
                "many sizes and has none of its own. Look at the funnels of the reviews the rows "
                "come from."
            ),
        )
    points = funnel_points(fit, fitted=material.converged)
    found, reason = _egger(points)
    figure = plot_funnel(points, found)
    blocks: list[Block] = [*_words(material, points)]
    what = "residuals" if points.attrs["of"] == "residual" else "effects"
    axis = "1/√n" if points.attrs["predictor"] == "1/sqrt(n)" else "their standard error"
    alt = f"Funnel of {len(points)} {what} ({material.measure}) against {axis}. "
    alt += reason if found is None else _sentence(found)
    blocks.append(
        Picture(
            "funnel-plot",
            f"Funnel: {what} against {axis}.",
            alt,
            figure,
            _twin(material, points),
        )
    )
    if found is None:
        blocks.append(Words(reason))
    else:
        blocks += [Words(_sentence(found)), _table(found)]
        blocks += [Words(f"{note[0].upper()}{note[1:]}.", "note") for note in found.notes]
        blocks.append(Words(_dependence(points), "note"))
    blocks.append(Words(CAUSES))
    return tuple(blocks)


def _words(material: Material, points: pd.DataFrame) -> list[Words]:
    """Say what is drawn against what, and why."""
    found = []
    if points.attrs["predictor"] == "1/sqrt(n)":
        text = "Size is 1/√n, n the animals of both arms."
        if material.measure in ("SMD", "SMDH"):
            text += (
                " The standard error of an SMD grows with the SMD itself, so that a funnel "
                "against it is skewed without any bias (Zwetsloot et al. 2017, eLife 6:e24260)."
            )
        found.append(Words(text))
    else:
        missing = int(points["n"].isna().sum())
        found.append(
            Words(
                f"{missing} of {len(points)} rows do not say how many animals they had, so size "
                "is the standard error."
            )
        )
        if material.measure in ("SMD", "SMDH"):
            found.append(
                Words(
                    "The standard error of an SMD grows with the SMD itself: this funnel is "
                    "skewed even without any bias. Give n_treated and n_control of every row for "
                    "one that is not (Zwetsloot et al. 2017, eLife 6:e24260).",
                    "caution",
                )
            )
    pooled = int(material.fit.design.pooled.sum())
    if pooled:
        found.append(Words(f"Left out: {pooled} pooled results, which have no size of their own."))
    if points.attrs["of"] == "residual":
        found.append(
            Words(
                "The mean goes with covariates or fades, so what is drawn is each effect minus "
                "the mean that the model has for such a row."
            )
        )
    if not material.converged:
        found.append(
            Words("The fit has not converged, so effects are drawn as observed.", "caution")
        )
    if material.fit.design.small_study is not None:
        found.append(
            Words(
                "The model has a small-study term of its own; the means drawn here are those of a "
                "study of average size.",
                "note",
            )
        )
    return found


def _egger(points: pd.DataFrame) -> tuple[Asymmetry | None, str]:
    """Return Egger's test on what is drawn, or why there is none."""
    if len(points) < FEWEST:
        return None, (
            f"No test of asymmetry: {len(points)} rows are fewer than {FEWEST}, too few to tell "
            "it from chance."
        )
    predictor = str(points.attrs["predictor"])
    try:
        n = points["n"].to_numpy() if predictor == "1/sqrt(n)" else None
        y, v = points["effect"].to_numpy(), points["v"].to_numpy()
        return egger(y, v, predictor=predictor, n=n), ""
    except BayesmaError as error:
        return None, f"No test of asymmetry: {error}."


def _sentence(found: Asymmetry) -> str:
    (low, high), slope = found.inference.ci[1], float(found.beta[1])
    x = "1/√n" if found.predictor == "1/sqrt(n)" else "the standard error"
    return (
        f"Egger's regression on {x} (mixed model, {found.k} rows): slope "
        f"{estimate(slope, float(low), float(high))}, {p_text(found.p)}; a slope above 0 means "
        "larger effects (more positive) in smaller studies."
    )


def _dependence(points: pd.DataFrame) -> str:
    text = "The test takes rows as independent"
    if points["study"].nunique() < len(points):
        text += f"; here {len(points)} rows come from {points['study'].nunique()} studies"
    if points.attrs["of"] == "residual":
        text += (
            ". It is made on residuals, as if the fitted mean were known, which leans towards "
            "finding nothing where covariates go with size"
        )
    return f"{text}."


def _table(found: Asymmetry) -> Table:
    table = found.table
    names = {"Intercept": "limit of a very large study"}
    frame = pd.DataFrame(
        {
            "Coefficient": [names.get(str(name), f"slope on {name}") for name in table.index],
            "Estimate": table["estimate"].to_numpy(),
            "95% low": table["ci_low"].to_numpy(),
            "95% high": table["ci_high"].to_numpy(),
            "p": table["p"].to_numpy(),
        }
    )
    return Table("funnel-egger", "Egger's regression, mixed model (REML)", frame, digits=3)


def _twin(material: Material, points: pd.DataFrame) -> Table:
    columns: dict[str, object] = {"Row": points["name"]}
    if points["n"].notna().any():
        columns["Animals"] = points["n"]
    columns |= {f"Observed ({material.measure})": points["y"], "Standard error": points["v"] ** 0.5}
    if points.attrs["of"] == "residual":
        columns |= {"Fitted mean": points["fitted"], "Residual": points["effect"]}
    frame = pd.DataFrame(columns)
    if "Animals" in frame and frame["Animals"].notna().all():
        frame["Animals"] = frame["Animals"].astype(int)
    by = frame.columns[1] if "Animals" in frame else "Standard error"
    frame = frame.sort_values(by, ascending="Animals" not in frame, kind="stable")
    return Table(
        "funnel-rows", "Rows of the funnel, largest first", frame.reset_index(drop=True), mark="Row"
    )
