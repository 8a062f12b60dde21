"""The shapes of the API's answers. Times are integer milliseconds from the start of a video, instants RFC 3339 in UTC."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class ProblemDetail(BaseModel):
    code: str = Field(description="A word that never changes, such as `bad_query`.")
    message: str = Field(description="What happened, for people.")
    next: str = Field(description="What to do; empty when nothing can be done.")


class Problem(BaseModel):
    """Every error."""

    error: ProblemDetail


class Moment(BaseModel):
    """A passage that matches, or what is to be read on the screen or in the title."""

    place: Literal["speech", "screen", "title"]
    start_ms: int
    end_ms: int
    times: list[int] = Field(description="Starts of every word or phrase that matched.")
    snippet: str
    marks: list[tuple[int, int]] = Field(description="Character ranges of the snippet.")
    confidence: float


class StripMark(BaseModel):
    """A mark on a strip of a video's length; `hits` that lie close are one mark."""

    start_ms: int
    share: float = Field(description="Place in the video, 0 to 1.")
    hits: int
    text: str


class FoundVideo(BaseModel):
    video_id: str
    key: str
    title: str | None
    published_at: str | None
    duration_ms: int | None
    score: float
    topics: list[str]
    moments_total: int
    moments: list[Moment]
    strip: list[StripMark]


class OtherQuery(BaseModel):
    text: str
    why: str
    total_videos: int


class SearchAnswer(BaseModel):
    """What `nightscribe search --json` prints, with a strip for each video."""

    query: str
    mode: Literal["words", "any", "phrase"]
    engine: Literal["elasticsearch", "duckdb"]
    fallback_reason: str | None
    total_videos: int
    total_moments: int
    next: int | None = Field(description="Offset of the next page.")
    instead: OtherQuery | None = Field(
        description="What is answered, where nothing is found as typed and something when it is written otherwise."
    )
    suggestions: list[OtherQuery]
    videos: list[FoundVideo]


class TitleSuggestion(BaseModel):
    video_id: str
    key: str
    title: str | None


class TopicSuggestion(BaseModel):
    label: str
    videos: int


class Suggestions(BaseModel):
    videos: list[TitleSuggestion]
    topics: list[TopicSuggestion]


class ListedVideo(BaseModel):
    video_id: str
    key: str
    title: str | None
    published_at: str | None
    duration_ms: int | None
    language: str | None
    status: str
    reason: str | None
    n_words: int | None
    confidence: float | None
    topics: list[str]


class Videos(BaseModel):
    total: int
    next: int | None
    videos: list[ListedVideo]


class Models(BaseModel):
    speech: str | None
    language: str | None
    topics: str | None


class Video(ListedVideo):
    description: str
    tags: list[str]
    error: str | None
    size_bytes: int | None
    container: str | None
    video_codec: str | None
    audio_codec: str | None
    width: int | None
    height: int | None
    n_cues: int | None
    direction: Literal["ltr", "rtl"]
    models: Models
    indexed_at: str | None
    generation: int


class Word(BaseModel):
    word_no: int
    word: str
    start_ms: int
    end_ms: int
    confidence: float
    cue_no: int


class Cue(BaseModel):
    cue_no: int
    start_ms: int
    end_ms: int
    text: str
    confidence: float


class TopicScore(BaseModel):
    scope: Literal["video", "window"]
    start_ms: int
    end_ms: int
    rank: int
    label: str
    score: float


class SoundEvent(BaseModel):
    label: str
    start_ms: int
    end_ms: int
    score: float


class LikeMoment(BaseModel):
    start_ms: int
    end_ms: int
    times: list[int] = Field(description="Of all moments at which the same is to be seen.")
    shot: int | None = None
    similarity: float = Field(description="The cosine, at most 1.")
    likelihood: float | None = Field(None, description="That it fits, by a model that judges each pair alone.")


class LikeVideo(BaseModel):
    video_id: str
    key: str
    title: str | None
    published_at: str | None
    duration_ms: int | None
    topics: list[str]
    score: float
    moments_total: int
    moments: list[LikeMoment]


class NearVideo(LikeVideo):
    strip: list[StripMark]


class Near(BaseModel):
    """What `nightscribe search --picture` prints, or `--sound`, with a strip for each video."""

    query: str
    mode: Literal["picture", "sound"]
    engine: Literal["elasticsearch", "duckdb"]
    fallback_reason: str | None
    total_videos: int
    total_moments: int
    next: int | None = Field(description="Offset of the next page.")
    instead: OtherQuery | None = Field(description="As in a search for words, of those that are said meanwhile.")
    suggestions: list[OtherQuery]
    videos: list[NearVideo]


class Like(BaseModel):
    mode: Literal["picture", "sound"]
    engine: Literal["elasticsearch", "duckdb"]
    fallback_reason: str | None
    total_videos: int
    total_moments: int
    next: int | None
    videos: list[LikeVideo]


class Transcript(BaseModel):
    video_id: str
    language: str | None
    direction: Literal["ltr", "rtl"]
    models: Models
    words: list[Word]
    cues: list[Cue]
    topics: list[TopicScore]
    sounds: list[SoundEvent] = Field(description="What is to be heard beside words, by name.")
    next_ms: int | None = Field(description="`from_ms` of the rest; null when this is all.")


class ScreenText(BaseModel):
    start_ms: int
    end_ms: int
    text: str
    score: float = Field(description="How surely it was read, 0 to 1.")
    spoken: float = Field(description="The share of its words that are said at about that time.")


class ScreenLine(BaseModel):
    """A line of one frame; its place and size are shares of the picture's."""

    start_ms: int
    end_ms: int
    text: str
    x: float
    y: float
    width: float
    height: float


class Screen(BaseModel):
    video_id: str
    texts: list[ScreenText]
    lines: list[ScreenLine]
    next_ms: int | None = Field(description="`from_ms` of the rest; null when this is all.")


class Hit(BaseModel):
    start_ms: int
    words: list[int] = Field(description="Numbers of the words that matched.")


class ScreenHit(BaseModel):
    start_ms: int
    text: str


class Hits(BaseModel):
    query: str
    instead: str | None = Field(description="How the query is written, where only that is said here.")
    hits: list[Hit]
    screen: list[ScreenHit] = Field(description="Texts on the screen that have something of the query.")


class CopyState(BaseModel):
    """How far a web copy is."""

    state: Literal["none", "waiting", "making", "ready", "failed"]
    progress: float
    error: str | None


class ChartAbout(BaseModel):
    name: str
    title: str
    about: str


class ChartData(ChartAbout):
    sql: str = Field(description="The query that made the rows, ready for `nightscribe sql`.")
    columns: list[str]
    rows: list[list[Any]]


class Sql(BaseModel):
    sql: str = Field(min_length=1, max_length=20_000, description="One SELECT over the lake's views.")
    rows: int = Field(1000, ge=1, le=10_000, description="Rows of the answer, at most.")


class SqlAnswer(BaseModel):
    columns: list[str]
    rows: list[list[Any]]
    cut: bool = Field(description="Whether there were more rows.")
