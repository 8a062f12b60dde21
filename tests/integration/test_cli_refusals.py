"""What the command line refuses: wrong settings, missing and damaged lakes, wrong usage. A sentence, an exit code, the next step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import error_of, filled, home, run  # noqa: F401

from tasks.lake.schema import LAKE_VERSION


def test_a_bucket_that_is_missing_is_refused(run, home):
    done = run("index", "nowhere", "--plan", "--models", "bucket")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: The bucket {home / 'nowhere'} does not exist.\nName a folder, or a URI such as s3://bucket/prefix.\n"
    )


def test_a_bucket_that_is_missing_is_refused_as_json(run, home):
    done = run("index", "nowhere", "--json", "--models", "bucket")
    assert done.returncode == 2
    assert error_of(done) == {
        "code": "bucket_not_found",
        "message": f"The bucket {home / 'nowhere'} does not exist.",
        "next": "Name a folder, or a URI such as s3://bucket/prefix.",
    }
    assert not (home / "data").exists(), "nothing is made before all is checked"


def test_an_unknown_model_set_is_refused(run):
    done = run("index", "bucket", "--models", "klingon", "--json")
    assert done.returncode == 2
    error = error_of(done)
    assert error["code"] == "unknown_model_set"
    assert error["message"].startswith("There is no model set 'klingon'. Known: demo, demo-all, english, ")
    assert error["next"].startswith("Use --models with one of them")


def test_a_lake_that_cannot_be_made_is_refused(run, home):
    (home / "file").write_text("no folder")
    for lake in ("file", "file/inner", "/proc/nowhere"):
        done = run("index", "bucket", "--models", "bucket", "--lake", lake, "--json")
        assert done.returncode == 2, lake
        assert error_of(done)["code"] in ("lake_not_writable", "misconfigured"), lake


@pytest.mark.parametrize("command", [["search", "x"], ["sql", "SELECT 1"], ["status"], ["subtitles"], ["maintain"]])
def test_without_a_lake_every_command_says_how_to_get_one(run, home, command):
    done = run(*command, "--lake", "nowhere", "--json")
    assert done.returncode == 2
    assert error_of(done) == {
        "code": "misconfigured",
        "message": f"There is no lake at {home / 'nowhere'}.",
        "next": "Index something first: nightscribe index BUCKET",
    }
    assert not (home / "nowhere").exists()


def test_an_error_for_people_is_one_sentence_and_the_next_step(run, home):
    done = run("search", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: There is no lake at {home}/data/lake.\nIndex something first: nightscribe index BUCKET\n"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"lake = \n", "nightscribe.toml cannot be read: Invalid value"),
        (b"\xff\xfe", "nightscribe.toml cannot be read: "),
        (b"lak = 'x'\n", "The setting lak is wrong: Extra inputs are not permitted."),
        (b"batch_videos = 0\n", "The setting batch_videos is wrong: Input should be greater than or equal to 1."),
        (b"sql_rows = 'many'\n", "The setting sql_rows is wrong: "),
    ],
)
def test_a_bad_settings_file_is_refused(run, home, content, says):
    (home / "nightscribe.toml").write_bytes(content)
    done = run("status", "--json")
    assert done.returncode == 2
    error = error_of(done)
    assert (error["code"], error["message"][: len(says)]) == ("misconfigured", says)


def test_a_bad_variable_is_called_by_its_name_and_not_taken_for_the_file(run):
    done = run("status", "--json", env={"NIGHTSCRIBE_INCLUDE": "*.mp4"})
    assert done.returncode == 2
    message = error_of(done)["message"]
    assert '"include"' in message
    assert "nightscribe.toml" not in message


def test_settings_come_from_the_file_and_flags_go_before_it(run, home, filled):
    (home / "nightscribe.toml").write_text(f"lake = {json.dumps(filled.uri)}\n")
    assert run("sql", "SELECT count(*) AS n FROM videos", "--json").stdout == '[\n {\n  "n": 2\n }\n]\n'
    done = run("status", "--lake", "elsewhere", "--json")
    assert error_of(done)["message"] == f"There is no lake at {home / 'elsewhere'}."


@pytest.mark.broken_lake
def test_a_lake_by_a_newer_version_is_left_alone(run, filled):
    marker = Path(filled.uri, "nightscribe-lake.json")
    marker.write_text('{"version": 99}')
    for command in (["search", "x"], ["maintain"], ["index", "bucket", "--models", "bucket"]):
        done = run(*command, "--lake", filled.uri, "--json")
        assert done.returncode == 2, command
        assert error_of(done) == {
            "code": "lake_too_new",
            "message": f"The lake {filled.uri} has version 99; this Nightscribe knows {LAKE_VERSION}. Nothing was changed.",
            "next": "Update Nightscribe on this machine.",
        }
    assert marker.read_text() == '{"version": 99}'


@pytest.mark.broken_lake
@pytest.mark.parametrize(
    "content", [b"{", b"\xff\xfe\x00", b"[1]", b'"text"', b'{"version": "new"}', b'{"version": null}', b""]
)
def test_a_damaged_marker_is_named(run, filled, content):
    Path(filled.uri, "nightscribe-lake.json").write_bytes(content)
    done = run("search", "x", "--lake", filled.uri, "--json")
    assert done.returncode == 2
    assert error_of(done)["message"] == f"{filled.uri}/nightscribe-lake.json is damaged."


def test_a_lake_that_is_a_file_is_refused(run, home):
    (home / "file").write_text("no folder")
    done = run("search", "x", "--lake", "file", "--json")
    assert (done.returncode, error_of(done)["message"]) == (2, f"The lake {home / 'file'} is not a folder.")


@pytest.mark.broken_lake
def test_a_damaged_table_is_named(run, filled):
    for entry in Path(filled.uri, "videos", "_delta_log").glob("*.json"):
        entry.write_text("no log")
    done = run("search", "x", "--lake", filled.uri, "--json")
    assert done.returncode == 2
    error = error_of(done)
    assert error["code"] == "lake_unreadable"
    assert error["message"].startswith(f"The table {filled.uri}/videos cannot be read: ")
    assert "\n" not in error["message"]


@pytest.mark.broken_lake
@pytest.mark.parametrize("damage", ["removed", "overwritten"])
def test_a_damaged_file_of_a_table_is_named(run, filled, damage):
    path = Path(filled.files("words")[0])
    path.unlink() if damage == "removed" else path.write_bytes(b"no parquet")
    for command in (["search", "hello"], ["maintain", "--check"]):
        done = run(*command, "--lake", filled.uri, "--json")
        assert done.returncode == 2
        error = error_of(done)
        assert error["code"] == "lake_unreadable"
        assert error["message"].startswith("The lake cannot be read: ")
        assert path.name in error["message"]
        assert "\n" not in error["message"]


@pytest.mark.broken_lake
def test_damaged_data_in_a_file_is_named(run, filled):
    path = Path(filled.files("words")[0])
    content = bytearray(path.read_bytes())
    for i in range(4, len(content) - 8 - int.from_bytes(content[-8:-4], "little")):
        content[i] ^= 0x5A
    path.write_bytes(content)
    done = run("search", "hello", "--lake", filled.uri, "--json")
    assert (done.returncode, error_of(done)["code"]) == (2, "lake_unreadable")


@pytest.mark.parametrize(
    "arguments", [["search", "--json"], ["sql", "--json", "--limit", "0", "x"], ["status", "--josn", "--json"]]
)
def test_wrong_usage_is_exit_code_2_and_json_where_asked(run, arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert error_of(done)["code"] == "usage"


def test_wrong_usage_for_people_shows_the_usage(run):
    done = run("search")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: nightscribe search [OPTIONS] [WORDS]...")
    assert run("nosuch").returncode == 2
