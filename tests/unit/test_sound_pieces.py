"""A soundtrack in pieces, and names for them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.records import Audio
from tasks.sounds.events import SoundEvent, events, shares, spoken_for
from tasks.sounds.pieces import Piece, Pieces, cut, resampled


def audio(path, samples, rate=8000):
    samples.astype(np.int16).tofile(path)
    return Audio(str(path), len(samples), 0.0, 1.0, 0, rate=rate)


@given(
    st.integers(1, 400_000),
    st.sampled_from([8000, 16_000, 48_000]),
    st.sampled_from([(10, 0.5), (10, 0), (4, 0.875), (2.5, 0.2)]),
)
def test_pieces_cover_all_and_none_is_needless(samples, rate, lengths):
    piece_s, overlap = lengths
    pieces = cut(samples, rate, piece_s=piece_s, overlap=overlap)
    assert pieces[0].start == 0
    assert pieces[-1].stop == samples
    for one, other in pairwise(pieces):
        assert one.stop - one.start == round(piece_s * rate)
        assert other.start - one.start == round(piece_s * (1 - overlap) * rate)
        assert other.start <= one.stop < samples
    assert cut(samples, rate, piece_s=piece_s, overlap=overlap) == pieces


def test_of_nothing_there_are_no_pieces():
    assert cut(0, 48_000, piece_s=10, overlap=0.5) == []


def test_pieces_in_which_nothing_is_to_be_heard_are_left_out(tmp_path):
    sound = np.zeros(6 * 8000)
    sound[8000:16_000] = 1000 * np.sin(np.arange(8000) / 5)
    sound[30_000] = 33  # as loud as a click in silence
    pieces = Pieces(audio(tmp_path / "sound", sound), 8000, piece_s=1.0, overlap=0)
    assert pieces.chosen == [Piece(8000, 16_000)]
    [only] = pieces
    assert only == pytest.approx(sound[8000:16_000].astype(np.int16) / 32768)
    assert len(pieces[0:5]) == 1
    assert len(Pieces(audio(tmp_path / "none", np.zeros(0)), 8000, piece_s=1, overlap=0)) == 0


def test_a_soundtrack_is_read_and_not_mapped(tmp_path):
    """What was seen of a mapped file counts as memory of the process, as much as the file is long."""
    path = tmp_path / "sound"
    pieces = Pieces(audio(path, np.full(80_000, 1000)), 8000, piece_s=1.0, overlap=0)
    assert len(list(pieces)) == 10
    assert str(path) not in Path("/proc/self/maps").read_text()


def test_at_another_rate_a_tone_is_the_same_tone():
    at = np.arange(48_000) / 48_000
    made = resampled(np.sin(2 * np.pi * 440 * at).astype(np.float32), 48_000, 32_000)
    assert made.shape == (32_000,)
    assert np.abs(np.fft.rfft(made)).argmax() == 440
    same = np.ones(5, np.float32)
    assert resampled(same, 48_000, 48_000) is same


def test_overlapping_pieces_speak_for_the_halves_nearer_to_them():
    assert spoken_for([(0, 10), (5, 15), (10, 20), (40, 50)]) == [(0, 7), (7, 12), (12, 20), (40, 50)]
    assert spoken_for([]) == []


def test_pieces_of_the_same_label_in_a_row_are_one_event():
    likely = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
    spans = [(0, 10), (5, 15), (10, 20), (15, 25), (60, 70)]
    assert events(spans, likely, ["rain", "bell"], least=0.6) == [
        SoundEvent("rain", 0, 12, 0.9),
        SoundEvent("bell", 12, 17, 0.8),
        SoundEvent("rain", 60, 70, 0.9),
    ]


def test_shares_are_those_of_the_temperature_that_was_learnt():
    sounds = np.array([[1.0, 0.0]], np.float32)
    labels = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    assert shares(sounds, labels, 2.0)[0] == pytest.approx([np.e**2 / (np.e**2 + 1), 1 / (np.e**2 + 1)])
