"""The parts of a recording whose clock jumps, as its packets have them."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.media.clock import Clock
from tasks.media.parts import Packet, aligned, stretches

PICTURE, SOUND = 0, 1


def packets(*parts: tuple[int, float, float, int]) -> Iterator[Packet]:
    """One packet for each second of a stream from a time to another, from a place in the file on."""
    for stream, begin, end, place in parts:
        for number in range(round(end - begin)):
            at = begin + number
            yield Packet(stream, at, at, 1.0, place + number)


def offsets(*parts: tuple[int, float, float, int]) -> list[tuple[int, float, float]]:
    return [(one.stream, one.begin_s, one.offset_s) for one in aligned(stretches(packets(*parts)))]


def test_what_does_not_jump_is_one_stretch_for_each_stream():
    assert offsets((PICTURE, 0, 10, 0), (SOUND, 2, 10, 0)) == [(PICTURE, 0, 0), (SOUND, 2, 0)]


def test_a_gap_is_no_jump():
    assert len(offsets((SOUND, 0, 10, 0), (SOUND, 500, 510, 10))) == 1


def test_a_part_begins_where_the_latest_stream_of_the_one_before_ends():
    joined = (PICTURE, 0, 10, 0), (SOUND, 0, 7, 0), (PICTURE, 0, 5, 100), (SOUND, 1, 5, 101)
    assert offsets(*joined) == [(PICTURE, 0, 0), (SOUND, 0, 0), (PICTURE, 0, 10), (SOUND, 1, 10)]


def test_packets_may_come_out_of_the_demuxer_after_those_of_the_next_part():
    late = (PICTURE, 0, 10, 0), (PICTURE, 0, 5, 100), (SOUND, 0, 10, 0), (SOUND, 0, 5, 101)
    assert offsets(*late) == [(PICTURE, 0, 0), (SOUND, 0, 0), (PICTURE, 0, 10), (SOUND, 0, 10)]


def test_each_part_has_one_offset_however_many_there_are():
    three = (SOUND, 0, 4, 0), (PICTURE, 0, 5, 0), (SOUND, 9000, 9004, 50), (PICTURE, 9001, 9004, 50), (SOUND, 3, 5, 99)
    assert offsets(*three) == [
        (SOUND, 0, 0), (PICTURE, 0, 0), (SOUND, 9000, -8995), (PICTURE, 9001, -8995), (SOUND, 3, 6),
    ]  # fmt: skip


def test_sound_that_jumps_beside_a_picture_that_does_not_goes_on():
    alone = (PICTURE, 0, 20, 0), (SOUND, 0, 10, 0), (SOUND, 3, 13, 10)
    assert offsets(*alone) == [(PICTURE, 0, 0), (SOUND, 0, 0), (SOUND, 3, 7)]


def test_a_stream_that_is_in_one_part_only_moves_nothing():
    assert offsets((PICTURE, 0, 10, 0), (PICTURE, 0, 5, 100), (SOUND, 1, 5, 101)) == [
        (PICTURE, 0, 0), (PICTURE, 0, 10), (SOUND, 1, 10),
    ]  # fmt: skip


def test_where_the_next_part_is_known_the_clock_leads_there():
    clock = Clock(1000, stamped=True, overlap_s=0.3, stretches=[(0, 7000, 0), (1000, 5000, 10_000)])
    assert clock.place(0, 7000) == (0, 0)
    assert clock.place(1000, 500) == (4000, 0), "11 s on the clock, after 7 s of sound"
    assert clock.place(1500, 500) == (0, 0)
    assert (clock.position, clock.jumps) == (12_000, 1)


def test_a_part_without_sound_is_passed_over():
    clock = Clock(1000, stamped=True, overlap_s=0.3, stretches=[(0, 500, 0), (9000, 9500, -7000), (0, 500, 4000)])
    clock.place(0, 500)
    assert clock.place(0, 500) == (3500, 0)
    assert clock.place(500, 100) == (0, 0)


def test_time_stamps_of_no_known_part_go_on():
    clock = Clock(1000, stamped=True, overlap_s=0.3, stretches=[(0, 500, 0), (9000, 9500, -8000)])
    clock.place(0, 500)
    assert clock.place(70_000_000, 500) == (0, 0)
    assert clock.position == 1000
