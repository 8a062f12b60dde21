"""Whether the lake adds up."""

from __future__ import annotations

from collections.abc import Container, Mapping

from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.stages.registry import STAGES

OF_VIDEOS = {
    "has generation {1} more than once": "SELECT video_id, generation FROM _videos GROUP BY ALL HAVING count(*) > 1",
    "has the stage {2} of generation {1} more than once": "SELECT video_id, generation, stage FROM every_run GROUP BY ALL "
    "HAVING count(*) > 1",
    "generation {1}: its row says {2} words, there are {3}": "SELECT v.video_id, v.generation, coalesce(v.n_words, 0), "
    "coalesce(w.rows, 0) FROM video_facts_all v LEFT JOIN every_words w USING (video_id, generation) "
    "WHERE coalesce(v.n_words, 0) <> coalesce(w.rows, 0)",
}
NONE = "SELECT NULL::VARCHAR AS stage, NULL::VARCHAR AS video_id, 0 AS generation, 0 AS n WHERE false"
MADE = (
    "(FROM _{name} SEMI JOIN (FROM every_run WHERE stage = '{stage}' AND status = 'done') USING (video_id, generation))"
)


def check(lake: Lake) -> list[str]:
    """What is wrong in the lake, as sentences; empty when all is well.

    Every run has as many rows as it says, a video has each generation once, and what is declared as a fault of a table is not to
    be found.
    """
    snapshot = Snapshot.of(lake)
    connection = connect(lake, snapshot)
    single = {stage.name: name for name, (stage, _) in STAGES.tables.items() if len(stage.tables) == 1}
    filled = {name: one for name, one in STAGES.tables.items() if snapshot.files.get(name)}
    problems = []
    for sentence, sql in OF_VIDEOS.items():
        problems += [f"Video {row[0]} {sentence.format(*row)}." for row in connection.execute(sql).fetchall()]
    for video, generation, said, there, stage in connection.execute(_counts(single, filled)).fetchall():
        problems.append(
            f"Video {video} generation {generation}: its run says {said} {single[stage]}, there are {there}."
        )
    for name, (stage, table) in filled.items():
        rows = MADE.format(name=name, stage=stage.name)
        for sentence, fault in table.faults.items():
            found = connection.execute(fault.format(rows=rows)).fetchall()
            problems += [f"Video {video} generation {generation}, {sentence}." for video, generation in found]
    return problems


def _counts(single: Mapping[str, str], filled: Container[str]) -> str:
    """Runs that say another number of rows than there is: of all stages at once, as what runs say is put together from several
    tables."""
    counted = [
        f"SELECT '{stage}' AS stage, video_id, generation, count(*) AS n FROM _{name} GROUP BY ALL"
        for stage, name in single.items()
        if name in filled
    ]
    return (
        f"WITH counted AS ({' UNION ALL '.join(counted) or NONE}) "
        "SELECT r.video_id, r.generation, r.rows, coalesce(c.n, 0), r.stage FROM every_run r LEFT JOIN counted c "
        "ON c.stage = r.stage AND c.video_id = coalesce(r.taken_from, r.video_id) "
        "AND c.generation = coalesce(r.taken_generation, r.generation) "
        f"WHERE r.stage IN {(*single,)} AND r.rows <> coalesce(c.n, 0) "
        "AND (r.taken_from IS NULL OR EXISTS (FROM _videos v WHERE v.video_id = r.video_id AND v.generation = r.generation)) "
        "ORDER BY ALL"
    )
