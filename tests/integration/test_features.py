"""Features of windows are those of the whole file, and those of the whole file what the extractor of the model makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import transformers

from tasks.models.whisper_ctc import LogMelExtractor
from tasks.records import Audio
from tasks.speech.features import Inputs, Stacked, Unpadded, read_window
from tasks.speech.mel import Granite, LogMel, Parakeet

SECONDS = 130  # longer than two of the pieces that a file is measured in
FAMILIES = {
    "Whisper": (lambda: LogMel(LogMelExtractor()), LogMelExtractor),
    "Parakeet": (lambda: Parakeet(transformers.ParakeetFeatureExtractor()), transformers.ParakeetFeatureExtractor),
    "LASR": (lambda: Unpadded(transformers.LasrFeatureExtractor()), transformers.LasrFeatureExtractor),
    "Wav2Vec2-BERT": (
        lambda: Stacked(transformers.SeamlessM4TFeatureExtractor()),
        transformers.SeamlessM4TFeatureExtractor,
    ),
    "Granite": (lambda: Granite({}), None),
}


@pytest.fixture(scope="module")
def audio(tmp_path_factory) -> Audio:
    """Noise that grows, with a loud moment near the end."""
    rng = np.random.default_rng(2)
    pcm = rng.standard_normal(SECONDS * 16_000) * np.linspace(10, 2000, SECONDS * 16_000)
    pcm[100 * 16_000 : 100 * 16_000 + 4000] *= 8
    path = tmp_path_factory.mktemp("audio") / "0.pcm"
    pcm.clip(-32768, 32767).astype(np.int16).tofile(path)
    return Audio(str(path), len(pcm), 0.0, 0.1, 0)


def whole(inputs: Inputs, audio: Audio) -> np.ndarray:
    count = (audio.samples - inputs.reach) // inputs.unit + 1
    return inputs.window(audio, 0, inputs.reach + (count - 1) * inputs.unit)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_window_has_the_features_of_the_whole_file(name: str, audio: Audio):
    made = FAMILIES[name][0]()
    every = whole(made, audio)
    for first, count in ((0, 50), (317, 100), (len(every) - 40, 40)):
        part = FAMILIES[name][0]().window(audio, first * made.unit, made.reach + (count - 1) * made.unit)
        assert part.dtype == np.float32
        assert part.shape == (count, *every.shape[1:])
        assert np.allclose(part, every[first : first + count], atol=2e-3)


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name][1]])
def test_a_whole_file_has_the_features_of_the_extractor(name: str, audio: Audio):
    own = whole(FAMILIES[name][0](), audio)
    wave = read_window(audio, 0, audio.samples)
    made = FAMILIES[name][1]()(wave, sampling_rate=16_000, return_tensors="np")["input_features"][0]
    assert np.allclose(own, made[: len(own)], atol=2e-3)
    assert len(made) - len(own) <= 1, "a frame of padding"


def test_granite_has_the_features_of_torchaudio(audio: Audio):
    torchaudio = pytest.importorskip(
        "torchaudio", reason="torchaudio is not installed, which Granite's extractor needs"
    )
    assert torchaudio
    own = whole(Granite({}), audio)
    extractor = transformers.GraniteSpeech5FeatureExtractor()
    made = extractor(read_window(audio, 0, audio.samples), sampling_rate=16_000, return_tensors="np")["input_features"][
        0
    ]
    assert own.shape == made.shape
    assert np.allclose(own, made, atol=2e-3)


def log_mel(wave: np.ndarray) -> np.ndarray:
    """log10 powers in 80 triangles on the scale of HTK, (frames, bins): 25 ms of Hann in 512 points, every 10 ms, mirrored ends."""
    around = np.pad(wave, 256, mode="reflect")
    window = np.zeros(512)
    window[56:456] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    hertz = np.linspace(0, 8000, 257)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82) / 2595) - 1)
    rising = (hertz[:, None] - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - hertz[:, None]) / (corners[2:] - corners[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    frames = np.lib.stride_tricks.sliding_window_view(around, 512)[::160][: len(wave) // 160]
    power = np.concatenate([np.abs(np.fft.rfft(part * window)) ** 2 for part in np.array_split(frames, 20)])
    return np.log10(np.maximum(power @ triangles, 1e-10))


def test_granite_by_its_definition(audio: Audio):
    """The log-mel powers by numpy, the floor and the slopes as its paper and its extractor state them."""
    own = whole(Granite({}), audio).reshape(-1, 2, 80)  # (frames, itself and slope, bins)
    powers = log_mel(read_window(audio, 0, audio.samples))
    floored = np.maximum(powers, powers.max() - 8.0) / 4 + 1
    assert np.allclose(own[:, 0], floored[: len(own)], atol=2e-3)
    assert np.allclose(own[1:-1, 1], (floored[2 : len(own)] - floored[: len(own) - 2]) / 2, atol=2e-3)
    assert (own[:, 0] <= floored.min() + 1e-4).any(), "the floor is reached"


@pytest.mark.parametrize("name", ["Parakeet", "Wav2Vec2-BERT"])
def test_what_is_normalised_over_the_file_is_so_without_its_silence(name: str, audio: Audio, tmp_path: Path):
    """Speech between hours of zeros is heard as it is alone: silence is between recordings, and no part of them."""
    pcm = np.fromfile(audio.path, np.int16, count=10 * 16_000)
    pcm.tofile(tmp_path / "alone.pcm")
    nothing = np.zeros(100 * 16_000, np.int16)
    np.concatenate([nothing, pcm, nothing]).tofile(tmp_path / "between.pcm")
    alone = Audio(str(tmp_path / "alone.pcm"), len(pcm), 0.0, 0.1, 0)
    between = Audio(str(tmp_path / "between.pcm"), len(pcm) + 2 * len(nothing), 0.0, 0.1, 0)
    made, other = FAMILIES[name][0](), FAMILIES[name][0]()
    first = len(nothing)
    here = made.window(alone, 8 * made.unit, made.reach + 99 * made.unit)
    there = other.window(between, first + 8 * made.unit, made.reach + 99 * made.unit)
    assert np.abs(here - there).max() < 0.2, "but for the frames half in it"
    silence = FAMILIES[name][0]()
    nothing.tofile(tmp_path / "nothing.pcm")
    assert np.isfinite(whole(silence, Audio(str(tmp_path / "nothing.pcm"), len(nothing), 0.0, 0.0, 0))).all()


def test_a_stack_of_another_height_has_its_own_frames():
    made = Stacked(transformers.SeamlessM4TFeatureExtractor(stride=1))
    assert (made.unit, made.reach) == (160, 400)


def test_a_file_shorter_than_half_a_frame_has_features(tmp_path: Path):
    np.ones(700, np.int16).tofile(tmp_path / "short.pcm")
    short = Audio(str(tmp_path / "short.pcm"), 700, 0.0, 0.0, 0)
    for name, (make, _) in FAMILIES.items():
        assert np.isfinite(whole(make(), short)).all(), name
