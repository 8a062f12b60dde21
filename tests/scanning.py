"""Buckets to scan, and a lake that remembers what an earlier scan found."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from conftest import made_by, outcomes_of, spoken

from tasks.lake.commit import commit
from tasks.lake.due import count_refreshed, coverage
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.records import Cue, Metadata, Recipes, Result
from tasks.runs.scan import Scan, scan
from tasks.settings import Settings
from tasks.sources.bucket import Bucket, open_bucket

NOW = datetime(2024, 5, 1, 2, 0, tzinfo=UTC)
RECIPES = made_by()
SAID = spoken("hello")


def empty_bucket(parent: Path) -> Path:
    """A folder whose own name is no easy one."""
    made = parent / "my videos ü #1"
    made.mkdir()
    return made


def put(folder: Path, *names: str, data: bytes = b"x") -> None:
    """Files one second apart, the first the oldest."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))


def look(
    where: Path | str | Bucket,
    lake: Lake | None = None,
    *,
    recipes: Recipes = RECIPES,
    now: datetime = NOW,
    refresh: bool = False,
    retry_failed: bool = False,
    **settings: object,
) -> Scan:
    used = Settings(**settings)
    bucket = where if isinstance(where, Bucket) else open_bucket(str(where), used)
    connection = connect(lake) if lake is not None else None
    return scan(bucket, connection, recipes, used, now=now, refresh=refresh, retry_failed=retry_failed)


def keep(
    lake: Lake,
    where: Path | str,
    found: Scan,
    *,
    status: str = "indexed",
    recipes: Recipes = RECIPES,
    next_try_at: datetime | None = None,
    attempts: int = 0,
    bucket_id: str | None = None,
) -> None:
    """Rows for all the work that was found, as an index run leaves them."""
    bucket = open_bucket(str(where), Settings(bucket_id=bucket_id))
    results = [
        Result(
            work=item,
            bucket=bucket.bucket_id,
            bucket_uri=bucket.uri,
            status=status,  # type: ignore[arg-type]
            metadata=Metadata("A talk"),
            recipes=recipes,
            words=SAID if status == "indexed" else (),
            outcomes=outcomes_of(status, SAID if status == "indexed" else (), (Cue(0, 400, "hello", 0.9, 0, 0),)),
            next_try_at=next_try_at,
            attempts=attempts,
        )
        for item in [*found.work, *found.gone]
    ]
    commit(lake, results, run_id="r", device="cpu")


def count_stale(lake: Lake, recipes: Recipes) -> int:
    """How many videos `status` says are older."""
    connection = connect(lake)
    coverage(connection, recipes, now=NOW)
    return count_refreshed(connection)


def why(found: Scan) -> dict[str, str]:
    return {item.key: item.why for item in found.work}


def keys(found: Scan) -> set[str]:
    return {item.key for item in found.work}
