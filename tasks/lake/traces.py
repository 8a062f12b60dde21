"""What outlives the rows of a video: its words in the vocabulary, and reports that name it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tasks.alike import stem_language
from tasks.lake.rewrite import among, each, rewrite
from tasks.lake.store import Lake
from tasks.lake.vocabulary import add_words

REPORTS = {"runs": "run_id", "syncs": "sync_id", "evaluations": "evaluation_id"}


# -- reports -----------------------------------------------------------------------------------------------------------


def clean_reports(lake: Lake, connection: duckdb.DuckDBPyConnection, marks: Sequence[str]) -> dict[str, int]:
    """Take what names the videos out of the reports of runs, syncs and evaluations; returns how many had something."""
    counts = {}
    for name, key in REPORTS.items():
        found = [
            identity
            for identity, text in connection.execute(f"SELECT {key}, report_json FROM _{name}").fetchall()
            if text and cleaned(text, marks) != text
        ]
        if found:
            rewrite(
                lake,
                name,
                among(key, found),
                each(name, lambda row: {**row, "report_json": cleaned(row["report_json"], marks)}),
            )
        counts[name] = len(found)
    return counts


def cleaned(text: str, marks: Sequence[str]) -> str:
    """A report without the entries that name one of the videos; their number stays."""
    if not any(mark in text for mark in marks):
        return text
    report = json.loads(text)
    plain = {json.loads(f'"{mark}"') for mark in marks}
    for name, value in list(report.items()):
        if isinstance(value, list):
            kept = [entry for entry in value if not _names(entry, plain)]
            if len(kept) < len(value):
                report[name] = kept
                report["forgotten"] = report.get("forgotten", 0) + len(value) - len(kept)
        elif isinstance(value, dict) and _names(value, plain):
            report[name] = None
        elif isinstance(value, str) and name in ("error", "shortfall") and _names(value, plain):
            report[name] = "It named a video that is forgotten."
    return json.dumps(report)


def _names(value: Any, marks: Iterable[str]) -> bool:
    if isinstance(value, dict):
        return any(_names(one, marks) for one in value.values())
    if isinstance(value, list):
        return any(_names(one, marks) for one in value)
    return isinstance(value, str) and any(mark in value for mark in marks)


# -- vocabulary --------------------------------------------------------------------------------------------------------


def vanishing(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> dict[str, set[str]]:
    """Words of the vocabulary, by its languages, that only these videos say."""
    mine: dict[str, set[str]] = {}
    for language, word in connection.execute(
        "SELECT DISTINCT v.language, unnest(string_split(trim(p.text), ' ')) FROM _passages p "
        "JOIN (SELECT video_id, any_value(language) AS language FROM _videos WHERE language IS NOT NULL GROUP BY ALL) v "
        "USING (video_id) WHERE p.video_id IN (SELECT unnest($ids))",
        {"ids": list(ids)},
    ).fetchall():
        mine.setdefault(stem_language(language) or "", set()).add(word)
    said = said_elsewhere(connection, ids, mine)
    return {language: words - said.get(language, set()) for language, words in mine.items()}


def said_elsewhere(
    connection: duckdb.DuckDBPyConnection, ids: Sequence[str], words: dict[str, set[str]]
) -> dict[str, set[str]]:
    """Those of `words` that another video says in the same language, or one whose language is not known yet."""
    languages = connection.execute("SELECT DISTINCT language FROM _videos").fetchall()
    said = {}
    for language, asked in words.items():
        raw = [name for (name,) in languages if name is not None and (stem_language(name) or "") == language]
        rows = connection.execute(
            "SELECT DISTINCT word FROM (SELECT unnest(string_split(trim(p.text), ' ')) AS word FROM _passages p "
            "LEFT JOIN (SELECT DISTINCT video_id, language FROM _videos WHERE language IS NOT NULL) v USING (video_id) "
            "WHERE p.video_id NOT IN (SELECT unnest($ids)) AND (v.language IS NULL OR v.language IN (SELECT unnest($raw::VARCHAR[])))) "
            "SEMI JOIN (SELECT unnest($words::VARCHAR[]) AS word) USING (word)",
            {"ids": list(ids), "raw": raw, "words": sorted(asked)},
        ).fetchall()
        if rows:
            said[language] = {word for (word,) in rows}
    return said


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
