"""What differs between the CTC models of `transformers`, found from the model itself: its inputs, its frames, its blank."""

from __future__ import annotations

import copy
import inspect
import tempfile
from collections.abc import Collection
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.errors import ModelNotAvailable, first_line
from tasks.models.load import pretrained
from tasks.records import Audio
from tasks.speech.features import SAMPLE_RATE, Inputs, Stacked, Unpadded, Waveforms
from tasks.speech.windows import Geometry, asked_geometry

WHAT, KIND = "acoustic model", "a CTC model"
HEADS = ("lm_head", "ctc_head")
OTHER = "Choose another model: nightscribe models list."


def require_head(config: Any, name: str) -> None:
    """See that a configuration is of a CTC model.

    Raises:
        ModelNotAvailable: the model is of a class that has no CTC head.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CTC_MAPPING

    if type(config) in MODEL_FOR_CTC_MAPPING:
        return
    raise ModelNotAvailable(
        f"The acoustic model {name} is not a CTC model: {config.model_type} has no head for that.",
        next=_give_it_letters(name) if config.model_type == "whisper" else OTHER,
    )


def require_trained_head(missing: Collection[str], name: str) -> None:
    """See that a model's last layer came with it: `transformers` makes up what is missing, and only logs it.

    Raises:
        ModelNotAvailable: among the weights that are `missing` from the folder are those of the last layer.
    """
    if any(key.startswith(HEADS) for key in missing):
        raise ModelNotAvailable(
            f"The acoustic model {name} was never trained to write: it has no weights for its last layer.",
            next=_give_it_letters(name),
        )


def load_adapter(model: Any, language: str, name: str, revision: str | None) -> None:
    """Give a model of many languages (MMS) the adapter of one, of the commit that was fetched.

    `from_pretrained(target_lang=...)` would look for the adapter at today's commit, and on the network.

    Raises:
        ModelNotAvailable: it has no adapter of that language here.
    """
    try:
        model.load_adapter(language, revision=revision, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, AttributeError) as error:
        raise ModelNotAvailable(
            f"The acoustic model {name} has no adapter for {language!r} here: {first_line(error)}",
            next=f"Look at `target_language`, or fetch it: nightscribe models fetch {name}",
        ) from error


def _give_it_letters(name: str) -> str:
    return f"Train it on clips with their texts: nightscribe train asr clips.tsv --base {name} --out models/ours"


def inputs_of(model: Any, name: str, revision: str | None) -> Inputs:
    """What the model takes, by the extractor that comes with it.

    Raises:
        ModelNotAvailable: the extractor is not there, is none that is known, or is for another sample rate.
    """
    from transformers import AutoFeatureExtractor
    from transformers.feature_extraction_utils import FeatureExtractionMixin

    from tasks.models.whisper_ctc import LogMelExtractor
    from tasks.speech.mel import Granite, LogMel, Parakeet

    try:
        settings, _ = FeatureExtractionMixin.get_feature_extractor_dict(name, revision=revision, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelNotAvailable(
            f"The acoustic model {name} has no settings of its inputs: {first_line(error)}", next=OTHER
        ) from error
    kind, rate = settings.get("feature_extractor_type"), settings.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise ModelNotAvailable(f"The acoustic model {name} hears sound at {rate} Hz, not {SAMPLE_RATE}.", next=OTHER)
    if "input_values" in inspect.signature(model.forward).parameters:
        return Waveforms(bool(settings.get("do_normalize", True)))  # as the extractor's own default is
    if kind == "GraniteSpeech5FeatureExtractor":  # its own code needs torchaudio
        return Granite(settings)
    families: dict[str, Any] = {
        LogMelExtractor.__name__: LogMel,
        "ParakeetFeatureExtractor": Parakeet,
        "LasrFeatureExtractor": Unpadded,
        "SeamlessM4TFeatureExtractor": Stacked,
    }
    if kind not in families:
        raise ModelNotAvailable(
            f"The acoustic model {name} takes features of a kind that is not known: {kind}.", next=OTHER
        )
    made: Inputs = families[kind](pretrained(AutoFeatureExtractor, name, WHAT, KIND, revision=revision))
    return made


def geometry_of(model: Any, inputs: Inputs, *, window_s: float, context_s: float) -> Geometry:
    """How samples become frames, asked of the model.

    A copy without weights is asked, which costs nothing; of a class that cannot be run so, the model itself.

    Raises:
        ModelNotAvailable: its frames do not come at equal distances.
    """
    with torch.device("meta"):
        shape = type(model)(copy.deepcopy(model.config)).eval()
    features = _next_to_nothing(inputs, 0.1).shape[1:]

    def frames(count: int, asked: Any) -> int:
        sizes = (1, count, *features)
        parameter = next(asked.parameters())
        with torch.inference_mode():
            return int(asked(torch.zeros(sizes, device=parameter.device, dtype=parameter.dtype)).logits.shape[1])

    def of(asked: Any) -> Geometry:
        return asked_geometry(
            lambda count: frames(count, asked),
            unit=inputs.unit,
            reach=inputs.reach,
            window_s=window_s,
            context_s=context_s,
        )

    try:
        try:
            return of(shape)
        except (RuntimeError, NotImplementedError):
            return of(model)
    except ValueError as error:
        raise ModelNotAvailable(
            f"The frames of this acoustic model are not as far from one another as they should be: {error}.", next=OTHER
        ) from error


def find_blank(model: Any, tokenizer: Any, inputs: Inputs) -> int:
    """The blank: what `transformers` trains these classes with, the `pad_token_id`, unless the model says otherwise.

    Some conversions (of omniASR) keep a padding token beside a blank of their own, which is token 0. So where the first token is
    a special one that is not the padding, and where tokenizer and model disagree, the model is asked what it hears in silence.

    Raises:
        ModelNotAvailable: there is no padding token.
    """
    size = int(model.config.vocab_size)
    vocab = {i: token for token, i in tokenizer.get_vocab().items()}
    pads = [pad for pad in (model.config.pad_token_id, tokenizer.pad_token_id) if pad is not None and 0 <= pad < size]
    first = [0] if vocab.get(0) in tokenizer.all_special_tokens and vocab.get(0) != tokenizer.unk_token else []
    candidates = list(dict.fromkeys([*pads, *first]))
    if not candidates:
        raise ModelNotAvailable("This acoustic model has no padding token, which would be its blank.", next=OTHER)
    if len(candidates) == 1:
        return int(candidates[0])
    heard = _silence(model, inputs)
    return int(max(candidates, key=lambda token: heard[token]))


def _silence(model: Any, inputs: Inputs) -> Array:
    """Mean log-prob of each token over two seconds of next to nothing."""
    parameter = next(model.parameters())
    given = torch.from_numpy(_next_to_nothing(inputs, 2.0)[None]).to(parameter.device, parameter.dtype)
    with torch.inference_mode():
        logits = model(given).logits.float()
    mean: Array = torch.log_softmax(logits, -1).mean(dim=(0, 1)).cpu().numpy()
    return mean


def _next_to_nothing(inputs: Inputs, seconds: float) -> Array:
    """The inputs of the noise that the last bit of a recording is."""
    pcm = np.random.default_rng(0).integers(-1, 2, round(seconds * SAMPLE_RATE), dtype=np.int16)
    with tempfile.NamedTemporaryFile() as file:
        pcm.tofile(file.name)
        scale = 2.0**-15
        return inputs.window(
            Audio(file.name, len(pcm), float(pcm.mean()) * scale, float(pcm.std()) * scale, 0), 0, len(pcm)
        )
