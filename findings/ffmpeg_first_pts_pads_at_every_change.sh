#!/usr/bin/env bash
# ffmpeg 7.0.2 (and 5.1.9): `aresample=async=1:first_pts=0`, which is meant to put silence before sound that begins late, puts
# it there again wherever a stream changes its parameters. The filter graph is built anew at the change, and the new
# resampler takes everything before its first time stamp for missing: all that was played so far comes once more, as silence.
#
# Two ADTS files, 6 s of stereo and 4 s of mono, joined byte by byte, as recorders and editors do. Without the filter's option
# 10.07 s come out; with it 16.11 s, so that all after the change is 6 s late.
# Seen with imageio-ffmpeg 0.6.0, which brings ffmpeg 7.0.2. What helps: no `first_pts`, and silence put in by the time stamps
# of the decoded frames.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check imageio-ffmpeg==0.6.0
ffmpeg=$(tools/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

"$ffmpeg" -v error -f lavfi -i sine=440:r=48000:d=6 -ac 2 -c:a aac stereo.aac
"$ffmpeg" -v error -f lavfi -i sine=660:r=48000:d=4 -ac 1 -c:a aac mono.aac
cat stereo.aac mono.aac > both.aac

seconds() { "$ffmpeg" -v error -nostdin -i both.aac -af "$1" -ac 1 -f s16le pipe:1 2>messages | wc -c | awk '{ printf "%.1f", $1 / 32000 }'; }
plain=$(seconds aresample=16000)
padded=$(seconds aresample=16000:async=1:first_pts=0)
echo "Decoded: $plain s; with async=1:first_pts=0: $padded s."
[ "$plain" = 10.1 ] && [ "$padded" = 16.1 ] || { echo "It is not as it was."; exit 1; }
echo "As it was: the 6 seconds before the change come again as silence."
