#!/usr/bin/env bash
# ffmpeg 7.0.2 (and 5.1.9): written into an AVI, sound that begins 4 s after the picture begins with it, without a message,
# while the header of the stream counts the 4 s in: it promises 10 s of sound, and there are 6. Two of the things a
# transcript depends on are wrong in opposite ways: words are 4 s early, and the file looks cut off.
#
# Seen with imageio-ffmpeg 0.6.0, which brings ffmpeg 7.0.2: duration 10.0 s, of which 6.0 s can be decoded, from 0 on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check imageio-ffmpeg==0.6.0
ffmpeg=$(tools/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

"$ffmpeg" -v error -f lavfi -i testsrc2=s=160x90:r=25:d=6 -itsoffset 4 -f lavfi -i sine=440:r=48000:d=6 \
    -map 0 -map 1 -c:v mpeg4 -c:a libmp3lame late.avi 2>messages
stated=$({ "$ffmpeg" -hide_banner -nostdin -i late.avi 2>&1 || true; } | sed -n 's/.*Duration: 00:00:\([0-9]*\.[0-9]\).*/\1/p')
heard=$("$ffmpeg" -v error -nostdin -i late.avi -map 0:a -af aresample=async=1:first_pts=0 -ac 1 -ar 16000 -f s16le pipe:1 |
    wc -c | awk '{ printf "%.1f", $1 / 32000 }')
echo "The file says $stated s; $heard s of sound can be decoded, silence before it included."
[ "$stated" = 10.0 ] && [ "$heard" = 6.0 ] || { echo "It is not as it was."; exit 1; }
echo "As it was: the delay is lost, and the length has it all the same."
