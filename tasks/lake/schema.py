"""The tables of the lake, their columns with the types that DuckDB calls them by, and the version of their shape."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

LAKE_VERSION = 1

VIDEOS = {
    "video_id": "VARCHAR",
    "generation": "BIGINT",
    "bucket": "VARCHAR",
    "bucket_uri": "VARCHAR",
    "key": "VARCHAR",
    "fingerprint": "VARCHAR",
    "sidecar_fingerprint": "VARCHAR",
    "size_bytes": "BIGINT",
    "modified_at": "TIMESTAMPTZ",
    "title": "VARCHAR",
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
    "language": "VARCHAR",
    "status": "VARCHAR",
    "reason": "VARCHAR",
    "error": "VARCHAR",
    "attempts": "INTEGER",
    "next_try_at": "TIMESTAMPTZ",
    "n_cues": "INTEGER",
    "n_words": "INTEGER",
    "speech_ms": "BIGINT",
    "confidence": "DOUBLE",
    "recipes": "VARCHAR",
    "recipe_json": "VARCHAR",
    "acoustic_recipe": "VARCHAR",
    "decode_recipe": "VARCHAR",
    "cues_recipe": "VARCHAR",
    "topics_recipe": "VARCHAR",
    "fetch_s": "DOUBLE",
    "audio_s": "DOUBLE",
    "model_s": "DOUBLE",
    "decode_s": "DOUBLE",
    "topics_s": "DOUBLE",
    "device": "VARCHAR",
    "flow_run_id": "VARCHAR",
    "indexed_at": "TIMESTAMPTZ",
}

TRANSCRIPTS = {"video_id": "VARCHAR", "generation": "BIGINT", "text": "VARCHAR", "folded": "VARCHAR"}

# `folded` is a word or text as search compares it (tasks/folding.py), and null where that is the word or text itself.
WORDS = {
    "video_id": "VARCHAR",
    "generation": "BIGINT",
    "word_no": "INTEGER",
    "word": "VARCHAR",
    "folded": "VARCHAR",
    "start_ms": "BIGINT",
    "end_ms": "BIGINT",
    "confidence": "FLOAT",
    "cue_no": "INTEGER",
}

CUES = {
    "video_id": "VARCHAR",
    "generation": "BIGINT",
    "cue_no": "INTEGER",
    "start_ms": "BIGINT",
    "end_ms": "BIGINT",
    "text": "VARCHAR",
    "confidence": "FLOAT",
}

TOPICS = {
    "video_id": "VARCHAR",
    "generation": "BIGINT",
    "scope": "VARCHAR",
    "start_ms": "BIGINT",
    "end_ms": "BIGINT",
    "rank": "INTEGER",
    "label": "VARCHAR",
    "score": "FLOAT",
    "model": "VARCHAR",
}

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

CONTENT = {"words": WORDS, "cues": CUES, "transcripts": TRANSCRIPTS, "topics": TOPICS}
TABLES = {"videos": VIDEOS, **CONTENT, "runs": RUNS, "evaluations": EVALUATIONS}
# Only these get minimum and maximum in the transaction log: text there would outlive the words it was taken from.
STATISTICS = {
    "videos": "video_id,generation,indexed_at",
    "runs": "run_id,started_at",
    "evaluations": "evaluation_id,evaluated_at",
    **dict.fromkeys(CONTENT, "video_id,generation"),
}
EVENTS_ONLY = ("runs", "evaluations")  # tables without generations
ADDED = ("evaluations",)  # a lake that nobody has written to since may lack these; readers take them for empty


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The schema that rows of a table are written with."""
    import pyarrow as pa  # only writers need it, and a search should not wait for it

    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "INTEGER": pa.int32(),
        "DOUBLE": pa.float64(),
        "FLOAT": pa.float32(),
        "VARCHAR[]": pa.list_(pa.string()),
        "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(name, types[kind]) for name, kind in TABLES[table].items()])
