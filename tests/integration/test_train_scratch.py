"""A speech model from nothing: its shape, what it takes over, what is averaged, what a bad step leaves."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from test_families import FAMILIES, make_model
from training import QUICK, batch_of, clips, corpus, trainer  # noqa: F401

from nightscribe.commands.train.asr import command
from tasks.errors import Misconfigured
from tasks.training.base_model import load_for_training
from tasks.training.checkpoints import average, keep_recent, recent
from tasks.training.clips import Source
from tasks.training.fit import SCRATCH, Shape, fit, from_scratch
from tasks.training.scratch import letters, small_model, small_processor
from tasks.training.takeover import shorter, take_over

TINY = Shape(hidden=64, layers=1, frontend_steps=0)
LETTERS = letters().get_vocab()


def saved(folder: Path, **shape) -> str:
    """A small model with weights of its own, in a folder."""
    torch.manual_seed(7)
    model = small_model(30, **{"hidden": 64, "layers": 1, **shape})
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(0, 0.1)
    model.save_pretrained(folder)
    small_processor().save_pretrained(folder)
    return str(folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has another way")
@pytest.mark.parametrize(("precision", "chosen"), [("bf16", "eager"), ("fp32", "sdpa")])
def test_attention_on_a_cpu_is_made_of_its_parts_in_bf16_and_learns_the_same(clips, tmp_path, precision, chosen):
    run = trainer(clips, tmp_path / "as it comes", replace(QUICK, precision=precision))
    other = trainer(clips, tmp_path / "fused", replace(QUICK, precision=precision))
    assert run.model.config._attn_implementation == chosen
    other.model.set_attn_implementation("sdpa")
    batch = batch_of(run, clips)
    losses = [[trained.train_step(step, batch) for step in range(6)] for trained in (run, other)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert losses[0][-1] < losses[0][0]


# -- the shape ------------------------------------------------------------------------------------------------------


def test_a_model_from_scratch_has_the_shape_that_the_docs_say(tmp_path):
    model, processor, _ = from_scratch(Shape(), seed=0)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["model_type"], config["num_hidden_layers"], config["hidden_size"]) == ("wav2vec2-conformer", 6, 256)
    assert 8.4e6 < sum(value.numel() for value in model.parameters()) < 8.6e6
    assert model(torch.zeros(1, 16_000)).logits.shape == (1, 22, len(LETTERS))
    assert json.loads((tmp_path / "vocab.json").read_text()) == LETTERS


def test_the_command_makes_that_shape_unless_told_otherwise():
    defaults = {parameter.name: parameter.default for parameter in command.params}
    assert {name: int(defaults[name]) for name in asdict(Shape())} == asdict(Shape())
    assert defaults["base"] == SCRATCH


def test_a_frame_is_as_long_as_asked_for():
    for frame_ms, frames in ((20, 47), (40, 22)):
        model = small_model(30, hidden=64, layers=1, frame_ms=frame_ms)
        assert model(torch.zeros(1, 16_000)).logits.shape[1] == frames


# -- what is taken over ---------------------------------------------------------------------------------------------


def test_a_model_of_the_same_shape_is_taken_over_whole(tmp_path):
    init = saved(tmp_path / "init")
    model, _, taken = from_scratch(TINY, seed=0, init=init)
    assert taken.frontend
    assert taken.new == ()
    other = load_for_training(init)[0].state_dict()
    assert all(torch.equal(value, other[name]) for name, value in model.state_dict().items())


def test_a_model_with_longer_frames_takes_over_blocks_and_convolutions(tmp_path):
    other = load_for_training(saved(tmp_path / "init", frame_ms=20))[0]
    model = small_model(30, hidden=64, layers=2)
    first_block = model.base_model.encoder.layers[0]
    taken = take_over(model, LETTERS, other, LETTERS, "init")
    assert taken.frontend
    assert taken.new == (model.base_model.feature_extractor.conv_layers[3],)
    old, new = other.state_dict(), model.state_dict()
    longer = "wav2vec2_conformer.encoder.layers.0.conv_module.depthwise_conv.weight"
    extra = "wav2vec2_conformer.feature_extractor.conv_layers.3."
    beyond = "wav2vec2_conformer.encoder.layers.1."
    for name, value in new.items():
        if name != longer and not name.startswith((extra, beyond)):
            assert torch.equal(value, old[name]), name
    assert torch.allclose(new[longer].sum(-1), old[longer].sum(-1), atol=1e-5)
    # On what changes slowly, the shorter kernel on every second frame hears what the longer one does on all.
    slow = torch.cos(torch.arange(200) / 60)
    kernel = first_block.conv_module.depthwise_conv.weight
    kernel = torch.nn.functional.conv1d(slow[None, None, ::2], kernel[:1], padding=7)[0, 0, 10:90]
    heard = torch.nn.functional.conv1d(slow[None, None], old[longer][:1], padding=7)[0, 0, ::2][10:90]
    assert torch.allclose(kernel, heard, atol=0.01)
    # The new convolution begins as the mean of two frames.
    features = torch.randn(1, 256, 40)
    mean = torch.nn.functional.avg_pool1d(features[:, :, 1:], 2)[:, :, :19]
    heard = taken.new[0].conv(features).detach()
    assert float((heard - mean).std()) < 0.6 * float(mean.std())


def test_with_other_convolutions_only_blocks_are_taken_over():
    other, model = small_model(30, hidden=64, layers=1, frame_ms=20), small_model(30, hidden=64, layers=1)
    other.config.conv_kernel = (320, 4, 4)
    with torch.no_grad():
        for value in other.parameters():
            value.fill_(0.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    taken = take_over(model, LETTERS, other, LETTERS, "init")
    assert not taken.frontend, "the convolutions are then taught"
    assert taken.new == ()
    kept = {name for name, value in model.state_dict().items() if torch.equal(value, before[name])}
    weights = {name for name, _ in model.named_parameters()}
    assert {name.split(".")[1] for name in kept & weights} == {"feature_extractor", "feature_projection"}


def test_other_letters_keep_the_new_last_layer(tmp_path):
    other = load_for_training(saved(tmp_path / "init"))[0]
    model = small_model(30, hidden=64, layers=1)
    before = model.lm_head.weight.clone()
    take_over(model, LETTERS, other, {**LETTERS, "a": LETTERS["b"], "b": LETTERS["a"]}, "init")
    assert torch.equal(model.lm_head.weight, before)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ({"hidden": 128}, "No block of init fits: its hidden_size is 128, not 64"),
        ({"frame_ms": 40}, "init has frames of 40 ms: they can be made longer, not shorter"),
    ],
)
def test_what_cannot_be_taken_over_is_said(shape, said):
    other = small_model(30, **{"hidden": 64, "layers": 1, **shape})
    with pytest.raises(Misconfigured, match=said):
        take_over(small_model(30, hidden=64, layers=1, frame_ms=20), LETTERS, other, LETTERS, "init")


def test_a_model_of_another_kind_is_not_taken_over(corpus, tmp_path):
    init = make_model(tmp_path / "init", *FAMILIES["hubert"])
    with pytest.raises(Misconfigured, match="is no model that --base scratch makes: hubert"):
        from_scratch(TINY, seed=0, init=init)
    with pytest.raises(Misconfigured, match="A model that is named is trained as it is"):
        fit(Source(corpus), tmp_path / "run", base=init, init=init, options=QUICK)


def test_taps_of_longer_frames_are_the_same_in_seconds():
    taps = torch.zeros(1, 1, 15)
    taps[..., [7, 9, 4]] = torch.tensor([1.0, 2.0, 4.0])
    assert shorter(taps, 2)[0, 0].tolist() == [0, 0, 0, 0, 0, 2, 2, 1, 2, 0, 0, 0, 0, 0, 0]
    assert torch.equal(shorter(taps, 1), taps)


def test_a_run_goes_on_from_a_model_of_shorter_frames_and_trains_only_the_new_convolution(corpus, tmp_path):
    init = saved(tmp_path / "init", frame_ms=20)
    given = {"base": SCRATCH, "init": init, "validation": corpus, "shape": replace(TINY, frontend_steps=5)}

    def no_frontend(step: int, unexplained: float) -> None:
        pytest.fail("convolutions that were taken over were taught anew")

    given["on_frontend"] = no_frontend
    whole = fit(Source(corpus), tmp_path / "whole", options=QUICK, **given)
    fit(Source(corpus), tmp_path / "broken", options=replace(QUICK, max_steps=4, decay_steps=0), **given)
    broken = fit(Source(corpus), tmp_path / "broken", options=QUICK, **given)
    assert [row["step"] for row in broken["history"]] == [2, 4, 6] == [row["step"] for row in whole["history"]]
    begun, ended = (
        from_scratch(TINY, seed=0, init=init)[0].state_dict(),
        load_file(tmp_path / "whole/last/model.safetensors"),
    )
    convolutions = "wav2vec2_conformer.feature_extractor.conv_layers."
    changed = {name for name in ended if name.startswith(convolutions) and not torch.equal(begun[name], ended[name])}
    assert changed == {f"{convolutions}3.conv.weight", f"{convolutions}3.conv.bias"}
    with pytest.raises(Misconfigured, match="holds another run: init differ"):
        fit(Source(corpus), tmp_path / "whole", options=QUICK, **{**given, "init": None})


# -- the average, and the card --------------------------------------------------------------------------------------


def test_the_mean_of_the_last_checkpoints_is_that_of_their_weights(tmp_path):
    model = small_model(30, hidden=64, layers=1)
    for step in (5, 10, 15, 20):
        with torch.no_grad():
            model.lm_head.weight.fill_(step)
        model.wav2vec2_conformer.encoder.layers[0].conv_module.batch_norm.num_batches_tracked.fill_(step)
        keep_recent(tmp_path, step, model, 3)
    assert [path.stem for path in recent(tmp_path)] == ["000000010", "000000015", "000000020"]
    mean = average(recent(tmp_path))
    keep_recent(tmp_path, 12, model, 3)  # after a kill that lost the others
    assert [path.stem for path in recent(tmp_path)] == ["000000010", "000000012"]
    assert set(mean["lm_head.weight"].flatten().tolist()) == {15.0}
    counter = "wav2vec2_conformer.encoder.layers.0.conv_module.batch_norm.num_batches_tracked"
    assert int(mean[counter]) == 20


@pytest.mark.parametrize(("score", "taken"), [(0.1, True), (0.9, False)])
def test_the_average_takes_the_place_of_a_worse_model(score, taken, clips, tmp_path):
    options = replace(QUICK, average=2, max_steps=6, half=True)
    run = trainer(clips, tmp_path, options)
    scores = iter([0.7, 0.5, 0.6, score])

    def validate() -> dict[str, float]:
        wer = next(scores)
        return {"wer": wer, "cer": wer}

    run.validate = validate
    summary = run.fit()
    assert summary["averaged"] == {"checkpoints": 2, "wer": score, "cer": score}
    assert summary["best_wer"] == (score if taken else 0.5)
    mean = average(recent(tmp_path / "recent"))["lm_head.weight"].half()
    assert torch.equal(load_file(tmp_path / "best/model.safetensors")["lm_head.weight"], mean) == taken
    last = load_file(tmp_path / "last/model.safetensors")["lm_head.weight"]
    assert torch.equal(run.model.lm_head.weight.detach(), last), "a longer run goes on from the last step"
    again = trainer(clips, tmp_path, options)
    again.validate = lambda: pytest.fail("an average that was judged is judged once")
    assert again.fit() == {**summary, "options": again.summary()["options"]}
    longer = trainer(clips, tmp_path, replace(options, max_steps=8)).fit()
    assert [row["step"] for row in longer["history"]] == [2, 4, 6, 8]
    assert longer["best_wer"] <= summary["best_wer"]


def test_the_command_says_in_the_card_how_it_was_called(corpus, tmp_path):
    given = f"{corpus} --out {tmp_path / 'run'} --validation {corpus} --hidden 64 --layers 1 --frontend-steps 0 --half"
    given += " --max-steps 2 --validate-every 1 --batch-size 3 --json"
    # The names of the help option are those of the first call in a process, and the docs show them.
    as_called = {"standalone_mode": False, "help_option_names": ["-h", "--help"]}
    done = CliRunner().invoke(command, given.split(), catch_exceptions=False, **as_called)
    summary = json.loads(done.stdout)
    assert summary["options"]["average"] == 5
    assert summary["options"]["decay_steps"] == 1
    assert summary["averaged"]["checkpoints"] == 2
    card = (tmp_path / "run/best/README.md").read_text()
    assert (
        "`nightscribe train asr clips.tsv --validation clips.tsv --max-steps 2 --batch-size 3 --validate-every 1 --half "
        "--hidden 64 --layers 1 --frontend-steps 0`"
    ) in card
    assert "Wav2Vec2ConformerForCTC, 1.0 million parameters, a frame every 40 ms, half precision" in card
    kept = load_file(tmp_path / "run/best/model.safetensors")
    assert {value.dtype for value in kept.values() if value.is_floating_point()} == {torch.float16}
    assert {value.dtype for value in load_file(tmp_path / "run/last/model.safetensors").values()} >= {torch.float32}
    assert str(tmp_path) not in card


@pytest.mark.parametrize("both", ["--batch-size 2 --batch-s 9", "--no-augment --noise sounds"])
def test_options_that_exclude_each_other_are_said(both, corpus, tmp_path):
    given = [str(corpus), "--out", str(tmp_path / "run"), *both.split()]
    done = CliRunner().invoke(command, given, help_option_names=["-h", "--help"])
    assert done.exit_code == 2
    assert "Either" in done.output
    assert not (tmp_path / "run").exists()
