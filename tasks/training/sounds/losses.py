"""What a model of sounds and texts is trained to lessen beside the contrast."""

from __future__ import annotations

import torch
from torch import nn

from tasks.models.flap import FlapConfig, places


class Reconstruction(nn.Module):
    """Says of the patches that were dropped what they were, by those that were seen and by the text (FLAP; He et al. 2022)."""

    def __init__(self, config: FlapConfig, *, size: int = 512, layers: int = 4) -> None:
        super().__init__()
        size = min(size, config.hidden_size)
        self.of_seen = nn.Linear(config.hidden_size, size)
        self.of_text = nn.Linear(config.projection_dim, size)
        self.unseen = nn.Parameter(torch.randn(size) * config.initializer_range)
        heads = max(1, size // 64)
        layer = nn.TransformerEncoderLayer(
            size, heads, 4 * size, 0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(size), enable_nested_tensor=False)
        self.out = nn.Linear(size, config.patch_size**2)
        self.bands = config.grid[1]

    def forward(
        self, states: torch.Tensor, seen: torch.Tensor, text: torch.Tensor, patches: torch.Tensor
    ) -> torch.Tensor:
        """The mean squared error over the patches that were not seen.

        Args:
            states: of the patches that were seen, (sounds, kept, hidden); `seen`: their numbers, (sounds, kept).
            text: (sounds, size). patches: all that there are, (sounds, patches, size * size).
        """
        sounds, count = patches.shape[:2]
        known = self.of_seen(states)
        where = seen[..., None].expand(-1, -1, known.shape[-1])
        whole = self.unseen.to(known).expand(sounds, count, -1).scatter(1, where, known)
        whole = whole + places(count // self.bands, self.bands, known.shape[-1]).to(known)
        read = self.layers(torch.cat([self.of_text(text)[:, None].to(whole), whole], dim=1))[:, 1:]
        error = (self.out(read).float() - patches.float()).square().mean(dim=-1)
        missing = torch.ones(sounds, count, device=error.device).scatter(1, seen, 0.0)
        mean: torch.Tensor = (error * missing).sum() / missing.sum().clamp(min=1)
        return mean
