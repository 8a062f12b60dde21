"""Results of a batch into the lake: content first, then the stage runs, the `videos` rows last. Runs are the commit of a
stage's rows; those that are made with a row of `videos` are shown from that one on.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tasks.lake.schema import CONTENT
from tasks.lake.store import Lake
from tasks.lake.views import connect_tables
from tasks.lake.vocabulary import add_words
from tasks.records import Outcome, Result
from tasks.stages.base import Stage
from tasks.stages.registry import STAGES
from tasks.text.folding import fold_word, words_of


def new_generation(last: int, now_ms: int) -> int:
    """Strictly above `last`; two writers at the same millisecond still differ by the random digits, almost surely."""
    return max(now_ms, last // 1000 + 1) * 1000 + random.randrange(1000)


def commit(
    lake: Lake, results: Sequence[Result], *, run_id: str, device: str, hardware: str | None = None
) -> list[Result]:
    """Append everything of `results`; returns them with their generations.

    Raises:
        StorageBusy: the lake took no commit; the same results can be committed again.
    """
    now = datetime.now(UTC)
    now_ms = time.time_ns() // 1_000_000
    results = [replace(r, generation=new_generation(_last(r), now_ms)) for r in results]
    batch_id = f"index-{uuid.uuid4().hex}"
    content: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENT}
    runs: list[dict[str, Any]] = []
    where = {"device": device, "hardware": hardware, "run_id": run_id, "made_at": now}
    for result in results:
        made = content_rows(result)
        runs += [run | where for run in run_rows(result)]
        for name, rows in made.items():
            content[name].extend(rows)
    for name, rows in content.items():
        lake.append(name, rows, batch_id=batch_id)
    # After the rows: who takes a word out of the vocabulary looks whether a row has it.
    add_words(lake, [(r.language, _terms(r)) for r in results], batch_id=batch_id)
    lake.append("stage_runs", runs, batch_id=batch_id)
    visited = [r for r in results if r.beside is None or r.beside.new_metadata or r.beside.new_transcript]
    lake.append("videos", [video_row(r, run_id=run_id, now=now) for r in visited], batch_id=batch_id)
    return results


def unshared(lake: Lake, results: Sequence[Result]) -> list[Result]:
    """Those of committed results that share rows which may have gone: the run that these were known by is not there any more,
    or has other rows now.

    What is there, was there for every sweep since it was read; and a sweep or a `forget` that comes later finds the new run.
    """
    shared = [
        (r.work.video_id, name, *one.shared.read_from, one.shared.video_id, one.shared.generation)
        for r in results
        for name, one in r.outcomes.items()
        if one.shared
    ]
    if not shared:
        return []
    names = ("ids", "stages", "videos", "generations", "sources", "at")
    lost = connect_tables(lake, "stage_runs").execute(
        "SELECT DISTINCT s.video_id FROM (SELECT unnest($ids) AS video_id, unnest($stages) AS stage, unnest($videos) AS read_from, "
        "unnest($generations) AS generation, unnest($sources) AS rows_of, unnest($at) AS rows_generation) s "
        "ANTI JOIN (SELECT stage, video_id AS read_from, generation, coalesce(taken_from, video_id) AS rows_of, "
        "coalesce(taken_generation, generation) AS rows_generation FROM _stage_runs) "
        "USING (stage, read_from, generation, rows_of, rows_generation)",
        dict(zip(names, (list(column) for column in zip(*shared, strict=True)), strict=True)),
    )
    ids = {video_id for (video_id,) in lost.fetchall()}
    return [result for result in results if result.work.video_id in ids]


def forgotten_meanwhile(lake: Lake, results: Sequence[Result], *, copies: bool = True) -> set[str]:
    """Videos that were forgotten since their work was found, with `copies` also those whose words are taken from such a
    one: nothing may be written of them."""
    if not results:
        return set()
    connection = connect_tables(lake, "videos")
    newest = dict(
        connection.execute(
            "SELECT video_id, max(generation) FROM _videos WHERE status = 'forgotten' AND video_id IN (SELECT unnest($ids)) "
            "GROUP BY ALL",
            {"ids": [id_ for r in results for id_ in (r.work.video_id, r.work.source_id) if id_]},
        ).fetchall()
    )
    return {
        r.work.video_id
        for r in results
        if newest.get(r.work.video_id, -1) > r.work.last_generation
        or (copies and newest.get(r.work.source_id or "", -1) > (r.work.source_generation or 0))
    }


def _last(result: Result) -> int:
    """The newest generation that the lake has of anything of a video, as far as it was seen."""
    runs = result.beside.runs.values() if result.beside else ()
    return max(result.work.last_generation, *runs, 0)


def content_rows(result: Result) -> dict[str, list[dict[str, Any]]]:
    """The rows of one video in the tables of the stages that were made, in the order readers want them."""
    key = {"video_id": result.work.video_id, "generation": result.generation}
    return {
        name: [{**key, **row} for row in rows]
        for outcome in result.outcomes.values()
        for name, rows in outcome.rows.items()
    }


def _terms(result: Result) -> set[str]:
    """All that was made of a video and is searched by words. The words are there where their rows are those of another."""
    texts = [w.word for w in result.words] if "words" in result.outcomes else []
    found = {part for word in texts for part in fold_word(word).split()}
    for outcome in result.outcomes.values():
        for name, rows in outcome.rows.items():
            if column := STAGES.tables[name][1].terms:
                found.update(*((row[column] or "").split() for row in rows))
    return found


def run_rows(result: Result) -> list[dict[str, Any]]:
    """The stage runs of one result."""
    video_id, generation, beside = result.work.video_id, result.generation, result.beside
    found = _outcomes(result)
    return [
        {
            "video_id": video_id,
            "stage": name,
            "occasion": "copy" if outcome.shared else "later" if beside else "visit",
            "generation": generation,
            "object_generation": beside.object_generation if beside else generation,
            "recipe": result.recipes[name],
            "options": json.dumps(result.recipes.options.get(name), sort_keys=True),
            "inputs": [(one, at) for one in STAGES[name].inputs if (at := _made_at(result, one, found)) is not None],
            "status": status,
            "reason": outcome.reason,
            "error": outcome.error,
            "attempts": outcome.attempts,
            "next_try_at": outcome.next_try_at,
            "rows": outcome.shared.rows if outcome.shared else outcome.count,
            "units": (result.duration_ms or 0) / 1000 if STAGES[name].unit == "media_s" else result.n_words,
            "seconds": None if outcome.seconds is None else round(outcome.seconds, 3),
            "taken_from": outcome.shared.video_id if outcome.shared else None,
            "taken_generation": outcome.shared.generation if outcome.shared else None,
        }
        for name, (status, outcome) in found.items()
    ]


def _made_at(result: Result, one: str, found: Mapping[str, Any]) -> int | None:
    """The generation of something that a stage is made from; None where there is none of it."""
    beside = result.beside
    if one == "metadata":
        return result.generation if beside is None or beside.new_metadata else beside.metadata_generation
    if one in found:
        return result.generation
    return beside.runs.get(one) if beside else None


def _outcomes(result: Result) -> dict[str, tuple[str, Outcome]]:
    """What came of each stage for which there was something to do, by its status. Where a video cannot be read, or has no
    sound, so is it with the stages that need that."""
    outcomes = dict(result.outcomes)
    if result.beside is None and result.status in ("failed", "no_audio"):
        failed = result.status == "failed"
        why = (result.reason or "error", result.error) if failed else (None, None)
        unmade = Outcome(
            reason=why[0], error=why[1], attempts=result.attempts, next_try_at=result.next_try_at if failed else None
        )
        outcomes |= {s.name: unmade for s in STAGES if "sound" in s.needs and s.name in result.recipes.hashes}
    return {
        stage.name: (status_of(stage, one), one)
        for stage in STAGES
        if (one := outcomes.get(stage.name)) is not None and stage.name in result.recipes.hashes
    }


def status_of(stage: Stage, outcome: Outcome) -> str:
    """`done`, `empty` where nothing was found, or `failed`. Of a stage that keeps nothing something is always made, unless
    what it needs was not there."""
    if outcome.reason is not None:
        return "failed"
    if outcome.shared:
        return outcome.shared.status
    return "done" if outcome.count or (not stage.tables and outcome.seconds is not None) else "empty"


def video_row(result: Result, *, run_id: str, now: datetime) -> dict[str, Any]:
    """The row of `videos`."""
    work, probe, meta, seconds, beside = result.work, result.probe, result.metadata, result.seconds, result.beside
    track = next((t for t in probe.tracks if t.position == result.audio_track), None) if probe else None
    return {
        "video_id": work.video_id,
        "generation": result.generation,
        "object_generation": beside.object_generation if beside else result.generation,
        "transcript_generation": beside.transcript_generation
        if beside and not beside.new_transcript
        else result.generation,
        "metadata_generation": beside.metadata_generation if beside and not beside.new_metadata else result.generation,
        "bucket": result.bucket,
        "bucket_uri": result.bucket_uri,
        "key": work.key,
        "fingerprint": work.fingerprint,
        "sidecar_fingerprint": work.sidecar_fingerprint,
        "size_bytes": work.size_bytes,
        "modified_at": work.modified_at,
        "title": meta.title,
        "title_words": " ".join(words_of(meta.title)),
        "description": meta.description,
        "tags": list(meta.tags),
        "published_at": meta.published_at,
        "duration_ms": result.duration_ms,
        "container": probe.container if probe else None,
        "video_codec": probe.video_codec if probe else None,
        "width": probe.width if probe else None,
        "height": probe.height if probe else None,
        "fps": probe.fps if probe else None,
        "audio_codec": track.codec if track else None,
        "audio_channels": track.channels if track else None,
        "audio_track": result.audio_track,
        "audio_heard": list(result.audio_heard) or None,
        "pixels": probe.pixels if probe else None,
        "clock": result.clock,
        "language": result.language,
        "status": result.status,
        "reason": result.reason,
        "error": result.error or result.sidecar_error,
        "attempts": result.attempts,
        "next_try_at": result.next_try_at,
        "n_words": result.n_words,
        "speech_ms": result.speech_ms,
        "confidence": result.confidence,
        "fetch_s": round(seconds.get("fetch", 0.0), 3),
        "audio_s": round(seconds.get("audio", 0.0), 3),
        "content_sha256": result.content_sha256,
        "taken_from": result.taken_from,
        "flow_run_id": run_id,
        "indexed_at": now,
    }
