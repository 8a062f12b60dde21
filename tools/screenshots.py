"""The pictures of the web app in the docs: `python tools/screenshots.py`, after `make demo`.

Wants Playwright (`requirements-test.lock`) and the system's Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlparse
from urllib.request import urlopen

from playwright.sync_api import Page, ViewportSize, sync_playwright

REPO = Path(__file__).resolve().parent.parent
FOLDER = REPO / "docs" / "screenshots"
PORT = int(os.environ.get("NIGHTSCRIBE_SCREENSHOT_PORT", "8799"))
DESK = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=800)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--mute-audio",
]
SQL = "SELECT title, n_words, round(confidence, 2) AS confidence\nFROM videos\nWHERE status = 'indexed'\nORDER BY n_words DESC"
# Where this repository lies is nothing for a picture.
ELSEWHERE = """([from, to]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(from, to);
}"""


def main() -> None:
    """Start a server on the lake of the demo, and take a picture of every page."""
    command = [sys.executable, "-m", "nightscribe", "serve", "--port", str(PORT)]
    server = subprocess.Popen(
        command,
        env={
            **os.environ,
            "NIGHTSCRIBE_PRICE_MACHINE_HOUR": "1.2",
            "NIGHTSCRIBE_MODELS": "demo-all",
            "NIGHTSCRIBE_SCREEN_LINES__READER": "rapidocr",
        },
    )
    try:
        _wait()
        FOLDER.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            _pages(browser.new_page(base_url=f"http://127.0.0.1:{PORT}", viewport=DESK))
            dark = browser.new_page(base_url=f"http://127.0.0.1:{PORT}", viewport=DESK, color_scheme="dark")
            _search(dark)
            _picture(dark, "search-dark")
            phone = browser.new_page(base_url=f"http://127.0.0.1:{PORT}", viewport=PHONE, device_scale_factor=1)
            _search(phone)
            _picture(phone, "phone-search")
            _watch(phone)
            _picture(phone, "phone-watch")
            browser.close()
    finally:
        server.terminate()
        server.wait()


def _pages(page: Page) -> None:
    _search(page)
    _picture(page, "search")
    _watch(page)
    _picture(page, "watch")
    found = {
        "seen": "q=a+red+circle&mode=seen",
        "heard": "q=a+crow&mode=heard",
        "read": "q=three+leaders&in=screen",
    }
    for name, query in found.items():
        page.goto(f"/?{query}")
        page.wait_for_selector("a.moment")  # a picture of an error would be kept without a word
        page.wait_for_load_state("networkidle")
        _picture(page, f"search-{name}")
        if name == "heard":
            _watch_first(page)
            _picture(page, "watch-heard")
    page.goto("/analytics?phrase=the+bank&word=bank")
    page.wait_for_load_state("networkidle")
    _picture(page, "analytics", whole=True)
    page.goto("/operations")
    _picture(page, "operations", whole=True)
    page.goto("/sql")
    page.locator("#sql").fill(SQL)
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector("tbody")
    _picture(page, "sql")


def _search(page: Page) -> None:
    page.goto("/?q=prime+minister+bank+film&mode=any")
    page.wait_for_load_state("networkidle")


def _watch(page: Page) -> None:
    page.goto("/?q=central+bank")
    _watch_first(page)


def _watch_first(page: Page) -> None:
    """The first moment that is found, a little after it begins."""
    moment = page.locator("a.moment").first
    begin = int(parse_qs(urlparse(moment.get_attribute("href") or "").query)["at"][0]) / 1000
    moment.click()
    page.wait_for_url(re.compile("/watch/"))
    page.wait_for_function(f"() => document.getElementById('player').currentTime > {begin + 0.6}")
    page.evaluate("document.getElementById('player').pause()")
    page.wait_for_timeout(300)


def _picture(page: Page, name: str, *, whole: bool = False) -> None:
    page.evaluate(ELSEWHERE, [str(REPO), "/srv/nightscribe"])
    page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)


def _wait() -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{PORT}/api/health", timeout=5):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
