"""A measured table: rows for people, figures for programs, and what they were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.machine.hardware import cpu_flags

PACKAGES = ("torch", "transformers", "pyctcdecode", "kenlm", "duckdb", "deltalake", "prefect", "elasticsearch")


@dataclass
class Table:
    """What one bench found. `rows` are cells as text, `figures` the same as numbers."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    settings: str = ""

    def add(self, *cells: str) -> None:
        self.rows.append(cells)

    def markdown(self, *, full: bool) -> str:
        """The table with its title, where it was measured, and the command that measures it again."""
        lines = [f"**{self.title}**", "", "| " + " | ".join(self.columns) + " |"]
        lines.append("| " + " | ".join(["---"] + ["---:"] * (len(self.columns) - 1)) + " |")
        lines += ["| " + " | ".join(row) + " |" for row in self.rows]
        command = f"nightscribe bench {self.name}{' --full' if full else ''}"
        lines += ["", f"`{command}`: {self.settings + '; ' if self.settings else ''}{machine()}."]
        return "\n".join(lines)


def machine() -> str:
    """Processor, cores, memory, system and versions in one line."""
    cpu = platform.processor() or platform.machine()
    flags = ", ".join(flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in cpu_flags())
    info = Path("/proc/cpuinfo")
    if info.exists():
        text = info.read_text(encoding="utf-8")
        if found := re.search(r"^model name\s*:\s*(.+)$", text, re.M):
            cpu = found[1]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        f"{cpu} ({flags}), {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB; "
        f"Python {platform.python_version()}, {versions}"
    )


def write_into(document: Path, table: Table, *, full: bool) -> None:
    """Put a table between its two markers in a Markdown file; a test sees that docs/figures.md has those of every bench."""
    text = document.read_text(encoding="utf-8")
    begin, end = f"<!-- bench {table.name} -->", f"<!-- end {table.name} -->"
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    document.write_text(f"{before}{begin}\n{table.markdown(full=full)}\n{end}{after}", encoding="utf-8")
