"""Captions made richer: a text model writes a fuller sentence of what a sound model hears and of the caption that people gave.

What is written stands in a column of its own, so that nobody takes it for what people wrote; a training may draw it as another way to
say the same (as FLAP does, Yeh et al. 2023).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.errors import Misconfigured
from tasks.evaluation.captions import read_captions
from tasks.evaluation.manifest import Problems, read_manifest, strings
from tasks.machine.folders import write_whole
from tasks.media import clip_sound
from tasks.models.load import choose_device, pretrained
from tasks.models.pins import from_hub
from tasks.settings import Settings
from tasks.sounds.encoder import SoundEncoder
from tasks.sounds.events import shares
from tasks.sounds.pieces import Pieces
from tasks.stages.sound_events.runner import SENTENCE

PROMPT = Path(__file__).with_name("prompt.txt")
COLUMN = "enriched"
MOST_LABELS = 3
LONGEST = 40  # tokens
KEPT_EVERY = 50  # sentences
WHAT, KIND = "text model", "a model that writes text"


@dataclass(frozen=True)
class Writer:
    """A model that goes on with a text, or answers one."""

    model: Any
    tokenizer: Any

    @torch.inference_mode()
    def write(self, prompt: str) -> str:
        """The first line that it writes, the likeliest word each time; empty where it writes none."""
        if self.tokenizer.chat_template:
            prompt = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
            )
        inputs = self.tokenizer(prompt, return_tensors="pt", truncation=True).to(self.model.device)
        inputs = {name: value for name, value in inputs.items() if name in ("input_ids", "attention_mask")}
        made = self.model.generate(
            **inputs, do_sample=False, max_new_tokens=LONGEST, pad_token_id=self.tokenizer.pad_token_id or 0
        )[0]
        if not self.model.config.is_encoder_decoder:
            made = made[inputs["input_ids"].shape[1] :]
        lines = self.tokenizer.decode(made, skip_special_tokens=True).strip().splitlines()
        return " ".join(lines[0].strip(" \"'").split()) if lines else ""


def load_writer(name: str, *, device: str = "auto") -> Writer:
    """Any model of `AutoModelForCausalLM` or `AutoModelForSeq2SeqLM`, from a folder or the hub's cache.

    Raises:
        ModelNotAvailable: it is not on this machine, or writes nothing.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    revision = from_hub(name).get("revision")
    config = pretrained(AutoConfig, name, WHAT, KIND, revision=revision)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = pretrained(auto, name, WHAT, KIND, revision=revision, use_safetensors=True, dtype=torch.float32)
    return Writer(
        model.to(choose_device(device)).eval(), pretrained(AutoTokenizer, name, WHAT, KIND, revision=revision)
    )


def heard(
    encoder: SoundEncoder, labels: Sequence[str], path: Path, scratch: Path, settings: Settings
) -> list[str] | str:
    """The likeliest labels of a sound in a file, those of each piece counted together, as far as they are likelier than by chance;
    or why it cannot be read."""
    audio = clip_sound(path, scratch / "sound.pcm", settings, rate=encoder.rate)
    if isinstance(audio, str) or not audio.samples:
        return audio if isinstance(audio, str) else "no sound"
    pieces = Pieces(audio, encoder.rate, piece_s=encoder.piece_s, overlap=0)
    if not len(pieces):
        return "no sound"
    likely = shares(encoder.sounds(pieces), encoder.texts([SENTENCE.format(one) for one in labels]), encoder.scale)
    best = likely.max(axis=0)
    order = np.argsort(-best, kind="stable")[:MOST_LABELS]
    return [labels[n] for n in order if best[n] > 1 / len(labels)]


def enrich(
    manifest: Path,
    out: Path,
    *,
    encoder: SoundEncoder,
    writer: Writer,
    labels: Sequence[str],
    scratch: Path,
    settings: Settings,
    path_column: str = "path",
    caption_column: str = "caption",
    on_sound: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Write the manifest's sounds with their captions and the column `enriched`.

    A sentence that only repeats the caption, and a sound that cannot be read, have an empty one. What `out` has of the same sounds
    and captions already is not written anew: a run that was killed goes on.

    Raises:
        Misconfigured: the manifest cannot be read, or is `out`.
    """
    if out.resolve() == manifest.resolve():
        raise Misconfigured("What people wrote is not written over.", next="Name another file with --out.")
    problems = Problems()
    rows = read_captions(manifest, problems, path_column=path_column, caption_columns=[caption_column])
    prompt = PROMPT.read_text(encoding="utf-8")
    known = _known(out)
    written: list[tuple[str, str, str]] = []
    pairs = [(row.path, " ".join(caption.split())) for row in rows for caption in row.captions]
    for done, (file, caption) in enumerate(pairs, 1):
        path = str(file.resolve())
        if (path, caption) in known:
            written.append((path, caption, known[path, caption]))
            continue
        found = heard(encoder, labels, file, scratch, settings)
        sentence = ""
        if isinstance(found, str):
            problems.add(found, path)
        else:
            sentence = writer.write(prompt.format(labels=", ".join(found) or "nothing certain", caption=caption))
        written.append((path, caption, "" if sentence.casefold() == caption.casefold() else sentence))
        if done % KEPT_EVERY == 0:
            _write(out, written)
        on_sound(done, len(pairs))
    _write(out, written)
    return {"sounds": len(written), "enriched": sum(bool(text) for *_, text in written), "problems": problems.lines()}


def _known(out: Path) -> dict[tuple[str, str], str]:
    """What a table that was written before has, by path and caption."""
    if not out.exists():
        return {}
    table = read_manifest(out, "path", "caption", COLUMN, problems=Problems())
    rows = zip(*(strings(table, column) for column in ("path", "caption", COLUMN)), strict=True)
    return {(path, caption): sentence for path, caption, sentence in rows}


def _write(out: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    """As manifests are read: a tab parts columns, and nothing is quoted."""
    text = io.StringIO()
    table = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    table.writerow(("path", "caption", COLUMN))
    table.writerows(rows)
    write_whole(out, text.getvalue())
