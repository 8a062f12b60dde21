"""The search page of a server whose set has models for what is seen and heard."""

from __future__ import annotations

import numpy as np
import pytest
from browser import browser, open_page  # noqa: F401
from conftest import with_rows
from web_archive import serving

from tasks.lake.commit import commit
from tasks.models.packing import packed
from tasks.settings import Settings


@pytest.fixture
def address(lake, result, tmp_path):
    [vector], [scale] = packed(np.ones((1, 8), np.float32))
    row = {"start_ms": 0, "end_ms": 1000, "vector": vector, "scale": scale}
    film = with_rows(result("good evening"), frames=[{**row, "shot": 0, "picture": 0}], sounds=[{**row, "piece": 0}])
    commit(lake, [film], run_id="r", device="cpu")
    with serving(Settings(lake=lake.uri, scratch=tmp_path / "web", models="demo-all")) as served:
        yield served


def test_what_is_for_words_alone_goes_where_something_else_is_looked_for(open_page):
    page = open_page("/")
    of_words = [page.get_by_label("Forgive typos"), page.get_by_label("Exact words"), page.locator("select[name=in]")]
    shown = {}
    for mode in ("All words", "Seen", "Heard", "Phrase"):
        page.get_by_label(mode, exact=True).check()
        shown[mode] = [one.is_visible() for one in of_words]
    assert shown == {"All words": [True] * 3, "Seen": [False] * 3, "Heard": [False] * 3, "Phrase": [True] * 3}
