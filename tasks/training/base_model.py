"""The checkpoint that a speech model is trained from."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import (
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoTokenizer,
    PreTrainedModel,
    Wav2Vec2BertProcessor,
    Wav2Vec2Processor,
)

from tasks.errors import Misconfigured, first_line
from tasks.models.load import quiet_transformers
from tasks.models.pins import from_hub
from tasks.training.scratch import letters


def load_for_training(name: str) -> tuple[PreTrainedModel, Any]:
    """A CTC checkpoint and its processor, from a folder or a hub id (safetensors only, no code of its own).

    One that was only pretrained has no letters yet: it gets those of `tasks.training.scratch` and a new last layer.

    Raises:
        Misconfigured: it is not there, or is no model of speech.
    """
    quiet_transformers()
    # Trained in fp32, whatever it was saved in: autocast does the rest.
    common: dict[str, Any] = {"trust_remote_code": False, **from_hub(name)}
    given: dict[str, Any] = {"use_safetensors": True, "dtype": torch.float32, **common}
    try:
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
    mel = "input_features" in inspect.signature(model.forward).parameters
    kind = Wav2Vec2BertProcessor if mel else Wav2Vec2Processor
    return model, kind(feature_extractor=extractor, tokenizer=tokenizer)
