"""What shorter windows cost against the longest that the demo model takes: the sample archive's talks.

    python tests/bench/windows.py [--models SET] [--window SECONDS ...] [--context SECONDS]

Prints for each window the share of frames whose best symbol is another one than with the longest, and the word error rate
against the texts that were spoken.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import jiwer
import numpy as np

from nightscribe.bench.material import audio_of, talks
from tasks.arrays import Array
from tasks.models.catalog import find_set
from tasks.records import Audio
from tasks.settings import Settings
from tasks.speech.acoustic import load_acoustic
from tasks.speech.decode import decode_many
from tasks.stages.words.search import spec_of, splitter_of

LONGEST = 30.0  # that the demo model takes


def heard(audios: list[Audio], settings: Settings, window_s: float, context_s: float) -> tuple[list[Array], list[str]]:
    """Emissions and words of each file, heard in windows of that length."""
    chosen = find_set(settings)
    model = load_acoustic(chosen.acoustic.path, device="cpu", window_s=window_s, context_s=context_s)
    pieces: list[list[Array]] = [[] for _ in audios]
    for number, piece in model.emissions(audios):
        pieces[number].append(piece)
    emissions = [np.concatenate(p) for p in pieces]
    spec = spec_of(chosen, settings, model)
    texts = []
    for log_probs in emissions:
        splitter = splitter_of(model, settings)
        utterances = splitter.push(log_probs) + splitter.finish()
        texts.append(" ".join(w.word for u in decode_many(spec, utterances, model.frame_ms) for w in u))
    return emissions, texts


def differing_frames(a: list[Array], b: list[Array]) -> float:
    """Share of frames whose most likely symbol differs."""
    return float(np.mean(np.concatenate([x.argmax(1) != y.argmax(1) for x, y in zip(a, b, strict=True)])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="demo")
    parser.add_argument("--window", type=float, nargs="+", default=[10.0, 15.0, 20.0])
    parser.add_argument("--context", type=float, default=2.0)
    options = parser.parse_args()
    settings = Settings(models=options.models, scratch_free_gb=0)
    true = [talk.text for talk in talks()]
    with tempfile.TemporaryDirectory() as folder:
        audios = [audio_of(talk.path, Path(folder), settings) for talk in talks()]
        whole, whole_texts = heard(audios, settings, LONGEST, options.context)
        print(f"windows of {LONGEST:g} s: WER {jiwer.wer(true, whole_texts):.1%}")
        for window in options.window:
            emissions, texts = heard(audios, settings, window, options.context)
            frames = differing_frames(emissions, whole)
            print(f"windows of {window:g} s: {frames:.1%} of frames differ, WER {jiwer.wer(true, texts):.1%}")


if __name__ == "__main__":
    main()
