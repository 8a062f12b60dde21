"""What brings pairs together and holds others apart."""

from __future__ import annotations

import torch
from torch.nn import functional


def contrast(others: torch.Tensor, texts: torch.Tensor, same: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """InfoNCE in both directions (van den Oord et al. 2018; Radford et al. 2021): each is to find its own among all of a batch.

    Args:
        others: (n, size), and `texts` (n, size); need not be of unit length.
        same: (n, n), true where a text is as good as the other's own; which of them is meant is not to be told.
        scale: what cosines are multiplied by, one over the temperature.
    """
    logits = scale * functional.normalize(others.float(), dim=-1) @ functional.normalize(texts.float(), dim=-1).T
    wanted = same.to(logits) / same.sum(dim=1, keepdim=True)
    return (functional.cross_entropy(logits, wanted) + functional.cross_entropy(logits.T, wanted.T.contiguous())) / 2


def sigmoid(
    others: torch.Tensor, texts: torch.Tensor, same: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Each pair is judged alone, whether it belongs together (Zhai et al. 2023, SigLIP); per pair of its own.

    Args:
        bias: is added to the scaled cosines; the others are those of `contrast`.
    """
    logits = scale * functional.normalize(others.float(), dim=-1) @ functional.normalize(texts.float(), dim=-1).T + bias
    signs = 2 * same.to(logits) - 1
    return -functional.logsigmoid(signs * logits).sum() / len(others)
