"""What outlives the rows of a video: its words in the vocabulary, and reports that name it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tasks.lake.rewrite import among, each, rewrite
from tasks.lake.store import Lake
from tasks.lake.vocabulary import add_words
from tasks.search.trial import unquoted
from tasks.stages.registry import STAGES
from tasks.text.stemming import stem_language

REPORTS = {"runs": "run_id", "syncs": "sync_id", "evaluations": "evaluation_id"}


# -- reports -----------------------------------------------------------------------------------------------------------


def clean_reports(lake: Lake, connection: duckdb.DuckDBPyConnection, identifiers: Sequence[str]) -> dict[str, int]:
    """Take what names the videos out of the reports of runs, syncs and evaluations; returns how many had something."""
    counts = {}
    for name, key in REPORTS.items():
        found = [
            identity
            for identity, text in connection.execute(f"SELECT {key}, report_json FROM _{name}").fetchall()
            if text and cleaned(unquoted(text), identifiers) != text
        ]
        if found:
            rewrite(
                lake,
                name,
                among(key, found),
                each(
                    name,
                    lambda row: {
                        **row,
                        "report_json": cleaned(unquoted(row["report_json"] or "") or None, identifiers),
                    },
                ),
            )
        counts[name] = len(found)
    return counts


def cleaned(text: str | None, identifiers: Sequence[str]) -> str | None:
    """A report without the entries that name one of the videos; their number stays."""
    if text is None or not any(mark in text for mark in identifiers):
        return text
    report = json.loads(text)
    plain = {json.loads(f'"{mark}"') for mark in identifiers}
    for name, value in list(report.items()):
        if isinstance(value, list):
            kept = [entry for entry in value if not _names(entry, plain)]
            if len(kept) < len(value):
                report[name] = kept
                report["forgotten"] = report.get("forgotten", 0) + len(value) - len(kept)
        elif isinstance(value, dict) or name in ("error", "shortfall"):
            report[name] = _without(value, plain)
    return text if report == json.loads(text) else json.dumps(report)


def _without(value: Any, identifiers: Iterable[str]) -> Any:
    """The same with other sentences for those that name one of the videos: readers find every field that they ask for."""
    if isinstance(value, dict):
        return {name: _without(one, identifiers) for name, one in value.items()}
    if isinstance(value, list):
        return [_without(one, identifiers) for one in value]
    return "It named a video that is forgotten." if _names(value, identifiers) else value


def _names(value: Any, identifiers: Iterable[str]) -> bool:
    if isinstance(value, dict):
        return any(_names(one, identifiers) for one in value.values())
    if isinstance(value, list):
        return any(_names(one, identifiers) for one in value)
    return isinstance(value, str) and any(_mentions(value, mark) for mark in identifiers)


def _mentions(text: str, mark: str) -> bool:
    """Whether `mark` stands in a text as a name of its own: `1.mp4` does in `talks/1.mp4`, and does not in `11.mp4`."""
    return mark in text and re.search(rf"(?<!\w){re.escape(mark)}(?!\w)", text) is not None


# -- vocabulary --------------------------------------------------------------------------------------------------------


_TEXTS = " UNION ALL ".join(
    f"SELECT video_id, {table.terms} AS text FROM _{name} UNION ALL SELECT s.video_id, t.{table.terms} FROM _{name} t "
    f"JOIN shared_runs s ON s.stage = '{stage.name}' AND t.video_id = s.taken_from AND t.generation = s.taken_generation"
    for name, (stage, table) in STAGES.tables.items()
    if table.terms
)
# Words of all texts but those of some videos, in a language, or by videos whose language is not known yet.
_OTHERS = f"""
SELECT DISTINCT word FROM (
    SELECT unnest(string_split(trim(p.text), ' ')) AS word FROM ({_TEXTS}) p
    LEFT JOIN (SELECT DISTINCT video_id, language FROM _videos WHERE language IS NOT NULL) v USING (video_id)
    WHERE p.video_id NOT IN (SELECT unnest($ids)) AND (v.language IS NULL OR v.language IN (SELECT unnest($raw::VARCHAR[])))
)
"""


def vanishing(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> dict[str, set[str]]:
    """Words of the vocabulary, by its languages, that no other video says: of these, also of generations of theirs that
    have gone since and of writers that were killed."""
    found = {}
    for (language,) in connection.execute("SELECT DISTINCT language FROM _vocabulary").fetchall():
        rows = connection.execute(
            f"SELECT DISTINCT word FROM _vocabulary ANTI JOIN ({_OTHERS}) USING (word) WHERE language = $language",
            {"ids": list(ids), "raw": _raw(connection, language), "language": language},
        ).fetchall()
        found[language] = {word for (word,) in rows}
    return found


def said_elsewhere(
    connection: duckdb.DuckDBPyConnection, ids: Sequence[str], words: dict[str, set[str]]
) -> dict[str, set[str]]:
    """Those of `words` that another video says in the same language, or one whose language is not known yet."""
    said = {}
    for language, asked in words.items():
        rows = connection.execute(
            f"FROM ({_OTHERS}) SEMI JOIN (SELECT unnest($words::VARCHAR[]) AS word) USING (word)",
            {"ids": list(ids), "raw": _raw(connection, language), "words": sorted(asked)},
        ).fetchall()
        if rows:
            said[language] = {word for (word,) in rows}
    return said


def _raw(connection: duckdb.DuckDBPyConnection, language: str) -> list[str]:
    """What videos call a language of the vocabulary."""
    names = connection.execute("SELECT DISTINCT language FROM _videos WHERE language IS NOT NULL").fetchall()
    return [name for (name,) in names if (stem_language(name) or "") == language]


def drop_words(lake: Lake, words: dict[str, set[str]]) -> None:
    for language, gone in words.items():
        if gone:
            values = pa.array(sorted(gone), pa.string())
            # By language alone: a condition stays in the log, and must not have the words.
            rewrite(
                lake,
                "vocabulary",
                f"language = '{language}'",
                lambda rows, values=values: rows.filter(pc.invert(pc.is_in(rows["word"], value_set=values))),  # type: ignore[misc]
            )


def restore_words(lake: Lake, words: dict[str, set[str]]) -> None:
    add_words(lake, list(words.items()), batch_id=f"forget-{time.time_ns()}")
