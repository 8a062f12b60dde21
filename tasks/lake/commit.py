"""Results of a batch into the lake: content first, then the stage runs, the `videos` rows last. Runs are the commit of a
stage's rows; those that are made with a row of `videos` are shown from that one on.
"""

from __future__ import annotations

import json
import random
import statistics
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from tasks.folding import fold_word, words_of
from tasks.lake.schema import CONTENT
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.lake.vocabulary import add_words
from tasks.passages import cut_passages
from tasks.records import Cue, Result, Word
from tasks.stages.registry import STAGES

SECONDS = {"emissions": "model", "words": "decode"}  # what runs call the time of a stage


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
        runs += [run | where for run in run_rows(result, {name: len(rows) for name, rows in made.items()})]
        for name, rows in made.items():
            content[name].extend(rows)
    for name, rows in content.items():
        lake.append(name, rows, batch_id=batch_id)
    # After the passages: who takes a word out of the vocabulary looks whether a passage has it.
    said = [
        (r.language, {part for w in r.words for part in fold_word(w.word).split()})
        for r in results
        if _makes(r, "words")
    ]
    add_words(lake, said, batch_id=batch_id)
    lake.append("stage_runs", runs, batch_id=batch_id)
    visited = [r for r in results if r.made is None or (r.beside and r.beside.new_metadata)]
    lake.append("videos", [video_row(r, run_id=run_id, now=now) for r in visited], batch_id=batch_id)
    return results


def forgotten_meanwhile(lake: Lake, results: Sequence[Result], *, copies: bool = True) -> set[str]:
    """Videos that were forgotten since their work was found, with `copies` also those whose words are taken from such a
    one: nothing may be written of them."""
    if not results:
        return set()
    connection = connect(lake, Snapshot({"videos": tuple(lake.files("videos"))}, 0))
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


def _makes(result: Result, stage: str) -> bool:
    return result.made is None or stage in result.made


def _last(result: Result) -> int:
    """The newest generation that the lake has of anything of a video, as far as it was seen."""
    runs = result.beside.runs.values() if result.beside else ()
    return max(result.work.last_generation, *runs, 0)


def content_rows(result: Result) -> dict[str, list[dict[str, Any]]]:
    """The rows of one video in the tables of the stages that were made, in the order readers want them."""
    key = {"video_id": result.work.video_id, "generation": result.generation}
    makers: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "words": lambda: word_rows(key, result.words),
        "cues": lambda: cue_rows(key, result.cues),
        "passages": lambda: passage_rows(key, result.words),
        "topics": lambda: [{**key, **asdict(topic)} for topic in result.topics],
    }
    return {name: make() for name, make in makers.items() if _makes(result, STAGES.tables[name][0].name)}


def word_rows(key: Mapping[str, Any], words: Sequence[Word]) -> list[dict[str, Any]]:
    """The rows of `words` of one generation; `key` is its video_id and generation."""
    return [
        {
            **key,
            "word_no": n,
            "word": w.word,
            "folded": None if (folded := fold_word(w.word)) == w.word else folded,
            "start_ms": w.start_ms,
            "end_ms": w.end_ms,
            "confidence": w.confidence,
        }
        for n, w in enumerate(words)
    ]


def cue_rows(key: Mapping[str, Any], cues: Sequence[Cue]) -> list[dict[str, Any]]:
    """The rows of `cues` of one generation."""
    return [{**key, "cue_no": n, **asdict(cue)} for n, cue in enumerate(cues)]


def passage_rows(key: Mapping[str, Any], words: Sequence[Word]) -> list[dict[str, Any]]:
    """The rows of `passages` of one generation."""
    folded = [fold_word(w.word) for w in words]
    return [
        {
            **key,
            "passage_no": n,
            "start_ms": words[p.first].start_ms,
            "end_ms": max(w.end_ms for w in words[p.first : p.last + 1]),
            "first_carried": p.carried,
            "first_word": p.first,
            "last_word": p.last,
            "text": (text := _spaced(folded[p.first : p.last + 1])),
            "carried": _spaced(folded[p.carried : p.first]),
            "said": None if (said := _spaced([w.word for w in words[p.first : p.last + 1]])) == text else said,
        }
        for n, p in enumerate(cut_passages(words))
    ]


def _spaced(words: Sequence[str]) -> str:
    """Words as a text with one space at each end: ` word ` then finds whole words without a regular expression."""
    return f" {' '.join(words)} " if words else " "


def run_rows(result: Result, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The stage runs of one result; `counts` is how many rows each of its tables has."""
    video_id, generation, beside = result.work.video_id, result.generation, result.beside
    rows = {stage.name: sum(counts.get(table.name, 0) for table in stage.tables) for stage in STAGES}
    found = _outcomes(result, rows)
    return [
        {
            "video_id": video_id,
            "stage": name,
            "generation": generation,
            "object_generation": beside.object_generation if beside else generation,
            "recipe": result.recipes[name],
            "options": json.dumps(result.recipes.options.get(name), sort_keys=True),
            "inputs": [(one, at) for one in STAGES[name].inputs if (at := _made_at(result, one, found)) is not None],
            "status": status,
            "reason": result.reason if status == "failed" else None,
            "error": result.error if status == "failed" else None,
            "attempts": result.attempts,
            "next_try_at": result.next_try_at,
            "rows": rows[name],
            "units": (result.duration_ms or 0) / 1000 if STAGES[name].unit == "media_s" else len(result.words),
            "seconds": round(spent, 3) if (spent := result.seconds.get(SECONDS.get(name, name))) is not None else None,
        }
        for name, status in found.items()
    ]


def _made_at(result: Result, one: str, found: Mapping[str, str]) -> int | None:
    """The generation of something that a stage is made from; None where there is none of it."""
    beside = result.beside
    if one == "metadata":
        return result.generation if beside is None or beside.new_metadata else beside.metadata_generation
    if one in found:
        return result.generation
    return beside.runs.get(one) if beside else None


def _outcomes(result: Result, rows: Mapping[str, int]) -> dict[str, str]:
    """What came of each stage for which there was something to do: what it needs was there."""
    if result.status in ("gone", "forgotten"):
        return {}
    if result.made is not None:
        return {name: "done" if rows[name] else "empty" for name in result.made}
    found: dict[str, str] = {}
    there = {"metadata"} if result.status == "no_audio" else {"metadata", "sound"}
    for stage in STAGES:
        if stage.name not in result.recipes.hashes:
            continue
        if "sound" in stage.needs and result.status in ("failed", "no_audio"):
            found[stage.name] = "failed" if result.status == "failed" else "empty"
        elif result.status != "failed" and there.issuperset(stage.needs):
            found[stage.name] = "done" if rows[stage.name] or not stage.tables else "empty"
            if found[stage.name] == "done":
                there.add(stage.name)
    return found


def video_row(result: Result, *, run_id: str, now: datetime) -> dict[str, Any]:
    """The row of `videos`."""
    work, probe, meta, seconds = result.work, result.probe, result.metadata, result.seconds
    track = next((t for t in probe.tracks if t.position == result.audio_track), None) if probe else None
    confidence = statistics.fmean(w.confidence for w in result.words) if result.words else None
    return {
        "video_id": work.video_id,
        "generation": result.generation,
        "object_generation": result.beside.object_generation if result.beside else result.generation,
        "transcript_generation": result.beside.transcript_generation if result.beside else result.generation,
        "metadata_generation": result.generation,
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
        "n_words": len(result.words),
        "speech_ms": result.speech_ms,
        "confidence": confidence,
        "fetch_s": round(seconds.get("fetch", 0.0), 3),
        "audio_s": round(seconds.get("audio", 0.0), 3),
        "content_sha256": result.content_sha256,
        "taken_from": result.taken_from,
        "flow_run_id": run_id,
        "indexed_at": now,
    }
