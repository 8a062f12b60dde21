"""Which sound of a file is the speech: by what was asked for, by language tag, else by a short listen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tasks.errors import UnsupportedMedia
from tasks.media.channels import MOST_SOURCES, choose_channels
from tasks.media.listening import excerpts
from tasks.records import AudioTrack, Choice, Probe, Source
from tasks.settings import Settings
from tasks.text.languages import language_code

MOST_TRACKS = 8  # that are listened to


def choose_sources(path: Path, probed: Probe, settings: Settings, *, language: str | None = None) -> Choice:
    """The tracks and channels to hear, the likeliest first; the next ones are for when it has no word.

    A commentary or a description for the blind is taken only when there is nothing else. `language` is that of the
    models, for where the settings prefer none.

    Raises:
        UnsupportedMedia: there is no such track or channel as the settings ask for.
    """
    tracks = wanted_tracks(probed.tracks, settings, language)
    if settings.audio_channels:
        tracks = [track for track in tracks if max(settings.audio_channels) < max(1, track.channels)]
        if not tracks:
            asked = ", ".join(map(str, settings.audio_channels))
            raise UnsupportedMedia(
                f"No audio track has the channels {asked}, counted from 0.", reason="unsupported_codec"
            )
    if len(tracks) == 1 and (settings.audio_channels or tracks[0].channels < 2):
        return Choice((_asked_for(tracks[0], settings),))
    chosen: list[tuple[float, AudioTrack, Choice]] = []
    for track in tracks[:MOST_TRACKS]:
        choice, score = choose_channels(track, excerpts(path, probed, track, settings))
        if settings.audio_channels:
            choice = Choice((_asked_for(track, settings),))
        chosen.append((score, track, choice))
    best = max(score for score, *_ in chosen)
    close = [entry for entry in chosen if entry[0] >= best - 0.05]
    first = next((entry for entry in close if entry[1].default), close[0])
    rest = sorted((entry for entry in chosen if entry is not first), key=lambda entry: -entry[0])
    sources = [*first[2].sources[: first[2].rivals]]
    sources += [choice.sources[0] for _, _, choice in rest]
    sources += first[2].sources[first[2].rivals :]
    return Choice(tuple(sources[:MOST_SOURCES]), first[2].rivals)


def wanted_tracks(tracks: Sequence[AudioTrack], settings: Settings, language: str | None) -> list[AudioTrack]:
    """The track that was asked for, else those in the language, else all that are no commentary."""
    if settings.audio_track is not None:
        asked = [track for track in tracks if track.position == settings.audio_track]
        if not asked:
            raise UnsupportedMedia(f"It has no audio track {settings.audio_track}.", reason="unsupported_codec")
        return asked
    usable = [t for t in tracks if not t.comment] or list(tracks)
    language = settings.language or language
    spoken = [t for t in usable if language and t.language and same_language(t.language, language)]
    return spoken or usable


def _asked_for(track: AudioTrack, settings: Settings) -> Source:
    return Source(track, settings.audio_channels or tuple(range(max(1, track.channels))))


def whole_track(probed: Probe, position: int) -> Source | None:
    """All channels of a track; None where there is no such track."""
    track = next((track for track in probed.tracks if track.position == position), None)
    return None if track is None else Source(track, tuple(range(max(1, track.channels))))


def same_language(a: str, b: str) -> bool:
    """`eng`, `en` and `en-GB` are one language here."""
    return language_code(a) is not None and language_code(a) == language_code(b)
