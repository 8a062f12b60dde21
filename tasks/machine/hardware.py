"""What the processor can do, what it is called, and which of several processes this is."""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from pathlib import Path


@cache
def cpu_flags() -> frozenset[str]:
    """The instruction sets that Linux names; none where it does not say."""
    with contextlib.suppress(OSError):
        found = re.search(r"^flags\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
        return frozenset(found[1].split()) if found else frozenset()
    return frozenset()


@cache
def hardware_of(device: str) -> str:
    """What a device is called: a GPU's name, or the processor's with the cores that this process may use."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    name = "CPU"
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
        name = found[1].strip() if found else name
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} core{'s' * (cores != 1)}"


def is_first_process() -> bool:
    """Of the processes that `accelerate launch` or `torchrun` started, whether this is the one that speaks and writes."""
    return os.environ.get("RANK", "0") == "0"


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; without that it is slower than fp32."""
    return bool({"avx512_bf16", "amx_bf16"} & cpu_flags())
