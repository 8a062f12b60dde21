"""Where a search looks: in what is said, in what is to be read on the screen, in titles.

All three are texts in the form of a passage: `text` and the words that are `carried` before it, folded, with one space at each end. A
text on the screen carries what stands with it (`tasks/screen/texts.py`), a title nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from tasks.errors import BadQuery

Place = Literal["speech", "screen", "title"]
PLACES: tuple[Place, ...] = get_args(Place)
USUAL: tuple[Place, ...] = ("speech", "screen")
FOUND = ("indexed", "no_speech", "no_audio")  # statuses of videos that have such texts
REPEATED = 0.5  # of its words that are also said: from there on a text is a subtitle, and what is said is found already

# `no` tells the texts of one place and video apart, in order. Of what is said the words are in a table of their own.
_COLUMNS = (
    "video_id, place, no, start_ms, end_ms, first_carried, first_word, last_word, text, carried, written, before, score"
)
_TEXTS: dict[Place, str] = {
    "speech": "SELECT video_id, 'speech' AS place, passage_no AS no, start_ms, end_ms, first_carried, first_word, last_word, text, "
    "carried, NULL::VARCHAR AS written, NULL::VARCHAR AS before, NULL::DOUBLE AS score FROM passages",
    "screen": "SELECT video_id, 'screen', text_no, start_ms, end_ms, NULL, NULL, NULL, terms, carried_terms, text, carried, "
    "score::DOUBLE FROM screen",
    "title": "SELECT video_id, 'title', 0, 0, 0, NULL, NULL, NULL, ' ' || title_words || ' ', ' ', title, '', 1.0::DOUBLE FROM videos "
    "WHERE title_words <> ''",
}


def places_of(text: str) -> tuple[Place, ...]:
    """Of "speech,screen".

    Raises:
        BadQuery: one of them is none.
    """
    named = [part.strip() for part in text.split(",") if part.strip()]
    if not named or set(named) - set(PLACES):
        raise BadQuery(f"A search looks in {', '.join(PLACES)}; not in {text!r}.", next=f"--in {','.join(USUAL)}")
    return tuple(place for place in PLACES if place in named)


def texts_of(places: Sequence[Place]) -> str:
    """SQL of the texts in some places, without subtitles burnt into the picture where speech is among them."""
    found = {place: _TEXTS[place] for place in PLACES if place in places}
    if "speech" in found and "screen" in found:
        found["screen"] += f" WHERE spoken < {REPEATED}"
    return f"(FROM ({' UNION ALL '.join(found.values())}) t({_COLUMNS}))"
