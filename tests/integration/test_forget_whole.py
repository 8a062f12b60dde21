"""A forgotten video leaves no byte behind, also when forgetting was broken off: every file is read, raw and decoded."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import WriterProperties
from forgotten import EARLIER, ID, KEY, NOW, SECRETS, Killed, found, nothing_is_left, rows, settings  # noqa: F401

from tasks.erasure import erase, traces
from tasks.erasure import forget as forgetting
from tasks.erasure.forget import find_videos, forget
from tasks.lake.check import check
from tasks.lake.maintain import compact
from tasks.lake.schema import TABLES
from tasks.machine.scratch import cache_name
from tasks.runs.maintenance import take_care
from tasks.subtitles.files import write_subtitles


@pytest.fixture
def plain(monkeypatch) -> None:
    """Files are written without compression, so that a word in them is a word on the disk."""
    for module in ("store", "maintain", "rewrite"):
        monkeypatch.setattr(
            f"tasks.lake.{module}.writer_properties", lambda name: WriterProperties(compression="UNCOMPRESSED")
        )


@pytest.fixture
def filled(lake, say, result, settings, tmp_path):
    """A lake in which a video to be forgotten has left traces everywhere, beside another one."""
    first = say(EARLIER, key=KEY, title="Confession of Zebulon", topic="politics")
    for n in range(9):
        say(f"the weather of day {n}", key=f"weather/{n}.mp4")
    say(NOW, key=KEY, title="Confession of Zebulon", last_generation=first)
    failures = [{"video_id": ID, "key": KEY, "reason": "corrupt", "error": f"{KEY} is cut off"}]
    failures.append({"video_id": "f" * 20, "key": "weather/10.mp4", "reason": "corrupt", "error": "cut off"})
    report = {
        "bucket": "file:///bucket",
        "failures": failures,
        "warnings": [f"{KEY}: no sidecar", "other"],
        "failed": 2,
    }
    lake.append("runs", [{"run_id": "abc", "report_json": json.dumps(report)}], batch_id="run")
    refused = {"video_id": ID, "generation": first, "reason": "cannot parse 'zanzibar'"}
    lake.append("sync_failures", [{**refused, "index_name": "i"}], batch_id="sync")
    lake.append("syncs", [{"sync_id": "def", "report_json": json.dumps({"failed": [refused]})}], batch_id="sync")
    for name in TABLES:
        compact(lake, name)  # the words are in files that no snapshot names any more
        lake.table(name).create_checkpoint()
    for form in ("vtt", "srt"):
        write_subtitles(lake, folder=str(tmp_path / "subtitles"), format=form, settings=settings)
    plan = Path(lake.uri, "_backfills", "today")
    (plan / "done").mkdir(parents=True)
    pq.write_table(pa.table({"key": [KEY, "private/zebulon-hearing.json", "weather/1.mp4"]}), plan / "plan.parquet")
    (plan / "done/00001.json").write_text(json.dumps({"failures": failures}, ensure_ascii=False))
    web = settings.scratch / "web"
    web.mkdir(parents=True)
    (web / f"{cache_name(ID, '1-1', 1)}-3.jpg").write_bytes(b"a picture of zebulon")
    (web / "other.jpg").write_bytes(b"a picture of rain")
    (settings.scratch / "web-retry.log").write_text(f"  failed  {KEY}: corrupt\n  failed  weather/10.mp4: corrupt\n")
    dead = settings.scratch / "run-1234"
    dead.mkdir()
    (dead / f"{ID}-00.pcm").write_bytes(b"the sound of zanzibar")
    return lake


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_every_byte_is_read_for_the_words_of_a_forgotten_video(filled, settings, tmp_path, compressed, request):
    if not compressed:
        request.getfixturevalue("plain")
        for name in TABLES:
            filled.table(name).optimize.compact(writer_properties=WriterProperties(compression="UNCOMPRESSED"))
    for folder in (Path(filled.uri), tmp_path / "scratch", tmp_path / "subtitles"):
        assert found(folder) >= {"zebulon"}, "the look would find what is there"
    assert found(Path(filled.uri)) == set(SECRETS)
    others = rows(filled, f"SELECT video_id, word FROM words_all WHERE video_id <> '{ID}' ORDER BY ALL")

    certificate = forget(filled, settings, find_videos(filled, [KEY]))

    nothing_is_left(filled, tmp_path)
    assert certificate.complete
    assert rows(filled, f"SELECT video_id, word FROM words_all WHERE video_id <> '{ID}' ORDER BY ALL") == others
    assert check(filled) == []
    assert (certificate.videos, certificate.generations) == ([ID], 2)
    assert certificate.rows == {
        "stage_runs": 10,
        "words": 11,
        "cues": 2,
        "passages": 2,
        "topics": 1,
        "sync_failures": 1,
        "videos": 2,
    }
    assert certificate.vocabulary == 8, "quixotic people in zanzibar woman came to again; the is said by others"
    assert (certificate.reports, certificate.subtitles, certificate.caches) == (4, 2, 1)
    assert rows(filled, "SELECT word FROM vocabulary ORDER BY 1") == [
        (word,) for word in ("0", "1", "2", "3", "4", "5", "6", "7", "8", "day", "of", "the", "weather")
    ]
    assert rows(filled, f"SELECT status, key, title, n_words FROM videos_all WHERE video_id = '{ID}'") == [
        ("forgotten", "", "", 0)
    ]
    ((report,),) = rows(filled, "SELECT report_json FROM runs")
    report = json.loads(report)
    assert [failure["key"] for failure in report["failures"]] == ["weather/10.mp4"]
    assert (report["warnings"], report["forgotten"], report["bucket"]) == (["other"], 2, "file:///bucket")
    assert (settings.scratch / "web-retry.log").read_text() == "  failed  weather/10.mp4: corrupt\n"
    assert (settings.scratch / "web/other.jpg").exists()
    plan = Path(filled.uri, "_backfills/today")
    assert pq.read_table(plan / "plan.parquet").to_pylist() == [{"key": "weather/1.mp4"}]
    assert len(json.loads((plan / "done/00001.json").read_text())["failures"]) == 1
    assert len(list((tmp_path / "subtitles").rglob("*.vtt"))) == 9
    assert not any(secret in certificate.text().lower() for secret in SECRETS), "it can be kept"


@pytest.mark.long
def test_killed_before_any_step_it_is_run_again(filled, settings, tmp_path, monkeypatch):
    """The first try dies before its first step, the next before its third, and so on until one has none left."""
    left = 0

    def dying(act):
        def counted(*arguments, **options):
            nonlocal left
            left -= act.__name__ != "vacuum_dead" or arguments[-1] in ("videos", "vocabulary", "runs")
            if not left:
                raise Killed
            return act(*arguments, **options)

        return counted

    for name in ("delete_rows", "vacuum_dead"):
        monkeypatch.setattr(erase, name, dying(getattr(erase, name)))
    monkeypatch.setattr(traces, "rewrite", dying(traces.rewrite))
    for name in ("write_tombstones", "remove_subtitles", "forget_files"):
        monkeypatch.setattr(forgetting, name, dying(getattr(forgetting, name)))
    deaths = 0
    while True:
        left = 2 * deaths + 1
        try:
            forget(filled, settings, [ID])
            break
        except Killed:
            deaths += 1
            assert deaths == 1 or rows(filled, f"SELECT * FROM words WHERE video_id = '{ID}'") == []
    assert deaths > 5
    nothing_is_left(filled, tmp_path)
    assert check(filled) == []


@pytest.mark.long
def test_maintain_finishes_what_was_broken_off(filled, settings, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(erase, "_remove", lambda *arguments: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            forget(filled, settings, [ID])
    assert take_care(filled, settings).forgotten == 1
    nothing_is_left(filled, tmp_path)
    assert take_care(filled, settings).forgotten == 0


def test_maintain_finishes_also_the_last_steps(lake, say, settings, tmp_path, monkeypatch):
    say(NOW, key=KEY)
    asked = settings.model_copy(update={"elasticsearch_url": "http://127.0.0.1:9"})
    with monkeypatch.context() as patched:
        patched.setattr(forgetting, "_search", lambda *arguments: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            forget(lake, asked, [ID])
    assert take_care(lake, settings).forgotten == 1
    nothing_is_left(lake, tmp_path)
    assert take_care(lake, settings).forgotten == 0
