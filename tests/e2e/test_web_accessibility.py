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
RUN = """async () => {
    const found = await axe.run(document, { resultTypes: ["violations"] });
    return found.violations.map(one => [one.impact, one.id, one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))]);
}"""


@pytest.fixture(scope="module")
def address(archive):
    with serving(archive.settings) as found:
        yield found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious(open_page, path, scheme):
    page = open_page(path, color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    page.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(RUN)
    assert [one for one in found if one[0] in ("serious", "critical")] == []
