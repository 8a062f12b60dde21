"""What an index looks like: its fields, their analysis, and how it is named.

Words arrive as search compares them (tasks/text/folding.py) and with their stems (tasks/text/stemming.py), made by the same code that
searches the lake, so that the two engines cannot disagree about what a word is. Elasticsearch only splits at spaces.
"""

from __future__ import annotations

import importlib.metadata
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.search.places import REPEATED
from tasks.text.folding import FOLDING_VERSION
from tasks.text.passages import PASSAGES

MAPPING_VERSION = 3
BUILDER_VERSION = 3  # of documents.py
BORDER = "\ue000"  # stands where a passage begins and where its carried words end; no word has this character
STATE_ID = "state"
GUARD = "-guard"
ANNOUNCED = "announced"  # the status of a video whose first passages are on their way
REBUILD = "nightscribe sync --rebuild"
LONGEST_BEGINNING = 20  # letters of a title word by which it is completed
LARGEST_WINDOW = 1_000_000  # videos that paging reaches
_LONGEST_WORD = 8_000  # characters; Lucene's own limit is in bytes, four times as many


def recipe() -> dict[str, Any]:
    """What documents are made by; an index made by another recipe is rebuilt, not mixed."""
    return {
        "mapping": MAPPING_VERSION,
        "builder": BUILDER_VERSION,
        "folding": FOLDING_VERSION,
        "passages": list(PASSAGES),
        "repeated": REPEATED,
        "stems": f"snowballstemmer {importlib.metadata.version('snowballstemmer').rpartition('.')[0]}",
    }


@dataclass(frozen=True)
class Names:
    """Names of indices and aliases; all begin with the prefix of the settings."""

    prefix: str

    @property
    def read(self) -> str:
        """The alias that searches ask."""
        return self.prefix

    @property
    def write(self) -> str:
        """The alias that says which index a sync keeps in step."""
        return f"{self.prefix}-write"

    @property
    def pattern(self) -> str:
        """Fits every index of ours, whatever its age and mapping."""
        return f"{self.prefix}-passages-m*"

    def new_index(self) -> str:
        """A name that no index has: mapping version and time, and two bytes of chance."""
        return f"{self.prefix}-passages-m{MAPPING_VERSION}-{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(2)}"

    @staticmethod
    def guard(index: str) -> str:
        """An alias that only this index has. Bulk requests name it and require it: an index that somebody deleted meanwhile
        would otherwise be made anew, without our mappings, by the next document."""
        return f"{index}{GUARD}"


def index_settings(shards: int) -> dict[str, Any]:
    """The settings of an index: words are split at spaces, beginnings of titles are indexed for completion."""
    return {
        "number_of_shards": shards,
        "auto_expand_replicas": "0-1",
        "max_result_window": LARGEST_WINDOW,
        "gc_deletes": "10m",  # so long does a deletion keep a late, older document out by itself
        "analysis": {
            "tokenizer": {"words": {"type": "whitespace", "max_token_length": _LONGEST_WORD}},
            "filter": {"beginnings": {"type": "edge_ngram", "min_gram": 1, "max_gram": LONGEST_BEGINNING}},
            "analyzer": {
                "words": {"type": "custom", "tokenizer": "words", "filter": ["lowercase"]},
                "beginnings": {"type": "custom", "tokenizer": "words", "filter": ["lowercase", "beginnings"]},
            },
        },
    }


def mappings(meta: dict[str, Any]) -> dict[str, Any]:
    """Strict mappings; `_meta` says what made the index, and of which lake."""
    keyword, count = {"type": "keyword"}, {"type": "integer"}
    counted = {"type": "text", "analyzer": "words", "norms": False, "index_options": "freqs"}
    return {
        "dynamic": "strict",
        "_meta": {**recipe(), **meta},
        "properties": {
            "kind": keyword,  # passage, frames, sounds, video, or state
            "video_id": keyword,
            "generation": {"type": "long"},
            "language": keyword,  # code and first part of it: "en-gb", "en"
            "status": keyword,
            "topic": keyword,  # the first, in lower case
            "published_at": {"type": "date"},
            "confidence": {"type": "double"},
            "title_stems": {"type": "text", "analyzer": "words", "norms": False, "index_options": "freqs"},
            "title": {
                "type": "text",
                "analyzer": "words",
                "norms": False,
                "fields": {"begins": {"type": "text", "analyzer": "beginnings", "search_analyzer": "words"}},
            },
            # -- passages, of what is said and after these of what is to be read
            "place": keyword,
            "start_ms": {"type": "long"},
            "repeated": {"type": "boolean"},  # a text on the screen that is also said
            "part_no": count,  # of passages and vectors together
            "text": {"type": "text", "analyzer": "words"},
            "carried": {"type": "text", "analyzer": "words", "norms": False},
            "stems": counted,  # "en:elect"
            "carried_stems": counted,
            # -- vectors, after these: of pictures and of sounds, in a field for each size, which `vector_fields` adds
            "recipe": keyword,
            "number": count,
            "near": {"type": "object", "enabled": False},
            # -- what is only shown
            "heard": {"type": "object", "enabled": False},
            "video": {"type": "object", "enabled": False},
            # -- videos
            "n_parts": count,
            # -- the state of the sync
            "lake_version": {"type": "long"},
            "lake_files": keyword,
            "synced_at": {"type": "date"},
            "languages": keyword,
        },
    }


def vector_field(kind: str, size: int) -> str:
    """Vectors of another size are of another model: they cannot lie in one field."""
    return f"{kind}_{size}"


def vector_fields(fields: Collection[tuple[str, int]]) -> dict[str, Any]:
    """Mappings of vectors, as the lake keeps them: a signed byte for each number."""
    return {
        vector_field(kind, size): {
            "type": "dense_vector",
            "element_type": "byte",
            "dims": size,
            "index": True,
            "similarity": "cosine",
            "index_options": {"type": "hnsw"},
        }
        for kind, size in fields
    }
