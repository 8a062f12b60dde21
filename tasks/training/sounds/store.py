"""Sounds and their captions, decoded once: a step of a training run reads them where they lie."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.evaluation.manifest import Problems, read_manifest, strings
from tasks.machine.folders import replacing
from tasks.media import clip_sound
from tasks.settings import Settings
from tasks.training.clips import file_state

SHORTEST_S = 0.1


@dataclass(frozen=True)
class SoundStore:
    """Mono sounds at `rate` in a file: sound `n` has `sizes[n]` samples from `starts[n]` on, and `captions[n]`."""

    path: Path
    rate: int
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    captions: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    problems: Problems

    def __len__(self) -> int:
        return len(self.names)

    def sound(self, number: int) -> Array:
        """(samples,) float32 from -1 to 1."""
        shape = (self.sizes[number],)
        pcm = np.memmap(self.path, np.int16, mode="r", offset=2 * self.starts[number], shape=shape)
        return pcm.astype(np.float32) / np.float32(32768)


def open_store(
    manifest: Path,
    cache: Path,
    *,
    rate: int,
    path_column: str = "path",
    caption_columns: Sequence[str] = ("caption",),
    on_sound: Callable[[int, int], None] = lambda done, total: None,
) -> SoundStore:
    """The sounds of a manifest, decoded to `cache` where they are not there yet. Rows of the same file are one sound with several
    captions; so are further columns.

    Raises:
        Misconfigured: the manifest cannot be read, or none of its sounds can.
    """
    problems = Problems()
    table = read_manifest(manifest, path_column, *caption_columns, problems=problems)
    captions: dict[str, list[str]] = {}
    for name, *said in zip(strings(table, path_column), *(strings(table, one) for one in caption_columns), strict=True):
        if not any(said):
            problems.add("without a caption", name)
        known = captions.setdefault(name, []) if any(said) else []
        known.extend(text for text in dict.fromkeys(said) if text and text not in known)
    folder = cache / f"sounds-{_digest(manifest, captions, rate)}"
    listed = folder / "sounds.json"
    if not listed.exists():
        _decode(manifest.parent, captions, folder, rate, on_sound)
    there = json.loads(listed.read_text(encoding="utf-8"))
    for name, why in there["left_out"]:
        problems.add(why, name)
    if not there["names"]:
        raise Misconfigured(f"{manifest} has no sound that can be read.", next="See that its paths are right.")
    kept = tuple(tuple(captions[name]) for name in there["names"])
    sizes = tuple(there["sizes"])
    starts = tuple(accumulate(sizes, initial=0))[:-1]
    return SoundStore(folder / "sounds.pcm", rate, starts, sizes, kept, tuple(there["names"]), problems)


def _digest(manifest: Path, captions: Mapping[str, object], rate: int) -> str:
    """Of the files as they are now; other captions need no other sounds."""
    states = [[name, file_state(manifest.parent / name)] for name in captions]
    text = json.dumps([str(manifest.parent.resolve()), states, rate])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _decode(
    base: Path, names: Mapping[str, object], folder: Path, rate: int, on_sound: Callable[[int, int], None]
) -> None:
    settings = Settings(scratch_free_gb=0.0)
    sizes: list[int] = []
    kept: list[str] = []
    left_out: list[tuple[str, str]] = []
    with replacing(folder) as part, tempfile.TemporaryDirectory() as scratch, (part / "sounds.pcm").open("wb") as out:
        for done, name in enumerate(names, 1):
            target = Path(scratch, "sound.pcm")
            audio = clip_sound(base / name, target, settings, rate=rate)
            if isinstance(audio, str):
                left_out.append((name, audio))
            elif audio.samples < SHORTEST_S * rate:
                left_out.append((name, "no sound"))
            else:
                out.write(target.read_bytes())
                sizes.append(audio.samples)
                kept.append(name)
            on_sound(done, len(names))
        text = json.dumps({"names": kept, "sizes": sizes, "left_out": left_out})
        (part / "sounds.json").write_text(text, encoding="utf-8")
