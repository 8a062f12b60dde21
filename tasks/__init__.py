"""What is done, in plain Python; nothing here knows of Prefect."""

import os

# Large tensors on large pages: the first layers of a speech model otherwise spend much of their time on page faults. torch
# reads this with its first allocation.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

# Threads of torch that wait for one another spin, by default for milliseconds. Beside a beam search or a second run, that
# takes the processors from those they wait for, and a model is several times slower. libgomp reads this when it is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
