"""Conditions on rows that are replaced or deleted."""

from __future__ import annotations

import pytest

from tasks.lake.rewrite import among


def test_only_ids_are_written_into_a_condition():
    assert among("video_id", ["a1", "b-2"]) == "video_id IN ('a1', 'b-2')"
    for odd in ("", "a'b", "a b", "a;--"):
        with pytest.raises(ValueError, match="is no id"):
            among("video_id", ["a1", odd])
