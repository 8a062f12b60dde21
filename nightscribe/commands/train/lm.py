"""`nightscribe train lm`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, settings_from
from nightscribe.progress import counting


@click.command("lm")
@click.argument("texts", nargs=-1, type=click.Path(path_type=Path), metavar="[TEXT]...")
@click.option("--models", metavar="SET", help="Model set or folder whose acoustic model it is for.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; default `language_model` in the model's folder.")
@click.option("--bucket", metavar="URI", help="Also the sidecars of this archive, so that its names are known.")
@click.option(
    "--without",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="MANIFEST",
    help="Leave out sentences of clips to be judged by.",
)
@click.option("--tune", type=click.Path(path_type=Path), metavar="MANIFEST", help="Find the weights on these clips.")
@click.option("--tune-clips", type=click.IntRange(min=1), default=200, show_default=True, help="So many of them.")
@click.option("--language", help="Language that numbers are read in, as ISO 639; default the set's.")
@click.option("--order", type=click.IntRange(2, 6), default=5, show_default=True, help="Words of the longest n-gram.")
@click.option(
    "--prune", default="0,0,1,2,2", show_default=True, help="For each length: n-grams seen so often or less go."
)
@click.option("--min-count", type=click.IntRange(min=1), default=2, show_default=True, help="Rarer words go.")
@click.option(
    "--quantise-bits", type=click.IntRange(2, 24), default=8, show_default=True, help="Of the trie's numbers."
)
@click.option("--memory", default="2G", show_default=True, help="For lmplz.")
@json_option
def command(
    texts: tuple[Path, ...],
    models: str | None,
    out: Path | None,
    bucket: str | None,
    without: tuple[Path, ...],
    tune: Path | None,
    tune_clips: int,
    language: str | None,
    order: int,
    prune: str,
    min_count: int,
    quantise_bits: int,
    memory: str,
    as_json: bool,
) -> int:
    """Estimate a word n-gram model from text files with KenLM, in the letters of the acoustic model.

    Writes a quantised binary trie, the list of its words and a card with perplexity on held-out sentences. With --tune,
    the weight of the model, the bonus for each word and the penalty of the blank are chosen by the fewest wrong words, and
    kept beside it. What was in the folder is replaced when all of it is done.

    \b
    Example:
      nightscribe train lm books.txt.xz news.txt --models models/ours/best --bucket ~/videos --tune dev.tsv
    """
    from tasks.evaluation.asr import read_clips
    from tasks.evaluation.cards import card
    from tasks.evaluation.manifest import Problems, drawn
    from tasks.machine.folders import replacing
    from tasks.models.catalog import find_set
    from tasks.training.lm import LanguageModelOptions, build_lm, check_replaceable
    from tasks.training.lm_text import read_sentences
    from tasks.training.lm_text import without as left_out

    if not texts and not bucket:
        raise click.UsageError("Give text files, or an archive with --bucket.")
    settings = settings_from(models=models)
    chosen, problems = find_set(settings), Problems()
    folder = out or _place(chosen, settings)
    check_replaceable(folder)
    clips = drawn(read_clips(tune, problems, path_column="path", text_column="text"), tune_clips) if tune else []
    options = LanguageModelOptions(order, _pruning(prune, order), min_count, memory, quantise_bits)
    alphabet, language = _alphabet(chosen), language or chosen.spoken
    own = _own(bucket, alphabet, language, settings, problems)
    sentences: Iterable[str] = read_sentences(texts, alphabet, language)
    if judging := [*without, *([tune] if tune else [])]:
        held_back = _held_back(judging, alphabet, language)
        sentences, own = left_out(sentences, held_back), list(left_out(own, held_back))
    print("Counting and estimating.", file=sys.stderr)
    with replacing(folder) as new:
        report = build_lm(sentences, new, options, own=own)
        tuned = _tuned(clips, chosen, new, settings, problems) if tune else None
        made = _described(report, tuned, texts, bucket, alphabet)
        text = card(folder.name, f"A word {order}-gram language model (KenLM).", made, report.options, problems.lines())
        (new / "README.md").write_text(text, encoding="utf-8")
    for problem in problems.lines():
        print(f"Left out: {problem}", file=sys.stderr)
    if as_json:
        print_json({**vars(report), "folder": str(folder), "tuned": vars(tuned) if tuned else None})
    else:
        print("\n".join(f"{key}: {value}" for key, value in made.items()) + f"\n{folder}")
    return 0


def _place(chosen: Any, settings: Any) -> Path:
    """Where `--models` looks for the language model of an acoustic model that is named by its folder."""
    from tasks.errors import Misconfigured
    from tasks.models.catalog import read_catalog

    if settings.models in read_catalog(settings.catalog):
        raise Misconfigured(
            f"{settings.models} is a set of the catalogue, which names its language model itself.",
            next="Say --out, and name that folder as `lm` in a catalogue of your own.",
        )
    return Path(chosen.acoustic.path) / "language_model"


def _described(report: Any, tuned: Any, texts: tuple[Path, ...], bucket: str | None, alphabet: str) -> dict[str, str]:
    """What the card and the command say of a model."""
    made = {
        "text": ", ".join([*(path.name for path in texts), *(["sidecars of the archive"] if bucket else [])]),
        "size": f"{report.words:,} words in {report.sentences:,} sentences; {report.vocabulary:,} different, {report.bytes / 1e6:.1f} MB",
        "held-out sentences": _judged(report),
        "for": f"the letters {''.join(sorted(alphabet, key=lambda letter: (not letter.isalpha(), letter)))}",
    }
    if tuned:
        made["weights"] = (
            f"{tuned.lm_weight:g}, bonus {tuned.word_bonus:g}, blank penalty {tuned.blank_penalty:g}: "
            f"WER {tuned.wer:.1%} on {tuned.clips} clips, each at three speeds"
        )
    return made


def _judged(report: Any) -> str:
    if report.perplexity is None:
        return "none: the text is too short to keep one back"
    return (
        f"{report.held_out_sentences}: perplexity {report.perplexity:g}, {report.perplexity_known:g} without unknown "
        f"words; {report.out_of_vocabulary:.2%} of the words unknown"
    )


def _pruning(text: str, order: int) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))[:order]
    except ValueError as error:
        raise click.BadParameter("whole numbers with commas, like 0,0,1", param_hint="--prune") from error
    return counts + counts[-1:] * (order - len(counts))


def _alphabet(chosen: Any) -> str:
    from tasks.speech.acoustic import tokenizer_of
    from tasks.training.fit import alphabet_of

    return alphabet_of(tokenizer_of(chosen))


def _own(bucket: str | None, alphabet: str, language: str, settings: Any, problems: Any) -> list[str]:
    if bucket is None:
        return []
    from tasks.sources.bucket import open_bucket
    from tasks.training.lm_text import sidecar_sentences

    return list(sidecar_sentences(open_bucket(bucket, settings), alphabet, problems, language))


def _held_back(manifests: list[Path], alphabet: str, language: str) -> list[str]:
    from tasks.evaluation.manifest import read_manifest, strings
    from tasks.text.spoken import to_alphabet

    return [
        to_alphabet(text, alphabet, language=language)[0]
        for manifest in manifests
        for text in strings(read_manifest(manifest, "text"), "text")
    ]


def _tuned(clips: Sequence[Any], chosen: Any, folder: Path, settings: Any, problems: Any) -> Any:

    from tasks.training.tuning import tune, write_weights

    settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-tune-", dir=settings.scratch) as scratch, counting("weights") as show:
        tuned = tune(clips, chosen.with_model("lm", str(folder)), settings, Path(scratch), problems, show)
    write_weights(folder, tuned)
    return tuned
