"""What a lake of version 3 says of its stages: one row of `videos` was the commit of everything that was made of a video.

The same SQL shows such a lake to readers as it is, and makes its stage runs when it is migrated. No content is touched.
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from tasks.stages.base import recipe_of

# Names in a recipe's description, by stage. What cues and passages were made by stood together.
OPTIONS = {"emissions": "acoustic", "words": "decode", "topics": "topics"}
OF_PASSAGES = ("passages", "folding")


def older_runs(connection: duckdb.DuckDBPyConnection) -> str:
    """SQL of the stage runs that rows of `_videos` stand for, where those have none in `_stage_runs`."""
    _describe(connection)
    return f"{_RUNS} ANTI JOIN _stage_runs r ON r.video_id = v.video_id AND r.generation = v.generation"


def _describe(connection: duckdb.DuckDBPyConnection) -> None:
    """The table `_older`: the recipes of cues and passages, which had one together."""
    known = connection.execute(
        "SELECT decode_recipe, cues_recipe, any_value(recipe_json) FROM _videos WHERE cues_recipe IS NOT NULL GROUP BY ALL"
    ).fetchall()
    connection.execute(
        "CREATE OR REPLACE TABLE _older (decode VARCHAR, joint VARCHAR, cues VARCHAR, cues_options VARCHAR, "
        "passages VARCHAR, passages_options VARCHAR)"
    )
    for decode, joint, text in known:
        both: dict[str, Any] = json.loads(text or "{}").get("cues") or {}
        passages = {name: both[name] for name in OF_PASSAGES if name in both}
        cues = {name: value for name, value in both.items() if name not in OF_PASSAGES}
        connection.execute(
            "INSERT INTO _older VALUES ($decode, $joint, $cues, $cues_options, $passages, $passages_options)",
            {
                "decode": decode,
                "joint": joint,
                "cues": recipe_of(cues, (decode,)) if cues else joint,
                "cues_options": json.dumps(cues, sort_keys=True),
                "passages": recipe_of(passages, (decode,)) if passages else joint,
                "passages_options": json.dumps(passages, sort_keys=True),
            },
        )


_RUNS = """
SELECT v.video_id, s.stage, 'visit' AS occasion, v.generation, v.generation AS object_generation,
    CASE s.stage WHEN 'emissions' THEN v.acoustic_recipe WHEN 'words' THEN v.decode_recipe WHEN 'cues' THEN o.cues
                 WHEN 'passages' THEN o.passages ELSE v.topics_recipe END AS recipe,
    CASE s.stage WHEN 'emissions' THEN v.recipe_json ->> '$.acoustic' WHEN 'words' THEN v.recipe_json ->> '$.decode'
                 WHEN 'cues' THEN o.cues_options WHEN 'passages' THEN o.passages_options
                 ELSE v.recipe_json ->> '$.topics' END AS options,
    CASE s.stage WHEN 'emissions' THEN MAP {}::MAP(VARCHAR, BIGINT)
                 WHEN 'words' THEN MAP {'emissions': v.generation}
                 WHEN 'topics' THEN CASE WHEN v.status = 'no_audio' THEN MAP {'metadata': v.generation}
                                         ELSE MAP {'metadata': v.generation, 'words': v.generation} END
                 ELSE MAP {'words': v.generation} END AS inputs,
    CASE WHEN v.status = 'failed' THEN 'failed'
         WHEN s.stage = 'emissions' AND v.status = 'no_audio' THEN 'empty'
         WHEN s.stage = 'words' AND v.status = 'no_speech' THEN 'empty' ELSE 'done' END AS status,
    CASE WHEN v.status = 'failed' THEN v.reason END AS reason,
    CASE WHEN v.status = 'failed' THEN v.error END AS error,
    v.attempts, v.next_try_at,
    CASE s.stage WHEN 'emissions' THEN 0 WHEN 'words' THEN v.n_words WHEN 'cues' THEN v.n_cues
                 WHEN 'passages' THEN v.n_passages END::BIGINT AS rows,
    CASE WHEN s.stage IN ('emissions', 'words') THEN v.duration_ms / 1000 ELSE v.n_words END::DOUBLE AS units,
    CASE s.stage WHEN 'emissions' THEN v.model_s WHEN 'words' THEN v.decode_s WHEN 'topics' THEN v.topics_s END AS seconds,
    v.device, v.hardware, NULL::VARCHAR AS taken_from, NULL::BIGINT AS taken_generation,
    v.flow_run_id AS run_id, v.indexed_at AS made_at
FROM (SELECT * FROM _videos WHERE acoustic_recipe IS NOT NULL) v
JOIN (VALUES ('emissions', ['indexed', 'no_speech', 'no_audio', 'failed']), ('words', ['indexed', 'no_speech']),
             ('cues', ['indexed']), ('passages', ['indexed']),
             ('topics', ['indexed', 'no_speech', 'no_audio'])) s(stage, had_by) ON list_contains(s.had_by, v.status)
LEFT JOIN _older o ON o.decode IS NOT DISTINCT FROM v.decode_recipe AND o.joint IS NOT DISTINCT FROM v.cues_recipe
"""
