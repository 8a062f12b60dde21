"""Search from the lake itself: the texts of passages say which match, their words where exactly."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import duckdb

from tasks.lake.vocabulary import languages_of, near_words, said_words, spoken_languages, stem_mates, title_words
from tasks.search.filters import LANGUAGE, Filters
from tasks.search.moments import PassageWords, in_time, moment_of, written
from tasks.search.places import FOUND, USUAL, texts_of
from tasks.search.query import Query, Term, Variant
from tasks.search.shown import iso, topics_of
from tasks.text.folding import spaced, words_of
from tasks.text.stemming import forgives, one_typo, stem

_TITLE_WORDS = "string_split(coalesce(v.title_words, ''), ' ')"
TABLES = (
    "videos",
    "stage_runs",
    "topics",
    "passages",
    "words",
    "screen",
    "vocabulary",
)  # that a search reads; no other is opened
FEW = 3  # words that are looked for one by one; of more, a regular expression is faster


def search(connection: duckdb.DuckDBPyConnection, query: Query) -> dict[str, Any]:
    """The answer as `search --json` prints it (see the docs); videos best first, moments in time order.

    A video's score is the sum of how many moments it has, by logarithm, and whether its title has the words; where any
    word is enough, videos with more of them in one passage come before that.
    """
    conditions = Conditions(connection, query)
    if query.status == "indexed":
        source = f"{texts_of(query.places)} p JOIN videos v USING (video_id)"
        columns = f"p.* EXCLUDE (video_id, text, carried), {conditions.matched()} AS matched"
    else:  # no words, so no texts
        source = "videos v"
        columns = "NULL AS no, NULL AS place, 0 AS matched"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE matching AS SELECT video_id, {columns} FROM {source} WHERE {conditions.sql()}",
        conditions.parameters,
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE found AS SELECT video_id, count(no) AS moments, max(matched) AS matched, "
        "count(no) FILTER (place <> 'screen') + $weight * count(no) FILTER (place = 'screen') AS weight "
        "FROM matching GROUP BY video_id",
        {"weight": query.screen_weight},
    )
    ranked = connection.execute(
        f"""
        SELECT f.video_id, v.key, v.title, v.published_at, v.duration_ms, f.moments,
               f.matched, ln(1 + f.weight) + list_has_all({_TITLE_WORDS}, $words)::INT AS score
        FROM found f JOIN videos v USING (video_id)
        ORDER BY f.matched DESC, score DESC, v.published_at DESC NULLS LAST, v.key, v.video_id LIMIT $limit OFFSET $offset
        """,
        {
            "words": list(dict.fromkeys(query.typed)),
            "limit": query.limit,
            "offset": query.offset,
        },
    ).fetchall()
    total = connection.execute("SELECT count(*), coalesce(sum(moments), 0) FROM found").fetchone()
    total_videos, total_moments = (total[0], int(total[1])) if total else (0, 0)
    ids = [row[0] for row in ranked]
    topics = topics_of(connection, ids)
    moments = _moments(connection, query, ids) if query.status == "indexed" else {}
    following = query.offset + len(ranked)
    return {
        "query": query.text,
        "mode": query.mode,
        "engine": "duckdb",
        "fallback_reason": None,
        "total_videos": total_videos,
        "total_moments": total_moments,
        "next": following if ranked and following < total_videos else None,
        "videos": [
            {
                "video_id": video_id,
                "key": key,
                "title": title,
                "published_at": iso(published),
                "duration_ms": duration,
                "score": round(score, 4),
                "topics": topics.get(video_id, []),
                "moments_total": count,
                "moments": moments.get(video_id, []),
            }
            for video_id, key, title, published, duration, count, _, score in ranked
        ],
    }


class LakeSearcher:
    """The lake as an engine: one connection, so one snapshot, for all that is asked."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self.languages = tuple(spoken_languages(connection))

    def search(self, query: Query) -> dict[str, Any]:
        """See `search`."""
        return search(self._connection, query)

    def near(self, word: str) -> list[str]:
        """Words of the archive that one typo leads to or from, the most frequent first."""
        near = near_words(self._connection, word)
        if not near:
            return []
        rows = self._connection.execute(
            f"SELECT term FROM (SELECT unnest(string_split(trim(text), ' ')) AS term FROM {texts_of(USUAL)}) "
            "WHERE list_contains($near, term) GROUP BY term ORDER BY count(*) DESC, term",
            {"near": near},
        ).fetchall()
        return [row[0] for row in rows]

    def said(self, words: Collection[str]) -> set[str]:
        """Those of the words that the archive has; one whose last video is gone may be among them."""
        return said_words(self._connection, words)

    def titles(self, begun: str, limit: int = 8) -> list[dict[str, Any]]:
        """Videos whose titles have words that begin as typed, whole words first: `video_id`, `key` and `title`."""
        words = words_of(begun)
        if not words:
            return []
        starts = " AND ".join(
            f"len(list_filter({_TITLE_WORDS}, lambda w: starts_with(w, $w{n}))) > 0" for n in range(len(words))
        )
        rows = self._connection.execute(
            f"SELECT video_id, key, title FROM videos v WHERE status NOT IN ('gone', 'forgotten') AND {starts} "
            f"ORDER BY len(list_intersect({_TITLE_WORDS}, $words)) DESC, published_at DESC NULLS LAST, video_id LIMIT $limit",
            {"words": words, "limit": limit, **{f"w{n}": word for n, word in enumerate(words)}},
        ).fetchall()
        return [{"video_id": video_id, "key": key, "title": title} for video_id, key, title in rows]


class Conditions:
    """What a passage `p` of a video `v` must have, as SQL with parameters."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, query: Query) -> None:
        self._connection = connection
        self._query = query
        self._near: dict[Term, tuple[list[str], dict[str, list[str]]]] = {}
        self.parameters: dict[str, Any] = {}

    def sql(self) -> str:
        """The whole condition; `parameters` is filled by it."""
        if self._query.status != "indexed":
            found = f"list_has_all({_TITLE_WORDS}, {self._value(list(self._query.typed))})"
        else:
            found = self._phrase() if self._query.mode == "phrase" else self._words()
        statuses = FOUND if self._query.status == "indexed" else (self._query.status,)
        return " AND ".join([f"list_contains({self._value(list(statuses))}, v.status)", *self._filters(), f"({found})"])

    def matched(self) -> str:
        """How many slots a passage has, as SQL, where that differs between those that are found."""
        if self._query.mode != "any":
            return "0"
        return " + ".join(f"{self._slot(slot, 'p.text')}::INT" for slot in self._query.slots)

    def _phrase(self) -> str:
        return " OR ".join(self._ends_here(saying) for saying in self._query.phrases)

    def _words(self) -> str:
        """Every slot in the passage or the words before it, and one of them in the passage."""
        here = [self._slot(slot, "p.text") for slot in self._query.slots]
        if len(here) == 1 or self._query.mode == "any":
            return " OR ".join(here)
        before = [self._slot(slot, "p.carried") for slot in self._query.slots]
        anywhere = [f"({own} OR {carried})" for own, carried in zip(here, before, strict=True)]
        return " AND ".join([*anywhere, f"({' OR '.join(here)})"])

    def _slot(self, slot: Term, text: str) -> str:
        """That a slot is heard in `p.text` or `p.carried`."""
        if slot.prefix:
            return f"contains({text}, {self._value(' ' + slot.said[0][0])})"
        ways = []
        words, mates = self._alike(slot)
        for saying in slot.said:
            if len(saying) > 1:
                ways.append(
                    self._ends_here(saying) if text == "p.text" else f"contains({text}, {self._value(spaced(saying))})"
                )
        if words:
            ways.append(self._any_word(text, words))
        for language, stemmed in mates.items():
            spoken = f"split_part({LANGUAGE}, '-', 1) = {self._value(language)}"
            ways.append(f"({self._any_word(text, stemmed)} AND {spoken})")
        return f"({' OR '.join(ways)})"

    def _alike(self, slot: Term) -> tuple[list[str], dict[str, list[str]]]:
        """Single words that a slot matches in any language, and by language those that have its stem there only."""
        if slot in self._near:
            return self._near[slot]
        words = [saying[0] for saying in slot.said if len(saying) == 1]
        mates: dict[str, list[str]] = {}
        titled = title_words(self._connection, slot.word) if slot.word and "title" in self._query.places else []
        if slot.word and self._query.typos and forgives(slot.word):
            near = [word for word in titled if one_typo(slot.word, word)]
            words = list(dict.fromkeys([*words, *near_words(self._connection, slot.word), *near]))
        if slot.word and self._query.stems:
            for language in languages_of(self._connection):
                stemmed = stem(slot.word, language)
                alike = {word for word in titled if word[:1] == slot.word[:1] and stem(word, language) == stemmed}
                alike |= set(stem_mates(self._connection, slot.word, language))
                others = sorted(alike - set(words))
                if others:
                    mates[language] = others
        self._near[slot] = words, mates
        return words, mates

    def _any_word(self, text: str, words: Sequence[str]) -> str:
        if len(words) <= FEW:
            return "(" + " OR ".join(f"contains({text}, {self._value(f' {word} ')})" for word in words) + ")"
        pattern = " (?:" + "|".join(re.escape(word) for word in words) + ") "
        return f"regexp_matches({text}, {self._value(pattern)})"

    def _ends_here(self, saying: Variant) -> str:
        """That the words are said one after the other, the last of them in the passage."""
        needle = self._value(spaced(saying))
        if len(saying) == 1:
            return f"contains(p.text, {needle})"
        reach = len(" ".join(saying[:-1])) + 2
        last = self._value(f" {saying[-1]} ")  # is soon looked for, and spares most passages the joining of two texts
        return f"(contains(p.text, {last}) AND contains(rtrim(right(p.carried, {reach})) || p.text, {needle}))"

    def _filters(self) -> list[str]:
        query = self._query
        filters = Filters(query.topic, query.since, query.until, query.language, query.min_confidence)
        only = [] if query.video is None else [f"v.video_id = {self._value(query.video)}"]
        return [*filters.conditions(self._value), *only]

    def _value(self, value: object) -> str:
        """A parameter for a value, the same one for the same value."""
        for name, known in self.parameters.items():
            if known == value and type(known) is type(value):
                return f"${name}"
        name = f"v{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"


def _moments(connection: duckdb.DuckDBPyConnection, query: Query, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The first moments of each video, or the first of each part of it (`spread`), with what matched in them."""
    if not ids:
        return {}
    # By a join: of a long IN list DuckDB makes no filter for single rows.
    connection.execute("CREATE OR REPLACE TEMP TABLE shown AS SELECT unnest($ids::VARCHAR[]) AS video_id", {"ids": ids})
    part = "least(m.start_ms * $most // greatest(v.duration_ms, 1), $most - 1)"
    order = "ORDER BY m.start_ms, m.place, m.no"
    first = {
        False: f"QUALIFY row_number() OVER (PARTITION BY m.video_id {order}) <= $most",
        True: f"QUALIFY row_number() OVER (PARTITION BY m.video_id, {part} {order}) = 1",
    }[query.spread]
    together = f"count(*) OVER (PARTITION BY m.video_id, {part})" if query.spread else "1"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE chosen AS SELECT m.*, v.language, {together} AS together, "
        f"row_number() OVER ({order}) AS rank "
        f"FROM matching m JOIN videos v USING (video_id) SEMI JOIN shown USING (video_id) {first}",
        {"most": query.moments},
    )
    found = [*_heard(connection), *_read(connection)]
    out: dict[str, list[dict[str, Any]]] = {}
    for _, video_id, place, count, heard in sorted(found, key=lambda one: one[0]):
        moment = {"place": place, **moment_of(query, heard)}
        out.setdefault(video_id, []).append({**moment, "together": count} if query.spread else moment)
    return {video_id: in_time(moments) for video_id, moments in out.items()}


_Chosen = tuple[int, str, str, int, PassageWords]  # rank, video, place, how many are together, and what is there


def _heard(connection: duckdb.DuckDBPyConnection) -> Iterator[_Chosen]:
    """The chosen moments that are said, with their words."""
    rows = connection.execute(
        """
        WITH said AS (SELECT *, coalesce(folded, word) AS term FROM words SEMI JOIN shown USING (video_id))
        SELECT c.rank, c.video_id, any_value(c.together), any_value(c.language), list(w.word ORDER BY w.word_no),
               list(w.term ORDER BY w.word_no), list(w.start_ms ORDER BY w.word_no), list(w.end_ms ORDER BY w.word_no),
               list(round(w.confidence::DOUBLE, 4) ORDER BY w.word_no), count(*) FILTER (w.word_no < c.first_word)
        FROM chosen c JOIN said w ON w.video_id = c.video_id AND w.word_no BETWEEN c.first_carried AND c.last_word
        WHERE c.place = 'speech' GROUP BY c.rank, c.video_id
        """
    ).fetchall()
    return ((rank, video_id, "speech", together, PassageWords(*heard)) for rank, video_id, together, *heard in rows)


def _read(connection: duckdb.DuckDBPyConnection) -> Iterator[_Chosen]:
    """The chosen moments that are to be read: on the screen, or in the title."""
    rows = connection.execute(
        "SELECT rank, video_id, place, together, language, before, written, start_ms, end_ms, score FROM chosen "
        "WHERE place <> 'speech'"
    ).fetchall()
    for rank, video_id, place, together, *text in rows:
        yield rank, video_id, place, together, written(*text)
