"""`nightscribe train corpus`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nightscribe.progress import counting


@click.command("corpus")
@click.argument("texts", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TEXT...")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the corpus.")
@click.option("--clips", type=click.IntRange(min=1), default=1000, show_default=True, help="Sentences to speak.")
@click.option(
    "--words", nargs=2, type=click.IntRange(min=1), default=(3, 16), show_default=True, help="Least and most."
)
@click.option(
    "--effects", type=click.FloatRange(0, 1), default=0.25, show_default=True, help="Share with noise, echo or a codec."
)
@click.option(
    "--voice", "voices", multiple=True, metavar="NAME", help="Only voices that begin so (flite/rms); may be repeated."
)
@click.option("--without", "unwanted", multiple=True, metavar="NAME", help="No voices that begin so; may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one, other sentences and voices.")
def command(
    texts: tuple[Path, ...],
    out: Path,
    clips: int,
    words: tuple[int, int],
    effects: float,
    voices: tuple[str, ...],
    unwanted: tuple[str, ...],
    seed: int,
) -> int:
    """Speak sentences of text files with every voice of espeak-ng, flite and festival that is installed.

    Speeds, pitches, noise, room echo and codecs vary. OUT/manifest.tsv has path, text, voice and seconds of each clip. The
    same command goes on after an interruption, and makes the same clips on any machine with the same voices.

    \b
    Example:
      nightscribe train corpus books.txt --clips 5000 --without flite/rms --out corpus
      nightscribe train corpus books.txt --clips 200 --voice flite/rms --seed 1 --effects 0 --out unseen
    """
    from tasks.errors import Misconfigured
    from tasks.evaluation.manifest import Problems
    from tasks.training.corpus import available_voices, choose_sentences, make_corpus

    known = available_voices()
    chosen = [
        v for v in known if (not voices or v.name.startswith(voices)) and not v.name.startswith(unwanted or ("\0",))
    ]
    if not chosen:
        raise Misconfigured(
            "No installed voice is left.",
            next=f"Some that are: {', '.join(v.name for v in known[:: max(1, len(known) // 8)])}.",
        )
    sentences = choose_sentences(texts, clips, shortest=words[0], longest=words[1], seed=seed)
    with counting("clips spoken") as show:
        problems = Problems()
        made = make_corpus(sentences, out, voices=chosen, seed=seed, effects=effects, problems=problems, on_clip=show)
    for line in problems.lines():
        print(f"Left out: {line}", file=sys.stderr)
    print(made)
    return 0
