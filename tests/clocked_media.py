"""Media files whose clock is known, one of each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clocked_joins import changing, jumping, with_gaps
from clocked_makers import (
    LENGTH_MS,
    Material,
    copied,
    covered,
    film,
    later_pages,
    later_segments,
    recorded_from,
    recording,
    second_track,
    streamed,
    surrounded,
)
from clocked_variant import (
    AAC,
    AC3,
    BARE,
    FLAC,
    FLV1,
    FRAGMENTED,
    H264,
    MP2,
    MP3,
    MPEG2,
    MPEG4,
    OPUS,
    PCM,
    THEORA,
    VORBIS,
    VP8,
    VP9,
    WMV2,
    X264,
    Variant,
)


def plain() -> list[Variant]:
    """Containers and codecs with nothing special about their clocks."""
    films = {
        "plain.mp4": (*H264, *AAC), "mp3.mp4": (*H264, *MP3), "opus.mp4": (*H264, *OPUS), "flac.mp4": (*H264, *FLAC, "-strict", "-2"),
        "fragmented.mp4": (*H264, *AAC, *FRAGMENTED), "no edit list.mp4": (*H264, *AAC, "-use_editlist", "0"),
        "b-frames.mp4": (*X264, "-bf", "8", "-x264-params", "open-gop=1:b-adapt=0", *AAC),
        "variable rate.mp4": (*X264, "-vf", "select='gt(mod(n,3),0)+lt(n,100)'", "-fps_mode", "vfr", *AAC),
        "11025 Hz.mp4": (*H264, *AAC, "-ar", "11025"), "aac.m4v": (*H264, *AAC), "aac.f4v": (*H264, *AAC),
        "vp9 opus.webm": (*VP9, *OPUS), "vp8 vorbis.webm": (*VP8, *VORBIS),
    }  # fmt: skip
    copies = {
        "alac.mp4": (*H264, "-c:a", "alac"), "ac3.mp4": (*H264, *AC3), "pcm.mov": (*H264, *PCM), "aac.mov": (*MPEG4, *AAC),
        "mjpeg.mov": ("-c:v", "mjpeg", "-c:a", "pcm_s24le"), "flac.mkv": (*H264, *FLAC), "opus.mkv": (*H264, *OPUS),
        "ac3.mkv": (*H264, *AC3), "pcm.mkv": (*H264, *PCM), "aac.mkv": (*H264, *AAC), "mp2.mkv": (*MPEG2, *MP2),
        "dts.mkv": (*H264, "-c:a", "dca", "-strict", "-2"), "variable rate.mkv":
        (*X264, "-vf", "select='gt(mod(n,3),0)+lt(n,100)'", "-fps_mode", "vfr", *VORBIS),
        "theora.ogv": (*THEORA, *VORBIS), "theora opus.ogv": (*THEORA, *OPUS), "mp3.avi": (*MPEG4, *MP3),
        "vbr.avi": (*MPEG4, *MP3, "-q:a", "4"), "pcm.avi": (*MPEG4, *PCM), "ac3.avi": (*MPEG4, *AC3),
        "aac.flv": (*H264, *AAC), "mp3.flv": (*FLV1, *MP3, "-ar", "44100"), "speex.flv": (*FLV1, "-c:a", "libspeex", "-ar", "16000"),
        "wma.wmv": (*WMV2, "-c:a", "wmav2"), "mp3.asf": (*WMV2, *MP3), "mp2.mpg": (*MPEG2, *MP2),
        "ac3.vob": (*MPEG2, *AC3, "-f", "vob"), "aac.ts": (*H264, *AAC), "mp2.ts": (*MPEG2, *MP2), "ac3.ts": (*H264, *AC3),
        "latm.ts": (*H264, *AAC, "-mpegts_flags", "latm"), "opus.ts": (*H264, *OPUS), "ac3.m2ts": (*H264, *AC3),
        "pcm.mxf": (*MPEG2, *PCM), "aac.3gp": (*MPEG4, *AAC), "ac3.rm": ("-c:v", "rv10", "-q:v", "4", "-s", "352x288", *AC3),
        "pal.dv": ("-target", "pal-dv"), "nut": (*MPEG4, *MP3, "-f", "nut"),
    }  # fmt: skip
    sounds = {
        "pcm.wav": PCM, "aac.m4a": AAC, "flac.flac": FLAC, "vorbis.ogg": VORBIS, "opus.opus": OPUS, "opus.webm": OPUS,
        "cbr.mp3": (*MP3, "-b:a", "64k"), "vbr.mp3": (*MP3, "-q:a", "4"), "bare cbr.mp3": (*MP3, "-b:a", "64k", *BARE),
        "raw.aac": AAC,
    }  # fmt: skip
    other_sounds = {
        "mu-law.wav": ("-c:a", "pcm_mulaw", "-ar", "8000"), "adpcm.wav": ("-c:a", "adpcm_ms"), "96 kHz.flac": (*FLAC, "-ar", "96000"),
        "w64": (*PCM, "-f", "w64"), "pcm.aiff": (), "alac.caf": ("-c:a", "alac"), "pcm.au": (), "flac.ogg": FLAC,
        "speex.ogg": ("-c:a", "libspeex", "-ar", "16000"), "alac.m4a": ("-c:a", "alac"), "raw.ac3": AC3, "raw.mp2": MP2,
        "raw.ec3": ("-c:a", "eac3", "-f", "eac3"), "raw.dts": ("-c:a", "dca", "-strict", "-2"), "raw.tta": (),
        "wavpack.wv": (), "wma.wma": (), "mka.mka": VORBIS,
    }  # fmt: skip
    still = ("-c:v", "libx264", "-r", "1", "-g", "5")
    return [
        Variant("cover.mp3", "plain", covered(*MP3), plays=True, picture_ms=None),
        Variant("cover.m4a", "plain", covered(*AAC), plays=True, picture_ms=None),
        Variant("1 picture a second.mp4", "plain", film(*still, *AAC), plays=True, picture_ms=None, length_ms=26_000),
        Variant("time code.mov", "plain", film(*H264, *PCM, "-timecode", "10:00:00:00")),
        Variant("time code.mxf", "plain", film(*MPEG2, *PCM, "-timecode", "10:00:00:00")),
        *(Variant(name, "plain", film(*options), plays=True) for name, options in films.items()),
        *(Variant(name, "plain", film(*options)) for name, options in copies.items()),
        *(Variant(name, "plain", recording(*options), plays=True, picture_ms=None) for name, options in sounds.items()),
        *(Variant(name, "plain", recording(*options), picture_ms=None) for name, options in other_sounds.items()),
    ]


def offset() -> list[Variant]:
    """Sound that starts 4 s after the picture, and the other way round."""
    forms: dict[str, tuple[str, ...]] = {
        "mp4": (*H264, *AAC), "mov": (*H264, *PCM), "mkv": (*H264, *OPUS), "webm": (*VP8, *OPUS), "ts": (*H264, *AAC),
        "m2ts": (*H264, *AC3), "mpg": (*MPEG2, *MP2), "flv": (*H264, *AAC), "ogv": (*THEORA, *VORBIS), "wmv": (*WMV2, "-c:a", "wmav2"),
        "3gp": (*MPEG4, *AAC),
    }  # fmt: skip
    found = []
    for form, options in forms.items():
        plays, length = form in ("mp4", "webm"), LENGTH_MS + 4000
        late_sound = film(*options, sound_s=4)
        late_picture = film(*options, picture_s=4)
        found += [
            Variant(f"late sound.{form}", "late sound", late_sound, 4000, plays, picture_ms=4000, length_ms=length),
            Variant(f"late picture.{form}", "late picture", late_picture, 0, plays, picture_ms=-4000, length_ms=length),
        ]
    fragmented = (*X264, *AAC, *FRAGMENTED)
    return [
        *found,
        # An AVI says nowhere that its sound starts later.
        Variant("late picture.avi", "late picture", film(*MPEG4, *MP3, picture_s=4), picture_ms=-4000, length_ms=LENGTH_MS + 4000),
        Variant("second track.mkv", "late sound", second_track(*H264, *AAC, sound_s=4), 4000, picture_ms=4000,
                length_ms=LENGTH_MS + 4000),
        Variant("very late sound.mp4", "late sound", film(*H264, *AAC, sound_s=1200), 1_200_000, True, picture_ms=None,
                length_ms=LENGTH_MS + 1_200_000),
        Variant("very late sound.mkv", "late sound", film(*H264, *AAC, sound_s=1200), 1_200_000, picture_ms=None,
                length_ms=LENGTH_MS + 1_200_000),
        Variant("late sound fragmented.mp4", "late sound", film(*fragmented, sound_s=4), 4000, True, picture_ms=4000,
                length_ms=LENGTH_MS + 4000),
        Variant("a little late.mp4", "late sound", film(*H264, *AAC, sound_s=0.5), 500, True, picture_ms=500,
                length_ms=LENGTH_MS + 500),
        Variant("a little late.ts", "late sound", film(*H264, *AAC, sound_s=0.5), 500, picture_ms=500, length_ms=LENGTH_MS + 500),
    ]  # fmt: skip


def begun() -> list[Variant]:
    """A first time stamp that is not 0."""

    def at(seconds: float) -> tuple[str, ...]:
        return ("-output_ts_offset", str(seconds))

    cut = LENGTH_MS - 8320
    return [
        Variant("from 5 s.mp4", "first stamp", film(*H264, *AAC, *at(5)), 5000, True, length_ms=LENGTH_MS + 5000),
        Variant("from 5 s.mov", "first stamp", film(*H264, *PCM, *at(5)), 5000, length_ms=LENGTH_MS + 5000),
        Variant("from 5 s.m4a", "first stamp", recording(*AAC, *at(5)), 5000, True, picture_ms=None, length_ms=LENGTH_MS + 5000),
        Variant("from 100 s.webm", "first stamp", film(*VP8, *OPUS, *at(100)), plays=True),
        Variant("from 100 s.mkv", "first stamp", film(*H264, *AAC, *at(100))),
        Variant("from 2 h.mkv", "first stamp", film(*H264, *FLAC, *at(7200))),
        Variant("from 3 s.ts", "first stamp", film(*H264, *AAC, *at(3))),
        Variant("from 13 h.ts", "first stamp", film(*H264, *MP2, *at(47_000))),
        Variant("from 30 s.mpg", "first stamp", film(*MPEG2, *MP2, *at(30))),
        Variant("from 20 s.flv", "first stamp", film(*H264, *AAC, *at(20))),
        Variant("from 5 h.flv", "first stamp", film(*H264, *AAC, *at(18_000))),
        Variant("from 20 s.wmv", "first stamp", film(*WMV2, "-c:a", "wmav2", *at(20))),
        Variant("from 50 s.ogg", "first stamp", recording(*VORBIS, *at(50)), plays=True, picture_ms=None),
        Variant("late from 100 s.webm", "first stamp", film(*VP8, *OPUS, *at(100), sound_s=4), 4000, True, picture_ms=4000,
                length_ms=LENGTH_MS + 4000),
        Variant("late from 5 s.mp4", "first stamp", film(*H264, *AAC, *at(5), sound_s=4), 9000, True, picture_ms=4000,
                length_ms=LENGTH_MS + 9000),
        Variant("later segments.mp4", "first stamp", later_segments(*X264, *AAC, from_ms=8320), 0, True, 8320),
        Variant("later segments.m4a", "first stamp", later_segments(*AAC, from_ms=8320, picture=False), 0, True, 8320,
                picture_ms=None),
        Variant("later pages.opus", "first stamp", later_pages(*OPUS, from_ms=8320), -8320, True, 8320, picture_ms=None,
                length_ms=cut),
        Variant("cut by its edit list.mp4", "first stamp", copied(film(*H264, *AAC), "cut.mp4", "-ss", "4.48"), -4480, True, 4480,
                length_ms=LENGTH_MS - 4480),
        Variant("sound cut by its edit list.mp4", "first stamp", film(*H264, *AAC, sound_s=-4.48), -4480, True, 4480,
                picture_ms=-4480),
        Variant("switched on later.ts", "first stamp", recorded_from(*X264, *AAC, from_ms=8320), -8170, from_ms=8320, length_ms=cut),
        Variant("cut.mkv", "first stamp", copied(film(*X264, "-force_key_frames", "8.32", *AAC), "cut.mkv", "-ss", "8.36"), -8320,
                from_ms=8320, length_ms=cut),
    ]  # fmt: skip


def estimated() -> list[Variant]:
    """Lengths that are guessed, wrong or not there."""
    before, after = 60, 40
    around = {"shift_ms": 1000 * before, "length_ms": LENGTH_MS + 1000 * (before + after), "picture_ms": None}
    found: dict[str, tuple[tuple[str, ...], bool]] = {
        "long.aac": (AAC, True), "long bare vbr.mp3": ((*MP3, "-q:a", "4", *BARE), True), "long vbr.mp3": ((*MP3, "-q:a", "4"), True),
        "long.wav": (PCM, True), "long.opus": (OPUS, True), "long.ac3": (AC3, False),
    }  # fmt: skip
    pipes: dict[str, tuple[tuple[str, ...], bool, bool]] = {
        "streamed.webm": ((*VP8, *OPUS, "-f", "webm"), True, True), "streamed.mkv": ((*H264, *AAC, "-f", "matroska"), True, False),
        "streamed.mp4": ((*H264, *AAC, *FRAGMENTED, "-f", "mp4"), True, True), "streamed.flv": ((*H264, *AAC, "-f", "flv"), True, False),
        "streamed.wav": ((*PCM, "-f", "wav"), False, True), "streamed.flac": ((*FLAC, "-f", "flac"), False, True),
        "streamed.ogg": ((*VORBIS, "-f", "ogg"), False, True), "streamed.au": (("-f", "au"), False, False),
    }  # fmt: skip
    return [
        *(
            Variant(name, "estimate", surrounded(*options, before_s=before, after_s=after), plays=plays, **around)  # type: ignore[arg-type]
            for name, (options, plays) in found.items()
        ),
        *(
            Variant(
                name, "streamed", streamed(*options, picture=picture), plays=plays, picture_ms=0 if picture else None
            )
            for name, (options, picture, plays) in pipes.items()
        ),
    ]


KINDS: tuple[Callable[[], list[Variant]], ...] = (plain, offset, begun, changing, jumping, with_gaps, estimated)
PLAIN = "plain.mp4"


def variants() -> list[Variant]:
    """All of them; the first is the plain file."""
    return [variant for kind in KINDS for variant in kind()]


def make_all(chosen: list[Variant], material: Material, folder: Path) -> None:
    """Make the files in `folder`, named as the variants are."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant in chosen:
        variant.make(material, folder / variant.name)
