"""Cues as files: WebVTT (W3C) and SubRip."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.records import Cue

MARK = "made by Nightscribe"


def timestamp(ms: int, comma: str = ".") -> str:
    """`01:02:03.004`."""
    hours, rest = divmod(max(0, ms), 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, milliseconds = divmod(rest, 1000)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{comma}{milliseconds:03d}"


def to_webvtt(cues: Sequence[Cue], *, language: str | None = None, video_id: str = "") -> str:
    """A WebVTT file (W3C), which says of which video it is if that is given. `&`, `<` and `>` are escaped, and so nothing in
    a text can end a cue or be markup."""
    spoken = " ".join(_plain(language, escape=True).split()) if language else ""
    made = f"{MARK}; machine transcript" + (f" of {video_id}" if video_id else "")
    head = f"WEBVTT\n\nNOTE {made}" + (f", language {spoken}" if spoken else "")
    blocks = [f"{timestamp(cue.start_ms)} --> {timestamp(cue.end_ms)}\n{_plain(cue.text, escape=True)}" for cue in cues]
    return "\n\n".join([head, *blocks]) + "\n"


def to_srt(cues: Sequence[Cue]) -> str:
    """A SubRip file."""
    blocks = [
        f"{number}\n{timestamp(cue.start_ms, ',')} --> {timestamp(cue.end_ms, ',')}\n{_plain(cue.text, escape=False)}"
        for number, cue in enumerate(cues, 1)
    ]
    return "\n\n".join(blocks) + ("\n" if blocks else "")


def _plain(text: str, *, escape: bool) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    text = "\n".join(line for line in lines if line) or "…"
    if escape:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("-->", "→").replace("<", "‹").replace(">", "›")
