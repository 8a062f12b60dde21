"""What is done, in plain Python; nothing here knows of Prefect."""

import os

# Large tensors on large pages: the first layers of a speech model otherwise spend much of their time on page faults. torch
# reads this with its first allocation.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
