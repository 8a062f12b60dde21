"""Attention's part of a backward pass on CPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default


class Float32Attention(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it the backward pass of attention on CPUs is computed in float32 where bf16 is given.

    torch's kernel for it (2.13) is slower in bf16 than in float32 even where the processor multiplies bf16: for sequences of some
    hundred tokens it takes 1.4 to 5 times as long, of more than a thousand not (`python tests/bench/attention.py`). Every other
    operation stays as it is. What reads longer sequences is better off without fused attention (tasks/training/asr.py).
    """

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is BACKWARD and args[0].dtype is torch.bfloat16:
            wide = [one.float() if isinstance(one, torch.Tensor) else one for one in args]
            return tuple(gradient.to(torch.bfloat16) for gradient in func(*wide, **(kwargs or {})))
        return func(*args, **(kwargs or {}))


def backward_on(device: torch.device) -> AbstractContextManager[Any]:
    """What a backward pass on `device` runs in. On a GPU every operation would pass through Python for nothing."""
    return Float32Attention() if device.type == "cpu" else nullcontext()  # type: ignore[no-untyped-call]
