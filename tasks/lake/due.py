"""What is due: for every video and every stage one SQL, from the declarations.

A stage of a video that is indexed is

    missing   it was never made of this object, and what it needs is there
    stale     another recipe made it
    outdated  what it was made from has been made anew since
    failed    its last try failed, and its time has come

A video that failed as a whole has no stages yet; it is due as a video (tasks/runs/scan.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from tasks.records import Recipes
from tasks.stages.base import APART, SOURCES, Stage
from tasks.stages.recipes import recipe_on
from tasks.stages.registry import STAGES

INDEXED = "('indexed', 'no_speech', 'no_audio')"
REFRESHED = "('stale', 'outdated')"
# Of which videos a source is there.
_HAS = {
    "sound": "v.status <> 'no_audio'",
    "soundtrack": "v.status <> 'no_audio'",
    "pictures": "v.video_codec IS NOT NULL",
    "metadata": "true",
}


def find_due(
    connection: duckdb.DuckDBPyConnection, recipes: Recipes, *, now: datetime, retry: Collection[str] = ()
) -> None:
    """Make the table `due_stages` (video_id, number, stage, why) of a connection with the lake's views. Of the stages `retry`,
    what failed is due whenever it did."""
    connection.execute("CREATE OR REPLACE TEMP TABLE wanted_recipes (stage VARCHAR, before VARCHAR, recipe VARCHAR)")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE due_stages (video_id VARCHAR, number INTEGER, stage VARCHAR, why VARCHAR)"
    )
    sums = _sums(connection)
    todays: set[str] = set()
    for number, stage in enumerate(STAGES, 1):
        if stage.name in recipes.hashes and not _nothing_due(stage, recipes, sums, todays):
            _want(connection, stage, recipes)
            sql = _due(stage, number, recipes)
            parameters = {"now": now, "retry": stage.name in retry}
            connection.execute(
                f"INSERT INTO due_stages SELECT video_id, number, '{stage.name}', why FROM ({sql}) WHERE why IS NOT NULL",
                parameters,
            )


@dataclass(frozen=True)
class _Sums:
    """Of all that the lake keeps: runs by stage, occasion, status and recipe; visits by what came of them; and how many rows of
    `videos` were written later than a visit."""

    runs: Mapping[tuple[str, str, str, str], int]
    visits: Mapping[str, int]
    later: int

    def count(self, stage: str, *statuses: str) -> int:
        return sum(
            n
            for (name, occasion, status, _), n in self.runs.items()
            if name == stage and occasion != "later" and status in statuses
        )


def _sums(connection: duckdb.DuckDBPyConnection) -> _Sums:
    runs = connection.execute("SELECT stage, occasion, status, recipe, count(*) FROM every_run GROUP BY ALL").fetchall()
    videos = connection.execute(
        "SELECT status, coalesce(object_generation, generation) = generation, count(*) FROM _videos GROUP BY ALL"
    ).fetchall()
    return _Sums(
        {(stage, occasion, status, recipe): n for stage, occasion, status, recipe, n in runs},
        {status: n for status, visit, n in videos if visit},
        sum(n for _, visit, n in videos if not visit),
    )


def _nothing_due(stage: Stage, recipes: Recipes, sums: _Sums, todays: set[str]) -> bool:
    """Whether sums alone tell that a stage is due nowhere: on most nights, of most stages. Else videos are looked at.

    A visit makes a stage only where it made what that needs. So when nothing was made later than at a visit, today's recipe made
    every run of it, and there are as many of these as of what it needs, every video has it. Adds to `todays` the stages that
    today's recipes made.
    """
    before = [one.name for one in STAGES.stages_before(stage)]
    if any(occasion == "later" and name in (stage.name, *before) for name, occasion, _, _ in sums.runs):
        return False
    old = any(
        name == stage.name and status != "failed" and recipe != recipes[stage.name]
        for name, _, status, recipe in sums.runs
    )
    if old or not todays.issuperset(before) or ("metadata" in stage.inputs and sums.later):
        return False
    todays.add(stage.name)
    needed = [name for name in stage.needs if name in STAGES.names]
    if not {*APART}.isdisjoint(stage.needs) or len(needed) > 1:
        return False
    indexed = sum(sums.visits.get(status, 0) for status in ("indexed", "no_speech", "no_audio"))
    expected = sums.count(needed[0], "done") if needed else indexed
    failed = sums.visits.get("failed", 0) if "sound" in stage.needs else 0
    return (sums.count(stage.name, "done", "empty"), sums.count(stage.name, "failed")) == (expected, failed)


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
    """Of each stage that is on, in how many videos it is `done`, or `empty` as there was nothing to find; in how many of these it
    is `stale` or `outdated`; and in how many others it is `missing` or `failed`, due or not."""
    find_due(lake, recipes, now=now, retry=STAGES.names)
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
