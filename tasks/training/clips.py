"""Training clips: a manifest read with all its faults reported, the audio decoded once into one file on disk.

The store is `clips.i16` (16 kHz mono PCM, one clip after another) and `clips.parquet` (a row a clip). It is memory
mapped, so a corpus may be larger than memory, and a training step costs no decoder process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from filelock import FileLock

from tasks.arrays import Array
from tasks.errors import MediaTooLong, Misconfigured
from tasks.evaluation.manifest import Problems, fraction, is_file, read_manifest, strings
from tasks.machine.folders import replacing
from tasks.media import clip_sound
from tasks.settings import Settings
from tasks.text.spoken import to_alphabet

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Source:
    """Where clips come from: a manifest, its columns, the language of its numbers, and how long a clip may be."""

    manifest: Path
    path_column: str = "path"
    text_column: str = "text"
    max_clip_s: float = 20.0
    language: str = "en"


@dataclass(frozen=True)
class ClipStore:
    """Decoded clips: `samples[offsets[i] : offsets[i] + lengths[i]]` is clip i (int16), `texts[i]` its words."""

    samples: Array
    offsets: Array
    lengths: Array
    texts: list[str]
    names: list[str]
    problems: Problems
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def audio(self, i: int) -> Array:
        """Clip i as float32 in -1 to 1."""
        start = int(self.offsets[i])
        return self.samples[start : start + int(self.lengths[i])].astype(np.float32) / 32768

    @property
    def hours(self) -> float:
        return float(self.lengths.sum()) / SAMPLE_RATE / 3600

    def only(self, chosen: Sequence[int]) -> ClipStore:
        """A store of some of the clips, on the same file."""
        at = np.array(chosen, np.int64)
        texts, names = [self.texts[i] for i in at], [self.names[i] for i in at]
        return replace(self, offsets=self.offsets[at], lengths=self.lengths[at], texts=texts, names=names)

    def split(self, share: float) -> tuple[ClipStore, ClipStore]:
        """Two stores, the second with about `share` of the clips. Decided by the text: what is said alike stays together."""
        kept_back = {i for i, text in enumerate(self.texts) if fraction(text) < share}
        first = [i for i in range(len(self)) if i not in kept_back]
        return self.only(first), self.only(sorted(kept_back))


def open_store(
    source: Source, cache: Path, *, alphabet: str, on_clip: Callable[[int, int], None] = lambda done, total: None
) -> ClipStore:
    """Decode what a manifest names into `cache`, once: as long as manifest and files stay as they are, it is only opened. Files
    that are the same under another time, as after a copy or a restore, are not decoded again.

    Rows that cannot be trained on are left out and reported: missing or unreadable or cut-off file, empty text, a text of
    which less than half is in the alphabet, a clip that is too long, or too short for its text.

    Raises:
        Misconfigured: the manifest cannot be read, or no row is left.
    """
    problems = Problems()
    table = read_manifest(source.manifest, source.path_column, source.text_column, problems=problems)
    rows = list(zip(strings(table, source.path_column), strings(table, source.text_column), strict=True))
    base = source.manifest.parent
    paths = [base / name for name, _ in rows]
    states = [file_state(path) for path in paths]
    asked = [alphabet, source.language, source.max_clip_s, rows]
    content = Content(_hashed([*asked, [state and state[0] for state in states]]), paths)
    folder = cache / f"clips-{_hashed([*asked, states])}"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):  # of several processes that train together, one decodes
        if not folder.exists() and (same := content.kept_in(cache)):
            same.rename(folder)
        if not folder.exists():
            with replacing(folder) as part:
                _decode_all(rows, base, part, alphabet, source, problems, on_clip)
                content.note(part)
    found = json.loads((folder / "problems.json").read_text(encoding="utf-8"))
    kept = pyarrow.parquet.read_table(folder / "clips.parquet")
    if not len(kept):
        raise Misconfigured(
            f"No row of {source.manifest} can be used: {'; '.join(Problems(found).lines()) or 'it has none'}.",
            next="Check that paths are relative to the manifest and that texts match the audio.",
        )
    samples = np.memmap(folder / "clips.i16", np.int16, "r")
    offsets, lengths = kept["offset"].to_numpy(), kept["samples"].to_numpy()
    store = ClipStore(samples, offsets, lengths, kept["text"].to_pylist(), kept["path"].to_pylist(), Problems(found))
    return replace(store, folder=folder)


class Content:
    """What the files of a store held, whatever time they had: `asked` is the hash of what was asked for, sizes among it."""

    NAME = "content.json"

    def __init__(self, asked: str, paths: Sequence[Path]) -> None:
        self.asked, self.paths = asked, paths

    @cached_property
    def digests(self) -> list[str | None]:
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            return list(pool.map(_digest, self.paths))

    def note(self, folder: Path) -> None:
        """Keep it beside a store."""
        known = {"asked": self.asked, "digests": self.digests}
        (folder / self.NAME).write_text(json.dumps(known), encoding="utf-8")

    def kept_in(self, cache: Path) -> Path | None:
        """A store of the same content, if there is one."""
        for note in sorted(cache.glob(f"clips-*/{self.NAME}")):
            known = json.loads(note.read_text(encoding="utf-8"))
            if known["asked"] == self.asked and known["digests"] == self.digests:
                return note.parent
        return None


def _digest(path: Path) -> str | None:
    """Of a file's content; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def _hashed(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def file_state(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; none while it is missing."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return info.st_size, info.st_mtime_ns


def forget_other_stores(cache: Path, stores: Sequence[ClipStore]) -> None:
    """Remove what was decoded for manifests as they were before."""
    kept = {store.folder for store in stores}
    for folder in cache.glob("clips-*"):
        if folder.is_dir() and folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_suffix(".lock").unlink(missing_ok=True)


def _decode_all(
    rows: Sequence[tuple[str, str]],
    base: Path,
    folder: Path,
    alphabet: str,
    source: Source,
    problems: Problems,
    on_clip: Callable[[int, int], None],
) -> None:
    outside: Counter[str] = Counter()
    usable: list[tuple[str, str]] = []
    for name, raw in rows:
        text, foreign = to_alphabet(raw, alphabet, language=source.language)
        outside.update(foreign)
        if not text:
            problems.add("empty text", name)
        elif len(text) < len(raw) / 2:
            problems.add("characters outside the alphabet", name)
        elif not is_file(base / name):
            problems.add("missing file", name)
        else:
            usable.append((name, text))
    for character, n in outside.most_common():
        problems.add("characters that the alphabet lacks, dropped from texts", f"{character!r} {n} times")

    kept: dict[str, list[object]] = {"path": [], "text": [], "offset": [], "samples": []}
    settings = Settings(max_duration_h=(source.max_clip_s + 1) / 3600, scratch_free_gb=0.0)
    offset = 0

    def sound(number: int) -> bytes | str:
        target = folder / f"{number}.pcm"
        found = clip_sound(base / usable[number][0], target, settings)
        pcm = found if isinstance(found, str) else target.read_bytes()
        target.unlink(missing_ok=True)
        return pcm

    with (folder / "clips.i16").open("wb") as out, ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for done, ((name, text), pcm) in enumerate(zip(usable, pool.map(sound, range(len(usable))), strict=True), 1):
            on_clip(done, len(usable))
            n = len(pcm) // 2
            if pcm == MediaTooLong.reason or (not isinstance(pcm, str) and n > source.max_clip_s * SAMPLE_RATE):
                problems.add(f"longer than {source.max_clip_s:g} s", name)
            elif isinstance(pcm, str):
                problems.add(f"unreadable ({pcm})", name)
            elif n < len(text) * 0.025 * SAMPLE_RATE:  # 40 characters a second: nobody speaks so fast
                problems.add("too short for its text", name)
            else:
                out.write(pcm)
                for column, value in zip(kept, (name, text, offset, n), strict=True):
                    kept[column].append(value)
                offset += n
    pyarrow.parquet.write_table(pa.table(kept), folder / "clips.parquet")
    (folder / "problems.json").write_text(json.dumps(problems.found), encoding="utf-8")
