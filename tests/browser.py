"""A real browser for tests: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

# Without these, Chromium asks hosts of its maker, and needs rights that a container has not.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--mute-audio",
]  # fmt: skip


def chromium() -> str | None:
    """The browser of `NIGHTSCRIBE_CHROMIUM` or of the system."""
    named = os.environ.get("NIGHTSCRIBE_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, started once for the tests of a module; they are skipped where it is not."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    where = chromium()
    if where is None:
        pytest.skip("there is no Chromium; install it with: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=where, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Any]:
    """Opens pages of the server at `address`. What a page says on its console, and every request elsewhere, is a failure."""
    contexts, complaints = [], []

    def open_one(path: str, **options: Any) -> Any:
        context = browser.new_context(base_url=address, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda request: None if request.url.startswith((address, "blob:")) else complaints.append(request.url),
        )
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    # A page that says what is wrong, and a picture that cannot be made, are no faults.
    assert [said for said in complaints if not said.startswith("Failed to load resource")] == []
