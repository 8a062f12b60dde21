from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from example.letters.options import LettersOptions
from tasks.stages.base import Input, Rows


@dataclass(frozen=True)
class LettersRunner:
    options: LettersOptions

    def make(self, video: Input) -> Mapping[str, Rows]:
        said = Counter("".join(word.word for word in video.words))
        return {"letters": [{"letter": letter, "n": n} for letter, n in sorted(said.most_common(self.options.most))]}
