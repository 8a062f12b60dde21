"""A tokenizer of the words of some captions: the same one for the same captions, on any machine."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LONGEST = 77


def words_tokenizer(captions: Iterable[str], most: int) -> PreTrainedTokenizerFast:
    """The `most` frequent words whole, and all letters that occur, of which other words are made.

    Made by hand: what trainers of the `tokenizers` library do with ties differs from run to run.
    """
    normalise, cut = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    counts: dict[str, int] = {}
    for caption in captions:
        for word, _ in cut.pre_tokenize_str(normalise.normalize_str(caption)):
            counts[word] = counts.get(word, 0) + 1
    letters = sorted({letter for word in counts for letter in word} | set("abcdefghijklmnopqrstuvwxyz"))
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:most]
    tokens = dict.fromkeys([*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *frequent])
    made = Tokenizer(WordPiece({token: number for number, token in enumerate(tokens)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalise, cut
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=LONGEST,
    )
