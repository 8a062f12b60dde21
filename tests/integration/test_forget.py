"""What a forgotten video is taken out of, and what stays as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import REPO, command_environment
from forgotten import EARLIER, ID, KEY, NOW, SECRETS, found, nothing_is_left, rows, settings  # noqa: F401
from search_server.fixtures import index_prefix, search_client, search_server  # noqa: F401

from tasks.erasure import traces
from tasks.erasure.forget import find_videos, forget
from tasks.errors import Misconfigured
from tasks.lake.commit import commit
from tasks.lake.copies import hashed
from tasks.lake.files import table_files
from tasks.lake.maintain import expire
from tasks.lake.vocabulary import add_words
from tasks.records import Result


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


def test_a_video_that_had_gone_before_is_known_again_by_its_bytes(lake, result, settings):
    heard = replace(result(NOW, key=KEY, video_id=ID), content_sha256="ab" * 32)
    (heard,) = commit(lake, [heard], run_id="r", device="cpu")
    gone: Result = result("", key=KEY, video_id=ID, status="gone", last_generation=heard.generation)
    commit(lake, [gone], run_id="r", device="cpu")
    forget(lake, settings, [ID])
    assert rows(lake, "SELECT status, content_sha256, size_bytes FROM videos") == [("forgotten", hashed("ab" * 32), 1)]


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
    from tasks.search.query import make_query
    from tasks.search.trial import differing

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


def test_elasticsearch_forgets_in_every_index(
    lake, say, settings, search_server, index_prefix, search_client, long, monkeypatch
):
    """At full length the segments are looked at too: Elasticsearch lets go of deleted documents every 30 s only."""
    from tasks.search.elastic.rebuild import rebuild
    from tasks.search.elastic.sync import sync
    from tasks.search.elastic.syncer import Syncer
    from tasks.search.elastic.verify import verified

    asked = settings.model_copy(update={"elasticsearch_url": search_server.url, "elasticsearch_prefix": index_prefix})
    say(NOW, key=KEY, title="Confession of Zebulon")
    say("other words", key="other.mp4")
    sync(lake, asked)
    rebuild(Syncer.of(lake, asked))  # the index before it is kept for a while
    older = f"{index_prefix}-passages-m2-20260131t020000-1f3a"  # of a version whose documents were numbered otherwise
    keyword = {"type": "keyword"}
    numbered = {"video_id": keyword, "kind": keyword, "passage_no": {"type": "integer"}}
    search_client.indices.create(index=older, mappings={"properties": numbered}, aliases={f"{older}-guard": {}})
    of_old = {"video_id": ID, "kind": "passage", "passage_no": 0}
    search_client.index(index=older, id=f"{ID}:0", document=of_old, version=1, version_type="external")
    if not long:
        monkeypatch.setattr("tasks.search.elastic.erase.WAIT_S", 0.0)
    certificate = forget(lake, asked, [ID])
    assert certificate.complete or (not long and "segments" in certificate.left[0])
    assert len(certificate.search["indices"]) == 3
    assert certificate.search["documents"] >= 4
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
    assert table_files(lake, "words") == lake.files("words")
