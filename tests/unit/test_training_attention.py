"""The backward pass of attention on CPUs: the same gradients, computed in float32."""

import pytest
import torch

from tasks.training.attention import Float32Attention, backward_on


def gradients(how, dtype):
    torch.manual_seed(0)
    given = [torch.randn(2, 2, 33, 16).to(dtype).requires_grad_() for _ in range(3)]
    loss = torch.nn.functional.scaled_dot_product_attention(*given).float().square().sum()
    with how:
        loss.backward()
    return [one.grad for one in given]


def test_gradients_of_bf16_are_nearer_to_those_of_float32_and_stay_bf16():
    exact = gradients(backward_on(torch.device("cpu")), torch.float32)
    plain = gradients(backward_on(torch.device("meta")), torch.bfloat16)
    wide = gradients(Float32Attention(), torch.bfloat16)
    assert {one.dtype for one in wide} == {torch.bfloat16}
    for true, rounded, better in zip(exact, plain, wide, strict=True):
        assert (better.float() - true).norm() <= (rounded.float() - true).norm()
        assert better.float().numpy() == pytest.approx(true.numpy(), abs=0.05 * float(true.abs().max()))


def test_the_kernel_is_the_one_that_torch_calls(monkeypatch):
    """Should torch name it otherwise one day, training would be slow without a word."""
    seen = []
    through = Float32Attention.__torch_dispatch__

    def watched(self, func, types, args=(), kwargs=None):
        seen.append(str(func))
        return through(self, func, types, args, kwargs)

    monkeypatch.setattr(Float32Attention, "__torch_dispatch__", watched)
    gradients(Float32Attention(), torch.bfloat16)
    assert any("flash_attention_for_cpu_backward" in one for one in seen)


def test_a_gpu_is_left_alone():
    assert not isinstance(backward_on(torch.device("cuda")), Float32Attention)
