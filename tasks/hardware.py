"""What the processor can do."""

from __future__ import annotations

import contextlib
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


def cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; without that it is slower than fp32."""
    return bool({"avx512_bf16", "amx_bf16"} & cpu_flags())
