"""How an estimate settles as pairs come in, with a band that may be looked at after each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tl_engine.analysis.interval import ALPHA, LEAST_PAIRS, is_constant
from tl_engine.analysis.rule import Pairs, analyses


def confidence_fan(pairs: Pairs, alpha: float = ALPHA) -> pd.DataFrame:
    """The mean difference after each pair from the second on, with the confidence sequence that the
    verdict would have had there.

    Args:
        alpha: the verdict's level, which Holm's procedure left it.

    Returns:
        Columns pairs, difference, low, high; the band is infinite where there is none yet:
        under four pairs, and where all differ by the same.
    """
    values = np.asarray(pairs.differences, float)
    rows = []
    for count in range(2, len(values) + 1):
        seen = values[:count]
        low, high = -np.inf, np.inf
        if count >= LEAST_PAIRS and not (is_constant(seen) and seen[0] != 0):
            (look,) = analyses(pairs._replace(differences=seen, planned_differences=None))
            low, high = look.interval(alpha)
        rows.append((count, float(seen.mean()), low, high))
    return pd.DataFrame(rows, columns=["pairs", "difference", "low", "high"])
