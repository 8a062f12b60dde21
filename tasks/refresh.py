"""Redo the last stages of videos from the words that the lake already has: new cue rules, a new topic model, new
metadata. No audio is read. Each result is a whole new generation, so that history still answers for the old one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tasks.errors import BadSidecar, ObjectChanged, Permanent
from tasks.lake.views import connect
from tasks.metadata import make_metadata, parse_sidecar
from tasks.models import chained
from tasks.pipeline import Pipeline, topics_of
from tasks.records import AudioTrack, Cue, Metadata, Probe, Result, Topic, Word, Work
from tasks.subtitles import CueRules, make_cues


def refresh(pipeline: Pipeline, work: Sequence[Work]) -> list[Result]:
    """New results for videos whose words stay; the caller commits them.

    Stages whose recipe is the current one are taken over as they are, and so are words of an older recipe.
    """
    connection = connect(pipeline.lake)
    ids = [item.video_id for item in work]
    rows: dict[str, dict[str, dict[str, Any] | list[dict[str, Any]]]] = {}
    videos = _rows(connection, "SELECT * FROM videos WHERE video_id IN (SELECT unnest($ids))", ids)
    tables = {
        "words": "SELECT * FROM words WHERE video_id IN (SELECT unnest($ids)) ORDER BY video_id, word_no",
        "cues": "SELECT * FROM cues WHERE video_id IN (SELECT unnest($ids)) ORDER BY video_id, cue_no",
        "topics": "SELECT * FROM topics WHERE video_id IN (SELECT unnest($ids)) ORDER BY video_id, scope, start_ms, rank",
    }
    for row in videos:
        rows[row["video_id"]] = {"video": row, **{name: [] for name in tables}}
    for name, sql in tables.items():
        for row in _rows(connection, sql, ids):
            rows[row["video_id"]][name].append(row)  # type: ignore[union-attr]
    return [_refresh_one(pipeline, item, rows[item.video_id]) for item in work if item.video_id in rows]


def _rows(connection: Any, sql: str, ids: list[str]) -> list[dict[str, Any]]:
    found = connection.execute(sql, {"ids": ids})
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _refresh_one(pipeline: Pipeline, work: Work, old: dict[str, Any]) -> Result:
    started = time.monotonic()
    video = old["video"]
    words = tuple(Word(w["word"], w["start_ms"], w["end_ms"], w["confidence"]) for w in old["words"])
    now, before = pipeline.recipes, json.loads(video["recipe_json"] or "{}")
    new_cues = work.from_stage == "cues"
    # Without sound the earlier stages have no part in a row: it is as if made by today's.
    detail = now.detail if video["status"] == "no_audio" else {**before, "topics": now.detail["topics"]}
    if new_cues:
        detail["cues"] = now.detail["cues"]
    made = chained(detail)
    metadata, warning = _metadata(pipeline, work, video)
    same_topics = work.why != "metadata" and made.topics == video["topics_recipe"]
    result = Result(
        work=work,
        bucket=video["bucket"],
        bucket_uri=pipeline.bucket.uri,
        status=video["status"],
        metadata=metadata,
        recipes=made,
        reason=video["reason"],
        error=video["error"],
        sidecar_error=warning,
        attempts=video["attempts"],
        probe=_probe(video),
        duration_ms=video["duration_ms"],
        audio_track=video["audio_track"],
        language=video["language"],
        words=words,
        cues=_cues(pipeline, words, video, old["cues"], new_cues),
        topics=tuple(Topic(**{k: t[k] for k in Topic.__slots__}) for t in old["topics"]),
        speech_ms=video["speech_ms"],
    )
    if not same_topics:
        result = replace(result, topics=topics_of(pipeline, result))
    return replace(result, seconds={"topics": time.monotonic() - started})


def _cues(
    pipeline: Pipeline, words: tuple[Word, ...], video: dict[str, Any], old: list[dict[str, Any]], new: bool
) -> tuple[Cue, ...]:
    if new:
        return tuple(make_cues(words, CueRules.of(pipeline.settings), duration_ms=video["duration_ms"]))
    return tuple(
        Cue(row["start_ms"], row["end_ms"], row["text"], row["confidence"], *span)
        for row, span in zip(old, _word_spans(old), strict=True)
    )


def _word_spans(cues: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """First and last word of each old cue: cues hold all words in order, and as many as their text has."""
    spans, at = [], 0
    for cue in cues:
        n = len(cue["text"].split())
        spans.append((at, at + n - 1))
        at += n
    return spans


def _metadata(pipeline: Pipeline, work: Work, video: dict[str, Any]) -> tuple[Metadata, str | None]:
    """Metadata from the sidecar as it is now; what the container said is taken from the old row."""
    old = Metadata(
        video["title"] or "",
        video["description"] or "",
        tuple(video["tags"] or ()),
        video["published_at"],
        video["language"],
    )
    if work.why != "metadata":
        return old, None
    if work.sidecar_key is None:
        return make_metadata(work.key, {}, {}), None
    try:
        found = parse_sidecar(pipeline.bucket.read_small(work.sidecar_key), work.sidecar_key)
    except (BadSidecar, Permanent, ObjectChanged) as error:
        return old, f"{error} The metadata stay as they were."
    return make_metadata(work.key, found, {}), None


def _probe(video: dict[str, Any]) -> Probe:
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
    )
