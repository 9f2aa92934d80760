"""How hard the tests of reliability try: a part of all attacks, others or more on request.

THAW_SEED=2 tries others, THAW_ATTACKS=20 twenty times as many (`make kill-test`); a failing test
names both its attack and the seed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

Attack = TypeVar("Attack")
TIMES = int(os.environ.get("THAW_ATTACKS", "1"))
SEED = int(os.environ.get("THAW_SEED", "1"))


def some(attacks: Sequence[Attack], count: int) -> list[Attack]:
    """So many of the attacks times THAW_ATTACKS, at most all of them."""
    chosen = sorted(
        random.Random(SEED).sample(range(len(attacks)), min(count * TIMES, len(attacks)))
    )
    return [attacks[number] for number in chosen]
