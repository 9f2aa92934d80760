"""What processes that work beside the pages have in common: their priority and their last words."""

from __future__ import annotations

import os

NICENESS = 10
MAXIMUM_LENGTH = 500


def work_in_background() -> None:
    """Give this process less of the processor than pages get."""
    os.nice(NICENESS)
    quiet_tensorflow()


def quiet_tensorflow() -> None:
    """Let TensorFlow say only what is wrong, in this process and in those that it starts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def sentence_about(error: Exception) -> str:
    """One sentence about an error that nobody foresaw."""
    return f"{type(error).__name__}: {error}"[:MAXIMUM_LENGTH]
