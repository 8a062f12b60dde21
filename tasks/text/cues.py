"""Cues a person can read: cut from words, and a lint of the result.

Limits after the BBC Subtitle Guidelines (2024) and Netflix's Timed Text Style Guide: two lines of 42 characters, 5/6 s
to 7 s, two frames between cues, 20 characters a second where the speech allows it. Where to break is chosen for the
whole text at once (dynamic programming), at pauses and before function words, never after an article.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tasks.records import Cue, Word

ARTICLES = frozenset(
    """
    a an the my your his her its our their this that these those mr mrs ms dr st no every each
    """.split()
)
OPENERS = frozenset(
    """
    and but or nor so yet because although though while when where which who whose that if unless until since as
    than in on at by for from with without into onto over under about after before between through to of
    """.split()
)
LONG_PAUSE_MS = 2000


@dataclass(frozen=True)
class CueRules:
    """The limits; part of the cue recipe."""

    line_chars: int = 42
    lines: int = 2
    min_ms: int = 833
    max_ms: int = 7000
    gap_ms: int = 80
    cps: float = 20.0
    version: int = 1

    def described(self) -> dict[str, Any]:
        """For the recipe."""
        return asdict(self)


def make_cues(words: Sequence[Word], rules: CueRules, *, duration_ms: int | None = None) -> list[Cue]:
    """Cut words into cues. Every word is in exactly one; times never overlap and never run past the video."""
    if not words:
        return []
    spans = _best_cuts(words, rules)
    cues: list[Cue] = []
    for number, (first, last) in enumerate(spans):
        start = words[first].start_ms
        if cues and start < cues[-1].end_ms:
            start = cues[-1].end_ms
        limit = words[spans[number + 1][0]].start_ms - rules.gap_ms if number + 1 < len(spans) else duration_ms
        text = break_lines([w.word for w in words[first : last + 1]], rules)
        wanted = max(words[last].end_ms, start + rules.min_ms, start + round(1000 * len(text) / rules.cps))
        wanted = min(wanted, max(start + rules.max_ms, words[last].end_ms))
        end = wanted if limit is None else min(wanted, max(limit, start + 1))
        confidence = sum(w.confidence for w in words[first : last + 1]) / (last - first + 1)
        cues.append(Cue(start, max(end, start + 1), text, round(confidence, 4), first, last))
    return cues


def _best_cuts(words: Sequence[Word], rules: CueRules) -> list[tuple[int, int]]:
    """Spans (inclusive) of least total cost; cost[j] is the best for the words before j."""
    n = len(words)
    cost = [0.0] + [float("inf")] * n
    came = [0] * (n + 1)
    for end in range(1, n + 1):
        for start in range(end - 1, -1, -1):
            fits = _fits(words, start, end, rules)
            if not fits and start < end - 1:
                break
            total = cost[start] + _cue_cost(words, start, end, rules) + _cut_cost(words, end, rules)
            if total < cost[end]:
                cost[end], came[end] = total, start
    spans = []
    end = n
    while end:
        spans.append((came[end], end - 1))
        end = came[end]
    return spans[::-1]


def _fits(words: Sequence[Word], start: int, end: int, rules: CueRules) -> bool:
    if words[end - 1].end_ms - words[start].start_ms > rules.max_ms:
        return False
    if any(words[i + 1].start_ms - words[i].end_ms > LONG_PAUSE_MS for i in range(start, end - 1)):
        return False
    return len(_wrap([w.word for w in words[start:end]], rules.line_chars)) <= rules.lines


def _cue_cost(words: Sequence[Word], start: int, end: int, rules: CueRules) -> float:
    """What is wrong with one cue: too short to read, too fast, or shorter than it could be."""
    length = sum(len(w.word) + 1 for w in words[start:end]) - 1
    next_start = words[end].start_ms if end < len(words) else words[end - 1].end_ms + 2000
    room = max(1, next_start - rules.gap_ms - words[start].start_ms)
    cost = 3.0
    if room < rules.min_ms:
        cost += 8.0 * (1 - room / rules.min_ms) + 2.0
    speed = 1000 * length / min(room, rules.max_ms)
    if speed > rules.cps:
        cost += min(6.0, (speed / rules.cps - 1) * 8.0)
    full = rules.line_chars * rules.lines
    return cost + 2.0 * (1 - length / full) ** 2


def _cut_cost(words: Sequence[Word], end: int, rules: CueRules) -> float:
    """What a border before word `end` costs: little at a pause, much after an article."""
    if end >= len(words):
        return 0.0
    pause = words[end].start_ms - words[end - 1].end_ms
    cost = max(0.0, 4.0 - pause / 75.0)
    if words[end - 1].word.lower() in ARTICLES:
        cost += 8.0
    elif words[end - 1].word.lower() in OPENERS:
        cost += 3.0
    if words[end].word.lower() in OPENERS:
        cost -= 1.0
    return cost


def _wrap(words: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def break_lines(words: Sequence[str], rules: CueRules) -> str:
    """One line when it fits, else two of like length, broken where it reads best; a longer word is never split."""
    text = " ".join(words)
    if len(text) <= rules.line_chars or rules.lines == 1 or len(words) == 1:
        return text
    if rules.lines > 2:
        return "\n".join(_wrap(words, rules.line_chars))

    def cost(at: int) -> float:
        above, below = len(" ".join(words[:at])), len(" ".join(words[at:]))
        over = max(0, above - rules.line_chars) + max(0, below - rules.line_chars)
        value = over * 100 + abs(above - below) * 0.2
        if words[at - 1].lower() in ARTICLES:
            value += 10
        elif words[at - 1].lower() in OPENERS:
            value += 4
        return value - (2 if words[at].lower() in OPENERS else 0)

    at = min(range(1, len(words)), key=cost)
    return " ".join(words[:at]) + "\n" + " ".join(words[at:])


@dataclass(frozen=True)
class Lint:
    """Share of cues inside each limit (1.0 is all of them); `overlaps` is a count."""

    cues: int
    line_length_ok: float
    duration_ok: float
    cps_ok: float
    gap_ok: float
    overlaps: int


def lint(videos: Sequence[Sequence[Cue]], rules: CueRules) -> Lint:
    """Check the cues of several videos against the limits, gaps within each video."""
    total = sum(map(len, videos))
    good = {"line": 0, "time": 0, "speed": 0, "gap": 0}
    overlaps = 0
    for cues in videos:
        for number, cue in enumerate(cues):
            lines, ms = cue.text.split("\n"), cue.end_ms - cue.start_ms
            good["line"] += len(lines) <= rules.lines and max(map(len, lines)) <= rules.line_chars
            good["time"] += rules.min_ms <= ms <= rules.max_ms
            good["speed"] += 1000 * len(cue.text) <= rules.cps * (ms + 1)
            gap = cues[number + 1].start_ms - cue.end_ms if number + 1 < len(cues) else rules.gap_ms
            good["gap"] += gap >= rules.gap_ms
            overlaps += gap < 0
    share = {name: round(count / total, 4) if total else 1.0 for name, count in good.items()}
    return Lint(total, share["line"], share["time"], share["speed"], share["gap"], overlaps)
