"""A video's transcript: words with their times, lines to read, topics and sounds in its course, and where a query is said in it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tasks.errors import NotFound
from tasks.lake.views import quoted
from tasks.records import Cue
from tasks.search.answer import answer
from tasks.settings import Settings
from tasks.subtitles.formats import to_srt, to_webvtt
from tasks.web.snapshots import View
from tasks.web.videos import direction, models, video_row

Format = Literal["vtt", "srt", "txt"]
MOST_MOMENTS = 1000  # of a search within a video
UNSURE = 0.5  # words of less confidence are marked


@dataclass(frozen=True)
class Hit:
    """A place where a query is said: the start of its first word in ms, and the numbers of the words that matched."""

    start_ms: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Hits:
    """Where a query is said in a video, in order; `instead` is how it is written where only that is said."""

    hits: list[Hit]
    instead: str | None = None


@dataclass(frozen=True)
class Line:
    """A cue as a transcript shows it: its words, and of each (word number, text, start and end in ms, confidence)."""

    cue_no: int
    start_ms: int
    end_ms: int
    words: tuple[tuple[int, str, int, int, float], ...]


def transcript(
    view: View, video_id: str, *, from_ms: int = 0, to_ms: int | None = None, most_words: int = 50_000
) -> dict[str, Any]:
    """What the API answers: `words` and `cues` between two times, at most `most_words` words, and all `topics` and `sounds`.

    `next_ms` is where the rest begins, null when there is none.

    Raises:
        NotFound: there is no such video.
    """
    row = video_row(view, video_id)
    of = of_row(row)
    within = f"{of} AND start_ms >= {int(from_ms)}" + (f" AND start_ms < {int(to_ms)}" if to_ms is not None else "")
    words = view.dicts(
        "SELECT word_no, word, start_ms, end_ms, round(confidence::DOUBLE, 4) AS confidence, cue_no FROM words_and_cues "
        f"WHERE {within} ORDER BY word_no LIMIT {int(most_words) + 1}"
    )
    next_ms = words[most_words]["start_ms"] if len(words) > most_words else None
    until = f" AND start_ms < {next_ms}" if next_ms is not None else ""
    cues = view.dicts(
        "SELECT cue_no, start_ms, end_ms, text, round(confidence::DOUBLE, 4) AS confidence FROM cues "
        f"WHERE {within}{until} ORDER BY cue_no"
    )
    return {
        "video_id": video_id,
        "language": row["language"],
        "direction": direction(row["language"], " ".join(word["word"] for word in words[:50])),
        "models": models(row["recipe_json"]),
        "words": words[:most_words],
        "cues": cues,
        "topics": topics(view, row),
        "sounds": sounds(view, row),
        "next_ms": next_ms,
    }


def lines(view: View, row: dict[str, Any]) -> list[Line]:
    """The cues of a video's row with their words, in order."""
    of = of_row(row)
    spoken: dict[int, list[tuple[int, str, int, int, float]]] = {}
    for cue_no, *word in view.rows(
        f"SELECT cue_no, word_no, word, start_ms, end_ms, confidence FROM words_and_cues WHERE {of} ORDER BY word_no"
    ):
        spoken.setdefault(cue_no, []).append((word[0], word[1], word[2], word[3], word[4]))
    found = view.rows(f"SELECT cue_no, start_ms, end_ms FROM cues WHERE {of} ORDER BY cue_no")
    return [Line(cue_no, start, end, tuple(spoken.get(cue_no, ()))) for cue_no, start, end in found]


def topics(view: View, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The topics of a video's row: of the whole (`scope` "video") and of its parts ("window"), best first in each."""
    return view.dicts(
        "SELECT scope, start_ms, end_ms, rank, label, round(score::DOUBLE, 4) AS score FROM topics "
        f"WHERE {of_row(row)} ORDER BY scope, start_ms, rank"
    )


def sounds(view: View, row: dict[str, Any]) -> list[dict[str, Any]]:
    """What is to be heard in a video beside words, by name, in order."""
    return view.dicts(
        "SELECT label, start_ms, end_ms, round(score::DOUBLE, 4) AS score FROM sound_events "
        f"WHERE {of_row(row)} ORDER BY start_ms"
    )


def subtitles(view: View, video_id: str, form: Format) -> str:
    """The cues of a video as WebVTT, SubRip, or plain text with a line for each cue.

    Raises:
        NotFound: there is no such video, or nothing is said in it.
    """
    row = video_row(view, video_id)
    cues = [
        Cue(start, end, text, confidence, 0, 0)
        for start, end, text, confidence in view.rows(
            f"SELECT start_ms, end_ms, text, confidence FROM cues WHERE {of_row(row)} ORDER BY cue_no"
        )
    ]
    if not cues:
        raise NotFound(f"Video {video_id} has no subtitles: it is {row['status']}.")
    if form == "txt":
        return "".join(" ".join(cue.text.split()) + "\n" for cue in cues)
    return to_webvtt(cues, language=row["language"]) if form == "vtt" else to_srt(cues)


def hits(
    view: View, settings: Settings, video_id: str, text: str, *, phrase: bool = False, any_word: bool = False
) -> Hits:
    """Where a query is said in one video; of more than `MOST_MOMENTS` passages the first.

    The lake answers, whatever engine is set: a page shows words and marks of one snapshot.

    Raises:
        NotFound: there is no such video. BadQuery: see `make_query`.
    """
    row = video_row(view, video_id)
    found = answer(
        settings, view.lake, text, engine="duckdb", connection=view.connection, phrase=phrase, any_word=any_word,
        video=video_id, limit=1, moments=MOST_MOMENTS, places=("speech",),
    )  # fmt: skip
    moments = found["videos"][0]["moments"] if found["videos"] else []
    starts = [at for (at,) in view.rows(f"SELECT start_ms FROM words WHERE {of_row(row)} ORDER BY word_no")]
    # A word that is carried into the next passage may be a hit of both.
    found_hits = {hit.words: hit for moment in moments for hit in _hits_of(moment, starts)}
    instead = found["instead"] and found["instead"]["text"]
    return Hits(sorted(found_hits.values(), key=lambda hit: hit.words), instead)


def _hits_of(moment: dict[str, Any], starts: Sequence[int]) -> list[Hit]:
    """The hits of a moment. Its snippet says which words matched, and its first time, where in the video they are."""
    if not moment["marks"]:
        return []
    marked: list[int] = []
    at = 0
    for number, word in enumerate(moment["snippet"].split(" ")):
        if any(begin <= at < end for begin, end in moment["marks"]):
            marked.append(number)
        at += len(word) + 1
    first = bisect_left(starts, moment["times"][0])
    shift = first - marked[0]
    numbers = [number + shift for number in marked if number + shift < len(starts)]
    begins = sorted({bisect_left(starts, time) for time in moment["times"]})
    out = []
    for begin, end in zip(begins, [*begins[1:], len(starts)], strict=True):
        own = tuple(number for number in numbers if begin <= number < end)
        out.append(Hit(starts[begin], own or (begin,)))
    return out


def of_row(row: dict[str, Any]) -> str:
    """The condition that rows of a view are of a video's row."""
    # Constants let DuckDB skip row groups; the generation, because a view's join comes after.
    return f"video_id = {quoted(row['video_id'])} AND generation = {int(row['generation'])}"
