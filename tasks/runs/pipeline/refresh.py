"""Make stages of videos from what the lake already has: new cue rules, a new topic model, new metadata. No object is read,
and only the rows of these stages are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import duckdb

from tasks.errors import BadSidecar, ObjectChanged, Permanent
from tasks.records import Metadata, Outcome, Result, Shared, VideoTask
from tasks.runs.pipeline.known import KnownVideo, Pair, load_current, load_known, made_from, pair_of
from tasks.runs.pipeline.making import Making
from tasks.runs.pipeline.run_stages import run_stages
from tasks.runs.pipeline.state import Pipeline
from tasks.sources.metadata import make_metadata, parse_sidecar, title_of
from tasks.stages.base import Input
from tasks.stages.recipes import beside
from tasks.stages.registry import STAGES
from tasks.text.stemming import stem_language

# A vocabulary is of a language: what is searched by words beside the transcript is made again where that is another one, from what
# the lake has. Of the transcript the words are read.
OF_ANOTHER_LANGUAGE = tuple(
    stage.name for stage in STAGES if stage.together is None and any(table.terms for table in stage.tables)
)


def refresh(pipeline: Pipeline, work: Sequence[VideoTask]) -> list[Result]:
    """New results for videos whose words stay, or are those of the same content under another name; the caller commits
    them.

    A video whose rows have gone since the scan is left out: it is due again.
    """
    own = [item for item in work if item.source_id is None]
    sources = {source for item in work if (source := _source(item)) is not None}
    read = made_from(name for item in own for name in item.stages)
    of_copies = pipeline.seen.read(lambda lake: load_known(lake, sources, ()))
    current = pipeline.seen.read(lambda lake: load_current(lake, [item.video_id for item in own], read))
    results: list[Result] = []
    makings: list[Making] = []
    copies: dict[int, KnownVideo] = {}  # by their place among the results
    for item in work:
        source = _source(item)
        old = current.get(item.video_id) if source is None else of_copies.get(source)
        if old is not None:
            result, making = _again(pipeline, item, old) if source is None else _copied(pipeline, item, old)
            if source is not None:
                copies[len(results)] = old
            results.append(result)
            makings.append(making)
    wanted = {at: stages for at, old in copies.items() if (stages := _to_read(results[at], makings[at], old))}
    stages = set().union(*wanted.values())
    pairs = {pair_of(copies[at]) for at in wanted}
    full = pipeline.seen.read(lambda lake: load_known(lake, pairs, stages))
    lost = {at for at in wanted if pair_of(copies[at]) not in full}
    for at in wanted.keys() - lost:
        results[at] = _with_rows(results[at], makings[at], full[pair_of(copies[at])])
    run_stages(pipeline, [making for at, making in enumerate(makings) if at not in lost])
    done = zip(results, makings, strict=True)
    return [replace(result, outcomes=making.outcomes) for at, (result, making) in enumerate(done) if at not in lost]


def take_over(
    connection: duckdb.DuckDBPyConnection, pipeline: Pipeline, work: VideoTask, metadata: Metadata
) -> tuple[Result, Making] | None:
    """The result of a video of which the lake has the same content as `work.source_id`, and the stages of it that are still to
    be made; None when it has not any more."""
    source = _source(work)
    known = load_known(connection, {source} if source else set(), ())
    if source not in known:
        return None
    result, making = _copied(pipeline, work, known[source], metadata)
    if stages := _to_read(result, making, known[source]):
        full = load_known(connection, {source}, stages).get(source)
        if full is None:
            return None
        result = _with_rows(result, making, full)
    return result, making


def _with_rows(result: Result, making: Making, known: KnownVideo) -> Result:
    """The result with the words that were read, and what its stages are made from."""
    result = replace(result, words=known.words)
    making.input = _input(result, known)
    return result


def _source(work: VideoTask) -> Pair | None:
    """Video and generation whose words a copy takes over."""
    if work.source_id is None or work.source_generation is None:
        return None
    return work.source_id, work.source_generation


def _again(pipeline: Pipeline, work: VideoTask, old: KnownVideo) -> tuple[Result, Making]:
    """The stages of `work` anew, beside all others."""
    metadata, warning = _metadata_again(pipeline, work, old) if work.why == "metadata" else (old.metadata, None)
    video = old.video
    result = replace(
        _result(pipeline, work, old, metadata),
        recipes=beside(pipeline.recipes, {name: run["recipe"] for name, run in old.runs.items()}, work.stages),
        sidecar_error=warning,
        attempts=video["attempts"],
        language=video["language"],
        taken_from=video["taken_from"],
        spoken=(video["n_words"], video["confidence"]),
        beside=old.beside(new_metadata=work.why == "metadata"),
    )
    there = old.there - set(work.stages)
    return result, Making(_input(result, old), work.stages, there, tries=old.tries)


def _copied(
    pipeline: Pipeline, work: VideoTask, old: KnownVideo, metadata: Metadata | None = None
) -> tuple[Result, Making]:
    """A video that shares the rows of another one. Stages that stand on its own metadata are made unless that is the same, and so are
    those of another recipe than today's."""
    warning = None
    if metadata is None:
        metadata, warning = _metadata_of_copy(pipeline, work, old)
    language = metadata.language or pipeline.models.language
    result = replace(
        _result(pipeline, work, old, metadata),
        sidecar_error=warning,
        attempts=1,
        language=language,
        taken_from=old.video["video_id"],
        spoken=(old.video["n_words"], old.video["confidence"]),
    )
    same = replace(metadata, language=language) == old.metadata
    own = () if same else STAGES.after(["metadata"])
    if stem_language(language) != stem_language(old.video["language"]):
        own = (*own, *OF_ANOTHER_LANGUAGE)
    taken: dict[str, Outcome] = {}
    for stage in STAGES:
        run = old.runs.get(stage.name)
        whole = all(one.name in taken for one in STAGES.stages_before(stage) if one.name in old.runs)
        if run and whole and stage.name not in own and run["recipe"] == pipeline.recipes.hashes.get(stage.name):
            read_from = (old.video["video_id"], run["run_generation"])
            lies = Shared(run["rows_of"], run["rows_generation"], run["rows"], run["status"], read_from)
            taken[stage.name] = Outcome(shared=lies)
    there = {"metadata", *(name for name in taken if old.runs[name]["status"] == "done")}
    return result, Making(_input(result, old), work.stages, there, outcomes=taken)


def _to_read(result: Result, making: Making, old: KnownVideo) -> set[str]:
    """The stages whose rows are read of a content that is shared: those that others are made from; and the words, where they
    count for another language now."""
    due = [name for name in making.wanted if name not in making.outcomes]
    other = stem_language(result.language) != stem_language(old.video["language"])
    return made_from(due) | ({"words"} if other else set())


def _result(pipeline: Pipeline, work: VideoTask, old: KnownVideo, metadata: Metadata) -> Result:
    video = old.video
    return Result(
        work=work,
        bucket=pipeline.bucket.bucket_id,
        bucket_uri=pipeline.bucket.uri,
        status=video["status"],
        metadata=metadata,
        recipes=pipeline.recipes,
        reason=video["reason"],
        error=video["error"],
        probe=old.probe,
        duration_ms=video["duration_ms"],
        audio_track=video["audio_track"],
        audio_heard=tuple(video["audio_heard"] or ()),
        clock=video["clock"],
        speech_ms=video["speech_ms"],
        content_sha256=video["content_sha256"],
    )


def _input(result: Result, old: KnownVideo) -> Input:
    return Input(
        video_id=result.work.video_id,
        duration_ms=result.duration_ms or 0,
        language=result.language,
        metadata=result.metadata,
        words=old.words,
        rows=old.rows,
    )


def _metadata_again(pipeline: Pipeline, work: VideoTask, old: KnownVideo) -> tuple[Metadata, str | None]:
    """Metadata from the sidecar as it is now; what the container said is taken from the old row."""
    if work.sidecar_key is None:
        return make_metadata(work.key, {}, {}), None
    try:
        found = parse_sidecar(pipeline.bucket.sidecar(work.sidecar_key), work.sidecar_key)
    except (BadSidecar, Permanent, ObjectChanged) as error:
        return old.metadata, f"{error} The metadata stay as they were."
    return make_metadata(work.key, found, {}), None


def _metadata_of_copy(pipeline: Pipeline, work: VideoTask, old: KnownVideo) -> tuple[Metadata, str | None]:
    if work.sidecar_key is None:
        if old.video["sidecar_fingerprint"] is None:
            # What did not come from its name came from within the file, and is the same here.
            named = old.metadata.title == title_of(old.video["key"])
            return replace(old.metadata, title=title_of(work.key) if named else old.metadata.title, language=None), None
        return make_metadata(work.key, {}, {}), None
    try:
        found = parse_sidecar(pipeline.bucket.sidecar(work.sidecar_key), work.sidecar_key)
    except (BadSidecar, Permanent, ObjectChanged) as error:
        return make_metadata(work.key, {}, {}), f"{error} The video was indexed without it."
    return make_metadata(work.key, found, {}), None
