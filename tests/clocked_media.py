"""Media files whose clock is known, one of each kind: what they are made of, and when each word is said in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clocked_makers import (
    LENGTH_MS,
    Maker,
    Material,
    copied,
    film,
    joined,
    later,
    later_pages,
    later_segments,
    recorded_from,
    recording,
    streamed,
    surrounded,
)


@dataclass(frozen=True)
class Jump:
    """From `at_ms` of the plain file on, all time stamps are `by_ms` later.

    `counts` is None where nothing is in between and players may count it or not; True where the picture goes on in between.
    """

    at_ms: int
    by_ms: int
    counts: bool | None = None


@dataclass(frozen=True)
class Variant:
    """A file that is made from the plain one.

    Time 0 is its first sample or frame, whichever is shown first; MP4 and MOV have a 0 of their own. A word of the plain
    file is `shift_ms` later in it; what comes before `from_ms` of the plain file is not there. The picture shows the moment
    of the plain file that is `picture_ms` after the one that is heard (None: that is not the same throughout). `plays`:
    Chromium plays the file itself.
    """

    name: str
    kind: str
    make: Maker
    shift_ms: int = 0
    plays: bool = False
    from_ms: int = 0
    jump: Jump | None = None
    picture_ms: int | None = 0
    length_ms: int = LENGTH_MS

    def when(self, plain_ms: int, *, gaps: bool) -> int | None:
        """When what the plain file has at `plain_ms` is in this one; None where it is not. `gaps`: bare gaps count."""
        if plain_ms < self.from_ms:
            return None
        return plain_ms + self.shift_ms + (self._gap_ms(gaps) if self.jump and plain_ms >= self.jump.at_ms else 0)

    def lasts(self, *, gaps: bool) -> int:
        """The length of the file, ms."""
        return self.length_ms + self._gap_ms(gaps)

    def _gap_ms(self, gaps: bool) -> int:
        counted = self.jump and (gaps if self.jump.counts is None else self.jump.counts)
        return self.jump.by_ms if self.jump and counted else 0


H264 = ("-c:v", "copy")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25")
VP8 = ("-c:v", "libvpx", "-b:v", "500k", "-deadline", "realtime", "-cpu-used", "8", "-g", "25")
VP9 = ("-c:v", "libvpx-vp9", "-b:v", "300k", "-deadline", "realtime", "-cpu-used", "8", "-g", "25")
THEORA = ("-c:v", "libtheora", "-q:v", "6", "-g", "25")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "4", "-g", "12")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "4", "-g", "25")
FLV1 = ("-c:v", "flv", "-q:v", "4", "-g", "25")
WMV2 = ("-c:v", "wmv2", "-q:v", "4", "-g", "25")
AAC, MP3, MP2, AC3 = ("-c:a", "aac"), ("-c:a", "libmp3lame"), ("-c:a", "mp2"), ("-c:a", "ac3")
OPUS, VORBIS, FLAC, PCM = ("-c:a", "libopus"), ("-c:a", "libvorbis"), ("-c:a", "flac"), ("-c:a", "pcm_s16le")
BARE = ("-write_xing", "0", "-id3v2_version", "0")  # an MP3 that says nothing of its length
FRAGMENTED = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")


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
    return [
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


STEREO, MONO = ("-ac", "2"), ("-ac", "1")
FOUR = (4_480, 8_320, 14_080)  # where four parts meet


def changing() -> list[Variant]:
    """Sound that changes its parameters on the way."""
    wide, narrow, half = ("-ac", "2", "-ar", "44100"), ("-ac", "1", "-ar", "22050"), ("-ar", "24000")
    other = (narrow, wide, (), narrow)
    surround = (("-ac", "6", "-b:a", "384k"), ("-ac", "2", "-b:a", "192k"))
    on = (None, 0.0)  # the clock goes on
    serial = [("-serial_offset", str(number)) for number in range(4)]
    sounds: dict[str, tuple[Maker, bool]] = {
        "stereo then mono.aac": (joined(*AAC, each=(STEREO, MONO), picture=False), True),
        "mono then stereo.aac": (joined(*AAC, each=(MONO, STEREO), picture=False), True),
        "48 then 24 kHz.aac": (joined(*AAC, each=((), half), picture=False), True),
        "24 then 48 kHz.aac": (joined(*AAC, each=(half, ()), picture=False), True),
        "four times other.aac": (joined(*AAC, each=other, cuts_ms=FOUR, picture=False), True),
        "44 kHz stereo then 22 kHz mono.mp3": (joined(*MP3, *BARE, each=(wide, narrow), picture=False), True),
        "22 kHz mono then 44 kHz stereo.mp3": (joined(*MP3, *BARE, each=(narrow, wide), picture=False), True),
        "stereo then mono.mp3": (joined(*MP3, *BARE, each=(STEREO, MONO), picture=False), True),
        "two with headers.mp3": (joined(*MP3, each=(("-q:a", "4"), ("-b:a", "96k")), picture=False), True),
        "four times other.mp3": (joined(*MP3, *BARE, each=other, cuts_ms=FOUR, picture=False), True),
        "5.1 then stereo.ac3": (joined(*AC3, each=surround, picture=False), False),
        "chained.ogg": (joined(*VORBIS, each=serial[:2], picture=False), True),
        "chained otherwise.ogg": (joined(*VORBIS, each=[serial[0], (*wide, *serial[1])], picture=False), True),
        "chained.opus": (joined(*OPUS, each=[(*MONO, *serial[0]), (*STEREO, *serial[1])], picture=False), True),
        "chained four times.ogg": (joined(*VORBIS, each=[
            (*form, *number) for form, number in zip(other, serial, strict=True)
        ], cuts_ms=FOUR, picture=False), True),
        "chained flac.ogg": (joined(*FLAC, each=[serial[0], ("-ar", "44100", *serial[1])], picture=False), False),
    }  # fmt: skip
    films: dict[str, Maker] = {
        "5.1 then stereo.ts": joined(*X264, *AC3, each=surround, clocks=on),
        "stereo then mono.ts": joined(*X264, *AAC, each=(STEREO, MONO), clocks=on),
        "48 then 24 kHz.ts": joined(*X264, *AAC, each=((), half), clocks=on),
        "48 then 32 kHz.mpg": joined(*MPEG2, *MP2, each=((), ("-ar", "32000")), clocks=on),
        "four times other.ts": joined(*X264, *AC3, each=(*surround, *surround), cuts_ms=FOUR, clocks=(*on, 0.0, 0.0)),
    }
    return [
        *(Variant(name, "change", maker, plays=plays, picture_ms=None) for name, (maker, plays) in sounds.items()),
        *(Variant(name, "change", maker) for name, maker in films.items()),
    ]


def jumping() -> list[Variant]:
    """Clocks that jump: parts that were made one by one, and a first time stamp before the wrap of 33 bits."""

    def at(seconds: float) -> tuple[str, ...]:
        return ("-output_ts_offset", str(seconds))

    ts, mpg, ac3 = (*X264, *AAC), (*MPEG2, *MP2), (*X264, *AC3)
    three = (8_320, 14_080)
    return [
        Variant("back.ts", "clock jumps", joined(*ts)),
        Variant("back.mpg", "clock jumps", joined(*mpg)),
        Variant("back.m2ts", "clock jumps", joined(*ac3)),
        Variant("back.flv", "clock jumps", joined(*X264, *MP3, "-ar", "44100")),
        Variant("back twice.ts", "clock jumps", joined(*ac3, cuts_ms=three)),
        Variant("a little back.ts", "clock jumps", joined(*ts, clocks=(None, -4))),
        Variant("a little back.mpg", "clock jumps", joined(*mpg, clocks=(None, -4))),
        Variant("hours ahead.ts", "clock jumps", joined(*ts, clocks=(None, 20_000))),
        Variant("hours ahead.mpg", "clock jumps", joined(*mpg, clocks=(None, 20_000))),
        Variant("ahead and back.ts", "clock jumps", joined(*ac3, cuts_ms=three, clocks=(None, 40_000, 0))),
        Variant("hours back.ts", "clock jumps", joined(*ts, clocks=(50_000, None))),
        Variant("wraps.ts", "clock jumps", film(*H264, *AAC, *at(95_433))),
        Variant("wraps at once.ts", "clock jumps", film(*H264, *AAC, *at(95_442.25))),
        Variant("wraps.mpg", "clock jumps", film(*mpg, *at(95_433))),
        Variant("wraps before its sound.ts", "clock jumps", film(*H264, *AAC, *at(95_440), sound_s=4), 4000, picture_ms=4000,
                length_ms=LENGTH_MS + 4000),
    ]  # fmt: skip


def with_gaps() -> list[Variant]:
    """Gaps in the time stamps of all that is in a file, holes in its sound alone, and lost packets."""
    ts, mpg = (*X264, *AAC), (*MPEG2, *MP2)
    minute, short = Jump(14_080, 60_000), Jump(14_080, 5_000)
    hole = Jump(14_080, 5_000, counts=True)
    dropped = "noise=drop='between(n,390,402)+between(n,664,675)+between(n,894,905)'"  # AAC frames of three pauses
    one_stream: dict[str, tuple[tuple[str, ...], bool]] = {
        "mp4": (ts, True), "mkv": ((*X264, *FLAC), False), "webm": ((*VP8, *OPUS), True), "flv": (ts, False),
    }  # fmt: skip
    several: dict[str, tuple[tuple[str, ...], bool]] = {
        "ts": (ts, False),
        "mpg": (mpg, False),
        "wmv": ((*WMV2, "-c:a", "wmav2"), False),
    }
    return [
        *(Variant(f"minute.{form}", "gap", joined(*options, clocks=(None, 60)), jump=minute)
          for form, options in (("ts", ts), ("mpg", mpg))),
        *(Variant(f"5 s.{form}", "gap", joined(*options, clocks=(None, 5)), jump=short)
          for form, options in (("ts", ts), ("mpg", mpg))),
        *(Variant(f"minute.{form}", "gap", later(*options, from_ms=14_080, by_s=60), plays=plays, jump=minute)
          for form, (options, plays) in one_stream.items()),
        *(Variant(f"5 s.{form}", "gap", later(*options, from_ms=14_080, by_s=5), plays=plays, jump=short)
          for form, (options, plays) in one_stream.items()),
        *(Variant(f"hole in the sound.{form}", "hole", later(*options, from_ms=14_080, by_s=5, sound_only=True),
                  plays=plays, jump=hole, picture_ms=None) for form, (options, plays) in (one_stream | several).items()),
        *(Variant(f"lost packets.{form}", "hole", copied(film(*H264, *AAC), f"whole.{form}", after=("-bsf:a", dropped)),
                  plays=form == "mp4") for form in ("ts", "mkv", "mp4", "flv")),
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
