"""Reports of all shipped models in headless Chromium: what a reader with a browser meets."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from axe_playwright_python.sync_playwright import Axe
from fits import conjugate_fit
from playwright.sync_api import Page, sync_playwright

import bayesma as bm

# They sample, too: "not slow" leaves them out as well.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

MODELS = ("ketamine_pain", "simulated_decay", "nmda_preference", "nmda_social", "fst")
# Pages made from one fit stay on one worker, which then samples it once.
FITS = {"stuck": "simulated_decay"}


def pages(*names: str) -> pytest.MarkDecorator:
    marked = [pytest.param(n, marks=pytest.mark.xdist_group(FITS.get(n, n))) for n in names]
    return pytest.mark.parametrize("name", marked)


# All pages are of one template; axe takes half a minute where marks go by the thousand.
SMALL = ("ketamine_pain", "nmda_preference", "stuck")
# Nothing a browser does on its own account is to look like a request of the page.
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
MEGABYTE = 1e6


def stuck(fit: bm.Fit) -> bm.Fit:
    """The same fit with its first chain elsewhere, as chains are that have not converged."""
    posterior = fit.posterior.copy(deep=True)
    for name in posterior.data_vars:
        posterior[name] = posterior[name] + 3.0 * (posterior["chain"] == 0)
    groups = {name: node.dataset for name, node in fit.tree.children.items()}
    tree = xr.DataTree.from_dict(groups | {"posterior": posterior})
    tree.attrs = fit.tree.attrs
    return bm.Fit(tree, fit.design)


def thousand() -> bm.Fit:
    """A fit of 1,000 simulated studies, drawn from its exact posterior."""
    rng = np.random.default_rng(1)
    v = rng.uniform(0.1, 0.6, 1000)
    y = 1.5 + rng.normal(0, 0.8, 1000) + rng.normal(0, np.sqrt(v))
    study = [f"Simulated {number:04d}" for number in range(1000)]
    rows = pd.DataFrame({"study": study, "y": y, "v": v, "n_treated": 8.0, "n_control": 8.0})
    spec = bm.ModelSpec(peak="1 + (1 | study)", decay="none", likelihood="normal")
    return conjugate_fit(spec, bm.effect_sizes(rows), draws=250)


@pytest.fixture(scope="module")
def reports(tmp_path_factory, prepared):
    """Pages by name, made when first asked for: a worker of the test run fits what it opens."""
    folder = tmp_path_factory.mktemp("reports")
    fits: dict[str, bm.Fit] = {}

    def fitted(name: str) -> bm.Fit:
        if name not in fits:
            model, _, variant = name.partition("/")
            analysis = bm.load_analysis(model, variant or None)
            fits[name] = bm.fit(analysis, seed=1, progress=False, folder=prepared)
        return fits[name]

    def made(name: str) -> Path:
        target = folder / f"{name}.html"
        if target.exists():
            return target
        if name == "thousand":
            bm.report(thousand(), target)
        elif name == "stuck":
            bm.report(stuck(fitted("simulated_decay")), target)
        elif name == "ketamine_pain":
            plateau = fitted("ketamine_pain/plateau")
            forms = {"exponential": fitted(name), "plateau": plateau}
            human = bm.translate(forms, regimen=["single", "repeated"], delay=[0.125, 1, 3])
            bm.report(forms["exponential"], target, beside={"plateau": plateau}, translation=human)
        else:
            bm.report(fitted(name), target)
        return target

    return made


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "these tests open pages in Chromium: install it (Debian: package chromium)"
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield found
        found.close()


def opened(browser, path: Path, width: int = 1280, **options) -> tuple[Page, list[str]]:
    """Return the page, and what it said, threw or asked for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, **options)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(path.as_uri())
    own = {path.as_uri(), "data:,"}
    return page, [entry for entry in heard if entry not in own]


@pages(*MODELS, "stuck", "thousand")
def test_a_report_in_a_browser(name, reports, browser):
    path = reports(name)
    assert path.stat().st_size < 5 * MEGABYTE
    page, heard = opened(browser, path)
    assert heard == []
    hold_together(page)
    if name in SMALL:
        findings = Axe().run(page)
        assert findings.violations_count == 0, findings.generate_report()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        # What is too wide scrolls in its own box; the page does not.
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(media="print")
    hidden = """[...document.querySelectorAll('table, figure, p')]
        .filter(e => !e.checkVisibility({contentVisibilityAuto: true})).length"""
    assert page.evaluate(hidden) == 0
    page.close()


def hold_together(page: Page) -> None:
    """Check anchors, ids, alternative texts, titles and tables."""
    dead = """[...document.querySelectorAll('a[href^="#"]')]
        .map(a => a.getAttribute('href').slice(1)).filter(id => !document.getElementById(id))"""
    assert page.evaluate(dead) == []
    twice = """(() => { const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
        return ids.filter((id, i) => ids.indexOf(id) !== i).slice(0, 5); })()"""
    assert page.evaluate(twice) == []
    silent = """[...document.querySelectorAll('svg')].filter(svg => {
        const words = document.getElementById(svg.getAttribute('aria-labelledby'));
        return !words || words.textContent.trim().length < 20 }).length"""
    assert page.evaluate(silent) == 0
    assert page.evaluate("document.querySelectorAll('svg').length") > 0
    assert page.evaluate("document.querySelectorAll('main table caption').length") > 3
    untitled = "document.querySelectorAll('svg .mark:not(:has(> title))').length"
    assert page.evaluate(untitled) == 0


@pages("ketamine_pain", "stuck")
def test_everything_can_be_read_without_script(name, reports, browser):
    path = reports(name)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    plain = page.inner_text("main")
    context.close()
    page, _ = opened(browser, path)
    assert page.inner_text("main") == plain
    page.close()


@pytest.mark.xdist_group("simulated_decay")
def test_a_row_and_its_mark_light_up_together(reports, browser):
    page, _ = opened(browser, reports("simulated_decay"))
    names = page.evaluate(
        """[...document.querySelectorAll('tr[data-mark]')].map(e => e.dataset.mark)
        .filter(name => document.querySelector(`svg .mark[data-mark="${name}"]`))"""
    )
    assert names
    lit = f'[data-mark="{names[0]}"].lit'
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    page.locator(f'tr[data-mark="{names[0]}"]').first.hover()
    assert page.locator(f"svg {lit}").count() >= 1
    page.mouse.move(0, 0)
    assert page.locator(lit).count() == 0
    page.close()


@pytest.mark.xdist_group("simulated_decay")
def test_a_fit_that_did_not_converge_says_so_before_anything_else(reports, browser):
    page, _ = opened(browser, reports("stuck"))
    first = page.locator("header .alarm")
    assert "has not converged" in first.inner_text()
    assert first.bounding_box()["y"] < 900
    for name in ("answer", "forest", "decay", "comparisons", "crosscheck", "people"):
        assert "Not printed" in page.inner_text(f"#{name}")
        assert page.locator(f"#{name} table, #{name} svg").count() == 0
    page.close()
