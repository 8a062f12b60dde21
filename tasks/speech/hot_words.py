"""Hot words in pyctcdecode's beam search, found however their beginning is spelled."""

from __future__ import annotations

from pyctcdecode.language_model import HotwordScorer


class Unspaced(HotwordScorer):  # type: ignore[misc]  # pyctcdecode has no types
    """Hot words for beams whose words may begin with a space, which a border of its own is (`ALONE` in tasks/speech/labels.py).

    pyctcdecode (0.5.0) looks for the beginnings of hot words letter by letter, the space among them: a name that is spelled from
    such a border would get no help before it is complete, and would be pruned.
    """

    def __init__(self, found: HotwordScorer) -> None:
        super().__init__(found._match_ptn, found._char_trie, found._weight)
        self.any = bool(found._char_trie)

    def __contains__(self, item: str) -> bool:
        return bool(super().__contains__(item.strip()))

    def score_partial_token(self, token: str) -> float:
        scored: float = super().score_partial_token(token.strip())
        return scored
