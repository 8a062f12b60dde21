"""What the lake has of videos of which stages are made: facts, stage runs, and the rows that these stages are made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from tasks.records import AudioTrack, Beside, Metadata, Probe, Word
from tasks.stages.cues.older import name_words
from tasks.stages.registry import STAGES
from tasks.stages.words.rows import words_of_rows

Pair = tuple[str, int]  # a video and a generation of it


@dataclass(frozen=True)
class Known:
    """A video at one of its generations. `runs` are those of each stage that is shown (`run_generation`, `status`, `recipe`),
    `tries` how often one failed since; `rows` are there of the stages that were asked for."""

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


def current_pairs(connection: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> dict[str, int]:
    """The generation of each of these videos that the lake has."""
    sql = "SELECT video_id, generation FROM video_facts WHERE video_id IN (SELECT unnest($ids))"
    return dict(connection.execute(sql, {"ids": list(ids)}).fetchall())


def made_from(stages: Iterable[str]) -> set[str]:
    """The stages whose rows these are made from."""
    return {one.name for name in stages for one in STAGES.stages_before(STAGES[name])}


def load_known(
    connection: duckdb.DuckDBPyConnection, pairs: Collection[Pair], stages: Collection[str]
) -> dict[Pair, Known]:
    """Videos at these generations, with the rows of these stages. Those that have gone are not among them."""
    if not pairs:
        return {}
    ids, asked = sorted({video_id for video_id, _ in pairs}), sorted(f"{v}/{g}" for v, g in pairs)
    those = "WHERE video_id IN (SELECT unnest($ids)) AND video_id || '/' || generation IN (SELECT unnest($asked))"
    parameters = {"ids": ids, "asked": asked}

    def rows(sql: str) -> Iterable[dict[str, Any]]:
        found = connection.execute(sql, parameters)
        names = [column[0] for column in found.description or ()]
        while some := found.fetchmany(50_000):
            yield from (dict(zip(names, row, strict=True)) for row in some)

    known = {(row["video_id"], row["generation"]): Known(row) for row in rows(f"SELECT * FROM video_facts_all {those}")}
    for name in STAGES.names:
        runs = (
            f"SELECT m.* FROM (SELECT video_id, generation, run_generation, status, recipe FROM every_{name} {those}) m"
        )
        for row in rows(runs):
            known[row["video_id"], row["generation"]].runs[name] = row
    tries = (
        "SELECT v.video_id, v.generation, r.stage, arg_max(r.attempts, r.generation) AS attempts, max(r.generation) AS at "
        f"FROM (SELECT video_id, generation, object_generation FROM video_facts_all {those}) v "
        "JOIN every_run r ON r.video_id = v.video_id AND r.object_generation = v.object_generation AND r.status = 'failed' GROUP BY ALL"
    )
    for row in rows(tries):
        one = known[row["video_id"], row["generation"]]
        if row["at"] > one.runs.get(row["stage"], {}).get("run_generation", -1):
            one.tries[row["stage"]] = row["attempts"]
    for name in (name for name in STAGES.names if name in stages):
        for table in STAGES[name].tables:
            view = "spoken_words" if table.name == "words" else table.name
            for row in rows(
                f"SELECT * FROM {view}_all {those} ORDER BY video_id, generation, {', '.join(table.order)}"
            ):
                pair = row.pop("video_id"), row.pop("generation")
                known[pair].rows.setdefault(table.name, []).append(row)
    for one in known.values():
        name_words(one.rows.get("cues", []))
    return known
