"""Models in memory: once each, a few at a time, and in smaller batches where memory runs out."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.errors import ModelNotAvailable, OutOfMemory
from tasks.models import load
from tasks.models.load import KEPT, BatchSize, loaded_once, pretrained

FULL = RuntimeError("DefaultCPUAllocator: can't allocate memory")


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    monkeypatch.setattr(load, "_LOADED", type(load._LOADED)())


def test_a_model_is_loaded_once_and_the_one_that_was_used_longest_ago_goes_first():
    made: list[int] = []

    def get(number: int) -> int:
        return loaded_once(number, lambda: made.append(number) or number)

    for number in range(KEPT):
        assert get(number) == number
    assert get(0) == 0
    assert made == list(range(KEPT))
    get(KEPT)  # 1 has not been used since
    get(0)
    get(1)
    assert made == [*range(KEPT), KEPT, 1]


def test_a_model_that_does_not_fit_beside_others_is_loaded_alone():
    loaded_once("other", lambda: "other")
    tries: list[bool] = []

    def large() -> str:
        tries.append("other" in load._LOADED)
        if tries[-1]:
            raise FULL
        return "large"

    assert loaded_once("large", large) == "large"
    assert tries == [True, False]


def test_a_model_that_does_not_fit_at_all_says_so_and_other_faults_pass():
    def never() -> None:
        raise FULL

    def wrong() -> None:
        raise RuntimeError("size mismatch")

    with pytest.raises(OutOfMemory, match="does not fit into memory"):
        loaded_once("never", never)
    with pytest.raises(RuntimeError, match="size mismatch"):
        loaded_once("wrong", wrong)
    assert not load._LOADED


@pytest.mark.parametrize("fits", [1, 2, 3, 5, 8])
def test_batches_are_halved_until_they_fit_and_nothing_changes_its_place(fits):
    size, asked = BatchSize(8), []

    def infer(items):
        asked.append(len(items))
        if len(items) > fits:
            raise FULL
        return np.array([[item] for item in items])

    rows = list(size.forward(infer, list(range(8)), lambda: OutOfMemory("one is too large")))
    assert [int(row[0]) for row in rows] == list(range(8))
    assert size.items == max(n for n in (8, 4, 2, 1) if n <= fits)
    with pytest.raises(OutOfMemory, match="one is too large"):
        list(size.forward(lambda items: infer([0] * 99), [1], lambda: OutOfMemory("one is too large")))


def test_what_is_no_model_is_said_with_what_to_do(tmp_path):
    from transformers import AutoConfig

    with pytest.raises(ModelNotAvailable, match="not in that folder, or is not a CTC model") as caught:
        pretrained(AutoConfig, str(tmp_path), "acoustic model", "a CTC model")
    assert caught.value.next.endswith(f"nightscribe models fetch {tmp_path}")
