"""The command line as people and programs meet it: in a process of its own, in a folder of its own."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow.parquet
import pytest
from command_line import error_of, filled, home, run  # noqa: F401

from nightscribe.cli import COMMANDS
from tasks.lake.commit import commit
from tasks.lake.store import Lake

HEAVY = {"prefect", "torch", "transformers", "elasticsearch", "fastapi"}


def imported(stderr: str) -> set[str]:
    """Top-level packages in the output of `-X importtime`."""
    return {
        line.rsplit("|", 1)[1].strip().split(".")[0] for line in stderr.splitlines() if line.startswith("import time:")
    }


# -- help ---------------------------------------------------------------------------------------------------------------


def test_help_lists_every_command_and_imports_nothing_heavy(run):
    done = run("--help", options=("-X", "importtime"))
    assert done.returncode == 0
    listed = done.stdout.split("Commands:")[1]
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "] == list(
        COMMANDS
    )
    assert "click" in imported(done.stderr)
    assert imported(done.stderr) & (HEAVY | {"duckdb", "deltalake", "pyarrow"}) == set()


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_an_example_and_its_help_imports_nothing_heavy(run, command):
    done = run(command, "--help", options=("-X", "importtime"))
    assert done.returncode == 0
    assert f"Example:\n    nightscribe {command}" in done.stdout
    assert imported(done.stderr) & HEAVY == set()


def test_search_imports_nothing_heavy(run, filled):
    done = run("search", "interest", "--lake", filled.uri, options=("-X", "importtime"))
    assert done.returncode == 0
    assert "duckdb" in imported(done.stderr)
    assert imported(done.stderr) & {"prefect", "torch", "transformers"} == set()


def test_the_version_is_told(run):
    assert run("--version").stdout.startswith("nightscribe, version ")


# -- search -------------------------------------------------------------------------------------------------------------


def test_search_as_json_is_the_documented_document(run, filled):
    done = run("search", "Interest", "RATES", "--lake", filled.uri, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "query": "Interest RATES",
        "mode": "words",
        "engine": "duckdb",
        "fallback_reason": None,
        "total_videos": 1,
        "total_moments": 1,
        "next": None,
        "instead": None,
        "suggestions": [],
        "videos": [
            {
                "video_id": "a" * 20,
                "key": "talks/a.mp4",
                "title": "Rates",
                "published_at": "2024-01-01T00:00:00Z",
                "duration_ms": 1100,
                "score": 0.6931,
                "topics": ["Economy"],
                "moments_total": 1,
                "moments": [
                    {
                        "place": "speech",
                        "start_ms": 0,
                        "end_ms": 700,
                        "times": [0, 400],
                        "snippet": "interest rates rise",
                        "marks": [[0, 14]],
                        "confidence": 0.9,
                    }
                ],
            }
        ],
    }


def test_search_for_people_prints_titles_as_they_are(run, filled):
    done = run("search", "there", "--lake", filled.uri)
    assert done.returncode == 0
    assert done.stdout == ('1 moment in 1 video\n\n[red]"quoted", ü[/red]  b.mp4\n     0:00.4  hello there world\n')


def test_words_in_quotes_are_a_phrase(run, filled):
    asked = json.loads(run("search", '"rates interest"', "--lake", filled.uri, "--json").stdout)
    assert (asked["mode"], asked["total_videos"]) == ("phrase", 0)


def test_a_search_without_a_word_is_refused(run, filled):
    done = run("search", "?!", "--lake", filled.uri, "--json")
    assert (done.returncode, error_of(done)["code"]) == (2, "bad_query")


def test_what_is_searched_instead_is_said(run, filled):
    done = run("search", "interestrates", "--lake", filled.uri)
    assert done.stdout.splitlines()[:2] == [
        "Nothing found as typed. Searched instead: interest rates  (written apart)",
        "1 moment in 1 video",
    ]
    asked = json.loads(run("search", "interestrates", "--exact", "--lake", filled.uri, "--json").stdout)
    assert asked["instead"] == {"text": "interest rates", "why": "written apart", "total_videos": 1}
    assert asked["videos"][0]["moments"][0]["marks"] == [[0, 14]]


def test_nothing_found_is_no_error(run, filled):
    done = run("search", "goodbye", "--lake", filled.uri)
    assert (done.returncode, done.stdout) == (0, "Nothing found.\n")


# -- sql ----------------------------------------------------------------------------------------------------------------

KINDS = (
    "SELECT 9007199254740992 AS exact, 9007199254740993 AS big, 170141183460469231731687303715884105727::HUGEINT AS huge, "
    "1.10::DECIMAL(9,2) AS money, 0.5::DOUBLE AS half, 'NaN'::DOUBLE AS nan, NULL AS none, true AS yes, "
    "TIMESTAMPTZ '2024-01-02 03:04:05+00' AS at, DATE '2024-01-02' AS day, [1, 9007199254740993] AS list, "
    "{'a': 1.5::DECIMAL(3,1)} AS struct, 'ü\"' AS text, '\\xAB'::BLOB AS bytes"
)


def test_sql_as_json_keeps_big_integers_and_decimals_exact(run, filled):
    done = run("sql", KINDS, "--lake", filled.uri, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [
        {
            "exact": 9007199254740992,
            "big": "9007199254740993",
            "huge": "170141183460469231731687303715884105727",
            "money": "1.10",
            "half": 0.5,
            "nan": None,
            "none": None,
            "yes": True,
            "at": "2024-01-02T03:04:05Z",
            "day": "2024-01-02",
            "list": [1, "9007199254740993"],
            "struct": {"a": "1.5"},
            "text": 'ü"',
            "bytes": "ab",
        }
    ]


def test_sql_as_csv_can_be_read_back(run, filled):
    query = "SELECT key, title, n_words, NULL AS none, ['a', 'b'] AS list FROM videos ORDER BY key"
    done = run("sql", query, "--lake", filled.uri, "--format", "csv")
    assert list(csv.reader(io.StringIO(done.stdout))) == [
        ["key", "title", "n_words", "none", "list"],
        ["b.mp4", '[red]"quoted", ü[/red]', "3", "", '["a", "b"]'],
        ["talks/a.mp4", "Rates", "3", "", '["a", "b"]'],
    ]


def test_sql_as_csv_keeps_columns_of_one_name_apart(run, filled):
    query = (
        "SELECT v.key, w.word, v.generation > 0 AS x, w.start_ms AS x FROM videos v JOIN words w USING (video_id) "
        "WHERE start_ms = 400 ORDER BY 1"
    )
    done = run("sql", query, "--lake", filled.uri, "--format", "csv")
    assert done.stdout == "key,word,x,x_1\nb.mp4,there,True,400\ntalks/a.mp4,rates,True,400\n"


def test_sql_as_parquet_has_the_types_of_the_lake(run, filled):
    done = run(
        "sql",
        "SELECT key, n_words, indexed_at FROM videos ORDER BY key",
        "--lake",
        filled.uri,
        "--format",
        "parquet",
        text=False,
    )
    table = pyarrow.parquet.read_table(io.BytesIO(done.stdout))
    assert [str(field.type) for field in table.schema] == ["string", "int32", "timestamp[us, tz=UTC]"]
    assert table.column("key").to_pylist() == ["b.mp4", "talks/a.mp4"]


def test_sql_as_a_table_shows_values_as_they_are(run, filled):
    done = run("sql", "SELECT title, n_words FROM videos ORDER BY key", "--lake", filled.uri)
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["title", "n_words"],
        ['[red]"quoted",', "ü[/red]", "3"],
        ["Rates", "3"],
    ]


def test_sql_says_on_stderr_that_rows_are_missing(run, filled):
    done = run("sql", "SELECT word FROM words ORDER BY word", "--lake", filled.uri, "--json", "--limit", "2")
    assert [row["word"] for row in json.loads(done.stdout)] == ["hello", "interest"]
    assert done.stderr == "Only the first 2 rows are shown; ask for more with --limit.\n"


def test_sql_that_is_wrong_or_no_select_is_exit_code_2(run, filled):
    done = run("sql", "DROP VIEW videos", "--lake", filled.uri, "--json")
    assert done.returncode == 2
    assert error_of(done)["code"] == "bad_query"
    assert error_of(done)["message"] == "Only SELECT is allowed, not DROP."


# -- the other commands -------------------------------------------------------------------------------------------------


def test_status_as_json_counts_what_is_there(run, filled, result):
    failed = replace(
        result("", status="failed", key="c.mp4", video_id="c" * 20),
        reason="corrupt",
        next_try_at=datetime(2024, 1, 1, tzinfo=UTC),
    )
    commit(filled, [failed], run_id="r", device="cpu")
    done = run("status", "--lake", filled.uri, "--json")
    assert done.returncode == 0
    status = json.loads(done.stdout)
    assert (status["videos"], status["failed_by_reason"]) == ({"failed": 1, "indexed": 2}, {"corrupt": 1})
    assert (status["media_ms"], status["words"], status["due"]["retry"], status["last_runs"]) == (2200, 6, 1, [])
    assert status["lake"] == filled.uri


def test_subtitles_are_written_where_they_are_wanted(run, home, filled):
    done = run("subtitles", "--lake", filled.uri, "--out", "subs", "--format", "srt", "--json")
    assert done.returncode == 0
    assert [item["path"] for item in json.loads(done.stdout)["written"]] == ["subs/b.srt", "subs/talks/a.srt"]
    assert (home / "subs/b.srt").read_text() == "1\n00:00:00,000 --> 00:00:01,100\nhello there world\n"


@pytest.mark.broken_lake
def test_maintain_checks_the_lake(run, filled):
    done = run("maintain", "--check", "--lake", filled.uri)
    assert (done.returncode, done.stdout) == (0, "The lake is sound.\n")
    filled.table("words").delete("word_no = 1")
    done = run("maintain", "--check", "--lake", filled.uri, "--json")
    assert done.returncode == 1
    said = " ".join(json.loads(done.stdout)["problems"])
    assert said.count("its run says 3 words, there are 2.") == 2
    assert said.count("has words that do not follow each other.") == 2


def test_models_are_listed(run):
    done = run("models", "list", "--json")
    names = [entry["name"] for entry in json.loads(done.stdout)]
    assert names[:3] == ["demo", "english", "parakeet"]


def test_a_plan_of_an_empty_bucket_makes_nothing(run, home):
    done = run("index", "bucket", "--plan", "--models", "bucket")
    assert (done.returncode, done.stdout) == (0, "Nothing to do.\n")
    assert [path.name for path in home.iterdir()] == ["bucket"]


def test_indexing_an_empty_bucket_never_starts_prefect(run, home):
    done = run("index", "bucket", "--models", "bucket", "--json", options=("-X", "importtime"))
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert (report["scanned"], report["indexed"], report["failed"], report["plan"]) == (0, 0, 0, False)
    assert imported(done.stderr) & {"prefect", "torch", "transformers"} == set()
    assert Lake(str(home / "data/lake")).exists()


def test_a_reader_that_closes_the_pipe_is_no_error(home, filled):
    command = [
        sys.executable,
        "-m",
        "nightscribe",
        "sql",
        "SELECT repeat('x', 1000) FROM range(10000)",
        "--lake",
        filled.uri,
    ]
    with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DATE '12000-01-01'",
        "SELECT 'infinity'::TIMESTAMP",
        "SELECT TIMESTAMP_NS '2020-01-01 00:00:00.123456789'",
    ],
)
def test_times_that_python_has_no_values_for_are_shown(run, filled, sql):
    for form in ("table", "csv", "json"):
        done = run("sql", sql, "--lake", filled.uri, "--format", form)
        assert (done.returncode, done.stderr) == (0, "")
        assert any(part in done.stdout for part in ("12000-01-01", "out of range", "00:00:00.123456789"))


def test_a_query_that_is_no_text_is_refused(run, filled):
    done = run("sql", "SELECT '\udcff'", "--lake", filled.uri)
    assert done.returncode == 2
    assert "not UTF-8" in done.stderr
