"""The beam search alone, on one core, over clean and noisy speech: how fast beside pyctcdecode's, and what its pruning costs."""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import jiwer
import numpy as np

from nightscribe.bench.material import audio_of, talks, with_noise
from nightscribe.bench.table import Table
from tasks.models.catalog import find_set
from tasks.settings import Settings
from tasks.speech.acoustic import load_acoustic
from tasks.speech.decode import Utterance, build_decoder, decode_utterance
from tasks.speech.spec import DecoderSpec
from tasks.stages.words.search import spec_of, splitter_of

SNR_DB = 10.0


def bench(*, full: bool) -> Table:
    """Times real time and word error of the shipped search, of pyctcdecode's own, of narrower pruning and of none."""
    chosen_talks = talks() if full else talks()[:2]
    settings = Settings(scratch_free_gb=0.0)
    chosen = find_set(settings)
    model = load_acoustic(chosen.acoustic.path)
    clean: list[list[Utterance]] = []
    noisy: list[list[Utterance]] = []
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number, talk in enumerate(chosen_talks):
            audio = audio_of(talk.path, Path(folder), settings)
            with_it = with_noise(audio, Path(folder, f"noisy-{number}.pcm"), snr_db=SNR_DB, seed=number)
            for sound, heard in ((audio, clean), (with_it, noisy)):
                splitter = splitter_of(model, settings)
                log_probs = np.concatenate([piece for _, piece in model.emissions([sound])])
                heard.append(splitter.push(log_probs) + splitter.finish())
            seconds += audio.samples / 16_000
    table = Table(
        "decoder",
        "Beam search with the language model on one core",
        ("search", "times real time", "word error", "in noise: times real time", "word error"),
        settings=f"{seconds / 60:.1f} minutes of the sample archive, also with noise at {SNR_DB:g} dB, demo models, 100 beams",
    )
    ours = spec_of(chosen, settings, model)
    narrower = replace(ours, beam_prune_logp=-8.0, token_min_logp=-4.0)
    variants = {
        "Nightscribe": ours,
        "pyctcdecode's own": ours,
        "narrower: `beam_prune_logp = -8`, `token_min_logp = -4`": narrower,
        "nothing pruned": replace(ours, beam_prune_logp=-1e6, token_min_logp=-1e6),
    }
    true = [talk.text for talk in chosen_talks]
    for name, spec in variants.items():
        build_decoder(spec)
        cells: list[str] = []
        figures: dict[str, float] = {}
        for kind, material in (("", clean), ("noisy_", noisy)):
            with _theirs() if "own" in name else contextlib.nullcontext():
                spent, said = _searched(spec, material, model.frame_ms)
            error = float(jiwer.wer(true, said))
            cells += [f"{seconds / spent:,.0f}", f"{error:.1%}"]
            figures |= {f"{kind}times_real_time": round(seconds / spent, 1), f"{kind}wer": round(error, 4)}
        table.add(name, *cells)
        table.figures[name] = figures
    return table


def _searched(spec: DecoderSpec, material: list[list[Utterance]], frame_ms: float) -> tuple[float, list[str]]:
    """Seconds, and what is said in each talk."""
    spent, said = 0.0, []
    for utterances in material:
        started = time.perf_counter()
        words = [word.word for utterance in utterances for word in decode_utterance(spec, utterance, frame_ms)]
        spent += time.perf_counter() - started
        said.append(" ".join(words))
    return spent, said


def _theirs() -> contextlib.AbstractContextManager[object]:
    """While it is open, pyctcdecode's search takes the place of ours."""
    return mock.patch("tasks.speech.beam.are_letters", return_value=False)
