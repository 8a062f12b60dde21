"""A small BERT from nothing: its vocabulary, its shape, and masked words before any label (Devlin et al. 2019)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

from tasks.hardware import cpu_has_bf16
from tasks.quiet import quiet_transformers


def make_tokenizer(texts: Iterable[str], size: int, folder: Path) -> Any:
    """A lower-case WordPiece vocabulary of `size` learnt from texts, saved to `folder`."""
    from tokenizers import BertWordPieceTokenizer

    learner = BertWordPieceTokenizer(lowercase=True)
    learner.train_from_iterator(texts, vocab_size=size, min_frequency=2, show_progress=False)
    with tempfile.TemporaryDirectory() as name:
        learner.save_model(name)
        vocab = {line: i for i, line in enumerate(Path(name, "vocab.txt").read_text(encoding="utf-8").splitlines())}
    tokenizer = BertTokenizerFast(vocab=vocab, do_lower_case=True, model_max_length=512)
    tokenizer.save_pretrained(folder)
    return tokenizer


def small_bert(vocab_size: int, *, hidden: int = 256, layers: int = 4) -> BertConfig:
    """The shape of BERT-mini (Turc et al. 2019)."""
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=hidden * 4,
        max_position_embeddings=512,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def pretrain(
    config: BertConfig,
    tokenizer: Any,
    texts: Sequence[str],
    folder: Path,
    *,
    steps: int,
    tokens: int = 128,
    batch_size: int = 32,
    learning_rate: float = 5e-4,
    seed: int = 0,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Masked-language-model training from scratch on unlabelled texts; resumes from `folder`."""
    quiet_transformers()
    torch.manual_seed(seed)
    model = BertForMaskedLM(config)
    start = 0
    if (folder / "mlm.json").exists():
        model = BertForMaskedLM.from_pretrained(folder)
        start = json.loads((folder / "mlm.json").read_text(encoding="utf-8"))["step"]
    ids = np.concatenate([np.array(tokenizer(text, add_special_tokens=False).input_ids, np.int32) for text in texts])
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    model.train()
    for step in range(start, steps):
        rng = np.random.default_rng((seed, step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 200, (steps - step) / max(1, steps * 0.5))
        at = rng.integers(0, len(ids) - tokens, batch_size)
        inputs = np.stack([ids[i : i + tokens] for i in at]).astype(np.int64)
        chosen = rng.random(inputs.shape) < 0.15
        labels = np.where(chosen, inputs, -100)
        kind = rng.random(inputs.shape)
        inputs = np.where(chosen & (kind < 0.8), tokenizer.mask_token_id, inputs)
        inputs = np.where(chosen & (kind >= 0.9), rng.integers(5, config.vocab_size, inputs.shape), inputs)
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            hidden = model.bert(torch.from_numpy(inputs)).last_hidden_state
            picked = torch.from_numpy(chosen)
            scores = model.cls(hidden[picked])
        loss = functional.cross_entropy(scores.float(), torch.from_numpy(labels)[picked])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        on_step(step + 1, float(loss.detach()))
        if (step + 1) % 500 == 0 or step + 1 == steps:
            model.save_pretrained(folder)
            (folder / "mlm.json").write_text(json.dumps({"step": step + 1}), encoding="utf-8")
