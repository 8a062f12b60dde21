"""How long the backward pass of attention takes on this CPU: in bf16, as torch does it, and in float32.

    python tests/bench/attention.py

Prints the milliseconds of one pass at the shapes of small models, the middle of several, beside a whole layer's with and without
`tasks.training.attention.Float32Attention`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn import functional

from nightscribe.bench.table import machine
from tasks.training.attention import Float32Attention

SHAPES = [
    (64, 156, 2, 64),
    (64, 156, 4, 32),
    (8, 400, 6, 64),
    (4, 1500, 8, 64),
]  # sequences, tokens, heads, size of a head
TIMES = 7


def middle(
    prepare: Callable[[], torch.Tensor], within: Callable[[], AbstractContextManager[Any]] = nullcontext
) -> float:
    """Milliseconds of the backward pass of what `prepare` computes."""
    taken = []
    for _ in range(TIMES):
        loss = prepare()
        began = time.perf_counter()
        with within():
            loss.backward()  # type: ignore[no-untyped-call]
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken[1:])


def attention(shape: tuple[int, int, int, int], dtype: torch.dtype) -> torch.Tensor:
    n, tokens, heads, size = shape
    given = [torch.randn(n, tokens, heads, size, dtype=dtype).transpose(1, 2).requires_grad_() for _ in range(3)]
    return functional.scaled_dot_product_attention(*given).float().sum()


def layer(shape: tuple[int, int, int, int]) -> torch.Tensor:
    n, tokens, heads, size = shape
    made = torch.nn.TransformerEncoderLayer(heads * size, heads, 4 * heads * size, 0.0, batch_first=True)
    with torch.autocast("cpu", torch.bfloat16):
        states: torch.Tensor = made(torch.randn(n, tokens, heads * size))
    return states.float().square().sum()


def main() -> None:
    print(f"{machine()}, {torch.get_num_threads()} threads")
    for shape in SHAPES:
        narrow, wide = (middle(lambda: attention(shape, dtype)) for dtype in (torch.bfloat16, torch.float32))  # noqa: B023
        plain, ours = middle(lambda: layer(shape)), middle(lambda: layer(shape), Float32Attention)  # noqa: B023
        print(
            "{} sequences of {} tokens, {} heads of {}:".format(*shape),
            f"attention {narrow:.0f} ms in bf16, {wide:.0f} ms in float32; a layer in bf16 {plain:.0f} ms, {ours:.0f} ms so",
        )


if __name__ == "__main__":
    main()
