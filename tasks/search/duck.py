"""Search from the lake itself: whole words, accents and case ignored, exact times."""

from __future__ import annotations

from typing import Any

import duckdb

from tasks.search.query import NEAR_MS, Query

BEFORE, AFTER = 8, 14  # words of a snippet around a hit
_FOLD = "lower(strip_accents({}))"
_TERM = "coalesce(folded, word)"
_TEXT = "coalesce(t.folded, t.text)"


def search(connection: duckdb.DuckDBPyConnection, query: Query) -> dict[str, Any]:
    """The answer as `search --json` prints it (see the docs); videos best first, moments in time order.

    A video's score is the sum of two parts: how many moments it has, by logarithm, and whether its title has the words.
    """
    wanted = dict.fromkeys(query.words)
    if query.mode == "phrase":
        _phrase_found(connection, query)
    else:
        _words_found(connection, query, list(wanted))
    ranked = connection.execute(
        f"""
        SELECT f.video_id, v.key, v.title, v.published_at, v.duration_ms, f.moments,
               ln(1 + f.moments) + CASE WHEN len(list_filter($words,
                   lambda w: contains({_FOLD.format("v.title")}, w))) = len($words) THEN 1 ELSE 0 END AS score
        FROM found f JOIN videos v USING (video_id)
        ORDER BY score DESC, v.published_at DESC NULLS LAST, v.key, v.video_id LIMIT $limit OFFSET $offset
        """,
        {"words": list(wanted), "limit": query.limit, "offset": query.offset},
    ).fetchall()
    total = connection.execute("SELECT count(*), coalesce(sum(moments), 0) FROM found").fetchone()
    total_videos, total_moments = (total[0], int(total[1])) if total else (0, 0)
    ids = [row[0] for row in ranked]
    _show(connection, ids)
    if query.mode == "phrase":
        _phrase_hits(connection, query.words)
    topics = _topics(connection, ids)
    moments = _moments(connection, query)
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
                "published_at": published.isoformat().replace("+00:00", "Z") if published else None,
                "duration_ms": duration,
                "score": round(score, 4),
                "topics": topics.get(video_id, []),
                "moments_total": count,
                "moments": moments.get(video_id, []),
            }
            for video_id, key, title, published, duration, count, score in ranked
        ],
    }


def _phrase_found(connection: duckdb.DuckDBPyConnection, query: Query) -> None:
    """`found`: videos that have the phrase, and how often, from their texts alone.

    Spaces are doubled before counting, so that a phrase can follow itself. One that can overlap itself ("no no") is
    counted by its words.
    """
    needle = " " + "  ".join(query.words) + " "
    doubled = f"replace({_TEXT}, ' ', '  ')"
    times = f"(length({doubled}) - length(replace({doubled}, $needle, ''))) // length($needle)"
    _candidates(connection, query, [" " + " ".join(query.words) + " "], "found", f"{times} AS moments", needle=needle)
    if any(query.words[:n] == query.words[-n:] for n in range(1, len(query.words))):
        _show(connection, [row[0] for row in connection.execute("SELECT video_id FROM found").fetchall()])
        _phrase_hits(connection, query.words)
        connection.execute(
            "UPDATE found SET moments = (SELECT count(*) FROM moments m WHERE m.video_id = found.video_id)"
        )


def _words_found(connection: duckdb.DuckDBPyConnection, query: Query, words: list[str]) -> None:
    """`moments` of all videos that have the words, and `found`, how many each has."""
    # One word is looked for where its times are; of several, the texts say first which videos have them all.
    source = "words"
    if len(words) > 1 or _filters(query):
        _candidates(connection, query, [f" {word} " for word in words], "candidates")
        source = "words SEMI JOIN candidates USING (video_id)"
    _word_hits(connection, words, source)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE found AS SELECT video_id, count(*) AS moments FROM moments GROUP BY video_id"
    )


def _candidates(
    connection: duckdb.DuckDBPyConnection,
    query: Query,
    needles: list[str],
    table: str,
    column: str = "",
    **parameters: Any,
) -> None:
    """Make `table`: the videos whose text has all needles and that pass the filters, with one more column of their text."""
    conditions = ["v.status = 'indexed'", *(f"contains({_TEXT}, $n{i})" for i in range(len(needles)))]
    parameters |= {f"n{i}": needle for i, needle in enumerate(needles)}
    for name, (condition, value) in _filters(query).items():
        conditions.append(condition)
        parameters[name] = value
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT v.video_id, {column} FROM videos v JOIN transcripts t USING (video_id) "
        f"WHERE {' AND '.join(conditions)}",
        parameters,
    )


def _filters(query: Query) -> dict[str, tuple[str, Any]]:
    """The filters that are set: name, condition on the video `v`, value."""
    topic = (
        "EXISTS (FROM topics p WHERE p.video_id = v.video_id AND p.scope = 'video' AND p.rank = 1 "
        "AND lower(p.label) = lower($topic))"
    )
    known = {
        "topic": (topic, query.topic),
        "since": ("v.published_at >= $since", query.since),
        "until": ("v.published_at < $until::DATE + 1", query.until),
        "language": ("v.language = $language", query.language),
        "confidence": ("v.confidence >= $confidence", query.min_confidence or None),
    }
    return {name: (condition, value) for name, (condition, value) in known.items() if value is not None}


def _word_hits(connection: duckdb.DuckDBPyConnection, words: list[str], source: str) -> None:
    """`moments` of the words in `source`. Each is a stretch in which every word is said within `NEAR_MS` of the others.

    It begins at its first hit. A hit that has all words in the time up to it closes such a stretch; all hits of that time
    belong to it.
    """
    in_video = "PARTITION BY video_id ORDER BY start_ms RANGE BETWEEN"
    until = f"{in_video} $near PRECEDING AND CURRENT ROW"
    closes = " AND ".join(f"count_if(term = $w{i}) OVER ({until}) > 0" for i in range(len(words)))
    among = f"IN ({', '.join(f'$w{i}' for i in range(len(words)))})"
    belongs = f"count_if(closes) OVER ({in_video} CURRENT ROW AND $near FOLLOWING) > 0"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE moments AS
        WITH hits AS (  -- two conditions on bare columns, and not one on coalesce(): Parquet skips pages by these only
            SELECT video_id, word_no, start_ms, end_ms, confidence, word AS term FROM {source} WHERE word {among} AND folded IS NULL
            UNION ALL SELECT video_id, word_no, start_ms, end_ms, confidence, folded AS term FROM {source} WHERE folded {among}
        ),
        closing AS (SELECT *, {closes} AS closes FROM hits),
        complete AS (SELECT * FROM (SELECT *, {belongs} AS belongs FROM closing) WHERE belongs),
        marked AS (
            SELECT *, coalesce(start_ms - lag(start_ms) OVER (PARTITION BY video_id ORDER BY word_no) > $near, true) AS opens
            FROM complete
        ),
        numbered AS (SELECT *, sum(opens::INT) OVER (PARTITION BY video_id ORDER BY word_no) AS moment FROM marked)
        SELECT video_id, moment, min(word_no) AS first_word, max(word_no) AS last_word, min(start_ms) AS start_ms,
               max(end_ms) AS end_ms, avg(confidence) AS confidence, list(word_no ORDER BY word_no) AS marked_words
        FROM numbered GROUP BY video_id, moment
        """,
        {"near": NEAR_MS, **{f"w{i}": word for i, word in enumerate(words)}},
    )


def _show(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> None:
    """`said`: all words of these videos. By a join, because of a long IN list DuckDB makes no filter for single rows."""
    connection.execute("CREATE OR REPLACE TEMP TABLE shown AS SELECT unnest($ids::VARCHAR[]) AS video_id", {"ids": ids})
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE said AS SELECT video_id, word_no, word, {_TERM} AS term, start_ms, end_ms, "
        "confidence FROM words SEMI JOIN shown USING (video_id)"
    )


def _phrase_hits(connection: duckdb.DuckDBPyConnection, words: tuple[str, ...]) -> None:
    """`moments`: every place in `said` where the words follow each other, whatever cue they are in."""
    joins = " ".join(
        f"JOIN said w{i} ON w{i}.video_id = w0.video_id AND w{i}.word_no = w0.word_no + {i} AND w{i}.term = $w{i}"
        for i in range(1, len(words))
    )
    last = len(words) - 1
    mean = " + ".join(f"w{i}.confidence" for i in range(len(words)))
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE moments AS
        SELECT w0.video_id, row_number() OVER (PARTITION BY w0.video_id ORDER BY w0.word_no) AS moment,
               w0.word_no AS first_word, w{last}.word_no AS last_word, w0.start_ms, w{last}.end_ms,
               ({mean}) / {len(words)} AS confidence, range(w0.word_no, w{last}.word_no + 1) AS marked_words
        FROM said w0 {joins} WHERE w0.term = $w0
        """,
        {f"w{i}": word for i, word in enumerate(words)},
    )


def _among(ids: list[str]) -> str:
    """A condition that lets DuckDB skip the row groups without these videos."""
    quoted = ", ".join("'" + i.replace("'", "''") + "'" for i in ids)
    return f"video_id IN ({quoted})" if ids else "false"


def _topics(connection: duckdb.DuckDBPyConnection, ids: list[str]) -> dict[str, list[str]]:
    rows = connection.execute(
        "SELECT video_id, list(label ORDER BY rank) FROM topics WHERE scope = 'video' AND (rank = 1 OR score >= 0.25) "
        f"AND {_among(ids)} GROUP BY video_id"
    ).fetchall()
    return dict(rows)


def _moments(connection: duckdb.DuckDBPyConnection, query: Query) -> dict[str, list[dict[str, Any]]]:
    """The first moments of each video with a snippet; `marks` are character ranges in it."""
    rows = connection.execute(
        f"""
        WITH chosen AS (
            SELECT * FROM moments SEMI JOIN shown USING (video_id)
            QUALIFY row_number() OVER (PARTITION BY video_id ORDER BY start_ms) <= $most
        )
        SELECT c.video_id, c.start_ms, c.end_ms, c.confidence, c.marked_words,
               list(w.word ORDER BY w.word_no) AS said, min(w.word_no) AS first_no
        FROM chosen c JOIN said w ON w.video_id = c.video_id
             AND w.word_no BETWEEN c.first_word - {BEFORE} AND least(c.last_word, c.first_word + 40) + {AFTER}
        GROUP BY ALL ORDER BY c.video_id, c.start_ms
        """,
        {"most": query.moments},
    ).fetchall()
    out: dict[str, list[dict[str, Any]]] = {}
    for video_id, start, end, confidence, marked, said, first in rows:
        snippet, marks = snippet_of(said, first, set(marked))
        moment = {
            "start_ms": start,
            "end_ms": end,
            "snippet": snippet,
            "marks": marks,
            "confidence": round(confidence, 4),
        }
        out.setdefault(video_id, []).append(moment)
    return out


def snippet_of(said: list[str], first: int, marked: set[int]) -> tuple[str, list[list[int]]]:
    """Words joined by spaces, and the character ranges of the marked ones (neighbours merged)."""
    marks: list[list[int]] = []
    text = ""
    for number, word in enumerate(said, first):
        start = len(text) + (1 if text else 0)
        text += (" " if text else "") + word
        if number in marked:
            if marks and marks[-1][1] == start - 1 and number - 1 in marked:
                marks[-1][1] = len(text)
            else:
                marks.append([start, len(text)])
    return text, marks
