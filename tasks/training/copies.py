"""Near copies among texts: an article printed twice with a new headline must not be trained on and judged with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import HashingVectorizer

SHINGLE = 5  # words
SHARED = 0.5  # of the shorter text's shingles


def near_copies(texts: Sequence[str]) -> list[int]:
    """A group number for each text: those that share half of their runs of five words have the same.

    Shingles after Broder ("On the resemblance and containment of documents", 1997), hashed.
    """
    if not texts:
        return []
    hasher = HashingVectorizer(
        n_features=2**22, analyzer="word", ngram_range=(SHINGLE, SHINGLE), binary=True, norm=None, alternate_sign=False
    )
    shingles = hasher.transform(texts)
    sizes = np.maximum(np.asarray(shingles.sum(1)).ravel(), 1)
    shared = (shingles @ shingles.T).tocoo()
    close = shared.data >= SHARED * np.minimum(sizes[shared.row], sizes[shared.col])
    links = csr_matrix((np.ones(close.sum()), (shared.row[close], shared.col[close])), shape=(len(texts), len(texts)))
    _, groups = connected_components(links, directed=False)
    return [int(group) for group in groups]
