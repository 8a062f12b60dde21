#!/usr/bin/env bash
# ffmpeg 7.0.2 (and 5.1.9): how late the sound of an MPEG program stream begins depends on which other streams of the file
# are read. For formats whose clock may jump, ffmpeg takes the earliest stream *in use* for the start of the file: with the
# sound alone mapped, sound that begins 4 s after the picture begins at 0, and a transcript of it is 4 s early.
# The same picture and sound in Matroska keep the delay either way.
#
# 6 s of tone, 4 s after the picture. As 16 kHz PCM with `aresample=async=1:first_pts=0`: of the .mpg 6.0 s, with the picture
# read too (copied to the null muxer) 10.0 s; of the .mkv 10.0 s.
# Seen with imageio-ffmpeg 0.6.0, which brings ffmpeg 7.0.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check imageio-ffmpeg==0.6.0
ffmpeg=$(tools/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')

for name in late.mpg late.mkv; do
    "$ffmpeg" -v error -f lavfi -i testsrc2=s=160x90:r=25:d=6 -itsoffset 4 -f lavfi -i sine=440:r=48000:d=6 \
        -map 0 -map 1 -c:v mpeg2video -c:a mp2 "$name"
done

seconds() {
    "$ffmpeg" -v error -nostdin -i "$1" -map 0:a -af aresample=async=1:first_pts=0 -ac 1 -ar 16000 -f s16le pipe:1 "${@:2}" 2>messages |
        wc -c | awk '{ printf "%.1f", $1 / 32000 }'
}
alone=$(seconds late.mpg)
together=$(seconds late.mpg -map 0:v -c copy -f null -)
matroska=$(seconds late.mkv)
echo ".mpg: $alone s of sound alone, $together s with the picture read too; .mkv: $matroska s."
[ "$alone" = 6.0 ] && [ "$together" = 10.0 ] && [ "$matroska" = 10.0 ] || { echo "It is not as it was."; exit 1; }
echo "As it was: the delay of the sound is lost unless the picture is read too."
