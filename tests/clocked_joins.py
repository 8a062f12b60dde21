"""Files that were joined, and clocks that jump: sound that changes its parameters, recordings one after the other, gaps."""

from __future__ import annotations

from clocked_makers import LENGTH_MS, Maker, copied, film, joined, later
from clocked_variant import AAC, AC3, BARE, FLAC, H264, MP2, MP3, MPEG2, OPUS, VORBIS, VP8, WMV2, X264, Jump, Variant

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
        Variant("half a second back.ts", "clock jumps", joined(*ts, clocks=(None, -0.5))),
        *(Variant(f"late in both parts.{form}", "clock jumps", joined(*options, late_s=(1, 0)), 1000, picture_ms=None,
                  jump=Jump(14_080, 1000, counts=True), length_ms=LENGTH_MS + 1000) for form, options in (("ts", ts), ("mpg", mpg))),
        *(Variant(f"longer picture in both parts.{form}", "clock jumps", joined(*options, late_s=(0, 3)),
                  jump=Jump(14_080, 3000, counts=True)) for form, options in (("ts", ts), ("mpg", mpg))),
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
    hole, quarter = Jump(14_080, 5_000, counts=True), Jump(14_080, 900_000, counts=True)
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
        Variant("hole of a quarter.mkv", "hole", later("-c:v", "libx264", "-preset", "ultrafast", *AAC, from_ms=14_080,
                by_s=900, sound_only=True), jump=quarter, picture_ms=None),
        *(Variant(f"lost packets.{form}", "hole", copied(film(*H264, *AAC), f"whole.{form}", after=("-bsf:a", dropped)),
                  plays=form == "mp4") for form in ("ts", "mkv", "mp4", "flv")),
    ]  # fmt: skip
