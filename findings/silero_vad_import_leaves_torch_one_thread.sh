#!/usr/bin/env bash
# silero-vad 6.2.3: importing it takes all of torch in the process to one thread, whatever was set before, and nothing gives the
# threads back. A program that imports the voice detector after its speech model goes on with one core.
#
# Seen (torch 2.13.0): set to 2 threads, torch has 1 after `import silero_vad`, before any model is loaded.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check silero-vad==6.2.3 torch==2.13.0 numpy==1.26.4
tools/bin/python - <<'EOF'
import torch

torch.set_num_threads(2)
import silero_vad

print(f"silero-vad {silero_vad.__version__ if hasattr(silero_vad, '__version__') else '6.2.3'}: {torch.get_num_threads()} thread.")
assert torch.get_num_threads() == 1, "it is not as it was"
EOF
echo "As it was: an import changed how many threads every other model has."
