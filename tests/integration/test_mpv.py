"""mpv has the same clock: what it plays from a second on is what the rows have there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_media import SETTINGS
from test_web_clock import KINDS
from voices import RATE, shifts

from tasks.media import extract_audio, probe

# Where a clock goes back, mpv shows the same times twice; where a file has no time stamps, it finds no place after a change; and
# writing sound to a file, it does not come over a gap.
AGREED = [kind for kind in KINDS if not kind.startswith(("joined", "ADTS", "gap"))]
START_S = 8
WORST_MS = 80


@pytest.mark.skipif(shutil.which("mpv") is None, reason="there is no mpv; install it with: apt-get install mpv")
@pytest.mark.parametrize("kind", AGREED)
def test_mpv_plays_at_a_second_what_the_rows_have_there(kind: str, tmp_path: Path):
    path = KINDS[kind][0](tmp_path)
    extract_audio(path, probe(path, SETTINGS), tmp_path / "rows.pcm", SETTINGS)
    rows = {at: ms for at, ms, alike in shifts(np.fromfile(tmp_path / "rows.pcm", np.int16)) if alike > 0.5}
    out = tmp_path / "mpv.wav"
    command = ["mpv", "--no-config", "--no-terminal", "--vo=null", "--untimed", "--hr-seek=yes", f"--start={START_S}"]
    command += [
        "--ao=pcm",
        f"--ao-pcm-file={out}",
        "--audio-channels=mono",
        f"--audio-samplerate={RATE}",
        "--audio-format=s16",
    ]
    subprocess.run([*command, str(path)], check=True, timeout=120, stdin=subprocess.DEVNULL, capture_output=True)
    heard = np.frombuffer(out.read_bytes()[44:][: (out.stat().st_size - 44) // 2 * 2], np.int16).astype(np.float32)
    there = [
        (at, ms) for at, ms, alike in shifts(heard) if alike > 0.5 and 1000 * at + rows.get(at, -1e9) > 1000 * START_S
    ]
    assert len(there) >= 4
    assert max(abs(ms + 1000 * START_S - rows[at]) for at, ms in there) <= WORST_MS
