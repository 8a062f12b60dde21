"""More real speech for the demo speech model: a folder of LibriSpeech (CC BY 4.0), in its own layout.

    python -m data.recipes.librispeech FOLDER --without TESTDATA --out OUT/librispeech.tsv

FOLDER is searched for `*.trans.txt`; the clips lie beside them, in any form that ffmpeg reads. Speakers of TESTDATA are left
out, so that nobody of its test and development parts is trained on, and so are clips without sound or of no plausible length.
`python -m data.recipes.asr_demo --more OUT/librispeech.tsv` takes the manifest to its training part.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data.recipes.asr_demo import utterances as of_testdata
from data.recipes.asr_demo import write
from tasks.media.clip import clip_sound
from tasks.media.pcm import SAMPLE_RATE
from tasks.settings import Settings

SLOWEST, FASTEST = 4.0, 30.0  # letters a second; a clip outside was cut or holds other words


def utterances(folder: Path, without: set[str]) -> Iterator[dict[str, str]]:
    """Every clip with its text, in the columns of the recipe's manifests; says on stderr what is left out."""
    with tempfile.TemporaryDirectory() as scratch:
        for listed in sorted(folder.rglob("*.trans.txt")):
            speaker = listed.name.split("-")[0]
            if speaker in without:
                continue
            for line in listed.read_text(encoding="utf-8").splitlines():
                name, text = line.split(" ", 1)
                clip = next(iter(sorted(listed.parent.glob(f"{name}.*"))), None)
                if clip is None:
                    continue
                sound = clip_sound(clip, Path(scratch) / "sound", Settings(scratch_free_gb=0.0))
                seconds = 0.0 if isinstance(sound, str) else sound.samples / SAMPLE_RATE
                if not seconds or not SLOWEST < len(text) / seconds < FASTEST:
                    print(
                        f"left out: {clip} ({sound if isinstance(sound, str) else f'{seconds:.1f} s'})", file=sys.stderr
                    )
                    continue
                yield {
                    "path": str(clip),
                    "text": text.lower(),
                    "source": "librispeech",
                    "speaker": speaker,
                    "seconds": f"{seconds:.2f}",
                }


def speakers(testdata: Path) -> set[str]:
    """The readers of LibriSpeech whom the test data has."""
    return {row["speaker"] for row in of_testdata(testdata) if row["path"].startswith("librispeech/")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", type=Path, required=True, metavar="TESTDATA")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write(options.out, utterances(options.folder, speakers(options.without)))


if __name__ == "__main__":
    main()
