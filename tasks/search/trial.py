"""The searches by which a new index is tried: it must answer them as the lake does."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import duckdb

from tasks.errors import Misconfigured, NightscribeError
from tasks.search.places import USUAL, texts_of
from tasks.search.query import Query, make_query, synonyms_of
from tasks.settings import Settings

ESTIMATE = 0.03  # Elasticsearch counts many videos by an estimate
DRAWN = 10  # phrases of the archive that a new index must find
_PHRASE = re.compile(r"""\bTo (?:'[^'"]*'|\\?"[^"]*?\\?") the (lake|new index) has""")


def differing(query: Query, expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """How an answer differs from the lake's: in moments, in videos where these fit on a page, or by far in their number."""
    few = expected["total_videos"] <= query.limit
    said = []
    for what, slack in (("total_moments", 0.0), ("total_videos", 0.0 if few else ESTIMATE)):
        if abs(expected[what] - found[what]) > slack * expected[what]:
            said.append(f"To {query.text!r} the lake has {expected[what]} for {what}, the new index {found[what]}.")
    if few and not said:
        moments = [{v["video_id"]: v["moments"] for v in answer["videos"]} for answer in (expected, found)]
        if moments[0] != moments[1]:
            said.append(f"To {query.text!r} the new index has other moments than the lake.")
    return said


def drawn_queries(connection: duckdb.DuckDBPyConnection) -> list[Query]:
    """Phrases of four words from what is said in the archive and what stands on its screens, the same ones for the same lake, and
    single words of them."""
    rows = [
        row
        for place in USUAL
        for row in connection.execute(
            f"SELECT text FROM {texts_of((place,))} WHERE text IS NOT NULL ORDER BY hash(video_id || no) LIMIT $n",
            {"n": DRAWN},
        ).fetchall()
    ]
    chance = random.Random(0)
    queries = []
    for (text,) in rows:
        words = text.split()
        at = chance.randrange(max(1, len(words) - 3))
        for typed, phrase in ((" ".join(words[at : at + 4]), True), (words[at], False)):
            try:
                queries.append(make_query(typed, phrase=phrase))
            except NightscribeError:  # no letter in it
                continue
    return queries


def golden_queries(settings: Settings, languages: Sequence[str]) -> Sequence[Query]:
    """The queries of the settings' file, with the settings' synonyms.

    Raises:
        Misconfigured: a file cannot be read. BadQuery: a line of it is no query.
    """
    path = settings.golden_queries
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"golden_queries {path} cannot be read: {error}", next="Mend the setting.") from error
    asked = [line for line in lines if line.strip() and not line.startswith("#")]
    synonyms = synonyms_of(settings)
    return [make_query(line, languages=languages or ("en",), synonyms=synonyms) for line in asked]


def unquoted(text: str) -> str:
    """Sentences, or a report as JSON, without the phrases of videos by which a new search index was tried."""
    return _PHRASE.sub(r"To a phrase the \1 has", text)
