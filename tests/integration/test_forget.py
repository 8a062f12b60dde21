"""A forgotten video leaves no byte behind: every file is read, as it is on the disk and as it is decoded."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import REPO, command_environment
from deltalake import WriterProperties
from search_server.fixtures import index_prefix, search_client, search_server  # noqa: F401

from tasks import forget as forgetting
from tasks.care import take_care
from tasks.copies import veiled
from tasks.errors import Misconfigured
from tasks.forget import find_videos, forget
from tasks.lake import erase, log_texts, traces
from tasks.lake.commit import commit
from tasks.lake.maintain import check, compact, expire
from tasks.lake.schema import TABLES
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.lake.vocabulary import add_words
from tasks.records import Result
from tasks.scratch import cache_name
from tasks.session import open_session
from tasks.settings import Settings
from tasks.subtitle_files import write_subtitles

KEY = "private/zebulon-hearing.mp4"
ID = KEY.encode().hex()[:20].ljust(20, "0")
SECRETS = ("zanzibar", "quixotic", "confession", "zebulon")
EARLIER = "quixotic people in zanzibar"
NOW = "the quixotic woman came to zanzibar again"


def rows(lake: Lake, sql: str):
    return connect(lake).execute(sql).fetchall()


@pytest.fixture
def settings(lake, tmp_path) -> Settings:
    return Settings(lake=lake.uri, scratch=tmp_path / "scratch", catalog=REPO / "data/models/catalog.toml")


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


def found(folder: Path) -> set[str]:
    """The secrets in any file of a folder or in its name: in its bytes, and in its columns and their statistics."""
    seen = set()
    for path in folder.rglob("*"):
        said = str(path.relative_to(folder)).lower().encode()
        if path.is_file():
            said += path.read_bytes().lower()
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            said += repr(file.read().to_pylist()).lower().encode()
            for group in range(file.num_row_groups):
                for column in range(file.metadata.num_columns):
                    said += repr(file.metadata.row_group(group).column(column).statistics).lower().encode()
        seen |= {secret for secret in SECRETS if secret.encode() in said}
    return seen


def nothing_is_left(lake: Lake, tmp_path: Path) -> None:
    for folder in (Path(lake.uri), tmp_path / "scratch", tmp_path / "subtitles"):
        assert found(folder) == set(), folder


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
    assert certificate.rows == {"words": 11, "cues": 2, "passages": 2, "topics": 1, "sync_failures": 1, "videos": 2}
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


def test_statistics_that_another_program_put_into_the_log_go_too(lake, say, settings, tmp_path):
    for name, columns in (("words", "video_id,generation,word"), ("passages", "video_id,generation,text")):
        lake.table(name).alter.set_table_properties({"delta.dataSkippingStatsColumns": columns})
    say(NOW, key=KEY)
    say("other words", key="other.mp4")
    for name in ("words", "passages"):
        lake.table(name).create_checkpoint()
    logs = [Path(lake.path(name), "_delta_log") for name in ("words", "passages")]
    assert all("zanzibar" in found(log) for log in logs)
    certificate = forget(lake, settings, [ID])
    assert certificate.log_cleaned >= 4
    nothing_is_left(lake, tmp_path)
    assert rows(lake, "SELECT text FROM transcripts") == [(" other words ",)]


class Killed(BaseException):
    """In place of SIGKILL: nothing of the program handles it."""


def test_killed_before_any_step_it_is_run_again(filled, settings, tmp_path, monkeypatch):
    """The first try dies before its first step, the next before its third, and so on until one has none left."""
    left = 0

    def dying(act):
        def counted(*arguments, **options):
            nonlocal left
            left -= act.__name__ != "_vacuum_dead" or arguments[-1] in ("videos", "vocabulary", "runs")
            if not left:
                raise Killed
            return act(*arguments, **options)

        return counted

    for name in ("delete_rows", "_vacuum_dead"):
        monkeypatch.setattr(erase, name, dying(getattr(erase, name)))
    monkeypatch.setattr(traces, "rewrite", dying(traces.rewrite))
    for name in ("bury", "remove_subtitles", "forget_files"):
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


def test_a_run_that_was_at_work_on_it_writes_nothing(lake, say, result, settings):
    from tasks.lake.commit import forgotten_meanwhile

    generation = say(NOW, key=KEY)
    forget(lake, settings, [ID])
    late: Result = result(NOW, key=KEY, video_id=ID, last_generation=generation)
    assert forgotten_meanwhile(lake, [late]) == {ID}
    bare = rows(lake, "SELECT generation FROM videos")[0][0]
    asked: Result = result(NOW, key=KEY, video_id=ID, last_generation=bare)
    assert forgotten_meanwhile(lake, [asked]) == set(), "its work was found after that, because somebody asked"


def test_what_was_forgotten_between_the_look_and_the_commit_does_not_come_back(
    lake, say, result, settings, tmp_path, monkeypatch
):
    from tasks.pipeline import state

    generation = say(NOW, key=KEY)
    say("other words", key="other.mp4")
    (tmp_path / "bucket").mkdir()
    pipeline = open_session(str(tmp_path / "bucket"), settings).pipeline
    pipeline.__dict__["device"] = "cpu"
    write = state.commit
    monkeypatch.setattr(state, "commit", lambda *a, **o: [forget(lake, settings, [ID]), write(*a, **o)][1])
    late: Result = result(NOW, key=KEY, video_id=ID, last_generation=generation)
    assert pipeline.commit([late]) == []
    assert rows(lake, f"SELECT status, key FROM videos_all WHERE video_id = '{ID}'") == [("forgotten", "")]
    nothing_is_left(lake, tmp_path)


def test_words_taken_from_a_video_that_was_forgotten_meanwhile_are_not_written(lake, say, result, settings):
    from tasks.lake.commit import forgotten_meanwhile

    source = say(NOW, key=KEY)
    copy: Result = result(NOW, key="copy.mp4", video_id="c" * 20)
    copy = replace(copy, work=replace(copy.work, from_stage="copy", source_id=ID, source_generation=source))
    assert forgotten_meanwhile(lake, [copy]) == set()
    forget(lake, settings, [ID])
    assert forgotten_meanwhile(lake, [copy]) == {"c" * 20}


def test_words_of_generations_that_have_expired_leave_the_vocabulary_too(lake, say, settings, tmp_path):
    first = say(EARLIER, key=KEY)
    say("people", key="other.mp4")
    second = say("the woman came", key=KEY, last_generation=first)
    expire(lake, 1)
    add_words(lake, [("en", {"zebulon"})], batch_id="of a writer that was killed before its rows")
    assert second
    assert forget(lake, settings, [ID]).complete
    nothing_is_left(lake, tmp_path)
    assert rows(lake, "SELECT word FROM vocabulary") == [("people",)]


def test_words_that_a_killed_writer_was_about_to_add_are_named(lake, say, settings):
    say(NOW, key=KEY)
    half_done = Path(lake.path("vocabulary"), "part-00000-half-c000.zstd.parquet")
    half_done.write_bytes(Path(lake.files("vocabulary")[0]).read_bytes())
    certificate = forget(lake, settings, [ID])
    assert "1 files of vocabulary that no commit names" in certificate.left[0]


def test_a_name_that_is_empty_names_no_video(lake, say, settings):
    """Rows of what is forgotten have no key."""
    say(NOW, key="talk.mp4")
    forget(lake, settings, find_videos(lake, ["talk.mp4"]))
    with pytest.raises(Misconfigured, match="no video ''"):
        find_videos(lake, [""])


def test_a_name_that_is_a_part_of_another_takes_no_entry_of_it(lake, say, settings):
    for key in ("1.mp4", "11.mp4"):
        say(NOW, key=key)
    failures = [{"key": key, "error": f"{key} is cut off"} for key in ("1.mp4", "11.mp4", "1.mp42", "\n1.mp4")]
    lake.append("runs", [{"run_id": "abc", "report_json": json.dumps({"failures": failures})}], batch_id="run")
    others = json.dumps({"failures": failures[1:2], "bucket": "file:///été"}, ensure_ascii=False)
    lake.append("runs", [{"run_id": "def", "report_json": others}], batch_id="another run")
    certificate = forget(lake, settings, find_videos(lake, ["1.mp4"]))
    assert (certificate.complete, certificate.reports) == (True, 1)
    report, untouched = [text for (text,) in rows(lake, "SELECT report_json FROM runs ORDER BY run_id")]
    assert json.loads(report) == {"failures": failures[1:3], "forgotten": 2}
    assert untouched == others


def test_subtitles_whose_name_was_shared_go_one_after_the_other(lake, result, settings, tmp_path):
    both = [result(NOW, key="talk.mp4", video_id="a" * 20), result(NOW, key="talk.mov", video_id="b" * 20)]
    commit(lake, both, run_id="r", device="cpu")
    out = tmp_path / "subtitles"
    for form in ("vtt", "srt"):
        write_subtitles(lake, folder=str(out), format=form, settings=settings)
    assert len(list(out.glob("talk.*.*"))) == 4
    for key in ("talk.mp4", "talk.mov"):
        forget(lake, settings, find_videos(lake, [key]))
    assert found(out) == set()
    assert not list(out.glob("talk.*"))


def test_subtitles_of_a_writer_that_was_killed_go_too(lake, say, settings, tmp_path, monkeypatch):
    say(NOW, key="talk.mp4")
    out = tmp_path / "subtitles"
    with monkeypatch.context() as patched:
        patched.setattr("tasks.subtitle_files.os.replace", lambda *a: (_ for _ in ()).throw(Killed))
        patched.setattr(Path, "unlink", lambda *a, **o: None)
        with pytest.raises(Killed):
            write_subtitles(lake, folder=str(out), format="vtt", settings=settings)
    assert "zanzibar" in found(out)
    forget(lake, settings, find_videos(lake, ["talk.mp4"]))
    assert found(out) == set()


def test_subtitles_that_may_not_be_removed_do_not_keep_the_lake_from_forgetting(
    lake, result, settings, tmp_path, monkeypatch
):
    video_id = hashlib.sha256(b"file:///bucket\0talk.mp4").hexdigest()[:20]
    commit(lake, [result(NOW, video_id=video_id)], run_id="r", device="cpu")
    out = tmp_path / "subtitles"
    write_subtitles(lake, folder=str(out), format="vtt", settings=settings)
    with monkeypatch.context() as patched:
        patched.setattr("tasks.subtitle_files._remove", lambda path: (_ for _ in ()).throw(PermissionError(13, "no")))
        certificate = forget(lake, settings, find_videos(lake, ["talk.mp4"]))
    assert "1 subtitle files that may not be removed" in certificate.left[0]
    assert found(Path(lake.uri)) == set()
    assert forget(lake, settings, find_videos(lake, ["talk.mp4"]), names=["talk.mp4"]).complete
    assert found(out) == set()


def test_a_video_that_had_gone_before_is_known_again_by_its_bytes(lake, result, settings):
    heard = replace(result(NOW, key=KEY, video_id=ID), content_sha256="ab" * 32)
    (heard,) = commit(lake, [heard], run_id="r", device="cpu")
    gone: Result = result("", key=KEY, video_id=ID, status="gone", last_generation=heard.generation)
    commit(lake, [gone], run_id="r", device="cpu")
    forget(lake, settings, [ID])
    assert rows(lake, "SELECT status, content_sha256, size_bytes FROM videos") == [("forgotten", veiled("ab" * 32), 1)]


def test_reports_keep_the_fields_that_their_readers_ask_for(lake, say, settings):
    say(NOW, key="a")
    report = {"seconds": {"total": 1.0}, "search": {"outcome": "failed", "error": "a was refused"}, "failures": []}
    lake.append("runs", [{"run_id": "abc", "report_json": json.dumps(report)}], batch_id="run")
    both = [{"evaluation_id": "e", "report_json": '{"manifest": "a.csv"}'}, {"evaluation_id": "e", "group_value": "x"}]
    lake.append("evaluations", both, batch_id="evaluation")
    assert forget(lake, settings, find_videos(lake, ["a"])).complete
    ((kept,),) = rows(lake, "SELECT report_json FROM runs")
    assert json.loads(kept)["seconds"] == {"total": 1.0}
    assert json.loads(kept)["search"]["error"] == "It named a video that is forgotten."
    assert rows(lake, "SELECT count(*) FROM evaluations") == [(2,)]


@pytest.mark.parametrize("phrase", ["the quixotic woman", "she don't say zanzibar"])
def test_phrases_by_which_a_search_index_was_tried_are_not_kept(lake, say, settings, tmp_path, phrase):
    from tasks.search.elastic.rebuild import differing
    from tasks.search.query import make_query

    found = {"total_videos": 1, "total_moments": 1, "videos": [{"video_id": ID, "moments": []}]}
    said = differing(make_query(phrase, phrase=True), found | {"total_moments": 2}, found)
    said += differing(make_query(phrase, phrase=True), found | {"videos": [{"video_id": ID, "moments": [1]}]}, found)
    assert len(said) == 2
    assert not any(secret in traces.unquoted(" ".join(said)) for secret in SECRETS)
    say(NOW, key=KEY)
    for n, body in enumerate(({"notes": said}, {"shortfall": " ".join(said)})):
        lake.append("syncs", [{"sync_id": f"{n}", "report_json": json.dumps(body)}], batch_id=f"sync {n}")
    assert forget(lake, settings, [ID]).complete
    nothing_is_left(lake, tmp_path)
    ((report,),) = rows(lake, "SELECT report_json FROM syncs WHERE sync_id = '0'")
    assert json.loads(report)["notes"][0] == "To a phrase the lake has 2 for total_moments, the new index 1."


def test_words_of_a_writer_that_has_not_committed_are_named_until_they_are_old(lake, say, settings):
    """Its file is no file of the log yet, and to remove it would break the commit that may follow."""
    say(NOW, key=KEY)
    half_done = Path(lake.path("words"), "part-00000-half-c000.zstd.parquet")
    half_done.write_bytes(Path(lake.files("words")[0]).read_bytes())
    certificate = forget(lake, settings, [ID])
    assert half_done.exists()
    assert not certificate.complete
    assert "1 files of words that no commit names" in certificate.left[0]
    again = forget(lake, settings.model_copy(update={"sweep_grace_h": 0.0}), [ID])
    assert again.complete
    assert not half_done.exists()


def test_it_is_not_indexed_again_unless_asked(lake, tmp_path, settings, result):
    bucket = tmp_path / "videos"
    bucket.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (bucket / name).write_bytes(b"video")
    first = open_session(str(bucket), settings)
    done = [result("words", video_id=w.video_id, key=w.key, fingerprint=w.fingerprint) for w in first.work]
    commit(
        lake,
        [replace(r, bucket=first.bucket.bucket_id, bucket_uri=first.bucket.uri) for r in done],
        run_id="r",
        device="cpu",
    )
    assert not open_session(str(bucket), settings).has_work
    forget(lake, settings, find_videos(lake, ["a.mp4"]))
    assert not open_session(str(bucket), settings).has_work
    # On another machine, by its key: subtitles beside it, and lines of a log.
    (bucket / "a.mp4.vtt").write_text("WEBVTT\n\nNOTE made by Nightscribe; machine transcript\n")
    settings.scratch.mkdir(exist_ok=True)
    (settings.scratch / "web-retry.log").write_text("  failed  a.mp4: corrupt\n")
    again = forget(lake, settings, find_videos(lake, ["a.mp4"]), names=["a.mp4"])
    assert (again.complete, again.subtitles) == (True, 1)
    assert not (bucket / "a.mp4.vtt").exists()
    assert (settings.scratch / "web-retry.log").read_text() == ""
    (bucket / "a.mp4").write_bytes(b"video, cut anew")
    assert not open_session(str(bucket), settings).has_work
    (asked,) = open_session(str(bucket), settings, remember=["a.mp4"]).work
    assert (asked.key, asked.why) == ("a.mp4", "new")
    (bucket / "a.mp4").unlink()
    assert not open_session(str(bucket), settings).has_work, "it is forgotten, not gone"


def test_what_has_been_gone_for_long_enough_is_forgotten_and_comes_back_with_its_object(lake, say, settings, tmp_path):
    first = say(NOW, key=KEY)
    say("still here", key="other.mp4")
    say("", key=KEY, status="gone", last_generation=first)
    assert take_care(lake, settings).forgotten == 0, "by default nothing goes by itself"
    wanted = settings.model_copy(update={"forget_gone_days": 30.0})
    assert take_care(lake, wanted).forgotten == 0, "not yet"
    (certificate,) = forgetting.forget_overdue(lake, wanted, now=datetime.now(UTC) + timedelta(days=31))
    assert (certificate.videos, certificate.why) == ([ID], "gone for 30 days")
    nothing_is_left(lake, tmp_path)
    assert rows(lake, "SELECT status, key FROM videos ORDER BY key") == [("gone", ""), ("indexed", "other.mp4")]
    assert forgetting.forget_overdue(lake, wanted, now=datetime.now(UTC) + timedelta(days=31)) == [], "once"


def test_what_comes_back_before_its_turn_is_not_forgotten(lake, say, settings, monkeypatch):
    first = say(NOW, key=KEY)
    gone = say("", key=KEY, status="gone", last_generation=first)
    wanted = settings.model_copy(update={"forget_gone_days": 0.0})
    found = list(forgetting.overdue(lake, wanted))
    say(NOW, key=KEY, last_generation=gone)
    monkeypatch.setattr(forgetting, "overdue", lambda *arguments, **options: found)
    (certificate,) = forgetting.forget_overdue(lake, wanted)
    assert (certificate.videos, certificate.rows) == ([], {})
    assert rows(lake, "SELECT status, n_words FROM videos") == [("indexed", 7)]


def test_elasticsearch_forgets_in_every_index(
    lake, say, settings, search_server, index_prefix, search_client, long, monkeypatch
):
    """At full length the segments are looked at too: Elasticsearch lets go of deleted documents every 30 s only."""
    from tasks.search.elastic.rebuild import rebuild
    from tasks.search.elastic.sync import Syncer, sync
    from tasks.search.elastic.verify import verified

    asked = settings.model_copy(update={"elasticsearch_url": search_server.url, "elasticsearch_prefix": index_prefix})
    say(NOW, key=KEY, title="Confession of Zebulon")
    say("other words", key="other.mp4")
    sync(lake, asked)
    rebuild(Syncer.of(lake, asked))  # the index before it is kept for a while
    if not long:
        monkeypatch.setattr("tasks.search.elastic.erase.WAIT_S", 0.0)
    certificate = forget(lake, asked, [ID])
    assert certificate.complete or (not long and "segments" in certificate.left[0])
    assert len(certificate.search["indices"]) == 2
    assert certificate.search["documents"] >= 3
    left = search_client.search(index=f"{index_prefix}-passages-m*", query={"term": {"video_id": ID}})["hits"]["hits"]
    assert [hit["_source"]["status"] for hit in left] == ["forgotten"]
    assert not any(secret in json.dumps(left).lower() for secret in SECRETS)
    for index in certificate.search["indices"] if long else ():
        assert search_client.indices.stats(index=index)["_all"]["primaries"]["docs"]["deleted"] == 0
    assert verified(Syncer.of(lake, asked))[1] == []


def test_the_command_prints_a_certificate_and_can_be_repeated(lake, say, settings, tmp_path):
    say(NOW, key=KEY)

    def run(*arguments: str) -> tuple[int, str]:
        environment = command_environment(tmp_path, NIGHTSCRIBE_LAKE=lake.uri)
        command = [sys.executable, "-m", "nightscribe", "forget", *arguments]
        done = subprocess.run(command, env=environment, cwd=REPO, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    code, said = run("nobody.mp4", "--json")
    assert (code, json.loads(said)["error"]["code"]) == (2, "misconfigured")
    code, said = run(KEY, "--json")
    document = json.loads(said)
    assert (code, document["complete"], document["videos"], document["rows"]["words"]) == (0, True, [ID], 7)
    code, said = run(ID)
    assert code == 0
    assert "Complete." in said
    with pytest.raises(Misconfigured):
        find_videos(lake, [KEY])
    assert log_texts.table_files(lake, "words") == lake.files("words")
