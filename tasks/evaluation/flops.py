"""How many floating-point operations something takes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def counted(act: Callable[[], object]) -> int:
    """The operations of `act` in products of matrices and in convolutions, as torch counts them.

    Its counter passes over what is fused: the layers of `nn.TransformerEncoder` in inference, and attention on a CPU. Here they
    are computed in parts.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            act()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops())
