"""More speech to train on, of clips that nobody has transcribed: Whisper writes their words, a CTC model has to agree.

    python -m data.recipes.labelled CLIPS --whisper WHISPER --agree MODEL --without OUT/kept-back.tsv --out OUT/labelled.tsv

CLIPS is a folder, WHISPER what `data/recipes/whisper_arrays.py` makes of a Whisper, MODEL a folder with a CTC model, as
`nightscribe train asr` leaves it in `best`. A clip is kept where Whisper was sure of its words, wrote no digits (which may be
read in many ways), and MODEL hears nearly the same letters: what either of them makes up, the other does not. Sentences that are
kept back for judging are left out, also where they were misheard.
`python -m data.recipes.asr_demo --more OUT/labelled.tsv` takes the manifest to its training part.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from transformers import AutoTokenizer, WhisperForConditionalGeneration

from data.recipes.asr_demo import as_words, read, write
from tasks.arrays import Array
from tasks.machine.hardware import cpu_has_bf16
from tasks.media.clip import clip_sound
from tasks.media.pcm import SAMPLE_RATE
from tasks.models.whisper_ctc import LogMelExtractor, WhisperStack, from_whisper
from tasks.settings import Settings
from tasks.training.base_model import load_for_training

LONGEST_S = 15.0
BATCH = 48
WINDOW_S, AFTER_S = (
    15.0,
    4.0,
)  # what Whisper is given at least, and silence after the words: without it, it repeats itself
MOST_TOKENS = 90
SURE = -0.5  # mean log probability of a token
ALIKE = 0.35  # share of the letters that the two may write differently
COMMON = 5  # words in a row that make it a sentence that was kept back
START = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
WRITTEN = re.compile(r"[A-Za-z ,.'’!?;:\"-]+")


@dataclass(frozen=True)
class Said:
    """What Whisper wrote, and the mean log probability of its tokens."""

    text: str
    sure: float


class Labeller:
    """Whisper, greedily, over as much sound as there is instead of over thirty seconds."""

    def __init__(self, folder: str) -> None:
        self.dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
        self.whisper: Any = WhisperForConditionalGeneration.from_pretrained(folder, dtype=self.dtype).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.encoder: WhisperStack = (
            from_whisper(self.whisper, vocab_size=1, pad_token_id=0).to(self.dtype).eval().encoder
        )
        self.start = self.tokenizer.convert_tokens_to_ids(list(START))
        self.end = self.tokenizer.convert_tokens_to_ids("<|endoftext|>")

    @torch.inference_mode()
    def __call__(self, clips: Sequence[Array]) -> list[Said]:
        """Of clips of (samples,) float32 at 16 kHz."""
        size = int(max(WINDOW_S * SAMPLE_RATE, max(map(len, clips)) + AFTER_S * SAMPLE_RATE))
        padded = [np.pad(clip, (0, size - len(clip))) for clip in clips]
        mel = LogMelExtractor()(padded, sampling_rate=SAMPLE_RATE, return_tensors="pt")["input_features"]
        heard = self.encoder(mel.to(self.dtype), None)[-1]
        given, past = torch.tensor([self.start] * len(clips)), None
        tokens: list[torch.Tensor] = []
        sure = torch.zeros(len(clips))
        written = torch.zeros(len(clips))
        ended = torch.zeros(len(clips), dtype=torch.bool)
        while len(tokens) < MOST_TOKENS and not bool(ended.all()):
            out = self.whisper.model.decoder(
                input_ids=given, encoder_hidden_states=heard, past_key_values=past, use_cache=True
            )
            past = out.past_key_values
            scores = self.whisper.proj_out(out.last_hidden_state[:, -1])[:, : self.end + 1].float().log_softmax(-1)
            best, chosen = scores.max(-1)
            sure += torch.where(ended, 0.0, best)
            written += ~ended
            chosen = torch.where(ended, self.end, chosen)
            tokens.append(chosen)
            ended |= chosen == self.end
            given = chosen[:, None]
        texts = self.tokenizer.batch_decode(torch.stack(tokens, 1), skip_special_tokens=True)
        return [Said(text.strip(), float(one)) for text, one in zip(texts, sure / written, strict=True)]


class Hearer:
    """A CTC model, greedily."""

    def __init__(self, folder: str) -> None:
        self.model, self.processor = load_for_training(folder)
        self.model.eval()

    @torch.inference_mode()
    def __call__(self, clips: Sequence[Array]) -> list[str]:
        given = self.processor.feature_extractor(
            list(clips), sampling_rate=SAMPLE_RATE, padding=True, return_tensors="pt"
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            best = self.model(**given).logits.argmax(-1)
        frames = self.model._get_feat_extract_output_lengths(given["attention_mask"].sum(-1))
        rows = [row[:count] for row, count in zip(best, frames, strict=True)]
        return [self.processor.tokenizer.decode(row, skip_special_tokens=True) for row in rows]


def clips_of(folder: Path) -> Iterator[tuple[Path, Array]]:
    """Every clip of a folder that can be read, is not silent and not too long, (samples,) float32."""
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            target = Path(scratch) / "sound"
            if not isinstance(clip_sound(path, target, Settings(scratch_free_gb=0.0)), str):
                sound = np.fromfile(target, np.int16)
                if (
                    SAMPLE_RATE <= len(sound) <= LONGEST_S * SAMPLE_RATE
                    and int(np.abs(sound.astype(np.int32)).max()) > 500
                ):
                    yield path, sound.astype(np.float32) / 32768


def runs_of(text: str) -> set[tuple[str, ...]]:
    """All runs of a few words of a text; of a shorter one, the text."""
    words = text.split()
    return {tuple(words[at : at + COMMON]) for at in range(max(1, len(words) - COMMON + 1))}


def why_not(said: Said, heard: str, seconds: float, kept_back: set[tuple[str, ...]]) -> str | None:
    """Why a clip is left out, if it is."""
    text = as_words(said.text)
    if not WRITTEN.fullmatch(said.text) or not text:
        return "not of letters"
    if said.sure < SURE:
        return "not sure"
    if not 2 < len(text) / seconds < 30:
        return "of no plausible length"
    if runs_of(text) & kept_back:
        return "kept back"
    return "not agreed on" if jiwer.cer(text, heard) > ALIKE else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--whisper", required=True)
    parser.add_argument("--agree", required=True)
    parser.add_argument("--without", type=Path, required=True, help="a manifest whose sentences are left out")
    parser.add_argument("--source", default="labelled", help="what the column says of all of them")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    label, hear = Labeller(options.whisper), Hearer(options.agree)
    kept_back = {run for row in read(options.without) for run in runs_of(row["text"])}
    rows: list[dict[str, str]] = []
    left: dict[str, int] = {}
    clips = clips_of(options.clips)
    while part := list(islice(clips, BATCH)):
        waves = [wave for _, wave in part]
        for (path, wave), said, heard in zip(part, label(waves), hear(waves), strict=True):
            seconds = len(wave) / SAMPLE_RATE
            if why := why_not(said, heard, seconds, kept_back):
                left[why] = left.get(why, 0) + 1
                continue
            rows.append(
                {
                    "path": str(path),
                    "text": as_words(said.text.replace("’", "'")),
                    "source": options.source,
                    "speaker": "",
                    "seconds": f"{seconds:.2f}",
                }
            )
        print(f"{len(rows)} kept, left out: {left}", file=sys.stderr, flush=True)
    write(options.out, rows)


if __name__ == "__main__":
    main()
