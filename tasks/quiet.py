"""What libraries print of their own accord."""

from __future__ import annotations


def quiet_transformers() -> None:
    """Neither bars for the reading and writing of weights nor reports of layers that were added on purpose."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
