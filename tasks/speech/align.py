"""Word times: the best path of a known text through the emissions (CTC forced alignment by Viterbi)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tasks.arrays import Array
from tasks.records import Word


@lru_cache(maxsize=16)
def _ids(labels: tuple[str, ...]) -> dict[str, int]:
    return {label: i for i, label in enumerate(labels) if label and not label.startswith(UNWRITABLE)}


UNWRITABLE = "⁇"  # how the label of a token begins that stands for no text


def align(
    words: Sequence[str],
    log_probs: Array,
    labels: Sequence[str],
    blank: int,
    first_frame: int,
    frame_ms: float,
) -> list[Word]:
    """Times and confidences of `words` (in order) in `log_probs`, shape (frames, tokens).

    A word lasts from the first frame of its first token to the end of the last frame of its last one. Its confidence is
    the geometric mean of its tokens' best probabilities. Characters that are no token are passed over; words that
    cannot be placed at all (more tokens than frames) share the time there is, with confidence 0.
    """
    ids = _ids(tuple(labels))
    border = ids.get(" ")
    tokens: list[int] = []
    owner: list[int] = []
    for number, word in enumerate(words):
        letters = _tokenise(word, ids)
        if letters and tokens and border is not None:
            tokens.append(border)
            owner.append(-1)
        tokens += letters
        owner += [number] * len(letters)
    states = viterbi(log_probs, np.array(tokens, np.int64), blank) if tokens else None
    if states is None:
        return _spread(words, len(log_probs), first_frame, frame_ms)

    out: list[Word] = []
    owners = np.array(owner)
    at_frame = np.where(states % 2 == 1, owners[np.minimum(states // 2, len(owners) - 1)], -1)
    for number, word in enumerate(words):
        frames = np.flatnonzero(at_frame == number)
        if not len(frames):  # a word without a single known character: where its neighbour ends
            before = out[-1].end_ms if out else round(first_frame * frame_ms)
            out.append(Word(word, before, before, 0.0))
            continue
        positions = states[frames] // 2
        scores = log_probs[frames, np.array(tokens)[positions]]
        best = [scores[positions == p].max() for p in np.unique(positions)]
        start, end = first_frame + int(frames[0]), first_frame + int(frames[-1]) + 1
        out.append(Word(word, round(start * frame_ms), round(end * frame_ms), round(float(np.exp(np.mean(best))), 4)))
    return out


def _tokenise(word: str, ids: dict[str, int]) -> list[int]:
    """Longest token first, for alphabets with tokens of several characters."""
    longest = max(map(len, ids), default=1)
    out, i = [], 0
    while i < len(word):
        for n in range(min(longest, len(word) - i), 0, -1):
            if (token := ids.get(word[i : i + n])) is not None:
                out.append(token)
                i += n
                break
        else:
            i += 1
    return out


def _spread(words: Sequence[str], frames: int, first_frame: int, frame_ms: float) -> list[Word]:
    edges = [round((first_frame + frames * i / max(1, len(words))) * frame_ms) for i in range(len(words) + 1)]
    return [Word(word, edges[i], edges[i + 1], 0.0) for i, word in enumerate(words)]


def viterbi(log_probs: Array, tokens: Array, blank: int) -> Array | None:
    """Best state of each frame among blank, token 0, blank, token 1, ..., blank (Graves et al. 2006, section 4.1).

    Odd states are tokens: state 2i + 1 is token i. None when there are too few frames.
    """
    frames, n = len(log_probs), 2 * len(tokens) + 1
    repeats = int((tokens[1:] == tokens[:-1]).sum())
    if frames < len(tokens) + repeats:
        return None
    symbols = np.full(n, blank)
    symbols[1::2] = tokens
    scores = log_probs[:, symbols].astype(np.float32)
    # A token may follow the one before it without a blank in between, unless it is the same.
    skip = np.full(n, -np.inf, np.float32)
    skip[3::2] = np.where(tokens[1:] != tokens[:-1], 0.0, -np.inf)
    # Two columns of minus infinity on the left stand for the states before the first. Backpointers are not kept: the
    # way back asks the scores again, which is a third of the work in numpy.
    best = np.full((frames, n + 2), -np.inf, np.float32)
    best[0, 2 : 2 + min(2, n)] = scores[0, : min(2, n)]
    skipped = np.empty(n, np.float32)
    for t in range(1, frames):
        before, now = best[t - 1], best[t, 2:]
        np.maximum(before[2:], before[1:-1], out=now)
        np.add(before[:-2], skip, out=skipped)
        np.maximum(now, skipped, out=now)
        now += scores[t]
    last = best[-1, 2:]
    state = n - 1 if n < 2 or last[n - 1] >= last[n - 2] else n - 2
    path = np.zeros(frames, np.int64)
    path[-1] = state
    for t in range(frames - 2, -1, -1):
        two, one, stay = best[t, state : state + 3].tolist()
        two += float(skip[state])
        state -= 0 if stay >= one and stay >= two else 1 if one >= two else 2
        path[t] = state
    return path
