"""What batch norms remember of the batches that went through them."""

from __future__ import annotations

import torch
from torch import nn


class RunningStatistics:
    """The running means and variances of a model's batch norms, kept before a step and put back where it is skipped.

    They change in the forward pass, before anybody can know whether the gradients are finite: one batch that overflows
    would leave its mark, or NaN, in every later transcript.
    """

    def __init__(self, model: nn.Module) -> None:
        self.norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        self.kept: list[torch.Tensor] = []

    def keep(self) -> None:
        """Note them as they are now."""
        self.kept = [buffer.clone() for norm in self.norms for buffer in norm.buffers(recurse=False)]

    @torch.no_grad()
    def put_back(self) -> None:
        """Make them again what they were at the last `keep`."""
        buffers = [buffer for norm in self.norms for buffer in norm.buffers(recurse=False)]
        for buffer, kept in zip(buffers, self.kept, strict=True):
            buffer.copy_(kept)
