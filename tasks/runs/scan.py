"""Compare a bucket with the lake: what is new, changed, gone, due again, or made by an older recipe.

Both sides are tables in DuckDB; the listing streams in, so that a million objects cost little memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import duckdb

from tasks.errors import StorageBusy
from tasks.lake.copies import CONTENT_NAME, USABLE, with_recipes
from tasks.lake.current import GENERATIONS
from tasks.lake.due import INDEXED, REFRESHED, find_due
from tasks.lake.views import NOTHING, define_views
from tasks.records import Object, Recipes, VideoTask
from tasks.settings import Settings
from tasks.sources.bucket import Bucket
from tasks.sources.left_out import LeftOut
from tasks.sources.listing import Listing
from tasks.stages.registry import STAGES


@dataclass(frozen=True)
class Scan:
    """What a scan found. `work` is in the order it should be done: new first, oldest object first."""

    scanned: int
    unchanged: int
    gone: list[VideoTask]
    work: list[VideoTask]
    stale: int
    warnings: list[str] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)

    def count(self, why: str) -> int:
        return sum(item.why == why for item in self.work)


def scan(
    bucket: Bucket,
    lake: duckdb.DuckDBPyConnection | None,
    recipes: Recipes,
    settings: Settings,
    *,
    now: datetime,
    refresh: bool = False,
    stages: Sequence[str] = (),
    only: bool = False,
    retry_failed: bool = False,
    objects: Iterable[Object] | None = None,
    remember: Sequence[str] = (),
    on_listed: Callable[[int], None] = lambda n: None,
) -> Scan:
    """List the bucket and compare. `lake` is a connection with the lake's views, or None when there is none yet.

    With `refresh`, what another recipe made is work too, and with `stages` these stages wherever they are due, missing ones
    among them; with `only` nothing else is. With `objects`, only these are compared, without a look at the bucket; nothing
    is taken for gone then.
    """
    connection = lake.cursor() if lake is not None else duckdb.connect(":memory:")
    if lake is None:
        define_views(connection, NOTHING)
    listing = Listing(connection, settings if objects is None else None)
    warnings: list[str] = []
    complete = objects is None
    try:
        listing.load(bucket.list(listing.see) if objects is None else objects, on_listed)
    except StorageBusy as error:
        if connection.execute("SELECT count(*) FROM listed").fetchone() == (0,):
            raise
        warnings.append(str(error))
        complete = False
    count, left_out = listing.count, listing.left_out
    warnings += left_out.warnings()
    if complete and listing.candidates:
        left_out.unmatched = list(listing.candidates.unmatched)
    find_due(connection, recipes, now=now, retry=STAGES.names if retry_failed else stages)
    parameters = {
        "bucket": bucket.bucket_id,
        "now": now,
        "refresh": refresh and not only,
        "retry": retry_failed,
        "only": only,
        "stages": list(stages),
        "remember": list(remember),
        "recipes": [recipes.hashes.get(name) for name in STAGES.names],
    }
    connection.execute(_COMPARE, parameters)
    heard_by = {"emissions": recipes["emissions"], "words": recipes["words"]}
    connection.execute(_NAMED, {"bucket_uri": bucket.uri, "remember": list(remember)})
    on = tuple(recipes.hashes)
    any_due = _one(connection, "SELECT count(*) FROM due")
    work = [_work(on, *row) for row in connection.execute(_WORK, heard_by).fetchall()] if any_due else []
    stale = _one(connection, "SELECT count(*) FROM compared WHERE stale")
    known = _one(
        connection,
        "SELECT count(*) FROM video_facts WHERE bucket = $b AND status NOT IN ('gone', 'forgotten')",
        {"b": bucket.bucket_id},
    )
    gone: list[VideoTask] = []
    if complete and known and not count:
        warnings.append(f"{bucket.uri} lists no video, but the lake knows {known}: nothing is marked as gone.")
    elif complete and not only:
        gone, hidden = _gone(connection, bucket, listing)
        if hidden:
            n, one = len(hidden), len(hidden) == 1
            warnings.append(
                f"{n} video{'' if one else 's'} that the lake knows could not be seen, behind links or objects that were left "
                f"out, and {'is' if one else 'are'} not marked as gone: {', '.join(hidden[:5])}{' and others' * (n > 5)}."
            )
    return Scan(count, count - len(work), gone, work, stale, warnings, left_out)


def _work(on: Sequence[str], *row: Any) -> VideoTask:
    """A row of `_WORK`, which has the stages that were asked for, with all that these entail."""
    found = VideoTask(*row)
    if found.whole:
        return replace(found, stages=tuple(on))
    # Who hears a video again reads its metadata again too.
    metadata = found.why == "metadata" or "words" in STAGES.to_make(found.stages)
    asked = (*found.stages, *(["metadata"] if metadata else []))
    return replace(
        found,
        stages=tuple(name for name in STAGES.to_make(asked) if name in on),
        reads_object=STAGES.read_object(found.stages),
    )


def _gone(connection: duckdb.DuckDBPyConnection, bucket: Bucket, listing: Listing) -> tuple[list[VideoTask], list[str]]:
    """Videos of the lake that the bucket has no more, and the keys of those that it may have: where nothing was seen."""
    missing = [VideoTask(*row) for row in connection.execute(_GONE, {"bucket": bucket.bucket_id}).fetchall()]
    missing = [item for item in missing if listing.candidates is None or not listing.candidates.left_out(item.key)]
    if not missing or not _one(connection, "SELECT count(*) FROM unseen"):
        return missing, []
    keys = [item.key for item in missing]
    hidden = {key for (key,) in connection.execute(_HIDDEN, {"keys": keys}).fetchall()}
    return [item for item in missing if item.key not in hidden], sorted(hidden)


def _one(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, object] | None = None) -> int:
    row = connection.execute(sql, parameters or {}).fetchone()
    return int(row[0]) if row else 0


# Videos that failed, by another recipe than today's.
_FAILED_BEFORE = f"""
SELECT DISTINCT video_id FROM every_run r JOIN current_videos v USING (video_id, generation)
WHERE r.status = 'failed' AND r.recipe <> $recipes[list_position({list(STAGES.names)}, r.stage)]
"""


# The first that is true of any of its stages.
_WHY = (
    "CASE WHEN list_has_any(whys, ['stale', 'outdated']) THEN 'stale' "
    "WHEN list_contains(whys, 'failed') THEN 'failed' ELSE 'missing' END"
)
# A sidecar belongs to `NAME.mp4` as `NAME.info.json` or `NAME.json`, and as `NAME.mp4.json` and so on.
_COMPARE = f"""
CREATE OR REPLACE TEMP TABLE compared AS
WITH sidecars AS (
    SELECT stem, min_by(key, (NOT key LIKE '%.info.json', key)) AS key,
           min_by(fingerprint, (NOT key LIKE '%.info.json', key)) AS fingerprint
    FROM listed WHERE sidecar GROUP BY stem
),
-- Sidecars that could not be seen are not gone: their videos keep what they said.
unseen_sidecars AS (SELECT regexp_replace(key, '(?i)(\\.info)?\\.json$', '') AS stem FROM unseen WHERE lower(key) LIKE '%.json'),
asked AS (
    SELECT video_id, bool_or(why IN {REFRESHED}) AS old,
        list(stage ORDER BY number) FILTER (taken) AS stages, list(why) FILTER (taken) AS whys
    FROM (SELECT *, list_contains($stages, stage) OR (NOT $only AND (why = 'failed' OR ($refresh AND why IN {REFRESHED}))) AS taken
          FROM due_stages) GROUP BY video_id
),
objects AS (
    SELECT substr(sha256($bucket || chr(0) || o.key), 1, 20) AS video_id, o.key, o.stem, o.size_bytes, o.fingerprint,
           o.modified_at, coalesce(a.key, b.key) AS sidecar_key, coalesce(a.fingerprint, b.fingerprint) AS sidecar_fp
    FROM listed o LEFT JOIN sidecars a ON a.stem = o.key LEFT JOIN sidecars b ON b.stem = o.stem
    WHERE NOT o.sidecar
),
judged AS (
    SELECT o.*, v.attempts, v.generation, v.status, v.next_try_at,
        v.fingerprint AS known_fingerprint, v.sidecar_fingerprint AS known_sidecar,
        d.old, coalesce(d.stages, []) AS asked, coalesce(d.whys, []) AS whys, b.video_id IS NOT NULL AS failed_before
    FROM objects o LEFT JOIN video_facts v USING (video_id) LEFT JOIN asked d USING (video_id)
    LEFT JOIN ({_FAILED_BEFORE}) b USING (video_id)
)
SELECT *,
    status IN {INDEXED} AND coalesce(old, false) AS stale,
    CASE WHEN $only THEN
              CASE WHEN fingerprint = known_fingerprint AND len(asked) > 0 THEN {_WHY} END
         WHEN status = 'forgotten' AND video_id NOT IN (SELECT unnest($remember::VARCHAR[]))
              AND key NOT IN (SELECT unnest($remember::VARCHAR[])) THEN NULL
         WHEN status IS NULL OR status IN ('gone', 'forgotten') THEN 'new'
         WHEN fingerprint <> known_fingerprint THEN 'changed'
         WHEN status = 'failed' THEN
              CASE WHEN $retry OR failed_before OR next_try_at <= $now THEN 'retried' END
         WHEN len(asked) > 0 THEN {_WHY}
         WHEN sidecar_fp IS DISTINCT FROM known_sidecar AND NOT
              (known_sidecar IS NOT NULL AND (key IN (FROM unseen_sidecars) OR stem IN (FROM unseen_sidecars)))
              THEN 'metadata' END AS why
FROM judged
"""
# What has to be heard, with the name of its content where the store vouches for it; copies of what is forgotten are not.
_NAMED = f"""
CREATE OR REPLACE TEMP TABLE due AS
SELECT * FROM (
    SELECT *, {CONTENT_NAME} AS content
    FROM (SELECT *, $bucket_uri AS bucket_uri, NULL AS bucket FROM compared WHERE why IS NOT NULL)
)
WHERE content IS NULL OR why NOT IN ('new', 'changed', 'retried') OR video_id IN (SELECT unnest($remember::VARCHAR[]))
    OR key IN (SELECT unnest($remember::VARCHAR[]))
    OR sha256(content) NOT IN (SELECT fingerprint FROM video_facts WHERE status = 'forgotten' AND fingerprint IS NOT NULL)
"""
_HEARD = with_recipes(
    "SELECT * FROM video_rows SEMI JOIN (SELECT size_bytes FROM due WHERE why IN ('new', 'changed', 'retried')) USING (size_bytes)"
)
_WORK = f"""
WITH versions AS (
    SELECT video_id, max(generation) AS version FROM ({GENERATIONS}) SEMI JOIN due USING (video_id) GROUP BY ALL
),
known AS (SELECT video_id, generation, size_bytes, content_sha256, {CONTENT_NAME} AS content FROM {_HEARD} WHERE {USABLE}),
named AS (
    SELECT content, size_bytes, arg_max(video_id, generation) AS source_id, max(generation) AS source_generation
    FROM known WHERE content IS NOT NULL GROUP BY ALL
),
hashed AS (
    SELECT size_bytes FROM known WHERE content_sha256 IS NOT NULL
    UNION SELECT size_bytes FROM video_facts WHERE status = 'forgotten' AND content_sha256 IS NOT NULL
)
SELECT video_id, key, size_bytes, fingerprint, modified_at, sidecar_key, sidecar_fp, why, asked,
    (why IN ('new', 'changed', 'retried') AND n.source_id IS NULL), coalesce(attempts, 0), coalesce(version, 0),
    CASE WHEN why IN ('new', 'changed', 'retried') THEN n.source_id END,
    CASE WHEN why IN ('new', 'changed', 'retried') THEN n.source_generation END,
    size_bytes IN (FROM hashed)
FROM due LEFT JOIN named n USING (content, size_bytes) LEFT JOIN versions USING (video_id)
ORDER BY why IN ('new', 'changed') DESC, modified_at NULLS LAST, key
"""
_GONE = """
SELECT video_id, v.key, v.size_bytes, v.fingerprint, NULL, NULL, v.sidecar_fingerprint, 'changed', [], true,
       coalesce(v.attempts, 0), v.generation
FROM video_facts v ANTI JOIN (SELECT key FROM listed WHERE NOT sidecar) l ON l.key = v.key
WHERE v.bucket = $bucket AND v.status NOT IN ('gone', 'forgotten') ORDER BY v.key
"""
# Keys that are `unseen` themselves, or a folder above them is; an entry without a name may be any of them.
_HIDDEN = """
WITH parts AS (SELECT key, string_split(key, '/') AS part FROM (SELECT unnest($keys::VARCHAR[]) AS key)),
above AS (SELECT key, unnest([array_to_string(part[1:n], '/') FOR n IN range(1, len(part) + 1)]) AS name FROM parts)
SELECT DISTINCT key FROM above WHERE name IN (SELECT key FROM unseen) OR '' IN (SELECT key FROM unseen)
"""
