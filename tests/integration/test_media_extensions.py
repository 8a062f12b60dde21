"""The list of media extensions beside what the ffmpeg of this machine knows, and files under names that are easily forgotten."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess

import pytest
from conftest import BUCKET
from scanning import empty_bucket, keys, look

from tasks.media import probe
from tasks.settings import MEDIA_EXTENSIONS, Settings
from tasks.sources.candidates import SUBTITLES

# Extensions that ffmpeg knows and that are no candidates, each for a reason.
LEFT_OUT = {
    "no sound in it": """
        avc avs avs2 avs3 bit bitpacked cavs cif dnxhd dnxhr drc evc flm gif h261 h263 h266 h26l 266 apv ivf jxl mjpeg mjpg
        mpo obu qcif rcv rgb sdr2 ser v210 vc1 vc2 vvc yuv yuv10 mks
    """,
    "without a header that says the rate: words would be wrong": """
        302 722 al aptx aptxhd daud dfpwm msbc pcm rco sb sbc spdif sw tco tun ub ul uw
    """,
    "of games, consoles and toys": """
        acm adp ads adx afc aix apm ast aud avr bcstm bfstm binka bmv bonk brstm cdata cdg cdxl cpk cvg dtk fap fsb fwse genh
        hca imx ipu laf mca mods moflex msf mtaf musx mvi osq paf qoa redspark rka roq rsd rso sbg sds sdx sga son ss2 str svag
        svs usm vag vb vpk wady xl xmv xvag yop a64
    """,
    "music modules and ringtones": """
        669 amf ams dbm digi dmf dsm dtm far gdm ice imf it j2b m15 mdl med mmcmp mmf mms mo3 mptm mt2 mtm nst okt plm psm
        pt36 ptm s3m sfx sfx2 st26 stk stm stp ult umx wow xm xpk
    """,
    "pictures": """
        apng avif bmp dpx exr fits ico im1 im24 im8 j2c j2k jls jp2 jpeg jpg ljpg pam pbm pcx pfm pgm pgmyuv phm pix ppm png psp
        qoi ras rs sgi sun sunras tga tif tiff vbn webp xbm xface xwd y hdr
    """,
    "subtitles, captions and text": """
        ans aqt art asc diz ffmeta idx js jss lrc mcc mpl2 nfo pjs rt sami scc smi srt ass ssa stl sub sup ttml txt vt vtt
    """,
    "playlists, manifests and fragments": "apl chk ism m3u8 mpd xml vql vqe",
    "mostly something else": """
        adf cgi dat idf mac mxv nc nsp swf v apac
    """,
}


class Format(ctypes.Structure):
    """How AVInputFormat and AVOutputFormat begin; the third is flags in one, a MIME type in the other."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("long_name", ctypes.c_char_p),
        ("third", ctypes.c_void_p),
        ("extensions", ctypes.c_char_p),
    )


def known_to_ffmpeg() -> set[str]:
    """Extensions that demuxers and muxers of this machine's ffmpeg call theirs.

    Asked of the library that the program loads: `ffmpeg -h demuxer=NAME` says the same, and takes two minutes for all.
    """
    loaded = subprocess.run(["ldd", shutil.which("ffmpeg") or ""], capture_output=True, text=True).stdout
    library = re.search(r"libavformat\S* => (\S+)", loaded)
    if library is None:
        pytest.skip("ffmpeg has its libraries in itself")
    formats, found = ctypes.CDLL(library[1]), set()
    for iterate in (formats.av_demuxer_iterate, formats.av_muxer_iterate):
        iterate.restype, at = ctypes.POINTER(Format), ctypes.c_void_p()
        while one := iterate(ctypes.byref(at)):
            found |= {name.strip() for name in (one.contents.extensions or b"").decode().lower().split(",")}
    return found - {""}


def test_the_library_says_what_the_program_says():
    said = subprocess.run(["ffmpeg", "-v", "error", "-h", "muxer=mpegts"], capture_output=True, text=True).stdout
    asked = re.search(r"Common extensions: (.*)\.", said)
    assert asked is not None
    assert set(asked[1].split(",")) == {"ts", "m2t", "m2ts", "mts"} <= known_to_ffmpeg()


def test_every_extension_of_ffmpeg_is_a_candidate_or_left_out_on_purpose():
    found = known_to_ffmpeg()
    assert {"mp4", "w64", "gxf", "m2t", "mod", "txt", "png"} <= found
    on_purpose = {extension for words in LEFT_OUT.values() for extension in words.split()}
    # "ty+" is no extension to us: objects with none are candidates.
    assert found - set(MEDIA_EXTENSIONS) - on_purpose - SUBTITLES == {"ty+"}
    assert on_purpose & set(MEDIA_EXTENSIONS) == set()


def test_an_extension_is_left_out_for_one_reason():
    words = [extension for words in LEFT_OUT.values() for extension in words.split()]
    assert sorted({word for word in words if words.count(word) > 1}) == []


DVD, STREAM, PHONE = "-f dvd", "-f mpegts", "-vn -ar 8000 -ac 1"


@pytest.mark.parametrize(
    ("extension", "written"),
    {
        "m2t": STREAM,
        "tp": STREAM,
        "trp": STREAM,
        "tod": STREAM,
        "rec": STREAM,
        "mod": DVD,
        "m2p": DVD,
        "vro": DVD,
        "evo": DVD,
        "divx": "-f avi",
        "dvr-ms": "-f asf",
        "mk3d": "-f matroska",
        "qta": "-vn -f mov",
        "gxf": "-target pal-dv -vcodec mpeg2video -acodec pcm_s16le -ar 48000 -ac 1 -f gxf",
        "dif": "-target pal-dv -f dv",
        "w64": "-vn -f w64",
        "bwf": "-vn -f wav",
        "snd": "-vn -f au",
        "sox": "-vn -f sox",
        "sf": "-vn -f ircam",
        "voc": "-vn -f voc",
        "mpga": "-vn -f mp3",
        "loas": "-vn -f latm",
        "gsm": f"{PHONE} -f gsm",
        "sln": f"{PHONE} -f s16le",
        "g722": "-vn -ar 16000 -ac 1 -f g722",
    }.items(),
)
def test_a_file_under_a_name_that_is_easily_forgotten_is_taken_and_read(tmp_path, extension, written):
    folder = empty_bucket(tmp_path)
    path = folder / f"talk.{extension}"
    source = BUCKET / "business" / "interest-rates.mp4"
    command = ["ffmpeg", "-v", "error", "-t", "1", "-i", str(source), *written.split(), str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    assert keys(look(folder)) == {path.name}
    found = probe(path, Settings())
    assert len(found.tracks) == 1
    assert found.duration_ms is None or 900 <= found.duration_ms <= 1100
