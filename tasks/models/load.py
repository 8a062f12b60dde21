"""Models of `transformers` in memory: loaded once a process, on a device, in a precision; halved batches when memory runs out."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from tasks.arrays import Array
from tasks.errors import ModelNotAvailable, OutOfMemory, first_line
from tasks.machine.hardware import cpu_has_bf16

T = TypeVar("T")
KEPT = 6  # models in memory at one time, one of each kind; the one that was used longest ago goes first
_LOCK = threading.Lock()
_LOADED: OrderedDict[Hashable, Any] = OrderedDict()


def loaded_once(key: Hashable, load: Callable[[], T]) -> T:
    """What `load` makes, kept for this process under `key`. When it does not fit, it is tried again without models that nobody
    uses at the time.

    Raises:
        OutOfMemory: it does not fit alone. What `load` raises.
    """
    with _LOCK:
        if key not in _LOADED:
            made = _try(load)
            if made is None:
                _LOADED.clear()  # of what nobody is at work with
                made = _try(load)
            if made is None:
                raise OutOfMemory("A model does not fit into memory.", next="Use a smaller model, or another device.")
            _LOADED[key] = made[0]
        _LOADED.move_to_end(key)
        while len(_LOADED) > KEPT:
            _LOADED.popitem(last=False)
        kept: T = _LOADED[key]
        return kept


def _try(load: Callable[[], T]) -> tuple[T] | None:
    """What `load` makes; None where memory runs out, of which nothing is held then: not even by the error."""
    try:
        return (load(),)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def pretrained(auto: Any, name: str, what: str, kind: str, *, revision: str | None = None, **options: Any) -> Any:
    """`auto.from_pretrained` of a folder, or of the hub's cache: a run never waits for a network, and runs nobody's code.

    Args:
        auto: one of the Auto classes of `transformers`.
        what: how messages call it: "acoustic model"; `kind`: and what it has to be: "a CTC model".

    Raises:
        ModelNotAvailable: it is not on this machine, or is of another kind.
    """
    quiet_transformers()
    try:
        return auto.from_pretrained(name, revision=revision, trust_remote_code=False, local_files_only=True, **options)
    except (OSError, ValueError, KeyError) as error:
        where = "in that folder" if Path(name).exists() else "on this machine"
        raise ModelNotAvailable(
            f"The {what} {name} is not {where}, or is not {kind}: {first_line(error)}",
            next=f"Fetch it where there is a network: nightscribe models fetch {name}",
        ) from error


def choose_device(name: str) -> str:
    """`auto` is the first GPU, else the CPU."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """`auto`: bf16 on GPUs and CPUs that compute with it, fp16 on older GPUs, else fp32."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision != "auto":
        return named[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if cpu_has_bf16() else torch.float32


@dataclass
class BatchSize:
    """How many items a model takes at once. It is halved when memory runs out, and not raised again."""

    items: int

    def forward(
        self, infer: Callable[[Sequence[T]], Array], items: Sequence[T], too_large: Callable[[], OutOfMemory]
    ) -> Iterator[Array]:
        """The rows that `infer` makes of the items, one each, in order.

        Raises:
            OutOfMemory: `too_large`, when not even one item fits.
        """
        try:
            results = infer(items)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(items) == 1:
                raise too_large() from error
        else:
            yield from results
            return
        half = len(items) // 2
        self.items = max(1, half)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        yield from self.forward(infer, items[:half], too_large)
        yield from self.forward(infer, items[half:], too_large)


def is_out_of_memory(error: Exception) -> bool:
    """torch has a class for it on a GPU; on a CPU it is a RuntimeError with these words."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def quiet_transformers() -> None:
    """Neither bars for the reading and writing of weights nor reports of layers that were added on purpose."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
