"""One clock for a video: rows and captions of files of several kinds agree with what is said in them, within two pictures.

The short form of tests/bench/clock.py, which measures all kinds there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from browser import chromium
from clocked import Heard, compare, index, read
from clocked_makers import Material, make_material
from clocked_media import PLAIN, make_all, variants
from conftest import command_environment

from tasks.settings import Settings

ROWS = [
    "late sound.ts", "late picture.mpg", "late sound.mkv", "from 100 s.mkv", "later segments.mp4", "four times other.aac",
    "chained otherwise.ogg", "5.1 then stereo.ts", "hours ahead.ts", "wraps before its sound.ts", "hole in the sound.flv",
]  # fmt: skip
WATCHED = ["late sound.ts", "from 5 s.mp4", "long bare vbr.mp3", "back.mpg"]
VARIANTS = {variant.name: variant for variant in variants()}


@dataclass(frozen=True)
class Indexed:
    material: Material
    rows: Mapping[str, Heard]
    settings: Settings


pytestmark = pytest.mark.long  # its parts are in test_recordings and test_web_clock


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """The files, indexed in one run of the command."""
    folder: Path = tmp_path_factory.mktemp("clock")
    material = make_material(folder / "material")
    make_all([VARIANTS[name] for name in dict.fromkeys([PLAIN, *ROWS, *WATCHED])], material, folder / "files")
    index(folder / "files", command_environment(folder))
    settings = Settings(lake=str(folder / "lake"), scratch=folder / "scratch")
    return Indexed(material, read(folder / "lake"), settings)


@pytest.fixture(scope="module")
def watched(indexed: Indexed) -> Mapping[str, object]:
    """What was seen of each file in Chromium, at one caption of each."""
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if chromium() is None:
        pytest.skip("there is no Chromium; install it with: apt-get install chromium")
    from clocked_browser import watch_all

    rows = [compare(VARIANTS[name], indexed.rows, gaps=True) for name in WATCHED]
    sound = indexed.material.sound
    return dict(watch_all(rows, indexed.rows[PLAIN], indexed.settings, sound, gaps=True, most=1))


@pytest.mark.parametrize("name", [PLAIN, *dict.fromkeys([*ROWS, *WATCHED])])
def test_words_are_where_they_are_said(indexed, name):
    assert compare(VARIANTS[name], indexed.rows, gaps=True).faults() == []


@pytest.mark.parametrize("name", WATCHED)
def test_captions_and_marked_words_come_with_the_sound(watched, name):
    assert watched[name].faults() == []
    assert len(watched[name].captions) == len(watched[name].lines) == 1


def test_a_clock_that_is_off_is_seen(indexed):
    late = replace(VARIANTS["late sound.mkv"], shift_ms=0)
    faults = compare(late, indexed.rows, gaps=True).faults()
    assert len(faults) == 1
    assert "+4000 ms off" in faults[0] or "+3960 ms off" in faults[0]
    assert compare(VARIANTS["late picture.avi"], {PLAIN: indexed.rows[PLAIN]}, gaps=True).faults() == [
        "there is no row"
    ]
