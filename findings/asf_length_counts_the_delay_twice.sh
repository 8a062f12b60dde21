#!/usr/bin/env bash
# ffmpeg 7.0.2 (and 5.1.9): the length of an ASF or WMV file in which one stream begins late is reported too long by that
# delay. The file's header has one length for all streams; the demuxer gives it to each of them, and the start of the late
# one is added to it. What checks a transcript against that length takes the file for cut off.
#
# A picture of 6 s and, 4 s later, 6 s of tone: 10 s in all. Written as Matroska it has a duration of 10.0 s, as WMV of 13.9 s.
# Seen with imageio-ffmpeg 0.6.0, which brings ffmpeg 7.0.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check imageio-ffmpeg==0.6.0
ffmpeg=$(tools/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

for name in late.wmv late.mkv; do
    "$ffmpeg" -v error -f lavfi -i testsrc2=s=160x90:r=25:d=6 -itsoffset 4 -f lavfi -i sine=440:r=48000:d=6 \
        -map 0 -map 1 -c:v msmpeg4 -c:a wmav2 "$name"
done

length() { { "$ffmpeg" -hide_banner -nostdin -i "$1" 2>&1 || true; } | sed -n 's/.*Duration: 00:00:\([0-9]*\.[0-9]\).*/\1/p'; }
wmv=$(length late.wmv)
matroska=$(length late.mkv)
echo "Duration of 10 s: $matroska s as Matroska, $wmv s as WMV."
[ "$matroska" = 10.0 ] && [ "$wmv" = 13.9 ] || { echo "It is not as it was."; exit 1; }
echo "As it was: the delay is in the length twice."
