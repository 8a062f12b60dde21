"""Cues of lakes before version 4."""

from __future__ import annotations

from typing import Any


def name_words(cues: list[dict[str, Any]]) -> None:
    """Give cues of one video that do not say it their first and last word: they hold all words in order, and as many as their
    text has."""
    at = 0
    for cue in cues:
        if cue["first_word"] is None:
            cue["first_word"], cue["last_word"] = at, at + len(cue["text"].split()) - 1
        at = cue["last_word"] + 1
