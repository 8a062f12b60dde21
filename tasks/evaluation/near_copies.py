"""Near copies among texts: an article printed twice with a new headline must not be trained on and judged with."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import HashingVectorizer

SHINGLE = 5  # words
SHARED = 0.5  # of the shorter text's shingles
COMMON = 50  # what more texts than this have in common is a phrase, and no sign of a copy
_WORD = re.compile(r"\w+")


def near_copies(texts: Sequence[str]) -> list[int]:
    """A group number for each text: those that share half of their runs of five words have the same.

    Shingles after Broder ("On the resemblance and containment of documents", 1997), hashed. A text of fewer words is its
    own shingle: it is a copy of the same words only.
    """
    if not texts:
        return []
    hasher = HashingVectorizer(n_features=2**22, analyzer=_shingles, binary=True, norm=None, alternate_sign=False)
    shingles = hasher.transform(texts).tocsc()
    sizes = np.maximum(np.asarray(shingles.sum(1)).ravel(), 1)
    seen_in = np.diff(shingles.indptr)
    rare = shingles[:, (seen_in > 1) & (seen_in <= max(COMMON, 2))].tocsr()
    shared = (rare @ rare.T).tocoo()
    close = shared.data >= SHARED * np.minimum(sizes[shared.row], sizes[shared.col])
    links = csr_matrix((np.ones(close.sum()), (shared.row[close], shared.col[close])), shape=(len(texts), len(texts)))
    _, groups = connected_components(links, directed=False)
    whole: dict[tuple[str, ...], int] = {}  # exact copies, however many there are
    return [whole.setdefault(tuple(_words(text)), int(group)) for text, group in zip(texts, groups, strict=True)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _shingles(text: str) -> list[str]:
    words = _words(text)
    return [" ".join(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))]
