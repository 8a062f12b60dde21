"""Recordings as people have them: the sound is where a player has it, whatever the file does to its clock.

The voice of every file is found again in what was decoded of it, by correlation with the voice it was made of.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import rarely
from made_media import SETTINGS, make
from voices import CUT_S, RATE, SOURCE, VOICE_S, shifts, talk, voice_file

from tasks.errors import MediaTooLong
from tasks.media import extract_audio, probe
from tasks.records import Audio

# Sound that an encoder puts before its first sample (the longest here: 2,112 samples of AAC at 24 kHz) comes anew with each part.
PRIMING_MS = 90
WORST_MS = 80


def heard(path: Path, **settings: object) -> tuple[Audio, np.ndarray]:
    target = path.with_name(f"{path.name}.pcm")
    chosen = SETTINGS.model_copy(update=settings)
    audio = extract_audio(path, probe(path, chosen), target, chosen)
    return audio, np.fromfile(target, np.int16).astype(np.float32)


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def in_two(folder: Path, extension: str, first: list[str], second: list[str]) -> Path:
    a = voice_file(folder / f"a.{extension}", *first, end_s=CUT_S)
    b = voice_file(folder / f"b.{extension}", *second, start_s=CUT_S)
    return joined(folder / f"both.{extension}", a, b)


def check(
    path: Path, shift: Callable[[float], float] | float = 0.0, worst: float = WORST_MS, *, silent_s: int = 0
) -> Audio:
    """Where the voice is; the first `silent_s` seconds have nothing, and are not looked through for it."""
    audio, pcm = heard(path)
    before, pcm = pcm[: silent_s * RATE], pcm[silent_s * RATE :]
    assert not np.any(np.abs(before) > 100)
    found = [piece for piece in shifts(pcm) if not piece[0] < CUT_S < piece[0] + 0.8]
    assert len(found) > 10
    assert min(alike for _, _, alike in found) > 0.6, "all of it is there"
    off = [1000 * silent_s + ms - (shift(at) if callable(shift) else shift) for at, ms, _ in found]
    assert max(map(abs, off)) <= worst, off
    assert audio.incomplete is None
    return audio


# -- sound that changes its parameters on the way -----------------------------------------------------------------------

CHANGES = {
    "stereo then mono ADTS": ("aac", ["-ac", "2"], ["-ac", "1"]),
    "48 then 24 kHz ADTS": ("aac", ["-ac", "2", "-ar", "48000"], ["-ac", "2", "-ar", "24000"]),
    "44.1 kHz stereo then 22.05 kHz mono MP3": (
        "mp3",
        ["-ac", "2", "-ar", "44100", "-write_xing", "0", "-id3v2_version", "0"],
        ["-ac", "1", "-ar", "22050", "-write_xing", "0", "-id3v2_version", "0"],
    ),
    "5.1 then 2.0 AC-3": ("ac3", ["-ac", "6"], ["-ac", "2"]),
    "chained Vorbis": ("ogg", ["-c:a", "libvorbis", "-ac", "2"], ["-c:a", "libvorbis", "-ac", "1", "-ar", "22050"]),
    "chained Vorbis, alike": ("ogg", ["-c:a", "libvorbis", "-ac", "1"], ["-c:a", "libvorbis", "-ac", "1"]),
    "chained Opus": ("opus", ["-ac", "2"], ["-ac", "1"]),
}
OFTEN = ("stereo then mono ADTS", "5.1 then 2.0 AC-3", "chained Vorbis", "chained Opus")


@pytest.mark.parametrize("kind", [*OFTEN, *rarely(*(kind for kind in CHANGES if kind not in OFTEN))])
def test_sound_that_changes_its_parameters_stays_where_it_is(kind: str, tmp_path: Path):
    audio = check(in_two(tmp_path, *CHANGES[kind]), worst=PRIMING_MS)
    assert audio.clock != "steady", "a browser gets a copy: Chromium stops at the change, or finds no place in it"


def test_parameters_may_change_again_and_again(tmp_path: Path):
    kinds = [["-ac", "2"], ["-ac", "1", "-ar", "32000"], ["-ac", "6"], ["-ac", "1", "-ar", "16000"], ["-ac", "2"]]
    ends = [4.4, 8.8, 13.2, 17.6, VOICE_S]
    starts = [0.0, *ends[:-1]]
    parts = [voice_file(tmp_path / f"{n}.aac", *kind, start_s=starts[n], end_s=ends[n]) for n, kind in enumerate(kinds)]
    found = shifts(heard(joined(tmp_path / "many.aac", *parts))[1])
    within = [
        (ms, sum(end <= at for end in ends)) for at, ms, _ in found if not any(at < end < at + 0.8 for end in ends)
    ]
    assert len(within) > 8
    assert all(0 <= ms <= (parts_before + 1) * PRIMING_MS for ms, parts_before in within), within


def test_a_change_within_a_transport_stream_stays_where_its_time_stamps_are(tmp_path: Path):
    a = voice_file(tmp_path / "a.ts", "-ac", "6", "-c:a", "ac3", end_s=CUT_S)
    b = voice_file(tmp_path / "b.ts", "-ac", "2", "-c:a", "ac3", "-output_ts_offset", str(CUT_S), start_s=CUT_S)
    check(joined(tmp_path / "both.ts", a, b))


# -- streams that do not begin together ---------------------------------------------------------------------------------

AVC = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"]
LATE = {
    "mp4": AVC, "mov": AVC, "mkv": AVC, "flv": AVC, "ts": AVC, "m2ts": AVC,
    "mpg": ["-c:v", "mpeg2video", "-c:a", "mp2"], "ogv": ["-c:v", "libtheora", "-c:a", "libvorbis"], "wmv": [],
}  # fmt: skip


@pytest.mark.parametrize(
    "container", [c if c in ("mp4", "ts", "mpg") else pytest.param(c, marks=pytest.mark.long) for c in LATE]
)
def test_sound_that_begins_after_the_picture_is_late(container: str, tmp_path: Path):
    audio = check(talk(tmp_path / f"late.{container}", *LATE[container], late="a"), 4000)
    assert audio.clock == "steady" or container in ("ts", "m2ts", "mpg"), "whose first time stamp is never 0"


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_sound_may_begin_very_late(container: str, tmp_path: Path):
    path = tmp_path / f"late.{container}"
    make(
        *(
            "-f",
            "lavfi",
            "-i",
            "color=black:s=64x36:r=1:d=1230",
            "-itsoffset",
            "1200",
            "-i",
            voice_file(tmp_path / "voice.wav"),
        ),
        *("-map", "0", "-map", "1", *AVC, path),
    )
    check(path, 1_200_000, silent_s=1195)


@pytest.mark.long
@pytest.mark.parametrize("container", LATE)
def test_sound_that_begins_before_the_picture_is_not(container: str, tmp_path: Path):
    check(talk(tmp_path / f"late.{container}", *LATE[container], late="v"))


# -- a first time stamp that is not 0 -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "beginning", [("webm", 100), ("ts", 30), ("mpg", 30), *rarely(("mkv", 7), ("flv", 5), ("wmv", 5))]
)
def test_a_file_whose_first_time_stamp_is_not_0_begins_at_0(beginning: tuple[str, int], tmp_path: Path):
    container, offset = beginning
    codecs = {"webm": ["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"], **LATE}.get(container, AVC)
    path = talk(tmp_path / f"a.{container}", *codecs, "-output_ts_offset", str(offset))
    audio = check(path)
    assert audio.samples / 16 == pytest.approx(1000 * VOICE_S, abs=150)
    assert probe(path, SETTINGS).duration_ms == pytest.approx(1000 * VOICE_S, abs=600)
    assert audio.clock == "offset"


def test_mp4_has_a_0_of_its_own(tmp_path: Path):
    path = talk(tmp_path / "a.mp4", *AVC, "-output_ts_offset", "5")
    assert check(path, 5000).clock == "offset"
    assert probe(path, SETTINGS).duration_ms == pytest.approx(1000 * VOICE_S + 5000, abs=150)


def test_segments_of_a_stream_that_were_joined_are_where_they_were_in_it(tmp_path: Path):
    talk(
        tmp_path / "all.m3u8", *AVC, "-g", "50", "-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-hls_segment_type", "fmp4",
        "-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", str(tmp_path / "s%03d.m4s"),
    )  # fmt: skip
    parts = sorted(tmp_path.glob("s*.m4s"))[4:]
    path = joined(tmp_path / "joined.mp4", tmp_path / "init.mp4", *parts)
    audio, pcm = heard(path)
    found = [ms for at, ms, _ in shifts(pcm) if at > 8.5]
    assert found
    assert max(map(abs, found)) <= WORST_MS
    assert audio.incomplete is None, "nothing is missing of it"


# -- clocks that jump ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "jumping",
    [("ts", "back"), ("mpg", "ahead"), ("flv", "back"), *rarely(("ts", "ahead"), ("mpg", "back"), ("flv", "ahead"))],
)
def test_where_the_clock_jumps_the_time_goes_on(jumping: tuple[str, str], tmp_path: Path):
    container, jump = jumping
    a = talk(tmp_path / f"a.{container}", *LATE[container], end_s=CUT_S)
    ahead = ["-output_ts_offset", "20000"] if jump == "ahead" else []
    b = talk(tmp_path / f"b.{container}", *LATE[container], *ahead, start_s=CUT_S)
    path = joined(tmp_path / f"both.{container}", a, b)
    if container == "flv":  # a file header belongs to the first alone
        path.write_bytes(a.read_bytes() + b.read_bytes()[13:])
    audio = check(path)
    assert audio.clock == "jumps"
    assert max(audio.samples / 16, audio.end_ms or 0) == pytest.approx(1000 * VOICE_S, abs=200)


@pytest.mark.parametrize("container", ["ts", "mpg", "flv"])
def test_a_part_begins_where_the_longer_stream_of_the_one_before_ends(container: str, tmp_path: Path):
    """Sound that is 4 s late in both parts goes on for as long after the picture of the first."""
    a = talk(tmp_path / f"a.{container}", *LATE[container], end_s=CUT_S, late="a")
    b = talk(tmp_path / f"b.{container}", *LATE[container], start_s=CUT_S, late="a")
    path = joined(tmp_path / f"both.{container}", a, b)
    if container == "flv":
        path.write_bytes(a.read_bytes() + b.read_bytes()[13:])
    audio = check(path, lambda at: 8000 if at > CUT_S else 4000)
    assert audio.end_ms == pytest.approx(1000 * VOICE_S + 8000, abs=200)


def test_a_gap_of_a_minute_is_a_minute_and_nothing_is_missing(tmp_path: Path):
    a = talk(tmp_path / "a.ts", *AVC, end_s=CUT_S)
    b = talk(tmp_path / "b.ts", *AVC, "-output_ts_offset", str(CUT_S + 60), start_s=CUT_S)
    audio = check(joined(tmp_path / "both.ts", a, b), lambda at: 60_000 if at > CUT_S else 0)
    assert audio.clock == "gaps"


@pytest.mark.parametrize("container", ["ts", "m2ts"])
def test_the_last_sound_of_a_part_may_come_after_the_first_picture_of_the_next(container: str, tmp_path: Path):
    """As with AC-3, of which a packet has several frames: taken for a gap, it put the second part 10 s away."""
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "ac3"]
    a = talk(tmp_path / f"a.{container}", *codecs, end_s=CUT_S)
    check(joined(tmp_path / f"both.{container}", a, talk(tmp_path / f"b.{container}", *codecs, start_s=CUT_S)))


def test_another_rate_in_a_program_stream_changes_nothing(tmp_path: Path):
    """ffmpeg counts on with the rate of the beginning, and took the difference for jumps of the clock."""
    codecs = ["-c:v", "mpeg2video", "-c:a", "mp2"]
    a = talk(tmp_path / "a.mpg", *codecs, end_s=CUT_S)
    b = talk(tmp_path / "b.mpg", *codecs, "-ar", "32000", "-output_ts_offset", str(CUT_S), start_s=CUT_S)
    check(joined(tmp_path / "both.mpg", a, b))


def test_three_recordings_joined_are_one_after_the_other(tmp_path: Path):
    ends = [0.0, 7.0, 14.0, VOICE_S]
    parts = [talk(tmp_path / f"{n}.ts", *AVC, start_s=ends[n], end_s=ends[n + 1]) for n in range(3)]
    check(joined(tmp_path / "all.ts", *parts), worst=2 * WORST_MS)


def test_the_clock_of_a_transport_stream_may_turn_over(tmp_path: Path):
    check(talk(tmp_path / "a.ts", *AVC, "-output_ts_offset", "95435"))


def test_hours_by_a_clock_that_jumps_are_not_too_long(tmp_path: Path):
    a = talk(tmp_path / "a.ts", *AVC, end_s=CUT_S)
    b = talk(tmp_path / "b.ts", *AVC, "-output_ts_offset", "94000", start_s=CUT_S)
    for order in ((a, b), (b, a)):
        audio, _ = heard(joined(tmp_path / "both.ts", *order), max_duration_h=1.0)
        assert audio.samples / 16 == pytest.approx(1000 * VOICE_S, abs=200)
        assert audio.incomplete is None


# -- lengths that are estimates -----------------------------------------------------------------------------------------


def quiet_then_voice(path: Path, *options: str) -> Path:
    """Ten minutes of silence, which take hardly a byte in them, and the voice."""
    make(
        *("-f", "lavfi", "-t", "600", "-i", "anullsrc=r=44100:cl=mono", "-t", str(VOICE_S), "-i", SOURCE),
        *(
            "-filter_complex",
            "[1:a]aresample=44100,aformat=channel_layouts=mono[v];[v][0:a]concat=n=2:v=0:a=1",
            *options,
            path,
        ),
    )
    return path


@pytest.mark.parametrize(
    "options", [["-c:a", "libmp3lame", "-q:a", "2", "-write_xing", "0"], ["-c:a", "aac", "-b:a", "128k"]]
)
def test_a_length_that_is_an_estimate_limits_nothing(options: list[str], tmp_path: Path):
    path = quiet_then_voice(tmp_path / ("a.mp3" if "libmp3lame" in options else "a.aac"), *options)
    found = probe(path, SETTINGS)
    assert not found.exact
    assert found.duration_ms == pytest.approx(622_000, rel=0.01), "by its packets"
    audio, _ = heard(path, max_duration_h=0.2)
    assert (audio.incomplete, audio.clock) == (None, "estimated")
    assert audio.samples / 16_000 == pytest.approx(622, abs=1)
    with pytest.raises(MediaTooLong):
        heard(path, max_duration_h=0.1)
