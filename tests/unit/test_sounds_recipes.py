"""The data of the demo sound model, and the table of what dropping patches costs."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from data.recipes import flap_table, sounds_demo
from tasks.training.augment import coloured_noise
from tasks.training.sounds.fit import SoundShape, _made


def written(folder, name):
    with (folder / f"{name}.tsv").open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_no_recording_is_on_two_sides(tmp_path, monkeypatch, testdata):
    out, again = tmp_path / "out", tmp_path / "again"
    for folder in (out, again):
        monkeypatch.setattr("sys.argv", ["sounds_demo", str(testdata), str(folder)])
        sounds_demo.main()
    parts = {name: written(out, name) for name in ("train", "dev", "test")}
    assert parts == {name: written(again, name) for name in parts}
    recordings = {
        name: {row["path"].rsplit("/", 1)[-1].split("-")[1] for row in rows if row["label"] != "speech"}
        for name, rows in parts.items()
    }
    assert not recordings["train"] & recordings["test"]
    assert not recordings["train"] & recordings["dev"]
    assert not recordings["dev"] & recordings["test"]
    assert sum(row["label"] == "speech" for row in parts["train"]) > 40
    assert 1 < len(parts["dev"]) < len(parts["train"]) / 4
    assert {row["bare"] for row in parts["test"]} <= {row["bare"] for row in parts["train"]}


def test_the_cost_of_a_row_is_that_of_all_it_computes(tmp_path):
    class Store:
        captions = (("a bell",),)

    shape = SoundShape(hidden=64, layers=1, seconds=1.28, projection=32, text="scratch")
    model, _ = _made(shape, Store())  # type: ignore[arg-type]
    model.save_pretrained(tmp_path)
    found = {}
    for row in flap_table.ROWS:
        options = replace(flap_table.OPTIONS, masking=row.masking, reconstruction=row.reconstruction)
        view, step = flap_table.flops(tmp_path, options)
        shares = {1: 0.5, 5: 0.75, 10: 1.0}
        found[row] = {
            "n": 4,
            "texts": 3,
            "text_to_sound": shares,
            "sound_to_text": shares,
            "view_gflops": view,
            "step_gflops": step,
            "bounds": {f"{way}_{k}": (0.25, 1.0) for way in ("text_to_sound", "sound_to_text") for k in shares},
            "chance": {f"{way}_{k}": 0.1 for way in ("text_to_sound", "sound_to_text") for k in shares},
        }
    none, one, one_more, two, two_more = (found[row] for row in flap_table.ROWS)
    assert none["view_gflops"] == none["step_gflops"]
    assert one["view_gflops"] < 0.7 * none["view_gflops"]
    assert two["view_gflops"] < 0.7 * none["view_gflops"]
    assert two["step_gflops"] == 2 * two["view_gflops"]
    assert two_more["view_gflops"] == two["view_gflops"]
    assert two_more["step_gflops"] > two["step_gflops"]
    assert one_more["step_gflops"] > one["step_gflops"]
    lines = flap_table.table(found, 800).splitlines()
    assert lines[2].startswith("| none | no | 50.0% (25% to 100%) | 75.0%")
    assert lines[6].startswith("| 2d | yes | ")
    assert "4 sounds, 3 texts; by chance 10%" in lines[8]


@pytest.mark.parametrize("samples", [1, 997, 1000, 49_999])
def test_noise_has_the_length_that_is_asked_for_and_unit_power(samples):
    noise = coloured_noise(samples, np.random.default_rng(1))
    assert (noise.shape, noise.dtype) == ((samples,), np.float32)
    assert np.mean(noise.astype(np.float64) ** 2) == pytest.approx(1.0, rel=1e-3)
    assert np.array_equal(noise, coloured_noise(samples, np.random.default_rng(1)))
