"""The checkpoint that a speech model is trained from."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
    AutoTokenizer,
    PreTrainedModel,
    Wav2Vec2BertProcessor,
    Wav2Vec2Processor,
)

from tasks.errors import Misconfigured, first_line
from tasks.models.load import quiet_transformers
from tasks.models.pins import from_hub
from tasks.models.whisper_ctc import LogMelExtractor, from_whisper, register
from tasks.training.scratch import letters


@dataclass(frozen=True)
class Parts:
    """A feature extractor and a tokenizer, as a processor of `transformers` holds them; it has none for Whisper's encoder."""

    feature_extractor: Any
    tokenizer: Any

    def save_pretrained(self, folder: str | Path) -> None:
        self.feature_extractor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def load_for_training(name: str, seed: int = 0) -> tuple[PreTrainedModel, Any]:
    """A CTC checkpoint and its processor, from a folder or a hub id (safetensors only, no code of its own).

    One that was only pretrained has no letters yet: it gets those of `tasks.training.scratch` and a new last layer, drawn
    by `seed`. So does the encoder of a Whisper.

    Raises:
        Misconfigured: it is not there, or is no model of speech.
    """
    quiet_transformers()
    register()
    torch.manual_seed(seed)
    # Trained in fp32, whatever it was saved in: autocast does the rest.
    common: dict[str, Any] = {"trust_remote_code": False, **from_hub(name)}
    given: dict[str, Any] = {"use_safetensors": True, "dtype": torch.float32, **common}
    try:
        if AutoConfig.from_pretrained(name, **common).model_type == "whisper":
            return _with_letters(AutoModelForSpeechSeq2Seq.from_pretrained(name, **given))
        extractor = AutoFeatureExtractor.from_pretrained(name, **common)
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, **common)
        except (OSError, ValueError, TypeError, KeyError):
            tokenizer = letters()
            given |= {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "ctc_zero_infinity": True}
        model = AutoModelForCTC.from_pretrained(name, **given)
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(
            f"No speech model could be loaded from {name!r}: {first_line(error)}",
            next=f"Name a folder, or fetch it first: nightscribe models fetch {name}",
        ) from error
    if isinstance(extractor, LogMelExtractor):
        return model, Parts(extractor, tokenizer)
    mel = "input_features" in inspect.signature(model.forward).parameters
    kind = Wav2Vec2BertProcessor if mel else Wav2Vec2Processor
    return model, kind(feature_extractor=extractor, tokenizer=tokenizer)


def _with_letters(whisper: Any) -> tuple[PreTrainedModel, Parts]:
    """The encoder of a Whisper with a new head for the letters of `tasks.training.scratch`."""
    tokenizer = letters()
    model = from_whisper(whisper, len(tokenizer), tokenizer.pad_token_id)
    return model, Parts(LogMelExtractor(feature_size=whisper.config.num_mel_bins), tokenizer)
