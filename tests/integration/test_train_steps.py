"""What one step of training costs, and what one that cannot be made leaves behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training import QUICK, batch_of, clips, corpus, trainer  # noqa: F401

from tasks.errors import Misconfigured
from tasks.training.asr import Trainer
from tasks.training.clips import ClipStore
from tasks.training.scratch import small_model

# -- two views of a clip --------------------------------------------------------------------------------------------


def first_loss(clips: ClipStore, folder: Path, consistency: float, mask_time: float) -> float:
    run = trainer(clips, folder, replace(QUICK, consistency=consistency, mask_time=mask_time))
    run.model.config.mask_feature_prob = 0.0
    return run.train_step(0, batch_of(run, clips))


def test_two_views_without_masks_cost_what_one_does(clips, tmp_path):
    one = first_loss(clips, tmp_path / "one", 0.0, 0.0)
    two = first_loss(clips, tmp_path / "two", 5.0, 0.0)
    assert two == pytest.approx(one, rel=1e-4)


def test_what_two_views_disagree_is_paid_for_by_its_weight(clips, tmp_path):
    light, heavy, heavier = (first_loss(clips, tmp_path / f"{weight}", weight, 0.5) for weight in (1.0, 101.0, 201.0))
    assert heavy > light
    assert heavier - heavy == pytest.approx(heavy - light, rel=1e-2)


def test_silenced_bands_alone_make_two_views_differ(clips, tmp_path):
    model = small_model(30, hidden=64, layers=1)
    model.config.mask_feature_prob = 0.0
    losses = []
    for bands in (0, 2):
        options = replace(QUICK, mask_time=0.0, mask_bands=bands, consistency=5.0 if bands else 0.0)
        run = trainer(clips, tmp_path / str(bands), options, model)
        losses.append(float(run.loss(batch_of(run, clips)).detach()))
    assert losses[1] > losses[0] + 0.01


@pytest.mark.parametrize(
    ("options", "config", "said"),
    [
        ({"mask_time": 0.3}, {"apply_spec_augment": False}, "masks no frames"),
        ({"consistency": 0.2, "mask_time": 0.0}, {"mask_feature_prob": 0.0}, "would be the same"),
    ],
)
def test_masks_that_are_asked_of_a_model_without_any_are_refused(clips, tmp_path, options, config, said):
    model = small_model(30, hidden=64, layers=1)
    for name, value in config.items():
        setattr(model.config, name, value)
    with pytest.raises(Misconfigured, match=said):
        trainer(clips, tmp_path, replace(QUICK, **options), model)


# -- steps that are skipped -----------------------------------------------------------------------------------------


def state_of(run: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def changed(before: dict[str, torch.Tensor], run: Trainer) -> set[str]:
    return {name for name, value in run.model.state_dict().items() if not torch.equal(before[name], value)}


def test_a_step_that_is_skipped_leaves_no_trace_in_the_statistics_of_batch_norms(clips, tmp_path):
    run = trainer(clips, tmp_path)
    batch, real, before = batch_of(run, clips), run.loss, state_of(run)
    run.loss = lambda batch: real(batch) * float("inf")
    assert not np.isfinite(run.train_step(0, batch))
    assert changed(before, run) == set()

    def no_memory(batch):
        real(batch)
        raise torch.OutOfMemoryError("no memory")

    run.loss = no_memory
    run.train_step(1, batch)
    assert changed(before, run) == set()
    run.loss = real
    run.train_step(2, batch)
    assert any("running_mean" in name for name in changed(before, run)), "a step that is made changes them"
    assert run.summary()["skipped"] == 1


def in_fp16(run: Trainer, scale: float) -> Trainer:
    """fp16 with a scaled loss, on a CPU: what `accelerate` sets up on a GPU, which it does not on a CPU."""
    run.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    run.accelerator.native_amp, run.accelerator.state._mixed_precision = True, "fp16"
    run.optimizer.scaler = run.accelerator.scaler
    run.optimizer._accelerate_step_called = False
    from accelerate.optimizer import patch_optimizer_step

    run.optimizer._optimizer_original_step_method = run.optimizer.optimizer.step
    run.optimizer._optimizer_patched_step_method = patch_optimizer_step(run.optimizer, run.optimizer.optimizer.step)
    run.accelerator.autocast = lambda: torch.autocast("cpu", torch.float16)
    return run


def test_a_gradient_that_overflows_in_fp16_changes_nothing_but_the_scale(clips, tmp_path):
    run = in_fp16(trainer(clips, tmp_path), 2.0**40)
    batch, before = batch_of(run, clips), state_of(run)
    assert np.isfinite(run.train_step(0, batch)), "the loss itself is no larger than fp16 can hold"
    assert changed(before, run) == set()
    assert run.accelerator.scaler.get_scale() == 2.0**39
    for step in range(1, 60):
        run.train_step(step, batch)
        if changed(before, run):
            break
    assert run.summary()["skipped"] == step == 40 - np.log2(run.accelerator.scaler.get_scale())
    assert all(torch.isfinite(value).all() for value in run.model.state_dict().values())
    assert any("running_mean" in name for name in changed(before, run))


def test_a_step_in_fp16_is_that_of_fp32_whatever_the_scale(clips, tmp_path):
    ends = []
    for number, scale in enumerate((None, 1.0, 256.0)):
        run = trainer(clips, tmp_path / str(number))
        run = run if scale is None else in_fp16(run, scale)
        norms, clip = [], run.accelerator.clip_grad_norm_

        def noted(parameters, most, clip=clip, norms=norms):
            norms.append(float(clip(parameters, most)))
            return torch.tensor(norms[-1])

        run.accelerator.clip_grad_norm_ = noted
        losses = [run.train_step(step, batch_of(run, clips)) for step in range(3)]
        ends.append((losses, norms, state_of(run)))
    losses, norms, plain = ends[0]
    for other_losses, other_norms, state in ends[1:]:
        assert other_losses == pytest.approx(losses, rel=0.02)
        assert other_norms == pytest.approx(norms, rel=0.1), (
            "gradients are clipped at their own size, not the scaled one"
        )
        assert max(float((plain[name].float() - state[name].float()).abs().max()) for name in plain) < 4e-3


def test_a_run_in_fp16_goes_on_with_its_scale(clips, tmp_path):
    run = in_fp16(trainer(clips, tmp_path), 2.0**12)
    run.fit()
    scale = run.accelerator.scaler.get_scale()
    again = in_fp16(trainer(clips, tmp_path, replace(QUICK, max_steps=8)), 2.0**30)
    again.resume()
    assert again.accelerator.scaler.get_scale() == scale
    assert again.fit()["steps"] == 8
