"""Which videos are meant: the filters that search, lists and charts share, and how they stand in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tasks.alike import language_code
from tasks.web.snapshots import View


@dataclass(frozen=True)
class Filters:
    """Only videos that fit: first topic, days of publication (inclusive), language, least mean confidence (0 to 1)."""

    topic: str | None = None
    since: date | None = None
    until: date | None = None
    language: str | None = None
    min_confidence: float = 0.0

    def conditions(self) -> list[str]:
        """SQL conditions on a video `v`, its values as literals, so that a reader can copy and run them."""
        out = []
        if self.topic:
            out.append(
                "EXISTS (FROM topics f WHERE f.video_id = v.video_id AND f.scope = 'video' AND f.rank = 1 "
                f"AND lower(f.label) = lower({quoted(self.topic)}))"
            )
        if self.since:
            out.append(f"v.published_at >= DATE '{self.since}'")
        if self.until:
            out.append(f"v.published_at < DATE '{self.until}' + 1")
        if self.language:
            code = "replace(lower(v.language), '_', '-')"
            out.append(f"{quoted(language_code(self.language))} IN ({code}, split_part({code}, '-', 1))")
        if self.min_confidence:
            out.append(f"v.confidence >= {float(self.min_confidence)!r}")
        return out

    def options(self) -> dict[str, object]:
        """The same as options of `tasks.search.answer.answer`."""
        return {
            "topic": self.topic,
            "since": self.since,
            "until": self.until,
            "language": self.language,
            "min_confidence": self.min_confidence,
        }


@dataclass(frozen=True)
class Choices:
    """What the filters can be set to: (value, number of videos), most videos first, and the days between which all lie."""

    topics: tuple[tuple[str, int], ...]
    languages: tuple[tuple[str, int], ...]
    first: date | None
    last: date | None


def quoted(text: str) -> str:
    """A text as an SQL literal. DuckDB knows no other escape in it than the doubled quotation mark."""
    return "'" + text.replace("\x00", "").replace("'", "''") + "'"


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
