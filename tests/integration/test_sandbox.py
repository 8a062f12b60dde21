"""SQL by strangers: what it may read, and every way out that was thought of."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from asking import SECRET, ask, contents, filled, refused, values  # noqa: F401

from tasks.errors import BadQuery
from tasks.lake.sandbox import guard, only_select
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, define_views


@pytest.fixture
def door(filled: Lake) -> duckdb.DuckDBPyConnection:
    """The connection of a sandbox, without the process around it."""
    snapshot = Snapshot.of(filled)
    connection = duckdb.connect(":memory:")
    define_views(connection, snapshot)
    guard(connection, {name: list(files) for name, files in snapshot.files.items()}, 512)
    return connection


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.csv"
    path.write_text(f"word\n{SECRET}\n")
    return path


# -- what it is for -----------------------------------------------------------------------------------------------------


def test_a_select_over_the_views_is_answered(filled):
    assert values(filled, "SELECT word, start_ms FROM words ORDER BY word_no") == [
        ("hello", 0),
        ("there", 400),
        ("world", 800),
    ]
    assert values(filled, "FROM topics SELECT label;") == [("tech",)]
    assert values(filled, "WITH n AS (SELECT count(*) AS c FROM videos_all) SELECT c + 1 FROM n") == [(2,)]


def test_an_empty_lake_is_answered(lake):
    assert values(lake, "SELECT count(*) FROM words") == [(0,)]


def test_the_tables_and_columns_can_be_asked_for(filled):
    assert ("videos",) in values(filled, "SHOW TABLES")
    assert values(filled, "DESCRIBE transcripts")[2][:2] == ("text", "VARCHAR")
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'transcripts' ORDER BY 1"
    assert values(filled, columns) == [("folded",), ("generation",), ("text",), ("video_id",)]


def test_columns_of_one_name_are_told_apart(filled):
    answer = ask(filled, "SELECT 1 AS a, 2 AS a, 3 AS a_1 FROM videos")
    assert answer.rows.to_pylist() == [{"a": 1, "a_2": 2, "a_1": 3}]


def test_a_wrong_query_says_what_is_wrong(filled):
    assert 'Referenced column "nosuch" not found' in refused(filled, "SELECT nosuch FROM videos")


def test_an_error_in_the_middle_of_the_rows_says_what_is_wrong(filled):
    sql = "SELECT CAST(CASE WHEN range = 9000 THEN 'nine' ELSE '1' END AS INT) FROM range(10000)"
    assert "Could not convert string 'nine' to INT32" in refused(filled, sql, rows=10_000)


def test_a_query_that_would_write_says_so_and_does_not_blame_memory(filled):
    assert "read-only" in refused(filled, "WITH x AS (DELETE FROM current_videos RETURNING *) FROM x")


def test_it_answers_in_a_folder_that_has_a_tasks_module_of_its_own(filled, tmp_path, monkeypatch):
    (tmp_path / "tasks.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    assert values(filled, "SELECT 1") == [(1,)]


# -- one statement, and that a SELECT -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("COPY (SELECT 1) TO 'out.csv'", "COPY"),
        ("COPY words FROM 'in.csv'", "COPY"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'", "EXPLAIN"),
        ("ATTACH 'out.db'", "ATTACH"),
        ("DETACH memory", "DETACH"),
        ("INSTALL httpfs", "LOAD"),
        ("LOAD httpfs", "LOAD"),
        ("PRAGMA database_list", "PRAGMA"),
        ("SET memory_limit = '100GB'", "SET"),
        ("SET enable_external_access = true", "SET"),
        ("RESET lock_configuration", "SET"),
        ("SET VARIABLE x = 1", "SET"),
        ("CALL enable_logging()", "CALL"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("EXECUTE p", "EXECUTE"),
        ("CREATE TABLE t (a INT)", "CREATE"),
        ("CREATE MACRO m() AS 1", "CREATE"),
        ("INSERT INTO current_videos VALUES ('x', 1)", "INSERT"),
        ("UPDATE current_videos SET generation = 1", "UPDATE"),
        ("DELETE FROM current_videos", "DELETE"),
        ("DROP VIEW videos", "DROP"),
        ("COMMIT", "TRANSACTION"),
        ("EXPORT DATABASE 'out'", "EXPORT"),
        ("VACUUM", "VACUUM"),
    ],
)
def test_no_other_statement_is_taken(sql, kind):
    with pytest.raises(BadQuery) as caught:
        only_select(duckdb.connect(":memory:"), sql)
    assert str(caught.value) == f"Only SELECT is allowed, not {kind}."


def test_what_is_not_taken_is_not_run(filled):
    assert refused(filled, "COPY (SELECT 1) TO 'out.csv'") == "Only SELECT is allowed, not COPY."
    assert refused(filled, "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x'") == "Only SELECT is allowed, not EXPLAIN."


@pytest.mark.parametrize(
    ("sql", "count"),
    [("SELECT 1; SELECT 2", 2), ("SELECT 1; COMMIT; COPY (SELECT 1) TO 'x'", 3), ("", 0), ("-- no", 0)],
)
def test_exactly_one_statement_is_run(filled, sql, count):
    assert refused(filled, sql) == f"One SELECT statement is allowed; this has {count}."


# -- reading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{path}')",
        "SELECT * FROM read_text('{path}')",
        "SELECT * FROM read_blob('{path}')",
        "SELECT * FROM read_json('{path}')",
        "SELECT * FROM read_parquet('{path}')",
        "SELECT * FROM sniff_csv('{path}')",
        "SELECT * FROM parquet_metadata('{path}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_text('{folder}/*')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_duckdb('{path}')",
        "SELECT * FROM query('SELECT * FROM read_text(''{path}'')')",
        "SELECT (SELECT content FROM read_text('{path}'))",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{path}'')'))",
        "SELECT * FROM read_csv('https://127.0.0.1:9/x.csv')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    ],
)
def test_behind_the_guard_no_other_file_is_read(door, secret, sql):
    with pytest.raises(duckdb.Error, match=r"disabled by configuration|httpfs"):
        door.sql(only_select(door, sql.format(path=secret, folder=secret.parent))).fetchall()


@pytest.mark.parametrize("function", ["read_csv", "read_text", "read_parquet", "glob"])
def test_no_other_file_is_read(filled, secret, function):
    assert "disabled by configuration" in refused(filled, f"SELECT * FROM {function}('{secret}')")


def test_no_file_is_read_by_its_name_alone(filled, secret):
    message = refused(filled, f"SELECT * FROM '{secret}'")
    assert "does not exist" in message or "disabled by configuration" in message


def test_no_file_is_read_by_a_way_around_through_the_lake(door, filled, secret):
    for name in (
        "words/../../secret.csv",
        "*/*.parquet",
        "words/*.parquet",
        "_delta_log/*.json",
        "nightscribe-lake.json",
    ):
        path = f"{filled.uri}/{name}".replace("'", "''")
        with pytest.raises(duckdb.PermissionException, match="disabled by configuration"):
            door.sql(f"SELECT * FROM read_text('{path}')").fetchall()


def test_a_variable_of_python_is_no_table(filled):
    swordfish = {"a": [1]}
    assert swordfish
    with pytest.raises(BadQuery, match="swordfish does not exist"):
        ask(filled, "SELECT * FROM swordfish")
    assert "request does not exist" in refused(filled, "SELECT * FROM request"), "a variable of the sandbox itself"


def test_the_environment_is_not_read(filled, monkeypatch):
    monkeypatch.setenv("NIGHTSCRIBE_ELASTICSEARCH_URL", SECRET)
    assert "does not exist" in refused(filled, "SELECT getenv('NIGHTSCRIBE_ELASTICSEARCH_URL')")
    settings = values(filled, "SELECT name, value FROM duckdb_settings()", rows=10_000)
    assert len(settings) > 50
    assert SECRET not in str(settings)


def test_a_file_of_the_lake_may_be_read_by_its_path(filled):
    path = filled.files("words")[0].replace("'", "''")
    assert values(filled, f"SELECT word FROM read_parquet('{path}') ORDER BY word_no") == [
        ("hello",),
        ("there",),
        ("world",),
    ]


# -- writing ------------------------------------------------------------------------------------------------------------


def test_nothing_is_written_and_the_lake_stays_as_it_is(filled, tmp_path):
    live = filled.files("words")[0].replace("'", "''")
    new = str(tmp_path / "new.parquet").replace("'", "''")
    before = contents(tmp_path)
    for sql in (
        f"COPY (SELECT 1 AS a) TO '{live}' (FORMAT parquet)",
        f"EXPLAIN ANALYZE COPY (SELECT 1 AS a) TO '{live}' (FORMAT parquet)",
        f"SELECT * FROM query('COPY (SELECT 1) TO ''{live.replace(chr(39), chr(39) * 2)}''')",
        f"WITH x AS (COPY (SELECT 1) TO '{live}') SELECT * FROM x",
        f"SELECT * FROM enable_logging('QueryLog', storage = 'file', storage_path = '{new}')",
        f"SELECT * FROM enable_profiling(format = 'json', save_location = '{new}')",
    ):
        refused(filled, sql)
    assert contents(tmp_path) == before
    assert values(filled, "SELECT count(*) FROM words") == [(3,)]


def test_a_query_cannot_change_what_the_next_one_sees(filled):
    refused(filled, "INSERT INTO current_videos VALUES ('x', 1)")
    assert values(filled, "SELECT count(*) FROM current_videos") == [(1,)]


@pytest.mark.parametrize("setting", ["enable_external_access", "lock_configuration", "allowed_paths", "memory_limit"])
def test_behind_the_guard_no_setting_can_be_changed(door, setting):
    with pytest.raises(duckdb.InvalidInputException, match="the configuration has been locked"):
        door.execute(f"SET {setting} = DEFAULT")
    with pytest.raises(duckdb.CatalogException, match="does not exist"):
        door.sql(f"SELECT set_config('{setting}', 'x', false)").fetchall()


def test_the_sandbox_is_locked_as_it_should_be(filled):
    sql = (
        "SELECT current_setting('enable_external_access'), current_setting('lock_configuration'), "
        "current_setting('python_enable_replacements'), current_setting('autoload_known_extensions'), "
        "current_setting('max_temp_directory_size')"
    )
    assert values(filled, sql) == [(False, True, False, False, "0 bytes")]
