"""Results of a batch into the lake: content first, the `videos` rows last. That row is the commit of a video."""

from __future__ import annotations

import json
import random
import statistics
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tasks.folding import fold_word, words_of
from tasks.lake.schema import CONTENT
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.lake.vocabulary import add_words
from tasks.passages import cut_passages
from tasks.records import Result, Word


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
    results = [replace(r, generation=new_generation(r.work.last_generation, now_ms)) for r in results]
    batch_id = f"index-{uuid.uuid4().hex}"
    content: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENT}
    for result in results:
        for name, rows in content_rows(result).items():
            content[name].extend(rows)
    for name, rows in content.items():
        lake.append(name, rows, batch_id=batch_id)
    # After the passages: who takes a word out of the vocabulary looks whether a passage has it.
    said = [(r.language, {part for w in r.words for part in fold_word(w.word).split()}) for r in results]
    add_words(lake, said, batch_id=batch_id)
    videos = [video_row(r, run_id=run_id, device=device, hardware=hardware, now=now) for r in results]
    lake.append("videos", videos, batch_id=batch_id)
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


def content_rows(result: Result) -> dict[str, list[dict[str, Any]]]:
    """The rows of one video in every content table, in the order readers want them."""
    key = {"video_id": result.work.video_id, "generation": result.generation}
    cue_of = {n: i for i, cue in enumerate(result.cues) for n in range(cue.first_word, cue.last_word + 1)}
    folded = [fold_word(w.word) for w in result.words]
    words = [
        {
            **key,
            "word_no": n,
            "word": w.word,
            "folded": None if folded[n] == w.word else folded[n],
            "start_ms": w.start_ms,
            "end_ms": w.end_ms,
            "confidence": w.confidence,
            "cue_no": cue_of[n],
        }
        for n, w in enumerate(result.words)
    ]
    cues = [
        {
            **key,
            "cue_no": n,
            "start_ms": c.start_ms,
            "end_ms": c.end_ms,
            "text": c.text,
            "confidence": c.confidence,
            "first_word": c.first_word,
            "last_word": c.last_word,
        }
        for n, c in enumerate(result.cues)
    ]
    topics = [
        {
            **key,
            "scope": t.scope,
            "start_ms": t.start_ms,
            "end_ms": t.end_ms,
            "rank": t.rank,
            "label": t.label,
            "score": t.score,
            "model": t.model,
        }
        for t in result.topics
    ]
    return {"words": words, "cues": cues, "passages": passage_rows(key, result.words), "topics": topics}


def passage_rows(key: Mapping[str, Any], words: Sequence[Word]) -> list[dict[str, Any]]:
    """The rows of `passages` of one generation; `key` is its video_id and generation."""
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


def video_row(
    result: Result, *, run_id: str, device: str, now: datetime, hardware: str | None = None
) -> dict[str, Any]:
    """The row of `videos`."""
    work, probe, meta, seconds = result.work, result.probe, result.metadata, result.seconds
    track = next((t for t in probe.tracks if t.position == result.audio_track), None) if probe else None
    confidence = statistics.fmean(w.confidence for w in result.words) if result.words else None
    return {
        "video_id": work.video_id,
        "generation": result.generation,
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
        "n_cues": len(result.cues),
        "n_words": len(result.words),
        "n_passages": sum(1 for _ in cut_passages(result.words)),
        "speech_ms": result.speech_ms,
        "confidence": confidence,
        "recipes": result.recipes.joined(),
        "recipe_json": json.dumps(result.recipes.detail, sort_keys=True),
        "acoustic_recipe": result.recipes.acoustic,
        "decode_recipe": result.recipes.decode,
        "cues_recipe": result.recipes.cues,
        "topics_recipe": result.recipes.topics,
        **{
            f"{stage}_s": round(seconds.get(stage, 0.0), 3) for stage in ("fetch", "audio", "model", "decode", "topics")
        },
        "device": device,
        "hardware": hardware,
        "content_sha256": result.content_sha256,
        "taken_from": result.taken_from,
        "flow_run_id": run_id,
        "indexed_at": now,
    }
