"""A lake of version 3, in which a row of `videos` was the commit of all that was made of a video, gets a run for each stage.

`tests/fixtures/lake-3.tar.gz` was written by the last program of that version: a video in three generations (the last only a
new title), one in French, one without speech, one without sound, one that failed, one that has gone, one that is a copy, one
that was forgotten. `shown.json` in it has the rows that its views showed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import REPO, older_set
from scanning import count_stale

from tasks.erasure.forget import find_videos, forget
from tasks.lake import migrate
from tasks.lake.check import check
from tasks.lake.create import create_lake
from tasks.lake.maintain import expire, maintain, sweep
from tasks.lake.schema import LAKE_VERSION
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.settings import Settings
from tasks.stages.recipes import recipes
from tasks.stages.registry import STAGES

CONTENT = ("words", "cues", "passages", "topics", "transcripts")
# Recipes of cues and passages have parted, so that these columns are others; a word's place in its row is not shown.
OTHER = {"recipes", "recipe_json", "cues_recipe"}
ORDER = {
    "videos": "video_id, generation", "words": "video_id, generation, word_no", "cues": "video_id, generation, cue_no",
    "passages": "video_id, generation, passage_no", "topics": "video_id, generation, scope, start_ms, rank",
    "transcripts": "video_id, generation",
}  # fmt: skip


@pytest.fixture
def third(tmp_path: Path) -> Lake:
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", str(REPO / "tests/fixtures/lake-3.tar.gz")], check=True)
    return Lake(str(tmp_path / "lake-3"))


def plain(value: Any) -> Any:
    return str(value) if isinstance(value, (date, datetime)) else value


def rows_of(lake: Lake, view: str, connection: duckdb.DuckDBPyConnection | None = None) -> list[dict[str, Any]]:
    found = (connection or connect(lake)).execute(f"FROM {view} ORDER BY {ORDER[view.removesuffix('_all')]}")
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, map(plain, row), strict=True)) for row in found.fetchall()]


def shows_the_same(lake: Lake, *, but: tuple[str, ...] = ()) -> None:
    """Every view shows what it showed to the program that wrote the lake, and all columns that it had."""
    shown = json.loads(Path(lake.uri, "shown.json").read_text())
    assert len(shown) == 2 * len(ORDER)
    connection = connect(lake)
    for view, before in shown.items():
        if view in but:
            continue
        now = rows_of(lake, view, connection)
        assert len(now) == len(before), view
        for old, new in zip(before, now, strict=True):
            kept = old.keys() - OTHER
            same = {name: new[name] for name in kept}
            # A video of which nothing is known has no recipe: the old one named what would have been used.
            gone = {name for name in kept if old.get("status") in ("gone", "forgotten", "failed") and new[name] is None}
            quiet = {name for name in kept if new[name] is None and old.get("status") in ("no_audio", "no_speech")}
            assert {n: v for n, v in same.items() if n not in gone | quiet} == {
                n: old[n] for n in kept if n not in gone | quiet
            }, view


def content_files(lake: Lake) -> dict[str, list[str]]:
    return {name: sorted(lake.files(name)) for name in STAGES.tables}


def test_its_readers_see_what_they_saw_before_and_after(third):
    shows_the_same(third)
    files = content_files(third)
    create_lake(third)
    shows_the_same(third)
    assert content_files(third) == files, "not a word was written anew"
    assert check(third) == []
    marker = third.marker() or {}
    assert (marker["version"], [m["version"] for m in marker["migrations"]]) == (LAKE_VERSION, [4])


def test_each_generation_has_the_runs_of_what_was_made(third):
    create_lake(third)
    found = connect(third).execute(
        "SELECT v.key, list_sort(list(DISTINCT r.stage || ' ' || r.status)) FROM every_run r JOIN _videos v "
        "USING (video_id, generation) GROUP BY ALL ORDER BY ALL"
    )
    every = ["cues done", "emissions done", "passages done", "topics done", "words done"]
    assert dict(found.fetchall()) == {
        "broken.mp4": ["emissions failed"],
        "café.mp4": every,
        "copy.mp4": every,
        "film.mp4": ["emissions empty", "topics done"],
        "left.mp4": every,
        "silent.mp4": ["emissions done", "topics done", "words empty"],
        "talk.mp4": every,
    }


def test_nothing_is_due_after_it(third):
    create_lake(third)
    chosen = older_set()
    assert count_stale(third, recipes(chosen, Settings())) == 0
    assert count_stale(third, recipes(chosen, Settings(line_chars=37))) == 3, "those with cues"


@pytest.mark.long
def test_killed_anywhere_it_is_run_again(third, monkeypatch):
    """The first try dies before its first write, the second before its second, and so on until one has none left."""

    class Killed(BaseException):
        pass

    left = 0

    def dying(act):
        def counted(*arguments, **options):
            nonlocal left
            left -= 1
            if not left:
                raise Killed
            return act(*arguments, **options)

        return counted

    monkeypatch.setattr(migrate, "CHUNK_VIDEOS", 1)
    for name in ("append", "write_marker"):
        monkeypatch.setattr(Lake, name, dying(getattr(Lake, name)))
    deaths = 0
    while True:
        left = deaths + 1
        try:
            create_lake(third)
            break
        except Killed:
            deaths += 1
            shows_the_same(third)
    assert deaths >= 5
    left = 0
    shows_the_same(third)
    assert check(third) == []


def test_two_at_once_migrate_once(third, monkeypatch):
    monkeypatch.setattr(migrate, "_alone", lambda lake: contextlib.nullcontext())
    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(create_lake, Lake(third.uri)) for _ in range(2)]:
            future.result()
    shows_the_same(third)
    assert check(third) == []


def test_it_can_be_cared_for_and_forgets(third, tmp_path):
    create_lake(third)
    assert sweep(third, grace_h=0) == dict.fromkeys(("stage_runs", *STAGES.tables), 0), (
        "all of it is of some generation"
    )
    assert expire(third, 1) == 3
    assert maintain(third, keep_generations=1, grace_h=0).problems == []
    shows_the_same(third, but=tuple(f"{name}_all" for name in ORDER))
    assert len(rows_of(third, "videos_all")) == len(rows_of(third, "videos"))
    certificate = forget(third, Settings(scratch=tmp_path / "scratch"), find_videos(third, ["café.mp4"]))
    assert certificate.complete
    assert certificate.rows["stage_runs"] == 5
    assert "gare" not in json.dumps([rows_of(third, view) for view in ORDER], default=str)
