"""Settings that belong to no stage, in groups: `docs/settings.md` has a table for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

REPO = Path(__file__).resolve().parents[2]

# Files that as a rule hold sound and picture, or sound, that may be speech, and that ffmpeg reads as they are: of people,
# cameras, phones, recorders, dictation and telephony, broadcasters, editors. A name that may mean something else too is here
# when in an archive it mostly means media (`mod` of camcorders, `ts`, `rec`): a wrong candidate is a row `not_media`.
# Not here: what mostly means something else (`dat`, `bin`, `str`, `tsv`), music modules and synthesis, files of games, pictures,
# subtitles, playlists, packets without a header whose rate nobody can know (`al`, `ul`, `pcm`), and raw pictures, which have
# no sound; those that were here from the beginning (`h264`, `m2v`, `y4m`) stay. A test compares this with what ffmpeg knows.
MEDIA_EXTENSIONS = """
    264 265 360 3g2 3ga 3gp 3gp2 3gpp 3gpp2 aa aa3 aac aax aaxc ac3 act adts aea aif aifc aiff alac amr amv aob ape
    asf at3 au avi awb braw bwf c2 caf crm dav dff dif divx dsf dss dts dtshd dv dvd dvr-ms eac3 ec3 evo f4a f4b f4p
    f4v flac flv g722 g723_1 g729 gsm gxf h264 h265 hdmov hevc iamf ifv insv ircam isma ismv ivr k3g kux latm lbc
    lc3 loas lvf lxf m1a m1v m2a m2p m2t m2ts m2v m4a m4b m4p m4r m4v mj2 mk3d mka mkv mlp mod mov mp1 mp2 mp2v mp3
    mp4 mp4v mpa mpc mpe mpeg mpeg1 mpeg2 mpeg4 mpg mpg2 mpg4 mpga mpv mpv2 mqv mts mtv mxf mxg nist nsv nut nuv oga
    ogg ogm ogv ogx oma omg opus pva pvf qcp qt qta r3d ra rec rf64 rm rmvb rv sf shn sln snd sox sph spx ssif tak
    thd tod tp trp ts tsa tta ty viv vob voc vqf vro w64 wav wave weba webm wm wma wmv wsd wtv wv wve xvid y4m
    """.split()


class Archive(BaseModel):
    """The archive: its bucket, and which of its objects are videos."""

    lake: Annotated[str, Field(description="Folder or URI of the lake.")] = "data/lake"
    bucket: Annotated[str | None, Field(description="Folder or URI of the archive that deployments index.")] = None
    bucket_id: Annotated[str | None, Field(description="Name of the archive; default is the bucket's URI.")] = None
    media_extensions: Annotated[
        tuple[str, ...], Field(description="Extensions of candidates; objects without one are candidates too.")
    ] = tuple(MEDIA_EXTENSIONS)
    include: Annotated[
        tuple[str, ...],
        Field(description="When given, only these: keys, folders, or globs in which `*` is any text, `/` included."),
    ] = ()
    exclude: Annotated[tuple[str, ...], Field(description="Not these: keys, folders or globs, likewise.")] = ()
    follow_links: Annotated[
        bool,
        Field(
            description="Follow links that lead out of a local bucket. Links within it are followed always: a video behind one "
            "is listed under the link's name too."
        ),
    ] = False
    checksum: Annotated[bool, Field(description="Fingerprint local files by SHA-256, not by size and time.")] = False
    store_timeout_s: Annotated[
        float, Field(gt=0, description="How long a bucket in an object store may be silent.")
    ] = 60.0
    store_tries: Annotated[
        int, Field(ge=1, description="Tries of a request to a bucket on S3 that was throttled or broke off.")
    ] = 8

    @field_validator("media_extensions")
    @classmethod
    def _as_keys_have_them(cls, extensions: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(extension.lower().removeprefix(".") for extension in extensions)


class Runs(BaseModel):
    """Runs: batches, retries, and what a machine may use."""

    scratch: Annotated[Path, Field(description="Folder for files that live for one run.")] = Path("data/scratch")
    scratch_free_gb: Annotated[float, Field(ge=0, description="Space to leave free in scratch.")] = 1.0
    scratch_copies_gb: Annotated[
        float,
        Field(gt=0, description="Most space for copies of bucket objects in scratch; a larger object is copied alone."),
    ] = 50.0
    batch_videos: Annotated[int, Field(ge=1, description="Videos in a batch, at most.")] = 16
    batch_media_s: Annotated[
        float, Field(gt=0, description="Media seconds in a batch, at most (one video may exceed it).")
    ] = 3600.0
    look_ahead: Annotated[int, Field(ge=1, description="Batches between first stage and commit at one time.")] = 3
    attempts: Annotated[int, Field(ge=1, description="Tries of a transient failure within a run.")] = 3
    retry_after_s: Annotated[
        float, Field(ge=0, description="First wait of a video that failed transiently; doubles.")
    ] = 3600.0
    silence_s: Annotated[
        float, Field(gt=0, description="A worker that gives no sign of life for so long is taken for dead.")
    ] = 120.0
    slice_tries: Annotated[int, Field(ge=1, description="Tries of a slice of a backfill.")] = 3


class Media(BaseModel):
    """Media: what is read of a file, which of its sound is heard, and which pictures are looked at."""

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
    frame_every_s: Annotated[
        float, Field(ge=1, description="A shot that goes on has another frame after so long; every shot has its first.")
    ] = 10.0
    frames_max: Annotated[int, Field(ge=1, le=120, description="Frames kept in any minute.")] = 20


class Models(BaseModel):
    """Models, and how they are run."""

    models: Annotated[str, Field(description="Model set of `data/models/catalog.toml`.")] = "demo"
    catalog: Annotated[Path, Field(description="The model catalogue.")] = REPO / "data/models/catalog.toml"
    device: Annotated[str, Field(description="auto, cpu, cuda or cuda:N.")] = "auto"
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], Field(description="Arithmetic of the model.")] = (
        "auto"
    )
    model_batch: Annotated[int | None, Field(ge=1, description="Windows at once; default found by itself.")] = None
    torch_threads: Annotated[int | None, Field(ge=1, description="CPU threads of the model; default all.")] = None


class Keeping(BaseModel):
    """What is kept, and for how long."""

    keep_generations: Annotated[int, Field(ge=1, description="Generations of a video that `maintain` keeps.")] = 3
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


class Subtitles(BaseModel):
    """Subtitle files."""

    subtitles_beside: Annotated[
        Literal["short", "long"],
        Field(
            description="Names of subtitles beside videos: `short` is `talk.en.vtt`, which players look for, `long` `talk.mp4.vtt`."
        ),
    ] = "short"


class Search(BaseModel):
    """Search."""

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
        str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$", description="Prefix of the names of indices and aliases.")
    ] = "nightscribe"
    elasticsearch_timeout_s: Annotated[float, Field(gt=0, description="Longest wait for one answer.")] = 60.0
    elasticsearch_shards: Annotated[int, Field(ge=1, description="Shards of a new index.")] = 1
    elasticsearch_keep_old_h: Annotated[
        float, Field(ge=0, description="How long `maintain` leaves an index that a rebuild replaced.")
    ] = 72.0
    synonyms: Annotated[
        Path | None, Field(description="File of synonyms for search, a group in each line, with commas between.")
    ] = None
    screen_weight: Annotated[
        float, Field(ge=0, le=100, description="How much a moment on the screen counts beside one that is said.")
    ] = 0.5
    golden_queries: Annotated[
        Path | None,
        Field(description="File of queries, one a line, that a rebuilt index must answer as the lake does."),
    ] = None

    @field_validator("elasticsearch_url")
    @classmethod
    def _empty_is_none(cls, url: str | None) -> str | None:
        return (url or "").strip() or None


class Costs(BaseModel):
    """Costs."""

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


class Sql(BaseModel):
    """SQL."""

    sql_seconds: Annotated[float, Field(gt=0, description="Longest run of a `sql` query.")] = 60.0
    sql_memory_mb: Annotated[int, Field(ge=128, description="Memory of a `sql` query.")] = 2048
    sql_rows: Annotated[int, Field(ge=1, description="Rows a `sql` query returns, at most.")] = 10_000


class Web(BaseModel):
    """The web app."""

    web_host: Annotated[
        str, Field(description="Address that `serve` listens on; others than loopback want a token.")
    ] = "127.0.0.1"
    web_port: Annotated[int, Field(ge=0, le=65535, description="Port of `serve`; 0 takes a free one.")] = 8765
    web_token: Annotated[
        SecretStr | None,
        Field(min_length=8, description="Token that the web app asks for; by default it asks for none."),
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


GROUPS = (Archive, Runs, Media, Models, Keeping, Subtitles, Search, Costs, Sql, Web)
