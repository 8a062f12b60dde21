"""The backward pass of attention on CPUs: nearly the same gradients, computed in float32."""

import pytest
import torch

from tasks.training import attention
from tasks.training.attention import Float32Attention, backward_on

MASKS = {
    "none": None,
    "what is there": (torch.arange(33) < 30)[None, :],
    "added": torch.zeros(1, 33).masked_fill(torch.arange(33) >= 30, torch.finfo(torch.bfloat16).min),
}


def gradients(how, dtype, mask=None):
    torch.manual_seed(0)
    given = [torch.randn(2, 2, 33, 16).to(dtype).requires_grad_() for _ in range(3)]
    mask = mask.to(dtype) if mask is not None and mask.is_floating_point() else mask
    with how:
        torch.nn.functional.scaled_dot_product_attention(*given, attn_mask=mask).float().square().sum().backward()
    return [one.grad for one in given]


@pytest.mark.parametrize("mask", MASKS)
def test_gradients_of_bf16_are_nearer_to_those_of_float32_and_stay_bf16(mask):
    cpu, elsewhere = torch.device("cpu"), torch.device("meta")
    exact = gradients(backward_on(cpu), torch.float32, MASKS[mask])
    plain = gradients(backward_on(elsewhere), torch.bfloat16, MASKS[mask])
    wide = gradients(backward_on(cpu), torch.bfloat16, MASKS[mask])
    assert {one.dtype for one in wide} == {torch.bfloat16}

    def off(found):
        return sum(float((one.float() - true).norm()) for one, true in zip(found, exact, strict=True))

    assert off(wide) < off(plain) < 0.05 * sum(float(one.norm()) for one in exact)


def test_torch_calls_the_kernel_that_is_caught(monkeypatch):
    """Should it call another one day, training would be slow without a word."""
    seen = []
    through = Float32Attention.__torch_dispatch__

    def watched(self, func, types, args=(), kwargs=None):
        seen.append(func)
        return through(self, func, types, args, kwargs)

    monkeypatch.setattr(Float32Attention, "__torch_dispatch__", watched)
    gradients(Float32Attention(), torch.bfloat16)
    assert attention.BACKWARD in seen


def test_a_gpu_is_left_alone():
    assert not isinstance(backward_on(torch.device("cuda")), Float32Attention)
