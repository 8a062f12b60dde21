"""Emissions: the log-probabilities of any CTC checkpoint of `transformers` for every frame (20 ms, as a rule)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.errors import ModelNotAvailable, OutOfMemory
from tasks.models.catalog import ModelSet
from tasks.models.load import BatchSize, choose_device, choose_dtype, loaded_once, pretrained
from tasks.records import Audio
from tasks.speech.decode import UtteranceSplitter
from tasks.speech.families import (
    KIND,
    WHAT,
    find_blank,
    geometry_of,
    inputs_of,
    load_adapter,
    require_head,
    require_trained_head,
)
from tasks.speech.features import Inputs
from tasks.speech.labels import UNWRITABLE, token_labels
from tasks.speech.silence import Silence, silent
from tasks.speech.speed_up import speed_up
from tasks.speech.windows import Geometry, around, stitch, window_starts

log = logging.getLogger(__name__)

SAMPLE_RATE = 16_000
UNLIKELY = -1e4  # and not minus infinity, of which sums make no number


@dataclass
class AcousticModel:
    """A loaded model. `labels` as in tasks/speech/labels.py."""

    name: str
    model: Any
    inputs: Inputs
    labels: tuple[str, ...]
    blank: int
    geometry: Geometry
    device: torch.device
    dtype: torch.dtype
    batch: BatchSize
    skips_silence: bool = False

    def emissions(
        self, audios: Sequence[Audio], silences: Sequence[Silence | None] | None = None
    ) -> Iterator[tuple[int, Array]]:
        """Log-probs of several files, their windows pooled: (file number, (frames, tokens) float32), in order.

        `silences` are what `silent` found in each; it is asked now where that is not known.

        A file comes as one or more consecutive pieces, so that a long one is never whole in memory. Files too short for
        one frame come not at all.
        """
        stretches = [
            (number, *stretch)
            for number, (audio, silence) in enumerate(zip(audios, silences or [None] * len(audios), strict=True))
            for stretch in self.to_hear(audio, silence)
        ]
        results = self._run(audios, stretches)
        current: list[Any] = [next(results, None)]

        def of(chosen: int) -> Iterator[tuple[int, Array]]:
            while current[0] is not None and current[0][0] == chosen:
                yield current[0][1], current[0][2]
                current[0] = next(results, None)

        chosen = 0
        for number, audio in enumerate(audios):
            at, end = 0, self.geometry.frames(audio.samples)
            while chosen < len(stretches) and stretches[chosen][0] == number:
                _, first, frames = stretches[chosen]
                yield from ((number, piece) for piece in self._nothing(first - at))
                yield from ((number, piece) for piece in stitch(of(chosen), self.blank, self.geometry.context))
                at, chosen = first + frames, chosen + 1
            yield from ((number, piece) for piece in self._nothing(end - at))

    def to_hear(self, audio: Audio, silence: Silence | None = None) -> list[tuple[int, int]]:
        """What of a file the model is given, as (first frame, frames), in order."""
        if not self.skips_silence:
            silence = []
        return around(silent(audio) if silence is None else silence, audio.samples, self.geometry)

    def _nothing(self, frames: int) -> Iterator[Array]:
        """Emissions of so many frames in which nobody speaks."""
        while frames > 0:
            piece = np.full((min(frames, self.geometry.window), len(self.labels)), UNLIKELY, np.float32)
            piece[:, self.blank] = 0.0
            yield piece
            frames -= len(piece)

    def _run(
        self, audios: Sequence[Audio], stretches: Sequence[tuple[int, int, int]]
    ) -> Iterator[tuple[int, int, Array]]:
        """Group windows of one length into model batches: (stretch, first frame, log-probs) of each. What is shorter than a
        window is alone, at its own length."""
        pool: list[tuple[int, int, Array]] = []
        jobs = (
            (i, *stretch, at) for i, stretch in enumerate(stretches) for at in window_starts(stretch[2], self.geometry)
        )
        for chosen, number, first, frames, at in jobs:
            start = (first + at) * self.geometry.stride
            wave = self.inputs.window(audios[number], start, self.geometry.samples(min(self.geometry.window, frames)))
            if pool and (len(pool[0][2]) != len(wave) or len(pool) >= self.batch.items):
                yield from self._forward(pool)
                pool = []
            pool.append((chosen, first + at, wave))
        if pool:
            yield from self._forward(pool)

    def _forward(self, pool: list[tuple[int, int, Array]]) -> Iterator[tuple[int, int, Array]]:
        """One model batch; when memory runs out, in halves.

        Raises:
            OutOfMemory: not even one window fits.
        """
        rows = self.batch.forward(
            lambda windows: self.infer(np.stack([wave for _, _, wave in windows])), pool, self._one_is_too_large
        )
        for (chosen, start, _), row in zip(pool, rows, strict=True):
            yield chosen, start, row

    def alone(self, given: Array) -> Array:
        """The log-probs of one stretch, by its inputs.

        Raises:
            OutOfMemory: it does not fit.
        """
        [row] = self.batch.forward(lambda items: self.infer(np.stack(items)), [given], self._one_is_too_large)
        return row

    def _one_is_too_large(self) -> OutOfMemory:
        seconds = self.geometry.window * self.geometry.stride / SAMPLE_RATE
        return OutOfMemory(
            f"One window of {seconds:.0f} s does not fit into memory with {self.name}.",
            next="Set a smaller window_s, or a smaller model.",
        )

    @cached_property
    def unwritable(self) -> list[int]:
        """Tokens that stand for no text, like `<s>`: a model is not to say them."""
        return [i for i, label in enumerate(self.labels) if label.startswith(UNWRITABLE)]

    @torch.inference_mode()
    def infer(self, inputs: Array) -> Array:
        """Inputs of one length, (batch, samples) or (batch, frames, features), to (batch, frames, tokens) log-probs."""
        logits = self._logits(inputs)
        if not torch.isfinite(logits).all():
            logits = self._in_full_precision(inputs)
        logits[..., self.unwritable] = UNLIKELY
        log_probs: Array = torch.log_softmax(logits, dim=-1).cpu().numpy()
        return log_probs

    def _logits(self, inputs: Array) -> torch.Tensor:
        logits: torch.Tensor = self.model(torch.from_numpy(inputs).to(self.device, self.dtype)).logits.float()
        return logits

    def _in_full_precision(self, inputs: Array) -> torch.Tensor:
        """The logits of what overflowed in fewer bits; the model goes on in fp32. Of what is no number, silence would be made.

        Raises:
            ModelNotAvailable: in fp32 they are no numbers either.
        """
        if self.dtype is not torch.float32:
            log.warning("%s overflowed in %s. It goes on in fp32: NIGHTSCRIBE_PRECISION=fp32.", self.name, self.dtype)
            self.model, self.dtype = self.model.float(), torch.float32
            logits = self._logits(inputs)
            if torch.isfinite(logits).all():
                return logits
        raise ModelNotAvailable(
            f"The acoustic model {self.name} gives no numbers: its weights are damaged.",
            next=f"Fetch it again, or see what it is: nightscribe models check {self.name}",
        )

    def splitter(self, *, gap_s: float, longest_s: float) -> UtteranceSplitter:
        """What cuts one file's emissions into utterances: at pauses of `gap_s`, and after `longest_s` at the latest."""
        per_s = SAMPLE_RATE / self.geometry.stride
        return UtteranceSplitter(self.blank, gap=max(1, round(gap_s * per_s)), longest=max(2, round(longest_s * per_s)))

    @property
    def frame_ms(self) -> float:
        """Milliseconds from one frame to the next."""
        return 1000 * self.geometry.stride / SAMPLE_RATE


def load_acoustic(
    name: str,
    *,
    revision: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    window_s: float = 20.0,
    context_s: float = 2.0,
    batch: int | None = None,
    target_language: str | None = None,
    skip_silence: bool = False,
) -> AcousticModel:
    """Load a CTC model once for this process, from a folder or (already fetched) from the hub's cache.

    Raises:
        ModelNotAvailable: it is not on this machine, or is no CTC model.
    """
    options = (name, revision, device, precision, window_s, context_s, batch, target_language, skip_silence)
    return loaded_once(("acoustic", *options), lambda: _load(*options))


def _load(
    name: str,
    revision: str | None,
    device: str,
    precision: str,
    window_s: float,
    context_s: float,
    batch: int | None,
    target_language: str | None,
    skip_silence: bool,
) -> AcousticModel:
    from transformers import AutoConfig, AutoModelForCTC

    from tasks.models.whisper_ctc import register

    register()
    where = torch.device(choose_device(device))
    dtype = choose_dtype(precision, where)
    config = pretrained(AutoConfig, name, WHAT, KIND, revision=revision)
    require_head(config, name)
    _check_window(config, name, window_s)
    tokenizer = _tokenizer(name, revision, target_language)
    loaded, found = pretrained(
        AutoModelForCTC, name, WHAT, KIND, revision=revision, use_safetensors=True, dtype=torch.float32,
        output_loading_info=True,
    )  # fmt: skip
    require_trained_head(found["missing_keys"], name)
    if target_language:
        load_adapter(loaded, target_language, name, revision)
    model = loaded.to(where, dtype).eval()
    speed_up(model, where, dtype)
    inputs = inputs_of(model, name, revision)
    blank = find_blank(model, tokenizer, inputs)
    if batch is None:
        batch = 32 if where.type == "cuda" else 1  # one window fills two cores, and its layers fit their caches
    return AcousticModel(
        name=name,
        model=model,
        inputs=inputs,
        # an adapter brings its own vocabulary
        labels=token_labels(tokenizer, int(model.config.vocab_size), blank),
        blank=blank,
        geometry=geometry_of(model, inputs, window_s=window_s, context_s=context_s),
        device=where,
        dtype=dtype,
        batch=BatchSize(batch),
        skips_silence=skip_silence,
    )


def _check_window(config: Any, name: str, window_s: float) -> None:
    """Raises ModelNotAvailable: the model cannot hear so much at once."""
    longest_s = getattr(config, "longest_window_s", None)
    if longest_s is not None and window_s > longest_s:
        raise ModelNotAvailable(
            f"The acoustic model {name} hears at most {longest_s:g} s at once, and window_s is {window_s:g}.",
            next="Set a smaller window_s.",
        )


def tokenizer_of(chosen: ModelSet) -> Any:
    """The tokenizer of a set's acoustic model, without the model.

    Raises:
        ModelNotAvailable: it is not on this machine.
    """
    return _tokenizer(chosen.acoustic.path, chosen.acoustic.revision, chosen.target_language)


def _tokenizer(name: str, revision: str | None, target_language: str | None) -> Any:
    from transformers import AutoTokenizer

    from tasks.models.whisper_ctc import register

    register()
    target = {"target_lang": target_language} if target_language else {}
    return pretrained(AutoTokenizer, name, WHAT, KIND, revision=revision, **target)
