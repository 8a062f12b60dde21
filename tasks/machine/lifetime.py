"""How long a helper process lives."""

from __future__ import annotations

import os
import threading
import time


def end_with(parent: int) -> None:
    """End this process soon after its parent, however that died.

    Not prctl(PR_SET_PDEATHSIG): that fires when the *thread* that started the process ends, and threads come and go.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watch-parent").start()
