"""What the lake has of videos of which stages are made: facts, stage runs, and the rows that these stages are made from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import duckdb

from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.records import AudioTrack, Beside, Metadata, Probe, Word
from tasks.stages.cues.older import name_words
from tasks.stages.registry import STAGES
from tasks.stages.words.rows import words_of_rows

T = TypeVar("T")
Pair = tuple[str, int]  # a video and a generation of it


@dataclass(frozen=True)
class KnownVideo:
    """A video at one of its generations. `runs` are those of each stage that is shown: `run_generation`, `status`, `recipe`,
    `rows`, and where these lie (`rows_of`, `rows_generation`). `tries` is how often one failed since; `rows` are there of the
    stages that were asked for."""

    video: Mapping[str, Any]
    runs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def words(self) -> tuple[Word, ...]:
        return words_of_rows(self.rows.get("words", ()))

    @property
    def there(self) -> set[str]:
        """The stages and sources that have something; the object is not at hand."""
        return {"metadata", *(name for name, run in self.runs.items() if run["status"] == "done")}

    @property
    def metadata(self) -> Metadata:
        video = self.video
        tags = tuple(video["tags"] or ())
        return Metadata(
            video["title"] or "", video["description"] or "", tags, video["published_at"], video["language"]
        )

    @property
    def probe(self) -> Probe:
        video = self.video
        tracks: tuple[AudioTrack, ...] = ()
        if video["audio_track"] is not None:
            channels = video["audio_channels"] or 0
            tracks = (AudioTrack(video["audio_track"], video["audio_codec"] or "", channels, "", 0, None, True),)
        return Probe(
            video["duration_ms"],
            video["container"] or "",
            video["video_codec"],
            video["width"],
            video["height"],
            video["fps"],
            tracks,
            pixels=video["pixels"],
        )

    def beside(self, *, new_metadata: bool = False, new_transcript: bool = False) -> Beside:
        """What stages that are made now stand beside."""
        return Beside(
            self.video["object_generation"],
            self.video["transcript_generation"],
            self.video["metadata_generation"],
            {name: run["run_generation"] for name, run in self.runs.items()},
            new_metadata=new_metadata,
            new_transcript=new_transcript,
        )


def pair_of(known: KnownVideo) -> Pair:
    return known.video["video_id"], known.video["generation"]


class Seen:
    """The lake, opened when something of it is first wanted, and again when its files have gone or another row of `videos` has
    come: metadata beside an older transcript would bring that back."""

    def __init__(self, lake: Lake) -> None:
        self._lake, self._lock = lake, threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._version = -1

    def read(self, reading: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """What `reading` gives, which may be called a second time."""
        try:
            return reading(self._cursor())
        except duckdb.IOException:
            with self._lock:
                self._connection = None
            return reading(self._cursor())

    def close(self) -> None:
        """Let go of it: DuckDB's binding complains of what is still open when the program ends."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._connection is None or self._lake.version("videos") != self._version:
                snapshot = Snapshot.of(self._lake)
                self._connection, self._version = connect(self._lake, snapshot), snapshot.version
            return self._connection.cursor()


def made_from(stages: Iterable[str]) -> set[str]:
    """The stages whose rows these are made from."""
    return {one.name for name in stages for one in STAGES.stages_before(STAGES[name])}


def load_current(
    connection: duckdb.DuckDBPyConnection, ids: Collection[str], stages: Collection[str]
) -> dict[str, KnownVideo]:
    """Videos as they are now, with the rows of these stages. Those that have gone are not among them."""
    known = _load(connection, "", "video_id BETWEEN $first AND $last", _these(ids), stages)
    return {video_id: one for (video_id, _), one in known.items()}


def load_known(
    connection: duckdb.DuckDBPyConnection, pairs: Collection[Pair], stages: Collection[str]
) -> dict[Pair, KnownVideo]:
    """Videos at these generations, likewise."""
    asked = sorted(f"{v}/{g}" for v, g in pairs)
    parameters = _these({video_id for video_id, _ in pairs}) | {"asked": asked}
    return _load(connection, "_all", "video_id || '/' || generation IN (SELECT unnest($asked))", parameters, stages)


def _these(ids: Collection[str]) -> dict[str, Any]:
    named = sorted(ids)
    return {"ids": named, "first": named[0] if named else "", "last": named[-1] if named else ""}


def _load(
    connection: duckdb.DuckDBPyConnection,
    suffix: str,
    condition: str,
    parameters: dict[str, Any],
    stages: Collection[str],
) -> dict[Pair, KnownVideo]:
    if not parameters["ids"]:
        return {}
    those = f"WHERE video_id IN (SELECT unnest($ids)) AND {condition}"
    made = "every_" if suffix else "current_"

    def rows(sql: str) -> Iterable[dict[str, Any]]:
        found = connection.execute(sql, {name: value for name, value in parameters.items() if f"${name}" in sql})
        names = [column[0] for column in found.description or ()]
        while some := found.fetchmany(50_000):
            yield from (dict(zip(names, row, strict=True)) for row in some)

    facts = f"SELECT * FROM video_facts{suffix} {those}"
    known = {(row["video_id"], row["generation"]): KnownVideo(row) for row in rows(facts)}
    for name in STAGES.names:
        runs = (
            "SELECT m.*, coalesce(s.taken_from, m.video_id) AS rows_of, coalesce(s.taken_generation, m.run_generation) "
            f"AS rows_generation FROM (SELECT video_id, generation, run_generation, status, recipe, rows FROM {made}{name} {those}) m "
            f"LEFT JOIN shared_runs s ON s.stage = '{name}' AND s.video_id = m.video_id AND s.generation = m.run_generation"
        )
        for row in rows(runs):
            known[row["video_id"], row["generation"]].runs[name] = row
    tries = (
        f"SELECT v.video_id, v.generation, r.stage, arg_max(r.attempts, r.generation) AS attempts, max(r.generation) AS last "
        f"FROM (SELECT video_id, generation, object_generation FROM video_facts{suffix} {those}) v "
        "JOIN every_run r ON r.video_id = v.video_id AND r.object_generation = v.object_generation AND r.status = 'failed' "
        "GROUP BY ALL"
    )
    for row in rows(tries):
        one = known[row["video_id"], row["generation"]]
        if row["last"] > one.runs.get(row["stage"], {}).get("run_generation", -1):
            one.tries[row["stage"]] = row["attempts"]
    for name in (name for name in STAGES.names if name in stages):
        for table in STAGES[name].tables:
            view = "spoken_words" if table.name == "words" else table.name
            order = ", ".join(("video_id", "generation", *table.order))
            for row in rows(f"SELECT * FROM {view}{suffix} {those} ORDER BY {order}"):
                pair = row.pop("video_id"), row.pop("generation")
                known[pair].rows.setdefault(table.name, []).append(row)
    for one in known.values():
        name_words(one.rows.get("cues", []))
    return known
