"""What a speech model is trained to lessen: CTC on its last layer, and, if asked, two helps that need no further label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional


@dataclass(frozen=True)
class Targets:
    """Labels of a batch: `flat` of shape (characters of all clips,), `sizes` (clips,), and each clip's `frames` (clips,)."""

    flat: torch.Tensor
    sizes: torch.Tensor
    frames: torch.Tensor

    @classmethod
    def of(cls, texts: list[str], frames: torch.Tensor, tokenizer: Any, device: torch.device) -> Targets:
        labels = [tokenizer(text).input_ids for text in texts]
        flat = torch.tensor([i for clip in labels for i in clip], dtype=torch.long, device=device)
        return cls(flat, torch.tensor([len(clip) for clip in labels]), frames)

    @property
    def characters(self) -> torch.Tensor:
        return self.sizes.sum().clamp(min=1)


def log_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Log-softmax in fp32, whatever the precision of `logits`: (clips, frames, tokens)."""
    return functional.log_softmax(logits.float(), dim=-1)


def ctc(log_probs: torch.Tensor, targets: Targets, blank: int) -> torch.Tensor:
    """CTC loss a character (Graves et al. 2006) of (clips, frames, tokens); a text longer than its frames costs nothing."""
    each = functional.ctc_loss(
        log_probs.transpose(0, 1),
        targets.flat,
        targets.frames,
        targets.sizes,
        blank=blank,
        reduction="none",
        zero_infinity=True,
    )
    return each.sum() / targets.characters


def disagreement(log_probs: torch.Tensor, targets: Targets) -> torch.Tensor:
    """How far two views of the same clips differ, in nats a character: the mean of both divergences, over real frames.

    `log_probs` has the clips twice, (2 * clips, frames, tokens), and `targets` too. The consistency term of CR-CTC (Yao et
    al., "CR-CTC: consistency regularization on CTC for improved speech recognition", 2025): each view learns from the
    other, which it takes as given.
    """
    one, other = log_probs.chunk(2)
    teachers = torch.cat([other, one]).detach()
    divergence = functional.kl_div(log_probs, teachers, reduction="none", log_target=True)
    real = torch.arange(log_probs.shape[1])[None] < targets.frames[:, None]
    return torch.where(real.to(log_probs.device)[..., None], divergence, 0.0).sum() / targets.characters
