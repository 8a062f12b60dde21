"""What is due: for every video and every stage one SQL, from the declarations.

A stage of a video that is indexed is

    missing   it was never made of this object, and what it needs is there
    stale     another recipe made it
    outdated  what it was made from has been made anew since
    failed    its last try failed, and its time has come

A video that failed as a whole has no stages yet; it is due as a video (tasks/scan.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import duckdb

from tasks.records import Recipes
from tasks.stages.base import SOURCES, Stage
from tasks.stages.recipes import recipe_on
from tasks.stages.registry import STAGES

INDEXED = "('indexed', 'no_speech', 'no_audio')"
REFRESHED = "('stale', 'outdated')"
# Of which videos a source is there.
_HAS = {"sound": "v.status <> 'no_audio'", "pictures": "v.video_codec IS NOT NULL", "metadata": "true"}


def find_due(connection: duckdb.DuckDBPyConnection, recipes: Recipes, *, now: datetime, retry: bool = False) -> None:
    """Make the table `due_stages` (video_id, number, stage, why) of a connection with the lake's views. With `retry`, what failed
    is due whenever it did."""
    on = [stage for stage in STAGES if stage.name in recipes.hashes]
    connection.execute("CREATE OR REPLACE TEMP TABLE wanted_recipes (stage VARCHAR, before VARCHAR, recipe VARCHAR)")
    for stage in on:
        _want(connection, stage, recipes)
    rows = " UNION ALL ".join(_due(stage, number, recipes) for number, stage in enumerate(STAGES, 1) if stage in on)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE due_stages AS SELECT video_id, number, $names[number] AS stage, why FROM ({rows}) "
        "WHERE why IS NOT NULL",
        {"names": list(STAGES.names), "now": now, "retry": retry},
    )


def _before(stage: Stage, recipes: Recipes) -> list[str]:
    """The stages whose recipes are part of a stage's own."""
    return [one.name for one in STAGES.stages_before(stage) if one.name in recipes.hashes]


def _want(connection: duckdb.DuckDBPyConnection, stage: Stage, recipes: Recipes) -> None:
    """The recipe that a stage should have beside what is there: today's options on the stages before it as they are. Those
    have their own say on whether they are stale."""
    before = _before(stage, recipes)
    if not before:
        found = [()]
    else:
        columns = ", ".join(f"coalesce(n_{name}.recipe, '{recipes[name]}')" for name in before)
        sql = f"SELECT DISTINCT {columns} FROM (SELECT video_id FROM current_videos WHERE shown) v {_joined(before)}"
        found = connection.execute(sql).fetchall()
    rows = [(stage.name, "/".join(chain), recipe_on(recipes, stage, tuple(chain))) for chain in found]
    if rows:
        connection.executemany("INSERT INTO wanted_recipes VALUES (?, ?, ?)", rows)


def _joined(names: Sequence[str]) -> str:
    return " ".join(f"LEFT JOIN current_{name} n_{name} ON n_{name}.video_id = v.video_id" for name in names)


def _due(stage: Stage, number: int, recipes: Recipes) -> str:
    stages = [one.name for one in STAGES.stages_before(stage)]
    there = " AND ".join(_HAS.get(name, f"n_{name}.status = 'done'") for name in stage.needs)
    before = ", ".join(f"coalesce(n_{name}.recipe, '{recipes[name]}')" for name in _before(stage, recipes))
    chain = before or "''"
    wanted = f"LEFT JOIN wanted_recipes w ON w.stage = '{stage.name}' AND w.before = concat_ws('/', {chain})"
    outdated = _outdated(stage)
    run = f"r.stage = '{stage.name}' AND r.video_id = v.video_id AND r.generation = m.run_generation"
    return f"""
SELECT v.video_id, {number} AS number, CASE
    WHEN f.generation > coalesce(m.run_generation, -1) THEN
        CASE WHEN f.recipe <> w.recipe THEN 'stale' WHEN $retry OR f.next_try_at <= $now THEN 'failed' END
    WHEN m.run_generation IS NULL THEN CASE WHEN {there} THEN 'missing' END
    WHEN m.recipe <> w.recipe THEN 'stale'
    {f"WHEN {outdated} THEN 'outdated'" if outdated else ""} END AS why
FROM (SELECT video_id, status, video_codec, metadata_generation FROM video_facts WHERE status IN {INDEXED}) v
LEFT JOIN current_{stage.name} m ON m.video_id = v.video_id
LEFT JOIN ({_FAILED.format(stage.name)}) f ON f.video_id = v.video_id {_joined(stages)} {wanted}
{f"LEFT JOIN every_run r ON {run}" if outdated else ""}
"""


# The newest try that failed of each video, of this object.
_FAILED = """
SELECT video_id, max(generation) AS generation, arg_max(recipe, generation) AS recipe, arg_max(next_try_at, generation) AS next_try_at
FROM (SELECT r.* FROM every_run r JOIN current_videos c ON c.video_id = r.video_id AND c.object_generation = r.object_generation
      WHERE r.stage = '{}' AND r.status = 'failed') GROUP BY video_id
"""


def _outdated(stage: Stage) -> str:
    """Whether it was made from something else than is there now. Of a bound stage nothing is current then, and what is made
    from the sound alone stays right as long as the object does."""
    if stage.bound:
        return ""
    stages = [
        f"n_{name}.run_generation <> coalesce(r.inputs['{name}'], -1)" for name in stage.inputs if name not in SOURCES
    ]
    metadata = ["v.metadata_generation <> r.inputs['metadata']"] if "metadata" in stage.inputs else []
    return "" if stage.together else " OR ".join(metadata + stages)


def coverage(lake: duckdb.DuckDBPyConnection, recipes: Recipes, *, now: datetime) -> Mapping[str, Mapping[str, int]]:
    """Of each stage that is on, how many videos have it (`done`, or `empty` where there was nothing to find), and how many are
    missing, stale, outdated or failed and not due yet (`failed`, due or not)."""
    find_due(lake, recipes, now=now, retry=True)
    counts = {name: dict.fromkeys(STATES, 0) for name in STAGES.names if name in recipes.hashes}
    for stage, why, n in lake.execute("SELECT stage, why, count(*) FROM due_stages GROUP BY ALL").fetchall():
        counts[stage][why] = n
    for stage in counts:
        sql = f"SELECT status, count(*) FROM current_{stage} GROUP BY ALL"
        counts[stage].update(dict(lake.execute(sql).fetchall()))
    return counts


STATES = ("done", "empty", "missing", "stale", "outdated", "failed")


def count_refreshed(lake: duckdb.DuckDBPyConnection) -> int:
    """How many videos `index --refresh` would redo, by `due_stages`, were their objects what they were."""
    row = lake.execute(f"SELECT count(DISTINCT video_id) FROM due_stages WHERE why IN {REFRESHED}").fetchone()
    return int(row[0]) if row else 0
