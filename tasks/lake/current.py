"""What is current of each stage, and what was at each generation of a video: SQL over the stage runs, from the declarations.

A row of `videos` is a generation of a video: a visit to its object, or new metadata. Runs of stages are made with it (all that
follows from the sound) or later beside it (new topics); their generation is their own. Rows of a stage are shown with the
generation of the video that they belong to, so that all views are joined by `video_id` and `generation`. In the views of
history (`_all`) such a later run is a generation of the video too, with everything that was current then.

A run counts when it was made from the object as it is now. Of several the newest counts; of a bound stage (cues name words)
only one that was made from what is shown beside it; and of the transcript the one that the row of `videos` tells of.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import duckdb

from tasks.lake.schema import CONTENT, KEY, TABLES
from tasks.lake.version3 import older_runs
from tasks.stages.base import Stage
from tasks.stages.registry import STAGES

HIDDEN = "('gone', 'forgotten')"  # videos of which no content is shown
MADE = "('done', 'empty')"
# By view: the one without the columns that take a join, and the one with them.
LEAN = {
    "videos": "video_facts",
    "videos_all": "video_facts_all",
    "words": "spoken_words",
    "words_all": "spoken_words_all",
}
WHOLE = {
    "videos": "videos_and_runs",
    "videos_all": "videos_and_runs_all",
    "words": "words_and_cues",
    "words_all": "words_and_cues_all",
}


# The tables that tell what is current.
OF_CURRENT = ("videos", "stage_runs")


def find_current(connection: duckdb.DuckDBPyConnection, *, older: bool) -> None:
    """Find the newest row of each video, the runs that were made later, and those whose rows are shared: the tables
    `current_videos`, `later_runs` and `shared_runs`; and where stages were made later, which of their runs count."""
    runs = f"SELECT * FROM _stage_runs UNION ALL BY NAME {older_runs(connection)}" if older else "FROM _stage_runs"
    connection.execute(f"CREATE VIEW every_run AS {runs}")
    connection.execute(f"CREATE TABLE current_videos AS {_CURRENT_VIDEOS}")
    connection.execute(f"CREATE TABLE later_runs AS {_LATER}")
    connection.execute(f"CREATE TABLE shared_runs AS {_SHARED}")
    later = _stages_of(connection, "later_runs")
    for stage in STAGES:
        if stage.bound and later & set(stage.needs):
            later.add(stage.name)
        kind = "TABLE" if stage.name in later and not _is_heard(stage) else "VIEW"
        connection.execute(f"CREATE {kind} shown_{stage.name} AS {_newest(stage, later)}")


def define_current(
    connection: duckdb.DuckDBPyConnection,
    tables: Collection[str],
    shared: Collection[str],
    *,
    lean: bool,
    history: bool,
) -> None:
    """Make the views `videos`, `stage_runs`, `transcripts` and those of the stages' tables, and their twins in `_all`; and
    `video_rows`, every row of `videos` as it was written. `find_current` comes before. Of the stages' tables there are these
    alone: all of them, unless the views are `lean` and without `history`.

    With `lean`, `videos` and `words` lack the columns that take a join; `videos_and_runs` and `words_and_cues` have them.
    Without `history` there are neither these nor the twins: a view costs some milliseconds when it is made. `shared` are the
    stages that have runs in `shared_runs`.
    """
    for stage in STAGES:
        connection.execute(f"CREATE VIEW current_{stage.name} AS {_CURRENT.format(stage.name)}")
    connection.execute(f"CREATE VIEW video_rows AS {_facts('_videos')}")
    connection.execute(f"CREATE VIEW video_versions AS {_VERSIONS}")
    connection.execute(f"CREATE VIEW stage_runs AS {_STAGE_RUNS}")
    _define(connection, tables, "", "shown_", shared)
    if history:
        connection.execute(f"CREATE VIEW every_video AS {_EVERY_VIDEO}")
        connection.execute(f"CREATE VIEW video_facts_all AS {_facts_at_each_version()}")
        for stage in STAGES:
            connection.execute(f"CREATE VIEW every_{stage.name} AS {_made(stage)}")
        _define(connection, tables, "_all", "every_", shared)
        for suffix, made in (("", "current_"), ("_all", "every_")):
            connection.execute(f"CREATE VIEW videos_and_runs{suffix} AS {_videos(suffix, made)}")
            connection.execute(f"CREATE VIEW words_and_cues{suffix} AS {_words(suffix, made, shared)}")
    for view in LEAN:
        if (history or not view.endswith("_all")) and view.removesuffix("_all") in tables:
            connection.execute(f"CREATE VIEW {view} AS FROM {(LEAN if lean else WHOLE)[view]}")


def sharing(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """The stages of `shared_runs`."""
    return _stages_of(connection, "shared_runs")


def _stages_of(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    return {stage for (stage,) in connection.execute(f"SELECT DISTINCT stage FROM {table}").fetchall()}


def _define(
    connection: duckdb.DuckDBPyConnection, tables: Collection[str], suffix: str, made: str, shared: Collection[str]
) -> None:
    if not suffix:
        connection.execute(
            f"CREATE VIEW video_facts AS {_facts('_videos SEMI JOIN current_videos USING (video_id, generation)')}"
        )
    for name in (name for name in STAGES.tables if name in tables):
        view = f"{name}{suffix}"
        connection.execute(f"CREATE VIEW {LEAN.get(view, view)} AS {_shown(name, made, shared)}")
    if "passages" in tables:
        connection.execute(f"CREATE VIEW transcripts{suffix} AS {_TRANSCRIPTS.format(suffix)}")


_CURRENT_VIDEOS = f"""
SELECT video_id, max(generation) AS generation, arg_max(coalesce(object_generation, generation), generation) AS object_generation,
       arg_max(coalesce(transcript_generation, generation), generation) AS transcript_generation,
       arg_max(status NOT IN {HIDDEN}, generation) AS shown, NULL::BIGINT AS next_generation
FROM _videos GROUP BY video_id
"""
# A video is another one with every row of it, and with every run of a stage that was made later beside them.
_EVERY_VIDEO = f"""
SELECT g.video_id, g.generation, g.made_at, v.generation AS facts_generation,
       coalesce(v.object_generation, v.generation) AS object_generation,
       coalesce(v.transcript_generation, v.generation) AS transcript_generation, v.status NOT IN {HIDDEN} AS shown,
       lead(g.generation) OVER (PARTITION BY g.video_id ORDER BY g.generation) AS next_generation
FROM (SELECT video_id, generation, min(made_at) AS made_at FROM (
          SELECT video_id, generation, indexed_at AS made_at FROM _videos
          UNION ALL SELECT video_id, generation, made_at FROM every_run WHERE status IN {MADE}) GROUP BY ALL) g
ASOF JOIN _videos v ON v.video_id = g.video_id AND v.generation <= g.generation
"""


# Runs that were made later than the visit that first read the object, as it is now: few, or none.
_LATER = f"""
SELECT r.stage, r.video_id, r.generation, r.inputs FROM (FROM every_run WHERE occasion = 'later') r
JOIN current_videos v ON v.video_id = r.video_id AND v.object_generation = r.object_generation
WHERE r.status IN {MADE} AND v.shown
"""
# Runs whose rows are those of another video with the same content.
_SHARED = "SELECT stage, video_id, generation, taken_from, taken_generation FROM every_run WHERE occasion = 'copy'"
_CURRENT = f"""
SELECT m.*, r.status, r.rows, r.recipe FROM shown_{{0}} m
JOIN every_run r ON r.stage = '{{0}}' AND r.video_id = m.video_id AND r.generation = m.run_generation AND r.status IN {MADE}
"""


def _is_heard(stage: Stage) -> bool:
    """Whether the row of `videos` says which run of it counts."""
    return bool(stage.together) and not stage.bound


def _newest(stage: Stage, later: Collection[str]) -> str:
    """Video, generation, and the generation of the run of a stage that counts now, if there is one: of the newest run since the
    visit that first read the object, else of that visit."""
    source = "FROM current_videos v"
    if _is_heard(stage):
        return f"SELECT v.video_id, v.generation, v.transcript_generation AS run_generation {source} WHERE v.shown"
    bound = [name for name in stage.needs if stage.bound and name in STAGES.names]
    joins = " ".join(f"JOIN shown_{name} n_{name} ON n_{name}.video_id = v.video_id" for name in bound)
    visit = " AND ".join(["v.shown", *(f"n_{name}.run_generation = v.object_generation" for name in bound)])
    if stage.name not in later:
        return f"SELECT v.video_id, v.generation, v.object_generation AS run_generation {source} WHERE v.shown"
    same = " AND ".join(
        ["r.video_id = v.video_id", *(f"r.inputs['{name}'] = n_{name}.run_generation" for name in bound)]
    )
    return f"""
SELECT video_id, generation, coalesce(later, visit) AS run_generation FROM (
    SELECT v.video_id, v.generation, max(r.generation) AS later, any_value(CASE WHEN {visit} THEN v.object_generation END) AS visit
    {source} {joins} LEFT JOIN (FROM later_runs WHERE stage = '{stage.name}') r ON {same} WHERE v.shown GROUP BY ALL)
WHERE coalesce(later, visit) IS NOT NULL
"""


def _made(stage: Stage) -> str:
    """Which run of a stage counts at each generation of a video."""
    needed = [name for name in stage.needs if name in STAGES.names] if stage.bound else []
    beside = " ".join(
        f"JOIN every_{name} n{number} ON n{number}.video_id = v.video_id AND n{number}.generation = v.generation "
        f"AND r.inputs['{name}'] = n{number}.run_generation"
        for number, name in enumerate(needed)
    )
    told = "r.generation = v.transcript_generation" if stage.together and not stage.bound else "true"
    return f"""
SELECT video_id, generation, unnest(run) FROM (SELECT video_id, generation, arg_max(run, run.run_generation) AS run FROM (
    SELECT v.video_id, v.generation,
           {{'run_generation': r.generation, 'status': r.status, 'rows': r.rows, 'recipe': r.recipe}} AS run
    FROM every_video v JOIN every_run r ON r.video_id = v.video_id AND r.object_generation = v.object_generation {beside}
    WHERE r.stage = '{stage.name}' AND r.status IN {MADE} AND v.shown AND {told}
      AND (v.next_generation IS NULL OR r.generation < v.next_generation)
) GROUP BY video_id, generation)
"""


def _shown(name: str, made: str, shared: Collection[str], legacy: str = "") -> str:
    """The rows of a table that count, under the video and the generation that they are shown with; `legacy` columns besides.

    They lie under the video itself and the generation of its run; rows that it shares lie under another video.
    """
    stage = STAGES.tables[name][0].name
    columns = ", ".join(f"t.{column}" for column in CONTENT[name] if column not in KEY) + legacy
    this = f"s.stage = '{stage}' AND s.video_id = m.video_id AND s.generation = m.run_generation"
    own = f"{made}{stage} m"
    if stage in shared:  # a run that is about to get rows of its own shows the others until it has them all
        own = f"(FROM {own} ANTI JOIN shared_runs s ON {this}) m"
    sql = (
        f"SELECT t.video_id, m.generation, {columns} FROM _{name} t JOIN {own} "
        "ON t.video_id = m.video_id AND t.generation = m.run_generation"
    )
    if stage not in shared:
        return sql
    others = f"SELECT m.video_id, m.generation, s.taken_from, s.taken_generation FROM {made}{stage} m JOIN shared_runs s ON {this}"
    return (
        f"{sql} UNION ALL SELECT m.video_id, m.generation, {columns} FROM _{name} t JOIN ({others}) m "
        "ON t.video_id = m.taken_from AND t.generation = m.taken_generation"
    )


def _words(suffix: str, made: str, shared: Collection[str]) -> str:
    """Words with the number of their cue. Those of older lakes have it; cues that were cut since name their words instead."""
    words = _shown("words", made, shared, legacy=", t.cue_no AS old_cue")
    return f"""
SELECT w.* EXCLUDE (old_cue), coalesce(c.cue_no, w.old_cue) AS cue_no
FROM ({words}) w
ASOF LEFT JOIN (SELECT video_id, generation, cue_no, first_word FROM cues{suffix} WHERE first_word IS NOT NULL) c
ON c.video_id = w.video_id AND c.generation = w.generation AND c.first_word <= w.word_no
"""


# Passages have one space at each end, and so have the texts made of them.
_TRANSCRIPTS = """
SELECT video_id, generation, text, nullif(folded, text) AS folded FROM (
    SELECT video_id, generation, replace(string_agg(coalesce(said, text), '' ORDER BY passage_no), '  ', ' ') AS text,
           replace(string_agg(text, '' ORDER BY passage_no), '  ', ' ') AS folded
    FROM passages{} GROUP BY video_id, generation)
"""
# Every generation of anything that is shown of a video; the newest of them is its version.
GENERATIONS = "SELECT video_id, generation FROM current_videos" + "".join(
    f" UNION ALL SELECT video_id, run_generation FROM shown_{name}" for name in STAGES.names
)
_VERSIONS = f"SELECT video_id, max(generation) AS version FROM ({GENERATIONS}) GROUP BY ALL"
_STAGE_RUNS = "SELECT * FROM every_run SEMI JOIN (SELECT video_id FROM current_videos WHERE shown) USING (video_id)"


# Columns of `videos` from before there were stage runs, by the stage whose run has them now.
_OF_RUNS = {
    "n_cues": "coalesce(m_cues.rows, 0)::INTEGER",
    "n_passages": "coalesce(m_passages.rows, 0)::INTEGER",
    "recipes": f"concat_ws('/', {', '.join(f'r_{name}.recipe' for name in STAGES.names)})",
    "recipe_json": "json_object('acoustic', r_emissions.options::JSON, 'decode', r_words.options::JSON, 'cues', "
    "json_merge_patch(r_cues.options, r_passages.options), 'topics', r_topics.options::JSON)::VARCHAR",
    "acoustic_recipe": "r_emissions.recipe",
    "decode_recipe": "r_words.recipe",
    "cues_recipe": "r_cues.recipe",
    "topics_recipe": "r_topics.recipe",
    "model_s": "r_emissions.seconds",
    "decode_s": "r_words.seconds",
    "topics_s": "r_topics.seconds",
    "device": "r_emissions.device",
    "hardware": "r_emissions.hardware",
}


def _videos(suffix: str, made: str) -> str:
    """Facts of the videos, and what their stage runs say: with a join for each stage."""
    columns = ", ".join(f"{value} AS {name}" for name, value in _OF_RUNS.items())
    joins = " ".join(
        f"LEFT JOIN {made}{name} m_{name} ON m_{name}.video_id = v.video_id AND m_{name}.generation = v.generation "
        f"LEFT JOIN every_run r_{name} ON r_{name}.stage = '{name}' AND r_{name}.video_id = v.video_id "
        f"AND r_{name}.generation = m_{name}.run_generation"
        for name in STAGES.names
    )
    return f"SELECT v.*, {columns} FROM video_facts{suffix} v {joins}"


_OWN = ("object_generation", "transcript_generation", "metadata_generation")


def _facts(source: str) -> str:
    columns = ", ".join(f"coalesce({c}, generation) AS {c}" if c in _OWN else c for c in TABLES["videos"])
    return f"SELECT {columns} FROM {source}"


def _facts_at_each_version() -> str:
    others = {"generation": "e.generation", "indexed_at": "e.made_at AS indexed_at"}
    others |= {c: f"coalesce(f.{c}, f.generation) AS {c}" for c in _OWN}
    columns = ", ".join(others.get(c, f"f.{c}") for c in TABLES["videos"])
    return f"SELECT {columns} FROM every_video e JOIN _videos f ON f.video_id = e.video_id AND f.generation = e.facts_generation"


_EVERYTHING = re.compile(
    r"\*|columns|pragma|_all\b|every_|_and_|schema|duckdb_|(^|\(|\bunion|\ball|\bname|\bexcept|\bintersect)\s*(from|table|describe|summarize)\b"
)


def plain(sql: str) -> bool:
    """Whether a query can do without history, and without the columns of `videos` and `words` that take a join: it names none
    of them, and asks for no column that it does not name. DuckDB leaves out no join because nobody asks for what it brings."""
    text = re.sub(r"count\s*\(\s*\*\s*\)", "", sql.lower())
    return not _EVERYTHING.search(text) and not {"cue_no", *_OF_RUNS} & set(re.findall(r"\w+", text))
