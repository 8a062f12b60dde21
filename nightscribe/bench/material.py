"""What the benches work on: the sample archive's speech, its true texts, and models whose weights do not matter."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tasks.arrays import Array
from tasks.media import extract_audio, probe
from tasks.records import Audio
from tasks.settings import REPO, Settings
from tasks.text.spoken import to_alphabet

ALPHABET = "abcdefghijklmnopqrstuvwxyz'"


@dataclass(frozen=True)
class Talk:
    """A video of the sample archive with the words that are said in it."""

    path: Path
    text: str


def talks() -> list[Talk]:
    """The videos of the sample archive that are whole and have speech."""
    described = tomllib.loads((REPO / "data/recipes/bucket.toml").read_text(encoding="utf-8"))["video"]
    return [
        Talk(REPO / "data/bucket" / video["key"], to_alphabet(video["text"], ALPHABET)[0])
        for video in described
        if video.get("text") and "cut off" not in video["key"]
    ]


def audio_of(path: Path, folder: Path, settings: Settings) -> Audio:
    """The sound of a video in a scratch file."""
    return extract_audio(path, probe(path, settings), folder / f"{path.stem}.pcm", settings)


def with_noise(audio: Audio, target: Path, *, snr_db: float, seed: int) -> Audio:
    """A copy with coloured noise."""
    from tasks.training.augment import add_noise

    pcm = np.fromfile(audio.path, np.int16).astype(np.float32) / 32768
    noisy: Array = np.clip(add_noise(pcm, snr_db, np.random.default_rng(seed)), -1, 1)
    (noisy * 32767).astype(np.int16).tofile(target)
    scaled = (noisy * 32767).astype(np.int16).astype(np.float64) / 32768
    return Audio(str(target), audio.samples, float(scaled.mean()), float(scaled.std()), 0)


def looped(paths: list[Path], target: Path, *, minutes: float) -> Path:
    """One sound file (AAC in MP4) of so many minutes, made of the given ones again and again."""
    whole = target.with_suffix(".once.m4a")
    encode = ["-vn", "-ac", "1", "-ar", "16000", "-c:a", "aac", "-b:a", "48k"]
    inputs = [part for path in paths for part in ("-i", str(path))]
    joined = "".join(f"[{n}:a:0]aresample=16000,aformat=channel_layouts=mono[a{n}];" for n in range(len(paths)))
    joined += "".join(f"[a{n}]" for n in range(len(paths))) + f"concat=n={len(paths)}:v=0:a=1[out]"
    _ffmpeg([*inputs, "-filter_complex", joined, "-map", "[out]", *encode, str(whole)])
    # The index first: some readers get the file through a pipe.
    copy = ["-t", str(60 * minutes), "-c", "copy", "-movflags", "+faststart"]
    _ffmpeg(["-stream_loop", "-1", "-i", str(whole), *copy, str(target)])
    whole.unlink()
    return target


def filmed(paths: list[Path], target: Path, *, minutes: float) -> Path:
    """One video with sound of so many minutes, made of the given ones again and again."""
    whole = target.with_suffix(".once.mp4")
    inputs = [part for path in paths for part in ("-i", str(path))]
    each = "".join(
        f"[{n}:v:0]fps=12,scale=640:360,setsar=1,format=yuv420p[v{n}];"
        f"[{n}:a:0]aresample=16000,aformat=channel_layouts=mono[a{n}];"
        for n in range(len(paths))
    )
    joined = each + "".join(f"[v{n}][a{n}]" for n in range(len(paths))) + f"concat=n={len(paths)}:v=1:a=1[v][a]"
    encode = ["-c:v", "libx264", "-crf", "34", "-preset", "veryfast", "-c:a", "aac", "-b:a", "48k"]
    _ffmpeg([*inputs, "-filter_complex", joined, "-map", "[v]", "-map", "[a]", *encode, str(whole)])
    copy = ["-t", str(60 * minutes), "-c", "copy", "-movflags", "+faststart"]
    _ffmpeg(["-stream_loop", "-1", "-i", str(whole), *copy, str(target)])
    whole.unlink()
    return target


def half_silent(sound: Path, target: Path, *, minutes: float) -> Path:
    """A sound file of the same length, of which every second half minute is the sound and the others are silence."""
    silence = "volume=0:enable='gte(mod(t,60),30)'"
    _ffmpeg(["-i", str(sound), "-t", str(60 * minutes), "-af", silence, "-c:a", "aac", "-b:a", "48k", str(target)])
    return target


def cut_up(sound: Path, folder: Path, *, seconds: int) -> Audio:
    """The samples of a sound file, cut to whole pieces of that length."""
    whole = audio_of(sound, folder, Settings(scratch_free_gb=0.0))
    return replace(whole, samples=whole.samples // (16_000 * seconds) * 16_000 * seconds)


def _ffmpeg(arguments: list[str]) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], check=True, stdin=subprocess.DEVNULL)


def base_model(folder: Path) -> str:
    """wav2vec2-base with random weights and its processor; speed does not depend on weights.

    Its output is nearly always the blank, as a trained model's is: near-uniform output would make any beam search slow.
    """
    import json

    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder.mkdir(parents=True)
    vocab = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *ALPHABET.upper()])}
    (folder / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), pad_token="<pad>", word_delimiter_token="|")
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    model = Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=len(vocab), pad_token_id=0))
    with torch.no_grad():
        model.lm_head.bias.zero_()
        model.lm_head.bias[0] = 12.0
    model.save_pretrained(folder)
    return str(folder)
