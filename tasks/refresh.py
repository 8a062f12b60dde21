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
from tasks.metadata import make_metadata, parse_sidecar, title_of
from tasks.pipeline import Pipeline, topics_of
from tasks.records import AudioTrack, Beside, Cue, Metadata, Probe, Result, Topic, Word, Work
from tasks.stages.recipes import chained
from tasks.stages.registry import STAGES
from tasks.subtitles import CueRules, make_cues


def refresh(pipeline: Pipeline, work: Sequence[Work]) -> list[Result]:
    """New results for videos whose words stay, or are those of the same content under another name; the caller commits
    them.

    Stages whose recipe is the current one are taken over as they are, and so are words of an older recipe. A video whose
    rows have gone since the scan is left out: it is due again.
    """
    connection = connect(pipeline.lake)
    current = dict(
        connection.execute(
            "SELECT video_id, generation FROM videos WHERE video_id IN (SELECT unnest($ids))",
            {"ids": [item.video_id for item in work if item.from_stage != "copy"]},
        ).fetchall()
    )
    sources = {item.video_id: _source(item) or (item.video_id, current.get(item.video_id, -1)) for item in work}
    rows = _load(connection, set(sources.values()))
    return [
        _refresh_one(pipeline, item, rows[sources[item.video_id]]) for item in work if sources[item.video_id] in rows
    ]


def take_over(connection: Any, pipeline: Pipeline, work: Work, metadata: Metadata) -> Result | None:
    """The result of a video of which the lake has the same content as `work.source_id`, still without topics; None when
    it has not any more."""
    source = _source(work)
    rows = _load(connection, {source} if source else set())
    return _refresh_one(pipeline, work, rows[source], metadata) if source in rows else None


def _source(work: Work) -> tuple[str, int] | None:
    """Video and generation whose words a copy takes over."""
    if work.from_stage != "copy" or work.source_id is None or work.source_generation is None:
        return None
    return work.source_id, work.source_generation


def _load(connection: Any, pairs: set[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
    """The rows of these generations: one of `videos`, and lists of the others."""
    ids, asked = sorted({video_id for video_id, _ in pairs}), sorted(f"{v}/{g}" for v, g in pairs)
    those = "WHERE video_id IN (SELECT unnest($ids)) AND video_id || '/' || generation IN (SELECT unnest($asked)) ORDER BY video_id"
    tables = {"spoken_words": "words", "cues": "cues", "topics": "topics"}
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for row in _rows(connection, f"SELECT * FROM video_facts_all {those}", ids, asked):
        rows[row["video_id"], row["generation"]] = {"video": row, "runs": {}, **{name: [] for name in tables.values()}}
    for view, name in tables.items():
        order = ", ".join(STAGES.tables[name][1].order)
        for row in _rows(connection, f"SELECT * FROM {view}_all {those}, generation, {order}", ids, asked):
            rows[row["video_id"], row["generation"]][name].append(row)
    for name in STAGES.names:
        made = f"SELECT video_id, generation, run_generation FROM every_{name} {those}"
        for row in _rows(
            connection,
            f"SELECT m.video_id, m.generation, m.run_generation, r.recipe, r.options FROM ({made}) m JOIN every_run r ON "
            f"r.stage = '{name}' AND r.video_id = m.video_id AND r.generation = m.run_generation",
            ids,
            asked,
        ):
            rows[row["video_id"], row["generation"]]["runs"][name] = row
    return rows


def _rows(connection: Any, sql: str, ids: list[str], asked: list[str]) -> list[dict[str, Any]]:
    found = connection.execute(sql, {"ids": ids, "asked": asked})
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _refresh_one(pipeline: Pipeline, work: Work, old: dict[str, Any], given: Metadata | None = None) -> Result:
    """With `given` metadata, topics are left to the caller."""
    started = time.monotonic()
    video = old["video"]
    words = tuple(Word(w["word"], w["start_ms"], w["end_ms"], w["confidence"]) for w in old["words"])
    now, before = pipeline.recipes, {name: run["recipe"] for name, run in old["runs"].items()}
    copied = work.from_stage == "copy"
    new_cues = before.get("cues") != now["cues"] if copied else "cues" in work.stages and work.why == "stale"
    stay = () if copied else ("emissions", "words") if new_cues else ("emissions", "words", "cues")
    kept = {name: json.loads(old["runs"][name]["options"]) for name in stay if name in before}
    made = chained({**now.options, **kept}, now.models)
    metadata, warning = (given, None) if given else _metadata(pipeline, work, video)
    same_topics = made["topics"] == before.get("topics") and (
        metadata == _metadata_of(video) if copied else work.why != "metadata"
    )
    result = Result(
        work=work,
        bucket=pipeline.bucket.bucket_id,
        bucket_uri=pipeline.bucket.uri,
        status=video["status"],
        metadata=metadata,
        recipes=made,
        reason=video["reason"],
        error=video["error"],
        sidecar_error=warning,
        attempts=1 if copied else video["attempts"],
        probe=_probe(video),
        duration_ms=video["duration_ms"],
        audio_track=video["audio_track"],
        audio_heard=tuple(video["audio_heard"] or ()),
        clock=video["clock"],
        language=(metadata.language or pipeline.models.language) if copied else video["language"],
        words=words,
        cues=_cues(pipeline, words, video, old["cues"], new_cues),
        topics=tuple(Topic(**{k: t[k] for k in Topic.__slots__}) for t in old["topics"]),
        speech_ms=video["speech_ms"],
        content_sha256=video["content_sha256"],
        taken_from=video["video_id"] if copied else video["taken_from"],
        made=None if copied else _made(pipeline, work),
        beside=None if copied else _beside(work, old),
    )
    if not same_topics and not given:
        result = replace(result, topics=topics_of(pipeline, result))
    return replace(result, seconds={"topics": time.monotonic() - started})


def _made(pipeline: Pipeline, work: Work) -> tuple[str, ...]:
    """The stages that are made anew: by new recipes, or of new metadata."""
    due = STAGES.after(["metadata"]) if work.why == "metadata" else work.stages
    return tuple(name for name in due if name in pipeline.recipes.hashes)


def _beside(work: Work, old: dict[str, Any]) -> Beside:
    video = old["video"]
    return Beside(
        video["object_generation"],
        video["transcript_generation"],
        video["metadata_generation"],
        {name: run["run_generation"] for name, run in old["runs"].items()},
        new_metadata=work.why == "metadata",
    )


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
    """First and last word of each cue. Cues of older lakes do not say: they hold all words in order, and as many as their
    text has."""
    spans, at = [], 0
    for cue in cues:
        first = at if cue["first_word"] is None else cue["first_word"]
        last = first + len(cue["text"].split()) - 1 if cue["last_word"] is None else cue["last_word"]
        spans.append((first, last))
        at = last + 1
    return spans


def _metadata(pipeline: Pipeline, work: Work, video: dict[str, Any]) -> tuple[Metadata, str | None]:
    """Metadata from the sidecar as it is now; what the container said is taken from the old row."""
    old = _metadata_of(video)
    copied = work.from_stage == "copy"
    if work.why != "metadata" and not copied:
        return old, None
    if work.sidecar_key is None:
        if copied and video["sidecar_fingerprint"] is None:
            # What did not come from its name came from within the file, and is the same here.
            named = old.title == title_of(video["key"])
            return replace(old, title=title_of(work.key) if named else old.title, language=None), None
        return make_metadata(work.key, {}, {}), None
    try:
        found = parse_sidecar(pipeline.bucket.sidecar(work.sidecar_key), work.sidecar_key)
    except (BadSidecar, Permanent, ObjectChanged) as error:
        if copied:
            return make_metadata(work.key, {}, {}), f"{error} The video was indexed without it."
        return old, f"{error} The metadata stay as they were."
    return make_metadata(work.key, found, {}), None


def _metadata_of(video: dict[str, Any]) -> Metadata:
    """What a row says of a video."""
    return Metadata(
        video["title"] or "",
        video["description"] or "",
        tuple(video["tags"] or ()),
        video["published_at"],
        video["language"],
    )


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
        pixels=video["pixels"],
    )
