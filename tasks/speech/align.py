"""Word times: the best path of a known text through the emissions (CTC forced alignment by Viterbi)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.arrays import Array
from tasks.records import Word
from tasks.speech.spelling import Spelling, spell


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
    the geometric mean of its tokens' best probabilities. Where there are several ways to write a word, as with subwords, the
    likeliest is taken. Characters that are no token are passed over; words that cannot be placed at all (more tokens than frames)
    share the time there is, with confidence 0.
    """
    spelling = spell(words, tuple(labels))
    path = best_path(log_probs, spelling, blank) if len(spelling.tokens) else None
    if path is None:
        return _spread(words, len(log_probs), first_frame, frame_ms)

    out: list[Word] = []
    at_frame = np.where(path >= 0, spelling.owners[path], -1)
    for number, word in enumerate(words):
        frames = np.flatnonzero(at_frame == number)
        if not len(frames):  # a word without a single known character: where its neighbour ends
            before = out[-1].end_ms if out else round(first_frame * frame_ms)
            out.append(Word(word, before, before, 0.0))
            continue
        pieces = path[frames]
        scores = log_probs[frames, spelling.tokens[pieces]]
        best = [scores[pieces == piece].max() for piece in np.unique(pieces)]
        start, end = first_frame + int(frames[0]), first_frame + int(frames[-1]) + 1
        out.append(Word(word, round(start * frame_ms), round(end * frame_ms), round(float(np.exp(np.mean(best))), 4)))
    return out


def _spread(words: Sequence[str], frames: int, first_frame: int, frame_ms: float) -> list[Word]:
    edges = [round((first_frame + frames * i / max(1, len(words))) * frame_ms) for i in range(len(words) + 1)]
    return [Word(word, edges[i], edges[i + 1], 0.0) for i, word in enumerate(words)]


def best_path(log_probs: Array, spelling: Spelling, blank: int, near: Array | None = None) -> Array | None:
    """The piece of the spelling that each frame says on the best path, -1 the blank; None where there is no such path.

    `near`, bool of shape (frames, pieces), says which frames a piece may be said in.
    """
    if not spelling.is_chain:
        return _best_of_many(log_probs, spelling, blank, near)
    states = viterbi(log_probs, spelling.tokens, blank, near)
    return None if states is None else np.where(states % 2 == 1, states // 2, -1)


def _best_of_many(log_probs: Array, spelling: Spelling, blank: int, near: Array | None) -> Array | None:
    """As `viterbi`, where several pieces may lead on from a place in the text.

    The states are the pieces, and a blank at each place. A piece follows the blank at its own place, or a piece that ends there
    and is another token.
    """
    pieces, frames = len(spelling.tokens), len(log_probs)
    states = pieces + spelling.places
    before: list[list[int]] = [[state] for state in range(states)]
    ending: list[list[int]] = [[] for _ in range(spelling.places)]
    for piece, end in enumerate(spelling.ends.tolist()):
        ending[end].append(piece)
        before[pieces + end].append(piece)
    for piece, start in enumerate(spelling.starts.tolist()):
        token = spelling.tokens[piece]
        before[piece] += [pieces + start, *(other for other in ending[start] if spelling.tokens[other] != token)]
    most = max(map(len, before))
    # One state more stands for those that are missing: it is minus infinity throughout.
    previous = np.array([row + [states] * (most - len(row)) for row in before])
    symbols = np.concatenate((spelling.tokens, np.full(spelling.places, blank)))
    scores = log_probs[:, symbols].astype(np.float32)
    if near is not None:
        scores[:, :pieces][~near] = -np.inf
    best = np.full((frames, states + 1), -np.inf, np.float32)
    begins = np.concatenate((spelling.starts == 0, np.arange(spelling.places) == 0))
    best[0, :-1][begins] = scores[0, begins]
    for t in range(1, frames):
        best[t, :-1] = best[t - 1][previous].max(axis=1) + scores[t]
    last = spelling.places - 1
    ends = np.flatnonzero(np.concatenate((spelling.ends == last, np.arange(spelling.places) == last)))
    state = int(ends[best[-1, ends].argmax()])
    if not np.isfinite(best[-1, state]):
        return None
    path = np.empty(frames, np.int64)
    for t in range(frames - 1, -1, -1):
        path[t] = state
        if t:
            state = int(previous[state][best[t - 1, previous[state]].argmax()])
    return np.where(path < pieces, path, -1)


def viterbi(log_probs: Array, tokens: Array, blank: int, near: Array | None = None) -> Array | None:
    """Best state of each frame among blank, token 0, blank, token 1, ..., blank (Graves et al. 2006, section 4.1).

    Odd states are tokens: state 2i + 1 is token i. None when there are too few frames, or none that may say a token (`near`).
    """
    frames, n = len(log_probs), 2 * len(tokens) + 1
    repeats = int((tokens[1:] == tokens[:-1]).sum())
    if frames < len(tokens) + repeats:
        return None
    symbols = np.full(n, blank)
    symbols[1::2] = tokens
    scores = log_probs[:, symbols].astype(np.float32)
    if near is not None:
        scores[:, 1::2][~near] = -np.inf
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
    if not np.isfinite(last[-2:]).any():
        return None
    state = n - 1 if n < 2 or last[n - 1] >= last[n - 2] else n - 2
    path = np.zeros(frames, np.int64)
    path[-1] = state
    for t in range(frames - 2, -1, -1):
        two, one, stay = best[t, state : state + 3].tolist()
        two += float(skip[state])
        state -= 0 if stay >= one and stay >= two else 1 if one >= two else 2
        path[t] = state
    return path
