"""What leaving silence out costs in words and saves in time: speech of the test data with pauses of a quiet room in between.

    python tests/bench/silence.py [--models SET] [--clips N] [--pauses SECONDS]

Clips that nothing was trained on are joined into one file, each followed by a pause between none and twice `--pauses` seconds long.
Prints the share that the model is given, its seconds, and the word error, with `skip_silence` and without.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from data.recipes.asr_demo import real_speech
from nightscribe.bench.asr import testdata
from nightscribe.bench.table import machine
from tasks.evaluation.asr import utterances_of
from tasks.evaluation.scores import normalised, word_errors
from tasks.media.clip import clip_sound
from tasks.models.catalog import find_set
from tasks.records import Audio
from tasks.settings import Settings
from tasks.speech.features import SAMPLE_RATE, read_window
from tasks.speech.pool import gather
from tasks.stages.emissions.runner import acoustic_of
from tasks.stages.words.search import pool_of

ROOM = 3e-4  # the noise of a quiet room, -70 dB


def joined(folder: Path, clips: int, pauses: float, settings: Settings) -> tuple[Audio, list[tuple[int, int, str]]]:
    """One file of so many clips with pauses between; of each clip, its first sample, the sample after its last, and what is said."""
    data = testdata()
    if data is None:
        raise SystemExit("The test data are not here: set NIGHTSCRIBE_TESTDATA.")
    rows = [row for row in real_speech(data) if row["part"] == "test"]
    draw = np.random.default_rng(0)
    texts, at = [], 0
    path = folder / "joined.pcm"
    with path.open("wb") as out:
        for row in rows[:: max(1, len(rows) // clips)][:clips]:
            made = clip_sound(Path(row["path"]), folder / "clip.pcm", settings)
            if not isinstance(made, Audio):
                continue
            wave = read_window(made, 0, made.samples)
            pause = draw.normal(0, ROOM, round(draw.uniform(0, 2 * pauses) * SAMPLE_RATE))
            out.write((np.concatenate((wave, pause)).clip(-1, 1) * 32767).astype(np.int16).tobytes())
            texts.append((at, at + len(wave), row["text"]))
            at += len(wave) + len(pause)
    spoken = np.fromfile(path, np.int16).astype(np.float64) / 32768
    return Audio(str(path), len(spoken), float(spoken.mean()), float(spoken.std()), 0), texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="demo")
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--pauses", type=float, default=6.0)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        audio, said_in_it = joined(Path(folder), options.clips, options.pauses, Settings(scratch_free_gb=0))
        text = " ".join(text for _, _, text in said_in_it)
        for skips in (False, True):
            settings = Settings(models=options.models, scratch_free_gb=0, emissions={"skip_silence": skips})
            chosen = find_set(settings)
            model = acoustic_of(chosen, settings)
            model.infer(model.inputs.window(audio, 0, model.geometry.samples(model.geometry.window))[None])
            started = time.perf_counter()
            [utterances] = utterances_of(model, [audio], settings)
            spent = time.perf_counter() - started
            given = sum(frames for _, frames in model.to_hear(audio)) / model.geometry.frames(audio.samples)
            pool = pool_of(chosen, settings, model)
            said = " ".join(word.word for word in gather([pool.submit(utterances)]))
            pool.close()
            errors = word_errors(normalised(text), normalised(said))
            print(
                f"skip_silence = {str(skips).lower():<6}{audio.samples / SAMPLE_RATE / 60:6.1f} min, {given:.0%} given to the model, "
                f"{spent:.1f} s, word error {errors.rate:.2%} of {errors.n} words"
            )


if __name__ == "__main__":
    main()
