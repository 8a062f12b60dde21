"""The tables of the lake, their columns with the types that DuckDB calls them by, and the version of their shape."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from tasks.stages.registry import STAGES

if TYPE_CHECKING:
    import pyarrow as pa

LAKE_VERSION = 4  # each has its migration in tasks/lake/migrate.py

# Facts of an object, and what came of the last visit to it. `object_generation` is the first generation of this very object,
# `transcript_generation` the one in which it was heard, `metadata_generation` that of its title and description; null, in older
# rows, where that is the row's own.
VIDEOS = {
    "video_id": "VARCHAR",
    "generation": "BIGINT",
    "object_generation": "BIGINT",
    "transcript_generation": "BIGINT",
    "metadata_generation": "BIGINT",
    "bucket": "VARCHAR",
    "bucket_uri": "VARCHAR",
    "key": "VARCHAR",
    "fingerprint": "VARCHAR",
    "sidecar_fingerprint": "VARCHAR",
    "size_bytes": "BIGINT",
    "modified_at": "TIMESTAMPTZ",
    "title": "VARCHAR",
    "title_words": "VARCHAR",
    "description": "VARCHAR",
    "tags": "VARCHAR[]",
    "published_at": "TIMESTAMPTZ",
    "duration_ms": "BIGINT",
    "container": "VARCHAR",
    "video_codec": "VARCHAR",
    "width": "INTEGER",
    "height": "INTEGER",
    "fps": "DOUBLE",
    "audio_codec": "VARCHAR",
    "audio_channels": "INTEGER",
    "audio_track": "INTEGER",
    "audio_heard": "INTEGER[]",
    "pixels": "VARCHAR",
    "clock": "VARCHAR",
    "language": "VARCHAR",
    "status": "VARCHAR",
    "reason": "VARCHAR",
    "error": "VARCHAR",
    "attempts": "INTEGER",
    "next_try_at": "TIMESTAMPTZ",
    "n_words": "INTEGER",
    "speech_ms": "BIGINT",
    "confidence": "DOUBLE",
    "fetch_s": "DOUBLE",
    "audio_s": "DOUBLE",
    "content_sha256": "VARCHAR",
    "taken_from": "VARCHAR",
    "flow_run_id": "VARCHAR",
    "indexed_at": "TIMESTAMPTZ",
}

# One row for each time that a stage was made of a video: the commit of its rows. `occasion` is `visit` where that was when the
# object was first read, `copy` where it shares the rows of another video then, and `later` else: readers of an archive in which
# nothing was made later, or shared, need not look at any of these.
# `object_generation` is the object it was made
# from, as in `videos`; `inputs` has the generation of every stage and of the metadata that it was made from, `rows` how many rows
# it wrote, `units` how much it had to read (seconds of media, words), `taken_*` whose rows it has, where those of the same content
# under another name are shared.
STAGE_RUNS = {
    "video_id": "VARCHAR",
    "stage": "VARCHAR",
    "occasion": "VARCHAR",
    "generation": "BIGINT",
    "object_generation": "BIGINT",
    "recipe": "VARCHAR",
    "options": "VARCHAR",
    "inputs": "MAP(VARCHAR, BIGINT)",
    "status": "VARCHAR",
    "reason": "VARCHAR",
    "error": "VARCHAR",
    "attempts": "INTEGER",
    "next_try_at": "TIMESTAMPTZ",
    "rows": "BIGINT",
    "units": "DOUBLE",
    "seconds": "DOUBLE",
    "device": "VARCHAR",
    "hardware": "VARCHAR",
    "taken_from": "VARCHAR",
    "taken_generation": "BIGINT",
    "run_id": "VARCHAR",
    "made_at": "TIMESTAMPTZ",
}
PARTITIONED = {"stage_runs": ["stage", "occasion"]}

# Every word ever said in a language, as search compares it, and its stem; `language` is empty where stems are unknown.
VOCABULARY = {"language": "VARCHAR", "word": "VARCHAR", "stem": "VARCHAR"}

RUNS = {
    "run_id": "VARCHAR",
    "command": "VARCHAR",
    "bucket": "VARCHAR",
    "started_at": "TIMESTAMPTZ",
    "ended_at": "TIMESTAMPTZ",
    "outcome": "VARCHAR",
    "report_json": "VARCHAR",
}

# One row an evaluation, and one more for each of its groups ("source" "ljspeech"); rates are 0 to 1.
EVALUATIONS = {
    "evaluation_id": "VARCHAR",
    "kind": "VARCHAR",
    "evaluated_at": "TIMESTAMPTZ",
    "manifest": "VARCHAR",
    "manifest_sha256": "VARCHAR",
    "model": "VARCHAR",
    "language_model": "VARCHAR",
    "recipe": "VARCHAR",
    "group_column": "VARCHAR",
    "group_value": "VARCHAR",
    "n": "BIGINT",
    "audio_ms": "BIGINT",
    "wer": "DOUBLE",
    "wer_low": "DOUBLE",
    "wer_high": "DOUBLE",
    "greedy_wer": "DOUBLE",
    "cer": "DOUBLE",
    "accuracy": "DOUBLE",
    "accuracy_low": "DOUBLE",
    "accuracy_high": "DOUBLE",
    "macro_f1": "DOUBLE",
    "baseline_accuracy": "DOUBLE",
    "report_json": "VARCHAR",
}

# One row a sync with Elasticsearch that sent something or failed, and one for each video that it could not bring there.
SYNCS = {
    "sync_id": "VARCHAR",
    "kind": "VARCHAR",
    "index_name": "VARCHAR",
    "started_at": "TIMESTAMPTZ",
    "ended_at": "TIMESTAMPTZ",
    "outcome": "VARCHAR",
    "lake_version": "BIGINT",
    "videos": "BIGINT",
    "passages": "BIGINT",
    "deleted": "BIGINT",
    "failed": "BIGINT",
    "report_json": "VARCHAR",
}
SYNC_FAILURES = {
    "failed_at": "TIMESTAMPTZ",
    "index_name": "VARCHAR",
    "video_id": "VARCHAR",
    "generation": "BIGINT",
    "reason": "VARCHAR",
}

# Folders that subtitles were written into, with the machine they are on: where to look for those of a forgotten video.
SUBTITLE_FOLDERS = {"folder": "VARCHAR", "host": "VARCHAR", "first_at": "TIMESTAMPTZ"}

KEY = {"video_id": "VARCHAR", "generation": "BIGINT"}  # of every row of a stage
CONTENT = {name: {**KEY, **table.columns} for name, (_, table) in STAGES.tables.items()}
# Columns that rows of lakes before version 4 have and new ones leave out: views make them of what there is now.
LEGACY = {
    "words": {"cue_no": "INTEGER"},
    "videos": {
        "n_cues": "INTEGER",
        "n_passages": "INTEGER",
        "recipes": "VARCHAR",
        "recipe_json": "VARCHAR",
        "acoustic_recipe": "VARCHAR",
        "decode_recipe": "VARCHAR",
        "cues_recipe": "VARCHAR",
        "topics_recipe": "VARCHAR",
        "model_s": "DOUBLE",
        "decode_s": "DOUBLE",
        "topics_s": "DOUBLE",
        "device": "VARCHAR",
        "hardware": "VARCHAR",
    },
}
EVENTS = {
    "vocabulary": VOCABULARY,
    "runs": RUNS,
    "evaluations": EVALUATIONS,
    "syncs": SYNCS,
    "sync_failures": SYNC_FAILURES,
    "subtitle_folders": SUBTITLE_FOLDERS,
}
TABLES = {"videos": VIDEOS, "stage_runs": STAGE_RUNS, **CONTENT, **EVENTS}


def kinds(table: str) -> Mapping[str, str]:
    """The columns of a table's rows with their types, those of older lakes too."""
    return TABLES[table] | LEGACY.get(table, {})


# Only these get minimum and maximum in the transaction log: text there would outlive the words it was taken from.
STATISTICS = {
    "videos": "video_id,generation,indexed_at",
    "stage_runs": "video_id,generation",
    "vocabulary": "language",
    "runs": "run_id,started_at",
    "evaluations": "evaluation_id,evaluated_at",
    "syncs": "sync_id,started_at",
    "sync_failures": "failed_at,video_id",
    "subtitle_folders": "first_at",
    **dict.fromkeys(CONTENT, "video_id,generation"),
}
# Where rows of a video are, besides `videos`.
OF_VIDEOS = tuple(name for name, columns in TABLES.items() if "video_id" in columns and name != "videos")
EVENTS_ONLY = tuple(EVENTS)  # tables without generations
# Every lake has had these. One that nobody has written to since may lack the others; readers take them for empty.
FIRST = ("videos", "words", "cues", "topics", "runs")
ADDED = tuple(name for name in TABLES if name not in FIRST)


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The schema that rows of a table are written with."""
    import pyarrow as pa  # only writers need it, and a search should not wait for it

    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "BLOB": pa.binary(),
        "INTEGER": pa.int32(),
        "DOUBLE": pa.float64(),
        "FLOAT": pa.float32(),
        "VARCHAR[]": pa.list_(pa.string()),
        "INTEGER[]": pa.list_(pa.int32()),
        "MAP(VARCHAR, BIGINT)": pa.map_(pa.string(), pa.int64()),
        "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    }
    columns = TABLES[table] | LEGACY.get(table, {})
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])
