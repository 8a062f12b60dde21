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

from tasks.arrays import Array
from tasks.machine.folders import replacing
from tasks.machine.hardware import cpu_has_bf16
from tasks.models.load import choose_device, quiet_transformers
from tasks.training.attention import backward_on


def make_tokenizer(texts: Iterable[str], size: int, folder: Path) -> Any:
    """A lower-case WordPiece vocabulary of `size` learnt from texts and kept in `folder`; one that is there is taken.

    Learning it again would give the same pieces other numbers.
    """
    from tokenizers import BertWordPieceTokenizer

    if (folder / "tokenizer.json").exists():
        return BertTokenizerFast.from_pretrained(folder)
    learner = BertWordPieceTokenizer(lowercase=True)
    learner.train_from_iterator(texts, vocab_size=size, min_frequency=2, show_progress=False)
    with tempfile.TemporaryDirectory() as name:
        learner.save_model(name)
        vocab = {line: i for i, line in enumerate(Path(name, "vocab.txt").read_text(encoding="utf-8").splitlines())}
    tokenizer = BertTokenizerFast(vocab=vocab, do_lower_case=True, model_max_length=512)
    with replacing(folder) as part:
        tokenizer.save_pretrained(part)
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
    """Masked-language-model training from scratch on unlabelled texts; goes on from what is in `folder`."""
    quiet_transformers()
    torch.manual_seed(seed)
    device = torch.device(choose_device("auto"))
    start = 0
    model = BertForMaskedLM(config)
    if (folder / "mlm.json").exists():
        model = BertForMaskedLM.from_pretrained(folder)
        start = json.loads((folder / "mlm.json").read_text(encoding="utf-8"))["step"]
    model.to(device)
    ids = np.concatenate([np.array(tokenizer(text, add_special_tokens=False).input_ids, np.int32) for text in texts])
    ids = ids if len(ids) > tokens else np.resize(ids, tokens + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    if start:
        optimizer.load_state_dict(torch.load(folder / "optimizer.pt", weights_only=True))
    model.train()

    def keep(step: int) -> None:
        with replacing(folder) as part:
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
            torch.save(optimizer.state_dict(), part / "optimizer.pt")
            (part / "mlm.json").write_text(json.dumps({"step": step}), encoding="utf-8")

    for step in range(start, steps):
        torch.manual_seed(seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 200, (steps - step) / max(1, steps * 0.5))
        inputs, labels, chosen = _masked(ids, tokens, batch_size, config.vocab_size, tokenizer, (seed, step))
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or cpu_has_bf16()):
            hidden = model.bert(inputs.to(device)).last_hidden_state
            picked = chosen.to(device)
            scores = model.cls(hidden[picked])
        loss = functional.cross_entropy(scores.float(), labels.to(device)[picked])
        optimizer.zero_grad(set_to_none=True)
        with backward_on(device):
            loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        on_step(step + 1, float(loss.detach()))
        if (step + 1) % 500 == 0:
            keep(step + 1)
    if start < steps or not start:
        keep(steps)


def _masked(
    ids: Array, tokens: int, batch_size: int, vocabulary: int, tokenizer: Any, seed: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs, labels and which tokens are asked for: 15 %, of which 80 % are masked and 10 % are another token."""
    rng = np.random.default_rng(seed)
    at = rng.integers(0, len(ids) - tokens, batch_size)
    labels = np.stack([ids[i : i + tokens] for i in at]).astype(np.int64)
    chosen, kind = rng.random(labels.shape) < 0.15, rng.random(labels.shape)
    inputs = np.where(chosen & (kind < 0.8), tokenizer.mask_token_id, labels)
    inputs = np.where(chosen & (kind >= 0.9), rng.integers(5, vocabulary, inputs.shape), inputs)
    return torch.from_numpy(inputs), torch.from_numpy(labels), torch.from_numpy(chosen)
