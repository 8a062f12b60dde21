"""The values that cross module borders. All are frozen; times are integer milliseconds from the start of the video."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Status = Literal["indexed", "no_speech", "no_audio", "failed", "gone", "forgotten"]
Why = Literal["new", "changed", "retried", "stale", "metadata"]


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the bucket as its listing names it."""

    key: str
    size_bytes: int
    fingerprint: str
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """A video that has something to be done, and why. `from_stage` is the first stage that must run again; "copy" is none."""

    video_id: str
    key: str
    size_bytes: int
    fingerprint: str
    modified_at: datetime | None
    sidecar_key: str | None
    sidecar_fingerprint: str | None
    why: Why
    from_stage: Literal["audio", "decode", "cues", "topics", "copy"] = "audio"
    attempts: int = 0
    last_generation: int = 0
    source_id: str | None = None  # with from_stage "copy": whose words it takes over, and of which generation
    source_generation: int | None = None
    same_size: bool = False  # the lake has another content of this size: to be compared by its hash


@dataclass(frozen=True, slots=True)
class Metadata:
    """What people said of a video: from its sidecar, else its container, else its file name."""

    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    published_at: datetime | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """An audio stream: `position` counts audio streams only (ffmpeg's `0:a:N`)."""

    position: int
    codec: str
    channels: int
    layout: str
    sample_rate: int
    language: str | None
    default: bool
    comment: bool = False
    duration_ms: int | None = None  # where the file says it of this stream, and not by an estimate


@dataclass(frozen=True, slots=True)
class Probe:
    """What ffprobe found in a file."""

    duration_ms: int | None
    container: str
    video_codec: str | None
    width: int | None
    height: int | None
    fps: float | None
    tracks: tuple[AudioTrack, ...]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audio:
    """16 kHz mono PCM (int16, native order) in a scratch file; `mean` and `deviation` over what is not silence."""

    path: str
    samples: int
    mean: float
    deviation: float
    track: int
    incomplete: str | None = None

    @property
    def duration_ms(self) -> int:
        return self.samples // 16


@dataclass(frozen=True, slots=True)
class Word:
    """A word as spoken; `confidence` is the geometric mean of its tokens' probabilities, 0 to 1."""

    word: str
    start_ms: int
    end_ms: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Cue:
    """A subtitle: `text` has its line break; `first_word` and `last_word` are inclusive positions."""

    start_ms: int
    end_ms: int
    text: str
    confidence: float
    first_word: int
    last_word: int


@dataclass(frozen=True, slots=True)
class Topic:
    """A label's score for the whole video (`scope` "video") or for a part of it ("window")."""

    scope: Literal["video", "window"]
    start_ms: int
    end_ms: int
    rank: int
    label: str
    score: float
    model: str


@dataclass(frozen=True, slots=True)
class Recipes:
    """One hash a stage: what made a row. `detail` is the JSON-able description that the hashes are made from."""

    acoustic: str
    decode: str
    cues: str
    topics: str
    detail: dict[str, Any] = field(default_factory=dict)

    def joined(self) -> str:
        """The form kept in `videos.recipes`."""
        return "/".join((self.acoustic, self.decode, self.cues, self.topics))


@dataclass(frozen=True, slots=True)
class Result:
    """Everything the lake keeps of one indexing of one video."""

    work: Work
    bucket: str
    bucket_uri: str
    status: Status
    metadata: Metadata
    recipes: Recipes
    generation: int = 0
    attempts: int = 0
    reason: str | None = None
    error: str | None = None
    sidecar_error: str | None = None
    next_try_at: datetime | None = None
    probe: Probe | None = None
    duration_ms: int | None = None
    audio_track: int | None = None
    language: str | None = None
    words: tuple[Word, ...] = ()
    cues: tuple[Cue, ...] = ()
    topics: tuple[Topic, ...] = ()
    speech_ms: int = 0
    content_sha256: str | None = None
    taken_from: str | None = None  # the video whose words these are
    seconds: dict[str, float] = field(default_factory=dict)
