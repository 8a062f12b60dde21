"""What the filters of pages can be set to, and how they stand in the SQL of lists and charts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tasks.lake.views import quoted
from tasks.search.filters import Filters
from tasks.web.snapshots import View


@dataclass(frozen=True)
class Choices:
    """What the filters can be set to: (value, number of videos), most videos first, and the days between which all lie."""

    topics: tuple[tuple[str, int], ...]
    languages: tuple[tuple[str, int], ...]
    first: date | None
    last: date | None


def conditions(filters: Filters) -> list[str]:
    """SQL conditions on a video `v`, with literals, so that a reader can copy and run them."""
    return filters.conditions(_literal)


def _literal(value: object) -> str:
    return quoted(str(value)) if isinstance(value, (str, date)) else repr(value)


def choices(view: View) -> Choices:
    """What the archive has to choose from."""
    return view.answers.get("choices", lambda: _choices(view))


def _choices(view: View) -> Choices:
    topics = view.rows(
        "SELECT label, count(DISTINCT video_id) AS n FROM topics WHERE scope = 'video' AND rank = 1 "
        "GROUP BY label ORDER BY n DESC, label LIMIT 100"
    )
    languages = view.rows(
        "SELECT language, count(*) AS n FROM videos WHERE status = 'indexed' AND language <> '' "
        "GROUP BY language ORDER BY n DESC, language LIMIT 100"
    )
    [(first, last)] = view.rows("SELECT min(published_at)::DATE, max(published_at)::DATE FROM videos")
    return Choices(tuple(topics), tuple(languages), first, last)
