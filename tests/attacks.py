"""How hard the tests of reliability try: a part of all attacks each day, more on request.

THAW_ATTACKS=20 tries twenty times as many (`make torture`), THAW_SEED=1 always the same ones;
a failing test names both its attack and the seed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import date
from typing import TypeVar

Attack = TypeVar("Attack")
TIMES = int(os.environ.get("THAW_ATTACKS", "1"))
SEED = int(os.environ.get("THAW_SEED", date.today().toordinal()))


def some(attacks: Sequence[Attack], count: int) -> list[Attack]:
    """So many of the attacks times THAW_ATTACKS, others tomorrow; at most all of them."""
    chosen = sorted(
        random.Random(SEED).sample(range(len(attacks)), min(count * TIMES, len(attacks)))
    )
    return [attacks[number] for number in chosen]
