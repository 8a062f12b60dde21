"""Frames of real videos, made by ffmpeg: which are kept, and when they are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from made_media import make, tone
from PIL import Image

from tasks.media import probe
from tasks.media.frames import Pictures, extract_frames
from tasks.settings import Settings

SETTINGS = Settings(scratch_free_gb=0.0)
SIZE = "s=160x90:r=25"


def frames(path: Path, folder: Path, *, every_s: float = 10.0, most_a_minute: int = 20) -> Pictures:
    folder.mkdir()
    probed = probe(path, SETTINGS)
    track = probed.tracks[0] if probed.tracks else None
    return extract_frames(path, probed, track, folder, SETTINGS, every_s=every_s, most_a_minute=most_a_minute)


def scenes(path: Path, *colours: tuple[str, float], options: tuple[str, ...] = ()) -> Path:
    """Colours, each for so many seconds, with a shape in them that tells them apart without colour too."""
    inputs, names = [], []
    for number, (colour, seconds) in enumerate(colours):
        inputs += ["-f", "lavfi", "-i", f"color={colour}:{SIZE}:d={seconds}"]
        box = f"drawbox=x={10 + 37 * hash_of(colour)}:y=20:w=40:h=50:color=white:t=fill"
        names.append(f"[{number}:v]{box}[v{number}]")
    joined = "".join(f"[v{number}]" for number in range(len(colours)))
    graph = f"{';'.join(names)};{joined}concat=n={len(colours)}[v]"
    make(*inputs, "-filter_complex", graph, "-map", "[v]", *options, path)
    return path


def hash_of(colour: str) -> int:
    return sum(map(ord, colour)) % 3


def spans(found: Pictures) -> list[tuple[int, int, int]]:
    return [(frame.start_ms, frame.end_ms, frame.shot) for frame in found.frames]


def colour_of(path: str) -> tuple[int, int, int]:
    with Image.open(path) as picture:
        return picture.convert("RGB").getpixel((2, 2))


def test_each_shot_has_a_frame_of_its_beginning(tmp_path):
    path = scenes(tmp_path / "a.mp4", ("red", 3), ("green", 4), ("blue", 2.5))
    found = frames(path, tmp_path / "frames")
    assert spans(found) == [(0, 3000, 0), (3000, 7000, 1), (7000, 9500, 2)]
    red, green, blue = (colour_of(frame.path) for frame in found.frames)
    assert red[0] > 200 > 60 > max(red[1:])
    assert green[1] > 100 > 60 > max(green[0], green[2])
    assert blue[2] > 200 > 60 > max(blue[:2])
    assert found.incomplete is None


def test_what_is_seen_again_within_a_minute_is_the_same_picture(tmp_path):
    path = scenes(tmp_path / "a.mp4", ("red", 3), ("blue", 3), ("red", 3), ("blue", 70), ("red", 3))
    found = frames(path, tmp_path / "frames")
    assert [start for start, *_ in spans(found)] == [0, 3000, 6000, 9000, 79_000]
    assert [shot for *_, shot in spans(found)] == [0, 1, 2, 3, 4]
    a, b, c, d, e = (frame.path for frame in found.frames)
    assert (a, b) == (c, d)
    assert e not in (a, b), "it was more than a minute ago"
    assert len(list((tmp_path / "frames").iterdir())) == 3


def test_a_long_shot_that_moves_has_a_frame_every_so_often(tmp_path):
    make("-f", "lavfi", "-i", f"mandelbrot={SIZE}", "-t", "26", tmp_path / "a.mp4")
    found = frames(tmp_path / "a.mp4", tmp_path / "frames", every_s=4.0)
    assert max(later.start_ms - earlier.start_ms for earlier, later in pairwise(found.frames)) <= 4500
    assert all(0 <= later.start_ms - earlier.end_ms <= 40 for earlier, later in pairwise(found.frames))
    assert found.frames[-1].end_ms == 26_000


def test_a_picture_that_never_changes_is_kept_once(tmp_path):
    path = scenes(tmp_path / "a.mp4", ("gray", 150))
    found = frames(path, tmp_path / "frames", every_s=5.0)
    assert spans(found) == [(0, 150_000, 0)]


def test_slides_are_told_apart_though_most_of_them_is_the_same(tmp_path):
    first, second = ("drawbox=x=20:y=20:w=110:h=8:t=fill", "drawbox=x=20:y=40:w=60:h=30:t=fill")
    for name, box in (("a.png", first), ("b.png", second)):
        make("-f", "lavfi", "-i", f"color=white:{SIZE}", "-vf", box, "-frames:v", "1", tmp_path / name)
    slides = [part for name in ("a.png", "b.png") for part in ("-loop", "1", "-t", "6", "-i", str(tmp_path / name))]
    make(*slides, "-filter_complex", "[0:v][1:v]concat=n=2,fps=25", tmp_path / "a.mp4")
    assert spans(frames(tmp_path / "a.mp4", tmp_path / "frames", every_s=60)) == [(0, 6000, 0), (6000, 12_000, 1)]


def test_no_more_are_kept_than_were_asked_for_in_any_minute(tmp_path):
    make("-f", "lavfi", "-i", "nullsrc=s=160x90:r=2:d=100", "-vf", "geq=random(1)*255:128:128", tmp_path / "a.mp4")
    found = frames(tmp_path / "a.mp4", tmp_path / "frames", every_s=1.0, most_a_minute=7)
    starts = [frame.start_ms for frame in found.frames]
    assert all(sum(start <= other < start + 60_000 for other in starts) <= 7 for start in starts)
    assert len(starts) == 14


@pytest.mark.parametrize("seconds", [5, 7200 + 5])
def test_pictures_that_begin_late_have_times_of_the_sound(tmp_path, seconds):
    film = scenes(tmp_path / "film.mp4", ("red", 3), ("blue", 3))
    make(
        "-i",
        tone(tmp_path / "tone.wav"),
        "-itsoffset",
        str(seconds),
        "-i",
        film,
        "-map",
        "0",
        "-map",
        "1",
        tmp_path / "a.mkv",
    )
    found = frames(tmp_path / "a.mkv", tmp_path / "frames")
    times = [time for start, end, _ in spans(found) for time in (start, end)]
    begin = seconds * 1000
    assert times == pytest.approx([begin, begin + 3000, begin + 3000, begin + 6000], abs=20)


def test_a_transport_stream_begins_at_nought(tmp_path):
    film = scenes(tmp_path / "film.mp4", ("red", 3), ("blue", 3))
    make("-i", film, "-i", tone(tmp_path / "tone.wav", seconds=6), "-output_ts_offset", "100", tmp_path / "a.ts")
    starts = [frame.start_ms for frame in frames(tmp_path / "a.ts", tmp_path / "frames").frames]
    assert starts == pytest.approx([0, 3000], abs=80)


def test_a_recording_whose_clock_jumps_goes_on(tmp_path):
    for name, colours, offset in (("a.ts", (("red", 3), ("blue", 3)), 1000), ("b.ts", (("green", 3), ("red", 3)), 10)):
        film = scenes(tmp_path / f"{name}.mp4", *colours)
        make("-i", film, "-i", tone(tmp_path / "t.wav", seconds=6), "-output_ts_offset", str(offset), tmp_path / name)
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    probed = probe(tmp_path / "c.ts", SETTINGS)
    assert probed.clock == "jumps"
    starts = [frame.start_ms for frame in frames(tmp_path / "c.ts", tmp_path / "frames").frames]
    assert len(starts) == 4
    assert all(-80 <= start - cut <= 620 for start, cut in zip(starts, (0, 3000, 6000, 9000), strict=True))


def test_of_a_variable_frame_rate_the_time_stamps_count(tmp_path):
    film = scenes(tmp_path / "film.mp4", ("red", 4), ("blue", 4))
    sparse = "select='if(lt(t,4),not(mod(n,25)),not(mod(n,2)))'"
    make("-i", film, "-vf", sparse, "-vsync", "vfr", "-video_track_timescale", "90000", tmp_path / "a.mp4")
    assert [frame.start_ms for frame in frames(tmp_path / "a.mp4", tmp_path / "frames").frames] == [0, 4000]


def test_a_picture_is_as_people_see_it(tmp_path):
    film = scenes(tmp_path / "film.mp4", ("red", 1))
    make("-i", film, "-c", "copy", "-metadata:s:v", "rotate=90", tmp_path / "turned.mp4")
    make("-i", film, "-vf", "setsar=2/1", tmp_path / "wide.mp4")
    sizes = []
    for name in ("turned.mp4", "wide.mp4"):
        [frame] = frames(tmp_path / name, tmp_path / name.removesuffix(".mp4")).frames
        with Image.open(frame.path) as picture:
            sizes.append(picture.size)
    assert sizes == [(90, 160), (320, 90)]


def test_large_pictures_are_made_smaller(tmp_path):
    make("-f", "lavfi", "-i", "color=red:s=2560x1440:r=5:d=1", tmp_path / "a.mp4")
    [frame] = frames(tmp_path / "a.mp4", tmp_path / "frames").frames
    with Image.open(frame.path) as picture:
        assert picture.size == (960, 540)


def test_sound_alone_has_no_frames(tmp_path):
    make("-f", "lavfi", "-i", f"color=red:{SIZE}:d=1", "-frames:v", "1", tmp_path / "cover.jpg")
    sound = tone(tmp_path / "sound.mp3")
    make("-i", sound, "-i", tmp_path / "cover.jpg", "-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic",
         tmp_path / "covered.mp3")  # fmt: skip
    for name in ("sound.mp3", "covered.mp3"):
        assert frames(tmp_path / name, tmp_path / f"frames-{name}").frames == ()


def test_of_a_file_that_breaks_off_there_are_the_frames_before(tmp_path):
    whole = scenes(tmp_path / "whole.ts", ("red", 3), ("blue", 3), ("green", 3), options=("-g", "10"))
    data = bytearray(whole.read_bytes())
    (tmp_path / "cut.ts").write_bytes(data[: len(data) * 2 // 3])
    found = frames(tmp_path / "cut.ts", tmp_path / "frames")
    assert 1 <= len(found.frames) < 3
    assert found.frames[0].start_ms == 0
