"""Names of the files and folders of runs; what each holds is told in the package's docstring."""

from __future__ import annotations

import re
from functools import lru_cache

QUARANTINE = "quarantine"
CHECKPOINT, ENVIRONMENT = "checkpoint.json", "environment.json"
FACT_FILES = ("outcome.json", CHECKPOINT, "history.jsonl", "scores.json", ENVIRONMENT)
"""What everything that is shown of a run comes from, beside its recipe."""
RESULT_FILES = (*FACT_FILES[1:], "probabilities.npz", "model.keras")
"""What a finished run consists of; its outcome names each with its sha256."""
REMAINING_FILES = ("recipe.json", "queued", "lock", "log.txt", "pulse")
"""What stays in its place when a damaged run begins again."""
RUN_FILES = frozenset({*FACT_FILES, *RESULT_FILES, *REMAINING_FILES, "stop", "attempts.jsonl"})
MEASUREMENTS = "measurements.jsonl"
RUN_NAME = re.compile(r"arm[0-9]{1,9}-pair[0-9]{1,9}")


def run_name(arm: int, pair: int) -> str:
    """The folder of a run: arm2-pair01 for the second arm (index 1) and pair 1."""
    return f"arm{arm + 1}-pair{pair:02d}"


@lru_cache(maxsize=20_000)
def arm_and_pair(name: str) -> tuple[int, int]:
    """(arm, pair) of a run's folder: the index of the arm, 0-based, and the pair's number."""
    arm, _, pair = name.removeprefix("arm").partition("-pair")
    return int(arm) - 1, int(pair)
