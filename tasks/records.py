"""The values that cross module borders. All are frozen; times are integer milliseconds on the clock of the video
(tasks/media/clock.py)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

Status = Literal["indexed", "no_speech", "no_audio", "failed", "gone", "forgotten"]
# Of a whole video: new, changed, retried. Of stages of a video that is indexed: made by another recipe or of something older
# (stale), failed, missing, or the metadata changed.
Why = Literal["new", "changed", "retried", "stale", "failed", "missing", "metadata"]


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the bucket as its listing names it."""

    key: str
    size_bytes: int
    fingerprint: str
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VideoTask:
    """A video that has something to be done, why, and the stages to be made."""

    video_id: str
    key: str
    size_bytes: int
    fingerprint: str
    modified_at: datetime | None
    sidecar_key: str | None
    sidecar_fingerprint: str | None
    why: Why
    stages: tuple[str, ...] = ()
    reads_object: bool = True  # a stage needs it, and not only what the lake has
    attempts: int = 0
    last_generation: int = 0
    source_id: str | None = None  # a video of the same content, whose words it takes over, and of which generation
    source_generation: int | None = None
    same_size: bool = False  # the lake has another content of this size: to be compared by its hash

    @property
    def whole(self) -> bool:
        """Whether the lake has nothing of this object yet."""
        return self.why in ("new", "changed", "retried")

    @property
    def is_transcribed(self) -> bool:
        """Whether its words are made of its sound."""
        return self.source_id is None and "words" in self.stages

    @property
    def is_decoded(self) -> bool:
        """Whether its sound or its pictures are read, for words or for other stages."""
        return self.source_id is None and self.reads_object


@dataclass(frozen=True, slots=True)
class Metadata:
    """What people said of a video: from its sidecar, else its container, else its file name."""

    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    published_at: datetime | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A video stream: `stream` counts all streams (ffmpeg's `0:N`), `pixels` is ffmpeg's `pix_fmt`."""

    stream: int
    codec: str | None
    width: int | None
    height: int | None
    fps: float | None
    pixels: str | None


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """An audio stream: `position` counts audio streams only (ffmpeg's `0:a:N`), `stream` all."""

    position: int
    codec: str
    channels: int
    layout: str
    sample_rate: int
    language: str | None
    default: bool
    comment: bool = False
    duration_ms: int | None = None  # where the file says it of this stream, and not by an estimate
    starts_ms: int = 0  # on the clock of the file
    zero_ms: int = 0  # of that clock, by the time stamps of its programme
    stream: int | None = None
    programme: tuple[int, ...] = ()  # all streams of sound and pictures that belong to it, itself among them
    picture: Picture | None = None  # what is to be seen with it


# Whether the times of a file are those of its rows in any player: not where its own clock begins elsewhere (`offset`), has
# `gaps`, `jumps`, or where only a guess leads to a place in it (`estimated`).
Steadiness = Literal["steady", "offset", "gaps", "jumps", "estimated"]


@dataclass(frozen=True, slots=True)
class Probe:
    """What ffprobe found in a file. The picture is the first one, or that of the track which is heard (`seen_with`)."""

    duration_ms: int | None
    container: str
    video_codec: str | None
    width: int | None
    height: int | None
    fps: float | None
    tracks: tuple[AudioTrack, ...]
    tags: dict[str, str] = field(default_factory=dict)
    video_stream: int | None = None
    pixels: str | None = None
    exact: bool = True  # whether the length is what the file says, and not a guess at it
    likely: bool = True  # whether it can be so long, by its size
    starts_ms: int = 0  # where its first stream begins on the clock
    first_ms: int = 0  # the same by its own time stamps
    zero_ms: int = 0  # the 0 of the clock, by these
    clock: Steadiness = "steady"

    def seen_with(self, position: int) -> Probe:
        """The same with the picture that belongs to an audio track."""
        for track in self.tracks:
            if track.position == position and (p := track.picture) and p.stream != self.video_stream:
                return replace(
                    self,
                    video_codec=p.codec,
                    width=p.width,
                    height=p.height,
                    fps=p.fps,
                    video_stream=p.stream,
                    pixels=p.pixels,
                )
        return self


@dataclass(frozen=True, slots=True)
class Source:
    """Which sound of a file is heard: a track, and the channels of it that are mixed, counted from 0."""

    track: AudioTrack
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The sounds of a file in the order in which they are to be heard; a later one when those before have no word.

    Of the first `rivals` nobody can tell by their sound which one is wanted: all of them are heard, and the better is kept.
    """

    sources: tuple[Source, ...]
    rivals: int = 1


SILENCE = 33  # int16 steps: -60 dB of full scale


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono PCM (int16, native order) in a scratch file, `rate` samples a second: 16,000 of what is heard for its words. `mean` and
    `deviation` are those of what is not silence.

    `end_ms` is where the last stream ends, where that was seen.
    """

    path: str
    samples: int
    mean: float
    deviation: float
    track: int
    incomplete: str | None = None
    channels: tuple[int, ...] = ()
    end_ms: int | None = None
    clock: Steadiness = "steady"
    rate: int = 16_000

    @property
    def duration_ms(self) -> int:
        return self.samples * 1000 // self.rate


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
    """How rows are made: a hash for each stage by its name, and the JSON-able options that it is the hash of. `models` is the
    name of the set."""

    hashes: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)
    models: str = ""

    def __getitem__(self, stage: str) -> str:
        return self.hashes[stage]

    def joined(self, stages: Sequence[str] = ()) -> str:
        """Those of some stages, of all without any, in one text."""
        return "/".join(recipe for name, recipe in self.hashes.items() if not stages or name in stages)


@dataclass(frozen=True, slots=True)
class Beside:
    """What the lake has of a video of which only some stages are made anew: generations of its object, its transcript and its
    metadata, and of the run of each stage that is shown. `new_metadata` and `new_transcript`: these come with the stages."""

    object_generation: int
    transcript_generation: int
    metadata_generation: int
    runs: Mapping[str, int]
    new_metadata: bool = False
    new_transcript: bool = False


class Shared(NamedTuple):
    """Rows that another video has: where they lie, how many there are (None where nobody counted), and whether that is `done` or
    `empty`; and the run of which this is known, by its video and generation."""

    video_id: str
    generation: int
    rows: int | None
    status: str
    read_from: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a stage of a video: rows of its tables without their keys, the rows of another video with the same content
    (`shared`), or the `reason` for which there are none."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    seconds: float | None = None
    reason: str | None = None
    error: str | None = None
    attempts: int = 1
    next_try_at: datetime | None = None
    shared: Shared | None = None

    @property
    def count(self) -> int:
        """How many rows there are, in all tables."""
        return sum(len(rows) for rows in self.rows.values())


@dataclass(frozen=True, slots=True)
class Result:
    """Everything the lake keeps of one visit to a video. `outcomes` are those of the stages that were made; `beside` is there
    where these are not all: what they were made from."""

    work: VideoTask
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
    audio_heard: tuple[int, ...] = ()  # channels of that track
    clock: Steadiness | None = None
    language: str | None = None
    words: tuple[Word, ...] = ()
    spoken: tuple[int, float | None] | None = None  # number and mean confidence of words that were not read again
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    speech_ms: int = 0
    content_sha256: str | None = None
    taken_from: str | None = None  # the video whose words these are
    beside: Beside | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def n_words(self) -> int:
        """How many words were said."""
        return len(self.words) if self.spoken is None else self.spoken[0]

    @property
    def confidence(self) -> float | None:
        """The mean over the words."""
        if self.spoken is not None:
            return self.spoken[1]
        return statistics.fmean(word.confidence for word in self.words) if self.words else None
