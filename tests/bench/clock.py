"""Whether a video has one clock: words, cues and captions of files of all kinds against the plain file they are made from.

    python tests/bench/clock.py [--only PATTERN] [--browser] [--gaps counted|closed] [--folder FOLDER] [--json FILE]

Makes the files of tests/clocked_media.py, indexes them with the demo models in one run, and compares every word that is said
once. With --browser, each is also watched in Chromium at some of its cues: where the sound really is when a caption appears.
Shifts are in ms, later is positive. FOLDER keeps the files and the lake; files that are there are not made again.
Ends with 1 when a word or a caption is more than 80 ms off, or a row is not what it must be.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clocked import MOST_MS, Rows, compare, index, read
from clocked_makers import make_material
from clocked_media import PLAIN, Variant, make_all, variants
from conftest import command_environment

from tasks.settings import Settings


def chosen(pattern: str) -> list[Variant]:
    """The plain file, and what has the pattern in its name or kind."""
    return [v for v in variants() if v.name == PLAIN or re.search(pattern, f"{v.name}\n{v.kind}")]


def line(name: str, *values: object) -> str:
    return f"{name[:36]:<37}" + "".join(f"{'-' if value is None else value:>9}" for value in values)


def measure(folder: Path, options: argparse.Namespace) -> list[dict[str, object]]:
    """Make, index, compare and watch; a record for each file."""
    files = chosen(options.only)
    missing = [variant for variant in files if not (folder / "files" / variant.name).exists()]
    if missing:
        print(f"{len(missing)} files to make.", file=sys.stderr)
        make_all(missing, make_material(folder / "material"), folder / "files")
    index(folder / "files", command_environment(folder, PREFECT_API_URL=None))
    rows = read(folder / "lake")
    found = [compare(variant, rows, gaps=options.gaps == "counted") for variant in files]
    watched = {}
    if options.browser:
        from clocked_browser import watch_all  # Playwright is not needed for the rows

        settings = Settings(lake=str(folder / "lake"), scratch=folder / "scratch")
        sound = folder / "material" / "sound.wav"
        for name, seen in watch_all(found, rows[PLAIN], settings, sound, gaps=options.gaps == "counted"):
            watched[name] = seen
            print(f"{len(watched)} of {len(found)} watched: {name} {'; '.join(seen.faults())}", file=sys.stderr)
    return [record(one, watched.get(one.variant.name)) for one in found]


def record(one: Rows, seen: object) -> dict[str, object]:
    faults = one.faults() + (seen.faults() if seen else [])  # type: ignore[attr-defined]
    return {
        "name": one.variant.name,
        "kind": one.variant.kind,
        "expected_ms": one.variant.shift_ms,
        "words": len(one.shifts),
        "median_ms": one.median_ms,
        "worst_ms": one.worst_ms,
        "duration_ms": one.heard and one.heard.duration_ms,
        "status": one.heard and one.heard.status,
        "reason": one.heard and one.heard.reason,
        **(seen.record() if seen else {}),  # type: ignore[attr-defined]
        "faults": faults,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="files whose name or kind has this regular expression"
    )
    parser.add_argument("--browser", action="store_true", help="watch them in Chromium too")
    parser.add_argument(
        "--gaps", choices=("counted", "closed"), default="counted", help="whether bare gaps are time that passes"
    )
    parser.add_argument("--folder", type=Path, help="where files and lake are kept; else they are removed at the end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nightscribe-clock-", ignore_cleanup_errors=True) as temporary:
        records = measure((options.folder or Path(temporary)).resolve(), options)
    captions = [name for name in ("caption_ms", "line_ms", "lips_ms", "played") if options.browser]
    print(
        line("file", "expected", "words", "median", "worst", *(name.removesuffix("_ms") for name in captions), "status")
    )
    for one in records:
        shown = [one.get(name) for name in captions]
        print(
            line(
                str(one["name"]),
                one["expected_ms"],
                one["words"],
                one["median_ms"],
                one["worst_ms"],
                *shown,
                one["status"],
            )
        )
        for fault in one["faults"]:  # type: ignore[attr-defined]
            print(f"    {fault}")
    worst = {
        name: max((abs(one[name]) for one in records if one.get(name) is not None), default=None)  # type: ignore[arg-type]
        for name in ("worst_ms", *(name for name in captions if name.endswith("_ms")))
    }
    wrong = [one["name"] for one in records if one["faults"]]
    print(line(f"worst of {len(records)}, {len(wrong)} wrong", "", "", "", *worst.values()))
    if options.json:
        options.json.write_text(json.dumps({"most_ms": MOST_MS, "files": records, "worst": worst}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
