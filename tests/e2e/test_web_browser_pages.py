"""Pages beside the player in a real browser: results, analytics, operations, SQL, the API's description."""

from __future__ import annotations

import re

import pytest
from browsed import LONG, PHONE, address  # noqa: F401
from browser import browser, open_page  # noqa: F401
from web_archive import FAILED, archive  # noqa: F401

MOMENTS = "fetch('/api/search' + location.search).then(got => got.json()).then(found => found.videos[0].moments_total)"


def test_marks_of_a_strip_say_what_is_there(open_page):
    page = open_page("/?q=rates")
    page.locator(".strip a").last.hover()
    assert "interest rates rise" in page.locator(".under").inner_text()
    page.locator(".strip a").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.at") == "0:07"
    assert page.locator(".under").inner_text().startswith("0:07")


def test_a_phrase_is_typed_and_its_chart_is_seen(open_page):
    page = open_page("/analytics")
    page.wait_for_selector("#hours svg.chart")
    panel = page.locator("#phrase")
    panel.get_by_label("Phrase").fill("interest rates")
    panel.get_by_role("button", name="Show").click()
    panel.locator("svg.chart").wait_for()
    assert "phrase=interest+rates" in page.url
    titles = panel.locator("rect title").all_text_contents()
    assert [title.split(":")[0] for title in titles] == ["2023-05", "2024-02", "2024-03"]
    panel.get_by_text("SQL", exact=True).click()
    assert "'interest rates' AS phrase" in panel.locator("code").inner_text()
    page.locator("form.standing").get_by_label("Topic").select_option("film")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile("topic=film"))
    page.wait_for_selector("#phrase svg.chart")
    assert page.locator("#phrase rect title").count() == 1


def test_operations_after_a_run_with_failures(open_page):
    page = open_page("/operations")
    row = page.locator("table").first.locator("tbody tr").first
    assert row.locator(".outcome.bad").inner_text() == "done"
    page.get_by_role("link", name="broken.mp4").click()
    page.wait_for_url(f"**/watch/{FAILED}")
    assert "could not be indexed" in page.locator(".said").inner_text()


@pytest.mark.parametrize(
    "path",
    ["/", "/?q=interest+rates", f"/watch/{LONG}?q=word7", "/analytics?phrase=bank&word=bank", "/operations",
     "/sql?q=FROM+videos", "/api/docs"],
)  # fmt: skip
def test_no_page_is_wider_than_a_phone(open_page, path):
    page = open_page(path, **PHONE)
    page.wait_for_function("() => !document.querySelector('.panel[data-part]:not([aria-busy=false])')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_concordance_runs_as_its_words_do(open_page):
    page = open_page("/analytics/concordance?word=این")
    before, word, after = (cell.bounding_box()["x"] for cell in page.locator("tbody td").all()[1:4])
    assert before > word > after
    page.goto("/analytics/concordance?word=rates")
    before, word, after = (cell.bounding_box()["x"] for cell in page.locator("tbody td").all()[1:4])
    assert before < word < after


def test_a_query_too_long_for_an_address_is_kept(open_page):
    page = open_page("/sql")
    assert "20,000 characters" in page.locator("#limits").inner_text()
    query = f"SELECT '{'é' * 12_000}'"
    box = page.locator("#sql")
    box.fill(query)
    page.keyboard.press("Control+Enter")
    assert box.evaluate("box => box.validationMessage").startswith("This query is too long")
    assert box.input_value() == query
    box.fill(f"SELECT length('{'e' * 12_000}') AS n")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile(r"q=SELECT"))
    assert page.locator("tbody td").inner_text() == "12000"


def test_a_strip_says_how_many_moments_there_are(open_page):
    page = open_page("/?q=word7+word8+word70+word71&mode=any")
    label = page.locator(".strip svg").get_attribute("aria-label")
    assert label == f"{page.evaluate(MOMENTS)} moments over 53 s"


def test_the_api_is_described_with_bodies_and_answers(open_page):
    page = open_page("/api/docs")
    sql = page.get_by_role("region", name="Body of POST /api/sql")
    assert sql.locator("tbody tr").first.inner_text().split("\t") == [
        "sql *",
        "string",
        "One SELECT over the lake's views.",
    ]
    answer = page.get_by_role("region", name="Answer of GET /api/search")
    assert "videos[].moments[].start_ms *" in answer.locator("td:first-child").all_inner_texts()
    missing = page.evaluate("""async () => {
        const described = await (await fetch('/api/openapi.json')).json();
        const bare = [];
        for (const [path, methods] of Object.entries(described.paths)) for (const method of Object.keys(methods)) {
            const at = `${method.toUpperCase()} ${path}`;
            const own = [...document.querySelectorAll('section')].find(one => one.querySelector('h2').textContent === at);
            if (![...own.querySelectorAll('h3')].some(title => title.textContent.startsWith('Answer'))) bare.push(at);
        }
        return bare;
    }""")
    assert [route for route in missing if "/media/" not in route] == []
