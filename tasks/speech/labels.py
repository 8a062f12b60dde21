"""What the tokens of a model stand for.

A label is the text of its token: "" the blank, " " a border between words. Of subwords (SentencePiece and its kin) the first of
a word begins with `BORDER` instead. Nothing here imports torch or transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

UNWRITABLE = "⁇"  # how the label of a token begins that stands for no text
BORDER = "▁"  # U+2581, before the first subword of a word
# A border that is a token of its own. pyctcdecode (0.5.0) takes a label that ends in a border for one that ends a word, and then
# ends the word of whichever beam is next.
ALONE = BORDER + " "


def are_subwords(labels: Iterable[str]) -> bool:
    """Whether words begin with a border of their first token, and there is none between them."""
    return any(label.startswith(BORDER) for label in labels)


def writes_text(label: str) -> bool:
    """Whether a token is a part of the text: neither the blank nor a special token."""
    return bool(label) and not label.startswith(UNWRITABLE)


def text_of(labels: Sequence[str], tokens: Iterable[int]) -> str:
    """The text of tokens that a CTC model wrote one after the other, words a space apart."""
    said = "".join(labels[token] for token in tokens if writes_text(labels[token]))
    return " ".join(said.replace(BORDER, " ").split())


def case_of(texts: Iterable[str]) -> Callable[[str], str] | None:
    """What brings a word into the letters of these texts, `str.lower` or `str.upper`; None where they have both, or neither."""
    letters = [char for text in texts for char in text if char.isalpha() and char.lower() != char.upper()]
    capitals = sum(char.isupper() for char in letters)
    if not letters or 0 < capitals < len(letters):
        return None
    return str.upper if capitals else str.lower


@lru_cache(maxsize=16)
def as_written(labels: tuple[str, ...]) -> Callable[[str], str]:
    """What brings a word into the case in which these labels write."""
    return case_of(label for label in labels if writes_text(label)) or str


def token_labels(tokenizer: Any, size: int, blank: int) -> tuple[str, ...]:
    """The label of each of `size` tokens of a tokenizer of `transformers`. Special tokens stand for nothing writable."""
    vocab = {i: token for token, i in tokenizer.get_vocab().items()}
    border = getattr(tokenizer, "word_delimiter_token", None)
    special = {str(token) for token in getattr(tokenizer, "all_special_tokens", ())}
    special |= {tokenizer.unk_token, tokenizer.bos_token, tokenizer.eos_token} - {None}
    in_bytes = _bytes_of(tokenizer)
    labels: list[str] = []
    for i in range(size):
        token = vocab.get(i, "")
        if i == blank:
            label = ""
        elif token == border or token == " ":
            label = " "
        elif not token or token in special:
            label = f"{UNWRITABLE}{i}"
        else:
            label = token if in_bytes is None else _decoded(token, in_bytes)
            label = ALONE if label == BORDER else label or f"{UNWRITABLE}{i}"
        labels.append(label)
    return _without_doubles(labels)


def _without_doubles(labels: Sequence[str]) -> tuple[str, ...]:
    """Of tokens with the same text the first one stands for it."""
    seen: set[str] = set()
    out = []
    for i, label in enumerate(labels):
        out.append(f"{UNWRITABLE}{i}" if label in seen else label)
        seen.add(label)
    return tuple(out)


def _bytes_of(tokenizer: Any) -> dict[str, int] | None:
    """Of a byte-level vocabulary (as GPT-2 has it) the byte that each of its characters stands for."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or "ByteLevel" not in type(backend.decoder).__name__ + str(backend.pre_tokenizer):
        return None
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


def _decoded(token: str, in_bytes: dict[str, int]) -> str:
    """The text of a byte-level token, its space as a border; "" where its bytes are no whole characters."""
    try:
        text = bytes(in_bytes[char] for char in token).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return ""
    return text.replace(" ", BORDER)
