"""Make the sample archive `data/bucket/` from `bucket.toml`: spoken by synthetic voices, over moving pictures.

    python -m data.recipes.bucket [--out data/bucket] [--sounds FOLDER] [--only KEY]

Needs espeak-ng, flite, festival and ffmpeg; FOLDER is `etc/samples` of sonic-pi-net/sonic-pi, whose sounds are in the public domain
(CC0). Using the archive needs none of them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import textwrap
import tomllib
import wave
from pathlib import Path
from typing import Any

import numpy as np

from data.recipes.frames_demo import scene_of
from tasks.training.corpus import SAMPLE_RATE, available_voices, speak

SIZE, RATE = "640x360", 12
SCENE_S = 3
PAUSE_S = 0.7  # after each sound
PICTURES = {
    "gradients": f"gradients=s={SIZE}:r={RATE}:speed=0.02:seed={{seed}}",
    "testsrc2": f"testsrc2=s={SIZE}:r={RATE},hue=h={{seed}}*20,boxblur=6",
    "life": f"life=s=160x90:r={RATE}:mold=10:ratio=0.12:seed={{seed}}:death_color=#28324a:life_color=#d8b25c,scale={SIZE}:flags=neighbor",
    "cellauto": f"cellauto=s=160x90:r={RATE}:rule=110:seed={{seed}},scale={SIZE}:flags=neighbor,hue=h=40:s=0.4",
    "mandelbrot": f"mandelbrot=s={SIZE}:r={RATE}:start_scale=1.2:end_scale=0.3",
}
CODECS = {
    ".mp4": [
        "-c:v",
        "libx264",
        "-crf",
        "34",
        "-preset",
        "slow",
        "-c:a",
        "aac",
        "-b:a",
        "48k",
        "-movflags",
        "+faststart",
    ],
    ".mov": ["-c:v", "libx264", "-crf", "34", "-preset", "slow", "-c:a", "aac", "-b:a", "48k", "-ar", "44100"],
    ".mkv": ["-c:v", "libx264", "-crf", "34", "-preset", "slow", "-c:a", "flac", "-ar", "16000"],
    ".webm": ["-c:v", "libvpx-vp9", "-crf", "44", "-b:v", "0", "-c:a", "libopus", "-b:a", "32k"],
}


def make(entry: dict[str, Any], number: int, out: Path, sounds: Path | None) -> None:
    """One video with its sidecar."""
    path = out / entry["key"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = float(entry.get("seconds", 0))
        sound: list[str] = []
        if entry.get("text"):
            seconds = narrate(entry, folder / "speech.wav")
            sound = ["-i", str(folder / "speech.wav")]
            if entry.get("sounds"):
                seconds = with_sounds(entry, folder / "speech.wav", folder / "heard.wav", sounds)
                sound = ["-i", str(folder / "heard.wav")]
        elif entry.get("audio") == "silent":
            sound = ["-f", "lavfi", "-t", str(seconds), "-i", "anullsrc=r=16000:cl=mono"]
        (folder / "title.txt").write_text("\n".join(textwrap.wrap(entry["title"], 28)), encoding="utf-8")
        picture = PICTURES[entry["picture"]].format(seed=number + 1)
        card = (
            f"drawbox=c=black@0.55:t=fill:enable='lt(t,4)',drawtext=textfile={folder / 'title.txt'}:fontsize=34:fontcolor=white:"
            "line_spacing=8:x=(w-text_w)/2:y=(h-text_h)/2:enable='lt(t,4)',"
            f"drawtext=text='%{{pts\\:hms}}':fontsize=16:fontcolor=white@0.8:x=w-text_w-12:y=h-28"
        )
        whole = folder / f"video{path.suffix}"
        command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-t", f"{seconds:.2f}", "-i"]
        command += [f"{picture},{card},format=yuv420p", *sound, *scenes(entry, folder, seconds, bool(sound))]
        subprocess.run([*command, *CODECS[path.suffix], "-fflags", "+bitexact", str(whole)], check=True)
        data = whole.read_bytes()
        path.write_bytes(data[: int(len(data) * entry.get("keep", 1))])
    fields = ("title", "description", "tags", "published_at")
    sidecar = {name: entry[name] for name in fields} | {"language": "en"}
    path.with_suffix(".json").write_text(json.dumps(sidecar, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def scenes(entry: dict[str, Any], folder: Path, seconds: float, sound: bool) -> list[str]:
    """What puts the scenes of an entry at the end of its picture, one after the other: inputs and a filter."""
    shown = entry.get("scenes", [])
    inputs: list[str] = []
    graph = "[0:v]null[v0];"
    for number, scene in enumerate(shown):
        file = folder / f"scene{number}.png"
        size = tuple(int(side) for side in SIZE.split("x"))
        scene_of(scene["on"], scene["shapes"], (size[0], size[1])).save(file)
        inputs += ["-i", str(file)]
        start = seconds - SCENE_S * (len(shown) - number)
        graph += f"[v{number}][{number + 1 + sound}:v]overlay=enable='between(t,{start:.2f},{start + SCENE_S:.2f})'[v{number + 1}];"
    if not shown:
        return []
    return [*inputs, "-filter_complex", graph[:-1], "-map", f"[v{len(shown)}]", *(["-map", "1:a"] if sound else [])]


def narrate(entry: dict[str, Any], path: Path) -> float:
    """Speak the text line by line with pauses; returns the length in seconds."""
    engine, voice = entry["voice"].split("/", 1)
    chosen = next(v for v in available_voices() if v.engine == engine and v.voice == voice)
    parts = [np.zeros(SAMPLE_RATE, np.float32)]
    for line in entry["text"].strip().splitlines():
        parts += [speak(line, chosen), np.zeros(int(0.45 * SAMPLE_RATE), np.float32)]
    audio = np.concatenate(parts)
    pcm = (audio / max(1e-6, float(np.abs(audio).max())) * 0.7 * 32767).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(pcm.tobytes())
    return len(pcm) / SAMPLE_RATE + 0.5


def with_sounds(entry: dict[str, Any], speech: Path, target: Path, sounds: Path | None) -> float:
    """The speech, and after it the entry's sounds, at 48 kHz; returns the length in seconds."""
    if sounds is None:
        raise SystemExit(f"{entry['key']} has sounds: say where they are with --sounds.")
    files = [sounds / f"{name}.flac" for name, times in entry["sounds"] for _ in range(times)]
    inputs = [part for file in (speech, *files) for part in ("-i", str(file))]
    each = "".join(
        f"[{n}:a]aresample=48000,aformat=channel_layouts=mono,apad=pad_dur={PAUSE_S}[a{n}];"
        for n in range(len(files) + 1)
    )
    joined = "".join(f"[a{n}]" for n in range(len(files) + 1)) + f"concat=n={len(files) + 1}:v=0:a=1[a]"
    command = ["ffmpeg", "-v", "error", "-y", *inputs, "-filter_complex", each + joined, "-map", "[a]", str(target)]
    subprocess.run(command, check=True)
    with wave.open(str(target), "rb") as heard:
        return heard.getnframes() / heard.getframerate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data/bucket"))
    parser.add_argument("--sounds", type=Path, help="folder of the sounds that an entry names")
    parser.add_argument("--only", metavar="KEY", help="one entry of the archive")
    options = parser.parse_args()
    with Path(__file__).with_suffix(".toml").open("rb") as handle:
        entries = tomllib.load(handle)["video"]
    for number, entry in enumerate(entries):
        if options.only not in (None, entry["key"]):
            continue
        make(entry, number, options.out, options.sounds)
        print(entry["key"], f"{(options.out / entry['key']).stat().st_size / 1e6:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
