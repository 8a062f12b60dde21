"""Windows over audio: the geometry of the convolutions, where windows start, and where they are joined."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tasks.speech.windows import Geometry, around, asked_geometry, seam, stitch, window_starts

KERNELS = [10, 3, 3, 3, 3, 2, 2]
STRIDES = [5, 2, 2, 2, 2, 2, 2]
BASE = Geometry(stride=320, receptive=400, window=1000, context=100)
SMALL = Geometry(stride=320, receptive=400, window=50, context=8)


def emissions(frames: int, *, letters: dict[int, int] | None = None, tokens: int = 4) -> np.ndarray:
    """Log-probs that say blank (token 0) but where `letters` names a token."""
    log_probs = np.full((frames, tokens), np.log(0.01), np.float32)
    best = np.zeros(frames, int)
    for frame, token in (letters or {}).items():
        best[frame] = token
    log_probs[np.arange(frames), best] = np.log(0.97)
    return log_probs


def numbered(frames: int, seed: int = 0) -> np.ndarray:
    """Log-probs of which no two frames are alike: column 1 is the number of the frame."""
    random = np.random.default_rng(seed)
    blank = np.where(random.random(frames) < 0.6, np.log(0.9), np.log(0.1))
    return np.stack([blank, np.arange(frames)], axis=1).astype(np.float32)


def joined(log_probs: np.ndarray, g: Geometry) -> list[int]:
    """Frame numbers that come out when windows of `log_probs` are stitched."""
    starts = window_starts(len(log_probs), g)
    pieces = stitch(((start, log_probs[start : start + g.window]) for start in starts), 0, g.context)
    return np.concatenate(list(pieces))[:, 1].astype(int).tolist()


def convolved(count: int) -> int:
    """Frames of wav2vec2's convolutions, which pad nothing."""
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        count = (count - kernel) // stride + 1
    return count


@pytest.mark.parametrize(
    ("silent", "seconds", "heard"),
    [
        ([], 90, [(0, 90)]),
        ([(0, 90)], 90, []),
        ([(30, 60)], 90, [(0, 30), (60, 30)]),
        ([(0, 57), (60, 90)], 90, [(57, 5)]),
        ([(3, 88)], 90, [(0, 5), (85, 5)]),
        ([(12, 16)], 90, [(0, 90)]),
    ],
    ids=["none", "all", "between", "around", "at both ends", "too short for quarters of a window"],
)
def test_what_is_not_silent_is_heard_in_quarters_of_a_window(silent, seconds, heard):
    samples = seconds * 16_000
    found = around([(a * 16_000, b * 16_000) for a, b in silent], samples, BASE)
    assert len(found) == len(heard)
    for (first, frames), (start, length) in zip(found, heard, strict=True):
        assert abs(first / 50 - start) < 0.1
        assert abs(frames / 50 - length) < 0.1
        assert first + frames <= BASE.frames(samples)


def test_wav2vec2_base_makes_a_frame_of_400_samples_every_320():
    assert asked_geometry(convolved, unit=1, reach=1, window_s=20.0, context_s=2.0) == BASE


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_a_model_on_features_says_how_many_it_takes_for_a_frame(stride: int):
    padded = asked_geometry(lambda n: -(-n // stride), unit=160, reach=400, window_s=20.0, context_s=2.0)
    assert (padded.stride, padded.receptive) == (160 * stride, max(160 * stride, 400))
    bare = asked_geometry(lambda n: (n - 13) // stride + 1, unit=160, reach=400, window_s=20.0, context_s=2.0)
    assert (bare.stride, bare.receptive) == (160 * stride, 160 * 12 + 400)


def test_a_context_longer_than_a_third_of_the_window_is_shortened():
    assert asked_geometry(convolved, unit=1, reach=1, window_s=1.0, context_s=2.0).context == 16


def test_frames_at_unequal_distances_are_refused():
    with pytest.raises(ValueError, match="frames of"):
        asked_geometry(lambda n: n * 3 // 1000, unit=1, reach=1, window_s=20.0, context_s=2.0)


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (399, 0), (400, 1), (719, 1), (720, 2), (16_000, 49), (320_080, 1000)]
)
def test_frames_are_counted_as_the_model_counts_them(samples: int, frames: int):
    assert BASE.frames(samples) == frames


def test_a_window_of_n_frames_has_320_n_plus_80_samples():
    assert [BASE.samples(n) for n in (1, 2, 1000)] == [400, 720, 320_080]


@pytest.mark.parametrize("samples", [0, 40, 399])
def test_audio_too_short_for_a_frame_has_no_window(samples: int):
    assert window_starts(BASE.frames(samples), BASE) == []


@pytest.mark.parametrize("samples", [400, 16_000, 320_080, 320_399])
def test_audio_no_longer_than_a_window_is_one_window(samples: int):
    assert window_starts(BASE.frames(samples), BASE) == [0]


def test_one_frame_more_than_a_window_makes_a_second_one():
    assert window_starts(BASE.frames(320_400), BASE) == [0, 1]


def test_windows_follow_each_other_at_their_length_less_two_contexts():
    assert window_starts(2800, BASE) == [0, 800, 1600, 1800]


@pytest.mark.parametrize("samples", [320_400, 480_123, 960_000, 1_000_001, 3_200_319])
def test_the_last_window_starts_on_the_grid_where_it_just_fits(samples: int):
    length = BASE.samples(BASE.window)
    last = window_starts(BASE.frames(samples), BASE)[-1]
    assert last * 320 == (samples - length) // 320 * 320
    assert last * 320 + length <= samples < last * 320 + length + 320


def test_neighbours_overlap_by_two_contexts_or_more_whatever_the_length():
    for frames in range(51, 400):
        starts = window_starts(frames, SMALL)
        overlaps = [a + SMALL.window - b for a, b in pairwise(starts)]
        assert min(overlaps) >= 16, frames
        assert all(b > a for a, b in pairwise(starts)), frames
        assert starts[0] == 0
        assert starts[-1] + SMALL.window == frames


def test_stitched_windows_give_every_frame_once_and_in_order_whatever_the_length():
    # A last window that begins before the cut just made was once joined to the wrong frames.
    for frames in range(1, 400):
        assert joined(numbered(frames, seed=frames), SMALL) == list(range(frames)), frames


def test_a_last_window_that_moves_on_by_one_frame_is_joined():
    assert window_starts(1801, BASE) == [0, 800, 801]
    assert joined(numbered(1801), BASE) == list(range(1801))


def test_stitching_nothing_gives_nothing():
    assert list(stitch(iter([]), 0, 8)) == []


def test_stitching_changes_windows_between_two_words():
    left = emissions(50, letters=dict.fromkeys([36, 37, 38, 45, 46], 1))
    right = emissions(50, letters=dict.fromkeys([2, 3, 4, 11, 12], 2))
    whole = np.concatenate(list(stitch(iter([(0, left), (34, right)]), 0, 4)))
    assert len(whole) == 84
    # Frames 39 to 44 are the longest silence that both saw: the left's letter before it, the right's after it.
    assert np.flatnonzero(whole.argmax(axis=1) == 1).tolist() == [36, 37, 38]
    assert np.flatnonzero(whole.argmax(axis=1) == 2).tolist() == [45, 46]


def test_the_seam_lies_in_the_middle_of_the_longest_silence():
    log_probs = emissions(30, letters=dict.fromkeys([5, 6, 9, 10, 11, 22, 23], 1))
    assert seam(log_probs, log_probs, 0, 0) == 17  # silent: 0-4, 7-8, 12-21, 24-29


def test_the_seam_needs_both_windows_to_be_silent():
    left = emissions(30, letters=dict.fromkeys(range(20), 1))
    right = emissions(30, letters=dict.fromkeys(range(24, 30), 1))
    assert seam(left, right, 0, 0) == 22  # only 20-23 are silent in both


def test_the_seam_keeps_away_from_the_borders_of_windows():
    log_probs = emissions(30, letters=dict.fromkeys(range(4, 30), 1))
    log_probs[12, 0] = np.log(0.3)
    assert seam(log_probs, log_probs, 0, 10) == 12  # 0-3 would be silent


def test_the_seam_is_at_the_likeliest_blank_when_nobody_pauses():
    log_probs = np.full((20, 3), np.log(0.3), np.float32)
    log_probs[:, 0] = np.log(0.1)
    log_probs[13, 0] = np.log(0.4)
    assert seam(log_probs, log_probs, 0, 4) == 13
