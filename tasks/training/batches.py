"""Batches of training clips: of similar length, so that little is padding, in an order that a step number decides.

Nothing here has state: step -> epoch -> clips is a pure function of the seed. That is what makes a training run that
was killed go on exactly as an unbroken one.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tasks.arrays import Array
from tasks.training.augment import Augmentation, any_noise, augment
from tasks.training.clips import SAMPLE_RATE, ClipStore

GRID = SAMPLE_RATE // 2


@dataclass(frozen=True)
class Batch:
    """Padded inputs: `audio` (clips, samples) float32, `lengths` in samples, `texts` and `names` beside them."""

    audio: Array
    lengths: Array
    texts: list[str]
    names: list[str]

    @property
    def seconds(self) -> float:
        return float(self.lengths.sum()) / SAMPLE_RATE


def epoch_batches(
    lengths: Array, *, batch_size: int | None, batch_s: float | None, seed: int, epoch: int
) -> list[Array]:
    """Clip numbers of each batch of one epoch, either `batch_size` clips or at most `batch_s` seconds with padding."""
    rng = np.random.default_rng((seed, epoch))
    noisy = lengths * rng.uniform(0.9, 1.1, len(lengths))  # so that the companions of a clip change between epochs
    order = np.argsort(noisy, kind="stable")
    batches: list[Array] = []
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order):
            n = stop + 1 - start
            longest = int(lengths[order[start : stop + 1]].max())
            if (batch_s is not None and n * longest > batch_s * SAMPLE_RATE) or (
                batch_s is None and n > (batch_size or 1)
            ):
                break
            stop += 1
        batches.append(order[start:stop])
        start = stop
    return [batches[int(i)] for i in rng.permutation(len(batches))]


def normalise(audio: Array) -> Array:
    """Zero mean and unit variance over the clip, as `Wav2Vec2FeatureExtractor` does it."""
    scaled: Array = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
    return scaled.astype(np.float32)


def make_batch(
    store: ClipStore,
    clips: Array,
    *,
    step: int,
    seed: int,
    options: Augmentation | None,
    recorded: list[Array],
    do_normalise: bool,
) -> Batch:
    """Load, change (when `options` are given) and pad the clips of one step."""
    audios, texts = [], []
    for clip in clips:
        audio, text = store.audio(int(clip)), store.texts[int(clip)]
        rng = np.random.default_rng((seed, step, int(clip)))
        if options is not None and rng.random() < options.nothing:
            level = np.sqrt(np.mean(audio**2) + 1e-12)
            audio, text = any_noise(len(audio), rng, recorded) * np.float32(level), ""
        elif options is not None:
            audio = augment(audio, options, rng, recorded)
        texts.append(text)
        audio = audio + rng.standard_normal(len(audio), dtype=np.float32) * 1e-5  # no exactly silent frame
        audio = normalise(audio) if do_normalise else audio
        if options is not None:  # after normalising: a file's level is that of all its speakers, not of this clip
            audio = audio * np.float32(10 ** (rng.uniform(*options.gain_db) / 20))
        audios.append(audio)
    lengths = np.array([len(audio) for audio in audios])
    # Few different shapes: every new one makes oneDNN and cuDNN choose and compile kernels again.
    longest = -(-int(lengths.max()) // GRID) * GRID
    padded = np.zeros((len(audios), longest), np.float32)
    for row, audio in zip(padded, audios, strict=True):
        row[: len(audio)] = audio
    return Batch(padded, lengths, texts, [store.names[int(clip)] for clip in clips])


def training_batches(
    store: ClipStore,
    *,
    start_step: int,
    batch_size: int | None,
    batch_s: float | None,
    seed: int,
    options: Augmentation | None,
    recorded: list[Array],
    do_normalise: bool,
    process: int = 0,
    processes: int = 1,
    ahead: int = 4,
) -> Iterator[tuple[int, int, Batch]]:
    """(step, epoch, batch) from `start_step` on, without end; made one thread ahead of the model.

    Of several processes that train together, each takes its share of every batch.
    """

    def plan() -> Iterator[tuple[int, int, Array]]:
        step, epoch = 0, 0
        while True:
            batches = epoch_batches(store.lengths, batch_size=batch_size, batch_s=batch_s, seed=seed, epoch=epoch)
            for clips in batches[max(0, start_step - step) :]:
                yield max(step, start_step), epoch, clips
                step = max(step, start_step) + 1
            step = max(step, min(start_step, step + len(batches)))
            epoch += 1

    with ThreadPoolExecutor(1) as pool:
        queue = []
        for step, epoch, clips in plan():
            work = pool.submit(
                make_batch,
                store,
                clips[process::processes] if len(clips) >= processes else clips,
                step=step,
                seed=seed,
                options=options,
                recorded=recorded,
                do_normalise=do_normalise,
            )
            queue.append((step, epoch, work))
            if len(queue) > ahead:
                first_step, first_epoch, done = queue.pop(0)
                yield first_step, first_epoch, done.result()
