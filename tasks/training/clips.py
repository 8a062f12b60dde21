"""Training clips: a manifest read with all its faults reported, the audio decoded once into one file on disk.

The store is `clips.i16` (16 kHz mono PCM, one clip after another) and `clips.parquet` (a row a clip). It is memory
mapped, so a corpus may be larger than memory, and a training step costs no decoder process.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from filelock import FileLock

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.manifest import Problems, fraction, read_manifest, strings
from tasks.speech.text import to_alphabet

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class ClipStore:
    """Decoded clips: `samples[offsets[i] : offsets[i] + lengths[i]]` is clip i (int16), `texts[i]` its words."""

    samples: Array
    offsets: Array
    lengths: Array
    texts: list[str]
    names: list[str]
    problems: Problems

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
        return ClipStore(self.samples, self.offsets[at], self.lengths[at], texts, names, self.problems)

    def split(self, share: float) -> tuple[ClipStore, ClipStore]:
        """Two stores, the second with about `share` of the clips. Decided by the text: what is said alike stays together."""
        kept_back = {i for i, text in enumerate(self.texts) if fraction(text) < share}
        first = [i for i in range(len(self)) if i not in kept_back]
        return self.only(first), self.only(sorted(kept_back))


def open_store(
    manifest: Path,
    cache: Path,
    *,
    alphabet: str,
    path_column: str = "path",
    text_column: str = "text",
    max_clip_s: float = 20.0,
    workers: int = 2,
    on_clip: Callable[[int, int], None] = lambda done, total: None,
) -> ClipStore:
    """Decode what `manifest` names into `cache` (once: a second call with the same manifest only opens it).

    Rows that cannot be trained on are left out and reported: missing or unreadable file, empty text, a text of which
    less than half is in the alphabet, a clip longer than `max_clip_s` or too short for its text.
    """
    table = read_manifest(manifest, path_column, text_column)
    key = "\0".join((alphabet, path_column, text_column, str(max_clip_s), ""))
    digest = hashlib.sha256(key.encode() + manifest.read_bytes()).hexdigest()[:16]
    folder = cache / f"clips-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):  # of several processes that train together, one decodes
        if not (folder / "problems.json").exists():
            _decode_all(
                table, manifest.parent, folder, alphabet, path_column, text_column, max_clip_s, workers, on_clip
            )
    rows = pyarrow.parquet.read_table(folder / "clips.parquet")
    lengths = rows["samples"].to_numpy()
    if not len(lengths):
        raise Misconfigured(
            f"No row of {manifest} can be used: {'; '.join(Problems(_read(folder)).lines())}.",
            next="Check that paths are relative to the manifest and that texts match the audio.",
        )
    samples = np.memmap(folder / "clips.i16", np.int16, "r")
    offsets, problems = rows["offset"].to_numpy(), Problems(_read(folder))
    return ClipStore(samples, offsets, lengths, rows["text"].to_pylist(), rows["path"].to_pylist(), problems)


def _read(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((folder / "problems.json").read_text(encoding="utf-8"))
    return found


def _decode_all(
    table: pa.Table,
    base: Path,
    folder: Path,
    alphabet: str,
    path_column: str,
    text_column: str,
    max_clip_s: float,
    workers: int,
    on_clip: Callable[[int, int], None],
) -> None:
    problems = Problems()
    outside: Counter[str] = Counter()
    rows: list[tuple[str, str]] = []
    for name, raw in zip(strings(table, path_column), strings(table, text_column), strict=True):
        text, foreign = to_alphabet(raw, alphabet)
        outside.update(foreign)
        if not text:
            problems.add("empty text", name)
        elif len(text) < len(raw) / 2:
            problems.add("characters outside the alphabet", name)
        elif not (base / name).is_file():
            problems.add("missing file", name)
        else:
            rows.append((name, text))
    for character, n in outside.most_common():
        problems.add("characters that the alphabet lacks, dropped from texts", f"{character!r} {n} times")

    kept: dict[str, list[object]] = {"path": [], "text": [], "offset": [], "samples": []}
    offset = 0
    with (folder / "clips.i16").open("wb") as out, ThreadPoolExecutor(workers) as pool:
        decoded = pool.map(lambda row: decode_clip(base / row[0], max_clip_s + 1), rows)
        for done, ((name, text), pcm) in enumerate(zip(rows, decoded, strict=True), 1):
            on_clip(done, len(rows))
            n = len(pcm) // 2
            if not n:
                problems.add("unreadable audio", name)
            elif n > max_clip_s * SAMPLE_RATE:
                problems.add(f"longer than {max_clip_s:g} s", name)
            elif n < len(text) * 0.025 * SAMPLE_RATE:  # 40 characters a second: nobody speaks so fast
                problems.add("too short for its text", name)
            else:
                out.write(pcm)
                for column, value in zip(kept, (name, text, offset, n), strict=True):
                    kept[column].append(value)
                offset += n
    pyarrow.parquet.write_table(pa.table(kept), folder / "clips.parquet")
    (folder / "problems.json").write_text(json.dumps(problems.found), encoding="utf-8")


def decode_clip(path: Path, limit_s: float, command: Sequence[str] = ("ffmpeg",)) -> bytes:
    """The first `limit_s` seconds of a file as 16 kHz mono int16 PCM; empty when ffmpeg cannot read it."""
    options = ["-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-i", f"file:{path}", "-t", str(limit_s)]
    output = ["-vn", "-sn", "-dn", "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "s16le", "-"]
    try:
        return subprocess.run([*command, *options, *output], capture_output=True, check=False, timeout=120).stdout
    except subprocess.TimeoutExpired:
        return b""
