"""The API of the web app, through a real server: shapes, values, errors."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import httpx
import pytest
from web_archive import (  # noqa: F401
    BANK,
    COPIED,
    EVIL,
    FAILED,
    LINKED,
    OUTSIDE,
    PERSIAN,
    SOUND,
    archive,
    long_talk,
    serving,
    video,
    web,
)

from tasks.erasure.forget import forget
from tasks.lake.commit import commit
from tasks.lake.create import create_lake
from tasks.lake.sandbox import run_query
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.runs.status import status_of
from tasks.search.answer import answer


def ok(response):
    assert response.status_code == 200, response.text
    return response.json()


def test_search_answers_as_the_command_does_and_adds_strips(web, archive):
    found = ok(web.get("/api/search", params={"q": "interest rates"}))
    for shown in found["videos"]:
        shown.pop("strip")
        for moment in shown["moments"]:
            moment["marks"] = [list(mark) for mark in moment["marks"]]
    assert found == answer(archive.settings, archive.lake, "interest rates")


def test_a_strip_has_every_hit_at_its_share_of_the_length(web):
    [video] = ok(web.get("/api/search", params={"q": "rates"}))["videos"]
    marks = [(mark["start_ms"], mark["share"], mark["hits"]) for mark in video["strip"]]
    assert marks == [(3000, 0.0562, 1), (7400, 0.1385, 1)]
    assert "interest rates rise" in video["strip"][1]["text"]


@pytest.mark.parametrize(
    ("asked", "videos"),
    [
        ({"q": "bank"}, [BANK, EVIL]),
        ({"q": "interest rates", "mode": "phrase"}, [BANK]),
        ({"q": "rates interest", "mode": "phrase"}, []),
        ({"q": "governor film", "mode": "any"}, [BANK, COPIED]),
        ({"q": "bank", "topic": "business"}, [BANK]),
        ({"q": "bank", "since": "2024-03-01"}, [EVIL]),
        ({"q": "bank", "until": "2024-02-01"}, [BANK]),
        ({"q": "bank", "language": "fa"}, []),
        ({"q": "دنیا"}, [PERSIAN]),
        ({"q": "governer", "typos": "true"}, [BANK]),
        ({"q": "bank", "video": EVIL}, [EVIL]),
        ({"q": "bank", "min_confidence": 0.95}, []),
    ],
)
def test_search_finds_what_fits(web, asked, videos):
    found = ok(web.get("/api/search", params=asked))
    assert sorted(video["video_id"] for video in found["videos"]) == sorted(videos)
    assert found["engine"] == "duckdb"


def test_search_says_what_it_searched_instead(web):
    found = ok(web.get("/api/search", params={"q": "Interestrates"}))
    instead = {"text": "interest rates", "why": "written apart", "total_videos": 1}
    assert (found["query"], found["instead"], found["suggestions"]) == ("Interestrates", instead, [instead])
    assert [mark["start_ms"] for mark in found["videos"][0]["strip"]] == [2600, 7000]
    hits = ok(web.get(f"/api/videos/{BANK}/hits", params={"q": "interestrates", "mode": "phrase"}))
    assert (hits["instead"], hits["hits"][0]) == ('"interest rates"', {"start_ms": 2600, "words": [4, 5]})
    assert ok(web.get(f"/api/videos/{BANK}/hits", params={"q": "interest"}))["instead"] is None


def test_suggestions_are_titles_and_topics(web):
    found = ok(web.get("/api/suggest", params={"q": "b"}))
    assert {video["title"] for video in found["videos"]} == {"The bank leaves rates", "A broken one"}
    assert found["topics"] == [{"label": "business", "videos": 5}]


def test_videos_are_listed_by_status_and_in_order(web):
    found = ok(web.get("/api/videos", params={"limit": 2, "order": "title"}))
    assert (found["total"], found["next"]) == (7, 2)
    failed = ok(web.get("/api/videos", params={"status": "failed"}))["videos"]
    assert [(video["video_id"], video["reason"]) for video in failed] == [(FAILED, "corrupt")]
    assert ok(web.get("/api/videos", params={"status": ""}))["total"] == 8


def test_one_video_says_what_made_it_and_how_it_is_written(web):
    about = ok(web.get(f"/api/videos/{BANK}"))
    assert about["models"] == {"speech": "asr-test", "language": "lm-test", "topics": "t"}
    assert about["direction"] == "ltr"
    assert ok(web.get(f"/api/videos/{PERSIAN}"))["direction"] == "rtl"


def test_a_transcript_is_what_the_lake_has(web, archive):
    found = ok(web.get(f"/api/videos/{BANK}/transcript"))
    rows = connect(archive.lake).execute(
        "SELECT word, start_ms, end_ms, cue_no FROM words WHERE video_id = ? ORDER BY word_no", [BANK]
    ).fetchall()  # fmt: skip
    assert [(w["word"], w["start_ms"], w["end_ms"], w["cue_no"]) for w in found["words"]] == rows
    assert len(rows) == 13
    assert found["cues"][0]["text"] == "the central bank left interest"
    assert [topic["label"] for topic in found["topics"]] == ["business", "business", "sport"]
    assert found["next_ms"] is None


def test_a_transcript_comes_in_parts(web):
    first = ok(web.get(f"/api/videos/{BANK}/transcript", params={"limit": 5}))
    rest = ok(web.get(f"/api/videos/{BANK}/transcript", params={"from_ms": first["next_ms"]}))
    whole = ok(web.get(f"/api/videos/{BANK}/transcript"))
    assert first["words"] + rest["words"] == whole["words"]
    assert first["cues"] + rest["cues"] == whole["cues"]


@pytest.mark.parametrize(
    ("asked", "hits"),
    [
        ({"q": "interest rates", "mode": "phrase"}, [(2600, [4, 5]), (7000, [10, 11])]),
        ({"q": "governor"}, [(6200, [8])]),
        ({"q": "rise bank"}, [(1800, [2]), (7800, [12])]),
        ({"q": "nothing of that"}, []),
    ],
)
def test_hits_within_a_video_name_the_words_that_matched(web, asked, hits):
    found = ok(web.get(f"/api/videos/{BANK}/hits", params=asked))
    assert [(hit["start_ms"], hit["words"]) for hit in found["hits"]] == hits


def test_subtitles_in_three_forms(web):
    vtt = web.get(f"/api/videos/{BANK}/subtitles.vtt")
    assert vtt.headers["content-type"] == "text/vtt; charset=utf-8"
    assert "00:00:01.000 --> 00:00:02.900\nthe central bank left interest" in vtt.text
    assert web.get(f"/api/videos/{BANK}/subtitles.srt").text.startswith("1\n00:00:01,000 --> 00:00:02,900\n")
    assert web.get(f"/api/videos/{BANK}/subtitles.txt").text.splitlines()[0] == "the central bank left interest"
    saved = web.get(f"/api/videos/{BANK}/subtitles.srt", params={"download": 1})
    assert saved.headers["content-disposition"] == f'attachment; filename="{BANK}.srt"'
    assert web.get(f"/api/videos/{FAILED}/subtitles.vtt").status_code == 404


def test_a_hostile_transcript_cannot_end_a_cue(web):
    text = web.get(f"/api/videos/{EVIL}/subtitles.vtt").text
    assert "<script>" not in text
    assert text.count("-->") == 2  # of two cues; the one that is said is escaped


def test_status_is_that_of_the_command(web, archive):
    assert ok(web.get("/api/status")) == status_of(archive.lake, archive.settings)


def test_operations_have_runs_with_speed_and_cost(web):
    found = ok(web.get("/api/operations"))
    [run] = found["runs"]
    assert (run["outcome"], run["failed"], run["speed"]) == ("done", 1, 5.3)
    assert run["cost"] == round(2.0 * 60 / 3600, 4)
    assert found["failures"]["reasons"] == [{"reason": "corrupt", "videos": 1, "tried_again": 0}]
    assert {table["name"]: table["files"] for table in found["tables"]}["words"] == 1


@pytest.mark.parametrize("name", ["hours", "topics", "phrase", "distinctive", "rate", "confidence", "concordance"])
def test_a_charts_sql_gives_its_rows_in_the_sandbox_too(web, archive, name):
    asked = {
        "phrase": "interest rates",
        "word": "rates",
        "topic": "business" if name != "distinctive" else "",
        "since": "2024-01-01",
    }
    found = ok(web.get(f"/api/analytics/{name}", params={key: value for key, value in asked.items() if value}))
    assert found["rows"]
    again = run_query(archive.lake, found["sql"], seconds=20, memory_mb=512, rows=1000)
    assert again.rows.column_names == found["columns"]
    assert again.rows.num_rows == len(found["rows"])


def test_a_video_of_many_words_does_not_break_the_speech_rate(archive, tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    create_lake(lake)
    made = [
        long_talk(archive.bucket, "3" * 20, 10_000),
        video("ten words " * 50, "4" * 20, "short.mp4", archive.bucket),
    ]
    commit(
        lake,
        [replace(one, speech_ms=ms) for one, ms in zip(made, (10_000_000, 54_650), strict=True)],
        run_id="r",
        device="cpu",
    )
    with serving(archive.settings.model_copy(update={"lake": lake.uri})) as address:
        rows = ok(httpx.get(f"{address}/api/analytics/rate"))["rows"]
    assert rows == [[100, 1], [240, 1]]  # 109.8 a minute are not yet 110


def test_a_forgotten_video_is_on_no_page(archive, tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    create_lake(lake)
    commit(lake, [video("about a bank", BANK, "bank.mp4", archive.bucket)], run_id="r", device="cpu")
    settings = archive.settings.model_copy(update={"lake": lake.uri, "scratch": tmp_path / "scratch"})
    with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        assert client.get(f"/media/{BANK}/frame.jpg").status_code == 200
        assert client.get(f"/watch/{BANK}").status_code == 200
        certificate = forget(lake, settings, [BANK])
        assert (certificate.complete, certificate.caches) == (True, 1)
        assert client.get(f"/watch/{BANK}").status_code == 404
        assert ok(client.get("/api/videos?status="))["total"] == 0
        assert ok(client.get("/api/search?q=bank"))["total_videos"] == 0
        assert ok(client.get("/api/suggest?q=talk"))["videos"] == []
        assert ok(client.get("/api/status"))["videos"] == {"forgotten": 1}


def test_a_phrase_is_counted_across_passages_and_months(web):
    found = ok(web.get("/api/analytics/phrase", params={"phrase": "Interest Rates"}))
    said = {row[0]: row[1] for row in found["rows"]}
    assert said == {"2023-05": 0, "2024-02": 2, "2024-03": 0}


def test_the_concordance_leads_into_the_videos(web):
    rows = ok(web.get("/api/analytics/concordance", params={"word": "rates"}))["rows"]
    assert [(row[0], row[3], row[4], row[6]) for row in rows] == [
        (BANK, 3000, "the central bank left interest", "high the governor said interest rates"),
        (BANK, 7400, "rates high the governor said interest", "rise"),
    ]


def test_a_chart_as_csv_makes_formulas_plain(web):
    answer = web.get("/analytics/topics/data.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["published", "topic", "minutes", "videos"]
    sql = "SELECT '=1+1' AS a, -1 AS b"
    assert web.get("/sql/data.csv", params={"q": sql}).text == "a,b\n'=1+1,-1\n"


def test_sql_answers_and_says_when_it_was_cut(web):
    found = ok(web.post("/api/sql", json={"sql": "SELECT unnest(range(10)) AS n, now() AS t", "rows": 3}))
    assert (found["columns"], [row[0] for row in found["rows"]], found["cut"]) == (["n", "t"], [0, 1, 2], True)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/search", 422, "bad_request"),
        ("/api/search?q=%2a", 400, "bad_query"),
        ("/api/search?q=a&since=yesterday", 422, "bad_request"),
        ("/api/search?q=a&limit=1000000", 422, "bad_request"),
        (f"/api/search?q={'a' * 501}", 422, "bad_request"),
        (f"/api/search?q={'a+' * 40}", 400, "bad_query"),
        ("/api/videos/none", 404, "not_found"),
        (f"/api/videos/{'9' * 20}/transcript", 404, "not_found"),
        (f"/api/videos/{BANK}/subtitles.exe", 422, "bad_request"),
        ("/api/analytics/nothing", 404, "not_found"),
        ("/api/analytics/phrase", 400, "bad_query"),
        ("/api/analytics/concordance?word=two+words", 400, "bad_query"),
        ("/api/nothing", 404, "not_found"),
        (f"/media/{OUTSIDE}/original", 404, "access_denied"),
        (f"/media/{LINKED}/original", 404, "access_denied"),
        (f"/media/{PERSIAN}/original", 404, "object_changed"),
        (f"/media/{SOUND}/frame.jpg", 404, "not_found"),
        (f"/media/{BANK}/web.mp4", 404, "not_found"),
    ],
)
def test_errors_are_json_with_a_code(web, path, status, code):
    answer = web.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert set(answer.json()["error"]) == {"code", "message", "next"}
    assert "Traceback" not in answer.text


def test_every_route_is_described_and_listed(web):
    described = ok(web.get("/api/openapi.json"))
    page = web.get("/api/docs").text
    assert len(described["paths"]) > 15
    for path in described["paths"]:
        assert path in page
