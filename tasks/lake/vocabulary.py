"""The archive's vocabulary: distinct words by language, with their stems, from which a search takes what is nearly typed.

A word stays when its last video is gone, and then finds nothing, until some video is forgotten: then all words go that
nobody says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import duckdb

from tasks.lake.store import Lake
from tasks.lake.views import connect_tables
from tasks.text.stemming import language_code, one_typo, stem, stem_language


def add_words(lake: Lake, said: Iterable[tuple[str | None, set[str]]], *, batch_id: str) -> None:
    """Add what is not there yet. Two writers may add the same word: the view shows it once.

    Raises:
        StorageBusy: the lake took no commit.
    """
    pairs = sorted({(stem_language(language) or "", word) for language, words in said for word in words})
    if not pairs:
        return
    rows = []
    for language, word in _new(lake, pairs):
        stemmed = stem(word, language) if language else word
        rows.append({"language": language, "word": word, "stem": stemmed})
    lake.append("vocabulary", rows, batch_id=batch_id)


def _new(lake: Lake, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    connection = connect_tables(lake, "vocabulary")
    rows = connection.execute(
        "SELECT g.* FROM (SELECT unnest($languages) AS language, unnest($words) AS word) g ANTI JOIN _vocabulary "
        "USING (language, word) ORDER BY ALL",
        {"languages": [language for language, _ in pairs], "words": [word for _, word in pairs]},
    ).fetchall()
    return [(language, word) for language, word in rows]


def languages_of(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The languages with stems that the archive's words are in."""
    rows = connection.execute("SELECT DISTINCT language FROM _vocabulary WHERE language <> '' ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def spoken_languages(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The languages of the archive's videos that may have words, said or shown, without region; those without stems too."""
    rows = connection.execute(
        "SELECT DISTINCT language FROM videos WHERE language IS NOT NULL AND status IN ('indexed', 'no_speech', 'no_audio')"
    ).fetchall()
    return sorted({language_code(row[0]).split("-")[0] for row in rows} - {""})


def stem_mates(connection: duckdb.DuckDBPyConnection, word: str, language: str) -> list[str]:
    """Every word of the archive with the stem of `word` in a language, sorted."""
    rows = connection.execute(
        "SELECT DISTINCT word FROM _vocabulary WHERE language = $language AND stem = $stem ORDER BY 1",
        {"language": language, "stem": stem(word, language)},
    ).fetchall()
    return [row[0] for row in rows]


def said_words(connection: duckdb.DuckDBPyConnection, words: Collection[str]) -> set[str]:
    """Those of the words that are words of the archive."""
    rows = connection.execute(
        "SELECT DISTINCT word FROM _vocabulary SEMI JOIN (SELECT unnest($words::VARCHAR[]) AS word) USING (word)",
        {"words": list(words)},
    ).fetchall()
    return {row[0] for row in rows}


def title_words(connection: duckdb.DuckDBPyConnection, near: str) -> list[str]:
    """Words of titles that may have the stem of a word, or be it but for a typo: they begin alike, or are of about its length. The
    vocabulary has those alone that are said or stand on the screen."""
    rows = connection.execute(
        "SELECT DISTINCT word FROM (SELECT unnest(string_split(title_words, ' ')) AS word FROM videos WHERE title_words <> '') "
        "WHERE word[1] = $near[1] OR abs(length(word) - length($near)) <= 1 ORDER BY 1",
        {"near": near},
    ).fetchall()
    return [word for (word,) in rows]


def near_words(connection: duckdb.DuckDBPyConnection, word: str) -> list[str]:
    """Words of the archive that one typo leads to or from, sorted; `word` itself too, if it is said."""
    # Letters are compared one by one here: DuckDB's own distances are of bytes.
    rows = connection.execute(
        "SELECT DISTINCT word FROM _vocabulary WHERE length(word) BETWEEN $n - 1 AND $n + 1 ORDER BY 1",
        {"n": len(word)},
    ).fetchall()
    return [other for (other,) in rows if one_typo(word, other)]
