"""A word n-gram language model for the beam search, estimated with KenLM's `lmplz`.

The text is first made to match the acoustic model's alphabet. The result is a quantised binary trie with the list of
its words beside it: without that list pyctcdecode cannot tell a word from the beginning of one.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.errors import Misconfigured, MissingTool, OutOfMemory
from tasks.evaluation.manifest import fraction
from tasks.machine.folders import replacing

KENLM = "kenlm==0.3.0"
JUDGED = 20_000  # held-out sentences that the perplexity is measured on, at most
TOOLS = Path.home() / ".cache" / "nightscribe" / "kenlm-0.3.0"


@dataclass(frozen=True)
class LanguageModelOptions:
    """`prune[i]` drops (i+1)-grams seen so often or less; `min_count` drops rarer words from the vocabulary."""

    order: int = 5
    prune: tuple[int, ...] = (0, 0, 1, 2, 2)
    min_count: int = 2
    memory: str = "2G"
    quantise_bits: int = 8
    held_out: float = 0.01


@dataclass(frozen=True)
class LanguageModelReport:
    """What was made, and how well it predicts sentences that it was not made from."""

    sentences: int
    words: int
    vocabulary: int
    held_out_sentences: int
    perplexity: float | None
    perplexity_known: float | None
    out_of_vocabulary: float | None
    bytes: int
    options: dict[str, object]


def build_lm(
    sentences: Iterable[str], folder: Path, options: LanguageModelOptions, *, own: Sequence[str] = ()
) -> LanguageModelReport:
    """Write `lm.binary`, `unigrams.txt` and `report.json` into `folder`, in place of the language model that was there.

    Every word of the sentences in `own`, the archive's, is in the vocabulary, however rare.

    Raises:
        MissingTool: there is no `lmplz` and it could not be built. Misconfigured: the text is too small for the options, or
            `folder` holds something else. OutOfMemory: KenLM was killed.
    """
    check_replaceable(folder)
    with tempfile.TemporaryDirectory(prefix="nightscribe-lm-") as name, replacing(folder) as made:
        scratch = Path(name)
        counts: Counter[str] = Counter()
        kept: list[str] = []
        total = 0
        with (scratch / "text").open("w", encoding="utf-8") as out:
            for sentence in own:
                counts.update(sentence.split())
                out.write(sentence + "\n")
                total += 1
            for sentence in sentences:
                if fraction(sentence) < options.held_out:
                    if len(kept) < JUDGED:
                        kept.append(sentence)
                    continue
                counts.update(sentence.split())
                out.write(sentence + "\n")
                total += 1
        always = {word for sentence in own for word in sentence.split()}
        words = sorted(word for word, n in counts.items() if n >= options.min_count or word in always)
        if not words:
            raise Misconfigured(
                f"No word of these texts occurs {options.min_count} times.",
                next="Give more text, or a lower --min-count.",
            )
        (scratch / "words").write_text("\n".join(words) + "\n", encoding="utf-8")
        _estimate(scratch, options)
        shutil.copy(scratch / "bin", made / "lm.binary")
        (made / "unigrams.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        report = LanguageModelReport(
            sentences=total,
            words=sum(counts.values()),
            vocabulary=len(words),
            **_judged(made / "lm.binary", kept),
            bytes=(made / "lm.binary").stat().st_size,
            options=asdict(options),
        )
        (made / "report.json").write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    return report


def check_replaceable(folder: Path) -> None:
    """Raises Misconfigured where `folder` holds something that is no language model: it would be lost."""
    held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if not folder.exists() or (folder.is_dir() and (not held or "lm.binary" in held)):
        return
    raise Misconfigured(
        f"{folder} holds something else than a language model of `train lm`; nothing was changed.",
        next="Name another folder with --out.",
    )


def _estimate(scratch: Path, options: LanguageModelOptions) -> None:
    """From `text` and `words` in `scratch` to the quantised trie `bin`."""
    command = [str(tool("lmplz")), "-o", str(options.order), "-S", options.memory, "-T", str(scratch)]
    command += ["--limit_vocab_file", str(scratch / "words"), "--prune", *map(str, options.prune[: options.order])]
    command += ["--text", str(scratch / "text"), "--arpa", str(scratch / "arpa")]
    # Small texts lack the counts that Kneser-Ney discounts are estimated from.
    _run([*command, "--discount_fallback"])
    bits = str(options.quantise_bits)
    trie = ["-q", bits, "-b", bits, "-a", "22", "trie"]
    _run([str(tool("build_binary")), *trie, str(scratch / "arpa"), str(scratch / "bin")])


def _judged(model: Path, sentences: Sequence[str]) -> dict[str, Any]:
    """Perplexity with and without unknown words (ends of sentences count, as KenLM's own tool has it), and the share of
    words that are unknown; nothing without sentences."""
    import kenlm

    loaded = kenlm.Model(str(model))
    logs, known, tokens, unknown, words = 0.0, 0.0, 0, 0, 0
    for sentence in sentences:
        words += len(sentence.split())
        for log10, _, is_unknown in loaded.full_scores(sentence):
            logs += log10
            tokens += 1
            unknown += is_unknown
            known += 0.0 if is_unknown else log10
    if not tokens:
        return {"held_out_sentences": 0, "perplexity": None, "perplexity_known": None, "out_of_vocabulary": None}
    return {
        "held_out_sentences": len(sentences),
        "perplexity": round(10 ** (-logs / tokens), 1),
        "perplexity_known": round(10 ** (-known / max(1, tokens - unknown)), 1),
        "out_of_vocabulary": round(unknown / max(1, words), 5),
    }


def tool(name: str) -> Path:
    """`lmplz` or `build_binary`: on the PATH, in the cache, or built into it from kenlm's source package.

    Raises:
        MissingTool: it is nowhere and cannot be built.
    """
    if found := shutil.which(name):
        return Path(found)
    if not (TOOLS / name).exists():
        _build_tools()
    return TOOLS / name


def _build_tools() -> None:
    missing = [program for program in ("cmake", "c++", "make") if not shutil.which(program)]
    if missing:
        raise MissingTool(
            f"KenLM's lmplz is not installed, and {', '.join(missing)} to build it is missing.",
            next="apt-get install cmake g++ make libboost-all-dev zlib1g-dev",
        )
    with tempfile.TemporaryDirectory(prefix="nightscribe-kenlm-") as name:
        folder = Path(name)
        try:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
            _made([*pip, "--no-binary", "kenlm", "--dest", str(folder), KENLM])
            with tarfile.open(next(folder.glob("kenlm-*.tar.gz"))) as archive:
                # Python 3.11 has the filter from 3.11.4 on; this archive is a package of one known version.
                options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
                archive.extractall(folder, **options)  # noqa: S202
            source = next(path for path in folder.iterdir() if path.is_dir())
            _made(["cmake", "-S", str(source), "-B", str(folder / "build"), "-DCMAKE_BUILD_TYPE=Release"])
            _made(["make", "-C", str(folder / "build"), "-j2", "lmplz", "build_binary"])
        except (subprocess.CalledProcessError, StopIteration) as error:
            detail = getattr(error, "stderr", b"") or b""
            raise MissingTool(
                f"KenLM's lmplz could not be built: {detail.decode(errors='replace')[-300:]}",
                next="apt-get install libboost-all-dev zlib1g-dev libbz2-dev liblzma-dev, then run this again.",
            ) from error
        TOOLS.mkdir(parents=True, exist_ok=True)
        for program in ("lmplz", "build_binary"):
            shutil.copy2(folder / "build" / "bin" / program, TOOLS / program)


def _made(command: list[str]) -> None:
    subprocess.run(command, capture_output=True, check=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode < 0:
        raise OutOfMemory(
            f"{Path(command[0]).name} was ended by {signal.Signals(-done.returncode).name}.",
            next="Free some memory, or say less with --memory.",
        )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise Misconfigured(
            f"{Path(command[0]).name}: {said[-300:]}", next="Give more text, a lower --order, or less --prune."
        )
