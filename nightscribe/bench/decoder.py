"""The beam search alone, on one core, over noisy speech: how fast, and what its pruning costs."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np

from nightscribe.bench.material import audio_of, talks, with_noise
from nightscribe.bench.table import Table
from tasks.models.catalog import find_set
from tasks.settings import Settings
from tasks.speech.acoustic import load_acoustic
from tasks.speech.decode import Utterance, build_decoder, decode_utterance
from tasks.stages.words.search import spec_of, splitter_of

SNR_DB = 10.0


def bench(*, full: bool) -> Table:
    """Times real time and word error of the shipped pruning, of a narrower one and of a beam without any."""
    chosen_talks = talks() if full else talks()[:2]
    settings = Settings(scratch_free_gb=0.0)
    chosen = find_set(settings)
    model = load_acoustic(chosen.acoustic.path)
    heard: list[list[Utterance]] = []
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number, talk in enumerate(chosen_talks):
            clean = audio_of(talk.path, Path(folder), settings)
            noisy = with_noise(clean, Path(folder, f"noisy-{number}.pcm"), snr_db=SNR_DB, seed=number)
            log_probs = np.concatenate([piece for _, piece in model.emissions([noisy])])
            splitter = splitter_of(model, settings)
            heard.append(splitter.push(log_probs) + splitter.finish())
            seconds += clean.samples / 16_000
    table = Table(
        "decoder",
        "Beam search with the language model on one core",
        ("pruning", "beam", "times real time", "word error"),
        settings=f"{seconds / 60:.1f} minutes of the sample archive with noise at {SNR_DB:g} dB, demo models",
    )
    ours = spec_of(chosen, settings, model)
    variants = {
        "Nightscribe": ours,
        "narrower: `beam_prune_logp = -8`, `token_min_logp = -4`": replace(
            ours, beam_prune_logp=-8.0, token_min_logp=-4.0
        ),
        "none": replace(ours, beam_prune_logp=-1e6, token_min_logp=-1e6),
    }
    true = [talk.text for talk in chosen_talks]
    for name, spec in variants.items():
        build_decoder(spec)
        spent, said = 0.0, []
        for utterances in heard:
            started = time.perf_counter()
            words = [
                word.word for utterance in utterances for word in decode_utterance(spec, utterance, model.frame_ms)
            ]
            spent += time.perf_counter() - started
            said.append(" ".join(words))
        error = float(jiwer.wer(true, said))
        table.add(name, str(spec.beam_width), f"{seconds / spent:,.0f}", f"{error:.1%}")
        table.figures[name] = {"times_real_time": round(seconds / spent, 1), "wer": round(error, 4)}
    return table
