"""Which videos are meant: the filters that searches, lists and charts share, and how they stand in SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date

from tasks.text.stemming import language_code

LANGUAGE = "replace(lower(v.language), '_', '-')"
_TOPIC = (
    "EXISTS (FROM topics f WHERE f.video_id = v.video_id AND f.scope = 'video' AND f.rank = 1 "
    "AND lower(f.label) = lower({}))"
)


@dataclass(frozen=True)
class Filters:
    """Only videos that fit: first topic, days of publication (inclusive), language, least mean confidence (0 to 1)."""

    topic: str | None = None
    since: date | None = None
    until: date | None = None
    language: str | None = None
    min_confidence: float = 0.0

    def conditions(self, value: Callable[[object], str]) -> list[str]:
        """SQL conditions on a video `v`; `value` makes SQL of a value: a literal, or the name of a parameter."""
        known = {
            _TOPIC: self.topic,
            "v.published_at >= {}": self.since,
            "v.published_at < {}::DATE + 1": self.until,
            f"{{}} IN ({LANGUAGE}, split_part({LANGUAGE}, '-', 1))": self.language and language_code(self.language),
            "v.confidence >= {}": self.min_confidence or None,
        }
        return [condition.format(value(given)) for condition, given in known.items() if given is not None]

    def options(self) -> dict[str, object]:
        """The same as options of `tasks.search.answer.answer`."""
        return asdict(self)
