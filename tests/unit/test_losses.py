"""The losses of speech training, by numbers that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.training.losses import Targets, ctc, disagreement, log_probabilities
from tasks.training.scratch import letters

TWO_FRAMES = torch.tensor([2])


def targets(*texts: str, frames: torch.Tensor) -> Targets:
    return Targets.of(list(texts), frames, letters(), torch.device("cpu"))


def logs(*rows: list[float]) -> torch.Tensor:
    """One clip of (frames, tokens) probabilities."""
    return torch.tensor([rows]).log()


def test_ctc_is_the_mean_cost_of_a_character():
    # "a" in two frames of evenly likely tokens: aa, a-, -a are three of 30 * 30 ways.
    found = ctc(log_probabilities(torch.zeros(2, 2, 30)), targets("a", "a", frames=torch.tensor([2, 2])), blank=0)
    assert float(found) == pytest.approx(-math.log(3 / 900))


def test_a_text_that_is_longer_than_its_frames_costs_nothing():
    assert float(ctc(log_probabilities(torch.zeros(1, 2, 30)), targets("abc", frames=TWO_FRAMES), blank=0)) == 0


def test_clips_of_which_none_has_a_word_cost_what_is_heard_in_them():
    found = ctc(log_probabilities(torch.zeros(1, 2, 30)), targets("", frames=TWO_FRAMES), blank=0)
    assert float(found) == pytest.approx(2 * math.log(30))


def apart(one: torch.Tensor, other: torch.Tensor, *texts: str, frames: torch.Tensor) -> torch.Tensor:
    return disagreement(torch.cat([one, other]), targets(*texts, *texts, frames=frames.repeat(2)))


def test_two_views_that_say_the_same_agree():
    view = log_probabilities(torch.randn(3, 5, 30, generator=torch.Generator().manual_seed(0)))
    assert float(apart(view, view, "a", "b", "c", frames=torch.tensor([5, 3, 1]))) == 0


def test_what_two_views_disagree_is_the_mean_of_both_divergences():
    one, other = logs([0.5, 0.5], [0.9, 0.1]), logs([0.8, 0.2], [0.9, 0.1])
    there = 0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2)
    back = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    assert float(apart(one, other, "a", frames=TWO_FRAMES)) == pytest.approx((there + back) / 2)
    assert float(apart(one, other, "ab", frames=TWO_FRAMES)) == pytest.approx((there + back) / 4)


def test_frames_of_padding_are_not_asked():
    one, other = logs([0.5, 0.5], [0.9, 0.1]), logs([0.5, 0.5], [0.1, 0.9])
    assert float(apart(one, other, "a", frames=torch.tensor([1]))) == 0
    assert float(apart(one, other, "a", frames=TWO_FRAMES)) > 1


def test_each_view_learns_from_the_other_as_it_is():
    raw = [torch.tensor([[[0.0, 1.0]]], requires_grad=True), torch.tensor([[[2.0, 0.0]]], requires_grad=True)]
    apart(*map(log_probabilities, raw), "a", frames=torch.tensor([1])).backward()
    one, other = (view.detach().softmax(-1) for view in raw)
    # Of a divergence from a fixed teacher, the gradient is what is said less what the teacher says.
    assert torch.allclose(raw[0].grad, (one - other) / 2)
    assert torch.allclose(raw[1].grad, (other - one) / 2)
