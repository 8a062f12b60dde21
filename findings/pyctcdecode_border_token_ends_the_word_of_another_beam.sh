#!/usr/bin/env bash
# pyctcdecode 0.5.0: with subword labels (U+2581 begins a word), a vocabulary that has U+2581 as a token of its own, as
# SentencePiece makes it, tears words of beams that never used that token. A label that ends in U+2581 sets a flag "the next
# piece begins a word", and the flag is not of the beam that took the token but of the whole search: the next beam that is
# extended, in the same frame, loses its word in two.
#
# Seen: of two frames, "_rat" (_ for U+2581) for certain, then "the" (a piece without a border) at 55 % and the lone border at 40 %, the best text
# is "rat the" where "ratthe" is the likeliest; with the border spelled "_ " (border and space) in the labels, which sets no flag and
# is otherwise the same, it is "ratthe".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check pyctcdecode==0.5.0 numpy==1.26.4
tools/bin/python - <<'EOF' 2>/dev/null
import numpy as np
from pyctcdecode.alphabet import Alphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC

best = {}
for lone in ("\u2581", "\u2581 "):
    labels = ["", "\u2581the", "\u2581rat", "es", lone, "the"]
    probabilities = np.full((2, len(labels)), 0.01)
    probabilities[0, 2] = 0.95
    probabilities[1, [4, 5]] = 0.40, 0.55
    decoder = BeamSearchDecoderCTC(Alphabet(labels, True), None)
    best[lone] = decoder.decode_beams(np.log(probabilities))[0][0]
print(f"A border alone: {best[chr(0x2581)]!r}; with a space behind it: {best[chr(0x2581) + ' ']!r}.")
assert list(best.values()) == ["rat the", "ratthe"], "it is not as it was"
EOF
echo "As it was: a token that one beam took ended the word of another."
