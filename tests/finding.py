"""Questions to a lake, and what is looked at in the answers."""

from __future__ import annotations

from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.search.duck import search
from tasks.search.query import make_query


def find(lake: Lake, text: str, **options: object) -> dict:
    return search(connect(lake), make_query(text, **options))


def found_keys(lake: Lake, text: str, **options: object) -> list[str]:
    return sorted(video["key"] for video in find(lake, text, **options)["videos"])


def starts(lake: Lake, text: str, **options: object) -> list[int]:
    answer = find(lake, text, moments=100, **options)
    return [at for video in answer["videos"] for moment in video["moments"] for at in moment["times"]]


def marked(moment: dict) -> list[str]:
    return [moment["snippet"][start:end] for start, end in moment["marks"]]
