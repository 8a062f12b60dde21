"""Every page looked over by axe-core, in light and in dark: no serious finding."""

from __future__ import annotations

from importlib.resources import files

import pytest
from browser import browser, open_page  # noqa: F401
from web_archive import BANK, EVIL, FAILED, PERSIAN, SOUND, archive, serving  # noqa: F401

pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")

PAGES = [
    "/", "/?q=interest+rates", "/?q=govenor+rates", "/?q=*", "/?q=bank&topic=business", f"/watch/{BANK}?q=rates&at=3000",
    f"/watch/{EVIL}", f"/watch/{PERSIAN}", f"/watch/{FAILED}", f"/watch/{SOUND}", "/analytics?phrase=interest+rates&word=bank",
    "/analytics/topics", "/operations", "/sql?q=FROM+videos", "/sql?q=SELEC", "/api/docs", "/login", "/nothing",
]  # fmt: skip
RUN = """async options => {
    const found = await axe.run(document, { resultTypes: ["violations"], ...options });
    return found.violations.map(one => [one.impact, one.id, one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))]);
}"""
# Every chart is there, or says why not.
WHOLE = "() => !document.querySelector('.panel[data-part]:not([aria-busy=false])')"


@pytest.fixture(scope="module")
def address(archive):
    with serving(archive.settings) as found:
        yield found


def test_axe_finds_nothing_serious(open_page):
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page = open_page("/nothing", reduced_motion="reduce")
    serious = {}
    for path in PAGES:
        page.emulate_media(color_scheme="light")
        page.goto(path, wait_until="domcontentloaded")
        page.wait_for_function(WHOLE)
        page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
        page.evaluate(axe)
        found = page.evaluate(RUN, {})
        page.emulate_media(color_scheme="dark")
        assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        found += page.evaluate(RUN, {"runOnly": ["color-contrast", "link-in-text-block"]})  # the rest is the same
        serious[path] = [one for one in found if one[0] in ("serious", "critical")]
    assert len(serious) == len(PAGES)
    assert {path: found for path, found in serious.items() if found} == {}
