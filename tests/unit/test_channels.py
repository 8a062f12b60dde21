"""Which channels of a track are heard, by what is on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_media import TRACK
from voices import RATE, voice

from tasks.media.channels import choose_channels
from tasks.records import Choice

N = 20 * RATE
RNG = np.random.default_rng(7)


def noise(level: float) -> np.ndarray:
    return RNG.normal(0, level, N).astype(np.float32)


def speech() -> np.ndarray:
    return voice()[:N]


def other() -> np.ndarray:
    """Another programme with the rhythm of speech."""
    return np.roll(voice()[:N][::-1], RATE // 3)


def time_code() -> np.ndarray:
    """Bits of SMPTE 12M in biphase mark at 25 frames a second: 2,000 a second, and none is silent."""
    bits = np.repeat(RNG.integers(0, 2, N // 8 + 1), 8)[:N]
    flips = (np.arange(N) % 8 == 0) | ((np.arange(N) % 8 == 4) & (bits == 1))
    return (8000 * np.where(np.cumsum(flips) % 2, 1, -1)).astype(np.float32)


def tone() -> np.ndarray:
    return (6000 * np.sin(2 * np.pi * 1000 * np.arange(N) / RATE)).astype(np.float32)


def in_turns() -> tuple[np.ndarray, np.ndarray]:
    """Two people with a microphone each, who hear each other a little."""
    first = (np.arange(N) // (4 * RATE)) % 2 == 0
    a, b = np.where(first, speech(), 0), np.where(first, 0, other())
    return a + 0.03 * b + noise(10), b + 0.03 * a + noise(10)


def chosen(*channels: np.ndarray) -> Choice:
    track = replace(TRACK, channels=len(channels), layout="")
    pieces = [
        np.stack(channels, axis=1).clip(-32768, 32767).astype(np.int16)[half : half + N // 2] for half in (0, N // 2)
    ]
    return choose_channels(track, pieces)[0]


def first(*channels: np.ndarray) -> tuple[int, ...]:
    choice = chosen(*channels)
    assert choice.rivals == 1
    return choice.sources[0].channels


def test_the_same_on_both_is_mixed():
    assert first(speech(), speech()) == (0, 1)
    assert first(speech(), 0.3 * speech()) == (0, 1)


def test_two_microphones_in_one_room_are_mixed():
    late = np.roll(speech(), 70)
    assert first(speech() + noise(30), 0.6 * late + noise(30)) == (0, 1)


@pytest.mark.parametrize("gain", [-1.0, -0.9, -0.7])
def test_channels_that_cancel_each_other_out_are_not_mixed(gain: float):
    assert len(first(speech(), gain * speech())) == 1
    assert len(first(speech(), gain * np.roll(speech(), 3))) == 1


@pytest.mark.parametrize(
    "what", [time_code, tone, lambda: noise(60), lambda: noise(3000), lambda: np.zeros(N, np.float32)]
)
def test_what_is_no_programme_is_left_out(what: Callable[[], np.ndarray]):
    assert first(speech(), what()) == (0,)
    assert first(what(), speech()) == (1,)


@pytest.mark.parametrize("at", range(6))
def test_of_six_channels_of_a_recorder_the_one_with_the_speaker_is_heard(at: int):
    channels = [noise(20) for _ in range(6)]
    channels[at] = speech()
    channels[(at + 3) % 6] = tone()
    assert first(*channels) == (at,)


def test_a_talk_with_a_channel_for_each_is_mixed():
    assert first(*in_turns()) == (0, 1)
    a, b = in_turns()
    assert first(a, time_code(), b) == (0, 2)


def test_two_programmes_at_once_are_rivals_in_their_order():
    for channels in ((speech(), other()), (other(), speech())):
        choice = chosen(*channels)
        assert choice.rivals == 2
        assert [source.channels for source in choice.sources] == [(0,), (1,), (0, 1)]


def test_where_there_is_no_speech_all_is_heard_first_and_then_each():
    assert [s.channels for s in chosen(tone(), noise(500)).sources] == [(0, 1), (1,), (0,)]
    assert [s.channels for s in chosen(np.zeros(N), np.zeros(N)).sources] == [(0, 1), (0,)]
