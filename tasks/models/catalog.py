"""The model catalogue: which acoustic model, language model and topic model a run uses, and where they lie.

An entry's model is a folder (relative to the catalogue) or a Hugging Face id. Ids are fetched once, by
`nightscribe models fetch`, into the usual cache; a run itself never reaches for the network.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tasks.errors import Misconfigured, ModelNotAvailable, UnknownModelSet, first_line
from tasks.models.pins import check_commit, newest_commit, read_pins, write_pin
from tasks.settings import Settings

ROLES = (
    "acoustic",
    "lm",
    "topics",
    "timing",
    "pictures",
    "sounds",
)  # that a model can have in a set; `ROLE_revision` pins its commit
ATTRIBUTES = "attrs.json"  # beside a KenLM file, as pyctcdecode writes it
SEARCH = "search.json"  # the blank penalty, for which that file has no place: pyctcdecode refuses a key that it does not know
TUNED = ("alpha", "beta", "unk_score_offset", "score_boundary", "blank_penalty")


@dataclass(frozen=True)
class ModelRef:
    """A model as it lies on this machine (`path`, a folder or a hub id), and what tells it from others: `files` is a
    fingerprint of its files, `revision` a commit of the hub."""

    path: str
    revision: str | None

    @property
    def name(self) -> str:
        return Path(self.path).name if os.path.isdir(self.path) else self.path

    @property
    def files(self) -> str:
        return fingerprint(self.path)


@dataclass(frozen=True)
class ModelSet:
    """One entry of the catalogue: a model for each of some `ROLES`, and how the search uses them."""

    name: str
    language: str
    licence: str
    models: Mapping[str, ModelRef]
    lm_weight: float | None = None
    word_bonus: float | None = None
    blank_penalty: float | None = None
    target_language: str | None = None
    sound_labels: tuple[str, ...] = ()  # what its model of sounds knows, to choose from where the settings name nothing
    about: str = ""
    measured: str = ""

    def ref(self, role: str) -> ModelRef | None:
        """The model of a role, if the set has one."""
        return self.models.get(role)

    @property
    def acoustic(self) -> ModelRef:
        """The model that every set has."""
        return self.models["acoustic"]

    def with_model(self, role: str, path: str, revision: str | None = None) -> ModelSet:
        """The set with another model in a role."""
        return replace(self, models={**self.models, role: ModelRef(path, revision)})

    def entry(self) -> dict[str, Any]:
        """The keys of the catalogue, with their values."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "models"}
        for role in ROLES:
            one = self.ref(role)
            values |= {role: one.path if one else None, f"{role}_revision": one.revision if one else None}
        return values

    @property
    def spoken(self) -> str:
        """The language that numbers are read in; English where a folder does not say."""
        return "en" if self.language == "und" else self.language

    @property
    def spoken_tag(self) -> str | None:
        """The language to look for among audio tracks; None where a folder does not say what it hears."""
        return None if self.language == "und" else self.language


@dataclass(frozen=True)
class LanguageModelFiles:
    """A KenLM file, the list of its words, and what it was tuned to (pyctcdecode's `alpha` and `beta`, and the rest of its
    attributes; the blank penalty)."""

    model: str
    unigrams: str | None
    lm_weight: float | None = None
    word_bonus: float | None = None
    unknown_score: float | None = None
    score_boundary: bool = True
    blank_penalty: float | None = None


def read_catalog(path: Path) -> dict[str, ModelSet]:
    """All sets of a catalogue file.

    Raises:
        Misconfigured: it is missing, not TOML, or has keys that mean nothing.
    """
    try:
        with path.open("rb") as handle:
            entries = tomllib.load(handle)
    except FileNotFoundError as error:
        raise Misconfigured(f"There is no model catalogue {path}.", next="Set NIGHTSCRIBE_CATALOG.") from error
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"The model catalogue {path} is not TOML: {error}", next="Mend it.") from error
    sets, pins = {}, read_pins(path)
    for name, entry in entries.items():
        values = dict(entry)
        for role in ROLES:
            if values.get(role):
                values[role] = _located(values[role], path.parent)
                _pin(values, role, pins, f"{name} in {path}")
        sets[name] = model_set(name, values, f"{name} in {path}")
    return sets


def model_set(name: str, values: Mapping[str, Any], where: str = "") -> ModelSet:
    """A set from the keys and values of its entry.

    Raises:
        Misconfigured: a key means nothing, or one is missing.
    """
    models = {role: ModelRef(values[role], values.get(f"{role}_revision")) for role in ROLES if values.get(role)}
    of_models = {*ROLES, *(f"{role}_revision" for role in ROLES)}
    try:
        if "acoustic" not in models:
            raise TypeError("it names no acoustic model")
        labels = values.get("sound_labels")
        if labels is not None:
            if not isinstance(labels, list) or not all(label and isinstance(label, str) for label in labels):
                raise TypeError("sound_labels must be a list of texts")
            if len(set(labels)) < 2:
                raise TypeError("sound_labels must name two sounds or more")
            values = {**values, "sound_labels": tuple(labels)}
        return ModelSet(
            name=name, models=models, **{key: value for key, value in values.items() if key not in of_models}
        )
    except TypeError as error:
        raise Misconfigured(f"The model set {where or name}: {error}", next="Mend the entry.") from error


def _pin(values: dict[str, Any], role: str, pins: dict[str, str], where: str) -> None:
    """The commit of a hub model: the catalogue's own, else the one it was fetched at."""
    own = values.get(f"{role}_revision")
    if own is not None:
        check_commit(str(own), f"{role} of {where}")
    elif values[role] in pins:
        values[f"{role}_revision"] = pins[values[role]]


def _located(model: str, base: Path) -> str:
    folder = base / model
    return str(folder.resolve()) if folder.is_dir() else model


def find_set(settings: Settings) -> ModelSet:
    """The set that the settings name; a folder may be named instead, and then is an acoustic model alone.

    Raises:
        UnknownModelSet: no such entry.
    """
    sets = read_catalog(settings.catalog)
    if settings.models in sets:
        return sets[settings.models]
    if Path(settings.models).is_dir():
        folder = str(Path(settings.models).resolve())
        models = {"acoustic": ModelRef(folder, None)}
        if any(Path(folder).glob("language_model/*")):
            models["lm"] = ModelRef(folder, None)
        if (Path(folder) / "timing").is_dir():
            models["timing"] = ModelRef(str(Path(folder) / "timing"), None)
        return ModelSet(settings.models, settings.language or "und", "see its card", models)
    raise UnknownModelSet(
        f"There is no model set {settings.models!r}. Known: {', '.join(sorted(sets))}.",
        next=f"Use --models with one of them, or add it to {settings.catalog}.",
    )


def language_model(chosen: ModelRef | None) -> LanguageModelFiles | None:
    """The KenLM files of a model: a folder of `train lm`, or the `language_model/` folder of a hub repository.

    Raises:
        ModelNotAvailable: it is not on this machine.
    """
    if chosen is None:
        return None
    folder = Path(chosen.path)
    if not folder.is_dir():
        folder = _from_cache(chosen.path, chosen.revision)
    if (folder / "language_model").is_dir():
        folder = folder / "language_model"
    models = sorted(p for p in folder.iterdir() if p.suffix in (".binary", ".bin", ".arpa", ".klm"))
    if not models:
        raise ModelNotAvailable(f"No KenLM file lies in {folder}.", next=f"nightscribe models fetch {chosen.path}")
    unigrams = folder / "unigrams.txt"
    tuned = _numbers(folder / ATTRIBUTES) | _numbers(folder / SEARCH)
    return LanguageModelFiles(
        model=str(models[0]),
        unigrams=str(unigrams) if unigrams.exists() else None,
        lm_weight=tuned.get("alpha"),
        word_bonus=tuned.get("beta"),
        unknown_score=tuned.get("unk_score_offset"),
        score_boundary=bool(tuned.get("score_boundary", True)),
        blank_penalty=tuned.get("blank_penalty"),
    )


def _numbers(path: Path) -> dict[str, float]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(found[name]) for name in TUNED if name in found}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"{path} is damaged: {error}", next="Mend or remove it.") from error


def _from_cache(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelNotAvailable(
            f"The model {name} is not on this machine.", next=f"nightscribe models fetch {name}"
        ) from error


def fingerprint(model: str) -> str:
    """What tells one model from another: a folder's small files and the sizes and edges of its large ones; else the id.
    What only describes it is left out."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    parts = hashlib.sha256()
    for path in sorted(
        p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".md", ".png", ".csv", ".jsonl")
    ):
        size = path.stat().st_size
        parts.update(f"{path.relative_to(folder)}\0{size}\0".encode())
        with path.open("rb") as handle:
            parts.update(handle.read(1 << 16))
            handle.seek(max(0, size - (1 << 20)))
            parts.update(handle.read())
    return "sha256-" + parts.hexdigest()[:16]


def fetch_models(name: str, settings: Settings) -> list[str]:
    """Download a set's models (or one model by its hub id) into the usual cache; returns what is there now.

    One without a commit gets the newest there is, once and for all (tasks/models/pins.py).

    Raises:
        ModelNotAvailable: the hub did not answer or has no such model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    sets = read_catalog(settings.catalog)
    wanted: list[tuple[str, str | None]] = [(name, read_pins(settings.catalog).get(name))]
    if name in sets:
        wanted = [(model.path, model.revision) for model in sets[name].models.values()]
    for model, revision in wanted:
        if Path(model).is_dir():
            continue
        commit = revision or newest_commit(model)
        try:
            snapshot_download(
                model, revision=commit, ignore_patterns=["*.bin.index.json", "*.h5", "*.msgpack", "*.ot", "*.onnx"]
            )
        except (HfHubHTTPError, OSError, ValueError) as error:
            raise ModelNotAvailable(
                f"{model} could not be fetched: {first_line(error)}",
                next="Run this where the hub can be reached, then copy the cache folder (HF_HOME) here.",
            ) from error
        if revision is None:
            write_pin(settings.catalog, model, commit)
    return [model for model, _ in wanted]
