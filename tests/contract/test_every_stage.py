"""What holds for every stage, whatever it makes.

With `-p example.plugin` also for stages that only these tests have (`tests/example`), as for one that somebody adds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import REPO, older_set, rarely
from contract.archive import TALKS, Archive, tables_of

from tasks.erasure.forget import find_videos, forget
from tasks.lake.check import check
from tasks.lake.create import create_lake
from tasks.lake.due import coverage
from tasks.lake.maintain import maintain
from tasks.lake.schema import OF_VIDEOS
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.runs.pipeline import Pipeline
from tasks.runs.plan import make_plan
from tasks.runs.status import status_of
from tasks.screen.reader import RapidReader
from tasks.settings import Settings
from tasks.stages.recipes import chained, recipes
from tasks.stages.registry import STAGES

MADE = [stage.name for stage in STAGES if stage.load]  # by a runner
ALONE = [stage.name for stage in STAGES if stage.load and not stage.together]  # a transcript is made as one
BEFORE = ("emissions", "words", "cues", "passages", "topics")
OF_LAKE_3 = older_set()
# What is made by itself as topics are goes the same ways: all of them are tried at length.
RARELY = ("frames", "sounds", "sound_events", "screen_lines", "screen")


def usual(stages):
    return [
        *(stage for stage in stages if stage not in RARELY),
        *rarely(*(stage for stage in stages if stage in RARELY)),
    ]


each_stage = pytest.mark.parametrize("stage", STAGES.names)
each_made = pytest.mark.parametrize("stage", usual(MADE))
each_alone = pytest.mark.parametrize("stage", usual(ALONE))
# A whole transcript made again takes as long as all the others; one of it, and one of its stages, stand for the rest.
each_changed = pytest.mark.parametrize("stage", usual(["emissions", *MADE]))
# What fails with one stage, or is killed in it, does so with the others: they are tried at length.
each_failing = pytest.mark.parametrize("stage", [*usual(ALONE), *rarely("cues")])
each_killed = pytest.mark.parametrize("stage", ["cues", *rarely(*ALONE)])


@pytest.fixture(scope="module", autouse=True)
def reading():
    """With what is off by the settings, not by the set. The same frame is read once: that takes longer than all the rest."""
    real, known = RapidReader.read, {}

    def read(reader, picture):
        content = Path(picture).read_bytes()
        if content not in known:
            known[content] = real(reader, picture)
        return known[content]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(RapidReader, "read", read)
        patched.setenv("NIGHTSCRIBE_SCREEN_LINES__READER", "rapidocr")
        yield


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The archive after its first run."""
    made = Archive(tmp_path_factory.mktemp("indexed"))
    made.fill()
    report = made.run()
    assert (report.done["indexed"], report.done["no_speech"], report.done["no_audio"]) == (2, 1, 1)
    return made


@pytest.fixture
def archive(indexed, tmp_path) -> Archive:
    return indexed.copied(tmp_path)


@pytest.fixture
def changed(monkeypatch) -> Callable[[str], None]:
    """Gives a stage another recipe, or with `on=False` none."""

    def change(stage: str, *, on: bool = True) -> None:
        def others(models, settings):
            found = recipes(models, settings)
            described = {name: found.options[name] for name in found.hashes if on or name != stage}
            return chained(described | ({stage: [described[stage], "other"]} if on else {}), found.models)

        for module in ("tasks.runs.session", "tasks.runs.status"):
            monkeypatch.setattr(sys.modules[module], "recipes", others)

    return change


def made_again(stage: str) -> tuple[str, ...]:
    """What another recipe of a stage makes anew: it, all that stands on it, and with the words what reads the metadata."""
    found = STAGES.to_make([stage])
    return STAGES.to_make([*found, "metadata"]) if "words" in found else found


def has(stage: str) -> set[str]:
    """The videos that have something of it: what needs words, sound or pictures, where there are any."""
    if stage in ("screen_lines", "screen"):
        return set(TALKS)
    if "pictures" in STAGES[stage].needs:
        return {*TALKS, "silent.mp4"}
    if {"words", "emissions"} & set(STAGES[stage].needs):
        return set(TALKS)
    heard = {"sound", "soundtrack", "sounds"}
    return set(TALKS) if heard.isdisjoint(STAGES[stage].needs) else {*TALKS, "tone.wav"}


@each_stage
def test_it_is_made_of_every_video_that_has_what_it_needs(indexed, stage):
    assert indexed.having(stage) == has(stage)
    assert indexed.due() == {}
    assert indexed.due(refresh=True, stages=STAGES.names) == {}, "nothing is missing or old"
    for table in STAGES[stage].tables:
        sql = f"SELECT sum(rows) = (SELECT count(*) FROM {table.name}) FROM current_{stage}"
        assert indexed.rows(sql) == [(True,)]
    assert check(indexed.lake) == []


@each_changed
def test_another_recipe_makes_it_and_what_stands_on_it_and_writes_nothing_else(archive, changed, stage):
    before, old = archive.files(), archive.having(stage)
    changed(stage)
    expected = made_again(stage)
    assert archive.due() == {}, "only when it is asked for"
    due = archive.due(refresh=True)
    assert {due[key] for key in old} == {expected}
    archive.run(refresh=True)
    visited = {"videos"} if "emissions" in expected else set()
    assert {name for name, files in archive.files().items() if files != before[name]} == (
        tables_of(expected) | visited | {"stage_runs"}
    )
    assert archive.due(refresh=True) == {}
    assert archive.having(stage) == old
    assert check(archive.lake) == []


@each_alone
def test_what_was_off_is_missing_until_it_is_asked_for(indexed, tmp_path, changed, monkeypatch, stage):
    changed(stage, on=False)
    archive = indexed.unindexed(tmp_path)
    archive.run()
    monkeypatch.undo()
    assert archive.having(stage) == set()
    assert archive.due(refresh=True) == {}, "work that was never asked for is no refresh"
    status = status_of(archive.lake, Settings(models="demo", catalog=archive.catalog))
    missing = status["stages"][stage]["missing"]
    assert missing >= len(has(stage))
    asked, made = archive.due(stages=[stage], only=True), STAGES.after([stage])  # with what stands on it
    assert (len(asked), set(asked.values())) == (missing, {made})
    before = archive.files()
    report = archive.run(stages=[stage], only=True)
    assert report.missing == missing
    assert {n for n, files in archive.files().items() if files != before[n]} == tables_of(made) | {"stage_runs"}
    assert all(archive.having(one) == has(one) for one in made)
    assert archive.due(stages=[stage]) == {}
    assert check(archive.lake) == []


@each_failing
def test_one_that_fails_leaves_the_others_and_is_tried_again_alone(indexed, tmp_path, monkeypatch, stage):
    real = Pipeline.runner

    class Faulty:
        def __init__(self, runner):
            self.runner = runner

        def make(self, video):
            if video.metadata.title == "a":
                raise IndexError("no such thing")
            return self.runner.make(video)

    def runner(run, one):
        return Faulty(real(run, one)) if one.name == stage else real(run, one)

    archive = indexed.unindexed(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Pipeline, "runner", runner)
        report = archive.run()
        assert report.done["indexed"] == 2, "a video is there whatever fails beside its words"
        assert [(f["key"], f["stage"], f["reason"]) for f in report.failures] == [("a.mkv", stage, "unexpected")]
        again = archive.run(retry_failed=True)
        assert [f["stage"] for f in again.failures] == [stage]
        run = f"SELECT r.status, r.attempts FROM stage_runs r JOIN videos v USING (video_id) WHERE stage = '{stage}' AND key = 'a.mkv'"
        assert archive.rows(f"{run} ORDER BY r.generation") == [("failed", 1), ("failed", 2)]
    waiting = set(STAGES.after([stage])) - {stage}
    for other in STAGES.names:
        assert archive.having(other) == has(other) - ({"a.mkv"} if other == stage or other in waiting else set()), other
    assert archive.due() == {}, "its time has not come"
    assert archive.due(retry_failed=True).keys() == archive.due(stages=[stage]).keys() == {"a.mkv"}
    archive.run(retry_failed=True)
    assert archive.having(stage) == has(stage)
    assert archive.due(retry_failed=True) == {}
    assert check(archive.lake) == []


@each_killed
def test_killed_before_any_of_its_writes_it_is_made_by_the_next_run(archive, changed, monkeypatch, stage):
    class Killed(BaseException):
        pass

    changed(stage)
    real, left = Lake.append, 0

    def append(lake, *arguments, **options):
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        return real(lake, *arguments, **options)

    writes = 0
    while True:
        left = writes
        with monkeypatch.context() as killing:
            killing.setattr(Lake, "append", append)
            try:
                archive.run(refresh=True)
            except Killed:
                assert check(archive.lake) == [], f"after {writes} writes"
                writes += 1
                continue
        break
    assert writes >= 2
    assert archive.due(refresh=True) == {}
    assert archive.having(stage) == has(stage)


def test_the_same_content_under_another_name_has_all_of_them_too(archive):
    (archive.bucket / "copy.mkv").write_bytes((archive.bucket / "a.mkv").read_bytes())
    (archive.bucket / "b.mkv").rename(archive.bucket / "renamed.mkv")
    report = archive.run()
    assert report.taken_over == 2
    others = {"a.mkv", "copy.mkv", "renamed.mkv"}
    for stage in STAGES.names:
        assert archive.having(stage) & {*others, "b.mkv"} == others, stage
        for table in STAGES[stage].tables:
            columns = ", ".join(table.columns)
            of = f"SELECT {columns} FROM {table.name} SEMI JOIN (SELECT * FROM videos WHERE key = '{{}}') USING (video_id) ORDER BY ALL"
            if table.name != "topics":  # which stand on the title too
                assert archive.rows(of.format("copy.mkv")) == archive.rows(of.format("a.mkv")), table.name
    assert check(archive.lake) == []


def test_nothing_of_any_is_left_of_what_is_forgotten(archive):
    [video_id] = find_videos(archive.lake, ["a.mkv"])
    forget(archive.lake, Settings(lake=archive.lake.uri, scratch=archive.folder / "scratch"), [video_id])
    for stage in STAGES.names:
        assert archive.having(stage) == has(stage) - {"a.mkv"}, stage
        for table in STAGES[stage].tables:
            assert archive.rows(f"SELECT count(*) FROM _{table.name} WHERE video_id = '{video_id}'") == [(0,)], (
                table.name
            )
            assert table.name in OF_VIDEOS
    assert archive.rows(f"SELECT count(*) FROM every_run WHERE video_id = '{video_id}'") == [(0,)]


@each_made
def test_what_was_replaced_goes_with_its_time(archive, changed, stage):
    changed(stage)
    archive.run(refresh=True)
    for table in STAGES[stage].tables:
        [(now,)] = archive.rows(f"SELECT count(*) FROM {table.name}")
        [(before,)] = archive.rows(f"SELECT count(*) FROM _{table.name}")
        assert before > now > 0
    done = maintain(archive.lake, keep_generations=1, grace_h=0)
    assert done.problems == []
    runs = f"SELECT count(*), count(DISTINCT video_id) FROM every_run WHERE stage = '{stage}'"
    [(n, videos)] = archive.rows(runs)
    assert n <= 2 * videos, "the newest, and the one that came with the video's row"
    assert archive.having(stage) == has(stage)


@pytest.mark.broken_lake
@pytest.mark.parametrize("stage", [stage.name for stage in STAGES if stage.tables])
def test_rows_that_are_missing_are_found(archive, stage):
    for table in STAGES[stage].tables:
        archive.lake.table(table.name).delete()
        assert any(f" {table.name}, there are 0" in problem for problem in check(archive.lake))


@each_changed
def test_status_plan_and_report_count_it(archive, changed, stage):
    settings = Settings(models="demo", catalog=archive.catalog, prices={"*": 3.6})
    counts = status_of(archive.lake, settings)["stages"][stage]
    assert (counts["done"], counts["stale"], counts["missing"]) == (len(has(stage)), 0, 0)
    changed(stage)
    old = status_of(archive.lake, settings)["stages"][stage]
    assert old["stale"] == counts["done"] + counts["empty"]
    with archive.session(refresh=True, prices={"*": 3.6}) as session:
        planned = {one.stage: one for one in make_plan(session).stages}
    assert tuple(planned) == made_again(stage)
    assert planned[stage].videos >= len(has(stage))
    assert planned[stage].seconds is not None
    assert planned[stage].cost == pytest.approx(planned[stage].seconds / 1000)
    report = archive.run(refresh=True)
    assert report.stages[stage]["done"] == len(has(stage))
    assert set(report.stages) == set(made_again(stage))
    assert report.seconds[stage] >= 0
    [text] = archive.rows("SELECT report_json FROM runs ORDER BY started_at DESC LIMIT 1")[0]
    assert json.loads(text)["stages"][stage]["done"] == len(has(stage))


@each_stage
def test_of_a_lake_from_before_there_were_stages_it_is_there_or_missing(tmp_path, stage):
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", str(REPO / "tests/fixtures/lake-3.tar.gz")], check=True)
    lake = Lake(str(tmp_path / "lake-3"))
    create_lake(lake)
    connection = connect(lake)
    models = OF_LAKE_3.with_model("pictures", str(tmp_path)).with_model("sounds", str(tmp_path))
    counts = coverage(connection, recipes(models, Settings()), now=datetime.now(UTC))[stage]
    assert (counts["stale"], counts["outdated"], counts["failed"]) == (0, 0, 0)
    [[heard]] = connection.execute("SELECT count(*) FROM videos WHERE status IN ('indexed', 'no_speech')").fetchall()
    [[spoken]] = connection.execute("SELECT count(*) FROM videos WHERE status = 'indexed'").fetchall()
    [[seen]] = connection.execute("SELECT count(*) FROM videos WHERE video_codec IS NOT NULL").fetchall()
    lacking = {("sound",): heard, ("soundtrack",): heard, ("sounds",): 0, ("screen_lines",): 0, ("pictures",): seen}
    lacking = lacking.get(STAGES[stage].needs, spoken)
    assert counts["missing"] == (0 if stage in BEFORE else lacking)
