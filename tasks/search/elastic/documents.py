"""The documents of a video, made from the lake: one for each passage, then one for each text on the screen, then one for each vector,
and one for the video."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np

from tasks.arrays import Array
from tasks.search.duck import TABLES as SEARCHED
from tasks.search.elastic.mapping import BORDER, vector_field
from tasks.search.near_kinds import KINDS
from tasks.search.places import REPEATED
from tasks.search.shown import SHOWN_TOPICS, iso
from tasks.text.folding import words_of
from tasks.text.stemming import language_code, stem, stem_language

Document = dict[str, Any]
VECTORS = tuple(kind.table for kind in KINDS.values())
PARTS = ("passage", *VECTORS)  # kinds of documents that are numbered
TABLES = (*SEARCHED, *VECTORS, "syncs", "sync_failures")  # that a sync reads
CHUNK_WORDS = 100_000  # in memory at one time, unless one video has more
WORDS_OF_A_TEXT = 40  # so many words take the memory of a text on the screen, with what it carries
WORDS_OF_A_VECTOR = 5  # less than its memory: each chunk may have to read all files of them


@dataclass(frozen=True)
class PendingVideo:
    """A video to send: the newest generation of anything in its documents, and how much of it there is. Its parts are what has a
    number: passages, texts on the screen, which are passages too, and vectors."""

    video_id: str
    generation: int
    n_parts: int
    n_words: int


_EVERY_VECTOR = " UNION ALL ".join(f"SELECT video_id FROM {table} WHERE scale IS NOT NULL" for table in VECTORS)


def current(connection: duckdb.DuckDBPyConnection, only: Sequence[str] | None = None) -> Iterator[PendingVideo]:
    """The newest generation of every video in the order of their ids, or of those in `only`."""
    cursor = connection.cursor()
    which = "" if only is None else "SEMI JOIN (SELECT unnest($only::VARCHAR[]) AS video_id) USING (video_id)"
    cursor.execute(
        f"WITH vectors AS (SELECT video_id, count(*) AS rows FROM ({_EVERY_VECTOR}) {which} GROUP BY video_id) "
        "SELECT video_id, version, coalesce(p.rows, 0) + coalesce(s.rows, 0) + coalesce(n.rows, 0), "
        f"coalesce(n_words, 0) + {WORDS_OF_A_TEXT} * coalesce(s.rows, 0) + {WORDS_OF_A_VECTOR} * coalesce(n.rows, 0) FROM video_facts "
        "JOIN video_versions USING (video_id) LEFT JOIN current_passages p USING (video_id) "
        f"LEFT JOIN current_screen s USING (video_id) LEFT JOIN vectors n USING (video_id) {which} ORDER BY video_id",
        {} if only is None else {"only": list(only)},
    )
    while rows := cursor.fetchmany(10_000):
        for row in rows:
            yield PendingVideo(*row)


def chunks(videos: Iterator[PendingVideo], *, most_videos: int) -> Iterator[list[PendingVideo]]:
    """Videos by the handful: so many that their words fit into memory together."""
    chunk: list[PendingVideo] = []
    words = 0
    for video in videos:
        if chunk and (len(chunk) >= most_videos or words + video.n_words > CHUNK_WORDS):
            yield chunk
            chunk, words = [], 0
        chunk.append(video)
        words += video.n_words
    if chunk:
        yield chunk


def documents(
    connection: duckdb.DuckDBPyConnection, videos: Sequence[PendingVideo]
) -> Iterator[tuple[PendingVideo, Document, Parts]]:
    """For each video its own document and those of its parts, in their order; these are made as they are iterated.

    A video of which the lake has less than its row says is left out.
    """
    ids = [video.video_id for video in videos]
    parameters = {"ids": ids, "first": min(ids), "last": max(ids)}
    # The range lets DuckDB pass over row groups; a long list of ids would not.
    those = "WHERE video_id BETWEEN $first AND $last AND video_id IN (SELECT unnest($ids::VARCHAR[])) ORDER BY video_id"
    videos_rows = _rows(
        connection,
        "SELECT video_id, generation, key, bucket, title, published_at, duration_ms, language, status, reason, confidence "
        f"FROM video_facts {those}",
        parameters,
    )
    topics: dict[str, list[str]] = {}
    for row in _rows(
        connection,
        f"SELECT video_id, label FROM topics {those.replace('WHERE', f'WHERE {SHOWN_TOPICS} AND')}, rank",
        parameters,
    ):
        topics.setdefault(row["video_id"], []).append(row["label"])
    passages = _by_video(
        connection, f"SELECT * EXCLUDE (generation, said) FROM passages {those}, passage_no", parameters
    )
    screen = _by_video(connection, f"SELECT *, score::DOUBLE AS sure FROM screen {those}, text_no", parameters)
    near = _vectors(connection, those, parameters)
    words = _Words(connection, those, parameters)
    by_id = {video.video_id: video for video in videos}
    for row in videos_rows:
        video = by_id[row["video_id"]]
        mine, shown = passages.get(video.video_id, []), screen.get(video.video_id, [])
        vectors = near.get(video.video_id, [])
        n_parts = len(mine) + len(shown) + len(vectors)
        if n_parts != video.n_parts or (mine and not words.has(video.video_id, mine[-1]["last_word"])):
            continue
        shared = _shared(row | {"generation": video.generation}, topics.get(video.video_id, []))
        whole = {
            **shared,
            "kind": "video",
            "place": "title",
            "start_ms": 0,
            "title_stems": _stems(words_of(row["title"] or ""), stem_language(row["language"])),
            "n_parts": n_parts,
            "video": {
                "key": row["key"],
                "bucket": row["bucket"],
                "language": row["language"],
                "title": row["title"],
                "published_at": iso(row["published_at"]),
                "duration_ms": row["duration_ms"],
                "topics": topics.get(video.video_id, []),
                "reason": row["reason"],
            },
        }
        said = words.of(video.video_id) if mine else None
        yield video, whole, Parts(shared, row["language"], mine, said, shown, vectors)


def _languages(language: str | None) -> list[str]:
    """A language's code, and its first part alone: `en` finds `en-gb` too."""
    code = language_code(language or "")
    return sorted({code, code.split("-")[0]}) if code else []


def _shared(row: dict[str, Any], topics: Sequence[str]) -> Document:
    """What filters and ranking want of the video, in each of its documents."""
    return {
        "video_id": row["video_id"],
        "generation": row["generation"],
        "language": _languages(row["language"]),
        "status": row["status"],
        "topic": topics[0].lower() if topics else None,
        "published_at": iso(row["published_at"]),
        "confidence": row["confidence"],
        "title": " ".join(words_of(row["title"])),
    }


@dataclass(frozen=True)
class _Said:
    word: Sequence[str]
    start: Array
    end: Array
    confidence: Array


@dataclass(frozen=True)
class Parts(Collection[Document]):
    """The numbered documents of a video, one at a time: those of a long video are never in memory together."""

    shared: Document
    language: str | None
    rows: Sequence[dict[str, Any]]
    said: _Said | None
    shown: Sequence[dict[str, Any]]
    vectors: Sequence[dict[str, Any]]

    @property
    def texts(self) -> int:
        """How many of them are passages; vectors follow."""
        return len(self.rows) + len(self.shown)

    @property
    def sizes(self) -> set[tuple[str, int]]:
        """What vectors there are: their kinds, and how many numbers they have."""
        return {(row["of"], len(row["vector"])) for row in self.vectors}

    def __len__(self) -> int:
        return self.texts + len(self.vectors)

    def __iter__(self) -> Iterator[Document]:
        for row in self.rows:
            assert self.said is not None, "a passage has words"
            yield _passage(self.shared, self.language, row, self.said)
        for number, row in enumerate(self.shown, len(self.rows)):
            yield _screen(self.shared, self.language, row, number)
        for number, row in enumerate(self.vectors, self.texts):
            yield _vector(self.shared, row, number)

    def __contains__(self, document: object) -> bool:
        return any(document == one for one in self)


def _text(shared: Document, language_of_video: str | None, text: Sequence[str], carried: Sequence[str]) -> Document:
    """What a passage of any place is searched by."""
    language = stem_language(language_of_video)
    return {
        **shared,
        "kind": "passage",
        "text": f"{BORDER} {' '.join(text)}",
        "carried": f"{' '.join(carried)} {BORDER}",
        "stems": _stems(text, language),
        "carried_stems": _stems(carried, language),
    }


def _screen(shared: Document, language_of_video: str | None, row: dict[str, Any], number: int) -> Document:
    return {
        **_text(shared, language_of_video, (row["terms"] or "").split(), (row["carried_terms"] or "").split()),
        "place": "screen",
        "part_no": number,
        "start_ms": row["start_ms"],
        "repeated": row["spoken"] >= REPEATED,
        "heard": {
            "language": language_of_video,
            "before": row["carried"] or "",
            "text": row["text"],
            "start_ms": row["start_ms"],
            "end_ms": row["end_ms"],
            "score": row["sure"],
        },
    }


def _vector(shared: Document, row: dict[str, Any], number: int) -> Document:
    """What is compared are the lake's own bytes: their scale has no say in an angle."""
    return {
        **{name: value for name, value in shared.items() if name != "title"},
        "kind": row["of"],
        "part_no": number,
        "start_ms": row["times"][0]["start_ms"],
        "recipe": row["recipe"],
        "number": row["number"],
        "near": {"times": [[one["start_ms"], one["end_ms"]] for one in row["times"]], "told": row["told"]},
        vector_field(row["of"], len(row["vector"])): row["vector"].hex(),
    }


def _passage(shared: Document, language_of_video: str | None, passage: dict[str, Any], said: _Said) -> Document:
    first, last = passage["first_carried"], passage["last_word"] + 1
    return {
        **_text(shared, language_of_video, passage["text"].split(), passage["carried"].split()),
        "place": "speech",
        "part_no": passage["passage_no"],
        "start_ms": passage["start_ms"],
        "heard": {
            "language": language_of_video,
            "words": said.word[first:last],
            "carried": passage["first_word"] - first,
            "starts": said.start[first:last].tolist(),
            "ends": said.end[first:last].tolist(),
            "confidences": said.confidence[first:last].tolist(),
        },
    }


def _stems(words: Sequence[str], language: str | None) -> str:
    """Distinct stems, with the language before each: "die" in German is not "die" in English."""
    if language is None:
        return ""
    return " ".join(f"{language}:{stemmed}" for stemmed in dict.fromkeys(stem(word, language) for word in words))


def _vectors(
    connection: duckdb.DuckDBPyConnection, those: str, parameters: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """By video, each picture and sound that has a vector, with every time it is there."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in KINDS.values():
        told = ", ".join(f"'{name}': min_by({name}, start_ms)" for name in kind.told)
        rows = _by_video(
            connection,
            f"SELECT video_id, '{kind.table}' AS of, recipe, {kind.number} AS number, max(vector) AS vector, "
            f"list({{'start_ms': start_ms, 'end_ms': end_ms}} ORDER BY start_ms) AS times, "
            f"{f'{{{told}}}' if told else 'NULL'} AS told FROM {kind.table} JOIN current_{kind.table} USING (video_id) "
            f"{those.replace('ORDER BY', 'GROUP BY ALL HAVING count(vector) > 0 ORDER BY')}, number",
            parameters,
        )
        for video_id, own in rows.items():
            found.setdefault(video_id, []).extend(own)
    return found


class _Words:
    """The words of a chunk's videos, as arrays."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, those: str, parameters: dict[str, Any]) -> None:
        table = connection.execute(
            "SELECT video_id, word, start_ms, end_ms, round(confidence::DOUBLE, 4) AS confidence "
            f"FROM spoken_words {those}, word_no",
            parameters,
        ).fetchnumpy()
        self._word = table["word"].tolist()
        self._start, self._end, self._confidence = table["start_ms"], table["end_ms"], table["confidence"]
        ids = np.asarray(table["video_id"]).astype(str)
        names, firsts, counts = np.unique(ids, return_index=True, return_counts=True)
        self._where = {
            str(name): slice(int(first), int(first + n)) for name, first, n in zip(names, firsts, counts, strict=True)
        }

    def has(self, video_id: str, last_word: int) -> bool:
        where = self._where.get(video_id)
        return where is not None and where.stop - where.start == last_word + 1

    def of(self, video_id: str) -> _Said:
        where = self._where[video_id]
        return _Said(self._word[where], self._start[where], self._end[where], self._confidence[where])


def _by_video(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(connection, sql, parameters):
        found.setdefault(row["video_id"], []).append(row)
    return found


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
