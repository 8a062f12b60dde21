"""The tables of the lake and the version of their shape."""

from __future__ import annotations

import pyarrow as pa

LAKE_VERSION = 1

_INSTANT = pa.timestamp("us", tz="UTC")

VIDEOS = pa.schema(
    [
        ("video_id", pa.string()),
        ("generation", pa.int64()),
        ("bucket", pa.string()),
        ("bucket_uri", pa.string()),
        ("key", pa.string()),
        ("fingerprint", pa.string()),
        ("sidecar_fingerprint", pa.string()),
        ("size_bytes", pa.int64()),
        ("modified_at", _INSTANT),
        ("title", pa.string()),
        ("description", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("published_at", _INSTANT),
        ("duration_ms", pa.int64()),
        ("container", pa.string()),
        ("video_codec", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("audio_codec", pa.string()),
        ("audio_channels", pa.int32()),
        ("audio_track", pa.int32()),
        ("language", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("error", pa.string()),
        ("attempts", pa.int32()),
        ("next_try_at", _INSTANT),
        ("n_cues", pa.int32()),
        ("n_words", pa.int32()),
        ("speech_ms", pa.int64()),
        ("confidence", pa.float64()),
        ("recipes", pa.string()),
        ("recipe_json", pa.string()),
        ("acoustic_recipe", pa.string()),
        ("decode_recipe", pa.string()),
        ("cues_recipe", pa.string()),
        ("topics_recipe", pa.string()),
        ("fetch_s", pa.float64()),
        ("audio_s", pa.float64()),
        ("model_s", pa.float64()),
        ("decode_s", pa.float64()),
        ("topics_s", pa.float64()),
        ("device", pa.string()),
        ("flow_run_id", pa.string()),
        ("indexed_at", _INSTANT),
    ]
)

TRANSCRIPTS = pa.schema([("video_id", pa.string()), ("generation", pa.int64()), ("text", pa.string())])

WORDS = pa.schema(
    [
        ("video_id", pa.string()),
        ("generation", pa.int64()),
        ("word_no", pa.int32()),
        ("word", pa.string()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("confidence", pa.float32()),
        ("cue_no", pa.int32()),
    ]
)

CUES = pa.schema(
    [
        ("video_id", pa.string()),
        ("generation", pa.int64()),
        ("cue_no", pa.int32()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("text", pa.string()),
        ("confidence", pa.float32()),
    ]
)

TOPICS = pa.schema(
    [
        ("video_id", pa.string()),
        ("generation", pa.int64()),
        ("scope", pa.string()),
        ("start_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("rank", pa.int32()),
        ("label", pa.string()),
        ("score", pa.float32()),
        ("model", pa.string()),
    ]
)

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("command", pa.string()),
        ("bucket", pa.string()),
        ("started_at", _INSTANT),
        ("ended_at", _INSTANT),
        ("outcome", pa.string()),
        ("report_json", pa.string()),
    ]
)

CONTENT = {"words": WORDS, "cues": CUES, "transcripts": TRANSCRIPTS, "topics": TOPICS}
TABLES = {"videos": VIDEOS, **CONTENT, "runs": RUNS}
# Only these get minimum and maximum in the transaction log: text there would outlive the words it was taken from.
STATISTICS = {
    "videos": "video_id,generation,indexed_at",
    "runs": "run_id,started_at",
    **dict.fromkeys(CONTENT, "video_id,generation"),
}
EVENTS_ONLY = ("runs",)  # tables without generations
