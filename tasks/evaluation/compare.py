"""What a new model changed: word-level difference between two generations of an archive.

Only videos that have a generation of both recipes are compared, the newest of each. Neither is taken for the truth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import jiwer

from tasks.errors import Misconfigured

FETCH = 200  # transcripts in memory at one time


@dataclass
class VideoChange:
    """One video: words of the older recipe, and how many were kept, changed, left out and added."""

    video_id: str
    key: str
    title: str
    words: int
    changed: int
    removed: int
    added: int
    confidence: tuple[float | None, float | None]

    @property
    def share(self) -> float:
        """Changed, removed and added words over those of both versions; 0 where nothing differs, at most 1."""
        differing = self.changed + self.removed + self.added
        return differing / max(1, self.words + self.added)


@dataclass
class Comparison:
    """All videos that have both recipes, those that differ most first."""

    old: str
    new: str
    videos: list[VideoChange] = field(default_factory=list)
    replaced: Counter[tuple[str, str]] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)

    def as_json(self, most: int) -> dict[str, Any]:
        """What `compare --json` prints."""
        words = sum(v.words for v in self.videos)
        return {
            "old": self.old,
            "new": self.new,
            "videos": len(self.videos),
            "unchanged_videos": sum(v.share == 0 for v in self.videos),
            "words": words,
            "changed": sum(v.changed for v in self.videos),
            "removed": sum(v.removed for v in self.videos),
            "added": sum(v.added for v in self.videos),
            "most_changed": [{**vars(v), "share": round(v.share, 4)} for v in self.videos[:most]],
            "replaced": [{"old": a, "new": b, "n": n} for (a, b), n in self.replaced.most_common(most)],
            "only_old": [{"word": w, "n": n} for w, n in self.removed.most_common(most)],
            "only_new": [{"word": w, "n": n} for w, n in self.added.most_common(most)],
        }


def known_recipes(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The decode recipes of the archive, newest first: videos, when, and which models they name."""
    found = connection.execute(
        """
        SELECT decode_recipe, count(DISTINCT video_id), min(indexed_at), max(indexed_at),
               any_value(json_extract_string(recipe_json, '$.acoustic.model')),
               any_value(json_extract_string(recipe_json, '$.decode.lm'))
        FROM videos_all WHERE status IN ('indexed', 'no_speech') GROUP BY decode_recipe ORDER BY max(indexed_at) DESC
        """
    ).fetchall()
    names = ("recipe", "videos", "first", "last", "model", "language_model")
    return [dict(zip(names, row, strict=True)) for row in found]


def find_recipe(connection: duckdb.DuckDBPyConnection, prefix: str) -> str:
    """The decode recipe that begins with `prefix`.

    Raises:
        Misconfigured: none does, or several do.
    """
    recipes = [entry["recipe"] for entry in known_recipes(connection)]
    found = [recipe for recipe in recipes if recipe.startswith(prefix)]
    if len(found) == 1:
        return str(found[0])
    raise Misconfigured(
        f"{'No' if not found else 'More than one'} recipe of this lake begins with {prefix!r}; "
        f"it has {', '.join(recipes) or 'none'}.",
        next="List them with: nightscribe compare",
    )


def compare(connection: duckdb.DuckDBPyConnection, old: str, new: str) -> Comparison:
    """Align the transcripts that two decode recipes made of the same videos."""
    out = Comparison(old, new)
    for video_id, key, title, before, after, *confidence in _pairs(connection, old, new):
        found = jiwer.process_words(before.lower(), after.lower())  # some models write capitals
        change = VideoChange(
            video_id, key, title, len(before.split()), found.substitutions, found.deletions, found.insertions,
            (confidence[0], confidence[1]),
        )  # fmt: skip
        out.videos.append(change)
        _count(out, found)
    out.videos.sort(key=lambda v: (-v.share, v.key))
    return out


def _pairs(connection: duckdb.DuckDBPyConnection, old: str, new: str) -> Iterator[tuple[Any, ...]]:
    rows = connection.execute(
        """
        WITH made AS (
            SELECT video_id, generation, decode_recipe, key, title, confidence FROM videos_all
            WHERE decode_recipe IN ($old, $new) AND status IN ('indexed', 'no_speech')
            QUALIFY row_number() OVER (PARTITION BY video_id, decode_recipe ORDER BY generation DESC) = 1
        ),
        said AS (SELECT made.*, coalesce(trim(t.text), '') AS text
                 FROM made LEFT JOIN transcripts_all t USING (video_id, generation))
        SELECT a.video_id, b.key, b.title, a.text, b.text, a.confidence, b.confidence
        FROM said a JOIN said b USING (video_id) WHERE a.decode_recipe = $old AND b.decode_recipe = $new
        """,
        {"old": old, "new": new},
    )
    while chunk := rows.fetchmany(FETCH):
        yield from chunk


def _count(out: Comparison, found: jiwer.WordOutput) -> None:
    before, after = found.references[0], found.hypotheses[0]
    for part in found.alignments[0]:
        if part.type == "substitute":
            for i, j in zip(
                range(part.ref_start_idx, part.ref_end_idx), range(part.hyp_start_idx, part.hyp_end_idx), strict=True
            ):
                out.replaced[before[i], after[j]] += 1
        elif part.type == "delete":
            out.removed.update(before[part.ref_start_idx : part.ref_end_idx])
        elif part.type == "insert":
            out.added.update(after[part.hyp_start_idx : part.hyp_end_idx])
