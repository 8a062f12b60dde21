"""What the lake keeps of a backfill until it is done: the plan in slices, and a note for each slice that is done.

A slice's note in the lake, and nothing that Prefect says, makes it done. What is left of a slice follows from the lake's
rows, as in every run.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.errors import DifferentRecipe, NotFound, StorageBusy
from tasks.lake.notes import Notes
from tasks.lake.store import Lake
from tasks.records import Object
from tasks.runs.backfill.plan import Slice
from tasks.runs.session import Session, open_session
from tasks.settings import Settings
from tasks.sources.stores import small_files
from tasks.stages.registry import STAGES

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "_backfills"
HEADER = "backfill.json"
PLAN = "plan.parquet"


@dataclass(frozen=True)
class Backfill:
    """A backfill under way. `header` is what `backfill.json` says."""

    lake: Lake
    id: str
    header: dict[str, Any]

    @property
    def slices(self) -> list[dict[str, Any]]:
        """`videos`, `bytes` and `media_s` of each slice."""
        found: list[dict[str, Any]] = self.header["slices"]
        return found

    def claim(self, slice: int) -> str:
        """See `claim_of`."""
        return claim_of(self.id, slice)

    def there(self) -> bool:
        """Whether it is still under way: not when it was called off."""
        return Notes(self.lake, f"{FOLDER}/{self.id}").get(HEADER) is not None

    def done(self) -> set[int]:
        """The slices that are done."""
        return {int(name.removesuffix(".json")) for name in self._done.names()}

    def finish(self, slice: int, report: dict[str, Any]) -> None:
        """A slice is done; two workers that both say so mean the same."""
        if self.there():
            self._done.put(f"{slice:05d}.json", report)

    def reports(self) -> list[dict[str, Any]]:
        """What the slices that are done said of themselves."""
        return [found for name in self._done.names() if (found := self._done.get(name))]

    def objects(self, slice: int | None = None) -> list[Object]:
        """The objects of a slice with their sidecars, as the plan saw them; of all slices the videos only."""
        rows = self._read(slice).to_pylist()
        return [Object(r["key"], r["size_bytes"], r["fingerprint"], r["modified_at"]) for r in rows]

    def planned(self, slice: int | None = None) -> pa.Table:
        """`key` of each video of a slice or of all, and the `generation` that the lake had of it; 0 where none.

        What has a higher one was done since, whoever did it, and whatever his clock says.
        """
        import pyarrow.compute as pc

        found = self._read(slice, columns=["key", "generation", "sidecar"])
        return found.filter(pc.invert(found["sidecar"])).select(["key", "generation"])

    def left(self) -> dict[str, tuple[str, int]]:
        """Of each video of a slice that is not done, by its key: fingerprint and generation as the plan saw them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = self._read(None, columns=["slice", "key", "fingerprint", "generation", "sidecar"])
        done = pa.array(sorted(self.done()), pa.int32())
        rows = rows.filter(pc.invert(pc.or_(rows["sidecar"], pc.is_in(rows["slice"], value_set=done))))
        seen = zip(rows["fingerprint"].to_pylist(), rows["generation"].to_pylist(), strict=True)
        return dict(zip(rows["key"].to_pylist(), seen, strict=True))

    def _read(self, slice: int | None, columns: list[str] | None = None) -> pa.Table:
        import pyarrow.parquet as pq

        store, path = small_files(f"{self.lake.uri}/{FOLDER}/{self.id}/{PLAN}")
        wanted = [("slice", "=", slice)] if slice is not None else None
        with store.open(path, "rb") as handle:
            return pq.read_table(handle, columns=columns, filters=wanted)

    def clear(self) -> None:
        """Remove all that the lake keeps of it, the header first: without it there is no backfill."""
        notes = Notes(self.lake, f"{FOLDER}/{self.id}")
        notes.remove(HEADER)
        notes.clear()
        Notes(self.lake, f"_claims/backfill-{self.id}").clear()

    @property
    def _done(self) -> Notes:
        return Notes(self.lake, f"{FOLDER}/{self.id}/done")


def claim_of(id: str, slice: int) -> str:
    """The name under which one worker holds a slice."""
    return f"backfill-{id}/{slice:05d}"


def begin(session: Session, slices: Sequence[Slice], *, options: dict[str, Any], estimate: dict[str, Any]) -> Backfill:
    """Write a plan into the lake. The header comes last: without it there is no backfill."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    now = datetime.now(UTC)
    made = Backfill(session.lake, f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:4]}", {
        "bucket": session.bucket.uri,
        "bucket_id": session.bucket.bucket_id,
        "created_ms": time.time_ns() // 1_000_000,
        "recipe": session.recipes.joined(_made(options)),
        "models": session.settings.models,
        "options": options,
        "estimate": estimate,
        "left_out": session.report.left_out.as_json(),
        "slices": [
            {"videos": len(s.work), "bytes": sum(w.size_bytes for w in s.work), "media_s": round(s.media_s, 1)}
            for s in slices
        ],
    })  # fmt: skip
    rows: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for part in slices:
        for item in part.work:
            n, known = part.number, item.last_generation
            _row(rows, n, item.key, item.size_bytes, item.fingerprint, item.modified_at, known, False)
            if item.sidecar_key:
                _row(rows, n, item.sidecar_key, 0, item.sidecar_fingerprint or "", None, 0, True)
    notes = Notes(session.lake, f"{FOLDER}/{made.id}")
    notes.put("begun", {})  # makes the folder
    store, path = small_files(f"{notes.uri}/{PLAN}")
    schema = pa.schema(list(_COLUMNS.values()))
    with store.open(path, "wb") as handle:
        pq.write_table(pa.table(rows, schema=schema), handle, row_group_size=20_000)
    notes.put(HEADER, made.header)
    return made


def find(lake: Lake, bucket_id: str | None = None, id: str | None = None) -> Backfill | None:
    """The backfill of a bucket that is not done, or the one with an id."""
    for name in [id] if id else reversed(Notes(lake, FOLDER).names()):
        header = Notes(lake, f"{FOLDER}/{name}").get(HEADER)
        if header and (id or header["bucket_id"] == bucket_id):
            return Backfill(lake, str(name), header)
    return None


def _made(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The stages that a backfill makes, none for all: what else is set differently on a machine is of no matter to it."""
    return STAGES.to_make(options["stages"]) if options.get("only") else ()


def open_slice(lake: Lake, id: str, slice: int, settings: Settings) -> tuple[Backfill, Session | None]:
    """A session for what is left of a slice; none when it is done.

    Raises:
        NotFound: there is no such backfill. DifferentRecipe: this machine would make other words than the plan says.
    """
    job = find(lake, id=id)
    if job is None or slice >= len(job.slices):
        raise NotFound(
            f"The lake {lake.uri} has no slice {slice} of a backfill {id}.", next="It is done, or was called off."
        )
    if slice in job.done():
        return job, None
    options = job.header["options"]
    session = open_session(
        job.header["bucket"],
        settings.model_copy(update={"models": job.header["models"], "bucket_id": job.header["bucket_id"]}),
        objects=job.objects(slice),
        retry_failed=options["retry_failed"],
        refresh=options["refresh"],
        stages=options.get("stages", ()),
        only=options.get("only", False),
    )
    recipe = session.recipes.joined(_made(options))
    if recipe != job.header["recipe"]:
        raise DifferentRecipe(
            f"This machine's models or settings differ from those of the plan ({recipe} and {job.header['recipe']}).",
            next="Make nightscribe.toml, the models and the program the same on every machine.",
        )
    # What somebody indexed since the plan was made, or marked as gone, is newer than the plan.
    planned = dict(zip(*job.planned(slice).to_pydict().values(), strict=True))
    session.work = [w for w in session.work if w.last_generation <= planned[w.key]]
    session.pipeline.low_priority = True
    return job, session


def yet_to_do(lake: Lake, bucket_id: str) -> dict[str, tuple[str, int]]:
    """What a backfill of a bucket that is under way has yet to do, as `Backfill.left` has it; empty where there is none."""
    job = find(lake, bucket_id)
    return job.left() if job else {}


def leave_to_backfill(session: Session, planned: Mapping[str, tuple[str, int]]) -> int:
    """Drop `planned` from a session's work; returns how many videos.

    An object that changed since the plan was made, or that the lake has a newer generation of, stays. `planned` must be
    older than the session: what a slice finishes after the session has looked would be done again.
    """
    before = len(session.work)
    session.work = [w for w in session.work if planned.get(w.key) != (w.fingerprint, w.last_generation)]
    return before - len(session.work)


def tidy(lake: Lake, id: str) -> None:
    """Remove what its slices leave behind of a backfill that has ended or was called off before they did."""
    left = Backfill(lake, id, {})
    with contextlib.suppress(StorageBusy):
        if not left.there():
            left.clear()


def _row(rows: dict[str, list[Any]], *values: Any) -> None:
    for column, value in zip(rows.values(), values, strict=True):
        column.append(value)


def _columns() -> dict[str, Any]:
    import pyarrow as pa

    kinds = {"slice": pa.int32(), "key": pa.string(), "size_bytes": pa.int64(), "fingerprint": pa.string(),
             "modified_at": pa.timestamp("us", tz="UTC"), "generation": pa.int64(), "sidecar": pa.bool_()}  # fmt: skip
    return {name: pa.field(name, kind) for name, kind in kinds.items()}


_COLUMNS = _columns()
