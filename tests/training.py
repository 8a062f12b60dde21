"""A handful of clips, and runs that train on them for a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sessions import cut

from tasks.training.asr import Trainer
from tasks.training.batches import Batch, make_batch
from tasks.training.clips import ClipStore, Source, open_store
from tasks.training.options import TrainingOptions
from tasks.training.scratch import ALPHABET, small_model, small_processor

QUICK = TrainingOptions(
    learning_rate=1e-3, warmup_steps=2, max_steps=6, batch_size=2, validate_every=2, precision="fp32", patience=100
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A manifest of six short clips."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(6):
        cut(folder / f"{number}.wav", 1 + number % 2)
    rows = "".join(f"{number}.wav\t{'a small film' if number % 2 else 'of light'}\n" for number in range(6))
    (folder / "clips.tsv").write_text(f"path\ttext\n{rows}")
    return folder / "clips.tsv"


@pytest.fixture(scope="module")
def clips(corpus) -> ClipStore:
    return open_store(Source(corpus), corpus.parent / "cache", alphabet=ALPHABET)


def trainer(clips: ClipStore, folder: Path, options: TrainingOptions = QUICK, model=None) -> Trainer:
    model = model or small_model(30, hidden=64, layers=1)
    return Trainer(model, small_processor(), clips, clips.only(range(2)), folder, options)


def batch_of(run: Trainer, clips: ClipStore) -> Batch:
    return make_batch(clips, np.arange(2), step=0, seed=0, options=None, recorded=[], do_normalise=True)
