"""Conditions that stay in the log of a table."""

from __future__ import annotations

import pytest

from tasks.lake.rewrite import among


def test_ids_are_named():
    assert among("video_id", ["0a1b", "c-2"]) == "video_id IN ('0a1b', 'c-2')"


@pytest.mark.parametrize("odd", ["", "it's", "a' OR 'a'='a", "a b", "ä", "a\n"])
def test_what_is_no_id_is_refused_and_never_quoted(odd):
    with pytest.raises(ValueError, match="is no id"):
        among("video_id", ["0a1b", odd])
