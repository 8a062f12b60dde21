"""The one clock of a video: how frames of sound are placed on it."""

from __future__ import annotations

import pytest

from tasks.media.clock import LONGEST_GAP_S, Clock

RATE = 1000


def place(*frames: tuple[int | None, int], stamped: bool = True) -> tuple[list[tuple[int, int]], Clock]:
    clock = Clock(RATE, stamped=stamped)
    return [clock.place(*frame) for frame in frames], clock


def test_frames_that_follow_each_other_are_left_as_they_are():
    placed, clock = place((0, 500), (500, 500), (1000, 500))
    assert placed == [(0, 0)] * 3
    assert (clock.position, clock.gaps, clock.jumps) == (1500, 0, 0)


@pytest.mark.parametrize("off", [-80, -1, 1, 80])
def test_time_stamps_may_jitter_by_two_frames(off: int):
    placed, clock = place((0, 500), (500 + off, 500), (1000, 500))
    assert placed == [(0, 0)] * 3
    assert clock.position == 1500


def test_sound_that_begins_late_is_late():
    placed, clock = place((4000, 500), (4500, 500))
    assert placed == [(4000, 0), (0, 0)]
    assert (clock.position, clock.gaps) == (5000, 0)


def test_a_gap_is_silence():
    placed, clock = place((0, 500), (60_500, 500), (61_000, 500))
    assert placed == [(0, 0), (60_000, 0), (0, 0)]
    assert (clock.position, clock.gaps, clock.jumps) == (61_500, 1, 0)


def test_what_is_there_twice_is_left_out():
    placed, clock = place((0, 500), (200, 500), (700, 500))
    assert placed == [(0, 0), (0, 300), (0, 0)]
    assert (clock.position, clock.jumps) == (1200, 0)


def test_an_overlap_of_many_short_frames_is_left_out_frame_by_frame():
    placed, clock = place((0, 500), (200, 100), (300, 100), (400, 100), (500, 100))
    assert placed == [(0, 0), (0, 100), (0, 100), (0, 100), (0, 0)]
    assert clock.position == 600


@pytest.mark.parametrize("second", [0, 50_000_000, -7_000_000])
def test_where_the_clock_jumps_the_time_goes_on(second: int):
    placed, clock = place((20_000, 500), (20_500, 500), (second, 500), (second + 500, 500), (second + 61_000, 500))
    assert placed == [(20_000, 0), (0, 0), (0, 0), (0, 0), (60_000, 0)], "and gaps after it are gaps"
    assert (clock.position, clock.jumps) == (82_500, 1)


def test_more_than_ten_minutes_ahead_is_no_gap():
    assert place((0, 500), (500 + LONGEST_GAP_S * RATE, 500))[1].jumps == 0
    assert place((0, 500), (501 + LONGEST_GAP_S * RATE, 500))[1].jumps == 1


def test_where_the_container_is_to_be_trusted_a_gap_may_have_any_length():
    clock = Clock(RATE, stamped=True, gap_s=1_000_000)
    assert clock.place(1_200_000, 500) == (1_200_000, 0)
    assert clock.place(3_000_000, 500) == (1_799_500, 0)
    assert (clock.gaps, clock.jumps) == (1, 0)


def test_without_stamps_sound_is_where_it_was_played():
    assert place((0, 500), (250, 500), (9000, 500), stamped=False)[1].position == 1500
    assert place((0, 500), (None, 500), (1000, 500))[0] == [(0, 0)] * 3


def test_a_stamp_that_the_next_one_knows_nothing_of_is_not_followed():
    clock = Clock(RATE, stamped=True)
    assert clock.place(0, 500, 500) == (0, 0)
    assert clock.place(-3000, 500, 1000) == (0, 0)
    assert clock.place(1000, 500, 9000) == (0, 0)
    assert clock.place(9000, 500, 9500) == (7500, 0), "one that goes on is"
    assert (clock.position, clock.jumps) == (9500, 0)


def test_without_overlap_a_clock_that_goes_back_a_little_jumps():
    clock = Clock(RATE, stamped=True, overlap_s=0.0)
    assert [clock.place(0, 500), clock.place(200, 500), clock.place(700, 500)] == [(0, 0)] * 3
    assert (clock.position, clock.jumps) == (1500, 1)


def test_nor_is_one_where_the_clock_jumps():
    clock = Clock(RATE, stamped=True, overlap_s=0.3, stretches=[(9000, 9500, -9000), (0, 999, 500)])
    placed = [clock.place(*frame) for frame in ((9000, 500, -30_000), (-30_000, 20, 20), (20, 500, 520))]
    assert placed == [(0, 0)] * 3
    assert (clock.position, clock.jumps) == (1020, 1)
