"""What is to be read on a video's screen: beside its transcript, and as lines with their places for a layer above the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.search.duck import search
from tasks.search.places import REPEATED
from tasks.search.query import make_query, synonyms_of
from tasks.settings import Settings
from tasks.text.folding import words_of
from tasks.text.stemming import language_code
from tasks.web.snapshots import View
from tasks.web.transcript import MOST_MOMENTS, Line, of_row
from tasks.web.videos import video_row

MOST_LINES = 5000  # of one answer
_TEXTS = (
    "SELECT start_ms, end_ms, text, round(score::DOUBLE, 4) AS score, round(spoken::DOUBLE, 4) AS spoken FROM screen"
)


@dataclass(frozen=True)
class Shown:
    """A text on the screen, from `start_ms` to `end_ms`; `spoken` is the share of its words that are also said."""

    start_ms: int
    end_ms: int
    text: str
    score: float
    spoken: float


def texts(view: View, row: dict[str, Any], *, repeated: bool = True) -> list[Shown]:
    """The texts of a video's row in order; without those `repeated`, none that is a subtitle burnt into the picture."""
    new = "" if repeated else f" AND spoken < {REPEATED}"
    return [Shown(*text) for text in view.rows(f"{_TEXTS} WHERE {of_row(row)}{new} ORDER BY start_ms, text_no")]


def beside(lines: Sequence[Line], shown: Sequence[Shown]) -> list[list[Shown]]:
    """For each line of a transcript the texts that come up while it is said, or before the next; with the first also those
    before it."""
    found: list[list[Shown]] = [[] for _ in lines]
    at = 0
    for text in shown if lines else ():
        while at + 1 < len(lines) and lines[at + 1].start_ms <= text.start_ms:
            at += 1
        found[at].append(text)
    return found


def hits(
    view: View, settings: Settings, row: dict[str, Any], asked: str, *, phrase: bool = False, any_word: bool = False
) -> set[tuple[int, str]]:
    """The texts in the margin of a video's row, by start and text, that have something of a query which stands on its screen as it
    is typed.

    Raises:
        BadQuery: see `make_query`.
    """
    shown = texts(view, row, repeated=False)
    if not shown:
        return set()
    languages = (language_code(row["language"] or "").split("-")[0] or "en",)
    query = make_query(
        asked, phrase=phrase, any_word=any_word, languages=languages, synonyms=synonyms_of(settings), video=row["video_id"],
        limit=1, moments=MOST_MOMENTS, places=("screen",),
    )  # fmt: skip
    found = search(view.connection, query)
    marked: dict[int, set[str]] = {}
    for moment in found["videos"][0]["moments"] if found["videos"] else ():
        pieces = " ".join(moment["snippet"][begin:end] for begin, end in moment["marks"])
        marked.setdefault(moment["start_ms"], set()).update(words_of(pieces))
    return {(one.start_ms, one.text) for one in shown if marked.get(one.start_ms, set()) & {*words_of(one.text)}}


def layer(view: View, video_id: str, *, from_ms: int, to_ms: int | None) -> dict[str, Any]:
    """What the API answers: `lines` that stand between two times, with their places as shares of the picture, and the `texts` that
    begin between them; at most so many of each that `next_ms` says where the rest begins, null when there is none.

    Raises:
        NotFound: there is no such video.
    """
    row = video_row(view, video_id)
    until = f" AND start_ms < {int(to_ms)}" if to_ms is not None else ""
    lines = view.dicts(
        "SELECT start_ms, end_ms, text, round(x::DOUBLE, 4) AS x, round(y::DOUBLE, 4) AS y, round(width::DOUBLE, 4) AS width, "
        f"round(height::DOUBLE, 4) AS height FROM screen_lines WHERE {of_row(row)} AND end_ms > {int(from_ms)}{until} "
        f"ORDER BY start_ms, line LIMIT {MOST_LINES + 1}"
    )
    next_ms = None
    if len(lines) > MOST_LINES:
        next_ms = lines[-1]["start_ms"]
        lines = [line for line in lines if line["start_ms"] < next_ms] or lines[:MOST_LINES]
        until = f" AND start_ms < {int(next_ms)}"
    shown = view.dicts(f"{_TEXTS} WHERE {of_row(row)} AND start_ms >= {int(from_ms)}{until} ORDER BY start_ms, text_no")
    return {"video_id": video_id, "lines": lines, "texts": shown, "next_ms": next_ms}
