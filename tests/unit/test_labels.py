"""What tokens stand for: letters, subwords, bytes, special tokens, and the spellings that they make of words."""

from __future__ import annotations

import pytest
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE, Unigram

from tasks.speech.labels import ALONE, are_subwords, case_of, text_of, token_labels
from tasks.speech.spelling import spell


def fast(tokens: list[str], **special: str) -> transformers.PreTrainedTokenizerFast:
    backend = Tokenizer(Unigram([(token, -1.0) for token in tokens], unk_id=0))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def test_subwords_keep_their_border_and_special_tokens_write_nothing():
    tokens = ["<unk>", "▁the", "end", "▁", "<eos>", "<pad>"]
    tokenizer = fast(tokens, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>")
    labels = token_labels(tokenizer, 6, 5)
    assert labels == ("⁇0", "▁the", "end", ALONE, "⁇4", "")
    assert are_subwords(labels)
    assert text_of(labels, [0, 1, 3, 2, 4, 1]) == "the end the"


def test_a_model_may_have_more_tokens_than_its_tokenizer():
    assert token_labels(fast(["<unk>", "▁a"], unk_token="<unk>"), 4, 3) == ("⁇0", "▁a", "⁇2", "")


def test_of_tokens_with_one_text_the_first_stands_for_it():
    assert token_labels(fast(["<unk>", "a", "▁a"], unk_token="<unk>"), 3, 0)[1:] == ("a", "▁a")
    backend = Tokenizer(BPE({"a": 0, "|": 1, " ": 2, "<pad>": 3}, []))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>")
    tokenizer.word_delimiter_token = "|"
    assert token_labels(tokenizer, 4, 3) == ("a", " ", "⁇2", "")


def test_bytes_are_letters_where_they_are_whole():
    backend = Tokenizer(BPE({"<pad>": 0, "Ġthe": 1, "Ã©": 2, "Ã": 3, "x": 4}, []))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>")
    assert token_labels(tokenizer, 5, 0) == ("", "▁the", "é", "⁇3", "x")


@pytest.mark.parametrize(
    ("texts", "given", "written"),
    [(["", "a", "'"], "Bank", "bank"), (["A", " ", "⁇3"], "Bank", "BANK"), (["a", "B"], "Bank", "Bank")],
)
def test_words_are_brought_into_the_case_of_the_labels(texts, given, written):
    assert (case_of(texts) or str)(given) == written


def test_every_way_to_write_a_word_and_no_dead_end():
    labels = ("", "▁ra", "tes", "▁rat", "es", "e", "▁r", "x")
    spelling = spell(["rates"], labels)
    found = {(labels[token], start, end) for token, start, end in zip(
        spelling.tokens.tolist(), spelling.starts.tolist(), spelling.ends.tolist(), strict=True
    )}  # fmt: skip
    assert {label for label, *_ in found} == {"▁ra", "tes", "▁rat", "es"}, "▁r and e lead nowhere"
    assert spelling.places == 4
    assert not spelling.is_chain


def test_letters_make_one_chain_with_borders_between_words():
    labels = ("", " ", "a", "b")
    spelling = spell(["ab", "?", "b!a"], labels)
    assert [labels[token] for token in spelling.tokens] == ["a", "b", " ", "b", "a"]
    assert spelling.owners.tolist() == [0, 0, -1, 2, 2]
    assert spelling.is_chain
    assert len(spell([], labels).tokens) == len(spell(["?"], labels).tokens) == 0
