"""The one settings object: defaults, then `nightscribe.toml`, then `NIGHTSCRIBE_*` environment, then flags.

Between the defaults and the file stand variables that other programs read too (`SHARED`).

`docs/settings.md` is generated from the fields below.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

REPO = Path(__file__).resolve().parent.parent
SHARED = {"elasticsearch_url": "ELASTICSEARCH_URL"}

MEDIA_EXTENSIONS = """
    3g2 3gp aac ac3 aif aiff alac amr ape asf au avi caf dts dv ec3 f4v flac flv h264 h265 hevc m1v m2ts m2v m4a m4b
    m4v mka mkv mov mp2 mp3 mp4 mpeg mpg mts mxf oga ogg ogm ogv opus qt ra rm rmvb spx tak ts tta vob wav webm wma
    wmv wv y4m
    """.split()


class Settings(BaseSettings):
    """Every setting of Nightscribe. Times are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="NIGHTSCRIBE_", toml_file="nightscribe.toml", extra="forbid", frozen=True
    )

    lake: Annotated[str, Field(description="Folder or URI of the lake.")] = "data/lake"
    bucket: Annotated[str | None, Field(description="Folder or URI of the archive that deployments index.")] = None
    scratch: Annotated[Path, Field(description="Folder for files that live for one run.")] = Path("data/scratch")
    bucket_id: Annotated[str | None, Field(description="Name of the archive; default is the bucket's URI.")] = None
    models: Annotated[str, Field(description="Model set of `data/models/catalog.toml`.")] = "demo"
    catalog: Annotated[Path, Field(description="The model catalogue.")] = REPO / "data/models/catalog.toml"

    media_extensions: Annotated[
        tuple[str, ...], Field(description="Extensions of candidates; objects without one are candidates too.")
    ] = tuple(MEDIA_EXTENSIONS)
    include: Annotated[tuple[str, ...], Field(description="Glob patterns; when given, only matching keys.")] = ()
    exclude: Annotated[tuple[str, ...], Field(description="Glob patterns of keys to leave out.")] = ()
    checksum: Annotated[bool, Field(description="Fingerprint local files by SHA-256, not by size and time.")] = False

    store_timeout_s: Annotated[float, Field(gt=0, description="Longest silence of a bucket in a store.")] = 60.0
    store_tries: Annotated[
        int, Field(ge=1, description="Tries of a request to a bucket on S3 that was throttled or broke off.")
    ] = 8

    batch_videos: Annotated[int, Field(ge=1, description="Videos in a batch, at most.")] = 16
    batch_media_s: Annotated[
        float, Field(gt=0, description="Media seconds in a batch, at most (one video may exceed it).")
    ] = 3600.0
    look_ahead: Annotated[int, Field(ge=1, description="Batches between first stage and commit at one time.")] = 3

    max_duration_h: Annotated[float, Field(gt=0, description="Longer videos are not transcribed.")] = 24.0
    max_streams: Annotated[
        int, Field(ge=1, description="Files with more streams of sound and pictures are refused.")
    ] = 64
    probe_timeout_s: Annotated[float, Field(gt=0, description="Limit for ffprobe on one file.")] = 30.0
    audio_stall_s: Annotated[float, Field(gt=0, description="ffmpeg is stopped after so long without output.")] = 60.0
    media_memory_mb: Annotated[int, Field(ge=256, description="Memory of one ffmpeg or ffprobe.")] = 4096
    audio_track: Annotated[
        int | None, Field(ge=0, description="Audio track to use; default is the one with speech.")
    ] = None
    audio_channels: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(description="Channels of the track to hear, counted from 0; default is those with speech."),
    ] = ()
    language: Annotated[
        str | None,
        Field(description="Language preferred among audio tracks, as ISO 639; default is that of the models."),
    ] = None
    scratch_free_gb: Annotated[float, Field(ge=0, description="Space to leave free in scratch.")] = 1.0
    scratch_copies_gb: Annotated[
        float, Field(gt=0, description="Copies of a store's objects in scratch at one time; a larger one is alone.")
    ] = 50.0

    device: Annotated[str, Field(description="auto, cpu, cuda or cuda:N.")] = "auto"
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], Field(description="Arithmetic of the model.")] = (
        "auto"
    )
    window_s: Annotated[float, Field(gt=5, description="Length of a model window.")] = 20.0
    context_s: Annotated[float, Field(ge=2, description="Context on both sides of a window that is cut away.")] = 2.0
    model_batch: Annotated[int | None, Field(ge=1, description="Windows at once; default found by itself.")] = None
    torch_threads: Annotated[int | None, Field(ge=1, description="CPU threads of the model; default all.")] = None

    beam_width: Annotated[int, Field(ge=1, description="Beams kept.")] = 100
    beam_prune_logp: Annotated[float, Field(lt=0, description="Beams worse than the best by more are dropped.")] = -10.0
    token_min_logp: Annotated[float, Field(lt=0, description="Tokens less likely are not tried.")] = -5.0
    lm_weight: Annotated[float | None, Field(description="Weight of the language model; default the set's own.")] = None
    word_bonus: Annotated[float | None, Field(description="Bonus for each word; default the set's own.")] = None
    blank_penalty: Annotated[
        float | None,
        Field(description="Taken from the blank in the search, for fewer words left out; default the set's own."),
    ] = None
    hot_words: Annotated[Path | None, Field(description="File of words to prefer, one a line.")] = None
    hot_word_weight: Annotated[float, Field(ge=0, description="How much to prefer them.")] = 8.0
    decoders: Annotated[int | None, Field(ge=1, description="Beam search processes; default by cores.")] = None
    utterance_gap_s: Annotated[float, Field(gt=0, description="A pause that ends an utterance.")] = 0.5
    utterance_max_s: Annotated[float, Field(gt=1, description="Longest utterance.")] = 30.0

    line_chars: Annotated[int, Field(ge=20, description="Characters in a subtitle line.")] = 42
    cue_lines: Annotated[int, Field(ge=1, le=3, description="Lines in a cue.")] = 2
    cue_min_ms: Annotated[int, Field(ge=0, description="Shortest cue.")] = 833
    cue_max_ms: Annotated[int, Field(ge=1000, description="Longest cue.")] = 7000
    cue_gap_ms: Annotated[int, Field(ge=0, description="Gap between cues (two frames at 25 a second).")] = 80
    cue_cps: Annotated[float, Field(gt=1, description="Characters a second where the speech allows it.")] = 20.0
    subtitles_beside: Annotated[
        Literal["short", "long"],
        Field(
            description="Names of subtitles beside videos: `short` is `talk.en.vtt`, which players look for, `long` `talk.mp4.vtt`."
        ),
    ] = "short"

    topic_window_s: Annotated[float, Field(gt=10, description="Length of a topic window.")] = 120.0
    topic_keep: Annotated[int, Field(ge=1, description="Labels kept for each video and window.")] = 5

    attempts: Annotated[int, Field(ge=1, description="Tries of a transient failure within a run.")] = 3
    retry_after_s: Annotated[
        float, Field(ge=0, description="First wait of a video that failed transiently; doubles.")
    ] = 3600.0
    keep_generations: Annotated[int, Field(ge=1, description="Generations of a video that `maintain` keeps.")] = 3
    silence_s: Annotated[
        float, Field(gt=0, description="A worker that gives no sign of life for so long is taken for dead.")
    ] = 120.0
    slice_tries: Annotated[int, Field(ge=1, description="Tries of a slice of a backfill.")] = 3
    sweep_grace_h: Annotated[
        float, Field(ge=0, description="Rows and files of unfinished batches are kept so long.")
    ] = 24.0

    forget_gone_days: Annotated[
        float | None,
        Field(
            ge=0,
            le=36_500,
            description="`maintain` forgets what a video said so long after it left the bucket; default never.",
        ),
    ] = None

    elasticsearch_url: Annotated[
        str | None,
        Field(
            description="Elasticsearch to keep in step and to search; without it the lake answers. "
            "Where neither this nor the file says anything, `ELASTICSEARCH_URL` does; an empty one is none."
        ),
    ] = None
    elasticsearch_api_key: Annotated[SecretStr | None, Field(description="API key, as Elasticsearch encodes it.")] = (
        None
    )
    elasticsearch_user: Annotated[str | None, Field(description="User, where there is no API key.")] = None
    elasticsearch_password: Annotated[SecretStr | None, Field(description="Password of the user.")] = None
    elasticsearch_ca: Annotated[
        Path | None, Field(description="Certificate that signed the server's; default the system's.")
    ] = None
    elasticsearch_check_tls: Annotated[bool, Field(description="Refuse a server whose certificate does not fit.")] = (
        True
    )
    elasticsearch_prefix: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$", description="How the names of indices and aliases begin.")
    ] = "nightscribe"
    elasticsearch_timeout_s: Annotated[float, Field(gt=0, description="Longest wait for one answer.")] = 60.0
    elasticsearch_shards: Annotated[int, Field(ge=1, description="Shards of a new index.")] = 1
    elasticsearch_keep_old_h: Annotated[
        float, Field(ge=0, description="How long `maintain` leaves an index that a rebuild replaced.")
    ] = 72.0
    synonyms: Annotated[
        Path | None, Field(description="File of sayings that mean the same to a search, a line each with commas.")
    ] = None
    golden_queries: Annotated[
        Path | None,
        Field(description="File of queries, one a line, that a rebuilt index must answer as the lake does."),
    ] = None

    price_machine_hour: Annotated[
        float,
        Field(ge=0, allow_inf_nan=False, description="Cost of a machine hour, for reports, where `prices` has none."),
    ] = 0.0
    prices: Annotated[
        dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]],
        Field(
            description='Cost of a machine hour by device or hardware, as patterns: `"*H100*" = 3.0`, `cuda`, `cpu`.'
        ),
    ] = {}
    currency: Annotated[str, Field(description="Currency of prices.")] = "USD"

    sql_seconds: Annotated[float, Field(gt=0, description="Longest run of a `sql` query.")] = 60.0
    sql_memory_mb: Annotated[int, Field(ge=128, description="Memory of a `sql` query.")] = 2048
    sql_rows: Annotated[int, Field(ge=1, description="Rows a `sql` query returns, at most.")] = 10_000

    web_host: Annotated[
        str, Field(description="Address that `serve` listens on; others than loopback want a token.")
    ] = "127.0.0.1"
    web_port: Annotated[int, Field(ge=0, le=65535, description="Port of `serve`; 0 takes a free one.")] = 8765
    web_token: Annotated[
        SecretStr | None, Field(min_length=8, description="Token that the web app asks for; without it, none.")
    ] = None
    web_user_header: Annotated[
        str | None,
        Field(description="Header by which a reverse proxy names the user; requests without it are refused."),
    ] = None
    web_hosts: Annotated[
        tuple[str, ...], Field(description="Names by which the web app is called, beside its address and loopback.")
    ] = ()
    web_reads: Annotated[int, Field(ge=1, description="Requests that read the lake at one time.")] = 4
    web_waiting: Annotated[int, Field(ge=0, description="Requests that may wait for their turn; more are refused.")] = (
        64
    )
    web_seconds: Annotated[float, Field(gt=0, description="Longest time for one answer from the lake.")] = 20.0
    web_memory_mb: Annotated[int, Field(ge=128, description="Memory of DuckDB in the web app.")] = 2048
    web_cache_mb: Annotated[
        int,
        Field(ge=16, description="Pictures, web copies and fetched objects kept in scratch; the least used go first."),
    ] = 8192
    web_picture_mb: Annotated[
        int, Field(ge=0, description="Larger objects of a bucket elsewhere are not fetched for a picture alone.")
    ] = 200
    web_transcodes: Annotated[int, Field(ge=1, description="Web copies made at one time.")] = 1
    web_copy_hours: Annotated[float, Field(gt=0, description="Longer videos get no web copy.")] = 6.0
    web_retry: Annotated[
        bool, Field(description="Whether the operations page has a button that tries failed videos again.")
    ] = False
    web_prefect_url: Annotated[str | None, Field(description="Address of Prefect's pages, for links.")] = None

    @field_validator("elasticsearch_url")
    @classmethod
    def _empty_is_none(cls, url: str | None) -> str | None:
        return (url or "").strip() or None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        shared = {name: os.environ[variable] for name, variable in SHARED.items() if variable in os.environ}
        file = TomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, file, InitSettingsSource(settings_cls, init_kwargs=shared)


@cache
def defaults() -> dict[str, object]:
    """Field names with their default values."""
    return {name: field.default for name, field in Settings.model_fields.items()}
